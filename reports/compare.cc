// SPDX-License-Identifier: GPL-2.0-or-later
#include "reports/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "reports/text.h"

namespace netns::reports {
namespace {

using nlohmann::ordered_json;

bool Ran(Verdict verdict) {
  return verdict == Verdict::kPass || verdict == Verdict::kFail || verdict == Verdict::kError;
}
bool Bad(Verdict verdict) { return verdict == Verdict::kFail || verdict == Verdict::kError; }

// What came of a test on one side, over all runs of it.
struct Side {
  Verdict verdict = Verdict::kUntested;
  std::string reason;
  std::string covers;
  std::vector<double> durations;
};

std::string ReasonOf(const Result& result) {
  if (!result.failures.empty()) {
    const Check& check = result.failures.front();
    return fmt::format("{}: {}", check.kind, Excerpt(check.message, 1, 200));
  }
  return result.reason.code;
}

std::map<std::string, Side> Sides(const std::vector<Run>& runs) {
  std::map<std::string, Side> sides;
  for (const Run& run : runs)
    for (const TestRecord& test : run.tests) {
      Side& side = sides[test.info.name];
      side.covers = Join(test.info.covers, ", ");
      if (const Verdict worst = Worse(side.verdict, test.verdict); worst != side.verdict) {
        side.verdict = worst;
        side.reason = test.Decisive() == nullptr ? "" : ReasonOf(*test.Decisive());
      }
      for (const Result& result : test.results)
        if (result.verdict == Verdict::kPass) side.durations.push_back(result.duration_ms);
    }
  return sides;
}

std::optional<Change> Classify(Verdict before, Verdict after, bool other_reason) {
  if (Bad(after)) {
    if (before == Verdict::kPass) return Change::kRegressed;
    if (!Ran(before)) return Change::kNewlyFailing;
    if (before != after || other_reason) return Change::kOtherReason;
    return std::nullopt;
  }
  if (after == Verdict::kPass) {
    if (Bad(before)) return Change::kFixed;
    if (!Ran(before)) return Change::kNewlyCovered;
    return std::nullopt;
  }
  if (Ran(before)) return Change::kNewlyMissing;
  if (before == Verdict::kMiss && after == Verdict::kMiss && other_reason) return Change::kOtherReason;
  return std::nullopt;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// How many of all arrangements of n and m values have U at most u, as a part of all; u is that of the smaller tail.
double ExactTail(std::size_t n, std::size_t m, std::size_t u) {
  // ways[k][s]: choices of k of the values seen so far whose ranks exceed the least possible by s in sum.
  const std::size_t most = n * m;
  std::vector<std::vector<double>> ways(n + 1, std::vector<double>(most + 1, 0));
  ways[0][0] = 1;
  for (std::size_t seen = 1; seen <= n + m; ++seen)
    for (std::size_t k = std::min(n, seen); k >= 1; --k) {
      const std::size_t shift = seen - k;  // how many values that are not chosen lie below this one
      if (shift > m) continue;
      for (std::size_t sum = most + 1; sum-- > shift;) ways[k][sum] += ways[k - 1][sum - shift];
    }
  double below = 0, all = 0;
  for (std::size_t sum = 0; sum <= most; ++sum) {
    all += ways[n][sum];
    if (sum <= u) below += ways[n][sum];
  }
  return below / all;
}

void CompareSpeeds(Comparison& comparison,
                   const std::map<std::string, std::pair<std::vector<double>, std::vector<double>>>& samples,
                   const std::map<std::string, std::string>& units, const CompareOptions& options) {
  // Fewer than five each cannot be told from chance, however far apart they are.
  constexpr std::size_t kFewest = 5;
  std::vector<SpeedDifference> all;
  for (const auto& [name, sample] : samples) {
    const auto& [before, after] = sample;
    if (before.size() < kFewest || after.size() < kFewest) continue;
    const auto unit = units.find(name);
    all.push_back({.name = name,
                   .unit = unit == units.end() ? "ms" : unit->second,
                   .before = Median(before),
                   .after = Median(after),
                   .repetitions_before = before.size(),
                   .repetitions_after = after.size(),
                   .p = MannWhitneyP(before, after)});
  }
  comparison.timed = static_cast<long>(all.size());
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.p < b.p; });
  std::size_t significant = 0;
  for (std::size_t i = 0; i < all.size(); ++i)
    if (all[i].p <= options.false_discoveries * static_cast<double>(i + 1) / static_cast<double>(all.size()))
      significant = i + 1;
  for (std::size_t i = 0; i < significant; ++i)
    if (all[i].before > 0 && std::abs(all[i].after / all[i].before - 1) >= options.least_effect)
      comparison.speeds.push_back(all[i]);
}

std::string Describe(const std::vector<Run>& runs) {
  if (runs.empty()) return "nothing";
  return runs.size() == 1 ? KernelName(runs.front())
                          : fmt::format("{} and {} more", KernelName(runs.front()),
                                        Count(static_cast<long>(runs.size()) - 1, "run"));
}

// A test that a side does not have is told apart from a requirement that no test of it covers.
std::string_view Told(const Difference& difference, Verdict verdict) {
  return verdict == Verdict::kUntested && !difference.is_requirement ? "absent" : Word(verdict);
}

constexpr std::array kChanges = {Change::kRegressed, Change::kNewlyFailing, Change::kNewlyMissing,
                                 Change::kFixed,     Change::kNewlyCovered, Change::kOtherReason};

}  // namespace

std::string_view Difference::Before() const { return Told(*this, before); }
std::string_view Difference::After() const { return Told(*this, after); }

std::string Difference::Why() const {
  if (reason_before.empty()) return reason_after;
  if (reason_after.empty()) return "was: " + reason_before;
  return fmt::format("{} (was: {})", reason_after, reason_before);
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

std::string_view Word(Change change) {
  switch (change) {
    case Change::kRegressed: return "regressed";
    case Change::kNewlyFailing: return "newly failing";
    case Change::kFixed: return "fixed";
    case Change::kNewlyMissing: return "newly missing";
    case Change::kNewlyCovered: return "newly covered";
    case Change::kOtherReason: return "another reason";
  }
  return "";
}

double MannWhitneyP(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.empty() || b.empty()) return 1;
  std::vector<std::pair<double, bool>> all;
  for (const double value : a) all.emplace_back(value, true);
  for (const double value : b) all.emplace_back(value, false);
  std::sort(all.begin(), all.end());
  double rank_sum = 0, ties = 0;
  for (std::size_t i = 0; i < all.size();) {
    std::size_t end = i;
    while (end < all.size() && all[end].first == all[i].first) ++end;
    const double rank = (static_cast<double>(i + 1) + static_cast<double>(end)) / 2;
    for (std::size_t j = i; j < end; ++j)
      if (all[j].second) rank_sum += rank;
    const auto tied = static_cast<double>(end - i);
    ties += tied * tied * tied - tied;
    i = end;
  }
  const auto n = static_cast<double>(a.size()), m = static_cast<double>(b.size());
  const double u = rank_sum - n * (n + 1) / 2;
  const double smaller = std::min(u, n * m - u);
  if (ties == 0 && a.size() * b.size() <= 400)
    return std::min(1.0, 2 * ExactTail(a.size(), b.size(), static_cast<std::size_t>(smaller)));
  const double variance = n * m / 12 * (n + m + 1 - ties / ((n + m) * (n + m - 1)));
  if (variance <= 0) return 1;
  const double z = std::max(0.0, n * m / 2 - smaller - 0.5) / std::sqrt(variance);
  return std::erfc(z / std::sqrt(2.0));
}

Comparison Compare(const Catalogue& catalogue, const std::vector<Run>& before, const std::vector<Run>& after,
                   const CompareOptions& options) {
  Comparison out;
  out.before = Describe(before);
  out.after = Describe(after);
  const auto incomplete = [](const Run& run) { return !run.complete; };
  out.incomplete =
      std::any_of(before.begin(), before.end(), incomplete) || std::any_of(after.begin(), after.end(), incomplete);

  std::map<std::string, Side> old_sides = Sides(before), new_sides = Sides(after);
  std::set<std::string> names;
  for (const auto& [name, side] : old_sides) names.insert(name);
  for (const auto& [name, side] : new_sides) names.insert(name);
  std::map<std::string, std::pair<std::vector<double>, std::vector<double>>> samples;
  for (const std::string& name : names) {
    const Side& was = old_sides[name];
    const Side& is = new_sides[name];
    samples[name] = {was.durations, is.durations};
    if (const auto change = Classify(was.verdict, is.verdict, was.reason != is.reason))
      out.differences.push_back({.change = *change,
                                 .name = name,
                                 .title = is.covers.empty() ? was.covers : is.covers,
                                 .before = was.verdict,
                                 .after = is.verdict,
                                 .reason_before = was.reason,
                                 .reason_after = is.reason});
    else
      ++out.unchanged;
  }
  std::vector<Assessment> old_states, new_states;
  for (const Run& run : before) old_states.push_back(Assess(catalogue, run));
  for (const Run& run : after) new_states.push_back(Assess(catalogue, run));
  const auto worst_of = [](const std::vector<Assessment>& states, std::size_t index) {
    Verdict worst = Verdict::kUntested;
    for (const Assessment& assessment : states) worst = Worse(worst, assessment.states[index].verdict);
    return worst;
  };
  for (std::size_t i = 0; i < catalogue.requirements().size(); ++i) {
    const Verdict was = worst_of(old_states, i), is = worst_of(new_states, i);
    if (const auto change = Classify(was, is, false))
      out.differences.push_back({.change = *change,
                                 .is_requirement = true,
                                 .name = catalogue.requirements()[i].id,
                                 .title = catalogue.requirements()[i].title,
                                 .before = was,
                                 .after = is});
  }
  std::stable_sort(out.differences.begin(), out.differences.end(), [](const Difference& a, const Difference& b) {
    const auto place = [](Change change) {
      return std::find(kChanges.begin(), kChanges.end(), change) - kChanges.begin();
    };
    if (a.change != b.change) return place(a.change) < place(b.change);
    return a.is_requirement && !b.is_requirement;
  });

  std::map<std::string, std::string> units;
  const auto measure = [&](const std::vector<Run>& runs, bool is_new) {
    for (const Run& run : runs)
      for (const Measurement& one : run.measurements) {
        units[one.name] = one.unit;
        auto& sample = samples[one.name];
        (is_new ? sample.second : sample.first).push_back(one.value);
      }
  };
  measure(before, false);
  measure(after, true);
  CompareSpeeds(out, samples, units, options);
  return out;
}

bool Comparison::regressed() const {
  return std::any_of(differences.begin(), differences.end(), [](const Difference& difference) {
    return difference.change == Change::kRegressed || difference.change == Change::kNewlyFailing;
  });
}

ExitStatus Comparison::exit_status() const {
  if (regressed()) return kExitFail;
  return incomplete ? kExitError : kExitPass;
}

std::string Comparison::VerdictLine() const {
  std::vector<std::string> parts;
  for (const Change change : kChanges) {
    long requirements = 0, tests = 0;
    for (const Difference& difference : differences)
      if (difference.change == change) ++(difference.is_requirement ? requirements : tests);
    if (requirements + tests > 0)
      parts.push_back(
          fmt::format("{}: {}, {}", Word(change), Count(requirements, "requirement"), Count(tests, "test")));
  }
  const long slower = std::count_if(speeds.begin(), speeds.end(),
                                    [](const SpeedDifference& speed) { return speed.slower(); });
  if (!speeds.empty())
    parts.push_back(fmt::format("{} slower, {} faster", slower, static_cast<long>(speeds.size()) - slower));
  const std::string word = regressed() ? "REGRESSED" : incomplete ? "ERROR (incomplete run)" : "NO REGRESSION";
  return fmt::format("{}: {} against {}: {}", word, after, before,
                     parts.empty() ? "nothing changed" : Join(parts, "; "));
}

std::string WriteComparisonText(const Comparison& comparison) {
  std::string out;
  std::optional<Change> heading;
  for (const Difference& difference : comparison.differences) {
    if (heading != difference.change) out += fmt::format("{}{}\n", heading ? "\n" : "", Word(difference.change));
    heading = difference.change;
    out += fmt::format("  {:<16} {}{}\n", fmt::format("{} -> {}", difference.Before(), difference.After()), difference.name,
                       difference.title.empty() ? "" : fmt::format("  ({})", difference.title));
    if (const std::string reasons = difference.Why(); !reasons.empty()) out += Wrap(reasons, 100, 19) + "\n";
  }
  if (heading) out += '\n';
  if (!comparison.speeds.empty()) out += "another speed\n";
  for (const SpeedDifference& speed : comparison.speeds)
    out += fmt::format("  {}\n", speed.Sentence());
  if (!comparison.speeds.empty()) out += '\n';
  if (comparison.timed == 0) out += "(no times compared: that takes 5 repetitions on each side)\n";
  return out + comparison.VerdictLine() + "\n";
}

std::string WriteComparisonMarkdown(const Comparison& comparison) {
  std::string out = fmt::format("**{}**\n\n", EscapeMarkdown(comparison.VerdictLine()));
  if (!comparison.differences.empty()) out += "| change | what | before | after | why |\n|---|---|---|---|---|\n";
  for (const Difference& difference : comparison.differences)
    out += fmt::format("| {} | {} {} | {} | {} | {} |\n", Word(difference.change), EscapeMarkdown(difference.name),
                       EscapeMarkdown(difference.title), difference.Before(), difference.After(),
                       EscapeMarkdown(difference.Why()));
  if (!comparison.speeds.empty()) out += '\n';
  for (const SpeedDifference& speed : comparison.speeds)
    out += fmt::format("- {}\n", EscapeMarkdown(speed.Sentence()));
  return out;
}

std::string WriteComparisonJson(const Comparison& comparison) {
  ordered_json differences = ordered_json::array(), speeds = ordered_json::array();
  for (const Difference& one : comparison.differences)
    differences.push_back({{"change", Word(one.change)},
                           {"kind", one.is_requirement ? "requirement" : "test"},
                           {"name", one.name},
                           {"title", one.title},
                           {"before", Word(one.before)},
                           {"after", Word(one.after)},
                           {"reason_before", one.reason_before},
                           {"reason_after", one.reason_after}});
  for (const SpeedDifference& one : comparison.speeds)
    speeds.push_back({{"name", one.name},
                      {"unit", one.unit},
                      {"before", one.before},
                      {"after", one.after},
                      {"repetitions_before", one.repetitions_before},
                      {"repetitions_after", one.repetitions_after},
                      {"p", one.p}});
  return ordered_json{{"schema", "1.0"},
                      {"summary", comparison.VerdictLine()},
                      {"exit_status", static_cast<int>(comparison.exit_status())},
                      {"before", comparison.before},
                      {"after", comparison.after},
                      {"incomplete", comparison.incomplete},
                      {"unchanged_tests", comparison.unchanged},
                      {"differences", differences},
                      {"timed", comparison.timed},
                      {"speeds", speeds}}
             .dump(1) +
         "\n";
}

}  // namespace netns::reports
