// SPDX-License-Identifier: GPL-2.0-or-later
// SYSCTL: that a value acts on the network stack of its own namespace, follows devices, descriptors and threads, and who may
// write it.
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/netconf.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <linux/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <iterator>
#include <map>
#include <set>
#include <sstream>
#include <thread>

#include "fixtures/net_namespace.h"
#include "fixtures/rtnl.h"
#include "fixtures/sockets.h"
#include "fixtures/topology.h"
#include "fixtures/user_namespace.h"
#include "harness/assertions.h"
#include "harness/registration.h"
#include "suites/support/effect.h"
#include "suites/support/in_namespace.h"

namespace netns {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Eq;
using testing::IsEmpty;
using testing::Ne;
using testing::Not;

// --- Whose entries are seen -------------------------------------------------------------------------------------------

// The directories that a device has, with the file that is changed in each and another valid value.
struct DeviceDirectory {
  const char *directory, *file, *value;
};
const DeviceDirectory kDeviceDirectories[] = {{"net/ipv4/conf/", "rp_filter", "2"},
                                              {"net/ipv4/neigh/", "ucast_solicit", "7"},
                                              {"net/ipv6/conf/", "hop_limit", "99"},
                                              {"net/ipv6/neigh/", "ucast_solicit", "8"}};

bool HasDirectory(const NetNamespace& ns, const std::string& name) { return ns.HasSysctl(name); }

// net/sysctl_net.c: a lookup is done in the namespace of the calling thread; the same mount and path give other entries.
NETNS_TEST(Sysctl, DeviceEntriesAreSeenOnlyInTheNamespaceOfTheDevice, Covers("SYSCTL-01", "SYSCTL-11"), Needs(Config("SYSCTL"), Config("VETH"))) {
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  auto in_a = RtnlIn(a);
  AddPair(in_a, "one", "two");
  for (const char* device : {"one", "two"})
    for (const auto& row : kDeviceDirectories) {
      std::string directory = std::string(row.directory) + device;
      if (!HasDirectory(a, std::string(row.directory) + "lo")) continue;  // no IPv6
      EXPECT_TRUE(HasDirectory(a, directory)) << directory;
      EXPECT_FALSE(HasDirectory(b, directory)) << directory << " of another namespace";
      EXPECT_FALSE(NetNamespace::Current().HasSysctl(directory)) << directory << " in the creator's namespace";
      EXPECT_THAT(b.OpenIn("/proc/sys/" + directory + "/" + row.file, O_RDONLY), FailsWith(ENOENT));
      EXPECT_THAT(a.OpenIn("/proc/sys/" + directory + "/" + row.file, O_RDONLY), Succeeds()) << "control";
    }
  // The one after the other: each follows its own device.
  for (const char* device : {"two", "one"}) {
    SETUP_OK(in_a.MoveLink(device, ByFd(b.fd())));
    for (const auto& row : kDeviceDirectories) {
      std::string directory = std::string(row.directory) + device;
      if (!HasDirectory(a, std::string(row.directory) + "lo")) continue;
      EXPECT_FALSE(HasDirectory(a, directory)) << directory << " after its device moved away";
      EXPECT_TRUE(HasDirectory(b, directory)) << directory << " after its device came";
    }
  }
}

NETNS_TEST(Sysctl, LookupsFollowTheCallingThread, Covers("SYSCTL-01", "PROC-04"), Needs(Config("SYSCTL"), Config("VETH"))) {
  auto a = NetNamespace::Current(), b = NetNamespace::Create();
  auto in_a = RtnlIn(a), in_b = RtnlIn(b);
  AddPair(in_a, "here", "here2");
  AddPair(in_b, "there", "there2");
  bool entered = false, sees_there = false, sees_here = true;
  std::string ttl;
  SETUP_OK(b.SetSysctl("net.ipv4.ip_default_ttl", "33"));
  SETUP_OK(a.SetSysctl("net.ipv4.ip_default_ttl", "44"));
  std::thread other([&] {
    entered = ::setns(b.fd(), CLONE_NEWNET) == 0;
    sees_there = ::access("/proc/sys/net/ipv4/conf/there", F_OK) == 0;
    sees_here = ::access("/proc/sys/net/ipv4/conf/here", F_OK) == 0;
    if (auto text = ReadFile("/proc/sys/net/ipv4/ip_default_ttl"); text.ok()) ttl = *text;
  });
  other.join();
  ASSERT_TRUE(entered);
  EXPECT_TRUE(sees_there);
  EXPECT_FALSE(sees_here);
  EXPECT_EQ(ttl, "33\n");
  EXPECT_EQ(::access("/proc/sys/net/ipv4/conf/here", F_OK), 0) << "control: the main thread stays where it was";
  EXPECT_NE(::access("/proc/sys/net/ipv4/conf/there", F_OK), 0);
  EXPECT_THAT(ReadFile("/proc/sys/net/ipv4/ip_default_ttl"), Holds(Eq("44\n")));
}

// devinet.c, addrconf.c: a device that leaves is unregistered from both stacks, and starts anew where it arrives.
NETNS_TEST(Sysctl, DeviceEntriesStartAnewAfterAMoveAndAreKeptByARename, Covers("SYSCTL-11"), Needs(Config("SYSCTL"), Config("VETH"))) {
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  auto in_a = RtnlIn(a), in_b = RtnlIn(b);
  AddPair(in_a, "one", "two");
  bool ipv6 = a.HasSysctl("net/ipv6/conf/lo");
  SETUP_OK(b.SetSysctl("net/ipv4/conf/default/rp_filter", "1"));
  if (ipv6) SETUP_OK(b.SetSysctl("net/ipv6/conf/default/hop_limit", "55"));
  for (const char* device : {"one", "two"}) {
    SCOPED_TRACE(device);
    std::vector<std::string> defaults;
    for (const auto& row : kDeviceDirectories) {
      if (!a.HasSysctl(std::string(row.directory) + "lo")) { defaults.push_back(""); continue; }
      std::string file = std::string(row.directory) + device + "/" + row.file;
      defaults.push_back(SETUP_OK(a.Sysctl(file)));
      ASSERT_OK(a.SetSysctl(file, row.value));
    }
    SETUP_OK(in_a.Rename(device, "renamed"));
    for (const auto& row : kDeviceDirectories) {
      if (!a.HasSysctl(std::string(row.directory) + "lo")) continue;
      EXPECT_FALSE(a.HasSysctl(std::string(row.directory) + device)) << row.directory << " still has the old name";
      EXPECT_THAT(a.Sysctl(std::string(row.directory) + "renamed/" + row.file), Holds(Eq(row.value))) << "kept by a rename";
    }
    SETUP_OK(in_a.MoveLink("renamed", ByFd(b.fd()), {.new_name = device}));
    std::size_t at = 0;
    for (const auto& row : kDeviceDirectories) {
      std::string unset = defaults[at++], directory = row.directory;
      if (!b.HasSysctl(directory + "lo")) continue;
      EXPECT_FALSE(a.HasSysctl(directory + "renamed")) << directory;
      EXPECT_FALSE(a.HasSysctl(directory + device)) << directory;
      std::string expected = directory == "net/ipv4/conf/" ? "1" : directory == "net/ipv6/conf/" ? "55" : unset;
      EXPECT_THAT(b.Sysctl(directory + device + "/" + row.file), Holds(Eq(expected)))
          << "a device that arrives has the values of conf/default there, not those that it had where it came from";
    }
  }
}

// --- Descriptors ------------------------------------------------------------------------------------------------------

NETNS_TEST(Sysctl, OpenDescriptorStaysWithItsNamespace, Covers("SYSCTL-03"), Needs(Config("SYSCTL"))) {
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  struct Row { const char *name, *in_a, *in_b, *written; };
  for (const Row& row : {Row{"ipv4/ip_default_ttl", "11", "22", "33"}, Row{"ipv6/bindv6only", "1", "0", "0"},
                         Row{"core/somaxconn", "111", "222", "333"}, Row{"ipv4/conf/lo/tag", "7", "8", "9"},
                         Row{"unix/max_dgram_qlen", "5", "6", "7"}}) {
    SCOPED_TRACE(row.name);
    std::string path = std::string("/proc/sys/net/") + row.name;
    if (!a.HasSysctl(std::string("net/") + row.name)) continue;
    SETUP_OK(a.SetSysctl(std::string("net/") + row.name, row.in_a));
    SETUP_OK(b.SetSysctl(std::string("net/") + row.name, row.in_b));
    Actor mover = a.StartActor("mover");
    mover.Run([&] {
      Fd file = SETUP_OK(Open(path, O_RDWR));
      Fd net = SETUP_OK(Open("/proc/sys/net", O_RDONLY | O_DIRECTORY));
      std::string directory = path.substr(0, path.rfind('/'));
      Fd parent = SETUP_OK(Open(directory, O_RDONLY | O_DIRECTORY));
      if (::setns(b.fd(), CLONE_NEWNET) < 0) SETUP_OK(Status(ErrnoError("setns")));
      EXPECT_THAT(ReadAll(file.get()), Holds(Eq(std::string(row.in_a) + "\n"))) << "read through a descriptor opened before";
      EXPECT_THAT(ReadFile(path), Holds(Eq(std::string(row.in_b) + "\n"))) << "control: a file opened after the switch";
      Fd again = SETUP_OK(OpenAt(parent.get(), path.substr(path.rfind('/') + 1), O_RDONLY));
      EXPECT_THAT(ReadAll(again.get()), Holds(Eq(std::string(row.in_a) + "\n"))) << "relative to a directory opened before";
      EXPECT_EQ(::pwrite(file.get(), row.written, std::strlen(row.written), 0), static_cast<ssize_t>(std::strlen(row.written)));
    });
    EXPECT_THAT(a.Sysctl(std::string("net/") + row.name), Holds(Eq(row.written)));
    EXPECT_THAT(b.Sysctl(std::string("net/") + row.name), Holds(Eq(row.in_b)));
  }
}

NETNS_TEST(Sysctl, EntriesVanishWithTheNamespace, Covers("SYSCTL-19"), Needs(Config("SYSCTL")), Within{std::chrono::seconds(90)}) {
  FreedOracle oracle;
  std::optional<NetNamespace> ns = oracle.Create();
  std::vector<std::pair<std::string, Fd>> files;
  for (const char* name : {"ipv4/ip_default_ttl", "ipv4/conf/all/rp_filter", "ipv4/conf/lo/rp_filter", "ipv4/neigh/lo/ucast_solicit", "core/somaxconn",
                           "unix/max_dgram_qlen", "ipv6/bindv6only", "ipv6/conf/all/hop_limit", "ipv6/conf/lo/hop_limit",
                           "ipv6/route/gc_timeout", "netfilter/nf_conntrack_udp_timeout", "mptcp/enabled"})
    if (auto file = ns->OpenIn(std::string("/proc/sys/net/") + name, O_RDONLY); file.ok()) files.emplace_back(name, std::move(*file));
  ASSERT_GE(files.size(), 4u);
  // A descriptor for writing, and those of directories, by which files were found.
  Fd written = SETUP_OK(ns->OpenIn("/proc/sys/net/ipv4/ip_default_ttl", O_WRONLY));
  std::vector<std::pair<std::string, Fd>> directories;
  for (auto [directory, name] : {std::pair{"ipv4", "ip_default_ttl"}, {"ipv4/conf/lo", "rp_filter"}}) {
    directories.emplace_back(name, SETUP_OK(ns->OpenIn(std::string("/proc/sys/net/") + directory, O_RDONLY | O_DIRECTORY)));
    EXPECT_THAT(OpenAt(directories.back().second.get(), name, O_RDONLY), Succeeds()) << "control: " << name << " while the namespace is pinned";
  }
  EXPECT_EQ(::pwrite(written.get(), "77", 2, 0), 2) << "control: while the namespace is pinned";
  char byte[64];
  for (auto& [name, file] : files) EXPECT_GT(::pread(file.get(), byte, sizeof byte, 0), 0) << "control: " << name << " while the namespace is pinned";
  ns.reset();
  ASSERT_OK(oracle.WaitUntilFreed()) << "open files of /proc/sys/net must not keep the namespace alive";
  for (auto& [name, file] : files) {
    EXPECT_EQ(::pread(file.get(), byte, sizeof byte, 0), -1) << name;
    EXPECT_EQ(errno, ENOENT) << name;
  }
  EXPECT_EQ(::pwrite(written.get(), "78", 2, 0), -1) << "a value was written of which there is no namespace";
  EXPECT_EQ(errno, ENOENT);
  for (auto& [name, directory] : directories)
    EXPECT_THAT(OpenAt(directory.get(), name, O_RDONLY), FailsWith(ENOENT)) << name << ", relative to a directory of a namespace that is gone";
}

// --- Effects ----------------------------------------------------------------------------------------------------------

Result<int> IntOption(const Fd& socket, int level, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  if (::getsockopt(socket.get(), level, option, &value, &size) < 0) return ErrnoError("getsockopt");
  return value;
}
/// The value of an option of a new socket.
std::function<Result<int>(const NetNamespace&)> OptionOf(int domain, int type, int level, int option) {
  return [=](const NetNamespace& ns) -> Result<int> {
    ASSIGN_OR_RETURN(Fd socket, ns.Socket(domain, type));
    return IntOption(socket, level, option);
  };
}

sockaddr_in Address4(const char* text, int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (std::string_view(text) != "127.0.0.1") {
    unsigned a = 0, b = 0, c = 0, d = 0;
    std::sscanf(text, "%u.%u.%u.%u", &a, &b, &c, &d);
    address.sin_addr.s_addr = htonl(a << 24 | b << 16 | c << 8 | d);
  }
  return address;
}
sockaddr_in6 Address6(const in6_addr& ip, int port) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(static_cast<std::uint16_t>(port));
  address.sin6_addr = ip;
  return address;
}
template <class Sockaddr>
int BindCode(const Fd& socket, const Sockaddr& address) {
  return ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
}

/// tcpi_options of a connection over the loopback device.
Result<int> TcpOptions(const NetNamespace& ns, int domain) {
  LoopbackUp(ns);
  ASSIGN_OR_RETURN(Fd listener, ns.Socket(domain, SOCK_STREAM));
  ASSIGN_OR_RETURN(Fd client, ns.Socket(domain, SOCK_STREAM));
  sockaddr_in four = Address4("127.0.0.1", 0);
  sockaddr_in6 six = Address6(in6addr_loopback, 0);
  auto* address = domain == AF_INET ? reinterpret_cast<sockaddr*>(&four) : reinterpret_cast<sockaddr*>(&six);
  socklen_t size = domain == AF_INET ? sizeof four : sizeof six;
  if (::bind(listener.get(), address, size) < 0) return ErrnoError("bind");
  if (::listen(listener.get(), 1) < 0) return ErrnoError("listen");
  if (::getsockname(listener.get(), address, &size) < 0) return ErrnoError("getsockname");
  if (::connect(client.get(), address, size) < 0) return ErrnoError("connect over lo");
  tcp_info info{};
  socklen_t length = sizeof info;
  if (::getsockopt(client.get(), IPPROTO_TCP, TCP_INFO, &info, &length) < 0) return ErrnoError("getsockopt(TCP_INFO)");
  return info.tcpi_options;
}

/// How many datagrams a socket takes that nobody reads.
Result<int> DatagramsQueued(const NetNamespace& ns) {
  ASSIGN_OR_RETURN(Fd receiver, ns.Socket(AF_UNIX, SOCK_DGRAM));
  ASSIGN_OR_RETURN(Fd sender, ns.Socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  socklen_t size = sizeof(sa_family_t);
  if (::bind(receiver.get(), reinterpret_cast<sockaddr*>(&name), size) < 0) return ErrnoError("bind");
  size = sizeof name;
  if (::getsockname(receiver.get(), reinterpret_cast<sockaddr*>(&name), &size) < 0) return ErrnoError("getsockname");
  int count = 0;
  while (count < 1000 && ::sendto(sender.get(), "x", 1, 0, reinterpret_cast<sockaddr*>(&name), size) == 1) ++count;
  return count;
}

/// Membership of groups until the kernel says ENOBUFS.
Result<int> GroupsJoined(const NetNamespace& ns) {
  LoopbackUp(ns);
  ASSIGN_OR_RETURN(Fd socket, ns.Socket(AF_INET, SOCK_DGRAM));
  int count = 0;
  for (; count < 100; ++count) {
    ip_mreqn group{};
    group.imr_multiaddr.s_addr = htonl(0xE9000001u + static_cast<unsigned>(count));
    group.imr_ifindex = 1;
    if (::setsockopt(socket.get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group) < 0) {
      if (errno != ENOBUFS) return ErrnoError("setsockopt(IP_ADD_MEMBERSHIP)");
      break;
    }
  }
  return count;
}

/// The port that the kernel chooses.
std::function<Result<int>(const NetNamespace&)> ChosenPort(int domain, int type) {
  return [=](const NetNamespace& ns) -> Result<int> {
    ASSIGN_OR_RETURN(Fd socket, ns.Socket(domain, type));
    sockaddr_in6 six = Address6(in6addr_any, 0);
    sockaddr_in four{};
    four.sin_family = AF_INET;
    auto* address = domain == AF_INET ? reinterpret_cast<sockaddr*>(&four) : reinterpret_cast<sockaddr*>(&six);
    socklen_t size = domain == AF_INET ? sizeof four : sizeof six;
    if (::bind(socket.get(), address, size) < 0) return ErrnoError("bind");
    if (::getsockname(socket.get(), address, &size) < 0) return ErrnoError("getsockname");
    int port = ntohs(domain == AF_INET ? four.sin_port : six.sin6_port);
    return port == 40001 ? 1 : 0;
  };
}

// Options of sockets tell what the stack means to do. What it does is in the packets.

/// The first packet of `protocol` to port 9 (or any echo request) that the loopback device carries, from its IP header on.
Result<std::string> PacketSent(const NetNamespace& ns, int domain, int protocol) {
  LoopbackUp(ns);
  ASSIGN_OR_RETURN(Fd wire, ns.Socket(AF_PACKET, SOCK_DGRAM, htons(domain == AF_INET ? 0x0800 : 0x86DD)));
  const bool echo = protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
  ASSIGN_OR_RETURN(Fd sender, ns.Socket(domain, protocol == IPPROTO_TCP ? SOCK_STREAM | SOCK_NONBLOCK : protocol == IPPROTO_UDP ? SOCK_DGRAM : SOCK_RAW, protocol));
  const sockaddr_in four = Address4("127.0.0.1", 9);
  const sockaddr_in6 six = Address6(in6addr_loopback, echo ? 0 : 9);
  const auto* to = domain == AF_INET ? reinterpret_cast<const sockaddr*>(&four) : reinterpret_cast<const sockaddr*>(&six);
  const socklen_t size = domain == AF_INET ? sizeof four : sizeof six;
  icmphdr request{};
  request.type = domain == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
  if (domain == AF_INET) request.checksum = static_cast<std::uint16_t>(~request.type);
  if (protocol == IPPROTO_TCP)
    (void)::connect(sender.get(), to, size);
  else if (::sendto(sender.get(), &request, sizeof request, 0, to, size) < 0)
    return ErrnoError("sendto over lo");
  for (;;) {
    RETURN_IF_ERROR(WaitFor(wire.get(), POLLIN, Deadline::OfTest(), "the packet on lo"));
    char buffer[2048];
    const ssize_t length = ::recv(wire.get(), buffer, sizeof buffer, 0);
    if (length < (domain == AF_INET ? 28 : 48)) continue;
    const std::string packet(buffer, static_cast<std::size_t>(length));
    const std::size_t header = domain == AF_INET ? 20 : 40;
    if (static_cast<unsigned char>(packet[domain == AF_INET ? 9 : 6]) != protocol) continue;
    if (echo ? static_cast<unsigned char>(packet[header]) == request.type : packet[header + 2] == 0 && packet[header + 3] == 9) return packet;
  }
}
/// Time to live, or hop limit.
std::function<Result<int>(const NetNamespace&)> LifeOfPackets(int domain, int protocol) {
  return [=](const NetNamespace& ns) -> Result<int> {
    ASSIGN_OR_RETURN(std::string packet, PacketSent(ns, domain, protocol));
    return static_cast<unsigned char>(packet[domain == AF_INET ? 8 : 7]);
  };
}
struct Syn {
  int window = 0;
  bool ecn = false;
  std::map<int, std::string> options;  ///< What is behind the head of each, by its kind.
};
Result<Syn> SynSent(const NetNamespace& ns, int domain) {
  ASSIGN_OR_RETURN(std::string packet, PacketSent(ns, domain, IPPROTO_TCP));
  const std::string tcp = packet.substr(domain == AF_INET ? 20 : 40);
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(tcp.at(at)); };
  Syn syn{.window = byte(14) << 8 | byte(15), .ecn = (byte(13) & 0xC0) == 0xC0};
  const std::size_t end = std::min<std::size_t>(tcp.size(), byte(12) / 16 * 4u);
  for (std::size_t at = 20; at + 1 < end && byte(at) != 0;) {
    const std::size_t length = byte(at) == 1 ? 1 : std::max<std::size_t>(2, byte(at + 1));
    if (length > 1) syn.options[byte(at)] = tcp.substr(at + 2, length - 2);
    at += length;
  }
  return syn;
}
// Kinds of options: linux/tcp.h hides their names in netinet/tcp.h.
constexpr int kSynMss = 2, kSynWindow = 3, kSynSack = 4, kSynTimestamp = 8;
/// Whether a SYN offers an option.
std::function<Result<int>(const NetNamespace&)> OfferedBySyn(int domain, int option) {
  return [=](const NetNamespace& ns) -> Result<int> {
    ASSIGN_OR_RETURN(Syn syn, SynSent(ns, domain));
    return static_cast<int>(syn.options.count(option));
  };
}
std::function<Result<int>(const NetNamespace&)> EcnOfferedBySyn(int domain) {
  return [=](const NetNamespace& ns) -> Result<int> {
    ASSIGN_OR_RETURN(Syn syn, SynSent(ns, domain));
    return static_cast<int>(syn.ecn);
  };
}
std::function<Result<int>(const NetNamespace&)> SegmentSizeInSyn(int domain) {
  return [=](const NetNamespace& ns) -> Result<int> {
    ASSIGN_OR_RETURN(Syn syn, SynSent(ns, domain));
    const std::string& size = syn.options[kSynMss];
    if (size.size() != 2) return Error{ENOENT, "the maximal segment size of the SYN"};
    return static_cast<unsigned char>(size[0]) << 8 | static_cast<unsigned char>(size[1]);
  };
}
/// Whether packets of IPv6 have a flow label that nobody asked for.
std::function<Result<int>(const NetNamespace&)> Labelled(int protocol) {
  return [=](const NetNamespace& ns) -> Result<int> {
    ASSIGN_OR_RETURN(std::string packet, PacketSent(ns, AF_INET6, protocol));
    return (packet[1] & 0x0F) != 0 || packet[2] != 0 || packet[3] != 0;
  };
}
void SmallLoopback(const NetNamespace& ns) { SETUP_OK(RtnlIn(ns).SetLink("lo", {.mtu = 1500})); }

const std::vector<Effect>& Effects() {
  static const std::vector<Effect> effects = {
      {"DefaultTtl", "net/ipv4/ip_default_ttl", "77", OptionOf(AF_INET, SOCK_DGRAM, IPPROTO_IP, IP_TTL), 77},
      {"DefaultTtlOfTcp", "net/ipv4/ip_default_ttl", "78", OptionOf(AF_INET, SOCK_STREAM, IPPROTO_IP, IP_TTL), 78},
      {"HopLimit", "net/ipv6/conf/all/hop_limit", "79", OptionOf(AF_INET6, SOCK_DGRAM, IPPROTO_IPV6, IPV6_UNICAST_HOPS), 79},
      {"PathMtuDiscovery", "net/ipv4/ip_no_pmtu_disc", "1", OptionOf(AF_INET, SOCK_DGRAM, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_DONT},
      {"BindV6Only", "net/ipv6/bindv6only", "1", OptionOf(AF_INET6, SOCK_STREAM, IPPROTO_IPV6, IPV6_V6ONLY), 1},
      {"BindV6OnlyOfUdp", "net/ipv6/bindv6only", "1", OptionOf(AF_INET6, SOCK_DGRAM, IPPROTO_IPV6, IPV6_V6ONLY), 1},
      {"AutoFlowLabels", "net/ipv6/auto_flowlabels", "0", OptionOf(AF_INET6, SOCK_STREAM, IPPROTO_IPV6, 70 /* IPV6_AUTOFLOWLABEL */), 0},
      {"KeepAliveTime", "net/ipv4/tcp_keepalive_time", "1234", OptionOf(AF_INET, SOCK_STREAM, IPPROTO_TCP, TCP_KEEPIDLE), 1234},
      {"KeepAliveTimeOfIpv6", "net/ipv4/tcp_keepalive_time", "1235", OptionOf(AF_INET6, SOCK_STREAM, IPPROTO_TCP, TCP_KEEPIDLE), 1235},
      {"KeepAliveInterval", "net/ipv4/tcp_keepalive_intvl", "33", OptionOf(AF_INET, SOCK_STREAM, IPPROTO_TCP, TCP_KEEPINTVL), 33},
      {"KeepAliveProbes", "net/ipv4/tcp_keepalive_probes", "5", OptionOf(AF_INET, SOCK_STREAM, IPPROTO_TCP, TCP_KEEPCNT), 5},
      {"SynRetries", "net/ipv4/tcp_syn_retries", "3", OptionOf(AF_INET, SOCK_STREAM, IPPROTO_TCP, TCP_SYNCNT), 3},
      {"FinTimeout", "net/ipv4/tcp_fin_timeout", "17", OptionOf(AF_INET, SOCK_STREAM, IPPROTO_TCP, TCP_LINGER2), 17},
      {"ReceiveBuffer", "net/ipv4/tcp_rmem", "4096 100000 5000000", OptionOf(AF_INET, SOCK_STREAM, SOL_SOCKET, SO_RCVBUF), 100000},
      {"SendBuffer", "net/ipv4/tcp_wmem", "4096 100001 5000000", OptionOf(AF_INET6, SOCK_STREAM, SOL_SOCKET, SO_SNDBUF), 100001},
      {"Timestamps", "net/ipv4/tcp_timestamps", "0", [](auto& ns) -> Result<int> { ASSIGN_OR_RETURN(int o, TcpOptions(ns, AF_INET)); return o & TCPI_OPT_TIMESTAMPS; }, 0},
      {"TimestampsOfIpv6", "net/ipv4/tcp_timestamps", "0", [](auto& ns) -> Result<int> { ASSIGN_OR_RETURN(int o, TcpOptions(ns, AF_INET6)); return o & TCPI_OPT_TIMESTAMPS; }, 0},
      {"SelectiveAcknowledgement", "net/ipv4/tcp_sack", "0", [](auto& ns) -> Result<int> { ASSIGN_OR_RETURN(int o, TcpOptions(ns, AF_INET)); return o & TCPI_OPT_SACK; }, 0},
      {"WindowScaling", "net/ipv4/tcp_window_scaling", "0", [](auto& ns) -> Result<int> { ASSIGN_OR_RETURN(int o, TcpOptions(ns, AF_INET6)); return o & TCPI_OPT_WSCALE; }, 0},
      {"ListenBacklog", "net/core/somaxconn", "7",
       [](auto& ns) -> Result<int> {
         ASSIGN_OR_RETURN(Fd socket, ns.Socket(AF_INET, SOCK_STREAM));
         if (::listen(socket.get(), 1000) < 0) return ErrnoError("listen");
         tcp_info info{};
         socklen_t length = sizeof info;
         if (::getsockopt(socket.get(), IPPROTO_TCP, TCP_INFO, &info, &length) < 0) return ErrnoError("getsockopt(TCP_INFO)");
         return static_cast<int>(info.tcpi_sacked);  // of a listener: its backlog
       }, 7},
      {"DatagramQueue", "net/unix/max_dgram_qlen", "3", DatagramsQueued, {}},
      {"GroupMemberships", "net/ipv4/igmp_max_memberships", "4", GroupsJoined, 4},
      {"LocalPortRangeOfTcp", "net/ipv4/ip_local_port_range", "40001 40001", ChosenPort(AF_INET, SOCK_STREAM), 1},
      {"LocalPortRangeOfUdp", "net/ipv4/ip_local_port_range", "40001 40001", ChosenPort(AF_INET, SOCK_DGRAM), 1},
      {"LocalPortRangeOfTcp6", "net/ipv4/ip_local_port_range", "40001 40001", ChosenPort(AF_INET6, SOCK_STREAM), 1},
      {"NonlocalBind", "net/ipv4/ip_nonlocal_bind", "1",
       [](auto& ns) -> Result<int> {
         LoopbackUp(ns);  // without any address every bind succeeds
         ASSIGN_OR_RETURN(Fd socket, ns.Socket(AF_INET, SOCK_DGRAM));
         return BindCode(socket, Address4("192.0.2.77", 4000));
       }, 0},
      {"NonlocalBindOfIpv6", "net/ipv6/ip_nonlocal_bind", "1",
       [](auto& ns) -> Result<int> {
         LoopbackUp(ns);
         ASSIGN_OR_RETURN(Fd socket, ns.Socket(AF_INET6, SOCK_STREAM));
         in6_addr ip{};
         ip.s6_addr[0] = 0x20, ip.s6_addr[1] = 0x01, ip.s6_addr[2] = 0x0d, ip.s6_addr[3] = 0xb8, ip.s6_addr[15] = 0x77;
         return BindCode(socket, Address6(ip, 4000));
       }, 0},
      {"PingGroups", "net/ipv4/ping_group_range", "0 0",
       [](auto& ns) -> Result<int> { return ns.Socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP).code(); }, 0},
      {"PingGroupsOfIpv6", "net/ipv4/ping_group_range", "0 0",
       [](auto& ns) -> Result<int> { return ns.Socket(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6).code(); }, 0},
      {"BothAddressFamiliesOnOnePort", "net/ipv6/bindv6only", "1",
       [](auto& ns) -> Result<int> {
         ASSIGN_OR_RETURN(Fd six, ns.Socket(AF_INET6, SOCK_STREAM));
         ASSIGN_OR_RETURN(Fd four, ns.Socket(AF_INET, SOCK_STREAM));
         if (int code = BindCode(six, Address6(in6addr_any, 4001))) return Error{code, "bind([::]:4001)"};
         return BindCode(four, Address4("0.0.0.0", 4001));
       }, 0},
      {"TtlOfDatagrams", "net/ipv4/ip_default_ttl", "71", LifeOfPackets(AF_INET, IPPROTO_UDP), 71},
      {"TtlOfConnections", "net/ipv4/ip_default_ttl", "72", LifeOfPackets(AF_INET, IPPROTO_TCP), 72},
      {"TtlOfEchoRequests", "net/ipv4/ip_default_ttl", "73", LifeOfPackets(AF_INET, IPPROTO_ICMP), 73},
      {"HopLimitOfDatagrams", "net/ipv6/conf/lo/hop_limit", "74", LifeOfPackets(AF_INET6, IPPROTO_UDP), 74},
      {"HopLimitOfConnections", "net/ipv6/conf/lo/hop_limit", "75", LifeOfPackets(AF_INET6, IPPROTO_TCP), 75},
      {"HopLimitOfEchoRequests", "net/ipv6/conf/lo/hop_limit", "76", LifeOfPackets(AF_INET6, IPPROTO_ICMPV6), 76},
      {"TimestampsOffered", "net/ipv4/tcp_timestamps", "0", OfferedBySyn(AF_INET, kSynTimestamp), 0},
      {"TimestampsOfferedOverIpv6", "net/ipv4/tcp_timestamps", "0", OfferedBySyn(AF_INET6, kSynTimestamp), 0},
      {"SelectiveAcknowledgementOffered", "net/ipv4/tcp_sack", "0", OfferedBySyn(AF_INET, kSynSack), 0},
      {"SelectiveAcknowledgementOfferedOverIpv6", "net/ipv4/tcp_sack", "0", OfferedBySyn(AF_INET6, kSynSack), 0},
      {"WindowScalingOffered", "net/ipv4/tcp_window_scaling", "0", OfferedBySyn(AF_INET, kSynWindow), 0},
      {"WindowScalingOfferedOverIpv6", "net/ipv4/tcp_window_scaling", "0", OfferedBySyn(AF_INET6, kSynWindow), 0},
      {"CongestionNotificationOffered", "net/ipv4/tcp_ecn", "1", EcnOfferedBySyn(AF_INET), 1},
      {"CongestionNotificationOfferedOverIpv6", "net/ipv4/tcp_ecn", "1", EcnOfferedBySyn(AF_INET6), 1},
      {"FlowLabelsOfDatagrams", "net/ipv6/auto_flowlabels", "0", Labelled(IPPROTO_UDP), 0},
      {"FlowLabelsOfConnections", "net/ipv6/auto_flowlabels", "0", Labelled(IPPROTO_TCP), 0},
      {"SignedWindows", "net/ipv4/tcp_workaround_signed_windows", "1", [](auto& ns) -> Result<int> { ASSIGN_OR_RETURN(Syn syn, SynSent(ns, AF_INET)); return syn.window > 0x7FFF; }, 0},
      {"LeastSegmentSizeOffered", "net/ipv4/route/min_adv_mss", "3000", SegmentSizeInSyn(AF_INET), 3000, SmallLoopback},
      {"LeastSegmentSizeOfferedOverIpv6", "net/ipv6/route/min_adv_mss", "3000", SegmentSizeInSyn(AF_INET6), 3000, SmallLoopback},
  };
  return effects;
}

const bool effects = [] {
  for (const Effect& effect : Effects()) {
    Covers covers("SYSCTL-14");
    if (std::string_view(effect.sysctl).starts_with("net/ipv6")) covers.list.push_back("SYSCTL-21");
    // Some settings of TCP and UDP are looked at through sockets of IPv6, or of both.
    static const std::set<std::string_view> kBySocketsOfIpv6 = {"KeepAliveTimeOfIpv6", "SendBuffer", "TimestampsOfIpv6", "WindowScaling", "LocalPortRangeOfTcp6", "PingGroupsOfIpv6", "TimestampsOfferedOverIpv6",
                                                                 "SelectiveAcknowledgementOfferedOverIpv6", "WindowScalingOfferedOverIpv6",
                                                                 "CongestionNotificationOfferedOverIpv6"};
    Needs needs(Config("SYSCTL"));
    if (covers.list.size() > 1 || kBySocketsOfIpv6.contains(effect.name)) needs.list.push_back(Config("IPV6"));
    RegisterEffect("Sysctl", effect, covers, needs, __FILE__, __LINE__);
  }
  return true;
}();

// ip-sysctl.rst, tcp_syn_retries: "Number of times initial SYNs for an active TCP connection attempt will be retransmitted." What
// getsockopt(2) tells of it is not what the timer does.
void SynsAreRepeated(bool six) {
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  const auto connecting = [&](const NetNamespace& ns) {
    Rtnl rtnl = RtnlIn(ns);
    AddPair(rtnl, "one", "far");
    for (const char* device : {"one", "far"}) SETUP_OK(rtnl.Up(device));
    SETUP_OK(WaitUntilUp(ns, "one"));
    SETUP_OK(rtnl.AddAddress(six ? "2001:db8::1/64" : "192.0.2.1/24", "one", {.nodad = six}));
    // Nobody has this hardware address: no answer, and no error either.
    SETUP_OK(rtnl.AddNeighbour({.to = six ? "2001:db8::2" : "192.0.2.2", .address = "02:00:00:00:00:02", .dev = "one"}));
    Fd socket = SETUP_OK(ns.Socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK));
    const SockAddr to = Inet(six ? "2001:db8::2" : "192.0.2.2", 9);
    if (::connect(socket.get(), to.get(), to.length()) == 0 || errno != EINPROGRESS) SETUP_OK(Status(ErrnoError("connect to nobody")));
    return socket;
  };
  ASSERT_OK(a.SetSysctl("net/ipv4/tcp_syn_retries", "1"));
  EXPECT_THAT(b.Sysctl("net/ipv4/tcp_syn_retries"), Holds(Eq("6"))) << "control: another namespace has the default";
  Fd patient = connecting(b), impatient = connecting(a);
  ASSERT_OK(WaitFor(impatient.get(), POLLOUT, Deadline::In(std::chrono::seconds(20)), "the connection to be given up after one more SYN"));
  EXPECT_THAT(IntOption(impatient, SOL_SOCKET, SO_ERROR), Holds(Eq(ETIMEDOUT)));
  pollfd still{patient.get(), POLLOUT, 0};
  EXPECT_EQ(::poll(&still, 1, 0), 0) << "given up in a namespace that repeats SYNs six times";
}
NETNS_TEST(Sysctl, SynsAreRepeatedAsOftenAsTheNamespaceSaysOverIpv4, Covers("SYSCTL-14"), Needs(Config("SYSCTL"), Config("VETH"))) { SynsAreRepeated(false); }
NETNS_TEST(Sysctl, SynsAreRepeatedAsOftenAsTheNamespaceSaysOverIpv6, Covers("SYSCTL-14"), Needs(Config("SYSCTL"), Config("VETH"), Config("IPV6"))) {
  SynsAreRepeated(true);
}

/// Sends an echo request with a sequence number through a raw socket to the loopback address, or to another one of IPv4.
void SendEcho(const Fd& socket, bool six, std::uint16_t sequence, const char* ipv4 = "127.0.0.1") {
  if (six) {
    icmp6_hdr echo{};
    echo.icmp6_type = ICMP6_ECHO_REQUEST;
    echo.icmp6_seq = htons(sequence);
    sockaddr_in6 to = Address6(in6addr_loopback, 0);
    if (::sendto(socket.get(), &echo, sizeof echo, 0, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0) SETUP_OK(Status(ErrnoError("sendto")));
    return;
  }
  icmphdr echo{};
  echo.type = ICMP_ECHO;
  echo.un.echo.sequence = htons(sequence);
  unsigned sum = 0xFFFF & ~(static_cast<unsigned>(echo.type) + echo.un.echo.sequence);
  echo.checksum = static_cast<std::uint16_t>(sum);
  sockaddr_in to = Address4(ipv4, 0);
  if (::sendto(socket.get(), &echo, sizeof echo, 0, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0) SETUP_OK(Status(ErrnoError("sendto")));
}
/// The sequence number of the next echo reply.
int NextReply(const Fd& socket, bool six) {
  for (;;) {
    SETUP_OK(WaitFor(socket.get(), POLLIN, Deadline::In(std::chrono::seconds(5)), "an echo reply"));
    unsigned char packet[256];
    ssize_t n = ::recv(socket.get(), packet, sizeof packet, 0);
    std::size_t skip = six ? 0 : static_cast<std::size_t>(packet[0] & 15) * 4;
    if (n < static_cast<ssize_t>(skip + 8)) continue;
    if (packet[skip] == (six ? ICMP6_ECHO_REPLY : ICMP_ECHOREPLY)) return packet[skip + 6] << 8 | packet[skip + 7];
  }
}

void EchoIgnored(bool six) {
  const std::string name = six ? "net/ipv6/icmp/echo_ignore_all" : "net/ipv4/icmp_echo_ignore_all";
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  if (!a.HasSysctl(name)) throw MissingNeed("needs-feature:" + name, "this kernel has no " + name);
  LoopbackUp(a);
  LoopbackUp(b);
  auto raw_a = SETUP_OK(a.Socket(six ? AF_INET6 : AF_INET, SOCK_RAW, six ? int{IPPROTO_ICMPV6} : int{IPPROTO_ICMP}));
  auto raw_b = SETUP_OK(b.Socket(six ? AF_INET6 : AF_INET, SOCK_RAW, six ? int{IPPROTO_ICMPV6} : int{IPPROTO_ICMP}));
  SendEcho(raw_a, six, 1);
  ASSERT_EQ(NextReply(raw_a, six), 1) << "control: an echo request is answered";
  ASSERT_OK(a.SetSysctl(name, "1"));
  SendEcho(raw_a, six, 2);
  SendEcho(raw_b, six, 3);
  EXPECT_EQ(NextReply(raw_b, six), 3) << "the other namespace still answers";
  ASSERT_OK(a.SetSysctl(name, "0"));
  SendEcho(raw_a, six, 4);
  EXPECT_EQ(NextReply(raw_a, six), 4) << "the request that was sent while echoes were ignored got an answer";
}
NETNS_TEST(Sysctl, EchoRequestsAreIgnoredOnlyInTheNamespaceThatSaysSo, Covers("SYSCTL-14"), Needs(Config("SYSCTL"))) { EchoIgnored(false); }
NETNS_TEST(Sysctl, Ipv6EchoRequestsAreIgnoredOnlyInTheNamespaceThatSaysSo, Covers("SYSCTL-14", "SYSCTL-21"), Needs(Config("SYSCTL"), Config("IPV6"))) {
  EchoIgnored(true);
}

// icmp(7): broadcasts of echo requests are ignored where icmp_echo_ignore_broadcasts is set, which it is at first.
NETNS_TEST(Sysctl, BroadcastEchoRequestsAreAnsweredOnlyInTheNamespaceThatSaysSo, Covers("SYSCTL-14", "STACK-11"), Needs(Config("SYSCTL"), Config("INET"))) {
  auto ignores = NetNamespace::Create(), answers = NetNamespace::Create();
  ASSERT_OK(answers.SetSysctl("net/ipv4/icmp_echo_ignore_broadcasts", "0"));
  EXPECT_THAT(ignores.Sysctl("net/ipv4/icmp_echo_ignore_broadcasts"), Holds(std::string("1"))) << "control";
  const auto open = [](const NetNamespace& where) {
    LoopbackUp(where);
    Fd socket = SETUP_OK(where.Socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
    const int one = 1;
    if (::setsockopt(socket.get(), SOL_SOCKET, SO_BROADCAST, &one, sizeof one) < 0) throw SetupFailure(ErrnoError("SO_BROADCAST").ToString(), std::source_location::current());
    return socket;
  };
  const Fd asks_one = open(ignores), asks_other = open(answers);
  SendEcho(asks_one, false, 1, "127.255.255.255");
  SendEcho(asks_other, false, 2, "127.255.255.255");
  SendEcho(asks_other, false, 4);  // answered in any case
  EXPECT_EQ(NextReply(asks_other, false), 2) << "the broadcast was ignored in the namespace that answers them";
  SendEcho(asks_one, false, 3);
  EXPECT_EQ(NextReply(asks_one, false), 3) << "the broadcast was answered in the namespace that ignores them";
}

NETNS_TEST(Sysctl, UnprivilegedPortStartIsPerNamespace, Covers("SYSCTL-14"), Needs(Config("SYSCTL"))) {
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  SETUP_OK(a.SetSysctl("net/ipv4/ip_unprivileged_port_start", "80"));
  for (auto* ns : {&a, &b}) {
    Actor plain = ns->StartActor("plain");
    SETUP_OK(DropCapability(plain, CAP_NET_BIND_SERVICE));
    for (int domain : {AF_INET, AF_INET6})
      for (int type : {SOCK_STREAM, SOCK_DGRAM}) {
        SCOPED_TRACE(std::string(ns == &a ? "where it was lowered" : "elsewhere") + (domain == AF_INET ? ", IPv4" : ", IPv6") +
                     (type == SOCK_STREAM ? " stream" : " datagram"));
        auto bind_to = [&](int port) {
          return plain.Run([&] {
            auto socket = ns->Socket(domain, type);
            if (!socket.ok()) return socket.code();
            int one = 1;
            if (domain == AF_INET6) ::setsockopt(socket->get(), IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
            return domain == AF_INET ? BindCode(*socket, Address4("0.0.0.0", port)) : BindCode(*socket, Address6(in6addr_any, port));
          });
        };
        int low = bind_to(81);
        if (low == EAFNOSUPPORT) continue;
        EXPECT_EQ(low, ns == &a ? 0 : EACCES);
        EXPECT_EQ(bind_to(79), EACCES) << "control: below the start";
        EXPECT_EQ(bind_to(2000), 0) << "control: above the default start";
      }
  }
}

// --- Forwarding and netconf -------------------------------------------------------------------------------------------

/// A socket that hears of one multicast group of rtnetlink.
Fd Listener(const NetNamespace& ns, int group) {
  Fd socket = SETUP_OK(ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
  sockaddr_nl any{};  // a socket without an address hears nothing
  any.nl_family = AF_NETLINK;
  if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&any), sizeof any) < 0) SETUP_OK(Status(ErrnoError("bind")));
  if (::setsockopt(socket.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0)
    SETUP_OK(Status(ErrnoError("setsockopt(NETLINK_ADD_MEMBERSHIP)")));
  return socket;
}
struct NetconfEvent {
  int ifindex = 0;
  std::optional<int> forwarding, rp_filter;
};
std::optional<NetconfEvent> NextNetconf(const Fd& socket, int flags) {
  alignas(nlmsghdr) std::byte buffer[8192];
  ssize_t n = ::recv(socket.get(), buffer, sizeof buffer, flags);
  if (n < static_cast<ssize_t>(sizeof(nlmsghdr))) return std::nullopt;
  Message message(Bytes(buffer, static_cast<std::size_t>(n)));
  auto attributes = message.AttributesAfter<netconfmsg>();
  NetconfEvent event;
  event.ifindex = attributes.S32(NETCONFA_IFINDEX).value_or(0);
  event.forwarding = attributes.S32(NETCONFA_FORWARDING);
  event.rp_filter = attributes.S32(NETCONFA_RP_FILTER);
  return event;
}

void ForwardingIsCoupled(bool six) {
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  auto in_a = RtnlIn(a), in_b = RtnlIn(b);
  AddPair(in_a, "one", "two");
  AddPair(in_b, "one", "two");
  const std::string family = six ? "net/ipv6/conf/" : "net/ipv4/conf/";
  const std::string knob = six ? "net/ipv6/conf/all/forwarding" : "net/ipv4/ip_forward";
  for (auto* ns : {&a, &b}) SETUP_OK(ns->SetSysctl(knob, "0"));
  Fd hear_a = Listener(a, six ? RTNLGRP_IPV6_NETCONF : RTNLGRP_IPV4_NETCONF);
  Fd hear_b = Listener(b, six ? RTNLGRP_IPV6_NETCONF : RTNLGRP_IPV4_NETCONF);
  for (const char* value : {"1", "0"}) {
    SCOPED_TRACE(knob + " = " + value);
    ASSERT_OK(a.SetSysctl(knob, value));
    EXPECT_FALSE(NextNetconf(hear_b, MSG_DONTWAIT).has_value()) << "a listener of another namespace heard of it";
    for (const char* entry : {"all", "default", "lo", "one", "two"}) {
      EXPECT_THAT(a.Sysctl(family + entry + "/forwarding"), Holds(Eq(value))) << entry;
      EXPECT_THAT(b.Sysctl(family + entry + "/forwarding"), Holds(Eq("0"))) << entry << " of another namespace";
    }
    EXPECT_THAT(a.Sysctl(knob), Holds(Eq(value)));
    EXPECT_THAT(b.Sysctl(knob), Holds(Eq("0")));
    // A device that comes later starts with what was propagated to "default".
    for (auto [rtnl, ns, expected] : {std::tuple{&in_a, &a, value}, {&in_b, &b, "0"}}) {
      const std::string late = std::string("late") + value;
      AddPair(*rtnl, late, late + "p");
      EXPECT_THAT(ns->Sysctl(family + late + "/forwarding"), Holds(Eq(expected))) << "a device that came later" << (ns == &b ? ", in another namespace" : "");
    }
    while (NextNetconf(hear_b, MSG_DONTWAIT)) {}  // of that device
    // Every entry that changed is told, in the own namespace.
    std::set<int> told;
    while (auto event = NextNetconf(hear_a, MSG_DONTWAIT))
      if (event->forwarding && std::to_string(*event->forwarding) == value) told.insert(event->ifindex);
    EXPECT_THAT(told, Contains(NETCONFA_IFINDEX_ALL));
    EXPECT_THAT(told, Contains(SETUP_OK(in_a.LinkByName("two")).index));
    EXPECT_FALSE(NextNetconf(hear_b, MSG_DONTWAIT).has_value()) << "a listener of another namespace heard of it";
  }
  if (!six) {  // the coupling the other way
    ASSERT_OK(a.SetSysctl("net/ipv4/conf/all/forwarding", "1"));
    EXPECT_THAT(a.Sysctl("net/ipv4/ip_forward"), Holds(Eq("1")));
    EXPECT_THAT(b.Sysctl("net/ipv4/ip_forward"), Holds(Eq("0")));
  }
  while (NextNetconf(hear_b, MSG_DONTWAIT)) {}
  ASSERT_OK(b.SetSysctl(family + "two/forwarding", "1"));
  auto own = NextNetconf(hear_b, MSG_DONTWAIT);
  ASSERT_TRUE(own.has_value()) << "control: a change of its own is heard";
  EXPECT_EQ(own->ifindex, SETUP_OK(in_b.LinkByName("two")).index);
  EXPECT_THAT(b.Sysctl(family + "one/forwarding"), Holds(Eq("0"))) << "control: one device alone";
}
NETNS_TEST(Sysctl, ForwardingSwitchesStayCoupledInsideTheNamespace, Covers("SYSCTL-13"), Needs(Config("SYSCTL"), Config("VETH"))) {
  ForwardingIsCoupled(false);
}
NETNS_TEST(Sysctl, Ipv6ForwardingSwitchesStayCoupledInsideTheNamespace, Covers("SYSCTL-13"), Needs(Config("SYSCTL"), Config("VETH"), Config("IPV6"))) {
  ForwardingIsCoupled(true);
}

// --- Congestion control -----------------------------------------------------------------------------------------------

std::set<std::string> Words(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}
std::string CongestionOf(const NetNamespace& ns, int domain) {
  Fd socket = SETUP_OK(ns.Socket(domain, SOCK_STREAM));
  char name[16] = {};
  socklen_t size = sizeof name;
  if (::getsockopt(socket.get(), IPPROTO_TCP, TCP_CONGESTION, name, &size) < 0) SETUP_OK(Status(ErrnoError("getsockopt(TCP_CONGESTION)")));
  return name;
}

NETNS_TEST(Sysctl, CongestionControlIsPerNamespace, Covers("SYSCTL-12", "SYSCTL-14"), Needs(Config("SYSCTL"), Config("IPV6"))) {
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  const std::string knob = "net/ipv4/tcp_congestion_control";
  std::string old = SETUP_OK(b.Sysctl(knob));
  EXPECT_THAT(a.SetSysctl(knob, "reno"), Succeeds()) << "reno is always allowed";
  EXPECT_EQ(CongestionOf(a, AF_INET), "reno");
  EXPECT_EQ(CongestionOf(a, AF_INET6), "reno");
  EXPECT_EQ(CongestionOf(b, AF_INET), old);
  EXPECT_THAT(b.Sysctl(knob), Holds(Eq(old)));
  EXPECT_THAT(a.SetSysctl(knob, "no_such_thing"), FailsWith(ENOENT)) << "control: a name that nothing has";
  EXPECT_THAT(a.Sysctl(knob), Holds(Eq("reno")));
  EXPECT_THAT(a.OpenIn("/proc/sys/net/ipv4/tcp_allowed_congestion_control", O_WRONLY), FailsWith(EACCES));
}

NETNS_TEST(Sysctl, RestrictedCongestionControlIsRefusedOutsideTheInitialNamespace, Covers("SYSCTL-12"), Needs(Config("SYSCTL"))) {
  auto a = NetNamespace::Create();
  auto available = Words(SETUP_OK(a.Sysctl("net/ipv4/tcp_available_congestion_control")));
  auto allowed = Words(SETUP_OK(a.Sysctl("net/ipv4/tcp_allowed_congestion_control")));
  std::vector<std::string> restricted;
  for (const auto& name : available)
    if (allowed.count(name) == 0) restricted.push_back(name);
  if (restricted.empty()) throw MissingNeed("needs-feature:restricted-congestion-control", "every algorithm that is loaded is allowed to all");
  std::string before = SETUP_OK(a.Sysctl("net/ipv4/tcp_congestion_control"));
  for (const auto& name : restricted) EXPECT_THAT(a.SetSysctl("net/ipv4/tcp_congestion_control", name), FailsWith(EPERM)) << name;
  Actor nested = StartNamespaceRoot("nested");
  nested.Run([&] {
    const std::string knob = "/proc/sys/net/ipv4/tcp_congestion_control";
    for (const auto& name : restricted) EXPECT_THAT(WriteFile(knob, name), FailsWith(EPERM)) << name << ", in a namespace of a nested user namespace";
    EXPECT_THAT(WriteFile(knob, "no_such_thing"), FailsWith(ENOENT)) << "in a namespace of a nested user namespace";
    EXPECT_THAT(WriteFile(knob, "reno"), Succeeds()) << "control: allowed to all";
    EXPECT_THAT(Open("/proc/sys/net/ipv4/tcp_allowed_congestion_control", O_WRONLY), FailsWith(EACCES)) << "in a namespace of a nested user namespace";
  });
  EXPECT_THAT(a.Sysctl("net/ipv4/tcp_congestion_control"), Holds(Eq(before)));
  for (const auto& name : allowed) EXPECT_THAT(a.SetSysctl("net/ipv4/tcp_congestion_control", name), Succeeds()) << "control: " << name;
}

// --- Routes -----------------------------------------------------------------------------------------------------------

NETNS_TEST(Sysctl, FlushActsOnlyOnItsOwnNamespaceAndIsWriteOnly, Covers("SYSCTL-15"), Needs(Config("SYSCTL"))) {
  auto ns = NetNamespace::Create();
  for (const char* name : {"ipv4/route/flush", "ipv6/route/flush"}) {
    std::string path = std::string("/proc/sys/net/") + name;
    if (!ns.HasSysctl(std::string("net/") + name)) continue;  // hidden where the namespace belongs to no initial user namespace
    EXPECT_THAT(ns.OpenIn(path, O_RDONLY), FailsWith(EACCES)) << name;
    EXPECT_THAT(ns.SetSysctl(std::string("net/") + name, "1"), Succeeds()) << name;
  }
  EXPECT_TRUE(ns.HasSysctl("net/ipv4/ip_default_ttl")) << "control";
}

// --- Permissions ------------------------------------------------------------------------------------------------------

/// Takes the calling process's identity as root of the machine, and leaves it all its capabilities. An ordinary user's test
/// has no such identity: the ids of the machine decide (GLOBAL_ROOT_UID in proc_sysctl.c).
Status BecomeOrdinaryUser() {
  ASSIGN_OR_RETURN(std::string map, ReadFile("/proc/self/uid_map"));
  std::istringstream stream(map);
  unsigned long inside = 0, outside = 0, count = 0;
  stream >> inside >> outside >> count;
  if (outside != 0) return Ok();
  constexpr int kUser = 65534;
  if (count <= kUser) return Error{EOPNOTSUPP, "no second id in this user namespace"};
  if (::prctl(PR_SET_KEEPCAPS, 1) < 0) return ErrnoError("prctl(PR_SET_KEEPCAPS)");
  // The calls themselves: the C library would change every thread that shares its memory.
  if (::syscall(SYS_setgroups, 0, nullptr) < 0) return ErrnoError("setgroups");
  if (::syscall(SYS_setresgid, kUser, kUser, kUser) < 0) return ErrnoError("setresgid");
  if (::syscall(SYS_setresuid, kUser, kUser, kUser) < 0) return ErrnoError("setresuid");
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  if (::syscall(SYS_capget, &header, data) < 0) return ErrnoError("capget");
  for (auto& word : data) word.effective = word.permitted;
  if (::syscall(SYS_capset, &header, data) < 0) return ErrnoError("capset");
  ::prctl(PR_SET_DUMPABLE, 1);
  return Ok();
}

// net_ctl_permissions(): CAP_NET_ADMIN over the owner of the namespace gives what the file's owner may do.
NETNS_TEST(Sysctl, NetworkAdministratorHasTheOwnersRights, Covers("SYSCTL-16"), Needs(Config("SYSCTL"), UserNs())) {
  Actor admin = Actor::Start("admin");
  SETUP_OK(admin.Run(BecomeOrdinaryUser));
  SETUP_OK(admin.Unshare(CLONE_NEWNET));
  for (int capability : {CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER, CAP_SYS_RESOURCE, CAP_NET_RAW}) SETUP_OK(DropCapability(admin, capability));
  auto try_all = [](Actor& actor, bool allowed, const char* who) {
    SCOPED_TRACE(who);
    actor.Run([&] {
      for (const char* name : {"ipv4/ip_default_ttl", "core/somaxconn", "unix/max_dgram_qlen", "ipv4/conf/all/rp_filter", "ipv4/conf/lo/rp_filter",
                               "ipv6/bindv6only", "ipv6/conf/all/hop_limit", "ipv4/tcp_rmem", "netfilter/nf_conntrack_udp_timeout"}) {
        std::string path = std::string("/proc/sys/net/") + name;
        auto opened = Open(path, O_WRONLY);
        if (opened.code() == ENOENT) continue;
        EXPECT_EQ(opened.code(), allowed ? 0 : EACCES) << "writing " << name;
        EXPECT_THAT(ReadFile(path), Succeeds()) << "control: anybody may read " << name;
      }
      for (const char* name : {"ipv4/tcp_fastopen_key", "ipv6/conf/all/stable_secret"}) {
        auto opened = Open(std::string("/proc/sys/net/") + name, O_RDONLY);
        if (opened.code() == ENOENT) continue;
        EXPECT_EQ(opened.code(), allowed ? 0 : EACCES) << "reading " << name;
      }
      EXPECT_THAT(Open("/proc/sys/net/ipv4/conf/all/mc_forwarding", O_WRONLY), FailsWith(EACCES)) << "control: nobody may";
    });
  };
  try_all(admin, true, "with CAP_NET_ADMIN in the owner of the namespace");

  // All capabilities in a user namespace below do not count for a namespace of the one above.
  Actor below = Actor::Start("below");
  SETUP_OK(below.Run(BecomeOrdinaryUser));
  SETUP_OK(below.Unshare(CLONE_NEWNET));
  SETUP_OK(below.Unshare(CLONE_NEWUSER));
  try_all(below, false, "with CAP_NET_ADMIN in a user namespace below the owner");
  SETUP_OK(below.Unshare(CLONE_NEWNET));
  try_all(below, true, "the same process in a network namespace of its own");
  // The other way: whoever is powerful above is so below.
  Actor above = Actor::Start("above");
  SETUP_OK(above.Run(BecomeOrdinaryUser));
  auto inner = SETUP_OK(NetNamespace::OfPid(below.pid()));
  SETUP_OK(above.Enter(inner.fd(), CLONE_NEWNET));
  try_all(above, true, "with CAP_NET_ADMIN in the parent of the owner");

  SETUP_OK(DropCapability(admin, CAP_NET_ADMIN));
  try_all(admin, false, "without CAP_NET_ADMIN");
}

// namespaces(7): the files in /proc/sys/user are of the user namespace of the process.
NETNS_TEST(Sysctl, UserLimitsDoNotDependOnTheNetworkNamespace, Covers("SYSCTL-20"), Needs(Config("SYSCTL"), UserNs())) {
  const std::string path = "/proc/sys/user/max_net_namespaces";
  Actor one = Actor::Start("one");
  std::string own = SETUP_OK(ReadFile(path));
  SETUP_OK(one.Unshare(CLONE_NEWNET));
  EXPECT_THAT(one.Run([&] { return ReadFile(path); }), Holds(Eq(own)));
  Actor two = StartNamespaceRoot("two");
  ASSERT_OK(two.Run([&] { return WriteFile(path, "17"); }));
  EXPECT_THAT(two.Run([&] { return ReadFile(path); }), Holds(Eq("17\n")));
  SETUP_OK(two.Unshare(CLONE_NEWNET));
  EXPECT_THAT(two.Run([&] { return ReadFile(path); }), Holds(Eq("17\n"))) << "in a second network namespace of the same user namespace";
  EXPECT_THAT(ReadFile(path), Holds(Eq(own))) << "the user namespace above";
  EXPECT_THAT(one.Run([&] { return ReadFile(path); }), Holds(Eq(own)));
  // Network namespace of the one, user namespace of the other: the user namespace counts.
  auto inner = SETUP_OK(NetNamespace::OfPid(two.pid()));
  EXPECT_THAT(inner.In([&] { return ReadFile(path); }), Holds(Eq(own)));
}

}  // namespace
}  // namespace netns
