// SPDX-License-Identifier: GPL-2.0-or-later
#include "reports/speed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reports/compare.h"
#include "reports/plots.h"
#include "reports/tests/builder.h"
#include "reports/writers.h"

namespace netns::reports {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::StreamBuilder;

/// `repetitions` of create/unshare around `us`, of its floor at 100, and of noise/spin at `spin`.
Run Measured(double us, double spin = 10, int repetitions = 8, double jitter = 0.5) {
  StreamBuilder stream;
  for (int i = 0; i < repetitions; ++i) {
    const double off = (i - repetitions / 2) * jitter;
    stream.Event({{"event", "measurement"}, {"name", "create/unshare"}, {"unit", "us"}, {"value", us + off}, {"floor", "floor/unshare"}});
    stream.Event({{"event", "measurement"}, {"name", "floor/unshare"}, {"unit", "us"}, {"value", 100 + off}});
    stream.Event({{"event", "measurement"}, {"name", "noise/spin"}, {"unit", "us"}, {"value", spin + 0.001 * i}});
  }
  return stream.Footer().Read();
}

TEST(Speed, TellsMediansIntervalsAndRatiosToTheFloor) {
  const std::string text = WriteSpeedText({Measured(150)});
  EXPECT_THAT(text, HasSubstr("create/unshare"));
  EXPECT_THAT(text, HasSubstr("1.50 x floor/unshare"));
  EXPECT_THAT(text, HasSubstr("noise floor"));
  EXPECT_THAT(WriteSpeedText({Measured(150, 10, 5)}), HasSubstr("(too few)"));
  EXPECT_EQ(WriteSpeedText({}), "no measurements\n");
}

TEST(Speed, ClaimsASlowdownThatIsLargeAndSure) {
  const SpeedComparison comparison = CompareSpeed({Measured(150)}, {Measured(165)}, {});
  ASSERT_EQ(comparison.claimed.size(), 1u);
  EXPECT_EQ(comparison.claimed[0].name, "create/unshare");
  EXPECT_EQ(comparison.exit_status(), kExitFail);
  EXPECT_THAT(WriteSpeedComparisonText(comparison), HasSubstr("slower create/unshare"));
}

TEST(Speed, ClaimsNothingOfTheSameOfLittleAndOfAGain) {
  EXPECT_THAT(CompareSpeed({Measured(150)}, {Measured(150)}, {}).claimed, IsEmpty());
  EXPECT_THAT(CompareSpeed({Measured(150, 10, 8, 0.1)}, {Measured(153, 10, 8, 0.1)}, {}).claimed, IsEmpty()) << "2% is below the least effect";
  const SpeedComparison faster = CompareSpeed({Measured(165)}, {Measured(150)}, {});
  EXPECT_EQ(faster.claimed.size(), 1u);
  EXPECT_EQ(faster.exit_status(), kExitPass);
}

TEST(Speed, DoesNotBlameTheKernelForTheMachine) {
  // Everything became 20% slower, arithmetic too.
  const SpeedComparison comparison = CompareSpeed({Measured(150, 10)}, {Measured(175, 12)}, {});
  EXPECT_THAT(comparison.claimed, IsEmpty());
  EXPECT_EQ(comparison.below_noise.size(), 1u);
  EXPECT_THAT(comparison.VerdictLine(), HasSubstr("NOISY"));
  // Control: the machine as fast as before, the same slowdown is claimed.
  EXPECT_EQ(CompareSpeed({Measured(150, 10)}, {Measured(175, 10)}, {}).claimed.size(), 1u);
}

TEST(Speed, WhatIsMissingIsNoPass) {
  StreamBuilder empty;
  const SpeedComparison comparison = CompareSpeed({Measured(150)}, {empty.Footer().Read()}, {});
  EXPECT_EQ(comparison.exit_status(), kExitError);
  EXPECT_THAT(WriteSpeedComparisonText(comparison), HasSubstr("not comparable: create/unshare (8 and 0 repetitions)"));
  EXPECT_EQ(CompareSpeed({Measured(150, 10, 4)}, {Measured(150, 10, 4)}, {}).exit_status(), kExitError) << "too few";
}

TEST(Speed, ComparesWhatABenchmarkMeasuredAndNotHowLongThatTook) {
  const auto run = [](double value, double duration) {
    StreamBuilder stream;
    stream.Plan("create/unshare", {});
    for (int i = 1; i <= 6; ++i) {
      stream.Event({{"event", "start"}, {"test", "create/unshare"}, {"iteration", i}});
      stream.Event({{"event", "measurement"}, {"name", "create/unshare"}, {"unit", "us"}, {"value", value + 0.1 * i}});
      stream.Event({{"event", "end"}, {"test", "create/unshare"}, {"iteration", i}, {"verdict", "PASS"}, {"duration_ms", duration + i}, {"failures", nlohmann::json::array()}});
    }
    return stream.Read();
  };
  const Comparison comparison = Compare(testing::SmallCatalogue(), {run(100, 50)}, {run(100, 500)}, {});
  EXPECT_THAT(comparison.speeds, IsEmpty());
  EXPECT_EQ(comparison.timed, 1);
}

Run Family(std::vector<int> numbers, const std::string& name = "free/until-done") {
  StreamBuilder stream;
  for (const int number : numbers)
    stream.Event({{"event", "measurement"}, {"name", name + "/" + std::to_string(number)}, {"unit", "ms"}, {"value", 2.0 * number}});
  return stream.Footer().Read();
}

TEST(Plots, DrawsCostAgainstNumber) {
  const auto curves = CostCurves({Family({256, 1, 16})});
  ASSERT_EQ(curves.size(), 1u);
  EXPECT_EQ(curves[0].family, "free/until-done");
  ASSERT_EQ(curves[0].lines.size(), 1u);
  EXPECT_EQ(curves[0].lines[0].points, (std::vector<std::pair<double, double>>{{1, 2}, {16, 32}, {256, 512}}));
  EXPECT_THAT(CostCurves({Family({1, 16})}), IsEmpty()) << "two points are no curve";
  EXPECT_THAT(PlotsHtml({Family({1, 16, 256})}), HasSubstr("<polyline"));
  EXPECT_THAT(PlotsHtml({Measured(150)}), HasSubstr("create/unshare over floor/unshare"));
  EXPECT_EQ(PlotsHtml({Family({1})}), "");
}

TEST(Plots, EscapesNames) {
  const std::string html = WriteHtml(testing::MakeReport({Family({1, 2, 3}, "<script>x</script>")}));
  EXPECT_THAT(html, HasSubstr("<polyline"));
  EXPECT_THAT(html, Not(HasSubstr("<script>x")));
}

}  // namespace
}  // namespace netns::reports
