// SPDX-License-Identifier: GPL-2.0-or-later
// EVT: kernel uevents of network devices, and which namespaces hear them.
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>

#include <cstring>

#include "fixtures/link_monitor.h"
#include "fixtures/nic.h"
#include "fixtures/sockets.h"
#include "fixtures/user_namespace.h"
#include "suites/support/place.h"
#include "suites/support/watched.h"

namespace netns {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Not;

/// A listener to the uevents of one namespace. The kernel sends those of network devices before the request that causes
/// them is answered, so an event that the listener causes itself is a fence.
class Ears {
 public:
  explicit Ears(Place& place) : place_(place), monitor_(SETUP_OK(UeventMonitor::In(place.ns))) {}

  /// All that came since the last call.
  std::vector<Uevent> Heard() {
    static int count = 0;
    const std::string fence = "fence" + std::to_string(++count);
    SETUP_OK(place_->AddVeth(fence, PeerSpec{.name = "p" + fence}));
    SETUP_OK(place_->DeleteLink(fence));
    std::vector<Uevent> heard;
    for (Uevent& event : SETUP_OK(monitor_.Through(UeventOf("remove", fence), "the fence")))
      if (event.path.find("fence") == std::string::npos) heard.push_back(std::move(event));
    // That of the peer may come behind: the next call leaves it out.
    return heard;
  }
  /// The same as "add@/devices/virtual/net/west".
  std::vector<std::string> Lines() {
    std::vector<std::string> lines;
    for (const Uevent& event : Heard()) lines.push_back(Describe(event));
    return lines;
  }
  /// Those that tell of a device called `name` or of its queues.
  std::vector<std::string> About(const std::string& name) {
    std::vector<std::string> lines;
    for (const std::string& line : Lines())
      if ((line + "/").find("/net/" + name + "/") != std::string::npos) lines.push_back(line);
    return lines;
  }

 private:
  Place& place_;
  UeventMonitor monitor_;
};

Uevent Find(const std::vector<Uevent>& events, const std::string& action, const std::string& interface) {
  for (const Uevent& event : events)
    if (event.action == action && event.Value("INTERFACE") == interface) return event;
  ADD_FAILURE() << "no uevent '" << action << "' of " << interface << " in " << testing::PrintToString(events);
  return {};
}

/// What happens to a device in `a` is heard there, and by none of the others.
void OnlyItsNamespaceHears(Place& a, const std::vector<std::pair<std::string, Place*>>& others) {
  Ears here(a);
  std::vector<std::pair<std::string, std::unique_ptr<Ears>>> elsewhere;
  for (const auto& [name, place] : others) elsewhere.emplace_back(name, std::make_unique<Ears>(*place));
  auto nobody_else = [&](const std::string& step, const std::string& name) {
    for (auto& [where, ears] : elsewhere)
      EXPECT_THAT(ears->About(name), IsEmpty()) << step << ": heard in the namespace " << where;
  };
  AddDevice(a, "west", {.tx_queues = 2, .rx_queues = 2});
  EXPECT_THAT(here.Lines(), IsSupersetOf({"add@/devices/virtual/net/west", "add@/devices/virtual/net/west/queues/tx-0",
                                          "add@/devices/virtual/net/west/queues/tx-1"}))
      << "control: in the namespace of the device";
  nobody_else("creation", "west");
  SETUP_OK(a->Rename("west", "south"));
  const auto renamed = here.Heard();
  const auto move = std::find_if(renamed.begin(), renamed.end(), [](const Uevent& event) {
    return event.action == "move" && event.path == "/devices/virtual/net/south";
  });
  ASSERT_NE(move, renamed.end()) << testing::PrintToString(renamed);
  EXPECT_EQ(move->Value("DEVPATH_OLD"), "/devices/virtual/net/west");
  nobody_else("renaming", "south");
  a.ns.InWithSysfs([] { SETUP_OK(WriteFile("/sys/class/net/south/uevent", "change")); });
  EXPECT_THAT(here.Lines(), Contains("change@/devices/virtual/net/south"));
  nobody_else("a change that was asked for", "south");
  // Whoever asks: a file of sysfs is of the device for which it was opened, wherever its writer is.
  Fd file;
  a.ns.InWithSysfs([&] { file = SETUP_OK(Open("/sys/class/net/south/uevent", O_WRONLY)); });
  std::vector<std::string> expected;
  for (const auto& [where, place] : others)
    for (const std::string& action : {std::string("change"), std::string("add")}) {
      const std::string text = action == "add" ? action + " 8fbd2d4a-3c1c-4a53-9d36-0c3f0b8a7e11 FROM=elsewhere" : action;
      SETUP_OK(place->ns.In([&]() -> Status {
        if (::write(file.get(), text.data(), text.size()) < 0) return ErrnoError("write(uevent)");
        return Ok();
      }));
      expected.push_back(action + "@/devices/virtual/net/south");
    }
  EXPECT_THAT(here.About("south"), ElementsAreArray(expected)) << "changes that processes in the other namespaces asked for by the file uevent of the device: heard in that of the device";
  nobody_else("changes that processes in the other namespaces asked for by the file uevent of the device", "south");
  SETUP_OK(a->DeleteLink("south"));
  EXPECT_THAT(here.Lines(), Contains("remove@/devices/virtual/net/south"));
  nobody_else("deletion", "south");
}

/// Who sent the next uevent of the caller's namespace, in the caller's terms.
ucred SenderOfNextUevent() {
  const Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = 1;
  if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) SETUP_OK(Status(ErrnoError("bind")));
  SETUP_OK(SetSockOpt(socket, SOL_SOCKET, SO_PASSCRED, 1));
  SETUP_OK(SETUP_OK(Rtnl::Open()).AddVeth("west", PeerSpec{.name = "east"}));
  SETUP_OK(WaitFor(socket.get(), POLLIN, Deadline::OfTest(), "a uevent"));
  char text[4096], control[256] = {};
  iovec part{text, sizeof text};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof control;
  if (::recvmsg(socket.get(), &header, 0) < 0) SETUP_OK(Status(ErrnoError("recvmsg")));
  ucred sender{-1, 4711, 4711};
  for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item))
    if (item->cmsg_level == SOL_SOCKET && item->cmsg_type == SCM_CREDENTIALS) std::memcpy(&sender, CMSG_DATA(item), sizeof sender);
  return sender;
}

// lib/kobject_uevent.c, uevent_net_broadcast_tagged(): a udev of a container believes only what comes from its root.
NETNS_TEST(Evt, AreSentByRootOfTheOwner, Covers("EVT-01"), Needs(Config("VETH"), UserNs())) {
  Actor owner = StartNamespaceRoot("owner");
  const ucred sender = owner.Run([] { return SenderOfNextUevent(); });
  EXPECT_EQ(sender.uid, 0u) << "the user who sends the uevents of a namespace, seen by its owner";
  EXPECT_EQ(sender.gid, 0u);
  EXPECT_EQ(sender.pid, 0) << "the kernel";
  if (!IsRealRoot()) return;
  Actor plain = Actor::Start("plain", CLONE_NEWNET);
  EXPECT_EQ(plain.Run([] { return SenderOfNextUevent(); }).uid, 0u) << "control: a namespace of the initial owner";
}

NETNS_TEST(Evt, OfADeviceAreHeardInItsNamespaceOnly, Covers("EVT-01"), Needs(Config("VETH"), UserNs())) {
  Place here = Place::Here();
  Place before, a, after;
  Place nested = Place::Inside(a);
  Actor root = StartNamespaceRoot("root");
  Place owned{root.Run([] { return NetNamespace::Current(); })};
  OnlyItsNamespaceHears(
      a, {{"of the creator", &here}, {"made before", &before}, {"made after", &after}, {"made inside", &nested}, {"of another owner", &owned}});
  OnlyItsNamespaceHears(
      owned, {{"of the creator", &here}, {"made before", &before}, {"made after", &after}, {"made inside", &nested}, {"a", &a}});
  OnlyItsNamespaceHears(here, {{"made before", &before}, {"a", &a}, {"made inside", &nested}, {"of another owner", &owned}});
}
NETNS_TEST(Evt, DoNotCrossToOrFromTheInitialNamespace, Covers("EVT-01"), Needs(Machine(), Config("VETH")), Exclusive{}) {
  Place initial(InitialNetNamespace());
  Place a;
  Place nested = Place::Inside(a);
  Actor root = StartNamespaceRoot("root");
  Place owned{root.Run([] { return NetNamespace::Current(); })};
  OnlyItsNamespaceHears(a, {{"initial", &initial}});
  OnlyItsNamespaceHears(owned, {{"initial", &initial}});
  OnlyItsNamespaceHears(nested, {{"initial", &initial}});
  OnlyItsNamespaceHears(initial, {{"a", &a}, {"made inside", &nested}, {"of another owner", &owned}});
}

/// What was heard of network devices: of modules that come and go all namespaces hear.
std::vector<Uevent> OfDevices(Ears& ears) {
  std::vector<Uevent> heard = ears.Heard();
  std::erase_if(heard, [](const Uevent& event) { return event.path.find("/net/") == std::string::npos; });
  return heard;
}

NETNS_TEST(Evt, AMoveIsARemovalHereAndAnAdditionThere, Covers("EVT-02"), Needs(Config("VETH"))) {
  Place a, b, other;
  const int index = AddDevice(a, "west", {.index = 50});
  AddDevice(b, "taken", {.index = 50});
  Ears in_a(a), in_b(b), in_other(other);
  SETUP_OK(a->MoveLink("west", b.ref()));
  const int index_in_b = SETUP_OK(b->LinkByName("west")).index;
  ASSERT_NE(index_in_b, index) << "its index was taken";
  const auto left = OfDevices(in_a), came = OfDevices(in_b);
  const Uevent removal = Find(left, "remove", "west"), addition = Find(came, "add", "west");
  EXPECT_EQ(removal.path, "/devices/virtual/net/west");
  EXPECT_EQ(removal.Value("IFINDEX"), std::to_string(index));
  EXPECT_EQ(addition.path, "/devices/virtual/net/west");
  EXPECT_EQ(addition.Value("IFINDEX"), std::to_string(index_in_b));
  for (const Uevent& event : left) EXPECT_FALSE(event.action == "add") << event << " where it left";
  for (const Uevent& event : came) EXPECT_FALSE(event.action == "remove") << event << " where it came to";
  EXPECT_THAT(OfDevices(in_other), IsEmpty());
  // Back again, and on: the second crossing is told like the first.
  SETUP_OK(b->MoveLink("west", a.ref()));
  EXPECT_EQ(Find(in_b.Heard(), "remove", "west").Value("IFINDEX"), std::to_string(index_in_b));
  EXPECT_EQ(Find(in_a.Heard(), "add", "west").Value("IFINDEX"), std::to_string(SETUP_OK(a->LinkByName("west")).index));
  // Under another name: each side is told of its own.
  SETUP_OK(a->MoveLink("west", b.ref(), {.new_name = "north"}));
  const auto left_named = OfDevices(in_a), came_renamed = OfDevices(in_b);
  EXPECT_EQ(Find(left_named, "remove", "west").path, "/devices/virtual/net/west") << "the name that it had where it left";
  for (const Uevent& event : left_named) EXPECT_EQ(event.action, "remove") << event << " where it left";
  // Some kernels add it under its old name, and tell of the new one behind that.
  std::string last;
  for (const Uevent& event : came_renamed) {
    EXPECT_NE(event.action, "remove") << event << " where it came to";
    if (event.path == "/devices/virtual/net/west" || event.path == "/devices/virtual/net/north") last = event.path;
  }
  EXPECT_EQ(last, "/devices/virtual/net/north") << "the name that it has where it came to";
  EXPECT_THAT(came_renamed, Contains(testing::Field(&Uevent::action, "add")));
  EXPECT_THAT(OfDevices(in_other), IsEmpty());
  SETUP_OK(b->MoveLink("north", a.ref(), {.new_name = "west"}));
  (void)in_a.Heard(), (void)in_b.Heard();
  // Control: a new name in one namespace is neither.
  SETUP_OK(a->Rename("west", "south"));
  EXPECT_THAT(in_a.Lines(), Contains("move@/devices/virtual/net/south"));
  EXPECT_THAT(in_b.About("south"), IsEmpty());
  EXPECT_THAT(OfDevices(in_other), IsEmpty());
}

/// A way to move a device "west" of index 50.
struct Crossing {
  const char* name;
  bool name_taken, index_taken;     ///< By another device in the target.
  MoveOptions options;
};
const std::vector<Crossing>& Crossings() {
  static const std::vector<Crossing> crossings = {
      {"AsItIs", false, false, {}},
      {"ToWhereItsIndexIsTaken", false, true, {}},
      {"UnderANewName", false, false, {.new_name = "x0"}},
      {"UnderANewNameToWhereItsIndexIsTaken", false, true, {.new_name = "x0"}},
      {"ByAPattern", false, false, {.new_name = "x%d"}},
      {"UnderANewNameToWhereItsOwnIsTaken", true, false, {.new_name = "x0"}},
      {"UnderANewNameToWhereItsOwnAndItsIndexAreTaken", true, true, {.new_name = "x0"}},
      {"ByAPatternToWhereItsNameIsTaken", true, false, {.new_name = "x%d"}},
      {"ByAPatternOfItsOwnNameToWhereItsNameAndItsIndexAreTaken", true, true, {.new_name = "west%d"}},
      {"WithANewIndex", false, false, {.new_ifindex = 500}},
      {"WithANewIndexToWhereItsNameIsTaken", true, false, {.new_name = "x0", .new_ifindex = 500}},
  };
  return crossings;
}
void IsTold(const Crossing& crossing) {
  Place a, other;
  Ears in_other(other);
  const int lower = AddDevice(a, "lower");
  for (const char* kind : {"veth", "macvlan"}) {
    SCOPED_TRACE(kind);
    if (std::string(kind) == "veth") {
      AddDevice(a, "west", {.index = 50});
    } else {
      const Status added = a->AddLink({.name = "west", .kind = kind, .index = 50, .link = lower});
      if (added.code() == EOPNOTSUPP) continue;  // not in this kernel
      SETUP_OK(Status(added));
    }
    Place b;
    if (crossing.name_taken) AddDevice(b, "west", {.index = 60});
    if (crossing.index_taken) AddDevice(b, "taken", {.index = 50});
    const auto before = LinkNames(b);
    Ears in_a(a), in_b(b);
    SETUP_OK(a->MoveLink("west", b.ref(), crossing.options));
    Link there;
    for (Link& link : SETUP_OK(b->Links()))
      if (!IsFallback(link.name) && std::find(before.begin(), before.end(), link.name) == before.end()) there = std::move(link);
    if (!crossing.options.new_ifindex) {  // ignored before 5.13
      EXPECT_EQ(there.index != 50, crossing.index_taken) << "control";
    }
    const auto left = OfDevices(in_a), came = OfDevices(in_b);
    const std::string directory = "/devices/virtual/net/";
    ASSERT_THAT(left, testing::SizeIs(1)) << "where it left, one event";
    EXPECT_EQ(Describe(left[0]), "remove@" + directory + "west");
    EXPECT_EQ(left[0].Value("DEVPATH"), directory + "west");
    EXPECT_EQ(left[0].Value("INTERFACE"), "west");
    EXPECT_EQ(left[0].Value("IFINDEX"), "50");
    // It is added, under whichever name, and told by each name that it has until the request is done.
    ASSERT_THAT(came, Not(IsEmpty())) << "where it came to";
    EXPECT_EQ(came[0].action, "add") << came[0];
    std::string last;
    for (const Uevent& event : came) {
      if (!last.empty()) {
        EXPECT_EQ(event.action, "move") << event;
        EXPECT_EQ(event.Value("DEVPATH_OLD"), last) << event;
      }
      last = event.Value("DEVPATH");
      EXPECT_EQ(event.path, last) << event;
      EXPECT_EQ(directory + event.Value("INTERFACE"), last) << event;
      EXPECT_EQ(event.Value("IFINDEX"), std::to_string(there.index)) << event;
    }
    EXPECT_EQ(last, directory + there.name) << "the name that it has there";
    if (crossing.options.new_name.empty()) {
      for (const Uevent& event : came) EXPECT_EQ(event.path, directory + "west") << "it keeps its name";  // some kernels tell of a 'move' to that
    }
    SETUP_OK(b->DeleteLink(there.name));
  }
  EXPECT_THAT(OfDevices(in_other), IsEmpty()) << "in a namespace that it neither left nor came to";
}
[[maybe_unused]] const bool crossings = [] {
  for (const Crossing& crossing : Crossings())
    RegisterBody("Evt", std::string("AMoveIsTold/") + crossing.name, __FILE__, __LINE__, [&crossing] { IsTold(crossing); }, Covers("EVT-02"),
                 Needs(Config("VETH")));
  return true;
}();

// lib/kobject_uevent.c, uevent_net_init(): only the namespaces that the initial user namespace owns are on the list.
NETNS_TEST(Evt, OfDevicesWithoutNamespaceGoToTheInitialOwnersNamespaces, Covers("EVT-03"), Needs(Root(), Machine(), Config("VETH")),
           Exclusive{}) {
  Place initial(InitialNetNamespace());
  Place before;
  Actor root = StartNamespaceRoot("root");
  Place owned{root.Run([] { return NetNamespace::Current(); })};
  Place owned_too{root.Run([] { return NetNamespace::Create(); })};
  // Of user namespaces further below, and of one whose root is the root of the machine.
  Actor nested = Actor::Start("nested");
  SETUP_OK(EnterNewUserNamespace(nested));
  Place of_same_root{nested.Run([] { return NetNamespace::Create(); })};
  SETUP_OK(EnterNewUserNamespace(nested));
  Place below{nested.Run([] { return NetNamespace::Create(); })};
  SETUP_OK(nested.Unshare(CLONE_NEWUSER | CLONE_NEWNET));
  Place deep{SETUP_OK(NetNamespace::OfPid(nested.pid()))};
  Place after;
  Ears in_initial(initial), in_before(before), in_after(after), in_owned(owned), in_owned_too(owned_too);
  Ears in_of_same_root(of_same_root), in_below(below), in_deep(deep);
  SETUP_OK(initial.ns.WriteSysfs("devices/virtual/mem/full/uevent", "add"));
  const std::string event = "add@/devices/virtual/mem/full";
  EXPECT_THAT(in_initial.Lines(), Contains(event));
  EXPECT_THAT(in_before.Lines(), Contains(event));
  EXPECT_THAT(in_after.Lines(), Contains(event));
  EXPECT_THAT(in_owned.Lines(), IsEmpty()) << "a child user namespace owns it";
  EXPECT_THAT(in_owned_too.Lines(), IsEmpty()) << "a child user namespace owns it";
  EXPECT_THAT(in_of_same_root.Lines(), IsEmpty()) << "a child user namespace with the same root owns it";
  EXPECT_THAT(in_below.Lines(), IsEmpty()) << "a user namespace two below owns it";
  EXPECT_THAT(in_deep.Lines(), IsEmpty()) << "a user namespace three below owns it";
}

/// A socket in the namespace of the calling process.
Fd OpenUeventSocket() {
  Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT));
  if (!socket.valid()) throw SetupFailure(ErrnoError("socket(NETLINK_KOBJECT_UEVENT)").ToString(), std::source_location::current());
  return socket;
}
/// Sends a uevent to the kernel as `sender`'s process does, and gives the kernel's answer.
Status Inject(const Fd& socket, const std::string& path) {
  std::string text = "add@" + path + '\0' + "ACTION=add" + '\0' + "DEVPATH=" + path + '\0' + "SUBSYSTEM=netns-conformance" + '\0';
  nlmsghdr header{};
  header.nlmsg_len = static_cast<__u32>(sizeof header + text.size());
  header.nlmsg_type = NLMSG_MIN_TYPE;
  header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  std::string message(reinterpret_cast<const char*>(&header), sizeof header);
  RETURN_IF_ERROR(SendTo(socket, message + text, NetlinkAddress(0)));
  const std::string answer = SETUP_OK(Receive(socket)).data;
  nlmsgerr refusal{};
  if (answer.size() < sizeof header + sizeof refusal.error) return Error{EPROTO, "the answer to an injected uevent"};
  std::memcpy(&refusal.error, answer.data() + sizeof header, sizeof refusal.error);
  if (refusal.error != 0) return Error{-refusal.error, "injecting a uevent"};
  return Ok();
}
void InjectionReachesOnlyTheOwnNamespace(const std::vector<std::pair<std::string, Place*>>& others) {
  Actor root = StartNamespaceRoot("root");
  Place own{root.Run([] { return NetNamespace::Current(); })};
  Place sibling{root.Run([] { return NetNamespace::Create(); })};
  Ears in_own(own), in_sibling(sibling);
  std::vector<std::pair<std::string, std::unique_ptr<Ears>>> elsewhere;
  for (const auto& [name, place] : others) elsewhere.emplace_back(name, std::make_unique<Ears>(*place));
  const Status sent = root.Run([] { return Inject(OpenUeventSocket(), "/injected"); });
  EXPECT_OK(sent) << "its root has CAP_SYS_ADMIN over the owner";
  EXPECT_THAT(in_own.Lines(), ElementsAre("add@/injected")) << "control: in the sender's namespace";
  EXPECT_THAT(in_sibling.Lines(), Not(Contains("add@/injected"))) << "another namespace of the same owner";
  for (auto& [where, ears] : elsewhere)
    EXPECT_THAT(ears->Lines(), Not(Contains("add@/injected"))) << "in the namespace " << where;
  // Without rights over the owner of the socket's namespace.
  Actor stranger = StartNamespaceRoot("stranger");
  const Fd there = SETUP_OK(own.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT));
  EXPECT_THAT(stranger.Run([&] { return Inject(there, "/forged"); }), FailsWith(EPERM));
  SETUP_OK(DropCapability(root, CAP_SYS_ADMIN));
  EXPECT_THAT(root.Run([] { return Inject(OpenUeventSocket(), "/forged"); }), FailsWith(EPERM));
  EXPECT_THAT(in_own.Lines(), IsEmpty());
}
NETNS_TEST(Evt, OfUserSpaceReachOnlyTheOwnNamespace, Covers("EVT-04"), Needs(Config("VETH"), UserNs())) {
  Place here = Place::Here();
  Place other;
  InjectionReachesOnlyTheOwnNamespace({{"of the creator", &here}, {"beside it", &other}});
}
NETNS_TEST(Evt, OfUserSpaceDoNotReachTheInitialNamespace, Covers("EVT-04"), Needs(Machine(), Config("VETH"), UserNs()), Exclusive{}) {
  Place initial(InitialNetNamespace());
  InjectionReachesOnlyTheOwnNamespace({{"initial", &initial}});
}

// Namespaces of one owner, the initial one among them: they are told together of what has no namespace, not of this.
NETNS_TEST(Evt, OfUserSpaceStayInOneNamespaceOfTheInitialOwner, Covers("EVT-04", "EVT-03"), Needs(Root(), Machine(), Config("VETH")), Exclusive{}) {
  Place initial(InitialNetNamespace());
  Place before, a;
  Place nested = Place::Inside(a);
  std::vector<std::pair<const char*, Place*>> places = {{"the initial one", &initial}, {"an older one", &before}, {"a younger one", &a}, {"one created from inside", &nested}};
  std::vector<std::unique_ptr<Ears>> ears;
  for (const auto& [name, place] : places) ears.push_back(std::make_unique<Ears>(*place));
  for (std::size_t i = 0; i < places.size(); ++i) {
    const std::string path = "/nsconf-injected-" + std::to_string(i);
    ASSERT_OK(Inject(SETUP_OK(places[i].second->ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_KOBJECT_UEVENT)), path));
    for (std::size_t j = 0; j < places.size(); ++j) {
      const auto lines = ears[j]->Lines();
      if (i == j) {
        EXPECT_THAT(lines, Contains("add@" + path)) << "control: sent in " << places[i].first;
      } else {
        EXPECT_THAT(lines, Not(Contains("add@" + path))) << "sent in " << places[i].first << ", heard in " << places[j].first;
      }
    }
  }
}

void ADyingNamespaceIsSilent(Place& listener) {
  Watched watched;
  NetNamespace dying = watched.Create();
  Ears ears(listener);
  {
    Place inside{SETUP_OK(dying.Dup())};
    AddDevice(inside, "dies", {.tx_queues = 2, .rx_queues = 2});
    AddDevice(inside, "deleted");
    Ears own(inside);
    SETUP_OK(inside->DeleteLink("deleted"));
    EXPECT_THAT(own.Lines(), Contains("remove@/devices/virtual/net/deleted")) << "control: while the namespace lives";
  }
  (void)dying.Release();
  watched.ExpectFreed("nothing pins it");
  for (const std::string& line : ears.Lines())
    for (const char* name : {"/net/dies", "/net/inside", "/net/deleted"}) EXPECT_THAT(line, Not(HasSubstr(name)));
}
NETNS_TEST(Evt, OfADyingNamespaceAreHeardNowhere, Covers("EVT-05"), Needs(Config("VETH"), UserNs())) {
  Place here = Place::Here();
  ADyingNamespaceIsSilent(here);
}
NETNS_TEST(Evt, OfADyingNamespaceAreNotHeardInTheInitialOne, Covers("EVT-05"), Needs(Machine(), Config("VETH"), UserNs()), Exclusive{}) {
  Place initial(InitialNetNamespace());
  ADyingNamespaceIsSilent(initial);
}

}  // namespace
}  // namespace netns
