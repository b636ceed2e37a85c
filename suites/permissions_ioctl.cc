// SPDX-License-Identifier: GPL-2.0-or-later
// USER: rows of the table of rights (permissions.cc) for the ioctls that configure devices, addresses and routes.
// netdevice(7): "If an ioctl is marked as privileged, then using it requires an effective user ID of 0 or the CAP_NET_ADMIN
// capability. If this is not the case, EPERM will be returned"; capabilities(7), CAP_NET_ADMIN: "interface configuration",
// "modify routing tables". Each of these calls has a check of its own in the kernel.
#include <net/if_arp.h>
#include <net/route.h>

#include <optional>

#include "suites/support/features.h"
#include "suites/support/rights.h"

// After the C library's headers: in this order they go together.
#include <linux/ethtool.h>
#include <linux/if_bonding.h>
#include <linux/if_bridge.h>
#include <linux/if_tunnel.h>
#include <linux/if_vlan.h>
#include <linux/ip6_tunnel.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>

namespace netns::rights {
namespace {

/// Makes a device that is not there yet; one that cannot be made, for want of an option, is MISS.
void AddOnce(World& world, const LinkSpec& spec, const char* config) {
  if (world.Has(spec.name)) return;
  Status added = world.root().AddLink(spec);
  if (added.code() == EOPNOTSUPP) throw MissingNeed(std::string("needs-config:") + config, added.error().ToString());
  SETUP_OK(std::move(added));
}
void BringIts0Up(World& world) {
  AddIts0(world);
  SETUP_OK(world.root().Up("its0"));
}

/// An ioctl on a device by a socket that no protocol of its own has a hand in.
Status DeviceIoctl(unsigned long request, ifreq& argument, const char* what) { return Ioctl(request, argument, what, AF_UNIX); }
Status PrivateIoctl(unsigned number, const char* device, void* data, const char* what) {
  ifreq request = NamedRequest(device);
  request.ifr_data = static_cast<char*>(data);
  return DeviceIoctl(SIOCDEVPRIVATE + number, request, what);
}

// --- devices

Step Device(const char* name, unsigned long request, std::function<void(ifreq&)> fill) {
  return {name, [=](World&) {
            ifreq argument = NamedRequest("its0");
            fill(argument);
            // That a veth has no such thing is told only to those who may ask for it.
            return Heard(DeviceIoctl(request, argument, name), {EOPNOTSUPP});
          }};
}
void MulticastMac(ifreq& request) {
  request.ifr_hwaddr.sa_family = AF_UNSPEC;
  const unsigned char address[] = {0x33, 0x33, 0, 0, 0, 0x77};
  std::memcpy(request.ifr_hwaddr.sa_data, address, sizeof address);
}
void Mac(ifreq& request) {
  request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  const unsigned char address[] = {2, 0, 0, 0, 0, 0x77};
  std::memcpy(request.ifr_hwaddr.sa_data, address, sizeof address);
}
void Time(ifreq& request) {
  static hwtstamp_config config{};
  request.ifr_data = reinterpret_cast<char*>(&config);
}

void DriverInfo(ifreq& request) {
  static ethtool_drvinfo info{};
  info.cmd = ETHTOOL_GDRVINFO;
  request.ifr_data = reinterpret_cast<char*>(&info);
}

/// ethtool(8): one request by ioctl(2), with nothing in it. To whoever may make it, all sorts of things are told that are wrong with it.
Step Ethtool(const char* name, std::uint32_t command) {
  return {name, [=](World&) -> Status {
            alignas(8) static std::byte argument[4096];  // more than any of them takes
            std::memset(argument, 0, sizeof argument);
            std::memcpy(argument, &command, sizeof command);
            ifreq request = NamedRequest("its0");
            request.ifr_data = reinterpret_cast<char*>(argument);
            const Status answer = DeviceIoctl(SIOCETHTOOL, request, name);
            return answer.code() == EPERM ? answer : Ok();
          }};
}
#define NETNS_ETHTOOL(command) Ethtool(#command, command)
/// The features of its0, by a socket in it.
std::optional<DeviceFeatures>& FeaturesOfIts0() {
  static std::optional<DeviceFeatures> features;
  return features;
}
void LookAtFeatures(World& world) {
  AddIts0(world);
  FeaturesOfIts0().emplace(*world.ns, "its0");
}
/// ethtool(8), -K: ETHTOOL_SFEATURES, which says what has changed only afterwards.
Status SwitchAFeature(World&) {
  const std::string name = "tx-generic-segmentation";
  const bool before = FeaturesOfIts0()->All().at(name).active;
  RETURN_IF_ERROR(FeaturesOfIts0()->Ask({{name, !before}}));
  if (FeaturesOfIts0()->All().at(name).active == before) return Error{EBADE, "ETHTOOL_SFEATURES had no effect"};
  return Ok();
}

// --- addresses, routes, neighbours

Status Ipv4Route(unsigned long request, const char* what, const Fd* socket = nullptr) {
  char device[] = "its0";
  rtentry route{};
  route.rt_dst = Ipv4(0xCB007100);  // 203.0.113.0/24
  route.rt_genmask = Ipv4(0xFFFFFF00);
  route.rt_flags = RTF_UP;
  route.rt_dev = device;
  if (socket == nullptr) return Ioctl(request, route, what);
  if (::ioctl(socket->get(), request, &route) < 0) return ErrnoError(what);
  return Ok();
}
Status Neighbour4(unsigned long request, const char* what) {
  arpreq entry{};
  entry.arp_pa = Ipv4(0xC0000204);
  entry.arp_ha.sa_family = ARPHRD_ETHER;
  entry.arp_ha.sa_data[0] = 2;
  entry.arp_flags = ATF_PERM | ATF_COM;
  std::strcpy(entry.arp_dev, "its0");
  return Ioctl(request, entry, what);
}
/// in6_rtmsg and in6_ifreq, whose headers do not go with the C library's.
struct Ipv6Route {
  in6_addr to{}, from{}, gateway{};
  std::uint32_t type = 0;
  std::uint16_t to_length = 64, from_length = 0;
  std::uint32_t metric = 0;
  unsigned long info = 0;
  std::uint32_t flags = RTF_UP;
  int index = 0;
};
struct Ipv6Address {
  in6_addr address{};
  std::uint32_t prefix_length = 64;
  int index = 0;
};
template <class Request>
Step Ipv6(const char* name, unsigned long call, in6_addr Request::* field, bool of_roots = false) {
  return {name, [=](World& world) -> Status {
            Request request;
            const unsigned char address[16] = {0x20, 0x01, 0x0D, 0xB8, 0, 7};
            std::memcpy(&(request.*field), address, sizeof address);
            request.index = IndexOfIts0(world);
            if (!of_roots) return Ioctl(call, request, name, AF_INET6);
            if (::ioctl(world.socket.get(), call, &request) < 0) return ErrnoError(name);
            return Ok();
          }};
}

// --- by a socket of another namespace than one's own, which stays with that

template <class Argument>
Status IoctlOfRoots(World& world, unsigned long request, Argument& argument, const char* what) {
  if (::ioctl(world.socket.get(), request, &argument) < 0) return ErrnoError(what);
  return Ok();
}
Step DeviceOfRoots(const char* name, unsigned long request, std::function<void(ifreq&)> fill) {
  return {name, [=](World& world) {
            ifreq argument = NamedRequest("its0");
            fill(argument);
            return Heard(IoctlOfRoots(world, request, argument, name), {EOPNOTSUPP});
          }};
}
void Feature(ifreq& request) {
  static ethtool_value value{};
  value = {ETHTOOL_SGRO, 1};
  request.ifr_data = reinterpret_cast<char*>(&value);
}
std::function<void(World&)> MakeASocket(int family, std::function<void(World&)> before) {
  return [=](World& world) {
    before(world);
    world.socket = SETUP_OK(world.ns->Socket(family, SOCK_DGRAM));
  };
}

// --- VLANs (vconfig(8)), bonds (Documentation/networking/bonding.rst), bridges (brctl(8))

Step Vlan(const char* name, int command, std::function<void(vlan_ioctl_args&)> fill) {
  return {name, [=](World&) {
            vlan_ioctl_args request{};
            request.cmd = command;
            std::strcpy(request.device1, "itsv");
            fill(request);
            return Ioctl(SIOCSIFVLAN, request, name);
          }};
}
void PutAVlanIntoIt(World& world) {
  AddIts0(world);
  AddOnce(world, {.name = "itsv", .kind = "vlan", .link = "its0", .data = [](Request& q) { q.U16(1 /* IFLA_VLAN_ID */, 10); }}, "VLAN_8021Q");
}

Step Bond(const char* name, unsigned long request) {
  return {name, [=](World&) {
            ifreq argument = NamedRequest("itsb");
            std::strcpy(argument.ifr_slave, "its0");
            return DeviceIoctl(request, argument, name);
          }};
}
void PutABondIntoIt(World& world) {
  AddIts0(world);
  AddOnce(world, {.name = "itsb", .kind = "bond", .data = [](Request& q) { q.U8(1 /* IFLA_BOND_MODE */, 1 /* active-backup */); }}, "BONDING");
}

Step Bridge(const char* name, unsigned long command, unsigned long first, unsigned long second = 0) {
  return {name, [=](World& world) {
            unsigned long arguments[4] = {command, first, second, 0};
            if (command == BRCTL_ADD_IF || command == BRCTL_DEL_IF) arguments[1] = static_cast<unsigned long>(IndexOfIts0(world));
            return PrivateIoctl(0, "itsbr", arguments, name);
          }};
}
Step BridgePort(const char* name, unsigned long request) {
  return {name, [=](World& world) {
            ifreq argument = NamedRequest("itsbr");
            argument.ifr_ifindex = IndexOfIts0(world);
            return DeviceIoctl(request, argument, name);
          }};
}
Step BridgeByName(const char* name, unsigned long request, unsigned long old_command) {
  return {name, [=](World&) -> Status {
            char bridge[IFNAMSIZ] = "itsbr2";
            unsigned long arguments[3] = {old_command, reinterpret_cast<unsigned long>(bridge), 0};
            Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
            if (::ioctl(socket.get(), request, old_command == 0 ? static_cast<void*>(bridge) : arguments) < 0) return ErrnoError(name);
            return Ok();
          }};
}
Status BridgeOfRoots(World& world, unsigned long request, const char* what) {
  char bridge[IFNAMSIZ] = "itsbr3";
  return IoctlOfRoots(world, request, bridge, what);
}
Status VlanOfRoots(World& world, int command, const char* device) {
  vlan_ioctl_args request{};
  request.cmd = command;
  std::strcpy(request.device1, device);
  if (command == ADD_VLAN_CMD) request.u.VID = 20;
  return IoctlOfRoots(world, SIOCSIFVLAN, request, "ioctl(SIOCSIFVLAN)");
}
void PutABridgeIntoIt(World& world) {
  AddIts0(world);
  AddOnce(world, {.name = "itsbr", .kind = "bridge"}, "BRIDGE");
  SETUP_OK(world.root().SetLink("its0", {.master = LinkRef("itsbr")}));
}

// --- tunnels (Documentation/networking, ip-tunnel(8)): whoever may, adds one more, changes and deletes it

/// A kind of tunnel and its ioctls' argument: to 192.0.2.5 or fd00::5, and the new one to ...6.
struct Tunnel {
  const char *kind, *config;
  std::uint16_t remote;    ///< the netlink attribute of its other end
  std::uint8_t protocol;
  bool ipv6;
};
in6_addr Ipv6Remote(std::uint8_t host) {
  in6_addr address{};
  address.s6_addr[0] = 0xFD;
  address.s6_addr[15] = host;
  return address;
}
Status TunnelIoctl(const Tunnel& tunnel, unsigned number, const char* device, const char* name, std::uint8_t host, const char* what) {
  if (tunnel.ipv6) {
    ip6_tnl_parm2 parameters{};  // begins with ip6_tnl_parm, which is all that ip6tnl asks for
    std::strcpy(parameters.name, name);
    parameters.proto = tunnel.protocol;
    parameters.hop_limit = 64;
    parameters.raddr = Ipv6Remote(host);
    return PrivateIoctl(number, device, &parameters, what);
  }
  ip_tunnel_parm parameters{};
  std::strcpy(parameters.name, name);
  parameters.iph.version = 4;
  parameters.iph.ihl = 5;
  parameters.iph.ttl = 64;
  parameters.iph.protocol = tunnel.protocol;
  parameters.iph.daddr = htonl(0xC0000200 + host);
  return PrivateIoctl(number, device, &parameters, what);
}
Operation ChangeTunnels(const char* name, const Tunnel& tunnel) {
  auto there = [] { return ::if_nametoindex("itst2") != 0; };
  return {name, {"USER-04", "USER-07"}, From::kInside, kNetAdmin, Effect::kNone,
          All({{"SIOCADDTUNNEL", [=](World&) { return TunnelIoctl(tunnel, 1, "itst", "itst2", 6, "ioctl(SIOCADDTUNNEL)"); }},
               {"SIOCCHGTUNNEL",
                [=](World&) {
                  return there() ? TunnelIoctl(tunnel, 3, "itst2", "itst2", 6, "ioctl(SIOCCHGTUNNEL)")
                                 : TunnelIoctl(tunnel, 3, "itst", "itst", 5, "ioctl(SIOCCHGTUNNEL)");
                }},
               {"SIOCDELTUNNEL",
                [=](World&) {
                  return there() ? TunnelIoctl(tunnel, 2, "itst2", "itst2", 6, "ioctl(SIOCDELTUNNEL)")
                                 : TunnelIoctl(tunnel, 2, "itst", "itst", 5, "ioctl(SIOCDELTUNNEL)");
                }}}),
          [=](World& world) {
            AddOnce(world, {.name = "itst", .kind = tunnel.kind,
                            .data = [=](Request& q) {
                              if (tunnel.ipv6)
                                q.Structure(tunnel.remote, Ipv6Remote(5));
                              else
                                q.Be32(tunnel.remote, 0xC0000205);
                            }},
                    tunnel.config);
          },
          tunnel.config};
}
constexpr Tunnel kSit{"sit", "IPV6_SIT", 3, IPPROTO_IPV6, false};
void PutASitTunnelIntoIt(World& world) {
  AddOnce(world, {.name = "itst", .kind = "sit", .data = [](Request& q) { q.Be32(3 /* IFLA_IPTUN_REMOTE */, 0xC0000205); }}, "IPV6_SIT");
}
Step PotentialRouter(const char* name, unsigned number) {
  return {name, [=](World&) {
            ip_tunnel_prl entry{};
            entry.addr = htonl(0xC0000209);
            return PrivateIoctl(number, "itst", &entry, name);
          }};
}
Step SixRd(const char* name, unsigned number) {
  return {name, [=](World&) {
            ip_tunnel_6rd domain{};
            domain.prefix.s6_addr[0] = 0x20;
            domain.prefix.s6_addr[1] = 0x02;
            domain.prefixlen = 16;
            return PrivateIoctl(number, "itst", &domain, name);
          }};
}

std::vector<Operation> Operations() {
  auto row = [](const char* name, std::vector<Step> steps, void (*prepare)(World&) = nullptr, const char* config = nullptr) {
    return Operation{name, {"USER-04", "USER-07"}, From::kInside, kNetAdmin, Effect::kNone, All(std::move(steps)),
                     prepare != nullptr ? std::function<void(World&)>(prepare) : nullptr, config};
  };
  // user_namespaces(7): the owner of the namespace is asked, here of that of the socket (SOCK-14). At home most actors are root.
  auto by_socket_of_roots = [](const char* name, std::vector<Step> steps, std::function<void(World&)> prepare, const char* config) {
    return Operation{name, {"USER-07", "SOCK-14"}, From::kHome, kNetAdmin, Effect::kNone, All(std::move(steps)), std::move(prepare), config};
  };
  auto of_ethtool = [](Operation operation) {
    operation.covers.push_back("DEV-34");
    return operation;
  };
  auto nothing = [](auto&) {};
  return {
      row("ConfigureADeviceByIoctl",
          {Device("SIOCSIFFLAGS", SIOCSIFFLAGS, [](ifreq& r) { r.ifr_flags = IFF_UP; }),
           Device("SIOCSIFMTU", SIOCSIFMTU, [](ifreq& r) { r.ifr_mtu = 1400; }),
           Device("SIOCSIFHWADDR", SIOCSIFHWADDR, Mac),
           Device("SIOCSIFHWBROADCAST", SIOCSIFHWBROADCAST, [](ifreq& r) { Mac(r), r.ifr_hwaddr.sa_data[0] = 3; }),
           Device("SIOCADDMULTI", SIOCADDMULTI, MulticastMac), Device("SIOCDELMULTI", SIOCDELMULTI, MulticastMac),
           Device("SIOCSMIIREG", SIOCSMIIREG, nothing),
           Device("SIOCSHWTSTAMP", SIOCSHWTSTAMP, Time)}, AddIts0),  // Documentation/networking/timestamping.rst
      {"AskForADeviceByIoctl", {"USER-07"}, From::kInside, kEverybody, Effect::kNone,
       All({Device("SIOCGIFFLAGS", SIOCGIFFLAGS, nothing), Device("SIOCGIFMTU", SIOCGIFMTU, nothing), Device("SIOCGIFINDEX", SIOCGIFINDEX, nothing),
            Device("SIOCGIFHWADDR", SIOCGIFHWADDR, nothing), Device("SIOCGIFTXQLEN", SIOCGIFTXQLEN, nothing),
            Device("SIOCETHTOOL(ETHTOOL_GDRVINFO)", SIOCETHTOOL, DriverInfo)}), AddIts0},
      // netdevice(7): "a privileged operation". What it takes is of the machine, and asked for in the initial user namespace.
      {"SetTheQueueLengthOfADeviceByIoctl", {"USER-07"}, From::kInside, kInitial, Effect::kNone,
       All({Device("SIOCSIFTXQLEN", SIOCSIFTXQLEN, [](ifreq& r) { r.ifr_qlen = 500; }), Device("SIOCSIFMAP", SIOCSIFMAP, nothing)}), AddIts0,
       nullptr, &kRefused},
      // ethtool(8), ethtool-netlink.rst, "Request translation": whatever sets something asks for CAP_NET_ADMIN over the namespace
      of_ethtool(row("ChangeADeviceByEthtool",
          {NETNS_ETHTOOL(ETHTOOL_SSET), NETNS_ETHTOOL(ETHTOOL_SWOL), NETNS_ETHTOOL(ETHTOOL_SMSGLVL), NETNS_ETHTOOL(ETHTOOL_NWAY_RST), NETNS_ETHTOOL(ETHTOOL_SEEPROM),
           NETNS_ETHTOOL(ETHTOOL_SCOALESCE), NETNS_ETHTOOL(ETHTOOL_SRINGPARAM), NETNS_ETHTOOL(ETHTOOL_SPAUSEPARAM), NETNS_ETHTOOL(ETHTOOL_SRXCSUM),
           NETNS_ETHTOOL(ETHTOOL_STXCSUM), NETNS_ETHTOOL(ETHTOOL_SSG), NETNS_ETHTOOL(ETHTOOL_TEST), NETNS_ETHTOOL(ETHTOOL_PHYS_ID), NETNS_ETHTOOL(ETHTOOL_STSO),
           NETNS_ETHTOOL(ETHTOOL_SUFO), NETNS_ETHTOOL(ETHTOOL_SGSO), NETNS_ETHTOOL(ETHTOOL_SGRO), NETNS_ETHTOOL(ETHTOOL_SFLAGS), NETNS_ETHTOOL(ETHTOOL_SPFLAGS),
           NETNS_ETHTOOL(ETHTOOL_SRXFH), NETNS_ETHTOOL(ETHTOOL_SRXCLSRLDEL), NETNS_ETHTOOL(ETHTOOL_SRXCLSRLINS), NETNS_ETHTOOL(ETHTOOL_FLASHDEV),
           NETNS_ETHTOOL(ETHTOOL_RESET), NETNS_ETHTOOL(ETHTOOL_SRXFHINDIR), NETNS_ETHTOOL(ETHTOOL_SFEATURES), NETNS_ETHTOOL(ETHTOOL_SCHANNELS),
           NETNS_ETHTOOL(ETHTOOL_SET_DUMP), NETNS_ETHTOOL(ETHTOOL_SEEE), NETNS_ETHTOOL(ETHTOOL_SRSSH), NETNS_ETHTOOL(ETHTOOL_STUNABLE),
           NETNS_ETHTOOL(ETHTOOL_PHY_STUNABLE), NETNS_ETHTOOL(ETHTOOL_PERQUEUE), NETNS_ETHTOOL(ETHTOOL_SLINKSETTINGS), NETNS_ETHTOOL(ETHTOOL_SFECPARAM)},
          AddIts0)),
      of_ethtool(row("SwitchAFeatureOfADevice", {{"ETHTOOL_SFEATURES", SwitchAFeature}}, LookAtFeatures)),
      {"AskForADeviceByEthtool", {"USER-07", "DEV-34"}, From::kInside, kEverybody, Effect::kNone,
       All({NETNS_ETHTOOL(ETHTOOL_GSET), NETNS_ETHTOOL(ETHTOOL_GDRVINFO), NETNS_ETHTOOL(ETHTOOL_GMSGLVL), NETNS_ETHTOOL(ETHTOOL_GLINK), NETNS_ETHTOOL(ETHTOOL_GCOALESCE),
            NETNS_ETHTOOL(ETHTOOL_GRINGPARAM), NETNS_ETHTOOL(ETHTOOL_GPAUSEPARAM), NETNS_ETHTOOL(ETHTOOL_GSSET_INFO), NETNS_ETHTOOL(ETHTOOL_GSTRINGS),
            NETNS_ETHTOOL(ETHTOOL_GSTATS), NETNS_ETHTOOL(ETHTOOL_GTSO), NETNS_ETHTOOL(ETHTOOL_GGSO), NETNS_ETHTOOL(ETHTOOL_GGRO), NETNS_ETHTOOL(ETHTOOL_GPERMADDR),
            NETNS_ETHTOOL(ETHTOOL_GFEATURES), NETNS_ETHTOOL(ETHTOOL_GCHANNELS), NETNS_ETHTOOL(ETHTOOL_GET_TS_INFO), NETNS_ETHTOOL(ETHTOOL_GEEE),
            NETNS_ETHTOOL(ETHTOOL_GLINKSETTINGS)}),
       AddIts0},
      row("ChangeIpv4RoutesByIoctl",
          {{"SIOCADDRT", [](World&) { return Ipv4Route(SIOCADDRT, "ioctl(SIOCADDRT)"); }},
           {"SIOCDELRT", [](World&) { return Ipv4Route(SIOCDELRT, "ioctl(SIOCDELRT)"); }}}, BringIts0Up),
      row("ChangeNeighboursByIoctl",
          {{"SIOCSARP", [](World&) { return Neighbour4(SIOCSARP, "ioctl(SIOCSARP)"); }},
           {"SIOCDARP", [](World&) { return Neighbour4(SIOCDARP, "ioctl(SIOCDARP)"); }}}, AddIts0),
      row("ChangeIpv6AddressesByIoctl",
          {Ipv6("SIOCSIFADDR", SIOCSIFADDR, &Ipv6Address::address), Ipv6("SIOCDIFADDR", SIOCDIFADDR, &Ipv6Address::address)}, BringIts0Up, "IPV6"),
      row("ChangeIpv6RoutesByIoctl", {Ipv6("SIOCADDRT", SIOCADDRT, &Ipv6Route::to), Ipv6("SIOCDELRT", SIOCDELRT, &Ipv6Route::to)}, BringIts0Up, "IPV6"),

      by_socket_of_roots("ConfigureADeviceByASocketOfRoots",
                         {DeviceOfRoots("SIOCSIFFLAGS", SIOCSIFFLAGS, [](ifreq& r) { r.ifr_flags = IFF_UP; }),
                          DeviceOfRoots("SIOCSIFMTU", SIOCSIFMTU, [](ifreq& r) { r.ifr_mtu = 1400; }), DeviceOfRoots("SIOCSIFHWADDR", SIOCSIFHWADDR, Mac),
                          DeviceOfRoots("SIOCSHWTSTAMP", SIOCSHWTSTAMP, Time), DeviceOfRoots("SIOCETHTOOL(ETHTOOL_SGRO)", SIOCETHTOOL, Feature),
                          DeviceOfRoots("SIOCSIFADDR", SIOCSIFADDR, [](ifreq& r) { r.ifr_addr = Ipv4(0xC0000205); }),
                          {"SIOCADDRT", [](World& world) { return Ipv4Route(SIOCADDRT, "ioctl(SIOCADDRT)", &world.socket); }},
                          {"SIOCDELRT", [](World& world) { return Ipv4Route(SIOCDELRT, "ioctl(SIOCDELRT)", &world.socket); }}},
                         MakeASocket(AF_INET, BringIts0Up), "INET"),
      by_socket_of_roots("ChangeIpv6ByASocketOfRoots",
                         {Ipv6("SIOCSIFADDR", SIOCSIFADDR, &Ipv6Address::address, true), Ipv6("SIOCDIFADDR", SIOCDIFADDR, &Ipv6Address::address, true),
                          Ipv6("SIOCADDRT", SIOCADDRT, &Ipv6Route::to, true), Ipv6("SIOCDELRT", SIOCDELRT, &Ipv6Route::to, true)},
                         MakeASocket(AF_INET6, BringIts0Up), "IPV6"),
      by_socket_of_roots("AddABridgeByASocketOfRoots",
                         {{"SIOCBRADDBR", [](World& world) { return BridgeOfRoots(world, SIOCBRADDBR, "ioctl(SIOCBRADDBR)"); }},
                          {"SIOCBRDELBR", [](World& world) { return BridgeOfRoots(world, SIOCBRDELBR, "ioctl(SIOCBRDELBR)"); }}},
                         MakeASocket(AF_UNIX, [](World&) {}), "BRIDGE"),
      by_socket_of_roots("AddAVlanByASocketOfRoots",
                         {{"ADD_VLAN_CMD", [](World& world) { return VlanOfRoots(world, ADD_VLAN_CMD, "its0"); }},
                          // The device is looked for first: where none was added, another one.
                          {"DEL_VLAN_CMD", [](World& world) { return VlanOfRoots(world, DEL_VLAN_CMD, world.Has("its0.20") ? "its0.20" : "itsv"); }}},
                         MakeASocket(AF_UNIX, PutAVlanIntoIt), "VLAN_8021Q"),

      row("ConfigureAVlanByIoctl",
          {Vlan("SET_VLAN_INGRESS_PRIORITY_CMD", SET_VLAN_INGRESS_PRIORITY_CMD, [](auto& r) { r.vlan_qos = 3; }),
           Vlan("SET_VLAN_EGRESS_PRIORITY_CMD", SET_VLAN_EGRESS_PRIORITY_CMD, [](auto& r) { r.vlan_qos = 3; }),
           Vlan("SET_VLAN_FLAG_CMD", SET_VLAN_FLAG_CMD, [](auto& r) { r.u.flag = VLAN_FLAG_REORDER_HDR, r.vlan_qos = 1; }),
           Vlan("SET_VLAN_NAME_TYPE_CMD", SET_VLAN_NAME_TYPE_CMD, nothing)},
          PutAVlanIntoIt, "VLAN_8021Q"),
      row("DeleteAVlanByIoctl", {Vlan("DEL_VLAN_CMD", DEL_VLAN_CMD, nothing)}, PutAVlanIntoIt, "VLAN_8021Q"),
      row("ConfigureABondByIoctl",
          {Bond("BOND_ENSLAVE_OLD", BOND_ENSLAVE_OLD), Bond("BOND_SETHWADDR_OLD", BOND_SETHWADDR_OLD),
           Bond("BOND_CHANGE_ACTIVE_OLD", BOND_CHANGE_ACTIVE_OLD), Bond("BOND_RELEASE_OLD", BOND_RELEASE_OLD),
           Bond("SIOCBONDENSLAVE", SIOCBONDENSLAVE), Bond("SIOCBONDRELEASE", SIOCBONDRELEASE)},
          PutABondIntoIt, "BONDING"),
      row("ConfigureABridgeByPrivateIoctl",
          {Bridge("BRCTL_DEL_IF", BRCTL_DEL_IF, 0), Bridge("BRCTL_ADD_IF", BRCTL_ADD_IF, 0),
           Bridge("BRCTL_SET_BRIDGE_FORWARD_DELAY", BRCTL_SET_BRIDGE_FORWARD_DELAY, 1000),
           Bridge("BRCTL_SET_BRIDGE_HELLO_TIME", BRCTL_SET_BRIDGE_HELLO_TIME, 200),
           Bridge("BRCTL_SET_BRIDGE_MAX_AGE", BRCTL_SET_BRIDGE_MAX_AGE, 2000), Bridge("BRCTL_SET_AGEING_TIME", BRCTL_SET_AGEING_TIME, 30000),
           Bridge("BRCTL_SET_BRIDGE_STP_STATE", BRCTL_SET_BRIDGE_STP_STATE, 0),
           Bridge("BRCTL_SET_BRIDGE_PRIORITY", BRCTL_SET_BRIDGE_PRIORITY, 32768),
           Bridge("BRCTL_SET_PORT_PRIORITY", BRCTL_SET_PORT_PRIORITY, 1, 32), Bridge("BRCTL_SET_PATH_COST", BRCTL_SET_PATH_COST, 1, 100)},
          PutABridgeIntoIt, "BRIDGE"),
      row("ChangePortsOfABridgeByIoctl", {BridgePort("SIOCBRDELIF", SIOCBRDELIF), BridgePort("SIOCBRADDIF", SIOCBRADDIF)}, PutABridgeIntoIt, "BRIDGE"),
      row("AddAndDeleteBridgesByIoctl",
          {BridgeByName("SIOCBRADDBR", SIOCBRADDBR, 0), BridgeByName("SIOCBRDELBR", SIOCBRDELBR, 0),
           BridgeByName("SIOCSIFBR(BRCTL_ADD_BRIDGE)", SIOCSIFBR, BRCTL_ADD_BRIDGE),
           BridgeByName("SIOCSIFBR(BRCTL_DEL_BRIDGE)", SIOCSIFBR, BRCTL_DEL_BRIDGE)},
          nullptr, "BRIDGE"),

      ChangeTunnels("ChangeIpipTunnelsByIoctl", {"ipip", "NET_IPIP", 3 /* IFLA_IPTUN_REMOTE */, IPPROTO_IPIP, false}),
      ChangeTunnels("ChangeGreTunnelsByIoctl", {"gre", "NET_IPGRE", 7 /* IFLA_GRE_REMOTE */, IPPROTO_GRE, false}),
      ChangeTunnels("ChangeVtiTunnelsByIoctl", {"vti", "NET_IPVTI", 5 /* IFLA_VTI_REMOTE */, IPPROTO_IPIP, false}),
      ChangeTunnels("ChangeSitTunnelsByIoctl", kSit),
      ChangeTunnels("ChangeIp6tnlTunnelsByIoctl", {"ip6tnl", "IPV6_TUNNEL", 3, 0, true}),
      ChangeTunnels("ChangeIp6greTunnelsByIoctl", {"ip6gre", "IPV6_GRE", 7, 0, true}),
      ChangeTunnels("ChangeVti6TunnelsByIoctl", {"vti6", "IPV6_VTI", 5, 0, true}),
      // ip-tunnel(8), "ip tunnel prl" and "ip tunnel 6rd"
      row("ChangePotentialRoutersOfASitTunnel",
          {PotentialRouter("SIOCADDPRL", 5), PotentialRouter("SIOCCHGPRL", 7), PotentialRouter("SIOCDELPRL", 6)}, PutASitTunnelIntoIt, "IPV6_SIT"),
      row("ChangeThe6rdDomainOfASitTunnel", {SixRd("SIOCADD6RD", 9), SixRd("SIOCCHG6RD", 11), SixRd("SIOCDEL6RD", 10)}, PutASitTunnelIntoIt, "IPV6_SIT_6RD"),
  };
}

const bool registered = RegisterOperations(Operations(), /*with_devices=*/false, __FILE__, __LINE__);

}  // namespace
}  // namespace netns::rights
