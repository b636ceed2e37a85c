// SPDX-License-Identifier: GPL-2.0-or-later
// The report as JSON; docs/reports.md documents its schema.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "reports/writers.h"

namespace netns::reports {
namespace {

using nlohmann::ordered_json;

ordered_json CountsJson(const Counts& counts) {
  ordered_json out = ordered_json::object();
  for (const Verdict verdict : kAllVerdicts) out[std::string(Word(verdict))] = counts[verdict];
  return out;
}

ordered_json TestJson(const Run& run, const TestRecord& test) {
  ordered_json out = {{"name", test.info.name},           {"verdict", Word(test.verdict)}, {"covers", test.info.covers},
                      {"needs", test.info.needs},         {"file", test.info.file},        {"line", test.info.line},
                      {"duration_ms", test.duration_ms()}};
  ordered_json results = ordered_json::array();
  for (const Result& result : test.results) {
    ordered_json one = {
        {"iteration", result.iteration}, {"verdict", Word(result.verdict)}, {"duration_ms", result.duration_ms}};
    if (!result.failures.empty()) {
      ordered_json failures = ordered_json::array();
      for (const Check& check : result.failures)
        failures.push_back({{"kind", check.kind},
                            {"file", check.file},
                            {"line", check.line},
                            {"message", check.message},
                            {"fatal", check.fatal},
                            {"where", check.where}});
      one["failures"] = failures;
    }
    if (!result.reason.code.empty())
      one["reason"] = {{"code", result.reason.code}, {"text", result.reason.text}, {"remedy", RemedyOf(result.reason)}};
    if (!result.properties.empty()) {
      ordered_json properties = ordered_json::object();
      for (const auto& [name, value] : result.properties) properties[name] = value;
      one["properties"] = properties;
    }
    if (!result.kernel_log.empty()) one["kernel_log"] = result.kernel_log;
    if (!result.output.empty()) one["output"] = result.output;
    results.push_back(one);
  }
  out["results"] = results;
  if (test.verdict == Verdict::kFail || test.verdict == Verdict::kError)
    out["command"] = CommandFor(run, test.info.name);
  return out;
}

}  // namespace

std::string WriteJson(const Report& report) {
  ordered_json runs = ordered_json::array();
  for (std::size_t i = 0; i < report.runs.size(); ++i) {
    const Run& run = report.runs[i];
    ordered_json tests = ordered_json::array();
    for (const TestRecord& test : run.tests) tests.push_back(TestJson(run, test));
    ordered_json notes = ordered_json::array();
    for (const Note& note : run.notes) notes.push_back({{"level", note.level}, {"text", note.text}});
    ordered_json measurements = ordered_json::array();
    for (const Measurement& one : run.measurements)
      measurements.push_back({{"name", one.name}, {"unit", one.unit}, {"value", one.value}});
    runs.push_back({{"label", run.label},
                    {"stream", run.path},
                    {"kernel",
                     {{"release", run.header.release},
                      {"version", run.header.version},
                      {"machine", run.header.architecture},
                      {"config_digest", run.header.config_digest},
                      {"config", run.header.config}}},
                    {"machine", run.header.machine},
                    {"privilege", run.header.privilege},
                    {"time", run.header.time},
                    {"duration_ms", run.duration_ms},
                    {"complete", run.complete},
                    {"verdict", Word(report.RunVerdict(i))},
                    {"counts",
                     {{"tests", CountsJson(report.assessments[i].tests)},
                      {"requirements", CountsJson(report.assessments[i].requirements)}}},
                    {"problems", run.problems},
                    {"unknown_requirements", report.assessments[i].unknown_ids},
                    {"notes", notes},
                    {"measurements", measurements},
                    {"tests", tests}});
  }
  ordered_json requirements = ordered_json::array();
  for (std::size_t r = 0; r < report.catalogue->requirements().size(); ++r) {
    const Requirement& requirement = report.catalogue->requirements()[r];
    ordered_json verdicts = ordered_json::array();
    for (const Assessment& assessment : report.assessments) verdicts.push_back(Word(assessment.states[r].verdict));
    requirements.push_back({{"id", requirement.id},
                            {"title", requirement.title},
                            {"priority", requirement.priority},
                            {"verdict", Word(report.RequirementVerdict(r))},
                            {"verdicts", verdicts}});
  }
  ordered_json violations = ordered_json::array();
  for (const Violation& violation : report.violations)
    violations.push_back(
        {{"run", violation.run}, {"what", violation.what}, {"text", violation.text}, {"remedy", violation.remedy}});
  const ordered_json out = {
      {"schema", "1.0"},
      {"verdict", Word(report.verdict())},
      {"exit_status", static_cast<int>(report.exit_status())},
      {"summary", report.VerdictLine()},
      {"profile", {{"name", report.profile.name}, {"sha256", report.profile.digest}, {"violations", violations}}},
      {"requirements", requirements},
      {"runs", runs}};
  return out.dump(1) + "\n";
}

}  // namespace netns::reports
