// SPDX-License-Identifier: GPL-2.0-or-later
// Frames that are written by hand, sent at one end of a veth pair: "one", the other end, has the addresses. What comes back,
// or is delivered, shows by which settings the namespace goes.
#pragma once

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "fixtures/sockets.h"
#include "fixtures/topology.h"
#include "suites/support/in_namespace.h"

namespace netns::wire {

using std::string;
using Look = std::function<Result<int>(const NetNamespace&)>;

/// Hardware addresses of "one" and of the end from which frames are sent.
inline const string kOne("\x02\0\0\0\0\x01", 6), kFar("\x02\0\0\0\0\x02", 6), kAll(6, '\xFF');
/// 192.0.2.1 is the namespace's own, 192.0.2.2 and 192.0.2.3 are neighbours on the wire, 203.0.113.5 is nowhere.
inline constexpr std::uint32_t kOwn = 0xC0000201, kPeer = 0xC0000202, kOther = 0xC0000203, kStranger = 0xCB007105;

inline string B16(unsigned value) { return {static_cast<char>(value >> 8), static_cast<char>(value)}; }
inline string B32(std::uint32_t value) { return B16(value >> 16) + B16(value & 0xFFFF); }
inline unsigned At(const string& bytes, std::size_t at) { return at < bytes.size() ? static_cast<unsigned char>(bytes[at]) : 0; }
inline unsigned Sum(const string& bytes) {
  unsigned sum = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) sum += At(bytes, i) << (i % 2 == 0 ? 8 : 0);
  while (sum > 0xFFFF) sum = (sum & 0xFFFF) + (sum >> 16);
  return ~sum & 0xFFFF;
}

/// What is seldom asked of an IPv4 packet.
struct IpFields {
  string options = {};      ///< In whole words.
  unsigned ttl = 64, tos = 0, id = 0;
  unsigned fragment = 0;    ///< Flags and offset: 0x4000 is "do not fragment".
};
inline string Ip(std::uint32_t from, std::uint32_t to, int protocol, const string& payload, const IpFields& fields = {}) {
  const std::size_t head = 20 + fields.options.size();
  string packet = B16(static_cast<unsigned>((0x40 | head / 4) << 8) | fields.tos) + B16(static_cast<unsigned>(head + payload.size())) + B16(fields.id) + B16(fields.fragment) +
                  B16(fields.ttl << 8 | static_cast<unsigned>(protocol)) + B16(0) + B32(from) + B32(to) + fields.options;
  packet.replace(10, 2, B16(Sum(packet)));
  return packet + payload;
}
inline string Icmp(int type, int code, const string& rest) {
  string message = B16(static_cast<unsigned>(type << 8 | code)) + B16(0) + rest;
  message.replace(2, 2, B16(Sum(message)));
  return message;
}
inline string Udp(unsigned port) { return B16(7000) + B16(port) + B16(9) + B16(0) + "x"; }

constexpr unsigned kFin = 1, kSyn = 2, kRst = 4, kAck = 16, kEce = 64, kCwr = 128;
/// A segment of TCP, with the pseudo header (without lengths and protocol) of its network.
struct Segment {
  unsigned from = 7000, to = 7001, flags = kSyn;
  std::uint32_t seq = 1000, ack = 0;
  string options = {}, data = {};
};
inline string Tcp(const string& addresses, const Segment& segment) {
  const std::size_t head = 20 + segment.options.size();
  string bytes = B16(segment.from) + B16(segment.to) + B32(segment.seq) + B32(segment.ack) + B16(static_cast<unsigned>(head / 4 << 12) | segment.flags) + B16(5000) + B32(0) + segment.options + segment.data;
  bytes.replace(16, 2, B16(Sum(addresses + B16(0) + B16(IPPROTO_TCP) + B32(static_cast<std::uint32_t>(bytes.size())) + bytes)));
  return bytes;
}
inline string Frame(const string& packet, const string& to = kOne, unsigned protocol = ETH_P_IP) { return to + kFar + B16(protocol) + packet; }
inline string Arp(unsigned operation, std::uint32_t from, std::uint32_t to) {
  return Frame(B16(1) + B16(ETH_P_IP) + string("\x06\x04", 2) + B16(operation) + kFar + B32(from) + string(6, '\0') + B32(to), kAll, ETH_P_ARP);
}
inline string TcpFrame(const Segment& segment, std::uint32_t from = kPeer, const IpFields& fields = {}) {
  return Frame(Ip(from, kOwn, IPPROTO_TCP, Tcp(B32(from) + B32(kOwn), segment), fields));
}

inline bool IsArp(const string& frame, unsigned operation) { return frame.substr(12, 2) == B16(ETH_P_ARP) && At(frame, 21) == operation; }
/// An IPv4 packet of a protocol; and what is behind its header.
inline bool IsIp(const string& frame, int protocol) { return frame.substr(12, 2) == B16(ETH_P_IP) && At(frame, 23) == static_cast<unsigned>(protocol); }
inline string IpPayload(const string& frame) { return frame.size() < 34 ? "" : frame.substr(std::min(frame.size(), 14 + 4 * std::size_t{At(frame, 14) & 15})); }
inline bool IsIcmp(const string& frame, unsigned type) { return IsIp(frame, IPPROTO_ICMP) && At(IpPayload(frame), 0) == type; }

/// Brings both ends up, with 192.0.2.1 at "one", and nothing of IPv6.
inline void PrepareWire(const NetNamespace& ns) {
  LoopbackUp(ns);
  auto rtnl = RtnlIn(ns);
  if (ns.HasSysctl("net/ipv6/conf/default/disable_ipv6")) SETUP_OK(ns.SetSysctl("net/ipv6/conf/default/disable_ipv6", "1"));
  // What is inherited is not what is looked at.
  for (const char* entry : {"all", "default"})
    for (const char* name : {"rp_filter", "arp_ignore", "arp_announce", "arp_filter", "arp_accept", "arp_notify", "drop_gratuitous_arp", "accept_local", "route_localnet", "promote_secondaries", "accept_redirects", "log_martians"})
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
/// A second wire, from "other" to "end", with 203.0.113.1, to which packets are forwarded.
inline void PrepareForwarding(const NetNamespace& ns) {
  PrepareWire(ns);
  auto rtnl = RtnlIn(ns);
  SETUP_OK(rtnl.AddVeth("other", PeerSpec{.name = "end"}));
  SETUP_OK(rtnl.Up("other"));
  SETUP_OK(rtnl.Up("end"));
  SETUP_OK(rtnl.AddAddress("203.0.113.1/24", "other"));
  SETUP_OK(rtnl.AddNeighbour({.to = "203.0.113.5", .address = "02:00:00:00:00:05", .dev = "other"}));
  SETUP_OK(WaitUntilUp(ns, "other"));
  SETUP_OK(WaitUntilUp(ns, "end"));
  SETUP_OK(ns.SetSysctl("net/ipv4/ip_forward", "1"));
}

/// Sets what all devices of the namespace have, and those that it has or gets.
inline void SetOfAll(const NetNamespace& ns, const string& family, const string& name, const string& value) {
  for (const char* entry : {"all", "default", "one"})
    if (const string file = "net/" + family + "/conf/" + entry + "/" + name; ns.HasSysctl(file)) SETUP_OK(ns.SetSysctl(file, value));
}
using Prepare = std::function<void(const NetNamespace&)>;
/// Something, and settings after it.
inline Prepare With(Prepare prepare, std::vector<std::pair<const char*, const char*>> values) {
  return [=](const NetNamespace& ns) {
    prepare(ns);
    for (const auto& [name, value] : values)
      if (ns.HasSysctl(name)) SETUP_OK(ns.SetSysctl(name, value));
  };
}

/// The far end of the wire, or the end of another.
class Wire {
 public:
  static Result<Wire> Of(const NetNamespace& ns, const string& device = "far") {
    // One processor: what is sent later comes later.
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<std::size_t>(::sched_getcpu()), &set);
    ::sched_setaffinity(0, sizeof set, &set);
    ASSIGN_OR_RETURN(Link link, RtnlIn(ns).LinkByName(device));
    ASSIGN_OR_RETURN(Fd socket, PacketSocket(ns, link.index, ETH_P_ALL));
    return Wire(std::move(socket));
  }
  /// SO_MARK, which a packet keeps that stays in its namespace.
  Status Mark(int mark) { return SetSockOpt(socket_, SOL_SOCKET, SO_MARK, mark); }
  Status Put(const string& frame) {
    if (::send(socket_.get(), frame.data(), frame.size(), 0) < 0) return ErrnoError("send(AF_PACKET)");
    return Ok();
  }
  /// The next frame that comes.
  Result<string> Next(std::string_view what) {
    for (char buffer[3000];;) {
      RETURN_IF_ERROR(WaitFor(socket_.get(), POLLIN, Deadline::OfTest(), what));
      sockaddr_ll from{};
      socklen_t size = sizeof from;
      const ssize_t length = ::recvfrom(socket_.get(), buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (length < 14) return ErrnoError("recvfrom(AF_PACKET)");
      if (from.sll_pkttype != PACKET_OUTGOING) return string(buffer, static_cast<std::size_t>(length));
    }
  }
  /// The next frame that is such.
  Result<string> NextThat(std::string_view what, const std::function<bool(const string&)>& is) {
    for (;;) {
      ASSIGN_OR_RETURN(string frame, Next(what));
      if (is(frame)) return frame;
    }
  }
  /// What has come until now.
  Result<std::vector<string>> Drain() {
    std::vector<string> frames;
    while (Readable(socket_)) {
      char buffer[3000];
      sockaddr_ll from{};
      socklen_t size = sizeof from;
      const ssize_t length = ::recvfrom(socket_.get(), buffer, sizeof buffer, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&from), &size);
      if (length < 0) return ErrnoError("recvfrom(AF_PACKET)");
      if (from.sll_pkttype != PACKET_OUTGOING) frames.emplace_back(buffer, static_cast<std::size_t>(length));
    }
    return frames;
  }
  /// Sends frames, and gives what has come back when an echo request behind them is answered.
  Result<std::vector<string>> Answers(const std::vector<string>& frames) {
    static unsigned sequence = 0;
    const string rest = B16(0xFACE) + B16(++sequence);
    for (const string& frame : frames) RETURN_IF_ERROR(Put(frame));
    RETURN_IF_ERROR(Put(Frame(Ip(kPeer, kOwn, IPPROTO_ICMP, Icmp(ICMP_ECHO, 0, rest)))));
    std::vector<string> answers;
    for (;;) {
      ASSIGN_OR_RETURN(string answer, Next("the echo reply behind"));
      if (IsIcmp(answer, ICMP_ECHOREPLY) && answer.substr(38, 4) == rest) return answers;
      answers.push_back(std::move(answer));
    }
  }
  Result<std::vector<string>> Answers(const string& frame) { return frame.empty() ? Answers(std::vector<string>{}) : Answers(std::vector{frame}); }

 private:
  explicit Wire(Fd socket) : socket_(std::move(socket)) {}
  Fd socket_;
};

/// How many answers there are of a kind.
inline Look CountAnswers(std::vector<string> frames, std::function<bool(const string&)> is) {
  return [=](const NetNamespace& ns) -> Result<int> {
    ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
    ASSIGN_OR_RETURN(std::vector<string> answers, wire.Answers(frames));
    return static_cast<int>(std::count_if(answers.begin(), answers.end(), is));
  };
}
/// Whether what answers to a packet with mark 7 has that mark, and is lost by a rule for such packets.
inline Look AnswersToMarked(string frame, std::function<bool(const string&)> is) {
  return [=](const NetNamespace& ns) -> Result<int> {
    ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
    RETURN_IF_ERROR(wire.Mark(7));
    RETURN_IF_ERROR(wire.Put(frame));
    RETURN_IF_ERROR(wire.Mark(0));
    ASSIGN_OR_RETURN(std::vector<string> answers, wire.Answers(""));
    return static_cast<int>(std::count_if(answers.begin(), answers.end(), is));
  };
}
inline Look ArpReplies(string frame) {
  return CountAnswers({std::move(frame)}, [](const string& each) { return IsArp(each, 2); });
}
/// Whether a datagram to port 7001 is delivered.
inline Look Delivered(std::vector<string> frames, const char* any = "0.0.0.0") {
  return [=](const NetNamespace& ns) -> Result<int> {
    ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
    ASSIGN_OR_RETURN(Fd receiver, UdpBind(ns, Inet(any, 7001)));
    ASSIGN_OR_RETURN(std::vector<string> answers, wire.Answers(frames));
    return Readable(receiver);
  };
}
inline Look Delivered(string frame) { return Delivered(std::vector{std::move(frame)}); }
/// Whether a neighbour is learned from ARP that nobody asked for.
inline Result<int> LearnsOfItsOwnAccord(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
  auto rtnl = RtnlIn(ns);
  ASSIGN_OR_RETURN(std::vector<string> answers, wire.Answers(Arp(2, 0xC0000242, 0xC0000242)));
  ASSIGN_OR_RETURN(std::vector<Neighbour> all, rtnl.Neighbours(AF_INET));
  const bool learned = std::any_of(all.begin(), all.end(), [](const Neighbour& each) { return each.to == "192.0.2.66"; });
  if (learned) RETURN_IF_ERROR(rtnl.DeleteNeighbour({.to = "192.0.2.66", .dev = "one"}));
  return learned;
}
/// Cuts the wire.
inline Status LoseCarrier(const NetNamespace& ns) {
  auto rtnl = RtnlIn(ns);
  RETURN_IF_ERROR(rtnl.Down("far"));
  return Eventually("the device to have no carrier", [&] {
    const auto link = rtnl.LinkByName("one");
    return link.ok() && link->operstate != kOperUp;
  });
}
/// Whether a neighbour that was learned is known after the wire was cut.
inline Look OutlivesCarrier(int family, string to) {
  return [=](const NetNamespace& ns) -> Result<int> {
    auto rtnl = RtnlIn(ns);
    RETURN_IF_ERROR(rtnl.AddNeighbour({.to = to, .address = "02:00:00:00:00:02", .dev = "one", .state = NUD_REACHABLE}));
    RETURN_IF_ERROR(LoseCarrier(ns));
    ASSIGN_OR_RETURN(std::vector<Neighbour> all, rtnl.Neighbours(family));
    RETURN_IF_ERROR(rtnl.Up("far"));
    ASSIGN_OR_RETURN(Link again, WaitUntilUp(ns, "one"));
    const bool known = std::any_of(all.begin(), all.end(), [&](const Neighbour& each) { return each.to == to; });
    if (known) RETURN_IF_ERROR(rtnl.DeleteNeighbour({.to = to, .dev = "one"}));
    return known;
  };
}
/// Gives the device a hardware address, the one that it has, whereupon all that was known of neighbours is forgotten; and what
/// the device tells of itself then.
inline Result<std::vector<string>> NewsOfHardwareAddress(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
  auto rtnl = RtnlIn(ns);
  RETURN_IF_ERROR(rtnl.SetLink("one", {.address = "02:00:00:00:00:01"}));
  RETURN_IF_ERROR(rtnl.AddNeighbour({.to = "192.0.2.2", .address = "02:00:00:00:00:02", .dev = "one"}));
  return wire.Answers("");
}
/// An address of 198.51.100.0/24 that no other look has used, since what was learned of it stays.
inline std::uint32_t NextDestination() {
  static std::uint32_t last = 0xC6336401;
  return ++last;
}
inline string Text(std::uint32_t address) {
  const in_addr in{htonl(address)};
  char text[INET_ADDRSTRLEN];
  return ::inet_ntop(AF_INET, &in, text, sizeof text);
}
/// An ICMP error of the peer: the path of what was sent to an address is narrower.
inline string TooBig(std::uint32_t to, unsigned mtu) {
  return Frame(Ip(kPeer, kOwn, IPPROTO_ICMP, Icmp(ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, B32(mtu) + Ip(kOwn, to, IPPROTO_ICMP, Icmp(ICMP_ECHOREPLY, 0, B32(0))))));
}
/// Whether the peer is believed who says that 192.0.2.3 is nearer.
inline Result<int> FollowsRedirect(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
  const std::uint32_t to = NextDestination();
  ASSIGN_OR_RETURN(std::vector<string> answers, wire.Answers(Frame(Ip(kPeer, kOwn, IPPROTO_ICMP, Icmp(ICMP_REDIRECT, ICMP_REDIR_HOST, B32(kOther) + Ip(kOwn, to, IPPROTO_ICMP, Icmp(ICMP_ECHOREPLY, 0, B32(0))))))));
  ASSIGN_OR_RETURN(Route route, RtnlIn(ns).GetRoute(Text(to)));
  return route.via == "192.0.2.3";
}

}  // namespace netns::wire
