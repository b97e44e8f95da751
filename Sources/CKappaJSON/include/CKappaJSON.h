// JSON for kappa: validation of whole lines by simdjson, and extraction of chosen fields from a block
// of newline-separated objects into columns.
#ifndef CKAPPAJSON_H
#define CKAPPAJSON_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Every buffer passed to kj_validate_ndjson or the extraction has this many readable bytes after its
// end.
enum { KJ_PADDING = 64 };

// ---- Scalars ----

typedef enum kj_state {
  KJ_MISSING = 0,
  KJ_NULL = 1,
  KJ_VALUE = 2,
  KJ_WRONG_TYPE = 3,
  // Only of KJ_TIMESTAMP: why it is not a time. `integers` has what it would be.
  KJ_EARLY = 4,     // a number of no unit, before 1990
  KJ_ZONELESS = 5,  // a text without a zone: its local time, as if it were UTC
  KJ_BEYOND = 6,    // not in the years 0000 to 9999
  KJ_UNITLESS = 7,  // a text of digits, where the field has no unit
} kj_state;

// The unit of a number that is read as a time, since 1970.
typedef enum kj_time_unit {
  KJ_NO_UNIT,        // milliseconds below 10^14, microseconds from there on; from 1990 on
  KJ_NO_UNIT_EARLY,  // the same, of any year
  KJ_SECONDS,
  KJ_MILLISECONDS,
  KJ_MICROSECONDS,
  KJ_NANOSECONDS,
} kj_time_unit;

// Reads a time from the unescaped contents of a string, or from a number's text; reads no byte past its
// end.
kj_state kj_read_time(const char *text, size_t length, bool is_text, kj_time_unit unit,
                      int64_t *micros);

// A number as events carry it: milliseconds below 10^14, microseconds from there on.
int64_t kj_timestamp_from_number(int64_t number);
// The hash that string columns carry; reads no byte past the end. Texts of the same length, up to four
// bytes, are the same if their hashes are.
uint32_t kj_hash(const char *text, size_t length);

// Prefetches the cache line at an address that will be needed soon.
static inline void kj_prefetch(const void *address) { __builtin_prefetch(address, 1, 3); }

// ---- Validation ----

// The byte offset of the first line that is not certainly one JSON object (blank lines are accepted),
// or `length` if all are. A line that this cannot confirm may still be valid: a slower validator
// decides.
size_t kj_validate_ndjson(const char *data, size_t length);

// ---- Extraction ----

typedef enum kj_kind {
  KJ_BOOL,       // integers: 0 or 1
  KJ_INTEGER,    // integers
  KJ_DOUBLE,     // doubles
  KJ_STRING,     // strings
  KJ_TIMESTAMP,  // integers: microseconds
  KJ_DECIMAL,    // integers: mantissa, with scales; for scale KJ_WIDE, see below
  KJ_JSON,       // strings: the value's JSON text
  KJ_OBJECT,     // nothing: only whether there is an object
} kj_kind;

// A decimal with this scale does not fit 18 digits: `strings` has its text.
enum { KJ_WIDE = 255 };

// UTF-8 bytes, unescaped, valid as long as the batch and the block it was extracted from.
typedef struct kj_string {
  const char *data;
  uint32_t length;
  uint32_t hash;
} kj_string;

// One field of every event of a batch. Only the arrays that are named with the kind exist.
typedef struct kj_column {
  kj_kind kind;
  uint8_t *states;  // kj_state
  int64_t *integers;
  double *doubles;
  kj_string *strings;
  uint8_t *scales;
} kj_column;

typedef struct kj_extractor kj_extractor;
typedef struct kj_batch kj_batch;

kj_extractor *kj_extractor_new(void);
void kj_extractor_free(kj_extractor *);
// An extractor with the same fields, for another thread.
kj_extractor *kj_extractor_copy(const kj_extractor *);
// Adds an object inside `parent` (0 is the event itself); returns its node. The first of `names` is its
// own name: where an object has that key, the other names are ignored; where it does not, the last key
// that is one of them counts.
uint32_t kj_add_object(kj_extractor *, uint32_t parent, const char *const *names, size_t count);
// Adds a field inside `parent`; returns the index of its column. `unit` is the unit of its numbers, for
// KJ_TIMESTAMP.
uint32_t kj_add_field(kj_extractor *, uint32_t parent, const char *const *names, size_t count,
                      kj_kind kind, kj_time_unit unit);

kj_batch *kj_batch_new(const kj_extractor *);
void kj_batch_free(kj_batch *);
kj_column kj_batch_column(const kj_batch *, uint32_t index);
// Where each event begins, as a byte offset into the data; one more entry than events.
const uint32_t *kj_batch_starts(const kj_batch *);

// Extracts the `count` events of `data`: JSON objects, one after another, that were validated before.
// Returns false where the walk over them does not end where the data does; it does not notice other
// faults in the JSON.
bool kj_extract(kj_extractor *, const char *data, size_t length, size_t count, kj_batch *);
// The same for any text, with the first stage of simdjson, which finds the structure and checks UTF-8.
bool kj_extract_checked(kj_extractor *, const char *data, size_t length, size_t count, kj_batch *);
// Whether the extraction finds one event in a line.
bool kj_is_readable(const char *data, size_t length);

#ifdef __cplusplus
}
#endif
#endif
