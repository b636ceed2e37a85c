// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include <pugixml.hpp>
#include <sstream>

#include "reports/text.h"
#include "reports/writers.h"

namespace netns::reports {
namespace {

std::string Seconds(double milliseconds) { return fmt::format("{:.3f}", milliseconds / 1000); }

std::string FailureText(const Result& result) {
  std::string out;
  for (const Check& check : result.failures) out += fmt::format("{}\n{}\n\n", check.Heading(), check.message);
  if (!result.reason.text.empty()) out += result.reason.code + ": " + result.reason.text + "\n";
  return out;
}

std::string FirstLine(const Result& result) {
  if (result.failures.empty()) return result.reason.text.empty() ? result.reason.code : result.reason.text;
  const auto lines = SplitLines(result.failures.front().message);
  return lines.empty() ? result.failures.front().kind : Excerpt(lines.front(), 1, 300);
}

void Property(pugi::xml_node properties, const std::string& name, const std::string& value) {
  pugi::xml_node property = properties.append_child("property");
  property.append_attribute("name") = name.c_str();
  property.append_attribute("value") = value.c_str();
}

// The schema that Jenkins uses allows a <testcase> no <properties> and no file or line, so system-out tells them.
void TestCase(pugi::xml_node suite, const Report& report, const Run& run, const TestRecord& test) {
  const auto [suite_name, case_name] = SuiteAndCase(test.info.name);
  pugi::xml_node node = suite.append_child("testcase");
  node.append_attribute("name") = case_name.c_str();
  node.append_attribute("classname") = (report.runs.size() > 1 ? run.label + "." + suite_name : suite_name).c_str();
  node.append_attribute("time") = Seconds(test.duration_ms()).c_str();
  const Result* result = test.Decisive();
  static const Result kNone;
  if (result == nullptr) result = &kNone;
  if (test.verdict == Verdict::kMiss || test.verdict == Verdict::kSkip) {
    const std::string code = result->reason.code.empty() ? "not-selected" : result->reason.code;
    node.append_child("skipped").append_attribute("message") =
        fmt::format("{}: {}{}{}; remedy: {}", Word(test.verdict), code, result->reason.text.empty() ? "" : ": ",
                    result->reason.text, RemedyOf({.code = code, .remedy = result->reason.remedy}))
            .c_str();
  } else if (test.verdict != Verdict::kPass) {
    pugi::xml_node failure = node.append_child(test.verdict == Verdict::kFail ? "failure" : "error");
    failure.append_attribute("message") = FirstLine(*result).c_str();
    failure.append_attribute("type") =
        result->failures.empty() ? result->reason.code.c_str() : result->failures.front().kind.c_str();
    failure.text() = FailureText(*result).c_str();
  }
  std::string out;
  if (!test.info.file.empty()) out += fmt::format("{}:{}\n", test.info.file, test.info.line);
  for (const std::string& id : test.info.covers) {
    const Requirement* requirement = report.catalogue->Find(id);
    // One line per requirement in a test that passed, the whole sentence in one that did not.
    const bool in_full = test.verdict == Verdict::kFail || test.verdict == Verdict::kError;
    out += requirement == nullptr ? fmt::format("{}: unknown to the catalogue\n", id)
           : in_full              ? fmt::format("{}: {} [{}]\n", id, requirement->statement, requirement->source)
                                  : fmt::format("{}: {}\n", id, requirement->title);
  }
  for (const auto& [name, value] : result->properties) out += fmt::format("{}={}\n", name, value);
  if (test.verdict == Verdict::kFail || test.verdict == Verdict::kError)
    out += "just this one: " + CommandFor(run, test.info.name) + "\n";
  out += result->output;
  if (!out.empty()) node.append_child("system-out").text() = out.c_str();
  if (!result->kernel_log.empty()) node.append_child("system-err").text() = result->kernel_log.c_str();
}

}  // namespace

std::string WriteJUnit(const Report& report) {
  pugi::xml_document document;
  pugi::xml_node root = document.append_child("testsuites");
  root.append_attribute("name") = "netns-conformance";
  for (std::size_t i = 0; i < report.runs.size(); ++i) {
    const Run& run = report.runs[i];
    const Counts& counts = report.assessments[i].tests;
    pugi::xml_node suite = root.append_child("testsuite");
    suite.append_attribute("name") = ("netns-conformance on Linux " + run.label).c_str();
    // An incomplete run is one error more, so that no reader takes it for a good one.
    const bool empty = counts.total() == counts[Verdict::kSkip];
    const int extra = !run.complete || empty ? 1 : 0;
    suite.append_attribute("tests") = counts.total() + extra;
    suite.append_attribute("failures") = counts[Verdict::kFail];
    suite.append_attribute("errors") = counts[Verdict::kError] + extra;
    suite.append_attribute("skipped") = counts[Verdict::kMiss] + counts[Verdict::kSkip];
    suite.append_attribute("time") = Seconds(run.duration_ms).c_str();
    suite.append_attribute("timestamp") = UtcTime(run.header.time).c_str();
    suite.append_attribute("hostname") = (run.header.disposable ? "vm" : "host");
    pugi::xml_node properties = suite.append_child("properties");
    Property(properties, "kernel.release", run.header.release);
    Property(properties, "kernel.version", run.header.version);
    Property(properties, "kernel.machine", run.header.architecture);
    Property(properties, "config.digest", run.header.config_digest);
    Property(properties, "privilege", run.header.privilege);
    Property(properties, "tool.version", run.header.tool_version);
    Property(properties, "profile", report.profile.name);
    Property(properties, "profile.sha256", report.profile.digest);
    for (const auto& [name, value] : run.header.machine) Property(properties, "machine." + name, value);
    for (const TestRecord& test : run.tests) TestCase(suite, report, run, test);
    if (extra != 0) {
      pugi::xml_node node = suite.append_child("testcase");
      node.append_attribute("name") = "WholeRun";
      node.append_attribute("classname") =
          report.runs.size() > 1 ? (run.label + ".netns-conformance").c_str() : "netns-conformance";
      node.append_attribute("time") = "0.000";
      pugi::xml_node error = node.append_child("error");
      error.append_attribute("message") = run.complete ? "no test ran" : "the run is incomplete";
      error.append_attribute("type") = "incomplete";
      error.text() = Join(run.problems, "\n").c_str();
    }
  }
  std::ostringstream out;
  document.save(out, "  ");
  return out.str();
}

}  // namespace netns::reports
