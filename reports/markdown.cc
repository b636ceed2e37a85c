// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include <algorithm>

#include "reports/text.h"
#include "reports/writers.h"

namespace netns::reports {
namespace {

// A code block whose fence is longer than any run of backticks within.
std::string Fenced(const std::string& text) {
  std::size_t longest = 2, current = 0;
  for (const char c : text) {
    current = c == '`' ? current + 1 : 0;
    longest = std::max(longest, current);
  }
  const std::string fence(longest + 1, '`');
  return fmt::format("{}\n{}\n{}\n", fence, text, fence);
}

std::string Number(int number) { return number == 0 ? "" : std::to_string(number); }

}  // namespace

std::string WriteMarkdown(const Report& report) {
  std::string out = fmt::format("**{}**\n\n{}\n\n", EscapeMarkdown(report.VerdictLine()),
                                EscapeMarkdown(report.FactsLine()));
  if (report.runs.size() > 1) {
    out += "| kernel | verdict | PASS | FAIL | ERROR | MISS | SKIP | time |\n|---|---|--:|--:|--:|--:|--:|--:|\n";
    for (std::size_t i = 0; i < report.runs.size(); ++i) {
      const Counts& counts = report.assessments[i].tests;
      out += fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} |\n", EscapeMarkdown(report.runs[i].label),
                         report.RunHeadline(i).word, Number(counts[Verdict::kPass]), Number(counts[Verdict::kFail]),
                         Number(counts[Verdict::kError]), Number(counts[Verdict::kMiss]),
                         Number(counts[Verdict::kSkip]), Duration(report.runs[i].duration_ms));
    }
    out += '\n';
  }
  out +=
      "| area | requirements | PASS | FAIL | ERROR | MISS | not tested | time |\n|---|--:|--:|--:|--:|--:|--:|--:|\n";
  for (const AreaRow& row : AreaTable(report))
    if (!row.idle())
      out += fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} |\n", EscapeMarkdown(row.area), row.requirements,
                         Number(row.counts[Verdict::kPass]), Number(row.counts[Verdict::kFail]),
                         Number(row.counts[Verdict::kError]), Number(row.counts[Verdict::kMiss]),
                         Number(row.not_tested()), row.duration_ms > 0 ? Duration(row.duration_ms) : "");
  out += '\n';
  for (const Trouble& trouble : Troubles(report)) {
    std::vector<std::string> kernels;
    for (const std::size_t run : trouble.runs) kernels.push_back(report.runs[run].label);
    out += fmt::format("### {} {} on Linux {}\n\n", Word(trouble.result->verdict), EscapeMarkdown(trouble.test->info.name),
                       EscapeMarkdown(Join(kernels, ", ")));
    for (const std::string& id : trouble.test->info.covers)
      if (const Requirement* requirement = report.catalogue->Find(id))
        out += fmt::format("> {}: {} ({})\n{}\n", EscapeMarkdown(id), EscapeMarkdown(requirement->statement),
                           EscapeMarkdown(requirement->source),
                           requirement->control().empty()
                               ? ""
                               : fmt::format(">\n> Control: {}\n", EscapeMarkdown(requirement->control())));
    std::string text;
    for (const Check& check : trouble.result->failures)
      text += fmt::format("{}\n{}\n", check.Heading(), Excerpt(check.message, 60, 2000));
    if (!trouble.result->kernel_log.empty())
      text += "kernel log:\n" + Excerpt(trouble.result->kernel_log, 100, 1000) + "\n";
    if (text.empty()) text = trouble.result->reason.text + "\n";
    text.pop_back();
    out += Fenced(text);
    out += fmt::format("\nJust this one: `{}`\n\n",
                       CommandFor(report.runs[trouble.runs.front()], trouble.test->info.name));
  }
  const std::vector<MissGroup> groups = MissByRemedy(report);
  if (!groups.empty()) out += "### MISS, by what would let them run\n\n";
  for (const MissGroup& group : groups)
    out += fmt::format("- {}: {} ({})\n", Count(static_cast<long>(group.tests.size()), "test"), EscapeMarkdown(group.remedy),
                       EscapeMarkdown(Join(group.codes, ", ")));
  if (!groups.empty()) out += '\n';
  if (!report.violations.empty()) out += fmt::format("### Profile {} forbids\n\n", EscapeMarkdown(report.profile.name));
  for (const Violation& violation : report.violations)
    out += fmt::format("- {}: {} {}; remedy: {}\n", EscapeMarkdown(violation.run), EscapeMarkdown(violation.what),
                       EscapeMarkdown(violation.text), EscapeMarkdown(violation.remedy));
  for (const Run& run : report.runs)
    for (const std::string& problem : run.problems) out += fmt::format("- {}: {}\n", EscapeMarkdown(run.path), EscapeMarkdown(problem));
  return out;
}

}  // namespace netns::reports
