// SPDX-License-Identifier: GPL-2.0-or-later
// What benchmarks reckon with, without a kernel.
#include "benchmarks/bench.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "benchmarks/context.h"

namespace netns::bench {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Bench, TakesTheMiddleOfItsTimes) {
  EXPECT_EQ(Median({}), 0);
  EXPECT_EQ(Median({3, 1, 2}), 2);
  // One preemption does not decide.
  EXPECT_EQ(Median({1, 1, 1, 1, 1000}), 1);
}

TEST(Bench, AsksForAsManyIterationsAsTakeTheTime) {
  EXPECT_EQ(NextIterations(10, 0.01, 0.1, 1000), 100);
  EXPECT_EQ(NextIterations(1, 0.0001, 0.1, 1000), 10) << "a short trial says little";
  EXPECT_EQ(NextIterations(1, 0.0001, 0.1, 5), 5) << "never more than the benchmark stands";
  EXPECT_EQ(NextIterations(4, 2.0, 0.1, 1000), 4) << "never fewer than were tried";
  EXPECT_EQ(NextIterations(1, 0, 0.1, 1000), 10) << "a clock that stood still";
}

TEST(Bench, TellsALimitOfTheMachineFromAFault) {
  for (const int code : {ENOSPC, ENOMEM, EMFILE, EAGAIN}) EXPECT_TRUE(IsLimit(code)) << ErrnoName(code);
  EXPECT_FALSE(IsLimit(EPERM));
  try {
    Fail(Error{ENOSPC, "unshare(CLONE_NEWNET)"}, "3211 namespaces");
    FAIL() << "it did not throw";
  } catch (const LimitReached& limit) {
    EXPECT_THAT(limit.what(), HasSubstr("user.max_net_namespaces"));
    EXPECT_THAT(limit.what(), HasSubstr("until then: 3211 namespaces"));
  }
  EXPECT_THROW(Fail(Error{EPERM, "unshare(CLONE_NEWNET)"}), SetupFailure);
}

TEST(Bench, ScalesThousandsAndNeverToNothing) {
  SetScale(0.01);
  EXPECT_EQ(Scaled(1000), 10);
  EXPECT_EQ(Scaled(10), 1);
  SetScale(1);
  EXPECT_EQ(Scaled(1000), 1000);
}

TEST(Bench, MakesAStepLongerByTheInjectedPart) {
  const auto spin = [] {
    const auto until = Clock::now() + std::chrono::milliseconds(2);
    while (Clock::now() < until) {
    }
  };
  // A step is at least 2 ms long; with as much again, at least 4, whatever else this machine does.
  EXPECT_GE(Timed(spin), 0.002);
  SetInjectedDelay(1);
  EXPECT_GE(Timed(spin), 0.004);
  SetInjectedDelay(0);
}

TEST(Context, ReadsWhatIsThereAndSaysWhatIsNot) {
  const std::filesystem::path root = std::filesystem::path(::testing::TempDir()) / "bench-context";
  const auto write = [&](const std::string& path, const std::string& text) {
    std::filesystem::create_directories((root / path).parent_path());
    std::ofstream(root / path) << text;
  };
  write("proc/cpuinfo", "processor : 0\nmodel name\t: Some CPU\nflags\t\t: fpu hypervisor sse\n");
  write("proc/loadavg", "1.50 1.00 0.50 1/100 1\n");
  write("sys/devices/system/cpu/smt/active", "1\n");
  write("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
  auto context = ReadContext(root.string(), nlohmann::json::object());
  EXPECT_EQ(context["cpu"], "Some CPU");
  EXPECT_EQ(context["load"], "1.50");
  EXPECT_EQ(context["smt"], "on");
  EXPECT_EQ(context["governor"], "powersave");
  EXPECT_EQ(context["clocksource"], "unknown");
  EXPECT_EQ(context["accelerator"], "a virtual machine");
  EXPECT_EQ(ReadContext(root.string(), {{"accelerator", "tcg"}})["accelerator"], "tcg");
  write("proc/cpuinfo", "model name\t: Some CPU\nflags\t\t: fpu sse\n");
  EXPECT_EQ(ReadContext(root.string(), nlohmann::json::object())["accelerator"], "none (bare metal)");
  std::filesystem::remove_all(root);
}

TEST(Context, ReadsTheTimesOfAllCpus) {
  const CpuTimes times = ParseCpuTimes("cpu  10 1 20 60 5 0 1 3 0 0\ncpu0 1 1 1 1\n");
  EXPECT_EQ(times.all, 100);
  EXPECT_EQ(times.idle, 65);
  EXPECT_EQ(times.steal, 3);
  EXPECT_EQ(ParseCpuTimes("").all, 0);
}

TEST(Noise, IsSaidOnlyWhereThereIsSome) {
  EXPECT_THAT(WhyNoisy({.spin = 0.01, .steal = 0, .load_before = 0.1}), IsEmpty());
  EXPECT_THAT(WhyNoisy({.spin = 0.2}), HasSubstr("differ by 20%"));
  EXPECT_THAT(WhyNoisy({.steal = 0.1}), HasSubstr("hypervisor took 10%"));
  EXPECT_THAT(WhyNoisy({.load_before = 3}), HasSubstr("3.0 processes per CPU"));
}

TEST(Noise, IsTheSpreadOfTheMiddleHalf) {
  EXPECT_EQ(Spread({5}), 0);
  EXPECT_EQ(Spread({10, 10, 10, 10, 99}), 0) << "one outlier is none of it";
  EXPECT_NEAR(Spread({8, 9, 10, 11, 12}), 0.2, 1e-9);
}

}  // namespace
}  // namespace netns::bench
