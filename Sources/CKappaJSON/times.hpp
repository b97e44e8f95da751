// Times as events spell them: RFC 3339 and what is close to it, and numbers with a unit. scalars.hpp
// reads the spellings that most events have; the code here is slower, and says why a text is not a
// time.
#pragma once
#include "scalars.hpp"

namespace kappa {

constexpr int64_t kFirstMicros = -62167219200000000ll;
// 1990-01-01: an earlier number without a unit most likely counts seconds.
constexpr int64_t kEarliestOfNoUnit = 631152000000000ll;

// Judges the instant that a number means, with or without a unit.
KAPPA_INLINE kj_state judged_time(int64_t micros, kj_time_unit unit, int64_t &out) {
  out = micros;
  if (!is_in_calendar(micros)) return KJ_BEYOND;
  return unit == KJ_NO_UNIT && micros < kEarliestOfNoUnit ? KJ_EARLY : KJ_VALUE;
}

KAPPA_INLINE kj_state integer_time(int64_t number, kj_time_unit unit, int64_t &out) {
  constexpr int64_t first_micros = 100000000000000ll;
  int64_t micros = number;
  switch (unit) {
    case KJ_NO_UNIT:
    case KJ_NO_UNIT_EARLY:
      if (number < first_micros && number > -first_micros) micros = number * 1000;
      break;
    case KJ_SECONDS:
      if (__builtin_mul_overflow(number, 1000000ll, &micros)) return KJ_BEYOND;
      break;
    case KJ_MILLISECONDS:
      if (__builtin_mul_overflow(number, 1000ll, &micros)) return KJ_BEYOND;
      break;
    case KJ_MICROSECONDS: break;
    // Anything finer than a microsecond is cut off, as from a fraction: towards the past.
    case KJ_NANOSECONDS: micros = number / 1000 - (number % 1000 < 0); break;
  }
  return judged_time(micros, unit, out);
}

// A JSON number's value times a power of ten, rounded down; false where it is not a number. A very
// large value becomes some number beyond the calendar.
inline bool scaled_number(const char *p, const char *end, int power, int64_t &out) {
  constexpr int64_t beyond = INT64_MAX / 2;
  bool negative = p < end && *p == '-';
  p += negative;
  if (p == end || !is_digit(*p) || (*p == '0' && end - p > 1 && is_digit(p[1]))) return false;
  unsigned __int128 value = 0;
  int64_t exponent = power;
  bool has_rest = false;
  auto digit = [&](char c, bool is_fraction) {
    if (value < static_cast<unsigned __int128>(1) << 100) {
      value = value * 10 + static_cast<unsigned>(c - '0');
      exponent -= is_fraction;
    } else {
      has_rest |= c != '0';
      exponent += !is_fraction;
    }
  };
  while (p < end && is_digit(*p)) digit(*p++, false);
  if (p < end && *p == '.') {
    const char *first = ++p;
    while (p < end && is_digit(*p)) digit(*p++, true);
    if (p == first) return false;
  }
  if (p < end && (*p | 0x20) == 'e') {
    p++;
    bool is_small = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) p++;
    if (p == end || !is_digit(*p)) return false;
    int64_t written = 0;
    for (; p < end && is_digit(*p); p++)
      if (written < 1000000000) written = written * 10 + (*p - '0');
    exponent += is_small ? -written : written;
  }
  if (p != end) return false;
  for (; exponent > 0 && value != 0 && value <= static_cast<uint64_t>(beyond); exponent--)
    value *= 10;
  for (; exponent < 0 && value != 0; exponent++) {
    has_rest |= value % 10 != 0;
    value /= 10;
  }
  if (value > static_cast<uint64_t>(beyond)) value = beyond;
  int64_t whole = static_cast<int64_t>(value);
  out = negative ? -whole - has_rest : whole;
  return true;
}

// The time that a number means, however it is written: 1709284200.5, 1.7e9.
inline kj_state number_time(const char *p, const char *end, kj_time_unit unit, int64_t &out) {
  int64_t micros = 0;
  int power = unit == KJ_SECONDS ? 6 : unit == KJ_NANOSECONDS ? -3 : unit == KJ_MICROSECONDS ? 0 : 3;
  if (!scaled_number(p, end, power, micros)) return KJ_WRONG_TYPE;
  if (unit == KJ_NO_UNIT || unit == KJ_NO_UNIT_EARLY) {
    constexpr int64_t first_micros = 100000000000000000ll;
    if (micros >= first_micros || micros <= -first_micros)
      if (!scaled_number(p, end, 0, micros)) return KJ_WRONG_TYPE;
  }
  return judged_time(micros, unit, out);
}

// The end of the zone in brackets that RFC 9557 adds to a time, as Java's ZonedDateTime writes it; the
// offset before it decides. Null where there is something else.
inline const char *zone_tag_end(const char *p, const char *end) {
  if (p == end || *p != '[') return nullptr;
  const char *first = ++p;
  while (p < end && (is_digit(*p) || ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z') || *p == '/' ||
                     *p == '_' || *p == '-' || *p == '+'))
    p++;
  return p > first && p < end && *p == ']' ? p + 1 : nullptr;
}

// The time that a text means: RFC 3339, also with a comma before the fraction or an offset such as
// +0100 or +01; or, where the field has a unit, a number. `KJ_ZONELESS`: `out` is the local time, as if
// it were UTC.
inline kj_state text_time(const char *p, const char *end, kj_time_unit unit, int64_t &out) {
  DateCache cache;
  int64_t micros;
  if (end - p < 19 || !parse_local(p, cache, micros)) {
    bool has_unit = unit != KJ_NO_UNIT && unit != KJ_NO_UNIT_EARLY;
    kj_state state = number_time(p, end, has_unit ? unit : KJ_MICROSECONDS, out);
    return state == KJ_WRONG_TYPE || has_unit ? state : KJ_UNITLESS;
  }
  p += 19;
  if (p < end && (*p == '.' || *p == ',')) {
    int64_t digit = 100000;
    const char *first = ++p;
    for (; p < end && is_digit(*p); p++) {
      micros += (*p - '0') * digit;
      digit /= 10;
    }
    if (p == first) return KJ_WRONG_TYPE;
  }
  out = micros;
  if (p == end) return is_in_calendar(micros) ? KJ_ZONELESS : KJ_BEYOND;
  if ((*p | 0x20) == 'z') {
    p++;
  } else {
    if (*p != '+' && *p != '-') return KJ_WRONG_TYPE;
    bool is_ahead = *p == '+';
    int hours, minutes = 0;
    if (end - p < 3 || !two_digits(p + 1, hours)) return KJ_WRONG_TYPE;
    p += 3;
    bool has_colon = p < end && *p == ':';
    if (end - p >= 2 + has_colon && *p != '[') {
      if (!two_digits(p + has_colon, minutes)) return KJ_WRONG_TYPE;
      p += 2 + has_colon;
    }
    if (hours > 23 || minutes > 59) return KJ_WRONG_TYPE;
    int64_t offset = (hours * 60 + minutes) * 60000000ll;
    out = micros + (is_ahead ? -offset : offset);
  }
  if (p != end && zone_tag_end(p, end) != end) return KJ_WRONG_TYPE;
  return is_in_calendar(out) ? KJ_VALUE : KJ_BEYOND;
}

}  // namespace kappa
