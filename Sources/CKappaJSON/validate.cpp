#include <simdjson.h>

#include <cstring>

#include "CKappaJSON.h"

// simdjson's DOM validates fully: structure, UTF-8, numbers, escapes. Each line is parsed alone, so
// that an object that spans two lines, or two objects on one, are found.
extern "C" size_t kj_validate_ndjson(const char *data, size_t length) {
  static thread_local simdjson::dom::parser parser;
  const char *end = data + length;
  const char *line = data;
  while (line < end) {
    const void *newline = std::memchr(line, '\n', static_cast<size_t>(end - line));
    const char *stop = newline ? static_cast<const char *>(newline) : end;
    const char *first = line;
    while (first < stop && (*first == ' ' || *first == '\t' || *first == '\r')) first++;
    if (first < stop) {
      // The extraction expects a brace first. Some versions of simdjson skip a byte-order mark here,
      // and the extraction would then fail on it every time.
      if (*first != '{') return static_cast<size_t>(line - data);
      simdjson::dom::element element;
      auto error = parser.parse(first, static_cast<size_t>(stop - first), false).get(element);
      if (error || !element.is_object()) return static_cast<size_t>(line - data);
    }
    line = stop + 1;
  }
  return length;
}
