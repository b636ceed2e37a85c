// SPDX-License-Identifier: GPL-2.0-or-later
// VETH, NSID, SYSFS, PROC: ends of pairs whatever else uses them, names that others have elsewhere, frames of every length, ids
// that the kernel gives when it is asked.
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <poll.h>

#include <limits>

#include "fixtures/nic.h"
#include "fixtures/sockets.h"
#include "fixtures/topology.h"
#include "suites/support/place.h"
#include "suites/support/watched.h"

namespace netns {
namespace {

using testing::Contains;
using testing::ElementsAreArray;
using testing::IsEmpty;
using testing::Not;

/// What an end is used for when its peer goes.
struct Use {
  const char* what;
  std::function<Status(Rtnl& here, const std::string& end)> begin;
};
Status Upper(Rtnl& here, const std::string& end, const char* kind, const More& data = {}) {
  return here.AddLink({.name = std::string("on") + kind, .kind = kind, .link = LinkRef(end), .data = data});
}
Status Port(Rtnl& here, const std::string& end, const char* kind, const More& data = {}) {
  RETURN_IF_ERROR(here.AddLink({.name = std::string("of") + kind, .kind = kind, .data = data}));
  if (std::string(kind) == "bond") RETURN_IF_ERROR(here.Down(end));
  return here.SetLink(end, {.master = LinkRef(std::string("of") + kind)});
}
const std::vector<Use>& Uses() {
  static const std::vector<Use> uses = {
      {"nothing", [](Rtnl&, const std::string&) { return Ok(); }},
      {"traffic", [](Rtnl& here, const std::string& end) { return here.Up(end); }},
      {"addresses and routes",
       [](Rtnl& here, const std::string& end) -> Status {
         RETURN_IF_ERROR(here.Up(end));
         RETURN_IF_ERROR(here.AddAddress("192.0.2.1/24", end));
         RETURN_IF_ERROR(here.AddNeighbour({.to = "192.0.2.9", .address = "02:00:00:00:00:09", .dev = end}));
         return here.AddRoute({.to = "198.51.100.0/24", .via = "192.0.2.9"});
       }},
      {"a bridge", [](Rtnl& here, const std::string& end) { return Port(here, end, "bridge"); }},
      {"a bridge, both up",
       [](Rtnl& here, const std::string& end) -> Status {
         RETURN_IF_ERROR(Port(here, end, "bridge"));
         RETURN_IF_ERROR(here.Up("ofbridge"));
         return here.Up(end);
       }},
      {"a bond", [](Rtnl& here, const std::string& end) { return Port(here, end, "bond"); }},
      {"a team", [](Rtnl& here, const std::string& end) { return Port(here, end, "team"); }},
      {"a VRF", [](Rtnl& here, const std::string& end) { return Port(here, end, "vrf", [](Request& r) { r.U32(1 /* IFLA_VRF_TABLE */, 77); }); }},
      {"a VLAN", [](Rtnl& here, const std::string& end) { return Upper(here, end, "vlan", [](Request& r) { r.U16(1 /* IFLA_VLAN_ID */, 7); }); }},
      {"a macvlan", [](Rtnl& here, const std::string& end) { return Upper(here, end, "macvlan"); }},
      {"an ipvlan", [](Rtnl& here, const std::string& end) { return Upper(here, end, "ipvlan"); }},
      {"queueing disciplines",
       [](Rtnl& here, const std::string& end) -> Status {
         RETURN_IF_ERROR(here.AddQdisc(end, "pfifo"));
         return here.AddQdisc(end, "ingress", 0xFFFFFFF1u);
       }},
      {"other names, an alias, a group",
       [](Rtnl& here, const std::string& end) -> Status {
         RETURN_IF_ERROR(here.AddAltname(end, "another-name"));
         return here.SetLink(end, {.alias = "alias", .group = 4});
       }},
      {"promiscuous mode", [](Rtnl& here, const std::string& end) { return here.SetLink(end, {.promiscuous = true, .all_multicast = true}); }},
  };
  return uses;
}

// veth(4): "if one end is destroyed, the other is too", by the end of its namespace as by request, whatever it is used for.
NETNS_TEST(Veth, AnEndGoesWithItsPeerWhateverItIsUsedFor, Covers("VETH-10", "VETH-08", "VETH-14", "LIFE-01"), Needs(Config("VETH"), UserNs()), Within{std::chrono::seconds(90)}) {
  for (const Use& use : Uses()) {
    SCOPED_TRACE(std::string("an end that is used for ") + use.what);
    Watched watched;
    Rtnl& here = watched.here();
    NetNamespace dying = watched.Create("outside");
    const auto names = [&] {
      std::set<std::string> all;
      for (const Link& link : SETUP_OK(here.Links()))
        if (!IsFallback(link.name)) all.insert(link.name);
      return all;
    };
    const Status used = use.begin(here, "outside");
    if (used.code() == EOPNOTSUPP || used.code() == ENOENT) {
      // Not in this kernel.
    } else {
      SETUP_OK(used);
      EXPECT_TRUE(watched.Present("outside")) << "control: it is there while its peer is";
      (void)dying.Release();
      EXPECT_OK(watched.UntilGone("the end to go with the namespace of its peer", "outside"));
      // What stood on it went along; what it was a port of stays.
      for (const std::string& name : names()) {
        EXPECT_FALSE(name.starts_with("on")) << name << " stands on nothing";
        if (name.starts_with("of")) SETUP_OK(here.DeleteLink(name));
      }
      // By request, of another pair used in the same way.
      Place there;
      SETUP_OK(here.AddVeth("outside", PeerSpec{.name = "inside", .netns_fd = there.fd()}));
      SETUP_OK(use.begin(here, "outside"));
      EXPECT_OK(there->DeleteLink("inside"));
      EXPECT_THAT(here.LinkByName("outside"), FailsWith(ENODEV)) << "it stayed when its peer was deleted";
    }
    for (const std::string& name : names())
      if (name.starts_with("of") || name.starts_with("on") || name == "outside") (void)here.DeleteLink(name).ok();
  }
}

// network_namespaces(7): names of devices are a namespace's own: what others have elsewhere, the peer or a device above or below
// included, is free here.
NETNS_TEST(Veth, ANameThatIsUsedElsewhereIsFreeHere, Covers("VETH-17", "DEV-05", "DEV-44", "DEV-07"), Needs(Config("VETH"))) {
  Place a, b;
  SETUP_OK(a->AddVeth("west", PeerSpec{.name = "east", .netns_fd = b.fd()}));
  SETUP_OK(b->AddAltname("east", "east-also"));
  SETUP_OK(b->SetLink("east", {.alias = "eastalias"}));
  AddDevice(b, "other");
  struct Above {
    const char* kind;
    More data;
  } above[] = {{"vlan", [](Request& r) { r.U16(1 /* IFLA_VLAN_ID */, 7); }}, {"macvlan", {}}};
  for (const auto& [kind, data] : above)  // made here, moved there: it stands on a device of another namespace
    if (a->AddLink({.name = std::string("on") + kind, .kind = kind, .link = LinkRef("west"), .data = data}).ok()) SETUP_OK(a->MoveLink(std::string("on") + kind, b.ref()));
  std::string now = "west";
  for (const std::string& name : {std::string("east"), std::string("other"), std::string("eastalias"), std::string("onvlan"), std::string("onmacvlan"), std::string("east-also"), std::string("west")}) {
    SCOPED_TRACE("renamed to " + name);
    if (name == "east-also") {
      EXPECT_OK(a->AddAltname(now, name)) << "as another name";
      SETUP_OK(a->DeleteAltname(now, name));
    }
    EXPECT_OK(a->Rename(now, name)) << "no device of this namespace has that name";
    const auto renamed = a->LinkByName(name);
    ASSERT_OK(renamed);
    now = name;
    EXPECT_THAT(b->LinkByName("east"), Holds(testing::Field(&Link::name, "east"))) << "the peer";
    // The other way round: the peer takes the name that this end has.
    if (b->LinkByName(name).ok()) continue;  // taken there by a device of its own
    EXPECT_OK(b->Rename("east", name));
    SETUP_OK(b->Rename(name, "east"));
  }
  // Inside one namespace they are not free.
  SETUP_OK(b->AddVeth("one", PeerSpec{.name = "two"}));
  EXPECT_THAT(b->Rename("one", "two"), FailsWith(EEXIST)) << "control: its peer beside it";
  EXPECT_THAT(b->Rename("one", "east"), FailsWith(EEXIST)) << "control";
  SETUP_OK(b->AddVeth("three", PeerSpec{.name = "east", .netns_fd = a.fd()}));
  EXPECT_OK(b->MoveLink("two", a.ref())) << "control: to where its name is free";
}

// veth(4): what is sent on one end is received on the other, as it was sent.
NETNS_TEST(Veth, FramesOfEveryLengthArriveAsTheyWereSent, Covers("VETH-21", "VETH-20", "VETH-06"), Needs(Config("VETH"), Config("PACKET"))) {
  constexpr std::uint16_t kOurs = 0x88b5;
  Place a, b;
  for (Place* other : {&b, &a}) {
    const std::string west = other == &b ? "west" : "west2", east = other == &b ? "east" : "east2";
    SCOPED_TRACE(other == &b ? "between two namespaces" : "control: inside one");
    SETUP_OK(a->AddVeth(west, PeerSpec{.name = east, .netns_fd = other->fd()}));
    SETUP_OK(a->Up(west));
    SETUP_OK((*other)->Up(east));
    SETUP_OK(WaitUntilUp(a.ns, west));
    SETUP_OK(WaitUntilUp(other->ns, east));
    for (bool back : {false, true}) {
      Place& from = back ? *other : a;
      Place& to = back ? a : *other;
      const Fd sender = SETUP_OK(PacketSocket(from.ns, SETUP_OK(from->LinkByName(back ? east : west)).index, kOurs));
      const Fd receiver = SETUP_OK(PacketSocket(to.ns, SETUP_OK(to->LinkByName(back ? west : east)).index, kOurs));
      for (std::size_t size : {15, 16, 17, 20, 42, 46, 59, 60, 61, 64, 128, 300, 1000, 1513, 1514}) {
        std::string frame(size, '\0');
        for (std::size_t i = 0; i < size; ++i) frame[i] = static_cast<char>(i * 7 + size);
        frame.replace(0, 14, std::string("\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x07\x88\xb5", 14));
        ASSERT_EQ(::send(sender.get(), frame.data(), size, 0), static_cast<ssize_t>(size)) << ErrnoName(errno);
        SETUP_OK(WaitFor(receiver.get(), POLLIN, Deadline::OfTest(), "a frame of " + std::to_string(size) + " bytes"));
        std::string got(4096, '\0');
        const ssize_t n = ::recv(receiver.get(), got.data(), got.size(), 0);
        got.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
        EXPECT_EQ(got.size(), size) << "its length changed on the way";
        EXPECT_TRUE(got == frame) << "a frame of " << size << " bytes arrived with others";
      }
    }
  }
}

// RTM_GETLINK answers with the id of the peer's namespace; where it has none yet, the kernel gives it one (rtnetlink.c,
// rtnl_fill_link_netnsid(), peernet2id_alloc()), whichever way it is asked.
NETNS_TEST(Nsid, EachQuestionForALinkGivesThePeersNamespaceAnId, Covers("NSID-09", "VETH-16"), Needs(Config("VETH"))) {
  struct {
    const char* what;
    std::function<Result<Link>(Rtnl&)> ask;
  } ways[] = {
      {"RTM_GETLINK by name", [](Rtnl& rtnl) { return rtnl.LinkByName("east"); }},
      {"RTM_GETLINK by index", [](Rtnl& rtnl) { return rtnl.LinkByIndex(77); }},
      {"a dump", [](Rtnl& rtnl) -> Result<Link> {
         ASSIGN_OR_RETURN(const auto links, rtnl.Links());
         for (const Link& link : links)
           if (link.name == "east") return link;
         return Error{ENODEV, "the dump has it not"};
       }},
      {"a dump of one kind", [](Rtnl& rtnl) -> Result<Link> {
         ASSIGN_OR_RETURN(const auto links, rtnl.Links({.kind = "veth"}));
         for (const Link& link : links)
           if (link.name == "east") return link;
         return Error{ENODEV, "the dump has it not"};
       }},
  };
  int without = 0;
  for (const auto& [what, ask] : ways)
    for (bool third : {true, false}) {
      SCOPED_TRACE(std::string(what) + (third ? ", of a pair made from a third namespace" : ", of a pair made from the other"));
      Place a, b, c;
      Place& maker = third ? c : a;
      SETUP_OK(maker->AddVeth("west", PeerSpec{.name = "east", .index = 77, .netns_fd = b.fd()}, {.index = 78, .netns_fd = a.fd()}));
      without += SETUP_OK(b->GetNsid(a.ref())).nsid == -1;
      ASSERT_OK_AND_ASSIGN(const Link east, ask(b.rtnl));
      ASSERT_TRUE(east.link_netnsid.has_value()) << "IFLA_LINK_NETNSID is missing";
      EXPECT_EQ(SETUP_OK(b->GetNsid(a.ref())).nsid, *east.link_netnsid) << "the id that it has here";
      EXPECT_EQ(east.link, std::optional(78));
      EXPECT_OK(b->GetLink(78, *east.link_netnsid)) << "by which the peer is found";
      EXPECT_EQ(SETUP_OK(b->LinkByName("east")).link_netnsid, east.link_netnsid) << "asked once more";
      SETUP_OK(b->AddVeth("one", PeerSpec{.name = "two"}));
      EXPECT_FALSE(SETUP_OK(b->LinkByName("one")).link_netnsid.has_value()) << "control: a pair inside of one namespace";
    }
  RecordProperty("asked_where_no_id_was", without);
  EXPECT_GT(without, 0) << "control: there was none before the question";
}

// ip-netns(8): ids of here and of the target are numbers of their own, 0 like any other.
NETNS_TEST(Nsid, IdsAreTranslatedWhateverTheyAre, Covers("NSID-07", "NSID-08", "NSID-01", "NSID-05")) {
  constexpr int kMost = std::numeric_limits<int>::max() - 1;  // the very last number makes Linux 7.2 complain (idr_get_next())
  for (int here_id : {0, 1, 77, kMost})
    for (int there_id : {0, 1, 77, kMost})
      for (int target_id : {0, 1, 78}) {
        if (target_id == here_id) continue;
        SCOPED_TRACE("the peer is " + std::to_string(here_id) + " here and " + std::to_string(there_id) + " in the target, which is " + std::to_string(target_id));
        Place here, target, peer;
        SETUP_OK(here->NewNsid(target.ref(), target_id));
        SETUP_OK(here->NewNsid(peer.ref(), here_id));
        SETUP_OK(target->NewNsid(peer.ref(), there_id));
        for (const NsRef& ref : {peer.ref(), ByNsid(here_id)}) {
          ASSERT_OK_AND_ASSIGN(const NsidEntry plain, here->GetNsid(ref));
          EXPECT_EQ(plain.nsid, here_id) << ref.ToString();
          EXPECT_FALSE(plain.current_nsid.has_value()) << "control: without a target there is one id";
          ASSERT_OK_AND_ASSIGN(const NsidEntry both, here->GetNsid(ref, target_id));
          EXPECT_EQ(both.nsid, there_id) << ref.ToString() << ": the id in the target";
          EXPECT_THAT(both.current_nsid, testing::Optional(here_id)) << ref.ToString() << ": NETNSA_CURRENT_NSID, the id here";
        }
        std::map<int, std::optional<int>> listed, plain;
        for (const NsidEntry& entry : SETUP_OK(here->Nsids(target_id))) listed[entry.nsid] = entry.current_nsid;
        EXPECT_EQ(listed, (std::map<int, std::optional<int>>{{there_id, here_id}})) << "the dump of the target";
        for (const NsidEntry& entry : SETUP_OK(here->Nsids())) plain[entry.nsid] = entry.current_nsid;
        EXPECT_EQ(plain, (std::map<int, std::optional<int>>{{here_id, std::nullopt}, {target_id, std::nullopt}})) << "control: the dump of here";
      }
}

// ------------------------------------------------------------------------------------------------ new names everywhere

/// Renames a device in every way, and looks where devices are listed.
void GoesByItsNewNameEverywhere(Place& place, Place& other, const std::string& prefix) {
  const std::string first = prefix + "a", second = prefix + "b", third = prefix + "c";
  const int index = AddDevice(place, first);
  std::vector<std::string> former;
  const auto expect = [&](Place& at, const std::string& name, const std::string& how) {
    const int now = SETUP_OK(at->LinkByName(name)).index;
    EXPECT_THAT(Seen(at, name, now), ElementsAreArray(EveryWay())) << how << ": its name is missing in some";
    for (const std::string& old : former)
      if (old != name) {
        EXPECT_THAT(Seen(at, old), IsEmpty()) << how << ": its former name " << old << " is still in these";
      }
    former.push_back(name);
  };
  expect(place, first, "control: made");
  SETUP_OK(place->Rename(first, second));
  expect(place, second, "renamed by RTM_SETLINK");
  SETUP_OK(RenameByIoctl(SETUP_OK(place.ns.Socket(AF_INET, SOCK_DGRAM)), second, third));
  expect(place, third, "renamed by SIOCSIFNAME");
  SETUP_OK(place->Rename(third, first));
  expect(place, first, "renamed to what it was called first");
  SETUP_OK(place->SetLink(index, {.name = prefix + "%d"}));
  expect(place, SETUP_OK(place->LinkByIndex(index)).name, "renamed by a pattern");
  SETUP_OK(place->Rename(index, first));
  expect(place, first, "renamed again");
  SETUP_OK(place->MoveLink(first, other.ref()));
  for (const std::string& old : former) EXPECT_THAT(Seen(place, old), IsEmpty()) << "moved away: a name that it had is still there";
  expect(other, first, "moved");
  SETUP_OK(other->Rename(first, second));
  expect(other, second, "moved and renamed");
  SETUP_OK(other->MoveLink(SETUP_OK(other->LinkByName(second)).index, place.ref(), {.new_name = third}));
  expect(place, third, "moved with a new name");
  for (const std::string& old : former) EXPECT_THAT(Seen(other, old), IsEmpty()) << "moved back: a name that it had is still there";
  SETUP_OK(place->Rename(third, second));
  expect(place, second, "moved with a new name and renamed");
  SETUP_OK(place->Up(second));
  if (place->Rename(second, first).ok()) expect(place, first, "renamed while it is up (since Linux 6.3)");
  const std::string last = former.back();
  SETUP_OK(place->DeleteLink(last));
  for (const std::string& old : former) EXPECT_THAT(Seen(place, old), IsEmpty()) << "deleted: a name that it had is still there";
  // Two that change their names.
  AddDevice(place, first);
  AddDevice(place, second);
  SETUP_OK(place->Rename(first, third));
  SETUP_OK(place->Rename(second, first));
  SETUP_OK(place->Rename(third, second));
  EXPECT_THAT(Seen(place, first, SETUP_OK(place->LinkByName(first)).index), ElementsAreArray(EveryWay())) << "exchanged with another";
  EXPECT_THAT(Seen(place, second, SETUP_OK(place->LinkByName(second)).index), ElementsAreArray(EveryWay())) << "exchanged with another";
  for (const std::string& name : {first, second}) SETUP_OK(place->DeleteLink(name));
}

// netdevice(7), SIOCSIFNAME; ip-link(8), name: a device goes by its name, in sysfs and /proc/sys as by netlink.
NETNS_TEST(Dev, ADeviceGoesByItsNewNameEverywhere, Covers("DEV-04", "DEV-44", "SYSFS-01", "SYSFS-06", "SYSCTL-11"), Needs(Config("VETH")), Within{std::chrono::seconds(60)}) {
  Place a, b;
  GoesByItsNewNameEverywhere(a, b, "name");
}
NETNS_TEST(Dev, ADeviceOfTheInitialNamespaceGoesByItsNewNameEverywhere, Covers("DEV-04", "DEV-44", "SYSFS-01", "SYSCTL-11"), Needs(Machine(), Config("VETH")), Exclusive{},
           Within{std::chrono::seconds(60)}) {
  Place initial(InitialNetNamespace()), other;
  GoesByItsNewNameEverywhere(initial, other, "nsconf");
}

}  // namespace
}  // namespace netns
