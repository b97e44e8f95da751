// The parts of extraction: the wanted fields, the columns that they fill, and the text of keys and
// strings.
#pragma once
#include <simdjson.h>

#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "CKappaJSON.h"
#include "scalars.hpp"
#include "shapes.hpp"
#include "times.hpp"

namespace kappa {

// One requested property of an object: the columns that want its value, and possibly an object to
// enter. Its own name comes first; the others apply where the object does not have that one.
struct Property {
  std::vector<std::string> names;
  std::vector<uint32_t> columns;
  uint32_t node = kNone;
};

// A property that a key stands for.
struct Use {
  uint32_t property;
  // Whether the key is the property's own name.
  bool is_own;
};

struct Target {
  std::vector<Use> uses;
};

struct Name {
  std::string text;
  uint32_t target;
};

// The key at this place in the last object, and what it meant. Short keys are compared with their
// closing quote, in whole words: padding follows every key.
struct Prediction {
  static constexpr size_t kWords = 3;
  std::string text;
  uint32_t target = kNone;
  uint64_t words[kWords] = {0};
  uint64_t masks[kWords] = {0};
  bool is_short = false;

  void set(const std::string &key, uint32_t meaning) {
    text = key;
    target = meaning;
    char quoted[8 * kWords + 8] = {0}, mask[8 * kWords + 8] = {0};
    is_short = key.size() < 8 * kWords;
    if (!is_short) return;
    std::memcpy(quoted, key.data(), key.size());
    quoted[key.size()] = '"';
    std::memset(mask, 0xFF, key.size() + 1);
    std::memcpy(words, quoted, sizeof words);
    std::memcpy(masks, mask, sizeof masks);
  }

  bool fits(const char *key) const {
    if (is_short) {
      uint64_t differing = 0;
      for (size_t i = 0; i < kWords; i++) differing |= (load8(key + 8 * i) ^ words[i]) & masks[i];
      return differing == 0;
    }
    // At least a quote and the padding follow a key.
    return std::strncmp(key, text.c_str(), text.size()) == 0 && key[text.size()] == '"';
  }
};

struct Node {
  std::vector<Property> properties;
  // For each property, whether the current object has had its own name.
  std::vector<uint8_t> has_own;
  // Whether some property has more than one name; if not, `has_own` does not matter.
  bool has_aliases = false;
  std::vector<Name> names;
  std::vector<Target> targets;
  std::vector<Prediction> predictions;

  bool counts(const Use &use) const { return use.is_own || !has_own[use.property]; }
};

// Strings that had escapes, unescaped; chunks never move.
class Arena {
 public:
  char *reserve(size_t size) {
    if (size > left_) {
      size_t chunk = size > kChunk ? size : kChunk;
      chunks_.emplace_back(new char[chunk]);
      next_ = chunks_.back().get();
      left_ = chunk;
    }
    return next_;
  }
  void use(size_t size) {
    next_ += size;
    left_ -= size;
  }
  void clear() {
    chunks_.clear();
    left_ = 0;
  }

 private:
  static constexpr size_t kChunk = 64 * 1024;
  std::vector<std::unique_ptr<char[]>> chunks_;
  char *next_ = nullptr;
  size_t left_ = 0;
};

struct Column {
  kj_kind kind;
  kj_time_unit unit;
  std::vector<uint8_t> states;
  std::vector<int64_t> integers;
  std::vector<double> doubles;
  std::vector<kj_string> strings;
  std::vector<uint8_t> scales;

  void resize(size_t count) {
    if (states.size() < count) {
      states.resize(count);
      if (kind == KJ_DOUBLE) doubles.resize(count);
      if (kind == KJ_STRING || kind == KJ_JSON || kind == KJ_DECIMAL) strings.resize(count);
      if (kind == KJ_BOOL || kind == KJ_INTEGER || kind == KJ_TIMESTAMP || kind == KJ_DECIMAL)
        integers.resize(count);
      if (kind == KJ_DECIMAL) scales.resize(count);
    }
    if (count > 0) std::memset(states.data(), KJ_MISSING, count);
  }
};

inline void append_utf8(uint32_t code, char *&out) {
  if (code < 0x80) {
    *out++ = static_cast<char>(code);
  } else if (code < 0x800) {
    *out++ = static_cast<char>(0xC0 | code >> 6);
    *out++ = static_cast<char>(0x80 | (code & 63));
  } else if (code < 0x10000) {
    *out++ = static_cast<char>(0xE0 | code >> 12);
    *out++ = static_cast<char>(0x80 | (code >> 6 & 63));
    *out++ = static_cast<char>(0x80 | (code & 63));
  } else {
    *out++ = static_cast<char>(0xF0 | code >> 18);
    *out++ = static_cast<char>(0x80 | (code >> 12 & 63));
    *out++ = static_cast<char>(0x80 | (code >> 6 & 63));
    *out++ = static_cast<char>(0x80 | (code & 63));
  }
}

inline bool hex4(const char *p, uint32_t &out) {
  auto result = std::from_chars(p, p + 4, out, 16);
  return result.ec == std::errc() && result.ptr == p + 4;
}

// Copies bytes up to the next backslash or the end, often eight at once; returns how many there were.
// It may write past them, but not past the room in `out`: no text gets longer when it is unescaped.
KAPPA_INLINE size_t plain_bytes(const char *p, const char *end, char *out) {
  const char *first = p;
  while (end - p >= 8) {
    uint64_t word = load8(p);
    std::memcpy(out, &word, 8);
    uint64_t backslash = StringScan::has_backslash(word);
    if (backslash) return static_cast<size_t>(p - first) + (__builtin_ctzll(backslash) >> 3);
    p += 8;
    out += 8;
  }
  while (p < end && *p != '\\') *out++ = *p++;
  return static_cast<size_t>(p - first);
}

// Unescapes a JSON string's contents into `out`, which has room for `length` bytes.
inline bool unescape(const char *p, size_t length, char *out, size_t &written) {
  const char *end = p + length;
  char *start = out;
  while (p < end) {
    if (*p != '\\') {
      size_t plain = plain_bytes(p, end, out);
      p += plain;
      out += plain;
      continue;
    }
    if (end - p < 2) return false;
    char c = p[1];
    p += 2;
    switch (c) {
      case '"': case '\\': case '/': *out++ = c; break;
      case 'b': *out++ = '\b'; break;
      case 'f': *out++ = '\f'; break;
      case 'n': *out++ = '\n'; break;
      case 'r': *out++ = '\r'; break;
      case 't': *out++ = '\t'; break;
      case 'u': {
        uint32_t code, low;
        if (end - p < 4 || !hex4(p, code)) return false;
        p += 4;
        if (code >= 0xD800 && code < 0xDC00) {
          if (end - p < 6 || p[0] != '\\' || p[1] != 'u' || !hex4(p + 2, low) || low < 0xDC00 ||
              low > 0xDFFF)
            return false;
          p += 6;
          code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        } else if (code >= 0xDC00 && code < 0xE000) {
          return false;
        }
        append_utf8(code, out);
        break;
      }
      default: return false;
    }
  }
  written = static_cast<size_t>(out - start);
  return true;
}

}  // namespace kappa
