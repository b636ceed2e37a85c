// SPDX-License-Identifier: GPL-2.0-or-later
// FW: connection tracking: entries, settings, events and expectations are of one namespace.
#include "fixtures/nftables.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include <set>
#include <sstream>

#include "fixtures/net_namespace.h"
#include "fixtures/netfilter.h"
#include "fixtures/nic.h"
#include "fixtures/rtnl.h"
#include "fixtures/sockets.h"
#include "fixtures/topology.h"
#include "harness/assertions.h"
#include "harness/kernel_config.h"
#include "harness/registration.h"
#include "suites/support/conntrack_tuple.h"
#include "suites/support/firewall.h"
#include "suites/support/in_namespace.h"
#include "suites/support/many_requests.h"
#include "suites/support/netfilter_request.h"

namespace netns {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::Gt;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Le;
using testing::Not;
using testing::SizeIs;

constexpr std::uint32_t kSeenReply = IPS_SEEN_REPLY;

/// Has a namespace track its connections: a chain of type nat asks for it, whether one of its rules ever matches or not.
void Track(const NetNamespace& ns) {
  auto nft = SETUP_OK(Nftables::In(ns));
  NeedsNftables(nft.Commit(NftBatch()
                               .AddTable(NFPROTO_INET, "track")
                               .AddChain({.table = "track", .name = "post", .hook = NF_INET_POST_ROUTING, .priority = 100, .type = "nat"})
                               .AddRule({.table = "track", .chain = "post", .oif = "none-such", .nat = NftNat{}})),
                "a rule that has connections tracked");
}

/// The value of a step over ctnetlink: MISS where the kernel has none.
template <class T>
T NeedsCtnetlink(Result<T> result, const char* step) {
  if (!result.ok() && (result.code() == EINVAL || NotCompiledIn(result.code())))
    throw MissingNeed("needs-config:NF_CT_NETLINK", "connection tracking cannot be reached by netlink: " + result.error().ToString());
  return SetupOk(std::move(result), step);
}

Conntrack ConntrackOf(const NetNamespace& ns) {
  auto conntrack = SETUP_OK(Conntrack::In(ns));
  NeedsCtnetlink(conntrack.Flows(), "list connections");
  return conntrack;
}

/// Lines of /proc/net/nf_conntrack with a text; -1 where the kernel has no such file.
int Listed(const NetNamespace& ns, const std::string& text, const char* file = "nf_conntrack") {
  auto content = ns.ReadProcNet(file);
  if (!content.ok()) return -1;
  int count = 0;
  std::istringstream lines(*content);
  for (std::string line; std::getline(lines, line);)
    if (line.find(text) != std::string::npos) ++count;
  return count;
}

/// Two sockets with fixed ports on loopback, that talk over UDP or TCP.
struct Talk {
  const NetNamespace& ns;
  SockAddr client_at, server_at;
  bool tcp;
  Fd client = {}, server = {};

  Talk(const NetNamespace& where, const char* loopback, bool stream, std::uint16_t port = 7001)
      : ns(where), client_at(Inet(loopback, port)), server_at(Inet(loopback, static_cast<std::uint16_t>(port + 1))), tcp(stream) {
    const int type = tcp ? SOCK_STREAM : SOCK_DGRAM;
    client = SETUP_OK(ns.Socket(client_at.family(), type));
    server = SETUP_OK(ns.Socket(server_at.family(), type));
    SETUP_OK(Bind(client, client_at));
    SETUP_OK(Bind(server, server_at));
    if (tcp) SETUP_OK(Listen(server));
  }
  /// The first packet of the connection, and over TCP the two others of its opening.
  void Open() {
    if (tcp) {
      SETUP_OK(Connect(client, server_at));
    } else {
      SETUP_OK(SendTo(client, "x", server_at));
      SETUP_OK(Receive(server));
    }
  }
  void Answer() {
    SETUP_OK(SendTo(server, "y", client_at));
    SETUP_OK(Receive(client));
  }
};

auto From(const SockAddr& client) {
  return AllOf(Field("src", &Flow::src, client.ip()), Field("sport", &Flow::sport, client.port()));
}

// network_namespaces(7): firewall state is of one namespace; so are the connections that it knows.
void ConnectionsAreSeparate(const char* loopback, bool tcp) {
  auto before = NetNamespace::Create(), a = NetNamespace::Create(), b = NetNamespace::Create();
  auto creator = NetNamespace::Current();
  for (auto* ns : {&before, &a, &b, &creator}) {
    LoopbackUp(*ns);
    Track(*ns);
  }
  auto of_before = ConntrackOf(before), of_a = ConntrackOf(a), of_b = ConntrackOf(b), of_creator = ConntrackOf(creator);
  auto hears_a = SETUP_OK(MonitorConntrack(a)), hears_b = SETUP_OK(MonitorConntrack(b));
  auto count = [](const NetNamespace& ns) { return SETUP_OK(ns.Sysctl("net/netfilter/nf_conntrack_count")); };
  for (auto* each : {&of_before, &of_a, &of_b, &of_creator}) EXPECT_THAT(each->Flows(), Holds(IsEmpty()));
  EXPECT_EQ(count(a), "0");
  EXPECT_EQ(count(b), "0");

  Talk in_a(a, loopback, tcp), in_b(b, loopback, tcp);
  in_a.Open();
  if (!tcp) in_a.Answer();
  const int family = in_a.client_at.family();
  const std::string port = "sport=" + std::to_string(in_a.client_at.port()) + " ";
  ASSERT_OK_AND_ASSIGN(auto known, of_a.Flows());
  ASSERT_THAT(known, ElementsAre(From(in_a.client_at))) << "control: the connection is tracked where it was made";
  EXPECT_EQ(known[0].dport, in_a.server_at.port());
  EXPECT_EQ(known[0].status & kSeenReply, kSeenReply) << "control: its answer was seen";
  EXPECT_THAT(of_a.Flows(family), Holds(SizeIs(1)));
  EXPECT_EQ(count(a), "1");
  EXPECT_THAT(of_b.Flows(), Holds(IsEmpty())) << "a sibling's connection is listed";
  EXPECT_THAT(of_b.Flows(family), Holds(IsEmpty())) << "a sibling's connection is listed among those of its family";
  EXPECT_THAT(of_before.Flows(), Holds(IsEmpty())) << "listed in an older sibling";
  EXPECT_THAT(of_creator.Flows(), Holds(IsEmpty())) << "listed in the creator's namespace";
  auto born = NetNamespace::Create();
  auto of_born = ConntrackOf(born);
  EXPECT_THAT(of_born.Flows(), Holds(IsEmpty())) << "listed in a new namespace";
  EXPECT_EQ(count(b), "0");
  EXPECT_EQ(count(before), "0");
  EXPECT_EQ(count(creator), "0");
  if (int here = Listed(a, port); here >= 0) {
    EXPECT_GT(here, 0) << "control: /proc/net/nf_conntrack";
    for (auto* other : {&b, &before, &creator, &born})
      EXPECT_EQ(Listed(*other, port), 0) << "/proc/net/nf_conntrack of another namespace lists it";
  }

  // The same addresses and ports once more in b: an entry of its own, that starts anew.
  in_b.Open();
  ASSERT_OK_AND_ASSIGN(auto known_b, of_b.Flows());
  ASSERT_THAT(known_b, ElementsAre(From(in_b.client_at))) << "equal connections of two namespaces are two entries";
  if (!tcp) {
    EXPECT_EQ(known_b[0].status & kSeenReply, 0u) << "the entry of the sibling was taken";
  }
  EXPECT_THAT(of_a.Flows(), Holds(SizeIs(1)));
  EXPECT_EQ(count(b), "1");
  if (!tcp) {
    in_b.Answer();
    EXPECT_THAT(of_b.Flows(), Holds(ElementsAre(Field("status", &Flow::status, testing::ResultOf([](std::uint32_t s) { return s & kSeenReply; }, kSeenReply)))));
  }

  // Events: each namespace's listener hears its own only. A second connection is the fence.
  Talk fence_a(a, loopback, false, 7101), fence_b(b, loopback, false, 7101);
  fence_a.Open();
  fence_b.Open();
  auto until_fence = [](RtnlMonitor& monitor) {
    auto heard = SETUP_OK(monitor.Through([](const Message& message) { return ReadFlow(message).sport == 7101; }, "the event of the second connection"));
    std::vector<std::uint16_t> ports;
    for (const Message& message : heard)
      if (message.type() == (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW)) ports.push_back(ReadFlow(message).sport);
    return ports;
  };
  EXPECT_THAT(until_fence(hears_a), ElementsAre(7001, 7101)) << "events of a";
  EXPECT_THAT(until_fence(hears_b), ElementsAre(7001, 7101)) << "events of b";

  // Forgetting is of one namespace too.
  SETUP_OK(of_a.Flush());
  EXPECT_THAT(of_a.Flows(), Holds(IsEmpty())) << "control";
  EXPECT_EQ(count(b), "2") << "a sibling's connections were forgotten";
  EXPECT_THAT(of_b.Flows(), Holds(SizeIs(2)));
  SETUP_OK(hears_a.Until([](const Message& message) { return message.type() == (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE); }, "the end of a connection"));
  Talk last_b(b, loopback, false, 7201);
  last_b.Open();
  auto seen_b = SETUP_OK(hears_b.Through([](const Message& message) { return ReadFlow(message).sport == 7201; }, "the event of the third connection"));
  for (const Message& message : seen_b)
    EXPECT_NE(message.type(), NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE) << "the end of a sibling's connection was announced here";
}
const bool connections = [] {
  for (bool six : {false, true})
    for (bool tcp : {false, true})
      RegisterBody("Fw", std::string("ConnectionsAreTrackedPerNamespace/") + (six ? "Ipv6" : "Ipv4") + (tcp ? "Stream" : "Datagram"), __FILE__, __LINE__,
                   [=] { ConnectionsAreSeparate(six ? kLoopback6 : kLoopback4, tcp); }, Covers("FW-07"),
                   Needs(Config("NF_TABLES"), Config("NF_TABLES_INET"), Config("NFT_NAT"), Config("NFT_MASQ"), Config("NF_CT_NETLINK"), Config(six ? "IPV6" : "INET")));
  return true;
}();

// A packet that crosses leaves the entry of the sender's namespace behind: the receiver's namespace makes its own.
NETNS_TEST(Fw, PacketThatCrossesIsTrackedAnew, Covers("FW-07", "VETH-22"),
           Needs(Config("NF_TABLES"), Config("NF_TABLES_INET"), Config("NFT_NAT"), Config("NFT_MASQ"), Config("NF_CT_NETLINK"), Config("VETH"))) {
  auto a = NetNamespace::Create(), b = NetNamespace::Create(), c = NetNamespace::Create();
  for (auto* ns : {&a, &b, &c}) Track(*ns);
  auto of_a = ConntrackOf(a), of_b = ConntrackOf(b), of_c = ConntrackOf(c);
  const bool ipv6 = a.HasSysctl("net/ipv6/conf/all/forwarding");
  VethPairOptions options;
  if (!ipv6) options.west6 = options.east6 = "";
  auto pair = NeedsConfig("VETH", VethPair::Between(a, b, options), "a veth pair");
  for (bool six : {false, true}) {
    if (six && !ipv6) continue;
    SCOPED_TRACE(six ? "IPv6" : "IPv4");
    const auto west = Inet(six ? "2001:db8::1" : "192.0.2.1", 7301), east = Inet(six ? "2001:db8::2" : "192.0.2.2", 7302);
    // In both directions, since the two ends need not be treated alike.
    struct Way { const NetNamespace *from, *to; Conntrack *known_from, *known_to; SockAddr source, target; };
    for (const Way& way : {Way{&a, &b, &of_a, &of_b, west, east}, Way{&b, &a, &of_b, &of_a, east.WithPort(7303), west.WithPort(7304)}}) {
      Fd sender = SETUP_OK(UdpBind(*way.from, way.source)), receiver = SETUP_OK(UdpBind(*way.to, way.target));
      SETUP_OK(SendTo(sender, "x", way.target));
      SETUP_OK(Receive(receiver));
      EXPECT_THAT(way.known_from->Flows(), Holds(Contains(From(way.source)))) << "control: tracked by the sender's namespace";
      EXPECT_THAT(way.known_to->Flows(), Holds(Contains(AllOf(From(way.source), Field("status", &Flow::status, testing::ResultOf([](std::uint32_t s) { return s & kSeenReply; }, 0u))))))
          << "not tracked by the receiver's namespace: it took the sender's entry along";
      SETUP_OK(SendTo(receiver, "y", way.source));
      SETUP_OK(Receive(sender));
      for (Conntrack* known : {way.known_from, way.known_to})
        EXPECT_THAT(known->Flows(), Holds(Contains(AllOf(From(way.source), Field("status", &Flow::status, testing::ResultOf([](std::uint32_t s) { return s & kSeenReply; }, kSeenReply))))));
    }
  }
  EXPECT_THAT(of_c.Flows(), Holds(IsEmpty())) << "listed in a namespace that the packets did not pass";
}

// nf_conntrack-sysctl.rst: the time-outs and switches of a namespace act on its own connections.
NETNS_TEST(Fw, ConntrackSettingsActOnConnectionsOfTheirNamespace, Covers("FW-08"),
           Needs(Config("NF_TABLES"), Config("NF_TABLES_INET"), Config("NFT_NAT"), Config("NFT_MASQ"), Config("NF_CT_NETLINK"))) {
  auto before = NetNamespace::Create(), a = NetNamespace::Create(), after = NetNamespace::Create();
  for (auto* ns : {&before, &a, &after}) {
    LoopbackUp(*ns);
    Track(*ns);
  }
  auto of_before = ConntrackOf(before), of_a = ConntrackOf(a), of_after = ConntrackOf(after);
  const std::string timeout = "net/netfilter/nf_conntrack_udp_timeout", count = "net/netfilter/nf_conntrack_acct";
  const std::string usual = SETUP_OK(before.Sysctl(timeout)), counts = SETUP_OK(before.Sysctl(count));
  SETUP_OK(a.SetSysctl(timeout, "5000"));
  SETUP_OK(a.SetSysctl(count, counts == "0" ? "1" : "0"));
  auto born = NetNamespace::Create();
  for (auto* other : {&before, &after, &born}) {
    EXPECT_THAT(other->Sysctl(timeout), Holds(usual));
    EXPECT_THAT(other->Sysctl(count), Holds(counts));
  }
  for (const char* loopback : {kLoopback4, kLoopback6}) {
    if (loopback == kLoopback6 && !a.HasSysctl("net/ipv6/conf/lo")) continue;
    for (auto* ns : {&before, &a, &after}) {
      Talk talk(*ns, loopback, false);
      talk.Open();
    }
  }
  auto counted = [](const NetNamespace& ns) {
    auto socket = SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER))));
    Request dump(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET);
    dump.Header(nfgenmsg{});
    int with = 0;
    for (const Message& message : SETUP_OK(socket.Dump(dump)))
      if (message.AttributesAfter<nfgenmsg>().Has(CTA_COUNTERS_ORIG)) ++with;
    return with;
  };
  auto times = [](Conntrack& conntrack) {
    std::vector<std::uint32_t> all;
    for (const Flow& flow : SETUP_OK(conntrack.Flows())) all.push_back(flow.timeout);
    return all;
  };
  EXPECT_THAT(times(of_a), testing::Each(Gt(1000u))) << "control: the time-out that was set";
  for (Conntrack* other : {&of_before, &of_after}) {
    EXPECT_THAT(times(*other), AllOf(Not(IsEmpty()), testing::Each(Le(static_cast<std::uint32_t>(std::stoul(usual))))))
        << "the time-out of another namespace acts here";
  }
  const bool on = counts == "0";
  EXPECT_EQ(counted(a) > 0, on) << "control: counters as they were switched";
  EXPECT_EQ(counted(before) > 0, !on);
  EXPECT_EQ(counted(after) > 0, !on);
}

// The same towards the initial namespace, which a setting is most likely to leak into.
NETNS_TEST(Fw, ConntrackSettingsDoNotReachTheInitialNamespace, Covers("FW-08"), Needs(Machine(), Config("NF_CONNTRACK")), Exclusive{}) {
  auto initial = InitialNetNamespace();
  auto ns = NetNamespace::Create();
  int compared = 0;
  for (const char* name : {"acct", "checksum", "log_invalid", "timestamp", "tcp_be_liberal", "tcp_loose", "tcp_max_retrans", "generic_timeout",
                           "icmp_timeout", "icmpv6_timeout", "udp_timeout", "udp_timeout_stream", "tcp_timeout_established", "tcp_timeout_close"}) {
    const std::string file = std::string("net/netfilter/nf_conntrack_") + name;
    if (!ns.HasSysctl(file) || !initial.HasSysctl(file)) continue;
    SCOPED_TRACE(file);
    const std::string there = SETUP_OK(initial.Sysctl(file)), here = SETUP_OK(ns.Sysctl(file));
    const std::string other = here == "0" ? "1" : here == "1" ? "0" : "77";
    SETUP_OK(ns.SetSysctl(file, other));
    EXPECT_THAT(ns.Sysctl(file), Holds(other)) << "control";
    EXPECT_THAT(initial.Sysctl(file), Holds(there)) << "a write in a namespace changed the initial one";
    // And back: a leak may show only then.
    SETUP_OK(ns.SetSysctl(file, here));
    EXPECT_THAT(initial.Sysctl(file), Holds(there));
    const std::string set = there == "0" ? "1" : there == "1" ? "0" : "78";
    SETUP_OK(initial.SetSysctl(file, set));
    EXPECT_THAT(ns.Sysctl(file), Holds(here)) << "a write in the initial namespace changed another one";
    SETUP_OK(initial.SetSysctl(file, there));
    ++compared;
  }
  if (compared == 0) throw MissingNeed("needs-config:NF_CONNTRACK", "the kernel has no settings of connection tracking");
}

// --- Expectations and helpers -----------------------------------------------------------------------------------------

void Tuple(Request& request, int type, const char* from, const char* to, std::uint16_t sport, std::uint16_t dport) {
  NestTuple(request, type, IPPROTO_TCP, from, to, sport, dport);
}

/// A connection that a helper looks after, and one that it expects to come of it.
Request ConnectionWithHelper() {
  Request add = NetfilterRequest(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL, "add a connection with a helper");
  Tuple(add, CTA_TUPLE_ORIG, "192.0.2.21", "192.0.2.22", 4021, 21);
  Tuple(add, CTA_TUPLE_REPLY, "192.0.2.22", "192.0.2.21", 21, 4021);
  add.Be32(CTA_TIMEOUT, 600).Be32(CTA_STATUS, IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED);
  add.Nest(CTA_PROTOINFO, [](Request& info) { info.Nest(CTA_PROTOINFO_TCP, [](Request& tcp) { tcp.U8(CTA_PROTOINFO_TCP_STATE, 3); }); });
  add.Nest(CTA_HELP, [](Request& help) { help.Text(CTA_HELP_NAME, "ftp"); });
  return add;
}
Request ExpectedConnection() {
  Request add = NetfilterRequest(NFNL_SUBSYS_CTNETLINK_EXP, IPCTNL_MSG_EXP_NEW, NLM_F_CREATE | NLM_F_EXCL, "expect a connection");
  Tuple(add, CTA_EXPECT_MASTER, "192.0.2.21", "192.0.2.22", 4021, 21);
  Tuple(add, CTA_EXPECT_TUPLE, "192.0.2.22", "192.0.2.21", 0, 4999);
  Tuple(add, CTA_EXPECT_MASK, "255.255.255.255", "255.255.255.255", 0, 0xffff);
  add.Be32(CTA_EXPECT_TIMEOUT, 600);
  return add;
}
/// Makes the connection with the helper; MISS where the kernel has no such helper.
void AddConnectionWithHelper(NetlinkSocket& in) {
  Status made = in.Ack(ConnectionWithHelper());
  if (made.code() == EINVAL || made.code() == EOPNOTSUPP || made.code() == EAGAIN)
    throw MissingNeed("needs-config:NF_CONNTRACK_FTP", "no connection with a helper can be made: " + made.error().ToString());
  SETUP_OK(std::move(made));
}

NETNS_TEST(Fw, ExpectationsArePerNamespace, Covers("FW-24"), Needs(Config("NF_CT_NETLINK"), Config("NF_CONNTRACK_FTP"))) {
  auto before = NetNamespace::Create(), a = NetNamespace::Create(), b = NetNamespace::Create();
  auto in_before = NetfilterIn(before), in_a = NetfilterIn(a), in_b = NetfilterIn(b);
  auto list = [](NetlinkSocket& from) {
    return SETUP_OK(from.Dump(NetfilterRequest(NFNL_SUBSYS_CTNETLINK_EXP, IPCTNL_MSG_EXP_GET, 0, "list expectations"))).size();
  };
  AddConnectionWithHelper(in_a);
  EXPECT_THAT(in_b.Ack(ExpectedConnection()), FailsWith(ENOENT)) << "the connection of a sibling can be expected upon";
  ASSERT_OK(in_a.Ack(ExpectedConnection()));
  EXPECT_EQ(list(in_a), 1u) << "control";
  EXPECT_EQ(list(in_b), 0u) << "an expectation of a sibling is listed";
  EXPECT_EQ(list(in_before), 0u) << "an expectation of a younger sibling is listed";
  SETUP_OK(in_b.Ack(ConnectionWithHelper()));
  ASSERT_OK(in_b.Ack(ExpectedConnection())) << "the same expectation in another namespace";
  SETUP_OK(in_a.Ack(NetfilterRequest(NFNL_SUBSYS_CTNETLINK_EXP, IPCTNL_MSG_EXP_DELETE, 0, "forget expectations")));
  EXPECT_EQ(list(in_a), 0u) << "control";
  EXPECT_EQ(list(in_b), 1u) << "the expectation of a sibling was forgotten";
  // The end of the connection ends what was expected upon it, here only.
  Track(b);
  SETUP_OK(in_b.Ack(NetfilterRequest(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE, 0, "forget connections")));
  EXPECT_EQ(list(in_b), 0u);
}

/// A place for the connection that is expected: who it comes from and who it goes to are addresses of lo.
struct Expecting {
  NetNamespace ns = NetNamespace::Create();
  NetlinkSocket socket = NetfilterIn(ns);
  Fd listener;

  Expecting() {
    LoopbackUp(ns);
    auto rtnl = RtnlIn(ns);
    for (const char* address : {"192.0.2.21/32", "192.0.2.22/32"}) SETUP_OK(rtnl.AddAddress(address, "lo"));
    Track(ns);
    AddConnectionWithHelper(socket);
    listener = SETUP_OK(TcpListen(ns, Inet("192.0.2.21", 4999)));
  }
  /// Makes a connection as it is expected, from a port; whether it is known as expected.
  bool IsExpected(std::uint16_t port) {
    const Fd client = SETUP_OK(ns.Socket(AF_INET, SOCK_STREAM));
    SETUP_OK(Bind(client, Inet("192.0.2.22", port)));
    SETUP_OK(Connect(client, Inet("192.0.2.21", 4999)));
    auto conntrack = ConntrackOf(ns);
    for (const Flow& flow : SETUP_OK(conntrack.Flows()))
      if (flow.sport == port && flow.dport == 4999) return (flow.status & IPS_EXPECTED) != 0;
    throw SetupFailure("the connection is not tracked", std::source_location::current());
  }
  std::size_t Expectations() {
    return SETUP_OK(socket.Dump(NetfilterRequest(NFNL_SUBSYS_CTNETLINK_EXP, IPCTNL_MSG_EXP_GET, 0, "list expectations"))).size();
  }
};

// conntrack(8): "an expectation in A must not match packets in B". Each has one of its own, so that it is looked for at all.
NETNS_TEST(Fw, ConnectionsAreExpectedInTheirNamespace, Covers("FW-24"),
           Needs(Config("NF_TABLES"), Config("NF_TABLES_INET"), Config("NFT_NAT"), Config("NFT_MASQ"), Config("NF_CT_NETLINK"), Config("NF_CONNTRACK_FTP")), Within{std::chrono::seconds(60)}) {
  constexpr int kOthers = 20;  // of which some share a bucket with the one
  const auto other_port = [](Request add) {
    Tuple(add, CTA_EXPECT_MASTER, "192.0.2.21", "192.0.2.22", 4021, 21);
    Tuple(add, CTA_EXPECT_TUPLE, "192.0.2.22", "192.0.2.21", 0, 4998);
    Tuple(add, CTA_EXPECT_MASK, "255.255.255.255", "255.255.255.255", 0, 0xffff);
    return add.Be32(CTA_EXPECT_TIMEOUT, 600);
  };
  std::vector<Expecting> others(kOthers / 2);
  Expecting here;
  for (int i = 0; i < kOthers / 2; ++i) others.emplace_back();
  for (Expecting& other : others)
    SETUP_OK(other.socket.Ack(other_port(NetfilterRequest(NFNL_SUBSYS_CTNETLINK_EXP, IPCTNL_MSG_EXP_NEW, NLM_F_CREATE | NLM_F_EXCL, "expect another connection"))));
  EXPECT_FALSE(here.IsExpected(5001)) << "control: nothing is expected yet";
  SETUP_OK(here.socket.Ack(ExpectedConnection()));
  for (Expecting& other : others) {
    EXPECT_FALSE(other.IsExpected(5002)) << "a connection was taken for one that another namespace expects";
    EXPECT_EQ(other.Expectations(), 1u) << "its own expectation is gone";
  }
  EXPECT_EQ(here.Expectations(), 1u) << "a connection of another namespace has used up the expectation";
  EXPECT_TRUE(here.IsExpected(5002)) << "the connection that this namespace expects";
  EXPECT_EQ(here.Expectations(), 0u) << "control: it has been used up";
  EXPECT_FALSE(here.IsExpected(5003)) << "control: by one connection";
}

// The same by the file, where the kernel has it.
NETNS_TEST(Fw, TheFileOfExpectationsIsPerNamespace, Covers("FW-24"),
           Needs(Config("NF_CT_NETLINK"), Config("NF_CONNTRACK_FTP"), Config("NF_CONNTRACK_PROCFS"))) {
  auto before = NetNamespace::Create(), a = NetNamespace::Create(), b = NetNamespace::Create();
  auto in_a = NetfilterIn(a);
  AddConnectionWithHelper(in_a);
  SETUP_OK(in_a.Ack(ExpectedConnection()));
  const int here = Listed(a, "dport=4999", "nf_conntrack_expect");
  if (here < 0 && KernelConfig::Running().Value("NF_CONNTRACK_PROCFS") == '?')
    throw MissingNeed("needs-config:NF_CONNTRACK_PROCFS", "there is no /proc/net/nf_conntrack_expect");
  EXPECT_EQ(here, 1) << "control: /proc/net/nf_conntrack_expect";
  EXPECT_EQ(Listed(b, "dport=4999", "nf_conntrack_expect"), 0);
  EXPECT_EQ(Listed(before, "dport=4999", "nf_conntrack_expect"), 0);
}

// --- Equal entries of many namespaces -----------------------------------------------------------------------------------
// Connections of all namespaces are in one table, expectations in another. Of many namespaces some meet in a bucket.

/// A setting of the initial namespace until the end of the test.
class InitialSetting {
 public:
  InitialSetting(std::string file, const std::string& value) : file_(std::move(file)), before_(SETUP_OK(initial_.Sysctl(file_))) { Set(value); }
  InitialSetting(const InitialSetting&) = delete;
  InitialSetting& operator=(const InitialSetting&) = delete;
  ~InitialSetting() { std::ignore = initial_.SetSysctl(file_, before_); }
  void Set(const std::string& value) { SETUP_OK(initial_.SetSysctl(file_, value)); }

 private:
  NetNamespace initial_ = InitialNetNamespace();
  std::string file_, before_;
};

/// The n-th connection, the same in every namespace.
Request NthConnection(int type, std::uint16_t flags, const std::string& what, int n) {
  const auto port = static_cast<std::uint16_t>(2000 + n);
  Request request = NetfilterRequest(NFNL_SUBSYS_CTNETLINK, type, flags, what + " " + std::to_string(n));
  Tuple(request, CTA_TUPLE_ORIG, "192.0.2.31", "192.0.2.32", port, 80);
  if (type == IPCTNL_MSG_CT_NEW) {
    Tuple(request, CTA_TUPLE_REPLY, "192.0.2.32", "192.0.2.31", 80, port);
    request.Be32(CTA_TIMEOUT, 600).Be32(CTA_STATUS, IPS_CONFIRMED | IPS_SEEN_REPLY);
    request.Nest(CTA_PROTOINFO, [](Request& info) { info.Nest(CTA_PROTOINFO_TCP, [](Request& tcp) { tcp.U8(CTA_PROTOINFO_TCP_STATE, 3); }); });
  }
  return request;
}
std::size_t CountConnections(NetlinkSocket& in) {
  return NeedsCtnetlink(in.Dump(NetfilterRequest(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET, 0, "list connections")), "list connections").size();
}

struct Tracker {
  NetNamespace ns = NetNamespace::Create();
  NetlinkSocket socket = NetfilterIn(ns);

  /// The answers to requests about the first `count` connections: which errors there are, each once.
  std::set<std::string> Nth(int type, std::uint16_t flags, const std::string& what, int count, int first = 0) const {
    std::vector<Request> requests;
    for (int n = first; n < first + count; ++n) requests.push_back(NthConnection(type, flags, what, n));
    std::set<std::string> answers;
    for (int answer : SendMany(ns, NETLINK_NETFILTER, requests)) answers.insert(answer == 0 ? "success" : ErrnoName(answer));
    return answers;
  }
  std::uint32_t Counted() {
    const Message answer = SETUP_OK(socket.Get(NetfilterRequest(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET_STATS, 0, "count connections")));
    return ntohl(answer.AttributesAfter<nfgenmsg>().U32(CTA_STATS_GLOBAL_ENTRIES).value_or(~0u));
  }
  /// Gives the first `count` connections a mark: which errors there are.
  std::set<std::string> SetMark(int count, std::uint32_t mark) const {
    std::vector<Request> requests;
    for (int n = 0; n < count; ++n) {
      Request change = NetfilterRequest(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_NEW, 0, "mark connection " + std::to_string(n));
      Tuple(change, CTA_TUPLE_ORIG, "192.0.2.31", "192.0.2.32", static_cast<std::uint16_t>(2000 + n), 80);
      requests.push_back(change.Be32(CTA_MARK, mark));
    }
    std::set<std::string> answers;
    for (int answer : SendMany(ns, NETLINK_NETFILTER, requests)) answers.insert(answer == 0 ? "success" : ErrnoName(answer));
    return answers;
  }
  std::set<std::uint32_t> Marks() const {
    std::set<std::uint32_t> marks;
    auto conntrack = SETUP_OK(Conntrack::In(ns));
    for (const Flow& flow : SETUP_OK(conntrack.Flows())) marks.insert(flow.mark);
    return marks;
  }
  std::set<std::string> Add(int count, int first = 0) const { return Nth(IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL, "add connection", count, first); }
  std::set<std::string> Get(int count) const { return Nth(IPCTNL_MSG_CT_GET, 0, "get connection", count); }
  std::set<std::string> Delete(int count) const { return Nth(IPCTNL_MSG_CT_DELETE, 0, "delete connection", count); }
};
void EqualConnections(std::size_t namespaces, int connections, const std::function<void(const char*)>& resize) {
  std::vector<Tracker> owners(namespaces), strangers(4);
  CountConnections(owners[0].socket);
  for (Tracker& owner : owners) ASSERT_THAT(owner.Add(connections), ElementsAre("success")) << "an equal connection of another namespace is in the way";
  EXPECT_THAT(owners[0].Add(1), ElementsAre("EEXIST")) << "control: an equal one of this namespace";
  const auto all_there = [&](const char* when) {
    SCOPED_TRACE(when);
    for (Tracker& owner : owners) {
      EXPECT_EQ(CountConnections(owner.socket), static_cast<std::size_t>(connections)) << "network_namespaces(7): the connections of its own namespace";
      EXPECT_EQ(owner.Counted(), static_cast<std::uint32_t>(connections)) << "conntrack(8), statistics: the number of connections of its own namespace";
      EXPECT_THAT(owner.Get(connections), ElementsAre("success")) << "network_namespaces(7): a connection of its own namespace is not found";
    }
    for (Tracker& stranger : strangers) {
      EXPECT_EQ(CountConnections(stranger.socket), 0u) << "connections of another namespace are listed";
      EXPECT_EQ(stranger.Counted(), 0u) << "conntrack(8), statistics: connections of another namespace are counted";
      EXPECT_THAT(stranger.Get(connections), ElementsAre("ENOENT")) << "network_namespaces(7): a connection of another namespace is shown";
      EXPECT_THAT(stranger.Delete(connections), ElementsAre("ENOENT")) << "network_namespaces(7): a connection of another namespace can be deleted";
    }
  };
  all_there("as they were made");
  if (resize) {
    resize("4096");
    all_there("after the table has been enlarged");
    resize("512");
    all_there("after the table has been reduced");
  }
  // conntrack(8), -U: what is changed are connections of the namespace.
  EXPECT_THAT(owners[1].SetMark(connections, 7), ElementsAre("success")) << "control: its own";
  for (Tracker& stranger : strangers) EXPECT_THAT(stranger.SetMark(connections, 9), ElementsAre("ENOENT")) << "conntrack(8), -U: a connection of another namespace can be changed";
  const bool marks = KernelConfig::Running().Value("NF_CONNTRACK_MARK") != 'n';
  for (std::size_t i = 0; i < owners.size(); ++i)
    if (marks || i != 1) {
      EXPECT_THAT(owners[i].Marks(), ElementsAre(i == 1 ? 7u : 0u)) << "conntrack(8), -U: " << (i == 1 ? "control: its own" : "equal ones were changed in another namespace");
    }
  EXPECT_THAT(owners[0].Delete(connections), ElementsAre("success")) << "control: its own";
  EXPECT_EQ(CountConnections(owners[0].socket), 0u) << "control";
  for (std::size_t i = 1; i < owners.size(); ++i) EXPECT_EQ(CountConnections(owners[i].socket), static_cast<std::size_t>(connections)) << "equal ones were deleted in another namespace";
}
NETNS_TEST(Fw, EqualConnectionsOfManyNamespacesAreTheirOwn, Covers("FW-07", "PROC-23"), Needs(Config("NF_CT_NETLINK")), Within{std::chrono::seconds(60)}) {
  EqualConnections(8, 150, {});
}
// nf_conntrack-sysctl.rst, nf_conntrack_buckets: the size of the table, which all share.
NETNS_TEST(Fw, ConnectionsStayInTheirNamespaceWhenTheTableIsResized, Covers("FW-07", "FW-08"), Needs(Machine(), Config("NF_CT_NETLINK")), Exclusive{}, Within{std::chrono::seconds(60)}) {
  Tracker first;
  CountConnections(first.socket);
  InitialSetting buckets("net/netfilter/nf_conntrack_buckets", "512");
  EqualConnections(8, 100, [&](const char* size) { buckets.Set(size); });
}
// nf_conntrack-sysctl.rst, nf_conntrack_max: a namespace that is full drops connections of its own.
NETNS_TEST(Fw, AFullNamespaceDropsNoConnectionsOfAnother, Covers("FW-07", "FW-08"), Needs(Machine(), Config("NF_CT_NETLINK")), Exclusive{}, Within{std::chrono::seconds(60)}) {
  Tracker quiet, full, after;
  CountConnections(quiet.socket);
  InitialSetting buckets("net/netfilter/nf_conntrack_buckets", "512");
  InitialSetting limit("net/netfilter/nf_conntrack_max", "100");
  for (Tracker* each : {&quiet, &after}) ASSERT_THAT(each->Add(90), ElementsAre("success"));
  EXPECT_THAT(full.Add(100), ElementsAre("success")) << "control: as many as are allowed";
  const auto refused = full.Add(60, 100);
  EXPECT_THAT(refused, testing::IsSubsetOf({"success", "ENOMEM"}));
  EXPECT_LE(CountConnections(full.socket), 101u) << "control: full";
  EXPECT_GE(CountConnections(full.socket), 80u) << "control: full";
  for (Tracker* each : {&quiet, &after}) EXPECT_EQ(CountConnections(each->socket), 90u) << "nf_conntrack-sysctl.rst: dropped to make room in another namespace";
}

// iptables-extensions(8), SNAT: "Where possible, no port alteration will occur." What another namespace made of the same
// source is nothing to go by.
NETNS_TEST(Fw, EqualSourcesAreTranslatedAsTheirNamespaceSays, Covers("FW-09"), Needs(Config("NF_CT_NETLINK"), Config("NF_NAT")), Within{std::chrono::seconds(60)}) {
  constexpr int kConnections = 150;
  std::vector<Tracker> altering(6), keeping(6);
  CountConnections(altering[0].socket);
  in_addr address{};
  ::inet_pton(AF_INET, "192.0.2.33", &address);
  const auto add = [&](Tracker& in, const std::function<std::pair<std::uint16_t, std::uint16_t>(int)>& range) {
    std::vector<Request> requests;
    for (int n = 0; n < kConnections; ++n) {
      requests.push_back(NthConnection(IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL, "add a translated connection", n));
      requests.back().Nest(CTA_NAT_SRC, [&](Request& nat) {
        nat.U32(CTA_NAT_V4_MINIP, address.s_addr).U32(CTA_NAT_V4_MAXIP, address.s_addr).Nest(CTA_NAT_PROTO, [&](Request& ports) {
          ports.Be16(CTA_PROTONAT_PORT_MIN, range(n).first).Be16(CTA_PROTONAT_PORT_MAX, range(n).second);
        });
      });
    }
    const auto answers = SendMany(in.ns, NETLINK_NETFILTER, requests);
    if (answers.front() == EOPNOTSUPP) throw MissingNeed("needs-config:NF_NAT", "no connection can be translated");
    EXPECT_THAT(answers, testing::Each(0));
  };
  for (Tracker& each : altering)
    add(each, [](int n) { return std::pair(static_cast<std::uint16_t>(5000 + n), static_cast<std::uint16_t>(5000 + n)); });
  for (Tracker& each : keeping)
    add(each, [](int) { return std::pair(std::uint16_t{1024}, std::uint16_t{9000}); });
  const auto ports = [](Tracker& in, int plus) {
    auto conntrack = SETUP_OK(Conntrack::In(in.ns));
    int wrong = 0, right = 0;
    for (const Flow& flow : SETUP_OK(conntrack.Flows())) ++(flow.reply_dst == "192.0.2.33" && flow.reply_dport == flow.sport + plus ? right : wrong);
    return std::pair(right, wrong);
  };
  for (Tracker& each : altering) EXPECT_EQ(ports(each, 3000), std::pair(kConnections, 0)) << "control: the ports that were asked for";
  for (Tracker& each : keeping)
    EXPECT_EQ(ports(each, 0), std::pair(kConnections, 0)) << "iptables-extensions(8): ports that were altered without need, as another namespace has altered them";
}

NETNS_TEST(Fw, EqualExpectationsOfManyNamespacesAreTheirOwn, Covers("FW-24"), Needs(Config("NF_CT_NETLINK"), Config("NF_CONNTRACK_FTP")), Within{std::chrono::seconds(60)}) {
  constexpr int kConnections = 6;
  std::vector<Tracker> owners(10), strangers(4);
  // The helper lets each connection have one.
  const auto connection = [](int n) {
    const auto port = static_cast<std::uint16_t>(4021 + n);
    Request add = NetfilterRequest(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL, "add a connection with a helper");
    Tuple(add, CTA_TUPLE_ORIG, "192.0.2.21", "192.0.2.22", port, 21);
    Tuple(add, CTA_TUPLE_REPLY, "192.0.2.22", "192.0.2.21", 21, port);
    add.Be32(CTA_TIMEOUT, 600).Be32(CTA_STATUS, IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED);
    add.Nest(CTA_PROTOINFO, [](Request& info) { info.Nest(CTA_PROTOINFO_TCP, [](Request& tcp) { tcp.U8(CTA_PROTOINFO_TCP_STATE, 3); }); });
    return add.Nest(CTA_HELP, [](Request& help) { help.Text(CTA_HELP_NAME, "ftp"); });
  };
  const auto expectation = [](int type, std::uint16_t flags, const char* what, int n) {
    Request request = NetfilterRequest(NFNL_SUBSYS_CTNETLINK_EXP, type, flags, what);
    if (type == IPCTNL_MSG_EXP_NEW) Tuple(request, CTA_EXPECT_MASTER, "192.0.2.21", "192.0.2.22", static_cast<std::uint16_t>(4021 + n), 21);
    Tuple(request, CTA_EXPECT_TUPLE, "192.0.2.22", "192.0.2.21", 0, static_cast<std::uint16_t>(4999 + n));
    if (type == IPCTNL_MSG_EXP_NEW) {
      Tuple(request, CTA_EXPECT_MASK, "255.255.255.255", "255.255.255.255", 0, 0xffff);
      request.Be32(CTA_EXPECT_TIMEOUT, 600);
    }
    return request;
  };
  const auto list = [](Tracker& from) {
    return SETUP_OK(from.socket.Dump(NetfilterRequest(NFNL_SUBSYS_CTNETLINK_EXP, IPCTNL_MSG_EXP_GET, 0, "list expectations"))).size();
  };
  AddConnectionWithHelper(strangers[0].socket);  // is there a helper at all
  for (Tracker& owner : owners)
    for (int n = 0; n < kConnections; ++n) {
      SETUP_OK(owner.socket.Ack(connection(n)));
      ASSERT_OK(owner.socket.Ack(expectation(IPCTNL_MSG_EXP_NEW, NLM_F_CREATE | NLM_F_EXCL, "expect a connection", n))) << "an equal expectation of another namespace is in the way";
    }
  for (Tracker& owner : owners) {
    EXPECT_EQ(list(owner), static_cast<std::size_t>(kConnections)) << "the expectations of its own namespace";
    for (int n = 0; n < kConnections; ++n) EXPECT_OK(owner.socket.Get(expectation(IPCTNL_MSG_EXP_GET, 0, "get an expectation", n))) << "control";
  }
  for (Tracker& stranger : strangers) {
    EXPECT_EQ(list(stranger), 0u) << "expectations of another namespace are listed";
    for (int n = 0; n < kConnections; ++n) {
      EXPECT_THAT(stranger.socket.Get(expectation(IPCTNL_MSG_EXP_GET, 0, "get an expectation", n)), FailsWith(ENOENT)) << "an expectation of another namespace is shown";
      EXPECT_THAT(stranger.socket.Ack(expectation(IPCTNL_MSG_EXP_DELETE, 0, "delete an expectation", n)), FailsWith(ENOENT)) << "an expectation of another namespace can be deleted";
    }
  }
  for (int n = 0; n < kConnections; ++n) EXPECT_OK(owners[0].socket.Ack(expectation(IPCTNL_MSG_EXP_DELETE, 0, "delete an expectation", n))) << "control";
  EXPECT_EQ(list(owners[0]), 0u) << "control";
  for (std::size_t i = 1; i < owners.size(); ++i) EXPECT_EQ(list(owners[i]), static_cast<std::size_t>(kConnections)) << "equal ones were deleted in another namespace";
}

}  // namespace
}  // namespace netns
