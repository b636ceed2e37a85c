// SPDX-License-Identifier: GPL-2.0-or-later
// PROC: each file of /proc/net describes one namespace. A row makes an object in a namespace and says by which lines of
// which files it is seen; what is asserted of all rows is the same.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/in6.h>
#include <linux/mroute.h>
#include <linux/mroute6.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/if_pppox.h>
#include <linux/xfrm.h>
#include <net/ethernet.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <memory>
#include <sstream>

#include "fixtures/net_namespace.h"
#include "fixtures/netfilter.h"
#include "fixtures/netlink.h"
#include "fixtures/nic.h"
#include "fixtures/rtnl.h"
#include "fixtures/user_namespace.h"
#include "harness/assertions.h"
#include "harness/kernel_config.h"
#include "harness/registration.h"
#include "suites/support/conntrack_tuple.h"
#include "suites/support/may_use.h"
#include "suites/support/in_namespace.h"

namespace netns {
namespace {

using testing::Eq;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

/// Undoes what a row made. What is closed or deleted is gone from the files when this returns.
using Undo = std::function<void()>;

/// A file and what a line of it looks like that shows the object; the whole line where it is a predicate of its own.
struct Sight {
  std::string file;
  std::function<bool(const std::string& line)> shows;
  const char* config = "";  ///< the option without which the kernel has no such file
};
struct Made {
  std::vector<Sight> sights;
  Undo undo;
};

std::function<bool(const std::string&)> With(std::string text) {
  return [text = std::move(text)](const std::string& line) { return line.find(text) != std::string::npos; };
}

template <class... T>
std::string Format(const char* format, T... values) {
  char text[256];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}
/// An IPv4 address as /proc/net/route and tcp show it: the number as it lies in memory.
std::string Hex4(const char* address) {
  in_addr ip{};
  ::inet_pton(AF_INET, address, &ip);
  return Format("%08X", ip.s_addr);
}
/// An IPv6 address as if_inet6 and ipv6_route show it.
std::string Hex6(const char* address) {
  in6_addr ip{};
  ::inet_pton(AF_INET6, address, &ip);
  std::string text;
  for (unsigned char byte : ip.s6_addr) text += Format("%02x", byte);
  return text;
}

void Check(int code, const std::string& call) {
  if (code < 0) SETUP_OK(Status(ErrnoError(call)));
}
ino_t InodeOf(const Fd& socket) {
  struct stat info{};
  Check(::fstat(socket.get(), &info), "fstat");
  return info.st_ino;
}
/// A socket, or MISS where the kernel has not that family or protocol.
Fd SocketOr(const NetNamespace& ns, const char* config, int domain, int type, int protocol = 0) {
  return NeedsConfig(config, ns.Socket(domain, type, protocol), "socket");
}
std::shared_ptr<Fd> Keep(Fd fd) { return std::make_shared<Fd>(std::move(fd)); }

/// A pair of devices that are up, with addresses of both families on the first. Deleted by its own undo.
struct Devices {
  std::shared_ptr<Rtnl> rtnl;
  int one = 0, two = 0;
  Undo undo;
};
Devices AddDevices(const NetNamespace& ns) {
  Devices devices;
  devices.rtnl = std::make_shared<Rtnl>(RtnlIn(ns));
  if (!devices.rtnl->LinkByName("pn1").ok()) AddPair(*devices.rtnl, "pn1", "pn2");
  for (const char* name : {"pn1", "pn2"}) SETUP_OK(devices.rtnl->Up(name));
  devices.one = SETUP_OK(devices.rtnl->LinkByName("pn1")).index;
  devices.two = SETUP_OK(devices.rtnl->LinkByName("pn2")).index;
  // Their carrier is told later, and IPv6 starts its multicast anew then.
  for (const char* name : {"pn1", "pn2"})
    SETUP_OK(Eventually(std::string(name) + " to have carrier", [&] {
      auto link = devices.rtnl->LinkByName(name);
      return link.ok() && link->running();
    }));
  devices.undo = [rtnl = devices.rtnl] { SETUP_OK(rtnl->DeleteLink("pn1")); };
  return devices;
}

std::uint16_t constexpr kPort = 0x1F91;  // not used by anything else in a new namespace

/// A bound socket of IP, seen by its port (or protocol) in hexadecimal.
Made BoundSocket(const NetNamespace& ns, const char* config, int domain, int type, int protocol, std::vector<std::string> files, bool listens,
                 std::uint16_t shown) {
  auto socket = Keep(SocketOr(ns, config, domain, type, protocol));
  sockaddr_in four{};
  four.sin_family = AF_INET;
  four.sin_port = htons(shown);
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(shown);
  if (type == SOCK_RAW) four.sin_port = six.sin6_port = 0;
  Check(domain == AF_INET ? ::bind(socket->get(), reinterpret_cast<sockaddr*>(&four), sizeof four)
                          : ::bind(socket->get(), reinterpret_cast<sockaddr*>(&six), sizeof six),
        "bind");
  if (listens) Check(::listen(socket->get(), 5), "listen");
  Made made;
  for (auto& file : files) made.sights.push_back({file, With(Format(":%04X ", shown)), config});
  made.undo = [socket] { socket->Reset(); };
  return made;
}

Made UnixSocket(const NetNamespace& ns, int type, bool abstract) {
  auto socket = Keep(SETUP_OK(ns.Socket(AF_UNIX, type)));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  // One path for both namespaces would be one file: a name of its own for each.
  std::string text = abstract ? "pn-abstract-" + std::to_string(type) : "/tmp/pn-" + std::to_string(InodeOf(*socket));
  std::memcpy(name.sun_path + (abstract ? 1 : 0), text.data(), text.size());
  socklen_t size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + text.size() + 1);
  Check(::bind(socket->get(), reinterpret_cast<sockaddr*>(&name), size), "bind");
  Made made;
  made.sights = {{"unix", With(abstract ? "@" + text : std::string("/tmp/pn-"))}};
  made.undo = [socket] { socket->Reset(); };
  return made;
}

/// A packet socket; with `shared` as one of a fanout group, which the kernel registers in its place (packet(7), PACKET_FANOUT).
Made PacketSocket(const NetNamespace& ns, int type, bool bound, bool shared = false) {
  Devices devices = AddDevices(ns);
  auto socket = Keep(SocketOr(ns, "PACKET", AF_PACKET, type, 0));
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(bound ? ETH_P_ALL : 0x88B6);  // ptype lists of a device only what wants all; 88b6 is for experiments
  address.sll_ifindex = bound ? devices.two : 0;
  Check(::bind(socket->get(), reinterpret_cast<sockaddr*>(&address), sizeof address), "bind");
  const int fanout = 7 | PACKET_FANOUT_HASH << 16;
  if (shared) Check(::setsockopt(socket->get(), SOL_PACKET, PACKET_FANOUT, &fanout, sizeof fanout), "setsockopt(PACKET_FANOUT)");
  Made made;
  made.sights.push_back({"packet", With(bound ? " 0003 " : " 88b6 ")});
  made.sights.push_back({"ptype", With(bound ? " pn2 " : "88b6 ")});
  made.undo = [socket, undo = devices.undo] { socket->Reset(); undo(); };
  return made;
}

Made NetlinkSocketRow(const NetNamespace& ns, int protocol) {
  auto socket = Keep(SETUP_OK(ns.Socket(AF_NETLINK, SOCK_RAW, protocol)));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_pid = 0x7A110000u + static_cast<unsigned>(protocol);
  Check(::bind(socket->get(), reinterpret_cast<sockaddr*>(&address), sizeof address), "bind");
  Made made;
  made.sights = {{"netlink", With(Format(" %u ", address.nl_pid))}};
  made.undo = [socket] { socket->Reset(); };
  return made;
}

Made Group4(const NetNamespace& ns, bool with_source) {
  Devices devices = AddDevices(ns);
  auto socket = Keep(SETUP_OK(ns.Socket(AF_INET, SOCK_DGRAM)));
  if (with_source) {
    group_source_req request{};
    request.gsr_interface = static_cast<std::uint32_t>(devices.two);
    auto* group = reinterpret_cast<sockaddr_in*>(&request.gsr_group);
    auto* source = reinterpret_cast<sockaddr_in*>(&request.gsr_source);
    group->sin_family = source->sin_family = AF_INET;
    ::inet_pton(AF_INET, "232.1.2.3", &group->sin_addr);
    ::inet_pton(AF_INET, "198.51.100.77", &source->sin_addr);
    Check(::setsockopt(socket->get(), IPPROTO_IP, MCAST_JOIN_SOURCE_GROUP, &request, sizeof request), "MCAST_JOIN_SOURCE_GROUP");
  } else {
    ip_mreqn request{};
    ::inet_pton(AF_INET, "233.4.5.6", &request.imr_multiaddr);
    request.imr_ifindex = devices.one;
    Check(::setsockopt(socket->get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request), "IP_ADD_MEMBERSHIP");
  }
  Made made;
  if (with_source)
    made.sights = {{"igmp", With(Hex4("232.1.2.3"))}, {"mcfilter", With("0xe8010203")}};
  else
    made.sights = {{"igmp", With(Hex4("233.4.5.6"))}, {"dev_mcast", With("01005e040506")}};
  made.undo = [socket, undo = devices.undo] { socket->Reset(); undo(); };
  return made;
}

Made Group6(const NetNamespace& ns, bool with_source) {
  // mcfilter6 starts with the group that a device joined last; without a link-local address none comes later than ours.
  SETUP_OK(ns.SetSysctl("net/ipv6/conf/default/addr_gen_mode", "1"));
  Devices devices = AddDevices(ns);
  auto socket = Keep(SocketOr(ns, "IPV6", AF_INET6, SOCK_DGRAM));
  const char* group_text = with_source ? "ff35::77:1" : "ff05::77:2";
  if (with_source) {
    group_source_req request{};
    request.gsr_interface = static_cast<std::uint32_t>(devices.two);
    auto* group = reinterpret_cast<sockaddr_in6*>(&request.gsr_group);
    auto* source = reinterpret_cast<sockaddr_in6*>(&request.gsr_source);
    group->sin6_family = source->sin6_family = AF_INET6;
    ::inet_pton(AF_INET6, group_text, &group->sin6_addr);
    ::inet_pton(AF_INET6, "2001:db8::77", &source->sin6_addr);
    Check(::setsockopt(socket->get(), IPPROTO_IPV6, MCAST_JOIN_SOURCE_GROUP, &request, sizeof request), "MCAST_JOIN_SOURCE_GROUP");
  } else {
    ipv6_mreq request{};
    ::inet_pton(AF_INET6, group_text, &request.ipv6mr_multiaddr);
    request.ipv6mr_interface = static_cast<unsigned>(devices.one);
    Check(::setsockopt(socket->get(), IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &request, sizeof request), "IPV6_ADD_MEMBERSHIP");
  }
  Made made;
  if (with_source)
    made.sights = {{"igmp6", With(Hex6(group_text))}, {"mcfilter6", With(Hex6(group_text))}};
  else
    made.sights = {{"igmp6", With(Hex6(group_text))}, {"dev_mcast", With("333300770002")}};
  made.undo = [socket, undo = devices.undo] { socket->Reset(); undo(); };
  return made;
}

Made FlowLabel(const NetNamespace& ns) {
  LoopbackUp(ns);
  auto socket = Keep(SocketOr(ns, "IPV6", AF_INET6, SOCK_DGRAM));
  in6_flowlabel_req request{};
  request.flr_label = htonl(0x000A1B2C & 0xFFFFF);
  request.flr_action = IPV6_FL_A_GET;
  request.flr_share = IPV6_FL_S_USER;
  request.flr_flags = IPV6_FL_F_CREATE | IPV6_FL_F_EXCL;
  request.flr_linger = 6;
  request.flr_expires = 60;
  request.flr_dst = in6addr_loopback;
  Check(::setsockopt(socket->get(), IPPROTO_IPV6, IPV6_FLOWLABEL_MGR, &request, sizeof request), "IPV6_FLOWLABEL_MGR");
  Made made;
  made.sights = {{"ip6_flowlabel", With("A1B2C ")}};
  // A label lingers for seconds after its last owner: that it goes is not asked.
  made.undo = nullptr;
  auto keep = socket;
  made.sights[0].shows = [keep](const std::string& line) { return line.find("A1B2C ") != std::string::npos; };
  return made;
}

Made MulticastRouter(const NetNamespace& ns, bool six) {
  Devices devices = AddDevices(ns);
  SETUP_OK(devices.rtnl->AddAddress(six ? "2001:db8:3::1/64" : "198.51.100.1/24", "pn1", {.nodad = six}));
  auto socket = Keep(six ? SocketOr(ns, "IPV6", AF_INET6, SOCK_RAW, IPPROTO_ICMPV6) : SETUP_OK(ns.Socket(AF_INET, SOCK_RAW, IPPROTO_IGMP)));
  int one = 1;
  if (six) {
    if (::setsockopt(socket->get(), IPPROTO_IPV6, MRT6_INIT, &one, sizeof one) < 0)
      NeedsConfig("IPV6_MROUTE", Status(ErrnoError("MRT6_INIT")), "MRT6_INIT");
    mif6ctl mif{};
    mif.mif6c_mifi = 0;
    mif.mif6c_pifi = static_cast<std::uint16_t>(devices.one);
    Check(::setsockopt(socket->get(), IPPROTO_IPV6, MRT6_ADD_MIF, &mif, sizeof mif), "MRT6_ADD_MIF");
    mf6cctl route{};
    route.mf6cc_origin.sin6_family = route.mf6cc_mcastgrp.sin6_family = AF_INET6;
    ::inet_pton(AF_INET6, "2001:db8:3::9", &route.mf6cc_origin.sin6_addr);
    ::inet_pton(AF_INET6, "ff05::99", &route.mf6cc_mcastgrp.sin6_addr);
    Check(::setsockopt(socket->get(), IPPROTO_IPV6, MRT6_ADD_MFC, &route, sizeof route), "MRT6_ADD_MFC");
  } else {
    if (::setsockopt(socket->get(), IPPROTO_IP, MRT_INIT, &one, sizeof one) < 0)
      NeedsConfig("IP_MROUTE", Status(ErrnoError("MRT_INIT")), "MRT_INIT");
    vifctl vif{};
    vif.vifc_vifi = 0;
    vif.vifc_threshold = 1;
    ::inet_pton(AF_INET, "198.51.100.1", &vif.vifc_lcl_addr);
    Check(::setsockopt(socket->get(), IPPROTO_IP, MRT_ADD_VIF, &vif, sizeof vif), "MRT_ADD_VIF");
    mfcctl route{};
    ::inet_pton(AF_INET, "198.51.100.9", &route.mfcc_origin);
    ::inet_pton(AF_INET, "233.9.9.9", &route.mfcc_mcastgrp);
    Check(::setsockopt(socket->get(), IPPROTO_IP, MRT_ADD_MFC, &route, sizeof route), "MRT_ADD_MFC");
  }
  Made made;
  if (six)
    made.sights = {{"ip6_mr_vif", With("pn1")}, {"ip6_mr_cache", With("ff05:0000:0000:0000:0000:0000:0000:0099")}};
  else
    made.sights = {{"ip_mr_vif", With("pn1")}, {"ip_mr_cache", With(Hex4("233.9.9.9"))}};
  made.undo = [socket, undo = devices.undo] { socket->Reset(); undo(); };
  return made;
}

/// A connection tracking entry, made by hand: no packet and no hook is needed.
Made Conntrack(const NetNamespace& ns) {
  auto netlink = std::make_shared<NetlinkSocket>(
      SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER)))));
  nfgenmsg header{};
  header.nfgen_family = AF_INET;
  Request add(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL);
  add.Header(header);
  NestTuple(add, CTA_TUPLE_ORIG, IPPROTO_UDP, "192.0.2.21", "192.0.2.22", 4021, 4022);
  NestTuple(add, CTA_TUPLE_REPLY, IPPROTO_UDP, "192.0.2.22", "192.0.2.21", 4022, 4021);
  add.Be32(CTA_TIMEOUT, 600);
  auto added = netlink->Ack(add);
  if (added.code() == EINVAL || added.code() == ENOTSUP)
    throw MissingNeed("needs-config:NF_CT_NETLINK", "connection tracking cannot be reached by netlink: " + added.error().ToString());
  SETUP_OK(std::move(added));
  Made made;
  made.sights = {{"nf_conntrack", With("src=192.0.2.21 "), "NF_CONNTRACK_PROCFS"},
                 // One line per CPU, the first column is the number of entries of the namespace.
                 {"stat/nf_conntrack", [](const std::string& line) { return line.starts_with("00000001"); }, "NF_CONNTRACK_PROCFS"}};
  made.undo = [netlink, header] {
    Request flush(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE);
    flush.Header(header);
    SETUP_OK(netlink->Ack(flush));
  };
  return made;
}

/// NFQUEUE number or NFLOG group 5, bound.
Made NetfilterListener(const NetNamespace& ns, bool queue) {
  auto netlink = std::make_shared<std::optional<NetlinkSocket>>(
      SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER)))));
  nfgenmsg header{};
  header.res_id = htons(5);
  Request bind(static_cast<std::uint16_t>(queue ? NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_CONFIG : NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG));
  bind.Header(header);
  if (queue) {
    nfqnl_msg_config_cmd command{};
    command.command = NFQNL_CFG_CMD_BIND;
    bind.Raw(NFQA_CFG_CMD, std::as_bytes(std::span(&command, 1)));
  } else {
    nfulnl_msg_config_cmd command{};
    command.command = NFULNL_CFG_CMD_BIND;
    bind.Raw(NFULA_CFG_CMD, std::as_bytes(std::span(&command, 1)));
  }
  auto bound = (*netlink)->Ack(bind);
  if (bound.code() == EINVAL)
    throw MissingNeed(queue ? "needs-config:NETFILTER_NETLINK_QUEUE" : "needs-config:NETFILTER_NETLINK_LOG",
                      "nfnetlink has no such subsystem: " + bound.error().ToString());
  SETUP_OK(std::move(bound));
  Made made;
  made.sights = {{queue ? "netfilter/nfnetlink_queue" : "netfilter/nfnetlink_log", [](const std::string& line) {
                    return std::istringstream(line).good() && std::atoi(line.c_str()) == 5;
                  }}};
  made.undo = [netlink] { netlink->reset(); };
  return made;
}

Made NfLog(const NetNamespace& ns) {
  const std::string file = "net/netfilter/nf_log/2";
  if (!ns.HasSysctl(file)) throw MissingNeed("needs-config:NETFILTER_ADVANCED", "the kernel has no nf_log");
  std::string old = SETUP_OK(ns.Sysctl(file));
  std::ignore = ListenToNflog(ns, 4242);  // brings the module, which a name in the file does not
  if (auto set = ns.SetSysctl(file, "nfnetlink_log"); !set.ok())
    throw MissingNeed("needs-config:NETFILTER_NETLINK_LOG", "the logger nfnetlink_log is not there: " + set.error().ToString());
  Made made;
  made.sights = {{"netfilter/nf_log", [](const std::string& line) { return line.starts_with(" 2 nfnetlink_log"); }}};
  made.undo = [&ns, file, old] { SETUP_OK(ns.SetSysctl(file, old)); };
  return made;
}

/// The first question about a legacy table makes it, in the namespace of the socket.
Made LegacyTable(const NetNamespace& ns, int domain, int level, int option, const char* file, const char* config, const char* table) {
  auto socket = Keep(SocketOr(ns, config, domain, SOCK_RAW, IPPROTO_RAW));
  alignas(8) char info[128] = {};  // struct ipt_getinfo and its kin: the name comes first
  std::strcpy(info, table);
  socklen_t size = level == SOL_IP && option == 96 ? 68 : 84;  // struct arpt_getinfo has no hooks but three
  if (::getsockopt(socket->get(), level, option, info, &size) < 0) {
    int code = errno;
    if (NotCompiledIn(code) || code == ENOENT)
      throw MissingNeed(std::string("needs-config:") + config, "the legacy table '" + std::string(table) + "' cannot be used: " + ErrnoName(code));
    SETUP_OK(Status(Error{code, "getsockopt(IPT_SO_GET_INFO)"}));
  }
  Made made;
  made.sights = {{file, [name = std::string(table)](const std::string& line) { return line == name; }, config}};
  return made;  // a table stays as long as its namespace
}

Made Vlan(const NetNamespace& ns) {
  Devices devices = AddDevices(ns);
  LinkSpec vlan{.name = "pnvlan", .kind = "vlan", .link = "pn1"};
  vlan.data = [](Request& data) { data.U16(1 /* IFLA_VLAN_ID */, 77); };
  NeedsConfig("VLAN_8021Q", devices.rtnl->AddLink(vlan), "a VLAN device");
  Made made;
  made.sights = {{"vlan/config", With("pnvlan"), "PROC_FS"}, {"vlan/pnvlan", With("pnvlan  VID: 77")}};
  made.undo = [rtnl = devices.rtnl, undo = devices.undo] { SETUP_OK(rtnl->DeleteLink("pnvlan")); undo(); };
  return made;
}

Made Bond(const NetNamespace& ns) {
  auto rtnl = std::make_shared<Rtnl>(RtnlIn(ns));
  NeedsConfig("BONDING", rtnl->AddLink({.name = "pnbond", .kind = "bond"}), "a bonding device");
  Made made;
  made.sights = {{"bonding/pnbond", With("Bonding Mode")}};
  made.undo = [rtnl] { SETUP_OK(rtnl->DeleteLink("pnbond")); };
  return made;
}

Made Sctp(const NetNamespace& ns, int type) {
  return BoundSocket(ns, "IP_SCTP", AF_INET, type, IPPROTO_SCTP, {}, true, kPort);
}

/// drivers/net/ppp/pppoe.c: a session over one of its devices.
Made PppoeSession(const NetNamespace& ns) {
  Devices devices = AddDevices(ns);
  auto socket = Keep(SocketOr(ns, "PPPOE", AF_PPPOX, SOCK_STREAM, PX_PROTO_OE));
  sockaddr_pppox session{};
  session.sa_family = AF_PPPOX;
  session.sa_protocol = PX_PROTO_OE;
  session.sa_addr.pppoe.sid = htons(7);
  session.sa_addr.pppoe.remote[0] = 2;
  session.sa_addr.pppoe.remote[5] = 0x37;
  std::strcpy(session.sa_addr.pppoe.dev, "pn1");
  sockaddr_storage address{};  // the structure is packed, and so not aligned as connect(2) has it
  std::memcpy(&address, &session, sizeof session);
  Check(::connect(socket->get(), reinterpret_cast<const sockaddr*>(&address), sizeof session), "connect(PPPoE)");
  return {{{"pppoe", With("02:00:00:00:00:37")}}, [socket, undo = devices.undo] { socket->Reset(), undo(); }};
}

void BindToAllCanDevices(const Fd& socket) {
  struct {
    sa_family_t family = 29;  // AF_CAN
    int device = 0;
    unsigned char rest[16] = {};
  } all;
  Check(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&all), sizeof all), "bind(AF_CAN)");
}

/// Documentation/networking/can.rst, "rcvlist_all": who gets the frames of all devices.
Made CanReceiver(const NetNamespace& ns) {
  auto socket = Keep(SocketOr(ns, "CAN_RAW", 29 /* AF_CAN */, SOCK_RAW, 1 /* CAN_RAW */));
  BindToAllCanDevices(*socket);
  return {{{"can/rcvlist_all", With(" raw")}}, [socket] { socket->Reset(); }};
}

/// The same of those who want some frames only; each list is a file, by the kind of the filter.
Made CanFilters(const NetNamespace& ns) {
  constexpr unsigned kInverted = 0x20000000U, kErrors = 0x20000000U, kExtended = 0x80000000U, kRemote = 0x40000000U;
  auto socket = Keep(SocketOr(ns, "CAN_RAW", 29 /* AF_CAN */, SOCK_RAW, 1 /* CAN_RAW */));
  struct Filter {
    unsigned id, mask;
  };
  const Filter filters[] = {{0x123, 0x7FF | kExtended | kRemote}, {0x12345 | kExtended, 0x1FFFFFFF | kExtended | kRemote}, {0x120, 0x7F0}, {0x321 | kInverted, 0x7FF}};
  Check(::setsockopt(socket->get(), 101 /* SOL_CAN_RAW */, 1 /* CAN_RAW_FILTER */, filters, sizeof filters), "setsockopt(CAN_RAW_FILTER)");
  const unsigned errors = kErrors - 1;
  Check(::setsockopt(socket->get(), 101, 2 /* CAN_RAW_ERR_FILTER */, &errors, sizeof errors), "setsockopt(CAN_RAW_ERR_FILTER)");
  BindToAllCanDevices(*socket);
  Made made;
  for (const char* file : {"can/rcvlist_sff", "can/rcvlist_eff", "can/rcvlist_fil", "can/rcvlist_inv", "can/rcvlist_err"}) made.sights.push_back({file, With(" raw")});
  made.undo = [socket] { socket->Reset(); };
  return made;
}

/// net/rxrpc/proc.c: a service has a local endpoint, which goes some time after its socket.
Made RxrpcService(const NetNamespace& ns) {
  LoopbackUp(ns);
  auto socket = Keep(SocketOr(ns, "AF_RXRPC", 33 /* AF_RXRPC */, SOCK_DGRAM, AF_INET));
  struct {
    sa_family_t family = 33;
    std::uint16_t service = 52, type = SOCK_DGRAM, length = sizeof(sockaddr_in);
    sockaddr_in transport{};
    char rest[12] = {};
  } address;
  address.transport.sin_family = AF_INET;
  address.transport.sin_port = htons(7052);
  address.transport.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  Check(::bind(socket->get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), "bind(RxRPC service)");
  return {{{"rxrpc/locals", With("127.0.0.1:7052 ")}}, [socket] { socket->Reset(); }};
}

/// A row of the table.
struct Row {
  const char* name;
  std::vector<const char*> covers;
  std::vector<const char*> configs;
  std::function<Made(const NetNamespace&)> make;
};

const std::vector<Row>& Rows() {
  static const std::vector<Row> rows = {
      {"Dev", {"PROC-09"}, {"VETH"},
       [](auto& ns) {
         auto devices = AddDevices(ns);
         Made made{{{"dev", With("pn1:")}, {"dev", With("pn2:")}}, devices.undo};
         if (ns.ReadProcNet("if_inet6").ok())
           for (const char* file : {"dev_snmp6/pn1", "dev_snmp6/pn2"}) made.sights.push_back({file, With("ifIndex")});
         return made;
       }},
      {"Routes", {"PROC-10"}, {"VETH"},
       [](auto& ns) {
         auto devices = AddDevices(ns);
         SETUP_OK(devices.rtnl->AddRoute({.to = "203.0.113.0/24", .dev = "pn1"}));
         SETUP_OK(devices.rtnl->AddRoute({.to = "203.0.112.0/24", .dev = "pn2", .table = 300}));
         return Made{{{"route", With(Hex4("203.0.113.0"))}, {"fib_trie", With("203.0.113.0")}, {"fib_trie", With("203.0.112.0")}}, devices.undo};
       }},
      {"LocalRoutes", {"PROC-10"}, {"VETH"},
       [](auto& ns) {
         auto devices = AddDevices(ns);
         SETUP_OK(devices.rtnl->AddAddress("198.51.100.66/24", "pn2"));
         return Made{{{"route", With(Hex4("198.51.100.0"))}, {"fib_trie", With("198.51.100.66")}}, devices.undo};
       }},
      {"Ipv6Routes", {"PROC-11"}, {"VETH", "IPV6"},
       [](auto& ns) {
         auto devices = AddDevices(ns);
         SETUP_OK(devices.rtnl->AddRoute({.to = "2001:db8:7::/64", .dev = "pn1"}));
         SETUP_OK(devices.rtnl->AddRoute({.to = "2001:db8:8::/64", .dev = "pn2", .table = 300}));
         return Made{{{"ipv6_route", With(Hex6("2001:db8:7::"))}}, devices.undo};
       }},
      {"Ipv6Addresses", {"PROC-12", "PROC-11"}, {"VETH", "IPV6"},
       [](auto& ns) {
         auto devices = AddDevices(ns);
         SETUP_OK(devices.rtnl->AddAddress("2001:db8:9::1/64", "pn1", {.nodad = true}));
         SETUP_OK(devices.rtnl->AddAddress("2001:db8:9::2/64", "pn2", {.nodad = true}));
         return Made{{{"if_inet6", With(Hex6("2001:db8:9::1"))}, {"if_inet6", With(Hex6("2001:db8:9::2"))}, {"ipv6_route", With(Hex6("2001:db8:9::2"))}},
                     devices.undo};
       }},
      {"Arp", {"PROC-13"}, {"VETH"},
       [](auto& ns) {
         auto devices = AddDevices(ns);
         SETUP_OK(devices.rtnl->AddNeighbour({.to = "192.0.2.9", .address = "02:00:00:00:0a:09", .dev = "pn1"}));
         SETUP_OK(devices.rtnl->AddNeighbour({.to = "192.0.2.10", .address = "02:00:00:00:0a:0a", .dev = "pn2"}));
         SETUP_OK(devices.rtnl->AddNeighbour({.to = "192.0.2.11", .dev = "pn1", .flags = NTF_PROXY}));
         return Made{{{"arp", With("192.0.2.9 ")}, {"arp", With("192.0.2.10 ")}, {"arp", With("192.0.2.11 ")}}, devices.undo};
       }},
      {"Tcp", {"PROC-14"}, {}, [](auto& ns) { return BoundSocket(ns, "INET", AF_INET, SOCK_STREAM, 0, {"tcp"}, true, kPort); }},
      {"Tcp6", {"PROC-14"}, {"IPV6"}, [](auto& ns) { return BoundSocket(ns, "IPV6", AF_INET6, SOCK_STREAM, 0, {"tcp6"}, true, kPort); }},
      {"Udp", {"PROC-15"}, {}, [](auto& ns) { return BoundSocket(ns, "INET", AF_INET, SOCK_DGRAM, 0, {"udp"}, false, kPort); }},
      {"Udp6", {"PROC-15"}, {"IPV6"}, [](auto& ns) { return BoundSocket(ns, "IPV6", AF_INET6, SOCK_DGRAM, 0, {"udp6"}, false, kPort); }},
      {"UdpLite", {"PROC-15"}, {}, [](auto& ns) { return BoundSocket(ns, "UDPLITE", AF_INET, SOCK_DGRAM, 136, {"udplite"}, false, kPort); }},
      {"UdpLite6", {"PROC-15"}, {"IPV6"}, [](auto& ns) { return BoundSocket(ns, "UDPLITE", AF_INET6, SOCK_DGRAM, 136, {"udplite6"}, false, kPort); }},
      {"Raw", {"PROC-16"}, {}, [](auto& ns) { return BoundSocket(ns, "INET", AF_INET, SOCK_RAW, 253, {"raw"}, false, 253); }},
      {"Raw6", {"PROC-16"}, {"IPV6"}, [](auto& ns) { return BoundSocket(ns, "IPV6", AF_INET6, SOCK_RAW, 253, {"raw6"}, false, 253); }},
      {"Ping", {"PROC-16"}, {},
       [](auto& ns) {
         SETUP_OK(ns.SetSysctl("net/ipv4/ping_group_range", "0 0"));
         return BoundSocket(ns, "INET", AF_INET, SOCK_DGRAM, IPPROTO_ICMP, {"icmp"}, false, kPort);
       }},
      {"Ping6", {"PROC-16"}, {"IPV6"},
       [](auto& ns) {
         SETUP_OK(ns.SetSysctl("net/ipv4/ping_group_range", "0 0"));
         return BoundSocket(ns, "IPV6", AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6, {"icmp6"}, false, kPort);
       }},
      {"UnixAbstractStream", {"PROC-17"}, {"UNIX"}, [](auto& ns) { return UnixSocket(ns, SOCK_STREAM, true); }},
      {"UnixAbstractDatagram", {"PROC-17"}, {"UNIX"}, [](auto& ns) { return UnixSocket(ns, SOCK_DGRAM, true); }},
      {"UnixPathname", {"PROC-17"}, {"UNIX"}, [](auto& ns) { return UnixSocket(ns, SOCK_SEQPACKET, false); }},
      {"PacketBound", {"PROC-18", "PROC-31"}, {"PACKET", "VETH"}, [](auto& ns) { return PacketSocket(ns, SOCK_RAW, true); }},
      {"PacketOfAllDevices", {"PROC-18", "PROC-31"}, {"PACKET", "VETH"}, [](auto& ns) { return PacketSocket(ns, SOCK_DGRAM, false); }},
      {"PacketFanout", {"PROC-18", "PROC-31"}, {"PACKET", "VETH"}, [](auto& ns) { return PacketSocket(ns, SOCK_DGRAM, false, true); }},
      {"NetlinkRoute", {"PROC-19"}, {}, [](auto& ns) { return NetlinkSocketRow(ns, NETLINK_ROUTE); }},
      {"NetlinkGeneric", {"PROC-19"}, {}, [](auto& ns) { return NetlinkSocketRow(ns, NETLINK_GENERIC); }},
      {"NetlinkUevent", {"PROC-19"}, {}, [](auto& ns) { return NetlinkSocketRow(ns, NETLINK_KOBJECT_UEVENT); }},
      {"Igmp", {"PROC-20"}, {"IP_MULTICAST", "VETH"}, [](auto& ns) { return Group4(ns, false); }},
      {"IgmpSource", {"PROC-20"}, {"IP_MULTICAST", "VETH"}, [](auto& ns) { return Group4(ns, true); }},
      {"Mld", {"PROC-20"}, {"IPV6", "VETH"}, [](auto& ns) { return Group6(ns, false); }},
      {"MldSource", {"PROC-20"}, {"IPV6", "VETH"}, [](auto& ns) { return Group6(ns, true); }},
      {"Anycast6", {"PROC-33"}, {"IPV6", "VETH"},
       [](auto& ns) {
         auto devices = AddDevices(ns);
         SETUP_OK(ns.SetSysctl("net/ipv6/conf/all/forwarding", "1"));  // a router joins the anycast address of its subnets
         SETUP_OK(devices.rtnl->AddAddress("2001:db8:a::1/64", "pn2", {.nodad = true}));
         return Made{{{"anycast6", With(Hex6("2001:db8:a::"))}}, devices.undo};
       }},
      {"FlowLabel", {"PROC-33"}, {"IPV6"}, [](auto& ns) { return FlowLabel(ns); }},
      {"MulticastRouting", {"PROC-27"}, {"IP_MROUTE", "VETH"}, [](auto& ns) { return MulticastRouter(ns, false); }},
      {"Ipv6MulticastRouting", {"PROC-27"}, {"IPV6_MROUTE", "VETH"}, [](auto& ns) { return MulticastRouter(ns, true); }},
      {"Conntrack", {"PROC-23", "FW-07"}, {"NF_CONNTRACK", "NF_CT_NETLINK"}, [](auto& ns) { return Conntrack(ns); }},
      {"NfQueue", {"PROC-25", "FW-11"}, {"NETFILTER_NETLINK_QUEUE"}, [](auto& ns) { return NetfilterListener(ns, true); }},
      {"NfLogGroup", {"PROC-25", "FW-12"}, {"NETFILTER_NETLINK_LOG"}, [](auto& ns) { return NetfilterListener(ns, false); }},
      {"NfLog", {"PROC-25", "FW-14"}, {"NETFILTER_NETLINK_LOG"}, [](auto& ns) { return NfLog(ns); }},
      {"IpTablesFilter", {"PROC-24", "FW-05"}, {"IP_NF_FILTER"}, [](auto& ns) { return LegacyTable(ns, AF_INET, SOL_IP, 64, "ip_tables_names", "IP_NF_FILTER", "filter"); }},
      {"IpTablesNat", {"PROC-24", "FW-05"}, {"IP_NF_NAT"}, [](auto& ns) { return LegacyTable(ns, AF_INET, SOL_IP, 64, "ip_tables_names", "IP_NF_NAT", "nat"); }},
      {"Ip6TablesFilter", {"PROC-24", "FW-05"}, {"IP6_NF_FILTER"}, [](auto& ns) { return LegacyTable(ns, AF_INET6, SOL_IPV6, 64, "ip6_tables_names", "IP6_NF_FILTER", "filter"); }},
      {"Ip6TablesMangle", {"PROC-24", "FW-05"}, {"IP6_NF_MANGLE"}, [](auto& ns) { return LegacyTable(ns, AF_INET6, SOL_IPV6, 64, "ip6_tables_names", "IP6_NF_MANGLE", "mangle"); }},
      {"ArpTables", {"PROC-24", "FW-05", "FW-06"}, {"IP_NF_ARPFILTER"}, [](auto& ns) { return LegacyTable(ns, AF_INET, SOL_IP, 96, "arp_tables_names", "IP_NF_ARPFILTER", "filter"); }},
      {"Vlan", {"PROC-26"}, {"VLAN_8021Q", "VETH"}, [](auto& ns) { return Vlan(ns); }},
      {"Bonding", {"PROC-26"}, {"BONDING"}, [](auto& ns) { return Bond(ns); }},
      {"SctpEndpoints", {"PROC-28"}, {"IP_SCTP"},
       [](auto& ns) {
         Made made = Sctp(ns, SOCK_SEQPACKET);
         made.sights = {{"sctp/eps", With(Format(" %d ", kPort))}};
         return made;
       }},
      {"SctpEndpointsOfStreams", {"PROC-28"}, {"IP_SCTP"},
       [](auto& ns) {
         Made made = Sctp(ns, SOCK_STREAM);
         made.sights = {{"sctp/eps", With(Format(" %d ", kPort))}};
         return made;
       }},
      {"PppoeSessions", {"PROC-28", "VIRT-21"}, {"PPPOE", "VETH"}, [](auto& ns) { return PppoeSession(ns); }},
      {"CanReceivers", {"PROC-28", "VIRT-22"}, {"CAN", "CAN_RAW"}, [](auto& ns) { return CanReceiver(ns); }},
      {"CanFilters", {"PROC-28", "VIRT-22"}, {"CAN", "CAN_RAW"}, [](auto& ns) { return CanFilters(ns); }},
      {"RxrpcServices", {"PROC-28", "SOCK-27"}, {"AF_RXRPC"}, [](auto& ns) { return RxrpcService(ns); }},
      {"KeySockets", {"PROC-28"}, {"NET_KEY"},
       [](auto& ns) {
         auto socket = Keep(SocketOr(ns, "NET_KEY", 15 /* AF_KEY */, SOCK_RAW, 2));
         // Nothing else is in this file: any line below the heading is the socket.
         return Made{{{"pfkey", [](const std::string& line) { return !line.empty() && line.find("RefCnt") == std::string::npos; }}},
                     [socket] { socket->Reset(); }};
       }},
  };
  return rows;
}

/// The lines of a file that show the object; nothing where there is no such file.
std::optional<int> Count(const Result<std::string>& text, const Sight& sight) {
  if (!text.ok()) return std::nullopt;
  int count = 0;
  std::istringstream stream(*text);
  for (std::string line; std::getline(stream, line);)
    if (sight.shows(line)) ++count;
  return count;
}

// proc_pid_net(5): "Various files and subdirectories, all of which expose information about the network stack" - of one.
void ShowsOnlyItsNamespace(const Row& row) {
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  auto creator = NetNamespace::Current();
  Actor in_a = a.StartActor("in-a"), in_b = b.StartActor("in-b");
  auto seen = [](const NetNamespace& ns, const Sight& sight) { return Count(ns.ReadProcNet(sight.file), sight).value_or(0); };
  auto by_pid = [](Actor& reader, const Actor& of, const Sight& sight) {
    return Count(reader.Run([&] { return ReadFile(of.Proc("net/" + sight.file)); }), sight).value_or(0);
  };
  Made in_first = row.make(a);
  std::vector<Sight> sights;
  for (const Sight& sight : in_first.sights) {
    auto text = a.ReadProcNet(sight.file);
    if (!text.ok() && text.code() == ENOENT && *sight.config != '\0') continue;  // the file itself is an option of the kernel
    ASSERT_OK(std::move(text));
    sights.push_back(sight);
  }
  if (sights.empty())
    throw MissingNeed(std::string("needs-config:") + in_first.sights.front().config, "this kernel has no /proc/net/" + in_first.sights.front().file);
  // IPv6 does some of its work later; what must be there is waited for.
  auto listed = [&](const std::string& where, const std::function<int()>& count, bool wanted) {
    return Eventually((wanted ? "the object to be listed in " : "the object to be gone from ") + where,
                      [&] { return (count() > 0) == wanted; }, Deadline::In(std::chrono::seconds(10)));
  };
  for (const Sight& sight : sights) {
    SCOPED_TRACE("/proc/net/" + sight.file);
    EXPECT_OK(listed("its own namespace", [&] { return seen(a, sight); }, true)) << "control";
    EXPECT_EQ(seen(b, sight), 0) << "listed in a sibling";
    EXPECT_EQ(seen(creator, sight), 0) << "listed in the creator's namespace";
    EXPECT_OK(listed("/proc/PID/net of a process in the namespace, read from a sibling", [&] { return by_pid(in_b, in_a, sight); }, true));
    EXPECT_EQ(by_pid(in_a, in_b, sight), 0) << "/proc/PID/net of a process in a sibling, read from inside";
  }
  // The same in the second one: a clash of names, ports and numbers.
  std::vector<int> alone;
  for (const Sight& sight : sights) alone.push_back(seen(a, sight));
  Made in_second = row.make(b);
  for (std::size_t i = 0; i < sights.size(); ++i) {
    SCOPED_TRACE("/proc/net/" + sights[i].file);
    EXPECT_OK(listed("its own namespace, the second", [&] { return seen(b, sights[i]); }, true)) << "control";
    if (!in_first.undo) {
      EXPECT_EQ(seen(a, sights[i]), alone[i]) << "the listing of the first namespace grew";
    }
    EXPECT_EQ(seen(creator, sights[i]), 0) << "listed in the creator's namespace";
    EXPECT_EQ(seen(NetNamespace::Create(), sights[i]), 0) << "listed in a new namespace";
  }
  if (in_first.undo) {
    in_first.undo();
    for (const Sight& sight : sights) {
      SCOPED_TRACE("/proc/net/" + sight.file);
      EXPECT_OK(listed("its own namespace", [&] { return seen(a, sight); }, false)) << "the object of the sibling is still there";
      EXPECT_OK(listed("the second namespace", [&] { return seen(b, sight); }, true)) << "only that of the first was taken away";
    }
  }
  if (in_second.undo) in_second.undo();
}

/// Tells how many there are, not which: somebody else's traffic is in it, where a module has all namespaces tracked.
bool IsACount(const Sight& sight) { return sight.file == "stat/nf_conntrack"; }

// The initial namespace is where a kernel puts, or finds, what it forgets to ask the namespace of: both ways.
void ShowsNothingOfTheInitialNamespace(const Row& row) {
  const std::string name = row.name;
  auto initial = InitialNetNamespace();
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  auto seen = [](const NetNamespace& ns, const Sight& sight) { return Count(ns.ReadProcNet(sight.file), sight).value_or(0); };
  // Tables that stay when they are not used any more, and may be there already.
  const bool stays = name.starts_with("IpTables") || name.starts_with("Ip6Tables") || name == "ArpTables";
  Made made = row.make(a);
  std::vector<Sight> sights;
  for (const Sight& sight : made.sights)
    if (!IsACount(sight) && a.ReadProcNet(sight.file).ok()) sights.push_back(sight);
  if (sights.empty())
    throw MissingNeed(std::string("needs-config:") + made.sights.front().config, "this kernel has no /proc/net/" + made.sights.front().file);
  std::vector<int> before;
  for (const Sight& sight : sights) {
    SCOPED_TRACE("/proc/net/" + sight.file);
    EXPECT_OK(Eventually("the object to be listed in its own namespace", [&] { return seen(a, sight) > 0; }, Deadline::In(std::chrono::seconds(10)))) << "control";
    before.push_back(seen(initial, sight));
    if (!stays) {
      EXPECT_EQ(before.back(), 0) << "proc_pid_net(5): an object of another namespace is listed in the initial one";
    }
  }
  Made another = row.make(b);
  for (std::size_t i = 0; i < sights.size(); ++i)
    EXPECT_EQ(seen(initial, sights[i]), before[i]) << "/proc/net/" << sights[i].file << ": an object of another namespace is listed in the initial one";
  for (Made* each : {&made, &another})
    if (each->undo) each->undo();
  // And of the initial namespace; what cannot be taken away again is not made there.
  if (!made.undo) return;
  std::vector<std::pair<std::string, std::string>> settings;
  for (const char* file : {"net/ipv6/conf/default/addr_gen_mode", "net/ipv6/conf/all/forwarding", "net/ipv4/ping_group_range"})
    if (const auto value = initial.Sysctl(file); value.ok()) settings.emplace_back(file, *value);
  Made there = row.make(initial);
  auto fresh = NetNamespace::Create(), born = initial.In([] { return NetNamespace::Create(); });
  for (const Sight& sight : sights) {
    SCOPED_TRACE("/proc/net/" + sight.file);
    EXPECT_OK(Eventually("the object to be listed in the initial namespace", [&] { return seen(initial, sight) > 0; }, Deadline::In(std::chrono::seconds(10)))) << "control";
    for (const NetNamespace* each : {&a, &fresh, &born})
      EXPECT_EQ(seen(*each, sight), 0) << "proc_pid_net(5): an object of the initial namespace is listed in another one";
  }
  there.undo();
  for (const auto& [file, value] : settings) std::ignore = initial.SetSysctl(file, value);
  for (const Sight& sight : sights)
    EXPECT_OK(Eventually("the object to be gone from the initial namespace", [&] { return seen(initial, sight) == 0; }, Deadline::In(std::chrono::seconds(10))))
        << "control: /proc/net/" << sight.file;
}

const bool rows = [] {
  for (const Row& row : Rows()) {
    const auto add = [&](const char* name, void (*body)(const Row&), bool initial) {
      TestSpec spec;
      spec.suite = "Proc";
      spec.name = std::string(name) + "/" + row.name;
      spec.file = __FILE__;
      spec.line = __LINE__;
      for (const char* id : row.covers) spec.covers.push_back(id);
      spec.needs.push_back(Config("PROC_FS"));
      for (const char* symbol : row.configs) spec.needs.push_back(Config(symbol));
      if (initial) spec.needs.push_back(Machine());
      spec.exclusive = initial;
      const Row* at = &row;
      spec.make = [at, body] { return new BodyTest([at, body] { body(*at); }); };
      AllTests().push_back(std::move(spec));
    };
    add("FileShowsOnlyItsNamespace", ShowsOnlyItsNamespace, false);
    add("FileShowsNothingOfTheInitialNamespace", ShowsNothingOfTheInitialNamespace, true);
  }
  return true;
}();

// network_namespaces(7): when a namespace is freed, its resources go: its own. One of everything is in a namespace that stays
// and in one that ends. Some rows do not go together (two protocols on one port): these are in a second pair, or a third.
NETNS_TEST(Life, TheEndOfANamespaceTakesNothingOfAnother, Covers("LIFE-01", "PROC-37"), Needs(Config("PROC_FS"), UserNs()), Within{std::chrono::seconds(60)}) {
  constexpr int kPairs = 4;
  struct Object {
    const char* name;
    const NetNamespace& where;
    Made made;
    std::vector<bool> seen;
  };
  auto count = [](const NetNamespace& ns, const Sight& sight) { return Count(ns.ReadProcNet(sight.file), sight).value_or(0); };
  FreedOracle oracle(kPairs);
  std::vector<NetNamespace> stay;
  stay.reserve(kPairs);
  std::vector<Object> objects;
  {
    std::vector<NetNamespace> doomed;
    doomed.reserve(kPairs);
    std::vector<Made> of_doomed;
    for (const Row& row : Rows()) {
      if (std::any_of(row.configs.begin(), row.configs.end(), [](const char* symbol) { return KernelConfig::Running().Value(symbol) == 'n' || !MayUse(symbol); })) continue;
      for (std::size_t pair = 0; pair < kPairs; ++pair) {
        if (pair == stay.size()) {
          stay.push_back(NetNamespace::Create());
          doomed.push_back(oracle.Create());
        }
        try {
          objects.push_back({row.name, stay[pair], row.make(stay[pair]), {}});
          of_doomed.push_back(row.make(doomed[pair]));
          break;
        } catch (const MissingNeed&) {
          break;
        } catch (const SetupFailure&) {
          if (pair + 1 == kPairs) throw;
        }
      }
    }
    for (Object& object : objects)
      for (const Sight& sight : object.made.sights) {
        const bool there = !IsACount(sight) && object.where.ReadProcNet(sight.file).ok();
        // mcfilter6 starts with the group that a device joined last, whoever did.
        if (there && sight.file != "mcfilter6") {
          EXPECT_OK(Eventually("the object to be listed", [&] { return count(object.where, sight) > 0; }, Deadline::In(std::chrono::seconds(10)))) << "control: " << object.name;
        }
        object.seen.push_back(there && count(object.where, sight) > 0);
      }
  }
  ASSERT_GT(objects.size(), 10u) << "control: there is something to be lost";
  // All of them have ended when there is room for as many again.
  std::vector<NetNamespace> again;
  for (int i = 0; i < kPairs; ++i) again.push_back(SETUP_OK(oracle.CreateWhenRoom()));
  for (const Object& object : objects)
    for (std::size_t i = 0; i < object.made.sights.size(); ++i) {
      const Sight& sight = object.made.sights[i];
      if (!object.seen[i]) continue;
      EXPECT_GT(count(object.where, sight), 0)
          << object.name << ", /proc/net/" << sight.file << ": network_namespaces(7): what this namespace has was taken when another one ended";
    }
}

}  // namespace
}  // namespace netns
