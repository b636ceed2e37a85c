// SPDX-License-Identifier: GPL-2.0-or-later
// STACK, ROUTE and SOCK against the initial namespace, on a machine of its own: what a namespace has must not show up in
// the initial one, where a kernel that forgets about namespaces puts it, nor the other way round.
#include "fixtures/link_monitor.h"
#include "fixtures/nic.h"
#include "suites/support/nexthops.h"
#include "suites/support/sockets.h"

// The kernel's headers after the C library's: in this order they go together.
#include <algorithm>
#include <set>

#include <linux/fib_rules.h>
#include <linux/if_addrlabel.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/inet_diag.h>
#include <linux/netconf.h>
#include <linux/sock_diag.h>

namespace netns {
namespace {

using namespace sock;
using testing::IsEmpty;
using testing::Not;

constexpr int kEth0 = 60050;
constexpr std::uint32_t kNexthop = 0x00C0FFEE;
constexpr std::uint8_t kProhibit = 8;  // FR_ACT_PROHIBIT
const char kDevice[] = "nscon0";

/// Addresses that nothing else on the machine has to do with.
std::string Address(const Family& family, int host) {
  return (family.domain == AF_INET ? "198.51.100." : "2001:db8:f::") + std::to_string(host);
}
std::string Network(const Family& family) { return family.domain == AF_INET ? "198.51.100.0/24" : "2001:db8:f::/64"; }
/// What every message about one of them contains.
std::string Mark(const Family& family) {
  return family.domain == AF_INET ? std::string("\xc6\x33\x64", 3) : std::string("\x20\x01\x0d\xb8\0\x0f", 6);
}
std::string MarkOfNexthop() { return std::string(reinterpret_cast<const char*>(&kNexthop), sizeof kNexthop); }
bool Mentions(const Message& message, const std::string& mark) {
  const Bytes bytes = message.whole();
  return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()).find(mark) != std::string_view::npos;
}

/// A side of the comparison; what it got goes when the test is over.
class Side {
 public:
  Side(NetNamespace ns, const char* name) : ns_(std::move(ns)), name_(name) {
    LoopbackUp(ns_);
    if (HasIpv6()) Set("net/ipv6/conf/default/addr_gen_mode", "1");
    AddDevice(ns_, kDevice, kEth0);
  }
  Side(Side&&) = default;
  ~Side() {
    for (const auto& [name, value] : sysctls_) std::ignore = ns_.SetSysctl(name, value);
    Rtnl rtnl = RtnlIn(ns_);
    std::ignore = rtnl.DeleteLink(kDevice);
    for (const RuleSpec& rule : rules_) std::ignore = rtnl.DeleteRule(rule);
    if (label_) std::ignore = ChangeLabel(RTM_DELADDRLABEL, 0);
  }

  const NetNamespace& ns() const { return ns_; }
  const char* name() const { return name_; }
  /// Until the end of the test.
  void Set(const std::string& name, const std::string& value) {
    sysctls_.emplace_back(name, SETUP_OK(ns_.Sysctl(name)));
    SETUP_OK(ns_.SetSysctl(name, value));
  }
  /// One of everything.
  void Configure(const Family& family) {
    Rtnl rtnl = RtnlIn(ns_);
    AddAddress(ns_, Address(family, 1) + (family.domain == AF_INET ? "/24" : "/64"), kDevice);
    SETUP_OK(rtnl.AddNeighbour(NeighbourSpec{.to = Address(family, 9), .address = "02:00:00:00:00:09", .dev = kDevice}));
    SETUP_OK(rtnl.AddNeighbour(NeighbourSpec{.to = Address(family, 10), .dev = kDevice, .state = 0, .flags = NTF_PROXY}));
    SETUP_OK(rtnl.AddRoute(RouteSpec{.to = Address(family, 77), .via = Address(family, 2), .dev = kDevice}));
    SETUP_OK(rtnl.AddRoute(RouteSpec{.to = Network(family), .dev = kDevice, .table = 100}));
    const RuleSpec rule{.family = family.domain, .priority = 4711, .action = kProhibit, .to = Address(family, 99)};
    SETUP_OK(rtnl.AddRule(rule));
    rules_.push_back(rule);
    SETUP_OK(AddNexthop(ns_, family, kNexthop, kEth0, Address(family, 2)));
    if (family.domain == AF_INET6) {
      SETUP_OK(ChangeLabel(RTM_NEWADDRLABEL, NLM_F_CREATE | NLM_F_EXCL));
      label_ = true;
    }
  }

 private:
  Status ChangeLabel(std::uint16_t type, std::uint16_t flags) {
    Rtnl rtnl = RtnlIn(ns_);
    ifaddrlblmsg header{};
    header.ifal_family = AF_INET6;
    header.ifal_prefixlen = 64;
    in6_addr address{};
    ::inet_pton(AF_INET6, "2001:db8:f::", &address);
    return rtnl.socket().Ack(Request(type, flags).Header(header).Structure(IFAL_ADDRESS, address).U32(IFAL_LABEL, 99).Named("address label"));
  }

  NetNamespace ns_;
  const char* name_;
  std::vector<std::pair<std::string, std::string>> sysctls_;
  std::vector<RuleSpec> rules_;
  bool label_ = false;
};

/// How often the lists of a namespace mention the addresses.
struct Listed {
  std::size_t addresses = 0, routes = 0, rules = 0, neighbours = 0, proxies = 0, nexthops = 0, labels = 0;
  bool operator==(const Listed&) const = default;
  friend std::ostream& operator<<(std::ostream& out, const Listed& listed) {
    return out << listed.addresses << " addresses, " << listed.routes << " routes, " << listed.rules << " rules, " << listed.neighbours
               << " neighbours, " << listed.proxies << " proxies, " << listed.nexthops << " nexthops, " << listed.labels << " labels";
  }
};
Listed List(const NetNamespace& where, const Family& family) {
  const auto domain = static_cast<unsigned char>(family.domain);
  const auto count = [&](std::uint16_t type, const auto& header, const std::string& mark, const char* what) {
    Rtnl rtnl = RtnlIn(where);
    const auto messages = SETUP_OK(rtnl.socket().Dump(Request(type).Header(header).Named(what)));
    return static_cast<std::size_t>(std::count_if(messages.begin(), messages.end(), [&](const Message& each) { return Mentions(each, mark); }));
  };
  const std::string mark = Mark(family);
  Listed listed;
  ifaddrmsg address{};
  address.ifa_family = domain;
  listed.addresses = count(RTM_GETADDR, address, mark, "dump addresses");
  rtmsg route{};
  route.rtm_family = domain;
  listed.routes = count(RTM_GETROUTE, route, mark, "dump routes");
  fib_rule_hdr rule{};
  rule.family = domain;
  listed.rules = count(RTM_GETRULE, rule, mark, "dump rules");
  ndmsg neighbour{};
  neighbour.ndm_family = domain;
  listed.neighbours = count(RTM_GETNEIGH, neighbour, mark, "dump neighbours");
  neighbour.ndm_flags = NTF_PROXY;
  listed.proxies = count(RTM_GETNEIGH, neighbour, mark, "dump proxies");
  listed.nexthops = count(RTM_GETNEXTHOP, nhmsg{}, MarkOfNexthop(), "dump nexthops");
  if (family.domain == AF_INET6) {
    ifaddrlblmsg label{};
    label.ifal_family = AF_INET6;
    listed.labels = count(RTM_GETADDRLABEL, label, mark, "dump labels");
  }
  return listed;
}

/// By which device an address is reached, or the errno.
int DeviceTo(const NetNamespace& where, const std::string& address) {
  const auto route = RtnlIn(where).GetRoute(address);
  return route.ok() ? route->dev : -route.code();
}

void ConfigurationIsSeparate(const Family& family, bool of_the_initial) {
  Side initial(InitialNetNamespace(), "the initial namespace"), fresh(NetNamespace::Create(), "a fresh namespace");
  Side& changed = of_the_initial ? initial : fresh;
  Side& quiet = of_the_initial ? fresh : initial;
  SCOPED_TRACE(std::string("of ") + changed.name());
  const bool v4 = family.domain == AF_INET;
  const std::vector<unsigned> groups = {
      static_cast<unsigned>(v4 ? RTNLGRP_IPV4_IFADDR : RTNLGRP_IPV6_IFADDR), static_cast<unsigned>(v4 ? RTNLGRP_IPV4_ROUTE : RTNLGRP_IPV6_ROUTE),
      static_cast<unsigned>(v4 ? RTNLGRP_IPV4_RULE : RTNLGRP_IPV6_RULE), RTNLGRP_NEIGH, RTNLGRP_NEXTHOP};
  auto own = SETUP_OK(RtnlMonitor::In(changed.ns(), groups)), other = SETUP_OK(RtnlMonitor::In(quiet.ns(), groups));
  const int before = DeviceTo(quiet.ns(), Address(family, 77)), before_prohibited = DeviceTo(quiet.ns(), Address(family, 99));
  EXPECT_EQ(List(quiet.ns(), family), Listed{}) << "control: before";
  auto neighbour = NetNamespace::Create();
  changed.Configure(family);
  const Listed listed = List(changed.ns(), family);
  EXPECT_EQ(listed.addresses, 1U) << "control";
  EXPECT_GE(listed.routes, 3U) << "control: " << listed;
  EXPECT_EQ(listed.rules, 1U) << "control";
  EXPECT_EQ(listed.neighbours, 1U) << "control";
  EXPECT_EQ(listed.proxies, 1U) << "control";
  EXPECT_EQ(listed.nexthops, 1U) << "control";
  EXPECT_EQ(listed.labels, v4 ? 0U : 1U) << "control";
  auto born = changed.ns().In([] { return NetNamespace::Create(); });
  for (const NetNamespace* each : {&quiet.ns(), static_cast<const NetNamespace*>(&neighbour), static_cast<const NetNamespace*>(&born)}) {
    SCOPED_TRACE(each == &quiet.ns() ? quiet.name() : each == &born ? "a namespace that was made there" : "a namespace of before");
    EXPECT_EQ(List(*each, family), Listed{});
    LoopbackUp(*each);
    const SockAddr address = SockAddr::Ip(Address(family, 1), 7000);
    EXPECT_THAT(Bound(*each, SOCK_DGRAM, address), FailsWith(EADDRNOTAVAIL));
    EXPECT_THAT(Bound(*each, SOCK_STREAM, address), FailsWith(EADDRNOTAVAIL));
    // The nexthop: neither to be used, nor to be deleted.
    const RouteSpec by_nexthop{.to = v4 ? "203.0.113.0/24" : "2001:db8:e::/48", .scope = std::uint8_t{RT_SCOPE_UNIVERSE}, .family = family.domain,
                               .more = [](Request& request) { request.U32(RTA_NH_ID, kNexthop); }};
    EXPECT_THAT(RtnlIn(*each).AddRoute(by_nexthop), FailsWith(EINVAL));
    EXPECT_THAT(AddGroup(*each, 5, {kNexthop}), FailsWith(EINVAL));
    EXPECT_THAT(DeleteNexthop(*each, kNexthop), FailsWith(ENOENT));
  }
  EXPECT_THAT(Bound(changed.ns(), SOCK_DGRAM, SockAddr::Ip(Address(family, 1), 7000)), Succeeds()) << "control";
  EXPECT_EQ(DeviceTo(changed.ns(), Address(family, 77)), kEth0) << "control";
  EXPECT_EQ(DeviceTo(changed.ns(), Address(family, 99)), -EACCES) << "control: the rule";
  EXPECT_EQ(DeviceTo(quiet.ns(), Address(family, 77)), before);
  EXPECT_EQ(DeviceTo(quiet.ns(), Address(family, 99)), before_prohibited);
  for (const char* file : {"route", "fib_trie", "arp", "if_inet6", "ipv6_route"}) {
    const auto contents = quiet.ns().ReadProcNet(file);
    if (!contents.ok()) continue;  // IPv6 is not there
    for (const char* needle : {"006433C6", "198.51.100.", "20010db8000f"}) EXPECT_THAT(*contents, Not(testing::HasSubstr(needle))) << file;
  }
  // What was told: all of it there, nothing here.
  const auto about = [&](const std::vector<Message>& messages) {
    std::set<int> types;
    for (const Message& each : messages)
      if (Mentions(each, Mark(family)) || ((each.type() == RTM_NEWNEXTHOP || each.type() == RTM_DELNEXTHOP) && Mentions(each, MarkOfNexthop())))
        types.insert(each.type());
    return types;
  };
  SETUP_OK(RtnlIn(changed.ns()).DeleteRoute(RouteSpec{.to = Address(family, 77), .via = Address(family, 2), .dev = kDevice}));
  SETUP_OK(DeleteNexthop(changed.ns(), kNexthop));
  SETUP_OK(RtnlIn(changed.ns()).DeleteAddress(Address(family, 1) + (v4 ? "/24" : "/64"), kDevice));
  EXPECT_THAT(about(SETUP_OK(own.ThroughFence())), testing::IsSupersetOf({RTM_NEWADDR, RTM_DELADDR, RTM_NEWROUTE, RTM_DELROUTE, RTM_NEWRULE,
                                                                          RTM_NEWNEIGH, RTM_NEWNEXTHOP, RTM_DELNEXTHOP})) << "control";
  EXPECT_THAT(about(SETUP_OK(other.ThroughFence())), IsEmpty()) << "notifications of " << changed.name() << " in " << quiet.name();
}

// Settings: written in a fresh namespace, the initial one keeps its value, and the other way round.
struct Settings {
  const char* name;
  std::vector<std::string> covers;
  std::vector<std::pair<const char*, const char*>> values;  ///< a file, and a value that is not its default
};
const std::vector<Settings>& AllSettings() {
  static const std::vector<Settings> all = {
      {"OfRouting",
       {"ROUTE-12"},
       {{"net/ipv4/fib_multipath_hash_policy", "1"}, {"net/ipv4/fib_multipath_use_neigh", "1"}, {"net/ipv4/fib_multipath_hash_fields", "1"},
        {"net/ipv4/fib_notify_on_flag_change", "1"}, {"net/ipv4/nexthop_compat_mode", "0"}, {"net/ipv4/route/min_adv_mss", "300"},
        {"net/ipv4/route/min_pmtu", "600"}, {"net/ipv4/route/mtu_expires", "500"}, {"net/ipv6/fib_multipath_hash_policy", "1"},
        {"net/ipv6/fib_multipath_hash_fields", "1"}, {"net/ipv6/fib_notify_on_flag_change", "1"}, {"net/ipv6/route/gc_timeout", "50"},
        {"net/ipv6/route/gc_thresh", "1000"}, {"net/ipv6/route/mtu_expires", "500"}, {"net/ipv6/route/min_adv_mss", "1300"}}},
      {"OfMulticast",
       {"SOCK-24"},
       {{"net/ipv4/igmp_max_memberships", "7"}, {"net/ipv4/igmp_max_msf", "5"}, {"net/ipv4/igmp_qrv", "3"},
        {"net/ipv4/igmp_link_local_mcast_reports", "0"}}},
      {"OfSockets",
       {"SOCK-17", "SOCK-18", "SOCK-26", "STACK-24", "STACK-25"},
       {{"net/core/somaxconn", "1234"}, {"net/ipv4/ip_unprivileged_port_start", "800"}, {"net/ipv4/ping_group_range", "3\t4"},
        {"net/ipv4/ip_local_port_range", "40000\t50000"}, {"net/ipv4/ip_local_reserved_ports", "41000"}}},
      {"OfForwardingAndIcmp",
       {"STACK-08", "STACK-11", "STACK-12"},
       {{"net/ipv4/ip_forward", "1"}, {"net/ipv4/ip_forward_use_pmtu", "1"}, {"net/ipv6/conf/all/forwarding", "1"},
        {"net/ipv4/icmp_echo_ignore_all", "1"}, {"net/ipv4/icmp_echo_ignore_broadcasts", "0"}, {"net/ipv4/icmp_ratelimit", "500"},
        {"net/ipv4/icmp_ratemask", "1"}, {"net/ipv4/icmp_errors_use_inbound_ifaddr", "1"}, {"net/ipv4/icmp_ignore_bogus_error_responses", "0"},
        {"net/ipv6/icmp/echo_ignore_all", "1"}, {"net/ipv6/icmp/echo_ignore_multicast", "1"}, {"net/ipv6/icmp/ratelimit", "500"},
        {"net/ipv4/ipfrag_high_thresh", "5000000"}, {"net/ipv4/ipfrag_time", "7"}, {"net/ipv4/ipfrag_max_dist", "7"},
        {"net/ipv6/ip6frag_high_thresh", "5000000"}, {"net/ipv6/ip6frag_time", "7"}}},
      {"OfTcp",
       {"STACK-13"},
       {{"net/ipv4/tcp_timestamps", "0"}, {"net/ipv4/tcp_sack", "0"}, {"net/ipv4/tcp_window_scaling", "0"}, {"net/ipv4/tcp_syncookies", "0"},
        {"net/ipv4/tcp_ecn", "1"}, {"net/ipv4/tcp_fin_timeout", "17"}, {"net/ipv4/tcp_keepalive_time", "1234"}, {"net/ipv4/tcp_syn_retries", "3"},
        {"net/ipv4/tcp_fastopen", "3"}, {"net/ipv4/tcp_mtu_probing", "1"}, {"net/ipv4/tcp_max_syn_backlog", "99"}}},
  };
  return all;
}
void SettingsAreSeparate(const Settings& settings) {
  const auto initial = InitialNetNamespace();
  auto fresh = NetNamespace::Create(), other = NetNamespace::Create();
  // Copied from the initial namespace at birth, as documented (see SYSCTL-06).
  const std::set<std::string> copied = {"net/ipv4/ip_forward"};
  int seen = 0;
  for (auto [name, value] : settings.values) {
    if (!fresh.HasSysctl(name)) continue;
    ++seen;
    SCOPED_TRACE(name);
    const std::string at_first = SETUP_OK(initial.Sysctl(name)), birth = SETUP_OK(other.Sysctl(name));
    ASSERT_OK(fresh.SetSysctl(name, value));
    EXPECT_THAT(fresh.Sysctl(name), Holds(value)) << "control";
    EXPECT_THAT(initial.Sysctl(name), Holds(at_first)) << "written in another namespace";
    EXPECT_THAT(other.Sysctl(name), Holds(birth)) << "written in another namespace";
    ASSERT_OK(initial.SetSysctl(name, value));
    EXPECT_THAT(initial.Sysctl(name), Holds(value)) << "control";
    EXPECT_THAT(other.Sysctl(name), Holds(birth)) << "written in the initial namespace";
    if (!copied.contains(name)) {
      EXPECT_THAT(NetNamespace::Create().Sysctl(name), Holds(birth)) << "born while the initial namespace has another value";
    }
    ASSERT_OK(fresh.SetSysctl(name, birth.empty() ? "\n" : birth));
    EXPECT_THAT(initial.Sysctl(name), Holds(value)) << "written back in another namespace";
    SETUP_OK(initial.SetSysctl(name, at_first.empty() ? "\n" : at_first));
    EXPECT_THAT(fresh.Sysctl(name), Holds(birth)) << "written back in the initial namespace";
  }
  EXPECT_GT(seen, 0);
}

// Sockets ----------------------------------------------------------------------------------------------------------------
std::set<std::uint16_t> ListedPorts(const NetNamespace& where, int family, int protocol) {
  auto socket = SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(where.Socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG))));
  inet_diag_req_v2 request{};
  request.sdiag_family = static_cast<std::uint8_t>(family);
  request.sdiag_protocol = static_cast<std::uint8_t>(protocol);
  request.idiag_states = ~0U;
  std::set<std::uint16_t> ports;
  for (const Message& message : SETUP_OK(socket.Dump(Request(SOCK_DIAG_BY_FAMILY).Header(request).Named("dump sockets"))))
    ports.insert(ntohs(message.Header<inet_diag_msg>().id.idiag_sport));
  return ports;
}
void SocketsAreSeparate(const Family& family, bool of_the_initial) {
  const bool v4 = family.domain == AF_INET;
  Side initial(InitialNetNamespace(), "the initial namespace"), fresh(NetNamespace::Create(), "a fresh namespace");
  Side& owner = of_the_initial ? initial : fresh;
  Side& other = of_the_initial ? fresh : initial;
  SCOPED_TRACE(std::string("sockets of ") + owner.name());
  std::uint16_t port = 47110;  // one for each round: closed connections keep theirs for a while
  std::vector<std::string> files = {v4 ? "tcp" : "tcp6", v4 ? "udp" : "udp6"};
  for (const char* bound_to : {family.loopback, family.any}) {
    SCOPED_TRACE(bound_to);
    ++port;
    char listed[8];
    std::snprintf(listed, sizeof listed, ":%04X ", port);
    const SockAddr address = SockAddr::Ip(bound_to, port), loopback = SockAddr::Ip(family.loopback, port);
    Fd listener = SETUP_OK(Listener(owner.ns(), address)), udp = SETUP_OK(Bound(owner.ns(), SOCK_DGRAM, address));
    EXPECT_THAT(Bound(owner.ns(), SOCK_STREAM, address), FailsWith(EADDRINUSE)) << "control";
    EXPECT_THAT(Bound(owner.ns(), SOCK_DGRAM, address), FailsWith(EADDRINUSE)) << "control";
    EXPECT_THAT(TryConnect(other.ns(), loopback), FailsWith(ECONNREFUSED));
    Fd stray = SETUP_OK(Connected(other.ns(), SOCK_DGRAM, loopback));
    SETUP_OK(Send(stray, "stray"));
    EXPECT_THAT(Receive(stray), FailsWith(ECONNREFUSED));
    stray.Reset();
    for (int protocol : {int{IPPROTO_TCP}, int{IPPROTO_UDP}}) {
      EXPECT_TRUE(ListedPorts(owner.ns(), family.domain, protocol).contains(port)) << "control";
      EXPECT_FALSE(ListedPorts(other.ns(), family.domain, protocol).contains(port)) << "sock_diag, protocol " << protocol;
    }
    for (const std::string& file : files) {
      EXPECT_THAT(owner.ns().ReadProcNet(file), Holds(testing::HasSubstr(listed))) << "control: " << file;
      EXPECT_THAT(other.ns().ReadProcNet(file), Holds(Not(testing::HasSubstr(listed)))) << file;
    }
    Fd same = SETUP_OK(Listener(other.ns(), address)), same_udp = SETUP_OK(Bound(other.ns(), SOCK_DGRAM, address));
    EXPECT_THAT(TryConnect(other.ns(), loopback), Succeeds());
    EXPECT_FALSE(Readable(listener)) << "a connection from another namespace";
    EXPECT_TRUE(Readable(same)) << "control";
    SETUP_OK(SendTo(SETUP_OK(other.ns().Socket(family.domain, SOCK_DGRAM)), "of the other", loopback));
    SETUP_OK(SendTo(SETUP_OK(owner.ns().Socket(family.domain, SOCK_DGRAM)), "of the owner", loopback));
    EXPECT_THAT(Receive(udp), Holds("of the owner"));
    EXPECT_THAT(Receive(same_udp), Holds("of the other"));
    EXPECT_THAT(ReceiveNow(udp), FailsWith(EAGAIN));
  }
  // A group with SO_REUSEPORT does not take in the other namespace's sockets.
  const auto reuse = [&](const NetNamespace& where) {
    Fd socket = SETUP_OK(where.Socket(family.domain, SOCK_DGRAM));
    SETUP_OK(SetOption(socket, SOL_SOCKET, SO_REUSEPORT, 1));
    SETUP_OK(Bind(socket, SockAddr::Ip(family.any, port)));
    return socket;
  };
  Fd in_owner = reuse(owner.ns()), in_other = reuse(other.ns()), second = reuse(owner.ns());
  for (int i = 0; i < 64; ++i) SETUP_OK(SendTo(SETUP_OK(owner.ns().Socket(family.domain, SOCK_DGRAM)), "grouped", SockAddr::Ip(family.loopback, port)));
  EXPECT_THAT(Drain(in_other), IsEmpty()) << "datagrams of another namespace";
  const auto shared = DrainWhen({&in_owner, &second}, 64, "grouped");
  EXPECT_EQ(shared[0].size() + shared[1].size(), 64U) << "control";
  // Those who listen to everything: raw sockets and packet sockets.
  std::vector<Fd> ears, controls;
  for (auto [where, into] : {std::pair{&other, &ears}, {&owner, &controls}}) {
    into->push_back(SETUP_OK(where->ns().Socket(family.domain, SOCK_RAW, IPPROTO_UDP)));
    for (int type : {SOCK_RAW, SOCK_DGRAM}) {
      into->push_back(SETUP_OK(where->ns().Socket(AF_PACKET, type, htons(ETH_P_ALL))));
      into->push_back(SETUP_OK(where->ns().Socket(AF_PACKET, type, htons(v4 ? ETH_P_IP : ETH_P_IPV6))));
    }
  }
  SETUP_OK(SendTo(SETUP_OK(owner.ns().Socket(family.domain, SOCK_DGRAM)), "overheard", SockAddr::Ip(family.loopback, port)));
  for (std::size_t i = 0; i < ears.size(); ++i) {
    EXPECT_GT(CountWith(DrainWhen({&controls[i]}, 1, "overheard")[0], "overheard"), 0U) << "control: listener " << i << " in " << owner.name();
    EXPECT_EQ(CountWith(Drain(ears[i]), "overheard"), 0U) << "listener " << i << " in " << other.name();
  }
  // Groups that were joined, and how many may be.
  const std::string file = v4 ? "igmp" : "igmp6", line = v4 ? "010101EF" : "ff050000000000000000000000010001";
  const SockAddr group = SockAddr::Ip(v4 ? "239.1.1.1" : "ff05::1:1");
  group_req request{};
  request.gr_interface = kEth0;
  std::memcpy(&request.gr_group, group.get(), group.size());
  Fd member = SETUP_OK(owner.ns().Socket(family.domain, SOCK_DGRAM));
  ASSERT_EQ(::setsockopt(member.get(), v4 ? int{IPPROTO_IP} : int{IPPROTO_IPV6}, MCAST_JOIN_GROUP, &request, sizeof request), 0) << ErrnoName(errno);
  EXPECT_THAT(owner.ns().ReadProcNet(file), Holds(testing::HasSubstr(line))) << "control";
  EXPECT_THAT(other.ns().ReadProcNet(file), Holds(Not(testing::HasSubstr(line))));
}

const bool tests = [] {
  const auto add = [](const std::string& suite, const std::string& name, std::function<void()> body, const std::vector<std::string>& covers, std::vector<Need> needs) {
    TestSpec spec;
    spec.suite = suite;
    spec.name = name;
    spec.file = __FILE__;
    spec.line = __LINE__;
    spec.covers = covers;
    spec.needs = std::move(needs);
    spec.exclusive = true;
    spec.make = [body = std::move(body)] { return new BodyTest(body); };
    AllTests().push_back(std::move(spec));
  };
  for (const Family& family : Families()) {
    std::vector<Need> needs = {Machine(), Config("VETH"), Config(family.domain == AF_INET ? "IP_MULTIPLE_TABLES" : "IPV6_MULTIPLE_TABLES")};
    for (bool of_the_initial : {false, true}) {
      const std::string which = of_the_initial ? "OfTheInitialNamespaceStaysThere" : "DoesNotReachTheInitialNamespace";
      add("Route", std::string(family.name) + "Configuration" + which, [&family, of_the_initial] { ConfigurationIsSeparate(family, of_the_initial); },
          {family.domain == AF_INET ? "STACK-01" : "STACK-02", family.domain == AF_INET ? "ROUTE-01" : "ROUTE-02", "STACK-03", "STACK-07", "STACK-22", "ROUTE-03",
           "ROUTE-04", "ROUTE-05", "ROUTE-08", "ROUTE-09", "ROUTE-10", "ROUTE-13"},
          needs);
      add("Sock", std::string(family.name) + (of_the_initial ? "SocketsOfTheInitialNamespaceStayThere" : "SocketsDoNotReachTheInitialNamespace"),
          [&family, of_the_initial] { SocketsAreSeparate(family, of_the_initial); },
          {family.domain == AF_INET ? "SOCK-01" : "SOCK-02", family.domain == AF_INET ? "SOCK-03" : "SOCK-04", "SOCK-07", "SOCK-08", "SOCK-09", "SOCK-10", "SOCK-20",
           "STACK-04", "STACK-16", "STACK-18"},
          {Machine(), Config("VETH"), Config("PACKET"), Config("INET_DIAG"), Config("INET_UDP_DIAG"), Config(family.domain == AF_INET ? "IP_MULTICAST" : "IPV6")});
    }
  }
  for (const Settings& settings : AllSettings())
    add("Stack", std::string("SettingsAreNotThoseOfTheInitialNamespace/") + settings.name, [&settings] { SettingsAreSeparate(settings); }, settings.covers,
        {Machine(), Config("SYSCTL")});
  return true;
}();

}  // namespace
}  // namespace netns
