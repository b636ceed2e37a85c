// SPDX-License-Identifier: GPL-2.0-or-later
// STACK: addresses, neighbours, forwarding, autoconfiguration and ICMP of each namespace.
#include "fixtures/link_monitor.h"
#include "fixtures/nic.h"
#include "suites/support/sockets.h"

// The kernel's headers after the C library's: in this order they go together.
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>

#include <algorithm>
#include <set>

#include <linux/if_addr.h>

namespace netns {
namespace {

using namespace sock;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr int kEth0 = 50;

void AddEth0(const NetNamespace& where) {
  LoopbackUp(where);
  AddDevice(where, "eth0", kEth0);
}
NetNamespace CreateWithDevice() {
  auto created = NetNamespace::Create();
  AddEth0(created);
  return created;
}
AddressOptions At(const Family& family) { return AddressOptions{.nodad = family.domain == AF_INET6}; }

std::vector<std::string> AddressesOf(const NetNamespace& where, int family = AF_UNSPEC) {
  std::vector<std::string> all;
  for (const Address& address : SETUP_OK(RtnlIn(where).Addresses(AddressFilter{.family = family}))) all.push_back(address.ToString());
  return all;
}

void SameAddressEverywhere(const Family& family) {
  // All at once, so that each comes right after another one of them, whatever else is made on the machine meanwhile.
  std::vector<NetNamespace> all;
  for (int i = 0; i < 10; ++i) all.push_back(NetNamespace::Create());
  all.push_back(all[0].In([] { return NetNamespace::Create(); }));
  for (const NetNamespace& each : all) AddEth0(each);
  const std::string address = family.domain == AF_INET ? "10.1.1.1/24" : "fd00::1/64";
  for (const NetNamespace& each : all) ASSERT_OK(RtnlIn(each).AddAddress(address, "eth0", At(family)));
  for (const NetNamespace& each : all) {
    EXPECT_THAT(RtnlIn(each).AddAddress(address, "eth0", At(family)), FailsWith(EEXIST)) << "control: twice on one device";
    EXPECT_THAT(AddressesOf(each, family.domain), Contains(address));
    EXPECT_THAT(Bound(each, SOCK_STREAM, SockAddr::Ip(address.substr(0, address.find('/')), 80)), Succeeds());
  }
  ASSERT_OK(RtnlIn(all[0]).DeleteAddress(address, "eth0"));
  EXPECT_THAT(AddressesOf(all[0], family.domain), Not(Contains(address)));
  EXPECT_THAT(RtnlIn(all[0]).DeleteAddress(address, "eth0"), FailsWith(EADDRNOTAVAIL)) << "control: gone here";
  for (std::size_t i = 1; i < all.size(); ++i) EXPECT_THAT(AddressesOf(all[i], family.domain), Contains(address)) << i;
}
NETNS_TEST(Stack, SameIpv4AddressInEveryNamespace, Covers("STACK-01"), Needs(Config("VETH"))) { SameAddressEverywhere(Families()[0]); }
NETNS_TEST(Stack, SameIpv6AddressInEveryNamespace, Covers("STACK-02"), Needs(Config("VETH"), Config("IPV6"))) {
  SameAddressEverywhere(Families()[1]);
}

/// The flags (IFA_F_...) of an address, nothing where there is no such address.
std::optional<std::uint32_t> FlagsOf(const NetNamespace& where, const std::string& address) {
  for (const Address& each : SETUP_OK(RtnlIn(where).Addresses(AddressFilter{.family = AF_INET6})))
    if (each.ToString() == address) return each.flags;
  return {};
}

// Duplicate address detection asks the link, not the machine.
NETNS_TEST(Stack, DuplicateAddressesAreThoseOfOneLink, Covers("STACK-02"), Needs(Config("VETH"), Config("IPV6"))) {
  auto alone = CreateWithDevice(), also_alone = CreateWithDevice(), one = CreateWithLoopback(), two = CreateWithLoopback();
  Join(one, "eth0", two, "eth0");
  const std::string address = "fd00::1/64";
  for (const NetNamespace* where : {&alone, &also_alone, &one, &two}) {
    SETUP_OK(where->SetSysctl("net/ipv6/conf/eth0/accept_dad", "1"));
    SETUP_OK(where->SetSysctl("net/ipv6/conf/eth0/dad_transmits", "1"));
    // Just to be faster; some kernels do not show these files in namespaces of ordinary users.
    if (where->HasSysctl("net/ipv6/neigh/eth0/retrans_time_ms")) SETUP_OK(where->SetSysctl("net/ipv6/neigh/eth0/retrans_time_ms", "100"));
  }
  const auto valid = [&](const NetNamespace& where) {
    return Eventually("the address to be valid", [&] {
      const auto flags = FlagsOf(where, address);
      return flags && (*flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)) == 0;
    });
  };
  for (const NetNamespace* where : {&alone, &also_alone, &one}) ASSERT_OK(RtnlIn(*where).AddAddress(address, "eth0"));
  EXPECT_OK(valid(alone));
  EXPECT_OK(valid(also_alone));
  ASSERT_OK(valid(one));
  ASSERT_OK(RtnlIn(two).AddAddress(address, "eth0"));
  EXPECT_EVENTUALLY("control: the second on one link to be found", [&] {
    const auto flags = FlagsOf(two, address);
    return flags && (*flags & IFA_F_DADFAILED) != 0;
  });
  for (const NetNamespace* where : {&alone, &also_alone, &one}) EXPECT_OK(valid(*where));
}

// Every list of addresses: netlink, ioctls, procfs.
NETNS_TEST(Stack, AddressesAreListedOnlyInTheirNamespace, Covers("STACK-03"), Needs(Config("VETH"))) {
  auto [here, there] = CreateTwo(AddEth0);
  const bool six = HasIpv6();
  ASSERT_OK(RtnlIn(here).AddAddress("10.1.0.1/24", "eth0"));
  ASSERT_OK(RtnlIn(here).AddAddress("10.1.0.2/24", "eth0"));  // a second one
  ASSERT_OK(RtnlIn(there).AddAddress("10.2.0.1/24", "eth0"));
  ASSERT_OK(RtnlIn(here).AddAddress("10.1.0.3/32", "lo"));
  if (six) {
    ASSERT_OK(RtnlIn(here).AddAddress("fd01::1/64", "eth0", AddressOptions{.nodad = true}));
    ASSERT_OK(RtnlIn(there).AddAddress("fd02::1/64", "eth0", AddressOptions{.nodad = true}));
  }
  EXPECT_THAT(AddressesOf(here, AF_INET), testing::UnorderedElementsAre("127.0.0.1/8", "10.1.0.1/24", "10.1.0.2/24", "10.1.0.3/32"));
  EXPECT_THAT(AddressesOf(there, AF_INET), testing::UnorderedElementsAre("127.0.0.1/8", "10.2.0.1/24"));
  const auto listed_by_ioctl = [](const NetNamespace& where) {
    Fd socket = SETUP_OK(where.Socket(AF_INET, SOCK_DGRAM));
    ifreq entries[16] = {};
    struct ifconf request{};
    request.ifc_len = sizeof entries;
    request.ifc_req = entries;
    if (::ioctl(socket.get(), SIOCGIFCONF, &request) < 0) throw SetupFailure("SIOCGIFCONF", std::source_location::current());
    std::vector<std::string> all;
    for (std::size_t i = 0; i < static_cast<std::size_t>(request.ifc_len) / sizeof(ifreq); ++i) {
      char text[INET_ADDRSTRLEN] = "";
      ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(&entries[i].ifr_addr)->sin_addr, text, sizeof text);
      all.emplace_back(text);
    }
    return all;
  };
  EXPECT_THAT(listed_by_ioctl(here), testing::UnorderedElementsAre("127.0.0.1", "10.1.0.1", "10.1.0.2", "10.1.0.3"));
  EXPECT_THAT(listed_by_ioctl(there), testing::UnorderedElementsAre("127.0.0.1", "10.2.0.1"));
  EXPECT_THAT(here.ReadProcNet("fib_trie"), Holds(testing::AllOf(HasSubstr("10.1.0.1"), HasSubstr("10.1.0.3"), Not(HasSubstr("10.2.0.1")))));
  EXPECT_THAT(there.ReadProcNet("fib_trie"), Holds(testing::AllOf(HasSubstr("10.2.0.1"), Not(HasSubstr("10.1.0.")))));
  if (six) {
    EXPECT_THAT(AddressesOf(here, AF_INET6), testing::AllOf(Contains("fd01::1/64"), Contains("::1/128"), Not(Contains("fd02::1/64"))));
    EXPECT_THAT(AddressesOf(there, AF_INET6), testing::AllOf(Contains("fd02::1/64"), Contains("::1/128"), Not(Contains("fd01::1/64"))));
    const std::string mine = "fd010000000000000000000000000001", theirs = "fd020000000000000000000000000001";
    EXPECT_THAT(here.ReadProcNet("if_inet6"), Holds(testing::AllOf(HasSubstr(mine), Not(HasSubstr(theirs)))));
    EXPECT_THAT(there.ReadProcNet("if_inet6"), Holds(testing::AllOf(HasSubstr(theirs), Not(HasSubstr(mine)))));
    // As many lines as addresses: none of another namespace hides among them.
    for (const NetNamespace* where : {&here, &there}) {
      const std::string text = SETUP_OK(where->ReadProcNet("if_inet6"));
      EXPECT_EQ(static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')), AddressesOf(*where, AF_INET6).size());
    }
  }
  // A fresh one has none; with lo up just those of lo.
  auto born = here.In([] { return NetNamespace::Create(); });
  EXPECT_THAT(AddressesOf(born), IsEmpty());
  LoopbackUp(born);
  if (six) {
    EXPECT_THAT(AddressesOf(born), testing::UnorderedElementsAre("127.0.0.1/8", "::1/128"));
  } else {
    EXPECT_THAT(AddressesOf(born), testing::ElementsAre("127.0.0.1/8"));
  }
}

NETNS_TEST(Stack, AddressNotificationsStayInTheNamespace, Covers("STACK-03"), Needs(Config("VETH"))) {
  auto [here, there] = CreateTwo(AddEth0);
  const std::vector<unsigned> groups = {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, RTNLGRP_NEIGH, RTNLGRP_IPV4_ROUTE};
  auto own = SETUP_OK(RtnlMonitor::In(here, groups)), other = SETUP_OK(RtnlMonitor::In(there, groups));
  Rtnl rtnl = RtnlIn(here);
  SETUP_OK(rtnl.AddAddress("10.1.0.1/24", "eth0"));
  SETUP_OK(rtnl.AddNeighbour(NeighbourSpec{.to = "10.1.0.9", .address = "02:00:00:00:00:09", .dev = "eth0"}));
  SETUP_OK(rtnl.DeleteAddress("10.1.0.1/24", "eth0"));
  if (HasIpv6()) SETUP_OK(rtnl.AddAddress("fd01::1/64", "eth0", AddressOptions{.nodad = true}));
  const auto about = [](const std::vector<Message>& messages, const std::string& address) {
    return std::count_if(messages.begin(), messages.end(), [&](const Message& message) {
      if (message.type() != RTM_NEWADDR && message.type() != RTM_DELADDR) return false;
      return ReadAddress(message).ToString() == address;
    });
  };
  const auto types = [](const std::vector<Message>& messages) {
    std::set<int> all;
    for (const Message& message : messages) all.insert(message.type());
    return all;
  };
  const auto heard = SETUP_OK(own.ThroughFence()), leaked = SETUP_OK(other.ThroughFence());
  EXPECT_EQ(about(heard, "10.1.0.1/24"), 2) << "control";
  EXPECT_THAT(types(heard), Contains(RTM_NEWNEIGH)) << "control";
  EXPECT_EQ(about(leaked, "10.1.0.1/24"), 0);
  EXPECT_EQ(about(leaked, "fd01::1/64"), 0);
  // (The link-local address of this namespace's own device may become valid in between; an IPv4 route may not appear.)
  EXPECT_THAT(types(leaked), testing::AllOf(Not(Contains(RTM_NEWROUTE)), Not(Contains(RTM_DELROUTE))));
}

// Without any configuration.
NETNS_TEST(Stack, NamespaceWithoutConfigurationReachesNothing, Covers("STACK-05")) {
  auto fresh = NetNamespace::Create();
  const auto tcp = [&](const char* address) { return TryConnect(fresh, SockAddr::Ip(address, 9)); };
  const auto udp = [&](const char* address) {
    const SockAddr to = SockAddr::Ip(address, 9);
    return SendTo(SETUP_OK(fresh.Socket(to.family(), SOCK_DGRAM)), "x", to);
  };
  for (const char* address : {"127.0.0.1", "192.0.2.1"}) {
    SCOPED_TRACE(address);
    EXPECT_THAT(tcp(address), FailsWith(ENETUNREACH));
    EXPECT_THAT(udp(address), FailsWith(ENETUNREACH));
  }
  if (HasIpv6()) {
    for (const char* address : {"::1", "2001:db8::1"}) {
      SCOPED_TRACE(address);
      EXPECT_THAT(tcp(address), FailsWith(EADDRNOTAVAIL)) << "no address to send from";
      EXPECT_THAT(udp(address), FailsWith(EADDRNOTAVAIL)) << "no address to send from";
    }
  }
  LoopbackUp(fresh);
  EXPECT_THAT(tcp("127.0.0.1"), FailsWith(ECONNREFUSED)) << "control: lo is up";
  EXPECT_THAT(udp("127.0.0.1"), Succeeds()) << "control: lo is up";
  if (HasIpv6()) {
    EXPECT_THAT(tcp("::1"), FailsWith(ECONNREFUSED)) << "control: lo is up";
  }
  EXPECT_THAT(tcp("192.0.2.1"), FailsWith(ENETUNREACH));
  if (HasIpv6()) {
    EXPECT_THAT(tcp("2001:db8::1"), FailsWith(ENETUNREACH));
  }
}

NETNS_TEST(Stack, BindingInAPristineNamespace, Covers("STACK-06")) {
  auto fresh = NetNamespace::Create();
  const auto bind_a = [&](int type, const char* address) { return Bound(fresh, type, SockAddr::Ip(address, 7000), type == SOCK_RAW ? int{IPPROTO_UDP} : 0); };
  const auto bind = [&](const char* address) { return bind_a(SOCK_DGRAM, address); };
  EXPECT_THAT(bind("10.9.9.9"), Succeeds()) << "no table yet: any address will do";
  EXPECT_THAT(bind_a(SOCK_STREAM, "10.9.9.9"), Succeeds()) << "no table yet: any address will do";
  if (HasIpv6()) {
    EXPECT_THAT(bind_a(SOCK_STREAM, "::1"), FailsWith(EADDRNOTAVAIL));
    EXPECT_THAT(bind_a(SOCK_RAW, "::1"), FailsWith(EADDRNOTAVAIL));
  }
  if (HasIpv6()) {
    EXPECT_THAT(bind("::1"), FailsWith(EADDRNOTAVAIL));
    EXPECT_THAT(bind("fd00::9"), FailsWith(EADDRNOTAVAIL));
  }
  LoopbackUp(fresh);
  EXPECT_THAT(bind("10.9.9.9"), FailsWith(EADDRNOTAVAIL));
  EXPECT_THAT(bind("127.0.0.1"), Succeeds());
  for (int type : {SOCK_STREAM, SOCK_RAW}) {
    EXPECT_THAT(bind_a(type, "10.9.9.9"), FailsWith(EADDRNOTAVAIL)) << "type " << type;
    EXPECT_THAT(bind_a(type, "127.0.0.1"), Succeeds()) << "type " << type;
  }
  if (HasIpv6()) {
    EXPECT_THAT(bind("::1"), Succeeds());
    EXPECT_THAT(bind("fd00::9"), FailsWith(EADDRNOTAVAIL));
    for (int type : {SOCK_STREAM, SOCK_RAW}) {
      EXPECT_THAT(bind_a(type, "fd00::9"), FailsWith(EADDRNOTAVAIL)) << "type " << type;
      EXPECT_THAT(bind_a(type, "::1"), Succeeds()) << "type " << type;
    }
  }
  // A namespace that has just been made has no table, whatever others have.
  EXPECT_THAT(Bound(fresh.In([] { return NetNamespace::Create(); }), SOCK_STREAM, SockAddr::Ip("10.9.9.9", 7000)), Succeeds());
}

void ForeignAddressIsNotLocal(const Family& family) {
  auto [elder, owner, other] = std::array{NetNamespace::Create(), NetNamespace::Create(), NetNamespace::Create()};
  for (const NetNamespace* each : {&elder, &owner, &other}) AddEth0(*each);
  // Of both families in either test: whatever namespace is the one next to `other`, it has the address.
  for (const NetNamespace* each : {&elder, &owner})
    for (const Family& of : Families())
      if (of.domain == AF_INET || HasIpv6()) AddAddress(*each, of.domain == AF_INET ? "10.5.5.5/32" : "fd05::5/128", "eth0");
  const std::string address = family.domain == AF_INET ? "10.5.5.5" : "fd05::5";
  AddAddress(other, family.HostPrefix(1), "eth0");
  SETUP_OK(RtnlIn(other).AddRoute(RouteSpec{.to = "default", .dev = "eth0", .family = family.domain}));
  auto local = RtnlIn(owner).GetRoute(address);
  ASSERT_OK(local);
  EXPECT_EQ(local->type, RTN_LOCAL) << "control";
  auto route = RtnlIn(other).GetRoute(address);
  ASSERT_OK(route);
  EXPECT_EQ(route->type, RTN_UNICAST);
  EXPECT_EQ(route->dev, kEth0);
  EXPECT_THAT(Bound(other, SOCK_DGRAM, SockAddr::Ip(address, 7000)), FailsWith(EADDRNOTAVAIL));
  // raw(7): "A raw socket can be bound to a specific local address".
  EXPECT_OK(Bind(SETUP_OK(owner.Socket(family.domain, SOCK_RAW, IPPROTO_UDP)), SockAddr::Ip(address, 0))) << "control";
  EXPECT_THAT(Bind(SETUP_OK(other.Socket(family.domain, SOCK_RAW, IPPROTO_UDP)), SockAddr::Ip(address, 0)), FailsWith(EADDRNOTAVAIL)) << "a raw socket";
  Fd server = SETUP_OK(Bound(owner, SOCK_DGRAM, SockAddr::Ip(address, 7000)));
  Fd listener = SETUP_OK(Listener(owner, SockAddr::Ip(address, 7000)));
  Fd stray = SETUP_OK(other.Socket(family.domain, SOCK_DGRAM));
  EXPECT_OK(SendTo(stray, "stray", SockAddr::Ip(address, 7000))) << "routed to its own device";
  Fd connection = SETUP_OK(other.Socket(family.domain, SOCK_STREAM));
  SETUP_OK(NonBlocking(connection));
  const SockAddr target = SockAddr::Ip(address, 7000);
  EXPECT_EQ(::connect(connection.get(), target.get(), target.size()), -1);
  EXPECT_EQ(errno, EINPROGRESS);
  Fd own = SETUP_OK(owner.Socket(family.domain, SOCK_DGRAM));
  ASSERT_OK(SendTo(own, "own", SockAddr::Ip(address, 7000)));
  EXPECT_THAT(Receive(server), Holds("own")) << "control, and the first that may come here";
  EXPECT_FALSE(Readable(listener)) << "a connection from another namespace";
  // With a wire between them it is reached.
  auto third = CreateWithLoopback();
  Join(owner, "wire", third, "wire");
  SETUP_OK(RtnlIn(third).AddRoute(RouteSpec{.to = "default", .via = family.Host(1), .dev = "wire"}));
  EXPECT_THAT(TryConnect(third, target), Succeeds()) << "control";
}
// Alone, so that no other test's namespace comes between the two.
NETNS_TEST(Stack, Ipv4AddressOfAnotherNamespaceIsNotLocal, Covers("STACK-07"), Needs(Config("VETH")), Exclusive{}) {
  ForeignAddressIsNotLocal(Families()[0]);
}
NETNS_TEST(Stack, Ipv6AddressOfAnotherNamespaceIsNotLocal, Covers("STACK-07"), Needs(Config("VETH"), Config("IPV6")), Exclusive{}) {
  ForeignAddressIsNotLocal(Families()[1]);
}

/// left - router - right, joined by veth pairs; all with default routes through the router.
struct Chain {
  NetNamespace left, router, right;
  Fd client, server;
};
Chain MakeChain(const Family& family) {
  const bool v4 = family.domain == AF_INET;
  Chain chain{CreateWithLoopback(), CreateWithLoopback(), CreateWithLoopback(), {}, {}};
  const auto address = [&](int net, int host) {
    return v4 ? "10.0." + std::to_string(net) + "." + std::to_string(host) : "fd00:0:0:" + std::to_string(net) + "::" + std::to_string(host);
  };
  const std::string prefix = v4 ? "/24" : "/64";
  const auto wire = [&](const NetNamespace& end, const std::string& port, int net) {
    SETUP_OK(RtnlIn(end).AddVeth("eth0", PeerSpec{.name = port, .netns_fd = chain.router.fd()}));
    SETUP_OK(RtnlIn(end).AddAddress(address(net, 1) + prefix, "eth0", At(family)));
    SETUP_OK(RtnlIn(chain.router).AddAddress(address(net, 254) + prefix, port, At(family)));
    SETUP_OK(RtnlIn(end).Up("eth0"));
    SETUP_OK(RtnlIn(chain.router).Up(port));
    WaitUntilRunning(end, "eth0");
    WaitUntilRunning(chain.router, port);
    WaitUntilLocal(end, address(net, 1));
    WaitUntilLocal(chain.router, address(net, 254));
    SETUP_OK(RtnlIn(end).AddRoute(RouteSpec{.to = "default", .via = address(net, 254), .dev = "eth0"}));
  };
  wire(chain.left, "eth0", 1);
  wire(chain.right, "eth1", 2);
  chain.client = SETUP_OK(chain.left.Socket(family.domain, SOCK_DGRAM));
  chain.server = SETUP_OK(Bound(chain.right, SOCK_DGRAM, SockAddr::Ip(address(2, 1), 7000)));
  return chain;
}
/// Whether a datagram passes the router. The fence is one that the router itself sends afterwards.
bool Passes(Chain& chain) {
  const SockAddr target = SETUP_OK(SockAddr::Of(chain.server));
  SETUP_OK(SendTo(chain.client, "through", target));
  SETUP_OK(SendTo(SETUP_OK(chain.router.Socket(target.family(), SOCK_DGRAM)), "fence", target));
  if (SETUP_OK(Receive(chain.server)) == "fence") return false;
  SETUP_OK(Receive(chain.server));
  return true;
}
void Forwarding(const Family& family) {
  Chain one = MakeChain(family), two = MakeChain(family);
  const bool v4 = family.domain == AF_INET;
  const std::string name = v4 ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding";
  SETUP_OK(one.router.SetSysctl(name, "0"));
  SETUP_OK(two.router.SetSysctl(name, "0"));
  EXPECT_FALSE(Passes(one)) << "control: off";
  EXPECT_FALSE(Passes(two)) << "control: off";
  ASSERT_OK(one.router.SetSysctl(name, "1"));
  EXPECT_THAT(two.router.Sysctl(name), Holds("0"));
  // A datagram that waits for its neighbour to be found may come after the fence: the first one just warms up.
  EXPECT_EVENTUALLY("control: it is on", [&] { return Passes(one); });
  EXPECT_FALSE(Passes(two)) << "forwarding of another namespace";
  for (const NetNamespace* end : {&one.left, &one.right}) SETUP_OK(end->SetSysctl(name, "0"));
  EXPECT_TRUE(Passes(one)) << "off in the other namespaces of the way";
  ASSERT_OK(two.router.SetSysctl(name, "1"));
  ASSERT_OK(one.router.SetSysctl(name, "0"));
  EXPECT_EVENTUALLY("control: it is on", [&] { return Passes(two); });
  EXPECT_FALSE(Passes(one));
  if (!v4) return;
  // Per device: the one that a packet comes in by.
  ASSERT_OK(one.router.SetSysctl("net/ipv4/conf/eth0/forwarding", "1"));
  ASSERT_OK(two.router.SetSysctl("net/ipv4/conf/eth0/forwarding", "0"));
  EXPECT_EVENTUALLY("control: on for the device", [&] { return Passes(one); });
  EXPECT_FALSE(Passes(two));
}
NETNS_TEST(Stack, Ipv4ForwardingIsDecidedByEachNamespace, Covers("STACK-08"), Needs(Config("VETH"))) { Forwarding(Families()[0]); }
NETNS_TEST(Stack, Ipv6ForwardingIsDecidedByEachNamespace, Covers("STACK-08"), Needs(Config("VETH"), Config("IPV6"))) {
  Forwarding(Families()[1]);
}

/// A router advertisement with one prefix for autoconfiguration.
void Advertise(const NetNamespace& router, const char* prefix) {
  nd_router_advert advert{};
  advert.nd_ra_type = ND_ROUTER_ADVERT;
  advert.nd_ra_curhoplimit = 64;
  advert.nd_ra_router_lifetime = htons(1800);
  nd_opt_prefix_info option{};
  option.nd_opt_pi_type = ND_OPT_PREFIX_INFORMATION;
  option.nd_opt_pi_len = 4;
  option.nd_opt_pi_prefix_len = 64;
  option.nd_opt_pi_flags_reserved = ND_OPT_PI_FLAG_ONLINK | ND_OPT_PI_FLAG_AUTO;
  option.nd_opt_pi_valid_time = htonl(86400);
  option.nd_opt_pi_preferred_time = htonl(43200);
  ::inet_pton(AF_INET6, prefix, &option.nd_opt_pi_prefix);
  std::string message(reinterpret_cast<const char*>(&advert), sizeof advert);
  message.append(reinterpret_cast<const char*>(&option), sizeof option);
  Fd raw = SETUP_OK(router.Socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6));
  const auto index = static_cast<unsigned>(IndexOf(router, "eth0"));
  SETUP_OK(Bind(raw, SockAddr::Ip("fe80::1", 0, index)));
  SETUP_OK(SetOption(raw, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 255));
  SETUP_OK(SendTo(raw, message, SockAddr::Ip("ff02::1", 0, index)));
}
bool HasAddressIn(const NetNamespace& where, const std::string& start) {
  const auto all = AddressesOf(where, AF_INET6);
  return std::any_of(all.begin(), all.end(), [&](const std::string& text) { return text.starts_with(start); });
}
bool HasDefaultRoute(const NetNamespace& where) {
  for (const Route& route : SETUP_OK(RtnlIn(where).Routes(RouteFilter{.family = AF_INET6})))
    if (route.to == "default" && route.via == "fe80::1") return true;
  return false;
}

NETNS_TEST(Stack, RouterAdvertisementsConfigureOneNamespace, Covers("STACK-09", "ROUTE-02"), Needs(Config("VETH"), Config("IPV6"))) {
  struct Pair {
    NetNamespace router, host;
  };
  std::vector<Pair> pairs;
  for (int i = 0; i < 2; ++i) {
    Pair pair{CreateWithLoopback(), CreateWithLoopback()};
    Join(pair.router, "eth0", pair.host, "eth0");
    AddAddress(pair.router, "fe80::1/64", "eth0");
    SETUP_OK(pair.router.SetSysctl("net/ipv6/conf/eth0/accept_ra", "0"));  // it hears itself
    for (const char* name : {"accept_ra", "accept_ra_pinfo", "accept_ra_defrtr", "autoconf"})
      SETUP_OK(pair.host.SetSysctl(std::string("net/ipv6/conf/eth0/") + name, "1"));
    pairs.push_back(std::move(pair));
  }
  // What came before has been processed when a datagram that was sent afterwards is there.
  const auto fence = [](const Pair& pair) {
    Fd server = SETUP_OK(Bound(pair.host, SOCK_DGRAM, SockAddr::Ip("2001:db8::2", 7000)));
    SETUP_OK(SendTo(SETUP_OK(pair.router.Socket(AF_INET6, SOCK_DGRAM)), "fence", SockAddr::Ip("2001:db8::2", 7000)));
    SETUP_OK(Receive(server));
  };
  Advertise(pairs[0].router, "2001:db8:1::");
  EXPECT_EVENTUALLY("control: the address to be made", [&] { return HasAddressIn(pairs[0].host, "2001:db8:1:"); });
  EXPECT_EVENTUALLY("control: the default route", [&] { return HasDefaultRoute(pairs[0].host); });
  fence(pairs[1]);
  EXPECT_FALSE(HasAddressIn(pairs[1].host, "2001:db8:1:"));
  EXPECT_FALSE(HasDefaultRoute(pairs[1].host));
  EXPECT_FALSE(HasAddressIn(pairs[0].router, "2001:db8:1:"));
  // Not taken where accept_ra is off; the other namespace still takes them.
  ASSERT_OK(pairs[1].host.SetSysctl("net/ipv6/conf/eth0/accept_ra", "0"));
  EXPECT_THAT(pairs[0].host.Sysctl("net/ipv6/conf/eth0/accept_ra"), Holds("1"));
  Advertise(pairs[1].router, "2001:db8:2::");
  fence(pairs[1]);
  EXPECT_FALSE(HasAddressIn(pairs[1].host, "2001:db8:2:")) << "accept_ra=0";
  Advertise(pairs[0].router, "2001:db8:3::");
  EXPECT_EVENTUALLY("the address to be made", [&] { return HasAddressIn(pairs[0].host, "2001:db8:3:"); });
  ASSERT_OK(pairs[1].host.SetSysctl("net/ipv6/conf/eth0/accept_ra", "1"));
  Advertise(pairs[1].router, "2001:db8:4::");
  EXPECT_EVENTUALLY("control: accept_ra=1 again", [&] { return HasAddressIn(pairs[1].host, "2001:db8:4:"); });
  EXPECT_FALSE(HasAddressIn(pairs[0].host, "2001:db8:4:"));
  // autoconf=0: routes, but no address.
  ASSERT_OK(pairs[1].host.SetSysctl("net/ipv6/conf/eth0/autoconf", "0"));
  Advertise(pairs[1].router, "2001:db8:5::");
  fence(pairs[1]);
  EXPECT_FALSE(HasAddressIn(pairs[1].host, "2001:db8:5:")) << "autoconf=0";
  Advertise(pairs[0].router, "2001:db8:6::");
  EXPECT_EVENTUALLY("the address to be made", [&] { return HasAddressIn(pairs[0].host, "2001:db8:6:"); });
  // use_tempaddr: RFC 8981, a second address that is given up after a while.
  ASSERT_OK(pairs[1].host.SetSysctl("net/ipv6/conf/eth0/autoconf", "1"));
  const auto temporary = [](const NetNamespace& where, const std::string& start) {
    for (const Address& each : SETUP_OK(RtnlIn(where).Addresses(AddressFilter{.family = AF_INET6})))
      if (each.address.starts_with(start) && (each.flags & IFA_F_TEMPORARY) != 0) return true;
    return false;
  };
  for (std::size_t wants : {0U, 1U}) {
    const std::size_t other = 1 - wants;
    SCOPED_TRACE(wants == 0 ? "the older host wants temporary addresses" : "the younger host wants temporary addresses");
    const std::string one = wants == 0 ? "2001:db8:7:" : "2001:db8:9:", two = wants == 0 ? "2001:db8:8:" : "2001:db8:a:";
    ASSERT_OK(pairs[other].host.SetSysctl("net/ipv6/conf/eth0/use_tempaddr", "0"));
    ASSERT_OK(pairs[wants].host.SetSysctl("net/ipv6/conf/eth0/use_tempaddr", "2"));
    Advertise(pairs[wants].router, (one + ":").c_str());
    EXPECT_EVENTUALLY("a temporary address to be made", [&] { return temporary(pairs[wants].host, one); });
    Advertise(pairs[other].router, (two + ":").c_str());
    EXPECT_EVENTUALLY("control: the address to be made", [&] { return HasAddressIn(pairs[other].host, two); });
    fence(pairs[other]);
    EXPECT_FALSE(temporary(pairs[other].host, two)) << "ip-sysctl.rst, use_tempaddr: only another namespace wants temporary addresses";
    EXPECT_THAT(pairs[other].host.Sysctl("net/ipv6/conf/eth0/use_tempaddr"), Holds("0"));
  }
}

// ip-sysctl.rst, conf/all/forwarding: who starts to forward is no host any more and gives up its default routers: where it was
// switched on. So is what else takes routes, addresses or routers away, of a device or of a whole namespace.
void SwitchesLeaveWhatOthersLearned(bool initial) {
  const NetNamespace router = CreateWithLoopback(), host = CreateWithLoopback(), older = initial ? InitialNetNamespace() : CreateWithLoopback();
  Join(router, "eth0", host, "eth0");
  AddAddress(router, "fe80::1/64", "eth0");
  SETUP_OK(router.SetSysctl("net/ipv6/conf/eth0/accept_ra", "0"));  // it hears itself
  for (const char* name : {"accept_ra", "accept_ra_pinfo", "accept_ra_defrtr", "autoconf"})
    SETUP_OK(host.SetSysctl(std::string("net/ipv6/conf/eth0/") + name, "1"));
  const auto younger = host.In([] { return NetNamespace::Create(); });
  const auto learned = [&] { return HasDefaultRoute(host) && HasAddressIn(host, "2001:db8:1:"); };
  Advertise(router, "2001:db8:1::");
  ASSERT_OK(Eventually("control: what was advertised to be learned", learned));
  // (device, value): lo is in every namespace.
  const struct {
    const char *setting, *value;
  } switches[] = {{"all/forwarding", "1"}, {"default/forwarding", "1"}, {"lo/forwarding", "1"},   {"all/disable_ipv6", "1"},
                  {"lo/disable_ipv6", "1"}, {"all/accept_ra", "0"},     {"default/accept_ra", "0"}, {"all/proxy_ndp", "1"}};
  for (const NetNamespace* other : {&older, &younger}) {
    SCOPED_TRACE(other == &younger ? "in a namespace that was made inside" : initial ? "in the initial namespace" : "in an older namespace");
    for (const auto& [setting, value] : switches) {
      const std::string file = std::string("net/ipv6/conf/") + setting;
      const std::string old = SETUP_OK(other->Sysctl(file));
      // Those of all devices of the initial namespace are in use.
      if (initial && other == &older && file.ends_with("disable_ipv6")) continue;
      SETUP_OK(other->SetSysctl(file, value));
      EXPECT_TRUE(HasDefaultRoute(host)) << setting << " = " << value << " took away the default route of another namespace";
      EXPECT_TRUE(HasAddressIn(host, "2001:db8:1:")) << setting << " = " << value << " took away an address of another namespace";
      SETUP_OK(other->SetSysctl(file, old));
      EXPECT_TRUE(learned()) << setting << " = " << old << ": back again";
      if (!learned()) return;
    }
  }
  ASSERT_OK(host.SetSysctl("net/ipv6/conf/all/forwarding", "1"));
  EXPECT_EVENTUALLY("control: the default route to go where forwarding was switched on", [&] { return !HasDefaultRoute(host); });
}
NETNS_TEST(Stack, SwitchesOfANamespaceLeaveWhatAnotherLearnedFromItsRouter, Covers("STACK-08", "STACK-09", "ROUTE-02"), Needs(Config("VETH"), Config("IPV6"))) {
  SwitchesLeaveWhatOthersLearned(false);
}
NETNS_TEST(Stack, SwitchesOfTheInitialNamespaceLeaveWhatAnotherLearnedFromItsRouter, Covers("STACK-08", "STACK-09", "ROUTE-02"),
           Needs(Machine(), Config("VETH"), Config("IPV6")), Exclusive{}) {
  SwitchesLeaveWhatOthersLearned(true);
}

NETNS_TEST(Stack, Ipv6CanBeDisabledInOneNamespace, Covers("STACK-09"), Needs(Config("VETH"), Config("IPV6"))) {
  auto [here, there] = CreateTwo(AddEth0);
  for (const char* device : {"eth0", "all"}) {
    SCOPED_TRACE(device);
    for (const NetNamespace* where : {&here, &there})
      if (!HasAddressIn(*where, "fd07::")) SETUP_OK(RtnlIn(*where).AddAddress("fd07::1/64", "eth0", AddressOptions{.nodad = true}));
    const std::string name = std::string("net/ipv6/conf/") + device + "/disable_ipv6";
    ASSERT_OK(here.SetSysctl(name, "1"));
    EXPECT_FALSE(HasAddressIn(here, "fd07::")) << "control";
    EXPECT_TRUE(HasAddressIn(there, "fd07::"));
    EXPECT_THAT(there.Sysctl(name), Holds("0"));
    EXPECT_THAT(there.Sysctl("net/ipv6/conf/eth0/disable_ipv6"), Holds("0"));
    EXPECT_THAT(RtnlIn(here).AddAddress("fd07::2/64", "eth0"), Not(Succeeds())) << "control";
    EXPECT_THAT(TryConnect(there, SockAddr::Ip("::1", 9)), FailsWith(ECONNREFUSED));
    EXPECT_THAT(here.In([] { return NetNamespace::Create(); }).Sysctl("net/ipv6/conf/all/disable_ipv6"), Holds("0")) << "made from inside";
    ASSERT_OK(here.SetSysctl(name, "0"));
  }
}

NETNS_TEST(Stack, StableSecretIsOfTheNamespace, Covers("STACK-10"), Needs(Config("VETH"), Config("IPV6"))) {
  const std::string name = "net/ipv6/conf/default/stable_secret";
  const std::string first = "2001:0db8:0000:0000:0000:0000:0000:0001", second = "2001:0db8:0000:0000:0000:0000:0000:0002";
  std::vector<NetNamespace> others;
  const auto make = [&](const std::string& secret) {
    auto created = NetNamespace::Create();
    EXPECT_THAT(created.Sysctl(name), FailsWith(EIO)) << "at birth: unset";
    SETUP_OK(created.SetSysctl(name, secret));
    EXPECT_THAT(created.Sysctl(name), Holds(secret));
    // The other end shall not come to the same address: it has no IPv6.
    auto other = NetNamespace::Create();
    SETUP_OK(other.SetSysctl("net/ipv6/conf/default/disable_ipv6", "1"));
    SETUP_OK(RtnlIn(created).AddVeth("eth0", PeerSpec{.name = "peer", .netns_fd = other.fd()}, LinkSpec{.address = "02:00:00:00:00:01"}));
    SETUP_OK(RtnlIn(created).Up("eth0"));
    SETUP_OK(RtnlIn(other).Up("peer"));
    others.push_back(std::move(other));
    return created;
  };
  const auto link_local = [&](const NetNamespace& where) {
    const int index = IndexOf(where, "eth0");
    std::string found;
    SETUP_OK(Eventually("a link-local address", [&] {
      for (const Address& address : SETUP_OK(RtnlIn(where).Addresses(AddressFilter{.family = AF_INET6})))
        if (address.index == index && address.address.starts_with("fe80:")) found = address.address;
      return !found.empty();
    }));
    return found;
  };
  auto one = make(first), two = make(second), also_one = make(first);
  const std::string address = link_local(one);
  EXPECT_NE(link_local(two), address);
  EXPECT_EQ(link_local(also_one), address) << "control: the same secret, name and hardware address";
  // A device that arrives takes the secret of where it is now.
  auto left = make(first), arrival = NetNamespace::Create();
  SETUP_OK(arrival.SetSysctl(name, second));
  EXPECT_EQ(link_local(left), address) << "control: before the move";
  ASSERT_OK(RtnlIn(left).MoveLink("eth0", ByFd(arrival.fd())));
  SETUP_OK(RtnlIn(arrival).Up("eth0"));
  EXPECT_EQ(link_local(arrival), link_local(two)) << "ip-sysctl.rst, stable_secret: of a device that has come from a namespace with another secret";
  EXPECT_THAT(one.SetSysctl("net/ipv6/conf/all/stable_secret", first), FailsWith(EIO));
  EXPECT_THAT(one.In([] { return NetNamespace::Create(); }).Sysctl(name), FailsWith(EIO)) << "not inherited";
  EXPECT_THAT(two.Sysctl(name), Holds(second));
}

/// Sends an echo request from a raw socket and says which sequence number is answered first.
Status Echo(const Fd& raw, const Family& family, const SockAddr& to, std::uint16_t sequence) {
  std::string request{static_cast<char>(family.domain == AF_INET ? 8 : 128), 0, 0, 0, 0x12, 0x34,
                      static_cast<char>(sequence >> 8), static_cast<char>(sequence)};
  if (family.domain == AF_INET) {
    std::uint32_t sum = 0x0800 + 0x1234 + sequence;
    sum = (sum & 0xffff) + (sum >> 16);
    request[2] = static_cast<char>(~sum >> 8);
    request[3] = static_cast<char>(~sum);
  }
  return SendTo(raw, request, to);
}
int NextReply(const Fd& raw, const Family& family) {
  for (;;) {
    const std::string packet = SETUP_OK(Receive(raw));
    const std::size_t at = family.domain == AF_INET ? 20 : 0;
    if (packet.size() < at + 8) continue;
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(packet[at + i]); };
    if (byte(0) != (family.domain == AF_INET ? 0 : 129) || byte(4) != 0x12 || byte(5) != 0x34) continue;
    return byte(6) << 8 | byte(7);
  }
}
void EchoHandling(const Family& family) {
  const bool v4 = family.domain == AF_INET;
  const std::string name = v4 ? "net.ipv4.icmp_echo_ignore_all" : "net.ipv6.icmp.echo_ignore_all";
  auto [here, there] = CreateTwoWithLoopback();
  Join(here, "eth0", there, "eth0");
  if (!here.HasSysctl(name)) throw MissingNeed("needs-feature:echo_ignore_all", "no " + name + " in this kernel", "", LinuxVersion{4, 20});
  const int protocol = v4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6};
  Fd from_here = SETUP_OK(here.Socket(family.domain, SOCK_RAW, protocol)), from_there = SETUP_OK(there.Socket(family.domain, SOCK_RAW, protocol));
  std::uint16_t sequence = 0;
  const SockAddr to_here = SockAddr::Ip(family.Host(1)), to_there = SockAddr::Ip(family.Host(2)), to_self = SockAddr::Ip(family.loopback);
  const auto answered = [&](const Fd& raw, const SockAddr& to) {
    ++sequence;
    SETUP_OK(Echo(raw, family, to, sequence));
    return NextReply(raw, family) == sequence;
  };
  // Not answered: the next reply is that to the request that is sent once echo is allowed again.
  const auto ignored = [&](const Fd& raw, const SockAddr& to, const NetNamespace& target) {
    SETUP_OK(Echo(raw, family, to, ++sequence));
    SETUP_OK(target.SetSysctl(name, "0"));
    SETUP_OK(Echo(raw, family, to, ++sequence));
    const bool as_expected = NextReply(raw, family) == sequence;
    SETUP_OK(target.SetSysctl(name, "1"));
    return as_expected;
  };
  EXPECT_THAT(here.Sysctl(name), Holds("0"));
  EXPECT_TRUE(answered(from_here, to_there)) << "control";
  EXPECT_TRUE(answered(from_there, to_here)) << "control";
  ASSERT_OK(there.SetSysctl(name, "1"));
  EXPECT_THAT(here.Sysctl(name), Holds("0"));
  EXPECT_TRUE(answered(from_there, to_here)) << "ignored in another namespace only";
  EXPECT_TRUE(answered(from_here, to_self)) << "ignored in another namespace only";
  EXPECT_TRUE(ignored(from_here, to_there, there));
  EXPECT_TRUE(ignored(from_there, to_self, there));
  EXPECT_THAT(here.Sysctl(name), Holds("0"));
  EXPECT_THAT(there.In([] { return NetNamespace::Create(); }).Sysctl(name), Holds("0")) << "made from inside";
}
NETNS_TEST(Stack, Ipv4EchoIsIgnoredByOneNamespace, Covers("STACK-11"), Needs(Config("VETH"))) { EchoHandling(Families()[0]); }
NETNS_TEST(Stack, Ipv6EchoIsIgnoredByOneNamespace, Covers("STACK-11"), Needs(Config("VETH"), Config("IPV6"))) { EchoHandling(Families()[1]); }

// ip-sysctl.rst, icmp/echo_ignore_multicast and _anycast: each has a place of its own in the kernel where it is asked.
void EchoesToSeveral(const char* name, bool anycast) {
  constexpr int kJoinAnycast = 27;  // IPV6_JOIN_ANYCAST
  const Family& family = Families()[1];
  struct Pair {
    NetNamespace asks = CreateWithLoopback(), answers = CreateWithLoopback();
    Fd raw, member;
    SockAddr several;
  };
  Pair pairs[2];
  for (Pair& pair : pairs) {
    if (!pair.answers.HasSysctl(name)) throw MissingNeed(std::string("needs-feature:") + name, std::string("no ") + name + " in this kernel", "", LinuxVersion{5, 1});
    Join(pair.asks, "eth0", pair.answers, "eth0");
    pair.raw = SETUP_OK(pair.asks.Socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6));
    SETUP_OK(SetOption(pair.raw, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0));  // else one asks oneself too
    pair.several = SockAddr::Ip("ff02::1", 0, static_cast<unsigned>(IndexOf(pair.asks, "eth0")));
    if (!anycast) continue;
    pair.member = SETUP_OK(pair.answers.Socket(AF_INET6, SOCK_DGRAM));
    ipv6_mreq request{};
    ::inet_pton(AF_INET6, "2001:db8::77", &request.ipv6mr_multiaddr);
    request.ipv6mr_interface = static_cast<unsigned>(IndexOf(pair.answers, "eth0"));
    if (::setsockopt(pair.member.get(), IPPROTO_IPV6, kJoinAnycast, &request, sizeof request) < 0)
      throw SetupFailure(ErrnoError("setsockopt(IPV6_JOIN_ANYCAST)").ToString(), std::source_location::current());
    pair.several = SockAddr::Ip("2001:db8::77");
  }
  std::uint16_t sequence = 0;
  // What is answered at all is answered before the echo behind it, which goes to one.
  const auto answered = [&](Pair& pair) {
    const std::uint16_t asked = ++sequence, behind = ++sequence;
    SETUP_OK(Echo(pair.raw, family, pair.several, asked));
    SETUP_OK(Echo(pair.raw, family, SockAddr::Ip(family.Host(2)), behind));
    bool found = false;
    for (int next = 0; (next = NextReply(pair.raw, family)) != behind;) found |= next == asked;
    return found;
  };
  // The neighbour is not known at first, and packets that wait for it may come late.
  for (Pair& pair : pairs) EXPECT_EVENTUALLY("control: it is answered", [&] { return answered(pair); });
  for (std::size_t silent : {0U, 1U}) {
    Pair &one = pairs[silent], &other = pairs[1 - silent];
    SCOPED_TRACE(silent == 0 ? "ignored in the older namespace" : "ignored in the younger namespace");
    ASSERT_OK(one.answers.SetSysctl(name, "1"));
    ASSERT_OK(other.asks.SetSysctl(name, "1"));  // who asks has nothing to say in it
    EXPECT_FALSE(answered(one)) << "ip-sysctl.rst: such echoes are ignored in this namespace";
    EXPECT_TRUE(answered(other)) << "ip-sysctl.rst: such echoes are ignored in another namespace only";
    ASSERT_OK(one.answers.SetSysctl(name, "0"));
    EXPECT_TRUE(answered(one)) << "control: switched off again";
  }
}
NETNS_TEST(Stack, EchoesToGroupsAreIgnoredByOneNamespace, Covers("STACK-11", "SYSCTL-21"), Needs(Config("VETH"), Config("IPV6"))) {
  EchoesToSeveral("net.ipv6.icmp.echo_ignore_multicast", false);
}
NETNS_TEST(Stack, EchoesToAnycastAddressesAreIgnoredByOneNamespace, Covers("STACK-11", "SYSCTL-21"), Needs(Config("VETH"), Config("IPV6"))) {
  EchoesToSeveral("net.ipv6.icmp.echo_ignore_anycast", true);
}

NETNS_TEST(Stack, IcmpSettingsAreSeparate, Covers("STACK-11", "STACK-12")) {
  auto here = NetNamespace::Create(), there = NetNamespace::Create();
  for (auto [name, value] : {std::pair{"net.ipv4.icmp_echo_ignore_broadcasts", "0"}, {"net.ipv4.icmp_ignore_bogus_error_responses", "0"},
                             {"net.ipv4.icmp_errors_use_inbound_ifaddr", "1"}, {"net.ipv4.icmp_ratelimit", "500"},
                             {"net.ipv4.icmp_ratemask", "1"}, {"net.ipv4.icmp_echo_enable_probe", "1"},
                             {"net.ipv6.icmp.ratelimit", "500"}, {"net.ipv6.icmp.echo_ignore_multicast", "1"},
                             {"net.ipv6.icmp.echo_ignore_anycast", "1"}, {"net.ipv6.icmp.ratemask", "1"},
                             {"net.ipv4.ipfrag_high_thresh", "5000000"}, {"net.ipv4.ipfrag_low_thresh", "2000000"},
                             {"net.ipv4.ipfrag_time", "7"}, {"net.ipv4.ipfrag_max_dist", "7"},
                             {"net.ipv6.ip6frag_high_thresh", "5000000"}, {"net.ipv6.ip6frag_low_thresh", "2000000"},
                             {"net.ipv6.ip6frag_time", "7"}}) {
    if (!here.HasSysctl(name)) continue;
    SCOPED_TRACE(name);
    const std::string birth = SETUP_OK(there.Sysctl(name));
    EXPECT_THAT(here.Sysctl(name), Holds(birth));
    ASSERT_OK(here.SetSysctl(name, value));
    EXPECT_THAT(here.Sysctl(name), Holds(value)) << "control";
    EXPECT_THAT(there.Sysctl(name), Holds(birth));
    EXPECT_THAT(here.In([] { return NetNamespace::Create(); }).Sysctl(name), Holds(birth)) << "made from inside";
  }
}

// ip-sysctl.rst, icmp_ratelimit: "Limit the maximal rates for sending ICMP packets [...] to specific targets [...]. 0 to disable
// any limiting". Who asks at a closed port is told so, as often as the namespace that is asked allows.
void ErrorsFollowTheRateOfTheirNamespace(const Family& family) {
  const bool v4 = family.domain == AF_INET;
  const std::string rate = v4 ? "net.ipv4.icmp_ratelimit" : "net.ipv6.icmp.ratelimit";
  constexpr int kTimes = 12;
  const auto refusals = [&](const std::string& milliseconds, bool all_are_to_come, const std::string& mask = {}) {
    auto [asks, answers] = CreateTwoWithLoopback();
    Join(asks, "eth0", answers, "eth0");
    SETUP_OK(answers.SetSysctl(rate, milliseconds));
    if (!mask.empty()) SETUP_OK(answers.SetSysctl(v4 ? "net.ipv4.icmp_ratemask" : "net.ipv6.icmp.ratemask", mask));
    Fd echo = SETUP_OK(asks.Socket(family.domain, SOCK_RAW, v4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6}));
    Fd udp = SETUP_OK(Connected(asks, SOCK_DGRAM, SockAddr::Ip(family.Host(2), 9)));
    const auto refused = [&] { return SETUP_OK(GetOption(udp, SOL_SOCKET, SO_ERROR)) == ECONNREFUSED; };
    int count = 0;
    for (int i = 1; i <= kTimes; ++i) {
      SETUP_OK(Send(udp, "anybody?"));
      if (all_are_to_come) {
        if (!Eventually("a refusal", refused, Deadline::In(std::chrono::seconds(10))).ok()) break;
        ++count;
        continue;
      }
      // What is answered at all is answered before the echo.
      SETUP_OK(Echo(echo, family, SockAddr::Ip(family.Host(2)), static_cast<std::uint16_t>(i)));
      while (NextReply(echo, family) != i) {
      }
      count += refused();
    }
    return count;
  };
  EXPECT_EQ(refusals("0", true), kTimes) << "control: nothing is limited";
  EXPECT_LT(refusals("60000", false), kTimes) << "at most a few of a burst, with one a minute";
  EXPECT_EQ(refusals("0", true), kTimes) << "after what another namespace has refused to send";
  // "icmp_ratemask: Mask made of ICMP types for which rates are being limited"; IPv6 has a list of them.
  EXPECT_EQ(refusals("60000", true, v4 ? "0" : "128"), kTimes) << "ip-sysctl.rst: such errors are not limited in this namespace";
}
NETNS_TEST(Stack, Ipv4ErrorsFollowTheRateOfTheirNamespace, Covers("STACK-11"), Needs(Config("VETH"))) {
  ErrorsFollowTheRateOfTheirNamespace(Families()[0]);
}
NETNS_TEST(Stack, Ipv6ErrorsFollowTheRateOfTheirNamespace, Covers("STACK-11"), Needs(Config("VETH"), Config("IPV6"))) {
  ErrorsFollowTheRateOfTheirNamespace(Families()[1]);
}

// Fragments ---------------------------------------------------------------------------------------------------------------
/// The two fragments of a UDP datagram of 16 + 8 bytes from Host(2) to port 7000 of Host(1), with a fixed identification.
std::pair<std::string, std::string> Fragments(const Family& family, const std::string& text16) {
  udphdr udp{};
  udp.source = htons(6000);
  udp.dest = htons(7000);
  udp.len = htons(24);
  const std::string first_text = text16.substr(0, 8), second_text = text16.substr(8, 8);
  if (family.domain == AF_INET) {
    iphdr ip{};
    ip.version = 4;
    ip.ihl = 5;
    ip.ttl = 64;
    ip.id = htons(0x4242);
    ip.protocol = IPPROTO_UDP;
    ::inet_pton(AF_INET, family.Host(2).c_str(), &ip.saddr);
    ::inet_pton(AF_INET, family.Host(1).c_str(), &ip.daddr);
    ip.tot_len = htons(20 + 16);
    ip.frag_off = htons(IP_MF);
    const std::string first = BytesOf(ip) + BytesOf(udp) + first_text;
    ip.tot_len = htons(20 + 8);
    ip.frag_off = htons(2);
    return {first, BytesOf(ip) + second_text};
  }
  ip6_hdr ip{};
  ip.ip6_flow = htonl(6U << 28);
  ip.ip6_nxt = IPPROTO_FRAGMENT;
  ip.ip6_hlim = 64;
  ::inet_pton(AF_INET6, family.Host(2).c_str(), &ip.ip6_src);
  ::inet_pton(AF_INET6, family.Host(1).c_str(), &ip.ip6_dst);
  // UDP needs its checksum with IPv6.
  const std::string pseudo = BytesOf(ip.ip6_src) + BytesOf(ip.ip6_dst) + BytesOf(htonl(24)) + std::string("\0\0\0\x11", 4) + BytesOf(udp) + text16;
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < pseudo.size(); i += 2)
    sum += static_cast<std::uint32_t>(static_cast<unsigned char>(pseudo[i]) << 8 | static_cast<unsigned char>(pseudo[i + 1]));
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  udp.check = htons(static_cast<std::uint16_t>(~sum));
  ip6_frag part{};
  part.ip6f_nxt = IPPROTO_UDP;
  part.ip6f_ident = htonl(0x42424242);
  part.ip6f_offlg = IP6F_MORE_FRAG;
  ip.ip6_plen = htons(8 + 16);
  const std::string first = BytesOf(ip) + BytesOf(part) + BytesOf(udp) + first_text;
  part.ip6f_offlg = htons(16);
  ip.ip6_plen = htons(8 + 8);
  return {first, BytesOf(ip) + BytesOf(part) + second_text};
}
void FragmentsAreNotMixed(const Family& family) {
  struct Pair {
    NetNamespace host, peer;
    Fd server, raw;
  };
  std::vector<Pair> pairs;
  const SockAddr target = SockAddr::Ip(family.Host(1), 7000);
  for (int i = 0; i < 2; ++i) {
    Pair pair{CreateWithLoopback(), CreateWithLoopback(), {}, {}};
    Join(pair.host, "eth0", pair.peer, "eth0");
    pair.server = SETUP_OK(Bound(pair.host, SOCK_DGRAM, target));
    pair.raw = SETUP_OK(pair.peer.Socket(family.domain, SOCK_RAW, IPPROTO_RAW));
    // The neighbours know each other from the first datagram on.
    SETUP_OK(SendTo(SETUP_OK(pair.peer.Socket(family.domain, SOCK_DGRAM)), "hello", target));
    SETUP_OK(Receive(pair.server));
    pairs.push_back(std::move(pair));
  }
  const auto fenced = [&](Pair& pair) {
    SETUP_OK(SendTo(SETUP_OK(pair.peer.Socket(family.domain, SOCK_DGRAM)), "fence", target));
    return Receive(pair.server);
  };
  const auto first = Fragments(family, "first000second00"), second = Fragments(family, "FIRST000SECOND00");
  const SockAddr to = SockAddr::Ip(family.Host(1));
  ASSERT_OK(SendTo(pairs[0].raw, first.first, to));
  ASSERT_OK(SendTo(pairs[1].raw, second.second, to));
  EXPECT_THAT(fenced(pairs[0]), Holds("fence")) << "half a datagram";
  EXPECT_THAT(fenced(pairs[1]), Holds("fence")) << "half a datagram";
  ASSERT_OK(SendTo(pairs[0].raw, first.second, to));
  EXPECT_THAT(Receive(pairs[0].server), Holds("first000second00")) << "control: both in one namespace";
  ASSERT_OK(SendTo(pairs[1].raw, second.first, to));
  EXPECT_THAT(Receive(pairs[1].server), Holds("FIRST000SECOND00"));
}
NETNS_TEST(Stack, Ipv4FragmentsOfTwoNamespacesAreNotMixed, Covers("STACK-12"), Needs(Config("VETH"))) { FragmentsAreNotMixed(Families()[0]); }
NETNS_TEST(Stack, Ipv6FragmentsOfTwoNamespacesAreNotMixed, Covers("STACK-12"), Needs(Config("VETH"), Config("IPV6"))) {
  FragmentsAreNotMixed(Families()[1]);
}

// Neighbours ----------------------------------------------------------------------------------------------------------------
void Neighbours(const Family& family) {
  auto [here, there] = CreateTwo(AddEth0);
  for (const NetNamespace* where : {&here, &there}) AddAddress(*where, family.HostPrefix(1), "eth0");
  const auto spec = [&](int host, const char* address) {
    return NeighbourSpec{.to = family.Host(host), .address = address, .dev = "eth0"};
  };
  const auto entries = [&](const NetNamespace& where) {
    std::vector<std::string> all;
    for (const Neighbour& each : SETUP_OK(RtnlIn(where).Neighbours(family.domain)))
      if (each.to.starts_with(family.net)) all.push_back(each.to + " " + each.address);
    return all;
  };
  ASSERT_OK(RtnlIn(here).AddNeighbour(spec(9, "02:00:00:00:00:0a")));
  EXPECT_THAT(entries(there), IsEmpty()) << "of another namespace";
  EXPECT_THAT(RtnlIn(there).DeleteNeighbour(spec(9, "02:00:00:00:00:0a")), FailsWith(ENOENT));
  ASSERT_OK(RtnlIn(there).AddNeighbour(spec(9, "02:00:00:00:00:0b")));
  EXPECT_THAT(RtnlIn(there).AddNeighbour(spec(9, "02:00:00:00:00:0c")), FailsWith(EEXIST)) << "control";
  ASSERT_OK(RtnlIn(there).AddNeighbour(spec(8, "02:00:00:00:00:08")));
  EXPECT_THAT(entries(here), testing::ElementsAre(family.Host(9) + " 02:00:00:00:00:0a"));
  EXPECT_THAT(entries(there), testing::UnorderedElementsAre(family.Host(9) + " 02:00:00:00:00:0b", family.Host(8) + " 02:00:00:00:00:08"));
  if (family.domain == AF_INET) {
    EXPECT_THAT(here.ReadProcNet("arp"), Holds(testing::AllOf(HasSubstr("02:00:00:00:00:0a"), Not(HasSubstr("02:00:00:00:00:0b")), Not(HasSubstr("192.0.2.8 ")))));
    EXPECT_THAT(there.ReadProcNet("arp"), Holds(testing::AllOf(HasSubstr("02:00:00:00:00:0b"), Not(HasSubstr("02:00:00:00:00:0a")))));
  }
  ASSERT_OK(RtnlIn(here).DeleteNeighbour(spec(9, "02:00:00:00:00:0a")));
  // (A deleted permanent entry may stay listed as failed for a while; without an address.)
  EXPECT_THAT(entries(here), Not(Contains(family.Host(9) + " 02:00:00:00:00:0a"))) << "control";
  EXPECT_THAT(entries(there), Contains(family.Host(9) + " 02:00:00:00:00:0b"));
  // Proxy entries are a table of their own.
  NeighbourSpec proxy{.to = family.Host(77), .dev = "eth0", .state = 0, .flags = NTF_PROXY};
  ASSERT_OK(RtnlIn(here).AddNeighbour(proxy));
  const auto proxies = [&](const NetNamespace& where) {
    Rtnl rtnl = RtnlIn(where);
    ndmsg header{};
    header.ndm_family = static_cast<unsigned char>(family.domain);
    header.ndm_flags = NTF_PROXY;
    return SETUP_OK(rtnl.socket().Dump(Request(RTM_GETNEIGH).Header(header).Named("dump proxies"))).size();
  };
  EXPECT_EQ(proxies(here), 1U) << "control";
  EXPECT_EQ(proxies(there), 0U);
  EXPECT_THAT(RtnlIn(there).DeleteNeighbour(proxy), FailsWith(ENOENT));
  EXPECT_OK(RtnlIn(here).DeleteNeighbour(proxy));
}
NETNS_TEST(Stack, Ipv4NeighboursAreSeparate, Covers("STACK-22"), Needs(Config("VETH"))) { Neighbours(Families()[0]); }
NETNS_TEST(Stack, Ipv6NeighboursAreSeparate, Covers("STACK-22"), Needs(Config("VETH"), Config("IPV6"))) { Neighbours(Families()[1]); }

NETNS_TEST(Stack, NeighbourThresholdsExistOnlyInTheInitialNamespace, Covers("STACK-23")) {
  auto ns = NetNamespace::Create();
  std::vector<std::string> versions = {"ipv4"};
  if (HasIpv6()) versions.push_back("ipv6");
  for (const std::string& version : versions) {
    const std::string directory = "net/" + version + "/neigh/default/";
    for (const char* name : {"gc_thresh1", "gc_thresh2", "gc_thresh3", "gc_interval"}) {
      EXPECT_FALSE(ns.HasSysctl(directory + name)) << directory << name;
      EXPECT_THAT(ns.SetSysctl(directory + name, "1"), FailsWith(ENOENT)) << directory << name;
    }
    EXPECT_TRUE(ns.HasSysctl("net/" + version + "/conf/lo/forwarding")) << "control: this is how one looks";
  }
  Rtnl rtnl = RtnlIn(ns);
  for (auto [table, family] : {std::pair{"arp_cache", AF_INET}, {"ndisc_cache", AF_INET6}}) {
    if (family == AF_INET6 && !HasIpv6()) continue;
    for (std::uint16_t threshold : {NDTA_THRESH1, NDTA_THRESH2, NDTA_THRESH3}) {
      ndtmsg header{};
      header.ndtm_family = static_cast<unsigned char>(family);
      const Status status = rtnl.socket().Ack(Request(RTM_SETNEIGHTBL).Header(header).Text(NDTA_NAME, table).U32(threshold, 1).Named("set threshold"));
      EXPECT_THAT(status, FailsWith(ENOENT)) << table << " " << threshold;
    }
    ndtmsg header{};
    header.ndtm_family = static_cast<unsigned char>(family);
    Request interval(RTM_SETNEIGHTBL);
    interval.Header(header).Text(NDTA_NAME, table).Structure(NDTA_GC_INTERVAL, std::uint64_t{30'000}).Named("set the interval of the garbage collection");
    EXPECT_THAT(rtnl.socket().Ack(interval), FailsWith(ENOENT)) << table;
  }
}
// The same requests, where they are allowed; what is set there is the machine's.
NETNS_TEST(Stack, NeighbourThresholdsAreChangedInTheInitialNamespace, Covers("STACK-23"), Needs(Machine()), Exclusive{}) {
  const auto initial = InitialNetNamespace();
  auto fresh = NetNamespace::Create();
  for (auto [table, family, version] : {std::tuple{"arp_cache", AF_INET, "ipv4"}, {"ndisc_cache", AF_INET6, "ipv6"}}) {
    if (family == AF_INET6 && !HasIpv6()) continue;
    for (auto [attribute, name] : {std::pair{NDTA_THRESH1, "gc_thresh1"}, {NDTA_THRESH2, "gc_thresh2"}, {NDTA_THRESH3, "gc_thresh3"}}) {
      SCOPED_TRACE(std::string(table) + " " + name);
      const std::string file = std::string("net/") + version + "/neigh/default/" + name;
      const std::string before = SETUP_OK(initial.Sysctl(file));
      const auto set = [&, attribute = attribute, table = table, family = family](const NetNamespace& where, unsigned value) {
        ndtmsg header{};
        header.ndtm_family = static_cast<unsigned char>(family);
        Rtnl rtnl = RtnlIn(where);
        return rtnl.socket().Ack(Request(RTM_SETNEIGHTBL).Header(header).Text(NDTA_NAME, table).U32(static_cast<std::uint16_t>(attribute), value).Named("set threshold"));
      };
      EXPECT_THAT(set(fresh, 4321), FailsWith(ENOENT));
      EXPECT_THAT(initial.Sysctl(file), Holds(before)) << "refused, and done all the same";
      EXPECT_OK(set(initial, 4322)) << "control";
      EXPECT_THAT(initial.Sysctl(file), Holds("4322")) << "control";
      SETUP_OK(initial.SetSysctl(file, before));
    }
  }
}

// Multicast ----------------------------------------------------------------------------------------------------------------
void Multicast(const Family& family) {
  const bool v4 = family.domain == AF_INET;
  auto [here, there] = CreateTwo(AddEth0);
  for (const NetNamespace* where : {&here, &there}) AddAddress(*where, family.HostPrefix(1), "eth0");
  const SockAddr group = SockAddr::Ip(v4 ? "239.1.1.1" : "ff05::1:1", 7000, v4 ? 0 : kEth0);
  const auto member = [&](const NetNamespace& where) {
    Fd socket = SETUP_OK(Bound(where, SOCK_DGRAM, SockAddr::Ip(family.any, 7000)));
    group_req request{};
    request.gr_interface = kEth0;
    std::memcpy(&request.gr_group, group.get(), group.size());
    if (::setsockopt(socket.get(), v4 ? int{IPPROTO_IP} : int{IPPROTO_IPV6}, MCAST_JOIN_GROUP, &request, sizeof request) < 0)
      throw SetupFailure(ErrnoError("MCAST_JOIN_GROUP").ToString(), std::source_location::current());
    return socket;
  };
  const auto send = [&](const NetNamespace& where, const char* text) {
    Fd socket = SETUP_OK(where.Socket(family.domain, SOCK_DGRAM));
    if (v4) {
      ip_mreqn device{};
      device.imr_ifindex = kEth0;
      if (::setsockopt(socket.get(), IPPROTO_IP, IP_MULTICAST_IF, &device, sizeof device) < 0)
        throw SetupFailure(ErrnoError("IP_MULTICAST_IF").ToString(), std::source_location::current());
    } else {
      // The scope id of an address says nothing with groups beyond the link.
      SETUP_OK(SetOption(socket, IPPROTO_IPV6, IPV6_MULTICAST_IF, kEth0));
    }
    SETUP_OK(SendTo(socket, text, group));
  };
  const std::string file = v4 ? "igmp" : "igmp6", line = v4 ? "010101EF" : "ff050000000000000000000000010001";
  EXPECT_THAT(here.ReadProcNet(file), Holds(Not(HasSubstr(line)))) << "control: before";
  Fd in_here = member(here);
  EXPECT_THAT(here.ReadProcNet(file), Holds(HasSubstr(line))) << "control";
  EXPECT_THAT(there.ReadProcNet(file), Holds(Not(HasSubstr(line))));
  Fd in_there = member(there);
  send(there, "of there");
  EXPECT_THAT(Receive(in_there), Holds("of there")) << "control";
  send(here, "of here");
  EXPECT_THAT(Receive(in_here), Holds("of here")) << "control, and the first that may come here";
  EXPECT_THAT(ReceiveNow(in_there), FailsWith(EAGAIN));
  in_here.Reset();
  EXPECT_THAT(here.ReadProcNet(file), Holds(Not(HasSubstr(line)))) << "left";
  EXPECT_THAT(there.ReadProcNet(file), Holds(HasSubstr(line))) << "left in another namespace only";
}
NETNS_TEST(Stack, Ipv4MulticastMembershipIsPerNamespace, Covers("STACK-18"), Needs(Config("VETH"), Config("IP_MULTICAST"))) {
  Multicast(Families()[0]);
}
NETNS_TEST(Stack, Ipv6MulticastMembershipIsPerNamespace, Covers("STACK-18"), Needs(Config("VETH"), Config("IPV6"))) {
  Multicast(Families()[1]);
}

}  // namespace
}  // namespace netns
