// SPDX-License-Identifier: GPL-2.0-or-later
// STACK, second part: what TCP, UDP, MPTCP and SCTP keep for each namespace.
#include <netinet/tcp.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "fixtures/nic.h"
#include "suites/support/sockets.h"

// The kernel's headers after the C library's: in this order they go together.
#include <linux/genetlink.h>
#include <linux/mptcp.h>
#include <linux/tcp_metrics.h>

namespace netns {
namespace {

using namespace sock;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr int kSctp = 132, kMptcp = 262;

NetNamespace CreateInside(const NetNamespace& creator) {
  return creator.In([] { return NetNamespace::Create(); });
}

// Ephemeral ports --------------------------------------------------------------------------------------------------------
const char kRange[] = "net.ipv4.ip_local_port_range";

/// What happens when port after port is asked for: the ports, and the errno that ended it (0: `most` were given).
struct Given {
  std::set<int> ports;
  int end = 0;
  std::vector<Fd> sockets;
};
Given BindAll(const NetNamespace& where, const Family& family, int type, std::size_t most, int protocol = 0) {
  Given given;
  while (given.sockets.size() < most) {
    auto socket = Bound(where, type, SockAddr::Ip(family.loopback, 0), protocol);
    if (!socket.ok()) {
      given.end = socket.code();
      break;
    }
    given.ports.insert(SETUP_OK(SockAddr::Of(*socket)).port());
    given.sockets.push_back(std::move(*socket));
  }
  return given;
}
/// The same with the ports that connect(2) chooses.
Given ConnectAll(const NetNamespace& where, const SockAddr& server, int type, std::size_t most) {
  Given given;
  while (given.sockets.size() < most) {
    auto socket = Connected(where, type, server);
    if (!socket.ok()) {
      given.end = socket.code();
      break;
    }
    given.ports.insert(SETUP_OK(SockAddr::Of(*socket)).port());
    given.sockets.push_back(std::move(*socket));
  }
  return given;
}

void PortRange(const Family& family, int type) {
  using testing::Each;
  auto [here, there] = CreateTwoWithLoopback();
  const auto defaults = SETUP_OK(there.Sysctl(kRange));
  EXPECT_EQ(defaults, "32768\t60999") << "at birth";
  ASSERT_OK(here.SetSysctl(kRange, "40000 40003"));
  EXPECT_THAT(here.Sysctl(kRange), Holds("40000\t40003")) << "control";
  EXPECT_THAT(there.Sysctl(kRange), Holds(defaults));
  auto born = CreateInside(here);
  EXPECT_THAT(born.Sysctl(kRange), Holds(defaults)) << "made from inside";
  LoopbackUp(born);

  const Given own = BindAll(here, family, type, 5);
  EXPECT_THAT(own.ports, testing::ElementsAre(40000, 40001, 40002, 40003));
  EXPECT_EQ(own.end, EADDRINUSE) << "control: the range is used up: " << ErrnoName(own.end);
  for (const NetNamespace* other : {&there, &born}) {
    const Given free = BindAll(*other, family, type, 64);
    EXPECT_EQ(free.end, 0) << "the range of another namespace is used up: " << ErrnoName(free.end);
    EXPECT_THAT(free.ports, Each(testing::AllOf(testing::Ge(32768), testing::Le(60999))));
    EXPECT_THAT(free.ports, testing::SizeIs(64));
    EXPECT_THAT(free.ports, Contains(Not(testing::AllOf(testing::Ge(40000), testing::Le(40003)))));
  }
  // The other namespace's range is narrow too, and another one: each keeps to its own.
  ASSERT_OK(there.SetSysctl(kRange, "50000 50001"));
  EXPECT_THAT(BindAll(there, family, type, 9).ports, testing::ElementsAre(50000, 50001));
  EXPECT_THAT(here.Sysctl(kRange), Holds("40000\t40003"));
  EXPECT_THAT(BindAll(here, family, type, 1).end, EADDRINUSE);
}

void PortRangeOfConnections(const Family& family) {
  auto [here, there] = CreateTwoWithLoopback();
  const SockAddr server = SockAddr::Ip(family.loopback, 80);
  Fd listener = SETUP_OK(Listener(here, server)), other = SETUP_OK(Listener(there, server));
  ASSERT_OK(here.SetSysctl(kRange, "40000 40003"));
  const Given own = ConnectAll(here, server, SOCK_STREAM, 5);
  EXPECT_THAT(own.ports, testing::ElementsAre(40000, 40001, 40002, 40003));
  EXPECT_EQ(own.end, EADDRNOTAVAIL) << "control: the range is used up: " << ErrnoName(own.end);
  const Given free = ConnectAll(there, server, SOCK_STREAM, 20);
  EXPECT_EQ(free.end, 0) << ErrnoName(free.end);
  EXPECT_THAT(free.ports, testing::Each(testing::AllOf(testing::Ge(32768), testing::Le(60999))));
  const Given datagrams = ConnectAll(here, server, SOCK_DGRAM, 5);
  EXPECT_THAT(datagrams.ports, testing::ElementsAre(40000, 40001, 40002, 40003));
  EXPECT_EQ(datagrams.end, EAGAIN) << "control: the range is used up: " << ErrnoName(datagrams.end);
  const Given more = ConnectAll(there, server, SOCK_DGRAM, 20);
  EXPECT_EQ(more.end, 0) << ErrnoName(more.end);
  EXPECT_THAT(more.ports, testing::Each(testing::AllOf(testing::Ge(32768), testing::Le(60999))));
}

void ReservedPorts(const Family& family, int type) {
  const char* name = "net.ipv4.ip_local_reserved_ports";
  auto [here, there] = CreateTwoWithLoopback();
  EXPECT_THAT(here.Sysctl(name), Holds("")) << "at birth";
  for (const NetNamespace* where : {&here, &there}) SETUP_OK(where->SetSysctl(kRange, "40000 40003"));
  ASSERT_OK(here.SetSysctl(name, "40000,40002"));
  EXPECT_THAT(here.Sysctl(name), Holds("40000,40002")) << "control";
  EXPECT_THAT(there.Sysctl(name), Holds(""));
  EXPECT_THAT(CreateInside(here).Sysctl(name), Holds("")) << "made from inside";
  const auto bound = [&](const NetNamespace& where) { return BindAll(where, family, type, 9).ports; };
  EXPECT_THAT(bound(here), testing::ElementsAre(40001, 40003)) << "control: reserved here";
  EXPECT_THAT(bound(there), testing::ElementsAre(40000, 40001, 40002, 40003)) << "reserved in another namespace only";
  EXPECT_THAT(Bound(here, type, SockAddr::Ip(family.loopback, 40000)), Succeeds()) << "a reserved port is for who asks for it";
  // The other way round, and given back.
  ASSERT_OK(there.SetSysctl(name, "40001"));
  EXPECT_THAT(here.Sysctl(name), Holds("40000,40002"));
  EXPECT_THAT(bound(there), testing::ElementsAre(40000, 40002, 40003));
  EXPECT_THAT(bound(here), testing::ElementsAre(40001, 40003));
  ASSERT_OK(here.SetSysctl(name, "\n"));
  EXPECT_THAT(here.Sysctl(name), Holds("")) << "control";
  EXPECT_THAT(there.Sysctl(name), Holds("40001"));
  EXPECT_THAT(bound(here), testing::ElementsAre(40000, 40001, 40002, 40003)) << "control: not reserved any more";
  // connect(2) last: of TCP it leaves ports in use for a while.
  const SockAddr server = SockAddr::Ip(family.loopback, 80);
  std::vector<Fd> servers;
  for (const NetNamespace* where : {&here, &there})
    servers.push_back(SETUP_OK(type == SOCK_STREAM ? Listener(*where, server) : Bound(*where, type, server)));
  EXPECT_THAT(ConnectAll(there, server, type, 9).ports, testing::ElementsAre(40000, 40002, 40003)) << "control";
  EXPECT_THAT(ConnectAll(here, server, type, 9).ports, testing::ElementsAre(40000, 40001, 40002, 40003));
}

void RequireSctp(const NetNamespace& where);
// SCTP chooses ports by itself, and asks the namespace in code of its own.
void SctpPorts(const Family& family) {
  auto [here, there] = CreateTwoWithLoopback();
  RequireSctp(here);
  const auto bound = [&](const NetNamespace& where) { return BindAll(where, family, SOCK_STREAM, 9, kSctp).ports; };
  ASSERT_OK(here.SetSysctl(kRange, "40000 40003"));
  EXPECT_THAT(bound(here), testing::ElementsAre(40000, 40001, 40002, 40003)) << "ip(7), ip_local_port_range";
  const auto free = bound(there);
  EXPECT_THAT(free, testing::AllOf(testing::SizeIs(9), testing::Each(testing::AllOf(testing::Ge(32768), testing::Le(60999))))) << "the range of another namespace";
  ASSERT_OK(there.SetSysctl(kRange, "50000 50002"));
  EXPECT_THAT(bound(there), testing::ElementsAre(50000, 50001, 50002));
  ASSERT_OK(there.SetSysctl(kRange, "40000 40003"));
  ASSERT_OK(here.SetSysctl("net.ipv4.ip_local_reserved_ports", "40000,40002"));
  EXPECT_THAT(bound(here), testing::ElementsAre(40001, 40003)) << "ip-sysctl.rst, ip_local_reserved_ports";
  EXPECT_THAT(bound(there), testing::ElementsAre(40000, 40001, 40002, 40003)) << "reserved in another namespace only";
  EXPECT_THAT(Bound(here, SOCK_STREAM, SockAddr::Ip(family.loopback, 40000), kSctp), Succeeds()) << "control: a reserved port is for who asks for it";
}
NETNS_TEST(Stack, SctpOverIpv4UsesThePortsOfItsNamespace, Covers("STACK-24", "STACK-25", "STACK-19"), Needs(Config("SYSCTL"), Config("IP_SCTP"))) { SctpPorts(Families()[0]); }
NETNS_TEST(Stack, SctpOverIpv6UsesThePortsOfItsNamespace, Covers("STACK-24", "STACK-25", "STACK-19"), Needs(Config("SYSCTL"), Config("IP_SCTP"), Config("IPV6"))) {
  SctpPorts(Families()[1]);
}

const bool port_tests = [] {
  for (const Family& family : Families()) {
    Needs needs(Config("SYSCTL"));
    if (family.domain == AF_INET6) needs.list.push_back(Config("IPV6"));
    for (auto [name, type] : {std::pair{"Tcp", SOCK_STREAM}, {"Udp", SOCK_DGRAM}}) {
      const int kind = type;
      RegisterBody("Stack", std::string(name) + "Over" + family.name + "UsesThePortRangeOfItsNamespace", __FILE__, __LINE__,
                   [&family, kind] { PortRange(family, kind); }, Covers("STACK-24"), needs);
      RegisterBody("Stack", std::string(name) + "Over" + family.name + "SkipsPortsThatItsNamespaceReserves", __FILE__, __LINE__,
                   [&family, kind] { ReservedPorts(family, kind); }, Covers("STACK-25"), needs);
    }
    RegisterBody("Stack", std::string("ConnectionsOver") + family.name + "UseThePortRangeOfTheirNamespace", __FILE__, __LINE__,
                 [&family] { PortRangeOfConnections(family); }, Covers("STACK-24"), needs);
  }
  return true;
}();

// TCP --------------------------------------------------------------------------------------------------------------------
/// A connection over loopback, both ends.
struct Connection {
  Fd client, server;
};
Connection ConnectLoopback(const NetNamespace& where, const Family& family, std::uint16_t port) {
  const SockAddr address = SockAddr::Ip(family.loopback, port);
  Fd listener = SETUP_OK(Listener(where, address));
  Connection connection;
  connection.client = SETUP_OK(Connected(where, SOCK_STREAM, address));
  connection.server = SETUP_OK(Accept(listener));
  return connection;
}
std::string CongestionOf(const Fd& socket) {
  char name[16] = "";
  socklen_t size = sizeof name;
  if (::getsockopt(socket.get(), IPPROTO_TCP, TCP_CONGESTION, name, &size) < 0)
    throw SetupFailure(ErrnoError("getsockopt(TCP_CONGESTION)").ToString(), std::source_location::current());
  return std::string(name, strnlen(name, sizeof name));
}
void Congestion(const Family& family) {
  const char* name = "net.ipv4.tcp_congestion_control";
  auto [here, there] = CreateTwoWithLoopback();
  const std::string birth = SETUP_OK(there.Sysctl(name));
  EXPECT_THAT(here.Sysctl(name), Holds(birth));
  // Reno is in every kernel and always allowed.
  const auto socket = [&](const NetNamespace& where) { return SETUP_OK(where.Socket(family.domain, SOCK_STREAM)); };
  const Fd before = socket(here);
  EXPECT_EQ(CongestionOf(before), birth);
  if (birth == "reno") throw MissingNeed("needs-config:TCP_CONG_CUBIC", "there is no algorithm but the default one", "use a kernel with CONFIG_TCP_CONG_CUBIC");
  ASSERT_OK(here.SetSysctl(name, "reno"));
  EXPECT_EQ(CongestionOf(socket(here)), "reno") << "control";
  EXPECT_EQ(CongestionOf(before), birth) << "a socket of before keeps its algorithm";
  const Connection connection = ConnectLoopback(here, family, 80), other = ConnectLoopback(there, family, 80);
  EXPECT_EQ(CongestionOf(connection.client), "reno");
  EXPECT_EQ(CongestionOf(connection.server), "reno");
  EXPECT_EQ(CongestionOf(other.client), birth);
  EXPECT_EQ(CongestionOf(other.server), birth);
  EXPECT_THAT(there.Sysctl(name), Holds(birth));
  EXPECT_EQ(CongestionOf(socket(there)), birth) << "of another namespace";
  auto born = CreateInside(here);
  EXPECT_THAT(born.Sysctl(name), Holds(birth)) << "made from inside: as in the initial namespace";
  EXPECT_EQ(CongestionOf(socket(born)), birth);
  EXPECT_EQ(CongestionOf(socket(NetNamespace::Current())), birth) << "the namespace of their creator";
}
NETNS_TEST(Stack, CongestionControlIsPerNamespaceOverIpv4, Covers("STACK-14")) { Congestion(Families()[0]); }
NETNS_TEST(Stack, CongestionControlIsPerNamespaceOverIpv6, Covers("STACK-14"), Needs(Config("IPV6"))) { Congestion(Families()[1]); }

/// Options that were negotiated, TCPI_OPT_...
int OptionsOf(const Fd& socket) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(socket.get(), IPPROTO_TCP, TCP_INFO, &info, &size) < 0)
    throw SetupFailure(ErrnoError("getsockopt(TCP_INFO)").ToString(), std::source_location::current());
  return info.tcpi_options;
}
void TcpOptions(const Family& family) {
  auto [here, there] = CreateTwoWithLoopback();
  constexpr int kAll = TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE;
  std::uint16_t port = 80;
  for (auto [name, option] : {std::pair{"net.ipv4.tcp_timestamps", TCPI_OPT_TIMESTAMPS}, {"net.ipv4.tcp_sack", TCPI_OPT_SACK},
                              {"net.ipv4.tcp_window_scaling", TCPI_OPT_WSCALE}}) {
    SCOPED_TRACE(name);
    EXPECT_EQ(OptionsOf(ConnectLoopback(here, family, ++port).client) & kAll, kAll) << "control: before";
    ++port;  // closed connections keep theirs for a while
    ASSERT_OK(here.SetSysctl(name, "0"));
    EXPECT_THAT(there.Sysctl(name), Holds("1"));
    const Connection own = ConnectLoopback(here, family, port), other = ConnectLoopback(there, family, port);
    EXPECT_EQ(OptionsOf(own.client) & kAll, kAll & ~option) << "control";
    EXPECT_EQ(OptionsOf(own.server) & kAll, kAll & ~option) << "control";
    EXPECT_EQ(OptionsOf(other.client) & kAll, kAll) << "switched off in another namespace";
    EXPECT_EQ(OptionsOf(other.server) & kAll, kAll) << "switched off in another namespace";
    ASSERT_OK(here.SetSysctl(name, "1"));
  }
}
// The two ends of a connection are in two namespaces: each offers and answers as its own says, and the initial one as neither.
struct OptionOfTcp {
  const char* sysctl;
  int option;
};
constexpr OptionOfTcp kOptionsOfTcp[] = {
    {"net.ipv4.tcp_timestamps", TCPI_OPT_TIMESTAMPS}, {"net.ipv4.tcp_sack", TCPI_OPT_SACK}, {"net.ipv4.tcp_window_scaling", TCPI_OPT_WSCALE}};
void TcpOptionsOfEachEnd(const Family& family, std::optional<NetNamespace> initial) {
  auto here = NetNamespace::Create(), there = NetNamespace::Create();
  Join(here, "west", there, "east");
  constexpr int kAll = TCPI_OPT_TIMESTAMPS | TCPI_OPT_SACK | TCPI_OPT_WSCALE;
  std::uint16_t port = 80;
  const auto negotiated = [&] {
    const SockAddr address = SockAddr::Ip(family.Host(2), ++port);
    const Fd listener = SETUP_OK(Listener(there, address));
    const Fd client = SETUP_OK(Connected(here, SOCK_STREAM, address)), server = SETUP_OK(Accept(listener));
    EXPECT_EQ(OptionsOf(client) & kAll, OptionsOf(server) & kAll) << "tcp(7): the ends disagree on what they negotiated";
    return OptionsOf(client) & kAll;
  };
  struct Restore {
    std::optional<NetNamespace>& ns;
    const char* name;
    std::string value;
    ~Restore() { if (ns) std::ignore = ns->SetSysctl(name, value); }
  };
  for (auto [name, option] : kOptionsOfTcp) {
    SCOPED_TRACE(name);
    EXPECT_EQ(negotiated(), kAll) << "control: before";
    for (const NetNamespace* end : {&here, &there}) {
      ASSERT_OK(end->SetSysctl(name, "0"));
      EXPECT_EQ(negotiated(), kAll & ~option) << "ip-sysctl.rst: switched off in the namespace of the " << (end == &here ? "client" : "server");
      ASSERT_OK(end->SetSysctl(name, "1"));
    }
    if (!initial) continue;
    const Restore restore{initial, name, SETUP_OK(initial->Sysctl(name))};
    ASSERT_OK(initial->SetSysctl(name, "0"));
    EXPECT_EQ(negotiated(), kAll) << "ip-sysctl.rst: switched off in the initial namespace, which has neither end";
  }
}
NETNS_TEST(Stack, EachEndOffersTcpOptionsAsItsNamespaceSaysOverIpv4, Covers("STACK-13", "SYSCTL-14"), Needs(Config("VETH"))) { TcpOptionsOfEachEnd(Families()[0], {}); }
NETNS_TEST(Stack, EachEndOffersTcpOptionsAsItsNamespaceSaysOverIpv6, Covers("STACK-13", "SYSCTL-14"), Needs(Config("VETH"), Config("IPV6"))) {
  TcpOptionsOfEachEnd(Families()[1], {});
}
NETNS_TEST(Stack, NoEndOffersTcpOptionsAsTheInitialNamespaceSays, Covers("STACK-13", "SYSCTL-14"), Needs(Machine(), Config("VETH"), Config("IPV6")), Exclusive{}) {
  for (const Family& family : Families()) {
    SCOPED_TRACE(family.name);
    TcpOptionsOfEachEnd(family, InitialNetNamespace());
  }
}

NETNS_TEST(Stack, TcpOptionsAreNegotiatedAsTheNamespaceSaysOverIpv4, Covers("STACK-13")) { TcpOptions(Families()[0]); }
NETNS_TEST(Stack, TcpOptionsAreNegotiatedAsTheNamespaceSaysOverIpv6, Covers("STACK-13"), Needs(Config("IPV6"))) {
  TcpOptions(Families()[1]);
}

NetlinkSocket GenericIn(const NetNamespace& where) {
  return SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(where.Socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC))));
}
GenericFamily FamilyOrMiss(const NetNamespace& where, const char* name, const char* symbol) {
  auto socket = GenericIn(where);
  auto family = socket.ResolveFamily(name);
  if (!family.ok() && family.code() == ENOENT)
    throw MissingNeed(std::string("needs-config:") + symbol, std::string("no generic netlink family ") + name, std::string("use a kernel with CONFIG_") + symbol);
  return SETUP_OK(std::move(family));
}

/// The destinations that a namespace keeps TCP metrics of.
std::multiset<std::string> MetricsOf(const NetNamespace& where, const GenericFamily& family) {
  auto socket = GenericIn(where);
  std::multiset<std::string> all;
  for (const Message& message : SETUP_OK(socket.Dump(
           Request(family.id).Header(genlmsghdr{.cmd = TCP_METRICS_CMD_GET, .version = TCP_METRICS_GENL_VERSION}).Named("dump TCP metrics")))) {
    const Attributes attributes = message.AttributesAfter<genlmsghdr>();
    char text[INET6_ADDRSTRLEN] = "?";
    if (const auto v4 = attributes.Structure<in_addr>(TCP_METRICS_ATTR_ADDR_IPV4)) ::inet_ntop(AF_INET, &*v4, text, sizeof text);
    if (const auto v6 = attributes.Structure<in6_addr>(TCP_METRICS_ATTR_ADDR_IPV6)) ::inet_ntop(AF_INET6, &*v6, text, sizeof text);
    all.insert(text);
  }
  return all;
}
/// One entry, asked for by its address.
Status MetricsTo(const NetNamespace& where, const GenericFamily& metrics, const Family& family, const std::string& address) {
  std::byte bytes[16];
  ::inet_pton(family.domain, address.c_str(), bytes);
  auto socket = GenericIn(where);
  Request request(metrics.id);
  request.Header(genlmsghdr{.cmd = TCP_METRICS_CMD_GET, .version = TCP_METRICS_GENL_VERSION}).Named("TCP metrics of " + address);
  request.Raw(family.domain == AF_INET ? TCP_METRICS_ATTR_ADDR_IPV4 : TCP_METRICS_ATTR_ADDR_IPV6, Bytes(bytes, family.domain == AF_INET ? 4 : 16));
  auto answer = socket.Get(request);
  if (!answer.ok()) return answer.error();
  return Ok();
}
/// A connection over which something went both ways, properly closed, so that something was learned from it.
void Talk(const NetNamespace& where, const Family& family, std::uint16_t port) {
  Connection connection = ConnectLoopback(where, family, port);
  for (int i = 0; i < 3; ++i) {
    SETUP_OK(Send(connection.client, "there"));
    SETUP_OK(Receive(connection.server));
    SETUP_OK(Send(connection.server, "back"));
    SETUP_OK(Receive(connection.client));
  }
  if (::shutdown(connection.client.get(), SHUT_WR) < 0) throw SetupFailure(ErrnoError("shutdown").ToString(), std::source_location::current());
  SETUP_OK(Receive(connection.server));
  connection.server.Reset();
  SETUP_OK(Receive(connection.client));
}
void Metrics(const Family& family, bool flush) {
  auto [here, there] = CreateTwoWithLoopback();
  const GenericFamily metrics = FamilyOrMiss(here, "tcp_metrics", "INET");
  EXPECT_THAT(MetricsOf(here, metrics), IsEmpty()) << "at birth";
  Talk(here, family, 80);
  EXPECT_EVENTUALLY("control: metrics of the connection", [&] { return MetricsOf(here, metrics).count(family.loopback) == 1; });
  EXPECT_THAT(MetricsOf(there, metrics), IsEmpty()) << "learned in another namespace";
  EXPECT_THAT(MetricsTo(here, metrics, family, family.loopback), Succeeds()) << "control";
  EXPECT_THAT(MetricsTo(there, metrics, family, family.loopback), FailsWith(ESRCH)) << "learned in another namespace";
  EXPECT_THAT(MetricsOf(CreateInside(here), metrics), IsEmpty()) << "made from inside";
  Talk(there, family, 81);
  EXPECT_EVENTUALLY("control: metrics of the connection", [&] { return MetricsOf(there, metrics).count(family.loopback) == 1; });
  EXPECT_THAT(MetricsOf(here, metrics), testing::ElementsAre(family.loopback));
  if (!flush) return;
  auto socket = GenericIn(there);
  ASSERT_OK(socket.Ack(Request(metrics.id).Header(genlmsghdr{.cmd = TCP_METRICS_CMD_DEL, .version = TCP_METRICS_GENL_VERSION}).Named("flush TCP metrics")));
  EXPECT_THAT(MetricsOf(there, metrics), IsEmpty()) << "control";
  EXPECT_THAT(MetricsOf(here, metrics), testing::ElementsAre(family.loopback)) << "flushed in another namespace";
}
NETNS_TEST(Stack, TcpMetricsAreOfTheNamespaceOverIpv4, Covers("STACK-13")) { Metrics(Families()[0], false); }
NETNS_TEST(Stack, TcpMetricsAreOfTheNamespaceOverIpv6, Covers("STACK-13"), Needs(Config("IPV6"))) { Metrics(Families()[1], false); }
// Deleting them needs capabilities over the initial user namespace.
NETNS_TEST(Stack, TcpMetricsAreFlushedInOneNamespace, Covers("STACK-13"), Needs(Root())) { Metrics(Families()[0], true); }

NETNS_TEST(Stack, FastOpenKeysAreOfTheNamespace, Covers("STACK-13")) {
  const char* name = "net.ipv4.tcp_fastopen_key";
  const std::string none = "00000000-00000000-00000000-00000000", key = "01020304-05060708-090a0b0c-0d0e0f10";
  auto [here, there] = CreateTwoWithLoopback();
  EXPECT_THAT(here.Sysctl(name), Holds(none)) << "at birth";
  ASSERT_OK(here.SetSysctl(name, key));
  EXPECT_THAT(here.Sysctl(name), Holds(key)) << "control";
  EXPECT_THAT(there.Sysctl(name), Holds(none));
  EXPECT_THAT(CreateInside(here).Sysctl(name), Holds(none)) << "made from inside";
  // Keys differ, and neither replaces the other.
  const std::string other_key = "0f0e0d0c-0b0a0908-07060504-03020100";
  ASSERT_OK(there.SetSysctl(name, other_key));
  EXPECT_THAT(there.Sysctl(name), Holds(other_key)) << "control";
  EXPECT_THAT(here.Sysctl(name), Holds(key));
}

// ip-sysctl.rst, tcp_fastopen_key: "used to generate TFO cookies". The client keeps what it got among its metrics.
void FastOpenCookies(const Family& family) {
  constexpr int kFastOpen = 23, kMessageFastOpen = 0x20000000;  // TCP_FASTOPEN, MSG_FASTOPEN
  const char* name = "net.ipv4.tcp_fastopen_key";
  const std::string key = "01020304-05060708-090a0b0c-0d0e0f10", other_key = "0f0e0d0c-0b0a0908-07060504-03020100";
  auto one = CreateWithLoopback(), two = CreateWithLoopback(), three = CreateWithLoopback();
  for (auto [where, text] : {std::pair{&one, key}, {&two, other_key}, {&three, key}}) {
    SETUP_OK(where->SetSysctl(name, text));
    SETUP_OK(where->SetSysctl("net.ipv4.tcp_fastopen", "3"));
  }
  const GenericFamily metrics = FamilyOrMiss(one, "tcp_metrics", "INET");
  const SockAddr address = SockAddr::Ip(family.loopback, 80);
  const auto cookie = [&](const NetNamespace& where) {
    Fd listener = SETUP_OK(Listener(where, address));
    SETUP_OK(SetOption(listener, IPPROTO_TCP, kFastOpen, 5));
    Fd client = SETUP_OK(where.Socket(family.domain, SOCK_STREAM));
    if (::sendto(client.get(), "x", 1, kMessageFastOpen, address.get(), address.size()) < 0)
      throw SetupFailure(ErrnoError("sendto(MSG_FASTOPEN)").ToString(), std::source_location::current());
    Fd server = SETUP_OK(Accept(listener));
    std::string found;
    SETUP_OK(Eventually("a cookie among the metrics", [&] {
      auto socket = GenericIn(where);
      for (const Message& message : SETUP_OK(socket.Dump(Request(metrics.id).Header(genlmsghdr{.cmd = TCP_METRICS_CMD_GET, .version = TCP_METRICS_GENL_VERSION}).Named("dump TCP metrics")))) {
        const Attributes attributes = message.AttributesAfter<genlmsghdr>();
        if (const auto bytes = attributes.Raw(TCP_METRICS_ATTR_FOPEN_COOKIE)) found.assign(reinterpret_cast<const char*>(bytes->data()), bytes->size());
      }
      return !found.empty();
    }));
    return found;
  };
  const std::string of_one = cookie(one), of_two = cookie(two), of_three = cookie(three);
  EXPECT_EQ(of_three, of_one) << "ip-sysctl.rst: the same key and addresses make the same cookie";
  EXPECT_NE(of_two, of_one) << "ip-sysctl.rst: the key of another namespace made the cookie";
}
NETNS_TEST(Stack, FastOpenCookiesAreMadeWithTheKeyOfTheNamespaceOverIpv4, Covers("STACK-13", "SYSCTL-14"), Needs(Config("SYSCTL"))) { FastOpenCookies(Families()[0]); }
NETNS_TEST(Stack, FastOpenCookiesAreMadeWithTheKeyOfTheNamespaceOverIpv6, Covers("STACK-13", "SYSCTL-14"), Needs(Config("SYSCTL"), Config("IPV6"))) {
  FastOpenCookies(Families()[1]);
}

// ip-sysctl.rst: a namespace may have tables of its own for established connections.
NETNS_TEST(Stack, ChildrenCanHaveTheirOwnTableOfConnections, Covers("STACK-16")) {
  struct Table {
    const char *now, *child;
    int type;
  };
  auto parent = CreateWithLoopback();
  int found = 0;
  for (const Table& table : {Table{"net.ipv4.tcp_ehash_entries", "net.ipv4.tcp_child_ehash_entries", SOCK_STREAM},
                             {"net.ipv4.udp_hash_entries", "net.ipv4.udp_child_hash_entries", SOCK_DGRAM}}) {
    if (!parent.HasSysctl(table.child)) continue;
    ++found;
    SCOPED_TRACE(table.child);
    const auto entries = [&](const NetNamespace& where) { return std::stoi(SETUP_OK(where.Sysctl(table.now))); };
    EXPECT_THAT(parent.Sysctl(table.child), Holds("0")) << "at birth";
    const int shared = entries(parent);
    EXPECT_LT(shared, 0) << "negative: the table of the initial namespace";
    ASSERT_OK(parent.SetSysctl(table.child, "200"));
    auto child = CreateInside(parent), stranger = NetNamespace::Create();
    EXPECT_EQ(entries(child), 256) << "control: one of its own";
    EXPECT_EQ(entries(stranger), shared) << "asked for in another namespace";
    EXPECT_EQ(entries(parent), shared);
    EXPECT_THAT(child.Sysctl(table.child), Holds("0")) << "not for grandchildren";
    EXPECT_THAT(stranger.Sysctl(table.child), Holds("0"));
    EXPECT_EQ(entries(CreateInside(child)), shared) << "a grandchild";
    // It works, and keeps to itself.
    for (const NetNamespace* where : {&child, &stranger}) LoopbackUp(*where);
    for (const Family& family : Families()) {
      if (family.domain == AF_INET6 && !HasIpv6()) continue;
      SCOPED_TRACE(family.name);
      const SockAddr address = SockAddr::Ip(family.loopback, 8080);
      if (table.type == SOCK_STREAM) {
        Fd listener = SETUP_OK(Listener(child, address));
        EXPECT_THAT(TryConnect(stranger, address), FailsWith(ECONNREFUSED));
        EXPECT_THAT(TryConnect(parent, address), FailsWith(ECONNREFUSED));
        EXPECT_THAT(TryConnect(child, address), Succeeds()) << "control";
      } else {
        Fd server = SETUP_OK(Bound(child, SOCK_DGRAM, address)), other = SETUP_OK(Bound(parent, SOCK_DGRAM, address));
        EXPECT_THAT(Bound(child, SOCK_DGRAM, address), FailsWith(EADDRINUSE)) << "control";
        SETUP_OK(SendTo(SETUP_OK(parent.Socket(family.domain, SOCK_DGRAM)), "of the parent", address));
        SETUP_OK(SendTo(SETUP_OK(child.Socket(family.domain, SOCK_DGRAM)), "of the child", address));
        EXPECT_THAT(Receive(server), Holds("of the child"));
        EXPECT_THAT(Receive(other), Holds("of the parent"));
      }
    }
    ASSERT_OK(parent.SetSysctl(table.child, "0"));
    EXPECT_EQ(entries(CreateInside(parent)), shared) << "control: shared again";
  }
  if (found == 0) throw MissingNeed("needs-feature:tcp_child_ehash_entries", "no net.ipv4.tcp_child_ehash_entries (since Linux 6.1)", "", LinuxVersion{6, 1});
}

// MPTCP ------------------------------------------------------------------------------------------------------------------
struct PathManager {
  const NetNamespace& where;
  GenericFamily family;

  Request Command(std::uint8_t command, const char* what) const {
    Request request(family.id);
    request.Header(genlmsghdr{.cmd = command, .version = MPTCP_PM_VER}).Named(what);
    return request;
  }
  Status Endpoint(std::uint8_t command, const Family& of, const std::string& address, std::uint8_t id) const {
    auto socket = GenericIn(where);
    return socket.Ack(Command(command, "endpoint").Nest(MPTCP_PM_ATTR_ADDR | NLA_F_NESTED, [&](Request& request) {
      request.U16(MPTCP_PM_ADDR_ATTR_FAMILY, static_cast<std::uint16_t>(of.domain)).U8(MPTCP_PM_ADDR_ATTR_ID, id);
      std::byte bytes[16];
      ::inet_pton(of.domain, address.c_str(), bytes);
      if (of.domain == AF_INET) {
        request.Raw(MPTCP_PM_ADDR_ATTR_ADDR4, Bytes(bytes, 4));
      } else {
        request.Raw(MPTCP_PM_ADDR_ATTR_ADDR6, Bytes(bytes, 16));
      }
      request.U32(MPTCP_PM_ADDR_ATTR_FLAGS, MPTCP_PM_ADDR_FLAG_SIGNAL);
    }));
  }
  std::size_t Endpoints() const {
    auto socket = GenericIn(where);
    return SETUP_OK(socket.Dump(Command(MPTCP_PM_CMD_GET_ADDR, "dump endpoints"))).size();
  }
  std::uint32_t SubflowLimit() const {
    auto socket = GenericIn(where);
    const Message answer = SETUP_OK(socket.Get(Command(MPTCP_PM_CMD_GET_LIMITS, "get limits")));
    return answer.AttributesAfter<genlmsghdr>().U32(MPTCP_PM_ATTR_SUBFLOWS).value_or(99);
  }
  Status SetSubflowLimit(std::uint32_t limit) const {
    auto socket = GenericIn(where);
    return socket.Ack(Command(MPTCP_PM_CMD_SET_LIMITS, "set limits").U32(MPTCP_PM_ATTR_RCV_ADD_ADDRS, 1).U32(MPTCP_PM_ATTR_SUBFLOWS, limit));
  }
};
NETNS_TEST(Stack, MptcpPathManagerIsPerNamespace, Covers("STACK-15"), Needs(Config("MPTCP"))) {
  auto here = NetNamespace::Create(), there = NetNamespace::Create();
  const GenericFamily family = FamilyOrMiss(here, "mptcp_pm", "MPTCP");
  const PathManager own{here, family}, other{there, family};
  EXPECT_EQ(own.Endpoints(), 0U) << "at birth";
  const auto limit = other.SubflowLimit();
  EXPECT_EQ(own.SubflowLimit(), limit);
  std::size_t count = 0;
  for (const Family& each : Families()) {
    if (each.domain == AF_INET6 && !HasIpv6()) continue;
    SCOPED_TRACE(each.name);
    const auto id = static_cast<std::uint8_t>(++count);
    const Status added = own.Endpoint(MPTCP_PM_CMD_ADD_ADDR, each, each.Host(7), id);
    if (added.code() == EPERM)
      throw MissingNeed("needs-cap:NET_ADMIN", "this kernel lets only the administrator of the initial user namespace configure MPTCP", "run as root");
    ASSERT_OK(Status(added));
    EXPECT_THAT(own.Endpoint(MPTCP_PM_CMD_ADD_ADDR, each, each.Host(7), static_cast<std::uint8_t>(id + 10)),
                testing::AnyOf(FailsWith(EEXIST), FailsWith(EINVAL))) << "control (EINVAL before Linux 6.3)";
    EXPECT_EQ(own.Endpoints(), count) << "control";
    EXPECT_EQ(other.Endpoints(), 0U) << "of another namespace";
    EXPECT_THAT(other.Endpoint(MPTCP_PM_CMD_DEL_ADDR, each, each.Host(7), id), testing::AnyOf(FailsWith(EINVAL), FailsWith(ENOENT))) << "of another namespace";
    EXPECT_EQ(own.Endpoints(), count);
  }
  EXPECT_EQ((PathManager{CreateInside(here), family}).Endpoints(), 0U) << "made from inside";
  ASSERT_OK(other.Endpoint(MPTCP_PM_CMD_ADD_ADDR, Families()[0], Families()[0].Host(7), 1)) << "the same one is free there";
  ASSERT_OK(own.SetSubflowLimit(limit + 1));
  EXPECT_EQ(own.SubflowLimit(), limit + 1) << "control";
  EXPECT_EQ(other.SubflowLimit(), limit);
  auto socket = GenericIn(here);
  ASSERT_OK(socket.Ack(own.Command(MPTCP_PM_CMD_FLUSH_ADDRS, "flush endpoints")));
  EXPECT_EQ(own.Endpoints(), 0U) << "control";
  EXPECT_EQ(other.Endpoints(), 1U) << "flushed in another namespace";
}
// ip-mptcp(8), signal: "the endpoint will be announced to the peer" - of each connection of its namespace.
NETNS_TEST(Stack, MptcpEndpointsAreAnnouncedInTheirNamespace, Covers("STACK-15"), Needs(Config("MPTCP"))) {
  constexpr int kSolMptcp = 284, kMptcpInfo = 1;
  auto one = CreateWithLoopback(), two = CreateWithLoopback();
  const auto probe = one.Socket(AF_INET, SOCK_STREAM, kMptcp);
  if (!probe.ok()) RequireBuiltIn(probe.code(), "MPTCP");
  const GenericFamily family = FamilyOrMiss(one, "mptcp_pm", "MPTCP");
  std::uint16_t port = 8080;
  // What struct mptcp_info says in its second byte: how many endpoints this end has announced.
  const auto announced = [&](const Fd& socket) {
    unsigned char info[256] = {};
    socklen_t size = sizeof info;
    if (::getsockopt(socket.get(), kSolMptcp, kMptcpInfo, info, &size) < 0) {
      if (errno == EOPNOTSUPP || errno == ENOPROTOOPT) throw MissingNeed("needs-feature:MPTCP_INFO", "MPTCP tells nothing of its connections", "", LinuxVersion{5, 16});
      throw SetupFailure(ErrnoError("getsockopt(MPTCP_INFO)").ToString(), std::source_location::current());
    }
    return int{info[1]};
  };
  const auto connect = [&](const NetNamespace& where) {
    const SockAddr address = SockAddr::Ip("127.0.0.1", ++port);
    Fd listener = SETUP_OK(Listener(where, address, kMptcp));
    Connection made;
    made.client = SETUP_OK(Connected(where, SOCK_STREAM, address, kMptcp));
    made.server = SETUP_OK(Accept(listener));
    for (const Fd* end : {&made.client, &made.server}) SETUP_OK(Send(*end, "so that it is established"));
    SETUP_OK(Receive(made.client));
    SETUP_OK(Receive(made.server));
    return made;
  };
  for (bool swapped : {false, true}) {
    const NetNamespace &here = swapped ? two : one, &there = swapped ? one : two;
    SCOPED_TRACE(swapped ? "an endpoint of the younger namespace" : "an endpoint of the older namespace");
    const PathManager own{here, family};
    const Status added = own.Endpoint(MPTCP_PM_CMD_ADD_ADDR, Families()[0], "127.0.0.2", 1);
    if (added.code() == EPERM)
      throw MissingNeed("needs-cap:NET_ADMIN", "this kernel lets only the administrator of the initial user namespace configure MPTCP", "run as root");
    SETUP_OK(Status(added));
    const Connection without = connect(there), with = connect(here);
    EXPECT_EVENTUALLY("control: the endpoint to be announced in its namespace", [&] { return announced(with.server) == 1; });
    EXPECT_EQ(announced(without.server), 0) << "ip-mptcp(8): an endpoint of another namespace was announced";
    SETUP_OK(own.Endpoint(MPTCP_PM_CMD_DEL_ADDR, Families()[0], "127.0.0.2", 1));
    const Connection again = connect(here);
    EXPECT_EQ(announced(again.server), 0) << "control: there is none any more";
  }
}

NETNS_TEST(Stack, MptcpCanBeDisabledInOneNamespace, Covers("STACK-15"), Needs(Config("MPTCP"))) {
  auto [here, there] = CreateTwoWithLoopback();
  const char* name = "net.mptcp.enabled";
  if (!here.HasSysctl(name)) throw MissingNeed("needs-config:MPTCP", "no net.mptcp.enabled", "use a kernel with CONFIG_MPTCP");
  for (const Family& family : Families()) {
    if (family.domain == AF_INET6 && !HasIpv6()) continue;
    SCOPED_TRACE(family.name);
    const auto open = [&](const NetNamespace& where) { return where.Socket(family.domain, SOCK_STREAM, kMptcp); };
    ASSERT_OK(here.SetSysctl(name, "1"));
    const auto probe = open(here);
    if (!probe.ok()) RequireBuiltIn(probe.code(), "MPTCP");
    EXPECT_THAT(open(here), Succeeds()) << "control";
    ASSERT_OK(here.SetSysctl(name, "0"));
    EXPECT_THAT(open(here), FailsWith(ENOPROTOOPT)) << "control";
    EXPECT_THAT(there.Sysctl(name), Holds("1"));
    EXPECT_THAT(open(there), Succeeds()) << "disabled in another namespace";
    EXPECT_THAT(open(CreateInside(here)), Succeeds()) << "made from inside";
  }
}

// SCTP -------------------------------------------------------------------------------------------------------------------
void RequireSctp(const NetNamespace& where) {
  auto probe = where.Socket(AF_INET, SOCK_STREAM, kSctp);
  if (!probe.ok()) RequireBuiltIn(probe.code(), "IP_SCTP");
  SETUP_OK(std::move(probe));
}
std::size_t Lines(const NetNamespace& where, const std::string& file) {
  const std::string text = SETUP_OK(where.ReadProcNet(file));
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}
void SctpEndpoints(const Family& family) {
  auto [here, there] = CreateTwoWithLoopback();
  RequireSctp(here);
  const auto header = Lines(there, "sctp/eps");
  EXPECT_EQ(Lines(here, "sctp/eps"), header) << "at birth";
  const auto counter = [](const NetNamespace& where, const char* name) {
    const std::string text = SETUP_OK(where.ReadProcNet("sctp/snmp"));
    const auto at = text.find(name);
    return at == std::string::npos ? -1L : std::stol(text.substr(at + std::strlen(name)));
  };
  const SockAddr address = SockAddr::Ip(family.loopback, 8080);
  Fd listener = SETUP_OK(Listener(here, address, kSctp));
  EXPECT_EQ(Lines(here, "sctp/eps"), header + 1) << "control";
  EXPECT_EQ(Lines(there, "sctp/eps"), header) << "of another namespace";
  EXPECT_THAT(TryConnect(there, address, SOCK_STREAM, kSctp), FailsWith(ECONNREFUSED)) << "the endpoint of another namespace";
  Fd client = SETUP_OK(Connected(here, SOCK_STREAM, address, kSctp));
  Fd accepted = SETUP_OK(Accept(listener));
  EXPECT_EQ(Lines(here, "sctp/assocs"), Lines(there, "sctp/assocs") + 2) << "control: both ends";
  // An end that has addresses of both families tells of them all.
  EXPECT_GE(Lines(here, "sctp/remaddr"), 3U) << "control: the heading and both ends";
  EXPECT_EQ(Lines(there, "sctp/remaddr"), 1U) << "nothing but the heading";
  EXPECT_EQ(Lines(there, "sctp/assocs"), 1U) << "nothing but the heading";
  EXPECT_EQ(counter(here, "SctpCurrEstab"), 2) << "control";
  EXPECT_EQ(counter(there, "SctpCurrEstab"), 0);
  EXPECT_EQ(counter(there, "SctpPassiveEstabs"), 0);
  EXPECT_THAT(Send(client, "within"), Succeeds());
  EXPECT_THAT(Receive(accepted), Holds("within"));
  Fd other = SETUP_OK(Listener(there, address, kSctp));
  EXPECT_EQ(Lines(there, "sctp/eps"), header + 1);
  EXPECT_THAT(TryConnect(there, address, SOCK_STREAM, kSctp), Succeeds()) << "control: its own";
  EXPECT_FALSE(Readable(listener)) << "an association from another namespace";
}
NETNS_TEST(Stack, SctpEndpointsAreOfTheNamespaceOverIpv4, Covers("STACK-19", "SOCK-05"), Needs(Config("IP_SCTP"))) { SctpEndpoints(Families()[0]); }
NETNS_TEST(Stack, SctpEndpointsAreOfTheNamespaceOverIpv6, Covers("STACK-19", "SOCK-05"), Needs(Config("IP_SCTP"), Config("IPV6"))) {
  SctpEndpoints(Families()[1]);
}
NETNS_TEST(Stack, SctpParametersAreOfTheNamespace, Covers("STACK-19"), Needs(Config("IP_SCTP"))) {
  auto here = NetNamespace::Create(), there = NetNamespace::Create();
  RequireSctp(here);
  for (auto [name, value] : {std::pair{"rto_initial", "3333"}, {"rto_max", "59999"}, {"valid_cookie_life", "61000"}, {"max_burst", "5"},
                             {"association_max_retrans", "11"}, {"path_max_retrans", "6"}, {"max_init_retransmits", "9"},
                             {"hb_interval", "31000"}, {"sack_timeout", "300"}, {"addip_enable", "1"}, {"prsctp_enable", "0"},
                             {"auth_enable", "1"}, {"addr_scope_policy", "2"}, {"default_auto_asconf", "1"}, {"pf_enable", "0"},
                             {"intl_enable", "1"}, {"reconf_enable", "1"}, {"cookie_preserve_enable", "0"}, {"rwnd_update_shift", "5"},
                             {"max_autoclose", "1000"}, {"ecn_enable", "0"}, {"plpmtud_probe_interval", "6000"}, {"cookie_hmac_alg", "none"}}) {
    const std::string file = std::string("net/sctp/") + name;
    if (!here.HasSysctl(file)) continue;
    SCOPED_TRACE(name);
    const std::string birth = SETUP_OK(there.Sysctl(file));
    EXPECT_THAT(here.Sysctl(file), Holds(birth));
    ASSERT_OK(here.SetSysctl(file, value));
    EXPECT_THAT(here.Sysctl(file), Holds(value)) << "control";
    EXPECT_THAT(there.Sysctl(file), Holds(birth));
    EXPECT_THAT(CreateInside(here).Sysctl(file), Holds(birth)) << "made from inside";
  }
  // Sockets take them from the namespace that they are of.
  constexpr int kSolSctp = 132, kRtoInfo = 0;  // SCTP_RTOINFO of linux/sctp.h
  const auto initial_rto = [&](const NetNamespace& where) {
    struct {
      std::int32_t association;
      std::uint32_t initial, max, min;
    } info{};
    socklen_t size = sizeof info;
    Fd socket = SETUP_OK(where.Socket(AF_INET, SOCK_STREAM, kSctp));
    if (::getsockopt(socket.get(), kSolSctp, kRtoInfo, &info, &size) < 0) throw SetupFailure(ErrnoError("getsockopt(SCTP_RTOINFO)").ToString(), std::source_location::current());
    return info.initial;
  };
  EXPECT_EQ(initial_rto(here), 3333U) << "control";
  EXPECT_EQ(initial_rto(there), 3000U) << "of another namespace";
}

// ip-sysctl.rst, sctp/udp_port: "The listening port for the local UDP tunneling sock", of the namespace: the kernel opens it there.
NETNS_TEST(Stack, SctpListensForUdpInTheNamespaceThatSaysSo, Covers("STACK-19"), Needs(Config("IP_SCTP"))) {
  const char* name = "net.sctp.udp_port";
  auto [here, there] = CreateTwoWithLoopback();
  RequireSctp(here);
  if (!here.HasSysctl(name)) throw MissingNeed("needs-feature:sctp-udp_port", "SCTP knows no encapsulation in UDP (before Linux 5.11)", "", LinuxVersion{5, 11});
  EXPECT_THAT(here.Sysctl(name), Holds("0")) << "at birth";
  const auto bind = [](const NetNamespace& where, const Family& family) { return Bound(where, SOCK_DGRAM, SockAddr::Ip(family.any, 9899)); };
  std::vector<const Family*> families = {&Families()[0]};
  if (HasIpv6()) families.push_back(&Families()[1]);
  const auto taken = [&](const NetNamespace& where) {
    std::size_t count = 0;
    for (const Family* family : families) count += bind(where, *family).code() == EADDRINUSE;
    return count;
  };
  EXPECT_EQ(taken(here), 0U) << "control: before";
  for (bool swapped : {false, true}) {
    const NetNamespace &one = swapped ? there : here, &other = swapped ? here : there;
    SCOPED_TRACE(swapped ? "opened in the younger namespace" : "opened in the older namespace");
    ASSERT_OK(one.SetSysctl(name, "9899"));
    EXPECT_THAT(one.Sysctl(name), Holds("9899")) << "control";
    EXPECT_EQ(taken(one), families.size()) << "ip-sysctl.rst: the socket is not in the namespace that asked for it";
    EXPECT_THAT(other.Sysctl(name), Holds("0")) << "opened in another namespace";
    EXPECT_EQ(taken(other), 0U) << "ip-sysctl.rst: a socket of another namespace takes the port";
    ASSERT_OK(other.SetSysctl(name, "9899")) << "the port is free in another namespace";
    EXPECT_EQ(taken(other), families.size());
    ASSERT_OK(other.SetSysctl(name, "0"));
    EXPECT_EVENTUALLY("control: the socket to be closed", [&] { return taken(other) == 0; });
    EXPECT_EQ(taken(one), families.size()) << "closed in another namespace only";
    EXPECT_THAT(CreateInside(one).Sysctl(name), Holds("0")) << "made from inside";
    ASSERT_OK(one.SetSysctl(name, "0"));
    EXPECT_EVENTUALLY("control: the socket to be closed", [&] { return taken(one) == 0; });
  }
}

}  // namespace
}  // namespace netns
