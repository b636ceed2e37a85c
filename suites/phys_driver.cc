// SPDX-License-Identifier: GPL-2.0-or-later
// PHYS: what happens to a card while it is busy, and when its driver goes; VETH: a namespace on a wire by a bridge.
#include <linux/if_ether.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include <filesystem>

#include "fixtures/link_monitor.h"
#include "fixtures/nic.h"
#include "fixtures/sockets.h"
#include "fixtures/topology.h"
#include "harness/child.h"
#include "harness/kernel_config.h"
#include "harness/registration.h"
#include "suites/support/phys.h"

namespace netns {
namespace {

using std::chrono_literals::operator""s;
using testing::ElementsAre;
using testing::IsEmpty;

// --- PHYS-29 --------------------------------------------------------------------------------------------------------

constexpr std::uint16_t kEthertype = 0x88b5;  // IEEE 802: for local experiments

/// A process that is alone in a namespace, brings a card up once it has come, and sends without end by it (or only waits).
Child StartFlood(const std::string& card, bool sends) {
  return Child::Start("flood", [card, sends] {
    Rtnl rtnl = SETUP_OK(Rtnl::Open());
    SETUP_OK(Eventually("the card to come", [&] { return rtnl.LinkByName(card).ok(); }));
    SETUP_OK(rtnl.Up(card));
    SETUP_OK(Eventually("the card to run", [&] { return rtnl.LinkByName(card)->running(); }));
    const int index = SETUP_OK(rtnl.LinkByName(card)).index;
    const Fd socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
    std::string frame("\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x99\x88\xb5", 14);
    frame.resize(1400, 'f');
    for (int sent = 0;; ++sent) {
      (void)SendTo(socket, frame, PacketOn(index, kEthertype, "ff:ff:ff:ff:ff:ff")).ok();
      if (!sends) (void)WaitFor(socket.get(), POLLIN, Deadline::In(std::chrono::hours(1)), "its end").ok();
    }
  }, CLONE_NEWNET);
}

// net/core/dev.c: the card is closed first, whatever is in its queues.
void ReturnsInTheMiddleOfTraffic() {
  auto nics = PhysicalNic::Leased();
  auto initial = InitialNetNamespace();
  auto other = NetNamespace::Create();
  SETUP_OK(nics[1].MoveTo(other));
  // A network of its own, numbered by the card's slot ("0000:00:05.0"): other tests may use their cards in the initial namespace
  // at the same time (RFC 2544 for the range).
  const std::string net = "198.18." + std::to_string(std::stoi(nics[0].bus().substr(8, 2), nullptr, 16)) + ".";
  Configure(other, nics[1].name(), 2, net);
  const int index = SETUP_OK(SETUP_OK(Rtnl::In(other)).LinkByName(nics[1].name())).index;
  for (const bool sends : {false, true}) {
    SCOPED_TRACE(sends ? "while frames are sent" : "control: idle");
    const Fd sees = SETUP_OK(PacketSocket(other, index, kEthertype));
    Child flood = StartFlood(nics[0].name(), sends);
    SETUP_OK(SETUP_OK(Rtnl::In(initial)).MoveLink(nics[0].name(), ByPid(flood.pid())));
    for (int frames = 0; frames < (sends ? 20 : 1); ++frames) ASSERT_OK(Receive(sees)) << "control: the card sends";
    EXPECT_THAT(nics[0].InInitial(), FailsWith(ENODEV)) << "control: while the process lives";
    SETUP_OK(flood.Signal(SIGKILL));
    (void)flood.Join().ok();
    ASSERT_OK_AND_ASSIGN(Link back, nics[0].WaitUntilBack());
    EXPECT_FALSE(back.up());
    ASSERT_OK(SETUP_OK(Rtnl::In(initial)).Up(back.name)) << "the NIC is usable afterwards";
    Configure(initial, back.name, 1, net);
    EXPECT_OK(RoundTrip(initial, other, net + "1", net + "2")) << "it works";
    Rtnl rtnl = SETUP_OK(Rtnl::In(initial));
    for (const Address& address : SETUP_OK(rtnl.Addresses({.index = back.index}))) SETUP_OK(rtnl.DeleteAddress(address.ToString(), back.index));
    SETUP_OK(rtnl.Down(back.index));
  }
}

// --- PHYS-39 --------------------------------------------------------------------------------------------------------

/// The file of a module of the running kernel.
std::string ModuleFile(const std::string& name) {
  utsname system{};
  ::uname(&system);
  std::error_code none;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(std::string("/lib/modules/") + system.release, none))
    if (entry.path().filename() == name + ".ko") return entry.path();
  throw MissingNeed("needs-module:" + name, "there is no uncompressed " + name + ".ko below /lib/modules", "boot with --modules");
}

// The driver core takes devices from wherever they are, and a new one begins in the initial namespace.
// (Emulated, a driver takes half a minute to look at a card: it reads the EEPROM bit by bit.)
NETNS_TEST(Phys, UnloadingTheDriverTakesTheCardFromItsNamespace, Covers("PHYS-39"), Needs(Nic("e1000", 2), Nic("e1000e", 1)), Exclusive{}, Full{},
           Within{300s}) {
  if (KernelConfig::Running().Value("E1000") != 'm' || !KernelConfig::ModuleLoaded("e1000"))
    throw MissingNeed("needs-module:e1000", "the driver is built in", "use a kernel with CONFIG_E1000=m");
  const std::string file = ModuleFile("e1000");
  auto nics = PhysicalNic::Leased();
  auto initial = InitialNetNamespace();
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  Places places{{"init", &initial}, {"a", &a}, {"b", &b}};
  SETUP_OK(nics[0].MoveTo(a));
  SETUP_OK(nics[2].MoveTo(b));
  SETUP_OK(SETUP_OK(Rtnl::In(a)).Up(nics[0].name()));
  auto told = SETUP_OK(RtnlMonitor::In(a, {RTNLGRP_LINK}));
  if (::syscall(SYS_delete_module, "e1000", O_NONBLOCK) < 0) SETUP_OK(Status(ErrnoError("delete_module(e1000)")));
  EXPECT_OK(told.Until(LinkRemoved(nics[0].name()), "RTM_DELLINK in the namespace where the card was"));
  EXPECT_THAT(places.Holding(nics[0]), IsEmpty());
  EXPECT_THAT(places.Holding(nics[1]), IsEmpty()) << "nor is the one that had not moved";
  EXPECT_THAT(places.Holding(nics[2]), ElementsAre("b")) << "control: a card of another driver";

  const Fd module = SETUP_OK(Open(file, O_RDONLY));
  if (::syscall(SYS_finit_module, module.get(), "", 0) < 0) SETUP_OK(Status(ErrnoError("finit_module(" + file + ")")));
  ASSERT_OK(nics[0].WaitUntilBack()) << "in the initial namespace";
  ASSERT_OK(nics[1].WaitUntilBack());
  EXPECT_THAT(places.Holding(nics[0]), ElementsAre("init"));
  EXPECT_THAT(places.Holding(nics[2]), ElementsAre("b")) << "control: a card of another driver";
}

// --- VETH-13 --------------------------------------------------------------------------------------------------------

// network_namespaces(7): a veth pair "can be used to create a bridge to a physical network device in another namespace".
void ABridgeConnectsANamespaceToTheWire() {
  auto nics = PhysicalNic::Leased();
  auto initial = InitialNetNamespace();
  auto far = NetNamespace::Create();
  SETUP_OK(nics[1].MoveTo(far));
  Configure(far, nics[1].name(), 2);
  for (const bool in_initial : {true, false}) {
    SCOPED_TRACE(in_initial ? "the card is in the initial namespace" : "the card is in another namespace");
    auto inside = NetNamespace::Create();
    auto gateway = in_initial ? InitialNetNamespace() : NetNamespace::Create();
    if (!in_initial) SETUP_OK(nics[0].MoveTo(gateway));
    const std::string outer = Own("nsv", nics[0]), hub = Own("nsb", nics[0]);
    {
      Rtnl rtnl = SETUP_OK(Rtnl::In(gateway));
      SETUP_OK(rtnl.AddVeth(outer, PeerSpec{.name = "inner", .netns_fd = inside.fd()}));
      Bridge bridge = SETUP_OK(Bridge::Make(gateway, hub, {nics[0].name(), outer}));
      Configure(inside, "inner", 1);
      const std::string mac = SETUP_OK(SETUP_OK(Rtnl::In(inside)).LinkByName("inner")).address;
      EXPECT_OK(RoundTrip(inside, far, "192.0.2.1", "192.0.2.2"));
      if (HasIpv6()) {
        EXPECT_OK(RoundTrip(far, inside, "2001:db8::2", "2001:db8::1"));
      }
      std::string known;
      for (const Neighbour& neighbour : SETUP_OK(SETUP_OK(Rtnl::In(far)).Neighbours(AF_INET)))
        if (neighbour.to == "192.0.2.1") known = neighbour.address;
      EXPECT_EQ(known, mac) << "the far side speaks to the end in the namespace";
      // (By name: the bridge has taken the card's address for its own.)
      EXPECT_OK(rtnl.LinkByName(nics[0].name())) << "the card stays where it is";
      EXPECT_THAT(SETUP_OK(Rtnl::In(inside)).LinkByName(nics[0].name()), FailsWith(ENODEV));
      SETUP_OK(bridge.RemovePort(outer));
      EXPECT_FALSE(Ping(inside, "192.0.2.2", {.deadline = Deadline::In(std::chrono::milliseconds(300))}).ok()) << "control: not in the bridge";
      SETUP_OK(bridge.RemovePort(nics[0].name()));
      SETUP_OK(rtnl.DeleteLink(hub));
      SETUP_OK(rtnl.DeleteLink(outer));
      Rtnl at_far = SETUP_OK(Rtnl::In(far));
      for (int family : {AF_INET, AF_INET6})
        for (const Neighbour& neighbour : SETUP_OK(at_far.Neighbours(family)))
          if (neighbour.to == "192.0.2.1" || neighbour.to == "2001:db8::1") (void)at_far.DeleteNeighbour({.to = neighbour.to, .dev = neighbour.dev}).ok();
      SETUP_OK(rtnl.Down(nics[0].name()));
    }
    if (!in_initial) Free(std::move(gateway));
    SETUP_OK(nics[0].WaitUntilBack());
  }
}

[[maybe_unused]] const bool registered = [] {
  for (auto [suite, driver] : {std::pair("PhysE1000", "e1000"), std::pair("PhysE1000e", "e1000e"), std::pair("PhysVirtioNet", "virtio_net")}) {
    RegisterBody(suite, "ReturnsInTheMiddleOfTraffic", __FILE__, __LINE__, ReturnsInTheMiddleOfTraffic, Covers("PHYS-29"), Needs(Nic(driver, 2)),
                 Within{120s});
    RegisterBody(suite, "ABridgeConnectsANamespaceToTheWire", __FILE__, __LINE__, ABridgeConnectsANamespaceToTheWire, Covers("VETH-13"),
                 Needs(Nic(driver, 2), Config("BRIDGE"), Config("VETH")), Within{120s});
  }
  return true;
}();

}  // namespace
}  // namespace netns
