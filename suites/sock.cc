// SPDX-License-Identifier: GPL-2.0-or-later
// SOCK: ports and who is reached through them.
#include <netinet/tcp.h>
#include <sys/epoll.h>

#include <set>
#include <thread>

#include "fixtures/user_namespace.h"
#include "suites/support/sockets.h"

namespace netns {
namespace {

using namespace sock;

constexpr int kSctp = 132, kUdpLite = 136, kMptcp = 262;
constexpr int kSoNetnsCookie = 71;  // SO_NETNS_COOKIE, since Linux 5.14
constexpr std::uint16_t kPort = 8080;

struct Protocol {
  const char* name;
  int type;
  int protocol;
  const char* config;  ///< null: always there
  std::vector<std::string> covers4, covers6;
};

const std::vector<Protocol>& Protocols() {
  static const std::vector<Protocol> protocols = {
      {"Tcp", SOCK_STREAM, 0, nullptr, {"SOCK-01"}, {"SOCK-02"}},
      {"Udp", SOCK_DGRAM, 0, nullptr, {"SOCK-03"}, {"SOCK-04"}},
      {"Sctp", SOCK_STREAM, kSctp, "IP_SCTP", {"SOCK-05"}, {"SOCK-05"}},
      {"SctpSeqpacket", SOCK_SEQPACKET, kSctp, "IP_SCTP", {"SOCK-05", "STACK-19"}, {"SOCK-05", "STACK-19"}},
      // UDP-Lite and DCCP were removed from the kernel, while its option may still be set nowhere: the socket tells.
      {"UdpLite", SOCK_DGRAM, kUdpLite, nullptr, {"SOCK-06"}, {"SOCK-06"}},
      {"Mptcp", SOCK_STREAM, kMptcp, "MPTCP", {"SOCK-01"}, {"SOCK-02"}},
  };
  return protocols;
}

/// socket, bind, and listen where the type knows it: an exclusive use of a port.
Result<Fd> Use(const NetNamespace& where, const Protocol& protocol, const SockAddr& address) {
  ASSIGN_OR_RETURN(Fd socket, where.Socket(address.family(), protocol.type, protocol.protocol));
  RETURN_IF_ERROR(Bind(socket, address));
  if (protocol.type != SOCK_DGRAM) RETURN_IF_ERROR(Listen(socket));
  return socket;
}

void RequireProtocol(const NetNamespace& where, const Protocol& protocol, const Family& family) {
  auto probe = where.Socket(family.domain, protocol.type, protocol.protocol);
  if (!probe.ok()) RequireBuiltIn(probe.code(), protocol.config != nullptr ? protocol.config : protocol.protocol == kUdpLite ? "UDPLITE" : "INET");
  SETUP_OK(std::move(probe));
}

// network_namespaces(7): "port numbers (sockets)" are isolated. The control is the same use made twice in one namespace.
void PortIsTakenOnlyInItsOwnNamespace(const Protocol& protocol, const Family& family) {
  constexpr int kNamespaces = 20;
  std::vector<NetNamespace> all;
  for (int i = 0; i < kNamespaces; ++i) all.push_back(CreateWithLoopback());
  // The last ones are made from inside of others: nothing may depend on who made a namespace.
  for (int i = 0; i < 3; ++i) {
    auto nested = all[static_cast<std::size_t>(i)].In([] { return NetNamespace::Create(); });
    LoopbackUp(nested);
    all.push_back(std::move(nested));
  }
  RequireProtocol(all[0], protocol, family);
  for (const char* text : {family.loopback, family.any}) {
    for (std::uint16_t port : {std::uint16_t{80}, kPort, std::uint16_t{45000}}) {
      SCOPED_TRACE(std::string(text) + " port " + std::to_string(port));
      const SockAddr address = SockAddr::Ip(text, port);
      std::vector<Fd> users;
      for (std::size_t i = 0; i < all.size(); ++i) {
        SCOPED_TRACE("namespace " + std::to_string(i));
        ASSERT_OK_AND_ASSIGN(Fd user, Use(all[i], protocol, address));
        users.push_back(std::move(user));
      }
      for (std::size_t i = 0; i < all.size(); i += 7)
        EXPECT_THAT(Use(all[i], protocol, address), FailsWith(EADDRINUSE))
            << "control: inside of namespace " << i << " the port is taken";
      // Free again where it is given up, and only there.
      users[1].Reset();
      EXPECT_THAT(Use(all[1], protocol, address), Succeeds()) << "given up in namespace 1";
      EXPECT_THAT(Use(all[0], protocol, address), FailsWith(EADDRINUSE)) << "given up in another namespace only";
      EXPECT_THAT(Use(all[2], protocol, address), FailsWith(EADDRINUSE)) << "given up in another namespace only";
    }
  }
}

// A wildcard use of one address family takes the port of the other one too (ipv6(7)), but in one namespace only.
void WildcardConflictsStayInTheNamespace(const Protocol& protocol) {
  auto [here, there] = CreateTwoWithLoopback();
  for (const Family& family : Families()) RequireProtocol(here, protocol, family);
  ASSERT_OK_AND_ASSIGN(Fd any6, Use(here, protocol, SockAddr::Ip("::", kPort)));
  for (const char* text : {"0.0.0.0", "127.0.0.1", "::", "::1"}) {
    SCOPED_TRACE(text);
    EXPECT_THAT(Use(here, protocol, SockAddr::Ip(text, kPort)), FailsWith(EADDRINUSE)) << "control";
    EXPECT_THAT(Use(there, protocol, SockAddr::Ip(text, kPort)), Succeeds());
  }
}

const bool port_tests = [] {
  for (const Protocol& protocol : Protocols()) {
    for (const Family& family : Families()) {
      Needs needs;
      if (protocol.config != nullptr) needs.list.push_back(Config(protocol.config));
      if (family.domain == AF_INET6) needs.list.push_back(Config("IPV6"));
      Covers covers;
      covers.list = family.domain == AF_INET ? protocol.covers4 : protocol.covers6;
      RegisterBody("Sock", std::string(protocol.name) + "Over" + family.name + "PortIsTakenOnlyInItsOwnNamespace", __FILE__,
                   __LINE__, [&] { PortIsTakenOnlyInItsOwnNamespace(protocol, family); }, covers, needs);
    }
    Needs needs(Config("IPV6"));
    if (protocol.config != nullptr) needs.list.push_back(Config(protocol.config));
    Covers covers;
    covers.list = protocol.covers6;
    RegisterBody("Sock", std::string(protocol.name) + "WildcardConflictsStayInTheNamespace", __FILE__, __LINE__,
                 [&] { WildcardConflictsStayInTheNamespace(protocol); }, covers, needs);
  }
  return true;
}();

/// Ports of the local end of connections: the same four numbers in two namespaces are two connections.
void SameFourTuple(const Family& family) {
  auto [one, two] = CreateTwoWithLoopback();
  const SockAddr server = SockAddr::Ip(family.loopback, kPort), client = SockAddr::Ip(family.loopback, 40000);
  struct End {
    Fd listener, connection, accepted;
  };
  std::vector<End> ends;
  for (const NetNamespace* where : {&one, &two}) {
    End end;
    ASSERT_OK_AND_ASSIGN(end.listener, Listener(*where, server));
    ASSERT_OK_AND_ASSIGN(end.connection, Bound(*where, SOCK_STREAM, client));
    ASSERT_OK(Connect(end.connection, server));
    ASSERT_OK_AND_ASSIGN(end.accepted, Accept(end.listener));
    ends.push_back(std::move(end));
  }
  EXPECT_THAT(Bound(one, SOCK_STREAM, client), FailsWith(EADDRINUSE)) << "control: taken inside of one namespace";
  ASSERT_OK(Send(ends[0].connection, "for one"));
  ASSERT_OK(Send(ends[1].connection, "for two"));
  EXPECT_THAT(Receive(ends[1].accepted), Holds("for two"));
  EXPECT_THAT(Receive(ends[0].accepted), Holds("for one"));
  // The end of one connection is not that of the other.
  ends[0].connection.Reset();
  EXPECT_THAT(Receive(ends[0].accepted), Holds(""));
  ASSERT_OK(Send(ends[1].accepted, "still here"));
  EXPECT_THAT(Receive(ends[1].connection), Holds("still here"));
}
NETNS_TEST(Sock, SameFourNumbersAreTwoConnectionsOverIpv4, Covers("SOCK-01", "STACK-16")) { SameFourTuple(Families()[0]); }
NETNS_TEST(Sock, SameFourNumbersAreTwoConnectionsOverIpv6, Covers("SOCK-02", "STACK-16"), Needs(Config("IPV6"))) {
  SameFourTuple(Families()[1]);
}

/// A UDP datagram's destination with equal sockets on both sides: connected and unconnected, exact and wildcard.
void EqualUdpSockets(const Family& family) {
  auto [one, two] = CreateTwoWithLoopback();
  const SockAddr server = SockAddr::Ip(family.loopback, kPort), client = SockAddr::Ip(family.loopback, 40000);
  for (const char* bound_to : {family.loopback, family.any}) {
    SCOPED_TRACE(bound_to);
    ASSERT_OK_AND_ASSIGN(Fd in_one, Bound(one, SOCK_DGRAM, SockAddr::Ip(bound_to, kPort)));
    ASSERT_OK_AND_ASSIGN(Fd in_two, Bound(two, SOCK_DGRAM, SockAddr::Ip(bound_to, kPort)));
    ASSERT_OK_AND_ASSIGN(Fd from_one, Bound(one, SOCK_DGRAM, client));
    ASSERT_OK_AND_ASSIGN(Fd from_two, Bound(two, SOCK_DGRAM, client));
    ASSERT_OK(Connect(from_one, server));
    ASSERT_OK(Connect(from_two, server));
    ASSERT_OK(Send(from_one, "one"));
    ASSERT_OK(Send(from_two, "two"));
    EXPECT_THAT(Receive(in_one), Holds("one"));
    EXPECT_THAT(Receive(in_two), Holds("two"));
    ASSERT_OK(SendTo(in_one, "reply one", client));
    ASSERT_OK(SendTo(in_two, "reply two", client));
    EXPECT_THAT(Receive(from_one), Holds("reply one"));
    EXPECT_THAT(Receive(from_two), Holds("reply two"));
    // Closed in one: refused there by ICMP, while the other still serves.
    in_two.Reset();
    ASSERT_OK(Send(from_two, "nobody"));
    EXPECT_THAT(Receive(from_two), FailsWith(ECONNREFUSED));
    ASSERT_OK(Send(from_one, "one again"));
    EXPECT_THAT(Receive(in_one), Holds("one again")) << "the datagram of the other namespace must not be here";
    EXPECT_THAT(ReceiveNow(from_one), FailsWith(EAGAIN)) << "the refusal of the other namespace must not be here";
  }
}
NETNS_TEST(Sock, EqualUdpSocketsServeTheirOwnNamespaceOverIpv4, Covers("SOCK-03", "SOCK-07", "STACK-04")) {
  EqualUdpSockets(Families()[0]);
}
NETNS_TEST(Sock, EqualUdpSocketsServeTheirOwnNamespaceOverIpv6, Covers("SOCK-04", "SOCK-07", "STACK-04"),
           Needs(Config("IPV6"))) {
  EqualUdpSockets(Families()[1]);
}

/// One line from the server that accepts a connection of `client` to `to`.
Result<std::string> WhoAnswers(const NetNamespace& client, const SockAddr& to, const Fd& server, const std::string& id) {
  ASSIGN_OR_RETURN(Fd connection, Connected(client, SOCK_STREAM, to));
  ASSIGN_OR_RETURN(Fd accepted, Accept(server));
  RETURN_IF_ERROR(Send(accepted, id));
  return Receive(connection);
}

// Two servers on one port; over loopback, and over veth pairs whose addresses are the same in both places.
NETNS_TEST(Sock, ServersOnOnePortServeOnlyTheirOwnNamespace, Covers("SOCK-07"), Needs(Config("VETH"))) {
  auto [one, two] = CreateTwoWithLoopback();
  auto client_of_one = CreateWithLoopback(), client_of_two = CreateWithLoopback();
  Join(one, "eth0", client_of_one, "eth0");
  Join(two, "eth0", client_of_two, "eth0");
  for (const Family& family : Families()) {
    if (family.domain == AF_INET6 && !HasIpv6()) continue;
    SCOPED_TRACE(family.name);
    // A port of its own for each family: accepted connections linger as TIME-WAIT.
    const auto port = static_cast<std::uint16_t>(kPort + family.domain);
    ASSERT_OK_AND_ASSIGN(Fd server_one, Listener(one, SockAddr::Ip(family.any, port)));
    ASSERT_OK_AND_ASSIGN(Fd server_two, Listener(two, SockAddr::Ip(family.any, port)));
    const SockAddr local = SockAddr::Ip(family.loopback, port), remote = SockAddr::Ip(family.Host(1), port);
    EXPECT_THAT(WhoAnswers(one, local, server_one, "one"), Holds("one"));
    EXPECT_THAT(WhoAnswers(two, local, server_two, "two"), Holds("two"));
    EXPECT_THAT(WhoAnswers(client_of_one, remote, server_one, "one"), Holds("one"));
    EXPECT_THAT(WhoAnswers(client_of_two, remote, server_two, "two"), Holds("two"));
    EXPECT_FALSE(Readable(server_one)) << "a connection of another namespace";
    EXPECT_FALSE(Readable(server_two)) << "a connection of another namespace";
    // A namespace without a server of its own does not borrow one.
    EXPECT_THAT(TryConnect(client_of_one, local), FailsWith(ECONNREFUSED));
    server_two.Reset();
    EXPECT_THAT(TryConnect(two, local), FailsWith(ECONNREFUSED)) << "control: closed";
    EXPECT_THAT(TryConnect(client_of_two, remote), FailsWith(ECONNREFUSED)) << "control: closed";
    EXPECT_THAT(WhoAnswers(one, local, server_one, "one"), Holds("one"));
    EXPECT_THAT(WhoAnswers(client_of_one, remote, server_one, "one"), Holds("one"));
  }
}

/// The port is a server's in one namespace only: everywhere else it is closed, and answers so.
void LoopbackIsConfined(const Family& family) {
  auto [here, there] = CreateTwoWithLoopback();
  auto nested = here.In([] { return NetNamespace::Create(); });
  LoopbackUp(nested);
  std::uint16_t port = kPort;  // another one each time: what is left of a connection may hold its port for a while
  for (const char* bound_to : {family.loopback, family.any}) {
    SCOPED_TRACE(bound_to);
    ++port;
    ASSERT_OK_AND_ASSIGN(Fd server, Listener(here, SockAddr::Ip(bound_to, port)));
    ASSERT_OK_AND_ASSIGN(Fd udp, Bound(here, SOCK_DGRAM, SockAddr::Ip(bound_to, port)));
    std::vector<std::string> targets = {family.loopback};
    if (family.domain == AF_INET && std::string(bound_to) == family.any) targets.push_back("127.8.9.10");
    for (const std::string& text : targets) {
      SCOPED_TRACE(text);
      const SockAddr target = SockAddr::Ip(text, port);
      for (const NetNamespace* other : {&there, &nested}) {
        EXPECT_THAT(TryConnect(*other, target), FailsWith(ECONNREFUSED));
        ASSERT_OK_AND_ASSIGN(Fd sender, Connected(*other, SOCK_DGRAM, target));
        ASSERT_OK(Send(sender, "stray"));
        EXPECT_THAT(Receive(sender), FailsWith(ECONNREFUSED));
      }
      EXPECT_FALSE(Readable(server)) << "a connection from another namespace";
      EXPECT_THAT(TryConnect(here, target), Succeeds()) << "control: inside it connects";
      ASSERT_OK(Accept(server));
      ASSERT_OK_AND_ASSIGN(Fd sender, Connected(here, SOCK_DGRAM, target));
      ASSERT_OK(Send(sender, "own"));
      EXPECT_THAT(Receive(udp), Holds("own")) << "control, and the first that may come here";
    }
  }
}
NETNS_TEST(Sock, Ipv4LoopbackReachesOnlyItsOwnNamespace, Covers("STACK-04", "SOCK-07")) { LoopbackIsConfined(Families()[0]); }
NETNS_TEST(Sock, Ipv6LoopbackReachesOnlyItsOwnNamespace, Covers("STACK-04", "SOCK-07"), Needs(Config("IPV6"))) {
  LoopbackIsConfined(Families()[1]);
}

/// A UDP or TCP socket with SO_REUSEPORT.
Result<Fd> Reuseport(const NetNamespace& where, int type, const SockAddr& address) {
  ASSIGN_OR_RETURN(Fd socket, where.Socket(address.family(), type));
  RETURN_IF_ERROR(SetOption(socket, SOL_SOCKET, SO_REUSEPORT, 1));
  RETURN_IF_ERROR(Bind(socket, address));
  if (type == SOCK_STREAM) RETURN_IF_ERROR(Listen(socket, 1024));
  return socket;
}

void ReuseportGroup(const Family& family, const char* bound_to) {
  constexpr int kSenders = 64;
  auto [one, two] = CreateTwoWithLoopback();
  const SockAddr bound = SockAddr::Ip(bound_to, kPort), target = SockAddr::Ip(family.loopback, kPort);
  // In both orders of joining: the group is looked for when a second socket comes.
  ASSERT_OK_AND_ASSIGN(Fd in_two, Reuseport(two, SOCK_DGRAM, bound));
  ASSERT_OK_AND_ASSIGN(Fd in_one, Reuseport(one, SOCK_DGRAM, bound));
  ASSERT_OK_AND_ASSIGN(Fd also_in_two, Reuseport(two, SOCK_DGRAM, bound));
  auto send_all = [&](const NetNamespace& where) {
    for (int i = 0; i < kSenders; ++i)
      SETUP_OK(SendTo(SETUP_OK(where.Socket(family.domain, SOCK_DGRAM)), "hello", target));
  };
  send_all(one);
  EXPECT_EQ(DrainWhen({&in_one}, kSenders, "hello")[0].size(), std::size_t{kSenders});
  EXPECT_THAT(Drain(in_two), testing::IsEmpty()) << "datagrams of another namespace";
  EXPECT_THAT(Drain(also_in_two), testing::IsEmpty()) << "datagrams of another namespace";
  send_all(two);
  const auto shared = DrainWhen({&in_two, &also_in_two}, kSenders, "hello");
  const auto first = shared[0].size(), second = shared[1].size();
  EXPECT_EQ(first + second, std::size_t{kSenders});
  EXPECT_GT(first, 0U) << "control: the two sockets of one namespace share";
  EXPECT_GT(second, 0U) << "control: the two sockets of one namespace share";
  EXPECT_THAT(Drain(in_one), testing::IsEmpty()) << "datagrams of another namespace";
  EXPECT_THAT(Bound(one, SOCK_DGRAM, bound), FailsWith(EADDRINUSE)) << "control: without the option the port is taken";

  ASSERT_OK_AND_ASSIGN(Fd listener_two, Reuseport(two, SOCK_STREAM, bound));
  ASSERT_OK_AND_ASSIGN(Fd listener_one, Reuseport(one, SOCK_STREAM, bound));
  std::vector<Fd> connections;
  for (int i = 0; i < kSenders; ++i) {
    ASSERT_OK_AND_ASSIGN(Fd connection, Connected(one, SOCK_STREAM, target));
    connections.push_back(std::move(connection));
    ASSERT_OK(Accept(listener_one));
  }
  EXPECT_FALSE(Readable(listener_two)) << "a connection of another namespace";
}
NETNS_TEST(Sock, ReuseportGroupsDoNotSpanNamespacesOverIpv4, Covers("SOCK-08")) {
  ReuseportGroup(Families()[0], Families()[0].loopback);
  ReuseportGroup(Families()[0], Families()[0].any);
}
NETNS_TEST(Sock, ReuseportGroupsDoNotSpanNamespacesOverIpv6, Covers("SOCK-08"), Needs(Config("IPV6"))) {
  ReuseportGroup(Families()[1], Families()[1].loopback);
  ReuseportGroup(Families()[1], Families()[1].any);
}

// The namespace of a socket stays that in which it was made, whatever happens to its owner.
NETNS_TEST(Sock, SocketStaysInTheNamespaceInWhichItWasCreated, Covers("SOCK-14")) {
  auto home = CreateWithLoopback(), away = CreateWithLoopback();
  struct Kind {
    const char* name;
    int domain, type;
  };
  for (const Kind& kind : {Kind{"tcp", AF_INET, SOCK_STREAM}, Kind{"udp", AF_INET, SOCK_DGRAM}, Kind{"tcp of IPv6", AF_INET6, SOCK_STREAM},
                           Kind{"unix", AF_UNIX, SOCK_STREAM}, Kind{"unix datagram", AF_UNIX, SOCK_DGRAM}, Kind{"netlink", AF_NETLINK, SOCK_RAW},
                           Kind{"packet", AF_PACKET, SOCK_RAW}}) {
    if (kind.domain == AF_INET6 && !HasIpv6()) continue;
    SCOPED_TRACE(kind.name);
    Actor owner = home.StartActor("owner");
    Fd socket = SETUP_OK(owner.Run([&]() -> Result<Fd> {
      int fd = ::socket(kind.domain, kind.type | SOCK_CLOEXEC, 0);
      if (fd < 0) return ErrnoError("socket");
      return Fd(fd);
    }));
    EXPECT_TRUE(SETUP_OK(NamespaceOf(socket)).Is(home));
    SETUP_OK(owner.Enter(away.fd(), CLONE_NEWNET));
    EXPECT_TRUE(SETUP_OK(NamespaceOf(socket)).Is(home)) << "after setns of its owner";
    SETUP_OK(owner.Unshare(CLONE_NEWNET));
    EXPECT_TRUE(SETUP_OK(NamespaceOf(socket)).Is(home)) << "after unshare of its owner";
    // Passed on to a process elsewhere.
    auto [left, right] = SETUP_OK(SocketPair(SOCK_STREAM));
    SETUP_OK(SendFd(left.get(), socket.get()));
    Actor receiver = away.StartActor("receiver");
    Fd received = SETUP_OK(receiver.Run([&] { return ReceiveFd(right.get()); }));
    EXPECT_TRUE(SETUP_OK(NamespaceOf(received)).Is(home)) << "after SCM_RIGHTS";
    // Control: a new socket of that process is of its namespace.
    Fd other = SETUP_OK(receiver.Run([&]() -> Result<Fd> { return Fd(::socket(kind.domain, kind.type | SOCK_CLOEXEC, 0)); }));
    EXPECT_TRUE(SETUP_OK(NamespaceOf(other)).Is(away));
    std::uint64_t cookie = 0;
    socklen_t size = sizeof cookie;
    if (::getsockopt(received.get(), SOL_SOCKET, kSoNetnsCookie, &cookie, &size) == 0) {
      EXPECT_THAT(home.Cookie(), Holds(cookie));
      EXPECT_THAT(away.Cookie(), Holds(testing::Ne(cookie)));
    }
  }
}

void AcceptedSocketInherits(const Family& family) {
  auto home = CreateWithLoopback(), away = CreateWithLoopback();
  const SockAddr address = SockAddr::Ip(family.loopback, kPort);
  Fd listener = SETUP_OK(Listener(home, address));
  Fd connection = SETUP_OK(Connected(home, SOCK_STREAM, address));
  Actor server = away.StartActor("server");
  ASSERT_OK_AND_ASSIGN(Fd accepted, server.Run([&] { return Accept(listener); }));
  EXPECT_TRUE(SETUP_OK(NamespaceOf(accepted)).Is(home)) << "accept(2) by a process elsewhere";
  // Bound and connected from there, it still works at home.
  ASSERT_OK_AND_ASSIGN(Fd late, home.Socket(family.domain, SOCK_STREAM));
  EXPECT_THAT(server.Run([&] { return Connect(late, address); }), Succeeds()) << "the ports of home are asked";
  ASSERT_OK_AND_ASSIGN(Fd of_away, away.Socket(family.domain, SOCK_STREAM));
  EXPECT_THAT(Connect(of_away, address), FailsWith(ECONNREFUSED)) << "control: a socket of the other namespace";
  ASSERT_OK_AND_ASSIGN(Fd taken, home.Socket(family.domain, SOCK_STREAM));
  EXPECT_THAT(server.Run([&] { return Bind(taken, address); }), FailsWith(EADDRINUSE));
  ASSERT_OK_AND_ASSIGN(Fd free, away.Socket(family.domain, SOCK_STREAM));
  EXPECT_THAT(Bind(free, address), Succeeds()) << "control";
}
/// The same of protocols that make the accepted socket in a way of their own; SCTP also with sctp_peeloff(3).
void AcceptedSocketOf(int protocol, const char* symbol, const Family& family) {
  auto home = CreateWithLoopback(), away = CreateWithLoopback();
  const auto probe = home.Socket(family.domain, SOCK_STREAM, protocol);
  if (!probe.ok()) RequireBuiltIn(probe.code(), symbol);
  Actor server = away.StartActor("server");
  const SockAddr address = SockAddr::Ip(family.loopback, kPort);
  Fd listener = SETUP_OK(Listener(home, address, protocol));
  Fd connection = SETUP_OK(Connected(home, SOCK_STREAM, address, protocol));
  ASSERT_OK_AND_ASSIGN(Fd accepted, server.Run([&] { return Accept(listener); }));
  EXPECT_TRUE(SETUP_OK(NamespaceOf(accepted)).Is(home)) << "accept(2) by a process elsewhere";
  EXPECT_TRUE(SETUP_OK(NamespaceOf(SETUP_OK(away.Socket(family.domain, SOCK_STREAM, protocol)))).Is(away)) << "control: a socket that is made elsewhere";
  if (protocol != kSctp) return;
  // One association of a socket that has many becomes a socket; who is elsewhere may not ask for that.
  Actor at_home = home.StartActor("at home");
  struct {
    std::int32_t association;
    int descriptor;
  } branch{};
  const SockAddr many_at = SockAddr::Ip(family.loopback, kPort + 1);
  Fd many = SETUP_OK(Bound(home, SOCK_SEQPACKET, many_at, kSctp));
  SETUP_OK(Listen(many));
  Fd one = SETUP_OK(Connected(home, SOCK_STREAM, many_at, kSctp));
  SETUP_OK(Send(one, "hello"));
  SETUP_OK(Receive(many));
  constexpr int kPeeloff = 102, kAssociationIds = 29;  // SCTP_SOCKOPT_PEELOFF, SCTP_GET_ASSOC_ID_LIST of linux/sctp.h
  std::uint32_t ids[8] = {};
  socklen_t size = sizeof ids;
  if (::getsockopt(many.get(), kSctp, kAssociationIds, ids, &size) < 0) throw SetupFailure(ErrnoError("SCTP_GET_ASSOC_ID_LIST").ToString(), std::source_location::current());
  ASSERT_EQ(ids[0], 1U) << "control: one association";
  branch.association = static_cast<std::int32_t>(ids[1]);
  size = sizeof branch;
  const int result = at_home.Run([&] { return ::getsockopt(many.get(), kSctp, kPeeloff, &branch, &size) < 0 ? -errno : 0; });
  ASSERT_EQ(result, 0) << ErrnoName(-result);
  const Fd peeled(branch.descriptor);
  EXPECT_TRUE(SETUP_OK(NamespaceOf(peeled)).Is(home)) << "sctp_peeloff(3)";
  SETUP_OK(at_home.Enter(away.fd(), CLONE_NEWNET));
  EXPECT_TRUE(SETUP_OK(NamespaceOf(peeled)).Is(home)) << "after setns of its owner";
}
const bool accept_tests = [] {
  for (auto [name, protocol, symbol] : {std::tuple{"Sctp", kSctp, "IP_SCTP"}, {"Mptcp", kMptcp, "MPTCP"}})
    for (const Family& family : Families()) {
      Needs needs(Config(symbol));
      if (family.domain == AF_INET6) needs.list.push_back(Config("IPV6"));
      const int number = protocol;
      const char* option = symbol;
      RegisterBody("Sock", std::string("Accepted") + name + "SocketIsOfTheListenersNamespaceOver" + family.name, __FILE__, __LINE__,
                   [number, option, &family] { AcceptedSocketOf(number, option, family); }, Covers("SOCK-14"), needs);
    }
  return true;
}();

NETNS_TEST(Sock, AcceptedSocketIsOfTheListenersNamespaceOverIpv4, Covers("SOCK-14")) { AcceptedSocketInherits(Families()[0]); }
NETNS_TEST(Sock, AcceptedSocketIsOfTheListenersNamespaceOverIpv6, Covers("SOCK-14"), Needs(Config("IPV6"))) {
  AcceptedSocketInherits(Families()[1]);
}

NETNS_TEST(Sock, OneProcessServesSeveralNamespaces, Covers("SOCK-15")) {
  constexpr std::size_t kNamespaces = 5;
  std::vector<NetNamespace> all;
  std::vector<Fd> listeners;
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC));
  const SockAddr address = SockAddr::Ip("127.0.0.1", kPort);
  for (std::size_t i = 0; i < kNamespaces; ++i) {
    all.push_back(CreateWithLoopback());
    listeners.push_back(SETUP_OK(Listener(all[i], address)));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = i;
    ASSERT_EQ(::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, listeners[i].get(), &event), 0);
  }
  auto without = CreateWithLoopback();
  EXPECT_THAT(TryConnect(without, address), FailsWith(ECONNREFUSED));
  epoll_event events[kNamespaces + 1];
  EXPECT_EQ(::epoll_wait(epoll.get(), events, kNamespaces + 1, 0), 0) << "a refused connection elsewhere is no event";
  for (std::size_t i = 0; i < kNamespaces; ++i) {
    ASSERT_OK_AND_ASSIGN(Fd connection, Connected(all[i], SOCK_STREAM, address));
    ASSERT_OK(WaitFor(epoll.get(), POLLIN, Deadline::OfTest(), "an event of namespace " + std::to_string(i)));
    ASSERT_EQ(::epoll_wait(epoll.get(), events, kNamespaces + 1, 0), 1);
    EXPECT_EQ(events[0].data.u64, i);
    ASSERT_OK_AND_ASSIGN(Fd accepted, Accept(listeners[i]));
    EXPECT_TRUE(SETUP_OK(NamespaceOf(accepted)).Is(all[i]));
  }
}

// setns(2) is per thread; the thread that calls socket(2) decides, not the leader of its group.
NETNS_TEST(Sock, CreationUsesTheNamespaceOfTheCallingThread, Covers("SOCK-16")) {
  auto one = NetNamespace::Create(), two = NetNamespace::Create();
  auto leader = NetNamespace::Current();
  struct Made {
    int entered = -1;
    Fd socket, left, right;
  };
  auto make = [](const NetNamespace* where, Made* made) {
    made->entered = where == nullptr ? 0 : ::setns(where->fd(), CLONE_NEWNET);
    made->socket.Reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    int pair[2] = {-1, -1};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0) {
      made->left.Reset(pair[0]);
      made->right.Reset(pair[1]);
    }
  };
  for (int round = 0; round < 8; ++round) {
    Made in_one, in_two, in_leader, also_leader;
    {
      std::thread first(make, &one, &in_one), second(make, &two, &in_two), third(make, nullptr, &in_leader);
      make(nullptr, &also_leader);
      first.join();
      second.join();
      third.join();
    }
    ASSERT_EQ(in_one.entered, 0);
    ASSERT_EQ(in_two.entered, 0);
    for (auto [made, where] : {std::pair{&in_one, &one}, {&in_two, &two}, {&in_leader, &leader}, {&also_leader, &leader}})
      for (const Fd* fd : {&made->socket, &made->left, &made->right})
        EXPECT_TRUE(SETUP_OK(NamespaceOf(*fd)).Is(*where)) << "round " << round;
  }
}

/// Drops the right to low ports in the actor's own user namespace.
Status BindAs(Actor& actor, int type, const SockAddr& address, int protocol = 0) {
  return actor.Run([&]() -> Status {
    Fd socket(::socket(address.family(), type | SOCK_CLOEXEC, protocol));
    if (!socket.valid()) return ErrnoError("socket");
    return Bind(socket, address);
  });
}

NETNS_TEST(Sock, UnprivilegedPortThresholdIsPerNamespace, Covers("SOCK-17")) {
  constexpr int kNetBindService = 10;  // CAP_NET_BIND_SERVICE
  const char* name = "net.ipv4.ip_unprivileged_port_start";
  auto [here, there] = CreateTwoWithLoopback();
  EXPECT_THAT(here.Sysctl(name), Holds("1024")) << "at birth";
  Actor in_here = here.StartActor("here"), in_there = there.StartActor("there");
  SETUP_OK(DropCapability(in_here, kNetBindService));
  SETUP_OK(DropCapability(in_there, kNetBindService));
  for (const Family& family : Families()) {
    if (family.domain == AF_INET6 && !HasIpv6()) continue;
    for (int type : {SOCK_STREAM, SOCK_DGRAM}) {
      SCOPED_TRACE(std::string(family.name) + (type == SOCK_STREAM ? " stream" : " datagram"));
      const auto at = [&](std::uint16_t port) { return SockAddr::Ip(family.loopback, port); };
      EXPECT_THAT(BindAs(in_here, type, at(1023)), FailsWith(EACCES));
      EXPECT_THAT(BindAs(in_here, type, at(1024)), Succeeds());
      ASSERT_OK(here.SetSysctl(name, "80"));
      EXPECT_THAT(BindAs(in_here, type, at(80)), Succeeds());
      EXPECT_THAT(BindAs(in_here, type, at(79)), FailsWith(EACCES));
      EXPECT_THAT(BindAs(in_there, type, at(80)), FailsWith(EACCES));
      EXPECT_THAT(BindAs(in_there, type, at(1023)), FailsWith(EACCES));
      EXPECT_THAT(BindAs(in_there, type, at(1024)), Succeeds());
      EXPECT_THAT(there.Sysctl(name), Holds("1024"));
      EXPECT_THAT(here.In([] { return NetNamespace::Create(); }).Sysctl(name), Holds("1024")) << "made from inside";
      // Raised in the other one: the first is not narrowed by it.
      ASSERT_OK(there.SetSysctl(name, "2000"));
      EXPECT_THAT(BindAs(in_there, type, at(1999)), FailsWith(EACCES));
      EXPECT_THAT(BindAs(in_here, type, at(1999)), Succeeds());
      ASSERT_OK(there.SetSysctl(name, "1024"));
      ASSERT_OK(here.SetSysctl(name, "1024"));
    }
  }
  EXPECT_THAT(here.SetSysctl(name, "40000"), FailsWith(EINVAL)) << "above the first local port";
  EXPECT_THAT(here.Sysctl(name), Holds("1024"));
}

// SCTP asks by itself whether a port is for everybody: when it binds, and when it is to listen without having bound.
NETNS_TEST(Sock, TheThresholdOfPortsOfSctpIsThatOfTheNamespace, Covers("SOCK-17", "STACK-19"), Needs(Config("IP_SCTP"))) {
  constexpr int kNetBindService = 10;  // CAP_NET_BIND_SERVICE
  const char* name = "net.ipv4.ip_unprivileged_port_start";
  auto [here, there] = CreateTwoWithLoopback();
  const auto probe = here.Socket(AF_INET, SOCK_STREAM, kSctp);
  if (!probe.ok()) RequireBuiltIn(probe.code(), "IP_SCTP");
  for (const NetNamespace* lowered : {&here, &there}) {
    const NetNamespace& other = lowered == &here ? there : here;
    SCOPED_TRACE(lowered == &here ? "lowered in the older namespace" : "lowered in the younger namespace");
    ASSERT_OK(lowered->SetSysctl(name, "80"));
    Actor one = lowered->StartActor("one"), two = other.StartActor("two");
    for (Actor* actor : {&one, &two}) SETUP_OK(DropCapability(*actor, kNetBindService));
    for (const Family& family : Families()) {
      if (family.domain == AF_INET6 && !HasIpv6()) continue;
      for (int type : {SOCK_STREAM, SOCK_SEQPACKET}) {
        SCOPED_TRACE(testing::Message() << family.name << " type " << type);
        const auto at = [&](std::uint16_t port) { return SockAddr::Ip(family.loopback, port); };
        EXPECT_THAT(BindAs(one, type, at(80), kSctp), Succeeds());
        EXPECT_THAT(BindAs(one, type, at(79), kSctp), FailsWith(EACCES)) << "control";
        EXPECT_THAT(BindAs(two, type, at(80), kSctp), FailsWith(EACCES)) << "ip-sysctl.rst: lowered in another namespace only";
        EXPECT_THAT(BindAs(two, type, at(1024), kSctp), Succeeds()) << "control";
      }
    }
    ASSERT_OK(lowered->SetSysctl(name, "1024"));
  }
}

// user_namespaces(7): a privileged operation on a resource of a namespace is allowed by capabilities in the user
// namespace that owns it, and by no others.
NETNS_TEST(Sock, PrivilegedSocketOperationsAskTheOwnerOfTheNamespace, Covers("SOCK-17", "SOCK-22"), Needs(UserNs())) {
  auto ns = CreateWithLoopback();
  Actor owner = ns.StartActor("owner");
  Actor stranger = ns.StartActor("stranger");
  SETUP_OK(EnterNewUserNamespace(stranger));  // all capabilities, but not over this network namespace
  const auto socket_as = [](Actor& actor, int domain, int type, int protocol) {
    return actor.Run([&]() -> Status {
      Fd fd(::socket(domain, type | SOCK_CLOEXEC, protocol));
      if (!fd.valid()) return ErrnoError("socket");
      return Ok();
    });
  };
  const auto option_as = [](Actor& actor, int domain, int level, int option) {
    return actor.Run([&]() -> Status {
      Fd fd(::socket(domain, SOCK_STREAM | SOCK_CLOEXEC, 0));
      if (!fd.valid()) return ErrnoError("socket");
      return SetOption(fd, level, option, 1);
    });
  };
  for (const Family& family : Families()) {
    if (family.domain == AF_INET6 && !HasIpv6()) continue;
    SCOPED_TRACE(family.name);
    for (int type : {SOCK_STREAM, SOCK_DGRAM}) {
      EXPECT_THAT(BindAs(owner, type, SockAddr::Ip(family.loopback, 81)), Succeeds()) << "control";
      EXPECT_THAT(BindAs(stranger, type, SockAddr::Ip(family.loopback, 81)), FailsWith(EACCES));
    }
    EXPECT_THAT(socket_as(owner, family.domain, SOCK_RAW, IPPROTO_UDP), Succeeds()) << "control";
    EXPECT_THAT(socket_as(stranger, family.domain, SOCK_RAW, IPPROTO_UDP), FailsWith(EPERM));
    EXPECT_THAT(option_as(owner, family.domain, SOL_SOCKET, SO_MARK), Succeeds()) << "control";
    EXPECT_THAT(option_as(stranger, family.domain, SOL_SOCKET, SO_MARK), FailsWith(EPERM));
    const int level = family.domain == AF_INET ? int{IPPROTO_IP} : int{IPPROTO_IPV6};
    const int transparent = family.domain == AF_INET ? IP_TRANSPARENT : 75 /* IPV6_TRANSPARENT */;
    EXPECT_THAT(option_as(owner, family.domain, level, transparent), Succeeds()) << "control";
    EXPECT_THAT(option_as(stranger, family.domain, level, transparent), FailsWith(EPERM));
  }
  constexpr int kSoPriority = 12;
  for (auto [who, expected] : {std::pair{&owner, 0}, std::pair{&stranger, EPERM}}) {
    const Status status = who->Run([]() -> Status {
      Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      return SetOption(fd, SOL_SOCKET, kSoPriority, 7);
    });
    EXPECT_EQ(status.code(), expected) << "SO_PRIORITY above 6";
  }
}

/// "N" of "UDP: inuse N mem M" in /proc/net/sockstat.
int SocketCount(const NetNamespace& where, const std::string& file, const std::string& line, const std::string& field) {
  const std::string text = SETUP_OK(where.ReadProcNet(file));
  const auto at = text.find(line + ": ");
  if (at == std::string::npos) throw SetupFailure("no line " + line + " in " + file, std::source_location::current());
  const auto found = text.find(field + " ", at);
  if (found == std::string::npos) throw SetupFailure("no " + field + " in " + file, std::source_location::current());
  return std::stoi(text.substr(found + field.size() + 1));
}

void SocketCounts(const Family& family) {
  const bool v4 = family.domain == AF_INET;
  const std::string file = v4 ? "sockstat" : "sockstat6", six = v4 ? "" : "6";
  auto [here, there] = CreateTwoWithLoopback();
  struct Kind {
    std::string line;
    int type, protocol;
  };
  for (const Kind& kind : {Kind{"UDP" + six, SOCK_DGRAM, 0}, Kind{"TCP" + six, SOCK_STREAM, 0},
                           Kind{"RAW" + six, SOCK_RAW, IPPROTO_UDP}, Kind{"UDPLITE" + six, SOCK_DGRAM, kUdpLite}}) {
    SCOPED_TRACE(kind.line);
    if (kind.protocol == kUdpLite && !here.Socket(family.domain, kind.type, kind.protocol).ok()) continue;  // removed from newer kernels
    const int before = SocketCount(here, file, kind.line, "inuse"), other = SocketCount(there, file, kind.line, "inuse");
    const int used = SocketCount(here, "sockstat", "sockets", "used"), other_used = SocketCount(there, "sockstat", "sockets", "used");
    std::vector<Fd> sockets;
    for (std::uint16_t i = 0; i < 10; ++i) {
      Fd socket = SETUP_OK(here.Socket(family.domain, kind.type, kind.protocol));
      SETUP_OK(Bind(socket, SockAddr::Ip(family.loopback, static_cast<std::uint16_t>(kind.type == SOCK_RAW ? 0 : 5000 + i))));
      if (kind.type == SOCK_STREAM) SETUP_OK(Listen(socket));
      sockets.push_back(std::move(socket));
    }
    EXPECT_EQ(SocketCount(here, file, kind.line, "inuse"), before + 10);
    EXPECT_EQ(SocketCount(there, file, kind.line, "inuse"), other) << "of another namespace";
    EXPECT_EQ(SocketCount(here, "sockstat", "sockets", "used"), used + 10);
    EXPECT_EQ(SocketCount(there, "sockstat", "sockets", "used"), other_used) << "of another namespace";
    sockets.clear();
    EXPECT_EVENTUALLY("the counts to fall back", [&] {
      return SocketCount(here, file, kind.line, "inuse") == before && SocketCount(here, "sockstat", "sockets", "used") == used;
    });
    EXPECT_EQ(SocketCount(there, file, kind.line, "inuse"), other);
    EXPECT_EQ(SocketCount(there, "sockstat", "sockets", "used"), other_used);
  }
}
NETNS_TEST(Sock, SocketCountsArePerNamespaceOverIpv4, Covers("SOCK-19")) { SocketCounts(Families()[0]); }
NETNS_TEST(Sock, SocketCountsArePerNamespaceOverIpv6, Covers("SOCK-19"), Needs(Config("IPV6"))) { SocketCounts(Families()[1]); }

/// "0100007F:1F90" -> as /proc/net/tcp writes an address and port.
std::string ProcEndpoint(const SockAddr& address) {
  char text[64];
  if (address.family() == AF_INET) {
    const auto* in = reinterpret_cast<const sockaddr_in*>(address.get());
    std::snprintf(text, sizeof text, "%08X:%04X", in->sin_addr.s_addr, address.port());
  } else {
    std::uint32_t words[4];
    std::memcpy(words, &reinterpret_cast<const sockaddr_in6*>(address.get())->sin6_addr, sizeof words);
    std::snprintf(text, sizeof text, "%08X%08X%08X%08X:%04X", words[0], words[1], words[2], words[3], address.port());
  }
  return text;
}

NETNS_TEST(Sock, ConnectionAcrossNamespacesIsListedAtBothEndsAndNowhereElse, Covers("SOCK-21"), Needs(Config("VETH"))) {
  auto one = CreateWithLoopback(), two = CreateWithLoopback(), third = CreateWithLoopback();
  Join(one, "veth1", two, "veth2");
  for (const Family& family : Families()) {
    if (family.domain == AF_INET6 && !HasIpv6()) continue;
    SCOPED_TRACE(family.name);
    const std::string file = family.domain == AF_INET ? "tcp" : "tcp6";
    const auto port = static_cast<std::uint16_t>(kPort + family.domain);
    Fd listener = SETUP_OK(Listener(one, SockAddr::Ip(family.Host(1), port)));
    Fd client = SETUP_OK(Bound(two, SOCK_STREAM, SockAddr::Ip(family.Host(2), 40001)));
    SETUP_OK(Connect(client, SockAddr::Ip(family.Host(1), port)));
    Fd accepted = SETUP_OK(Accept(listener));
    const std::string server_end = ProcEndpoint(SockAddr::Ip(family.Host(1), port));
    const std::string client_end = ProcEndpoint(SockAddr::Ip(family.Host(2), 40001));
    using testing::HasSubstr;
    using testing::Not;
    EXPECT_THAT(one.ReadProcNet(file), Holds(HasSubstr(server_end + " " + client_end + " 01")));
    EXPECT_THAT(two.ReadProcNet(file), Holds(HasSubstr(client_end + " " + server_end + " 01")));
    EXPECT_THAT(one.ReadProcNet(file), Holds(Not(HasSubstr(": " + client_end))));
    EXPECT_THAT(two.ReadProcNet(file), Holds(Not(HasSubstr(": " + server_end))));
    EXPECT_THAT(third.ReadProcNet(file), Holds(testing::AllOf(Not(HasSubstr(server_end)), Not(HasSubstr(client_end)))));
    EXPECT_THAT(SockAddr::Of(accepted).value().ToString(), SockAddr::OfPeer(client).value().ToString());
    EXPECT_THAT(SockAddr::OfPeer(accepted).value().ToString(), SockAddr::Of(client).value().ToString());
    // SO_LINGER with no time resets the connection, so that no TIME-WAIT entry stays on either side.
    linger now{1, 0};
    ASSERT_EQ(::setsockopt(client.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    client.Reset();
    ASSERT_OK(WaitFor(accepted.get(), POLLIN, Deadline::OfTest(), "the reset"));
    accepted.Reset();
    EXPECT_EVENTUALLY("both lines to disappear", [&] {
      return SETUP_OK(one.ReadProcNet(file)).find(client_end) == std::string::npos &&
             SETUP_OK(two.ReadProcNet(file)).find(client_end) == std::string::npos;
    });
  }
}

NETNS_TEST(Sock, PingSocketsAreGovernedByTheGroupRangeOfTheNamespace, Covers("SOCK-18")) {
  const char* name = "net.ipv4.ping_group_range";
  auto [here, there] = CreateTwoWithLoopback();
  const std::string group = std::to_string(::getegid());
  // Where the user namespace of the test has not the groups 0 and 1, they read as the overflow group.
  const auto map = ReadFile("/proc/self/gid_map");  // a kernel without user namespaces has no such file
  const bool mapped = !map.ok() || map->find("4294967295") != std::string::npos;
  const std::string overflow = SETUP_OK(ReadFile("/proc/sys/kernel/overflowgid")).substr(0, 5);
  const std::string nobody = mapped ? "1\t0" : overflow + "\t" + overflow;
  EXPECT_THAT(here.Sysctl(name), Holds(nobody)) << "at birth: nobody";
  std::vector<std::pair<int, int>> kinds = {{AF_INET, IPPROTO_ICMP}};
  if (HasIpv6()) kinds.emplace_back(AF_INET6, IPPROTO_ICMPV6);
  const auto expect = [&](const NetNamespace& where, bool allowed, const char* why) {
    for (auto [domain, protocol] : kinds) {
      if (allowed) {
        EXPECT_THAT(where.Socket(domain, SOCK_DGRAM, protocol), Succeeds()) << why;
      } else {
        EXPECT_THAT(where.Socket(domain, SOCK_DGRAM, protocol), FailsWith(EACCES)) << why;
      }
    }
  };
  expect(here, false, "control: before");
  ASSERT_OK(here.SetSysctl(name, group + " " + group));
  expect(here, true, "the caller's group is in the range");
  expect(there, false, "the range of another namespace");
  EXPECT_THAT(there.Sysctl(name), Holds(nobody));
  auto born = here.In([] { return NetNamespace::Create(); });
  EXPECT_THAT(born.Sysctl(name), Holds(nobody)) << "not inherited from the creator";
  expect(born, false, "not inherited from the creator");
  if (!mapped) return;
  ASSERT_OK(here.SetSysctl(name, "1 0"));
  expect(here, false, "taken back");
}

// Echo over ping sockets: the identifier is the port, so equal ones in two namespaces must not meet.
NETNS_TEST(Sock, PingSocketsOfEqualIdentifierAreSeparate, Covers("SOCK-18", "STACK-11")) {
  auto [here, there] = CreateTwoWithLoopback();
  const std::string group = std::to_string(::getegid());
  for (const NetNamespace* where : {&here, &there})
    SETUP_OK(where->SetSysctl("net.ipv4.ping_group_range", group + " " + group));
  for (const Family& family : Families()) {
    if (family.domain == AF_INET6 && !HasIpv6()) continue;
    SCOPED_TRACE(family.name);
    const int protocol = family.domain == AF_INET ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6};
    const char echo = family.domain == AF_INET ? 8 : static_cast<char>(128);
    const SockAddr bound = SockAddr::Ip(family.loopback, 777);
    // The kernel makes ping sockets with SO_REUSEADDR set.
    const auto exclusive = [&](const NetNamespace& where) -> Result<Fd> {
      ASSIGN_OR_RETURN(Fd socket, where.Socket(family.domain, SOCK_DGRAM, protocol));
      RETURN_IF_ERROR(SetOption(socket, SOL_SOCKET, SO_REUSEADDR, 0));
      RETURN_IF_ERROR(Bind(socket, bound));
      return socket;
    };
    ASSERT_OK_AND_ASSIGN(Fd one, exclusive(here));
    ASSERT_OK_AND_ASSIGN(Fd two, exclusive(there));
    EXPECT_THAT(exclusive(here), FailsWith(EADDRINUSE)) << "control";
    const auto ping = [&](const Fd& socket, const std::string& text) {
      return SendTo(socket, std::string{echo, 0, 0, 0, 0, 0, 0, 1} + text, SockAddr::Ip(family.loopback));
    };
    ASSERT_OK(ping(one, "from one"));
    EXPECT_THAT(Receive(one), Holds(testing::EndsWith("from one"))) << "control";
    ASSERT_OK(ping(two, "from two"));
    EXPECT_THAT(Receive(two), Holds(testing::EndsWith("from two"))) << "the reply of the other namespace came first";
    EXPECT_THAT(ReceiveNow(one), FailsWith(EAGAIN));
  }
}

}  // namespace
}  // namespace netns
