// SPDX-License-Identifier: GPL-2.0-or-later
// The tests of the harness, from outside: runs the scratch program, reads its event stream, its GoogleTest output and its
// exit status, and asserts the verdict of every bad ending. Plain GoogleTest: the harness must not judge itself.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <sstream>

#include "harness/kernel_config.h"
#include "harness/known_defects.h"
#include "harness/needs.h"
#include "harness/quick.h"
#include "harness/wait.h"

namespace {

using nlohmann::json;
using testing::HasSubstr;
namespace fs = std::filesystem;

struct ScratchRun {
  int exit_status = -1;
  std::string output;
  std::vector<json> events;
  std::map<std::string, json> ends;

  const json& End(const std::string& test) const {
    static const json none = json::object();
    auto end = ends.find(test);
    return end == ends.end() ? none : end->second;
  }
  std::string Verdict(const std::string& test) const { return End(test).value("verdict", "(none)"); }
  std::string Kind(const std::string& test, std::size_t i = 0) const {
    const json& end = End(test);
    if (!end.contains("failures") || end["failures"].size() <= i) return "(none)";
    return end["failures"][i]["kind"];
  }
  std::string Message(const std::string& test, std::size_t i = 0) const {
    const json& end = End(test);
    if (!end.contains("failures") || end["failures"].size() <= i) return "(none)";
    return end["failures"][i]["message"];
  }
};

class TempDir {
 public:
  TempDir() {
    std::string pattern = (fs::temp_directory_path() / "netns-selftest-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TempDir() {
    std::error_code error;
    fs::remove_all(path_, error);
  }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

/// `prepare` runs in the new process before the program does.
pid_t Spawn(const std::vector<std::string>& arguments, int output_fd, const std::function<void()>& prepare = {}) {
  std::vector<char*> argv;
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t pid = ::fork();
  if (pid == 0) {
    ::dup2(output_fd, STDOUT_FILENO);
    ::dup2(output_fd, STDERR_FILENO);
    if (prepare) prepare();
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  return pid;
}

ScratchRun RunScratch(const std::string& filter, std::vector<std::string> more = {}, const std::function<void()>& prepare = {}) {
  TempDir dir;
  std::vector<std::string> arguments{SCRATCH_PROGRAM, "--gtest_filter=" + filter, "--stream=" + (dir / "stream"),
                                     "--deadline=2", "--gtest_color=no"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  int fds[2];
  EXPECT_EQ(0, ::pipe2(fds, O_CLOEXEC));
  pid_t pid = Spawn(arguments, fds[1], prepare);
  ::close(fds[1]);
  ScratchRun run;
  char buffer[65536];
  for (ssize_t n; (n = ::read(fds[0], buffer, sizeof buffer)) > 0;) run.output.append(buffer, static_cast<std::size_t>(n));
  ::close(fds[0]);
  int status = 0;
  ::waitpid(pid, &status, 0);
  run.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  std::ifstream stream(dir / "stream");
  for (std::string line; std::getline(stream, line);) {
    run.events.push_back(json::parse(line));
    if (run.events.back()["event"] == "end") run.ends[run.events.back()["test"]] = run.events.back();
  }
  return run;
}

TEST(Verdict, PassIsPass) {
  ScratchRun run = RunScratch("Scratch.Passes");
  EXPECT_EQ("PASS", run.Verdict("Scratch.Passes"));
  EXPECT_EQ(0, run.exit_status);
  EXPECT_EQ("header", run.events.front()["event"]);
  EXPECT_EQ("footer", run.events.back()["event"]);
}

TEST(Verdict, NonFatalFailuresAreAllKept) {
  ScratchRun run = RunScratch("Scratch.FailsTwice*");
  EXPECT_EQ("FAIL", run.Verdict("Scratch.FailsTwiceWithoutStopping"));
  EXPECT_THAT(run.Message("Scratch.FailsTwiceWithoutStopping", 0), HasSubstr("first"));
  EXPECT_THAT(run.Message("Scratch.FailsTwiceWithoutStopping", 1), HasSubstr("second"));
  EXPECT_EQ(1, run.exit_status);
}

TEST(Verdict, FatalFailureStopsTheBodyAndNamesItsLine) {
  ScratchRun run = RunScratch("Scratch.FailsFatally");
  const json& end = run.End("Scratch.FailsFatally");
  EXPECT_EQ("FAIL", end["verdict"]);
  ASSERT_EQ(1u, end["failures"].size());
  EXPECT_TRUE(end["failures"][0]["fatal"]);
  EXPECT_THAT(std::string(end["failures"][0]["file"]), HasSubstr("scratch.cc"));
  EXPECT_GT(end["failures"][0]["line"], 0);
  EXPECT_THAT(run.output, HasSubstr("scratch.cc:")) << "GoogleTest's own output must name the line too";
}

TEST(Verdict, FailedSetUpStepIsErrorNotFail) {
  ScratchRun run = RunScratch("Scratch.SetUpStepFails");
  EXPECT_EQ("ERROR", run.Verdict("Scratch.SetUpStepFails"));
  EXPECT_EQ("setup", run.Kind("Scratch.SetUpStepFails"));
  EXPECT_THAT(run.Message("Scratch.SetUpStepFails"), HasSubstr("ENOENT"));
  EXPECT_EQ(3, run.exit_status);
}

TEST(Verdict, SetUpStepThatTheKernelWasBuiltWithoutIsMissWithTheOption) {
  ScratchRun run = RunScratch("Scratch.SetUpStepLacksAnOption");
  EXPECT_EQ("MISS", run.Verdict("Scratch.SetUpStepLacksAnOption"));
  EXPECT_EQ("needs-config:WARP_DRIVE", run.End("Scratch.SetUpStepLacksAnOption")["reason"]["code"]);
  EXPECT_EQ(0, run.exit_status);
}

TEST(Verdict, KnownFailureIsMissWithItsReference) {
  ScratchRun run = RunScratch("Scratch.FailsAsIsKnown");
  EXPECT_EQ("MISS", run.Verdict("Scratch.FailsAsIsKnown"));
  EXPECT_EQ("known-defect", run.End("Scratch.FailsAsIsKnown")["reason"]["code"]);
  EXPECT_THAT(std::string(run.End("Scratch.FailsAsIsKnown")["reason"]["text"]), HasSubstr("REFERENCE"));
  EXPECT_THAT(run.Message("Scratch.FailsAsIsKnown"), HasSubstr("as it is known to")) << "nothing is hidden";
  EXPECT_EQ(0, run.exit_status);
}

TEST(Verdict, KnownFailureThatPassesIsTold) {
  ScratchRun run = RunScratch("Scratch.PassesAgainst*");
  EXPECT_EQ("PASS", run.Verdict("Scratch.PassesAgainstWhatIsKnown"));
  bool told = false;
  for (const json& event : run.events)
    told = told || (event["event"] == "note" && std::string(event["text"]).find("PassesAgainstWhatIsKnown passes") != std::string::npos);
  EXPECT_TRUE(told);
}

TEST(Verdict, CrashOverAKnownFailureIsNews) {
  EXPECT_NE("MISS", RunScratch("Scratch.CrashesOver*").Verdict("Scratch.CrashesOverWhatIsKnown"));
}

TEST(KnownDefects, AreForTheKernelsOfTheirLineOnly) {
  auto defects = netns::ParseKnownDefects("# comment\n\nA.One 5.10..6.12 because\nA.Two 6.1..6.1 of it\n");
  ASSERT_TRUE(defects.ok());
  for (const char* release : {"5.10.0-46-amd64", "6.1.0-56-amd64", "6.12.117+deb13-amd64", "6.12.0"})
    EXPECT_TRUE(netns::FindKnownDefect(*defects, "A.One", release)) << release;
  for (const char* release : {"5.9.1", "4.19.0", "6.13.0", "6.18.44", "7.2.13", "", "unknown"})
    EXPECT_FALSE(netns::FindKnownDefect(*defects, "A.One", release)) << release;
  EXPECT_FALSE(netns::FindKnownDefect(*defects, "A.Two", "6.12.0"));
  EXPECT_FALSE(netns::FindKnownDefect(*defects, "A.OneMore", "6.1.0"));
}

TEST(KnownDefects, ALineThatIsNoneIsNamed) {
  for (const char* line : {"A.One", "A.One 6.1", "A.One 6.1..6.2", "A.One 6..7 text", "A.One x..y text"}) {
    auto defects = netns::ParseKnownDefects(std::string("# one\n") + line + "\n");
    ASSERT_FALSE(defects.ok()) << line;
    EXPECT_THAT(defects.error().call, HasSubstr("line 2")) << line;
  }
}

TEST(Patience, IsLostAfterSeveralTestsThatWaitedInVain) {
  ScratchRun run = RunScratch("Scratch.WaitsInVain*:Scratch.Passes", {"--jobs=4", "--deadline=6"});
  int told = 0, slow = 0;
  for (const json& event : run.events) told += event["event"] == "note" && std::string(event["text"]).find("waited in vain") != std::string::npos;
  EXPECT_GE(told, 1) << "and again each time that as many have waited for less";
  for (int i = 0; i < 12; ++i) {
    const std::string test = "Scratch.WaitsInVain" + std::to_string(i);
    SCOPED_TRACE(test);
    EXPECT_EQ("FAIL", run.Verdict(test));
    EXPECT_THAT(run.Message(test, 0), HasSubstr("waiting for a bus that never comes"));
    slow += run.End(test)["duration_ms"] > 4500.0;
  }
  EXPECT_GE(slow, 4) << "those that began first";
  EXPECT_LE(slow, 7) << "three more may have begun before the fourth of them ended";
  EXPECT_EQ("PASS", run.Verdict("Scratch.Passes"));
  EXPECT_EQ(1, run.exit_status);
}

TEST(Verdict, FailureInAnActorIsTheTestsFailure) {
  ScratchRun run = RunScratch("Scratch.Actor*Fails");
  EXPECT_EQ("FAIL", run.Verdict("Scratch.ActorFails"));
  EXPECT_THAT(run.Message("Scratch.ActorFails"), HasSubstr("in the actor"));
  std::string message = run.Message("Scratch.ActorFails");
  EXPECT_EQ(message.find("traced once"), message.rfind("traced once")) << "SCOPED_TRACE must appear once";
  EXPECT_NE(std::string::npos, message.find("traced once"));
  EXPECT_EQ("FAIL", run.Verdict("Scratch.ActorOfActorFails"));
  EXPECT_THAT(run.Message("Scratch.ActorOfActorFails"), HasSubstr("two deep"));
}

TEST(Verdict, FailureInAChildIsTheTestsFailure) {
  ScratchRun run = RunScratch("Scratch.Child*");
  EXPECT_EQ("FAIL", run.Verdict("Scratch.ChildFails"));
  EXPECT_EQ("worker", run.End("Scratch.ChildFails")["failures"][0]["where"]);
  EXPECT_EQ("FAIL", run.Verdict("Scratch.ChildOfChildFails"));
  EXPECT_EQ("outer/inner", run.End("Scratch.ChildOfChildFails")["failures"][0]["where"]);
  EXPECT_EQ("FAIL", run.Verdict("Scratch.ChildFailsInsideAnInterceptedScope"));
  EXPECT_EQ("MISS", run.Verdict("Scratch.ChildSkips")) << "a skip in a child is not a pass";
  EXPECT_THAT(std::string(run.End("Scratch.ChildSkips")["reason"]["text"]), HasSubstr("nothing to do"));
}

TEST(Verdict, LongMessagesOfSeveralChildrenAreNotMixed) {
  ScratchRun run = RunScratch("Scratch.ChildrenTellLongStoriesAtOnce");
  const json& end = run.End("Scratch.ChildrenTellLongStoriesAtOnce");
  ASSERT_EQ("FAIL", end.value("verdict", "(none)"));
  std::map<std::string, int> told;
  for (const json& failure : end["failures"]) {
    const std::string who = failure["where"], message = failure["message"];
    EXPECT_THAT(message, HasSubstr(std::string(40'000, who.front()) + " is told"));
    ++told[who];
  }
  EXPECT_EQ((std::map<std::string, int>{{"a", 3}, {"b", 3}, {"c", 3}, {"d", 3}}), told);
}

TEST(Verdict, FailureOnAnotherThreadIsTheTestsFailure) {
  ScratchRun run = RunScratch("Scratch.OtherThreadFails");
  EXPECT_EQ("FAIL", run.Verdict("Scratch.OtherThreadFails"));
}

TEST(Verdict, SkipsKeepTheirReason) {
  ScratchRun run = RunScratch("Scratch.Skips*:SkippingFixture.*:Scratch.MissesAFeature");
  for (const char* test : {"Scratch.SkipsInBody", "Scratch.SkipsInActor", "SkippingFixture.BodyIsNotRun"})
    EXPECT_EQ("MISS", run.Verdict(test)) << test;
  EXPECT_THAT(std::string(run.End("Scratch.SkipsInBody")["reason"]["text"]), HasSubstr("no reason at all"));
  EXPECT_THAT(std::string(run.End("Scratch.SkipsInActor")["reason"]["text"]), HasSubstr("said by an actor"));
  EXPECT_EQ("needs-feature:WARP", run.End("Scratch.MissesAFeature")["reason"]["code"]);
  EXPECT_EQ(0, run.exit_status);
}

TEST(Verdict, WhatTheKernelClaimsToHaveIsNoMiss) {
  if (netns::KernelConfig::Running().Value("NAMESPACES") != 'y') GTEST_SKIP() << "the configuration of this kernel cannot be read";
  ScratchRun run = RunScratch("Scratch.MissesAnOptionThatIsSet:Scratch.MissesAFeatureOfOldLinux");
  EXPECT_EQ("FAIL", run.Verdict("Scratch.MissesAnOptionThatIsSet"));
  EXPECT_THAT(std::string(run.End("Scratch.MissesAnOptionThatIsSet")["failures"][0]["message"]),
              HasSubstr("CONFIG_NAMESPACES=y, but: nothing is isolated"));
  EXPECT_EQ("MISS", run.Verdict("Scratch.MissesAFeatureOfOldLinux")) << "on somebody's machine a policy may be the reason";
  const netns::MissingNeed old("needs-feature:WHEEL", "there is no wheel", "", netns::LinuxVersion{2, 6});
  EXPECT_THAT(netns::ClaimedAllTheSame(old, /*machine_of_its_own=*/true).value_or(""), HasSubstr("since 2.6"));
  const netns::MissingNeed future("needs-feature:WARP", "no warp drive", "", netns::LinuxVersion{99, 0});
  EXPECT_FALSE(netns::ClaimedAllTheSame(future, true)) << "control";
}

TEST(Verdict, FatalFailureInSetUpKeepsTheBodyFromRunning) {
  ScratchRun run = RunScratch("FailingFixture.*");
  EXPECT_EQ("FAIL", run.Verdict("FailingFixture.BodyIsNotRun"));
  EXPECT_EQ(1u, run.End("FailingFixture.BodyIsNotRun")["failures"].size());
}

TEST(Verdict, PropertiesArrive) {
  ScratchRun run = RunScratch("Scratch.RecordsProperties");
  EXPECT_EQ("PASS", run.Verdict("Scratch.RecordsProperties"));
  EXPECT_EQ("blue", run.End("Scratch.RecordsProperties")["properties"]["colour"]);
  EXPECT_EQ("round", run.End("Scratch.RecordsProperties")["properties"]["shape"]);
}

TEST(Verdict, EndsWithoutAWordAreErrors) {
  ScratchRun run = RunScratch("Scratch.Exits*:Scratch.Throws*");
  EXPECT_EQ("ERROR", run.Verdict("Scratch.ExitsSilently"));
  EXPECT_THAT(run.Message("Scratch.ExitsSilently"), HasSubstr("before the test was done"));
  EXPECT_EQ("ERROR", run.Verdict("Scratch.ExitsWithStatus3"));
  EXPECT_THAT(run.Message("Scratch.ExitsWithStatus3"), HasSubstr("status 3"));
  EXPECT_EQ("ERROR", run.Verdict("Scratch.Throws"));
  EXPECT_THAT(run.Message("Scratch.Throws"), HasSubstr("thrown on purpose"));
  EXPECT_EQ("ERROR", run.Verdict("Scratch.ThrowsInActor"));
  EXPECT_THAT(run.Message("Scratch.ThrowsInActor"), HasSubstr("thrown by an actor"));
}

TEST(Verdict, CrashesNameTheirSignal) {
  ScratchRun run = RunScratch("Crash.*");
  const std::map<std::string, std::string> signals{{"Abort", "SIGABRT"}, {"Segv", "SIGSEGV"}, {"Bus", "SIGBUS"},
                                                   {"Fpe", "SIGFPE"},    {"Ill", "SIGILL"},   {"Term", "SIGTERM"},
                                                   {"Kill", "SIGKILL"},  {"Pipe", "SIGPIPE"}};
  for (const auto& [test, signal] : signals) {
    EXPECT_EQ("ERROR", run.Verdict("Crash." + test)) << test;
    EXPECT_THAT(run.Message("Crash." + test), HasSubstr(signal));
  }
  EXPECT_EQ(3, run.exit_status);
}

TEST(Verdict, CrashKeepsWhatWasFoundBefore) {
  ScratchRun run = RunScratch("Scratch.FailsThenCrashes:Scratch.ActorCrashes");
  EXPECT_EQ("FAIL", run.Verdict("Scratch.FailsThenCrashes"));
  EXPECT_THAT(run.Message("Scratch.FailsThenCrashes", 0), HasSubstr("kept in spite of the crash"));
  EXPECT_THAT(run.Message("Scratch.FailsThenCrashes", 1), HasSubstr("SIGSEGV"));
  EXPECT_EQ("ERROR", run.Verdict("Scratch.ActorCrashes"));
  EXPECT_THAT(run.Message("Scratch.ActorCrashes"), HasSubstr("SIGKILL"));
}

TEST(Deadline, EndsAHangAndSaysWhatItWaitedFor) {
  ScratchRun run = RunScratch("Scratch.Hangs*:Scratch.ForkBomb");
  EXPECT_EQ("deadline", run.Kind("Scratch.Hangs"));
  EXPECT_THAT(run.Message("Scratch.Hangs"), HasSubstr("a bus that never comes"));
  EXPECT_EQ("deadline", run.Kind("Scratch.HangsProofAgainstSigterm"));
  EXPECT_EQ("deadline", run.Kind("Scratch.ForkBomb"));
}

std::size_t CountProcesses(const std::string& name) {
  std::size_t count = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    std::ifstream comm(entry.path() / "comm");
    std::string text;
    if (std::getline(comm, text) && text == name) ++count;
  }
  return count;
}

/// Processes that were started with this in their environment, and all that they started: those of others on this machine are not
/// counted.
std::size_t CountMarked(const std::string& mark) {
  std::size_t count = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    std::ifstream environment(entry.path() / "environ", std::ios::binary);
    std::stringstream text;
    text << environment.rdbuf();
    if (text.str().find(mark) != std::string::npos) ++count;
  }
  return count;
}

/// What the kernel shows of a machine that a run could have left something on.
std::string Residue() {
  std::ifstream mounts("/proc/self/mountinfo"), devices("/proc/net/dev");
  std::stringstream text;
  text << mounts.rdbuf();
  std::string name;
  std::getline(devices, name);
  std::getline(devices, name);
  while (devices >> name) {
    text << name << '\n';
    std::getline(devices, name);
  }
  return text.str();
}

TEST(Isolation, NothingStaysBehind) {
  std::string before = Residue();
  ScratchRun run = RunScratch("Scratch.LeavesADaemon:Scratch.Leaks*:Scratch.IsAlone*");
  EXPECT_EQ("PASS", run.Verdict("Scratch.LeavesADaemon"));
  EXPECT_EQ("PASS", run.Verdict("Scratch.LeaksMountAndNamespace"));
  EXPECT_EQ("PASS", run.Verdict("Scratch.IsAloneInItsWorld"));
  EXPECT_EQ(0u, CountProcesses("netns-daemon"));
  EXPECT_EQ(before, Residue());
}

/// Runs the Drift tests where "the host" is a network namespace of its own, whose ip_nonlocal_bind they may change `times` times.
ScratchRun RunDrift(int times, std::vector<std::string> more) {
  more.push_back("--host-guard");
  return RunScratch("Drift.*", std::move(more), [times] {
    int tickets[2];
    if (::unshare(CLONE_NEWNET) < 0 || ::pipe2(tickets, O_NONBLOCK) < 0) ::_exit(126);
    if (::write(tickets[1], "ttttt", static_cast<std::size_t>(times)) != times) ::_exit(126);
    int target = ::open("/proc/sys/net/ipv4/ip_nonlocal_bind", O_RDWR);
    if (::write(target, "0\n", 2) != 2) ::_exit(126);
    ::setenv("NETNS_SELFTEST_DRIFT", std::to_string(target).c_str(), 1);
    ::setenv("NETNS_SELFTEST_DRIFT_TICKETS", std::to_string(tickets[0]).c_str(), 1);
  });
}

TEST(HostGuard, NamesTheTestThatChangesTheMachine) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to make a host that may be changed";
  for (const char* jobs : {"--jobs=1", "--jobs=4"}) {
    ScratchRun run = RunDrift(2, {jobs});
    EXPECT_EQ(3, run.exit_status) << run.output;
    EXPECT_EQ("ERROR", run.Verdict("Drift.ChangesTheMachine"));
    EXPECT_EQ("host-drift", run.Kind("Drift.ChangesTheMachine"));
    EXPECT_THAT(run.Message("Drift.ChangesTheMachine"), HasSubstr("/proc/sys/net/ipv4/ip_nonlocal_bind: \"0 \" -> \"1 \""));
    EXPECT_EQ("PASS", run.Verdict("Drift.LeavesTheMachineAlone"));
  }
}

TEST(HostGuard, BlamesNobodyForWhatSomebodyElseDoes) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to make a host that may be changed";
  ScratchRun run = RunDrift(1, {});  // once only: not when it runs again
  EXPECT_EQ(0, run.exit_status) << run.output;
  EXPECT_THAT(run.output, HasSubstr("ip_nonlocal_bind"));
  EXPECT_THAT(run.output, HasSubstr("somebody else did"));
  EXPECT_THAT(RunDrift(0, {}).output, testing::Not(HasSubstr("ip_nonlocal_bind"))) << "control: nothing changes";
}

TEST(Output, ControlCharactersDoNotReachTheTerminal) {
  ScratchRun run = RunScratch("Scratch.PrintsControlCharacters");
  EXPECT_EQ("FAIL", run.Verdict("Scratch.PrintsControlCharacters"));
  EXPECT_EQ(std::string::npos, run.output.find('\x1b'));
  EXPECT_EQ(std::string::npos, run.output.find('\x07'));
}

TEST(Output, TenMegabytesAreCutAndCounted) {
  ScratchRun run = RunScratch("Scratch.Prints10Megabytes");
  const json& end = run.End("Scratch.Prints10Megabytes");
  EXPECT_EQ("PASS", end["verdict"]);
  EXPECT_LE(std::string(end["output"]).size(), 64u * 1024);
  EXPECT_EQ(10u * 1024 * 1024, std::string(end["output"]).size() + end["output_dropped"].get<std::size_t>());
}

TEST(Flags, GoogleTestFlagsWorkAsTheyAre) {
  ScratchRun repeated = RunScratch("Scratch.Passes:Scratch.Records*", {"--gtest_repeat=3", "--gtest_shuffle", "--jobs=2"});
  EXPECT_EQ(6, repeated.events.back()["counts"]["PASS"]);
  ScratchRun listed = RunScratch("Scratch.Passes", {"--gtest_list_tests"});
  EXPECT_THAT(listed.output, HasSubstr("Passes"));
  EXPECT_EQ(0, listed.exit_status);
  ScratchRun none = RunScratch("No.Such");
  EXPECT_EQ(2, none.exit_status);
  EXPECT_THAT(none.output, HasSubstr("no test matches"));
  TempDir dir;
  ScratchRun xml = RunScratch("Scratch.FailsFatally", {"--gtest_output=xml:" + (dir / "out.xml")});
  std::ifstream file(dir / "out.xml");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_THAT(text.str(), HasSubstr("scratch.cc"));
}

TEST(Flags, JobsRunAtTheSameTimeAndGiveTheSameVerdicts) {
  ScratchRun one = RunScratch("Scratch.*-Scratch.Prints10*");
  ScratchRun four = RunScratch("Scratch.*-Scratch.Prints10*", {"--jobs=4"});
  ASSERT_EQ(one.ends.size(), four.ends.size());
  for (const auto& [test, end] : one.ends) EXPECT_EQ(end["verdict"], four.Verdict(test)) << test;
}

TEST(Flags, TestsOfTheAloneFileRunFirstAndOneAtATime) {
  TempDir dir;
  std::ofstream(dir / "alone") << "Scratch.RecordsProperties\nScratch.ActorFails\n";
  ScratchRun run = RunScratch("Scratch.Passes:Scratch.Records*:Scratch.ActorFails:Scratch.Throws", {"--jobs=4", "--alone-file=" + (dir / "alone")});
  std::vector<std::string> order;
  for (const json& event : run.events)
    if (event["event"] == "start" || event["event"] == "end") order.push_back(event["event"].get<std::string>() + " " + event["test"].get<std::string>());
  ASSERT_EQ(8u, order.size());
  order.resize(4);
  EXPECT_THAT(order, testing::ElementsAre("start Scratch.ActorFails", "end Scratch.ActorFails", "start Scratch.RecordsProperties",
                                          "end Scratch.RecordsProperties"));
  EXPECT_EQ(2, RunScratch("Scratch.Passes", {"--alone-file=/no/such/file"}).exit_status);
}

TEST(Flags, ShardsAreThePlanOfOneRun) {
  std::multiset<std::string> ran;
  for (const char* shard : {"--shard=1/3", "--shard=2/3", "--shard=3/3"}) {
    ScratchRun run = RunScratch("Scratch.Passes:Scratch.Records*:Scratch.ActorFails:Scratch.Throws", {"--jobs=4", shard});
    int selected = 0;
    for (const json& test : run.events.at(0)["tests"]) selected += test["selected"].get<bool>();
    EXPECT_EQ(4, selected) << "the plan of every shard is that of all";
    for (const auto& [test, end] : run.ends) {
      if (end["verdict"] == "SKIP")
        EXPECT_EQ("in another shard", end["reason"]["text"]);
      else
        ran.insert(test);
    }
  }
  EXPECT_EQ((std::multiset<std::string>{"Scratch.ActorFails", "Scratch.Passes", "Scratch.RecordsProperties", "Scratch.Throws"}), ran);
}

netns::TestSpec Spec(const std::string& name, std::vector<std::string> covers, std::vector<netns::Need> needs = {}) {
  netns::TestSpec spec;
  spec.suite = "Suite";
  spec.name = name;
  spec.covers = std::move(covers);
  spec.needs = std::move(needs);
  return spec;
}

std::vector<std::string> Quick(const std::vector<netns::TestSpec>& specs, const std::set<std::string>& cannot_run = {}) {
  std::vector<const netns::TestSpec*> tests;
  for (const auto& spec : specs) tests.push_back(&spec);
  std::vector<std::string> names;
  for (const auto* spec : netns::QuickChoice(tests, [&](const netns::TestSpec& spec) { return !cannot_run.contains(spec.name); }))
    names.push_back(spec->name);
  return names;
}

TEST(Quick, CoversWhatAllTestsCoverWithFewOfThem) {
  EXPECT_THAT(Quick({Spec("One", {"A-1"}), Spec("Two", {"A-2"}), Spec("Both", {"A-1", "A-2"}), Spec("Third", {"A-3", "A-1"}), Spec("Again", {"A-3"})}),
              testing::ElementsAre("Both", "Third"));
  EXPECT_THAT(Quick({Spec("First", {"A-1"}), Spec("Second", {"A-1"})}), testing::ElementsAre("First"));
  EXPECT_THAT(Quick({}), testing::IsEmpty());
}

TEST(Quick, LeavesARequirementToATestThatCannotRunOnlyWhereThereIsNoOther) {
  const std::vector<netns::TestSpec> specs = {Spec("Both", {"A-1", "A-2"}), Spec("One", {"A-1"})};
  EXPECT_THAT(Quick(specs), testing::ElementsAre("Both"));
  EXPECT_THAT(Quick(specs, {"Both"}), testing::ElementsAre("Both", "One")) << "A-2 is MISS with its reason, A-1 is checked";
}

TEST(Quick, PrefersWhatNeedsLess) {
  EXPECT_THAT(Quick({Spec("Card", {"A-1"}, {{"nic:e1000:2"}}), Spec("Plain", {"A-1"})}), testing::ElementsAre("Plain"));
}

TEST(Quick, FilterSelectsAsGoogleTestDoes) {
  for (const char* filter : {"*", "Suite.Test/IPv6", "Other.*:Suite.T?st/*", "-Suite.Other", "S*-*.Other:*Seven"})
    EXPECT_TRUE(netns::FilterSelects(filter, "Suite.Test/IPv6")) << filter;
  for (const char* filter : {"Suite.Test", "Suite.[T]est/IPv6", "*-Suite.*", "Other.*"})
    EXPECT_FALSE(netns::FilterSelects(filter, "Suite.Test/IPv6")) << filter;
}

TEST(Flags, QuickRunsTheChoiceOfTheSelected) {
  ScratchRun all = RunScratch("Scratch.Passes:Scratch.Records*:Scratch.ActorFails:Scratch.Throws");
  ScratchRun quick = RunScratch("Scratch.Passes:Scratch.Records*:Scratch.ActorFails:Scratch.Throws", {"--quick"});
  EXPECT_EQ(true, quick.events.at(0)["quick"]);
  EXPECT_EQ(false, all.events.at(0)["quick"]);
  std::set<std::string> covered_by_all, covered_by_quick;
  for (const auto& [test, end] : all.ends) covered_by_all.insert(end["covers"].begin(), end["covers"].end());
  for (const auto& [test, end] : quick.ends) {
    EXPECT_NE("SKIP", end["verdict"]) << "like a filter: what was not chosen is not told";
    covered_by_quick.insert(end["covers"].begin(), end["covers"].end());
  }
  EXPECT_LT(quick.ends.size(), all.ends.size());
  EXPECT_EQ(covered_by_all, covered_by_quick);
}

TEST(BadInput, StreamThatCannotBeWritten) {
  ScratchRun run = RunScratch("Scratch.Passes", {"--stream=/no/such/directory/stream"});
  EXPECT_EQ(2, run.exit_status);
  EXPECT_THAT(run.output, HasSubstr("/no/such/directory/stream"));
  ScratchRun full = RunScratch("Scratch.Passes", {"--stream=/dev/full"});
  EXPECT_EQ(3, full.exit_status) << "a stream that is not whole is no verdict";
  EXPECT_THAT(full.output, HasSubstr("ENOSPC"));
}

/// SIGKILL of the runner at random moments: nothing may stay. 50 times here, 1,000 with NETNS_SELFTEST_KILLS=1000.
TEST(Isolation, KilledRunnerLeavesNothing) {
  const char* wish = std::getenv("NETNS_SELFTEST_KILLS");
  int kills = wish != nullptr ? std::atoi(wish) : 50;
  unsigned seed = std::random_device()();
  RecordProperty("seed", std::to_string(seed));
  std::mt19937 random(seed);
  std::string before = Residue();
  int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  const std::string mark = "NETNS_SELFTEST_KILLS_OF=" + std::to_string(::getpid());
  ::setenv("NETNS_SELFTEST_KILLS_OF", std::to_string(::getpid()).c_str(), 1);
  std::size_t most = 0;
  for (int i = 0; i < kills; ++i) {
    pid_t pid = Spawn({SCRATCH_PROGRAM, "--gtest_filter=Scratch.Leaks*:Scratch.Leaves*:Scratch.ActorOf*:Scratch.Hangs",
                       "--gtest_repeat=100", "--gtest_shuffle", "--jobs=3", "--deadline=5"},
                      null);
    int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    pollfd ended{pidfd, POLLIN, 0};
    // A random moment is the subject here: the poll is cut short by nothing but its time.
    ::poll(&ended, 1, static_cast<int>(random() % 60));
    if (i < 50) most = std::max(most, CountMarked(mark));
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    ::close(pidfd);
  }
  ::close(null);
  // The kernel delivers the parent-death signals while the runner exits, but the processes need a moment to be gone.
  EXPECT_GT(most, 1u) << "control: the runner and its tests are seen while they live";
  auto gone = netns::Eventually("all processes of killed runs to be gone", [&] { return CountMarked(mark) == 0; });
  EXPECT_TRUE(gone.ok()) << gone.error().ToString() << ", seed " << seed;
  EXPECT_EQ(before, Residue());
}

}  // namespace
