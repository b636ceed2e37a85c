// SPDX-License-Identifier: GPL-2.0-or-later
// DEV: what one request for a device may ask for at once, and what a refusal says.
#include <linux/if_link.h>

#include "fixtures/link_monitor.h"
#include "fixtures/nic.h"
#include "suites/support/listener.h"
#include "suites/support/place.h"

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
NETNS_TEST(Dev, ARefusedMoveIsExplained, Covers("NLK-15", "DEV-12", "DEV-14", "DEV-16", "DEV-19", "DEV-26"),
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

}  // namespace
}  // namespace netns
