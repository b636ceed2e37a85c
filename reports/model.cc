// SPDX-License-Identifier: GPL-2.0-or-later
// What several writers tell alike.
#include <algorithm>
#include <map>

#include "reports/writers.h"

namespace netns::reports {

std::vector<MissGroup> MissByRemedy(const Report& report) {
  std::map<std::string, MissGroup> groups;
  for (const Run& run : report.runs)
    for (const TestRecord& test : run.tests) {
      const Result* result = test.Decisive();
      if (test.verdict != Verdict::kMiss || result == nullptr) continue;
      MissGroup& group = groups[RemedyOf(result->reason)];
      const auto add = [](std::vector<std::string>& to, const std::string& what) {
        if (std::find(to.begin(), to.end(), what) == to.end()) to.push_back(what);
      };
      add(group.codes, result->reason.code);
      add(group.tests, test.info.name);
    }
  std::vector<MissGroup> out;
  for (auto& [remedy, group] : groups) {
    group.remedy = remedy;
    out.push_back(std::move(group));
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const auto& a, const auto& b) { return a.tests.size() > b.tests.size(); });
  return out;
}

std::vector<Trouble> Troubles(const Report& report) {
  std::vector<Trouble> out;
  // By name, so that a failure on fifty kernels is looked up and not searched for.
  std::map<std::string, std::vector<std::size_t>> by_name;
  for (std::size_t i = 0; i < report.runs.size(); ++i)
    for (const TestRecord& test : report.runs[i].tests) {
      const Result* result = test.Decisive();
      const bool bad = test.verdict == Verdict::kFail || test.verdict == Verdict::kError;
      if (!bad || result == nullptr || test.not_reached) continue;
      auto& known = by_name[test.info.name];
      const auto alike = std::find_if(known.begin(), known.end(), [&](std::size_t index) {
        const Result& other = *out[index].result;
        return other.verdict == result->verdict && other.failures == result->failures &&
               other.reason == result->reason && other.kernel_log == result->kernel_log;
      });
      if (alike != known.end()) {
        out[*alike].runs.push_back(i);
      } else {
        known.push_back(out.size());
        out.push_back({.test = &test, .result = result, .runs = {i}});
      }
    }
  std::stable_partition(out.begin(), out.end(),
                        [](const Trouble& trouble) { return trouble.result->verdict == Verdict::kFail; });
  return out;
}

std::vector<AreaRow> AreaTable(const Report& report) {
  std::vector<AreaRow> rows;
  std::map<std::string, std::size_t, std::less<>> index;
  const auto row = [&](std::string_view area) -> AreaRow& {
    const auto [found, is_new] = index.emplace(area, rows.size());
    if (is_new) rows.push_back({.area = std::string(area)});
    return rows[found->second];
  };
  const auto& requirements = report.catalogue->requirements();
  for (std::size_t i = 0; i < requirements.size(); ++i) {
    AreaRow& area = row(requirements[i].area());
    ++area.requirements;
    area.counts.Add(report.RequirementVerdict(i));
  }
  // A test's time belongs to the area of the first requirement that it names.
  for (const Run& run : report.runs)
    for (const TestRecord& test : run.tests)
      if (!test.info.covers.empty()) row(AreaOf(test.info.covers.front())).duration_ms += test.duration_ms();
  return rows;
}

std::pair<std::string, std::string> SuiteAndCase(const std::string& name) {
  const auto dot = name.find('.');
  if (dot == std::string::npos) return {"tests", name};
  return {name.substr(0, dot), name.substr(dot + 1)};
}

}  // namespace netns::reports
