// SPDX-License-Identifier: GPL-2.0-or-later
// DEV, ROUTE: each kind of event of each kind of object, one after the other, is told in the namespace in which it happens and in no
// other one: what is added, appended, replaced, changed, deleted, flushed. And in the namespace in which a device is now, not where it
// was made: not even where a tunnel sends there.
#include <netinet/icmp6.h>

#include "fixtures/sockets.h"
#include "fixtures/topology.h"
#include "suites/support/between.h"
#include "suites/support/bridge_group.h"
#include "suites/support/listener.h"
#include "suites/support/uppers.h"

// The kernel's headers after the C library's: in this order they go together.
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/netconf.h>
#include <linux/nexthop.h>

namespace netns {
namespace {

constexpr const char *kWest = "nsconf-west", *kHub = "nsconf-hub", *kLower = "nsconf-lower";

/// Something that happens, and the type of the message by which it is told.
struct Event {
  enum Told { kAlways, kOptional, kMostly };
  const char* what;
  int type;
  std::function<void(Place&)> deed;
  /// Optional: some kernels tell it. Mostly: not where it had to wait for the lock of all networks, and it can be done once more
  /// (net/ipv6/addrconf.c, restart_syscall() behind the change of a setting: at the second time there is nothing to change).
  Told told = kAlways;
};
/// A kind of object: what is to be there before, and what happens to one. All of it is about the device kWest and what stands on it,
/// or is undone by the last events.
struct Subject {
  const char* name;
  std::vector<std::string> covers;
  std::vector<const char*> configs;
  std::function<void(Place&)> prepare;
  std::vector<Event> events;
  const char* kind = "veth";  ///< Of kWest: or "vxlan", or "router" for one with a router at its other end.
};

int West(Place& at) { return SETUP_OK(at->LinkByName(kWest)).index; }
std::uint8_t FamilyOf(bool v6) { return v6 ? AF_INET6 : AF_INET; }

// ------------------------------------------------------------------------------------------------------------ routes

/// "ip route add|append|prepend|replace|change|del": which of them, the flags say. Routes are told apart by their MTU.
void ChangeRoute(Place& at, std::uint16_t type, int flags, bool v6, unsigned mtu, std::uint32_t table = RT_TABLE_MAIN) {
  rtmsg header{};
  header.rtm_family = FamilyOf(v6);
  header.rtm_dst_len = v6 ? 48 : 24;
  header.rtm_table = static_cast<std::uint8_t>(table < 256 ? table : RT_TABLE_COMPAT);
  header.rtm_protocol = RTPROT_STATIC;
  header.rtm_scope = v6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
  header.rtm_type = RTN_UNICAST;
  Request request(type, static_cast<std::uint16_t>(flags));
  request.Named("a route").Header(header).U32(RTA_TABLE, table).U32(RTA_PRIORITY, 77).S32(RTA_OIF, West(at));
  if (v6) {
    request.Structure(RTA_DST, Ip6("2001:db8:61::"));
  } else {
    request.Structure(RTA_DST, Ip4("198.51.100.0"));
  }
  // Several ways of IPv6 need gateways.
  if (v6) request.Structure(RTA_GATEWAY, Ip6("fe80::" + std::to_string(mtu)));
  request.Nest(RTA_METRICS, [&](Request& metrics) { metrics.U32(RTAX_MTU, mtu); });
  SETUP_OK(at->socket().Ack(request));
}
std::vector<Event> RouteEvents(bool v6, std::uint32_t table) {
  const auto change = [=](const char* what, int type, int flags, unsigned mtu) {
    return Event{what, type, [=](Place& at) { ChangeRoute(at, static_cast<std::uint16_t>(type), flags, v6, mtu, table); }};
  };
  std::vector<Event> events = {change("a route is added", RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, 1300), change("another one is appended", RTM_NEWROUTE, NLM_F_CREATE | NLM_F_APPEND, 1310),
                               change("another one is prepended", RTM_NEWROUTE, NLM_F_CREATE, 1320), change("one is deleted", RTM_DELROUTE, 0, 1310),
                               change("one is replaced", RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, 1330), change("one is changed", RTM_NEWROUTE, NLM_F_REPLACE, 1340),
                               change("what replaced it is deleted", RTM_DELROUTE, 0, 1340)};
  if (v6) events.push_back(change("one is added again", RTM_NEWROUTE, NLM_F_CREATE, 1350));
  // Of IPv4 that is told by the device alone.
  if (v6) events.push_back({"one goes as its device goes down", RTM_DELROUTE, [](Place& at) { SETUP_OK(at->Down(kWest)); }});
  return events;
}
std::vector<Event> RuleEvents(int family) {
  const RuleSpec rule{.family = family, .priority = 777, .table = 777};
  return {{"a rule is added", RTM_NEWRULE, [=](Place& at) {
             Status added = at->AddRule(rule);
             RequireBuiltIn(added, "the rules of family " + std::to_string(family));
             SETUP_OK(std::move(added));
           }},
          {"it is deleted", RTM_DELRULE, [=](Place& at) { SETUP_OK(at->DeleteRule(rule)); }}};
}
Request NexthopRequest(std::uint16_t type, int flags, std::uint32_t id, unsigned char family = AF_UNSPEC) {
  nhmsg header{};
  header.nh_family = family;
  Request request(type, static_cast<std::uint16_t>(flags));
  request.Named("nexthop " + std::to_string(id)).Header(header).U32(NHA_ID, id);
  return request;
}
std::vector<Event> NexthopEvents(unsigned char family) {
  const auto one = [=](const char* what, int flags, bool blackhole) {
    return Event{what, RTM_NEWNEXTHOP, [=](Place& at) {
                   Request request = NexthopRequest(RTM_NEWNEXTHOP, flags, 7701, family);
                   if (blackhole) {
                     request.Flag(NHA_BLACKHOLE);
                   } else {
                     request.S32(NHA_OIF, West(at));
                   }
                   SETUP_OK(at->socket().Ack(request));
                 }};
  };
  const auto group = [](const char* what, int flags, std::uint8_t weight) {
    return Event{what, RTM_NEWNEXTHOP, [=](Place& at) {
                   nexthop_grp member{.id = 7701};
                   member.weight = weight;
                   Request request = NexthopRequest(RTM_NEWNEXTHOP, flags, 7702);
                   SETUP_OK(at->socket().Ack(request.Structure(NHA_GROUP, member)));
                 }};
  };
  const auto remove = [](const char* what, std::uint32_t id) {
    return Event{what, RTM_DELNEXTHOP, [=](Place& at) { SETUP_OK(at->socket().Ack(NexthopRequest(RTM_DELNEXTHOP, 0, id))); }};
  };
  return {one("a nexthop is added", NLM_F_CREATE | NLM_F_EXCL, false), one("it is replaced", NLM_F_CREATE | NLM_F_REPLACE, false),
          group("a group is added", NLM_F_CREATE | NLM_F_EXCL, 0),     group("it is replaced", NLM_F_CREATE | NLM_F_REPLACE, 3),
          remove("the group is deleted", 7702),                        remove("the nexthop is deleted", 7701),
          one("one that goes nowhere is added", NLM_F_CREATE | NLM_F_EXCL, true), remove("it is deleted", 7701)};
}

// --------------------------------------------------------------------------------------------------------- addresses

std::vector<Event> AddressEvents(bool v6) {
  const std::string address = v6 ? "2001:db8:62::1/64" : "203.0.113.1/24";
  const auto again = [=](Place& at) {
    ifaddrmsg header{};
    header.ifa_family = FamilyOf(v6);
    header.ifa_prefixlen = v6 ? 64 : 24;
    header.ifa_index = static_cast<std::uint32_t>(West(at));
    Request request(RTM_NEWADDR, NLM_F_REPLACE);
    request.Named("an address for an hour").Header(header);
    PutAddress(request, IFA_LOCAL, address.substr(0, address.find('/')));
    SETUP_OK(at->socket().Ack(request.Structure(IFA_CACHEINFO, ifa_cacheinfo{.ifa_prefered = 1800, .ifa_valid = 3600, .cstamp = 0, .tstamp = 0})));
  };
  constexpr int join = 56, leave = 57;  // RTM_NEWMULTICAST, RTM_DELMULTICAST: since 6.15
  static Fd member;
  const auto membership = [=](Place& at, bool in) {
    if (in) member = SETUP_OK(at.ns.Socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM));
    if (v6) {
      ipv6_mreq group{};
      group.ipv6mr_multiaddr = Ip6("ff02::4242");
      group.ipv6mr_interface = static_cast<unsigned>(West(at));
      SETUP_OK(SetSockOpt(member, IPPROTO_IPV6, in ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP, group));
    } else {
      ip_mreqn group{};
      group.imr_multiaddr = Ip4("239.42.42.42");
      group.imr_ifindex = West(at);
      SETUP_OK(SetSockOpt(member, IPPROTO_IP, in ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP, group));
    }
    if (!in) member.Reset();
  };
  return {{"an address is added", RTM_NEWADDR, [=](Place& at) { SETUP_OK(at->AddAddress(address, kWest, {.nodad = v6})); }},
          {"it gets a lifetime", RTM_NEWADDR, again},
          {"it is deleted", RTM_DELADDR, [=](Place& at) { SETUP_OK(at->DeleteAddress(address, kWest)); }},
          {"one is added again", RTM_NEWROUTE, [=](Place& at) { SETUP_OK(at->AddAddress(address, kWest, {.nodad = v6})); }},
          {"its route goes", RTM_DELROUTE, [=](Place& at) { SETUP_OK(at->DeleteAddress(address, kWest)); }},
          {"a group is joined", join, [=](Place& at) { membership(at, true); }, Event::kOptional},
          {"it is left", leave, [=](Place& at) { membership(at, false); }, Event::kOptional}};
}

// -------------------------------------------------------------------------------------------------------- neighbours

/// "ip neigh", "bridge fdb": `to` is an address of the family, or the hardware address of an entry of AF_BRIDGE.
void ChangeNeighbour(Place& at, int type, int flags, std::uint8_t family, const std::string& to, std::uint16_t state, std::uint8_t last_byte, std::uint8_t ntf = 0, const char* destination = nullptr) {
  ndmsg header{};
  header.ndm_family = family;
  header.ndm_ifindex = West(at);
  header.ndm_state = state;
  header.ndm_flags = ntf;
  Request request(static_cast<std::uint16_t>(type), static_cast<std::uint16_t>(flags));
  request.Named("a neighbour").Header(header);
  if (!to.empty()) PutAddress(request, NDA_DST, to);
  if (destination != nullptr) PutAddress(request, NDA_DST, destination);
  // A bridge wants it for a deletion, too.
  if (type == RTM_NEWNEIGH || family == AF_BRIDGE) {
    std::array<std::byte, 6> address{};
    if (last_byte != 0) address = {std::byte{2}, {}, {}, {}, {}, std::byte{last_byte}};
    request.Raw(NDA_LLADDR, address);
  }
  SETUP_OK(at->socket().Ack(request));
}
std::vector<Event> NeighbourEvents(bool v6) {
  const std::uint8_t family = FamilyOf(v6);
  const std::string to = v6 ? "2001:db8:62::7" : "203.0.113.7", unknown = v6 ? "2001:db8:62::9" : "203.0.113.9";
  const auto change = [=](const char* what, int type, int flags, std::uint16_t state, std::uint8_t last_byte) {
    return Event{what, type, [=](Place& at) { ChangeNeighbour(at, type, flags, family, to, state, last_byte); }};
  };
  return {change("a neighbour is added", RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL, NUD_PERMANENT, 7),
          change("it gets another hardware address", RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, NUD_PERMANENT, 8),
          change("it becomes stale", RTM_NEWNEIGH, NLM_F_REPLACE, NUD_STALE, 8),
          change("it is deleted", RTM_DELNEIGH, 0, 0, 0),
          // ip-sysctl.rst, app_solicit: "the maximum number of probes to send to the user space ARP daemon via netlink"
          {"user space is asked for one", RTM_GETNEIGH,
           [=](Place& at) {
             const std::string directory = std::string("net/") + (v6 ? "ipv6" : "ipv4") + "/neigh/" + kWest + "/";
             SETUP_OK(at.ns.SetSysctl(directory + "ucast_solicit", "0"));
             SETUP_OK(at.ns.SetSysctl(directory + "app_solicit", "1"));
             const Fd sender = SETUP_OK(at.ns.Socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM));
             SETUP_OK(SendTo(sender, "x", Inet(unknown, 9)));
           }},
          change("one is added again", RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL, NUD_REACHABLE, 7),
          {"it goes as its device goes down", RTM_DELNEIGH, [](Place& at) { SETUP_OK(at->Down(kWest)); }}};
}

// ------------------------------------------------------------------------------------------------- forwarding tables

Event Forwarding(const char* what, int type, int flags, std::uint16_t state, std::uint8_t ntf, std::uint8_t last_byte, const char* destination = nullptr) {
  return {what, type, [=](Place& at) { ChangeNeighbour(at, type, flags, AF_BRIDGE, {}, state, last_byte, ntf, destination); }};
}
void PutIntoAHub(Place& at) {
  AddBridge(at, kHub);
  SETUP_OK(at->SetLink(kWest, {.master = LinkRef(kHub)}));
  SETUP_OK(at->Up(kHub));
}
/// "ip link set dev hub type bridge fdb_flush"
void FlushHub(Place& at) {
  ifinfomsg header{};
  header.ifi_index = SETUP_OK(at->LinkByName(kHub)).index;
  Request request(RTM_NEWLINK);
  request.Named("flush a bridge").Header(header).Nest(IFLA_LINKINFO, [](Request& info) {
    info.Text(IFLA_INFO_KIND, "bridge").Nest(IFLA_INFO_DATA, [](Request& data) { data.Flag(IFLA_BR_FDB_FLUSH); });
  });
  SETUP_OK(at->socket().Ack(request));
}
/// bridge(8): "bridge link set dev port mcast_router"
void SetRouterPort(Place& at, std::uint8_t value) {
  ifinfomsg header{};
  header.ifi_family = AF_BRIDGE;
  header.ifi_index = West(at);
  Request request(RTM_SETLINK);
  request.Named("a port of a multicast router").Header(header).Nest(IFLA_PROTINFO | NLA_F_NESTED, [&](Request& port) { port.U8(IFLA_BRPORT_MULTICAST_ROUTER, value); });
  Status done = at->socket().Ack(request);
  RequireBuiltIn(done, "BRIDGE_IGMP_SNOOPING");
  SETUP_OK(std::move(done));
}
void ChangePortVlan(Place& at, std::uint16_t type, std::uint16_t flags) {
  ifinfomsg header{};
  header.ifi_family = AF_BRIDGE;
  header.ifi_index = West(at);
  Request request(type);
  request.Named("a VLAN of a port").Header(header).Nest(IFLA_AF_SPEC | NLA_F_NESTED, [&](Request& r) { r.Structure(IFLA_BRIDGE_VLAN_INFO, bridge_vlan_info{.flags = flags, .vid = 47}); });
  Status done = at->socket().Ack(request);
  RequireBuiltIn(done, "BRIDGE_VLAN_FILTERING");
  SETUP_OK(std::move(done));
}

// --------------------------------------------------------------------------------------------- router advertisements

constexpr const char* kRouter = "nsconf-far";
/// The namespace of a router, at the other end of kWest.
Place& Router() {
  static Place router;
  return router;
}
void MakeWestWithARouter(Place& birth) {
  Status added = birth->AddVeth(kWest, PeerSpec{.name = kRouter, .netns_fd = Router().fd()});
  RequireBuiltIn(added, "VETH");
  SETUP_OK(std::move(added));
  SETUP_OK(Router().ns.SetSysctl(std::string("net/ipv6/conf/") + kRouter + "/accept_ra", "0"));  // it hears itself
  SETUP_OK(Router()->Up(kRouter));
}
void ListenToTheRouter(Place& at) {
  // Nothing but what is told comes of it: no address, no default route.
  for (auto [file, value] : {std::pair("accept_ra", "2"), std::pair("accept_ra_pinfo", "1"), std::pair("accept_ra_defrtr", "0"), std::pair("autoconf", "0")})
    SETUP_OK(at.ns.SetSysctl(std::string("net/ipv6/conf/") + kWest + "/" + file, value));
  SETUP_OK(WaitUntilUp(at.ns, kWest));
  SETUP_OK(at->AddAddress("2001:db8:62::1/64", kWest, {.nodad = true}));
  for (const char* address : {"fe80::1/64", "2001:db8:62::2/64"}) SETUP_OK(Router()->AddAddress(address, kRouter, {.nodad = true}));
}
template <class Struct>
std::string BytesOf(const Struct& value) { return std::string(reinterpret_cast<const char*>(&value), sizeof value); }
/// Has the router advertise itself, with one option, and waits until that has been heard.
void Advertise(Place& at, const std::string& option) {
  nd_router_advert advert{};
  advert.nd_ra_type = ND_ROUTER_ADVERT;
  advert.nd_ra_curhoplimit = 64;
  advert.nd_ra_router_lifetime = htons(1800);
  const auto index = static_cast<std::uint32_t>(SETUP_OK(Router()->LinkByName(kRouter)).index);
  const Fd raw = SETUP_OK(Router().ns.Socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6));
  SETUP_OK(Bind(raw, Inet("fe80::1", 0, index)));
  SETUP_OK(SetSockOpt(raw, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 255));
  SETUP_OK(SendTo(raw, BytesOf(advert) + option, Inet("ff02::1", 0, index)));
  const Fd receiver = SETUP_OK(UdpBind(at.ns, Inet("2001:db8:62::1", 4162)));
  SETUP_OK(SendTo(SETUP_OK(Router().ns.Socket(AF_INET6, SOCK_DGRAM)), "fence", Inet("2001:db8:62::1", 4162)));
  SETUP_OK(Receive(receiver));
}
std::vector<Event> RouterEvents() {
  nd_opt_prefix_info prefix{};
  prefix.nd_opt_pi_type = ND_OPT_PREFIX_INFORMATION;
  prefix.nd_opt_pi_len = 4;
  prefix.nd_opt_pi_prefix_len = 64;
  prefix.nd_opt_pi_flags_reserved = ND_OPT_PI_FLAG_ONLINK;
  prefix.nd_opt_pi_valid_time = prefix.nd_opt_pi_preferred_time = htonl(86400);
  prefix.nd_opt_pi_prefix = Ip6("2001:db8:63::");
  struct {  // RFC 8106, 5.1: recursive DNS servers
    std::uint8_t type = 25, length = 3;
    std::uint16_t reserved = 0;
    std::uint32_t lifetime = htonl(600);
    in6_addr server = Ip6("2001:db8:63::53");
  } dns;
  return {{"a prefix is advertised", RTM_NEWPREFIX, [=](Place& at) { Advertise(at, BytesOf(prefix)); }},
          {"a DNS server is advertised", RTM_NEWNDUSEROPT, [=](Place& at) { Advertise(at, BytesOf(dns)); }}};
}

// ---------------------------------------------------------------------------------------------------------- settings

/// A file of conf/ENTRY is told when it changes: there and back.
Event Setting(bool v6, const char* what, const char* entry, const char* file, Event::Told told = Event::kMostly) {
  const std::string path = std::string("net/") + (v6 ? "ipv6" : "ipv4") + "/conf/" + entry + "/" + file;
  return {what, RTM_NEWNETCONF, [=](Place& at) {
            const std::string before = SETUP_OK(at.ns.Sysctl(path));
            SETUP_OK(at.ns.SetSysctl(path, before == "1" ? "0" : "1"));
            SETUP_OK(at.ns.SetSysctl(path, before));
          }, told};
}

// ------------------------------------------------------------------------------------------------------------- links

std::vector<Event> LinkEvents() {
  const auto set = [](const char* what, const LinkChange& change) { return Event{what, RTM_NEWLINK, [=](Place& at) { SETUP_OK(at->SetLink(kWest, change)); }}; };
  return {set("another alias", {.alias = "nsconf"}),
          set("another length of its queue", {.txqlen = 77}),
          set("another group", {.group = 77}),
          {"it changes for IPv6", RTM_NEWLINK, [](Place& at) {
             // RTNLGRP_IPV6_IFINFO: "ip link set dev west addrgenmode none"
             LinkChange change{.alias = "no IPv6"};
             if (HasIpv6())
               change.more = [](Request& r) {
                 r.Nest(IFLA_AF_SPEC, [](Request& spec) { spec.Nest(AF_INET6, [](Request& six) { six.U8(IFLA_INET6_ADDR_GEN_MODE, 1); }); });
               };
             SETUP_OK(at->SetLink(kWest, change));
           }},
          set("it goes down", {.up = false}),
          set("another name", {.name = "nsconf-west2"}),
          {"its name again", RTM_NEWLINK, [](Place& at) { SETUP_OK(at->Rename("nsconf-west2", kWest)); }},
          set("it goes up", {.up = true}),
          {"another name beside it", RTM_NEWLINK, [](Place& at) {
             Status added = at->AddAltname(kWest, "nsconf-west3");
             if (added.code() == EOPNOTSUPP) throw MissingNeed("needs-feature:altname", "the kernel has no alternative names", "use Linux 5.5 or later", LinuxVersion{5, 5});
             SETUP_OK(std::move(added));
           }},
          {"it is deleted", RTM_DELLINK, [](Place& at) { SETUP_OK(at->DeleteLink(kWest)); }}};
}

const std::vector<Subject>& Subjects() {
  using Strings = std::vector<std::string>;
  static const auto up = [](Place&) {};
  static const auto running = [](Place& at) {
    SETUP_OK(at->Up("lo"));  // of which those are that go nowhere
    SETUP_OK(WaitUntilUp(at.ns, kWest));
  };
  static const auto with_an_address = [](bool v6) {
    return [v6](Place& at) {
      Status added = at->AddAddress(v6 ? "2001:db8:62::1/64" : "203.0.113.1/24", kWest, {.nodad = v6});
      if (v6) RequireBuiltIn(added, "IPV6");
      SETUP_OK(std::move(added));
    };
  };
  static const Strings routes{"ROUTE-09", "DEV-31"}, devices{"DEV-31", "NLK-04"};
  static const std::vector<Subject> subjects = {
      {"Ipv4Routes", routes, {"INET"}, up, RouteEvents(false, RT_TABLE_MAIN)},
      {"Ipv4RoutesOfAnotherTable", routes, {"IP_MULTIPLE_TABLES"}, up, RouteEvents(false, 70000)},
      {"Ipv6Routes", routes, {"IPV6"}, up, RouteEvents(true, RT_TABLE_MAIN)},
      {"Ipv6RoutesOfAnotherTable", routes, {"IPV6_MULTIPLE_TABLES"}, up, RouteEvents(true, 70000)},
      {"Ipv4Rules", routes, {"IP_MULTIPLE_TABLES"}, up, RuleEvents(AF_INET)},
      {"Ipv6Rules", routes, {"IPV6_MULTIPLE_TABLES"}, up, RuleEvents(AF_INET6)},
      {"Ipv4MulticastRules", routes, {"IP_MROUTE_MULTIPLE_TABLES"}, up, RuleEvents(RTNL_FAMILY_IPMR)},
      {"Ipv6MulticastRules", routes, {"IPV6_MROUTE_MULTIPLE_TABLES"}, up, RuleEvents(RTNL_FAMILY_IP6MR)},
      {"Ipv4Nexthops", routes, {"INET"}, running, NexthopEvents(AF_INET)},
      {"Ipv6Nexthops", routes, {"IPV6"}, running, NexthopEvents(AF_INET6)},
      {"Ipv4Addresses", devices, {"INET"}, up, AddressEvents(false)},
      {"Ipv6Addresses", devices, {"IPV6"}, up, AddressEvents(true)},
      {"Ipv4Neighbours", devices, {"INET"}, with_an_address(false), NeighbourEvents(false)},
      {"Ipv6Neighbours", devices, {"IPV6"}, with_an_address(true), NeighbourEvents(true)},
      {"RouterAdvertisements", {"DEV-31", "NLK-04", "STACK-09"}, {"IPV6"}, ListenToTheRouter, RouterEvents(), "router"},
      {"ForwardingEntriesOfBridges", devices, {"BRIDGE"}, PutIntoAHub,
       {Forwarding("an entry is added", RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL, NUD_PERMANENT, NTF_MASTER, 0x21),
        Forwarding("it is changed", RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, NUD_REACHABLE, NTF_MASTER, 0x21),
        {"all are flushed", RTM_DELNEIGH, FlushHub},
        Forwarding("one is added again", RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL, NUD_NOARP, NTF_MASTER, 0x22),
        Forwarding("it is deleted", RTM_DELNEIGH, 0, 0, NTF_MASTER, 0x22),
        {"the port leaves, and its own entry", RTM_DELNEIGH, [](Place& at) { SETUP_OK(at->SetLink(kWest, {.master = LinkRef()})); }}}},
      {"HardwareAddressesOfDevices", devices, {"VETH"}, up,
       {Forwarding("an address is added", RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL, NUD_PERMANENT, NTF_SELF, 0x31),
        Forwarding("it is deleted", RTM_DELNEIGH, 0, NUD_PERMANENT, NTF_SELF, 0x31)}},
      {"ForwardingEntriesOfVxlan", {"DEV-31", "NLK-04", "VIRT-19"}, {"VXLAN"}, up,
       {Forwarding("an entry is added", RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL, NUD_PERMANENT, NTF_SELF, 0x41, "192.0.2.1"),
        Forwarding("it is replaced", RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, NUD_PERMANENT, NTF_SELF, 0x41, "192.0.2.2"),
        Forwarding("one for all others is added", RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL, NUD_PERMANENT, NTF_SELF, 0, "192.0.2.3"),
        Forwarding("another one is appended", RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_APPEND, NUD_PERMANENT, NTF_SELF, 0, "192.0.2.4"),
        Forwarding("it is deleted", RTM_DELNEIGH, 0, 0, NTF_SELF, 0x41),
        Forwarding("one that ages is added", RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL, NUD_REACHABLE, NTF_SELF, 0x42, "192.0.2.5"),
        {"the device goes", RTM_DELNEIGH, [](Place& at) { SETUP_OK(at->DeleteLink(kWest)); }}},
       "vxlan"},
      {"MulticastGroupsOfBridges", devices, {"BRIDGE", "BRIDGE_IGMP_SNOOPING"}, PutIntoAHub,
       {{"a group is added", RTM_NEWMDB, [](Place& at) { AddBridgeGroup(at, kHub, kWest); }},
        {"it is deleted", RTM_DELMDB, [](Place& at) { SETUP_OK(at->socket().Ack(BridgeGroup(at, RTM_DELMDB, 0, kHub, kWest))); }},
        {"the port becomes a router's", RTM_NEWMDB, [](Place& at) { SetRouterPort(at, 2); }},
        {"and no more", RTM_DELMDB, [](Place& at) { SetRouterPort(at, 0); }}}},
      {"VlansOfBridges", devices, {"BRIDGE", "BRIDGE_VLAN_FILTERING"}, PutIntoAHub,
       {{"a VLAN is added", 112 /* RTM_NEWVLAN */, [](Place& at) { ChangePortVlan(at, RTM_SETLINK, 0); }},
        {"it is changed", RTM_NEWLINK, [](Place& at) { ChangePortVlan(at, RTM_SETLINK, BRIDGE_VLAN_INFO_UNTAGGED); }},
        {"it is deleted", 113 /* RTM_DELVLAN */, [](Place& at) { ChangePortVlan(at, RTM_DELLINK, 0); }}}},
      {"Ipv4Settings", devices, {"INET"}, up,
       {Setting(false, "forwarding", kWest, "forwarding"), Setting(false, "rp_filter", kWest, "rp_filter"), Setting(false, "proxy_arp", kWest, "proxy_arp"),
        Setting(false, "bc_forwarding", kWest, "bc_forwarding", Event::kOptional), Setting(false, "ignore_routes_with_linkdown", kWest, "ignore_routes_with_linkdown"),
        Setting(false, "rp_filter of all", "all", "rp_filter"), Setting(false, "proxy_arp of all", "all", "proxy_arp"),
        Setting(false, "rp_filter of new ones", "default", "rp_filter"), Setting(false, "forwarding of new ones", "default", "forwarding"),
        {"the device goes", RTM_DELNETCONF, [](Place& at) { SETUP_OK(at->DeleteLink(kWest)); }}}},
      {"Ipv6Settings", devices, {"IPV6"}, up,
       {Setting(true, "forwarding", kWest, "forwarding"), Setting(true, "proxy_ndp", kWest, "proxy_ndp"),
        Setting(true, "ignore_routes_with_linkdown", kWest, "ignore_routes_with_linkdown", Event::kOptional),  // 5.10 and 6.1 do not tell it
        Setting(true, "proxy_ndp of all", "all", "proxy_ndp"),
        Setting(true, "proxy_ndp of new ones", "default", "proxy_ndp"), Setting(true, "forwarding of new ones", "default", "forwarding"),
        {"the device goes", RTM_DELNETCONF, [](Place& at) { SETUP_OK(at->DeleteLink(kWest)); }}}},
      {"QueueingDisciplines", {"DEV-31", "DEV-37"}, {"NET_SCHED"}, up,
       {{"one is added", RTM_NEWQDISC, [](Place& at) { SETUP_OK(at->AddQdisc(kWest, "pfifo", 0xFFFFFFFFu, 0x410000u)); }},
        {"it is replaced", RTM_NEWQDISC, [](Place& at) {
           tcmsg header{};
           header.tcm_ifindex = West(at);
           header.tcm_parent = 0xFFFFFFFFu;
           header.tcm_handle = 0x420000u;
           SETUP_OK(at->socket().Ack(Request(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE).Named("replace a qdisc").Header(header).Text(TCA_KIND, "bfifo")));
         }},
        {"it is deleted", RTM_DELQDISC, [](Place& at) { SETUP_OK(at->DeleteQdisc(kWest)); }}}},
      {"Links", devices, {"VETH"}, up, LinkEvents()},
  };
  return subjects;
}

// ---------------------------------------------------------------------------------------------------------- the tests

/// kWest, made in one namespace, and brought to another one if that is where it shall be.
using MakeWest = std::function<void(Place& birth)>;

/// Whether two messages say the same: in the initial namespace, which `other` may be, others speak at the same time.
bool Same(const Message& one, const Message& two) {
  return one.type() == two.type() && one.payload().size() == two.payload().size() && std::memcmp(one.payload().data(), two.payload().data(), one.payload().size()) == 0;
}
void EachIsToldWhereItHappens(const std::function<void(Place&)>& prepare, const std::vector<Event>& events, const MakeWest& make, bool moved, Place& owner, Place& other) {
  Undo undo([&] {
    for (const char* name : {kHub, kWest}) (void)owner->DeleteLink(name).ok();
  });
  Place birth, third;
  // Nothing comes up there by itself.
  if (HasIpv6()) SETUP_OK(birth.ns.SetSysctl("net/ipv6/conf/default/addr_gen_mode", "1"));
  make(moved ? birth : owner);
  if (moved) SETUP_OK(birth->MoveLink(kWest, owner.ref()));
  if (HasIpv6()) (void)owner.ns.SetSysctl(std::string("net/ipv6/conf/") + kWest + "/addr_gen_mode", "1").ok();  // so that nothing comes up by itself
  SETUP_OK(owner->Up(kWest));
  prepare(owner);
  Listener in_owner(owner), in_other(other), in_birth(birth), in_third(third);
  for (const Event& event : events) {
    SCOPED_TRACE(event.what);
    std::ignore = in_owner.Heard();
    std::vector<Message> heard;
    for (int turn = 0; turn == 0 || (turn < 50 && event.told == Event::kMostly && !Types(heard).contains(event.type)); ++turn) {
      event.deed(owner);
      for (Message& message : in_owner.Heard()) heard.push_back(std::move(message));
    }
    if (event.told != Event::kOptional) {
      EXPECT_THAT(Types(heard), testing::Contains(event.type)) << "it is not told in the namespace in which it happens. Heard:" << Tell(heard);
    }
    for (auto [listener, where] : {std::tuple(&in_other, "another namespace"), std::tuple(&in_birth, moved ? "the namespace that the device comes from" : "a namespace made before"),
                                   std::tuple(&in_third, "a third namespace")}) {
      std::vector<Message> leaked;
      for (Message& message : listener->Heard())
        if (message.type() == RTM_NEWLINK && ReadLink(message).name == kLower) {
          continue;  // the device below is told of where it is
        } else if (listener != &in_other || std::any_of(heard.begin(), heard.end(), [&](const Message& told) { return Same(told, message); })) leaked.push_back(std::move(message));
      EXPECT_EQ(leaked.size(), 0u) << "told in " << where << ":" << Tell(leaked);
    }
  }
}

void MakeVxlan(Place& birth) {
  Status added = birth->AddLink({.name = kWest, .kind = "vxlan", .data = [](Request& r) { r.U32(IFLA_VXLAN_ID, 77).Be16(IFLA_VXLAN_PORT, 4789); }});
  RequireBuiltIn(added, "VXLAN");
  SETUP_OK(std::move(added));
}

[[maybe_unused]] const bool registered = [] {
  for (const Subject& subject : Subjects()) {
    Covers covers;
    covers.list.assign(subject.covers.begin(), subject.covers.end());
    Needs needs(Config("VETH"));
    for (const char* symbol : subject.configs) needs.list.push_back(Config(symbol));
    const MakeWest make = std::string(subject.kind) == "vxlan"    ? MakeWest(MakeVxlan)
                          : std::string(subject.kind) == "router" ? MakeWest(MakeWestWithARouter)
                                                                  : [](Place& birth) { AddDevice(birth, kWest, {}, true); };
    for (bool moved : {false, true})
      RegisterBetween("Dev", moved ? "EventsOfAMovedDeviceAreToldWhereItIs" : "EachEventIsToldWhereItHappens", subject.name, __FILE__, __LINE__,
                      [&subject, make, moved](Place& owner, Place& other) { EachIsToldWhereItHappens(subject.prepare, subject.events, make, moved, owner, other); }, covers, needs);
  }
  // What stands on a device, or sends, where it was made.
  for (const UpperKind& kind : UpperKinds()) {
    Covers covers("DEV-31", "NLK-04");
    RegisterBody("Dev", std::string("EventsOfADeviceAboveAreToldWhereItIs/") + kind.name, __FILE__, __LINE__,
                 [&kind] {
                   for (const bool older : {false, true}) {
                     Place first, second;
                     EachIsToldWhereItHappens([](Place&) {}, LinkEvents(),
                                              [&kind](Place& birth) {
                                                AddUpper(birth, kind, kWest, AddDevice(birth, kLower, {}, true));
                                              },
                                              true, older ? first : second,
                                              older ? second : first);
                   }
                 },
                 covers, Needs(Config("VETH"), Config(kind.symbol)));
  }
  return true;
}();

}  // namespace
}  // namespace netns
