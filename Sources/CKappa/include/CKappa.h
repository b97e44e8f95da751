// Small things that Swift cannot express: the CRC32C instruction, and system calls it does not import.
#ifndef CKAPPA_H
#define CKAPPA_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// CRC32C (Castagnoli) of `length` bytes, continued from `crc` (0 at first). Uses the processor's
// instruction where there is one.
uint32_t kappa_crc32c(uint32_t crc, const void *data, size_t length);
// The same with tables only, for machines without the instruction and to test against.
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
// Sleeps until woken; false on a timeout. With a negative time it waits without limit.
bool kappa_sleep(kappa_wake *wake, int64_t nanoseconds);
// A descriptor to wake a poll with: eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC).
int kappa_eventfd(void);
// Gives one file the bytes of another without copying them, where the file system can share them.
// Returns 0, or errno.
int kappa_clone_file(int from, int to);
// The same for a file that this process may hold locks on: it keeps them.
int kappa_clone_path(const char *from, const char *to);
// copy_file_range from the current positions of both files.
int64_t kappa_copy_range(int from, int to, int64_t count);
// Where some bytes first occur in others; null where they do not. Takes time in proportion to the sum
// of both counts.
const void *kappa_find(const void *bytes, size_t count, const void *part, size_t part_count);
// Makes the system start writing a part of a file to the disk, without waiting for it.
void kappa_start_writing(int file, int64_t position, int64_t count);
// Pins the calling thread, and those that it starts from now on, to one processor core.
bool kappa_keep_to_one_core(void);
// How many processor cores the calling thread may run on; at least 1.
int kappa_core_count(void);
// How many columns a terminal has; 0 where the descriptor is not one.
int kappa_terminal_columns(int descriptor);

// A flag of the calling thread, 0 at first: whether a temporary file became too large.
void kappa_set_overflow(int value);
int kappa_overflow(void);

// A flag of the calling thread, 0 at first: which operation on decimals was not exact.
void kappa_set_inexact(int operation);
int kappa_inexact(void);

// What a thread is doing for a version of a view, so that the cause of a crash is known. In a file
// beside the version it outlives the process.
typedef struct {
  // The format of the file, and which program wrote it.
  uint64_t format;
  uint64_t program;
  // Identifies the start of the program; stays the same when the program restarts itself.
  uint64_t run;
  // The events being processed, from `first` up to before `end`.
  uint64_t first;
  uint64_t end;
  uint32_t stage;
  // Whether the events are retried with this version alone, after a first crash.
  uint32_t is_alone;
  // The signal of a crash; 0 if there was none.
  uint32_t signal;
  // Whether it is in a file.
  uint32_t is_kept;
  // What the work is for, NUL-terminated.
  char name[96];
} kappa_crash_mark;

// From now on the calling thread works on some events: a crash is noted in the mark.
void kappa_crash_enter(kappa_crash_mark *mark, uint32_t stage, uint64_t first, uint64_t end);
void kappa_crash_leave(void);
// Maps the two marks in a file that has room for them: the current work, and the last crash. NULL where
// it cannot be mapped.
kappa_crash_mark *kappa_crash_map(int file);
void kappa_crash_unmap(kappa_crash_mark *mark);
// Saves the calling thread's signal mask for the restarted program.
void kappa_crash_keep_mask(void);
// After a crash that a mark records, the program restarts itself with these arguments and environment
// variables. `notice_variable`, such as `NAME=…`, is one more variable: crashes that no file records
// are added to it.
void kappa_crash_allow_restart(const char *const *words, const char *const *environment,
                               const char *notice_variable);
void kappa_crash_forbid_restart(void);
// The restarted program still has this file open, with the locks on it. There may be up to a few
// hundred such files.
void kappa_crash_keep_file(int file);
// Call this before a kept file is closed.
void kappa_crash_drop_file(int file);

#endif
