// SPDX-License-Identifier: GPL-2.0-or-later
// SYSCTL: settings that show in what a namespace does with frames that come in. The frames are written by hand and sent at
// one end of a veth pair. conf/all is what is set: its values are looked up by
// namespace, those of a device are at hand with the device.
#include "suites/support/effect.h"
#include "suites/support/wire.h"

namespace netns {
namespace {

using namespace wire;

/// What is known of the path to an address after an ICMP error came for it: its MTU.
Result<int> PathMtu(const NetNamespace& ns, unsigned mtu) {
  ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
  const std::uint32_t to = NextDestination();
  ASSIGN_OR_RETURN(std::vector<string> answers, wire.Answers(TooBig(to, mtu)));
  ASSIGN_OR_RETURN(Fd socket, ns.Socket(AF_INET, SOCK_DGRAM));
  RETURN_IF_ERROR(Connect(socket, Inet(Text(to), 9)));
  return GetSockOpt<int>(socket, IPPROTO_IP, IP_MTU);
}

/// The wire ends in a VRF, whose packets sockets of the namespace get only by its leave.
void PrepareVrf(const NetNamespace& ns) {
  PrepareWire(ns);
  auto rtnl = RtnlIn(ns);
  NeedsConfig("NET_VRF", rtnl.AddLink({.name = "vrf", .kind = "vrf", .up = true, .data = [](Request& data) { data.U32(1 /* IFLA_VRF_TABLE */, 100); }}), "a VRF");
  SETUP_OK(rtnl.SetLink("one", {.master = LinkRef("vrf")}));
  for (const char* peer : {"192.0.2.2", "192.0.2.3"}) std::ignore = rtnl.AddNeighbour({.to = peer, .address = "02:00:00:00:00:02", .dev = "one"});
}

const std::vector<Effect>& Effects() {
  static const std::vector<Effect> effects = {
      {"ArpRequestsIgnored", "net/ipv4/conf/all/arp_ignore", "8", ArpReplies(Arp(1, kPeer, kOwn)), 0, PrepareWire},
      {"ArpRequestsOfStrangers", "net/ipv4/conf/all/arp_filter", "1", ArpReplies(Arp(1, kStranger, kOwn)), 0, PrepareWire},
      {"ArpOfItsOwnAccord", "net/ipv4/conf/all/arp_accept", "1", LearnsOfItsOwnAccord, 1, PrepareWire},
      {"SourceOfArpRequests", "net/ipv4/conf/all/arp_announce", "2",
       [](auto& ns) -> Result<int> {
         ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
         static int host = 99;
         ASSIGN_OR_RETURN(Fd sender, UdpBind(ns, Inet("203.0.113.77", 0)));
         RETURN_IF_ERROR(SendTo(sender, "x", Inet("192.0.2." + std::to_string(++host), 9)));
         ASSIGN_OR_RETURN(std::vector<string> answers, wire.Answers(""));
         for (const string& each : answers)
           if (each.substr(12, 2) == B16(ETH_P_ARP)) return each.substr(28, 4) == B32(kOwn);
         return Error{ENOENT, "an ARP request"};
       }, 1,
       [](auto& ns) {
         PrepareWire(ns);
         SETUP_OK(RtnlIn(ns).AddAddress("203.0.113.77/32", "lo"));
       }},
      {"SourcesWithoutARoute", "net/ipv4/conf/all/rp_filter", "1", Delivered(Frame(Ip(kStranger, kOwn, IPPROTO_UDP, Udp(7001)))), 0, PrepareWire},
      {"SourcesOfItsOwn", "net/ipv4/conf/all/accept_local", "1", Delivered(Frame(Ip(kOwn, kOwn, IPPROTO_UDP, Udp(7001)))), 1, PrepareWire},
      {"LoopbackAddressesFromOutside", "net/ipv4/conf/all/route_localnet", "1", Delivered(Frame(Ip(kPeer, 0x7F000001, IPPROTO_UDP, Udp(7001)))), 1, PrepareWire},
      {"SourceRoutes", "net/ipv4/conf/all/accept_source_route", "0", Delivered(Frame(Ip(kPeer, kOwn, IPPROTO_UDP, Udp(7001), {.options = string("\x01\x83\x07\x08", 4) + B32(kOwn)}))), 0, PrepareWire},
      {"PacketsInBroadcastFrames", "net/ipv4/conf/all/drop_unicast_in_l2_multicast", "1", Delivered(Frame(Ip(kPeer, kOwn, IPPROTO_UDP, Udp(7001)), kAll)), 0, PrepareWire},
      {"SecondaryAddresses", "net/ipv4/conf/all/promote_secondaries", "1",
       [](auto& ns) -> Result<int> {
         auto rtnl = RtnlIn(ns);
         for (const char* address : {"203.0.113.1/24", "203.0.113.2/24"}) RETURN_IF_ERROR(rtnl.AddAddress(address, "one"));
         RETURN_IF_ERROR(rtnl.DeleteAddress("203.0.113.1/24", "one"));
         return rtnl.DeleteAddress("203.0.113.2/24", "one").ok();
       }, 1, PrepareWire},
      {"Redirects", "net/ipv4/conf/all/accept_redirects", "1", FollowsRedirect, 1, PrepareWire},
      {"Probes", "net/ipv4/icmp_echo_enable_probe", "1",
       [](auto& ns) -> Result<int> {
         ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
         // RFC 8335: for the interface of the name "one", which is there where it was asked.
         ASSIGN_OR_RETURN(std::vector<string> answers, wire.Answers(Frame(Ip(kPeer, kOwn, IPPROTO_ICMP, Icmp(42, 0, B16(7) + B16(0x0101) + B16(0x2000) + B16(0) + B16(8) + B16(0x0301) + string("one\0", 4))))));
         return static_cast<int>(std::count_if(answers.begin(), answers.end(), [](const string& each) { return each.size() > 34 && each[23] == IPPROTO_ICMP && each[34] == 43; }));
       }, 1, PrepareWire},
      // How often a neighbour is asked for before it counts as unreachable: a parameter of each device.
      {"RequestsForANeighbour", "net/ipv4/neigh/one/mcast_solicit", "1",
       [](auto& ns) -> Result<int> {
         ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
         static unsigned host = 0xC00002C8;  // another each time: one that failed is remembered
         const std::uint32_t to = ++host;
         ASSIGN_OR_RETURN(Fd client, ns.Socket(AF_INET, SOCK_STREAM));
         if (Connect(client, Inet(Text(to), 9)).code() != EHOSTUNREACH) return Error{EEXIST, "a neighbour that is not there"};
         ASSIGN_OR_RETURN(std::vector<string> answers, wire.Answers(""));
         return static_cast<int>(std::count_if(answers.begin(), answers.end(), [&](const string& each) { return each.substr(12, 2) == B16(ETH_P_ARP) && each[21] == 1 && each.substr(38, 4) == B32(to); }));
       }, 1,
       [](auto& ns) {
         PrepareWire(ns);
         if (ns.HasSysctl("net/ipv4/neigh/one/retrans_time_ms")) SETUP_OK(ns.SetSysctl("net/ipv4/neigh/one/retrans_time_ms", "100"));
       }, {}, {"SYSCTL-22", "STACK-22"}},
      {"ArpForOthers", "net/ipv4/conf/all/proxy_arp", "1", ArpReplies(Arp(1, kPeer, 0xCB007142)), 1,
       [](auto& ns) {
         PrepareWire(ns);
         // It lies behind another device, and is forwarded to; the answer is not delayed.
         auto rtnl = RtnlIn(ns);
         SETUP_OK(rtnl.AddVeth("other", PeerSpec{.name = "end"}));
         SETUP_OK(rtnl.Up("other"));
         SETUP_OK(rtnl.Up("end"));
         SETUP_OK(rtnl.AddRoute({.to = "203.0.113.0/24", .dev = "other"}));
         for (auto [name, value] : {std::pair("net/ipv4/ip_forward", "1"), std::pair("net/ipv4/neigh/one/proxy_delay", "0"), std::pair("net/ipv4/conf/all/proxy_arp", "0"), std::pair("net/ipv4/conf/one/proxy_arp", "0")})
           SETUP_OK(ns.SetSysctl(name, value));
       }},
      {"DatagramsOfVrfs", "net/ipv4/udp_l3mdev_accept", "1", Delivered(Frame(Ip(kPeer, kOwn, IPPROTO_UDP, Udp(7001)))), 1, PrepareVrf, {"NET_VRF"}},
      {"LeastPathMtu", "net/ipv4/route/min_pmtu", "800", [](auto& ns) { return PathMtu(ns, 300); }, 800, PrepareWire},
      {"PathMtuOfErrors", "net/ipv4/ip_no_pmtu_disc", "1", [](auto& ns) { return PathMtu(ns, 900); }, 552, PrepareWire},
  };
  return effects;
}

// Documents: ip-sysctl.rst.
const bool effects = [] {
  for (const Effect& effect : Effects()) RegisterEffect("Sysctl", effect, Covers("SYSCTL-14"), Needs(Config("SYSCTL"), Config("VETH"), Config("PACKET")), __FILE__, __LINE__);
  return true;
}();

}  // namespace
}  // namespace netns
