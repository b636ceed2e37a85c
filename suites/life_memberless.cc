// SPDX-License-Identifier: GPL-2.0-or-later
// LIFE: a namespace without any member goes on as before, whatever its stack does for others by itself: it answers, resolves,
// forwards, and keeps its settings, however its last member left.
#include <poll.h>

#include "fixtures/link_monitor.h"
#include "fixtures/nic.h"
#include "fixtures/sockets.h"
#include "fixtures/topology.h"
#include "suites/support/in_namespace.h"
#include "suites/support/sysctl_tree.h"
#include "suites/support/watched.h"

namespace netns {
namespace {

Deadline Soon() { return Deadline::In(std::chrono::seconds(10)); }

/// What one namespace does for others, with nobody in it: `here` is beside it, `beyond` is behind it.
struct Scene {
  NetNamespace here = NetNamespace::Current(), beyond = NetNamespace::Create();
  bool ipv6 = false;
  /// Of the namespace, where sockets hold it.
  std::vector<Fd> listeners, receivers;
  std::uint16_t port = 7000;
};
struct Service {
  const char* name;
  bool six;
  bool with_sockets;
  std::function<Status(Scene&, const char* address)> works;
};
/// A datagram to a port where nobody listens is answered with "port unreachable".
Status PortUnreachable(Scene& scene, const char* address) {
  const SockAddr to = Inet(address, 9);
  ASSIGN_OR_RETURN(const Fd socket, scene.here.Socket(to.family(), SOCK_DGRAM));
  RETURN_IF_ERROR(Connect(socket, to));
  // Once more where none comes: such errors are rationed, by some kernels for all namespaces together (icmp_msgs_per_sec).
  const Deadline soon = Soon();
  Status heard = Error{ETIMEDOUT, "waiting for an ICMP error"};
  while (!heard.ok() && !soon.Passed()) {
    RETURN_IF_ERROR(Send(socket, "x"));
    heard = WaitFor(socket.get(), POLLERR | POLLIN, Deadline::In(std::chrono::seconds(1)), "an ICMP error");
  }
  RETURN_IF_ERROR(heard);
  ASSIGN_OR_RETURN(const int code, GetSockOpt(socket, SOL_SOCKET, SO_ERROR));
  if (code != ECONNREFUSED) return Error{code, "a datagram to a port where nobody listens"};
  return Ok();
}
Status Refused(Scene& scene, const char* address) {
  const auto connected = TcpConnect(scene.here, Inet(address, 9), Soon());
  if (connected.ok()) return Error{EISCONN, "a connection to a port where nobody listens"};
  if (connected.code() != ECONNREFUSED) return connected.error();
  return Ok();
}
Status Accepts(Scene& scene, const Fd& listener, const char* address) {
  ASSIGN_OR_RETURN(const SockAddr at, GetSockName(listener));
  ASSIGN_OR_RETURN(const Fd client, TcpConnect(scene.here, Inet(address, at.port()), Soon()));
  ASSIGN_OR_RETURN(const Fd accepted, Accept(listener, Soon()));
  RETURN_IF_ERROR(Send(client, "hello"));
  ASSIGN_OR_RETURN(const std::string heard, ReceiveExactly(accepted, 5, Soon()));
  return Send(accepted, heard);
}
Status Receives(Scene& scene, const Fd& receiver, const char* address) {
  ASSIGN_OR_RETURN(const SockAddr at, GetSockName(receiver));
  ASSIGN_OR_RETURN(const Fd sender, scene.here.Socket(at.family(), SOCK_DGRAM));
  RETURN_IF_ERROR(SendTo(sender, "x", Inet(address, at.port())));
  ASSIGN_OR_RETURN(const Datagram got, Receive(receiver, Soon()));
  return SendTo(receiver, got.data, got.from);
}
/// Asks for the hardware address anew.
Status Resolves(Scene& scene, const char* address) {
  auto rtnl = RtnlIn(scene.here);
  (void)rtnl.DeleteNeighbour({.to = address, .dev = "outside"}).ok();
  RETURN_IF_ERROR(Ping(scene.here, address, {.deadline = Soon()}));
  ASSIGN_OR_RETURN(const auto neighbours, rtnl.Neighbours());
  for (const Neighbour& each : neighbours)
    if (each.to == address && !each.address.empty()) return Ok();
  return Error{ENOENT, "the hardware address of " + std::string(address)};
}
const std::vector<Service>& Services() {
  static const auto ping = [](Scene& scene, const char* address) { return Ping(scene.here, address, {.deadline = Soon()}); };
  static const auto accepts = [](Scene& scene, const char* address) { return Accepts(scene, scene.listeners[Inet(address).family() == AF_INET6], address); };
  static const auto receives = [](Scene& scene, const char* address) { return Receives(scene, scene.receivers[Inet(address).family() == AF_INET6], address); };
  static const std::vector<Service> services = {
      {"echoes", false, false, ping},
      {"echoes", true, false, ping},
      {"long echoes, in fragments", false, false, [](Scene& scene, const char* address) { return Ping(scene.here, address, {.size = 4000, .deadline = Soon()}); }},
      {"long echoes, in fragments", true, false, [](Scene& scene, const char* address) { return Ping(scene.here, address, {.size = 4000, .deadline = Soon()}); }},
      {"resolution of its hardware address", false, false, Resolves},
      {"resolution of its hardware address", true, false, Resolves},
      {"refusal of connections", false, false, Refused},
      {"refusal of connections", true, false, Refused},
      {"ICMP errors", false, false, PortUnreachable},
      {"ICMP errors", true, false, PortUnreachable},
      {"forwarding", false, false, [](Scene& scene, const char*) { return Ping(scene.here, "198.51.100.2", {.deadline = Soon()}); }},
      {"forwarding", true, false, [](Scene& scene, const char*) { return Ping(scene.here, "2001:db8:2::2", {.deadline = Soon()}); }},
      {"forwarding, the other way", false, false, [](Scene& scene, const char*) { return Ping(scene.beyond, "192.0.2.2", {.deadline = Soon()}); }},
      {"forwarding, the other way", true, false, [](Scene& scene, const char*) { return Ping(scene.beyond, "2001:db8::2", {.deadline = Soon()}); }},
      {"its listening sockets", false, true, accepts},
      {"its listening sockets", true, true, accepts},
      {"its datagram sockets", false, true, receives},
      {"its datagram sockets", true, true, receives},
  };
  return services;
}

/// Addresses, neighbours and routes of the three.
void Configure(Scene& scene, Watched& watched, const NetNamespace& space) {
  auto inside = RtnlIn(space), beyond = RtnlIn(scene.beyond);
  SETUP_OK(inside.AddVeth("inside2", PeerSpec{.name = "beyond", .netns_fd = scene.beyond.fd()}));
  for (const char* name : {"lo", "inside", "inside2"}) SETUP_OK(inside.Up(name));
  SETUP_OK(beyond.Up("beyond"));
  SETUP_OK(watched.here().Up("outside"));
  SETUP_OK(inside.AddAddress("192.0.2.1/24", "inside"));
  SETUP_OK(watched.here().AddAddress("192.0.2.2/24", "outside"));
  SETUP_OK(inside.AddAddress("198.51.100.1/24", "inside2"));
  SETUP_OK(beyond.AddAddress("198.51.100.2/24", "beyond"));
  SETUP_OK(watched.here().AddRoute({.to = "198.51.100.0/24", .via = "192.0.2.1"}));
  SETUP_OK(beyond.AddRoute({.via = "198.51.100.1"}));
  SETUP_OK(space.SetSysctl("net/ipv4/ip_forward", "1"));
  scene.ipv6 = space.HasSysctl("net/ipv6/conf/all/forwarding");
  if (scene.ipv6) {
    SETUP_OK(inside.AddAddress("2001:db8::1/64", "inside", {.nodad = true}));
    SETUP_OK(watched.here().AddAddress("2001:db8::2/64", "outside", {.nodad = true}));
    SETUP_OK(inside.AddAddress("2001:db8:2::1/64", "inside2", {.nodad = true}));
    SETUP_OK(beyond.AddAddress("2001:db8:2::2/64", "beyond", {.nodad = true}));
    SETUP_OK(watched.here().AddRoute({.to = "2001:db8:2::/64", .via = "2001:db8::1"}));
    SETUP_OK(beyond.AddRoute({.via = "2001:db8:2::1"}));
    SETUP_OK(space.SetSysctl("net/ipv6/conf/all/forwarding", "1"));
  }
  SETUP_OK(WaitUntilUp(scene.here, "outside"));
  SETUP_OK(WaitUntilUp(scene.beyond, "beyond"));
  for (const char* name : {"inside", "inside2"}) SETUP_OK(WaitUntilUp(space, name));
  // The kernel enters an IPv6 address into its tables some time later, by a work queue.
  if (!scene.ipv6) return;
  for (auto [rtnl, address] : {std::pair{&inside, "2001:db8::1"}, {&inside, "2001:db8:2::1"}, {&watched.here(), "2001:db8::2"}, {&beyond, "2001:db8:2::2"}})
    SETUP_OK(Eventually(std::string(address) + " to be local", [rtnl = rtnl, address = address] {
      const auto route = rtnl->GetRoute(address);
      return route.ok() && route->type == RTN_LOCAL;
    }));
  SETUP_OK(Eventually("the first echo through the router", [&] { return Ping(scene.beyond, "2001:db8::2", {.deadline = Deadline::In(std::chrono::seconds(1))}).ok(); }));
}

/// Settings of the namespace and of one device do not change by themselves, but counts do.
bool IsASetting(const std::string& path) {
  const bool of_a_device = path.find("/conf/") != std::string::npos || path.find("/neigh/") != std::string::npos;
  return !path.ends_with("_count") && !path.ends_with("stable_secret") && (!of_a_device || path.find("/inside/") != std::string::npos || path.find("/all/") != std::string::npos);
}

enum class Held { kByADescriptor, kBySockets };
struct Way {
  const char* name;
  std::function<void(Watched&, Actor&)> leave;
  int namespaces = 1;  ///< how many there are then
};
const std::vector<Way>& Ways() {
  static const std::vector<Way> ways = {
      {"IsKilled", [](Watched&, Actor& member) { member.Kill(); }},
      {"Ends", [](Watched&, Actor& member) { member.Exit(); }},
      {"IsAZombie", [](Watched&, Actor& member) { member.Exit(/*leave_zombie=*/true); }},
      {"JoinsAnother",
       [](Watched& watched, Actor& member) {
         static NetNamespace another = watched.oracle().Create();
         SETUP_OK(member.Enter(another.fd(), CLONE_NEWNET));
       },
       2},
      {"MakesAnother", [](Watched&, Actor& member) { SETUP_OK(member.Unshare(CLONE_NEWNET)); }, 2},
  };
  return ways;
}

// namespaces(7), "Namespace lifetime": it is kept alive "even though it has no member processes" - and not only that.
void GoesOn(const Way& way, Held held) {
  Watched watched(way.namespaces);
  Scene scene;
  Actor member = watched.StartMember();
  auto space = SETUP_OK(NetNamespace::OfPid(member.pid()));
  Configure(scene, watched, space);
  if (held == Held::kBySockets) {
    for (const char* any : {"0.0.0.0", "::"}) {
      if (std::string(any) == "::" && !scene.ipv6) continue;
      scene.listeners.push_back(SETUP_OK(TcpListen(space, Inet(any, scene.port++))));
      scene.receivers.push_back(SETUP_OK(UdpBind(space, Inet(any, scene.port++))));
    }
  }
  const auto all_work = [&](const char* when) {
    for (const Service& service : Services()) {
      if (service.six && !scene.ipv6) continue;
      if (service.with_sockets && held != Held::kBySockets) continue;
      EXPECT_OK(service.works(scene, service.six ? "2001:db8::1" : "192.0.2.1")) << when << ": " << (service.six ? "IPv6, " : "IPv4, ") << service.name;
    }
  };
  const auto settings = [&](const NetNamespace& ns) { return SysctlView(ns, "reader").Tree(IsASetting); };
  all_work("control: while it has a member");
  const SysctlTree before = settings(space);
  if (held == Held::kBySockets) space.Release();
  way.leave(watched, member);
  all_work("without any member");
  if (held == Held::kByADescriptor) {
    EXPECT_THAT(Differences(before, settings(space)), testing::IsEmpty()) << "settings that changed when the last member left";
    all_work("without any member, after a visit");
    space.Release();
  }
  scene.listeners.clear();
  scene.receivers.clear();
  watched.ExpectFreed("nothing holds it any more");
  EXPECT_FALSE(Ping(scene.here, "192.0.2.1", {.deadline = Deadline::In(std::chrono::milliseconds(300))}).ok()) << "control: it is gone";
}
const bool registered = [] {
  for (const Way& way : Ways())
    for (Held held : {Held::kByADescriptor, Held::kBySockets}) {
      const bool sockets = held == Held::kBySockets;
      RegisterBody("Life", std::string("AMemberlessNamespaceGoesOnWhenItsLastMember") + way.name + (sockets ? "/HeldBySockets" : "/HeldByADescriptor"), __FILE__, __LINE__,
                   [&way, held] { GoesOn(way, held); }, Covers("LIFE-26", sockets ? "LIFE-15" : "LIFE-06"), Needs(UserNs(), Config("VETH"), Config("INET")),
                   Within{std::chrono::seconds(90)});
    }
  return true;
}();

}  // namespace
}  // namespace netns
