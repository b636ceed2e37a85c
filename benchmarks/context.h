// SPDX-License-Identifier: GPL-2.0-or-later
// What a figure depends on beside the kernel's code: the machine's state, as far as it can be read.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace netns::bench {

/// Options of the kernel that decide what network namespaces cost.
const std::vector<std::string>& OptionsThatCount();

/// governor, smt, cpus, load, accelerator, clocksource, ...: "" is never a value, what cannot be read is "unknown".
/// `root`: where /sys and /proc are ("" in earnest). `machine`: the launcher's facts of a VM.
std::map<std::string, std::string> ReadContext(const std::string& root, const nlohmann::json& machine);

/// Jiffies of /proc/stat's first line: how much of the time of all CPUs was the hypervisor's, or some other process's.
struct CpuTimes {
  double all = 0, idle = 0, steal = 0;
};
CpuTimes ParseCpuTimes(std::string_view stat);

/// Interquartile range over median: how much repetitions of the same work differ. 0 for fewer than two.
double Spread(std::vector<double> values);

/// Why figures of this run are not to be trusted; empty where nothing speaks against them.
struct NoiseFacts {
  double spin = 0;        ///< Spread() of noise/spin
  double steal = 0;       ///< part of the time that the hypervisor took
  double load_before = 0; ///< runnable processes per CPU before the run began
};
std::string WhyNoisy(const NoiseFacts& facts);

}  // namespace netns::bench
