// SPDX-License-Identifier: GPL-2.0-or-later
// Corners that kernels got wrong before, of several areas: what a failed creation leaves, what a move tells, what a dying
// device does to the one below it, rules that wait for a device, settings whose neighbour setting was asked of the wrong
// namespace.
#include <linux/fib_rules.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/syscall.h>

#include "fixtures/nic.h"
#include "fixtures/sockets.h"
#include "suites/support/listener.h"
#include "suites/support/uppers.h"
#include "suites/support/watched.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

namespace netns {
namespace {

using testing::AnyOf;
using testing::ElementsAre;
using testing::IsEmpty;

// --- creation

// unshare(2), clone(2): all or nothing. What was made before the call failed counts against user.max_net_namespaces no more.
NETNS_TEST(Misc, FailedCreationsLeaveNothingBehind, Covers("MISC-12", "LIFE-29", "CREATE-02"), Needs(UserNs())) {
  constexpr int kLimit = 2;
  struct Attempt {
    const char* name;
    std::function<Status()> fails;  ///< In a process of the counting user namespace.
  };
  const Attempt attempts[] = {
      {"unshare() with one more time namespace than user.max_time_namespaces allows",
       []() -> Status {
         if (::access("/proc/sys/user/max_time_namespaces", F_OK) != 0) return Error{ENOSPC, "no time namespaces here"};
         RETURN_IF_ERROR(WriteFile("/proc/sys/user/max_time_namespaces", "0"));
         if (::unshare(CLONE_NEWNET | CLONE_NEWTIME) < 0) return ErrnoError("unshare");
         return Ok();
       }},
      {"clone() with one more pid namespace than user.max_pid_namespaces allows",
       []() -> Status {
         RETURN_IF_ERROR(WriteFile("/proc/sys/user/max_pid_namespaces", "0"));
         const long pid = ::syscall(SYS_clone, CLONE_NEWNET | CLONE_NEWPID | SIGCHLD, nullptr, nullptr, nullptr, 0);
         if (pid == 0) ::_exit(0);
         if (pid < 0) return ErrnoError("clone");
         return Ok();
       }},
      // The descriptor of the child is written last of all, to where nothing can be written.
      {"clone() with a place for the pidfd that is none",
       []() -> Status {
         const long pid = ::syscall(SYS_clone, CLONE_NEWNET | CLONE_PIDFD | SIGCHLD, nullptr, reinterpret_cast<int*>(8), nullptr, 0);
         if (pid == 0) ::_exit(0);
         if (pid < 0) return ErrnoError("clone");
         return Ok();
       }},
      // clone3(2): the process id of the caller is in use.
      {"clone3() with a process id that is in use",
       []() -> Status {
         clone_args arguments{};
         const pid_t taken = ::getpid();
         arguments.flags = CLONE_NEWNET;
         arguments.exit_signal = SIGCHLD;
         arguments.set_tid = reinterpret_cast<std::uintptr_t>(&taken);
         arguments.set_tid_size = 1;
         const long pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
         if (pid == 0) ::_exit(0);
         if (pid < 0) return ErrnoError("clone3");
         return Ok();
       }},
  };
  for (const Attempt& attempt : attempts) {
    SCOPED_TRACE(attempt.name);
    FreedOracle oracle(kLimit);
    for (int i = 0; i < 3 * kLimit; ++i)
      ASSERT_THAT(oracle.keeper().Run(attempt.fails), AnyOf(FailsWith(ENOSPC), FailsWith(EFAULT), FailsWith(EEXIST), FailsWith(EPERM))) << "control: it fails";
    std::vector<NetNamespace> all;
    for (int i = 0; i < kLimit; ++i) {
      auto made = oracle.CreateWhenRoom();
      ASSERT_OK(made) << "of " << kLimit << " namespaces only " << i << " can be made after such calls failed: they left some behind";
      all.push_back(std::move(*made));
    }
    EXPECT_THAT(oracle.TryCreate(), FailsWith(ENOSPC)) << "control: the limit is still the limit";
  }
}

// --- moves

// rtnetlink(7): who watches the source hears that the device which it knows has gone: by the name that it had there.
NETNS_TEST(Dev, AMoveThatRenamesIsToldWithTheNameOfEachSide, Covers("DEV-30", "DEV-15"), Needs(Config("VETH"))) {
  for (bool clash : {true, false}) {
    SCOPED_TRACE(clash ? "its name is taken in the target" : "its name is free in the target");
    Place from, to;
    const int index = AddDevice(from, "west", {.index = 50});
    if (clash) AddDevice(to, "west", {.index = 51});
    Listener here(from, {RTNLGRP_LINK}), there(to, {RTNLGRP_LINK});
    here.Heard(), there.Heard();
    ASSERT_OK(from->MoveLink(index, to.ref(), {.new_name = "east"}));
    const std::string moved = SETUP_OK(to->LinkByIndex(index)).name;
    EXPECT_EQ(moved, clash ? "east" : moved);
    std::vector<std::string> gone, come;
    for (const Message& message : here.Heard())
      if (message.type() == RTM_DELLINK) gone.push_back(ReadLink(message).name);
    for (const Message& message : there.Heard())
      if (message.type() == RTM_NEWLINK && ReadLink(message).index == index) come.push_back(ReadLink(message).name);
    EXPECT_THAT(gone, ElementsAre("west")) << "RTM_DELLINK in the namespace that it left";
    ASSERT_FALSE(come.empty()) << "no RTM_NEWLINK in the target";
    EXPECT_EQ(come.back(), moved) << "RTM_NEWLINK in the target";
  }
}

// rtnetlink(7), IFLA_LINK and IFLA_LINK_NETNSID: an index means nothing without its namespace, so that equal ones in two
// namespaces are two devices.
NETNS_TEST(Veth, APeerOfTheSameIndexElsewhereIsTold, Covers("VETH-16", "VIRT-05"), Needs(Config("VETH"))) {
  constexpr int kSame = 4711;
  Place a, b;
  SETUP_OK(a->AddVeth("near", {.name = "far", .index = kSame, .netns_fd = b.fd()}, {.index = kSame}));
  for (Place* place : {&a, &b}) {
    const Link link = SETUP_OK((*place)->LinkByIndex(kSame));
    EXPECT_EQ(link.link, kSame) << "the peer's index, although it is the device's own: " << link;
    EXPECT_TRUE(link.link_netnsid.has_value()) << "the peer's namespace: " << link;
  }
}
NETNS_TEST(Virt, ADeviceBelowOfTheSameIndexElsewhereIsTold, Covers("VIRT-05"), Needs(Config("VETH"), Config("MACVLAN"))) {
  constexpr int kSame = 4711;
  Place a, b;
  AddDevice(a, "lower", {.index = kSame});
  Status added = a->AddLink({.name = "upper", .kind = "macvlan", .link = "lower"});
  RequireBuiltIn(added, "MACVLAN");
  SETUP_OK(std::move(added));
  SETUP_OK(a->MoveLink("upper", b.ref(), {.new_ifindex = kSame}));
  const Link moved = SETUP_OK(b->LinkByName("upper"));
  EXPECT_EQ(moved.link, kSame) << "the index of the device below: " << moved;
  EXPECT_TRUE(moved.link_netnsid.has_value()) << "its namespace: " << moved;
}

// --- death

// network_namespaces(7): virtual devices die with their namespace. The device below them, in another one, is not theirs.
void LowerStaysAsItWas(const UpperKind& kind) {
  Watched watched;
  Place below;
  AddDevice(below, "lower", {.index = 60}, true);
  SETUP_OK(below->SetLink("lower", {.promiscuous = true}));
  const auto state = [&] {
    const Link link = SETUP_OK(below->LinkByName("lower"));
    return std::tuple(link.flags & static_cast<unsigned>(IFF_UP | IFF_PROMISC | IFF_ALLMULTI), link.mtu, link.address, link.operstate);
  };
  const auto before = state();
  {
    Place mortal(watched.Create());
    LinkSpec upper{.name = "upper", .kind = kind.kind, .link = "lower"};
    upper.data = [&](Request& request) { kind.data(request, 1, 60, "192.0.2.1", "192.0.2.2"); };
    Status added = below->AddLink(upper);
    RequireBuiltIn(added, kind.symbol);
    SETUP_OK(std::move(added));
    SETUP_OK(below->MoveLink("upper", mortal.ref()));
    SETUP_OK(mortal->Up("upper"));
    SETUP_OK(mortal->SetLink("upper", {.promiscuous = true}));
    SETUP_OK(mortal->AddAddress("198.51.100.1/24", "upper"));
  }
  watched.ExpectFreed("its namespace");
  EXPECT_EQ(state(), before) << "flags, MTU, MAC and state of the device below, which is in another namespace";
  // It still carries what it carried.
  EXPECT_OK(below->Down("lower"));
  EXPECT_OK(below->Up("lower"));
}
const bool lowers_registered = [] {
  for (const UpperKind& kind : UpperKinds())
    if (kind.on_a_device)
      RegisterBody("Virt", std::string("TheDeviceBelowStaysAsItWas/") + kind.name, __FILE__, __LINE__, [&kind] { LowerStaysAsItWas(kind); },
                   Covers("VIRT-01", "PHYS-17"), Needs(UserNs(), Config("VETH"), Config(kind.symbol)));
  return true;
}();

// --- rules

/// Whether the rule of this priority waits for its device (ip-rule(8) shows "[detached]"), or nothing where it is absent.
std::optional<bool> IsDetached(Place& place, int family, std::uint32_t priority) {
  fib_rule_hdr header{};
  header.family = static_cast<std::uint8_t>(family);
  std::optional<bool> detached;
  for (const Message& message : SETUP_OK(place->socket().Dump(Request(RTM_GETRULE).Header(header).Named("list the rules"))))
    if (message.AttributesAfter<fib_rule_hdr>().U32(FRA_PRIORITY) == priority)
      detached = (message.Header<fib_rule_hdr>().flags & FIB_RULE_DEV_DETACHED) != 0;
  return detached;
}
// ip-rule(8), "iif NAME": a device of the namespace of the rule, whenever it comes and goes there.
void RulesWaitForDevicesOfTheirNamespace(Place& with_rule, Place& other) {
  constexpr std::uint32_t kPriority = 7017;
  struct Undo {
    Place& place;
    ~Undo() {
      for (int family : {AF_INET, AF_INET6}) std::ignore = place->DeleteRule({.family = family, .priority = kPriority, .table = 77, .iif = "nsconf-later"});
      std::ignore = place->DeleteLink("nsconf-later");
    }
  } undo{with_rule};
  for (int family : {AF_INET, AF_INET6}) {
    if (family == AF_INET6 && !HasIpv6()) continue;
    SCOPED_TRACE(family == AF_INET ? "IPv4" : "IPv6");
    Status added = with_rule->AddRule({.family = family, .priority = kPriority, .table = 77, .iif = "nsconf-later"});
    RequireBuiltIn(added, family == AF_INET ? "IP_MULTIPLE_TABLES" : "IPV6_MULTIPLE_TABLES");
    SETUP_OK(std::move(added));
    EXPECT_EQ(IsDetached(with_rule, family, kPriority), true) << "control: there is no such device";
    AddDevice(other, "nsconf-later");
    EXPECT_EQ(IsDetached(with_rule, family, kPriority), true) << "ip-rule(8): a device of that name in another namespace is another device";
    AddDevice(with_rule, "nsconf-later");
    EXPECT_EQ(IsDetached(with_rule, family, kPriority), false) << "control: a device of the namespace";
    SETUP_OK(other->DeleteLink("nsconf-later"));
    EXPECT_EQ(IsDetached(with_rule, family, kPriority), false) << "ip-rule(8): the device of another namespace has gone";
    SETUP_OK(with_rule->DeleteLink("nsconf-later"));
    EXPECT_EQ(IsDetached(with_rule, family, kPriority), true) << "control: its own has gone";
  }
}
NETNS_TEST(Route, RulesWaitForDevicesOfTheirNamespace, Covers("ROUTE-04"), Needs(Config("VETH"), Config("IP_MULTIPLE_TABLES"))) {
  Place with_rule, other;
  RulesWaitForDevicesOfTheirNamespace(with_rule, other);
}
NETNS_TEST(Route, RulesOfTheInitialNamespaceWaitForDevicesOfIt, Covers("ROUTE-04", "USER-30"), Needs(Machine(), Config("VETH"), Config("IP_MULTIPLE_TABLES")),
           Exclusive{}) {
  Place initial(InitialNetNamespace()), other;
  RulesWaitForDevicesOfTheirNamespace(initial, other);
  RulesWaitForDevicesOfTheirNamespace(other, initial);
}

// --- labels

// ip-addrlabel(8): "Address labels are used for address selection described in RFC 6724", in the namespace that has them.
NETNS_TEST(Route, AddressLabelsChooseTheSourceInTheirNamespace, Covers("ROUTE-13"), Needs(Config("VETH"), Config("IPV6"))) {
  const auto label = [](Place& place, const char* prefix, std::uint32_t number) {
    struct {  // ifaddrlblmsg
      std::uint8_t family = AF_INET6, reserved = 0, length = 48, flags = 0;
      std::uint32_t index = 0, sequence = 0;
    } header;
    Request add(RTM_NEWADDRLABEL, NLM_F_CREATE | NLM_F_EXCL);
    add.Header(header).Named(std::string("label ") + prefix);
    PutAddress(add, 1 /* IFAL_ADDRESS */, prefix);
    add.U32(2 /* IFAL_LABEL */, number);
    return place->socket().Ack(add);
  };
  // Of two addresses the second has more bits in common with where it goes to, so that only a label brings the first.
  const auto source = [](Place& place) {
    const Fd socket = SETUP_OK(place.ns.Socket(AF_INET6, SOCK_DGRAM));
    const SockAddr to = Inet("2001:db8:3::1", 9);
    if (::connect(socket.get(), to.get(), to.length()) < 0) throw SetupFailure(ErrnoError("connect").ToString(), std::source_location::current());
    sockaddr_in6 own{};
    socklen_t size = sizeof own;
    if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&own), &size) < 0) throw SetupFailure(ErrnoError("getsockname").ToString(), std::source_location::current());
    char text[INET6_ADDRSTRLEN] = {};
    ::inet_ntop(AF_INET6, &own.sin6_addr, text, sizeof text);
    return std::string(text);
  };
  Place a, b;
  for (Place* place : {&a, &b}) {
    SETUP_OK(place->ns.SetSysctl("net.ipv6.conf.default.accept_dad", "0"));
    AddDevice(*place, "eth0", {}, true);
    for (const char* address : {"2001:db8:1::1/64", "2001:db8:2::1/64"}) SETUP_OK((*place)->AddAddress(address, "eth0", {.nodad = true}));
    SETUP_OK((*place)->AddRoute({.to = "2001:db8:3::/64", .dev = "eth0"}));
    EXPECT_EQ(source(*place), "2001:db8:2::1") << "control: without labels";
  }
  for (auto [labelled, other] : {std::pair{&a, &b}, std::pair{&b, &a}}) {
    ASSERT_OK(label(*labelled, "2001:db8:3::", 99));
    ASSERT_OK(label(*labelled, "2001:db8:1::", 99));
    EXPECT_EQ(source(*labelled), "2001:db8:1::1") << "RFC 6724, rule 6: the address with the label of the destination";
    const std::string elsewhere = source(*other);
    EXPECT_EQ(elsewhere, labelled == &a ? "2001:db8:2::1" : "2001:db8:1::1") << "labels of another namespace chose";
  }
}

// --- settings that are checked against others

// ip-sysctl.rst: ip_unprivileged_port_start "may not overlap with the ip_local_port_range" - of the same namespace.
NETNS_TEST(Sock, TheThresholdOfPortsIsCheckedAgainstTheRangeOfItsNamespace, Covers("SOCK-17", "SYSCTL-14"), Needs(Config("INET"))) {
  auto low = NetNamespace::Create(), high = NetNamespace::Create();
  SETUP_OK(low.SetSysctl("net.ipv4.ip_local_port_range", "2000 3000"));
  SETUP_OK(high.SetSysctl("net.ipv4.ip_local_port_range", "60000 61000"));
  EXPECT_THAT(low.SetSysctl("net.ipv4.ip_unprivileged_port_start", "2500"), FailsWith(EINVAL)) << "its own range begins at 2000";
  EXPECT_OK(low.SetSysctl("net.ipv4.ip_unprivileged_port_start", "1900")) << "control: below its own range";
  EXPECT_OK(high.SetSysctl("net.ipv4.ip_unprivileged_port_start", "50000")) << "below its own range, which begins at 60000";
  EXPECT_THAT(high.SetSysctl("net.ipv4.ip_unprivileged_port_start", "60500"), FailsWith(EINVAL)) << "control: within its own range";
}

// And the other way round: the range may not begin below the threshold, whatever the thresholds of others are.
NETNS_TEST(Sock, TheRangeOfPortsIsCheckedAgainstTheThresholdOfItsNamespace, Covers("SOCK-17", "STACK-24", "SYSCTL-14"), Needs(Config("INET"))) {
  const std::string range = "net.ipv4.ip_local_port_range", threshold = "net.ipv4.ip_unprivileged_port_start";
  struct Side {
    int start;
    NetNamespace space = NetNamespace::Create();
  };
  std::vector<Side> sides;  // the elder and the younger have other thresholds, above and below
  for (int start : {1500, 500, 1024, 0, 2000}) sides.push_back({start});
  for (Side& side : sides) SETUP_OK(side.space.SetSysctl(threshold, std::to_string(side.start)));
  for (Side& side : sides) {
    SCOPED_TRACE("where unprivileged ports begin at " + std::to_string(side.start));
    const std::string before = SETUP_OK(side.space.Sysctl(range));
    if (side.start > 1) {
      EXPECT_THAT(side.space.SetSysctl(range, std::to_string(side.start - 1) + " 5000"), FailsWith(EINVAL)) << "control: it would begin below";
    }
    EXPECT_THAT(side.space.SetSysctl(range, "5000 4999"), FailsWith(EINVAL)) << "control: no range";
    EXPECT_THAT(side.space.Sysctl(range), Holds(before)) << "a refused range was taken";
    const int first = std::max(side.start, 1);
    EXPECT_OK(side.space.SetSysctl(range, std::to_string(first) + " 5000")) << "it begins where unprivileged ports do";
    EXPECT_THAT(side.space.Sysctl(range), Holds(std::to_string(first) + "\t5000"));
    EXPECT_THAT(side.space.SetSysctl(threshold, std::to_string(first + 1)), FailsWith(EINVAL)) << "the threshold would be within its own range";
    EXPECT_THAT(side.space.Sysctl(threshold), Holds(std::to_string(side.start))) << "a refused threshold was taken";
  }
}

// --- packet sockets

// packet(7), PACKET_ADD_MEMBERSHIP: by the index of a device of the namespace of the socket.
NETNS_TEST(Sock, NoPacketSocketMakesADeviceOfTheInitialNamespacePromiscuous, Covers("SOCK-11", "USER-30"), Needs(Machine(), Config("VETH"), Config("PACKET")),
           Exclusive{}) {
  constexpr int kOuter = 61007;
  Place initial(InitialNetNamespace()), here;
  struct Remove {
    Place& place;
    ~Remove() { std::ignore = place->DeleteLink("nsconf-heard"); }
  } remove{initial};
  AddDevice(initial, "nsconf-heard", {.index = kOuter});
  AddDevice(here, "own", {.index = kOuter + 1});
  const auto join = [&](int index, unsigned short type) -> Status {
    ASSIGN_OR_RETURN(Fd socket, here.ns.Socket(AF_PACKET, SOCK_RAW, 0));
    packet_mreq membership{};
    membership.mr_ifindex = index;
    membership.mr_type = type;
    membership.mr_alen = 6;
    std::memcpy(membership.mr_address, "\x33\x33\x00\x00\x00\x07", 6);
    if (::setsockopt(socket.get(), SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership, sizeof membership) < 0) return ErrnoError("PACKET_ADD_MEMBERSHIP");
    return Ok();
  };
  for (unsigned short type : {PACKET_MR_PROMISC, PACKET_MR_ALLMULTI, PACKET_MR_MULTICAST, PACKET_MR_UNICAST}) {
    SCOPED_TRACE("type " + std::to_string(type));
    EXPECT_OK(join(kOuter + 1, type)) << "control: a device of the namespace";
    EXPECT_THAT(join(kOuter, type), FailsWith(ENODEV)) << "packet(7): the index is that of a device of the initial namespace";
    const Link link = SETUP_OK(initial->LinkByIndex(kOuter));
    EXPECT_EQ(link.flags & static_cast<unsigned>(IFF_PROMISC | IFF_ALLMULTI), 0u) << "a socket in another namespace changed how it listens: " << link;
    EXPECT_EQ(link.promiscuity, 0u) << "a socket in another namespace made it promiscuous";
  }
}

}  // namespace
}  // namespace netns
