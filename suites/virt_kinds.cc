// SPDX-License-Identifier: GPL-2.0-or-later
// VIRT: what is particular to one kind of virtual device: macvlan, ipvlan, VRF, bond, netkit, CAN, VLAN, bridge, fallback tunnels.
#include <linux/can.h>
#include <linux/can/raw.h>
#include <linux/fib_rules.h>
#include <linux/sockios.h>

#include <memory>

#include "fixtures/nic.h"
#include "fixtures/sockets.h"
#include "fixtures/topology.h"
#include "fixtures/user_namespace.h"
#include "harness/kernel_config.h"
#include "suites/support/between.h"
#include "suites/support/listener.h"
#include "suites/support/uppers.h"

#ifndef SO_RCVMARK
#define SO_RCVMARK 75
#endif

namespace netns {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

bool HasLink(Place& at, const std::string& name) {
  auto link = at->LinkByName(name);
  if (!link.ok() && link.code() != ENODEV) SETUP_OK(std::move(link));
  return link.ok();
}
/// Adds a link, or ends the test as MISS where the kernel has no such kind.
void Add(Place& at, const char* symbol, const LinkSpec& spec) {
  Status added = at->AddLink(spec);
  RequireBuiltIn(added, symbol);
  SETUP_OK(std::move(added));
}
void Give(Place& at, const std::string& device, int host) {
  if (HasIpv6()) SETUP_OK(at.ns.SetSysctl("net/ipv6/conf/" + device + "/accept_dad", "0"));
  SETUP_OK(at->Up(device));
  SETUP_OK(at->AddAddress("192.0.2." + std::to_string(host) + "/24", device));
  if (HasIpv6()) SETUP_OK(at->AddAddress("2001:db8::" + std::to_string(host) + "/64", device, {.nodad = true}));
}
/// Both families, there and back.
void ExpectReach(Place& from, Place& to, int from_host, int to_host, const char* what) {
  SCOPED_TRACE(what);
  for (const std::string network : {"192.0.2.", "2001:db8::"}) {
    if (network[0] == '2' && !HasIpv6()) continue;
    EXPECT_OK(Ping(from.ns, network + std::to_string(to_host)));
    EXPECT_OK(UdpTalks(to.ns, from.ns, Inet(network + std::to_string(from_host))));
    EXPECT_OK(TcpTalks(from.ns, to.ns, Inet(network + std::to_string(to_host))));
  }
}

// ip-link(8) MACVLAN: each has a MAC address of its own on the wire of the device below.
NETNS_TEST(Virt, AMacvlanSharesTheWireFromAnotherNamespace, Covers("VIRT-01"), Needs(Config("MACVLAN"), Config("VETH"))) {
  Place a, b, c, far, elsewhere;
  auto wire = SETUP_OK(VethPair::Between(a.ns, far.ns, {.west4 = "192.0.2.1/24", .east4 = "192.0.2.2/24"}));
  for (auto [place, name, host] : {std::tuple(&b, "mv0", 3), std::tuple(&c, "mv1", 4)}) {
    Add(a, "MACVLAN", {.name = name, .kind = "macvlan", .link = "west", .data = [](Request& r) {
                         r.U32(IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE);
                       }});
    SETUP_OK(a->MoveLink(name, place->ref()));
    Give(*place, name, host);
  }
  ExpectReach(far, a, 2, 1, "the device below itself");
  ExpectReach(b, far, 3, 2, "the first one and a station outside");
  ExpectReach(far, c, 2, 4, "a station outside, whose broadcast for an address comes in, and the second one");
  ExpectReach(b, c, 3, 4, "two of the same device, in mode bridge");
  std::map<std::string, std::string> macs;
  for (const Neighbour& neighbour : SETUP_OK(far->Neighbours(AF_INET))) macs[neighbour.to] = neighbour.address;
  EXPECT_EQ(macs["192.0.2.1"], wire.west_link().address);
  EXPECT_EQ(macs["192.0.2.3"], SETUP_OK(b->LinkByName("mv0")).address);
  EXPECT_EQ(macs["192.0.2.4"], SETUP_OK(c->LinkByName("mv1")).address);
  EXPECT_NE(macs["192.0.2.3"], macs["192.0.2.1"]);
  EXPECT_NE(macs["192.0.2.3"], macs["192.0.2.4"]);
  // The device below moves: those above stay on its wire.
  SETUP_OK(a->MoveLink("west", elsewhere.ref()));
  ASSERT_TRUE(HasLink(b, "mv0") && HasLink(c, "mv1")) << "they died of the move of the device below";
  Give(elsewhere, "west", 1);
  SETUP_OK(b->Up("mv0"));
  ASSERT_OK(WaitUntilUp(b.ns, "mv0"));
  if (HasIpv6()) SETUP_OK(b->SetLink("mv0", {.up = true}));
  EXPECT_OK(Ping(b.ns, "192.0.2.2")) << "after the move of the device below";
  SETUP_OK(b->Down("mv0"));
  EXPECT_THAT(Ping(far.ns, "192.0.2.3", {.deadline = Deadline::In(500ms)}), Not(Succeeds())) << "control: down";
}

// Documentation/networking/ipvlan.rst 4 and 6.
void IpvlansOfOneDeviceInTwoNamespaces(std::uint16_t mode) {
  Place a, b, c, far;
  auto wire = SETUP_OK(VethPair::Between(a.ns, far.ns));
  for (auto [place, name, host] : {std::tuple(&b, "ipvl0", 3), std::tuple(&c, "ipvl1", 4)}) {
    Add(a, "IPVLAN", {.name = name, .kind = "ipvlan", .link = "west", .data = [mode](Request& r) {
                        r.U16(IFLA_IPVLAN_MODE, mode);
                      }});
    SETUP_OK(a->MoveLink(name, place->ref()));
    Give(*place, name, host);
    EXPECT_EQ(SETUP_OK((*place)->LinkByName(name)).address, wire.west_link().address) << "all have the address of the one below";
  }
  ExpectReach(b, c, 3, 4, "two of the same device");
  if (mode == IPVLAN_MODE_L2) {
    ExpectReach(b, far, 3, 2, "the first one and a station outside");
    ExpectReach(c, far, 4, 2, "the second one and a station outside");
    std::map<std::string, std::string> macs;
    for (const Neighbour& neighbour : SETUP_OK(far->Neighbours(AF_INET))) macs[neighbour.to] = neighbour.address;
    EXPECT_EQ(macs["192.0.2.3"], wire.west_link().address);
  } else {
    EXPECT_NE(SETUP_OK(b->LinkByName("ipvl0")).flags & unsigned{IFF_NOARP}, 0u) << "no ARP in mode l3";
    // "... L3 processing up to the stack instance attached to the parent device, and packets are switched to the stack instance
    // of the slave": who is told where they are reaches them.
    for (auto [place, host] : {std::pair(&b, 3), std::pair(&c, 4)}) {
      SETUP_OK(far->AddNeighbour({.to = "192.0.2." + std::to_string(host), .address = wire.west_link().address, .dev = "east"}));
      EXPECT_OK(UdpTalks(far.ns, place->ns, Inet("192.0.2." + std::to_string(host)))) << "a station outside and the slave with address " << host;
    }
  }
  EXPECT_THAT(Ping(b.ns, "203.0.113.9", {.deadline = Deadline::In(500ms)}), FailsWith(ENETUNREACH)) << "control: no such subnet";
}
NETNS_TEST(Virt, IpvlansOfOneDeviceInTwoNamespacesInModeL2, Covers("VIRT-02"), Needs(Config("IPVLAN"), Config("VETH"))) {
  IpvlansOfOneDeviceInTwoNamespaces(IPVLAN_MODE_L2);
}
NETNS_TEST(Virt, IpvlansOfOneDeviceInTwoNamespacesInModeL3, Covers("VIRT-02"), Needs(Config("IPVLAN"), Config("VETH"))) {
  IpvlansOfOneDeviceInTwoNamespaces(IPVLAN_MODE_L3);
}
NETNS_TEST(Virt, IpvlansOfOneDeviceInTwoNamespacesInModeL3S, Covers("VIRT-02"), Needs(Config("IPVLAN"), Config("IPVLAN_L3S"), Config("VETH"))) {
  IpvlansOfOneDeviceInTwoNamespaces(IPVLAN_MODE_L3S);
}

// drivers/net/ipvlan/ipvlan_main.c ipvlan_nl_changelink(): the mode is that of all slaves of a device.
NETNS_TEST(Virt, TheModeOfIpvlansNeedsRightsOverTheDeviceBelow, Covers("VIRT-28"), Needs(Config("IPVLAN"), Config("VETH"), UserNs())) {
  Place a;
  AddDevice(a, "lower");
  Actor container = StartNamespaceRoot("container");
  Rtnl inside = SETUP_OK(container.Run([] { return Rtnl::Open(); }));
  Add(a, "IPVLAN", {.name = "slave", .kind = "ipvlan", .link = "lower"});
  Add(a, "IPVLAN", {.name = "home", .kind = "ipvlan", .link = "lower"});
  SETUP_OK(a->MoveLink("slave", ByPid(container.pid())));
  auto set_mode = [](Rtnl& rtnl, const char* name) {
    Request request(RTM_NEWLINK);  // RTM_SETLINK does not reach the kind's own attributes
    request.Named(std::string("set the mode of ") + name).Header(ifinfomsg{}).Text(IFLA_IFNAME, name);
    request.Nest(IFLA_LINKINFO, [](Request& info) {
      info.Text(IFLA_INFO_KIND, "ipvlan");
      info.Nest(IFLA_INFO_DATA, [](Request& data) { data.U16(IFLA_IPVLAN_MODE, IPVLAN_MODE_L2); });
    });
    return rtnl.socket().Ack(request);
  };
  EXPECT_THAT(container.Run([&] { return set_mode(inside, "slave"); }), FailsWith(EPERM));
  EXPECT_OK(container.Run([&] { return inside.SetLink("slave", {.alias = "mine"}); })) << "control: its other attributes";
  EXPECT_OK(set_mode(a.rtnl, "home")) << "control: with rights over the namespace of the device below";
}

// Documentation/networking/vrf.rst.
NETNS_TEST(Virt, VrfsOfTwoNamespacesAreIndependent, Covers("VIRT-17"), Needs(Config("NET_VRF"), Config("VETH"))) {
  Place a, b;
  Place nested = Place::Inside(a);
  int host = 10;
  for (Place* place : {&a, &b, &nested}) {
    Add(*place, "NET_VRF", {.name = "red", .kind = "vrf", .up = true, .data = [](Request& r) { r.U32(1 /* IFLA_VRF_TABLE */, 10); }});
    AddDevice(*place, "port", {}, true);
    SETUP_OK((*place)->SetLink("port", {.master = "red"}));
    SETUP_OK((*place)->AddAddress("192.0.2." + std::to_string(host) + "/24", "port"));
    if (HasIpv6()) SETUP_OK((*place)->AddAddress("2001:db8::" + std::to_string(host) + "/64", "port", {.nodad = true}));
    ++host;
  }
  host = 10;
  for (Place* place : {&a, &b, &nested}) {
    std::vector<std::string> local;
    for (const Route& route : SETUP_OK((*place)->Routes({.family = AF_INET, .table = 10})))
      if (route.type == RTN_LOCAL) local.push_back(route.to);
    EXPECT_THAT(local, ElementsAre("192.0.2." + std::to_string(host) + "/32")) << "its table holds its own addresses only";
    const int index = SETUP_OK((*place)->LinkByName("red")).index;
    EXPECT_THAT((*place)->GetRoute("192.0.2.77", {.oif = index}), Succeeds()) << "the prefix is found in the VRF";
    EXPECT_THAT((*place)->GetRoute("192.0.2.77"), FailsWith(ENETUNREACH)) << "control: outside of it";
    ++host;
  }
  SETUP_OK(b->DeleteLink("red"));
  EXPECT_THAT(a->GetRoute("192.0.2.77", {.oif = SETUP_OK(a->LinkByName("red")).index}), Succeeds()) << "the others stay";
  EXPECT_EQ(SETUP_OK(nested->Routes({.family = AF_INET, .table = 10})).empty(), false);
  // Since Linux 5.8, per namespace.
  if (!a.ns.HasSysctl("net/vrf/strict_mode")) return;
  SETUP_OK(a.ns.SetSysctl("net/vrf/strict_mode", "1"));
  EXPECT_THAT(a.ns.Sysctl("net/vrf/strict_mode"), Holds("1"));
  EXPECT_THAT(b.ns.Sysctl("net/vrf/strict_mode"), Holds("0"));
  EXPECT_THAT(nested.ns.Sysctl("net/vrf/strict_mode"), Holds("0"));
  auto second = [](Request& r) { r.U32(1, 10); };
  EXPECT_THAT(a->AddLink({.name = "blue", .kind = "vrf", .data = second}), Not(Succeeds())) << "one VRF for one table";
  EXPECT_OK(nested->AddLink({.name = "blue", .kind = "vrf", .data = second})) << "control: where it is not strict";
}

/// How many rules of a family send lookups to the table of the VRF of the device: "1000: from all lookup [l3mdev-table]".
int RulesOfVrfs(Place& at, int family) {
  fib_rule_hdr header{};
  header.family = static_cast<std::uint8_t>(family);
  int count = 0;
  for (const Message& message : SETUP_OK(at->socket().Dump(Request(RTM_GETRULE).Header(header).Named("list the rules")))) {
    const Attributes attributes = message.AttributesAfter<fib_rule_hdr>();
    if (message.Header<fib_rule_hdr>().family == family && attributes.U8(FRA_L3MDEV) == 1 && attributes.U32(FRA_PRIORITY) == 1000u) ++count;
  }
  return count;
}
/// The families that have rules: of addresses, and of multicast routing where a kernel has more than one table of it.
std::vector<std::pair<const char*, int>> FamiliesWithRules() {
  const auto built = [](const char* symbol) { return KernelConfig::Running().Value(symbol) == 'y'; };
  std::vector<std::pair<const char*, int>> families = {{"IPv4", AF_INET}};
  if (HasIpv6()) families.emplace_back("IPv6", AF_INET6);
  if (built("IP_MROUTE_MULTIPLE_TABLES")) families.emplace_back("multicast of IPv4", RTNL_FAMILY_IPMR);
  if (HasIpv6() && built("IPV6_MROUTE_MULTIPLE_TABLES")) families.emplace_back("multicast of IPv6", RTNL_FAMILY_IP6MR);
  return families;
}
// Documentation/networking/vrf.rst: "The l3mdev FIB rule ... is added when the first VRF device is created", of each family, for
// the namespace of that device.
void TheFirstVrfBringsRules(Place& owner, Place& other) {
  const auto families = FamiliesWithRules();
  std::vector<int> births;
  for (const auto& [name, family] : families) {
    births.push_back(RulesOfVrfs(other, family));
    EXPECT_EQ(RulesOfVrfs(owner, family), 0) << name << ", control: before there is a VRF";
  }
  Add(owner, "NET_VRF", {.name = "red", .kind = "vrf", .up = true, .data = [](Request& r) { r.U32(1 /* IFLA_VRF_TABLE */, 10); }});
  for (std::size_t i = 0; i < families.size(); ++i) {
    const auto& [name, family] = families[i];
    EXPECT_EQ(RulesOfVrfs(owner, family), 1) << name << ": vrf.rst: the first VRF of a namespace brings the rule";
    EXPECT_EQ(RulesOfVrfs(other, family), births[i]) << name << ": a VRF of another namespace brings a rule here";
  }
  // What the rule is for: what is in the table of the VRF is found through it, and only so.
  const int index = SETUP_OK(owner->LinkByName("red")).index;
  AddDevice(owner, "port", {}, true);
  SETUP_OK(owner->SetLink("port", {.master = "red"}));
  SETUP_OK(owner->AddAddress("192.0.2.1/24", "port"));
  EXPECT_THAT(owner->GetRoute("192.0.2.77", {.oif = index}), Succeeds()) << "through the VRF";
  EXPECT_THAT(owner->GetRoute("192.0.2.77"), FailsWith(ENETUNREACH)) << "control: outside of it";
  if (HasIpv6()) {
    SETUP_OK(owner->AddAddress("2001:db8::1/64", "port", {.nodad = true}));
    EXPECT_THAT(owner->GetRoute("2001:db8::77", {.oif = index}), Succeeds()) << "through the VRF";
    EXPECT_THAT(owner->GetRoute("2001:db8::77"), FailsWith(ENETUNREACH)) << "control: outside of it";
  }
  // A second one needs no more, and the end of the first takes nothing.
  Add(owner, "NET_VRF", {.name = "blue", .kind = "vrf", .data = [](Request& r) { r.U32(1 /* IFLA_VRF_TABLE */, 11); }});
  SETUP_OK(owner->DeleteLink("red"));
  for (const auto& [name, family] : families) EXPECT_EQ(RulesOfVrfs(owner, family), 1) << name << ": with a second VRF, and without the first";
}
NETNS_TEST(Virt, TheFirstVrfOfANamespaceBringsTheRulesOfEachFamily, Covers("VIRT-17"), Needs(Config("NET_VRF"), Config("VETH"))) {
  BetweenTwoNamespaces(TheFirstVrfBringsRules);
}
NETNS_TEST(Virt, TheFirstVrfOfANamespaceBringsNoRulesToTheInitialOne, Covers("VIRT-17"), Needs(Machine(), Config("NET_VRF"), Config("VETH")), Exclusive{}) {
  Place owner, initial(InitialNetNamespace());
  TheFirstVrfBringsRules(owner, initial);
}

// Documentation/networking/vrf.rst, strict_mode: "By default, the value is 0"; in every new namespace, whatever others have.
void StrictnessOfVrfsIsNotInherited(Place& owner, Place& other) {
  const std::string strict = "net/vrf/strict_mode";
  const auto vrf = [](const char* name) { return LinkSpec{.name = name, .kind = "vrf", .data = [](Request& r) { r.U32(1 /* IFLA_VRF_TABLE */, 10); }}; };
  Place before = Place::Inside(owner);
  Add(before, "NET_VRF", vrf("red"));
  if (!before.ns.HasSysctl(strict))
    throw MissingNeed("needs-feature:" + strict, "this kernel has no " + strict, "", LinuxVersion{5, 8});
  const std::string old = SETUP_OK(owner.ns.Sysctl(strict)), of_other = SETUP_OK(other.ns.Sysctl(strict));
  const Undo restore([&] { std::ignore = owner.ns.SetSysctl(strict, old); });
  SETUP_OK(owner.ns.SetSysctl(strict, "1"));
  EXPECT_THAT(owner.ns.Sysctl(strict), Holds("1")) << "control: where it was set";
  EXPECT_THAT(other.ns.Sysctl(strict), Holds(of_other)) << "a namespace that was there before";
  Place sibling, inside = Place::Inside(owner);
  SETUP_OK(sibling->AddLink(vrf("red")));
  SETUP_OK(inside->AddLink(vrf("red")));
  for (const auto& [place, which] : {std::pair(&before, "made before it was set"), std::pair(&sibling, "made afterwards by another"),
                                     std::pair(&inside, "made afterwards inside the one where it was set")}) {
    SCOPED_TRACE(std::string("a namespace ") + which);
    EXPECT_THAT(place->ns.Sysctl(strict), Holds("0")) << "it does not start with the default of net.vrf.strict_mode";
    EXPECT_OK((*place)->AddLink(vrf("blue"))) << "a second VRF for one table, which only strict mode refuses";
    (void)(*place)->DeleteLink("blue").ok();
    SETUP_OK(place->ns.SetSysctl(strict, "1"));
    EXPECT_THAT((*place)->AddLink(vrf("blue")), Not(Succeeds())) << "control: where it is strict";
  }
}
[[maybe_unused]] const bool strictness =
    RegisterBetween("Virt", "StrictnessOfVrfsIsNotInherited", "", __FILE__, __LINE__, StrictnessOfVrfsIsNotInherited, Covers("VIRT-17"), Needs(Config("NET_VRF")));

// Devices that are bound to the namespace in which they were made (NETIF_F_NETNS_LOCAL, later netns_immutable).
void CannotBeMoved(const std::string& kind, const char* symbol) {
  Place a, b;
  Place nested = Place::Inside(a);
  AddDevice(a, "other");
  for (const char* name : {"first", "second"})
    Add(a, symbol, {.name = name, .kind = kind, .data = [&, name](Request& r) {
                      if (kind == "vrf") r.U32(1, std::string(name) == "first" ? 10 : 11);
                    }});
  Actor in_b = b.ns.StartActor("in b");
  for (const char* name : {"second", "first"}) {
    const int index = SETUP_OK(a->LinkByName(name)).index;
    EXPECT_THAT(a->MoveLink(name, b.ref()), FailsWith(EINVAL)) << name;
    EXPECT_THAT(a->MoveLink(name, ByPid(in_b.pid())), FailsWith(EINVAL)) << name;
    EXPECT_THAT(a->MoveLink(name, nested.ref(), {.new_name = "free"}), FailsWith(EINVAL)) << name;
    EXPECT_EQ(SETUP_OK(a->LinkByName(name)).index, index) << "it stays as it was";
  }
  EXPECT_THAT(LinkNames(b), ElementsAre("lo"));
  EXPECT_THAT(LinkNames(nested), ElementsAre("lo"));
  EXPECT_OK(a->MoveLink("other", b.ref())) << "control: a device that is not bound";
  Add(nested, symbol, {.name = "first", .kind = kind, .data = [&](Request& r) { if (kind == "vrf") r.U32(1, 10); }});
  EXPECT_THAT(nested->MoveLink("first", b.ref()), FailsWith(EINVAL)) << "in a nested namespace";
  EXPECT_OK(a->DeleteLink("first"));
}

// drivers/net/bonding (bond_net).
NETNS_TEST(Virt, BondsArePerNamespace, Covers("VIRT-18"), Needs(Root(), Config("BONDING"), Config("VETH"))) {
  Place a, b;
  Place nested = Place::Inside(a);
  Add(a, "BONDING", {.name = "probe", .kind = "bond"});
  SETUP_OK(a->DeleteLink("probe"));
  auto masters = [](Place& place) {
    std::istringstream text(SETUP_OK(place.ns.ReadSysfs("class/net/bonding_masters")));
    return std::vector<std::string>(std::istream_iterator<std::string>(text), {});
  };
  EXPECT_THAT(masters(a), IsEmpty());
  ASSERT_OK(a.ns.WriteSysfs("class/net/bonding_masters", "+bond1"));
  SETUP_OK(a->AddLink({.name = "bond2", .kind = "bond"}));
  SETUP_OK(b->AddLink({.name = "bond3", .kind = "bond"}));
  EXPECT_THAT(masters(a), testing::UnorderedElementsAre("bond1", "bond2"));
  EXPECT_THAT(masters(b), ElementsAre("bond3"));
  EXPECT_THAT(masters(nested), IsEmpty());
  EXPECT_TRUE(HasLink(a, "bond1"));
  EXPECT_FALSE(HasLink(b, "bond1") || HasLink(nested, "bond1"));
  EXPECT_THAT(a.ns.ReadProcNet("bonding/bond1"), Holds(HasSubstr("Bonding")));
  EXPECT_THAT(b.ns.ReadProcNet("bonding/bond1"), FailsWith(ENOENT));
  EXPECT_THAT(b.ns.ReadProcNet("bonding/bond3"), Succeeds());
  EXPECT_THAT(a.ns.ReadProcNet("bonding/bond3"), FailsWith(ENOENT));
  EXPECT_OK(b.ns.WriteSysfs("class/net/bonding_masters", "+bond1")) << "the name is free there";
  EXPECT_THAT(a.ns.WriteSysfs("class/net/bonding_masters", "-bond3"), Not(Succeeds())) << "none of this namespace";
  EXPECT_THAT(masters(b), testing::UnorderedElementsAre("bond1", "bond3"));
  // Only devices of the namespace can be enslaved.
  const int bond = SETUP_OK(a->LinkByName("bond2")).index;
  AddDevice(nested, "port");
  EXPECT_THAT(nested->SetLink("port", {.master = bond + 1000}), FailsWith(EINVAL));
  AddDevice(a, "port");
  const Fd in_a = SETUP_OK(a.ns.Socket(AF_INET, SOCK_DGRAM));
  ifreq request = NamedIfreq("bond2");
  AddDevice(b, "theirs");
  // Documentation/networking/bonding.rst: "echo +eth0 > /sys/class/net/bond0/bonding/slaves".
  AddDevice(a, "bysysfs");
  const Status by_sysfs = a.ns.WriteSysfs("class/net/bond2/bonding/slaves", "+bysysfs");
  if (by_sysfs.code() != EACCES && by_sysfs.code() != EPERM) {
    EXPECT_OK(by_sysfs) << "control: a device of its own";
    EXPECT_EQ(SETUP_OK(a->LinkByName("bysysfs")).master, bond) << "control";
    EXPECT_THAT(a.ns.WriteSysfs("class/net/bond2/bonding/slaves", "+theirs"), Not(Succeeds())) << "a device of another namespace";
    EXPECT_FALSE(SETUP_OK(b->LinkByName("theirs")).master.has_value());
  }
  std::strcpy(request.ifr_slave, "theirs");
  EXPECT_THAT(NETNS_IOCTL(in_a, SIOCBONDENSLAVE, request), FailsWith(ENODEV)) << "a device of another namespace";
  std::strcpy(request.ifr_slave, "port");
  EXPECT_THAT(NETNS_IOCTL(in_a, SIOCBONDENSLAVE, request), Succeeds()) << "control: its own";
  EXPECT_EQ(SETUP_OK(a->LinkByName("port")).master, bond);
}

NETNS_TEST(Virt, BondsOfTheInitialNamespaceAreNotListedElsewhere, Covers("VIRT-18"), Needs(Machine(), Config("BONDING")), Exclusive{}) {
  Place init(InitialNetNamespace()), a;
  Add(init, "BONDING", {.name = "bondinit", .kind = "bond"});
  SETUP_OK(a->AddLink({.name = "bonda", .kind = "bond"}));
  EXPECT_THAT(a.ns.ReadSysfs("class/net/bonding_masters"), Holds(Not(HasSubstr("bondinit"))));
  EXPECT_THAT(a.ns.ReadSysfs("class/net/bonding_masters"), Holds(HasSubstr("bonda")));
  EXPECT_THAT(init.ns.ReadSysfs("class/net/bonding_masters"), Holds(HasSubstr("bondinit")));
  EXPECT_THAT(init.ns.ReadSysfs("class/net/bonding_masters"), Holds(Not(HasSubstr("bonda"))));
  SETUP_OK(init->DeleteLink("bondinit"));
}

// ------------------------------------------------------------------------------------------------------------ netkit

NETNS_TEST(Virt, NetkitPairsSpanNamespacesAndDieTogether, Covers("VIRT-23"), Needs(Config("NETKIT"))) {
  Place a, b, c;
  auto pair = [](Place& one, const char* name, Place& two, const char* peer) {
    Add(one, "NETKIT", {.name = name, .kind = "netkit", .peer = PeerSpec{.name = peer, .netns_fd = two.fd()}});
  };
  pair(a, "nk0", b, "nk0");
  pair(a, "nk1", b, "peer1");
  pair(b, "nk2", a, "peer2");
  pair(a, "stays", b, "stays");
  const Link first = SETUP_OK(a->LinkByName("nk0")), second = SETUP_OK(b->LinkByName("nk0"));
  EXPECT_EQ(first.link, second.index);
  EXPECT_EQ(second.link, first.index);
  EXPECT_EQ(first.link_netnsid, SETUP_OK(a->GetNsid(b.ref())).nsid);
  EXPECT_EQ(second.link_netnsid, SETUP_OK(b->GetNsid(a.ref())).nsid);
  ASSERT_OK(b->MoveLink("peer1", c.ref()));
  const Link split = SETUP_OK(a->LinkByName("nk1"));  // asking for it makes the id
  EXPECT_EQ(split.link_netnsid, SETUP_OK(a->GetNsid(c.ref())).nsid);
  SETUP_OK(a->DeleteLink("nk0"));
  EXPECT_FALSE(HasLink(b, "nk0")) << "the peer of the one that was deleted";
  SETUP_OK(a->DeleteLink("nk1"));
  EXPECT_FALSE(HasLink(c, "peer1")) << "the peer that was moved";
  if (SETUP_OK(b->LinkByName("nk2")).index != 0) SETUP_OK(b->DeleteLink("nk2"));
  EXPECT_FALSE(HasLink(a, "peer2"));
  EXPECT_TRUE(HasLink(a, "stays") && HasLink(b, "stays")) << "control: an unrelated pair";
}

NETNS_TEST(Virt, NetkitPeersDieWithTheNamespace, Covers("VIRT-23"), Needs(Config("NETKIT"))) {
  Place a, c;
  auto b = std::make_unique<Place>();
  Add(a, "NETKIT", {.name = "nk0", .kind = "netkit", .peer = PeerSpec{.name = "peer0", .netns_fd = b->fd()}});
  SETUP_OK((*b)->AddLink({.name = "nk1", .kind = "netkit", .peer = PeerSpec{.name = "peer1", .netns_fd = c.fd()}}));
  SETUP_OK(a->AddLink({.name = "stays", .kind = "netkit", .peer = PeerSpec{.name = "stays", .netns_fd = c.fd()}}));
  b.reset();
  EXPECT_EVENTUALLY("the peers in two other namespaces to go with the one that was freed",
                    [&] { return !HasLink(a, "nk0") && !HasLink(c, "peer1"); });
  EXPECT_TRUE(HasLink(a, "stays") && HasLink(c, "stays")) << "control";
}

/// The mark with which the next datagram came; 0 where none is told.
Result<std::uint32_t> MarkOfNext(const Fd& socket) {
  RETURN_IF_ERROR(WaitFor(socket.get(), POLLIN, Deadline::OfTest(), "a datagram"));
  char byte;
  iovec part{&byte, 1};
  std::array<char, 256> control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  if (::recvmsg(socket.get(), &header, 0) < 0) return ErrnoError("recvmsg");
  for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item))
    if (item->cmsg_level == SOL_SOCKET && item->cmsg_type == SO_MARK) {
      std::uint32_t mark = 0;
      std::memcpy(&mark, CMSG_DATA(item), sizeof mark);
      return mark;
    }
  return Error{ENOMSG, "the datagram's mark (SO_RCVMARK)"};
}

NETNS_TEST(Virt, AMarkDoesNotCrossANetkitPair, Covers("VIRT-23"), Needs(Config("NETKIT"))) {
  Place a, b;
  Add(a, "NETKIT", {.name = "nk0", .kind = "netkit", .peer = PeerSpec{.name = "nk0", .netns_fd = b.fd()}});
  for (Place* place : {&a, &b}) {
    SETUP_OK((*place)->Up("lo"));
    Give(*place, "nk0", place == &a ? 1 : 2);
  }
  SETUP_OK(WaitUntilUp(a.ns, "nk0"));
  SETUP_OK(WaitUntilUp(b.ns, "nk0"));
  for (auto [from, to, host] : {std::tuple(&a, &b, 2), std::tuple(&b, &a, 1), std::tuple(&a, &a, 1)})
    for (const std::string network : {"192.0.2.", "2001:db8::"}) {
      if (network[0] == '2' && !HasIpv6()) continue;
      const SockAddr address = Inet(network + std::to_string(host), 4000);
      SCOPED_TRACE(address.ToString());
      const Fd receiver = SETUP_OK(UdpBind(to->ns, address));
      SETUP_OK(SetSockOpt(receiver, SOL_SOCKET, SO_RCVMARK, 1));
      const Fd sender = SETUP_OK(from->ns.Socket(address.family(), SOCK_DGRAM));
      SETUP_OK(SetSockOpt(sender, SOL_SOCKET, SO_MARK, 0x55));
      ASSERT_OK(SendTo(sender, "x", address));
      EXPECT_THAT(MarkOfNext(receiver), Holds(from == to ? 0x55u : 0u)) << (from == to ? "control: inside one namespace" : "");
    }
}

// --------------------------------------------------------------------------------------------------------------- CAN

Fd CanSocket(Place& at, const std::string& device) {
  auto made = at.ns.Socket(AF_CAN, SOCK_RAW, CAN_RAW);
  if (!made.ok()) RequireBuiltIn(made.error(), "CAN");
  Fd socket = SETUP_OK(std::move(made));
  sockaddr_can address{};
  address.can_family = AF_CAN;
  address.can_ifindex = device.empty() ? 0 : SETUP_OK(at->LinkByName(device)).index;
  if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0)
    throw SetupFailure(ErrnoError("bind of a CAN socket").ToString(), std::source_location::current());
  return socket;
}
Status SendCan(const Fd& socket, unsigned id) {
  can_frame frame{};
  frame.can_id = id;
  return Send(socket, std::string_view(reinterpret_cast<const char*>(&frame), sizeof frame));
}
Result<unsigned> ReceiveCan(const Fd& socket) {
  ASSIGN_OR_RETURN(Datagram data, Receive(socket));
  can_frame frame{};
  std::memcpy(&frame, data.data.data(), std::min(sizeof frame, data.data.size()));
  return unsigned{frame.can_id};
}

NETNS_TEST(Virt, CanFramesStayInTheirNamespace, Covers("VIRT-22"), Needs(Config("CAN"), Config("CAN_RAW"), Config("CAN_VCAN"))) {
  Place a, b;
  Place nested = Place::Inside(a);
  for (Place* place : {&a, &b, &nested}) {
    Add(*place, "CAN_VCAN", {.name = "vcan0", .kind = "vcan", .index = 300});
    SETUP_OK((*place)->Up("vcan0"));
  }
  const Fd sender = CanSocket(a, "vcan0"), same = CanSocket(a, "vcan0"), any = CanSocket(a, "");
  const Fd other = CanSocket(b, "vcan0"), any_other = CanSocket(b, ""), inner = CanSocket(nested, "");
  ASSERT_OK(SendCan(sender, 0x123));
  EXPECT_THAT(ReceiveCan(same), Holds(0x123u)) << "control: another socket of the same namespace";
  EXPECT_THAT(ReceiveCan(any), Holds(0x123u));
  EXPECT_FALSE(Readable(other) || Readable(any_other) || Readable(inner));
  ASSERT_OK(SendCan(other, 0x321));
  EXPECT_THAT(ReceiveCan(any_other), Holds(0x321u));
  EXPECT_FALSE(Readable(same) || Readable(any) || Readable(inner));
  EXPECT_THAT(a.ns.ReadProcNet("can/rcvlist_all"), Holds(HasSubstr("vcan0")));
  SETUP_OK(nested->Down("vcan0"));
  SETUP_OK(nested->Rename("vcan0", "vcan9"));
  EXPECT_THAT(a.ns.ReadProcNet("can/rcvlist_all"), Holds(Not(HasSubstr("vcan9"))));
}

NETNS_TEST(Virt, VxcanPairsConnectTwoNamespaces, Covers("VIRT-22"), Needs(Config("CAN"), Config("CAN_RAW"), Config("CAN_VXCAN"))) {
  Place a, b;
  for (const char* name : {"vx0", "vx1"})
    Add(a, "CAN_VXCAN", {.name = name, .kind = "vxcan", .peer = PeerSpec{.name = name, .netns_fd = b.fd()}});
  for (const char* name : {"vx0", "vx1"}) {
    SETUP_OK(a->Up(name));
    SETUP_OK(b->Up(name));
    // What is sent before the carrier is there is lost. (A new device counts as running until the kernel has looked at it.)
    for (Place* place : {&a, &b}) SETUP_OK(WaitUntilUp(place->ns, name));
  }
  const Fd near = CanSocket(a, "vx0"), far = CanSocket(b, "vx0"), aside = CanSocket(b, "vx1");
  ASSERT_OK(SendCan(near, 0x11));
  EXPECT_THAT(ReceiveCan(far), Holds(0x11u));
  ASSERT_OK(SendCan(far, 0x22));
  EXPECT_THAT(ReceiveCan(near), Holds(0x22u));
  EXPECT_FALSE(Readable(aside)) << "control: the other pair";
  SETUP_OK(a->DeleteLink("vx0"));
  EXPECT_FALSE(HasLink(b, "vx0")) << "the peer goes with it";
  EXPECT_TRUE(HasLink(b, "vx1"));
}

// ------------------------------------------------------------------------------------------------------ VLAN, bridges

NETNS_TEST(Virt, ProcNetVlanFollowsTheDevice, Covers("VIRT-27"), Needs(Config("VLAN_8021Q"), Config("VETH"))) {
  Place here = Place::Here(), a, b;
  for (Place* place : {&a, &b}) {
    AddDevice(*place, "eth", {.index = 200});
    for (std::uint16_t id : {11, 12}) {
      Add(*place, "VLAN_8021Q", {.name = "eth." + std::to_string(id), .kind = "vlan", .link = "eth", .data = [id](Request& r) {
                                   r.U16(IFLA_VLAN_ID, id);
                                 }});
    }
  }
  auto listed = [](Place& place) {
    std::vector<std::string> names;
    const std::string text = SETUP_OK(place.ns.ReadProcNet("vlan/config"));
    for (const char* name : {"eth.11", "eth.12", "moved"})
      if (ProcNetLists(text, name)) {
        names.push_back(name);
        EXPECT_THAT(place.ns.ReadProcNet(std::string("vlan/") + name), Holds(HasSubstr("VID")));
      } else {
        EXPECT_THAT(place.ns.ReadProcNet(std::string("vlan/") + name), FailsWith(ENOENT));
      }
    return names;
  };
  EXPECT_THAT(listed(a), ElementsAre("eth.11", "eth.12")) << "control: before the move";
  EXPECT_THAT(listed(b), ElementsAre("eth.11", "eth.12"));
  EXPECT_THAT(listed(here), IsEmpty());
  ASSERT_OK(a->MoveLink("eth.12", b.ref(), {.new_name = "moved"}));
  EXPECT_THAT(listed(a), ElementsAre("eth.11"));
  EXPECT_THAT(listed(b), ElementsAre("eth.11", "eth.12", "moved"));
  SETUP_OK(b->DeleteLink("eth.11"));
  EXPECT_THAT(listed(a), ElementsAre("eth.11")) << "the one of the same name and id";
  ASSERT_OK(b->MoveLink("moved", a.ref(), {.new_name = "eth.12"}));
  EXPECT_THAT(listed(a), ElementsAre("eth.11", "eth.12"));
  EXPECT_THAT(listed(here), IsEmpty());
}

NETNS_TEST(Virt, ForwardingTablesOfBridgesArePerNamespace, Covers("VIRT-19", "TOOL-11"), Needs(Config("BRIDGE"), Config("VETH"))) {
  Place a, b;
  Place nested = Place::Inside(a);
  int nr = 1;
  for (Place* place : {&a, &b, &nested}) {
    AddBridge(*place, "br0", {.index = 400});
    AddDevice(*place, "port", {.index = 401});
    SETUP_OK((*place)->SetLink("port", {.master = "br0"}));
    SETUP_OK((*place)->AddForwarding({.address = "02:00:00:00:aa:0" + std::to_string(nr++), .dev = "port", .flags = NTF_MASTER}));
  }
  auto entries = [](Place& place) {
    std::vector<std::string> found;
    for (const Neighbour& entry : SETUP_OK(place->Forwardings()))
      if (entry.address.starts_with("02:00:00:00:aa:")) found.push_back(entry.address);
    std::sort(found.begin(), found.end());  // some kernels list one for each VLAN
    found.erase(std::unique(found.begin(), found.end()), found.end());
    return found;
  };
  EXPECT_THAT(entries(a), ElementsAre("02:00:00:00:aa:01"));
  EXPECT_THAT(entries(b), ElementsAre("02:00:00:00:aa:02"));
  EXPECT_THAT(entries(nested), ElementsAre("02:00:00:00:aa:03"));
  EXPECT_THAT(b->DeleteForwarding({.address = "02:00:00:00:aa:01", .dev = "port", .flags = NTF_MASTER}), Not(Succeeds()));
  SETUP_OK(nested->DeleteForwarding({.address = "02:00:00:00:aa:03", .dev = "port", .flags = NTF_MASTER}));
  EXPECT_THAT(entries(a), ElementsAre("02:00:00:00:aa:01"));
  EXPECT_THAT(entries(nested), IsEmpty());
  // brctl(8): by ioctl.
  const Fd in_b = SETUP_OK(b.ns.Socket(AF_INET, SOCK_STREAM));
  char name[IFNAMSIZ] = "byioctl";
  ASSERT_EQ(::ioctl(in_b.get(), SIOCBRADDBR, name), 0) << std::strerror(errno);
  EXPECT_TRUE(HasLink(b, "byioctl"));
  EXPECT_FALSE(HasLink(a, "byioctl") || HasLink(nested, "byioctl"));
  auto bridges = [](Place& place) {
    const Fd socket = SETUP_OK(place.ns.Socket(AF_INET, SOCK_STREAM));
    int indexes[16] = {};
    unsigned long arguments[3] = {1ul /* BRCTL_GET_BRIDGES */, reinterpret_cast<unsigned long>(indexes), 16};
    const int count = ::ioctl(socket.get(), SIOCGIFBR, arguments);
    return std::vector<int>(indexes, indexes + std::max(count, 0));
  };
  EXPECT_THAT(bridges(b), testing::UnorderedElementsAre(400, SETUP_OK(b->LinkByName("byioctl")).index));
  EXPECT_THAT(bridges(a), ElementsAre(400));
  AddDevice(a, "foreign", {.index = 777});
  AddDevice(b, "own", {.index = 778});
  ifreq request = NamedIfreq("byioctl");
  request.ifr_ifindex = 777;
  EXPECT_THAT(NETNS_IOCTL(in_b, SIOCBRADDIF, request).code(), testing::AnyOf(EINVAL, ENODEV)) << "a device of another namespace";
  request = NamedIfreq("byioctl");
  request.ifr_ifindex = 778;
  EXPECT_THAT(NETNS_IOCTL(in_b, SIOCBRADDIF, request), Succeeds()) << "control: its own";
  const Fd in_a = SETUP_OK(a.ns.Socket(AF_INET, SOCK_STREAM));
  EXPECT_EQ(::ioctl(in_a.get(), SIOCBRDELBR, name), -1);
  EXPECT_EQ(errno, ENXIO);
  EXPECT_EQ(::ioctl(in_b.get(), SIOCBRDELBR, name), 0);
}

// admin-guide/sysctl/net.rst fb_tunnels_only_for_init_net.
NETNS_TEST(Virt, TheSysctlDecidesOnFallbackTunnelsInNewNamespaces, Covers("VIRT-16"),
           Needs(Machine(), Config("NET_IPIP"), Config("IPV6_SIT")), Exclusive{}) {
  auto init = InitialNetNamespace();
  Place probe;
  for (const char* kind : {"ipip", "sit"}) {  // loads the modules
    Add(probe, "NET_IPIP", {.name = kind, .kind = kind, .data = [](Request& r) { PutAddress(r, IFLA_IPTUN_REMOTE, "192.0.2.1"); }});
    SETUP_OK(probe->DeleteLink(kind));
  }
  const std::string name = "net/core/fb_tunnels_only_for_init_net";
  const std::string before = SETUP_OK(init.Sysctl(name));
  // Each kind has code of its own that asks: gre0, gretap0, erspan0, ip6tnl0, ip6gre0, ip_vti0, ip6_vti0 where they are.
  auto fallbacks = [](Place& place) {
    std::set<std::string> found;
    for (const Link& link : SETUP_OK(place->Links()))
      if (IsFallback(link.name) && !link.name.starts_with("pim")) found.insert(link.name);
    return found;
  };
  Place initial(InitialNetNamespace());
  const auto of_initial = fallbacks(initial);
  SETUP_OK(init.SetSysctl(name, "0"));
  Place with;
  Place with_inside = Place::Inside(with);
  const auto all = fallbacks(with);
  EXPECT_THAT(all, testing::IsSupersetOf({"sit0", "tunl0"}));
  EXPECT_THAT(all, testing::IsSupersetOf(of_initial)) << "all that the initial one has";
  EXPECT_EQ(fallbacks(with_inside), all) << "one created from inside";
  Actor owner = StartNamespaceRoot("owner");
  Place owned{owner.Run([] { return NetNamespace::Current(); })};
  EXPECT_EQ(fallbacks(owned), all) << "one of another user namespace";
  for (const char* value : {"1", "2"}) {
    SETUP_OK(init.SetSysctl(name, value));
    Place without;
    Place without_inside = Place::Inside(with);
    Actor another = StartNamespaceRoot("another");
    Place another_owned{another.Run([] { return NetNamespace::Current(); })};
    for (auto [place, which] : {std::pair(&without, "a new one"), std::pair(&without_inside, "one created from inside"), std::pair(&another_owned, "one of another user namespace")})
      EXPECT_THAT(fallbacks(*place), IsEmpty()) << value << ", " << which;
    EXPECT_EQ(fallbacks(with), all) << "control: one from before keeps them";
    EXPECT_EQ(fallbacks(initial), of_initial) << "control: the initial one keeps them";
  }
  SETUP_OK(init.SetSysctl(name, before));
}

[[maybe_unused]] const bool registered = [] {
  for (auto [kind, symbol, id] : {std::tuple("vrf", "NET_VRF", "VIRT-17"), std::tuple("bond", "BONDING", "VIRT-18"),
                                  std::tuple("team", "NET_TEAM", "VIRT-18"), std::tuple("bridge", "BRIDGE", "VIRT-19")})
    RegisterBody(
        "Virt", std::string("CannotBeMoved/") + kind, __FILE__, __LINE__,
        [kind = std::string(kind), symbol] { CannotBeMoved(kind, symbol); }, Covers("DEV-28", id),
        Needs(Config("VETH"), Config(symbol)));
  return true;
}();

}  // namespace
}  // namespace netns
