// SPDX-License-Identifier: GPL-2.0-or-later
// SYSCTL: settings that code besides TCP and UDP asks for: IPsec, MPLS, segment routing, IOAM, VRF, SMC, and the same setting
// once more where every kind of socket asks by itself.
#include "fixtures/user_namespace.h"
#include "suites/support/effect.h"
#include "suites/support/generic.h"
#include "suites/support/control_message.h"
#include "suites/support/ipsec.h"
#include "suites/support/wire.h"

#include <linux/capability.h>
#include <linux/ioam6_genl.h>
#include <linux/lwtunnel.h>

namespace netns {
namespace {

using namespace wire;

constexpr int kSctp = 132, kSmc = 43 /* AF_SMC */;
constexpr unsigned kMpls = 0x8847 /* ETH_P_MPLS_UC */;

// --- IPsec ------------------------------------------------------------------------------------------------------------

Result<NetlinkSocket> XfrmIn(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Fd socket, ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_XFRM));
  return NetlinkSocket::Adopt(std::move(socket));
}
xfrm_usersa_info State() {
  xfrm_usersa_info state{};
  state.family = AF_INET;
  state.sel.family = AF_INET;
  state.saddr.a4 = htonl(kOwn);
  state.id.daddr.a4 = htonl(kPeer);
  state.id.proto = IPPROTO_ESP;
  state.lft = kForEver;
  return state;
}
std::uint32_t NextSpi() {
  static std::uint32_t last = 0x4711;
  return ++last;
}
/// After how many seconds a state goes that nobody has completed.
Result<int> LifeOfLarvalState(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(NetlinkSocket socket, XfrmIn(ns));
  xfrm_userspi_info range{};
  range.info = State();
  range.min = range.max = NextSpi();
  ASSIGN_OR_RETURN(Message answer, socket.Get(Request(XFRM_MSG_ALLOCSPI).Header(range).Named("allocate an SPI")));
  return static_cast<int>(answer.Header<xfrm_userspi_info>().info.lft.hard_add_expires_seconds);
}
/// A number of the events by which a new state is replicated.
Look ThresholdOfState(int attribute, std::uint32_t flag) {
  return [=](const NetNamespace& ns) -> Result<int> {
    ASSIGN_OR_RETURN(NetlinkSocket socket, XfrmIn(ns));
    xfrm_usersa_info state = State();
    state.id.spi = htonl(NextSpi());
    std::array<char, sizeof(xfrm_algo)> crypt{}, auth{};
    std::strcpy(crypt.data(), "ecb(cipher_null)");
    std::strcpy(auth.data(), "digest_null");
    RETURN_IF_ERROR(socket.Ack(Request(XFRM_MSG_NEWSA, NLM_F_CREATE | NLM_F_EXCL).Header(state).Raw(XFRMA_ALG_CRYPT, std::as_bytes(std::span(crypt))).Raw(XFRMA_ALG_AUTH, std::as_bytes(std::span(auth))).Named("add state")));
    xfrm_aevent_id id{};
    id.sa_id = {.daddr = state.id.daddr, .spi = state.id.spi, .family = AF_INET, .proto = IPPROTO_ESP};
    id.flags = flag;
    ASSIGN_OR_RETURN(Message answer, socket.Get(Request(XFRM_MSG_GETAE).Header(id).Named("ask for the events of a state")));
    const auto value = answer.AttributesAfter<xfrm_aevent_id>().U32(static_cast<std::uint16_t>(attribute));
    if (!value) return Error{ENOENT, "the threshold of a state"};
    return static_cast<int>(*value);
  };
}
/// Whether a packet that is to be encrypted is given up for want of a state; somebody hears that one is wanted.
Result<int> GivesUpWithoutState(const NetNamespace& ns) {
  const auto given_up = [&]() -> Result<int> {
    ASSIGN_OR_RETURN(string text, ns.ReadProcNet("xfrm_stat"));
    const std::size_t at = text.find("XfrmOutNoStates");
    return at == string::npos ? Result<int>(Error{ENOENT, "XfrmOutNoStates"}) : Result<int>(std::atoi(text.c_str() + at + sizeof "XfrmOutNoStates"));
  };
  ASSIGN_OR_RETURN(Fd manager, ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_XFRM));
  RETURN_IF_ERROR(Bind(manager, NetlinkAddress(0, 1U << (XFRMNLGRP_ACQUIRE - 1))));
  ASSIGN_OR_RETURN(Fd socket, ns.Socket(AF_INET, SOCK_DGRAM));
  ASSIGN_OR_RETURN(int before, given_up());
  RETURN_IF_ERROR(SendTo(socket, "x", Inet("192.0.2.2", 7001)));
  ASSIGN_OR_RETURN(int after, given_up());
  return after > before;
}
void PrepareTemplate(const NetNamespace& ns) {
  PrepareWire(ns);
  auto socket = IpsecIn(ns);
  xfrm_user_tmpl by{};
  by.id.proto = IPPROTO_ESP;
  by.id.daddr.a4 = htonl(kPeer);
  by.saddr.a4 = htonl(kOwn);
  by.family = AF_INET;
  by.mode = XFRM_MODE_TUNNEL;
  by.aalgos = by.ealgos = by.calgos = ~0U;
  SETUP_OK(socket.Ack(Request(XFRM_MSG_NEWPOLICY, NLM_F_CREATE | NLM_F_EXCL).Header(DatagramPolicy(AF_INET, XFRM_POLICY_OUT, XFRM_POLICY_ALLOW)).Structure(XFRMA_TMPL, by).Named("a policy that encrypts")));
}

// --- MPLS and segment routing -----------------------------------------------------------------------------------------

/// Packets to 198.18.0.0/24 get a label.
void PrepareMpls(const NetNamespace& ns) {
  PrepareWire(ns);
  RouteSpec route{.to = "198.18.0.0/24", .via = "192.0.2.2"};
  route.more = [](Request& request) {
    request.U16(RTA_ENCAP_TYPE, LWTUNNEL_ENCAP_MPLS).Nest(RTA_ENCAP, [](Request& encap) { encap.Be32(1 /* MPLS_IPTUNNEL_DST */, 100U << 12 | 1U << 8); });
  };
  NeedsConfig("MPLS_IPTUNNEL", RtnlIn(ns).AddRoute(route), "a route with a label");
  SETUP_OK(ns.SetSysctl("net/ipv4/ip_default_ttl", "77"));
}
Result<int> TtlOfLabel(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
  ASSIGN_OR_RETURN(Fd sender, ns.Socket(AF_INET, SOCK_DGRAM));
  RETURN_IF_ERROR(SendTo(sender, "x", Inet("198.18.0.9", 9)));
  ASSIGN_OR_RETURN(string frame, wire.NextThat("a packet with a label", [](const string& each) { return each.substr(12, 2) == B16(kMpls); }));
  return static_cast<int>(At(frame, 17));
}

/// The wire with 2001:db8::1 at "one" and 2001:db8::2 as its neighbour.
void PrepareWire6(const NetNamespace& ns) {
  PrepareWire(ns);
  if (!ns.HasSysctl("net/ipv6/conf/one/disable_ipv6")) throw MissingNeed("needs-config:IPV6", "this kernel has no IPv6");
  SETUP_OK(ns.SetSysctl("net/ipv6/conf/one/disable_ipv6", "0"));
  auto rtnl = RtnlIn(ns);
  SETUP_OK(rtnl.AddAddress("2001:db8::1/64", "one", {.nodad = true}));
  SETUP_OK(rtnl.AddNeighbour({.to = "2001:db8::2", .address = "02:00:00:00:00:02", .dev = "one"}));
  SETUP_OK(Eventually("2001:db8::1 to be local", [&] {
    const auto route = rtnl.GetRoute("2001:db8::1");
    return route.ok() && route->type == RTN_LOCAL;
  }));
}
string Address6(const char* text) {
  in6_addr address{};
  ::inet_pton(AF_INET6, text, &address);
  return string(reinterpret_cast<const char*>(&address), sizeof address);
}
/// Packets to 2001:db8:99::/64 are put into others, to a segment.
void PrepareSegments(const NetNamespace& ns) {
  PrepareWire6(ns);
  SETUP_OK(ns.SetSysctl("net/ipv6/auto_flowlabels", "1"));
  const std::int32_t encapsulate = 1;  // SEG6_IPTUN_MODE_ENCAP
  const string head(reinterpret_cast<const char*>(&encapsulate), sizeof encapsulate);
  const string segments = head + string("\0\x02\x04\0\0\0\0\0", 8) + Address6("2001:db8::2");
  RouteSpec route{.to = "2001:db8:99::/64", .dev = "one"};
  route.more = [&](Request& request) { request.U16(RTA_ENCAP_TYPE, LWTUNNEL_ENCAP_SEG6).Nest(RTA_ENCAP, [&](Request& encap) { encap.Raw(1 /* SEG6_IPTUNNEL_SRH */, std::as_bytes(std::span(segments))); }); };
  NeedsConfig("IPV6_SEG6_LWTUNNEL", RtnlIn(ns).AddRoute(route), "a route to a segment");
}
Result<int> LabelOfSegments(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
  ASSIGN_OR_RETURN(Fd sender, ns.Socket(AF_INET6, SOCK_DGRAM));
  RETURN_IF_ERROR(SendTo(sender, "x", Inet("2001:db8:99::9", 9)));
  ASSIGN_OR_RETURN(string frame, wire.NextThat("a packet to a segment", [](const string& each) { return each.substr(12, 2) == B16(ETH_P_IPV6) && At(each, 20) == 43; }));
  return (At(frame, 15) & 15) != 0 || At(frame, 16) != 0 || At(frame, 17) != 0;
}

// --- IOAM -------------------------------------------------------------------------------------------------------------

/// Traces are filled in that ask for the number of a node (RFC 9197).
void PrepareIoam(const NetNamespace& ns) {
  PrepareWire6(ns);
  if (!ns.HasSysctl("net/ipv6/conf/one/ioam6_enabled")) throw MissingNeed("needs-feature:ioam6", "this kernel knows nothing of IOAM", "", LinuxVersion{5, 15});
  SETUP_OK(ns.SetSysctl("net/ipv6/conf/one/ioam6_enabled", "1"));
  auto socket = SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC))));
  const GenericFamily family = SETUP_OK(socket.ResolveFamily("IOAM6"));
  SETUP_OK(socket.Ack(Request(family.id).Header(genlmsghdr{.cmd = IOAM6_CMD_ADD_NAMESPACE, .version = IOAM6_GENL_VERSION}).U16(IOAM6_ATTR_NS_ID, 5).Named("IOAM namespace 5")));
}
Result<int> NodeOfTrace(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Wire wire, Wire::Of(ns));
  ASSIGN_OR_RETURN(Fd receiver, UdpBind(ns, Inet("::", 7001)));
  RETURN_IF_ERROR(SetSockOpt(receiver, IPPROTO_IPV6, IPV6_RECVHOPOPTS, 1));
  string udp = B16(7000) + B16(7001) + B16(9) + B16(0) + "x";
  const string from = Address6("2001:db8::2"), to = Address6("2001:db8::1");
  udp.replace(6, 2, B16(Sum(from + to + B32(static_cast<std::uint32_t>(udp.size())) + B32(IPPROTO_UDP) + udp)));
  // Padding; option 0x31 of 14 bytes, a trace with room for one number of a node; padding.
  const string trace = B16(5) + string("\x08\x01", 2) + B32(0x80000000) + B32(0);
  const string options = string("\x11\x02\x01\0\x31\x0e\0\0", 8) + trace + string("\x01\x02\0\0", 4);
  ASSIGN_OR_RETURN(std::vector<string> answers, wire.Answers(Frame(B32(0x60000000) + B16(static_cast<unsigned>(options.size() + udp.size())) + string("\0\x40", 2) + from + to + options + udp, kOne, ETH_P_IPV6)));
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[256] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  if (::recvmsg(receiver.get(), &message, MSG_DONTWAIT) < 0) return ErrnoError("recvmsg");
  for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr; head = CMSG_NXTHDR(&message, head))
    if (head->cmsg_level == IPPROTO_IPV6 && head->cmsg_type == IPV6_HOPOPTS) {
      const string all(reinterpret_cast<const char*>(CMSG_DATA(head)), head->cmsg_len - CMSG_LEN(0));
      return static_cast<int>(At(all, 17) << 16 | At(all, 18) << 8 | At(all, 19));
    }
  return Error{ENOENT, "the hop-by-hop options"};
}

// --- Sockets of other kinds -------------------------------------------------------------------------------------------

/// The errno of binding to an address that the namespace does not have.
Look BindsTo(const char* address, int type, int protocol) {
  return [=](const NetNamespace& ns) -> Result<int> {
    ASSIGN_OR_RETURN(Fd socket, ns.Socket(Inet(address).family(), type, protocol));
    return Bind(socket, Inet(address, type == SOCK_RAW ? 0 : 4000)).code();
  };
}
/// The errno of sending from such an address.
Result<int> SendsFrom(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Fd socket, ns.Socket(AF_INET6, SOCK_DGRAM));
  in6_pktinfo info{};
  ::inet_pton(AF_INET6, "2001:db8::77", &info.ipi6_addr);
  const SockAddr to = Inet(kLoopback6, 9);
  return SendWithControl(socket, to.get(), to.length(), IPPROTO_IPV6, IPV6_PKTINFO, info, "sendmsg(IPV6_PKTINFO)").code();
}
/// The errno of SCTP's binding to a low port, of one who has no rights.
Look BindsLowSctp(const char* any) {
  return [=](const NetNamespace& ns) -> Result<int> {
    auto plain = ns.StartActor("plain");
    RETURN_IF_ERROR(DropCapability(plain, CAP_NET_BIND_SERVICE));
    return plain.Run([&]() -> Result<int> {
      ASSIGN_OR_RETURN(Fd socket, ns.Socket(Inet(any).family(), SOCK_STREAM, kSctp));
      return Bind(socket, Inet(any, 81)).code();
    });
  };
}
void PrepareSctp(const NetNamespace& ns) {
  LoopbackUp(ns);
  NeedsConfig("IP_SCTP", ns.Socket(AF_INET, SOCK_STREAM, kSctp), "a socket of SCTP");
}
void PrepareRaw(const NetNamespace& ns) {
  LoopbackUp(ns);
  Fd socket = SETUP_OK(ns.Socket(AF_INET, SOCK_RAW, 253));
  SETUP_OK(SetSockOpt(socket, IPPROTO_IP, IP_FREEBIND, 1));
  if (!Bind(socket, Inet("192.0.2.77", 0)).ok()) throw MissingNeed("needs-feature:raw-nonlocal-bind", "this kernel binds raw sockets to its own addresses only", "", LinuxVersion{5, 17});
}
void PreparePing(const NetNamespace& ns) {
  LoopbackUp(ns);
  SETUP_OK(ns.SetSysctl("net/ipv4/ping_group_range", "0 0"));
}
Look SmcBuffer(int option) {
  return [=](const NetNamespace& ns) -> Result<int> {
    ASSIGN_OR_RETURN(Fd socket, ns.Socket(kSmc, SOCK_STREAM));
    return GetSockOpt<int>(socket, SOL_SOCKET, option);
  };
}
void PrepareSmc(const NetNamespace& ns) { NeedsConfig("SMC", ns.Socket(kSmc, SOCK_STREAM), "a socket of SMC"); }

void AddVrf(const NetNamespace& ns, const char* name, std::function<void(Status)> then) {
  then(RtnlIn(ns).AddLink({.name = name, .kind = "vrf", .data = [](Request& data) { data.U32(1 /* IFLA_VRF_TABLE */, 100); }}));
}

const std::vector<Effect>& Effects() {
  static const std::vector<Effect> effects = {
      {"LifeOfLarvalStates", "net/core/xfrm_acq_expires", "7777", LifeOfLarvalState, 7777, LoopbackUp, {"XFRM_USER"}, {"STACK-17"}},
      {"TimeBetweenEventsOfStates", "net/core/xfrm_aevent_etime", "777", ThresholdOfState(XFRMA_ETIMER_THRESH, XFRM_AE_ETHR), 777, LoopbackUp, {"XFRM_USER", "INET_ESP", "CRYPTO_NULL"}, {"STACK-17"}},
      {"PacketsBetweenEventsOfStates", "net/core/xfrm_aevent_rseqth", "778", ThresholdOfState(XFRMA_REPLAY_THRESH, XFRM_AE_RTHR), 778, LoopbackUp, {"XFRM_USER", "INET_ESP", "CRYPTO_NULL"}, {"STACK-17"}},
      {"PacketsWithoutState", "net/core/xfrm_larval_drop", "0",
       GivesUpWithoutState, 0, PrepareTemplate, {"XFRM_USER", "XFRM_STATISTICS", "INET_ESP", "VETH"}, {"STACK-17"}},
      {"TtlOfLabels", "net/mpls/ip_ttl_propagate", "0", TtlOfLabel, 255, PrepareMpls, {"MPLS_ROUTING", "MPLS_IPTUNNEL", "VETH"}, {"ROUTE-14"}},
      {"DefaultTtlOfLabels", "net/mpls/default_ttl", "33", TtlOfLabel, 33, With(PrepareMpls, {{"net/mpls/ip_ttl_propagate", "0"}}), {"MPLS_ROUTING", "MPLS_IPTUNNEL", "VETH"}, {"ROUTE-14"}},
      {"FlowLabelsOfSegments", "net/ipv6/seg6_flowlabel", "-1", LabelOfSegments, 0, PrepareSegments, {"IPV6", "IPV6_SEG6_LWTUNNEL", "VETH"}, {"SYSCTL-21"}},
      {"TablesOfVrfs", "net/vrf/strict_mode", "1",
       [](auto& ns) -> Result<int> {
         int code = 0;
         AddVrf(ns, "second", [&](Status made) { code = made.code(); });
         if (code == 0) RETURN_IF_ERROR(RtnlIn(ns).DeleteLink("second"));
         return code;
       }, {}, [](auto& ns) { AddVrf(ns, "first", [](Status made) { NeedsConfig("NET_VRF", std::move(made), "a VRF"); }); }, {"NET_VRF"}},
      {"NonlocalBindOfConnections", "net/ipv4/ip_nonlocal_bind", "1", BindsTo("192.0.2.77", SOCK_STREAM, 0), 0, LoopbackUp},
      {"NonlocalBindOfRawSockets", "net/ipv4/ip_nonlocal_bind", "1", BindsTo("192.0.2.77", SOCK_RAW, 253), 0, PrepareRaw},
      {"NonlocalBindOfPingSockets", "net/ipv4/ip_nonlocal_bind", "1", BindsTo("192.0.2.77", SOCK_DGRAM, IPPROTO_ICMP), 0, PreparePing},
      {"NonlocalBindOfSctp", "net/ipv4/ip_nonlocal_bind", "1", BindsTo("192.0.2.77", SOCK_STREAM, kSctp), 0, PrepareSctp, {"IP_SCTP"}},
      {"NonlocalBindOfIpv6Datagrams", "net/ipv6/ip_nonlocal_bind", "1", BindsTo("2001:db8::77", SOCK_DGRAM, 0), 0, LoopbackUp, {"IPV6"}},
      {"NonlocalBindOfIpv6RawSockets", "net/ipv6/ip_nonlocal_bind", "1", BindsTo("2001:db8::77", SOCK_RAW, 253), 0, LoopbackUp, {"IPV6"}},
      {"NonlocalBindOfIpv6PingSockets", "net/ipv6/ip_nonlocal_bind", "1", BindsTo("2001:db8::77", SOCK_DGRAM, IPPROTO_ICMPV6), 0, PreparePing, {"IPV6"}},
      {"NonlocalBindOfSctpOverIpv6", "net/ipv6/ip_nonlocal_bind", "1", BindsTo("2001:db8::77", SOCK_STREAM, kSctp), 0, PrepareSctp, {"IPV6", "IP_SCTP"}},
      {"NonlocalSourcesOfIpv6Datagrams", "net/ipv6/ip_nonlocal_bind", "1", SendsFrom, 0, LoopbackUp, {"IPV6"}},
      {"LowPortsOfSctp", "net/ipv4/ip_unprivileged_port_start", "80", BindsLowSctp("0.0.0.0"), 0, PrepareSctp, {"IP_SCTP"}, {"SOCK-17"}},
      {"LowPortsOfSctpOverIpv6", "net/ipv4/ip_unprivileged_port_start", "80", BindsLowSctp("::"), 0, PrepareSctp, {"IP_SCTP", "IPV6"}, {"SOCK-17"}},
      {"SendBufferOfSmc", "net/smc/wmem", "100000", SmcBuffer(SO_SNDBUF), {}, PrepareSmc, {"SMC"}},
      {"ReceiveBufferOfSmc", "net/smc/rmem", "100001", SmcBuffer(SO_RCVBUF), {}, PrepareSmc, {"SMC"}},
  };
  return effects;
}
const Effect& Ioam() {
  static const Effect effect = {"NumberOfNode", "net/ipv6/ioam6_id", "4711", NodeOfTrace, 4711, PrepareIoam, {"IPV6", "VETH"}, {"SYSCTL-21"}};
  return effect;
}

// Documents: ip-sysctl.rst, net.rst, xfrm_sync.rst, mpls-sysctl.rst, seg6-sysctl.rst, vrf.rst, smc-sysctl.rst, ioam6-sysctl.rst.
const bool effects = [] {
  for (const Effect& effect : Effects()) {
    Covers covers("SYSCTL-14");
    if (string(effect.sysctl).starts_with("net/ipv6/ip_")) covers.list.push_back("SYSCTL-21");
    RegisterEffect("Sysctl", effect, covers, Needs(Config("SYSCTL")), __FILE__, __LINE__);
  }
  RegisterEffect("Sysctl", Ioam(), Covers("SYSCTL-14"), Needs(Root(), Config("SYSCTL")), __FILE__, __LINE__);  // IOAM namespaces are for real root
  return true;
}();

}  // namespace
}  // namespace netns
