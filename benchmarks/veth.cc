// SPDX-License-Identifier: GPL-2.0-or-later
// What a veth pair costs: made, deleted, moved, until it has carrier, many at once.
#include "benchmarks/crowd.h"
#include "fixtures/rtnl.h"
#include "fixtures/topology.h"

namespace netns::bench {
namespace {

enum class Step { kCreate, kDelete };

/// Creation or deletion, the other of the two untimed.
void Pair(State& state, bool across, Step timed, int existing = 0) {
  auto here = NetNamespace::Create(), there = NetNamespace::Create();
  Rtnl rtnl = SETUP_OK(Rtnl::In(here));
  for (int i = 0; i < existing; ++i) Must(rtnl.AddVeth("x" + std::to_string(i), ("y" + std::to_string(i)).c_str()));
  PeerSpec peer{.name = "v1"};
  if (across) peer.netns_fd = there.fd();
  MedianOf(state, 8, [&] {
    const double made = Timed([&] { Must(rtnl.AddVeth("v0", peer)); });
    const double deleted = Timed([&] { Must(rtnl.DeleteLink("v0")); });
    return timed == Step::kCreate ? made : deleted;
  });
}

void Move(State& state, bool configured) {
  auto here = NetNamespace::Create(), there = NetNamespace::Create();
  Rtnl in_here = SETUP_OK(Rtnl::In(here)), in_there = SETUP_OK(Rtnl::In(there));
  Must(in_here.AddVeth("v0", "v1"));
  MedianOf(state, 8, [&] {
    if (configured) {
      Must(in_here.Up("v0"));
      for (int i = 1; i <= 8; ++i) {
        Must(in_here.AddAddress("192.0.2." + std::to_string(i) + "/24", "v0"));
        Must(in_here.AddRoute({.to = "198.51.100." + std::to_string(i) + "/32", .dev = "v0"}));
      }
    }
    const double taken = Timed([&] { Must(in_here.MoveLink("v0", ByFd(there.fd()))); });
    Must(in_there.MoveLink("v0", ByFd(here.fd())));
    return taken;
  });
}

/// From the request that brings the second end up until both have carrier, as notifications tell.
void UntilCarrier(State& state) {
  auto here = NetNamespace::Create(), there = NetNamespace::Create();
  Rtnl in_here = SETUP_OK(Rtnl::In(here)), in_there = SETUP_OK(Rtnl::In(there));
  MedianOf(state, 2, [&] {
    // Different indices, or the kernel lets carrier wait (see VethPair).
    Must(in_here.AddVeth("v0", PeerSpec{.name = "v1", .index = 1002, .netns_fd = there.fd()}, LinkSpec{.index = 1001}));
    Must(in_here.Up("v0"));
    const double taken = Timed([&] {
      Must(in_there.Up("v1"));
      SETUP_OK(WaitUntilUp(here, "v0"));
      SETUP_OK(WaitUntilUp(there, "v1"));
    });
    Must(in_here.DeleteLink("v0"));
    return taken;
  });
}

/// All pairs one after the other, per pair; they die with their namespaces.
void Bulk(State& state, int pairs) {
  Crowd fence;
  fence.PassFence();
  for (auto _ : state) {
    {
      auto here = NetNamespace::Create(), there = NetNamespace::Create();
      Rtnl rtnl = SETUP_OK(Rtnl::In(here));
      const double taken = Timed([&] {
        for (int i = 0; i < pairs; ++i) {
          CheckInterrupted();
          Must(rtnl.AddVeth("a" + std::to_string(i), PeerSpec{.name = "b" + std::to_string(i), .netns_fd = there.fd()}));
        }
      });
      state.SetIterationTime(taken / pairs);
    }
    fence.PassFence();
  }
}

}  // namespace

void AddVeth() {
  const Traits quick{.manual = true, .quick = true};
  Add("veth/create", quick, [](State& state) { Pair(state, false, Step::kCreate); });
  Add("veth/create-across", quick, [](State& state) { Pair(state, true, Step::kCreate); });
  for (const int existing : {1, 10, 100, 1000})
    Add("veth/create-among/" + std::to_string(existing), {.manual = true, .complexity = "veth/create-among"},
        [existing](State& state) { Pair(state, false, Step::kCreate, existing); });
  Add("veth/delete", {.unit = benchmark::kMillisecond, .manual = true, .quick = true},
      [](State& state) { Pair(state, false, Step::kDelete); });
  Add("veth/move", {.unit = benchmark::kMillisecond, .manual = true, .quick = true}, [](State& state) { Move(state, false); });
  Add("veth/move-with-8-addresses-and-routes", {.unit = benchmark::kMillisecond, .manual = true},
      [](State& state) { Move(state, true); });
  Add("veth/until-carrier", {.unit = benchmark::kMillisecond, .manual = true, .quick = true}, UntilCarrier);
  Add("veth/bulk/1000", {.manual = true}, [](State& state) { Bulk(state, Scaled(1000)); });
}

}  // namespace netns::bench
