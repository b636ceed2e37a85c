// SPDX-License-Identifier: GPL-2.0-or-later
// PROC: of whom the files of /proc/net are and who may read them; what they show of settings; figures of sockets; the kernel's own
// sockets. (What objects they list: proc_files.cc; counters of protocols: proc_counters.cc.)
#include <linux/if_vlan.h>
#include <linux/netlink.h>
#include <linux/netlink_diag.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <map>
#include <set>
#include <sstream>

#include "fixtures/nic.h"
#include "fixtures/sockets.h"
#include "fixtures/user_namespace.h"
#include "harness/assertions.h"
#include "harness/registration.h"
#include "suites/support/between.h"
#include "suites/support/effect.h"
#include "suites/support/in_namespace.h"
#include "suites/support/may_use.h"

namespace netns {
namespace {

using testing::IsEmpty;
using testing::Not;

// -------------------------------------------------------------------------------------------------- modes and owners

struct Permissions {
  mode_t mode;
  uid_t uid;
  gid_t gid;
  bool operator==(const Permissions&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Permissions& permissions) {
  return out << std::oct << permissions.mode << std::dec << " of " << permissions.uid << ":" << permissions.gid;
}
/// Of all files and directories below /proc/net of an actor, as it is told.
std::map<std::string, Permissions> AllPermissions(Actor& actor) {
  return actor.Run([] {
    std::map<std::string, Permissions> all;
    const std::string root = "/proc/thread-self/net/";
    std::error_code ignored;
    std::filesystem::recursive_directory_iterator at(root, ignored), end;
    for (; !ignored && at != end; at.increment(ignored)) {
      struct stat info{};
      if (::lstat(at->path().c_str(), &info) == 0) all[at->path().string().substr(root.size())] = {info.st_mode, info.st_uid, info.st_gid};
    }
    return all;
  });
}
/// Files that only the owner may read, whichever namespace they are of: the tables of firewalls, connections and their listeners.
bool IsForTheOwner(const std::string& path) {
  for (const char* end : {"_tables_names", "_tables_matches", "_tables_targets", "nf_conntrack", "nf_conntrack_expect", "nfnetlink_queue", "nfnetlink_log"})
    if (path.ends_with(end)) return true;
  for (const char* start : {"vlan/", "pktgen/", "ipt_", "xt_", "rpc/", "can/", "ip_vs"})
    if (path.starts_with(start)) return true;
  return false;
}

// fs/proc/proc_net.c: "S_IRUGO", and owned by the root of the user namespace that owns the network namespace.
NETNS_TEST(Proc, FilesOfANewNamespaceAreReadableForAll, Covers("PROC-08"), Needs(Config("PROC_FS"))) {
  auto plain = NetNamespace::Create();
  Actor in_plain = plain.StartActor("plain"), nested = plain.In([] { return NetNamespace::Create(); }).StartActor("nested"), elsewhere = StartElsewhere("elsewhere");
  for (auto [actor, name] : {std::pair(&in_plain, "a new namespace"), std::pair(&nested, "one made from inside"), std::pair(&elsewhere, "one of another owner")}) {
    SCOPED_TRACE(name);
    const auto all = AllPermissions(*actor);
    for (const char* file : {"dev", "tcp", "unix", "netlink"}) EXPECT_TRUE(all.contains(file)) << "control: " << file;
    for (const auto& [path, permissions] : all) {
      EXPECT_EQ(permissions.uid, 0u) << path << " is not of the root of its user namespace";
      EXPECT_EQ(permissions.gid, 0u) << path;
      if (IsForTheOwner(path)) {
        EXPECT_EQ(permissions.mode & 0400, 0400u) << path << ": " << permissions;
      } else {
        // Some may be written, by their owner, to have counters start anew.
        EXPECT_EQ(permissions.mode & 0577, S_ISDIR(permissions.mode) ? 0555u : 0444u) << path << ": not everybody may read it: " << permissions;
      }
    }
  }
}
// Whoever is nobody there is told the same, and not what is for the owner.
NETNS_TEST(Proc, EveryFileIsReadableForAnyUserOrForNone, Covers("PROC-08"), Needs(Root(), Config("PROC_FS"))) {
  auto ns = NetNamespace::Create();
  Actor subject = ns.StartActor("subject"), reader = Actor::Start("reader");
  SETUP_OK(reader.Run([]() -> Status {
    ::syscall(SYS_setgroups, 0, nullptr);
    if (::syscall(SYS_setresgid, 65534, 65534, 65534) < 0 || ::syscall(SYS_setresuid, 65534, 65534, 65534) < 0) return ErrnoError("setresuid");
    return Ok();
  }));
  int read = 0;
  for (const auto& [path, permissions] : AllPermissions(subject)) {
    if (!S_ISREG(permissions.mode)) continue;
    const int code = reader.Run([&, &path = path] { return Open(subject.Proc("net/" + path), O_RDONLY).code(); });
    const bool for_all = (permissions.mode & 0004) != 0;
    EXPECT_TRUE(code == (for_all ? 0 : EACCES) || code == ENOENT) << path << ": " << ErrnoName(code) << " with " << permissions;
    if (!IsForTheOwner(path)) {
      EXPECT_EQ(code, 0) << path << ": " << permissions;
    }
    read += code == 0;
    EXPECT_EQ(Open(subject.Proc("net/" + path), O_RDONLY).code(), 0) << path << ", control: for root";
  }
  EXPECT_GT(read, 10) << "control";
}
NETNS_TEST(Proc, FilesHaveTheModeAndOwnerOfTheInitialNamespace, Covers("PROC-08", "PROC-35"), Needs(Machine(), Config("PROC_FS"))) {
  Actor initial = InitialNetNamespace().StartActor("initial"), fresh = NetNamespace::Create().StartActor("new"), nested = StartElsewhere("nested");
  const auto there = AllPermissions(initial);
  for (Actor* actor : {&fresh, &nested}) {
    SCOPED_TRACE(actor == &fresh ? "a new namespace" : "a namespace of another owner");
    std::size_t compared = 0;
    for (const auto& [path, permissions] : AllPermissions(*actor)) {
      const auto same = there.find(path);
      if (same == there.end()) continue;
      ++compared;
      EXPECT_EQ(permissions.mode, same->second.mode) << path << ": " << permissions << ", in the initial namespace " << same->second;
      EXPECT_EQ(permissions.uid, 0u) << path;
      EXPECT_EQ(permissions.gid, 0u) << path;
    }
    EXPECT_GT(compared, 30u) << "control: most files are in both";
  }
}

// -------------------------------------------------------------------------------------------------- settings that are shown

/// "Ip: 2 64 ..." behind "Ip: Forwarding DefaultTTL ...": the value of a label.
std::function<Result<int>(const NetNamespace&)> OfSnmp(const char* group, const char* label) {
  return [group = std::string(group) + ":", label = std::string(label)](const NetNamespace& ns) -> Result<int> {
    ASSIGN_OR_RETURN(const std::string text, ns.ReadProcNet("snmp"));
    std::istringstream lines(text);
    for (std::string names, numbers; std::getline(lines, names) && std::getline(lines, numbers);) {
      std::istringstream labels(names), values(numbers);
      std::string name, value;
      labels >> name, values >> value;
      if (name != group) continue;
      while (labels >> name && values >> value)
        if (name == label) return std::stoi(value);
    }
    return Error{ENOENT, label + " of snmp"};
  };
}
/// The version of IGMP that the loopback device has: "1 lo : 1 V3".
Result<int> IgmpVersionOfLo(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(const std::string text, ns.ReadProcNet("igmp"));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string index, name, colon, count, version;
    words >> index >> name;
    if (name.ends_with(':')) name.pop_back();
    else words >> colon;
    if (name == "lo" && words >> count >> version && version.size() == 2) return version[1] - '0';
  }
  return Error{ENOENT, "lo in igmp"};
}

const std::vector<Effect>& Shown() {
  // snmp(4) and RFC 1213, ipForwarding: 1 of a router, 2 of a host.
  static const std::vector<Effect> rows = {
      {"ForwardingInSnmp", "net/ipv4/ip_forward", "1", OfSnmp("Ip", "Forwarding"), 1, {}, {}, {"STACK-08"}},
      {"ForwardingOfAllDevicesInSnmp", "net/ipv4/conf/all/forwarding", "1", OfSnmp("Ip", "Forwarding"), 1, {}, {}, {"STACK-08"}},
      {"TimeToLiveInSnmp", "net/ipv4/ip_default_ttl", "33", OfSnmp("Ip", "DefaultTTL"), 33},
      {"VersionOfAllDevicesInIgmp", "net/ipv4/conf/all/force_igmp_version", "2", IgmpVersionOfLo, 2, LoopbackUp, {"IP_MULTICAST"}, {"PROC-20"}},
      {"VersionOfADeviceInIgmp", "net/ipv4/conf/lo/force_igmp_version", "1", IgmpVersionOfLo, 1, LoopbackUp, {"IP_MULTICAST"}, {"PROC-20"}},
  };
  return rows;
}
[[maybe_unused]] const bool shown = [] {
  for (const Effect& row : Shown()) RegisterEffect("Proc", row, Covers("PROC-21"), Needs(Config("PROC_FS")), __FILE__, __LINE__);
  return true;
}();

// -------------------------------------------------------------------------------------------------- figures of sockets

/// "inuse" of "TCP: inuse 3 orphan 0 tw 1 ..." in sockstat or sockstat6; -1 where there is none.
int Figure(Place& at, const std::string& file, const std::string& line, const std::string& key) {
  std::istringstream text(SETUP_OK(at.ns.ReadProcNet(file)));
  for (std::string each; std::getline(text, each);) {
    std::istringstream words(each);
    std::string word, value;
    words >> word;
    if (word != line + ":") continue;
    while (words >> word >> value)
      if (word == key) return std::stoi(value);
  }
  return -1;
}

struct Figured {
  const char* name;
  const char *file, *line, *key;
  std::vector<const char*> configs;
  std::function<std::vector<Fd>(Place&)> make;  ///< kMany of them; no descriptors where they stay by themselves.
};
/// So many that those do not matter which come and go by themselves: closed sockets are taken off some time later.
constexpr int kMany = 20, kSome = kMany / 2;
std::vector<Fd> Sockets(Place& at, int domain, int type, int protocol) {
  std::vector<Fd> sockets;
  for (int i = 0; i < kMany; ++i) {
    sockets.push_back(SETUP_OK(at.ns.Socket(domain, type, protocol)));
    if (domain != AF_INET && domain != AF_INET6) continue;
    SETUP_OK(Bind(sockets.back(), Inet(domain == AF_INET ? "0.0.0.0" : "::", 0)));
    if (type == SOCK_STREAM) SETUP_OK(Listen(sockets.back()));
  }
  return sockets;
}
/// Connections of which the end that was closed first waits (TIME_WAIT), for a minute.
std::vector<Fd> LeaveWaiting(Place& at, const char* loopback) {
  SETUP_OK(at->Up("lo"));
  const Fd listener = SETUP_OK(TcpListen(at.ns, Inet(loopback, 0)));
  for (int i = 0; i < kMany; ++i) {
    Fd client = SETUP_OK(TcpConnect(at.ns, SETUP_OK(GetSockName(listener))));
    const Fd server = SETUP_OK(Accept(listener));
    client.Reset();
    SETUP_OK(WaitFor(server.get(), POLLIN, Deadline::OfTest(), "the end of the connection"));
  }
  return {};
}
const std::vector<Figured>& Figures() {
  static const auto sockets = [](int domain, int type, int protocol = 0) { return [=](Place& at) { return Sockets(at, domain, type, protocol); }; };
  static const std::vector<Figured> rows = {
      {"ConnectionsThatWait", "sockstat", "TCP", "tw", {}, [](Place& at) { return LeaveWaiting(at, kLoopback4); }},
      {"ConnectionsOfIpv6ThatWait", "sockstat", "TCP", "tw", {"IPV6"}, [](Place& at) { return LeaveWaiting(at, kLoopback6); }},
      {"Tcp", "sockstat", "TCP", "inuse", {}, sockets(AF_INET, SOCK_STREAM)},
      {"Udp", "sockstat", "UDP", "inuse", {}, sockets(AF_INET, SOCK_DGRAM)},
      {"UdpLite", "sockstat", "UDPLITE", "inuse", {}, sockets(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE)},
      {"Raw", "sockstat", "RAW", "inuse", {}, sockets(AF_INET, SOCK_RAW, 253)},
      {"Tcp6", "sockstat6", "TCP6", "inuse", {"IPV6"}, sockets(AF_INET6, SOCK_STREAM)},
      {"Udp6", "sockstat6", "UDP6", "inuse", {"IPV6"}, sockets(AF_INET6, SOCK_DGRAM)},
      {"UdpLite6", "sockstat6", "UDPLITE6", "inuse", {"IPV6"}, sockets(AF_INET6, SOCK_DGRAM, IPPROTO_UDPLITE)},
      {"Raw6", "sockstat6", "RAW6", "inuse", {"IPV6"}, sockets(AF_INET6, SOCK_RAW, 253)},
      {"AllOfUnix", "sockstat", "sockets", "used", {"UNIX"}, sockets(AF_UNIX, SOCK_STREAM)},
      {"AllOfNetlink", "sockstat", "sockets", "used", {}, sockets(AF_NETLINK, SOCK_RAW)},
      {"AllOfPackets", "sockstat", "sockets", "used", {"PACKET"}, sockets(AF_PACKET, SOCK_RAW)},
  };
  return rows;
}

// proc_pid_net(5), sockstat: what is in use in a namespace is counted there.
void IsCountedInItsNamespace(const Figured& row, Place& owner, Place& other) {
  const bool lite = std::string(row.line).starts_with("UDPLITE");
  if (lite) std::ignore = NeedsConfig("UDPLITE", owner.ns.Socket(std::string(row.file) == "sockstat" ? AF_INET : AF_INET6, SOCK_DGRAM, IPPROTO_UDPLITE), "a socket of UDP-Lite");
  const auto figure = [&](Place& at) { return Figure(at, row.file, row.line, row.key); };
  const auto rises = [&](Place& at, int from) {
    return Eventually("what is in use to be counted", [&] { return figure(at) >= from + kSome; }, Deadline::In(std::chrono::seconds(5)));
  };
  const int before = figure(owner), birth = figure(other);
  ASSERT_GE(before, 0) << "control: there is such a figure";
  std::vector<Fd> made = row.make(owner);
  ASSERT_OK(rises(owner, before)) << "proc_pid_net(5): what is in use in the namespace";
  EXPECT_LT(figure(other), birth + kSome) << "proc_pid_net(5): " << row.key << " of " << row.line << " counts what is in use in another namespace";
  const std::vector<Fd> another = row.make(other);
  ASSERT_OK(rises(other, birth)) << "proc_pid_net(5): what is in use in the namespace";
  EXPECT_LT(figure(owner), before + kMany + kSome) << "proc_pid_net(5): " << row.key << " of " << row.line << " counts what is in use in another namespace";
  if (made.empty()) return;
  made.clear();
  EXPECT_EVENTUALLY("control: closed sockets to be counted no longer", [&] { return figure(owner) < before + kSome; });
  EXPECT_GE(figure(other), birth + kSome) << "what another namespace closed was taken off";
}
[[maybe_unused]] const bool figures = [] {
  for (const Figured& row : Figures()) {
    Needs needs(Config("PROC_FS"));
    for (const char* symbol : row.configs) needs.list.push_back(Config(symbol));
    RegisterBetween("Proc", "FiguresOfSocketsAreOfTheirNamespace", row.name, __FILE__, __LINE__, [&row](Place& owner, Place& other) { IsCountedInItsNamespace(row, owner, other); },
                    Covers("PROC-22", "SOCK-19"), needs);
  }
  return true;
}();

// -------------------------------------------------------------------------------------------------- the kernel's own sockets

/// The protocols of netlink of which the kernel has a socket in the namespace, which is the one that gets what is sent to port 0.
/// Asked of those of which every kernel has some, of what may be loaded, and of `more`.
std::set<int> AnsweredProtocols(Place& at, std::set<int> more) {
  more.insert({NETLINK_ROUTE, NETLINK_USERSOCK, NETLINK_FIB_LOOKUP, NETLINK_KOBJECT_UEVENT, NETLINK_GENERIC});
  for (const auto& [protocol, symbol] : {std::pair(NETLINK_SOCK_DIAG, "NETLINK_DIAG"), std::pair(NETLINK_NETFILTER, "NETFILTER_NETLINK"), std::pair(NETLINK_XFRM, "XFRM_USER"),
                                         std::pair(NETLINK_AUDIT, "AUDIT"), std::pair(NETLINK_CONNECTOR, "CONNECTOR"), std::pair(NETLINK_CRYPTO, "CRYPTO_USER")})
    if (MayUse(symbol)) more.insert(protocol);
  std::set<int> protocols;
  for (int protocol : more) {
    auto socket = at.ns.Socket(AF_NETLINK, SOCK_RAW, protocol);
    if (!socket.ok()) continue;
    const Status sent = SendTo(*socket, std::string(16, '\0'), NetlinkAddress(0));
    if (sent.code() != ECONNREFUSED) protocols.insert(protocol);
  }
  return protocols;
}
/// That of SELinux in the initial namespace, say, takes nothing: it has listeners only.
bool OnlyTells(int protocol) { return protocol == NETLINK_SELINUX || protocol == NETLINK_SCSITRANSPORT; }
/// Those that /proc/net/netlink lists with port 0: "sk Eth Pid ...".
std::multiset<int> ListedProtocols(Place& at) {
  std::multiset<int> protocols;
  std::istringstream lines(SETUP_OK(at.ns.ReadProcNet("netlink")));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string address;
    int protocol = 0;
    unsigned port = 1;
    if (words >> address >> protocol >> port && port == 0 && !OnlyTells(protocol)) protocols.insert(protocol);
  }
  return protocols;
}
/// Those that sock_diag(7) lists.
std::optional<std::multiset<int>> ProtocolsInDiag(Place& at) {
  auto socket = SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(at.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG))));
  netlink_diag_req request{};
  request.sdiag_family = AF_NETLINK;
  request.sdiag_protocol = NDIAG_PROTO_ALL;
  auto dump = socket.Dump(Request(SOCK_DIAG_BY_FAMILY).Header(request).Named("list netlink sockets"));
  if (dump.code() == ENOENT) return std::nullopt;  // no CONFIG_NETLINK_DIAG
  std::multiset<int> protocols;
  for (const Message& message : SETUP_OK(std::move(dump)))
    if (const auto entry = message.Header<netlink_diag_msg>(); entry.ndiag_portid == 0 && !OnlyTells(entry.ndiag_protocol)) protocols.insert(entry.ndiag_protocol);
  return protocols;
}

// proc_pid_net(5), netlink, and sock_diag(7) list the kernel's sockets, too: those of the namespace, once each.
void KernelSocketsAreListed(Place& owner, Place& other) {
  for (Place* place : {&owner, &other}) {
    SCOPED_TRACE(place == &owner ? "the first" : "the second");
    const std::multiset<int> seen = ListedProtocols(*place);
    const std::set<int> known(seen.begin(), seen.end());
    // Another test may have a module loaded meanwhile, which brings one more.
    std::set<int> answered;
    std::multiset<int> listed;
    std::optional<std::multiset<int>> told;
    SETUP_OK(Eventually("no protocol to come meanwhile", [&] {
      answered = AnsweredProtocols(*place, known);
      listed = ListedProtocols(*place);
      told = ProtocolsInDiag(*place);
      return AnsweredProtocols(*place, known) == answered && ListedProtocols(*place) == listed;
    }));
    EXPECT_TRUE(answered.contains(NETLINK_ROUTE)) << "control";
    EXPECT_TRUE(answered.contains(NETLINK_GENERIC)) << "control";
    EXPECT_FALSE(answered.contains(NETLINK_USERSOCK)) << "control: one that is for processes only";
    const std::multiset<int> expected(answered.begin(), answered.end());
    EXPECT_EQ(listed, expected) << "/proc/net/netlink lists the kernel's socket of each protocol that has one in the namespace";
    if (told) {
      EXPECT_EQ(*told, expected) << "sock_diag(7) lists the kernel's socket of each protocol that has one in the namespace";
    }
  }
}
const bool kernel_sockets = RegisterBetween("Proc", "TheKernelsNetlinkSocketsAreListedInTheirNamespace", "", __FILE__, __LINE__, KernelSocketsAreListed, Covers("PROC-19", "NLK-13"),
                                            Needs(Config("PROC_FS")));

}  // namespace
}  // namespace netns
