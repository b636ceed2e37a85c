// SPDX-License-Identifier: GPL-2.0-or-later
// What it costs to move a physical device, and how soon it is back when its namespace ends. Only on a machine of the
// suite's own: the device leaves the initial namespace.
#include <algorithm>

#include "benchmarks/bench.h"
#include "benchmarks/world.h"
#include "fixtures/link_monitor.h"
#include "fixtures/nic.h"
#include "fixtures/rtnl.h"

namespace netns::bench {
namespace {

struct Card {
  NetNamespace initial = InitialNamespace();
  Rtnl in_initial = SETUP_OK(Rtnl::In(initial));
  std::string name;

  explicit Card(const std::string& driver) {
    for (const NicInfo& nic : FindPhysicalNics())
      if (nic.driver == driver) name = nic.name;
    if (name.empty()) throw MissingNeed("needs-nic:" + driver, "no card of that driver is in the initial namespace", "boot with --nics");
  }
};

void Move(State& state, const std::string& driver, bool in) {
  Card card(driver);
  auto there = NetNamespace::Create();
  Rtnl in_there = SETUP_OK(Rtnl::In(there));
  MedianOf(state, 4, [&] {
    const double moved_in = Timed([&] { Must(card.in_initial.MoveLink(card.name, ByFd(there.fd()))); });
    const double moved_back = Timed([&] { Must(in_there.MoveLink(card.name, ByFd(card.initial.fd()))); });
    return in ? moved_in : moved_back;
  });
}

/// From the close of the last reference until the initial namespace is told of the device.
void ReturnOnEnd(State& state, const std::string& driver) {
  Card card(driver);
  MedianOf(state, 2, [&] {
    auto monitor = SETUP_OK(RtnlMonitor::In(card.initial, {RTNLGRP_LINK}));
    auto there = NetNamespace::Create();
    Must(card.in_initial.MoveLink(card.name, ByFd(there.fd())));
    SETUP_OK(monitor.Until(LinkRemoved(card.name), "the device to leave"));
    return Timed([&] {
      there.Release().Reset();
      SETUP_OK(monitor.Until(LinkAdded(card.name), "the device to come back"));
    });
  });
}

}  // namespace

void AddPhysical() {
  Traits traits{.unit = benchmark::kMillisecond, .manual = true, .quick = true, .machine = true};
  const auto add = [&](const std::string& driver) {
    Add("phys/move-in/" + driver, traits, [driver](State& state) { Move(state, driver, true); });
    Add("phys/move-back/" + driver, traits, [driver](State& state) { Move(state, driver, false); });
    Add("phys/return-on-end/" + driver, traits, [driver](State& state) { ReturnOnEnd(state, driver); });
  };
  std::vector<std::string> drivers;
  if (IsDisposableMachine())
    for (const NicInfo& nic : FindPhysicalNics())
      if (std::find(drivers.begin(), drivers.end(), nic.driver) == drivers.end()) drivers.push_back(nic.driver);
  if (drivers.empty()) drivers.emplace_back("any");
  for (const std::string& driver : drivers) add(driver);
}

}  // namespace netns::bench
