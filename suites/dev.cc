// SPDX-License-Identifier: GPL-2.0-or-later
// DEV: devices belong to one namespace: who sees them, by which name, number and means. Moves are in dev_move.cc, kinds of
// devices in dev_kinds.cc.
#include <arpa/inet.h>
#include <linux/if_bridge.h>
#include <linux/nexthop.h>
#include <net/route.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>

#include "fixtures/user_namespace.h"
#include "fixtures/nic.h"
#include "suites/support/bridge_group.h"
#include "suites/support/listener.h"
#include "suites/support/place.h"

namespace netns {
namespace {

using testing::AnyOf;
using testing::Contains;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::IsEmpty;
using testing::Not;

const char* const kLongAltname = "another-name-of-more-than-fifteen-letters";

// ------------------------------------------------------------------------------------------------ a new namespace

// network_namespaces(7): "Network namespaces provide isolation of the system resources associated with networking: network
// devices ..."; a new one has its loopback, and nothing of its creator's.
NETNS_TEST(Dev, NewNamespaceHasNothingButItsLoopback, Covers("DEV-01"), Needs(Config("VETH"), Config("BRIDGE"))) {
  Place here = Place::Here();
  AddDevice(here, "west");
  AddBridge(here, "hub");
  EXPECT_THAT(LinkNames(here), ElementsAre("hub", "lo", "west")) << "control: the creator has these";
  auto has_only_loopback = [](Place& place, const char* which) {
    SCOPED_TRACE(which);
    EXPECT_THAT(LinkNames(place), ElementsAre("lo"));
    EXPECT_THAT(Seen(place, "west"), IsEmpty());
    EXPECT_THAT(Seen(place, "hub"), IsEmpty());
    std::vector<std::string> in_sysfs = SETUP_OK(place.ns.SysClassNet());
    std::erase_if(in_sysfs, IsFallback);
    EXPECT_THAT(in_sysfs, ElementsAre("lo")) << "/sys/class/net";
  };
  Place first, second;
  Place nested = Place::Inside(first);
  Actor clone = Actor::Start("clone", CLONE_NEWNET);
  Place cloned(SETUP_OK(NetNamespace::OfPid(clone.pid())));
  has_only_loopback(first, "the first new namespace");
  has_only_loopback(second, "the second");
  has_only_loopback(nested, "one that was created from inside the first");
  has_only_loopback(cloned, "one made by clone(2)");
  AddDevice(first, "mine");
  Place later = Place::Inside(first);
  has_only_loopback(later, "one created from inside a namespace that has a device");
  EXPECT_THAT(Seen(later, "mine"), IsEmpty());
}

// loopback(4), drivers/net/loopback.c: it is down and without addresses until somebody brings it up.
void LoopbackAtBirth(Place& place) {
  const Link lo = SETUP_OK(place->LinkByName("lo"));
  EXPECT_EQ(lo.index, 1);
  EXPECT_EQ(lo.flags, unsigned{IFF_LOOPBACK}) << "neither up nor running";
  EXPECT_EQ(lo.address, "00:00:00:00:00:00");
  EXPECT_EQ(lo.mtu, 65536u);
  EXPECT_EQ(lo.promiscuity, 0u);
  EXPECT_EQ(lo.alias, "");
  EXPECT_THAT(lo.altnames, IsEmpty());
  EXPECT_FALSE(lo.master.has_value());
  EXPECT_EQ(lo.stats.rx_packets + lo.stats.tx_packets, 0u);
  EXPECT_EQ(SETUP_OK(place->LinkByIndex(1)).name, "lo");
  const Fd socket = SETUP_OK(place.ns.Socket(AF_INET, SOCK_DGRAM));
  ifreq request = NamedIfreq("lo");
  SETUP_OK(NETNS_IOCTL(socket, SIOCGIFFLAGS, request));
  EXPECT_EQ(request.ifr_flags, IFF_LOOPBACK) << "SIOCGIFFLAGS";
  request = NamedIfreq("lo");
  EXPECT_THAT(NETNS_IOCTL(socket, SIOCGIFADDR, request), FailsWith(EADDRNOTAVAIL));
  EXPECT_THAT(SETUP_OK(place->Addresses()), IsEmpty());
  if (HasIpv6()) {
    EXPECT_EQ(SETUP_OK(place.ns.ReadProcNet("if_inet6")), "");
  }
  // Control: the same questions once it is up.
  SETUP_OK(place->Up("lo"));
  std::vector<std::string> addresses;
  for (const Address& address : SETUP_OK(place->Addresses())) addresses.push_back(address.ToString());
  EXPECT_THAT(addresses, Contains("127.0.0.1/8"));
  if (HasIpv6() && SETUP_OK(place.ns.Sysctl("net.ipv6.conf.lo.disable_ipv6")) == "0") {
    EXPECT_THAT(addresses, Contains("::1/128"));
    EXPECT_THAT(SETUP_OK(place.ns.ReadProcNet("if_inet6")), testing::StartsWith("00000000000000000000000000000001 01 80"));
  }
  EXPECT_EQ(SETUP_OK(place->LinkByName("lo")).flags & (IFF_UP | IFF_RUNNING), unsigned{IFF_UP | IFF_RUNNING});
}
NETNS_TEST(Dev, LoopbackOfANewNamespaceIsDownWithIndex1AndNoAddress, Covers("DEV-02")) {
  Place first, second;
  Place nested = Place::Inside(second);
  for (Place* place : {&first, &second, &nested}) LoopbackAtBirth(*place);
}
NETNS_TEST(Dev, LoopbackInANamespaceOfAUserNamespaceIsTheSame, Covers("DEV-02"), Needs(UserNs())) {
  Actor root = StartNamespaceRoot("root");
  Place owned{root.Run([] { return NetNamespace::Current(); })};
  LoopbackAtBirth(owned);
}

int ConnectsTo(const NetNamespace& ns, int family) {
  const Fd socket = SETUP_OK(ns.Socket(family, SOCK_STREAM));
  sockaddr_storage to{};
  socklen_t size = sizeof(sockaddr_in);
  if (family == AF_INET) {
    auto* in = reinterpret_cast<sockaddr_in*>(&to);
    in->sin_family = AF_INET;
    in->sin_port = htons(9);
    in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  } else {
    auto* in6 = reinterpret_cast<sockaddr_in6*>(&to);
    in6->sin6_family = AF_INET6;
    in6->sin6_port = htons(9);
    in6->sin6_addr = in6addr_loopback;
    size = sizeof(sockaddr_in6);
  }
  return ::connect(socket.get(), reinterpret_cast<sockaddr*>(&to), size) == 0 ? 0 : errno;
}

// network_namespaces(7): each namespace has its own network devices, the loopback among them.
NETNS_TEST(Dev, EachNamespaceHasALoopbackOfItsOwn, Covers("DEV-03")) {
  Place here = Place::Here();
  Place a, b;
  Place nested = Place::Inside(a);
  const Link before = SETUP_OK(b->LinkByName("lo"));
  SETUP_OK(a->SetLink("lo", {.up = true, .mtu = 1234, .alias = "of a", .promiscuous = true, .txqlen = 77, .group = 5}));
  SETUP_OK(a->AddAddress("10.0.0.1/32", "lo"));
  if (HasIpv6()) SETUP_OK(a->AddAddress("2001:db8::1/128", "lo", {.nodad = true}));
  const Link changed = SETUP_OK(a->LinkByName("lo"));
  EXPECT_TRUE(changed.up());
  EXPECT_EQ(changed.mtu, 1234u) << "control: it did change there";
  EXPECT_EQ(changed.alias, "of a");
  EXPECT_EQ(ConnectsTo(a.ns, AF_INET), ECONNREFUSED) << "control: the loopback that is up answers";
  struct {
    Place& place;
    const char* which;
  } others[] = {{here, "the namespace of the creator"}, {b, "a sibling"}, {nested, "a namespace created from inside"}};
  for (auto& [place, which] : others) {
    SCOPED_TRACE(which);
    const Link lo = SETUP_OK(place->LinkByName("lo"));
    EXPECT_FALSE(lo.up());
    EXPECT_EQ(lo.mtu, 65536u);
    EXPECT_EQ(lo.alias, "");
    EXPECT_EQ(lo.txqlen, before.txqlen);
    EXPECT_EQ(lo.group, 0u);
    EXPECT_EQ(lo.promiscuity, 0u);
    EXPECT_EQ(lo.flags, before.flags);
    EXPECT_THAT(SETUP_OK(place->Addresses()), IsEmpty());
    EXPECT_THAT(SETUP_OK(place->Routes()), IsEmpty());
    EXPECT_EQ(ConnectsTo(place.ns, AF_INET), ENETUNREACH) << "its own loopback is down";
    if (HasIpv6()) {
      EXPECT_THAT(ConnectsTo(place.ns, AF_INET6), AnyOf(ENETUNREACH, EADDRNOTAVAIL));
    }
  }
  // The other direction, and down again.
  SETUP_OK(b->SetLink("lo", {.up = true, .mtu = 4321}));
  SETUP_OK(b->Down("lo"));
  EXPECT_TRUE(SETUP_OK(a->LinkByName("lo")).up()) << "a loopback went down with another one";
  EXPECT_EQ(SETUP_OK(a->LinkByName("lo")).mtu, 1234u);
  EXPECT_EQ(ConnectsTo(a.ns, AF_INET), ECONNREFUSED);
}

// ------------------------------------------------------------------------------------------------ who sees a device

NETNS_TEST(Dev, ADeviceIsVisibleInExactlyOneNamespaceByEveryMeans, Covers("DEV-04"), Needs(Config("VETH"))) {
  Place here = Place::Here();
  Place a, b;
  Place nested = Place::Inside(a);
  struct {
    const char* name;
    int index;
    const char* altname;
  } devices[] = {{"first", 4711, kLongAltname}, {"second", 4712, "alt2"}};
  for (const auto& [name, index, altname] : devices) {
    AddDevice(a, name, {.index = index});
    SETUP_OK(a->AddAltname(name, altname));
  }
  for (const auto& [name, index, altname] : devices) {
    SCOPED_TRACE(name);
    EXPECT_THAT(Seen(a, name, index, altname), ElementsAreArray(EveryWay(true, true)))
        << "control: where it is, every means finds it";
    EXPECT_THAT(Seen(b, name, index, altname), IsEmpty()) << "seen in a sibling";
    EXPECT_THAT(Seen(nested, name, index, altname), IsEmpty()) << "seen in a namespace created from inside";
    EXPECT_THAT(Seen(here, name, index, altname), IsEmpty()) << "seen in the creator's namespace";
  }
  // And one that came from elsewhere is seen there no longer.
  SETUP_OK(a->MoveLink("second", b.ref()));
  EXPECT_THAT(Seen(b, "second", 4712, "alt2"), ElementsAreArray(EveryWay(true, true)));
  EXPECT_THAT(Seen(a, "second", 4712, "alt2"), IsEmpty());
  EXPECT_THAT(Seen(a, "first", 4711, kLongAltname), ElementsAreArray(EveryWay(true, true)));
}

// netdevice(7), rtentry and in6_rtmsg: addresses and routes by ioctl, as ifconfig(8) and route(8) set them.
NETNS_TEST(Dev, AddressAndRouteIoctlsActOnTheNamespaceOfTheSocket, Covers("DEV-35", "ROUTE-06"), Needs(Config("VETH"))) {
  Place a, b;
  for (Place* place : {&a, &b}) {
    AddDevice(*place, "eth0", {.index = 70}, true);
    SETUP_OK((*place)->Up("lo"));
  }
  const Fd of_a = SETUP_OK(a.ns.Socket(AF_INET, SOCK_DGRAM));
  auto inet = [](const char* text) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    ::inet_pton(AF_INET, text, &address.sin_addr);
    return address;
  };
  auto routes = [](Place& place, int family, const std::string& to) {
    std::size_t found = 0;
    for (const Route& route : SETUP_OK(place->Routes({.family = family}))) found += route.to == to;
    return found;
  };
  b.ns.In([&] {  // the caller is in b
    ifreq request = NamedIfreq("eth0");
    const sockaddr_in address = inet("192.0.2.1");
    std::memcpy(&request.ifr_addr, &address, sizeof address);
    EXPECT_THAT(NETNS_IOCTL(of_a, SIOCSIFADDR, request), Succeeds());
    rtentry route{};
    const sockaddr_in to = inet("198.51.100.0"), mask = inet("255.255.255.0"), gateway = inet("192.0.2.2");
    std::memcpy(&route.rt_dst, &to, sizeof to);
    std::memcpy(&route.rt_genmask, &mask, sizeof mask);
    std::memcpy(&route.rt_gateway, &gateway, sizeof gateway);
    route.rt_flags = RTF_UP | RTF_GATEWAY;
    EXPECT_EQ(::ioctl(of_a.get(), SIOCADDRT, &route), 0) << ErrnoName(errno);
  });
  EXPECT_EQ(SETUP_OK(a->Addresses({.family = AF_INET, .index = 70})).size(), 1u) << "SIOCSIFADDR through a socket of this namespace";
  EXPECT_EQ(SETUP_OK(b->Addresses({.family = AF_INET, .index = 70})).size(), 0u) << "SIOCSIFADDR acted in the caller's namespace";
  EXPECT_EQ(routes(a, AF_INET, "198.51.100.0/24"), 1u) << "SIOCADDRT through a socket of this namespace";
  EXPECT_EQ(routes(b, AF_INET, "198.51.100.0/24"), 0u) << "SIOCADDRT acted in the caller's namespace";
  if (!HasIpv6()) return;
  const Fd of_a6 = SETUP_OK(a.ns.Socket(AF_INET6, SOCK_DGRAM));
  b.ns.In([&] {
    struct {  // linux/ipv6.h, which does not go together with netinet/in.h everywhere
      in6_addr address;
      std::uint32_t prefix_length;
      int index;
    } request{};
    ::inet_pton(AF_INET6, "2001:db8::1", &request.address);
    request.prefix_length = 64;
    request.index = 70;
    EXPECT_EQ(::ioctl(of_a6.get(), SIOCSIFADDR, &request), 0) << ErrnoName(errno);
    in6_rtmsg route{};
    ::inet_pton(AF_INET6, "2001:db8:1::", &route.rtmsg_dst);
    route.rtmsg_dst_len = 64;
    route.rtmsg_metric = 1;
    route.rtmsg_flags = RTF_UP;
    route.rtmsg_ifindex = 70;
    EXPECT_EQ(::ioctl(of_a6.get(), SIOCADDRT, &route), 0) << ErrnoName(errno);
  });
  auto global = [](Place& place) {
    std::size_t found = 0;
    for (const Address& address : SETUP_OK(place->Addresses({.family = AF_INET6, .index = 70}))) found += address.address.starts_with("2001:db8::1");
    return found;
  };
  EXPECT_EQ(global(a), 1u) << "SIOCSIFADDR of IPv6 through a socket of this namespace";
  EXPECT_EQ(global(b), 0u) << "SIOCSIFADDR of IPv6 acted in the caller's namespace";
  EXPECT_EQ(routes(a, AF_INET6, "2001:db8:1::/64"), 1u) << "SIOCADDRT of IPv6 through a socket of this namespace";
  EXPECT_EQ(routes(b, AF_INET6, "2001:db8:1::/64"), 0u) << "SIOCADDRT of IPv6 acted in the caller's namespace";
}

// A bridge, made by ioctl as brctl(8) does.
NETNS_TEST(Dev, ADeviceMadeByIoctlIsVisibleInTheNamespaceOfTheSocket, Covers("DEV-04", "DEV-35"), Needs(Config("BRIDGE"))) {
  Place a, b;
  const Fd in_a = SETUP_OK(a.ns.Socket(AF_INET, SOCK_DGRAM));
  char name[IFNAMSIZ] = "br9";
  Status added = b.ns.In([&]() -> Status {  // the caller is in b, the socket of a
    if (::ioctl(in_a.get(), SIOCBRADDBR, name) < 0) return ErrnoError("ioctl(SIOCBRADDBR)");
    return Ok();
  });
  if (added.code() == ENOPKG || added.code() == ENOTTY || added.code() == EINVAL) RequireBuiltIn(Error{EOPNOTSUPP, "SIOCBRADDBR"}, "BRIDGE");
  ASSERT_OK(added);
  EXPECT_THAT(Seen(a, "br9"), ElementsAreArray(EveryWay(false)));
  EXPECT_THAT(Seen(b, "br9"), IsEmpty());
  // brctl(8) show: the list of bridges, and deletion by a socket of elsewhere.
  const Fd in_b = SETUP_OK(b.ns.Socket(AF_INET, SOCK_DGRAM));
  auto bridges = [](const Fd& socket) {
    std::array<int, 16> indices{};
    unsigned long arguments[] = {1 /* BRCTL_GET_BRIDGES */, reinterpret_cast<unsigned long>(indices.data()), indices.size()};
    return ::ioctl(socket.get(), SIOCGIFBR, arguments);
  };
  EXPECT_EQ(bridges(in_a), 1);
  EXPECT_EQ(bridges(in_b), 0);
  EXPECT_EQ(::ioctl(in_b.get(), SIOCBRDELBR, name), -1);
  EXPECT_EQ(errno, ENXIO);
  EXPECT_THAT(Seen(a, "br9"), ElementsAreArray(EveryWay(false)));
  EXPECT_EQ(::ioctl(in_a.get(), SIOCBRDELBR, name), 0) << ErrnoName(errno);
  EXPECT_THAT(Seen(a, "br9"), IsEmpty());
}

// --------------------------------------------------------------------------------------- names, numbers, other names

NETNS_TEST(Dev, TheSameNameIsFreeInEveryNamespace, Covers("DEV-05"), Needs(Config("VETH"), Config("BRIDGE"))) {
  std::vector<Place> places;
  std::set<std::string> addresses;
  for (int i = 0; i < 20; ++i) {
    // Half of them siblings, half each created from inside the one before.
    if (i < 10)
      places.emplace_back();
    else
      places.push_back(Place::Inside(places.back()));
    Place& place = places.back();
    ASSERT_OK(place->AddLink({.name = "eth0x", .kind = "bridge"})) << "in namespace " << i;
    ASSERT_OK(place->AddVeth("eth1x", "eth2x")) << "in namespace " << i;
    addresses.insert(SETUP_OK(place->LinkByName("eth1x")).address);
    EXPECT_THAT(LinkNames(place), ElementsAre("eth0x", "eth1x", "eth2x", "lo"));
  }
  EXPECT_EQ(addresses.size(), 20u) << "two devices have one hardware address";
  EXPECT_THAT(places[3]->AddLink({.name = "eth0x", .kind = "bridge"}), FailsWith(EEXIST)) << "control: taken in this one";
  EXPECT_THAT(places[3]->AddVeth("eth1x", "other"), FailsWith(EEXIST));
  EXPECT_THAT(places[19]->AddVeth("other", "eth1x"), FailsWith(EEXIST));
  EXPECT_THAT(Seen(places[19], "other"), IsEmpty()) << "half a pair stayed";
  // They are different devices: one goes, the others stay.
  SETUP_OK(places[7]->DeleteLink("eth1x"));
  SETUP_OK(places[12]->DeleteLink("eth0x"));
  for (std::size_t i = 0; i < places.size(); ++i) {
    EXPECT_EQ(places[i]->LinkByName("eth1x").ok(), i != 7) << "namespace " << i;
    EXPECT_EQ(places[i]->LinkByName("eth0x").ok(), i != 12) << "namespace " << i;
  }
}

NETNS_TEST(Dev, NumbersInNamePatternsAreCountedPerNamespace, Covers("DEV-05"), Needs(Config("BRIDGE"))) {
  Place a, b;
  for (const char* expected : {"lan0", "lan1", "lan2"}) {
    RequireBuiltIn(a->AddLink({.name = "lan%d", .kind = "bridge"}), "BRIDGE");
    EXPECT_THAT(LinkNames(a), Contains(expected));
  }
  SETUP_OK(b->AddLink({.name = "lan%d", .kind = "bridge"}));
  EXPECT_THAT(LinkNames(b), ElementsAre("lan0", "lo")) << "a name of another namespace counted";
  SETUP_OK(a->DeleteLink("lan1"));
  SETUP_OK(b->AddLink({.name = "lan%d", .kind = "bridge"}));
  SETUP_OK(a->AddLink({.name = "lan%d", .kind = "bridge"}));
  EXPECT_THAT(LinkNames(a), ElementsAre("lan0", "lan1", "lan2", "lo"));
  EXPECT_THAT(LinkNames(b), ElementsAre("lan0", "lan1", "lo"));
}

// net/core/dev.c: dev_index_reserve() and the index list are per namespace.
NETNS_TEST(Dev, InterfaceIndexesAreScopedPerNamespace, Covers("DEV-06"), Needs(Config("VETH"), Config("BRIDGE"))) {
  Place a, b;
  for (int index : {100, 2000, 7}) {
    SCOPED_TRACE(index);
    const std::string name = "n" + std::to_string(index);
    RequireBuiltIn(a->AddLink({.name = name, .kind = "bridge", .index = index}), "BRIDGE");
    EXPECT_EQ(SETUP_OK(a->LinkByName(name)).index, index);
    EXPECT_THAT(b->LinkByIndex(index), FailsWith(ENODEV));
    EXPECT_OK(b->AddLink({.name = "b" + name, .kind = "bridge", .index = index}));
    EXPECT_EQ(SETUP_OK(b->LinkByIndex(index)).name, "b" + name);
    EXPECT_EQ(SETUP_OK(a->LinkByIndex(index)).name, name);
  }
  EXPECT_THAT(a->AddLink({.name = "again", .kind = "bridge", .index = 100}), FailsWith(EEXIST)) << "control: taken here";
  EXPECT_THAT(Seen(a, "again"), IsEmpty());
  // Made from a for b: the index must be free there, and nothing is made otherwise. 6.18 says EEXIST, older ones EBUSY.
  const auto in_b = LinkNames(b);
  EXPECT_THAT(a->AddLink({.name = "cross", .kind = "bridge", .index = 2000, .netns_fd = b.fd()}).code(),
              AnyOf(EBUSY, EEXIST));
  EXPECT_EQ(LinkNames(b), in_b);
  EXPECT_THAT(Seen(a, "cross"), IsEmpty());
  EXPECT_OK(a->AddLink({.name = "cross", .kind = "bridge", .index = 2001, .netns_fd = b.fd()}));
  EXPECT_EQ(SETUP_OK(b->LinkByName("cross")).index, 2001);
  // An index that is busy only in the namespace of the request.
  SETUP_OK(a->AddLink({.name = "busyhere", .kind = "bridge", .index = 555}));
  Status other = a->AddLink({.name = "there", .kind = "bridge", .index = 556, .netns_fd = b.fd()});
  EXPECT_OK(other);
  // The index of a peer.
  Status peer = a->AddVeth("v0", {.name = "v1", .index = 2000, .netns_fd = b.fd()}, {.index = 600});
  EXPECT_THAT(peer, FailsWith(EBUSY));
  EXPECT_THAT(Seen(a, "v0"), IsEmpty());
  EXPECT_THAT(Seen(b, "v1"), IsEmpty());
  EXPECT_OK(a->AddVeth("v0", {.name = "v1", .index = 600, .netns_fd = b.fd()}, {.index = 600}));
  EXPECT_EQ(SETUP_OK(a->LinkByName("v0")).index, 600);
  EXPECT_EQ(SETUP_OK(b->LinkByName("v1")).index, 600);
}

NETNS_TEST(Dev, IndexesAreCountedFromTheStartInEachNamespace, Covers("DEV-06"), Needs(Config("BRIDGE"))) {
  auto first_indexes = [](Place& place) {
    std::vector<int> indexes;
    for (const char* name : {"x", "y", "z"}) indexes.push_back(AddBridge(place, name));
    return indexes;
  };
  Place a;
  const auto in_a = first_indexes(a);
  for (int i = 0; i < 40; ++i) AddBridge(a, "more" + std::to_string(i));
  Place b;
  Place nested = Place::Inside(a);
  EXPECT_EQ(first_indexes(b), in_a);
  EXPECT_EQ(first_indexes(nested), in_a);
  EXPECT_THAT(SETUP_OK(a->LinkByName("more39")).index, testing::Gt(in_a[2])) << "control: inside one, they are different";
}

NETNS_TEST(Dev, AlternativeNamesAreScopedPerNamespace, Covers("DEV-07"), Needs(Config("VETH"))) {
  Place a, b, c;
  for (Place* place : {&a, &b}) {
    AddDevice(*place, "one");
    AddDevice(*place, "two");
  }
  AddDevice(c, "one");
  for (const char* altname : {"alt1", kLongAltname}) {
    SCOPED_TRACE(altname);
    if (Status added = a->AddAltname("one", altname); added.code() == EOPNOTSUPP)
      throw MissingNeed("needs-feature:altname", "the kernel has no alternative names", "use Linux 5.5 or later", LinuxVersion{5, 5});
    else
      ASSERT_OK(added);
    EXPECT_THAT(b->LinkByName(altname), FailsWith(ENODEV)) << "found before it was given there";
    EXPECT_OK(b->AddAltname("two", altname)) << "free in another namespace";
    EXPECT_THAT(a->AddAltname("two", altname), FailsWith(EEXIST)) << "control: taken in this one";
    EXPECT_THAT(b->AddAltname("one", altname), FailsWith(EEXIST));
    EXPECT_THAT(a->LinkByName(altname), Holds(testing::Field(&Link::name, "one")));
    EXPECT_THAT(b->LinkByName(altname), Holds(testing::Field(&Link::name, "two")));
    EXPECT_THAT(c->LinkByName(altname), FailsWith(ENODEV));
    // Taken away in one, it stays in the other.
    EXPECT_OK(a->DeleteAltname("one", altname));
    EXPECT_THAT(a->LinkByName(altname), FailsWith(ENODEV));
    EXPECT_THAT(b->LinkByName(altname), Holds(testing::Field(&Link::name, "two")));
    EXPECT_THAT(SETUP_OK(b->LinkByName("two")).altnames, Contains(altname));
  }
  // Names and other names share one space, in each namespace its own.
  EXPECT_THAT(a->AddAltname("one", "two"), FailsWith(EEXIST));
  SETUP_OK(b->Rename("one", "elsewhere"));
  EXPECT_OK(a->AddAltname("one", "elsewhere"));
  EXPECT_OK(c->AddAltname("one", "two"));
}

// ---------------------------------------------------------------------------------------------------- notifications

// netlink(7): without NETLINK_LISTEN_ALL_NSID "a listening socket" hears of its own namespace.
struct Change {
  const char* name;
  std::vector<int> types;  ///< what the listener beside it hears
  std::function<void(Place&)> make;
};
const std::vector<Change>& Changes() {
  static const std::vector<Change> changes = {
      {"LinkChanges",
       {RTM_NEWLINK, RTM_DELLINK},
       [](Place& at) {
         AddBridge(at, "hub");
         SETUP_OK(at->SetLink("hub", {.mtu = 1300}));
         SETUP_OK(at->Rename("hub", "hub2"));
         SETUP_OK(at->AddAltname("hub2", "hub3"));
         SETUP_OK(at->DeleteLink("hub2"));
       }},
      {"PairsOfDevices",
       {RTM_NEWLINK, RTM_DELLINK},
       [](Place& at) {
         RequireBuiltIn(at->AddVeth("v0", "v1"), "VETH");
         SETUP_OK(at->Up("v0"));
         SETUP_OK(at->Up("v1"));
         SETUP_OK(at->DeleteLink("v1"));
       }},
      {"LoopbackChanges", {RTM_NEWLINK, RTM_NEWADDR, RTM_NEWROUTE}, [](Place& at) { SETUP_OK(at->Up("lo")); }},
      {"Ipv4Addresses",
       {RTM_NEWADDR, RTM_DELADDR, RTM_NEWROUTE, RTM_DELROUTE},
       [](Place& at) {
         SETUP_OK(at->Up("lo"));
         for (const char* address : {"192.0.2.1/24", "192.0.2.2/24"}) SETUP_OK(at->AddAddress(address, "lo"));
         for (const char* address : {"192.0.2.2/24", "192.0.2.1/24"}) SETUP_OK(at->DeleteAddress(address, "lo"));
       }},
      {"Ipv6Addresses",
       {RTM_NEWADDR, RTM_DELADDR, RTM_NEWROUTE, RTM_DELROUTE},
       [](Place& at) {
         SETUP_OK(at->Up("lo"));
         RequireBuiltIn(at->AddAddress("2001:db8::1/64", "lo", {.nodad = true}), "IPV6");
         SETUP_OK(at->DeleteAddress("2001:db8::1/64", "lo"));
       }},
      {"Ipv4Routes",
       {RTM_NEWROUTE, RTM_DELROUTE},
       [](Place& at) {
         SETUP_OK(at->Up("lo"));
         for (std::uint32_t table : {254u, 100u}) {
           SETUP_OK(at->AddRoute({.to = "198.51.100.0/24", .dev = "lo", .table = table}));
           SETUP_OK(at->DeleteRoute({.to = "198.51.100.0/24", .dev = "lo", .table = table}));
         }
       }},
      {"Ipv6Routes",
       {RTM_NEWROUTE, RTM_DELROUTE},
       [](Place& at) {
         SETUP_OK(at->Up("lo"));
         RequireBuiltIn(at->AddRoute({.to = "2001:db8:1::/48", .dev = "lo"}), "IPV6");
         SETUP_OK(at->DeleteRoute({.to = "2001:db8:1::/48", .dev = "lo"}));
       }},
      {"Ipv6RoutesOfSeveralWays",
       {RTM_NEWROUTE, RTM_DELROUTE},
       [](Place& at) {
         struct {
           rtnexthop way;
           rtattr head;
           std::uint8_t gateway[16];
         } ways[2] = {};
         for (int i = 0; i < 2; ++i) {
           ways[i].way = {.rtnh_len = sizeof ways[i], .rtnh_flags = 0, .rtnh_hops = 0, .rtnh_ifindex = AddDevice(at, "way" + std::to_string(i), {}, true)};
           ways[i].head = {.rta_len = RTA_LENGTH(16), .rta_type = RTA_GATEWAY};
           ways[i].gateway[0] = 0xfe;
           ways[i].gateway[1] = 0x80;
           ways[i].gateway[15] = static_cast<std::uint8_t>(0x71 + i);
         }
         RequireBuiltIn(at->AddRoute({.to = "2001:db8:2::/48", .more = [&](Request& r) { r.Raw(RTA_MULTIPATH, std::as_bytes(std::span(ways))); }}), "IPV6");
         SETUP_OK(at->DeleteRoute({.to = "2001:db8:2::/48"}));  // all ways at once
       }},
      {"Ipv4Rules",
       {RTM_NEWRULE, RTM_DELRULE},
       [](Place& at) {
         RequireBuiltIn(at->AddRule({.priority = 77, .table = 77}), "IP_MULTIPLE_TABLES");
         SETUP_OK(at->DeleteRule({.priority = 77, .table = 77}));
       }},
      {"Ipv6Rules",
       {RTM_NEWRULE, RTM_DELRULE},
       [](Place& at) {
         RequireBuiltIn(at->AddRule({.family = AF_INET6, .priority = 77, .table = 77}), "IPV6_MULTIPLE_TABLES");
         SETUP_OK(at->DeleteRule({.family = AF_INET6, .priority = 77, .table = 77}));
       }},
      {"Ipv4Neighbours",
       {RTM_NEWNEIGH, RTM_DELNEIGH},
       [](Place& at) {
         AddDevice(at, "west");
         SETUP_OK(at->Up("west"));
         SETUP_OK(at->AddNeighbour({.to = "192.0.2.7", .address = "02:00:00:00:00:07", .dev = "west"}));
         SETUP_OK(at->DeleteNeighbour({.to = "192.0.2.7", .dev = "west"}));
       }},
      {"Ipv6Neighbours",
       {RTM_NEWNEIGH, RTM_DELNEIGH},
       [](Place& at) {
         AddDevice(at, "west");
         SETUP_OK(at->Up("west"));
         RequireBuiltIn(at->AddNeighbour({.to = "2001:db8::7", .address = "02:00:00:00:00:07", .dev = "west"}), "IPV6");
         SETUP_OK(at->DeleteNeighbour({.to = "2001:db8::7", .dev = "west"}));
       }},
      {"ForwardingEntriesOfBridges",
       {RTM_NEWNEIGH, RTM_DELNEIGH},
       [](Place& at) {
         AddBridge(at, "hub");
         AddDevice(at, "port");
         SETUP_OK(at->SetLink("port", {.master = "hub"}));
         const NeighbourSpec entry{.to = "", .address = "02:00:00:00:00:07", .dev = "port", .flags = NTF_MASTER};
         SETUP_OK(at->AddForwarding(entry));
         SETUP_OK(at->DeleteForwarding(entry));
       }},
      {"QueueingDisciplines",
       {RTM_NEWQDISC},
       [](Place& at) {
         AddDevice(at, "west");
         RequireBuiltIn(at->AddQdisc("west", "ingress", 0xFFFFFFF1u), "NET_SCH_INGRESS");
       }},
      {"MulticastGroupsOfBridges",
       {RTM_NEWMDB, RTM_DELMDB},
       [](Place& at) {
         AddBridge(at, "hub");
         AddDevice(at, "port", {}, true);
         SETUP_OK(at->SetLink("port", {.master = "hub"}));
         SETUP_OK(at->Up("hub"));
         AddBridgeGroup(at, "hub", "port");
         SETUP_OK(at->socket().Ack(BridgeGroup(at, RTM_DELMDB, 0, "hub", "port")));
       }},
      {"ForwardingSettings",
       {RTM_NEWNETCONF},
       [](Place& at) {
         SETUP_OK(at.ns.SetSysctl("net.ipv4.ip_forward", "0"));
         SETUP_OK(at.ns.SetSysctl("net.ipv4.ip_forward", "1"));
         if (HasIpv6()) SETUP_OK(at.ns.SetSysctl("net.ipv6.conf.all.forwarding", "1"));
       }},
      {"Ipv6ForwardingSettings",
       {RTM_NEWNETCONF},
       [](Place& at) {
         if (!at.ns.HasSysctl("net.ipv6.conf.lo.forwarding")) RequireBuiltIn(Error{EOPNOTSUPP, "net.ipv6.conf"}, "IPV6");
         SETUP_OK(at.ns.SetSysctl("net.ipv6.conf.lo.forwarding", "1"));
         SETUP_OK(at.ns.SetSysctl("net.ipv6.conf.default.forwarding", "1"));
       }},
      {"VlansOfBridges",
       {112 /* RTM_NEWVLAN */, 113 /* RTM_DELVLAN */, RTM_NEWLINK},
       [](Place& at) {
         AddBridge(at, "hub");
         AddDevice(at, "port");
         SETUP_OK(at->SetLink("port", {.master = "hub"}));
         ifinfomsg header{};
         header.ifi_family = AF_BRIDGE;
         header.ifi_index = SETUP_OK(at->LinkByName("port")).index;
         for (std::uint16_t type : {RTM_SETLINK, RTM_DELLINK}) {
           Request request(type);
           request.Named("a VLAN of a port").Header(header).Nest(IFLA_AF_SPEC | NLA_F_NESTED, [](Request& r) { r.Structure(IFLA_BRIDGE_VLAN_INFO, bridge_vlan_info{.flags = 0, .vid = 47}); });
           Status done = at->socket().Ack(request);
           RequireBuiltIn(done, "BRIDGE_VLAN_FILTERING");
           SETUP_OK(std::move(done));
         }
       }},
      {"NexthopObjects",
       {RTM_NEWNEXTHOP, RTM_DELNEXTHOP},
       [](Place& at) {
         SETUP_OK(at->Up("lo"));
         nhmsg header{};
         header.nh_family = AF_INET;
         Request add(RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_EXCL);
         add.Named("add a nexthop").Header(header).U32(NHA_ID, 42).Flag(NHA_BLACKHOLE);
         RequireBuiltIn(at->socket().Ack(add), "INET");
         Request remove(RTM_DELNEXTHOP);
         header.nh_family = AF_UNSPEC;
         remove.Named("delete a nexthop").Header(header).U32(NHA_ID, 42);
         SETUP_OK(at->socket().Ack(remove));
       }},
      {"NamespaceIds",
       {RTM_NEWNSID},
       [](Place& at) {
         auto other = NetNamespace::Create();
         SETUP_OK(at->NewNsid(ByFd(other.fd()), 4717));
       }},
  };
  return changes;
}
[[maybe_unused]] const bool notification_rows = [] {
  for (std::size_t row = 0; row < Changes().size(); ++row)
    RegisterBody(
        "Dev", std::string("NotificationsStayInTheirNamespace/") + Changes()[row].name, __FILE__, __LINE__,
        [row] {
          const Change& change = Changes()[row];
          Place before, a, after;
          Place nested = Place::Inside(a);
          Place here = Place::Here();
          Listener in_a(a), in_before(before), in_after(after), in_nested(nested), in_here(here);
          change.make(a);
          const auto heard = in_a.Heard();
          EXPECT_THAT(Types(heard), testing::IsSupersetOf(change.types)) << "control: the listener beside it";
          auto hears_nothing = [](Listener& listener, const char* where) {
            const auto leaked = listener.Heard();
            EXPECT_THAT(leaked.size(), 0u) << "a listener in " << where << " heard:" << Tell(leaked);
          };
          hears_nothing(in_before, "a namespace created before");
          hears_nothing(in_after, "a namespace created after");
          hears_nothing(in_nested, "a namespace created from inside");
          hears_nothing(in_here, "the creator's namespace");
          // The other direction: the creator's namespace changes.
          change.make(here);
          EXPECT_THAT(Types(in_here.Heard()), testing::IsSupersetOf(change.types)) << "control";
          hears_nothing(in_before, "a namespace created by it");
          hears_nothing(in_after, "a namespace created by it, later");
          hears_nothing(in_nested, "a namespace below");
        },
        Covers("DEV-31", "NLK-04"));
  for (std::size_t row = 0; row < Changes().size(); ++row)
    RegisterBody(
        "Dev", std::string("NotificationsDoNotReachTheInitialNamespace/") + Changes()[row].name, __FILE__, __LINE__,
        [row] {
          const Change& change = Changes()[row];
          Place a;
          Place initial(InitialNetNamespace());
          Listener in_a(a), in_initial(initial);
          change.make(a);
          const auto heard = in_a.Heard();
          EXPECT_THAT(Types(heard), testing::IsSupersetOf(change.types)) << "control: the listener beside it";
          // The machine's own cards may speak at the same time: what counts is what was told in `a`.
          auto same = [](const Message& one, const Message& two) {
            return one.type() == two.type() && one.payload().size() == two.payload().size() &&
                   std::memcmp(one.payload().data(), two.payload().data(), one.payload().size()) == 0;
          };
          std::vector<Message> leaked;
          for (const Message& message : in_initial.Heard()) {
            // What comes along with a new device (an id for its peer, its netconf) has a row of its own: a device of another test
            // may have come the same moment, with the same index or id.
            if (std::find(change.types.begin(), change.types.end(), message.type()) == change.types.end()) continue;
            for (const Message& told : heard)
              if (same(message, told)) {
                leaked.push_back(message);
                break;
              }
          }
          EXPECT_EQ(leaked.size(), 0u) << "a listener in the initial namespace heard:" << Tell(leaked);
        },
        Covers("DEV-31", "NLK-04"), Needs(Machine()));
  return true;
}();

// ------------------------------------------------------------------------------------------- statistics, lists, ioctls

std::uint64_t Loop(Place& place, int datagrams) {
  const Fd receiver = SETUP_OK(place.ns.Socket(AF_INET, SOCK_DGRAM));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof to;
  if (::bind(receiver.get(), reinterpret_cast<sockaddr*>(&to), size) < 0 ||
      ::getsockname(receiver.get(), reinterpret_cast<sockaddr*>(&to), &size) < 0)
    throw SetupFailure(ErrnoError("bind").ToString(), std::source_location::current());
  const Fd sender = SETUP_OK(place.ns.Socket(AF_INET, SOCK_DGRAM));
  for (int i = 0; i < datagrams; ++i)
    if (::sendto(sender.get(), "x", 1, 0, reinterpret_cast<sockaddr*>(&to), sizeof to) != 1)
      throw SetupFailure(ErrnoError("sendto").ToString(), std::source_location::current());
  // lo counts what is sent at once, and delivers it when the CPU gets to it: a port that is closed by then answers each.
  char byte;
  for (int i = 0; i < datagrams; ++i) {
    SETUP_OK(WaitFor(receiver.get(), POLLIN, Deadline::OfTest(), "a datagram over lo"));
    std::ignore = ::recv(receiver.get(), &byte, 1, MSG_DONTWAIT);
  }
  return SETUP_OK(place->LinkByName("lo")).stats.rx_packets;
}

NETNS_TEST(Dev, StatisticsBelongToTheDevice, Covers("DEV-33")) {
  Place a, b;
  Place nested = Place::Inside(a);
  for (Place* place : {&a, &b, &nested}) SETUP_OK((*place)->Up("lo"));
  auto proc_line = [](Place& place) {
    std::istringstream lines(SETUP_OK(place.ns.ReadProcNet("dev")));
    for (std::string line; std::getline(lines, line);)
      if (line.find("lo:") != std::string::npos) return line;
    return std::string();
  };
  auto sysfs = [](Place& place) { return SETUP_OK(place.ns.ReadSysfs("class/net/lo/statistics/rx_packets")); };
  const std::string line_b = proc_line(b), line_nested = proc_line(nested);
  const std::uint64_t before_b = SETUP_OK(b->LinkByName("lo")).stats.rx_packets;
  EXPECT_EQ(before_b, 0u);
  const auto count = Loop(a, 25);
  EXPECT_EQ(count, 25u) << "control: they count where they go";
  EXPECT_EQ(sysfs(a), "25");
  EXPECT_NE(proc_line(a), line_b);
  for (Place* other : {&b, &nested}) {
    EXPECT_EQ(SETUP_OK((*other)->LinkByName("lo")).stats.rx_packets, 0u);
    EXPECT_EQ(SETUP_OK((*other)->LinkByName("lo")).stats.tx_bytes, 0u);
    EXPECT_EQ(sysfs(*other), "0");
  }
  EXPECT_EQ(proc_line(b), line_b) << "/proc/net/dev";
  EXPECT_EQ(proc_line(nested), line_nested);
  EXPECT_EQ(Loop(b, 3), 3u);
  EXPECT_EQ(SETUP_OK(a->LinkByName("lo")).stats.rx_packets, 25u);
}

NETNS_TEST(Dev, ProcNetDevListsOnlyOwnDevices, Covers("DEV-33", "DEV-04"), Needs(Config("BRIDGE"))) {
  Place a, b;
  AddBridge(a, "ina");
  AddBridge(a, "ina2");
  AddBridge(b, "inb");
  auto names = [](Place& place) {
    std::vector<std::string> found;
    std::istringstream lines(SETUP_OK(place.ns.ReadProcNet("dev")));
    for (std::string line; std::getline(lines, line);)
      if (auto colon = line.find(':'); colon != std::string::npos) {
        std::string name = line.substr(0, colon);
        name.erase(0, name.find_first_not_of(' '));
        if (!IsFallback(name)) found.push_back(name);
      }
    std::sort(found.begin(), found.end());
    return found;
  };
  EXPECT_THAT(names(a), ElementsAre("ina", "ina2", "lo"));
  EXPECT_THAT(names(b), ElementsAre("inb", "lo"));
}

NETNS_TEST(Dev, EthtoolAddressesDevicesOfTheNamespaceOfTheSocket, Covers("DEV-34"), Needs(Config("VETH"))) {
  Place a, b;
  AddDevice(b, "onlyb");
  const Fd in_a = SETUP_OK(a.ns.Socket(AF_INET, SOCK_DGRAM)), in_b = SETUP_OK(b.ns.Socket(AF_INET, SOCK_DGRAM));
  EXPECT_THAT(EthtoolDriver(in_b, "onlyb"), Holds(std::string("veth"))) << "control: through a socket of its namespace";
  EXPECT_THAT(EthtoolDriver(in_a, "onlyb"), FailsWith(ENODEV));
  EXPECT_THAT(b.ns.In([&] { return EthtoolDriver(in_a, "onlyb"); }), FailsWith(ENODEV)) << "a caller inside changes nothing";
  EXPECT_THAT(a.ns.In([&] { return EthtoolDriver(in_b, "onlyb"); }), Holds(std::string("veth")));
  // The same name is another device in a.
  AddBridge(a, "onlyb");
  EXPECT_THAT(EthtoolDriver(in_a, "onlyb"), Holds(std::string("bridge")));
  EXPECT_THAT(EthtoolDriver(in_b, "onlyb"), Holds(std::string("veth")));
}

// ethtool-netlink.rst: ETHTOOL_MSG_STRSET_GET and others take the device's name in the namespace of the socket.
NETNS_TEST(Dev, EthtoolNetlinkAddressesDevicesOfTheNamespaceOfTheSocket, Covers("DEV-34"), Needs(Config("VETH"))) {
  Place a, b;
  const int index = AddDevice(b, "onlyb", {.index = 909});
  auto open = [](Place& place) {
    return SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(place.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC))));
  };
  NetlinkSocket in_a = open(a), in_b = open(b);
  auto family = in_b.ResolveFamily("ethtool");
  if (family.code() == ENOENT)
    throw MissingNeed("needs-config:ETHTOOL_NETLINK", "no generic netlink family 'ethtool'", "use Linux 5.6 or later with CONFIG_ETHTOOL_NETLINK");
  struct GenericHeader {
    std::uint8_t command, version;
    std::uint16_t reserved;
  };
  // ETHTOOL_MSG_LINKINFO_GET with a header of ETHTOOL_A_HEADER_DEV_NAME or _INDEX
  auto ask = [&](NetlinkSocket& socket, bool by_name) {
    Request request(SETUP_OK(socket.ResolveFamily("ethtool")).id);
    request.Named("ETHTOOL_MSG_LINKSTATE_GET").Header(GenericHeader{6, 1, 0});
    request.Nest(1, [&](Request& header) {
      if (by_name)
        header.Text(2, "onlyb");
      else
        header.U32(1, static_cast<std::uint32_t>(index));
    });
    return socket.Get(request);
  };
  for (bool by_name : {true, false}) {
    EXPECT_THAT(ask(in_b, by_name).code(), 0) << "control: in its own namespace";
    EXPECT_THAT(ask(in_a, by_name).code(), ENODEV) << (by_name ? "by name" : "by index");
  }
}

NETNS_TEST(Dev, EthtoolChangesNeedCapabilityOverTheNamespace, Covers("DEV-34"), Needs(Config("VETH"), UserNs())) {
  Place b;
  AddDevice(b, "onlyb");
  const Fd socket = SETUP_OK(b.ns.Socket(AF_INET, SOCK_DGRAM));
  auto set_gso = [&]() -> Status {
    ethtool_value value{};
    value.cmd = ETHTOOL_SGSO;
    ifreq request = NamedIfreq("onlyb");
    request.ifr_data = reinterpret_cast<char*>(&value);
    return NETNS_IOCTL(socket, SIOCETHTOOL, request);
  };
  EXPECT_OK(set_gso()) << "control: with CAP_NET_ADMIN over it";
  Actor stranger = StartNamespaceRoot("stranger");
  EXPECT_THAT(stranger.Run(set_gso), FailsWith(EPERM)) << "root of another user namespace, through a socket of this one";
  EXPECT_THAT(stranger.Run([&] { return EthtoolDriver(socket, "onlyb"); }), Holds(std::string("veth")))
      << "asking is allowed";
}

// netdevice(7): the ioctls act on the namespace in which the socket was created, wherever the caller is.
NETNS_TEST(Dev, InterfaceIoctlsActOnTheNamespaceOfTheSocket, Covers("DEV-35"), Needs(Config("VETH"), Config("BRIDGE"))) {
  Place a, b;
  const int index_a = AddDevice(a, "ina", {.index = 300});
  AddDevice(b, "inb", {.index = 301});
  AddDevice(a, "same", {.index = 400});
  AddDevice(b, "same", {.index = 401});
  SETUP_OK(a->AddAddress("192.0.2.1/24", "same"));
  SETUP_OK(b->AddAddress("198.51.100.1/24", "same"));
  for (int domain : {AF_INET, AF_UNIX, AF_PACKET, AF_INET6}) {
    if (domain == AF_INET6 && !HasIpv6()) continue;
    SCOPED_TRACE("socket of domain " + std::to_string(domain));
    auto socket = a.ns.Socket(domain, SOCK_DGRAM);
    if (!socket.ok() && socket.code() == EAFNOSUPPORT) continue;
    const Fd of_a = SETUP_OK(std::move(socket));
    b.ns.In([&] {  // the caller is in b
      ifreq request = NamedIfreq("ina");
      EXPECT_THAT(NETNS_IOCTL(of_a, SIOCGIFINDEX, request), Succeeds());
      EXPECT_EQ(request.ifr_ifindex, index_a);
      request = NamedIfreq("inb");
      EXPECT_THAT(NETNS_IOCTL(of_a, SIOCGIFINDEX, request), FailsWith(ENODEV));
      request = NamedIfreq("same");
      EXPECT_THAT(NETNS_IOCTL(of_a, SIOCGIFINDEX, request), Succeeds());
      EXPECT_EQ(request.ifr_ifindex, 400);
      request = {};
      request.ifr_ifindex = 301;
      EXPECT_THAT(NETNS_IOCTL(of_a, SIOCGIFNAME, request), FailsWith(ENODEV));
      request.ifr_ifindex = 400;
      EXPECT_THAT(NETNS_IOCTL(of_a, SIOCGIFNAME, request), Succeeds());
      EXPECT_STREQ(request.ifr_name, "same");
    });
  }
  const Fd of_a = SETUP_OK(a.ns.Socket(AF_INET, SOCK_DGRAM));
  b.ns.In([&] {
    ifreq request = NamedIfreq("same");
    EXPECT_THAT(NETNS_IOCTL(of_a, SIOCGIFADDR, request), Succeeds());
    sockaddr_in address{};
    std::memcpy(&address, &request.ifr_addr, sizeof address);
    EXPECT_EQ(ntohl(address.sin_addr.s_addr), 0xC0000201u) << "SIOCGIFADDR: 192.0.2.1";
    // SIOCGIFCONF lists the addresses of a alone.
    std::array<ifreq, 8> list{};
    ifconf conf{};
    conf.ifc_len = sizeof list;
    conf.ifc_req = list.data();
    ASSERT_EQ(::ioctl(of_a.get(), SIOCGIFCONF, &conf), 0) << ErrnoName(errno);
    ASSERT_EQ(conf.ifc_len, static_cast<int>(sizeof(ifreq))) << "a has one IPv4 address";
    EXPECT_STREQ(list[0].ifr_name, "same");
    std::memcpy(&address, &list[0].ifr_addr, sizeof address);
    EXPECT_EQ(ntohl(address.sin_addr.s_addr), 0xC0000201u);
    // Changes.
    request = NamedIfreq("same");
    request.ifr_mtu = 1288;
    EXPECT_THAT(NETNS_IOCTL(of_a, SIOCSIFMTU, request), Succeeds());
    request = NamedIfreq("same");
    request.ifr_flags = IFF_UP;
    EXPECT_THAT(NETNS_IOCTL(of_a, SIOCSIFFLAGS, request), Succeeds());
    request = NamedIfreq("inb");
    request.ifr_flags = IFF_UP;
    EXPECT_THAT(NETNS_IOCTL(of_a, SIOCSIFFLAGS, request), FailsWith(ENODEV));
    EXPECT_THAT(RenameByIoctl(of_a, "ina", "inb"), Succeeds());  // free in a
    EXPECT_TRUE(SETUP_OK(a->LinkByName("same")).up());
    // A device that is up is not renamed by kernels before 6.2: EBUSY, whatever the name.
    request = NamedIfreq("same");
    SETUP_OK(NETNS_IOCTL(of_a, SIOCSIFFLAGS, request));
    EXPECT_THAT(RenameByIoctl(of_a, "same", "inb"), FailsWith(EEXIST));
  });
  EXPECT_EQ(SETUP_OK(a->LinkByName("same")).mtu, 1288u);
  EXPECT_EQ(SETUP_OK(a->LinkByName("inb")).index, 300);
  EXPECT_EQ(SETUP_OK(b->LinkByName("same")).mtu, 1500u);
  EXPECT_FALSE(SETUP_OK(b->LinkByName("same")).up());
  EXPECT_EQ(SETUP_OK(b->LinkByName("inb")).index, 301);
  EXPECT_FALSE(SETUP_OK(b->LinkByName("inb")).up());
}

NETNS_TEST(Dev, ADumpHasAllAndOnlyTheDevicesOfTheNamespace, Covers("DEV-36"), Needs(Config("BRIDGE"))) {
  Place a, b;
  std::vector<std::string> expected = {"lo"};
  for (int i = 0; i < 64; ++i) {
    expected.push_back("d" + std::to_string(i));
    AddBridge(a, expected.back());
  }
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(LinkNames(a), expected);
  EXPECT_THAT(LinkNames(b), ElementsAre("lo"));
  std::set<int> indexes;
  for (const Link& link : SETUP_OK(a->Links())) EXPECT_TRUE(indexes.insert(link.index).second) << link << " twice";
  const auto by_libc = [](Place& place) {
    return place.ns.In([] {
      std::vector<std::string> names;
      struct if_nameindex* list = ::if_nameindex();
      for (auto* entry = list; entry != nullptr && entry->if_index != 0; ++entry)
        if (!IsFallback(entry->if_name)) names.emplace_back(entry->if_name);
      ::if_freenameindex(list);
      std::sort(names.begin(), names.end());
      return names;
    });
  };
  EXPECT_EQ(by_libc(a), expected) << "if_nameindex(3)";
  EXPECT_THAT(by_libc(b), ElementsAre("lo"));
  // Filtered dumps.
  AddBridge(b, "only");
  EXPECT_EQ(SETUP_OK(a->Links({.kind = "bridge"})).size(), 64u);
  EXPECT_EQ(SETUP_OK(b->Links({.kind = "bridge"})).size(), 1u);
  // Control: one more, made by somebody else inside, appears.
  a.ns.In([] { SETUP_OK(SETUP_OK(Rtnl::Open()).AddLink({.name = "extra", .kind = "bridge"})); });
  EXPECT_THAT(LinkNames(a), Contains("extra"));
  EXPECT_THAT(LinkNames(b), ElementsAre("lo", "only"));
}

// ----------------------------------------------------------------------------------------------------- groups, names

/// ip-link(8), "set group": changes each device of the group in the namespace of the request.
Status ChangeGroup(Place& place, std::uint32_t group, unsigned flags, const More& more = {}) {
  ifinfomsg header{};
  header.ifi_change = header.ifi_flags = flags;
  Status done = Ok();
  for (std::uint16_t type : {RTM_SETLINK, RTM_NEWLINK}) {  // rtnetlink changes by group only where the request could create a link
    Request request(type);
    request.Named("change group " + std::to_string(group)).Header(header).U32(IFLA_GROUP, group);
    if (more) more(request);
    done = place->socket().Ack(request);
    if (done.ok()) break;
  }
  return done;
}

NETNS_TEST(Dev, LinkGroupsArePerNamespace, Covers("DEV-40"), Needs(Config("BRIDGE"))) {
  Place a, b;
  Place nested = Place::Inside(a);
  for (Place* place : {&a, &b, &nested}) {
    for (const char* name : {"g1", "g2"}) AddBridge(*place, name, {.group = 5});
    AddBridge(*place, "none");
    AddBridge(*place, "g3", {.group = 5});  // the last one on the kernel's list
  }
  // Changes by group.
  ASSERT_OK(ChangeGroup(a, 5, IFF_UP));
  for (const char* name : {"g1", "g2", "g3"}) {
    EXPECT_TRUE(SETUP_OK(a->LinkByName(name)).up()) << "control: " << name;
    EXPECT_FALSE(SETUP_OK(b->LinkByName(name)).up()) << name;
    EXPECT_FALSE(SETUP_OK(nested->LinkByName(name)).up()) << name;
  }
  EXPECT_FALSE(SETUP_OK(a->LinkByName("none")).up());
  // Deletion by group.
  Place without;
  EXPECT_THAT(without->DeleteGroup(5), FailsWith(ENODEV)) << "no such group in this namespace";
  EXPECT_OK(a->DeleteGroup(5));
  EXPECT_THAT(LinkNames(a), ElementsAre("lo", "none")) << "control: those of the group are gone";
  EXPECT_THAT(LinkNames(b), ElementsAre("g1", "g2", "g3", "lo", "none"));
  EXPECT_THAT(LinkNames(nested), ElementsAre("g1", "g2", "g3", "lo", "none"));
}

// One of each kind that can be had, the group's members between others.
NETNS_TEST(Dev, AChangeByGroupIsOfEachOfItsDevices, Covers("DEV-40"), Needs(Config("VETH"))) {
  Place a, b, target;
  const auto add = [](Place& place) {
    std::vector<std::string> names;
    AddDevice(place, "first");  // of no group
    AddDevice(place, "veth", {.group = 5});
    names.push_back("veth");
    AddDevice(place, "other", {.group = 6});
    for (const char* kind : {"dummy", "ifb", "macvlan", "bridge"}) {
      LinkSpec spec{.name = kind, .kind = kind, .group = 5};
      if (std::string(kind) == "macvlan") spec.link = LinkRef("first");
      if (place->AddLink(spec).ok()) names.push_back(kind);  // or not in this kernel
    }
    AddDevice(place, "last");
    return names;
  };
  const auto members = add(a);
  EXPECT_EQ(add(b), members);
  struct Change {
    const char* what;
    unsigned flags;
    More more;
    std::function<std::string(const Link&)> shown;
    std::string value;
  } changes[] = {
      {"up", IFF_UP, {}, [](const Link& link) { return std::string(link.up() ? "up" : "down"); }, "up"},
      {"promiscuous mode", IFF_PROMISC, {}, [](const Link& link) { return std::string((link.flags & IFF_PROMISC) != 0 ? "on" : "off"); }, "on"},
      {"the MTU", 0, [](Request& r) { r.U32(IFLA_MTU, 1400); }, [](const Link& link) { return std::to_string(link.mtu); }, "1400"},
      {"the length of the queue", 0, [](Request& r) { r.U32(IFLA_TXQLEN, 77); }, [](const Link& link) { return std::to_string(link.txqlen); }, "77"},
      {"the alias", 0, [](Request& r) { r.Text(IFLA_IFALIAS, "of the group"); }, [](const Link& link) { return link.alias; }, "of the group"},
  };
  for (const Change& change : changes) {
    SCOPED_TRACE(change.what);
    ASSERT_OK(ChangeGroup(a, 5, change.flags, change.more));
    for (const std::string& name : members) {
      EXPECT_EQ(change.shown(SETUP_OK(a->LinkByName(name))), change.value) << name;
      EXPECT_NE(change.shown(SETUP_OK(b->LinkByName(name))), change.value) << name << " in another namespace";
    }
    for (const char* name : {"first", "other", "last", "lo"}) EXPECT_NE(change.shown(SETUP_OK(a->LinkByName(name))), change.value) << name << ", which is not of the group";
  }
  // The group moves.
  if (std::find(members.begin(), members.end(), "bridge") != members.end()) SETUP_OK(a->SetLink("bridge", {.group = 0}));
  const auto in_b = LinkNames(b);
  EXPECT_OK(ChangeGroup(a, 5, 0, [&](Request& r) { r.U32(IFLA_NET_NS_FD, static_cast<std::uint32_t>(target.fd())); }));
  for (const std::string& name : members) {
    Place& there = name == "bridge" ? a : target;
    Place& gone = name == "bridge" ? target : a;
    EXPECT_THAT(there->LinkByName(name), Succeeds()) << name;
    EXPECT_THAT(gone->LinkByName(name), FailsWith(ENODEV)) << name;
  }
  for (const char* name : {"first", "other", "last"}) EXPECT_THAT(a->LinkByName(name), Succeeds()) << name << ", which is not of the group";
  EXPECT_EQ(LinkNames(b), in_b);
  EXPECT_THAT(target->DeleteGroup(5), Succeeds()) << "they are of the group there as well";
  EXPECT_THAT(LinkNames(target), ElementsAre("lo"));
}

// net/core/rtnetlink.c rtnl_group_dellink(): lo has no way to be deleted, so a group with it is not deleted at all.
NETNS_TEST(Dev, AGroupWithLoopbackCannotBeDeleted, Covers("DEV-40"), Needs(Config("VETH"))) {
  Place a, b;
  for (Place* place : {&a, &b})
    for (const char* name : {"one", "two"}) AddDevice(*place, name, {.group = 5});
  SETUP_OK(a->SetLink("lo", {.group = 5}));
  EXPECT_THAT(a->DeleteGroup(5), FailsWith(EOPNOTSUPP));
  EXPECT_THAT(LinkNames(a), ElementsAre("lo", "one", "two")) << "the others were deleted";
  EXPECT_OK(b->DeleteGroup(5)) << "control: its lo is of no group";
  EXPECT_THAT(LinkNames(b), ElementsAre("lo"));
  EXPECT_THAT(a->DeleteGroup(0), FailsWith(EPERM)) << "the group of all that have none";
  SETUP_OK(a->SetLink("lo", {.group = 6}));
  EXPECT_OK(a->DeleteGroup(5)) << "control: of another group";
  EXPECT_THAT(LinkNames(a), ElementsAre("lo"));
}

NETNS_TEST(Dev, RenamingIsConfinedToTheNamespace, Covers("DEV-44"), Needs(Config("VETH"))) {
  Place a, b;
  AddDevice(a, "d0", {.index = 50});
  AddDevice(b, "d1", {.index = 60});
  EXPECT_OK(a->Rename("d0", "d1")) << "the name is taken only in another namespace";
  EXPECT_THAT(Seen(a, "d1", 50), ElementsAreArray(EveryWay()));
  EXPECT_THAT(Seen(a, "d0"), IsEmpty()) << "the old name";
  EXPECT_THAT(Seen(b, "d1", 60), ElementsAreArray(EveryWay()));
  EXPECT_THAT(Seen(b, "d0"), IsEmpty());
  AddDevice(a, "d0");
  EXPECT_THAT(a->Rename("d0", "d1"), FailsWith(EEXIST)) << "control: taken in the own namespace";
  // netdevice(7), SIOCSIFNAME.
  AddDevice(b, "d2");
  const Fd socket = SETUP_OK(a.ns.Socket(AF_INET, SOCK_DGRAM));
  EXPECT_THAT(RenameByIoctl(socket, "d0", "d1"), FailsWith(EEXIST)) << "control: taken in the own namespace";
  EXPECT_OK(RenameByIoctl(socket, "d0", "d2")) << "SIOCSIFNAME: the name is taken only in another namespace";
  EXPECT_OK(RenameByIoctl(socket, "d2", "d0"));
  SETUP_OK(b->DeleteLink("d2"));
  EXPECT_THAT(LinkNames(a), ElementsAre("d0", "d1", "lo"));
  // Altnames of elsewhere do not stand in the way, own ones do.
  SETUP_OK(b->AddAltname("d1", "theirs"));
  SETUP_OK(a->AddAltname("d1", "ours"));
  EXPECT_OK(a->Rename("d0", "theirs"));
  EXPECT_THAT(a->Rename("theirs", "ours"), FailsWith(EEXIST));
  // A running one (6.4 and later rename those too; earlier ones say EBUSY).
  SETUP_OK(b->Up("d1"));
  EXPECT_THAT(b->Rename("d1", "theirs2").code(), AnyOf(0, EBUSY));
  EXPECT_THAT(LinkNames(a), ElementsAre("d1", "lo", "theirs"));
}

}  // namespace
}  // namespace netns
