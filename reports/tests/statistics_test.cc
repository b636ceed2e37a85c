// SPDX-License-Identifier: GPL-2.0-or-later
#include "reports/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace netns::reports {
namespace {

TEST(Statistics, TheIntervalOfAMedianHasTheRanksOfTheBinomialDistribution) {
  // Of ten values the second and the ninth: P = 1 - 2 * (1 + 10) / 1024.
  const Interval ten = MedianInterval({10, 9, 8, 7, 6, 5, 4, 3, 2, 1});
  EXPECT_EQ(ten.low, 2);
  EXPECT_EQ(ten.high, 9);
  EXPECT_NEAR(ten.confidence, 1 - 22.0 / 1024, 1e-12);
  // Six are the fewest that allow 95%; five give their whole range, and say how little that is.
  EXPECT_GE(MedianInterval({1, 2, 3, 4, 5, 6}).confidence, 0.95);
  const Interval five = MedianInterval({1, 2, 3, 4, 5});
  EXPECT_EQ(five.low, 1);
  EXPECT_EQ(five.high, 5);
  EXPECT_LT(five.confidence, 0.95);
  EXPECT_EQ(MedianInterval({}).confidence, 0);
  EXPECT_EQ(MedianInterval({7}).low, 7);
}

TEST(Statistics, TheIntervalHoldsTheMedianAsOftenAsItSays) {
  std::mt19937 random(1);
  std::exponential_distribution<double> skewed(1);
  int held = 0;
  constexpr int kTimes = 2000;
  for (int i = 0; i < kTimes; ++i) {
    std::vector<double> values(12);
    for (double& value : values) value = skewed(random);
    const Interval interval = MedianInterval(values);
    held += interval.low <= std::log(2.0) && std::log(2.0) <= interval.high ? 1 : 0;
  }
  EXPECT_GE(held, kTimes * 94 / 100);
}

TEST(Statistics, ControlsFalseDiscoveriesByBenjaminiAndHochberg) {
  const auto found = Discoveries({0.04, 0.001, 0.3, 0.02}, 0.05);
  // Thresholds 0.0125, 0.025, 0.0375, 0.05 for 0.001, 0.02, 0.04, 0.3.
  EXPECT_EQ(found, (std::vector<bool>{false, true, false, true}));
  EXPECT_TRUE(Discoveries({}, 0.05).empty());
}

TEST(Statistics, SpreadIsOfTheMiddleHalf) {
  EXPECT_EQ(Spread({10, 10, 10, 10, 99}), 0);
  EXPECT_NEAR(Spread({8, 9, 10, 11, 12}), 0.2, 1e-12);
  EXPECT_EQ(Median({4, 1, 3, 2}), 2.5);
}

}  // namespace
}  // namespace netns::reports
