// SPDX-License-Identifier: GPL-2.0-or-later
// SOCK, fifth part: a process goes to another namespace and takes along what it opened at home. Whatever it asks of these
// sockets and files it asks of home: each interface that could as well have looked at where the caller is.
#include <fcntl.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include "fixtures/thread.h"
#include "suites/support/control_message.h"
#include "suites/support/sockets.h"

namespace netns {
namespace {

using namespace sock;
using testing::Contains;
using testing::IsEmpty;
using testing::Not;

/// A home, another place, a process that is there, and what it brought along.
struct Journey {
  NetNamespace home = CreateWithLoopback(), away = CreateWithLoopback();
  Actor traveller = away.StartActor("traveller");
};

// unix(7): an abstract name is looked up for each datagram that names its receiver, by whichever call it is sent.
NETNS_TEST(Unix, EachDatagramIsSentToTheNameAtHome, Covers("UNIX-04", "CREATE-23"), Needs(Config("UNIX"))) {
  Journey journey;
  const SockAddr name = SockAddr::Abstract("post"), only_away = SockAddr::Abstract("elsewhere");
  Fd at_home = SETUP_OK(journey.home.Socket(AF_UNIX, SOCK_DGRAM)), there = SETUP_OK(journey.away.Socket(AF_UNIX, SOCK_DGRAM));
  Fd stray = SETUP_OK(journey.away.Socket(AF_UNIX, SOCK_DGRAM));
  SETUP_OK(Bind(at_home, name));
  SETUP_OK(Bind(there, name));
  SETUP_OK(Bind(stray, only_away));
  Fd carried = SETUP_OK(journey.home.Socket(AF_UNIX, SOCK_DGRAM));
  const auto by_message = [&](const SockAddr& to, bool several) -> Status {
    char text[] = "m";
    iovec part{text, 1};
    mmsghdr message{};
    message.msg_hdr.msg_iov = &part;
    message.msg_hdr.msg_iovlen = 1;
    message.msg_hdr.msg_name = const_cast<sockaddr*>(to.get());
    message.msg_hdr.msg_namelen = to.size();
    const auto sent = several ? ::sendmmsg(carried.get(), &message, 1, 0) : static_cast<int>(::sendmsg(carried.get(), &message.msg_hdr, 0));
    if (sent < 0) return ErrnoError(several ? "sendmmsg" : "sendmsg");
    return Ok();
  };
  journey.traveller.Run([&] {
    EXPECT_OK(SendTo(carried, "s", name));
    EXPECT_OK(by_message(name, false));
    EXPECT_OK(by_message(name, true));
    EXPECT_THAT(SendTo(carried, "s", only_away), FailsWith(ECONNREFUSED)) << "a name that only the place where the process is has";
    EXPECT_THAT(by_message(only_away, false), FailsWith(ECONNREFUSED));
    EXPECT_THAT(by_message(only_away, true), FailsWith(ECONNREFUSED));
    Fd fresh(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    EXPECT_OK(SendTo(fresh, "f", name)) << "control: a socket that was made there";
  });
  EXPECT_THAT(Drain(at_home), testing::ElementsAre("s", "m", "m"));
  EXPECT_THAT(Drain(there), testing::ElementsAre("f"));
  EXPECT_THAT(Drain(stray), IsEmpty());
}

/// SIOCSARP, SIOCGARP or SIOCDARP (arp(7)) of an address on a device.
Status Arp(const Fd& socket, unsigned long call, const char* ip, const char* device) {
  arpreq request{};
  auto* address = reinterpret_cast<sockaddr_in*>(&request.arp_pa);
  address->sin_family = AF_INET;
  ::inet_pton(AF_INET, ip, &address->sin_addr);
  request.arp_ha.sa_family = ARPHRD_ETHER;
  const unsigned char hardware[6] = {2, 0, 0, 0, 0, 9};
  std::memcpy(request.arp_ha.sa_data, hardware, sizeof hardware);
  request.arp_flags = ATF_COM | ATF_PERM;
  std::strcpy(request.arp_dev, device);
  if (::ioctl(socket.get(), call, &request) < 0) return ErrnoError(std::string("ioctl(arp of ") + ip + ")");
  return Ok();
}
std::vector<std::string> Neighbours(const NetNamespace& where) {
  std::vector<std::string> found;
  for (const auto& entry : SETUP_OK(RtnlIn(where).Neighbours(AF_INET)))
    if (entry.to.starts_with("192.0.2.")) found.push_back(entry.to);
  return found;
}

// netdevice(7) and arp(7): "ioctls ... using any socket's file descriptor".
NETNS_TEST(Dev, IoctlsOfSocketsFromHomeActAtHome, Covers("DEV-35", "CREATE-23", "STACK-22"), Needs(Config("VETH"))) {
  Journey journey;
  for (const NetNamespace* where : {&journey.home, &journey.away}) {
    AddDevice(*where, "eth0");
    SETUP_OK(RtnlIn(*where).Up("eth0"));
  }
  AddAddress(journey.home, "192.0.2.1/24", "eth0");
  AddAddress(journey.away, "198.51.100.1/24", "eth0");
  const Fd carried = SETUP_OK(journey.home.Socket(AF_INET, SOCK_DGRAM)), local = SETUP_OK(journey.away.Socket(AF_INET, SOCK_DGRAM));
  const auto address_of = [](const Fd& socket, unsigned long call) -> Result<std::string> {
    ifreq request{};
    std::strcpy(request.ifr_name, "eth0");
    request.ifr_addr.sa_family = AF_INET;
    if (::ioctl(socket.get(), call, &request) < 0) return ErrnoError("ioctl(SIOCGIF...)");
    char text[INET_ADDRSTRLEN] = "";
    ::inet_ntop(AF_INET, &reinterpret_cast<sockaddr_in*>(&request.ifr_addr)->sin_addr, text, sizeof text);
    return std::string(text);
  };
  journey.traveller.Run([&] {
    EXPECT_THAT(address_of(carried, SIOCGIFADDR), Holds(std::string("192.0.2.1")));
    EXPECT_THAT(address_of(local, SIOCGIFADDR), Holds(std::string("198.51.100.1"))) << "control: a socket of the place where the process is";
    EXPECT_THAT(address_of(carried, SIOCGIFNETMASK), Holds(std::string("255.255.255.0")));
    EXPECT_OK(Arp(carried, SIOCSARP, "192.0.2.7", "eth0"));
    EXPECT_OK(Arp(carried, SIOCGARP, "192.0.2.7", "eth0"));
    EXPECT_THAT(Arp(local, SIOCGARP, "192.0.2.7", "eth0"), FailsWith(ENXIO)) << "control: no such entry there";
  });
  EXPECT_THAT(Neighbours(journey.home), Contains("192.0.2.7"));
  EXPECT_THAT(Neighbours(journey.away), Not(Contains("192.0.2.7"))) << "SIOCSARP acted where the caller is";
  journey.traveller.Run([&] { EXPECT_OK(Arp(carried, SIOCDARP, "192.0.2.7", "eth0")); });
  EXPECT_THAT(Arp(carried, SIOCGARP, "192.0.2.7", "eth0"), FailsWith(ENXIO));
}

// ip(7), ipv6(7): devices that a socket option, an address or a message names.
NETNS_TEST(Sock, DevicesThatSocketsFromHomeNameAreThoseOfHome, Covers("SOCK-14", "SOCK-23", "CREATE-23", "SOCK-11"), Needs(Config("VETH"))) {
  constexpr int kHome = 4001, kAway = 4002;
  Journey journey;
  AddDevice(journey.home, "here", kHome);
  AddDevice(journey.away, "there", kAway);
  SETUP_OK(RtnlIn(journey.home).Up("here"));
  SETUP_OK(RtnlIn(journey.away).Up("there"));
  AddAddress(journey.home, "192.0.2.1/24", "here");
  AddAddress(journey.away, "192.0.2.1/24", "there");
  struct Use {
    const char* name;
    std::function<Status(int index)> with;
  };
  Fd four = SETUP_OK(journey.home.Socket(AF_INET, SOCK_DGRAM)), six;
  std::vector<Use> uses = {
      {"IP_MULTICAST_IF",
       [&](int index) {
         ip_mreqn request{};
         request.imr_ifindex = index;
         return ::setsockopt(four.get(), IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof request) < 0 ? Status(ErrnoError("IP_MULTICAST_IF")) : Ok();
       }},
      {"IP_ADD_MEMBERSHIP",
       [&](int index) {
         ip_mreqn request{};
         request.imr_ifindex = index;
         ::inet_pton(AF_INET, "239.1.2.3", &request.imr_multiaddr);
         return ::setsockopt(four.get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request) < 0 ? Status(ErrnoError("IP_ADD_MEMBERSHIP")) : Ok();
       }},
      {"IP_UNICAST_IF", [&](int index) { return SetOption(four, IPPROTO_IP, 50 /* IP_UNICAST_IF */, static_cast<int>(htonl(static_cast<unsigned>(index)))); }},
      {"SO_BINDTODEVICE",
       [&](int index) {
         Fd socket = SETUP_OK(journey.home.Socket(AF_INET, SOCK_DGRAM));
         return SetStringOption(socket, SOL_SOCKET, SO_BINDTODEVICE, index == kHome ? "here" : "there");
       }},
      {"IP_PKTINFO", [&](int index) -> Status {
         const SockAddr to = SockAddr::Ip("192.0.2.9", 9);
         in_pktinfo info{};
         info.ipi_ifindex = index;
         return SendWithControl(four, to.get(), to.size(), IPPROTO_IP, IP_PKTINFO, info, "sendmsg(IP_PKTINFO)");
       }}};
  if (HasIpv6()) {
    SETUP_OK(RtnlIn(journey.home).AddAddress("fe80::77/64", "here", {.nodad = true}));
    SETUP_OK(RtnlIn(journey.away).AddAddress("fe80::77/64", "there", {.nodad = true}));
    six = SETUP_OK(journey.home.Socket(AF_INET6, SOCK_DGRAM));
    uses.push_back({"IPV6_MULTICAST_IF", [&](int index) { return SetOption(six, IPPROTO_IPV6, IPV6_MULTICAST_IF, index); }});
    uses.push_back({"IPV6_ADD_MEMBERSHIP", [&](int index) -> Status {
                      ipv6_mreq request{};
                      request.ipv6mr_interface = static_cast<unsigned>(index);
                      ::inet_pton(AF_INET6, "ff05::1:7", &request.ipv6mr_multiaddr);
                      if (::setsockopt(six.get(), IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &request, sizeof request) < 0) return ErrnoError("IPV6_ADD_MEMBERSHIP");
                      return Ok();
                    }});
    uses.push_back({"a link-local address to bind to", [&](int index) -> Status {
                      Fd socket = SETUP_OK(journey.home.Socket(AF_INET6, SOCK_DGRAM));
                      return Bind(socket, SockAddr::Ip("fe80::77", 4000, static_cast<unsigned>(index)));
                    }});
    uses.push_back({"a link-local address to connect to", [&](int index) -> Status {
                      Fd socket = SETUP_OK(journey.home.Socket(AF_INET6, SOCK_DGRAM));
                      return Connect(socket, SockAddr::Ip("fe80::78", 4000, static_cast<unsigned>(index)));
                    }});
  }
  Fd packet = SETUP_OK(journey.home.Socket(AF_PACKET, SOCK_RAW, 0));
  uses.push_back({"a packet socket's bind", [&](int index) -> Status {
                    struct {
                      unsigned short family, protocol;
                      int index;
                      unsigned short type;
                      unsigned char packet, length, address[8];
                    } address{AF_PACKET, htons(0x88B5), index, 0, 0, 0, {}};
                    if (::bind(packet.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) return ErrnoError("bind(AF_PACKET)");
                    return Ok();
                  }});
  for (const Use& use : uses) {
    SCOPED_TRACE(use.name);
    EXPECT_OK(use.with(kHome)) << "control: asked by a process that is at home";
    // The membership is there already; leave it at that.
    if (!std::string_view(use.name).ends_with("ADD_MEMBERSHIP")) {
      EXPECT_OK(journey.traveller.Run([&] { return use.with(kHome); })) << "a device of home";
    }
    EXPECT_FALSE(journey.traveller.Run([&] { return use.with(kAway); }).ok()) << "a device of the place where the process is";
  }
}

// proc(5): names below /proc/sys/net are looked up for the calling thread. What somebody else has looked up before is remembered
// by the kernel, and may hide a first look that goes astray: here nobody has looked before.
NETNS_TEST(Sysctl, TheFirstLookIsOfTheCallingThread, Covers("SYSCTL-01"), Needs(Config("SYSCTL"), Config("VETH"))) {
  auto away = NetNamespace::Create();
  AddDevice(NetNamespace::Current(), "here");
  AddDevice(away, "there");
  Thread mover;
  SETUP_OK(mover.Run([&]() -> Status { return ::setns(away.fd(), CLONE_NEWNET) < 0 ? Status(ErrnoError("setns")) : Ok(); }));
  mover.Run([] {
    EXPECT_EQ(::access("/proc/sys/net/ipv4/conf/there", F_OK), 0) << "a device of the thread's namespace: " << ErrnoName(errno);
    EXPECT_NE(::access("/proc/sys/net/ipv4/conf/here", F_OK), 0) << "a device of the namespace of the thread-group leader";
  });
  EXPECT_EQ(::access("/proc/sys/net/ipv4/conf/here", F_OK), 0) << "control: the leader";
  EXPECT_NE(::access("/proc/sys/net/ipv4/conf/there", F_OK), 0) << "control: the leader";
}

// proc(5): an open file of /proc/sys/net is of the namespace in which it was opened. Those with a handler of their own too,
// which could look at the writer instead.
struct OpenFile {
  const char* name;
  std::string at_home, away, written;
};
void StayAtHome(Journey& journey, const std::vector<OpenFile>& rows) {
  int seen = 0;
  for (const OpenFile& row : rows) {
    const std::string name = std::string("net/") + row.name, path = "/proc/sys/" + name;
    if (!journey.home.HasSysctl(name) || !journey.home.SetSysctl(name, row.at_home).ok()) continue;  // not in this kernel, or not for this owner
    SCOPED_TRACE(row.name);
    ++seen;
    SETUP_OK(journey.away.SetSysctl(name, row.away));
    const Fd carried = SETUP_OK(journey.home.OpenIn(path, O_RDWR));
    const auto read = [&]() -> Result<std::string> {
      char text[256] = "";
      const ssize_t size = ::pread(carried.get(), text, sizeof text, 0);
      if (size < 0) return ErrnoError("pread");
      return std::string(text, static_cast<std::size_t>(size));
    };
    journey.traveller.Run([&] {
      EXPECT_THAT(read(), Holds(row.at_home + "\n")) << "proc(5): the value of where the reader is";
      EXPECT_EQ(::pwrite(carried.get(), row.written.data(), row.written.size(), 0), static_cast<ssize_t>(row.written.size())) << ErrnoName(errno);
      EXPECT_THAT(read(), Holds(row.written + "\n")) << "proc(5): what was written through the same file";
    });
    EXPECT_THAT(journey.home.Sysctl(name), Holds(row.written)) << "the write did not act where the file was opened";
    EXPECT_THAT(journey.away.Sysctl(name), Holds(row.away)) << "the write acted where the writer is";
    EXPECT_THAT(journey.traveller.Run([&] { return ReadFile(path); }), Holds(row.away + "\n")) << "control: opened where the process is";
    (void)journey.home.SetSysctl(name, row.at_home).ok();
  }
  EXPECT_GT(seen, 0) << "control: none of the files is there";
}
NETNS_TEST(Sysctl, OpenFilesWithAHandlerOfTheirOwnStayAtHome, Covers("SYSCTL-03", "CREATE-23", "STACK-14"), Needs(Config("SYSCTL"))) {
  Journey journey;
  // The algorithm that is the default, and the one that every kernel has and allows. A second row has them the other way round.
  const std::string algorithm = SETUP_OK(journey.home.Sysctl("net/ipv4/tcp_congestion_control"));
  StayAtHome(journey,
                     {{"ipv4/ip_local_port_range", "20000\t30000", "21000\t31000", "22000\t32000"},
                      {"ipv4/ip_unprivileged_port_start", "500", "600", "700"},
                      {"ipv4/ip_local_reserved_ports", "8080", "9090", "7070-7072"},
                      {"ipv4/ip_forward", "0", "0", "1"},
                      {"ipv4/conf/all/forwarding", "0", "0", "1"},
                      {"ipv4/conf/default/rp_filter", "1", "2", "0"},
                      {"ipv4/tcp_congestion_control", "reno", "reno", algorithm},
                      {"ipv4/tcp_congestion_control", "reno", algorithm, "reno"},
                      {"ipv4/tcp_fastopen_key", "00000001-00000002-00000003-00000004", "00000011-00000012-00000013-00000014", "00000021-00000022-00000023-00000024"},
                      {"ipv4/tcp_fin_timeout", "31", "32", "33"},
                      {"ipv4/tcp_rmem", "4096\t131072\t6291456", "4097\t131073\t6291457", "4098\t131074\t6291458"},
                      {"ipv4/neigh/lo/base_reachable_time_ms", "31000", "32000", "33000"},
                      {"ipv4/route/min_pmtu", "600", "700", "800"},
                      {"ipv4/fib_multipath_hash_policy", "0", "0", "1"},
                      {"ipv6/conf/all/forwarding", "0", "0", "1"},
                      {"ipv6/conf/all/disable_ipv6", "0", "0", "1"},
                      {"ipv6/conf/lo/hop_limit", "31", "32", "33"},
                      {"ipv6/conf/default/addr_gen_mode", "0", "0", "1"},
                      {"ipv6/flowlabel_reflect", "1", "2", "3"},
                      {"netfilter/nf_conntrack_udp_timeout", "31", "32", "33"},
                      {"ipv6/conf/default/stable_secret", "2001:0db8:0000:0000:0000:0000:0000:0001", "2001:0db8:0000:0000:0000:0000:0000:0002", "2001:0db8:0000:0000:0000:0000:0000:0003"},
                      {"core/xfrm_acq_expires", "31", "32", "33"},
                      {"mpls/platform_labels", "100", "200", "300"}});
}
// (Once they all looked at the namespace of the writer.)
NETNS_TEST(Sysctl, OpenFilesOfSctpStayAtHome, Covers("SYSCTL-03", "CREATE-23", "STACK-19"), Needs(Config("SYSCTL"), Config("IP_SCTP"))) {
  Journey journey;
  const auto probe = journey.home.Socket(AF_INET, SOCK_STREAM, 132 /* IPPROTO_SCTP */);
  if (!probe.ok()) RequireBuiltIn(probe.code(), "IP_SCTP");
  const std::string hmac = SETUP_OK(journey.home.Sysctl("net/sctp/cookie_hmac_alg"));
  StayAtHome(journey,
                     {{"sctp/rto_min", "501", "502", "503"},
                      {"sctp/rto_max", "61000", "62000", "63000"},
                      {"sctp/cookie_hmac_alg", "none", "none", hmac},
                      {"sctp/auth_enable", "0", "0", "1"},
                      {"sctp/plpmtud_probe_interval", "6001", "6002", "6003"}});
}

}  // namespace
}  // namespace netns
