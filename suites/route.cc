// SPDX-License-Identifier: GPL-2.0-or-later
// ROUTE: tables, rules, nexthops and everything that decides where a packet goes. Most tests have twins: two namespaces
// with the same devices (names, indexes, addresses), so that an entry of one would be just as valid in the other.
#include "fixtures/link_monitor.h"
#include "suites/support/nexthops.h"
#include "suites/support/sockets.h"

// The kernel's headers after the C library's: in this order they go together.
#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include <linux/genetlink.h>
#include <linux/if_addrlabel.h>
#include <linux/ioam6_genl.h>
#include <linux/lwtunnel.h>
#include <linux/mpls.h>
#include <linux/seg6_genl.h>

namespace netns {
namespace {

using namespace sock;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr int kEth0 = 50, kEth1 = 52;

/// eth0 (index 50, Host(1)) and eth1 (index 52), as every twin has them.
void MakeTwin(const NetNamespace& where) {
  LoopbackUp(where);
  // No link-local addresses: they and their routes come up by and by, in the middle of a test.
  if (HasIpv6()) SETUP_OK(where.SetSysctl("net/ipv6/conf/default/addr_gen_mode", "1"));
  AddDevice(where, "eth0", kEth0);
  AddDevice(where, "eth1", kEth1);
  for (const Family& family : Families())
    if (family.domain == AF_INET || HasIpv6()) AddAddress(where, family.HostPrefix(1), "eth0");
}
NetNamespace CreateTwin() {
  auto created = NetNamespace::Create();
  MakeTwin(created);
  return created;
}

/// Destinations that no twin has an address in.
std::string Far(const Family& family) { return family.domain == AF_INET ? "198.51.100.0/24" : "2001:db8:f::/48"; }
std::string FarHost(const Family& family) { return family.domain == AF_INET ? "198.51.100.9" : "2001:db8:f::9"; }

/// The routes to one destination, in all tables.
std::vector<Route> To(const NetNamespace& where, const Family& family, const std::string& to) {
  std::vector<Route> found;
  for (const Route& route : SETUP_OK(RtnlIn(where).Routes(RouteFilter{.family = family.domain})))
    if (route.to == to) found.push_back(route);
  return found;
}
/// The device by which a namespace reaches an address, or the errno.
int DeviceTo(const NetNamespace& where, const std::string& address, const RouteQuery& query = {}) {
  const auto route = RtnlIn(where).GetRoute(address, query);
  return route.ok() ? route->dev : -route.code();
}

void TablesAreSeparate(const Family& family) {
  auto [here, there] = CreateTwo(MakeTwin);
  const std::string far = Far(family), host = FarHost(family);
  EXPECT_EQ(DeviceTo(here, host), -ENETUNREACH) << "control: before";
  // Twice the same destination, by different devices, in both orders.
  ASSERT_OK(RtnlIn(here).AddRoute(RouteSpec{.to = far, .dev = "eth0"}));
  EXPECT_EQ(DeviceTo(there, host), -ENETUNREACH) << "the route of another namespace";
  EXPECT_THAT(To(there, family, far), IsEmpty()) << "the route of another namespace";
  ASSERT_OK(RtnlIn(there).AddRoute(RouteSpec{.to = far, .dev = "eth1"}));
  EXPECT_EQ(DeviceTo(here, host), kEth0);
  EXPECT_EQ(DeviceTo(there, host), kEth1);
  EXPECT_THAT(To(here, family, far), testing::ElementsAre(testing::Field(&Route::dev, kEth0)));
  EXPECT_THAT(To(there, family, far), testing::ElementsAre(testing::Field(&Route::dev, kEth1)));
  EXPECT_THAT(RtnlIn(here).AddRoute(RouteSpec{.to = far, .dev = "eth0"}), FailsWith(EEXIST)) << "control: taken inside";
  // Default routes with and without gateway and metric.
  for (std::uint32_t metric : {10U, 20U}) {
    const RouteSpec way{.to = "default", .via = family.Host(2), .dev = "eth0", .metric = metric};
    ASSERT_OK(RtnlIn(here).AddRoute(way));
    EXPECT_THAT(To(there, family, "default"), IsEmpty());
    EXPECT_THAT(RtnlIn(there).DeleteRoute(way), FailsWith(ESRCH)) << "what another namespace has cannot be deleted here";
  }
  const std::string elsewhere = family.domain == AF_INET ? "203.0.113.1" : "2001:db8:e::1";
  EXPECT_EQ(DeviceTo(here, elsewhere), kEth0) << "control";
  EXPECT_EQ(DeviceTo(there, elsewhere), -ENETUNREACH);
  // Every type of route.
  for (std::uint8_t type : {std::uint8_t{RTN_BLACKHOLE}, std::uint8_t{RTN_UNREACHABLE}, std::uint8_t{RTN_PROHIBIT}}) {
    const std::string to = family.domain == AF_INET ? "203.0.113.7/32" : "2001:db8:e::7/128";
    const RouteSpec stop{.to = to, .type = type, .family = family.domain};
    const std::string address = to.substr(0, to.find('/'));
    ASSERT_OK(RtnlIn(there).AddRoute(stop));
    EXPECT_EQ(DeviceTo(here, address), kEth0) << "the refusal of another namespace";
    EXPECT_NE(DeviceTo(there, address), -ENETUNREACH) << "control: another errno, or the device of the refusal";
    ASSERT_OK(RtnlIn(there).DeleteRoute(stop));
  }
  // Deleted here, it stays there.
  ASSERT_OK(RtnlIn(here).DeleteRoute(RouteSpec{.to = far, .dev = "eth0"}));
  EXPECT_THAT(To(here, family, far), IsEmpty());
  EXPECT_EQ(DeviceTo(there, host), kEth1);
}
NETNS_TEST(Route, Ipv4TablesAreSeparate, Covers("ROUTE-01"), Needs(Config("VETH"))) { TablesAreSeparate(Families()[0]); }
NETNS_TEST(Route, Ipv6TablesAreSeparate, Covers("ROUTE-02"), Needs(Config("VETH"), Config("IPV6"))) {
  TablesAreSeparate(Families()[1]);
}

// A namespace that is made inside of one with routes, rules and all has none of them.
NETNS_TEST(Route, NewNamespaceHasNoRoutes, Covers("ROUTE-03"), Needs(Config("VETH"))) {
  auto creator = CreateTwin();
  for (const Family& family : Families()) {
    if (family.domain == AF_INET6 && !HasIpv6()) continue;
    SCOPED_TRACE(family.name);
    SETUP_OK(RtnlIn(creator).AddRoute(RouteSpec{.to = Far(family), .dev = "eth0"}));
    SETUP_OK(RtnlIn(creator).AddRoute(RouteSpec{.to = "default", .via = family.Host(2), .dev = "eth0"}));
    EXPECT_THAT(RtnlIn(creator).Routes(RouteFilter{.family = family.domain}), Holds(Not(IsEmpty()))) << "control";
    auto born = creator.In([] { return NetNamespace::Create(); });
    EXPECT_THAT(RtnlIn(born).Routes(RouteFilter{.family = family.domain}), Holds(IsEmpty()));
    LoopbackUp(born);
    auto routes = SETUP_OK(RtnlIn(born).Routes(RouteFilter{.family = family.domain}));
    EXPECT_FALSE(routes.empty());
    bool local = false, net = false;
    for (const Route& route : routes) {
      EXPECT_EQ(route.dev, 1) << route;
      local |= route.type == RTN_LOCAL && route.table == RT_TABLE_LOCAL && route.to.starts_with(family.loopback);
      net |= route.type == RTN_LOCAL && route.to == "127.0.0.0/8";
      if (family.domain == AF_INET) {
        // 127.0.0.0 as a broadcast address went with Linux 5.13.
        EXPECT_EQ(route.table, std::uint32_t{RT_TABLE_LOCAL}) << route;
        EXPECT_THAT(route.to, testing::StartsWith("127.")) << route;
      } else {
        EXPECT_THAT(route.to, testing::StartsWith("::1")) << route;
      }
    }
    EXPECT_TRUE(local) << "the loopback address";
    if (family.domain == AF_INET) {
      EXPECT_TRUE(net) << "127.0.0.0/8";
    }
    EXPECT_EQ(DeviceTo(born, FarHost(family)), -ENETUNREACH);
  }
}

std::vector<std::pair<std::uint32_t, std::uint32_t>> RulesOf(const NetNamespace& where, const Family& family) {
  std::vector<std::pair<std::uint32_t, std::uint32_t>> rules;
  for (const Rule& rule : SETUP_OK(RtnlIn(where).Rules(family.domain))) rules.emplace_back(rule.priority, rule.table);
  return rules;
}

void RulesAreSeparate(const Family& family) {
  using Pair = std::pair<std::uint32_t, std::uint32_t>;
  std::vector<Pair> defaults = {{0, RT_TABLE_LOCAL}, {32766, RT_TABLE_MAIN}};
  if (family.domain == AF_INET) defaults.emplace_back(32767, RT_TABLE_DEFAULT);
  auto [here, there] = CreateTwo(MakeTwin);
  EXPECT_EQ(RulesOf(here, family), defaults);
  const std::string from = family.HostPrefix(0);
  const std::vector<RuleSpec> rules = {
      {.family = family.domain, .priority = 100, .table = 100, .mark = 1},
      {.family = family.domain, .priority = 101, .table = 101, .from = Far(family)},
      {.family = family.domain, .priority = 102, .table = 102, .iif = "eth0"},
      {.family = family.domain, .priority = 103, .table = 70000, .oif = "eth1"},
  };
  std::vector<Pair> changed = defaults;
  for (const RuleSpec& rule : rules) {
    ASSERT_OK(RtnlIn(here).AddRule(rule));
    EXPECT_THAT(RtnlIn(here).AddRule(rule), FailsWith(EEXIST)) << "control";
    EXPECT_EQ(RulesOf(there, family), defaults) << "the rule of another namespace";
    EXPECT_THAT(RtnlIn(there).DeleteRule(rule), FailsWith(ENOENT));
    changed.insert(changed.end() - (family.domain == AF_INET ? 2 : 1), {*rule.priority, rule.table});
  }
  EXPECT_EQ(RulesOf(here, family), changed);
  auto born = here.In([] { return NetNamespace::Create(); });
  EXPECT_EQ(RulesOf(born, family), defaults) << "made from inside";
  ASSERT_OK(RtnlIn(there).AddRule(rules[0])) << "the same rule is free there";
  for (const RuleSpec& rule : rules) ASSERT_OK(RtnlIn(here).DeleteRule(rule));
  EXPECT_EQ(RulesOf(here, family), defaults);
  EXPECT_EQ(RulesOf(there, family).size(), defaults.size() + 1) << "deleted in another namespace only";
  // Even the three of the beginning may go, in one namespace.
  ASSERT_OK(RtnlIn(here).DeleteRule(RuleSpec{.family = family.domain, .priority = 32766}));
  EXPECT_EQ(RulesOf(here, family).size(), defaults.size() - 1);
  EXPECT_EQ(RulesOf(there, family).size(), defaults.size() + 1);
  EXPECT_EQ(RulesOf(born, family), defaults);
}
NETNS_TEST(Route, Ipv4RulesAreSeparate, Covers("ROUTE-04"), Needs(Config("VETH"), Config("IP_MULTIPLE_TABLES"))) {
  RulesAreSeparate(Families()[0]);
}
NETNS_TEST(Route, Ipv6RulesAreSeparate, Covers("ROUTE-04"), Needs(Config("VETH"), Config("IPV6_MULTIPLE_TABLES"))) {
  RulesAreSeparate(Families()[1]);
}

// Table ids are of the namespace; rules (by mark, here) lead into its own tables only.
void TableIds(const Family& family) {
  auto [here, there] = CreateTwo(MakeTwin);
  const std::string host = FarHost(family);
  for (std::uint32_t table : {100U, 253U, 70000U}) {
    SCOPED_TRACE(table);
    const auto listed = [&](const NetNamespace& where, int device) {
      const auto routes = To(where, family, Far(family));
      return std::any_of(routes.begin(), routes.end(), [&](const Route& route) { return route.table == table && route.dev == device; });
    };
    ASSERT_OK(RtnlIn(here).AddRoute(RouteSpec{.to = Far(family), .dev = "eth0", .table = table}));
    EXPECT_TRUE(listed(here, kEth0)) << "control: in the list of all its routes";
    EXPECT_THAT(To(there, family, Far(family)), Each(testing::Field(&Route::table, testing::Ne(table))));
    ASSERT_OK(RtnlIn(there).AddRoute(RouteSpec{.to = Far(family), .dev = "eth1", .table = table}));
    EXPECT_TRUE(listed(there, kEth1) && listed(here, kEth0)) << "each has its own in the list of all its routes";
    EXPECT_THAT(RtnlIn(there).AddRoute(RouteSpec{.to = Far(family), .dev = "eth1", .table = table}), FailsWith(EEXIST)) << "control";
    const RuleSpec rule{.family = family.domain, .priority = 1000 + table, .table = table, .mark = table};
    const RouteQuery query{.mark = table};
    const int without = table == 253 && family.domain == AF_INET ? kEth0 : -ENETUNREACH;  // 253 is the table "default"
    EXPECT_EQ(DeviceTo(here, host, query), without) << "control: no rule leads into the table";
    ASSERT_OK(RtnlIn(here).AddRule(rule));
    EXPECT_EQ(DeviceTo(here, host, query), kEth0);
    EXPECT_EQ(DeviceTo(there, host, query), without == kEth0 ? kEth1 : without) << "the rule of another namespace";
    ASSERT_OK(RtnlIn(there).AddRule(rule));
    EXPECT_EQ(DeviceTo(there, host, query), kEth1);
    EXPECT_EQ(DeviceTo(here, host, query), kEth0);
    EXPECT_EQ(DeviceTo(here, host, RouteQuery{.mark = 5}), without) << "control: another mark";
    ASSERT_OK(RtnlIn(here).DeleteRoute(RouteSpec{.to = Far(family), .dev = "eth0", .table = table}));
    EXPECT_EQ(DeviceTo(here, host, query), -ENETUNREACH);
    EXPECT_EQ(DeviceTo(there, host, query), kEth1);
    ASSERT_OK(RtnlIn(there).DeleteRoute(RouteSpec{.to = Far(family), .dev = "eth1", .table = table}));
  }
}
NETNS_TEST(Route, Ipv4TableIdsAreOfTheNamespace, Covers("ROUTE-05", "ROUTE-17"),
           Needs(Config("VETH"), Config("IP_MULTIPLE_TABLES"))) {
  TableIds(Families()[0]);
}
NETNS_TEST(Route, Ipv6TableIdsAreOfTheNamespace, Covers("ROUTE-05", "ROUTE-17"),
           Needs(Config("VETH"), Config("IPV6_MULTIPLE_TABLES"))) {
  TableIds(Families()[1]);
}

// RTM_GETROUTE as if a packet came in, or a user sent it.
NETNS_TEST(Route, SimulatedLookupsHonourOnlyOwnRules, Covers("ROUTE-17"), Needs(Config("VETH"), Config("IP_MULTIPLE_TABLES"))) {
  constexpr std::uint16_t kUidRange = 20;  // FRA_UID_RANGE
  auto [here, there] = CreateTwo(MakeTwin);
  for (const NetNamespace* where : {&here, &there}) {
    SETUP_OK(where->SetSysctl("net.ipv4.ip_forward", "1"));
    for (const char* name : {"net.ipv4.conf.all.rp_filter", "net.ipv4.conf.eth0.rp_filter"}) SETUP_OK(where->SetSysctl(name, "0"));
    SETUP_OK(RtnlIn(*where).AddRoute(RouteSpec{.to = "default", .dev = "eth0"}));
    SETUP_OK(RtnlIn(*where).AddRoute(RouteSpec{.to = "default", .dev = "eth1", .table = 100}));
  }
  const RouteQuery incoming{.src = "192.0.2.9", .iif = kEth0}, user{.uid = 0};  // the one user that every user namespace here has
  for (const RouteQuery& query : {incoming, user}) {
    EXPECT_EQ(DeviceTo(here, "198.51.100.9", query), kEth0);
    const bool by_user = query.uid.has_value();
    RuleSpec rule{.priority = 100, .table = 100, .iif = by_user ? "" : "eth0"};
    struct {
      std::uint32_t from, to;
    } range{0, 0};
    if (by_user) rule.more = [range](Request& request) { request.Structure(kUidRange, range); };
    ASSERT_OK(RtnlIn(here).AddRule(rule));
    EXPECT_EQ(DeviceTo(here, "198.51.100.9", query), kEth1) << "control: the rule works";
    EXPECT_EQ(DeviceTo(there, "198.51.100.9", query), kEth0) << "the rule of another namespace";
    ASSERT_OK(RtnlIn(here).DeleteRule(rule));
  }
}

// connect(2) and sendto(2) ask the tables of the socket's namespace.
void SocketsUseTheirOwnTables(const Family& family) {
  auto [here, there] = CreateTwo(MakeTwin);
  const SockAddr far = SockAddr::Ip(FarHost(family), 9);
  SETUP_OK(RtnlIn(here).AddRoute(RouteSpec{.to = "default", .via = family.Host(2), .dev = "eth0"}));
  Actor away = there.StartActor("away");
  const auto udp = [&](const NetNamespace& where) { return SETUP_OK(where.Socket(family.domain, SOCK_DGRAM)); };
  Fd own = udp(here), other = udp(there);
  EXPECT_THAT(Connect(other, far), FailsWith(ENETUNREACH));
  EXPECT_THAT(SendTo(other, "x", far), FailsWith(ENETUNREACH));
  EXPECT_THAT(TryConnect(there, far), FailsWith(ENETUNREACH)) << "TCP";
  EXPECT_THAT(away.Run([&] { return Connect(own, far); }), Succeeds()) << "routed by its own namespace";
  EXPECT_EQ(SockAddr::Of(own).value().ToString().substr(0, family.Host(1).size()), family.Host(1)) << "its source address";
  Fd fresh = udp(here);
  EXPECT_THAT(away.Run([&] { return SendTo(fresh, "x", far); }), Succeeds());
  Actor home = here.StartActor("home");
  EXPECT_THAT(home.Run([&] { return Connect(other, far); }), FailsWith(ENETUNREACH)) << "the caller's namespace does not help";
  SETUP_OK(RtnlIn(there).AddRoute(RouteSpec{.to = "default", .via = family.Host(2), .dev = "eth0"}));
  EXPECT_THAT(Connect(other, far), Succeeds()) << "control: with a route of its own";
  // Gone here, it still is there; a connected socket's cached route follows.
  SETUP_OK(RtnlIn(here).DeleteRoute(RouteSpec{.to = "default", .via = family.Host(2), .dev = "eth0"}));
  Fd late = udp(here);
  EXPECT_THAT(Connect(late, far), FailsWith(ENETUNREACH));
  EXPECT_THAT(Send(own, "x"), FailsWith(ENETUNREACH));
  EXPECT_THAT(Send(other, "x"), Succeeds());
}
NETNS_TEST(Route, Ipv4SocketsUseTheTablesOfTheirNamespace, Covers("ROUTE-06"), Needs(Config("VETH"))) {
  SocketsUseTheirOwnTables(Families()[0]);
}
NETNS_TEST(Route, Ipv6SocketsUseTheTablesOfTheirNamespace, Covers("ROUTE-06"), Needs(Config("VETH"), Config("IPV6"))) {
  SocketsUseTheirOwnTables(Families()[1]);
}

void ForeignDevice(const Family& family) {
  auto [here, there] = CreateTwo(MakeTwin);
  AddDevice(there, "theirs", 99);
  EXPECT_THAT(RtnlIn(here).AddRoute(RouteSpec{.to = Far(family), .dev = 99}), FailsWith(ENODEV));
  EXPECT_THAT(RtnlIn(here).AddRoute(RouteSpec{.to = Far(family), .via = family.Host(2), .dev = 99}), Not(Succeeds()));
  EXPECT_THAT(RtnlIn(there).AddRoute(RouteSpec{.to = Far(family), .dev = 99}), Succeeds()) << "control: there it is its own";
  EXPECT_THAT(RtnlIn(here).AddRoute(RouteSpec{.to = Far(family), .dev = kEth0}), Succeeds()) << "control";
  EXPECT_EQ(DeviceTo(here, FarHost(family), RouteQuery{.oif = 99}) < 0, true) << "a lookup by a device of another namespace";
  // A gateway that only the other namespace is linked to.
  AddAddress(there, family.domain == AF_INET ? "203.0.113.1/24" : "2001:db8:a::1/64", "theirs");
  const RouteSpec way{.to = "default", .via = family.domain == AF_INET ? "203.0.113.2" : "2001:db8:a::2"};
  EXPECT_THAT(RtnlIn(here).AddRoute(way), Not(Succeeds()));
  EXPECT_THAT(RtnlIn(there).AddRoute(way), Succeeds()) << "control";
}
NETNS_TEST(Route, Ipv4RouteCannotNameADeviceOfAnotherNamespace, Covers("ROUTE-07"), Needs(Config("VETH"))) {
  ForeignDevice(Families()[0]);
}
NETNS_TEST(Route, Ipv6RouteCannotNameADeviceOfAnotherNamespace, Covers("ROUTE-07"), Needs(Config("VETH"), Config("IPV6"))) {
  ForeignDevice(Families()[1]);
}

// Nexthop objects ------------------------------------------------------------------------------------------------------
void NexthopsAreSeparate(const Family& family) {
  using testing::ElementsAre;
  auto [here, there] = CreateTwo(MakeTwin);
  AddDevice(there, "theirs", 99);
  ASSERT_OK(AddNexthop(here, family, 1, kEth0, family.Host(2)));
  EXPECT_THAT(Nexthops(there), IsEmpty());
  const auto by_nexthop = [](std::uint32_t id) { return [id](Request& request) { request.U32(RTA_NH_ID, id); }; };
  const RouteSpec route{.to = Far(family), .scope = std::uint8_t{RT_SCOPE_UNIVERSE}, .family = family.domain, .more = by_nexthop(1)};
  EXPECT_THAT(RtnlIn(there).AddRoute(route), FailsWith(EINVAL)) << "a nexthop of another namespace";
  EXPECT_THAT(AddGroup(there, 10, {1}), FailsWith(EINVAL)) << "a nexthop of another namespace";
  EXPECT_THAT(DeleteNexthop(there, 1), FailsWith(ENOENT));
  const auto ask = [](const NetNamespace& where, std::uint32_t id) {
    Rtnl rtnl = RtnlIn(where);
    return rtnl.socket().Get(Request(RTM_GETNEXTHOP).Named("ask for nexthop " + std::to_string(id)).Header(nhmsg{}).U32(NHA_ID, id)).code();
  };
  EXPECT_EQ(ask(here, 1), 0) << "control";
  EXPECT_EQ(ask(there, 1), ENOENT) << "a nexthop of another namespace is told by its id";
  ASSERT_OK(AddNexthop(there, family, 1, kEth1));
  EXPECT_THAT(AddNexthop(here, family, 1, kEth1), FailsWith(EEXIST)) << "control";
  EXPECT_THAT(AddNexthop(here, family, 3, 99), testing::AnyOf(FailsWith(EINVAL), FailsWith(ENODEV))) << "a device of another namespace";
  EXPECT_THAT(AddNexthop(there, family, 3, 99), Succeeds()) << "control";
  ASSERT_OK(AddNexthop(here, family, 2, kEth0));
  ASSERT_OK(AddGroup(here, 10, {1, 2}));
  EXPECT_THAT(Nexthops(here), ElementsAre(1U, 2U, 10U));
  EXPECT_THAT(Nexthops(there), ElementsAre(1U, 3U));
  ASSERT_OK(RtnlIn(here).AddRoute(route));
  ASSERT_OK(RtnlIn(there).AddRoute(route));
  EXPECT_EQ(DeviceTo(here, FarHost(family)), kEth0);
  EXPECT_EQ(DeviceTo(there, FarHost(family)), kEth1);
  // Its end takes the routes of one namespace along, and no others.
  ASSERT_OK(DeleteNexthop(here, 1));
  EXPECT_EQ(DeviceTo(here, FarHost(family)), -ENETUNREACH);
  EXPECT_EQ(DeviceTo(there, FarHost(family)), kEth1);
  EXPECT_THAT(Nexthops(there), ElementsAre(1U, 3U));
  // With the device go its nexthops.
  SETUP_OK(RtnlIn(here).DeleteLink("eth0"));
  EXPECT_THAT(Nexthops(here), IsEmpty());
  EXPECT_THAT(Nexthops(there), ElementsAre(1U, 3U));
}
NETNS_TEST(Route, Ipv4NexthopsAreSeparate, Covers("ROUTE-08", "ROUTE-07"), Needs(Config("VETH"))) { NexthopsAreSeparate(Families()[0]); }
NETNS_TEST(Route, Ipv6NexthopsAreSeparate, Covers("ROUTE-08", "ROUTE-07"), Needs(Config("VETH"), Config("IPV6"))) {
  NexthopsAreSeparate(Families()[1]);
}

// rtnetlink(7): notifications go to listeners of the namespace in which something changed.
void Notifications(const Family& family) {
  std::vector<NetNamespace> all;
  for (int i = 0; i < 4; ++i) all.push_back(NetNamespace::Create());
  for (const NetNamespace& each : all) MakeTwin(each);
  const bool v4 = family.domain == AF_INET;
  const std::vector<unsigned> groups = {
      static_cast<unsigned>(v4 ? RTNLGRP_IPV4_ROUTE : RTNLGRP_IPV6_ROUTE),
      static_cast<unsigned>(v4 ? RTNLGRP_IPV4_RULE : RTNLGRP_IPV6_RULE), RTNLGRP_NEXTHOP};
  // Each in its turn; all others listen, those that are older than it and those that are younger.
  for (const NetNamespace& changed : all) {
    std::vector<RtnlMonitor> monitors;
    for (const NetNamespace& each : all) monitors.push_back(SETUP_OK(RtnlMonitor::In(each, groups)));
    Rtnl rtnl = RtnlIn(changed);
    const RouteSpec route{.to = Far(family), .dev = "eth0"};
    const RouteSpec in_table{.to = Far(family), .dev = "eth0", .table = 100};
    const RuleSpec rule{.family = family.domain, .priority = 100, .table = 100, .mark = 1};
    SETUP_OK(rtnl.AddRoute(route));
    SETUP_OK(rtnl.DeleteRoute(route));
    SETUP_OK(rtnl.AddRoute(in_table));
    const bool rules = rtnl.AddRule(rule).ok();  // CONFIG_IP_MULTIPLE_TABLES
    if (rules) SETUP_OK(rtnl.DeleteRule(rule));
    SETUP_OK(rtnl.DeleteRoute(in_table));
    SETUP_OK(AddNexthop(changed, family, 1, kEth0));
    SETUP_OK(DeleteNexthop(changed, 1));
    for (std::size_t i = 0; i < all.size(); ++i) {
      std::vector<int> types;
      for (const Message& message : SETUP_OK(monitors[i].ThroughFence())) types.push_back(message.type());
      if (&all[i] != &changed) {
        EXPECT_THAT(types, IsEmpty()) << "of another namespace";
        continue;
      }
      EXPECT_EQ(std::count(types.begin(), types.end(), RTM_NEWROUTE), 2) << "control";
      EXPECT_EQ(std::count(types.begin(), types.end(), RTM_DELROUTE), 2) << "control";
      if (rules) {
        EXPECT_THAT(types, testing::AllOf(Contains(RTM_NEWRULE), Contains(RTM_DELRULE))) << "control";
      }
      EXPECT_THAT(types, testing::AllOf(Contains(RTM_NEWNEXTHOP), Contains(RTM_DELNEXTHOP))) << "control";
    }
  }
}
NETNS_TEST(Route, Ipv4NotificationsStayInTheNamespace, Covers("ROUTE-09"), Needs(Config("VETH"))) { Notifications(Families()[0]); }
NETNS_TEST(Route, Ipv6NotificationsStayInTheNamespace, Covers("ROUTE-09"), Needs(Config("VETH"), Config("IPV6"))) {
  Notifications(Families()[1]);
}

// proc(5): the views of procfs agree with the dump of the same namespace.
NETNS_TEST(Route, ProcShowsTheIpv4TablesOfTheNamespace, Covers("ROUTE-10"), Needs(Config("VETH"))) {
  auto [here, there] = CreateTwo(MakeTwin);
  const RouteSpec route{.to = "198.51.100.0/24", .dev = "eth1"};
  SETUP_OK(RtnlIn(here).AddRoute(route));
  SETUP_OK(RtnlIn(here).AddRoute(RouteSpec{.to = "default", .via = "192.0.2.2", .dev = "eth0"}));
  const auto listed = [](const NetNamespace& where) {
    std::multiset<std::string> lines;
    std::istringstream in(SETUP_OK(where.ReadProcNet("route")));
    std::string line;
    std::getline(in, line);  // the heading
    while (std::getline(in, line)) {
      std::istringstream fields(line);
      std::string device, destination, gateway;
      fields >> device >> destination >> gateway;
      lines.insert(device + " " + destination + " " + gateway);
    }
    return lines;
  };
  const auto dumped = [](const NetNamespace& where) {
    std::multiset<std::string> lines;
    for (const Route& each : SETUP_OK(RtnlIn(where).Routes(RouteFilter{.family = AF_INET, .table = RT_TABLE_MAIN}))) {
      const auto hex = [](std::string text) {
        in_addr address{};
        text = text.substr(0, text.find('/'));
        if (!text.empty() && text != "default") ::inet_pton(AF_INET, text.c_str(), &address);
        char digits[9];
        std::snprintf(digits, sizeof digits, "%08X", address.s_addr);
        return std::string(digits);
      };
      lines.insert(SETUP_OK(RtnlIn(where).LinkByIndex(each.dev)).name + " " + hex(each.to) + " " + hex(each.via));
    }
    return lines;
  };
  EXPECT_EQ(listed(here), dumped(here));
  EXPECT_EQ(listed(there), dumped(there));
  EXPECT_EQ(listed(here).size(), 3U) << "control: the link's own, and two";
  EXPECT_EQ(listed(there).size(), 1U) << "the link's own";
  EXPECT_THAT(here.ReadProcNet("fib_trie"), Holds(HasSubstr("198.51.100.0"))) << "control";
  EXPECT_THAT(there.ReadProcNet("fib_trie"), Holds(Not(HasSubstr("198.51.100.0"))));
  ASSERT_OK(RtnlIn(here).DeleteRoute(route));
  EXPECT_EQ(listed(here), dumped(here));
  EXPECT_THAT(here.ReadProcNet("fib_trie"), Holds(Not(HasSubstr("198.51.100.0"))));
  EXPECT_EQ(listed(here).size(), 2U);
}
NETNS_TEST(Route, ProcShowsTheIpv6TablesOfTheNamespace, Covers("ROUTE-10"), Needs(Config("VETH"), Config("IPV6"))) {
  auto [here, there] = CreateTwo(MakeTwin);
  const RouteSpec route{.to = "2001:db8:f::/48", .dev = "eth1"};
  const std::string needle = "20010db8000f00000000000000000000 30 ";
  const auto line = [&](const NetNamespace& where) {
    const std::string text = SETUP_OK(where.ReadProcNet("ipv6_route"));
    const auto at = text.find(needle);
    if (at == std::string::npos) return std::string();
    const std::string found = text.substr(at, text.find('\n', at) - at);
    return found.substr(found.rfind(' ') + 1);
  };
  const auto entries = [](const NetNamespace& where) {  // fib_rt_entries, the third figure
    std::istringstream in(SETUP_OK(where.ReadProcNet("rt6_stats")));
    std::string first, second, third;
    in >> first >> second >> third;
    return std::stoi(first, nullptr, 16);
  };
  const int nodes_there = entries(there), nodes_here = entries(here);
  ASSERT_OK(RtnlIn(here).AddRoute(route));
  EXPECT_EQ(line(here), "eth1") << "control";
  EXPECT_EQ(line(there), "") << "of another namespace";
  EXPECT_GT(entries(here), nodes_here) << "control";
  EXPECT_EQ(entries(there), nodes_there) << "of another namespace";
  ASSERT_OK(RtnlIn(there).AddRoute(RouteSpec{.to = "2001:db8:f::/48", .dev = "eth0"}));
  EXPECT_EQ(line(here), "eth1");
  EXPECT_EQ(line(there), "eth0");
  ASSERT_OK(RtnlIn(here).DeleteRoute(route));
  EXPECT_EQ(line(here), "");
  EXPECT_EQ(line(there), "eth0");
}

NETNS_TEST(Route, SettingsOfRoutingAreSeparate, Covers("ROUTE-12")) {
  auto here = NetNamespace::Create(), there = NetNamespace::Create();
  bool any = false;
  for (auto [name, value] : {std::pair{"net.ipv4.fib_multipath_hash_policy", "1"}, {"net.ipv4.fib_multipath_use_neigh", "1"},
                             {"net.ipv4.fib_multipath_hash_fields", "1"}, {"net.ipv4.fib_notify_on_flag_change", "1"},
                             {"net.ipv4.nexthop_compat_mode", "0"}, {"net.ipv4.fib_sync_mem", "600000"},
                             {"net.ipv4.route.min_adv_mss", "300"}, {"net.ipv4.route.min_pmtu", "600"},
                             {"net.ipv4.route.mtu_expires", "500"}, {"net.ipv6.fib_multipath_hash_policy", "1"},
                             {"net.ipv6.fib_multipath_hash_fields", "1"}, {"net.ipv6.fib_notify_on_flag_change", "1"},
                             {"net.ipv6.route.gc_timeout", "50"}, {"net.ipv6.route.gc_thresh", "1000"},
                             {"net.ipv6.route.mtu_expires", "500"}, {"net.ipv6.route.min_adv_mss", "1300"}}) {
    if (!here.HasSysctl(name)) continue;  // not in this kernel, or only in the initial namespace
    any = true;
    SCOPED_TRACE(name);
    const std::string birth = SETUP_OK(there.Sysctl(name));
    EXPECT_THAT(here.Sysctl(name), Holds(birth));
    ASSERT_OK(here.SetSysctl(name, value));
    EXPECT_THAT(here.Sysctl(name), Holds(value)) << "control";
    EXPECT_THAT(there.Sysctl(name), Holds(birth));
    EXPECT_THAT(here.In([] { return NetNamespace::Create(); }).Sysctl(name), Holds(birth)) << "made from inside";
  }
  EXPECT_TRUE(any);
}

// RFC 6724 labels.
NETNS_TEST(Route, AddressLabelsAreSeparate, Covers("ROUTE-13"), Needs(Config("IPV6"))) {
  const auto change = [](const NetNamespace& where, std::uint16_t type, std::uint16_t flags, const char* prefix, std::uint8_t length,
                         std::uint32_t label) {
    Rtnl rtnl = RtnlIn(where);
    ifaddrlblmsg header{};
    header.ifal_family = AF_INET6;
    header.ifal_prefixlen = length;
    in6_addr address{};
    ::inet_pton(AF_INET6, prefix, &address);
    return rtnl.socket().Ack(Request(type, flags).Header(header).Structure(IFAL_ADDRESS, address).U32(IFAL_LABEL, label).Named("address label"));
  };
  const auto list = [](const NetNamespace& where) {
    Rtnl rtnl = RtnlIn(where);
    ifaddrlblmsg header{};
    header.ifal_family = AF_INET6;
    std::set<std::string> labels;
    for (const Message& message : SETUP_OK(rtnl.socket().Dump(Request(RTM_GETADDRLABEL).Header(header).Named("dump address labels")))) {
      const Attributes attributes = message.AttributesAfter<ifaddrlblmsg>();
      char text[INET6_ADDRSTRLEN] = "";
      const auto address = attributes.Structure<in6_addr>(IFAL_ADDRESS).value_or(in6_addr{});
      ::inet_ntop(AF_INET6, &address, text, sizeof text);
      labels.insert(std::string(text) + "/" + std::to_string(message.Header<ifaddrlblmsg>().ifal_prefixlen) + " " +
                    std::to_string(attributes.U32(IFAL_LABEL).value_or(0)));
    }
    return labels;
  };
  auto here = NetNamespace::Create(), there = NetNamespace::Create();
  const auto defaults = list(there);
  EXPECT_THAT(defaults, testing::IsSupersetOf({"::1/128 0", "::/0 1", "2002::/16 2", "::/96 3", "::ffff:0.0.0.0/96 4"}));
  EXPECT_EQ(list(here), defaults);
  ASSERT_OK(change(here, RTM_NEWADDRLABEL, NLM_F_CREATE | NLM_F_EXCL, "2001:db8::", 32, 99));
  EXPECT_THAT(change(here, RTM_NEWADDRLABEL, NLM_F_CREATE | NLM_F_EXCL, "2001:db8::", 32, 99), FailsWith(EEXIST)) << "control";
  EXPECT_THAT(list(here), Contains("2001:db8::/32 99")) << "control";
  EXPECT_EQ(list(there), defaults);
  EXPECT_EQ(list(here.In([] { return NetNamespace::Create(); })), defaults) << "made from inside";
  EXPECT_THAT(change(there, RTM_DELADDRLABEL, 0, "2001:db8::", 32, 99), FailsWith(ESRCH));
  ASSERT_OK(change(here, RTM_DELADDRLABEL, 0, "2002::", 16, 2));
  EXPECT_THAT(list(here), Not(Contains("2002::/16 2"))) << "control";
  EXPECT_EQ(list(there), defaults);
}

NETNS_TEST(Route, MplsLabelsAreSeparate, Covers("ROUTE-14", "ROUTE-09"), Needs(Config("MPLS_ROUTING"), Config("VETH"))) {
  auto [here, there] = CreateTwo(MakeTwin);
  // Nothing but a route with MPLS encapsulation makes the kernel load the module; whether it can be added is no matter here.
  RouteSpec encapsulated{.to = "198.51.100.0/24", .dev = "eth0"};
  encapsulated.more = [](Request& request) { request.U16(RTA_ENCAP_TYPE, LWTUNNEL_ENCAP_MPLS).Raw(RTA_ENCAP, Bytes()); };
  std::ignore = RtnlIn(here).AddRoute(encapsulated);
  if (!here.HasSysctl("net.mpls.platform_labels")) throw MissingNeed("needs-config:MPLS_ROUTING", "no net.mpls sysctls");
  EXPECT_THAT(here.Sysctl("net.mpls.platform_labels"), Holds("0")) << "at birth";
  ASSERT_OK(here.SetSysctl("net.mpls.platform_labels", "1000"));
  EXPECT_THAT(there.Sysctl("net.mpls.platform_labels"), Holds("0"));
  const auto add = [](const NetNamespace& where) {
    Rtnl rtnl = RtnlIn(where);
    rtmsg header{};
    header.rtm_family = AF_MPLS;
    header.rtm_dst_len = 20;
    header.rtm_table = RT_TABLE_MAIN;
    header.rtm_protocol = RTPROT_STATIC;
    header.rtm_type = RTN_UNICAST;
    mpls_label label{};
    label.entry = htonl(100U << MPLS_LS_LABEL_SHIFT | 1U << MPLS_LS_S_SHIFT);
    // RTA_VIA: family and address of the gateway
    std::string via(2, '\0');
    const std::uint16_t family = AF_INET;
    std::memcpy(via.data(), &family, sizeof family);
    via += std::string("\xc0\x00\x02\x02", 4);
    return rtnl.socket().Ack(Request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL)
                                 .Header(header)
                                 .Structure(RTA_DST, label)
                                 .Raw(RTA_VIA, std::as_bytes(std::span(via)))
                                 .S32(RTA_OIF, kEth0)
                                 .Named("label route"));
  };
  const auto count = [](const NetNamespace& where) {
    Rtnl rtnl = RtnlIn(where);
    rtmsg header{};
    header.rtm_family = AF_MPLS;
    return SETUP_OK(rtnl.socket().Dump(Request(RTM_GETROUTE).Header(header).Named("dump label routes"))).size();
  };
  EXPECT_THAT(add(there), Not(Succeeds())) << "its label space is empty";
  auto hears = SETUP_OK(RtnlMonitor::In(here, {RTNLGRP_MPLS_ROUTE})), hears_there = SETUP_OK(RtnlMonitor::In(there, {RTNLGRP_MPLS_ROUTE}));
  ASSERT_OK(add(here));
  const auto told = SETUP_OK(hears.ThroughFence());
  ASSERT_EQ(told.size(), 1U) << "control";
  EXPECT_EQ(told[0].type(), RTM_NEWROUTE);
  EXPECT_THAT(hears_there.ThroughFence(), Holds(IsEmpty())) << "of another namespace";
  EXPECT_EQ(count(here), 1U) << "control";
  EXPECT_EQ(count(there), 0U);
  EXPECT_THAT(add(here), FailsWith(EEXIST)) << "control";
  ASSERT_OK(there.SetSysctl("net.mpls.platform_labels", "1000"));
  EXPECT_THAT(add(there), Succeeds());
  ASSERT_OK(here.SetSysctl("net.mpls.platform_labels", "0"));
  EXPECT_EQ(count(here), 0U);
  EXPECT_EQ(count(there), 1U);
}

NetlinkSocket GenericIn(const NetNamespace& where) {
  return SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(where.Socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC))));
}
GenericFamily FamilyOrMiss(const NetNamespace& where, const char* name, const char* symbol) {
  auto socket = GenericIn(where);
  auto family = socket.ResolveFamily(name);
  if (!family.ok() && family.code() == ENOENT) throw MissingNeed(std::string("needs-config:") + symbol, std::string("no generic netlink family ") + name);
  return SETUP_OK(std::move(family));
}

NETNS_TEST(Route, SegmentRoutingSourceIsPerNamespace, Covers("ROUTE-14"), Needs(Config("IPV6_SEG6_LWTUNNEL"), Root())) {
  auto here = NetNamespace::Create(), there = NetNamespace::Create();
  const auto family = FamilyOrMiss(here, "SEG6", "IPV6_SEG6_LWTUNNEL");
  const auto get = [&](const NetNamespace& where) {
    auto socket = GenericIn(where);
    const Message answer = SETUP_OK(socket.Get(Request(family.id).Header(genlmsghdr{.cmd = SEG6_CMD_GET_TUNSRC, .version = SEG6_GENL_VERSION}).Named("get tunsrc")));
    char text[INET6_ADDRSTRLEN] = "";
    const auto address = answer.AttributesAfter<genlmsghdr>().Structure<in6_addr>(SEG6_ATTR_DST).value_or(in6_addr{});
    ::inet_ntop(AF_INET6, &address, text, sizeof text);
    return std::string(text);
  };
  const auto set = [&](const NetNamespace& where, const char* text) {
    auto socket = GenericIn(where);
    in6_addr address{};
    ::inet_pton(AF_INET6, text, &address);
    return socket.Ack(Request(family.id).Header(genlmsghdr{.cmd = SEG6_CMD_SET_TUNSRC, .version = SEG6_GENL_VERSION}).Structure(SEG6_ATTR_DST, address).Named("set tunsrc"));
  };
  EXPECT_EQ(get(here), "::") << "at birth";
  ASSERT_OK(set(here, "2001:db8::1"));
  EXPECT_EQ(get(here), "2001:db8::1") << "control";
  EXPECT_EQ(get(there), "::");
  EXPECT_EQ(get(here.In([] { return NetNamespace::Create(); })), "::") << "made from inside";
  ASSERT_OK(set(there, "2001:db8::2"));
  EXPECT_EQ(get(here), "2001:db8::1");
}

// ip-sr(8), "hmac set": keys by number.
NETNS_TEST(Route, SegmentRoutingKeysArePerNamespace, Covers("ROUTE-14"), Needs(Config("IPV6_SEG6_LWTUNNEL"), Config("IPV6_SEG6_HMAC"), Root())) {
  auto before = NetNamespace::Create(), here = NetNamespace::Create(), there = NetNamespace::Create();
  const auto family = FamilyOrMiss(here, "SEG6", "IPV6_SEG6_LWTUNNEL");
  const auto set = [&](const NetNamespace& where, std::uint32_t id, const std::string& secret) {
    auto socket = GenericIn(where);
    Request request(family.id);
    request.Named("set key " + std::to_string(id)).Header(genlmsghdr{.cmd = SEG6_CMD_SETHMAC, .version = SEG6_GENL_VERSION});
    request.U32(SEG6_ATTR_HMACKEYID, id).U8(SEG6_ATTR_SECRETLEN, static_cast<std::uint8_t>(secret.size())).U8(SEG6_ATTR_ALGID, 2 /* SEG6_HMAC_ALGO_SHA256 */);
    if (!secret.empty()) request.Raw(SEG6_ATTR_SECRET, std::as_bytes(std::span(secret)));
    return socket.Ack(request);
  };
  const auto keys = [&](const NetNamespace& where) {
    auto socket = GenericIn(where);
    std::map<std::uint32_t, std::string> all;
    for (const Message& message : SETUP_OK(socket.Dump(Request(family.id).Header(genlmsghdr{.cmd = SEG6_CMD_DUMPHMAC, .version = SEG6_GENL_VERSION}).Named("list keys")))) {
      const Attributes attributes = message.AttributesAfter<genlmsghdr>();
      const auto secret = attributes.Raw(SEG6_ATTR_SECRET).value_or(Bytes());
      all[attributes.U32(SEG6_ATTR_HMACKEYID).value_or(0)] = std::string(reinterpret_cast<const char*>(secret.data()), secret.size());
    }
    return all;
  };
  using Keys = std::map<std::uint32_t, std::string>;
  const Status first = set(here, 42, "ours");
  if (first.code() == 524 /* ENOTSUPP */ || first.code() == EOPNOTSUPP) throw MissingNeed("needs-config:IPV6_SEG6_HMAC", "no keys of segment routing: " + first.error().ToString());
  ASSERT_OK(first);
  ASSERT_OK(set(here, 43, "second"));
  EXPECT_EQ(keys(here), (Keys{{42, "ours"}, {43, "second"}})) << "control";
  for (const NetNamespace* other : {&before, &there}) {
    EXPECT_EQ(keys(*other), Keys()) << "keys of another namespace are listed";
    EXPECT_THAT(set(*other, 42, ""), FailsWith(ENOENT)) << "a key of another namespace can be deleted";
    ASSERT_OK(set(*other, 42, "theirs")) << "the number of another namespace's key";
    EXPECT_EQ(keys(*other), (Keys{{42, "theirs"}}));
  }
  EXPECT_EQ(keys(here), (Keys{{42, "ours"}, {43, "second"}})) << "an equally numbered key of another namespace was set";
  ASSERT_OK(set(there, 42, ""));
  EXPECT_EQ(keys(there), Keys()) << "control: deleted";
  EXPECT_EQ(keys(here), (Keys{{42, "ours"}, {43, "second"}})) << "an equally numbered key of another namespace was deleted";
  EXPECT_EQ(keys(before), (Keys{{42, "theirs"}})) << "an equally numbered key of another namespace was deleted";
}

// ip-ioam(8), "schema".
NETNS_TEST(Route, IoamSchemasAreSeparate, Covers("ROUTE-14"), Needs(Config("IPV6"), Root())) {
  auto before = NetNamespace::Create(), here = NetNamespace::Create(), there = NetNamespace::Create();
  const auto family = FamilyOrMiss(here, "IOAM6", "IPV6_IOAM6_LWTUNNEL");
  const auto request = [&](std::uint8_t command, const char* what) {
    Request made(family.id);
    made.Named(what).Header(genlmsghdr{.cmd = command, .version = IOAM6_GENL_VERSION});
    return made;
  };
  const auto add = [&](const NetNamespace& where) { return GenericIn(where).Ack(request(IOAM6_CMD_ADD_SCHEMA, "add schema 7").U32(IOAM6_ATTR_SC_ID, 7).U32(IOAM6_ATTR_SC_DATA, 0x47474747)); };
  const auto remove = [&](const NetNamespace& where) { return GenericIn(where).Ack(request(IOAM6_CMD_DEL_SCHEMA, "delete schema 7").U32(IOAM6_ATTR_SC_ID, 7)); };
  const auto count = [&](const NetNamespace& where) { return SETUP_OK(GenericIn(where).Dump(request(IOAM6_CMD_DUMP_SCHEMAS, "list schemas"))).size(); };
  const auto use = [&](const NetNamespace& where) {
    return GenericIn(where).Ack(request(IOAM6_CMD_NS_SET_SCHEMA, "give schema 7 to IOAM namespace 5").U16(IOAM6_ATTR_NS_ID, 5).U32(IOAM6_ATTR_SC_ID, 7));
  };
  for (const NetNamespace* each : {&before, &here, &there}) SETUP_OK(GenericIn(*each).Ack(request(IOAM6_CMD_ADD_NAMESPACE, "add IOAM namespace 5").U16(IOAM6_ATTR_NS_ID, 5)));
  ASSERT_OK(add(here));
  EXPECT_THAT(add(here), FailsWith(EEXIST)) << "control";
  EXPECT_EQ(count(here), 1u) << "control";
  EXPECT_OK(use(here)) << "control";
  for (const NetNamespace* other : {&before, &there}) {
    EXPECT_EQ(count(*other), 0u) << "a schema of another namespace is listed";
    EXPECT_THAT(use(*other), FailsWith(ENOENT)) << "a schema of another namespace can be used";
    EXPECT_THAT(remove(*other), FailsWith(ENOENT)) << "a schema of another namespace can be deleted";
    EXPECT_OK(add(*other)) << "the number of another namespace's schema";
    EXPECT_EQ(count(*other), 1u);
    EXPECT_OK(remove(*other));
  }
  EXPECT_EQ(count(here), 1u) << "an equally numbered schema of another namespace was deleted";
}

NETNS_TEST(Route, IoamNamespaceIdsAreSeparate, Covers("ROUTE-14"), Needs(Config("IPV6"), Root())) {
  auto here = NetNamespace::Create(), there = NetNamespace::Create();
  const auto family = FamilyOrMiss(here, "IOAM6", "IPV6_IOAM6_LWTUNNEL");
  const auto change = [&](const NetNamespace& where, std::uint8_t command) {
    auto socket = GenericIn(where);
    return socket.Ack(Request(family.id).Header(genlmsghdr{.cmd = command, .version = IOAM6_GENL_VERSION}).U16(IOAM6_ATTR_NS_ID, 1).Named("IOAM namespace 1"));
  };
  const auto count = [&](const NetNamespace& where) {
    auto socket = GenericIn(where);
    return SETUP_OK(socket.Dump(Request(family.id).Header(genlmsghdr{.cmd = IOAM6_CMD_DUMP_NAMESPACES, .version = IOAM6_GENL_VERSION}).Named("dump IOAM namespaces"))).size();
  };
  const auto birth = count(there);
  EXPECT_EQ(count(here), birth);
  ASSERT_OK(change(here, IOAM6_CMD_ADD_NAMESPACE));
  EXPECT_THAT(change(here, IOAM6_CMD_ADD_NAMESPACE), FailsWith(EEXIST)) << "control";
  EXPECT_EQ(count(here), birth + 1) << "control";
  EXPECT_EQ(count(there), birth);
  EXPECT_THAT(change(there, IOAM6_CMD_DEL_NAMESPACE), FailsWith(ENOENT));
  ASSERT_OK(change(there, IOAM6_CMD_ADD_NAMESPACE));
  ASSERT_OK(change(here, IOAM6_CMD_DEL_NAMESPACE));
  EXPECT_EQ(count(there), birth + 1);
}

/// An IPv6 route with a path by each of the devices.
Status AddPaths(const NetNamespace& where, const std::string& to, std::initializer_list<int> devices) {
  std::string paths;
  for (int device : devices) {
    in6_addr via{};
    ::inet_pton(AF_INET6, "fe80::99", &via);
    rtattr gateway{RTA_LENGTH(sizeof via), RTA_GATEWAY};
    rtnexthop hop{};
    hop.rtnh_len = static_cast<unsigned short>(sizeof hop + gateway.rta_len);
    hop.rtnh_ifindex = device;
    paths.append(reinterpret_cast<const char*>(&hop), sizeof hop).append(reinterpret_cast<const char*>(&gateway), sizeof gateway).append(reinterpret_cast<const char*>(&via), sizeof via);
  }
  return RtnlIn(where).AddRoute(RouteSpec{.to = to, .scope = std::uint8_t{RT_SCOPE_UNIVERSE}, .family = AF_INET6,
                                          .more = [&](Request& request) { request.Raw(RTA_MULTIPATH, std::as_bytes(std::span(paths))); }});
}
// A device that leaves takes its routes along for good, and of a route with several paths its own.
void RoutesOfAMovedDevice(const Family& family) {
  auto here = CreateTwin(), there = CreateWithLoopback();
  const bool v4 = family.domain == AF_INET;
  const std::string stays = family.domain == AF_INET ? "203.0.113.0/24" : "2001:db8:e::/48";
  SETUP_OK(RtnlIn(here).AddRoute(RouteSpec{.to = Far(family), .via = family.Host(2), .dev = "eth0"}));
  SETUP_OK(RtnlIn(here).AddRoute(RouteSpec{.to = Far(family), .dev = "eth0", .table = 100}));
  SETUP_OK(RtnlIn(here).AddRoute(RouteSpec{.to = stays, .dev = "eth1"}));
  SETUP_OK(AddNexthop(here, family, 7, kEth0));
  SETUP_OK(AddNexthop(here, family, 8, kEth1));
  SETUP_OK(AddGroup(here, 9, {7, 8}));
  // Destinations that are reached by both, and afterwards by eth1.
  struct Both {
    const char *what, *to, *host;
  };
  std::vector<Both> both = {{"a group of nexthops", v4 ? "198.18.1.0/24" : "2001:db8:a::/48", v4 ? "198.18.1.9" : "2001:db8:a::9"}};
  SETUP_OK(RtnlIn(here).AddRoute(RouteSpec{.to = both[0].to, .scope = std::uint8_t{RT_SCOPE_UNIVERSE}, .family = family.domain,
                                           .more = [](Request& request) { request.U32(RTA_NH_ID, 9); }}));
  if (!v4) {
    both.push_back({"two paths", "2001:db8:b::/48", "2001:db8:b::9"});
    SETUP_OK(AddPaths(here, both[1].to, {kEth0, kEth1}));
    both.push_back({"two paths, of which the second is by the device that leaves", "2001:db8:c::/48", "2001:db8:c::9"});
    SETUP_OK(AddPaths(here, both[2].to, {kEth1, kEth0}));
  }
  const auto stay = [&] {
    for (const Both& each : both) EXPECT_EQ(DeviceTo(here, each.host), kEth1) << each.what << ": the path by the device that stayed has gone with the other one";
  };
  const auto by_eth0 = [&](const NetNamespace& where) {
    std::vector<Route> found;
    for (const Route& route : SETUP_OK(RtnlIn(where).Routes(RouteFilter{.family = family.domain})))
      if (route.dev == kEth0) found.push_back(route);
    return found;
  };
  EXPECT_EQ(DeviceTo(here, FarHost(family)), kEth0) << "control";
  EXPECT_THAT(by_eth0(here), Not(IsEmpty())) << "control";
  for (const Both& each : both) EXPECT_THAT(DeviceTo(here, each.host), testing::AnyOf(kEth0, kEth1)) << "control: " << each.what;
  SETUP_OK(RtnlIn(here).MoveLink("eth0", ByFd(there.fd())));
  stay();
  EXPECT_THAT(by_eth0(here), IsEmpty());
  EXPECT_THAT(by_eth0(there), IsEmpty()) << "it arrives without routes";
  EXPECT_THAT(Nexthops(here), testing::ElementsAre(8U, 9U)) << "ip-nexthop(8): the one by the device that left is gone, the other stays";
  EXPECT_THAT(Nexthops(there), IsEmpty()) << "it arrives without nexthops";
  for (const Both& each : both) EXPECT_EQ(DeviceTo(there, each.host), -ENETUNREACH) << each.what << ": it arrives without routes";
  EXPECT_EQ(DeviceTo(here, FarHost(family)), -ENETUNREACH);
  EXPECT_THAT(To(here, family, stays), testing::SizeIs(1)) << "control: the route of another device";
  SETUP_OK(RtnlIn(there).Up("eth0"));
  EXPECT_THAT(To(there, family, Far(family)), IsEmpty());
  SETUP_OK(RtnlIn(there).MoveLink("eth0", ByFd(here.fd())));
  SETUP_OK(RtnlIn(here).Up("eth0"));
  EXPECT_THAT(To(here, family, Far(family)), IsEmpty()) << "nothing comes back with it";
  stay();
  EXPECT_EQ(DeviceTo(here, FarHost(family)), -ENETUNREACH);
  EXPECT_THAT(To(here, family, stays), testing::SizeIs(1));
}
NETNS_TEST(Route, Ipv4RoutesGoWithAMovedDevice, Covers("ROUTE-15"), Needs(Config("VETH"))) { RoutesOfAMovedDevice(Families()[0]); }
NETNS_TEST(Route, Ipv6RoutesGoWithAMovedDevice, Covers("ROUTE-15"), Needs(Config("VETH"), Config("IPV6"))) {
  RoutesOfAMovedDevice(Families()[1]);
}

// rp_filter: whether a packet's source would be answered by the device that it came in by.
NETNS_TEST(Route, SourceValidationUsesTheReceivingNamespace, Covers("ROUTE-16"), Needs(Config("VETH"))) {
  struct Pair {
    NetNamespace sender, receiver;
    Fd client, server;
  };
  std::vector<Pair> pairs;
  const SockAddr target = SockAddr::Ip("192.0.2.2", 9000);
  for (int i = 0; i < 2; ++i) {
    Pair pair{CreateWithLoopback(), CreateWithLoopback(), {}, {}};
    Join(pair.sender, "eth0", pair.receiver, "eth0");
    SETUP_OK(RtnlIn(pair.sender).AddAddress("203.0.113.5/32", "lo"));
    AddDevice(pair.receiver, "eth1", kEth1);
    for (const char* name : {"all", "eth0", "eth1"})
      SETUP_OK(pair.receiver.SetSysctl(std::string("net/ipv4/conf/") + name + "/rp_filter", "0"));
    SETUP_OK(RtnlIn(pair.receiver).AddRoute(RouteSpec{.to = "203.0.113.0/24", .dev = "eth1"}));
    pair.client = SETUP_OK(Bound(pair.sender, SOCK_DGRAM, SockAddr::Ip("203.0.113.5")));
    pair.server = SETUP_OK(Bound(pair.receiver, SOCK_DGRAM, target));
    pairs.push_back(std::move(pair));
  }
  const auto arrives = [&](Pair& pair, const char* text) {
    SETUP_OK(SendTo(pair.client, text, target));
    // The fence: a datagram with an honest source, by the same way.
    SETUP_OK(SendTo(SETUP_OK(pair.sender.Socket(AF_INET, SOCK_DGRAM)), "fence", target));
    const std::string first = SETUP_OK(Receive(pair.server));
    if (first == "fence") return false;
    SETUP_OK(Receive(pair.server));
    return true;
  };
  EXPECT_TRUE(arrives(pairs[0], "before")) << "control: rp_filter=0";
  EXPECT_TRUE(arrives(pairs[1], "before")) << "control: rp_filter=0";
  for (const char* name : {"all", "eth0"}) {
    SCOPED_TRACE(name);
    const std::string file = std::string("net/ipv4/conf/") + name + "/rp_filter";
    ASSERT_OK(pairs[0].receiver.SetSysctl(file, "1"));
    EXPECT_FALSE(arrives(pairs[0], "strict")) << "control: rp_filter=1";
    EXPECT_TRUE(arrives(pairs[1], "other")) << "rp_filter of another namespace";
    ASSERT_OK(pairs[0].receiver.SetSysctl(file, "0"));
    EXPECT_TRUE(arrives(pairs[0], "after"));
  }
  // With a route back by eth0 in the other namespace, nothing changes in this one.
  ASSERT_OK(pairs[0].receiver.SetSysctl("net/ipv4/conf/eth0/rp_filter", "1"));
  SETUP_OK(RtnlIn(pairs[1].receiver).AddRoute(RouteSpec{.to = "203.0.113.5/32", .dev = "eth0"}));
  EXPECT_FALSE(arrives(pairs[0], "strict")) << "the route of another namespace";
  SETUP_OK(RtnlIn(pairs[0].receiver).AddRoute(RouteSpec{.to = "203.0.113.5/32", .dev = "eth0"}));
  EXPECT_TRUE(arrives(pairs[0], "routed")) << "control: a route of its own";
}

}  // namespace
}  // namespace netns
