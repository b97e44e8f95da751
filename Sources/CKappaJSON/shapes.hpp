// The shapes of events. A writer puts the same keys in the same order, with the same white space, so
// the bytes between the values are the same in all of its events. Shapes, and what they mean, are
// learned from events that were parsed in full.
#pragma once
#include <cstdint>
#include <cstring>
#include <deque>
#include <string>
#include <vector>

#include "CKappaJSON.h"
#include "scalars.hpp"

namespace kappa {

constexpr uint32_t kNone = UINT32_MAX;

// The bytes between two values, from the end of the one before to the first byte of the next; or those
// that end the event.
struct Step {
  // The first eight bytes, or as many as there are, and the last eight.
  uint64_t head = 0;
  uint64_t mask = 0;
  uint64_t tail = 0;
  size_t length = 0;
  // The column that wants the value that follows, or kNone; or kSeveral, for those in `columns`.
  uint32_t column = kNone;
  bool opens_objects = false;
  bool is_last = false;
  // A step that followed this one in some event, and an alternative to this one.
  Step *next = nullptr;
  Step *other = nullptr;

  std::string text;
  std::vector<uint32_t> columns;
  // The columns that ask whether there is an object, for the objects that these bytes open.
  std::vector<uint32_t> objects;

  static constexpr uint32_t kSeveral = kNone - 1;

  Step() = default;
  explicit Step(const std::string &bytes) : length(bytes.size()), text(bytes) {
    std::memcpy(&head, text.data(), length < 8 ? length : 8);
    mask = low_bytes(~0ull, length);
    if (length >= 8) tail = load8(text.data() + length - 8);
  }

  // Reads up to 16 bytes from `p` on, and more only before `end`.
  bool fits(const char *p, const char *end) const {
    if (length < 8) return (load8(p) & mask) == head;
    if (load8(p) != head) return false;
    if (length > 16 && !fits_inside(p, end)) return false;
    return load8(p + length - 8) == tail;
  }

  bool is_same(const Step &step) const {
    return text == step.text && is_last == step.is_last && columns == step.columns &&
           objects == step.objects;
  }

 private:
  bool fits_inside(const char *p, const char *end) const {
    if (static_cast<size_t>(end - p) < length) return false;
    for (size_t i = 8; i < length - 8; i += 8)
      if (load8(p + i) != load8(text.data() + i)) return false;
    return true;
  }
};

// The bytes between the values of one event, in order.
class Shape {
 public:
  std::vector<Step> steps;
  // Whether all events with these bytes between their values mean the same.
  bool is_sure = true;

  explicit Shape(const char *event) : end_(event) {}

  void value(const std::vector<uint32_t> &columns, const char *first, const char *end) {
    add(first);
    end_ = end;
    if (columns.empty() || !is_sure) return;
    steps.back().columns = columns;
    steps.back().column = columns.size() == 1 ? columns.front() : Step::kSeveral;
  }
  // An object that the walk enters; `key` distinguishes it from others.
  void object(const std::vector<uint32_t> &columns, uint32_t key) {
    for (uint32_t seen : seen_) is_sure = is_sure && seen != key;
    seen_.push_back(key);
    objects_.insert(objects_.end(), columns.begin(), columns.end());
  }
  void last(const char *end) {
    add(end);
    if (is_sure) steps.back().is_last = true;
  }

 private:
  void add(const char *end) {
    // A shape that is not sure is never learned; and the walk enters an object that is two properties
    // twice.
    if (!is_sure) return;
    steps.emplace_back(std::string(end_, static_cast<size_t>(end - end_)));
    steps.back().objects = objects_;
    steps.back().opens_objects = !objects_.empty();
    objects_.clear();
  }

  const char *end_;
  std::vector<uint32_t> objects_;
  std::vector<uint32_t> seen_;
};

// All shapes that were learned, as a tree of steps.
class Shapes {
 public:
  // The first step of some event, or null.
  const Step *first() const { return root_.next; }

  bool is_full() const { return steps_.size() >= kMost; }

  void learn(const Shape &shape) {
    if (!shape.is_sure) return;
    Step *at = &root_;
    for (const Step &step : shape.steps) {
      Step *known = at->next;
      size_t others = 0;
      for (; known && !known->is_same(step); known = known->other) others++;
      if (known) {
        at = known;
        continue;
      }
      // Where the keys themselves are data, there is no end of shapes.
      if (is_full() || others == kMostOthers) return;
      steps_.push_back(step);
      steps_.back().other = at->next;
      at->next = &steps_.back();
      at = &steps_.back();
    }
  }

 private:
  static constexpr size_t kMost = 1000;
  static constexpr size_t kMostOthers = 16;
  Step root_;
  // A deque, since its elements never move.
  std::deque<Step> steps_;
};

}  // namespace kappa
