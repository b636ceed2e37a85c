// SPDX-License-Identifier: GPL-2.0-or-later
// Tests that end badly on purpose. selftest.cc runs this program from outside and asserts the verdict of each.
#include <gtest/gtest-spi.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <thread>

#include "fixtures/net_namespace.h"
#include "harness/assertions.h"
#include "harness/child.h"
#include "harness/event.h"
#include "harness/registration.h"
#include "harness/runner.h"

namespace netns {
namespace {

NETNS_TEST(Scratch, Passes, Covers("X-01")) { EXPECT_EQ(1, 1); }
NETNS_TEST(Scratch, FailsTwiceWithoutStopping, Covers("X-01")) {
  EXPECT_EQ(1, 2) << "first";
  EXPECT_EQ(3, 4) << "second";
}
NETNS_TEST(Scratch, FailsFatally, Covers("X-01")) {
  ASSERT_EQ(1, 2) << "first";
  ADD_FAILURE() << "never reached";
}
NETNS_TEST(Scratch, FailsAsIsKnown, Covers("X-01")) { EXPECT_EQ(1, 2) << "as it is known to"; }
NETNS_TEST(Scratch, PassesAgainstWhatIsKnown, Covers("X-01")) { EXPECT_EQ(1, 1); }
NETNS_TEST(Scratch, CrashesOverWhatIsKnown, Covers("X-01")) {
  EXPECT_EQ(1, 2) << "as it is known to";
  std::abort();
}
NETNS_TEST(Scratch, SetUpStepFails, Covers("X-01")) {
  SETUP_OK(Open("/no/such/file", O_RDONLY));
  ADD_FAILURE() << "never reached";
}
NETNS_TEST(Scratch, SetUpStepLacksAnOption, Covers("X-01")) {
  Error error{EOPNOTSUPP, "add veth link 'a'"};
  error.lacking = "WARP_DRIVE";
  SETUP_OK(Status(error));
  ADD_FAILURE() << "never reached";
}
NETNS_TEST(Scratch, ActorFails, Covers("X-01")) {
  Actor actor = Actor::Start("outer");
  actor.Run([] {
    SCOPED_TRACE("traced once");
    EXPECT_EQ(1, 2) << "in the actor";
  });
}
NETNS_TEST(Scratch, ActorOfActorFails, Covers("X-01")) {
  Actor outer = Actor::Start("outer");
  outer.Run([] {
    Actor inner = Actor::Start("inner");
    inner.Run([] { EXPECT_EQ(1, 2) << "two deep"; });
  });
}
NETNS_TEST(Scratch, ChildFails, Covers("X-01")) {
  Child child = Child::Start("worker", [] { EXPECT_EQ(1, 2) << "in the child"; });
  ASSERT_OK(child.Join());
}
NETNS_TEST(Scratch, ChildOfChildFails, Covers("X-01")) {
  Child child = Child::Start("outer", [] {
    Child inner = Child::Start("inner", [] { ASSERT_EQ(1, 2) << "two deep"; });
    ASSERT_OK(inner.Join());
  });
  ASSERT_OK(child.Join());
}
NETNS_TEST(Scratch, ChildFailsInsideAnInterceptedScope, Covers("X-01")) {
  EXPECT_NONFATAL_FAILURE(
      {
        Child child = Child::Start("worker", [] { EXPECT_EQ(1, 2) << "not swallowed"; });
        SETUP_OK(child.Join());
        ADD_FAILURE() << "expected";
      },
      "expected");
}
NETNS_TEST(Scratch, ChildSkips, Covers("X-01")) {
  Child child = Child::Start("worker", [] { GTEST_SKIP() << "nothing to do"; });
  ASSERT_OK(child.Join());
}
NETNS_TEST(Scratch, ChildrenTellLongStoriesAtOnce, Covers("X-01")) {
  std::vector<Child> children;
  for (char letter : {'a', 'b', 'c', 'd'})
    children.push_back(Child::Start(std::string(1, letter), [letter] {
      for (int i = 0; i < 3; ++i) ADD_FAILURE() << std::string(40'000, letter) << " is told";
    }));
  for (Child& child : children) ASSERT_OK(child.Join());
}
NETNS_TEST(Scratch, OtherThreadFails, Covers("X-01")) {
  std::thread thread([] { EXPECT_EQ(1, 2) << "on a thread"; });
  thread.join();
}
NETNS_TEST(Scratch, SkipsInBody, Covers("X-01")) { GTEST_SKIP() << "no reason at all"; }
NETNS_TEST(Scratch, SkipsInActor, Covers("X-01")) {
  Actor actor = Actor::Start("outer");
  actor.Run([] { GTEST_SKIP() << "said by an actor"; });
}
class SkippingFixture : public Test {
 public:
  void SetUp() override { GTEST_SKIP() << "said by SetUp"; }
};
NETNS_TEST_F(SkippingFixture, BodyIsNotRun, Covers("X-01")) { ADD_FAILURE() << "never reached"; }
class FailingFixture : public Test {
 public:
  void SetUp() override { FAIL() << "SetUp fails"; }
};
NETNS_TEST_F(FailingFixture, BodyIsNotRun, Covers("X-01")) { ADD_FAILURE() << "never reached"; }
NETNS_TEST(Scratch, MissesAFeature, Covers("X-01"), Needs(Feature("WARP", "this kernel has no warp drive", [] { return false; }))) {
  ADD_FAILURE() << "never reached";
}
NETNS_TEST(Scratch, MissesAnOptionThatIsSet, Covers("X-01")) { throw MissingNeed("needs-config:NAMESPACES", "nothing is isolated"); }
NETNS_TEST(Scratch, MissesAFeatureOfOldLinux, Covers("X-01")) {
  throw MissingNeed("needs-feature:WHEEL", "there is no wheel", "", LinuxVersion{2, 6});
}
NETNS_TEST(Scratch, RecordsProperties, Covers("X-01")) {
  Property("colour", "blue");
  RecordProperty("shape", "round");
}
NETNS_TEST(Scratch, ExitsSilently, Covers("X-01")) { ::_exit(0); }
NETNS_TEST(Scratch, ExitsWithStatus3, Covers("X-01")) { ::_exit(3); }
NETNS_TEST(Scratch, Throws, Covers("X-01")) { throw std::runtime_error("thrown on purpose"); }
NETNS_TEST(Scratch, ThrowsInActor, Covers("X-01")) {
  Actor actor = Actor::Start("outer");
  actor.Run([] { throw std::runtime_error("thrown by an actor"); });
}
NETNS_TEST(Scratch, FailsThenCrashes, Covers("X-01")) {
  EXPECT_EQ(1, 2) << "kept in spite of the crash";
  ::raise(SIGSEGV);
}
NETNS_TEST(Scratch, ActorCrashes, Covers("X-01")) {
  Actor actor = Actor::Start("outer");
  actor.Run([] { ::raise(SIGKILL); });
}
template <int kSignal>
void Raise() {
  ::signal(kSignal, SIG_DFL);
  ::raise(kSignal);
}
[[maybe_unused]] const bool crashes = [] {
  RegisterBody("Crash", "Abort", __FILE__, __LINE__, [] { std::abort(); }, Covers("X-01"));
  RegisterBody("Crash", "Segv", __FILE__, __LINE__, Raise<SIGSEGV>, Covers("X-01"));
  RegisterBody("Crash", "Bus", __FILE__, __LINE__, Raise<SIGBUS>, Covers("X-01"));
  RegisterBody("Crash", "Fpe", __FILE__, __LINE__, Raise<SIGFPE>, Covers("X-01"));
  RegisterBody("Crash", "Ill", __FILE__, __LINE__, Raise<SIGILL>, Covers("X-01"));
  RegisterBody("Crash", "Term", __FILE__, __LINE__, Raise<SIGTERM>, Covers("X-01"));
  RegisterBody("Crash", "Kill", __FILE__, __LINE__, Raise<SIGKILL>, Covers("X-01"));
  RegisterBody("Crash", "Pipe", __FILE__, __LINE__, Raise<SIGPIPE>, Covers("X-01"));
  return true;
}();
[[maybe_unused]] const bool vain_registered = [] {
  for (int i = 0; i < 12; ++i) {
    RegisterBody("Scratch", "WaitsInVain" + std::to_string(i), __FILE__, __LINE__, [] {
      EXPECT_EVENTUALLY("a bus that never comes", [] { return false; });
      EXPECT_EVENTUALLY("another one", [] { return false; });
    }, Covers("X-01"));
  }
  return true;
}();
NETNS_TEST(Scratch, Hangs, Covers("X-01")) {
  WaitingFor report("a bus that never comes");
  for (;;) ::pause();
}
NETNS_TEST(Scratch, HangsProofAgainstSigterm, Covers("X-01")) {
  ::signal(SIGTERM, SIG_IGN);
  ::signal(SIGINT, SIG_IGN);
  for (;;) ::pause();
}
NETNS_TEST(Scratch, LeavesADaemon, Covers("X-01")) {
  if (::fork() == 0) {
    ::setsid();
    if (::fork() != 0) ::_exit(0);
    ::prctl(PR_SET_NAME, "netns-daemon");
    for (;;) ::pause();
  }
  ::wait(nullptr);
}
NETNS_TEST(Scratch, LeaksMountAndNamespace, Covers("X-01")) {
  NetNamespace* leaked = new NetNamespace(NetNamespace::Create());
  SETUP_OK(WriteFile("/proc/self/oom_score_adj", "0"));
  ASSERT_EQ(0, ::mount("tmpfs", "/tmp", "tmpfs", 0, nullptr));
  SETUP_OK(Open("/tmp/leaked", O_CREAT | O_WRONLY, 0600));
  ASSERT_EQ(0, ::mount(("/proc/self/fd/" + std::to_string(leaked->fd())).c_str(), "/tmp/leaked", nullptr, MS_BIND, nullptr));
}
NETNS_TEST(Scratch, PrintsControlCharacters, Covers("X-01")) {
  std::printf("before\x1b[2J\x07\x01 \xff\xfe after\n");
  ADD_FAILURE() << "message with \x1b[31mcolour\x1b[0m and \xff";
}
NETNS_TEST(Scratch, Prints10Megabytes, Covers("X-01")) {
  std::string line(1023, 'x');
  for (int i = 0; i < 10 * 1024; ++i) std::puts(line.c_str());
}
NETNS_TEST(Scratch, ForkBomb, Covers("X-01")) {
  for (int i = 0; i < 200; ++i)
    if (::fork() == 0)
      for (;;) ::pause();
  for (;;) ::pause();
}
NETNS_TEST(Scratch, IsAloneInItsWorld, Covers("X-01")) {
  EXPECT_EQ(2, ::getpid());
  auto devices = SETUP_OK(ReadFile("/proc/net/dev"));
  EXPECT_NE(std::string::npos, devices.find("lo:"));
}
/// The runner's own sysctl: an open descriptor reaches it from everywhere. As long as there are bytes in the pipe.
NETNS_TEST(Drift, ChangesTheMachine, Covers("X-01")) {
  const char *target = std::getenv("NETNS_SELFTEST_DRIFT"), *tickets = std::getenv("NETNS_SELFTEST_DRIFT_TICKETS");
  if (target == nullptr || tickets == nullptr) GTEST_SKIP() << "no target";
  char ticket;
  if (::read(std::atoi(tickets), &ticket, 1) != 1) return;
  EXPECT_EQ(2, ::pwrite(std::atoi(target), "1\n", 2, 0)) << std::strerror(errno);
}
NETNS_TEST(Drift, LeavesTheMachineAlone, Covers("X-01")) {}

}  // namespace
}  // namespace netns

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  netns::RunnerOptions options;
  options.tool_version = "selftest";
  options.host_guard = false;
  for (const char* test : {"FailsAsIsKnown", "PassesAgainstWhatIsKnown", "CrashesOverWhatIsKnown"})
    options.known_defects.push_back({"Scratch." + std::string(test), "1.0", "999.0", "REFERENCE"});
  for (int i = 1; i < argc; ++i) {
    auto value = [&](const char* flag) -> const char* {
      std::size_t n = std::strlen(flag);
      return std::strncmp(argv[i], flag, n) == 0 ? argv[i] + n : nullptr;
    };
    if (auto v = value("--stream=")) options.stream_path = v;
    if (auto v = value("--jobs=")) options.jobs = std::atoi(v);
    if (auto v = value("--shard=")) std::sscanf(v, "%d/%d", &options.shard, &options.shards);
    if (auto v = value("--deadline=")) options.deadline = std::chrono::seconds(std::atoi(v));
    if (auto v = value("--skip-file=")) options.skip_file = v;
    if (auto v = value("--alone-file=")) options.alone_file = v;
    if (auto v = value("--progress=")) options.progress = v;
    if (std::strcmp(argv[i], "--host-guard") == 0) options.host_guard = true;
    if (std::strcmp(argv[i], "--quick") == 0) options.quick = true;
  }
  return netns::RunTests(options);
}
