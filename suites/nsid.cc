// SPDX-License-Identifier: GPL-2.0-or-later
// NSID: the ids by which a network namespace knows others (rtnetlink(7) RTM_NEWNSID, RTM_GETNSID; ip-netns(8)).
#include <linux/net_namespace.h>
#include <sched.h>

#include <map>
#include <set>
#include <vector>

#include "fixtures/link_monitor.h"
#include "fixtures/net_namespace.h"
#include "fixtures/nic.h"
#include "fixtures/rtnl.h"
#include "fixtures/user_namespace.h"
#include "harness/assertions.h"
#include "harness/registration.h"
#include "suites/support/any_link.h"

namespace netns {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

std::vector<int> Ids(Rtnl& rtnl, std::optional<int> target = {}) {
  std::vector<int> ids;
  for (const NsidEntry& entry : SETUP_OK(rtnl.Nsids(target))) ids.push_back(entry.nsid);
  return ids;
}

Result<int> IdOf(Rtnl& rtnl, const NsRef& other) {
  ASSIGN_OR_RETURN(NsidEntry entry, rtnl.GetNsid(other));
  return entry.nsid;
}

NETNS_TEST(Nsid, NoneUntilOneIsAssigned, Covers("NSID-01", "NSID-02", "NSID-08")) {
  auto here = NetNamespace::Create(), first = NetNamespace::Create();
  Actor second = Actor::Start("second", CLONE_NEWNET);
  auto rtnl = RtnlIn(here);
  EXPECT_THAT(IdOf(rtnl, ByFd(first.fd())), Holds(-1));
  EXPECT_THAT(IdOf(rtnl, ByPid(second.pid())), Holds(-1));
  // Of itself neither, by whatever it is named; asked from inside, and from another namespace that names it by an id.
  Actor member = here.StartActor("member");
  auto observer = RtnlIn(first);
  SETUP_OK(observer.NewNsid(ByFd(here.fd()), 9));
  const auto of_itself = [&](const char* when) {
    SCOPED_TRACE(when);
    for (const NsRef& own : {ByFd(here.fd()), ByPid(member.pid())}) {
      EXPECT_THAT(IdOf(rtnl, own), Holds(-1)) << "of the own namespace, by " << own.ToString();
      const auto there = observer.GetNsid(own, 9);
      ASSERT_OK(there) << own.ToString();
      EXPECT_EQ(there->nsid, -1) << "of the own namespace, asked from another one, by " << own.ToString();
      EXPECT_THAT(there->current_nsid, testing::Optional(9)) << "control: it is known where it is asked";
    }
    EXPECT_THAT(rtnl.GetNsid(ByNsid(0)), FailsWith(ENOENT)) << "nobody has the number 0";
  };
  of_itself("before any id was assigned");
  EXPECT_THAT(Ids(rtnl), IsEmpty());
  ASSERT_OK(rtnl.NewNsid(ByFd(first.fd()), 12));
  ASSERT_OK(rtnl.NewNsid(ByPid(second.pid()), 7));
  EXPECT_THAT(IdOf(rtnl, ByFd(first.fd())), Holds(12));
  EXPECT_THAT(IdOf(rtnl, ByPid(second.pid())), Holds(7));
  of_itself("while others have ids");
  EXPECT_THAT(Ids(rtnl), UnorderedElementsAre(12, 7));
}

NETNS_TEST(Nsid, MinusOneLetsTheKernelChoose, Covers("NSID-03")) {
  auto here = NetNamespace::Create();
  auto rtnl = RtnlIn(here);
  std::vector<NetNamespace> others;
  for (int i = 0; i < 3; ++i) {
    others.push_back(NetNamespace::Create());
    ASSERT_OK(rtnl.NewNsid(ByFd(others.back().fd()), -1));
    EXPECT_THAT(IdOf(rtnl, ByFd(others.back().fd())), Holds(i)) << "the lowest that is free";
  }
  EXPECT_THAT(Ids(rtnl), UnorderedElementsAre(0, 1, 2));
}

NETNS_TEST(Nsid, AnIdIsForLife, Covers("NSID-04", "NSID-02")) {
  auto here = NetNamespace::Create(), one = NetNamespace::Create(), other = NetNamespace::Create();
  auto rtnl = RtnlIn(here);
  SETUP_OK(rtnl.NewNsid(ByFd(one.fd()), 12));
  Actor member = one.StartActor("member");
  for (int id : {12, 13, 0, -1})
    for (const NsRef& peer : {ByFd(one.fd()), ByPid(member.pid())})
      EXPECT_THAT(rtnl.NewNsid(peer, id), FailsWith(EEXIST)) << "the peer has an id; asked for " << id << " " << peer.ToString();
  EXPECT_THAT(rtnl.NewNsid(ByFd(other.fd()), 12), FailsWith(EEXIST)) << "the number is taken";
  EXPECT_THAT(IdOf(rtnl, ByFd(one.fd())), Holds(12));
  EXPECT_THAT(IdOf(rtnl, ByFd(other.fd())), Holds(-1)) << "a refused request took effect";
  EXPECT_THAT(Ids(rtnl), ElementsAre(12));
  EXPECT_OK(rtnl.NewNsid(ByFd(other.fd()), 13)) << "control: an unused peer and number";
}

// Zero is a number like any other: the first that the kernel chooses by itself.
NETNS_TEST(Nsid, ZeroIsAnIdLikeAnyOther, Covers("NSID-04", "NSID-02", "NSID-10", "NSID-08", "NSID-03"), Needs(UserNs())) {
  for (int asked : {0, -1}) {
    SCOPED_TRACE(asked == 0 ? "asked for" : "chosen by the kernel");
    FreedOracle oracle;
    auto here = NetNamespace::Create(), other = NetNamespace::Create();
    auto rtnl = RtnlIn(here);
    EXPECT_THAT(rtnl.GetLink("lo", 0), FailsWith(EINVAL)) << "control: before";
    EXPECT_THAT(rtnl.GetNsid(ByNsid(0)), FailsWith(ENOENT)) << "control: before";
    auto peer = oracle.Create();
    ASSERT_OK(rtnl.NewNsid(ByFd(peer.fd()), asked));
    EXPECT_THAT(IdOf(rtnl, ByFd(peer.fd())), Holds(0));
    EXPECT_THAT(IdOf(rtnl, ByNsid(0)), Holds(0));
    EXPECT_THAT(Ids(rtnl), ElementsAre(0));
    EXPECT_OK(rtnl.GetLink("lo", 0)) << "it leads to the peer";
    for (int id : {0, 1, -1}) EXPECT_THAT(rtnl.NewNsid(ByFd(peer.fd()), id), FailsWith(EEXIST)) << "the peer has an id; asked for " << id;
    EXPECT_THAT(rtnl.NewNsid(ByFd(other.fd()), 0), FailsWith(EEXIST)) << "the number is taken";
    EXPECT_THAT(IdOf(rtnl, ByFd(other.fd())), Holds(-1)) << "a refused request took effect";
    auto monitor = SETUP_OK(RtnlMonitor::In(here, {RTNLGRP_NSID, RTNLGRP_LINK}));
    peer.Release();
    ASSERT_OK(oracle.WaitUntilFreed());
    std::vector<int> told;
    for (const Message& message : SETUP_OK(monitor.ThroughFence()))
      if (message.type() == RTM_DELNSID) told.push_back(ReadNsid(message).nsid);
    EXPECT_THAT(told, ElementsAre(0)) << "RTM_DELNSID";
    EXPECT_THAT(Ids(rtnl), IsEmpty());
    EXPECT_THAT(rtnl.GetNsid(ByNsid(0)), FailsWith(ENOENT));
    ASSERT_OK(rtnl.NewNsid(ByFd(other.fd()), -1));
    EXPECT_THAT(IdOf(rtnl, ByFd(other.fd())), Holds(0)) << "the lowest number is free again";
  }
}

// ip-netns(8): ids are those of the namespace that assigned them. A kernel that forgets about namespaces looks in the initial one.
NETNS_TEST(Nsid, IdsOfTheInitialNamespaceMeanNothingElsewhere, Covers("NSID-05", "NSID-07", "NLK-07"), Needs(Machine())) {
  constexpr int kId = 424242;
  auto peer = NetNamespace::Create(), other = NetNamespace::Create();
  auto nested = other.In([] { return NetNamespace::Create(); });
  auto initial = RtnlIn(InitialNetNamespace());
  SETUP_OK(initial.NewNsid(ByFd(peer.fd()), kId));
  EXPECT_OK(initial.GetLink("lo", kId)) << "control: the initial namespace knows the id";
  for (const NetNamespace* where : {&other, &nested}) {
    auto rtnl = RtnlIn(*where);
    EXPECT_THAT(rtnl.GetLink("lo", kId), FailsWith(EINVAL)) << "an id of the initial namespace reached its peer from another one";
    EXPECT_THAT(rtnl.Links({.target_nsid = kId}), FailsWith(EINVAL)) << "an id of the initial namespace reached its peer from another one";
    EXPECT_FALSE(rtnl.GetNsid(ByNsid(kId)).ok()) << "an id of the initial namespace was found in another one";
    EXPECT_THAT(rtnl.GetNsid(ByFd(peer.fd()), kId), FailsWith(EINVAL));
    EXPECT_FALSE(rtnl.MoveLink("lo", ByNsid(kId)).ok());
    EXPECT_THAT(IdOf(rtnl, ByFd(peer.fd())), Holds(-1)) << "the peer has no id here";
    EXPECT_THAT(Ids(rtnl), testing::Not(testing::Contains(kId)));
    SETUP_OK(rtnl.NewNsid(ByFd(where->fd()), kId));
    EXPECT_THAT(IdOf(rtnl, ByFd(where->fd())), Holds(kId)) << "the same number can be given here";
  }
}

NETNS_TEST(Nsid, IdsAreRelativeToWhoAssignedThem, Covers("NSID-05", "NSID-07", "NSID-08")) {
  auto here = NetNamespace::Create(), foo = NetNamespace::Create(), bar = NetNamespace::Create();
  auto rtnl = RtnlIn(here), in_foo = RtnlIn(foo), in_bar = RtnlIn(bar);
  SETUP_OK(rtnl.NewNsid(ByFd(foo.fd()), 12));
  SETUP_OK(rtnl.NewNsid(ByFd(bar.fd()), 13));
  EXPECT_THAT(IdOf(in_foo, ByFd(here.fd())), Holds(-1)) << "assignment is not symmetric";
  EXPECT_THAT(IdOf(in_foo, ByFd(bar.fd())), Holds(-1));
  SETUP_OK(in_foo.NewNsid(ByFd(bar.fd()), 23));
  EXPECT_THAT(IdOf(rtnl, ByFd(bar.fd())), Holds(13));
  EXPECT_THAT(IdOf(in_foo, ByFd(bar.fd())), Holds(23));
  EXPECT_THAT(IdOf(in_bar, ByFd(here.fd())), Holds(-1));
  EXPECT_THAT(Ids(in_bar), IsEmpty());
  // Translation: the man page's example.
  auto translated = rtnl.GetNsid(ByNsid(13), 12);
  ASSERT_OK(translated);
  EXPECT_EQ(translated->nsid, 23) << "the id in the target";
  EXPECT_THAT(translated->current_nsid, testing::Optional(13)) << "the id here";
  // The peer may be named in every way; an id that one of the two has none of is -1; without a target there is no second id.
  Actor in_bar_too = bar.StartActor("member");
  auto stranger = NetNamespace::Create(), known_there = NetNamespace::Create();
  SETUP_OK(in_foo.NewNsid(ByFd(known_there.fd()), 24));
  struct {
    const char* which;
    NsRef peer;
    int there, current;
  } rows[] = {{"bar by descriptor", ByFd(bar.fd()), 23, 13},
              {"bar by pid", ByPid(in_bar_too.pid()), 23, 13},
              {"foo itself, of which only the caller knows", ByFd(foo.fd()), -1, 12},
              {"one that only the target knows", ByFd(known_there.fd()), 24, -1},
              {"one that neither knows", ByFd(stranger.fd()), -1, -1}};
  for (const auto& [which, peer, there, current] : rows) {
    SCOPED_TRACE(which);
    auto asked = rtnl.GetNsid(peer, 12), plain = rtnl.GetNsid(peer);
    ASSERT_OK(asked);
    EXPECT_EQ(asked->nsid, there) << "the id in the target";
    EXPECT_THAT(asked->current_nsid, testing::Optional(current)) << "the id here";
    ASSERT_OK(plain);
    EXPECT_EQ(plain->nsid, current) << "control: without a target";
    EXPECT_FALSE(plain->current_nsid.has_value()) << "NETNSA_CURRENT_NSID without a target";
  }
  std::map<int, std::optional<int>> listed;
  for (const NsidEntry& entry : SETUP_OK(rtnl.Nsids(12))) listed[entry.nsid] = entry.current_nsid;
  EXPECT_EQ(listed, (std::map<int, std::optional<int>>{{23, 13}, {24, -1}})) << "the dump of a target gives both ids";
  for (const NsidEntry& entry : SETUP_OK(rtnl.Nsids())) EXPECT_FALSE(entry.current_nsid.has_value()) << "NETNSA_CURRENT_NSID without a target";
  EXPECT_THAT(Ids(rtnl, 12), UnorderedElementsAre(23, 24)) << "the dump of a target";
  EXPECT_THAT(rtnl.Nsids(99), FailsWith(EINVAL)) << "the dump of an unknown target";
  EXPECT_THAT(Ids(rtnl), UnorderedElementsAre(12, 13)) << "control: our own";
  EXPECT_THAT(rtnl.GetNsid(ByNsid(13), 99), FailsWith(EINVAL)) << "an unknown target";
  EXPECT_THAT(rtnl.GetLink("lo", 23), FailsWith(EINVAL)) << "another namespace's id means nothing here";
}

NETNS_TEST(Nsid, IdsThatWereNotAssignedHereMeanNothing, Covers("NSID-05")) {
  auto here = NetNamespace::Create(), peer = NetNamespace::Create();
  auto rtnl = RtnlIn(here);
  for (int id = 0; id < 8; ++id) EXPECT_THAT(rtnl.GetLink("lo", id), FailsWith(EINVAL)) << "id " << id << " was never assigned here";
  SETUP_OK(rtnl.NewNsid(ByFd(peer.fd()), 5));
  EXPECT_OK(rtnl.GetLink("lo", 5)) << "control";
}

NETNS_TEST(Nsid, MalformedRequestsAreRefused, Covers("NSID-06", "NSID-11")) {
  auto here = NetNamespace::Create(), peer = NetNamespace::Create();
  auto rtnl = RtnlIn(here);
  Fd null = SETUP_OK(Open("/dev/null", O_RDONLY)), uts = SETUP_OK(Open("/proc/self/ns/uts", O_RDONLY));
  EXPECT_THAT(rtnl.NewNsid(ByFd(uts.get()), 5), FailsWith(EINVAL)) << "a namespace of another type";
  EXPECT_THAT(rtnl.NewNsid(ByFd(null.get()), 5), FailsWith(EINVAL)) << "a device";
  EXPECT_THAT(rtnl.NewNsid(ByFd(9999), 5), FailsWith(EBADF));
  EXPECT_THAT(rtnl.NewNsid(ByPid(0x3fffff), 5), FailsWith(ESRCH));
  Actor zombie = Actor::Start("zombie", CLONE_NEWNET);
  zombie.Kill(/*leave_zombie=*/true);
  EXPECT_THAT(rtnl.NewNsid(ByPid(zombie.pid()), 5), FailsWith(ESRCH)) << "a zombie is in no namespace";
  EXPECT_THAT(IdOf(rtnl, ByPid(zombie.pid())), FailsWith(ESRCH)) << "a zombie is in no namespace";
  zombie.Reap();
  EXPECT_THAT(rtnl.GetNsid(ByNsid(77)), FailsWith(ENOENT)) << "an unknown id";
  EXPECT_THAT(rtnl.GetNsid(ByNsid(-1)), FailsWith(ENOENT)) << "no id";
  // A question is examined like an assignment.
  EXPECT_THAT(IdOf(rtnl, ByFd(uts.get())), FailsWith(EINVAL)) << "asked for a namespace of another type";
  EXPECT_THAT(IdOf(rtnl, ByFd(null.get())), FailsWith(EINVAL)) << "asked for a device";
  EXPECT_THAT(IdOf(rtnl, ByFd(9999)), FailsWith(EBADF)) << "asked for a descriptor that is not open";
  EXPECT_THAT(IdOf(rtnl, ByPid(0x3fffff)), FailsWith(ESRCH)) << "asked for a process that there is not";
  auto send = [&](std::uint16_t type, bool id, bool reference) {
    Request request(type);
    request.Header(rtgenmsg{});
    if (id) request.S32(NETNSA_NSID, 5);
    if (reference) request.Fd(NETNSA_FD, peer.fd());
    return rtnl.socket().Ack(request);
  };
  EXPECT_THAT(send(RTM_NEWNSID, false, true), FailsWith(EINVAL)) << "without an id";
  EXPECT_THAT(send(RTM_NEWNSID, true, false), FailsWith(EINVAL)) << "without a reference";
  EXPECT_THAT(send(RTM_GETNSID, false, false), FailsWith(EINVAL)) << "a question without a reference";
  EXPECT_THAT(Ids(rtnl), IsEmpty()) << "a refused request took effect";
  EXPECT_OK(send(RTM_NEWNSID, true, true)) << "control";
  EXPECT_THAT(send(RTM_DELNSID, true, true), FailsWith(EOPNOTSUPP)) << "ids cannot be deleted by request";
  EXPECT_THAT(Ids(rtnl), ElementsAre(5));
}

NETNS_TEST(Nsid, TheKernelAllocatesAndAnnouncesWhenItNeedsOne, Covers("NSID-09"), Needs(Config("VETH"))) {
  auto here = NetNamespace::Create(), there = NetNamespace::Create(), stranger = NetNamespace::Create();
  auto rtnl = RtnlIn(here);
  auto monitor = SETUP_OK(RtnlMonitor::In(here, {RTNLGRP_NSID, RTNLGRP_LINK}));
  SETUP_OK(rtnl.AddVeth("west", PeerSpec{.name = "east", .netns_fd = there.fd()}));
  auto link = SETUP_OK(rtnl.LinkByName("west"));
  ASSERT_TRUE(link.link_netnsid.has_value());
  EXPECT_THAT(IdOf(rtnl, ByFd(there.fd())), Holds(*link.link_netnsid));
  EXPECT_THAT(IdOf(rtnl, ByFd(stranger.fd())), Holds(-1)) << "control: nothing in common, no id";
  std::vector<int> announced;
  for (const Message& message : SETUP_OK(monitor.ThroughFence()))
    if (message.type() == RTM_NEWNSID) announced.push_back(ReadNsid(message).nsid);
  EXPECT_THAT(announced, ElementsAre(*link.link_netnsid)) << "RTM_NEWNSID";
}

// A device that leaves needs an id for where it goes, and one whose peer is left behind one for where it came from.
NETNS_TEST(Nsid, AMoveAllocatesAndAnnouncesIds, Covers("NSID-09"), Needs(Config("VETH"))) {
  auto here = NetNamespace::Create();
  Actor member = Actor::Start("member", CLONE_NEWNET);
  auto by_fd = NetNamespace::Create(), by_pid = SETUP_OK(NetNamespace::OfPid(member.pid())), stranger = NetNamespace::Create();
  auto rtnl = RtnlIn(here);
  for (const char* name : {"first", "second"}) SETUP_OK(rtnl.AddVeth(name, (std::string(name) + "p").c_str()));
  EXPECT_THAT(Ids(rtnl), IsEmpty()) << "control: nothing that crosses, no id";
  struct {
    const char* device;
    const NetNamespace& target;
    NsRef ref;
  } rows[] = {{"first", by_fd, ByFd(by_fd.fd())}, {"second", by_pid, ByPid(member.pid())}};
  for (const auto& [device, target, ref] : rows) {
    SCOPED_TRACE(ref.ToString());
    auto there = RtnlIn(target);
    auto left = SETUP_OK(RtnlMonitor::In(here, {RTNLGRP_NSID, RTNLGRP_LINK})), arrived = SETUP_OK(RtnlMonitor::In(target, {RTNLGRP_NSID, RTNLGRP_LINK}));
    EXPECT_THAT(IdOf(rtnl, ref), Holds(-1)) << "control: before";
    SETUP_OK(rtnl.MoveLink(device, ref));
    const int id = SETUP_OK(IdOf(rtnl, ref)), back = SETUP_OK(IdOf(there, ByFd(here.fd())));
    EXPECT_GE(id, 0) << "the namespace that a device went to has no id in that which it left";
    EXPECT_GE(back, 0) << "the namespace of the peer has no id where the device arrived";
    auto announced = [](RtnlMonitor& monitor) {
      std::vector<int> ids;
      for (const Message& message : SETUP_OK(monitor.ThroughFence()))
        if (message.type() == RTM_NEWNSID) ids.push_back(ReadNsid(message).nsid);
      return ids;
    };
    EXPECT_THAT(announced(left), ElementsAre(id)) << "RTM_NEWNSID where the device left";
    EXPECT_THAT(announced(arrived), ElementsAre(back)) << "RTM_NEWNSID where the device arrived";
  }
  EXPECT_THAT(IdOf(rtnl, ByFd(stranger.fd())), Holds(-1)) << "control: one that has nothing in common with it";
  EXPECT_EQ(Ids(rtnl).size(), 2u);
}

// More ids than go into one message.
NETNS_TEST(Nsid, ADumpOfManyListsEachOnce, Covers("NSID-08"), Needs(UserNs()), Full{}, Within{std::chrono::seconds(120)}) {
  constexpr int kMany = 160, kFirst = 1000;  // the first message of a new socket has room for some 130
  auto here = NetNamespace::Create(), observer = NetNamespace::Create();
  std::vector<NetNamespace> others;
  std::vector<int> expected;
  {
    auto rtnl = RtnlIn(here);
    for (int i = 0; i < kMany; ++i) {
      others.push_back(NetNamespace::Create());
      expected.push_back(kFirst + i);
      SETUP_OK(rtnl.NewNsid(ByFd(others.back().fd()), expected.back()));
    }
  }
  auto fresh = RtnlIn(here);
  EXPECT_THAT(Ids(fresh), testing::UnorderedElementsAreArray(expected));
  SETUP_OK(RtnlIn(observer).NewNsid(ByFd(here.fd()), 3));
  auto asker = RtnlIn(observer);
  EXPECT_THAT(Ids(asker, 3), testing::UnorderedElementsAreArray(expected)) << "the dump of a target";
  EXPECT_THAT(Ids(asker), ElementsAre(3)) << "control: its own";
  // To free so many takes the kernel seconds, for which the tests after this one would have to wait.
  others.clear();
  FreedOracle fence;
  (void)fence.Create().Release();
  SETUP_OK(fence.WaitUntilFreed(Deadline::OfTest()));
}

NETNS_TEST(Nsid, AFreedPeerLosesItsIdEverywhere, Covers("NSID-10", "NSID-14"), Needs(UserNs())) {
  FreedOracle oracle;
  auto here = NetNamespace::Create(), second = NetNamespace::Create();
  auto rtnl = RtnlIn(here), in_second = RtnlIn(second);
  auto peer = oracle.Create();
  SETUP_OK(rtnl.NewNsid(ByFd(peer.fd()), 21));
  SETUP_OK(in_second.NewNsid(ByFd(peer.fd()), 22));
  auto monitor = SETUP_OK(RtnlMonitor::In(here, {RTNLGRP_NSID, RTNLGRP_LINK}));
  auto second_monitor = SETUP_OK(RtnlMonitor::In(second, {RTNLGRP_NSID, RTNLGRP_LINK}));
  auto deleted = [](RtnlMonitor& m) {
    std::vector<int> ids;
    for (const Message& message : SETUP_OK(m.ThroughFence()))
      if (message.type() == RTM_DELNSID) ids.push_back(ReadNsid(message).nsid);
    return ids;
  };
  EXPECT_THAT(deleted(monitor), IsEmpty()) << "control: a pinned peer keeps its id";
  EXPECT_THAT(Ids(rtnl), ElementsAre(21));
  peer.Release();
  ASSERT_OK(oracle.WaitUntilFreed()) << "an id is no pin";
  EXPECT_THAT(Ids(rtnl), IsEmpty());
  EXPECT_THAT(Ids(in_second), IsEmpty());
  EXPECT_THAT(deleted(monitor), ElementsAre(21)) << "RTM_DELNSID";
  EXPECT_THAT(deleted(second_monitor), ElementsAre(22)) << "RTM_DELNSID in the second namespace that had one";
  EXPECT_THAT(rtnl.GetNsid(ByNsid(21)), FailsWith(ENOENT));
  EXPECT_OK(rtnl.NewNsid(ByFd(second.fd()), 21)) << "the number can be used again";
}

// The kernel frees what has died meanwhile together: each of them loses its id, and each loss is told.
NETNS_TEST(Nsid, EachOfManyThatDieAtOnceIsAnnounced, Covers("NSID-10", "LIFE-32"), Needs(UserNs())) {
  constexpr int kMany = 12, kFirst = 300;
  auto here = NetNamespace::Create();
  auto rtnl = RtnlIn(here);
  auto monitor = SETUP_OK(RtnlMonitor::In(here, {RTNLGRP_NSID, RTNLGRP_LINK}));
  std::set<int> told;
  const auto listen = [&] {
    for (const Message& message : SETUP_OK(monitor.ThroughFence()))
      if (message.type() == RTM_DELNSID && !told.insert(ReadNsid(message).nsid).second) ADD_FAILURE() << "told twice: id " << ReadNsid(message).nsid;
    return told.size() == kMany;
  };
  std::vector<NetNamespace> mortal;
  for (int i = 0; i < kMany; ++i) {
    mortal.push_back(NetNamespace::Create());
    SETUP_OK(rtnl.NewNsid(ByFd(mortal.back().fd()), kFirst + i));
  }
  EXPECT_FALSE(listen()) << "control: they are alive";
  EXPECT_THAT(told, IsEmpty()) << "control: they are alive";
  mortal.clear();
  EXPECT_OK(Eventually("RTM_DELNSID of each of them", listen, Deadline::OfKernelWork(),
                       [&] { return "told so far: " + testing::PrintToString(told); }));
  EXPECT_THAT(Ids(rtnl), IsEmpty());
}

NETNS_TEST(Nsid, AssignmentNeedsCapNetAdminAndQueriesDoNot, Covers("NSID-12"), Needs(UserNs())) {
  auto peer = NetNamespace::Create();
  Actor nobody = StartUnprivileged("nobody");
  nobody.Run([&] {
    auto rtnl = SETUP_OK(Rtnl::Open());
    EXPECT_THAT(rtnl.NewNsid(ByFd(peer.fd()), 5), FailsWith(EPERM));
    EXPECT_THAT(rtnl.NewNsid(ByFd(peer.fd()), -1), FailsWith(EPERM)) << "automatically";
    EXPECT_THAT(rtnl.NewNsid(ByPid(::getpid()), 6), FailsWith(EPERM)) << "for itself";
    EXPECT_THAT(IdOf(rtnl, ByFd(peer.fd())), Holds(-1)) << "a query is answered";
    EXPECT_THAT(IdOf(rtnl, ByPid(::getpid())), Holds(-1)) << "a query by pid is answered";
    EXPECT_THAT(rtnl.Nsids(), Succeeds()) << "a dump is answered";
  });
  EXPECT_OK(SETUP_OK(Rtnl::Open()).NewNsid(ByFd(peer.fd()), 5)) << "control";
  for (const NsRef& ref : {ByFd(peer.fd()), ByNsid(5)})
    EXPECT_THAT(nobody.Run([&] { auto rtnl = SETUP_OK(Rtnl::Open()); return IdOf(rtnl, ref); }), Holds(5)) << ref.ToString();
  EXPECT_THAT(nobody.Run([&] { auto rtnl = SETUP_OK(Rtnl::Open()); return Ids(rtnl); }), ElementsAre(5)) << "a dump tells everybody";
}

NETNS_TEST(Nsid, ANamespaceCanHaveAnIdForItself, Covers("NSID-13", "NSID-08")) {
  auto here = NetNamespace::Create();
  auto rtnl = RtnlIn(here);
  EXPECT_THAT(rtnl.GetLink("lo", 77), FailsWith(EINVAL)) << "control: without assignment";
  ASSERT_OK(rtnl.NewNsid(ByFd(here.fd()), 77));
  EXPECT_THAT(IdOf(rtnl, ByFd(here.fd())), Holds(77));
  EXPECT_THAT(Ids(rtnl), ElementsAre(77)) << "the dump lists it, too";
  EXPECT_OK(rtnl.GetLink("lo", 77));
  EXPECT_THAT(rtnl.NewNsid(ByFd(here.fd()), 78), FailsWith(EEXIST)) << "it has one";
  // Wherever an id is accepted, it is the namespace itself.
  SETUP_OK(rtnl.AddAddress("192.0.2.77/32", "lo"));
  EXPECT_THAT(rtnl.Links({.target_nsid = 77}), Holds(testing::SizeIs(SETUP_OK(rtnl.Links()).size())));
  EXPECT_THAT(rtnl.Addresses({.family = AF_INET, .target_nsid = 77}), Holds(testing::SizeIs(1)));
  EXPECT_THAT(Ids(rtnl, 77), ElementsAre(77)) << "a dump of itself as the target";
  auto translated = rtnl.GetNsid(ByNsid(77), 77);
  ASSERT_OK(translated);
  EXPECT_EQ(translated->nsid, 77);
  EXPECT_THAT(translated->current_nsid, testing::Optional(77));
  AddAnyLink(rtnl, "own");
  EXPECT_OK(rtnl.GetLink("own", 77));
  // News of its own carry no id, also for who hears all namespaces.
  auto monitor = SETUP_OK(RtnlMonitor::In(here, {RTNLGRP_LINK}, {.all_nsids = true}));
  SETUP_OK(rtnl.Up("own"));
  bool told = false;
  for (const Message& message : SETUP_OK(monitor.ThroughFence())) {
    if (message.type() != RTM_NEWLINK || ReadLink(message).name != "own" || !ReadLink(message).up()) continue;
    told = true;
    EXPECT_FALSE(message.nsid().has_value()) << "the own namespace's news carry its id";
  }
  EXPECT_TRUE(told) << "control: the change is told";
  EXPECT_OK(rtnl.DeleteLink("own", 77));
  EXPECT_THAT(rtnl.LinkByName("own"), FailsWith(ENODEV)) << "deleted through its own id";
}

}  // namespace
}  // namespace netns
