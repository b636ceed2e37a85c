// SPDX-License-Identifier: GPL-2.0-or-later
// How much of the kernel's memory a namespace and a veth pair take: what slab and per-cpu memory grow by over many of them.
#include <algorithm>
#include <cstdio>
#include <map>
#include <sstream>

#include "benchmarks/crowd.h"
#include "fixtures/rtnl.h"
#include "harness/fd.h"

namespace netns::bench {
namespace {

using Amounts = std::map<std::string, double>;

/// KiB by name, of /proc/meminfo.
Amounts MemInfo() {
  Amounts amounts;
  std::istringstream in(SETUP_OK(ReadFile("/proc/meminfo")));
  std::string name, rest;
  for (double kib; in >> name >> kib && std::getline(in, rest);) amounts[name.substr(0, name.size() - 1)] = kib;
  return amounts;
}

/// KiB by cache, of /proc/slabinfo, which only root may read.
Amounts SlabInfo() {
  Amounts amounts;
  auto text = ReadFile("/proc/slabinfo");
  if (!text.ok()) return amounts;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream in(line);
    std::string name;
    double active = 0, all = 0, size = 0;
    if (in >> name >> active >> all >> size) amounts[name] = all * size / 1024;
  }
  return amounts;
}

/// The caches that grew most, per object, as a label: "net_namespace 4.2 KiB, ...".
std::string MostGrown(const Amounts& before, const Amounts& after, int count) {
  std::vector<std::pair<double, std::string>> grown;
  for (const auto& [name, kib] : after) {
    const auto was = before.find(name);
    grown.emplace_back((kib - (was == before.end() ? 0 : was->second)) / count, name);
  }
  std::sort(grown.rbegin(), grown.rend());
  std::string label;
  for (std::size_t i = 0; i < std::min<std::size_t>(5, grown.size()); ++i) {
    char text[96];
    std::snprintf(text, sizeof text, "%s%s %.1f KiB", i == 0 ? "" : ", ", grown[i].second.c_str(), grown[i].first);
    label += text;
  }
  return label;
}

/// Calls `grow` between two looks. The time is that of `grow`, per object; the value is the memory.
void Measure(State& state, int count, const std::function<void()>& grow, const std::function<void()>& shrink) {
  double value = 0, slab = 0, percpu = 0;
  std::string label;
  for (auto _ : state) {
    const Amounts slabs_before = SlabInfo(), before = MemInfo();
    state.SetIterationTime(Timed(grow) / count);
    const Amounts after = MemInfo(), slabs_after = SlabInfo();
    const auto growth = [&](const char* name) {
      return before.contains(name) && after.contains(name) ? (after.at(name) - before.at(name)) / count : 0;
    };
    slab += growth("Slab");
    percpu += growth("Percpu");
    value += growth("Slab") + growth("Percpu");
    label = MostGrown(slabs_before, slabs_after, count);
    shrink();
  }
  const auto times = static_cast<double>(state.iterations());
  state.counters["value"] = value / times;
  state.counters["slab_kib"] = slab / times;
  state.counters["percpu_kib"] = percpu / times;
  if (!label.empty()) state.SetLabel(label);
}

}  // namespace

void AddMemory() {
  // One iteration is enough: the figure is an average over the thousand.
  const Traits traits{.manual = true, .value_unit = "KiB", .most_iterations = 1};
  Add("memory/namespace/1000", traits, [](State& state) {
    const int count = Scaled(1000);
    Crowd crowd;
    // The first ones fill caches that stay.
    crowd.Grow(count / 10 + 1);
    crowd.FreeAndWait();
    double until_gone = 0;
    Measure(state, count, [&] { crowd.Grow(count); }, [&] { until_gone += crowd.FreeAndWait(); });
    state.counters["s_until_all_freed"] = until_gone;
  });
  Add("memory/veth-pair/1000", traits, [](State& state) {
    const int count = Scaled(1000);
    Crowd crowd;
    crowd.Grow(1);
    Rtnl rtnl = SETUP_OK(Rtnl::In(crowd.At(0)));
    double until_gone = 0;
    Measure(
        state, count,
        [&] {
          for (int i = 0; i < count; ++i) {
            CheckInterrupted();
            Must(rtnl.AddVeth("a" + std::to_string(i), ("b" + std::to_string(i)).c_str()));
          }
        },
        [&] {
          rtnl = SETUP_OK(Rtnl::Open());  // a socket would keep the namespace alive
          until_gone += crowd.FreeAndWait();
        });
    state.counters["s_until_all_freed"] = until_gone;
  });
}

}  // namespace netns::bench
