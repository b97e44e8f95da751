// Scalars that JSON text carries: times, hashes, integers, decimals.
#pragma once
#include <cstdint>
#include <cstring>

#include "CKappaJSON.h"

namespace kappa {

inline uint64_t load8(const char *p) {
  uint64_t word;
  std::memcpy(&word, p, 8);
  return word;
}

inline uint64_t fold(uint64_t a, uint64_t b) {
  unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

constexpr uint64_t kSeed0 = 0xa0761d6478bd642full;
constexpr uint64_t kSeed1 = 0xe7037ed1a0b428dbull;

// Sees the words of a string: hashes them, and finds out whether there is a backslash.
struct StringScan {
  uint64_t hash;
  uint64_t backslash;

  explicit StringScan(size_t length) : hash(kSeed0 ^ length), backslash(0) {}

  void word(uint64_t a, uint64_t b) {
    backslash |= has_backslash(a) | has_backslash(b);
    hash = fold(hash ^ a, b ^ kSeed1);
  }

  static uint64_t has_backslash(uint64_t word) {
    uint64_t x = word ^ 0x5c5c5c5c5c5c5c5cull;
    return (x - 0x0101010101010101ull) & ~x & 0x8080808080808080ull;
  }

  uint32_t result() const { return static_cast<uint32_t>(hash ^ (hash >> 32)); }
};

inline uint64_t low_bytes(uint64_t word, size_t count) {
  return count >= 8 ? word : word & ((1ull << (8 * count)) - 1);
}

// Reads up to 15 bytes past the end: only for text in a padded buffer.
inline StringScan scan_padded(const char *p, size_t length) {
  StringScan scan(length);
  while (length > 16) {
    scan.word(load8(p), load8(p + 8));
    p += 16;
    length -= 16;
  }
  uint64_t b = length > 8 ? low_bytes(load8(p + 8), length - 8) : 0;
  scan.word(low_bytes(load8(p), length), b);
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

// Remembers the last date: logs have long runs of the same day.
struct DateCache {
  char date[10] = {'1', '9', '7', '0', '-', '0', '1', '-', '0', '1'};
  int64_t micros = 0;
};

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

inline bool parse_timestamp(const char *p, size_t length, DateCache &cache, int64_t &out) {
  if (length < 20) return false;
  int64_t day;
  if (std::memcmp(p, cache.date, 10) == 0) {
    day = cache.micros;
  } else {
    if (!parse_date(p, day)) return false;
    std::memcpy(cache.date, p, 10);
    cache.micros = day;
  }
  int h, m, s;
  if ((p[10] | 0x20) != 't' && p[10] != ' ') return false;
  if (!two_digits(p + 11, h) || p[13] != ':' || !two_digits(p + 14, m) || p[16] != ':' ||
      !two_digits(p + 17, s) || h > 23 || m > 59 || s > 60)
    return false;
  int64_t micros = ((h * 60 + m) * 60 + s) * 1000000ll;
  const char *end = p + length;
  p += 19;
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
    if (p + 1 != end) return false;
    out = day + micros;
    return is_in_calendar(out);
  }
  if ((*p != '+' && *p != '-') || end - p != 6 || p[3] != ':') return false;
  int oh, om;
  if (!two_digits(p + 1, oh) || !two_digits(p + 4, om) || oh > 23 || om > 59) return false;
  int64_t offset = (oh * 60 + om) * 60000000ll;
  out = day + micros + (*p == '+' ? -offset : offset);
  return is_in_calendar(out);
}

// A JSON integer that fits 64 bits, filling the whole token.
inline bool parse_integer(const char *p, const char *end, int64_t &out) {
  bool negative = *p == '-';
  p += negative;
  size_t digits = static_cast<size_t>(end - p);
  if (digits == 0 || digits > 19) return false;
  uint64_t value = 0;
  for (; p < end; p++) {
    if (!is_digit(*p)) return false;
    value = value * 10 + static_cast<uint64_t>(*p - '0');
  }
  if (value > static_cast<uint64_t>(INT64_MAX) + negative) return false;
  out = negative ? static_cast<int64_t>(0 - value) : static_cast<int64_t>(value);
  return true;
}

// A JSON number of up to 18 digits without an exponent, filling the whole token.
inline bool parse_decimal(const char *p, const char *end, int64_t &mantissa, uint8_t &scale) {
  bool negative = *p == '-';
  p += negative;
  if (end - p > 19 || p == end) return false;
  int64_t value = 0;
  const char *point = nullptr;
  int digits = 0;
  for (; p < end; p++) {
    if (is_digit(*p)) {
      value = value * 10 + (*p - '0');
      digits++;
    } else if (*p == '.' && !point && digits > 0) {
      point = p;
    } else {
      return false;
    }
  }
  if (digits == 0 || digits > 18 || (point && point + 1 == end)) return false;
  mantissa = negative ? -value : value;
  scale = point ? static_cast<uint8_t>(end - point - 1) : 0;
  return true;
}

}  // namespace kappa
