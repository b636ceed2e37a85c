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

Verdict Report::RequirementVerdict(std::size_t index) const {
  Verdict worst = Verdict::kUntested;
  for (const Assessment& assessment : assessments) worst = Worse(worst, assessment.states[index].verdict);
  return worst;
}

std::string Report::VerdictLine() const {
  Counts counts;
  for (std::size_t i = 0; i < catalogue->requirements().size(); ++i) counts.Add(RequirementVerdict(i));
  const int asked = counts.total() - counts[Verdict::kUntested] - counts[Verdict::kSkip];
  long tests = 0;
  double duration = 0;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    tests += assessments[i].tests.total() - assessments[i].tests[Verdict::kSkip];
    duration += runs[i].duration_ms;
  }
  const ExitStatus status = exit_status();
  std::string word(status == kExitForbidden ? "FORBIDDEN" : status == kExitPass ? "PASS" : Word(verdict()));
  if (incomplete()) word = "ERROR (incomplete)";
  const std::string where = runs.size() == 1 ? KernelName(runs.front()) : Count(static_cast<long>(runs.size()), "run");
  std::string line = fmt::format(
      "{}: {}: {} of {} requirements checked hold ({} FAIL, {} ERROR, {} MISS; {} of {} not tested); {} in {}", word,
      where, counts[Verdict::kPass], asked, counts[Verdict::kFail], counts[Verdict::kError], counts[Verdict::kMiss],
      counts[Verdict::kUntested] + counts[Verdict::kSkip], counts.total(), Count(tests, "test"), Duration(duration));
  line += fmt::format("; profile {}", profile.name);
  if (!violations.empty()) line += fmt::format(" forbids {}", Count(static_cast<long>(violations.size()), "finding"));
  return line;
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
  const bool in_vm = run.header.disposable || !run.header.machine.empty();
  std::string command = fmt::format("./netns-conformance {} --filter={}", in_vm ? "vm" : "run", test);
  if (const auto kernel = run.header.machine.find("kernel"); in_vm && kernel != run.header.machine.end())
    command += fmt::format(" --kernel={}", kernel->second);
  return command;
}

}  // namespace netns::reports
