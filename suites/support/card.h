// SPDX-License-Identifier: GPL-2.0-or-later
// One card under watch: in exactly one of the namespaces that exist it must be, by netlink, sysfs and /proc alike, and as
// what it should be there; and its comings and goings must be told on both sides. One check for every step of a test.
#pragma once

#include <net/if.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <ostream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "fixtures/link_monitor.h"
#include "fixtures/net_namespace.h"
#include "fixtures/nic.h"
#include "fixtures/rtnl.h"
#include "harness/assertions.h"

namespace netns {

/// What rtnetlink says of a card. Not its promiscuity: a device on top, which counts there, dies a moment after the card is back.
struct CardFacts {
  std::string name;
  int index = 0;
  std::string mac;
  std::set<std::string> altnames;
  std::string alias;
  std::uint32_t mtu = 0, txqlen = 0;
  bool up = false, promiscuous = false, enslaved = false, xdp = false;

  static CardFacts Of(const Link& link) {
    return {link.name, link.index, link.address, {link.altnames.begin(), link.altnames.end()}, link.alias, link.mtu, link.txqlen,
            link.up(), (link.flags & IFF_PROMISC) != 0, link.master.has_value(), link.xdp_program.value_or(0) != 0};
  }
  bool operator==(const CardFacts&) const = default;
  friend void PrintTo(const CardFacts& facts, std::ostream* out) {
    *out << facts.index << ": " << facts.name << " " << facts.mac << (facts.up ? " up" : " down");
    for (const std::string& altname : facts.altnames) *out << " altname " << altname;
    *out << " alias '" << facts.alias << "' mtu " << facts.mtu << " txqlen " << facts.txqlen;
    if (facts.promiscuous) *out << " promiscuous";
    *out << (facts.enslaved ? " with a master" : "") << (facts.xdp ? " with an XDP program" : "");
  }
};

/// One of the namespaces in which the card could be. A process of it lives as long as it shall; its sysfs stays mounted
/// after that (which holds no namespace), to see that nothing stays behind.
struct CardPlace {
  CardPlace(std::string place_name, Actor process) : name(std::move(place_name)), resident(std::move(process)) {
    static int number = 0;
    sysfs = "/tmp/sysfs" + std::to_string(number++);
    ::mkdir(sysfs.c_str(), 0700);
    auto ns = Namespace();
    SETUP_OK(ns.In([&]() -> Status {
      if (::mount("sysfs", sysfs.c_str(), "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) < 0) return ErrnoError("mount(sysfs)");
      return Ok();
    }));
    // One process goes in for all sockets.
    Fd route, links_socket, devices_socket;
    ns.In([&] {
      for (Fd* fd : {&route, &links_socket}) fd->Reset(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
      devices_socket.Reset(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT));
    });
    rtnl.emplace(SETUP_OK(Rtnl::Adopt(std::move(route))));
    links.emplace(SETUP_OK(RtnlMonitor::Adopt(std::move(links_socket), {RTNLGRP_LINK})));
    devices.emplace(SETUP_OK(UeventMonitor::Adopt(std::move(devices_socket))));
  }

  NetNamespace Namespace() const { return SETUP_OK(NetNamespace::OfPid(resident->pid())); }
  /// Leaves its process as the only thing that holds the namespace.
  void CloseSockets() {
    rtnl.reset();
    links.reset();
    devices.reset();
  }

  std::string name, sysfs;
  std::optional<Actor> resident;
  std::optional<Rtnl> rtnl;
  std::optional<RtnlMonitor> links;
  std::optional<UeventMonitor> devices;
};

class CardWatch {
 public:
  explicit CardWatch(const PhysicalNic& nic) : nic_(nic) {
    places_.push_back(std::make_unique<CardPlace>("the initial namespace", InitialNetNamespace().StartActor("initial")));
  }
  ~CardWatch() {
    for (const auto& place : places_) ::umount2(place->sysfs.c_str(), MNT_DETACH);
  }

  CardPlace& initial() { return *places_.front(); }
  CardPlace& Add(const std::string& name, Actor resident) {
    places_.push_back(std::make_unique<CardPlace>(name, std::move(resident)));
    return *places_.back();
  }

  /// The card in `place`, by the address of the hardware.
  Result<Link> In(CardPlace& place) const {
    for (Link& link : SETUP_OK(place.rtnl->Links()))
      if (link.kind.empty() && (link.permanent_address.empty() ? link.address : link.permanent_address) == nic_.mac()) return std::move(link);
    return Error{ENODEV, "card " + nic_.bus() + " in " + place.name};
  }

  /// Moves it, and expects the news of that on both sides, and that it stays what it was.
  void Move(CardPlace& from, CardPlace& to, const MoveOptions& options = {}) {
    const Link before = SETUP_OK(In(from));
    SETUP_OK(from.rtnl->MoveLink(before.index, ByFd(to.Namespace().fd()), options));
    ExpectGone(from, before.name);
    ExpectCame(to, before.name);
    ExpectOnlyIn(to);
    CardFacts expected = CardFacts::Of(before);
    expected.up = false;
    if (auto after = In(to); after.ok()) expected.index = after->index;
    ExpectFacts(to, expected, "after the move from " + from.name + " to " + to.name);
  }
  void ExpectGone(CardPlace& place, const std::string& name) {
    EXPECT_OK(place.links->Until(LinkRemoved(name), "RTM_DELLINK of " + name + " in " + place.name));
    EXPECT_OK(place.devices->Until(UeventOf("remove", name), "the uevent 'remove' of " + name + " in " + place.name));
  }
  void ExpectCame(CardPlace& place, const std::string& name) {
    EXPECT_OK(place.links->Until(LinkAdded(name), "RTM_NEWLINK of " + name + " in " + place.name));
    // A name such as dev0 changes hands: the news may have been of another card.
    ASSERT_EVENTUALLY("the card to be in " + place.name, [&] { return In(place).ok(); });
    const auto link = In(place);
    ASSERT_OK(link) << "in " << place.name;
    // Where its name was taken, older kernels add it by that name, and tell of the change with a 'move'.
    const auto final_name = [&](const Uevent& event) {
      return (UeventOf("add", name)(event) || UeventOf("move", name)(event)) && event.Value("IFINDEX") == std::to_string(link->index);
    };
    auto heard = place.devices->Through(final_name, "the uevent that brings " + name + " to " + place.name);
    ASSERT_OK(heard);
    EXPECT_THAT(*heard, testing::Contains(testing::Truly([&](const Uevent& event) {
                  return event.action == "add" && event.Value("SUBSYSTEM") == "net" && event.Value("IFINDEX") == std::to_string(link->index);
                }))) << "the uevent 'add' of the card, index " << link->index << ", in " << place.name;
  }

  /// Netlink, sysfs and /proc say of all namespaces that exist: it is there (nullptr: nowhere), and only there.
  void ExpectOnlyIn(CardPlace* where) const {
    for (const auto& place : places_) {
      SCOPED_TRACE("looking into " + place->name);
      const bool expected = place.get() == where;
      std::string name;
      if (place->rtnl) {
        auto link = In(*place);
        EXPECT_EQ(link.ok(), expected) << "by rtnetlink";
        if (link.ok()) {
          name = link->name;
          EXPECT_THAT(place->rtnl->LinkByIndex(link->index), Holds(testing::Field(&Link::name, name))) << "by its index";
          for (const std::string& altname : link->altnames)
            EXPECT_THAT(place->rtnl->LinkByName(altname), Holds(testing::Field(&Link::index, link->index))) << "by altname " << altname;
          EXPECT_TRUE(HasLine(*place, name)) << "it is not in /proc/net/dev as " << name;
          const std::string directory = place->sysfs + "/class/net/" + name;
          auto index = ReadFile(directory + "/ifindex");
          EXPECT_EQ(index.ok() ? *index : "nothing", std::to_string(link->index) + "\n") << directory << "/ifindex";
        }
      }
      const std::set<std::string> in_sysfs = InPciDirectory(*place);
      if (expected) {
        EXPECT_EQ(in_sysfs, std::set<std::string>{name}) << "in the directory net of its PCI device";
      } else {
        EXPECT_EQ(in_sysfs, std::set<std::string>{}) << "in the directory net of its PCI device";
      }
    }
  }
  void ExpectOnlyIn(CardPlace& where) const { ExpectOnlyIn(&where); }

  /// The card in `place` is as `expected` says.
  void ExpectFacts(CardPlace& place, const CardFacts& expected, const std::string& when) const {
    auto link = In(place);
    ASSERT_OK(link) << when;
    EXPECT_EQ(CardFacts::Of(*link), expected) << when;
  }

  const PhysicalNic& nic() const { return nic_; }

 private:
  static bool HasLine(const CardPlace& place, const std::string& name) {
    std::istringstream lines(SETUP_OK(ReadFile(place.resident->Proc("net/dev"))));
    for (std::string line; std::getline(lines, line);)
      if (const auto at = line.find_first_not_of(' '); at != std::string::npos && line.compare(at, name.size() + 1, name + ":") == 0) return true;
    return false;
  }
  std::set<std::string> InPciDirectory(const CardPlace& place) const {
    namespace fs = std::filesystem;
    std::set<std::string> names;
    std::error_code error;
    const fs::path device = place.sysfs + "/bus/pci/devices/" + nic_.bus();
    std::vector<fs::path> directories{device / "net"};
    for (const auto& entry : fs::directory_iterator(device, error))
      if (entry.path().filename().string().starts_with("virtio")) directories.push_back(entry.path() / "net");
    for (const auto& directory : directories)
      for (const auto& entry : fs::directory_iterator(directory, error)) names.insert(entry.path().filename());
    return names;
  }

  const PhysicalNic& nic_;
  std::vector<std::unique_ptr<CardPlace>> places_;
};

}  // namespace netns
