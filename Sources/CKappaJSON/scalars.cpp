#include "scalars.hpp"

extern "C" {

bool kj_parse_timestamp(const char *text, size_t length, int64_t *result) {
  kappa::DateCache cache;
  return kappa::parse_timestamp(text, length, cache, *result);
}

int64_t kj_timestamp_from_number(int64_t number) {
  constexpr int64_t first_micros = 100000000000000ll;
  return number < first_micros && number > -first_micros ? number * 1000 : number;
}

uint32_t kj_hash(const char *text, size_t length) {
  return kappa::text_hash_exact(text, length);
}
}
