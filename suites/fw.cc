// SPDX-License-Identifier: GPL-2.0-or-later
// FW: the packet filter of a namespace: nftables, connection tracking, NAT, queues and logs.
#include "fixtures/nftables.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include <arpa/inet.h>

#include "fixtures/net_namespace.h"
#include "fixtures/nic.h"
#include "fixtures/rtnl.h"
#include "fixtures/sockets.h"
#include "fixtures/topology.h"
#include "fixtures/user_namespace.h"
#include "harness/assertions.h"
#include "harness/registration.h"
#include "suites/support/firewall.h"
#include "suites/support/in_namespace.h"

namespace netns {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Eq;
using testing::Field;
using testing::Ge;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

std::vector<std::string> TableNames(Nftables& nft) {
  std::vector<std::string> names;
  for (const auto& table : SETUP_OK(nft.Tables())) names.push_back(std::to_string(table.family) + " " + table.name);
  std::sort(names.begin(), names.end());
  return names;
}
std::vector<std::string> ChainNames(Nftables& nft) {
  std::vector<std::string> names;
  for (const auto& chain : SETUP_OK(nft.Chains())) names.push_back(chain.table + " " + chain.name);
  std::sort(names.begin(), names.end());
  return names;
}
std::vector<std::string> Comments(Nftables& nft) {
  std::vector<std::string> names;
  for (const auto& rule : SETUP_OK(nft.Rules())) names.push_back(rule.table + " " + rule.chain + " " + rule.comment);
  std::sort(names.begin(), names.end());
  return names;
}
std::uint64_t PacketsOf(Nftables& nft, const std::string& comment) {
  for (const auto& rule : SETUP_OK(nft.Rules()))
    if (rule.comment == comment) return rule.packets;
  return 0;
}

// --- Rulesets ---------------------------------------------------------------------------------------------------------

// nft(8): a ruleset is of one namespace; equal names do not collide.
void RulesetsAreSeparate(int family) {
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  auto in_a = SETUP_OK(Nftables::In(a)), in_b = SETUP_OK(Nftables::In(b)), here = SETUP_OK(Nftables::In(NetNamespace::Current()));
  EXPECT_THAT(TableNames(in_a), IsEmpty());
  EXPECT_THAT(TableNames(in_b), IsEmpty());
  auto ruleset = [&](const std::string& mark) {
    return NftBatch()
        .AddTable(family, "t")
        .AddChain({.family = family, .table = "t", .name = "c"})
        .AddRule({.family = family, .table = "t", .chain = "c", .counter = true, .comment = mark})
        .AddRule({.family = family, .table = "t", .chain = "c", .counter = true, .comment = mark + " second"})
        .AddTable(family, "only-" + mark)
        .AddChain({.family = family, .table = "only-" + mark, .name = "chain-" + mark});
  };
  NeedsNftables(in_a.Commit(ruleset("a")), "a ruleset");
  std::string f = std::to_string(family) + " ";
  EXPECT_THAT(TableNames(in_a), ElementsAre(f + "only-a", f + "t")) << "control";
  EXPECT_THAT(TableNames(in_b), IsEmpty()) << "tables of a sibling are listed";
  EXPECT_THAT(ChainNames(in_b), IsEmpty()) << "chains of a sibling are listed";
  EXPECT_THAT(Comments(in_b), IsEmpty()) << "rules of a sibling are listed";
  EXPECT_THAT(TableNames(here), IsEmpty()) << "tables are listed in the creator's namespace";
  EXPECT_THAT(in_a.Commit(NftBatch().AddTable(family, "t")), FailsWith(EEXIST)) << "control: inside one namespace the name is taken";
  EXPECT_THAT(in_b.Commit(NftBatch().AddChain({.family = family, .table = "t", .name = "stray"})), FailsWith(ENOENT))
      << "a table of a sibling can be used";
  ASSERT_OK(in_b.Commit(ruleset("b")));
  EXPECT_THAT(TableNames(in_b), ElementsAre(f + "only-b", f + "t"));
  EXPECT_THAT(ChainNames(in_b), ElementsAre("only-b chain-b", "t c"));
  EXPECT_THAT(Comments(in_b), ElementsAre("t c b", "t c b second"));
  EXPECT_THAT(TableNames(in_a), ElementsAre(f + "only-a", f + "t"));
  EXPECT_THAT(ChainNames(in_a), ElementsAre("only-a chain-a", "t c"));
  EXPECT_THAT(Comments(in_a), ElementsAre("t c a", "t c a second"));
  auto in_new = SETUP_OK(Nftables::In(NetNamespace::Create()));
  EXPECT_THAT(TableNames(in_new), IsEmpty()) << "a new namespace has tables";
  EXPECT_THAT(Comments(in_new), IsEmpty());
  ASSERT_OK(in_a.Commit(NftBatch().DeleteTable(family, "t")));
  EXPECT_THAT(TableNames(in_a), ElementsAre(f + "only-a"));
  EXPECT_THAT(Comments(in_a), IsEmpty());
  EXPECT_THAT(Comments(in_b), ElementsAre("t c b", "t c b second")) << "deleting in a sibling reached here";
  EXPECT_THAT(in_a.Commit(NftBatch().DeleteTable(family, "only-b")), FailsWith(ENOENT));
  ASSERT_OK(in_b.Flush());
  EXPECT_THAT(TableNames(in_a), ElementsAre(f + "only-a")) << "a flush in a sibling reached here";
}
const bool rulesets = [] {
  struct Family { const char* name; int number; const char* config; };
  static const Family families[] = {{"Inet", NFPROTO_INET, "NF_TABLES_INET"}, {"Ip", NFPROTO_IPV4, "NF_TABLES_IPV4"}, {"Ip6", NFPROTO_IPV6, "NF_TABLES_IPV6"},
                                    {"Arp", NFPROTO_ARP, "NF_TABLES_ARP"}, {"Bridge", NFPROTO_BRIDGE, "NF_TABLES_BRIDGE"}, {"Netdev", NFPROTO_NETDEV, "NF_TABLES_NETDEV"}};
  for (const Family& family : families)
    RegisterBody("Fw", std::string("NftablesRulesetsAreSeparate/") + family.name, __FILE__, __LINE__, [&family] { RulesetsAreSeparate(family.number); },
                 Covers("FW-01", "FW-03"), Needs(Config("NF_TABLES"), Config(family.config)));
  return true;
}();

// A commit in one namespace is none in another: the generation that dumps are checked against.
NETNS_TEST(Fw, GenerationsArePerNamespace, Covers("FW-22"), Needs(Config("NF_TABLES"), Config("NF_TABLES_INET"))) {
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  auto in_a = SETUP_OK(Nftables::In(a)), in_b = SETUP_OK(Nftables::In(b));
  std::uint32_t before_a = NeedsNftables(in_a.Generation(), "NFT_MSG_GETGEN"), before_b = SETUP_OK(in_b.Generation());
  for (int i = 0; i < 3; ++i) SETUP_OK(in_a.Commit(NftBatch().AddTable(NFPROTO_INET, "t" + std::to_string(i))));
  EXPECT_GE(SETUP_OK(in_a.Generation()), before_a + 3) << "control";
  EXPECT_THAT(in_b.Generation(), Holds(Eq(before_b)));
  std::uint32_t now_a = SETUP_OK(in_a.Generation());
  SETUP_OK(in_b.Commit(NftBatch().AddTable(NFPROTO_INET, "t")));
  EXPECT_THAT(in_a.Generation(), Holds(Eq(now_a)));
}

// --- Packets ----------------------------------------------------------------------------------------------------------

/// An input chain that counts and drops what goes to a port, and one that only counts it.
NftBatch DropPort(std::uint8_t protocol, std::uint16_t port, bool drop) {
  NftRule rule{.table = "t", .chain = "in", .protocol = protocol, .dport = port, .counter = true, .comment = "port"};
  if (drop) rule.verdict = NF_DROP;
  return NftBatch().AddTable(NFPROTO_INET, "t").AddChain({.table = "t", .name = "in", .hook = NF_INET_LOCAL_IN}).AddRule(rule);
}

void RulesActInTheirNamespace(const char* loopback, bool tcp) {
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  LoopbackUp(a);
  LoopbackUp(b);
  auto in_a = SETUP_OK(Nftables::In(a)), in_b = SETUP_OK(Nftables::In(b));
  constexpr std::uint16_t kPort = 8081;
  const SockAddr at = Inet(loopback, kPort);
  // One listener for the whole test: binding again would meet the connections in TIME_WAIT.
  Fd listener_a, listener_b;
  if (tcp) {
    listener_a = SETUP_OK(TcpListen(a, at));
    listener_b = SETUP_OK(TcpListen(b, at));
  }
  // A connection that is open, with both ends knowing it, sends nothing more that could be counted late.
  std::vector<Fd> ends;
  auto passes = [&](const NetNamespace& ns, const Fd& listener, Deadline deadline = Deadline::OfTest()) -> Status {
    if (!tcp) return UdpTalks(ns, ns, at, 10, deadline);
    ASSIGN_OR_RETURN(Fd client, TcpConnect(ns, at, deadline));
    ends.push_back(std::move(client));
    ASSIGN_OR_RETURN(Fd server, Accept(listener, deadline));
    ends.push_back(std::move(server));
    return Ok();
  };
  const auto soon = [] { return Deadline::In(std::chrono::milliseconds(300)); };
  ASSERT_OK(passes(a, listener_a)) << "control: without rules";
  std::uint8_t protocol = tcp ? IPPROTO_TCP : IPPROTO_UDP;
  NeedsNftables(in_a.Commit(DropPort(protocol, kPort, true)), "a rule that drops");
  SETUP_OK(in_b.Commit(DropPort(protocol, kPort, false)));
  ASSERT_OK(passes(b, listener_b)) << "the rule of a sibling acts here";
  EXPECT_EQ(PacketsOf(in_a, "port"), 0u) << "a packet of a sibling was counted";
  std::uint64_t counted = PacketsOf(in_b, "port");
  EXPECT_GE(counted, 1u) << "control";
  if (tcp) {
    EXPECT_THAT(passes(a, listener_a, soon()), FailsWith(ETIMEDOUT)) << "control: dropped";
  } else {
    EXPECT_FALSE(DatagramArrives(a, loopback, kPort)) << "control: dropped";
  }
  EXPECT_GE(PacketsOf(in_a, "port"), 1u) << "control: the rule has met the packet";
  EXPECT_EQ(PacketsOf(in_b, "port"), counted) << "a packet of a sibling was counted";
  ASSERT_OK(passes(b, listener_b)) << "the rule of a sibling acts here once it has met a packet";
  auto born = NetNamespace::Create();
  LoopbackUp(born);
  Fd listener_born;
  if (tcp) listener_born = SETUP_OK(TcpListen(born, at));
  EXPECT_OK(passes(born, listener_born)) << "the rule acts in a namespace that is made afterwards";
  SETUP_OK(in_a.Flush());
  EXPECT_OK(passes(a, listener_a)) << "control: the rules are gone";
}
const bool packets = [] {
  for (bool six : {false, true})
    for (bool tcp : {false, true})
      RegisterBody("Fw", std::string("RulesActOnlyOnPacketsOfTheirNamespace/") + (six ? "Ipv6" : "Ipv4") + (tcp ? "Stream" : "Datagram"), __FILE__, __LINE__,
                   [=] { RulesActInTheirNamespace(six ? kLoopback6 : kLoopback4, tcp); }, Covers("FW-02"),
                   Needs(Config("NF_TABLES"), Config("NF_TABLES_INET"), Config(six ? "IPV6" : "INET")));
  return true;
}();

// A kernel that forgets about namespaces runs the rules of the initial one.
NETNS_TEST(Fw, RulesOfTheInitialNamespaceActOnlyThere, Covers("FW-02", "FW-03"),
           Needs(Machine(), Config("NF_TABLES"), Config("NF_TABLES_INET")), Exclusive{}) {
  constexpr std::uint16_t kPort = 8091;
  auto initial = InitialNetNamespace(), bare = NetNamespace::Create(), ruled = NetNamespace::Create();
  for (auto* ns : {&initial, &bare, &ruled}) LoopbackUp(*ns);
  auto in_initial = SETUP_OK(Nftables::In(initial)), in_ruled = SETUP_OK(Nftables::In(ruled));
  std::vector<const char*> loopbacks = {kLoopback4};
  if (bare.HasSysctl("net/ipv6/conf/lo")) loopbacks.push_back(kLoopback6);
  for (const char* loopback : loopbacks) EXPECT_TRUE(DatagramArrives(initial, loopback, kPort)) << "control: before";
  NeedsNftables(in_initial.Commit(DropPort(IPPROTO_UDP, kPort, true)), "a rule that drops");
  struct Emptied {
    ~Emptied() { std::ignore = nft.Flush(); }
    Nftables& nft;
  } emptied{in_initial};
  SETUP_OK(in_ruled.Commit(DropPort(IPPROTO_UDP, 9, true)));
  for (bool again : {false, true}) {
    // Of each chain there are two versions, of which a namespace takes turns with every transaction of its own.
    if (again) SETUP_OK(in_initial.Commit(NftBatch().AddTable(NFPROTO_INET, "turn")));
    for (const char* loopback : loopbacks) {
      SCOPED_TRACE(loopback);
      EXPECT_TRUE(DatagramArrives(bare, loopback, kPort)) << "the rule of the initial namespace acts in one without rules";
      EXPECT_TRUE(DatagramArrives(ruled, loopback, kPort)) << "the rule of the initial namespace acts in one with rules of its own";
    }
  }
  EXPECT_EQ(PacketsOf(in_initial, "port"), 0u) << "a packet of another namespace was counted";
  for (const char* loopback : loopbacks) EXPECT_FALSE(DatagramArrives(initial, loopback, kPort)) << "control: dropped in the initial namespace";
  EXPECT_EQ(PacketsOf(in_initial, "port"), loopbacks.size()) << "control";
}

NETNS_TEST(Fw, NewNamespaceAcceptsWhatItsCreatorDrops, Covers("FW-03"), Needs(Config("NF_TABLES"), Config("NF_TABLES_INET"))) {
  auto creator = NetNamespace::Current();
  LoopbackUp(creator);
  ASSERT_OK(UdpTalks(creator, creator, Inet(kLoopback4, 8082), 10));
  // Where a module has all namespaces tracked (openvswitch did until Linux 6.8), nobody's rules are needed for it.
  const auto tracked = creator.Sysctl("net/netfilter/nf_conntrack_count");
  auto nft = SETUP_OK(Nftables::In(creator));
  NeedsNftables(nft.Commit(NftBatch()
                               .AddTable(NFPROTO_INET, "t")
                               .AddChain({.table = "t", .name = "in", .hook = NF_INET_LOCAL_IN, .policy = NF_DROP})
                               .AddChain({.table = "t", .name = "out", .hook = NF_INET_LOCAL_OUT, .policy = NF_DROP})
                               .AddChain({.table = "t", .name = "forward", .hook = NF_INET_FORWARD, .policy = NF_DROP})),
                "chains that drop");
  auto born = NetNamespace::Create();
  Actor nested = StartElsewhere("nested");
  auto born_below = SETUP_OK(NetNamespace::OfPid(nested.pid()));
  for (auto* ns : {&born, &born_below}) {
    auto in_new = ns == &born ? SETUP_OK(Nftables::In(*ns)) : nested.Run([] { return SETUP_OK(Nftables::In(NetNamespace::Current())); });
    EXPECT_THAT(TableNames(in_new), IsEmpty());
    EXPECT_THAT(ChainNames(in_new), IsEmpty());
    LoopbackUp(*ns);
    EXPECT_OK(UdpTalks(*ns, *ns, Inet(kLoopback4, 8082), 10));
    EXPECT_OK(TcpTalks(*ns, *ns, Inet(kLoopback4, 8082), 10));
    if (ns->HasSysctl("net/ipv6/conf/lo")) {
      EXPECT_OK(TcpTalks(*ns, *ns, Inet(kLoopback6, 8082), 10));
    }
    if (tracked.ok() && *tracked == "0") {
      EXPECT_THAT(ns->Sysctl("net/netfilter/nf_conntrack_count"), Holds(Eq("0")));
    }
  }
  EXPECT_THAT(UdpTalks(creator, creator, Inet(kLoopback4, 8082), 10, Deadline::In(std::chrono::milliseconds(300))), Not(Succeeds()))
      << "control: the creator drops it";
}

/// Three namespaces in a row: left - router - right.
struct Row {
  NetNamespace left = NetNamespace::Create(), router = NetNamespace::Create(), right = NetNamespace::Create();
  Row() {
    auto l = RtnlIn(left), m = RtnlIn(router), r = RtnlIn(right);
    NeedsConfig("VETH", m.AddVeth("west", PeerSpec{.name = "up", .netns_fd = left.fd()}), "a veth pair");
    SETUP_OK(m.AddVeth("east", PeerSpec{.name = "up", .netns_fd = right.fd()}));
    ipv6 = router.HasSysctl("net/ipv6/conf/all/forwarding");
    SETUP_OK(router.SetSysctl("net/ipv4/ip_forward", "1"));
    if (ipv6) SETUP_OK(router.SetSysctl("net/ipv6/conf/all/forwarding", "1"));
    struct End { Rtnl* rtnl; const char *device, *four, *six; };
    for (const End& end : {End{&m, "west", "192.0.2.1/24", "2001:db8:1::1/64"}, End{&m, "east", "198.51.100.1/24", "2001:db8:2::1/64"},
                           End{&l, "up", "192.0.2.2/24", "2001:db8:1::2/64"}, End{&r, "up", "198.51.100.2/24", "2001:db8:2::2/64"}}) {
      SETUP_OK(end.rtnl->Up(end.device));
      SETUP_OK(end.rtnl->AddAddress(end.four, end.device));
      if (ipv6) SETUP_OK(end.rtnl->AddAddress(end.six, end.device, {.nodad = true}));
    }
    for (const char* device : {"west", "east"}) SETUP_OK(WaitUntilUp(router, device));
    for (const NetNamespace* ns : {&left, &right}) SETUP_OK(WaitUntilUp(*ns, "up"));
    SETUP_OK(l.AddRoute({.to = "198.51.100.0/24", .via = "192.0.2.1"}));
    SETUP_OK(r.AddRoute({.to = "192.0.2.0/24", .via = "198.51.100.1"}));
    if (ipv6) {
      SETUP_OK(l.AddRoute({.to = "2001:db8:2::/64", .via = "2001:db8:1::1"}));
      SETUP_OK(r.AddRoute({.to = "2001:db8:1::/64", .via = "2001:db8:2::1"}));
    }
    // Once all know their neighbours nothing is lost: a kernel joins the groups of new IPv6 addresses some time later.
    for (const char* to : {"198.51.100.2", "2001:db8:2::2"})
      if (to[0] == '1' || ipv6) SETUP_OK(Eventually(std::string(to) + " to be reached", [&] { return Ping(left, to, {.deadline = Deadline::In(std::chrono::seconds(1))}).ok(); }));
  }
  bool ipv6 = false;
};

NftBatch CountAt(std::uint32_t hook, bool drop = false) {
  NftRule rule{.table = "t", .chain = "c", .protocol = IPPROTO_UDP, .dport = 9000, .counter = true, .comment = "seen"};
  if (drop) rule.verdict = NF_DROP;
  return NftBatch().AddTable(NFPROTO_INET, "t").AddChain({.table = "t", .name = "c", .hook = hook}).AddRule(rule);
}

NETNS_TEST(Fw, PacketsAreFilteredInEveryNamespaceTheyTraverse, Covers("FW-10"), Needs(Config("NF_TABLES"), Config("NF_TABLES_INET"), Config("VETH"))) {
  Row row;
  auto left = SETUP_OK(Nftables::In(row.left)), router = SETUP_OK(Nftables::In(row.router)), right = SETUP_OK(Nftables::In(row.right));
  NeedsNftables(left.Commit(CountAt(NF_INET_LOCAL_OUT)), "a counting rule");
  SETUP_OK(router.Commit(CountAt(NF_INET_FORWARD)));
  SETUP_OK(right.Commit(CountAt(NF_INET_LOCAL_IN)));
  std::uint64_t sent = 0;
  for (bool six : {false, true}) {
    if (six && !row.ipv6) continue;
    SCOPED_TRACE(six ? "IPv6" : "IPv4");
    auto to = Inet(six ? "2001:db8:2::2" : "198.51.100.2", 9000);
    Fd receiver = SETUP_OK(UdpBind(row.right, to)), sender = SETUP_OK(row.left.Socket(six ? AF_INET6 : AF_INET, SOCK_DGRAM));
    for (int i = 0; i < 5; ++i) {
      // Until neighbours are known datagrams may wait, but none is lost.
      SETUP_OK(SendTo(sender, "x", to));
      ASSERT_OK(Receive(receiver));
      ++sent;
      EXPECT_EQ(PacketsOf(left, "seen"), sent);
      EXPECT_EQ(PacketsOf(router, "seen"), sent);
      EXPECT_EQ(PacketsOf(right, "seen"), sent);
    }
  }
  // A rule in the middle stops it there.
  SETUP_OK(router.Flush());
  SETUP_OK(router.Commit(CountAt(NF_INET_FORWARD, true)));
  std::uint64_t stopped = 0;
  for (bool six : {false, true}) {
    if (six && !row.ipv6) continue;
    SCOPED_TRACE(six ? "IPv6" : "IPv4");
    auto to = Inet(six ? "2001:db8:2::2" : "198.51.100.2", 9000);
    Fd receiver = SETUP_OK(UdpBind(row.right, to)), fence = SETUP_OK(UdpBind(row.right, to.WithPort(9001)));
    Fd sender = SETUP_OK(row.left.Socket(six ? AF_INET6 : AF_INET, SOCK_DGRAM));
    SETUP_OK(SendTo(sender, "x", to));
    SETUP_OK(SendTo(sender, "x", to.WithPort(9001)));
    ASSERT_OK(Receive(fence)) << "control: another port still passes";
    EXPECT_FALSE(Readable(receiver));
    ++stopped;
    EXPECT_EQ(PacketsOf(left, "seen"), sent + stopped);
    EXPECT_EQ(PacketsOf(router, "seen"), stopped);
    EXPECT_EQ(PacketsOf(right, "seen"), sent) << "a packet that was dropped in the middle arrived";
  }
  // And so does one at either end.
  SETUP_OK(router.Flush());
  SETUP_OK(right.Flush());
  SETUP_OK(right.Commit(CountAt(NF_INET_LOCAL_IN, true)));
  for (bool at_the_sender : {false, true}) {
    if (at_the_sender) {
      SETUP_OK(right.Flush());
      SETUP_OK(left.Flush());
      SETUP_OK(left.Commit(CountAt(NF_INET_LOCAL_OUT, true)));
    }
    for (bool six : {false, true}) {
      if (six && !row.ipv6) continue;
      SCOPED_TRACE(std::string(six ? "IPv6" : "IPv4") + (at_the_sender ? ", dropped where it is sent" : ", dropped where it arrives"));
      auto to = Inet(six ? "2001:db8:2::2" : "198.51.100.2", 9000);
      Fd receiver = SETUP_OK(UdpBind(row.right, to)), fence = SETUP_OK(UdpBind(row.right, to.WithPort(9001)));
      Fd sender = SETUP_OK(row.left.Socket(six ? AF_INET6 : AF_INET, SOCK_DGRAM));
      EXPECT_EQ(SendTo(sender, "x", to).code(), at_the_sender ? EPERM : 0);
      SETUP_OK(SendTo(sender, "x", to.WithPort(9001)));
      ASSERT_OK(Receive(fence)) << "control: another port still passes";
      EXPECT_FALSE(Readable(receiver)) << "a packet that was dropped arrived";
    }
  }
}

NETNS_TEST(Fw, NatTranslatesOnlyPacketsOfItsNamespace, Covers("FW-09"), Needs(Config("NF_TABLES"), Config("NF_TABLES_INET"), Config("NFT_NAT"), Config("NFT_MASQ"), Config("VETH"))) {
  for (bool six : {false, true}) {
    Row with, without;
    if (six && !with.ipv6) continue;
    SCOPED_TRACE(six ? "IPv6" : "IPv4");
    auto nat = SETUP_OK(Nftables::In(with.router));
    NeedsNftables(nat.Commit(NftBatch()
                                 .AddTable(NFPROTO_INET, "t")
                                 .AddChain({.table = "t", .name = "post", .hook = NF_INET_POST_ROUTING, .priority = 100, .type = "nat"})
                                 .AddRule({.table = "t", .chain = "post", .oif = "east", .nat = NftNat{}})),
                  "a rule that masquerades");
    auto to = Inet(six ? "2001:db8:2::2" : "198.51.100.2", 9000);
    const char *own = six ? "2001:db8:1::2" : "192.0.2.2", *routers = six ? "2001:db8:2::1" : "198.51.100.1";
    struct Case { Row* row; const char* expected; };
    for (const Case& one : {Case{&with, routers}, Case{&without, own}}) {
      // The same ports in both: allocations do not collide.
      Fd receiver = SETUP_OK(UdpBind(one.row->right, to)), sender = SETUP_OK(UdpBind(one.row->left, Inet(own, 7777)));
      ASSERT_OK(SendTo(sender, "x", to));
      ASSERT_OK_AND_ASSIGN(auto got, Receive(receiver));
      EXPECT_EQ(got.from.ip(), one.expected);
      EXPECT_EQ(got.from.port(), 7777);
      ASSERT_OK(SendTo(receiver, "answer", got.from));
      ASSERT_OK_AND_ASSIGN(auto answer, Receive(sender));
      EXPECT_EQ(answer.from.ip(), six ? "2001:db8:2::2" : "198.51.100.2");
    }
    SETUP_OK(nat.Flush());
    Fd receiver = SETUP_OK(UdpBind(with.right, to.WithPort(9002))), sender = SETUP_OK(UdpBind(with.left, Inet(own, 7778)));
    ASSERT_OK(SendTo(sender, "x", to.WithPort(9002)));
    ASSERT_OK_AND_ASSIGN(auto got, Receive(receiver));
    EXPECT_EQ(got.from.ip(), own) << "control: without the rule the sender's own address is seen";
  }
}

// nft(8), dnat and redirect: the destination is changed by the rules of the namespace that the packet passes; an older and a
// younger router beside it get the same packets.
void DestinationsAreChangedWhereTheRuleIs(bool six, NftNat::Kind kind) {
  const bool redirect = kind == NftNat::Kind::kRedirect;
  Row older, younger;
  if (six && !older.ipv6) throw MissingNeed("needs-config:IPV6", "no IPv6", "CONFIG_IPV6");
  const char *own = six ? "2001:db8:1::2" : "192.0.2.2", *router = six ? "2001:db8:1::1" : "192.0.2.1", *right = six ? "2001:db8:2::2" : "198.51.100.2";
  std::uint16_t port = 7900;
  for (Row* ruled : {&older, &younger}) {
    SCOPED_TRACE(ruled == &older ? "the rule is in the older one" : "the rule is in the younger one");
    Row* other = ruled == &older ? &younger : &older;
    auto nft = SETUP_OK(Nftables::In(ruled->router));
    const NftNat nat = redirect ? NftNat{.kind = kind, .port = 9200} : NftNat{.kind = kind, .address = right, .port = 9200};
    NeedsNftables(nft.Commit(NftBatch()
                                 .AddTable(NFPROTO_INET, "t")
                                 .AddChain({.table = "t", .name = "pre", .hook = NF_INET_PRE_ROUTING, .priority = -100, .type = "nat"})
                                 .AddRule({.table = "t", .chain = "pre", .protocol = IPPROTO_UDP, .dport = 9000, .nat = nat})),
                  "a rule that changes destinations");
    for (Row* row : {other, ruled}) {
      const Fd asked = SETUP_OK(UdpBind(row->router, Inet(router, 9000))), given = SETUP_OK(UdpBind(redirect ? row->router : row->right, Inet(redirect ? router : right, 9200)));
      const Fd sender = SETUP_OK(UdpBind(row->left, Inet(own, ++port)));
      SETUP_OK(SendTo(sender, "x", Inet(router, 9000)));
      const auto got = Receive(row == ruled ? given : asked, Deadline::In(std::chrono::seconds(10)));
      ASSERT_OK(got) << (row == ruled ? "nft(8): the rule of this namespace did not act" : "nft(8): the rule of another namespace acts here");
      EXPECT_EQ(got->from, Inet(own, port));
      SETUP_OK(SendTo(row == ruled ? given : asked, "answer", got->from));
      const auto answer = Receive(sender, Deadline::In(std::chrono::seconds(10)));
      ASSERT_OK(answer);
      EXPECT_EQ(answer->from, Inet(router, 9000)) << "the answer comes from where it was sent to";
    }
    SETUP_OK(nft.Flush());
  }
}
const bool destinations = [] {
  for (bool six : {false, true})
    for (bool redirect : {false, true})
      RegisterBody("Fw", std::string("DestinationsAreChangedWhereTheRuleIs/") + (redirect ? "Redirect" : "Dnat") + (six ? "Ipv6" : "Ipv4"), __FILE__, __LINE__,
                   [=] { DestinationsAreChangedWhereTheRuleIs(six, redirect ? NftNat::Kind::kRedirect : NftNat::Kind::kDestination); }, Covers("FW-09"),
                   Needs(Config("NF_TABLES"), Config("NF_TABLES_INET"), Config("NFT_NAT"), Config(redirect ? "NFT_REDIR" : "NFT_NAT"), Config("VETH"), Config(six ? "IPV6" : "INET")));
  return true;
}();

// --- Devices ----------------------------------------------------------------------------------------------------------

NftBatch IngressOf(const std::string& device, const std::string& name) {
  return NftBatch()
      .AddTable(NFPROTO_NETDEV, name)
      .AddChain({.family = NFPROTO_NETDEV, .table = name, .name = "in", .hook = NF_NETDEV_INGRESS, .device = device})
      .AddRule({.family = NFPROTO_NETDEV, .table = name, .chain = "in", .counter = true, .verdict = NF_DROP, .comment = name});
}

NETNS_TEST(Fw, IngressHookLeavesADeviceThatMovesAway, Covers("FW-18"), Needs(Config("NF_TABLES"), Config("NF_TABLES_NETDEV"), Config("VETH"))) {
  auto a = NetNamespace::Create(), b = NetNamespace::Create(), c = NetNamespace::Create();
  auto in_a = RtnlIn(a), in_b = RtnlIn(b), in_c = RtnlIn(c);
  NeedsConfig("VETH", in_a.AddVeth("mover", PeerSpec{.name = "peer", .netns_fd = c.fd()}), "a veth pair");
  SETUP_OK(in_a.Up("mover"));
  SETUP_OK(in_c.Up("peer"));
  SETUP_OK(in_a.AddAddress("192.0.2.1/24", "mover"));
  SETUP_OK(in_c.AddAddress("192.0.2.2/24", "peer"));
  ASSERT_OK(UdpTalks(c, a, Inet("192.0.2.1", 9000), 10)) << "control: without the hook";
  auto nft = SETUP_OK(Nftables::In(a));
  NeedsNftables(nft.Commit(IngressOf("mover", "hook")), "a netdev chain");
  Fd sender = SETUP_OK(c.Socket(AF_INET, SOCK_DGRAM));
  std::uint64_t before = PacketsOf(nft, "hook");
  SETUP_OK(SendTo(sender, "x", Inet("192.0.2.1", 9000)));
  ASSERT_EVENTUALLY("the hook to drop the datagram", [&] { return PacketsOf(nft, "hook") > before; });
  SETUP_OK(in_a.MoveLink("mover", ByFd(b.fd())));
  SETUP_OK(in_b.Up("mover"));
  SETUP_OK(in_b.AddAddress("192.0.2.1/24", "mover"));
  std::uint64_t left = PacketsOf(nft, "hook");
  EXPECT_OK(UdpTalks(c, b, Inet("192.0.2.1", 9000), 10)) << "the hook went along with the device";
  EXPECT_EQ(PacketsOf(nft, "hook"), left) << "the hook still counts";
  auto nft_b = SETUP_OK(Nftables::In(b));
  EXPECT_THAT(TableNames(nft_b), IsEmpty());
}

NETNS_TEST(Fw, IngressHookNeverAttachesToADeviceOfAnotherNamespace, Covers("FW-19"), Needs(Config("NF_TABLES"), Config("NF_TABLES_NETDEV"), Config("VETH"))) {
  auto a = NetNamespace::Create(), b = NetNamespace::Create(), c = NetNamespace::Create();
  auto in_b = RtnlIn(b), in_c = RtnlIn(c);
  NeedsConfig("VETH", in_b.AddVeth("only-in-b", PeerSpec{.name = "peer", .netns_fd = c.fd()}), "a veth pair");
  SETUP_OK(in_b.Up("only-in-b"));
  SETUP_OK(in_c.Up("peer"));
  SETUP_OK(in_b.AddAddress("192.0.2.1/24", "only-in-b"));
  SETUP_OK(in_c.AddAddress("192.0.2.2/24", "peer"));
  auto nft_a = SETUP_OK(Nftables::In(a)), nft_b = SETUP_OK(Nftables::In(b));
  // Newer kernels take the name of a device that may come later; older ones say ENOENT.
  auto named = nft_a.Commit(IngressOf("only-in-b", "foreign"));
  EXPECT_THAT(named.code(), AnyOf(0, ENOENT, EOPNOTSUPP));
  EXPECT_OK(UdpTalks(c, b, Inet("192.0.2.1", 9000), 10)) << "a chain of another namespace drops packets of this device";
  EXPECT_EQ(PacketsOf(nft_a, "foreign"), 0u);
  NeedsNftables(nft_b.Commit(IngressOf("only-in-b", "own")), "a netdev chain");
  Fd sender = SETUP_OK(c.Socket(AF_INET, SOCK_DGRAM));
  SETUP_OK(SendTo(sender, "x", Inet("192.0.2.1", 9000)));
  EXPECT_EVENTUALLY("control: the device's own namespace counts it", [&] { return PacketsOf(nft_b, "own") >= 1; });
}

// --- Queues and logs --------------------------------------------------------------------------------------------------

/// A socket that owns queue 5 of a namespace, and is given what its packets are, not the packets.
Fd OwnQueue(const NetNamespace& ns) {
  Fd socket = SETUP_OK(ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER));
  SETUP_OK(Bind(socket, NetlinkAddress(0)));
  BindQueue(socket, 5);
  nfqnl_msg_config_params params{};
  params.copy_mode = NFQNL_COPY_META;
  nfgenmsg header{};
  header.res_id = htons(5);
  Request config(NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_CONFIG);
  config.Header(header).Structure(NFQA_CFG_PARAMS, params);
  SendRaw(socket, config);
  return socket;
}
NETNS_TEST(Fw, QueuedPacketsGoToTheListenerOfTheirNamespace, Covers("FW-11"), Needs(Config("NF_TABLES"), Config("NF_TABLES_INET"), Config("NFT_QUEUE"), Config("NETFILTER_NETLINK_QUEUE"))) {
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  Fd of_a = OwnQueue(a), of_b = OwnQueue(b);
  for (auto* ns : {&a, &b}) {
    LoopbackUp(*ns);
    auto nft = SETUP_OK(Nftables::In(*ns));
    NeedsNftables(nft.Commit(NftBatch()
                                 .AddTable(NFPROTO_INET, "t")
                                 .AddChain({.table = "t", .name = "in", .hook = NF_INET_LOCAL_IN})
                                 .AddRule({.table = "t", .chain = "in", .protocol = IPPROTO_UDP, .dport = 9000, .queue = 5})),
                  "a rule that queues");
  }
  Fd sender = SETUP_OK(a.Socket(AF_INET, SOCK_DGRAM));
  SETUP_OK(SendTo(sender, "x", Inet(kLoopback4, 9000)));
  ASSERT_OK(WaitFor(of_a.get(), POLLIN, Deadline::In(std::chrono::seconds(10)), "a queued packet")) << "control";
  EXPECT_FALSE(Readable(of_b)) << "a packet of a sibling was queued to this listener";
  Fd other = SETUP_OK(b.Socket(AF_INET, SOCK_DGRAM));
  SETUP_OK(SendTo(other, "x", Inet(kLoopback4, 9000)));
  EXPECT_OK(WaitFor(of_b.get(), POLLIN, Deadline::In(std::chrono::seconds(10)), "a queued packet"));
}

/// A queue, its owner's socket, and what a packet that waits there is waited for by.
struct Queue {
  explicit Queue(const NetNamespace& where) : ns(where) {
    LoopbackUp(ns);
    nft = SETUP_OK(Nftables::In(ns));
    NeedsNftables(nft->Commit(NftBatch()
                                  .AddTable(NFPROTO_INET, "t")
                                  .AddChain({.table = "t", .name = "in", .hook = NF_INET_LOCAL_IN})
                                  .AddRule({.table = "t", .chain = "in", .protocol = IPPROTO_UDP, .dport = 9000, .queue = 5})),
                  "a rule that queues");
    socket = OwnQueue(ns);
    receiver = SETUP_OK(UdpBind(ns, Inet(kLoopback4, 9000)));
    sender = SETUP_OK(ns.Socket(AF_INET, SOCK_DGRAM));
  }
  /// Sends a datagram; the number that its packet has in the queue.
  std::uint32_t Enqueue() {
    SETUP_OK(SendTo(sender, "x", Inet(kLoopback4, 9000)));
    const std::string data = SETUP_OK(Receive(socket)).data;
    const Message message(std::as_bytes(std::span(data)));
    const auto packet = message.AttributesAfter<nfgenmsg>().Structure<nfqnl_msg_packet_hdr>(NFQA_PACKET_HDR);
    if (!packet) throw SetupFailure("what came is no queued packet", std::source_location::current());
    return ntohl(packet->packet_id);
  }
  /// NF_ACCEPT for a packet: the kernel's answer.
  int Accept(std::uint32_t packet) {
    nfgenmsg header{};
    header.res_id = htons(5);
    nfqnl_msg_verdict_hdr verdict{};
    verdict.verdict = htonl(NF_ACCEPT);
    verdict.id = htonl(packet);
    Request request(NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_VERDICT, NLM_F_ACK);
    request.Header(header).Structure(NFQA_VERDICT_HDR, verdict);
    SendRaw(socket, request);
    const std::string data = SETUP_OK(Receive(socket)).data;
    return -Message(std::as_bytes(std::span(data))).Header<nlmsgerr>().error;
  }
  const NetNamespace& ns;
  std::optional<Nftables> nft;
  Fd socket, receiver, sender;
};

// net/netfilter/nfnetlink_queue.c: packets of a device that goes down are dropped from the queues, those of the device's namespace.
NETNS_TEST(Fw, QueuedPacketsOutliveDevicesAndVerdictsOfOtherNamespaces, Covers("FW-11"),
           Needs(Config("NF_TABLES"), Config("NF_TABLES_INET"), Config("NFT_QUEUE"), Config("NETFILTER_NETLINK_QUEUE"))) {
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  Queue of_a(a), of_b(b);
  for (auto [waits, other, which] : {std::tuple(&of_a, &of_b, "the older"), std::tuple(&of_b, &of_a, "the younger")}) {
    SCOPED_TRACE(std::string("a packet waits in ") + which + " namespace");
    const std::uint32_t packet = waits->Enqueue();
    EXPECT_EQ(other->Accept(packet), ENOENT) << "a verdict on a packet of another namespace";
    EXPECT_FALSE(Readable(waits->receiver)) << "a verdict of another namespace let the packet pass";
    // Its loopback has the same index as the one of the packet.
    auto rtnl = RtnlIn(other->ns);
    SETUP_OK(rtnl.Down("lo"));
    SETUP_OK(rtnl.Up("lo"));
    EXPECT_EQ(waits->Accept(packet), 0) << "a device of another namespace went down, and the packet is gone";
    EXPECT_OK(Receive(waits->receiver, Deadline::In(std::chrono::seconds(10)))) << "the packet did not outlive a device of another namespace";
    const std::uint32_t lost = waits->Enqueue();
    auto own = RtnlIn(waits->ns);
    SETUP_OK(own.Down("lo"));
    EXPECT_EQ(waits->Accept(lost), ENOENT) << "control: its own device went down";
    SETUP_OK(own.Up("lo"));
  }
}

void NumbersArePerNamespace(bool queue) {
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  auto bind = [&](const NetNamespace& ns) {
    auto socket = SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER))));
    Status bound = socket.Ack(queue ? QueueBind(5) : LogBind(5));
    if (bound.code() == EINVAL)
      throw MissingNeed(queue ? "needs-config:NETFILTER_NETLINK_QUEUE" : "needs-config:NETFILTER_NETLINK_LOG", "nfnetlink has no such subsystem");
    return std::make_pair(std::move(socket), std::move(bound));
  };
  auto [first, ok_a] = bind(a);
  ASSERT_OK(std::move(ok_a));
  auto [second, taken] = bind(a);
  EXPECT_THAT(taken, FailsWith(EPERM)) << "control: inside one namespace the number is taken";
  auto [third, ok_b] = bind(b);
  EXPECT_THAT(ok_b, Succeeds()) << "the number is taken by a sibling";
  auto [fourth, ok_new] = bind(NetNamespace::Create());
  EXPECT_THAT(ok_new, Succeeds()) << "the number is taken in a new namespace";
  auto [fifth, ok_here] = bind(NetNamespace::Current());
  EXPECT_THAT(ok_here, Succeeds()) << "the number is taken in the creator's namespace";
}
NETNS_TEST(Fw, QueueNumbersArePerNamespace, Covers("FW-11"), Needs(Config("NETFILTER_NETLINK_QUEUE"))) { NumbersArePerNamespace(true); }
NETNS_TEST(Fw, LogGroupsArePerNamespace, Covers("FW-12"), Needs(Config("NETFILTER_NETLINK_LOG"))) { NumbersArePerNamespace(false); }

NETNS_TEST(Fw, LoggedPacketsGoToTheListenerOfTheirNamespace, Covers("FW-12"), Needs(Config("NF_TABLES"), Config("NF_TABLES_INET"), Config("NFT_LOG"), Config("NETFILTER_NETLINK_LOG"))) {
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  auto hear = [&](const NetNamespace& ns) {
    Fd socket = SETUP_OK(ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER));
    SETUP_OK(Bind(socket, NetlinkAddress(0)));
    SendRaw(socket, LogBind(5));
    nfulnl_msg_config_mode mode{};
    mode.copy_mode = NFULNL_COPY_META;
    nfgenmsg header{};
    header.res_id = htons(5);
    Request config(NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG);
    config.Header(header).Structure(NFULA_CFG_MODE, mode).Be32(NFULA_CFG_QTHRESH, 1);
    SendRaw(socket, config);
    return socket;
  };
  Fd of_a = hear(a), of_b = hear(b);
  for (auto* ns : {&a, &b}) {
    LoopbackUp(*ns);
    auto nft = SETUP_OK(Nftables::In(*ns));
    NeedsNftables(nft.Commit(NftBatch()
                                 .AddTable(NFPROTO_INET, "t")
                                 .AddChain({.table = "t", .name = "in", .hook = NF_INET_LOCAL_IN})
                                 .AddRule({.table = "t", .chain = "in", .protocol = IPPROTO_UDP, .dport = 9000, .log = NftLog{.prefix = "p", .group = std::uint16_t{5}}})),
                  "a rule that logs");
  }
  ASSERT_OK(UdpTalks(a, a, Inet(kLoopback4, 9000), 10));
  ASSERT_OK(WaitFor(of_a.get(), POLLIN, Deadline::In(std::chrono::seconds(10)), "a logged packet")) << "control";
  EXPECT_FALSE(Readable(of_b)) << "a packet of a sibling was logged to this listener";
  ASSERT_OK(UdpTalks(b, b, Inet(kLoopback4, 9000), 10));
  EXPECT_OK(WaitFor(of_b.get(), POLLIN, Deadline::In(std::chrono::seconds(10)), "a logged packet"));
}

// netfilter-sysctl.rst nf_log_all_netns: "By default, only init_net namespace can log packets into kernel log with LOG target".
NETNS_TEST(Fw, KernelLogTargetIsSilentOutsideTheInitialNamespace, Covers("FW-13"),
           Needs(Machine(), Config("NF_TABLES"), Config("NF_TABLES_INET"), Config("NFT_LOG"), Config("NF_LOG_SYSLOG"), Config("VETH")), Exclusive{}, Within{std::chrono::seconds(60)}) {
  auto initial = InitialNetNamespace();
  auto ns = NetNamespace::Create();
  const std::string file = "net/netfilter/nf_log_all_netns";
  EXPECT_FALSE(ns.HasSysctl(file)) << "the switch exists only in the initial namespace";
  if (!initial.HasSysctl(file)) throw MissingNeed("needs-config:NF_LOG_SYSLOG", "the kernel has no nf_log_all_netns");
  Fd log = SETUP_OK(Open("/dev/kmsg", O_RDWR | O_NONBLOCK));
  auto rules = [](const std::string& prefix, std::uint16_t port) {
    return NftBatch()
        .AddTable(NFPROTO_INET, "netns-log")
        .AddChain({.table = "netns-log", .name = "in", .hook = NF_INET_LOCAL_IN})
        .AddRule({.table = "netns-log", .chain = "in", .protocol = IPPROTO_UDP, .dport = port, .log = NftLog{.prefix = prefix}});
  };
  /// What the kernel's log says from now until a line of ours.
  int fences = 0;
  auto logged = [&](const std::function<void()>& action) {
    ::lseek(log.get(), 0, SEEK_END);
    action();
    std::string fence = "netns-fence-" + std::to_string(++fences) + " end", text;
    const std::string record = fence + "\n";  // a record without its end is not shown to readers
    SETUP_OK(::write(log.get(), record.data(), record.size()) < 0 ? Status(ErrnoError("write(/dev/kmsg)")) : Ok());
    char line[8192];
    while (text.find(fence) == std::string::npos) {
      ssize_t n = ::read(log.get(), line, sizeof line);
      if (n > 0) text.append(line, static_cast<std::size_t>(n));
      if (n < 0 && errno == EAGAIN) SETUP_OK(WaitFor(log.get(), POLLIN, Deadline::OfTest(), "the kernel's log to show " + fence + "; so far: " + text));
    }
    return text;
  };
  LoopbackUp(ns);
  auto in_ns = SETUP_OK(Nftables::In(ns)), in_initial = SETUP_OK(Nftables::In(initial));
  NeedsNftables(in_ns.Commit(rules("from-the-namespace ", 9011)), "a rule that logs");
  SETUP_OK(in_initial.Commit(rules("from-the-initial ", 9012)));
  std::string old = SETUP_OK(initial.Sysctl(file));
  SETUP_OK(initial.SetSysctl(file, "0"));
  auto traffic = [&](const NetNamespace& where, const char* loopback, std::uint16_t port) {
    return logged([&] { SETUP_OK(UdpTalks(where, where, Inet(loopback, port), 10)); });
  };
  LoopbackUp(initial);
  // Each family has a logger of its own, which asks by itself.
  std::vector<const char*> loopbacks = {kLoopback4};
  if (ns.HasSysctl("net/ipv6/conf/lo")) loopbacks.push_back(kLoopback6);
  for (const char* loopback : loopbacks) {
    SCOPED_TRACE(loopback);
    EXPECT_THAT(traffic(ns, loopback, 9011), Not(HasSubstr("from-the-namespace"))) << "nf_log_all_netns=0";
    EXPECT_THAT(traffic(initial, loopback, 9012), HasSubstr("from-the-initial")) << "control: the initial namespace logs";
    SETUP_OK(initial.SetSysctl(file, "1"));
    EXPECT_THAT(traffic(ns, loopback, 9011), HasSubstr("from-the-namespace")) << "nf_log_all_netns=1";
    SETUP_OK(initial.SetSysctl(file, "0"));
    EXPECT_THAT(traffic(ns, loopback, 9011), Not(HasSubstr("from-the-namespace"))) << "nf_log_all_netns=0 again";
  }
  // ARP: each address is asked for once, before the first datagram to it.
  auto neighbour = NetNamespace::Create();
  auto pair = NeedsConfig("VETH", VethPair::Between(neighbour, ns, {.west6 = "", .east6 = ""}), "a veth pair");
  for (const char* address : {"192.0.2.11/24", "192.0.2.12/24"}) SETUP_OK(RtnlIn(ns).AddAddress(address, "east"));
  const Status arp = in_ns.Commit(NftBatch()
                                      .AddTable(NFPROTO_ARP, "netns-arp")
                                      .AddChain({.family = NFPROTO_ARP, .table = "netns-arp", .name = "in", .hook = 0 /* NF_ARP_IN */})
                                      .AddRule({.family = NFPROTO_ARP, .table = "netns-arp", .chain = "in", .log = NftLog{.prefix = "arp-of-the-namespace "}}));
  if (arp.ok()) {
    auto ask = [&](const char* address) { return logged([&] { SETUP_OK(UdpTalks(neighbour, ns, Inet(address, 9013), 10)); }); };
    EXPECT_THAT(ask("192.0.2.11"), Not(HasSubstr("arp-of-the-namespace"))) << "nf_log_all_netns=0";
    SETUP_OK(initial.SetSysctl(file, "1"));
    EXPECT_THAT(ask("192.0.2.12"), HasSubstr("arp-of-the-namespace")) << "nf_log_all_netns=1";
  }
  SETUP_OK(initial.SetSysctl(file, old));
  SETUP_OK(in_initial.Commit(NftBatch().DeleteTable(NFPROTO_INET, "netns-log")));
}

// --- Permissions and the end ------------------------------------------------------------------------------------------

NETNS_TEST(Fw, RequestsNeedNetAdminOverTheNamespaceOfTheSocket, Covers("FW-21"), Needs(UserNs(), Config("NF_TABLES"), Config("NF_TABLES_INET"))) {
  auto outer = NetNamespace::Create();
  auto add = [](Nftables& nft, const char* name) { return nft.Commit(NftBatch().AddTable(NFPROTO_INET, name)); };
  auto own = SETUP_OK(Nftables::In(outer));
  NeedsNftables(add(own, "control"), "a table");
  // Root of a user namespace below, with a socket that it opens in the namespace above.
  Actor below = outer.StartActor("below");
  SETUP_OK(below.Unshare(CLONE_NEWUSER));
  auto refused = below.Run([&] {
    auto nft = Nftables::Adopt(SETUP_OK([]() -> Result<Fd> {
      int fd = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
      if (fd < 0) return ErrnoError("socket");
      return Fd(fd);
    }()));
    return add(*nft, "from-below");
  });
  EXPECT_THAT(refused, FailsWith(EPERM)) << "capabilities over a user namespace below do not count";
  SETUP_OK(below.Unshare(CLONE_NEWNET));
  auto allowed = below.Run([&] {
    auto nft = Nftables::Adopt(SETUP_OK([]() -> Result<Fd> {
      int fd = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
      if (fd < 0) return ErrnoError("socket");
      return Fd(fd);
    }()));
    return add(*nft, "own");
  });
  EXPECT_THAT(allowed, Succeeds()) << "in a namespace of its own";
  // Without the capability, at home.
  Actor plain = outer.StartActor("plain");
  SETUP_OK(DropCapability(plain, CAP_NET_ADMIN));
  auto unprivileged = plain.Run([&] {
    auto nft = Nftables::Adopt(SETUP_OK([]() -> Result<Fd> {
      int fd = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
      if (fd < 0) return ErrnoError("socket");
      return Fd(fd);
    }()));
    return add(*nft, "unprivileged");
  });
  EXPECT_THAT(unprivileged, FailsWith(EPERM));
  EXPECT_THAT(TableNames(own), SizeIs(1)) << "only the control's table is there";
}

NETNS_TEST(Fw, RulesDieWithTheNamespace, Covers("FW-23"), Needs(Config("NF_TABLES"), Config("NF_TABLES_INET")), Within{std::chrono::seconds(90)}) {
  FreedOracle oracle;
  {
    auto ns = oracle.Create();
    auto nft = oracle.keeper().Run([&] { return SETUP_OK(Nftables::In(ns)); });
    NftBatch batch;
    batch.AddTable(NFPROTO_INET, "t").AddChain({.table = "t", .name = "in", .hook = NF_INET_LOCAL_IN, .policy = NF_DROP});
    for (int i = 0; i < 200; ++i) batch.AddRule({.table = "t", .chain = "in", .protocol = IPPROTO_UDP, .dport = static_cast<std::uint16_t>(1000 + i), .counter = true, .verdict = NF_DROP});
    NeedsNftables(oracle.keeper().Run([&] { return nft.Commit(batch); }), "two hundred rules");
    EXPECT_THAT(oracle.HasRoom(), Holds(false)) << "control: the namespace is alive";
  }
  ASSERT_OK(oracle.WaitUntilFreed()) << "rules keep the namespace alive";
  auto again = NetNamespace::Create();
  auto nft = SETUP_OK(Nftables::In(again));
  EXPECT_THAT(TableNames(nft), IsEmpty());
  LoopbackUp(again);
  EXPECT_OK(UdpTalks(again, again, Inet(kLoopback4, 1000), 10));
  EXPECT_OK(nft.Commit(NftBatch().AddTable(NFPROTO_INET, "t"))) << "the name is free";
}

}  // namespace
}  // namespace netns
