// SPDX-License-Identifier: GPL-2.0-or-later
// SYSCTL: settings of TCP, MPTCP and SCTP: those that show in what the kernel answers to segments that are written by hand,
// in connections over the loopback device, and in what new sockets start with.
#include "suites/support/effect.h"
#include "suites/support/wire.h"

#include <arpa/inet.h>
#include <linux/genetlink.h>
#include <linux/tcp.h>
#include <linux/tcp_metrics.h>
#include <sys/un.h>

#include <sstream>

namespace netns {
namespace {

using namespace wire;

constexpr int kMptcp = 262, kSctp = 132, kRtoMax = 44 /* TCP_RTO_MAX_MS */;

// --- Segments ---------------------------------------------------------------------------------------------------------

struct Answer {
  unsigned to, flags;
  std::uint32_t seq;
  bool selective;  ///< With blocks of SACK.
};
std::vector<Answer> SegmentsOf(const std::vector<string>& frames) {
  std::vector<Answer> all;
  for (const string& frame : frames) {
    if (!IsIp(frame, IPPROTO_TCP)) continue;
    const string tcp = IpPayload(frame);
    bool selective = false;
    for (std::size_t at = 20, end = At(tcp, 12) / 16 * 4; at + 1 < end && At(tcp, at) != 0; at += At(tcp, at) == 1 ? 1 : std::max(2U, At(tcp, at + 1))) selective |= At(tcp, at) == 5;
    all.push_back({At(tcp, 2) << 8 | At(tcp, 3), At(tcp, 13), At(tcp, 4) << 24 | At(tcp, 5) << 16 | At(tcp, 6) << 8 | At(tcp, 7), selective});
  }
  return all;
}
unsigned NextPort() {
  static unsigned last = 20000;
  return ++last;
}
/// The peer's end of a connection to port 7001.
class Peer {
 public:
  explicit Peer(Wire& wire) : wire_(wire) {}
  /// Asks for a connection, and tells whether that was granted.
  Result<bool> Ask(const string& options = {}, unsigned flags = kSyn) {
    ASSIGN_OR_RETURN(std::vector<Answer> answers, Send({.from = port_, .flags = flags, .seq = seq_, .options = options}));
    for (const Answer& each : answers)
      if ((each.flags & (kSyn | kAck)) == (kSyn | kAck)) {
        theirs_ = each.seq + 1, flags_ = each.flags, ++seq_;
        return true;
      }
    return false;
  }
  /// Tells that the answer came.
  Result<std::vector<Answer>> Complete() { return Send({.from = port_, .flags = kAck, .seq = seq_, .ack = theirs_}); }
  Status Open(const string& options = {}) {
    ASSIGN_OR_RETURN(bool granted, Ask(options));
    if (!granted) return Error{ECONNREFUSED, "no answer to a SYN"};
    ASSIGN_OR_RETURN(std::vector<Answer> answers, Complete());
    return Ok();
  }
  Result<std::vector<Answer>> Send(const Segment& segment, int times = 1) {
    ASSIGN_OR_RETURN(std::vector<string> frames, wire_.Answers(std::vector<string>(static_cast<std::size_t>(times), TcpFrame(segment))));
    std::vector<Answer> all = SegmentsOf(frames);
    std::erase_if(all, [&](const Answer& each) { return each.to != port_; });
    return all;
  }
  unsigned port() const { return port_; }
  std::uint32_t seq() const { return seq_; }
  std::uint32_t theirs() const { return theirs_; }
  unsigned flags() const { return flags_; }

 private:
  Wire& wire_;
  unsigned port_ = NextPort(), flags_ = 0;
  std::uint32_t seq_ = 1000, theirs_ = 0;
};
Result<Fd> ListenerOf(const NetNamespace& ns, int backlog) {
  ASSIGN_OR_RETURN(Fd listener, ns.Socket(AF_INET, SOCK_STREAM));
  RETURN_IF_ERROR(SetSockOpt(listener, SOL_SOCKET, SO_REUSEADDR, 1));
  RETURN_IF_ERROR(Bind(listener, Inet("0.0.0.0", 7001)));
  RETURN_IF_ERROR(Listen(listener, backlog));
  return listener;
}

/// Whether who comes when the queue of connections is full is reset.
Result<int> ResetsWhenFull(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
  ASSIGN_OR_RETURN(Fd listener, ListenerOf(ns, 3));  // has room for four, and for three that have not come yet
  std::vector<Peer> peers;
  for (int i = 0; i < 5; ++i) peers.emplace_back(wire);
  std::size_t done = 0;
  for (std::size_t i = 0; i < peers.size(); ++i) {
    ASSIGN_OR_RETURN(bool granted, peers[i].Ask());
    if (!granted) return Error{ECONNREFUSED, "no answer to SYN " + std::to_string(i)};
    if (i < 2) {
      ASSIGN_OR_RETURN(std::vector<Answer> answers, peers[done++].Complete());
    }
  }
  bool reset = false;
  for (; done < peers.size(); ++done) {
    ASSIGN_OR_RETURN(std::vector<Answer> answers, peers[done].Complete());
    reset |= done == 4 && std::any_of(answers.begin(), answers.end(), [](const Answer& each) { return (each.flags & kRst) != 0; });
  }
  return reset;
}
/// Whether ten may ask for a connection before one is made.
Result<int> TenMayAsk(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
  ASSIGN_OR_RETURN(Fd listener, ListenerOf(ns, 100));
  int granted = 0;
  for (int i = 0; i < 10; ++i) {
    ASSIGN_OR_RETURN(bool one, Peer(wire).Ask());
    granted += one;
  }
  return granted == 10;
}
Result<int> GrantsCongestionNotification(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
  ASSIGN_OR_RETURN(Fd listener, ListenerOf(ns, 10));
  Peer peer(wire);
  ASSIGN_OR_RETURN(bool granted, peer.Ask("", kSyn | kEce | kCwr));
  if (!granted) return Error{ECONNREFUSED, "no answer to a SYN"};
  return (peer.flags() & kEce) != 0;
}
/// Whether each of five segments that should not be is answered.
Result<int> AnswersEach(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
  ASSIGN_OR_RETURN(Fd listener, ListenerOf(ns, 10));
  Peer peer(wire);
  RETURN_IF_ERROR(peer.Open());
  ASSIGN_OR_RETURN(std::vector<Answer> answers, peer.Send({.from = peer.port(), .flags = kSyn, .seq = peer.seq()}, 5));
  return answers.size() == 5;
}
/// Whether what came twice is told of.
Result<int> TellsOfDuplicates(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
  ASSIGN_OR_RETURN(Fd listener, ListenerOf(ns, 10));
  Peer peer(wire);
  RETURN_IF_ERROR(peer.Open(string("\x04\x02\x01\x01", 4)));
  const Segment data{.from = peer.port(), .flags = kAck, .seq = peer.seq(), .ack = peer.theirs(), .data = "data"};
  ASSIGN_OR_RETURN(std::vector<Answer> first, peer.Send(data));
  ASSIGN_OR_RETURN(std::vector<Answer> second, peer.Send(data));
  return std::any_of(second.begin(), second.end(), [](const Answer& each) { return each.selective; });
}
/// How many entries of /proc/net/tcp have these two ports, and a state.
Result<int> Entries(const NetNamespace& ns, unsigned local, unsigned remote, int state) {
  ASSIGN_OR_RETURN(string text, ns.ReadProcNet("tcp"));
  std::istringstream lines(text);
  char from[8], to[8];
  std::snprintf(from, sizeof from, ":%04X", local);
  std::snprintf(to, sizeof to, ":%04X", remote);
  int count = 0;
  for (string line; std::getline(lines, line);) {
    std::istringstream words(line);
    string slot, near, far, hex;
    words >> slot >> near >> far >> hex;
    if (near.ends_with(from) && far.ends_with(to)) count += state < 0 || std::stoi(hex, nullptr, 16) == state;
  }
  return count;
}
/// Whether a connection that waits for late segments goes on waiting when one comes that resets it.
Result<int> WaitsOn(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
  ASSIGN_OR_RETURN(Fd listener, ListenerOf(ns, 10));
  Peer peer(wire);
  RETURN_IF_ERROR(peer.Open());
  ASSIGN_OR_RETURN(Fd server, Accept(listener));
  server.Reset();
  const std::uint32_t after = peer.theirs() + 1;
  ASSIGN_OR_RETURN(std::vector<Answer> closing, peer.Send({.from = peer.port(), .flags = kFin | kAck, .seq = peer.seq(), .ack = after}));
  ASSIGN_OR_RETURN(int waiting, Entries(ns, 7001, peer.port(), 6));
  if (waiting != 1) return Error{ENOENT, "a connection in TIME_WAIT"};
  ASSIGN_OR_RETURN(std::vector<Answer> reset, peer.Send({.from = peer.port(), .flags = kRst, .seq = peer.seq() + 1}));
  return Entries(ns, 7001, peer.port(), 6);
}

// --- Connections over the loopback device -----------------------------------------------------------------------------

struct Connection {
  Fd listener, client, server;
};
Result<Connection> ConnectionTo(const NetNamespace& ns, const string& address, int segment_size = 0) {
  ASSIGN_OR_RETURN(Fd listener, TcpListen(ns, Inet(address, 0)));
  ASSIGN_OR_RETURN(SockAddr to, GetSockName(listener));
  ASSIGN_OR_RETURN(Fd client, ns.Socket(to.family(), SOCK_STREAM));
  if (segment_size != 0) RETURN_IF_ERROR(SetSockOpt(client, IPPROTO_TCP, TCP_MAXSEG, segment_size));
  RETURN_IF_ERROR(Connect(client, to));
  ASSIGN_OR_RETURN(Fd server, Accept(listener));
  return Connection{std::move(listener), std::move(client), std::move(server)};
}
/// Whether segments are larger than the peer asked for.
Look SendsLargeSegments(const char* loopback) {
  return [=](const NetNamespace& ns) -> Result<int> {
    ASSIGN_OR_RETURN(Connection connection, ConnectionTo(ns, loopback, 100));
    ASSIGN_OR_RETURN(tcp_info info, GetSockOpt<tcp_info>(connection.server, IPPROTO_TCP, TCP_INFO));
    return info.tcpi_snd_mss > 300;
  };
}
/// The errno of reading a byte out of band.
Result<int> OutOfBand(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Connection connection, ConnectionTo(ns, kLoopback4));
  if (::send(connection.client.get(), "ab", 2, MSG_OOB) != 2) return ErrnoError("send(MSG_OOB)");
  RETURN_IF_ERROR(WaitFor(connection.server.get(), POLLIN, Deadline::OfTest(), "data"));
  char byte = 0;
  return ::recv(connection.server.get(), &byte, 1, MSG_OOB | MSG_DONTWAIT) < 0 ? errno : 0;
}
/// Whether a connection that nobody has accepted goes to another listener of the port when the one that had it closes.
Result<int> Migrates(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Fd one, ns.Socket(AF_INET, SOCK_STREAM));
  RETURN_IF_ERROR(SetSockOpt(one, SOL_SOCKET, SO_REUSEPORT, 1));
  RETURN_IF_ERROR(Bind(one, Inet(kLoopback4, 0)));
  ASSIGN_OR_RETURN(SockAddr to, GetSockName(one));
  ASSIGN_OR_RETURN(Fd two, ns.Socket(AF_INET, SOCK_STREAM));
  RETURN_IF_ERROR(SetSockOpt(two, SOL_SOCKET, SO_REUSEPORT, 1));
  RETURN_IF_ERROR(Bind(two, to));
  for (const Fd* each : {&one, &two}) RETURN_IF_ERROR(Listen(*each));
  ASSIGN_OR_RETURN(Fd client, ns.Socket(AF_INET, SOCK_STREAM));
  RETURN_IF_ERROR(Connect(client, to));
  RETURN_IF_ERROR(Eventually("one of the listeners to have the connection", [&] { return Readable(one) || Readable(two); }));
  Fd& has = Readable(one) ? one : two;
  Fd& other = &has == &one ? two : one;
  has.Reset();
  return Readable(other);
}
void PrepareMigration(const NetNamespace& ns) {
  LoopbackUp(ns);
  // Some kernels got the setting from a later one, and nothing that heeds it.
  if (SETUP_OK(ns.ReadProcNet("netstat")).find("TCPMigrateReqSuccess") == string::npos)
    throw MissingNeed("needs-feature:tcp-migration", "this kernel moves no connections between listeners", "", LinuxVersion{5, 14});
}
/// Whether something is kept of a connection that is over.
Result<int> KeepsMetrics(const NetNamespace& ns) {
  static int host = 1;
  const string address = "127.0.0." + std::to_string(++host);  // another each time: what was kept stays
  ASSIGN_OR_RETURN(Connection connection, ConnectionTo(ns, address));
  ASSIGN_OR_RETURN(SockAddr near, GetSockName(connection.client));
  ASSIGN_OR_RETURN(SockAddr far, GetPeerName(connection.client));
  connection.client.Reset();
  RETURN_IF_ERROR(WaitFor(connection.server.get(), POLLIN, Deadline::OfTest(), "the end of the connection"));
  connection.server.Reset();
  RETURN_IF_ERROR(Eventually("the end that was closed last to be gone", [&] {
    const auto entries = Entries(ns, far.port(), near.port(), -1);
    return entries.ok() && *entries == 0;
  }));
  ASSIGN_OR_RETURN(Fd fd, ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC));
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Adopt(std::move(fd)));
  ASSIGN_OR_RETURN(GenericFamily family, socket.ResolveFamily(TCP_METRICS_GENL_NAME));
  ASSIGN_OR_RETURN(std::vector<Message> all, socket.Dump(Request(family.id).Header(genlmsghdr{.cmd = TCP_METRICS_CMD_GET, .version = TCP_METRICS_GENL_VERSION}).Named("dump TCP metrics")));
  in_addr wanted{};
  ::inet_pton(AF_INET, address.c_str(), &wanted);
  return std::any_of(all.begin(), all.end(), [&](const Message& each) {
    const auto v4 = each.AttributesAfter<genlmsghdr>().Structure<in_addr>(TCP_METRICS_ATTR_ADDR_IPV4);
    return v4 && v4->s_addr == wanted.s_addr;
  });
}
/// The errno of having a second socket bound to any free port, of one.
Result<int> BindsAgain(const NetNamespace& ns) {
  int code = 0;
  std::vector<Fd> sockets;
  for (int i = 0; i < 2; ++i) {
    ASSIGN_OR_RETURN(Fd socket, ns.Socket(AF_INET, SOCK_STREAM));
    RETURN_IF_ERROR(SetSockOpt(socket, SOL_SOCKET, SO_REUSEADDR, 1));
    code = Bind(socket, Inet(kLoopback4, 0)).code();
    sockets.push_back(std::move(socket));
  }
  return code;
}
/// Whether the buffer of a receiver grows that gets much and reads it all.
Result<int> BufferGrows(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Connection connection, ConnectionTo(ns, kLoopback4));
  ASSIGN_OR_RETURN(int at_first, GetSockOpt<int>(connection.server, SOL_SOCKET, SO_RCVBUF));
  const string piece(65536, 'x');
  for (int i = 0; i < 400; ++i) {
    while (::send(connection.client.get(), piece.data(), piece.size(), MSG_DONTWAIT) > 0) {}
    ASSIGN_OR_RETURN(Datagram some, Receive(connection.server));
    ASSIGN_OR_RETURN(int now, GetSockOpt<int>(connection.server, SOL_SOCKET, SO_RCVBUF));
    if (now > at_first) return 1;
  }
  return 0;
}
/// How many connections a listener has that accepts none.
Result<int> UnixConnections(const NetNamespace& ns) {
  static int number = 0;
  const SockAddr name = AbstractUnix("somaxconn" + std::to_string(++number));
  ASSIGN_OR_RETURN(Fd listener, ns.Socket(AF_UNIX, SOCK_STREAM));
  RETURN_IF_ERROR(Bind(listener, name));
  RETURN_IF_ERROR(Listen(listener, 1000));
  std::vector<Fd> clients;
  while (clients.size() < 50) {
    ASSIGN_OR_RETURN(Fd client, ns.Socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK));
    if (::connect(client.get(), name.get(), name.length()) < 0) {
      if (errno != EAGAIN) return ErrnoError("connect");
      break;
    }
    clients.push_back(std::move(client));
  }
  return static_cast<int>(clients.size());
}
Look RtoMax(int domain) {
  return [=](const NetNamespace& ns) -> Result<int> {
    ASSIGN_OR_RETURN(Fd socket, ns.Socket(domain, SOCK_STREAM));
    return GetSockOpt<int>(socket, IPPROTO_TCP, kRtoMax);
  };
}

// --- MPTCP ------------------------------------------------------------------------------------------------------------

/// The flags with which a connection of several paths is asked for (RFC 8684, MP_CAPABLE).
Result<int> MptcpFlags(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Fd lo, PacketSocket(ns, 1, ETH_P_IP));
  ASSIGN_OR_RETURN(Fd client, ns.Socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, kMptcp));
  const SockAddr to = Inet(kLoopback4, 9);
  std::ignore = ::connect(client.get(), to.get(), to.length());
  for (;;) {
    ASSIGN_OR_RETURN(Datagram datagram, Receive(lo));
    if (!IsIp(datagram.data, IPPROTO_TCP)) continue;
    const string tcp = IpPayload(datagram.data);
    if (At(tcp, 13) != kSyn || At(tcp, 3) != 9) continue;
    for (std::size_t at = 20, end = At(tcp, 12) / 16 * 4; at + 1 < end && At(tcp, at) != 0; at += At(tcp, at) == 1 ? 1 : std::max(2U, At(tcp, at + 1)))
      if (At(tcp, at) == 30) return static_cast<int>(At(tcp, at + 3));
    return Error{ENOENT, "MP_CAPABLE in a SYN"};
  }
}
Look MptcpFlag(int flag) {
  return [=](const NetNamespace& ns) -> Result<int> {
    ASSIGN_OR_RETURN(int flags, MptcpFlags(ns));
    return (flags & flag) != 0;
  };
}
void PrepareMptcp(const NetNamespace& ns) {
  LoopbackUp(ns);
  if (!ns.HasSysctl("net/mptcp/enabled")) throw MissingNeed("needs-config:MPTCP", "this kernel has no net.mptcp");
  SETUP_OK(ns.SetSysctl("net/mptcp/enabled", "1"));
}

// --- SCTP: what a new socket starts with ------------------------------------------------------------------------------

/// A number in the answer to getsockopt(2) of SCTP.
Look SctpOption(int option, std::size_t size, std::size_t at, std::size_t width, bool network_order = false) {
  return [=](const NetNamespace& ns) -> Result<int> {
    ASSIGN_OR_RETURN(Fd socket, ns.Socket(AF_INET, SOCK_STREAM, kSctp));
    std::vector<unsigned char> bytes(size, 0);
    socklen_t length = static_cast<socklen_t>(size);
    if (::getsockopt(socket.get(), kSctp, option, bytes.data(), &length) < 0) return ErrnoError("getsockopt(SOL_SCTP, " + std::to_string(option) + ")");
    std::uint32_t value = 0;
    std::uint16_t small = 0;
    if (width == 2) std::memcpy(&small, bytes.data() + at, 2), value = network_order ? ntohs(small) : small;
    else std::memcpy(&value, bytes.data() + at, 4);
    return static_cast<int>(value);
  };
}
/// Whether a socket that has all addresses tells peers when one comes or goes.
Result<int> SctpTellsOfAddresses(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Fd socket, ns.Socket(AF_INET, SOCK_STREAM, kSctp));
  RETURN_IF_ERROR(Bind(socket, Inet("0.0.0.0", 0)));
  return GetSockOpt<int>(socket, kSctp, 30 /* SCTP_AUTO_ASCONF */);
}
/// The errno of asking for messages that are interleaved.
Result<int> SctpInterleaves(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Fd socket, ns.Socket(AF_INET, SOCK_SEQPACKET, kSctp));
  RETURN_IF_ERROR(SetSockOpt(socket, kSctp, 18 /* SCTP_FRAGMENT_INTERLEAVE */, 1));
  const std::uint32_t on[] = {0, 1};
  return ::setsockopt(socket.get(), kSctp, 125 /* SCTP_INTERLEAVING_SUPPORTED */, on, sizeof on) < 0 ? errno : 0;
}
void PrepareSctp(const NetNamespace& ns) { NeedsConfig("IP_SCTP", ns.Socket(AF_INET, SOCK_STREAM, kSctp), "a socket of SCTP"); }

const std::vector<Effect>& Effects() {
  static const auto challenges = [](const NetNamespace& ns) {
    With(PrepareWire, {{"net/ipv4/tcp_invalid_ratelimit", "0"}})(ns);
    if (ns.HasSysctl("net/ipv4/tcp_challenge_ack_limit") && SETUP_OK(ns.Sysctl("net/ipv4/tcp_challenge_ack_limit")) != "2147483647")
      throw MissingNeed("needs-feature:challenge-acks-of-a-namespace", "this kernel counts challenge ACKs of all namespaces together", "", LinuxVersion{6, 1});
  };
  static const std::vector<Effect> effects = {
      {"ResetsOfFullQueues", "net/ipv4/tcp_abort_on_overflow", "1", ResetsWhenFull, 1, With(PrepareWire, {{"net/ipv4/tcp_syncookies", "0"}})},
      {"HalfOpenConnections", "net/ipv4/tcp_max_syn_backlog", "4", TenMayAsk, 0, With(PrepareWire, {{"net/ipv4/tcp_syncookies", "0"}})},
      {"CongestionNotificationGranted", "net/ipv4/tcp_ecn", "0", GrantsCongestionNotification, 0, With(PrepareWire, {{"net/ipv4/tcp_ecn", "2"}})},
      {"AnswersToInvalidSegments", "net/ipv4/tcp_invalid_ratelimit", "0", AnswersEach, 1, PrepareWire},
      {"ChallengesPerSecond", "net/ipv4/tcp_challenge_ack_limit", "1", AnswersEach, 0, challenges},
      {"DuplicateSegments", "net/ipv4/tcp_dsack", "0", TellsOfDuplicates, 0, PrepareWire},
      {"ResetsWhileWaiting", "net/ipv4/tcp_rfc1337", "1", WaitsOn, 1, With(PrepareWire, {{"net/ipv4/tcp_rfc1337", "0"}})},
      {"LeastSegmentSize", "net/ipv4/tcp_min_snd_mss", "500", SendsLargeSegments(kLoopback4), 1, LoopbackUp},
      {"LeastSegmentSizeOverIpv6", "net/ipv4/tcp_min_snd_mss", "500", SendsLargeSegments(kLoopback6), 1, LoopbackUp, {"IPV6"}},
      {"UrgentPointers", "net/ipv4/tcp_stdurg", "1", OutOfBand, EAGAIN, LoopbackUp},
      {"ConnectionsOfClosedListeners", "net/ipv4/tcp_migrate_req", "1", Migrates, 1, PrepareMigration},
      {"Metrics", "net/ipv4/tcp_no_metrics_save", "1", KeepsMetrics, 0, LoopbackUp},
      {"GrowthOfReceiveBuffers", "net/ipv4/tcp_moderate_rcvbuf", "0", BufferGrows, 0, LoopbackUp},
      {"PortsUsedAgain", "net/ipv4/ip_autobind_reuse", "1", BindsAgain, 0, With(LoopbackUp, {{"net/ipv4/ip_local_port_range", "40001 40001"}})},
      {"BacklogOfUnixSockets", "net/core/somaxconn", "3", UnixConnections, 4, {}, {"UNIX"}},
      {"LongestRetransmissionTimeout", "net/ipv4/tcp_rto_max_ms", "5000", RtoMax(AF_INET), 5000},
      {"LongestRetransmissionTimeoutOfIpv6", "net/ipv4/tcp_rto_max_ms", "6000", RtoMax(AF_INET6), 6000, {}, {"IPV6"}},
      {"ChecksumsOfMptcp", "net/mptcp/checksum_enabled", "1", MptcpFlag(0x80), 1, PrepareMptcp, {"MPTCP"}, {"STACK-15"}},
      {"FurtherPathsOfMptcp", "net/mptcp/allow_join_initial_addr_port", "0", MptcpFlag(0x20), 1, PrepareMptcp, {"MPTCP"}, {"STACK-15"}},
  };
  return effects;
}

const std::vector<Effect>& SctpEffects() {
  constexpr std::size_t kAddress = 8, kBehindAddress = kAddress + sizeof(sockaddr_storage);
  static const auto row = [](const char* name, const char* sysctl, const char* value, Look look) { return Effect{name, sysctl, value, std::move(look), std::atoi(value), PrepareSctp, {"IP_SCTP"}, {"STACK-19"}}; };
  static const auto flag = [](int option) { return SctpOption(option, 8, 4, 4); };  // sctp_assoc_value
  static const std::vector<Effect> effects = {
      row("SctpInitialRto", "net/sctp/rto_initial", "3333", SctpOption(0 /* SCTP_RTOINFO */, 16, 4, 4)),
      row("SctpMaximalRto", "net/sctp/rto_max", "59999", SctpOption(0, 16, 8, 4)),
      row("SctpMinimalRto", "net/sctp/rto_min", "1001", SctpOption(0, 16, 12, 4)),
      row("SctpAssociationRetransmissions", "net/sctp/association_max_retrans", "11", SctpOption(1 /* SCTP_ASSOCINFO */, 20, 4, 2)),
      row("SctpCookieLife", "net/sctp/valid_cookie_life", "61000", SctpOption(1, 20, 16, 4)),
      row("SctpInitRetransmissions", "net/sctp/max_init_retransmits", "9", SctpOption(2 /* SCTP_INITMSG */, 8, 4, 2)),
      row("SctpHeartbeats", "net/sctp/hb_interval", "31000", SctpOption(9 /* SCTP_PEER_ADDR_PARAMS */, 156, 132, 4)),
      row("SctpPathRetransmissions", "net/sctp/path_max_retrans", "6", SctpOption(9, 156, 136, 2)),
      row("SctpDelayOfAcknowledgements", "net/sctp/sack_timeout", "300", SctpOption(9, 156, 142, 4)),
      row("SctpBurst", "net/sctp/max_burst", "5", flag(20 /* SCTP_MAX_BURST */)),
      row("SctpAutomaticAddresses", "net/sctp/default_auto_asconf", "1", SctpTellsOfAddresses),
      row("SctpPotentialFailures", "net/sctp/pf_retrans", "7", SctpOption(37 /* SCTP_PEER_ADDR_THLDS_V2 */, kBehindAddress + 8, kBehindAddress + 2, 2)),
      row("SctpPrimaryPathSwitches", "net/sctp/ps_retrans", "8", SctpOption(37, kBehindAddress + 8, kBehindAddress + 4, 2)),
      row("SctpPartialReliability", "net/sctp/prsctp_enable", "0", flag(113 /* SCTP_PR_SUPPORTED */)),
      row("SctpReconfiguration", "net/sctp/reconf_enable", "1", flag(117 /* SCTP_RECONFIG_SUPPORTED */)),
      {"SctpInterleaving", "net/sctp/intl_enable", "1", SctpInterleaves, 0, PrepareSctp, {"IP_SCTP"}, {"STACK-19"}},
      row("SctpAddressChanges", "net/sctp/addip_enable", "1", flag(128 /* SCTP_ASCONF_SUPPORTED */)),
      row("SctpAuthentication", "net/sctp/auth_enable", "1", flag(129 /* SCTP_AUTH_SUPPORTED */)),
      row("SctpCongestionNotification", "net/sctp/ecn_enable", "0", flag(130 /* SCTP_ECN_SUPPORTED */)),
      row("SctpExposureOfFailures", "net/sctp/pf_expose", "2", flag(131 /* SCTP_EXPOSE_POTENTIALLY_FAILED_STATE */)),
      {"SctpEncapsulation", "net/sctp/encap_port", "9899", SctpOption(132 /* SCTP_REMOTE_UDP_ENCAPS_PORT */, kBehindAddress + 8, kBehindAddress, 2, true), 9899, PrepareSctp, {"IP_SCTP"}, {"STACK-19"}},
      row("SctpProbesOfThePathMtu", "net/sctp/plpmtud_probe_interval", "6000", SctpOption(133 /* SCTP_PLPMTUD_PROBE_INTERVAL */, kBehindAddress + 8, kBehindAddress, 4)),
  };
  return effects;
}

// Documents: ip-sysctl.rst, mptcp-sysctl.rst, sctp(7).
const bool effects = [] {
  for (const Effect& effect : Effects()) RegisterEffect("Sysctl", effect, Covers("SYSCTL-14", "STACK-13"), Needs(Config("SYSCTL"), Config("VETH"), Config("PACKET")), __FILE__, __LINE__);
  for (const Effect& effect : SctpEffects()) RegisterEffect("Sysctl", effect, Covers("SYSCTL-14"), Needs(Config("SYSCTL")), __FILE__, __LINE__);
  return true;
}();

}  // namespace
}  // namespace netns
