// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "reports/text.h"
#include "reports/writers.h"

namespace netns::reports {
namespace {

constexpr std::size_t kWidth = 100;

class Terminal {
 public:
  Terminal(const Report& report, bool color) : report_(report), color_(color) {}

  std::string Write() {
    Runs();
    Areas();
    Failures();
    Missing();
    Slowest();
    Problems();
    Violations();
    Line("{}", report_.FactsLine());
    if (!report_.note.empty()) Line("{}", report_.note);
    Line("{}", Paint(report_.headline().verdict, report_.VerdictLine()));
    return std::move(out_);
  }

 private:
  template <class... Args>
  void Line(fmt::format_string<Args...> format, Args&&... args) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Args>(args)...);
    out_ += '\n';
  }

  void Heading(std::string_view text) {
    Line("{}", color_ ? fmt::format("\x1b[1m{}\x1b[0m", text) : std::string(text));
  }

  std::string Paint(Verdict verdict, std::string_view text) const {
    if (!color_) return std::string(text);
    const char* code = "0";
    switch (verdict) {
      case Verdict::kPass: code = "32"; break;
      case Verdict::kFail: code = "1;31"; break;
      case Verdict::kError: code = "35"; break;
      case Verdict::kMiss: code = "33"; break;
      default: code = "2"; break;
    }
    return fmt::format("\x1b[{}m{}\x1b[0m", code, text);
  }

  // A number in its verdict's colour, and a zero in none, so that the eye finds what matters.
  std::string Cell(Verdict verdict, int number) const {
    const std::string cell = fmt::format("{:>7}", number == 0 ? "-" : std::to_string(number));
    return number == 0 ? cell : Paint(verdict, cell);
  }

  void Runs() {
    if (report_.runs.size() < 2) return;
    Heading(fmt::format("{:<34}{:>7}{:>7}{:>7}{:>7}{:>7}{:>11}  verdict", "kernel", "PASS", "FAIL", "ERROR", "MISS",
                        "SKIP", "time"));
    for (std::size_t i = 0; i < report_.runs.size(); ++i) {
      const Run& run = report_.runs[i];
      const Counts& counts = report_.assessments[i].tests;
      std::string row = fmt::format("{:<34}", run.label);
      for (const Verdict verdict : {Verdict::kPass, Verdict::kFail, Verdict::kError, Verdict::kMiss, Verdict::kSkip})
        row += Cell(verdict, counts[verdict]);
      const Headline headline = report_.RunHeadline(i);
      Line("{}{:>11}  {}", row, Duration(run.duration_ms), Paint(headline.verdict, headline.word));
    }
    Line("");
  }

  void AreaLine(const AreaRow& row) {
    const int idle = row.not_tested();
    Line("{:<10}{:>13}{}{}{}{}{}{:>13}", row.area, row.requirements, Cell(Verdict::kPass, row.counts[Verdict::kPass]),
         Cell(Verdict::kFail, row.counts[Verdict::kFail]), Cell(Verdict::kError, row.counts[Verdict::kError]),
         Cell(Verdict::kMiss, row.counts[Verdict::kMiss]),
         fmt::format("{:>12}", idle == 0 ? "-" : std::to_string(idle)),
         row.duration_ms > 0 ? Duration(row.duration_ms) : "-");
  }

  void Areas() {
    Heading(fmt::format("{:<10}{:>13}{:>7}{:>7}{:>7}{:>7}{:>12}{:>13}", "area", "requirements", "PASS", "FAIL", "ERROR",
                        "MISS", "not tested", "time"));
    AreaRow sum{.area = "all"};
    int other_areas = 0;
    for (const AreaRow& row : AreaTable(report_)) {
      sum.requirements += row.requirements;
      sum.duration_ms += row.duration_ms;
      // Areas of which nothing ran are told as a number below.
      if (row.idle())
        ++other_areas;
      else
        AreaLine(row);
    }
    for (std::size_t i = 0; i < report_.catalogue->requirements().size(); ++i)
      sum.counts.Add(report_.RequirementVerdict(i));
    AreaLine(sum);
    if (other_areas > 0)
      Line("({} more {} without a test in {})", other_areas, other_areas == 1 ? "area" : "areas",
           report_.runs.size() == 1 ? "this run" : "these runs");
    Line("");
  }

  void Failures() {
    for (const Trouble& trouble : Troubles(report_)) {
      const TestInfo& info = trouble.test->info;
      const Result& result = *trouble.result;
      std::string on;
      if (report_.runs.size() > 1) {
        std::vector<std::string> kernels;
        for (const std::size_t run : trouble.runs) kernels.push_back(report_.runs[run].label);
        on = fmt::format("  on {}", Join(kernels, ", "));
      }
      Line("{} {}{}", Paint(result.verdict, Word(result.verdict)), info.name, on);
      for (const std::string& id : info.covers) {
        const Requirement* requirement = report_.catalogue->Find(id);
        if (requirement == nullptr) {
          Line("  {}: unknown to the catalogue", id);
          continue;
        }
        Line("{}", Wrap(fmt::format("{}: {}", id, requirement->statement), kWidth, 2));
        Line("{}", Wrap(fmt::format("[{}]", requirement->source), kWidth, 4));
        if (const std::string control = requirement->control(); !control.empty())
          Line("{}", Wrap("control: " + control, kWidth, 4));
      }
      if (result.iteration > 1) Line("  in iteration {}", result.iteration);
      for (const Check& check : result.failures) {
        Line("  {}", check.Heading());
        if (!check.message.empty()) Line("{}", Indent(Excerpt(check.message, 60, 2000), "    "));
      }
      const bool reason_is_told = !result.failures.empty() && result.failures.back().kind == result.reason.code;
      if (!result.reason.code.empty() && !reason_is_told)
        Line("  {}{}{}", result.reason.code, result.reason.text.empty() ? "" : ": ", result.reason.text);
      if (!result.kernel_log.empty()) {
        Line("  kernel log:");
        Line("{}", Indent(Excerpt(result.kernel_log, 200, 2000), "    | "));
      }
      if (const std::string output = result.OutputBesideFailures(); !output.empty()) {
        Line("  output:");
        Line("{}", Indent(Excerpt(output, 40, 2000), "    | "));
      }
      Line("  just this one: {}", CommandFor(report_.runs[trouble.runs.front()], info.name));
      Line("");
    }
  }

  void Missing() {
    const std::vector<MissGroup> groups = MissByRemedy(report_);
    if (groups.empty()) return;
    Heading("MISS, by what would let them run");
    for (const MissGroup& group : groups) {
      Line("{} {} ({})", Paint(Verdict::kMiss, fmt::format("{:>5}", group.tests.size())), group.remedy,
           Join(group.codes, ", "));
      constexpr std::size_t kNamed = 5;
      std::vector<std::string> names(group.tests.begin(),
                                     group.tests.begin() + static_cast<long>(std::min(kNamed, group.tests.size())));
      if (group.tests.size() > kNamed) names.push_back(fmt::format("and {} more", group.tests.size() - kNamed));
      Line("{}", Wrap(Join(names, ", "), kWidth, 6));
    }
    Line("");
  }

  void Slowest() {
    if (report_.slowest <= 0) return;
    struct Slow {
      double duration;
      const TestRecord* test;
      const Run* run;
    };
    std::vector<Slow> all;
    for (const Run& run : report_.runs)
      for (const TestRecord& test : run.tests)
        if (test.duration_ms() > 0)
          all.push_back({test.duration_ms() / static_cast<double>(test.results.size()), &test, &run});
    const std::size_t shown = std::min(all.size(), static_cast<std::size_t>(report_.slowest));
    std::partial_sort(all.begin(), all.begin() + static_cast<long>(shown), all.end(), [](const Slow& a, const Slow& b) {
      return a.duration != b.duration ? a.duration > b.duration : a.test->info.name < b.test->info.name;
    });
    Heading(fmt::format("the {} slowest tests", shown));
    for (std::size_t i = 0; i < shown; ++i)
      Line("{:>11}  {}{}", Duration(all[i].duration), all[i].test->info.name,
           report_.runs.size() > 1 ? "  on " + all[i].run->label : "");
    Line("");
  }

  void Problems() {
    bool any = false;
    const auto say = [&](const std::string& text) {
      Line("{}", Wrap(text, kWidth, 0));
      any = true;
    };
    for (std::size_t i = 0; i < report_.runs.size(); ++i) {
      const Run& run = report_.runs[i];
      for (const Note& note : run.notes)
        if (note.level == "warning") say(fmt::format("note: {}: {}", run.label, note.text));
      for (const std::string& problem : run.problems) say(fmt::format("{}: {}", run.path, problem));
      if (!report_.assessments[i].unknown_ids.empty())
        say(fmt::format("{}: tests cover requirements that the catalogue does not have: {}", run.path,
                        Join(report_.assessments[i].unknown_ids, ", ")));
      std::vector<std::string> suspects;
      long not_reached = 0;
      for (const TestRecord& test : run.tests) {
        if (test.in_flight) suspects.push_back(test.info.name);
        if (test.not_reached) ++not_reached;
      }
      if (!run.complete)
        say(Paint(Verdict::kError, fmt::format("INCOMPLETE: {}: {}; {}", run.path,
                                               suspects.empty() ? "no test was in flight"
                                                                : "in flight when it ended: " + Join(suspects, ", "),
                                               Count(not_reached, "test") + " never ran")));
      else if (not_reached > 0)
        say(fmt::format("{}: {} asked for and never run: ERROR", run.path, Count(not_reached, "test")));
      if (run.complete && report_.assessments[i].tests.total() == report_.assessments[i].tests[Verdict::kSkip])
        say(fmt::format("{}: no test ran, so nothing is known: ERROR", run.path));
    }
    if (any) Line("");
  }

  void Violations() {
    if (report_.violations.empty()) return;
    Heading(fmt::format("profile {} ({}) forbids", report_.profile.name, report_.profile.digest.substr(0, 12)));
    for (const Violation& violation : report_.violations)
      Line("  {}{} {}; remedy: {}", report_.runs.size() > 1 ? violation.run + ": " : "", violation.what, violation.text,
           violation.remedy);
    Line("");
  }

  const Report& report_;
  bool color_;
  std::string out_;
};

}  // namespace

std::string WriteTerminal(const Report& report, bool color) { return Terminal(report, color).Write(); }

}  // namespace netns::reports
