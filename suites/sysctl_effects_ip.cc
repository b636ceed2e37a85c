// SPDX-License-Identifier: GPL-2.0-or-later
// SYSCTL: settings of IPv4 that show in what a namespace answers, forwards and sends of its own accord: ARP, IGMP, ICMP,
// redirects, filters of sources, forwarding.
#include "fixtures/nftables.h"
#include "suites/support/effect.h"
#include "suites/support/firewall.h"
#include "suites/support/ipsec.h"
#include "suites/support/wire.h"

namespace netns {
namespace {

using namespace wire;

constexpr unsigned kTimeExceeded = 11, kUnreachable = 3, kRedirect = 5, kIgmpV2Report = 0x16;

// --- ARP and carrier --------------------------------------------------------------------------------------------------

/// How many announcements of its address the device makes when it gets a hardware address.
Result<int> Announcements(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(std::vector<string> answers, NewsOfHardwareAddress(ns));
  return static_cast<int>(std::count_if(answers.begin(), answers.end(), [](const string& each) { return IsArp(each, 1) && each.substr(28, 4) == B32(kOwn) && each.substr(38, 4) == B32(kOwn); }));
}
// --- IGMP -------------------------------------------------------------------------------------------------------------

std::uint32_t NextGroup() {
  static std::uint32_t last = 0xEF010000;
  return ++last;
}
Result<Fd> Join(const NetNamespace& ns, std::uint32_t group) {
  ASSIGN_OR_RETURN(Fd socket, ns.Socket(AF_INET, SOCK_DGRAM));
  ASSIGN_OR_RETURN(Link one, RtnlIn(ns).LinkByName("one"));
  ip_mreqn request{};
  request.imr_multiaddr.s_addr = htonl(group);
  request.imr_ifindex = one.index;
  RETURN_IF_ERROR(SetSockOpt(socket, IPPROTO_IP, IP_ADD_MEMBERSHIP, request));
  return socket;
}
/// How many senders a socket may name of a group, up to five.
Result<int> SourcesOfAGroup(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Fd socket, ns.Socket(AF_INET, SOCK_DGRAM));
  ip_mreq_source request{};
  request.imr_multiaddr.s_addr = htonl(NextGroup());
  request.imr_interface.s_addr = htonl(kOwn);
  for (int named = 0; named < 5; ++named) {
    request.imr_sourceaddr.s_addr = htonl(0xC6336401 + static_cast<std::uint32_t>(named));  // 198.51.100.1 ...
    const Status added = SetSockOpt(socket, IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, request);
    if (added.code() == ENOBUFS) return named;
    RETURN_IF_ERROR(added);
  }
  return 5;
}
/// The kind of the report by which a group is joined.
Result<int> KindOfReport(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
  const std::uint32_t group = NextGroup();
  ASSIGN_OR_RETURN(Fd member, Join(ns, group));
  ASSIGN_OR_RETURN(string report, wire.NextThat("the report of a group", [&](const string& each) { return IsIp(each, IPPROTO_IGMP) && IpPayload(each).find(B32(group)) != string::npos; }));
  return static_cast<int>(At(IpPayload(report), 0));
}
/// Whether a group of 224.0.0.0/24 is reported; another is joined after it.
Result<int> ReportsLinkLocalGroup(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
  static std::uint32_t local = 0xE0000064;
  const std::uint32_t group = ++local, behind = NextGroup();
  ASSIGN_OR_RETURN(Fd member, Join(ns, group));
  ASSIGN_OR_RETURN(Fd second, Join(ns, behind));
  bool reported = false;
  ASSIGN_OR_RETURN(string last, wire.NextThat("the report of the group that was joined last", [&](const string& each) {
    if (!IsIp(each, IPPROTO_IGMP)) return false;
    reported |= IpPayload(each).find(B32(group)) != string::npos;
    return IpPayload(each).find(B32(behind)) != string::npos;
  }));
  return reported;
}
/// Whether a second report is to come when the first one has.
Result<int> ReportsAgain(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
  const std::uint32_t group = NextGroup();
  ASSIGN_OR_RETURN(Fd member, Join(ns, group));
  ASSIGN_OR_RETURN(string report, wire.NextThat("the report of a group", [&](const string& each) { return IsIp(each, IPPROTO_IGMP) && At(IpPayload(each), 0) == kIgmpV2Report && IpPayload(each).find(B32(group)) != string::npos; }));
  ASSIGN_OR_RETURN(string text, ns.ReadProcNet("igmp"));
  char name[16];
  std::snprintf(name, sizeof name, "%08X", htonl(group));
  const std::size_t at = text.find(name);
  if (at == string::npos) return Error{ENOENT, string("the group ") + name + " in /proc/net/igmp:\n" + text};
  unsigned users = 0, timer = 0;  // "GROUP users timer:rest"
  if (std::sscanf(text.c_str() + at + 8, "%u %u:", &users, &timer) != 2) return Error{EPROTO, "/proc/net/igmp:\n" + text};
  return static_cast<int>(timer);
}

// --- Forwarding -------------------------------------------------------------------------------------------------------

/// What comes out at the end of the other wire, of a protocol.
Result<std::vector<string>> Forwarded(const NetNamespace& ns, const string& frame, int protocol) {
  ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
  ASSIGN_OR_RETURN(Wire end, Wire::Of(ns, "end"));
  ASSIGN_OR_RETURN(std::vector<string> answers, wire.Answers(frame));
  ASSIGN_OR_RETURN(std::vector<string> all, end.Drain());
  std::erase_if(all, [=](const string& each) { return !IsIp(each, protocol); });
  return all;
}
Look CountForwarded(string frame) {
  return [=](const NetNamespace& ns) -> Result<int> {
    ASSIGN_OR_RETURN(std::vector<string> all, Forwarded(ns, frame, IPPROTO_UDP));
    return static_cast<int>(all.size());
  };
}
/// Whether a packet that the learned path is too narrow for is refused, though the route is wide enough.
Result<int> RefusesWidePackets(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
  const std::uint32_t to = NextDestination();
  ASSIGN_OR_RETURN(std::vector<string> answers, wire.Answers({TooBig(to, 900), Frame(Ip(kOther, to, IPPROTO_UDP, Udp(7001) + string(1000, 'x'), {.fragment = 0x4000}))}));
  return std::any_of(answers.begin(), answers.end(), [](const string& each) { return IsIcmp(each, kUnreachable) && At(IpPayload(each), 1) == ICMP_FRAG_NEEDED; });
}
/// Whether a neighbour is told that another is nearer; the first time that it is told anything.
Result<int> SendsRedirects(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
  static std::uint32_t host = 0xC0000264;
  const std::uint32_t from = ++host;
  RETURN_IF_ERROR(RtnlIn(ns).AddNeighbour({.to = Text(from), .address = "02:00:00:00:00:02", .dev = "one"}));
  ASSIGN_OR_RETURN(std::vector<string> answers, wire.Answers(Frame(Ip(from, NextDestination(), IPPROTO_UDP, Udp(7001)))));
  return std::any_of(answers.begin(), answers.end(), [](const string& each) { return IsIcmp(each, kRedirect); });
}
/// Forwarding and no redirects, that packets go out by the device that they came by.
const std::vector<std::pair<const char*, const char*>> kForwardSilently = {{"net/ipv4/ip_forward", "1"}, {"net/ipv4/conf/all/send_redirects", "0"}, {"net/ipv4/conf/one/send_redirects", "0"}};

void BlockByPolicy(const NetNamespace& ns, std::uint8_t direction) {
  PrepareWire(ns);
  for (const char* name : {"disable_xfrm", "disable_policy"}) SetOfAll(ns, "ipv4", name, "0");
  BlockDatagrams(ns, AF_INET, direction);
}

// --- ICMP -------------------------------------------------------------------------------------------------------------

/// Whether twenty datagrams to a port that nobody has are all answered.
Result<int> AnswersTwenty(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
  static std::uint32_t host = 0xC000020A;
  const std::uint32_t from = ++host;  // another each time: each has a budget
  RETURN_IF_ERROR(RtnlIn(ns).AddNeighbour({.to = Text(from), .address = "02:00:00:00:00:02", .dev = "one"}));
  ASSIGN_OR_RETURN(std::vector<string> answers, wire.Answers(std::vector<string>(20, Frame(Ip(from, kOwn, IPPROTO_UDP, Udp(7009))))));
  return std::count_if(answers.begin(), answers.end(), [](const string& each) { return IsIcmp(each, kUnreachable); }) == 20;
}
/// The last byte of the address that speaks of a packet that has travelled too far.
Result<int> SourceOfErrors(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(std::vector<string> all, Forwarded(ns, Frame(Ip(kStranger, 0xC6336409, IPPROTO_UDP, Udp(7001), {.ttl = 1})), IPPROTO_ICMP));
  for (const string& each : all)
    if (IsIcmp(each, kTimeExceeded)) return each.substr(26, 4) == B32(kOwn);
  return Error{ENOENT, "an error that says that the time to live was exceeded"};
}
/// The time to live of the first answer that is such.
Look LifeOfAnswer(string frame, std::function<bool(const string&)> is) {
  return [=](const NetNamespace& ns) -> Result<int> {
    ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
    ASSIGN_OR_RETURN(std::vector<string> answers, wire.Answers(frame));
    for (const string& each : answers)
      if (is(each)) return static_cast<int>(At(each, 22));
    return Error{ENOENT, "an answer"};
  };
}
bool IsReset(const string& frame) { return IsIp(frame, IPPROTO_TCP) && (At(IpPayload(frame), 13) & kRst) != 0; }
bool IsSynAck(const string& frame) { return IsIp(frame, IPPROTO_TCP) && (At(IpPayload(frame), 13) & (kSyn | kAck)) == (kSyn | kAck); }
void LoseMarked(const NetNamespace& ns) {
  With(PrepareWire, {{"net/ipv4/icmp_ratemask", "0"}})(ns);
  NeedsConfig("IP_MULTIPLE_TABLES", RtnlIn(ns).AddRule({.priority = 100, .action = 6 /* FR_ACT_BLACKHOLE */, .mark = 7}), "a rule for marks");
}
/// Whether a packet with mark 7 comes from where packets with that mark go.
Result<int> AcceptsMarked(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
  ASSIGN_OR_RETURN(Fd receiver, UdpBind(ns, Inet("0.0.0.0", 7001)));
  RETURN_IF_ERROR(wire.Mark(7));
  RETURN_IF_ERROR(wire.Put(Frame(Ip(kStranger, kOwn, IPPROTO_UDP, Udp(7001)))));
  RETURN_IF_ERROR(wire.Mark(0));
  ASSIGN_OR_RETURN(std::vector<string> answers, wire.Answers(""));
  return Readable(receiver);
}
/// Seconds until what was learned of a path is forgotten, at least a thousand.
Result<int> RemembersLong(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
  const std::uint32_t to = NextDestination();
  ASSIGN_OR_RETURN(std::vector<string> answers, wire.Answers(TooBig(to, 900)));
  auto rtnl = RtnlIn(ns);
  rtmsg header{};
  header.rtm_family = AF_INET;
  header.rtm_dst_len = 32;
  ASSIGN_OR_RETURN(Message message, rtnl.socket().Get(Request(RTM_GETROUTE).Header(header).Be32(RTA_DST, to).Named("the route to " + Text(to))));
  const auto cache = message.AttributesAfter<rtmsg>().Structure<rta_cacheinfo>(RTA_CACHEINFO);
  if (!cache || cache->rta_expires <= 0) return Error{ENOENT, "when the route to " + Text(to) + " expires"};
  return cache->rta_expires > 100'000;  // hundredths
}

/// The wire ends in a VRF, whose packets sockets of the namespace get only by its leave.
void PrepareVrf(const NetNamespace& ns) {
  PrepareWire(ns);
  auto rtnl = RtnlIn(ns);
  NeedsConfig("NET_VRF", rtnl.AddLink({.name = "vrf", .kind = "vrf", .up = true, .data = [](Request& data) { data.U32(1 /* IFLA_VRF_TABLE */, 100); }}), "a VRF");
  SETUP_OK(rtnl.SetLink("one", {.master = LinkRef("vrf")}));
  for (const char* peer : {"192.0.2.2", "192.0.2.3"}) std::ignore = rtnl.AddNeighbour({.to = peer, .address = "02:00:00:00:00:02", .dev = "one"});
}

/// A datagram to port 7001 in two pieces, between which there are pieces of others.
std::vector<string> InterruptedPieces() {
  const auto piece = [](unsigned id, bool first) { return Frame(Ip(kPeer, kOwn, IPPROTO_UDP, first ? B16(7000) + B16(7001) + B16(24) + B16(0) : string(16, 'x'), {.id = id, .fragment = first ? 0x2000u : 1u})); };
  static unsigned id = 100;
  id += 10;
  return {piece(id, true), piece(id + 1, true), piece(id + 2, true), piece(id + 3, true), piece(id, false)};
}

const std::vector<Effect>& Effects() {
  static const string refused = Frame(Ip(kPeer, kOwn, IPPROTO_UDP, Udp(7009)));
  static const string syn = TcpFrame({.to = 7009}), echo = Frame(Ip(kPeer, kOwn, IPPROTO_ICMP, Icmp(ICMP_ECHO, 0, B32(0x12340001))));
  static const std::vector<Effect> effects = {
      {"AnnouncementsOfAddresses", "net/ipv4/conf/all/arp_notify", "1", Announcements, 1, PrepareWire},
      {"GratuitousArp", "net/ipv4/conf/all/drop_gratuitous_arp", "1", LearnsOfItsOwnAccord, 0, With(PrepareWire, {{"net/ipv4/conf/all/arp_accept", "1"}})},
      {"NeighboursWithoutCarrier", "net/ipv4/conf/all/arp_evict_nocarrier", "0", OutlivesCarrier(AF_INET, "192.0.2.50"), 1, PrepareWire},
      {"ArpForOthersOfTheSameWire", "net/ipv4/conf/one/proxy_arp_pvlan", "1", ArpReplies(Arp(1, kPeer, 0xC0000242)), 1,
       With(PrepareWire, {{"net/ipv4/ip_forward", "1"}, {"net/ipv4/neigh/one/proxy_delay", "0"}, {"net/ipv4/conf/all/proxy_arp_pvlan", "0"}, {"net/ipv4/conf/one/proxy_arp_pvlan", "0"},
                          {"net/ipv4/conf/all/proxy_arp", "0"}, {"net/ipv4/conf/one/proxy_arp", "0"}})},
      {"VersionOfGroupReports", "net/ipv4/conf/all/force_igmp_version", "2", KindOfReport, kIgmpV2Report, PrepareWire, {"IP_MULTICAST"}},
      {"SourcesOfAGroup", "net/ipv4/igmp_max_msf", "2", SourcesOfAGroup, 2, PrepareWire, {"IP_MULTICAST"}},
      {"ReportsOfLinkLocalGroups", "net/ipv4/igmp_link_local_mcast_reports", "0", ReportsLinkLocalGroup, 0, PrepareWire, {"IP_MULTICAST"}},
      {"NumberOfGroupReports", "net/ipv4/igmp_qrv", "1", ReportsAgain, 0, With(PrepareWire, {{"net/ipv4/conf/all/force_igmp_version", "2"}}), {"IP_MULTICAST"}},
      {"RoutesWithoutCarrier", "net/ipv4/conf/one/ignore_routes_with_linkdown", "1", [](auto& ns) -> Result<int> { return RtnlIn(ns).GetRoute("198.51.100.9").code(); }, ENETUNREACH,
       [](auto& ns) {
         PrepareWire(ns);
         SetOfAll(ns, "ipv4", "ignore_routes_with_linkdown", "0");
         SETUP_OK(LoseCarrier(ns));
       }},
      {"SourcesByAnotherRoute", "net/ipv4/conf/all/rp_filter", "2", Delivered(Frame(Ip(kStranger, kOwn, IPPROTO_UDP, Udp(7001)))), 1, With(PrepareForwarding, {{"net/ipv4/conf/all/rp_filter", "1"}})},
      {"MarksOfSources", "net/ipv4/conf/all/src_valid_mark", "1", AcceptsMarked, 1,
       [](auto& ns) {
         With(PrepareForwarding, {{"net/ipv4/conf/all/rp_filter", "1"}})(ns);
         SetOfAll(ns, "ipv4", "src_valid_mark", "0");
         auto rtnl = RtnlIn(ns);
         SETUP_OK(rtnl.AddRoute({.to = "203.0.113.0/24", .dev = "one", .table = 100}));
         NeedsConfig("IP_MULTIPLE_TABLES", rtnl.AddRule({.priority = 100, .table = 100, .mark = 7}), "a rule for marks");
       }, {"IP_MULTIPLE_TABLES"}},
      {"RedirectsSent", "net/ipv4/conf/all/send_redirects", "1", SendsRedirects, 1, With(PrepareWire, kForwardSilently)},
      {"RedirectsToAnyGateway", "net/ipv4/conf/all/secure_redirects", "1", FollowsRedirect, 0,
       [](auto& ns) {
         With(PrepareWire, {{"net/ipv4/conf/all/accept_redirects", "1"}})(ns);
         for (const char* name : {"shared_media", "secure_redirects"}) SetOfAll(ns, "ipv4", name, "0");
       }},
      {"RedirectsOfSharedMedia", "net/ipv4/conf/all/shared_media", "1", FollowsRedirect, 1,
       [](auto& ns) {
         With(PrepareWire, {{"net/ipv4/conf/all/accept_redirects", "1"}})(ns);
         SetOfAll(ns, "ipv4", "shared_media", "0");
         SetOfAll(ns, "ipv4", "secure_redirects", "1");
       }},
      {"BroadcastsForwarded", "net/ipv4/conf/all/bc_forwarding", "1", CountForwarded(Frame(Ip(kPeer, 0xCB0071FF, IPPROTO_UDP, Udp(7001)))), 1,
       [](auto& ns) {
         PrepareForwarding(ns);
         SetOfAll(ns, "ipv4", "bc_forwarding", "1");
         SETUP_OK(ns.SetSysctl("net/ipv4/conf/all/bc_forwarding", "0"));
       }},
      {"PathMtuOfForwardedPackets", "net/ipv4/ip_forward_use_pmtu", "1", RefusesWidePackets, 1, With(PrepareWire, kForwardSilently), {}, {"STACK-08"}},
      {"PriorityOfForwardedPackets", "net/ipv4/ip_forward_update_priority", "0", CountForwarded(Frame(Ip(kPeer, kStranger, IPPROTO_UDP, Udp(7001), {.tos = 0x10}))), 1,
       [](auto& ns) {
         PrepareForwarding(ns);
         auto nft = SETUP_OK(Nftables::In(ns));
         NeedsNftables(nft.Commit(NftBatch().AddTable(NFPROTO_INET, "t").AddChain({.table = "t", .name = "f", .hook = NF_INET_FORWARD}).AddRule({.table = "t", .chain = "f", .packet_priority = 6, .verdict = NF_DROP})),
                       "a rule that drops packets with the priority of \"low delay\"");
       }, {"NF_TABLES", "NF_TABLES_INET"}, {"STACK-08"}},
      {"OutputWithoutPolicies", "net/ipv4/conf/all/disable_xfrm", "1",
       [](auto& ns) -> Result<int> {
         ASSIGN_OR_RETURN(Fd socket, ns.Socket(AF_INET, SOCK_DGRAM));
         return SendTo(socket, "x", Inet("192.0.2.2", 7001)).code();
       }, 0, [](auto& ns) { BlockByPolicy(ns, XFRM_POLICY_OUT); }, {"XFRM_USER"}},
      {"InputWithoutPolicies", "net/ipv4/conf/all/disable_policy", "1", Delivered(Frame(Ip(kPeer, kOwn, IPPROTO_UDP, Udp(7001)))), 1, [](auto& ns) { BlockByPolicy(ns, XFRM_POLICY_IN); }, {"XFRM_USER"}},
      {"LimitOfErrors", "net/ipv4/icmp_ratemask", "0", AnswersTwenty, 1, PrepareWire, {}, {"STACK-11"}},
      {"SourceOfErrors", "net/ipv4/icmp_errors_use_inbound_ifaddr", "1", SourceOfErrors, 1, With(PrepareForwarding, {{"net/ipv4/icmp_ratemask", "0"}}), {}, {"STACK-11"}},
      {"TtlOfEchoReplies", "net/ipv4/ip_default_ttl", "81", LifeOfAnswer(echo, [](const string& each) { return IsIcmp(each, ICMP_ECHOREPLY); }), 81, PrepareWire},
      {"TtlOfErrors", "net/ipv4/ip_default_ttl", "82", LifeOfAnswer(refused, [](const string& each) { return IsIcmp(each, kUnreachable); }), 82, With(PrepareWire, {{"net/ipv4/icmp_ratemask", "0"}})},
      {"TtlOfResets", "net/ipv4/ip_default_ttl", "83", LifeOfAnswer(syn, IsReset), 83, PrepareWire},
      {"TtlOfAcceptedConnections", "net/ipv4/ip_default_ttl", "84",
       [](auto& ns) -> Result<int> {
         ASSIGN_OR_RETURN(Fd listener, TcpListen(ns, Inet("0.0.0.0", 7001)));
         return LifeOfAnswer(TcpFrame({}), IsSynAck)(ns);
       }, 84, PrepareWire},
      {"MarksOfResets", "net/ipv4/fwmark_reflect", "1", AnswersToMarked(syn, IsReset), 0, LoseMarked, {"IP_MULTIPLE_TABLES"}},
      {"MarksOfErrors", "net/ipv4/fwmark_reflect", "1", AnswersToMarked(refused, [](const string& each) { return IsIcmp(each, kUnreachable); }), 0, LoseMarked, {"IP_MULTIPLE_TABLES"}},
      {"MemoryOfPaths", "net/ipv4/route/mtu_expires", "5000", RemembersLong, 1, PrepareWire, {}, {"SYSCTL-15"}},
      {"DistanceOfFragments", "net/ipv4/ipfrag_max_dist", "1", [](auto& ns) { return Delivered(InterruptedPieces())(ns); }, 0, PrepareWire, {}, {"STACK-12", "SYSCTL-22"}},
      {"ConnectionsOfVrfs", "net/ipv4/tcp_l3mdev_accept", "1",
       [](auto& ns) -> Result<int> {
         ASSIGN_OR_RETURN(Fd listener, TcpListen(ns, Inet("0.0.0.0", 7001)));
         return CountAnswers({TcpFrame({})}, IsSynAck)(ns);
       }, 1, PrepareVrf, {"NET_VRF"}},
      {"RawPacketsOfVrfs", "net/ipv4/raw_l3mdev_accept", "0",
       [](auto& ns) -> Result<int> {
         ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
         ASSIGN_OR_RETURN(Fd raw, ns.Socket(AF_INET, SOCK_RAW, 253));
         ASSIGN_OR_RETURN(std::vector<string> answers, wire.Answers(Frame(Ip(kPeer, kOwn, 253, "x"))));
         return Readable(raw);
       }, 0, PrepareVrf, {"NET_VRF"}},
      {"ServerThatReflectsTheClassOfService", "net/ipv4/tcp_reflect_tos", "1",
       [](auto& ns) -> Result<int> {
         ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
         ASSIGN_OR_RETURN(Fd listener, TcpListen(ns, Inet("0.0.0.0", 7001)));
         ASSIGN_OR_RETURN(std::vector<string> answers, wire.Answers(TcpFrame({}, kPeer, {.tos = 0x88})));
         for (const string& each : answers)
           if (IsSynAck(each)) return static_cast<int>(At(each, 15));
         return Error{ENOENT, "the answer to a SYN"};
       }, 0x88, PrepareWire, {}, {"STACK-13"}},
  };
  return effects;
}

// Documents: ip-sysctl.rst.
const bool effects = [] {
  for (const Effect& effect : Effects()) RegisterEffect("Sysctl", effect, Covers("SYSCTL-14"), Needs(Config("SYSCTL"), Config("VETH"), Config("PACKET")), __FILE__, __LINE__);
  return true;
}();

// ip-sysctl.rst, icmp_msgs_per_sec: "Limit maximal number of ICMP packets sent per second from this host". Who has sent none has
// no credit but what a second gives.
void LimitOfAllErrors(const NetNamespace& other) {
  const char* name = "net/ipv4/icmp_msgs_per_sec";
  auto none = NetNamespace::Create(), some = NetNamespace::Create();
  for (auto* ns : {&none, &some}) PrepareWire(*ns);
  if (!none.HasSysctl(name)) throw MissingNeed("needs-feature:" + string(name), "this kernel counts the errors of all namespaces together");
  const Look errors = CountAnswers({Frame(Ip(kPeer, kOwn, IPPROTO_UDP, Udp(7009)))}, [](const string& each) { return IsIcmp(each, kUnreachable); });
  Borrowed of_the_other(other.Dup().value(), name);
  SETUP_OK(of_the_other.Set("0"));
  ASSERT_OK(none.SetSysctl(name, "0"));
  EXPECT_EQ(SETUP_OK(errors(none)), 0) << "an error was sent where none may be";
  EXPECT_EQ(SETUP_OK(errors(some)), 1) << "none may be sent in another namespace";
  ASSERT_OK(none.SetSysctl(name, "1000"));
  EXPECT_EQ(SETUP_OK(errors(none)), 1) << "control: a thousand may be sent";
}
NETNS_TEST(Sysctl, LimitOfAllErrorsIsOfTheNamespace, Covers("SYSCTL-14", "STACK-11"), Needs(Config("SYSCTL"), Config("VETH"), Config("PACKET"))) { LimitOfAllErrors(NetNamespace::Current()); }
NETNS_TEST(Sysctl, LimitOfAllErrorsIsNotThatOfTheInitialNamespace, Covers("SYSCTL-14", "STACK-11"), Needs(Machine(), Config("SYSCTL"), Config("VETH"), Config("PACKET")), Exclusive{}) {
  LimitOfAllErrors(InitialNetNamespace());
}

}  // namespace
}  // namespace netns
