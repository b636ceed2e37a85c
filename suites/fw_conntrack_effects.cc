// SPDX-License-Identifier: GPL-2.0-or-later
// FW: settings of connection tracking act on the connections of their namespace. Packets are written by hand and dropped
// where they would be received, after they were tracked: so every state of every protocol can be had without peers.
#include "fixtures/nftables.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netfilter/nf_conntrack_common.h>

#include "fixtures/link_monitor.h"
#include "fixtures/net_namespace.h"
#include "fixtures/netfilter.h"
#include "suites/support/effect.h"
#include "suites/support/firewall.h"
#include "suites/support/in_namespace.h"
#include "suites/support/wire.h"

namespace netns {
namespace {

/// Tracks all.
void Track(const NetNamespace& ns) {
  auto nft = SETUP_OK(Nftables::In(ns));
  NeedsNftables(nft.Commit(NftBatch()
                               .AddTable(NFPROTO_INET, "track")
                               .AddChain({.table = "track", .name = "post", .hook = NF_INET_POST_ROUTING, .priority = 100, .type = "nat"})
                               .AddRule({.table = "track", .chain = "post", .oif = "none-such", .nat = NftNat{}})),
                "rules that have connections tracked");
}
/// Tracks all, and delivers nothing.
void TrackAndDrop(const NetNamespace& ns) {
  LoopbackUp(ns);
  Track(ns);
  auto nft = SETUP_OK(Nftables::In(ns));
  SETUP_OK(nft.Commit(NftBatch().AddChain({.table = "track", .name = "in", .hook = NF_INET_LOCAL_IN, .policy = NF_DROP})));
}

constexpr int kFin = 1, kSyn = 2, kRst = 4, kAck = 16;
struct Segment {
  bool reply;
  int flags;
  std::uint32_t seq, ack;
  int length = 0;
};
std::string Bytes16(unsigned value) { return {static_cast<char>(value >> 8), static_cast<char>(value)}; }
std::string Bytes32(std::uint32_t value) { return Bytes16(value >> 16) + Bytes16(value & 0xFFFF); }
std::string Tcp(const Segment& segment) {
  const unsigned from = segment.reply ? 7002 : 7001, to = segment.reply ? 7001 : 7002;
  return Bytes16(from) + Bytes16(to) + Bytes32(segment.seq) + Bytes32(segment.ack) + Bytes16(0x5000u | static_cast<unsigned>(segment.flags)) + Bytes16(1000) + Bytes32(0) +
         std::string(static_cast<std::size_t>(segment.length), 'x');
}

/// Sends one packet of IPv4 over the loopback device, from 127.0.0.2 to 127.0.0.1 or back.
Status SendIp(const NetNamespace& ns, int protocol, const std::string& payload, bool reply = false) {
  ASSIGN_OR_RETURN(Fd raw, ns.Socket(AF_INET, SOCK_RAW, IPPROTO_RAW));
  const std::uint32_t client = 0x7F000002, server = 0x7F000001;
  const std::string packet = Bytes16(0x4500) + Bytes16(static_cast<unsigned>(20 + payload.size())) + Bytes32(0) + Bytes16(0x4000u | static_cast<unsigned>(protocol)) + Bytes16(0) +
                             Bytes32(reply ? server : client) + Bytes32(reply ? client : server) + payload;
  return SendTo(raw, packet, Inet(reply ? "127.0.0.2" : "127.0.0.1", 0));
}

using Sender = std::function<Status(const NetNamespace&)>;
Sender Packet(int protocol, std::string payload) {
  return [=](const NetNamespace& ns) { return SendIp(ns, protocol, payload); };
}
Sender Segments(std::vector<Segment> segments) {
  return [segments = std::move(segments)](const NetNamespace& ns) -> Status {
    for (const Segment& segment : segments) RETURN_IF_ERROR(SendIp(ns, IPPROTO_TCP, Tcp(segment), segment.reply));
    return Ok();
  };
}
/// The opening of a connection and what comes then.
Sender Established(std::vector<Segment> more) {
  std::vector<Segment> all = {{false, kSyn, 1000, 0}, {true, kSyn | kAck, 5000, 1001}, {false, kAck, 1001, 5001}};
  all.insert(all.end(), more.begin(), more.end());
  return Segments(std::move(all));
}
/// A chunk of SCTP (RFC 4960), with the tag of the one to which it goes: the client's is 77, the server's 88.
struct Chunk {
  bool reply;
  unsigned type, tag;
};
constexpr unsigned kInit = 1, kInitAck = 2, kHeartbeat = 4, kShutdown = 7, kShutdownAck = 8, kCookieEcho = 10, kCookieAck = 11;
std::string Sctp(const Chunk& chunk) {
  const bool initial = chunk.type == kInit || chunk.type == kInitAck;
  const std::string body = initial ? Bytes32(chunk.reply ? 88 : 77) + Bytes32(65536) + Bytes32(0x00010001) + Bytes32(1) : chunk.type == kShutdown ? Bytes32(1) : "";
  return Bytes16(chunk.reply ? 7002 : 7001) + Bytes16(chunk.reply ? 7001 : 7002) + Bytes32(chunk.tag) + Bytes32(0) + Bytes16(chunk.type << 8) + Bytes16(static_cast<unsigned>(4 + body.size())) + body;
}
Sender Chunks(std::vector<Chunk> chunks) {
  return [chunks = std::move(chunks)](const NetNamespace& ns) -> Status {
    for (const Chunk& chunk : chunks) RETURN_IF_ERROR(SendIp(ns, IPPROTO_SCTP, Sctp(chunk), chunk.reply));
    return Ok();
  };
}
/// The opening of an association, as far as it is wanted, and what comes then.
Sender Association(std::size_t steps, std::vector<Chunk> more = {}) {
  std::vector<Chunk> all = {{false, kInit, 0}, {true, kInitAck, 77}, {false, kCookieEcho, 88}, {true, kCookieAck, 77}};
  all.resize(steps);
  all.insert(all.end(), more.begin(), more.end());
  return Chunks(std::move(all));
}
/// GRE both ways.
Status SendGreBack(const NetNamespace& ns) {
  for (const bool reply : {false, true, false}) RETURN_IF_ERROR(SendIp(ns, IPPROTO_GRE, std::string(4, '\0'), reply));
  return Ok();
}
/// A datagram whose checksum is wrong, from outside: there it is looked at.
Status SendDamaged(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(wire::Wire wire, wire::Wire::Of(ns));
  return wire.Answers(wire::Frame(wire::Ip(wire::kPeer, wire::kOwn, IPPROTO_UDP, Bytes16(7001) + Bytes16(7002) + Bytes16(8) + Bytes16(0x1234)))).ok() ? Ok() : Status(Error{ETIMEDOUT, "the echo reply behind"});
}
Status SendEcho6(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Fd raw, ns.Socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6));
  return SendTo(raw, std::string("\x80\0\0\0\0\x07\0\x01", 8), Inet("::1", 0));
}

// No default is near them. What has not been acknowledged waits for 300 seconds at most, a SYN and a FIN too.
constexpr const char *kSeconds = "33333", *kShort = "277";
/// Whether the entry that the packets leave has the time-out that was set.
std::function<Result<int>(const NetNamespace&)> HasTheTimeout(Sender send, std::uint32_t seconds = 33333) {
  return [=](const NetNamespace& ns) -> Result<int> {
    ASSIGN_OR_RETURN(Conntrack conntrack, Conntrack::In(ns));
    RETURN_IF_ERROR(conntrack.Flush());
    RETURN_IF_ERROR(send(ns));
    ASSIGN_OR_RETURN(std::vector<Flow> flows, conntrack.Flows());
    if (flows.size() != 1) return Error{ENOENT, std::to_string(flows.size()) + " entries instead of one"};
    return flows[0].timeout <= seconds && flows[0].timeout + 100 > seconds;
  };
}
Result<int> EntriesOf(const NetNamespace& ns, const Sender& send) {
  ASSIGN_OR_RETURN(Conntrack conntrack, Conntrack::In(ns));
  RETURN_IF_ERROR(conntrack.Flush());
  RETURN_IF_ERROR(send(ns));
  ASSIGN_OR_RETURN(std::vector<Flow> flows, conntrack.Flows());
  return static_cast<int>(flows.size());
}
/// How many of them go to a port.
Result<int> EntriesTo(const NetNamespace& ns, const Sender& send, int port) {
  ASSIGN_OR_RETURN(Conntrack conntrack, Conntrack::In(ns));
  RETURN_IF_ERROR(conntrack.Flush());
  RETURN_IF_ERROR(send(ns));
  ASSIGN_OR_RETURN(std::vector<Flow> flows, conntrack.Flows());
  return static_cast<int>(std::count_if(flows.begin(), flows.end(), [=](const Flow& each) { return each.dport == port; }));
}
/// How many of the entries have an attribute.
Result<int> EntriesWith(const NetNamespace& ns, int attribute) {
  ASSIGN_OR_RETURN(int all, EntriesOf(ns, Packet(IPPROTO_UDP, Bytes16(7001) + Bytes16(7002) + Bytes16(8) + Bytes16(0))));
  if (all != 1) return Error{ENOENT, "no entry"};
  ASSIGN_OR_RETURN(Fd fd, ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER));
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Adopt(std::move(fd)));
  ASSIGN_OR_RETURN(std::vector<Message> messages, socket.Dump(Request(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET).Header(nfgenmsg{})));
  int with = 0;
  for (const Message& message : messages) with += message.AttributesAfter<nfgenmsg>().Has(static_cast<std::uint16_t>(attribute));
  return with;
}

/// Whether a segment that no TCP sends is told of to who listens to what the namespace logs.
Result<int> InvalidIsLogged(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(RtnlMonitor log, ListenToNflog(ns, 0));
  RETURN_IF_ERROR(SendIp(ns, IPPROTO_TCP, Tcp({false, kSyn | kRst, 1000, 0})));
  ASSIGN_OR_RETURN(std::vector<Message> heard, log.DrainNow());  // its way out was gone before the call returned
  return std::any_of(heard.begin(), heard.end(), [](const Message& message) { return LoggedPacket(message).has_value(); });
}
void LogInvalidTo(const NetNamespace& ns, const char* logger) {
  auto listener = ListenToNflog(ns, 0);  // has the logger loaded where it is a module
  if (!listener.ok() && listener.code() == EINVAL) throw MissingNeed("needs-config:NETFILTER_NETLINK_LOG", "nfnetlink has no logger");
  SETUP_OK(std::move(listener));
  TrackAndDrop(ns);
  SETUP_OK(ns.SetSysctl("net/netfilter/nf_log/2", logger));
}

const std::vector<Effect>& Effects() {
  static const auto set = [](const char* name, const char* value) {
    return [=](const NetNamespace& ns) {
      TrackAndDrop(ns);
      SETUP_OK(ns.SetSysctl(name, value));
    };
  };
  static const Segment fin{false, kFin | kAck, 1001, 5001}, ack_of_fin{true, kAck, 5001, 1002}, fin_back{true, kFin | kAck, 5001, 1002}, last_ack{false, kAck, 1002, 5002},
      data{false, kAck, 1001, 5001, 100};
  static const std::vector<Effect> effects = {
      {"TimeoutOfEchoRequests", "net/netfilter/nf_conntrack_icmp_timeout", kSeconds, HasTheTimeout(Packet(IPPROTO_ICMP, std::string("\x08\0\xF7\xF7\0\x07\0\x01", 8))), 1, TrackAndDrop},
      {"TimeoutOfIpv6EchoRequests", "net/netfilter/nf_conntrack_icmpv6_timeout", kSeconds, HasTheTimeout(SendEcho6), 1, TrackAndDrop, {"IPV6"}},
      {"TimeoutOfUnknownProtocols", "net/netfilter/nf_conntrack_generic_timeout", kSeconds, HasTheTimeout(Packet(253, "x")), 1, TrackAndDrop},
      {"TimeoutOfGre", "net/netfilter/nf_conntrack_gre_timeout", kSeconds, HasTheTimeout(Packet(IPPROTO_GRE, std::string(4, '\0'))), 1, TrackAndDrop, {"NF_CT_PROTO_GRE"}},
      {"TimeoutOfSctpInit", "net/netfilter/nf_conntrack_sctp_timeout_closed", kSeconds,
       HasTheTimeout(Packet(IPPROTO_SCTP, Bytes16(7001) + Bytes16(7002) + Bytes32(0) + Bytes32(0) + Bytes16(0x0100) + Bytes16(20) + Bytes32(77) + Bytes32(65536) + Bytes32(0x00010001) + Bytes32(1))), 1, TrackAndDrop, {"NF_CT_PROTO_SCTP"}},
      {"TimeoutOfGreStreams", "net/netfilter/nf_conntrack_gre_timeout_stream", kSeconds, HasTheTimeout(SendGreBack), 1, TrackAndDrop, {"NF_CT_PROTO_GRE"}},
      {"TimeoutOfSctpCookieWait", "net/netfilter/nf_conntrack_sctp_timeout_cookie_wait", kSeconds, HasTheTimeout(Association(2)), 1, TrackAndDrop, {"NF_CT_PROTO_SCTP"}},
      {"TimeoutOfSctpCookieEchoed", "net/netfilter/nf_conntrack_sctp_timeout_cookie_echoed", kSeconds, HasTheTimeout(Association(3)), 1, TrackAndDrop, {"NF_CT_PROTO_SCTP"}},
      {"TimeoutOfSctpEstablished", "net/netfilter/nf_conntrack_sctp_timeout_established", kSeconds, HasTheTimeout(Association(4)), 1, TrackAndDrop, {"NF_CT_PROTO_SCTP"}},
      {"TimeoutOfSctpShutdownSent", "net/netfilter/nf_conntrack_sctp_timeout_shutdown_sent", kSeconds, HasTheTimeout(Association(4, {{false, kShutdown, 88}})), 1, TrackAndDrop, {"NF_CT_PROTO_SCTP"}},
      {"TimeoutOfSctpShutdownReceived", "net/netfilter/nf_conntrack_sctp_timeout_shutdown_recd", kSeconds, HasTheTimeout(Association(4, {{true, kShutdown, 77}})), 1, TrackAndDrop, {"NF_CT_PROTO_SCTP"}},
      {"TimeoutOfSctpShutdownAcknowledged", "net/netfilter/nf_conntrack_sctp_timeout_shutdown_ack_sent", kSeconds,
       HasTheTimeout(Association(4, {{false, kShutdown, 88}, {true, kShutdownAck, 77}})), 1, TrackAndDrop, {"NF_CT_PROTO_SCTP"}},
      {"TimeoutOfSctpHeartbeats", "net/netfilter/nf_conntrack_sctp_timeout_heartbeat_sent", kSeconds, HasTheTimeout(Chunks({{false, kHeartbeat, 88}})), 1, TrackAndDrop, {"NF_CT_PROTO_SCTP"}},
      {"ResetsOfThePast", "net/netfilter/nf_conntrack_tcp_ignore_invalid_rst", "1", HasTheTimeout(Segments({{false, kSyn, 1000, 0}, {true, kSyn | kAck, 5000, 1001}, {false, kRst, 900, 0}}), 277), 1,
       set("net/netfilter/nf_conntrack_tcp_timeout_close", kShort)},
      {"DamagedPackets", "net/netfilter/nf_conntrack_checksum", "0", [](auto& ns) { return EntriesTo(ns, SendDamaged, 7002); }, 1,
       [](auto& ns) {
         wire::PrepareWire(ns);
         Track(ns);
       }},
      {"TimeoutOfDatagrams", "net/netfilter/nf_conntrack_udp_timeout", kSeconds, HasTheTimeout(Packet(IPPROTO_UDP, Bytes16(7001) + Bytes16(7002) + Bytes16(8) + Bytes16(0))), 1, TrackAndDrop},
      {"TimeoutOfSynSent", "net/netfilter/nf_conntrack_tcp_timeout_syn_sent", kShort, HasTheTimeout(Segments({{false, kSyn, 1000, 0}}), 277), 1, TrackAndDrop},
      {"TimeoutOfSynReceived", "net/netfilter/nf_conntrack_tcp_timeout_syn_recv", kShort, HasTheTimeout(Segments({{false, kSyn, 1000, 0}, {true, kSyn | kAck, 5000, 1001}}), 277), 1, TrackAndDrop},
      {"TimeoutOfEstablished", "net/netfilter/nf_conntrack_tcp_timeout_established", kSeconds, HasTheTimeout(Established({})), 1, TrackAndDrop},
      {"TimeoutOfFinWait", "net/netfilter/nf_conntrack_tcp_timeout_fin_wait", kShort, HasTheTimeout(Established({fin}), 277), 1, TrackAndDrop},
      {"TimeoutOfCloseWait", "net/netfilter/nf_conntrack_tcp_timeout_close_wait", kShort, HasTheTimeout(Established({fin, ack_of_fin}), 277), 1, TrackAndDrop},
      {"TimeoutOfLastAck", "net/netfilter/nf_conntrack_tcp_timeout_last_ack", kShort, HasTheTimeout(Established({fin, ack_of_fin, fin_back}), 277), 1, TrackAndDrop},
      {"TimeoutOfTimeWait", "net/netfilter/nf_conntrack_tcp_timeout_time_wait", kShort, HasTheTimeout(Established({fin, ack_of_fin, fin_back, last_ack}), 277), 1, TrackAndDrop},
      {"TimeoutOfClosed", "net/netfilter/nf_conntrack_tcp_timeout_close", kShort, HasTheTimeout(Established({{false, kRst, 1001, 0}}), 277), 1, TrackAndDrop},
      {"TimeoutOfUnacknowledgedData", "net/netfilter/nf_conntrack_tcp_timeout_unacknowledged", kSeconds, HasTheTimeout(Established({data})), 1, TrackAndDrop},
      {"TimeoutOfRetransmissions", "net/netfilter/nf_conntrack_tcp_timeout_max_retrans", "222", HasTheTimeout(Established({data, data, data, data, data}), 222), 1,
       set("net/netfilter/nf_conntrack_tcp_timeout_max_retrans", "100")},
      {"NumberOfRetransmissions", "net/netfilter/nf_conntrack_tcp_max_retrans", "1", HasTheTimeout(Established({data, data}), 111), 1,
       set("net/netfilter/nf_conntrack_tcp_timeout_max_retrans", "111")},
      {"ConnectionsPickedUp", "net/netfilter/nf_conntrack_tcp_loose", "0", [](auto& ns) { return EntriesOf(ns, Segments({{false, kAck, 1001, 5001}})); }, 0, TrackAndDrop},
      {"SegmentsOutsideOfTheWindow", "net/netfilter/nf_conntrack_tcp_be_liberal", "1", HasTheTimeout(Established({{false, kFin | kAck, 100'001'001, 5001}}), 277), 1,
       set("net/netfilter/nf_conntrack_tcp_timeout_fin_wait", kShort)},
      {"CountersOfConnections", "net/netfilter/nf_conntrack_acct", "1", [](auto& ns) { return EntriesWith(ns, CTA_COUNTERS_ORIG); }, 1, set("net/netfilter/nf_conntrack_acct", "0")},
      {"TimesOfConnections", "net/netfilter/nf_conntrack_timestamp", "1", [](auto& ns) { return EntriesWith(ns, CTA_TIMESTAMP); }, 1,
       set("net/netfilter/nf_conntrack_timestamp", "0"), {"NF_CONNTRACK_TIMESTAMP"}},
      {"LogOfInvalidPackets", "net/netfilter/nf_conntrack_log_invalid", "6", InvalidIsLogged, 1, [](auto& ns) { LogInvalidTo(ns, "nfnetlink_log"); }, {"NETFILTER_NETLINK_LOG"}},
      // netfilter-sysctl.rst: the logger of a family.
      {"LoggerOfIpv4", "net/netfilter/nf_log/2", "nfnetlink_log", InvalidIsLogged, 1,
       [](auto& ns) {
         LogInvalidTo(ns, "NONE");
         SETUP_OK(ns.SetSysctl("net/netfilter/nf_conntrack_log_invalid", "6"));
       },
       {"NETFILTER_NETLINK_LOG"}, {"FW-14"}},
      {"EventsOfConnections", "net/netfilter/nf_conntrack_events", "0",
       [](auto& ns) -> Result<int> {
         ASSIGN_OR_RETURN(RtnlMonitor events, MonitorConntrack(ns));
         ASSIGN_OR_RETURN(int all, EntriesOf(ns, Packet(IPPROTO_UDP, Bytes16(7001) + Bytes16(7002) + Bytes16(8) + Bytes16(0))));
         ASSIGN_OR_RETURN(std::vector<Message> heard, events.ThroughFence());
         if (all != 1) return Error{ENOENT, "no entry"};
         return static_cast<int>(std::count_if(heard.begin(), heard.end(), [](const Message& m) { return m.type() == (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW); }));
       }, 0, TrackAndDrop, {"NF_CONNTRACK_EVENTS"}},
  };
  return effects;
}

// Documents: nf_conntrack-sysctl.rst.
const bool effects = [] {
  for (const Effect& effect : Effects())
    RegisterEffect("Fw", effect, Covers("FW-08"), Needs(Config("SYSCTL"), Config("NF_TABLES"), Config("NF_TABLES_INET"), Config("NFT_NAT"), Config("NFT_MASQ"), Config("NF_CT_NETLINK")), __FILE__, __LINE__);
  return true;
}();

}  // namespace
}  // namespace netns
