// SPDX-License-Identifier: GPL-2.0-or-later
// Whose a namespace is makes no difference to what it starts with. user_namespaces(7) and network_namespaces(7) give the owner
// rights over a namespace, and nothing else: settings, tables and policies at birth are the same where a child user namespace
// owns it. (Which files of /proc/sys/net such a namespace has at all may differ: some kernels show it fewer.)
#include "suites/support/place.h"

#include <netinet/in.h>

#include "fixtures/actor.h"
#include "fixtures/nftables.h"
#include "fixtures/user_namespace.h"
#include "suites/support/sysctl_tree.h"

// The kernel's headers after the C library's: in this order they go together.
#include <linux/genetlink.h>
#include <linux/if_addrlabel.h>
#include <linux/mptcp.h>
#include <linux/neighbour.h>
#include <linux/netconf.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_cttimeout.h>
#include <linux/xfrm.h>

namespace netns {
namespace {

using testing::Eq;
using testing::IsEmpty;

/// A namespace and who owns it. It is entered by processes of the test's own user namespace, so that all are asked by the same.
struct Owned {
  std::string who;
  Place place;
  std::optional<Actor> owner = {};
};

Place PlaceOf(Actor& member) { return Place(SETUP_OK(NetNamespace::OfPid(member.pid()))); }

/// The first one is owned by the test's own user namespace, the others by its children and their children.
std::vector<Owned> OfAllOwners() {
  std::vector<Owned> all;
  all.push_back({"own user namespace", Place()});
  Actor child = StartNamespaceRoot("child");
  all.push_back({"child user namespace", PlaceOf(child), std::move(child)});
  Actor grandchild = StartNamespaceRoot("grandchild");
  SETUP_OK(EnterNewUserNamespace(grandchild));
  SETUP_OK(grandchild.Unshare(CLONE_NEWNET));
  all.push_back({"child of a child user namespace", PlaceOf(grandchild), std::move(grandchild)});
  Actor both = Actor::Start("both", CLONE_NEWUSER | CLONE_NEWNET);
  all.push_back({"user namespace made by the same clone()", PlaceOf(both), std::move(both)});
  return all;
}

// --- Settings ---------------------------------------------------------------------------------------------------------

// Values that change by themselves.
bool IsLive(const std::string& path) { return path == "netfilter/nf_conntrack_count" || path.find("available_") != std::string::npos; }

NETNS_TEST(Sysctl, StartsWithTheSameValuesWhoeverOwnsTheNamespace, Covers("SYSCTL-10", "SOCK-18", "SYSCTL-06", "SYSCTL-07"), Needs(Config("SYSCTL"), UserNs())) {
  std::vector<Owned> all = OfAllOwners();
  const auto wanted = [](const std::string& path) { return !IsLive(path); };
  const auto tree = [&](const Owned& one) { return SysctlView(one.place.ns, "reader").Tree(wanted); };
  for (const char* stage : {"at birth", "with devices"}) {
    SCOPED_TRACE(stage);
    const SysctlTree own = tree(all[0]);
    EXPECT_GT(own.size(), 50u) << "control: there are settings to compare";
    for (std::size_t i = 1; i < all.size(); ++i) {
      const SysctlTree other = tree(all[i]);
      EXPECT_GT(other.size(), 20u) << "control: there are settings to compare";
      EXPECT_THAT(Differences(own, other), IsEmpty()) << "'in a namespace of the own user namespace' became 'in one of the " << all[i].who << "'";
      for (const auto& [path, file] : other) EXPECT_TRUE(own.contains(path)) << path << " is only there where a " << all[i].who << " is the owner";
    }
    for (Owned& one : all) {
      Status added = one.place->AddVeth("one", "two");
      if (added.code() == EOPNOTSUPP) return;  // a kernel without veth
      if (added.code() != EEXIST) SETUP_OK(std::move(added));
    }
  }
  // The way of looking tells a difference of one value.
  const SysctlTree before = tree(all[1]);
  SETUP_OK(all[1].place.ns.SetSysctl("net.ipv4.conf.one.forwarding", "1"));
  EXPECT_THAT(Differences(before, tree(all[1])), testing::Contains(testing::StartsWith("ipv4/conf/one/forwarding:"))) << "control";
}

// icmp(7), ping_group_range: "The default is "1 0", meaning no group is allowed".
NETNS_TEST(Sock, EchoSocketsAreForNobodyAtBirthWhoeverOwnsTheNamespace, Covers("SOCK-18", "SYSCTL-10"), Needs(UserNs())) {
  const char* range = "/proc/sys/net/ipv4/ping_group_range";
  Actor child = StartNamespaceRoot("child"), grandchild = StartNamespaceRoot("grandchild");
  SETUP_OK(EnterNewUserNamespace(grandchild));
  SETUP_OK(grandchild.Unshare(CLONE_NEWNET));
  Actor own = NetNamespace::Create().StartActor("own");
  std::vector<std::pair<int, int>> kinds = {{AF_INET, IPPROTO_ICMP}};
  if (HasIpv6()) kinds.emplace_back(AF_INET6, IPPROTO_ICMPV6);
  const auto open = [](int domain, int protocol) -> Status {
    const Fd socket(::socket(domain, SOCK_DGRAM | SOCK_CLOEXEC, protocol));
    if (socket.get() < 0) return ErrnoError("socket(SOCK_DGRAM, ICMP)");
    return Ok();
  };
  struct Case { const char* who; Actor* actor; };
  for (const Case& each : {Case{"own user namespace", &own}, Case{"child user namespace", &child}, Case{"child of a child user namespace", &grandchild}}) {
    SCOPED_TRACE(std::string("in a namespace owned by the ") + each.who);
    for (const auto& [domain, protocol] : kinds) EXPECT_THAT(each.actor->Run([&, d = domain, p = protocol] { return open(d, p); }), FailsWith(EACCES)) << "icmp(7): no group is allowed at first";
    each.actor->Run([&] {
      const std::string group = std::to_string(::getegid());
      SETUP_OK(WriteFile(range, group + " " + group));
      EXPECT_THAT(ReadFile(range), Holds(Eq(group + "\t" + group + "\n"))) << "control";
    });
    for (const auto& [domain, protocol] : kinds) EXPECT_THAT(each.actor->Run([&, d = domain, p = protocol] { return open(d, p); }), Succeeds()) << "control: allowed";
  }
  // Where the caller sees all groups, it can be read too.
  if (!IsRealRoot()) return;
  for (Owned& one : OfAllOwners()) EXPECT_THAT(one.place.ns.Sysctl("net.ipv4.ping_group_range"), Holds(Eq("1\t0"))) << "icmp(7): the default, in a namespace owned by the " << one.who;
}

// --- Tables and policies ----------------------------------------------------------------------------------------------

struct Table {
  const char *suite, *name;
  std::vector<std::string> covers;
  std::vector<const char*> configs;
  std::function<std::string(Place&)> see;
  std::function<Status(Place&)> change;  ///< Makes a difference: the control.
};

std::string Hex(Bytes bytes) {
  std::string text;
  for (std::byte byte : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", std::to_integer<unsigned>(byte));
    text += digits;
  }
  return text;
}
template <class Value>
std::string PrintAll(const std::vector<Value>& all) {
  std::ostringstream text;
  for (const Value& one : all) text << one << "\n";
  return text.str();
}
/// Whole messages of a dump, in the order in which they come. A family that the kernel has not got is its errno.
template <class Header>
std::string DumpHex(NetlinkSocket& socket, std::uint16_t type, const Header& header) {
  const auto all = socket.Dump(Request(type).Header(header));
  if (!all.ok()) return ErrnoName(all.code());
  std::string text;
  for (const Message& message : *all) text += Hex(message.payload()) + "\n";
  return text;
}
rtmsg OfFamily(std::uint8_t family) {
  rtmsg header{};
  header.rtm_family = family;
  return header;
}
constexpr std::uint8_t kOfIpv4Routing = 128, kOfIpv6Routing = 129;  // RTNL_FAMILY_IPMR, RTNL_FAMILY_IP6MR

/// One line for each table of neighbours or device in it. Left out: a number that is drawn by lot, and a count of users.
std::string NeighbourSettings(Place& at) {
  std::string text;
  for (const Message& message : SETUP_OK(at->socket().Dump(Request(RTM_GETNEIGHTBL).Header(ndtmsg{})))) {
    const Attributes all = message.AttributesAfter<ndtmsg>();
    text += all.Text(NDTA_NAME).value_or("?");
    for (const auto& [type, bytes] : all.Nested(NDTA_PARMS).all())
      if (type != NDTPA_REFCNT && type != NDTPA_REACHABLE_TIME) text += " " + std::to_string(type) + "=" + Hex(bytes);
    text += "\n";
  }
  return text;
}
std::string ForwardingSettings(Place& at) {
  std::string text;
  for (const std::uint8_t family : {std::uint8_t{AF_INET}, std::uint8_t{AF_INET6}, std::uint8_t{AF_MPLS}}) {
    netconfmsg header{};
    header.ncm_family = family;
    text += std::to_string(family) + ":\n" + DumpHex(at->socket(), RTM_GETNETCONF, header);
  }
  return text;
}
std::string Links(Place& at) {
  std::ostringstream text;
  for (const Link& link : SETUP_OK(at->Links())) {
    if (IsFallback(link.name)) continue;
    text << link.name << " " << link.index << " " << link.kind << " type " << link.type << " flags " << link.flags << " mtu " << link.mtu << " group " << link.group << " queue " << link.txqlen
         << " queues " << link.tx_queues << "/" << link.rx_queues << " qdisc " << link.qdisc << " state " << int{link.operstate} << " sent " << link.stats.tx_packets << "\n";
  }
  return text.str();
}
std::string Features(Place& at) {
  std::string text;
  const Fd socket = SETUP_OK(at.ns.Socket(AF_INET, SOCK_DGRAM));
  for (const char* device : {"lo", "one"}) {
    // An ethtool_gfeatures (the command, the number of blocks) with four blocks of four words.
    std::array<std::uint32_t, 2 + 4 * 4> answer{ETHTOOL_GFEATURES, 4};
    ifreq request = NamedIfreq(device);
    request.ifr_data = reinterpret_cast<char*>(answer.data());
    text += NETNS_IOCTL(socket, SIOCETHTOOL, request).ok() ? Hex(std::as_bytes(std::span(answer))) + "\n" : ErrnoName(errno) + "\n";
  }
  return text;
}
NetlinkSocket SocketIn(Place& at, int protocol, const char* symbol) {
  auto opened = at.ns.Socket(AF_NETLINK, SOCK_RAW, protocol);
  if (!opened.ok()) RequireBuiltIn(opened.error(), symbol);
  return SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(std::move(opened))));
}
/// Default policies of IPsec (since Linux 5.14), thresholds and numbers of policies.
std::string IpsecSettings(Place& at) {
  constexpr std::uint16_t kGetDefault = 0x28;  // XFRM_MSG_GETDEFAULT
  struct { std::uint8_t in, forward, out; } policies{};
  auto socket = SocketIn(at, NETLINK_XFRM, "XFRM_USER");
  const auto defaults = socket.Get(Request(kGetDefault).Header(policies));
  const auto info = socket.Get(Request(XFRM_MSG_GETSPDINFO).Header(std::uint32_t{0}));
  return (defaults.ok() ? Hex(defaults->payload().first(3)) : ErrnoName(defaults.code())) + " " + (info.ok() ? Hex(info->payload()) : ErrnoName(info.code()));
}
/// Timeouts of new connections, by protocol.
std::string ConnectionTimeouts(Place& at) {
  auto socket = SocketIn(at, NETLINK_NETFILTER, "NF_CT_NETLINK_TIMEOUT");
  std::string text;
  for (const int protocol : {int{IPPROTO_UDP}, int{IPPROTO_TCP}, int{IPPROTO_ICMP}, int{IPPROTO_ICMPV6}, 253 /* generic */}) {
    nfgenmsg header{};
    header.nfgen_family = AF_INET;
    Request get(static_cast<std::uint16_t>(NFNL_SUBSYS_CTNETLINK_TIMEOUT << 8 | IPCTNL_MSG_TIMEOUT_DEFAULT_GET));
    get.Named("default timeouts").Header(header).Be16(CTA_TIMEOUT_L3PROTO, AF_INET).U8(CTA_TIMEOUT_L4PROTO, static_cast<std::uint8_t>(protocol));
    const auto answer = socket.Get(get);
    if (answer.code() == EINVAL && text.empty()) throw MissingNeed("needs-config:NF_CT_NETLINK_TIMEOUT", answer.error().ToString());
    text += answer.ok() ? Hex(answer->payload()) + "\n" : ErrnoName(answer.code()) + "\n";
  }
  return text;
}
std::string MptcpLimits(Place& at) {
  auto socket = SocketIn(at, NETLINK_GENERIC, "MPTCP");
  auto family = socket.ResolveFamily(MPTCP_PM_NAME);
  if (!family.ok()) RequireBuiltIn(family.error(), "MPTCP");
  const std::uint16_t id = SETUP_OK(std::move(family)).id;
  const auto limits = socket.Get(Request(id).Header(genlmsghdr{.cmd = MPTCP_PM_CMD_GET_LIMITS, .version = 1}));
  const auto endpoints = socket.Dump(Request(id).Header(genlmsghdr{.cmd = MPTCP_PM_CMD_GET_ADDR, .version = 1}));
  return SETUP_OK(limits).payload().empty() ? "" : Hex(SETUP_OK(limits).payload().subspan(sizeof(genlmsghdr))) + " endpoints " + std::to_string(SETUP_OK(endpoints).size());
}
std::string NftablesObjects(Place& at) {
  auto nft = SETUP_OK(Nftables::In(at.ns));
  auto tables = nft.Tables();
  if (!tables.ok()) RequireBuiltIn(tables.error(), "NF_TABLES");
  return "tables " + std::to_string(SETUP_OK(std::move(tables)).size()) + " chains " + std::to_string(SETUP_OK(nft.Chains()).size()) + " rules " + std::to_string(SETUP_OK(nft.Rules()).size());
}
/// Tables of /proc/net that no socket of the kernel is in. Some can be read by the owner only, who has no name here where the
/// namespace was made before its ids were mapped (USER-23, USER-25): these are for the root of the machine to compare.
std::string ProcFiles(Place& at) {
  std::string text;
  for (const char* file : {"dev", "route", "fib_trie", "arp", "igmp", "if_inet6", "dev_mcast", "udplite", "udplite6", "icmp", "icmp6", "raw", "ip_mr_vif", "ip_mr_cache", "ip6_mr_vif", "ip6_mr_cache",
                           "mcfilter", "nf_conntrack", "nf_conntrack_expect", "ip_tables_names", "ip6_tables_names", "arp_tables_names", "xfrm_stat", "tls_stat", "snmp", "netstat", "vlan/config",
                           "pppoe", "wireless", "anycast6", "sctp/assocs", "sctp/snmp"}) {
    const auto all = at.ns.ReadProcNet(file);
    const std::string name = file;
    if (!IsRealRoot() && (name.starts_with("nf_conntrack") || name.ends_with("_tables_names"))) continue;
    text += name + ": " + (all.ok() ? *all : ErrnoName(all.code())) + "\n";
  }
  return text;
}

const std::vector<Table>& TablesAtBirth() {
  static const auto loopback_up = [](Place& at) { return at->Up("lo"); };
  static const auto rules = [](std::uint8_t family) { return [family](Place& at) { return DumpHex(at->socket(), RTM_GETRULE, OfFamily(family)); }; };
  static const auto set = [](const char* file, const char* value) { return [file, value](Place& at) { return at.ns.SetSysctl(file, value); }; };
  static const std::vector<Table> tables = {
      {"Dev", "Links", {"DEV-01", "DEV-02"}, {"INET"}, Links, loopback_up},
      {"Dev", "Features", {"DEV-34"}, {"VETH"}, Features,
       [](Place& at) -> Status {
         const Fd socket = SETUP_OK(at.ns.Socket(AF_INET, SOCK_DGRAM));
         ethtool_value value{ETHTOOL_SGRO, 1};
         ifreq request = NamedIfreq("one");
         request.ifr_data = reinterpret_cast<char*>(&value);
         RETURN_IF_ERROR(NETNS_IOCTL(socket, SIOCETHTOOL, request));
         value = {ETHTOOL_STSO, 0};
         return NETNS_IOCTL(socket, SIOCETHTOOL, request);
       }},
      {"Dev", "QueueingDisciplines", {"DEV-37"}, {"NET_SCHED", "VETH"}, [](Place& at) { return PrintAll(SETUP_OK(at->Qdiscs())); },
       [](Place& at) { return at->AddQdisc("one", "pfifo", 0xFFFFFFFFu, 0x410000u); }},
      {"Stack", "Addresses", {"STACK-03"}, {"INET"}, [](Place& at) { return PrintAll(SETUP_OK(at->Addresses())); }, [](Place& at) { return at->AddAddress("192.0.2.1/24", "lo"); }},
      {"Stack", "NeighbourSettings", {"STACK-22"}, {"INET"}, NeighbourSettings,
       [](Place& at) {  // older kernels do not show the files where a child user namespace is the owner
         ndtmsg header{};
         header.ndtm_family = AF_INET;
         Request change(RTM_SETNEIGHTBL);
         change.Named("settings of the neighbours of lo").Header(header).Text(NDTA_NAME, "arp_cache");
         change.Nest(NDTA_PARMS, [](Request& parameters) { parameters.U32(NDTPA_IFINDEX, 1).U32(NDTPA_UCAST_PROBES, 7); });
         return at->socket().Ack(change);
       }},
      {"Stack", "ForwardingSettings", {"STACK-08", "SYSCTL-10"}, {"INET"}, ForwardingSettings, set("net/ipv4/conf/lo/forwarding", "1")},
      {"Stack", "IpsecSettings", {"STACK-17"}, {"XFRM_USER"}, IpsecSettings,
       [](Place& at) -> Status {
         auto socket = SocketIn(at, NETLINK_XFRM, "XFRM_USER");
         xfrm_userpolicy_info policy{};
         policy.sel.family = AF_INET;
         policy.sel.prefixlen_d = 32;
         policy.lft = {XFRM_INF, XFRM_INF, XFRM_INF, XFRM_INF, 0, 0, 0, 0};
         policy.dir = XFRM_POLICY_OUT;
         policy.action = XFRM_POLICY_BLOCK;
         return socket.Ack(Request(XFRM_MSG_NEWPOLICY, NLM_F_CREATE | NLM_F_EXCL).Header(policy));
       }},
      {"Stack", "MptcpLimits", {"STACK-15"}, {"MPTCP"}, MptcpLimits,
       [](Place& at) -> Status {
         auto socket = SocketIn(at, NETLINK_GENERIC, "MPTCP");
         Request request(SETUP_OK(socket.ResolveFamily(MPTCP_PM_NAME)).id);
         return socket.Ack(request.Header(genlmsghdr{.cmd = MPTCP_PM_CMD_SET_LIMITS, .version = 1}).U32(MPTCP_PM_ATTR_RCV_ADD_ADDRS, 5).U32(MPTCP_PM_ATTR_SUBFLOWS, 5));
       }},
      {"Route", "Ipv4Routes", {"ROUTE-03"}, {"INET"}, [](Place& at) { return PrintAll(SETUP_OK(at->Routes({.family = AF_INET}))); }, [](Place& at) { return at->AddRoute({.to = "198.51.100.0/24", .type = RTN_BLACKHOLE, .scope = 0}); }},
      {"Route", "Ipv6Routes", {"ROUTE-03"}, {"IPV6"}, [](Place& at) { return PrintAll(SETUP_OK(at->Routes({.family = AF_INET6}))); },
       [](Place& at) { return at->AddRoute({.to = "2001:db8:f::/48", .type = RTN_BLACKHOLE, .family = AF_INET6}); }},
      {"Route", "Ipv4Rules", {"ROUTE-04"}, {"IP_MULTIPLE_TABLES"}, rules(AF_INET), [](Place& at) { return at->AddRule({.priority = 41, .table = 41}); }},
      {"Route", "Ipv6Rules", {"ROUTE-04"}, {"IPV6_MULTIPLE_TABLES"}, rules(AF_INET6), [](Place& at) { return at->AddRule({.family = AF_INET6, .priority = 41, .table = 41}); }},
      {"Route", "RulesOfMulticast", {"ROUTE-04"}, {"IP_MROUTE_MULTIPLE_TABLES"}, rules(kOfIpv4Routing), [](Place& at) { return at->AddRule({.family = kOfIpv4Routing, .priority = 41, .table = 41}); }},
      {"Route", "RulesOfIpv6Multicast", {"ROUTE-04"}, {"IPV6_MROUTE_MULTIPLE_TABLES"}, rules(kOfIpv6Routing), [](Place& at) { return at->AddRule({.family = kOfIpv6Routing, .priority = 41, .table = 41}); }},
      {"Route", "AddressLabels", {"ROUTE-13"}, {"IPV6"}, [](Place& at) { return DumpHex(at->socket(), RTM_GETADDRLABEL, [] { ifaddrlblmsg header{}; header.ifal_family = AF_INET6; return header; }()); },
       [](Place& at) {
         ifaddrlblmsg header{};
         header.ifal_family = AF_INET6;
         header.ifal_prefixlen = 48;
         return at->socket().Ack(Request(RTM_NEWADDRLABEL, NLM_F_CREATE | NLM_F_EXCL).Header(header).Structure(IFAL_ADDRESS, in6_addr{}).U32(IFAL_LABEL, 7777));
       }},
      {"Fw", "ConnectionTimeouts", {"FW-08"}, {"NF_CT_NETLINK_TIMEOUT"}, ConnectionTimeouts, set("net/netfilter/nf_conntrack_udp_timeout", "31")},
      {"Fw", "NftablesObjects", {"FW-03", "FW-01"}, {"NF_TABLES"}, NftablesObjects,
       [](Place& at) -> Status {
         NftBatch batch;
         batch.AddTable(NFPROTO_IPV4, "one");
         return SETUP_OK(Nftables::In(at.ns)).Commit(batch);
       }},
      {"Proc", "Files", {"PROC-09", "PROC-10", "PROC-12"}, {"PROC_FS"}, ProcFiles, loopback_up},
  };
  return tables;
}

void StartsTheSame(const Table& table) {
  std::vector<Owned> all = OfAllOwners();
  const auto compare = [&](const char* stage) {
    SCOPED_TRACE(stage);
    const std::string own = table.see(all[0].place);
    for (std::size_t i = 1; i < all.size(); ++i)
      EXPECT_EQ(table.see(all[i].place), own) << "a namespace owned by a " << all[i].who << " (first) starts with something else than one of the own user namespace (second)";
  };
  compare("at birth");
  for (Owned& one : all) {
    // No addresses of IPv6, which differ from device to device and come by and by.
    if (HasIpv6()) SETUP_OK(one.place.ns.SetSysctl("net/ipv6/conf/default/addr_gen_mode", "1"));
    Status added = one.place->AddVeth("one", PeerSpec{.name = "two", .index = 4102, .address = "02:00:00:00:00:02"}, {.index = 4101, .address = "02:00:00:00:00:01"});
    RequireBuiltIn(added, "VETH");
    SETUP_OK(std::move(added));
  }
  compare("with a pair of devices");
  for (std::size_t i : {std::size_t{0}, std::size_t{1}}) {
    const std::string before = table.see(all[i].place);
    Status changed = table.change(all[i].place);
    RequireBuiltIn(changed, table.configs.front());
    SETUP_OK(std::move(changed));
    EXPECT_NE(table.see(all[i].place), before) << "control: the way of looking tells a difference, in a namespace of the " << all[i].who;
  }
}

const bool tables_registered = [] {
  for (const Table& table : TablesAtBirth()) {
    Covers covers;
    covers.list.assign(table.covers.begin(), table.covers.end());
    Needs needs{Config("VETH"), UserNs()};
    for (const char* symbol : table.configs) needs.list.push_back(Config(symbol));
    RegisterBody(table.suite, std::string("StartsTheSameWhoeverOwnsTheNamespace/") + table.name, __FILE__, __LINE__, [&table] { StartsTheSame(table); }, covers, needs);
  }
  return true;
}();

}  // namespace
}  // namespace netns
