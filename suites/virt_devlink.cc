// SPDX-License-Identifier: GPL-2.0-or-later
// VIRT: devlink instances, which have a network namespace of their own choice, and the devices of their ports; with simulated
// cards (netdevsim).
#include <linux/devlink.h>
#include <linux/genetlink.h>
#include <unistd.h>

#include <map>
#include <optional>

#include "fixtures/nic.h"
#include "fixtures/user_namespace.h"
#include "suites/support/phys.h"
#include "suites/support/place.h"

namespace netns {
namespace {

using testing::SizeIs;

constexpr const char* kDevice = "netdevsim77";

/// devlink(8) in a namespace.
class Devlink {
 public:
  explicit Devlink(const NetNamespace& ns) : Devlink(SETUP_OK(ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC))) {}
  explicit Devlink(Fd socket) : socket_(SETUP_OK(NetlinkSocket::Adopt(std::move(socket)))) {
    auto found = socket_.ResolveFamily(DEVLINK_GENL_NAME);
    if (!found.ok()) RequireBuiltIn(found.error(), "NET_DEVLINK");
    id_ = SETUP_OK(std::move(found)).id;
  }
  /// The names of all instances.
  std::vector<std::string> Instances() {
    std::vector<std::string> names;
    for (const Message& message : SETUP_OK(socket_.Dump(Make(DEVLINK_CMD_GET, "list the instances"))))
      names.push_back(message.AttributesAfter<genlmsghdr>().Text(DEVLINK_ATTR_DEV_NAME).value_or("?"));
    return names;
  }
  bool Lists() {
    const auto names = Instances();
    return std::count(names.begin(), names.end(), kDevice) != 0;
  }
  /// DEVLINK_CMD_GET of the one instance.
  Status Ask() {
    auto answer = socket_.Get(Named(DEVLINK_CMD_GET, "ask for the instance"));
    if (!answer.ok()) return answer.error();
    return Ok();
  }
  /// The network devices of its ports, by number.
  std::map<std::uint32_t, std::string> Ports() {
    std::map<std::uint32_t, std::string> ports;
    for (const Message& message : SETUP_OK(socket_.Dump(Make(DEVLINK_CMD_PORT_GET, "list the ports")))) {
      const auto attributes = message.AttributesAfter<genlmsghdr>();
      if (attributes.Text(DEVLINK_ATTR_DEV_NAME) == kDevice)
        ports[attributes.U32(DEVLINK_ATTR_PORT_INDEX).value_or(0)] = attributes.Text(DEVLINK_ATTR_PORT_NETDEV_NAME).value_or("");
    }
    return ports;
  }
  Status Reload(const std::function<void(Request&)>& where) {
    Request request = Named(DEVLINK_CMD_RELOAD, "reload the instance");
    where(request);
    return socket_.Ack(request);
  }

 private:
  Request Make(std::uint8_t command, const char* what) const {
    Request request(id_);
    request.Named(what).Header(genlmsghdr{.cmd = command, .version = DEVLINK_GENL_VERSION});
    return request;
  }
  Request Named(std::uint8_t command, const char* what) const {
    Request request = Make(command, what);
    request.Text(DEVLINK_ATTR_BUS_NAME, "netdevsim").Text(DEVLINK_ATTR_DEV_NAME, kDevice);
    return request;
  }
  NetlinkSocket socket_;
  std::uint16_t id_ = 0;
};

std::function<void(Request&)> ToFd(const Place& place) {
  return [fd = place.fd()](Request& r) { r.Fd(DEVLINK_ATTR_NETNS_FD, fd); };
}

/// A simulated card with two ports, in the initial namespace; gone with the object.
class SimulatedCard {
 public:
  explicit SimulatedCard(const Place& initial) {
    if (::access("/sys/bus/netdevsim", F_OK) != 0) {
      // Nothing asks for it by an alias; but as root, the kernel loads a module for an interface that it does not know.
      const Fd any = SETUP_OK(initial.ns.Socket(AF_INET, SOCK_DGRAM));
      ifreq request = NamedIfreq("netdevsim");
      (void)NETNS_IOCTL(any, SIOCGIFFLAGS, request).ok();
    }
    if (::access("/sys/bus/netdevsim/new_device", F_OK) != 0)
      throw MissingNeed("needs-config:NETDEVSIM", "there is no /sys/bus/netdevsim", "use a kernel with CONFIG_NETDEVSIM");
    SETUP_OK(WriteFile("/sys/bus/netdevsim/new_device", "77 2"));
  }
  SimulatedCard(const SimulatedCard&) = delete;
  SimulatedCard& operator=(const SimulatedCard&) = delete;
  ~SimulatedCard() { (void)WriteFile("/sys/bus/netdevsim/del_device", "77").ok(); }
};

struct World {
  Place initial{InitialNetNamespace()}, a, b;
  SimulatedCard card{initial};
  Devlink in_initial{initial.ns}, in_a{a.ns}, in_b{b.ns};

  /// The instance, its ports and their devices are in one place only.
  void ExpectOnlyIn(const Place& where, const char* when) {
    SCOPED_TRACE(when);
    const struct {
      const char* name;
      Place& place;
      Devlink& devlink;
    } all[] = {{"initial", initial, in_initial}, {"a", a, in_a}, {"b", b, in_b}};
    for (const auto& [name, place, devlink] : all) {
      SCOPED_TRACE(name);
      const bool here = &place == &where;
      EXPECT_EQ(devlink.Lists(), here) << "the list of instances";
      if (here) {
        EXPECT_OK(devlink.Ask());
      } else {
        EXPECT_THAT(devlink.Ask(), FailsWith(ENODEV));
      }
      const auto ports = devlink.Ports();
      EXPECT_THAT(ports, SizeIs(here ? 2 : 0)) << "the list of ports";
      for (const auto& [number, device] : ports) {
        EXPECT_NE(device, "") << "port " << number << " has a network device";
        EXPECT_OK(place->LinkByName(device)) << "the device of port " << number << " is in the namespace of the instance";
      }
    }
  }
};

// Documentation/networking/devlink/devlink-reload.rst, "Change namespace".
NETNS_TEST(Virt, ReloadingMovesADevlinkInstance, Covers("VIRT-24"), Needs(Machine(), Config("NETDEVSIM")), Exclusive{}, Within{std::chrono::seconds(60)}) {
  World world;
  world.ExpectOnlyIn(world.initial, "at first");
  EXPECT_THAT(world.in_initial.Reload([&](Request& r) {
    ToFd(world.a)(r);
    r.U32(DEVLINK_ATTR_NETNS_PID, 1);
  }), FailsWith(EINVAL)) << "two namespaces";
  EXPECT_THAT(world.in_initial.Reload([](Request& r) { r.Fd(DEVLINK_ATTR_NETNS_FD, 999); }), FailsWith(EINVAL)) << "no descriptor";
  world.ExpectOnlyIn(world.initial, "after refusals");
  ASSERT_OK(world.in_initial.Reload([](Request&) {})) << "control: without a namespace";
  world.ExpectOnlyIn(world.initial, "reloaded in place");

  ASSERT_OK(world.in_initial.Reload(ToFd(world.a)));
  world.ExpectOnlyIn(world.a, "reloaded to a by descriptor");
  EXPECT_THAT(world.in_initial.Reload(ToFd(world.b)), FailsWith(ENODEV)) << "from where it is not";
  ASSERT_OK(world.in_a.Reload([](Request&) {}));
  world.ExpectOnlyIn(world.a, "reloaded in place, in a");
  Actor member = world.b.ns.StartActor("member");
  ASSERT_OK(world.in_a.Reload([&](Request& r) { r.U32(DEVLINK_ATTR_NETNS_PID, static_cast<std::uint32_t>(member.pid())); }));
  world.ExpectOnlyIn(world.b, "reloaded to b by pid");
  SETUP_OK(world.b->NewNsid(world.a.ref(), 9));
  ASSERT_OK(world.in_b.Reload([](Request& r) { r.U32(DEVLINK_ATTR_NETNS_ID, 9); }));
  world.ExpectOnlyIn(world.a, "reloaded to a by id");

  // Not even the namespace's own root may: it is a right over the machine.
  Actor root = StartNamespaceRoot("root of a namespace");
  Place owned(SETUP_OK(NetNamespace::OfPid(root.pid())));
  Devlink in_owned(owned.ns);
  ASSERT_OK(world.in_a.Reload(ToFd(owned)));
  EXPECT_TRUE(in_owned.Lists()) << "control: it came";
  const Status taken = root.Run([&]() -> Status {
    const int fd = ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
    if (fd < 0) return ErrnoError("socket(NETLINK_GENERIC)");
    return Devlink(Fd(fd)).Reload(ToFd(world.b));
  });
  EXPECT_THAT(taken, FailsWith(EPERM));
  EXPECT_TRUE(in_owned.Lists());
  ASSERT_OK(in_owned.Reload(ToFd(world.initial)));
  world.ExpectOnlyIn(world.initial, "at home");
}

// net/devlink/core.c devlink_pernet_pre_exit().
NETNS_TEST(Virt, ADevlinkInstanceReturnsFromAFreedNamespace, Covers("VIRT-25"), Needs(Machine(), Config("NETDEVSIM")), Exclusive{}, Within{std::chrono::seconds(60)}) {
  World world;
  std::optional<Place> dies;
  dies.emplace(world.a.ns.In([] { return NetNamespace::Create(); }));  // not to the creator either
  ASSERT_OK(world.in_initial.Reload(ToFd(*dies)));
  Fd pin = SETUP_OK(dies->ns.Socket(AF_INET, SOCK_DGRAM));
  EXPECT_TRUE(Devlink(dies->ns).Lists()) << "control: it is there";
  dies.reset();
  {
    FreedProbe probe;
    SETUP_OK(probe.WaitUntilFreedAfter());
  }
  EXPECT_FALSE(world.in_initial.Lists()) << "control: while a socket pins the namespace";
  pin.Reset();
  ASSERT_OK(Eventually("the instance to be in the initial namespace", [&] { return world.in_initial.Lists(); }));
  world.ExpectOnlyIn(world.initial, "after the end of the namespace");
}

// net/core/dev.c default_device_exit_net(): a device without rtnl_link_ops is physical.
NETNS_TEST(Virt, ASimulatedCardsDeviceReturnsLikeAPhysicalOne, Covers("VIRT-26", "PHYS-31"), Needs(Machine(), Config("NETDEVSIM"), Config("DUMMY"), UserNs()),
           Exclusive{}, Within{std::chrono::seconds(60)}) {
  World world;
  const auto ports = world.in_initial.Ports();
  ASSERT_THAT(ports, SizeIs(2));
  const std::string first = ports.begin()->second, second = ports.rbegin()->second;
  Place parent;
  std::optional<Place> dies;
  dies.emplace(parent.ns.In([] { return NetNamespace::Create(); }));
  const Link before = SETUP_OK(world.initial->LinkByName(first));
  ASSERT_OK(world.initial->MoveLink(first, dies->ref()));
  EXPECT_OK((*dies)->LinkByName(first)) << "control";
  EXPECT_OK(world.initial->LinkByName(second)) << "control: the other port's stayed";
  SETUP_OK((*dies)->AddLink({.name = "nsvirt0", .kind = "dummy"}));
  EXPECT_THAT(world.initial->LinkByName(first), FailsWith(ENODEV)) << "control: while the namespace lives";
  dies.reset();
  ASSERT_OK(Eventually("the device to be back in the initial namespace", [&] { return world.initial->LinkByName(first).ok(); }));
  const Link after = SETUP_OK(world.initial->LinkByName(first));
  EXPECT_EQ(after.address, before.address);
  EXPECT_THAT(world.initial->LinkByName("nsvirt0"), FailsWith(ENODEV)) << "a virtual device came along";
  EXPECT_THAT(parent->LinkByName(first), FailsWith(ENODEV)) << "not to the namespace of the creator";
}

}  // namespace
}  // namespace netns
