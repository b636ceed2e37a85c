// SPDX-License-Identifier: GPL-2.0-or-later
// SYSCTL: settings of routing that show in which of several paths is chosen, and in how routes are told of.
#include "suites/support/effect.h"
#include "suites/support/wire.h"

#include <linux/nexthop.h>

namespace netns {
namespace {

using namespace wire;

struct Side {
  int family;
  const char *to, *to_address, *from, *via_one, *via_other;
  int prefix;
};
const Side kSides[] = {{AF_INET, "198.18.0.0/24", "198.18.0.9", "10.9.9.9", "192.0.2.2", "203.0.113.5", 32},
                       {AF_INET6, "2001:db8:99::/64", "2001:db8:99::9", "2001:db8::1", "2001:db8::2", "2001:db8:1::5", 128}};
Bytes AddressOf(const Side& side, const char* text, std::byte (&bytes)[16]) {
  ::inet_pton(side.family, text, bytes);
  return Bytes(bytes, side.family == AF_INET ? 4 : 16);
}

/// Both wires, with addresses of both families.
void PrepareBoth(const NetNamespace& ns, const Side& side) {
  PrepareForwarding(ns);
  auto rtnl = RtnlIn(ns);
  // An address of neither device: with one of a device its path is preferred.
  SETUP_OK(rtnl.AddAddress("10.9.9.9/32", "lo"));
  if (side.family == AF_INET) return;
  for (auto [device, address] : {std::pair("one", "2001:db8::1"), std::pair("other", "2001:db8:1::1")}) {
    SETUP_OK(ns.SetSysctl(string("net/ipv6/conf/") + device + "/disable_ipv6", "0"));
    SETUP_OK(rtnl.AddAddress(string(address) + "/64", device, {.nodad = true}));
    SETUP_OK(Eventually(string(address) + " to be local", [&, address = address] {
      const auto route = rtnl.GetRoute(address);
      return route.ok() && route->type == RTN_LOCAL;
    }));
  }
}
/// A route with two paths.
Prepare TwoPaths(int which, std::vector<std::pair<const char*, const char*>> values) {
  return [=](const NetNamespace& ns) {
    const Side& side = kSides[which];
    PrepareBoth(ns, side);
    auto rtnl = RtnlIn(ns);
    string paths;
    for (auto [device, via] : {std::pair("one", side.via_one), std::pair("other", side.via_other)}) {
      std::byte bytes[16];
      const Bytes address = AddressOf(side, via, bytes);
      rtattr gateway{static_cast<unsigned short>(RTA_LENGTH(address.size())), RTA_GATEWAY};
      rtnexthop hop{};
      hop.rtnh_len = static_cast<unsigned short>(sizeof hop + gateway.rta_len);
      hop.rtnh_ifindex = SETUP_OK(rtnl.LinkByName(device)).index;
      paths.append(reinterpret_cast<const char*>(&hop), sizeof hop).append(reinterpret_cast<const char*>(&gateway), sizeof gateway).append(reinterpret_cast<const char*>(address.data()), address.size());
    }
    RouteSpec route{.to = side.to, .scope = std::uint8_t{RT_SCOPE_UNIVERSE}, .family = side.family};
    route.more = [&](Request& request) { request.Raw(RTA_MULTIPATH, std::as_bytes(std::span(paths))); };
    const Status made = rtnl.AddRoute(route);
    if (made.code() == EINVAL) throw MissingNeed("needs-config:IP_ROUTE_MULTIPATH", "no route can have several paths: " + made.error().ToString());
    SETUP_OK(Status(made));
    for (const auto& [name, value] : values)
      if (ns.HasSysctl(name)) SETUP_OK(ns.SetSysctl(name, value));
  };
}
/// By which of the two paths each of thirty datagrams goes that differ in a port: a bit for each.
Result<int> Paths(const NetNamespace& ns, const Side& side) {
  auto rtnl = RtnlIn(ns);
  ASSIGN_OR_RETURN(Link one, rtnl.LinkByName("one"));
  int paths = 0;
  for (unsigned port = 0; port < 30; ++port) {
    rtmsg header{};
    header.rtm_family = static_cast<unsigned char>(side.family);
    header.rtm_dst_len = header.rtm_src_len = static_cast<unsigned char>(side.prefix);
    std::byte to[16], from[16];
    ASSIGN_OR_RETURN(Message message, rtnl.socket().Get(Request(RTM_GETROUTE)
                                                            .Header(header)
                                                            .Raw(RTA_DST, AddressOf(side, side.to_address, to))
                                                            .Raw(RTA_SRC, AddressOf(side, side.from, from))
                                                            .U8(RTA_IP_PROTO, IPPROTO_UDP)
                                                            .Be16(RTA_SPORT, 7000)
                                                            .Be16(RTA_DPORT, static_cast<std::uint16_t>(9000 + port))
                                                            .Named(string("the route to ") + side.to_address)));
    if (ReadRoute(message).dev == one.index) paths |= 1 << port;
  }
  return paths;
}
Look WhichPaths(int which) {
  return [=](const NetNamespace& ns) { return Paths(ns, kSides[which]); };
}
/// Whether both paths are used.
Look BothPaths(int which) {
  return [=](const NetNamespace& ns) -> Result<int> {
    ASSIGN_OR_RETURN(int paths, Paths(ns, kSides[which]));
    return paths != 0 && paths != (1 << 30) - 1;
  };
}

/// A route by a nexthop that has a number.
Prepare RouteByNumber(int which) {
  return [=](const NetNamespace& ns) {
    const Side& side = kSides[which];
    PrepareBoth(ns, side);
    auto rtnl = RtnlIn(ns);
    nhmsg header{};
    header.nh_family = static_cast<unsigned char>(side.family);
    header.nh_protocol = RTPROT_STATIC;
    std::byte bytes[16];
    SETUP_OK(rtnl.socket().Ack(Request(RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_EXCL)
                                   .Header(header)
                                   .U32(NHA_ID, 77)
                                   .U32(NHA_OIF, static_cast<std::uint32_t>(SETUP_OK(rtnl.LinkByName("one")).index))
                                   .Raw(NHA_GATEWAY, AddressOf(side, side.via_one, bytes))
                                   .Named("nexthop 77")));
    RouteSpec route{.to = side.to, .scope = std::uint8_t{RT_SCOPE_UNIVERSE}, .family = side.family};
    route.more = [](Request& request) { request.U32(RTA_NH_ID, 77); };
    SETUP_OK(rtnl.AddRoute(route));
  };
}
/// Whether such a route is listed with its gateway.
Look ListsGateway(int which) {
  return [=](const NetNamespace& ns) -> Result<int> {
    ASSIGN_OR_RETURN(std::vector<Route> routes, RtnlIn(ns).Routes({.family = kSides[which].family}));
    for (const Route& each : routes)
      if (each.to == kSides[which].to) return each.via == kSides[which].via_one;
    return Error{ENOENT, string("the route to ") + kSides[which].to};
  };
}

const std::vector<Effect>& Effects() {
  static const auto fields = [](int which, const char* policy, const char* file) -> Prepare {
    return [=](const NetNamespace& ns) {
      TwoPaths(which, {})(ns);
      if (ns.HasSysctl(file)) SETUP_OK(ns.SetSysctl(policy, "3"));
    };
  };
  static const std::vector<Effect> effects = {
      {"ChoiceOfPaths", "net/ipv4/fib_multipath_hash_policy", "1", BothPaths(0), 1, TwoPaths(0, {{"net/ipv4/fib_multipath_hash_policy", "0"}}), {"IP_ROUTE_MULTIPATH"}},
      {"ChoiceOfIpv6Paths", "net/ipv6/fib_multipath_hash_policy", "1", BothPaths(1), 1, TwoPaths(1, {{"net/ipv6/fib_multipath_hash_policy", "0"}}), {"IPV6"}},
      {"FieldsThatChoosePaths", "net/ipv4/fib_multipath_hash_fields", "32", BothPaths(0), 1, fields(0, "net/ipv4/fib_multipath_hash_policy", "net/ipv4/fib_multipath_hash_fields"), {"IP_ROUTE_MULTIPATH"}},
      {"FieldsThatChooseIpv6Paths", "net/ipv6/fib_multipath_hash_fields", "32", BothPaths(1), 1, fields(1, "net/ipv6/fib_multipath_hash_policy", "net/ipv6/fib_multipath_hash_fields"), {"IPV6"}},
      {"SeedOfTheChoiceOfPaths", "net/ipv4/fib_multipath_hash_seed", "4711", WhichPaths(0), {}, TwoPaths(0, {{"net/ipv4/fib_multipath_hash_policy", "1"}}), {"IP_ROUTE_MULTIPATH"}},
      {"SeedOfTheChoiceOfIpv6Paths", "net/ipv4/fib_multipath_hash_seed", "4712", WhichPaths(1), {}, TwoPaths(1, {{"net/ipv6/fib_multipath_hash_policy", "1"}}), {"IPV6"}},
      {"PathsToLostNeighbours", "net/ipv4/fib_multipath_use_neigh", "1", BothPaths(0), 0,
       [](auto& ns) {
         TwoPaths(0, {{"net/ipv4/fib_multipath_hash_policy", "1"}})(ns);
         auto rtnl = RtnlIn(ns);
         SETUP_OK(rtnl.DeleteNeighbour({.to = "203.0.113.5", .dev = "other"}));
         SETUP_OK(rtnl.AddNeighbour({.to = "203.0.113.5", .dev = "other", .state = NUD_FAILED}));
       }, {"IP_ROUTE_MULTIPATH"}},
      {"GatewaysOfNumberedNexthops", "net/ipv4/nexthop_compat_mode", "0", ListsGateway(0), 0, RouteByNumber(0)},
      {"GatewaysOfNumberedIpv6Nexthops", "net/ipv4/nexthop_compat_mode", "0", ListsGateway(1), 0, RouteByNumber(1), {"IPV6"}},
  };
  return effects;
}

// Documents: ip-sysctl.rst.
const bool effects = [] {
  for (const Effect& effect : Effects()) RegisterEffect("Sysctl", effect, Covers("SYSCTL-14", "ROUTE-12"), Needs(Config("SYSCTL"), Config("VETH")), __FILE__, __LINE__);
  return true;
}();

}  // namespace
}  // namespace netns
