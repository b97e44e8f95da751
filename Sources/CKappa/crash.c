#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "CKappa.h"

// The signals that end a process whose view code has brought it into an impossible state.
static const int fatal[] = {SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGABRT};
enum { FATAL_COUNT = sizeof fatal / sizeof fatal[0] };
static struct sigaction previous[FATAL_COUNT];
static pthread_once_t installed = PTHREAD_ONCE_INIT;

static _Thread_local kappa_crash_mark *volatile current;

// MARK: Restarting

static char **arguments;
static char **variables;
static char *notices;
static size_t notices_length;
enum { NOTICES_SIZE = 8192 };
static sigset_t first_mask;
// Whether a crash restarts the program, whether a restart is under way, and whether one has failed.
static atomic_bool may_restart, is_restarting, has_failed;

void kappa_crash_keep_mask(void) { pthread_sigmask(SIG_SETMASK, NULL, &first_mask); }

void kappa_crash_forbid_restart(void) { atomic_store(&may_restart, false); }

// Files that stay open when the program restarts, each as its descriptor plus 1; 0 is a free slot.
enum { KEPT_COUNT = 512 };
static atomic_int kept[KEPT_COUNT];

void kappa_crash_keep_file(int file) {
  for (int index = 0; index < KEPT_COUNT; index++) {
    int none = 0;
    if (atomic_compare_exchange_strong(&kept[index], &none, file + 1)) return;
  }
}

void kappa_crash_drop_file(int file) {
  for (int index = 0; index < KEPT_COUNT; index++) {
    int own = file + 1;
    if (atomic_compare_exchange_strong(&kept[index], &own, 0)) return;
  }
}

static void leave_kept_files_open(void) {
  for (int index = 0; index < KEPT_COUNT; index++) {
    int file = atomic_load(&kept[index]) - 1;
    if (file >= 0) fcntl(file, F_SETFD, 0);
  }
}

static char **copied(const char *const *words, size_t room) {
  size_t count = 0;
  while (words[count]) count++;
  char **copy = calloc(count + room + 1, sizeof *copy);
  for (size_t index = 0; copy && index < count; index++) copy[index] = strdup(words[index]);
  return copy;
}

void kappa_crash_allow_restart(const char *const *words, const char *const *environment,
                               const char *notice_variable) {
  arguments = copied(words, 0);
  variables = copied(environment, 1);
  notices = calloc(1, NOTICES_SIZE);
  if (!arguments || !variables || !notices) return;
  notices_length = strnlen(notice_variable, NOTICES_SIZE / 2);
  memcpy(notices, notice_variable, notices_length);
  size_t count = 0;
  while (variables[count]) count++;
  variables[count] = notices;
  atomic_store(&may_restart, true);
}

static void add_text(const char *text, size_t length) {
  for (size_t index = 0; index < length && text[index]; index++) {
    if (notices_length + 1 < NOTICES_SIZE) notices[notices_length++] = text[index];
  }
}

// Writes a number's digits, up to 20, and returns where they end.
static size_t digits_of(uint64_t number, char *text, size_t at) {
  char digits[20];
  size_t first = sizeof digits;
  do digits[--first] = (char)('0' + number % 10);
  while ((number /= 10) != 0);
  memcpy(text + at, digits + first, sizeof digits - first);
  return at + sizeof digits - first;
}

static void add_number(uint64_t number) {
  char text[20];
  add_text(text, digits_of(number, text, 0));
  add_text(" ", 1);
}

// Adds `signal stage alone first end name;` for the next start.
static void note(const kappa_crash_mark *mark) {
  add_number(mark->signal);
  add_number(mark->stage);
  add_number(mark->is_alone);
  add_number(mark->first);
  add_number(mark->end);
  add_text(mark->name, sizeof mark->name);
  add_text(";", 1);
}

// Replaces this process by a new run of the same program: same process ID, same parent, same standard
// files.
static void restart(const kappa_crash_mark *mark) {
  if (!atomic_load(&may_restart) || atomic_load(&has_failed)) return;
  // Another thread is crashing, too: this one must not end the process before that one is done.
  while (atomic_exchange(&is_restarting, true)) {
    if (atomic_load(&has_failed)) return;
    usleep(1000);
  }
  if (!mark->is_kept) note(mark);
  static const char said[] = "kappa: the code of a view has crashed; starting again\n";
  (void)!write(STDERR_FILENO, said, sizeof said - 1);
  leave_kept_files_open();
  pthread_sigmask(SIG_SETMASK, &first_mask, NULL);
  execve("/proc/self/exe", arguments, variables);
  atomic_store(&has_failed, true);
}

// Reports what ends the process, where it does not restart.
static void report(const kappa_crash_mark *mark) {
  size_t length = 0;
  while (length < sizeof mark->name && mark->name[length] && mark->name[length] != '=') length++;
  char line[256];
  size_t at = 0;
  const char *parts[] = {"kappa: the code of view ", mark->name, " has crashed"};
  const size_t lengths[] = {24, length, 12};
  for (int part = 0; part < 3; part++) {
    memcpy(line + at, parts[part], lengths[part]);
    at += lengths[part];
  }
  if (mark->end > mark->first) {
    memcpy(line + at, " on the events from offset ", 27);
    at = digits_of(mark->first, line, at + 27);
    memcpy(line + at, " up to before ", 14);
    at = digits_of(mark->end, line, at + 14);
  }
  line[at++] = '\n';
  (void)!write(STDERR_FILENO, line, at);
}

// MARK: Handling

static void handle(int number, siginfo_t *info, void *context);

static bool is_ours(const struct sigaction *action) {
  return (action->sa_flags & SA_SIGINFO) && action->sa_sigaction == handle;
}

// Whether a handler that was installed earlier has made it safe for the thread to continue.
static bool chain(int number, siginfo_t *info, void *context) {
  const struct sigaction *old = NULL;
  for (int index = 0; index < FATAL_COUNT; index++) {
    if (fatal[index] == number) old = &previous[index];
  }
  if (!old) return false;
  bool takes_info = old->sa_flags & SA_SIGINFO;
  if (!takes_info && (old->sa_handler == SIG_DFL || old->sa_handler == SIG_IGN)) return false;
  // It runs with only those signals blocked that it asked for: Swift's backtrace reads memory that may
  // not be mapped, and has to catch the faults that follow.
  sigset_t asked = old->sa_mask, blocked;
  if (!(old->sa_flags & SA_NODEFER)) sigaddset(&asked, number);
  pthread_sigmask(SIG_SETMASK, &asked, &blocked);
  if (takes_info) {
    old->sa_sigaction(number, info, context);
  } else {
    old->sa_handler(number);
  }
  pthread_sigmask(SIG_SETMASK, &blocked, NULL);
  struct sigaction now;
  // A handler that means the process to end has removed this one.
  return sigaction(number, NULL, &now) == 0 && is_ours(&now);
}

static void handle(int number, siginfo_t *info, void *context) {
  int error = errno;
  kappa_crash_mark *mark = current;
  // A signal from another process says nothing about the code that runs here.
  bool is_crash = info->si_code > 0 || info->si_pid == getpid();
  if (!is_crash || (mark && mark->signal)) mark = NULL;
  if (mark) mark->signal = (uint32_t)number;
  // After the first crash somebody may want to see the stack, which takes a debugger seconds to print.
  // The crashes that only narrow it down are at the same place.
  bool is_known = mark && mark->is_alone && atomic_load(&may_restart);
  if (!is_known && chain(number, info, context)) {
    if (mark) mark->signal = 0;
    errno = error;
    return;
  }
  if (mark) {
    restart(mark);
    report(mark);
  }
  // The instruction runs again, or the signal is raised again, and ends the process as if this handler
  // did not exist.
  signal(number, SIG_DFL);
  if (info->si_code <= 0) raise(number);
  errno = error;
}

static void install(void) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigfillset(&action.sa_mask);
  for (int index = 0; index < FATAL_COUNT; index++) {
    sigaction(fatal[index], &action, &previous[index]);
  }
}

// MARK: Stacks

enum { STACK_SIZE = 1 << 16 };
static pthread_key_t stack_key;
static pthread_once_t stack_once = PTHREAD_ONCE_INIT;
static _Thread_local bool has_stack;

static void end_stack(void *stack) {
  stack_t none = {.ss_flags = SS_DISABLE};
  sigaltstack(&none, NULL);
  munmap(stack, STACK_SIZE);
}

static void make_key(void) { pthread_key_create(&stack_key, end_stack); }

// A thread that has overflowed its stack needs another one for the handler.
static void prepare_thread(void) {
  has_stack = true;
  pthread_once(&installed, install);
  pthread_once(&stack_once, make_key);
  stack_t old;
  if (sigaltstack(NULL, &old) != 0 || !(old.ss_flags & SS_DISABLE)) return;
  void *memory = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (memory == MAP_FAILED) return;
  stack_t stack = {.ss_sp = memory, .ss_size = STACK_SIZE};
  if (sigaltstack(&stack, NULL) == 0) {
    pthread_setspecific(stack_key, memory);
  } else {
    munmap(memory, STACK_SIZE);
  }
}

// MARK: Marking

void kappa_crash_enter(kappa_crash_mark *mark, uint32_t stage, uint64_t first, uint64_t end) {
  if (!has_stack) prepare_thread();
  mark->stage = stage;
  mark->first = first;
  mark->end = end;
  atomic_signal_fence(memory_order_seq_cst);
  current = mark;
}

void kappa_crash_leave(void) { current = NULL; }

kappa_crash_mark *kappa_crash_map(int file) {
  void *memory =
      mmap(NULL, 2 * sizeof(kappa_crash_mark), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

void kappa_crash_unmap(kappa_crash_mark *mark) { munmap(mark, 2 * sizeof *mark); }
