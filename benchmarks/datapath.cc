// SPDX-License-Identifier: GPL-2.0-or-later
// What a packet pays for the way between namespaces: over lo (the floor), a veth pair, two pairs and a bridge, a chain of
// three pairs with two routers. One process sends and receives, so that no scheduler has a part in the time.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>

#include "benchmarks/bench.h"
#include "fixtures/rtnl.h"
#include "fixtures/sockets.h"
#include "fixtures/topology.h"

namespace netns::bench {
namespace {

struct Path {
  std::vector<NetNamespace> namespaces;  ///< the first has the client, the last the server
  std::string server = {};
};

VethPairOptions Ends(int number, const std::string& west, const std::string& east) {
  const std::string n = std::to_string(number);
  return {.west = "w" + n, .east = "e" + n, .west4 = west, .east4 = east, .west6 = "", .east6 = ""};
}

Path OverLo() {
  Path path;
  path.namespaces.push_back(NetNamespace::Create());
  Must(SETUP_OK(Rtnl::In(path.namespaces[0])).Up("lo"));
  path.server = kLoopback4;
  return path;
}

Path OverVeth() {
  Path path;
  for (int i = 0; i < 2; ++i) path.namespaces.push_back(NetNamespace::Create());
  SETUP_OK(VethPair::Between(path.namespaces[0], path.namespaces[1], Ends(1, "192.0.2.1/24", "192.0.2.2/24")));
  path.server = "192.0.2.2";
  return path;
}

Path OverBridge() {
  Path path;
  for (int i = 0; i < 3; ++i) path.namespaces.push_back(NetNamespace::Create());
  const auto& ns = path.namespaces;
  SETUP_OK(VethPair::Between(ns[0], ns[1], Ends(1, "192.0.2.1/24", "")));
  SETUP_OK(VethPair::Between(ns[1], ns[2], Ends(2, "", "192.0.2.2/24")));
  SETUP_OK(Bridge::Make(ns[1], "bridge", {"e1", "w2"}));
  path.server = "192.0.2.2";
  return path;
}

Path OverChain() {
  Path path;
  for (int i = 0; i < 4; ++i) path.namespaces.push_back(NetNamespace::Create());
  const auto& ns = path.namespaces;
  for (int i = 0; i < 3; ++i) {
    const std::string net = "10.0." + std::to_string(i) + ".";
    SETUP_OK(VethPair::Between(ns[static_cast<std::size_t>(i)], ns[static_cast<std::size_t>(i) + 1],
                               Ends(i, net + "1/24", net + "2/24")));
  }
  const auto route = [&](std::size_t where, const char* to, const char* via) {
    Must(SETUP_OK(Rtnl::In(ns[where])).AddRoute({.to = to, .via = via}));
  };
  route(0, "default", "10.0.0.2");
  route(1, "10.0.2.0/24", "10.0.1.2");
  route(2, "10.0.0.0/24", "10.0.1.1");
  route(3, "default", "10.0.2.1");
  for (const std::size_t router : {1, 2}) Must(ns[router].SetSysctl("net.ipv4.ip_forward", "1"));
  path.server = "10.0.2.2";
  return path;
}

struct Sockets {
  Fd client, server;
};

Sockets Tcp(const Path& path) {
  Fd listener = SETUP_OK(TcpListen(path.namespaces.back(), Inet(path.server)));
  Sockets sockets;
  sockets.client = SETUP_OK(TcpConnect(path.namespaces.front(), SETUP_OK(GetSockName(listener))));
  sockets.server = SETUP_OK(Accept(listener));
  for (const Fd* socket : {&sockets.client, &sockets.server}) Must(SetSockOpt(*socket, IPPROTO_TCP, TCP_NODELAY, 1));
  return sockets;
}

/// Both ends connected, so that send(2) and recv(2) will do.
Sockets Udp(const Path& path) {
  Sockets sockets;
  sockets.server = SETUP_OK(UdpBind(path.namespaces.back(), Inet(path.server)));
  sockets.client = SETUP_OK(path.namespaces.front().Socket(AF_INET, SOCK_DGRAM));
  Must(Connect(sockets.client, SETUP_OK(GetSockName(sockets.server))));
  Must(Connect(sockets.server, SETUP_OK(GetSockName(sockets.client))));
  return sockets;
}

/// `size` bytes from one socket to the other.
void Carry(const Fd& from, const Fd& to, std::vector<char>& buffer) {
  const std::size_t size = buffer.size();
  for (std::size_t sent = 0, received = 0; received < size;) {
    if (sent < size) {
      const ssize_t n = ::send(from.get(), buffer.data() + sent, size - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n > 0) sent += static_cast<std::size_t>(n);
      if (n < 0 && errno != EAGAIN) Fail(ErrnoError("send"));
    }
    const ssize_t n = ::recv(to.get(), buffer.data() + received, size - received, MSG_DONTWAIT);
    if (n > 0) received += static_cast<std::size_t>(n);
    if (n == 0) throw SetupFailure("the stream ended", std::source_location::current());
    if (n < 0 && errno != EAGAIN) Fail(ErrnoError("recv"));
    // Only where the packet did not arrive within send(2): ksoftirqd has it.
    if (n < 0 && sent == size) {
      Must(WaitFor(to.get(), POLLIN, Deadline::In(std::chrono::seconds(10)), "a packet between namespaces (lost?)"));
    }
  }
}

void RoundTrips(State& state, const Path& path, const Sockets& sockets, int size) {
  std::vector<char> buffer(static_cast<std::size_t>(size), 'x');
  Carry(sockets.client, sockets.server, buffer);  // neighbours are resolved, windows open
  Carry(sockets.server, sockets.client, buffer);
  for (auto _ : state) {
    Carry(sockets.client, sockets.server, buffer);
    Carry(sockets.server, sockets.client, buffer);
  }
  benchmark::DoNotOptimize(path.server.data());
}

void OneWay(State& state, const Sockets& sockets, int size) {
  std::vector<char> buffer(static_cast<std::size_t>(size), 'x');
  for (int i = 0; i < 16; ++i) Carry(sockets.client, sockets.server, buffer);
  for (auto _ : state) Carry(sockets.client, sockets.server, buffer);
  state.SetBytesProcessed(state.iterations() * size);
}

}  // namespace

void AddDataPath() {
  struct Way {
    const char* name;
    Path (*make)();
  };
  static constexpr std::array kWays{Way{"lo", OverLo}, Way{"veth", OverVeth}, Way{"bridge", OverBridge}, Way{"chain", OverChain}};
  for (const Way& way : kWays) {
    const auto add = [&](const std::string& what, bool quick, std::function<void(State&, const Path&)> body) {
      const bool is_floor = std::string(way.name) == "lo";
      Add("data/" + what + "/" + way.name, {.quick = quick, .floor = is_floor ? "" : "data/" + what + "/lo"},
          [make = way.make, body = std::move(body)](State& state) { body(state, make()); });
    };
    const bool near = std::string(way.name) == "lo" || std::string(way.name) == "veth";
    for (const int size : {1, 16384})
      add("tcp-round-trip-" + std::to_string(size), near && size == 1,
          [size](State& state, const Path& path) { RoundTrips(state, path, Tcp(path), size); });
    for (const int size : {1, 1400})
      add("udp-round-trip-" + std::to_string(size), false,
          [size](State& state, const Path& path) { RoundTrips(state, path, Udp(path), size); });
    add("tcp-throughput-65536", near, [](State& state, const Path& path) { OneWay(state, Tcp(path), 65536); });
    add("udp-throughput-1400", false, [](State& state, const Path& path) { OneWay(state, Udp(path), 1400); });
  }
}

}  // namespace netns::bench
