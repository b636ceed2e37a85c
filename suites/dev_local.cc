// SPDX-License-Identifier: GPL-2.0-or-later
// DEV: devices that stay in their namespace, and die with it.
#include "fixtures/nic.h"
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

}  // namespace
}  // namespace netns
