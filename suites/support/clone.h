// SPDX-License-Identifier: GPL-2.0-or-later
// A child by one of the bare system calls: clone(2) as fork(2) would, or clone3(2).
#pragma once

#include <linux/sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "harness/result.h"

namespace netns {

enum class Call { kClone, kClone3 };

/// Returns twice, as fork(2) does: 0 in the child, which has a copy of the memory, and its pid in the caller, who reaps it.
inline Result<pid_t> CloneBy(Call call, std::uint64_t flags) {
  long pid;
  if (call == Call::kClone3) {
    clone_args arguments{};
    arguments.flags = flags;
    arguments.exit_signal = SIGCHLD;
    pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
  } else {
    pid = ::syscall(SYS_clone, flags | SIGCHLD, nullptr, nullptr, nullptr, 0);
  }
  if (pid < 0) return ErrnoError(call == Call::kClone3 ? "clone3" : "clone");
  return static_cast<pid_t>(pid);
}

}  // namespace netns
