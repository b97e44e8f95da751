#include "times.hpp"

extern "C" {

kj_state kj_read_time(const char *text, size_t length, bool is_text, kj_time_unit unit,
                      int64_t *micros) {
  const char *end = text + length;
  if (is_text) return kappa::text_time(text, end, unit, *micros);
  return kappa::number_time(text, end, unit, *micros);
}

int64_t kj_timestamp_from_number(int64_t number) {
  constexpr int64_t first_micros = 100000000000000ll;
  return number < first_micros && number > -first_micros ? number * 1000 : number;
}

uint32_t kj_hash(const char *text, size_t length) {
  return kappa::text_hash_exact(text, length);
}
}
