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
// The same for a file that this process may have locks on: it keeps them.
int kappa_clone_path(const char *from, const char *to);
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

// What a thread does for a version of a view just now, so that it is known what a crash is due to. In a
// file of the version's own it outlives the process.
typedef struct {
  // What the file is, and which program wrote it.
  uint64_t format;
  uint64_t program;
  // Which start of the program; stays the same when it starts itself again.
  uint64_t run;
  // The events at hand.
  uint64_t first;
  uint64_t end;
  uint32_t stage;
  // Whether it was known that the next event may crash.
  uint32_t is_alone;
  // The signal that a crash came as; 0 if there was none.
  uint32_t signal;
  // Whether it is in a file.
  uint32_t is_kept;
  // What the work is for, ended by NUL.
  char name[96];
} kappa_crash_mark;

// The calling thread works on some events from now on: what crashes is noted in the mark.
void kappa_crash_enter(kappa_crash_mark *mark, uint32_t stage, uint64_t first, uint64_t end);
void kappa_crash_leave(void);
// The two marks in a file that has room for them: of what is being done, and of the last crash; NULL where it cannot be mapped.
kappa_crash_mark *kappa_crash_map(int file);
void kappa_crash_unmap(kappa_crash_mark *mark);
// Keeps the calling thread's signal mask for the program that starts again.
void kappa_crash_keep_mask(void);
// After a crash that a mark knows of the program starts itself again, with these words and variables.
// `notice_variable`, such as `NAME=…`, is a further variable: crashes that no file knows of are added to it.
void kappa_crash_allow_restart(const char *const *words, const char *const *environment,
                               const char *notice_variable);
void kappa_crash_forbid_restart(void);
// The program that starts again has this file still open, with the locks on it, up to a few hundred of them.
void kappa_crash_keep_file(int file);
// To be called before a kept file is closed.
void kappa_crash_drop_file(int file);

#endif
