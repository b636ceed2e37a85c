// SPDX-License-Identifier: GPL-2.0-or-later
// https://github.com/kernelci/kcidb-io: kcidb_io/schema/v05_03.py; reports/tests/formats_test.py checks it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "reports/text.h"
#include "reports/writers.h"

namespace netns::reports {
namespace {

using nlohmann::ordered_json;

constexpr char kOrigin[] = "netns_conformance";
constexpr std::size_t kMostExcerpt = 16384;  // characters; the schema's maxLength

std::string Rfc3339(double seconds) {
  return fmt::format("{}.{:06d}+00:00", UtcTime(seconds), static_cast<int>((seconds - std::floor(seconds)) * 1e6));
}

std::string Id(std::string_view kind, const std::string& facts) {
  return fmt::format("{}:{}-{}", kOrigin, kind, Sha256(facts).substr(0, 32));
}

// The schema's alphabets for architectures and paths.
std::string Only(std::string text, std::string_view others, bool upper) {
  for (char& c : text)
    if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && !(upper && c >= 'A' && c <= 'Z') &&
        others.find(c) == std::string_view::npos)
      c = '_';
  return text;
}

// Dots part the names of a path, none of which may be empty.
std::string Path(std::string_view test) {
  std::string path = "netns_conformance";
  for (std::size_t begin = 0; begin <= test.size();) {
    const std::size_t end = std::min(test.find('.', begin), test.size());
    if (end > begin) path += "." + Only(std::string(test.substr(begin, end - begin)), "_-", true);
    begin = end + 1;
  }
  return path;
}

std::string LogExcerpt(const Result& result) {
  std::string log;
  for (const Check& check : result.failures) log += fmt::format("{}\n{}\n", check.Heading(), check.message);
  log += result.kernel_log;
  if (log.size() > kMostExcerpt) {
    std::size_t cut = kMostExcerpt;
    while (cut > 0 && (static_cast<unsigned char>(log[cut]) & 0xc0) == 0x80) --cut;
    log.resize(cut);
  }
  return log;
}

ordered_json Test(const Report& report, const Run& run, const TestRecord& test, const std::string& build) {
  const Result* result = test.Decisive();
  ordered_json out = {{"id", Id("test", build + fmt::format("{:.6f}", run.header.time) + test.info.name)},
                      {"origin", kOrigin},
                      {"build_id", build},
                      {"path", Path(test.info.name)},
                      {"status", Word(test.verdict)},
                      {"duration", test.duration_ms() / 1000}};
  if (run.header.time > 0) out["start_time"] = Rfc3339(run.header.time);
  std::string comment;
  for (const std::string& id : test.info.covers)
    if (const Requirement* requirement = report.catalogue->Find(id))
      comment += fmt::format("{}{}: {}", comment.empty() ? "" : "; ", id, requirement->title);
  if (!comment.empty()) out["comment"] = comment;
  ordered_json misc = {{"covers", test.info.covers},
                       {"location", fmt::format("{}:{}", test.info.file, test.info.line)}};
  if (result != nullptr) {
    if (const std::string log = LogExcerpt(*result); !log.empty()) out["log_excerpt"] = log;
    if (!result->reason.code.empty())
      misc["reason"] = {
          {"code", result->reason.code}, {"text", result->reason.text}, {"remedy", RemedyOf(result->reason)}};
  }
  out["environment"] = {{"comment", run.header.disposable ? "virtual machine" : "host"}, {"misc", run.header.machine}};
  out["misc"] = misc;
  return out;
}

}  // namespace

std::string WriteKcidb(const Report& report) {
  ordered_json checkouts = ordered_json::array(), builds = ordered_json::array(), tests = ordered_json::array();
  for (std::size_t i = 0; i < report.runs.size(); ++i) {
    const Run& run = report.runs[i];
    const std::string kernel = run.header.release + run.header.version + run.header.architecture;
    const std::string checkout = Id("checkout", run.header.release);
    const std::string build = Id("build", kernel + run.header.config_digest);
    const auto add = [](ordered_json& to, ordered_json object) {
      const bool there =
          std::any_of(to.begin(), to.end(), [&](const ordered_json& other) { return other["id"] == object["id"]; });
      if (!there) to.push_back(std::move(object));
    };
    add(checkouts,
        {{"id", checkout}, {"origin", kOrigin}, {"comment", "Linux " + run.header.release}, {"valid", true}});
    add(builds, {{"id", build},
                 {"origin", kOrigin},
                 {"checkout_id", checkout},
                 {"comment", run.header.version},
                 {"architecture", Only(run.header.architecture, "_", false)},
                 {"status", "PASS"},
                 {"misc", {{"config_digest", run.header.config_digest}, {"config", run.header.config}}}});
    for (const TestRecord& test : run.tests) tests.push_back(Test(report, run, test, build));
    for (std::size_t n = 0; n < run.measurements.size(); ++n) {
      const Measurement& one = run.measurements[n];
      tests.push_back({{"id", Id("test", fmt::format("{}{:.6f}{}#{}", build, run.header.time, one.name, n))},
                       {"origin", kOrigin},
                       {"build_id", build},
                       {"path", "netns_conformance.bench." + Only(one.name, "_-", true)},
                       {"status", "DONE"},
                       {"number", {{"value", one.value}, {"unit", one.unit}}}});
    }
    // The whole run, under the path of all its tests.
    tests.push_back(
        {{"id", Id("test", build + fmt::format("{:.6f}", run.header.time))},
         {"origin", kOrigin},
         {"build_id", build},
         {"path", "netns_conformance"},
         {"status", Word(report.RunHeadline(i).verdict)},
         {"duration", run.duration_ms / 1000},
         {"misc",
          {{"complete", run.complete}, {"profile", report.profile.name}, {"profile_sha256", report.profile.digest}}}});
  }
  return ordered_json{
             {"version", {{"major", 5}, {"minor", 3}}}, {"checkouts", checkouts}, {"builds", builds}, {"tests", tests}}
             .dump(1) +
         "\n";
}

}  // namespace netns::reports
