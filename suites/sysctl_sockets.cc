// SPDX-License-Identifier: GPL-2.0-or-later
// SYSCTL: settings that show in sockets, connections and packets over the loopback device of their namespace.
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/in6.h>
#include <linux/tcp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <sstream>

#include "fixtures/sockets.h"
#include "suites/support/control_message.h"
#include "suites/support/effect.h"
#include "suites/support/in_namespace.h"

namespace netns {
namespace {

constexpr int kTxRehash = 74 /* SO_TXREHASH */, kFastOpenMessage = 0x20000000 /* MSG_FASTOPEN */;

Status Set(const Fd& socket, int level, int option, int value) {
  if (::setsockopt(socket.get(), level, option, &value, sizeof value) < 0) return ErrnoError("setsockopt(" + std::to_string(level) + ", " + std::to_string(option) + ")");
  return Ok();
}
Result<int> Get(const Fd& socket, int level, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  if (::getsockopt(socket.get(), level, option, &value, &size) < 0) return ErrnoError("getsockopt(" + std::to_string(level) + ", " + std::to_string(option) + ")");
  return value;
}

/// A connection over the loopback device, whose ends got options before they met.
struct Connection {
  Fd listener, client, server;
};
Result<Connection> ConnectionIn(const NetNamespace& ns, const char* loopback, const std::function<Status(const Fd& listener, const Fd& client)>& prepare = {}) {
  const SockAddr any = Inet(loopback, 0);
  ASSIGN_OR_RETURN(Fd listener, ns.Socket(any.family(), SOCK_STREAM));
  ASSIGN_OR_RETURN(Fd client, ns.Socket(any.family(), SOCK_STREAM));
  if (prepare) RETURN_IF_ERROR(prepare(listener, client));
  RETURN_IF_ERROR(Bind(listener, any));
  RETURN_IF_ERROR(Listen(listener));
  ASSIGN_OR_RETURN(SockAddr at, GetSockName(listener));
  RETURN_IF_ERROR(Connect(client, at));
  ASSIGN_OR_RETURN(Fd server, Accept(listener));
  return Connection{std::move(listener), std::move(client), std::move(server)};
}
Result<tcp_info> InfoOf(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Connection connection, ConnectionIn(ns, kLoopback4));
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(connection.client.get(), IPPROTO_TCP, TCP_INFO, &info, &size) < 0) return ErrnoError("getsockopt(TCP_INFO)");
  return info;
}

/// Whether a counter of /proc/net/netstat grows while something is done.
Result<int> Grows(const NetNamespace& ns, const std::string& name, const std::function<Status()>& deed) {
  const auto read = [&]() -> Result<long> {
    ASSIGN_OR_RETURN(std::string text, ns.ReadProcNet("netstat"));
    std::istringstream lines(text);
    for (std::string names, numbers; std::getline(lines, names) && std::getline(lines, numbers);) {
      std::istringstream labels(names), values(numbers);
      for (std::string label, value; labels >> label && values >> value;)
        if (label == name) return std::stol(value);
    }
    return Error{ENOENT, name + " of netstat"};
  };
  ASSIGN_OR_RETURN(long before, read());
  RETURN_IF_ERROR(deed());
  ASSIGN_OR_RETURN(long after, read());
  return after > before;
}

/// Whether the closed end of a connection that was closed first waits.
Result<int> LeavesTimeWait(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Connection connection, ConnectionIn(ns, kLoopback4));
  ASSIGN_OR_RETURN(SockAddr own, GetSockName(connection.client));
  connection.client.Reset();
  RETURN_IF_ERROR(WaitFor(connection.server.get(), POLLIN, Deadline::OfTest(), "the end of the connection"));
  connection.server.Reset();
  char port[8];
  std::snprintf(port, sizeof port, ":%04X", own.port());
  // ":PORT" of the local end, then the other end, then the state: 06 is TIME_WAIT. It is FIN_WAIT2 (05) or so before.
  for (;;) {
    ASSIGN_OR_RETURN(std::string text, ns.ReadProcNet("tcp"));
    std::istringstream lines(text);
    int state = 0;
    for (std::string line; std::getline(lines, line);) {
      std::istringstream words(line);
      std::string slot, local, remote, hex;
      words >> slot >> local >> remote >> hex;
      if (local.ends_with(port)) state = std::stoi(hex, nullptr, 16);
    }
    if (state == 0 || state == 6) return state == 6;
  }
}

/// Whether a sender may go on writing while its peer reads nothing.
Result<int> WritesAhead(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Connection connection, ConnectionIn(ns, kLoopback4, [](const Fd& listener, const Fd& client) -> Status {
                     RETURN_IF_ERROR(Set(listener, SOL_SOCKET, SO_RCVBUF, 4096));
                     return Set(client, SOL_SOCKET, SO_SNDBUF, 200'000);
                   }));
  const std::string piece(4096, 'x');
  std::size_t sent = 0;
  for (ssize_t n; sent < 1'000'000 && (n = ::send(connection.client.get(), piece.data(), piece.size(), MSG_DONTWAIT)) > 0;) sent += static_cast<std::size_t>(n);
  return sent > 60'000;
}

/// The mark of what answers to a packet with mark 7: what a filter sees of an echo reply.
std::function<Result<int>(const NetNamespace&)> MarkOfEchoReplies(bool six) {
  return [=](const NetNamespace& ns) -> Result<int> {
    ASSIGN_OR_RETURN(Fd raw, ns.Socket(six ? AF_INET6 : AF_INET, SOCK_RAW, six ? int{IPPROTO_ICMPV6} : int{IPPROTO_ICMP}));
    RETURN_IF_ERROR(Set(raw, SOL_SOCKET, SO_MARK, 7));
    // Replies are let through, short where they have the mark. The network header is in front for IPv4 only.
    const std::uint32_t type = six ? 0 : 20, reply = six ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY;
    sock_filter code[] = {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, type), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, reply, 1, 0), BPF_STMT(BPF_RET | BPF_K, 0),
                          BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_MARK)), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 7, 0, 1),
                          BPF_STMT(BPF_RET | BPF_K, 40), BPF_STMT(BPF_RET | BPF_K, 1000)};
    sock_fprog program{static_cast<unsigned short>(std::size(code)), code};
    if (::setsockopt(raw.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0) return ErrnoError("setsockopt(SO_ATTACH_FILTER)");
    std::string echo(100, '\0');
    echo[0] = static_cast<char>(six ? ICMP6_ECHO_REQUEST : ICMP_ECHO);
    if (!six) echo[2] = static_cast<char>(0xF7), echo[3] = static_cast<char>(0xFF);
    RETURN_IF_ERROR(SendTo(raw, echo, Inet(six ? kLoopback6 : kLoopback4, 0)));
    RETURN_IF_ERROR(WaitFor(raw.get(), POLLIN, Deadline::OfTest(), "the echo reply"));
    char packet[200];
    const ssize_t length = ::recv(raw.get(), packet, sizeof packet, 0);
    return length <= 40 ? 7 : 0;
  };
}

/// The errno of a control message of some thousand bytes, of a kind that nobody looks at.
Result<int> LongControlMessage(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Fd receiver, UdpBind(ns, Inet(kLoopback4, 0)));
  ASSIGN_OR_RETURN(SockAddr to, GetSockName(receiver));
  ASSIGN_OR_RETURN(Fd sender, ns.Socket(AF_INET, SOCK_DGRAM));
  RETURN_IF_ERROR(Connect(sender, to));
  return SendWithControl(sender, nullptr, 0, 9999, 0, std::array<char, 6000>{}, "sendmsg").code();
}
/// The errno of a filter of some hundred instructions.
Result<int> LongFilter(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Fd socket, ns.Socket(AF_INET, SOCK_DGRAM));
  std::vector<sock_filter> code(1000, BPF_STMT(BPF_LD | BPF_IMM, 1));
  code.push_back(BPF_STMT(BPF_RET | BPF_K, 0xFFFF));
  sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  return ::setsockopt(socket.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0 ? errno : 0;
}
/// The errno of a list of sources of a multicast group.
std::function<Result<int>(const NetNamespace&)> Sources(unsigned count) {
  return [=](const NetNamespace& ns) -> Result<int> {
    ASSIGN_OR_RETURN(Fd socket, ns.Socket(AF_INET, SOCK_DGRAM));
    ip_mreqn group{};
    group.imr_multiaddr.s_addr = htonl(0xE9000001u);
    group.imr_ifindex = 1;
    if (::setsockopt(socket.get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group) < 0) return ErrnoError("setsockopt(IP_ADD_MEMBERSHIP)");
    std::vector<std::uint32_t> filter = {group.imr_multiaddr.s_addr, htonl(INADDR_LOOPBACK), MCAST_INCLUDE, count};
    for (unsigned i = 0; i < count; ++i) filter.push_back(htonl(0x0A000001u + i));
    return ::setsockopt(socket.get(), IPPROTO_IP, 41 /* IP_MSFILTER */, filter.data(), static_cast<socklen_t>(filter.size() * 4)) < 0 ? errno : 0;
  };
}

/// The errno of IPV6_FLOWLABEL_MGR.
Result<int> RequestLabel(const NetNamespace& ns, std::uint32_t label, int flags) {
  ASSIGN_OR_RETURN(Fd socket, ns.Socket(AF_INET6, SOCK_STREAM));
  in6_flowlabel_req request{};
  request.flr_dst.s6_addr[15] = 1;
  request.flr_label = htonl(label);
  request.flr_action = IPV6_FL_A_GET;
  request.flr_share = IPV6_FL_S_EXCL;
  request.flr_flags = static_cast<std::uint16_t>(flags);
  return ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_FLOWLABEL_MGR, &request, sizeof request) < 0 ? errno : 0;
}

/// Whether a datagram arrives that has to go in fragments; one that has not comes behind it.
std::function<Result<int>(const NetNamespace&)> Reassembles(const char* loopback) {
  return [=](const NetNamespace& ns) -> Result<int> {
    ASSIGN_OR_RETURN(Fd receiver, UdpBind(ns, Inet(loopback, 0)));
    ASSIGN_OR_RETURN(SockAddr to, GetSockName(receiver));
    ASSIGN_OR_RETURN(Fd sender, ns.Socket(to.family(), SOCK_DGRAM));
    RETURN_IF_ERROR(SendTo(sender, std::string(3000, 'x'), to));
    RETURN_IF_ERROR(SendTo(sender, "x", to));
    ASSIGN_OR_RETURN(Datagram first, Receive(receiver));
    return first.data.size() == 3000;
  };
}
std::function<void(const NetNamespace&)> InFragments(const char* low_threshold) {
  return [=](const NetNamespace& ns) {
    LoopbackUp(ns);
    SETUP_OK(RtnlIn(ns).SetLink("lo", {.mtu = 1500}));
    SETUP_OK(ns.SetSysctl(low_threshold, "0"));
  };
}

const std::vector<Effect>& Effects() {
  static const auto set = [](const char* name, const char* value) {
    return [=](const NetNamespace& ns) {
      LoopbackUp(ns);
      if (ns.HasSysctl(name)) SETUP_OK(ns.SetSysctl(name, value));
    };
  };
  static const std::vector<Effect> effects = {
      {"ReorderingOfConnections", "net/ipv4/tcp_reordering", "17", [](auto& ns) -> Result<int> { ASSIGN_OR_RETURN(tcp_info info, InfoOf(ns)); return static_cast<int>(info.tcpi_reordering); }, 17, LoopbackUp},
      {"ProbesOfThePathMtu", "net/ipv4/tcp_mtu_probing", "2", [](auto& ns) -> Result<int> { ASSIGN_OR_RETURN(tcp_info info, InfoOf(ns)); return info.tcpi_snd_mss > 4000; }, 0, LoopbackUp},
      {"FirstProbeOfThePathMtu", "net/ipv4/tcp_base_mss", "600", [](auto& ns) -> Result<int> { ASSIGN_OR_RETURN(tcp_info info, InfoOf(ns)); return info.tcpi_snd_mss > 700; }, 0,
       set("net/ipv4/tcp_mtu_probing", "2")},
      {"LeastRetransmissionTimeout", "net/ipv4/tcp_rto_min_us", "2000000", [](auto& ns) -> Result<int> { ASSIGN_OR_RETURN(tcp_info info, InfoOf(ns)); return info.tcpi_rto >= 2'000'000; }, 1, LoopbackUp},
      {"DataNotYetSent", "net/ipv4/tcp_notsent_lowat", "1", WritesAhead, 0, LoopbackUp},
      {"FastOpenOfClients", "net/ipv4/tcp_fastopen", "0",
       [](auto& ns) -> Result<int> {
         ASSIGN_OR_RETURN(Fd listener, TcpListen(ns, Inet(kLoopback4, 0)));
         ASSIGN_OR_RETURN(SockAddr to, GetSockName(listener));
         ASSIGN_OR_RETURN(Fd client, ns.Socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK));
         return ::sendto(client.get(), "x", 1, kFastOpenMessage, to.get(), to.length()) < 0 && errno == EOPNOTSUPP;
       }, 1, set("net/ipv4/tcp_fastopen", "1")},
      {"ConnectionsThatWait", "net/ipv4/tcp_max_tw_buckets", "0", LeavesTimeWait, 0, LoopbackUp},
      {"Syncookies", "net/ipv4/tcp_syncookies", "2",
       [](auto& ns) { return Grows(ns, "SyncookiesSent", [&]() -> Status { ASSIGN_OR_RETURN(Connection connection, ConnectionIn(ns, kLoopback4)); return Ok(); }); }, 1, LoopbackUp, {"SYN_COOKIES"}},
      {"SyncookiesOverIpv6", "net/ipv4/tcp_syncookies", "2",
       [](auto& ns) { return Grows(ns, "SyncookiesSent", [&]() -> Status { ASSIGN_OR_RETURN(Connection connection, ConnectionIn(ns, kLoopback6)); return Ok(); }); }, 1, LoopbackUp, {"SYN_COOKIES", "IPV6"}},
      {"MarksOfAcceptedConnections", "net/ipv4/tcp_fwmark_accept", "1",
       [](auto& ns) -> Result<int> {
         ASSIGN_OR_RETURN(Connection connection, ConnectionIn(ns, kLoopback4, [](const Fd&, const Fd& client) { return Set(client, SOL_SOCKET, SO_MARK, 7); }));
         return Get(connection.server, SOL_SOCKET, SO_MARK);
       }, 7, LoopbackUp},
      {"MarksOfAcceptedConnectionsOverIpv6", "net/ipv4/tcp_fwmark_accept", "1",
       [](auto& ns) -> Result<int> {
         ASSIGN_OR_RETURN(Connection connection, ConnectionIn(ns, kLoopback6, [](const Fd&, const Fd& client) { return Set(client, SOL_SOCKET, SO_MARK, 7); }));
         return Get(connection.server, SOL_SOCKET, SO_MARK);
       }, 7, LoopbackUp, {"IPV6"}},
      {"MarksOfEchoReplies", "net/ipv4/fwmark_reflect", "1", MarkOfEchoReplies(false), 7, LoopbackUp},
      {"MarksOfEchoRepliesOverIpv6", "net/ipv6/fwmark_reflect", "1", MarkOfEchoReplies(true), 7, LoopbackUp, {"IPV6"}},
      {"OptionMemoryOfControlMessages", "net/core/optmem_max", "3000", LongControlMessage, ENOBUFS, LoopbackUp},
      {"OptionMemoryOfFilters", "net/core/optmem_max", "3000", LongFilter, ENOMEM, LoopbackUp},
      {"OptionMemoryOfSources", "net/core/optmem_max", "600", Sources(300), ENOBUFS, set("net/ipv4/igmp_max_msf", "1000"), {"IP_MULTICAST"}},
      {"NumberOfSources", "net/ipv4/igmp_max_msf", "5", Sources(6), ENOBUFS, LoopbackUp, {"IP_MULTICAST"}},
      {"ChoiceOfOtherPaths", "net/core/txrehash", "0",
       [](auto& ns) -> Result<int> {
         ASSIGN_OR_RETURN(Fd socket, TcpListen(ns, Inet(kLoopback4, 0)));
         return Get(socket, SOL_SOCKET, kTxRehash);
       }, 0, LoopbackUp},
      {"ChoiceOfOtherPathsOverIpv6", "net/core/txrehash", "0",
       [](auto& ns) -> Result<int> {
         ASSIGN_OR_RETURN(Fd socket, TcpListen(ns, Inet(kLoopback6, 0)));
         return Get(socket, SOL_SOCKET, kTxRehash);
       }, 0, LoopbackUp, {"IPV6"}},
      {"ReflectedFlowLabels", "net/ipv6/flowlabel_consistency", "0", [](auto& ns) { return RequestLabel(ns, 0, IPV6_FL_F_REFLECT); }, 0, LoopbackUp, {"IPV6"}},
      {"RangeOfFlowLabels", "net/ipv6/flowlabel_state_ranges", "1",
       [](auto& ns) {
         static std::uint32_t label = 0x80077;  // another each time: one that was given lingers
         return RequestLabel(ns, ++label, IPV6_FL_F_CREATE);
       }, ERANGE, LoopbackUp, {"IPV6"}},
      // "Maximum memory used to reassemble IP fragments": with none, none are.
      {"MemoryOfFragments", "net/ipv4/ipfrag_high_thresh", "0", Reassembles(kLoopback4), 0, InFragments("net/ipv4/ipfrag_low_thresh"), {}, {"STACK-12", "SYSCTL-22"}},
      {"MemoryOfFragmentsOfIpv6", "net/ipv6/ip6frag_high_thresh", "0", Reassembles(kLoopback6), 0, InFragments("net/ipv6/ip6frag_low_thresh"), {"IPV6"}, {"STACK-12", "SYSCTL-22"}},
      {"FlowLabelsOfAnswers", "net/ipv6/flowlabel_reflect", "1",
       [](auto& ns) -> Result<int> {
         ASSIGN_OR_RETURN(Fd socket, ns.Socket(AF_INET6, SOCK_STREAM));
         in6_flowlabel_req request{};
         socklen_t size = sizeof request;
         return ::getsockopt(socket.get(), IPPROTO_IPV6, IPV6_FLOWLABEL_MGR, &request, &size) < 0 ? errno : 0;
       }, 0, LoopbackUp, {"IPV6"}},
  };
  return effects;
}

// Documents: ip-sysctl.rst, net.rst.
const bool effects = [] {
  for (const Effect& effect : Effects()) {
    Covers covers("SYSCTL-14");
    if (std::string_view(effect.sysctl).starts_with("net/ipv6")) covers.list.push_back("SYSCTL-21");
    RegisterEffect("Sysctl", effect, covers, Needs(Config("SYSCTL")), __FILE__, __LINE__);
  }
  return true;
}();

}  // namespace
}  // namespace netns
