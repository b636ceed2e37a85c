// SPDX-License-Identifier: GPL-2.0-or-later
// What the tests of physical devices share: where a card is, who stands in its way, how it is unplugged.
#pragma once

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "fixtures/link_monitor.h"
#include "fixtures/net_namespace.h"
#include "fixtures/nic.h"
#include "fixtures/rtnl.h"
#include "fixtures/sockets.h"
#include "harness/assertions.h"
#include "suites/support/place.h"

namespace netns {

/// Destroys its arguments in their order: sockets before the descriptor of their namespace, which they pin.
template <class... T>
void Free(T... things) {
  ((void)T(std::move(things)), ...);
}

/// Adds a link; a kind that this kernel was built without ends the test as MISS.
inline void AddOrMiss(Rtnl& rtnl, const LinkSpec& spec) {
  Status added = rtnl.AddLink(spec);
  if (!added.ok() && added.code() == EOPNOTSUPP)
    throw MissingNeed("needs-feature:" + spec.kind, "this kernel has no " + spec.kind + " devices", "");
  SETUP_OK(std::move(added));
}

inline LinkSpec Vlan(const std::string& name, const std::string& lower, std::uint16_t id) {
  return {.name = name, .kind = "vlan", .link = LinkRef(lower), .data = [id](Request& r) { r.U16(1 /* IFLA_VLAN_ID */, id); }};
}

/// Whether altnames move with a device, tried with a virtual one.
inline bool AltnamesMove() {
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  Rtnl in_a = SETUP_OK(Rtnl::In(a));
  SETUP_OK(in_a.AddVeth("probe", "other"));
  if (!in_a.AddAltname("probe", "alternative").ok()) return false;
  SETUP_OK(in_a.MoveLink("probe", ByFd(b.fd())));
  return SETUP_OK(Rtnl::In(b)).LinkByName("alternative").ok();
}

/// Names for namespaces, and which of them hold a card: asked by netlink, sysfs and /proc/net/dev, which must agree.
class Places {
 public:
  Places(std::initializer_list<std::pair<std::string, const NetNamespace*>> places) : places_(places) {}
  void Add(std::string name, const NetNamespace* ns) { places_.emplace_back(std::move(name), ns); }

  std::vector<std::string> Holding(const PhysicalNic& nic) const {
    std::vector<std::string> by_netlink, by_sysfs, by_proc;
    for (const auto& [name, ns] : places_) {
      std::string device = nic.name();  // a card that was plugged in again has another one
      for (const Link& link : SETUP_OK(SETUP_OK(Rtnl::In(*ns)).Links()))
        if (link.address == nic.mac()) {
          by_netlink.push_back(name);
          device = link.name;
        }
      ns->InWithSysfs([&, &place = name] {
        for (const NicInfo& info : FindPhysicalNics())
          if (info.bus == nic.bus()) by_sysfs.push_back(place);
      });
      std::istringstream lines(SETUP_OK(ns->ReadProcNet("dev")));
      for (std::string line; std::getline(lines, line);)
        if (std::string word = line.substr(line.find_first_not_of(' ')); word.rfind(device + ":", 0) == 0)
          by_proc.push_back(name);
    }
    EXPECT_EQ(by_netlink, by_sysfs) << "netlink and sysfs disagree on where " << nic.name() << " is";
    EXPECT_EQ(by_netlink, by_proc) << "netlink and /proc/net/dev disagree on where " << nic.name() << " is";
    return by_netlink;
  }

 private:
  std::vector<std::pair<std::string, const NetNamespace*>> places_;
};

/// ETHTOOL_GDRVINFO of a device, as asked in `ns`; Realtek's two drivers count as one.
inline Result<std::string> DriverOf(const NetNamespace& ns, const std::string& name) {
  ASSIGN_OR_RETURN(Fd socket, ns.Socket(AF_INET, SOCK_DGRAM));
  ethtool_drvinfo info{};
  info.cmd = ETHTOOL_GDRVINFO;
  ifreq request{};
  std::strncpy(request.ifr_name, name.c_str(), IFNAMSIZ - 1);
  request.ifr_data = reinterpret_cast<char*>(&info);
  if (::ioctl(socket.get(), SIOCETHTOOL, &request) < 0) return ErrnoError("ETHTOOL_GDRVINFO(" + name + ")");
  std::string driver = info.driver;
  return driver.rfind("8139", 0) == 0 ? "rtl8139" : driver;
}

/// A device name of this test alone: tests that hold other cards work in the initial namespace at the same time.
inline std::string Own(const std::string& prefix, const PhysicalNic& nic) {
  return prefix + nic.mac().substr(15) + nic.mac().substr(12, 2) + nic.mac().substr(9, 2);
}

/// A virtual device with a name (and index) that a card would want; gone with the object.
class Bystander {
 public:
  Bystander(Rtnl& rtnl, std::string name, int index = 0) : rtnl_(rtnl), name_(std::move(name)) {
    LinkSpec options;
    if (index > 0) options.index = index;
    SETUP_OK(rtnl_.AddVeth(name_, PeerSpec{}, options));
    index_ = SETUP_OK(rtnl_.LinkByName(name_)).index;
  }
  Bystander(const Bystander&) = delete;
  Bystander& operator=(const Bystander&) = delete;
  ~Bystander() { (void)rtnl_.DeleteLink(index_).ok(); }
  int index() const { return index_; }

 private:
  Rtnl& rtnl_;
  std::string name_;
  int index_ = 0;
};

/// Takes away at the end what has this name in the initial namespace: an upper that should have died (or was made there) would
/// stand in the way of the tests of the same card that follow, which would be blamed for it.
class NothingStays {
 public:
  NothingStays(Rtnl& rtnl, std::string name) : rtnl_(rtnl), name_(std::move(name)) {}
  NothingStays(const NothingStays&) = delete;
  NothingStays& operator=(const NothingStays&) = delete;
  ~NothingStays() { (void)rtnl_.DeleteLink(name_).ok(); }

 private:
  Rtnl& rtnl_;
  std::string name_;
};

/// What the initial namespace is told of the return of devices, which are away when this is made.
class ReturnsTold {
 public:
  ReturnsTold(const NetNamespace& initial, std::vector<std::string> names)
      : names_(std::move(names)), links_(SETUP_OK(RtnlMonitor::In(initial, {RTNLGRP_LINK}))), devices_(SETUP_OK(UeventMonitor::In(initial))) {}
  void ExpectNone() {
    const auto links = SETUP_OK(links_.ThroughFence());
    for (const std::string& name : names_) EXPECT_THAT(links, testing::Not(testing::Contains(testing::Truly(LinkAdded(name))))) << "control: " << name << " is away";
  }
  /// Once all of them are back. The kernel tells it before it lets go of the lock that the fence has to take.
  void ExpectAll() {
    const auto links = SETUP_OK(links_.ThroughFence());
    const auto devices = SETUP_OK(devices_.DrainNow());
    for (const std::string& name : names_) {
      EXPECT_THAT(links, testing::Contains(testing::Truly(LinkAdded(name)))) << "no RTM_NEWLINK told the initial namespace of the return of " << name;
      EXPECT_THAT(devices, testing::Contains(testing::Truly(UeventOf("add", name)))) << "no uevent 'add' told the initial namespace of the return of " << name;
    }
  }

 private:
  std::vector<std::string> names_;
  RtnlMonitor links_;
  UeventMonitor devices_;
};

/// Brings a device up with an address of each family that the kernel has, and waits until it runs. `net4` is a /24 with its last dot.
inline void Configure(const NetNamespace& ns, const std::string& name, int host, const std::string& net4 = "192.0.2.") {
  Rtnl rtnl = SETUP_OK(Rtnl::In(ns));
  SETUP_OK(rtnl.Up(name));
  SETUP_OK(rtnl.AddAddress(net4 + std::to_string(host) + "/24", name));
  if (HasIpv6()) SETUP_OK(rtnl.AddAddress("2001:db8::" + std::to_string(host) + "/64", name, {.nodad = true}));
  SETUP_OK(Eventually("carrier on " + name, [&] {
    Link link = SETUP_OK(rtnl.LinkByName(name));
    return link.running() && link.operstate == 6 /* IF_OPER_UP */;
  }));
}

/// One datagram to port 9 of `address`; errors of the route come back.
inline Status SendOnce(const NetNamespace& ns, const std::string& address) {
  SockAddr to = Inet(address, 9);
  ASSIGN_OR_RETURN(Fd socket, ns.Socket(to.family(), SOCK_DGRAM));
  if (::sendto(socket.get(), "x", 1, 0, to.get(), to.length()) < 0) return ErrnoError("sendto(" + address + ")");
  return Ok();
}

/// A UDP datagram from `a` to `b` and its answer. Asks again until the deadline: switches and cards may lose the first.
inline Status RoundTrip(const NetNamespace& a, const NetNamespace& b, const std::string& from, const std::string& to) {
  // The kernel chooses the ports: another test may use the initial namespace at the same time.
  ASSIGN_OR_RETURN(Fd asks, UdpBind(a, Inet(from, 0)));
  ASSIGN_OR_RETURN(Fd answers, UdpBind(b, Inet(to, 0)));
  ASSIGN_OR_RETURN(const SockAddr source, GetSockName(asks));
  ASSIGN_OR_RETURN(const SockAddr target, GetSockName(answers));
  return Eventually("a datagram from " + from + " to " + to + " and its answer", [&] {
    char byte = 'q';
    if (::sendto(asks.get(), &byte, 1, 0, target.get(), target.length()) < 0) return false;
    if (!WaitFor(answers.get(), POLLIN, Deadline::In(std::chrono::milliseconds(300)), "the datagram").ok()) return false;
    if (::recv(answers.get(), &byte, 1, 0) != 1) return false;
    if (::sendto(answers.get(), &byte, 1, 0, source.get(), source.length()) < 0) return false;
    return WaitFor(asks.get(), POLLIN, Deadline::In(std::chrono::milliseconds(300)), "the answer").ok();
  });
}

/// Takes a card off its bus (or its driver off the card) and puts it back.
class Unplugged {
 public:
  /// Asked for by a process in `where`; what comes back is of the initial namespace all the same.
  Unplugged(std::string bus, bool by_driver, NetNamespace where = InitialNetNamespace()) : where_(std::move(where)), bus_(std::move(bus)), by_driver_(by_driver) {
    where_.InWithSysfs([&] {
      char target[4096];
      ssize_t n = ::readlink(("/sys/bus/pci/devices/" + bus_ + "/driver").c_str(), target, sizeof target);
      driver_ = n > 0 ? "/sys/bus/pci/drivers" + std::string(target, static_cast<std::size_t>(n)).substr(
                            std::string(target, static_cast<std::size_t>(n)).rfind('/'))
                      : "";
    });
  }
  Unplugged(const Unplugged&) = delete;
  Unplugged& operator=(const Unplugged&) = delete;
  ~Unplugged() {
    if (out_) (void)Replug().ok();
  }
  Status Unplug() {
    out_ = true;
    return by_driver_ ? Write(driver_ + "/unbind", bus_) : Write("/sys/bus/pci/devices/" + bus_ + "/remove", "1");
  }
  Status Replug() {
    out_ = false;
    return by_driver_ ? Write(driver_ + "/bind", bus_) : Write("/sys/bus/pci/rescan", "1");
  }

 private:
  Status Write(const std::string& path, const std::string& text) {
    Status status = Ok();
    where_.InWithSysfs([&] { status = WriteFile(path, text); });
    return status;
  }
  NetNamespace where_;
  std::string bus_, driver_;
  bool by_driver_, out_ = false;
};

/// Whether <pci device>/net names the card in a sysfs mounted in `ns`.
inline bool PciShows(const NetNamespace& ns, const PhysicalNic& nic) {
  bool shows = false;
  ns.InWithSysfs([&] {
    for (const NicInfo& info : FindPhysicalNics()) shows = shows || info.bus == nic.bus();
  });
  return shows;
}

/// A change of credentials makes a process undumpable and its /proc entries unreadable to those with its new ids.
inline void MakeDumpable(Actor& actor) {
  actor.Run([] { ::prctl(PR_SET_DUMPABLE, 1); });
}

}  // namespace netns
