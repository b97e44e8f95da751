#include "CKappa.h"

#include <pthread.h>
#include <string.h>

#if defined(__aarch64__)
#include <arm_acle.h>
#include <sys/auxv.h>
#endif

// The reflected Castagnoli polynomial.
static const uint32_t kPolynomial = 0x82f63b78u;

static uint32_t tables[8][256];
// x^(2^n) modulo the polynomial, to shift a CRC over many bytes at once.
static uint32_t powers[32];
static int has_instruction;

// a × b modulo the polynomial (reflected), as in zlib's crc32_combine.
static uint32_t multiply(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (uint32_t bit = 1u << 31; bit; bit >>= 1) {
    if (a & bit) product ^= b;
    b = b & 1 ? b >> 1 ^ kPolynomial : b >> 1;
  }
  return product;
}

// The factor by which a CRC is multiplied when `length` zero bytes follow.
static uint32_t shift_factor(uint64_t length) {
  uint32_t factor = 1u << 31;
  for (unsigned k = 3; length; length >>= 1, k++)
    if (length & 1) factor = multiply(powers[k & 31], factor);
  return factor;
}

enum { kStripe = 4096 };
static uint32_t stripe_tables[2][4][256];

static void make_stripe_table(int which, uint32_t factor) {
  for (int byte = 0; byte < 4; byte++)
    for (uint32_t n = 0; n < 256; n++)
      stripe_tables[which][byte][n] = multiply(factor, n << (8 * byte));
}

static uint32_t shift_stripe(int which, uint32_t crc) {
  return stripe_tables[which][0][crc & 255] ^ stripe_tables[which][1][crc >> 8 & 255] ^
         stripe_tables[which][2][crc >> 16 & 255] ^ stripe_tables[which][3][crc >> 24];
}

static void initialize(void) {
  for (uint32_t n = 0; n < 256; n++) {
    uint32_t crc = n;
    for (int k = 0; k < 8; k++) crc = crc & 1 ? crc >> 1 ^ kPolynomial : crc >> 1;
    tables[0][n] = crc;
  }
  for (uint32_t n = 0; n < 256; n++)
    for (int k = 1; k < 8; k++)
      tables[k][n] = tables[k - 1][n] >> 8 ^ tables[0][tables[k - 1][n] & 255];
  powers[0] = 1u << 30;
  for (int n = 1; n < 32; n++) powers[n] = multiply(powers[n - 1], powers[n - 1]);
  make_stripe_table(0, shift_factor(kStripe));
  make_stripe_table(1, shift_factor(2 * kStripe));
#if defined(__x86_64__)
  has_instruction = __builtin_cpu_supports("sse4.2");
#elif defined(__aarch64__)
  has_instruction = (getauxval(AT_HWCAP) & (1 << 7)) != 0;  // HWCAP_CRC32
#endif
}

static void prepare(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, initialize);
}

uint32_t kappa_crc32c_portable(uint32_t crc, const void *data, size_t length) {
  prepare();
  const uint8_t *p = data;
  crc = ~crc;
  for (; length >= 8; length -= 8, p += 8) {
    uint64_t word;
    memcpy(&word, p, 8);
    word ^= crc;
    crc = tables[7][word & 255] ^ tables[6][word >> 8 & 255] ^ tables[5][word >> 16 & 255] ^
          tables[4][word >> 24 & 255] ^ tables[3][word >> 32 & 255] ^
          tables[2][word >> 40 & 255] ^ tables[1][word >> 48 & 255] ^ tables[0][word >> 56];
  }
  for (; length; length--) crc = tables[0][(crc ^ *p++) & 255] ^ crc >> 8;
  return ~crc;
}

#if defined(__x86_64__) || defined(__aarch64__)
#if defined(__x86_64__)
#define HARDWARE __attribute__((target("sse4.2")))
#define STEP8(crc, word) __builtin_ia32_crc32di(crc, word)
#define STEP1(crc, byte) __builtin_ia32_crc32qi((uint32_t)(crc), byte)
#else
#define HARDWARE __attribute__((target("+crc")))
#define STEP8(crc, word) __crc32cd((uint32_t)(crc), word)
#define STEP1(crc, byte) __crc32cb((uint32_t)(crc), byte)
#endif

static inline uint64_t load(const uint8_t *p) {
  uint64_t word;
  memcpy(&word, p, 8);
  return word;
}

// Three stripes at once: the instruction takes three cycles but one can start in each.
HARDWARE static uint32_t hardware(uint32_t start, const uint8_t *p, size_t length) {
  uint64_t crc = ~start;
  while (length >= 3 * kStripe) {
    uint64_t a = crc, b = 0, c = 0;
    for (size_t i = 0; i < kStripe; i += 8) {
      a = STEP8(a, load(p + i));
      b = STEP8(b, load(p + kStripe + i));
      c = STEP8(c, load(p + 2 * kStripe + i));
    }
    crc = shift_stripe(1, (uint32_t)a) ^ shift_stripe(0, (uint32_t)b) ^ (uint32_t)c;
    p += 3 * kStripe;
    length -= 3 * kStripe;
  }
  for (; length >= 8; length -= 8, p += 8) crc = STEP8(crc, load(p));
  for (; length; length--) crc = STEP1(crc, *p++);
  return ~(uint32_t)crc;
}
#endif

uint32_t kappa_crc32c(uint32_t crc, const void *data, size_t length) {
  prepare();
#if defined(__x86_64__) || defined(__aarch64__)
  if (has_instruction) return hardware(crc, data, length);
#endif
  return kappa_crc32c_portable(crc, data, length);
}

uint32_t kappa_crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t length_b) {
  prepare();
  return multiply(shift_factor(length_b), crc_a) ^ crc_b;
}
