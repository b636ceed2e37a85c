// SPDX-License-Identifier: GPL-2.0-or-later
// What a network namespace costs: to make, to enter, and to free until the kernel is really done. Beside each, the bare
// system call, as the floor below which no tool can go.
#include <benchmark/benchmark.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <optional>

#include "fixtures/net_namespace.h"

namespace {

using netns::FreedOracle;
using netns::NetNamespace;

/// The floor: unshare(2) alone. What is left behind each time is freed by the kernel meanwhile, as with any tool.
void BM_BareUnshare(benchmark::State& state) {
  for (auto _ : state)
    if (::unshare(CLONE_NEWNET) < 0) {
      state.SkipWithError("unshare(CLONE_NEWNET) failed: is user.max_net_namespaces reached?");
      break;
    }
}
BENCHMARK(BM_BareUnshare)->Unit(benchmark::kMicrosecond);

/// fork, unshare, exit, wait: what `unshare -n true` costs without the exec.
void BM_BareForkUnshareExit(benchmark::State& state) {
  for (auto _ : state) {
    pid_t pid = ::fork();
    if (pid == 0) ::_exit(::unshare(CLONE_NEWNET) < 0 ? 1 : 0);
    int status = 0;
    ::waitpid(pid, &status, 0);
    if (status != 0) {
      state.SkipWithError("unshare(CLONE_NEWNET) failed in the child");
      break;
    }
  }
}
BENCHMARK(BM_BareForkUnshareExit)->Unit(benchmark::kMicrosecond);

/// The fixture's namespace, a descriptor that pins it.
void BM_CreateByUnshare(benchmark::State& state) {
  for (auto _ : state) {
    auto ns = NetNamespace::TryCreate();
    if (!ns.ok()) {
      state.SkipWithError(ns.error().ToString().c_str());
      break;
    }
    benchmark::DoNotOptimize(ns->fd());
  }
}
BENCHMARK(BM_CreateByUnshare)->Unit(benchmark::kMicrosecond);

void BM_CreateByClone(benchmark::State& state) {
  for (auto _ : state) {
    auto actor = netns::Actor::TryStart("member", CLONE_NEWNET);
    if (!actor.ok()) {
      state.SkipWithError(actor.error().ToString().c_str());
      break;
    }
    state.PauseTiming();
    actor->Kill();
    state.ResumeTiming();
  }
}
BENCHMARK(BM_CreateByClone)->Unit(benchmark::kMicrosecond);

/// From the loss of the last reference until the kernel has finished (the ENOSPC signal of user.max_net_namespaces).
/// The descriptor is closed inside the timed part; the caller sees only that, the rest is the kernel's own time.
void BM_FreeUntilDone(benchmark::State& state) {
  for (auto _ : state) {
    FreedOracle oracle;
    std::optional<NetNamespace> ns = oracle.Create();
    auto begin = std::chrono::steady_clock::now();
    ns.reset();
    if (auto freed = oracle.WaitUntilFreed(netns::Deadline::In(std::chrono::seconds(30))); !freed.ok()) {
      state.SkipWithError(freed.error().ToString().c_str());
      break;
    }
    state.SetIterationTime(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
}
BENCHMARK(BM_FreeUntilDone)->UseManualTime()->Unit(benchmark::kMillisecond)->Iterations(20);

void BM_Setns(benchmark::State& state) {
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  for (auto _ : state) {
    if (::setns(a.fd(), CLONE_NEWNET) < 0 || ::setns(b.fd(), CLONE_NEWNET) < 0) {
      state.SkipWithError("setns(CLONE_NEWNET) failed");
      break;
    }
  }
  state.SetItemsProcessed(2 * state.iterations());
}
BENCHMARK(BM_Setns);

}  // namespace
