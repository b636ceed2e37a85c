// SPDX-License-Identifier: GPL-2.0-or-later
// FW: what rules and tools of packet filters find by name, by number or without either: counters of the older tables, named
// objects that rules refer to, sets, and the defaults of timeouts. All of it between ordinary namespaces and beside the initial one.
#include "suites/support/between.h"

#include <arpa/inet.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_acct.h>
#include <linux/netfilter/nfnetlink_cttimeout.h>
#include <linux/netfilter/x_tables.h>
#include <linux/netfilter/xt_CT.h>
#include <linux/netfilter/xt_RATEEST.h>
#include <linux/netfilter/xt_nfacct.h>
#include <linux/netfilter/xt_rateest.h>
#include <linux/netfilter/xt_set.h>
#include <linux/netfilter_arp/arp_tables.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>

#include <cstring>

#include "fixtures/iptables.h"
#include "fixtures/sockets.h"
#include "suites/support/in_namespace.h"
#include "suites/support/ip_set.h"
#include "suites/support/netfilter_request.h"

namespace netns {
namespace {

using testing::Eq;

/// Leaves the test as MISS where the kernel's answer means that it has no CONFIG_<symbol>.
Status Known(Status status, const char* symbol) {
  if (status.code() == EINVAL || status.code() == ENOENT || status.code() == IPSET_ERR_FIND_TYPE || NotCompiledIn(status.code()))
    throw MissingNeed(std::string("needs-config:") + symbol, std::string("the kernel has no CONFIG_") + symbol + ": " + status.error().ToString());
  return status;
}

// --- Counters of the older tables --------------------------------------------------------------------------------------

struct Ipv4Table {
  using Info = ipt_getinfo;
  using Entries = ipt_get_entries;
  using Entry = ipt_entry;
  static constexpr int kDomain = AF_INET, kLevel = SOL_IP, kInfo = IPT_SO_GET_INFO, kEntries = IPT_SO_GET_ENTRIES, kAdd = IPT_SO_SET_ADD_COUNTERS;
};
struct Ipv6Table {
  using Info = ip6t_getinfo;
  using Entries = ip6t_get_entries;
  using Entry = ip6t_entry;
  static constexpr int kDomain = AF_INET6, kLevel = SOL_IPV6, kInfo = IP6T_SO_GET_INFO, kEntries = IP6T_SO_GET_ENTRIES, kAdd = IP6T_SO_SET_ADD_COUNTERS;
};
struct ArpTable {
  using Info = arpt_getinfo;
  using Entries = arpt_get_entries;
  using Entry = arpt_entry;
  static constexpr int kDomain = AF_INET, kLevel = SOL_IP, kInfo = ARPT_SO_GET_INFO, kEntries = ARPT_SO_GET_ENTRIES, kAdd = ARPT_SO_SET_ADD_COUNTERS;
};
/// What every entry of a table has counted, its policies included.
template <class Table>
std::vector<xt_counters> CountersOf(const Place& at, const char* table, const char* symbol) {
  const Fd socket = SETUP_OK(at.ns.Socket(Table::kDomain, SOCK_RAW, IPPROTO_RAW));
  typename Table::Info info{};
  std::strncpy(info.name, table, sizeof info.name - 1);
  socklen_t size = sizeof info;
  if (::getsockopt(socket.get(), Table::kLevel, Table::kInfo, &info, &size) < 0) {
    const Status failed = ErrnoError("getsockopt(SO_GET_INFO)");
    if (failed.code() == ENOENT || failed.code() == ENOPROTOOPT) throw MissingNeed(std::string("needs-config:") + symbol, "no such table: " + failed.error().ToString());
    SETUP_OK(Status(failed));
  }
  std::vector<char> bytes(sizeof(typename Table::Entries) + info.size);
  auto* request = reinterpret_cast<typename Table::Entries*>(bytes.data());
  std::strncpy(request->name, table, sizeof request->name - 1);
  request->size = info.size;
  size = static_cast<socklen_t>(bytes.size());
  if (::getsockopt(socket.get(), Table::kLevel, Table::kEntries, bytes.data(), &size) < 0) SETUP_OK(Status(ErrnoError("getsockopt(SO_GET_ENTRIES)")));
  std::vector<xt_counters> counters;
  for (std::size_t at_byte = offsetof(typename Table::Entries, entrytable); at_byte + sizeof(typename Table::Entry) <= bytes.size();) {
    typename Table::Entry entry{};
    std::memcpy(&entry, bytes.data() + at_byte, sizeof entry);
    counters.push_back(entry.counters);
    at_byte += std::max<std::size_t>(entry.next_offset, 1);
  }
  return counters;
}
/// SO_SET_ADD_COUNTERS: packets for each entry, as "iptables-restore --counters" and every change of a rule do.
template <class Table>
Status AddPackets(const Place& at, const char* table, const std::vector<xt_counters>& more) {
  const Fd socket = SETUP_OK(at.ns.Socket(Table::kDomain, SOCK_RAW, IPPROTO_RAW));
  std::vector<char> bytes(sizeof(xt_counters_info) + more.size() * sizeof(xt_counters));
  auto* info = reinterpret_cast<xt_counters_info*>(bytes.data());
  std::strncpy(info->name, table, sizeof info->name - 1);
  info->num_counters = static_cast<unsigned>(more.size());
  std::memcpy(bytes.data() + offsetof(xt_counters_info, counters), more.data(), more.size() * sizeof(xt_counters));
  if (::setsockopt(socket.get(), Table::kLevel, Table::kAdd, bytes.data(), static_cast<socklen_t>(bytes.size())) < 0) return ErrnoError("setsockopt(SO_SET_ADD_COUNTERS)");
  return Ok();
}
// iptables(8), -c: counters are those of the table's namespace. Packets of the machine may be counted meanwhile: far fewer.
template <class Table>
void CountersAreSeparate(const char* table, const char* symbol, Place& owner, Place& other) {
  constexpr std::uint64_t kMany = 1'000'000'000'000;
  const auto of_owner = CountersOf<Table>(owner, table, symbol), of_other = CountersOf<Table>(other, table, symbol);
  std::vector<xt_counters> more, less;
  for (std::size_t i = 0; i < of_owner.size(); ++i) {
    more.push_back({kMany * (i + 1), kMany * 64 * (i + 1)});
    less.push_back({0 - more[i].pcnt, 0 - more[i].bcnt});
  }
  const Status added = AddPackets<Table>(owner, table, more);
  Undo undo([&] {
    if (added.ok()) (void)AddPackets<Table>(owner, table, less).ok();
  });
  EXPECT_OK(added) << "the counters of a table of this namespace cannot be set";
  const auto owner_now = CountersOf<Table>(owner, table, symbol), other_now = CountersOf<Table>(other, table, symbol);
  ASSERT_EQ(owner_now.size(), of_owner.size());
  ASSERT_EQ(other_now.size(), of_other.size());
  for (std::size_t i = 0; i < of_owner.size(); ++i) {
    EXPECT_EQ((owner_now[i].pcnt - of_owner[i].pcnt) / kMany, i + 1) << "the packets of entry " << i << " of the table where they were added";
    EXPECT_EQ((owner_now[i].bcnt - of_owner[i].bcnt) / (kMany * 64), i + 1) << "the bytes of entry " << i << " of the table where they were added";
  }
  for (std::size_t i = 0; i < of_other.size(); ++i) {
    EXPECT_LT(other_now[i].pcnt - of_other[i].pcnt, kMany) << "entry " << i << ": packets that were added to the table of another namespace";
    EXPECT_LT(other_now[i].bcnt - of_other[i].bcnt, kMany) << "entry " << i << ": bytes that were added to the table of another namespace";
  }
}
template <class Table>
bool RegisterCounters(const char* row, const char* table, const char* symbol, const char* of, const char* id) {
  return RegisterBetween("Fw", "CountersOfLegacyTablesAreSeparate", row, __FILE__, __LINE__,
                         [=](Place& owner, Place& other) { CountersAreSeparate<Table>(table, symbol, owner, other); }, Covers(id), Needs(Config(of), Config(symbol)));
}
[[maybe_unused]] const bool counters_registered =
    RegisterCounters<Ipv4Table>("Ipv4", "filter", "IP_NF_FILTER", "IP_NF_IPTABLES", "FW-04") && RegisterCounters<Ipv4Table>("Ipv4Mangle", "mangle", "IP_NF_MANGLE", "IP_NF_IPTABLES", "FW-04") &&
    RegisterCounters<Ipv6Table>("Ipv6", "filter", "IP6_NF_FILTER", "IP6_NF_IPTABLES", "FW-04") &&
    RegisterCounters<Ipv6Table>("Ipv6Mangle", "mangle", "IP6_NF_MANGLE", "IP6_NF_IPTABLES", "FW-04") &&
    RegisterCounters<ArpTable>("Arp", "filter", "IP_NF_ARPFILTER", "IP_NF_ARPTABLES", "FW-06");

// --- What rules name --------------------------------------------------------------------------------------------------

constexpr std::uint16_t kPort = 9100;
constexpr const char* kName = "nsconf-b";

/// An object of a namespace that rules refer to.
struct Named {
  const char* name;
  const char* id;
  const char* symbol;       ///< of the object
  const char* rule_symbol;  ///< of the rule
  std::function<Status(Place&, int family)> make, remove;
  const char *table, *chain;
  /// The rest of a rule about datagrams to kPort.
  std::function<void(Place&, IptRule&)> refer;
  /// Packets that the object has counted.
  std::function<std::uint64_t(Place&)> counted = {};
};
template <class Struct>
IptMatch Extension(const char* name, std::uint8_t revision, const Struct& data) {
  return {name, revision, std::string(reinterpret_cast<const char*>(&data), sizeof data)};
}
Status ChangeSet(const Place& at, int command, const std::string& set, std::uint8_t family = NFPROTO_IPV4) {
  Request request = NetfilterRequest(NFNL_SUBSYS_IPSET, command, command == IPSET_CMD_CREATE ? NLM_F_CREATE | NLM_F_EXCL : 0, "set " + set);
  request.U8(IPSET_ATTR_PROTOCOL, 6).Text(IPSET_ATTR_SETNAME, set);
  if (command == IPSET_CMD_CREATE) request.Text(IPSET_ATTR_TYPENAME, "hash:ip").U8(IPSET_ATTR_REVISION, 0).U8(IPSET_ATTR_FAMILY, family).Nest(IPSET_ATTR_DATA, [](Request&) {});
  return NetfilterIn(at.ns).Ack(request);
}
Status ChangeAccount(const Place& at, int message) {
  return NetfilterIn(at.ns).Ack(NetfilterRequest(NFNL_SUBSYS_ACCT, message, message == NFNL_MSG_ACCT_NEW ? NLM_F_CREATE | NLM_F_EXCL : 0, "accounting object", AF_UNSPEC).Text(NFACCT_NAME, kName));
}
Status ChangePolicy(const Place& at, int message, int family) {
  Request request = NetfilterRequest(NFNL_SUBSYS_CTNETLINK_TIMEOUT, message, message == IPCTNL_MSG_TIMEOUT_NEW ? NLM_F_CREATE | NLM_F_EXCL : 0, "timeout policy", AF_UNSPEC);
  request.Text(CTA_TIMEOUT_NAME, kName);
  if (message == IPCTNL_MSG_TIMEOUT_NEW)
    request.Be16(CTA_TIMEOUT_L3PROTO, static_cast<std::uint16_t>(family)).U8(CTA_TIMEOUT_L4PROTO, IPPROTO_UDP).Nest(CTA_TIMEOUT_DATA | NLA_F_NESTED, [](Request& r) {
      r.Be32(1 /* unreplied */, 30);
    });
  return NetfilterIn(at.ns).Ack(request);
}
const std::vector<Named>& NamedThings() {
  static const std::vector<Named> all = {
      {"AccountingObject", "FW-25", "NETFILTER_NETLINK_ACCT", "NETFILTER_XT_MATCH_NFACCT", [](Place& at, int) { return ChangeAccount(at, NFNL_MSG_ACCT_NEW); },
       [](Place& at, int) { return ChangeAccount(at, NFNL_MSG_ACCT_DEL); }, "filter", "INPUT",
       [](Place&, IptRule& rule) {
         xt_nfacct_match_info info{};
         std::strncpy(info.name, kName, sizeof info.name - 1);
         rule.matches = {Extension("nfacct", 0, info)};
       },
       [](Place& at) {
         const Message answer = SETUP_OK(NetfilterIn(at.ns).Get(NetfilterRequest(NFNL_SUBSYS_ACCT, NFNL_MSG_ACCT_GET, 0, "accounting object", AF_UNSPEC).Text(NFACCT_NAME, kName)));
         return __builtin_bswap64(answer.AttributesAfter<nfgenmsg>().U64(NFACCT_PKTS).value_or(0));
       }},
      {"TimeoutPolicy", "FW-25", "NF_CT_NETLINK_TIMEOUT", "NETFILTER_XT_TARGET_CT", [](Place& at, int family) { return ChangePolicy(at, IPCTNL_MSG_TIMEOUT_NEW, family); },
       [](Place& at, int family) { return ChangePolicy(at, IPCTNL_MSG_TIMEOUT_DELETE, family); }, "raw", "PREROUTING",
       [](Place&, IptRule& rule) {
         xt_ct_target_info_v1 info{};
         std::strncpy(info.timeout, kName, sizeof info.timeout - 1);
         rule.extension = Extension("CT", 1, info);
       }},
      {"Set", "FW-15", "IP_SET_HASH_IP", "NETFILTER_XT_SET",
       [](Place& at, int family) { return ChangeSet(at, IPSET_CMD_CREATE, kName, family == AF_INET6 ? NFPROTO_IPV6 : NFPROTO_IPV4); },
       [](Place& at, int) { return ChangeSet(at, IPSET_CMD_DESTROY, kName); }, "filter", "INPUT",
       [](Place& at, IptRule& rule) {
         xt_set_info_match_v1 info{};
         // iptables(8) would ask for the number and give up; a program that goes on is refused by the kernel.
         const ip_set_id_t number = NumberOfSet(at.ns, kName);
         info.match_set = {static_cast<ip_set_id_t>(number == IPSET_INVALID_ID ? 0 : number), 1, IPSET_DIM_ONE_SRC};
         rule.matches = {Extension("set", 1, info)};
       }},
      {"RateEstimator", "FW-20", "NETFILTER_XT_TARGET_RATEEST", "NETFILTER_XT_MATCH_RATEEST",
       [](Place& at, int family) {
         xt_rateest_target_info info{};
         std::strncpy(info.name, kName, sizeof info.name - 1);
         info.ewma_log = 3;
         return Iptables(at.ns, family).Append("OUTPUT", {.extension = Extension("RATEEST", 0, info)});
       },
       [](Place& at, int family) { return Iptables(at.ns, family).Flush("OUTPUT"); }, "filter", "INPUT",
       [](Place&, IptRule& rule) {
         xt_rateest_match_info info{};
         std::strncpy(info.name1, kName, sizeof info.name1 - 1);
         info.flags = XT_RATEEST_MATCH_ABS | XT_RATEEST_MATCH_BPS;
         info.mode = XT_RATEEST_MATCH_GT;
         rule.matches = {Extension("rateest", 0, info)};
       }},
  };
  return all;
}
// iptables-extensions(8): what a rule names is looked for in its namespace.
void RulesFindTheirOwn(const Named& thing, int family, Place& owner, Place& other) {
  const auto append = [&](Place& at) {
    IptRule rule{.protocol = IPPROTO_UDP, .dport = kPort, .target = "ACCEPT"};
    thing.refer(at, rule);
    return Iptables(at.ns, family, thing.table).Append(thing.chain, rule);
  };
  std::vector<Place*> made;
  Undo undo([&] {
    // Rules first: what they name is in use.
    for (Place* place : {&owner, &other}) (void)Iptables(place->ns, family, thing.table).Flush(thing.chain).ok();
    for (Place* place : made) (void)thing.remove(*place, family).ok();
  });
  const auto make = [&](Place& at) {
    Status status = thing.make(at, family);
    if (status.ok()) made.push_back(&at);
    return status;
  };
  SETUP_OK(Known(make(owner), thing.symbol));
  const auto flush = [&](Place& at) { SETUP_OK(Iptables(at.ns, family, thing.table).Flush(thing.chain)); };
  const Status own = append(owner);
  if (own.code() == ENOENT || own.code() == ENOPROTOOPT)
    throw MissingNeed(std::string("needs-config:") + thing.rule_symbol, "no rule can name one of its own namespace: " + own.error().ToString());
  ASSERT_OK(own) << "control: a rule that names what its namespace has";
  EXPECT_THAT(append(other), FailsWith(ENOENT)) << "iptables-extensions(8): a rule names what only another namespace has";
  ASSERT_OK(make(other)) << "an equally named one of another namespace is in the way";
  ASSERT_OK(append(other)) << "a rule that names what its namespace has";
  if (thing.counted) {
    const char* loopback = family == AF_INET6 ? kLoopback6 : kLoopback4;
    for (Place* place : {&owner, &other}) LoopbackUp(place->ns);
    for (int i = 0; i < 2; ++i) SETUP_OK(UdpTalks(other.ns, other.ns, Inet(loopback, kPort), 10));
    EXPECT_EQ(thing.counted(other), 2u) << "packets of its namespace";
    EXPECT_EQ(thing.counted(owner), 0u) << "packets of another namespace were counted";
    SETUP_OK(UdpTalks(owner.ns, owner.ns, Inet(loopback, kPort), 10));
    EXPECT_EQ(thing.counted(owner), 1u) << "packets of its namespace";
    EXPECT_EQ(thing.counted(other), 2u) << "packets of another namespace were counted";
  }
  flush(other);
  EXPECT_OK(thing.remove(other, family)) << "it is used by no rule of its namespace";
  EXPECT_THAT(append(other), FailsWith(ENOENT)) << "iptables-extensions(8): a rule names what only another namespace still has";
  flush(owner);
}
[[maybe_unused]] const bool names_registered = [] {
  for (const Named& thing : NamedThings())
    for (int family : {AF_INET, AF_INET6}) {
      const bool six = family == AF_INET6, raw = std::string(thing.table) == "raw";
      Needs needs(Config(thing.symbol), Config(thing.rule_symbol), Config(six ? "IP6_NF_IPTABLES" : "IP_NF_IPTABLES"),
                  Config(raw ? (six ? "IP6_NF_RAW" : "IP_NF_RAW") : (six ? "IP6_NF_FILTER" : "IP_NF_FILTER")));
      RegisterBetween("Fw", "RulesNameThingsOfTheirNamespace", std::string(thing.name) + (six ? "Ipv6" : "Ipv4"), __FILE__, __LINE__,
                      [&thing, family](Place& owner, Place& other) { RulesFindTheirOwn(thing, family, owner, other); }, Covers(thing.id), needs);
    }
  return true;
}();

// --- Sets by getsockopt -----------------------------------------------------------------------------------------------

template <class RequestOf>
Result<RequestOf> AskForSet(const Place& at, RequestOf request) {
  const Fd socket = SETUP_OK(at.ns.Socket(AF_INET, SOCK_RAW, IPPROTO_RAW));
  request.version = 6;
  socklen_t size = sizeof request;
  if (::getsockopt(socket.get(), SOL_IP, 83 /* SO_IP_SET */, &request, &size) < 0) return ErrnoError("getsockopt(SO_IP_SET)");
  return request;
}
/// "iptables -S" asks for the name of a number: empty where there is none.
std::string NameOf(const Place& at, ip_set_id_t number) {
  ip_set_req_get_set request{};
  request.op = IP_SET_OP_GET_BYINDEX;
  request.set.index = number;
  const auto answer = SETUP_OK(AskForSet(at, request));
  return std::string(answer.set.name, strnlen(answer.set.name, sizeof answer.set.name));
}
/// Number and family by name.
std::pair<ip_set_id_t, unsigned> FamilyOf(const Place& at, const std::string& set) {
  ip_set_req_get_set_family request{};
  request.op = IP_SET_OP_GET_FNAME;
  set.copy(request.set.name, sizeof request.set.name - 1);
  const auto answer = SETUP_OK(AskForSet(at, request));
  return {answer.set.index, answer.family};
}
// linux/netfilter/ipset/ip_set.h, the interface that iptables has: sets of the socket's namespace.
[[maybe_unused]] const bool options_registered = RegisterBetween(
    "Fw", "SetsAreFoundByOptionInTheirNamespace", "", __FILE__, __LINE__,
    [](Place& owner, Place& other) {
      const std::string first = "nsconf-first", mine = "nsconf-mine", theirs = "nsconf-theirs";
      std::vector<std::pair<Place*, std::string>> made;
      Undo undo([&] {
        for (auto& [place, set] : made) (void)ChangeSet(*place, IPSET_CMD_DESTROY, set).ok();
      });
      const auto make = [&](Place& at, const std::string& set, std::uint8_t family) {
        SETUP_OK(Known(ChangeSet(at, IPSET_CMD_CREATE, set, family), "IP_SET_HASH_IP"));
        made.emplace_back(&at, set);
        return NumberOfSet(at.ns, set);
      };
      const ip_set_id_t number = make(owner, first, NFPROTO_IPV4), second = make(owner, mine, NFPROTO_IPV6);
      ASSERT_NE(number, IPSET_INVALID_ID) << "by name: a set of this namespace";
      ASSERT_NE(second, IPSET_INVALID_ID) << "by name: a set of this namespace";
      EXPECT_EQ(NameOf(owner, number), first) << "by number: a set of this namespace";
      EXPECT_EQ(NameOf(owner, second), mine) << "by number: a set of this namespace";
      EXPECT_THAT(FamilyOf(owner, mine), Eq(std::pair(second, unsigned{NFPROTO_IPV6}))) << "with its family: a set of this namespace";
      EXPECT_EQ(NumberOfSet(other.ns, mine), IPSET_INVALID_ID) << "by name: a set of another namespace";
      EXPECT_EQ(FamilyOf(other, mine).first, IPSET_INVALID_ID) << "with its family: a set of another namespace";
      for (ip_set_id_t each : {number, second}) EXPECT_EQ(NameOf(other, each), "") << "by number: a set of another namespace";
      // Other sets have the same numbers, a set of the same name has another number and another family.
      const ip_set_id_t their_number = make(other, theirs, NFPROTO_IPV4);
      make(other, "nsconf-third", NFPROTO_IPV4);
      const ip_set_id_t their_mine = make(other, mine, NFPROTO_IPV4);
      EXPECT_EQ(NameOf(other, their_number), theirs);
      EXPECT_EQ(NameOf(other, their_mine), mine);
      EXPECT_THAT(FamilyOf(other, mine), Eq(std::pair(their_mine, unsigned{NFPROTO_IPV4})));
      EXPECT_EQ(NameOf(owner, number), first) << "by number: after another namespace has made sets";
      EXPECT_EQ(NumberOfSet(owner.ns, mine), second) << "by name: after another namespace has made sets";
      EXPECT_EQ(NumberOfSet(owner.ns, theirs), IPSET_INVALID_ID) << "by name: a set of another namespace";
    },
    Covers("FW-15"), Needs(Config("IP_SET"), Config("IP_SET_HASH_IP")));

// --- Defaults of timeouts ---------------------------------------------------------------------------------------------

/// A protocol, and the first of its timeouts.
struct Protocol {
  const char* name;
  std::uint16_t l3;
  std::uint8_t l4;
  const char* sysctl;
  const char* symbol;
};
constexpr Protocol kProtocols[] = {{"Tcp", AF_INET, IPPROTO_TCP, "tcp_timeout_syn_sent", "NF_CONNTRACK"},
                                   {"Udp", AF_INET, IPPROTO_UDP, "udp_timeout", "NF_CONNTRACK"},
                                   {"Icmp", AF_INET, IPPROTO_ICMP, "icmp_timeout", "NF_CONNTRACK"},
                                   {"Icmpv6", AF_INET6, IPPROTO_ICMPV6, "icmpv6_timeout", "NF_CONNTRACK"},
                                   {"Generic", AF_INET, 255, "generic_timeout", "NF_CONNTRACK"},
                                   {"Sctp", AF_INET, IPPROTO_SCTP, "sctp_timeout_closed", "NF_CT_PROTO_SCTP"},
                                   {"Dccp", AF_INET, IPPROTO_DCCP, "dccp_timeout_request", "NF_CT_PROTO_DCCP"},
                                   {"Gre", AF_INET, IPPROTO_GRE, "gre_timeout", "NF_CT_PROTO_GRE"}};
Status SetDefault(const Place& at, const Protocol& protocol, std::uint32_t seconds) {
  Request request = NetfilterRequest(NFNL_SUBSYS_CTNETLINK_TIMEOUT, IPCTNL_MSG_TIMEOUT_DEFAULT_SET, 0, std::string("default timeout of ") + protocol.name, AF_UNSPEC);
  request.Be16(CTA_TIMEOUT_L3PROTO, protocol.l3).U8(CTA_TIMEOUT_L4PROTO, protocol.l4).Nest(CTA_TIMEOUT_DATA | NLA_F_NESTED, [&](Request& r) { r.Be32(1, seconds); });
  return NetfilterIn(at.ns).Ack(request);
}
std::uint32_t DefaultOf(const Place& at, const Protocol& protocol) {
  Request request = NetfilterRequest(NFNL_SUBSYS_CTNETLINK_TIMEOUT, IPCTNL_MSG_TIMEOUT_DEFAULT_GET, 0, std::string("default timeout of ") + protocol.name, AF_UNSPEC);
  request.Be16(CTA_TIMEOUT_L3PROTO, protocol.l3).U8(CTA_TIMEOUT_L4PROTO, protocol.l4);
  const auto answer = NetfilterIn(at.ns).Get(request);
  if (!answer.ok()) Known(answer.error(), protocol.l4 == IPPROTO_UDP ? "NF_CT_NETLINK_TIMEOUT" : protocol.symbol).ok();
  const Message message = SETUP_OK(answer);
  return __builtin_bswap32(message.AttributesAfter<nfgenmsg>().Nested(CTA_TIMEOUT_DATA).U32(1).value_or(0));
}
// nfct(8), "default-set timeout": it is the sysctl of the namespace, of which Documentation/networking/nf_conntrack-sysctl.rst tells.
void DefaultIsOfTheNamespace(const Protocol& protocol, Place& owner, Place& other) {
  const std::string file = std::string("net.netfilter.nf_conntrack_") + protocol.sysctl;
  const std::uint32_t before = DefaultOf(owner, protocol), of_other = DefaultOf(other, protocol);
  ASSERT_THAT(owner.ns.Sysctl(file), Holds(std::to_string(before))) << "control: one and the same";
  ASSERT_THAT(other.ns.Sysctl(file), Holds(std::to_string(of_other))) << "control: one and the same";
  Undo undo([&] { (void)SetDefault(owner, protocol, before).ok(); });
  const std::uint32_t set = before + of_other + 77;
  ASSERT_OK(SetDefault(owner, protocol, set));
  EXPECT_EQ(DefaultOf(owner, protocol), set) << "control";
  EXPECT_THAT(owner.ns.Sysctl(file), Holds(std::to_string(set))) << "control";
  EXPECT_EQ(DefaultOf(other, protocol), of_other) << "nfct(8): the default of another namespace was set, too";
  EXPECT_THAT(other.ns.Sysctl(file), Holds(std::to_string(of_other))) << "nfct(8): the default of another namespace was set, too";
  const Place born;
  EXPECT_NE(DefaultOf(born, protocol), set) << "a new namespace begins with what was set in another";
  // By its file it is the same value.
  ASSERT_OK(owner.ns.SetSysctl(file, std::to_string(set + 1)));
  EXPECT_EQ(DefaultOf(owner, protocol), set + 1) << "control";
  EXPECT_EQ(DefaultOf(other, protocol), of_other) << "a write to the file of another namespace";
}
[[maybe_unused]] const bool defaults_registered = [] {
  for (const Protocol& protocol : kProtocols)
    RegisterBetween("Fw", "DefaultTimeoutsAreOfTheNamespace", protocol.name, __FILE__, __LINE__,
                    [&protocol](Place& owner, Place& other) { DefaultIsOfTheNamespace(protocol, owner, other); }, Covers("FW-08", "FW-25"),
                    Needs(Config("NF_CT_NETLINK_TIMEOUT"), Config(protocol.symbol)));
  return true;
}();

}  // namespace
}  // namespace netns
