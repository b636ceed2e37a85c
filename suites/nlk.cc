// SPDX-License-Identifier: GPL-2.0-or-later
// NLK: netlink(7) sockets and what of it crosses namespaces.
#include <linux/connector.h>
#include <linux/genetlink.h>
#include <arpa/inet.h>
#include <linux/if_bridge.h>
#include <linux/netconf.h>
#include <linux/nexthop.h>
#include <sched.h>

#include "fixtures/nic.h"
#include "fixtures/sockets.h"
#include "fixtures/user_namespace.h"
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

// netlink(7): a socket speaks with the kernel of the namespace in which it was created, for all its life.
NETNS_TEST(Nlk, ASocketStaysWithTheNamespaceInWhichItWasCreated, Covers("NLK-01"), Needs(Config("BRIDGE"))) {
  Place a, b;
  Actor owner = a.ns.StartActor("owner");
  auto old = owner.Run([] { return SETUP_OK(Rtnl::Open()); });
  SETUP_OK(owner.Enter(b.fd(), CLONE_NEWNET));
  RequireBuiltIn(owner.Run([&] { return old.AddLink({.name = "old", .kind = "bridge"}); }), "BRIDGE");
  auto fresh = owner.Run([] { return SETUP_OK(Rtnl::Open()); });
  SETUP_OK(owner.Run([&] { return fresh.AddLink({.name = "fresh", .kind = "bridge"}); }));
  EXPECT_THAT(LinkNames(a), ElementsAre("lo", "old"));
  EXPECT_THAT(LinkNames(b), ElementsAre("fresh", "lo")) << "control: a new socket";
  EXPECT_THAT(owner.Run([&] { return old.LinkByName("old"); }), Succeeds());
  EXPECT_THAT(owner.Run([&] { return old.LinkByName("fresh"); }), FailsWith(ENODEV));
  EXPECT_THAT(owner.Run([&] { return fresh.LinkByName("old"); }), FailsWith(ENODEV));
  SETUP_OK(owner.Run([&] { return old.AddAddress("192.0.2.1/24", "old"); }));
  EXPECT_EQ(SETUP_OK(a->Addresses({.family = AF_INET})).size(), 1u);
  EXPECT_EQ(SETUP_OK(b->Addresses({.family = AF_INET})).size(), 0u);
  SETUP_OK(owner.Unshare(CLONE_NEWNET));
  SETUP_OK(owner.Run([&] { return old.DeleteLink("old"); }));
  EXPECT_THAT(LinkNames(a), ElementsAre("lo"));
  EXPECT_THAT(LinkNames(b), ElementsAre("fresh", "lo"));
}

int BindPort(const Fd& socket, std::uint32_t port) {
  const SockAddr address = NetlinkAddress(port);
  return ::bind(socket.get(), address.get(), address.length()) == 0 ? 0 : errno;
}

NETNS_TEST(Nlk, PortIdsArePerNamespaceAndProtocol, Covers("NLK-02")) {
  Place a, b;
  Place nested = Place::Inside(a);
  std::vector<Fd> sockets;
  for (Place* place : {&a, &b, &nested})
    for (int protocol : {NETLINK_ROUTE, NETLINK_GENERIC, NETLINK_USERSOCK, NETLINK_KOBJECT_UEVENT}) {
      sockets.push_back(SETUP_OK(place->ns.Socket(AF_NETLINK, SOCK_RAW, protocol)));
      EXPECT_EQ(BindPort(sockets.back(), 123456), 0) << "protocol " << protocol;
      const Fd second = SETUP_OK(place->ns.Socket(AF_NETLINK, SOCK_DGRAM, protocol));
      EXPECT_EQ(BindPort(second, 123456), EADDRINUSE) << "control: twice in one namespace, protocol " << protocol;
    }
  sockets.clear();
  const Fd again = SETUP_OK(a.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
  EXPECT_EQ(BindPort(again, 123456), 0) << "free again";
}

// A kernel that forgets about namespaces has the sockets of the initial one in the way.
NETNS_TEST(Nlk, PortIdsOfTheInitialNamespaceAreFreeElsewhere, Covers("NLK-02"), Needs(Machine())) {
  const NetNamespace initial = InitialNetNamespace();
  Place a;
  for (int protocol : {NETLINK_ROUTE, NETLINK_GENERIC, NETLINK_USERSOCK, NETLINK_KOBJECT_UEVENT, NETLINK_SOCK_DIAG, NETLINK_NETFILTER}) {
    SCOPED_TRACE("protocol " + std::to_string(protocol));
    auto first = initial.Socket(AF_NETLINK, SOCK_RAW, protocol);
    if (!first.ok()) continue;  // this kernel has no such protocol
    EXPECT_EQ(BindPort(*first, 234567), 0);
    const Fd inside = SETUP_OK(a.ns.Socket(AF_NETLINK, SOCK_RAW, protocol)), second = SETUP_OK(initial.Socket(AF_NETLINK, SOCK_RAW, protocol));
    EXPECT_EQ(BindPort(second, 234567), EADDRINUSE) << "control: twice in the initial namespace";
    EXPECT_EQ(BindPort(inside, 234567), 0) << "a port id of the initial namespace is taken in another one";
  }
}

NETNS_TEST(Nlk, UserToUserMessagesDoNotCross, Covers("NLK-03")) {
  // Receivers in namespaces created before, beside and after that of the sender.
  Place before, a, after;
  Place nested = Place::Inside(a);
  auto receiver = [](Place& place, std::uint32_t port) {
    Fd socket = SETUP_OK(place.ns.Socket(AF_NETLINK, SOCK_DGRAM, NETLINK_USERSOCK));
    const SockAddr address = NetlinkAddress(port, 1);  // and group 1
    if (::bind(socket.get(), address.get(), address.length()) < 0)
      throw SetupFailure(ErrnoError("bind(NETLINK_USERSOCK)").ToString(), std::source_location::current());
    return socket;
  };
  const Fd in_before = receiver(before, 5001), in_after = receiver(after, 5002), in_nested = receiver(nested, 5003),
           in_a = receiver(a, 5004);
  const Fd sender = SETUP_OK(a.ns.Socket(AF_NETLINK, SOCK_DGRAM, NETLINK_USERSOCK));
  const std::string message(32, 'x');
  for (std::uint32_t port : {5001u, 5002u, 5003u})
    EXPECT_THAT(SendTo(sender, message, NetlinkAddress(port)), FailsWith(ECONNREFUSED)) << "port " << port << " of another namespace";
  EXPECT_OK(SendTo(sender, message, NetlinkAddress(5004))) << "control: inside one";
  EXPECT_OK(Receive(in_a));
  // To a group: delivered before the call returns.
  (void)SendTo(sender, message, NetlinkAddress(0, 1)).ok();
  EXPECT_TRUE(Readable(in_a)) << "control: a multicast inside one namespace";
  for (const Fd* other : {&in_before, &in_after, &in_nested}) EXPECT_FALSE(Readable(*other)) << "it crossed";
}

// netlink(7), NETLINK_LISTEN_ALL_NSID.
void RequireListenToAll(Listener& listener) {
  Status all = listener.ListenToAllIds();
  if (all.code() == ENOPROTOOPT) throw MissingNeed("needs-feature:all-nsid", "no NETLINK_LISTEN_ALL_NSID", "use Linux 4.2 or later", LinuxVersion{4, 2});
  if (all.code() == EPERM) throw MissingNeed("needs-cap:NET_BROADCAST", all.error().ToString(), "run as root");
  SETUP_OK(std::move(all));
}
NETNS_TEST(Nlk, AListenerToAllIdsHearsNamespacesThatHaveOne, Covers("NLK-05", "NLK-06"), Needs(Config("BRIDGE"))) {
  Place here = Place::Here();
  Place with, with2, without;
  SETUP_OK(here->NewNsid(with.ref(), 7));
  SETUP_OK(here->NewNsid(with2.ref(), 0));
  SETUP_OK(here->NewNsid(here.ref(), 100));  // for itself
  SETUP_OK(without->NewNsid(here.ref(), 5));  // the other way round does not count
  Listener all(here, {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR}), own(here, {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR});
  RequireListenToAll(all);
  struct {
    Place& place;
    const char* name;
  } rows[] = {{with, "with"}, {with2, "with2"}, {without, "without"}, {here, "local"}};
  for (const auto& [place, name] : rows) {
    AddBridge(place, name);
    SETUP_OK(place->AddAddress("192.0.2.1/24", name));
  }
  std::set<std::string> heard, heard_by_own;
  auto tell = [](const Message& message) {
    const std::string from = message.nsid() ? " of " + std::to_string(*message.nsid()) : " local";
    if (message.type() == RTM_NEWLINK) return ReadLink(message).name + from;
    if (message.type() == RTM_NEWADDR) return "address" + from;
    return "type " + std::to_string(message.type()) + from;
  };
  for (const Message& message : all.Heard()) heard.insert(tell(message));
  for (const Message& message : own.Heard()) heard_by_own.insert(tell(message));
  EXPECT_THAT(heard, ElementsAre("address local", "address of 0", "address of 7", "local local", "with of 7", "with2 of 0"));
  EXPECT_THAT(heard_by_own, ElementsAre("address local", "local local")) << "control: a socket without the option";
}

NETNS_TEST(Nlk, LocalEventsCarryNoId, Covers("NLK-06"), Needs(Config("BRIDGE"))) {
  Place here;
  Place other;
  SETUP_OK(here->NewNsid(here.ref(), 100));
  Listener all(here, {RTNLGRP_LINK});
  RequireListenToAll(all);
  AddBridge(here, "mine");
  auto heard = all.Heard();
  ASSERT_FALSE(heard.empty());
  for (const Message& message : heard) EXPECT_FALSE(message.nsid().has_value()) << Tell(heard);
  SETUP_OK(here->NewNsid(other.ref(), 3));
  AddBridge(other, "theirs");
  heard = all.Heard();
  ASSERT_FALSE(heard.empty());
  for (const Message& message : heard) {
    if (message.type() == RTM_NEWLINK) {
      EXPECT_EQ(message.nsid(), std::optional(3)) << "control: that of another one does. " << Tell(heard);
    }
  }
}

// rt-link.yaml, target-netnsid.
NETNS_TEST(Nlk, GetlinkWithATargetIdAsksAnotherNamespace, Covers("NLK-07", "NLK-08"), Needs(Config("VETH"), UserNs())) {
  Place a, f, g;
  AddDevice(a, "same", {.index = 50, .mtu = 1450});
  AddDevice(f, "same", {.index = 50, .mtu = 1350});
  AddDevice(f, "onlyf", {.index = 60});
  AddDevice(g, "onlyg", {.index = 61});
  SETUP_OK(a->NewNsid(f.ref(), 12));
  for (const LinkRef& ref : {LinkRef("same"), LinkRef(50)}) {
    const Link there = SETUP_OK(a->GetLink(ref, 12)), here = SETUP_OK(a->GetLink(ref));
    EXPECT_EQ(there.mtu, 1350u) << ref.ToString();
    EXPECT_EQ(there.target_netnsid, std::optional(12)) << "the id is repeated in the answer";
    EXPECT_EQ(here.mtu, 1450u) << "control: without the attribute";
    EXPECT_FALSE(here.target_netnsid.has_value());
  }
  EXPECT_EQ(SETUP_OK(a->GetLink("onlyf", 12)).index, 60);
  EXPECT_EQ(SETUP_OK(a->GetLink(60, 12)).name, "onlyf");
  EXPECT_THAT(a->GetLink("onlyf"), FailsWith(ENODEV));
  EXPECT_THAT(a->GetLink("onlyg", 12), FailsWith(ENODEV));
  // Not 0: that is the yard's, where the other ends of the devices are.
  for (int unknown : {13, 99, 5000}) EXPECT_THAT(a->GetLink("same", unknown), FailsWith(EINVAL)) << "nsid " << unknown;
  EXPECT_THAT(f->GetLink("same", 12), FailsWith(EINVAL)) << "an id means something only where it was given";
  // The dump.
  std::vector<std::string> names;
  for (const Link& link : SETUP_OK(a->Links({.target_nsid = 12}))) {
    EXPECT_EQ(link.target_netnsid, std::optional(12)) << link;
    if (!IsFallback(link.name)) names.push_back(link.name);
  }
  std::sort(names.begin(), names.end());
  EXPECT_THAT(names, ElementsAre("lo", "onlyf", "same"));
  EXPECT_THAT(LinkNames(a), ElementsAre("lo", "same")) << "control: without the attribute";
  EXPECT_THAT(a->Links({.target_nsid = 13}), FailsWith(EINVAL));
}

NETNS_TEST(Nlk, ATargetIdNeedsCapabilityOverThatNamespace, Covers("NLK-07", "NLK-08", "NLK-11", "USER-27"), Needs(Config("VETH"), UserNs())) {
  Place f;
  AddDevice(f, "theirs", {.index = 60});
  SETUP_OK(f->AddAddress("192.0.2.1/24", "theirs"));
  // A child user namespace with a namespace of its own, that knows f by an id but has no rights over it.
  Actor child = StartNamespaceRoot("child");
  Place own{child.Run([] { return NetNamespace::Current(); })};
  child.Run([&] {
    auto rtnl = SETUP_OK(Rtnl::Open());
    SETUP_OK(rtnl.NewNsid(f.ref(), 12));
    EXPECT_THAT(rtnl.GetLink("theirs", 12), FailsWith(EACCES));
    EXPECT_THAT(rtnl.Links({.target_nsid = 12}), FailsWith(EACCES));
    EXPECT_THAT(rtnl.Addresses({.target_nsid = 12}), FailsWith(EACCES));
    EXPECT_THAT(rtnl.DeleteLink("theirs", 12).code(), AnyOf(EPERM, EACCES));
    EXPECT_THAT(rtnl.AddLink({.name = "new", .kind = "bridge", .target_nsid = 12}).code(), AnyOf(EPERM, EACCES));
  });
  EXPECT_THAT(LinkNames(f), ElementsAre("lo", "theirs"));
  // Control: the same id, asked by one that has the rights.
  EXPECT_THAT(own->GetLink("theirs", 12), Holds(testing::Field(&Link::index, 60)));
  // Who asks has the rights; who opened the socket has not.
  Rtnl borrowed = child.Run([] { return SETUP_OK(Rtnl::Open()); });
  EXPECT_THAT(borrowed.GetLink("theirs", 12), FailsWith(EACCES));
  EXPECT_THAT(borrowed.Links({.target_nsid = 12}), FailsWith(EACCES));
}

NETNS_TEST(Nlk, LinksAreCreatedAndDeletedByTargetId, Covers("NLK-09"), Needs(Config("VETH"), Config("BRIDGE"))) {
  Place a, f;
  SETUP_OK(a->NewNsid(f.ref(), 12));
  RequireBuiltIn(a->AddLink({.name = "one", .kind = "bridge", .index = 70, .target_nsid = 12}), "BRIDGE");
  SETUP_OK(a->AddLink({.name = "two", .kind = "bridge", .target_nsid = 12}));
  AddBridge(a, "one", {.index = 70});
  EXPECT_THAT(LinkNames(f), ElementsAre("lo", "one", "two"));
  EXPECT_THAT(a->DeleteLink(70, 13), FailsWith(EINVAL)) << "control: an unknown id";
  EXPECT_THAT(a->AddLink({.name = "three", .kind = "bridge", .target_nsid = 13}), FailsWith(EINVAL)) << "control: an unknown id";
  EXPECT_OK(a->DeleteLink(70, 12));
  EXPECT_THAT(LinkNames(f), ElementsAre("lo", "two"));
  EXPECT_THAT(LinkNames(a), ElementsAre("lo", "one")) << "the device of that index here";
  AddDevice(a, "moves");
  EXPECT_THAT(a->MoveLink("moves", ByNsid(13)), FailsWith(EINVAL));
  EXPECT_OK(a->MoveLink("moves", ByNsid(12)));
  EXPECT_THAT(LinkNames(f), ElementsAre("lo", "moves", "two"));
  // By name: looked up in the wrong namespace on 5.10.
  const Status by_name = a->DeleteLink("two", 12);
  if (by_name.code() == ENODEV && !a.ns.HasSysctl("net.core.rps_default_mask")) return;
  EXPECT_OK(by_name);
  EXPECT_THAT(LinkNames(f), ElementsAre("lo", "moves"));
}

// rtnl_ensure_unique_netns(): EOPNOTSUPP.
NETNS_TEST(Nlk, DescriptorAndPidAreRefusedWhereOnlyAnIdMakesSense, Covers("NLK-10"), Needs(Config("BRIDGE"))) {
  Place a, f;
  Actor member = f.ns.StartActor("member");
  AddBridge(a, "hub", {.index = 70});
  AddBridge(f, "hub", {.index = 70});
  SETUP_OK(a->NewNsid(f.ref(), 12));
  std::vector<std::pair<const char*, More>> references = {
      {"descriptor", [&](Request& r) { r.Fd(IFLA_NET_NS_FD, f.fd()); }},
      {"pid", [&](Request& r) { r.S32(IFLA_NET_NS_PID, member.pid()); }}};
  for (const auto& [which, reference] : references) {
    SCOPED_TRACE(which);
    for (bool by_name : {false, true}) {
      ifinfomsg header{};
      if (!by_name) header.ifi_index = 70;
      Request remove(RTM_DELLINK), get(RTM_GETLINK);
      for (Request* request : {&remove, &get}) {
        request->Header(header);
        if (by_name) request->Text(IFLA_IFNAME, "hub");
        reference(*request);
      }
      EXPECT_THAT(a->socket().Ack(remove), FailsWith(EOPNOTSUPP)) << "RTM_DELLINK";
      EXPECT_THAT(a->socket().Get(get).code(), AnyOf(EOPNOTSUPP, EINVAL)) << "RTM_GETLINK";
    }
    Request dump(RTM_GETLINK);
    dump.Header(ifinfomsg{});
    reference(dump);
    EXPECT_THAT(a->socket().Dump(dump).code(), AnyOf(EOPNOTSUPP, EINVAL)) << "RTM_GETLINK dump";
    EXPECT_THAT(LinkNames(a), ElementsAre("hub", "lo"));
    EXPECT_THAT(LinkNames(f), ElementsAre("hub", "lo"));
  }
  EXPECT_OK(a->DeleteLink(70, 12)) << "control: the id";
  EXPECT_THAT(LinkNames(f), ElementsAre("lo"));
  EXPECT_THAT(LinkNames(a), ElementsAre("hub", "lo"));
}

NETNS_TEST(Nlk, AddressDumpsCanBeDirectedToAnotherNamespace, Covers("NLK-11"), Needs(Config("BRIDGE"))) {
  Place a, f;
  AddBridge(a, "hub", {.index = 70});
  AddBridge(f, "hub", {.index = 71});
  SETUP_OK(a->AddAddress("10.0.0.1/24", "hub"));
  SETUP_OK(f->AddAddress("192.0.2.1/24", "hub"));
  SETUP_OK(f->AddAddress("192.0.2.2/24", "hub"));
  const bool ipv6 = HasIpv6();
  if (ipv6) {
    SETUP_OK(a->AddAddress("2001:db8:a::1/64", "hub", {.nodad = true}));
    SETUP_OK(f->AddAddress("2001:db8:f::1/64", "hub", {.nodad = true}));
  }
  SETUP_OK(a->NewNsid(f.ref(), 12));
  auto texts = [](const std::vector<Address>& addresses, std::optional<int> nsid) {
    std::vector<std::string> all;
    for (const Address& address : addresses) {
      EXPECT_EQ(address.target_netnsid, nsid) << address;
      all.push_back(address.ToString());
    }
    std::sort(all.begin(), all.end());
    return all;
  };
  EXPECT_THAT(texts(SETUP_OK(a->Addresses({.family = AF_INET, .target_nsid = 12})), 12), ElementsAre("192.0.2.1/24", "192.0.2.2/24"));
  EXPECT_THAT(texts(SETUP_OK(a->Addresses({.family = AF_INET})), {}), ElementsAre("10.0.0.1/24")) << "control";
  if (ipv6) {
    EXPECT_THAT(texts(SETUP_OK(a->Addresses({.family = AF_INET6, .target_nsid = 12})), 12), ElementsAre("2001:db8:f::1/64"));
    EXPECT_THAT(texts(SETUP_OK(a->Addresses({.family = AF_INET6})), {}), ElementsAre("2001:db8:a::1/64")) << "control";
    EXPECT_THAT(a->Addresses({.family = AF_INET6, .target_nsid = 13}), FailsWith(EINVAL));
  }
  EXPECT_THAT(a->Addresses({.family = AF_INET, .target_nsid = 13}), FailsWith(EINVAL));
}

// ------------------------------------------------------------------------------------------------- generic netlink

NetlinkSocket Generic(const NetNamespace& ns) {
  return SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC))));
}
std::set<std::string> Families(NetlinkSocket& socket) {
  Request dump(GENL_ID_CTRL);
  dump.Named("list generic netlink families").Header(genlmsghdr{CTRL_CMD_GETFAMILY, 1, 0});
  std::set<std::string> names;
  for (const Message& message : SETUP_OK(socket.Dump(dump)))
    names.insert(message.AttributesAfter<genlmsghdr>().Text(CTRL_ATTR_FAMILY_NAME).value_or(""));
  return names;
}

// net/netlink/genetlink.c: families without netnsok exist in the initial namespace alone.
NETNS_TEST(Nlk, GenericFamiliesWithoutNamespaceSupportAreAbsent, Covers("NLK-12")) {
  Place a;
  NetlinkSocket socket = Generic(a.ns);
  const auto families = Families(socket);
  EXPECT_THAT(families, Contains("nlctrl")) << "control";
  for (const char* name : {"NLBL_MGMT", "NLBL_CIPSOv4", "NLBL_CALIPSO", "NLBL_UNLBL", "VFS_DQUOT", "acpi_event", "thermal"}) {
    EXPECT_FALSE(families.contains(name)) << name;
    EXPECT_THAT(socket.ResolveFamily(name), FailsWith(ENOENT)) << name;
  }
  for (const std::string& name : families) EXPECT_THAT(socket.ResolveFamily(name), Succeeds()) << name;
}
NETNS_TEST(Nlk, GenericFamiliesOfTheInitialNamespaceAreMore, Covers("NLK-12"), Needs(Machine())) {
  Place a;
  NetlinkSocket socket = Generic(a.ns), initial = Generic(InitialNetNamespace());
  const auto here = Families(socket), there = Families(initial);
  EXPECT_THAT(there, testing::IsSupersetOf(here));
  int only_initial = 0;
  for (const char* name : {"NLBL_MGMT", "NLBL_CIPSOv4", "NLBL_CALIPSO", "NLBL_UNLBL", "VFS_DQUOT", "acpi_event", "thermal"}) {
    EXPECT_FALSE(here.contains(name)) << name;
    EXPECT_THAT(socket.ResolveFamily(name), FailsWith(ENOENT)) << name;
    if (auto family = initial.ResolveFamily(name); family.ok()) {
      ++only_initial;  // control: it is there
      // And by number.
      Request get(GENL_ID_CTRL);
      get.Header(genlmsghdr{CTRL_CMD_GETFAMILY, 1, 0}).U16(CTRL_ATTR_FAMILY_ID, family->id);
      EXPECT_THAT(socket.Get(get).code(), ENOENT) << name;
      // A message to the family itself.
      Request message(family->id);
      message.Header(genlmsghdr{1, 1, 0});
      EXPECT_THAT(socket.Ack(message), FailsWith(ENOENT)) << name << " answers in another namespace";
    }
  }
  RecordProperty("families of the initial namespace only", only_initial);
  for (const char* name : {"nlctrl", "ethtool", "netdev", "mptcp_pm", "tcp_metrics", "NET_DM"})
    if (there.contains(name) && std::string(name) != "NET_DM") {
      EXPECT_TRUE(here.contains(name)) << name;
    }
}

NETNS_TEST(Nlk, ProtocolsWithoutAKernelSocketRefuseMessages, Covers("NLK-13")) {
  Place a;
  auto made = a.ns.Socket(AF_NETLINK, SOCK_DGRAM, NETLINK_CONNECTOR);
  if (made.ok()) {
    EXPECT_THAT(SendTo(*made, std::string(64, '\0'), NetlinkAddress(0)), FailsWith(ECONNREFUSED)) << "NETLINK_CONNECTOR";
  }
  auto other = a.ns.Socket(AF_NETLINK, SOCK_DGRAM, 31);  // no protocol of the kernel
  if (other.ok()) {
    EXPECT_THAT(SendTo(*other, std::string(64, '\0'), NetlinkAddress(0)), FailsWith(ECONNREFUSED));
  }
  EXPECT_THAT(a->LinkByName("lo"), Succeeds()) << "control: NETLINK_ROUTE has one in every namespace";
  if (!made.ok()) RequireBuiltIn(made.error(), "CONNECTOR");
}

// ------------------------------------------------------------------------------------------------- dumps

// net/core/rtnetlink.c: the sequence that marks a dump as interrupted is per namespace.
bool Interrupted(Place& place, std::function<void()> meanwhile) {
  // By hand: Dump() would ask again.
  const Fd socket = SETUP_OK(place.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
  Request dump(RTM_GETLINK, NLM_F_DUMP | NLM_F_REQUEST);
  dump.Header(ifinfomsg{});
  std::string bytes(reinterpret_cast<const char*>(dump.bytes().data()), dump.bytes().size());
  SETUP_OK(SendTo(socket, bytes, NetlinkAddress(0)));
  bool interrupted = false;
  for (;;) {
    const std::string part = SETUP_OK(Receive(socket)).data;
    meanwhile();
    for (std::size_t at = 0; at + sizeof(nlmsghdr) <= part.size();) {
      nlmsghdr header{};
      std::memcpy(&header, part.data() + at, sizeof header);
      if (header.nlmsg_len < sizeof header) return interrupted;
      if ((header.nlmsg_flags & NLM_F_DUMP_INTR) != 0) interrupted = true;
      if (header.nlmsg_type == NLMSG_DONE) return interrupted;
      at += NLMSG_ALIGN(header.nlmsg_len);
    }
  }
}
NETNS_TEST(Nlk, ChangesElsewhereDoNotInterruptADump, Covers("NLK-14"), Needs(Config("BRIDGE")),
           Within{std::chrono::seconds(120)}) {
  Place a, b;
  for (int i = 0; i < 60; ++i) AddBridge(a, "d" + std::to_string(i));
  int count = 0;
  auto change = [&](Place& place) {
    const std::string name = "x" + std::to_string(count++);
    AddBridge(place, name);
    SETUP_OK(place->DeleteLink(name));
  };
  for (int round = 0; round < 5; ++round) EXPECT_FALSE(Interrupted(a, [&] { change(b); })) << "round " << round;
  bool interrupted = false;
  for (int round = 0; round < 10 && !interrupted; ++round) interrupted = Interrupted(a, [&] { change(a); });
  EXPECT_TRUE(interrupted) << "control: changes in the same namespace";
}

// netlink(7): NETLINK_EXT_ACK.
NETNS_TEST(Nlk, ErrorsAreReportedWithTheRequest, Covers("NLK-15"), Needs(Config("VETH"))) {
  Place a, b;
  AddDevice(a, "west");
  AddDevice(b, "west");
  for (const auto& [ref, error] : {std::pair{b.ref(), EEXIST}, std::pair{ByFd(999), EBADF}, std::pair{ByPid(4194303), ESRCH}}) {
    // By hand, to see the whole answer.
    const Fd socket = SETUP_OK(a.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
    const int on = 1;
    SETUP_OK(SetSockOpt(socket, SOL_NETLINK, NETLINK_EXT_ACK, on));
    ifinfomsg header{};
    header.ifi_index = SETUP_OK(a->LinkByName("west")).index;
    Request request(RTM_SETLINK, NLM_F_REQUEST | NLM_F_ACK);
    request.Header(header);
    if (ref.kind == NsRef::Kind::kFd)
      request.Fd(IFLA_NET_NS_FD, ref.value);
    else
      request.S32(IFLA_NET_NS_PID, ref.value);
    const std::string bytes(reinterpret_cast<const char*>(request.bytes().data()), request.bytes().size());
    SETUP_OK(SendTo(socket, bytes, NetlinkAddress(0)));
    const std::string answer = SETUP_OK(Receive(socket)).data;
    ASSERT_GE(answer.size(), sizeof(nlmsghdr) + sizeof(nlmsgerr));
    nlmsghdr head{};
    nlmsgerr refusal{};
    std::memcpy(&head, answer.data(), sizeof head);
    std::memcpy(&refusal, answer.data() + sizeof head, sizeof refusal);
    EXPECT_EQ(head.nlmsg_type, NLMSG_ERROR);
    EXPECT_EQ(refusal.error, -error);
    EXPECT_EQ(refusal.msg.nlmsg_type, RTM_SETLINK) << "the request is in the answer";
    EXPECT_EQ(answer.substr(sizeof(nlmsghdr) + sizeof(int) + sizeof(nlmsghdr), sizeof(ifinfomsg)),
              bytes.substr(sizeof(nlmsghdr), sizeof(ifinfomsg)));
  }
  SETUP_OK(b->DeleteLink("west"));
  EXPECT_OK(a->MoveLink("west", b.ref())) << "control: the successful request";
}

// ------------------------------------------------------------------------------------------- what dumps contain

/// One kind of object: how to make one and how many of its kind a dump shows that carry its mark.
struct DumpRow {
  const char* name;
  std::function<void(Place&)> make;
  std::function<int(Place&)> count;
};
template <class List, class Test>
int CountIf(const List& list, Test test) {
  return static_cast<int>(std::count_if(list.begin(), list.end(), test));
}
template <class Header>
int CountMessages(Place& place, std::uint16_t type, Header header, const std::function<bool(const Message&)>& wanted) {
  Request dump(type);
  dump.Header(header);
  return CountIf(SETUP_OK(place->socket().Dump(dump)), wanted);
}
constexpr int kIndex = 4321;
/// How many tables of neighbours have parameters of the device kIndex; the defaults of a table have no device.
int NeighbourTablesOf(Place& at, std::uint8_t family) {
  struct ndtmsg_ { std::uint8_t family, pad1; std::uint16_t pad2; };
  return CountMessages(at, RTM_GETNEIGHTBL, ndtmsg_{family, 0, 0}, [](const Message& m) {
    const Attributes all = m.AttributesAfter<ndtmsg_>();
    return all.Nested(6 /* NDTA_PARMS */).U32(1 /* NDTPA_IFINDEX */) == static_cast<std::uint32_t>(kIndex);
  });
}

const std::vector<DumpRow>& DumpRows() {
  auto hub = [](Place& at) {
    if (!at->LinkByName("hub").ok()) AddBridge(at, "hub", {.index = kIndex});
    SETUP_OK(at->Up("hub"));
  };
  static const std::vector<DumpRow> rows = {
      {"Links", hub, [](Place& at) { return CountIf(SETUP_OK(at->Links()), [](auto& l) { return l.index == kIndex; }); }},
      {"Ipv4Addresses", [=](Place& at) { hub(at), SETUP_OK(at->AddAddress("192.0.2.1/24", "hub")); },
       [](Place& at) { return CountIf(SETUP_OK(at->Addresses({.family = AF_INET})), [](auto& a) { return a.address == "192.0.2.1"; }); }},
      {"Ipv6Addresses", [=](Place& at) { hub(at), RequireBuiltIn(at->AddAddress("2001:db8::1/64", "hub", {.nodad = true}), "IPV6"); },
       [](Place& at) { return CountIf(SETUP_OK(at->Addresses({.family = AF_INET6})), [](auto& a) { return a.address == "2001:db8::1"; }); }},
      {"AllAddresses", [=](Place& at) { hub(at), SETUP_OK(at->AddAddress("192.0.2.1/24", "hub")); },
       [](Place& at) { return CountIf(SETUP_OK(at->Addresses()), [](auto& a) { return a.address == "192.0.2.1"; }); }},
      {"Ipv4Routes", [=](Place& at) { hub(at), SETUP_OK(at->AddRoute({.to = "198.51.100.0/24", .dev = "hub"})); },
       [](Place& at) { return CountIf(SETUP_OK(at->Routes({.family = AF_INET})), [](auto& r) { return r.to == "198.51.100.0/24"; }); }},
      {"Ipv4RoutesOfATable", [=](Place& at) { hub(at), SETUP_OK(at->AddRoute({.to = "198.51.100.0/24", .dev = "hub", .table = 99})); },
       [](Place& at) { return CountIf(SETUP_OK(at->Routes({.family = AF_INET})), [](auto& r) { return r.table == 99; }); }},
      {"Ipv6Routes", [=](Place& at) { hub(at), RequireBuiltIn(at->AddRoute({.to = "2001:db8:1::/48", .dev = "hub"}), "IPV6"); },
       [](Place& at) { return CountIf(SETUP_OK(at->Routes({.family = AF_INET6})), [](auto& r) { return r.to == "2001:db8:1::/48"; }); }},
      {"Ipv4Rules", [](Place& at) { RequireBuiltIn(at->AddRule({.priority = 777, .table = 77}), "IP_MULTIPLE_TABLES"); },
       [](Place& at) { return CountIf(SETUP_OK(at->Rules(AF_INET)), [](auto& r) { return r.priority == 777; }); }},
      {"Ipv6Rules", [](Place& at) { RequireBuiltIn(at->AddRule({.family = AF_INET6, .priority = 777, .table = 77}), "IPV6_MULTIPLE_TABLES"); },
       [](Place& at) { return CountIf(SETUP_OK(at->Rules(AF_INET6)), [](auto& r) { return r.priority == 777; }); }},
      {"Ipv4MulticastRules", [](Place& at) { RequireBuiltIn(at->AddRule({.family = 128 /* RTNL_FAMILY_IPMR */, .priority = 777, .table = 77}), "IP_MROUTE_MULTIPLE_TABLES"); },
       [](Place& at) { return CountIf(SETUP_OK(at->Rules(128)), [](auto& r) { return r.priority == 777; }); }},
      {"Ipv6MulticastRules", [](Place& at) { RequireBuiltIn(at->AddRule({.family = 129 /* RTNL_FAMILY_IP6MR */, .priority = 777, .table = 77}), "IPV6_MROUTE_MULTIPLE_TABLES"); },
       [](Place& at) { return CountIf(SETUP_OK(at->Rules(129)), [](auto& r) { return r.priority == 777; }); }},
      {"Ipv4Neighbours", [=](Place& at) { hub(at), SETUP_OK(at->AddNeighbour({.to = "192.0.2.7", .address = "02:00:00:00:00:07", .dev = "hub"})); },
       [](Place& at) { return CountIf(SETUP_OK(at->Neighbours(AF_INET)), [](auto& n) { return n.to == "192.0.2.7"; }); }},
      {"Ipv6Neighbours", [=](Place& at) { hub(at), RequireBuiltIn(at->AddNeighbour({.to = "2001:db8::7", .address = "02:00:00:00:00:07", .dev = "hub"}), "IPV6"); },
       [](Place& at) { return CountIf(SETUP_OK(at->Neighbours(AF_INET6)), [](auto& n) { return n.to == "2001:db8::7"; }); }},
      {"AllNeighbours", [=](Place& at) { hub(at), SETUP_OK(at->AddNeighbour({.to = "192.0.2.7", .address = "02:00:00:00:00:07", .dev = "hub"})); },
       [](Place& at) { return CountIf(SETUP_OK(at->Neighbours()), [](auto& n) { return n.to == "192.0.2.7"; }); }},
      {"ForwardingEntries",
       [=](Place& at) {
         hub(at);
         AddDevice(at, "port");
         SETUP_OK(at->SetLink("port", {.master = "hub"}));
         SETUP_OK(at->AddForwarding({.to = "", .address = "02:00:00:00:12:34", .dev = "port", .flags = NTF_MASTER}));
       },
       [](Place& at) {
         // One for each VLAN of the port: how many these are depends on CONFIG_BRIDGE_VLAN_FILTERING.
         return std::min(1, CountIf(SETUP_OK(at->Forwardings()), [](auto& n) { return n.address == "02:00:00:00:12:34"; }));
       }},
      {"QueueingDisciplines",
       [=](Place& at) {
         hub(at);
         RequireBuiltIn(at->AddQdisc("hub", "ingress", 0xFFFFFFF1u, 0xFFFF0000u), "NET_SCH_INGRESS");
       },
       [](Place& at) { return CountIf(SETUP_OK(at->Qdiscs()), [](auto& q) { return q.kind == "ingress"; }); }},
      {"Nexthops",
       [](Place& at) {
         SETUP_OK(at->Up("lo"));
         nhmsg header{};
         header.nh_family = AF_INET;
         Request add(RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_EXCL);
         add.Header(header).U32(NHA_ID, 42).Flag(NHA_BLACKHOLE);
         RequireBuiltIn(at->socket().Ack(add), "INET");
       },
       [](Place& at) {
         return CountMessages(at, RTM_GETNEXTHOP, nhmsg{}, [](const Message& m) {
           return m.AttributesAfter<nhmsg>().U32(NHA_ID) == 42u;
         });
       }},
      {"Statistics", hub,
       [](Place& at) {
         if_stats_msg header{};
         header.filter_mask = IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64);
         return CountMessages(at, RTM_GETSTATS, header, [](const Message& m) { return m.Header<if_stats_msg>().ifindex == static_cast<std::uint32_t>(kIndex); });
       }},
      {"ForwardingSettings", hub,
       [](Place& at) {
         netconfmsg header{};
         header.ncm_family = AF_INET;
         return CountMessages(at, RTM_GETNETCONF, header, [](const Message& m) {
           return m.AttributesAfter<netconfmsg>().S32(NETCONFA_IFINDEX) == kIndex;
         });
       }},
      {"Ipv6ForwardingSettings", hub,
       [](Place& at) {
         if (!HasIpv6()) throw MissingNeed("needs-config:IPV6", "no IPv6", "CONFIG_IPV6");
         netconfmsg header{};
         header.ncm_family = AF_INET6;
         return CountMessages(at, RTM_GETNETCONF, header, [](const Message& m) {
           return m.AttributesAfter<netconfmsg>().S32(NETCONFA_IFINDEX) == kIndex;
         });
       }},
      {"NeighbourTables", hub, [](Place& at) { return NeighbourTablesOf(at, AF_INET); }},
      {"Ipv6NeighbourTables", hub,
       [](Place& at) {
         if (!HasIpv6()) throw MissingNeed("needs-config:IPV6", "no IPv6", "CONFIG_IPV6");
         return NeighbourTablesOf(at, AF_INET6);
       }},
      {"MulticastGroupsOfBridges",
       [=](Place& at) {
         hub(at);
         AddDevice(at, "port", {}, true);
         SETUP_OK(at->SetLink("port", {.master = "hub"}));
         AddBridgeGroup(at, "hub", "port");
       },
       [](Place& at) {
         br_port_msg header{};
         header.family = AF_BRIDGE;
         return CountMessages(at, RTM_GETMDB, header, [](const Message& m) {
           return !m.AttributesAfter<br_port_msg>().Nested(MDBA_MDB).all().empty();
         });
       }},
      {"Ipv6MulticastGroups", [=](Place& at) { hub(at); },
       [](Place& at) {
         if (!HasIpv6()) throw MissingNeed("needs-config:IPV6", "no IPv6", "CONFIG_IPV6");
         ifaddrmsg header{};
         header.ifa_family = AF_INET6;
         return std::min(1, CountMessages(at, RTM_GETMULTICAST, header, [](const Message& m) { return m.Header<ifaddrmsg>().ifa_index == static_cast<unsigned>(kIndex); }));
       }},
      {"Ipv6AnycastAddresses",
       [=](Place& at) {
         hub(at);
         if (!HasIpv6()) throw MissingNeed("needs-config:IPV6", "no IPv6", "CONFIG_IPV6");
         SETUP_OK(at.ns.SetSysctl("net/ipv6/conf/hub/forwarding", "1"));  // a router joins the anycast address of its subnets
         SETUP_OK(at->AddAddress("2001:db8:a::1/64", "hub", {.nodad = true}));
       },
       [](Place& at) {
         ifaddrmsg header{};
         header.ifa_family = AF_INET6;
         return std::min(1, CountMessages(at, RTM_GETANYCAST, header, [](const Message& m) { return m.Header<ifaddrmsg>().ifa_index == static_cast<unsigned>(kIndex); }));
       }},
      {"PortsOfBridges",
       [=](Place& at) {
         hub(at);
         AddDevice(at, "port");
         SETUP_OK(at->SetLink("port", {.master = "hub"}));
       },
       [](Place& at) {
         ifinfomsg header{};
         header.ifi_family = AF_BRIDGE;
         return CountMessages(at, RTM_GETLINK, header, [](const Message& m) { return m.AttributesAfter<ifinfomsg>().U32(IFLA_MASTER) == static_cast<std::uint32_t>(kIndex); });
       }},
      {"VlansOfBridges",
       [=](Place& at) {
         hub(at);
         ifinfomsg header{};
         header.ifi_family = AF_BRIDGE;
         header.ifi_index = kIndex;
         const bridge_vlan_info vlan{.flags = BRIDGE_VLAN_INFO_BRENTRY, .vid = 47};
         Request add(RTM_SETLINK);
         add.Named("a VLAN of a bridge").Header(header).Nest(IFLA_AF_SPEC | NLA_F_NESTED, [&](Request& r) { r.U16(IFLA_BRIDGE_FLAGS, BRIDGE_FLAGS_SELF).Structure(IFLA_BRIDGE_VLAN_INFO, vlan); });
         Status added = at->socket().Ack(add);
         RequireBuiltIn(added, "BRIDGE_VLAN_FILTERING");
         SETUP_OK(std::move(added));
       },
       [](Place& at) {
         struct {  // br_vlan_msg
           std::uint8_t family = AF_BRIDGE, reserved1 = 0;
           std::uint16_t reserved2 = 0;
           std::uint32_t index = 0;
         } header;
         auto answers = at->socket().Dump(Request(114 /* RTM_GETVLAN */).Header(header).Named("dump the VLANs of bridges"));
         if (answers.code() == EOPNOTSUPP) throw MissingNeed("needs-config:BRIDGE_VLAN_FILTERING", "bridges do not list their VLANs (CONFIG_BRIDGE_VLAN_FILTERING)");
         return std::min(1, CountIf(SETUP_OK(std::move(answers)), [&](const Message& m) { return m.Header<decltype(header)>().index == static_cast<std::uint32_t>(kIndex); }));
       }},
      {"BucketsOfNexthops",
       [](Place& at) {
         SETUP_OK(at->Up("lo"));
         nhmsg header{};
         header.nh_family = AF_INET;
         SETUP_OK(at->socket().Ack(Request(RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_EXCL).Named("add a nexthop").Header(header).U32(NHA_ID, 44).Flag(NHA_BLACKHOLE)));
         const nexthop_grp member{.id = 44};
         Request group(RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_EXCL);
         group.Named("add a resilient group").Header(nhmsg{}).U32(NHA_ID, 43).Structure(NHA_GROUP, member).U16(NHA_GROUP_TYPE, 1 /* NEXTHOP_GRP_TYPE_RES */);
         group.Nest(12 /* NHA_RES_GROUP */ | NLA_F_NESTED, [](Request& r) { r.U16(1 /* NHA_RES_GROUP_BUCKETS */, 2); });
         const Status added = at->socket().Ack(group);
         if (added.code() == EINVAL) throw MissingNeed("needs-feature:resilient-nexthops", "no resilient groups of nexthops (before 5.13): " + added.error().ToString(), "", LinuxVersion{5, 13});
         SETUP_OK(Status(added));
       },
       [](Place& at) {
         auto answers = at->socket().Dump(Request(118 /* RTM_GETNEXTHOPBUCKET */).Header(nhmsg{}).Named("dump the buckets of nexthop groups"));
         if (answers.code() == EOPNOTSUPP) throw MissingNeed("needs-feature:resilient-nexthops", "no buckets of nexthops (before 5.13)", "", LinuxVersion{5, 13});
         return std::min(1, CountIf(SETUP_OK(std::move(answers)), [](const Message& m) { return m.AttributesAfter<nhmsg>().U32(NHA_ID) == 43u; }));
       }},
      {"AddressLabels",
       [](Place& at) {
         struct {
           std::uint8_t family, reserved, prefix, flags;
           std::uint32_t index, sequence;
         } header{AF_INET6, 0, 48, 0, 0, 0};
         in6_addr prefix{};
         ::inet_pton(AF_INET6, "2001:db8:77::", &prefix);
         Request add(RTM_NEWADDRLABEL, NLM_F_CREATE | NLM_F_EXCL);
         add.Header(header).Structure(1 /* IFAL_ADDRESS */, prefix).U32(2 /* IFAL_LABEL */, 7777);
         RequireBuiltIn(at->socket().Ack(add), "IPV6");
       },
       [](Place& at) {
         struct header_ {
           std::uint8_t family, reserved, prefix, flags;
           std::uint32_t index, sequence;
         };
         return CountMessages(at, RTM_GETADDRLABEL, header_{AF_INET6, 0, 0, 0, 0, 0}, [](const Message& m) { return m.AttributesAfter<header_>().U32(2) == 7777u; });
       }},
      {"NamespaceIds", [](Place& at) { auto other = NetNamespace::Create(); static std::vector<NetNamespace> keep; SETUP_OK(at->NewNsid(ByFd(other.fd()), 4444)); keep.push_back(std::move(other)); },
       [](Place& at) { return CountIf(SETUP_OK(at->Nsids()), [](auto& n) { return n.nsid == 4444; }); }},
  };
  return rows;
}
[[maybe_unused]] const bool dump_rows = [] {
  for (std::size_t row = 0; row < DumpRows().size(); ++row) {
    RegisterBody(
        "Nlk", std::string("DumpsHaveOnlyOwnObjects/") + DumpRows()[row].name, __FILE__, __LINE__,
        [row] {
          const DumpRow& object = DumpRows()[row];
          Place here = Place::Here();
          Place before, a, after;
          Place nested = Place::Inside(a);
          object.make(a);
          EXPECT_EQ(object.count(a), 1) << "control: in the namespace of the object";
          EXPECT_EQ(object.count(before), 0) << "in a namespace created before";
          EXPECT_EQ(object.count(after), 0) << "in a namespace created after";
          EXPECT_EQ(object.count(nested), 0) << "in a namespace created from inside";
          EXPECT_EQ(object.count(here), 0) << "in the creator's namespace";
          object.make(here);
          EXPECT_EQ(object.count(here), 1) << "an equal one in the creator's namespace";
          EXPECT_EQ(object.count(a), 1) << "that of the other is listed too";
          EXPECT_EQ(object.count(nested), 0);
        },
        Covers("NLK-16"), Needs(Config("BRIDGE")));
    RegisterBody(
        "Nlk", std::string("DumpsHaveNothingOfTheInitialNamespace/") + DumpRows()[row].name, __FILE__, __LINE__,
        [row] {
          const DumpRow& object = DumpRows()[row];
          // The initial namespace is given an object of a kind that leaves nothing else behind: its own rules and routes
          // stay what they were.
          const std::string name = object.name;
          Place initial(InitialNetNamespace());
          Place a;
          if (name.ends_with("Rules")) {
            const int family = name == "Ipv4Rules" ? AF_INET : name == "Ipv6Rules" ? AF_INET6 : name == "Ipv4MulticastRules" ? 128 : 129;
            object.make(initial);
            EXPECT_EQ(object.count(initial), 1) << "control";
            EXPECT_EQ(object.count(a), 0);
            SETUP_OK(initial->DeleteRule({.family = family, .priority = 777, .table = 77}));
            return;
          }
          object.make(initial);
          EXPECT_EQ(object.count(initial), 1) << "control: in the namespace of the object";
          const int seen = object.count(a);
          for (const char* link : {"hub", "port"}) (void)initial->DeleteLink(link).ok();
          if (name == "AddressLabels") {
            struct {
              std::uint8_t family, reserved, prefix, flags;
              std::uint32_t index, sequence;
            } header{AF_INET6, 0, 48, 0, 0, 0};
            in6_addr prefix{};
            ::inet_pton(AF_INET6, "2001:db8:77::", &prefix);
            Request remove(RTM_DELADDRLABEL);
            remove.Header(header).Structure(1 /* IFAL_ADDRESS */, prefix).U32(2 /* IFAL_LABEL */, 7777);
            SETUP_OK(initial->socket().Ack(remove));
          }
          for (const std::uint32_t id : name == "Nexthops" ? std::vector<std::uint32_t>{42} : name == "BucketsOfNexthops" ? std::vector<std::uint32_t>{43, 44} : std::vector<std::uint32_t>{}) {
            Request remove(RTM_DELNEXTHOP);
            remove.Header(nhmsg{}).U32(NHA_ID, id);
            SETUP_OK(initial->socket().Ack(remove));
          }
          EXPECT_EQ(seen, 0) << "in another namespace";
        },
        Covers("NLK-16"), Needs(Machine(), Config("BRIDGE")), Exclusive{});
    Needs needs_machine(Machine(), Config("BRIDGE"));
    const std::string_view name = DumpRows()[row].name;
    if (name.starts_with("Ipv6") || name == "AddressLabels") needs_machine.list.push_back(Config("IPV6"));
    RegisterBody(
        "Nlk", std::string("DumpsOfTheInitialNamespaceHaveOnlyItsObjects/") + DumpRows()[row].name, __FILE__, __LINE__,
        [row] {
          const DumpRow& object = DumpRows()[row];
          Place initial(InitialNetNamespace());
          Place a, b;
          const int before = object.count(initial);
          for (Place* place : {&a, &b}) {
            object.make(*place);
            EXPECT_EQ(object.count(*place), 1) << "control: in the namespace of the object";
            EXPECT_EQ(object.count(initial), before) << "an object of another namespace is listed in the initial one";
          }
        },
        Covers("NLK-16"), needs_machine);
  }
  return true;
}();

}  // namespace
}  // namespace netns
