// SPDX-License-Identifier: GPL-2.0-or-later
// FW: matches of iptables that remember what they saw, under a name: their tables are of one namespace.
#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_acct.h>
#include <linux/netfilter/xt_hashlimit.h>
#include <linux/netfilter/xt_nfacct.h>
#include <linux/netfilter/xt_recent.h>

#include <cstring>

#include "fixtures/iptables.h"
#include "fixtures/nic.h"
#include "fixtures/sockets.h"
#include "harness/assertions.h"
#include "harness/registration.h"
#include "suites/support/firewall.h"
#include "suites/support/in_namespace.h"

namespace netns {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::uint16_t kPort = 9000;

template <class Struct>
IptMatch Match(const char* name, std::uint8_t revision, const Struct& data) {
  return {name, revision, std::string(reinterpret_cast<const char*>(&data), sizeof data)};
}
IptMatch Recent(const char* list, std::uint8_t what) {
  xt_recent_mtinfo info{};
  info.check_set = what;
  info.side = XT_RECENT_SOURCE;
  std::strncpy(info.name, list, sizeof info.name - 1);
  return Match("recent", 0, info);
}
/// One packet of each source in an hour.
IptMatch OncePerHour(const char* table, bool six) {
  xt_hashlimit_mtinfo1 info{};
  std::strncpy(info.name, table, sizeof info.name - 1);
  info.cfg.mode = XT_HASHLIMIT_HASH_SIP;
  info.cfg.avg = XT_HASHLIMIT_SCALE * 3600;
  info.cfg.burst = 1;
  info.cfg.gc_interval = 100'000;
  info.cfg.expire = 4'000'000;
  info.cfg.srcmask = six ? 128 : 32;
  info.cfg.dstmask = six ? 128 : 32;
  return Match("hashlimit", 1, info);
}

struct Filter {
  Filter(const NetNamespace& ns, int family) : table(ns, family), loopback(family == AF_INET6 ? kLoopback6 : kLoopback4) { LoopbackUp(ns); }
  void Append(std::uint16_t port, const IptMatch& match, const char* target, const char* symbol) {
    Status done = table.Append("INPUT", {.protocol = IPPROTO_UDP, .dport = port, .target = target, .matches = {match}});
    if (done.code() == ENOPROTOOPT || done.code() == ENOENT)
      throw MissingNeed(std::string("needs-config:") + symbol, "the kernel has no such legacy rule: " + done.error().ToString(),
                        std::string("use a kernel with CONFIG_") + symbol);
    SETUP_OK(std::move(done));
  }
  Iptables table;
  std::string loopback;
};

// iptables-extensions(8) recent: lists by name, "/proc/net/xt_recent/*".
void RecentListsArePerNamespace(int family) {
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  auto nested = a.In([] { return NetNamespace::Create(); });
  const NetNamespace* const spaces[] = {&a, &b, &nested};
  Filter filters[] = {{a, family}, {b, family}, {nested, family}};
  for (Filter& filter : filters) {
    filter.Append(kPort, Recent("seen", XT_RECENT_SET), "ACCEPT", "NETFILTER_XT_MATCH_RECENT");
    filter.Append(kPort + 10, Recent("seen", XT_RECENT_CHECK), "DROP", "NETFILTER_XT_MATCH_RECENT");
  }
  const std::string loopback = filters[0].loopback;
  const std::string entry = family == AF_INET6 ? "src=0000:0000:0000:0000:0000:0000:0000:0001" : "src=127.0.0.1";
  auto list = [&](const NetNamespace& ns) { return SETUP_OK(ns.ReadProcNet("xt_recent/seen")); };
  for (const NetNamespace* ns : spaces) EXPECT_TRUE(DatagramArrives(*ns, loopback, kPort + 10)) << "control: nobody is on the list";
  EXPECT_TRUE(DatagramArrives(a, loopback, kPort));
  EXPECT_THAT(list(a), HasSubstr(entry)) << "control: the rule put it there";
  EXPECT_FALSE(DatagramArrives(a, loopback, kPort + 10)) << "control: another rule of this namespace finds it";
  for (const NetNamespace* ns : {&b, &nested}) {
    EXPECT_THAT(list(*ns), testing::IsEmpty());
    EXPECT_TRUE(DatagramArrives(*ns, loopback, kPort + 10)) << "an entry of another namespace";
  }
  // By hand, as iptables-extensions(8) says: "echo +addr", "echo /".
  auto write = [](const NetNamespace& ns, const char* text) { return ns.In([&] { return WriteFile("/proc/thread-self/net/xt_recent/seen", text); }); };
  if (Status written = write(b, family == AF_INET6 ? "+2001:db8::7" : "+192.0.2.7"); written.ok()) {
    const char* added = family == AF_INET6 ? "src=2001:0db8" : "src=192.0.2.7";
    EXPECT_THAT(list(b), HasSubstr(added)) << "control";
    for (const NetNamespace* ns : {&a, &nested}) EXPECT_THAT(list(*ns), Not(HasSubstr(added)));
    SETUP_OK(write(b, "/"));
    EXPECT_THAT(list(b), testing::IsEmpty()) << "control: flushed";
  } else {
    EXPECT_EQ(written.code(), EACCES) << "only the owner of the file, root of the initial user namespace, may write";
  }
  EXPECT_THAT(list(a), HasSubstr(entry)) << "flushed in another namespace";
  auto none = NetNamespace::Create();
  EXPECT_THAT(none.ReadProcNet("xt_recent/seen"), FailsWith(ENOENT)) << "where no rule names the list";
}
NETNS_TEST(Fw, RecentListsOfIpv4ArePerNamespace, Covers("FW-20"), Needs(Config("IP_NF_IPTABLES"), Config("IP_NF_FILTER"), Config("NETFILTER_XT_MATCH_RECENT"))) {
  RecentListsArePerNamespace(AF_INET);
}
NETNS_TEST(Fw, RecentListsOfIpv6ArePerNamespace, Covers("FW-20"), Needs(Config("IPV6"), Config("IP6_NF_IPTABLES"), Config("IP6_NF_FILTER"), Config("NETFILTER_XT_MATCH_RECENT"))) {
  RecentListsArePerNamespace(AF_INET6);
}

// iptables-extensions(8) hashlimit: "--hashlimit-name foo", "/proc/net/ipt_hashlimit/foo".
void LimitsArePerNamespace(int family) {
  const bool six = family == AF_INET6;
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  auto nested = a.In([] { return NetNamespace::Create(); });
  Filter filters[] = {{a, family}, {b, family}, {nested, family}};
  for (Filter& filter : filters) {
    for (std::uint16_t port : {kPort, static_cast<std::uint16_t>(kPort + 10)}) {
      filter.Append(port, OncePerHour("limit", six), "ACCEPT", "NETFILTER_XT_MATCH_HASHLIMIT");
      SETUP_OK(filter.table.Append("INPUT", {.protocol = IPPROTO_UDP, .dport = port, .target = "DROP"}));
    }
  }
  const std::string loopback = filters[0].loopback, file = six ? "ip6t_hashlimit/limit" : "ipt_hashlimit/limit";
  auto entries = [&](const NetNamespace& ns) { return SETUP_OK(ns.ReadProcNet(file)); };
  EXPECT_TRUE(DatagramArrives(a, loopback, kPort)) << "control: the first";
  EXPECT_FALSE(DatagramArrives(a, loopback, kPort)) << "control: the second";
  EXPECT_FALSE(DatagramArrives(a, loopback, kPort + 10)) << "control: rules of one namespace share the table of a name";
  EXPECT_THAT(entries(a), HasSubstr(six ? "0001" : "127.0.0.1")) << "control";
  for (const NetNamespace* ns : {&b, &nested}) {
    EXPECT_THAT(entries(*ns), testing::IsEmpty());
    EXPECT_TRUE(DatagramArrives(*ns, loopback, kPort)) << "what another namespace spent";
    EXPECT_FALSE(DatagramArrives(*ns, loopback, kPort)) << "its own second";
  }
  auto none = NetNamespace::Create();
  EXPECT_THAT(none.ReadProcNet(file), FailsWith(ENOENT)) << "where no rule names the table";
}
NETNS_TEST(Fw, HashlimitsOfIpv4ArePerNamespace, Covers("FW-20"), Needs(Config("IP_NF_IPTABLES"), Config("IP_NF_FILTER"), Config("NETFILTER_XT_MATCH_HASHLIMIT"))) {
  LimitsArePerNamespace(AF_INET);
}
NETNS_TEST(Fw, HashlimitsOfIpv6ArePerNamespace, Covers("FW-20"), Needs(Config("IPV6"), Config("IP6_NF_IPTABLES"), Config("IP6_NF_FILTER"), Config("NETFILTER_XT_MATCH_HASHLIMIT"))) {
  LimitsArePerNamespace(AF_INET6);
}

// iptables-extensions(8) nfacct: "the nfacct object that will be used": one of the namespace, whatever others have that name.
NETNS_TEST(Fw, AccountingRulesCountInTheirNamespace, Covers("FW-25"),
           Needs(Config("IP_NF_IPTABLES"), Config("IP_NF_FILTER"), Config("NETFILTER_NETLINK_ACCT"), Config("NETFILTER_XT_MATCH_NFACCT"))) {
  auto a = NetNamespace::Create(), b = NetNamespace::Create(), without = NetNamespace::Create();
  const auto request = [](int type, std::uint16_t flags) {
    Request made(static_cast<std::uint16_t>(NFNL_SUBSYS_ACCT << 8 | type), flags);
    made.Named("accounting object 'o'").Header(nfgenmsg{}).Text(NFACCT_NAME, "o");
    return made;
  };
  const auto socket = [](const NetNamespace& ns) { return SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER)))); };
  const auto packets = [&](const NetNamespace& ns) {
    const Message answer = SETUP_OK(socket(ns).Get(request(NFNL_MSG_ACCT_GET, 0)));
    return __builtin_bswap64(answer.AttributesAfter<nfgenmsg>().U64(NFACCT_PKTS).value_or(~0ull));
  };
  xt_nfacct_match_info info{};
  std::strncpy(info.name, "o", sizeof info.name - 1);
  const IptMatch match = Match("nfacct", 0, info);
  for (const NetNamespace* ns : {&a, &b}) {
    Status made = socket(*ns).Ack(request(NFNL_MSG_ACCT_NEW, NLM_F_CREATE | NLM_F_EXCL));
    if (made.code() == EINVAL || made.code() == EOPNOTSUPP) throw MissingNeed("needs-config:NETFILTER_NETLINK_ACCT", "the kernel has no accounting objects: " + made.error().ToString());
    SETUP_OK(std::move(made));
    Filter(*ns, AF_INET).Append(kPort, match, "ACCEPT", "NETFILTER_XT_MATCH_NFACCT");
  }
  LoopbackUp(without);
  EXPECT_THAT(Iptables(without, AF_INET).Append("INPUT", {.protocol = IPPROTO_UDP, .dport = kPort, .target = "ACCEPT", .matches = {match}}), Not(testing::Truly([](const Status& s) { return s.ok(); })))
      << "a rule with an object that only other namespaces have";
  for (int i = 0; i < 3; ++i) SETUP_OK(UdpTalks(b, b, Inet(kLoopback4, kPort), 10));
  EXPECT_EQ(packets(b), 3u) << "nfacct(8): the packets of its namespace";
  EXPECT_EQ(packets(a), 0u) << "nfacct(8): packets of another namespace were counted";
  SETUP_OK(UdpTalks(a, a, Inet(kLoopback4, kPort), 10));
  EXPECT_EQ(packets(a), 1u) << "nfacct(8): the packets of its namespace";
  EXPECT_EQ(packets(b), 3u) << "nfacct(8): packets of another namespace were counted";
}

// The same names in the initial namespace, which is where a kernel looks for one that it does not find; whichever of them uses
// the name first.
struct NamedMatch {
  const char* name;
  int family;
  const char* symbol;
  /// Appends rules that remember a source under this name.
  std::function<void(Filter&, const char* table)> remember;
  const char* file;  ///< of /proc/net, before the name
  /// Whether a datagram to the port shows that its source is remembered.
  std::uint16_t shows;
  std::vector<const char*> configs;
};
void RememberInAList(Filter& filter, const char* list) {
  filter.Append(kPort, Recent(list, XT_RECENT_SET), "ACCEPT", "NETFILTER_XT_MATCH_RECENT");
  filter.Append(kPort + 10, Recent(list, XT_RECENT_CHECK), "DROP", "NETFILTER_XT_MATCH_RECENT");
}
void RememberInALimit(Filter& filter, const char* table) {
  filter.Append(kPort, OncePerHour(table, filter.loopback == kLoopback6), "ACCEPT", "NETFILTER_XT_MATCH_HASHLIMIT");
  SETUP_OK(filter.table.Append("INPUT", {.protocol = IPPROTO_UDP, .dport = kPort, .target = "DROP"}));
}
const std::vector<NamedMatch>& NamedMatches() {
  static const std::vector<NamedMatch> matches = {
      {"RecentLists", AF_INET, "NETFILTER_XT_MATCH_RECENT", RememberInAList, "xt_recent/", kPort + 10, {"IP_NF_IPTABLES", "IP_NF_FILTER"}},
      {"Ipv6RecentLists", AF_INET6, "NETFILTER_XT_MATCH_RECENT", RememberInAList, "xt_recent/", kPort + 10, {"IP6_NF_IPTABLES", "IP6_NF_FILTER", "IPV6"}},
      {"Hashlimits", AF_INET, "NETFILTER_XT_MATCH_HASHLIMIT", RememberInALimit, "ipt_hashlimit/", kPort, {"IP_NF_IPTABLES", "IP_NF_FILTER"}},
      {"Ipv6Hashlimits", AF_INET6, "NETFILTER_XT_MATCH_HASHLIMIT", RememberInALimit, "ip6t_hashlimit/", kPort, {"IP6_NF_IPTABLES", "IP6_NF_FILTER", "IPV6"}}};
  return matches;
}
void NamesOfTheInitialNamespaceAreOthers(const NamedMatch& match) {
  const auto initial = InitialNetNamespace(), a = NetNamespace::Create();
  const auto nested = a.In([] { return NetNamespace::Create(); });
  for (bool initial_first : {true, false}) {
    const char* table = initial_first ? "nsconf-first" : "nsconf-second";
    SCOPED_TRACE(initial_first ? "the initial namespace is first to use the name" : "the initial namespace is last to use the name");
    struct User {
      const char* who;
      const NetNamespace* ns;
    };
    std::vector<User> users = {{"a namespace", &a}, {"one made from inside", &nested}};
    users.insert(initial_first ? users.begin() : users.end(), User{"the initial namespace", &initial});
    const std::string file = match.file + std::string(table);
    std::vector<std::unique_ptr<Filter>> filters;
    struct Undo {
      std::vector<std::unique_ptr<Filter>>& filters;
      ~Undo() {
        for (auto& filter : filters) (void)filter->table.Flush("INPUT").ok();
      }
    } undo{filters};
    for (const User& user : users) {
      SCOPED_TRACE(user.who);
      EXPECT_THAT(user.ns->ReadProcNet(file), FailsWith(ENOENT)) << "where no rule names it";
      filters.push_back(std::make_unique<Filter>(*user.ns, match.family));
      Filter& filter = *filters.back();
      match.remember(filter, table);
      EXPECT_THAT(user.ns->ReadProcNet(file), Holds(testing::IsEmpty())) << "a table of the namespace, with entries of another one or not there";
      // A first datagram is remembered, and the next shows it; the first of a limit is that datagram itself.
      EXPECT_TRUE(DatagramArrives(*user.ns, filter.loopback, match.shows)) << "a source that another namespace remembers";
      if (match.shows != kPort) {
        EXPECT_TRUE(DatagramArrives(*user.ns, filter.loopback, kPort));
      }
      EXPECT_FALSE(DatagramArrives(*user.ns, filter.loopback, match.shows)) << "control: a source that it remembers itself";
      EXPECT_THAT(user.ns->ReadProcNet(file), Holds(Not(testing::IsEmpty()))) << "control";
    }
  }
}
const bool named_registered = [] {
  for (const NamedMatch& match : NamedMatches()) {
    Needs needs{Machine(), Config(match.symbol)};
    for (const char* symbol : match.configs) needs.list.push_back(Config(symbol));
    RegisterBody("Fw", std::string("NamesOfMatchesAreNotThoseOfTheInitialNamespace/") + match.name, __FILE__, __LINE__, [&match] { NamesOfTheInitialNamespaceAreOthers(match); },
                 Covers("FW-20"), needs, Exclusive{});
  }
  return true;
}();

}  // namespace
}  // namespace netns
