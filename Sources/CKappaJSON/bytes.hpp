// Finds where strings and numbers end, many bytes at a time. Everything here reads up to KJ_PADDING
// bytes past the end that it is given, and returns null, or that end, where it finds nothing before it.
#pragma once
#include <cstdint>
#include <cstring>

#include "scalars.hpp"
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace kappa {

// Consecutive bytes that are compared at once. A mask has a bit for each byte, the lowest for the first
// one.
#if defined(__SSE2__)

class Bytes {
 public:
  static constexpr size_t kCount = 16;

  explicit Bytes(const char *p) : bytes_(_mm_loadu_si128(reinterpret_cast<const __m128i *>(p))) {}
  uint64_t equal(char c) const { return mask(_mm_cmpeq_epi8(bytes_, _mm_set1_epi8(c))); }
  // Spaces and control characters; also bytes above 127, which are harmless here: they occur only in
  // strings.
  uint64_t spaces() const { return mask(_mm_cmplt_epi8(bytes_, _mm_set1_epi8(' ' + 1))); }

 private:
  static uint64_t mask(__m128i bytes) { return static_cast<uint32_t>(_mm_movemask_epi8(bytes)); }
  __m128i bytes_;
};

#else

class Bytes {
 public:
  static constexpr size_t kCount = 8;

  explicit Bytes(const char *p) : bytes_(load8(p)) {}
  uint64_t equal(char c) const { return zeros(bytes_ ^ kOnes * static_cast<uint8_t>(c)); }
  uint64_t spaces() const { return ~mask((bytes_ & kLow) + kOnes * (0x7f - ' ')) & 0xff; }

 private:
  static constexpr uint64_t kOnes = 0x0101010101010101ull;
  static constexpr uint64_t kLow = kOnes * 0x7f;
  // The highest bit of each byte.
  static uint64_t mask(uint64_t word) { return (word >> 7 & kOnes) * 0x0102040810204080ull >> 56; }
  static uint64_t zeros(uint64_t word) { return ~mask(((word & kLow) + kLow) | word) & 0xff; }
  uint64_t bytes_;
};

#endif

inline bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

// The same for 64 bytes.
inline uint64_t equal64(const char *p, char c) {
  uint64_t mask = 0;
  for (size_t i = 0; i < 64; i += Bytes::kCount) mask |= Bytes(p + i).equal(c) << i;
  return mask;
}

inline size_t first(uint64_t mask) { return static_cast<size_t>(__builtin_ctzll(mask)); }

// The characters that are escaped, as bits; `backslashes` has all backslashes. `is_escaped` says
// whether the first character is escaped and, afterwards, whether the one after the last is.
//
// In a row of backslashes each odd one escapes and each even one is escaped: the subtraction makes a
// borrow run along each row. This is simdjson's method (John Keiser, "escape scanner").
inline uint64_t escaped(uint64_t backslashes, uint64_t &is_escaped) {
  constexpr uint64_t odd = 0xaaaaaaaaaaaaaaaaull;
  uint64_t starts = backslashes & ~is_escaped;
  uint64_t codes = (((starts << 1) | odd) - starts) ^ odd;
  uint64_t result = codes ^ (backslashes | is_escaped);
  is_escaped = (codes & backslashes) >> 63;
  return result;
}

// The closing quote of a string that is long, or has escapes.
inline const char *long_string_end(const char *p, const char *end) {
  for (uint64_t is_escaped = 0; p < end; p += 64) {
    uint64_t quotes = equal64(p, '"'), backslashes = equal64(p, '\\');
    if (backslashes | is_escaped) quotes &= ~escaped(backslashes, is_escaped);
    if (!quotes) continue;
    p += first(quotes);
    return p < end ? p : nullptr;
  }
  return nullptr;
}

// The closing quote of the string whose contents begin at `p`.
KAPPA_INLINE const char *string_end(const char *p, const char *end) {
  Bytes bytes(p);
  uint64_t quotes = bytes.equal('"');
  // The bytes before the first quote.
  uint64_t before = quotes - 1;
  if (!quotes || (bytes.equal('\\') & before)) return long_string_end(p, end);
  p += first(quotes);
  return p < end ? p : nullptr;
}

// The end of the number, or of true, false or null, that begins at `p`.
KAPPA_INLINE const char *token_end(const char *p, const char *end) {
  while (p < end) {
    Bytes bytes(p);
    uint64_t stops = bytes.equal(',') | bytes.equal('}') | bytes.equal(']') | bytes.spaces();
    if (stops) {
      p += first(stops);
      return p < end ? p : end;
    }
    p += Bytes::kCount;
  }
  return end;
}

// Just past the brace or bracket that closes the one at `p`.
inline const char *nested_end(const char *p, const char *end) {
  size_t depth = 0;
  while (p < end) {
    Bytes bytes(p);
    uint64_t marks = bytes.equal('"') | bytes.equal('{') | bytes.equal('[') | bytes.equal('}') |
                     bytes.equal(']');
    if (!marks) {
      p += Bytes::kCount;
      continue;
    }
    p += first(marks);
    if (p >= end) return nullptr;
    char c = *p++;
    if (c == '"') {
      p = string_end(p, end);
      if (!p) return nullptr;
      p++;
    } else if (c == '{' || c == '[') {
      depth++;
    } else if (--depth == 0) {
      return p;
    }
  }
  return nullptr;
}

}  // namespace kappa
