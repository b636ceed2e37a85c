// SPDX-License-Identifier: GPL-2.0-or-later
// VETH: what the two ends do to packets and to each other: sizes and offloads, what is scrubbed on the way, queues, XDP, who
// is told of the link's state, and in which order the ends and their namespaces may go.
#include <arpa/inet.h>
#include <linux/ethtool.h>
#include <linux/net_tstamp.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sched.h>
#include <time.h>

#include <filesystem>
#include <optional>

#include "fixtures/bpf.h"
#include "fixtures/link_monitor.h"
#include "fixtures/sockets.h"
#include "suites/support/firewall.h"
#include "suites/support/place.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

namespace netns {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr int kUp = 6;  // IF_OPER_UP

struct End {
  Place& place;
  std::string name;
};
/// A pair, up and running, with addresses of both families: Host 1 and Host 2.
void Connect(End west, End east, LinkSpec first = {}, PeerSpec second = {}) {
  second.name = east.name;
  second.netns_fd = east.place.fd();
  Status added = west.place->AddVeth(west.name, second, std::move(first));
  RequireBuiltIn(added, "VETH");
  SETUP_OK(std::move(added));
  int host = 0;
  for (End* end : {&west, &east}) {
    SETUP_OK(end->place->Up(end->name));
    SETUP_OK(end->place->AddAddress("192.0.2." + std::to_string(++host) + "/24", end->name));
    if (HasIpv6()) SETUP_OK(end->place->AddAddress("2001:db8::" + std::to_string(host) + "/64", end->name, {.nodad = true}));
  }
  for (End* end : {&west, &east})
    SETUP_OK(Eventually(end->name + " to run", [&] { return end->place->LinkByName(end->name)->operstate == kUp; }));
}
std::vector<std::string> EastAddresses() {
  return HasIpv6() ? std::vector<std::string>{"192.0.2.2", "2001:db8::2"} : std::vector<std::string>{"192.0.2.2"};
}

// ------------------------------------------------------------------------------------------------------------- sizes

/// One of ethtool's old switches (ETHTOOL_STSO...), as asked in the namespace of the device.
Status Switch(End end, std::uint32_t command, bool on) {
  const Fd socket = SETUP_OK(end.place.ns.Socket(AF_INET, SOCK_DGRAM));
  ethtool_value value{command, on ? 1u : 0u};
  ifreq request = NamedIfreq(end.name);
  request.ifr_data = reinterpret_cast<char*>(&value);
  return NETNS_IOCTL(socket, SIOCETHTOOL, request);
}
void SwitchOffloads(End end, bool on) {
  // (The checksum of a UDP datagram that shall be segmented must be left to the device before 6.11.)
  for (std::uint32_t command : {ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO}) SETUP_OK(Switch(end, command, on));
}

/// Sends datagrams of every size with a content of its own, and expects each as it was sent.
void ExpectDatagrams(const NetNamespace& from, const NetNamespace& to, const std::string& address, const std::vector<std::size_t>& sizes) {
  const Fd receiver = SETUP_OK(UdpBind(to, Inet(address, 4000))), sender = SETUP_OK(from.Socket(Inet(address).family(), SOCK_DGRAM));
  for (std::size_t size : sizes) {
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 7 + size);
    SETUP_OK(SendTo(sender, text, Inet(address, 4000)));
    auto received = Receive(receiver, Deadline::In(std::chrono::seconds(20)));
    ASSERT_OK(received) << "a datagram of " << size << " bytes";
    EXPECT_TRUE(received->data == text) << "a datagram of " << size << " bytes came as " << received->data.size() << " others";
  }
}
/// One send of many segments (UDP_SEGMENT); nothing where the kernel has no such option (before 4.18).
void ExpectSegments(const NetNamespace& from, const NetNamespace& to, const std::string& address, std::uint16_t segment, int count) {
  const Fd receiver = SETUP_OK(UdpBind(to, Inet(address, 4001))), sender = SETUP_OK(from.Socket(Inet(address).family(), SOCK_DGRAM));
  SETUP_OK(SetSockOpt(sender, IPPROTO_UDP, UDP_SEGMENT, int{segment}));
  std::string text;
  for (int i = 0; i < count; ++i) text += std::string(segment, static_cast<char>('a' + i));
  SETUP_OK(SendTo(sender, text, Inet(address, 4001)));
  for (int i = 0; i < count; ++i) {
    auto received = Receive(receiver, Deadline::In(std::chrono::seconds(20)));
    ASSERT_OK(received) << "segment " << i;
    EXPECT_TRUE(received->data == std::string(segment, static_cast<char>('a' + i))) << "segment " << i << " of " << received->data.size() << " bytes";
  }
}

// veth(4) "Packets transmitted on one device in the pair are immediately received on the other device", of whatever size.
void EverySizePasses(std::uint32_t mtu, bool offloads) {
  Place a, b;
  Place nested = Place::Inside(b);
  struct {
    const char* what;
    Place& other;
  } cases[] = {{"two namespaces", b}, {"one created from inside the other", nested}};
  for (auto& [what, other] : cases) {
    if (&other == &nested && mtu != 1500) continue;
    SCOPED_TRACE(what);
    Place& one = &other == &b ? a : b;
    const std::string west = &other == &b ? "west" : "west2";
    Connect({one, west}, {other, "east"}, {.mtu = mtu}, {.mtu = mtu});
    for (const End& end : {End{one, west}, End{other, "east"}}) SwitchOffloads(end, offloads);
    const auto counters = SETUP_OK(other->LinkByName("east")).stats;
    for (const std::string& address : EastAddresses()) {
      SCOPED_TRACE(address);
      const std::size_t headers = address.find(':') == std::string::npos ? 28 : 48;
      const std::size_t whole = std::min<std::size_t>(mtu, 65535) - headers;
      std::vector<std::size_t> sizes = {1, 17, 18, 19, 100, 1232, 1233, 1452, 1472, whole - 1, whole};
      if (whole < 60'000) sizes.insert(sizes.end(), {whole + 1, 2 * whole, 60'000});  // in fragments
      ExpectDatagrams(one.ns, other.ns, address, sizes);
      ExpectSegments(one.ns, other.ns, address, static_cast<std::uint16_t>(std::min<std::size_t>(whole, 1200)), 20);
      EXPECT_OK(TcpTalks(one.ns, other.ns, Inet(address), 100'000));
    }
    EXPECT_GT(SETUP_OK(other->LinkByName("east")).stats.rx_bytes, counters.rx_bytes + 100'000) << "control: by this device";
    SETUP_OK(one->DeleteLink(west));
  }
}
[[maybe_unused]] const bool sizes_registered = [] {
  for (std::uint32_t mtu : {1500u, 9000u, 65535u})
    for (const bool offloads : {true, false})
      RegisterBody("Veth", "EverySizePasses/Mtu" + std::to_string(mtu) + (offloads ? "WithOffloads" : "WithoutOffloads"), __FILE__, __LINE__,
                   [mtu, offloads] { EverySizePasses(mtu, offloads); }, Covers("VETH-05", "VETH-06", "VETH-21"), Needs(Config("VETH")),
                   Within{std::chrono::seconds(90)});
  return true;
}();

// ----------------------------------------------------------------------------------------------------------- scrubbing

/// How many of the datagrams that come to an input chain carry the mark and the priority.
struct MetadataCounters {
  explicit MetadataCounters(const NetNamespace& ns) : nft(NeedsNftables(Nftables::In(ns), "nf_tables")) {
    NftBatch batch;
    batch.AddTable(NFPROTO_INET, "t").AddChain({.table = "t", .name = "in", .hook = NF_INET_PRE_ROUTING, .priority = -500});
    batch.AddRule({.table = "t", .chain = "in", .protocol = IPPROTO_UDP, .dport = 4000, .mark = 0x55, .counter = true, .comment = "mark"});
    batch.AddRule({.table = "t", .chain = "in", .protocol = IPPROTO_UDP, .dport = 4000, .packet_priority = 5, .counter = true, .comment = "priority"});
    batch.AddRule({.table = "t", .chain = "in", .protocol = IPPROTO_UDP, .dport = 4000, .counter = true, .comment = "all"});
    NeedsNftables(nft.Commit(batch), "rules");
  }
  std::uint64_t Of(const std::string& what) {
    for (const NftRule& rule : SETUP_OK(nft.Rules(NFPROTO_INET)))
      if (rule.comment == what) return rule.packets;
    return 0;
  }
  Nftables nft;
};

// net/core/dev.c ____dev_forward_skb(), net/core/skbuff.c skb_scrub_packet(): the priority never crosses a pair, the mark
// crosses it within a namespace only.
NETNS_TEST(Veth, MarkAndPriorityAreScrubbedBetweenNamespaces, Covers("VETH-22"), Needs(Config("VETH"), Config("NF_TABLES"), Config("NF_TABLES_INET"))) {
  Place a, b;
  Place nested = Place::Inside(a);
  struct {
    const char* what;
    Place& to;
    const char* west;
  } cases[] = {{"to another namespace", b, "west"}, {"to one created from inside", nested, "west2"}};
  for (auto& [what, to, west] : cases) {
    SCOPED_TRACE(what);
    Connect({a, west}, {to, "east"});
    MetadataCounters seen(to.ns);
    SETUP_OK(to->Up("lo"));
    for (const std::string& address : EastAddresses()) {
      SCOPED_TRACE(address);
      const Fd receiver = SETUP_OK(UdpBind(to.ns, Inet(address, 4000)));
      auto send = [&](const NetNamespace& from) {
        const Fd sender = SETUP_OK(from.Socket(Inet(address).family(), SOCK_DGRAM));
        SETUP_OK(SetSockOpt(sender, SOL_SOCKET, SO_MARK, 0x55));
        SETUP_OK(SetSockOpt(sender, SOL_SOCKET, SO_PRIORITY, 5));
        SETUP_OK(SendTo(sender, "x", Inet(address, 4000)));
        SETUP_OK(Receive(receiver));
      };
      const auto all = seen.Of("all"), mark = seen.Of("mark"), priority = seen.Of("priority");
      send(to.ns);
      EXPECT_EQ(seen.Of("all"), all + 1) << "control";
      EXPECT_EQ(seen.Of("mark"), mark + 1) << "control: over lo of the same namespace";
      EXPECT_EQ(seen.Of("priority"), priority + 1) << "control: over lo of the same namespace";
      send(a.ns);
      EXPECT_EQ(seen.Of("all"), all + 2) << "control: it came";
      EXPECT_EQ(seen.Of("mark"), mark + 1) << "the mark crossed";
      EXPECT_EQ(seen.Of("priority"), priority + 1) << "the priority crossed";
    }
    SETUP_OK(a->DeleteLink(west));
  }
}

// A frame that a packet socket sends with a mark, over a pair inside one namespace.
NETNS_TEST(Veth, TheMarkStaysWithinANamespace, Covers("VETH-22"), Needs(Config("VETH"), Config("NF_TABLES"), Config("NF_TABLES_NETDEV"), Config("PACKET"))) {
  constexpr std::uint16_t ethertype = 0x88b5;
  Place a, b;
  RequireBuiltIn(a->AddVeth("left", "right"), "VETH");
  SETUP_OK(a->AddVeth("west", {.name = "right", .netns_fd = b.fd()}));
  for (auto [place, name] : {std::pair(&a, "left"), std::pair(&a, "right"), std::pair(&a, "west"), std::pair(&b, "right")}) SETUP_OK((*place)->Up(name));
  for (auto [place, name, marks, what] : {std::tuple(&a, "left", 1u, "control: inside one namespace"), std::tuple(&b, "west", 0u, "to another")}) {
    SCOPED_TRACE(what);
    SETUP_OK(Eventually("right to run", [place = place] { return (*place)->LinkByName("right")->operstate == kUp; }));
    Nftables nft = NeedsNftables(Nftables::In(place->ns), "nf_tables");
    NftBatch batch;
    batch.AddTable(NFPROTO_NETDEV, "t").AddChain({.family = NFPROTO_NETDEV, .table = "t", .name = "in", .hook = 0 /* ingress */, .device = "right"});
    batch.AddRule({.family = NFPROTO_NETDEV, .table = "t", .chain = "in", .mark = 0x55, .counter = true, .comment = "mark"});
    NeedsNftables(nft.Commit(batch), "an ingress chain");
    const int from = SETUP_OK(a->LinkByName(name)).index;
    const Fd out = SETUP_OK(PacketSocket(a.ns, from, ethertype)), in = SETUP_OK(PacketSocket(place->ns, SETUP_OK((*place)->LinkByName("right")).index, ethertype));
    SETUP_OK(SetSockOpt(out, SOL_SOCKET, SO_MARK, 0x55));
    std::string frame("\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x99\x88\xb5", 14);
    SETUP_OK(SendTo(out, frame + std::string(46, 'm'), PacketOn(from, ethertype, "ff:ff:ff:ff:ff:ff")));
    SETUP_OK(Receive(in));
    std::uint64_t seen = 99;
    for (const NftRule& rule : SETUP_OK(nft.Rules(NFPROTO_NETDEV))) seen = rule.packets;
    EXPECT_EQ(seen, marks);
  }
}

// skb_scrub_packet() clears the time at which a packet was to leave, or the receiver would take it for that of its arrival.
NETNS_TEST(Veth, TheTimeOfDepartureIsNotTakenForThatOfArrival, Covers("VETH-22"), Needs(Config("VETH"))) {
  Place a, b;
  Connect({a, "west"}, {b, "east"});
  auto now = [] {
    timespec time{};
    ::clock_gettime(CLOCK_REALTIME, &time);
    return time.tv_sec;
  };
  // A packet remembers by which clock; that of real time is the one by which arrivals are told, too.
  for (const auto& [address, clock] : [] {
         std::vector<std::pair<std::string, clockid_t>> all;
         for (const std::string& each : EastAddresses())
           for (clockid_t of : {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_TAI}) all.emplace_back(each, of);
         return all;
       }()) {
    SCOPED_TRACE(address + ", clock " + std::to_string(clock));
    const Fd receiver = SETUP_OK(UdpBind(b.ns, Inet(address, 4000))), sender = SETUP_OK(a.ns.Socket(Inet(address).family(), SOCK_DGRAM));
    SETUP_OK(SetSockOpt(receiver, SOL_SOCKET, SO_TIMESTAMPNS, 1));
    sock_txtime options{};
    options.clockid = clock;
    SETUP_OK(SetSockOpt(sender, SOL_SOCKET, SO_TXTIME, options));
    for (const bool timed : {false, true}) {
      SCOPED_TRACE(timed ? "to leave an hour later (no queueing discipline heeds that)" : "control: without a time");
      timespec by_clock{};
      ::clock_gettime(clock, &by_clock);
      const std::uint64_t later = (static_cast<std::uint64_t>(by_clock.tv_sec) + 3600) * 1'000'000'000;
      char byte = 'x';
      iovec part{&byte, 1};
      alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof later)> control{};
      msghdr header{};
      const SockAddr to = Inet(address, 4000);
      header.msg_name = const_cast<sockaddr*>(to.get());
      header.msg_namelen = to.length();
      header.msg_iov = &part;
      header.msg_iovlen = 1;
      if (timed) {
        header.msg_control = control.data();
        header.msg_controllen = control.size();
        cmsghdr* item = CMSG_FIRSTHDR(&header);
        item->cmsg_level = SOL_SOCKET;
        item->cmsg_type = SCM_TXTIME;
        item->cmsg_len = CMSG_LEN(sizeof later);
        std::memcpy(CMSG_DATA(item), &later, sizeof later);
      }
      const auto before = now();
      if (::sendmsg(sender.get(), &header, 0) < 0) SETUP_OK(Status(ErrnoError("sendmsg(SCM_TXTIME)")));
      SETUP_OK(WaitFor(receiver.get(), POLLIN, Deadline::OfTest(), "the datagram"));
      alignas(cmsghdr) std::array<char, 256> answer{};
      header = {};
      header.msg_iov = &part;
      header.msg_iovlen = 1;
      header.msg_control = answer.data();
      header.msg_controllen = answer.size();
      if (::recvmsg(receiver.get(), &header, 0) < 0) SETUP_OK(Status(ErrnoError("recvmsg")));
      std::optional<timespec> arrival;
      for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item))
        if (item->cmsg_level == SOL_SOCKET && item->cmsg_type == SO_TIMESTAMPNS) {
          timespec time{};
          std::memcpy(&time, CMSG_DATA(item), sizeof time);
          arrival = time;
        }
      ASSERT_TRUE(arrival.has_value());
      EXPECT_GE(arrival->tv_sec, before - 1);
      EXPECT_LE(arrival->tv_sec, now() + 1);
    }
  }
}

// -------------------------------------------------------------------------------------------------------------- queues

std::vector<std::string> QueueDirectories(Place& place, const std::string& device) {
  std::vector<std::string> names;
  place.ns.InWithSysfs([&] {
    std::error_code none;
    for (const auto& entry : std::filesystem::directory_iterator("/sys/class/net/" + device + "/queues", none)) names.push_back(entry.path().filename());
  });
  std::sort(names.begin(), names.end());
  return names;
}

// ip-link(8) numtxqueues, numrxqueues: of each end, wherever it goes.
NETNS_TEST(Veth, EachEndHasItsQueues, Covers("VETH-02", "VETH-04"), Needs(Config("VETH"))) {
  Place a, b, c;
  Connect({a, "west"}, {b, "east"}, {.tx_queues = 3, .rx_queues = 2},
          {.more = [](Request& r) { r.U32(IFLA_NUM_TX_QUEUES, 2).U32(IFLA_NUM_RX_QUEUES, 4); }});
  auto expect = [](Place& place, const char* name, std::uint32_t tx, std::uint32_t rx, const char* when) {
    SCOPED_TRACE(std::string(name) + " " + when);
    const Link link = SETUP_OK(place->LinkByName(name));
    EXPECT_EQ(link.tx_queues, tx);
    EXPECT_EQ(link.rx_queues, rx);
    const auto directories = QueueDirectories(place, name);
    const auto count = [&](const char* prefix) {
      return std::count_if(directories.begin(), directories.end(), [&](const std::string& one) { return one.starts_with(prefix); });
    };
    EXPECT_EQ(count("tx-"), tx);
    EXPECT_EQ(count("rx-"), rx);
  };
  expect(a, "west", 3, 2, "as made");
  expect(b, "east", 2, 4, "as made");
  Connect({a, "plain"}, {c, "plain2"});
  const Link plain = SETUP_OK(a->LinkByName("plain"));
  EXPECT_NE(std::pair(plain.tx_queues, plain.rx_queues), std::pair(3u, 2u)) << "control: another pair";
  SETUP_OK(b->MoveLink("east", c.ref()));
  expect(c, "east", 2, 4, "moved");
  expect(a, "west", 3, 2, "its peer moved");
  SETUP_OK(c->Up("east"));
  for (const char* name : {"east"}) SETUP_OK(Eventually("the pair to run", [&] { return c->LinkByName(name)->operstate == kUp; }));
  SETUP_OK(c->AddAddress("192.0.2.2/24", "east"));
  EXPECT_OK(Ping(a.ns, "192.0.2.2")) << "with different numbers of queues";
}

// ----------------------------------------------------------------------------------------------------------------- XDP

// Documentation/bpf/redirect.rst, drivers/net/veth.c: what XDP_TX sends goes to the peer, in whatever namespace that is.
NETNS_TEST(Veth, XdpSendsBackToTheNamespaceOfThePeer, Covers("VETH-05"), Needs(Root(), Config("VETH"), Config("BPF_SYSCALL"), Config("PACKET"))) {
  constexpr std::uint16_t ethertype = 0x88b5;
  Place a, b, c;
  RequireBuiltIn(a->AddVeth("west", {.name = "east", .netns_fd = b.fd()}), "VETH");
  SETUP_OK(a->AddVeth("west2", {.name = "east2", .netns_fd = c.fd()}));
  const Fd returned = SETUP_OK(CreateBpfMap(BPF_MAP_TYPE_ARRAY, 8));
  const Fd passes = SETUP_OK(LoadBpf({BPF_PROG_TYPE_XDP, 0, bpf::Return(XDP_PASS)}));
  const Fd returns = SETUP_OK(LoadBpf({BPF_PROG_TYPE_XDP, 0, bpf::CountAndReturn(returned, XDP_TX)}));
  auto attach = [](Place& place, const char* name, const Fd& program) {
    return place->SetLink(name, {.more = [&](Request& r) {
      r.Nest(IFLA_XDP, [&](Request& xdp) { xdp.S32(IFLA_XDP_FD, program.get()).U32(IFLA_XDP_FLAGS, XDP_FLAGS_DRV_MODE); });
    }});
  };
  for (auto [place, name] : {std::pair(&a, "west"), std::pair(&b, "east"), std::pair(&a, "west2"), std::pair(&c, "east2")}) {
    if (HasIpv6()) SETUP_OK(place->ns.SetSysctl("net/ipv6/conf/" + std::string(name) + "/disable_ipv6", "1"));
    SETUP_OK((*place)->Up(name));
  }
  // The receiving side of XDP needs a program of its own (and NAPI with it).
  SETUP_OK(attach(a, "west", passes));
  SETUP_OK(attach(b, "east", returns));
  for (auto [place, name] : {std::pair(&a, "west"), std::pair(&b, "east"), std::pair(&a, "west2"), std::pair(&c, "east2")})
    SETUP_OK(Eventually(std::string(name) + " to run", [&, place = place, name = name] { return (*place)->LinkByName(name)->operstate == kUp; }));
  auto socket = [&](Place& place, const char* name) { return SETUP_OK(PacketSocket(place.ns, SETUP_OK(place->LinkByName(name)).index, ethertype)); };
  const Fd west = socket(a, "west"), east = socket(b, "east"), west2 = socket(a, "west2"), east2 = socket(c, "east2");
  std::string frame("\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x99\x88\xb5", 14);
  const int on_west = SETUP_OK(a->LinkByName("west")).index, on_west2 = SETUP_OK(a->LinkByName("west2")).index;
  // Only what came in: the socket is told of what goes out, too.
  auto comes_in = [](const Fd& at) {
    const Datagram got = SETUP_OK(Receive(at));
    sockaddr_ll from{};
    std::memcpy(&from, got.from.get(), std::min<std::size_t>(sizeof from, got.from.length()));
    return from.sll_pkttype != PACKET_OUTGOING;
  };
  SETUP_OK(SendTo(west, frame + std::string(46, 'r'), PacketOn(on_west, ethertype, "ff:ff:ff:ff:ff:ff")));
  SETUP_OK(Eventually("the frame to come back", [&] { return Readable(west) && comes_in(west); }));
  EXPECT_EQ(SETUP_OK(GetBpfElement(returned)), 1u) << "the program of the peer saw it";
  EXPECT_FALSE(Readable(east)) << "and the namespace of the peer did not";
  EXPECT_FALSE(Readable(west2) || Readable(east2)) << "control: another pair";
  SETUP_OK(SendTo(west2, frame + std::string(46, 'p'), PacketOn(on_west2, ethertype, "ff:ff:ff:ff:ff:ff")));
  EXPECT_TRUE(comes_in(east2)) << "control: without a program it stays";
}

// ------------------------------------------------------------------------------------------------------ link state, news

// rtnetlink(7): both ends are told of the carrier, in their namespaces and nowhere else.
NETNS_TEST(Veth, TheStateOfTheLinkIsToldOnBothSides, Covers("VETH-07", "VETH-18", "NLK-04"), Needs(Config("VETH"))) {
  Place here = Place::Here(), a, b;
  Place nested = Place::Inside(b);
  for (Place* other : {&b, &nested}) {
    SCOPED_TRACE(other == &b ? "another namespace" : "one created from inside it");
    Connect({a, "west"}, {*other, "east"});
    Connect({a, "still"}, {*other, "still"});
    auto in_a = SETUP_OK(RtnlMonitor::In(a.ns, {RTNLGRP_LINK})), there = SETUP_OK(RtnlMonitor::In(other->ns, {RTNLGRP_LINK})),
         elsewhere = SETUP_OK(RtnlMonitor::In(here.ns, {RTNLGRP_LINK}));
    auto tells = [](const char* name, bool running) {
      return LinkThat([name, running](const Link& link) { return link.name == name && link.running() == running && link.carrier == running; });
    };
    SETUP_OK(a->Down("west"));
    EXPECT_OK(there.Until(tells("east", false), "the peer of what was set down to lose its carrier"));
    EXPECT_OK(in_a.Until(tells("west", false), "the end itself to lose its carrier"));
    SETUP_OK(a->Up("west"));
    EXPECT_OK(there.Until(tells("east", true), "the carrier to come back at the peer"));
    EXPECT_OK(in_a.Until(tells("west", true), "the carrier to come back"));
    SETUP_OK((*other)->Down("east"));
    EXPECT_OK(in_a.Until(tells("west", false), "the other way around"));
    for (RtnlMonitor* monitor : {&in_a, &there})
      for (const Message& message : SETUP_OK(monitor->ThroughFence()))
        if (message.type() == RTM_NEWLINK) {
          EXPECT_NE(ReadLink(message).name, "still") << "control: another pair";
        }
    EXPECT_THAT(elsewhere.ThroughFence(), Holds(IsEmpty())) << "a namespace that has neither end";
    SETUP_OK(a->DeleteLink("west"));
    SETUP_OK(a->DeleteLink("still"));
  }
}

// A veth does not let anyone else decide on its carrier.
NETNS_TEST(Veth, TheCarrierCannotBeSetByHand, Covers("VETH-07"), Needs(Config("VETH"))) {
  Place a, b;
  Connect({a, "west"}, {b, "east"});
  EXPECT_THAT(a->SetLink("west", {.carrier = false}), FailsWith(EOPNOTSUPP));
  EXPECT_EQ(SETUP_OK(a->LinkByName("west")).carrier, std::optional(true));
  EXPECT_OK(a->SetLink("west", {.txqlen = 500})) << "control: another attribute";
}

// ------------------------------------------------------------------------------------------------------ orders of death

enum class Death { kDeleteWest, kDeleteEast, kFreeWest, kFreeEast, kFreeCreator };

// veth(4), network_namespaces(7): whoever goes first, a pair lives as long as both its ends' namespaces and no longer; the
// namespace of whoever asked for it has no part in it.
void PairGoes(const std::vector<Death>& order) {
  struct Home {
    explicit Home(FreedOracle& oracle) : place(oracle.Create()) {}
    Place place;
  };
  FreedOracle west_oracle, east_oracle, creator_oracle;
  std::optional<Home> west(std::in_place, west_oracle), east(std::in_place, east_oracle), creator(std::in_place, creator_oracle);
  Place watch;
  RequireBuiltIn(creator->place->AddVeth("west", {.name = "east", .netns_fd = east->place.fd()}, {.netns_fd = west->place.fd()}), "VETH");
  // What goes with the namespaces: an end of each in the one that watches.
  for (auto [home, name] : {std::pair(&west, "w"), std::pair(&east, "e"), std::pair(&creator, "c")})
    SETUP_OK(watch->AddVeth(name, {.name = "watched", .netns_fd = (*home)->place.fd()}));
  SETUP_OK(west->place->Up("west"));
  SETUP_OK(east->place->Up("east"));
  bool lives = true, west_lives = true, east_lives = true;
  auto expect = [&](const char* when) {
    SCOPED_TRACE(when);
    if (west_lives) {
      EXPECT_EQ(west->place->LinkByName("west").ok(), lives) << "the west end";
    }
    if (east_lives) {
      EXPECT_EQ(east->place->LinkByName("east").ok(), lives) << "the east end";
    }
  };
  expect("control: at first");
  for (Death death : order) {
    const char* what = "";
    switch (death) {
      case Death::kDeleteWest:
      case Death::kDeleteEast: {
        const bool at_west = death == Death::kDeleteWest;
        what = at_west ? "west deleted" : "east deleted";
        Place& place = at_west ? west->place : east->place;
        const Status deleted = place->DeleteLink(at_west ? "west" : "east");
        if (lives) {
          EXPECT_OK(deleted) << what;
        } else {
          EXPECT_THAT(deleted, FailsWith(ENODEV)) << what;
        }
        lives = false;
        break;
      }
      case Death::kFreeWest:
        what = "west's namespace freed";
        west.reset();
        SETUP_OK(west_oracle.WaitUntilFreed());
        lives = west_lives = false;
        break;
      case Death::kFreeEast:
        what = "east's namespace freed";
        east.reset();
        SETUP_OK(east_oracle.WaitUntilFreed());
        lives = east_lives = false;
        break;
      case Death::kFreeCreator:
        what = "the creator's namespace freed";
        creator.reset();
        SETUP_OK(creator_oracle.WaitUntilFreed());
        break;
    }
    expect(what);
  }
  auto names = LinkNames(watch);
  std::vector<std::string> expected;
  if (creator) expected.push_back("c");
  if (east) expected.push_back("e");
  expected.push_back("lo");
  if (west) expected.push_back("w");
  EXPECT_EQ(names, expected) << "control: the namespaces that are left";
}
[[maybe_unused]] const bool deaths_registered = [] {
  const struct {
    const char* name;
    std::vector<Death> order;
  } orders[] = {{"CreatorThenWest", {Death::kFreeCreator, Death::kFreeWest}},
                {"CreatorThenEastDeleted", {Death::kFreeCreator, Death::kDeleteEast, Death::kDeleteWest}},
                {"CreatorThenWestDeleted", {Death::kFreeCreator, Death::kDeleteWest, Death::kFreeEast}},
                {"WestThenEast", {Death::kFreeWest, Death::kFreeEast}},
                {"EastThenWest", {Death::kFreeEast, Death::kFreeWest}},
                {"EastThenWestDeleted", {Death::kFreeEast, Death::kDeleteWest, Death::kFreeCreator}},
                {"WestThenEastDeleted", {Death::kFreeWest, Death::kDeleteEast, Death::kFreeCreator}},
                {"WestDeletedThenBoth", {Death::kDeleteWest, Death::kFreeWest, Death::kFreeEast}},
                {"EastDeletedThenBoth", {Death::kDeleteEast, Death::kFreeEast, Death::kFreeWest}}};
  for (const auto& [name, order] : orders)
    RegisterBody("Veth", std::string("APairGoesWithEitherEnd/") + name, __FILE__, __LINE__, [order = order] { PairGoes(order); },
                 Covers("VETH-08", "VETH-09", "VETH-10", "VETH-11"), Needs(Config("VETH"), UserNs()));
  return true;
}();

// Deleting one end while the namespace of the other dies.
NETNS_TEST(Veth, DeletionMayMeetTheEndOfThePeersNamespace, Covers("VETH-10", "VETH-11"), Needs(Config("VETH"), UserNs()), Within{std::chrono::seconds(90)}) {
  Place a;
  FreedOracle oracle(4);
  for (int round = 0; round < 25; ++round) {
    auto dies = SETUP_OK(oracle.CreateWhenRoom());
    Status added = a->AddVeth("west", {.name = "east", .netns_fd = dies.fd()});
    RequireBuiltIn(added, "VETH");
    SETUP_OK(std::move(added));
    SETUP_OK(a->Up("west"));
    (void)dies.Release();
    const Status deleted = a->DeleteLink("west");
    EXPECT_TRUE(deleted.ok() || deleted.code() == ENODEV) << deleted.error().ToString();
    ASSERT_THAT(a->LinkByName("west"), FailsWith(ENODEV)) << "round " << round;
  }
  EXPECT_THAT(LinkNames(a), ElementsAre("lo"));
  for (int i = 0; i < 4; ++i) SETUP_OK(oracle.WaitUntilFreed());
}

}  // namespace
}  // namespace netns
