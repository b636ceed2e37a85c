// SPDX-License-Identifier: GPL-2.0-or-later
// PHYS: who is told of a card's comings and goings, and what counts as physical: by rule, a device
// without rtnl_link_ops, or whose link operations ask for its return (netns_refund); SLIP and serial CAN lines are such.
#include <fcntl.h>
#include <linux/tty.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "fixtures/link_monitor.h"
#include "fixtures/nic.h"
#include "harness/registration.h"
#include "suites/support/phys.h"

namespace netns {
namespace {

using std::chrono_literals::operator""s;
using testing::Contains;
using testing::Not;
using testing::Truly;

// --- PHYS-26 ------------------------------------------------------------------------------------------------------

void MovesAndReturnAreAnnouncedOnBothSides() {
  auto nics = PhysicalNic::Leased();
  const PhysicalNic& nic = nics[0];
  auto initial = InitialNetNamespace();
  auto a = NetNamespace::Create();
  auto links = SETUP_OK(RtnlMonitor::In(initial, {RTNLGRP_LINK}));
  auto devices = SETUP_OK(UeventMonitor::In(initial));
  {
    auto links_in_a = SETUP_OK(RtnlMonitor::In(a, {RTNLGRP_LINK}));
    auto devices_in_a = SETUP_OK(UeventMonitor::In(a));
    ASSERT_OK(nic.MoveTo(a));
    EXPECT_OK(links.Until(LinkRemoved(nic.name()), "RTM_DELLINK in the initial namespace"));
    EXPECT_OK(devices.Until(UeventOf("remove", nic.name()), "the uevent 'remove' in the initial namespace"));
    EXPECT_OK(links_in_a.Until(LinkAdded(nic.name()), "RTM_NEWLINK in the namespace it came to"));
    EXPECT_OK(devices_in_a.Until(UeventOf("add", nic.name()), "the uevent 'add' in the namespace it came to"));
    // And back and there again, by hand.
    SETUP_OK(SETUP_OK(Rtnl::In(a)).MoveLink(nic.name(), ByFd(initial.fd())));
    EXPECT_OK(links_in_a.Until(LinkRemoved(nic.name()), "RTM_DELLINK in the namespace it left"));
    EXPECT_OK(devices_in_a.Until(UeventOf("remove", nic.name()), "the uevent 'remove' in the namespace it left"));
    EXPECT_OK(links.Until(LinkAdded(nic.name()), "RTM_NEWLINK in the initial namespace"));
    EXPECT_OK(devices.Until(UeventOf("add", nic.name()), "the uevent 'add' in the initial namespace"));
    ASSERT_OK(nic.MoveTo(a));
    EXPECT_OK(links.Until(LinkRemoved(nic.name()), "RTM_DELLINK in the initial namespace"));
    EXPECT_OK(devices.Until(UeventOf("remove", nic.name()), "the uevent 'remove' in the initial namespace"));
  }
  SETUP_OK(SETUP_OK(Rtnl::In(a)).Rename(nic.name(), Own("in", nic)));
  ASSERT_OK_AND_ASSIGN(auto quiet, links.ThroughFence());
  EXPECT_THAT(quiet, Not(Contains(Truly(LinkAdded(Own("in", nic)))))) << "control: while its namespace is pinned";
  // What the initial namespace itself does meanwhile is not of the card.
  Free(std::move(a));
  EXPECT_OK(links.Until(LinkAdded(Own("in", nic)), "RTM_NEWLINK of the return in the initial namespace"));
  ASSERT_OK_AND_ASSIGN(Uevent back, devices.Until(UeventOf("add", Own("in", nic)), "the uevent 'add' of the return, with the final name"));
  EXPECT_EQ(back.Value("SUBSYSTEM"), "net");
  EXPECT_EQ(back.Value("IFINDEX"), std::to_string(SETUP_OK(nic.WaitUntilBack()).index));
}

// --- PHYS-31 ------------------------------------------------------------------------------------------------------

/// A pseudo-terminal whose line is a network device.
class LineDevice {
 public:
  LineDevice(int discipline, const char* symbol) {
    // A pts file system of its own: the guest may have none.
    ::mkdir("/tmp/pts", 0700);
    if (::mount("devpts", "/tmp/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0600") < 0)
      throw MissingNeed("needs-config:UNIX98_PTYS", ErrnoError("mounting devpts").ToString(), "use a kernel with CONFIG_UNIX98_PTYS");
    master_ = SETUP_OK(Open("/tmp/pts/ptmx", O_RDWR | O_NOCTTY));
    int unlocked = 0, number = 0;
    if (::ioctl(master_.get(), TIOCSPTLCK, &unlocked) < 0 || ::ioctl(master_.get(), TIOCGPTN, &number) < 0)
      throw SetupFailure(ErrnoError("unlocking a pseudo-terminal").ToString(), std::source_location::current());
    line_ = SETUP_OK(Open("/tmp/pts/" + std::to_string(number), O_RDWR | O_NOCTTY));
    if (::ioctl(line_.get(), TIOCSETD, &discipline) < 0) {
      if (errno == EINVAL || errno == ENODEV)
        throw MissingNeed(std::string("needs-config:") + symbol, ErrnoError("ioctl(TIOCSETD)").ToString(),
                          std::string("use a kernel with CONFIG_") + symbol);
      throw SetupFailure(ErrnoError("ioctl(TIOCSETD)").ToString(), std::source_location::current());
    }
    char name[IFNAMSIZ] = {};
    if (::ioctl(line_.get(), SIOCGIFNAME, name) < 0)
      throw SetupFailure(ErrnoError("ioctl(SIOCGIFNAME) of a line").ToString(), std::source_location::current());
    name_ = name;
  }
  ~LineDevice() {
    line_.Reset();
    master_.Reset();
    ::umount2("/tmp/pts", MNT_DETACH);
  }
  const std::string& name() const { return name_; }

 private:
  Fd master_, line_;
  std::string name_;
};

// net/core/dev.c default_device_exit_net(); include/net/rtnetlink.h netns_refund.
void ALineReturnsAndVirtualDevicesDie(int discipline, const char* symbol) {
  auto initial = InitialNetNamespace();
  Rtnl in_initial = SETUP_OK(Rtnl::In(initial));
  LineDevice line(discipline, symbol), second(discipline, symbol);
  EXPECT_OK(in_initial.LinkByName(line.name())) << "control: born in the initial namespace";
  for (const bool nested : {false, true}) {
    SCOPED_TRACE(nested ? "a namespace inside another" : "a namespace");
    auto parent = NetNamespace::Create();
    auto a = nested ? parent.In([] { return NetNamespace::Create(); }) : NetNamespace::Create();
    Rtnl in_parent = SETUP_OK(Rtnl::In(parent));
    {
      Rtnl in_a = SETUP_OK(Rtnl::In(a));
      AddOrMiss(in_a, {.name = "nsvirt0", .kind = "dummy"});
      (void)in_a.AddLink({.name = "nsvcan0", .kind = "vcan"}).ok();  // where there is CAN
      SETUP_OK(in_a.AddVeth("nsveth0", PeerSpec{.name = "witness", .netns_fd = parent.fd()}));
      for (const LineDevice* device : {&line, &second}) SETUP_OK(in_initial.MoveLink(device->name(), ByFd(a.fd())));
      EXPECT_OK(in_a.LinkByName(line.name()));
    }
    EXPECT_THAT(in_initial.LinkByName(line.name()), FailsWith(ENODEV)) << "control: while the namespace is pinned";
    ReturnsTold told(initial, {line.name(), second.name()});
    told.ExpectNone();
    Free(std::move(a));
    EXPECT_EVENTUALLY("both lines to return to the initial namespace", [&] {
      return in_initial.LinkByName(line.name()).ok() && in_initial.LinkByName(second.name()).ok();
    });
    told.ExpectAll();
    EXPECT_EVENTUALLY("the virtual devices to be destroyed", [&] { return in_parent.LinkByName("witness").code() == ENODEV; });
    for (const char* name : {"nsvirt0", "nsvcan0", "nsveth0"}) {
      EXPECT_THAT(in_initial.LinkByName(name), FailsWith(ENODEV)) << name << " is virtual";
    }
    EXPECT_THAT(in_parent.LinkByName(line.name()), FailsWith(ENODEV)) << "not to the namespace of the creator";
  }
}

NETNS_TEST(Phys, ASlipLineReturnsAndVirtualDevicesDie, Covers("PHYS-31", "PHYS-26"), Needs(Machine(), UserNs(), Config("SLIP"), Config("VETH")),
           Exclusive{}, Within{60s}) {
  ALineReturnsAndVirtualDevicesDie(N_SLIP, "SLIP");
}
NETNS_TEST(Phys, ASerialCanLineReturnsAndVirtualDevicesDie, Covers("PHYS-31", "PHYS-26"),
           Needs(Machine(), UserNs(), Config("CAN_SLCAN"), Config("VETH")), Exclusive{}, Within{60s}) {
  ALineReturnsAndVirtualDevicesDie(N_SLCAN, "CAN_SLCAN");
}

[[maybe_unused]] const bool registered = [] {
  for (auto [suite, driver] : {std::pair("PhysE1000", "e1000"), std::pair("PhysE1000e", "e1000e"), std::pair("PhysVirtioNet", "virtio_net")}) {
    RegisterBody(suite, "MovesAndReturnAreAnnouncedOnBothSides", __FILE__, __LINE__, MovesAndReturnAreAnnouncedOnBothSides,
                 Covers("PHYS-26", "EVT-02"), Needs(Nic(driver, 1)), Within{60s});
  }
  return true;
}();

}  // namespace
}  // namespace netns
