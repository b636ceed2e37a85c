// SPDX-License-Identifier: GPL-2.0-or-later
// PHYS: the return of a card to the initial namespace, whatever the case: driver x depth of nesting x last pin x clash of
// names x state of the card x creator of the namespace. Every two values of any two of these meet in one of the cases;
// with --full also every driver, depth and clash.
//
// Two cards of a model go two such ways in each test, side by side: their namespaces lose their last process together.
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <net/if.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fixtures/thread.h"
#include "fixtures/user_namespace.h"
#include "harness/registration.h"
#include "suites/support/card.h"
#include "suites/support/pairwise.h"
#include "suites/support/phys.h"
#include "suites/support/xdp.h"

namespace netns {
namespace {

using testing::MatchesRegex;

enum class Pin { kProcess, kThread, kDescriptor, kBindMount, kSocket, kInFlight };
enum class Clash { kNone, kName, kAltname, kDevIndex, kAll };
enum class State { kDown, kUp, kAddressed, kVlan, kMacvlan, kBridge, kBond, kQdisc, kXdp, kPromiscuous, kMac };
constexpr const char* kPinNames[] = {"Process", "Thread", "Descriptor", "BindMount", "Socket", "InFlight"};
constexpr const char* kClashNames[] = {"NoClash", "NameClash", "AltnameClash", "DevIndexClash", "AllClash"};
constexpr const char* kStateNames[] = {"Down", "Up", "Addressed", "Vlan", "Macvlan", "Bridge", "Bond", "Qdisc", "Xdp", "Promiscuous", "Mac"};
constexpr const char* kStateNeeds[] = {nullptr, nullptr, nullptr, "VLAN_8021Q", "MACVLAN", "BRIDGE", "BONDING", "NET_CLS_MATCHALL", "BPF_SYSCALL", nullptr, nullptr};
constexpr std::size_t kPins = std::size(kPinNames), kClashes = std::size(kClashNames), kStates = std::size(kStateNames);

struct Case {
  std::size_t driver, depth;  ///< depth: 1 to 3
  Pin pin;
  Clash clash;
  State state;
  bool by_user;  ///< its namespaces belong to user namespaces
  std::string Name() const {
    return "Depth" + std::to_string(depth) + kPinNames[static_cast<std::size_t>(pin)] + kClashNames[static_cast<std::size_t>(clash)] +
           kStateNames[static_cast<std::size_t>(state)] + (by_user ? "User" : "Root");
  }
};

/// A queueing discipline, and a filter on what comes in.
Status AddQdiscAndFilter(Rtnl& rtnl, const Link& link) {
  RETURN_IF_ERROR(rtnl.AddQdisc(link.index, "pfifo", TC_H_ROOT, 0x10000));
  RETURN_IF_ERROR(rtnl.AddQdisc(link.index, "ingress", TC_H_INGRESS, 0xFFFF0000));
  Request filter(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL);
  tcmsg header{};
  header.tcm_ifindex = link.index;
  header.tcm_parent = 0xFFFF0000;
  header.tcm_info = TC_H_MAKE(1u << 16, htons(ETH_P_ALL));
  filter.Header(header).Text(TCA_KIND, "matchall").Nest(TCA_OPTIONS, [](Request& r) { r.U32(TCA_MATCHALL_CLASSID, 0x10001); });
  return rtnl.socket().Ack(filter.Named("add a filter"));
}

/// One card on its way.
class Journey {
 public:
  Journey(const PhysicalNic& nic, const Case& one, bool altnames)
      : nic_(nic), case_(one), altnames_(altnames), watch_(nic), upper_(Own("up", nic)), taken_(Own("tak", nic)) {}

  /// Into the innermost namespace, and into the state of the case.
  void Go() {
    SCOPED_TRACE(case_.Name());
    watch_.ExpectOnlyIn(watch_.initial());
    for (std::size_t level = 1; level <= case_.depth; ++level) levels_.push_back(&watch_.Add("level " + std::to_string(level), Resident(level)));
    CardPlace* from = &watch_.initial();
    for (CardPlace* to : levels_) {
      MoveOptions options;
      if (to == levels_.back()) options.new_ifindex = OwnIndex();
      watch_.Move(*from, *to, options);
      from = to;
    }
    Dress(*levels_.back());
    watch_.ExpectOnlyIn(*levels_.back());
    TakeNames();
    TakePin();
    levels_.back()->CloseSockets();
  }

  bool pinned() const { return case_.pin != Pin::kProcess; }
  void EndProcess() {
    levels_.back()->resident->Kill();
    levels_.back()->resident.reset();
  }
  void ExpectAway() {
    SCOPED_TRACE(case_.Name());
    EXPECT_THAT(watch_.In(watch_.initial()), FailsWith(ENODEV)) << "it returned although its namespace is held";
  }
  void ReleasePin() {
    if (release_) release_();
    release_ = nullptr;
  }
  /// Back it must be, announced, as it was, and only once.
  void ExpectReturn() {
    SCOPED_TRACE(case_.Name());
    ASSERT_OK_AND_ASSIGN(Link back, nic_.WaitUntilBack());
    CardFacts expected = facts_;
    expected.index = back.index;
    expected.name = back.name;
    const std::string fallback = "dev" + std::to_string(facts_.index);
    Rtnl& initial = *watch_.initial().rtnl;
    const NothingStays no_upper(initial, upper_);
    switch (case_.clash) {
      case Clash::kNone:
      case Clash::kAltname:
        EXPECT_EQ(back.name, facts_.name) << "its name is free";
        break;
      case Clash::kName:
        // Older kernels ignore which index it shall have; another test's card may bear the name at this moment.
        if (auto other = initial.LinkByName(fallback); !other.ok() || other->index == back.index || !other->kind.empty()) {
          EXPECT_EQ(back.name, fallback) << "its name is taken";
        }
        break;
      default:
        EXPECT_THAT(back.name, MatchesRegex("dev[0-9]+")) << "its name and dev<ifindex> are taken";
        EXPECT_NE(back.name, fallback) << "dev<ifindex> is taken";
    }
    if (case_.clash == Clash::kAll) {
      EXPECT_NE(back.index, facts_.index) << "its index is taken";
    } else if (!initial.LinkByIndex(facts_.index).ok() || back.index == facts_.index) {
      EXPECT_EQ(back.index, facts_.index) << "its index is free";
    }
    if (case_.clash == Clash::kAltname || case_.clash == Clash::kAll) expected.altnames.erase(taken_);
    watch_.ExpectCame(watch_.initial(), back.name);
    watch_.ExpectFacts(watch_.initial(), expected, "after the return");
    watch_.ExpectOnlyIn(watch_.initial());
    EXPECT_THAT(initial.Addresses({.index = back.index}), Holds(testing::IsEmpty()));
    EXPECT_THAT(initial.Routes({.dev = back.index}), Holds(testing::IsEmpty()));
    EXPECT_THAT(initial.Neighbours(), Holds(testing::Not(testing::Contains(testing::Field(&Neighbour::dev, back.index)))));
    EXPECT_THAT(initial.Qdiscs(), Holds(testing::Not(testing::Contains(testing::AllOf(
                                      testing::Field(&Qdisc::dev, back.index), testing::Field(&Qdisc::kind, testing::AnyOf("pfifo", "ingress")))))));
    EXPECT_THAT(initial.LinkByName(upper_), FailsWith(ENODEV)) << "what was virtual came along";
    const std::string attribute = watch_.initial().sysfs + "/class/net/" + back.name + "/mtu";
    struct stat info {};
    EXPECT_EQ(::stat(attribute.c_str(), &info), 0) << attribute;
    EXPECT_EQ(info.st_uid, 0u) << attribute << " belongs to global root again";
    EXPECT_OK(watch_.initial().resident->Run([&] { return ReadFile("/proc/sys/net/ipv4/conf/" + back.name + "/forwarding"); }));
    if (facts_.xdp) {
      EXPECT_OK(SetXdp(initial, back.index, -1)) << "taking away the XDP program that came along";
    }
    bystanders_.clear();
  }

 private:
  /// An index that no other card gets, and no device by itself.
  int OwnIndex() const {
    const std::string mac = nic_.mac();
    return 0x1000000 + static_cast<int>(std::stoul(mac.substr(9, 2) + mac.substr(12, 2) + mac.substr(15, 2), nullptr, 16));
  }

  /// The first process of a namespace at this level, made by a process of the one before.
  Actor Resident(std::size_t level) {
    Actor actor = Actor::Start("level" + std::to_string(level));
    CardPlace& outer = level == 1 ? watch_.initial() : *levels_.back();
    SETUP_OK(actor.Enter(outer.Namespace().fd(), CLONE_NEWNET));
    if (case_.by_user) {
      if (level > 1) {
        SETUP_OK(actor.Enter(SETUP_OK(Open(outer.resident->Proc("ns/user"), O_RDONLY)).get(), CLONE_NEWUSER));
        SETUP_OK(BecomeNamespaceRoot(actor));
        SETUP_OK(EnterMappedUserNamespace(actor, 1, static_cast<unsigned>(10 - 3 * level + 1), &*outer.resident));
      } else {
        SETUP_OK(EnterMappedUserNamespace(actor, 100000, 10));
      }
    }
    SETUP_OK(actor.Unshare(CLONE_NEWNET));
    return actor;
  }

  /// Makes it what it shall keep, and does what it shall lose.
  void Dress(CardPlace& place) {
    Rtnl& inside = *place.rtnl;
    Link link = SETUP_OK(watch_.In(place));
    if (case_.by_user) {
      struct stat info {};
      EXPECT_EQ(::stat((place.sysfs + "/class/net/" + link.name + "/mtu").c_str(), &info), 0);
      EXPECT_NE(info.st_uid, 0u) << "control: inside, its attributes belong to the owner's root";
    }
    if (case_.depth != 2) SETUP_OK(inside.Rename(link.index, Own("in", nic_)));
    SETUP_OK(inside.SetLink(link.index, {.mtu = 1400, .alias = "a card that travels", .txqlen = 77}));
    if (altnames_)
      for (const std::string& altname : {taken_, Own("kep", nic_)}) SETUP_OK(inside.AddAltname(link.index, altname));
    link = SETUP_OK(watch_.In(place));
    facts_ = CardFacts::Of(link);
    EXPECT_EQ(facts_.mtu, 1400u) << "control";
    switch (case_.state) {
      case State::kDown: break;
      case State::kUp: SETUP_OK(inside.Up(link.index)); break;
      case State::kAddressed:
        SETUP_OK(inside.Up(link.index));
        SETUP_OK(inside.AddAddress("192.0.2.1/24", link.index));
        (void)inside.AddAddress("2001:db8::1/64", link.index, {.nodad = true}).ok();  // where there is IPv6
        SETUP_OK(inside.AddRoute({.to = "198.51.100.0/24", .via = "192.0.2.2", .dev = link.index}));
        SETUP_OK(inside.AddNeighbour({.to = "192.0.2.9", .address = "02:00:00:00:00:09", .dev = link.index}));
        break;
      case State::kVlan:
        SETUP_OK(inside.Up(link.index));
        AddOrMiss(inside, Vlan(upper_, link.name, 10));
        SETUP_OK(inside.Up(upper_));
        break;
      case State::kMacvlan:
        SETUP_OK(inside.Up(link.index));
        AddOrMiss(inside, {.name = upper_, .kind = "macvlan", .link = link.index});
        SETUP_OK(inside.Up(upper_));
        break;
      case State::kBridge:
      case State::kBond:
        AddOrMiss(inside, {.name = upper_, .kind = case_.state == State::kBridge ? "bridge" : "bond"});
        SETUP_OK(inside.SetLink(link.index, {.master = LinkRef(upper_)}));
        SETUP_OK(inside.Up(upper_));
        SETUP_OK(inside.Up(link.index));
        break;
      case State::kQdisc:
        SETUP_OK(inside.Up(link.index));
        if (Status added = AddQdiscAndFilter(inside, link); added.code() == ENOENT || added.code() == EOPNOTSUPP) {
          throw MissingNeed("needs-config:NET_CLS_MATCHALL", added.error().ToString());
        } else {
          SETUP_OK(std::move(added));
        }
        break;
      case State::kXdp:
        SETUP_OK(inside.Up(link.index));
        SETUP_OK(AttachXdp(inside, link.index));
        facts_.xdp = true;
        break;
      case State::kPromiscuous:
        SETUP_OK(inside.SetLink(link.index, {.promiscuous = true}));
        facts_.promiscuous = true;
        break;
      case State::kMac:
        facts_.mac = "02:11:22:33:" + nic_.mac().substr(12);
        SETUP_OK(inside.SetLink(link.index, {.address = facts_.mac}));
        break;
    }
    const CardFacts now = CardFacts::Of(SETUP_OK(inside.LinkByIndex(link.index)));
    const bool down = case_.state == State::kDown || case_.state == State::kPromiscuous || case_.state == State::kMac;
    EXPECT_EQ(now.up, !down) << "control";
    EXPECT_EQ(now.enslaved, case_.state == State::kBridge || case_.state == State::kBond) << "control";
    EXPECT_EQ(now.xdp, facts_.xdp) << "control";
    EXPECT_EQ(now.mac, facts_.mac) << "control";
  }

  /// Devices in the initial namespace that have what the card would want.
  void TakeNames() {
    Rtnl& initial = *watch_.initial().rtnl;
    auto add = [&](const std::string& name, int index = 0) { bystanders_.push_back(std::make_unique<Bystander>(initial, name, index)); };
    const bool name = case_.clash == Clash::kName || case_.clash == Clash::kDevIndex || case_.clash == Clash::kAll;
    const bool as_altname = case_.depth == 2;  // a name may clash with an altname, and the other way round
    if (name) {
      add(as_altname ? Own("by", nic_) : facts_.name);
      if (as_altname) SETUP_OK(initial.AddAltname(bystanders_.back()->index(), facts_.name));
    }
    if (case_.clash == Clash::kDevIndex || case_.clash == Clash::kAll)
      add("dev" + std::to_string(facts_.index), case_.clash == Clash::kAll ? facts_.index : 0);
    if (case_.clash == Clash::kAltname || case_.clash == Clash::kAll) {
      add(as_altname ? Own("al", nic_) : taken_);
      if (as_altname) SETUP_OK(initial.AddAltname(bystanders_.back()->index(), taken_));
    }
  }

  void TakePin() {
    Actor& resident = *levels_.back()->resident;
    NetNamespace ns = levels_.back()->Namespace();
    switch (case_.pin) {
      case Pin::kProcess: break;
      case Pin::kThread: {
        auto thread = std::make_shared<Thread>();
        SETUP_OK(thread->Run([&]() -> Status {
          if (::setns(ns.fd(), CLONE_NEWNET) < 0) return ErrnoError("setns of a thread");
          return Ok();
        }));
        release_ = [thread] { thread->End(); };
        break;
      }
      case Pin::kDescriptor: {
        auto held = std::make_shared<NetNamespace>(std::move(ns));
        release_ = [held] { held->Release(); };
        break;
      }
      case Pin::kBindMount: {
        const std::string path = "/tmp/pin" + nic_.mac();
        SETUP_OK(Open(path, O_CREAT | O_RDONLY, 0600));
        if (::mount(resident.Proc("ns/net").c_str(), path.c_str(), nullptr, MS_BIND, nullptr) < 0) SETUP_OK(Status(ErrnoError("mount(MS_BIND)")));
        release_ = [path] { EXPECT_EQ(::umount(path.c_str()), 0) << ErrnoName(errno); };
        break;
      }
      case Pin::kSocket: {
        auto socket = std::make_shared<Fd>(SETUP_OK(ns.Socket(AF_INET, SOCK_DGRAM)));
        release_ = [socket] { socket->Reset(); };
        break;
      }
      case Pin::kInFlight: {
        auto pair = std::make_shared<std::pair<Fd, Fd>>(SETUP_OK(SocketPair(SOCK_STREAM)));
        SETUP_OK(SendFd(pair->first.get(), ns.fd()));
        release_ = [pair] { pair->first.Reset(), pair->second.Reset(); };
        break;
      }
    }
  }

  const PhysicalNic& nic_;
  const Case case_;
  const bool altnames_;
  CardWatch watch_;
  const std::string upper_, taken_;
  std::vector<CardPlace*> levels_;
  std::vector<std::unique_ptr<Bystander>> bystanders_;
  std::function<void()> release_;
  CardFacts facts_;  ///< as which it shall return, but for name and index
};

void RunCases(const std::vector<Case>& cases) {
  auto nics = PhysicalNic::Leased();
  // Where they do not (known defect, DEV-16 and PHYS-11 say so) the card has none: here the return itself is the subject.
  const bool altnames = AltnamesMove();
  std::vector<std::unique_ptr<Journey>> journeys;
  for (std::size_t i = 0; i < cases.size(); ++i) journeys.push_back(std::make_unique<Journey>(nics[i], cases[i], altnames));
  for (auto& journey : journeys) journey->Go();
  for (auto& journey : journeys) journey->EndProcess();
  // What nothing holds returns; by then the others would have, too.
  for (auto& journey : journeys)
    if (!journey->pinned()) journey->ExpectReturn();
  for (auto& journey : journeys)
    if (journey->pinned()) journey->ExpectAway();
  for (auto& journey : journeys) journey->ReleasePin();
  for (auto& journey : journeys)
    if (journey->pinned()) journey->ExpectReturn();
}

struct DriverName {
  const char *suite, *driver, *id;
};
constexpr DriverName kDefaultDrivers[] = {{"PhysE1000", "e1000", "PHYS-32"}, {"PhysE1000e", "e1000e", "PHYS-33"}, {"PhysVirtioNet", "virtio_net", "PHYS-34"},
                                          {"PhysRtl8139", "rtl8139", "PHYS-35"}, {"PhysVmxnet3", "vmxnet3", "PHYS-36"}};
constexpr DriverName kFurtherDrivers[] = {{"PhysIgb", "igb", "PHYS-37"}, {"PhysPcnet32", "pcnet32", "PHYS-37"}, {"PhysNe2kPci", "ne2k-pci", "PHYS-37"},
                                          {"PhysTulip", "tulip", "PHYS-37"}, {"PhysE100", "e100", "PHYS-37"}};

template <class... Traits>
void RegisterCases(const DriverName& driver, const std::string& name, const std::vector<Case>& cases, Traits... traits) {
  Covers covers("PHYS-01", "PHYS-04", "PHYS-05", "PHYS-06", "PHYS-07", "PHYS-09", "PHYS-10", "PHYS-11", "PHYS-12", "PHYS-13", "PHYS-14",
                "PHYS-15", "PHYS-16", "PHYS-25", "PHYS-26", "PHYS-27", driver.id);
  Needs needs(Nic(driver.driver, 2), Config("VETH"));
  for (const Case& one : cases)
    if (const char* config = kStateNeeds[static_cast<std::size_t>(one.state)]) needs.list.push_back(Config(config));
  RegisterBody(driver.suite, name, __FILE__, __LINE__, [cases] { RunCases(cases); }, covers, needs, Within{std::chrono::seconds(120)}, traits...);
}

template <class... Traits>
void RegisterAll(const std::string& prefix, const DriverName* drivers, std::size_t count, const std::vector<Case>& cases, Traits... traits) {
  for (std::size_t driver = 0; driver < count; ++driver) {
    std::vector<Case> together;
    auto add = [&] {
      std::string name = prefix;
      for (const Case& one : together) name += "_" + one.Name();
      RegisterCases(drivers[driver], name, together, traits...);
      together.clear();
    };
    for (const Case& one : cases) {
      if (one.driver != driver) continue;
      together.push_back(one);
      if (together.size() == 2) add();
    }
    if (!together.empty()) add();
  }
}

std::vector<Case> PairwiseCases(std::size_t drivers) {
  std::vector<Case> cases;
  for (const auto& row : Pairwise({drivers, 3, kPins, kClashes, kStates, 2}))
    cases.push_back({row[0], row[1] + 1, static_cast<Pin>(row[2]), static_cast<Clash>(row[3]), static_cast<State>(row[4]), row[5] == 1});
  return cases;
}

/// Every driver, depth and clash; the rest in turn.
std::vector<Case> AllOfDepthAndClash(std::size_t drivers) {
  std::vector<Case> cases;
  std::size_t turn = 0;
  for (std::size_t driver = 0; driver < drivers; ++driver)
    for (std::size_t depth = 1; depth <= 3; ++depth)
      for (std::size_t clash = 0; clash < kClashes; ++clash, ++turn)
        cases.push_back({driver, depth, static_cast<Pin>(turn % kPins), static_cast<Clash>(clash), static_cast<State>(turn % kStates), turn % 2 == 1});
  return cases;
}

[[maybe_unused]] const bool registered = [] {
  RegisterAll("Returns", kDefaultDrivers, std::size(kDefaultDrivers), PairwiseCases(std::size(kDefaultDrivers)));
  RegisterAll("Returns", kFurtherDrivers, std::size(kFurtherDrivers), PairwiseCases(std::size(kFurtherDrivers)), Full{});
  RegisterAll("ReturnsAlso", kDefaultDrivers, std::size(kDefaultDrivers), AllOfDepthAndClash(std::size(kDefaultDrivers)), Full{});
  RegisterAll("ReturnsAlso", kFurtherDrivers, std::size(kFurtherDrivers), AllOfDepthAndClash(std::size(kFurtherDrivers)), Full{});
  return true;
}();

}  // namespace
}  // namespace netns
