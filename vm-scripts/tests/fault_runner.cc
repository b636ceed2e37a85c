// SPDX-License-Identifier: GPL-2.0-or-later
//
// A stand-in for netns-tests that speaks docs/events.md and makes the guest come to grief, one way per "test".
// The launcher's own tests (test_faults.py) boot it to see that each fault is told apart and costs one test only.

#include <fcntl.h>
#include <linux/membarrier.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

void WriteTo(const char* path, std::string_view text) {
  const int fd = open(path, O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, text.data(), text.size()) < 0) std::perror(path);
  if (fd >= 0) close(fd);
}

/// Takes a CPU from everything else, for ever or for some seconds.
void OccupyCpu(long cpu, unsigned seconds) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<int>(cpu), &set);
  sched_setaffinity(0, sizeof set, &set);
  sched_param priority{};
  priority.sched_priority = 99;
  sched_setscheduler(0, SCHED_FIFO, &priority);
  const std::time_t begun = std::time(nullptr);
  while (seconds == 0 || std::time(nullptr) - begun < seconds) {
  }
}

/// Keeps every CPU busy above all else: the kernel lives, but nothing of its own gets to run.
void StarveCpus() {
  WriteTo("/proc/sys/kernel/sched_rt_runtime_us", "-1");
  const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
  for (long cpu = 0; cpu < cpus; ++cpu) {
    if (fork() == 0) OccupyCpu(cpu, 0);
  }
  for (;;) pause();
}

/// The same while the kernel waits for an RCU grace period to end, which it then reports as a stall. A few waiters see to it
/// that one is in progress nearly always; should the CPUs go away in between two, they come back after a while for another try.
void StallRcu() {
  WriteTo("/proc/sys/kernel/sched_rt_runtime_us", "-1");
  constexpr int kWaiters = 4;
  constexpr unsigned kLongerThanTheStallTimeout = 45;
  for (int waiter = 0; waiter < kWaiters; ++waiter) {
    if (fork() == 0) {
      for (;;) syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
    }
  }
  const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
  for (;;) {
    for (long cpu = 0; cpu < cpus; ++cpu) {
      if (fork() == 0) OccupyCpu(cpu, kLongerThanTheStallTimeout), _exit(0);
    }
    for (long cpu = 0; cpu < cpus; ++cpu) wait(nullptr);
  }
}

void EatMemory() {
  WriteTo("/proc/sys/vm/panic_on_oom", "1");
  constexpr std::size_t kPiece = 16U << 20U;
  for (;;) {
    if (void* piece = std::malloc(kPiece)) std::memset(piece, 1, kPiece);
  }
}

/// Sends init to an address that there is not: signals it ignores, a fault of its own it cannot.
void KillInit() {
  if (ptrace(PTRACE_ATTACH, 1, nullptr, nullptr) < 0) return std::perror("ptrace(PTRACE_ATTACH, 1)");
  waitpid(1, nullptr, __WALL);
  ptrace(PTRACE_POKEUSER, 1, offsetof(user, regs.rip), nullptr);
  ptrace(PTRACE_POKEUSER, 1, offsetof(user, regs.orig_rax), -1L);  // else the system call that it is in would be restarted
  ptrace(PTRACE_DETACH, 1, nullptr, nullptr);
  for (;;) pause();
}

/// A process that cannot even be killed: it waits for the lock of a pipe, whose holder waits for a page that nobody brings.
void HangTask() {
  const int faults = static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC));
  uffdio_api api{};
  api.api = UFFD_API;
  void* page = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  uffdio_register range{};
  range.range = {reinterpret_cast<std::uintptr_t>(page), 4096};
  range.mode = UFFDIO_REGISTER_MODE_MISSING;
  int ends[2];
  if (ioctl(faults, UFFDIO_API, &api) < 0 || ioctl(faults, UFFDIO_REGISTER, &range) < 0 || pipe(ends) < 0) return std::perror("userfaultfd");
  std::thread([&] { (void)!write(ends[1], page, 4096); }).detach();
  pollfd waiting{faults, POLLIN, 0};
  poll(&waiting, 1, -1);  // the thread is in its fault now, and holds the lock
  if (fork() == 0) {
    (void)!write(ends[1], "x", 1);
    _exit(0);
  }
  for (;;) pause();
}

const std::vector<std::pair<std::string, std::function<bool()>>>& Tests() {
  static const std::vector<std::pair<std::string, std::function<bool()>>> tests = {
      {"Fault.First", [] { return true; }},
      {"Fault.Panic", [] { return WriteTo("/proc/sysrq-trigger", "c"), pause(), true; }},
      {"Fault.Fails", [] { return false; }},
      {"Fault.Reboot", [] { return reboot(RB_AUTOBOOT), pause(), true; }},
      {"Fault.Memory", [] { return EatMemory(), true; }},
      {"Fault.KillInit", [] { return KillInit(), false; }},
      {"Fault.HungTask", [] { return HangTask(), false; }},
      {"Fault.StarvedCpus", [] { return StarveCpus(), true; }},
      {"Fault.StalledRcu", [] { return StallRcu(), true; }},
      {"Fault.Silence", [] { return pause(), true; }},
      {"Fault.Last", [] { return true; }},
  };
  return tests;
}

bool Selected(const std::string& filter, const std::string& name) {
  return filter.empty() || (":" + filter + ":").find(":" + name + ":") != std::string::npos;
}

}  // namespace

int main(int argc, char** argv) {
  std::string stream;
  std::string filter;
  std::set<std::string> skip;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word.starts_with("--stream=")) stream = word.substr(std::strlen("--stream="));
    if (word.starts_with("--gtest_filter=")) filter = word.substr(std::strlen("--gtest_filter="));
    if (word.starts_with("--skip-file=")) {
      std::ifstream file{std::string(word.substr(std::strlen("--skip-file=")))};
      for (std::string line; std::getline(file, line);) skip.insert(line);
    }
  }
  const int out = open(stream.c_str(), O_WRONLY | O_CLOEXEC);
  const int log = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
  if (out < 0) return 2;
  const auto put = [&](const std::string& line) { dprintf(out, "%s\n", line.c_str()); };
  // Not dprintf: it asks /dev/kmsg for its position, and takes the refusal for a failure.
  const auto mark = [&](const std::string& text) {
    const std::string line = "netns-conformance: " + text + "\n";
    if (write(log, line.data(), line.size()) < 0) std::perror("/dev/kmsg");
  };

  std::string plan;
  for (const auto& [name, body] : Tests()) {
    plan += std::string(plan.empty() ? "" : ",") + R"({"name":")" + name + R"(","covers":[],"needs":[],"selected":)" +
            (Selected(filter, name) ? "true" : "false") + "}";
  }
  put(R"({"event":"header","schema":"1.0","kernel":{"release":"test"},"machine":{},"tests":[)" + plan + "]}");
  int failed = 0;
  for (const auto& [name, body] : Tests()) {
    if (!Selected(filter, name) || skip.count(name) > 0) continue;
    put(R"({"event":"start","iteration":1,"test":")" + name + "\"}");
    mark("start " + name);
    const bool passed = body();
    failed += passed ? 0 : 1;
    mark("end " + name + (passed ? " PASS" : " FAIL"));
    put(R"({"event":"end","iteration":1,"test":")" + name + R"(","verdict":")" + (passed ? "PASS" : "FAIL") + R"(","duration_ms":1,"failures":[]})");
  }
  put(R"({"event":"footer","counts":{},"exit_status":)" + std::to_string(failed > 0 ? 1 : 0) + "}");
  return failed > 0 ? 1 : 0;
}
