// SPDX-License-Identifier: GPL-2.0-or-later
// Where results go: events (docs/events.md) as they happen, Google Benchmark's own JSON at the end, progress meanwhile.
#pragma once

#include <benchmark/benchmark.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "benchmarks/bench.h"
#include "harness/stream.h"

namespace netns::bench {

using Run = benchmark::BenchmarkReporter::Run;

/// What came of one repetition of one benchmark.
struct Outcome {
  std::string verdict = "PASS";  ///< PASS: there is a figure; MISS: it cannot be run here; ERROR
  std::string code, text, remedy;  ///< the reason of a MISS or ERROR
  std::vector<Run> runs;
  double seconds = 0;  ///< of all that belongs to it, timed or not
};

/// The figure of a run, in the unit of the benchmark's traits.
double ValueOf(const Benchmark& benchmark, const Run& run);
std::string UnitOf(const Benchmark& benchmark);

class Output {
 public:
  struct Options {
    std::string stream_path, json_path;
    bool json_in_stream = false;  ///< as an event, for a machine without files
    std::string progress = "auto";  ///< none, plain, terminal
    std::string tool_version;
    std::vector<std::string> command;
    nlohmann::json machine = nlohmann::json::object();
    std::map<std::string, std::string> context;
  };
  /// Opens the stream. Throws SetupFailure where that cannot be.
  explicit Output(Options options);

  void Begin(const std::vector<const Benchmark*>& plan, int repetitions);
  void Start(const Benchmark& benchmark, int repetition);
  void End(const Benchmark& benchmark, int repetition, const Outcome& outcome);
  void Note(const std::string& level, const std::string& text);
  /// Shows how far the run is; `left` in seconds, negative where not known.
  void Progress(int repetition, int repetitions, std::size_t done, std::size_t all, const std::string& name, double left);
  /// Cost against number: Google Benchmark's own fit over the medians.
  void Complexity(const std::string& family, const std::string& big_o, double rms);
  /// Writes the JSON and the footer (of a complete run); gives the exit status.
  int Finish(bool complete);

  const std::map<std::string, std::vector<double>>& values() const { return values_; }

 private:
  std::string GoogleBenchmarkJson();
  Options options_;
  Stream stream_;
  Clock::time_point begun_ = Clock::now(), last_progress_ = begun_;
  std::vector<const Benchmark*> plan_;
  std::map<std::string, std::vector<Run>> runs_;
  std::map<std::string, std::vector<double>> values_;
  std::map<std::string, int> counts_;
  std::map<std::string, bool> told_;
  int repetitions_ = 0;
};

}  // namespace netns::bench
