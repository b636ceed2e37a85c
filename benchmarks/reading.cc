// SPDX-License-Identifier: GPL-2.0-or-later
// What it costs to look, as devices and sockets grow.
#include <dirent.h>
#include <unistd.h>

#include "benchmarks/bench.h"
#include "fixtures/net_namespace.h"
#include "fixtures/rtnl.h"
#include "fixtures/sockets.h"

namespace netns::bench {
namespace {

/// A namespace with lo and `count` further devices (an even number, at least two).
NetNamespace WithDevices(int count) {
  auto ns = NetNamespace::Create();
  Rtnl rtnl = SETUP_OK(Rtnl::In(ns));
  for (int i = 0; i < count / 2; ++i) Must(rtnl.AddVeth("a" + std::to_string(i), ("b" + std::to_string(i)).c_str()));
  return ns;
}

/// Reads a file of /proc/net from its beginning to its end, again and again.
void ReadAgain(State& state, const NetNamespace& ns, const std::string& name) {
  const Fd file = SETUP_OK(ns.OpenIn("/proc/self/net/" + name, O_RDONLY));
  std::vector<char> buffer(1 << 16);
  for (auto _ : state) {
    Must(::lseek(file.get(), 0, SEEK_SET), "lseek");
    while (Must(::read(file.get(), buffer.data(), buffer.size()), "read") > 0) {
    }
  }
}

void ListSysfs(State& state, const NetNamespace& ns, int devices) {
  ns.InWithSysfs([&] {
    for (auto _ : state) {
      DIR* directory = ::opendir("/sys/class/net");
      if (directory == nullptr) Fail(ErrnoError("opendir(/sys/class/net)"));
      int seen = 0;
      while (::readdir(directory) != nullptr) ++seen;
      ::closedir(directory);
      if (seen < devices) throw SetupFailure("/sys/class/net lacks devices", std::source_location::current());
    }
  });
}

}  // namespace

void AddReading() {
  for (const int devices : {2, 20, 200, 2000}) {
    const std::string param = "/" + std::to_string(devices);
    const bool quick = devices == 200;
    Add("read/proc-net-dev" + param, {.quick = quick, .complexity = "read/proc-net-dev"},
        [devices](State& state) { ReadAgain(state, WithDevices(devices), "dev"); });
    Add("read/sysfs-class-net" + param, {.complexity = "read/sysfs-class-net"},
        [devices](State& state) { ListSysfs(state, WithDevices(devices), devices); });
    Add("read/getlink-dump" + param, {.quick = quick, .complexity = "read/getlink-dump"}, [devices](State& state) {
      auto ns = WithDevices(devices);
      Rtnl rtnl = SETUP_OK(Rtnl::In(ns));
      for (auto _ : state)
        if (SETUP_OK(rtnl.Links()).size() < static_cast<std::size_t>(devices))
          throw SetupFailure("RTM_GETLINK lacks devices", std::source_location::current());
    });
  }
  for (const int sockets : {1, 10, 100, 1000})
    Add("read/proc-net-tcp/" + std::to_string(sockets), {.complexity = "read/proc-net-tcp"}, [sockets](State& state) {
      auto ns = NetNamespace::Create();
      Must(SETUP_OK(Rtnl::In(ns)).Up("lo"));
      std::vector<Fd> listeners;
      for (int i = 0; i < sockets; ++i) listeners.push_back(SETUP_OK(TcpListen(ns, Inet(kLoopback4))));
      ReadAgain(state, ns, "tcp");
    });
}

}  // namespace netns::bench
