// SPDX-License-Identifier: GPL-2.0-or-later
// How benchmarks are repeated: in rounds. Each round runs every benchmark once, in an order of its own, so that what
// changes while a run lasts (load, temperature, a neighbour) meets all of them alike. A first round warms up and finds how
// many iterations take the asked time; its figures are thrown away.
//
// Alternative considered: Google Benchmark's --benchmark_enable_random_interleaving. It tells results only when the last
// repetition of a benchmark is over, so neither progress nor events nor the figures of an interrupted run could be had.
#pragma once

#include <optional>
#include <random>

#include "benchmarks/crowd.h"
#include "benchmarks/output.h"

namespace netns::bench {

struct RoundOptions {
  int repetitions = 10;
  double seconds_each = 0.15;    ///< about how long one repetition of one benchmark shall take
  double time_limit = 0;         ///< begin no round that would end later than this; 0: none
  int fewest = 5;                ///< but never fewer rounds: no comparison can tell fewer from chance
  unsigned seed = 0;
};

class Rounds {
 public:
  Rounds(Output& output, RoundOptions options) : output_(output), options_(options), random_(options.seed) {}
  /// True where all rounds were run.
  bool Run(const std::vector<const Benchmark*>& benchmarks);

 private:
  struct Entry {
    const Benchmark* benchmark;
    long iterations = 1;
    double seconds = 0;
    bool out = false;  ///< MISS or ERROR: not tried again
  };
  Outcome RunOnce(const Benchmark& benchmark, long iterations);
  void WarmUp(std::vector<Entry>& entries);
  void FitComplexity();
  void PassFence();

  Output& output_;
  RoundOptions options_;
  std::mt19937 random_;
  std::optional<Crowd> fence_;
};

}  // namespace netns::bench
