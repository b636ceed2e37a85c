// SPDX-License-Identifier: GPL-2.0-or-later
// FW: the older filters, and what stands beside them: iptables, arptables, ebtables, sets, virtual servers, accounting,
// bridge netfilter and the choice of the logger.
#include "fixtures/nftables.h"

#include <arpa/inet.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_acct.h>
#include <linux/netfilter/x_tables.h>
#include <linux/netfilter_arp/arp_tables.h>
#include <linux/netfilter_bridge/ebtables.h>

#include <algorithm>
#include <cstring>
#include <sstream>

#include "fixtures/iptables.h"
#include "fixtures/net_namespace.h"
#include "fixtures/netfilter.h"
#include "fixtures/nic.h"
#include "fixtures/rtnl.h"
#include "fixtures/sockets.h"
#include "fixtures/topology.h"
#include "fixtures/user_namespace.h"
#include "harness/assertions.h"
#include "harness/kernel_config.h"
#include "harness/registration.h"
#include "suites/support/firewall.h"
#include "suites/support/in_namespace.h"
#include "suites/support/ip_set.h"
#include "suites/support/may_use.h"
#include "suites/support/virtual_servers.h"

namespace netns {
namespace {

using testing::AnyOf;
using testing::ElementsAre;
using testing::Eq;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr std::chrono::milliseconds kSoon{300};

// --- iptables ---------------------------------------------------------------------------------------------------------

/// The value of a step over a legacy table: MISS where the kernel has none. Nothing loads it but its own program.
template <class T>
T NeedsLegacy(Result<T> result, const std::string& symbol, const char* step) {
  if (!result.ok() && (result.code() == ENOPROTOOPT || result.code() == ENOENT))
    throw MissingNeed("needs-config:" + symbol, "the kernel has no such legacy table: " + result.error().ToString(),
                      "use a kernel with CONFIG_" + symbol + ", built in or loaded");
  return SetupOk(std::move(result), step);
}

struct LegacyTable {
  const char *name, *table, *symbol;
  int family;
};
const LegacyTable kLegacyTables[] = {{"Filter", "filter", "IP_NF_FILTER", AF_INET},      {"Nat", "nat", "IP_NF_NAT", AF_INET},
                                     {"Mangle", "mangle", "IP_NF_MANGLE", AF_INET},      {"Raw", "raw", "IP_NF_RAW", AF_INET},
                                     {"Security", "security", "IP_NF_SECURITY", AF_INET}, {"Filter6", "filter", "IP6_NF_FILTER", AF_INET6},
                                     {"Nat6", "nat", "IP6_NF_NAT", AF_INET6},            {"Mangle6", "mangle", "IP6_NF_MANGLE", AF_INET6},
                                     {"Raw6", "raw", "IP6_NF_RAW", AF_INET6},            {"Security6", "security", "IP6_NF_SECURITY", AF_INET6}};

// iptables(8): the tables of a namespace: their rules, their policies, and what these do to packets.
void LegacyRulesAreSeparate(int family, const std::string& table, const std::string& symbol) {
  const bool six = family == AF_INET6;
  const std::string chain = table == "nat" || table == "raw" || table == "mangle" || table == "filter" || table == "security" ? "OUTPUT" : "";
  auto before = NetNamespace::Create(), a = NetNamespace::Create(), b = NetNamespace::Create();
  auto creator = NetNamespace::Current();
  Iptables in_before(before, family, table), in_a(a, family, table), in_b(b, family, table), in_creator(creator, family, table);
  const char *first = six ? "2001:db8::1" : "192.0.2.1", *second = six ? "2001:db8::2" : "192.0.2.2";
  NeedsLegacy(in_a.Chains(), symbol, "the table");
  ASSERT_OK(in_a.Append(chain, {.daddr = first, .target = "ACCEPT"})) << "iptables(8): a rule cannot be added in this namespace";
  ASSERT_OK(in_a.Append(chain, {.daddr = second, .target = "ACCEPT"})) << "iptables(8): a rule cannot be added in this namespace";
  auto targets = [&](Iptables& tables) {
    std::vector<std::string> all;
    for (const IptRule& rule : SETUP_OK(tables.Rules(chain))) all.push_back(rule.daddr);
    return all;
  };
  EXPECT_THAT(targets(in_a), ElementsAre(first, second)) << "control";
  EXPECT_THAT(targets(in_b), IsEmpty()) << "rules of a sibling are listed";
  EXPECT_THAT(targets(in_before), IsEmpty()) << "rules of a younger sibling are listed";
  EXPECT_THAT(targets(in_creator), IsEmpty()) << "rules are listed in the creator's namespace";
  SETUP_OK(in_b.Append(chain, {.daddr = second, .target = "ACCEPT"}));
  EXPECT_THAT(targets(in_a), ElementsAre(first, second));
  EXPECT_THAT(targets(in_b), ElementsAre(second));
  auto born = NetNamespace::Create();
  Iptables in_born(born, family, table);
  EXPECT_THAT(targets(in_born), IsEmpty()) << "a new namespace has rules";
  EXPECT_THAT(in_born.Policy(chain), Holds(Eq("ACCEPT")));
  SETUP_OK(in_a.Flush(chain));
  EXPECT_THAT(targets(in_a), IsEmpty()) << "control";
  EXPECT_THAT(targets(in_b), ElementsAre(second)) << "a flush in a sibling reached here";
  if (table == "nat") return;  // its chains take no other policy

  // The policy of a chain, seen and felt.
  const char* loopback = six ? kLoopback6 : kLoopback4;
  for (auto* ns : {&before, &a, &b, &born}) LoopbackUp(*ns);
  auto talks = [&](const NetNamespace& ns, Deadline deadline = Deadline::OfTest()) { return UdpTalks(ns, ns, Inet(loopback, 7401), 10, deadline); };
  ASSERT_OK(talks(a)) << "control";
  SETUP_OK(in_a.SetPolicy(chain, "DROP"));
  EXPECT_THAT(in_a.Policy(chain), Holds(Eq("DROP"))) << "control";
  EXPECT_THAT(talks(a, Deadline::In(kSoon)), Not(Succeeds())) << "control: its policy drops";
  struct Other { const NetNamespace& ns; Iptables& tables; };
  for (const Other& other : {Other{before, in_before}, Other{b, in_b}, Other{born, in_born}}) {
    EXPECT_THAT(other.tables.Policy(chain), Holds(Eq("ACCEPT"))) << "the policy of a sibling";
    EXPECT_OK(talks(other.ns)) << "the policy of a sibling acts here";
  }
  auto late = NetNamespace::Create();
  LoopbackUp(late);
  EXPECT_OK(talks(late)) << "the policy acts in a namespace that is made afterwards";
  SETUP_OK(in_a.SetPolicy(chain, "ACCEPT"));
  EXPECT_OK(talks(a)) << "control";
}
const bool legacy = [] {
  for (const LegacyTable& row : kLegacyTables)
    RegisterBody("Fw", std::string("IptablesArePerNamespace/") + row.name, __FILE__, __LINE__,
                 [&row] { LegacyRulesAreSeparate(row.family, row.table, row.symbol); }, Covers("FW-04", "FW-03"), Needs(Config(row.symbol)));
  return true;
}();

// --- arptables and ebtables -------------------------------------------------------------------------------------------

/// arptables' table "filter" as the kernel hands it out, and a way to write it back with another policy.
class Arptables {
 public:
  explicit Arptables(const NetNamespace& ns) : ns_(ns), socket_(SETUP_OK(ns.Socket(AF_INET, SOCK_RAW, IPPROTO_RAW))) {}

  /// The verdicts at the ends of INPUT, OUTPUT and FORWARD, and how many entries there are: one for each, and one that ends all.
  std::string Summary() {
    Read();
    std::string text;
    for (int hook : {NF_ARP_IN, NF_ARP_OUT, NF_ARP_FORWARD})
      if ((info_.valid_hooks & (1u << hook)) != 0) text += std::to_string(VerdictOf(EntryAt(info_.underflow[hook]))) + " ";
    return text + "entries " + std::to_string(info_.num_entries);
  }
  /// The verdict at the end of INPUT and how many packets met it.
  struct Policy { int verdict; std::uint64_t packets; };
  Policy Input() {
    Read();
    auto* entry = EntryAt(info_.underflow[NF_ARP_IN]);
    return {VerdictOf(entry), entry->counters.pcnt};
  }
  void SetInput(int verdict) { Set(NF_ARP_IN, verdict); }
  /// What bridges pass on, where they ask arptables.
  void SetForward(int verdict) { Set(NF_ARP_FORWARD, verdict); }

 private:
  void Set(int hook, int verdict) {
    Read();
    VerdictOf(EntryAt(info_.underflow[hook])) = verdict;
    std::vector<xt_counters> old(info_.num_entries);
    std::vector<char> request(sizeof(arpt_replace) + info_.size);
    auto* replace = reinterpret_cast<arpt_replace*>(request.data());
    std::strcpy(replace->name, "filter");
    replace->valid_hooks = info_.valid_hooks;
    replace->num_entries = replace->num_counters = info_.num_entries;
    replace->size = info_.size;
    std::copy(std::begin(info_.hook_entry), std::end(info_.hook_entry), replace->hook_entry);
    std::copy(std::begin(info_.underflow), std::end(info_.underflow), replace->underflow);
    replace->counters = old.data();
    std::memcpy(replace->entries, Entries(), info_.size);
    ns_.In([&] {
      if (::setsockopt(socket_.get(), SOL_IP, ARPT_SO_SET_REPLACE, request.data(), static_cast<socklen_t>(request.size())) < 0)
        SETUP_OK(Status(ErrnoError("setsockopt(ARPT_SO_SET_REPLACE)")));
    });
  }

  void Read() {
    ns_.In([&] {
      info_ = {};
      std::strcpy(info_.name, "filter");
      socklen_t size = sizeof info_;
      if (::getsockopt(socket_.get(), SOL_IP, ARPT_SO_GET_INFO, &info_, &size) < 0)
        NeedsLegacy(Status(ErrnoError("getsockopt(ARPT_SO_GET_INFO)")), "IP_NF_ARPFILTER", "the table");
      blob_.assign(sizeof(arpt_get_entries) + info_.size, 0);
      auto* get = reinterpret_cast<arpt_get_entries*>(blob_.data());
      std::strcpy(get->name, "filter");
      get->size = info_.size;
      size = static_cast<socklen_t>(blob_.size());
      if (::getsockopt(socket_.get(), SOL_IP, ARPT_SO_GET_ENTRIES, blob_.data(), &size) < 0)
        SETUP_OK(Status(ErrnoError("getsockopt(ARPT_SO_GET_ENTRIES)")));
    });
  }
  char* Entries() { return reinterpret_cast<char*>(reinterpret_cast<arpt_get_entries*>(blob_.data())->entrytable); }
  arpt_entry* EntryAt(unsigned offset) { return reinterpret_cast<arpt_entry*>(Entries() + offset); }
  static int& VerdictOf(arpt_entry* entry) {
    return reinterpret_cast<xt_standard_target*>(reinterpret_cast<char*>(entry) + entry->target_offset)->verdict;
  }

  const NetNamespace& ns_;
  Fd socket_;
  arpt_getinfo info_{};
  std::vector<char> blob_;
};

NETNS_TEST(Fw, ArptablesArePerNamespace, Covers("FW-06"), Needs(Config("IP_NF_ARPTABLES"), Config("IP_NF_ARPFILTER"), Config("VETH"))) {
  constexpr int kDrop = -NF_DROP - 1, kAccept = -NF_ACCEPT - 1;
  auto a = NetNamespace::Create(), b = NetNamespace::Create(), peer = NetNamespace::Create();
  Arptables in_a(a), in_b(b), in_peer(peer);
  ASSERT_EQ(in_a.Input().verdict, kAccept) << "a new namespace drops ARP";
  ASSERT_EQ(in_b.Input().verdict, kAccept);
  in_a.SetInput(kDrop);
  EXPECT_EQ(in_a.Input().verdict, kDrop) << "control";
  EXPECT_EQ(in_b.Input().verdict, kAccept) << "the policy of a sibling";
  EXPECT_EQ(in_peer.Input().verdict, kAccept) << "the policy of a sibling";
  auto born = NetNamespace::Create();
  EXPECT_EQ(Arptables(born).Input().verdict, kAccept) << "a new namespace has the policy of an older one";
  // Felt: the peer asks both for their hardware address. It asks a first, so that a's drop is sure when b has answered.
  auto to_a = NeedsConfig("VETH", VethPair::Between(peer, a, {.west = "to-a", .east = "up", .west6 = "", .east6 = ""}), "a veth pair");
  auto to_b = SETUP_OK(VethPair::Between(peer, b, {.west = "to-b", .east = "up", .west4 = "198.51.100.1/24", .east4 = "198.51.100.2/24", .west6 = "", .east6 = ""}));
  const std::uint64_t met = in_a.Input().packets;
  Fd sender = SETUP_OK(peer.Socket(AF_INET, SOCK_DGRAM));
  SETUP_OK(SendTo(sender, "x", Inet("192.0.2.2", 7402)));
  EXPECT_EVENTUALLY("control: the policy of a to meet the question", [&] { return in_a.Input().packets > met; });
  EXPECT_OK(UdpTalks(peer, b, Inet("198.51.100.2", 7402), 10)) << "the policy of a sibling drops ARP here";
  in_a.SetInput(kAccept);
  EXPECT_OK(UdpTalks(peer, a, Inet("192.0.2.2", 7403), 10)) << "control: allowed again";
}

/// ebtables' table "filter": its three chains, without rules.
struct EbtChains { ebt_entries in, forward, out; };
EbtChains ReadEbtables(const NetNamespace& ns) {
  Fd socket = SETUP_OK(ns.Socket(AF_INET, SOCK_RAW, IPPROTO_RAW));
  EbtChains chains{};
  ns.In([&] {
    ebt_replace info{};
    std::strcpy(info.name, "filter");
    socklen_t size = sizeof info;
    if (::getsockopt(socket.get(), SOL_IP, EBT_SO_GET_INFO, &info, &size) < 0)
      NeedsLegacy(Status(ErrnoError("getsockopt(EBT_SO_GET_INFO)")), "BRIDGE_EBT_T_FILTER", "the table");
    ASSERT_EQ(info.entries_size, sizeof chains) << "a new table has three empty chains";
    info.entries = reinterpret_cast<char*>(&chains);
    info.num_counters = 0;
    info.counters = nullptr;
    size = static_cast<socklen_t>(sizeof info + sizeof chains);
    if (::getsockopt(socket.get(), SOL_IP, EBT_SO_GET_ENTRIES, &info, &size) < 0)
      SETUP_OK(Status(ErrnoError("getsockopt(EBT_SO_GET_ENTRIES)")));
  });
  return chains;
}
void WriteEbtables(const NetNamespace& ns, EbtChains chains) {
  constexpr unsigned kHooks = 1 << NF_BR_LOCAL_IN | 1 << NF_BR_FORWARD | 1 << NF_BR_LOCAL_OUT;
  Fd socket = SETUP_OK(ns.Socket(AF_INET, SOCK_RAW, IPPROTO_RAW));
  ns.In([&] {
    ebt_replace replace{};
    std::strcpy(replace.name, "filter");
    replace.valid_hooks = kHooks;
    replace.entries_size = sizeof chains;
    replace.entries = reinterpret_cast<char*>(&chains);
    replace.hook_entry[NF_BR_LOCAL_IN] = &chains.in;
    replace.hook_entry[NF_BR_FORWARD] = &chains.forward;
    replace.hook_entry[NF_BR_LOCAL_OUT] = &chains.out;
    if (::setsockopt(socket.get(), SOL_IP, EBT_SO_SET_ENTRIES, &replace, static_cast<socklen_t>(sizeof replace + sizeof chains)) < 0)
      SETUP_OK(Status(ErrnoError("setsockopt(EBT_SO_SET_ENTRIES)")));
  });
}
NETNS_TEST(Fw, EbtablesArePerNamespace, Covers("FW-06"), Needs(Config("BRIDGE_NF_EBTABLES"), Config("BRIDGE_EBT_T_FILTER"))) {
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  EbtChains chains = ReadEbtables(a);
  ASSERT_EQ(chains.forward.policy, EBT_ACCEPT);
  ASSERT_EQ(ReadEbtables(b).forward.policy, EBT_ACCEPT);
  chains.forward.policy = EBT_DROP;
  WriteEbtables(a, chains);
  EXPECT_EQ(ReadEbtables(a).forward.policy, EBT_DROP) << "control";
  EXPECT_EQ(ReadEbtables(b).forward.policy, EBT_ACCEPT) << "the policy of a sibling";
  EXPECT_EQ(ReadEbtables(NetNamespace::Create()).forward.policy, EBT_ACCEPT) << "a new namespace has the policy of an older one";
  EXPECT_EQ(ReadEbtables(NetNamespace::Current()).forward.policy, EBT_ACCEPT) << "the policy reached the creator's namespace";
  EbtChains other = ReadEbtables(b);
  other.in.policy = EBT_DROP;
  WriteEbtables(b, other);
  EXPECT_EQ(ReadEbtables(a).in.policy, EBT_ACCEPT);
  EXPECT_EQ(ReadEbtables(a).forward.policy, EBT_DROP);
}

// --- At birth ---------------------------------------------------------------------------------------------------------

/// A namespace and whose it is. The owner lives as long.
struct Owned {
  std::string who;
  NetNamespace ns;
  std::optional<Actor> owner = {};
};
std::vector<Owned> OfAllOwners(const NetNamespace& creator) {
  std::vector<Owned> all;
  const auto of = [&](const char* who, Actor owner) {
    auto ns = SETUP_OK(NetNamespace::OfPid(owner.pid()));
    all.push_back({who, std::move(ns), std::move(owner)});
  };
  all.push_back({"the own user namespace", NetNamespace::Create()});
  all.push_back({"the own user namespace, made from inside of one with policies", creator.In([] { return NetNamespace::Create(); })});
  of("a child user namespace", StartNamespaceRoot("child"));
  Actor grandchild = StartNamespaceRoot("grandchild");
  SETUP_OK(EnterNewUserNamespace(grandchild));
  SETUP_OK(grandchild.Unshare(CLONE_NEWNET));
  of("a child of a child user namespace", std::move(grandchild));
  of("a user namespace that was made by the same clone()", Actor::Start("both", CLONE_NEWUSER | CLONE_NEWNET));
  Actor from_inside = Actor::Start("from-inside");
  SETUP_OK(from_inside.Enter(creator.fd(), CLONE_NEWNET));
  SETUP_OK(from_inside.Unshare(CLONE_NEWUSER | CLONE_NEWNET));
  of("a child user namespace, made from inside of one with policies", std::move(from_inside));
  return all;
}

/// Every chain of a table with its policy and how many rules it has.
std::string Summary(const NetNamespace& ns, const LegacyTable& row) {
  Iptables tables(ns, row.family, row.table);
  std::string text;
  for (const std::string& chain : NeedsLegacy(tables.Chains(), row.symbol, "the chains"))
    text += chain + " " + SETUP_OK(tables.Policy(chain)) + " rules " + std::to_string(SETUP_OK(tables.Rules(chain)).size()) + "\n";
  return text;
}

// iptables(8), network_namespaces(7): every chain of a new namespace accepts, whoever owns it and whatever its creator has.
void LegacyChainsAcceptAtBirth(const LegacyTable& row) {
  auto creator = NetNamespace::Create();
  Iptables in_creator(creator, row.family, row.table);
  const auto chains = NeedsLegacy(in_creator.Chains(), row.symbol, "the chains");
  const bool nat = std::string(row.table) == "nat";  // its chains take no other policy
  std::string expected, changed;
  for (const std::string& chain : chains) {
    expected += chain + " ACCEPT rules 0\n";
    if (!nat) SETUP_OK(in_creator.SetPolicy(chain, "DROP"));
    SETUP_OK(in_creator.Append(chain, {.target = "RETURN"}));
    changed += chain + (nat ? " ACCEPT" : " DROP") + " rules 1\n";
  }
  ASSERT_FALSE(chains.empty());
  EXPECT_EQ(Summary(creator, row), changed) << "control: the way of looking tells other policies and rules";
  for (const Owned& one : OfAllOwners(creator)) EXPECT_EQ(Summary(one.ns, row), expected) << "iptables(8): the table of a new namespace owned by " << one.who;
}
const bool at_birth = [] {
  for (const LegacyTable& row : kLegacyTables)
    RegisterBody("Fw", std::string("ChainsAcceptAtBirthWhoeverOwnsTheNamespace/") + row.name, __FILE__, __LINE__, [&row] { LegacyChainsAcceptAtBirth(row); },
                 Covers("FW-03", "FW-04"), Needs(Config(row.symbol), UserNs()));
  return true;
}();

NETNS_TEST(Fw, ArptablesAcceptAtBirthWhoeverOwnsTheNamespace, Covers("FW-03", "FW-06"), Needs(Config("IP_NF_ARPTABLES"), Config("IP_NF_ARPFILTER"), UserNs())) {
  constexpr int kDrop = -NF_DROP - 1;
  auto creator = NetNamespace::Create();
  const std::string expected = Arptables(creator).Summary(), accept = std::to_string(-NF_ACCEPT - 1) + " ";
  EXPECT_THAT(expected, testing::StartsWith(accept + accept)) << "a new namespace drops ARP";
  Arptables(creator).SetInput(kDrop);
  EXPECT_NE(Arptables(creator).Summary(), expected) << "control: the way of looking tells another policy";
  for (const Owned& one : OfAllOwners(creator)) EXPECT_EQ(Arptables(one.ns).Summary(), expected) << "a new namespace owned by " << one.who;
}

NETNS_TEST(Fw, EbtablesAcceptAtBirthWhoeverOwnsTheNamespace, Covers("FW-03", "FW-06"), Needs(Config("BRIDGE_NF_EBTABLES"), Config("BRIDGE_EBT_T_FILTER"), UserNs())) {
  auto creator = NetNamespace::Create();
  for (const Owned& one : OfAllOwners(creator)) {
    const EbtChains chains = ReadEbtables(one.ns);
    for (const ebt_entries* chain : {&chains.in, &chains.forward, &chains.out}) {
      EXPECT_EQ(chain->policy, EBT_ACCEPT) << "chain " << chain->name << " of a new namespace owned by " << one.who;
      EXPECT_EQ(chain->nentries, 0u) << "chain " << chain->name << " of a new namespace owned by " << one.who;
    }
  }
}

// The same as packets feel it: a new namespace that is told to forward does so, with all the tables that there are. (IPv4: a router of
// IPv6 asks for its neighbours only once its link-local address is known to be free, which is not what this is about.)
NETNS_TEST(Fw, ANewNamespaceForwardsWhoeverOwnsIt, Covers("FW-03", "STACK-08"), Needs(Config("VETH"), UserNs()), Within{std::chrono::seconds(60)}) {
  auto creator = NetNamespace::Create();
  if (MayUse("IP_NF_FILTER")) (void)Iptables(creator, AF_INET, "filter").SetPolicy("FORWARD", "DROP").ok();
  const std::vector<Owned> routers = OfAllOwners(creator);
  for (std::size_t i : {std::size_t{0}, std::size_t{2}, routers.size() - 1}) {
    const Owned& one = routers[i];
    SCOPED_TRACE("a router owned by " + one.who);
    auto west = NetNamespace::Create(), east = NetNamespace::Create();
    NeedsConfig("VETH", VethPair::Between(west, one.ns, {.west = "to-router", .east = "west", .west6 = "", .east6 = ""}), "a veth pair");
    SETUP_OK(VethPair::Between(east, one.ns, {.west = "to-router", .east = "east", .west4 = "198.51.100.1/24", .east4 = "198.51.100.2/24", .west6 = "", .east6 = ""}));
    for (const LegacyTable& row : kLegacyTables)
      if (KernelConfig::Running().Value(row.symbol) != 'n' && MayUse(row.symbol)) (void)Iptables(one.ns, row.family, row.table).Chains().ok();  // reading makes the table
    auto in_west = RtnlIn(west), in_east = RtnlIn(east);
    SETUP_OK(in_west.AddRoute({.to = "198.51.100.0/24", .via = "192.0.2.2"}));
    SETUP_OK(in_east.AddRoute({.to = "192.0.2.0/24", .via = "198.51.100.2"}));
    EXPECT_FALSE(UdpTalks(west, east, Inet("198.51.100.1", 7410), 10, Deadline::In(kSoon)).ok()) << "control: it was not told to";
    SETUP_OK(one.ns.SetSysctl("net.ipv4.ip_forward", "1"));
    EXPECT_OK(UdpTalks(west, east, Inet("198.51.100.1", 7411), 10)) << "a new namespace forwards and accepts";
  }
}

// --- Sets -------------------------------------------------------------------------------------------------------------

/// The first set of a test: MISS where the kernel has no sets.
void NeedsSets(Status created) {
  if (created.code() == EINVAL || created.code() == EOPNOTSUPP || created.code() == ENOENT || created.code() == IPSET_ERR_FIND_TYPE)
    throw MissingNeed("needs-config:IP_SET", "the kernel has no such sets: " + created.error().ToString());
  SETUP_OK(std::move(created));
}

// ipset(8): a set is of the namespace in which it was made.
void SetsAreSeparate(const NetNamespace& a, const NetNamespace& b, bool six) {
  const std::string own = six ? "only-a6" : "only-a", both = six ? "both6" : "both";
  const char *first = six ? "2001:db8::1" : "192.0.2.1", *second = six ? "2001:db8::2" : "192.0.2.2";
  const std::uint8_t family = six ? NFPROTO_IPV6 : NFPROTO_IPV4;
  Sets in_a(a), in_b(b), in_creator(NetNamespace::Current());
  NeedsSets(in_a.Create(both, "hash:ip", family));
  SETUP_OK(in_a.Create(own, "hash:ip", family));
  SETUP_OK(in_a.Add(both, first));
  SETUP_OK(in_a.Add(own, first));
  auto as_made = in_a.Names();
  EXPECT_THAT(as_made, testing::IsSupersetOf({both, own})) << "control";
  EXPECT_THAT(in_b.Names(), IsEmpty()) << "sets of another namespace are listed";
  EXPECT_THAT(in_a.Create(both, "hash:ip", family), FailsWith(EEXIST)) << "control: inside one namespace the name is taken";
  EXPECT_OK(in_a.Test(own, first)) << "control";
  EXPECT_THAT(in_a.Test(own, second), FailsWith(kNoMember)) << "control";
  // None of the ways to use a set finds one of another namespace.
  EXPECT_THAT(in_b.Test(own, first), FailsWith(ENOENT));
  EXPECT_THAT(in_b.Test(own, second), FailsWith(ENOENT));
  EXPECT_THAT(in_b.Add(own, second), FailsWith(ENOENT));
  EXPECT_THAT(in_b.Header(own), FailsWith(ENOENT));
  EXPECT_THAT(in_b.Flush(own), FailsWith(ENOENT));
  EXPECT_THAT(in_b.Rename(own, "stolen"), FailsWith(ENOENT));
  EXPECT_THAT(in_b.Destroy(own), FailsWith(ENOENT));
  EXPECT_OK(in_a.Header(own)) << "control";
  EXPECT_OK(in_a.Test(own, first)) << "another namespace changed this set";
  EXPECT_THAT(in_a.Test(own, second), FailsWith(kNoMember)) << "another namespace added to this set";
  // The same name is another set there.
  ASSERT_OK(in_b.Create(both, "hash:ip", family));
  EXPECT_THAT(in_b.Names(), ElementsAre(both));
  EXPECT_THAT(in_b.Test(both, first), FailsWith(kNoMember)) << "a member of the other namespace's set";
  SETUP_OK(in_b.Add(both, second));
  EXPECT_THAT(in_a.Test(both, second), FailsWith(kNoMember)) << "a member of the other namespace's set";
  EXPECT_THAT(in_b.Swap(both, own), Not(Succeeds()));
  EXPECT_THAT(Sets(NetNamespace::Create()).Names(), IsEmpty()) << "a new namespace has sets";
  SETUP_OK(in_b.Flush(both));
  EXPECT_OK(in_a.Test(both, first)) << "the flush of another namespace's set";
  // ipset(8): "flush [ SETNAME ] Flush all entries from the specified set or flush all sets if none is given."
  SETUP_OK(in_b.Add(both, second));
  ASSERT_OK(in_b.FlushAll());
  EXPECT_THAT(in_b.Test(both, second), FailsWith(kNoMember)) << "control: flushed with all sets of its namespace";
  EXPECT_OK(in_a.Test(both, first)) << "ipset(8): all sets were flushed in another namespace";
  EXPECT_OK(in_a.Test(own, first)) << "ipset(8): all sets were flushed in another namespace";
  ASSERT_OK(in_b.DestroyAll());
  EXPECT_THAT(in_b.Names(), IsEmpty()) << "control";
  EXPECT_EQ(in_a.Names(), as_made) << "ipset(8): all sets were destroyed in another namespace";
  ASSERT_OK(in_b.Create(both, "hash:ip", family));
  SETUP_OK(in_b.Destroy(both));
  EXPECT_EQ(in_a.Names(), as_made) << "the destruction of another namespace's set";
  SETUP_OK(in_a.Destroy(both));
  SETUP_OK(in_a.Destroy(own));
}
NETNS_TEST(Fw, SetsArePerNamespace, Covers("FW-15"), Needs(Config("IP_SET"), Config("IP_SET_HASH_IP"))) {
  auto before = NetNamespace::Create(), a = NetNamespace::Create(), b = NetNamespace::Create();
  for (bool six : {false, true}) {
    SCOPED_TRACE(six ? "IPv6" : "IPv4");
    SetsAreSeparate(a, b, six);
    SetsAreSeparate(b, a, six);
    SetsAreSeparate(b, before, six);
  }
}
NETNS_TEST(Fw, SetsOfTheInitialNamespaceAreItsOwn, Covers("FW-15"), Needs(Machine(), Config("IP_SET"), Config("IP_SET_HASH_IP")), Exclusive{}) {
  auto initial = InitialNetNamespace();
  auto ns = NetNamespace::Create();
  for (bool six : {false, true}) {
    SCOPED_TRACE(six ? "IPv6" : "IPv4");
    SetsAreSeparate(initial, ns, six);
    SetsAreSeparate(ns, initial, six);
  }
}

/// A set of sets, and a member of it.
Status AddList(NetlinkSocket& socket, const std::string& name) {
  nfgenmsg header{};
  Request request(NFNL_SUBSYS_IPSET << 8 | IPSET_CMD_CREATE, NLM_F_CREATE | NLM_F_EXCL);
  request.Named("create list of sets " + name).Header(header).U8(IPSET_ATTR_PROTOCOL, 6).Text(IPSET_ATTR_SETNAME, name);
  return socket.Ack(request.Text(IPSET_ATTR_TYPENAME, "list:set").U8(IPSET_ATTR_REVISION, 0).U8(IPSET_ATTR_FAMILY, NFPROTO_UNSPEC).Nest(IPSET_ATTR_DATA, [](Request&) {}));
}
Status ListMember(NetlinkSocket& socket, int command, const std::string& list, const std::string& set) {
  nfgenmsg header{};
  Request request(static_cast<std::uint16_t>(NFNL_SUBSYS_IPSET << 8 | command));
  request.Named("set " + set + " of list " + list).Header(header).U8(IPSET_ATTR_PROTOCOL, 6).Text(IPSET_ATTR_SETNAME, list);
  return socket.Ack(request.Nest(IPSET_ATTR_DATA, [&](Request& data) { data.Text(IPSET_ATTR_NAME, set); }));
}
// ipset(8), list:set: its members are sets of the namespace. And by the way of iptables sets are found there, too.
NETNS_TEST(Fw, SetsAreFoundInTheirNamespaceByListsAndByOption, Covers("FW-15"), Needs(Config("IP_SET"), Config("IP_SET_HASH_IP"), Config("IP_SET_LIST_SET"))) {
  auto before = NetNamespace::Create(), a = NetNamespace::Create(), b = NetNamespace::Create();
  for (auto [owner, other] : {std::pair(&a, &b), std::pair(&b, &a), std::pair(&a, &before)}) {
    Sets sets(*owner), others(*other);
    NeedsSets(sets.Create("first"));
    SETUP_OK(sets.Create("mine"));
    EXPECT_NE(NumberOfSet(*owner, "mine"), IPSET_INVALID_ID) << "control";
    EXPECT_EQ(NumberOfSet(*other, "mine"), IPSET_INVALID_ID) << "a set of another namespace was found by getsockopt(SO_IP_SET)";
    auto in_owner = SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(owner->Socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER))));
    auto in_other = SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(other->Socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER))));
    NeedsSets(AddList(in_owner, "list"));
    SETUP_OK(AddList(in_other, "list"));
    EXPECT_THAT(ListMember(in_other, IPSET_CMD_ADD, "list", "mine"), Not(Succeeds())) << "ipset(8): a set of another namespace became a member";
    EXPECT_OK(ListMember(in_owner, IPSET_CMD_ADD, "list", "mine")) << "control: a set of its own";
    EXPECT_OK(ListMember(in_owner, IPSET_CMD_TEST, "list", "mine")) << "control";
    EXPECT_THAT(ListMember(in_other, IPSET_CMD_TEST, "list", "mine"), Not(Succeeds())) << "the member of an equally named list of another namespace";
    ASSERT_OK(others.Create("mine"));
    EXPECT_THAT(ListMember(in_other, IPSET_CMD_TEST, "list", "mine"), Not(Succeeds())) << "the member of an equally named list of another namespace";
    EXPECT_OK(ListMember(in_other, IPSET_CMD_ADD, "list", "mine")) << "control: one of its own";
    EXPECT_NE(NumberOfSet(*other, "mine"), IPSET_INVALID_ID) << "control";
    for (Sets* each : {&others, &sets}) {
      SETUP_OK(each->Destroy("list"));
      SETUP_OK(each->DestroyAll());
      if (each == &others) {
        EXPECT_THAT(sets.Names(), ElementsAre("first", "list", "mine"));
      }
    }
  }
}

// --- Virtual servers --------------------------------------------------------------------------------------------------

VirtualService ServiceAt(const char* address, std::uint16_t port) {
  return {.family = std::strchr(address, ':') != nullptr ? AF_INET6 : AF_INET, .address = address, .port = port};
}

void VirtualServersAreSeparate(bool six) {
  auto before = NetNamespace::Create(), a = NetNamespace::Create(), b = NetNamespace::Create();
  auto creator = NetNamespace::Current();
  VirtualServers in_before(before), in_a(a), in_b(b), in_creator(creator);
  const char* address = six ? "2001:db8::80" : "192.0.2.80";
  Status added = in_a.Add(ServiceAt(address, 80));
  if (added.code() == ENOENT || added.code() == EPROTONOSUPPORT || added.code() == EAFNOSUPPORT || (six && added.code() == EINVAL))
    throw MissingNeed(six ? "needs-config:IP_VS_IPV6" : "needs-config:IP_VS_RR", "no virtual server can be made: " + added.error().ToString());
  SETUP_OK(std::move(added));
  SETUP_OK(in_a.Add(ServiceAt(address, 81)));
  EXPECT_THAT(in_a.Add(ServiceAt(address, 80)), FailsWith(EEXIST)) << "control: inside one namespace the service is taken";
  auto listed = [](const NetNamespace& ns) {
    int count = 0;
    std::istringstream lines(SETUP_OK(ns.ReadProcNet("ip_vs")));
    for (std::string line; std::getline(lines, line);)
      if (line.starts_with("TCP ")) ++count;
    return count;
  };
  EXPECT_THAT(in_a.Ports(), ElementsAre(80, 81)) << "control";
  EXPECT_EQ(listed(a), 2) << "control: /proc/net/ip_vs";
  auto born = NetNamespace::Create();
  VirtualServers in_born(born);
  struct Other { const char* who; VirtualServers& servers; const NetNamespace& ns; };
  for (const Other& other : {Other{"an older sibling", in_before, before}, Other{"a sibling", in_b, b}, Other{"the creator", in_creator, creator}, Other{"a new namespace", in_born, born}}) {
    SCOPED_TRACE(other.who);
    EXPECT_THAT(other.servers.Ports(), IsEmpty()) << "virtual servers of another namespace are listed";
    EXPECT_EQ(listed(other.ns), 0) << "/proc/net/ip_vs lists those of another namespace";
    EXPECT_THAT(other.servers.Delete(ServiceAt(address, 80)), FailsWith(ESRCH)) << "one of another namespace can be deleted";
  }
  ASSERT_OK(in_b.Add(ServiceAt(address, 80))) << "the address is taken by another namespace";
  EXPECT_THAT(in_b.Ports(), ElementsAre(80));
  EXPECT_EQ(listed(b), 1);
  SETUP_OK(in_a.Flush());
  EXPECT_THAT(in_a.Ports(), IsEmpty()) << "control";
  EXPECT_THAT(in_b.Ports(), ElementsAre(80)) << "the flush of another namespace";
  EXPECT_EQ(listed(a), 0);
  SETUP_OK(in_b.Delete(ServiceAt(address, 80)));
}
NETNS_TEST(Fw, VirtualServersArePerNamespace, Covers("FW-16", "PROC-28"), Needs(Config("IP_VS"), Config("IP_VS_RR"), Config("IP_VS_PROTO_TCP"))) {
  VirtualServersAreSeparate(false);
}
NETNS_TEST(Fw, VirtualServersOfIpv6ArePerNamespace, Covers("FW-16", "PROC-28"), Needs(Config("IP_VS"), Config("IP_VS_RR"), Config("IP_VS_PROTO_TCP"), Config("IP_VS_IPV6"))) {
  VirtualServersAreSeparate(true);
}

// All namespaces have their services in one table of some hundred buckets. Of this many namespaces some meet there, with all
// their services.
NETNS_TEST(Fw, EqualVirtualServersOfManyNamespacesAreTheirOwn, Covers("FW-16"), Needs(Config("IP_VS"), Config("IP_VS_RR"), Config("IP_VS_PROTO_TCP")), Within{std::chrono::seconds(60)}) {
  constexpr std::size_t kNamespaces = 30;
  constexpr std::uint16_t kServices = 2;
  const char* address = "192.0.2.80";
  std::vector<NetNamespace> places;
  for (std::size_t i = 0; i < kNamespaces + 4; ++i) places.push_back(NetNamespace::Create());
  std::vector<VirtualServers> servers;
  for (const NetNamespace& place : places) servers.emplace_back(place);
  if (const Status probe = servers[0].Add(ServiceAt(address, 80)); probe.code() == ENOENT || probe.code() == EPROTONOSUPPORT)
    throw MissingNeed("needs-config:IP_VS_RR", "no virtual server can be made: " + probe.error().ToString());
  SETUP_OK(servers[0].Delete(ServiceAt(address, 80)));
  std::vector<std::uint16_t> all;
  for (std::uint16_t port = 80; port < 80 + kServices; ++port) all.push_back(port);
  for (std::size_t i = 0; i < kNamespaces; ++i)
    for (std::uint16_t port : all) ASSERT_OK(servers[i].Add(ServiceAt(address, port))) << "an equal service of another namespace is in the way";
  // Those that have none try to delete them.
  for (std::size_t i = kNamespaces; i < places.size(); ++i)
    for (std::uint16_t port : all) ASSERT_THAT(servers[i].Delete(ServiceAt(address, port)), FailsWith(ESRCH)) << "a service of another namespace can be deleted";
  for (std::uint16_t port : all) ASSERT_OK(servers[0].Delete(ServiceAt(address, port))) << "control: its own";
  EXPECT_THAT(servers[0].Ports(), IsEmpty()) << "control";
  for (std::size_t i = 1; i < kNamespaces; ++i) EXPECT_EQ(servers[i].Ports(), all) << "equal ones were deleted in another namespace";
  for (std::size_t i = 0; i < kNamespaces; ++i) SETUP_OK(servers[i].Flush());
}

// --- Accounting objects -----------------------------------------------------------------------------------------------

NETNS_TEST(Fw, AccountingObjectsArePerNamespace, Covers("FW-25"), Needs(Config("NETFILTER_NETLINK_ACCT"))) {
  auto before = NetNamespace::Create(), a = NetNamespace::Create(), b = NetNamespace::Create();
  auto socket = [](const NetNamespace& ns) { return SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER)))); };
  auto in_before = socket(before), in_a = socket(a), in_b = socket(b);
  auto make = [](int type, std::uint16_t flags, const std::string& name) {
    Request request(static_cast<std::uint16_t>(NFNL_SUBSYS_ACCT << 8 | type), flags);
    request.Named("accounting object '" + name + "', message " + std::to_string(type)).Header(nfgenmsg{});
    if (!name.empty()) request.Text(NFACCT_NAME, name);
    return request;
  };
  auto add = [&](const std::string& name, std::uint32_t packets) {
    Request request = make(NFNL_MSG_ACCT_NEW, NLM_F_CREATE | NLM_F_EXCL, name);
    const std::uint32_t be64[2] = {0, htonl(packets)};
    request.Raw(NFACCT_PKTS, std::as_bytes(std::span(be64))).Raw(NFACCT_BYTES, std::as_bytes(std::span(be64)));
    return request;
  };
  auto names = [&](NetlinkSocket& from) {
    std::vector<std::string> all;
    for (const Message& message : SETUP_OK(from.Dump(make(NFNL_MSG_ACCT_GET, 0, ""))))
      all.push_back(message.AttributesAfter<nfgenmsg>().Text(NFACCT_NAME).value_or("?"));
    std::sort(all.begin(), all.end());
    return all;
  };
  auto packets = [&](NetlinkSocket& from, const std::string& name) {
    auto raw = SETUP_OK(from.Get(make(NFNL_MSG_ACCT_GET, 0, name)));
    std::uint32_t be64[2] = {};
    if (auto bytes = raw.AttributesAfter<nfgenmsg>().Raw(NFACCT_PKTS); bytes && bytes->size() == 8) std::memcpy(be64, bytes->data(), 8);
    return ntohl(be64[1]);
  };
  Status added = in_a.Ack(add("both", 11));
  if (added.code() == EINVAL || added.code() == EOPNOTSUPP)
    throw MissingNeed("needs-config:NETFILTER_NETLINK_ACCT", "the kernel has no accounting objects: " + added.error().ToString());
  SETUP_OK(std::move(added));
  SETUP_OK(in_a.Ack(add("only-a", 12)));
  EXPECT_THAT(in_a.Ack(add("both", 1)), FailsWith(EEXIST)) << "control: inside one namespace the name is taken";
  EXPECT_THAT(names(in_a), ElementsAre("both", "only-a")) << "control";
  EXPECT_THAT(names(in_b), IsEmpty()) << "objects of a sibling are listed";
  EXPECT_THAT(names(in_before), IsEmpty()) << "objects of a younger sibling are listed";
  EXPECT_THAT(in_b.Get(make(NFNL_MSG_ACCT_GET, 0, "only-a")), FailsWith(ENOENT));
  EXPECT_THAT(in_b.Ack(make(NFNL_MSG_ACCT_DEL, 0, "only-a")), FailsWith(ENOENT));
  ASSERT_OK(in_b.Ack(add("both", 21)));
  EXPECT_EQ(packets(in_a, "both"), 11u);
  EXPECT_EQ(packets(in_b, "both"), 21u);
  // nfacct(8), "list reset" and "flush": those of the namespace.
  SETUP_OK(in_b.Dump(make(NFNL_MSG_ACCT_GET_CTRZERO, 0, "")));
  EXPECT_EQ(packets(in_b, "both"), 0u) << "control: set to zero";
  EXPECT_EQ(packets(in_a, "both"), 11u) << "nfacct(8): counters were set to zero in another namespace";
  SETUP_OK(in_b.Ack(make(NFNL_MSG_ACCT_DEL, 0, "")));
  EXPECT_THAT(names(in_b), IsEmpty()) << "control: all were deleted";
  EXPECT_THAT(names(in_a), ElementsAre("both", "only-a")) << "nfacct(8): all were deleted in another namespace";
  SETUP_OK(in_b.Ack(add("both", 22)));
  SETUP_OK(in_b.Ack(make(NFNL_MSG_ACCT_DEL, 0, "both")));
  EXPECT_THAT(names(in_b), IsEmpty()) << "control";
  EXPECT_THAT(names(in_a), ElementsAre("both", "only-a")) << "deleting in a sibling reached here";
}

// --- The logger -------------------------------------------------------------------------------------------------------

NETNS_TEST(Fw, LoggerIsChosenPerNamespace, Covers("FW-14"), Needs(Config("NETFILTER_NETLINK_LOG"))) {
  auto before = NetNamespace::Create(), a = NetNamespace::Create(), b = NetNamespace::Create();
  auto monitor = ListenToNflog(a, 5);  // has the logger loaded where it is a module
  if (!monitor.ok() && monitor.code() == EINVAL) throw MissingNeed("needs-config:NETFILTER_NETLINK_LOG", "nfnetlink has no logger");
  for (const char* protocol : {"2", "10", "7"}) {
    SCOPED_TRACE(std::string("nf_log/") + protocol);
    const std::string file = std::string("net/netfilter/nf_log/") + protocol;
    if (!a.HasSysctl(file)) continue;
    // What is built in or loaded may have chosen itself at birth.
    const std::string birth = SETUP_OK(b.Sysctl(file));
    Status set = a.SetSysctl(file, "nfnetlink_log");
    if (set.code() == ENOENT) throw MissingNeed("needs-config:NETFILTER_NETLINK_LOG", "the logger nfnetlink_log is not there");
    ASSERT_OK(std::move(set));
    EXPECT_THAT(a.Sysctl(file), Holds(Eq("nfnetlink_log"))) << "control";
    EXPECT_THAT(before.Sysctl(file), Holds(Eq(birth))) << "the choice reached an older sibling";
    EXPECT_THAT(b.Sysctl(file), Holds(Eq(birth))) << "the choice reached a sibling";
    EXPECT_THAT(NetNamespace::Create().Sysctl(file), Holds(Eq(birth))) << "a new namespace has the choice of another one";
    EXPECT_THAT(NetNamespace::Current().Sysctl(file), Holds(Eq(birth))) << "the choice reached the creator";
    SETUP_OK(b.SetSysctl(file, "nfnetlink_log"));
    SETUP_OK(a.SetSysctl(file, "NONE"));
    EXPECT_THAT(a.Sysctl(file), Holds(Eq("NONE"))) << "control";
    EXPECT_THAT(b.Sysctl(file), Holds(Eq("nfnetlink_log"))) << "a sibling's choice was taken back here too";
  }
}

NETNS_TEST(Fw, LoggerOfTheInitialNamespaceIsItsOwn, Covers("FW-14"), Needs(Machine(), Config("NETFILTER_NETLINK_LOG")), Exclusive{}) {
  auto initial = InitialNetNamespace();
  auto a = NetNamespace::Create();
  auto monitor = ListenToNflog(a, 5);
  if (!monitor.ok() && monitor.code() == EINVAL) throw MissingNeed("needs-config:NETFILTER_NETLINK_LOG", "nfnetlink has no logger");
  for (const char* protocol : {"2", "10", "7"}) {
    SCOPED_TRACE(std::string("nf_log/") + protocol);
    const std::string file = std::string("net/netfilter/nf_log/") + protocol;
    if (!a.HasSysctl(file) || !initial.HasSysctl(file)) continue;
    const std::string was = SETUP_OK(initial.Sysctl(file)), birth = SETUP_OK(a.Sysctl(file));
    SETUP_OK(initial.SetSysctl(file, "NONE"));
    SETUP_OK(a.SetSysctl(file, "nfnetlink_log"));
    EXPECT_THAT(a.Sysctl(file), Holds(Eq("nfnetlink_log"))) << "control";
    EXPECT_THAT(initial.Sysctl(file), Holds(Eq("NONE"))) << "the choice of a namespace reached the initial one";
    SETUP_OK(initial.SetSysctl(file, "nfnetlink_log"));
    SETUP_OK(a.SetSysctl(file, "NONE"));
    EXPECT_THAT(initial.Sysctl(file), Holds(Eq("nfnetlink_log"))) << "the choice of a namespace reached the initial one";
    EXPECT_THAT(NetNamespace::Create().Sysctl(file), Holds(Eq(birth))) << "a new namespace has the choice of the initial one";
    SETUP_OK(initial.SetSysctl(file, was));
  }
}

// --- Bridge netfilter -------------------------------------------------------------------------------------------------

/// A bridge with two neighbours in namespaces of their own, and a rule that counts what IP's forward hook sees of them.
struct Bridged {
  NetNamespace ns = NetNamespace::Create(), left = NetNamespace::Create(), right = NetNamespace::Create();
  Nftables nft = SETUP_OK(Nftables::In(ns));
  bool ipv6 = ns.HasSysctl("net/ipv6/conf/all/forwarding");
  Bridged() {
    auto rtnl = RtnlIn(ns), in_left = RtnlIn(left), in_right = RtnlIn(right);
    NeedsConfig("VETH", rtnl.AddVeth("west", PeerSpec{.name = "up", .netns_fd = left.fd()}), "a veth pair");
    SETUP_OK(rtnl.AddVeth("east", PeerSpec{.name = "up", .netns_fd = right.fd()}));
    NeedsConfig("BRIDGE", Bridge::Make(ns, "bridge", {"west", "east"}), "a bridge");
    SETUP_OK(rtnl.Up("bridge"));
    struct End { Rtnl& rtnl; const char *four, *six; };
    for (const End& end : {End{in_left, "192.0.2.1/24", "2001:db8::1/64"}, End{in_right, "192.0.2.2/24", "2001:db8::2/64"}}) {
      SETUP_OK(end.rtnl.Up("up"));
      SETUP_OK(end.rtnl.AddAddress(end.four, "up"));
      if (ipv6) SETUP_OK(end.rtnl.AddAddress(end.six, "up", {.nodad = true}));
    }
    for (const char* device : {"west", "east", "bridge"}) SETUP_OK(WaitUntilUp(ns, device));
    NeedsNftables(nft.Commit(NftBatch()
                                 .AddTable(NFPROTO_INET, "t")
                                 .AddChain({.table = "t", .name = "c", .hook = NF_INET_FORWARD})
                                 .AddRule({.table = "t", .chain = "c", .protocol = IPPROTO_UDP, .dport = 7501, .counter = true})),
                  "a counting rule");
  }
  /// Whether IP's forward hook sees a datagram that the bridge passes on.
  bool Seen(bool six) {
    const std::uint64_t before = Packets();
    const auto to = Inet(six ? "2001:db8::2" : "192.0.2.2", 7501);
    Fd receiver = SETUP_OK(UdpBind(right, to)), sender = SETUP_OK(left.Socket(to.family(), SOCK_DGRAM));
    SETUP_OK(SendTo(sender, "x", to));
    SETUP_OK(Receive(receiver));
    return Packets() > before;
  }

 private:
  std::uint64_t Packets() {
    std::uint64_t all = 0;
    for (const NftRule& rule : SETUP_OK(nft.Rules())) all += rule.packets;
    return all;
  }
};

/// A way to have a bridge drop all that it would pass on.
struct BridgeFilter {
  const char *name, *symbol, *requirement;
  std::function<void(Bridged&, bool drop)> set;
};
// ebtables(8), nft(8) family bridge: frames are dropped by the rules of the namespace of the bridge.
void FramesAreDroppedWhereTheRulesAre(const BridgeFilter& filter) {
  Bridged a, b;
  const auto passes = [](Bridged& at, Deadline deadline = Deadline::In(std::chrono::seconds(10))) { return UdpTalks(at.left, at.right, Inet("192.0.2.2", 7502), 10, deadline); };
  for (Bridged* each : {&a, &b}) ASSERT_OK(passes(*each)) << "control: without rules";
  for (auto [ruled, other, which] : {std::tuple(&a, &b, "the older"), std::tuple(&b, &a, "the younger")}) {
    SCOPED_TRACE(std::string("dropped in ") + which + " namespace");
    filter.set(*ruled, true);
    EXPECT_OK(passes(*other)) << "the rules of another namespace drop frames here";
    Bridged born;
    EXPECT_OK(passes(born)) << "the rules of another namespace drop frames in one that is made afterwards";
    EXPECT_THAT(passes(*ruled, Deadline::In(kSoon)), Not(Succeeds())) << "control: dropped";
    filter.set(*ruled, false);
    EXPECT_OK(passes(*ruled)) << "control: no longer";
  }
}
const bool bridge_filters = [] {
  static const BridgeFilter filters[] = {
      {"Ebtables", "BRIDGE_EBT_T_FILTER", "FW-06",
       [](Bridged& at, bool drop) {
         EbtChains chains = ReadEbtables(at.ns);
         chains.forward.policy = drop ? EBT_DROP : EBT_ACCEPT;
         WriteEbtables(at.ns, chains);
       }},
      {"Nftables", "NF_TABLES_BRIDGE", "FW-02",
       [](Bridged& at, bool drop) {
         NftBatch batch;
         if (drop)
           batch.AddTable(NFPROTO_BRIDGE, "b").AddChain({.family = NFPROTO_BRIDGE, .table = "b", .name = "forward", .hook = NF_BR_FORWARD, .priority = -200 /* before br_netfilter */, .policy = NF_DROP});
         else
           batch.DeleteTable(NFPROTO_BRIDGE, "b");
         NeedsNftables(at.nft.Commit(batch), "rules for a bridge");
       }},
  };
  for (const BridgeFilter& filter : filters)
    RegisterBody("Fw", std::string("FramesOfABridgeAreDroppedWhereTheRulesAre/") + filter.name, __FILE__, __LINE__, [&filter] { FramesAreDroppedWhereTheRulesAre(filter); },
                 Covers(filter.requirement), Needs(Config(filter.symbol), Config("BRIDGE"), Config("NF_TABLES"), Config("NF_TABLES_INET"), Config("VETH")), Within{std::chrono::seconds(60)});
  return true;
}();

NETNS_TEST(Fw, BridgeSwitchesActInTheirNamespace, Covers("FW-17"),
           Needs(Config("BRIDGE_NETFILTER"), Config("BRIDGE"), Config("NF_TABLES"), Config("NF_TABLES_INET"), Config("VETH"))) {
  Bridged a, b;
  for (bool six : {false, true}) {
    if (six && !a.ipv6) continue;
    SCOPED_TRACE(six ? "IPv6" : "IPv4");
    const std::string file = std::string("net/bridge/bridge-nf-call-") + (six ? "ip6tables" : "iptables");
    if (!a.ns.HasSysctl(file)) throw MissingNeed("needs-config:BRIDGE_NETFILTER", "br_netfilter is not loaded, or has no switches of a namespace (before 5.3)");
    const std::string birth = SETUP_OK(a.ns.Sysctl(file));
    for (bool on_in_a : {true, false}) {
      SETUP_OK(a.ns.SetSysctl(file, on_in_a ? "1" : "0"));
      SETUP_OK(b.ns.SetSysctl(file, on_in_a ? "0" : "1"));
      EXPECT_THAT(a.ns.Sysctl(file), Holds(Eq(on_in_a ? "1" : "0"))) << "the switch of a sibling";
      EXPECT_THAT(NetNamespace::Create().Sysctl(file), Holds(Eq(birth))) << "a new namespace starts with another's switch";
      EXPECT_EQ(a.Seen(six), on_in_a) << "the first, switched " << (on_in_a ? "on" : "off");
      EXPECT_EQ(b.Seen(six), !on_in_a) << "the second, switched " << (on_in_a ? "off" : "on");
    }
  }
}

// netfilter-sysctl, bridge-nf-call-arptables: whether what a bridge passes on is asked of arptables. Each bridge is asked before its
// neighbours know of each other.
NETNS_TEST(Fw, TheBridgeSwitchOfArpActsInItsNamespace, Covers("FW-17"),
           Needs(Config("BRIDGE_NETFILTER"), Config("BRIDGE"), Config("IP_NF_ARPTABLES"), Config("IP_NF_ARPFILTER"), Config("NF_TABLES"), Config("NF_TABLES_INET"), Config("VETH"))) {
  const std::string file = "net/bridge/bridge-nf-call-arptables";
  for (const bool on_in_older : {true, false}) {
    SCOPED_TRACE(on_in_older ? "switched on in the older namespace" : "switched on in the younger namespace");
    Bridged older, younger;
    if (!older.ns.HasSysctl(file)) throw MissingNeed("needs-config:BRIDGE_NETFILTER", "br_netfilter is not loaded, or has no switches of a namespace (before 5.3)");
    for (Bridged* each : {&older, &younger}) {
      Arptables(each->ns).SetForward(-NF_DROP - 1);
      SETUP_OK(each->ns.SetSysctl(file, (each == &older) == on_in_older ? "1" : "0"));
    }
    Bridged &on = on_in_older ? older : younger, &off = on_in_older ? younger : older;
    EXPECT_THAT(UdpTalks(on.left, on.right, Inet("192.0.2.2", 7502), 10, Deadline::In(kSoon)), Not(Succeeds())) << "control: ARP is dropped where the bridge asks arptables";
    EXPECT_OK(UdpTalks(off.left, off.right, Inet("192.0.2.2", 7502), 10, Deadline::In(std::chrono::seconds(10)))) << "bridge-nf-call-arptables of another namespace acts here";
    Bridged born;
    SETUP_OK(born.ns.SetSysctl(file, "0"));
    EXPECT_OK(UdpTalks(born.left, born.right, Inet("192.0.2.2", 7502), 10, Deadline::In(std::chrono::seconds(10)))) << "control: a namespace without rules";
  }
}

}  // namespace
}  // namespace netns
