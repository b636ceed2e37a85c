// SPDX-License-Identifier: GPL-2.0-or-later
#include "benchmarks/output.h"

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <sstream>

#include "benchmarks/context.h"
#include "benchmarks/world.h"
#include "fixtures/nic.h"

namespace netns::bench {
namespace {

using nlohmann::json;

constexpr double kPlainEverySeconds = 15;

}  // namespace

double ValueOf(const Benchmark& benchmark, const Run& run) {
  if (benchmark.traits.value_unit.empty()) return run.GetAdjustedRealTime();
  const auto value = run.counters.find("value");
  return value == run.counters.end() ? 0 : value->second.value;
}

std::string UnitOf(const Benchmark& benchmark) {
  return benchmark.traits.value_unit.empty() ? benchmark::GetTimeUnitString(benchmark.traits.unit)
                                             : benchmark.traits.value_unit;
}

Output::Output(Options options) : options_(std::move(options)), stream_(SETUP_OK(Stream::Open(options_.stream_path))) {
  if (options_.progress == "auto") options_.progress = ::isatty(STDERR_FILENO) ? "terminal" : "plain";
  for (const auto& [key, value] : options_.context) benchmark::AddCustomContext(key, value);
}

void Output::Begin(const std::vector<const Benchmark*>& plan, int repetitions) {
  plan_ = plan;
  repetitions_ = repetitions;
  json tests = json::array();
  for (const Benchmark* benchmark : plan)
    tests.push_back({{"name", benchmark->name}, {"covers", json::array()}, {"needs", json::array()}, {"file", ""}, {"line", 0}, {"selected", true}});
  json nics = json::array();
  if (IsDisposableMachine())
    for (const NicInfo& nic : FindPhysicalNics())
      nics.push_back({{"name", nic.name}, {"driver", nic.driver}, {"mac", nic.mac}, {"bus", nic.bus}});
  const json kernel = KernelFacts(OptionsThatCount());
  benchmark::AddCustomContext("kernel_release", kernel["release"]);
  benchmark::AddCustomContext("kernel_version", kernel["version"]);
  benchmark::AddCustomContext("kernel_config_digest", kernel["config"]["digest"]);
  stream_.Write("header", {{"schema", "1.0"},
                           {"tool", {{"name", "netns-conformance"}, {"version", options_.tool_version}}},
                           {"kernel", kernel},
                           {"command", options_.command},
                           {"privilege", IsDisposableMachine() ? "root" : "user"},
                           {"disposable", IsDisposableMachine()},
                           {"machine", options_.machine},
                           {"context", options_.context},
                           {"nics", nics},
                           {"jobs", 1},
                           {"iteration_count", repetitions},
                           {"tests", tests}});
}

void Output::Start(const Benchmark& benchmark, int repetition) {
  stream_.Write("start", {{"test", benchmark.name}, {"iteration", repetition}});
}

void Output::End(const Benchmark& benchmark, int repetition, const Outcome& outcome) {
  for (const Run& run : outcome.runs) {
    if (outcome.verdict != "PASS") break;
    const double value = ValueOf(benchmark, run);
    values_[benchmark.name].push_back(value);
    runs_[benchmark.name].push_back(run);
    json counters = json::object();
    for (const auto& [name, counter] : run.counters)
      if (name != "value") counters[name] = counter.value;
    json line = {{"name", benchmark.name},
                 {"unit", UnitOf(benchmark)},
                 {"value", value},
                 {"repetition", repetition},
                 {"iterations", run.iterations},
                 {"counters", counters}};
    if (!benchmark.traits.floor.empty()) line["floor"] = benchmark.traits.floor;
    if (!run.report_label.empty()) line["label"] = run.report_label;
    stream_.Write("measurement", line);
  }
  ++counts_[outcome.verdict];
  json line = {{"test", benchmark.name},         {"iteration", repetition},   {"verdict", outcome.verdict},
               {"duration_ms", outcome.seconds * 1000}, {"covers", json::array()}, {"failures", json::array()},
               {"properties", json::object()}};
  if (outcome.verdict == "ERROR")
    line["failures"].push_back({{"kind", "setup"}, {"file", ""}, {"line", 0}, {"message", outcome.text}, {"fatal", true}, {"where", ""}});
  if (outcome.verdict != "PASS") {
    line["reason"] = {{"code", outcome.code}, {"text", outcome.text}, {"remedy", outcome.remedy}};
    if (!told_[benchmark.name] && options_.progress != "none") {
      if (options_.progress == "terminal") std::fprintf(stderr, "\r\033[K");
      std::fprintf(stderr, "%s %s: %s\n", outcome.verdict.c_str(), benchmark.name.c_str(), outcome.text.c_str());
    }
    told_[benchmark.name] = true;
  }
  stream_.Write("end", line);
}

void Output::Note(const std::string& level, const std::string& text) {
  stream_.Write("note", {{"level", level}, {"text", text}});
  if (options_.progress == "terminal") std::fprintf(stderr, "\r\033[K");
  if (options_.progress != "none") std::fprintf(stderr, "netns-bench: %s\n", text.c_str());
}

void Output::Progress(int repetition, int repetitions, std::size_t done, std::size_t all, const std::string& name, double left) {
  if (options_.progress == "none") return;
  const auto now = Clock::now();
  const double begun = std::chrono::duration<double>(now - begun_).count();
  const bool terminal = options_.progress == "terminal";
  if (!terminal && std::chrono::duration<double>(now - last_progress_).count() < kPlainEverySeconds) return;
  last_progress_ = now;
  char rest[48] = "";
  if (left >= 0) std::snprintf(rest, sizeof rest, "  about %.0f s left", left);
  const std::string round = repetition == 0 ? "warm-up" : "round " + std::to_string(repetition) + "/" + std::to_string(repetitions);
  std::fprintf(stderr, "%s[%.0f s] %s  %zu/%zu  %s%s%s", terminal ? "\r\033[K" : "", begun, round.c_str(), done, all,
               name.c_str(), rest, terminal ? "" : "\n");
  std::fflush(stderr);
}

void Output::Complexity(const std::string& family, const std::string& big_o, double rms) {
  stream_.Write("complexity", {{"family", family}, {"big_o", big_o}, {"rms", rms}});
  char text[256];
  std::snprintf(text, sizeof text, "%s grows as %s (fit off by %.0f%%)", family.c_str(), big_o.c_str(), rms * 100);
  Note("info", text);
}

std::string Output::GoogleBenchmarkJson() {
  std::ostringstream out;
  benchmark::JSONReporter reporter;
  reporter.SetOutputStream(&out);
  reporter.ReportContext(benchmark::BenchmarkReporter::Context());
  for (const Benchmark* benchmark : plan_) {
    auto found = runs_.find(benchmark->name);
    if (found == runs_.end()) continue;
    std::int64_t index = 0;
    for (Run& run : found->second) {
      run.repetition_index = index++;
      run.repetitions = static_cast<std::int64_t>(found->second.size());
    }
    reporter.ReportRuns(found->second);
  }
  reporter.Finalize();
  return out.str();
}

int Output::Finish(bool complete) {
  if (options_.progress == "terminal") std::fprintf(stderr, "\r\033[K");
  const std::string document = GoogleBenchmarkJson();
  if (options_.json_in_stream) stream_.Write("google-benchmark", {{"document", json::parse(document, nullptr, false)}});
  if (!options_.json_path.empty()) {
    std::ofstream out(options_.json_path);
    out << document << std::flush;
    if (!out) throw SetupFailure("write(\"" + options_.json_path + "\") failed", std::source_location::current());
  }
  const int status = !complete || counts_["ERROR"] > 0 || !stream_.failure().empty() ? 3 : 0;
  if (!stream_.failure().empty()) std::fprintf(stderr, "netns-bench: %s\n", stream_.failure().c_str());
  if (complete)
    stream_.Write("footer", {{"counts", counts_},
                             {"duration_ms", std::chrono::duration<double, std::milli>(Clock::now() - begun_).count()},
                             {"exit_status", status}});
  return status;
}

}  // namespace netns::bench
