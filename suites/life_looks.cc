// SPDX-License-Identifier: GPL-2.0-or-later
// LIFE, second part: whatever was done in a namespace, or with it, is over when it is over. Each row does much of one kind and
// leaves nothing open; a kernel that forgets to let go on one of these ways keeps the namespace for ever.
#include <dirent.h>
#include <fcntl.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <filesystem>

#include "suites/support/watched.h"

namespace netns {
namespace {

Fd OpenQuietly(const std::string& path, int flags) { return Fd(::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK)); }

/// Every file below a directory, a few levels deep.
void ForEachFile(const std::string& root, const std::function<void(const std::string&)>& what) {
  std::error_code ignored;
  std::filesystem::recursive_directory_iterator at(root, ignored), end;
  int count = 0;
  while (!ignored && at != end && ++count < 5000) {
    std::error_code other;
    if (at->is_regular_file(other)) what(at->path());
    at.increment(ignored);
  }
}
void ReadQuietly(const std::string& path) {
  const Fd fd = OpenQuietly(path, O_RDONLY);
  char buffer[4096];
  for (int i = 0; fd.valid() && i < 64 && ::read(fd.get(), buffer, sizeof buffer) > 0; ++i) {
  }
}

/// Connections of one kind, opened and closed over the loopback device.
void Connect(int family, int type, int protocol) {
  Fd listener(::socket(family, type | SOCK_CLOEXEC, protocol)), client(::socket(family, type | SOCK_CLOEXEC, protocol));
  if (!listener.valid() || !client.valid()) return;  // not in this kernel
  sockaddr_storage address{};
  socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  address.ss_family = static_cast<sa_family_t>(family);
  if (family == AF_INET) {
    reinterpret_cast<sockaddr_in*>(&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  } else {
    reinterpret_cast<sockaddr_in6*>(&address)->sin6_addr = in6addr_loopback;
  }
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  const linger at_once{1, 0};  // no TIME_WAIT
  for (const Fd* fd : {&listener, &client}) ::setsockopt(fd->get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  if (::bind(listener.get(), generic, size) < 0 || ::getsockname(listener.get(), generic, &size) < 0) return;
  if (type == SOCK_DGRAM) {
    std::ignore = ::sendto(client.get(), "x", 1, 0, generic, size);
    return;
  }
  if (::listen(listener.get(), 4) < 0 || ::connect(client.get(), generic, size) < 0) return;
  Fd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  EXPECT_TRUE(accepted.valid()) << "control: accept: " << ErrnoName(errno);
  ::setsockopt(accepted.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

/// Sockets that are closed with something still to do: a refusal or an error unread, connections that nobody accepted, data
/// unsent and unread, the wait after the end, groups joined, filters attached.
void EndBadly(int family) {
  sockaddr_storage loopback{};
  const socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  loopback.ss_family = static_cast<sa_family_t>(family);
  if (family == AF_INET)
    reinterpret_cast<sockaddr_in*>(&loopback)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  else
    reinterpret_cast<sockaddr_in6*>(&loopback)->sin6_addr = in6addr_loopback;
  const auto at = [&](std::uint16_t port) {
    sockaddr_storage address = loopback;
    reinterpret_cast<sockaddr_in*>(&address)->sin_port = htons(port);  // in the same place in both families
    return address;
  };
  const auto open = [&](int type, int protocol = 0) {
    Fd socket(::socket(family, type | SOCK_CLOEXEC, protocol));
    EXPECT_TRUE(socket.valid()) << "control: " << ErrnoName(errno);
    return socket;
  };
  const sockaddr_storage nobody = at(9), somebody = at(7009);
  const auto* to_nobody = reinterpret_cast<const sockaddr*>(&nobody);
  const auto* to_somebody = reinterpret_cast<const sockaddr*>(&somebody);
  const int one = 1;
  {
    const Fd refused = open(SOCK_STREAM), told = open(SOCK_DGRAM), corked = open(SOCK_DGRAM);
    EXPECT_EQ(::connect(refused.get(), to_nobody, size), -1) << "control: nobody listens";
    ::setsockopt(told.get(), family == AF_INET ? int{IPPROTO_IP} : int{IPPROTO_IPV6}, family == AF_INET ? 11 /* IP_RECVERR */ : 25 /* IPV6_RECVERR */, &one, sizeof one);
    EXPECT_EQ(::connect(told.get(), to_nobody, size), 0) << "control";
    EXPECT_EQ(::send(told.get(), "x", 1, 0), 1) << "control";
    EXPECT_EQ(::sendto(corked.get(), "x", 1, MSG_MORE, to_nobody, size), 1) << "control";
  }
  Fd listener = open(SOCK_STREAM);
  ::setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  ASSERT_EQ(::bind(listener.get(), to_somebody, size), 0) << "control: " << ErrnoName(errno);
  const int queue = 4;
  ::setsockopt(listener.get(), IPPROTO_TCP, 23 /* TCP_FASTOPEN */, &queue, sizeof queue);
  ASSERT_EQ(::listen(listener.get(), 2), 0) << "control";
  {
    // The first asks for a cookie, the second brings it.
    for (int i = 0; i < 2; ++i) {
      const Fd quick = open(SOCK_STREAM);
      EXPECT_EQ(::sendto(quick.get(), "x", 1, 0x20000000 /* MSG_FASTOPEN */, to_somebody, size), 1) << "control: " << ErrnoName(errno);
      const Fd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      EXPECT_TRUE(accepted.valid()) << "control";
    }
    Fd waits = open(SOCK_STREAM);
    EXPECT_EQ(::connect(waits.get(), to_somebody, size), 0) << "control: " << ErrnoName(errno);
    Fd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    EXPECT_TRUE(accepted.valid()) << "control";
    waits.Reset();  // TIME_WAIT, when the other end has gone
    accepted.Reset();
  }
  std::vector<Fd> clients;
  for (int i = 0; i < 6; ++i) {
    clients.emplace_back(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    std::ignore = ::connect(clients.back().get(), to_somebody, size);
    std::ignore = ::send(clients.back().get(), "unread", 6, MSG_NOSIGNAL);
  }
  listener.Reset();
  clients.clear();
  const Fd joined = open(SOCK_DGRAM);
  if (family == AF_INET) {
    const struct { in_addr group, device, source; } source{{htonl(0xE9000001u)}, {htonl(INADDR_LOOPBACK)}, {htonl(0xC0000201)}};
    std::ignore = ::setsockopt(joined.get(), IPPROTO_IP, 39 /* IP_ADD_SOURCE_MEMBERSHIP */, &source, sizeof source);
  } else {
    ipv6_mreq group{};
    group.ipv6mr_multiaddr.s6_addr[0] = 0xFF, group.ipv6mr_multiaddr.s6_addr[1] = 0x01, group.ipv6mr_multiaddr.s6_addr[15] = 0x77;
    group.ipv6mr_interface = 1;
    std::ignore = ::setsockopt(joined.get(), IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, &group, sizeof group);
  }
  struct { std::uint16_t code; std::uint8_t jt, jf; std::uint32_t k; } accept_all{6 /* BPF_RET */, 0, 0, 0xFFFF};
  const struct { unsigned short length; void* code; } program{1, &accept_all};
  EXPECT_EQ(::setsockopt(joined.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), 0) << "control: " << ErrnoName(errno);
}

struct Deed {
  const char* name;
  std::vector<std::string> covers;
  std::function<void(Actor& member)> act;
  bool loads = false;  ///< It goes through so much that the kernel loads modules for it: not on somebody's machine.
};
const std::vector<Deed>& Deeds() {
  static const std::vector<Deed> deeds = {
      {"ListingItsProcNet", {"LIFE-01", "LIFE-19"},
       [](Actor& member) {
         const auto list = [](const std::string& root) {
           int count = 0;
           ForEachFile(root, [&](const std::string&) { ++count; });
           EXPECT_GT(count, 5) << "control: " << root;
         };
         list(member.Proc("net"));
         member.Run([&] { list("/proc/thread-self/net"); });
       }},
      {"ReadingItsProcNet", {"LIFE-01", "LIFE-18"},
       [](Actor& member) {
         ForEachFile(member.Proc("net"), ReadQuietly);
         member.Run([] { ForEachFile("/proc/thread-self/net", ReadQuietly); });
       }},
      {"OpeningItsSysctls", {"LIFE-01", "LIFE-20", "SYSCTL-19"},
       [](Actor& member) {
         member.Run([] {
           int opened = 0;
           ForEachFile("/proc/sys/net", [&](const std::string& path) {
             ReadQuietly(path);
             for (int flags : {O_WRONLY, O_RDWR, O_PATH}) opened += OpenQuietly(path, flags).valid();
           });
           EXPECT_GT(opened, 100) << "control: files of /proc/sys/net could be opened";
           const Fd ttl = OpenQuietly("/proc/sys/net/ipv4/ip_default_ttl", O_WRONLY);
           EXPECT_EQ(::write(ttl.get(), "63", 2), 2) << "control: written";
         });
       }},
      {"MountingItsSysfs", {"LIFE-01", "LIFE-21"},
       [](Actor& member) {
         SETUP_OK(member.Unshare(CLONE_NEWNS));
         member.Run([] {
           if (::mount("sysfs", "/sys", "sysfs", 0, nullptr) < 0) throw SetupFailure(ErrnoError("mount(sysfs)").ToString(), std::source_location::current());
           ForEachFile("/sys/class/net/lo/", ReadQuietly);
           ForEachFile("/sys/devices/virtual/net", ReadQuietly);
           EXPECT_EQ(::umount2("/sys", MNT_DETACH), 0) << ErrnoName(errno);
         });
       }},
      {"SocketsOfEveryFamily", {"LIFE-01", "LIFE-15"},
       [](Actor& member) {
         member.Run([] {
           int opened = 0;
           const auto open = [&](int family, int type, int protocol) {
             const Fd socket(::socket(family, type | SOCK_CLOEXEC, protocol));
             opened += socket.valid();
             return socket.valid() || errno != EAFNOSUPPORT;
           };
           for (int family = 1; family < 46; ++family)
             for (int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_RDM, SOCK_SEQPACKET, SOCK_PACKET})
               if (!open(family, type, 0)) break;  // not in this kernel, whatever the type
           for (int family : {AF_INET, AF_INET6}) {
             for (int protocol : {1, 4, 6, 17, 58, 115, 132, 136, 255}) open(family, SOCK_RAW, protocol);
             for (int protocol : {132 /* SCTP */, 262 /* MPTCP */}) open(family, SOCK_STREAM, protocol);
             for (int protocol : {1 /* ICMP */, 58, 115 /* L2TP */, 136 /* UDP-Lite */}) open(family, SOCK_DGRAM, protocol);
             open(family, SOCK_SEQPACKET, IPPROTO_SCTP);
           }
           for (int protocol = 0; protocol < 23; ++protocol) open(AF_NETLINK, SOCK_RAW, protocol);
           for (int protocol : {2, 3, 4, 6, 7}) open(29 /* AF_CAN */, protocol == 2 ? SOCK_DGRAM : SOCK_RAW, protocol);
           EXPECT_GT(opened, 20) << "control: sockets could be opened";
           int pair[2];
           for (int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET})
             if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) == 0)
               for (int end : pair) ::close(end);
         });
       }, true},
      {"Connections", {"LIFE-01", "LIFE-15"},
       [](Actor& member) {
         member.Run([] {
           SETUP_OK(SETUP_OK(Rtnl::Open()).Up("lo"));
           for (int family : {AF_INET, AF_INET6}) {
             Connect(family, SOCK_STREAM, 0);
             Connect(family, SOCK_STREAM, IPPROTO_SCTP);
             Connect(family, SOCK_STREAM, 262 /* IPPROTO_MPTCP */);
             Connect(family, SOCK_DGRAM, 0);
             Connect(family, SOCK_DGRAM, 136 /* IPPROTO_UDPLITE */);
           }
         });
       }, true},
      {"DumpsOfEveryKind", {"LIFE-01", "NLK-16"},
       [](Actor& member) {
         member.Run([] {
           int answered = 0;
           for (int protocol : {NETLINK_ROUTE, NETLINK_XFRM, NETLINK_SOCK_DIAG}) {
             auto opened = NetlinkSocket::Open(protocol);
             if (!opened.ok()) continue;
             for (int type = 16; type < 124; ++type)
               for (int family : {AF_UNSPEC, AF_INET, AF_INET6, AF_BRIDGE, 28 /* AF_MPLS */}) {
                 if (protocol == NETLINK_ROUTE && (type - RTM_BASE) % 4 != 2) continue;  // RTM_GET...
                 if (protocol != NETLINK_ROUTE && (family != AF_UNSPEC || (protocol == NETLINK_XFRM ? type != 0x12 && type != 0x15 : type != 20))) continue;
                 struct {
                   std::uint8_t family, rest[63];
                 } header{static_cast<std::uint8_t>(family), {}};
                 answered += opened->Dump(Request(static_cast<std::uint16_t>(type)).Header(header)).ok();
               }
           }
           EXPECT_GT(answered, 5) << "control: dumps were answered";
         });
       }, true},
      {"DevicesOfEveryKind", {"LIFE-01", "DEV-32"},
       [](Actor& member) {
         member.Run([] {
           auto rtnl = SETUP_OK(Rtnl::Open());
           for (const char* kind : {"dummy", "veth", "bridge", "bond", "ifb", "vcan", "vxcan", "nlmon", "netkit", "team", "wireguard", "ipip", "gre", "gretap", "sit", "ip6tnl", "ip6gre",
                                    "vti", "vti6", "tun", "hsr", "batadv", "vsockmon"}) {
             if (rtnl.AddLink({.name = "each", .kind = kind}).ok()) {
               std::ignore = rtnl.Up("each");
               EXPECT_OK(rtnl.DeleteLink("each")) << kind;
             }
           }
           EXPECT_OK(rtnl.AddVeth("each", PeerSpec{.name = "other"})) << "control";
           EXPECT_OK(rtnl.DeleteLink("each"));
         });
       }, true},
      {"HandlesThatAreClosed", {"LIFE-01", "LIFE-06", "LIFE-08", "LIFE-22", "NSFS-19"},
       [](Actor& member) {
         for (const char* path : {"ns/net", "ns/user", "ns/uts", "net/dev"})
           for (int flags : {O_RDONLY, O_PATH, O_PATH | O_NOFOLLOW}) std::ignore = OpenQuietly(member.Proc(path), flags);
         const Fd space = OpenQuietly(member.Proc("ns/net"), O_RDONLY);
         std::ignore = Fd(static_cast<int>(::syscall(SYS_pidfd_open, member.pid(), 0)));
         Actor visitor = Actor::Start("visitor");
         SETUP_OK(visitor.Enter(space.get(), CLONE_NEWNET));
         SETUP_OK(visitor.Unshare(CLONE_NEWNET));
         if (visitor.Enter(member.pidfd(), CLONE_NEWNET).ok()) SETUP_OK(visitor.Unshare(CLONE_NEWNET));
         const Fd socket = SETUP_OK(SETUP_OK(NetNamespace::OfPid(member.pid())).Socket(AF_UNIX, SOCK_STREAM));
         std::ignore = Fd(::ioctl(socket.get(), SIOCGSKNS));
         std::ignore = Fd(::ioctl(member.pidfd(), _IO(0xFF, 4) /* PIDFD_GET_NET_NAMESPACE */, 0));
         EXPECT_OK(NetNamespace::OfPid(member.pid())) << "control";
       }},
      {"MovesInAndOut", {"LIFE-01", "DEV-10"},
       [](Actor& member) {
         auto here = SETUP_OK(Rtnl::Open());
         const auto home = NetNamespace::Current();
         auto there = member.Run([] { return SETUP_OK(Rtnl::Open()); });
         const auto space = SETUP_OK(NetNamespace::OfPid(member.pid()));
         SETUP_OK(here.AddVeth("goes", PeerSpec{.name = "stays"}));
         for (int round = 0; round < 3; ++round) {
           EXPECT_OK(here.MoveLink("goes", round % 2 == 0 ? ByFd(space.fd()) : ByPid(member.pid())));
           EXPECT_OK(there.MoveLink("goes", ByFd(home.fd()))) << "control: back";
         }
         SETUP_OK(here.DeleteLink("goes"));
       }},
      {"IdsThatWereGiven", {"LIFE-01", "NSID-14"},
       [](Actor& member) {
         const auto space = SETUP_OK(NetNamespace::OfPid(member.pid()));
         const auto other = NetNamespace::Create();
         auto asker = SETUP_OK(Rtnl::In(other));
         EXPECT_OK(asker.NewNsid(ByFd(space.fd()), 47));
         std::ignore = member.Run([&] { return SETUP_OK(Rtnl::Open()).NewNsid(ByFd(space.fd()), 48); });  // one for itself
         std::ignore = member.Run([&] { return SETUP_OK(Rtnl::Open()).NewNsid(ByFd(other.fd()), 49); });
       }},
      {"IdsThatWereAskedFor", {"LIFE-01", "NSID-01", "NSID-14"},
       [](Actor& member) {
         const auto space = SETUP_OK(NetNamespace::OfPid(member.pid()));
         const auto other = NetNamespace::Create(), third = NetNamespace::Create();
         auto asker = SETUP_OK(Rtnl::In(other));
         SETUP_OK(asker.NewNsid(ByFd(third.fd()), 5));
         const auto by_each = [&](const std::string& when, bool has_one) {
           for (const NsRef& reference : {ByPid(member.pid()), ByFd(space.fd())})
             for (std::optional<int> target : {std::optional<int>(), std::optional<int>(5)}) {  // in the third one it never has one
               const auto answer = asker.GetNsid(reference, target);
               ASSERT_OK(answer) << when << ", " << reference.ToString();
               EXPECT_EQ(answer->nsid, has_one && !target ? 6 : -1) << "control: " << when << ", " << reference.ToString() << (target ? ", in a third one" : "");
             }
         };
         by_each("without an id", false);
         // Of itself, which never has one.
         member.Run([] {
           auto rtnl = SETUP_OK(Rtnl::Open());
           const auto own = NetNamespace::Current();
           for (const NsRef& reference : {ByPid(::getpid()), ByFd(own.fd())}) EXPECT_EQ(SETUP_OK(rtnl.GetNsid(reference)).nsid, -1) << "of itself: " << reference.ToString();
         });
         EXPECT_FALSE(asker.NewNsid(ByPid(member.pid()), 5).ok()) << "control: that id is taken";
         SETUP_OK(asker.NewNsid(ByPid(member.pid()), 6));
         by_each("with an id", true);
         EXPECT_FALSE(asker.NewNsid(ByPid(member.pid()), 7).ok()) << "control: it has an id";
       }},
      {"ListenersThatAreClosed", {"LIFE-01", "NLK-04"},
       [](Actor& member) {
         member.Run([] {
           for (int protocol : {NETLINK_ROUTE, NETLINK_XFRM, NETLINK_NETFILTER, NETLINK_KOBJECT_UEVENT, NETLINK_GENERIC}) {
             const Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
             for (int group = 1; socket.valid() && group < 40; ++group) std::ignore = ::setsockopt(socket.get(), 270 /* SOL_NETLINK */, 1 /* NETLINK_ADD_MEMBERSHIP */, &group, sizeof group);
           }
           auto rtnl = SETUP_OK(Rtnl::Open());
           SETUP_OK(rtnl.Up("lo"));
         });
       }, true},
      {"MessagesThatCarriedItsDescriptors", {"LIFE-13", "LIFE-16", "LIFE-07"},
       [](Actor& member) {
         const auto space = SETUP_OK(NetNamespace::OfPid(member.pid()));
         const auto pass = [&](int type) {
           for (bool received : {true, false}) {
             std::vector<Fd> cargo;
             cargo.push_back(SETUP_OK(space.Dup()).Release());
             for (int family : {AF_INET, AF_INET6, AF_UNIX, AF_NETLINK, AF_PACKET})
               for (int kind : {SOCK_DGRAM, SOCK_STREAM, SOCK_RAW})
                 if (auto socket = space.Socket(family, kind); socket.ok()) cargo.push_back(std::move(*socket));
             EXPECT_GT(cargo.size(), 3u) << "control";
             for (Fd& each : cargo) {
               int ends[2];
               if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) < 0) throw SetupFailure(ErrnoError("socketpair").ToString(), std::source_location::current());
               const Fd from(ends[0]), to(ends[1]);
               SETUP_OK(SendFd(from.get(), each.get()));
               each.Reset();
               if (received) SETUP_OK(ReceiveFd(to.get()));
             }
           }
         };
         for (int type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}) {
           pass(type);
           member.Run([&] { pass(type); });  // the sockets that carry them are of the namespace, too
         }
       }},
      {"MountsThatAreGone", {"LIFE-10", "LIFE-07", "TOOL-02"},
       [](Actor& member) {
         Actor mounter = Actor::Start("mounter", CLONE_NEWNS);
         const std::string from = member.Proc("ns/net"), at = "/tmp/its-namespace";
         mounter.Run([&] {
           Fd(::open(at.c_str(), O_CREAT | O_RDONLY | O_CLOEXEC, 0600));
           for (int flags : {0, int{MNT_DETACH}}) {
             ASSERT_EQ(::mount(from.c_str(), at.c_str(), nullptr, MS_BIND, nullptr), 0) << "control: " << ErrnoName(errno);
             if (flags == MNT_DETACH) {
               // While somebody has it open; and looked at once more.
               const Fd open = OpenQuietly(at, O_RDONLY), path = OpenQuietly(at, O_PATH);
               EXPECT_EQ(::umount2(at.c_str(), flags), 0) << ErrnoName(errno);
               struct stat info{};
               EXPECT_EQ(::fstat(open.get(), &info), 0);
             } else {
               EXPECT_EQ(::umount2(at.c_str(), flags), 0) << ErrnoName(errno);
             }
           }
           // Twice upon each other, and one that goes with its mount namespace.
           for (int i = 0; i < 2; ++i) EXPECT_EQ(::mount(from.c_str(), at.c_str(), nullptr, MS_BIND, nullptr), 0) << ErrnoName(errno);
           for (int i = 0; i < 2; ++i) EXPECT_EQ(::umount2(at.c_str(), MNT_DETACH), 0) << ErrnoName(errno);
           EXPECT_EQ(::mount(from.c_str(), at.c_str(), nullptr, MS_BIND, nullptr), 0) << ErrnoName(errno);
         });
         mounter.Kill();
       }},
      {"RingsThatWereMapped", {"LIFE-17", "LIFE-15"},
       [](Actor& member) {
         member.Run([] {
           for (int ring : {5 /* PACKET_RX_RING */, 13 /* PACKET_TX_RING */}) {
             Fd socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
             if (!socket.valid()) return;  // not in this kernel
             struct {  // tpacket_req
               unsigned block_size = 4096, blocks = 4, frame_size = 2048, frames = 8;
             } request;
             ASSERT_EQ(::setsockopt(socket.get(), 263 /* SOL_PACKET */, ring, &request, sizeof request), 0) << "control: " << ErrnoName(errno);
             constexpr std::size_t kSize = 4 * 4096;
             for (bool socket_first : {false, true}) {
               void* memory = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED, socket.get(), 0);
               ASSERT_NE(memory, MAP_FAILED) << "control: " << ErrnoName(errno);
               if (socket_first) socket.Reset();
               ::munmap(memory, kSize);
             }
           }
         });
       }},
      {"SocketsThatEndedBadly", {"LIFE-01", "LIFE-15"},
       [](Actor& member) {
         member.Run([] {
           SETUP_OK(SETUP_OK(Rtnl::Open()).Up("lo"));
           for (int family : {AF_INET, AF_INET6}) {
             if (family == AF_INET6 && ::access("/proc/thread-self/net/if_inet6", F_OK) < 0) continue;
             EndBadly(family);
           }
         });
       }},
      {"PacketsThatWait", {"LIFE-01", "STACK-22", "STACK-12"},
       [](Actor& member) {
         member.Run([] {
           auto rtnl = SETUP_OK(Rtnl::Open());
           SETUP_OK(rtnl.Up("lo"));
           SETUP_OK(rtnl.AddVeth("waits", PeerSpec{.name = "silent"}));
           for (const char* device : {"waits", "silent"}) SETUP_OK(rtnl.Up(device));
           SETUP_OK(rtnl.AddAddress("192.0.2.1/24", "waits"));
           // For an answer of ARP that nobody gives, and for the rest of a packet that does not come.
           const Fd sender(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)), raw(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
           sockaddr_in to{};
           to.sin_family = AF_INET;
           to.sin_port = htons(9);
           to.sin_addr.s_addr = htonl(0xC0000209);
           for (int i = 0; i < 3; ++i) EXPECT_EQ(::sendto(sender.get(), "x", 1, 0, reinterpret_cast<sockaddr*>(&to), sizeof to), 1) << "control: " << ErrnoName(errno);
           std::string fragment("\x45\0\0\x1C\0\x07\x20\0\x40\x11\0\0\x7F\0\0\x02\x7F\0\0\x01\0\x07\0\x09\0\x40\0\0", 28);
           to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
           for (char id : {1, 2, 3}) {
             fragment[5] = id;
             EXPECT_EQ(::sendto(raw.get(), fragment.data(), fragment.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to), 28) << "control: " << ErrnoName(errno);
           }
           const auto neighbours = SETUP_OK(rtnl.Neighbours(AF_INET));
           EXPECT_TRUE(std::any_of(neighbours.begin(), neighbours.end(), [](const Neighbour& each) { return each.to == "192.0.2.9"; })) << "control: it is looked for";
         });
       }},
      {"RequestsThatAreRefused", {"LIFE-01", "NLK-11", "DEV-18"},
       [](Actor& member) {
         auto here = SETUP_OK(Rtnl::Open());
         const auto space = SETUP_OK(NetNamespace::OfPid(member.pid()));
         int id = SETUP_OK(here.GetNsid(ByFd(space.fd()))).nsid;  // the pair across the border may have brought one
         if (id < 0) SETUP_OK(here.NewNsid(ByFd(space.fd()), id = 31));
         const auto refused = [](const Status& status, const char* what) { EXPECT_FALSE(status.ok()) << "control: " << what; };
         const auto asked = [&](std::uint16_t type, auto header, std::uint16_t target, std::uint16_t flags, const char* what) {
           Request request(type, flags);
           request.Header(header).U32(target, static_cast<std::uint32_t>(id)).Named(what);
           if ((flags & NLM_F_DUMP) != 0)
             std::ignore = here.socket().Dump(request);
           else
             std::ignore = here.socket().Ask(request);
         };
         // Of things that are not there, or that it does not tell, by each way of naming it.
         for (int index : {0, 4711}) {
           ifinfomsg link{};
           link.ifi_index = index;
           asked(RTM_GETLINK, link, IFLA_TARGET_NETNSID, 0, "a link");
           asked(RTM_GETLINK, link, IFLA_TARGET_NETNSID, NLM_F_DUMP, "links");
           asked(RTM_DELLINK, link, IFLA_TARGET_NETNSID, NLM_F_ACK, "delete a link");
           asked(RTM_SETLINK, link, IFLA_TARGET_NETNSID, NLM_F_ACK, "change a link");
           for (int family : {AF_INET, AF_INET6}) {
             ifaddrmsg address{};
             address.ifa_family = static_cast<std::uint8_t>(family);
             address.ifa_index = static_cast<unsigned>(index);
             asked(RTM_GETADDR, address, IFA_TARGET_NETNSID, NLM_F_DUMP, "addresses");
             asked(RTM_GETADDR, address, IFA_TARGET_NETNSID, 0, "an address");
           }
         }
         rtgenmsg any{};
         for (std::uint16_t name : {NETNSA_NSID, NETNSA_TARGET_NSID}) {
           asked(RTM_GETNSID, any, name, 0, "an id");
           asked(RTM_GETNSID, any, name, NLM_F_DUMP, "ids");
           asked(RTM_NEWNSID, any, name, NLM_F_ACK, "give an id");
         }
         refused(here.NewNsid(ByFd(space.fd()), id + 1), "it has an id");
         refused(here.MoveLink("lo", ByFd(space.fd())), "lo does not move");
         refused(here.MoveLink("absent", ByFd(space.fd())), "there is no such device");
         for (int i = 0; i < 2; ++i) {
           refused(here.AddLink({.name = "x", .kind = "nothing", .netns_fd = space.fd()}), "there is no such kind");
           refused(here.AddLink({.name = "in/valid", .kind = "veth", .netns_pid = member.pid()}), "no such name");
           refused(here.AddVeth("lo", PeerSpec{.name = "far", .netns_fd = space.fd()}), "its name is taken");
           refused(here.AddVeth("near", PeerSpec{.name = "lo", .netns_fd = space.fd()}), "the peer's name is taken");
           refused(here.AddVeth("near", PeerSpec{.name = "far", .mtu = 1, .netns_fd = space.fd()}), "no such MTU");
         }
         EXPECT_FALSE(here.LinkByName("near").ok()) << "control: nothing is left of them here";
       }}};
  return deeds;
}

const bool deeds_registered = [] {
  for (const Deed& deed : Deeds()) {
    TestSpec spec;
    spec.suite = "Life";
    spec.name = std::string("NotKeptAliveByWhatIsOver/") + deed.name;
    spec.file = __FILE__;
    spec.line = __LINE__;
    spec.covers = deed.covers;
    spec.needs = {UserNs(), Config("VETH")};
    if (deed.loads) spec.needs.push_back(Machine());
    spec.deadline = std::chrono::seconds(180);
    const Deed* row = &deed;
    spec.make = [row] {
      return new BodyTest([row] {
        Watched watched;
        Actor member = watched.StartMember();
        row->act(member);
        watched.ExpectStays("control: its process lives");
        member.Kill();
        watched.ExpectFreed("all that was done is over");
      });
    };
    AllTests().push_back(std::move(spec));
  }
  return true;
}();

}  // namespace
}  // namespace netns
