// SPDX-License-Identifier: GPL-2.0-or-later
// DEV, SOCK, STACK: what a kernel looks up by a device without being told which: a free name, a socket's own address, the address
// to send from, and settings by netlink. Between ordinary namespaces and beside the initial one.
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/ip_vs.h>
#include <linux/mptcp.h>
#include <linux/seg6_genl.h>
#include <linux/xfrm.h>

#include "fixtures/sockets.h"
#include "fixtures/topology.h"
#include "suites/support/between.h"
#include "suites/support/generic.h"

namespace netns {
namespace {

using testing::AnyOf;
using testing::Contains;

// --- Names by a pattern -----------------------------------------------------------------------------------------------

std::string LowestFree(Place& at, const std::string& stem) {
  for (int n = 0;; ++n)
    if (!at->LinkByName(stem + std::to_string(n)).ok()) return stem + std::to_string(n);
}
/// The name of the device that `deed` brings into the namespace, or gives a new name there.
std::string NameOfNew(Place& at, const std::function<Status()>& deed) {
  const auto before = LinkNames(at);
  SETUP_OK(deed());
  for (const std::string& name : LinkNames(at))
    if (std::find(before.begin(), before.end(), name) == before.end()) return name;
  return "none";
}
// ip-link(8), netdevice: a "%d" in a name stands for the lowest number that is free in the namespace.
void PatternsLookAtTheirNamespace(Place& owner, Place& other) {
  std::vector<std::pair<Place*, std::string>> made;
  Undo undo([&] {
    for (auto& [place, name] : made) (void)(*place)->DeleteLink(name).ok();
  });
  for (const char* name : {"nscf0", "nscf1", "nscf3"}) {
    AddDevice(owner, name);
    made.emplace_back(&owner, name);
  }
  SETUP_OK(owner->AddAltname("nscf3", "nscf4"));
  Place yard;
  const auto is_lowest = [&](Place& at, const char* way, const std::string& stem, const std::function<Status()>& deed) {
    const std::string expected = LowestFree(at, stem), name = NameOfNew(at, deed);
    if (name != "none") made.emplace_back(&at, name);
    EXPECT_EQ(name, expected) << way << ": the lowest number that is free in this namespace";
  };
  const auto add = [&](Place& at, const char* name) { return at->AddVeth(name, PeerSpec{.netns_fd = yard.fd()}); };
  is_lowest(other, "a new device", "nscf", [&] { return add(other, "nscf%d"); });
  is_lowest(other, "a second new device", "nscf", [&] { return add(other, "nscf%d"); });
  SETUP_OK(add(other, "nscfplain"));
  is_lowest(other, "a new name", "nscf", [&] { return other->Rename("nscfplain", "nscf%d"); });
  AddDevice(yard, "moves");
  is_lowest(other, "a move", "nscf", [&] { return yard->MoveLink("moves", other.ref(), {.new_name = "nscf%d"}); });
  is_lowest(other, "from elsewhere", "nscf", [&] { return yard->AddVeth("nscf%d", PeerSpec{.netns_fd = yard.fd()}, {.netns_fd = other.fd()}); });
  is_lowest(other, "the other end of a pair", "nscf", [&] { return yard->AddVeth("", PeerSpec{.name = "nscf%d", .netns_fd = other.fd()}); });
  SETUP_OK(other->DeleteLink("nscf1"));
  is_lowest(other, "a number that is free again", "nscf", [&] { return add(other, "nscf%d"); });
  is_lowest(owner, "control: names of its own are in the way", "nscf", [&] { return add(owner, "nscf%d"); });
  EXPECT_OK(owner->LinkByName("nscf2")) << "control";
  // Without a name the kind is the pattern.
  for (Place* place : {&owner, &other})
    is_lowest(*place, "a device without a name", "bridge", [&] {
      const Status added = (*place)->AddLink({.kind = "bridge"});
      RequireBuiltIn(added, "BRIDGE");
      return added;
    });
}
[[maybe_unused]] const bool patterns =
    RegisterBetween("Dev", "PatternsTakeTheLowestNumberOfTheNamespace", "", __FILE__, __LINE__, PatternsLookAtTheirNamespace, Covers("DEV-05"), Needs(Config("VETH"), Config("BRIDGE")));

// --- Addresses of packet sockets --------------------------------------------------------------------------------------

// packet(7): getsockname() tells the hardware type and address of the device: of the socket's namespace, whoever asks.
void PacketSocketsTellTheirOwnDevice(bool index_is_taken, Place& owner, Place& other) {
  constexpr int kIndex = 64301;
  Undo undo([&] {
    for (Place* place : {&owner, &other}) (void)(*place)->DeleteLink("nsconf-k").ok();
  });
  AddDevice(owner, "nsconf-k", {.index = kIndex, .address = "02:00:00:00:00:71"});
  if (index_is_taken) {
    // One that has another type and no such address.
    Status added = other->AddLink({.name = "nsconf-k", .kind = "vcan", .index = kIndex});
    if (!added.ok()) AddDevice(other, "nsconf-k", {.index = kIndex, .address = "02:00:00:00:00:72"});
  }
  auto opened = PacketSocket(owner.ns, kIndex, ETH_P_ALL);
  if (!opened.ok()) RequireBuiltIn(opened.error(), "PACKET");
  const Fd socket = SETUP_OK(std::move(opened)), named = SETUP_OK(owner.ns.Socket(AF_INET, SOCK_DGRAM)), old = SETUP_OK(owner.ns.Socket(AF_INET, SOCK_PACKET, htons(ETH_P_ALL)));
  SETUP_OK(BindToDevice(named, "nsconf-k"));
  sockaddr spkt{};
  spkt.sa_family = AF_PACKET;
  std::strcpy(spkt.sa_data, "nsconf-k");
  if (::bind(old.get(), &spkt, sizeof spkt) < 0) SETUP_OK(Status(ErrnoError("bind(SOCK_PACKET)")));
  Actor home = owner.ns.StartActor("home"), away = other.ns.StartActor("away");
  for (auto [actor, from] : {std::pair(&home, "a process of its namespace"), std::pair(&away, "a process of another namespace")}) {
    SCOPED_TRACE(from);
    actor->Run([&, from = from] {
      sockaddr_ll address{};
      socklen_t size = sizeof address;
      ASSERT_EQ(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size), 0) << ErrnoName(errno);
      EXPECT_EQ(address.sll_ifindex, kIndex);
      EXPECT_EQ(address.sll_hatype, 1 /* ARPHRD_ETHER */) << "packet(7): the type of the device of the socket's namespace";
      EXPECT_EQ(int{address.sll_halen}, 6) << "packet(7): the length of the address of the device of the socket's namespace";
      EXPECT_EQ(address.sll_addr[5], 0x71) << "packet(7): the address of the device of the socket's namespace";
      sockaddr name{};
      size = sizeof name;
      ASSERT_EQ(::getsockname(old.get(), &name, &size), 0) << ErrnoName(errno);
      EXPECT_EQ(std::string(name.sa_data, strnlen(name.sa_data, sizeof name.sa_data)), "nsconf-k") << "packet(7), SOCK_PACKET: the name of the device of the socket's namespace";
      EXPECT_THAT(GetSockOptBytes(named, SOL_SOCKET, SO_BINDTODEVICE, 16), Holds(testing::StartsWith("nsconf-k"))) << "socket(7), SO_BINDTODEVICE: the name of the device of the socket's namespace";
    });
  }
}
[[maybe_unused]] const bool packets = [] {
  for (bool taken : {false, true})
    RegisterBetween("Sock", "PacketSocketsTellTheDeviceOfTheirNamespace", taken ? "IndexIsTakenElsewhere" : "IndexIsFreeElsewhere", __FILE__, __LINE__,
                    [taken](Place& owner, Place& other) { PacketSocketsTellTheirOwnDevice(taken, owner, other); }, Covers("SOCK-14", "SOCK-11", "CREATE-23"),
                    Needs(Config("PACKET"), Config("VETH")));
  return true;
}();

// --- The address to send from -----------------------------------------------------------------------------------------

// Documentation/networking/ip-sysctl.rst, RFC 6724: one of the addresses of the sender's namespace, or none where it has none.
void SourcesAreOfTheNamespace(bool six, Place& owner, Place& other) {
  const std::string foreign = six ? "2001:db8:77::77" : "198.51.100.77", to = six ? "2001:db8:78::9" : "203.0.113.9", own = six ? "2001:db8:79::1" : "192.0.2.79";
  const std::string length = six ? "/64" : "/24", network = six ? "2001:db8:78::/64" : "203.0.113.0/24";
  Place far;
  Undo undo([&] {
    for (Place* place : {&owner, &other}) (void)(*place)->DeleteLink("nsconf-s").ok();
  });
  AddDevice(owner, "nsconf-s", {}, true);
  SETUP_OK(owner->AddAddress(foreign + length, "nsconf-s", {.nodad = six}));
  Status added = other->AddVeth("nsconf-s", PeerSpec{.name = "far", .netns_fd = far.fd()});
  RequireBuiltIn(added, "VETH");
  SETUP_OK(std::move(added));
  if (six) {
    for (auto [place, device] : {std::pair(&far, "far"), std::pair(&other, "nsconf-s")}) SETUP_OK(place->ns.SetSysctl(std::string("net/ipv6/conf/") + device + "/addr_gen_mode", "1"));
  }
  SETUP_OK(far->Up("far"));
  SETUP_OK(other->Up("nsconf-s"));
  SETUP_OK(WaitUntilUp(other.ns, "nsconf-s"));
  SETUP_OK(other->AddRoute({.to = network, .dev = "nsconf-s"}));
  SETUP_OK(other->AddNeighbour({.to = to, .address = "02:00:00:00:00:99", .dev = "nsconf-s"}));
  const Fd wire = SETUP_OK(PacketSocket(far.ns, 0, ETH_P_ALL));
  /// Where the kernel says, and shows, that a datagram comes from.
  const auto sources = [&](Place& at) {
    std::map<std::string, std::string> seen;
    const auto route = at->GetRoute(to);
    if (route.ok()) seen["ip route get"] = route->src;
    const Fd connected = SETUP_OK(at.ns.Socket(six ? AF_INET6 : AF_INET, SOCK_DGRAM)), sender = SETUP_OK(at.ns.Socket(six ? AF_INET6 : AF_INET, SOCK_DGRAM));
    if (Connect(connected, Inet(to, 9)).ok()) seen["getsockname()"] = SETUP_OK(GetSockName(connected)).ip();
    if (SendTo(sender, "x", Inet(to, 9)).ok() && &at == &other) {
      for (;;) {
        const std::string frame = SETUP_OK(Receive(wire)).data;
        if (frame.size() < 14 + 40 - 11 || frame[12] != (six ? '\x86' : '\x08') || frame[13] != (six ? '\xdd' : '\x00')) continue;
        if (frame[14 + (six ? 6 : 9)] != IPPROTO_UDP) continue;
        char text[INET6_ADDRSTRLEN] = "";
        ::inet_ntop(six ? AF_INET6 : AF_INET, frame.data() + 14 + (six ? 8 : 12), text, sizeof text);
        seen["the datagram"] = text;
        break;
      }
    }
    return seen;
  };
  std::set<std::string> its_own = {"", six ? "::" : "0.0.0.0"};
  for (const Address& address : SETUP_OK(other->Addresses({.family = six ? AF_INET6 : AF_INET}))) its_own.insert(address.address);
  for (const auto& [where, source] : sources(other)) EXPECT_TRUE(its_own.contains(source)) << where << ": a datagram is sent from " << source << ", which is no address of this namespace";
  SETUP_OK(other->AddAddress(own + (six ? "/128" : "/32"), "nsconf-s", {.nodad = six}));
  const auto with_own = sources(other);
  EXPECT_EQ(with_own.size(), 3u) << "control: all ways to look tell it";
  for (const auto& [where, source] : with_own) EXPECT_EQ(source, own) << where << ": the address of this namespace";
  // And in the namespace that has the other address: control.
  SETUP_OK(owner->AddRoute({.to = network, .dev = "nsconf-s"}));
  for (const auto& [where, source] : sources(owner)) EXPECT_EQ(source, foreign) << where << ": the address of this namespace";
}
[[maybe_unused]] const bool addresses = [] {
  for (bool six : {false, true}) {
    Needs needs(Config("VETH"), Config("PACKET"));
    if (six) needs.list.push_back(Config("IPV6"));
    RegisterBetween("Stack", "SourceAddressesAreOfTheNamespace", six ? "Ipv6" : "Ipv4", __FILE__, __LINE__, [six](Place& owner, Place& other) { SourcesAreOfTheNamespace(six, owner, other); },
                    Covers("STACK-03", "STACK-07"), needs);
  }
  return true;
}();

// --- Settings by netlink ----------------------------------------------------------------------------------------------

/// What is set and read by netlink alone, as a number.
struct Setting {
  const char *suite, *name, *id;
  std::vector<const char*> configs;
  std::function<Status(Place&, std::uint32_t)> set;
  std::function<std::uint32_t(Place&)> get;
  std::uint32_t one, two;  ///< Values that are allowed.
  bool root = false;
};
NetlinkSocket XfrmOf(Place& at) {
  auto opened = at.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_XFRM);
  if (!opened.ok()) RequireBuiltIn(opened.error(), "XFRM_USER");
  return SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(std::move(opened))));
}
const std::vector<Setting>& Settings() {
  static const auto mptcp = [](const char* name, std::uint16_t attribute) {
    const auto get = [attribute](Place& at) {
      Generic family(at, MPTCP_PM_NAME, "MPTCP");
      const Message answer = SETUP_OK(family->Get(family.Make(MPTCP_PM_CMD_GET_LIMITS, "get the limits of MPTCP")));
      return answer.AttributesAfter<genlmsghdr>().U32(attribute).value_or(99);
    };
    return Setting{"Stack", name, "STACK-15", {"MPTCP"},
                   [attribute](Place& at, std::uint32_t value) {
                     Generic family(at, MPTCP_PM_NAME, "MPTCP");
                     const Message limits = SETUP_OK(family->Get(family.Make(MPTCP_PM_CMD_GET_LIMITS, "get the limits of MPTCP")));
                     // Both are always set.
                     Request set = family.Make(MPTCP_PM_CMD_SET_LIMITS, "set a limit of MPTCP");
                     for (std::uint16_t each : {MPTCP_PM_ATTR_RCV_ADD_ADDRS, MPTCP_PM_ATTR_SUBFLOWS})
                       set.U32(each, each == attribute ? value : limits.AttributesAfter<genlmsghdr>().U32(each).value_or(0));
                     return family->Ack(set);
                   },
                   get, 5, 6};
  };
  static const auto ipvs = [](const char* name, std::uint16_t attribute) {
    return Setting{"Fw", name, "FW-16", {"IP_VS"},
                   [attribute](Place& at, std::uint32_t value) {
                     Generic family(at, IPVS_GENL_NAME, "IP_VS");
                     return family->Ack(family.Make(IPVS_CMD_SET_CONFIG, "set a timeout of virtual servers", IPVS_GENL_VERSION).U32(attribute, value));
                   },
                   [attribute](Place& at) {
                     Generic family(at, IPVS_GENL_NAME, "IP_VS");
                     const Message answer = SETUP_OK(family->Get(family.Make(IPVS_CMD_GET_CONFIG, "get the timeouts of virtual servers", IPVS_GENL_VERSION)));
                     return answer.AttributesAfter<genlmsghdr>().U32(attribute).value_or(0);
                   },
                   4711, 4712, true};
  };
  /// Both prefix lengths up to which policies are hashed.
  static const auto hashing = [](const char* name, std::uint16_t attribute, const char* symbol, std::uint32_t one) {
    return Setting{"Stack", name, "STACK-17", {"XFRM_USER", symbol},
                   [attribute](Place& at, std::uint32_t value) {
                     auto socket = XfrmOf(at);
                     const xfrmu_spdhthresh thresholds{static_cast<std::uint8_t>(value), static_cast<std::uint8_t>(value)};
                     return socket.Ack(Request(XFRM_MSG_NEWSPDINFO).Named("set the thresholds of policies").Header(std::uint32_t{0}).Structure(attribute, thresholds));
                   },
                   [attribute](Place& at) {
                     auto socket = XfrmOf(at);
                     const Message answer = SETUP_OK(socket.Get(Request(XFRM_MSG_GETSPDINFO).Named("get the thresholds of policies").Header(std::uint32_t{0})));
                     return std::uint32_t{answer.AttributesAfter<std::uint32_t>().Structure<xfrmu_spdhthresh>(attribute).value_or(xfrmu_spdhthresh{}).lbits};
                   },
                   one, one + 1};
  };
  static const std::vector<Setting> settings = {
      mptcp("MptcpAddressLimit", MPTCP_PM_ATTR_RCV_ADD_ADDRS),
      mptcp("MptcpSubflowLimit", MPTCP_PM_ATTR_SUBFLOWS),
      ipvs("VirtualServerTcpTimeout", IPVS_CMD_ATTR_TIMEOUT_TCP),
      ipvs("VirtualServerTcpFinTimeout", IPVS_CMD_ATTR_TIMEOUT_TCP_FIN),
      ipvs("VirtualServerUdpTimeout", IPVS_CMD_ATTR_TIMEOUT_UDP),
      hashing("IpsecIpv4Thresholds", XFRMA_SPD_IPV4_HTHRESH, "INET", 17),
      hashing("IpsecIpv6Thresholds", XFRMA_SPD_IPV6_HTHRESH, "IPV6", 41),
      {"Route", "SegmentRoutingSource", "ROUTE-14", {"IPV6_SEG6_LWTUNNEL"},
       [](Place& at, std::uint32_t value) {
         Generic family(at, SEG6_GENL_NAME, "IPV6_SEG6_LWTUNNEL");
         in6_addr address{};
         if (value != 0) ::inet_pton(AF_INET6, "2001:db8::", &address);
         address.s6_addr[15] = static_cast<std::uint8_t>(value);
         return family->Ack(family.Make(SEG6_CMD_SET_TUNSRC, "set the source of tunnels", SEG6_GENL_VERSION).Structure(SEG6_ATTR_DST, address));
       },
       [](Place& at) {
         Generic family(at, SEG6_GENL_NAME, "IPV6_SEG6_LWTUNNEL");
         const Message answer = SETUP_OK(family->Get(family.Make(SEG6_CMD_GET_TUNSRC, "get the source of tunnels", SEG6_GENL_VERSION)));
         return std::uint32_t{answer.AttributesAfter<genlmsghdr>().Structure<in6_addr>(SEG6_ATTR_DST).value_or(in6_addr{}).s6_addr[15]};
       },
       1, 2, true},
  };
  return settings;
}
// ip-mptcp(8), ipvsadm(8), ip-xfrm(8), ip-sr(8): of the namespace in which it is set.
void IsSetInItsNamespace(const Setting& setting, Place& owner, Place& other) {
  const std::uint32_t before = setting.get(owner), of_other = setting.get(other);
  Undo undo([&] {
    (void)setting.set(owner, before).ok();
    (void)setting.set(other, of_other).ok();
  });
  ASSERT_NE(of_other, setting.one) << "control";
  const Status set = setting.set(owner, setting.one);
  if (set.code() == EPERM && !setting.root) throw MissingNeed("needs-cap:NET_ADMIN", "this kernel lets only the administrator of the initial user namespace set it", "run as root");
  ASSERT_OK(set);
  EXPECT_EQ(setting.get(owner), setting.one) << "control";
  EXPECT_EQ(setting.get(other), of_other) << "it was set in another namespace, too";
  Place born, inside = Place::Inside(owner);
  EXPECT_NE(setting.get(born), setting.one) << "a new namespace begins with what was set in another";
  EXPECT_NE(setting.get(inside), setting.one) << "a new namespace begins with what was set in that of its creator";
  ASSERT_OK(setting.set(other, setting.two));
  EXPECT_EQ(setting.get(other), setting.two) << "control";
  EXPECT_EQ(setting.get(owner), setting.one) << "it was set in another namespace, too";
  ASSERT_OK(setting.set(other, of_other));
  EXPECT_EQ(setting.get(owner), setting.one) << "it was set back in another namespace, too";
}
[[maybe_unused]] const bool settings = [] {
  for (const Setting& setting : Settings()) {
    Needs needs;
    if (setting.root) needs.list.push_back(Root());
    for (const char* symbol : setting.configs) needs.list.push_back(Config(symbol));
    RegisterBetween(setting.suite, "SettingsByNetlinkAreOfTheNamespace", setting.name, __FILE__, __LINE__,
                    [&setting](Place& owner, Place& other) { IsSetInItsNamespace(setting, owner, other); }, Covers(setting.id), needs);
  }
  return true;
}();

// --- the default mask of receive packet steering

unsigned long MaskOf(Result<std::string> text) {
  std::string mask = SETUP_OK(std::move(text));
  std::erase(mask, ',');  // "0000,00000001" on a machine with many processors
  return std::stoul(mask, nullptr, 16);
}
// net/core/sysctl_net_core.c: rps_default_mask is per namespace.
void RpsDefaultMaskIsOfTheNamespace(Place& owner, Place& other) {
  const std::string setting = "net.core.rps_default_mask";
  if (!other.ns.HasSysctl(setting))
    throw MissingNeed("needs-feature:rps_default_mask", "no net.core.rps_default_mask", "use Linux 6.3 or later", LinuxVersion{6, 3});
  const auto queue = [](Place& place, const std::string& name, int number) {
    return MaskOf(place.ns.ReadSysfs("class/net/" + name + "/queues/rx-" + std::to_string(number) + "/rps_cpus"));
  };
  const auto cpus = [&](Place& place, const std::string& name) { return queue(place, name, 0); };
  const auto mask = [&](Place& place) { return MaskOf(place.ns.Sysctl(setting)); };
  EXPECT_EQ(mask(owner), 0u) << "before it is set";
  EXPECT_EQ(mask(other), 0u);
  const Undo undo([&] {
    std::ignore = owner.ns.SetSysctl(setting, "0");
    for (Place* place : {&owner, &other})
      for (const char* name : {"nscrps0", "nscrps1", "nscrps2", "nscrps3", "nscrps4"}) std::ignore = (*place)->DeleteLink(name);
  });
  const LinkSpec two_queues{.tx_queues = 2, .rx_queues = 2};
  AddDevice(owner, "nscrps0");
  AddDevice(other, "nscrps2");
  if (Status set = owner.ns.SetSysctl(setting, "1"); set.code() == EACCES || set.code() == EPERM)
    throw MissingNeed("needs-cap:SYS_ADMIN", "net.core.rps_default_mask is writable for real root only", "run as root");
  else
    SETUP_OK(std::move(set));
  Place sibling, inside = Place::Inside(owner);
  AddDevice(owner, "nscrps1", two_queues);
  EXPECT_EQ(mask(owner), 1u);
  EXPECT_EQ(cpus(owner, "nscrps1"), 1u) << "control: a device that is created later in that namespace";
  EXPECT_EQ(queue(owner, "nscrps1", 1), 1u) << "control: its second queue";
  EXPECT_EQ(cpus(owner, "nscrps0"), 0u) << "a device that was created before";
  EXPECT_EQ(cpus(owner, "lo"), 0u);
  for (const auto& [place, which] : {std::pair(&other, "that was there before"), std::pair(&sibling, "made by another afterwards"), std::pair(&inside, "made inside it afterwards")}) {
    SCOPED_TRACE(std::string("a namespace ") + which);
    AddDevice(*place, "nscrps1", two_queues);
    EXPECT_EQ(mask(*place), 0u) << "the mask of another namespace";
    for (int number : {0, 1}) EXPECT_EQ(queue(*place, "nscrps1", number), 0u) << "queue " << number << " of a new device has the mask of another namespace";
    EXPECT_EQ(cpus(*place, "lo"), 0u);
  }
  // By one request, whichever namespace that is sent in: each end of a pair has the mask of where it is made.
  for (Place* asked : {&owner, &other}) {
    SCOPED_TRACE(asked == &owner ? "asked for in the namespace that has the mask" : "asked for in the other one");
    SETUP_OK((*asked)->AddVeth("nscrps3", {.name = "nscrps4", .netns_fd = owner.fd()}, {.netns_fd = other.fd()}));
    EXPECT_EQ(cpus(owner, "nscrps4"), 1u) << "control: the end that is made in the namespace that has the mask";
    EXPECT_EQ(cpus(other, "nscrps3"), 0u) << "the end that is made in the other one";
    SETUP_OK(owner->DeleteLink("nscrps4"));
  }
  SETUP_OK(other->MoveLink("nscrps2", owner.ref()));
  EXPECT_EQ(cpus(owner, "nscrps2"), 0u) << "a device that comes there was not created there";
}
NETNS_TEST(Dev, RpsDefaultMaskIsPerNamespace, Covers("DEV-45"), Needs(Config("RPS"), Config("VETH"))) { BetweenTwoNamespaces(RpsDefaultMaskIsOfTheNamespace); }
NETNS_TEST(Dev, RpsDefaultMaskOfTheInitialNamespaceIsItsOwn, Covers("DEV-45"), Needs(Machine(), Config("RPS"), Config("VETH")), Exclusive{}) {
  BesideTheInitialNamespace(RpsDefaultMaskIsOfTheNamespace);
}

// --- where a device went

// net/core/dev.c rtmsg_ifinfo_newnet(): a namespace that the source has no id for gets one by the move.
void TheSourceIsToldTheIdOfTheTarget(Place& owner, Place& other) {
  const std::string name = "nscgoes";
  const Undo undo([&] { std::ignore = other->DeleteLink(name); });
  AddDevice(owner, name);
  EXPECT_LT(SETUP_OK(owner->GetNsid(other.ref())).nsid, 0) << "control: it has none yet";
  auto hears = SETUP_OK(RtnlMonitor::In(owner.ns, {RTNLGRP_LINK}));
  SETUP_OK(owner->MoveLink(name, other.ref()));
  ASSERT_OK_AND_ASSIGN(const Message gone, hears.Until(LinkRemoved(name), "RTM_DELLINK in the namespace that it left"));
  const Link told = ReadLink(gone);
  EXPECT_THAT(told.new_netnsid, testing::Optional(testing::Ge(0))) << "IFLA_NEW_NETNSID, where the source had no id of the target";
  EXPECT_EQ(SETUP_OK(owner->GetNsid(other.ref())).nsid, told.new_netnsid.value_or(-2)) << "the id that the source has for the target from then on";
  EXPECT_EQ(told.new_ifindex, std::optional(SETUP_OK(other->LinkByName(name)).index)) << "IFLA_NEW_IFINDEX";
}
[[maybe_unused]] const bool moves =
    RegisterBetween("Dev", "TheSourceIsToldTheIdOfTheTarget", "", __FILE__, __LINE__, TheSourceIsToldTheIdOfTheTarget, Covers("DEV-30", "NSID-09"), Needs(Config("VETH")));

}  // namespace
}  // namespace netns
