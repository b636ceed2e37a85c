// SPDX-License-Identifier: GPL-2.0-or-later
// What may be said of repeated figures. Distributions are Boost.Math's.
#pragma once

#include <vector>

namespace netns::reports {

/// The middle value; 0 of nothing.
double Median(std::vector<double> values);
/// The value below which `part` of them lie, between neighbours in proportion; 0 of nothing.
double Quantile(std::vector<double> values, double part);
/// Interquartile range over median: how much repetitions of the same work differ; 0 for fewer than two.
double Spread(const std::vector<double>& values);

/// An interval of order statistics that holds the true median with at least `confidence`, whatever the distribution.
/// Fewer values than allow that give the whole range, and the confidence that it has.
struct Interval {
  double low = 0, high = 0;
  double confidence = 0;
};
Interval MedianInterval(std::vector<double> values, double confidence = 0.95);

/// The two-sided p-value of the Mann-Whitney U test: exact for small samples without ties, else by the normal
/// approximation with correction for ties and continuity. 1 where a sample is empty.
double MannWhitneyP(const std::vector<double>& a, const std::vector<double>& b);

/// Which of these p-values are discoveries, where at most `rate` of them may be false (Benjamini-Hochberg).
std::vector<bool> Discoveries(const std::vector<double>& p, double rate);

}  // namespace netns::reports
