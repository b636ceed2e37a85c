// SPDX-License-Identifier: GPL-2.0-or-later
// What a veth pair costs: made and deleted in one namespace and across two, and one end moved.
#include <benchmark/benchmark.h>

#include "fixtures/net_namespace.h"
#include "fixtures/rtnl.h"

namespace {

using netns::ByFd;
using netns::NetNamespace;
using netns::PeerSpec;
using netns::Rtnl;

bool Skipped(benchmark::State& state, const netns::Status& status) {
  if (status.ok()) return false;
  state.SkipWithError(status.error().ToString().c_str());
  return true;
}

void CreateAndDelete(benchmark::State& state, bool across) {
  auto here = NetNamespace::Create(), there = NetNamespace::Create();
  Rtnl rtnl = netns::SetupOk(Rtnl::In(here), "rtnetlink");
  PeerSpec peer{.name = "v1"};
  if (across) peer.netns_fd = there.fd();
  for (auto _ : state) {
    if (Skipped(state, rtnl.AddVeth("v0", peer))) break;
    if (Skipped(state, rtnl.DeleteLink("v0"))) break;
  }
}
void BM_VethInOneNamespace(benchmark::State& state) { CreateAndDelete(state, false); }
void BM_VethAcrossTwoNamespaces(benchmark::State& state) { CreateAndDelete(state, true); }
BENCHMARK(BM_VethInOneNamespace)->Unit(benchmark::kMicrosecond);
BENCHMARK(BM_VethAcrossTwoNamespaces)->Unit(benchmark::kMicrosecond);

void BM_MoveThereAndBack(benchmark::State& state) {
  auto here = NetNamespace::Create(), there = NetNamespace::Create();
  Rtnl in_here = netns::SetupOk(Rtnl::In(here), "rtnetlink"), in_there = netns::SetupOk(Rtnl::In(there), "rtnetlink");
  if (Skipped(state, in_here.AddVeth("v0", "v1"))) return;
  for (auto _ : state) {
    if (Skipped(state, in_here.MoveLink("v0", ByFd(there.fd())))) break;
    if (Skipped(state, in_there.MoveLink("v0", ByFd(here.fd())))) break;
  }
  state.SetItemsProcessed(2 * state.iterations());
}
BENCHMARK(BM_MoveThereAndBack)->Unit(benchmark::kMicrosecond);

}  // namespace
