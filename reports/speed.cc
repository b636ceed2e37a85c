// SPDX-License-Identifier: GPL-2.0-or-later
#include "reports/speed.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "reports/text.h"

namespace netns::reports {
namespace {

using nlohmann::json;

// What a machine's speed is told by; network namespaces have no part in either.
constexpr std::array kMachine = {"noise/spin", "noise/memory"};

std::map<std::string, std::vector<double>> ValuesByName(const Run& run) {
  std::map<std::string, std::vector<double>> values;
  for (const Measurement& one : run.measurements) values[one.name].push_back(one.value);
  return values;
}

std::string KernelOf(const Run& run) { return run.header.release.empty() ? run.path : "Linux " + run.header.release; }

std::string KernelOf(const std::vector<Run>& runs) { return runs.empty() ? "nothing" : KernelOf(runs.front()); }

bool IsGoogleBenchmark(const json& document) {
  return document.is_object() && document.contains("benchmarks") && document["benchmarks"].is_array();
}

Run FromGoogleBenchmark(const json& document, const std::string& path) {
  Run run;
  run.path = path;
  run.complete = true;
  const auto text = [](const json& object, const char* key) {
    return object.contains(key) && object[key].is_string() ? Printable(object[key].get<std::string>()) : std::string();
  };
  if (document.contains("context")) run.header.release = text(document["context"], "kernel_release");
  for (const json& one : document["benchmarks"]) {
    if (!one.is_object() || text(one, "run_type") == "aggregate" || !one.contains("real_time") || !one["real_time"].is_number())
      continue;
    run.measurements.push_back({.name = text(one, "name"), .unit = text(one, "time_unit"), .value = one["real_time"]});
  }
  return run;
}

json ToJson(const SpeedDifference& one) {
  return {{"name", one.name},
          {"unit", one.unit},
          {"before", one.before},
          {"after", one.after},
          {"repetitions_before", one.repetitions_before},
          {"repetitions_after", one.repetitions_after},
          {"p", one.p}};
}

}  // namespace

void AddMeasurements(Samples& samples, const std::vector<Run>& before, const std::vector<Run>& after) {
  for (const bool is_new : {false, true})
    for (const Run& run : is_new ? after : before)
      for (const Measurement& one : run.measurements) {
        Sample& sample = samples[one.name];
        sample.unit = one.unit;
        (is_new ? sample.after : sample.before).push_back(one.value);
      }
}

std::vector<SpeedDifference> TestSpeeds(const Samples& samples, double false_discoveries) {
  std::vector<SpeedDifference> all;
  std::vector<double> p;
  for (const auto& [name, sample] : samples) {
    if (sample.before.size() < kFewestRepetitions || sample.after.size() < kFewestRepetitions) continue;
    p.push_back(MannWhitneyP(sample.before, sample.after));
    all.push_back({.name = name,
                   .unit = sample.unit,
                   .before = Median(sample.before),
                   .after = Median(sample.after),
                   .repetitions_before = sample.before.size(),
                   .repetitions_after = sample.after.size(),
                   .p = p.back()});
  }
  const std::vector<bool> found = Discoveries(p, false_discoveries);
  for (std::size_t i = 0; i < all.size(); ++i) all[i].significant = found[i];
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.p < b.p; });
  return all;
}

bool SpeedDifference::slower() const {
  const bool is_rate = unit.ends_with("/s") || unit.ends_with("per second");
  return is_rate ? after < before : after > before;
}

std::string SpeedDifference::Sentence() const {
  return fmt::format("{} {}: {:.3g} {} -> {:.3g} {} ({:+.0f}%, p = {:.2g}, {} and {} repetitions)",
                     slower() ? "slower" : "faster", name, before, unit, after, unit, (after / before - 1) * 100,
                     p, repetitions_before, repetitions_after);
}

std::vector<SpeedRow> SpeedTable(const Run& run) {
  std::vector<SpeedRow> rows;
  std::map<std::string, std::size_t> index;
  for (const Measurement& one : run.measurements) {
    const auto [found, is_new] = index.emplace(one.name, rows.size());
    if (is_new) rows.push_back({.name = one.name, .unit = one.unit, .floor = one.floor});
    rows[found->second].values.push_back(one.value);
  }
  for (SpeedRow& row : rows) {
    row.median = Median(row.values);
    row.interval = MedianInterval(row.values);
  }
  for (SpeedRow& row : rows) {
    const auto floor = index.find(row.floor);
    if (floor == index.end()) continue;
    const SpeedRow& below = rows[floor->second];
    if (below.median > 0 && below.unit == row.unit) row.times_floor = row.median / below.median;
  }
  std::sort(rows.begin(), rows.end(), [](const SpeedRow& a, const SpeedRow& b) { return a.name < b.name; });
  return rows;
}

std::string WriteSpeedText(const std::vector<Run>& runs) {
  std::string out;
  for (const Run& run : runs) {
    const std::vector<SpeedRow> rows = SpeedTable(run);
    if (rows.empty()) continue;
    std::size_t width = 9;
    for (const SpeedRow& row : rows) width = std::max(width, row.name.size());
    out += fmt::format("{}{}\n", KernelOf(run), run.complete ? "" : " (incomplete)");
    out += fmt::format("{:<{}} {:>12} {:<4} {:>25}  {:>5}  {}\n", "benchmark", width, "median", "", "95% of the median", "runs",
                       "times the floor");
    for (const SpeedRow& row : rows) {
      const std::string interval = row.interval.confidence >= 0.95
                                       ? fmt::format("{:.4g} .. {:.4g}", row.interval.low, row.interval.high)
                                       : "(too few)";
      const std::string floor = row.times_floor > 0 ? fmt::format("{:.2f} x {}", row.times_floor, row.floor) : "";
      out += fmt::format("{:<{}} {:>12.4g} {:<4} {:>25}  {:>5}  {}", row.name, width, row.median, row.unit, interval,
                         row.values.size(), floor);
      out.erase(out.find_last_not_of(' ') + 1);
      out += '\n';
    }
    auto values = ValuesByName(run);
    out += fmt::format("noise floor: the same arithmetic differs by {:.1f}%, the same use of memory by {:.1f}%\n",
                       Spread(values["noise/spin"]) * 100, Spread(values["noise/memory"]) * 100);
    for (const Note& note : run.notes)
      if (note.level == "warning") out += fmt::format("warning: {}\n", note.text);
    out += '\n';
  }
  return out.empty() ? "no measurements\n" : out;
}

SpeedComparison CompareSpeed(const std::vector<Run>& before, const std::vector<Run>& after, const SpeedCompareOptions& options) {
  SpeedComparison out;
  out.before = KernelOf(before);
  out.after = KernelOf(after);
  for (const auto* runs : {&before, &after})
    for (const Run& run : *runs) out.incomplete = out.incomplete || !run.complete;
  Samples samples;
  AddMeasurements(samples, before, after);
  for (const char* name : kMachine) {
    const Sample machine = samples[name];
    out.noise = std::max({out.noise, Spread(machine.before), Spread(machine.after)});
    if (Median(machine.before) > 0 && Median(machine.after) > 0)
      out.machine_shift = std::max(out.machine_shift, std::abs(Median(machine.after) / Median(machine.before) - 1));
  }
  out.least_effect = std::max({options.least_effect, out.noise, out.machine_shift});
  for (auto one = samples.begin(); one != samples.end();) {
    if (one->first.starts_with("noise/")) {
      one = samples.erase(one);
      continue;
    }
    if (one->second.before.size() < kFewestRepetitions || one->second.after.size() < kFewestRepetitions)
      out.missing.push_back(fmt::format("{} ({} and {} repetitions)", one->first, one->second.before.size(), one->second.after.size()));
    ++one;
  }
  const std::vector<SpeedDifference> all = TestSpeeds(samples, options.false_discoveries);
  out.compared = all.size();
  for (const SpeedDifference& one : all) {
    if (!one.significant || std::abs(one.change()) < options.least_effect) continue;
    (std::abs(one.change()) >= out.least_effect ? out.claimed : out.below_noise).push_back(one);
  }
  return out;
}

long SpeedComparison::slower() const {
  return std::count_if(claimed.begin(), claimed.end(), [](const SpeedDifference& one) { return one.slower(); });
}

ExitStatus SpeedComparison::exit_status() const {
  if (slower() > 0) return kExitFail;
  return incomplete || !missing.empty() || compared == 0 ? kExitError : kExitPass;
}

std::string SpeedComparison::VerdictLine() const {
  const std::string word = slower() > 0                                       ? "SLOWER"
                           : exit_status() == kExitError                      ? "INCOMPLETE"
                           : !below_noise.empty()                             ? "NOISY"
                                                                              : "NOT SLOWER";
  return fmt::format("{}: {} against {}: of {}, {} slower, {} faster by {:.0f}% or more; {} not claimed for the machine's noise", word,
                     after, before, Count(static_cast<long>(compared), "benchmark"), slower(),
                     static_cast<long>(claimed.size()) - slower(), least_effect * 100, below_noise.size());
}

std::string WriteSpeedComparisonText(const SpeedComparison& comparison) {
  std::string out;
  for (const SpeedDifference& one : comparison.claimed) out += one.Sentence() + "\n";
  for (const SpeedDifference& one : comparison.below_noise) out += fmt::format("not claimed: {}\n", one.Sentence());
  for (const std::string& name : comparison.missing) out += fmt::format("not comparable: {}\n", name);
  out += fmt::format("noise floor: {:.1f}% within a run, {:.1f}% between the two\n", comparison.noise * 100,
                     comparison.machine_shift * 100);
  return out + comparison.VerdictLine() + "\n";
}

std::string WriteSpeedComparisonJson(const SpeedComparison& comparison) {
  json claimed = json::array(), below_noise = json::array();
  for (const SpeedDifference& one : comparison.claimed) claimed.push_back(ToJson(one));
  for (const SpeedDifference& one : comparison.below_noise) below_noise.push_back(ToJson(one));
  return json{{"schema", "1.0"},
              {"summary", comparison.VerdictLine()},
              {"exit_status", static_cast<int>(comparison.exit_status())},
              {"compared", comparison.compared},
              {"claimed", claimed},
              {"below_noise", below_noise},
              {"not_comparable", comparison.missing},
              {"noise", comparison.noise},
              {"machine_shift", comparison.machine_shift},
              {"least_effect", comparison.least_effect}}
             .dump(1) +
         "\n";
}

std::vector<Run> ReadBenchmarkFile(const std::string& path) {
  if (path != "-") {
    std::ifstream in(path);
    // A stream of one line is an object, too; only Google Benchmark's has "benchmarks".
    const json document = json::parse(in, nullptr, false);
    if (IsGoogleBenchmark(document)) return {FromGoogleBenchmark(document, path)};
  }
  return ReadStreamFile(path);
}

}  // namespace netns::reports
