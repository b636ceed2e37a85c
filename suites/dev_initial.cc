// SPDX-License-Identifier: GPL-2.0-or-later
// DEV, ROUTE and SOCK against the initial namespace, on a machine of its own: a kernel that forgets about namespaces looks
// a device up there. Names and indexes of its devices must mean nothing in another namespace, whatever they are given to.
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#include <net/ethernet.h>
#include <netinet/in.h>

#include "fixtures/nic.h"
#include "fixtures/sockets.h"
#include "suites/support/action.h"
#include "suites/support/control_message.h"
#include "suites/support/place.h"

namespace netns {
namespace {

using testing::Contains;
using testing::IsEmpty;

constexpr int kOuter = 61001, kHub = 61002, kInner = 61003;

/// A device with another name, and a bridge, in the initial namespace until the end of the test.
class InitialDevices {
 public:
  InitialDevices() {
    AddDevice(initial, "nsconf-out", {.index = kOuter}, true);
    AddBridge(initial, "nsconf-hub", {.index = kHub});
    if (Status added = initial->AddAltname("nsconf-out", "nsconf-outer-altname"); added.code() != EOPNOTSUPP) {
      SETUP_OK(std::move(added));
      has_altname = true;
    }
  }
  InitialDevices(const InitialDevices&) = delete;
  InitialDevices& operator=(const InitialDevices&) = delete;
  ~InitialDevices() {
    for (const char* name : {"nsconf-out", "nsconf-hub"}) std::ignore = initial->DeleteLink(name);
  }

  Place initial{InitialNetNamespace()};
  bool has_altname = false;
};

struct Use {
  std::string what;
  Status result;
};

/// RTM_NEWACTION, "tc actions add action mirred egress mirror dev ..."; ENOENT where the kernel has none.
Status Mirror(Place& where, int index) {
  struct {  // tc_mirred
    std::uint32_t index, capab;
    std::int32_t action = 3 /* TC_ACT_PIPE */, refcnt, bindcnt, mirred = 2 /* TCA_EGRESS_MIRROR */;
    std::uint32_t ifindex;
  } parameters{};
  parameters.ifindex = static_cast<std::uint32_t>(index);
  return where->socket().Ack(AddActionRequest("mirred", 2 /* TCA_MIRRED_PARMS */, parameters));
}

/// Everything that takes the index of a device, tried in `where` with `index`. Each index has addresses of its own, so that
/// no use is refused because an equal one was made before.
std::vector<Use> UsesOfIndex(Place& where, int index) {
  const std::string own = std::to_string(index % 100);
  auto option = [&](int domain, int level, int name, const auto& value, const char* text) -> Use {
    const Fd socket = SETUP_OK(where.ns.Socket(domain, SOCK_DGRAM));
    if (::setsockopt(socket.get(), level, name, &value, sizeof value) < 0) return {text, ErrnoError(text)};
    return {text, Ok()};
  };
  std::vector<Use> uses;
  uses.push_back({"RTM_GETLINK", [&]() -> Status {
                    auto link = where->LinkByIndex(index);
                    return link.ok() ? Ok() : Status(link.error());
                  }()});
  uses.push_back({"RTM_SETLINK", where->Up(index)});
  uses.push_back({"an IPv4 address", where->AddAddress("192.0.2." + own + "/32", index)});
  uses.push_back({"an IPv4 route", where->AddRoute({.to = "198.51.100." + own + "/32", .dev = index})});
  uses.push_back({"an IPv4 neighbour", where->AddNeighbour({.to = "192.0.2.1" + own, .address = "02:00:00:00:00:09", .dev = index})});
  uses.push_back({"a queueing discipline", where->AddQdisc(index, "pfifo")});
  ip_mreqn group{};
  ::inet_pton(AF_INET, "239.1.1.1", &group.imr_multiaddr);
  group.imr_ifindex = index;
  uses.push_back(option(AF_INET, IPPROTO_IP, IP_ADD_MEMBERSHIP, group, "IP_ADD_MEMBERSHIP"));
  uses.push_back(option(AF_INET, IPPROTO_IP, IP_MULTICAST_IF, group, "IP_MULTICAST_IF"));
  uses.push_back(option(AF_INET, IPPROTO_IP, IP_UNICAST_IF, htonl(static_cast<std::uint32_t>(index)), "IP_UNICAST_IF"));
  if (HasIpv6()) {
    uses.push_back({"an IPv6 address", where->AddAddress("2001:db8:7::" + own + "/128", index)});
    uses.push_back({"an IPv6 route", where->AddRoute({.to = "2001:db8:9" + own + "::/64", .dev = index})});
    uses.push_back({"an IPv6 neighbour", where->AddNeighbour({.to = "2001:db8:7::1" + own, .address = "02:00:00:00:00:09", .dev = index})});
    ipv6_mreq group6{};
    ::inet_pton(AF_INET6, "ff05::1:1", &group6.ipv6mr_multiaddr);
    group6.ipv6mr_interface = static_cast<unsigned>(index);
    uses.push_back(option(AF_INET6, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, group6, "IPV6_ADD_MEMBERSHIP"));
    uses.push_back(option(AF_INET6, IPPROTO_IPV6, IPV6_MULTICAST_IF, index, "IPV6_MULTICAST_IF"));
    uses.push_back(option(AF_INET6, IPPROTO_IPV6, IPV6_UNICAST_IF, htonl(static_cast<std::uint32_t>(index)), "IPV6_UNICAST_IF"));
  }
  for (int domain : {AF_INET, AF_INET6}) {
    if (domain == AF_INET6 && !HasIpv6()) continue;
    group_req join{};
    join.gr_interface = static_cast<std::uint32_t>(index);
    const SockAddr group_at = Inet(domain == AF_INET ? "239.1.1.2" : "ff05::1:2", 0);
    std::memcpy(&join.gr_group, group_at.get(), group_at.length());
    uses.push_back(option(domain, domain == AF_INET ? IPPROTO_IP : IPPROTO_IPV6, MCAST_JOIN_GROUP, join, domain == AF_INET ? "MCAST_JOIN_GROUP" : "MCAST_JOIN_GROUP, IPv6"));
  }
  uses.push_back({"IP_PKTINFO", [&]() -> Status {
                    // To where the route above leads; the datagram is said to leave by the device.
                    const Fd socket = SETUP_OK(where.ns.Socket(AF_INET, SOCK_DGRAM));
                    const SockAddr to = Inet("198.51.100." + own, 9);
                    in_pktinfo info{};
                    info.ipi_ifindex = index;
                    return SendWithControl(socket, to.get(), to.length(), IPPROTO_IP, IP_PKTINFO, info, "sendmsg(IP_PKTINFO)");
                  }()});
  if (auto socket = where.ns.Socket(AF_PACKET, SOCK_RAW, 0); socket.ok()) {
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = index;
    const std::string frame = std::string(12, '\xff') + "\x88\xb5" + std::string(46, '\0');
    for (int type : {SOCK_RAW, SOCK_DGRAM}) {
      const Fd sender = SETUP_OK(where.ns.Socket(AF_PACKET, type, 0));
      sockaddr_ll to = address;
      to.sll_protocol = htons(0x88b5);
      to.sll_halen = 6;
      std::memset(to.sll_addr, 0xff, 6);
      Status sent = Ok();
      if (::sendto(sender.get(), frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0) sent = ErrnoError("sendto(AF_PACKET)");
      uses.push_back({type == SOCK_RAW ? "a frame of a packet socket" : "a packet of a packet socket", sent});
    }
    packet_mreq membership{};
    membership.mr_ifindex = index;
    membership.mr_type = PACKET_MR_ALLMULTI;
    Status member = Ok();
    if (::setsockopt(socket->get(), SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership, sizeof membership) < 0) member = ErrnoError("PACKET_ADD_MEMBERSHIP");
    uses.push_back({"PACKET_ADD_MEMBERSHIP", member});
    Status bound = Ok();
    if (::bind(socket->get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) bound = ErrnoError("bind(AF_PACKET)");
    uses.push_back({"a packet socket", bound});
  }
  ifreq request{};
  request.ifr_ifindex = index;
  const Fd asker = SETUP_OK(where.ns.Socket(AF_INET, SOCK_DGRAM));
  uses.push_back({"SIOCGIFNAME", NETNS_IOCTL(asker, SIOCGIFNAME, request)});
  if (HasIpv6()) {
    const Fd socket = SETUP_OK(where.ns.Socket(AF_INET6, SOCK_DGRAM));
    const SockAddr to = Inet("ff02::7", 9);
    in6_pktinfo info{};
    info.ipi6_ifindex = static_cast<unsigned>(index);
    uses.push_back({"IPV6_PKTINFO", SendWithControl(socket, to.get(), to.length(), IPPROTO_IPV6, IPV6_PKTINFO, info, "sendmsg(IPV6_PKTINFO)")});
    sockaddr_in6 scoped{};
    std::memcpy(&scoped, to.get(), sizeof scoped);
    scoped.sin6_scope_id = static_cast<std::uint32_t>(index);
    Status sent = Ok();
    if (::sendto(socket.get(), "7", 1, 0, reinterpret_cast<sockaddr*>(&scoped), sizeof scoped) < 0) sent = ErrnoError("sendto, sin6_scope_id");
    uses.push_back({"sin6_scope_id", sent});
  }
  if (auto mirror = Mirror(where, index); mirror.code() != ENOENT && mirror.code() != EOPNOTSUPP) uses.push_back({"an action that mirrors", mirror});
  return uses;
}

// network_namespaces(7): network devices, and routes and sockets that use them, are isolated.
NETNS_TEST(Dev, IndexesOfTheInitialNamespaceMeanNothingElsewhere, Covers("DEV-04", "DEV-06", "ROUTE-07", "SOCK-11", "SOCK-23", "STACK-22"),
           Needs(Machine(), Config("VETH"), Config("BRIDGE")), Exclusive{}) {
  InitialDevices devices;
  Place a;
  Place nested = Place::Inside(a);
  for (Place* place : {&a, &nested}) {
    if (HasIpv6()) SETUP_OK(place->ns.SetSysctl("net.ipv6.conf.default.accept_dad", "0"));
    AddDevice(*place, "inner", {.index = kInner}, true);
    if (HasIpv6())
      SETUP_OK(Eventually("a link-local address to send from", [&] {
        const auto addresses = SETUP_OK((*place)->Addresses({.index = kInner}));
        return std::any_of(addresses.begin(), addresses.end(), [](const Address& each) { return each.address.starts_with("fe80:"); });
      }));
    for (const Use& use : UsesOfIndex(*place, kInner)) EXPECT_OK(use.result) << "control: " << use.what << ", a device of the namespace";
    for (const Use& use : UsesOfIndex(*place, kOuter)) {
      EXPECT_FALSE(use.result.ok()) << use.what << ": succeeded with the index of a device of the initial namespace";
      EXPECT_THAT(use.result.code(), testing::AnyOf(ENODEV, ENXIO, EADDRNOTAVAIL, EINVAL, ENETUNREACH, 0)) << use.what << ": refused for another reason";
    }
  }
  // Nothing of it has arrived there.
  for (const Address& address : SETUP_OK(devices.initial->Addresses({.index = kOuter})))
    EXPECT_NE(address.address.substr(0, 7), "192.0.2") << "the address has been added in the initial namespace";
  for (const Route& route : SETUP_OK(devices.initial->Routes())) EXPECT_FALSE(route.to.starts_with("198.51.100.") || route.to.starts_with("2001:db8:9")) << route.to;
}

// The names likewise, those given with RTM_NEWLINKPROP too.
NETNS_TEST(Dev, NamesOfTheInitialNamespaceMeanNothingElsewhere, Covers("DEV-04", "DEV-05", "DEV-07", "DEV-25", "DEV-44", "SOCK-13"),
           Needs(Machine(), Config("VETH"), Config("BRIDGE")), Exclusive{}) {
  InitialDevices devices;
  Place a;
  Place nested = Place::Inside(a);
  std::vector<std::string> names = {"nsconf-out"};
  if (devices.has_altname) names.push_back("nsconf-outer-altname");
  for (const std::string& name : names) EXPECT_OK(devices.initial->LinkByName(name)) << "control: " << name;
  for (Place* place : {&a, &nested}) {
    AddDevice(*place, "inner", {.index = kInner});
    for (const std::string& name : names) {
      SCOPED_TRACE(name);
      EXPECT_THAT((*place)->LinkByName(name), FailsWith(ENODEV)) << "a name of the initial namespace is known in another";
      EXPECT_THAT((*place)->Up(name), FailsWith(ENODEV)) << "a name of the initial namespace is known in another";
      // Linux 5.10 answers EINVAL where only an alternative name is given.
      const Status deleted = (*place)->DeleteLink(name);
      EXPECT_THAT(deleted, testing::AnyOf(FailsWith(ENODEV), FailsWith(name == names.front() ? ENODEV : EINVAL))) << "a name of the initial namespace is known in another";
      const Fd socket = SETUP_OK(place->ns.Socket(AF_INET, SOCK_DGRAM));
      EXPECT_TRUE(::setsockopt(socket.get(), SOL_SOCKET, SO_BINDTODEVICE, name.data(), static_cast<socklen_t>(name.size())) < 0)
          << "SO_BINDTODEVICE succeeded with a name of the initial namespace";
      if (name.size() < IFNAMSIZ) {
        ifreq request = NamedIfreq(name);
        EXPECT_THAT(NETNS_IOCTL(socket, SIOCGIFINDEX, request), FailsWith(ENODEV));
      }
    }
    EXPECT_THAT((*place)->SetLink("inner", {.master = kHub}), FailsWith(EINVAL)) << "a bridge of the initial namespace became the master";
    EXPECT_FALSE(SETUP_OK((*place)->LinkByName("inner")).master.has_value());
    if (devices.has_altname) {
      EXPECT_OK((*place)->AddAltname("inner", "nsconf-outer-altname")) << "an alternative name that only the initial namespace has is free";
      EXPECT_THAT(SETUP_OK((*place)->LinkByName("inner")).altnames, Contains("nsconf-outer-altname"));
    }
    const Fd socket = SETUP_OK(place->ns.Socket(AF_INET, SOCK_DGRAM));
    const Status by_ioctl = RenameByIoctl(socket, "inner", "nsconf-out");
    EXPECT_OK(by_ioctl) << "SIOCSIFNAME: a name that only the initial namespace has is free";
    if (by_ioctl.ok()) SETUP_OK((*place)->Rename("nsconf-out", "inner"));
    EXPECT_OK((*place)->Rename("inner", "nsconf-out")) << "a name that only the initial namespace has is free";
    EXPECT_EQ(SETUP_OK((*place)->LinkByName("nsconf-out")).index, kInner) << "its own device comes first";
    SETUP_OK((*place)->AddVeth("second", PeerSpec{.name = "third"}));
    EXPECT_THAT(RenameByIoctl(socket, "second", "nsconf-out"), FailsWith(EEXIST)) << "control: a name that the namespace has itself";
  }
  EXPECT_THAT(SETUP_OK(devices.initial->Links({.master = kHub})), IsEmpty());
  EXPECT_EQ(SETUP_OK(devices.initial->LinkByName("nsconf-out")).index, kOuter);
}

// brctl(8)'s way to bridges: by their names, and by the indexes of ports.
NETNS_TEST(Dev, BridgesOfTheInitialNamespaceAreOutOfReachOfOldRequests, Covers("TOOL-11", "DEV-25", "USER-30"), Needs(Machine(), Config("VETH"), Config("BRIDGE")),
           Exclusive{}) {
  InitialDevices devices;
  Place a;
  Place nested = Place::Inside(a);
  for (Place* place : {&a, &nested}) {
    SCOPED_TRACE(place == &a ? "a namespace" : "one made from inside it");
    AddDevice(*place, "inner", {.index = kInner});
    const Fd socket = SETUP_OK(place->ns.Socket(AF_UNIX, SOCK_DGRAM));
    const auto port = [&](unsigned long command, const char* bridge, int index) {
      ifreq request = NamedIfreq(bridge);
      request.ifr_ifindex = index;
      return NETNS_IOCTL(socket, command, request);
    };
    const auto bridge = [&](unsigned long command, const char* text, const char* name) -> Status {
      char buffer[IFNAMSIZ] = {};
      std::strncpy(buffer, name, sizeof buffer - 1);
      if (::ioctl(socket.get(), command, buffer) < 0) return ErrnoError(text);
      return Ok();
    };
    const Status absent = bridge(SIOCBRDELBR, "ioctl(SIOCBRDELBR)", "nsconf-hub");
    if (absent.code() == ENOPKG || absent.code() == ENOTTY) RequireBuiltIn(Error{EOPNOTSUPP, "SIOCBRDELBR"}, "BRIDGE");
    EXPECT_THAT(absent, FailsWith(ENXIO)) << "a bridge of the initial namespace";
    EXPECT_THAT(port(SIOCBRADDIF, "nsconf-hub", kInner), FailsWith(ENODEV)) << "a bridge of the initial namespace";
    EXPECT_THAT(port(SIOCBRDELIF, "nsconf-hub", kInner), FailsWith(ENODEV)) << "a bridge of the initial namespace";
    ASSERT_OK(bridge(SIOCBRADDBR, "ioctl(SIOCBRADDBR)", "nsconf-hub")) << "brctl(8): a name that only the initial namespace has is free";
    EXPECT_THAT(port(SIOCBRADDIF, "nsconf-hub", kOuter), FailsWith(EINVAL)) << "a device of the initial namespace became a port here";
    EXPECT_THAT(port(SIOCBRDELIF, "nsconf-hub", kOuter), FailsWith(EINVAL)) << "a device of the initial namespace";
    EXPECT_OK(port(SIOCBRADDIF, "nsconf-hub", kInner)) << "control: a device of the namespace";
    EXPECT_TRUE(SETUP_OK((*place)->LinkByName("inner")).master.has_value()) << "control";
    EXPECT_OK(port(SIOCBRDELIF, "nsconf-hub", kInner)) << "control";
    EXPECT_OK(bridge(SIOCBRDELBR, "ioctl(SIOCBRDELBR)", "nsconf-hub")) << "control: a bridge of the namespace";
    EXPECT_THAT((*place)->LinkByName("nsconf-hub"), FailsWith(ENODEV)) << "control";
    ASSERT_OK(devices.initial->LinkByName("nsconf-hub")) << "a request in another namespace deleted a bridge of the initial one";
  }
}

// ip-link(8): all devices of a group are deleted at once, those of the namespace.
NETNS_TEST(Dev, GroupsOfTheInitialNamespaceAreItsOwn, Covers("DEV-40"), Needs(Machine(), Config("VETH"), Config("BRIDGE")), Exclusive{}) {
  constexpr std::uint32_t kGroup = 4242;
  InitialDevices devices;
  Place a;
  SETUP_OK(devices.initial->SetLink("nsconf-hub", {.group = kGroup}));
  EXPECT_THAT(a->DeleteGroup(kGroup), FailsWith(ENODEV)) << "a group that only the initial namespace has";
  EXPECT_OK(devices.initial->LinkByName("nsconf-hub")) << "a deletion in another namespace deleted a device of the initial one";
  AddBridge(a, "mine");
  SETUP_OK(a->SetLink("mine", {.group = kGroup}));
  EXPECT_OK(a->DeleteGroup(kGroup)) << "control: there is one here";
  EXPECT_THAT(a->LinkByName("mine"), FailsWith(ENODEV)) << "control: it has gone";
  EXPECT_OK(devices.initial->LinkByName("nsconf-hub")) << "a deletion in another namespace deleted a device of the initial one";
}

}  // namespace
}  // namespace netns
