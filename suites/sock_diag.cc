// SPDX-License-Identifier: GPL-2.0-or-later
// SOCK, fourth part: sock_diag(7) lists and destroys sockets of its own namespace.
#include <sys/stat.h>

#include <set>

#include "fixtures/nic.h"
#include "suites/support/sockets.h"

// The kernel's headers after the C library's: in this order they go together.
#include <linux/if_ether.h>
#include <linux/inet_diag.h>
#include <linux/netlink_diag.h>
#include <linux/packet_diag.h>
#include <linux/sock_diag.h>

namespace netns {
namespace {

using namespace sock;

NetlinkSocket DiagIn(const NetNamespace& where) {
  return SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(where.Socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG))));
}
struct DiagEntry {
  std::uint32_t inode, rqueue, wqueue;
  inet_diag_sockid id;
};
Result<std::vector<DiagEntry>> InetDiag(const NetNamespace& where, int family, int protocol) {
  auto socket = DiagIn(where);
  inet_diag_req_v2 request{};
  request.sdiag_family = static_cast<std::uint8_t>(family);
  request.sdiag_protocol = static_cast<std::uint8_t>(protocol);
  request.idiag_states = ~0U;
  ASSIGN_OR_RETURN(auto messages, socket.Dump(Request(SOCK_DIAG_BY_FAMILY).Header(request).Named("dump sockets")));
  std::vector<DiagEntry> entries;
  for (const Message& message : messages) {
    const auto entry = message.Header<inet_diag_msg>();
    entries.push_back({entry.idiag_inode, entry.idiag_rqueue, entry.idiag_wqueue, entry.id});
  }
  return entries;
}
std::uint32_t InodeOf(const Fd& socket) {
  struct stat info{};
  if (::fstat(socket.get(), &info) < 0) throw SetupFailure("fstat of a socket", std::source_location::current());
  return static_cast<std::uint32_t>(info.st_ino);
}
Status DiagExact(const NetNamespace& where, std::uint16_t type, int family, int protocol, const inet_diag_sockid& id) {
  auto socket = DiagIn(where);
  inet_diag_req_v2 request{};
  request.sdiag_family = static_cast<std::uint8_t>(family);
  request.sdiag_protocol = static_cast<std::uint8_t>(protocol);
  request.idiag_states = ~0U;
  request.id = id;
  Request message(type);
  message.Header(request).Named("socket by id");
  if (type != SOCK_DIAG_BY_FAMILY) return socket.Ack(message);
  ASSIGN_OR_RETURN(Message answer, socket.Get(message));
  return Ok();
}

void Diag(const Family& family, int type, int protocol) {
  constexpr std::uint16_t kDestroy = 21;  // SOCK_DESTROY
  auto [here, there] = CreateTwoWithLoopback();
  // The kernel may listen by itself in every namespace (RDS over TCP does, where it is built in).
  const auto listed = [&](const NetNamespace& where) -> Result<std::set<std::uint32_t>> {
    ASSIGN_OR_RETURN(const auto entries, InetDiag(where, family.domain, protocol));
    std::set<std::uint32_t> inodes;
    for (const DiagEntry& entry : entries) inodes.insert(entry.inode);
    return inodes;
  };
  const auto births = listed(here), other_births = listed(there);
  if (!births.ok() && births.code() == ENOENT)
    throw MissingNeed(protocol == IPPROTO_UDP ? "needs-config:INET_UDP_DIAG" : "needs-config:INET_TCP_DIAG", "no diag handler");
  ASSERT_OK(births);
  ASSERT_OK(other_births);
  std::vector<Fd> sockets, others;
  std::vector<std::uint32_t> inodes;
  std::set<std::uint32_t> expected = *births, other_expected = *other_births;
  // The same addresses in both: the lists may differ by the sockets' numbers only.
  for (std::uint16_t port : {std::uint16_t{5001}, std::uint16_t{5002}}) {
    const SockAddr address = SockAddr::Ip(family.loopback, port);
    sockets.push_back(SETUP_OK(type == SOCK_STREAM ? Listener(here, address) : Bound(here, type, address)));
    inodes.push_back(InodeOf(sockets.back()));
    expected.insert(inodes.back());
  }
  const SockAddr address = SockAddr::Ip(family.loopback, 5001);
  others.push_back(SETUP_OK(type == SOCK_STREAM ? Listener(there, address) : Bound(there, type, address)));
  other_expected.insert(InodeOf(others.back()));
  EXPECT_THAT(listed(here), Holds(expected));
  EXPECT_THAT(listed(there), Holds(other_expected));
  const auto dump = InetDiag(here, family.domain, protocol);
  ASSERT_OK(dump);

  const auto with_inode = [&](std::uint32_t inode) {
    for (const DiagEntry& entry : *dump)
      if (entry.inode == inode) return entry.id;
    throw SetupFailure("the socket is not in the dump", std::source_location::current());
  };
  const inet_diag_sockid id = with_inode(inodes[1]);
  // To be shown, a UDP socket is asked for with its two ends the other way round; to be destroyed it is not.
  inet_diag_sockid asked = id;
  if (type == SOCK_DGRAM) {
    std::swap(asked.idiag_sport, asked.idiag_dport);
    std::swap(asked.idiag_src, asked.idiag_dst);
  }
  EXPECT_THAT(DiagExact(here, SOCK_DIAG_BY_FAMILY, family.domain, protocol, asked), Succeeds()) << "control";
  EXPECT_THAT(DiagExact(there, SOCK_DIAG_BY_FAMILY, family.domain, protocol, asked), FailsWith(ENOENT));
  const Status from_there = DiagExact(there, kDestroy, family.domain, protocol, id);
  if (!from_there.ok() && (from_there.code() == EOPNOTSUPP || from_there.code() == EINVAL)) return;  // INET_DIAG_DESTROY=n
  EXPECT_THAT(from_there, FailsWith(ENOENT));
  EXPECT_THAT(listed(here), Holds(expected)) << "nothing was destroyed";
  const Status from_here = DiagExact(here, kDestroy, family.domain, protocol, id);
  EXPECT_THAT(from_here, Succeeds()) << "control";
  EXPECT_THAT(listed(there), Holds(other_expected));
}
NETNS_TEST(Sock, DiagActsOnTcpSocketsOfItsNamespaceOverIpv4, Covers("SOCK-20"), Needs(Config("INET_DIAG"))) {
  Diag(Families()[0], SOCK_STREAM, IPPROTO_TCP);
}
NETNS_TEST(Sock, DiagActsOnTcpSocketsOfItsNamespaceOverIpv6, Covers("SOCK-20"), Needs(Config("INET_DIAG"), Config("IPV6"))) {
  Diag(Families()[1], SOCK_STREAM, IPPROTO_TCP);
}
NETNS_TEST(Sock, DiagActsOnUdpSocketsOfItsNamespaceOverIpv4, Covers("SOCK-20"), Needs(Config("INET_UDP_DIAG"))) {
  Diag(Families()[0], SOCK_DGRAM, IPPROTO_UDP);
}
NETNS_TEST(Sock, DiagActsOnUdpSocketsOfItsNamespaceOverIpv6, Covers("SOCK-20"), Needs(Config("INET_UDP_DIAG"), Config("IPV6"))) {
  Diag(Families()[1], SOCK_DGRAM, IPPROTO_UDP);
}

// The handler of SCTP goes through its own tables: of endpoints, and of associations.
void DiagOfSctp(const Family& family, bool with_initial) {
  auto [here, there] = CreateTwoWithLoopback();
  auto probe = here.Socket(family.domain, SOCK_STREAM, IPPROTO_SCTP);
  if (!probe.ok()) RequireBuiltIn(probe.code(), "IP_SCTP");
  probe = Fd();
  const auto listed = [&](const NetNamespace& where) -> Result<std::set<std::uint32_t>> {
    ASSIGN_OR_RETURN(const auto entries, InetDiag(where, family.domain, IPPROTO_SCTP));
    std::set<std::uint32_t> inodes;
    for (const DiagEntry& entry : entries) inodes.insert(entry.inode);
    return inodes;
  };
  std::vector<std::pair<const NetNamespace*, const char*>> places = {{&here, "here"}, {&there, "there"}};
  const auto initial = with_initial ? InitialNetNamespace() : NetNamespace::Create();
  LoopbackUp(initial);
  places.emplace_back(&initial, with_initial ? "in the initial namespace" : "in a third namespace");
  std::vector<std::set<std::uint32_t>> expected;
  for (auto [place, name] : places) {
    const auto births = listed(*place);
    if (!births.ok() && births.code() == ENOENT) throw MissingNeed("needs-config:INET_SCTP_DIAG", "no diag handler", "use a kernel with CONFIG_INET_SCTP_DIAG");
    ASSERT_OK(births);
    expected.push_back(*births);
  }
  std::vector<Fd> sockets;
  for (std::size_t i = 0; i < places.size(); ++i) {
    const NetNamespace& place = *places[i].first;
    const SockAddr address = SockAddr::Ip(family.loopback, 51907);
    sockets.push_back(SETUP_OK(Listener(place, address, IPPROTO_SCTP)));
    const Fd& listener = sockets.back();
    expected[i].insert(InodeOf(listener));
    // What listens is listed among the endpoints; what is connected, among the associations.
    Fd client = SETUP_OK(Connected(place, SOCK_STREAM, address, IPPROTO_SCTP));
    Fd server = SETUP_OK(Accept(listener));
    expected[i].insert(InodeOf(client));
    expected[i].insert(InodeOf(server));
    sockets.push_back(std::move(client));
    sockets.push_back(std::move(server));
    for (std::size_t other = 0; other < places.size(); ++other)
      EXPECT_THAT(listed(*places[other].first), Holds(expected[other])) << "sock_diag(7): listed " << places[other].second << ", some made " << places[i].second;
  }
}
NETNS_TEST(Sock, DiagListsSctpSocketsOfItsNamespaceOverIpv4, Covers("SOCK-20", "STACK-19"), Needs(Config("IP_SCTP"), Config("INET_SCTP_DIAG"))) {
  DiagOfSctp(Families()[0], false);
}
NETNS_TEST(Sock, DiagListsSctpSocketsOfItsNamespaceOverIpv6, Covers("SOCK-20", "STACK-19"), Needs(Config("IP_SCTP"), Config("INET_SCTP_DIAG"), Config("IPV6"))) {
  DiagOfSctp(Families()[1], false);
}
NETNS_TEST(Sock, DiagListsSctpSocketsOfTheInitialNamespaceThere, Covers("SOCK-20", "STACK-19"), Needs(Machine(), Config("IP_SCTP"), Config("INET_SCTP_DIAG")), Exclusive{}) {
  DiagOfSctp(Families()[0], true);
}

NETNS_TEST(Sock, DiagListsPacketSocketsOfItsNamespace, Covers("SOCK-20"), Needs(Config("PACKET_DIAG"))) {
  auto [here, there] = CreateTwoWithLoopback();
  const auto list = [](const NetNamespace& where) -> Result<std::vector<std::uint32_t>> {
    auto socket = DiagIn(where);
    packet_diag_req request{};
    request.sdiag_family = AF_PACKET;
    ASSIGN_OR_RETURN(auto messages, socket.Dump(Request(SOCK_DIAG_BY_FAMILY).Header(request).Named("dump packet sockets")));
    std::vector<std::uint32_t> inodes;
    for (const Message& message : messages) inodes.push_back(message.Header<packet_diag_msg>().pdiag_ino);
    return inodes;
  };
  const auto empty = list(here);
  if (!empty.ok() && empty.code() == ENOENT) throw MissingNeed("needs-config:PACKET_DIAG", "no diag handler");
  EXPECT_THAT(empty, Holds(testing::IsEmpty()));
  const auto open = [](const NetNamespace& where) { return SETUP_OK(where.Socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL))); };
  Fd one = open(here), two = open(here), other = open(there);
  EXPECT_THAT(list(here), Holds(testing::UnorderedElementsAre(InodeOf(one), InodeOf(two))));
  EXPECT_THAT(list(there), Holds(testing::ElementsAre(InodeOf(other))));
  // One that has none, beside one that has: made before it and after it.
  other.Reset();
  EXPECT_THAT(list(there), Holds(testing::IsEmpty())) << "a namespace without packet sockets lists those of another one";
  EXPECT_THAT(list(NetNamespace::Create()), Holds(testing::IsEmpty())) << "a namespace without packet sockets lists those of another one";
  EXPECT_THAT(list(here.In([] { return NetNamespace::Create(); })), Holds(testing::IsEmpty()));
}

// Connections in every state, each kept in another table than listeners are.
void DiagOfConnections(const Family& family, int protocol) {
  auto [here, there] = CreateTwoWithLoopback();
  const auto ports = [&](const NetNamespace& where) {
    auto dump = InetDiag(where, family.domain, protocol);
    if (!dump.ok() && dump.code() == ENOENT) throw MissingNeed("needs-config:INET_DIAG", "no diag handler");
    std::multiset<std::uint16_t> all;
    for (const DiagEntry& entry : SETUP_OK(std::move(dump))) all.insert(ntohs(entry.id.idiag_sport));
    return all;
  };
  const auto births = ports(there);
  const SockAddr server = SockAddr::Ip(family.loopback, 5001);
  auto opened = Listener(here, server, protocol == IPPROTO_TCP ? 0 : protocol);
  if (!opened.ok()) RequireBuiltIn(opened.code(), "MPTCP");
  Fd listener = SETUP_OK(std::move(opened));
  const auto connect = [&](std::uint16_t port) {
    Fd client = SETUP_OK(Bound(here, SOCK_STREAM, SockAddr::Ip(family.loopback, port), protocol == IPPROTO_TCP ? 0 : protocol));
    SETUP_OK(Connect(client, server));
    return client;
  };
  Fd established = connect(6001), half = connect(6002), waiting = connect(6003);
  Fd first = SETUP_OK(Accept(listener)), second = SETUP_OK(Accept(listener)), third = SETUP_OK(Accept(listener));
  SETUP_OK(::shutdown(half.get(), SHUT_WR) == 0 ? Ok() : Status(ErrnoError("shutdown")));  // FIN-WAIT-2 here, CLOSE-WAIT there
  waiting.Reset();
  third.Reset();  // TIME-WAIT
  const auto own = ports(here);
  EXPECT_EQ(own.count(6001), 1U) << "control: established";
  EXPECT_EQ(own.count(6002), 1U) << "control: FIN-WAIT";
  EXPECT_GE(own.count(5001), 3U) << "control: the listener and the accepted ones";
  if (protocol == IPPROTO_TCP) {
    EXPECT_EQ(own.count(6003), 1U) << "control: TIME-WAIT";
  }
  EXPECT_EQ(ports(there), births) << "connections of another namespace";
  EXPECT_EQ(ports(here.In([] { return NetNamespace::Create(); })), births) << "made from inside";
}
NETNS_TEST(Sock, DiagListsConnectionsOfItsNamespaceOverIpv4, Covers("SOCK-20"), Needs(Config("INET_DIAG"))) { DiagOfConnections(Families()[0], IPPROTO_TCP); }
NETNS_TEST(Sock, DiagListsConnectionsOfItsNamespaceOverIpv6, Covers("SOCK-20"), Needs(Config("INET_DIAG"), Config("IPV6"))) {
  DiagOfConnections(Families()[1], IPPROTO_TCP);
}

// Connections of MPTCP are in tables of their own, and are asked for by their token.
void DiagOfMptcp(const Family& family) {
  constexpr int kMptcp = 262, kSolMptcp = 284, kMptcpInfo = 1;
  auto [here, there] = CreateTwoWithLoopback();
  auto probe = here.Socket(family.domain, SOCK_STREAM, kMptcp);
  if (!probe.ok()) RequireBuiltIn(probe.code(), "MPTCP");
  const auto request = [&](std::uint32_t token) {
    inet_diag_req_v2 header{};
    header.sdiag_family = static_cast<std::uint8_t>(family.domain);
    header.sdiag_protocol = IPPROTO_TCP;  // too small for it: the attribute tells
    header.idiag_states = ~0U;
    header.id.idiag_cookie[0] = token;
    Request message(SOCK_DIAG_BY_FAMILY);
    message.Header(header).U32(INET_DIAG_REQ_PROTOCOL, kMptcp).Named("MPTCP sockets");
    return message;
  };
  const auto listed = [&](const NetNamespace& where) {
    auto socket = DiagIn(where);
    auto dump = socket.Dump(request(0));
    if (!dump.ok() && dump.code() == ENOENT) throw MissingNeed("needs-config:INET_MPTCP_DIAG", "no diag handler", "use a kernel with CONFIG_INET_MPTCP_DIAG");
    std::set<std::uint32_t> inodes;
    for (const Message& message : SETUP_OK(std::move(dump))) inodes.insert(message.Header<inet_diag_msg>().idiag_inode);
    return inodes;
  };
  EXPECT_THAT(listed(here), testing::IsEmpty()) << "control: before";
  struct Connection {
    Fd listener, client, server;
  };
  const auto connect = [&](const NetNamespace& where) {
    const SockAddr address = SockAddr::Ip(family.loopback, 5001);
    Connection made;
    made.listener = SETUP_OK(Listener(where, address, kMptcp));
    made.client = SETUP_OK(Connected(where, SOCK_STREAM, address, kMptcp));
    made.server = SETUP_OK(Accept(made.listener));
    SETUP_OK(Send(made.client, "so that it is established"));
    SETUP_OK(Receive(made.server));
    return made;
  };
  const Connection of_here = connect(here);
  EXPECT_THAT(listed(here), testing::IsSupersetOf({InodeOf(of_here.client), InodeOf(of_here.server)})) << "control";
  EXPECT_THAT(listed(there), testing::IsEmpty()) << "sock_diag(7): connections of another namespace are listed";
  EXPECT_THAT(listed(here.In([] { return NetNamespace::Create(); })), testing::IsEmpty()) << "made from inside";
  const Connection of_there = connect(there);
  EXPECT_THAT(listed(there), testing::IsSupersetOf({InodeOf(of_there.client), InodeOf(of_there.server)})) << "control";
  for (const Fd* foreign : {&of_there.client, &of_there.server, &of_there.listener})
    EXPECT_THAT(listed(here), testing::Not(testing::Contains(InodeOf(*foreign)))) << "sock_diag(7): a connection of another namespace is listed";
  for (const Fd* foreign : {&of_here.client, &of_here.server, &of_here.listener})
    EXPECT_THAT(listed(there), testing::Not(testing::Contains(InodeOf(*foreign)))) << "sock_diag(7): a connection of another namespace is listed";
  // struct mptcp_info: eight bytes, the flags, then the token.
  std::uint32_t info[64] = {};
  socklen_t size = sizeof info;
  if (::getsockopt(of_here.client.get(), kSolMptcp, kMptcpInfo, info, &size) < 0) return;  // since Linux 5.16
  const auto by_token = [&](const NetNamespace& where) -> Status {
    auto socket = DiagIn(where);
    ASSIGN_OR_RETURN(Message answer, socket.Get(request(info[3])));
    if (answer.Header<inet_diag_msg>().idiag_inode != InodeOf(of_here.client)) return Error{EBADMSG, "another connection was shown"};
    return Ok();
  };
  EXPECT_THAT(by_token(here), Succeeds()) << "control";
  EXPECT_THAT(by_token(there), FailsWith(ENOENT)) << "sock_diag(7): a connection of another namespace is shown";
}
NETNS_TEST(Sock, DiagListsMptcpConnectionsOfItsNamespaceOverIpv4, Covers("SOCK-20", "STACK-15"), Needs(Config("MPTCP"), Config("INET_MPTCP_DIAG"))) {
  DiagOfMptcp(Families()[0]);
}
NETNS_TEST(Sock, DiagListsMptcpConnectionsOfItsNamespaceOverIpv6, Covers("SOCK-20", "STACK-15"), Needs(Config("MPTCP"), Config("INET_MPTCP_DIAG"), Config("IPV6"))) {
  DiagOfMptcp(Families()[1]);
}

// raw(7), and netlink(7) itself.
void DiagOfRawSockets(const Family& family) {
  auto [here, there] = CreateTwoWithLoopback();
  const auto list = [&](const NetNamespace& where) {
    auto dump = InetDiag(where, family.domain, IPPROTO_RAW);
    if (!dump.ok() && dump.code() == ENOENT) throw MissingNeed("needs-config:INET_RAW_DIAG", "no diag handler", "use a kernel with CONFIG_INET_RAW_DIAG");
    std::set<std::uint32_t> inodes;
    for (const DiagEntry& entry : SETUP_OK(std::move(dump))) inodes.insert(entry.inode);
    return inodes;
  };
  const auto births = list(here), other_births = list(there);
  Fd one = SETUP_OK(here.Socket(family.domain, SOCK_RAW, 253)), other = SETUP_OK(there.Socket(family.domain, SOCK_RAW, 253));
  auto expected = births, other_expected = other_births;
  expected.insert(InodeOf(one));
  other_expected.insert(InodeOf(other));
  EXPECT_EQ(list(here), expected);
  EXPECT_EQ(list(there), other_expected);
}
NETNS_TEST(Sock, DiagListsRawSocketsOfItsNamespaceOverIpv4, Covers("SOCK-20"), Needs(Config("INET_RAW_DIAG"))) { DiagOfRawSockets(Families()[0]); }
NETNS_TEST(Sock, DiagListsRawSocketsOfItsNamespaceOverIpv6, Covers("SOCK-20"), Needs(Config("INET_RAW_DIAG"), Config("IPV6"))) {
  DiagOfRawSockets(Families()[1]);
}
NETNS_TEST(Sock, DiagListsNetlinkSocketsOfItsNamespace, Covers("SOCK-20"), Needs(Config("NETLINK_DIAG"))) {
  auto [here, there] = CreateTwoWithLoopback();
  for (int protocol : {NETLINK_ROUTE, NETLINK_GENERIC}) {
    SCOPED_TRACE(protocol);
    const auto list = [&](const NetNamespace& where) {
      auto socket = DiagIn(where);
      netlink_diag_req request{};
      request.sdiag_family = AF_NETLINK;
      request.sdiag_protocol = static_cast<std::uint8_t>(protocol);
      auto messages = socket.Dump(Request(SOCK_DIAG_BY_FAMILY).Header(request).Named("dump netlink sockets"));
      if (!messages.ok() && messages.code() == ENOENT) throw MissingNeed("needs-config:NETLINK_DIAG", "no diag handler", "use a kernel with CONFIG_NETLINK_DIAG");
      std::set<std::uint32_t> inodes;  // 0: the kernel's own
      for (const Message& message : SETUP_OK(std::move(messages))) inodes.insert(message.Header<netlink_diag_msg>().ndiag_ino);
      return inodes;
    };
    // Only those that have an address are in the list.
    const auto open = [&](const NetNamespace& where) {
      Fd socket = SETUP_OK(where.Socket(AF_NETLINK, SOCK_RAW, protocol));
      sockaddr_nl address{};
      address.nl_family = AF_NETLINK;
      if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
        throw SetupFailure(ErrnoError("bind(netlink)").ToString(), std::source_location::current());
      return socket;
    };
    Fd one = open(here), other = open(there);
    EXPECT_THAT(list(here), testing::AllOf(testing::Contains(InodeOf(one)), testing::Not(testing::Contains(InodeOf(other)))));
    EXPECT_THAT(list(there), testing::AllOf(testing::Contains(InodeOf(other)), testing::Not(testing::Contains(InodeOf(one)))));
  }
}

// listen(2): the backlog is cut to somaxconn of the namespace; sock_diag tells what was kept.
NETNS_TEST(Sock, BacklogLimitIsPerNamespace, Covers("SOCK-26"), Needs(Config("INET_DIAG"))) {
  const char* name = "net.core.somaxconn";
  auto [here, there] = CreateTwoWithLoopback();
  const auto backlog = [](const NetNamespace& where, const Family& family) {
    Fd socket = SETUP_OK(Bound(where, SOCK_STREAM, SockAddr::Ip(family.loopback, 5001)));
    SETUP_OK(Listen(socket, 100000));
    const auto dump = SETUP_OK(InetDiag(where, family.domain, IPPROTO_TCP));
    for (const DiagEntry& entry : dump)
      if (entry.inode == InodeOf(socket)) return entry.wqueue;
    throw SetupFailure("the listener is not in the dump", std::source_location::current());
  };
  EXPECT_THAT(here.Sysctl(name), Holds("4096")) << "at birth";
  ASSERT_OK(here.SetSysctl(name, "3"));
  EXPECT_THAT(there.Sysctl(name), Holds("4096"));
  EXPECT_THAT(here.In([] { return NetNamespace::Create(); }).Sysctl(name), Holds("4096")) << "made from inside";
  ASSERT_OK(there.SetSysctl(name, "77"));
  EXPECT_THAT(here.Sysctl(name), Holds("3"));
  for (const Family& family : Families()) {
    if (family.domain == AF_INET6 && !HasIpv6()) continue;
    SCOPED_TRACE(family.name);
    EXPECT_EQ(backlog(here, family), 3U);
    EXPECT_EQ(backlog(there, family), 77U);
  }
  ASSERT_OK(here.SetSysctl(name, "4096"));
  EXPECT_EQ(backlog(here, Families()[0]), 4096U) << "control: with the default";
}

}  // namespace
}  // namespace netns
