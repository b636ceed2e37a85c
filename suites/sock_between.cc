// SPDX-License-Identifier: GPL-2.0-or-later
// SOCK and UNIX: ports, families with tables of their own (TIPC, RxRPC, Phonet), unix sockets by their number, multicast routers,
// listeners and echo sockets: what is listed, asked and taken of one namespace, also beside the initial one and by a process
// that is elsewhere.
#include <arpa/inet.h>
#include <linux/mroute.h>
#include <linux/mroute6.h>
#include <linux/phonet.h>
#include <linux/rxrpc.h>
#include <linux/sock_diag.h>
#include <linux/tipc.h>
#include <linux/tipc_netlink.h>
#include <linux/tipc_sockets_diag.h>
#include <linux/unix_diag.h>
#include <sys/stat.h>

#include <map>
#include <set>
#include <sstream>

#include "fixtures/sockets.h"
#include "suites/support/between.h"
#include "suites/support/generic.h"
#include "suites/support/in_namespace.h"
#include "suites/support/wire.h"

namespace netns {
namespace {

using testing::Contains;
using testing::Not;

// --- Ports ------------------------------------------------------------------------------------------------------------

/// What has ports of its own beside TCP and UDP, or comes to the ports of TCP by another way.
struct Transport {
  const char* name;
  int type, protocol;
  const char *config4, *config6;
  bool told;  ///< Whether a kernel configuration tells of it: UDP-Lite went with INET until it was removed.
  const char *covers4, *covers6;
};
constexpr int kMptcp = 262;  // IPPROTO_MPTCP
constexpr Transport kTransports[] = {{"UdpLite", SOCK_DGRAM, IPPROTO_UDPLITE, "UDPLITE", "UDPLITE", false, "SOCK-06", "SOCK-06"},
                                     {"Sctp", SOCK_STREAM, IPPROTO_SCTP, "IP_SCTP", "IP_SCTP", true, "SOCK-05", "SOCK-05"},
                                     {"Mptcp", SOCK_STREAM, kMptcp, "MPTCP", "MPTCP_IPV6", true, "SOCK-01", "SOCK-02"}};

Result<Fd> Open(const Place& at, const Transport& transport, bool six) {
  auto opened = at.ns.Socket(six ? AF_INET6 : AF_INET, transport.type, transport.protocol);
  if (!opened.ok()) RequireBuiltIn(opened.error(), six ? transport.config6 : transport.config4);
  return opened;
}
/// An exclusive use of a port.
Result<Fd> Serve(const Place& at, const Transport& transport, const SockAddr& address) {
  ASSIGN_OR_RETURN(Fd socket, Open(at, transport, address.family() == AF_INET6));
  RETURN_IF_ERROR(Bind(socket, address));
  if (transport.type == SOCK_STREAM) RETURN_IF_ERROR(Listen(socket));
  return socket;
}
/// Whether somebody serves there: a connection is made, or a datagram is not refused until `server` has received it.
Status Reach(const Place& at, const Transport& transport, const SockAddr& to, const Fd* server) {
  // A client of TCP is refused likewise, and it does not matter how MPTCP passes that on.
  Transport by = transport;
  if (server == nullptr && by.protocol == kMptcp) by.protocol = IPPROTO_TCP;
  ASSIGN_OR_RETURN(const Fd client, Open(at, by, to.family() == AF_INET6));
  RETURN_IF_ERROR(Connect(client, to));
  if (transport.type == SOCK_STREAM) return Ok();
  RETURN_IF_ERROR(Send(client, "hello"));
  auto received = Receive(server != nullptr ? *server : client);
  return received.ok() ? Ok() : Status(received.error());
}
// network_namespaces(7): "port numbers (sockets)" are isolated, ip(7): a port is taken, chosen and found in one namespace.
void PortsAreOfOneNamespace(const Transport& transport, bool six, Place& owner, Place& other) {
  const char *loopback = six ? kLoopback6 : kLoopback4, *any = six ? "::" : "0.0.0.0";
  for (Place* place : {&owner, &other}) LoopbackUp(place->ns);
  static std::uint16_t port = 17200;  // one for each round: closed connections keep theirs for a while
  for (const char* mine_at : {loopback, any})
    for (const char* theirs_at : {loopback, any}) {
      SCOPED_TRACE(std::string("bound to ") + mine_at + " by the one and to " + theirs_at + " by the other");
      const SockAddr to = Inet(loopback, ++port);
      ASSERT_OK_AND_ASSIGN(const Fd mine, Serve(owner, transport, Inet(mine_at, port)));
      EXPECT_THAT(Serve(owner, transport, Inet(mine_at, port)), FailsWith(EADDRINUSE)) << "control: taken in its namespace";
      EXPECT_THAT(Reach(other, transport, to, nullptr), FailsWith(ECONNREFUSED)) << "the port is served in another namespace only";
      const auto theirs = Serve(other, transport, Inet(theirs_at, port));
      ASSERT_OK(theirs) << "network_namespaces(7): the port is in use in another namespace only";
      EXPECT_THAT(Serve(other, transport, Inet(theirs_at, port)), FailsWith(EADDRINUSE)) << "control: now it is taken there, too";
      EXPECT_OK(Reach(other, transport, to, &*theirs)) << "control: now it is served there, too";
      EXPECT_FALSE(Readable(mine)) << "what was sent in another namespace has come here";
      EXPECT_OK(Reach(owner, transport, to, &mine)) << "control: it still is here";
    }
  // ip-sysctl.rst, ip_local_port_range: where one port is left to choose, it is free whatever another namespace has.
  const SockAddr only = Inet(loopback, ++port);
  const char* range = "net/ipv4/ip_local_port_range";
  const std::string before = SETUP_OK(other.ns.Sysctl(range));
  Undo undo([&] { (void)other.ns.SetSysctl(range, before).ok(); });
  SETUP_OK(other.ns.SetSysctl(range, std::to_string(port) + " " + std::to_string(port)));
  ASSERT_OK_AND_ASSIGN(const Fd mine, Serve(owner, transport, only));
  const auto chosen = Serve(other, transport, Inet(loopback));
  ASSERT_OK(chosen) << "ip_local_port_range: the only port to choose is in use in another namespace only";
  EXPECT_EQ(SETUP_OK(GetSockName(*chosen)).port(), port) << "control: ip_local_port_range";
  EXPECT_THAT(Serve(other, transport, Inet(loopback)), FailsWith(EADDRINUSE)) << "control: no port is left to choose";
}
[[maybe_unused]] const bool ports = [] {
  for (const Transport& transport : kTransports)
    for (bool six : {false, true}) {
      Needs needs(Config(six ? "IPV6" : "INET"), Config("SYSCTL"));
      if (transport.told) needs.list.push_back(Config(six ? transport.config6 : transport.config4));
      RegisterBetween("Sock", "PortsAreTakenChosenAndFoundInOneNamespace", std::string(transport.name) + "OverIpv" + (six ? "6" : "4"), __FILE__, __LINE__,
                      [&transport, six](Place& owner, Place& other) { PortsAreOfOneNamespace(transport, six, owner, other); },
                      Covers(six ? transport.covers6 : transport.covers4), needs);
    }
  return true;
}();

// --- Phonet -----------------------------------------------------------------------------------------------------------

// Documentation/networking/phonet.rst: object numbers are like ports; datagrams and pipes share them.
void PhonetObjectsAreOfOneNamespace(Place& owner, Place& other) {
  const auto bind = [](const Place& at, int type, unsigned char object) -> Result<Fd> {
    auto made = at.ns.Socket(AF_PHONET, type, type == SOCK_DGRAM ? PN_PROTO_PHONET : PN_PROTO_PIPE);
    if (!made.ok()) RequireBuiltIn(made.error(), "PHONET");
    ASSIGN_OR_RETURN(Fd socket, std::move(made));
    sockaddr_pn address{};
    address.spn_family = AF_PHONET;
    address.spn_obj = object;
    address.spn_resource = 0x70;
    sockaddr_storage aligned{};
    std::memcpy(&aligned, &address, sizeof address);
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&aligned), sizeof address) < 0) return ErrnoError("bind(Phonet object " + std::to_string(object) + ")");
    return socket;
  };
  /// The local objects that /proc/net/phonet lists: "PROTOCOL LOCAL:REMOTE:RESOURCE ...".
  const auto listed = [](const Place& at) {
    std::istringstream lines(SETUP_OK(at.ns.ReadProcNet("phonet")));
    std::set<std::string> objects;
    for (std::string line; std::getline(lines, line);)
      if (line.size() > 8 && line[7] == ':') objects.insert(line.substr(3, 4));
    return objects;
  };
  // Pipes are of another module, which may not be there.
  std::vector<int> types = {SOCK_DGRAM};
  if (owner.ns.Socket(AF_PHONET, SOCK_SEQPACKET, PN_PROTO_PIPE).ok()) types.push_back(SOCK_SEQPACKET);
  unsigned char object = 0x51;
  for (int type : types) {
    SCOPED_TRACE(type == SOCK_DGRAM ? "a datagram socket" : "a pipe");
    auto mine = bind(owner, type, ++object);
    ASSERT_OK(mine);
    const std::string line = type == SOCK_DGRAM ? "0052" : "0053";
    EXPECT_THAT(listed(owner), Contains(line)) << "control: /proc/net/phonet of its namespace";
    EXPECT_THAT(listed(other), Not(Contains(line))) << "/proc/net/phonet: an object of another namespace is listed";
    for (int another : types) EXPECT_THAT(bind(owner, another, object), FailsWith(EADDRINUSE)) << "control: taken in its namespace";
    for (int another : types) EXPECT_OK(bind(other, another, object)) << "phonet.rst: the object is taken in another namespace only";
    const auto theirs = bind(other, type, object);
    ASSERT_OK(theirs) << "phonet.rst: the object is taken in another namespace only";
    EXPECT_THAT(listed(other), Contains(line)) << "control: now it is there, too";
    mine->Reset();
    EXPECT_THAT(listed(owner), Not(Contains(line))) << "/proc/net/phonet: an object of another namespace is listed";
    EXPECT_OK(bind(owner, type, object)) << "control: given up in its namespace";
    EXPECT_THAT(bind(other, type, object), FailsWith(EADDRINUSE)) << "given up in another namespace only";
  }
}
[[maybe_unused]] const bool phonet = RegisterBetween("Sock", "PhonetObjectsAreTakenAndListedInOneNamespace", "", __FILE__, __LINE__, PhonetObjectsAreOfOneNamespace,
                                                     Covers("SOCK-27", "PROC-28"), Needs(Root(), Config("PHONET")));

// --- Unix sockets by their number ------------------------------------------------------------------------------------

NetlinkSocket DiagIn(const Place& at) { return SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(at.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG)))); }
unix_diag_req DiagRequest() {
  unix_diag_req request{};
  request.sdiag_family = AF_UNIX;
  request.udiag_states = ~0u;
  request.udiag_show = UDIAG_SHOW_NAME;
  return request;
}
std::set<std::uint32_t> UnixSockets(const Place& at) {
  auto all = DiagIn(at).Dump(Request(SOCK_DIAG_BY_FAMILY).Header(DiagRequest()).Named("list the unix sockets"));
  if (!all.ok()) RequireBuiltIn(all.error(), "UNIX_DIAG");
  std::set<std::uint32_t> numbers;
  for (const Message& message : SETUP_OK(std::move(all))) numbers.insert(message.Header<unix_diag_msg>().udiag_ino);
  return numbers;
}
/// The number of the socket that is shown.
Result<std::uint32_t> UnixSocketByNumber(const Place& at, std::uint32_t number) {
  unix_diag_req request = DiagRequest();
  request.udiag_ino = number;
  request.udiag_cookie[0] = request.udiag_cookie[1] = ~0u;  // INET_DIAG_NOCOOKIE
  ASSIGN_OR_RETURN(const Message message, DiagIn(at).Get(Request(SOCK_DIAG_BY_FAMILY).Header(request).Named("a unix socket by its number")));
  return message.Header<unix_diag_msg>().udiag_ino;
}
// sock_diag(7), "UNIX domain sockets": udiag_ino is the number to ask for, the namespace is that of the asking socket.
void UnixSocketsAreFoundInOneNamespace(Place& owner, Place& other) {
  std::map<std::uint32_t, std::string> mine;
  std::vector<Fd> open;
  const auto add = [&](Fd socket, const std::string& what) {
    struct stat info{};
    SETUP_OK(::fstat(socket.get(), &info) < 0 ? Status(ErrnoError("fstat")) : Ok());
    mine[static_cast<std::uint32_t>(info.st_ino)] = what;
    open.push_back(std::move(socket));
  };
  for (auto [type, text] : {std::pair{SOCK_STREAM, "a stream socket"}, {SOCK_DGRAM, "a datagram socket"}, {SOCK_SEQPACKET, "a seqpacket socket"}}) {
    add(SETUP_OK(owner.ns.Socket(AF_UNIX, type)), std::string(text) + " without a name");
    Fd named = SETUP_OK(owner.ns.Socket(AF_UNIX, type));
    SETUP_OK(Bind(named, AbstractUnix("nsconf-number-" + std::to_string(type))));
    if (type != SOCK_DGRAM) SETUP_OK(Listen(named));
    add(std::move(named), std::string(text) + " with an abstract name");
    int pair[2];
    SETUP_OK(owner.ns.In([&, type = type]() -> Status { return ::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) < 0 ? Status(ErrnoError("socketpair")) : Ok(); }));
    for (int fd : pair) add(Fd(fd), std::string(text) + " of a pair");
  }
  const auto there = UnixSockets(owner), elsewhere = UnixSockets(other);
  for (const auto& [number, what] : mine) {
    SCOPED_TRACE(what);
    EXPECT_THAT(there, Contains(number)) << "control: listed where it is";
    EXPECT_THAT(elsewhere, Not(Contains(number))) << "sock_diag(7): a socket of another namespace is listed";
    EXPECT_THAT(UnixSocketByNumber(owner, number), Holds(number)) << "control: asked for where it is";
    EXPECT_THAT(UnixSocketByNumber(other, number), FailsWith(ENOENT)) << "sock_diag(7): a socket of another namespace is shown";
  }
}
[[maybe_unused]] const bool unix_diag = RegisterBetween("Unix", "DiagFindsSocketsOfItsNamespaceByTheirNumber", "", __FILE__, __LINE__, UnixSocketsAreFoundInOneNamespace,
                                                        Covers("UNIX-09"), Needs(Config("UNIX_DIAG")));

// --- TIPC -------------------------------------------------------------------------------------------------------------

Request WithHeader(const Generic& family, std::uint8_t command, const char* what) { return family.Make(command, what, TIPC_GENL_V2_VERSION); }

constexpr std::uint32_t kService = 18871;
/// A socket that is bound to a name, and its number.
struct Service {
  Fd socket;
  std::uint32_t number = 0;
  static Service In(const Place& at, std::uint32_t instance) {
    auto opened = at.ns.Socket(AF_TIPC, SOCK_RDM);
    if (!opened.ok()) RequireBuiltIn(opened.error(), "TIPC");
    Service made{SETUP_OK(std::move(opened))};
    sockaddr_tipc address{};
    address.family = AF_TIPC;
    address.addrtype = TIPC_ADDR_NAMESEQ;
    address.scope = TIPC_NODE_SCOPE;
    address.addr.nameseq = {kService, instance, instance};
    if (::bind(made.socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) SETUP_OK(Status(ErrnoError("bind(TIPC name)")));
    socklen_t size = sizeof address;
    if (::getsockname(made.socket.get(), reinterpret_cast<sockaddr*>(&address), &size) < 0) SETUP_OK(Status(ErrnoError("getsockname(TIPC)")));
    made.number = address.addr.id.ref;
    return made;
  }
};
/// TIPC_NL_SOCK_GET, "tipc socket list": the numbers.
std::vector<std::uint32_t> TipcSockets(const Place& at) {
  Generic tipc(at, TIPC_GENL_V2_NAME, "TIPC");
  std::vector<std::uint32_t> numbers;
  for (const Message& message : SETUP_OK(tipc->Dump(WithHeader(tipc, TIPC_NL_SOCK_GET, "list the TIPC sockets"))))
    numbers.push_back(message.AttributesAfter<genlmsghdr>().Nested(TIPC_NLA_SOCK).U32(TIPC_NLA_SOCK_REF).value_or(0));
  return numbers;
}
/// The same by sock_diag(7).
std::vector<std::uint32_t> TipcSocketsByDiag(const Place& at) {
  auto socket = SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(at.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG))));
  tipc_sock_diag_req request{};
  request.sdiag_family = AF_TIPC;
  request.tidiag_states = ~0u;
  auto all = socket.Dump(Request(SOCK_DIAG_BY_FAMILY).Named("list the TIPC sockets").Header(request));
  std::vector<std::uint32_t> numbers;
  if (all.code() == ENOENT || all.code() == EINVAL || all.code() == EOPNOTSUPP) return numbers;  // without CONFIG_TIPC_DIAG
  for (const Message& message : SETUP_OK(std::move(all)))
    numbers.push_back(Attributes(message.payload()).Nested(TIPC_NLA_SOCK).U32(TIPC_NLA_SOCK_REF).value_or(0));
  return numbers;
}
/// TIPC_NL_PUBL_GET: how many names a socket is bound to. EINVAL where there is no such socket.
Result<std::size_t> NamesOfSocket(const Place& at, std::uint32_t number) {
  Generic tipc(at, TIPC_GENL_V2_NAME, "TIPC");
  Request request = WithHeader(tipc, TIPC_NL_PUBL_GET, "list the names of a TIPC socket");
  request.Nest(TIPC_NLA_SOCK | NLA_F_NESTED, [&](Request& r) { r.U32(TIPC_NLA_SOCK_REF, number); });
  ASSIGN_OR_RETURN(const auto all, tipc->Dump(request));
  std::size_t count = 0;
  for (const Message& message : all) count += message.AttributesAfter<genlmsghdr>().Nested(TIPC_NLA_PUBL).U32(TIPC_NLA_PUBL_TYPE) == kService;
  return count;
}
/// TIPC_NL_NAME_TABLE_GET: the instances of the service.
std::vector<std::uint32_t> Instances(const Place& at) {
  Generic tipc(at, TIPC_GENL_V2_NAME, "TIPC");
  std::vector<std::uint32_t> instances;
  for (const Message& message : SETUP_OK(tipc->Dump(WithHeader(tipc, TIPC_NL_NAME_TABLE_GET, "list the TIPC names")))) {
    const Attributes name = message.AttributesAfter<genlmsghdr>().Nested(TIPC_NLA_NAME_TABLE).Nested(TIPC_NLA_NAME_TABLE_PUBL);
    if (name.U32(TIPC_NLA_PUBL_TYPE) == kService) instances.push_back(name.U32(TIPC_NLA_PUBL_LOWER).value_or(0));
  }
  return instances;
}
// linux/tipc_netlink.h, tipc-socket(8), tipc-nametable(8).
void TipcListsAreSeparate(Place& owner, Place& other) {
  auto mine = Service::In(owner, 1), theirs = Service::In(other, 2);
  const bool diag = !TipcSocketsByDiag(owner).empty();
  const auto check = [&](Place& at, const Service& own, std::uint32_t instance, const Service& foreign, std::uint32_t foreign_instance) {
    EXPECT_THAT(TipcSockets(at), Contains(own.number)) << "tipc-socket(8): a socket of this namespace is not listed";
    if (diag) {
      EXPECT_THAT(TipcSocketsByDiag(at), Contains(own.number)) << "sock_diag(7): a socket of this namespace is not listed";
    }
    EXPECT_THAT(NamesOfSocket(at, own.number), Holds(1u)) << "tipc-socket(8): the names of a socket of this namespace";
    EXPECT_THAT(Instances(at), Contains(instance)) << "tipc-nametable(8): a name of this namespace is not listed";
    EXPECT_THAT(Instances(at), Not(Contains(foreign_instance))) << "tipc-nametable(8): a name of another namespace is listed";
    // Numbers are random: two of two namespaces can be equal, once in a lifetime.
    if (own.number == foreign.number) return;
    EXPECT_THAT(TipcSockets(at), Not(Contains(foreign.number))) << "tipc-socket(8): a socket of another namespace is listed";
    EXPECT_THAT(TipcSocketsByDiag(at), Not(Contains(foreign.number))) << "sock_diag(7): a socket of another namespace is listed";
    const auto names = NamesOfSocket(at, foreign.number);
    EXPECT_TRUE(!names.ok() || *names == 0) << "tipc-socket(8): the names of a socket of another namespace";
  };
  {
    SCOPED_TRACE("the one namespace");
    check(owner, mine, 1, theirs, 2);
  }
  {
    SCOPED_TRACE("the other one");
    check(other, theirs, 2, mine, 1);
  }
}
[[maybe_unused]] const bool tipc = RegisterBetween("Sock", "TipcListsAreOfOneNamespace", "", __FILE__, __LINE__, TipcListsAreSeparate, Covers("SOCK-27"), Needs(Config("TIPC")));

// --- RxRPC ------------------------------------------------------------------------------------------------------------

Result<Fd> Serve(const Place& at, bool six, std::uint16_t service, std::uint16_t port) {
  auto opened = at.ns.Socket(AF_RXRPC, SOCK_DGRAM, six ? AF_INET6 : AF_INET);
  if (!opened.ok()) RequireBuiltIn(opened.error(), six ? "AF_RXRPC_IPV6" : "AF_RXRPC");
  Fd socket = SETUP_OK(std::move(opened));
  sockaddr_rxrpc address{};
  address.srx_family = AF_RXRPC;
  address.srx_service = service;
  address.transport_type = SOCK_DGRAM;
  const SockAddr to = Inet(six ? kLoopback6 : kLoopback4, port);
  address.transport_len = static_cast<std::uint16_t>(to.length());
  std::memcpy(&address.transport, to.get(), to.length());
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) return ErrnoError("bind(RxRPC service)");
  return socket;
}
// Documentation/networking/rxrpc.rst: services are found by address, port and number. An endpoint stays for a while behind its
// socket: each try has a port of its own.
[[maybe_unused]] const bool rxrpc = [] {
  for (bool six : {false, true})
    RegisterBetween("Sock", "RxrpcServicesDoNotClash", six ? "Ipv6" : "Ipv4", __FILE__, __LINE__,
                    [six](Place& owner, Place& other) {
                      static std::uint16_t port = 7100;
                      ++port;
                      for (Place* place : {&owner, &other}) LoopbackUp(place->ns);
                      ASSERT_OK_AND_ASSIGN(const Fd mine, Serve(owner, six, 52, port));
                      EXPECT_THAT(Serve(owner, six, 52, port), FailsWith(EADDRINUSE)) << "control: taken in its namespace";
                      const auto theirs = Serve(other, six, 52, port);
                      EXPECT_OK(theirs) << "rxrpc.rst: an equal service of another namespace is in the way";
                      EXPECT_THAT(Serve(other, six, 52, port), FailsWith(EADDRINUSE)) << "control: now it is taken there, too";
                      EXPECT_THAT(UdpBind(other.ns, Inet(six ? kLoopback6 : kLoopback4, port)), FailsWith(EADDRINUSE)) << "control: its UDP port";
                    },
                    Covers("SOCK-27"), six ? Needs(Config("AF_RXRPC"), Config("AF_RXRPC_IPV6"), Config("IPV6")) : Needs(Config("AF_RXRPC")));
  return true;
}();

// --- Multicast routers ------------------------------------------------------------------------------------------------

/// A multicast router of one table, in either family.
class Router {
 public:
  Router(const Place& at, bool six, std::uint32_t table) : six_(six), socket_(SETUP_OK(at.ns.Socket(six ? AF_INET6 : AF_INET, SOCK_RAW, six ? int{IPPROTO_ICMPV6} : int{IPPROTO_IGMP}))) {
    const char* symbol = six ? "IPV6_MROUTE_MULTIPLE_TABLES" : "IP_MROUTE_MULTIPLE_TABLES";
    if (table != RT_TABLE_DEFAULT) {
      const Status chosen = Option(six ? int{MRT6_TABLE} : int{MRT_TABLE}, table, "MRT_TABLE");
      if (chosen.code() == ENOPROTOOPT) throw MissingNeed(std::string("needs-config:") + symbol, "there is only one table of multicast routes");
      SETUP_OK(Status(chosen));
    }
    const Status begun = Option(six ? int{MRT6_INIT} : int{MRT_INIT}, 1, "MRT_INIT");
    if (!begun.ok()) RequireBuiltIn(begun.code() == ENOPROTOOPT || begun.code() == EOPNOTSUPP ? Status(Error{EOPNOTSUPP, begun.error().ToString()}) : begun, six ? "IPV6_MROUTE" : "IP_MROUTE");
    SETUP_OK(Status(begun));
  }
  /// The interface that takes what a rendezvous point unpacks (PIM "register"): the kernel makes a device for it.
  Status AddRegister(std::uint16_t number) {
    if (six_) {
      mif6ctl mif{};
      mif.mif6c_mifi = number;
      mif.mif6c_flags = MIFF_REGISTER;
      mif.vifc_threshold = 1;
      return Option(MRT6_ADD_MIF, mif, "MRT6_ADD_MIF(register)");
    }
    vifctl vif{};
    vif.vifc_vifi = number;
    vif.vifc_flags = VIFF_REGISTER;
    vif.vifc_threshold = 1;
    return Option(MRT_ADD_VIF, vif, "MRT_ADD_VIF(register)");
  }
  Status AddInterface(std::uint16_t number, int index) {
    if (six_) {
      mif6ctl mif{};
      mif.mif6c_mifi = number;
      mif.vifc_threshold = 1;
      mif.mif6c_pifi = static_cast<std::uint16_t>(index);
      return Option(MRT6_ADD_MIF, mif, "MRT6_ADD_MIF");
    }
    vifctl vif{};
    vif.vifc_vifi = static_cast<vifi_t>(number);
    vif.vifc_flags = VIFF_USE_IFINDEX;
    vif.vifc_threshold = 1;
    vif.vifc_lcl_ifindex = index;
    return Option(MRT_ADD_VIF, vif, "MRT_ADD_VIF");
  }
  Status AddRoute(const std::string& source, const std::string& group) {
    if (six_) {
      mf6cctl route{};
      ::inet_pton(AF_INET6, source.c_str(), &route.mf6cc_origin.sin6_addr);
      ::inet_pton(AF_INET6, group.c_str(), &route.mf6cc_mcastgrp.sin6_addr);
      return Option(MRT6_ADD_MFC, route, "MRT6_ADD_MFC");
    }
    mfcctl route{};
    ::inet_pton(AF_INET, source.c_str(), &route.mfcc_origin);
    ::inet_pton(AF_INET, group.c_str(), &route.mfcc_mcastgrp);
    return Option(MRT_ADD_MFC, route, "MRT_ADD_MFC");
  }
  /// SIOCGETVIFCNT, SIOCGETMIFCNT_IN6: of an interface.
  Status AskInterface(std::uint16_t number) const {
    sioc_vif_req four{};
    sioc_mif_req6 of_six{};
    four.vifi = static_cast<vifi_t>(number);
    of_six.mifi = number;
    return six_ ? Ask(SIOCGETMIFCNT_IN6, &of_six, "SIOCGETMIFCNT_IN6") : Ask(SIOCGETVIFCNT, &four, "SIOCGETVIFCNT");
  }
  /// SIOCGETSGCNT, SIOCGETSGCNT_IN6: of a route.
  Status AskRoute(const std::string& source, const std::string& group) const {
    sioc_sg_req four{};
    sioc_sg_req6 of_six{};
    if (six_) {
      ::inet_pton(AF_INET6, source.c_str(), &of_six.src.sin6_addr);
      ::inet_pton(AF_INET6, group.c_str(), &of_six.grp.sin6_addr);
      return Ask(SIOCGETSGCNT_IN6, &of_six, "SIOCGETSGCNT_IN6");
    }
    ::inet_pton(AF_INET, source.c_str(), &four.src);
    ::inet_pton(AF_INET, group.c_str(), &four.grp);
    return Ask(SIOCGETSGCNT, &four, "SIOCGETSGCNT");
  }

 private:
  template <class Value>
  Status Option(int option, const Value& value, const char* text) {
    if (::setsockopt(socket_.get(), six_ ? int{IPPROTO_IPV6} : int{IPPROTO_IP}, option, &value, sizeof value) < 0) return ErrnoError(std::string("setsockopt(") + text + ")");
    return Ok();
  }
  Status Ask(unsigned long call, void* request, const char* text) const {
    if (::ioctl(socket_.get(), call, request) < 0) return ErrnoError(std::string("ioctl(") + text + ")");
    return Ok();
  }
  bool six_;
  Fd socket_;
};

// mrt(7)-like ioctls of a multicast router: of its socket's namespace, whoever asks. `other` has a router, too.
void RoutersAreAskedAtHome(bool six, Place& owner, Place& other) {
  const std::string source = six ? "2001:db8::9" : "192.0.2.9", group = six ? "ff05::123" : "239.1.2.3", other_group = six ? "ff05::124" : "239.1.2.4";
  Undo undo([&] {
    for (Place* place : {&owner, &other}) (void)(*place)->DeleteLink("nsconf-m").ok();
  });
  Router mine(owner, six, RT_TABLE_DEFAULT), theirs(other, six, RT_TABLE_DEFAULT);
  SETUP_OK(mine.AddInterface(3, AddDevice(owner, "nsconf-m")));
  SETUP_OK(theirs.AddInterface(4, AddDevice(other, "nsconf-m")));
  SETUP_OK(mine.AddRoute(source, group));
  SETUP_OK(theirs.AddRoute(source, other_group));
  Actor at_home = owner.ns.StartActor("at home"), away = other.ns.StartActor("away");
  for (auto [actor, from] : {std::pair(&at_home, "a process of its namespace"), std::pair(&away, "a process of another namespace")}) {
    SCOPED_TRACE(from);
    actor->Run([&] {
      EXPECT_OK(mine.AskInterface(3)) << "an interface of the socket's namespace";
      EXPECT_THAT(mine.AskInterface(4), testing::AnyOf(FailsWith(EADDRNOTAVAIL), FailsWith(EINVAL))) << "an interface that only the router of another namespace has";
      EXPECT_OK(mine.AskRoute(source, group)) << "a route of the socket's namespace";
      EXPECT_THAT(mine.AskRoute(source, other_group), FailsWith(EADDRNOTAVAIL)) << "a route that only the router of another namespace has";
      EXPECT_OK(theirs.AskInterface(4)) << "an interface of the socket's namespace";
      EXPECT_THAT(theirs.AskInterface(3), testing::AnyOf(FailsWith(EADDRNOTAVAIL), FailsWith(EINVAL))) << "an interface that only the router of another namespace has";
      EXPECT_OK(theirs.AskRoute(source, other_group)) << "a route of the socket's namespace";
      EXPECT_THAT(theirs.AskRoute(source, group), FailsWith(EADDRNOTAVAIL)) << "a route that only the router of another namespace has";
    });
  }
}
[[maybe_unused]] const bool asked = [] {
  for (bool six : {false, true})
    RegisterBetween("Sock", "MulticastRoutersAreAskedInTheirNamespace", six ? "Ipv6" : "Ipv4", __FILE__, __LINE__,
                    [six](Place& owner, Place& other) { RoutersAreAskedAtHome(six, owner, other); }, Covers("SOCK-24", "SOCK-14", "CREATE-23"),
                    Needs(Config(six ? "IPV6_MROUTE" : "IP_MROUTE"), Config("VETH")));
  return true;
}();

// DEV-28: the device of the interface "register" is bound to its namespace, in each table.
void RegisterDeviceStays(bool six, std::uint32_t table, Place& owner, Place& other) {
  const std::string device = (six ? "pim6reg" : "pimreg") + (table == RT_TABLE_DEFAULT ? std::string() : std::to_string(table));
  Undo undo([&] { (void)owner->DeleteLink("nsconf-m").ok(); });
  std::optional<Router> router(std::in_place, owner, six, table);
  const Status added = router->AddRegister(0);
  if (added.code() == EINVAL || added.code() == ENOBUFS || added.code() == EADDRNOTAVAIL)
    throw MissingNeed(six ? "needs-config:IPV6_PIMSM_V2" : "needs-config:IP_PIMSM_V2", "no interface for PIM can be made: " + added.error().ToString());
  ASSERT_OK(added);
  const int index = SETUP_OK(owner->LinkByName(device)).index;
  EXPECT_THAT(other->LinkByName(device), FailsWith(ENODEV)) << "it is made in another namespace, too";
  Actor there = other.ns.StartActor("there");
  AddDevice(owner, "nsconf-m");
  const int id = SETUP_OK(owner->GetNsid(other.ref())).nsid;
  if (id < 0) SETUP_OK(owner->NewNsid(other.ref()));
  const NsRef by_id = ByNsid(SETUP_OK(owner->GetNsid(other.ref())).nsid);
  for (const NsRef& to : {other.ref(), ByPid(there.pid()), by_id}) {
    EXPECT_THAT(owner->MoveLink(device, to), FailsWith(EINVAL)) << "the device is bound to its namespace: " << to.ToString();
    EXPECT_THAT(owner->MoveLink(index, to, {.new_name = "nsconf-n"}), FailsWith(EINVAL)) << "the device is bound to its namespace: " << to.ToString();
    const auto still = owner->LinkByName(device);
    ASSERT_OK(still) << "it has left";
    EXPECT_EQ(still->index, index) << "it stays as it was";
    EXPECT_THAT(other->LinkByName(device), FailsWith(ENODEV));
    EXPECT_THAT(other->LinkByName("nsconf-n"), FailsWith(ENODEV));
  }
  EXPECT_OK(owner->MoveLink("nsconf-m", by_id, {.new_name = "nsconf-m2"})) << "control: a device that is not bound";
  EXPECT_OK(other->DeleteLink("nsconf-m2"));
  router.reset();
  EXPECT_THAT(owner->LinkByName(device), FailsWith(ENODEV)) << "control: it goes with its router";
}
[[maybe_unused]] const bool registers = [] {
  for (bool six : {false, true})
    for (std::uint32_t table : {std::uint32_t{RT_TABLE_DEFAULT}, 4711u}) {
      Needs needs(Config(six ? "IPV6_MROUTE" : "IP_MROUTE"), Config(six ? "IPV6_PIMSM_V2" : "IP_PIMSM_V2"), Config("VETH"));
      if (table != RT_TABLE_DEFAULT) needs.list.push_back(Config(six ? "IPV6_MROUTE_MULTIPLE_TABLES" : "IP_MROUTE_MULTIPLE_TABLES"));
      RegisterBetween("Dev", "RegisterDevicesOfMulticastRoutersCannotBeMoved", std::string(six ? "Ipv6" : "Ipv4") + (table == RT_TABLE_DEFAULT ? "" : "OfAnotherTable"), __FILE__,
                      __LINE__, [six, table](Place& owner, Place& other) { RegisterDeviceStays(six, table, owner, other); }, Covers("DEV-28", "SOCK-24"), needs);
    }
  return true;
}();

// --- Listeners --------------------------------------------------------------------------------------------------------

/// A protocol that listens, in either family.
struct Listening {
  const char* name;
  int protocol;
  const char* symbol;
  std::vector<std::string> covers4, covers6;
};
// socket(7), SO_REUSEADDR: many may be bound to a port, and the first to listen takes it: in its namespace.
void ListeningTakesAPortInItsNamespace(const Listening& row, bool six, Place& owner, Place& other) {
  for (Place* place : {&owner, &other}) LoopbackUp(place->ns);
  const int domain = six ? AF_INET6 : AF_INET;
  if (auto probe = owner.ns.Socket(domain, SOCK_STREAM, row.protocol); !probe.ok()) RequireBuiltIn(probe.error(), row.symbol);
  for (const char* text : {six ? kLoopback6 : kLoopback4, six ? "::" : "0.0.0.0"}) {
    SCOPED_TRACE(text);
    const auto bound = [&](const Place& at) -> Result<Fd> {
      ASSIGN_OR_RETURN(Fd socket, at.ns.Socket(domain, SOCK_STREAM, row.protocol));
      RETURN_IF_ERROR(SetSockOpt(socket, SOL_SOCKET, SO_REUSEADDR, 1));
      RETURN_IF_ERROR(Bind(socket, Inet(text, 47481)));
      return socket;
    };
    Fd listener = SETUP_OK(bound(owner));
    ASSERT_OK_AND_ASSIGN(Fd second, bound(owner));
    ASSERT_OK_AND_ASSIGN(Fd early, bound(other));
    ASSERT_OK(Listen(listener));
    EXPECT_THAT(Listen(second), FailsWith(EADDRINUSE)) << "control: there is a listener in this namespace";
    EXPECT_OK(Listen(early)) << "listen(2): a listener of another namespace is in the way of one that was bound before";
    early.Reset();
    ASSERT_OK_AND_ASSIGN(Fd late, bound(other));
    EXPECT_OK(Listen(late)) << "listen(2): a listener of another namespace is in the way of one that was bound behind it";
    EXPECT_THAT(bound(other), FailsWith(EADDRINUSE)) << "control: now there is one in this namespace";
    listener.Reset();
    EXPECT_OK(Listen(second)) << "listen(2): given up in this namespace, only another one still has a listener";
  }
}
[[maybe_unused]] const bool listening = [] {
  static const Listening rows[] = {{"Tcp", 0, "INET", {"SOCK-01"}, {"SOCK-02"}},
                                   {"Mptcp", kMptcp, "MPTCP", {"SOCK-01"}, {"SOCK-02"}},
                                   {"Sctp", IPPROTO_SCTP, "IP_SCTP", {"SOCK-05"}, {"SOCK-05"}}};
  for (const Listening& row : rows)
    for (bool six : {false, true}) {
      Covers covers;
      covers.list = six ? row.covers6 : row.covers4;
      Needs needs(Config(row.symbol));
      if (six) needs.list.push_back(Config("IPV6"));
      RegisterBetween("Sock", "ListeningTakesAPortInItsNamespace", std::string(row.name) + (six ? "OverIpv6" : "OverIpv4"), __FILE__, __LINE__,
                      [&row, six](Place& owner, Place& other) { ListeningTakesAPortInItsNamespace(row, six, owner, other); }, covers, needs);
    }
  return true;
}();

// --- Echo sockets -----------------------------------------------------------------------------------------------------

constexpr unsigned kIdentifier = 47482;
// icmp(7): a datagram socket gets the replies that have its identifier. `other` has none with it, so that nobody there is to be told.
void EchoesAreOfTheNamespace(bool six, Place& owner, Place& other) {
  const SockAddr host = Inet(six ? kLoopback6 : kLoopback4), any = Inet(six ? "::" : "0.0.0.0");
  const int domain = six ? AF_INET6 : AF_INET, protocol = six ? int{IPPROTO_ICMPV6} : int{IPPROTO_ICMP};
  for (Place* place : {&owner, &other}) LoopbackUp(place->ns);
  const char* range = "net.ipv4.ping_group_range";
  const std::string before = SETUP_OK(owner.ns.Sysctl(range)), group = std::to_string(::getegid());
  Undo undo([&] { (void)owner.ns.SetSysctl(range, before).ok(); });
  SETUP_OK(owner.ns.SetSysctl(range, group + " " + group));
  // Messages as they are on the wire. (The kernel adds the checksum of ICMPv6.)
  const auto echo = [&](const std::string& text, unsigned identifier = kIdentifier) {
    const std::string rest = wire::B16(identifier) + wire::B16(1) + text;
    return six ? wire::B16(128 << 8) + wire::B16(0) + rest : wire::Icmp(8, 0, rest);
  };
  const auto unreachable = [&] {
    const std::string lost = echo("lost");
    if (!six) return wire::Icmp(3, 3, wire::B32(0) + wire::Ip(INADDR_LOOPBACK, INADDR_LOOPBACK, IPPROTO_ICMP, lost));
    const std::string loopback = std::string(15, '\0') + '\1';
    return wire::B16(1 << 8 | 4) + wire::B16(0) + wire::B32(0) + wire::B32(0x60000000) + wire::B16(static_cast<unsigned>(lost.size())) + wire::B16(IPPROTO_ICMPV6 << 8 | 64) +
           loopback + loopback + lost;
  };
  /// Sends an echo request, and waits until the namespace has had the reply to it.
  const auto ping = [&](const Fd& raw, const std::string& text, unsigned identifier) {
    SETUP_OK(SendTo(raw, echo(text, identifier), host));
    for (;;) {
      const std::string got = SETUP_OK(Receive(raw)).data;
      if (wire::At(got, six ? 0 : 20) == (six ? 129u : 0u) && got.find(text) != std::string::npos) return;
    }
  };
  /// What came before has come to whom it will when the replies to these are there.
  const auto fence = [&](const Fd& raw) {
    for (const char* text : {"fence1", "fence2"}) ping(raw, text, kIdentifier + 1);
  };
  const auto drain = [](const Fd& socket) {
    std::vector<std::string> all;
    while (Readable(socket)) {
      auto next = Receive(socket);
      all.push_back(next.ok() ? next->data : next.error().ToString());
    }
    return all;
  };
  for (const SockAddr& address : {host, any}) {
    SCOPED_TRACE("an echo socket that is bound to " + address.WithPort(kIdentifier).ToString());
    const Fd socket = SETUP_OK(owner.ns.Socket(domain, SOCK_DGRAM, protocol));
    SETUP_OK(SetSockOpt(socket, six ? int{IPPROTO_IPV6} : int{IPPROTO_IP}, six ? int{IPV6_RECVERR} : int{IP_RECVERR}, 1));
    SETUP_OK(Bind(socket, address.WithPort(kIdentifier)));
    const Fd there = SETUP_OK(other.ns.Socket(domain, SOCK_RAW, protocol)), here = SETUP_OK(owner.ns.Socket(domain, SOCK_RAW, protocol));
    ping(there, "stray", kIdentifier);
    fence(there);
    EXPECT_THAT(drain(socket), testing::IsEmpty()) << "icmp(7): an echo reply of another namespace came to it";
    EXPECT_THAT(drain(here), Not(Contains(testing::HasSubstr("stray")))) << "raw(7): an echo of another namespace came to a raw socket";
    SETUP_OK(SendTo(there, unreachable(), host));
    fence(there);
    EXPECT_THAT(drain(socket), testing::IsEmpty()) << "icmp(7): an error of another namespace came to it";
    // Of its own namespace.
    ping(here, "own", kIdentifier);
    EXPECT_THAT(Receive(socket), Holds(testing::Field(&Datagram::data, testing::EndsWith("own")))) << "control: a reply of the same namespace";
    SETUP_OK(SendTo(here, unreachable(), host));
    EXPECT_THAT(Receive(socket), FailsWith(ECONNREFUSED)) << "control: an error of the same namespace";
  }
}
[[maybe_unused]] const bool echoes = [] {
  for (bool six : {false, true})
    RegisterBetween("Sock", "EchoesReachTheSocketsOfTheirNamespaceOnly", six ? "Ipv6" : "Ipv4", __FILE__, __LINE__,
                    [six](Place& owner, Place& other) { EchoesAreOfTheNamespace(six, owner, other); }, Covers("STACK-04", "SOCK-09", "SOCK-18"), six ? Needs(Config("IPV6")) : Needs());
  return true;
}();

}  // namespace
}  // namespace netns
