// SPDX-License-Identifier: GPL-2.0-or-later
// A small set of cases in which every two values of any two factors meet at least once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <random>
#include <tuple>
#include <vector>

namespace netns {

/// Rows of values 0 to sizes[i] - 1, always the same ones for the same sizes. Greedy: each row is the best of some that
/// each start from a pair that has not met yet.
inline std::vector<std::vector<std::size_t>> Pairwise(const std::vector<std::size_t>& sizes) {
  using Pair = std::tuple<std::size_t, std::size_t, std::size_t, std::size_t>;  // factor, its value, a later factor, its value
  std::vector<std::size_t> first(sizes.size() + 1);  // the number of each factor's value 0 among the values of all
  std::partial_sum(sizes.begin(), sizes.end(), first.begin() + 1);
  std::vector<char> is_open(first.back() * first.back());  // looked up far more often than anything else is done
  auto at = [&](std::size_t a, std::size_t x, std::size_t b, std::size_t y) -> char& {
    return is_open[(first[a] + x) * first.back() + first[b] + y];
  };
  std::vector<Pair> open;  // sorted
  for (std::size_t a = 0; a < sizes.size(); ++a)
    for (std::size_t b = a + 1; b < sizes.size(); ++b)
      for (std::size_t x = 0; x < sizes[a]; ++x)
        for (std::size_t y = 0; y < sizes[b]; ++y) {
          open.emplace_back(a, x, b, y);
          at(a, x, b, y) = at(b, y, a, x) = 1;
        }
  std::sort(open.begin(), open.end());
  std::minstd_rand random(1);
  std::vector<std::vector<std::size_t>> rows;
  while (!open.empty()) {
    std::vector<std::size_t> best;
    std::size_t best_gain = 0;
    for (int attempt = 0; attempt < 20; ++attempt) {
      std::vector<std::size_t> row(sizes.size());
      std::vector<char> chosen(sizes.size());
      const auto [a, x, b, y] = open[random() % open.size()];
      row[a] = x, row[b] = y, chosen[a] = chosen[b] = 1;
      std::size_t gain = 1;
      for (std::size_t factor = 0; factor < sizes.size(); ++factor) {
        if (chosen[factor] != 0) continue;
        std::size_t best_value = 0, most = 0;
        const std::size_t offset = random() % sizes[factor];  // so that ties are not always for the first
        for (std::size_t i = 0; i < sizes[factor]; ++i) {
          const std::size_t value = (i + offset) % sizes[factor];
          std::size_t met = 0;
          for (std::size_t other = 0; other < sizes.size(); ++other)
            if (chosen[other] != 0 && at(factor, value, other, row[other]) != 0) ++met;
          if (met > most || i == 0) most = met, best_value = value;
        }
        row[factor] = best_value, chosen[factor] = 1, gain += most;
      }
      if (gain > best_gain) best_gain = gain, best = row;
    }
    for (std::size_t a = 0; a < sizes.size(); ++a)
      for (std::size_t b = a + 1; b < sizes.size(); ++b) at(a, best[a], b, best[b]) = at(b, best[b], a, best[a]) = 0;
    std::erase_if(open, [&](const Pair& pair) { return std::apply(at, pair) == 0; });
    rows.push_back(best);
  }
  return rows;
}

}  // namespace netns
