// SPDX-License-Identifier: GPL-2.0-or-later
// SYSFS and MISC: devices that belong together across namespaces, and other numbers by which devices are known.
#include <arpa/inet.h>
#include <netinet/in.h>

#include <filesystem>
#include <map>

#include "suites/support/generic.h"
#include "suites/support/place.h"
#include "suites/support/uppers.h"

namespace netns {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

/// By device, the links to those that it stands on (lower_*) and that stand on it (upper_*), in the namespace's sysfs.
std::map<std::string, std::vector<std::string>> Adjacency(const Place& place) {
  std::map<std::string, std::vector<std::string>> all;
  place.ns.InWithSysfs([&] {
    for (const auto& device : std::filesystem::directory_iterator("/sys/class/net")) {
      if (!device.is_symlink()) continue;
      std::vector<std::string>& links = all[device.path().filename()];
      for (const auto& entry : std::filesystem::directory_iterator(device.path()))
        if (const std::string name = entry.path().filename(); name.starts_with("lower_") || name.starts_with("upper_"))
          links.push_back(name + (std::filesystem::exists(entry.path() / "ifindex") ? "" : " to nowhere"));
      std::sort(links.begin(), links.end());
    }
  });
  return all;
}
std::vector<std::string> Adjacent(const Place& place, const std::string& device) {
  const auto all = Adjacency(place);
  if (!all.contains(device)) throw SetupFailure("no " + device + " in /sys/class/net", std::source_location::current());
  return all.at(device);
}

// sysfs(5): /sys/class/net has the devices of a namespace; so what a device refers to is there as well.
NETNS_TEST(Sysfs, DevicesOfOtherNamespacesAreNotReferredTo, Covers("SYSFS-05", "SYSFS-06", "DEV-44"), Needs(Config("VETH"), Config("MACVLAN"))) {
  Place here, there;
  const int lower = AddDevice(here, "eth0");
  for (const char* name : {"stays", "goes"}) {
    const Status added = here->AddLink({.name = name, .kind = "macvlan", .link = lower, .data = [](Request& data) { data.U32(1 /* IFLA_MACVLAN_MODE */, 4); }});
    RequireBuiltIn(added, "MACVLAN");
    SETUP_OK(Status(added));
  }
  EXPECT_THAT(Adjacent(here, "eth0"), ElementsAre("upper_goes", "upper_stays")) << "control";
  EXPECT_THAT(Adjacent(here, "goes"), ElementsAre("lower_eth0")) << "control";
  SETUP_OK(here->MoveLink("goes", there.ref()));
  EXPECT_THAT(Adjacent(here, "eth0"), ElementsAre("upper_stays")) << "sysfs refers to a device of another namespace";
  EXPECT_THAT(Adjacent(there, "goes"), IsEmpty()) << "sysfs refers to a device of another namespace";
  // A new name is told to those of the namespace.
  SETUP_OK(here->Rename("eth0", "wan0"));
  EXPECT_THAT(Adjacent(here, "stays"), ElementsAre("lower_wan0")) << "control: renamed";
  EXPECT_THAT(Adjacent(here, "wan0"), ElementsAre("upper_stays"));
  EXPECT_THAT(Adjacent(there, "goes"), IsEmpty()) << "sysfs refers to a device of another namespace, since that was renamed";
  SETUP_OK(there->Rename("goes", "gone"));
  EXPECT_THAT(Adjacent(here, "wan0"), ElementsAre("upper_stays")) << "sysfs refers to a device of another namespace, since that was renamed";
  EXPECT_THAT(Adjacent(there, "gone"), IsEmpty());
  SETUP_OK(there->MoveLink("gone", here.ref()));
  EXPECT_THAT(Adjacent(here, "wan0"), UnorderedElementsAre("upper_gone", "upper_stays")) << "control: back in the same namespace";
  EXPECT_THAT(Adjacent(here, "gone"), ElementsAre("lower_wan0")) << "control: back in the same namespace";
}

/// Devices that stand on one another, and where each of them is.
class Stack {
 public:
  void Add(Place& place, const std::string& role, const std::string& on = "") { devices_[role] = {&place, role, on}; }
  Place& PlaceOf(const std::string& role) { return *devices_.at(role).place; }
  bool Has(const std::string& role) const { return devices_.contains(role); }
  void Move(const std::string& role, Place& to, const std::string& new_name = "") {
    Device& device = devices_.at(role);
    SETUP_OK((*device.place)->MoveLink(device.name, to.ref(), {.new_name = new_name}));
    device.place = &to;
    if (!new_name.empty()) device.name = new_name;
  }
  /// Each has links to those that it stands on, and that stand on it, in its namespace; and no others.
  void ExpectLinks(const std::string& when) {
    SCOPED_TRACE(when);
    std::map<Place*, std::map<std::string, std::vector<std::string>>> seen, expected;
    for (const auto& [role, device] : devices_) {
      auto& mine = expected[device.place][device.name];
      for (const auto& [other_role, other] : devices_) {
        if (other.place != device.place) continue;
        if (other.on == role) mine.push_back("upper_" + other.name);
        if (device.on == other_role) mine.push_back("lower_" + other.name);
      }
      std::sort(mine.begin(), mine.end());
    }
    for (const auto& [place, links] : expected) {
      const auto all = Adjacency(*place);
      for (const auto& [name, mine] : links) seen[place][name] = all.contains(name) ? all.at(name) : std::vector<std::string>{"no such device"};
      EXPECT_EQ(seen[place], links) << "the links between devices in their sysfs";
    }
  }

 private:
  struct Device {
    Place* place;
    std::string name, on;
  };
  std::map<std::string, Device> devices_;
};

// net/core/dev.c netdev_adjacent_add_links(), netdev_adjacent_del_links(): whichever of them comes last brings the links of both.
void LinksAreWhereBothDevicesAre(const UpperKind& kind) {
  Place a, b;
  Stack stack;
  const int lower = AddDevice(a, "lower");
  stack.Add(a, "lower");
  for (const auto& [name, nr] : {std::pair("one", 0), std::pair("two", 1)}) {
    const int index = AddUpper(a, kind, name, lower, nr);
    stack.Add(a, name, "lower");
    // Something on top of one of them, where it bears something.
    if (nr == 0 && a->AddLink({.name = "top", .kind = "vlan", .link = index, .data = [](Request& r) { r.U16(IFLA_VLAN_ID, 99); }}).ok()) stack.Add(a, "top", "one");
  }
  stack.ExpectLinks("control: where they were made");
  stack.Move("one", b);
  stack.ExpectLinks("one of two devices on top has left");
  stack.Move("lower", b);
  stack.ExpectLinks("the device below has followed it");
  if (stack.Has("top")) {
    stack.Move("top", b);
    stack.ExpectLinks("what stands on that has followed, too");
  }
  stack.Move("two", b, "second");
  stack.ExpectLinks("all have, the last under a new name");
  stack.Move("lower", a, "below");
  stack.ExpectLinks("the device below has gone back, under a new name");
  stack.Move("one", a);
  stack.ExpectLinks("one of two devices on top has followed it");
  SETUP_OK(a->Rename("below", "taken"));
  SETUP_OK(a->Rename("taken", "below"));
  stack.ExpectLinks("it had another name for a while");
  stack.Move("two", a, "taken");
  stack.ExpectLinks("both have");
}
// A device that comes to where its name is taken has another one from the beginning.
void LinksHaveTheNamesThatAMoveGave(const UpperKind& kind) {
  Place a, b;
  Stack stack;
  const int lower = AddDevice(a, "lower");
  stack.Add(a, "lower");
  for (const auto& [name, nr] : {std::pair("one", 0), std::pair("two", 1)}) {
    AddUpper(a, kind, name, lower, nr);
    stack.Add(a, name, "lower");
  }
  for (const char* name : {"lower", "one"}) AddDevice(b, name);
  stack.ExpectLinks("control: where they were made");
  stack.Move("one", b, "first");
  stack.ExpectLinks("one on top has moved to where its name is taken");
  stack.Move("lower", b, "below");
  stack.ExpectLinks("the device below has moved to where its name is taken");
  stack.Move("two", b);
  stack.ExpectLinks("the other one has followed, under its name");
}
[[maybe_unused]] const bool uppers = [] {
  for (const UpperKind& kind : UpperKinds()) {
    if (!OutlivesAMoveBelow(kind)) continue;
    const Covers covers("SYSFS-06", "SYSFS-05");
    const Needs needs(Config("VETH"), Config(kind.symbol));
    RegisterBody("Sysfs", std::string("LinksAreWhereBothDevicesAre/") + kind.name, __FILE__, __LINE__, [&kind] { LinksAreWhereBothDevicesAre(kind); }, covers, needs);
    RegisterBody("Sysfs", std::string("LinksHaveTheNamesThatAMoveGave/") + kind.name, __FILE__, __LINE__, [&kind] { LinksHaveTheNamesThatAMoveGave(kind); }, covers, needs);
  }
  return true;
}();

// netlink/specs/netdev.yaml, napi-get: an instance is known by an id of the machine; it is told in the namespace of its device.
NETNS_TEST(Misc, NapiInstancesAreToldInTheNamespaceOfTheirDevice, Covers("MISC-08"), Needs(Config("VETH"))) {
  constexpr std::uint8_t kNapiGet = 11;                       // NETDEV_CMD_NAPI_GET
  constexpr std::uint16_t kNapiIfindex = 1, kNapiId = 2;      // NETDEV_A_NAPI_*
  Place here, there;
  Place nested = Place::Inside(here);
  struct Asker {
    explicit Asker(const Place& place) : socket(SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(place.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC))))) {
      auto found = socket.ResolveFamily("netdev");
      if (found.code() == ENOENT) throw MissingNeed("needs-feature:netdev-genl", "there is no generic netlink family 'netdev' (before 6.3)", "", LinuxVersion{6, 3});
      id = SETUP_OK(std::move(found)).id;
    }
    Request Make(const char* what) const {
      Request request(id);
      request.Named(what).Header(genlmsghdr{.cmd = kNapiGet, .version = 1});
      return request;
    }
    NetlinkSocket socket;
    std::uint16_t id = 0;
  };
  const auto instances = [](Asker& asker) -> Result<std::map<std::uint32_t, std::uint32_t>> {
    ASSIGN_OR_RETURN(const auto messages, asker.socket.Dump(asker.Make("list the NAPI instances")));
    std::map<std::uint32_t, std::uint32_t> devices;  // by id
    for (const Message& message : messages) {
      const Attributes attributes = message.AttributesAfter<genlmsghdr>();
      devices[attributes.U32(kNapiId).value_or(0)] = attributes.U32(kNapiIfindex).value_or(0);
    }
    return devices;
  };
  const auto get = [](Asker& asker, std::uint32_t id) { return asker.socket.Get(asker.Make("get a NAPI instance").U32(kNapiId, id)); };
  Asker asks_here(here), asks_there(there), asks_nested(nested);
  // With receive offload a veth device has instances while it is up.
  for (Place* place : {&here, &there}) {
    AddDevice(*place, "eth0", {.index = 4001});
    const Fd socket = SETUP_OK(place->ns.Socket(AF_INET, SOCK_DGRAM));
    ethtool_value value{ETHTOOL_SGRO, 1};
    ifreq request = NamedIfreq("eth0");
    request.ifr_data = reinterpret_cast<char*>(&value);
    SETUP_OK(NETNS_IOCTL(socket, SIOCETHTOOL, request));
    SETUP_OK((*place)->Up("eth0"));
  }
  const auto first = instances(asks_here);
  if (first.code() == EOPNOTSUPP) throw MissingNeed("needs-feature:netdev-napi-get", "generic netlink 'netdev' tells of no NAPI instances (before 6.8)", "", LinuxVersion{6, 8});
  ASSERT_OK(first);
  const auto second = SETUP_OK(instances(asks_there));
  ASSERT_THAT(*first, Not(IsEmpty())) << "control: the device has instances";
  ASSERT_THAT(second, Not(IsEmpty())) << "control: the device has instances";
  EXPECT_THAT(instances(asks_nested), Holds(IsEmpty())) << "instances of another namespace are listed";
  for (const auto& [own, other, mine, theirs, name] : {std::tuple{&asks_here, &asks_there, *first, second, "the older namespace"}, {&asks_there, &asks_here, second, *first, "the younger namespace"}}) {
    SCOPED_TRACE(name);
    for (const auto& [id, device] : mine) {
      EXPECT_EQ(device, 4001u) << "a device that the namespace has not";
      EXPECT_FALSE(theirs.contains(id)) << "one instance is listed in two namespaces";
      EXPECT_OK(get(*own, id)) << "control";
      EXPECT_THAT(get(*other, id), FailsWith(ENOENT)) << "netdev.yaml, napi-get: an instance of a device of another namespace was told";
      EXPECT_THAT(get(asks_nested, id), FailsWith(ENOENT)) << "netdev.yaml, napi-get: an instance of a device of another namespace was told";
    }
  }
}

// proc_pid_net(5), dev_mcast and igmp: the groups of each device of the namespace, which other namespaces may have under the same name.
NETNS_TEST(Proc, DevicesOfEqualNamesListTheirOwnGroups, Covers("PROC-20", "STACK-18"), Needs(Config("PROC_FS"), Config("VETH"), Config("IP_MULTICAST"))) {
  struct Member {
    Place place;
    std::string group, group6, mac, mac6, in_igmp, in_igmp6;
    std::vector<Fd> sockets;
  };
  std::vector<Member> members;
  members.push_back({{}, "239.7.7.1", "ff05::7:1", "01005e070701", "333300070001", "010707EF", "ff050000000000000000000000070001", {}});
  members.push_back({{}, "239.7.7.2", "ff05::7:2", "01005e070702", "333300070002", "020707EF", "ff050000000000000000000000070002", {}});
  for (Member& member : members) {
    Status added = member.place->AddVeth("same", PeerSpec{.name = "other"});
    RequireBuiltIn(added, "VETH");
    SETUP_OK(std::move(added));
    SETUP_OK(member.place->Up("same"));
    const int index = SETUP_OK(member.place->LinkByName("same")).index;
    member.sockets.push_back(SETUP_OK(member.place.ns.Socket(AF_INET, SOCK_DGRAM)));
    ip_mreqn join{};
    ::inet_pton(AF_INET, member.group.c_str(), &join.imr_multiaddr);
    join.imr_ifindex = index;
    if (::setsockopt(member.sockets.back().get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &join, sizeof join) < 0) SETUP_OK(Status(ErrnoError("IP_ADD_MEMBERSHIP")));
    if (!HasIpv6()) continue;
    member.sockets.push_back(SETUP_OK(member.place.ns.Socket(AF_INET6, SOCK_DGRAM)));
    ipv6_mreq join6{};
    ::inet_pton(AF_INET6, member.group6.c_str(), &join6.ipv6mr_multiaddr);
    join6.ipv6mr_interface = static_cast<unsigned>(index);
    if (::setsockopt(member.sockets.back().get(), IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &join6, sizeof join6) < 0) SETUP_OK(Status(ErrnoError("IPV6_ADD_MEMBERSHIP")));
  }
  for (std::size_t i : {0u, 1u}) {
    const Member &own = members[i], &other = members[1 - i];
    SCOPED_TRACE(i == 0 ? "the namespace created first" : "the namespace created second");
    const auto expect = [&](const char* file, const std::string& mine, const std::string& theirs) {
      const std::string text = SETUP_OK(own.place.ns.ReadProcNet(file));
      EXPECT_THAT(text, HasSubstr(mine)) << "control: the group of its own device is in /proc/net/" << file;
      EXPECT_THAT(text, Not(HasSubstr(theirs))) << "/proc/net/" << file << " has the group of the device of the same name in another namespace";
    };
    expect("dev_mcast", own.mac, other.mac);
    expect("igmp", own.in_igmp, other.in_igmp);
    if (!HasIpv6()) continue;
    expect("dev_mcast", own.mac6, other.mac6);
    expect("igmp6", own.in_igmp6, other.in_igmp6);
  }
}

}  // namespace
}  // namespace netns
