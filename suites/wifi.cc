// SPDX-License-Identifier: GPL-2.0-or-later
// WIFI: wireless devices belong to a PHY, and only the PHY can be moved. With simulated radios (mac80211_hwsim).
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/if_packet.h>
#include <linux/nl80211.h>
#include <net/ethernet.h>
#include <poll.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <memory>

#include "fixtures/nic.h"
#include "harness/kernel_config.h"
#include "suites/support/place.h"

namespace netns {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

// drivers/net/wireless/virtual/mac80211_hwsim.h, which is no UAPI header.
constexpr std::uint8_t kNewRadio = 4, kGetRadio = 6;
constexpr std::uint16_t kRadioId = 10, kRadioName = 17;

/// Generic netlink to one family, inside a namespace.
class Generic {
 public:
  Generic(const NetNamespace& ns, const char* family)
      : socket_(SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC))))) {
    auto found = socket_.ResolveFamily(family);
    if (found.code() == ENOENT) {
      // Nothing asks for hwsim by an alias. As root, the kernel still loads a module for an interface that it does not know
      // (net/core/dev_ioctl.c dev_load()).
      const netns::Fd any = SETUP_OK(ns.Socket(AF_INET, SOCK_DGRAM));
      ifreq request = NamedIfreq("mac80211_hwsim");
      (void)NETNS_IOCTL(any, SIOCGIFFLAGS, request).ok();
      found = socket_.ResolveFamily(family);
    }
    if (found.code() == ENOENT)
      throw MissingNeed("needs-config:MAC80211_HWSIM", std::string("the kernel has no generic netlink family ") + family,
                        "use a kernel with CONFIG_MAC80211_HWSIM");
    id_ = SETUP_OK(std::move(found)).id;
  }
  Request Make(std::uint8_t command, const char* what) const {
    Request request(id_);
    request.Named(what).Header(genlmsghdr{.cmd = command, .version = 1});
    return request;
  }
  NetlinkSocket& socket() { return socket_; }

 private:
  NetlinkSocket socket_;
  std::uint16_t id_ = 0;
};

/// A namespace, and its wireless side.
struct Air {
  explicit Air(Place from) : place(std::move(from)), wireless(place.ns, "nl80211"), radios(place.ns, "MAC80211_HWSIM") {}
  Air() : Air(Place()) {}

  /// PHYs by name, as nl80211 lists them.
  std::map<std::string, std::uint32_t> Phys() {
    std::map<std::string, std::uint32_t> phys;
    Request request = wireless.Make(NL80211_CMD_GET_WIPHY, "list the PHYs");
    request.Flag(NL80211_ATTR_SPLIT_WIPHY_DUMP);
    for (const Message& message : SETUP_OK(wireless.socket().Dump(request))) {
      const auto attributes = message.AttributesAfter<genlmsghdr>();
      if (auto name = attributes.Text(NL80211_ATTR_WIPHY_NAME)) phys[*name] = attributes.U32(NL80211_ATTR_WIPHY).value_or(0);
    }
    return phys;
  }
  /// Network devices of a PHY, as nl80211 lists them, sorted.
  std::vector<std::string> DevicesOf(std::uint32_t phy) {
    std::vector<std::string> names;
    for (const Message& message : SETUP_OK(wireless.socket().Dump(wireless.Make(NL80211_CMD_GET_INTERFACE, "list the interfaces")))) {
      const auto attributes = message.AttributesAfter<genlmsghdr>();
      if (attributes.U32(NL80211_ATTR_WIPHY) == phy)
        if (auto name = attributes.Text(NL80211_ATTR_IFNAME)) names.push_back(*name);
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  /// Names of the radios that hwsim lists.
  std::vector<std::string> Radios() {
    std::vector<std::string> names;
    for (const Message& message : SETUP_OK(radios.socket().Dump(radios.Make(kGetRadio, "list the radios"))))
      if (auto name = message.AttributesAfter<genlmsghdr>().Text(kRadioName)) names.push_back(*name);
    return names;
  }
  /// The number of a radio that hwsim lists.
  std::uint32_t NumberOf(const std::string& phy) {
    for (const Message& message : SETUP_OK(radios.socket().Dump(radios.Make(kGetRadio, "list the radios")))) {
      const auto attributes = message.AttributesAfter<genlmsghdr>();
      const auto number = attributes.U32(kRadioId);
      if (attributes.Text(kRadioName) == phy && number) return *number;
    }
    throw SetupFailure("hwsim lists no number of the radio " + phy, std::source_location::current());
  }
  /// Names in /sys/class/ieee80211 of the namespace's sysfs.
  std::vector<std::string> SysPhys() {
    std::vector<std::string> names;
    place.ns.InWithSysfs([&] {
      std::error_code none;
      for (const auto& entry : std::filesystem::directory_iterator("/sys/class/ieee80211", none))
        names.push_back(entry.path().filename());
    });
    return names;
  }
  bool Shows(const std::string& phy) {
    const bool by_netlink = Phys().contains(phy);
    const auto radio_names = Radios(), sys_names = SysPhys();
    EXPECT_EQ(std::count(radio_names.begin(), radio_names.end(), phy) != 0, by_netlink)
        << "radios of hwsim and PHYs of nl80211 disagree on " << phy;
    EXPECT_EQ(std::count(sys_names.begin(), sys_names.end(), phy) != 0, by_netlink)
        << "sysfs and nl80211 disagree on " << phy;
    return by_netlink;
  }
  /// Makes a radio; hwsim gives it one network device, whose name is returned.
  std::string AddRadio(const std::string& phy) {
    Request request = radios.Make(kNewRadio, "make a radio");
    request.Text(kRadioName, phy);
    (void)radios.socket().Ack(request).ok();  // the answer is the number of the radio, where an error is zero or less
    const auto phys = Phys();
    if (!phys.contains(phy))
      throw SetupFailure("hwsim made no radio called " + phy, std::source_location::current());
    std::string device;
    SETUP_OK(Eventually("the network device of " + phy, [&] {
      const auto names = DevicesOf(phys.at(phy));
      if (!names.empty()) device = names.front();
      return !device.empty();
    }));
    return device;
  }
  Status AddInterface(const std::string& phy, const std::string& name) {
    Request request = wireless.Make(NL80211_CMD_NEW_INTERFACE, "add a wireless interface");
    request.U32(NL80211_ATTR_WIPHY, Phys()[phy]).Text(NL80211_ATTR_IFNAME, name).U32(NL80211_ATTR_IFTYPE, NL80211_IFTYPE_STATION);
    return wireless.socket().Ack(request);
  }
  /// NL80211_CMD_SET_WIPHY_NETNS, with `where` for the target.
  Status MovePhy(const std::string& phy, const std::function<void(Request&)>& where) {
    const auto phys = Phys();
    if (!phys.contains(phy)) return Error{ENODEV, "move " + phy + ", which is not here"};
    Request request = wireless.Make(NL80211_CMD_SET_WIPHY_NETNS, "move a PHY");
    request.U32(NL80211_ATTR_WIPHY, phys.at(phy));
    where(request);
    return wireless.socket().Ack(request);
  }

  Place place;
  Generic wireless, radios;
};

std::function<void(Request&)> Fd(int fd) {
  return [fd](Request& r) { r.U32(NL80211_ATTR_NETNS_FD, static_cast<std::uint32_t>(fd)); };
}
std::function<void(Request&)> Pid(pid_t pid) {
  return [pid](Request& r) { r.U32(NL80211_ATTR_PID, static_cast<std::uint32_t>(pid)); };
}
bool HasLink(Place& at, const std::string& name) {
  auto link = at->LinkByName(name);
  if (!link.ok() && link.code() != ENODEV) SETUP_OK(std::move(link));
  return link.ok();
}
/// The radios of a test go when it ends, or the next one would find them.
struct Removed {
  Air& air;
  std::vector<std::string> phys;
  ~Removed() {
    for (const std::string& phy : phys) {
      Request request = air.radios.Make(5 /* HWSIM_CMD_DEL_RADIO */, "remove a radio");
      request.Text(kRadioName, phy);
      (void)air.radios.socket().Ack(request).ok();
    }
  }
};

/// The initial namespace; the module may have to be loaded first, which the needs of the tests see to.
Air Initial() { return Air(Place(InitialNetNamespace())); }

// ip-link(8): wireless devices cannot be moved by themselves.
NETNS_TEST(Wifi, AWirelessDeviceCannotBeMovedByItself, Covers("WIFI-01"),
           Needs(Machine(), Config("MAC80211_HWSIM"), Config("MAC80211_RC_MINSTREL")), Exclusive{}) {
  Air init = Initial(), a, b;
  const std::string first = init.AddRadio("nsphy0"), second = init.AddRadio("nsphy1");
  Removed cleanup{init, {"nsphy0", "nsphy1"}};
  auto stays = [&](Air& at, const std::string& name, Air& other) {
    EXPECT_THAT(at.place->MoveLink(name, other.place.ref()), FailsWith(EINVAL)) << name;
    EXPECT_THAT(at.place->MoveLink(name, other.place.ref(), {.new_name = "renamed0"}), FailsWith(EINVAL)) << name;
    Actor there = other.place.ns.StartActor("there");
    EXPECT_THAT(at.place->MoveLink(name, ByPid(there.pid())), FailsWith(EINVAL)) << name << " by pid";
    EXPECT_TRUE(HasLink(at.place, name)) << name << " left although its PHY stays";
    EXPECT_FALSE(HasLink(other.place, name) || HasLink(other.place, "renamed0"));
  };
  for (const std::string& name : {first, second}) stays(init, name, a);
  ASSERT_OK(init.MovePhy("nsphy0", Fd(a.place.fd()))) << "control: with its PHY it moves";
  ASSERT_TRUE(HasLink(a.place, first));
  stays(a, first, b);
  stays(a, first, init);
  ASSERT_OK(a.MovePhy("nsphy0", Fd(b.place.fd())));
  stays(b, first, a);
  stays(init, second, a);
  ASSERT_OK(b.MovePhy("nsphy0", Fd(init.place.fd())));
  stays(init, first, a);
  SETUP_OK(a.place->AddVeth("veth", "peer"));
  EXPECT_OK(a.place->MoveLink("veth", b.place.ref())) << "control: another kind of device";
}

NETNS_TEST(Wifi, APhyMovesWithAllItsDevices, Covers("WIFI-02", "WIFI-03", "WIFI-06", "SYSFS-10"),
           Needs(Machine(), Config("MAC80211_HWSIM"), Config("MAC80211_RC_MINSTREL")), Exclusive{}) {
  Air init = Initial(), a, b;
  const std::string first = init.AddRadio("nsphy0"), other = init.AddRadio("nsphy1");
  Removed cleanup{init, {"nsphy0", "nsphy1"}};
  ASSERT_OK(init.AddInterface("nsphy0", "nswlan1"));
  EXPECT_TRUE(init.Shows("nsphy0") && init.Shows("nsphy1")) << "control: before the move";
  Actor in_a = a.place.ns.StartActor("in a"), in_b = b.place.ns.StartActor("in b");
  auto only_in = [&](Air& where, const char* step) {
    SCOPED_TRACE(step);
    for (Air* air : {&init, &a, &b}) {
      const bool here = air == &where;
      EXPECT_EQ(air->Shows("nsphy0"), here) << (air == &init ? "init" : air == &a ? "a" : "b");
      for (const std::string& name : {first, std::string("nswlan1")}) EXPECT_EQ(HasLink(air->place, name), here) << name;
      EXPECT_EQ(air->Shows("nsphy1"), air == &init) << "control: the other PHY stays";
      EXPECT_EQ(HasLink(air->place, other), air == &init);
    }
    EXPECT_EQ(where.DevicesOf(where.Phys()["nsphy0"]).size(), 2u);
  };
  only_in(init, "before");
  ASSERT_OK(init.MovePhy("nsphy0", Pid(in_a.pid())));
  only_in(a, "by pid");
  ASSERT_OK(a.MovePhy("nsphy0", Fd(b.place.fd())));
  only_in(b, "by descriptor");
  ASSERT_OK(b.MovePhy("nsphy0", Fd(b.place.fd()))) << "into the namespace where it is";
  only_in(b, "again");
  ASSERT_OK(b.MovePhy("nsphy0", Pid(in_a.pid())));
  only_in(a, "by pid, from one to another");
  ASSERT_OK(a.MovePhy("nsphy0", Fd(init.place.fd())));
  only_in(init, "back home");
}

NETNS_TEST(Wifi, ABadTargetLeavesThePhyInPlace, Covers("WIFI-03"),
           Needs(Machine(), Config("MAC80211_HWSIM"), Config("MAC80211_RC_MINSTREL")), Exclusive{}) {
  Air init = Initial(), a;
  const std::string device = init.AddRadio("nsphy0");
  Removed cleanup{init, {"nsphy0"}};
  Actor dead = a.place.ns.StartActor("dead");
  const pid_t gone = dead.pid();
  dead.Exit();
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC), uts = ::open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
  EXPECT_THAT(init.MovePhy("nsphy0", [](Request&) {}), FailsWith(EINVAL)) << "no target at all";
  EXPECT_THAT(init.MovePhy("nsphy0", Fd(null)), FailsWith(EINVAL)) << "a descriptor of no namespace";
  EXPECT_THAT(init.MovePhy("nsphy0", Fd(uts)), FailsWith(EINVAL)) << "a descriptor of another kind of namespace";
  EXPECT_THAT(init.MovePhy("nsphy0", Fd(9999)), FailsWith(EBADF));
  EXPECT_THAT(init.MovePhy("nsphy0", Pid(gone)), FailsWith(ESRCH));
  EXPECT_TRUE(init.Shows("nsphy0") && HasLink(init.place, device));
  EXPECT_FALSE(a.Shows("nsphy0"));
  EXPECT_OK(init.MovePhy("nsphy0", Fd(a.place.fd()))) << "control: a good descriptor";
  EXPECT_TRUE(a.Shows("nsphy0") && HasLink(a.place, device));
  EXPECT_OK(a.MovePhy("nsphy0", Fd(init.place.fd())));
  ::close(null);
  ::close(uts);
}

// network_namespaces(7): physical devices are moved back; net/wireless/core.c cfg80211_pernet_exit().
NETNS_TEST(Wifi, PhysReturnWhenTheirNamespaceIsFreed, Covers("WIFI-04", "SYSFS-10"),
           Needs(Machine(), Config("MAC80211_HWSIM"), Config("MAC80211_RC_MINSTREL")), Exclusive{}) {
  Air init = Initial();
  const std::string first = init.AddRadio("nsphy0"), second = init.AddRadio("nsphy1");
  Removed cleanup{init, {"nsphy0", "nsphy1"}};
  for (const bool nested : {false, true}) {
    SCOPED_TRACE(nested ? "a namespace inside another" : "a namespace");
    Place parent;
    auto doomed = std::make_unique<Air>(nested ? Place::Inside(parent) : Place());
    for (const char* phy : {"nsphy0", "nsphy1"}) SETUP_OK(init.MovePhy(phy, Fd(doomed->place.fd())));
    EXPECT_FALSE(init.Shows("nsphy0") || init.Shows("nsphy1") || HasLink(init.place, first)) << "control: while it lives";
    SETUP_OK(doomed->place->AddVeth("virtual0", PeerSpec{.name = "witness0", .netns_fd = parent.fd()}));
    doomed.reset();
    ASSERT_EVENTUALLY("the PHYs to come back to the initial namespace", [&] {
      const auto phys = init.Phys();
      return phys.contains("nsphy0") && phys.contains("nsphy1");
    });
    ASSERT_EVENTUALLY("their devices to come back, too", [&] { return HasLink(init.place, first) && HasLink(init.place, second); });
    EXPECT_TRUE(init.Shows("nsphy0") && init.Shows("nsphy1"));
    EXPECT_FALSE(HasLink(parent, first)) << "not to the namespace of the creator";
    EXPECT_EVENTUALLY("a virtual device of that namespace to die", [&] { return !HasLink(parent, "witness0"); });
    EXPECT_FALSE(HasLink(init.place, "virtual0"));
  }
}

// Whatever its devices do and are called meanwhile; one whose name is taken in the initial namespace gets another.
NETNS_TEST(Wifi, APhyReturnsWithAllItsDevicesWhateverTheyDo, Covers("WIFI-04", "WIFI-02"),
           Needs(Machine(), Config("MAC80211_HWSIM"), Config("MAC80211_RC_MINSTREL"), Config("VETH")), Exclusive{}) {
  Air init = Initial();
  for (const bool clash : {false, true}) {
    SCOPED_TRACE(clash ? "the name of a device is taken" : "no name is taken");
    const std::string first = init.AddRadio("nsphy0");
    Removed cleanup{init, {"nsphy0"}};
    ASSERT_OK(init.AddInterface("nsphy0", "nswlan1"));
    auto doomed = std::make_unique<Air>();
    SETUP_OK(init.MovePhy("nsphy0", Fd(doomed->place.fd())));
    SETUP_OK(doomed->place->Up(first));
    SETUP_OK(doomed->place->AddAddress("192.0.2.1/24", first));
    SETUP_OK(doomed->place->Rename("nswlan1", "nswlan2"));
    EXPECT_EQ(doomed->DevicesOf(doomed->Phys()["nsphy0"]).size(), 2u) << "control: both are with it";
    EXPECT_FALSE(init.Shows("nsphy0")) << "control: while it lives";
    if (clash) {
      SETUP_OK(init.place->AddVeth("nswlan2", "nswlan2p"));
    }
    doomed.reset();
    ASSERT_EVENTUALLY("the PHY to come back to the initial namespace", [&] { return init.Phys().contains("nsphy0"); });
    EXPECT_EVENTUALLY("both of its devices to come back, too", [&] { return init.DevicesOf(init.Phys()["nsphy0"]).size() == 2; });
    EXPECT_TRUE(init.Shows("nsphy0"));
    for (const std::string& name : init.DevicesOf(init.Phys()["nsphy0"])) {
      const Link back = SETUP_OK(init.place->LinkByName(name));
      EXPECT_FALSE(back.up()) << name << " is up";
      EXPECT_THAT(SETUP_OK(init.place->Addresses({.index = back.index})), testing::IsEmpty()) << name << " kept an address";
    }
    if (clash) {
      EXPECT_EQ(SETUP_OK(init.place->LinkByName("nswlan2")).kind, "veth") << "the device that has the name keeps it";
      SETUP_OK(init.place->DeleteLink("nswlan2"));
    } else {
      EXPECT_TRUE(HasLink(init.place, "nswlan2")) << "the name that it was given is free: it keeps it";
      EXPECT_TRUE(HasLink(init.place, first));
    }
  }
}

// drivers/net/wireless/virtual/mac80211_hwsim.c hwsim_exit_net(): what decides is where a radio was made, not where it is.
NETNS_TEST(Wifi, ARadioMadeInsideDiesWithTheNamespaceItMovedTo, Covers("WIFI-05"),
           Needs(Machine(), Config("MAC80211_HWSIM"), Config("MAC80211_RC_MINSTREL")), Exclusive{}) {
  Air init = Initial();
  auto maker = std::make_unique<Air>(), keeper = std::make_unique<Air>();
  maker->AddRadio("inside0");
  init.AddRadio("nsphy0");
  Removed cleanup{init, {"nsphy0", "inside0"}};
  SETUP_OK(maker->MovePhy("inside0", Fd(keeper->place.fd())));
  SETUP_OK(init.MovePhy("nsphy0", Fd(keeper->place.fd())));
  maker.reset();
  FreedOracle oracle;
  (void)oracle.Create().Release();
  SETUP_OK(oracle.WaitUntilFreed());
  EXPECT_TRUE(keeper->Shows("inside0")) << "it went with the namespace in which it was made, and in which it was not any more";
  EXPECT_TRUE(keeper->Shows("nsphy0")) << "control";
  keeper.reset();
  ASSERT_EVENTUALLY("control: the radio of the initial namespace to come back", [&] { return init.Phys().contains("nsphy0"); });
  FreedOracle second;
  (void)second.Create().Release();
  SETUP_OK(second.WaitUntilFreed());
  EXPECT_EVENTUALLY("the radio made in a namespace to be destroyed, not to come to the initial one", [&] { return !init.Phys().contains("inside0"); });
  EXPECT_FALSE(init.Shows("inside0"));
}

// drivers/net/wireless/virtual/mac80211_hwsim.c hwsim_exit_net().
NETNS_TEST(Wifi, ARadioMadeInsideDiesWithTheNamespace, Covers("WIFI-05", "WIFI-06", "SYSFS-10"),
           Needs(Machine(), Config("MAC80211_HWSIM"), Config("MAC80211_RC_MINSTREL")), Exclusive{}) {
  Air init = Initial(), other;
  auto doomed = std::make_unique<Air>();
  init.AddRadio("nsphy0");
  Removed cleanup{init, {"nsphy0"}};
  doomed->AddRadio("inside0");
  other.AddRadio("other0");
  EXPECT_TRUE(doomed->Shows("inside0"));
  EXPECT_FALSE(init.Shows("inside0") || other.Shows("inside0") || init.Shows("other0") || doomed->Shows("other0"));
  EXPECT_FALSE(doomed->Shows("nsphy0") || other.Shows("nsphy0"));
  SETUP_OK(init.MovePhy("nsphy0", Fd(doomed->place.fd())));
  doomed.reset();
  ASSERT_EVENTUALLY("control: the radio of the initial namespace to come back", [&] { return init.Phys().contains("nsphy0"); });
  // Its own namespace has been freed when another one that is let go now has.
  FreedOracle oracle;
  (void)oracle.Create().Release();
  ASSERT_OK(oracle.WaitUntilFreed());
  EXPECT_EVENTUALLY("the radio made inside to be destroyed, not to come to the initial namespace",
                    [&] { return !init.Phys().contains("inside0"); });
  EXPECT_FALSE(init.Shows("inside0") || other.Shows("inside0"));
  EXPECT_TRUE(other.Shows("other0")) << "control: a radio made in a namespace that lives";
}

// linux/nl80211.h: interfaces and PHYs are asked for by numbers: the index of a device is one of the namespace, those of PHYs
// and wireless interfaces are of the machine, and known in the namespace of their PHY only.
NETNS_TEST(Wifi, NumbersOfOtherNamespacesMeanNothing, Covers("WIFI-06"),
           Needs(Machine(), Config("MAC80211_HWSIM"), Config("MAC80211_RC_MINSTREL")), Exclusive{}) {
  Air init = Initial(), a, b;
  struct Radio {
    Air& air;
    const char* phy;
    std::uint32_t number = 0, index = 0;
    std::uint64_t interface = 0;
  };
  std::vector<Radio> radios = {{init, "nsphy0"}, {a, "inside0"}, {b, "inside1"}};
  const auto interface = [](Air& air, const std::function<void(Request&)>& of) {
    Request request = air.wireless.Make(NL80211_CMD_GET_INTERFACE, "ask for a wireless interface");
    of(request);
    return air.wireless.socket().Get(request);
  };
  const auto phy = [](Air& air, std::uint32_t number) {
    Request request = air.wireless.Make(NL80211_CMD_GET_WIPHY, "ask for a PHY");
    return air.wireless.socket().Get(request.U32(NL80211_ATTR_WIPHY, number));
  };
  const auto by_index = [&](Air& air, std::uint32_t index) { return interface(air, [index](Request& r) { r.U32(NL80211_ATTR_IFINDEX, index); }); };
  const auto by_id = [&](Air& air, std::uint64_t id) { return interface(air, [id](Request& r) { r.U64(NL80211_ATTR_WDEV, id); }); };
  Removed cleanup{init, {"nsphy0"}}, cleanup_a{a, {"inside0"}}, cleanup_b{b, {"inside1"}};
  for (Radio& radio : radios) {
    const std::string device = radio.air.AddRadio(radio.phy);
    radio.number = radio.air.Phys()[radio.phy];
    radio.index = static_cast<std::uint32_t>(SETUP_OK(radio.air.place->LinkByName(device)).index);
    const auto told = by_index(radio.air, radio.index);
    ASSERT_OK(told) << "control: its own";
    radio.interface = told->AttributesAfter<genlmsghdr>().U64(NL80211_ATTR_WDEV).value_or(0);
    EXPECT_NE(radio.interface, 0u) << "control";
  }
  EXPECT_EQ(radios[1].index, radios[2].index) << "control: the first device of its namespace in both";
  for (const Radio& own : radios) {
    SCOPED_TRACE(own.phy);
    const auto told = by_index(own.air, own.index);
    ASSERT_OK(told) << "control: its own";
    EXPECT_EQ(told->AttributesAfter<genlmsghdr>().U32(NL80211_ATTR_WIPHY), own.number) << "nl80211.h: the index is that of a device of another namespace";
    EXPECT_OK(by_id(own.air, own.interface)) << "control: its own";
    EXPECT_OK(phy(own.air, own.number)) << "control: its own";
    for (const Radio& other : radios) {
      if (&own == &other) continue;
      EXPECT_THAT(phy(own.air, other.number), FailsWith(ENODEV)) << "nl80211.h: a PHY of another namespace";
      EXPECT_THAT(by_id(own.air, other.interface), FailsWith(ENODEV)) << "nl80211.h: an interface of another namespace";
      if (other.index != own.index && !own.air.place->LinkByIndex(static_cast<int>(other.index)).ok()) {
        EXPECT_THAT(by_index(own.air, other.index), FailsWith(ENODEV)) << "nl80211.h: a device of another namespace";
      }
    }
  }
}

/// A radio with its number in hwsim's list.
struct Radio {
  Air& air;
  const char* phy;
  std::uint32_t number = 0;
};
void Add(std::vector<Radio>& radios) {
  for (Radio& radio : radios) {
    radio.air.AddRadio(radio.phy);
    radio.number = radio.air.NumberOf(radio.phy);
  }
}

// mac80211_hwsim.h HWSIM_CMD_GET_RADIO: the numbers of radios are of the machine, and known where the PHY is.
NETNS_TEST(Wifi, RadiosOfOtherNamespacesAreNotFoundByTheirNumbers, Covers("WIFI-06"),
           Needs(Machine(), Config("MAC80211_HWSIM"), Config("MAC80211_RC_MINSTREL")), Exclusive{}) {
  Air init = Initial(), a, b;
  std::vector<Radio> radios = {{init, "nsphy0"}, {a, "inside0"}, {b, "inside1"}};
  Removed cleanup{init, {"nsphy0"}}, cleanup_a{a, {"inside0", "nsphy0"}}, cleanup_b{b, {"inside1"}};
  Add(radios);
  const auto name_of = [](Air& air, std::uint32_t number) -> Result<std::string> {
    ASSIGN_OR_RETURN(Message told, air.radios.socket().Get(air.radios.Make(kGetRadio, "ask for a radio by its number").U32(kRadioId, number)));
    return told.AttributesAfter<genlmsghdr>().Text(kRadioName).value_or("a radio without a name");
  };
  const auto found_where_the_phy_is = [&](const Radio& radio, const Air& where) {
    for (Air* air : {&init, &a, &b}) {
      SCOPED_TRACE(air == &init ? "asked in the initial namespace" : air == &a ? "asked in the first namespace" : "asked in the second namespace");
      if (air == &where) {
        EXPECT_THAT(name_of(*air, radio.number), Holds(radio.phy)) << "control: where its PHY is";
      } else {
        EXPECT_THAT(name_of(*air, radio.number), FailsWith(ENODEV)) << "HWSIM_CMD_GET_RADIO finds a radio of another namespace";
      }
    }
  };
  for (const Radio& radio : radios) {
    SCOPED_TRACE(radio.phy);
    found_where_the_phy_is(radio, radio.air);
  }
  SCOPED_TRACE("a radio of the initial namespace that has moved");
  SETUP_OK(init.MovePhy("nsphy0", Fd(a.place.fd())));
  found_where_the_phy_is(radios.front(), a);
}

// mac80211_hwsim.h: a radio is deleted by its number or by its name, in the namespace of its PHY.
NETNS_TEST(Wifi, RadiosOfOtherNamespacesCannotBeDeleted, Covers("WIFI-06", "USER-30"),
           Needs(Machine(), Config("MAC80211_HWSIM"), Config("MAC80211_RC_MINSTREL")), Exclusive{}) {
  constexpr std::uint8_t kDeleteRadio = 5;
  Air init = Initial(), a, b;
  std::vector<Radio> radios = {{init, "nsphy0"}, {a, "inside0"}, {b, "inside1"}};
  Removed cleanup{init, {"nsphy0"}}, cleanup_a{a, {"inside0"}}, cleanup_b{b, {"inside1"}};
  Add(radios);
  const auto by_number = [](Air& air, std::uint32_t number) {
    return air.radios.socket().Ack(air.radios.Make(kDeleteRadio, "delete a radio by its number").U32(kRadioId, number));
  };
  const auto by_name = [](Air& air, const char* name) {
    return air.radios.socket().Ack(air.radios.Make(kDeleteRadio, "delete a radio by its name").Text(kRadioName, name));
  };
  for (const Radio& own : radios)
    for (const Radio& other : radios) {
      if (&own == &other) continue;
      SCOPED_TRACE(std::string("a radio called ") + other.phy + ", asked for beside " + own.phy);
      EXPECT_THAT(by_number(own.air, other.number), FailsWith(ENODEV)) << "mac80211_hwsim.h: a radio of another namespace";
      EXPECT_THAT(by_name(own.air, other.phy), FailsWith(ENODEV)) << "mac80211_hwsim.h: a radio of another namespace";
      EXPECT_TRUE(other.air.Shows(other.phy)) << "a request in another namespace deleted it";
    }
  for (std::size_t i = 0; i < radios.size(); ++i) {
    EXPECT_OK(i == 1 ? by_name(radios[i].air, radios[i].phy) : by_number(radios[i].air, radios[i].number)) << "control: its own";
    EXPECT_EVENTUALLY("control: its own to go", [&] { return !radios[i].air.Phys().contains(radios[i].phy); });
  }
}

// linux/nl80211.h, group "config": new interfaces are told in the namespace of their PHY.
/// A radio that listens to all that is on one channel, and sends whatever it is given.
class Monitor {
 public:
  Monitor(Air& air, const std::string& phy) : device_(air.AddRadio(phy)) {
    const int index = SETUP_OK(air.place->LinkByName(device_)).index;
    SETUP_OK(air.place->Down(device_));
    Request kind = air.wireless.Make(NL80211_CMD_SET_INTERFACE, "listen to everything");
    SETUP_OK(air.wireless.socket().Ack(kind.U32(NL80211_ATTR_IFINDEX, static_cast<std::uint32_t>(index)).U32(NL80211_ATTR_IFTYPE, NL80211_IFTYPE_MONITOR)));
    SETUP_OK(air.place->Up(device_));
    Request channel = air.wireless.Make(NL80211_CMD_SET_CHANNEL, "choose a channel");
    channel.U32(NL80211_ATTR_IFINDEX, static_cast<std::uint32_t>(index)).U32(NL80211_ATTR_WIPHY_FREQ, 2412);
    SETUP_OK(air.wireless.socket().Ack(channel.U32(NL80211_ATTR_CHANNEL_WIDTH, NL80211_CHAN_WIDTH_20_NOHT)));
    socket_ = SETUP_OK(air.place.ns.Socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)));
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = index;
    if (::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0)
      throw SetupFailure(ErrnoError("bind(AF_PACKET)").ToString(), std::source_location::current());
  }
  /// A data frame to everybody, after an empty radiotap header (Documentation/networking/mac80211-injection.rst).
  void Send(const std::string& text) {
    const std::string radiotap("\0\0\x08\0\0\0\0\0", 8), control("\x08\0\0\0", 4), to(6, '\xff'), from("\x02\0\0\0\0\x07", 6), sequence(2, '\0');
    const std::string frame = radiotap + control + to + from + to + sequence + text;
    if (::send(socket_.get(), frame.data(), frame.size(), 0) < 0) throw SetupFailure(ErrnoError("send over the air").ToString(), std::source_location::current());
  }
  /// Reads until it has heard this, and tells all that it heard.
  Result<std::string> HearsUntil(const std::string& text) {
    std::string all;
    while (all.find(text) == std::string::npos) {
      RETURN_IF_ERROR(WaitFor(socket_.get(), POLLIN, Deadline::In(std::chrono::seconds(20)), "'" + text + "' in the air"));
      char buffer[4096];
      const ssize_t size = ::recv(socket_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (size > 0) all.append(buffer, static_cast<std::size_t>(size));
    }
    return all;
  }

 private:
  std::string device_;
  netns::Fd socket_;
};

// mac80211_hwsim: radios hear those that were made in the same namespace.
NETNS_TEST(Wifi, RadiosOfDifferentNamespacesDoNotHearEachOther, Covers("WIFI-06"), Needs(Machine(), Config("MAC80211_HWSIM"), Config("MAC80211_RC_MINSTREL"), Config("PACKET")),
           Exclusive{}) {
  Air a, b;
  struct Party {
    const char* name;
    std::string word;
    Monitor speaks, hears;
  };
  Party parties[] = {{"a namespace", "frame-of-the-first", Monitor(a, "nsconf-a1"), Monitor(a, "nsconf-a2")},
                     {"another namespace", "frame-of-the-other", Monitor(b, "nsconf-b1"), Monitor(b, "nsconf-b2")}};
  for (Party& party : parties) party.speaks.Send(party.word);
  for (Party& party : parties) {
    SCOPED_TRACE(party.name);
    const auto heard = party.hears.HearsUntil(party.word);
    ASSERT_OK(heard) << "control: a radio of the same namespace";
  }
  // Whatever was sent before has come when what is sent now has.
  for (Party& party : parties) party.speaks.Send(party.word + "-again");
  for (Party& party : parties) {
    SCOPED_TRACE(party.name);
    const auto heard = party.hears.HearsUntil(party.word + "-again");
    ASSERT_OK(heard) << "control: a radio of the same namespace";
    const std::string& other = parties[&party == &parties[0] ? 1 : 0].word;
    EXPECT_EQ(heard->find(other), std::string::npos) << "a frame of a radio that was made in another namespace";
  }
}

NETNS_TEST(Wifi, NewsOfInterfacesStayInTheNamespace, Covers("WIFI-06", "NLK-04"),
           Needs(Machine(), Config("MAC80211_HWSIM"), Config("MAC80211_RC_MINSTREL")), Exclusive{}) {
  Air init = Initial(), a, b;
  struct Radio {
    Air& air;
    const char* phy;
  };
  const std::vector<Radio> radios = {{a, "inside0"}, {init, "nsphy0"}, {b, "inside1"}};
  Removed cleanup{init, {"nsphy0"}}, cleanup_a{a, {"inside0"}}, cleanup_b{b, {"inside1"}};
  std::map<std::string, std::uint32_t> numbers;
  for (const Radio& radio : radios) {
    radio.air.AddRadio(radio.phy);
    numbers[radio.phy] = radio.air.Phys()[radio.phy];
  }
  auto any = SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(a.place.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC))));
  const auto family = SETUP_OK(any.ResolveFamily("nl80211"));
  std::vector<RtnlMonitor> hear;
  for (const Radio& radio : radios)
    hear.push_back(SETUP_OK(RtnlMonitor::Adopt(SETUP_OK(radio.air.place.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC)), {family.groups.at(NL80211_MULTICAST_GROUP_CONFIG)})));
  for (const Radio& radio : radios) ASSERT_OK(radio.air.AddInterface(radio.phy, "nswlan1"));
  // Each hears first of all of its own, or of those before, if news come to others.
  for (std::size_t i = 0; i < radios.size(); ++i) {
    SCOPED_TRACE(radios[i].phy);
    const auto heard = hear[i].Through([&](const Message& message) {
      return message.Header<genlmsghdr>().cmd == NL80211_CMD_NEW_INTERFACE && message.AttributesAfter<genlmsghdr>().U32(NL80211_ATTR_WIPHY) == numbers[radios[i].phy];
    }, "news of its own interface", Deadline::In(std::chrono::seconds(20)));
    ASSERT_OK(heard) << "nl80211.h: its own interface was not told in the namespace of its PHY";
    for (const Message& message : *heard)
      if (const auto number = message.AttributesAfter<genlmsghdr>().U32(NL80211_ATTR_WIPHY)) {
        EXPECT_EQ(*number, numbers[radios[i].phy]) << "nl80211.h: news of a PHY of another namespace";
      }
  }
}

// proc_pid_net(5) /proc/net/wireless.
NETNS_TEST(Wifi, ProcNetWirelessShowsDevicesOfTheNamespace, Covers("PROC-30", "WIFI-06"),
           Needs(Machine(), Config("MAC80211_HWSIM"), Config("MAC80211_RC_MINSTREL")), Exclusive{}) {
  Air init = Initial(), a, b;
  if (!init.place.ns.ReadProcNet("wireless").ok())
    throw MissingNeed("needs-config:CFG80211_WEXT", "there is no /proc/net/wireless", "use a kernel with CONFIG_CFG80211_WEXT");
  // wireless_seq_printf_stats() (net/wireless/wext-proc.c) lists a device without statistics only where cfg80211 is built in.
  if (KernelConfig::Running().Value("CFG80211") == 'm')
    throw MissingNeed("needs-config:CFG80211=y", "with cfg80211 as a module /proc/net/wireless lists no simulated radio",
                      "use a kernel with CONFIG_CFG80211=y");
  const std::string first = init.AddRadio("nsphy0"), second = init.AddRadio("nsphy1");
  Removed cleanup{init, {"nsphy0", "nsphy1"}};
  auto lists = [](Air& air, const std::string& name) { return ProcNetLists(SETUP_OK(air.place.ns.ReadProcNet("wireless")), name); };
  auto expect = [&](const std::string& name, Air& where, const char* when) {
    SCOPED_TRACE(name + " " + when);
    for (Air* air : {&init, &a, &b})
      EXPECT_EQ(lists(*air, name), air == &where) << (air == &init ? "in the initial namespace" : air == &a ? "in a" : "in b");
  };
  expect(first, init, "at first");
  expect(second, init, "at first");
  ASSERT_OK(init.MovePhy("nsphy0", Fd(a.place.fd())));
  expect(first, a, "moved");
  expect(second, init, "while the other moved");
  ASSERT_OK(init.MovePhy("nsphy1", Fd(b.place.fd())));
  expect(first, a, "while the other moved");
  expect(second, b, "moved");
  ASSERT_OK(a.MovePhy("nsphy0", Fd(init.place.fd())));
  ASSERT_OK(b.MovePhy("nsphy1", Fd(init.place.fd())));
  expect(first, init, "moved back");
}

}  // namespace
}  // namespace netns
