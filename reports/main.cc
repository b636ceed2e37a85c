// SPDX-License-Identifier: GPL-2.0-or-later
// netns-report: what the runs of the suites say, told to people and machines. docs/reports.md is its manual.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>
#include <set>

#include "reports/compare.h"
#include "reports/coverage.h"
#include "reports/report.h"
#include "reports/text.h"
#include "reports/writers.h"

namespace {

using namespace netns::reports;

/// A result that could not be written whole; exit status 3, since the result is lost though the input was good.
class OutputError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

void WriteAll(std::FILE* file, const std::string& text, const std::string& name) {
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), file) != text.size() || std::fflush(file) != 0)
    throw OutputError(fmt::format("{}: could not be written: {}", name, std::strerror(errno)));
}

/// Writes to a file, or to standard output for "". A file is complete or not there.
void Output(const std::string& text, const std::string& path) {
  if (path.empty()) return WriteAll(stdout, text, "standard output");
  const std::string partial = path + ".partial";
  const bool special = std::filesystem::exists(path) && !std::filesystem::is_regular_file(path);
  const std::string& target = special ? path : partial;
  std::FILE* file = std::fopen(target.c_str(), "wb");
  if (file == nullptr) throw OutputError(fmt::format("{}: could not be written: {}", path, std::strerror(errno)));
  try {
    WriteAll(file, text, path);
  } catch (const OutputError&) {
    std::fclose(file);
    if (!special) std::filesystem::remove(partial);
    throw;
  }
  if (std::fclose(file) != 0)
    throw OutputError(fmt::format("{}: could not be written: {}", path, std::strerror(errno)));
  if (!special) std::filesystem::rename(partial, path);
}

struct Format {
  const char* name;
  const char* file;
  std::string (*write)(const Report&);
};

std::string WritePlainTerminal(const Report& report) { return WriteTerminal(report, false); }

constexpr std::array kFormats = {
    Format{"terminal", "report.txt", WritePlainTerminal},
    Format{"junit", "report.junit.xml", WriteJUnit},
    Format{"ktap", "report.ktap", WriteKtap},
    Format{"kcidb", "report.kcidb.json", WriteKcidb},
    Format{"markdown", "report.md", WriteMarkdown},
    Format{"json", "report.json", WriteJson},
    Format{"html", "report.html", WriteHtml},
};

/// --requirements, or the catalogue of the source tree or of the installation.
std::string RequirementsPath(const std::string& given) {
  if (!given.empty()) return given;
  std::error_code ignored;
  for (const char* path : {NETNS_REQUIREMENTS_SOURCE, NETNS_REQUIREMENTS_INSTALLED})
    if (std::filesystem::exists(path, ignored)) return path;
  throw InputError("the catalogue was not found; give suites/requirements.yaml with --requirements");
}

bool WantsColor() { return isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr; }

/// Reads all streams. One that is none costs a line and the exit status, and not the report on the others.
std::vector<Run> ReadStreams(const std::vector<std::string>& paths, bool& some_unusable) {
  std::vector<Run> runs;
  for (const std::string& path : paths) {
    try {
      for (Run& run : ReadStreamFile(path)) runs.push_back(std::move(run));
    } catch (const InputError& error) {
      fmt::print(stderr, "netns-report: {}\n", error.what());
      some_unusable = true;
    }
  }
  JoinAndLabel(runs);
  return runs;
}

struct Options {
  std::string requirements;
  std::string tests;
  std::string name;
  std::string kill_matrix;
  std::string note;
  ListFilter filter;
  std::vector<std::string> complete_areas;
  std::string before;
  std::string after;
  CompareOptions compare;
  SpeedCompareOptions speed = {};
  bool coverage = false;
  bool json = false;
  std::string profile = "developer";
  std::string format = "terminal";
  std::string output;
  std::vector<std::string> streams;
  std::string stream;
  bool all = false;
  int slowest = 0;
};

int RunReport(const Options& options) {
  const Catalogue catalogue = Catalogue::Load(RequirementsPath(options.requirements));
  const Profile profile = LoadProfile(options.profile);
  CheckProfile(profile, catalogue);
  bool some_unusable = false;
  std::vector<Run> runs = ReadStreams(options.streams, some_unusable);
  if (runs.empty()) return kExitUsage;
  Report report = Report::Make(catalogue, std::move(runs), profile);
  report.slowest = options.slowest;
  report.note = Printable(options.note);
  if (!options.kill_matrix.empty()) report.kills = ReadKillMatrix(options.kill_matrix);
  if (options.all) {
    if (options.output.empty()) throw InputError("--all needs --output DIR");
    std::error_code error;
    std::filesystem::create_directories(options.output, error);
    if (error) throw OutputError(fmt::format("{}: {}", options.output, error.message()));
    for (const Format& format : kFormats) Output(format.write(report), options.output + "/" + format.file);
    Output(report.VerdictLine() + "\n", "");
  } else if (options.format == "terminal" && options.output.empty()) {
    Output(WriteTerminal(report, WantsColor()), "");
  } else {
    for (const Format& format : kFormats)
      if (options.format == format.name) Output(format.write(report), options.output);
  }
  return some_unusable ? kExitUsage : report.exit_status();
}

/// The tests of --tests, or of the plans of streams.
std::vector<TestInfo> KnownTests(const Options& options, const std::vector<Run>& runs) {
  if (!options.tests.empty()) return ReadTestList(options.tests);
  std::vector<TestInfo> tests;
  std::set<std::string> names;
  for (const Run& run : runs)
    for (const TestRecord& test : run.tests)
      if (names.insert(test.info.name).second) tests.push_back(test.info);
  return tests;
}

// A misspelt filter would list nothing and look like an answer.
void CheckFilter(const ListFilter& filter, const Catalogue& catalogue) {
  const auto& areas = catalogue.areas();
  if (!filter.area.empty() && std::find(areas.begin(), areas.end(), filter.area) == areas.end())
    throw InputError(fmt::format("--area {}: the catalogue has no such area; it has {}", filter.area, Join(areas, ", ")));
  std::set<std::string> priorities;
  for (const Requirement& requirement : catalogue.requirements()) priorities.insert(requirement.priority);
  if (!filter.priority.empty() && !priorities.contains(filter.priority))
    throw InputError(fmt::format("--priority {}: the catalogue has no such priority; it has {}", filter.priority,
                                 fmt::join(priorities, ", ")));
}

int RunList(const Options& options) {
  const Catalogue catalogue = Catalogue::Load(RequirementsPath(options.requirements));
  CheckFilter(options.filter, catalogue);
  const std::vector<TestInfo> tests = KnownTests(options, {});
  const Coverage coverage(catalogue, tests);
  if (options.coverage)
    Output(options.json ? WriteCoverageJson(coverage) : WriteCoverage(coverage), options.output);
  else
    Output(options.json ? WriteListJson(coverage, options.filter) : WriteList(coverage, options.filter),
           options.output);
  return kExitPass;
}

int RunCheckTrace(const Options& options) {
  const Catalogue catalogue = Catalogue::Load(RequirementsPath(options.requirements));
  const std::vector<TestInfo> tests = KnownTests(options, {});
  const std::vector<std::string> problems = Coverage(catalogue, tests).Problems(options.complete_areas);
  for (const std::string& problem : problems) fmt::print(stderr, "{}\n", problem);
  return problems.empty() ? kExitPass : kExitFail;
}

int RunExplain(const Options& options) {
  const Catalogue catalogue = Catalogue::Load(RequirementsPath(options.requirements));
  bool some_unusable = false;
  const std::vector<Run> runs = ReadStreams(options.streams, some_unusable);
  const std::vector<TestInfo> tests = KnownTests(options, runs);
  Output(Explain(Coverage(catalogue, tests), options.name, runs), options.output);
  return some_unusable ? kExitUsage : kExitPass;
}

/// What a test alone tells whoever asked for it.
std::string WriteOneTest(const TestRecord& test) {
  std::string text = fmt::format("{} {}\n", Word(test.verdict), test.info.name);
  const Result* result = test.Decisive();
  if (result == nullptr) return text;
  const Reason& reason = result->reason;
  if (!reason.code.empty())
    text += fmt::format("  {}: {}{}\n", reason.code, reason.text,
                        reason.remedy.empty() ? "" : fmt::format(" (remedy: {})", reason.remedy));
  for (const Check& check : result->failures) text += fmt::format("  {}: {}\n", check.Heading(), check.message);
  if (test.verdict != Verdict::kPass && !result->kernel_log.empty())
    text += fmt::format("  kernel log:\n{}\n", result->kernel_log);
  return text;
}

int RunVerdict(const Options& options) {
  const OneTest found = ReadOneTest(options.stream, options.name);
  if (!found.record) {
    Output(fmt::format("{}: not in {}{}\n", options.name, options.stream, found.ended ? "" : ", which is incomplete"), "");
    return found.ended ? kExitForbidden : kExitError;
  }
  Output(WriteOneTest(*found.record), "");
  switch (found.record->verdict) {
    case Verdict::kPass:
      return kExitPass;
    case Verdict::kFail:
      return kExitFail;
    case Verdict::kMiss:
    case Verdict::kSkip:
      return kExitForbidden;
    default:
      return kExitError;
  }
}

int RunCheckProfile(const Options& options) {
  CheckProfile(LoadProfile(options.profile), Catalogue::Load(RequirementsPath(options.requirements)));
  return kExitPass;
}

struct CompareFormat {
  const char* name;
  std::string (*write)(const Comparison&);
};

constexpr std::array kCompareFormats = {
    CompareFormat{"text", WriteComparisonText},
    CompareFormat{"markdown", WriteComparisonMarkdown},
    CompareFormat{"html", WriteComparisonHtml},
    CompareFormat{"json", WriteComparisonJson},
};

int RunCompare(const Options& options) {
  const Catalogue catalogue = Catalogue::Load(RequirementsPath(options.requirements));
  bool some_unusable = false;
  const std::vector<Run> before = ReadStreams({options.before}, some_unusable);
  const std::vector<Run> after = ReadStreams({options.after}, some_unusable);
  if (some_unusable) return kExitUsage;
  const Comparison comparison = Compare(catalogue, before, after, options.compare);
  for (const CompareFormat& format : kCompareFormats)
    if (options.format == format.name) Output(format.write(comparison), options.output);
  return comparison.exit_status();
}

int RunSpeed(const Options& options) {
  std::vector<Run> runs;
  for (const std::string& path : options.streams)
    for (Run& run : ReadBenchmarkFile(path)) runs.push_back(std::move(run));
  Output(WriteSpeedText(runs), options.output);
  return kExitPass;
}

int RunCompareSpeed(const Options& options) {
  const SpeedComparison comparison =
      CompareSpeed(ReadBenchmarkFile(options.before), ReadBenchmarkFile(options.after), options.speed);
  Output(options.json ? WriteSpeedComparisonJson(comparison) : WriteSpeedComparisonText(comparison), options.output);
  return comparison.exit_status();
}

std::vector<std::string> FormatNames() {
  std::vector<std::string> names;
  for (const Format& format : kFormats) names.emplace_back(format.name);
  return names;
}

int Main(int argc, char** argv) {
  CLI::App app{"Tells what runs of netns-conformance found. Manual: docs/reports.md", "netns-report"};
  app.require_subcommand(1);
  app.fallthrough();
  Options options;
  app.add_option("--requirements", options.requirements, "The catalogue, suites/requirements.yaml")->type_name("FILE");
  CLI::App* report = app.add_subcommand("report", "Report on one or more runs");
  report->add_option("STREAM", options.streams, "Event streams; - is standard input")->required();
  report->add_option("--format", options.format, "Of the report")
      ->check(CLI::IsMember(FormatNames()))
      ->capture_default_str();
  report->add_option("--output", options.output, "File to write, or directory with --all; else standard output")
      ->type_name("PATH");
  report->add_flag("--all", options.all, "Write every format into the directory of --output");
  report->add_option("--profile", options.profile, "developer, ci, distribution or a file")->capture_default_str();
  report->add_option("--kill-matrix", options.kill_matrix, "kill-matrix.json of netns-conformance mutants, for HTML")
      ->type_name("FILE");
  report->add_option("--note", options.note, "A line to tell above the verdict at a terminal")->type_name("TEXT");
  report->add_option("--slowest", options.slowest, "List the N slowest tests (10 where no number is given)")
      ->expected(0, 1)
      ->default_str("10")
      ->type_name("[N]");

  CLI::App* list = app.add_subcommand("list", "List requirements and the tests that cover them");
  list->add_option("--tests", options.tests, "What netns-tests --list=json prints")->type_name("FILE");
  list->add_flag("--coverage", options.coverage, "Count covered, untestable and open ones per area");
  list->add_flag("--json", options.json, "As JSON");
  list->add_option("--area", options.filter.area, "Only of this area");
  list->add_option("--priority", options.filter.priority, "Only of this priority (core, linked, extended)");
  list->add_option("--state", options.filter.state, "Only of this state")
      ->check(CLI::IsMember({"covered", "untestable", "open"}));
  list->add_option("--text", options.filter.text, "Only with this text");

  CLI::App* check_trace = app.add_subcommand("check-trace", "Check that requirements and tests name each other");
  check_trace->add_option("--tests", options.tests, "What netns-tests --list=json prints")
      ->type_name("FILE")
      ->required();
  check_trace
      ->add_option("--complete", options.complete_areas,
                   "Areas that must be complete, beside complete_areas: of the catalogue")
      ->type_name("AREA");

  CLI::App* check_profile = app.add_subcommand("check-profile", "Check that a profile can be judged by");
  check_profile->add_option("PROFILE", options.profile, "developer, ci, distribution or a file")->required();

  CLI::App* explain = app.add_subcommand("explain", "Tell all of a requirement or a test");
  explain->add_option("NAME", options.name, "A requirement's id or a test's name")->required();
  explain->add_option("--tests", options.tests, "What netns-tests --list=json prints")->type_name("FILE");
  explain->add_option("--stream", options.streams, "Event streams, for the last results")->type_name("STREAM");

  CLI::App* verdict = app.add_subcommand(
      "verdict", "Tell what a run says of one test; exit 0 PASS, 1 FAIL, 4 MISS or SKIP, 3 ERROR or not known");
  verdict->add_option("STREAM", options.stream, "Event stream")->required();
  verdict->add_option("TEST", options.name, "The test's name")->required();

  CLI::App* compare = app.add_subcommand("compare", "Tell what changed between two runs; exit 1 on a regression");
  compare->add_option("OLD", options.before, "Event stream of the earlier run, or of several repetitions joined")
      ->required();
  compare->add_option("NEW", options.after, "Event stream of the later run")->required();
  std::string compare_format = "text";
  compare->add_option("--format", compare_format, "Of the comparison")
      ->check(CLI::IsMember({"text", "markdown", "html", "json"}))
      ->capture_default_str();
  compare->add_option("--output", options.output, "File to write; else standard output")->type_name("FILE");
  compare
      ->add_option("--least-effect", options.compare.least_effect,
                   "Tell no smaller change of a time than this; 0.1 is 10%")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();

  CLI::App* speed = app.add_subcommand("speed", "Tell what benchmarks measured");
  speed->add_option("STREAM", options.streams, "Event streams, or Google Benchmark's JSON")->required();
  speed->add_option("--output", options.output, "File to write; else standard output")->type_name("FILE");

  CLI::App* compare_speed =
      app.add_subcommand("compare-speed", "Tell whether benchmarks got slower; exit 1 where they did, 3 where it cannot be told");
  compare_speed->add_option("OLD", options.before, "Event stream, or Google Benchmark's JSON, of the earlier run")->required();
  compare_speed->add_option("NEW", options.after, "Of the later run")->required();
  compare_speed->add_flag("--json", options.json, "As JSON");
  compare_speed->add_option("--output", options.output, "File to write; else standard output")->type_name("FILE");
  compare_speed
      ->add_option("--least-effect", options.speed.least_effect, "Claim no smaller change than this; 0.05 is 5%")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "netns-report: {}; see netns-report --help\n", error.what());
    return kExitUsage;
  }
  if (compare->parsed()) {
    options.format = compare_format;
    return RunCompare(options);
  }
  if (speed->parsed()) return RunSpeed(options);
  if (compare_speed->parsed()) return RunCompareSpeed(options);
  if (list->parsed()) return RunList(options);
  if (check_trace->parsed()) return RunCheckTrace(options);
  if (check_profile->parsed()) return RunCheckProfile(options);
  if (explain->parsed()) return RunExplain(options);
  if (verdict->parsed()) return RunVerdict(options);
  return RunReport(options);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return Main(argc, argv);
  } catch (const InputError& error) {
    fmt::print(stderr, "netns-report: {}\n", error.what());
    return kExitUsage;
  } catch (const OutputError& error) {
    fmt::print(stderr, "netns-report: {}\n", error.what());
    return kExitError;
  } catch (const std::exception& error) {
    fmt::print(stderr, "netns-report: {}\n", error.what());
    return kExitError;
  }
}
