// SPDX-License-Identifier: GPL-2.0-or-later
// PHYS: physical network devices. network_namespaces(7): "A physical network device can live in exactly one network
// namespace. When a network namespace is freed [...], its physical network devices are moved back to the initial network
// namespace (not to the parent of the process)."
//
// Each scenario runs for each driver whose card this machine has two of. Cards 1 and 2 of a model are on one wire.
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "fixtures/net_namespace.h"
#include "fixtures/nic.h"
#include "fixtures/rtnl.h"
#include "fixtures/user_namespace.h"
#include "harness/assertions.h"
#include "harness/registration.h"
#include "suites/support/features.h"
#include "suites/support/phys.h"
#include "suites/support/uppers.h"

namespace netns {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

// --- PHYS-01, PHYS-02 ---------------------------------------------------------------------------------------------

void IsInExactlyOneNamespaceAfterEachMove() {
  auto nics = PhysicalNic::Leased();
  const PhysicalNic& nic = nics[0];
  auto initial = InitialNetNamespace();
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  Places places{{"init", &initial}, {"a", &a}, {"b", &b}};
  EXPECT_THAT(places.Holding(nic), ElementsAre("init")) << "control: before the move it is in the initial namespace";

  ASSERT_OK(nic.MoveTo(a));
  EXPECT_THAT(places.Holding(nic), ElementsAre("a"));
  Rtnl in_a = SETUP_OK(Rtnl::In(a));
  ASSERT_OK_AND_ASSIGN(Link inside, in_a.LinkByName(nic.name()));
  EXPECT_EQ(nic.mac(), inside.address);
  EXPECT_FALSE(inside.up()) << "a device is administratively down after a move";
  EXPECT_THAT(DriverOf(a, nic.name()), Holds(nic.driver()));

  ASSERT_OK(in_a.MoveLink(nic.name(), ByFd(b.fd())));
  EXPECT_THAT(places.Holding(nic), ElementsAre("b"));
  Rtnl in_b = SETUP_OK(Rtnl::In(b));
  ASSERT_OK(in_b.MoveLink(nic.name(), ByFd(initial.fd())));
  EXPECT_THAT(places.Holding(nic), ElementsAre("init"));
  // The other card never moved: it was in the initial namespace throughout.
  EXPECT_THAT(places.Holding(nics[1]), ElementsAre("init"));
}

void CanBeMovedByPid() {
  auto nics = PhysicalNic::Leased();
  auto initial = InitialNetNamespace();
  Actor member = NetNamespace::Create().StartActor("member");
  auto ns = SETUP_OK(NetNamespace::OfPid(member.pid()));
  Rtnl in_initial = SETUP_OK(Rtnl::In(initial));
  EXPECT_THAT(in_initial.MoveLink("lo", ByPid(member.pid())), FailsWith(EINVAL)) << "control: lo cannot be moved";
  ASSERT_OK(in_initial.MoveLink(nics[0].name(), ByPid(member.pid())));
  EXPECT_THAT((Places{{"init", &initial}, {"member", &ns}}.Holding(nics[0])), ElementsAre("member"));
}

// --- PHYS-03 to PHYS-07: the return -------------------------------------------------------------------------------

void ReturnsWhenTheLastProcessEnds() {
  auto nics = PhysicalNic::Leased();
  const PhysicalNic& nic = nics[0];
  auto initial = InitialNetNamespace();
  Actor member = Actor::Start("member");
  SETUP_OK(member.Unshare(CLONE_NEWNET));
  Rtnl in_initial = SETUP_OK(Rtnl::In(initial));
  // Moved by pid: nothing but the process pins its namespace.
  SETUP_OK(in_initial.MoveLink(nic.name(), ByPid(member.pid())));
  EXPECT_THAT(nic.InInitial(), FailsWith(ENODEV)) << "control: it is away while the process lives";
  // A veth pair dies in the same teardown, its peer in the initial namespace with it.
  SETUP_OK(in_initial.AddVeth(Own("outer", nic), PeerSpec{.name = Own("inner", nic), .netns_pid = member.pid()}));
  member.Kill();
  ASSERT_OK_AND_ASSIGN(Link back, nic.WaitUntilBack());
  EXPECT_EQ(nic.name(), back.name);
  EXPECT_EQ(nic.mac(), back.address);
  EXPECT_FALSE(back.up());
  EXPECT_EVENTUALLY("the veth peer in the initial namespace to be destroyed with the namespace",
                    [&] { return in_initial.LinkByName(Own("outer", nic)).code() == ENODEV; });
  EXPECT_THAT(in_initial.LinkByName(Own("inner", nic)), FailsWith(ENODEV)) << "a veth end must not move to the initial namespace";
}

void ReturnsToTheInitialNamespaceNotToTheParent() {
  auto nics = PhysicalNic::Leased();
  const PhysicalNic& nic = nics[0];
  auto initial = InitialNetNamespace();
  for (int depth : {2, 3, 5}) {
    SCOPED_TRACE("nesting depth " + std::to_string(depth));
    // Each namespace is made by a process of the one before.
    std::vector<Actor> chain;
    std::vector<NetNamespace> levels;
    for (int level = 0; level < depth; ++level) {
      auto make = [&] {
        Actor actor = Actor::Start("level" + std::to_string(level));
        SETUP_OK(actor.Unshare(CLONE_NEWNET));
        return actor;
      };
      chain.push_back(chain.empty() ? make() : chain.back().Run(make));
    }
    Places places{{"init", &initial}};
    for (int level = 0; level + 1 < depth; ++level) {
      levels.push_back(SETUP_OK(NetNamespace::OfPid(chain[static_cast<std::size_t>(level)].pid())));
    }
    for (std::size_t level = 0; level < levels.size(); ++level)
      places.Add("level" + std::to_string(level), &levels[level]);
    // Through every level down to the innermost.
    SETUP_OK(nic.MoveTo(levels[0]));
    EXPECT_THAT(places.Holding(nic), ElementsAre("level0")) << "control: an explicit move does put it into the parent's";
    for (std::size_t level = 1; level < levels.size(); ++level)
      SETUP_OK(SETUP_OK(Rtnl::In(levels[level - 1])).MoveLink(nic.name(), ByFd(levels[level].fd())));
    Rtnl last = SETUP_OK(Rtnl::In(levels.back()));
    SETUP_OK(last.MoveLink(nic.name(), ByPid(chain.back().pid())));
    EXPECT_THAT(places.Holding(nic), IsEmpty());
    // An actor is a child of the process that started it: it must be ended there.
    Actor& parent = chain[chain.size() - 2];
    parent.Run([&] { chain.back().Kill(); });
    ASSERT_OK(nic.WaitUntilBack());
    EXPECT_THAT(places.Holding(nic), ElementsAre("init")) << "it must not go to a namespace of a parent that still lives";
    while (!chain.empty()) {
      if (chain.size() > 1)
        chain[chain.size() - 2].Run([&] { chain.back().Kill(); });
      else
        chain.back().Kill();
      chain.pop_back();
    }
  }
}

void StaysAwayWhileTheNamespaceIsPinned() {
  auto nics = PhysicalNic::Leased();
  const PhysicalNic& nic = nics[0];
  const PhysicalNic& unpinned = nics[1];
  struct Pin {
    const char* what;
    std::function<std::function<void()>(const Actor&)> take;  // gives how to release it
  };
  const std::vector<Pin> pins{
      {"a descriptor of /proc/PID/ns/net",
       [](const Actor& member) {
         auto fd = std::make_shared<Fd>(SETUP_OK(Open(member.Proc("ns/net"), O_RDONLY)));
         return std::function<void()>([fd] { fd->Reset(); });
       }},
      {"a bind mount",
       [](const Actor& member) {
         SETUP_OK(Open("/tmp/pin", O_CREAT | O_RDONLY, 0600));
         if (::mount(member.Proc("ns/net").c_str(), "/tmp/pin", nullptr, MS_BIND, nullptr) < 0)
           SETUP_OK(Status(ErrnoError("mount(MS_BIND)")));
         return std::function<void()>([] { ::umount2("/tmp/pin", MNT_DETACH); });
       }},
      {"a socket",
       [](const Actor& member) {
         auto ns = SETUP_OK(NetNamespace::OfPid(member.pid()));
         auto socket = std::make_shared<Fd>(SETUP_OK(ns.Socket(AF_INET, SOCK_DGRAM)));
         return std::function<void()>([socket] { socket->Reset(); });
       }},
      {"another process",
       [](const Actor& member) {
         auto ns = SETUP_OK(NetNamespace::OfPid(member.pid()));
         auto other = std::make_shared<Actor>(ns.StartActor("other"));
         return std::function<void()>([other] { other->Kill(); });
       }},
      {"a descriptor in flight in an SCM_RIGHTS message",
       [](const Actor& member) {
         auto pair = std::make_shared<std::pair<Fd, Fd>>(SETUP_OK(SocketPair(SOCK_STREAM)));
         Fd fd = SETUP_OK(Open(member.Proc("ns/net"), O_RDONLY));
         SETUP_OK(SendFd(pair->first.get(), fd.get()));
         return std::function<void()>([pair] {
           pair->first.Reset();
           pair->second.Reset();
         });
       }},
      {"a socket in flight in an SCM_RIGHTS message",
       [](const Actor& member) {
         auto pair = std::make_shared<std::pair<Fd, Fd>>(SETUP_OK(SocketPair(SOCK_STREAM)));
         auto ns = SETUP_OK(NetNamespace::OfPid(member.pid()));
         Fd socket = SETUP_OK(ns.Socket(AF_INET, SOCK_STREAM));
         SETUP_OK(SendFd(pair->first.get(), socket.get()));
         return std::function<void()>([pair] {
           pair->first.Reset();
           pair->second.Reset();
         });
       }},
      {"a descriptor queued on a socket that only its own queue holds, until the kernel collects it",
       [](const Actor& member) {
         auto pair = std::make_shared<std::pair<Fd, Fd>>(SETUP_OK(SocketPair(SOCK_DGRAM)));
         SETUP_OK(SendFd(pair->first.get(), SETUP_OK(Open(member.Proc("ns/net"), O_RDONLY)).get()));
         SETUP_OK(SendFd(pair->first.get(), pair->second.get()));
         return std::function<void()>([pair] {
           pair->second.Reset();
           pair->first.Reset();  // a socket that is closed sets the collector to work
         });
       }}};
  Rtnl in_initial = SETUP_OK(Rtnl::In(InitialNetNamespace()));
  for (const Pin& pin : pins) {
    SCOPED_TRACE(std::string("pinned by ") + pin.what);
    Actor member = Actor::Start("member");
    SETUP_OK(member.Unshare(CLONE_NEWNET));
    SETUP_OK(in_initial.MoveLink(nic.name(), ByPid(member.pid())));
    auto release = pin.take(member);
    // The fence: a namespace that is not pinned, freed after this one lost its last process, gives its card back.
    Actor fence = Actor::Start("fence");
    SETUP_OK(fence.Unshare(CLONE_NEWNET));
    SETUP_OK(in_initial.MoveLink(unpinned.name(), ByPid(fence.pid())));
    member.Kill();
    fence.Kill();
    ASSERT_OK(unpinned.WaitUntilBack()) << "control: without a pin the card returns at once";
    EXPECT_THAT(nic.InInitial(), FailsWith(ENODEV)) << "it must stay away while the namespace is pinned";
    release();
    ASSERT_OK(nic.WaitUntilBack()) << "it must return when the pin is gone";
  }
}

void SeveralReturnTogether() {
  auto nics = PhysicalNic::Leased();
  auto initial = InitialNetNamespace();
  Rtnl in_initial = SETUP_OK(Rtnl::In(initial));
  std::vector<std::string> names;
  for (const auto& nic : nics) names.push_back(nic.name());
  {
    Actor member = Actor::Start("member");
    SETUP_OK(member.Unshare(CLONE_NEWNET));
    for (const auto& nic : nics) SETUP_OK(in_initial.MoveLink(nic.name(), ByPid(member.pid())));
    for (const auto& nic : nics) EXPECT_THAT(nic.InInitial(), FailsWith(ENODEV));
    ReturnsTold told(initial, names);
    told.ExpectNone();
    member.Kill();
    for (const auto& nic : nics) {
      ASSERT_OK_AND_ASSIGN(Link back, nic.WaitUntilBack());
      EXPECT_EQ(nic.mac(), back.address) << "every card of the freed namespace returns, each as itself";
      EXPECT_EQ(nic.name(), back.name);
    }
    told.ExpectAll();
  }
  {
    std::vector<Actor> members;
    for (const auto& nic : nics) {
      members.push_back(Actor::Start("member"));
      SETUP_OK(members.back().Unshare(CLONE_NEWNET));
      SETUP_OK(in_initial.MoveLink(nic.name(), ByPid(members.back().pid())));
    }
    ReturnsTold told(initial, names);
    told.ExpectNone();
    for (Actor& member : members) member.Kill();
    for (const auto& nic : nics) ASSERT_OK(nic.WaitUntilBack()) << "from two namespaces freed at the same time";
    told.ExpectAll();
  }
}

// --- PHYS-08 to PHYS-14: in which state ---------------------------------------------------------------------------

void KeepsANameGivenInsideIfItIsFree() {
  auto nics = PhysicalNic::Leased();
  auto ns = NetNamespace::Create();
  SETUP_OK(nics[0].MoveTo(ns));
  ASSERT_OK(SETUP_OK(Rtnl::In(ns)).Rename(nics[0].name(), Own("renamed", nics[0])));
  Free(std::move(ns));
  ASSERT_OK_AND_ASSIGN(Link back, nics[0].WaitUntilBack());
  EXPECT_EQ(Own("renamed", nics[0]), back.name);
}

void ReturnsAsDevIfindexWhenItsNameIsTaken() {
  auto nics = PhysicalNic::Leased();
  auto initial = InitialNetNamespace();
  Rtnl in_initial = SETUP_OK(Rtnl::In(initial));
  struct {
    const char* which;
    bool dev_taken_too, as_altnames;  // a name is taken by an altname, too
  } rows[] = {{"only its name taken", false, false}, {"dev<ifindex> taken too", true, false},
              {"only its name taken, as an altname", false, true}, {"dev<ifindex> taken too, as altnames", true, true}};
  for (const auto& [which, dev_taken_too, as_altnames] : rows) {
    SCOPED_TRACE(which);
    auto ns = NetNamespace::Create();
    // Renamed first, so that the card's own name stays free for the other cases.
    SETUP_OK(nics[0].MoveTo(ns, {.new_name = Own("clash", nics[0])}));
    Link inside = SETUP_OK(SETUP_OK(Rtnl::In(ns)).LinkByName(Own("clash", nics[0])));
    Bystander other(in_initial, as_altnames ? Own("other", nics[0]) : Own("clash", nics[0]));
    if (as_altnames) SETUP_OK(in_initial.AddAltname(other.index(), Own("clash", nics[0])));
    std::string fallback = "dev" + std::to_string(inside.index);
    std::optional<Bystander> second;
    if (dev_taken_too && as_altnames) SETUP_OK(in_initial.AddAltname(other.index(), fallback));
    if (dev_taken_too && !as_altnames) second.emplace(in_initial, fallback);
    Free(std::move(ns));
    ASSERT_OK_AND_ASSIGN(Link back, nics[0].WaitUntilBack());
    EXPECT_EQ(dev_taken_too ? "dev0" : fallback, back.name);
    EXPECT_EQ(nics[0].mac(), back.address);
    ASSERT_OK_AND_ASSIGN(Link bystander, in_initial.LinkByName(Own("clash", nics[0])));
    EXPECT_EQ(other.index(), bystander.index) << "the device that has the name keeps it";
    SETUP_OK(in_initial.Rename(back.index, nics[0].name()));
  }
}

void DropsOnlyAltnamesThatClash() {
  auto nics = PhysicalNic::Leased();
  // A card would keep for ever an altname under which nothing finds it, and the tests after this one with it.
  ASSERT_TRUE(AltnamesMove()) << "an altname is not found in the namespace that its device moved to (tried with a veth pair)";
  Rtnl in_initial = SETUP_OK(Rtnl::In(InitialNetNamespace()));
  const std::string kept = Own("kept", nics[0]), taken = Own("taken", nics[0]);
  enum class Clash { kNone, kWithAName, kWithAnAltname };
  for (Clash clash : {Clash::kNone, Clash::kWithAName, Clash::kWithAnAltname}) {
    SCOPED_TRACE(clash == Clash::kWithAName ? "one altname taken as a name" : clash == Clash::kWithAnAltname ? "one altname taken as an altname" : "control: none taken");
    auto ns = NetNamespace::Create();
    SETUP_OK(nics[0].MoveTo(ns));
    Rtnl inside = SETUP_OK(Rtnl::In(ns));
    SETUP_OK(inside.AddAltname(nics[0].name(), kept));
    SETUP_OK(inside.AddAltname(nics[0].name(), taken));
    std::optional<Bystander> other;
    if (clash == Clash::kWithAName) other.emplace(in_initial, taken);
    if (clash == Clash::kWithAnAltname) {
      other.emplace(in_initial, Own("other", nics[0]));
      SETUP_OK(in_initial.AddAltname(other->index(), taken));
    }
    Free(std::move(inside), std::move(ns));
    ASSERT_OK_AND_ASSIGN(Link back, nics[0].WaitUntilBack());
    if (clash != Clash::kNone) {
      EXPECT_THAT(back.altnames, ElementsAre(kept));
      EXPECT_THAT(in_initial.LinkByName(taken), Holds(Field(&Link::index, other->index()))) << "who has the name keeps it";
    } else {
      EXPECT_THAT(back.altnames, UnorderedElementsAre(kept, taken));
    }
    EXPECT_THAT(in_initial.LinkByName(kept), Holds(Field(&Link::index, back.index))) << "a kept altname resolves";
    for (const auto& altname : back.altnames) SETUP_OK(in_initial.DeleteAltname(back.index, altname));
  }
}

void TakesANewIfindexOnlyWhenItsOwnIsTaken() {
  auto nics = PhysicalNic::Leased();
  Rtnl in_initial = SETUP_OK(Rtnl::In(InitialNetNamespace()));
  {
    auto ns = NetNamespace::Create();
    SETUP_OK(nics[0].MoveTo(ns));
    Link inside = SETUP_OK(SETUP_OK(Rtnl::In(ns)).LinkByName(nics[0].name()));
    ASSERT_EQ(nics[0].index(), inside.index) << "an index that is free in the target is kept";
    Free(std::move(ns));
    ASSERT_OK_AND_ASSIGN(Link back, nics[0].WaitUntilBack());
    EXPECT_EQ(inside.index, back.index);
  }
  {
    auto ns = NetNamespace::Create();
    SETUP_OK(nics[0].MoveTo(ns));
    int old = SETUP_OK(SETUP_OK(Rtnl::In(ns)).LinkByName(nics[0].name())).index;
    Bystander other(in_initial, Own("index", nics[0]), old);
    ASSERT_EQ(old, other.index());
    Free(std::move(ns));
    ASSERT_OK_AND_ASSIGN(Link back, nics[0].WaitUntilBack());
    EXPECT_NE(old, back.index);
  }
}

void ReturnsDownAndWithoutLayer3State() {
  auto nics = PhysicalNic::Leased();
  auto initial = InitialNetNamespace();
  Rtnl in_initial = SETUP_OK(Rtnl::In(initial));
  auto ns = NetNamespace::Create();
  SETUP_OK(nics[0].MoveTo(ns));
  Rtnl inside = SETUP_OK(Rtnl::In(ns));
  SETUP_OK(inside.Up(nics[0].name()));
  SETUP_OK(inside.AddAddress("192.0.2.1/24", nics[0].name()));
  if (HasIpv6()) SETUP_OK(inside.AddAddress("2001:db8::1/64", nics[0].name(), {.nodad = true}));
  SETUP_OK(inside.AddRoute({.to = "198.51.100.0/24", .via = "192.0.2.2", .dev = nics[0].name()}));
  SETUP_OK(inside.AddNeighbour({.to = "192.0.2.9", .address = "02:00:00:00:00:09", .dev = nics[0].name()}));
  Link before = SETUP_OK(inside.LinkByName(nics[0].name()));
  EXPECT_TRUE(before.up()) << "control: it was up inside";
  EXPECT_THAT(inside.Addresses({.family = AF_INET, .index = before.index}), Holds(Not(IsEmpty()))) << "control";
  Free(std::move(inside), std::move(ns));
  ASSERT_OK_AND_ASSIGN(Link back, nics[0].WaitUntilBack());
  EXPECT_FALSE(back.up());
  EXPECT_THAT(in_initial.Addresses({.index = back.index}), Holds(IsEmpty()));
  EXPECT_THAT(in_initial.Routes({.dev = back.index}), Holds(IsEmpty()));
  ASSERT_OK_AND_ASSIGN(auto neighbours, in_initial.Neighbours());
  EXPECT_THAT(neighbours, Not(Contains(Field(&Neighbour::dev, back.index))));
  EXPECT_THAT(in_initial.Qdiscs(), Holds(Not(Contains(AllOf(Field(&Qdisc::dev, back.index), Field(&Qdisc::kind, "pfifo"))))));
  EXPECT_OK(in_initial.Up(back.index)) << "it is down, not out of use";
  (void)in_initial.Down(back.index).ok();
}

void KeepsItsLinkLayerAttributes() {
  auto nics = PhysicalNic::Leased();
  {
    auto ns = NetNamespace::Create();
    SETUP_OK(nics[0].MoveTo(ns));
    Free(std::move(ns));
    Link back = SETUP_OK(nics[0].WaitUntilBack());
    EXPECT_EQ(nics[0].mac(), back.address) << "control: what was not changed comes back as it was";
    EXPECT_EQ(1500u, back.mtu);
  }
  auto ns = NetNamespace::Create();
  SETUP_OK(nics[0].MoveTo(ns));
  Rtnl inside = SETUP_OK(Rtnl::In(ns));
  SETUP_OK(inside.SetLink(nics[0].name(), {.mtu = 1400, .address = "02:11:22:33:44:55", .alias = "conf alias", .promiscuous = true, .txqlen = 77}));
  Free(std::move(inside), std::move(ns));
  ASSERT_OK_AND_ASSIGN(Link back, nics[0].WaitUntilBack());
  EXPECT_EQ("02:11:22:33:44:55", back.address);
  EXPECT_EQ(1400u, back.mtu);
  EXPECT_EQ("conf alias", back.alias);
  EXPECT_EQ(77u, back.txqlen);
  EXPECT_TRUE(back.flags & IFF_PROMISC) << "promiscuous, as it was set inside";
  SETUP_OK(SETUP_OK(Rtnl::In(InitialNetNamespace())).SetLink(back.name, {.promiscuous = false}));
  if (!back.permanent_address.empty()) {
    EXPECT_EQ(nics[0].mac(), back.permanent_address) << "the factory address is still told";
  }
}

/// Offloads and other features that were asked for, or not, inside.
void KeepsItsFeatures() {
  auto nics = PhysicalNic::Leased();
  const NetNamespace initial = InitialNetNamespace();
  using Wish = std::map<std::string, bool>;
  const auto wishes = [](const NetNamespace& where, const std::string& name) {
    Wish requested;
    for (const auto& [feature, state] : DeviceFeatures(where, name).All())
      if (state.changeable) requested[feature] = state.requested;
    return requested;
  };
  const auto changes = [](const std::map<std::string, DeviceFeature>& before, const std::map<std::string, DeviceFeature>& after) {
    std::vector<std::string> changed;
    for (const auto& [feature, state] : before) {
      const DeviceFeature& now = after.at(feature);
      if (now.requested != state.requested) changed.push_back(feature + (now.requested ? ": asked for now" : ": not asked for any more"));
      if (now.active != state.active) changed.push_back(feature + (now.active ? ": on now" : ": off now"));
    }
    return changed;
  };
  const Wish at_first = wishes(initial, nics[0].name());
  Wish all_off, inverted;
  for (const auto& [feature, on] : at_first) {
    all_off[feature] = false;
    inverted[feature] = !on;
  }
  ASSERT_THAT(at_first, Contains(std::pair<const std::string, bool>("rx-gro", true))) << "control: of every card, in software";
  const struct {
    const char* what;
    const Wish& wish;
  } steps[] = {{"control: nothing is changed", at_first}, {"all are switched off", all_off}, {"each is switched over", inverted}};
  for (const auto& [what, wish] : steps) {
    SCOPED_TRACE(what);
    auto ns = NetNamespace::Create();
    SETUP_OK(nics[0].MoveTo(ns));
    const auto inside = [&] {
      const DeviceFeatures features(ns, nics[0].name());
      for (const auto& [feature, on] : wish) {  // one by one: what the driver refuses is left as it was
        SETUP_OK(features.Ask({{feature, on}}));
        if (features.All().at(feature).active != on) SETUP_OK(features.Ask({{feature, at_first.at(feature)}}));
      }
      return features.All();
    }();
    EXPECT_EQ(inside.at("rx-gro").active, wish.at("rx-gro")) << "control: no driver refuses this one";
    Free(std::move(ns));
    ASSERT_OK_AND_ASSIGN(Link back, nics[0].WaitUntilBack());
    EXPECT_THAT(changes(inside, DeviceFeatures(initial, back.name).All()), IsEmpty()) << "the return changed these features of the card";
    SETUP_OK(DeviceFeatures(initial, back.name).Ask(at_first));
    EXPECT_EQ(wishes(initial, back.name), at_first) << "control";
  }
}

// --- PHYS-15 to PHYS-18: with others on top or above --------------------------------------------------------------

void ReturnsReleasedFromItsMaster(const char* kind) {
  auto nics = PhysicalNic::Leased();
  auto ns = NetNamespace::Create();
  SETUP_OK(nics[0].MoveTo(ns));
  Rtnl inside = SETUP_OK(Rtnl::In(ns));
  AddOrMiss(inside, {.name = "master0", .kind = kind, .up = std::string(kind) != "bond" && std::string(kind) != "team", .data = [kind](Request& r) {
                       if (std::string(kind) == "vrf") r.U32(1 /* IFLA_VRF_TABLE */, 10);
                     }});
  const bool bond = std::string(kind) == "bond";
  // A bond with an address of its own gives it to its ports.
  const std::string address = "02:00:00:00:00:b0";
  if (bond) SETUP_OK(inside.SetLink("master0", {.address = address}));
  SETUP_OK(inside.SetLink(nics[0].name(), {.master = LinkRef("master0")}));
  SETUP_OK(inside.Up("master0"));
  SETUP_OK(inside.Up(nics[0].name()));
  const Link enslaved = SETUP_OK(inside.LinkByName(nics[0].name()));
  EXPECT_TRUE(enslaved.master.has_value()) << "control: enslaved inside";
  EXPECT_EQ(enslaved.address, bond ? address : nics[0].mac()) << "control";
  Free(std::move(inside), std::move(ns));
  ASSERT_OK_AND_ASSIGN(Link back, nics[0].WaitUntilBack());
  EXPECT_FALSE(back.master.has_value());
  EXPECT_FALSE(back.up());
  EXPECT_EQ(back.promiscuity, 0u) << "as a port it may have been asked to hear everything; it is none any more";
  EXPECT_EQ(nics[0].mac(), back.address) << "the address of its hardware";
  EXPECT_THAT(SETUP_OK(Rtnl::In(InitialNetNamespace())).LinkByName("master0"), FailsWith(ENODEV))
      << "the master is virtual: it dies with the namespace";
}

/// Who asked a card to hear what is not for it is gone with the namespace, and the card hears no more than before.
void ReturnsHearingNoMoreThanBefore() {
  auto nics = PhysicalNic::Leased();
  const std::string& card = nics[0].name();
  const auto upper = [&](Rtnl& in, LinkSpec spec, LinkChange change) {
    Status added = in.AddLink(spec);
    if (added.code() == EOPNOTSUPP) return false;  // not in this kernel
    SETUP_OK(std::move(added));
    change.up = true;
    SETUP_OK(in.SetLink(spec.name, change));
    return true;
  };
  const auto port_of = [&](Rtnl& in, const char* kind, bool promiscuous) {
    Status added = in.AddLink({.name = "master0", .kind = kind});
    if (added.code() == EOPNOTSUPP) return false;
    SETUP_OK(std::move(added));
    SETUP_OK(in.Down(card));
    SETUP_OK(in.SetLink(card, {.master = LinkRef("master0")}));
    SETUP_OK(in.Up(card));
    SETUP_OK(in.Up("master0"));
    if (promiscuous) SETUP_OK(in.SetLink("master0", {.promiscuous = true}));
    return true;
  };
  const struct {
    const char* what;
    std::function<bool(Rtnl&)> ask;
  } rows[] = {{"a bridge with a second port",
               [&](Rtnl& in) {
                 if (!port_of(in, "bridge", false)) return false;
                 SETUP_OK(in.AddVeth("second", PeerSpec{.name = "secondp"}));
                 SETUP_OK(in.SetLink("second", {.master = LinkRef("master0")}));
                 return true;
               }},
              {"a bond in promiscuous mode", [&](Rtnl& in) { return port_of(in, "bond", true); }},
              {"a macvlan in promiscuous mode", [&](Rtnl& in) { return upper(in, {.name = "upper0", .kind = "macvlan", .link = LinkRef(card)}, {.promiscuous = true}); }},
              {"a macvlan that passes through",
               [&](Rtnl& in) {
                 return upper(in, {.name = "upper0", .kind = "macvlan", .link = LinkRef(card), .data = [](Request& r) { r.U32(1 /* IFLA_MACVLAN_MODE */, 8 /* MACVLAN_MODE_PASSTHRU */); }}, {});
               }}};
  for (const auto& row : rows) {
    SCOPED_TRACE(row.what);
    auto ns = NetNamespace::Create();
    SETUP_OK(nics[0].MoveTo(ns));
    Rtnl inside = SETUP_OK(Rtnl::In(ns));
    SETUP_OK(inside.Up(card));
    EXPECT_EQ(SETUP_OK(inside.LinkByName(card)).promiscuity, 0u) << "control: before";
    const bool asked = row.ask(inside);
    if (asked) {
      EXPECT_GE(SETUP_OK(inside.LinkByName(card)).promiscuity, 1u) << "control: it was asked to hear everything";
    }
    Free(std::move(inside), std::move(ns));
    ASSERT_OK_AND_ASSIGN(Link back, nics[0].WaitUntilBack());
    Rtnl in_initial = SETUP_OK(Rtnl::In(InitialNetNamespace()));
    // What was on top of it may die a little later.
    EXPECT_OK(Eventually("the card to hear no more than before", [&] { return SETUP_OK(in_initial.LinkByIndex(back.index)).promiscuity == 0; }, Deadline::OfKernelWork()))
        << "who wanted it to hear everything is gone";
    back = SETUP_OK(in_initial.LinkByIndex(back.index));
    EXPECT_EQ(back.flags & (IFF_PROMISC | IFF_ALLMULTI), 0u) << back;
    EXPECT_FALSE(back.master.has_value()) << back;
    EXPECT_EQ(back.address, nics[0].mac());
    // Down: it does not hear anything. Up again it is asked anew.
    SETUP_OK(in_initial.Up(back.index));
    EXPECT_EQ(SETUP_OK(in_initial.LinkByIndex(back.index)).promiscuity, 0u) << "once it is up again";
    SETUP_OK(in_initial.Down(back.index));
  }
}

/// A macvlan or ipvlan on a card.
LinkSpec Above(const char* kind, const std::string& name, const std::string& lower) {
  return {.name = name, .kind = kind, .link = LinkRef(lower)};
}

void UppersOfThisKindDieAndTheCardReturns(const char* kind) {
  auto nics = PhysicalNic::Leased();
  Rtnl in_initial = SETUP_OK(Rtnl::In(InitialNetNamespace()));
  const std::string upper = Own("u", nics[0]), control = Own("c", nics[0]);
  const NothingStays no_upper(in_initial, upper), no_control(in_initial, control);
  auto ns = NetNamespace::Create();
  SETUP_OK(nics[0].MoveTo(ns));
  Rtnl inside = SETUP_OK(Rtnl::In(ns));
  SETUP_OK(inside.Up(nics[0].name()));
  AddOrMiss(inside, Above(kind, upper, nics[0].name()));
  SETUP_OK(inside.Up(upper));
  AddOrMiss(in_initial, Above(kind, control, nics[1].name()));
  Free(std::move(inside), std::move(ns));
  ASSERT_OK(nics[0].WaitUntilBack());
  EXPECT_THAT(in_initial.LinkByName(upper), FailsWith(ENODEV)) << "a " << kind << " on top is virtual and dies";
  EXPECT_THAT(in_initial.LinkByName(control), Succeeds()) << "control: one on a card that stayed survives";
  EXPECT_OK(in_initial.DeleteLink(control));
}

/// For a card that stays in the initial namespace, where other tests find no route to what they use (TEST-NET-3, RFC 5737).
constexpr const char* kInInitial = "203.0.113.1";

/// One in another namespace than its card: it dies alone, and it stays when the card moves away from below it and returns.
void AnUpperOfThisKindElsewhere(const char* kind) {
  auto nics = PhysicalNic::Leased();
  Rtnl in_initial = SETUP_OK(Rtnl::In(InitialNetNamespace()));
  const std::string upper = Own("u", nics[0]);
  const NothingStays no_upper(in_initial, upper);
  SETUP_OK(in_initial.Up(nics[0].name()));
  SETUP_OK(in_initial.AddAddress(std::string(kInInitial) + "/24", nics[0].name()));
  {
    FreedOracle oracle;
    auto ns = oracle.Create();
    AddOrMiss(in_initial, Above(kind, upper, nics[0].name()));
    SETUP_OK(in_initial.MoveLink(upper, ByFd(ns.fd())));
    EXPECT_THAT(SETUP_OK(Rtnl::In(ns)).LinkByName(upper), Succeeds()) << "control: it is in the namespace";
    Free(std::move(ns));
    SETUP_OK(oracle.WaitUntilFreed());
  }
  ASSERT_THAT(in_initial.LinkByName(upper), FailsWith(ENODEV)) << "a " << kind << " of a card in the initial namespace must not come there, but die with its own";
  ASSERT_OK_AND_ASSIGN(Link card, nics[0].InInitial());
  EXPECT_TRUE(card.up()) << "the card below is not affected";
  EXPECT_THAT(in_initial.Addresses({.family = AF_INET, .index = card.index}), Holds(Contains(Field(&Address::address, kInInitial))));

  AddOrMiss(in_initial, Above(kind, upper, nics[0].name()));
  const int index = SETUP_OK(in_initial.LinkByName(upper)).index;
  auto ns = NetNamespace::Create();
  EXPECT_FALSE(SETUP_OK(in_initial.LinkByName(upper)).link_netnsid.has_value()) << "control: same namespace, no id";
  SETUP_OK(nics[0].MoveTo(ns));
  ASSERT_OK_AND_ASSIGN(Link left, in_initial.LinkByName(upper));
  EXPECT_EQ(index, left.index) << "it is the same device";
  EXPECT_EQ(std::optional(SETUP_OK(in_initial.GetNsid(ByFd(ns.fd()))).nsid), left.link_netnsid) << "IFLA_LINK_NETNSID tells where the card is";
  EXPECT_EQ(std::optional(SETUP_OK(SETUP_OK(Rtnl::In(ns)).LinkByName(nics[0].name())).index), left.link);
  Free(std::move(ns));
  SETUP_OK(nics[0].WaitUntilBack());
  ASSERT_OK_AND_ASSIGN(Link after, in_initial.LinkByName(upper));
  EXPECT_FALSE(after.link_netnsid.has_value());
  EXPECT_EQ(index, after.index);
  EXPECT_OK(in_initial.DeleteLink(upper));
}

void UppersDieAndTheCardReturns() {
  auto nics = PhysicalNic::Leased();
  Rtnl in_initial = SETUP_OK(Rtnl::In(InitialNetNamespace()));
  const std::string vlan = Own("v10", nics[0]), control = Own("c10", nics[0]);
  const NothingStays no_vlan(in_initial, vlan), no_control(in_initial, control);
  auto ns = NetNamespace::Create();
  SETUP_OK(nics[0].MoveTo(ns));
  Rtnl inside = SETUP_OK(Rtnl::In(ns));
  SETUP_OK(inside.Up(nics[0].name()));
  AddOrMiss(inside, Vlan(vlan, nics[0].name(), 10));
  SETUP_OK(inside.Up(vlan));
  AddOrMiss(in_initial, Vlan(control, nics[1].name(), 10));
  Free(std::move(inside), std::move(ns));
  ASSERT_OK(nics[0].WaitUntilBack());
  EXPECT_THAT(in_initial.LinkByName(vlan), FailsWith(ENODEV)) << "a VLAN on top is virtual and dies";
  EXPECT_THAT(in_initial.LinkByName(control), Succeeds()) << "control: a VLAN on a card that stayed survives";
  EXPECT_OK(in_initial.DeleteLink(control));
}

void AnUpperInAnotherNamespaceDiesAlone() {
  auto nics = PhysicalNic::Leased();
  Rtnl in_initial = SETUP_OK(Rtnl::In(InitialNetNamespace()));
  const std::string vlan = Own("v11", nics[0]);
  const NothingStays no_vlan(in_initial, vlan);
  FreedOracle oracle;
  auto ns = oracle.Create();
  SETUP_OK(in_initial.Up(nics[0].name()));
  SETUP_OK(in_initial.AddAddress(std::string(kInInitial) + "/24", nics[0].name()));
  AddOrMiss(in_initial, Vlan(vlan, nics[0].name(), 11));
  SETUP_OK(in_initial.MoveLink(vlan, ByFd(ns.fd())));
  {
    Rtnl inside = SETUP_OK(Rtnl::In(ns));
    EXPECT_THAT(inside.LinkByName(vlan), Succeeds()) << "control: the VLAN is in the namespace";
  }
  Free(std::move(ns));
  SETUP_OK(oracle.WaitUntilFreed());
  EXPECT_THAT(in_initial.LinkByName(vlan), FailsWith(ENODEV)) << "a VLAN of a card in the initial namespace must not come there, but die with its own";
  ASSERT_OK_AND_ASSIGN(Link card, nics[0].InInitial());
  EXPECT_TRUE(card.up()) << "the card below is not affected";
  EXPECT_THAT(in_initial.Addresses({.family = AF_INET, .index = card.index}), Holds(Contains(Field(&Address::address, kInInitial))));
}

void AnUpperStaysWhenTheCardMoves() {
  auto nics = PhysicalNic::Leased();
  Rtnl in_initial = SETUP_OK(Rtnl::In(InitialNetNamespace()));
  const std::string name = Own("v12", nics[0]);
  const NothingStays no_vlan(in_initial, name);
  auto ns = NetNamespace::Create();
  AddOrMiss(in_initial, Vlan(name, nics[0].name(), 12));
  EXPECT_FALSE(SETUP_OK(in_initial.LinkByName(name)).link_netnsid.has_value()) << "control: same namespace, no id";
  SETUP_OK(nics[0].MoveTo(ns));
  ASSERT_OK_AND_ASSIGN(Link vlan, in_initial.LinkByName(name));
  EXPECT_EQ(std::optional(SETUP_OK(in_initial.GetNsid(ByFd(ns.fd()))).nsid), vlan.link_netnsid) << "IFLA_LINK_NETNSID tells that the lower device is elsewhere";
  Free(std::move(ns));
  SETUP_OK(nics[0].WaitUntilBack());
  ASSERT_OK_AND_ASSIGN(Link after, in_initial.LinkByName(name));
  EXPECT_FALSE(after.link_netnsid.has_value());
  EXPECT_OK(in_initial.DeleteLink(name));
}

// Two of each kind on a card, and a third one in another namespace: wherever the card goes, all stay. (What it is with one alone is
// asked above.) A card bears macvlans or ipvlans, and VLANs beside either.
void SeveralUppersStayWhenTheCardMoves() {
  auto nics = PhysicalNic::Leased();
  Place initial(InitialNetNamespace()), elsewhere, first, second;
  // By the address of its hardware: another test may want its name.
  auto card_in = [&](Place& place) {
    for (const Link& link : SETUP_OK(place->Links()))
      if (link.kind.empty() && link.address == nics[0].mac()) return link.index;
    return 0;
  };
  bool any = false;
  for (const std::set<std::string>& together : {std::set<std::string>{"vlan", "macvlan", "macvtap"}, std::set<std::string>{"vlan", "ipvlan"}}) {
    struct Upper {
      Place* place;
      const UpperKind* kind;
      std::string name;
      int index;
    };
    std::vector<Upper> uppers;
    std::vector<std::unique_ptr<NothingStays>> undo;
    for (const UpperKind& kind : UpperKinds())
      for (int number = 0; together.contains(kind.kind) && number < 3; ++number) {
        const std::string name = Own("u" + std::to_string(uppers.size()), nics[0]);
        Status added = initial->AddLink(UpperSpec(kind, name, card_in(initial), number));
        if (added.code() == EOPNOTSUPP) break;  // not in this kernel
        SETUP_OK(std::move(added));
        undo.push_back(std::make_unique<NothingStays>(initial.rtnl, name));
        Place& place = number == 2 ? elsewhere : initial;
        if (number == 2) SETUP_OK(initial->MoveLink(name, place.ref()));
        uppers.push_back({&place, &kind, name, SETUP_OK(place->LinkByName(name)).index});
      }
    any = any || !uppers.empty();
    auto expect = [&](Place& where, const std::string& when) {
      SCOPED_TRACE(when);
      const int card = card_in(where);
      for (const auto& [place, kind, name, index] : uppers) {
        auto link = (*place)->LinkByName(name);
        ASSERT_OK(link) << "a " << kind->kind << " that stays where it is";
        EXPECT_EQ(link->index, index) << "it is the same device";
        EXPECT_EQ(link->link, card) << "IFLA_LINK of a " << kind->kind << ": the card";
        if (place == &where) {
          EXPECT_EQ(link->link_netnsid, std::nullopt) << "a " << kind->kind << " and the card are in one namespace";
        } else if (std::string(kind->kind) != "ipvlan" || HasNetnsCookie()) {
          EXPECT_EQ(link->link_netnsid, SETUP_OK((*place)->GetNsid(where.ref())).nsid) << "IFLA_LINK_NETNSID of a " << kind->kind << ": where the card is";
        }
      }
    };
    expect(initial, "control: before it moves");
    for (const auto& [from, to, when] : {std::tuple(&initial, &first, "from the initial namespace to another"),
                                         std::tuple(&first, &second, "from there to a third one"), std::tuple(&second, &initial, "back")}) {
      SETUP_OK((*from)->MoveLink(card_in(*from), to->ref()));
      expect(*to, when);
    }
    for (const auto& [place, kind, name, index] : uppers) {
      EXPECT_OK((*place)->DeleteLink(name));
      EXPECT_THAT((*place)->LinkByName(name), FailsWith(ENODEV)) << "control: a " << kind->kind << " that was deleted";
    }
  }
  if (!any) throw MissingNeed("needs-config:MACVLAN", "this kernel has no devices that stand on another one", "use a kernel with CONFIG_MACVLAN");
}

// --- PHYS-19 to PHYS-21 -------------------------------------------------------------------------------------------

void WorksInItsNamespaceOnly() {
  auto nics = PhysicalNic::Leased();
  auto initial = InitialNetNamespace();
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  SETUP_OK(nics[0].MoveTo(a));
  SETUP_OK(nics[1].MoveTo(b));
  ASSERT_OK(SETUP_OK(Rtnl::In(a)).Up(nics[0].name())) << "a card can be brought up in the namespace it is in";
  ASSERT_OK(SETUP_OK(Rtnl::In(b)).Up(nics[1].name()));
  Configure(a, nics[0].name(), 1);
  Configure(b, nics[1].name(), 2);
  ASSERT_OK(RoundTrip(a, b, "192.0.2.1", "192.0.2.2")) << "over the wire between the two cards, IPv4";
  if (HasIpv6()) {
    ASSERT_OK(RoundTrip(a, b, "2001:db8::1", "2001:db8::2")) << "IPv6";
  }
  EXPECT_THAT(SendOnce(initial, "192.0.2.2"), FailsWith(ENETUNREACH)) << "the card is not in the initial namespace any more";
  auto c = NetNamespace::Create();
  EXPECT_THAT(SendOnce(c, "192.0.2.2"), FailsWith(ENETUNREACH));
}

void MovesBetweenTwoNamespacesAndTheSourceMayDie() {
  auto nics = PhysicalNic::Leased();
  auto initial = InitialNetNamespace();
  FreedOracle oracle;
  auto a = oracle.Create(), b = NetNamespace::Create();
  SETUP_OK(nics[0].MoveTo(a));
  ASSERT_OK(SETUP_OK(Rtnl::In(a)).MoveLink(nics[0].name(), ByFd(b.fd()))) << "from one namespace to another, neither the initial one";
  Free(std::move(a));
  SETUP_OK(oracle.WaitUntilFreed());
  EXPECT_THAT((Places{{"init", &initial}, {"b", &b}}.Holding(nics[0])), ElementsAre("b"))
      << "freeing the namespace that it left does not affect it";
  Free(std::move(b));
  ASSERT_OK_AND_ASSIGN(Link back, nics[0].WaitUntilBack());
  EXPECT_EQ(nics[0].name(), back.name);
  EXPECT_EQ(nics[0].mac(), back.address);
}

void CannotBeDeleted() {
  auto nics = PhysicalNic::Leased();
  Rtnl in_initial = SETUP_OK(Rtnl::In(InitialNetNamespace()));
  EXPECT_THAT(in_initial.DeleteLink(nics[0].name()), FailsWith(EOPNOTSUPP));
  auto ns = NetNamespace::Create();
  SETUP_OK(nics[0].MoveTo(ns));
  Rtnl inside = SETUP_OK(Rtnl::In(ns));
  EXPECT_THAT(inside.DeleteLink(nics[0].name()), FailsWith(EOPNOTSUPP));
  EXPECT_THAT(inside.LinkByName(nics[0].name()), Succeeds());
  SETUP_OK(inside.AddVeth("v0", "v1"));
  EXPECT_THAT(inside.DeleteLink("v0"), Succeeds()) << "control: a virtual device can be deleted";
}

// net/core/rtnetlink.c rtnl_group_dellink(): a group is deleted as a whole, or not at all.
void AGroupWithACardCannotBeDeleted() {
  auto nics = PhysicalNic::Leased();
  Place initial(InitialNetNamespace()), a;
  Place asks;
  // One of its own for each card: the initial namespace is that of other tests, too.
  const auto group = static_cast<std::uint32_t>(std::stoul(nics[0].mac().substr(15) + nics[0].mac().substr(12, 2) + nics[0].mac().substr(9, 2), nullptr, 16)) + 1000;
  const std::string older = Own("go", nics[0]), younger = Own("gy", nics[0]);
  const NothingStays no_younger(initial.rtnl, younger);
  auto refused = [&](Place& where, const std::vector<std::string>& members, const std::string& when) {
    SCOPED_TRACE(when);
    const auto before = LinkNames(where);
    EXPECT_THAT(where->DeleteGroup(group), FailsWith(EOPNOTSUPP)) << "a group with a card in it";
    if (&where != &initial) {
      EXPECT_EQ(LinkNames(where), before) << "the others were deleted";
    }
    for (const std::string& member : members) EXPECT_THAT(where->LinkByName(member), Holds(Field(&Link::group, group))) << member;
  };
  auto deleted = [&](Place& where, const std::vector<std::string>& members) {
    EXPECT_OK(where->DeleteGroup(group)) << "control: without a card in it";
    for (const std::string& member : members) EXPECT_THAT(where->LinkByName(member), FailsWith(ENODEV)) << "control: " << member;
    EXPECT_THAT(where->DeleteGroup(group), FailsWith(ENODEV)) << "control: an empty group";
  };
  const std::string card = nics[0].name();
  for (Place* where : {&initial, &a}) {
    SCOPED_TRACE(where == &initial ? "in the initial namespace" : "in another one");
    if (where == &a) SETUP_OK(nics[0].MoveTo(a.ns));
    Place& place = *where;
    SETUP_OK(place->SetLink(card, {.group = group}));
    refused(place, {card}, "a card alone");
    // Behind a card on the kernel's list, and in front of it: in `a` the card arrives after the first.
    AddDevice(place, younger, {.group = group});
    refused(place, {card, younger}, "a card and a younger device");
    if (where == &a) {
      SETUP_OK(place->DeleteLink(younger));
      SETUP_OK(place->MoveLink(card, initial.ref()));
      AddDevice(place, older, {.group = group});
      SETUP_OK(initial->MoveLink(card, place.ref()));
      SETUP_OK(place->SetLink(card, {.group = group}));
      refused(place, {card, older}, "a card and a device that was there before");
      AddDevice(place, younger, {.group = group});
      refused(place, {card, older, younger}, "a card between others");
      // The same asked by the id of the namespace, and of a card that is up.
      SETUP_OK(asks->NewNsid(place.ref(), 7));
      const int here = SETUP_OK(place->LinkByName(card)).index;
      Request request(RTM_DELLINK);
      request.Named("delete a group of another namespace").Header(ifinfomsg{}).U32(IFLA_GROUP, group).S32(IFLA_TARGET_NETNSID, 7);
      EXPECT_THAT(asks->socket().Ack(request), FailsWith(EOPNOTSUPP));
      EXPECT_THAT(place->LinkByIndex(here), Holds(Field(&Link::group, group)));
      SETUP_OK(place->Up(card));
      refused(place, {card, older, younger}, "a card that is up");
      EXPECT_TRUE(SETUP_OK(place->LinkByName(card)).up()) << "it was shut down";
    }
    SETUP_OK(place->SetLink(card, {.group = 0}));
    deleted(place, where == &a ? std::vector{older, younger} : std::vector{younger});
    EXPECT_THAT(place->LinkByName(card), Holds(Field(&Link::group, 0u)));
  }
}

// --- PHYS-25 to PHYS-30 -------------------------------------------------------------------------------------------

void PciDirectoryShowsItToTheMatchingSysfsOnly() {
  auto nics = PhysicalNic::Leased();
  auto initial = InitialNetNamespace();
  auto ns = NetNamespace::Create();
  EXPECT_TRUE(PciShows(initial, nics[0])) << "control: before the move";
  EXPECT_FALSE(PciShows(ns, nics[0]));
  SETUP_OK(nics[0].MoveTo(ns));
  EXPECT_FALSE(PciShows(initial, nics[0]));
  EXPECT_TRUE(PciShows(ns, nics[0]));
  Free(std::move(ns));
  SETUP_OK(nics[0].WaitUntilBack());
  EXPECT_TRUE(PciShows(initial, nics[0]));
}

void ReturnIsIndependentOfTheOwner() {
  auto nics = PhysicalNic::Leased();
  auto initial = InitialNetNamespace();
  Rtnl in_initial = SETUP_OK(Rtnl::In(initial));
  Actor container = Actor::Start("container");
  SETUP_OK(container.Run([]() -> Status {
    // An ordinary user's container: another uid, its own user namespace, root inside.
    if (::setresgid(1000, 1000, 1000) < 0 || ::setresuid(1000, 1000, 1000) < 0) return ErrnoError("setresuid");
    return Ok();
  }));
  MakeDumpable(container);
  SETUP_OK(EnterNewUserNamespace(container));
  SETUP_OK(container.Unshare(CLONE_NEWNET));
  MakeDumpable(container);
  SETUP_OK(in_initial.MoveLink(nics[0].name(), ByPid(container.pid())));
  EXPECT_THAT(nics[0].InInitial(), FailsWith(ENODEV)) << "control: away while the container lives";
  auto own = SETUP_OK(NetNamespace::OfPid(container.pid()));
  // PHYS-28: without rights over the initial namespace its root cannot give the card back by itself.
  Status by_fd = container.Run([&]() -> Status {
    ASSIGN_OR_RETURN(Rtnl inside, Rtnl::Open());
    return inside.MoveLink(nics[0].name(), ByFd(initial.fd()));
  });
  EXPECT_THAT(by_fd, FailsWith(EPERM));
  Actor at_home = initial.StartActor("at home");
  SETUP_OK(SETUP_OK(Rtnl::In(own)).NewNsid(ByFd(initial.fd()), 4));
  for (const NsRef& target : {ByPid(at_home.pid()), ByNsid(4)})
    EXPECT_THAT(container.Run([&]() -> Status {
      ASSIGN_OR_RETURN(Rtnl inside, Rtnl::Open());
      return inside.MoveLink(nics[0].name(), target);
    }), FailsWith(EPERM)) << "to the initial namespace by " << target.ToString();
  EXPECT_THAT(nics[0].InInitial(), FailsWith(ENODEV)) << "a refused move took effect";
  const std::vector<std::string> attributes = {"mtu", "address", "uevent", "statistics/rx_bytes", "queues/rx-0", "queues/tx-0"};
  const auto owners = [&](const NetNamespace& where, const std::string& name) {
    std::map<std::string, uid_t> uids;
    where.InWithSysfs([&] {
      for (const std::string& attribute : attributes) {
        struct stat info{};
        if (::stat(("/sys/class/net/" + name + "/" + attribute).c_str(), &info) == 0) uids[attribute] = info.st_uid;
      }
    });
    return uids;
  };
  for (const auto& [attribute, uid] : owners(own, nics[0].name())) EXPECT_EQ(1000u, uid) << attribute << ": control: root of the container's while it is there";
  SETUP_OK(container.Run([&]() -> Status {
    ASSIGN_OR_RETURN(Rtnl inside, Rtnl::Open());
    RETURN_IF_ERROR(inside.SetLink(nics[0].name(), {.alias = "container's"}));
    return inside.Up(nics[0].name());
  }));
  Free(std::move(own));
  container.Kill();
  ASSERT_OK_AND_ASSIGN(Link back, nics[0].WaitUntilBack());
  EXPECT_EQ(nics[0].name(), back.name) << "its name was free: it keeps it, whoever owned the namespace";
  EXPECT_EQ(nics[0].mac(), back.address);
  EXPECT_EQ("container's", back.alias);
  EXPECT_FALSE(back.up());
  SETUP_OK(SETUP_OK(Rtnl::In(initial)).SetLink(back.name, {.alias = ""}));
  const auto after = owners(initial, back.name);
  EXPECT_TRUE(after.contains("mtu")) << "control";
  for (const auto& [attribute, uid] : after) EXPECT_EQ(0u, uid) << attribute << " belongs to global root again";
}

// The same rights that the container lacks are what the root of the machine has, inside the container as well.
void RootOfTheMachineGivesItBackFromAContainer() {
  auto nics = PhysicalNic::Leased();
  auto initial = InitialNetNamespace();
  Actor container = StartNamespaceRoot("container");
  auto own = SETUP_OK(NetNamespace::OfPid(container.pid()));
  SETUP_OK(nics[0].MoveTo(own));
  EXPECT_THAT(container.Run([&]() -> Status {
    ASSIGN_OR_RETURN(Rtnl inside, Rtnl::Open());
    return inside.MoveLink(nics[0].name(), ByFd(initial.fd()));
  }), FailsWith(EPERM)) << "control: root of the container";
  Actor visitor = own.StartActor("visitor");
  EXPECT_OK(visitor.Run([&]() -> Status {
    ASSIGN_OR_RETURN(Rtnl inside, Rtnl::Open());
    return inside.MoveLink(nics[0].name(), ByFd(initial.fd()));
  })) << "root of the machine, who has entered the container's network namespace";
  ASSERT_OK_AND_ASSIGN(Link back, nics[0].InInitial());
  EXPECT_EQ(nics[0].mac(), back.address);
}

void ManyRoundTrips() {
  auto nics = PhysicalNic::Leased();
  for (int i = 0; i < 10; ++i) {
    SCOPED_TRACE("round trip " + std::to_string(i + 1));
    auto ns = NetNamespace::Create();
    SETUP_OK(nics[0].MoveTo(ns));
    Free(std::move(ns));
    ASSERT_OK_AND_ASSIGN(Link back, nics[0].WaitUntilBack());
    ASSERT_EQ(nics[0].name(), back.name);
    ASSERT_EQ(nics[0].mac(), back.address);
    ASSERT_THAT(back.altnames, IsEmpty());
  }
}

struct Driver {
  const char* suite;
  const char* driver;
  const char* id;
  bool everything;  // all scenarios, or those of the driver conformance requirement
};
constexpr Driver kDrivers[] = {
    {"PhysE1000", "e1000", "PHYS-32", true},        {"PhysE1000e", "e1000e", "PHYS-33", true},
    {"PhysVirtioNet", "virtio_net", "PHYS-34", true}, {"PhysRtl8139", "rtl8139", "PHYS-35", false},
    {"PhysVmxnet3", "vmxnet3", "PHYS-36", false},   {"PhysIgb", "igb", "PHYS-37", false},
    {"PhysPcnet32", "pcnet32", "PHYS-37", false},   {"PhysNe2kPci", "ne2k-pci", "PHYS-37", false},
    {"PhysTulip", "tulip", "PHYS-37", false},       {"PhysE100", "e100", "PHYS-37", false}};

struct Scenario {
  const char* name;
  std::vector<const char*> ids;
  std::function<void()> body;
  bool for_all_drivers;
  const char* config = nullptr;
  bool alone = false;  // it is about names and indexes that a neighbour could take
};

[[maybe_unused]] const bool registered = [] {
  const std::vector<Scenario> scenarios{
      {"IsInExactlyOneNamespaceAfterEachMove", {"PHYS-01", "PHYS-02"}, IsInExactlyOneNamespaceAfterEachMove, true},
      {"CanBeMovedByPid", {"PHYS-01"}, CanBeMovedByPid, true},
      {"ReturnsWhenTheLastProcessEnds", {"PHYS-03", "VETH-09", "VETH-10"}, ReturnsWhenTheLastProcessEnds, true},
      {"ReturnsToTheInitialNamespaceNotToTheParent", {"PHYS-04", "PHYS-05"}, ReturnsToTheInitialNamespaceNotToTheParent, true},
      {"StaysAwayWhileTheNamespaceIsPinned", {"PHYS-06", "PHYS-40"}, StaysAwayWhileTheNamespaceIsPinned, true},
      {"SeveralReturnTogether", {"PHYS-07", "PHYS-26"}, SeveralReturnTogether, true, "USER_NS"},
      {"KeepsANameGivenInsideIfItIsFree", {"PHYS-08"}, KeepsANameGivenInsideIfItIsFree, false},
      {"ReturnsAsDevIfindexWhenItsNameIsTaken", {"PHYS-09", "PHYS-10"}, ReturnsAsDevIfindexWhenItsNameIsTaken, true, nullptr, true},
      {"DropsOnlyAltnamesThatClash", {"PHYS-11"}, DropsOnlyAltnamesThatClash, false},
      {"TakesANewIfindexOnlyWhenItsOwnIsTaken", {"PHYS-12"}, TakesANewIfindexOnlyWhenItsOwnIsTaken, false, nullptr, true},
      {"ReturnsDownAndWithoutLayer3State", {"PHYS-13"}, ReturnsDownAndWithoutLayer3State, true},
      {"KeepsItsLinkLayerAttributes", {"PHYS-14"}, KeepsItsLinkLayerAttributes, false},
      {"KeepsItsFeatures", {"PHYS-14"}, KeepsItsFeatures, false},
      {"ReturnsReleasedFromABridge", {"PHYS-15"}, [] { ReturnsReleasedFromItsMaster("bridge"); }, false, "BRIDGE"},
      {"ReturnsReleasedFromABond", {"PHYS-15"}, [] { ReturnsReleasedFromItsMaster("bond"); }, false, "BONDING"},
      {"ReturnsReleasedFromAVrf", {"PHYS-15"}, [] { ReturnsReleasedFromItsMaster("vrf"); }, false, "NET_VRF"},
      {"ReturnsReleasedFromATeam", {"PHYS-15"}, [] { ReturnsReleasedFromItsMaster("team"); }, false, "NET_TEAM"},
      {"ReturnsHearingNoMoreThanBefore", {"PHYS-14", "PHYS-15", "PHYS-16"}, ReturnsHearingNoMoreThanBefore, false},
      {"MacvlansDieAndTheCardReturns", {"PHYS-16"}, [] { UppersOfThisKindDieAndTheCardReturns("macvlan"); }, false, "MACVLAN"},
      {"IpvlansDieAndTheCardReturns", {"PHYS-16"}, [] { UppersOfThisKindDieAndTheCardReturns("ipvlan"); }, false, "IPVLAN"},
      {"AMacvlanElsewhereIsApart", {"PHYS-17", "PHYS-18"}, [] { AnUpperOfThisKindElsewhere("macvlan"); }, false, "MACVLAN"},
      {"AnIpvlanElsewhereIsApart", {"PHYS-17", "PHYS-18"}, [] { AnUpperOfThisKindElsewhere("ipvlan"); }, false, "IPVLAN"},
      {"RootOfTheMachineGivesItBackFromAContainer", {"PHYS-28"}, RootOfTheMachineGivesItBackFromAContainer, false},
      {"UppersDieAndTheCardReturns", {"PHYS-16"}, UppersDieAndTheCardReturns, false, "VLAN_8021Q"},
      {"AnUpperInAnotherNamespaceDiesAlone", {"PHYS-17"}, AnUpperInAnotherNamespaceDiesAlone, false, "VLAN_8021Q"},
      {"AnUpperStaysWhenTheCardMoves", {"PHYS-18"}, AnUpperStaysWhenTheCardMoves, false, "VLAN_8021Q"},
      {"SeveralUppersStayWhenTheCardMoves", {"PHYS-18"}, SeveralUppersStayWhenTheCardMoves, false},
      {"WorksInItsNamespaceOnly", {"PHYS-19"}, WorksInItsNamespaceOnly, true},
      {"MovesBetweenTwoNamespacesAndTheSourceMayDie", {"PHYS-20"}, MovesBetweenTwoNamespacesAndTheSourceMayDie, true},
      {"CannotBeDeleted", {"PHYS-21"}, CannotBeDeleted, true},
      {"AGroupWithACardCannotBeDeleted", {"PHYS-21", "DEV-40"}, AGroupWithACardCannotBeDeleted, false},
      {"PciDirectoryShowsItToTheMatchingSysfsOnly", {"PHYS-25"}, PciDirectoryShowsItToTheMatchingSysfsOnly, false},
      {"ReturnIsIndependentOfTheOwner", {"PHYS-27", "PHYS-28"}, ReturnIsIndependentOfTheOwner, true},
      {"ManyRoundTrips", {"PHYS-30"}, ManyRoundTrips, false}};
  for (const Driver& driver : kDrivers)
    for (const Scenario& scenario : scenarios) {
      if (!driver.everything && !scenario.for_all_drivers) continue;
      Covers covers;
      for (const char* id : scenario.ids) covers.list.push_back(id);
      covers.list.push_back(driver.id);
      Needs needs(Nic(driver.driver, 2));
      if (scenario.config != nullptr) needs.list.push_back(Config(scenario.config));
      if (scenario.alone)
        RegisterBody(driver.suite, scenario.name, __FILE__, __LINE__, scenario.body, covers, needs, Within{60s}, Exclusive{});
      else
        RegisterBody(driver.suite, scenario.name, __FILE__, __LINE__, scenario.body, covers, needs, Within{60s});
    }
  return true;
}();

}  // namespace
}  // namespace netns
