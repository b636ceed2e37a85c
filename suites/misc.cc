// SPDX-License-Identifier: GPL-2.0-or-later
// MISC: what else the kernel keeps for each network namespace, or does for the initial one only: counters of protocols,
// netdev generic netlink, ids of namespaces in messages of others, keys, helper programs; and creation under fire.
#include <arpa/inet.h>
#include <linux/genetlink.h>
#include <linux/if_bridge.h>
#include <linux/keyctl.h>
#include <linux/openvswitch.h>
#include <linux/tls.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cstddef>
#include <functional>
#include <optional>
#include <sstream>

#include "fixtures/link_monitor.h"
#include "fixtures/nic.h"
#include "fixtures/sockets.h"
#include "fixtures/user_namespace.h"
#include "harness/child.h"
#include "suites/support/listener.h"
#include "suites/support/place.h"
#include "suites/support/watched.h"

namespace netns {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

// ----------------------------------------------------------------------------------------------------------- counters

/// "Name value" of a file of /proc/net, or the column under the title in a table of two lines each (netstat, snmp).
std::optional<long long> Counter(const NetNamespace& ns, const std::string& file, const std::string& name) {
  const auto text = ns.ReadProcNet(file);
  if (!text.ok()) return std::nullopt;
  std::istringstream lines(*text);
  std::vector<std::string> titles;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream in(line);
    std::vector<std::string> words{std::istream_iterator<std::string>(in), {}};
    if (words.size() == 2 && words[0] == name) return std::stoll(words[1]);
    if (!words.empty() && !titles.empty() && words[0] == titles[0]) {
      for (std::size_t i = 1; i < words.size() && i < titles.size(); ++i)
        if (titles[i] == name) return std::stoll(words[i]);
      titles.clear();
    } else {
      titles = words;
    }
  }
  return std::nullopt;
}

constexpr std::uint16_t kPort = 8443;

struct Connection {
  Fd listener, client, server;
};
Connection ConnectAt(const NetNamespace& ns, const char* loopback, int protocol = 0) {
  Rtnl rtnl = SETUP_OK(Rtnl::In(ns));
  SETUP_OK(rtnl.Up("lo"));
  Connection made;
  const SockAddr at = Inet(loopback, kPort);
  auto opened = ns.Socket(at.family(), SOCK_STREAM, protocol);
  if (protocol != 0 && !opened.ok()) RequireBuiltIn(opened.error(), "MPTCP");
  made.listener = SETUP_OK(std::move(opened));
  SETUP_OK(Bind(made.listener, at));
  SETUP_OK(Listen(made.listener));
  made.client = SETUP_OK(ns.Socket(at.family(), SOCK_STREAM, protocol));
  SETUP_OK(Connect(made.client, at));
  made.server = SETUP_OK(Accept(made.listener));
  return made;
}

/// Gives the connection to the kernel's TLS, in one direction.
Status StartTls(const Fd& socket, int direction) {
  Status attached = SetSockOpt(socket, IPPROTO_TCP, TCP_ULP, std::string_view("tls"));
  if (attached.code() == ENOENT || attached.code() == ENOPROTOOPT) RequireBuiltIn(attached, "TLS");
  RETURN_IF_ERROR(std::move(attached));
  tls12_crypto_info_aes_gcm_128 keys{};
  keys.info.version = TLS_1_2_VERSION;
  keys.info.cipher_type = TLS_CIPHER_AES_GCM_128;
  return SetSockOpt(socket, SOL_TLS, direction, keys);
}

// Documentation/networking/tls.rst: "/proc/net/tls_stat ... number of TX and RX sessions opened".
void TlsSessionsAreCountedInTheirNamespace(const char* loopback) {
  Place a, b;
  Connection in_a = ConnectAt(a.ns, loopback), in_b = ConnectAt(b.ns, loopback);
  auto count = [](Place& place, const char* name) { return Counter(place.ns, "tls_stat", name).value_or(-1); };
  Status started = StartTls(in_a.client, TLS_TX);
  if (started.code() == ENOENT)
    throw MissingNeed("needs-config:CRYPTO_GCM", "the kernel has no gcm(aes): " + started.error().ToString(), "use a kernel with CONFIG_CRYPTO_GCM");
  SETUP_OK(std::move(started));
  if (count(a, "TlsCurrTxSw") < 0) throw MissingNeed("needs-feature:tls-stat", "there is no /proc/net/tls_stat (before 5.5)", "", LinuxVersion{5, 5});
  EXPECT_EQ(count(a, "TlsCurrTxSw"), 1) << "control: its own";
  EXPECT_EQ(count(a, "TlsTxSw"), 1) << "control: its own";
  EXPECT_EQ(count(a, "TlsCurrRxSw"), 0) << "control: the other direction";
  EXPECT_EQ(count(b, "TlsCurrTxSw"), 0);
  EXPECT_EQ(count(b, "TlsTxSw"), 0);
  SETUP_OK(StartTls(in_b.server, TLS_RX));
  EXPECT_EQ(count(b, "TlsCurrRxSw"), 1);
  EXPECT_EQ(count(b, "TlsRxSw"), 1);
  EXPECT_EQ(count(a, "TlsCurrRxSw"), 0);
  EXPECT_EQ(count(a, "TlsRxSw"), 0);
  Place later;
  for (const char* name : {"TlsCurrTxSw", "TlsTxSw", "TlsCurrRxSw", "TlsRxSw"}) EXPECT_EQ(count(later, name), 0) << name << " of a new one";
  // A session that ends is one less where it was. Both have one in the same direction now.
  SETUP_OK(StartTls(in_b.client, TLS_TX));
  EXPECT_EQ(count(b, "TlsCurrTxSw"), 1) << "control";
  in_a.client.Reset();
  EXPECT_EVENTUALLY("the end of the session to be counted where it was", [&] { return count(a, "TlsCurrTxSw") == 0; });
  EXPECT_EQ(count(b, "TlsCurrTxSw"), 1) << "the end of a session of another namespace was counted";
  EXPECT_EQ(count(later, "TlsCurrTxSw"), 0) << "the end of a session of another namespace was counted";
  EXPECT_EQ(count(a, "TlsTxSw"), 1) << "control: there has been one";
}
NETNS_TEST(Misc, TlsSessionsAreCountedInTheirNamespaceOverIpv4, Covers("MISC-05", "PROC-29"), Needs(Config("TLS"))) {
  TlsSessionsAreCountedInTheirNamespace(kLoopback4);
}
NETNS_TEST(Misc, TlsSessionsAreCountedInTheirNamespaceOverIpv6, Covers("MISC-05", "PROC-29"), Needs(Config("TLS"), Config("IPV6"))) {
  TlsSessionsAreCountedInTheirNamespace(kLoopback6);
}

// Documentation/networking/mptcp: counters of MPTcpExt in /proc/net/netstat.
NETNS_TEST(Misc, MptcpConnectionsAreCountedInTheirNamespace, Covers("MISC-05"), Needs(Config("MPTCP"), Config("IPV6"))) {
  Place a, b;
  const char* const names[] = {"MPCapableSYNRX", "MPCapableACKRX"};
  auto count = [](Place& place, const char* name) { return Counter(place.ns, "netstat", name).value_or(-1); };
  SETUP_OK(b->Up("lo"));
  const Connection plain = ConnectAt(a.ns, kLoopback4);
  for (const char* name : names) EXPECT_EQ(count(a, name), 0) << name << ", control: plain TCP";
  const Connection connection = ConnectAt(a.ns, kLoopback6, 262 /* IPPROTO_MPTCP */);
  EXPECT_EVENTUALLY("the handshake to be counted", [&] { return count(a, names[1]) == 1; });
  for (const char* name : names) {
    EXPECT_EQ(count(a, name), 1) << name << ", control: its own";
    EXPECT_EQ(count(b, name), 0) << name;
  }
}

// ------------------------------------------------------------------------------------------------------ netdev netlink

// netlink/specs/netdev.yaml (linux/netdev.h, which is younger than what this builds with).
constexpr std::uint8_t kDevGet = 1, kDevAdded = 2, kDevDeleted = 3, kQueueGet = 10, kQstatsGet = 12;
constexpr std::uint16_t kDevIfindex = 1, kQueueIfindex = 2, kQstatsIfindex = 1;

class NetdevFamily {
 public:
  explicit NetdevFamily(const Place& place)
      : socket_(SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(place.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC))))) {
    auto found = socket_.ResolveFamily("netdev");
    if (found.code() == ENOENT) throw MissingNeed("needs-feature:netdev-genl", "there is no generic netlink family 'netdev' (before 6.3)", "", LinuxVersion{6, 3});
    family_ = SETUP_OK(std::move(found));
  }
  Request Make(std::uint8_t command, const char* what) const {
    Request request(family_.id);
    request.Named(what).Header(genlmsghdr{.cmd = command, .version = 1});
    return request;
  }
  Status Ask(int index) { return Done(socket_.Get(Make(kDevGet, "dev-get").U32(kDevIfindex, static_cast<std::uint32_t>(index)))); }
  /// The devices that a dump speaks of; nothing where the kernel does not know the command.
  std::optional<std::set<int>> Dump(std::uint8_t command, std::uint16_t attribute) {
    auto dump = socket_.Dump(Make(command, "a dump of netdev"));
    if (dump.code() == EOPNOTSUPP) return std::nullopt;
    std::set<int> indexes;
    for (const Message& message : SETUP_OK(std::move(dump)))
      indexes.insert(static_cast<int>(message.AttributesAfter<genlmsghdr>().U32(attribute).value_or(0)));
    return indexes;
  }
  const GenericFamily& family() const { return family_; }

 private:
  static Status Done(Result<Message> answer) {
    if (!answer.ok()) return answer.error();
    return Ok();
  }
  NetlinkSocket socket_;
  GenericFamily family_;
};

NETNS_TEST(Misc, NetdevNetlinkTellsOfDevicesOfItsNamespace, Covers("MISC-08"), Needs(Config("VETH"))) {
  Place a, b;
  Place nested = Place::Inside(a);
  NetdevFamily in_a(a), in_b(b), in_nested(nested);
  RequireBuiltIn(a->AddVeth("west", {.name = "east", .index = 4002, .netns_fd = b.fd()}, {.index = 4001}), "VETH");
  SETUP_OK(a->AddVeth("outer", {.name = "inner", .index = 4004, .netns_fd = nested.fd()}, {.index = 4003}));
  for (auto [place, name] : {std::pair(&a, "west"), std::pair(&b, "east"), std::pair(&a, "outer"), std::pair(&nested, "inner")})
    SETUP_OK((*place)->Up(name));  // queues are listed while their device is up
  using Indexes = std::set<int>;
  const struct {
    NetdevFamily& family;
    Place& place;
    Indexes mine, others;
  } all[] = {{in_a, a, {4001, 4003}, {4002, 4004}}, {in_b, b, {4002}, {4001, 4003, 4004}}, {in_nested, nested, {4004}, {4001, 4002, 4003}}};
  for (const auto& [family, place, mine, others] : all) {
    Indexes links;
    for (const Link& link : SETUP_OK(place->Links())) links.insert(link.index);
    EXPECT_EQ(family.Dump(kDevGet, kDevIfindex), links) << "dev-get lists what RTM_GETLINK lists";
    for (int index : mine) EXPECT_OK(family.Ask(index)) << "control: its own, " << index;
    for (int index : others) EXPECT_THAT(family.Ask(index), FailsWith(ENODEV)) << index << " is a device of another namespace";
    if (const auto queues = family.Dump(kQueueGet, kQueueIfindex)) {
      Indexes running(mine);
      if (queues->contains(1)) running.insert(1);
      EXPECT_EQ(*queues, running) << "queue-get";
    }
    for (int index : family.Dump(kQstatsGet, kQstatsIfindex).value_or(Indexes{})) {
      EXPECT_TRUE(links.contains(index)) << "qstats-get tells of device " << index;
    }
  }
}

NETNS_TEST(Misc, NetdevNotificationsStayInTheNamespace, Covers("MISC-08"), Needs(Config("VETH"), Config("BRIDGE"))) {
  Place a, b;
  NetdevFamily family(a);
  ASSERT_TRUE(family.family().groups.contains("mgmt")) << "control";
  auto listen = [&](Place& place) {
    return SETUP_OK(RtnlMonitor::Adopt(SETUP_OK(place.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC)), {family.family().groups.at("mgmt")}));
  };
  auto in_a = listen(a), in_b = listen(b);
  auto tells = [](std::uint8_t command, int index) {
    return [command, index](const Message& message) {
      return message.Header<genlmsghdr>().cmd == command && message.AttributesAfter<genlmsghdr>().U32(kDevIfindex) == static_cast<std::uint32_t>(index);
    };
  };
  AddBridge(a, "moves-not", {.index = 5001});
  const int moves = AddDevice(a, "moves", {.index = 5002});
  EXPECT_OK(in_a.Until(tells(kDevAdded, 5001), "news of the first device"));
  EXPECT_OK(in_a.Until(tells(kDevAdded, moves), "news of the second"));
  SETUP_OK(a->MoveLink("moves", b.ref()));
  EXPECT_OK(in_a.Until(tells(kDevDeleted, moves), "the source to be told"));
  ASSERT_OK_AND_ASSIGN(auto in_b_until, in_b.Through(tells(kDevAdded, moves), "the target to be told"));
  for (const Message& message : in_b_until)
    EXPECT_NE(message.AttributesAfter<genlmsghdr>().U32(kDevIfindex), std::optional<std::uint32_t>(5001)) << "a device of the other namespace";
  SETUP_OK(a->DeleteLink("moves-not"));
  EXPECT_OK(in_a.Until(tells(kDevDeleted, 5001), "news of the end of the first"));
  AddBridge(b, "fence", {.index = 5003});
  ASSERT_OK_AND_ASSIGN(in_b_until, in_b.Through(tells(kDevAdded, 5003), "news of the fence"));
  for (const Message& message : in_b_until)
    EXPECT_NE(message.AttributesAfter<genlmsghdr>().U32(kDevIfindex), std::optional<std::uint32_t>(5001)) << "a device of the other namespace";
}

// ---------------------------------------------------------------------------------------------- ids in others' messages

constexpr std::uint16_t kNdaLinkNetnsid = 10;  // NDA_LINK_NETNSID

/// NDA_LINK_NETNSID of the entry of a device's table that leads to `to`.
Result<std::optional<int>> NsidOfEntry(Place& at, int device, const std::string& to) {
  ndmsg header{};
  header.ndm_family = AF_BRIDGE;
  ASSIGN_OR_RETURN(const auto entries, at->socket().Dump(Request(RTM_GETNEIGH).Header(header).Named("dump the forwarding tables")));
  in_addr wanted{};
  ::inet_pton(AF_INET, to.c_str(), &wanted);
  for (const Message& message : entries) {
    const auto attributes = message.AttributesAfter<ndmsg>();
    if (message.Header<ndmsg>().ndm_ifindex == device && attributes.U32(NDA_DST) == wanted.s_addr) {
      const auto id = attributes.S32(kNdaLinkNetnsid);
      return id ? std::optional<int>(*id) : std::nullopt;
    }
  }
  return Error{ENOENT, "a forwarding entry to " + to};
}

// linux/neighbour.h NDA_LINK_NETNSID: where a VXLAN device sends, if that is another namespace than its own.
NETNS_TEST(Misc, ForwardingEntriesTellTheNamespaceInWhichATunnelSends, Covers("MISC-07"), Needs(Config("VXLAN"))) {
  Place a, b, c;
  auto add = [](Place& place, const char* name, std::uint32_t id) {
    Status added = place->AddLink({.name = name, .kind = "vxlan", .data = [id](Request& r) { r.U32(IFLA_VXLAN_ID, id).Be16(IFLA_VXLAN_PORT, 4789); }});
    RequireBuiltIn(added, "VXLAN");
    SETUP_OK(std::move(added));
  };
  auto forward = [](Place& place, const char* name, const std::string& to) {
    in_addr address{};
    ::inet_pton(AF_INET, to.c_str(), &address);
    SETUP_OK(place->AddForwarding({.to = "", .address = "02:00:00:00:00:0" + to.substr(to.size() - 1), .dev = name, .flags = NTF_SELF,
                                   .more = [&](Request& r) { r.U32(NDA_DST, address.s_addr); }}));
    return SETUP_OK(place->LinkByName(name)).index;
  };
  add(a, "stays", 1);
  add(a, "goes", 2);
  // Ids are numbers of the namespace that has them: they differ.
  for (auto [place, of, id] : {std::tuple(&b, &c, 20), std::tuple(&b, &a, 21), std::tuple(&a, &b, 22), std::tuple(&c, &a, 23)}) SETUP_OK((*place)->NewNsid(of->ref(), id));
  SETUP_OK(a->MoveLink("goes", b.ref()));
  Listener told_in_a(a, {RTNLGRP_NEIGH}), told_in_b(b, {RTNLGRP_NEIGH});
  const auto ids_told = [](Listener& listener) {
    std::vector<std::optional<int>> ids;
    for (const Message& message : listener.Heard())
      if (message.type() == RTM_NEWNEIGH) ids.push_back(message.AttributesAfter<ndmsg>().S32(kNdaLinkNetnsid));
    return ids;
  };
  const int stays = forward(a, "stays", "192.0.2.7"), goes = forward(b, "goes", "192.0.2.8");
  EXPECT_THAT(NsidOfEntry(a, stays, "192.0.2.7"), Holds(testing::Eq(std::nullopt))) << "control: it sends in its own namespace";
  EXPECT_THAT(NsidOfEntry(b, goes, "192.0.2.8"), Holds(testing::Eq(std::optional(21)))) << "the id that the device's namespace has for the one in which it sends";
  // (6.12 tells it twice, the second time without the id; 6.18 once.)
  EXPECT_THAT(ids_told(told_in_a), testing::AllOf(testing::Not(testing::IsEmpty()), testing::Each(std::nullopt))) << "a notification, control: it sends in its own namespace";
  EXPECT_THAT(ids_told(told_in_b), testing::AllOf(testing::Contains(std::optional(21)), testing::Each(testing::AnyOf(std::optional(21), std::nullopt)))) << "a notification";
  // In a third namespace it is another number.
  SETUP_OK(b->MoveLink("goes", c.ref()));
  const int further = forward(c, "goes", "192.0.2.6");
  EXPECT_THAT(NsidOfEntry(c, further, "192.0.2.6"), Holds(testing::Eq(std::optional(23))));
  SETUP_OK(c->MoveLink("goes", b.ref()));
  // Home again: the same.
  SETUP_OK(b->MoveLink("goes", a.ref()));
  const int home = forward(a, "goes", "192.0.2.9");
  EXPECT_THAT(NsidOfEntry(a, home, "192.0.2.9"), Holds(testing::Eq(std::nullopt))) << "it is back where it sends";
}

struct OvsHeader {
  genlmsghdr generic;
  ovs_header ovs;
};

// netlink/specs/ovs_vport.yaml netnsid.
NETNS_TEST(Misc, OpenVswitchTellsTheNamespaceOfAPort, Covers("MISC-07"), Needs(Config("OPENVSWITCH"))) {
  Place a, b;
  auto socket = SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(a.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC))));
  auto family = socket.ResolveFamily(OVS_DATAPATH_FAMILY);
  if (!family.ok()) RequireBuiltIn(family.error(), "OPENVSWITCH");
  const auto datapaths = SETUP_OK(std::move(family)).id;
  const auto ports = SETUP_OK(socket.ResolveFamily(OVS_VPORT_FAMILY)).id;
  Request dp(datapaths);
  dp.Named("add datapath dp0").Header(genlmsghdr{.cmd = OVS_DP_CMD_NEW, .version = OVS_DATAPATH_VERSION}).Header(ovs_header{});
  SETUP_OK(socket.Ack(dp.Text(OVS_DP_ATTR_NAME, "dp0").U32(OVS_DP_ATTR_UPCALL_PID, 0)));
  const int datapath = SETUP_OK(a->LinkByName("dp0")).index;
  for (const char* name : {"stays", "goes"}) {
    Request port(ports);
    port.Named(std::string("add port ") + name).Header(genlmsghdr{.cmd = OVS_VPORT_CMD_NEW, .version = OVS_VPORT_VERSION});
    port.Header(ovs_header{datapath}).Text(OVS_VPORT_ATTR_NAME, name).U32(OVS_VPORT_ATTR_TYPE, OVS_VPORT_TYPE_INTERNAL).U32(OVS_VPORT_ATTR_UPCALL_PID, 0);
    SETUP_OK(socket.Ack(port));
  }
  constexpr int b_in_a = 31;
  SETUP_OK(a->NewNsid(b.ref(), b_in_a));
  SETUP_OK(b->NewNsid(a.ref(), 32));  // the other way round it is another number
  SETUP_OK(a->MoveLink("goes", b.ref()));
  SETUP_OK(b->LinkByName("goes"));
  Request list(ports);
  list.Named("list the ports").Header(genlmsghdr{.cmd = OVS_VPORT_CMD_GET, .version = OVS_VPORT_VERSION}).Header(ovs_header{datapath});
  std::map<std::string, std::optional<int>> ids;
  for (const Message& message : SETUP_OK(socket.Dump(list))) {
    const auto attributes = message.AttributesAfter<OvsHeader>();
    const auto id = attributes.S32(OVS_VPORT_ATTR_NETNSID);
    ids[attributes.Text(OVS_VPORT_ATTR_NAME).value_or("?")] = id ? std::optional<int>(*id) : std::nullopt;
  }
  EXPECT_EQ(ids["goes"], std::optional(b_in_a)) << "a port whose device is in another namespace";
  EXPECT_EQ(ids["stays"], std::nullopt) << "control: one that is here";
  EXPECT_EQ(ids["dp0"], std::nullopt) << "control: one that is here";
}

// ------------------------------------------------------------------------------------------------------------- keys

using Serial = std::int32_t;
Result<Serial> AddKey(const char* type, const char* name, const std::string& payload) {
  const long serial = ::syscall(SYS_add_key, type, name, payload.empty() ? nullptr : payload.data(), payload.size(), KEY_SPEC_SESSION_KEYRING);
  if (serial < 0) return ErrnoError(std::string("add_key(") + type + ")");
  return static_cast<Serial>(serial);
}
Result<Serial> SearchKey(const char* type, const char* name) {
  const long serial = ::syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, type, name, 0);
  if (serial < 0) return ErrnoError(std::string("keyctl(KEYCTL_SEARCH, ") + type + ")");
  return static_cast<Serial>(serial);
}

/// An actor with a session keyring of its own.
Actor StartSession() {
  Actor actor = Actor::Start("one session");
  actor.Run([] {
    if (::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr) < 0) {
      if (errno == ENOSYS) throw MissingNeed("needs-config:KEYS", "the kernel has no keys", "use a kernel with CONFIG_KEYS");
      SETUP_OK(Status(ErrnoError("keyctl(KEYCTL_JOIN_SESSION_KEYRING)")));
    }
  });
  return actor;
}
template <class T>
T NeedsKeyType(Result<T> added, const char* symbol) {
  if (added.code() == ENODEV) RequireBuiltIn(Error{EOPNOTSUPP, added.error().call}, symbol);
  return SETUP_OK(std::move(added));
}

using TwoNamespaces = std::function<void(const NetNamespace& a, const NetNamespace& b)>;

NetNamespace MadeBy(Actor& container) {
  return container.Run([] { return NetNamespace::Create(); });
}
/// Two namespaces, whoever owns them.
void WhoeverOwnsThem(const TwoNamespaces& body) {
  const auto between = [&](const char* which, const NetNamespace& a, const NetNamespace& b) {
    SCOPED_TRACE(which);
    body(a, b);
  };
  Actor container = StartNamespaceRoot("container"), other = StartNamespaceRoot("another container");
  const auto own = NetNamespace::Create(), of_container = MadeBy(container);
  between("two namespaces of one owner", own, NetNamespace::Create());
  between("one of the test, and one of a child user namespace", own, of_container);
  between("two of one child user namespace", of_container, MadeBy(container));
  between("two of two child user namespaces", of_container, MadeBy(other));
}
/// The same beside the initial namespace.
void InitialAndWhoever(const TwoNamespaces& body) {
  const auto initial = InitialNetNamespace(), own = NetNamespace::Create();
  Actor container = StartNamespaceRoot("container");
  const auto of_container = MadeBy(container);
  for (const auto& [which, ns] : {std::pair("one of the same owner", &own), std::pair("one of a child user namespace", &of_container)}) {
    SCOPED_TRACE(std::string("the initial namespace, and ") + which);
    body(initial, *ns);
    body(*ns, initial);
  }
}

// include/linux/key.h KEY_TYPE_NET_DOMAIN: keys of a type that is about the network belong to the namespace in which they
// were added: equal names in one keyring are two keys.
void KeysAreOfOneNamespace(const NetNamespace& a, const NetNamespace& b) {
  Actor actor = StartSession();
  auto add = [&](const NetNamespace& where, const char* type) {
    SETUP_OK(actor.Enter(where.fd()));
    return actor.Run([&] { return AddKey(type, "host.example", std::string("192.0.2.1") + '\0'); });
  };
  auto keys = [&] {
    return actor.Run([] {
      std::vector<Serial> serials(64);
      const long size = ::syscall(SYS_keyctl, KEYCTL_READ, KEY_SPEC_SESSION_KEYRING, serials.data(), serials.size() * sizeof(Serial));
      if (size < 0) SETUP_OK(Status(ErrnoError("keyctl(KEYCTL_READ)")));
      serials.resize(static_cast<std::size_t>(size) / sizeof(Serial));
      return serials;
    });
  };
  NeedsKeyType(add(a, "dns_resolver"), "DNS_RESOLVER");
  const Serial in_a = SETUP_OK(add(a, "dns_resolver"));
  EXPECT_THAT(keys(), ElementsAre(in_a)) << "control: added again, it displaces the first";
  const Serial in_b = SETUP_OK(add(b, "dns_resolver"));
  EXPECT_THAT(keys(), UnorderedElementsAre(in_a, in_b)) << "added in another namespace, it is another key";
  const Serial again = SETUP_OK(add(a, "dns_resolver"));
  EXPECT_THAT(keys(), UnorderedElementsAre(again, in_b)) << "and displaces that of its namespace";
  const Serial plain = SETUP_OK(add(a, "user"));
  EXPECT_THAT(add(b, "user"), Holds(plain)) << "control: a key that is not about the network";
}
NETNS_TEST(Misc, KeysOfTheNetworkAreOfOneNamespace, Covers("MISC-09"), Needs(UserNs(), Config("KEYS"), Config("DNS_RESOLVER"))) {
  WhoeverOwnsThem(KeysAreOfOneNamespace);
}
NETNS_TEST(Misc, KeysOfTheNetworkAreNotOfTheInitialNamespace, Covers("MISC-09"), Needs(Machine(), UserNs(), Config("KEYS"), Config("DNS_RESOLVER"))) {
  InitialAndWhoever(KeysAreOfOneNamespace);
}

void KeysAreFoundFromTheirNamespace(const NetNamespace& a, const NetNamespace& b) {
  (void)::close(::socket(AF_RXRPC, SOCK_DGRAM | SOCK_CLOEXEC, AF_INET));  // asks for the module that brings the type
  Actor actor = StartSession();
  auto search = [&](const NetNamespace& where, const char* type) {
    SETUP_OK(actor.Enter(where.fd()));
    return actor.Run([&] { return SearchKey(type, "cell.example"); });
  };
  SETUP_OK(actor.Enter(a.fd()));
  const Serial in_a = NeedsKeyType(actor.Run([&] { return AddKey("rxrpc", "cell.example", ""); }), "AF_RXRPC");
  const Serial plain = actor.Run([&] { return SETUP_OK(AddKey("user", "cell.example", "x")); });
  EXPECT_THAT(search(a, "rxrpc"), Holds(in_a)) << "control: from its own namespace";
  EXPECT_THAT(search(b, "user"), Holds(plain)) << "control: a key that is not about the network";
  EXPECT_THAT(search(b, "rxrpc"), FailsWith(ENOKEY)) << "from another namespace, in the same keyring";
  const Serial in_b = actor.Run([&] { return SETUP_OK(AddKey("rxrpc", "cell.example", "")); });
  EXPECT_THAT(search(b, "rxrpc"), Holds(in_b));
  EXPECT_THAT(search(a, "rxrpc"), Holds(in_a));
}
NETNS_TEST(Misc, KeysOfTheNetworkAreFoundFromTheirNamespace, Covers("MISC-09"), Needs(UserNs(), Config("KEYS"), Config("AF_RXRPC"))) {
  WhoeverOwnsThem(KeysAreFoundFromTheirNamespace);
}
NETNS_TEST(Misc, KeysOfTheNetworkAreNotFoundFromTheInitialNamespace, Covers("MISC-09"), Needs(Machine(), UserNs(), Config("KEYS"), Config("AF_RXRPC"))) {
  InitialAndWhoever(KeysAreFoundFromTheirNamespace);
}

// --------------------------------------------------------------------------------------------------- helper programs

/// The smallest program that ends well: an ELF file of one segment, exit(0).
std::string DoNothingProgram() {
#if defined(__x86_64__)
  std::string code("\xb8\x3c\x00\x00\x00\x31\xff\x0f\x05", 9);  // mov eax, 60; xor edi, edi; syscall
  constexpr std::uint16_t machine = 62;
#elif defined(__aarch64__)
  std::string code("\xa8\x0b\x80\xd2\x00\x00\x80\xd2\x01\x00\x00\xd4", 12);  // mov x8, 93; mov x0, 0; svc 0
  constexpr std::uint16_t machine = 183;
#else
  throw MissingNeed("needs-feature:program", "no helper program for this architecture");
  std::string code;
  constexpr std::uint16_t machine = 0;
#endif
  constexpr std::uint64_t base = 0x400000, head = 64 + 56;
  std::string file("\x7f" "ELF\x02\x01\x01\0\0\0\0\0\0\0\0\0", 16);
  auto put = [&file](std::uint64_t value, int size) {
    for (int i = 0; i < size; ++i) file += static_cast<char>(value >> (8 * i) & 0xff);
  };
  put(2, 2), put(machine, 2), put(1, 4), put(base + head, 8), put(64, 8), put(0, 8), put(0, 4);
  put(64, 2), put(56, 2), put(1, 2), put(64, 2), put(0, 2), put(0, 2);
  put(1, 4), put(5, 4), put(0, 8), put(base, 8), put(base, 8), put(head + code.size(), 8), put(head + code.size(), 8), put(0x1000, 8);
  return file + code;
}

/// /sbin/bridge-stp of the machine, as long as the object lives.
class BridgeStp {
 public:
  BridgeStp() {
    if (::access(kPath, F_OK) == 0) throw MissingNeed("needs-feature:no-bridge-stp", "this machine has a /sbin/bridge-stp of its own");
    const Fd file = SETUP_OK(Open(kPath, O_CREAT | O_EXCL | O_WRONLY, 0755));
    const std::string program = DoNothingProgram();
    if (::write(file.get(), program.data(), program.size()) != static_cast<ssize_t>(program.size()))
      SETUP_OK(Status(ErrnoError("write(/sbin/bridge-stp)")));
  }
  BridgeStp(const BridgeStp&) = delete;
  BridgeStp& operator=(const BridgeStp&) = delete;
  ~BridgeStp() { ::unlink(kPath); }

 private:
  static constexpr const char* kPath = "/sbin/bridge-stp";
};

// Documentation/networking/bridge.rst: /sbin/bridge-stp is asked for bridges of the initial namespace only.
NETNS_TEST(Misc, HelperProgramsAreNotRunForBridgesOfOtherNamespaces, Covers("MISC-10"), Needs(Machine(), Config("BRIDGE")), Exclusive{}) {
  constexpr std::uint32_t kernel_stp = 1, user_stp = 2;
  Place initial(InitialNetNamespace()), a;
  Place nested = Place::Inside(a);
  auto enable = [](Place& place, const char* name) {
    AddBridge(place, name, {.data = [](Request& data) { data.U32(IFLA_BR_STP_STATE, 1); }});
    const Link link = SETUP_OK(place->LinkByName(name));
    const std::uint32_t state = Attributes(link.kind_data).U32(IFLA_BR_STP_STATE).value_or(99);
    SETUP_OK(place->DeleteLink(name));
    return state;
  };
  EXPECT_EQ(enable(initial, "stp0"), kernel_stp) << "control: there is no helper program";
  const BridgeStp helper;
  EXPECT_EQ(enable(initial, "stp0"), user_stp) << "control: in the initial namespace the helper program is run";
  EXPECT_EQ(enable(a, "stp0"), kernel_stp);
  EXPECT_EQ(enable(nested, "stp0"), kernel_stp);
}

// -------------------------------------------------------------------------------------------------- creation under fire

/// Does `work` again and again until it is killed.
Child Busy(const char* name, std::function<void()> work) {
  return Child::Start(name, [work] {
    for (;;) work();
  });
}
void Stop(std::vector<Child>& children) {
  for (Child& child : children) SETUP_OK(child.Signal(SIGKILL));
  for (Child& child : children) (void)child.Join().ok();
}

// net/core/net_namespace.c cleanup_net(): while everything else goes on.
NETNS_TEST(Misc, NamespacesAreFreedWhileOthersAreBusy, Covers("MISC-11", "LIFE-25"), Needs(Config("VETH"), UserNs()), Within{std::chrono::seconds(180)}) {
  constexpr int kRounds = 12;
  Place shared;
  Place other;
  RequireBuiltIn(shared->AddVeth("wanders", "stays"), "VETH");
  Watched watched(4);
  std::vector<Child> busy;
  busy.push_back(Busy("dumps", [&] {
    auto rtnl = Rtnl::In(shared.ns);
    if (!rtnl.ok()) return;
    (void)rtnl->Links().ok();
    (void)rtnl->Addresses().ok();
    (void)rtnl->Routes().ok();
  }));
  busy.push_back(Busy("reads", [&] {
    (void)shared.ns.ReadProcNet("dev").ok();
    (void)shared.ns.Sysctl("net.ipv4.conf.all.forwarding").ok();
    (void)shared.ns.ReadProcNet("route").ok();
  }));
  busy.push_back(Busy("moves", [&] {
    auto here = Rtnl::In(shared.ns), there = Rtnl::In(other.ns);
    if (!here.ok() || !there.ok()) return;
    (void)here->MoveLink("wanders", other.ref()).ok();
    (void)there->MoveLink("wanders", shared.ref()).ok();
  }));
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    // Devices with both ends inside, one to the busy namespace, addresses, a socket with data that nobody reads.
    auto dies = SETUP_OK(watched.oracle().CreateWhenRoom());
    Place place(std::move(dies));
    SETUP_OK(place->Up("lo"));
    SETUP_OK(place->AddVeth("in", "out"));
    SETUP_OK(place->AddAddress("192.0.2.1/24", "in"));
    SETUP_OK(place->Up("in"));
    SETUP_OK(place->Up("out"));
    SETUP_OK(shared->AddVeth("round" + std::to_string(round), {.name = "inside", .netns_fd = place.fd()}));
    SETUP_OK(shared->Up("round" + std::to_string(round)));
    const Fd receiver = SETUP_OK(UdpBind(place.ns, Inet(kLoopback4, 9))), sender = SETUP_OK(place.ns.Socket(AF_INET, SOCK_DGRAM));
    SETUP_OK(SendTo(sender, std::string(1000, 'x'), Inet(kLoopback4, 9)));
  }
  Stop(busy);
  EXPECT_EVENTUALLY("the veth ends to all of them to go", [&] {
    for (const Link& link : SETUP_OK(shared->Links()))
      if (link.name.starts_with("round")) return false;
    return true;
  });
  // The control is at the end, since it holds what the others need: all of the quota is there again, and no more.
  std::vector<NetNamespace> all;
  for (int i = 0; i < 4; ++i) all.push_back(SETUP_OK(watched.oracle().CreateWhenRoom()));
  EXPECT_THAT(watched.oracle().TryCreate(), FailsWith(ENOSPC)) << "control: one that is kept is missed";
}

// unshare(2): creation is interrupted when its caller is killed; what it had begun is given back.
NETNS_TEST(Misc, KilledCreatorsLeaveNothingBehind, Covers("MISC-12", "LIFE-29"), Needs(UserNs()), Within{std::chrono::seconds(120)}) {
  constexpr int kLimit = 3, kRounds = 40;
  FreedOracle oracle(kLimit);
  const int owner = oracle.user_namespace_fd();
  for (int round = 0; round < kRounds; ++round) {
    auto begun = SETUP_OK(Pipe());
    Child creator = Child::Start("creator", [&] {
      if (::setns(owner, CLONE_NEWUSER) < 0) SETUP_OK(Status(ErrnoError("setns(CLONE_NEWUSER)")));
      (void)!::write(begun.second.get(), "x", 1);
      for (;;) (void)::unshare(CLONE_NEWNET);
    });
    SETUP_OK(WaitFor(begun.first.get(), POLLIN, Deadline::OfTest(), "the creator to begin"));
    SETUP_OK(creator.Signal(SIGKILL));
    (void)creator.Join().ok();
  }
  std::vector<NetNamespace> all;
  for (int i = 0; i < kLimit; ++i) {
    auto made = oracle.CreateWhenRoom();
    ASSERT_OK(made) << "of " << kLimit << " namespaces only " << i << " can be made after creators were killed";
    all.push_back(std::move(*made));
  }
  EXPECT_THAT(oracle.TryCreate(), FailsWith(ENOSPC)) << "control: the limit is still the limit";
}

}  // namespace
}  // namespace netns
