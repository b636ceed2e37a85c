// SPDX-License-Identifier: GPL-2.0-or-later
// USER: rows of the table of rights (permissions.cc) for netlink, its families and groups, and for the files behind devices
// (tun, ppp). netlink(7): "Only processes with an effective UID of 0 or the CAP_NET_ADMIN capability may send or listen to a
// netlink multicast group"; rtnetlink and a few others let everybody listen, except to some of their groups.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fixtures/bpf.h"
#include "suites/support/action.h"
#include "suites/support/any_link.h"
#include "suites/support/bare_send.h"
#include "suites/support/rights.h"
#include "suites/support/tun.h"

// After the C library's headers: in this order they go together.
#include <linux/genetlink.h>
#include <linux/if_tun.h>
#include <linux/ppp-ioctl.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>

namespace netns::rights {
namespace {

//                                  nobody  child  owner  parent  ancestor  sibling  -NET_ADMIN  -SYS_ADMIN  creator
constexpr Rights kOwnNetAdmin     = {P,     ok,    ok,    ok,     ok,       ok,      P,          ok,         P};
constexpr Rights kOwnAndNetAdmin  = {P,     P,     ok,    ok,     ok,       P,       P,          ok,         P};

// --- multicast groups

Status JoinGroup(int protocol, unsigned group) {
  const Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!socket.valid()) return ErrnoError("socket(AF_NETLINK)");
  if (::setsockopt(socket.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0) return ErrnoError("setsockopt(NETLINK_ADD_MEMBERSHIP)");
  return Ok();
}
Status BindToGroup(unsigned group) {
  const Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = 1U << (group - 1);
  if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) return ErrnoError("bind to a netlink group");
  return Ok();
}
Status JoinGenericGroup(const char* family, const char* group) {
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_GENERIC));
  auto found = socket.ResolveFamily(family);
  if (found.code() == ENOENT || (found.ok() && !found->groups.contains(group))) return Error{EOPNOTSUPP, std::string("looking for the group of ") + family};
  RETURN_IF_ERROR(found);
  return JoinGroup(NETLINK_GENERIC, found->groups.at(group));
}

/// A message that says nothing, to a group or to another socket.
Status SendNothing(unsigned groups, unsigned port) {
  const Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  nlmsghdr nothing{sizeof nothing, NLMSG_NOOP, 0, 1, 0};
  sockaddr_nl to{};
  to.nl_family = AF_NETLINK;
  to.nl_groups = groups;
  to.nl_pid = port;
  if (::sendto(socket.get(), &nothing, sizeof nothing, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0)
    return ErrnoError("sendto over netlink");
  return Ok();
}
/// A socket of root's to which others may want to send.
void MakeAReceiver(World& world) {
  world.socket = SETUP_OK(world.ns->Socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (::bind(world.socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0)
    throw SetupFailure(ErrnoError("bind of netlink").ToString(), std::source_location::current());
}
unsigned PortOf(const Fd& socket) {
  sockaddr_nl address{};
  socklen_t size = sizeof address;
  ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return address.nl_pid;
}
Status ConnectTo(unsigned port) {
  const Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  sockaddr_nl to{};
  to.nl_family = AF_NETLINK;
  to.nl_pid = port;
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) < 0) return ErrnoError("connect of netlink");
  return Ok();
}

// --- generic netlink

/// Leaves the test where the kernel has no such family. Its name does not bring every module, but that of a device does, where
/// real root asks for it.
void NeedFamily(const char* family, const char* config) {
  NetlinkSocket socket = SETUP_OK(NetlinkSocket::Open(NETLINK_GENERIC));
  if (socket.ResolveFamily(family).ok()) return;
  ifreq device = NamedRequest(family);
  (void)Ioctl(SIOCGIFINDEX, device, "ioctl(SIOCGIFINDEX)", AF_UNIX);
  if (auto found = socket.ResolveFamily(family); !found.ok())
    throw MissingNeed(std::string("needs-config:") + config, "generic netlink has no family " + std::string(family) + ": " + found.error().ToString());
}

/// A command without what it needs to do anything. Who may not give it is told so (EPERM) before that is looked at.
Operation Command(const char* name, const Rights& rights, const char* family, std::uint8_t command, const char* config) {
  return {name, {"USER-07"}, From::kInside, rights, Effect::kNone,
          [=](World&) -> Status {
            ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_GENERIC));
            ASSIGN_OR_RETURN(GenericFamily found, socket.ResolveFamily(family));
            Request request(found.id);
            request.Named("command " + std::to_string(command) + " of " + family).Header(genlmsghdr{.cmd = command, .version = static_cast<std::uint8_t>(found.version)});
            Status answer = socket.Ack(request);
            if (answer.code() == EPERM || answer.code() == EOPNOTSUPP) return answer;
            return Ok();
          },
          {}, config, &rights == &kInitial ? &kRefused : nullptr, false, [=] { NeedFamily(family, config); }};
}

/// All requests of ethtool that need the right; which of them there are depends on the kernel.
Operation EthtoolCommands() {
  std::vector<Step> steps;
  // From ETHTOOL_MSG_LINKINFO_SET on, by their numbers in linux/ethtool_netlink.h.
  for (const auto& [name, command] : std::initializer_list<std::pair<const char*, std::uint8_t>>{
           {"LINKINFO_SET", 3}, {"LINKMODES_SET", 5}, {"DEBUG_SET", 8}, {"WOL_GET", 9}, {"WOL_SET", 10}, {"FEATURES_SET", 12}, {"PRIVFLAGS_SET", 14}, {"RINGS_SET", 16},
           {"CHANNELS_SET", 18}, {"COALESCE_SET", 20}, {"PAUSE_SET", 22}, {"EEE_SET", 24}, {"CABLE_TEST_ACT", 26}, {"CABLE_TEST_TDR_ACT", 27}, {"FEC_SET", 30},
           {"MODULE_EEPROM_GET", 31}, {"MODULE_SET", 35}, {"PSE_SET", 37}, {"PLCA_SET_CFG", 40}, {"MM_SET", 43}, {"MODULE_FW_FLASH_ACT", 44}})
    steps.push_back({name, Command(name, kNetAdmin, "ethtool", command, "ETHTOOL_NETLINK").attempt});
  Operation all = Command("ChangeADeviceByEthtoolNetlink", kNetAdmin, "ethtool", 3, "ETHTOOL_NETLINK");
  all.covers = {"USER-07", "DEV-34"};
  all.attempt = [steps](World& world) -> Status {
    // A command that this kernel does not have is refused to all alike (EOPNOTSUPP).
    std::vector<Step> known;
    for (const Step& step : steps)
      if (step.attempt(world).code() != EOPNOTSUPP) known.push_back(step);
    if (known.empty()) return Error{EBADE, "ethtool knows none of its requests"};
    return All(known)(world);
  };
  return all;
}

// --- requests by a socket of root's in it, from elsewhere: netlink(7) asks for the right of whoever sends, over the namespace of
// the socket, wherever the sender is

struct NetfilterHeader {  // nfgenmsg
  std::uint8_t family = AF_INET, version = 0;
  std::uint16_t resource = 0;
};
std::function<void(World&)> MakeASocket(int protocol) {
  return [=](World& world) { world.socket = SETUP_OK(world.ns->Socket(AF_NETLINK, SOCK_RAW, protocol)); };
}
Status Ask(World& world, const Request& request) {
  ASSIGN_OR_RETURN(Fd same, world.socket.Dup());
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Adopt(std::move(same)));
  return socket.Ack(request);
}
Operation Foreign(const char* name, std::vector<const char*> covers, int protocol, std::function<Request(World&)> request, const char* config) {
  return {name, std::move(covers), From::kHome, kNetAdmin, Effect::kNone,
          All({{"by sendto(2)", [=](World& world) { return Ask(world, request(world)); }},
               {"by send(2)", [=](World& world) { return AckOfBareSend(world.socket.get(), request(world)); }}}),
          MakeASocket(protocol), config};
}
/// A request to one subsystem of netfilter. The right is asked for before what the request says is looked at, for each subsystem.
Operation ForeignNetfilter(const char* name, std::vector<const char*> covers, const char* config, std::uint16_t subsystem, std::uint8_t type, std::uint8_t protocol = 0) {
  const auto make = [=] {
    Request request(static_cast<std::uint16_t>(subsystem << 8 | type));
    request.Named(name).Header(NetfilterHeader{});
    if (protocol != 0) request.Raw(1 /* IPSET_ATTR_PROTOCOL */, Bytes(reinterpret_cast<const std::byte*>(&protocol), 1));
    return request;
  };
  Operation made = Foreign(name, std::move(covers), NETLINK_NETFILTER, [=](World&) { return make(); }, config);
  made.look = [=] {
    NetlinkSocket socket = SETUP_OK(NetlinkSocket::Open(NETLINK_NETFILTER));
    if (const Status answer = socket.Ack(make()); answer.code() == EINVAL || answer.code() == EOPNOTSUPP || answer.code() == EPROTONOSUPPORT)
      throw MissingNeed(std::string("needs-config:") + config, answer.error().ToString());
  };
  return made;
}
Request UpOf(const char* name, World& world) {
  ifinfomsg header{};
  header.ifi_index = SETUP_OK(world.root().LinkByName(name)).index;
  header.ifi_change = header.ifi_flags = IFF_UP;
  return std::move(Request(RTM_NEWLINK).Header(header).Named("bring a device up"));
}
/// One command of a family that says nothing: who may not give it is told so before that is looked at.
Operation ForeignCommand(const char* name, const char* family, std::uint8_t command, const char* config) {
  const auto give = [=](World& world, bool bare) -> Status {
    ASSIGN_OR_RETURN(Fd same, world.socket.Dup());
    ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Adopt(std::move(same)));
    ASSIGN_OR_RETURN(GenericFamily found, socket.ResolveFamily(family));
    const Request request = std::move(Request(found.id).Named("a command").Header(genlmsghdr{.cmd = command, .version = static_cast<std::uint8_t>(found.version)}));
    Status answer = bare ? AckOfBareSend(socket.fd(), request) : socket.Ack(request);
    if (answer.code() == EPERM || answer.code() == EOPNOTSUPP) return answer;
    return Ok();
  };
  return {name, {"USER-27", "USER-07"}, From::kHome, kNetAdmin, Effect::kNone,
          All({{"by sendto(2)", [=](World& world) { return give(world, false); }}, {"by send(2)", [=](World& world) { return give(world, true); }}}),
          MakeASocket(NETLINK_GENERIC), config, nullptr, false, [=] { NeedFamily(family, config); }};
}

/// RTM_NEWACTION, "tc actions add action pass".
Status AddAnAction() {
  ASSIGN_OR_RETURN(Rtnl rtnl, Rtnl::Open());
  struct {  // tc_gact, whose header is not everywhere
    std::uint32_t index, capab;
    std::int32_t action, refcnt, bindcnt;
  } pass{};
  return rtnl.socket().Ack(AddActionRequest("gact", 2 /* TCA_GACT_PARMS */, pass));
}

// --- ipvlan (Documentation/networking/ipvlan.rst): one on top of another one is on the device of that

/// An ipvlan "made" on its0, at the actor's home.
void PutAnIpvlanOnItsDeviceAtHome(World& world) {
  AddIts0(world);
  Status added = world.root().AddLink({.name = "made", .kind = "ipvlan", .link = "its0"});
  if (added.code() == EOPNOTSUPP) throw MissingNeed("needs-config:IPVLAN", added.error().ToString());
  SETUP_OK(std::move(added));
  SETUP_OK(world.root().MoveLink("made", ByFd(world.home->fd())));
}

// --- files of devices

/// A file of tun that root opened in it, with a device.
Status AskTun(World& world, unsigned long request, const char* what) {
  const Fd ns(::ioctl(world.socket.get(), request));
  if (!ns.valid()) return ErrnoError(what);
  return Ok();
}
void MakeATun(World& world) {
  world.socket = SETUP_OK(world.ns->OpenIn(TunFile(), O_RDWR));
  ifreq request = NamedRequest("itstun");
  request.ifr_flags = IFF_TUN;
  if (::ioctl(world.socket.get(), TUNSETIFF, &request) < 0) throw SetupFailure(ErrnoError("TUNSETIFF").ToString(), std::source_location::current());
}
/// ip-tuntap(8), "user": one of a user who is none of the actors. (Whether one of nobody's is everybody's, kernels differ.)
void MakeAPersistentTun(World& world) {
  if (world.Has("itstun")) return;
  MakeATun(world);
  if (::ioctl(world.socket.get(), TUNSETPERSIST, 1) < 0 || ::ioctl(world.socket.get(), TUNSETOWNER, 12345) < 0) throw SetupFailure(ErrnoError("TUNSETPERSIST").ToString(), std::source_location::current());
  world.socket.Reset();
}
Status AttachToATun() {
  ASSIGN_OR_RETURN(Fd tun, Open(TunFile(), O_RDWR));
  ifreq request = NamedRequest("itstun");
  request.ifr_flags = IFF_TUN;
  if (::ioctl(tun.get(), TUNSETIFF, &request) < 0) return ErrnoError("ioctl(TUNSETIFF)");
  return Ok();
}

Status MakeATapOfFragments() {
  ASSIGN_OR_RETURN(Fd tun, Open(TunFile(), O_RDWR));
  ifreq request = NamedRequest("itstap");
  request.ifr_flags = IFF_TAP | IFF_NAPI | IFF_NAPI_FRAGS;
  if (::ioctl(tun.get(), TUNSETIFF, &request) < 0) return ErrnoError("ioctl(TUNSETIFF)");
  return Ok();
}

/// A device node of ppp that every user may open: what is tested is the kernel's rule, not the mode of a file.
std::string PppFile() {
  static const std::string file = [] {
    ::mkdir("/tmp/dev-ppp", 0755);
    const std::string own = "/tmp/dev-ppp/ppp";
    if (::mount("dev", "/tmp/dev-ppp", "tmpfs", 0, "mode=0755") == 0 &&  // /tmp itself has no devices
        ::mknod(own.c_str(), S_IFCHR | 0666, makedev(108, 0)) == 0 && ::chmod(own.c_str(), 0666) == 0)
      return own;
    throw MissingNeed("needs-root", "an ordinary user can make no /dev/ppp that other users may open");
  }();
  return file;
}
Result<Fd> OpenPpp() {
  auto opened = Open(PppFile(), O_RDWR);
  if (opened.code() == ENXIO || opened.code() == ENODEV) return Error{EOPNOTSUPP, "open(/dev/ppp)"};
  return opened;
}
Status MakeAPppUnit() {
  ASSIGN_OR_RETURN(Fd ppp, OpenPpp());
  int unit = -1;
  if (::ioctl(ppp.get(), PPPIOCNEWUNIT, &unit) < 0) return ErrnoError("ioctl(PPPIOCNEWUNIT)");
  return Ok();
}

// --- legacy firewall tables, by a socket of root's in the namespace

struct Legacy {
  const char *name, *config;
  int family, level, option;
  socklen_t size;  ///< of the structure that tells of a table, which begins with its name
};
Operation AskForATable(const Legacy& table) {
  return {table.name, {"USER-07", "SOCK-14"}, From::kHome, kNetAdmin, Effect::kNone,
          [=](World& world) -> Status {
            alignas(8) char info[128] = "filter";
            socklen_t size = table.size;
            // A table that is not there is another matter.
            if (::getsockopt(world.socket.get(), table.level, table.option, info, &size) < 0 && errno != ENOENT) return ErrnoError("getsockopt for a legacy table");
            return Ok();
          },
          [=](World& world) { world.socket = SETUP_OK(world.ns->Socket(table.family, SOCK_DGRAM)); }, table.config};
}

/// An option that is read, of which only the size and the first number matter.
Status GetOption(int level, int option, socklen_t size) {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  std::uint32_t value[32] = {0x100 /* IP_SET_OP_VERSION */, 6};
  if (::getsockopt(socket.get(), level, option, value, &size) < 0) return ErrnoError("getsockopt(" + std::to_string(option) + ")");
  return Ok();
}
Status FlushIpvs() {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (::setsockopt(socket.get(), SOL_IP, 1157 /* IP_VS_SO_SET_FLUSH */, nullptr, 0) < 0) return ErrnoError("setsockopt(IP_VS_SO_SET_FLUSH)");
  return Ok();
}
/// Its option is there once its module is, which a request for its subsystem brings.
void NeedIpset() {
  NetlinkSocket socket = SETUP_OK(NetlinkSocket::Open(NETLINK_NETFILTER));
  struct {  // nfgenmsg
    std::uint8_t family, version;
    std::uint16_t resource;
  } header{AF_INET, 0, 0};
  (void)socket.Ack(Request(6 << 8 | 1 /* IPSET_CMD_PROTOCOL */).Header(header).Named("ask for ipset"));
  if (GetOption(SOL_IP, 83, 8).code() == ENOPROTOOPT) throw MissingNeed("needs-config:IP_SET", "getsockopt knows no SO_IP_SET");
}

std::vector<Operation> Operations() {
  using R = Rtnl&;
  using W = World&;
  constexpr auto kInside = From::kInside, kHome = From::kHome;
  constexpr auto kNone = Effect::kNone;
  return {
      {"ListenToMulticastRoutes", {"USER-07", "NLK-04"}, kInside, kNetAdmin, kNone,
       All({{"RTNLGRP_IPV4_MROUTE_R", [](W) { return JoinGroup(NETLINK_ROUTE, 30); }},
            {"RTNLGRP_IPV6_MROUTE_R", [](W) { return JoinGroup(NETLINK_ROUTE, 31); }}, {"by bind", [](W) { return BindToGroup(30); }}})},
      {"ListenToRoutes", {"USER-07", "NLK-04"}, kInside, kEverybody, kNone,
       All({{"RTNLGRP_IPV4_ROUTE", [](W) { return JoinGroup(NETLINK_ROUTE, RTNLGRP_IPV4_ROUTE); }},
            {"by bind", [](W) { return BindToGroup(RTNLGRP_IPV4_ROUTE); }}})},
      {"ListenToNetfilter", {"USER-07", "FW-21"}, kInside, kNetAdmin, kNone, [](W) { return JoinGroup(NETLINK_NETFILTER, 1); }, {}, "NETFILTER_NETLINK"},
      {"ListenToMptcp", {"USER-07", "NLK-04"}, kInside, kNetAdmin, kNone, [](W) { return JoinGenericGroup("mptcp_pm", "mptcp_pm_events"); }, {}, "MPTCP",
       nullptr, false,
       [] {
         if (JoinGenericGroup("mptcp_pm", "mptcp_pm_events").code() == EOPNOTSUPP)
           throw MissingNeed("needs-feature:mptcp-events", "events of mptcp_pm, since Linux 5.12", "", LinuxVersion{5, 12});
       }},
      {"SendOverNetlinkToOthers", {"USER-07", "NLK-03"}, kInside, kNetAdmin, kNone,
       All({{"to a group", [](W) { return SendNothing(1, 0); }},
            {"to a port", [](W w) { return SendNothing(0, PortOf(w.socket)); }},
            {"connect", [](W w) { return ConnectTo(PortOf(w.socket)); }}}),
       MakeAReceiver},

      Foreign("ConfigureADeviceByANetlinkSocketOfRoots", {"USER-27", "USER-07"}, NETLINK_ROUTE, [](W w) { return UpOf("lo", w); }, "NET"),
      // IPCTNL_MSG_CT_DELETE, "conntrack -F"
      Foreign("FlushConnectionsByASocketOfRoots", {"FW-21", "USER-27"}, NETLINK_NETFILTER,
              [](W) { return std::move(Request(1 << 8 | 2).Header(NetfilterHeader{}).Named("flush connections")); }, "NF_CT_NETLINK"),
      ForeignNetfilter("FlushExpectationsByASocketOfRoots", {"FW-21", "USER-27"}, "NF_CT_NETLINK", 2, 2 /* IPCTNL_MSG_EXP_DELETE */),
      ForeignNetfilter("FlushIpSetsByASocketOfRoots", {"FW-21", "USER-27"}, "IP_SET", 6, 4 /* IPSET_CMD_FLUSH */, 6 /* IPSET_PROTOCOL_MIN */),
      ForeignNetfilter("FlushAccountsByASocketOfRoots", {"FW-21", "USER-27"}, "NETFILTER_NETLINK_ACCT", 7, 3 /* NFNL_MSG_ACCT_DEL */),
      ForeignNetfilter("FlushTimeoutsByASocketOfRoots", {"FW-21", "USER-27"}, "NF_CT_NETLINK_TIMEOUT", 8, 2 /* IPCTNL_MSG_TIMEOUT_DELETE */),
      ForeignNetfilter("AskNftablesByASocketOfRoots", {"FW-21", "USER-27"}, "NF_TABLES", 10, 16 /* NFT_MSG_GETGEN */),
      Foreign("FlushIpsecStatesByASocketOfRoots", {"USER-27", "STACK-17"}, NETLINK_XFRM,
              [](W) { return std::move(Request(28 /* XFRM_MSG_FLUSHSA */).Header(std::uint32_t{0}).Named("flush states")); }, "XFRM_USER"),
      ForeignCommand("ConfigureWireGuardByASocketOfRoots", "wireguard", 1 /* WG_CMD_SET_DEVICE */, "WIREGUARD"),
      ForeignCommand("AddAnEndpointOfMptcpByASocketOfRoots", "mptcp_pm", 1 /* MPTCP_PM_CMD_ADD_ADDR */, "MPTCP"),

      // Documentation/netlink: "admin-perm" asks for the right in the initial user namespace, "uns-admin-perm" in the owner.
      Command("ConfigureWireGuard", kNetAdmin, "wireguard", 1 /* WG_CMD_SET_DEVICE */, "WIREGUARD"),
      Command("MakeAnL2tpTunnel", kNetAdmin, "l2tp", 1 /* L2TP_CMD_TUNNEL_CREATE */, "L2TP"),
      Command("MakeAWirelessInterface", kNetAdmin, "nl80211", 7 /* NL80211_CMD_NEW_INTERFACE */, "CFG80211"),
      // ethtool-netlink.rst: each _SET and _ACT, and what may show secrets
      EthtoolCommands(),
      Command("AddAnEndpointOfMptcp", kNetAdmin, "mptcp_pm", 1 /* MPTCP_PM_CMD_ADD_ADDR */, "MPTCP"),
      Command("AddAMacsecChannel", kInitial, "macsec", 1 /* MACSEC_CMD_ADD_RXSC */, "MACSEC"),
      Command("SetOptionsOfATeam", kInitial, "team", 1 /* TEAM_CMD_OPTIONS_SET */, "NET_TEAM"),
      Command("DeleteTcpMetrics", kInitial, "tcp_metrics", 2 /* TCP_METRICS_CMD_DEL */, "INET"),
      Command("OpenAFouPort", kInitial, "fou", 1 /* FOU_CMD_ADD */, "NET_FOU"),
      Command("AddAnIpvsService", kInitial, "IPVS", 1 /* IPVS_CMD_NEW_SERVICE */, "IP_VS"),
      Command("ConfigureADevlinkPort", kInitial, "devlink", 6 /* DEVLINK_CMD_PORT_SET */, "NET_DEVLINK"),
      {"AddAnAction", {"USER-07"}, kInside, kInitial, kNone, [](W) { return AddAnAction(); }, {}, "NET_ACT_GACT", &kRefused},

      {"StackAnIpvlanOnOneOfItsDevice", {"USER-13", "VIRT-28"}, kHome, kNetAdmin, kNone,
       Request_([](R r, W) -> Status {
         RETURN_IF_ERROR(r.AddLink({.name = "near", .kind = "ipvlan", .link = "made"}));
         return r.DeleteLink("near");
       }),
       PutAnIpvlanOnItsDeviceAtHome, "IPVLAN"},

      {"AskATunFileForNamespaces", {"NSFS-20", "VIRT-12"}, kHome, kNetAdmin, kNone,
       All({{"SIOCGSKNS", [](W w) { return AskTun(w, SIOCGSKNS, "ioctl(SIOCGSKNS)"); }},
            {"TUNGETDEVNETNS", [](W w) { return AskTun(w, TUNGETDEVNETNS, "ioctl(TUNGETDEVNETNS)"); }}}),
       MakeATun, "TUN", nullptr, false, [] { TunFile(); }},
      {"AttachToTheTunOfAnotherUser", {"VIRT-14"}, kInside, kNetAdmin, kNone, [](W) { return AttachToATun(); }, MakeAPersistentTun, "TUN", nullptr, false,
       [] {
         if (!IsRealRoot()) throw MissingNeed("needs-root", "an ordinary user knows no other user to give a device to");
         TunFile();
       }},
      // drivers/net/tun.c: frames as user space likes them, for tests of the machine
      {"MakeATapOfFragments", {"VIRT-14"}, kInside, kInitial, kNone, [](W) { return MakeATapOfFragments(); }, {}, "TUN", &kRefused, false,
       [] { TunFile(); }},
      {"OpenAPppFile", {"VIRT-21"}, kInside, kOwnNetAdmin, kNone, [](W) { return Discard(OpenPpp()); }, {}, "PPP", nullptr, false, [] { PppFile(); }},
      {"MakeAPppUnit", {"VIRT-21", "USER-07"}, kInside, kOwnAndNetAdmin, kNone, [](W) { return MakeAPppUnit(); }, {}, "PPP", nullptr, false, [] { PppFile(); }},

      AskForATable({"AskForAnIptablesTable", "IP_NF_FILTER", AF_INET, SOL_IP, 64 /* IPT_SO_GET_INFO */, 84}),
      AskForATable({"AskForAnIp6tablesTable", "IP6_NF_FILTER", AF_INET6, SOL_IPV6, 64 /* IP6T_SO_GET_INFO */, 84}),
      AskForATable({"AskForAnArptablesTable", "IP_NF_ARPFILTER", AF_INET, SOL_IP, 96 /* ARPT_SO_GET_INFO */, 68}),
      AskForATable({"AskForAnEbtablesTable", "BRIDGE_EBT_T_FILTER", AF_INET, SOL_IP, 128 /* EBT_SO_GET_INFO */, 120}),
      // capabilities(7), CAP_BPF, and CAP_NET_ADMIN for programs of the network: over the kernel, whatever a namespace's root may
      {"LoadABpfProgram", {"USER-29"}, kInside, kInitial, kNone,
       All({{"of devices", [](W) { return Discard(LoadBpf({BPF_PROG_TYPE_XDP, 0, bpf::Return(2 /* XDP_PASS */)})); }},
            {"of traffic control", [](W) { return Discard(LoadBpf({BPF_PROG_TYPE_SCHED_CLS, 0, bpf::Return(0)})); }}}),
       {}, "BPF_SYSCALL", &kRefused},
      {"AskIpvsByOption", {"USER-07"}, kInside, kNetAdmin, kNone,
       All({{"IP_VS_SO_GET_INFO", [](W) { return GetOption(SOL_IP, 1153, 12); }}, {"IP_VS_SO_SET_FLUSH", [](W) { return FlushIpvs(); }}}), {}, "IP_VS",
       nullptr, false, [] { NeedFamily("IPVS", "IP_VS"); }},
      {"AskIpsetByOption", {"USER-07"}, kInside, kNetAdmin, kNone, [](W) { return GetOption(SOL_IP, 83 /* SO_IP_SET */, 8); }, {}, "IP_SET", nullptr, false,
       NeedIpset},
      {"ListWhatIsInside", {"USER-07"}, kInside, kEverybody, kNone,
       All({{"addresses", Request_([](R r, W) { return Discard(r.Addresses()); })}, {"routes", Request_([](R r, W) { return Discard(r.Routes()); })},
            {"rules", Request_([](R r, W) { return Discard(r.Rules(AF_INET)); })}, {"neighbours", Request_([](R r, W) { return Discard(r.Neighbours()); })},
            {"qdiscs", Request_([](R r, W) { return Discard(r.Qdiscs()); })}, {"nsids", Request_([](R r, W) { return Discard(r.Nsids()); })}})},
  };
}

const bool registered = RegisterOperations(Operations(), /*with_devices=*/false, __FILE__, __LINE__);

}  // namespace
}  // namespace netns::rights
