// SPDX-License-Identifier: GPL-2.0-or-later
// PROC: counters of protocols. A row does one thing in a namespace and names what is counted of it: there, and nowhere else.
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/socket.h>

#include <map>
#include <sstream>

#include "fixtures/nic.h"
#include "fixtures/sockets.h"
#include "harness/assertions.h"
#include "harness/registration.h"
#include "suites/support/in_namespace.h"

namespace netns {
namespace {

/// "Icmp InMsgs" of snmp and netstat, which have a line of names before each line of numbers; "Icmp6InMsgs" of snmp6.
std::map<std::string, long> Counters(const NetNamespace& ns) {
  std::map<std::string, long> counters;
  for (const char* file : {"snmp", "netstat"}) {
    std::istringstream lines(SETUP_OK(ns.ReadProcNet(file)));
    for (std::string names, numbers; std::getline(lines, names) && std::getline(lines, numbers);) {
      std::istringstream labels(names), values(numbers);
      std::string group, label;
      long value = 0;
      labels >> group, values >> label;
      if (group != label) ADD_FAILURE() << file << ": a line of names of " << group << " before one of numbers of " << label;
      group.back() = ' ';
      while (labels >> label && values >> value) counters[group + label] = value;
    }
  }
  if (auto six = ns.ReadProcNet("snmp6"); six.ok()) {
    std::istringstream words(*six);
    std::string label;
    for (long value = 0; words >> label >> value;) counters[label] = value;
  }
  return counters;
}

struct Counted {
  const char* name;
  std::vector<const char*> configs;
  std::vector<const char*> counters;
  std::function<Status(const NetNamespace&)> deed;
};

/// An echo request over the loopback device, and its reply.
Status Echo(const NetNamespace& ns, bool six, bool right = true) {
  ASSIGN_OR_RETURN(Fd raw, ns.Socket(six ? AF_INET6 : AF_INET, SOCK_RAW, six ? int{IPPROTO_ICMPV6} : int{IPPROTO_ICMP}));
  std::string echo(8, '\0');
  echo[0] = static_cast<char>(six ? ICMP6_ECHO_REQUEST : ICMP_ECHO);
  if (!six) echo[2] = static_cast<char>(right ? 0xF7 : 0x11), echo[3] = static_cast<char>(0xFF);
  RETURN_IF_ERROR(SendTo(raw, echo, Inet(six ? kLoopback6 : kLoopback4, 0)));
  if (!right) return Echo(ns, six);  // the right one behind it is the fence
  for (;;) {
    RETURN_IF_ERROR(WaitFor(raw.get(), POLLIN, Deadline::OfTest(), "the echo reply"));
    char packet[200];
    if (::recv(raw.get(), packet, sizeof packet, 0) < 8) return ErrnoError("recv");
    if (packet[six ? 0 : 20] == (six ? static_cast<char>(ICMP6_ECHO_REPLY) : ICMP_ECHOREPLY)) return Ok();
  }
}
/// A datagram to a port that nobody has, until its sender is told so.
Status ToNobody(const NetNamespace& ns, const char* loopback) {
  const SockAddr to = Inet(loopback, 9);
  ASSIGN_OR_RETURN(Fd sender, ns.Socket(to.family(), SOCK_DGRAM));
  RETURN_IF_ERROR(Connect(sender, to));
  RETURN_IF_ERROR(Send(sender, "x"));
  RETURN_IF_ERROR(WaitFor(sender.get(), POLLERR, Deadline::OfTest(), "the error of the datagram"));
  return Ok();
}
/// A datagram that is delivered.
Status Deliver(const NetNamespace& ns, const char* loopback, std::size_t size = 1, int protocol = 0) {
  ASSIGN_OR_RETURN(Fd receiver, ns.Socket(Inet(loopback, 0).family(), SOCK_DGRAM, protocol));
  RETURN_IF_ERROR(Bind(receiver, Inet(loopback, 0)));
  ASSIGN_OR_RETURN(SockAddr to, GetSockName(receiver));
  ASSIGN_OR_RETURN(Fd sender, ns.Socket(to.family(), SOCK_DGRAM, protocol));
  RETURN_IF_ERROR(SendTo(sender, std::string(size, 'x'), to));
  RETURN_IF_ERROR(WaitFor(receiver.get(), POLLIN, Deadline::OfTest(), "the datagram"));
  char all[2000];
  return ::recv(receiver.get(), all, sizeof all, 0) < 0 ? Status(ErrnoError("recv")) : Ok();
}
Status ToNowhere(const NetNamespace& ns, const char* address) {
  ASSIGN_OR_RETURN(Fd sender, ns.Socket(Inet(address, 9).family(), SOCK_DGRAM));
  const Status sent = SendTo(sender, "x", Inet(address, 9));
  if (sent.ok()) return Error{EEXIST, std::string("a route to ") + address};
  return Ok();
}
/// A refused connection, and one that is reset.
Status Refuse(const NetNamespace& ns, const char* loopback) {
  ASSIGN_OR_RETURN(Fd refused, ns.Socket(Inet(loopback, 0).family(), SOCK_STREAM));
  if (Connect(refused, Inet(loopback, 9)).code() != ECONNREFUSED) return Error{EEXIST, "a listener of port 9"};
  return Ok();
}
Status Abort(const NetNamespace& ns, const char* loopback) {
  ASSIGN_OR_RETURN(Fd listener, TcpListen(ns, Inet(loopback, 0)));
  ASSIGN_OR_RETURN(SockAddr at, GetSockName(listener));
  ASSIGN_OR_RETURN(Fd client, TcpConnect(ns, at));
  ASSIGN_OR_RETURN(Fd server, Accept(listener));
  RETURN_IF_ERROR(Send(client, "never read"));
  RETURN_IF_ERROR(WaitFor(server.get(), POLLIN, Deadline::OfTest(), "the data"));
  server.Reset();
  return WaitFor(client.get(), POLLIN, Deadline::OfTest(), "the reset");
}

/// The same over UDP-Lite, which goes with UDP until it was removed.
Status DeliverLite(const NetNamespace& ns, const char* loopback) {
  std::ignore = NeedsConfig("UDPLITE", ns.Socket(Inet(loopback, 0).family(), SOCK_DGRAM, IPPROTO_UDPLITE), "socket(UDP-Lite)");
  return Deliver(ns, loopback, 1, IPPROTO_UDPLITE);
}
/// A connection of MPTCP over which something is sent.
Status ConnectByPaths(const NetNamespace& ns, const char* loopback) {
  constexpr int kMptcp = 262;  // IPPROTO_MPTCP
  const bool six = Inet(loopback, 0).family() == AF_INET6;
  const Fd listener = NeedsConfig(six ? "MPTCP_IPV6" : "MPTCP", ns.Socket(six ? AF_INET6 : AF_INET, SOCK_STREAM, kMptcp), "socket(MPTCP)");
  RETURN_IF_ERROR(Bind(listener, Inet(loopback, 0)));
  RETURN_IF_ERROR(Listen(listener));
  ASSIGN_OR_RETURN(const SockAddr to, GetSockName(listener));
  ASSIGN_OR_RETURN(const Fd client, ns.Socket(to.family(), SOCK_STREAM, kMptcp));
  RETURN_IF_ERROR(Connect(client, to));
  RETURN_IF_ERROR(Send(client, "x"));
  ASSIGN_OR_RETURN(const Fd server, Accept(listener));
  auto received = ReceiveExactly(server, 1);
  return received.ok() ? Ok() : Status(received.error());
}

const std::vector<Counted>& Rows() {
  static const std::vector<Counted> rows = {
      {"EchoRequests", {}, {"Icmp InMsgs", "Icmp OutMsgs", "Icmp InEchos", "Icmp OutEchoReps", "IcmpMsg InType8", "IcmpMsg OutType0", "Ip InReceives",
                           "Ip InDelivers", "Ip OutRequests", "IpExt InOctets", "IpExt OutOctets", "IpExt InNoECTPkts"}, [](auto& ns) { return Echo(ns, false); }},
      {"EchoRequestsWithWrongSums", {}, {"Icmp InErrors", "Icmp InCsumErrors"}, [](auto& ns) { return Echo(ns, false, false); }},
      {"EchoRequestsOfIpv6", {"IPV6"}, {"Icmp6InMsgs", "Icmp6OutMsgs", "Icmp6InEchos", "Icmp6InEchoReplies", "Icmp6OutEchoReplies", "Icmp6InType128", "Icmp6InType129", "Icmp6OutType129",
                                       "Ip6InReceives", "Ip6InDelivers", "Ip6OutRequests", "Ip6InOctets", "Ip6OutOctets", "Ip6InNoECTPkts"}, [](auto& ns) { return Echo(ns, true); }},
      {"DatagramsToNobody", {}, {"Udp OutDatagrams", "Udp NoPorts", "Icmp OutDestUnreachs", "Icmp InDestUnreachs", "IcmpMsg OutType3", "IcmpMsg InType3"},
       [](auto& ns) { return ToNobody(ns, kLoopback4); }},
      {"DatagramsToNobodyOfIpv6", {"IPV6"}, {"Udp6OutDatagrams", "Udp6NoPorts", "Icmp6OutDestUnreachs", "Icmp6InDestUnreachs", "Icmp6OutType1", "Icmp6InType1"},
       [](auto& ns) { return ToNobody(ns, kLoopback6); }},
      {"Datagrams", {}, {"Udp InDatagrams", "Udp OutDatagrams"}, [](auto& ns) { return Deliver(ns, kLoopback4); }},
      {"DatagramsOfIpv6", {"IPV6"}, {"Udp6InDatagrams", "Udp6OutDatagrams"}, [](auto& ns) { return Deliver(ns, kLoopback6); }},
      {"DatagramsOfUdpLite", {}, {"UdpLite InDatagrams", "UdpLite OutDatagrams"}, [](auto& ns) { return DeliverLite(ns, kLoopback4); }},
      {"DatagramsOfUdpLiteOverIpv6", {"IPV6"}, {"UdpLite6InDatagrams", "UdpLite6OutDatagrams"}, [](auto& ns) { return DeliverLite(ns, kLoopback6); }},
      {"DatagramsWithoutARoute", {}, {"Ip OutNoRoutes"}, [](auto& ns) { return ToNowhere(ns, "203.0.113.9"); }},
      {"DatagramsOfIpv6WithoutARoute", {"IPV6"}, {"Ip6OutNoRoutes"}, [](auto& ns) { return ToNowhere(ns, "2001:db8:77::9"); }},
      {"Fragments", {}, {"Ip FragCreates", "Ip FragOKs", "Ip ReasmReqds", "Ip ReasmOKs"},
       [](auto& ns) -> Status {
         auto rtnl = RtnlIn(ns);
         RETURN_IF_ERROR(rtnl.SetLink("lo", {.mtu = 1500}));
         const Status done = Deliver(ns, kLoopback4, 1900);
         RETURN_IF_ERROR(rtnl.SetLink("lo", {.mtu = 65536}));
         return done;
       }},
      {"FragmentsOfIpv6", {"IPV6"}, {"Ip6FragCreates", "Ip6FragOKs", "Ip6ReasmReqds", "Ip6ReasmOKs"},
       [](auto& ns) -> Status {
         auto rtnl = RtnlIn(ns);
         RETURN_IF_ERROR(rtnl.SetLink("lo", {.mtu = 1500}));
         const Status done = Deliver(ns, kLoopback6, 1900);
         RETURN_IF_ERROR(rtnl.SetLink("lo", {.mtu = 65536}));
         return done;
       }},
      {"RefusedConnections", {}, {"Tcp ActiveOpens", "Tcp AttemptFails", "Tcp OutRsts", "Tcp InSegs", "Tcp OutSegs"}, [](auto& ns) { return Refuse(ns, kLoopback4); }},
      {"RefusedConnectionsOfIpv6", {"IPV6"}, {"Tcp ActiveOpens", "Tcp AttemptFails", "Tcp OutRsts", "Tcp InSegs", "Tcp OutSegs"}, [](auto& ns) { return Refuse(ns, kLoopback6); }},
      {"AbortedConnections", {}, {"Tcp PassiveOpens", "Tcp EstabResets", "TcpExt TCPAbortOnClose"}, [](auto& ns) { return Abort(ns, kLoopback4); }},
      {"AbortedConnectionsOfIpv6", {"IPV6"}, {"Tcp PassiveOpens", "Tcp EstabResets", "TcpExt TCPAbortOnClose"}, [](auto& ns) { return Abort(ns, kLoopback6); }},
      {"ConnectionsOfMptcp", {"MPTCP"}, {"MPTcpExt MPCapableSYNRX", "MPTcpExt MPCapableACKRX"}, [](auto& ns) { return ConnectByPaths(ns, kLoopback4); }},
      {"ConnectionsOfMptcpOverIpv6", {"MPTCP_IPV6"}, {"MPTcpExt MPCapableSYNRX", "MPTcpExt MPCapableACKRX"}, [](auto& ns) { return ConnectByPaths(ns, kLoopback6); }},
  };
  return rows;
}

// Document: networking/snmp_counter.rst. The reader in a namespace sees what happened there.
void AreCountedWhereTheyHappen(const Counted& row, bool beside_the_initial) {
  auto a = NetNamespace::Create(), b = beside_the_initial ? InitialNetNamespace() : NetNamespace::Create();
  for (auto* ns : {&a, &b}) LoopbackUp(*ns);
  for (auto* acts : {&b, &a}) {
    NetNamespace& quiet = acts == &a ? b : a;
    SCOPED_TRACE(acts == &a ? "in the first namespace" : beside_the_initial ? "in the initial namespace" : "in the second namespace");
    auto before = Counters(*acts), others = Counters(quiet);
    ASSERT_OK(row.deed(*acts));
    // What a raw socket gets is counted after it was delivered.
    std::map<std::string, long> after;
    std::ignore = Eventually("all counters to grow", [&] {
      after = Counters(*acts);
      return std::all_of(row.counters.begin(), row.counters.end(), [&](const char* counter) { return after[counter] > before[counter]; });
    }, Deadline::In(std::chrono::seconds(5)));
    auto others_after = Counters(quiet);
    for (const char* counter : row.counters) {
      EXPECT_GT(after[counter], before[counter]) << counter << " does not show what happened in its namespace";
      // The initial namespace has a life of its own.
      if (beside_the_initial && acts == &a) continue;
      EXPECT_EQ(others_after[counter], others[counter]) << counter << " shows what happened in another namespace";
    }
  }
}
const bool rows = [] {
  for (const Counted& row : Rows())
    for (bool beside_the_initial : {false, true}) {
      // Connection tracking, which another test may have begun there, gathers the fragments of the initial namespace before IPv6 counts them.
      if (beside_the_initial && std::string_view(row.name) == "FragmentsOfIpv6") continue;
      const Counted* each = &row;
      Needs needs(Config("PROC_FS"));
      for (const char* symbol : row.configs) needs.list.push_back(Config(symbol));
      if (beside_the_initial) needs.list.push_back(Machine());
      const auto body = [each, beside_the_initial] { AreCountedWhereTheyHappen(*each, beside_the_initial); };
      if (beside_the_initial)
        RegisterBody("Proc", std::string("EventsAreCountedBesideTheInitialNamespace/") + row.name, __FILE__, __LINE__, body, Covers("PROC-21"), needs, Exclusive{});
      else
        RegisterBody("Proc", std::string("EventsAreCountedWhereTheyHappen/") + row.name, __FILE__, __LINE__, body, Covers("PROC-21"), needs);
    }
  return true;
}();

}  // namespace
}  // namespace netns
