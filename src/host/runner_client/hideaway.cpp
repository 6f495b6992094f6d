// SPDX-License-Identifier: Apache-2.0
// A job that tries not to be found, for the tests: hideaway WAY NAME. Every process of it is called NAME, ignores
// SIGTERM and lives for ever. It prints "up" when all are there.
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <string_view>

namespace {

const char* name;

[[noreturn]] void stay() {
  prctl(PR_SET_NAME, name);
  for (;;) pause();
}

void say_up() {
  [[maybe_unused]] const auto ignored = write(1, "up\n", 3);
}

// Runs `child` in a new process; returns in the parent once the child has begun.
template <class Child>
void begin(Child child) {
  int ends[2];
  if (pipe(ends) != 0) _exit(1);
  if (fork() == 0) {
    prctl(PR_SET_NAME, name);
    close(ends[0]);
    child(ends[1]);
    stay();
  }
  close(ends[1]);
  char byte;
  if (read(ends[0], &byte, 1) < 0) _exit(1);
  close(ends[0]);
}

void orphan(int ready) {
  setsid();
  if (fork() != 0) _exit(0);
  setsid();
  prctl(PR_SET_NAME, name);
  close(ready);
  stay();
}

void* stay_as_thread(void*) {
  stay();
}

// The process lives on in its other threads after the first one has ended.
[[noreturn]] void outlive_first_thread() {
  for (int i = 0; i < 8; ++i) {
    pthread_t thread;
    pthread_create(&thread, nullptr, stay_as_thread, nullptr);
  }
  pthread_exit(nullptr);
}

void go(std::string_view way) {
  if (way == "orphans") {
    for (int i = 0; i < 5; ++i) begin(orphan);
  } else if (way == "group") {
    begin([](int ready) { setpgid(0, 0), close(ready); });
  } else if (way == "session") {  // and keeps the job's output open
    begin([](int ready) { setsid(), close(ready); });
  } else if (way == "stopped") {
    begin([](int ready) { close(ready), raise(SIGSTOP); });
    begin([](int ready) { setsid(), close(ready), raise(SIGTSTP); });
  } else if (way == "traced") {
    begin([](int ready) { ptrace(PTRACE_TRACEME), close(ready), raise(SIGSTOP); });
  } else if (way == "threads") {
    begin([](int ready) { close(ready), outlive_first_thread(); });
  } else if (way == "vfork") {
    if (vfork() == 0) {  // its parent sleeps in the kernel until it executes something: never
      say_up();
      for (;;) pause();
    }
    _exit(1);
  } else if (way == "namespace") {
    if (unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0) _exit(77);
    begin(orphan);
  } else if (way == "chain") {  // each child starts the next and ends, so there is always a newborn one
    begin([](int ready) {
      close(ready);
      for (;;) {
        if (fork() != 0) _exit(0);
        prctl(PR_SET_NAME, name);
      }
    });
  } else {
    _exit(2);
  }
}

}  // namespace

int main(int, char** argv) {
  signal(SIGTERM, SIG_IGN);
  signal(SIGTTOU, SIG_IGN);
  name = argv[2];
  prctl(PR_SET_NAME, name);
  const std::string_view way = argv[1];
  if (way == "leader") say_up(), outlive_first_thread();
  go(way);
  say_up();
  stay();
}
