// SPDX-License-Identifier: GPL-2.0-or-later
// FW: what rules of nftables look up or send: routes and addresses, numbers of connections, refusals. All of it is that of the
// namespace of the rule.
#include "fixtures/nftables.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <poll.h>

#include "fixtures/net_namespace.h"
#include "fixtures/rtnl.h"
#include "fixtures/sockets.h"
#include "fixtures/topology.h"
#include "harness/assertions.h"
#include "harness/registration.h"
#include "suites/support/firewall.h"
#include "suites/support/in_namespace.h"
#include "suites/support/nft_expressions.h"

namespace netns {
namespace {

/// "fib daddr type"
Expression TypeOfDestination() {
  return Fib(NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_DADDR);
}
/// "ct count over N"
Expression ConnectionsOver(std::uint32_t count) {
  return {"connlimit", [count](Request& r) { r.Be32(1 /* NFTA_CONNLIMIT_COUNT */, count).Be32(2 /* NFTA_CONNLIMIT_FLAGS */, 1 /* INV */); }};
}
Expression Reject(std::uint32_t type) {
  return {"reject", [type](Request& r) {
            r.Be32(NFTA_REJECT_TYPE, type);
            if (type == NFT_REJECT_ICMPX_UNREACH) r.U8(NFTA_REJECT_ICMP_CODE, NFT_REJECT_ICMPX_PORT_UNREACH);
          }};
}
NftBatch& Rule(NftBatch& batch, const char* chain, const std::vector<Expression>& expressions, int family = NFPROTO_INET) {
  return AddRule(batch, "t", chain, expressions, family);
}
/// The packets of all rules that count, in their order.
std::vector<std::uint64_t> Counts(Nftables& nft) {
  std::vector<std::uint64_t> counts;
  for (const NftRule& rule : SETUP_OK(nft.Rules(NFPROTO_INET)))
    if (rule.counter) counts.push_back(rule.packets);
  return counts;
}
Deadline Soon() { return Deadline::In(std::chrono::seconds(10)); }

// nft(8), reject: the refusal is sent where the rule is. (Somebody listens: without the rule nothing is refused.)
void Refusals(bool six) {
  auto client = NetNamespace::Create(), server = NetNamespace::Create();
  SETUP_OK(VethPair::Between(client, server, six ? VethPairOptions{.west4 = "", .east4 = ""} : VethPairOptions{.west6 = "", .east6 = ""}));
  const std::string host = six ? "2001:db8::2" : "192.0.2.2";
  const Fd tcp = SETUP_OK(TcpListen(server, Inet(host, 8081))), udp = SETUP_OK(UdpBind(server, Inet(host, 8082)));
  const auto datagram = [&]() -> Result<bool> {
    ASSIGN_OR_RETURN(const Fd socket, client.Socket(six ? AF_INET6 : AF_INET, SOCK_DGRAM));
    RETURN_IF_ERROR(Connect(socket, Inet(host, 8082)));
    RETURN_IF_ERROR(Send(socket, "x"));
    pollfd either[] = {{udp.get(), POLLIN, 0}, {socket.get(), POLLIN, 0}};
    if (::poll(either, 2, Soon().PollMs()) <= 0) return Error{ETIMEDOUT, "waiting for the datagram or its refusal"};
    RETURN_IF_ERROR(Receive(Readable(udp) ? udp : socket));
    return true;
  };
  EXPECT_OK(TcpConnect(client, Inet(host, 8081), Soon())) << "control: without a rule";
  EXPECT_THAT(datagram(), Holds(true)) << "control: without a rule";
  auto nft = SETUP_OK(Nftables::In(server));
  NftBatch batch;
  batch.AddTable(NFPROTO_INET, "t").AddChain({.table = "t", .name = "in", .hook = NF_INET_LOCAL_IN});
  Rule(batch, "in", To(IPPROTO_TCP, 8081) + std::vector<Expression>{Counter(), Reject(NFT_REJECT_TCP_RST)});
  Rule(batch, "in", To(IPPROTO_UDP, 8082) + std::vector<Expression>{Counter(), Reject(NFT_REJECT_ICMPX_UNREACH)});
  NeedsNftables(nft.Commit(batch), "a rule that rejects");
  EXPECT_THAT(TcpConnect(client, Inet(host, 8081), Soon()), FailsWith(ECONNREFUSED)) << "nft(8), reject with tcp reset: the reset did not come from the namespace of the rule";
  EXPECT_THAT(datagram(), FailsWith(ECONNREFUSED)) << "nft(8), reject: the ICMP error did not come from the namespace of the rule";
  for (std::uint64_t count : Counts(nft)) EXPECT_GT(count, 0u) << "control: the rules were asked";
}
NETNS_TEST(Fw, RefusalsAreSentInTheNamespaceOfTheRuleOverIpv4, Covers("FW-02"), Needs(Config("NF_TABLES"), Config("NF_TABLES_INET"), Config("NFT_REJECT"), Config("VETH"))) {
  Refusals(false);
}
NETNS_TEST(Fw, RefusalsAreSentInTheNamespaceOfTheRuleOverIpv6, Covers("FW-02"),
           Needs(Config("NF_TABLES"), Config("NF_TABLES_INET"), Config("NFT_REJECT"), Config("VETH"), Config("IPV6"))) {
  Refusals(true);
}

// nft(8), fib: "fib daddr type local": of the addresses of the namespace. Here it has the address, there it has a route to it.
void LocalAddresses(bool six) {
  auto before = NetNamespace::Create(), here = NetNamespace::Create(), there = NetNamespace::Create();
  const std::string address = six ? "2001:db8:77::77" : "198.51.100.77", prefix = six ? "/128" : "/32";
  std::vector<Nftables> nft;
  for (auto [ns, own] : {std::pair{&before, false}, {&here, true}, {&there, false}}) {
    LoopbackUp(*ns);
    auto rtnl = RtnlIn(*ns);
    if (own) {
      SETUP_OK(rtnl.AddAddress(address + prefix, "lo", {.nodad = six}));
    } else {
      AddPair(rtnl, "eth0", "eth1");
      SETUP_OK(rtnl.Up("eth0"));
      SETUP_OK(rtnl.Up("eth1"));
      SETUP_OK(WaitUntilUp(*ns, "eth0"));
      SETUP_OK(rtnl.AddAddress(six ? "2001:db8::1/64" : "192.0.2.1/24", "eth0", {.nodad = six}));
      SETUP_OK(rtnl.AddRoute({.to = address + prefix, .dev = "eth0"}));
      SETUP_OK(rtnl.AddNeighbour({.to = address, .address = "02:00:00:00:00:77", .dev = "eth0"}));
    }
    nft.push_back(SETUP_OK(Nftables::In(*ns)));
    NftBatch batch;
    batch.AddTable(NFPROTO_INET, "t").AddChain({.table = "t", .name = "out", .hook = NF_INET_LOCAL_OUT});
    Rule(batch, "out", To(IPPROTO_UDP, 7001) + std::vector<Expression>{Counter()});
    Rule(batch, "out", To(IPPROTO_UDP, 7001) + std::vector<Expression>{TypeOfDestination(), Equals(std::uint32_t{RTN_LOCAL}), Counter()});
    NeedsNftables(nft.back().Commit(batch), "a rule that asks for the type of an address");
    const Fd sender = SETUP_OK(ns->Socket(six ? AF_INET6 : AF_INET, SOCK_DGRAM));
    SETUP_OK(Eventually("the address to be reached", [&] { return SendTo(sender, "x", Inet(address, 7001)).ok(); }));
    const auto counts = Counts(nft.back());
    ASSERT_EQ(counts.size(), 2u) << "control";
    EXPECT_GT(counts[0], 0u) << "control: the packet was seen";
    EXPECT_EQ(counts[1] > 0, own) << "nft(8), fib daddr type: " << (own ? "an address of the namespace is not local" : "an address of another namespace is local");
  }
}
NETNS_TEST(Fw, RulesAskForTheIpv4AddressesOfTheirNamespace, Covers("FW-02", "STACK-07"),
           Needs(Config("NF_TABLES"), Config("NF_TABLES_INET"), Config("NFT_FIB_INET"), Config("VETH"))) {
  LocalAddresses(false);
}
NETNS_TEST(Fw, RulesAskForTheIpv6AddressesOfTheirNamespace, Covers("FW-02", "STACK-07"),
           Needs(Config("NF_TABLES"), Config("NF_TABLES_INET"), Config("NFT_FIB_INET"), Config("VETH"), Config("IPV6"))) {
  LocalAddresses(true);
}

// nft(8), ct count: "number of current connections": of the namespace. Equal ones of another do not count.
void CountedConnections(bool six) {
  auto before = NetNamespace::Create(), here = NetNamespace::Create(), after = NetNamespace::Create();
  const char* loopback = six ? kLoopback6 : kLoopback4;
  std::vector<Fd> open;
  for (auto* ns : {&here, &before, &after}) {
    LoopbackUp(*ns);
    auto nft = SETUP_OK(Nftables::In(*ns));
    NftBatch batch;
    batch.AddTable(NFPROTO_INET, "t").AddChain({.table = "t", .name = "in", .hook = NF_INET_LOCAL_IN});
    Rule(batch, "in", To(IPPROTO_TCP, 8083) + std::vector<Expression>{ConnectionsOver(2), Counter(), Reject(NFT_REJECT_TCP_RST)});
    NeedsNftables(nft.Commit(batch), "a rule that counts connections");
    open.push_back(SETUP_OK(TcpListen(*ns, Inet(loopback, 8083))));
    for (int i = 0; i < 2; ++i) {
      auto connection = TcpConnect(*ns, Inet(loopback, 8083), Soon());
      ASSERT_OK(connection) << "nft(8), ct count over 2: connection " << i + 1 << " of this namespace; those of another were counted";
      open.push_back(SETUP_OK(std::move(connection)));
    }
    EXPECT_THAT(TcpConnect(*ns, Inet(loopback, 8083), Soon()), FailsWith(ECONNREFUSED)) << "nft(8), ct count over 2: the third; the connections of this namespace were not counted";
  }
}
NETNS_TEST(Fw, CountedIpv4ConnectionsAreThoseOfTheNamespace, Covers("FW-20", "FW-07"),
           Needs(Config("NF_TABLES"), Config("NF_TABLES_INET"), Config("NFT_CONNLIMIT"), Config("NFT_REJECT"))) {
  CountedConnections(false);
}
NETNS_TEST(Fw, CountedIpv6ConnectionsAreThoseOfTheNamespace, Covers("FW-20", "FW-07"),
           Needs(Config("NF_TABLES"), Config("NF_TABLES_INET"), Config("NFT_CONNLIMIT"), Config("NFT_REJECT"), Config("IPV6"))) {
  CountedConnections(true);
}

// Documentation/networking/tproxy.rst: packets to foreign addresses are given to a local socket, which is looked up among those
// of the namespace. Two routers do it at the same time, with equal ports.
NETNS_TEST(Fw, TransparentProxiesAreThoseOfTheNamespace, Covers("FW-02", "SOCK-22"),
           Needs(Config("NF_TABLES"), Config("NF_TABLES_IPV4"), Config("NFT_TPROXY"), Config("NFT_SOCKET"), Config("VETH"), Config("IP_MULTIPLE_TABLES"))) {
  struct Side {
    NetNamespace client = NetNamespace::Create(), router = NetNamespace::Create();
    Fd listener;
  };
  const auto set_mark = [](std::uint32_t mark) {
    return std::vector<Expression>{
        {"immediate", [mark](Request& r) { r.Be32(NFTA_IMMEDIATE_DREG, NFT_REG_1).Nest(NFTA_IMMEDIATE_DATA, [mark](Request& data) { data.Structure(NFTA_DATA_VALUE, mark); }); }},
        {"meta", [](Request& r) { r.Be32(NFTA_META_KEY, NFT_META_MARK).Be32(NFTA_META_SREG, NFT_REG_1); }}};
  };
  const Expression transparent{"socket", [](Request& r) { r.Be32(NFTA_SOCKET_KEY, NFT_SOCKET_TRANSPARENT).Be32(NFTA_SOCKET_DREG, NFT_REG_1); }};
  const std::uint16_t proxy_port = htons(8081);
  const std::vector<Expression> to_proxy = {
      {"immediate", [=](Request& r) { r.Be32(NFTA_IMMEDIATE_DREG, NFT_REG_2).Nest(NFTA_IMMEDIATE_DATA, [=](Request& data) { data.Structure(NFTA_DATA_VALUE, proxy_port); }); }},
      {"tproxy", [](Request& r) { r.Be32(NFTA_TPROXY_FAMILY, NFPROTO_IPV4).Be32(NFTA_TPROXY_REG_PORT, NFT_REG_2); }}};
  std::vector<Side> sides(2);
  for (Side& side : sides) {
    SETUP_OK(VethPair::Between(side.client, side.router, {.west6 = "", .east6 = ""}));
    SETUP_OK(RtnlIn(side.client).AddRoute({.to = "203.0.113.0/24", .via = "192.0.2.2"}));
    auto rtnl = RtnlIn(side.router);
    SETUP_OK(rtnl.AddRule({.table = 100, .mark = 1}));
    SETUP_OK(rtnl.AddRoute({.to = "0.0.0.0/0", .dev = "lo", .table = 100, .type = RTN_LOCAL}));
    for (const char* device : {"all", "east"}) SETUP_OK(side.router.SetSysctl(std::string("net/ipv4/conf/") + device + "/rp_filter", "0"));
    side.listener = SETUP_OK(side.router.Socket(AF_INET, SOCK_STREAM));
    SETUP_OK(SetSockOpt(side.listener, IPPROTO_IP, IP_TRANSPARENT, 1));
    SETUP_OK(Bind(side.listener, Inet("0.0.0.0", 8081)));
    SETUP_OK(Listen(side.listener));
    auto nft = SETUP_OK(Nftables::In(side.router));
    NftBatch batch;
    batch.AddTable(NFPROTO_IPV4, "t").AddChain({.family = NFPROTO_IPV4, .table = "t", .name = "pre", .hook = NF_INET_PRE_ROUTING, .priority = -150});
    const auto rule = [&](const std::vector<Expression>& expressions) { Rule(batch, "pre", expressions, NFPROTO_IPV4); };
    rule(std::vector<Expression>{Meta(NFT_META_L4PROTO), Equals(std::uint8_t{IPPROTO_TCP}), transparent, Equals(std::uint8_t{1})} + set_mark(1));
    rule(To(IPPROTO_TCP, 80) + to_proxy + set_mark(1));
    NeedsNftables(nft.Commit(batch), "rules for a transparent proxy");
  }
  for (Side& side : sides) {
    SCOPED_TRACE(&side == &sides[0] ? "the older one" : "the younger one");
    auto connection = TcpConnect(side.client, Inet("203.0.113.9", 80), Soon());
    ASSERT_OK(connection) << "tproxy.rst: the proxy of this namespace was not found";
    auto accepted = Accept(side.listener, Soon());
    ASSERT_OK(accepted) << "tproxy.rst: the connection did not come to the proxy of this namespace";
    EXPECT_THAT(GetSockName(*accepted), Holds(Inet("203.0.113.9", 80))) << "control: it was for another";
    ASSERT_OK(Send(*connection, "through"));
    EXPECT_THAT(ReceiveExactly(*accepted, 7, Soon()), Holds("through")) << "nft(8), socket transparent: the socket of this namespace was not found";
  }
}

}  // namespace
}  // namespace netns
