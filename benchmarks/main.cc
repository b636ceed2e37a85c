// SPDX-License-Identifier: GPL-2.0-or-later
// netns-bench: runs in a user, pid, mount and network namespace of its own, so that it needs no root and leaves nothing.
#include <benchmark/benchmark.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "harness/isolation.h"

namespace {

/// Enters namespaces of our own; the kernel ends whatever is left when this process ends.
netns::Status EnterOwnWorld() {
  uid_t uid = ::geteuid();
  gid_t gid = ::getegid();
  if (::unshare(CLONE_NEWUSER) < 0) return netns::ErrnoError("unshare(CLONE_NEWUSER)");
  RETURN_IF_ERROR(netns::MapIds(uid, gid));
  if (::unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID) < 0)
    return netns::ErrnoError("unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID)");
  pid_t init = ::fork();
  if (init < 0) return netns::ErrnoError("fork");
  if (init > 0) {
    int status = 0;
    ::waitpid(init, &status, 0);
    std::_Exit(WIFEXITED(status) ? WEXITSTATUS(status) : 3);
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) return netns::ErrnoError("mount(MS_PRIVATE)");
  if (::mount("proc", "/proc", "proc", 0, nullptr) < 0) return netns::ErrnoError("mount(proc)");
  return netns::Ok();
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  if (auto entered = EnterOwnWorld(); !entered.ok()) {
    std::fprintf(stderr, "netns-bench: no namespaces to measure in: %s (allow user namespaces, or run as root)\n",
                 entered.error().ToString().c_str());
    return 3;
  }
  utsname names{};
  ::uname(&names);
  benchmark::AddCustomContext("kernel_release", names.release);
  benchmark::AddCustomContext("kernel_version", names.version);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
