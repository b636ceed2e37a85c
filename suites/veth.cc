// SPDX-License-Identifier: GPL-2.0-or-later
// VETH: pairs of virtual Ethernet devices, the cable between namespaces.
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <sched.h>

#include "fixtures/sockets.h"
#include "suites/support/listener.h"
#include "suites/support/place.h"

namespace netns {
namespace {

using testing::AnyOf;
using testing::Contains;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::IsEmpty;
using testing::Not;

/// Freeing takes a tenth of a second; on a machine that is busy, or emulated, some seconds.
constexpr auto kFreed = std::chrono::seconds(25);
constexpr int kOperDown = 2, kOperLowerLayerDown = 3, kOperUp = 6;  // IF_OPER_*, linux/if.h does not go with net/if.h

/// Waits until a device really carries frames: its queues are activated some time after both ends are up.
void WaitUntilRunning(Place& place, const std::string& name) {
  SETUP_OK(Eventually(name + " to be running", [&] {
    const auto link = place->LinkByName(name);
    return link.ok() && link->running() && link->operstate == kOperUp;
  }));
}

struct End {
  Place& place;
  std::string name;
};
/// A pair with one end here and one there, both up and running.
void Connect(End one, End two, LinkSpec first = {}, PeerSpec second = {}) {
  second.name = two.name;
  second.netns_fd = two.place.fd();
  Status added = one.place->AddVeth(one.name, second, std::move(first));
  RequireBuiltIn(added, "VETH");
  SETUP_OK(std::move(added));
  for (End* end : {&one, &two}) {
    // No messages of IPv6's own between the frames of a test.
    if (HasIpv6()) SETUP_OK(end->place.ns.SetSysctl("net/ipv6/conf/" + end->name + "/accept_dad", "0"));
    SETUP_OK(end->place->Up(end->name));
  }
  for (End* end : {&one, &two}) WaitUntilRunning(end->place, end->name);
}
void Give(End end, const std::string& address) {
  SETUP_OK(end.place->AddAddress(address, end.name, {.nodad = true}));
}

// ------------------------------------------------------------------------------------------------------ frames

constexpr std::uint16_t kTestEthertype = 0x88b5;  // IEEE 802: for local experiments

/// A packet socket on one device, for frames of `ethertype` alone.
struct FrameSocket {
  FrameSocket(Place& at, const std::string& device, std::uint16_t ethertype = kTestEthertype)
      : index(SETUP_OK(at->LinkByName(device)).index), type(ethertype) {
    auto made = PacketSocket(at.ns, index, ethertype);
    if (!made.ok()) RequireBuiltIn(made.error(), "PACKET");
    socket = SETUP_OK(std::move(made));
  }
  /// A frame to everybody with this payload, padded to 46 bytes.
  Status Send(std::string payload) {
    if (payload.size() < 46) payload.resize(46, '\0');
    std::string frame("\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x99", 12);
    frame += static_cast<char>(type >> 8);
    frame += static_cast<char>(type & 0xff);
    frame += payload;
    return SendRaw(frame);
  }
  Status SendRaw(const std::string& frame) {
    return SendTo(socket, frame, PacketOn(index, type, "ff:ff:ff:ff:ff:ff"));
  }
  /// The payloads that came until one is `last`, in order. Only what others sent: not what leaves by this device.
  std::vector<std::string> ReceiveUntil(const std::string& last) {
    std::vector<std::string> all;
    for (;;) {
      const Datagram frame = SETUP_OK(Receive(socket));
      sockaddr_ll from{};
      std::memcpy(&from, frame.from.get(), std::min<std::size_t>(sizeof from, frame.from.length()));
      if (from.sll_pkttype == PACKET_OUTGOING || frame.data.size() < 14) continue;
      std::string payload = frame.data.substr(14);
      payload.resize(payload.find_last_not_of('\0') + 1);
      all.push_back(payload);
      if (payload == last) return all;
    }
  }
  bool HasFrame() {
    while (Readable(socket)) {
      const Datagram frame = SETUP_OK(Receive(socket));
      sockaddr_ll from{};
      std::memcpy(&from, frame.from.get(), std::min<std::size_t>(sizeof from, frame.from.length()));
      if (from.sll_pkttype != PACKET_OUTGOING) return true;
    }
    return false;
  }

  int index;
  std::uint16_t type;
  Fd socket;
};

void ExpectFramesPass(End from, End to, const std::string& tag) {
  FrameSocket out(from.place, from.name), in(to.place, to.name);
  std::vector<std::string> sent;
  for (int i = 0; i < 20; ++i) {
    sent.push_back(tag + " " + std::to_string(i));
    EXPECT_OK(out.Send(sent.back()));
  }
  EXPECT_EQ(in.ReceiveUntil(sent.back()), sent) << "each frame once, in order";
}

// ---------------------------------------------------------------------------------------------------- creation

// veth(4): "veth device pairs ... are always created in interconnected pairs".
NETNS_TEST(Veth, OneRequestCreatesTwoDevices, Covers("VETH-01"), Needs(Config("VETH"), Config("BRIDGE"))) {
  Place a;
  RequireBuiltIn(a->AddLink({.name = "v0", .kind = "veth"}), "VETH");
  auto names = LinkNames(a);
  ASSERT_EQ(names.size(), 3u) << "v0, a peer that was not described, and lo";
  const Link v0 = SETUP_OK(a->LinkByName("v0"));
  const Link peer = SETUP_OK(a->LinkByIndex(v0.link.value_or(-1)));
  EXPECT_EQ(peer.link, std::optional(v0.index)) << "each is the other's peer";
  EXPECT_EQ(peer.kind, "veth");
  EXPECT_THAT(peer.name, testing::StartsWith("veth")) << "an unnamed peer is called vethN";
  SETUP_OK(a->AddVeth("w0", "w1"));
  EXPECT_EQ(LinkNames(a).size(), 5u);
  AddBridge(a, "hub");
  EXPECT_EQ(LinkNames(a).size(), 6u) << "control: another kind creates one";
  // ip-link(8): without a name the kernel numbers both.
  SETUP_OK(a->AddLink({.kind = "veth"}));
  EXPECT_EQ(LinkNames(a).size(), 8u);
}

NETNS_TEST(Veth, ThePeersNameAndAttributesCanBeChosen, Covers("VETH-02"), Needs(Config("VETH"))) {
  Place a, b;
  Status added = a->AddVeth("v0", {.name = "p0", .mtu = 1350, .address = "02:00:00:00:00:22"},
                            {.mtu = 1400, .address = "02:00:00:00:00:11"});
  RequireBuiltIn(added, "VETH");
  ASSERT_OK(added);
  const Link first = SETUP_OK(a->LinkByName("v0")), second = SETUP_OK(a->LinkByName("p0"));
  EXPECT_EQ(first.address, "02:00:00:00:00:11");
  EXPECT_EQ(first.mtu, 1400u);
  EXPECT_EQ(second.address, "02:00:00:00:00:22");
  EXPECT_EQ(second.mtu, 1350u);
  EXPECT_FALSE(first.up() || second.up());
  // The same for a peer elsewhere, with an index of its own.
  SETUP_OK(a->AddVeth("v1", {.name = "p1", .index = 333, .mtu = 1360, .address = "02:00:00:00:00:33", .netns_fd = b.fd()},
                      {.index = 44}));
  const Link there = SETUP_OK(b->LinkByName("p1"));
  EXPECT_EQ(there.mtu, 1360u);
  EXPECT_EQ(there.address, "02:00:00:00:00:33");
  EXPECT_EQ(there.index, 333);
  EXPECT_EQ(SETUP_OK(a->LinkByName("v1")).index, 44);
  EXPECT_EQ(SETUP_OK(a->LinkByName("v1")).mtu, 1500u);
  // Defaults: an Ethernet device with a local address of its own.
  SETUP_OK(a->AddVeth("v2", "p2"));
  const Link plain = SETUP_OK(a->LinkByName("p2"));
  EXPECT_EQ(plain.mtu, 1500u);
  EXPECT_NE(plain.address, SETUP_OK(a->LinkByName("v2")).address);
  EXPECT_NE(plain.address, "00:00:00:00:00:00");
  // Control: a name that is taken where the peer shall be.
  EXPECT_THAT(a->AddVeth("v3", "p0"), FailsWith(EEXIST));
  EXPECT_THAT(Seen(a, "v3"), IsEmpty()) << "half a pair was made";
  EXPECT_THAT(a->AddVeth("v3", {.name = "p1", .netns_fd = b.fd()}), FailsWith(EEXIST));
  EXPECT_THAT(Seen(a, "v3"), IsEmpty()) << "half a pair was made";
}

// veth(4): "ip link add <p1-name> netns <p1-ns> type veth peer <p2-name> netns <p2-ns>".
// The name of a peer has to be free where the peer will be, and nowhere else. (That of the first end had to be free in the
// namespace of the request as well, until Linux 6.15.)
NETNS_TEST(Veth, APeerMayBearANameThatIsTakenWhereItIsRequested, Covers("VETH-03", "VETH-17", "DEV-05"), Needs(Config("VETH"))) {
  Place here, a, b;
  RequireBuiltIn(here->AddVeth("taken0", "taken1"), "VETH");
  EXPECT_OK(here->AddVeth("near", {.name = "taken0", .netns_fd = a.fd()})) << "the peer's name is in use in the requester's namespace only";
  EXPECT_OK(here->AddVeth("far", {.name = "taken1", .netns_fd = b.fd()}, {.netns_fd = a.fd()}))
      << "the peer's name is in use in the requester's namespace only";
  EXPECT_THAT(LinkNames(here), ElementsAre("lo", "near", "taken0", "taken1"));
  EXPECT_THAT(LinkNames(a), ElementsAre("far", "lo", "taken0"));
  EXPECT_THAT(LinkNames(b), ElementsAre("lo", "taken1"));
  EXPECT_THAT(here->AddVeth("third", {.name = "taken0", .netns_fd = a.fd()}), FailsWith(EEXIST)) << "control: taken where the peer would be";
  EXPECT_THAT(LinkNames(here), ElementsAre("lo", "near", "taken0", "taken1"));
}

NETNS_TEST(Veth, BothEndsCanBeCreatedInTwoOtherNamespaces, Covers("VETH-03", "VETH-17"), Needs(Config("VETH"))) {
  Place a, b, c;
  Actor in_a = a.ns.StartActor("in a"), in_b = b.ns.StartActor("in b");
  RequireBuiltIn(c->AddVeth("byfd", {.name = "peer1", .netns_fd = b.fd()}, {.netns_fd = a.fd()}), "VETH");
  ASSERT_OK(c->AddVeth("bypid", {.name = "peer2", .netns_pid = in_b.pid()}, {.netns_pid = in_a.pid()}));
  SETUP_OK(c->NewNsid(a.ref(), 1));
  SETUP_OK(c->NewNsid(b.ref(), 2));
  ASSERT_OK(c->AddVeth("mixed", {.name = "peer3", .netns_pid = in_b.pid()}, {.netns_fd = a.fd()}));
  EXPECT_THAT(LinkNames(a), ElementsAre("byfd", "bypid", "lo", "mixed"));
  EXPECT_THAT(LinkNames(b), ElementsAre("lo", "peer1", "peer2", "peer3"));
  EXPECT_THAT(LinkNames(c), ElementsAre("lo")) << "the namespace of the request";
  EXPECT_OK(c->AddVeth("home", "peer4")) << "control: without the attributes";
  EXPECT_THAT(LinkNames(c), ElementsAre("home", "lo", "peer4"));
  ASSERT_OK(c->AddVeth("byid", {.name = "peer5", .netns_fd = b.fd()}, {.target_nsid = 1}));
  EXPECT_THAT(LinkNames(a), Contains("byid"));
  EXPECT_THAT(LinkNames(b), Contains("peer5"));
  EXPECT_OK(c->AddVeth("eth0", {.name = "eth0", .netns_fd = b.fd()}, {.netns_fd = a.fd()})) << "one name for both";
  EXPECT_THAT(LinkNames(a), Contains("eth0"));
  EXPECT_THAT(LinkNames(b), Contains("eth0"));
  for (const char* name : {"byfd", "bypid", "mixed", "eth0"}) SETUP_OK(a->Up(name));
  for (const char* name : {"peer1", "peer2", "peer3", "eth0"}) SETUP_OK(b->Up(name));
  ExpectFramesPass({a, "byfd"}, {b, "peer1"}, "byfd");
  ExpectFramesPass({b, "peer2"}, {a, "bypid"}, "bypid");
  ExpectFramesPass({b, "peer3"}, {a, "mixed"}, "mixed");
  ExpectFramesPass({a, "eth0"}, {b, "eth0"}, "eth0");
}

// The attributes of the device are those of the first end. A peer that is described says itself where it shall be, and one
// that is not goes with the first.
NETNS_TEST(Veth, EachEndIsWhereItsOwnAttributesPutIt, Covers("VETH-03", "VETH-01", "VETH-02"), Needs(Config("VETH"))) {
  Place a, b;
  Place c = Place::Inside(a);
  Actor in_a = a.ns.StartActor("in a");
  RequireBuiltIn(c->AddLink({.name = "v0", .kind = "veth", .netns_fd = a.fd()}), "VETH");
  struct {
    const char* which;
    LinkSpec first;
    std::optional<PeerSpec> second;
    Place& first_in;
    Place& second_in;
  } rows[] = {{"the first end by descriptor, its peer not described", {.netns_fd = a.fd()}, std::nullopt, a, a},
              {"the first end by pid, its peer not described", {.netns_pid = in_a.pid()}, std::nullopt, a, a},
              {"neither, its peer not described", {}, std::nullopt, c, c},
              {"the first end only", {.netns_fd = a.fd()}, PeerSpec{.name = "peer"}, a, c},
              {"the first end only, by pid", {.netns_pid = in_a.pid()}, PeerSpec{.name = "peer"}, a, c},
              {"the peer only", {}, PeerSpec{.name = "peer", .netns_fd = a.fd()}, c, a},
              {"the peer only, by pid", {}, PeerSpec{.name = "peer", .netns_pid = in_a.pid()}, c, a},
              {"both in one", {.netns_fd = a.fd()}, PeerSpec{.name = "peer", .netns_fd = a.fd()}, a, a},
              {"both in one, in two ways", {.netns_fd = a.fd()}, PeerSpec{.name = "peer", .netns_pid = in_a.pid()}, a, a},
              {"both elsewhere", {.netns_fd = a.fd()}, PeerSpec{.name = "peer", .netns_fd = b.fd()}, a, b},
              {"the peer where the request is from, in so many words", {.netns_fd = a.fd()}, PeerSpec{.name = "peer", .netns_fd = c.fd()}, a, c}};
  SETUP_OK(a->DeleteLink("v0"));
  for (auto& [which, first, second, first_in, second_in] : rows) {
    SCOPED_TRACE(which);
    first.name = "end";
    first.kind = "veth";
    ASSERT_OK(second ? c->AddVeth("end", *second, first) : c->AddLink(first));
    std::size_t links = 0;
    for (Place* place : {&a, &b, &c}) {
      const auto names = LinkNames(*place);
      links += names.size() - 1;  // without lo
      EXPECT_EQ(std::count(names.begin(), names.end(), "end"), place == &first_in ? 1 : 0) << "the first end, in " << (place == &a ? "a" : place == &b ? "b" : "the requester's");
      const std::size_t expected = (place == &first_in ? 1u : 0u) + (place == &second_in ? 1u : 0u);
      EXPECT_EQ(names.size() - 1, expected) << "devices in " << (place == &a ? "a" : place == &b ? "b" : "the requester's");
    }
    EXPECT_EQ(links, 2u);
    EXPECT_OK(first_in->DeleteLink("end"));
    for (Place* place : {&a, &b, &c}) EXPECT_THAT(LinkNames(*place), ElementsAre("lo")) << "control: one deletion takes both";
  }
}

// An unnamed peer is called vethN, with a number that is free where it is, whatever is taken elsewhere.
NETNS_TEST(Veth, AnUnnamedPeerIsNumberedWhereItIs, Covers("VETH-02", "VETH-17"), Needs(Config("VETH"))) {
  Place a, b;
  RequireBuiltIn(a->AddVeth("veth0", "veth1"), "VETH");
  for (int i = 0; i < 3; ++i) {
    SETUP_OK(a->AddVeth("named" + std::to_string(i), PeerSpec{.netns_fd = b.fd()}));
    const std::string expected = "veth" + std::to_string(i);
    const Link peer = SETUP_OK(b->LinkByIndex(SETUP_OK(a->LinkByName("named" + std::to_string(i))).link.value_or(0)));
    EXPECT_EQ(peer.name, expected) << "the lowest number that is free where the peer is";
  }
  EXPECT_THAT(LinkNames(b), ElementsAre("lo", "veth0", "veth1", "veth2"));
  SETUP_OK(a->AddLink({.name = "home", .kind = "veth"}));
  EXPECT_THAT(LinkNames(a), ElementsAre("home", "lo", "named0", "named1", "named2", "veth0", "veth1", "veth2")) << "control: where two are taken it is the third";
}

NETNS_TEST(Veth, APairMayHaveOneNameInTwoNamespaces, Covers("VETH-17"), Needs(Config("VETH"))) {
  Place a, b;
  Status made = a->AddVeth("eth0", {.name = "eth0", .index = 55, .netns_fd = b.fd()}, {.index = 55});
  RequireBuiltIn(made, "VETH");
  ASSERT_OK(made);
  EXPECT_EQ(SETUP_OK(a->LinkByName("eth0")).index, 55);
  EXPECT_EQ(SETUP_OK(b->LinkByName("eth0")).index, 55) << "and one index";
  EXPECT_THAT(SETUP_OK(b->LinkByName("eth0")).address, Not(SETUP_OK(a->LinkByName("eth0")).address));
  EXPECT_THAT(a->AddVeth("eth1", "eth1"), FailsWith(EEXIST)) << "control: in one namespace";
  EXPECT_THAT(LinkNames(a), ElementsAre("eth0", "lo"));
  EXPECT_THAT(b->MoveLink("eth0", a.ref()), FailsWith(EEXIST)) << "control: they cannot come together";
}

// drivers/net/veth.c veth_newlink(): all or nothing.
NETNS_TEST(Veth, AFailedCreationLeavesNothingBehind, Covers("VETH-19"), Needs(Config("VETH"))) {
  Place a, b;
  RequireBuiltIn(b->AddVeth("taken", {.name = "other", .index = 71}, {.index = 70}), "VETH");
  SETUP_OK(a->AddVeth("mine", {.name = "mine2", .index = 81}, {.index = 80}));
  Actor dead = b.ns.StartActor("dead");
  const pid_t gone = dead.pid();
  dead.Exit();
  const Fd uts = SETUP_OK(Open("/proc/self/ns/uts", O_RDONLY));
  constexpr int kBusy = -1;  // EBUSY; EEXIST since Linux 6.15, which looks for the device where it shall be
  struct {
    const char* which;
    LinkSpec first;
    PeerSpec second;
    int error;
  } cases[] = {
      {"the peer's descriptor is bad", {}, {.name = "p", .netns_fd = 999}, EBADF},
      {"the peer's descriptor is no network namespace", {}, {.name = "p", .netns_fd = uts.get()}, EINVAL},
      {"the peer's pid is unknown", {}, {.name = "p", .netns_pid = gone}, ESRCH},
      {"the peer's name is taken there", {}, {.name = "taken", .netns_fd = b.fd()}, EEXIST},
      {"the peer's name is taken here", {}, {.name = "mine"}, EEXIST},
      {"the peer's index is busy there", {.index = 500}, {.name = "p", .index = 70, .netns_fd = b.fd()}, EBUSY},
      {"the peer's address is none", {}, {.name = "p", .address = "01:00:00:00:00:01", .netns_fd = b.fd()}, EADDRNOTAVAIL},
      {"the first one's name is taken", {.netns_fd = b.fd()}, {.name = "p", .netns_fd = b.fd()}, 0},
      {"the first one's index is busy here", {.index = 80}, {.name = "p", .netns_fd = b.fd()}, EEXIST},
      {"the first one's index is busy there", {.index = 70, .netns_fd = b.fd()}, {.name = "p", .netns_fd = b.fd()}, kBusy},
      {"the first one's index is busy there, its peer is here", {.index = 70, .netns_fd = b.fd()}, {.name = "p"}, kBusy},
      {"the first one's pid is unknown", {.netns_pid = gone}, {.name = "p", .netns_fd = b.fd()}, ESRCH},
      {"the first one's descriptor is no network namespace", {.netns_fd = uts.get()}, {.name = "p", .netns_fd = b.fd()}, EINVAL},
      {"the first one's descriptor is bad", {.netns_fd = 999}, {.name = "p", .netns_fd = b.fd()}, EBADF},
      {"the first one's address is none", {.address = "01:00:00:00:00:01"}, {.name = "p", .netns_fd = b.fd()}, EADDRNOTAVAIL},
  };
  const auto in_a = LinkNames(a), in_b = LinkNames(b);
  Listener hears_b(b, {RTNLGRP_LINK});
  for (auto& [which, first, second, error] : cases) {
    if (error == 0) continue;
    SCOPED_TRACE(which);
    const Status refused = a->AddVeth("v", second, first);
    if (error == kBusy)
      EXPECT_THAT(refused, AnyOf(FailsWith(EBUSY), FailsWith(EEXIST)));
    else
      EXPECT_THAT(refused, FailsWith(error));
    EXPECT_EQ(LinkNames(a), in_a);
    EXPECT_EQ(LinkNames(b), in_b);
  }
  EXPECT_THAT(a->AddVeth("taken", {.name = "p", .netns_fd = b.fd()}, {.netns_fd = b.fd()}), FailsWith(EEXIST));
  EXPECT_EQ(LinkNames(b), in_b) << "the peer stayed when the first end could not be made";
  EXPECT_OK(a->AddVeth("v", {.name = "p", .index = 72, .netns_fd = b.fd()}, {.index = 500})) << "control: a good request";
  EXPECT_THAT(LinkNames(b), ElementsAre("lo", "other", "p", "taken"));
}

// ------------------------------------------------------------------------------------------------- frames and packets

// veth(4): "Packets transmitted on one device in the pair are immediately received on the other device."
void FramesPassBothWays(End one, End two) {
  ExpectFramesPass(one, two, "forth");
  ExpectFramesPass(two, one, "back");
}
NETNS_TEST(Veth, AFrameSentOnOneEndIsReceivedOnTheOther, Covers("VETH-05"), Needs(Config("VETH"), Config("PACKET"))) {
  Place a, b;
  Place nested = Place::Inside(a);
  Connect({a, "first"}, {b, "first"});
  Connect({a, "second"}, {b, "second"});
  Connect({a, "inner"}, {nested, "outer"});
  Connect({a, "left"}, {a, "right"});
  FrameSocket aside(b, "second"), aside2(nested, "outer"), aside3(a, "right"), aside4(a, "second");
  {
    SCOPED_TRACE("the first pair between two namespaces");
    FramesPassBothWays({a, "first"}, {b, "first"});
  }
  EXPECT_FALSE(aside.HasFrame()) << "control: an unrelated pair of the same namespaces";
  EXPECT_FALSE(aside2.HasFrame()) << "control: an unrelated pair";
  EXPECT_FALSE(aside3.HasFrame()) << "control: an unrelated pair";
  EXPECT_FALSE(aside4.HasFrame()) << "control: an unrelated pair";
  {
    SCOPED_TRACE("the second pair");
    FramesPassBothWays({a, "second"}, {b, "second"});
  }
  {
    SCOPED_TRACE("to a namespace created from inside");
    FramesPassBothWays({a, "inner"}, {nested, "outer"});
  }
  {
    SCOPED_TRACE("within one namespace");
    FramesPassBothWays({a, "left"}, {a, "right"});
  }
}

// veth(4): "a pair ... can also be used as standalone network devices".
NETNS_TEST(Veth, APairWorksWithoutASecondNamespace, Covers("VETH-23"), Needs(Config("VETH"), Config("PACKET"))) {
  Place here = Place::Here();
  Connect({here, "left"}, {here, "right"});
  FramesPassBothWays({here, "left"}, {here, "right"});
  FrameSocket out(here, "left"), in(here, "right");
  SETUP_OK(here->Down("left"));
  EXPECT_THAT(out.Send("lost"), FailsWith(ENETDOWN)) << "control: an end that is down";
  SETUP_OK(here->Up("left"));
  WaitUntilRunning(here, "left");
  FrameSocket again(here, "left"), in2(here, "right");
  EXPECT_OK(again.Send("found"));
  EXPECT_THAT(in2.ReceiveUntil("found"), ElementsAre("found"));
}

/// Every way of talking between two places.
void ExpectTalk(const NetNamespace& one, const NetNamespace& two, const std::string& address_of_two, const char* what) {
  SCOPED_TRACE(std::string(what) + " to " + address_of_two);
  EXPECT_OK(TcpTalks(one, two, Inet(address_of_two), 100'000));
  // Small, as large as fits into one packet, and in fragments.
  for (std::size_t size : {std::size_t{56}, std::size_t{1400}, std::size_t{8000}}) {
    SCOPED_TRACE(size);
    EXPECT_OK(Ping(one, address_of_two, {.size = size, .deadline = Deadline::In(std::chrono::seconds(5))}));
    EXPECT_OK(UdpTalks(one, two, Inet(address_of_two), size, Deadline::In(std::chrono::seconds(5))));
  }
}

NETNS_TEST(Veth, IpWorksBetweenTwoNamespaces, Covers("VETH-06"), Needs(Config("VETH"))) {
  Place a, b;
  Connect({a, "west"}, {b, "east"});
  const Fd early = SETUP_OK(a.ns.Socket(AF_INET, SOCK_STREAM));
  EXPECT_THAT(netns::Connect(early, Inet("192.0.2.2", 80)), FailsWith(ENETUNREACH)) << "control: before any address is given";
  Give({a, "west"}, "192.0.2.1/24");
  Give({b, "east"}, "192.0.2.2/24");
  ExpectTalk(a.ns, b.ns, "192.0.2.2", "forth");
  ExpectTalk(b.ns, a.ns, "192.0.2.1", "back");
  if (HasIpv6()) {
    Give({a, "west"}, "2001:db8::1/64");
    Give({b, "east"}, "2001:db8::2/64");
    ExpectTalk(a.ns, b.ns, "2001:db8::2", "forth");
    ExpectTalk(b.ns, a.ns, "2001:db8::1", "back");
  }
  std::vector<std::string> neighbours;
  for (const Neighbour& entry : SETUP_OK(a->Neighbours(AF_INET))) neighbours.push_back(entry.to + " " + entry.address);
  EXPECT_THAT(neighbours, Contains("192.0.2.2 " + SETUP_OK(b->LinkByName("east")).address)) << "resolved by ARP";
  // Connection refused comes through too.
  EXPECT_THAT(TcpConnect(a.ns, Inet("192.0.2.2", 9)), FailsWith(ECONNREFUSED));
  SETUP_OK(a->Down("west"));
  const Fd late = SETUP_OK(a.ns.Socket(AF_INET, SOCK_STREAM));
  EXPECT_THAT(netns::Connect(late, Inet("192.0.2.2", 80)), FailsWith(ENETUNREACH)) << "control: with the own end down";
}

NETNS_TEST(Veth, AnEndCanBeMovedAgainAndAgain, Covers("VETH-04", "VETH-18"), Needs(Config("VETH"))) {
  Place a, b, c;
  Connect({a, "west"}, {a, "east"});
  Give({a, "west"}, "192.0.2.1/24");
  Place* at = &a;
  int hop = 0;
  for (Place* to : {&b, &c, &b, &a, &b}) {
    SCOPED_TRACE("hop " + std::to_string(++hop));
    if (at != to) {
      ASSERT_OK((*at)->MoveLink("east", to->ref()));
    }
    at = to;
    EXPECT_FALSE(SETUP_OK((*at)->LinkByName("east")).up());
    EXPECT_EQ(SETUP_OK(a->LinkByName("west")).carrier, std::optional(false)) << "control: the moved end is down";
    EXPECT_TRUE(SETUP_OK(a->LinkByName("west")).up()) << "the end that stays was set down";
    if (HasIpv6()) SETUP_OK(at->ns.SetSysctl("net/ipv6/conf/east/accept_dad", "0"));
    SETUP_OK((*at)->Up("east"));
    WaitUntilRunning(*at, "east");
    WaitUntilRunning(a, "west");
    ExpectFramesPass({a, "west"}, {*at, "east"}, "forth");
    ExpectFramesPass({*at, "east"}, {a, "west"}, "back");
    if (at != &a) {
      Give({*at, "east"}, "192.0.2.2/24");
      EXPECT_OK(Ping(a.ns, "192.0.2.2"));
    }
  }
  // The other end moves too.
  ASSERT_OK(a->MoveLink("west", c.ref()));
  SETUP_OK(c->Up("west"));
  WaitUntilRunning(c, "west");
  WaitUntilRunning(b, "east");
  ExpectFramesPass({c, "west"}, {b, "east"}, "both moved");
  ExpectFramesPass({b, "east"}, {c, "west"}, "both moved, back");
}

// veth(4): "If either device is down, the link state of the pair is down."
void LinkStateTable(Place& one, Place& two) {
  struct {
    bool one_up, two_up;
  } rows[] = {{false, false}, {true, false}, {true, true}, {false, true}, {true, true}, {false, false}, {false, true}};
  for (const auto& row : rows) {
    SCOPED_TRACE(std::string("west ") + (row.one_up ? "up" : "down") + ", east " + (row.two_up ? "up" : "down"));
    SETUP_OK(one->SetLink("west", {.up = row.one_up}));
    SETUP_OK(two->SetLink("east", {.up = row.two_up}));
    struct {
      Place& place;
      const char* name;
      bool up;
    } ends[] = {{one, "west", row.one_up}, {two, "east", row.two_up}};
    const bool both = row.one_up && row.two_up;
    for (const auto& [place, name, up] : ends) {
      // A device that is down has no carrier to tell of in sysfs; rtnetlink tells it of both.
      EXPECT_EQ(SETUP_OK(place->LinkByName(name)).carrier, std::optional(both)) << name << " IFLA_CARRIER";
      const int expected = both ? kOperUp : up ? kOperLowerLayerDown : kOperDown;
      std::string last;
      EXPECT_OK(Eventually(
          std::string(name) + " to have operstate " + std::to_string(expected),
          [&, place = &place, name = name, up = up] {
            const Link link = SETUP_OK((*place)->LinkByName(name));
            std::ostringstream text;
            text << link << " operstate " << int{link.operstate};
            last = text.str();
            const bool down_as_expected = !both && (link.operstate == kOperDown || link.operstate == kOperLowerLayerDown);
            return (link.operstate == expected || down_as_expected) && link.running() == both && link.up() == up;
          },
          Deadline::OfTest(), [&] { return last; }));
    }
  }
}
NETNS_TEST(Veth, TheLinkIsDownIfEitherEndIsDown, Covers("VETH-07"), Needs(Config("VETH"))) {
  Place a, b;
  RequireBuiltIn(a->AddVeth("west", {.name = "east", .netns_fd = b.fd()}), "VETH");
  LinkStateTable(a, b);
}
NETNS_TEST(Veth, TheLinkIsDownIfEitherEndIsDownInOneNamespace, Covers("VETH-07"), Needs(Config("VETH"))) {
  Place a;
  RequireBuiltIn(a->AddVeth("west", "east"), "VETH");
  LinkStateTable(a, a);
}

NETNS_TEST(Veth, MovingOneEndTakesTheCarrierFromTheOther, Covers("VETH-18"), Needs(Config("VETH"))) {
  Place a, b, c;
  Connect({a, "west"}, {b, "east"});
  EXPECT_EQ(SETUP_OK(a->LinkByName("west")).carrier, std::optional(true)) << "control: both up";
  SETUP_OK(b->MoveLink("east", c.ref()));
  EXPECT_FALSE(SETUP_OK(c->LinkByName("east")).up());
  EXPECT_EQ(SETUP_OK(a->LinkByName("west")).carrier, std::optional(false));
  EXPECT_EVENTUALLY("west to stop running", [&] { return !SETUP_OK(a->LinkByName("west")).running(); });
  SETUP_OK(c->Up("east"));
  EXPECT_EQ(SETUP_OK(a->LinkByName("west")).carrier, std::optional(true));
  WaitUntilRunning(a, "west");
  WaitUntilRunning(c, "east");
}

// ---------------------------------------------------------------------------------------------------- end of a pair

bool HeardDellink(Listener& listener, const std::string& name) {
  for (const Message& message : listener.Heard())
    if (message.type() == RTM_DELLINK && ReadLink(message).name == name && !ReadLink(message).new_netnsid) return true;
  return false;
}

NETNS_TEST(Veth, DeletingOneEndDestroysTheOther, Covers("VETH-08"), Needs(Config("VETH"))) {
  Place a, b;
  Place nested = Place::Inside(b);
  struct {
    Place& from;
    const char* name;
    Place& other;
    const char* peer;
  } rows[] = {{a, "p1", b, "q1"}, {b, "q2", a, "p2"}, {a, "p3", nested, "q3"}, {nested, "q4", a, "p4"}, {a, "p5", a, "q5"}};
  Connect({a, "keep"}, {b, "kept"});
  for (const auto& [from, name, other, peer] : rows) {
    SCOPED_TRACE(std::string(name) + " deleted, its peer is " + peer);
    Connect({from, name}, {other, peer});
    Listener beside(from, {RTNLGRP_LINK}), there(other, {RTNLGRP_LINK});
    EXPECT_OK(from->DeleteLink(name));
    EXPECT_THAT(Seen(from, name), IsEmpty());
    EXPECT_THAT(Seen(other, peer), IsEmpty());
    EXPECT_TRUE(HeardDellink(beside, name)) << "RTM_DELLINK beside the deletion";
    EXPECT_TRUE(HeardDellink(there, peer)) << "RTM_DELLINK where the peer was";
  }
  EXPECT_THAT(Seen(a, "keep"), ElementsAreArray(EveryWay(false))) << "control: another pair";
  EXPECT_THAT(Seen(b, "kept"), ElementsAreArray(EveryWay(false))) << "control: another pair";
  ExpectFramesPass({a, "keep"}, {b, "kept"}, "kept");
  // A peer that went on elsewhere.
  Connect({a, "roams"}, {b, "far"});
  SETUP_OK(b->MoveLink("far", nested.ref(), {.new_name = "farther"}));
  SETUP_OK(a->DeleteLink("roams"));
  EXPECT_THAT(Seen(nested, "farther"), IsEmpty());
}

/// All links of some places, by name and hardware address: for what must not turn up anywhere.
void ExpectNowhere(std::vector<Place*> places, const std::set<std::string>& names, const std::set<std::string>& addresses) {
  for (Place* place : places)
    for (const Link& link : SETUP_OK((*place)->Links())) {
      EXPECT_FALSE(names.contains(link.name)) << link << " survived its namespace";
      EXPECT_FALSE(addresses.contains(link.address)) << link << " survived its namespace under another name";
      EXPECT_FALSE(link.name.starts_with("dev")) << link << " looks like a device that came home";
    }
}

// network_namespaces(7): "When a namespace is freed, the veth devices that it contains are destroyed."
NETNS_TEST(Veth, FreeingANamespaceDestroysItsDevicesAndTheirPeers, Covers("VETH-09", "VETH-10"), Needs(Config("VETH"), UserNs())) {
  Place here = Place::Here();
  Place a, other;
  FreedOracle oracle;
  std::optional<Place> dying(oracle.Create());
  Place nested = Place::Inside(a);
  Connect({a, "p1"}, {*dying, "q1"});
  Connect({a, "p2"}, {*dying, "q2"});          // the second
  Connect({*dying, "q3"}, {a, "p3"});          // made from the other side
  Connect({nested, "p4"}, {*dying, "q4"});
  Connect({here, "p5"}, {*dying, "q5"});
  Connect({*dying, "in1"}, {*dying, "in2"});   // both inside
  Connect({a, "keep"}, {other, "kept"});
  Connect({a, "moved"}, {a, "mover"});
  SETUP_OK(a->MoveLink("mover", dying->ref(), {.new_name = "q6"}));
  SETUP_OK(a->AddAddress("192.0.2.1/24", "p1"));
  std::set<std::string> addresses;
  for (const Link& link : SETUP_OK((*dying)->Links()))
    if (!link.address.empty() && link.name != "lo" && !IsFallback(link.name)) addresses.insert(link.address);
  Listener in_a(a, {RTNLGRP_LINK});
  EXPECT_THAT(LinkNames(a), ElementsAre("keep", "lo", "moved", "p1", "p2", "p3")) << "control: before";
  dying.reset();
  ASSERT_OK(oracle.WaitUntilFreed(Deadline::In(kFreed)));
  EXPECT_THAT(LinkNames(a), ElementsAre("keep", "lo"));
  EXPECT_THAT(LinkNames(nested), ElementsAre("lo"));
  EXPECT_THAT(LinkNames(here), ElementsAre("lo"));
  EXPECT_THAT(LinkNames(other), ElementsAre("kept", "lo"));
  std::set<std::string> announced;
  for (const Message& message : in_a.Heard())
    if (message.type() == RTM_DELLINK) announced.insert(ReadLink(message).name);
  EXPECT_THAT(announced, ElementsAre("moved", "p1", "p2", "p3")) << "RTM_DELLINK of the peers";
  EXPECT_THAT(SETUP_OK(a->Addresses({.family = AF_INET})), IsEmpty());
  ExpectNowhere({&here, &a, &nested, &other}, {"q1", "q2", "q3", "q4", "q5", "q6", "in1", "in2"}, addresses);
  ExpectFramesPass({a, "keep"}, {other, "kept"}, "kept");
}

// drivers/net/veth.c veth_dellink(): both ends may be on one list of the dying.
NETNS_TEST(Veth, BothEndsMayDieAtTheSameTime, Covers("VETH-11"), Needs(Config("VETH"), UserNs()), Within{std::chrono::seconds(120)}) {
  Place witness;
  for (int round = 0; round < 5; ++round) {
    FreedOracle oracle(20);
    {
      std::vector<Place> places;
      for (int i = 0; i < 20; ++i) places.emplace_back(oracle.Create());
      for (int i = 0; i < 20; i += 2) {
        RequireBuiltIn(places[i]->AddVeth("west", {.name = "east", .netns_fd = places[i + 1].fd()}), "VETH");
        SETUP_OK(places[i]->AddVeth("ring", {.name = "ring2", .netns_fd = places[(i + 2) % 20].fd()}));
      }
      // An end of each dies in another order: half forwards, half backwards.
      if (round % 2 == 0) std::reverse(places.begin(), places.end());
    }
    ASSERT_OK(oracle.WaitUntilFreed()) << "round " << round;
  }
  EXPECT_THAT(LinkNames(witness), ElementsAre("lo"));
  // Control: only one of two dies.
  FreedOracle oracle;
  std::optional<Place> dying(oracle.Create());
  Connect({witness, "west"}, {*dying, "east"});
  AddBridge(witness, "hub");
  dying.reset();
  ASSERT_OK(oracle.WaitUntilFreed());
  EXPECT_THAT(LinkNames(witness), ElementsAre("hub", "lo"));
}

// ------------------------------------------------------------------------------------------------------ topologies

NETNS_TEST(Veth, AChainForwardsIfTheMiddleDoes, Covers("VETH-12"), Needs(Config("VETH")), Within{std::chrono::seconds(60)}) {
  Place a, b, c;
  Connect({a, "ab"}, {b, "ba"});
  Connect({b, "bc"}, {c, "cb"});
  const bool ipv6 = HasIpv6();
  Give({a, "ab"}, "192.0.2.1/24");
  Give({b, "ba"}, "192.0.2.2/24");
  Give({b, "bc"}, "198.51.100.2/24");
  Give({c, "cb"}, "198.51.100.3/24");
  SETUP_OK(a->AddRoute({.to = "198.51.100.0/24", .via = "192.0.2.2"}));
  SETUP_OK(c->AddRoute({.to = "192.0.2.0/24", .via = "198.51.100.2"}));
  if (ipv6) {
    Give({a, "ab"}, "2001:db8:1::1/64");
    Give({b, "ba"}, "2001:db8:1::2/64");
    Give({b, "bc"}, "2001:db8:2::2/64");
    Give({c, "cb"}, "2001:db8:2::3/64");
    SETUP_OK(a->AddRoute({.to = "2001:db8:2::/64", .via = "2001:db8:1::2"}));
    SETUP_OK(c->AddRoute({.to = "2001:db8:1::/64", .via = "2001:db8:2::2"}));
  }
  auto forward = [](Place& place, const char* value) {
    SETUP_OK(place.ns.SetSysctl("net.ipv4.ip_forward", value));
    if (HasIpv6()) SETUP_OK(place.ns.SetSysctl("net.ipv6.conf.all.forwarding", value));
  };
  // In the ends it is irrelevant.
  forward(a, "1");
  forward(c, "1");
  forward(b, "0");
  EXPECT_FALSE(Ping(a.ns, "198.51.100.3", {.deadline = Deadline::In(std::chrono::milliseconds(300))}).ok())
      << "control: forwarding is off in the middle";
  EXPECT_OK(Ping(a.ns, "192.0.2.2")) << "control: the middle itself answers";
  if (ipv6) {
    EXPECT_FALSE(Ping(a.ns, "2001:db8:2::3", {.deadline = Deadline::In(std::chrono::milliseconds(300))}).ok())
        << "control: forwarding is off in the middle";
  }
  forward(a, "0");
  forward(c, "0");
  forward(b, "1");
  ExpectTalk(a.ns, c.ns, "198.51.100.3", "through the middle");
  ExpectTalk(c.ns, a.ns, "192.0.2.1", "back");
  if (ipv6) {
    ExpectTalk(a.ns, c.ns, "2001:db8:2::3", "through the middle");
    ExpectTalk(c.ns, a.ns, "2001:db8:1::1", "back");
  }
}

NETNS_TEST(Veth, ABridgeConnectsSeveralNamespaces, Covers("VETH-14"), Needs(Config("VETH"), Config("BRIDGE"))) {
  Place hub;
  AddBridge(hub, "br");
  SETUP_OK(hub->Up("br"));
  std::vector<Place> leaves(4);
  std::set<std::string> addresses;
  const bool ipv6 = HasIpv6();
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    const std::string port = "port" + std::to_string(i), host = std::to_string(i + 1);
    Connect({hub, port}, {leaves[i], "eth0"});
    SETUP_OK(hub->SetLink(port, {.master = "br"}));
    Give({leaves[i], "eth0"}, "192.0.2." + host + "/24");
    if (ipv6) Give({leaves[i], "eth0"}, "2001:db8::" + host + "/64");
    addresses.insert(SETUP_OK(leaves[i]->LinkByName("eth0")).address);
  }
  for (std::size_t from = 0; from < leaves.size(); ++from)
    for (std::size_t to = 0; to < leaves.size(); ++to) {
      if (from == to) continue;
      SCOPED_TRACE("from " + std::to_string(from) + " to " + std::to_string(to));
      EXPECT_OK(Ping(leaves[from].ns, "192.0.2." + std::to_string(to + 1)));
      if (ipv6) {
        EXPECT_OK(Ping(leaves[from].ns, "2001:db8::" + std::to_string(to + 1)));
      }
    }
  EXPECT_OK(TcpTalks(leaves[0].ns, leaves[3].ns, Inet("192.0.2.4")));
  std::set<std::string> learned;
  for (const Neighbour& entry : SETUP_OK(hub->Forwardings()))
    if (addresses.contains(entry.address)) learned.insert(entry.address);
  EXPECT_EQ(learned, addresses) << "the bridge's forwarding table";
  for (Place& leaf : leaves) EXPECT_THAT(SETUP_OK(leaf->Forwardings()).size(), testing::Lt(5u)) << "only its own";
  SETUP_OK(hub->SetLink("port1", {.master = LinkRef()}));
  EXPECT_FALSE(Ping(leaves[0].ns, "192.0.2.2", {.deadline = Deadline::In(std::chrono::milliseconds(300))}).ok())
      << "control: a port that was taken out";
  EXPECT_OK(Ping(leaves[0].ns, "192.0.2.3"));
}

/// bridge(8), "bridge link set dev PORT ...": a setting of ports, and what it changes.
struct PortSetting {
  const char* name;
  std::uint16_t attribute;
  std::uint8_t usual, other;
  std::vector<std::size_t> ports;  ///< the ports that have it
  struct Sent {
    const char* what;
    std::size_t from;
    const char* to;                ///< "" for the address of the leaf at port 1
    std::set<std::size_t> usually, then;
  };
  std::vector<Sent> sent;
};
constexpr const char *kBroadcast = "ff:ff:ff:ff:ff:ff", *kGroup = "01:00:5e:01:02:03", *kNobodys = "02:00:00:00:77:77", *kLearned = "02:00:00:00:66:66";
const std::vector<PortSetting>& PortSettings() {
  // linux/if_link.h: IFLA_BRPORT_MODE 4, LEARNING 8, UNICAST_FLOOD 9, MCAST_FLOOD 27, BCAST_FLOOD 30, ISOLATED 33
  static const std::vector<PortSetting> settings = {
      // "isolated ... ports will be able to communicate with non-isolated ports only"
      {"Isolated", 33, 0, 1, {0, 1},
       {{"a broadcast between isolated ports", 0, kBroadcast, {1, 2, 3}, {2, 3}},
        {"a multicast between isolated ports", 0, kGroup, {1, 2, 3}, {2, 3}},
        {"a frame to an unknown address", 0, kNobodys, {1, 2, 3}, {2, 3}},
        {"a frame to a known address", 0, "", {1}, {}},
        {"a broadcast from another port", 2, kBroadcast, {0, 1, 3}, {0, 1, 3}},
        {"a frame from another port", 2, "", {1}, {1}}}},
      {"UnicastFlood", 9, 1, 0, {1},
       {{"a frame to an unknown address", 2, kNobodys, {0, 1, 3}, {0, 3}}, {"a broadcast", 2, kBroadcast, {0, 1, 3}, {0, 1, 3}}, {"a frame to a known address", 2, "", {1}, {1}}}},
      {"MulticastFlood", 27, 1, 0, {1}, {{"a multicast", 2, kGroup, {0, 1, 3}, {0, 3}}, {"a broadcast", 2, kBroadcast, {0, 1, 3}, {0, 1, 3}}}},
      {"BroadcastFlood", 30, 1, 0, {1}, {{"a broadcast", 2, kBroadcast, {0, 1, 3}, {0, 3}}, {"a multicast", 2, kGroup, {0, 1, 3}, {0, 1, 3}}}},
      // "hairpin ... whether traffic may be send back out of the port on which it was received"
      {"Hairpin", 4, 0, 1, {0}, {{"a broadcast", 0, kBroadcast, {1, 2, 3}, {0, 1, 2, 3}}, {"a broadcast from another port", 2, kBroadcast, {0, 1, 3}, {0, 1, 3}}}},
      // Every frame of port 1 comes from this address: where it is not learned, what is sent to it goes everywhere.
      {"Learning", 8, 1, 0, {1}, {{"a frame to an address that sent from there", 2, kLearned, {1}, {0, 1, 3}}, {"a broadcast", 2, kBroadcast, {0, 1, 3}, {0, 1, 3}}}},
  };
  return settings;
}
void PortsFollowTheirSettings(const PortSetting& setting) {
  // One processor: what is sent later comes later.
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(::sched_getcpu()), &set);
  ::sched_setaffinity(0, sizeof set, &set);
  Place hub;
  AddBridge(hub, "br");
  SETUP_OK(hub->Up("br"));
  std::vector<Place> leaves(4);
  std::vector<Fd> ends;
  const auto station = [](std::size_t leaf) { return "02:00:00:00:01:0" + std::to_string(leaf); };
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    const std::string port = "port" + std::to_string(i);
    Connect({hub, port}, {leaves[i], "eth0"});
    SETUP_OK(hub->SetLink(port, {.master = "br"}));
    SETUP_OK(hub->AddForwarding({.to = "", .address = station(i), .dev = port, .state = NUD_NOARP, .flags = NTF_MASTER}));
    ends.push_back(SETUP_OK(PacketSocket(leaves[i].ns, SETUP_OK(leaves[i]->LinkByName("eth0")).index, kTestEthertype)));
  }
  int number = 0;
  const auto send = [&](std::size_t from, const std::string& to, const std::string& source) {
    const std::string text = "frame " + std::to_string(++number) + ";";
    const auto bytes = [](const std::string& mac) {
      std::string raw;
      for (std::size_t i = 0; i < mac.size(); i += 3) raw.push_back(static_cast<char>(std::stoi(mac.substr(i, 2), nullptr, 16)));
      return raw;
    };
    SETUP_OK(SendTo(ends[from], bytes(to) + bytes(source) + "\x88\xb5" + text + std::string(46, '.'), PacketOn(SETUP_OK(leaves[from]->LinkByName("eth0")).index, kTestEthertype, to)));
    return text;
  };
  // Behind it each leaf gets a frame to its own address, from one of the last two ports, that have no setting.
  const auto receivers = [&](std::size_t from, const std::string& to) {
    const std::string text = send(from, to, from == 1 ? kLearned : station(from));
    std::set<std::size_t> got;
    for (std::size_t i = 0; i < leaves.size(); ++i) {
      const std::size_t fencer = i == 3 ? 2 : 3;
      const std::string fence = send(fencer, station(i), station(fencer));
      for (;;) {
        const std::string frame = SETUP_OK(Receive(ends[i])).data;
        if (frame.find(fence) != std::string::npos) break;
        if (frame.find(text) != std::string::npos) got.insert(i);
      }
    }
    return got;
  };
  const auto set_ports = [&](std::uint8_t value) {
    for (std::size_t port : setting.ports) {
      ifinfomsg header{};
      header.ifi_family = AF_BRIDGE;
      header.ifi_index = SETUP_OK(hub->LinkByName("port" + std::to_string(port))).index;
      Request request(RTM_SETLINK);
      request.Named("a setting of a bridge's port").Header(header).Nest(IFLA_PROTINFO | NLA_F_NESTED, [&](Request& r) { r.U8(setting.attribute, value); });
      SETUP_OK(hub->socket().Ack(request));
    }
    // What was learned before does not count.
    std::ignore = hub->DeleteForwarding({.to = "", .address = kLearned, .dev = "port1", .flags = NTF_MASTER});
    std::ignore = receivers(1, station(3));
  };
  // A port forwards some time after it has carrier.
  SETUP_OK(Eventually("all ports to forward", [&] {
    for (std::size_t from = 0; from < ends.size(); ++from) {
      const std::string text = send(from, kBroadcast, station(from));
      for (std::size_t to = 0; to < ends.size(); ++to) {
        if (to == from) continue;
        bool here = false;
        while (!here && WaitFor(ends[to].get(), POLLIN, Deadline::In(std::chrono::milliseconds(100)), "a broadcast").ok()) here = SETUP_OK(Receive(ends[to])).data.find(text) != std::string::npos;
        if (!here) return false;
      }
    }
    return true;
  }));
  for (const bool changed : {false, true, false}) {
    set_ports(changed ? setting.other : setting.usual);
    for (const PortSetting::Sent& sent : setting.sent)
      EXPECT_EQ(receivers(sent.from, sent.to[0] == '\0' ? station(1) : sent.to), changed ? sent.then : sent.usually)
          << sent.what << (changed ? "" : ", control: without the setting") << "; the ports whose leaves received it";
  }
}
const bool port_settings_registered = [] {
  for (const PortSetting& setting : PortSettings())
    RegisterBody("Veth", std::string("PortsOfABridgeFollowTheirSettings/") + setting.name, __FILE__, __LINE__, [&setting] { PortsFollowTheirSettings(setting); },
                 Covers("VETH-14", "VIRT-19"), Needs(Config("VETH"), Config("BRIDGE"), Config("PACKET")));
  return true;
}();

// ------------------------------------------------------------------------------------------------------- metadata

// skb_scrub_packet(): what the sender's namespace noted on a packet means nothing in the receiver's. A rule of the
// receiver's policy routing that drops marked packets tells.
NETNS_TEST(Veth, ThePacketMarkIsScrubbedWhenCrossing, Covers("VETH-22"), Needs(Config("VETH"), Config("IP_MULTIPLE_TABLES"))) {
  Place a, b;
  Connect({a, "west"}, {b, "east"});
  Give({a, "west"}, "192.0.2.1/24");
  Give({b, "east"}, "192.0.2.2/24");
  Give({b, "east"}, "198.51.100.1/24");
  SETUP_OK(a->AddRoute({.to = "198.51.100.0/24", .via = "192.0.2.2"}));
  std::vector<std::string> targets = {"192.0.2.2", "198.51.100.1"};
  std::vector<int> families = {AF_INET};
  if (HasIpv6()) {
    Give({a, "west"}, "2001:db8::1/64");
    Give({b, "east"}, "2001:db8::2/64");
    targets.push_back("2001:db8::2");
    families.push_back(AF_INET6);
  }
  SETUP_OK(b->Up("lo"));
  for (int family : families) {
    // Before the table of local addresses, which is moved behind it.
    RequireBuiltIn(b->AddRule({.family = family, .priority = 5, .action = 8 /* FR_ACT_PROHIBIT */, .mark = 0x55}),
                   "IP_MULTIPLE_TABLES");
    SETUP_OK(b->AddRule({.family = family, .priority = 10, .table = 255}));
    SETUP_OK(b->DeleteRule({.family = family, .priority = 0, .table = 255}));
  }
  const std::uint32_t mark = 0x55;
  for (const std::string& target : targets) {
    SCOPED_TRACE(target);
    const Fd receiver = SETUP_OK(UdpBind(b.ns, Inet(target)));
    const SockAddr to = SETUP_OK(GetSockName(receiver));
    const Fd marked = SETUP_OK(a.ns.Socket(to.family(), SOCK_DGRAM)), own = SETUP_OK(b.ns.Socket(to.family(), SOCK_DGRAM));
    SETUP_OK(SetSockOpt(own, SOL_SOCKET, SO_MARK, mark));
    EXPECT_THAT(SendTo(own, "marked", to), FailsWith(EACCES)) << "control: the rule sees a mark of its own namespace";
    SETUP_OK(SendTo(marked, "unmarked", to));
    EXPECT_EQ(SETUP_OK(Receive(receiver)).data, "unmarked");
    SETUP_OK(SetSockOpt(marked, SOL_SOCKET, SO_MARK, mark));
    SETUP_OK(SendTo(marked, "marked", to));
    auto arrived = Receive(receiver, Deadline::In(std::chrono::seconds(5)));
    EXPECT_TRUE(arrived.ok()) << "the mark of the sender's namespace was seen in the receiver's: " << arrived.code();
  }
}

// ----------------------------------------------------------------------------------------------------- what is told

NETNS_TEST(Veth, TheLinkAttributeNamesThePeerAndItsNamespace, Covers("VETH-16", "VETH-15"), Needs(Config("VETH"))) {
  Place a, b, c;
  RequireBuiltIn(a->AddVeth("west", {.name = "east", .index = 777, .netns_fd = b.fd()}, {.index = 666}), "VETH");
  SETUP_OK(a->AddVeth("left", "right"));
  auto peer_ifindex = [](Place& place, const std::string& name) -> std::uint64_t {
    // ETHTOOL_GSTATS; the first of veth's is peer_ifindex.
    const Fd socket = SETUP_OK(place.ns.Socket(AF_INET, SOCK_DGRAM));
    std::vector<std::uint64_t> buffer(4096);
    auto* stats = reinterpret_cast<ethtool_stats*>(buffer.data());
    stats->cmd = ETHTOOL_GSTATS;
    ifreq request = NamedIfreq(name);
    request.ifr_data = reinterpret_cast<char*>(stats);
    SETUP_OK(NETNS_IOCTL(socket, SIOCETHTOOL, request));
    std::uint64_t first = 0;
    std::memcpy(&first, reinterpret_cast<char*>(stats) + sizeof(ethtool_stats), sizeof first);
    return first;
  };
  auto expect = [&](Place& one, const char* name, Place& two, const char* peer_name, const char* when) {
    SCOPED_TRACE(std::string(name) + " " + when);
    const Link link = SETUP_OK(one->LinkByName(name)), peer = SETUP_OK(two->LinkByName(peer_name));
    EXPECT_EQ(link.link, std::optional(peer.index));
    for (const Link& listed : SETUP_OK(one->Links())) {
      if (listed.name != name) continue;
      EXPECT_EQ(listed.link, link.link) << "in a dump";
      EXPECT_EQ(listed.link_netnsid, link.link_netnsid) << "in a dump";
    }
    EXPECT_EQ(peer_ifindex(one, name), static_cast<std::uint64_t>(peer.index)) << "peer_ifindex";
    EXPECT_EQ(SETUP_OK(one.ns.ReadSysfs(std::string("class/net/") + name + "/iflink")), std::to_string(peer.index));
    if (one.ns.Is(two.ns)) {
      EXPECT_FALSE(link.link_netnsid.has_value()) << "both ends are in one namespace";
    } else {
      const int nsid = SETUP_OK(one->GetNsid(two.ref())).nsid;
      EXPECT_GE(nsid, 0);
      EXPECT_EQ(link.link_netnsid, std::optional(nsid));
    }
  };
  expect(a, "left", a, "right", "in one namespace");
  expect(a, "west", b, "east", "split at creation");
  expect(b, "east", a, "west", "split at creation");
  SETUP_OK(b->MoveLink("east", c.ref()));
  expect(a, "west", c, "east", "after the peer moved on");
  expect(c, "east", a, "west", "after it moved on");
  SETUP_OK(c->MoveLink("east", a.ref()));
  expect(a, "west", a, "east", "together");
  expect(a, "east", a, "west", "together");
  SETUP_OK(a->MoveLink("right", b.ref()));
  expect(a, "left", b, "right", "split by a move");
  expect(b, "right", a, "left", "split by a move");
  // An index that is taken where the peer arrives: the number changes, and is told.
  AddBridge(b, "busy", {.index = 777});
  SETUP_OK(a->MoveLink("east", b.ref()));
  EXPECT_NE(SETUP_OK(b->LinkByName("east")).index, 777);
  expect(a, "west", b, "east", "with a new index");
}

NETNS_TEST(Veth, CountersOfTheTwoEndsMirrorEachOther, Covers("VETH-20"), Needs(Config("VETH"), Config("PACKET"))) {
  Place a, b;
  Connect({a, "west"}, {b, "east"});
  Connect({a, "west2"}, {b, "east2"});
  for (auto* place : {&a, &b})
    if (HasIpv6())
      for (const char* name : {"west", "east", "west2", "east2"})
        if ((*place)->LinkByName(name).ok()) SETUP_OK(place->ns.SetSysctl("net/ipv6/conf/" + std::string(name) + "/disable_ipv6", "1"));
  auto stats = [](Place& place, const char* name) { return SETUP_OK(place->LinkByName(name)).stats; };
  const auto west = stats(a, "west"), east = stats(b, "east"), west2 = stats(a, "west2"), east2 = stats(b, "east2");
  FrameSocket out(a, "west"), in(b, "east");
  for (int i = 0; i < 50; ++i) SETUP_OK(out.Send("frame " + std::to_string(i)));
  in.ReceiveUntil("frame 49");
  const auto west_now = stats(a, "west"), east_now = stats(b, "east");
  EXPECT_EQ(west_now.tx_packets - west.tx_packets, 50u);
  EXPECT_EQ(west_now.tx_bytes - west.tx_bytes, 50u * 60u);
  EXPECT_EQ(east_now.rx_packets - east.rx_packets + east_now.rx_dropped - east.rx_dropped, 50u);
  EXPECT_EQ(east_now.rx_bytes - east.rx_bytes, 50u * 60u);
  EXPECT_EQ(west_now.rx_packets - west.rx_packets, 0u);
  EXPECT_EQ(east_now.tx_packets - east.tx_packets, 0u);
  // And back, with frames of another size.
  FrameSocket back_out(b, "east"), back_in(a, "west");
  for (int i = 0; i < 30; ++i) SETUP_OK(back_out.Send("back " + std::to_string(i) + std::string(100, '.')));
  back_in.ReceiveUntil("back 29" + std::string(100, '.'));
  const auto west_then = stats(a, "west"), east_then = stats(b, "east");
  EXPECT_EQ(east_then.tx_packets - east_now.tx_packets, 30u);
  EXPECT_EQ(west_then.rx_packets - west_now.rx_packets, 30u);
  EXPECT_EQ(east_then.tx_bytes - east_now.tx_bytes, west_then.rx_bytes - west_now.rx_bytes);
  EXPECT_EQ(west_then.rx_bytes - west_now.rx_bytes, 10u * (14 + 106) + 20u * (14 + 107));
  EXPECT_EQ(west_then.tx_packets, west_now.tx_packets) << "control: nothing was sent this way";
  EXPECT_EQ(east_then.rx_packets, east_now.rx_packets) << "control: nothing was sent this way";
  EXPECT_EQ(stats(a, "west2").tx_packets, west2.tx_packets) << "control: another pair";
  EXPECT_EQ(stats(b, "east2").rx_packets, east2.rx_packets) << "control: another pair";
}

// The tag that a VLAN device gives to its frames travels beside them, not in them, where the pair takes it over.
NETNS_TEST(Veth, VlansPassBetweenTheEnds, Covers("VETH-21"), Needs(Config("VETH"), Config("PACKET"), Config("VLAN_8021Q"))) {
  Place a, b;
  Connect({a, "west"}, {b, "east"}, {}, {});
  auto add = [](Place& place, const char* name, const char* lower, std::uint16_t id) {
    Status added = place->AddLink({.name = name, .kind = "vlan", .link = LinkRef(lower), .data = [id](Request& r) { r.U16(1 /* IFLA_VLAN_ID */, id); }});
    RequireBuiltIn(added, "VLAN_8021Q");
    SETUP_OK(std::move(added));
    SETUP_OK(place->Up(name));
  };
  add(a, "west7", "west", 7);
  add(b, "east7", "east", 7);
  add(b, "east8", "east", 8);
  FrameSocket out(a, "west7"), in(b, "east7"), other(b, "east8");
  ASSERT_OK(out.Send("tagged"));
  ASSERT_OK(WaitFor(in.socket.get(), POLLIN, Deadline::In(std::chrono::seconds(20)), "the frame of a VLAN device to reach the VLAN of the same number at the other end"));
  EXPECT_FALSE(other.HasFrame()) << "a frame of VLAN 7 reached VLAN 8";
  ExpectFramesPass({a, "west7"}, {b, "east7"}, "there");
  ExpectFramesPass({b, "east7"}, {a, "west7"}, "back");
}

NETNS_TEST(Veth, FramesPassUnchanged, Covers("VETH-21"), Needs(Config("VETH"), Config("PACKET"))) {
  Place a, b;
  Connect({a, "west"}, {b, "east"}, {.mtu = 9000}, {.mtu = 9000});
  const Fd out = SETUP_OK(PacketSocket(a.ns, SETUP_OK(a->LinkByName("west")).index, ETH_P_ALL));
  const Fd in = SETUP_OK(PacketSocket(b.ns, SETUP_OK(b->LinkByName("east")).index, ETH_P_ALL));
  const int on = 1;
  // PACKET_AUXDATA tells of a tag that the kernel took out of the frame.
  SETUP_OK(SetSockOpt(in, SOL_PACKET, PACKET_AUXDATA, on));
  auto receive = [&](const std::string& mark) {
    for (;;) {
      SETUP_OK(WaitFor(in.get(), POLLIN, Deadline::OfTest(), "a frame at the other end"));
      std::string frame(20000, '\0');
      std::array<char, 256> control{};
      iovec part{frame.data(), frame.size()};
      msghdr header{};
      header.msg_iov = &part;
      header.msg_iovlen = 1;
      header.msg_control = control.data();
      header.msg_controllen = control.size();
      const ssize_t size = ::recvmsg(in.get(), &header, MSG_DONTWAIT);
      if (size < 0) throw SetupFailure(ErrnoError("recvmsg").ToString(), std::source_location::current());
      frame.resize(static_cast<std::size_t>(size));
      for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item)) {
        if (item->cmsg_level != SOL_PACKET || item->cmsg_type != PACKET_AUXDATA) continue;
        tpacket_auxdata data{};
        std::memcpy(&data, CMSG_DATA(item), sizeof data);
        if ((data.tp_status & TP_STATUS_VLAN_VALID) == 0) continue;
        const std::uint16_t tag[] = {htons(data.tp_vlan_tpid), htons(data.tp_vlan_tci)};
        frame.insert(12, reinterpret_cast<const char*>(tag), sizeof tag);
      }
      if (frame.find(mark) != std::string::npos) return frame;
    }
  };
  int number = 0;
  auto expect_passes = [&](const std::string& ethertype, std::size_t payload, const char* what) {
    SCOPED_TRACE(what);
    const std::string mark = "mark" + std::to_string(++number) + ";";
    std::string frame("\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x99", 12);
    frame += ethertype + mark;
    for (std::size_t i = frame.size(); i < ethertype.size() + 12 + payload; ++i) frame += static_cast<char>(i * 7 + 3);
    SETUP_OK(SendTo(out, frame, PacketOn(SETUP_OK(a->LinkByName("west")).index, kTestEthertype, "ff:ff:ff:ff:ff:ff")));
    EXPECT_EQ(receive(mark), frame);
  };
  expect_passes("\x88\xb5", 46, "the smallest");
  expect_passes("\x88\xb5", 1500, "1500 bytes");
  expect_passes("\x88\xb5", 9000, "as large as the MTU");
  expect_passes(std::string("\x81\x00\x20\x2a\x88\xb5", 6), 100, "with an 802.1Q tag");
  expect_passes(std::string("\x81\x00\x00\x08\x88\xb5", 6), 9000, "as large as the MTU, and a tag");
  expect_passes(std::string("\x88\xa8\x00\x07\x88\xb5", 6), 100, "with an 802.1ad tag");
  expect_passes("\x88\xcc", 60, "LLDP");
  expect_passes("\x9a\xbc", 300, "an ethertype that nobody knows");
  // Control: longer than the receiver's MTU.
  SETUP_OK(b->SetLink("east", {.mtu = 1500}));
  std::string longer("\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x99\x88\xb5", 14);
  longer += "longer;" + std::string(3000, 'x');
  // veth may refuse it (ENOBUFS) or drop it.
  (void)SendTo(out, longer, PacketOn(SETUP_OK(a->LinkByName("west")).index, kTestEthertype, "ff:ff:ff:ff:ff:ff")).ok();
  std::string last("\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x99\x88\xb5", 14);
  last += "last;" + std::string(100, 'x');
  SETUP_OK(SendTo(out, last, PacketOn(SETUP_OK(a->LinkByName("west")).index, kTestEthertype, "ff:ff:ff:ff:ff:ff")));
  EXPECT_EQ(receive(";").substr(14, 5), "last;") << "a frame above the receiver's MTU was delivered";
}

NETNS_TEST(Veth, ANamespaceMayHoldManyEnds, Covers("VETH-24"), Needs(Config("VETH"), UserNs()), Within{std::chrono::seconds(120)}) {
  Place hub;
  FreedOracle oracle(100);
  std::vector<std::optional<NetNamespace>> leaves;
  std::vector<std::string> expected = {"lo"};
  for (int i = 0; i < 100; ++i) {
    leaves.emplace_back(oracle.Create());
    const std::string name = "port" + std::to_string(i);
    RequireBuiltIn(hub->AddVeth(name, {.name = "eth0", .netns_fd = leaves.back()->fd()}), "VETH");
    if (i % 37 >= 14) expected.push_back(name);
  }
  EXPECT_EQ(LinkNames(hub).size(), 101u) << "control";
  std::size_t freed = 0;
  for (int i = 0; i < 100; ++i)
    if (i % 37 < 14) leaves[i].reset(), ++freed;
  std::sort(expected.begin(), expected.end());
  ASSERT_OK(Eventually("the peers of " + std::to_string(freed) + " freed namespaces to go",
                       [&] { return LinkNames(hub).size() <= 101 - freed; }));
  ASSERT_OK(oracle.WaitUntilFreed());
  EXPECT_EQ(LinkNames(hub), expected) << "exactly those";
  for (int i = 0; i < 100; ++i)
    if (leaves[i]) {
      EXPECT_TRUE(SETUP_OK(Rtnl::In(*leaves[i])).LinkByName("eth0").ok()) << "the other end of port" << i;
    }
}

}  // namespace
}  // namespace netns
