// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>

#include "reports/text.h"
#include "reports/writers.h"

namespace netns::reports {
namespace {

// '#' begins a directive in a result line, so it must not stand in a name.
std::string Name(std::string name) {
  std::replace(name.begin(), name.end(), '#', '_');
  return name;
}

std::string OneLine(std::string_view text) {
  std::string out(text);
  std::replace(out.begin(), out.end(), '\n', ' ');
  return out;
}

class Ktap {
 public:
  explicit Ktap(const Report& report) : report_(report) {}

  std::string Write() {
    Line(0, "KTAP version 1");
    Line(0, fmt::format("1..{}", report_.runs.size()));
    for (std::size_t i = 0; i < report_.runs.size(); ++i) {
      const bool ok = OneRun(i);
      Line(0, fmt::format("{} {} {}", ok ? "ok" : "not ok", i + 1,
                          Name("netns-conformance on Linux " + report_.runs[i].label)));
    }
    return std::move(out_);
  }

 private:
  void Line(int depth, std::string_view text) { out_ += fmt::format("{:{}}{}\n", "", depth * 2, text); }

  void Diagnostic(int depth, std::string_view text) {
    for (const std::string& line : SplitLines(text)) Line(depth, "# " + line);
  }

  bool OneRun(std::size_t index) {
    const Run& run = report_.runs[index];
    std::vector<std::string> order;
    std::map<std::string, std::vector<const TestRecord*>> groups;
    for (const TestRecord& test : run.tests) {
      auto& group = groups[SuiteAndCase(test.info.name).first];
      if (group.empty()) order.push_back(SuiteAndCase(test.info.name).first);
      group.push_back(&test);
    }
    // A reader of KTAP has no other way to see that the run was cut short, or that nothing ran.
    const bool whole =
        run.complete && report_.assessments[index].tests.total() > report_.assessments[index].tests[Verdict::kSkip];
    Line(1, "KTAP version 1");
    Line(1, fmt::format("1..{}", order.size() + (whole ? 0 : 1)));
    bool ok = whole;
    for (std::size_t i = 0; i < order.size(); ++i) {
      const bool group_ok = Group(order[i], groups[order[i]]);
      Line(1, fmt::format("{} {} {}", group_ok ? "ok" : "not ok", i + 1, Name(order[i])));
      ok = ok && group_ok;
    }
    if (!whole) {
      for (const std::string& problem : run.problems) Diagnostic(1, problem);
      Line(1, fmt::format("not ok {} {}", order.size() + 1, run.complete ? "no test ran" : "the run is incomplete"));
    }
    return ok;
  }

  bool Group(const std::string& name, const std::vector<const TestRecord*>& tests) {
    Line(2, "KTAP version 1");
    Line(2, "# Subtest: " + Name(name));
    Line(2, fmt::format("1..{}", tests.size()));
    bool ok = true;
    for (std::size_t i = 0; i < tests.size(); ++i) ok = Test(i + 1, *tests[i]) && ok;
    return ok;
  }

  bool Test(std::size_t number, const TestRecord& test) {
    const Result* result = test.Decisive();
    const bool bad = test.verdict == Verdict::kFail || test.verdict == Verdict::kError;
    std::string directive;
    if (bad && result != nullptr) {
      Diagnostic(2, fmt::format("{} of {}", Word(test.verdict), Join(test.info.covers, ", ")));
      for (const Check& check : result->failures)
        Diagnostic(2, fmt::format("{}\n{}", check.Heading(), check.message));
      if (!result->kernel_log.empty()) Diagnostic(2, result->kernel_log);
    }
    if (test.verdict == Verdict::kMiss || test.verdict == Verdict::kSkip) {
      const std::string code = result == nullptr || result->reason.code.empty() ? "not-selected" : result->reason.code;
      directive =
          fmt::format(" # SKIP {} {}{}", Word(test.verdict), code,
                      result == nullptr || result->reason.text.empty() ? "" : ": " + OneLine(result->reason.text));
    }
    Line(2, fmt::format("{} {} {}{}", bad ? "not ok" : "ok", number, Name(SuiteAndCase(test.info.name).second),
                        directive));
    return !bad;
  }

  const Report& report_;
  std::string out_;
};

}  // namespace

std::string WriteKtap(const Report& report) { return Ktap(report).Write(); }

}  // namespace netns::reports
