// SPDX-License-Identifier: GPL-2.0-or-later
// SOCK, second part: raw and packet sockets, and whatever binds a socket to a device, a mark or a multicast table.
#include "fixtures/link_monitor.h"
#include "suites/support/sockets.h"

// The kernel's headers after the C library's: in this order they go together.

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/mroute.h>
#include <linux/mroute6.h>
#include <linux/netconf.h>

namespace netns {
namespace {

using namespace sock;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// raw(7): a raw socket gets copies of the packets of its protocol; of its own namespace's only.
void RawSockets(const Family& family) {
  const bool v4 = family.domain == AF_INET;
  auto [here, there] = CreateTwoWithLoopback();
  const SockAddr target = SockAddr::Ip(family.loopback);
  const int icmp = v4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6};
  for (int protocol : {icmp, 253 /* for experiments, RFC 3692 */}) {
    SCOPED_TRACE(protocol);
    Fd one = SETUP_OK(here.Socket(family.domain, SOCK_RAW, protocol));
    Fd also_one = SETUP_OK(here.Socket(family.domain, SOCK_RAW, protocol));
    Fd two = SETUP_OK(there.Socket(family.domain, SOCK_RAW, protocol));
    // Bound and connected ones are looked up by address: the same in both namespaces.
    Fd bound_two = SETUP_OK(Bound(there, SOCK_RAW, target, protocol));
    SETUP_OK(Connect(bound_two, target));
    // An echo request where the protocol has one; the kernel sums up ICMPv6 itself.
    const auto packet = [&](const std::string& text) {
      std::string bytes{static_cast<char>(v4 ? 8 : 128), 0, 0, 0, 0, 7, 0, 1};
      bytes += text;
      if (bytes.size() % 2 != 0) bytes.push_back(' ');
      if (v4) {
        std::uint32_t sum = 0;
        for (std::size_t i = 0; i < bytes.size(); i += 2)
          sum += static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i]) << 8 | static_cast<unsigned char>(bytes[i + 1]));
        while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
        bytes[2] = static_cast<char>(~sum >> 8);
        bytes[3] = static_cast<char>(~sum);
      }
      return bytes;
    };
    const std::size_t copies = protocol == icmp ? 2 : 1;  // the request and its reply
    ASSERT_OK(SendTo(one, packet("from one"), target));
    ASSERT_OK(SendTo(two, packet("from two"), target));  // the fence
    EXPECT_OK(Receive(two));  // loopback is done with it when the second has come
    const auto got_one = DrainWhen({&one}, copies, "from one")[0], got_also = DrainWhen({&also_one}, copies, "from one")[0];
    const auto got_two = DrainWhen({&two}, copies - 1, "from two")[0], got_bound = DrainWhen({&bound_two}, copies, "from two")[0];
    EXPECT_EQ(CountWith(got_one, "from one"), copies);
    EXPECT_EQ(CountWith(got_also, "from one"), copies) << "control: every raw socket of the namespace gets a copy";
    EXPECT_EQ(CountWith(got_two, "from one"), 0U) << "a packet of another namespace";
    EXPECT_EQ(CountWith(got_bound, "from one"), 0U) << "a packet of another namespace";
    EXPECT_EQ(CountWith(got_two, "from two"), copies - 1) << "one has been taken";
    EXPECT_EQ(CountWith(got_bound, "from two"), copies);
    EXPECT_EQ(CountWith(got_one, "from two"), 0U) << "a packet of another namespace";
  }
}
NETNS_TEST(Sock, RawIpv4SocketsReceiveOnlyPacketsOfTheirNamespace, Covers("SOCK-09")) { RawSockets(Families()[0]); }
NETNS_TEST(Sock, RawIpv6SocketsReceiveOnlyPacketsOfTheirNamespace, Covers("SOCK-09"), Needs(Config("IPV6"))) {
  RawSockets(Families()[1]);
}

/// Lives in `count` namespaces one after the other, each of which is kept by the sockets that `make` opens there.
template <class Make>
auto InManyNamespaces(std::size_t count, Make make) {
  std::vector<decltype(make())> made;
  for (std::size_t i = 0; i < count; ++i) {
    if (::unshare(CLONE_NEWNET) < 0) throw SetupFailure(ErrnoError("unshare(CLONE_NEWNET)").ToString(), std::source_location::current());
    SETUP_OK(SETUP_OK(Rtnl::Open()).Up("lo"));
    made.push_back(make());
  }
  return made;
}
Fd OpenHere(int domain, int type, int protocol = 0) {
  Fd socket(::socket(domain, type | SOCK_CLOEXEC, protocol));
  if (!socket.valid()) throw SetupFailure(ErrnoError("socket").ToString(), std::source_location::current());
  return socket;
}
std::string TextOf(std::size_t i) { return "of namespace " + std::to_string(i) + "."; }
Deadline Soon() { return Deadline::In(std::chrono::seconds(10)); }

/// The sockets of all namespaces are in the same hash tables. Two namespaces share a bucket once in some hundred tries; of
/// this many some do, and then only a comparison keeps them apart.
void AmongManyNamespaces(const Family& family) {
  constexpr std::size_t kNamespaces = 100;
  constexpr int kExperiments = 253;  // RFC 3692
  const SockAddr address = SockAddr::Ip(family.loopback, 7000), host = SockAddr::Ip(family.loopback);
  struct Sockets {
    Fd udp, raw, listener, client;
  };
  bool any = false;
  const auto places = InManyNamespaces(kNamespaces, [&] {
    any = !any;
    Sockets here{OpenHere(family.domain, SOCK_DGRAM), OpenHere(family.domain, SOCK_RAW, kExperiments), OpenHere(family.domain, SOCK_STREAM),
                 OpenHere(family.domain, SOCK_STREAM)};
    EXPECT_OK(Bind(here.udp, address)) << "the port is taken in another namespace";
    EXPECT_OK(Bind(here.listener, any ? SockAddr::Ip(family.any, 7000) : address)) << "the port is taken in another namespace";
    SETUP_OK(Listen(here.listener));
    return here;
  });
  const Fd also = OpenHere(family.domain, SOCK_RAW, kExperiments);
  for (std::size_t i = 0; i < kNamespaces; ++i) {
    ASSERT_OK(SendTo(places[i].udp, TextOf(i), address));
    ASSERT_OK(SendTo(places[i].raw, TextOf(i), host));
    ASSERT_OK(Connect(places[i].client, address, Soon()));
  }
  for (std::size_t i = 0; i < kNamespaces; ++i) {
    SCOPED_TRACE(TextOf(i));
    ASSERT_THAT(Receive(places[i].udp, Soon()), Holds(TextOf(i)));
    ASSERT_THAT(Receive(places[i].raw, Soon()), Holds(HasSubstr(TextOf(i))));
    ASSERT_OK(WaitFor(places[i].listener.get(), POLLIN, Soon(), "a connection")) << "it went to a listener of another namespace";
  }
  EXPECT_THAT(Receive(also, Soon()), Holds(HasSubstr(TextOf(kNamespaces - 1)))) << "control: a second raw socket of a namespace gets a copy";
  for (std::size_t i = 0; i < kNamespaces; ++i) {
    EXPECT_THAT(Drain(places[i].udp), IsEmpty()) << "a datagram of another namespace came to " << TextOf(i);
    EXPECT_THAT(Drain(places[i].raw), IsEmpty()) << "a packet of another namespace came to " << TextOf(i);
  }
  EXPECT_THAT(Drain(also), IsEmpty());
}
NETNS_TEST(Sock, AmongManyNamespacesEachIpv4SocketHearsItsOwn, Covers("SOCK-01", "SOCK-03", "SOCK-09"), Within{std::chrono::seconds(60)}) {
  AmongManyNamespaces(Families()[0]);
}
NETNS_TEST(Sock, AmongManyNamespacesEachIpv6SocketHearsItsOwn, Covers("SOCK-02", "SOCK-04", "SOCK-09"), Needs(Config("IPV6")), Within{std::chrono::seconds(60)}) {
  AmongManyNamespaces(Families()[1]);
}

/// The same of icmp(7)'s sockets, of which there are 64 buckets.
void EchoesAmongManyNamespaces(const Family& family) {
  constexpr std::size_t kNamespaces = 40;
  const bool v4 = family.domain == AF_INET;
  const SockAddr host = SockAddr::Ip(family.loopback);
  const auto places = InManyNamespaces(kNamespaces, [&] {
    SETUP_OK(WriteFile("/proc/sys/net/ipv4/ping_group_range", "0 0"));
    Fd socket = OpenHere(family.domain, SOCK_DGRAM, v4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6});
    SETUP_OK(Bind(socket, SockAddr::Ip(family.loopback, 7)));  // the identifier of its echoes
    return socket;
  });
  for (std::size_t i = 0; i < kNamespaces; ++i)
    ASSERT_OK(SendTo(places[i], std::string{static_cast<char>(v4 ? 8 : 128), 0, 0, 0, 0, 7, 0, 1} + TextOf(i), host));
  for (std::size_t i = 0; i < kNamespaces; ++i) ASSERT_THAT(Receive(places[i], Soon()), Holds(HasSubstr(TextOf(i))));
  for (std::size_t i = 0; i < kNamespaces; ++i) EXPECT_THAT(Drain(places[i]), IsEmpty()) << "an echo of another namespace came to " << TextOf(i);
}
NETNS_TEST(Sock, AmongManyNamespacesEachIpv4EchoSocketHearsItsOwn, Covers("SOCK-18"), Within{std::chrono::seconds(60)}) {
  EchoesAmongManyNamespaces(Families()[0]);
}
NETNS_TEST(Sock, AmongManyNamespacesEachIpv6EchoSocketHearsItsOwn, Covers("SOCK-18"), Needs(Config("IPV6")), Within{std::chrono::seconds(60)}) {
  EchoesAmongManyNamespaces(Families()[1]);
}

/// The address of packet(7) on a device.
sockaddr_ll OnDevice(int index, std::uint16_t protocol = ETH_P_ALL) {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(protocol);
  address.sll_ifindex = index;
  address.sll_halen = 6;
  std::memset(address.sll_addr, 0xff, 6);
  return address;
}
Status BindPacket(const Fd& socket, const sockaddr_ll& address) {
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
    return ErrnoError("bind(sll_ifindex " + std::to_string(address.sll_ifindex) + ")");
  return Ok();
}
Result<Fd> PacketSocket(const NetNamespace& where, int type = SOCK_RAW, std::uint16_t protocol = ETH_P_ALL, int index = 0) {
  ASSIGN_OR_RETURN(Fd socket, where.Socket(AF_PACKET, type, htons(protocol)));
  if (index != 0) RETURN_IF_ERROR(BindPacket(socket, OnDevice(index, protocol)));
  return socket;
}
Status SendFrame(const Fd& socket, const sockaddr_ll& to, const std::string& text) {
  std::string frame(12, '\xff');
  frame += std::string("\x88\xb5", 2) + text;  // ETH_P_802_EX1
  frame.resize(std::max<std::size_t>(frame.size(), 60));
  if (::sendto(socket.get(), frame.data(), frame.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0)
    return ErrnoError("sendto(sll_ifindex " + std::to_string(to.sll_ifindex) + ")");
  return Ok();
}

// packet(7): all devices, of the socket's own namespace. lo has index 1 everywhere; the veths have equal names and indexes.
NETNS_TEST(Sock, PacketSocketsCaptureOnlyInTheirNamespace, Covers("SOCK-10"), Needs(Config("PACKET"), Config("VETH"))) {
  auto [here, there] = CreateTwoWithLoopback();
  AddDevice(here, "eth0", 77);
  AddDevice(there, "eth0", 77);
  for (const std::uint16_t protocol : {std::uint16_t{ETH_P_ALL}, std::uint16_t{0x88b5}, std::uint16_t{ETH_P_IP}}) {
    for (int type : {SOCK_RAW, SOCK_DGRAM}) {
      for (int index : {0, 1, 77}) {
        SCOPED_TRACE(testing::Message() << "protocol " << protocol << " type " << type << " ifindex " << index);
        ASSERT_OK_AND_ASSIGN(Fd capture_here, PacketSocket(here, type, protocol, index));
        ASSERT_OK_AND_ASSIGN(Fd capture_there, PacketSocket(there, type, protocol, index));
        const auto traffic = [&](const NetNamespace& where, const std::string& text) {
          Fd udp = SETUP_OK(where.Socket(AF_INET, SOCK_DGRAM));
          SETUP_OK(SendTo(udp, text, SockAddr::Ip("127.0.0.1", 9)));
          Fd raw = SETUP_OK(PacketSocket(where, SOCK_RAW, 0));
          for (int device : {1, 77}) SETUP_OK(SendFrame(raw, OnDevice(device, 0x88b5), text));
        };
        traffic(here, "of here");
        // A socket on 77 sees its outgoing frames with ETH_P_ALL only (packet(7)); the peer's end is in the namespace too.
        const bool expected = !(index == 77 && protocol != ETH_P_ALL);
        const auto got_here = DrainWhen({&capture_here}, expected ? 1 : 0, "of here")[0];
        traffic(there, "of there");
        const auto got_there = DrainWhen({&capture_there}, expected ? 1 : 0, "of there")[0], late_here = Drain(capture_here);
        EXPECT_EQ(CountWith(got_there, "of here"), 0U) << "a frame of another namespace";
        EXPECT_EQ(CountWith(late_here, "of there"), 0U) << "a frame of another namespace";
        if (expected) {
          EXPECT_GT(CountWith(got_here, "of here"), 0U) << "control";
          EXPECT_GT(CountWith(got_there, "of there"), 0U) << "control";
        }
      }
    }
  }
}

// With a ring the kernel receives by another function (tpacket_rcv() instead of packet_rcv()).
NETNS_TEST(Sock, PacketRingsCaptureOnlyInTheirNamespace, Covers("SOCK-10"), Needs(Config("PACKET"), Config("VETH"))) {
  auto before = CreateWithLoopback(), here = CreateWithLoopback();
  auto nested = here.In([] { return CreateWithLoopback(); });
  for (int version : {TPACKET_V1, TPACKET_V2}) {
    SCOPED_TRACE("TPACKET_V" + std::to_string(version + 1));
    Fd ring = SETUP_OK(here.Socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)));
    SETUP_OK(SetOption(ring, SOL_PACKET, PACKET_VERSION, version));
    tpacket_req request{static_cast<unsigned>(::getpagesize()), 4, 2048, static_cast<unsigned>(::getpagesize()) / 2048 * 4};
    SETUP_OK(::setsockopt(ring.get(), SOL_PACKET, PACKET_RX_RING, &request, sizeof request) < 0 ? Status(ErrnoError("PACKET_RX_RING")) : Ok());
    // PACKET_STATISTICS counts since the last question.
    const auto captured = [&] {
      tpacket_stats stats{};
      socklen_t size = sizeof stats;
      if (::getsockopt(ring.get(), SOL_PACKET, PACKET_STATISTICS, &stats, &size) < 0)
        throw SetupFailure(ErrnoError("PACKET_STATISTICS").ToString(), std::source_location::current());
      return stats.tp_packets;
    };
    std::ignore = captured();
    const auto loop = [&](const NetNamespace& where) {
      Fd server = SETUP_OK(Bound(where, SOCK_DGRAM, SockAddr::Ip("127.0.0.1", 9000))), client = SETUP_OK(where.Socket(AF_INET, SOCK_DGRAM));
      SETUP_OK(SendTo(client, "loop", SockAddr::Ip("127.0.0.1", 9000)));
      SETUP_OK(Receive(server));
    };
    for (const NetNamespace* other : {&before, &nested}) loop(*other);
    EXPECT_EQ(captured(), 0U) << "a ring has captured packets of another namespace";
    loop(here);
    EXPECT_GT(captured(), 0U) << "control: packets of its own";
  }
}

// What passes between two namespaces is seen at both ends, and by no third one.
NETNS_TEST(Sock, PacketSocketsOfAThirdNamespaceSeeNoTraffic, Covers("SOCK-10"), Needs(Config("PACKET"), Config("VETH"))) {
  auto one = CreateWithLoopback(), two = CreateWithLoopback(), third = CreateWithLoopback();
  Join(one, "eth0", two, "eth0");
  AddDevice(third, "eth0");
  Fd at_one = SETUP_OK(PacketSocket(one)), at_two = SETUP_OK(PacketSocket(two)), at_third = SETUP_OK(PacketSocket(third));
  Fd server = SETUP_OK(Bound(two, SOCK_DGRAM, SockAddr::Ip("192.0.2.2", 9000)));
  Fd client = SETUP_OK(one.Socket(AF_INET, SOCK_DGRAM));
  ASSERT_OK(SendTo(client, "between", SockAddr::Ip("192.0.2.2", 9000)));
  ASSERT_OK(Receive(server));
  Fd fence = SETUP_OK(third.Socket(AF_INET, SOCK_DGRAM));
  ASSERT_OK(SendTo(fence, "fence", SockAddr::Ip("127.0.0.1", 9)));
  EXPECT_GT(CountWith(Drain(at_one), "between"), 0U) << "control";
  EXPECT_GT(CountWith(Drain(at_two), "between"), 0U) << "control";
  const auto got = DrainWhen({&at_third}, 1, "fence")[0];
  EXPECT_EQ(CountWith(got, "between"), 0U);
  EXPECT_GT(CountWith(got, "fence"), 0U) << "control";
}

// A device that moves is heard where it is, by sockets that were there before it came.
NETNS_TEST(Sock, PacketSocketsHearADeviceWhereItIs, Covers("SOCK-10"), Needs(Config("PACKET"), Config("VETH"))) {
  auto [one, two] = CreateTwoWithLoopback();
  auto far = CreateWithLoopback();
  Join(one, "eth0", far, "eth0");
  Fd in_one = SETUP_OK(PacketSocket(one)), in_two = SETUP_OK(PacketSocket(two));
  Fd sender = SETUP_OK(PacketSocket(far, SOCK_RAW, 0));
  const int index = IndexOf(far, "eth0");
  int round = 0;
  for (const NetNamespace* at : {&one, &two, &one}) {
    const NetNamespace& other = at == &one ? two : one;
    if (round > 0) {
      SETUP_OK(RtnlIn(other).MoveLink("eth0", ByFd(at->fd())));
      SETUP_OK(RtnlIn(*at).Up("eth0"));
      WaitUntilRunning(*at, "eth0");
      WaitUntilRunning(far, "eth0");
    }
    const std::string text = "of round " + std::to_string(++round);
    SCOPED_TRACE(text);
    const Fd &here = at == &one ? in_one : in_two, &elsewhere = at == &one ? in_two : in_one;
    ASSERT_OK(SendFrame(sender, OnDevice(index, 0x88b5), text));
    EXPECT_GT(CountWith(DrainWhen({&here}, 1, text)[0], text), 0U) << "packet(7): a frame of a device of the namespace";
    EXPECT_EQ(CountWith(Drain(elsewhere), text), 0U) << "packet(7): a frame of a device of another namespace";
  }
}

NETNS_TEST(Sock, PacketSocketsCannotUseDevicesOfAnotherNamespace, Covers("SOCK-11"), Needs(Config("PACKET"), Config("VETH"))) {
  auto [here, there] = CreateTwoWithLoopback();
  AddDevice(here, "mine", 50);
  AddDevice(there, "theirs", 60);
  for (int type : {SOCK_RAW, SOCK_DGRAM}) {
    SCOPED_TRACE(type);
    ASSERT_OK_AND_ASSIGN(Fd socket, here.Socket(AF_PACKET, type, htons(ETH_P_ALL)));
    EXPECT_THAT(BindPacket(socket, OnDevice(60)), FailsWith(ENODEV));
    EXPECT_THAT(BindPacket(socket, OnDevice(50)), Succeeds()) << "control: its own";
    ASSERT_OK_AND_ASSIGN(Fd sender, here.Socket(AF_PACKET, type, 0));
    EXPECT_THAT(SendFrame(sender, OnDevice(60, 0x88b5), "x"), FailsWith(ENXIO));
    EXPECT_THAT(SendFrame(sender, OnDevice(50, 0x88b5), "x"), Succeeds()) << "control: its own";
    packet_mreq membership{};
    membership.mr_type = PACKET_MR_PROMISC;
    membership.mr_ifindex = 60;
    EXPECT_NE(::setsockopt(sender.get(), SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership, sizeof membership), 0);
    EXPECT_EQ(errno, ENODEV);
    membership.mr_ifindex = 50;
    EXPECT_EQ(::setsockopt(sender.get(), SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership, sizeof membership), 0) << "control";
  }
  // The ioctls of netdevice(7) are about the socket's namespace as well.
  Fd asker = SETUP_OK(here.Socket(AF_INET, SOCK_DGRAM));
  ifreq request{};
  std::strcpy(request.ifr_name, "theirs");
  EXPECT_NE(::ioctl(asker.get(), SIOCGIFINDEX, &request), 0);
  EXPECT_EQ(errno, ENODEV);
  std::strcpy(request.ifr_name, "mine");
  EXPECT_EQ(::ioctl(asker.get(), SIOCGIFINDEX, &request), 0);
  EXPECT_EQ(request.ifr_ifindex, 50);
  request.ifr_ifindex = 60;
  EXPECT_NE(::ioctl(asker.get(), SIOCGIFNAME, &request), 0);
  EXPECT_EQ(errno, ENODEV);
}

NETNS_TEST(Sock, FanoutGroupsArePerNamespace, Covers("SOCK-12"), Needs(Config("PACKET"))) {
  auto [here, there] = CreateTwoWithLoopback();
  const auto join = [](const Fd& socket, int group, int mode) {
    return SetOption(socket, SOL_PACKET, PACKET_FANOUT, group | mode << 16);
  };
  const auto open = [](const NetNamespace& where) { return SETUP_OK(PacketSocket(where, SOCK_RAW, ETH_P_IP, 1)); };
  Fd first = open(here), second = open(here), other = open(there), wrong = open(here), also_wrong = open(there);
  ASSERT_OK(join(first, 7, PACKET_FANOUT_LB));
  ASSERT_OK(join(other, 7, PACKET_FANOUT_HASH));
  EXPECT_THAT(join(wrong, 7, PACKET_FANOUT_HASH), FailsWith(EINVAL)) << "control: the mode of this namespace's group is LB";
  EXPECT_THAT(join(also_wrong, 7, PACKET_FANOUT_LB), FailsWith(EINVAL)) << "control: and of that one HASH";
  ASSERT_OK(join(second, 7, PACKET_FANOUT_LB));
  wrong.Reset();
  also_wrong.Reset();
  Fd sender = SETUP_OK(here.Socket(AF_INET, SOCK_DGRAM));
  for (int i = 0; i < 10; ++i) SETUP_OK(SendTo(sender, "of here", SockAddr::Ip("127.0.0.1", 9)));
  const auto shared = DrainWhen({&first, &second}, 10, "of here");
  const auto got_first = CountWith(shared[0], "of here"), got_second = CountWith(shared[1], "of here");
  EXPECT_GT(got_first, 0U) << "control: the group shares";
  EXPECT_GT(got_second, 0U) << "control: the group shares";
  EXPECT_GE(got_first + got_second, 10U);
  EXPECT_EQ(CountWith(Drain(other), "of here"), 0U) << "a frame of another namespace";
  // PACKET_FANOUT_FLAG_UNIQUEID finds a free number in the namespace.
  Fd unique = open(there);
  EXPECT_OK(SetOption(unique, SOL_PACKET, PACKET_FANOUT, (PACKET_FANOUT_LB | 0x2000) << 16));
}

// socket(7): SO_BINDTODEVICE. The name is one of the socket's namespace, wherever the caller is.
NETNS_TEST(Sock, BindToDeviceResolvesNamesInTheNamespaceOfTheSocket, Covers("SOCK-13"), Needs(Config("VETH"))) {
  constexpr int kBindToIfindex = 62;  // SO_BINDTOIFINDEX, since Linux 5.0
  auto [here, there] = CreateTwoWithLoopback();
  AddDevice(here, "mine", 50);
  AddDevice(here, "both", 52);
  AddDevice(there, "theirs", 60);
  AddDevice(there, "both", 62);
  Actor away = there.StartActor("away");
  for (const Family& family : Families()) {
    if (family.domain == AF_INET6 && !HasIpv6()) continue;
    for (int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW}) {
      SCOPED_TRACE(testing::Message() << family.name << " type " << type);
      ASSERT_OK_AND_ASSIGN(Fd socket, here.Socket(family.domain, type, type == SOCK_RAW ? int{IPPROTO_UDP} : 0));
      for (bool from_away : {false, true}) {
        SCOPED_TRACE(from_away ? "called from the other namespace" : "called from the test");
        const auto device = [&](const std::string& name) {
          return from_away ? away.Run([&] { return SetStringOption(socket, SOL_SOCKET, SO_BINDTODEVICE, name); })
                           : SetStringOption(socket, SOL_SOCKET, SO_BINDTODEVICE, name);
        };
        const auto index = [&](int value) {
          return from_away ? away.Run([&] { return SetOption(socket, SOL_SOCKET, kBindToIfindex, value); })
                           : SetOption(socket, SOL_SOCKET, kBindToIfindex, value);
        };
        const auto name_now = [&] {
          char name[IFNAMSIZ] = "";
          socklen_t size = sizeof name;
          if (::getsockopt(socket.get(), SOL_SOCKET, SO_BINDTODEVICE, name, &size) < 0) return ErrnoName(errno);
          return std::string(name);
        };
        EXPECT_THAT(device("theirs"), FailsWith(ENODEV));
        EXPECT_THAT(device("mine"), Succeeds());
        EXPECT_EQ(name_now(), "mine");
        EXPECT_THAT(GetOption(socket, SOL_SOCKET, kBindToIfindex), Holds(50));
        EXPECT_THAT(device("both"), Succeeds());
        EXPECT_THAT(GetOption(socket, SOL_SOCKET, kBindToIfindex), Holds(52)) << "of the two devices of one name";
        EXPECT_THAT(index(50), Succeeds());
        EXPECT_EQ(from_away ? away.Run(name_now) : name_now(), "mine");
        EXPECT_THAT(device(""), Succeeds());
        EXPECT_EQ(name_now(), "");
      }
    }
  }
}

// ip(7), ipv6(7): options that name a device by its index.
NETNS_TEST(Sock, IndexesInSocketOptionsAreThoseOfTheNamespace, Covers("SOCK-23"), Needs(Config("VETH"))) {
  auto [here, there] = CreateTwoWithLoopback();
  AddDevice(here, "mine", 50);
  AddDevice(there, "theirs", 60);
  SETUP_OK(RtnlIn(here).AddAddress("192.0.2.1/24", "mine"));
  Fd socket = SETUP_OK(here.Socket(AF_INET, SOCK_DGRAM));
  for (auto [index, own] : {std::pair{60, false}, {50, true}}) {
    SCOPED_TRACE(index);
    ip_mreqn group{};
    ::inet_pton(AF_INET, "239.1.1.1", &group.imr_multiaddr);
    group.imr_ifindex = index;
    int result = ::setsockopt(socket.get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group);
    EXPECT_EQ(result == 0 ? 0 : errno, own ? 0 : ENODEV) << "IP_ADD_MEMBERSHIP";
    result = ::setsockopt(socket.get(), IPPROTO_IP, IP_MULTICAST_IF, &group, sizeof group);
    EXPECT_EQ(result == 0 ? 0 : errno, own ? 0 : EADDRNOTAVAIL) << "IP_MULTICAST_IF";
    const auto unicast = SetOption(socket, IPPROTO_IP, IP_UNICAST_IF, static_cast<int>(htonl(static_cast<std::uint32_t>(index))));
    EXPECT_EQ(unicast.code(), own ? 0 : EADDRNOTAVAIL) << "IP_UNICAST_IF";
  }
  if (!HasIpv6()) return;
  Fd socket6 = SETUP_OK(here.Socket(AF_INET6, SOCK_DGRAM));
  for (auto [index, own] : {std::pair{60, false}, {50, true}}) {
    SCOPED_TRACE(index);
    ipv6_mreq group{};
    ::inet_pton(AF_INET6, "ff05::1:1", &group.ipv6mr_multiaddr);
    group.ipv6mr_interface = static_cast<unsigned>(index);
    int result = ::setsockopt(socket6.get(), IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &group, sizeof group);
    EXPECT_EQ(result == 0 ? 0 : errno, own ? 0 : ENODEV) << "IPV6_ADD_MEMBERSHIP";
    EXPECT_EQ(SetOption(socket6, IPPROTO_IPV6, IPV6_MULTICAST_IF, index).code(), own ? 0 : ENODEV) << "IPV6_MULTICAST_IF";
  }
}

NETNS_TEST(Sock, ScopeIdsAreIndexesOfTheNamespace, Covers("SOCK-23"), Needs(Config("VETH"), Config("IPV6"))) {
  auto [here, there] = CreateTwoWithLoopback();
  AddDevice(here, "mine", 50);
  AddDevice(there, "theirs", 60);
  SETUP_OK(RtnlIn(here).AddAddress("fe80::1/64", "mine", AddressOptions{.nodad = true}));
  SETUP_OK(RtnlIn(there).AddAddress("fe80::1/64", "theirs", AddressOptions{.nodad = true}));
  for (int type : {SOCK_STREAM, SOCK_DGRAM}) {
    SCOPED_TRACE(type);
    EXPECT_THAT(Bound(here, type, SockAddr::Ip("fe80::1", 7000, 60)), FailsWith(ENODEV));
    EXPECT_THAT(Bound(here, type, SockAddr::Ip("fe80::1", 7000, 50)), Succeeds()) << "control";
    EXPECT_THAT(Bound(there, type, SockAddr::Ip("fe80::1", 7000, 60)), Succeeds()) << "control: there it is the right one";
    EXPECT_THAT(Bound(there, type, SockAddr::Ip("fe80::1", 7000, 50)), FailsWith(ENODEV));
  }
  Fd far = SETUP_OK(here.Socket(AF_INET6, SOCK_DGRAM));
  EXPECT_THAT(Connect(far, SockAddr::Ip("fe80::9", 7000, 60)), FailsWith(ENETUNREACH));
  Fd near = SETUP_OK(here.Socket(AF_INET6, SOCK_DGRAM));
  EXPECT_THAT(Connect(near, SockAddr::Ip("fe80::9", 7000, 50)), Succeeds()) << "control";
}

// SO_MARK selects rules: those of the socket's namespace.
void MarksAndRules(const Family& family) {
  constexpr std::uint8_t kProhibit = 8;  // FR_ACT_PROHIBIT: connect fails with EACCES
  auto [here, there] = CreateTwoWithLoopback();
  for (const NetNamespace* where : {&here, &there}) {
    AddDevice(*where, "eth0");
    AddAddress(*where, family.HostPrefix(1), "eth0");
  }
  const auto marked = [&](const NetNamespace& where, int mark) -> Status {
    ASSIGN_OR_RETURN(Fd socket, where.Socket(family.domain, SOCK_DGRAM));
    RETURN_IF_ERROR(SetOption(socket, SOL_SOCKET, SO_MARK, mark));
    return Connect(socket, SockAddr::Ip(family.Host(2), 9));
  };
  EXPECT_THAT(marked(here, 7), Succeeds()) << "control: before";
  SETUP_OK(RtnlIn(here).AddRule(RuleSpec{.family = family.domain, .priority = 100, .action = kProhibit, .mark = 7}));
  EXPECT_THAT(marked(here, 7), FailsWith(EACCES)) << "control: the rule works";
  EXPECT_THAT(marked(here, 8), Succeeds()) << "control: for that mark only";
  EXPECT_THAT(marked(there, 7), Succeeds()) << "the rule of another namespace";
  SETUP_OK(RtnlIn(there).AddRule(RuleSpec{.family = family.domain, .priority = 100, .action = kProhibit, .mark = 8}));
  EXPECT_THAT(marked(there, 8), FailsWith(EACCES));
  EXPECT_THAT(marked(there, 7), Succeeds());
  EXPECT_THAT(marked(here, 8), Succeeds());
  EXPECT_THAT(marked(here, 7), FailsWith(EACCES));
  // A marked socket of one namespace that is used from the other one still asks its own.
  Actor away = there.StartActor("away");
  Fd carried = SETUP_OK(here.Socket(family.domain, SOCK_DGRAM));
  SETUP_OK(SetOption(carried, SOL_SOCKET, SO_MARK, 7));
  EXPECT_THAT(away.Run([&] { return Connect(carried, SockAddr::Ip(family.Host(2), 9)); }), FailsWith(EACCES));
}
NETNS_TEST(Sock, MarksSelectRulesOfTheNamespaceOverIpv4, Covers("SOCK-22", "ROUTE-04", "ROUTE-06"),
           Needs(Config("VETH"), Config("IP_MULTIPLE_TABLES"))) {
  MarksAndRules(Families()[0]);
}
NETNS_TEST(Sock, MarksSelectRulesOfTheNamespaceOverIpv6, Covers("SOCK-22", "ROUTE-04", "ROUTE-06"),
           Needs(Config("VETH"), Config("IPV6_MULTIPLE_TABLES"))) {
  MarksAndRules(Families()[1]);
}

// Filters by source: whom a member of a group listens to.
void SourceFilters(const Family& family) {
  const bool v4 = family.domain == AF_INET;
  auto [here, there] = CreateTwoWithLoopback();
  for (const NetNamespace* where : {&here, &there}) {
    AddDevice(*where, "eth0", 50);
    AddAddress(*where, family.HostPrefix(1), "eth0");
  }
  const auto join = [&](const NetNamespace& where, const std::string& group, const std::string& source) {
    Fd socket = SETUP_OK(where.Socket(family.domain, SOCK_DGRAM));
    group_source_req request{};
    request.gsr_interface = 50;
    const SockAddr of = SockAddr::Ip(group), from = SockAddr::Ip(source);
    std::memcpy(&request.gsr_group, of.get(), of.size());
    std::memcpy(&request.gsr_source, from.get(), from.size());
    if (::setsockopt(socket.get(), v4 ? int{IPPROTO_IP} : int{IPPROTO_IPV6}, MCAST_JOIN_SOURCE_GROUP, &request, sizeof request) < 0)
      throw SetupFailure(ErrnoError("MCAST_JOIN_SOURCE_GROUP").ToString(), std::source_location::current());
    return socket;
  };
  const std::string group = v4 ? "232.1.1.1" : "ff35::1:1", file = v4 ? "mcfilter" : "mcfilter6";
  const std::string first = v4 ? "0xc0000209" : "20010db8000000000000000000000009", second = v4 ? "0xc000020a" : "20010db800000000000000000000000a";
  Fd in_here = join(here, group, family.Host(9));
  EXPECT_THAT(here.ReadProcNet(file), Holds(HasSubstr(first))) << "control";
  EXPECT_THAT(there.ReadProcNet(file), Holds(Not(HasSubstr(first))));
  Fd in_there = join(there, group, v4 ? family.Host(10) : "2001:db8::a");
  EXPECT_THAT(there.ReadProcNet(file), Holds(testing::AllOf(HasSubstr(second), Not(HasSubstr(first)))));
  EXPECT_THAT(here.ReadProcNet(file), Holds(testing::AllOf(HasSubstr(first), Not(HasSubstr(second)))));
}
NETNS_TEST(Sock, Ipv4SourceFiltersArePerNamespace, Covers("SOCK-24"), Needs(Config("IP_MULTICAST"), Config("VETH"))) { SourceFilters(Families()[0]); }
NETNS_TEST(Sock, Ipv6SourceFiltersArePerNamespace, Covers("SOCK-24"), Needs(Config("IPV6"), Config("VETH"))) { SourceFilters(Families()[1]); }

// How many groups one socket may join; the limit is looked up when it joins.
NETNS_TEST(Sock, MembershipLimitIsThatOfTheNamespace, Covers("SOCK-24"), Needs(Config("IP_MULTICAST"), Config("VETH"))) {
  const char* name = "net.ipv4.igmp_max_memberships";
  auto [here, there] = CreateTwoWithLoopback();
  for (const NetNamespace* where : {&here, &there}) AddDevice(*where, "eth0", 50);
  const std::string birth = SETUP_OK(there.Sysctl(name));
  ASSERT_OK(here.SetSysctl(name, "3"));
  const auto joined = [](const NetNamespace& where) {
    Fd socket = SETUP_OK(where.Socket(AF_INET, SOCK_DGRAM));
    for (int i = 1; i < 10; ++i) {
      ip_mreqn group{};
      ::inet_pton(AF_INET, ("239.1.1." + std::to_string(i)).c_str(), &group.imr_multiaddr);
      group.imr_ifindex = 50;
      if (::setsockopt(socket.get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group) < 0) return errno == ENOBUFS ? i - 1 : -errno;
    }
    return 9;
  };
  EXPECT_EQ(joined(here), 3) << "control";
  EXPECT_THAT(there.Sysctl(name), Holds(birth));
  EXPECT_EQ(joined(there), std::min(std::stoi(birth), 9)) << "the limit of another namespace";
  ASSERT_OK(there.SetSysctl(name, "5"));
  EXPECT_EQ(joined(there), 5) << "control";
  EXPECT_EQ(joined(here), 3);
}

// A broadcast reaches the sockets of one namespace only.
NETNS_TEST(Sock, UdpBroadcastsStayInTheNamespace, Covers("SOCK-03", "SOCK-07"), Needs(Config("VETH"))) {
  auto [one, two] = CreateTwoWithLoopback();
  auto client_of_one = CreateWithLoopback(), client_of_two = CreateWithLoopback();
  Join(one, "eth0", client_of_one, "eth0");
  Join(two, "eth0", client_of_two, "eth0");
  Fd in_one = SETUP_OK(Bound(one, SOCK_DGRAM, SockAddr::Ip("0.0.0.0", 7000))), in_two = SETUP_OK(Bound(two, SOCK_DGRAM, SockAddr::Ip("0.0.0.0", 7000)));
  const auto shout = [](const NetNamespace& where, const char* text) {
    Fd socket = SETUP_OK(Bound(where, SOCK_DGRAM, SockAddr::Ip("192.0.2.2", 0)));
    SETUP_OK(SetOption(socket, SOL_SOCKET, SO_BROADCAST, 1));
    SETUP_OK(SetStringOption(socket, SOL_SOCKET, SO_BINDTODEVICE, "eth0"));
    SETUP_OK(SendTo(socket, text, SockAddr::Ip("255.255.255.255", 7000)));
  };
  shout(client_of_one, "to one");
  EXPECT_THAT(Receive(in_one), Holds("to one")) << "control";
  shout(client_of_two, "to two");
  EXPECT_THAT(Receive(in_two), Holds("to two")) << "control, and the first that may come here";
  EXPECT_THAT(ReceiveNow(in_one), FailsWith(EAGAIN));
  EXPECT_THAT(ReceiveNow(in_two), FailsWith(EAGAIN));
}

/// How many multicast routes rtnetlink lists: of RTNL_FAMILY_IPMR or RTNL_FAMILY_IP6MR.
std::size_t MulticastRoutes(const NetNamespace& where, int family) {
  Rtnl rtnl = RtnlIn(where);
  rtmsg header{};
  header.rtm_family = static_cast<unsigned char>(family);
  return SETUP_OK(rtnl.socket().Dump(Request(RTM_GETROUTE).Header(header).Named("dump multicast routes"))).size();
}

/// ip-netconf(8), ip-monitor(8): that multicast is not forwarded any more is told to the listeners of its namespace.
void GoesAndIsTold(const NetNamespace& here, const NetNamespace& there, Fd& daemon, unsigned group) {
  auto hears = SETUP_OK(RtnlMonitor::In(here, {group})), elsewhere = SETUP_OK(RtnlMonitor::In(there, {group}));
  daemon.Reset();
  const auto told = SETUP_OK(hears.ThroughFence());
  const auto of_all = [](const Message& each) { return each.type() == RTM_NEWNETCONF && each.AttributesAfter<netconfmsg>().S32(NETCONFA_IFINDEX) == NETCONFA_IFINDEX_ALL; };
  EXPECT_TRUE(std::any_of(told.begin(), told.end(), of_all)) << "control";
  EXPECT_THAT(elsewhere.ThroughFence(), Holds(IsEmpty())) << "an event of another namespace";
}

// One multicast routing daemon in each namespace.
NETNS_TEST(Sock, Ipv4MulticastRoutingIsPerNamespace, Covers("SOCK-24", "NLK-04"), Needs(Config("IP_MROUTE"), Config("VETH"))) {
  auto [here, there] = CreateTwoWithLoopback();
  AddDevice(here, "eth0");
  AddDevice(there, "eth0");
  const auto daemon = [](const NetNamespace& where) { return SETUP_OK(where.Socket(AF_INET, SOCK_RAW, IPPROTO_IGMP)); };
  Fd first = daemon(here), second = daemon(here), other = daemon(there);
  const Status init = SetOption(first, IPPROTO_IP, MRT_INIT, 1);
  if (!init.ok()) RequireBuiltIn(init.code(), "IP_MROUTE");
  ASSERT_OK(Status(init));
  EXPECT_THAT(SetOption(second, IPPROTO_IP, MRT_INIT, 1), FailsWith(EADDRINUSE)) << "control";
  EXPECT_THAT(SetOption(other, IPPROTO_IP, MRT_INIT, 1), Succeeds());
  vifctl vif{};
  vif.vifc_vifi = 0;
  vif.vifc_flags = VIFF_USE_IFINDEX;
  vif.vifc_threshold = 1;
  vif.vifc_lcl_ifindex = IndexOf(here, "eth0");
  ASSERT_EQ(::setsockopt(first.get(), IPPROTO_IP, MRT_ADD_VIF, &vif, sizeof vif), 0) << ErrnoName(errno);
  EXPECT_THAT(here.ReadProcNet("ip_mr_vif"), Holds(HasSubstr("eth0"))) << "control";
  EXPECT_THAT(there.ReadProcNet("ip_mr_vif"), Holds(Not(HasSubstr("eth0"))));
  mfcctl route{};
  ::inet_pton(AF_INET, "192.0.2.9", &route.mfcc_origin);
  ::inet_pton(AF_INET, "239.1.2.3", &route.mfcc_mcastgrp);
  ASSERT_EQ(::setsockopt(first.get(), IPPROTO_IP, MRT_ADD_MFC, &route, sizeof route), 0) << ErrnoName(errno);
  EXPECT_THAT(here.ReadProcNet("ip_mr_cache"), Holds(HasSubstr("030201EF"))) << "control";
  EXPECT_THAT(there.ReadProcNet("ip_mr_cache"), Holds(Not(HasSubstr("030201EF"))));
  EXPECT_EQ(MulticastRoutes(here, RTNL_FAMILY_IPMR), 1U) << "control";
  EXPECT_EQ(MulticastRoutes(there, RTNL_FAMILY_IPMR), 0U);
  EXPECT_THAT(here.Sysctl("net.ipv4.conf.all.mc_forwarding"), Holds("1")) << "control";
  // The daemon there goes: the one here stays.
  other.Reset();
  EXPECT_THAT(SetOption(second, IPPROTO_IP, MRT_INIT, 1), FailsWith(EADDRINUSE));
  EXPECT_THAT(here.ReadProcNet("ip_mr_vif"), Holds(HasSubstr("eth0")));
  EXPECT_THAT(there.Sysctl("net.ipv4.conf.all.mc_forwarding"), Holds("0"));
  EXPECT_THAT(here.Sysctl("net.ipv4.conf.all.mc_forwarding"), Holds("1"));
  GoesAndIsTold(here, there, first, RTNLGRP_IPV4_NETCONF);
  EXPECT_THAT(SetOption(second, IPPROTO_IP, MRT_INIT, 1), Succeeds()) << "the place is free";
}
NETNS_TEST(Sock, Ipv6MulticastRoutingIsPerNamespace, Covers("SOCK-24", "NLK-04"), Needs(Config("IPV6_MROUTE"), Config("VETH"))) {
  auto [here, there] = CreateTwoWithLoopback();
  AddDevice(here, "eth0");
  AddDevice(there, "eth0");
  const auto daemon = [](const NetNamespace& where) { return SETUP_OK(where.Socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6)); };
  Fd first = daemon(here), second = daemon(here), other = daemon(there);
  const Status init = SetOption(first, IPPROTO_IPV6, MRT6_INIT, 1);
  if (!init.ok()) RequireBuiltIn(init.code(), "IPV6_MROUTE");
  ASSERT_OK(Status(init));
  EXPECT_THAT(SetOption(second, IPPROTO_IPV6, MRT6_INIT, 1), FailsWith(EADDRINUSE)) << "control";
  EXPECT_THAT(SetOption(other, IPPROTO_IPV6, MRT6_INIT, 1), Succeeds());
  mif6ctl vif{};
  vif.vifc_threshold = 1;
  vif.mif6c_pifi = static_cast<std::uint16_t>(IndexOf(here, "eth0"));
  ASSERT_EQ(::setsockopt(first.get(), IPPROTO_IPV6, MRT6_ADD_MIF, &vif, sizeof vif), 0) << ErrnoName(errno);
  EXPECT_THAT(here.ReadProcNet("ip6_mr_vif"), Holds(HasSubstr("eth0"))) << "control";
  EXPECT_THAT(there.ReadProcNet("ip6_mr_vif"), Holds(Not(HasSubstr("eth0"))));
  mf6cctl route{};
  ::inet_pton(AF_INET6, "2001:db8::9", &route.mf6cc_origin.sin6_addr);
  ::inet_pton(AF_INET6, "ff05::123", &route.mf6cc_mcastgrp.sin6_addr);
  ASSERT_EQ(::setsockopt(first.get(), IPPROTO_IPV6, MRT6_ADD_MFC, &route, sizeof route), 0) << ErrnoName(errno);
  EXPECT_THAT(here.ReadProcNet("ip6_mr_cache"), Holds(HasSubstr("ff05:0000:0000:0000:0000:0000:0000:0123"))) << "control";
  EXPECT_THAT(there.ReadProcNet("ip6_mr_cache"), Holds(Not(HasSubstr("ff05:"))));
  EXPECT_EQ(MulticastRoutes(here, RTNL_FAMILY_IP6MR), 1U) << "control";
  EXPECT_EQ(MulticastRoutes(there, RTNL_FAMILY_IP6MR), 0U);
  other.Reset();
  EXPECT_THAT(SetOption(second, IPPROTO_IPV6, MRT6_INIT, 1), FailsWith(EADDRINUSE));
  EXPECT_THAT(here.ReadProcNet("ip6_mr_vif"), Holds(HasSubstr("eth0")));
  GoesAndIsTold(here, there, first, RTNLGRP_IPV6_NETCONF);
  EXPECT_THAT(SetOption(second, IPPROTO_IPV6, MRT6_INIT, 1), Succeeds()) << "the place is free";
}

/// A multicast router with one host on a wire, which is its interface 0.
struct MulticastRouter {
  const Family& family;
  NetNamespace router = CreateWithLoopback(), host = CreateWithLoopback();
  Fd daemon;

  explicit MulticastRouter(const Family& of) : family(of) {
    Join(router, "eth0", host, "eth0");
    const bool v4 = family.domain == AF_INET;
    daemon = SETUP_OK(router.Socket(family.domain, SOCK_RAW, v4 ? int{IPPROTO_IGMP} : int{IPPROTO_ICMPV6}));
    const Status init = SetOption(daemon, v4 ? int{IPPROTO_IP} : int{IPPROTO_IPV6}, v4 ? MRT_INIT : MRT6_INIT, 1);
    if (!init.ok()) RequireBuiltIn(init.code(), v4 ? "IP_MROUTE" : "IPV6_MROUTE");
    SETUP_OK(Status(init));
    int result = 0;
    if (v4) {
      vifctl vif{};
      vif.vifc_flags = VIFF_USE_IFINDEX;
      vif.vifc_threshold = 1;
      vif.vifc_lcl_ifindex = IndexOf(router, "eth0");
      result = ::setsockopt(daemon.get(), IPPROTO_IP, MRT_ADD_VIF, &vif, sizeof vif);
    } else {
      mif6ctl vif{};
      vif.vifc_threshold = 1;
      vif.mif6c_pifi = static_cast<std::uint16_t>(IndexOf(router, "eth0"));
      result = ::setsockopt(daemon.get(), IPPROTO_IPV6, MRT6_ADD_MIF, &vif, sizeof vif);
    }
    if (result < 0) throw SetupFailure(ErrnoError("adding a multicast interface").ToString(), std::source_location::current());
  }
  std::string Group(int n) const { return (family.domain == AF_INET ? "239.1.2." : "ff05::1:") + std::to_string(n); }
  /// Whether a message has the group in it.
  bool Names(const Message& message, int group) const {
    unsigned char address[16];
    ::inet_pton(family.domain, Group(group).c_str(), address);
    const Bytes bytes = message.whole();
    return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size())
               .find(std::string_view(reinterpret_cast<const char*>(address), family.domain == AF_INET ? 4 : 16)) != std::string_view::npos;
  }
  /// The host sends to a group that nobody has joined: only the router is interested.
  void Send(int group) const {
    Fd socket = SETUP_OK(host.Socket(family.domain, SOCK_DGRAM));
    SETUP_OK(SetStringOption(socket, SOL_SOCKET, SO_BINDTODEVICE, "eth0"));
    SETUP_OK(SendTo(socket, "to a group", SockAddr::Ip(Group(group), 9)));
  }
  /// The next group of which the kernel tells the daemon that it knows no route for it: struct igmpmsg, struct mrt6msg.
  std::string NextUnknown() const {
    for (;;) {
      const std::string message = SETUP_OK(Receive(daemon));
      char text[INET6_ADDRSTRLEN] = "";
      if (family.domain == AF_INET) {
        if (message.size() >= 20 && message[9] == 0 && message[8] == 1 /* IGMPMSG_NOCACHE */) return ::inet_ntop(AF_INET, message.data() + 16, text, sizeof text);
      } else if (message.size() >= 40 && message[0] == 0 && message[1] == 1 /* MRT6MSG_NOCACHE */) {
        return ::inet_ntop(AF_INET6, message.data() + 24, text, sizeof text);
      }
    }
  }
  void AddRoute(int group) const {
    const SockAddr from = SockAddr::Ip(family.Host(2)), to = SockAddr::Ip(Group(group));
    int result = 0;
    if (family.domain == AF_INET) {
      mfcctl route{};
      route.mfcc_origin = reinterpret_cast<const sockaddr_in*>(from.get())->sin_addr;
      route.mfcc_mcastgrp = reinterpret_cast<const sockaddr_in*>(to.get())->sin_addr;
      result = ::setsockopt(daemon.get(), IPPROTO_IP, MRT_ADD_MFC, &route, sizeof route);
    } else {
      mf6cctl route{};
      std::memcpy(&route.mf6cc_origin, from.get(), sizeof route.mf6cc_origin);
      std::memcpy(&route.mf6cc_mcastgrp, to.get(), sizeof route.mf6cc_mcastgrp);
      result = ::setsockopt(daemon.get(), IPPROTO_IPV6, MRT6_ADD_MFC, &route, sizeof route);
    }
    if (result < 0) throw SetupFailure(ErrnoError("adding a multicast route").ToString(), std::source_location::current());
  }
};
// What passes is asked of the routes of its namespace, and its daemon is told when there is none: by the socket, and by rtnetlink.
void DaemonsAreToldOfTheirOwn(const Family& family) {
  const bool v4 = family.domain == AF_INET;
  MulticastRouter one(family), two(family);
  const std::vector<unsigned> groups = {static_cast<unsigned>(v4 ? RTNLGRP_IPV4_MROUTE : RTNLGRP_IPV6_MROUTE), static_cast<unsigned>(v4 ? RTNLGRP_IPV4_MROUTE_R : RTNLGRP_IPV6_MROUTE_R)};
  auto monitor_one = SETUP_OK(RtnlMonitor::In(one.router, groups)), monitor_two = SETUP_OK(RtnlMonitor::In(two.router, groups));
  for (bool swapped : {false, true}) {
    MulticastRouter &here = swapped ? two : one, &there = swapped ? one : two;
    RtnlMonitor &hears = swapped ? monitor_two : monitor_one, &elsewhere = swapped ? monitor_one : monitor_two;
    SCOPED_TRACE(swapped ? "in the younger namespace" : "in the older namespace");
    const int first = swapped ? 20 : 10;
    here.Send(first);
    EXPECT_EQ(here.NextUnknown(), here.Group(first)) << "control: a group without a route";
    there.Send(first + 1);
    EXPECT_EQ(there.NextUnknown(), there.Group(first + 1)) << "the daemon of a namespace was told of a packet of another one";
    // The route is one of this namespace: its packets go by it, those of the other one do not.
    here.AddRoute(first);
    const auto about = [&](RtnlMonitor& monitor) {
      std::set<int> types;
      for (const Message& message : SETUP_OK(monitor.ThroughFence()))
        if (here.Names(message, first)) types.insert(message.type());
      return types;
    };
    EXPECT_THAT(about(hears), testing::IsSupersetOf({RTM_NEWROUTE, RTM_NEWCACHEREPORT})) << "control: rtnetlink(7), the route and the report";
    EXPECT_THAT(about(elsewhere), IsEmpty()) << "a route of another namespace is told, or that it lacks one";
    here.Send(first);
    here.Send(first + 2);
    EXPECT_EQ(here.NextUnknown(), here.Group(first + 2)) << "control: with a route there is nothing to be told";
    there.Send(first);
    EXPECT_EQ(there.NextUnknown(), there.Group(first)) << "a packet went by a route of another namespace";
    std::ignore = hears.ThroughFence();
    std::ignore = elsewhere.ThroughFence();
  }
}
NETNS_TEST(Sock, Ipv4MulticastDaemonsAreToldOfTheirOwnPackets, Covers("SOCK-24", "NLK-04"), Needs(Config("IP_MROUTE"), Config("VETH"))) {
  DaemonsAreToldOfTheirOwn(Families()[0]);
}
NETNS_TEST(Sock, Ipv6MulticastDaemonsAreToldOfTheirOwnPackets, Covers("SOCK-24", "NLK-04"), Needs(Config("IPV6_MROUTE"), Config("VETH"))) {
  DaemonsAreToldOfTheirOwn(Families()[1]);
}

// ip-mroute(8), "table": one daemon for each table and namespace.
void MulticastTables(const Family& family) {
  const bool v4 = family.domain == AF_INET;
  const int level = v4 ? int{IPPROTO_IP} : int{IPPROTO_IPV6}, table_option = v4 ? MRT_TABLE : MRT6_TABLE, init_option = v4 ? MRT_INIT : MRT6_INIT;
  auto before = CreateWithLoopback(), here = CreateWithLoopback();
  auto nested = here.In([] { return NetNamespace::Create(); });
  const auto daemon = [&](const NetNamespace& where, std::uint32_t table) -> Result<Fd> {
    ASSIGN_OR_RETURN(Fd socket, where.Socket(family.domain, SOCK_RAW, v4 ? int{IPPROTO_IGMP} : int{IPPROTO_ICMPV6}));
    RETURN_IF_ERROR(SetOption(socket, level, table_option, static_cast<int>(table)));
    RETURN_IF_ERROR(SetOption(socket, level, init_option, 1));
    return socket;
  };
  auto probe = daemon(here, 100);
  if (probe.code() == ENOPROTOOPT)
    throw MissingNeed(v4 ? "needs-config:IP_MROUTE_MULTIPLE_TABLES" : "needs-config:IPV6_MROUTE_MULTIPLE_TABLES", "there is only one multicast routing table: " + probe.error().ToString());
  ASSERT_OK_AND_ASSIGN(Fd first, std::move(probe));
  EXPECT_THAT(daemon(here, 100), FailsWith(EADDRINUSE)) << "control: one daemon for each table";
  ASSERT_OK_AND_ASSIGN(Fd second, daemon(here, 101));
  for (const NetNamespace* other : {&before, &nested}) {
    SCOPED_TRACE(other == &before ? "an older namespace" : "a younger namespace");
    ASSERT_OK_AND_ASSIGN(Fd same, daemon(*other, 100));
    EXPECT_THAT(daemon(*other, 100), FailsWith(EADDRINUSE)) << "control: one daemon for each table";
    same.Reset();
    EXPECT_THAT(daemon(here, 100), FailsWith(EADDRINUSE)) << "given up in another namespace only";
  }
  first.Reset();
  EXPECT_OK(daemon(here, 100)) << "control: given up";
  EXPECT_THAT(daemon(here, 101), FailsWith(EADDRINUSE)) << "control: of another table";
}
NETNS_TEST(Sock, Ipv4MulticastTablesArePerNamespace, Covers("SOCK-24"), Needs(Config("IP_MROUTE"), Config("IP_MROUTE_MULTIPLE_TABLES"))) { MulticastTables(Families()[0]); }
NETNS_TEST(Sock, Ipv6MulticastTablesArePerNamespace, Covers("SOCK-24"), Needs(Config("IPV6_MROUTE"), Config("IPV6_MROUTE_MULTIPLE_TABLES"))) { MulticastTables(Families()[1]); }

/// A datagram, what of its control messages is an index, and the scope of its sender.
struct Arrival {
  std::string text;
  int index = 0;
  unsigned scope = 0;
};
Result<Arrival> ReceiveWithIndex(const Fd& socket) {
  RETURN_IF_ERROR(WaitFor(socket.get(), POLLIN, Deadline::OfTest(), "a datagram"));
  char text[64];
  iovec part{text, sizeof text};
  sockaddr_in6 from{};
  alignas(cmsghdr) char control[256] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_name = &from;
  message.msg_namelen = sizeof from;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t size = ::recvmsg(socket.get(), &message, 0);
  if (size < 0) return ErrnoError("recvmsg");
  Arrival arrival{.text = std::string(text, static_cast<std::size_t>(size)), .scope = from.sin6_family == AF_INET6 ? from.sin6_scope_id : 0};
  for (cmsghdr* item = CMSG_FIRSTHDR(&message); item != nullptr; item = CMSG_NXTHDR(&message, item)) {
    if (item->cmsg_level == IPPROTO_IP && item->cmsg_type == IP_PKTINFO) {
      in_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(item), sizeof info);
      arrival.index = info.ipi_ifindex;
    }
    if (item->cmsg_level == IPPROTO_IPV6 && item->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(item), sizeof info);
      arrival.index = static_cast<int>(info.ipi6_ifindex);
    }
  }
  return arrival;
}
// ip(7) IP_PKTINFO, ipv6(7) IPV6_RECVPKTINFO and sin6_scope_id: the receiver is told the index that the device has in its own
// namespace, whatever that of the other end is; and of lo, which is 1 everywhere.
NETNS_TEST(Sock, ReceiversAreToldIndexesOfTheirNamespace, Covers("SOCK-23"), Needs(Config("VETH"))) {
  constexpr int kWest = 4001, kEast = 4002;
  auto west = CreateWithLoopback(), east = CreateWithLoopback();
  SETUP_OK(RtnlIn(west).AddVeth("wire", PeerSpec{.name = "wire", .index = kEast, .netns_fd = east.fd()}, LinkSpec{.index = kWest}));
  for (const NetNamespace* each : {&west, &east}) SETUP_OK(RtnlIn(*each).Up("wire"));
  for (const NetNamespace* each : {&west, &east}) WaitUntilRunning(*each, "wire");
  AddAddress(west, "192.0.2.1/24", "wire");
  AddAddress(east, "192.0.2.2/24", "wire");
  for (const NetNamespace* to : {&east, &west}) {
    const NetNamespace& from = to == &east ? west : east;
    const int index = to == &east ? kEast : kWest;
    SCOPED_TRACE(to == &east ? "received in the east" : "received in the west");
    Fd receiver = SETUP_OK(Bound(*to, SOCK_DGRAM, SockAddr::Ip("0.0.0.0", 7000)));
    SETUP_OK(SetOption(receiver, IPPROTO_IP, IP_PKTINFO, 1));
    ASSERT_OK(SendTo(SETUP_OK(from.Socket(AF_INET, SOCK_DGRAM)), "x", SockAddr::Ip(to == &east ? "192.0.2.2" : "192.0.2.1", 7000)));
    ASSERT_OK_AND_ASSIGN(const Arrival arrival, ReceiveWithIndex(receiver));
    EXPECT_EQ(arrival.index, index) << "ip(7): ipi_ifindex is the index of the device where the packet was received";
    ASSERT_OK(SendTo(SETUP_OK(to->Socket(AF_INET, SOCK_DGRAM)), "x", SockAddr::Ip("127.0.0.1", 7000)));
    ASSERT_OK_AND_ASSIGN(const Arrival looped, ReceiveWithIndex(receiver));
    EXPECT_EQ(looped.index, 1) << "control: of lo";
  }
  if (!HasIpv6()) return;
  AddAddress(west, "fe80::a/64", "wire");
  AddAddress(east, "fe80::b/64", "wire");
  for (const NetNamespace* to : {&east, &west}) {
    const NetNamespace& from = to == &east ? west : east;
    const unsigned index = to == &east ? kEast : kWest, other = to == &east ? kWest : kEast;
    SCOPED_TRACE(to == &east ? "received in the east" : "received in the west");
    const SockAddr target = SockAddr::Ip(to == &east ? "fe80::b" : "fe80::a", 7000, other);
    Fd receiver = SETUP_OK(Bound(*to, SOCK_DGRAM, SockAddr::Ip("::", 7000)));
    SETUP_OK(SetOption(receiver, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1));
    Fd sender = SETUP_OK(Bound(from, SOCK_DGRAM, SockAddr::Ip(to == &east ? "fe80::a" : "fe80::b", 0, other)));
    ASSERT_OK(SendTo(sender, "x", target));
    ASSERT_OK_AND_ASSIGN(const Arrival arrival, ReceiveWithIndex(receiver));
    EXPECT_EQ(arrival.index, static_cast<int>(index)) << "ipv6(7): ipi6_ifindex is the index of the device where the packet was received";
    EXPECT_EQ(arrival.scope, index) << "ipv6(7): sin6_scope_id of a link-local sender";
    Fd listener = SETUP_OK(Listener(*to, SockAddr::Ip("::", 7001)));
    Fd client = SETUP_OK(Connected(from, SOCK_STREAM, SockAddr::Ip(to == &east ? "fe80::b" : "fe80::a", 7001, other)));
    Fd server = SETUP_OK(Accept(listener));
    const SockAddr peer = SETUP_OK(SockAddr::OfPeer(server));
    EXPECT_EQ(reinterpret_cast<const sockaddr_in6*>(peer.get())->sin6_scope_id, index) << "ipv6(7): sin6_scope_id of a link-local peer";
    const SockAddr own = SETUP_OK(SockAddr::OfPeer(client));
    EXPECT_EQ(reinterpret_cast<const sockaddr_in6*>(own.get())->sin6_scope_id, other) << "control: at the other end";
  }
}

}  // namespace
}  // namespace netns
