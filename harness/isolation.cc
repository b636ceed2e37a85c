// SPDX-License-Identifier: GPL-2.0-or-later
#include "harness/isolation.h"

#include <linux/sched.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <cstdio>
#include <exception>
#include <memory>

#include "harness/child.h"
#include "harness/event.h"

namespace netns {
namespace {

/// A lock that the runner holds as long as it lives. Locks of fcntl(2) are not inherited, and a dying process loses them before
/// its children get their death signals (kernel: do_exit, exit_files before exit_notify). So a child that has asked for the signal
/// and then finds the lock held cannot have missed it. The other end of a pipe would not do: a sibling may still hold a copy.
class LifeLock {
 public:
  /// Where the kernel has no such locks or files, there is none, and only a race of microseconds is left open.
  void Take() {
    if (owner_ == ::getpid()) return;
    owner_ = ::getpid();
    Fd file(::memfd_create("netns-runner", MFD_CLOEXEC));
    struct flock whole{};
    whole.l_type = F_WRLCK;
    if (file.valid() && ::fcntl(file.get(), F_SETLK, &whole) == 0)
      file_ = std::move(file);
    else
      file_.Reset();
  }
  /// Asked by a child of the owner, once.
  bool WasLost() {
    struct flock whole{};
    whole.l_type = F_WRLCK;
    const bool lost = file_.valid() && ::fcntl(file_.get(), F_GETLK, &whole) == 0 && whole.l_type == F_UNLCK;
    file_.Reset();
    return lost;
  }

 private:
  Fd file_;
  pid_t owner_ = -1;
};

LifeLock runner_lives;
std::vector<std::string> leased_resources;
int initial_network_namespace = -1;

[[noreturn]] void Die(const std::string& step) {
  Event event;
  event.check = "setup";
  event.text = "the isolated process could not be made: " + ErrnoError(step).ToString();
  event.fatal = true;
  Send(event);
  ::_exit(1);
}

void Mount(const char* type, const char* target, unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC) {
  if (::mount(type, target, type, flags, nullptr) < 0) Die(std::string("mount(") + type + ", " + target + ")");
}

/// pid 1: brings the world up, starts the body, reaps until it is gone, tells how it ended.
[[noreturn]] void Init(const TestSpec& spec, const IsolationOptions& options, uid_t uid, gid_t gid) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (runner_lives.WasLost()) ::_exit(1);  // the runner died before the line above
  ::prctl(PR_SET_NAME, "netns-test-init");
  if (options.user_namespace) {
    // The ids are mapped before the network namespace is made: otherwise its files would belong to the overflow id.
    if (auto mapped = MapIds(uid, gid); !mapped.ok()) {
      errno = mapped.error().code;
      Die(mapped.error().call);
    }
    if (options.network_namespace && ::unshare(CLONE_NEWNET) < 0) Die("unshare(CLONE_NEWNET)");
  }
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) Die("mount(/, MS_REC|MS_PRIVATE)");
  Mount("proc", "/proc");
  if (options.network_namespace) Mount("sysfs", "/sys");
  Mount("tmpfs", "/tmp", MS_NOSUID | MS_NODEV);
  if (::chdir("/") < 0) Die("chdir(/)");

  pid_t body = ::fork();
  if (body < 0) Die("fork");
  if (body == 0) {
    ::setsid();
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::prctl(PR_SET_NAME, "netns-test");
    ::_exit(RunReported("", [&] {
      std::unique_ptr<Test> test(spec.make());
      for (const Need& need : spec.needs)
        if (need.probe && !need.probe()) throw MissingNeed("needs-" + need.text, need.explanation, "", need.since);
      test->Run();
    }));
  }
  for (;;) {
    int status = 0;
    pid_t pid = ::waitpid(-1, &status, 0);
    if (pid == body) {
      Event event;
      event.kind = Event::Kind::kExit;
      event.status = status;
      Send(event);
      ::_exit(0);
    }
    if (pid < 0 && errno != EINTR) ::_exit(1);
  }
}

}  // namespace

const std::vector<std::string>& LeasedResources() { return leased_resources; }
int InitialNetworkNamespace() { return initial_network_namespace; }

Result<pid_t> ForkWithFlags(unsigned long flags, Fd* pidfd) {
  int fd = -1;
  long pid = ::syscall(SYS_clone, flags | CLONE_PIDFD | SIGCHLD, nullptr, &fd, nullptr, 0);
  if (pid < 0) return ErrnoError("clone");
  if (pid > 0) {
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    pidfd->Reset(fd);
  }
  return static_cast<pid_t>(pid);
}

Status MapIds(uid_t uid, gid_t gid, uid_t inside) {
  // Kernels before 3.19 have no setgroups file; there the gid map needs no such promise.
  if (auto denied = WriteFile("/proc/self/setgroups", "deny"); !denied.ok() && denied.code() != ENOENT)
    return denied.error();
  RETURN_IF_ERROR(WriteFile("/proc/self/uid_map", std::to_string(inside) + " " + std::to_string(uid) + " 1"));
  return WriteFile("/proc/self/gid_map", std::to_string(inside) + " " + std::to_string(gid) + " 1");
}

Result<IsolatedTest> StartIsolated(const TestSpec& spec, const IsolationOptions& options) {
  IsolatedTest test;
  runner_lives.Take();
  ASSIGN_OR_RETURN(auto channel, Pipe());
  if (::fcntl(channel.first.get(), F_SETFL, O_NONBLOCK) < 0) return ErrnoError("fcntl(O_NONBLOCK)");
  ASSIGN_OR_RETURN(auto output, Pipe());
  unsigned long flags = CLONE_NEWPID | CLONE_NEWNS;
  if (options.user_namespace)
    flags |= CLONE_NEWUSER;
  else if (options.network_namespace)
    flags |= CLONE_NEWNET;
  uid_t uid = ::geteuid();
  gid_t gid = ::getegid();
  std::fflush(nullptr);  // or the child would write the runner's buffered output again
  ASSIGN_OR_RETURN(pid_t pid, ForkWithFlags(flags, &test.pidfd));
  if (pid == 0) {
    channel.first.Reset();
    for (int fd : options.close_in_child) ::close(fd);
    SetEventChannel(channel.second.Release());
    ::dup2(output.second.get(), STDOUT_FILENO);
    ::dup2(output.second.get(), STDERR_FILENO);
    output.first.Reset();
    output.second.Reset();
    rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    SetWaitReport(options.wait_report, options.wait_report_size);
    SetTestDeadline(options.deadline);
    leased_resources = options.leased;
    initial_network_namespace = options.initial_network_namespace;
    Init(spec, options, uid, gid);
  }
  test.init = pid;
  test.events = std::move(channel.first);
  test.output = std::move(output.first);
  return test;
}

Status ProbeUserNamespace() {
  uid_t uid = ::geteuid();
  gid_t gid = ::getegid();
  Fd pidfd;
  auto pipe = Pipe();
  if (!pipe.ok()) return pipe.error();
  auto pid = ForkWithFlags(CLONE_NEWUSER | CLONE_NEWNS, &pidfd);
  if (!pid.ok()) return Error{pid.code(), "clone(CLONE_NEWUSER)"};
  if (*pid == 0) {
    int code = MapIds(uid, gid).code();
    // Some policies (AppArmor's) let the namespace be made and take its capabilities away.
    if (code == 0 && ::unshare(CLONE_NEWNET) < 0 && errno != EINVAL) code = errno;
    [[maybe_unused]] ssize_t n = ::write(pipe->second.get(), &code, sizeof code);
    ::_exit(0);
  }
  pipe->second.Reset();
  int code = EIO;
  ssize_t n = TEMP_FAILURE_RETRY(::read(pipe->first.get(), &code, sizeof code));
  ::waitpid(*pid, nullptr, 0);
  if (n != sizeof code) return Error{EIO, "the probe of a user namespace ended early"};
  if (code != 0) return Error{code, "unshare(CLONE_NEWNET) in a new user namespace"};
  return Ok();
}

}  // namespace netns
