// Shared by both walks over events: puts values into columns.
#pragma once
#include "columns.hpp"

struct kj_extractor {
  std::vector<kappa::Node> nodes = std::vector<kappa::Node>(1);
  kappa::Shapes shapes;
  std::vector<std::pair<kj_kind, kj_time_unit>> kinds;
  std::unique_ptr<simdjson::internal::dom_parser_implementation> parser;
  kappa::DateCache dates;
};

struct kj_batch {
  std::vector<kappa::Column> columns;
  std::vector<uint32_t> starts;
  kappa::Arena arena;
};

namespace kappa {

class Fields {
 protected:
  Fields(kj_extractor &x, kj_batch &batch, const char *data, size_t length)
      : x_(x), batch_(batch), data_(data), end_(data + length) {}

  // Puts a number, a string, true, false or null, which fills `first` to `end`, into a column.
  KAPPA_INLINE void put_scalar(uint32_t index, const char *first, const char *end) {
    Column &column = batch_.columns[index];
    column.states[event_] = scalar(column, *first, first, end);
  }

  // Puts an object or an array there.
  void put_nested(uint32_t index, const char *first, const char *end) {
    Column &column = batch_.columns[index];
    column.states[event_] = KJ_WRONG_TYPE;
    if (column.kind == KJ_OBJECT && *first == '{') column.states[event_] = KJ_VALUE;
    if (column.kind == KJ_JSON) {
      column.strings[event_] = {first, static_cast<uint32_t>(end - first), 0};
      column.states[event_] = KJ_VALUE;
    }
  }

  // Sets the state of all fields inside an object.
  void mark(uint32_t node_index, kj_state state) {
    for (const Property &property : x_.nodes[node_index].properties) {
      for (uint32_t column : property.columns) batch_.columns[column].states[event_] = state;
      if (property.node != kNone) mark(property.node, state);
    }
  }

  kj_extractor &x_;
  kj_batch &batch_;
  const char *data_;
  const char *end_;
  size_t event_ = 0;

 private:
  KAPPA_INLINE kj_state string(const char *first, const char *end, kj_string &out) {
    const char *text = first + 1;
    size_t length = static_cast<size_t>(end - 1 - text);
    StringScan scan = scan_padded(text, length);
    if (scan.backslash) return escaped_string(text, length, out);
    uint32_t hash = text_hash(scan, first_bytes_padded(text, length), length);
    out = {text, static_cast<uint32_t>(length), hash};
    return KJ_VALUE;
  }

  kj_state escaped_string(const char *text, size_t length, kj_string &out) {
    char *room = batch_.arena.reserve(length + KJ_PADDING);
    size_t written = 0;
    if (!unescape(text, length, room, written)) return KJ_WRONG_TYPE;
    batch_.arena.use(written + KJ_PADDING);
    out = {room, static_cast<uint32_t>(written), text_hash_exact(room, written)};
    return KJ_VALUE;
  }

  KAPPA_INLINE kj_state scalar(Column &column, char c, const char *first, const char *end) {
    if (c == 'n') return KJ_NULL;
    int64_t number;
    switch (column.kind) {
      case KJ_BOOL:
        if (c != 't' && c != 'f') return KJ_WRONG_TYPE;
        column.integers[event_] = c == 't';
        return KJ_VALUE;
      case KJ_INTEGER:
        return parse_integer(first, end, column.integers[event_]) ? KJ_VALUE : KJ_WRONG_TYPE;
      case KJ_DOUBLE: {
        if (c != '-' && !is_digit(c)) return KJ_WRONG_TYPE;
        double &value = column.doubles[event_];
        auto result = std::from_chars(first, end, value);
        if (result.ptr != end) return KJ_WRONG_TYPE;
        if (result.ec == std::errc()) return KJ_VALUE;
        // A number that is too small becomes zero, or nearly so; one that is too large is refused.
        value = std::strtod(first, nullptr);
        return std::abs(value) < 1 ? KJ_VALUE : KJ_WRONG_TYPE;
      }
      case KJ_STRING:
        return c == '"' ? string(first, end, column.strings[event_]) : KJ_WRONG_TYPE;
      case KJ_TIMESTAMP:
        if (c == '"') return time(first, end, column.unit, column.integers[event_]);
        if (parse_integer(first, end, number))
          return integer_time(number, column.unit, column.integers[event_]);
        return number_time(first, end, column.unit, column.integers[event_]);
      case KJ_DECIMAL:
        return decimal(column, c, first, end);
      case KJ_JSON:
        column.strings[event_] = {first, static_cast<uint32_t>(end - first), 0};
        return KJ_VALUE;
      case KJ_OBJECT:
        return KJ_WRONG_TYPE;
    }
    return KJ_WRONG_TYPE;
  }

  KAPPA_INLINE kj_state time(const char *first, const char *end, kj_time_unit unit, int64_t &out) {
    size_t length = static_cast<size_t>(end - first - 2);
    if (parse_timestamp(first + 1, length, x_.dates, out)) return KJ_VALUE;
    return odd_time(first, end, unit, out);
  }

  // Some writers escape the + of a time's offset.
  kj_state odd_time(const char *first, const char *end, kj_time_unit unit, int64_t &out) {
    size_t length = static_cast<size_t>(end - first - 2);
    if (!std::memchr(first + 1, '\\', length)) return text_time(first + 1, end - 1, unit, out);
    kj_string plain;
    if (string(first, end, plain) != KJ_VALUE) return KJ_WRONG_TYPE;
    return text_time(plain.data, plain.data + plain.length, unit, out);
  }

  // A number, or a string that holds one.
  KAPPA_INLINE kj_state decimal(Column &column, char c, const char *first, const char *end) {
    if (c == '"') {
      first++;
      end--;
      if (std::memchr(first, '\\', static_cast<size_t>(end - first))) {
        kj_string plain;
        if (string(first - 1, end + 1, plain) != KJ_VALUE) return KJ_WRONG_TYPE;
        first = plain.data;
        end = first + plain.length;
      }
    } else if (c != '-' && !is_digit(c)) {
      return KJ_WRONG_TYPE;
    }
    if (first == end) return KJ_WRONG_TYPE;
    if (parse_decimal(first, end, column.integers[event_], column.scales[event_])) return KJ_VALUE;
    column.scales[event_] = KJ_WIDE;
    column.strings[event_] = {first, static_cast<uint32_t>(end - first), 0};
    return KJ_VALUE;
  }

};

}  // namespace kappa
