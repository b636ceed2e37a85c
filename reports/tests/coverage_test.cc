// SPDX-License-Identifier: GPL-2.0-or-later
#include "reports/coverage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "reports/tests/builder.h"

namespace netns::reports {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::SmallCatalogue;
using testing::StreamBuilder;

TestInfo Named(const std::string& name, std::vector<std::string> covers) {
  TestInfo test;
  test.name = name;
  test.covers = std::move(covers);
  return test;
}

TEST(CheckTrace, IsSilentWhenAllIsTraced) {
  const std::vector<TestInfo> tests = {Named("Veth.Pipe", {"VETH-01", "VETH-02"})};
  EXPECT_THAT(Coverage(SmallCatalogue(), tests).Problems({}), ElementsAre());
}

TEST(CheckTrace, NamesEveryBreak) {
  const std::vector<TestInfo> tests = {Named("Veth.Pipe", {"VETH-01"}), Named("Veth.Idle", {}),
                                       Named("Veth.Pipe", {"VTEH-01"})};
  EXPECT_THAT(Coverage(SmallCatalogue(), tests).Problems({"PHYS", "WLAN"}),
              ElementsAre(HasSubstr("Veth.Idle: covers no requirement"), HasSubstr("another test of this name"),
                          HasSubstr("covers VTEH-01, which"), HasSubstr("WLAN: listed as complete"),
                          HasSubstr("VETH-02: no test covers it"), HasSubstr("PHYS-01: no test covers it")));
}

TEST(List, CountsCoveredUntestableAndOpen) {
  const std::vector<TestInfo> tests = {Named("Veth.Pipe", {"VETH-01"})};
  const Coverage coverage(SmallCatalogue(), tests);
  EXPECT_THAT(WriteCoverage(coverage), HasSubstr("all                   4        1           1     2"));
  EXPECT_EQ(nlohmann::json::parse(WriteListJson(coverage, {.state = "open"}))["requirements"].size(), 2u);
  EXPECT_EQ(WriteList(coverage, {.area = "PHYS", .text = "INITIAL"}), "PHYS-01    core     open       Comes back\n");
}

TEST(Explain, TellsOfARequirementItsTestsAndTheirLastResult) {
  StreamBuilder stream;
  stream.Plan("Veth.Pipe", {"VETH-01"})
      .Ran("Veth.Pipe", "FAIL", {{"failures", {testing::Failure("nothing came out")}}})
      .Footer();
  const std::vector<TestInfo> tests = {Named("Veth.Pipe", {"VETH-01"})};
  const Coverage coverage(SmallCatalogue(), tests);
  const std::string text = Explain(coverage, "VETH-01", {stream.Read()});
  EXPECT_THAT(text, HasSubstr("What enters one end leaves the other."));
  EXPECT_THAT(text, HasSubstr("FAIL on Linux 6.12.117: nothing came out"));
  EXPECT_THAT(Explain(coverage, "Veth.Pipe", {}), HasSubstr("VETH-01: A pair is a pipe"));
  EXPECT_THROW(Explain(coverage, "VETH-1", {}), InputError);
  EXPECT_THAT(text, HasSubstr("tests\n    Veth.Pipe"));
}

TEST(Explain, TellsHowByTheCommentAboveTheTest) {
  const std::string path = ::testing::TempDir() + "explain_test_source.cc";
  std::ofstream(path) << "// Not this one.\n\n// What enters one end\n// leaves the other.\nNETNS_TEST(Veth, Pipe) {}\n";
  TestInfo test = Named("Veth.Pipe", {"VETH-01"});
  test.file = path;
  test.line = 5;
  test.needs = {"nic:e1000:2"};
  const std::vector<TestInfo> tests = {test};
  const std::string text = Explain(Coverage(SmallCatalogue(), tests), "Veth.Pipe", {});
  EXPECT_THAT(text, HasSubstr("how           What enters one end leaves the other.\n"));
  EXPECT_THAT(text, HasSubstr("run it with: ./netns-conformance vm --filter=Veth.Pipe"));
}

}  // namespace
}  // namespace netns::reports
