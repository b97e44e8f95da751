// Small things that Swift cannot say: the CRC32C instruction, and system calls it does not import.
#ifndef CKAPPA_H
#define CKAPPA_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// CRC32C (Castagnoli) of `length` bytes, going on from `crc` (0 at first). Uses the processor's
// instruction where there is one.
uint32_t kappa_crc32c(uint32_t crc, const void *data, size_t length);
// The same by tables alone, for machines without the instruction and to test against.
uint32_t kappa_crc32c_portable(uint32_t crc, const void *data, size_t length);
// The CRC32C of A followed by B, from that of each and B's length.
uint32_t kappa_crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t length_b);

// Names the calling thread, for debuggers and `top`; longer names than 15 bytes are cut.
void kappa_name_thread(const char *name);
// What one thread sleeps on until another wakes it.
typedef struct kappa_wake kappa_wake;
kappa_wake *kappa_make_wake(void);
void kappa_free_wake(kappa_wake *wake);
void kappa_wake_up(kappa_wake *wake);
// Sleeps until woken; false where the time is over before. A time below zero has no end.
bool kappa_sleep(kappa_wake *wake, int64_t nanoseconds);
// A descriptor to wake a poll with: eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC).
int kappa_eventfd(void);
// Makes one file's bytes those of another without copying them, where the file system can share them.
// Returns 0, or errno.
int kappa_clone_file(int from, int to);
// copy_file_range from where both files stand.
int64_t kappa_copy_range(int from, int to, int64_t count);
// Where some bytes first stand in others; null where they do not. Takes the sum of both counts.
const void *kappa_find(const void *bytes, size_t count, const void *part, size_t part_count);
// Has the system begin to write a part of a file to the disk, without waiting for it.
void kappa_start_writing(int file, int64_t position, int64_t count);
// Keeps the calling thread, and those that it makes from now on, to one processor core.
bool kappa_keep_to_one_core(void);
// How many processor cores the calling thread may run on; at least 1.
int kappa_core_count(void);
// How many columns a terminal has; 0 where the descriptor is none.
int kappa_terminal_columns(int descriptor);

// A mark of the calling thread, 0 at first: whether a temporary file became too large.
void kappa_set_overflow(int value);
int kappa_overflow(void);

// A mark of the calling thread, 0 at first: which operation of decimals was not exact.
void kappa_set_inexact(int operation);
int kappa_inexact(void);

#endif
