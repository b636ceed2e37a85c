// SPDX-License-Identifier: GPL-2.0-or-later
// A forked child of a test that reports what its expectations found to the runner, as if they had failed in the body:
// same file and line, message and fatality, skips with their reason, recorded properties.
#pragma once

#include <functional>
#include <string>

#include "harness/fd.h"
#include "harness/wait.h"

namespace netns {

/// Runs `body` in the calling process with all of GoogleTest's results sent over the event channel, whatever it throws
/// told, and `where` in front of each. Returns the exit status for the process: 0 when it ended as it should.
int RunReported(const std::string& where, const std::function<void()>& body);

/// A forked process with a name. Its memory is a copy: use an Actor (fixtures/actor.h) where values must come back.
class Child {
 public:
  /// Forks and runs `body`; the child ends with it. `flags` are clone(2) flags such as CLONE_NEWNET.
  static Child Start(std::string name, std::function<void()> body, unsigned long flags = 0);
  Child(Child&&) = default;
  Child& operator=(Child&&) = delete;
  /// Kills and reaps the child if nobody joined it.
  ~Child();

  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }
  /// Waits for the child's end and reaps it; a crash or a non-zero exit is an Error (ECHILD) that says which.
  Status Join(Deadline deadline = Deadline::OfTest());
  /// Sends a signal.
  Status Signal(int signal);

 private:
  Child(std::string name, pid_t pid, Fd pidfd) : name_(std::move(name)), pid_(pid), pidfd_(std::move(pidfd)) {}
  std::string name_;
  pid_t pid_;
  Fd pidfd_;
};

/// "exited with status 3", "was killed by SIGSEGV".
std::string DescribeWaitStatus(int status);

}  // namespace netns
