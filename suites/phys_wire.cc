// SPDX-License-Identifier: GPL-2.0-or-later
// PHYS: a card on its wire: it hears what is sent to it where it is, and does not care for namespaces in which it was.
#include <poll.h>

#include <set>

#include "fixtures/sockets.h"
#include "suites/support/phys.h"
#include "suites/support/wire.h"

namespace netns {
namespace {

constexpr std::uint16_t kOurs = 0x88b5;  // for experiments

std::string Bytes6(const std::string& mac) {
  std::string bytes;
  for (std::size_t i = 0; i < mac.size(); i += 3) bytes.push_back(static_cast<char>(std::stoi(mac.substr(i, 2), nullptr, 16)));
  return bytes;
}

/// Whether a card hears a frame to `destination` that another one on its wire sends. Sent again: switches and cards lose some.
Status Hears(const NetNamespace& at, const std::string& name, const NetNamespace& from, const std::string& sender, const std::string& destination,
             const std::string& text) {
  ASSIGN_OR_RETURN(Rtnl there, Rtnl::In(at));
  ASSIGN_OR_RETURN(Rtnl here, Rtnl::In(from));
  ASSIGN_OR_RETURN(const Link card, there.LinkByName(name));
  ASSIGN_OR_RETURN(const Link other, here.LinkByName(sender));
  ASSIGN_OR_RETURN(const Fd receiver, PacketSocket(at, card.index, kOurs));
  ASSIGN_OR_RETURN(const Fd speaker, PacketSocket(from, other.index, kOurs));
  std::string frame = Bytes6(destination) + Bytes6(other.address) + "\x88\xb5" + text;
  frame.resize(80, '.');
  return Eventually("a frame to " + destination + " to be heard", [&] {
    if (::send(speaker.get(), frame.data(), frame.size(), 0) < 0) return false;
    const Deadline patience = Deadline::In(std::chrono::milliseconds(300));
    while (WaitFor(receiver.get(), POLLIN, patience, "the frame").ok()) {
      std::string got(2048, '\0');
      const ssize_t n = ::recv(receiver.get(), got.data(), got.size(), 0);
      if (n > 0 && got.compare(0, frame.size(), frame) == 0) return true;
    }
    return false;
  }, Deadline::In(std::chrono::seconds(10)));
}

/// netdevice(7): a card that is up gets what is sent to its address, to all, and to the groups that were joined.
void HearsWhatIsSentToItWhereverItIs() {
  auto nics = PhysicalNic::Leased();
  const PhysicalNic &nic = nics[0], &other = nics[1];
  auto initial = InitialNetNamespace();
  auto first = NetNamespace::Create(), second = NetNamespace::Create(), outside = NetNamespace::Create();
  SETUP_OK(other.MoveTo(outside));
  Rtnl out = SETUP_OK(Rtnl::In(outside));
  Configure(outside, other.name(), 200);
  const NetNamespace* places[] = {&initial, &first, &second};
  const char* names[] = {"control: in the initial namespace", "in a namespace", "in another one"};
  for (int place = 0; place < 3; ++place) {
    SCOPED_TRACE(names[place]);
    if (place == 1) SETUP_OK(nic.MoveTo(first));
    if (place == 2) SETUP_OK(SETUP_OK(Rtnl::In(first)).MoveLink(nic.name(), ByFd(second.fd())));
    const NetNamespace& at = *places[place];
    Rtnl there = SETUP_OK(Rtnl::In(at));
    // It has said nothing yet: who wants to reach it has to ask all.
    for (int round = 0; round < 3; ++round) {
      SCOPED_TRACE(round == 0 ? "up for the first time" : round == 1 ? "after promiscuous mode" : "down and up again");
      if (round == 1) {
        SETUP_OK(there.SetLink(nic.name(), {.promiscuous = true}));
        SETUP_OK(there.SetLink(nic.name(), {.promiscuous = false}));
      }
      if (round == 2) SETUP_OK(there.Down(nic.name()));
      if (round != 1) SETUP_OK(there.Up(nic.name()));
      SETUP_OK(Eventually("carrier on " + nic.name(), [&] { return SETUP_OK(there.LinkByName(nic.name())).running(); }));
      EXPECT_OK(Hears(at, nic.name(), outside, other.name(), nic.mac(), "to its address"));
      EXPECT_OK(Hears(at, nic.name(), outside, other.name(), "ff:ff:ff:ff:ff:ff", "to all"));
      // 224.0.0.1 is everyone's who has IPv4.
      EXPECT_OK(Hears(at, nic.name(), outside, other.name(), "01:00:5e:00:00:01", "to the group of all hosts"));
      if (round == 1) {
        SETUP_OK(there.SetLink(nic.name(), {.all_multicast = true}));
        EXPECT_OK(Hears(at, nic.name(), outside, other.name(), "01:00:5e:7f:01:02", "to a group, where all are wanted"));
        SETUP_OK(there.SetLink(nic.name(), {.all_multicast = false}));
      }
    }
    // Both forget each other: the first contact is by a broadcast (ARP), from outside.
    const std::string net = "198.51.10" + std::to_string(place) + ".";
    SETUP_OK(there.AddAddress(net + "1/24", nic.name()));
    SETUP_OK(out.AddAddress(net + "200/24", other.name()));
    EXPECT_OK(RoundTrip(outside, at, net + "200", net + "1")) << "a host on the wire that was never contacted by it";
    SETUP_OK(there.DeleteAddress(net + "1/24", nic.name()));
  }
  // Nothing of it reaches the initial namespace any more.
  EXPECT_THAT(nic.InInitial(), FailsWith(ENODEV)) << "control";
}

/// Which of some IPv4 addresses are answered for at the hardware address `mac`, by ARP and by an echo reply, when asked over the wire.
/// `own`, which is asked for last, is: its answers are behind all others. Asked again as long as these are lost. The host that asks is
/// the 200th of the /24 of `own`.
Result<std::set<std::string>> AnsweredFor(const NetNamespace& from, const std::string& sender, const std::string& mac, const std::vector<std::uint32_t>& addresses, std::uint32_t own) {
  using namespace wire;
  const std::uint32_t asks = (own & 0xFFFFFF00) | 200;
  ASSIGN_OR_RETURN(Rtnl there, Rtnl::In(from));
  ASSIGN_OR_RETURN(const Link other, there.LinkByName(sender));
  ASSIGN_OR_RETURN(Fd socket, PacketSocket(from, other.index, ETH_P_ALL));
  const std::string asker = Bytes6(other.address);
  std::vector<std::uint32_t> all = addresses;
  all.push_back(own);
  std::set<std::string> answered;
  const std::string last_arp = "ARP for " + Text(own), last_echo = "echo of " + Text(own);
  RETURN_IF_ERROR(Eventually("answers for " + Text(own), [&] {
    for (std::uint32_t each : all) {
      std::string frame = kAll + asker + B16(ETH_P_ARP) + B16(1) + B16(ETH_P_IP) + std::string("\x06\x04", 2) + B16(1) + asker + B32(asks) + std::string(6, '\0') + B32(each);
      frame.resize(60);
      if (::send(socket.get(), frame.data(), frame.size(), 0) < 0) return false;
    }
    for (std::uint32_t each : all) {
      std::string frame = Bytes6(mac) + asker + B16(ETH_P_IP) + Ip(asks, each, IPPROTO_ICMP, Icmp(ICMP_ECHO, 0, B16(0xFACE) + B16(1)));
      frame.resize(60);
      if (::send(socket.get(), frame.data(), frame.size(), 0) < 0) return false;
    }
    const Deadline patience = Deadline::In(std::chrono::milliseconds(300));
    while (!answered.contains(last_arp) || !answered.contains(last_echo)) {
      char buffer[2000];
      if (!WaitFor(socket.get(), POLLIN, patience, "answers").ok()) return false;
      const ssize_t length = ::recv(socket.get(), buffer, sizeof buffer, 0);
      if (length < 34) continue;
      const std::string frame(buffer, static_cast<std::size_t>(length));
      const auto address = [&](std::size_t at) { return Text(At(frame, at) << 24 | At(frame, at + 1) << 16 | At(frame, at + 2) << 8 | At(frame, at + 3)); };
      if (IsArp(frame, 2)) answered.insert("ARP for " + address(28));
      if (IsIcmp(frame, ICMP_ECHOREPLY)) answered.insert("echo of " + address(26));
    }
    return true;
  }));
  return answered;
}

/// network_namespaces(7): addresses are of one namespace. On its wire a card stands for those of the namespace in which it is.
void AnswersForTheAddressesOfItsNamespaceOnly() {
  using namespace wire;
  auto nics = PhysicalNic::Leased();
  const PhysicalNic &nic = nics[0], &other = nics[1];
  auto outside = NetNamespace::Create(), third = NetNamespace::Create(), first = NetNamespace::Create();
  SETUP_OK(other.MoveTo(outside));
  Rtnl out = SETUP_OK(Rtnl::In(outside));
  SETUP_OK(out.Up(other.name()));
  // Of this test on this card alone: others work in the initial namespace at the same time, with other cards and with 198.51.100.1.
  const auto octet = [&](std::size_t at) { return static_cast<std::uint32_t>(std::stoi(nic.mac().substr(at, 2), nullptr, 16)); };
  const std::uint32_t number = 0xC6130000 /* 198.19.0.0 */ | (octet(9) & 0x3f) << 8 | octet(15);
  const std::uint32_t of_initial = number, of_third = number | 0x4000, of_nobody = number | 0x8000, own = number | 0x2000;
  Rtnl in_initial = SETUP_OK(Rtnl::In(InitialNetNamespace()));
  Bystander holder(in_initial, Own("holds", nic));
  SETUP_OK(in_initial.Up(holder.index()));
  SETUP_OK(in_initial.AddAddress(Text(of_initial) + "/32", holder.index()));
  SETUP_OK(SETUP_OK(Rtnl::In(third)).Up("lo"));
  SETUP_OK(SETUP_OK(Rtnl::In(third)).AddAddress(Text(of_third) + "/32", "lo"));
  const auto ask = [&](const NetNamespace& where) {
    Rtnl there = SETUP_OK(Rtnl::In(where));
    SETUP_OK(there.Up(nic.name()));
    SETUP_OK(there.AddAddress(Text(own) + "/24", nic.name()));
    SETUP_OK(Eventually("carrier on " + nic.name(), [&] { return SETUP_OK(there.LinkByName(nic.name())).running(); }));
    auto answered = AnsweredFor(outside, other.name(), nic.mac(), {of_initial, of_third, of_nobody}, own);
    SETUP_OK(there.DeleteAddress(Text(own) + "/24", nic.name()));
    return answered;
  };
  const std::set<std::string> of_its_own{"ARP for " + Text(own), "echo of " + Text(own)};
  const auto with = [&](std::uint32_t address) {
    std::set<std::string> all = of_its_own;
    for (const char* how : {"ARP for ", "echo of "}) all.insert(how + Text(address));
    return all;
  };
  SETUP_OK(nic.MoveTo(first));
  EXPECT_THAT(ask(first), Holds(of_its_own)) << "in a namespace; " << Text(of_initial) << " is the initial namespace's, " << Text(of_third) << " a third one's";
  Free(std::move(first));
  ASSERT_OK(nic.WaitUntilBack());
  EXPECT_THAT(ask(InitialNetNamespace()), Holds(with(of_initial))) << "control: in the initial namespace";
}

/// PHYS-20: the device belongs to the new namespace only. Freeing one in which it was does not affect it, its state included.
void ANamespaceThatItHasLeftMayDieWhileItIsInUse() {
  auto nics = PhysicalNic::Leased();
  const PhysicalNic &nic = nics[0], &other = nics[1];
  auto outside = NetNamespace::Create();
  SETUP_OK(other.MoveTo(outside));
  Configure(outside, other.name(), 200);
  for (int way : {0, 1, 2}) {
    SCOPED_TRACE(way == 0 ? "out of the initial one, by way of one that dies" : way == 1 ? "by way of two that die" : "back to the initial one, and out again");
    FreedOracle of_a, of_b;
    auto a = of_a.Create(), b = of_b.Create(), last = NetNamespace::Create();
    SETUP_OK(nic.MoveTo(a));
    if (way == 0) SETUP_OK(SETUP_OK(Rtnl::In(a)).MoveLink(nic.name(), ByFd(last.fd())));
    if (way == 1) {
      SETUP_OK(SETUP_OK(Rtnl::In(a)).MoveLink(nic.name(), ByFd(b.fd())));
      SETUP_OK(SETUP_OK(Rtnl::In(b)).MoveLink(nic.name(), ByFd(last.fd())));
    }
    if (way == 2) {
      SETUP_OK(SETUP_OK(Rtnl::In(a)).MoveLink(nic.name(), ByFd(InitialNetNamespace().fd())));
      SETUP_OK(nic.MoveTo(last));
    }
    Configure(last, nic.name(), 1);
    Rtnl there = SETUP_OK(Rtnl::In(last));
    SETUP_OK(there.AddRoute({.to = "198.51.100.0/24", .via = "192.0.2.200"}));
    SETUP_OK(there.SetLink(nic.name(), {.alias = "in use", .txqlen = 77}));
    EXPECT_OK(RoundTrip(last, outside, "192.0.2.1", "192.0.2.200")) << "control: before";
    const Link before = SETUP_OK(there.LinkByName(nic.name()));
    const auto addresses = SETUP_OK(there.Addresses({.family = AF_INET})).size(), routes = SETUP_OK(there.Routes({.family = AF_INET})).size();
    Free(std::move(a), std::move(b));
    for (FreedOracle* oracle : {&of_a, &of_b}) SETUP_OK(oracle->WaitUntilFreed());
    ASSERT_OK_AND_ASSIGN(const Link after, there.LinkByName(nic.name()));
    EXPECT_EQ(after.flags, before.flags) << "the end of a namespace that it had left changed its flags: " << after;
    EXPECT_EQ(after.operstate, before.operstate);
    EXPECT_EQ(after.index, before.index);
    EXPECT_EQ(after.mtu, before.mtu);
    EXPECT_EQ(after.txqlen, before.txqlen);
    EXPECT_EQ(after.alias, before.alias);
    EXPECT_EQ(after.carrier_changes, before.carrier_changes) << "it was down for a while";
    EXPECT_EQ(SETUP_OK(there.Addresses({.family = AF_INET})).size(), addresses) << "addresses";
    EXPECT_EQ(SETUP_OK(there.Routes({.family = AF_INET})).size(), routes) << "routes";
    EXPECT_OK(RoundTrip(last, outside, "192.0.2.1", "192.0.2.200")) << "and it still works";
    Free(std::move(there), std::move(last));
    ASSERT_OK(nic.WaitUntilBack()) << "control: the end of the one in which it is";
  }
}

// The older models do not tell whether they have carrier.
[[maybe_unused]] const bool registered = [] {
  struct {
    const char *suite, *driver, *id;
  } drivers[] = {{"PhysE1000", "e1000", "PHYS-32"},       {"PhysE1000e", "e1000e", "PHYS-33"},   {"PhysVirtioNet", "virtio_net", "PHYS-34"},
                 {"PhysRtl8139", "rtl8139", "PHYS-35"},   {"PhysVmxnet3", "vmxnet3", "PHYS-36"}, {"PhysIgb", "igb", "PHYS-37"}};
  for (const auto& [suite, driver, id] : drivers) {
    RegisterBody(suite, "HearsWhatIsSentToItWhereverItIs", __FILE__, __LINE__, HearsWhatIsSentToItWhereverItIs, Covers("PHYS-19", id), Needs(Nic(driver, 2), Config("PACKET")),
                 Within{std::chrono::seconds(120)});
    RegisterBody(suite, "AnswersForTheAddressesOfItsNamespaceOnly", __FILE__, __LINE__, AnswersForTheAddressesOfItsNamespaceOnly, Covers("PHYS-19", id),
                 Needs(Nic(driver, 2), Config("PACKET"), Config("INET")), Within{std::chrono::seconds(120)});
    RegisterBody(suite, "ANamespaceThatItHasLeftMayDieWhileItIsInUse", __FILE__, __LINE__, ANamespaceThatItHasLeftMayDieWhileItIsInUse, Covers("PHYS-20", id), Needs(Nic(driver, 2)),
                 Within{std::chrono::seconds(120)});
  }
  return true;
}();

}  // namespace
}  // namespace netns
