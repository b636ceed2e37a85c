// SPDX-License-Identifier: GPL-2.0-or-later
// SOCK, in tables that all namespaces share and in which only a comparison keeps them apart: the sockets have the same
// addresses, ports and numbers everywhere, and there are so many namespaces that some of them meet in a bucket.
#include <sys/resource.h>
#include <sys/stat.h>

#include <sstream>

#include "fixtures/link_monitor.h"
#include "fixtures/nic.h"
#include "suites/support/sockets.h"

// The kernel's headers after the C library's: in this order they go together.
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netlink_diag.h>
#include <linux/sock_diag.h>

namespace netns {
namespace {

using namespace sock;
using testing::Contains;
using testing::IsEmpty;
using testing::Not;

std::string TextOf(std::size_t i) { return "of namespace " + std::to_string(i) + "."; }
Deadline Soon() { return Deadline::In(std::chrono::seconds(10)); }
std::vector<NetNamespace> Many(std::size_t count) {
  std::vector<NetNamespace> all;
  for (std::size_t i = 0; i < count; ++i) all.push_back(CreateWithLoopback());
  return all;
}
/// Two fresh namespaces and, between them, the initial one, which a kernel takes when it forgets to ask of which one something is.
std::vector<NetNamespace> AroundTheInitial() {
  std::vector<NetNamespace> all;
  all.push_back(CreateWithLoopback());
  all.push_back(InitialNetNamespace());
  LoopbackUp(all.back());
  all.push_back(CreateWithLoopback());
  return all;
}
ino_t InodeOf(const Fd& socket) {
  struct stat info{};
  if (::fstat(socket.get(), &info) < 0) throw SetupFailure("fstat of a socket", std::source_location::current());
  return info.st_ino;
}

// /proc/net ----------------------------------------------------------------------------------------------------------------

/// A kind of socket, and the file that lists it.
struct Listing {
  const char* file;
  int domain, type, protocol;
  std::uint16_t port;
};
const std::vector<Listing>& Listings() {
  // Of two sockets in one bucket, /proc/net/icmp6 lists that of IPv4, too: they have identifiers of their own.
  static const std::vector<Listing> all = {
      {"raw", AF_INET, SOCK_RAW, 253, 0},
      {"raw6", AF_INET6, SOCK_RAW, 253, 0},
      {"icmp", AF_INET, SOCK_DGRAM, IPPROTO_ICMP, 7},
      {"icmp6", AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6, 8},
  };
  return all;
}
/// The inodes of the sockets in such a file (its tenth column); the kernel's own have none.
std::set<ino_t> InodesIn(const std::string& text) {
  std::set<ino_t> inodes;
  std::istringstream lines(text);
  std::string line;
  for (std::getline(lines, line); std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    for (int i = 0; i < 10; ++i) words >> word;
    if (word != "0") inodes.insert(static_cast<ino_t>(std::stoull(word)));
  }
  return inodes;
}
// proc_pid_net(5): the files list the sockets of the namespace: all of them, and no others.
NETNS_TEST(Proc, AmongManyNamespacesEachListsItsSockets, Covers("PROC-16"), Within{std::chrono::seconds(60)}) {
  constexpr std::size_t kNamespaces = 40;
  const std::string group = std::to_string(::getegid());
  struct Home {
    NetNamespace ns = CreateWithLoopback();
    std::vector<Fd> sockets;
  };
  std::vector<Home> homes(kNamespaces);
  for (Home& home : homes) {
    home.ns.In([&] {
      SETUP_OK(WriteFile("/proc/sys/net/ipv4/ping_group_range", group + " " + group));
      for (const Listing& listing : Listings()) {
        if (listing.domain == AF_INET6 && !HasIpv6()) continue;
        Fd socket(::socket(listing.domain, listing.type | SOCK_CLOEXEC, listing.protocol));
        if (!socket.valid()) throw SetupFailure(ErrnoError("socket").ToString(), std::source_location::current());
        SETUP_OK(Bind(socket, SockAddr::Ip(listing.domain == AF_INET ? "127.0.0.1" : "::1", listing.port)));
        home.sockets.push_back(std::move(socket));
      }
    });
  }
  for (std::size_t i = 0; i < kNamespaces; ++i)
    homes[i].ns.In([&] {
      std::size_t socket = 0;
      for (const Listing& listing : Listings()) {
        if (listing.domain == AF_INET6 && !HasIpv6()) continue;
        EXPECT_THAT(InodesIn(SETUP_OK(ReadFile(std::string("/proc/thread-self/net/") + listing.file))), testing::ElementsAre(InodeOf(homes[i].sockets[socket++])))
            << "proc_pid_net(5): /proc/net/" << listing.file << " " << TextOf(i) << " lists other sockets than its own";
      }
    });
}

// udp(7), ip(7): multicast ---------------------------------------------------------------------------------------------------

std::string Group(const Family& family, int i) { return (family.domain == AF_INET ? "239.1.1." : "ff05::1:") + std::to_string(i); }
/// A socket that is bound to a group and has joined it on lo.
Fd Member(const NetNamespace& where, const Family& family, const SockAddr& group) {
  auto bound = Bound(where, SOCK_DGRAM, group);
  EXPECT_OK(bound) << "the address is taken in another namespace";
  Fd socket = SETUP_OK(std::move(bound));
  group_req request{};
  request.gr_interface = 1;
  std::memcpy(&request.gr_group, group.get(), group.size());
  if (::setsockopt(socket.get(), family.domain == AF_INET ? int{IPPROTO_IP} : int{IPPROTO_IPV6}, MCAST_JOIN_GROUP, &request, sizeof request) < 0)
    throw SetupFailure(ErrnoError("setsockopt(MCAST_JOIN_GROUP)").ToString(), std::source_location::current());
  return socket;
}
Fd Sender(const NetNamespace& where, const Family& family) {
  Fd socket = SETUP_OK(where.Socket(family.domain, SOCK_DGRAM));
  if (family.domain == AF_INET) {
    ip_mreqn out{};
    out.imr_ifindex = 1;
    if (::setsockopt(socket.get(), IPPROTO_IP, IP_MULTICAST_IF, &out, sizeof out) < 0)
      throw SetupFailure(ErrnoError("setsockopt(IP_MULTICAST_IF)").ToString(), std::source_location::current());
  } else {
    SETUP_OK(SetOption(socket, IPPROTO_IPV6, IPV6_MULTICAST_IF, 1));
    // lo has no such route of its own, and takes none but local ones.
    const Status added = RtnlIn(where).AddRoute(RouteSpec{.to = "ff05::/16", .dev = "lo", .table = RT_TABLE_LOCAL, .type = RTN_LOCAL});
    if (added.code() != EEXIST) SETUP_OK(Status(added));
  }
  return socket;
}
/// Sockets that are members of the same groups in all namespaces. Where more than ten sockets have one port, the kernel looks
/// them up by their address.
void MulticastAmongMany(const Family& family, const std::vector<NetNamespace>& places, int kGroups = 24) {
  constexpr std::uint16_t kPort = 7000;
  const std::size_t kNamespaces = places.size();
  std::vector<std::vector<Fd>> members(kNamespaces);
  std::vector<Fd> senders;
  for (std::size_t i = 0; i < kNamespaces; ++i) {
    for (int group = 1; group <= kGroups; ++group) members[i].push_back(Member(places[i], family, SockAddr::Ip(Group(family, group), kPort)));
    senders.push_back(Sender(places[i], family));
  }
  for (std::size_t i = 0; i < kNamespaces; ++i)
    for (int group = 1; group <= kGroups; ++group) ASSERT_OK(SendTo(senders[i], TextOf(i) + Group(family, group), SockAddr::Ip(Group(family, group), kPort)));
  for (std::size_t i = 0; i < kNamespaces; ++i)
    for (int group = 1; group <= kGroups; ++group)
      ASSERT_THAT(Receive(members[i][static_cast<std::size_t>(group - 1)], Soon()), Holds(TextOf(i) + Group(family, group)))
          << "udp(7): a datagram to a group comes to the members of its namespace";
  for (std::size_t i = 0; i < kNamespaces; ++i)
    for (const Fd& member : members[i]) EXPECT_THAT(Drain(member), IsEmpty()) << "udp(7): a datagram of another namespace came to a member " << TextOf(i);
}
NETNS_TEST(Sock, EqualGroupsOfManyNamespacesHearTheirOwnOverIpv4, Covers("STACK-18", "SOCK-03"), Needs(Config("IP_MULTICAST")), Within{std::chrono::seconds(60)}) {
  MulticastAmongMany(Families()[0], Many(10));
}
NETNS_TEST(Sock, EqualGroupsOfManyNamespacesHearTheirOwnOverIpv6, Covers("STACK-18", "SOCK-04"), Needs(Config("IPV6")), Within{std::chrono::seconds(60)}) {
  MulticastAmongMany(Families()[1], Many(10));
}

// tcp(7): ports ----------------------------------------------------------------------------------------------------------------

// Where a port is used with a local address, the kernel looks for those who use it with all addresses: in the namespace. For all
// ports of two namespaces these are in one bucket or for none, so there are many namespaces; each uses some ports in the one
// way and the others in the other, and of any two there is one that they use differently.
void PortsOfAllAddresses(const Family& wildcard) {
  constexpr unsigned kNamespaces = 100, kPorts = 7;
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  const auto open = [](int domain) {
    Fd socket(::socket(domain, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket.valid()) throw SetupFailure(ErrnoError("socket").ToString(), std::source_location::current());
    return socket;
  };
  const auto at = [](const char* address, unsigned port) { return SockAddr::Ip(address, static_cast<std::uint16_t>(20000 + port)); };
  std::vector<Fd> users;
  std::vector<std::pair<Fd, unsigned>> late;  // sockets that are bound when all others are
  Fd clashing;
  for (unsigned i = 0; i < kNamespaces; ++i) {
    if (::unshare(CLONE_NEWNET) < 0) throw SetupFailure(ErrnoError("unshare(CLONE_NEWNET)").ToString(), std::source_location::current());
    SETUP_OK(SETUP_OK(Rtnl::Open()).Up("lo"));
    for (unsigned port = 0; port < kPorts; ++port) {
      if ((i >> port & 1) != 0) {
        users.push_back(open(wildcard.domain));
        ASSERT_OK(Bind(users.back(), at(wildcard.any, port))) << "tcp(7), network_namespaces(7): the port is in use in another namespace";
        if (i == 1) clashing = open(AF_INET);
      } else {
        users.push_back(open(AF_INET));
        ASSERT_OK(Bind(users.back(), at("127.0.0.2", port))) << "tcp(7), network_namespaces(7): the port is in use in another namespace";
        late.emplace_back(open(AF_INET), port);
      }
    }
  }
  EXPECT_THAT(Bind(clashing, at("127.0.0.1", 0)), FailsWith(EADDRINUSE)) << "control: in use with all addresses of this namespace";
  for (const auto& [socket, port] : late)
    ASSERT_OK(Bind(socket, at("127.0.0.1", port))) << "tcp(7), network_namespaces(7): the port is in use with all addresses in another namespace only";
}
NETNS_TEST(Sock, PortsOfAllAddressesAreOfOneNamespaceOverIpv4, Covers("SOCK-01", "STACK-16"), Within{std::chrono::seconds(60)}) { PortsOfAllAddresses(Families()[0]); }
NETNS_TEST(Sock, PortsOfAllAddressesAreOfOneNamespaceOverIpv6, Covers("SOCK-02", "STACK-16"), Needs(Config("IPV6")), Within{std::chrono::seconds(60)}) {
  PortsOfAllAddresses(Families()[1]);
}

// sctp(7) and others ------------------------------------------------------------------------------------------------------------

// Endpoints of SCTP are in a table of 64 buckets.
void EndpointsAmongMany(const Family& family, const std::vector<NetNamespace>& places) {
  constexpr int kSctp = 132;
  const std::size_t kNamespaces = places.size();
  const SockAddr address = SockAddr::Ip(family.loopback, 7000);
  std::vector<Fd> listeners, clients;
  for (const NetNamespace& place : places) {
    const auto probe = place.Socket(family.domain, SOCK_STREAM, kSctp);
    if (!probe.ok()) RequireBuiltIn(probe.code(), "IP_SCTP");
    auto listener = Listener(place, address, kSctp);
    ASSERT_OK(listener) << "sctp(7): the port is taken in another namespace";
    listeners.push_back(SETUP_OK(std::move(listener)));
  }
  for (const NetNamespace& place : places) {
    auto client = Connected(place, SOCK_STREAM, address, kSctp);
    ASSERT_OK(client);
    clients.push_back(SETUP_OK(std::move(client)));
  }
  for (std::size_t i = 0; i < kNamespaces; ++i) {
    SCOPED_TRACE(TextOf(i));
    ASSERT_OK(WaitFor(listeners[i].get(), POLLIN, Soon(), "an association")) << "sctp(7): an association of this namespace did not come to its own listener";
    auto accepted = Accept(listeners[i]);
    ASSERT_OK(accepted);
    ASSERT_OK(Send(clients[i], TextOf(i)));
    ASSERT_THAT(Receive(*accepted, Soon()), Holds(TextOf(i)));
    EXPECT_FALSE(Readable(listeners[i])) << "sctp(7): an association of another namespace";
  }
}
NETNS_TEST(Sock, AmongManyNamespacesEachSctpEndpointHearsItsOwnOverIpv4, Covers("SOCK-05", "STACK-19"), Needs(Config("IP_SCTP")), Within{std::chrono::seconds(60)}) {
  EndpointsAmongMany(Families()[0], Many(20));
}
NETNS_TEST(Sock, AmongManyNamespacesEachSctpEndpointHearsItsOwnOverIpv6, Covers("SOCK-05", "STACK-19"), Needs(Config("IP_SCTP"), Config("IPV6")), Within{std::chrono::seconds(60)}) {
  EndpointsAmongMany(Families()[1], Many(20));
}

// ip-l2tp(8): tunnels over IP; the id of a connection is the port of such a socket. All are in one list.
void L2tpOverIp(const Family& family) {
  constexpr int kL2tp = 115;  // IPPROTO_L2TP
  auto [here, there] = CreateTwoWithLoopback();
  const auto open = [&](const NetNamespace& where, std::uint32_t id) -> Result<Fd> {
    ASSIGN_OR_RETURN(Fd socket, where.Socket(family.domain, SOCK_DGRAM, kL2tp));
    // struct sockaddr_l2tpip and sockaddr_l2tpip6: the id is behind the address.
    char bytes[128] = {};
    const SockAddr address = SockAddr::Ip(family.loopback);
    std::memcpy(bytes, address.get(), address.size());
    const std::size_t at = family.domain == AF_INET ? 8 : 28;
    std::memcpy(bytes + at, &id, sizeof id);
    const auto size = static_cast<socklen_t>(family.domain == AF_INET ? 16 : 32);
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(bytes), size) < 0) return ErrnoError("bind of L2TP connection " + std::to_string(id));
    return socket;
  };
  auto first = open(here, 7);
  if (!first.ok()) RequireBuiltIn(first.code(), "L2TP_IP");
  ASSERT_OK(first);
  EXPECT_THAT(open(here, 7), FailsWith(EADDRINUSE)) << "control: taken in one namespace";
  EXPECT_THAT(open(there, 7), Succeeds()) << "network_namespaces(7): the id is taken in another namespace";
}
NETNS_TEST(Sock, L2tpConnectionsOverIpv4AreOfOneNamespace, Covers("VIRT-21", "SOCK-27"), Needs(Config("L2TP_IP"))) { L2tpOverIp(Families()[0]); }
NETNS_TEST(Sock, L2tpConnectionsOverIpv6AreOfOneNamespace, Covers("VIRT-21", "SOCK-27"), Needs(Config("L2TP_IP"), Config("IPV6"))) { L2tpOverIp(Families()[1]); }

// packet(7) --------------------------------------------------------------------------------------------------------------------

// Sockets that are bound to no device get the frames of all devices: of their namespace.
void PacketSocketsOfAllDevices(const NetNamespace& here, const NetNamespace& there) {
  enum class Kind { kPlain, kFanout, kOld };
  const auto open = [](const NetNamespace& where, Kind kind) {
    // SOCK_PACKET is the old way; it needs no bind, and tells no link header.
    Fd socket = SETUP_OK(where.Socket(AF_PACKET, kind == Kind::kOld ? SOCK_PACKET : SOCK_DGRAM, htons(ETH_P_IP)));
    if (kind == Kind::kFanout) SETUP_OK(SetOption(socket, SOL_PACKET, PACKET_FANOUT, 7 | PACKET_FANOUT_LB << 16));
    return socket;
  };
  for (bool swapped : {false, true}) {
    const NetNamespace &speaks = swapped ? there : here, &listens = swapped ? here : there;
    SCOPED_TRACE(swapped ? "the younger namespace speaks" : "the older namespace speaks");
    std::vector<Fd> own, other;
    for (Kind kind : {Kind::kPlain, Kind::kFanout, Kind::kOld}) {
      own.push_back(open(speaks, kind));
      other.push_back(open(listens, kind));
    }
    SETUP_OK(SendTo(SETUP_OK(speaks.Socket(AF_INET, SOCK_DGRAM)), "of this namespace", SockAddr::Ip("127.0.0.1", 9)));
    for (std::size_t i = 0; i < own.size(); ++i) {
      SCOPED_TRACE(i == 0 ? "a plain socket" : i == 1 ? "a fanout group" : "SOCK_PACKET");
      EXPECT_GT(CountWith(DrainWhen({&own[i]}, 1, "of this namespace")[0], "of this namespace"), 0U) << "control";
      EXPECT_EQ(CountWith(Drain(other[i]), "of this namespace"), 0U) << "packet(7): a frame of a device of another namespace";
    }
  }
}

NETNS_TEST(Sock, PacketSocketsOfAllDevicesHearTheirNamespaceOnly, Covers("SOCK-10", "SOCK-12"), Needs(Config("PACKET"))) {
  auto [here, there] = CreateTwoWithLoopback();
  PacketSocketsOfAllDevices(here, there);
}

// netlink(7) ----------------------------------------------------------------------------------------------------------------

// sock_diag(7): sockets that have joined a group and have no address are in another list.
void DiagOfMembers(const NetNamespace& here, const NetNamespace& there) {
  const auto list = [](const NetNamespace& where) {
    auto socket = SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(where.Socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG))));
    netlink_diag_req request{};
    request.sdiag_family = AF_NETLINK;
    request.sdiag_protocol = NETLINK_ROUTE;
    auto messages = socket.Dump(Request(SOCK_DIAG_BY_FAMILY).Header(request).Named("dump netlink sockets"));
    if (!messages.ok() && messages.code() == ENOENT) throw MissingNeed("needs-config:NETLINK_DIAG", "no diag handler", "use a kernel with CONFIG_NETLINK_DIAG");
    std::set<ino_t> inodes;
    for (const Message& message : SETUP_OK(std::move(messages))) inodes.insert(message.Header<netlink_diag_msg>().ndiag_ino);
    return inodes;
  };
  const auto member = [](const NetNamespace& where) {
    Fd socket = SETUP_OK(where.Socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
    SETUP_OK(SetOption(socket, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, RTNLGRP_LINK));
    return socket;
  };
  const Fd one = member(here), other = member(there);
  EXPECT_THAT(list(here), testing::AllOf(Contains(InodeOf(one)), Not(Contains(InodeOf(other))))) << "sock_diag(7): a socket of another namespace, or not its own";
  EXPECT_THAT(list(there), testing::AllOf(Contains(InodeOf(other)), Not(Contains(InodeOf(one))))) << "sock_diag(7): a socket of another namespace, or not its own";
}

NETNS_TEST(Sock, DiagListsMembersOfNetlinkGroupsOfItsNamespace, Covers("SOCK-20"), Needs(Config("NETLINK_DIAG"))) {
  auto [here, there] = CreateTwoWithLoopback();
  DiagOfMembers(here, there);
}

// A tap on netlink (nlmon) is a device, and sees the messages of its namespace.
void TapsSeeTheirNamespace(const NetNamespace& here, const NetNamespace& there) {
  std::vector<Fd> taps;
  for (const NetNamespace* each : {&here, &there}) {
    Rtnl rtnl = RtnlIn(*each);
    const Status added = rtnl.AddLink(LinkSpec{.name = "nscontap", .kind = "nlmon", .index = 60051});
    if (!added.ok()) RequireBuiltIn(added.code(), "NLMON");
    SETUP_OK(Status(added));
    SETUP_OK(rtnl.Up("nscontap"));
    Fd socket = SETUP_OK(each->Socket(AF_PACKET, SOCK_RAW, 0));
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = 60051;
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
      throw SetupFailure(ErrnoError("bind(AF_PACKET)").ToString(), std::source_location::current());
    taps.push_back(std::move(socket));
  }
  for (bool swapped : {false, true}) {
    const NetNamespace& asks = swapped ? there : here;
    SCOPED_TRACE(swapped ? "the younger namespace asks" : "the older namespace asks");
    Fd &own = taps[swapped ? 1 : 0], &other = taps[swapped ? 0 : 1];
    std::ignore = Drain(own);
    std::ignore = Drain(other);
    Rtnl rtnl = RtnlIn(asks);
    EXPECT_THAT(rtnl.LinkByName("no-such-device"), FailsWith(ENODEV));
    EXPECT_GT(CountWith(Drain(own), "no-such-device"), 0U) << "control: the tap of the namespace";
    EXPECT_EQ(CountWith(Drain(other), "no-such-device"), 0U) << "a tap saw the netlink messages of another namespace";
  }
}
NETNS_TEST(Nlk, ATapSeesTheMessagesOfItsNamespace, Covers("NLK-01", "DEV-04"), Needs(Config("NLMON"), Config("PACKET"))) {
  auto [here, there] = CreateTwoWithLoopback();
  TapsSeeTheirNamespace(here, there);
}

// Against the initial namespace -----------------------------------------------------------------------------------------------

void AgainstTheInitial(const char* suite, const char* name, void (*body)(const NetNamespace&, const NetNamespace&), Covers covers, Needs needs) {
  needs.list.push_back(Machine());
  RegisterBody(suite, std::string(name) + "AlsoBesideTheInitial", __FILE__, __LINE__, [body] {
    const auto initial = InitialNetNamespace();
    LoopbackUp(initial);
    auto fresh = CreateWithLoopback();
    body(initial, fresh);
    std::ignore = RtnlIn(initial).DeleteLink("nscontap");
  }, covers, needs, Exclusive{});
}
[[maybe_unused]] const bool beside_the_initial = [] {
  AgainstTheInitial("Sock", "PacketSocketsOfAllDevicesHearTheirNamespaceOnly", PacketSocketsOfAllDevices, Covers("SOCK-10", "SOCK-12"), Needs(Config("PACKET")));
  AgainstTheInitial("Sock", "DiagListsMembersOfNetlinkGroupsOfItsNamespace", DiagOfMembers, Covers("SOCK-20"), Needs(Config("NETLINK_DIAG")));
  AgainstTheInitial("Nlk", "ATapSeesTheMessagesOfItsNamespace", TapsSeeTheirNamespace, Covers("NLK-01", "DEV-04"), Needs(Config("NLMON"), Config("PACKET")));
  for (const Family& family : Families()) {
    const char* stack = family.domain == AF_INET ? "INET" : "IPV6";
    RegisterBody("Sock", std::string("EqualGroupsBesideTheInitialNamespaceHearTheirOwnOver") + family.name, __FILE__, __LINE__, [&family] {
      const auto places = AroundTheInitial();
      MulticastAmongMany(family, places, 12);
      std::ignore = RtnlIn(places[1]).DeleteRoute(RouteSpec{.to = "ff05::/16", .dev = "lo", .table = RT_TABLE_LOCAL, .type = RTN_LOCAL});
    }, Covers("STACK-18"), Needs(Machine(), Config(stack), Config("IP_MULTICAST")), Exclusive{});
    RegisterBody("Sock", std::string("SctpEndpointsBesideTheInitialNamespaceHearTheirOwnOver") + family.name, __FILE__, __LINE__,
                 [&family] { EndpointsAmongMany(family, AroundTheInitial()); }, Covers("SOCK-05", "STACK-19"), Needs(Machine(), Config(stack), Config("IP_SCTP")), Exclusive{});
  }
  return true;
}();

}  // namespace
}  // namespace netns
