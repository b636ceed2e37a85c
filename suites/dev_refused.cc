// SPDX-License-Identifier: GPL-2.0-or-later
// DEV: a move that is refused, for whatever reason and whatever else it asks for, changes nothing at all; and how a namespace is
// named by its id, whichever number that is.
#include <linux/if_link.h>

#include <limits>

#include "fixtures/nic.h"
#include "fixtures/user_namespace.h"
#include "suites/support/listener.h"
#include "suites/support/place.h"
#include "suites/support/tun.h"
#include "suites/support/uppers.h"
#include "suites/support/watched.h"

namespace netns {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;

/// All that is to be seen of the devices of a namespace, as text: "5 mtu" -> "1500".
using State = std::map<std::string, std::string>;
State StateOf(Place& place) {
  State state;
  for (const Link& link : SETUP_OK(place->Links())) {
    const auto put = [&](const char* what, const std::string& value) { state[std::to_string(link.index) + " " + what] = value; };
    put("name", link.name);
    put("kind", link.kind);
    // What the protocols set; carrier comes and goes by itself.
    put("flags", std::to_string(link.flags & (IFF_UP | IFF_BROADCAST | IFF_NOARP | IFF_PROMISC | IFF_ALLMULTI | IFF_MULTICAST)));
    put("mtu", std::to_string(link.mtu));
    put("address", link.address);
    put("broadcast", link.broadcast);
    put("master", link.master ? std::to_string(*link.master) : "");
    put("group", std::to_string(link.group));
    put("txqueuelen", std::to_string(link.txqlen));
    put("alias", link.alias);
    put("promiscuity", std::to_string(link.promiscuity));
    std::string altnames;
    for (const std::string& altname : link.altnames) altnames += altname + " ";
    put("altnames", altnames);
  }
  for (const Address& address : SETUP_OK(place->Addresses()))
    if (!address.address.starts_with("fe80:"))  // those come by themselves
      state[std::to_string(address.index) + " has " + address.ToString()] = "yes";
  for (const Route& route : SETUP_OK(place->Routes({.family = AF_INET, .table = RT_TABLE_MAIN}))) state[std::to_string(route.dev) + " reaches " + route.to] = "yes";
  return state;
}
/// "5 mtu: 1500, then 1400"
std::vector<std::string> Changes(const State& before, const State& after) {
  std::vector<std::string> changes;
  const auto value = [](const State& state, const std::string& key) { return state.contains(key) ? state.at(key) : "nothing"; };
  State all = before;
  all.insert(after.begin(), after.end());
  for (const auto& [key, ignored] : all)
    if (value(before, key) != value(after, key)) changes.push_back(key + ": " + value(before, key) + ", then " + value(after, key));
  return changes;
}

/// What a request may ask for beside the move.
struct Wish {
  const char* what;
  LinkChange change;
};
const std::vector<Wish>& Wishes() {
  static const std::vector<Wish> wishes = {
      {"nothing else", {}},
      {"an MTU", {.mtu = 1400}},
      {"an address", {.address = "02:00:00:00:04:01"}},
      {"a transmit queue length", {.txqlen = 77}},
      {"a group", {.group = 4244}},
      {"an alias", {.alias = "other"}},
      {"to be up", {.up = true}},
      {"to be down", {.up = false}},
      {"promiscuous mode", {.promiscuous = true}},
      {"no ARP", {.arp = false}},
      {"all of this", {.mtu = 1400, .address = "02:00:00:00:04:01", .alias = "other", .promiscuous = true, .txqlen = 77, .group = 4244}},
  };
  return wishes;
}

/// A move that the kernel refuses.
struct Refusal {
  std::string why;
  int error;
  More more;                   ///< the attributes that name the target and what is wrong with it
  std::string new_name = {};
};

/// Asks for each wish along with a refused move, by both requests that ip(8) and others use.
/// `sender`: a process to which the right is a matter; else the test.
void ExpectNothingChanges(Place& from, Place& to, int device, const Refusal& refusal, Actor* sender = nullptr) {
  SCOPED_TRACE("refused for " + refusal.why);
  const State here = StateOf(from), there = StateOf(to);
  Listener in_target(to);
  std::optional<Rtnl> of_sender;
  if (sender != nullptr) of_sender.emplace(SETUP_OK(sender->Run([] { return Rtnl::Open(); })));
  Rtnl& asker = of_sender ? *of_sender : from.rtnl;
  const auto by_sender = [&](const std::function<Status()>& send) { return sender != nullptr ? sender->Run(send) : send(); };
  for (const Wish& wish : Wishes()) {
    LinkChange change = wish.change;
    if (!refusal.new_name.empty()) change.name = refusal.new_name;
    change.more = refusal.more;
    EXPECT_THAT(by_sender([&] { return asker.SetLink(device, change); }), FailsWith(refusal.error)) << "and asks for " << wish.what;
    EXPECT_THAT(Changes(here, StateOf(from)), IsEmpty()) << "a refused move that asked for " << wish.what << " changed these where the device is";
    EXPECT_THAT(Changes(there, StateOf(to)), IsEmpty()) << "a refused move that asked for " << wish.what << " changed these in the target";
  }
  ifinfomsg header{};
  header.ifi_index = device;
  Request request(RTM_NEWLINK);  // as ip-link(8) sends it
  request.Named("a move by RTM_NEWLINK").Header(header).U32(IFLA_MTU, 1400);
  if (!refusal.new_name.empty()) request.Text(IFLA_IFNAME, refusal.new_name);
  refusal.more(request);
  EXPECT_THAT(by_sender([&] { return asker.socket().Ack(request); }), FailsWith(refusal.error)) << "by RTM_NEWLINK";
  EXPECT_THAT(Changes(here, StateOf(from)), IsEmpty()) << "a refused move by RTM_NEWLINK changed these where the device is";
  EXPECT_THAT(Changes(there, StateOf(to)), IsEmpty()) << "a refused move by RTM_NEWLINK changed these in the target";
  EXPECT_EQ(in_target.Heard().size(), 0u) << "the target heard of a move that did not happen";
}

/// A device that shows every change: up, with addresses, a route, other names, a group.
int AddRichDevice(Place& at, const std::string& name, int index) {
  AddDevice(at, name, {.index = index, .address = "02:00:00:00:03:01"}, true);
  SETUP_OK(at->AddAddress("192.0.2.1/24", name));
  SETUP_OK(at->AddRoute({.to = "198.51.100.0/24", .via = "192.0.2.9"}));
  SETUP_OK(at->SetLink(name, {.mtu = 1450, .alias = "own", .txqlen = 55, .group = 4243}));
  SETUP_OK(at->AddAltname(name, name + "-also"));
  return index;
}

bool HeedsNewIfindex() {
  Place a, b;
  AddDevice(a, "probe");
  SETUP_OK(a->MoveLink("probe", b.ref(), {.new_ifindex = 500}));
  return b->LinkByIndex(500).ok();
}

// net/core/rtnetlink.c do_setlink(): the move comes first, and where it fails the rest of the request is not looked at.
NETNS_TEST(Dev, ARefusedMoveChangesNothingWhateverElseItAsksFor, Covers("DEV-12", "DEV-14", "DEV-15", "DEV-19", "NLK-15"), Needs(Config("VETH")),
           Within{std::chrono::seconds(60)}) {
  Place a, b, third;
  SETUP_OK(a->NewNsid(b.ref(), 0));
  AddRichDevice(a, "west", 40);
  AddDevice(b, "west", {.index = 41});
  AddDevice(b, "taken", {.index = 42});
  AddDevice(a, "mine", {.index = 43});
  Actor member = b.ns.StartActor("member"), dead = b.ns.StartActor("dead");
  dead.Exit();
  const Fd null = SETUP_OK(Open("/dev/null", O_RDONLY)), uts = SETUP_OK(Open("/proc/self/ns/uts", O_RDONLY));
  const auto to = [&](Request& r) { r.Fd(IFLA_NET_NS_FD, b.fd()); };
  std::vector<Refusal> refusals = {
      {"its name, which is taken in the target", EEXIST, to},
      {"its name, the target named by a pid", EEXIST, [&](Request& r) { r.S32(IFLA_NET_NS_PID, member.pid()); }},
      {"its name, the target named by its id", EEXIST, [&](Request& r) { r.S32(IFLA_TARGET_NETNSID, 0); }},
      {"its new name, which is taken in the target", EEXIST, to, "taken"},
      {"a descriptor that is not open", EBADF, [](Request& r) { r.Fd(IFLA_NET_NS_FD, 999); }},
      {"a descriptor of something else", EINVAL, [&](Request& r) { r.Fd(IFLA_NET_NS_FD, null.get()); }},
      {"a descriptor of a UTS namespace", EINVAL, [&](Request& r) { r.Fd(IFLA_NET_NS_FD, uts.get()); }},
      {"a pid that is none", ESRCH, [&](Request& r) { r.S32(IFLA_NET_NS_PID, dead.pid()); }},
      {"an id that is none", EINVAL, [](Request& r) { r.S32(IFLA_TARGET_NETNSID, 88); }},
      {"two names of the target", EINVAL, [&](Request& r) { r.Fd(IFLA_NET_NS_FD, b.fd()).S32(IFLA_NET_NS_PID, member.pid()); }},
      {"a descriptor and an id", EINVAL, [&](Request& r) { r.Fd(IFLA_NET_NS_FD, b.fd()).S32(IFLA_TARGET_NETNSID, 0); }},
      {"a pid and an id", EINVAL, [&](Request& r) { r.S32(IFLA_NET_NS_PID, member.pid()).S32(IFLA_TARGET_NETNSID, 0); }},
  };
  if (HeedsNewIfindex()) {
    refusals.push_back({"its new index, which is taken in the target", EBUSY, [&](Request& r) { r.Fd(IFLA_NET_NS_FD, b.fd()).S32(IFLA_NEW_IFINDEX, 41); }, "free"});
    refusals.push_back({"a new index of 0", ERANGE, [&](Request& r) { r.Fd(IFLA_NET_NS_FD, b.fd()).S32(IFLA_NEW_IFINDEX, 0); }, "free"});
    refusals.push_back({"its name, with a new index that is free", EEXIST, [&](Request& r) { r.Fd(IFLA_NET_NS_FD, b.fd()).S32(IFLA_NEW_IFINDEX, 600); }});
  }
  for (const Refusal& refusal : refusals) ExpectNothingChanges(a, b, 40, refusal);
  // Nor has any of them left something that is in the way of a good one. A name that only another device here has is free there.
  LinkChange good = Wishes().back().change;
  good.name = "mine";
  good.more = [&](Request& r) { r.Fd(IFLA_NET_NS_FD, b.fd()).S32(IFLA_NEW_IFINDEX, 600); };
  ASSERT_OK(a->SetLink(40, good)) << "control: nothing in the way";
  const Link moved = SETUP_OK(b->LinkByName("mine"));
  EXPECT_EQ(moved.index, HeedsNewIfindex() ? 600 : 40);
  EXPECT_EQ(moved.mtu, 1400u) << "control: what it asked for";
  EXPECT_EQ(moved.address, "02:00:00:00:04:01");
  EXPECT_EQ(moved.txqlen, 77u);
  EXPECT_EQ(moved.group, 4244u);
  EXPECT_EQ(moved.alias, "other");
  EXPECT_TRUE(moved.flags & IFF_PROMISC);
  EXPECT_THAT(moved.altnames, ElementsAre("west-also"));
  EXPECT_THAT(LinkNames(a), ElementsAre("lo", "mine"));
  EXPECT_THAT(LinkNames(b), ElementsAre("lo", "mine", "taken", "west"));
}

// ip-link(8), "netns": devices that are local to their namespace.
NETNS_TEST(Dev, ARefusedMoveOfALocalDeviceChangesNothing, Covers("DEV-26", "DEV-27", "DEV-28"), Needs(Config("VETH"), Config("BRIDGE")), Within{std::chrono::seconds(60)}) {
  Place a, b;
  std::vector<std::pair<std::string, int>> local = {{"lo", 1}};
  SETUP_OK(a->Up("lo"));
  AddDevice(a, "port", {.index = 50}, true);
  local.emplace_back("bridge", AddBridge(a, "br0"));
  SETUP_OK(a->SetLink("port", {.master = LinkRef("br0")}));
  struct {
    const char* kind;
    More data;
  } more[] = {{"vrf", [](Request& r) { r.U32(1 /* IFLA_VRF_TABLE */, 77); }}, {"bond", {}}, {"team", {}}};
  for (const auto& [kind, data] : more)
    if (a->AddLink({.name = std::string("x") + kind, .kind = kind, .data = data}).ok())
      local.emplace_back(kind, SETUP_OK(a->LinkByName(std::string("x") + kind)).index);
  for (const auto& [kind, index] : local) {
    SCOPED_TRACE(kind);
    for (bool up : {true, false}) {
      SETUP_OK(a->SetLink(index, {.up = up}));
      ExpectNothingChanges(a, b, index, {"being local to its namespace", EINVAL, [&](Request& r) { r.Fd(IFLA_NET_NS_FD, b.fd()); }});
      ExpectNothingChanges(a, b, index, {"being local to its namespace", EINVAL, [&](Request& r) { r.Fd(IFLA_NET_NS_FD, b.fd()); }, "other"});
    }
  }
  SETUP_OK(a->SetLink("port", {.master = LinkRef()}));
  EXPECT_OK(a->MoveLink("port", b.ref())) << "control: another device";
  // What was refused with the move is granted without it.
  EXPECT_OK(a->SetLink("br0", {.mtu = 1400, .alias = "other", .txqlen = 77, .group = 4244})) << "control";
  EXPECT_EQ(SETUP_OK(a->LinkByName("br0")).mtu, 1400u);
}

NETNS_TEST(Dev, AMoveWithoutTheRightChangesNothing, Covers("DEV-12", "USER-10"), Needs(Config("VETH"), UserNs())) {
  Place b;
  Actor root = StartNamespaceRoot("root");
  Place a(SETUP_OK(NetNamespace::OfPid(root.pid())));
  AddRichDevice(a, "west", 40);
  ExpectNothingChanges(a, b, 40, {"a target that belongs to the parent user namespace", EPERM, [&](Request& r) { r.Fd(IFLA_NET_NS_FD, b.fd()); }}, &root);
  Rtnl own = SETUP_OK(root.Run([] { return Rtnl::Open(); }));
  Place sibling(root.Run([] { return NetNamespace::Create(); }));
  EXPECT_OK(root.Run([&] { return own.MoveLink(40, sibling.ref()); })) << "control: a target that belongs to the same user namespace";
  EXPECT_THAT(LinkNames(sibling), ElementsAre("lo", "west"));
}

// rtnetlink(7): a refused creation creates nothing, neither where it was asked for nor where it was asked.
NETNS_TEST(Dev, ARefusedCreationElsewhereCreatesNothing, Covers("DEV-08", "DEV-09", "NLK-09", "NLK-15"), Needs(Config("VETH"), Config("BRIDGE"))) {
  Place a, b;
  AddDevice(b, "taken", {.index = 41});
  Actor member = b.ns.StartActor("member");
  SETUP_OK(a->NewNsid(b.ref(), 0));
  const auto into = [&](int way, LinkSpec spec) {
    if (way == 0) spec.netns_fd = b.fd();
    if (way == 1) spec.netns_pid = member.pid();
    if (way == 2) spec.target_nsid = 0;
    return spec;
  };
  for (int way : {0, 1, 2})
    for (const char* kind : {"bridge", "dummy", "ifb", "veth"}) {
      SCOPED_TRACE(std::string(kind) + (way == 0 ? ", by descriptor" : way == 1 ? ", by pid" : ", by id"));
      LinkSpec free = into(way, {.name = "free", .kind = kind, .index = 700});
      if (std::string(kind) == "veth") free.peer = PeerSpec{.name = "freepeer", .netns_fd = b.fd()};
      if (const Status made = a->AddLink(free); made.code() == EOPNOTSUPP) continue;  // not in this kernel
      EXPECT_THAT(LinkNames(b), Contains("free")) << "control: it is made in the namespace that was named";
      EXPECT_THAT(LinkNames(a), ElementsAre("lo")) << "control: and nothing here";
      SETUP_OK(b->DeleteLink("free"));
      const State here = StateOf(a), there = StateOf(b);
      Listener in_a(a);
      for (int wrong : {0, 1, 2, 3}) {
        LinkSpec spec = free;
        if (wrong == 0) spec.name = "taken";
        if (wrong == 1) spec.index = 41;
        if (wrong == 2) spec.name = "no/name";
        if (wrong == 3) spec.kind = "nothing";
        const Status refused = a->AddLink(spec);
        const char* why = wrong == 0 ? "its name is taken there" : wrong == 1 ? "its index is taken there" : wrong == 2 ? "its name is none" : "its kind is none";
        EXPECT_FALSE(refused.ok()) << why;
        if (wrong == 0) {
          EXPECT_THAT(refused, FailsWith(EEXIST));
        }
        EXPECT_THAT(Changes(here, StateOf(a)), IsEmpty()) << why << ", and something was made here";
        EXPECT_THAT(Changes(there, StateOf(b)), IsEmpty()) << why << ", and something was made there";
      }
    }
}

// rt-link.yaml, target-netnsid: "the id of the network namespace", any that was assigned. Equal names, indexes and groups on
// both sides: whose is meant shows.
NETNS_TEST(Dev, ANamespaceIsNamedByAnyIdThatItHas, Covers("NLK-09", "DEV-12", "DEV-40", "NSID-05"), Needs(Config("VETH"), Config("BRIDGE")), Within{std::chrono::seconds(60)}) {
  for (int id : {0, 1, 77, std::numeric_limits<int>::max() - 1}) {
    SCOPED_TRACE("id " + std::to_string(id));
    Place here, there, third;
    SETUP_OK(here->NewNsid(there.ref(), id));
    // Whichever number is mistaken for none or for another: it is that of a third, or of the namespace itself.
    SETUP_OK(here->NewNsid(third.ref(), id == 0 ? 1 : 0));
    SETUP_OK(here->NewNsid(here.ref(), id == 1 || id == 0 ? 2 : 1));
    for (Place* place : {&here, &there, &third}) {
      AddBridge(*place, "same", {.index = 300, .address = place == &there ? "02:00:00:00:00:02" : "02:00:00:00:00:01"});
      AddBridge(*place, "second", {.index = 301});
      for (const char* name : {"group1", "group2"}) AddBridge(*place, name, {.group = 9});
      SETUP_OK((*place)->AddAddress(place == &there ? "192.0.2.2/24" : "192.0.2.1/24", "same"));
    }
    const auto all_but = [](std::set<std::string> gone) {
      std::vector<std::string> left;
      for (const char* name : {"group1", "group2", "lo", "same", "second"})
        if (!gone.contains(name)) left.push_back(name);
      return left;
    };
    // Questions.
    for (const LinkRef& ref : {LinkRef("same"), LinkRef(300)}) {
      EXPECT_THAT(here->GetLink(ref), Holds(testing::Field(&Link::address, "02:00:00:00:00:01"))) << "control: without an id, " << ref.ToString();
      ASSERT_OK_AND_ASSIGN(const Link link, here->GetLink(ref, id));
      EXPECT_EQ(link.address, "02:00:00:00:00:02") << ref.ToString() << " of the namespace with the id";
      EXPECT_THAT(link.target_netnsid, testing::Optional(id));
    }
    std::size_t bridges_there = 0;
    for (const Link& link : SETUP_OK(here->Links({.target_nsid = id}))) {
      bridges_there += link.kind == "bridge";
      if (link.name == "same") {
        EXPECT_EQ(link.address, "02:00:00:00:00:02") << "the dump is of another namespace";
      }
      EXPECT_THAT(link.target_netnsid, testing::Optional(id));
    }
    EXPECT_EQ(bridges_there, 4u);
    std::vector<std::string> addresses;
    for (const Address& address : SETUP_OK(here->Addresses({.family = AF_INET, .target_nsid = id}))) addresses.push_back(address.address);
    EXPECT_THAT(addresses, ElementsAre("192.0.2.2")) << "the dump is of another namespace";
    // Creation; a pair's other end is told by the id.
    EXPECT_OK(here->AddLink({.name = "new", .kind = "bridge", .target_nsid = id}));
    EXPECT_THAT(LinkNames(there), Contains("new"));
    EXPECT_OK(here->AddVeth("near", PeerSpec{.name = "far", .netns_fd = there.fd()}));
    EXPECT_THAT(LinkNames(there), Contains("far"));
    EXPECT_THAT(SETUP_OK(here->LinkByName("near")).link_netnsid, testing::Optional(id)) << "and the answer names it";
    SETUP_OK(here->DeleteLink("near"));
    // A move.
    AddDevice(here, "goes");
    EXPECT_OK(here->MoveLink("goes", ByNsid(id)));
    EXPECT_THAT(LinkNames(there), Contains("goes"));
    for (const char* name : {"new", "goes"}) (void)there->DeleteLink(name).ok();
    EXPECT_THAT(LinkNames(here), testing::ElementsAreArray(all_but({}))) << "nothing of this happened here";
    // Deletion by name, by index, by group.
    AddBridge(there, "probe");
    if (here->DeleteLink("probe", id).code() == ENODEV && !here.ns.HasSysctl("net.core.rps_default_mask")) {
      for (const char* name : {"probe", "same"}) SETUP_OK(there->DeleteLink(name));  // before 5.13 a name is looked up here
    } else {
      EXPECT_THAT(LinkNames(there), testing::ElementsAreArray(all_but({}))) << "deleted by name";
      EXPECT_OK(here->DeleteLink("same", id));
    }
    EXPECT_THAT(LinkNames(there), testing::ElementsAreArray(all_but({"same"}))) << "deleted by name";
    EXPECT_OK(here->DeleteLink(301, id));
    EXPECT_THAT(LinkNames(there), testing::ElementsAreArray(all_but({"same", "second"}))) << "deleted by index";
    EXPECT_THAT(LinkNames(here), testing::ElementsAreArray(all_but({}))) << "nothing of this happened here";
    Request group(RTM_DELLINK);
    group.Named("delete a group of another namespace").Header(ifinfomsg{}).U32(IFLA_GROUP, 9).S32(IFLA_TARGET_NETNSID, id);
    EXPECT_OK(here->socket().Ack(group));
    EXPECT_THAT(LinkNames(there), ElementsAre("lo")) << "deleted by group";
    EXPECT_THAT(LinkNames(here), testing::ElementsAreArray(all_but({}))) << "the group of this namespace";
    EXPECT_THAT(here->socket().Ack(group), FailsWith(ENODEV)) << "no such group is left there";
    EXPECT_THAT(LinkNames(here), testing::ElementsAreArray(all_but({}))) << "the group of this namespace";
    EXPECT_THAT(LinkNames(third), testing::ElementsAreArray(all_but({}))) << "the group of a third namespace";
    EXPECT_OK(here->DeleteGroup(9)) << "control: without an id";
    EXPECT_THAT(LinkNames(here), testing::ElementsAreArray(all_but({"group1", "group2"})));
  }
}

// rt-link.yaml, rt-addr.yaml: the id of a namespace gives no right over it; each question needs CAP_NET_ADMIN there.
NETNS_TEST(Nlk, EachQuestionByATargetIdNeedsCapabilityOverThatNamespace, Covers("NLK-07", "NLK-08", "NLK-11", "USER-27"), Needs(Config("VETH"), Config("BRIDGE"), UserNs())) {
  Place theirs;
  AddBridge(theirs, "theirs", {.index = 60});
  SETUP_OK(theirs->AddAddress("192.0.2.1/24", "theirs"));
  const bool ipv6 = HasIpv6();
  if (ipv6) SETUP_OK(theirs->AddAddress("2001:db8::1/64", "theirs", {.nodad = true}));
  for (int id : {0, 12}) {
    SCOPED_TRACE("id " + std::to_string(id));
    const auto links = [&](LinkFilter filter) {
      return [id, filter](Rtnl& rtnl) mutable -> Result<std::size_t> {
        filter.target_nsid = id;
        ASSIGN_OR_RETURN(const auto found, rtnl.Links(filter));
        return found.size();
      };
    };
    const auto addresses = [&](AddressFilter filter) {
      return [id, filter](Rtnl& rtnl) mutable -> Result<std::size_t> {
        filter.target_nsid = id;
        ASSIGN_OR_RETURN(const auto found, rtnl.Addresses(filter));
        return found.size();
      };
    };
    struct Question {
      const char* what;
      std::function<Result<std::size_t>(Rtnl&)> ask;
    };
    std::vector<Question> questions = {
        {"RTM_GETLINK by name", [id](Rtnl& rtnl) -> Result<std::size_t> { ASSIGN_OR_RETURN(std::ignore, rtnl.GetLink("theirs", id)); return 1; }},
        {"RTM_GETLINK by index", [id](Rtnl& rtnl) -> Result<std::size_t> { ASSIGN_OR_RETURN(std::ignore, rtnl.GetLink(60, id)); return 1; }},
        {"a dump of links", links({})},
        {"a dump of links of one kind", links({.kind = "bridge"})},
        {"a dump of addresses", addresses({})},
        {"a dump of IPv4 addresses", addresses({.family = AF_INET})},
        {"a dump of IPv4 addresses of one link", addresses({.family = AF_INET, .index = 60})},
    };
    if (ipv6) {
      questions.push_back({"a dump of IPv6 addresses", addresses({.family = AF_INET6})});
      questions.push_back({"a dump of IPv6 addresses of one link", addresses({.family = AF_INET6, .index = 60})});
      questions.push_back({"RTM_GETADDR of one IPv6 address", [id](Rtnl& rtnl) -> Result<std::size_t> {
                             ifaddrmsg header{};
                             header.ifa_family = AF_INET6;
                             Request request(RTM_GETADDR);
                             request.Named("get an IPv6 address").Header(header);
                             PutAddress(request, IFA_ADDRESS, "2001:db8::1");
                             request.S32(IFA_TARGET_NETNSID, id);
                             // The answer is sent to a socket of the target that has this one's number; the acknowledgement comes here.
                             ASSIGN_OR_RETURN(std::ignore, rtnl.socket().Ask(request));
                             return 1;
                           }});
    }
    Actor child = StartNamespaceRoot("child"), nobody = StartNamespaceRoot("nobody");
    for (Actor* asker : {&child, &nobody}) {
      Place own{SETUP_OK(NetNamespace::OfPid(asker->pid()))};
      SETUP_OK(own->NewNsid(theirs.ref(), id));
      if (asker == &nobody) SETUP_OK(KeepOnlyCapabilities(*asker, {}));
      Rtnl theirs_to_lend = SETUP_OK(asker->Run([] { return Rtnl::Open(); }));
      for (const auto& [what, ask] : questions) {
        SCOPED_TRACE(std::string(what) + (asker == &child ? ", by root of another user namespace" : ", by one without rights"));
        EXPECT_THAT(asker->Run([&] { return ask(theirs_to_lend); }), FailsWith(EACCES));
        EXPECT_THAT(ask(theirs_to_lend), FailsWith(EACCES)) << "by one with rights, on a socket of one without";
        EXPECT_THAT(asker->Run([&] { return ask(own.rtnl); }), FailsWith(EACCES)) << "by one without rights, on a socket of one with them";
        EXPECT_THAT(ask(own.rtnl), Holds(testing::Ge(1u))) << "control: by one with rights";
      }
    }
  }
}

// A namespace that a device has left is none of its business any more.
NETNS_TEST(Dev, ANamespaceThatADeviceHasLeftMayDie, Covers("DEV-32", "LIFE-01", "DEV-10"), Needs(Config("VETH"), UserNs())) {
  for (int way : {0, 1, 2}) {
    SCOPED_TRACE(way == 0 ? "where it was made dies" : way == 1 ? "where it was in between dies" : "both die");
    Watched watched(2);
    const std::string first = "first" + std::to_string(way), second = "second" + std::to_string(way);
    NetNamespace made = watched.Create(first), between = watched.Create(second);
    Place b;
    {
      Place from{SETUP_OK(made.Dup())}, by{SETUP_OK(between.Dup())};
      AddDevice(from, "west", {.index = 40, .address = "02:00:00:00:03:01"});
      SETUP_OK(from->AddVeth("dies", PeerSpec{.name = "witness", .netns_fd = b.fd()}));
      SETUP_OK(by->AddVeth("dies", PeerSpec{.name = "witness2", .netns_fd = b.fd()}));
      SETUP_OK(from->MoveLink("west", by.ref()));
      SETUP_OK(by->MoveLink("west", b.ref()));
    }
    SETUP_OK(b->Up("west"));
    SETUP_OK(b->AddAddress("192.0.2.1/24", "west"));
    SETUP_OK(b->AddRoute({.to = "198.51.100.0/24", .via = "192.0.2.9"}));
    SETUP_OK(b->SetLink("west", {.mtu = 1450, .alias = "own", .promiscuous = true, .txqlen = 55, .group = 4243}));
    const int index = SETUP_OK(b->LinkByName("west")).index;
    const auto of_west = [&] {
      State state;
      for (const auto& [key, value] : StateOf(b))
        if (key.starts_with(std::to_string(index) + " ")) state[key] = value;
      return state;
    };
    const State before = of_west();
    Listener in_b(b, {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_ROUTE});
    if (way != 1) (void)made.Release();
    if (way != 0) (void)between.Release();
    if (way != 1) {
      EXPECT_OK(watched.UntilGone("control: the namespace to be freed", first));
      EXPECT_THAT(b->LinkByName("witness"), FailsWith(ENODEV)) << "control: what was still there died";
    }
    if (way != 0) {
      EXPECT_OK(watched.UntilGone("control: the namespace to be freed", second));
      EXPECT_THAT(b->LinkByName("witness2"), FailsWith(ENODEV)) << "control: what was still there died";
    }
    watched.Fence();
    EXPECT_THAT(Changes(before, of_west()), IsEmpty()) << "the end of a namespace that it had left changed these of a device";
    for (const Message& message : in_b.Heard()) {
      if (message.type() != RTM_NEWLINK && message.type() != RTM_DELLINK) continue;
      const Link link = ReadLink(message);
      if (link.index != index) continue;
      EXPECT_EQ(message.type(), RTM_NEWLINK) << "told to be gone: " << link;
      EXPECT_TRUE(link.up()) << "it was down for a while: " << link;
    }
  }
}

// network_namespaces(7): a physical device comes back. A virtual one dies where it is, wherever it was made and whichever way it
// took.
NETNS_TEST(Dev, VirtualDevicesThatWereMadeInTheInitialNamespaceDieElsewhere, Covers("DEV-32", "PHYS-31", "VIRT-13"), Needs(Machine(), Config("VETH"), UserNs()),
           Exclusive{}, Within{std::chrono::seconds(60)}) {
  Place initial(InitialNetNamespace()), peers;
  struct Remove {
    Place& initial;
    ~Remove() {
      for (const char* prefix : {"nscdie", "nscto"})
        for (const Link& link : SETUP_OK(initial->Links()))
          if (link.name.starts_with(prefix)) (void)initial->DeleteLink(link.index).ok();
    }
  } remove{initial};
  for (bool by_a_third : {false, true}) {
    SCOPED_TRACE(by_a_third ? "by way of a third namespace" : "moved at once");
    Watched watched;
    NetNamespace dying = watched.Create();
    Place third;
    std::optional<Place> inside(std::in_place, SETUP_OK(dying.Dup()));
    SETUP_OK(initial->AddVeth("nscdieveth", PeerSpec{.name = "peer", .netns_fd = peers.fd()}));
    SETUP_OK(initial->AddVeth("nsclow", PeerSpec{.name = "nsclow2"}));
    const int lower = SETUP_OK(initial->LinkByName("nsclow")).index;
    for (const char* kind : {"dummy", "ifb", "vcan", "nlmon", "wireguard", "macvlan", "macvtap", "netkit"}) {
      LinkSpec spec{.name = std::string("nscdie") + kind, .kind = kind};
      if (std::string(kind).starts_with("macv")) spec.link = LinkRef("nsclow");
      if (std::string(kind) == "netkit") spec.peer = PeerSpec{.name = "peerkit", .netns_fd = peers.fd()};
      (void)initial->AddLink(spec).ok();  // or not in this kernel
    }
    for (const UpperKind& kind : UpperKinds()) (void)initial->AddLink(UpperSpec(kind, std::string("nscto") + kind.name, lower, 7)).ok();
    std::set<std::string> moved;
    for (const std::string& name : LinkNames(initial)) {
      if (!name.starts_with("nscdie") && !name.starts_with("nscto")) continue;
      Place& first = by_a_third ? third : *inside;
      if (!initial->MoveLink(name, first.ref()).ok()) continue;  // local to its namespace
      if (by_a_third) SETUP_OK(third->MoveLink(name, inside->ref()));
      moved.insert(name);
    }
    EXPECT_THAT(moved, Contains("nscdieveth")) << "control";
    const auto names = LinkNames(*inside);
    for (const std::string& name : moved) EXPECT_THAT(names, Contains(name)) << "control: moved";
    const std::vector<std::string> before = LinkNames(initial);
    inside.reset();
    (void)dying.Release();
    watched.ExpectFreed("nothing pins it");
    EXPECT_EQ(LinkNames(initial), before) << "a virtual device came back to where it was made";
    EXPECT_THAT(LinkNames(peers), ElementsAre("lo")) << "the peer of a device that is gone";
    SETUP_OK(initial->DeleteLink("nsclow"));
  }
}

}  // namespace
}  // namespace netns
