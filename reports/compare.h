// SPDX-License-Identifier: GPL-2.0-or-later
// What changed between two runs: of two kernels, of one kernel twice, or against a saved baseline.
#pragma once

#include <string>
#include <vector>

#include "reports/report.h"
#include "reports/speed.h"

namespace netns::reports {

enum class Change {
  kRegressed,     ///< Was PASS, is FAIL or ERROR.
  kNewlyFailing,  ///< Was not there or could not run, is FAIL or ERROR.
  kFixed,         ///< Was FAIL or ERROR, is PASS.
  kNewlyMissing,  ///< Ran, and does not any more.
  kNewlyCovered,  ///< Was not there or could not run, is PASS.
  kOtherReason,   ///< Is as bad as it was, but for another reason.
};

std::string_view Word(Change change);

/// A test or a requirement whose verdict or reason is another.
struct Difference {
  Change change = Change::kOtherReason;
  bool is_requirement = false;
  std::string name;
  std::string title = {};  ///< Of a requirement; of a test, the ids that it covers.
  Verdict before = Verdict::kUntested;
  Verdict after = Verdict::kUntested;
  std::string reason_before = {};
  std::string reason_after = {};

  /// The verdicts as a person reads them: "absent" for a test that a side does not have.
  std::string_view Before() const;
  std::string_view After() const;
  /// Both reasons in one line.
  std::string Why() const;
};

struct CompareOptions {
  double least_effect = 0.1;  ///< Smaller changes of the median are not told: 0.1 is 10%.
  double false_discoveries =
      0.05;  ///< Of the changes of speed that are told, at most this part by chance (Benjamini-Hochberg).
};

struct Comparison {
  std::string before;  ///< "Linux 6.1.0 (x86_64, tcg)"
  std::string after;
  std::vector<Difference> differences;  ///< Worst first.
  std::vector<SpeedDifference> speeds;
  long timed = 0;             ///< How many tests and benchmarks had repetitions enough to compare their times.
  std::size_t unchanged = 0;  ///< Tests of the same verdict and reason.
  bool incomplete = false;    ///< One of the two is an incomplete run.

  bool regressed() const;
  ExitStatus exit_status() const;
  std::string VerdictLine() const;
};

/// Compares two sides, each of one run or of several repetitions.
Comparison Compare(const Catalogue& catalogue, const std::vector<Run>& before, const std::vector<Run>& after,
                   const CompareOptions& options);

std::string WriteComparisonText(const Comparison& comparison);
std::string WriteComparisonMarkdown(const Comparison& comparison);
std::string WriteComparisonJson(const Comparison& comparison);
std::string WriteComparisonHtml(const Comparison& comparison);

}  // namespace netns::reports
