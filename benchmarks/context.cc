// SPDX-License-Identifier: GPL-2.0-or-later
#include "benchmarks/context.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <sstream>

#include "harness/fd.h"

namespace netns::bench {
namespace {

std::string FirstLine(const std::string& path) {
  auto text = ReadFile(path);
  if (!text.ok() || text->empty()) return "unknown";
  return text->substr(0, text->find('\n'));
}

/// "model name : AMD EPYC" -> "AMD EPYC", of the first CPU.
std::string CpuInfo(const std::string& text, std::string_view key) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(key))
      if (const auto colon = line.find(": "); colon != std::string::npos) return line.substr(colon + 2);
  return "unknown";
}

std::string Accelerator(const std::string& cpuinfo, const nlohmann::json& machine) {
  if (machine.is_object() && machine.contains("accelerator") && machine["accelerator"].is_string())
    return machine["accelerator"].get<std::string>();
  const std::string flags = " " + CpuInfo(cpuinfo, "flags") + " ";
  return flags.find(" hypervisor ") != std::string::npos ? "a virtual machine" : "none (bare metal)";
}

double Quantile(const std::vector<double>& sorted, double part) {
  const double at = part * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  if (below + 1 >= sorted.size()) return sorted.back();
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[below + 1] - sorted[below]);
}

}  // namespace

const std::vector<std::string>& OptionsThatCount() {
  static const std::vector<std::string> options = {
      "NET_NS",      "USER_NS",       "VETH",          "BRIDGE",      "IPV6",           "NF_TABLES",
      "NF_CONNTRACK", "XFRM",         "SMP",           "HZ",          "PREEMPT",        "PREEMPT_VOLUNTARY",
      "PREEMPT_DYNAMIC", "PREEMPT_RT", "PROVE_LOCKING", "KASAN",      "SLUB_DEBUG_ON",  "DEBUG_NET",
      "NET_NS_REFCNT_TRACKER", "DEBUG_OBJECTS", "KCOV", "CPU_MITIGATIONS"};
  return options;
}

std::map<std::string, std::string> ReadContext(const std::string& root, const nlohmann::json& machine) {
  auto cpuinfo = ReadFile(root + "/proc/cpuinfo");
  const std::string info = cpuinfo.ok() ? *cpuinfo : "";
  const std::string smt = FirstLine(root + "/sys/devices/system/cpu/smt/active");
  const std::string load = FirstLine(root + "/proc/loadavg");
  return {{"accelerator", Accelerator(info, machine)},
          {"clocksource", FirstLine(root + "/sys/devices/system/clocksource/clocksource0/current_clocksource")},
          {"cpu", CpuInfo(info, "model name")},
          {"cpus", FirstLine(root + "/sys/devices/system/cpu/online")},
          {"governor", FirstLine(root + "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")},
          {"load", load.substr(0, load.find(' '))},
          {"smt", smt == "1" ? "on" : smt == "0" ? "off" : smt},
          {"turbo", FirstLine(root + "/sys/devices/system/cpu/cpufreq/boost")}};
}

CpuTimes ParseCpuTimes(std::string_view stat) {
  // cpu user nice system idle iowait irq softirq steal ...
  std::istringstream in{std::string(stat.substr(0, stat.find('\n')))};
  std::string word;
  in >> word;
  CpuTimes times;
  int column = 0;
  for (double value; column < 8 && in >> value; ++column) {
    times.all += value;
    if (column == 3 || column == 4) times.idle += value;
    if (column == 7) times.steal = value;
  }
  return times;
}

double Spread(std::vector<double> values) {
  if (values.size() < 2) return 0;
  std::sort(values.begin(), values.end());
  const double median = Quantile(values, 0.5);
  return median > 0 ? (Quantile(values, 0.75) - Quantile(values, 0.25)) / median : 0;
}

std::string WhyNoisy(const NoiseFacts& facts) {
  std::string why;
  const auto add = [&](const char* format, double value) {
    char text[128];
    std::snprintf(text, sizeof text, format, value);
    why += (why.empty() ? "" : "; ") + std::string(text);
  };
  if (facts.spin > 0.05) add("the same arithmetic took times that differ by %.0f%%", facts.spin * 100);
  if (facts.steal > 0.02) add("the hypervisor took %.0f%% of the CPUs' time", facts.steal * 100);
  if (facts.load_before > 0.5) add("%.1f processes per CPU were running before it began", facts.load_before);
  return why;
}

}  // namespace netns::bench
