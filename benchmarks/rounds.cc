// SPDX-License-Identifier: GPL-2.0-or-later
#include "benchmarks/rounds.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "harness/wait.h"

namespace netns::bench {
namespace {

/// Keeps what Google Benchmark reports.
class Collector : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& reports) override { runs.insert(runs.end(), reports.begin(), reports.end()); }
  std::vector<Run> runs;
};

std::string BigOName(benchmark::BigO complexity) {
  switch (complexity) {
    case benchmark::o1: return "O(1)";
    case benchmark::oN: return "O(N)";
    case benchmark::oNSquared: return "O(N^2)";
    case benchmark::oNCubed: return "O(N^3)";
    case benchmark::oLogN: return "O(lg N)";
    case benchmark::oNLogN: return "O(N lg N)";
    default: return "O(?)";
  }
}

/// By how much costs differ from a law, as a part of their mean.
double FitOf(const std::map<long, double>& costs, benchmark::BigO law) {
  benchmark::ClearRegisteredBenchmarks();
  auto* replay = benchmark::RegisterBenchmark("fit", [&](State& state) {
    for (auto _ : state) state.SetIterationTime(costs.at(state.range(0)));
    state.SetComplexityN(state.range(0));
  });
  replay->Iterations(1)->UseManualTime()->Complexity(law);
  for (const auto& [number, cost] : costs) replay->Arg(number);
  Collector collector;
  benchmark::RunSpecifiedBenchmarks(&collector, "all");
  for (const auto& run : collector.runs)
    if (run.report_rms) return run.GetAdjustedRealTime();
  return 0;
}

}  // namespace

void Rounds::PassFence() {
  try {
    if (!fence_) fence_.emplace();
    fence_->PassFence();
  } catch (const MissingNeed&) {
    // Without user namespaces nobody tells when the kernel is done.
  }
}

Outcome Rounds::RunOnce(const Benchmark& benchmark, long iterations) {
  Outcome outcome;
  benchmark::ClearRegisteredBenchmarks();
  auto* registered = benchmark::RegisterBenchmark(benchmark.name.c_str(), [&](State& state) {
    const auto skip = [&](const char* verdict, std::string code, const std::string& text, std::string remedy = {}) {
      outcome.verdict = verdict;
      outcome.code = std::move(code);
      outcome.text = text;
      outcome.remedy = std::move(remedy);
      state.SkipWithError(text.c_str());
    };
    try {
      benchmark.body(state);
    } catch (const LimitReached& limit) {
      skip("MISS", "limit-reached", limit.what(), "raise the limit, or make less with --scale");
    } catch (const MissingNeed& need) {
      skip("MISS", need.code(), need.what(), need.remedy());
    } catch (const Interrupted& interrupted) {
      skip("MISS", "interrupted", interrupted.what());
    } catch (const std::exception& error) {
      skip("ERROR", "broken", error.what());
    }
  });
  registered->Unit(benchmark.traits.unit)->Iterations(iterations);
  if (benchmark.traits.manual)
    registered->UseManualTime();
  else
    registered->UseRealTime();
  Collector collector;
  SetTestDeadline(Deadline::In(std::chrono::minutes(10)));
  // What the one before left to the kernel shall not be freed in this one's time.
  try {
    PassFence();
  } catch (const Interrupted& interrupted) {
    outcome.verdict = "MISS";
    outcome.code = "interrupted";
    outcome.text = interrupted.what();
    return outcome;
  }
  const auto begin = Clock::now();
  benchmark::RunSpecifiedBenchmarks(&collector, "all");
  outcome.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  outcome.runs = std::move(collector.runs);
  for (auto& run : outcome.runs) {
    // The name is ours alone: how it was run is said elsewhere.
    run.run_name.iterations.clear();
    run.run_name.time_type.clear();
  }
  return outcome;
}

void Rounds::WarmUp(std::vector<Entry>& entries) {
  std::size_t done = 0;
  for (Entry& entry : entries) {
    if (IsInterrupted()) return;
    output_.Progress(0, options_.repetitions, done++, entries.size(), entry.benchmark->name, -1);
    const long most = entry.benchmark->traits.most_iterations;
    for (;;) {
      const Outcome outcome = RunOnce(*entry.benchmark, entry.iterations);
      entry.seconds = outcome.seconds;
      if (outcome.verdict != "PASS") {
        entry.out = true;
        if (outcome.code == "interrupted") return;
        output_.Start(*entry.benchmark, 1);
        output_.End(*entry.benchmark, 1, outcome);
        break;
      }
      // With manual time the loop has untimed parts that count, too; else its own time is all that more iterations add to.
      const double spent = entry.benchmark->traits.manual || outcome.runs.empty() ? outcome.seconds
                                                                                 : outcome.runs[0].real_accumulated_time;
      const long next = NextIterations(entry.iterations, spent, options_.seconds_each, most);
      if (spent > options_.seconds_each * 0.7 || next == entry.iterations) break;
      entry.iterations = next;
    }
  }
}

bool Rounds::Run(const std::vector<const Benchmark*>& benchmarks) {
  const auto begin = Clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
  std::vector<Entry> entries;
  for (const Benchmark* benchmark : benchmarks) entries.push_back({benchmark});
  WarmUp(entries);
  double last_round = 0;
  for (int round = 1; round <= options_.repetitions && !IsInterrupted(); ++round) {
    if (options_.time_limit > 0 && round > options_.fewest && elapsed() + last_round > options_.time_limit) {
      output_.Note("info", "the time is up after " + std::to_string(round - 1) + " of " +
                               std::to_string(options_.repetitions) + " rounds");
      break;
    }
    const double round_begin = elapsed();
    std::shuffle(entries.begin(), entries.end(), random_);
    double one_round = 0;
    for (const Entry& entry : entries) one_round += entry.out ? 0 : entry.seconds;
    double ahead = one_round;
    std::size_t done = 0;
    for (Entry& entry : entries) {
      if (entry.out) continue;
      if (IsInterrupted()) break;
      output_.Progress(round, options_.repetitions, ++done, entries.size(), entry.benchmark->name,
                       ahead + one_round * (options_.repetitions - round));
      output_.Start(*entry.benchmark, round);
      const Outcome outcome = RunOnce(*entry.benchmark, entry.iterations);
      if (outcome.code == "interrupted") break;
      output_.End(*entry.benchmark, round, outcome);
      ahead -= entry.seconds;
      if (outcome.verdict != "PASS") entry.out = true;
    }
    last_round = elapsed() - round_begin;
  }
  if (IsInterrupted()) return false;
  FitComplexity();
  return true;
}

/// Google Benchmark fits cost against number over the instances of one benchmark. Ours are apart, so that they can be
/// filtered and shuffled one by one; here their medians are given to it as if it had measured them, for each law that it
/// knows (by itself it would choose by CPU time).
void Rounds::FitComplexity() {
  std::map<std::string, std::map<long, double>> families;  // family -> number -> seconds
  for (const Benchmark& benchmark : All()) {
    const auto found = output_.values().find(benchmark.name);
    if (benchmark.traits.complexity.empty() || found == output_.values().end()) continue;
    const long number = std::stol(benchmark.name.substr(benchmark.name.rfind('/') + 1));
    families[benchmark.traits.complexity][number] =
        Median(found->second) / benchmark::GetTimeUnitMultiplier(benchmark.traits.unit);
  }
  for (const auto& [family, costs] : families) {
    if (costs.size() < 3) continue;
    std::string best;
    double least = 0;
    for (const auto law : {benchmark::o1, benchmark::oLogN, benchmark::oN, benchmark::oNLogN, benchmark::oNSquared}) {
      const double rms = FitOf(costs, law);
      if (!best.empty() && rms >= least) continue;
      best = BigOName(law);
      least = rms;
    }
    output_.Complexity(family, best, least);
  }
}

}  // namespace netns::bench
