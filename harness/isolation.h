// SPDX-License-Identifier: GPL-2.0-or-later
// The world in which one test runs: new pid, mount and network namespaces (and a user namespace where the runner is not
// root), a fresh /proc, /sys and /tmp. Its init (pid 1) does nothing but reap; when it dies the kernel kills
// everything that the test started, so that nothing can stay behind, whatever the test did.
//
//   runner ──clone──▶ init (pid 1, dies with the runner) ──fork──▶ body (pid 2): fixture, SetUp, body, TearDown
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "harness/fd.h"
#include "harness/registration.h"
#include "harness/wait.h"

namespace netns {

struct IsolationOptions {
  bool user_namespace = false;     ///< the runner is not root: everything happens below a user namespace
  bool network_namespace = true;   ///< false on a kernel without CONFIG_NET_NS
  std::string test;                ///< its name, for the process title
  std::vector<std::string> leased; ///< what LeasedResources() gives inside
  Deadline deadline = Deadline::In(std::chrono::seconds(30));
  char* wait_report = nullptr;     ///< MAP_SHARED memory for WaitingFor
  std::size_t wait_report_size = 0;
  int initial_network_namespace = -1;  ///< on a disposable machine: what InitialNetworkNamespace() gives inside
  std::vector<int> close_in_child; ///< the runner's ends of other tests' channels
};

struct IsolatedTest {
  pid_t init = -1;
  Fd pidfd;
  Fd events;  ///< the runner's end, which does not block
  Fd output;  ///< stdout and stderr of all processes of the test
};

/// Starts a test. The runner must be single-threaded.
Result<IsolatedTest> StartIsolated(const TestSpec& spec, const IsolationOptions& options);

/// In a test on a machine of the suite's own: a descriptor of the initial network namespace (the runner owns it); else -1.
int InitialNetworkNamespace();

/// Whether user namespaces can be made here: by making one. Text: which policy forbids it, where it can be told.
Status ProbeUserNamespace();

/// clone3(2)/clone(2) without a new stack, as fork(2) with flags; a pidfd comes with it.
Result<pid_t> ForkWithFlags(unsigned long flags, Fd* pidfd);

/// Inside a new user namespace: maps `inside` to the caller's own id (gid map with setgroups denied). The caller's
/// effective ids before it entered are `uid` and `gid`.
Status MapIds(uid_t uid, gid_t gid, uid_t inside = 0);

}  // namespace netns
