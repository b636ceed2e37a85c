// SPDX-License-Identifier: GPL-2.0-or-later
// The system calls by which the caller itself changes its namespaces; where that is an Actor, see Actor::Enter().
#pragma once

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include "fixtures/actor.h"
#include "harness/assertions.h"
#include "harness/registration.h"

namespace netns {

/// setns(2); `types` 0: whatever the descriptor is of.
inline Status SetNs(int fd, int types) {
  if (::setns(fd, types) < 0) return ErrnoError("setns(" + std::to_string(fd) + ", " + std::to_string(types) + ")");
  return Ok();
}
/// unshare(2)
inline Status UnshareHere(int flags) {
  if (::unshare(flags) < 0) return ErrnoError("unshare(" + std::to_string(flags) + ")");
  return Ok();
}

inline Need PidfdSetns() {
  return Feature("setns-pidfd", "setns(2) takes a PID file descriptor (since Linux 5.8)", [] {
    Fd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
    return self.valid() && RunBriefly([&] { return SetNs(self.get(), CLONE_NEWNET); }, [] {}).code() != EINVAL;
  }, LinuxVersion{5, 8});
}

}  // namespace netns
