// SPDX-License-Identifier: GPL-2.0-or-later
// VIRT: devlink instances and their network devices in namespaces, over netdevsim (drivers/net/netdevsim).
#include <linux/capability.h>
#include <linux/devlink.h>

#include <filesystem>
#include <set>

#include "fixtures/nic.h"
#include "fixtures/user_namespace.h"
#include "suites/support/generic.h"
#include "suites/support/place.h"

namespace netns {
namespace {

using testing::Contains;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

constexpr const char* kBus = "netdevsim";
constexpr const char* kInstance = "netdevsim4711";

/// A simulated card with one port. Its instance begins in the namespace of who writes to the bus.
class Simulated {
 public:
  Simulated() : Simulated(InitialNetNamespace()) {}
  explicit Simulated(const NetNamespace& from) : initial_(InitialNetNamespace()) {
    Status made = from.WriteSysfs("bus/netdevsim/new_device", "4711 1");
    if (made.code() == ENOENT) throw MissingNeed("needs-config:NETDEVSIM", "there is no bus of simulated cards", "use a kernel with CONFIG_NETDEVSIM");
    SETUP_OK(std::move(made));
  }
  ~Simulated() { (void)initial_.WriteSysfs("bus/netdevsim/del_device", "4711").ok(); }
  Simulated(const Simulated&) = delete;

 private:
  NetNamespace initial_;
};

/// The devlink instances that a namespace lists.
std::set<std::string> Instances(const Place& at) {
  Generic devlink(at, "devlink", "NET_DEVLINK");
  std::set<std::string> names;
  for (const Message& message : SETUP_OK(devlink->Dump(devlink.Make(DEVLINK_CMD_GET, "list devlink instances"))))
    names.insert(message.AttributesAfter<genlmsghdr>().Text(DEVLINK_ATTR_DEV_NAME).value_or(""));
  return names;
}
/// The network devices of the simulated card in a namespace: sysfs shows those of its own.
std::vector<std::string> Ports(const Place& at) {
  std::vector<std::string> names;
  at.ns.InWithSysfs([&] {
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator(std::string("/sys/bus/netdevsim/devices/") + kInstance + "/net", none))
      names.push_back(entry.path().filename());
  });
  return names;
}
void ExpectIn(const Place& at, const Place& elsewhere, const char* when) {
  EXPECT_THAT(Instances(at), Contains(kInstance)) << when;
  EXPECT_THAT(Ports(at), SizeIs(1)) << "its network device, " << when;
  EXPECT_THAT(Instances(elsewhere), Not(Contains(kInstance))) << when;
  EXPECT_THAT(Ports(elsewhere), IsEmpty()) << when;
}

struct Target {
  std::uint16_t attribute;
  std::uint32_t value;
};
/// DEVLINK_CMD_RELOAD of the instance, with the namespace or namespaces that it shall go to.
Status Reload(Generic& devlink, std::initializer_list<Target> targets) {
  Request request = devlink.Make(DEVLINK_CMD_RELOAD, "reload the devlink instance");
  request.Text(DEVLINK_ATTR_BUS_NAME, kBus).Text(DEVLINK_ATTR_DEV_NAME, kInstance);
  for (const Target& target : targets) request.U32(target.attribute, target.value);
  return devlink->Ack(request);
}

// Documentation/networking/devlink/devlink-reload.rst: "the instance could be re-instantiated in a different network namespace".
NETNS_TEST(Virt, ADevlinkInstanceIsReloadedIntoAnotherNamespace, Covers("VIRT-24"), Needs(Machine(), Config("NETDEVSIM")), Exclusive{}) {
  Simulated card;
  Place initial(InitialNetNamespace()), a;
  ExpectIn(initial, a, "at first");
  Generic from_initial(initial, "devlink", "NET_DEVLINK"), from_a(a, "devlink", "NET_DEVLINK");
  const auto fd = [](const Place& place) { return Target{DEVLINK_ATTR_NETNS_FD, static_cast<std::uint32_t>(place.fd())}; };

  EXPECT_THAT(Reload(from_initial, {fd(a), {DEVLINK_ATTR_NETNS_PID, 1}}), FailsWith(EINVAL)) << "two namespaces at once";
  EXPECT_THAT(Reload(from_initial, {fd(a), {DEVLINK_ATTR_NETNS_ID, 1}}), FailsWith(EINVAL)) << "two namespaces at once";
  EXPECT_THAT(Reload(from_initial, {{DEVLINK_ATTR_NETNS_PID, 1}, {DEVLINK_ATTR_NETNS_ID, 1}}), FailsWith(EINVAL)) << "two namespaces at once";
  ExpectIn(initial, a, "after requests with two namespaces");
  Actor weak = Actor::Start("weak");
  SETUP_OK(weak.Enter(initial.fd(), CLONE_NEWNET));
  SETUP_OK(DropCapability(weak, CAP_NET_ADMIN));
  EXPECT_THAT(weak.Run([&] {
    Generic devlink(initial, "devlink", "NET_DEVLINK");
    return Reload(devlink, {fd(a)});
  }), FailsWith(EPERM)) << "without CAP_NET_ADMIN";
  ExpectIn(initial, a, "after a request without the right to it");
  EXPECT_FALSE(Reload(from_a, {fd(a)}).ok()) << "an instance of another namespace is not found";
  ExpectIn(initial, a, "after a request from a namespace where it is not");

  const Actor member = a.ns.StartActor("member");
  const int nsid = SETUP_OK(initial->GetNsid(a.ref())).nsid;
  const std::uint32_t id = static_cast<std::uint32_t>(nsid);
  if (nsid < 0) SETUP_OK(initial->NewNsid(a.ref(), 4711));
  for (const Target& target : {fd(a), Target{DEVLINK_ATTR_NETNS_PID, static_cast<std::uint32_t>(member.pid())},
                               Target{DEVLINK_ATTR_NETNS_ID, nsid < 0 ? 4711u : id}}) {
    SCOPED_TRACE("by attribute " + std::to_string(target.attribute));
    // The runner's pid namespace is not the kernel's: a pid means what it means to the caller.
    ASSERT_OK(Reload(from_initial, {target}));
    ExpectIn(a, initial, "after the reload");
    ASSERT_OK(Reload(from_a, {fd(initial)}));
    ExpectIn(initial, a, "back again");
  }
}

// drivers/net/netdevsim/bus.c: the instance begins in the namespace of who asks for it.
NETNS_TEST(Virt, ADevlinkInstanceBeginsWhereItIsAskedFor, Covers("VIRT-24"), Needs(Machine(), Config("NETDEVSIM")), Exclusive{}) {
  Place initial(InitialNetNamespace()), a;
  Place nested = Place::Inside(a);
  for (Place* place : {&a, &nested}) {
    Simulated card(place->ns);
    ExpectIn(*place, initial, "at first");
    ExpectIn(*place, place == &a ? nested : a, "at first");
    Generic from_place(*place, "devlink", "NET_DEVLINK");
    ASSERT_OK(Reload(from_place, {})) << "a reload without a namespace";
    ExpectIn(*place, initial, "after a reload without a namespace");
    ASSERT_OK(Reload(from_place, {{DEVLINK_ATTR_NETNS_FD, static_cast<std::uint32_t>(initial.fd())}}));
    ExpectIn(initial, *place, "control: after a reload into the initial one");
  }
}

// net/devlink/core.c, devlink_pernet_pre_exit()
NETNS_TEST(Virt, ADevlinkInstanceReturnsWhenItsNamespaceIsFreed, Covers("VIRT-25"), Needs(Machine(), Config("NETDEVSIM")), Exclusive{}) {
  Simulated card;
  Place initial(InitialNetNamespace());
  for (const bool nested : {false, true}) {
    SCOPED_TRACE(nested ? "a namespace inside another" : "a namespace");
    Place parent;
    NetNamespace inner = nested ? parent.ns.In([] { return NetNamespace::Create(); }) : NetNamespace::Create();
    const int socket_pin = SETUP_OK(inner.Socket(AF_UNIX, SOCK_DGRAM)).Release();
    {
      Place a(std::move(inner));
      Generic devlink(initial, "devlink", "NET_DEVLINK");
      ASSERT_OK(Reload(devlink, {{DEVLINK_ATTR_NETNS_FD, static_cast<std::uint32_t>(a.fd())}}));
      ExpectIn(a, initial, "after the reload");
    }
    EXPECT_THAT(Instances(initial), Not(Contains(kInstance))) << "control: a socket holds the namespace";
    ::close(socket_pin);
    ASSERT_EVENTUALLY("the instance to be in the initial namespace again", [&] { return Instances(initial).contains(kInstance); });
    ASSERT_EVENTUALLY("its network device, too", [&] { return Ports(initial).size() == 1; });
    ExpectIn(initial, parent, "not in the namespace of the creator");
  }
}

// net/core/dev.c, default_device_exit_net(): only what has rtnl_link_ops of its own dies.
NETNS_TEST(Virt, ASimulatedCardReturnsAsAPhysicalOneDoes, Covers("VIRT-26"), Needs(Machine(), Config("NETDEVSIM"), Config("VETH")), Exclusive{}) {
  Simulated card;
  Place initial(InitialNetNamespace());
  const auto ports = Ports(initial);
  ASSERT_THAT(ports, SizeIs(1));
  const auto before = SETUP_OK(initial->LinkByName(ports.front()));
  for (const bool nested : {false, true}) {
    SCOPED_TRACE(nested ? "a namespace inside another" : "a namespace");
    Place parent;
    {
      Place a = nested ? Place::Inside(parent) : Place();
      SETUP_OK(parent->AddVeth("outside", PeerSpec{.name = "inside", .netns_fd = a.fd()}));
      ASSERT_OK(initial->MoveLink(ports.front(), a.ref()));
      EXPECT_THAT(Ports(a), SizeIs(1));
      EXPECT_THAT(Ports(initial), IsEmpty());
    }
    ASSERT_EVENTUALLY("the device to be in the initial namespace again", [&] { return Ports(initial).size() == 1; });
    ASSERT_EQ(Ports(initial), ports) << "the name that it had";
    const auto after = SETUP_OK(initial->LinkByName(ports.front()));
    EXPECT_EQ(after.index, before.index);
    EXPECT_EQ(after.address, before.address);
    EXPECT_EVENTUALLY("a veth pair of the same namespace to be destroyed", [&] { return parent->LinkByName("outside").code() == ENODEV; });
    EXPECT_THAT(Ports(parent), IsEmpty()) << "not in the namespace of the creator";
  }
}

}  // namespace
}  // namespace netns
