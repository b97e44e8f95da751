// Walks over events whose JSON was validated when they were appended, using the shapes of earlier
// events: it compares the bytes between values, skips values that nobody wants, and looks at nothing
// else.
#pragma once
#include "bytes.hpp"
#include "fields.hpp"

namespace kappa {

class LineWalk : Fields {
 public:
  LineWalk(kj_extractor &x, kj_batch &batch, const char *data, size_t length)
      : Fields(x, batch, data, length) {}

  // Reads one event that begins at `p`; null where its shape is not known.
  const char *event(const char *p, size_t number) {
    event_ = number;
    for (const Step *step = x_.shapes.first();; step = step->next) {
      while (step && !step->fits(p, end_)) step = step->other;
      if (!step) return nullptr;
      p += step->length;
      if (step->opens_objects)
        for (uint32_t column : step->objects) batch_.columns[column].states[event_] = KJ_VALUE;
      if (step->is_last) return p <= end_ ? p : nullptr;
      if (p >= end_) return nullptr;
      p = value(p, *step);
      if (!p) return nullptr;
    }
  }

 private:
  // The end of the value that begins at `first`; null where there is none.
  KAPPA_INLINE const char *value(const char *first, const Step &step) {
    const char *end;
    if (*first == '"') {
      end = string_end(first + 1, end_);
      if (!end) return nullptr;
      end++;
    } else if (*first == '{' || *first == '[') {
      end = nested_end(first, end_);
      if (!end) return nullptr;
      for (uint32_t column : step.columns) put_nested(column, first, end);
      return end;
    } else {
      end = token_end(first, end_);
      if (end == first) return nullptr;
    }
    if (step.column < Step::kSeveral) {
      put_scalar(step.column, first, end);
    } else if (step.column == Step::kSeveral) {
      for (uint32_t column : step.columns) put_scalar(column, first, end);
    }
    return end;
  }
};

}  // namespace kappa
