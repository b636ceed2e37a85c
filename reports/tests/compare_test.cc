// SPDX-License-Identifier: GPL-2.0-or-later
#include "reports/compare.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "reports/tests/builder.h"

namespace netns::reports {
namespace {

using ::testing::HasSubstr;
using testing::SmallCatalogue;
using testing::StreamBuilder;

Comparison Between(const std::string& before, const std::string& after,
                   const nlohmann::json& more_before = nlohmann::json::object(),
                   const nlohmann::json& more_after = nlohmann::json::object()) {
  const auto run = [](const std::string& verdict, const nlohmann::json& more) {
    StreamBuilder stream;
    if (verdict != "absent") stream.Plan("Veth.Pipe", {"VETH-01"}).Ran("Veth.Pipe", verdict, more);
    stream.Plan("Veth.Freed", {"VETH-02"}).Ran("Veth.Freed", "PASS").Footer();
    return stream.Read();
  };
  return Compare(SmallCatalogue(), {run(before, more_before)}, {run(after, more_after)}, {});
}

TEST(Compare, NamesEachChange) {
  const auto change = [](const char* before, const char* after) -> std::string {
    const Comparison comparison = Between(before, after);
    return comparison.differences.empty() ? "none" : std::string(Word(comparison.differences.front().change));
  };
  EXPECT_EQ(change("PASS", "PASS"), "none");
  EXPECT_EQ(change("PASS", "FAIL"), "regressed");
  EXPECT_EQ(change("PASS", "ERROR"), "regressed");
  EXPECT_EQ(change("MISS", "FAIL"), "newly failing");
  EXPECT_EQ(change("absent", "FAIL"), "newly failing");
  EXPECT_EQ(change("FAIL", "PASS"), "fixed");
  EXPECT_EQ(change("FAIL", "MISS"), "newly missing");
  EXPECT_EQ(change("PASS", "absent"), "newly missing");
  EXPECT_EQ(change("MISS", "PASS"), "newly covered");
  EXPECT_EQ(change("ERROR", "FAIL"), "another reason");
}

TEST(Compare, SeesAnotherReasonForTheSameVerdict) {
  const Comparison comparison =
      Between("MISS", "MISS", {{"reason", {{"code", "needs-nic"}}}}, {{"reason", {{"code", "needs-machine"}}}});
  ASSERT_EQ(comparison.differences.size(), 1u);
  EXPECT_EQ(comparison.differences[0].reason_after, "needs-machine");
  EXPECT_EQ(comparison.exit_status(), kExitPass);
}

TEST(Compare, ExitsWithOneOnARegressionOnly) {
  EXPECT_EQ(Between("PASS", "FAIL").exit_status(), kExitFail);
  EXPECT_EQ(Between("FAIL", "FAIL").exit_status(), kExitPass);
  EXPECT_EQ(Between("PASS", "MISS").exit_status(), kExitPass);
  EXPECT_THAT(WriteComparisonText(Between("PASS", "FAIL")), HasSubstr("REGRESSED"));
  EXPECT_THAT(WriteComparisonMarkdown(Between("PASS", "FAIL")), HasSubstr("| regressed | VETH-01 A pair is a pipe |"));
  EXPECT_EQ(nlohmann::json::parse(WriteComparisonJson(Between("PASS", "FAIL")))["exit_status"], 1);
  EXPECT_THAT(WriteComparisonHtml(Between("PASS", "FAIL")), HasSubstr("VETH-01"));
}

TEST(Compare, CallsALowerRateSlower) {
  const SpeedDifference rate{.name = "Veth", .unit = "MB/s", .before = 10, .after = 8};
  EXPECT_TRUE(rate.slower());
  EXPECT_THAT(rate.Sentence(), HasSubstr("slower Veth: 10 MB/s -> 8 MB/s (-20%"));
  const SpeedDifference time{.name = "Veth", .unit = "us", .before = 10, .after = 8};
  EXPECT_FALSE(time.slower());
}

TEST(MannWhitney, AgreesWithTheTables) {
  // Complete separation of 5 and 5: 2 / C(10, 5).
  EXPECT_NEAR(MannWhitneyP({1, 2, 3, 4, 5}, {6, 7, 8, 9, 10}), 2.0 / 252, 1e-12);
  // R: wilcox.test(c(1.1, 2.2, 3.3, 4.4), c(2.5, 3.5, 4.5, 5.5)): W = 3, p = 0.2
  EXPECT_NEAR(MannWhitneyP({1.1, 2.2, 3.3, 4.4}, {2.5, 3.5, 4.5, 5.5}), 0.2, 1e-9);
  EXPECT_EQ(MannWhitneyP({1, 1, 1}, {1, 1, 1}), 1);
  EXPECT_EQ(MannWhitneyP({}, {1}), 1);
}

TEST(Compare, TellsASlowdownFromRepetitionsAndNeverFromOne) {
  const auto run = [](double base, int repetitions) {
    StreamBuilder stream;
    stream.Plan("Veth.Pipe", {"VETH-01"});
    for (int i = 1; i <= repetitions; ++i)
      stream.Ran("Veth.Pipe", "PASS", {{"iteration", i}, {"duration_ms", base + 0.01 * i}});
    return stream.Footer().Read();
  };
  EXPECT_EQ(Compare(SmallCatalogue(), {run(10, 8)}, {run(12, 8)}, {}).speeds.size(), 1u);
  EXPECT_EQ(Compare(SmallCatalogue(), {run(10, 1)}, {run(99, 1)}, {}).speeds.size(), 0u);
  EXPECT_EQ(Compare(SmallCatalogue(), {run(10, 8)}, {run(10.2, 8)}, {}).speeds.size(), 0u);  // too small to matter
}

}  // namespace
}  // namespace netns::reports
