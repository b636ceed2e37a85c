// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include <algorithm>

#include "reports/text.h"
#include "reports/writers.h"

namespace netns::reports {
namespace {

// Text that is to stay text: what Markdown, or the HTML in it, would take as markup is escaped.
std::string Escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') {
      out += "&lt;";
    } else if (c == '&') {
      out += "&amp;";
    } else if (c == '\n') {
      out += ' ';
    } else {
      if (std::string_view("\\`*_[]|>#@~").find(c) != std::string_view::npos) out += '\\';
      out += c;
    }
  }
  return out;
}

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
  std::string out = fmt::format("**{}**\n\n", Escape(report.VerdictLine()));
  if (report.runs.size() > 1) {
    out += "| kernel | verdict | PASS | FAIL | ERROR | MISS | SKIP | time |\n|---|---|--:|--:|--:|--:|--:|--:|\n";
    for (std::size_t i = 0; i < report.runs.size(); ++i) {
      const Counts& counts = report.assessments[i].tests;
      out += fmt::format("| {} | {}{} | {} | {} | {} | {} | {} | {} |\n", Escape(report.runs[i].label),
                         Word(report.RunVerdict(i)), report.runs[i].complete ? "" : " (incomplete)",
                         Number(counts[Verdict::kPass]), Number(counts[Verdict::kFail]),
                         Number(counts[Verdict::kError]), Number(counts[Verdict::kMiss]),
                         Number(counts[Verdict::kSkip]), Duration(report.runs[i].duration_ms));
    }
    out += '\n';
  }
  out +=
      "| area | requirements | PASS | FAIL | ERROR | MISS | not tested | time |\n|---|--:|--:|--:|--:|--:|--:|--:|\n";
  for (const AreaRow& row : AreaTable(report))
    out += fmt::format("| {} | {} | {} | {} | {} | {} | {} | {} |\n", Escape(row.area), row.requirements,
                       Number(row.counts[Verdict::kPass]), Number(row.counts[Verdict::kFail]),
                       Number(row.counts[Verdict::kError]), Number(row.counts[Verdict::kMiss]),
                       Number(row.counts[Verdict::kUntested] + row.counts[Verdict::kSkip]),
                       row.duration_ms > 0 ? Duration(row.duration_ms) : "");
  out += '\n';
  for (const Trouble& trouble : Troubles(report)) {
    std::vector<std::string> kernels;
    for (const std::size_t run : trouble.runs) kernels.push_back(report.runs[run].label);
    out += fmt::format("### {} {} on Linux {}\n\n", Word(trouble.result->verdict), Escape(trouble.test->info.name),
                       Escape(Join(kernels, ", ")));
    for (const std::string& id : trouble.test->info.covers)
      if (const Requirement* requirement = report.catalogue->Find(id))
        out +=
            fmt::format("> {}: {} ({})\n\n", Escape(id), Escape(requirement->statement), Escape(requirement->source));
    std::string text;
    for (const Check& check : trouble.result->failures)
      text += fmt::format("{}:{}: {}\n{}\n", check.file, check.line, check.kind, Excerpt(check.message, 60, 2000));
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
    out += fmt::format("- {}: {} ({})\n", Count(static_cast<long>(group.tests.size()), "test"), Escape(group.remedy),
                       Escape(Join(group.codes, ", ")));
  if (!groups.empty()) out += '\n';
  if (!report.violations.empty()) out += fmt::format("### Profile {} forbids\n\n", Escape(report.profile.name));
  for (const Violation& violation : report.violations)
    out += fmt::format("- {}: {} {}; remedy: {}\n", Escape(violation.run), Escape(violation.what),
                       Escape(violation.text), Escape(violation.remedy));
  for (const Run& run : report.runs)
    for (const std::string& problem : run.problems) out += fmt::format("- {}: {}\n", Escape(run.path), Escape(problem));
  return out;
}

}  // namespace netns::reports
