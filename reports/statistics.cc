// SPDX-License-Identifier: GPL-2.0-or-later
#include "reports/statistics.h"

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/normal.hpp>
#include <cmath>
#include <numeric>
#include <utility>

namespace netns::reports {
namespace {

// How many of all arrangements of n and m values have U at most u, as a part of all; u is that of the smaller tail.
double ExactTail(std::size_t n, std::size_t m, std::size_t u) {
  // ways[k][s]: choices of k of the values seen so far whose ranks exceed the least possible by s in sum.
  const std::size_t most = n * m;
  std::vector<std::vector<double>> ways(n + 1, std::vector<double>(most + 1, 0));
  ways[0][0] = 1;
  for (std::size_t seen = 1; seen <= n + m; ++seen)
    for (std::size_t k = std::min(n, seen); k >= 1; --k) {
      const std::size_t shift = seen - k;  // how many values that are not chosen lie below this one
      if (shift > m) continue;
      for (std::size_t sum = most + 1; sum-- > shift;) ways[k][sum] += ways[k - 1][sum - shift];
    }
  double below = 0, all = 0;
  for (std::size_t sum = 0; sum <= most; ++sum) {
    all += ways[n][sum];
    if (sum <= u) below += ways[n][sum];
  }
  return below / all;
}

}  // namespace

double Quantile(std::vector<double> values, double part) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double at = part * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(at);
  if (below + 1 >= values.size()) return values.back();
  return values[below] + (at - static_cast<double>(below)) * (values[below + 1] - values[below]);
}

double Median(std::vector<double> values) { return Quantile(std::move(values), 0.5); }

double Spread(const std::vector<double>& values) {
  const double median = Median(values);
  if (values.size() < 2 || median <= 0) return 0;
  return (Quantile(values, 0.75) - Quantile(values, 0.25)) / median;
}

Interval MedianInterval(std::vector<double> values, double confidence) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  // How many of n values lie below the true median is binomial with p = 1/2. So the k-th smallest lies above it with
  // probability P(at most k - 1 below), and likewise at the other end.
  const boost::math::binomial below(static_cast<double>(values.size()), 0.5);
  std::size_t cut = 0;
  while (cut + 1 < (values.size() + 1) / 2 && 2 * boost::math::cdf(below, static_cast<double>(cut + 1)) <= 1 - confidence)
    ++cut;
  return {.low = values[cut],
          .high = values[values.size() - 1 - cut],
          .confidence = 1 - 2 * boost::math::cdf(below, static_cast<double>(cut))};
}

double MannWhitneyP(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.empty() || b.empty()) return 1;
  std::vector<std::pair<double, bool>> all;
  for (const double value : a) all.emplace_back(value, true);
  for (const double value : b) all.emplace_back(value, false);
  std::sort(all.begin(), all.end());
  double rank_sum = 0, ties = 0;
  for (std::size_t i = 0; i < all.size();) {
    std::size_t end = i;
    while (end < all.size() && all[end].first == all[i].first) ++end;
    const double rank = (static_cast<double>(i + 1) + static_cast<double>(end)) / 2;
    for (std::size_t j = i; j < end; ++j)
      if (all[j].second) rank_sum += rank;
    const auto tied = static_cast<double>(end - i);
    ties += tied * tied * tied - tied;
    i = end;
  }
  const auto n = static_cast<double>(a.size()), m = static_cast<double>(b.size());
  const double u = rank_sum - n * (n + 1) / 2;
  const double smaller = std::min(u, n * m - u);
  if (ties == 0 && a.size() * b.size() <= 400)
    return std::min(1.0, 2 * ExactTail(a.size(), b.size(), static_cast<std::size_t>(smaller)));
  const double variance = n * m / 12 * (n + m + 1 - ties / ((n + m) * (n + m - 1)));
  if (variance <= 0) return 1;
  const double z = std::max(0.0, n * m / 2 - smaller - 0.5) / std::sqrt(variance);
  return 2 * boost::math::cdf(boost::math::complement(boost::math::normal(), z));
}

std::vector<bool> Discoveries(const std::vector<double>& p, double rate) {
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] < p[b]; });
  std::size_t found = 0;
  for (std::size_t i = 0; i < order.size(); ++i)
    if (p[order[i]] <= rate * static_cast<double>(i + 1) / static_cast<double>(order.size())) found = i + 1;
  std::vector<bool> out(p.size());
  for (std::size_t i = 0; i < found; ++i) out[order[i]] = true;
  return out;
}

}  // namespace netns::reports
