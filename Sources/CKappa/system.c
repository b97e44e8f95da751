#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "CKappa.h"

void kappa_name_thread(const char *name) {
  char cut[16] = {0};
  strncpy(cut, name, sizeof cut - 1);
  pthread_setname_np(pthread_self(), cut);
}

struct kappa_wake {
  sem_t semaphore;
};

kappa_wake *kappa_make_wake(void) {
  kappa_wake *wake = malloc(sizeof *wake);
  if (!wake) abort();
  sem_init(&wake->semaphore, 0, 0);
  return wake;
}

void kappa_free_wake(kappa_wake *wake) {
  sem_destroy(&wake->semaphore);
  free(wake);
}

void kappa_wake_up(kappa_wake *wake) { sem_post(&wake->semaphore); }

bool kappa_sleep(kappa_wake *wake, int64_t nanoseconds) {
  if (nanoseconds < 0) {
    while (sem_wait(&wake->semaphore) != 0) {
    }
    return true;
  }
  struct timespec end;
  clock_gettime(CLOCK_MONOTONIC, &end);
  end.tv_sec += nanoseconds / 1000000000;
  end.tv_nsec += nanoseconds % 1000000000;
  if (end.tv_nsec >= 1000000000) {
    end.tv_sec++;
    end.tv_nsec -= 1000000000;
  }
  while (sem_clockwait(&wake->semaphore, CLOCK_MONOTONIC, &end) != 0)
    if (errno == ETIMEDOUT) return false;
  return true;
}

int kappa_eventfd(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }

int kappa_clone_file(int from, int to) { return ioctl(to, FICLONE, from) == 0 ? 0 : errno; }

struct cloning {
  const char *from, *to;
  int error;
};

static void *clone_apart(void *argument) {
  struct cloning *cloning = argument;
  // POSIX ties the locks on a file to the table of open files: closing a descriptor drops those that
  // other descriptors in the same table hold, such as SQLite's. This thread gets a table of its own.
  if (unshare(CLONE_FILES) != 0) {
    cloning->error = EOPNOTSUPP;
    return NULL;
  }
  int from = open(cloning->from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (from < 0) {
    cloning->error = errno;
    return NULL;
  }
  int to = open(cloning->to, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
  cloning->error = to < 0 ? errno : kappa_clone_file(from, to);
  if (to >= 0) close(to);
  close(from);
  return NULL;
}

int kappa_clone_path(const char *from, const char *to) {
  struct cloning cloning = {from, to, 0};
  pthread_t thread;
  int error = pthread_create(&thread, NULL, clone_apart, &cloning);
  if (error != 0) return error;
  pthread_join(thread, NULL);
  return cloning.error;
}

int64_t kappa_copy_range(int from, int to, int64_t count) {
  return copy_file_range(from, NULL, to, NULL, (size_t)count, 0);
}

const void *kappa_find(const void *bytes, size_t count, const void *part, size_t part_count) {
  return memmem(bytes, count, part, part_count);
}

void kappa_start_writing(int file, int64_t position, int64_t count) {
  // Only a hint: what has to be durable is synced anyway.
  (void)sync_file_range(file, position, count, SYNC_FILE_RANGE_WRITE);
}

bool kappa_keep_to_one_core(void) {
  cpu_set_t cores, one;
  if (sched_getaffinity(0, sizeof cores, &cores) != 0) return false;
  for (int core = 0; core < CPU_SETSIZE; core++) {
    if (!CPU_ISSET(core, &cores)) continue;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    return sched_setaffinity(0, sizeof one, &one) == 0;
  }
  return false;
}

int kappa_core_count(void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  int count = CPU_COUNT(&set);
  return count > 0 ? count : 1;
}

int kappa_terminal_columns(int descriptor) {
  struct winsize size;
  return ioctl(descriptor, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

static _Thread_local int overflow;
void kappa_set_overflow(int value) { overflow = value; }
int kappa_overflow(void) { return overflow; }

static _Thread_local int inexact;
void kappa_set_inexact(int operation) { inexact = operation; }
int kappa_inexact(void) { return inexact; }
