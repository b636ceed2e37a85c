// SPDX-License-Identifier: GPL-2.0-or-later
#include "benchmarks/world.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <optional>

#include "benchmarks/crowd.h"
#include "harness/child.h"
#include "harness/isolation.h"

namespace netns::bench {
namespace {

bool disposable = false;
std::optional<NetNamespace> initial;

volatile std::sig_atomic_t worker = 0;
volatile std::sig_atomic_t signals = 0;

/// The supervisor's: the first signal asks, the second one does not.
void PassOn(int) {
  signals = signals + 1;
  if (worker > 0) ::kill(worker, signals > 1 ? SIGKILL : SIGTERM);
}

void Handle(int signal, void (*handler)(int)) {
  struct sigaction action{};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;
  ::sigaction(signal, &action, nullptr);
}

/// Thousands of namespaces are as many descriptors.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

Status EnterWorld(uid_t uid, gid_t gid) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::setsid();  // a terminal's ^C goes to the supervisor alone
  Handle(SIGTERM, [](int) { SetInterrupted(); });
  Handle(SIGINT, SIG_IGN);
  if (!disposable) {
    // The ids are mapped before the network namespace is made: otherwise its files would belong to the overflow id.
    RETURN_IF_ERROR(MapIds(uid, gid));
  }
  if (::unshare(CLONE_NEWNET) < 0) return ErrnoError("unshare(CLONE_NEWNET)");
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) return ErrnoError("mount(MS_PRIVATE)");
  if (::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) < 0) return ErrnoError("mount(proc)");
  // ip-netns(8) keeps its names there.
  if (::mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, nullptr) < 0) return ErrnoError("mount(tmpfs)");
  return Ok();
}

/// Says whether the kernel is done with all that the worker had.
void AwaitFreeing(bool say) {
  try {
    SetTestDeadline(Deadline::In(std::chrono::seconds(60)));
    Crowd().PassFence();
    if (say) std::fprintf(stderr, "netns-bench: all network namespaces are freed\n");
  } catch (const MissingNeed&) {
    // No user namespace to ask in; then there was no crowd either.
  } catch (const std::exception&) {
    std::fprintf(stderr, "netns-bench: the kernel is still freeing network namespaces; all processes have ended\n");
  }
}

}  // namespace

void SetDisposableMachine() {
  disposable = true;
  initial = NetNamespace::Current();
}
bool IsDisposableMachine() { return disposable; }

NetNamespace InitialNamespace() {
  if (!initial)
    throw MissingNeed("needs-machine", "it touches the initial network namespace",
                      "run it in the VM (netns-conformance bench --vm)");
  return SETUP_OK(initial->Dup());
}

int RunInOwnWorld(const std::function<int()>& body) {
  RaiseDescriptorLimit();
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  std::fflush(nullptr);
  Handle(SIGINT, PassOn);
  Handle(SIGTERM, PassOn);
  Fd pidfd;
  auto pid = ForkWithFlags(CLONE_NEWPID | CLONE_NEWNS | (disposable ? 0 : CLONE_NEWUSER), &pidfd);
  if (pid.ok() && *pid == 0) {
    if (auto entered = EnterWorld(uid, gid); !entered.ok()) {
      std::fprintf(stderr, "netns-bench: no namespaces to measure in: %s\n", entered.error().ToString().c_str());
      std::_Exit(3);
    }
    const int status = body();
    std::fflush(nullptr);
    std::_Exit(status);
  }
  if (!pid.ok()) {
    std::fprintf(stderr, "netns-bench: no namespaces to measure in: %s (allow user namespaces)\n",
                 pid.error().ToString().c_str());
    return 3;
  }
  worker = *pid;
  if (signals > 0) ::kill(*pid, SIGTERM);
  int status = 0;
  while (::waitpid(*pid, &status, 0) < 0 && errno == EINTR) {
  }
  worker = 0;
  const bool killed = WIFSIGNALED(status);
  if (killed) std::fprintf(stderr, "netns-bench: the worker %s\n", DescribeWaitStatus(status).c_str());
  AwaitFreeing(signals > 0 || killed);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 3;
}

}  // namespace netns::bench
