// SPDX-License-Identifier: GPL-2.0-or-later
// What it costs to enter a network namespace, to get hold of one, and to know others by an id.
#include <sched.h>
#include <unistd.h>

#include "benchmarks/crowd.h"
#include "fixtures/rtnl.h"

namespace netns::bench {

void AddEntering() {
  Add("enter/setns", {.unit = benchmark::kNanosecond, .quick = true}, [](State& state) {
    auto a = NetNamespace::Create(), b = NetNamespace::Create(), home = NetNamespace::Current();
    bool there = false;
    for (auto _ : state) {
      Must(::setns(there ? a.fd() : b.fd(), CLONE_NEWNET), "setns(CLONE_NEWNET)");
      there = !there;
    }
    Must(::setns(home.fd(), CLONE_NEWNET), "setns(CLONE_NEWNET)");
  });
  Add("enter/open-proc-pid-ns-net", {.unit = benchmark::kNanosecond, .quick = true}, [](State& state) {
    const std::string path = "/proc/" + std::to_string(::getpid()) + "/ns/net";
    for (auto _ : state) ::close(Must(::open(path.c_str(), O_RDONLY | O_CLOEXEC), "open(/proc/PID/ns/net)"));
  });
  Add("nsid/allocate", {.manual = true, .quick = true}, [](State& state) {
    constexpr int kPeers = 64;
    Crowd peers;
    peers.Grow(kPeers);
    for (auto _ : state) {
      auto here = NetNamespace::Create();
      Rtnl rtnl = SETUP_OK(Rtnl::In(here));
      std::vector<double> seconds;
      for (std::size_t i = 0; i < peers.size(); ++i) {
        const NetNamespace peer = peers.At(i);
        seconds.push_back(Timed([&] { Must(rtnl.NewNsid(ByFd(peer.fd()))); }));
      }
      state.SetIterationTime(Median(seconds));
    }
  });
  for (const int count : {16, 256, 1024})
    Add("nsid/dump/" + std::to_string(count), {.quick = count == 256, .complexity = "nsid/dump"}, [count](State& state) {
      Crowd peers;
      peers.Grow(count);
      auto here = NetNamespace::Create();
      Rtnl rtnl = SETUP_OK(Rtnl::In(here));
      for (std::size_t i = 0; i < peers.size(); ++i) Must(rtnl.NewNsid(ByFd(peers.At(i).fd())));
      for (auto _ : state)
        if (SETUP_OK(rtnl.Nsids()).size() != static_cast<std::size_t>(count))
          throw SetupFailure("the dump of nsids does not have all of them", std::source_location::current());
      peers.FreeAndWait();
    });
}

}  // namespace netns::bench
