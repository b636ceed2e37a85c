// SPDX-License-Identifier: GPL-2.0-or-later
// SYSCTL: settings of IPv6 that show in what a namespace answers, accepts and sends of its own accord: neighbour discovery,
// MLD, duplicate address detection, extension headers, flow labels, ICMPv6.
#include "fixtures/nftables.h"
#include "suites/support/effect.h"
#include "suites/support/firewall.h"
#include "suites/support/ipsec.h"
#include "suites/support/wire.h"

namespace netns {
namespace {

using namespace wire;

constexpr unsigned kTooBig = 2, kUnreachable = 1, kEcho = 128, kEchoReply = 129, kReportV1 = 131, kRouterAdvertisement = 134, kSolicitation = 135, kAdvertisement = 136;
constexpr unsigned kHopByHop = 0, kRouting = 43, kDestination = 60;
constexpr unsigned kLabel = 0x12345;

// --- Packets ----------------------------------------------------------------------------------------------------------

string Address6(const char* text) {
  in6_addr address{};
  if (::inet_pton(AF_INET6, text, &address) != 1) throw SetupFailure(string(text) + " is no address of IPv6", std::source_location::current());
  return string(reinterpret_cast<const char*>(&address), sizeof address);
}
const string kOwn6 = Address6("2001:db8::1"), kPeer6 = Address6("2001:db8::2");
string Byte(unsigned value) { return string(1, static_cast<char>(value)); }

struct Ip6Fields {
  string from = kPeer6, to = kOwn6;
  unsigned hops = 64, label = 0;
};
string Ip6(unsigned next, const string& payload, const Ip6Fields& fields = {}) {
  return B32(0x60000000 | fields.label) + B16(static_cast<unsigned>(payload.size())) + Byte(next) + Byte(fields.hops) + fields.from + fields.to + payload;
}
/// What has its checksum at `at`.
string Summed(string message, std::size_t at, unsigned protocol, const Ip6Fields& fields) {
  message.replace(at, 2, B16(Sum(fields.from + fields.to + B32(static_cast<std::uint32_t>(message.size())) + B32(protocol) + message)));
  return message;
}
string Icmp6(unsigned type, const string& rest, const Ip6Fields& fields = {}) { return Summed(Byte(type) + Byte(0) + B16(0) + rest, 2, IPPROTO_ICMPV6, fields); }
string Udp6(unsigned port, const Ip6Fields& fields = {}) { return Summed(B16(7000) + B16(port) + B16(9) + B16(0) + "x", 6, IPPROTO_UDP, fields); }
string Frame6(const string& packet, const string& to = kOne) { return Frame(packet, to, ETH_P_IPV6); }
string Icmp6Frame(unsigned type, const string& rest, const Ip6Fields& fields = {}) { return Frame6(Ip6(IPPROTO_ICMPV6, Icmp6(type, rest, fields), fields)); }
string UdpFrame6(unsigned port, const Ip6Fields& fields = {}) { return Frame6(Ip6(IPPROTO_UDP, Udp6(port, fields), fields)); }
string SynFrame6(unsigned port, const Ip6Fields& fields = {}) {
  return Frame6(Ip6(IPPROTO_TCP, Tcp(fields.from + fields.to, {.to = port}), fields));
}
/// A datagram to port 7001 behind an extension header.
string Behind(unsigned header, const string& rest) { return Frame6(Ip6(header, Byte(IPPROTO_UDP) + rest + Udp6(7001))); }
/// Options of which nobody knows what they are, and which are passed over: four in sixteen bytes.
string Options() { return Byte(1) + string("\x1e\x01\0\x1e\x01\0\x1e\x01\0\x1e\x01\0", 12) + string("\x01\0", 2); }
/// A routing header at its end.
string Route6(unsigned type) { return Byte(2) + Byte(type) + Byte(0) + string(4, '\0') + kOwn6; }

bool IsIp6(const string& frame, unsigned next) { return frame.substr(12, 2) == B16(ETH_P_IPV6) && At(frame, 20) == next; }
bool IsIcmp6(const string& frame, unsigned type) { return IsIp6(frame, IPPROTO_ICMPV6) && At(frame, 54) == type; }
bool IsReset6(const string& frame) { return IsIp6(frame, IPPROTO_TCP) && (At(frame, 67) & kRst) != 0; }
bool IsSynAck6(const string& frame) { return IsIp6(frame, IPPROTO_TCP) && (At(frame, 67) & (kSyn | kAck)) == (kSyn | kAck); }
std::function<bool(const string&)> Kind(unsigned type) {
  return [=](const string& frame) { return IsIcmp6(frame, type); };
}

/// The wire with 2001:db8::1 at "one", at once, and 2001:db8::2 as a neighbour. The other end has no IPv6.
void PrepareWire6(const NetNamespace& ns) {
  if (!ns.HasSysctl("net/ipv6/conf/default/disable_ipv6")) throw MissingNeed("needs-config:IPV6", "this kernel has no IPv6");
  for (auto [name, value] : {std::pair("all/accept_dad", "0"), std::pair("default/accept_dad", "0"), std::pair("default/router_solicitations", "0"), std::pair("default/router_solicitation_delay", "0"), std::pair("all/forwarding", "0")})
    SETUP_OK(ns.SetSysctl(string("net/ipv6/conf/") + name, value));
  PrepareWire(ns);
  SETUP_OK(ns.SetSysctl("net/ipv6/conf/one/disable_ipv6", "0"));
  auto rtnl = RtnlIn(ns);
  SETUP_OK(rtnl.AddAddress("2001:db8::1/64", "one", {.nodad = true}));
  for (const char* peer : {"2001:db8::2", "2001:db8::"}) SETUP_OK(rtnl.AddNeighbour({.to = peer, .address = "02:00:00:00:00:02", .dev = "one"}));
  for (const char* address : {"2001:db8::1", "fe80::ff:fe00:1"})
    SETUP_OK(Eventually(string(address) + " to be local", [&] {
      const auto route = rtnl.GetRoute(address);
      return route.ok() && route->type == RTN_LOCAL;
    }));
}
const std::pair<const char*, const char*> kNoLimit = {"net/ipv6/icmp/ratelimit", "0"};

// --- Neighbours -------------------------------------------------------------------------------------------------------

string Solicit(const char* target, const string& to, const string& hardware) {
  const Ip6Fields fields{.to = to, .hops = 255};
  return Frame6(Ip6(IPPROTO_ICMPV6, Icmp6(kSolicitation, B32(0) + Address6(target) + string("\x01\x01", 2) + kFar, fields), fields), hardware);
}
void PrepareProxy(const NetNamespace& ns) {
  PrepareWire6(ns);
  SetOfAll(ns, "ipv6", "proxy_ndp", "0");
  SETUP_OK(ns.SetSysctl("net/ipv6/neigh/one/proxy_delay", "0"));
  SETUP_OK(ns.SetSysctl("net/ipv6/conf/all/forwarding", "1"));
  SETUP_OK(RtnlIn(ns).AddNeighbour({.to = "2001:db8::77", .dev = "one", .state = 0, .flags = NTF_PROXY}));
}
/// Whether the device tells of its addresses when it gets a hardware address.
Result<int> Announces(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(std::vector<string> answers, NewsOfHardwareAddress(ns));
  return std::any_of(answers.begin(), answers.end(), Kind(kAdvertisement));
}
Look FromAnswer(string frame, std::function<bool(const string&)> is, std::function<int(const string&)> what) {
  return [=](const NetNamespace& ns) -> Result<int> {
    ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
    ASSIGN_OR_RETURN(std::vector<string> answers, wire.Answers(frame));
    for (const string& each : answers)
      if (is(each)) return what(each);
    return Error{ENOENT, "an answer"};
  };
}
int HopsOf(const string& frame) { return static_cast<int>(At(frame, 21)); }
int ClassOf(const string& frame) { return static_cast<int>((At(frame, 14) & 15) << 4 | At(frame, 15) >> 4); }
unsigned LabelOf(const string& frame) { return (At(frame, 15) & 15) << 16 | At(frame, 16) << 8 | At(frame, 17); }
int HasLabel(const string& frame) { return LabelOf(frame) == kLabel; }
int HasAnyLabel(const string& frame) { return LabelOf(frame) != 0; }

/// How many times it is asked whether anybody has an address; and whether by a number of one's own (RFC 7527).
Result<int> Probes(const NetNamespace& ns, bool numbered) {
  ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
  static int host = 0x100;
  char text[32];
  std::snprintf(text, sizeof text, "2001:db8::%x", ++host);
  auto rtnl = RtnlIn(ns);
  RETURN_IF_ERROR(rtnl.AddAddress(string(text) + "/64", "one"));
  RETURN_IF_ERROR(Eventually(string(text) + " to be checked", [&] {
    const auto all = rtnl.Addresses({.family = AF_INET6});
    return all.ok() && std::any_of(all->begin(), all->end(), [&](const Address& each) { return each.address == text && (each.flags & IFA_F_TENTATIVE) == 0; });
  }));
  ASSIGN_OR_RETURN(std::vector<string> answers, wire.Answers(""));
  return static_cast<int>(std::count_if(answers.begin(), answers.end(), [&](const string& each) {
    return IsIcmp6(each, kSolicitation) && each.substr(22, 16) == string(16, '\0') && each.substr(62, 16) == Address6(text) && (!numbered || At(each, 78) == 14);
  }));
}
Prepare WithDad(std::vector<std::pair<const char*, const char*>> values) {
  values.insert(values.begin(), {"net/ipv6/neigh/one/retrans_time_ms", "20"});
  return With(PrepareWire6, values);
}

/// The kind of the report by which a group is joined.
Result<int> KindOfReport(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
  static int number = 0x100;
  char text[32];
  std::snprintf(text, sizeof text, "ff05::%x", ++number);
  ASSIGN_OR_RETURN(Fd socket, ns.Socket(AF_INET6, SOCK_DGRAM));
  ASSIGN_OR_RETURN(Link one, RtnlIn(ns).LinkByName("one"));
  ipv6_mreq request{};
  const string group = Address6(text);
  std::memcpy(&request.ipv6mr_multiaddr, group.data(), group.size());
  request.ipv6mr_interface = static_cast<unsigned>(one.index);
  RETURN_IF_ERROR(SetSockOpt(socket, IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, request));
  // Behind the hop-by-hop header of the router alert.
  ASSIGN_OR_RETURN(string report, wire.NextThat("the report of a group", [&](const string& each) { return IsIp6(each, kHopByHop) && each.find(group, 62) != string::npos; }));
  return static_cast<int>(At(report, 62));
}

/// Whether an address outlives its device's going down.
Result<int> KeepsAddress(const NetNamespace& ns) {
  auto rtnl = RtnlIn(ns);
  RETURN_IF_ERROR(rtnl.Down("one"));
  ASSIGN_OR_RETURN(std::vector<Address> all, rtnl.Addresses({.family = AF_INET6}));
  const bool kept = std::any_of(all.begin(), all.end(), [](const Address& each) { return each.address == "2001:db8::1"; });
  RETURN_IF_ERROR(rtnl.Up("one"));
  ASSIGN_OR_RETURN(Link link, WaitUntilUp(ns, "one"));
  if (!kept) RETURN_IF_ERROR(rtnl.AddAddress("2001:db8::1/64", "one", {.nodad = true}));
  return kept;
}

// --- Routers ----------------------------------------------------------------------------------------------------------

/// Whether who tells of itself says that it is a router (RFC 4861, 4.4).
int IsRouter(const string& frame) { return static_cast<int>(At(frame, 58) >> 7); }
/// What a router tells everybody of itself, with a prefix to make addresses of; another each time, since addresses stay.
string Advertise(string& prefix) {
  static int number = 0x100;
  char text[32];
  std::snprintf(text, sizeof text, "2001:db8:%x:", ++number);
  prefix = text;
  const Ip6Fields fields{.from = Address6("fe80::ff:fe00:2"), .to = Address6("ff02::1"), .hops = 255};
  const string option = Byte(3) + Byte(4) + Byte(64) + Byte(0xC0 /* on link, autonomous */) + B32(86400) + B32(43200) + B32(0) + Address6((prefix + ":").c_str());
  return Frame6(Ip6(IPPROTO_ICMPV6, Icmp6(kRouterAdvertisement, Byte(64) + Byte(0) + B16(1800) + B32(0) + B32(0) + option, fields), fields), string("\x33\x33\0\0\0\1", 6));
}
/// How many addresses are made of the prefix that a router tells, or how many of those are temporary (RFC 8981).
Result<int> AddressesMade(const NetNamespace& ns, bool temporary) {
  ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
  string prefix;
  ASSIGN_OR_RETURN(std::vector<string> answers, wire.Answers(Advertise(prefix)));
  ASSIGN_OR_RETURN(std::vector<Address> all, RtnlIn(ns).Addresses({.family = AF_INET6}));
  return static_cast<int>(std::count_if(all.begin(), all.end(), [&](const Address& each) { return each.address.starts_with(prefix) && (!temporary || (each.flags & IFA_F_TEMPORARY) != 0); }));
}
/// A device that believes routers.
void PrepareHost(const NetNamespace& ns) {
  With(PrepareWire6, {{"net/ipv6/conf/one/accept_ra", "1"}, {"net/ipv6/conf/one/accept_ra_pinfo", "1"}, {"net/ipv6/conf/one/autoconf", "1"}, {"net/ipv6/conf/one/addr_gen_mode", "0"}})(ns);
}
/// The same of a device that is made anew, with what is the default then.
Result<int> TemporaryAddressesOfANewDevice(const NetNamespace& ns) {
  RETURN_IF_ERROR(RtnlIn(ns).DeleteLink("one"));
  PrepareHost(ns);
  ASSIGN_OR_RETURN(const int made, AddressesMade(ns, false));
  if (made == 0) return Error{ENOENT, "an address of the prefix that a router told"};
  return AddressesMade(ns, true);
}

// --- ICMPv6 -----------------------------------------------------------------------------------------------------------

Result<int> AnswersTwenty(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
  static int host = 0x200;
  char from[32];
  std::snprintf(from, sizeof from, "2001:db8::%x", ++host);  // another each time: each has a budget
  RETURN_IF_ERROR(RtnlIn(ns).AddNeighbour({.to = from, .address = "02:00:00:00:00:02", .dev = "one"}));
  ASSIGN_OR_RETURN(std::vector<string> answers, wire.Answers(std::vector<string>(20, UdpFrame6(7009, {.from = Address6(from)}))));
  return std::count_if(answers.begin(), answers.end(), Kind(kUnreachable)) == 20;
}
/// Whether who asks an anycast address is answered from that address.
Result<int> AnswersAsAnycast(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
  ASSIGN_OR_RETURN(Fd member, ns.Socket(AF_INET6, SOCK_DGRAM));
  ASSIGN_OR_RETURN(Link one, RtnlIn(ns).LinkByName("one"));
  ipv6_mreq request{};
  const string address = Address6("2001:db8::88");
  std::memcpy(&request.ipv6mr_multiaddr, address.data(), address.size());
  request.ipv6mr_interface = static_cast<unsigned>(one.index);
  RETURN_IF_ERROR(SetSockOpt(member, IPPROTO_IPV6, IPV6_JOIN_ANYCAST, request));
  ASSIGN_OR_RETURN(std::vector<string> answers, wire.Answers(Icmp6Frame(kEcho, B32(1), {.to = address})));
  for (const string& each : answers)
    if (IsIcmp6(each, kEchoReply)) return each.substr(22, 16) == address;
  return Error{ENOENT, "the answer to an echo request to an anycast address"};
}
void LoseMarked(const NetNamespace& ns) {
  With(PrepareWire6, {kNoLimit})(ns);
  NeedsConfig("IPV6_MULTIPLE_TABLES", RtnlIn(ns).AddRule({.family = AF_INET6, .priority = 100, .action = 6 /* FR_ACT_BLACKHOLE */, .mark = 7}), "a rule for marks");
}
/// Whether what was learned of a path is remembered for a thousand seconds.
Result<int> RemembersLong(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
  static int host = 0x300;
  char text[32];
  std::snprintf(text, sizeof text, "2001:db8:9::%x", ++host);
  const string to = Address6(text);
  ASSIGN_OR_RETURN(std::vector<string> answers, wire.Answers(Icmp6Frame(kTooBig, B32(1300) + Ip6(IPPROTO_ICMPV6, Icmp6(kEcho, B32(1)), {.from = kOwn6, .to = to}))));
  auto rtnl = RtnlIn(ns);
  rtmsg header{};
  header.rtm_family = AF_INET6;
  header.rtm_dst_len = 128;
  in6_addr address{};
  std::memcpy(&address, to.data(), to.size());
  ASSIGN_OR_RETURN(Message message, rtnl.socket().Get(Request(RTM_GETROUTE).Header(header).Structure(RTA_DST, address).Named(string("the route to ") + text)));
  const auto cache = message.AttributesAfter<rtmsg>().Structure<rta_cacheinfo>(RTA_CACHEINFO);
  if (!cache || cache->rta_expires <= 0) return Error{ENOENT, string("when the route to ") + text + " expires"};
  return cache->rta_expires > 100'000;  // hundredths
}
void PrepareRoute6(const NetNamespace& ns) {
  PrepareWire6(ns);
  SETUP_OK(RtnlIn(ns).AddRoute({.to = "2001:db8:9::/64", .via = "2001:db8::2"}));
}

Look Delivered6(string frame) { return Delivered(std::vector{std::move(frame)}, "::"); }
void BlockByPolicy6(const NetNamespace& ns) {
  PrepareWire6(ns);
  BlockDatagrams(ns, AF_INET6, XFRM_POLICY_IN);
}

/// A datagram to port 7001 in two pieces.
std::vector<string> Pieces() {
  static std::uint32_t id = 0;
  ++id;
  const string datagram = Summed(B16(7000) + B16(7001) + B16(24) + B16(0) + string(16, 'x'), 6, IPPROTO_UDP, {});
  const auto piece = [](unsigned offset, const string& part) { return Frame6(Ip6(44 /* fragment */, Byte(IPPROTO_UDP) + Byte(0) + B16(offset) + B32(id) + part)); };
  return {piece(1, datagram.substr(0, 16)), piece(16, datagram.substr(16))};
}
/// Connection tracking, which puts fragments together before they are tracked.
void PrepareTracking(const NetNamespace& ns) {
  PrepareWire6(ns);
  auto nft = SETUP_OK(Nftables::In(ns));
  NeedsNftables(nft.Commit(NftBatch()
                               .AddTable(NFPROTO_INET, "track")
                               .AddChain({.table = "track", .name = "post", .hook = NF_INET_POST_ROUTING, .priority = 100, .type = "nat"})
                               .AddRule({.table = "track", .chain = "post", .oif = "none-such", .nat = NftNat{}})),
                "rules that have connections tracked");
  SETUP_OK(ns.SetSysctl("net/netfilter/nf_conntrack_frag6_low_thresh", "0"));
}

const std::vector<Effect>& Effects() {
  static const string refused = UdpFrame6(7009), refused_syn = SynFrame6(7009);
  static const string grouped = string("\x33\x33\xff\0\0\x77", 6), several = Address6("ff02::1:ff00:77");
  static const std::vector<Effect> effects = {
      {"AnnouncementsOfIpv6Addresses", "net/ipv6/conf/all/ndisc_notify", "1", Announces, 1, PrepareWire6},
      {"Ipv6NeighboursWithoutCarrier", "net/ipv6/conf/all/ndisc_evict_nocarrier", "0", OutlivesCarrier(AF_INET6, "2001:db8::50"), 1, PrepareWire6},
      {"SolicitationsForOthers", "net/ipv6/conf/all/proxy_ndp", "1", CountAnswers({Solicit("2001:db8::77", several, grouped)}, Kind(kAdvertisement)), 1, PrepareProxy},
      {"SolicitationsSentToOthers", "net/ipv6/conf/all/proxy_ndp", "1", CountAnswers({Solicit("2001:db8::77", Address6("2001:db8::77"), kOne)}, Kind(kAdvertisement)), 1, PrepareProxy},
      {"ClassOfAdvertisements", "net/ipv6/conf/one/ndisc_tclass", "192", FromAnswer(Solicit("2001:db8::1", kOwn6, kOne), Kind(kAdvertisement), ClassOf), 192, PrepareWire6},
      {"RouterFlagOfAdvertisements", "net/ipv6/conf/all/forwarding", "1", FromAnswer(Solicit("2001:db8::1", kOwn6, kOne), Kind(kAdvertisement), IsRouter), 1, PrepareWire6, {}, {"STACK-08"}},
      // A router does not believe others: with accept_ra=1 a host does.
      {"AddressesThatRoutersTell", "net/ipv6/conf/all/forwarding", "1", [](auto& ns) { return AddressesMade(ns, false); }, 0, PrepareHost, {}, {"STACK-09"}},
      {"TemporaryAddresses", "net/ipv6/conf/default/use_tempaddr", "2", TemporaryAddressesOfANewDevice, 1, With(PrepareHost, {{"net/ipv6/conf/default/use_tempaddr", "0"}}), {}, {"STACK-09"}},
      {"DuplicateAddressDetection", "net/ipv6/conf/all/accept_dad", "1", [](auto& ns) { return Probes(ns, false); }, 1, WithDad({{"net/ipv6/conf/one/dad_transmits", "1"}})},
      {"NumberOfProbes", "net/ipv6/conf/one/dad_transmits", "3", [](auto& ns) { return Probes(ns, false); }, 3, WithDad({{"net/ipv6/conf/all/accept_dad", "1"}, {"net/ipv6/conf/one/dad_transmits", "1"}})},
      {"NumbersInProbes", "net/ipv6/conf/all/enhanced_dad", "1", [](auto& ns) { return Probes(ns, true); }, 1,
       WithDad({{"net/ipv6/conf/all/accept_dad", "1"}, {"net/ipv6/conf/one/dad_transmits", "1"}, {"net/ipv6/conf/all/enhanced_dad", "0"}, {"net/ipv6/conf/one/enhanced_dad", "0"}})},
      {"VersionOfIpv6GroupReports", "net/ipv6/conf/all/force_mld_version", "1", KindOfReport, kReportV1, PrepareWire6},
      {"AddressesOfDevicesThatAreDown", "net/ipv6/conf/all/keep_addr_on_down", "1", KeepsAddress, 1, PrepareWire6},
      {"Ipv6RoutesWithoutCarrier", "net/ipv6/conf/all/ignore_routes_with_linkdown", "1", [](auto& ns) -> Result<int> { return RtnlIn(ns).GetRoute("2001:db8:9::9").code(); }, ENETUNREACH,
       [](auto& ns) {
         PrepareRoute6(ns);
         SETUP_OK(LoseCarrier(ns));
       }},
      {"NumberOfDestinationOptions", "net/ipv6/max_dst_opts_number", "3", Delivered6(Behind(kDestination, Options())), 0, With(PrepareWire6, {{"net/ipv6/max_dst_opts_number", "8"}})},
      {"NumberOfHopByHopOptions", "net/ipv6/max_hbh_opts_number", "3", Delivered6(Behind(kHopByHop, Options())), 0, With(PrepareWire6, {{"net/ipv6/max_hbh_opts_number", "8"}})},
      {"LengthOfDestinationOptions", "net/ipv6/max_dst_opts_length", "8", Delivered6(Behind(kDestination, Options())), 0, With(PrepareWire6, {{"net/ipv6/max_dst_opts_number", "8"}, {"net/ipv6/max_dst_opts_length", "64"}})},
      {"LengthOfHopByHopOptions", "net/ipv6/max_hbh_length", "8", Delivered6(Behind(kHopByHop, Options())), 0, With(PrepareWire6, {{"net/ipv6/max_hbh_opts_number", "8"}, {"net/ipv6/max_hbh_length", "64"}})},
      {"SegmentRouting", "net/ipv6/conf/all/seg6_enabled", "1", Delivered6(Behind(kRouting, Route6(4))), 1, With(PrepareWire6, {{"net/ipv6/conf/one/seg6_enabled", "1"}})},
      {"SegmentRoutingOfRpl", "net/ipv6/conf/all/rpl_seg_enabled", "1", Delivered6(Behind(kRouting, Route6(3))), 1, With(PrepareWire6, {{"net/ipv6/conf/one/rpl_seg_enabled", "1"}})},
      {"Ipv6PacketsInBroadcastFrames", "net/ipv6/conf/one/drop_unicast_in_l2_multicast", "1", Delivered6(kAll + UdpFrame6(7001).substr(6)), 0, PrepareWire6},
      {"Ipv6InputWithoutPolicies", "net/ipv6/conf/all/disable_policy", "1", Delivered6(UdpFrame6(7001)), 1, BlockByPolicy6, {"XFRM_USER"}},
      {"FlowLabelsOfEchoReplies", "net/ipv6/flowlabel_reflect", "4", FromAnswer(Icmp6Frame(kEcho, B32(1), {.label = kLabel}), Kind(kEchoReply), HasLabel), 1, PrepareWire6},
      {"FlowLabelsOfResets", "net/ipv6/flowlabel_reflect", "2", FromAnswer(SynFrame6(7009, {.label = kLabel}), IsReset6, HasLabel), 1, PrepareWire6},
      {"FlowLabelsOfAcceptedConnections", "net/ipv6/flowlabel_reflect", "1",
       [](auto& ns) -> Result<int> {
         ASSIGN_OR_RETURN(Fd listener, TcpListen(ns, Inet("::", 7001)));
         return FromAnswer(SynFrame6(7001, {.label = kLabel}), IsSynAck6, HasLabel)(ns);
       }, 1, PrepareWire6},
      {"AutomaticFlowLabelsOfEchoReplies", "net/ipv6/auto_flowlabels", "0", FromAnswer(Icmp6Frame(kEcho, B32(1)), Kind(kEchoReply), HasAnyLabel), 0, PrepareWire6},
      {"AutomaticFlowLabelsOfResets", "net/ipv6/auto_flowlabels", "0", FromAnswer(refused_syn, IsReset6, HasAnyLabel), 0, PrepareWire6},
      {"AutomaticFlowLabelsOfAcceptedConnections", "net/ipv6/auto_flowlabels", "0",
       [](auto& ns) -> Result<int> {
         ASSIGN_OR_RETURN(Fd listener, TcpListen(ns, Inet("::", 7001)));
         return FromAnswer(SynFrame6(7001), IsSynAck6, HasAnyLabel)(ns);
       }, 0, PrepareWire6},
      {"ClassOfAcceptedIpv6Connections", "net/ipv4/tcp_reflect_tos", "1",
       [](auto& ns) -> Result<int> {
         ASSIGN_OR_RETURN(Fd listener, TcpListen(ns, Inet("::", 7001)));
         return FromAnswer(SynFrame6(7001, {.label = 0x88 << 20}), IsSynAck6, ClassOf)(ns);
       }, 0x88, PrepareWire6, {}, {"STACK-13"}},
      {"SourceOfAnycastEchoReplies", "net/ipv6/anycast_src_echo_reply", "1", AnswersAsAnycast, 1, PrepareWire6, {}, {"STACK-11"}},
      // RFC 4443: an error is not sent to an anycast address, which this one may be.
      {"ErrorsToAnycastAddresses", "net/ipv6/icmp/error_anycast_as_unicast", "1", CountAnswers({UdpFrame6(7009, {.from = Address6("2001:db8::")})}, Kind(kUnreachable)), 1, With(PrepareWire6, {kNoLimit}), {}, {"STACK-11"}},
      {"LimitOfIpv6Errors", "net/ipv6/icmp/ratemask", "3", AnswersTwenty, 1, PrepareWire6, {}, {"STACK-11"}},
      {"HopLimitOfEchoReplies", "net/ipv6/conf/one/hop_limit", "81", FromAnswer(Icmp6Frame(kEcho, B32(1)), Kind(kEchoReply), HopsOf), 81, PrepareWire6},
      {"HopLimitOfErrors", "net/ipv6/conf/one/hop_limit", "82", FromAnswer(refused, Kind(kUnreachable), HopsOf), 82, With(PrepareWire6, {kNoLimit})},
      {"HopLimitOfResets", "net/ipv6/conf/one/hop_limit", "83", FromAnswer(refused_syn, IsReset6, HopsOf), 83, PrepareWire6},
      {"MarksOfIpv6Resets", "net/ipv6/fwmark_reflect", "1", AnswersToMarked(refused_syn, IsReset6), 0, LoseMarked, {"IPV6_MULTIPLE_TABLES"}},
      {"MarksOfIpv6Errors", "net/ipv6/fwmark_reflect", "1", AnswersToMarked(refused, Kind(kUnreachable)), 0, LoseMarked, {"IPV6_MULTIPLE_TABLES"}},
      {"MemoryOfTrackedFragments", "net/netfilter/nf_conntrack_frag6_high_thresh", "0", [](auto& ns) { return Delivered(Pieces(), "::")(ns); }, 0, PrepareTracking,
       {"NF_TABLES", "NF_TABLES_INET", "NFT_NAT", "NFT_MASQ"}, {"FW-08", "SYSCTL-22"}},
      {"MemoryOfIpv6Paths", "net/ipv6/route/mtu_expires", "5000", RemembersLong, 1, PrepareRoute6, {}, {"SYSCTL-15"}},
  };
  return effects;
}

// Documents: ip-sysctl.rst.
const bool effects = [] {
  for (const Effect& effect : Effects())
    RegisterEffect("Sysctl", effect, Covers("SYSCTL-14", "SYSCTL-21"), Needs(Config("SYSCTL"), Config("VETH"), Config("PACKET"), Config("IPV6")), __FILE__, __LINE__);
  return true;
}();

}  // namespace
}  // namespace netns
