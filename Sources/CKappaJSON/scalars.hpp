// Scalars that JSON text carries: times, hashes, integers, decimals.
#pragma once
#include <cstdint>
#include <cstring>

#include "CKappaJSON.h"

// For code that runs for every value of every event, and must not be a call.
#define KAPPA_INLINE inline __attribute__((always_inline))

namespace kappa {

KAPPA_INLINE uint64_t load8(const char *p) {
  uint64_t word;
  std::memcpy(&word, p, 8);
  return word;
}

KAPPA_INLINE uint64_t fold(uint64_t a, uint64_t b) {
  unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

constexpr uint64_t kSeed0 = 0xa0761d6478bd642full;
constexpr uint64_t kSeed1 = 0xe7037ed1a0b428dbull;

// Scans the words of a string: hashes them, and detects a backslash.
struct StringScan {
  uint64_t hash;
  uint64_t backslash;

  explicit StringScan(size_t length) : hash(kSeed0 ^ length), backslash(0) {}

  KAPPA_INLINE void word(uint64_t a, uint64_t b) {
    backslash |= has_backslash(a) | has_backslash(b);
    hash = fold(hash ^ a, b ^ kSeed1);
  }

  KAPPA_INLINE static uint64_t has_backslash(uint64_t word) {
    uint64_t x = word ^ 0x5c5c5c5c5c5c5c5cull;
    return (x - 0x0101010101010101ull) & ~x & 0x8080808080808080ull;
  }

  uint32_t result() const { return static_cast<uint32_t>(hash ^ (hash >> 32)); }
};

inline uint64_t low_bytes(uint64_t word, size_t count) {
  return count >= 8 ? word : word & ((1ull << (8 * count)) - 1);
}

// Reads up to 15 bytes past the end: only for text in a padded buffer.
KAPPA_INLINE StringScan scan_padded(const char *p, size_t length) {
  StringScan scan(length);
  while (length > 16) {
    scan.word(load8(p), load8(p + 8));
    p += 16;
    length -= 16;
  }
  // The masks of the last two words: all of the first one from length 8 on.
  static constexpr uint64_t all = ~0ull;
  uint64_t a = length >= 8 ? all : ~(all << (8 * length & 63));
  uint64_t b = length <= 8 ? 0 : all >> (8 * (16 - length));
  scan.word(load8(p) & a, load8(p + 8) & b);
  return scan;
}

inline StringScan scan_exact(const char *p, size_t length) {
  if (length % 16 == 0 && length > 0) return scan_padded(p, length);
  StringScan scan(length);
  while (length > 16) {
    scan.word(load8(p), load8(p + 8));
    p += 16;
    length -= 16;
  }
  char tail[16] = {0};
  std::memcpy(tail, p, length);
  scan.word(load8(tail), load8(tail + 8));
  return scan;
}

// The hash of a text. Texts of the same length, up to four bytes, all have different hashes: each step
// (the last ones of MurmurHash3) is invertible.
KAPPA_INLINE uint32_t text_hash(const StringScan &scan, uint32_t first_bytes, size_t length) {
  uint32_t x = first_bytes;
  x = (x ^ (x >> 16)) * 0x85ebca6bu;
  x = (x ^ (x >> 13)) * 0xc2b2ae35u;
  x ^= x >> 16;
  return length <= 4 ? x : scan.result();
}

// The first bytes of a text as a number, up to four.
KAPPA_INLINE uint32_t first_bytes_padded(const char *p, size_t length) {
  uint32_t word;
  std::memcpy(&word, p, 4);
  return length >= 4 ? word : word & ((1u << (8 * length)) - 1);
}

inline uint32_t text_hash_exact(const char *p, size_t length) {
  uint32_t word = 0;
  std::memcpy(&word, p, length < 4 ? length : 4);
  return text_hash(scan_exact(p, length), word, length);
}

inline bool is_digit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

inline bool two_digits(const char *p, int &out) {
  if (!is_digit(p[0]) || !is_digit(p[1])) return false;
  out = (p[0] - '0') * 10 + (p[1] - '0');
  return true;
}

// Days since the epoch of a date in the proleptic Gregorian calendar (Howard Hinnant).
inline int64_t days_from_civil(int64_t y, int m, int d) {
  y -= m <= 2;
  int64_t era = (y >= 0 ? y : y - 399) / 400;
  int64_t yoe = y - era * 400;
  int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
  int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
  return era * 146097 + doe - 719468;
}

// Whether an instant lies in the years 0000 to 9999, which RFC 3339 can write.
inline bool is_in_calendar(int64_t micros) {
  return micros >= -62167219200000000ll && micros <= 253402300799999999ll;
}

inline bool parse_date(const char *p, int64_t &micros) {
  int c, y, m, d;
  if (!two_digits(p, c) || !two_digits(p + 2, y) || p[4] != '-' || !two_digits(p + 5, m) ||
      p[7] != '-' || !two_digits(p + 8, d))
    return false;
  static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int year = c * 100 + y;
  if (m < 1 || m > 12 || d < 1 || d > days[m - 1]) return false;
  if (m == 2 && d == 29 && (year % 4 != 0 || (year % 100 == 0 && year % 400 != 0))) return false;
  micros = days_from_civil(year, m, d) * 86400000000ll;
  return true;
}

// Remembers the last date: logs have long runs of the same day.
struct DateCache {
  char date[10] = {'1', '9', '7', '0', '-', '0', '1', '-', '0', '1'};
  int64_t micros = 0;

  KAPPA_INLINE bool has(const char *p) const {
    uint16_t mine, other;
    std::memcpy(&mine, date + 8, 2);
    std::memcpy(&other, p + 8, 2);
    return load8(p) == load8(date) && mine == other;
  }

  bool read(const char *p) {
    if (!parse_date(p, micros)) return false;
    std::memcpy(date, p, 10);
    return true;
  }
};

// The second of the day of `hh:mm:ss`, which are the bytes of `word`.
KAPPA_INLINE bool parse_clock(uint64_t word, int64_t &second) {
  // Zeros and colons become 0, so that every byte is a digit or, if it is above 9, an error.
  uint64_t x = word ^ 0x30303a30303a3030ull;
  if (((x + 0x7676767676767676ull) | x) & 0x8080808080808080ull) return false;
  if (x & 0x0000ff0000ff0000ull) return false;
  uint64_t pairs = x * 10 + (x >> 8);
  int h = pairs & 0xff, m = pairs >> 24 & 0xff, s = pairs >> 48 & 0xff;
  second = (h * 60 + m) * 60 + s;
  return h <= 23 && m <= 59 && s <= 60;
}

// Whether the three bytes of `word` are digits, which count milliseconds; their value in microseconds.
KAPPA_INLINE bool parse_millis(uint32_t word, int64_t &micros) {
  uint32_t x = (word & 0xffffff) ^ 0x303030;
  micros = static_cast<int64_t>((x & 0xff) * 100 + (x >> 8 & 0xff) * 10 + (x >> 16)) * 1000;
  return !(((x + 0x767676) | x) & 0x808080);
}

constexpr int64_t kLastMicros = 253402300799999999ll;

// The rest of a time after its seconds: a fraction, and a Z or an offset as in RFC 3339.
inline bool parse_time_tail(const char *p, const char *end, int64_t micros, int64_t &out) {
  if (*p == '.') {
    int64_t unit = 100000;
    const char *first = ++p;
    for (; p < end && is_digit(*p); p++) {
      micros += (*p - '0') * unit;
      unit /= 10;
    }
    if (p == first || p == end) return false;
  }
  if ((*p | 0x20) == 'z') {
    out = micros;
    return p + 1 == end && micros <= kLastMicros;
  }
  if ((*p != '+' && *p != '-') || end - p != 6 || p[3] != ':') return false;
  int oh, om;
  if (!two_digits(p + 1, oh) || !two_digits(p + 4, om) || oh > 23 || om > 59) return false;
  int64_t offset = (oh * 60 + om) * 60000000ll;
  out = micros + (*p == '+' ? -offset : offset);
  return is_in_calendar(out);
}

// The date and the time of day that a text begins with, up to its seconds.
KAPPA_INLINE bool parse_local(const char *p, DateCache &cache, int64_t &micros) {
  if (!cache.has(p) && !cache.read(p)) return false;
  int64_t second;
  if ((p[10] | 0x20) != 't' && p[10] != ' ') return false;
  if (!parse_clock(load8(p + 11), second)) return false;
  micros = cache.micros + second * 1000000;
  return true;
}

// A time as in RFC 3339. What is refused here may still be a time: see `text_time`.
KAPPA_INLINE bool parse_timestamp(const char *p, size_t length, DateCache &cache, int64_t &out) {
  int64_t micros;
  if (length < 20 || !parse_local(p, cache, micros)) return false;
  // Milliseconds and a Z, as most writers put them.
  if (length == 24 && p[19] == '.' && (p[23] | 0x20) == 'z') {
    int64_t fraction;
    uint32_t digits;
    std::memcpy(&digits, p + 20, 4);
    if (!parse_millis(digits, fraction)) return false;
    out = micros + fraction;
    return out <= kLastMicros;
  }
  return parse_time_tail(p + 19, p + length, micros, out);
}

// ---- Numbers ----

// The value of a word whose bytes are digits, 0 to 9, the most significant one in the first byte.
KAPPA_INLINE uint64_t digits_value(uint64_t x) {
  x = x * 10 + (x >> 8);
  x = (x & 0x000000ff000000ffull) * (100 + (1000000ull << 32)) +
      (x >> 16 & 0x000000ff000000ffull) * (1 + (10000ull << 32));
  return x >> 32;
}

// Up to eight digits, possibly with a point among them, read without a branch for each of them.
struct ShortNumber {
  uint64_t value;
  // How many digits follow the point; 0 where there is no point.
  int scale;
  bool is_good;

  // `length` is 1 to 8; eight bytes can be read at `p`.
  KAPPA_INLINE ShortNumber(const char *p, size_t length) {
    // Moves the digits to the end of the word; the bytes before the first digit become zeros.
    int shift = static_cast<int>(8 * (8 - length));
    uint64_t word = load8(p) << shift;
    uint64_t x = word ^ 0x3030303030303030ull << shift;
    // The point, if there is one, is now 0x1e.
    uint64_t point = x ^ 0x1e1e1e1e1e1e1e1eull;
    point = (point - 0x0101010101010101ull) & ~point & 0x8080808080808080ull;
    bool has_point = point != 0;
    int place = has_point ? __builtin_ctzll(point) / 8 : 0;
    scale = has_point ? 7 - place : 0;
    // The digits before the point move over it.
    uint64_t before = has_point ? (1ull << (8 * place)) - 1 : 0;
    uint64_t through = has_point ? before << 8 | 0xff : 0;
    x = (x & ~through) | (x & before) << 8;
    value = digits_value(x);
    bool all_digits = !(((x + 0x7676767676767676ull) | x) & 0x8080808080808080ull);
    // A point has a digit before it and after it.
    is_good = all_digits && (!has_point || (scale > 0 && 8 * place > shift));
  }
};

// A JSON integer that fits 64 bits, filling the whole token. Reads up to 7 bytes past it.
KAPPA_INLINE bool parse_integer(const char *p, const char *end, int64_t &out) {
  bool negative = *p == '-';
  p += negative;
  size_t digits = static_cast<size_t>(end - p);
  if (digits == 0 || digits > 19) return false;
  uint64_t value = 0;
  if (digits <= 8) {
    ShortNumber number(p, digits);
    if (!number.is_good || number.scale != 0) return false;
    value = number.value;
  } else {
    for (; p < end; p++) {
      if (!is_digit(*p)) return false;
      value = value * 10 + static_cast<uint64_t>(*p - '0');
    }
    if (value > static_cast<uint64_t>(INT64_MAX) + negative) return false;
  }
  out = negative ? static_cast<int64_t>(0 - value) : static_cast<int64_t>(value);
  return true;
}

// A JSON number of up to 18 digits without an exponent, filling the whole token. Reads up to 7 bytes
// past it.
KAPPA_INLINE bool parse_decimal(const char *p, const char *end, int64_t &mantissa, uint8_t &scale) {
  bool negative = *p == '-';
  p += negative;
  if (end - p > 19 || p == end) return false;
  uint64_t value = 0;
  if (end - p <= 8) {
    ShortNumber number(p, static_cast<size_t>(end - p));
    if (!number.is_good) return false;
    value = number.value;
    scale = static_cast<uint8_t>(number.scale);
  } else {
    const char *point = nullptr;
    int digits = 0;
    for (; p < end; p++) {
      if (is_digit(*p)) {
        value = value * 10 + static_cast<uint64_t>(*p - '0');
        digits++;
      } else if (*p == '.' && !point && digits > 0) {
        point = p;
      } else {
        return false;
      }
    }
    if (digits > 18 || (point && point + 1 == end)) return false;
    scale = point ? static_cast<uint8_t>(end - point - 1) : 0;
  }
  mantissa = negative ? -static_cast<int64_t>(value) : static_cast<int64_t>(value);
  return true;
}

}  // namespace kappa
