// SPDX-License-Identifier: GPL-2.0-or-later
// What it costs to make a network namespace. Each batch is made while nothing is being freed, and freed untimed.
#include <linux/sched.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "benchmarks/crowd.h"
#include "benchmarks/floor.h"
#include "benchmarks/processes.h"
#include "fixtures/rtnl.h"
#include "harness/isolation.h"

namespace netns::bench {
namespace {

constexpr int kBatch = 64;

/// Batches of a crowd; `inside` belongs to the time.
void GrowBatches(State& state, const std::function<void()>& inside = {}) {
  Crowd crowd;
  double sum = 0;
  for (auto _ : state) {
    const auto seconds = crowd.Grow(kBatch, inside);
    for (const double one : seconds) sum += one;
    state.SetIterationTime(Median(seconds));
    crowd.FreeAndWait();
  }
  state.counters["mean_s"] = sum / kBatch / static_cast<double>(state.iterations());
}

void BareLoop(State& state) {
  Crowd fence;
  fence.PassFence();
  Shared<double> seconds(kBatch);
  for (auto _ : state) {
    // In a process of its own, with whose end they are all let go.
    InChild([&] { return netns_bare_unshare(kBatch, seconds.get()) == kBatch ? 0 : errno; });
    state.SetIterationTime(Median({seconds.get(), seconds.get() + kBatch}));
    fence.PassFence();
  }
}

/// Processes born with clone(2) or clone3(2), with or without a namespace of their own.
void Clone(State& state, unsigned long flags, bool clone3) {
  Crowd fence;
  fence.PassFence();
  for (auto _ : state) {
    std::vector<double> seconds;
    std::vector<pid_t> children;
    Result<Done> failed = Ok();
    auto stay = SETUP_OK(Pipe());
    for (int i = 0; i < kBatch / 2 && failed.ok(); ++i) {
      const StopWatch watch;
      long pid;
      if (clone3) {
        clone_args arguments{};
        arguments.flags = flags;
        arguments.exit_signal = SIGCHLD;
        pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
      } else {
        pid = ::syscall(SYS_clone, flags | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
      }
      if (pid == 0) {
        ::close(stay.second.get());
        char byte;
        ::_exit(static_cast<int>(::read(stay.first.get(), &byte, 1)));
      }
      if (pid > 0) {
        seconds.push_back(watch.Stop());
        children.push_back(static_cast<pid_t>(pid));
      } else {
        failed = ErrnoError(clone3 ? "clone3" : "clone");
      }
    }
    stay.second.Reset();
    for (const pid_t pid : children) ::waitpid(pid, nullptr, 0);
    if (!failed.ok()) Fail(failed.error());
    state.SetIterationTime(Median(seconds));
    fence.PassFence();
  }
}

/// unshare(CLONE_NEWUSER | CLONE_NEWNET) below `depth` - 1 further user namespaces: what containers without root do.
void NestedUserNamespace(State& state, int depth) {
  Crowd fence;
  fence.PassFence();
  constexpr int kChildren = 16;
  Shared<double> seconds(kChildren);
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  for (auto _ : state) {
    Family family;
    for (int i = 0; i < kChildren; ++i) {
      family.Start([&, i] {
        for (int level = 1; level < depth; ++level) {
          Must(::unshare(CLONE_NEWUSER), "unshare(CLONE_NEWUSER)");
          Must(MapIds(level == 1 ? uid : 0, level == 1 ? gid : 0));
        }
        const StopWatch watch;
        Must(::unshare(CLONE_NEWUSER | CLONE_NEWNET), "unshare(CLONE_NEWUSER | CLONE_NEWNET)");
        seconds[static_cast<std::size_t>(i)] = watch.Stop();
      });
      family.WaitUntilDone(1);
    }
    family.End();
    state.SetIterationTime(Median({seconds.get(), seconds.get() + kChildren}));
    fence.PassFence();
  }
}

/// `creators` processes at once; the time is that of all, per namespace.
void Concurrently(State& state, int creators) {
  Crowd fence;
  fence.PassFence();
  for (auto _ : state) {
    Family family;
    for (int i = 0; i < creators; ++i)
      family.Start([&] {
        family.WaitForStart();
        std::vector<double> unused(kBatch);
        if (netns_bare_unshare(kBatch, unused.data()) != kBatch) Fail(ErrnoError("unshare(CLONE_NEWNET)"));
      });
    const double taken = Timed([&] {
      family.SignalStart();
      family.WaitUntilDone(creators);
    });
    family.End();
    state.SetIterationTime(taken / (creators * kBatch));
    fence.PassFence();
  }
}

/// Each new namespace lets the one before go: what the kernel still has to free slows down what comes next.
void CreateAndDestroy(State& state) {
  Crowd fence;
  for (auto _ : state) {
    Shared<double> seconds(1);
    InChild([&] {
      const StopWatch watch;
      for (int i = 0; i < 2 * kBatch; ++i)
        if (::unshare(CLONE_NEWNET) < 0) return errno;
      seconds[0] = watch.Stop();
      return 0;
    });
    state.SetIterationTime(seconds[0] / (2 * kBatch));
    fence.PassFence();
  }
}

}  // namespace

void AddCreation() {
  const Traits bare{.manual = true, .quick = true};
  const Traits held{.manual = true, .quick = true, .floor = "floor/unshare"};
  Add("floor/unshare", bare, BareLoop);
  Add("floor/clone", bare, [](State& state) { Clone(state, 0, false); });
  Add("create/unshare", held, [](State& state) { GrowBatches(state); });
  Add("create/clone", {.manual = true, .quick = true, .floor = "floor/clone"},
      [](State& state) { Clone(state, CLONE_NEWNET, false); });
  Add("create/clone3", {.manual = true, .floor = "floor/clone"},
      [](State& state) { Clone(state, CLONE_NEWNET, true); });
  Add("create/user-namespace", held, [](State& state) { NestedUserNamespace(state, 1); });
  for (const int depth : {4, 16})
    Add("create/nested-user-namespaces/" + std::to_string(depth), {.manual = true, .floor = "floor/unshare"},
        [depth](State& state) { NestedUserNamespace(state, depth); });
  Add("create/until-lo-up", held, [](State& state) {
    GrowBatches(state, [] { Must(SETUP_OK(Rtnl::Open()).Up("lo")); });
  });
  Add("create/fixture", {.manual = true, .floor = "floor/unshare"}, [](State& state) {
    Crowd fence;
    std::vector<NetNamespace> held_open;
    MedianOf(
        state, kBatch,
        [&] {
          Result<NetNamespace> made = Error{EIO, "NetNamespace::TryCreate()"};
          const double taken = Timed([&] { made = NetNamespace::TryCreate(); });
          if (!made.ok()) Fail(made.error());
          held_open.push_back(std::move(*made));
          return taken;
        },
        [&] {
          held_open.clear();
          fence.PassFence();
        });
  });
  Add("create/and-destroy", held, CreateAndDestroy);
  std::vector<int> creators{1};
  const int cpus = static_cast<int>(std::thread::hardware_concurrency());
  for (int count = 2; count < cpus; count *= 2) creators.push_back(count);
  if (cpus > 1) creators.push_back(cpus);
  for (const int count : creators)
    Add("create/concurrently/" + std::to_string(count), {.manual = true, .quick = true, .floor = "floor/unshare"},
        [count](State& state) { Concurrently(state, count); });
}

}  // namespace netns::bench
