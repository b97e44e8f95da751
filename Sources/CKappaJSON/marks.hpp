// Walks over the structural characters that simdjson's first stage finds in any text (it checks UTF-8,
// too), and reads only the values that a view asks for.
#pragma once
#include "bytes.hpp"
#include "fields.hpp"

namespace kappa {

class MarkWalk : Fields {
 public:
  MarkWalk(kj_extractor &x, kj_batch &batch, const char *data, size_t length)
      : Fields(x, batch, data, length) {}

  // Reads `count` events that fill the bytes from `first` to `end`. If there is just one, its shape is
  // learned.
  bool events(const char *first, const char *end, size_t number, size_t count) {
    if (!find_marks(first, static_cast<size_t>(end - first))) return false;
    first_ = first;
    last_ = end;
    Shape shape(first);
    shape_ = count == 1 && !x_.shapes.is_full() ? &shape : nullptr;
    for (event_ = number; event_ < number + count; event_++) {
      if (at_ >= count_ || *mark_at(at_) != '{') return false;
      batch_.starts[event_] = static_cast<uint32_t>(mark_at(at_) - data_);
      if (!object(0)) return false;
    }
    if (at_ != count_) return false;
    if (shape_) {
      shape.last(mark_at(at_ - 1) + 1);
      x_.shapes.learn(shape);
    }
    return true;
  }

 private:
  bool find_marks(const char *first, size_t length) {
    if (!x_.parser || x_.parser->capacity() < length) {
      x_.parser.reset();
      size_t capacity = length < (1u << 20) ? (1u << 20) + 4096 : length;
      if (simdjson::get_active_implementation()->create_dom_parser_implementation(
              capacity, simdjson::DEFAULT_MAX_DEPTH, x_.parser))
        return false;
    }
    auto *bytes = reinterpret_cast<const uint8_t *>(first);
    if (x_.parser->stage1(bytes, length, simdjson::stage1_mode::regular)) return false;
    marks_ = x_.parser->structural_indexes.get();
    count_ = x_.parser->n_structural_indexes;
    at_ = 0;
    return true;
  }

  const char *mark_at(size_t at) const { return first_ + marks_[at]; }

  // Expects `at_` at the opening brace; leaves it after the closing one.
  bool object(uint32_t node) {
    at_++;
    if (x_.nodes[node].has_aliases) {
      std::vector<uint8_t> &has_own = x_.nodes[node].has_own;
      std::memset(has_own.data(), 0, has_own.size());
    }
    if (at_ < count_ && *mark_at(at_) == '}') {
      at_++;
      return true;
    }
    for (size_t place = 0;; place++) {
      // A key, a colon, a value, and a comma or the closing brace.
      if (at_ + 3 >= count_ || *mark_at(at_) != '"') return false;
      uint32_t index = look_up(node, place, mark_at(at_) + 1);
      at_ += 2;
      if (!value(node, index)) return false;
      if (at_ >= count_) return false;
      char c = *mark_at(at_++);
      if (c == '}') return true;
      if (c != ',') return false;
    }
  }

  KAPPA_INLINE uint32_t look_up(uint32_t node, size_t place, const char *key) {
    const std::vector<Prediction> &known = x_.nodes[node].predictions;
    if (place < known.size() && known[place].fits(key)) return known[place].target;
    return look_up_slowly(x_.nodes[node], place, key);
  }

  uint32_t look_up_slowly(Node &node, size_t place, const char *key) {
    const char *close = string_end(key, last_);
    if (!close) return kNone;
    std::string text(key, static_cast<size_t>(close - key));
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

  // Expects `at_` at the value's first character; leaves it at the comma or brace after the value.
  KAPPA_INLINE bool value(uint32_t node_index, uint32_t index) {
    const char *first = mark_at(at_);
    bool is_nested = *first == '{' || *first == '[';
    if (index == kNone) {
      if (!pass(is_nested)) return false;
      if (shape_) shape_->value({}, first, value_end(first));
      return true;
    }
    Node &node = x_.nodes[node_index];
    const Target &target = node.targets[index];
    if (target.uses.size() == 1) {
      // Nearly all keys are like this: one property, and nothing inside it.
      const Use &use = target.uses.front();
      const Property &property = node.properties[use.property];
      if (property.node == kNone && node.counts(use)) {
        node.has_own[use.property] |= use.is_own;
        if (!pass(is_nested)) return false;
        const char *end = value_end(first);
        if (shape_) shape_->value(property.columns, first, end);
        for (uint32_t column : property.columns)
          is_nested ? put_nested(column, first, end) : put_scalar(column, first, end);
        return true;
      }
    }
    return value(node, target, first, is_nested);
  }

  // The same for any key.
  bool value(Node &node, const Target &target, const char *first, bool is_nested) {
    bool has_child = false;
    for (const Use &use : target.uses) {
      if (use.is_own) node.has_own[use.property] = 1;
      has_child |= node.counts(use) && node.properties[use.property].node != kNone;
    }
    if (has_child && *first == '{') return objects(node, target, first);
    if (!pass(is_nested)) return false;
    const char *end = value_end(first);
    if (shape_) shape_->value(columns(node, target), first, end);
    for (const Use &use : target.uses) {
      if (!node.counts(use)) continue;
      for (uint32_t column : node.properties[use.property].columns)
        is_nested ? put_nested(column, first, end) : put_scalar(column, first, end);
    }
    if (!has_child) return true;
    // The states of the fields inside depend on the value.
    if (shape_) shape_->is_sure = false;
    for (const Use &use : target.uses) {
      uint32_t child = node.properties[use.property].node;
      if (node.counts(use) && child != kNone)
        mark(child, *first == 'n' ? KJ_MISSING : KJ_WRONG_TYPE);
    }
    return true;
  }

  // Enters an object, once for each property that it is.
  bool objects(const Node &node, const Target &target, const char *first) {
    size_t start = at_;
    bool is_first = true;
    for (const Use &use : target.uses) {
      uint32_t child = node.properties[use.property].node;
      if (!node.counts(use) || child == kNone) continue;
      if (shape_ && is_first) note(columns(node, target), child);
      if (shape_ && !is_first) shape_->is_sure = false;
      is_first = false;
      at_ = start;
      // If the key occurs twice, nothing of the first object may remain.
      mark(child, KJ_MISSING);
      if (!object(child)) return false;
    }
    if (at_ >= count_) return false;
    const char *end = value_end(first);
    for (const Use &use : target.uses) {
      if (!node.counts(use)) continue;
      for (uint32_t column : node.properties[use.property].columns) put_nested(column, first, end);
    }
    return true;
  }

  // A shape knows only that an object is there: columns that want more get it from this walk.
  void note(const std::vector<uint32_t> &columns, uint32_t child) {
    for (uint32_t column : columns)
      if (batch_.columns[column].kind != KJ_OBJECT) shape_->is_sure = false;
    shape_->object(columns, child);
  }

  static std::vector<uint32_t> columns(const Node &node, const Target &target) {
    std::vector<uint32_t> all;
    for (const Use &use : target.uses) {
      if (!node.counts(use)) continue;
      const std::vector<uint32_t> &own = node.properties[use.property].columns;
      all.insert(all.end(), own.begin(), own.end());
    }
    return all;
  }

  // Skips a value.
  KAPPA_INLINE bool pass(bool is_nested) {
    if (is_nested) return skip() && at_ < count_;
    return ++at_ < count_;
  }

  // White space after a value is not part of it.
  KAPPA_INLINE const char *value_end(const char *first) const {
    const char *end = mark_at(at_);
    while (end > first + 1 && is_space(end[-1])) end--;
    return end;
  }

  bool skip() {
    size_t depth = 0;
    while (at_ < count_) {
      char c = *mark_at(at_++);
      if (c == '{' || c == '[') depth++;
      if ((c == '}' || c == ']') && --depth == 0) return true;
    }
    return false;
  }

  const char *first_ = nullptr;
  const char *last_ = nullptr;
  const uint32_t *marks_ = nullptr;
  size_t count_ = 0;
  size_t at_ = 0;
  // Records the event's shape; null where it is not recorded.
  Shape *shape_ = nullptr;
};

}  // namespace kappa
