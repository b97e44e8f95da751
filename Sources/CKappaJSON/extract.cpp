// simdjson's first stage finds the structural characters of a whole block (and checks its UTF-8);
// the walk below goes over them, and reads only the values that a view asks for.
#include "columns.hpp"

using namespace kappa;

struct kj_extractor {
  std::vector<Node> nodes = std::vector<Node>(1);
  std::vector<kj_kind> kinds;
  std::unique_ptr<simdjson::internal::dom_parser_implementation> parser;
  DateCache dates;
};

struct kj_batch {
  std::vector<Column> columns;
  std::vector<uint32_t> starts;
  Arena arena;
};

namespace {

class Walk {
 public:
  Walk(kj_extractor &x, kj_batch &batch, const char *data, size_t length)
      : x_(x), batch_(batch), data_(data), length_(length),
        marks_(x.parser->structural_indexes.get()), count_(x.parser->n_structural_indexes) {}

  bool run(size_t events) {
    for (event_ = 0; event_ < events; event_++) {
      if (at_ >= count_ || data_[marks_[at_]] != '{') return false;
      batch_.starts[event_] = marks_[at_];
      if (!object(0)) return false;
    }
    batch_.starts[events] = at_ < count_ ? marks_[at_] : static_cast<uint32_t>(length_);
    return at_ == count_;
  }

 private:
  // `at_` is at the opening brace; leaves it behind the closing one.
  bool object(uint32_t node_index) {
    at_++;
    if (at_ < count_ && data_[marks_[at_]] == '}') {
      at_++;
      return true;
    }
    for (size_t place = 0;; place++) {
      // A key, a colon, a value, and a comma or the closing brace.
      if (at_ + 3 >= count_) return false;
      const char *key = data_ + marks_[at_] + 1;
      uint32_t target = lookup(node_index, place, key, marks_[at_ + 1]);
      at_ += 2;
      if (!value(node_index, target)) return false;
      if (at_ >= count_) return false;
      char c = data_[marks_[at_++]];
      if (c == '}') return true;
      if (c != ',') return false;
    }
  }

  uint32_t lookup(uint32_t node_index, size_t place, const char *key, uint32_t colon) {
    Node &node = x_.nodes[node_index];
    if (place < node.predictions.size()) {
      const Prediction &guess = node.predictions[place];
      if (guess.fits(key)) return guess.target;
    }
    return lookup_slowly(node, place, key, colon);
  }

  uint32_t lookup_slowly(Node &node, size_t place, const char *key, uint32_t colon) {
    const char *end = data_ + colon;
    while (end > key && end[-1] != '"') end--;
    if (end == key) return kNone;
    std::string text(key, static_cast<size_t>(end - 1 - key));
    bool escaped = text.find('\\') != std::string::npos;
    if (escaped) {
      std::string plain(text.size(), '\0');
      size_t written = 0;
      if (!unescape(text.data(), text.size(), &plain[0], written)) return kNone;
      plain.resize(written);
      text = plain;
    }
    uint32_t target = kNone;
    for (const Name &name : node.names)
      if (name.text == text) {
        target = name.target;
        break;
      }
    constexpr size_t most_places = 256;
    if (!escaped && place < most_places) {
      if (place >= node.predictions.size()) node.predictions.resize(place + 1);
      node.predictions[place].set(text, target);
    }
    return target;
  }

  // `at_` is at the value's first character; leaves it at the comma or brace behind it.
  bool value(uint32_t node_index, uint32_t target) {
    uint32_t begin = marks_[at_];
    char c = data_[begin];
    if (c == '{' || c == '[') return nested(node_index, target, c);
    at_++;
    if (target == kNone) return true;
    if (at_ >= count_) return false;
    const char *first = data_ + begin;
    const char *end = data_ + marks_[at_];
    while (end > first + 1 && is_space(end[-1])) end--;
    for (uint32_t column : x_.nodes[node_index].targets[target].columns)
      batch_.columns[column].states[event_] = scalar(batch_.columns[column], c, first, end);
    uint32_t child = x_.nodes[node_index].targets[target].node;
    if (child != kNone) mark(child, c == 'n' ? KJ_MISSING : KJ_WRONG_TYPE);
    return true;
  }

  bool nested(uint32_t node_index, uint32_t target, char c) {
    const char *first = data_ + marks_[at_];
    uint32_t child = target == kNone ? kNone : x_.nodes[node_index].targets[target].node;
    if (c == '{' && child != kNone) {
      // Where the key stands twice, nothing of the first object may shine through.
      mark(child, KJ_MISSING);
      if (!object(child)) return false;
    } else {
      if (!skip()) return false;
      if (child != kNone) mark(child, KJ_WRONG_TYPE);
    }
    if (target == kNone) return true;
    if (at_ >= count_) return false;
    for (uint32_t index : x_.nodes[node_index].targets[target].columns) {
      Column &column = batch_.columns[index];
      column.states[event_] = KJ_WRONG_TYPE;
      if (column.kind == KJ_OBJECT && c == '{') column.states[event_] = KJ_VALUE;
      if (column.kind == KJ_JSON) {
        const char *end = data_ + marks_[at_];
        while (end > first + 1 && is_space(end[-1])) end--;
        column.strings[event_] = {first, static_cast<uint32_t>(end - first), 0};
        column.states[event_] = KJ_VALUE;
      }
    }
    return true;
  }

  // Gives all fields inside an object one state.
  void mark(uint32_t node_index, kj_state state) {
    for (const Target &target : x_.nodes[node_index].targets) {
      for (uint32_t column : target.columns) batch_.columns[column].states[event_] = state;
      if (target.node != kNone) mark(target.node, state);
    }
  }

  bool skip() {
    size_t depth = 0;
    while (at_ < count_) {
      char c = data_[marks_[at_++]];
      if (c == '{' || c == '[') depth++;
      if ((c == '}' || c == ']') && --depth == 0) return true;
    }
    return false;
  }

  static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

  kj_state string(const char *first, const char *end, kj_string &out) {
    const char *text = first + 1;
    size_t length = static_cast<size_t>(end - 1 - text);
    StringScan scan = scan_padded(text, length);
    if (scan.backslash) {
      char *room = batch_.arena.reserve(length + KJ_PADDING);
      size_t written = 0;
      if (!unescape(text, length, room, written)) return KJ_WRONG_TYPE;
      batch_.arena.use(written + KJ_PADDING);
      text = room;
      length = written;
      scan = scan_exact(text, length);
    }
    out = {text, static_cast<uint32_t>(length), scan.result()};
    return KJ_VALUE;
  }

  kj_state scalar(Column &column, char c, const char *first, const char *end) {
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
        // Too small a number is zero, or nearly so; too large a one is refused.
        value = std::strtod(first, nullptr);
        return std::abs(value) < 1 ? KJ_VALUE : KJ_WRONG_TYPE;
      }
      case KJ_STRING:
        return c == '"' ? string(first, end, column.strings[event_]) : KJ_WRONG_TYPE;
      case KJ_TIMESTAMP:
        if (c == '"') return time(first, end, column.integers[event_]);
        if (!parse_integer(first, end, number)) return KJ_WRONG_TYPE;
        column.integers[event_] = kj_timestamp_from_number(number);
        return is_in_calendar(column.integers[event_]) ? KJ_VALUE : KJ_WRONG_TYPE;
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

  // A time as text. Some writers escape the + of its offset.
  kj_state time(const char *first, const char *end, int64_t &out) {
    size_t length = static_cast<size_t>(end - first - 2);
    if (parse_timestamp(first + 1, length, x_.dates, out)) return KJ_VALUE;
    kj_string plain;
    if (!std::memchr(first + 1, '\\', length) || string(first, end, plain) != KJ_VALUE)
      return KJ_WRONG_TYPE;
    return parse_timestamp(plain.data, plain.length, x_.dates, out) ? KJ_VALUE : KJ_WRONG_TYPE;
  }

  // A number, or a string that holds one.
  kj_state decimal(Column &column, char c, const char *first, const char *end) {
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

  kj_extractor &x_;
  kj_batch &batch_;
  const char *data_;
  size_t length_;
  const uint32_t *marks_;
  size_t count_;
  size_t at_ = 0;
  size_t event_ = 0;
};

uint32_t target_for(Node &node, const char *const *names, size_t count) {
  for (size_t i = 0; i < count; i++)
    for (const Name &name : node.names)
      if (name.text == names[i] && i == 0) return name.target;
  uint32_t target = static_cast<uint32_t>(node.targets.size());
  node.targets.emplace_back();
  for (size_t i = 0; i < count; i++) node.names.push_back({names[i], target});
  return target;
}

}  // namespace

extern "C" {

kj_extractor *kj_extractor_new(void) { return new kj_extractor(); }
void kj_extractor_free(kj_extractor *x) { delete x; }

kj_extractor *kj_extractor_copy(const kj_extractor *x) {
  auto *copy = new kj_extractor();
  copy->nodes = x->nodes;
  copy->kinds = x->kinds;
  return copy;
}

uint32_t kj_add_object(kj_extractor *x, uint32_t parent, const char *const *names, size_t count) {
  uint32_t target = target_for(x->nodes[parent], names, count);
  if (x->nodes[parent].targets[target].node == kNone) {
    x->nodes[parent].targets[target].node = static_cast<uint32_t>(x->nodes.size());
    x->nodes.emplace_back();
  }
  return x->nodes[parent].targets[target].node;
}

uint32_t kj_add_field(kj_extractor *x, uint32_t parent, const char *const *names, size_t count,
                      kj_kind kind) {
  uint32_t column = static_cast<uint32_t>(x->kinds.size());
  x->kinds.push_back(kind);
  x->nodes[parent].targets[target_for(x->nodes[parent], names, count)].columns.push_back(column);
  return column;
}

kj_batch *kj_batch_new(const kj_extractor *x) {
  auto *batch = new kj_batch();
  for (kj_kind kind : x->kinds) {
    batch->columns.emplace_back();
    batch->columns.back().kind = kind;
  }
  return batch;
}

void kj_batch_free(kj_batch *batch) { delete batch; }

kj_column kj_batch_column(const kj_batch *batch, uint32_t index) {
  auto &column = const_cast<Column &>(batch->columns[index]);
  return {column.kind,           column.states.data(),  column.integers.data(),
          column.doubles.data(), column.strings.data(), column.scales.data()};
}

const uint32_t *kj_batch_starts(const kj_batch *batch) { return batch->starts.data(); }

bool kj_extract(kj_extractor *x, const char *data, size_t length, size_t count, kj_batch *batch) {
  batch->arena.clear();
  for (Column &column : batch->columns) column.resize(count);
  if (batch->starts.size() < count + 1) batch->starts.resize(count + 1);
  if (count == 0) {
    batch->starts[0] = 0;
    return length == 0;
  }
  if (length > UINT32_MAX - KJ_PADDING) return false;
  if (!x->parser || x->parser->capacity() < length) {
    x->parser.reset();
    size_t capacity = length < (1u << 20) ? (1u << 20) + 4096 : length;
    if (simdjson::get_active_implementation()->create_dom_parser_implementation(
            capacity, simdjson::DEFAULT_MAX_DEPTH, x->parser))
      return false;
  }
  auto *bytes = reinterpret_cast<const uint8_t *>(data);
  if (x->parser->stage1(bytes, length, simdjson::stage1_mode::regular)) return false;
  return Walk(*x, *batch, data, length).run(count);
}
}
