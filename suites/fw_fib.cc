// SPDX-License-Identifier: GPL-2.0-or-later
// FW: rules that ask for routes ("fib" of nftables, rpfilter and addrtype of iptables) and for SYN cookies, whose routes and
// counters are those of the namespace of the rule.
#include "fixtures/nftables.h"

#include "suites/support/between.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/xt_addrtype.h>
#include <linux/netfilter/xt_rpfilter.h>
#include <poll.h>

#include <sstream>

#include "fixtures/iptables.h"
#include "fixtures/sockets.h"
#include "fixtures/topology.h"
#include "suites/support/firewall.h"
#include "suites/support/in_namespace.h"
#include "suites/support/nft_expressions.h"

namespace netns {
namespace {

constexpr std::uint16_t kPort = 7301;
constexpr const char *kTable = "nsconf-f", *kEast = "nsconf-e";

// --- Routes -----------------------------------------------------------------------------------------------------------

/// A way to ask for the routes of a namespace: rules for datagrams to kPort, of which it is counted how many packets match.
struct Asking {
  const char* name;
  std::vector<const char*> configs;
  /// `device`: by which the packets come in.
  std::function<void(Place&, bool six, int device)> begin;
  std::function<void(Place&, bool six)> end;
  /// Packets whose source is known to come by the device, and those to an address of the namespace.
  std::function<std::vector<std::uint64_t>(Place&, bool six)> known;
  std::size_t questions;
};
void NftBegin(Place& at, std::uint32_t result, std::uint32_t flags, const std::function<Expression()>& answer, bool local_too) {
  auto nft = SETUP_OK(Nftables::In(at.ns));
  NftBatch batch;
  batch.AddTable(NFPROTO_INET, kTable).AddChain({.table = kTable, .name = "pre", .hook = NF_INET_PRE_ROUTING, .priority = -150});
  const auto rule = [&](const std::vector<Expression>& asks) { AddRule(batch, kTable, "pre", To(IPPROTO_UDP, kPort) + asks); };
  rule({Fib(result, flags), answer(), Counter()});
  if (local_too) rule({Fib(NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_DADDR), Equals(std::uint32_t{RTN_LOCAL}), Counter()});
  const Status made = nft.Commit(batch);
  if (made.code() == ENOENT || made.code() == EOPNOTSUPP) throw MissingNeed("needs-config:NFT_FIB_INET", "no rule can ask for a route: " + made.error().ToString());
  SETUP_OK(Status(made));
}
void NftEnd(Place& at, bool) {
  NftBatch batch;
  batch.DeleteTable(NFPROTO_INET, kTable);
  auto nft = Nftables::In(at.ns);
  if (nft.ok()) (void)nft->Commit(batch).ok();
}
std::vector<std::uint64_t> NftKnown(Place& at, bool) {
  std::vector<std::uint64_t> counts;
  auto nft = SETUP_OK(Nftables::In(at.ns));
  for (const NftRule& rule : SETUP_OK(nft.Rules(NFPROTO_INET)))
    if (rule.table == kTable && rule.counter) counts.push_back(rule.packets);
  return counts;
}
const std::vector<Asking>& Ways() {
  static const auto nft = [](const char* name, std::uint32_t result, std::uint32_t flags, std::function<Expression(int device)> answer, bool local_too) {
    return Asking{name, {"NF_TABLES", "NF_TABLES_INET", "NFT_FIB_INET"},
                  [=](Place& at, bool, int device) { NftBegin(at, result, flags, [&] { return answer(device); }, local_too); }, NftEnd, NftKnown, local_too ? 2u : 1u};
  };
  static const auto is_device = [](int device) { return Equals(device); };
  static const std::vector<Asking> ways = {
      nft("NftablesSourceIndex", NFT_FIB_RESULT_OIF, NFTA_FIB_F_SADDR, is_device, true),
      nft("NftablesSourceName", NFT_FIB_RESULT_OIFNAME, NFTA_FIB_F_SADDR,
          [](int) {
            std::array<char, 16> name{};
            std::strcpy(name.data(), kEast);
            return Equals(name);
          }, false),
      nft("NftablesWayBack", NFT_FIB_RESULT_OIF, NFTA_FIB_F_SADDR | NFTA_FIB_F_IIF, is_device, false),
      {"IptablesWayBack", {"IP_NF_IPTABLES", "IP6_NF_IPTABLES", "IP_NF_MATCH_RPFILTER", "IP6_NF_MATCH_RPFILTER", "IP_NF_MANGLE", "IP6_NF_MANGLE"},
       [](Place& at, bool six, int) {
         xt_rpfilter_info way_back{};
         const IptMatch match{"rpfilter", 0, std::string(reinterpret_cast<const char*>(&way_back), sizeof way_back)};
         const Status made = Iptables(at.ns, six ? AF_INET6 : AF_INET, "mangle").Append("PREROUTING", {.protocol = IPPROTO_UDP, .dport = kPort, .target = "ACCEPT", .matches = {match}});
         if (made.code() == ENOENT || made.code() == ENOPROTOOPT) throw MissingNeed(six ? "needs-config:IP6_NF_MATCH_RPFILTER" : "needs-config:IP_NF_MATCH_RPFILTER", made.error().ToString());
         SETUP_OK(Status(made));
       },
       [](Place& at, bool six) { (void)Iptables(at.ns, six ? AF_INET6 : AF_INET, "mangle").Flush("PREROUTING").ok(); },
       [](Place& at, bool six) {
         std::vector<std::uint64_t> counts;
         for (const IptRule& rule : SETUP_OK(Iptables(at.ns, six ? AF_INET6 : AF_INET, "mangle").Rules("PREROUTING"))) counts.push_back(rule.packets);
         return counts;
       },
       1},
  };
  return ways;
}

// nft(8) FIB EXPRESSIONS, iptables-extensions(8) rpfilter: the routes of the namespace in which the rule is.
// Packets come to `other` from a source to which it has a route, and from one to which only `owner` has one.
void AsksForItsRoutes(const Asking& way, bool six, Place& owner, Place& other) {
  const std::string routed = six ? "2001:db8:71::1" : "203.0.113.1", foreign = six ? "2001:db8:72::1" : "198.51.100.1";
  const std::string length = six ? "/128" : "/32", to = six ? "2001:db8:70::2" : "192.0.2.2", via = six ? "2001:db8:70::1" : "192.0.2.1";
  Place client;
  std::optional<std::string> checked;
  Undo undo([&] {
    way.end(other, six);
    (void)other->DeleteLink(kEast).ok();
    (void)owner->DeleteLink(kEast).ok();
    if (checked) (void)other.ns.SetSysctl("net/ipv4/conf/all/rp_filter", *checked).ok();
  });
  VethPairOptions names{.west = "west", .east = kEast, .west4 = "", .east4 = "", .west6 = "", .east6 = ""};
  (six ? names.west6 : names.west4) = via + (six ? "/64" : "/24");
  (six ? names.east6 : names.east4) = to + (six ? "/64" : "/24");
  const VethPair wire = SETUP_OK(VethPair::Between(client.ns, other.ns, names));
  // The addresses of the client are not of the device, for which it would ask with one that is still being checked for duplicates.
  SETUP_OK(client->AddNeighbour({.to = to, .address = wire.east_link().address, .dev = "west"}));
  AddDevice(owner, kEast, {}, true);
  for (const std::string& source : {routed, foreign}) SETUP_OK(client->AddAddress(source + length, "lo", {.nodad = six}));
  SETUP_OK(other->AddRoute({.to = routed + length, .dev = kEast}));
  SETUP_OK(owner->AddRoute({.to = foreign + length, .dev = kEast}));
  if (!six) {
    checked = SETUP_OK(other.ns.Sysctl("net/ipv4/conf/all/rp_filter"));
    for (const char* device : {"all", kEast}) SETUP_OK(other.ns.SetSysctl(std::string("net/ipv4/conf/") + device + "/rp_filter", "0"));
  }
  way.begin(other, six, wire.east_link().index);
  const Fd receiver = SETUP_OK(UdpBind(other.ns, Inet(to, kPort)));
  const auto arrives = [&](const std::string& source) {
    const Fd sender = SETUP_OK(UdpBind(client.ns, Inet(source, 0)));
    SETUP_OK(SendTo(sender, "x", Inet(to, kPort)));
    const Datagram got = SETUP_OK(Receive(receiver));
    EXPECT_EQ(got.from.ip(), source) << "control";
  };
  const auto zero = way.known(other, six);
  ASSERT_EQ(zero.size(), way.questions) << "control";
  arrives(routed);
  const auto after_routed = way.known(other, six);
  EXPECT_EQ(after_routed[0], zero[0] + 1) << "a packet from where this namespace has a route to";
  arrives(foreign);
  const auto after_foreign = way.known(other, six);
  EXPECT_EQ(after_foreign[0], after_routed[0]) << "a packet from where only another namespace has a route to";
  if (way.questions > 1) {
    EXPECT_EQ(after_foreign[1], zero[1] + 2) << "packets to an address of this namespace";
  }
  arrives(via);
  EXPECT_EQ(way.known(other, six)[0], after_routed[0] + 1) << "a packet from the network of the device";
  // With a route of its own the other source is known as well.
  SETUP_OK(other->AddRoute({.to = foreign + length, .dev = kEast}));
  arrives(foreign);
  EXPECT_EQ(way.known(other, six)[0], after_routed[0] + 2) << "control: now it has that route, too";
}
[[maybe_unused]] const bool fib_registered = [] {
  for (const Asking& way : Ways())
    for (bool six : {false, true}) {
      Needs needs(Config("VETH"));
      if (six) needs.list.push_back(Config("IPV6"));
      for (const char* symbol : way.configs) {
        const bool of_six = std::string(symbol).starts_with("IP6_"), of_four = std::string(symbol).starts_with("IP_");
        if ((six && of_four) || (!six && of_six)) continue;
        needs.list.push_back(Config(symbol));
      }
      RegisterBetween("Fw", "RulesAskForRoutesOfTheirNamespace", std::string(way.name) + (six ? "Ipv6" : "Ipv4"), __FILE__, __LINE__,
                      [&way, six](Place& owner, Place& other) { AsksForItsRoutes(way, six, owner, other); }, Covers("FW-02", "ROUTE-02"), needs);
    }
  return true;
}();

// iptables-extensions(8) addrtype: "--dst-type LOCAL", an address of the namespace in which the rule is.
void AsksForItsAddresses(bool six, Place& owner, Place& other) {
  const int family = six ? AF_INET6 : AF_INET;
  const std::string address = six ? "2001:db8:73::1" : "198.51.100.73", length = six ? "/128" : "/32";
  Undo undo([&] {
    for (Place* place : {&owner, &other}) {
      (void)Iptables(place->ns, family).Flush("OUTPUT").ok();
      (void)(*place)->DeleteLink(kEast).ok();
    }
  });
  for (Place* place : {&owner, &other}) {
    LoopbackUp(place->ns);
    AddDevice(*place, kEast, {}, true);
    if (place == &owner) {
      SETUP_OK((*place)->AddAddress(address + length, kEast, {.nodad = six}));
    } else {
      SETUP_OK((*place)->AddAddress(six ? "2001:db8:74::1/64" : "192.0.2.74/24", kEast, {.nodad = six}));
      SETUP_OK((*place)->AddRoute({.to = address + length, .dev = kEast}));
    }
    xt_addrtype_info_v1 type{};
    type.dest = XT_ADDRTYPE_LOCAL;
    const IptMatch local{"addrtype", 1, std::string(reinterpret_cast<const char*>(&type), sizeof type)};
    Iptables filter(place->ns, family);
    const Status made = filter.Append("OUTPUT", {.protocol = IPPROTO_UDP, .dport = kPort, .target = "ACCEPT", .matches = {local}});
    if (made.code() == ENOENT || made.code() == ENOPROTOOPT) throw MissingNeed("needs-config:NETFILTER_XT_MATCH_ADDRTYPE", made.error().ToString());
    SETUP_OK(Status(made));
    SETUP_OK(filter.Append("OUTPUT", {.protocol = IPPROTO_UDP, .dport = kPort, .target = "ACCEPT"}));
    const Fd sender = SETUP_OK(place->ns.Socket(family, SOCK_DGRAM));
    SETUP_OK(SendTo(sender, "x", Inet(address, kPort)));
    const auto rules = SETUP_OK(filter.Rules("OUTPUT"));
    ASSERT_EQ(rules.size(), 2u);
    EXPECT_EQ(rules[0].packets + rules[1].packets, 1u) << "control: one of the rules matches";
    EXPECT_EQ(rules[0].packets, place == &owner ? 1u : 0u) << (place == &owner ? "an address of the namespace is not local" : "an address of another namespace is local");
  }
}
[[maybe_unused]] const bool types_registered = [] {
  for (bool six : {false, true}) {
    Needs needs(Config("VETH"), Config("NETFILTER_XT_MATCH_ADDRTYPE"), Config(six ? "IP6_NF_IPTABLES" : "IP_NF_IPTABLES"), Config(six ? "IP6_NF_FILTER" : "IP_NF_FILTER"));
    RegisterBetween("Fw", "RulesAskForTypesOfAddressesInTheirNamespace", six ? "Ipv6" : "Ipv4", __FILE__, __LINE__, [six](Place& owner, Place& other) { AsksForItsAddresses(six, owner, other); },
                    Covers("FW-02", "STACK-07"), needs);
  }
  return true;
}();

// --- SYN cookies in place of a server -----------------------------------------------------------------------------------

/// /proc/net/stat/synproxy: a line of each CPU, the numbers in hexadecimal; the second column counts SYNs.
std::uint64_t Syns(const Place& at) {
  const auto text = at.ns.ReadProcNet("stat/synproxy");
  if (text.code() == ENOENT) throw MissingNeed("needs-config:NFT_SYNPROXY", "there is no /proc/net/stat/synproxy");
  std::istringstream lines(SETUP_OK(text));
  std::string line;
  std::getline(lines, line);
  EXPECT_THAT(line, testing::HasSubstr("syn_received")) << "control";
  std::uint64_t sum = 0;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::uint64_t entries = 0, received = 0;
    words >> std::hex >> entries >> received;
    sum += received;
  }
  return sum;
}
// nft(8), synproxy; linux/netfilter/nf_synproxy.h: the statistics of a namespace tell of its packets.
[[maybe_unused]] const bool synproxy_registered = [] {
  for (bool six : {false, true}) {
    Needs needs(Config("NF_TABLES"), Config("NF_TABLES_INET"), Config("NFT_SYNPROXY"));
    if (six) needs.list.push_back(Config("IPV6"));
    RegisterBetween("Fw", "StatisticsOfSynproxyAreOfTheNamespace", six ? "Ipv6" : "Ipv4", __FILE__, __LINE__,
                    [six](Place& owner, Place& other) {
                      Undo undo([&] {
                        for (Place* place : {&owner, &other}) NftEnd(*place, six);
                      });
                      const SockAddr to = Inet(six ? kLoopback6 : kLoopback4, kPort);
                      for (Place* place : {&owner, &other}) {
                        LoopbackUp(place->ns);
                        auto nft = SETUP_OK(Nftables::In(place->ns));
                        NftBatch batch;
                        batch.AddTable(NFPROTO_INET, kTable).AddChain({.table = kTable, .name = "in", .hook = NF_INET_LOCAL_IN});
                        auto rule = To(IPPROTO_TCP, kPort);
                        rule.push_back({"synproxy", [](Request& r) { r.Be16(1 /* NFTA_SYNPROXY_MSS */, 1400).U8(2 /* _WSCALE */, 7).Be32(3 /* _FLAGS: MSS */, 1); }});
                        AddRule(batch, kTable, "in", rule);
                        const Status made = nft.Commit(batch);
                        if (made.code() == ENOENT || made.code() == EOPNOTSUPP) throw MissingNeed("needs-config:NFT_SYNPROXY", "no such rule: " + made.error().ToString(), "", LinuxVersion{5, 3});
                        SETUP_OK(Status(made));
                      }
                      // A first SYN; its sender goes at once.
                      const auto knock = [&](Place& at) {
                        const Fd client = SETUP_OK(at.ns.Socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK));
                        (void)::connect(client.get(), to.get(), to.length());
                      };
                      for (auto [place, quiet] : {std::pair(&owner, &other), std::pair(&other, &owner), std::pair(&owner, &other)}) {
                        const std::uint64_t before = Syns(*place), of_other = Syns(*quiet);
                        knock(*place);
                        EXPECT_EVENTUALLY("a SYN of this namespace to be counted in its /proc/net/stat/synproxy", [&, place = place, before] { return Syns(*place) > before; },
                                          Deadline::In(std::chrono::seconds(10)));
                        EXPECT_EQ(Syns(*quiet), of_other) << "/proc/net/stat/synproxy: a SYN of another namespace was counted";
                      }
                    },
                    Covers("FW-25"), needs);
  }
  return true;
}();

}  // namespace
}  // namespace netns
