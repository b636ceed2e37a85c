// SPDX-License-Identifier: GPL-2.0-or-later
// What it costs to destroy network namespaces: the part that the caller waits for, and all until the kernel is done.
#include <sched.h>

#include "benchmarks/crowd.h"
#include "benchmarks/processes.h"
#include "fixtures/rtnl.h"
#include "fixtures/user_namespace.h"

namespace netns::bench {
namespace {

/// `count` at once, until the last is freed. The counters tell both per namespace.
void AllAtOnce(State& state, int count, const std::function<void()>& furnish = {}) {
  Crowd crowd;
  double visible = 0, until_done = 0;
  for (auto _ : state) {
    crowd.Grow(count, furnish);
    const StopWatch watch;
    visible += crowd.LetGo();
    crowd.WaitUntilGone();
    const double taken = watch.Stop();
    until_done += taken;
    state.SetIterationTime(taken);
  }
  const double all = static_cast<double>(state.iterations()) * count;
  state.counters["visible_s_per_namespace"] = visible / all;
  state.counters["s_per_namespace"] = until_done / all;
}

void AddPairs(int pairs) {
  Rtnl rtnl = SETUP_OK(Rtnl::Open());
  for (int i = 0; i < pairs; ++i) Must(rtnl.AddVeth("a" + std::to_string(i), ("b" + std::to_string(i)).c_str()));
}

}  // namespace

void AddFreeing() {
  Add("free/visible", {.manual = true, .quick = true}, [](State& state) {
    constexpr int kBatch = 64;
    Crowd crowd;
    for (auto _ : state) {
      crowd.Grow(kBatch);
      state.SetIterationTime(crowd.LetGo() / kBatch);
      crowd.WaitUntilGone();
    }
  });
  for (const int count : {1, 16, 256, 1024, 4096})
    Add("free/until-done/" + std::to_string(count),
        {.unit = benchmark::kMillisecond, .manual = true, .quick = count == 1 || count == 256, .complexity = "free/until-done"},
        [count](State& state) { AllAtOnce(state, count); });
  for (const int pairs : {1, 8, 64})
    Add("free/16-with-veth-pairs/" + std::to_string(pairs),
        {.unit = benchmark::kMillisecond, .manual = true, .quick = pairs == 8, .complexity = "free/16-with-veth-pairs"},
        [pairs](State& state) { AllAtOnce(state, 16, [pairs] { AddPairs(pairs); }); });
}

/// The same beside other namespaces that stay.
void AddCrowds() {
  for (const int others : {1, 10, 100, 1000, 10000}) {
    const bool quick = others == 1 || others == 1000;
    Add("create/among/" + std::to_string(others),
        {.manual = true, .quick = quick, .floor = "floor/unshare", .complexity = "create/among"}, [others](State& state) {
          Crowd crowd, one;
          crowd.Grow(others < 10000 ? others : Scaled(others));
          for (auto _ : state) {
            state.SetIterationTime(Median(one.Grow(64)));
            one.FreeAndWait();
          }
          crowd.FreeAndWait();
        });
    Add("free/among/" + std::to_string(others),
        {.unit = benchmark::kMillisecond, .manual = true, .quick = quick, .complexity = "free/among"}, [others](State& state) {
          Crowd crowd, one;
          crowd.Grow(others < 10000 ? others : Scaled(others));
          for (auto _ : state) {
            one.Grow(1);
            state.SetIterationTime(one.FreeAndWait());
          }
          crowd.FreeAndWait();
        });
  }
}

}  // namespace netns::bench
