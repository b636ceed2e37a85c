// SPDX-License-Identifier: GPL-2.0-or-later
// NLK: dumps whose family leads to code of its own: RTM_GETLINK, RTM_GETROUTE and RTM_GETNETCONF of multicast routing, MPLS,
// IPv6, and of all families at once. (Rows of the families that are asked for every day: nlk.cc.)
#include <algorithm>
#include <memory>

#include "fixtures/sockets.h"
#include "suites/support/between.h"
#include "suites/support/effect.h"
#include "suites/support/in_namespace.h"

// The kernel's headers after the C library's: in this order they go together.
#include <linux/mpls.h>
#include <linux/mroute.h>
#include <linux/mroute6.h>
#include <linux/netconf.h>

namespace netns {
namespace {

constexpr int kDevice = 4323;

/// What was made in a namespace: it goes with this, and settings are what they were.
struct Made {
  std::vector<Fd> sockets;
  std::vector<std::shared_ptr<Borrowed>> settings;
  std::shared_ptr<Undo> undo;
};
struct Listed {
  const char* name;
  std::vector<const char*> covers, configs;
  std::function<Made(Place&)> make;
  std::function<int(Place&)> count;  ///< How many that were made so a dump lists.
};

/// A bridge, which has addresses and routes whether its carrier is on or off; deleted with the object.
Made Hub(Place& at) {
  AddBridge(at, "nsconf-fam", {.index = kDevice});
  Made made;
  made.undo = std::make_shared<Undo>([&at] { (void)at->DeleteLink("nsconf-fam").ok(); });
  SETUP_OK(at->Up("nsconf-fam"));
  return made;
}
void Set(Made& made, Place& at, const std::string& file, const std::string& value) {
  made.settings.push_back(std::make_shared<Borrowed>(SETUP_OK(at.ns.Dup()), file));
  SETUP_OK(made.settings.back()->Set(value));
}

/// A routing daemon with the device as its interface 0, and a route: linux/mroute.h.
Made Router4(Place& at) {
  Made made = Hub(at);
  made.sockets.push_back(SETUP_OK(at.ns.Socket(AF_INET, SOCK_RAW, IPPROTO_IGMP)));
  const Fd& daemon = made.sockets.back();
  const Status started = SetSockOpt(daemon, IPPROTO_IP, MRT_INIT, 1);
  if (!started.ok()) RequireBuiltIn(started, "IP_MROUTE");
  SETUP_OK(Status(started));
  vifctl vif{};
  vif.vifc_flags = VIFF_USE_IFINDEX;
  vif.vifc_threshold = 1;
  vif.vifc_lcl_ifindex = kDevice;
  SETUP_OK(SetSockOpt(daemon, IPPROTO_IP, MRT_ADD_VIF, vif));
  mfcctl route{};
  route.mfcc_origin = Ip4("192.0.2.9");
  route.mfcc_mcastgrp = Ip4("239.1.2.3");
  SETUP_OK(SetSockOpt(daemon, IPPROTO_IP, MRT_ADD_MFC, route));
  return made;
}
Made Router6(Place& at) {
  Made made = Hub(at);
  made.sockets.push_back(SETUP_OK(at.ns.Socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6)));
  const Fd& daemon = made.sockets.back();
  const Status started = SetSockOpt(daemon, IPPROTO_IPV6, MRT6_INIT, 1);
  if (!started.ok()) RequireBuiltIn(started, "IPV6_MROUTE");
  SETUP_OK(Status(started));
  mif6ctl mif{};
  mif.vifc_threshold = 1;
  mif.mif6c_pifi = kDevice;
  SETUP_OK(SetSockOpt(daemon, IPPROTO_IPV6, MRT6_ADD_MIF, mif));
  mf6cctl route{};
  route.mf6cc_origin.sin6_family = route.mf6cc_mcastgrp.sin6_family = AF_INET6;
  route.mf6cc_origin.sin6_addr = Ip6("2001:db8::9");
  route.mf6cc_mcastgrp.sin6_addr = Ip6("ff05::123");
  SETUP_OK(SetSockOpt(daemon, IPPROTO_IPV6, MRT6_ADD_MFC, route));
  return made;
}

/// How many messages of a dump are as wanted.
template <class Header>
int Count(Place& at, std::uint16_t type, const Header& header, const std::function<bool(const Message&)>& wanted) {
  const auto all = SETUP_OK(at->socket().Dump(Request(type).Header(header).Named("dump of a family")));
  return static_cast<int>(std::count_if(all.begin(), all.end(), wanted));
}
/// Routes to the address, by the dump of a family. Answers to AF_UNSPEC come from all families.
std::function<int(Place&)> RoutesTo(int asked, int family, const std::string& bytes) {
  return [=](Place& at) {
    rtmsg header{};
    header.rtm_family = static_cast<unsigned char>(asked);
    return Count(at, RTM_GETROUTE, header, [&](const Message& message) {
      const Attributes attributes = message.AttributesAfter<rtmsg>();
      const auto to = attributes.Raw(RTA_DST);
      return message.Header<rtmsg>().rtm_family == family && to && to->size() == bytes.size() && std::memcmp(to->data(), bytes.data(), bytes.size()) == 0;
    });
  };
}
template <class Address>
std::string BytesOf(const Address& address) { return std::string(reinterpret_cast<const char*>(&address), sizeof address); }
/// Links with the index of the device, by the dump of a family.
std::function<int(Place&)> LinksOf(int family) {
  return [=](Place& at) {
    ifinfomsg header{};
    header.ifi_family = static_cast<unsigned char>(family);
    return Count(at, RTM_GETLINK, header, [&](const Message& message) { return message.Header<ifinfomsg>().ifi_family == family && message.Header<ifinfomsg>().ifi_index == kDevice; });
  };
}
/// The interfaces of the daemons, in the tables that RTNL_FAMILY_IPMR lists as links.
int VifsOfTables(Place& at) {
  ifinfomsg header{};
  header.ifi_family = RTNL_FAMILY_IPMR;
  int count = 0;
  for (const Message& table : SETUP_OK(at->socket().Dump(Request(RTM_GETLINK).Header(header).Named("dump the tables of multicast routing"))))
    if (table.Header<ifinfomsg>().ifi_family == RTNL_FAMILY_IPMR)
      for (const auto& [type, bytes] : table.AttributesAfter<ifinfomsg>().Nested(IFLA_AF_SPEC).Nested(IPMRA_TABLE_VIFS).all())
        count += Attributes(bytes).U32(IPMRA_VIFA_IFINDEX) == static_cast<std::uint32_t>(kDevice);
  return count;
}
std::function<int(Place&)> SettingsOf(int family, std::uint16_t attribute) {
  return [=](Place& at) {
    netconfmsg header{};
    header.ncm_family = static_cast<std::uint8_t>(family);
    return Count(at, RTM_GETNETCONF, header, [&](const Message& message) {
      const Attributes attributes = message.AttributesAfter<netconfmsg>();
      return message.Header<netconfmsg>().ncm_family == family && attributes.S32(NETCONFA_IFINDEX) == kDevice && attributes.S32(attribute) == 1;
    });
  };
}
constexpr std::uint32_t kLabel = 777;
std::string LabelBytes() {
  const std::uint32_t entry = htonl(kLabel << MPLS_LS_LABEL_SHIFT | 1U << MPLS_LS_S_SHIFT);
  return BytesOf(entry);
}
Made LabelRoute(Place& at) {
  if (!at.ns.HasSysctl("net/mpls/platform_labels")) throw MissingNeed("needs-config:MPLS_ROUTING", "no net.mpls sysctls");
  Made made = Hub(at);
  Set(made, at, "net/mpls/platform_labels", "1000");
  rtmsg header{};
  header.rtm_family = AF_MPLS;
  header.rtm_dst_len = 20;
  header.rtm_table = RT_TABLE_MAIN;
  header.rtm_protocol = RTPROT_STATIC;
  header.rtm_scope = RT_SCOPE_UNIVERSE;
  header.rtm_type = RTN_UNICAST;
  Request add(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL);
  const std::string label = LabelBytes();
  add.Named("add a route of a label").Header(header).Raw(RTA_DST, std::as_bytes(std::span(label))).U32(RTA_OIF, kDevice);
  SETUP_OK(at->socket().Ack(add));
  return made;
}

const std::vector<Listed>& Families() {
  static const std::vector<Listed> rows = {
      {"MulticastInterfacesOfIpv4", {"SOCK-24"}, {"IP_MROUTE"}, Router4, VifsOfTables},
      {"MulticastRoutesOfIpv4", {"SOCK-24"}, {"IP_MROUTE"}, Router4, RoutesTo(RTNL_FAMILY_IPMR, RTNL_FAMILY_IPMR, BytesOf(Ip4("239.1.2.3")))},
      {"MulticastRoutesOfIpv6", {"SOCK-24"}, {"IPV6_MROUTE"}, Router6, RoutesTo(RTNL_FAMILY_IP6MR, RTNL_FAMILY_IP6MR, BytesOf(Ip6("ff05::123")))},
      {"MulticastRoutesAmongAll", {"SOCK-24"}, {"IP_MROUTE"}, Router4, RoutesTo(AF_UNSPEC, RTNL_FAMILY_IPMR, BytesOf(Ip4("239.1.2.3")))},
      {"Ipv4RoutesAmongAll", {"ROUTE-01"}, {}, [](Place& at) { Made made = Hub(at); SETUP_OK(at->AddRoute({.to = "198.51.100.0/24", .dev = "nsconf-fam"})); return made; },
       RoutesTo(AF_UNSPEC, AF_INET, BytesOf(Ip4("198.51.100.0")))},
      {"Ipv6RoutesAmongAll", {"ROUTE-02"}, {"IPV6"}, [](Place& at) { Made made = Hub(at); SETUP_OK(at->AddRoute({.to = "2001:db8:1::/48", .dev = "nsconf-fam"})); return made; },
       RoutesTo(AF_UNSPEC, AF_INET6, BytesOf(Ip6("2001:db8:1::")))},
      {"LabelRoutes", {"ROUTE-14"}, {"MPLS_ROUTING"}, LabelRoute, RoutesTo(AF_MPLS, AF_MPLS, LabelBytes())},
      {"LabelRoutesAmongAll", {"ROUTE-14"}, {"MPLS_ROUTING"}, LabelRoute, RoutesTo(AF_UNSPEC, AF_MPLS, LabelBytes())},
      {"LabelSettings", {"ROUTE-14"}, {"MPLS_ROUTING"},
       [](Place& at) {
         Made made = Hub(at);
         if (!at.ns.HasSysctl("net/mpls/conf/nsconf-fam/input")) throw MissingNeed("needs-config:MPLS_ROUTING", "no settings of MPLS for a device");
         SETUP_OK(at.ns.SetSysctl("net/mpls/conf/nsconf-fam/input", "1"));
         return made;
       },
       SettingsOf(AF_MPLS, NETCONFA_INPUT)},
      {"LinksOfIpv6", {}, {"IPV6"}, Hub, LinksOf(AF_INET6)},
      {"ForwardingOfIpv4", {"STACK-08"}, {}, [](Place& at) { Made made = Hub(at); SETUP_OK(at.ns.SetSysctl("net/ipv4/conf/nsconf-fam/forwarding", "1")); return made; },
       SettingsOf(AF_INET, NETCONFA_FORWARDING)},
      {"ForwardingOfIpv6", {"STACK-08"}, {"IPV6"}, [](Place& at) { Made made = Hub(at); SETUP_OK(at.ns.SetSysctl("net/ipv6/conf/nsconf-fam/forwarding", "1")); return made; },
       SettingsOf(AF_INET6, NETCONFA_FORWARDING)},
  };
  return rows;
}

// rtnetlink(7), network_namespaces(7): a dump is of the namespace of its socket, by whichever family it is asked for.
void IsOfItsNamespace(const Listed& row, Place& owner, Place& other) {
  EXPECT_EQ(row.count(owner), 0) << "control: at first";
  EXPECT_EQ(row.count(other), 0) << "control: at first";
  {
    const Made made = row.make(owner);
    EXPECT_EQ(row.count(owner), 1) << "network_namespaces(7): it is not listed in its own namespace";
    EXPECT_EQ(row.count(other), 0) << "network_namespaces(7): it is listed in another namespace";
    const Made equal = row.make(other);
    EXPECT_EQ(row.count(other), 1) << "an equal one of the other namespace";
    EXPECT_EQ(row.count(owner), 1) << "network_namespaces(7): it is listed in another namespace";
  }
  for (Place* place : {&owner, &other}) EXPECT_OK(Eventually("it to go", [&] { return row.count(*place) == 0; }, Deadline::In(std::chrono::seconds(5)))) << "control";
}
[[maybe_unused]] const bool families = [] {
  for (const Listed& row : Families()) {
    Covers covers("NLK-16");
    for (const char* id : row.covers) covers.list.push_back(id);
    Needs needs(Config("BRIDGE"));
    for (const char* symbol : row.configs) needs.list.push_back(Config(symbol));
    RegisterBetween("Nlk", "DumpsOfEachFamilyAreOfTheirNamespace", row.name, __FILE__, __LINE__, [&row](Place& owner, Place& other) { IsOfItsNamespace(row, owner, other); }, covers, needs);
  }
  return true;
}();

}  // namespace
}  // namespace netns
