// SPDX-License-Identifier: GPL-2.0-or-later
#include "reports/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "reports/text.h"

namespace netns::reports {

Assessment Assess(const Catalogue& catalogue, const Run& run) {
  Assessment out;
  const auto& requirements = catalogue.requirements();
  out.states.resize(requirements.size());
  for (std::uint32_t i = 0; i < run.tests.size(); ++i) {
    const TestRecord& test = run.tests[i];
    out.tests.Add(test.verdict);
    for (const std::string& id : test.info.covers) {
      const Requirement* requirement = catalogue.Find(id);
      if (requirement == nullptr) {
        if (std::find(out.unknown_ids.begin(), out.unknown_ids.end(), id) == out.unknown_ids.end())
          out.unknown_ids.push_back(id);
        continue;
      }
      RequirementState& state = out.states[static_cast<std::size_t>(requirement - requirements.data())];
      state.verdict = Worse(state.verdict, test.verdict);
      state.tests.push_back(i);
    }
  }
  for (const RequirementState& state : out.states) out.requirements.Add(state.verdict);
  return out;
}

Report Report::Make(const Catalogue& catalogue, std::vector<Run> runs, Profile profile) {
  Report report;
  report.catalogue = &catalogue;
  report.runs = std::move(runs);
  report.profile = std::move(profile);
  for (const Run& run : report.runs) {
    report.assessments.push_back(Assess(catalogue, run));
    for (Violation& violation : Judge(report.profile, catalogue, run, report.assessments.back()))
      report.violations.push_back(std::move(violation));
  }
  return report;
}

bool Report::incomplete() const {
  return std::any_of(runs.begin(), runs.end(), [](const Run& run) { return !run.complete; });
}

Verdict Report::RunVerdict(std::size_t run) const {
  Verdict worst = Verdict::kUntested;
  for (const Verdict verdict : kAllVerdicts)
    if (assessments[run].tests[verdict] > 0) worst = Worse(worst, verdict);
  const bool something_ran = assessments[run].tests.total() > assessments[run].tests[Verdict::kSkip];
  if (!runs[run].complete || !something_ran) worst = Worse(worst, Verdict::kError);
  return worst;
}

Verdict Report::verdict() const {
  Verdict worst = Verdict::kUntested;
  for (std::size_t i = 0; i < runs.size(); ++i) worst = Worse(worst, RunVerdict(i));
  return worst;
}

ExitStatus Report::exit_status() const {
  // An incomplete run comes first: what it lacks is unknown, so no other status would be true of it.
  if (incomplete()) return kExitError;
  switch (verdict()) {
    case Verdict::kFail: return kExitFail;
    case Verdict::kError:
    case Verdict::kUntested: return kExitError;
    default: return violations.empty() ? kExitPass : kExitForbidden;
  }
}

namespace {

// Where all that was asked for is MISS, nothing has passed, whatever the profile allows.
Headline HeadlineOf(Verdict verdict, bool incomplete, bool forbidden, bool some_passed) {
  if (incomplete) return {"INCOMPLETE", Verdict::kError};
  if (verdict == Verdict::kFail || verdict == Verdict::kError) return {Word(verdict), verdict};
  if (forbidden) return {"FORBIDDEN", Verdict::kMiss};
  return some_passed ? Headline{"PASS", Verdict::kPass} : Headline{Word(verdict), verdict};
}

}  // namespace

Headline Report::headline() const {
  const bool some_passed = std::any_of(assessments.begin(), assessments.end(), [](const Assessment& assessment) {
    return assessment.tests[Verdict::kPass] > 0;
  });
  return HeadlineOf(verdict(), incomplete(), !violations.empty(), some_passed);
}

Headline Report::RunHeadline(std::size_t run) const {
  const bool forbidden = std::any_of(violations.begin(), violations.end(), [&](const Violation& violation) {
    return violation.run == runs[run].label;
  });
  return HeadlineOf(RunVerdict(run), !runs[run].complete, forbidden, assessments[run].tests[Verdict::kPass] > 0);
}

Verdict Report::RequirementVerdict(std::size_t index) const {
  Verdict worst = Verdict::kUntested;
  for (const Assessment& assessment : assessments) worst = Worse(worst, assessment.states[index].verdict);
  return worst;
}

bool Report::HoldsInPart(std::size_t index) const {
  if (RequirementVerdict(index) != Verdict::kMiss) return false;
  for (std::size_t run = 0; run < runs.size(); ++run)
    for (const std::uint32_t test : assessments[run].states[index].tests)
      if (runs[run].tests[test].verdict == Verdict::kPass) return true;
  return false;
}

std::string Report::VerdictLine() const {
  Counts counts;
  int in_part = 0;
  for (std::size_t i = 0; i < catalogue->requirements().size(); ++i) {
    counts.Add(RequirementVerdict(i));
    in_part += HoldsInPart(i);
  }
  const int idle = counts[Verdict::kUntested] + counts[Verdict::kSkip];
  const int asked = counts.total() - idle;
  const std::string where = runs.size() == 1 ? KernelName(runs.front()) : Count(static_cast<long>(runs.size()), "run");
  std::string line =
      fmt::format("{}: {}: {} of {} requirements checked hold, {} FAIL, {} ERROR, {} MISS{}; {} not tested",
                  headline().word, where,
                  counts[Verdict::kPass], asked, counts[Verdict::kFail], counts[Verdict::kError], counts[Verdict::kMiss],
                  in_part > 0 ? fmt::format(" ({} only in part)", in_part) : "", idle);
  // What holds was seen by few of the tests that could have seen it fail.
  if (std::any_of(runs.begin(), runs.end(), [](const Run& run) { return run.header.quick; })) line += "; a --quick run, not all tests";
  if (!violations.empty())
    line += fmt::format("; profile {} forbids {}", profile.name,
                        Count(static_cast<long>(violations.size()), "finding"));
  return line;
}

std::string Report::FactsLine() const {
  Counts counts;
  double duration = 0;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    counts += assessments[i].tests;
    duration += runs[i].duration_ms;
  }
  std::vector<std::string> parts;
  for (const Verdict verdict : kAllVerdicts)
    if (counts[verdict] > 0) parts.push_back(fmt::format("{} {}", counts[verdict], Word(verdict)));
  return fmt::format("{}{} in {}; profile {} ({})", Count(counts.total(), "test"),
                     parts.empty() ? "" : fmt::format(" ({})", Join(parts, ", ")), Duration(duration), profile.name,
                     profile.digest.substr(0, 12));
}

std::string KernelName(const Run& run) {
  std::vector<std::string> facts;
  if (!run.header.architecture.empty()) facts.push_back(run.header.architecture);
  if (const auto found = run.header.machine.find("accelerator"); found != run.header.machine.end())
    facts.push_back(found->second);
  if (run.header.privilege == "user") facts.emplace_back("ordinary user");
  const std::string kernel = fmt::format("Linux {}", run.label);
  return facts.empty() ? kernel : fmt::format("{} ({})", kernel, Join(facts, ", "));
}

std::string CommandFor(const Run& run, const std::string& test) {
  const bool in_vm = !run.header.machine.empty();
  std::string command = fmt::format("./netns-conformance {}", in_vm ? "vm" : "run");
  // What the launcher blames on no test (Machine.Boot1) takes the whole run to show again.
  if (const TestRecord* record = run.Find(test); record == nullptr || !record->info.file.empty())
    command += " --filter=" + ShellWord(test);
  if (in_vm)
    for (const std::string& word : run.header.again) command += " " + ShellWord(word);
  else if (run.header.disposable)
    command += " -- --disposable-machine";
  return command;
}

}  // namespace netns::reports
