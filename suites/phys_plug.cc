// SPDX-License-Identifier: GPL-2.0-or-later
// PHYS: cards that vanish while they are in a namespace (unplugged, their driver unbound or unloaded), and cards that are
// busy when their namespace dies.
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "harness/child.h"
#include "harness/registration.h"
#include "suites/support/card.h"
#include "suites/support/phys.h"

namespace netns {
namespace {

using testing::Not;
using testing::Contains;
using testing::Truly;

/// The news of a namespace that tell of the card, by the address of the hardware.
bool TellsOf(CardPlace& place, const PhysicalNic& nic) {
  auto heard = SETUP_OK(place.links->ThroughFence());
  return std::any_of(heard.begin(), heard.end(), [&](const Message& message) {
    return message.type() == RTM_NEWLINK && ReadLink(message).address == nic.mac();
  });
}

// --- PHYS-22 to PHYS-24 -------------------------------------------------------------------------------------------

void UnplugAndReplug(bool by_driver) {
  auto nics = PhysicalNic::Leased();
  for (const bool busy : {false, true}) {
    SCOPED_TRACE(busy ? "up, addressed, a VLAN on top" : "idle");
    CardWatch watch(nics[0]);
    CardPlace& place = watch.Add("the namespace", NetNamespace::Create().StartActor("resident"));
    watch.Move(watch.initial(), place);
    SETUP_OK(nics[1].MoveTo(place.Namespace()));
    const Link card = SETUP_OK(watch.In(place));
    if (busy) {
      SETUP_OK(place.rtnl->Up(card.index));
      SETUP_OK(place.rtnl->AddAddress("192.0.2.1/24", card.index));
      if (Status added = place.rtnl->AddLink(Vlan("upper", card.name, 10)); added.code() != EOPNOTSUPP) {
        SETUP_OK(std::move(added));
        SETUP_OK(place.rtnl->Up("upper"));
      }
    }
    (void)TellsOf(watch.initial(), nics[0]);
    // Whoever asks the bus for it, and from wherever.
    Unplugged unplugged(nics[0].bus(), by_driver, busy ? NetNamespace::Create() : InitialNetNamespace());
    SETUP_OK(unplugged.Unplug());
    watch.ExpectGone(place, card.name);
    EXPECT_THAT(place.rtnl->LinkByIndex(card.index), FailsWith(ENODEV)) << "it vanishes from the namespace that it is in";
    EXPECT_THAT(place.rtnl->LinkByName("upper"), FailsWith(ENODEV)) << "and what stood on it";
    EXPECT_THAT(place.rtnl->Addresses({.family = AF_INET}), Holds(testing::IsEmpty()));
    EXPECT_THAT(place.rtnl->LinkByName(nics[1].name()), Succeeds()) << "control: the other card stays";
    watch.ExpectOnlyIn(nullptr);
    EXPECT_FALSE(TellsOf(watch.initial(), nics[0])) << "nothing appears in the initial namespace";
    SETUP_OK(unplugged.Replug());
    ASSERT_OK_AND_ASSIGN(Link back, nics[0].WaitUntilBack());
    EXPECT_EQ(nics[0].mac(), back.address);
    EXPECT_FALSE(back.up()) << "it is a new device";
    watch.ExpectCame(watch.initial(), back.name);
    watch.ExpectOnlyIn(watch.initial());
    EXPECT_FALSE(TellsOf(place, nics[0])) << "a new device is registered in the initial namespace, not where the old one was";
    SETUP_OK(watch.initial().rtnl->Rename(back.index, nics[0].name()));
    place.CloseSockets();
    place.resident->Kill();
    SETUP_OK(nics[1].WaitUntilBack());
  }
}

// --- PHYS-29 ------------------------------------------------------------------------------------------------------

constexpr std::uint16_t kFloodType = 0x88B5;  // for local experiments

Fd BoundPacketSocket(const NetNamespace& ns, int index, std::uint16_t type) {
  Fd socket = SETUP_OK(ns.Socket(AF_PACKET, SOCK_DGRAM, 0));
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(type);
  address.sll_ifindex = index;
  if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0)
    SETUP_OK(Status(ErrnoError("bind of a packet socket")));
  return socket;
}

void TrafficInProgressDoesNotPreventTheReturn() {
  auto nics = PhysicalNic::Leased();
  auto initial = InitialNetNamespace();
  Rtnl in_initial = SETUP_OK(Rtnl::In(initial));
  SETUP_OK(in_initial.Up(nics[1].name()));
  Fd witness = BoundPacketSocket(initial, nics[1].index(), kFloodType);
  auto ns = NetNamespace::Create();
  SETUP_OK(nics[0].MoveTo(ns));
  int index = 0;
  {
    Rtnl inside = SETUP_OK(Rtnl::In(ns));
    SETUP_OK(inside.Up(nics[0].name()));
    SETUP_OK(inside.AddAddress("192.0.2.1/24", nics[0].name()));
    index = SETUP_OK(inside.LinkByName(nics[0].name())).index;
  }
  Child flood = Child::Start("flood", [&] {
    if (::setns(ns.fd(), CLONE_NEWNET) < 0) SETUP_OK(Status(ErrnoError("setns")));
    Fd socket = BoundPacketSocket(ns, index, 0);
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_protocol = htons(kFloodType);
    to.sll_ifindex = index;
    to.sll_halen = ETH_ALEN;
    std::memset(to.sll_addr, 0xFF, ETH_ALEN);
    const std::string text(1000, 'f');
    for (;;)  // until it is killed; a full queue is an error like any other
      (void)::sendto(socket.get(), text.data(), text.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to);
  });
  ns.Release();
  for (int i = 0; i < 20; ++i) {
    SETUP_OK(WaitFor(witness.get(), POLLIN, Deadline::OfTest(), "the flood on the wire"));
    char buffer[2048];
    ASSERT_GT(::recv(witness.get(), buffer, sizeof buffer, 0), 0);
  }
  EXPECT_THAT(nics[0].InInitial(), FailsWith(ENODEV)) << "control: it is away while the flood lasts";
  SETUP_OK(flood.Signal(SIGKILL));
  ASSERT_OK_AND_ASSIGN(Link back, nics[0].WaitUntilBack());
  EXPECT_FALSE(back.up());
  EXPECT_EQ(back.address, nics[0].mac());
  // It works afterwards. Addresses of its own: other tests use the initial namespace, too.
  const std::string net = "198.18." + std::to_string(std::stoul(nics[0].mac().substr(9, 2), nullptr, 16)) + ".";
  auto other = NetNamespace::Create();
  SETUP_OK(nics[1].MoveTo(other));
  Rtnl in_other = SETUP_OK(Rtnl::In(other));
  for (auto [rtnl, device, address] : {std::tuple(&in_initial, back.name, net + "1/24"), std::tuple(&in_other, nics[1].name(), net + "2/24")}) {
    ASSERT_OK(rtnl->Up(device)) << "the card that came back from the flood, or (control) its neighbour, is usable";
    SETUP_OK(rtnl->AddAddress(address, device));
  }
  EXPECT_OK(RoundTrip(initial, other, net + "1", net + "2")) << "the card that came back from the flood";
}

struct Driver {
  const char *suite, *driver, *id;
};
constexpr Driver kDrivers[] = {{"PhysE1000", "e1000", "PHYS-32"},     {"PhysE1000e", "e1000e", "PHYS-33"},     {"PhysVirtioNet", "virtio_net", "PHYS-34"},
                               {"PhysRtl8139", "rtl8139", "PHYS-35"}, {"PhysVmxnet3", "vmxnet3", "PHYS-36"},   {"PhysIgb", "igb", "PHYS-37"},
                               {"PhysPcnet32", "pcnet32", "PHYS-37"}, {"PhysNe2kPci", "ne2k-pci", "PHYS-37"}, {"PhysTulip", "tulip", "PHYS-37"},
                               {"PhysE100", "e100", "PHYS-37"}};

[[maybe_unused]] const bool registered = [] {
  for (const Driver& driver : kDrivers) {
    const Needs needs(Nic(driver.driver, 2));
    const Within enough{std::chrono::seconds(120)};
    RegisterBody(driver.suite, "VanishesWhenUnpluggedAndComesBackInTheInitialNamespace", __FILE__, __LINE__, [] { UnplugAndReplug(false); },
                 Covers("PHYS-22", "PHYS-23", driver.id), needs, enough, Exclusive{});
    RegisterBody(driver.suite, "FollowsDriverUnbindAndBind", __FILE__, __LINE__, [] { UnplugAndReplug(true); }, Covers("PHYS-24", driver.id),
                 needs, enough, Exclusive{});
    RegisterBody(driver.suite, "TrafficInProgressDoesNotPreventTheReturn", __FILE__, __LINE__, TrafficInProgressDoesNotPreventTheReturn,
                 Covers("PHYS-29", driver.id), Needs(Nic(driver.driver, 2), Config("PACKET")), enough);
  }
  return true;
}();

}  // namespace
}  // namespace netns
