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
  Samples samples;
  std::set<std::string> measured;  // a benchmark's value is what it measured, not how long that took
  for (const auto* runs : {&before, &after})
    for (const Run& run : *runs)
      for (const Measurement& one : run.measurements) measured.insert(one.name);
  for (const std::string& name : names) {
    const Side& was = old_sides[name];
    const Side& is = new_sides[name];
    if (!measured.contains(name)) samples[name] = {.unit = "ms", .before = was.durations, .after = is.durations};
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

  AddMeasurements(samples, before, after);
  const std::vector<SpeedDifference> all = TestSpeeds(samples, options.false_discoveries);
  out.timed = static_cast<long>(all.size());
  for (const SpeedDifference& one : all)
    if (one.significant && std::abs(one.change()) >= options.least_effect) out.speeds.push_back(one);
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
