// SPDX-License-Identifier: GPL-2.0-or-later
// Workloads that kernel commits report figures of, under their numbers. (4,096 freed at once is free/until-done/4096;
// a thousand's memory and time to die is memory/namespace/1000.)
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "benchmarks/crowd.h"
#include "benchmarks/processes.h"
#include "fixtures/rtnl.h"

namespace netns::bench {
namespace {

/// `processes` at once, each does `step` `times` times. The time is until all have ended; a counter tells when the kernel
/// had freed all, too.
void AtOnce(State& state, int processes, int times, const std::function<void()>& step) {
  Crowd fence;
  fence.PassFence();
  double until_freed = 0;
  for (auto _ : state) {
    Family family;
    for (int i = 0; i < processes; ++i)
      family.Start([&] {
        family.WaitForStart();
        for (int n = 0; n < times; ++n) step();
      });
    const StopWatch watch;
    family.SignalStart();
    family.WaitUntilDone(processes);
    state.SetIterationTime(watch.Stop());
    family.End();
    fence.PassFence();
    until_freed += watch.Stop();
  }
  state.counters["s_until_freed"] = until_freed / static_cast<double>(state.iterations());
  state.counters["namespaces"] = processes * times;
}

}  // namespace

void AddWorkloads() {
  const Traits traits{.unit = benchmark::kMillisecond, .manual = true, .most_iterations = 1};
  Add("workload/40x100-unshare-n-true", traits, [](State& state) {
    const std::string unshare = FindProgram("unshare"), true_program = FindProgram("true");
    if (unshare.empty()) throw MissingNeed("needs-program:unshare", "unshare(1) is not here", "install util-linux");
    AtOnce(state, 40, Scaled(100), [&] { Execute({unshare, "-n", true_program}); });
  });
  Add("workload/40x100-fork-unshare-exit", traits, [](State& state) {
    AtOnce(state, 40, Scaled(100), [] { InChild([] { return ::unshare(CLONE_NEWNET) < 0 ? errno : 0; }); });
  });
  // The original is 10 x 10,000; at --scale=1 this is a hundredth of it.
  Add("workload/10x10000-unshare-lo-up", traits, [](State& state) {
    AtOnce(state, 10, Scaled(100), [] {
      Must(::unshare(CLONE_NEWNET), "unshare(CLONE_NEWNET)");
      Must(SETUP_OK(Rtnl::Open()).Up("lo"));
    });
  });
}

}  // namespace netns::bench
