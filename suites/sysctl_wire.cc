// SPDX-License-Identifier: GPL-2.0-or-later
// SYSCTL: settings that show in what a namespace does with frames that come in. The frames are written by hand and sent at
// one end of a veth pair; "one", the other end, has the addresses. conf/all is what is set: its values are looked up by
// namespace, those of a device are at hand with the device.
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include <cstring>

#include "fixtures/sockets.h"
#include "fixtures/topology.h"
#include "suites/support/effect.h"
#include "suites/support/in_namespace.h"

namespace netns {
namespace {

using std::string;

const string kOne("\x02\0\0\0\0\x01", 6), kFar("\x02\0\0\0\0\x02", 6), kAll(6, '\xFF');
constexpr std::uint32_t kOwn = 0xC0000201, kPeer = 0xC0000202, kStranger = 0xCB007105 /* 203.0.113.5 */;

string B16(unsigned value) { return {static_cast<char>(value >> 8), static_cast<char>(value)}; }
string B32(std::uint32_t value) { return B16(value >> 16) + B16(value & 0xFFFF); }
unsigned Sum(const string& bytes) {
  unsigned sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) sum += static_cast<unsigned>(static_cast<unsigned char>(bytes[i])) << (i % 2 == 0 ? 8 : 0);
  while (sum > 0xFFFF) sum = (sum & 0xFFFF) + (sum >> 16);
  return ~sum & 0xFFFF;
}
/// An IPv4 packet; options in whole words.
string Ip(std::uint32_t from, std::uint32_t to, int protocol, const string& payload, const string& options = {}) {
  const std::size_t head = 20 + options.size();
  string packet = B16(static_cast<unsigned>((0x40 | head / 4) << 8)) + B16(static_cast<unsigned>(head + payload.size())) + B32(0) + B16(0x4000u | static_cast<unsigned>(protocol)) + B16(0) + B32(from) + B32(to) + options;
  packet.replace(10, 2, B16(Sum(packet)));
  return packet + payload;
}
string Icmp(int type, int code, const string& rest) {
  string message = B16(static_cast<unsigned>(type << 8 | code)) + B16(0) + rest;
  message.replace(2, 2, B16(Sum(message)));
  return message;
}
string Udp(unsigned port) { return B16(7000) + B16(port) + B16(9) + B16(0) + "x"; }
string Frame(const string& packet, const string& to = kOne, unsigned protocol = ETH_P_IP) { return to + kFar + B16(protocol) + packet; }
string Arp(unsigned operation, std::uint32_t from, std::uint32_t to) {
  return Frame(B16(1) + B16(ETH_P_IP) + string("\x06\x04", 2) + B16(operation) + kFar + B32(from) + string(6, '\0') + B32(to), kAll, ETH_P_ARP);
}

void PrepareWire(const NetNamespace& ns) {
  LoopbackUp(ns);
  auto rtnl = RtnlIn(ns);
  if (ns.HasSysctl("net/ipv6/conf/default/disable_ipv6")) SETUP_OK(ns.SetSysctl("net/ipv6/conf/default/disable_ipv6", "1"));
  // What is inherited is not what is looked at.
  for (const char* entry : {"all", "default"})
    for (const char* name : {"rp_filter", "arp_ignore", "arp_announce", "arp_filter", "arp_accept", "accept_local", "route_localnet", "promote_secondaries", "accept_redirects", "log_martians"})
      SETUP_OK(ns.SetSysctl(string("net/ipv4/conf/") + entry + "/" + name, "0"));
  for (const char* entry : {"all", "default"}) SETUP_OK(ns.SetSysctl(string("net/ipv4/conf/") + entry + "/accept_source_route", "1"));
  NeedsConfig("VETH", rtnl.AddVeth("one", PeerSpec{.name = "far"}, {.address = "02:00:00:00:00:01"}), "a veth pair");
  SETUP_OK(rtnl.Up("one"));
  SETUP_OK(rtnl.Up("far"));
  SETUP_OK(rtnl.AddAddress("192.0.2.1/24", "one"));
  for (const char* peer : {"192.0.2.2", "192.0.2.3"}) SETUP_OK(rtnl.AddNeighbour({.to = peer, .address = "02:00:00:00:00:02", .dev = "one"}));
  SETUP_OK(rtnl.AddRoute({.to = "198.51.100.0/24", .via = "192.0.2.2"}));
  SETUP_OK(WaitUntilUp(ns, "one"));
  SETUP_OK(WaitUntilUp(ns, "far"));
}

/// The far end of the wire.
class Wire {
 public:
  static Result<Wire> Of(const NetNamespace& ns) {
    // One processor: what is sent later comes later.
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<std::size_t>(::sched_getcpu()), &set);
    ::sched_setaffinity(0, sizeof set, &set);
    ASSIGN_OR_RETURN(Link link, RtnlIn(ns).LinkByName("far"));
    ASSIGN_OR_RETURN(Fd socket, PacketSocket(ns, link.index, ETH_P_ALL));
    return Wire(std::move(socket));
  }
  /// Sends a frame, and gives what has come back when an echo request behind it is answered.
  Result<std::vector<string>> Answers(const string& frame) {
    static unsigned sequence = 0;
    const string rest = B16(0xFACE) + B16(++sequence);
    if (!frame.empty()) RETURN_IF_ERROR(Put(frame));
    RETURN_IF_ERROR(Put(Frame(Ip(kPeer, kOwn, IPPROTO_ICMP, Icmp(ICMP_ECHO, 0, rest)))));
    std::vector<string> answers;
    for (char buffer[2000];;) {
      RETURN_IF_ERROR(WaitFor(socket_.get(), POLLIN, Deadline::OfTest(), "the echo reply behind"));
      sockaddr_ll from{};
      socklen_t size = sizeof from;
      const ssize_t length = ::recvfrom(socket_.get(), buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (length < 14) return ErrnoError("recvfrom(AF_PACKET)");
      if (from.sll_pkttype == PACKET_OUTGOING) continue;
      string answer(buffer, static_cast<std::size_t>(length));
      if (answer.size() >= 42 && answer.substr(12, 2) == B16(ETH_P_IP) && answer[23] == IPPROTO_ICMP && answer[34] == ICMP_ECHOREPLY && answer.substr(38, 4) == rest) return answers;
      answers.push_back(std::move(answer));
    }
  }

 private:
  explicit Wire(Fd socket) : socket_(std::move(socket)) {}
  Status Put(const string& frame) {
    if (::send(socket_.get(), frame.data(), frame.size(), 0) < 0) return ErrnoError("send(AF_PACKET)");
    return Ok();
  }
  Fd socket_;
};

/// How many answers there are of ARP (operation 2), or of ICMP (a type).
std::function<Result<int>(const NetNamespace&)> ArpReplies(string frame) {
  return [=](const NetNamespace& ns) -> Result<int> {
    ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
    ASSIGN_OR_RETURN(std::vector<string> answers, wire.Answers(frame));
    return static_cast<int>(std::count_if(answers.begin(), answers.end(), [](const string& each) { return each.substr(12, 2) == B16(ETH_P_ARP) && each[21] == 2; }));
  };
}
/// Whether a datagram to port 7001 is delivered.
std::function<Result<int>(const NetNamespace&)> Delivered(string frame) {
  return [=](const NetNamespace& ns) -> Result<int> {
    ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
    ASSIGN_OR_RETURN(Fd receiver, UdpBind(ns, Inet("0.0.0.0", 7001)));
    ASSIGN_OR_RETURN(std::vector<string> answers, wire.Answers(frame));
    return Readable(receiver);
  };
}
/// An address of 198.51.100.0/24 that no other look has used, since what was learned of it stays.
std::uint32_t NextDestination() {
  static std::uint32_t last = 0xC6336401;
  return ++last;
}
string Text(std::uint32_t address) {
  const in_addr in{htonl(address)};
  char text[INET_ADDRSTRLEN];
  return ::inet_ntop(AF_INET, &in, text, sizeof text);
}
/// What is known of the path to an address after an ICMP error came for it: its MTU.
Result<int> PathMtu(const NetNamespace& ns, unsigned mtu) {
  ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
  const std::uint32_t to = NextDestination();
  ASSIGN_OR_RETURN(std::vector<string> answers, wire.Answers(Frame(Ip(kPeer, kOwn, IPPROTO_ICMP, Icmp(ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, B32(mtu) + Ip(kOwn, to, IPPROTO_ICMP, Icmp(ICMP_ECHOREPLY, 0, B32(0))))))));
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
      {"ArpOfItsOwnAccord", "net/ipv4/conf/all/arp_accept", "1",
       [](auto& ns) -> Result<int> {
         ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
         auto rtnl = RtnlIn(ns);
         ASSIGN_OR_RETURN(std::vector<string> answers, wire.Answers(Arp(2, 0xC0000242, 0xC0000242)));
         ASSIGN_OR_RETURN(std::vector<Neighbour> all, rtnl.Neighbours(AF_INET));
         const bool learned = std::any_of(all.begin(), all.end(), [](const Neighbour& each) { return each.to == "192.0.2.66"; });
         if (learned) RETURN_IF_ERROR(rtnl.DeleteNeighbour({.to = "192.0.2.66", .dev = "one"}));
         return learned;
       }, 1, PrepareWire},
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
      {"SourceRoutes", "net/ipv4/conf/all/accept_source_route", "0", Delivered(Frame(Ip(kPeer, kOwn, IPPROTO_UDP, Udp(7001), string("\x01\x83\x07\x08", 4) + B32(kOwn)))), 0, PrepareWire},
      {"PacketsInBroadcastFrames", "net/ipv4/conf/all/drop_unicast_in_l2_multicast", "1", Delivered(Frame(Ip(kPeer, kOwn, IPPROTO_UDP, Udp(7001)), kAll)), 0, PrepareWire},
      {"SecondaryAddresses", "net/ipv4/conf/all/promote_secondaries", "1",
       [](auto& ns) -> Result<int> {
         auto rtnl = RtnlIn(ns);
         for (const char* address : {"203.0.113.1/24", "203.0.113.2/24"}) RETURN_IF_ERROR(rtnl.AddAddress(address, "one"));
         RETURN_IF_ERROR(rtnl.DeleteAddress("203.0.113.1/24", "one"));
         return rtnl.DeleteAddress("203.0.113.2/24", "one").ok();
       }, 1, PrepareWire},
      {"Redirects", "net/ipv4/conf/all/accept_redirects", "1",
       [](auto& ns) -> Result<int> {
         ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
         const std::uint32_t to = NextDestination();
         ASSIGN_OR_RETURN(std::vector<string> answers, wire.Answers(Frame(Ip(kPeer, kOwn, IPPROTO_ICMP, Icmp(ICMP_REDIRECT, ICMP_REDIR_HOST, B32(0xC0000203) + Ip(kOwn, to, IPPROTO_ICMP, Icmp(ICMP_ECHOREPLY, 0, B32(0))))))));
         ASSIGN_OR_RETURN(Route route, RtnlIn(ns).GetRoute(Text(to)));
         return route.via == "192.0.2.3";
       }, 1, PrepareWire},
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
