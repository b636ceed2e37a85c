// SPDX-License-Identifier: GPL-2.0-or-later
// What a user would take instead, as programs, beside the system calls that they make; and what our tests' isolation costs
// over the least that any runner with such isolation must do.
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "benchmarks/crowd.h"
#include "benchmarks/processes.h"
#include "harness/isolation.h"
#include "harness/registration.h"

namespace netns::bench {
namespace {

std::string Program(const char* name, const char* package) {
  std::string path = FindProgram(name);
  if (path.empty())
    throw MissingNeed(std::string("needs-program:") + name, std::string(name) + " is not here", std::string("install ") + package);
  return path;
}

void ForkUnshareExit(State& state, int flags) {
  Crowd fence;
  fence.PassFence();
  MedianOf(
      state, 16, [&] { return Timed([&] { InChild([&] { return ::unshare(flags) < 0 ? errno : 0; }); }); },
      [&] { fence.PassFence(); });
}

class Empty : public Test {
 public:
  void TestBody() override {}
};

}  // namespace

void AddOtherTools() {
  const Traits quick{.manual = true, .quick = true};
  Add("floor/fork-unshare-exit", quick, [](State& state) { ForkUnshareExit(state, CLONE_NEWNET); });
  Add("tool/unshare-n-true", {.manual = true, .quick = true, .floor = "floor/fork-unshare-exit"}, [](State& state) {
    const std::string unshare = Program("unshare", "util-linux"), nothing = Program("true", "coreutils");
    Crowd fence;
    fence.PassFence();
    MedianOf(
        state, 16, [&] { return Timed([&] { Execute({unshare, "-n", nothing}); }); }, [&] { fence.PassFence(); });
  });
  Add("tool/ip-netns-add", {.manual = true, .quick = true, .floor = "floor/fork-unshare-exit"}, [](State& state) {
    const std::string ip = Program("ip", "iproute2");
    Crowd fence;
    fence.PassFence();
    MedianOf(
        state, 8,
        [&] {
          const double taken = Timed([&] { Execute({ip, "netns", "add", "bench"}); });
          Execute({ip, "netns", "del", "bench"});
          return taken;
        },
        [&] { fence.PassFence(); });
  });
  Add("tool/ip-netns-del", {.manual = true, .floor = "free/visible"}, [](State& state) {
    const std::string ip = Program("ip", "iproute2");
    Crowd fence;
    fence.PassFence();
    MedianOf(
        state, 8,
        [&] {
          Execute({ip, "netns", "add", "bench"});
          return Timed([&] { Execute({ip, "netns", "del", "bench"}); });
        },
        [&] { fence.PassFence(); });
  });
  Add("tool/ip-link-add-veth", {.manual = true, .quick = true, .floor = "veth/create"}, [](State& state) {
    const std::string ip = Program("ip", "iproute2");
    MedianOf(state, 8, [&] {
      const double taken = Timed([&] { Execute({ip, "link", "add", "v0", "type", "veth", "peer", "name", "v1"}); });
      Execute({ip, "link", "del", "v0"});
      return taken;
    });
  });
}

void AddHarness() {
  Add("floor/fork-unshare-three-exit", {.manual = true},
      [](State& state) { ForkUnshareExit(state, CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID); });
  Add("harness/isolated-empty-test", {.manual = true, .floor = "floor/fork-unshare-three-exit"}, [](State& state) {
    TestSpec spec;
    spec.suite = "Bench";
    spec.name = "Empty";
    spec.make = [] { return new Empty; };
    Crowd fence;
    fence.PassFence();
    MedianOf(
        state, 8,
        [&] {
          return Timed([&] {
            auto test = SETUP_OK(StartIsolated(spec, IsolationOptions{}));
            ::waitpid(test.init, nullptr, 0);
          });
        },
        [&] { fence.PassFence(); });
  });
}

}  // namespace netns::bench
