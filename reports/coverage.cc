// SPDX-License-Identifier: GPL-2.0-or-later
#include "reports/coverage.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>

#include "reports/text.h"

namespace netns::reports {
namespace {

using nlohmann::ordered_json;

constexpr std::size_t kWidth = 100;

std::string Lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

const char* State(const Coverage& coverage, std::size_t index) {
  if (!coverage.TestsOf(index).empty()) return "covered";
  return coverage.catalogue().requirements()[index].untestable.empty() ? "open" : "untestable";
}

bool Selects(const Coverage& coverage, const ListFilter& filter, std::size_t index) {
  const Requirement& requirement = coverage.catalogue().requirements()[index];
  if (!filter.area.empty() && requirement.area() != filter.area) return false;
  if (!filter.priority.empty() && requirement.priority != filter.priority) return false;
  if (!filter.state.empty() && State(coverage, index) != filter.state) return false;
  const std::string all =
      Lower(requirement.id + '\n' + requirement.title + '\n' + requirement.statement + '\n' + requirement.source);
  return all.find(Lower(filter.text)) != std::string::npos;
}

struct AreaCoverage {
  std::string area;
  int requirements = 0, covered = 0, untestable = 0, open = 0;

  void Add(std::string_view state) {
    ++requirements;
    ++(state == "covered" ? covered : state == "open" ? open : untestable);
  }
};

std::vector<AreaCoverage> ByArea(const Coverage& coverage) {
  std::vector<AreaCoverage> rows;
  for (const std::string& area : coverage.catalogue().areas()) {
    AreaCoverage row;
    row.area = area;
    for (std::size_t i = 0; i < coverage.catalogue().requirements().size(); ++i)
      if (coverage.catalogue().requirements()[i].area() == area) row.Add(State(coverage, i));
    rows.push_back(row);
  }
  AreaCoverage all;
  all.area = "all";
  for (std::size_t i = 0; i < coverage.catalogue().requirements().size(); ++i) all.Add(State(coverage, i));
  rows.push_back(all);
  return rows;
}

std::string Place(const TestInfo& test) { return test.file.empty() ? "" : fmt::format("{}:{}", test.file, test.line); }

// How many single-character edits apart two words are, to suggest what was meant.
std::size_t Distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i);
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t changed = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, changed}));
    }
  }
  return row.back();
}

void Field(std::string& out, std::string_view name, std::string_view text) {
  if (!text.empty()) out += fmt::format("  {:<14}{}\n", name, Wrap(text, kWidth, 16).substr(16));
}

// The comment above a test in its source, which says how the test shows what it shows; "" where the source is not here.
std::string CommentAbove(const TestInfo& test) {
  std::ifstream file(test.file);
  std::vector<std::string> comment;
  std::string line;
  for (int number = 1; number < test.line && std::getline(file, line); ++number) {
    const auto begin = line.find_first_not_of(' ');
    if (begin != std::string::npos && line.compare(begin, 2, "//") == 0)
      comment.push_back(Printable(line.substr(std::min(line.find_first_not_of("/ ", begin), line.size()))));
    else
      comment.clear();
  }
  return file ? Join(comment, " ") : "";
}

// What came of a test in each run, with the reason where it did not pass.
void LastResults(std::string& out, const std::string& test, const std::vector<Run>& runs, std::string_view margin) {
  for (const Run& run : runs) {
    const TestRecord* record = run.Find(test);
    if (record == nullptr) continue;
    const Result* result = record->Decisive();
    std::string why;
    if (result != nullptr && !result->failures.empty())
      why = fmt::format(": {}", Excerpt(result->failures.front().message, 1, 200));
    else if (result != nullptr && !result->reason.code.empty())
      why = fmt::format(": {}{}{}", result->reason.code, result->reason.text.empty() ? "" : ", ", result->reason.text);
    out += fmt::format("{}{} on Linux {}{}\n", margin, Word(record->verdict), run.label, why);
  }
}

std::string ExplainRequirement(const Coverage& coverage, const Requirement& requirement, const std::vector<Run>& runs) {
  std::string out = fmt::format("{}: {}\n", requirement.id, requirement.title);
  Field(out, "statement", requirement.statement);
  Field(out, "source", fmt::format("{} ({})", requirement.source, requirement.basis));
  Field(out, "priority", requirement.priority);
  Field(out, "needs", Join(requirement.needs, ", "));
  Field(out, "since", requirement.since);
  Field(out, "how", requirement.way());
  Field(out, "control", requirement.control());
  Field(out, "note", requirement.note);
  Field(out, "seen on", Join(requirement.verified_on, ", "));
  Field(out, "untestable", requirement.untestable);
  const auto& tests = coverage.TestsOf(coverage.IndexOf(requirement));
  out += tests.empty() ? "  no test covers it\n" : "  tests\n";
  for (const TestInfo* test : tests) {
    out += fmt::format("    {}  {}\n", test->name, Place(*test));
    if (const std::string comment = CommentAbove(*test); !comment.empty()) out += Wrap(comment, kWidth, 6) + "\n";
    LastResults(out, test->name, runs, "      ");
  }
  return out;
}

std::string ExplainTest(const Coverage& coverage, const TestInfo& test, const std::vector<Run>& runs) {
  std::string out = fmt::format("{}\n", test.name);
  Field(out, "at", Place(test));
  Field(out, "how", CommentAbove(test));
  Field(out, "needs", Join(test.needs, ", "));
  LastResults(out, test.name, runs, "  ");
  const bool in_vm = std::any_of(test.needs.begin(), test.needs.end(), [](const std::string& need) {
    return need == "machine" || need.starts_with("nic");
  });
  out += fmt::format("  run it with: ./netns-conformance {} --filter={}\n\n", in_vm ? "vm" : "run", test.name);
  for (const std::string& id : test.covers) {
    const Requirement* requirement = coverage.catalogue().Find(id);
    out += requirement == nullptr ? fmt::format("{}: unknown to the catalogue\n", id)
                                  : ExplainRequirement(coverage, *requirement, runs);
    out += '\n';
  }
  out.pop_back();
  return out;
}

}  // namespace

Coverage::Coverage(const Catalogue& catalogue, const std::vector<TestInfo>& tests)
    : catalogue_(catalogue), tests_(tests), tests_of_(catalogue.requirements().size()) {
  for (const TestInfo& test : tests)
    for (const std::string& id : test.covers)
      if (const Requirement* requirement = catalogue.Find(id)) tests_of_[IndexOf(*requirement)].push_back(&test);
}

std::size_t Coverage::IndexOf(const Requirement& requirement) const {
  return static_cast<std::size_t>(&requirement - catalogue_.requirements().data());
}

std::vector<std::string> Coverage::Problems(const std::vector<std::string>& more_complete_areas) const {
  std::vector<std::string> out;
  std::set<std::string> names;
  for (const TestInfo& test : tests_) {
    const std::string at = Place(test).empty() ? test.name : Place(test) + ": " + test.name;
    if (!names.insert(test.name).second) out.push_back(at + ": there is another test of this name");
    if (test.covers.empty()) out.push_back(at + ": covers no requirement");
    std::set<std::string> ids;
    for (const std::string& id : test.covers) {
      if (catalogue_.Find(id) == nullptr)
        out.push_back(fmt::format("{}: covers {}, which the catalogue does not have", at, id));
      if (!ids.insert(id).second) out.push_back(fmt::format("{}: names {} twice", at, id));
    }
  }
  std::vector<std::string> complete = catalogue_.complete_areas();
  complete.insert(complete.end(), more_complete_areas.begin(), more_complete_areas.end());
  for (const std::string& area : complete)
    if (std::find(catalogue_.areas().begin(), catalogue_.areas().end(), area) == catalogue_.areas().end())
      out.push_back(fmt::format("{}: listed as complete, and the catalogue has no such area", area));
  for (std::size_t i = 0; i < tests_of_.size(); ++i) {
    const Requirement& requirement = catalogue_.requirements()[i];
    const bool must = std::find(complete.begin(), complete.end(), requirement.area()) != complete.end();
    if (must && tests_of_[i].empty() && requirement.untestable.empty())
      out.push_back(fmt::format("{}: no test covers it, and it has no untestable: reason: {}", requirement.id,
                                requirement.title));
    if (!tests_of_[i].empty() && !requirement.untestable.empty())
      out.push_back(
          fmt::format("{}: is called untestable, and {} covers it", requirement.id, tests_of_[i].front()->name));
  }
  return out;
}

std::string WriteList(const Coverage& coverage, const ListFilter& filter) {
  std::string out;
  const auto& requirements = coverage.catalogue().requirements();
  for (std::size_t i = 0; i < requirements.size(); ++i) {
    if (!Selects(coverage, filter, i)) continue;
    out += fmt::format("{:<10} {:<8} {:<10} {}\n", requirements[i].id, requirements[i].priority, State(coverage, i),
                       requirements[i].title);
    for (const TestInfo* test : coverage.TestsOf(i)) out += fmt::format("{:>13}{}\n", "", test->name);
  }
  return out;
}

std::string WriteListJson(const Coverage& coverage, const ListFilter& filter) {
  ordered_json list = ordered_json::array();
  const auto& requirements = coverage.catalogue().requirements();
  for (std::size_t i = 0; i < requirements.size(); ++i) {
    if (!Selects(coverage, filter, i)) continue;
    const Requirement& requirement = requirements[i];
    ordered_json names = ordered_json::array();
    for (const TestInfo* test : coverage.TestsOf(i)) names.push_back(test->name);
    list.push_back({{"id", requirement.id},
                    {"title", requirement.title},
                    {"statement", requirement.statement},
                    {"source", requirement.source},
                    {"priority", requirement.priority},
                    {"needs", requirement.needs},
                    {"since", requirement.since},
                    {"state", State(coverage, i)},
                    {"untestable", requirement.untestable},
                    {"tests", names}});
  }
  return ordered_json{{"requirements", list}}.dump(1) + "\n";
}

std::string WriteCoverage(const Coverage& coverage) {
  std::string out =
      fmt::format("{:<10}{:>13}{:>9}{:>12}{:>6}\n", "area", "requirements", "covered", "untestable", "open");
  for (const AreaCoverage& row : ByArea(coverage))
    out += fmt::format("{:<10}{:>13}{:>9}{:>12}{:>6}\n", row.area, row.requirements, row.covered, row.untestable,
                       row.open);
  return out;
}

std::string WriteCoverageJson(const Coverage& coverage) {
  ordered_json list = ordered_json::array();
  for (const AreaCoverage& row : ByArea(coverage))
    list.push_back({{"area", row.area},
                    {"requirements", row.requirements},
                    {"covered", row.covered},
                    {"untestable", row.untestable},
                    {"open", row.open}});
  return ordered_json{{"areas", list}}.dump(1) + "\n";
}

std::string Explain(const Coverage& coverage, const std::string& name, const std::vector<Run>& runs) {
  if (const Requirement* requirement = coverage.catalogue().Find(name))
    return ExplainRequirement(coverage, *requirement, runs);
  std::vector<std::pair<std::size_t, std::string>> near;
  for (const TestInfo& test : coverage.tests()) {
    if (test.name == name) return ExplainTest(coverage, test, runs);
    near.emplace_back(Distance(name, test.name), test.name);
  }
  for (const Requirement& requirement : coverage.catalogue().requirements())
    near.emplace_back(Distance(name, requirement.id), requirement.id);
  std::sort(near.begin(), near.end());
  std::vector<std::string> meant;
  for (std::size_t i = 0; i < std::min<std::size_t>(3, near.size()); ++i) meant.push_back(near[i].second);
  throw InputError(fmt::format(
      "'{}' is neither a requirement nor a known test; near it: {}; tests are known from --tests or --stream", name,
      Join(meant, ", ")));
}

}  // namespace netns::reports
