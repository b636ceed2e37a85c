// SPDX-License-Identifier: GPL-2.0-or-later
// What benchmarks measured: one run's table, and whether another run is slower. A difference is claimed only where the rank
// test says so, it is larger than the least effect, and larger than what the machine itself varies by (noise/...).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "reports/statistics.h"
#include "reports/stream.h"

namespace netns::reports {

/// Repetitions of one figure on both sides.
struct Sample {
  std::string unit = {};
  std::vector<double> before = {}, after = {};
};
using Samples = std::map<std::string, Sample>;

/// A test or benchmark that was repeated often enough on both sides.
struct SpeedDifference {
  std::string name;
  std::string unit = {};
  double before = 0;  ///< Medians.
  double after = 0;
  std::size_t repetitions_before = 0;
  std::size_t repetitions_after = 0;
  double p = 1;  ///< Two-sided, of the Mann-Whitney U test.
  bool significant = false;

  double change() const { return before > 0 ? after / before - 1 : 0; }
  /// Of times and costs, more is slower; of rates (a unit per second), less is.
  bool slower() const;
  /// "slower Veth.Pipe: 3 ms -> 4 ms (+33%, p = 0.008, 5 and 5 repetitions)".
  std::string Sentence() const;
};

/// Fewer repetitions than this on a side cannot be told from chance, however far apart they are.
inline constexpr std::size_t kFewestRepetitions = 5;

/// Puts the measurements of runs into samples.
void AddMeasurements(Samples& samples, const std::vector<Run>& before, const std::vector<Run>& after);
/// The rank test of each sample that is large enough, most significant first.
std::vector<SpeedDifference> TestSpeeds(const Samples& samples, double false_discoveries);

/// One benchmark of one run.
struct SpeedRow {
  std::string name, unit, floor = {};
  std::vector<double> values = {};
  double median = 0;
  Interval interval = {};
  double times_floor = 0;  ///< 0 where it has none
};
std::vector<SpeedRow> SpeedTable(const Run& run);
/// A table for each run that has measurements: medians, confidence intervals, ratios to the floor, the noise.
std::string WriteSpeedText(const std::vector<Run>& runs);

struct SpeedCompareOptions {
  double least_effect = 0.05;
  double false_discoveries = 0.05;
};

struct SpeedComparison {
  std::string before, after;
  std::vector<SpeedDifference> claimed;     ///< slower and faster, beyond doubt
  std::vector<SpeedDifference> below_noise; ///< significant by rank, but no larger than what the machine varies by
  std::vector<std::string> missing;         ///< in one of the two only: nothing can be said
  std::size_t compared = 0;
  double noise = 0;         ///< spread of noise/spin and noise/memory, the largest
  double machine_shift = 0; ///< how much faster or slower the machine itself was
  double least_effect = 0;  ///< what had to be exceeded in the end
  bool incomplete = false;

  long slower() const;
  ExitStatus exit_status() const;
  std::string VerdictLine() const;
};

SpeedComparison CompareSpeed(const std::vector<Run>& before, const std::vector<Run>& after, const SpeedCompareOptions& options);
std::string WriteSpeedComparisonText(const SpeedComparison& comparison);
std::string WriteSpeedComparisonJson(const SpeedComparison& comparison);

/// Event streams, or Google Benchmark's JSON. Throws InputError for anything else.
std::vector<Run> ReadBenchmarkFile(const std::string& path);

}  // namespace netns::reports
