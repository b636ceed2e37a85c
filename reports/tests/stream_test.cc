// SPDX-License-Identifier: GPL-2.0-or-later
#include "reports/stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "reports/report.h"
#include "reports/tests/builder.h"

namespace netns::reports {
namespace {

using ::testing::Contains;
using testing::Failure;
using ::testing::HasSubstr;
using testing::MakeReport;
using testing::SmallCatalogue;
using ::testing::SizeIs;
using testing::StreamBuilder;

std::vector<Run> Read(const std::string& text) {
  std::istringstream in(text);
  return ReadStream(in, "s.jsonl");
}

std::string WhyUnusable(const std::string& text) {
  try {
    Read(text);
  } catch (const InputError& error) {
    return error.what();
  }
  return "usable";
}

StreamBuilder Good() {
  StreamBuilder stream;
  stream.Plan("Veth.Pipe", {"VETH-01"})
      .Plan("Veth.Freed", {"VETH-02"})
      .Ran("Veth.Pipe", "PASS")
      .Ran("Veth.Freed", "PASS")
      .Footer();
  return stream;
}

TEST(Stream, ReadsAWholeRun) {
  const reports::Run run = Good().Read();
  EXPECT_TRUE(run.complete);
  EXPECT_EQ(run.header.release, "6.12.117");
  EXPECT_EQ(run.header.config.at("VETH"), "m");
  ASSERT_THAT(run.tests, SizeIs(2));
  EXPECT_EQ(run.tests[0].verdict, Verdict::kPass);
  EXPECT_EQ(run.duration_ms, 1234);
  EXPECT_THAT(run.problems, SizeIs(0));
}

TEST(Stream, IgnoresWhatItDoesNotKnow) {
  StreamBuilder stream;
  stream.Header("colour", "blue")
      .Plan("Veth.Pipe", {"VETH-01"})
      .Event({{"event", "sparkle"}})
      .Ran("Veth.Pipe", "PASS", {{"mood", {1, 2}}})
      .Footer();
  EXPECT_TRUE(stream.Read().complete);
}

TEST(Stream, ToleratesFieldsOfAnotherType) {
  StreamBuilder stream;
  stream.Header("machine", 7).Header("nics", "none").Plan("Veth.Pipe", {"VETH-01"});
  stream.Ran("Veth.Pipe", "PASS", {{"duration_ms", "long"}, {"failures", 3}, {"iteration", 1e300}}).Footer();
  EXPECT_EQ(stream.Read().tests[0].verdict, Verdict::kPass);
}

TEST(Stream, RefusesAnotherMajorSchema) {
  EXPECT_THAT(WhyUnusable(StreamBuilder().Header("schema", "2.0").Text()),
              HasSubstr("schema 2.0, but this program reads 1.x"));
  EXPECT_EQ(WhyUnusable(StreamBuilder().Header("schema", "1.9").Text()), "usable");
}

TEST(Stream, RefusesWhatIsNoStream) {
  EXPECT_THAT(WhyUnusable(""), HasSubstr("s.jsonl: is empty"));
  EXPECT_THAT(WhyUnusable("root:x:0:0\n"), HasSubstr("line 1 is no header"));
  EXPECT_THAT(WhyUnusable("{\"a\":1}\n"), HasSubstr("line 1 is no header"));
  EXPECT_THAT(WhyUnusable("[[[[[[[["), HasSubstr("line 1 is no header"));
}

TEST(Stream, WithoutFooterIsIncompleteAndNamesItsSuspect) {
  StreamBuilder stream;
  stream.Plan("Veth.Pipe", {"VETH-01"})
      .Plan("Veth.Freed", {"VETH-02"})
      .Plan("Phys.Back", {"PHYS-01"})
      .Ran("Veth.Pipe", "PASS")
      .Start("Veth.Freed");
  stream.Event({{"event", "check"},
                {"test", "Veth.Freed"},
                {"iteration", 1},
                {"kind", "expectation"},
                {"message", "peer stayed"}});
  const reports::Run run = stream.Read();
  EXPECT_FALSE(run.complete);
  const TestRecord* suspect = run.Find("Veth.Freed");
  EXPECT_TRUE(suspect->in_flight);
  EXPECT_EQ(suspect->verdict, Verdict::kError);
  EXPECT_EQ(suspect->results[0].failures[0].message, "peer stayed");
  EXPECT_TRUE(run.Find("Phys.Back")->not_reached);
  const Report report = MakeReport({run});
  EXPECT_EQ(report.exit_status(), kExitError);
}

TEST(Stream, CutAtAnyByteIsReadOrRefusedInOneLine) {
  const std::string whole = Good().Text();
  for (std::size_t length = 0; length + 1 < whole.size(); ++length) {
    try {
      const std::vector<reports::Run> runs = Read(whole.substr(0, length));
      // With all but the last newline, all is there.
      EXPECT_FALSE(runs.at(0).complete) << length;
    } catch (const InputError& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
      EXPECT_LT(length, whole.find('\n'));
    }
  }
}

TEST(Stream, LosesNothingAroundADamagedLine) {
  StreamBuilder stream;
  stream.Plan("Veth.Pipe", {"VETH-01"}).Line("{\"event\":\"en[ 12.3] BUG").Ran("Veth.Pipe", "PASS").Footer();
  const reports::Run run = stream.Read();
  EXPECT_FALSE(run.complete);
  EXPECT_EQ(run.tests[0].verdict, Verdict::kPass);
  EXPECT_THAT(run.problems, Contains(HasSubstr("line 2 is damaged")));
}

TEST(Stream, NoticesLostLinesByTheFootersCounts) {
  StreamBuilder stream;
  stream.Plan("Veth.Pipe", {"VETH-01"}).Ran("Veth.Pipe", "PASS");
  stream.Event({{"event", "footer"}, {"counts", {{"PASS", 2}}}});
  EXPECT_FALSE(stream.Read().complete);
}

TEST(Stream, KeepsTheWorstOfSeveralIterations) {
  StreamBuilder stream;
  stream.Plan("Veth.Pipe", {"VETH-01"})
      .Ran("Veth.Pipe", "PASS")
      .Ran("Veth.Pipe", "FAIL", {{"iteration", 2}})
      .Ran("Veth.Pipe", "PASS", {{"iteration", 3}})
      .Footer();
  const reports::Run run = stream.Read();
  EXPECT_EQ(run.tests[0].verdict, Verdict::kFail);
  EXPECT_EQ(run.tests[0].Decisive()->iteration, 2);
  EXPECT_THAT(run.tests[0].results, SizeIs(3));
}

TEST(Stream, HasNoNegativeTimeWhereClocksRunBack) {
  StreamBuilder stream;
  stream.Plan("Veth.Pipe", {"VETH-01"}).Line(R"({"event":"start","test":"Veth.Pipe","time":5})");
  EXPECT_EQ(stream.Read().duration_ms, 0);
}

TEST(Stream, SaysWhenATestNameIsThereTwice) {
  StreamBuilder stream;
  stream.Plan("Veth.Pipe", {"VETH-01"})
      .Plan("Veth.Pipe", {"VETH-02"})
      .Ran("Veth.Pipe", "PASS")
      .Ran("Veth.Pipe", "FAIL")
      .Footer();
  const reports::Run run = stream.Read();
  EXPECT_THAT(run.problems, Contains(HasSubstr("the plan has the test Veth.Pipe twice")));
  EXPECT_THAT(run.problems, Contains(HasSubstr("once more")));
  EXPECT_EQ(run.tests[0].verdict, Verdict::kFail);
}

TEST(Stream, JoinsTwoStreamsOfOneRun) {
  StreamBuilder cut;
  cut.Plan("Veth.Pipe", {"VETH-01"}).Plan("Veth.Freed", {"VETH-02"}).Ran("Veth.Pipe", "PASS");
  std::vector<reports::Run> runs = Read(cut.Text());
  runs.push_back(Good().Read());
  JoinAndLabel(runs);
  ASSERT_THAT(runs, SizeIs(1));
  EXPECT_TRUE(runs[0].complete);
  EXPECT_EQ(runs[0].Find("Veth.Freed")->verdict, Verdict::kPass);
  EXPECT_THAT(runs[0].tests[0].results, SizeIs(1));
}

TEST(Stream, ReadsRunsThatWereJoinedEndToEnd) {
  const std::vector<reports::Run> runs = Read(Good().Text() + StreamBuilder("5.10.0").Footer().Text());
  ASSERT_THAT(runs, SizeIs(2));
  EXPECT_EQ(runs[1].header.release, "5.10.0");
}

TEST(Verdicts, RequirementTakesTheWorstOfItsTests) {
  StreamBuilder stream;
  stream.Plan("A.A", {"VETH-01"})
      .Plan("A.B", {"VETH-01", "VETH-02"})
      .Plan("A.C", {"VETH-02"})
      .Plan("A.D", {"PHYS-01"}, false);
  stream.Ran("A.A", "PASS").Ran("A.B", "MISS").Ran("A.C", "ERROR").Footer();
  const Report report = MakeReport({stream.Read()});
  EXPECT_EQ(report.RequirementVerdict(0), Verdict::kMiss);
  EXPECT_EQ(report.RequirementVerdict(1), Verdict::kError);
  EXPECT_EQ(report.RequirementVerdict(2), Verdict::kSkip);
  EXPECT_EQ(report.RequirementVerdict(3), Verdict::kUntested);
}

TEST(Verdicts, ExitStatus) {
  const auto status = [](const std::string& verdict, const std::string& profile) {
    StreamBuilder stream;
    stream.Plan("A.A", {"VETH-01"}).Plan("A.B", {"VETH-02"}).Ran("A.A", "PASS");
    stream.Ran("A.B", verdict, {{"reason", {{"code", "needs-machine"}}}}).Footer();
    return MakeReport({stream.Read()}, profile).exit_status();
  };
  EXPECT_EQ(status("PASS", "ci"), kExitPass);
  EXPECT_EQ(status("FAIL", "ci"), kExitFail);
  EXPECT_EQ(status("ERROR", "ci"), kExitError);
  EXPECT_EQ(status("MISS", "ci"), kExitForbidden);
  EXPECT_EQ(status("MISS", "developer"), kExitPass);
}

TEST(Profiles, ARequirementMayMissWhatIsAllowedWhereTheRestPasses) {
  const auto violations = [](const char* other_verdict, const char* code, const char* profile) {
    StreamBuilder stream;
    stream.Plan("Phys.E1000", {"PHYS-01"}).Plan("Phys.Igb", {"PHYS-01"});
    stream.Ran("Phys.E1000", other_verdict, {{"reason", {{"code", "needs-nic:e1000"}}}});
    stream.Ran("Phys.Igb", "MISS", {{"reason", {{"code", code}}}}).Footer();
    std::vector<reports::Run> runs = {stream.Read()};
    return Report::Make(SmallCatalogue(), std::move(runs), ParseProfile(profile, "p")).violations.size();
  };
  constexpr char kStrict[] = "{profile: p, require: {requirements: [PHYS-01]}}";
  constexpr char kCards[] = "{profile: p, require: {requirements: [PHYS-01], may_miss: ['needs-nic:*']}}";
  constexpr char kNone[] = "{profile: p, require: {requirements: [PHYS, -PHYS-01]}}";
  EXPECT_EQ(violations("PASS", "needs-nic:igb", kStrict), 1u);
  EXPECT_EQ(violations("PASS", "needs-nic:igb", kCards), 0u);
  EXPECT_EQ(violations("PASS", "needs-machine", kCards), 1u);
  EXPECT_EQ(violations("MISS", "needs-nic:igb", kCards), 1u);  // then nothing shows it
  EXPECT_EQ(violations("MISS", "needs-nic:igb", kNone), 0u);
}

TEST(Verdicts, HeadlineIsWhatTheProfileMakesOfIt) {
  const auto word = [](const char* first, const char* second, const std::string& profile) {
    StreamBuilder stream;
    stream.Plan("A.A", {"VETH-01"}).Plan("A.B", {"VETH-02"});
    stream.Ran("A.A", first, {{"reason", {{"code", "needs-machine"}}}});
    stream.Ran("A.B", second, {{"reason", {{"code", "needs-machine"}}}}).Footer();
    const Report report = MakeReport({stream.Read()}, profile);
    EXPECT_EQ(report.headline().word, report.RunHeadline(0).word);
    return std::string(report.headline().word);
  };
  EXPECT_EQ(word("PASS", "MISS", "developer"), "PASS");
  EXPECT_EQ(word("PASS", "MISS", "ci"), "FORBIDDEN");
  EXPECT_EQ(word("MISS", "MISS", "developer"), "MISS");  // silence is never a pass
  EXPECT_EQ(word("FAIL", "MISS", "ci"), "FAIL");
  EXPECT_EQ(word("PASS", "ERROR", "ci"), "ERROR");
}

TEST(Verdicts, NothingRanIsNoPass) {
  StreamBuilder stream;
  stream.Plan("A.A", {"VETH-01"}, false).Footer();
  EXPECT_EQ(MakeReport({stream.Read()}).exit_status(), kExitError);
}

TEST(Verdicts, AskedForAndNeverRunIsError) {
  StreamBuilder stream;
  stream.Plan("A.A", {"VETH-01"}).Plan("A.B", {"VETH-02"}).Ran("A.A", "PASS").Footer();
  EXPECT_EQ(MakeReport({stream.Read()}).exit_status(), kExitError);
}

}  // namespace
}  // namespace netns::reports
