// SPDX-License-Identifier: GPL-2.0-or-later
#include "benchmarks/processes.h"

#include <poll.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "harness/child.h"
#include "harness/isolation.h"
#include "harness/wait.h"

namespace netns::bench {
namespace {

int WaitFor(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

/// What a body throws, as an errno.
int Run(const std::function<void()>& body) {
  try {
    body();
    return 0;
  } catch (const LimitReached&) {
    return ENOSPC;
  } catch (const std::exception&) {
    return errno == 0 ? EIO : errno;
  }
}

}  // namespace

Family::Family()
    : begin_(SETUP_OK(Pipe())), done_(SETUP_OK(Pipe())), stay_(SETUP_OK(Pipe())) {}

void Family::Start(const std::function<void()>& body, unsigned long flags) {
  Fd pidfd;
  auto pid = ForkWithFlags(flags, &pidfd);
  if (!pid.ok()) Fail(pid.error());
  if (*pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    begin_.second.Reset();
    stay_.second.Reset();
    const unsigned char code = static_cast<unsigned char>(body ? Run(body) : 0);
    if (body) {
      [[maybe_unused]] ssize_t n = ::write(done_.second.get(), &code, 1);
    }
    char byte;
    while (::read(stay_.first.get(), &byte, 1) < 0 && errno == EINTR) {
    }
    ::_exit(0);
  }
  children_.push_back(*pid);
}

void Family::WaitForStart() const {
  char byte;
  while (::read(begin_.first.get(), &byte, 1) < 0 && errno == EINTR) {
  }
}

void Family::WaitUntilDone(int count) {
  for (int i = 0; i < count; ++i) {
    Must(netns::WaitFor(done_.first.get(), POLLIN, Deadline::OfTest(), "the processes of a benchmark"));
    unsigned char code = 0;
    Must(::read(done_.first.get(), &code, 1), "read");
    if (code != 0) Fail(Error{code, "a process of the benchmark"});
  }
}

void Family::End() {
  stay_.second.Reset();
  begin_.second.Reset();
  if (IsInterrupted())
    for (const pid_t pid : children_) ::kill(pid, SIGKILL);
  for (const pid_t pid : children_) WaitFor(pid);
  children_.clear();
}

void InChild(const std::function<int()>& body) {
  const pid_t pid = ::fork();
  if (pid < 0) Fail(ErrnoError("fork"));
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::_exit(body() & 0xff);
  }
  const int status = WaitFor(pid);
  if (!WIFEXITED(status)) throw SetupFailure("a process of the benchmark " + DescribeWaitStatus(status), std::source_location::current());
  if (const int code = WEXITSTATUS(status); code != 0) Fail(Error{code, "a process of the benchmark"});
}

void Execute(const std::vector<std::string>& words) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t pid = -1;
  const int failed = ::posix_spawn(&pid, words.front().c_str(), &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) Fail(Error{failed, "posix_spawn(" + words.front() + ")"});
  if (const int status = WaitFor(pid); !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    std::string line;
    for (const std::string& word : words) line += (line.empty() ? "" : " ") + word;
    throw SetupFailure("'" + line + "' " + DescribeWaitStatus(status), std::source_location::current());
  }
}

std::string FindProgram(const std::string& name) {
  for (const char* directory : {"/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"})
    if (::access((directory + name).c_str(), X_OK) == 0) return directory + name;
  return {};
}

}  // namespace netns::bench
