// SPDX-License-Identifier: GPL-2.0-or-later
// DEV: what one request for a device may ask for at once, and what a refusal says.
#include "suites/support/place.h"

#include <fcntl.h>

#include "fixtures/link_monitor.h"
#include "fixtures/nic.h"
#include "suites/support/listener.h"
#include "suites/support/tun.h"
#include "suites/support/uppers.h"
#include "suites/support/watched.h"

// The kernel's headers after the C library's: in this order they go together.
#include <linux/if_link.h>
#include <linux/if_tun.h>

namespace netns {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

bool HeedsNewIfindex() {
  Place a, b;
  AddDevice(a, "west", {.index = 40});
  SETUP_OK(a->MoveLink("west", b.ref(), {.new_ifindex = 500}));
  return b->LinkByIndex(500).ok();
}

// rt-link.yaml: net-ns-fd, net-ns-pid, target-netnsid, ifname and new-ifindex are attributes of one request, in any combination.
NETNS_TEST(Dev, AMoveHeedsAllThatItIsAskedForAtOnce, Covers("DEV-10", "DEV-11", "DEV-15", "DEV-17", "DEV-19", "DEV-22", "DEV-30", "NLK-09"),
           Needs(Config("VETH"), Feature("new-ifindex", "IFLA_NEW_IFINDEX of a request is ignored (before 5.13)", HeedsNewIfindex, LinuxVersion{5, 13}))) {
  for (const char* way : {"descriptor", "pid", "nsid"})
    for (const char* name : {"", "plain", "pattern%d"})
      for (int index : {0, 700})
        for (bool clash : {false, true}) {
          if (clash && *name == '\0') continue;  // a clash without a new name is a refusal
          if (*way != 'd' && (std::string(name) != "plain" || index == 0)) continue;  // all of it once is enough of the others
          SCOPED_TRACE(std::string("by ") + way + (*name ? std::string(", new name ") + name : "") + (index ? ", new index" : "") +
                       (clash ? ", its own name and index taken in the target" : ""));
          Place a, b;
          Actor member = b.ns.StartActor("member");
          AddDevice(a, "west", {.index = 40});
          SETUP_OK(a->AddAltname("west", "alt1"));
          SETUP_OK(a->AddAltname("west", "alt2"));
          SETUP_OK(a->SetLink("west", {.alias = "of the west", .txqlen = 77, .group = 9}));
          if (clash) AddDevice(b, "west", {.index = 40});
          SETUP_OK(a->NewNsid(b.ref(), 12));
          Listener in_a(a), in_b(b);
          MoveOptions options;
          options.new_name = name;
          if (index) options.new_ifindex = index;
          ASSERT_OK(a->MoveLink(40, std::string(way) == "pid" ? ByPid(member.pid()) : std::string(way) == "nsid" ? ByNsid(12) : b.ref(), options));
          std::string expected = *name == '\0' ? "west" : name;
          // Which number a pattern gives is nobody's promise: the kernel may count twice, once for the move.
          if (expected.ends_with("%d")) expected = b->LinkByName("pattern0").ok() ? "pattern0" : "pattern1";
          const auto moved = b->LinkByName(expected);
          ASSERT_OK(moved);
          if (index || !clash) {
            EXPECT_EQ(moved->index, index ? index : 40);
          } else {
            EXPECT_NE(moved->index, 40) << "that index is another device's";
          }
          EXPECT_THAT(moved->altnames, ElementsAre("alt1", "alt2"));
          EXPECT_EQ(moved->alias, "of the west");
          EXPECT_EQ(moved->txqlen, 77u);
          EXPECT_EQ(moved->group, 9u);
          EXPECT_THAT(LinkNames(a), ElementsAre("lo"));
          // Told on both sides, with the index that it has got.
          const auto left = in_a.Heard(), came = in_b.Heard();
          int removed = 0, added = 0;
          for (const Message& message : left)
            if (message.type() == RTM_DELLINK && ReadLink(message).index == 40) {
              ++removed;
              EXPECT_EQ(ReadLink(message).new_ifindex, std::optional(moved->index));
              EXPECT_EQ(ReadLink(message).new_netnsid, std::optional(12));
            }
          for (const Message& message : came)
            if (message.type() == RTM_NEWLINK && ReadLink(message).index == moved->index && ReadLink(message).name == expected) ++added;
          EXPECT_EQ(removed, 1) << "the source heard:" << Tell(left);
          EXPECT_GE(added, 1) << "the target heard:" << Tell(came);
        }
}

/// Whether the kernel says in words why it will not move a device (NLMSGERR_ATTR_MSG): of loopback, as good an example as any.
bool ExplainsRefusedMoves() {
  Place a, b;
  const Status refused = a->MoveLink("lo", b.ref());
  return !refused.ok() && !refused.error().kernel_says.empty();
}

// netlink(7), NETLINK_EXT_ACK: where a kernel explains refused moves it explains each of them.
NETNS_TEST(Dev, ARefusedMoveIsExplained, Covers("NLK-15"),
           Needs(Config("VETH"), Config("BRIDGE"), Feature("move-extack", "the kernel gives no words for a refused move", ExplainsRefusedMoves))) {
  Place a, b;
  AddDevice(a, "west", {.index = 40});
  AddDevice(a, "south", {.index = 41});
  AddBridge(a, "hub");
  SETUP_OK(a->AddAltname("south", "alt1"));
  AddDevice(b, "west", {.index = 50});
  SETUP_OK(b->AddAltname("west", "alt1"));
  auto explained = [](const Status& refused, const char* what) {
    ASSERT_FALSE(refused.ok()) << what;
    EXPECT_FALSE(refused.error().kernel_says.empty()) << what << ": refused without a word: " << refused.error().ToString();
  };
  const Status name = a->MoveLink("west", b.ref()), altname = a->MoveLink("south", b.ref());
  EXPECT_THAT(name, FailsWith(EEXIST));
  EXPECT_THAT(altname, FailsWith(EEXIST));
  explained(name, "a name that is taken");
  explained(altname, "an alternative name that is taken");
  explained(a->MoveLink("west", b.ref(), {.new_name = "alt1"}), "a new name that is taken");
  const Status index = a->MoveLink("west", b.ref(), {.new_name = "free", .new_ifindex = 50});
  EXPECT_THAT(index, FailsWith(EBUSY));
  explained(index, "an index that is taken");
  const Status bridge = a->MoveLink("hub", b.ref());
  EXPECT_THAT(bridge, FailsWith(EINVAL));
  explained(bridge, "a device that cannot move");
  EXPECT_THAT(LinkNames(b), ElementsAre("lo", "west"));
  EXPECT_OK(a->MoveLink("west", b.ref(), {.new_name = "free"})) << "control: nothing in the way";
}

// ip-link(8), "group": a change of a group is one of the devices of the namespace. A kernel that forgets about namespaces
// changes those of the initial one.
NETNS_TEST(Dev, ChangesByGroupDoNotReachTheInitialNamespace, Covers("DEV-40", "USER-30"), Needs(Machine(), Config("BRIDGE")), Exclusive{}) {
  constexpr std::uint32_t kGroup = 4243;
  Place initial(InitialNetNamespace()), a;
  Place nested = Place::Inside(a);
  struct Remove {
    Place& initial;
    ~Remove() { (void)initial->DeleteLink("nsconf-group").ok(); }
  } remove{initial};
  AddBridge(initial, "nsconf-group", {.group = kGroup});
  auto set_up = [&](Place& place) -> Status {
    ifinfomsg up{};
    up.ifi_change = up.ifi_flags = 1;  // IFF_UP
    Request set(RTM_SETLINK), create(RTM_NEWLINK);
    for (Request* request : {&set, &create}) request->Named("set a group up").Header(up).U32(IFLA_GROUP, kGroup);
    const Status done = place->socket().Ack(set);
    return done.ok() ? done : place->socket().Ack(create);  // rtnetlink changes by group only where the request could create a link
  };
  for (Place* place : {&a, &nested}) {
    (void)set_up(*place).ok();  // no device of that group here
    EXPECT_FALSE(SETUP_OK(initial->LinkByName("nsconf-group")).up()) << "a change in another namespace";
    AddBridge(*place, "mine", {.group = kGroup});
    ASSERT_OK(set_up(*place));
    EXPECT_TRUE(SETUP_OK((*place)->LinkByName("mine")).up()) << "control: the device of the namespace";
    EXPECT_FALSE(SETUP_OK(initial->LinkByName("nsconf-group")).up()) << "a change in another namespace";
  }
  EXPECT_OK(set_up(initial));
  EXPECT_TRUE(SETUP_OK(initial->LinkByName("nsconf-group")).up()) << "control: a change in the initial namespace";
}

// drivers/net/veth.c, vxcan.c, netkit.c: the peer is registered first; where the other end cannot be, it has to go again.
NETNS_TEST(Veth, AFailureOfTheFirstEndTakesThePeerAlong, Covers("VETH-19"), Needs(Config("VETH"))) {
  Place a, b, c;
  AddDevice(b, "mine", {.index = 80});
  int tried = 0;
  for (const char* kind : {"veth", "vxcan", "netkit"})
    for (Place* where : {&a, &b, &c}) {
      SCOPED_TRACE(std::string(kind) + (where == &a ? ", its peer in the namespace of the request" : where == &b ? ", its peer in the same namespace" : ", its peer in a third namespace"));
      LinkSpec pair{.name = "first", .kind = kind, .netns_fd = b.fd(), .peer = PeerSpec{.name = "second", .netns_fd = where->fd()}};
      Status good = a->AddLink(pair);
      if (good.code() == EOPNOTSUPP && std::string(kind) != "veth") continue;  // not in this kernel
      ASSERT_OK(good) << "control";
      SETUP_OK(b->DeleteLink("first"));
      const auto in_a = LinkNames(a), in_b = LinkNames(b), in_c = LinkNames(c);
      // What is taken there is found out when the peer has been made.
      for (bool by_name : {true, false}) {
        LinkSpec bad = pair;
        if (by_name) {
          bad.name = "mine";
        } else {
          bad.index = 80;
        }
        EXPECT_THAT(a->AddLink(bad).code(), testing::AnyOf(EEXIST, EBUSY));
        EXPECT_EQ(LinkNames(a), in_a);
        EXPECT_EQ(LinkNames(b), in_b);
        EXPECT_EQ(LinkNames(c), in_c) << "the peer stayed";
      }
      ++tried;
    }
  EXPECT_GE(tried, 3) << "control: pairs of veth at least";
}

// network_namespaces(7): only physical devices come back. Each kind that can be made has its own way to die.
NETNS_TEST(Dev, VirtualDevicesOfEveryKindStayAwayFromTheInitialNamespace, Covers("DEV-32", "PHYS-31", "VIRT-13", "VETH-09", "PHYS-16"),
           Needs(Machine(), Config("VETH"), UserNs()), Exclusive{}) {
  Place initial(InitialNetNamespace()), peers;
  Watched watched;
  NetNamespace dying = watched.Create();
  std::set<std::string> made;
  {
    Place inside{SETUP_OK(dying.Dup())};
    SETUP_OK(inside->AddVeth("dielow", PeerSpec{.name = "peer1", .netns_fd = peers.fd()}));
    SETUP_OK(inside->AddVeth("dieboth", PeerSpec{.name = "dieboth2"}));
    const int lower = SETUP_OK(inside->LinkByName("dielow")).index;
    for (const char* kind : {"dummy", "ifb", "bridge", "bond", "team", "vcan", "nlmon", "wireguard", "hsr", "macvlan", "macvtap", "vrf"}) {
      LinkSpec spec{.name = std::string("die") + kind, .kind = kind};
      if (std::string(kind).starts_with("macv")) spec.link = LinkRef("dieboth");
      if (std::string(kind) == "vrf") spec.data = [](Request& r) { r.U32(1 /* IFLA_VRF_TABLE */, 77); };
      (void)inside->AddLink(spec).ok();  // or not in this kernel
    }
    for (const UpperKind& kind : UpperKinds()) (void)inside->AddLink(UpperSpec(kind, std::string("dieu") + kind.name, lower, 7)).ok();
    for (short flags : {short{IFF_TUN}, short{IFF_TAP}}) {
      auto file = inside.ns.OpenIn(TunFile(), O_RDWR);
      ifreq request = NamedIfreq(flags == IFF_TUN ? "dietun" : "dietap");
      request.ifr_flags = static_cast<short>(flags | IFF_NO_PI);
      if (file.ok() && ::ioctl(file->get(), TUNSETIFF, &request) == 0) {
        EXPECT_EQ(::ioctl(file->get(), TUNSETPERSIST, 1), 0) << ErrnoName(errno);
      }
    }
    for (const std::string& name : LinkNames(inside))
      if (name.starts_with("die")) made.insert(name);
    EXPECT_GT(made.size(), 5u) << "control: they are there";
  }
  const std::vector<std::string> before = LinkNames(initial);
  (void)dying.Release();
  watched.ExpectFreed("nothing pins it");
  for (const std::string& name : LinkNames(initial)) {
    EXPECT_FALSE(made.contains(name)) << name << " came to the initial namespace";
    if (made.contains(name)) (void)initial->DeleteLink(name).ok();
  }
  EXPECT_EQ(LinkNames(initial), before) << "under another name";
  EXPECT_THAT(LinkNames(peers), ElementsAre("lo")) << "a peer stayed";
}

}  // namespace
}  // namespace netns
