// SPDX-License-Identifier: GPL-2.0-or-later
#include "reports/writers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <pugixml.hpp>

#include "reports/tests/builder.h"

namespace netns::reports {
namespace {

using testing::Failure;
using ::testing::HasSubstr;
using testing::MakeReport;
using ::testing::Not;
using testing::StreamBuilder;

// What the kernel log of Mixed() is when it is shown.
constexpr char kHostile[] = "<script>alert(1)</script> ]]> &amp; \\x1b[31m \\x01 '\"\xef\xbf\xbd";

StreamBuilder Mixed(const std::string& release = "6.12.117") {
  StreamBuilder stream(release);
  stream.Plan("Veth.Pipe", {"VETH-01"})
      .Plan("Veth.Freed", {"VETH-02"})
      .Plan("Phys.Back", {"PHYS-01"})
      .Plan("Phys.Nested", {"PHYS-01"}, false);
  stream.Ran("Veth.Pipe", "PASS", {{"properties", {{"packets", 3}}}});
  stream.Line(R"({"event":"start","test":"Veth.Freed","iteration":1})");
  // dump() would refuse the bytes that a console may hold, so this line is written by hand.
  stream.Line(
      std::string(
          R"({"event":"end","test":"Veth.Freed","iteration":1,"verdict":"FAIL","duration_ms":30,"failures":[)") +
      Failure("Expected: peer is gone\n  Actual: it stayed").dump() +
      R"(],"kernel_log":"<script>alert(1)</script> ]]> &amp; \u001b[31m \u0001 '\")" + "\xff" + "\"}");
  stream.Ran("Phys.Back", "MISS", {{"reason", {{"code", "needs-nic"}, {"text", "this machine lends no NIC"}}}})
      .Footer();
  return stream;
}

TEST(Terminal, TellsAFailureInFull) {
  const std::string text = WriteTerminal(MakeReport({Mixed().Read()}), false);
  EXPECT_THAT(text, HasSubstr("FAIL Veth.Freed"));
  EXPECT_THAT(text, HasSubstr("VETH-02: Both ends go with one."));
  EXPECT_THAT(text, HasSubstr("    [network_namespaces(7)]\n    control: another pair stays."));
  EXPECT_THAT(text, HasSubstr("suites/veth.cc:41"));
  EXPECT_THAT(text, HasSubstr("    Expected: peer is gone\n      Actual: it stayed"));
  EXPECT_THAT(text, HasSubstr("./netns-conformance vm --filter=Veth.Freed"));
  EXPECT_THAT(text, HasSubstr("1 run with physical devices: ./netns-conformance vm (needs-nic)"));
  EXPECT_THAT(text, HasSubstr("4 tests (1 PASS, 1 FAIL, 1 MISS, 1 SKIP) in 1.2 s; profile developer ("));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(text, HasSubstr("\\x1b[31m"));
}

TEST(Terminal, EndsWithOneVerdictLine) {
  const std::string text = WriteTerminal(MakeReport({Mixed().Read()}), false);
  const auto last = text.rfind('\n', text.size() - 2);
  EXPECT_EQ(text.substr(last + 1, 5), "FAIL:");
  EXPECT_THAT(text, HasSubstr("VETH"));
}

TEST(Terminal, TellsWhichMissIsOnlyAPart) {
  for (const char* verdict : {"PASS", "MISS"}) {
    StreamBuilder stream;
    stream.Plan("Veth.Pipe", {"VETH-01"}).Plan("Veth.Freed", {"VETH-01"}).Plan("Phys.Back", {"PHYS-01"});
    stream.Ran("Veth.Pipe", verdict).Ran("Veth.Freed", "MISS").Ran("Phys.Back", "MISS").Footer();
    const std::string text = WriteTerminal(MakeReport({stream.Read()}), false);
    EXPECT_THAT(text, HasSubstr(verdict == std::string("PASS") ? "2 MISS (1 only in part);" : "2 MISS;"));
  }
}

TEST(Terminal, TellsThatNotAllTestsWereAskedFor) {
  for (const bool quick : {false, true}) {
    StreamBuilder stream;
    stream.Header("quick", quick).Plan("Veth.Pipe", {"VETH-01"}).Ran("Veth.Pipe", "PASS").Footer();
    EXPECT_EQ(quick, WriteTerminal(MakeReport({stream.Read()}), false).find("a --quick run") != std::string::npos);
  }
}

TEST(Terminal, TellsOutputWithoutTheFailuresThatItTellsAnyway) {
  StreamBuilder stream;
  stream.Plan("Veth.Pipe", {"VETH-01"})
      .Ran("Veth.Pipe", "FAIL",
           {{"failures", {Failure("Expected: 1\n  Actual: 2", "a.cc", 7)}},
            {"output", "said before\na.cc:7: Expected: 1\n  Actual: 2\nand after\n"}})
      .Footer();
  const std::string text = WriteTerminal(MakeReport({stream.Read()}), false);
  EXPECT_THAT(text, HasSubstr("    | said before\n    | and after\n"));
  EXPECT_THAT(text, Not(HasSubstr("| a.cc:7")));
}

TEST(CommandFor, MakesTheSameMachineAgain) {
  StreamBuilder stream;
  stream.Plan("Proc.File/Tcp", {"VETH-01"}).Ran("Proc.File/Tcp", "PASS").Ran("Machine.Boot2", "FAIL").Footer();
  stream.Header("machine", {{"accelerator", "tcg"}, {"command", {"--kernel=/boot/it's", "--append=quiet debug"}}});
  const std::string machine = R"( '--kernel=/boot/it'\''s' '--append=quiet debug')";
  EXPECT_EQ(CommandFor(stream.Read(), "Proc.File/Tcp"), "./netns-conformance vm --filter=Proc.File/Tcp" + machine);
  // What no test is to blame for takes the whole run.
  EXPECT_EQ(CommandFor(stream.Read(), "Machine.Boot2"), "./netns-conformance vm" + machine);
  stream.Header("machine", nlohmann::json::object());
  EXPECT_EQ(CommandFor(stream.Read(), "Proc.File/Tcp"),
            "./netns-conformance run --filter=Proc.File/Tcp -- --disposable-machine");
  stream.Header("disposable", false);
  EXPECT_EQ(CommandFor(stream.Read(), "Proc.File/Tcp"), "./netns-conformance run --filter=Proc.File/Tcp");
}

TEST(Terminal, TellsTheSameFailureOfTwoKernelsOnce) {
  const std::string text = WriteTerminal(MakeReport({Mixed("5.10.0").Read(), Mixed("6.1.0").Read()}), false);
  EXPECT_THAT(text, HasSubstr("FAIL Veth.Freed  on 5.10.0, 6.1.0"));
}

TEST(JUnit, IsReadableAndKeepsHostileTextAsText) {
  pugi::xml_document document;
  const auto parsed = document.load_string(WriteJUnit(MakeReport({Mixed().Read()})).c_str());
  ASSERT_TRUE(parsed) << parsed.description();
  const pugi::xml_node suite = document.child("testsuites").child("testsuite");
  EXPECT_EQ(suite.attribute("tests").as_int(), 4);
  EXPECT_EQ(suite.attribute("failures").as_int(), 1);
  EXPECT_EQ(suite.attribute("skipped").as_int(), 2);
  const pugi::xml_node failed = suite.find_child_by_attribute("testcase", "name", "Freed");
  EXPECT_STREQ(failed.attribute("classname").value(), "Veth");
  EXPECT_THAT(failed.child("failure").text().get(), HasSubstr("it stayed"));
  EXPECT_STREQ(failed.child("system-err").text().get(), kHostile);
  const pugi::xml_node missed = suite.find_child_by_attribute("testcase", "name", "Back");
  EXPECT_THAT(missed.child("skipped").attribute("message").value(),
              HasSubstr("needs-nic: this machine lends no NIC; remedy:"));
}

TEST(JUnit, AnIncompleteRunIsAnError) {
  StreamBuilder stream;
  stream.Plan("Veth.Pipe", {"VETH-01"}).Ran("Veth.Pipe", "PASS");
  pugi::xml_document document;
  document.load_string(WriteJUnit(MakeReport({stream.Read()})).c_str());
  const pugi::xml_node suite = document.child("testsuites").child("testsuite");
  EXPECT_EQ(suite.attribute("errors").as_int(), 1);
  EXPECT_TRUE(suite.find_child_by_attribute("testcase", "name", "WholeRun").child("error"));
}

TEST(Ktap, NestsAndCounts) {
  const std::string text = WriteKtap(MakeReport({Mixed().Read()}));
  EXPECT_THAT(text, HasSubstr("    ok 1 Pipe\n"));
  EXPECT_THAT(text, HasSubstr("    # Expected: peer is gone\n    #   Actual: it stayed\n"));
  EXPECT_THAT(text, HasSubstr("    not ok 2 Freed\n"));
  EXPECT_THAT(text, HasSubstr("    ok 1 Back # SKIP MISS needs-nic: this machine lends no NIC\n"));
  EXPECT_THAT(text, HasSubstr("\nnot ok 1 netns-conformance on Linux 6.12.117\n"));
}

TEST(Kcidb, HasItsObjectsAndKeepsToItsAlphabets) {
  const auto kcidb = nlohmann::json::parse(WriteKcidb(MakeReport({Mixed().Read()})));
  EXPECT_EQ(kcidb["version"]["major"], 5);
  EXPECT_EQ(kcidb["tests"].size(), 5u);
  EXPECT_EQ(kcidb["tests"][1]["status"], "FAIL");
  EXPECT_EQ(kcidb["tests"][1]["path"], "netns_conformance.Veth.Freed");
  EXPECT_EQ(kcidb["tests"][1]["build_id"], kcidb["builds"][0]["id"]);
}

TEST(Json, TellsEachRequirement) {
  const auto json = nlohmann::json::parse(WriteJson(MakeReport({Mixed().Read()})));
  EXPECT_EQ(json["requirements"][1]["verdict"], "FAIL");
  EXPECT_EQ(json["requirements"][3]["verdict"], "not tested");
  EXPECT_EQ(json["exit_status"], 1);
  EXPECT_EQ(json["runs"][0]["tests"][1]["results"][0]["kernel_log"], kHostile);
}

TEST(Markdown, KeepsTextAsText) {
  const std::string text = WriteMarkdown(MakeReport({Mixed().Read()}));
  EXPECT_THAT(text, HasSubstr("### FAIL Veth.Freed on Linux 6.12.117"));
  EXPECT_THAT(text, HasSubstr("> VETH-02: Both ends go with one."));
}

TEST(Html, OpensWithTheVerdictAndKeepsHostileTextAsText) {
  const std::string text = WriteHtml(MakeReport({Mixed().Read()}));
  EXPECT_THAT(text, HasSubstr("<p class=\"verdict FAIL\">FAIL</p>"));
  EXPECT_THAT(text, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(text, HasSubstr("&lt;script&gt;alert(1)&lt;/script&gt;"));
  EXPECT_THAT(text, HasSubstr("Expected: peer is gone\n  Actual: it stayed"));  // its lines stay lines
  EXPECT_THAT(text, HasSubstr("data-states=\"FAIL\""));
  EXPECT_THAT(text, Not(HasSubstr("http://")));
  EXPECT_THAT(text, HasSubstr("color-scheme: light dark"));  // the style sheet arrived unescaped
  EXPECT_THAT(text, HasSubstr("\"use strict\";"));
}

TEST(Html, SurvivesALineOfOneMegabyte) {
  StreamBuilder stream;
  stream.Plan("Veth.Pipe", {"VETH-01"}).Ran("Veth.Pipe", "FAIL", {{"kernel_log", std::string(1 << 20, '<')}}).Footer();
  EXPECT_THAT(WriteHtml(MakeReport({stream.Read()})), HasSubstr("&lt;&lt;&lt;"));
}

}  // namespace
}  // namespace netns::reports
