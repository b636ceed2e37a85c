// SPDX-License-Identifier: GPL-2.0-or-later
// DEV: devices created in, and moved to, other namespaces: how a namespace is named, what comes along, what stays behind.
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/pkt_sched.h>
#include <netinet/in.h>
#include <sched.h>

#include <filesystem>
#include <map>
#include <set>

#include "suites/support/listener.h"
#include "suites/support/place.h"

namespace netns {
namespace {

using testing::AnyOf;
using testing::Contains;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::IsEmpty;
using testing::Not;

/// How a request may name the other namespace.
struct Way {
  const char* name;
  std::function<NsRef(Place& from, Place& to, Actor& member)> ref;
};
const std::vector<Way>& Ways() {
  static const std::vector<Way> ways = {
      {"Descriptor", [](Place&, Place& to, Actor&) { return to.ref(); }},
      {"Pid", [](Place&, Place&, Actor& member) { return ByPid(member.pid()); }},
      {"Nsid",
       [](Place& from, Place& to, Actor&) {
         SETUP_OK(from->NewNsid(to.ref(), 23));
         return ByNsid(23);
       }},
  };
  return ways;
}
LinkSpec Put(LinkSpec spec, const NsRef& ref) {
  if (ref.kind == NsRef::Kind::kFd) spec.netns_fd = ref.value;
  if (ref.kind == NsRef::Kind::kPid) spec.netns_pid = ref.value;
  if (ref.kind == NsRef::Kind::kNsid) spec.target_nsid = ref.value;
  return spec;
}

/// Whether `place` has the device and `not_here` have not, by every means.
void ExpectOnlyIn(Place& place, std::vector<Place*> not_here, const std::string& name, int index) {
  EXPECT_THAT(Seen(place, name, index), ElementsAreArray(EveryWay(index != 0)));
  for (Place* other : not_here) EXPECT_THAT(Seen(*other, name, index), IsEmpty());
}

// ip-link(8): "netns { PID | NETNSNAME }" of add and set, by each way to name a namespace.
[[maybe_unused]] const bool way_rows = [] {
  for (std::size_t row = 0; row < Ways().size(); ++row) {
    const bool by_pid = std::string(Ways()[row].name) == "Pid", by_id = std::string(Ways()[row].name) == "Nsid";
    RegisterBody(
        "Dev", std::string("ALinkIsCreatedInTheNamedNamespace/By") + Ways()[row].name, __FILE__, __LINE__,
        [row] {
          Place a, b, c;
          Place here = Place::Here();
          Actor member = b.ns.StartActor("member");
          const NsRef ref = Ways()[row].ref(a, b, member);
          Listener in_a(a), in_b(b), in_c(c);
          const auto spec = [&](const char* name, int index) {
            return Put({.name = name, .kind = "bridge", .index = index}, ref);
          };
          Status added = a->AddLink(spec("there", 808));
          RequireBuiltIn(added, "BRIDGE");
          ASSERT_OK(added);
          ExpectOnlyIn(b, {&a, &c, &here}, "there", 808);
          const auto heard = in_b.Heard();
          EXPECT_THAT(Types(heard), Contains(RTM_NEWLINK)) << "a listener where it was created";
          const auto in_source = in_a.Heard();
          EXPECT_THAT(Types(in_source), Not(Contains(RTM_NEWLINK))) << "a listener beside the request:" << Tell(in_source);
          EXPECT_EQ(in_c.Heard().size(), 0u);
          // A second one, and one of the same name at home.
          ASSERT_OK(a->AddLink(spec("there2", 809)));
          EXPECT_THAT(a->AddLink(spec("there", 810)), FailsWith(EEXIST)) << "taken there";
          EXPECT_OK(a->AddLink({.name = "there", .kind = "bridge", .index = 808})) << "control: without the reference, here";
          ExpectOnlyIn(b, {&a, &c}, "there2", 809);
          EXPECT_THAT(LinkNames(a), ElementsAre("lo", "there"));
          EXPECT_THAT(LinkNames(b), ElementsAre("lo", "there", "there2"));
        },
        by_pid ? Covers("DEV-09") : by_id ? Covers("NLK-09") : Covers("DEV-08"), Needs(Config("BRIDGE")));
    RegisterBody(
        "Dev", std::string("ALinkMovesToTheNamedNamespace/By") + Ways()[row].name, __FILE__, __LINE__,
        [row] {
          Place a, b, c;
          Place here = Place::Here();
          Actor member = b.ns.StartActor("member");
          AddDevice(a, "first", {.index = 811}, true);
          AddDevice(a, "second", {.index = 812});
          AddDevice(a, "stays", {.index = 813});
          ExpectOnlyIn(a, {&b, &c, &here}, "first", 811);
          const NsRef ref = Ways()[row].ref(a, b, member);
          Listener in_c(c);
          for (const auto& [name, index] : std::vector<std::pair<const char*, int>>{{"first", 811}, {"second", 812}}) {
            ASSERT_OK(a->MoveLink(name, ref)) << name;
            ExpectOnlyIn(b, {&a, &c, &here}, name, index);
          }
          ExpectOnlyIn(a, {&b}, "stays", 813);
          EXPECT_EQ(in_c.Heard().size(), 0u) << "a namespace that has no part in it heard of the move";
          // On to a third, and back.
          ASSERT_OK(b->MoveLink("first", c.ref()));
          ExpectOnlyIn(c, {&a, &b}, "first", 811);
          ASSERT_OK(c->MoveLink("first", a.ref()));
          ExpectOnlyIn(a, {&b, &c}, "first", 811);
        },
        by_pid ? Covers("DEV-11") : by_id ? Covers("NLK-09") : Covers("DEV-10"), Needs(Config("VETH")));
  }
  return true;
}();

// rt-link.yaml, net-ns-pid: a pid as the sender sees it.
NETNS_TEST(Dev, AnUnknownPidIsRefusedAndNothingHappens, Covers("DEV-09", "DEV-11"), Needs(Config("VETH"), Config("BRIDGE"))) {
  Place a, b;
  AddDevice(a, "west", {.index = 50});
  Actor dead = b.ns.StartActor("dead");
  Actor zombie = b.ns.StartActor("zombie");
  const pid_t gone = dead.pid();
  EXPECT_OK(a->AddLink({.name = "alive", .kind = "bridge", .netns_pid = gone})) << "control: while it lives";
  dead.Exit();
  for (pid_t pid : {gone, 0, 4194303, -1}) {
    SCOPED_TRACE("pid " + std::to_string(pid));
    EXPECT_THAT(a->AddLink({.name = "new", .kind = "bridge", .netns_pid = pid}), FailsWith(ESRCH));
    EXPECT_THAT(a->MoveLink("west", ByPid(pid)), FailsWith(ESRCH));
  }
  zombie.Exit(true);
  EXPECT_THAT(a->AddLink({.name = "new", .kind = "bridge", .netns_pid = zombie.pid()}), FailsWith(ESRCH)) << "a zombie";
  EXPECT_THAT(a->MoveLink("west", ByPid(zombie.pid())), FailsWith(ESRCH)) << "a zombie";
  EXPECT_THAT(LinkNames(a), ElementsAre("lo", "west"));
  EXPECT_THAT(LinkNames(b), ElementsAre("alive", "lo"));
  Actor member = b.ns.StartActor("member");
  EXPECT_OK(a->MoveLink("west", ByPid(member.pid()))) << "control: a pid that lives";
  ExpectOnlyIn(b, {&a}, "west", 50);
}

NETNS_TEST(Dev, APidIsOneOfThePidNamespaceOfTheSender, Covers("DEV-09", "DEV-11"), Needs(Config("VETH"), Config("BRIDGE"), Config("PID_NS"))) {
  Place a, b, c;
  AddDevice(a, "west");
  Actor outside = b.ns.StartActor("outside");
  // A process in a pid namespace below, where it is number 1 and has never heard of `outside`.
  Actor sender = Actor::Start("sender", CLONE_NEWPID);
  SETUP_OK(sender.Enter(c.fd(), CLONE_NEWNET));
  auto inside = sender.Run([&] { return a->AddLink({.name = "by1", .kind = "bridge", .netns_pid = 1}); });
  EXPECT_OK(inside) << "control: the sender is pid 1 of its own";
  EXPECT_THAT(LinkNames(c), ElementsAre("by1", "lo")) << "pid 1 means the sender";
  pid_t unknown = outside.pid() + 1000;  // sure to be none in the new pid namespace, as is that of `outside` but for 1
  for (pid_t pid : {outside.pid(), unknown}) {
    if (pid == 1) continue;
    EXPECT_THAT(sender.Run([&] { return a->MoveLink("west", ByPid(pid)); }), FailsWith(ESRCH));
    EXPECT_THAT(sender.Run([&] { return a->AddLink({.name = "new", .kind = "bridge", .netns_pid = pid}); }), FailsWith(ESRCH));
  }
  EXPECT_THAT(LinkNames(a), ElementsAre("lo", "west"));
  EXPECT_THAT(LinkNames(b), ElementsAre("lo"));
  EXPECT_OK(a->MoveLink("west", ByPid(outside.pid()))) << "control: by a sender that sees that pid";
  EXPECT_THAT(LinkNames(b), ElementsAre("lo", "west"));
}

// net/core/net_namespace.c get_net_ns_by_fd(), net/core/rtnetlink.c rtnl_ensure_unique_netns().
NETNS_TEST(Dev, BadReferencesToANamespaceAreRefusedAndChangeNothing, Covers("DEV-12", "NLK-15"), Needs(Config("VETH"), Config("BRIDGE"))) {
  Place a, b;
  AddDevice(a, "west", {.index = 70}, true);
  Actor member = b.ns.StartActor("member");
  const Link before = SETUP_OK(a->LinkByName("west"));
  const Fd null = SETUP_OK(Open("/dev/null", O_RDONLY)), uts = SETUP_OK(Open("/proc/self/ns/uts", O_RDONLY)),
           directory = SETUP_OK(Open("/proc/self/ns", O_RDONLY));
  struct {
    const char* which;
    More more;
    int error;
  } cases[] = {
      {"a descriptor that is not open", [](Request& r) { r.Fd(IFLA_NET_NS_FD, 999); }, EBADF},
      {"descriptor -1", [](Request& r) { r.Fd(IFLA_NET_NS_FD, -1); }, EBADF},
      {"/dev/null", [&](Request& r) { r.Fd(IFLA_NET_NS_FD, null.get()); }, EINVAL},
      {"a uts namespace", [&](Request& r) { r.Fd(IFLA_NET_NS_FD, uts.get()); }, EINVAL},
      {"a directory", [&](Request& r) { r.Fd(IFLA_NET_NS_FD, directory.get()); }, EINVAL},
      {"an nsid that is not assigned", [](Request& r) { r.S32(IFLA_TARGET_NETNSID, 77); }, EINVAL},
      {"nsid -1", [](Request& r) { r.S32(IFLA_TARGET_NETNSID, -1); }, EINVAL},
      {"descriptor and pid", [&](Request& r) { r.Fd(IFLA_NET_NS_FD, b.fd()).S32(IFLA_NET_NS_PID, member.pid()); }, EINVAL},
      {"descriptor and nsid", [&](Request& r) { r.Fd(IFLA_NET_NS_FD, b.fd()).S32(IFLA_TARGET_NETNSID, 23); }, EINVAL},
      {"pid and nsid", [&](Request& r) { r.S32(IFLA_NET_NS_PID, member.pid()).S32(IFLA_TARGET_NETNSID, 23); }, EINVAL},
  };
  SETUP_OK(a->NewNsid(b.ref(), 23));
  Listener in_a(a), in_b(b);
  for (const auto& [which, more, error] : cases) {
    SCOPED_TRACE(which);
    EXPECT_THAT(a->SetLink("west", {.more = more}), FailsWith(error)) << "move";
    EXPECT_THAT(a->AddLink({.name = "new", .kind = "bridge", .more = more}), FailsWith(error)) << "creation";
  }
  const Link after = SETUP_OK(a->LinkByName("west"));
  EXPECT_EQ(after.flags, before.flags) << "a refused move took it down";
  EXPECT_EQ(after.index, 70);
  EXPECT_THAT(LinkNames(a), ElementsAre("lo", "west"));
  EXPECT_THAT(LinkNames(b), ElementsAre("lo"));
  EXPECT_EQ(in_b.Heard().size(), 0u);
  EXPECT_THAT(Types(in_a.Heard()), Not(Contains(RTM_DELLINK)));
  EXPECT_OK(a->MoveLink("west", b.ref())) << "control: a good reference";
  ExpectOnlyIn(b, {&a}, "west", 70);
}

NETNS_TEST(Dev, MovingALinkToWhereItIsChangesNothing, Covers("DEV-13", "DEV-20"), Needs(Config("VETH"))) {
  Place a, b;
  AddDevice(a, "west", {}, true);
  SETUP_OK(a->AddAddress("192.0.2.1/24", "west"));
  SETUP_OK(a->AddRoute({.to = "198.51.100.0/24", .via = "192.0.2.9"}));
  Actor member = a.ns.StartActor("member");
  SETUP_OK(a->NewNsid(a.ref(), 5));
  const Link before = SETUP_OK(a->LinkByName("west"));
  const auto routes = SETUP_OK(a->Routes({.family = AF_INET})).size();
  Listener in_a(a);
  for (const NsRef& ref : {a.ref(), ByPid(member.pid()), ByNsid(5)}) {
    SCOPED_TRACE(ref.ToString());
    EXPECT_OK(a->MoveLink("west", ref));
    const Link now = SETUP_OK(a->LinkByName("west"));
    EXPECT_EQ(now.flags, before.flags);
    EXPECT_EQ(now.index, before.index);
    EXPECT_EQ(SETUP_OK(a->Addresses({.family = AF_INET})).size(), 1u);
    EXPECT_EQ(SETUP_OK(a->Routes({.family = AF_INET})).size(), routes);
  }
  const auto heard = in_a.Heard();
  EXPECT_THAT(Types(heard), Not(Contains(RTM_DELLINK))) << Tell(heard);
  SETUP_OK(a->MoveLink("west", b.ref()));
  EXPECT_FALSE(SETUP_OK(b->LinkByName("west")).up()) << "control: a real move takes it down";
  EXPECT_THAT(SETUP_OK(b->Addresses()), IsEmpty());
}

// ------------------------------------------------------------------------------------------------------ names

NETNS_TEST(Dev, ANameThatIsTakenInTheTargetRefusesTheMove, Covers("DEV-14", "NLK-15"), Needs(Config("VETH"))) {
  Place a, b;
  AddDevice(a, "d0", {.index = 40}, true);
  AddDevice(b, "d0", {.index = 41});
  SETUP_OK(a->AddAddress("192.0.2.1/24", "d0"));
  Listener in_a(a), in_b(b);
  EXPECT_THAT(a->MoveLink("d0", b.ref()), FailsWith(EEXIST));
  EXPECT_THAT(b->MoveLink("d0", a.ref()), FailsWith(EEXIST)) << "the other direction";
  EXPECT_EQ(SETUP_OK(a->LinkByName("d0")).index, 40);
  EXPECT_TRUE(SETUP_OK(a->LinkByName("d0")).up()) << "a refused move took it down";
  EXPECT_EQ(SETUP_OK(a->Addresses({.family = AF_INET})).size(), 1u);
  EXPECT_EQ(SETUP_OK(b->LinkByName("d0")).index, 41);
  EXPECT_EQ(in_b.Heard().size(), 0u) << "a move that did not happen was told";
  EXPECT_THAT(Types(in_a.Heard()), Not(Contains(RTM_DELLINK)));
  SETUP_OK(b->Rename("d0", "d1"));
  EXPECT_OK(a->MoveLink("d0", b.ref())) << "control: once the name is free";
  EXPECT_THAT(LinkNames(b), ElementsAre("d0", "d1", "lo"));
  EXPECT_THAT(LinkNames(a), ElementsAre("lo"));
}

NETNS_TEST(Dev, AMoveMayRename, Covers("DEV-15"), Needs(Config("VETH"))) {
  Place a, b;
  const int index = AddDevice(a, "d0", {.index = 40});
  AddDevice(b, "d0", {.index = 41});
  AddDevice(b, "x0");
  AddDevice(b, "taken");
  EXPECT_THAT(a->MoveLink(index, b.ref(), {.new_name = "taken"}), FailsWith(EEXIST)) << "control: another taken name";
  EXPECT_THAT(LinkNames(a), ElementsAre("d0", "lo")) << "a refused move renamed it";
  EXPECT_OK(a->MoveLink(index, b.ref(), {.new_name = "y0"}));
  ExpectOnlyIn(b, {&a}, "y0", 40);
  EXPECT_EQ(SETUP_OK(b->LinkByName("d0")).index, 41);
  AddDevice(a, "z4", {.index = 42});
  EXPECT_OK(a->MoveLink(42, b.ref(), {.new_name = "x%d"}));
  EXPECT_EQ(SETUP_OK(b->LinkByIndex(42)).name, "x1") << "the first number that is free in the target";
  AddDevice(a, "z5", {.index = 43});
  EXPECT_OK(a->MoveLink(43, b.ref(), {.new_name = "x%d"}));
  EXPECT_EQ(SETUP_OK(b->LinkByIndex(43)).name, "x2");
  EXPECT_THAT(LinkNames(a), ElementsAre("lo"));
  // Its own name is taken there. (The number is nobody's promise then: the kernel counts twice, once for the move.)
  AddDevice(a, "taken", {.index = 45});
  EXPECT_OK(a->MoveLink(45, b.ref(), {.new_name = "x%d"})) << "a pattern gives a free name where its own is taken";
  EXPECT_THAT(SETUP_OK(b->LinkByIndex(45)).name, testing::AnyOf("x3", "x4"));
  // A name that is taken in the source is free in the target.
  AddDevice(a, "mine", {.index = 44});
  AddDevice(a, "other");
  EXPECT_OK(a->MoveLink(44, b.ref(), {.new_name = "other"}));
  EXPECT_EQ(SETUP_OK(b->LinkByIndex(44)).name, "other");
  EXPECT_THAT(LinkNames(a), ElementsAre("lo", "other"));
}

// Kernels before 6.6 (and stable ones without the backport) do not look: then both devices have the name.
void RequireAltnameCollisions() {
  Place a, b;
  AddDevice(a, "p1");
  AddDevice(b, "p2");
  SETUP_OK(a->AddAltname("p1", "same"));
  SETUP_OK(b->AddAltname("p2", "same"));
  // Newer than the check, in all kernels that have it.
  const bool newer = a.ns.HasSysctl("net.core.rps_default_mask");
  if (!a->MoveLink("p1", b.ref()).ok() || newer) return;
  int with_it = 0;
  for (const Link& link : SETUP_OK(b->Links())) with_it += std::count(link.altnames.begin(), link.altnames.end(), "same") != 0;
  if (with_it == 2)
    throw MissingNeed("needs-feature:altname-collisions", "a move does not look at alternative names", "use Linux 6.6 or later", LinuxVersion{6, 6});
}

NETNS_TEST(Dev, AnAlternativeNameThatIsTakenInTheTargetRefusesTheMove, Covers("DEV-16"), Needs(Config("VETH"))) {
  RequireAltnameCollisions();
  Place a, b;
  AddDevice(a, "d0", {.index = 40}, true);
  AddDevice(b, "d1", {.index = 41});
  SETUP_OK(a->AddAltname("d0", "alt1"));
  SETUP_OK(a->AddAltname("d0", "alt2"));
  SETUP_OK(b->AddAltname("d1", "alt2"));
  EXPECT_THAT(a->MoveLink("d0", b.ref()), FailsWith(EEXIST)) << "an alternative name of both, the second of one";
  EXPECT_THAT(b->MoveLink("d1", a.ref()), FailsWith(EEXIST)) << "the other direction";
  EXPECT_TRUE(SETUP_OK(a->LinkByName("d0")).up());
  SETUP_OK(b->DeleteAltname("d1", "alt2"));
  SETUP_OK(b->AddAltname("d1", "d0"));
  EXPECT_THAT(a->MoveLink("d0", b.ref()), FailsWith(EEXIST)) << "its name is an alternative name there";
  SETUP_OK(b->DeleteAltname("d1", "d0"));
  SETUP_OK(b->Rename("d1", "alt1"));
  EXPECT_THAT(a->MoveLink("d0", b.ref()), FailsWith(EEXIST)) << "its alternative name is a name there";
  EXPECT_THAT(LinkNames(a), ElementsAre("d0", "lo"));
  EXPECT_THAT(SETUP_OK(a->LinkByName("d0")).altnames, ElementsAre("alt1", "alt2"));
  SETUP_OK(b->Rename("alt1", "d1"));
  EXPECT_OK(a->MoveLink("d0", b.ref())) << "control: nothing in the way any more";
  EXPECT_THAT(SETUP_OK(b->LinkByName("d0")).altnames, ElementsAre("alt1", "alt2"));
}

NETNS_TEST(Dev, AlternativeNamesMoveWithTheDevice, Covers("DEV-17"), Needs(Config("VETH"))) {
  Place a, b, c;
  const char* const longer = "another-name-of-more-than-fifteen-letters";
  AddDevice(a, "west", {.index = 60});
  AddDevice(a, "stays");
  for (const char* altname : {"alt1", "alt2", longer}) SETUP_OK(a->AddAltname("west", altname));
  SETUP_OK(a->AddAltname("stays", "alt9"));
  auto expect_in = [&](Place& there, std::vector<Place*> elsewhere, const std::string& name) {
    for (const char* altname : {"alt1", "alt2", longer}) {
      EXPECT_THAT(Seen(there, name, 60, altname), ElementsAreArray(EveryWay(true, true))) << altname;
      for (Place* other : elsewhere) {
        EXPECT_THAT(Seen(*other, name, 60, altname), IsEmpty()) << altname;
        EXPECT_THAT((*other)->LinkByName(altname), FailsWith(ENODEV)) << altname << " still leads somewhere";
      }
    }
  };
  expect_in(a, {&b, &c}, "west");
  SETUP_OK(a->MoveLink("west", b.ref()));
  expect_in(b, {&a, &c}, "west");
  EXPECT_THAT(SETUP_OK(b->LinkByName("west")).altnames, ElementsAre("alt1", "alt2", longer));
  EXPECT_THAT(a->LinkByName("alt9"), Holds(testing::Field(&Link::name, "stays")));
  const auto again = a->AddAltname("stays", "alt1");
  EXPECT_THAT(again, Succeeds()) << "free again where it was";
  if (again.ok()) SETUP_OK(a->DeleteAltname("stays", "alt1"));
  SETUP_OK(b->MoveLink("west", c.ref(), {.new_name = "east"}));
  expect_in(c, {&a, &b}, "east");
  SETUP_OK(c->MoveLink("east", a.ref()));
  expect_in(a, {&b, &c}, "east");
  EXPECT_OK(a->DeleteAltname("east", "alt2")) << "they can still be taken away";
  EXPECT_THAT(a->LinkByName("alt2"), FailsWith(ENODEV));
}

// ---------------------------------------------------------------------------------------------------- indexes

NETNS_TEST(Dev, TheIndexIsKeptWhenFreeAndReassignedOtherwise, Covers("DEV-18"), Needs(Config("VETH"))) {
  Place a, b;
  AddDevice(a, "free", {.index = 50});
  AddDevice(a, "busy", {.index = 51});
  AddDevice(b, "there", {.index = 51});
  SETUP_OK(a->MoveLink("free", b.ref()));
  EXPECT_EQ(SETUP_OK(b->LinkByName("free")).index, 50) << "control: it was free there";
  EXPECT_OK(a->MoveLink("busy", b.ref()));
  const Link moved = SETUP_OK(b->LinkByName("busy"));
  EXPECT_NE(moved.index, 51);
  EXPECT_NE(moved.index, 50);
  EXPECT_GT(moved.index, 1);
  EXPECT_EQ(SETUP_OK(b->LinkByIndex(51)).name, "there");
  EXPECT_EQ(SETUP_OK(b->LinkByIndex(moved.index)).name, "busy");
  EXPECT_THAT(Seen(b, "busy", moved.index), ElementsAreArray(EveryWay()));
  EXPECT_OK(b->Up("busy")) << "both are usable";
  EXPECT_OK(b->Up("there"));
  EXPECT_THAT(a->LinkByIndex(51), FailsWith(ENODEV));
  EXPECT_THAT(a->LinkByIndex(50), FailsWith(ENODEV));
  EXPECT_OK(a->AddLink({.name = "again", .kind = "bridge", .index = 50})) << "the index is free again where it was";
}

bool HeedsNewIfindex() {
  Place a, b;
  AddDevice(a, "probe");
  SETUP_OK(a->MoveLink("probe", b.ref(), {.new_ifindex = 500}));
  return b->LinkByIndex(500).ok();
}
NETNS_TEST(Dev, ANewIndexForTheTargetIsHeeded, Covers("DEV-19"), Needs(Config("VETH"), Feature("new-ifindex", "IFLA_NEW_IFINDEX of a request is ignored (before 5.13)", HeedsNewIfindex, LinuxVersion{5, 13}))) {
  Place a, b;
  AddDevice(a, "west", {.index = 40}, true);
  AddDevice(b, "there", {.index = 600});
  struct {
    int index, error;
  } bad[] = {{1, EBUSY}, {600, EBUSY}, {0, ERANGE}, {-1, ERANGE}, {-2147483647, ERANGE}};
  for (const auto& [index, error] : bad) {
    SCOPED_TRACE(index);
    EXPECT_THAT(a->MoveLink("west", b.ref(), {.new_ifindex = index}), FailsWith(error));
    EXPECT_EQ(SETUP_OK(a->LinkByName("west")).index, 40);
    EXPECT_THAT(LinkNames(b), ElementsAre("lo", "there"));
  }
  EXPECT_OK(a->MoveLink("west", b.ref(), {.new_ifindex = 500}));
  ExpectOnlyIn(b, {&a}, "west", 500);
  EXPECT_THAT(b->LinkByIndex(40), FailsWith(ENODEV));
  EXPECT_OK(b->MoveLink("west", a.ref())) << "control: without it the index is kept";
  ExpectOnlyIn(a, {&b}, "west", 500);
}

// ------------------------------------------------------------------------------------------ what comes, what stays

NETNS_TEST(Dev, TheDeviceIsDownAfterAMove, Covers("DEV-20"), Needs(Config("VETH"))) {
  Place a, b;
  for (const char* name : {"first", "second"}) {
    AddDevice(a, name, {}, true);
    ASSERT_TRUE(SETUP_OK(a->LinkByName(name)).up());
    SETUP_OK(a->MoveLink(name, b.ref()));
    const Link moved = SETUP_OK(b->LinkByName(name));
    EXPECT_FALSE(moved.up()) << moved;
    EXPECT_FALSE(moved.running()) << moved;
    EXPECT_EQ(moved.operstate, 2) << "IF_OPER_DOWN";
    EXPECT_OK(b->Up(name));
    EXPECT_TRUE(SETUP_OK(b->LinkByName(name)).up()) << "control: until it is set up there";
  }
  EXPECT_TRUE(SETUP_OK(b->LinkByName("first")).up()) << "the arrival of the second took the first down";
}

NETNS_TEST(Dev, LayerThreeConfigurationStaysBehind, Covers("DEV-21"), Needs(Config("VETH"))) {
  Place a, b;
  const bool ipv6 = HasIpv6();
  AddDevice(a, "west", {}, true);
  AddDevice(a, "stays", {}, true);
  SETUP_OK(a->AddAddress("192.0.2.1/24", "west"));
  SETUP_OK(a->AddAddress("192.0.2.2/24", "west"));
  SETUP_OK(a->AddRoute({.to = "198.51.100.0/24", .via = "192.0.2.9"}));
  SETUP_OK(a->AddRoute({.to = "203.0.113.0/24", .via = "192.0.2.9", .table = 100}));
  SETUP_OK(a->AddNeighbour({.to = "192.0.2.9", .address = "02:00:00:00:00:09", .dev = "west"}));
  SETUP_OK(a->AddAddress("10.1.1.1/24", "stays"));
  // Entries of proxies are a table of their own, and so are the settings of neighbours (which only the initial user namespace's have).
  SETUP_OK(a->AddNeighbour({.to = "192.0.2.77", .dev = "west", .state = 0, .flags = NTF_PROXY}));
  if (ipv6) SETUP_OK(a->AddNeighbour({.to = "2001:db8::77", .dev = "west", .state = 0, .flags = NTF_PROXY}));
  std::vector<std::string> of_neighbours;
  for (const char* version : {"ipv4", "ipv6"})
    for (const char* setting : {"gc_stale_time", "ucast_solicit", "proxy_delay"})
      if (const std::string file = std::string("net/") + version + "/neigh/west/" + setting; a.ns.HasSysctl(file)) {
        SETUP_OK(a.ns.SetSysctl(file, "17"));
        of_neighbours.push_back(file);
      }
  const auto as_lo = [](Place& place, std::string file) { return SETUP_OK(place.ns.Sysctl(file.replace(file.find("west"), 4, "lo"))); };
  auto proxies = [&](Place& place) {
    std::size_t count = 0;
    for (const unsigned char family : {AF_INET, AF_INET6}) {
      if (family == AF_INET6 && !ipv6) continue;
      ndmsg header{};
      header.ndm_family = family;
      header.ndm_flags = NTF_PROXY;
      count += SETUP_OK(place->socket().Dump(Request(RTM_GETNEIGH).Header(header).Named("dump proxies"))).size();
    }
    return count;
  };
  EXPECT_EQ(proxies(a), ipv6 ? 2u : 1u) << "control";
  if (ipv6) {
    SETUP_OK(a->AddAddress("2001:db8::1/64", "west", {.nodad = true}));
    SETUP_OK(a->AddRoute({.to = "2001:db8:1::/48", .via = "2001:db8::9"}));
    SETUP_OK(a->AddNeighbour({.to = "2001:db8::9", .address = "02:00:00:00:00:09", .dev = "west"}));
    SETUP_OK(a.ns.SetSysctl("net/ipv6/conf/west/accept_ra", "2"));
    SETUP_OK(a.ns.SetSysctl("net/ipv6/conf/west/hop_limit", "99"));
  }
  for (const char* setting : {"rp_filter", "log_martians", "arp_ignore", "proxy_arp"})
    SETUP_OK(a.ns.SetSysctl(std::string("net/ipv4/conf/west/") + setting, "1"));
  SETUP_OK(b.ns.SetSysctl("net/ipv4/conf/default/arp_announce", "2"));
  SETUP_OK(b.ns.SetSysctl("net/ipv4/conf/default/rp_filter", "2"));
  const int index = SETUP_OK(a->LinkByName("west")).index;
  auto routes_through = [&](Place& place, int dev) {
    std::size_t count = 0;
    for (int family : {AF_INET, AF_INET6})
      for (const Route& route : SETUP_OK(place->Routes({.family = family})))
        if (route.dev == dev) ++count;
    return count;
  };
  auto neighbours_of = [&](Place& place, int dev) {
    std::size_t count = 0;
    for (const Neighbour& entry : SETUP_OK(place->Neighbours()))
      if (entry.dev == dev && (entry.state & NUD_PERMANENT) != 0) ++count;
    return count;
  };
  EXPECT_GE(SETUP_OK(a->Addresses({.index = index})).size(), 2u) << "control: before";
  EXPECT_GE(routes_through(a, index), 3u);
  EXPECT_EQ(neighbours_of(a, index), ipv6 ? 2u : 1u);
  auto routes_of_stays = [&] {
    std::vector<std::string> found;
    const int dev = SETUP_OK(a->LinkByName("stays")).index;
    for (int family : {AF_INET, AF_INET6})
      for (const Route& route : SETUP_OK(a->Routes({.family = family})))
        if (route.dev == dev) found.push_back(route.to + " in table " + std::to_string(route.table));
    return found;
  };
  const auto before = routes_of_stays();
  EXPECT_THAT(before, Not(IsEmpty())) << "control: another device has routes, too";

  SETUP_OK(a->MoveLink("west", b.ref()));
  const int there = SETUP_OK(b->LinkByName("west")).index;
  auto expect_bare = [&](Place& place, int dev, const char* when) {
    SCOPED_TRACE(when);
    for (const Address& address : SETUP_OK(place->Addresses())) EXPECT_NE(address.index, dev) << address;
    EXPECT_EQ(routes_through(place, dev), 0u);
    EXPECT_EQ(neighbours_of(place, dev), 0u);
    EXPECT_EQ(proxies(place), 0u) << "entries of proxies";
  };
  expect_bare(b, there, "in the target");
  expect_bare(a, index, "left in the source");
  EXPECT_EQ(SETUP_OK(b.ns.Sysctl("net/ipv4/conf/west/arp_announce")), "2") << "the default of the target";
  EXPECT_EQ(SETUP_OK(b.ns.Sysctl("net/ipv4/conf/west/rp_filter")), "2") << "the default of the target";
  for (const char* setting : {"log_martians", "arp_ignore", "proxy_arp"})
    EXPECT_EQ(SETUP_OK(b.ns.Sysctl(std::string("net/ipv4/conf/west/") + setting)),
              SETUP_OK(b.ns.Sysctl(std::string("net/ipv4/conf/default/") + setting)))
        << setting;
  if (ipv6) {
    EXPECT_EQ(SETUP_OK(b.ns.Sysctl("net/ipv6/conf/west/hop_limit")), SETUP_OK(b.ns.Sysctl("net/ipv6/conf/default/hop_limit")));
    EXPECT_EQ(SETUP_OK(b.ns.Sysctl("net/ipv6/conf/west/accept_ra")), SETUP_OK(b.ns.Sysctl("net/ipv6/conf/default/accept_ra")));
  }
  for (const std::string& file : of_neighbours) EXPECT_EQ(SETUP_OK(b.ns.Sysctl(file)), as_lo(b, file)) << file << ": what was set in the source came along";
  EXPECT_FALSE(a.ns.HasSysctl("net/ipv4/conf/west/rp_filter")) << "its settings stayed in the source";
  EXPECT_FALSE(a.ns.HasSysctl("net/ipv4/neigh/west/gc_stale_time")) << "its settings stayed in the source";
  // More may have come meanwhile: the kernel adds those of a link-local address when it has found that nobody else has it.
  EXPECT_THAT(routes_of_stays(), testing::IsSupersetOf(before)) << "those of another device";
  // Up in the target, nothing of the old comes back; and home again nothing is there either.
  SETUP_OK(b->Up("west"));
  EXPECT_THAT(SETUP_OK(b->Addresses({.family = AF_INET})), IsEmpty());
  SETUP_OK(b->MoveLink("west", a.ref()));
  expect_bare(a, SETUP_OK(a->LinkByName("west")).index, "moved back");
  EXPECT_EQ(SETUP_OK(a.ns.Sysctl("net/ipv4/conf/west/log_martians")), SETUP_OK(a.ns.Sysctl("net/ipv4/conf/default/log_martians")));
  EXPECT_EQ(SETUP_OK(a.ns.Sysctl("net/ipv4/conf/west/arp_announce")), SETUP_OK(a.ns.Sysctl("net/ipv4/conf/default/arp_announce")));
  for (const std::string& file : of_neighbours) EXPECT_EQ(SETUP_OK(a.ns.Sysctl(file)), as_lo(a, file)) << file << ": what was set before it left is there again";
  SETUP_OK(a->Up("west"));
  EXPECT_THAT(SETUP_OK(a->Addresses({.family = AF_INET, .index = SETUP_OK(a->LinkByName("west")).index})), IsEmpty());
}

NETNS_TEST(Dev, LayerTwoAttributesMoveAlong, Covers("DEV-22"), Needs(Config("VETH"))) {
  Place a, b;
  AddDevice(a, "west", {.tx_queues = 3, .rx_queues = 2}, true);
  SETUP_OK(a->SetLink("west", {.mtu = 1288,
                               .address = "02:00:00:00:12:34",
                               .broadcast = "02:ff:ff:ff:ff:fe",
                               .alias = "uplink of the west",
                               .promiscuous = true,
                               .all_multicast = true,
                               .arp = false,
                               .txqlen = 77,
                               .group = 9}));
  SETUP_OK(a->AddAltname("west", "alt1"));
  SETUP_OK(a->AddAddress("192.0.2.1/24", "west"));
  const Link before = SETUP_OK(a->LinkByName("west"));
  auto same = [&](const Link& now, const char* when) {
    SCOPED_TRACE(when);
    EXPECT_EQ(now.mtu, 1288u);
    EXPECT_EQ(now.address, "02:00:00:00:12:34");
    EXPECT_EQ(now.broadcast, "02:ff:ff:ff:ff:fe");
    EXPECT_EQ(now.alias, "uplink of the west");
    EXPECT_EQ(now.txqlen, 77u);
    EXPECT_EQ(now.group, 9u);
    EXPECT_EQ(now.tx_queues, before.tx_queues);
    EXPECT_EQ(now.rx_queues, before.rx_queues);
    EXPECT_EQ(now.kind, "veth");
    EXPECT_EQ(now.type, before.type);
    EXPECT_EQ(now.promiscuity, before.promiscuity);
    EXPECT_EQ(now.flags & (IFF_PROMISC | IFF_ALLMULTI | IFF_NOARP), unsigned{IFF_PROMISC | IFF_ALLMULTI | IFF_NOARP});
    EXPECT_THAT(now.altnames, ElementsAre("alt1"));
  };
  same(before, "before");
  SETUP_OK(a->MoveLink("west", b.ref()));
  same(SETUP_OK(b->LinkByName("west")), "after a move");
  EXPECT_THAT(SETUP_OK(b->Addresses()), IsEmpty()) << "control: not everything moves along";
  EXPECT_EQ(SETUP_OK(b.ns.ReadSysfs("class/net/west/address")), "02:00:00:00:12:34");
  EXPECT_EQ(SETUP_OK(b.ns.ReadSysfs("class/net/west/ifalias")), "uplink of the west");
  SETUP_OK(b->MoveLink("west", a.ref()));
  same(SETUP_OK(a->LinkByName("west")), "back home");
}

NETNS_TEST(Dev, QueueingDisciplinesAreRemovedByAMove, Covers("DEV-23"), Needs(Config("VETH"), Config("NET_SCHED"))) {
  Place a, b;
  for (const char* name : {"west", "stays"}) {
    AddDevice(a, name, {}, true);
    Status root = a->AddQdisc(name, "htb", TC_H_ROOT, 0x50000u, [](Request& options) {
      struct {
        std::uint32_t version = 3, rate2quantum = 10, defcls = 1, debug = 0, direct_pkts = 0;
      } glob;
      options.Structure(2 /* TCA_HTB_INIT */, glob);
    });
    RequireBuiltIn(root, "NET_SCH_HTB");
    SETUP_OK(std::move(root));
    Status ingress = a->AddQdisc(name, "ingress", 0xFFFFFFF1u, 0xFFFF0000u);
    RequireBuiltIn(ingress, "NET_SCH_INGRESS");
    SETUP_OK(std::move(ingress));
  }
  auto kinds = [](Place& place, const std::string& name) {
    std::vector<std::string> found;
    const int index = SETUP_OK(place->LinkByName(name)).index;
    for (const Qdisc& qdisc : SETUP_OK(place->Qdiscs()))
      if (qdisc.dev == index) found.push_back(qdisc.kind);
    std::sort(found.begin(), found.end());
    return found;
  };
  EXPECT_THAT(kinds(a, "west"), ElementsAre("htb", "ingress")) << "control: before";
  const int index = SETUP_OK(a->LinkByName("west")).index;
  SETUP_OK(a->MoveLink("west", b.ref()));
  EXPECT_THAT(kinds(b, "west"), Not(AnyOf(Contains("htb"), Contains("ingress"))));
  EXPECT_THAT(kinds(a, "stays"), ElementsAre("htb", "ingress")) << "control: one that was not moved";
  for (const Qdisc& qdisc : SETUP_OK(a->Qdiscs())) EXPECT_NE(qdisc.dev, index) << "left in the source: " << qdisc;
  EXPECT_OK(b->AddQdisc("west", "ingress", 0xFFFFFFF1u, 0xFFFF0000u)) << "there is room for a new one";
}

// Its own kind of table: what a port can be a port of.
void PortLeavesItsMaster(const std::string& kind, const std::string& symbol) {
  Place a, b;
  Status made = a->AddLink({.name = "hub", .kind = kind, .data = [&](Request& data) {
                              if (kind == "vrf") data.U32(1 /* IFLA_VRF_TABLE */, 100);
                            }});
  RequireBuiltIn(made, symbol);
  SETUP_OK(std::move(made));
  for (const char* name : {"p1", "p2", "free"}) AddDevice(a, name);
  for (const char* name : {"p1", "p2"}) SETUP_OK(a->SetLink(name, {.master = "hub"}));
  const int hub = SETUP_OK(a->LinkByName("hub")).index;
  auto ports = [&] {
    std::vector<std::string> found;
    for (const Link& link : SETUP_OK(a->Links()))
      if (link.master == hub) found.push_back(link.name);
    std::sort(found.begin(), found.end());
    return found;
  };
  EXPECT_THAT(ports(), ElementsAre("p1", "p2")) << "control";
  SETUP_OK(a->MoveLink("free", b.ref()));
  EXPECT_THAT(ports(), ElementsAre("p1", "p2")) << "control: another device moved";
  SETUP_OK(a->MoveLink("p2", b.ref()));
  EXPECT_THAT(ports(), ElementsAre("p1"));
  const Link moved = SETUP_OK(b->LinkByName("p2"));
  EXPECT_FALSE(moved.master.has_value()) << moved << " has a master in the target";
  EXPECT_EQ(moved.slave_kind, "");
  EXPECT_EQ(moved.flags & IFF_SLAVE, 0u);
  std::vector<std::string> files;
  a.ns.InWithSysfs([&] {
    for (const char* path : {"/sys/class/net/hub/lower_p1", "/sys/class/net/hub/lower_p2", "/sys/class/net/p1/master"}) {
      struct stat info{};
      if (::lstat(path, &info) == 0) files.push_back(path);
    }
  });
  EXPECT_THAT(files, ElementsAre("/sys/class/net/hub/lower_p1", "/sys/class/net/p1/master"));
  std::map<std::string, std::set<std::string>> entries;
  b.ns.InWithSysfs([&] {
    EXPECT_NE(::access("/sys/class/net/p2/master", F_OK), 0) << "a link to a master in the target";
    for (const std::string name : {"p2", "free"})
      for (const auto& entry : std::filesystem::directory_iterator("/sys/class/net/" + name)) entries[name].insert(entry.path().filename());
  });
  EXPECT_EQ(entries["p2"], entries["free"]) << "in sysfs it is like a device that never had a master";
  SETUP_OK(b->MoveLink("p2", a.ref()));
  EXPECT_THAT(ports(), ElementsAre("p1")) << "back home it is free";
  EXPECT_OK(a->SetLink("p2", {.master = "hub"}));
  EXPECT_THAT(ports(), ElementsAre("p1", "p2"));
}
[[maybe_unused]] const bool master_rows = [] {
  for (auto [kind, symbol] : {std::pair("bridge", "BRIDGE"), std::pair("bond", "BONDING"), std::pair("team", "NET_TEAM"),
                              std::pair("vrf", "NET_VRF")})
    RegisterBody(
        "Dev", std::string("APortLeavesItsMasterWhenMoved/") + kind, __FILE__, __LINE__,
        [kind = std::string(kind), symbol = std::string(symbol)] { PortLeavesItsMaster(kind, symbol); }, Covers("DEV-24"),
        Needs(Config("VETH"), Config(symbol)));
  return true;
}();

NETNS_TEST(Dev, AMasterIsLookedUpInTheNamespaceOfTheDevice, Covers("DEV-25"), Needs(Config("VETH"), Config("BRIDGE"))) {
  Place a, b;
  Place nested = Place::Inside(a);
  AddDevice(a, "p1");
  AddDevice(b, "p2");
  AddBridge(b, "hub", {.index = 700});
  AddBridge(nested, "hub", {.index = 701});
  for (int index : {700, 701}) {
    EXPECT_THAT(a->SetLink("p1", {.master = index}), FailsWith(EINVAL)) << "a bridge of another namespace";
    EXPECT_FALSE(SETUP_OK(a->LinkByName("p1")).master.has_value());
  }
  EXPECT_THAT(SETUP_OK(b->Links({.master = 700})), IsEmpty());
  EXPECT_OK(b->SetLink("p2", {.master = 700})) << "control: its own";
  AddBridge(a, "mine", {.index = 700});
  EXPECT_OK(a->SetLink("p1", {.master = 700})) << "control: now there is one here";
  EXPECT_EQ(SETUP_OK(a->Links({.master = 700})).size(), 1u);
  EXPECT_EQ(SETUP_OK(b->Links({.master = 700})).size(), 1u);
  // brctl(8)'s way: SIOCBRADDIF with the index of a device that is only elsewhere.
  AddDevice(b, "theirs", {.index = 910});
  const Fd in_a = SETUP_OK(a.ns.Socket(AF_INET, SOCK_DGRAM)), in_b = SETUP_OK(b.ns.Socket(AF_INET, SOCK_DGRAM));
  ifreq request = NamedIfreq("mine");
  request.ifr_ifindex = 910;
  EXPECT_THAT(NETNS_IOCTL(in_a, SIOCBRADDIF, request).code(), AnyOf(EINVAL, ENODEV));
  request = NamedIfreq("hub");
  request.ifr_ifindex = 910;
  EXPECT_THAT(NETNS_IOCTL(in_b, SIOCBRADDIF, request), Succeeds());
}

NETNS_TEST(Dev, TheSourceIsToldWhereADeviceWent, Covers("DEV-30"), Needs(Config("VETH"))) {
  Place a, b, c;
  AddDevice(a, "first", {.index = 40});
  AddDevice(a, "second", {.index = 41});
  AddDevice(b, "there", {.index = 41});
  SETUP_OK(a->NewNsid(c.ref(), 31));
  Listener in_a(a, {RTNLGRP_LINK}), in_b(b, {RTNLGRP_LINK}), in_c(c, {RTNLGRP_LINK});
  auto departure = [](const std::vector<Message>& heard, const std::string& name) {
    std::vector<Link> found;
    for (const Message& message : heard)
      if (message.type() == RTM_DELLINK && ReadLink(message).name == name) found.push_back(ReadLink(message));
    return found;
  };
  auto arrival = [](const std::vector<Message>& heard, const std::string& name) {
    int index = 0;
    for (const Message& message : heard)
      if (message.type() == RTM_NEWLINK && ReadLink(message).name == name) index = ReadLink(message).index;
    return index;
  };
  for (const auto& [name, index] : std::vector<std::pair<std::string, int>>{{"first", 40}, {"second", 41}}) {
    SCOPED_TRACE(name);
    SETUP_OK(a->MoveLink(name, b.ref()));
    const int there = SETUP_OK(b->LinkByName(name)).index;
    const auto gone = departure(in_a.Heard(), name);
    ASSERT_EQ(gone.size(), 1u) << "RTM_DELLINK in the source";
    EXPECT_EQ(gone[0].index, index);
    EXPECT_THAT(gone[0].new_netnsid, testing::Optional(testing::Ge(0))) << "IFLA_NEW_NETNSID, an id that is made for it where it has none yet";
    EXPECT_EQ(gone[0].new_netnsid, std::optional(SETUP_OK(a->GetNsid(b.ref())).nsid)) << "the id that the source has for it";
    EXPECT_EQ(gone[0].new_ifindex, std::optional(there)) << "IFLA_NEW_IFINDEX";
    const auto heard_there = in_b.Heard();
    EXPECT_EQ(arrival(heard_there, name), there) << "RTM_NEWLINK in the target";
    EXPECT_THAT(departure(heard_there, name), IsEmpty());
    EXPECT_EQ(in_c.Heard().size(), 0u);
  }
  // To the one that has an id already.
  SETUP_OK(b->MoveLink("first", a.ref()));
  in_a.Heard();
  SETUP_OK(a->MoveLink("first", c.ref()));
  const auto gone = departure(in_a.Heard(), "first");
  ASSERT_EQ(gone.size(), 1u);
  EXPECT_EQ(gone[0].new_netnsid, std::optional(31));
  // Control: a deletion carries neither.
  AddDevice(a, "dies");
  SETUP_OK(a->DeleteLink("dies"));
  const auto dead = departure(in_a.Heard(), "dies");
  ASSERT_EQ(dead.size(), 1u);
  EXPECT_FALSE(dead[0].new_netnsid.has_value());
  EXPECT_FALSE(dead[0].new_ifindex.has_value());
}

// net/core/dev.c: dev_uc_flush(), dev_mc_flush().
NETNS_TEST(Dev, MulticastListsAreRebuiltByAMove, Covers("DEV-39"), Needs(Config("VETH"))) {
  Place a, b;
  AddDevice(a, "west", {}, true);
  SETUP_OK(a->AddAddress("192.0.2.1/24", "west"));
  auto join = [](Place& place, const char* group) {
    Fd socket = SETUP_OK(place.ns.Socket(AF_INET, SOCK_DGRAM));
    ip_mreqn request{};
    request.imr_multiaddr.s_addr = htonl(std::string(group) == "first" ? 0xEF010203u : 0xEF010204u);  // 239.1.2.3, .4
    request.imr_ifindex = SETUP_OK(place->LinkByName("west")).index;
    if (::setsockopt(socket.get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request) < 0)
      throw SetupFailure(ErrnoError("IP_ADD_MEMBERSHIP").ToString(), std::source_location::current());
    return socket;
  };
  const Fd member = join(a, "first");
  // netdevice(7), SIOCADDMULTI: an address that no protocol looks after.
  ifreq added = NamedIfreq("west");
  const unsigned char hardware[] = {0x01, 0x00, 0x5e, 0x0a, 0x0b, 0x0c};
  std::memcpy(added.ifr_hwaddr.sa_data, hardware, sizeof hardware);
  SETUP_OK(NETNS_IOCTL(member, SIOCADDMULTI, added));
  EXPECT_THAT(SETUP_OK(a.ns.ReadProcNet("dev_mcast")), testing::HasSubstr("01005e0a0b0c")) << "control: added";
  EXPECT_THAT(SETUP_OK(a.ns.ReadProcNet("dev_mcast")), testing::HasSubstr("01005e010203")) << "control: joined";
  EXPECT_THAT(SETUP_OK(a.ns.ReadProcNet("igmp")), testing::HasSubstr("west"));
  // bridge(8), "fdb add ... self permanent": more addresses that it hears, of one station or of a group.
  const auto listens_to = [](Place& place, const char* address) {
    const int index = SETUP_OK(place->LinkByName("west")).index;
    const auto all = SETUP_OK(place->Forwardings());
    return std::any_of(all.begin(), all.end(), [&](const Neighbour& one) { return one.dev == index && one.address == address; });
  };
  const char* more[] = {"02:00:00:00:00:77", "02:00:00:00:00:78", "01:00:5e:0a:0b:0d"};
  for (const char* address : more) {
    SETUP_OK(a->AddForwarding({.to = "", .address = address, .dev = "west", .state = NUD_PERMANENT, .flags = NTF_SELF}));
    EXPECT_TRUE(listens_to(a, address)) << "control: " << address;
  }
  SETUP_OK(a->MoveLink("west", b.ref()));
  for (const char* address : more) EXPECT_FALSE(listens_to(b, address)) << address << ", added by RTM_NEWNEIGH, came along";
  SETUP_OK(b->AddForwarding({.to = "", .address = more[0], .dev = "west", .state = NUD_PERMANENT, .flags = NTF_SELF}));
  EXPECT_TRUE(listens_to(b, more[0])) << "control: added there";
  EXPECT_THAT(SETUP_OK(b.ns.ReadProcNet("dev_mcast")), Not(testing::HasSubstr("01005e010203")));
  EXPECT_THAT(SETUP_OK(b.ns.ReadProcNet("dev_mcast")), Not(testing::HasSubstr("01005e0a0b0c"))) << "an address added by SIOCADDMULTI came along";
  EXPECT_THAT(SETUP_OK(a.ns.ReadProcNet("dev_mcast")), Not(testing::HasSubstr("west")));
  EXPECT_THAT(SETUP_OK(a.ns.ReadProcNet("igmp")), Not(testing::HasSubstr("west")));
  SETUP_OK(b->Up("west"));
  EXPECT_THAT(SETUP_OK(b.ns.ReadProcNet("dev_mcast")), Not(testing::HasSubstr("01005e010203"))) << "once it is up";
  const Fd there = join(b, "second");
  EXPECT_THAT(SETUP_OK(b.ns.ReadProcNet("dev_mcast")), testing::HasSubstr("01005e010204")) << "control: joined there";
}

// net/packet/af_packet.c packet_notifier(): the socket loses its binding with its device.
NETNS_TEST(Dev, APacketSocketIsUnboundWhenItsDeviceMoves, Covers("DEV-42"), Needs(Config("VETH"), Config("PACKET"))) {
  Place a, b;
  const int west = AddDevice(a, "west", {}, true), stays = AddDevice(a, "stays", {}, true);
  struct Kind {
    const char* name;
    int type;
    std::uint16_t protocol;
    bool ring;
  };
  const Kind kinds[] = {{"SOCK_RAW", SOCK_RAW, ETH_P_ALL, false},
                        {"SOCK_DGRAM", SOCK_DGRAM, ETH_P_ALL, false},
                        {"SOCK_DGRAM of one protocol", SOCK_DGRAM, ETH_P_IP, false},
                        {"SOCK_RAW with a ring", SOCK_RAW, ETH_P_ALL, true},
                        {"SOCK_DGRAM with a ring", SOCK_DGRAM, ETH_P_ALL, true}};
  auto bound = [&](int index, const Kind& kind) {
    auto socket = a.ns.Socket(AF_PACKET, kind.type | SOCK_NONBLOCK, htons(kind.protocol));
    if (!socket.ok()) RequireBuiltIn(socket.error(), "PACKET");
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_protocol = htons(kind.protocol);
    to.sll_ifindex = index;
    const tpacket_req ring{.tp_block_size = 4096, .tp_block_nr = 1, .tp_frame_size = 2048, .tp_frame_nr = 2};
    if (kind.ring && ::setsockopt(socket->get(), SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring) < 0)
      throw SetupFailure(ErrnoError("setsockopt(PACKET_RX_RING)").ToString(), std::source_location::current());
    if (::bind(socket->get(), reinterpret_cast<sockaddr*>(&to), sizeof to) < 0)
      throw SetupFailure(ErrnoError("bind of a packet socket").ToString(), std::source_location::current());
    return SETUP_OK(std::move(socket));
  };
  auto bound_to = [](const Fd& socket) {
    sockaddr_ll name{};
    socklen_t size = sizeof name;
    ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&name), &size);
    return name.sll_ifindex;
  };
  auto next_error = [](const Fd& socket) {  // frames that were queued before do not count
    char buffer[2048];
    for (;;)
      if (::recv(socket.get(), buffer, sizeof buffer, MSG_DONTWAIT) < 0) return errno;
  };
  const auto pending = [](const Fd& socket) {
    int error = 0;
    socklen_t size = sizeof error;
    return ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) < 0 ? EBADE : error;
  };
  std::vector<Fd> of_west, of_stays;
  for (const Kind& kind : kinds) {
    of_west.push_back(bound(west, kind));
    of_stays.push_back(bound(stays, kind));
    EXPECT_EQ(bound_to(of_west.back()), west) << kind.name;
    next_error(of_west.back()), next_error(of_stays.back());
  }
  const Fd youngest = bound(west, kinds[0]);
  next_error(youngest);
  ASSERT_OK(a->MoveLink("west", b.ref())) << "a device in use by a packet socket";
  for (std::size_t i = 0; i < std::size(kinds); ++i) {
    SCOPED_TRACE(std::string("a packet socket: ") + kinds[i].name);
    const int error = pending(of_west[i]);
    EXPECT_EQ(error, ENETDOWN) << ErrnoName(error) << ", of the device that was moved";
    EXPECT_EQ(next_error(of_west[i]), EAGAIN) << "reported once";
    EXPECT_THAT(bound_to(of_west[i]), AnyOf(-1, 0)) << "still bound";
    EXPECT_EQ(bound_to(of_stays[i]), stays) << "control: a socket of another device";
    EXPECT_EQ(pending(of_stays[i]), 0) << "control: a socket of another device";
  }
  EXPECT_EQ(next_error(youngest), ENETDOWN) << "the youngest packet socket of the namespace";
  // Traffic of the device in its new namespace, which both a new socket there and the old one might see.
  SETUP_OK(b->Up("west"));
  SETUP_OK(b->AddAddress("192.0.2.1/24", "west"));
  const Fd there = SETUP_OK(b.ns.Socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ALL)));
  const Fd sender = SETUP_OK(b.ns.Socket(AF_PACKET, SOCK_RAW, 0));
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = SETUP_OK(b->LinkByName("west")).index;
  std::array<char, 60> frame{};
  frame.fill('\xff');
  frame[12] = '\x88';
  frame[13] = '\xb5';
  SETUP_OK(Eventually("a frame to leave by the moved device", [&] {
    return ::sendto(sender.get(), frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to) > 0;
  }));
  EXPECT_OK(WaitFor(there.get(), POLLIN, Deadline::OfTest(), "control: a packet socket of the new namespace to see it"));
  char buffer[2048];
  for (const Fd& old : of_west) EXPECT_LT(::recv(old.get(), buffer, sizeof buffer, MSG_DONTWAIT), 0) << "the old socket sees the new namespace";
  // Control: one that only goes down says so as well, and keeps its sockets.
  SETUP_OK(a->Down("stays"));
  for (std::size_t i = 0; i < std::size(kinds); ++i) {
    EXPECT_EQ(pending(of_stays[i]), ENETDOWN) << kinds[i].name << ", of a device that goes down";
    EXPECT_EQ(bound_to(of_stays[i]), stays) << "control: " << kinds[i].name << ", of a device that goes down";
  }
}

NETNS_TEST(Dev, SoBindtodeviceBreaksWhenTheDeviceLeaves, Covers("DEV-43"), Needs(Config("VETH"))) {
  Place a, b;
  AddDevice(a, "west", {.index = 77}, true);
  SETUP_OK(a->AddAddress("192.0.2.1/24", "west"));
  const Fd socket = SETUP_OK(a.ns.Socket(AF_INET, SOCK_DGRAM));
  ASSERT_EQ(::setsockopt(socket.get(), SOL_SOCKET, SO_BINDTODEVICE, "west", 5), 0) << ErrnoName(errno);
  auto device = [&]() -> Result<std::string> {
    char name[IFNAMSIZ] = "";
    socklen_t size = sizeof name;
    if (::getsockopt(socket.get(), SOL_SOCKET, SO_BINDTODEVICE, name, &size) < 0) return ErrnoError("getsockopt(SO_BINDTODEVICE)");
    return std::string(name);
  };
  auto send = [&]() -> Status {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(9);
    to.sin_addr.s_addr = htonl(0xC0000209u);  // 192.0.2.9
    if (::sendto(socket.get(), "x", 1, 0, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0) return ErrnoError("sendto");
    return Ok();
  };
  EXPECT_THAT(device(), Holds(std::string("west"))) << "control";
  EXPECT_OK(send()) << "control";
  SETUP_OK(a->MoveLink("west", b.ref()));
  EXPECT_THAT(device(), FailsWith(ENODEV));
  EXPECT_THAT(send().code(), AnyOf(ENODEV, ENETUNREACH));
  SETUP_OK(b->Up("west"));
  SETUP_OK(b->AddAddress("192.0.2.1/24", "west"));
  EXPECT_THAT(send().code(), AnyOf(ENODEV, ENETUNREACH)) << "it sends in the device's new namespace";
  // A device of the same name is not the same device.
  AddDevice(a, "west", {.index = 78}, true);
  SETUP_OK(a->AddAddress("192.0.2.1/24", "west"));
  EXPECT_THAT(device(), FailsWith(ENODEV));
  EXPECT_THAT(send().code(), AnyOf(ENODEV, ENETUNREACH));
  SETUP_OK(a->DeleteLink("west"));
  SETUP_OK(b->MoveLink("west", a.ref()));
  EXPECT_THAT(device(), Holds(std::string("west"))) << "control: back with its index";
  SETUP_OK(a->Up("west"));
  SETUP_OK(a->AddAddress("192.0.2.1/24", "west"));
  EXPECT_OK(send());
}

}  // namespace
}  // namespace netns
