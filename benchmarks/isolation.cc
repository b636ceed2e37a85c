// SPDX-License-Identifier: GPL-2.0-or-later
// What the isolation of one test costs over the least that any runner with such isolation must do.
#include <benchmark/benchmark.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/isolation.h"
#include "harness/registration.h"

namespace {

class Empty : public netns::Test {
 public:
  void TestBody() override {}
};

void BM_BareForkUnshareThreeNamespaces(benchmark::State& state) {
  for (auto _ : state) {
    pid_t pid = ::fork();
    if (pid == 0) ::_exit(::unshare(CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID) < 0 ? 1 : 0);
    int status = 0;
    ::waitpid(pid, &status, 0);
    if (status != 0) {
      state.SkipWithError("unshare failed in the child");
      break;
    }
  }
}
BENCHMARK(BM_BareForkUnshareThreeNamespaces)->Unit(benchmark::kMicrosecond);

void BM_IsolatedEmptyTest(benchmark::State& state) {
  netns::TestSpec spec;
  spec.suite = "Bench";
  spec.name = "Empty";
  spec.make = [] { return new Empty; };
  for (auto _ : state) {
    netns::IsolationOptions options;
    auto test = netns::StartIsolated(spec, options);
    if (!test.ok()) {
      state.SkipWithError(test.error().ToString().c_str());
      break;
    }
    ::waitpid(test->init, nullptr, 0);
  }
}
BENCHMARK(BM_IsolatedEmptyTest)->Unit(benchmark::kMicrosecond);

}  // namespace
