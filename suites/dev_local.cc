// SPDX-License-Identifier: GPL-2.0-or-later
// DEV: devices that stay in their namespace, and die with it.
#include <linux/if_link.h>

#include <optional>

#include "fixtures/link_monitor.h"
#include "fixtures/nic.h"
#include "suites/support/features.h"
#include "suites/support/place.h"
#include "suites/support/watched.h"

namespace netns {
namespace {

using testing::ElementsAre;

// ip-link(8), "set netns": loopback and bridges are bound to their namespace.
NETNS_TEST(Dev, LoopbackCannotBeMoved, Covers("DEV-26"), Needs(Config("VETH"))) {
  Place a, b;
  Actor member = b.ns.StartActor("member");
  SETUP_OK(a->NewNsid(b.ref(), 5));
  SETUP_OK(a->Up("lo"));
  for (const NsRef& to : {b.ref(), ByPid(member.pid()), ByNsid(5)}) {
    EXPECT_THAT(a->MoveLink("lo", to), FailsWith(EINVAL)) << to.ToString();
    EXPECT_THAT(a->MoveLink("lo", to, {.new_name = "lo9"}), FailsWith(EINVAL)) << "under another name, " << to.ToString();
  }
  const Link lo = SETUP_OK(a->LinkByName("lo"));
  EXPECT_EQ(lo.index, 1);
  EXPECT_TRUE(lo.up());
  EXPECT_THAT(LinkNames(b), ElementsAre("lo"));
  AddDevice(a, "west");
  EXPECT_OK(a->MoveLink("west", b.ref())) << "control: a device that is not bound";
  EXPECT_THAT(LinkNames(b), ElementsAre("lo", "west"));
}

NETNS_TEST(Dev, BridgesCannotBeMovedButTheirPortsCan, Covers("DEV-27"), Needs(Config("VETH"), Config("BRIDGE"))) {
  Place a, b;
  Actor member = b.ns.StartActor("member");
  SETUP_OK(a->NewNsid(b.ref(), 5));
  const int hub = AddBridge(a, "hub");
  AddBridge(a, "hub2");
  AddDevice(a, "port");
  SETUP_OK(a->SetLink("port", {.master = "hub"}));
  SETUP_OK(a->Up("hub"));
  for (const char* bridge : {"hub", "hub2"})
    for (const NsRef& to : {b.ref(), ByPid(member.pid()), ByNsid(5)})
      EXPECT_THAT(a->MoveLink(bridge, to), FailsWith(EINVAL)) << bridge << " " << to.ToString();
  const Link after = SETUP_OK(a->LinkByName("hub"));
  EXPECT_EQ(after.index, hub);
  EXPECT_TRUE(after.up());
  EXPECT_EQ(SETUP_OK(a->LinkByName("port")).master, std::optional(hub)) << "the port stays enslaved";
  EXPECT_THAT(LinkNames(b), ElementsAre("lo"));
  SETUP_OK(a->SetLink("port", {.master = LinkRef()}));
  EXPECT_OK(a->MoveLink("port", b.ref())) << "control: a released port";
  EXPECT_THAT(LinkNames(b), ElementsAre("lo", "port"));
}

// network_namespaces(7): only physical devices move back.
void VirtualDevicesDie(Place& survivor) {
  Watched watched;
  NetNamespace dying = watched.Create();
  int made = 0;
  {
    Place inside{SETUP_OK(dying.Dup())};
    AddDevice(inside, "dielow");
    for (const char* kind : {"dummy", "ifb", "bridge", "bond", "vcan", "wireguard", "vlan", "macvlan", "ipvlan"}) {
      const std::string name = std::string("die") + kind;
      LinkSpec spec{.name = name, .kind = kind};
      if (std::string(kind).ends_with("vlan")) spec.link = LinkRef("dielow");
      if (std::string(kind) == "vlan") spec.data = [](Request& r) { r.U16(1 /* IFLA_VLAN_ID */, 10); };
      const Status added = inside->AddLink(spec);
      // macvlan and ipvlan exclude each other on one lower device (EBUSY); the rest may not be compiled in.
      if (!added.ok() && added.code() != EOPNOTSUPP && added.code() != EBUSY) SETUP_OK(added);
      made += added.ok() ? 1 : 0;
    }
    EXPECT_EQ(LinkNames(inside).size(), static_cast<std::size_t>(made) + 3) << "control: they are there, beside lo, dielow and the witness";
  }
  // Not earlier: loading a module may make its first devices in the initial namespace (bond0, dummy0, ifb0).
  const std::vector<std::string> before = LinkNames(survivor);
  (void)dying.Release();
  watched.ExpectFreed("nothing pins it");
  EXPECT_EQ(LinkNames(survivor), before) << "a virtual device of a namespace that is gone";
}
NETNS_TEST(Dev, VirtualDevicesDieWithTheirNamespace, Covers("DEV-32", "PHYS-31"), Needs(Config("VETH"), UserNs())) {
  Place neighbour;
  VirtualDevicesDie(neighbour);
}
NETNS_TEST(Dev, VirtualDevicesDoNotComeToTheInitialNamespace, Covers("DEV-32", "PHYS-31"), Needs(Machine(), Config("VETH"), UserNs()),
           Exclusive{}) {
  Place initial(InitialNetNamespace());
  VirtualDevicesDie(initial);
}

// ---------------------------------------------------------------------------------------------------- what is told of it

/// What ethtool's feature "netns-local" says (until 6.11); nothing where there is no such feature.
std::optional<bool> NetnsLocalFeature(Place& place, const std::string& device) {
  const auto features = DeviceFeatures(place.ns, device).All();
  const auto found = features.find("netns-local");
  return found == features.end() ? std::nullopt : std::optional(found->second.active);
}
/// Whether the kernel says that a device cannot move; nothing where it has no word for it (6.12 to 6.14).
std::optional<bool> ToldImmovable(Place& place, const std::string& device) {
  const Link link = SETUP_OK(place->LinkByName(device));
  return link.netns_immutable ? link.netns_immutable : NetnsLocalFeature(place, device);
}

// include/uapi/linux/if_link.h IFLA_NETNS_IMMUTABLE; ip-link(8), ethtool(8) netns-local: told is what is done.
NETNS_TEST(Dev, ItIsToldWhichDevicesCannotBeMoved, Covers("DEV-29"), Needs(Config("VETH"), Config("BRIDGE"))) {
  Place a, b;
  if (!ToldImmovable(a, "lo"))
    throw MissingNeed("needs-feature:netns-immutable", "this kernel tells by no means whether a device can be moved (6.12 to 6.14)", "", LinuxVersion{6, 15});
  const int lower = AddDevice(a, "lower");
  struct Kind {
    const char* kind;
    bool on_lower = false;
    More data = {};
  };
  const std::vector<Kind> kinds = {
      {"bridge"}, {"dummy"}, {"ifb"}, {"nlmon"}, {"bond"}, {"vcan"}, {"wireguard"}, {"team"},
      {"vrf", false, [](Request& r) { r.U32(1 /* IFLA_VRF_TABLE */, 500); }},
      {"vlan", true, [](Request& r) { r.U16(IFLA_VLAN_ID, 5); }},
      {"macvlan", true}, {"ipvlan", true},
      {"vxlan", false, [](Request& r) { r.U32(IFLA_VXLAN_ID, 5).Be16(IFLA_VXLAN_PORT, 4789); }},
      {"gretap"}, {"veth"}};
  auto check = [&](const std::string& name, const char* kind) {
    SCOPED_TRACE(kind);
    const auto told = ToldImmovable(a, name);
    if (!told) ADD_FAILURE() << "of lo it is told whether it can be moved, of this not";
    const Status moved = a->MoveLink(name, b.ref());
    if (told.value_or(false)) {
      EXPECT_THAT(moved, FailsWith(EINVAL)) << "it is told that it cannot be moved";
    } else {
      EXPECT_OK(moved) << "it is told that it can be moved";
      EXPECT_EQ(ToldImmovable(b, name), told) << "where it came to";
    }
    return told.value_or(false);
  };
  EXPECT_TRUE(check("lo", "lo"));
  for (const Kind& kind : kinds) {
    const std::string name = std::string("a") + kind.kind;
    LinkSpec spec{.name = name, .kind = kind.kind, .data = kind.data};
    if (kind.on_lower) spec.link = LinkRef(lower);
    const Status added = a->AddLink(spec);
    if (!added.ok() && std::string(kind.kind) != "bridge" && std::string(kind.kind) != "veth") continue;  // not on this kernel
    SETUP_OK(added);
    const bool immovable = check(name, kind.kind);
    if (std::string(kind.kind) == "bridge") {
      EXPECT_TRUE(immovable) << "control: one that cannot";
    }
    if (std::string(kind.kind) == "veth") {
      EXPECT_FALSE(immovable) << "control: one that can";
    }
  }
}

// ethtool(8) --monitor, netlink/specs/ethtool.yaml: what changes on a device is told in its namespace.
NETNS_TEST(Dev, NewsOfEthtoolStaysInTheNamespace, Covers("DEV-34", "NLK-04"), Needs(Config("VETH"))) {
  constexpr int index = 4800;
  Place before, a, after;
  Place nested = Place::Inside(a);
  auto requests = SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(a.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC))));
  auto family = requests.ResolveFamily("ethtool");
  if (family.code() == ENOENT)
    throw MissingNeed("needs-config:ETHTOOL_NETLINK", "no generic netlink family 'ethtool' (before 5.6)", "use Linux 5.6 or later with CONFIG_ETHTOOL_NETLINK");
  const unsigned group = SETUP_OK(std::move(family)).groups.at("monitor");
  auto listen = [&](Place& place) {
    return SETUP_OK(RtnlMonitor::Adopt(SETUP_OK(place.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC)), {group}));
  };
  for (Place* place : {&before, &a, &after, &nested}) AddDevice(*place, "west", {.index = index});
  auto in_before = listen(before), in_a = listen(a), in_after = listen(after), in_nested = listen(nested);
  const Fd socket = SETUP_OK(a.ns.Socket(AF_INET, SOCK_DGRAM));
  for (const std::uint32_t on : {0u, 1u}) {
    ethtool_value value{ETHTOOL_STSO, on};
    ifreq request = NamedIfreq("west");
    request.ifr_data = reinterpret_cast<char*>(&value);
    SETUP_OK(NETNS_IOCTL(socket, SIOCETHTOOL, request));
  }
  // They are sent before the call returns.
  EXPECT_THAT(SETUP_OK(in_a.DrainNow()).size(), testing::Ge(2u)) << "control: its own";
  for (auto [monitor, what] : {std::pair(&in_before, "created before"), std::pair(&in_after, "created after"), std::pair(&in_nested, "created from inside")}) {
    EXPECT_EQ(SETUP_OK(monitor->DrainNow()).size(), 0u) << "heard in a namespace " << what;
  }
}

}  // namespace
}  // namespace netns
