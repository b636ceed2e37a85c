// SPDX-License-Identifier: GPL-2.0-or-later
// STACK, in tables that all namespaces share and in which only a comparison keeps them apart: proxied and other neighbours,
// what TCP has learned, anycast addresses, and who is told of a change. The keys are the same in all namespaces here.
#include <net/if_arp.h>
#include <netinet/tcp.h>

#include <set>
#include <sstream>

#include "fixtures/link_monitor.h"
#include "fixtures/nic.h"
#include "fixtures/user_namespace.h"
#include "suites/support/control_message.h"
#include "suites/support/many_requests.h"
#include "suites/support/sockets.h"

// The kernel's headers after the C library's: in this order they go together.
#include <linux/genetlink.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/mptcp.h>
#include <linux/neighbour.h>
#include <linux/netconf.h>
#include <linux/tcp_metrics.h>

namespace netns {
namespace {

using namespace sock;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// arp(7): entries that are published for others --------------------------------------------------------------------------

/// ioctl(SIOCSARP), or SIOCDARP, of an entry that is published on all devices (ATF_PUBL, no arp_dev).
Status Published(unsigned long call, const NetNamespace& where, const std::string& address) {
  ASSIGN_OR_RETURN(const Fd socket, where.Socket(AF_INET, SOCK_DGRAM));
  arpreq request{};
  const SockAddr protocol = SockAddr::Ip(address);
  std::memcpy(&request.arp_pa, protocol.get(), protocol.size());
  request.arp_ha.sa_family = ARPHRD_ETHER;
  request.arp_flags = ATF_PUBL;
  if (::ioctl(socket.get(), call, &request) < 0)
    return ErrnoError(std::string(call == SIOCSARP ? "SIOCSARP" : "SIOCDARP") + " of " + address + ", published on all devices");
  return Ok();
}
/// Such entries until the end of the test: the kernel keeps those without a device when their namespace goes.
class Publication {
 public:
  explicit Publication(const NetNamespace& where) : where_(where) {}
  Publication(const Publication&) = delete;
  Publication& operator=(const Publication&) = delete;
  ~Publication() {
    for (const std::string& address : addresses_) std::ignore = Published(SIOCDARP, where_, address);
  }
  Status Add(const std::string& address) {
    addresses_.insert(address);
    return Published(SIOCSARP, where_, address);
  }
  Status Remove(const std::string& address) { return Published(SIOCDARP, where_, address); }

 private:
  const NetNamespace& where_;
  std::set<std::string> addresses_;
};

/// The published entries of a namespace, as rtnetlink lists them and as /proc/net/arp does.
std::multiset<std::string> ListedByNetlink(const NetNamespace& where) {
  ndmsg header{};
  header.ndm_family = AF_INET;
  header.ndm_flags = NTF_PROXY;
  Rtnl rtnl = RtnlIn(where);
  std::multiset<std::string> all;
  for (const Message& message : SETUP_OK(rtnl.socket().Dump(Request(RTM_GETNEIGH).Header(header).Named("dump proxies")))) {
    const Neighbour entry = ReadNeighbour(message);
    if ((entry.flags & NTF_PROXY) != 0) all.insert(entry.to);
  }
  return all;
}
std::multiset<std::string> ListedByProc(const NetNamespace& where) {
  std::istringstream lines(SETUP_OK(where.ReadProcNet("arp")));
  std::multiset<std::string> all;
  std::string line;
  for (std::getline(lines, line); std::getline(lines, line);) {
    std::string address, type, flags;
    std::istringstream(line) >> address >> type >> flags;
    if ((std::stoul(flags, nullptr, 16) & ATF_PUBL) != 0) all.insert(address);
  }
  return all;
}

constexpr int kWire = 50, kBack = 60;
/// A router with one client on a wire, and a second device behind it to which all else is routed. It may answer for others.
struct Wire {
  NetNamespace router = NetNamespace::Create(), client = NetNamespace::Create();
  Fd frames;
  std::string client_mac;
  int client_index = 0;

  Wire() {
    for (const NetNamespace* each : {&router, &client}) LoopbackUp(*each);
    Rtnl in_router = RtnlIn(router), in_client = RtnlIn(client);
    SETUP_OK(in_router.AddVeth("wire", PeerSpec{.name = "wire", .netns_fd = client.fd()}, LinkSpec{.index = kWire}));
    SETUP_OK(in_router.Up("wire"));
    SETUP_OK(in_client.Up("wire"));
    WaitUntilRunning(router, "wire");
    WaitUntilRunning(client, "wire");
    AddDevice(router, "back", kBack);
    AddAddress(router, "192.0.2.1/24", "wire");
    SETUP_OK(in_router.AddRoute(RouteSpec{.to = "192.0.2.128/25", .dev = "back"}));
    SETUP_OK(in_router.AddRoute(RouteSpec{.to = "198.51.100.0/24", .dev = "back"}));
    SETUP_OK(router.SetSysctl("net/ipv4/conf/wire/forwarding", "1"));
    SETUP_OK(router.SetSysctl("net/ipv4/conf/wire/proxy_arp", "0"));
    SetDelay(0);
    const Link link = SETUP_OK(in_client.LinkByName("wire"));
    client_mac = link.address;
    client_index = link.index;
    frames = SETUP_OK(client.Socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ARP)));
  }
  /// arp(7), proxy_delay: in hundredths of a second, of which the kernel takes a random part.
  void SetDelay(int hundredths) { SETUP_OK(router.SetSysctl("net/ipv4/neigh/wire/proxy_delay", std::to_string(hundredths))); }

  /// An ARP request of the client, to everybody.
  void Ask(const std::string& address) {
    struct __attribute__((packed)) {
      std::uint16_t hardware, protocol;
      std::uint8_t hardware_size, protocol_size;
      std::uint16_t operation;
      std::uint8_t sender[6], sender_address[4], target[6], target_address[4];
    } request{htons(ARPHRD_ETHER), htons(ETH_P_IP), 6, 4, htons(ARPOP_REQUEST), {}, {}, {}, {}};
    Hardware(client_mac, request.sender);
    ::inet_pton(AF_INET, "192.0.2.2", request.sender_address);
    ::inet_pton(AF_INET, address.c_str(), request.target_address);
    sockaddr_ll to{};
    to.sll_family = AF_PACKET;
    to.sll_protocol = htons(ETH_P_ARP);
    to.sll_ifindex = client_index;
    to.sll_halen = 6;
    std::memset(to.sll_addr, 0xff, 6);
    if (::sendto(frames.get(), &request, sizeof request, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0)
      throw SetupFailure(ErrnoError("sendto(ARP request)").ToString(), std::source_location::current());
  }
  /// The address of which the next reply tells.
  Result<std::string> NextReply(Deadline deadline = Deadline::OfTest()) {
    for (;;) {
      ASSIGN_OR_RETURN(const std::string frame, Receive(frames, deadline));
      if (frame.size() < 28 || frame[7] != ARPOP_REPLY) continue;
      char text[INET_ADDRSTRLEN];
      return std::string(::inet_ntop(AF_INET, frame.data() + 14, text, sizeof text));
    }
  }
  /// Whether the router answers for an address. What it answers for itself comes behind it.
  bool Answers(const std::string& address) {
    Ask(address);
    Ask("192.0.2.1");
    bool answered = false;
    for (;;) {
      const std::string about = SETUP_OK(NextReply());
      if (about == "192.0.2.1") return answered;
      answered |= about == address;
    }
  }

 private:
  static void Hardware(const std::string& text, std::uint8_t* bytes) {
    for (int i = 0; i < 6; ++i) bytes[i] = static_cast<std::uint8_t>(std::stoi(text.substr(static_cast<std::size_t>(3 * i), 2), nullptr, 16));
  }
};

// arp(7): what is published without a device is answered on all devices; of its namespace, since neighbour tables are
// isolated. Equal entries of two namespaces are two entries.
NETNS_TEST(Stack, AnEntryPublishedOnAllDevicesIsOfOneNamespace, Covers("STACK-22", "PROC-13"), Needs(Config("VETH"), Config("PACKET"))) {
  const std::string address = "192.0.2.199";
  Wire one, two;
  for (bool swapped : {false, true}) {
    SCOPED_TRACE(swapped ? "published in the younger namespace" : "published in the older namespace");
    Wire &here = swapped ? two : one, &there = swapped ? one : two;
    Publication in_here(here.router), in_there(there.router);
    EXPECT_FALSE(here.Answers(address)) << "control: nothing is published";
    ASSERT_OK(in_here.Add(address));
    EXPECT_TRUE(here.Answers(address)) << "control: published, and routed elsewhere";
    EXPECT_FALSE(there.Answers(address)) << "arp(7): answered for an entry that another namespace has published";
    EXPECT_THAT(ListedByNetlink(here.router), ElementsAre(address)) << "control";
    EXPECT_THAT(ListedByProc(here.router), ElementsAre(address)) << "control";
    EXPECT_THAT(ListedByNetlink(there.router), IsEmpty()) << "an entry of another namespace is listed";
    EXPECT_THAT(ListedByProc(there.router), IsEmpty()) << "an entry of another namespace is listed in /proc/net/arp";
    EXPECT_THAT(in_there.Remove(address), FailsWith(ENOENT)) << "an entry of another namespace can be deleted";
    EXPECT_TRUE(here.Answers(address)) << "deleted in another namespace";
    // The same in both: one goes, the other stays.
    ASSERT_OK(in_there.Add(address));
    EXPECT_TRUE(there.Answers(address)) << "equal to an entry of another namespace";
    EXPECT_THAT(ListedByNetlink(there.router), ElementsAre(address));
    ASSERT_OK(in_here.Remove(address));
    EXPECT_FALSE(here.Answers(address)) << "answered for the entry of another namespace, when its own was deleted";
    EXPECT_TRUE(there.Answers(address)) << "gone with the one of another namespace";
    EXPECT_THAT(ListedByProc(here.router), IsEmpty());
    EXPECT_THAT(ListedByProc(there.router), ElementsAre(address));
    ASSERT_OK(in_there.Remove(address));
    EXPECT_THAT(ListedByProc(there.router), IsEmpty()) << "control";
  }
}

// So many that each bucket has entries of both, which come by turns.
NETNS_TEST(Stack, EqualPublishedEntriesAreListedInTheirNamespace, Covers("STACK-22", "PROC-13")) {
  auto [here, there] = CreateTwoWithLoopback();
  Publication in_here(here), in_there(there);
  std::multiset<std::string> of_here, of_there;
  for (int host = 1; host <= 60; ++host) {
    const std::string address = "198.51.100." + std::to_string(host);
    if (host % 3 != 0) {
      ASSERT_OK(in_here.Add(address));
      of_here.insert(address);
    }
    if (host % 3 != 1) {
      ASSERT_OK(in_there.Add(address));
      of_there.insert(address);
    }
  }
  EXPECT_EQ(ListedByNetlink(here), of_here);
  EXPECT_EQ(ListedByNetlink(there), of_there);
  EXPECT_EQ(ListedByProc(here), of_here) << "proc_pid_net(5): /proc/net/arp lists the entries of its namespace";
  EXPECT_EQ(ListedByProc(there), of_there) << "proc_pid_net(5): /proc/net/arp lists the entries of its namespace";
  EXPECT_THAT(ListedByProc(NetNamespace::Create()), IsEmpty());
  for (const std::string& address : of_here) EXPECT_OK(in_here.Remove(address));
  EXPECT_THAT(ListedByProc(here), IsEmpty()) << "control";
  EXPECT_EQ(ListedByProc(there), of_there) << "entries that another namespace deleted";
}

// arp(7), proxy_delay: answers for others wait; when a device of another namespace goes down, they go on waiting.
NETNS_TEST(Stack, ADeviceThatGoesDownTakesNoAnswersOfAnotherNamespaceWithIt, Covers("STACK-22"), Needs(Config("VETH"), Config("PACKET"))) {
  Wire wire;
  auto there = CreateWithLoopback();
  AddDevice(there, "wire", kWire);
  Rtnl in_there = RtnlIn(there);
  Publication published(wire.router);
  std::set<std::string> asked;
  for (int host = 1; host <= 20; ++host) asked.insert("198.51.100." + std::to_string(host));
  for (const std::string& address : asked) SETUP_OK(published.Add(address));
  wire.SetDelay(40);  // many of them wait while the device goes down
  for (const std::string& address : asked) wire.Ask(address);
  SETUP_OK(in_there.Down("wire"));
  std::set<std::string> answered;
  const Deadline soon = Deadline::In(std::chrono::seconds(10));
  while (answered != asked) {
    auto about = wire.NextReply(soon);
    ASSERT_OK(std::move(about)) << "after " << answered.size() << " of " << asked.size()
                                << ": the others were dropped when a device of another namespace went down";
    answered.insert(*about);
  }
}

// ip-ntable(8): parameters are changed by the index of a device, of the namespace of the socket.
Status ChangeProbes(const NetNamespace& where, const Family& family, std::optional<std::uint32_t> index, std::uint32_t value) {
  ndtmsg header{};
  header.ndtm_family = static_cast<unsigned char>(family.domain);
  Rtnl rtnl = RtnlIn(where);
  return rtnl.socket().Ack(Request(RTM_SETNEIGHTBL).Header(header).Text(NDTA_NAME, family.domain == AF_INET ? "arp_cache" : "ndisc_cache")
                               .Nest(NDTA_PARMS | NLA_F_NESTED, [&](Request& parameters) {
                                 if (index) parameters.U32(NDTPA_IFINDEX, *index);
                                 parameters.U32(NDTPA_UCAST_PROBES, value);
                               }).Named("change a neighbour table"));
}
void NeighbourParameters(const Family& family) {
  const bool v4 = family.domain == AF_INET;
  const std::string probes = v4 ? "net/ipv4/neigh/eth0/ucast_solicit" : "net/ipv6/neigh/eth0/ucast_solicit";
  auto before = NetNamespace::Create(), here = NetNamespace::Create(), after = NetNamespace::Create();
  for (const NetNamespace* each : {&before, &here, &after}) AddDevice(*each, "eth0", kWire);
  const std::string birth = SETUP_OK(here.Sysctl(probes));
  int value = 20;
  for (const NetNamespace* changed : {&before, &here, &after}) {
    SCOPED_TRACE(value);
    ASSERT_OK(ChangeProbes(*changed, family, kWire, static_cast<std::uint32_t>(++value)));
    EXPECT_THAT(changed->Sysctl(probes), Holds(std::to_string(value))) << "control: ip-ntable(8), the device has the new value";
    EXPECT_THAT(after.Sysctl(probes), Holds(changed == &after ? std::to_string(value) : birth)) << "changed in another namespace";
    if (changed == &before) {
      EXPECT_THAT(here.Sysctl(probes), Holds(birth)) << "changed in another namespace";
    }
    if (changed == &after) {
      EXPECT_THAT(before.Sysctl(probes), Holds("21")) << "changed in another namespace";
      EXPECT_THAT(here.Sysctl(probes), Holds("22")) << "changed in another namespace";
    }
  }
  // A device that only another one has; and the defaults, which only the initial namespace has.
  AddDevice(after, "more", 70);
  EXPECT_THAT(ChangeProbes(here, family, 70, 30), FailsWith(ENOENT)) << "the index of a device of another namespace";
  EXPECT_OK(ChangeProbes(after, family, 70, 30)) << "control";
  EXPECT_THAT(ChangeProbes(here, family, {}, 30), FailsWith(ENOENT)) << "the defaults are those of the initial namespace";
}
NETNS_TEST(Stack, Ipv4NeighbourParametersAreChangedInTheirNamespace, Covers("STACK-22"), Needs(Config("VETH"))) { NeighbourParameters(Families()[0]); }
NETNS_TEST(Stack, Ipv6NeighbourParametersAreChangedInTheirNamespace, Covers("STACK-22"), Needs(Config("VETH"), Config("IPV6"))) {
  NeighbourParameters(Families()[1]);
}

// What TCP has learned -----------------------------------------------------------------------------------------------------

struct Metrics {
  const GenericFamily family;

  static Metrics Of(const NetNamespace& where) {
    auto socket = In(where);
    return {SETUP_OK(socket.ResolveFamily("tcp_metrics"))};
  }
  static NetlinkSocket In(const NetNamespace& where) { return SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(where.Socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC)))); }
  Request Make(std::uint8_t command, const std::string& address) const {
    Request request(family.id);
    request.Header(genlmsghdr{.cmd = command, .version = TCP_METRICS_GENL_VERSION}).Named((command == TCP_METRICS_CMD_GET ? "TCP metrics of " : "delete TCP metrics of ") + address);
    if (!address.empty()) {
      in_addr bytes{};
      ::inet_pton(AF_INET, address.c_str(), &bytes);
      request.Structure(TCP_METRICS_ATTR_ADDR_IPV4, bytes);
    }
    return request;
  }
  std::size_t Count(const NetNamespace& where) const {
    auto socket = In(where);
    return SETUP_OK(socket.Dump(Make(TCP_METRICS_CMD_GET, ""))).size();
  }
  /// How many of the requests about each of the addresses are answered by success, and what the others are.
  std::pair<std::size_t, std::set<std::string>> Each(const NetNamespace& where, std::uint8_t command, const std::vector<std::string>& addresses) const {
    std::vector<Request> requests;
    for (const std::string& address : addresses) requests.push_back(Make(command, address));
    std::pair<std::size_t, std::set<std::string>> result{};
    for (int answer : SendMany(where, NETLINK_GENERIC, requests))
      if (answer == 0) ++result.first;
      else result.second.insert(ErrnoName(answer));
    return result;
  }
};
std::string LoopbackAddress(int host) { return "127.0.1." + std::to_string(host); }
/// Connections to `count` addresses, each of which is properly closed by the client, so that something is learned of them.
void Learn(const NetNamespace& where, int count) {
  const Fd listener = SETUP_OK(Listener(where, SockAddr::Ip("0.0.0.0", 8080)));
  where.In([&] {
    for (int host = 1; host <= count; ++host) {
      Fd client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      SETUP_OK(Connect(client, SockAddr::Ip(LoopbackAddress(host), 8080)));
      Fd server = SETUP_OK(Accept(listener));
      SETUP_OK(Send(client, "x"));
      SETUP_OK(Receive(server));
      client.Reset();
      SETUP_OK(Receive(server));
    }
  });
}
// ip-tcp_metrics(8). Some namespaces have learned of the same addresses, others of none. There are some thousand buckets: of
// this many namespaces, some meet in one.
NETNS_TEST(Stack, AmongManyNamespacesEachShowsWhatItsTcpHasLearned, Covers("STACK-13"), Needs(Config("INET")), Within{std::chrono::seconds(60)}) {
  constexpr int kLearned = 5, kAsking = 40, kAddresses = 50;
  std::vector<NetNamespace> learned, asking;
  for (int i = 0; i < kLearned; ++i) learned.push_back(CreateWithLoopback());
  for (int i = 0; i < kAsking; ++i) asking.push_back(NetNamespace::Create());
  std::vector<std::string> addresses;
  for (int host = 1; host <= kAddresses; ++host) addresses.push_back(LoopbackAddress(host));
  const Metrics metrics = Metrics::Of(learned[0]);
  for (const NetNamespace& each : learned) {
    Learn(each, kAddresses);
    // What is learned of some addresses takes the place of others, wherever they were learned.
    EXPECT_GT(metrics.Each(each, TCP_METRICS_CMD_GET, addresses).first, std::size_t{kAddresses / 2}) << "control: the namespace has learned of its connections";
  }
  for (const NetNamespace& each : asking) {
    EXPECT_EQ(metrics.Count(each), 0U) << "what other namespaces have learned is listed";
    const auto [shown, others] = metrics.Each(each, TCP_METRICS_CMD_GET, addresses);
    EXPECT_EQ(shown, 0U) << "ip-tcp_metrics(8): what another namespace has learned is shown";
    EXPECT_THAT(others, ElementsAre("ESRCH"));
  }
  if (!IsRealRoot()) return;  // deleting needs capabilities over the initial user namespace
  for (const NetNamespace& each : asking) {
    const auto [deleted, others] = metrics.Each(each, TCP_METRICS_CMD_DEL, addresses);
    EXPECT_EQ(deleted, 0U) << "ip-tcp_metrics(8): what another namespace has learned was deleted";
    EXPECT_THAT(others, ElementsAre("ESRCH"));
  }
  EXPECT_GT(metrics.Each(learned[0], TCP_METRICS_CMD_DEL, addresses).first, std::size_t{kAddresses / 2}) << "control: its own";
}

// Anycast addresses of IPv6 -------------------------------------------------------------------------------------------------

/// Sends from an address of the sender's choice (ipv6(7), IPV6_PKTINFO): one that the namespace has, be it an anycast one.
Status SendFrom(const Fd& socket, const in6_addr& source, const SockAddr& to) {
  in6_pktinfo info{};
  info.ipi6_addr = source;
  return SendWithControl(socket, to.get(), to.size(), IPPROTO_IPV6, IPV6_PKTINFO, info, "sendmsg(IPV6_PKTINFO)", MSG_DONTWAIT | MSG_NOSIGNAL);
}
/// The same over IPv4 (ip(7), IP_PKTINFO, ipi_spec_dst).
Status SendFrom(const Fd& socket, const in_addr& source, const SockAddr& to) {
  in_pktinfo info{};
  info.ipi_spec_dst = source;
  return SendWithControl(socket, to.get(), to.size(), IPPROTO_IP, IP_PKTINFO, info, "sendmsg(IP_PKTINFO)", MSG_DONTWAIT | MSG_NOSIGNAL);
}
/// ip(7), IP_MULTICAST_IF: the device that has the address.
Status MulticastBy(const Fd& socket, const std::string& address) {
  in_addr device{};
  ::inet_pton(AF_INET, address.c_str(), &device);
  if (::setsockopt(socket.get(), IPPROTO_IP, IP_MULTICAST_IF, &device, sizeof device) < 0) return ErrnoError("setsockopt(IP_MULTICAST_IF, " + address + ")");
  return Ok();
}
/// One namespace has many addresses, others have none of them: they can neither be sent from nor bound to there.
template <class Address>
void AddressesAreOfOneNamespace(const Family& family, const NetNamespace& here, const std::vector<std::string>& addresses, bool bindable) {
  constexpr int kOthers = 20;
  std::vector<NetNamespace> others;
  for (int i = 0; i < kOthers; ++i) others.push_back(CreateWithLoopback());
  const SockAddr to = SockAddr::Ip(family.loopback, 9);
  const auto send_from = [&](const Fd& socket, const std::string& text) {
    Address address{};
    ::inet_pton(family.domain, text.c_str(), &address);
    return SendFrom(socket, address, to);
  };
  const Fd sender = SETUP_OK(here.Socket(family.domain, SOCK_DGRAM));
  for (const std::string& address : addresses) {
    EXPECT_THAT(send_from(sender, address), Succeeds()) << "control: an address of the namespace, " << address;
    if constexpr (std::is_same_v<Address, in_addr>) {
      EXPECT_THAT(MulticastBy(sender, address), Succeeds()) << "control: an address of the namespace, " << address;
    }
    if (bindable) {
      EXPECT_THAT(Bound(here, SOCK_DGRAM, SockAddr::Ip(address)), Succeeds()) << "control: an address of the namespace, " << address;
    }
  }
  for (const NetNamespace& other : others) {
    other.In([&] {
      const Fd socket(::socket(family.domain, SOCK_DGRAM | SOCK_CLOEXEC, 0)), unbound(::socket(family.domain, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      EXPECT_THAT(send_from(socket, family.loopback), Succeeds()) << "control: an address of the namespace";
      for (const std::string& address : addresses) {
        ASSERT_THAT(send_from(socket, address), testing::AnyOf(FailsWith(EINVAL), FailsWith(ENETUNREACH))) << "network_namespaces(7): an address of another namespace is no address of this one, " << address;
        if constexpr (std::is_same_v<Address, in_addr>) {
          ASSERT_THAT(MulticastBy(socket, address), FailsWith(EADDRNOTAVAIL)) << "ip(7), IP_MULTICAST_IF: an address of another namespace is no address of this one, " << address;
        }
        ASSERT_THAT(Bind(unbound, SockAddr::Ip(address)), FailsWith(EADDRNOTAVAIL)) << "network_namespaces(7): an address of another namespace is no address of this one, " << address;
      }
    });
  }
}
NETNS_TEST(Stack, AnycastAddressesAreOfTheNamespace, Covers("STACK-02", "STACK-03", "PROC-33"), Needs(Config("IPV6"), Config("VETH"))) {
  constexpr int kJoinAnycast = 27;  // IPV6_JOIN_ANYCAST
  auto here = CreateWithLoopback();
  AddDevice(here, "eth0", kWire);
  AddAddress(here, "2001:db8::1/64", "eth0");
  const Fd member = SETUP_OK(here.Socket(AF_INET6, SOCK_DGRAM));
  std::vector<std::string> addresses;
  for (int i = 1; i <= 60; ++i) {
    addresses.push_back("2001:db8::a:" + std::to_string(i));
    ipv6_mreq request{};
    ::inet_pton(AF_INET6, addresses.back().c_str(), &request.ipv6mr_multiaddr);
    request.ipv6mr_interface = kWire;
    if (::setsockopt(member.get(), IPPROTO_IPV6, kJoinAnycast, &request, sizeof request) < 0)
      throw SetupFailure(ErrnoError("setsockopt(IPV6_JOIN_ANYCAST)").ToString(), std::source_location::current());
  }
  AddressesAreOfOneNamespace<in6_addr>(Families()[1], here, addresses, false);
  EXPECT_THAT(here.ReadProcNet("anycast6"), Holds(HasSubstr("20010db80000000000000000000a0001"))) << "control";
  EXPECT_THAT(NetNamespace::Create().ReadProcNet("anycast6"), Holds(Not(HasSubstr("20010db80000000000000000000a"))));
}
void ManyAddresses(const Family& family) {
  auto here = CreateWithLoopback();
  Rtnl rtnl = RtnlIn(here);
  std::vector<std::string> addresses;
  for (int i = 1; i <= 40; ++i) {
    addresses.push_back(family.Host(i));
    SETUP_OK(rtnl.AddAddress(addresses.back() + "/" + std::to_string(family.host_prefix), "lo", AddressOptions{.nodad = family.domain == AF_INET6}));
  }
  for (const std::string& address : addresses) WaitUntilLocal(here, address);
  if (family.domain == AF_INET) {
    AddressesAreOfOneNamespace<in_addr>(family, here, addresses, true);
  } else {
    AddressesAreOfOneNamespace<in6_addr>(family, here, addresses, true);
  }
}
NETNS_TEST(Stack, ManyIpv4AddressesAreOfOneNamespace, Covers("STACK-01", "STACK-07")) { ManyAddresses(Families()[0]); }
NETNS_TEST(Stack, ManyIpv6AddressesAreOfOneNamespace, Covers("STACK-02", "STACK-07"), Needs(Config("IPV6"))) { ManyAddresses(Families()[1]); }

// ip-route(8), src: a route goes when the address that it prefers as a source does, in its namespace.
NETNS_TEST(Route, AnAddressThatGoesTakesNoRoutesOfAnotherNamespace, Covers("ROUTE-01", "STACK-03")) {
  constexpr int kNamespaces = 8, kAddresses = 20;
  std::vector<NetNamespace> all;
  std::vector<std::string> addresses;
  for (int i = 1; i <= kAddresses; ++i) addresses.push_back("192.0.2." + std::to_string(i));
  for (int i = 0; i < kNamespaces; ++i) {
    all.push_back(CreateWithLoopback());
    Rtnl rtnl = RtnlIn(all.back());
    for (int n = 0; n < kAddresses; ++n) {
      const std::string& address = addresses[static_cast<std::size_t>(n)];
      SETUP_OK(rtnl.AddAddress(address + "/32", "lo"));
      SETUP_OK(rtnl.AddRoute(RouteSpec{.to = "198.51.100." + std::to_string(n + 1) + "/32", .dev = "lo", .src = address}));
    }
  }
  const auto routes = [](const NetNamespace& where) {
    int count = 0;
    for (const Route& route : SETUP_OK(RtnlIn(where).Routes(RouteFilter{.family = AF_INET, .table = RT_TABLE_MAIN})))
      if (route.to.starts_with("198.51.100.")) ++count;
    return count;
  };
  for (int i = 0; i < kNamespaces; i += 2) {
    Rtnl rtnl = RtnlIn(all[static_cast<std::size_t>(i)]);
    for (const std::string& address : addresses) SETUP_OK(rtnl.DeleteAddress(address + "/32", "lo"));
  }
  for (int i = 0; i < kNamespaces; ++i)
    EXPECT_EQ(routes(all[static_cast<std::size_t>(i)]), i % 2 == 0 ? 0 : kAddresses)
        << (i % 2 == 0 ? "control: ip-route(8), the addresses of its own have gone" : "ip-route(8): routes went with an address of another namespace");
}

// Who is told ---------------------------------------------------------------------------------------------------------------

// ip-netconf(8), ip-monitor(8): a change of a setting is told with the index of its device, or of "all" or "default".
void SettingsAreTold(const Family& family, const NetNamespace& here, const std::vector<const NetNamespace*>& elsewhere, const char* device, int device_index) {
  struct Setting {
    const char* name;
    std::uint16_t attribute;
  };
  const bool v4 = family.domain == AF_INET;
  const std::vector<Setting> settings = v4 ? std::vector<Setting>{{"rp_filter", NETCONFA_RP_FILTER},
                                                                  {"proxy_arp", NETCONFA_PROXY_NEIGH},
                                                                  {"ignore_routes_with_linkdown", NETCONFA_IGNORE_ROUTES_WITH_LINKDOWN},
                                                                  {"forwarding", NETCONFA_FORWARDING}}
                                           : std::vector<Setting>{{"proxy_ndp", NETCONFA_PROXY_NEIGH}, {"forwarding", NETCONFA_FORWARDING}};
  const unsigned group = v4 ? RTNLGRP_IPV4_NETCONF : RTNLGRP_IPV6_NETCONF;
  auto own = SETUP_OK(RtnlMonitor::In(here, {group}));
  std::vector<RtnlMonitor> others;
  for (const NetNamespace* each : elsewhere) others.push_back(SETUP_OK(RtnlMonitor::In(*each, {group})));
  for (auto [place, index] : {std::pair{"all", NETCONFA_IFINDEX_ALL}, {"default", NETCONFA_IFINDEX_DEFAULT}, {device, device_index}}) {
    for (const Setting& setting : settings) {
      const std::string file = (v4 ? "net/ipv4/conf/" : "net/ipv6/conf/") + std::string(place) + "/" + setting.name;
      SCOPED_TRACE(file);
      const std::string first = SETUP_OK(here.Sysctl(file)), birth = SETUP_OK(elsewhere.front()->Sysctl(file));
      // The kernel forgets to tell, now and then, when it has to wait for somebody else's change first.
      bool told = false;
      for (int attempt = 0; !told && attempt < 50; ++attempt) {
        const std::string changed = SETUP_OK(here.Sysctl(file)) == "0" ? "1" : "0";
        ASSERT_OK(here.SetSysctl(file, changed));
        for (const Message& each : SETUP_OK(own.ThroughFence())) {
          const Attributes attributes = each.AttributesAfter<netconfmsg>();
          told |= each.type() == RTM_NEWNETCONF && attributes.S32(NETCONFA_IFINDEX) == index && attributes.S32(setting.attribute) == std::stoi(changed);
        }
      }
      EXPECT_TRUE(told) << "ip-netconf(8): a change was not told in its own namespace";
      for (RtnlMonitor& other : others) EXPECT_THAT(other.ThroughFence(), Holds(IsEmpty())) << "told in another namespace";
      EXPECT_THAT(elsewhere.front()->Sysctl(file), Holds(birth)) << "changed in another namespace";
      SETUP_OK(here.SetSysctl(file, first));
      std::ignore = own.ThroughFence();
    }
  }
}
void SettingsAreToldInTheirNamespace(const Family& family) {
  auto before = NetNamespace::Create(), here = NetNamespace::Create(), after = NetNamespace::Create();
  for (const NetNamespace* each : {&before, &here, &after}) AddDevice(*each, "eth0", kWire);
  const auto current = NetNamespace::Current();
  SettingsAreTold(family, here, {&after, &before, &current}, "eth0", kWire);
}
NETNS_TEST(Stack, Ipv4SettingsAreToldInTheirNamespace, Covers("NLK-04", "SYSCTL-02"), Needs(Config("VETH"), Config("SYSCTL"))) { SettingsAreToldInTheirNamespace(Families()[0]); }
NETNS_TEST(Stack, Ipv6SettingsAreToldInTheirNamespace, Covers("NLK-04", "SYSCTL-02"), Needs(Config("VETH"), Config("SYSCTL"), Config("IPV6"))) {
  SettingsAreToldInTheirNamespace(Families()[1]);
}

// linux/mptcp.h, group "mptcp_pm_events": connections are told in their namespace.
NETNS_TEST(Stack, NewsOfMptcpConnectionsStayInTheNamespace, Covers("STACK-15", "NLK-04"), Needs(Config("MPTCP"))) {
  constexpr int kMptcp = 262;
  auto [here, there] = CreateTwoWithLoopback();
  const auto probe = here.Socket(AF_INET, SOCK_STREAM, kMptcp);
  if (!probe.ok()) RequireBuiltIn(probe.code(), "MPTCP");
  auto socket = Metrics::In(here);
  const auto family = SETUP_OK(socket.ResolveFamily(MPTCP_PM_NAME));
  if (!family.groups.contains("mptcp_pm_events")) throw MissingNeed("needs-feature:mptcp-events", "MPTCP tells no events (before 5.12)", "", LinuxVersion{5, 12});
  const auto listen = [&](const NetNamespace& where) {
    return SETUP_OK(RtnlMonitor::Adopt(SETUP_OK(where.Socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC)), {family.groups.at("mptcp_pm_events")}));
  };
  auto hears_here = listen(here), hears_there = listen(there);
  std::vector<Fd> open;
  const auto connect = [&](const NetNamespace& where, std::uint16_t port) {
    const SockAddr address = SockAddr::Ip("127.0.0.1", port);
    open.push_back(SETUP_OK(Listener(where, address, kMptcp)));
    const Fd& listener = open.back();
    Fd client = SETUP_OK(Connected(where, SOCK_STREAM, address, kMptcp));
    open.push_back(SETUP_OK(Accept(listener)));
    open.push_back(std::move(client));
  };
  const auto about = [](std::uint16_t port) {
    return [port](const Message& message) {
      const Attributes attributes = message.AttributesAfter<genlmsghdr>();
      const auto is = [&](std::uint16_t attribute) { return attributes.U16(attribute) == htons(port); };
      return is(MPTCP_ATTR_SPORT) || is(MPTCP_ATTR_DPORT);
    };
  };
  connect(here, 8081);
  connect(there, 8082);
  connect(here, 8083);
  const auto soon = Deadline::In(std::chrono::seconds(20));
  ASSERT_OK_AND_ASSIGN(const auto in_there, hears_there.Through(about(8082), "news of its own connection", soon));
  ASSERT_OK_AND_ASSIGN(const auto in_here, hears_here.Through(about(8083), "news of its own connection", soon));
  EXPECT_TRUE(std::any_of(in_here.begin(), in_here.end(), about(8081))) << "control";
  for (const Message& message : in_there) EXPECT_FALSE(about(8081)(message)) << "mptcp.h: news of a connection of another namespace";
  for (const Message& message : in_here) EXPECT_FALSE(about(8082)(message)) << "mptcp.h: news of a connection of another namespace";
}

// Against the initial namespace -----------------------------------------------------------------------------------------------

[[maybe_unused]] const bool beside_the_initial = [] {
  for (const Family& family : Families()) {
    const char* symbol = family.domain == AF_INET ? "INET" : "IPV6";
    for (bool of_the_initial : {false, true}) {
      const std::string which = of_the_initial ? "OfTheInitialNamespace" : "BesideTheInitialNamespace";
      RegisterBody("Stack", std::string(family.name) + "Settings" + which + "AreToldInTheirNamespace", __FILE__, __LINE__, [&family, of_the_initial] {
        const auto initial = InitialNetNamespace();
        auto fresh = CreateWithLoopback();
        if (of_the_initial) {
          SettingsAreTold(family, initial, {&fresh}, "lo", 1);
        } else {
          SettingsAreTold(family, fresh, {&initial}, "lo", 1);
        }
      }, Covers("NLK-04", "SYSCTL-02"), Needs(Machine(), Config("SYSCTL"), Config(symbol)), Exclusive{});
    }
    RegisterBody("Stack", std::string(family.name) + "NeighbourParametersOfTheInitialNamespaceAreItsOwn", __FILE__, __LINE__, [&family] {
      const auto initial = InitialNetNamespace();
      auto fresh = CreateWithLoopback();
      const std::string probes = std::string(family.domain == AF_INET ? "net/ipv4" : "net/ipv6") + "/neigh/lo/ucast_solicit";
      const std::string defaults = std::string(family.domain == AF_INET ? "net/ipv4" : "net/ipv6") + "/neigh/default/ucast_solicit";
      const std::string there = SETUP_OK(initial.Sysctl(probes)), here = SETUP_OK(fresh.Sysctl(probes)), all = SETUP_OK(initial.Sysctl(defaults));
      ASSERT_OK(ChangeProbes(fresh, family, 1, 31));
      EXPECT_THAT(fresh.Sysctl(probes), Holds("31")) << "control";
      EXPECT_THAT(initial.Sysctl(probes), Holds(there)) << "ip-ntable(8): a device of the initial namespace was changed in another one";
      ASSERT_OK(ChangeProbes(initial, family, 1, 32));
      EXPECT_THAT(initial.Sysctl(probes), Holds("32")) << "control";
      EXPECT_THAT(fresh.Sysctl(probes), Holds("31")) << "ip-ntable(8): a device was changed in the initial namespace";
      EXPECT_THAT(ChangeProbes(fresh, family, {}, 33), FailsWith(ENOENT)) << "the defaults are those of the initial namespace";
      EXPECT_THAT(initial.Sysctl(defaults), Holds(all)) << "the defaults of the initial namespace were changed in another one";
      SETUP_OK(initial.SetSysctl(probes, there));
    }, Covers("STACK-22"), Needs(Machine(), Config(symbol)), Exclusive{});
  }
  return true;
}();
NETNS_TEST(Stack, PublishedEntriesOfTheInitialNamespaceAreItsOwn, Covers("STACK-22", "PROC-13"), Needs(Machine(), Config("VETH"), Config("PACKET")), Exclusive{}) {
  const std::string address = "192.0.2.198";
  const auto initial = InitialNetNamespace();
  Wire wire;
  Publication in_initial(initial), in_fresh(wire.router);
  ASSERT_OK(in_initial.Add(address));
  EXPECT_THAT(ListedByProc(initial), testing::Contains(address)) << "control";
  EXPECT_FALSE(wire.Answers(address)) << "arp(7): answered for an entry that the initial namespace has published";
  EXPECT_THAT(ListedByNetlink(wire.router), IsEmpty()) << "an entry of the initial namespace is listed";
  EXPECT_THAT(ListedByProc(wire.router), IsEmpty()) << "an entry of the initial namespace is listed in /proc/net/arp";
  EXPECT_THAT(in_fresh.Remove(address), FailsWith(ENOENT)) << "an entry of the initial namespace can be deleted";
  ASSERT_OK(in_initial.Remove(address));
  ASSERT_OK(in_fresh.Add(address));
  EXPECT_TRUE(wire.Answers(address)) << "control: its own";
  EXPECT_THAT(ListedByNetlink(initial), Not(testing::Contains(address))) << "an entry of another namespace is listed in the initial one";
  EXPECT_THAT(ListedByProc(initial), Not(testing::Contains(address))) << "an entry of another namespace is listed in /proc/net/arp of the initial one";
  EXPECT_THAT(in_initial.Remove(address), FailsWith(ENOENT)) << "an entry of another namespace can be deleted in the initial one";
  EXPECT_TRUE(wire.Answers(address)) << "deleted in the initial namespace";
}
NETNS_TEST(Stack, TcpMetricsOfTheInitialNamespaceAreItsOwn, Covers("STACK-13"), Needs(Machine(), Config("INET")), Exclusive{}) {
  const auto initial = InitialNetNamespace();
  LoopbackUp(initial);
  const std::vector<std::string> addresses = {LoopbackAddress(1), LoopbackAddress(2), LoopbackAddress(3)};
  const Metrics metrics = Metrics::Of(initial);
  auto fresh = CreateWithLoopback(), other = CreateWithLoopback();
  Learn(fresh, 3);
  EXPECT_GT(metrics.Each(fresh, TCP_METRICS_CMD_GET, addresses).first, 0U) << "control";
  for (auto [place, name] : {std::pair{&initial, "the initial namespace"}, {static_cast<const NetNamespace*>(&other), "another namespace"}}) {
    EXPECT_EQ(metrics.Each(*place, TCP_METRICS_CMD_GET, addresses).first, 0U) << "ip-tcp_metrics(8): what another namespace has learned is shown in " << name;
    EXPECT_EQ(metrics.Each(*place, TCP_METRICS_CMD_DEL, addresses).first, 0U) << "ip-tcp_metrics(8): what another namespace has learned was deleted in " << name;
  }
  Learn(initial, 3);
  const std::size_t known = metrics.Each(initial, TCP_METRICS_CMD_GET, addresses).first;
  EXPECT_GT(known, 0U) << "control";
  EXPECT_EQ(metrics.Each(other, TCP_METRICS_CMD_GET, addresses).first, 0U) << "ip-tcp_metrics(8): what the initial namespace has learned is shown in another one";
  EXPECT_EQ(metrics.Each(other, TCP_METRICS_CMD_DEL, addresses).first, 0U) << "ip-tcp_metrics(8): what the initial namespace has learned was deleted in another one";
  EXPECT_EQ(metrics.Each(initial, TCP_METRICS_CMD_DEL, addresses).first, known) << "control: its own";
}

}  // namespace
}  // namespace netns
