// SPDX-License-Identifier: GPL-2.0-or-later
// netns-report: what the runs of the suites say, told to people and machines. docs/reports.md is its manual.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fmt/format.h>

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
  if (std::fclose(file) != 0) throw OutputError(fmt::format("{}: could not be written: {}", path, std::strerror(errno)));
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
  std::string profile = "developer";
  std::string format = "terminal";
  std::string output;
  std::vector<std::string> streams;
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
  report->add_option("--format", options.format, "Of the report")->check(CLI::IsMember(FormatNames()))->capture_default_str();
  report->add_option("--output", options.output, "File to write, or directory with --all; else standard output")->type_name("PATH");
  report->add_flag("--all", options.all, "Write every format into the directory of --output");
  report->add_option("--profile", options.profile, "developer, ci, distribution or a file")->capture_default_str();
  report->add_option("--slowest", options.slowest, "List the N slowest tests (10 where no number is given)")->expected(0, 1)->default_str("10")->type_name("[N]");

  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    fmt::print(stderr, "netns-report: {}; see netns-report --help\n", error.what());
    return kExitUsage;
  }
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
