// SPDX-License-Identifier: GPL-2.0-or-later
// Plots of benchmarks for the HTML report, as inline SVG: figures without scripts, in the colours of the style sheet.
#pragma once

#include <string>
#include <vector>

#include "reports/stream.h"

namespace netns::reports {

/// A family of benchmarks whose names end in a number ("free/until-done/256"): cost against number, a line per kernel.
struct CostCurve {
  std::string family, unit;
  struct Line {
    std::string label;                              ///< of the run
    std::vector<std::pair<double, double>> points;  ///< number, median; in order
  };
  std::vector<Line> lines;
};
/// Families with at least three numbers in some run.
std::vector<CostCurve> CostCurves(const std::vector<Run>& runs);

/// The section's content: curves, then ratios to the floor. Empty where the runs have neither.
std::string PlotsHtml(const std::vector<Run>& runs);

}  // namespace netns::reports
