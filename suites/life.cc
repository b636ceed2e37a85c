// SPDX-License-Identifier: GPL-2.0-or-later
// LIFE: what keeps a network namespace alive, what does not, and that it is freed when the last pin goes.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <csignal>
#include <cstring>
#include <set>

#include "fixtures/thread.h"
#include "fixtures/user_namespace.h"
#include "harness/child.h"
#include "suites/support/any_link.h"
#include "suites/support/nsfs.h"
#include "suites/support/tun.h"
#include "suites/support/watched.h"

namespace netns {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

/// Lets go of something.
using Release = std::function<void()>;

/// Keeps any object alive until it is called.
template <class T>
Release Holding(T object) {
  auto held = std::make_shared<std::optional<T>>(std::move(object));
  return [held] { held->reset(); };
}

/// Something that may or may not keep a namespace alive: takes hold of the namespace of `member`, which is alive and its
/// only pin, and gives what lets go again. `tag` makes names unique.
struct Pin {
  std::string name;
  std::function<Release(Actor& member, const std::string& tag)> take;
  std::vector<std::string> covers;
  std::string config = {};  ///< an option that it needs, "" for none
};

Fd HandleOf(const Actor& member) { return SETUP_OK(Open(member.Proc("ns/net"), O_RDONLY)); }

Status SetQueue(const Fd& tun, short flags) {
  ifreq request{};
  request.ifr_flags = flags;
  if (::ioctl(tun.get(), TUNSETQUEUE, &request) < 0) return ErrnoError(flags == IFF_DETACH_QUEUE ? "TUNSETQUEUE(IFF_DETACH_QUEUE)" : "TUNSETQUEUE(IFF_ATTACH_QUEUE)");
  return Ok();
}
/// A descriptor of /dev/net/tun with a device "tun9", to which `then` is done.
Release TunPin(Actor& member, int flags, const std::function<Status(const Fd&)>& then = {}) {
  auto tun = member.Run([&, file = TunFile()]() -> Result<Fd> {
    ASSIGN_OR_RETURN(Fd fd, Open(file, O_RDWR));
    ifreq request{};
    std::strcpy(request.ifr_name, "tun9");
    request.ifr_flags = static_cast<short>(flags | IFF_NO_PI);
    if (::ioctl(fd.get(), TUNSETIFF, &request) < 0) return ErrnoError("TUNSETIFF");
    return fd;
  });
  if (!tun.ok()) throw MissingNeed("needs-config:TUN", "/dev/net/tun cannot be used: " + tun.error().ToString());
  if (then) SETUP_OK(member.Run([&] { return then(*tun); }));
  return Holding(std::move(*tun));
}

Release SocketPin(Actor& member, int family, int type, int protocol, const char* symbol) {
  auto socket = member.Run([&]() -> Result<Fd> {
    int fd = ::socket(family, type | SOCK_CLOEXEC, protocol);
    if (fd < 0) return ErrnoError("socket(" + std::to_string(family) + ", " + std::to_string(type) + ")");
    return Fd(fd);
  });
  if (socket.code() == EAFNOSUPPORT || socket.code() == EPROTONOSUPPORT || socket.code() == ESOCKTNOSUPPORT)
    throw MissingNeed(std::string("needs-config:") + symbol, "this kernel has no such sockets: " + socket.error().ToString());
  return Holding(SETUP_OK(std::move(socket)));
}

void BindMount(const std::string& source, const std::string& target) {
  SETUP_OK(Open(target, O_CREAT | O_RDWR, 0600));
  if (::mount(source.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) < 0)
    throw SetupFailure(ErrnoError("mount(" + target + ", MS_BIND)").ToString(), std::source_location::current());
}

/// Sends a descriptor into a socket pair from which nobody has received it.
Release InFlight(Fd fd) {
  auto pair = SETUP_OK(SocketPair(SOCK_DGRAM));
  SETUP_OK(SendFd(pair.first.get(), fd.get()));
  return Holding(std::move(pair));
}

/// A descriptor in a table of its own: a process that waits for a word, and then goes through execve(2), which closes what is
/// close-on-exec, or ends. After execve(2) it lives on, traced and stopped before the first instruction of the new program.
class Bearer {
 public:
  enum class Then { kExecve, kMarkAllAndExecve, kExit };
  /// The table is a copy of the test's as it is now.
  explicit Bearer(Then then) : word_(SETUP_OK(Pipe())), then_(then) {
    pid_ = ::fork();
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    char word;
    if (::read(word_.first.get(), &word, 1) != 1 || then == Then::kExit) ::_exit(0);
    if (then == Then::kMarkAllAndExecve) ::syscall(436 /* close_range */, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */);
    ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    ::execl("/proc/self/exe", "netns-tests", "--version", static_cast<char*>(nullptr));
    ::_exit(1);
  }
  Bearer(const Bearer&) = delete;
  Bearer& operator=(const Bearer&) = delete;
  ~Bearer() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, __WALL);
  }
  void LetGo() {
    SETUP_OK(::write(word_.second.get(), "x", 1) == 1 ? Ok() : Status(ErrnoError("write")));
    int status = 0;
    ::waitpid(pid_, &status, __WALL);
    if (!WIFSTOPPED(status)) pid_ = -1;
    EXPECT_TRUE(then_ == Then::kExit ? WIFEXITED(status) : WIFSTOPPED(status)) << "control: the process " << DescribeWaitStatus(status);
  }

 private:
  std::pair<Fd, Fd> word_;
  Then then_;
  pid_t pid_ = -1;
};
/// Leaves `fd` to such a process alone.
Release Bear(Fd fd, Bearer::Then then) {
  auto bearer = std::make_shared<Bearer>(then);
  fd.Reset();
  return [bearer] { bearer->LetGo(); };
}
/// close_range(2) of one descriptor, or with a flag for it.
Status CloseRange(unsigned fd, unsigned flags = 0) {
  if (::syscall(436 /* close_range */, fd, fd, flags) < 0) return ErrnoError("close_range");
  return Ok();
}
void NeedCloseRange(unsigned flags = 0) {
  const auto tried = CloseRange(~0u, flags);
  if (tried.code() == ENOSYS) throw MissingNeed("needs-feature:close_range", "close_range(2), since Linux 5.9", "", LinuxVersion{5, 9});
  if (tried.code() == EINVAL) throw MissingNeed("needs-feature:CLOSE_RANGE_CLOEXEC", "CLOSE_RANGE_CLOEXEC, since Linux 5.11", "", LinuxVersion{5, 11});
}
/// Another file takes its number.
Release Replaced(Fd fd, bool by_dup3) {
  auto held = std::make_shared<Fd>(std::move(fd));
  return [held, by_dup3] {
    const Fd other = SETUP_OK(Open("/dev/null", O_RDONLY));
    EXPECT_EQ(by_dup3 ? ::dup3(other.get(), held->get(), O_CLOEXEC) : ::dup2(other.get(), held->get()), held->get()) << ErrnoName(errno);
  };
}

std::vector<Pin> Pins() {
  std::vector<Pin> pins{
      {"Process",
       [](Actor& member, const std::string&) {
         auto second = std::make_shared<Actor>(Actor::Start("second"));
         SETUP_OK(second->Enter(HandleOf(member).get(), CLONE_NEWNET));
         return Release([second] { second->Exit(); });
       },
       {"LIFE-03"}},
      {"KilledProcess",
       [](Actor& member, const std::string&) {
         auto second = std::make_shared<Actor>(Actor::Start("second"));
         SETUP_OK(second->Enter(HandleOf(member).get(), CLONE_NEWNET));
         return Release([second] { second->Kill(/*leave_zombie=*/true); });
       },
       {"LIFE-01", "LIFE-03", "LIFE-05"}},
      {"StoppedProcess",
       [](Actor& member, const std::string&) {
         auto second = std::make_shared<Actor>(Actor::Start("second"));
         SETUP_OK(second->Enter(HandleOf(member).get(), CLONE_NEWNET));
         ::kill(second->pid(), SIGSTOP);
         return Release([second] { second->Kill(); });
       },
       {"LIFE-03", "LIFE-05"}},
      {"ProcessThatLeavesBySetns",
       [](Actor& member, const std::string&) {
         auto second = std::make_shared<Actor>(Actor::Start("second"));
         Fd home = HandleOf(*second);
         SETUP_OK(second->Enter(HandleOf(member).get(), CLONE_NEWNET));
         return Release([second, home = std::make_shared<Fd>(std::move(home))] { SETUP_OK(second->Enter(home->get(), CLONE_NEWNET)); });
       },
       {"LIFE-02"}},
      {"ProcessThatLeavesByUnshare",
       [](Actor& member, const std::string&) {
         auto second = std::make_shared<Actor>(Actor::Start("second"));
         SETUP_OK(second->Enter(HandleOf(member).get(), CLONE_NEWNET));
         return Release([second] { SETUP_OK(second->Unshare(CLONE_NEWNET)); });
       },
       {"LIFE-02"}},
      {"Thread",
       [](Actor& member, const std::string&) {
         auto thread = std::make_shared<Thread>();
         Fd handle = HandleOf(member);
         SETUP_OK(thread->Run([&]() -> Status {
           if (::setns(handle.get(), CLONE_NEWNET) < 0) return ErrnoError("setns");
           return Ok();
         }));
         return Release([thread] { thread->End(); });
       },
       {"LIFE-04", "LIFE-03"}},
      {"Descriptor", [](Actor& member, const std::string&) { return Holding(HandleOf(member)); }, {"LIFE-06"}},
      {"DuplicateOfADescriptor",
       [](Actor& member, const std::string&) {
         Fd first = HandleOf(member);
         Fd second = SETUP_OK(first.Dup());
         Fd third = SETUP_OK(second.Dup());
         return Holding(std::move(third));  // the first two are closed here
       },
       {"LIFE-07"}},
      {"DescriptorInheritedByAChild",
       [](Actor& member, const std::string&) {
         Fd handle = HandleOf(member);
         auto child = std::make_shared<std::optional<Child>>(Child::Start("heir", [] { ::pause(); }));
         return Release([child] { child->reset(); });
       },
       {"LIFE-07"}},
      // execve(2), close(2), dup(2), close_range(2), _exit(2): each way in which a descriptor goes.
      {"DescriptorUntilExecve", [](Actor& member, const std::string&) { return Bear(HandleOf(member), Bearer::Then::kExecve); }, {"LIFE-06", "LIFE-07"}},
      {"PathDescriptorUntilExecve",
       [](Actor& member, const std::string&) { return Bear(SETUP_OK(Open(member.Proc("ns/net"), O_PATH)), Bearer::Then::kExecve); },
       {"LIFE-08", "LIFE-07"}},
      {"SocketUntilExecve",
       [](Actor& member, const std::string&) { return Bear(member.Run([] { return Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)); }), Bearer::Then::kExecve); },
       {"LIFE-15", "LIFE-07"}},
      {"DescriptorThatIsMarkedUntilExecve",
       [](Actor& member, const std::string&) {
         NeedCloseRange(4 /* CLOSE_RANGE_CLOEXEC */);
         Fd handle = HandleOf(member);
         ::fcntl(handle.get(), F_SETFD, 0);
         return Bear(std::move(handle), Bearer::Then::kMarkAllAndExecve);
       },
       {"LIFE-06", "LIFE-07"}},
      {"DescriptorUntilItsProcessExits", [](Actor& member, const std::string&) { return Bear(HandleOf(member), Bearer::Then::kExit); }, {"LIFE-06", "LIFE-07"}},
      {"DescriptorUntilDup2", [](Actor& member, const std::string&) { return Replaced(HandleOf(member), false); }, {"LIFE-06", "LIFE-07"}},
      {"DescriptorUntilDup3", [](Actor& member, const std::string&) { return Replaced(HandleOf(member), true); }, {"LIFE-06", "LIFE-07"}},
      {"DescriptorUntilCloseRange",
       [](Actor& member, const std::string&) {
         NeedCloseRange();
         const int fd = HandleOf(member).Release();
         return Release([fd] { EXPECT_OK(CloseRange(static_cast<unsigned>(fd))); });
       },
       {"LIFE-06", "LIFE-07"}},
      {"PathDescriptor",
       [](Actor& member, const std::string&) { return Holding(SETUP_OK(Open(member.Proc("ns/net"), O_PATH))); },
       {"LIFE-08"}},
      {"BindMount",
       [](Actor& member, const std::string& tag) {
         BindMount(member.Proc("ns/net"), "/tmp/pin" + tag);
         return Release([tag] { EXPECT_EQ(::umount(("/tmp/pin" + tag).c_str()), 0) << ErrnoName(errno); });
       },
       {"LIFE-09"}},
      {"LazilyUnmountedBindMount",
       [](Actor& member, const std::string& tag) {
         BindMount(member.Proc("ns/net"), "/tmp/pin" + tag);
         return Release([tag] { EXPECT_EQ(::umount2(("/tmp/pin" + tag).c_str(), MNT_DETACH), 0) << ErrnoName(errno); });
       },
       {"LIFE-10"}},
      {"DescriptorOpenedThroughADetachedMount",
       [](Actor& member, const std::string& tag) {
         BindMount(member.Proc("ns/net"), "/tmp/pin" + tag);
         Fd handle = SETUP_OK(Open("/tmp/pin" + tag, O_RDONLY));
         EXPECT_EQ(::umount2(("/tmp/pin" + tag).c_str(), MNT_DETACH), 0);
         return Holding(std::move(handle));
       },
       {"LIFE-10", "LIFE-06"}},
      {"DetachedMount",
       [](Actor& member, const std::string& tag) {
         BindMount(member.Proc("ns/net"), "/tmp/pin" + tag);
         Fd tree(static_cast<int>(::syscall(SYS_open_tree, AT_FDCWD, ("/tmp/pin" + tag).c_str(), 1 /* OPEN_TREE_CLONE */ | O_CLOEXEC)));
         const int failed = errno;
         EXPECT_EQ(::umount2(("/tmp/pin" + tag).c_str(), MNT_DETACH), 0);
         if (!tree.valid()) throw MissingNeed("needs-feature:open_tree", "open_tree(2), since Linux 5.2: " + ErrnoName(failed), "", LinuxVersion{5, 2});
         return Holding(std::move(tree));
       },
       {"LIFE-09", "LIFE-10"}},
      {"BindMountInAnotherMountNamespace",
       [](Actor& member, const std::string& tag) {
         BindMount(member.Proc("ns/net"), "/tmp/pin" + tag);
         auto other = std::make_shared<Actor>(Actor::Start("other mounts", CLONE_NEWNS));
         EXPECT_EQ(::umount(("/tmp/pin" + tag).c_str()), 0);
         return Release([other] { other->Exit(); });
       },
       {"LIFE-11"}},
      {"BindMountElsewhereUntilItsFileIsRemoved",
       [](Actor& member, const std::string& tag) {
         BindMount(member.Proc("ns/net"), "/tmp/pin" + tag);
         auto other = std::make_shared<Actor>(Actor::Start("other mounts", CLONE_NEWNS));
         EXPECT_EQ(::umount(("/tmp/pin" + tag).c_str()), 0);
         return Release([other, tag] {
           EXPECT_EQ(::unlink(("/tmp/pin" + tag).c_str()), 0) << ErrnoName(errno) << ": a mount point in another mount namespace";
         });
       },
       {"LIFE-12"}},
      {"DescriptorInFlight",
       [](Actor& member, const std::string&) { return InFlight(HandleOf(member)); },
       {"LIFE-13"}},
      {"DescriptorInFlightUntilReceivedAndClosed",
       [](Actor& member, const std::string&) {
         auto pair = std::make_shared<std::pair<Fd, Fd>>(SETUP_OK(SocketPair(SOCK_STREAM)));
         SETUP_OK(SendFd(pair->first.get(), HandleOf(member).get()));
         return Release([pair] { SETUP_OK(ReceiveFd(pair->second.get())); });
       },
       {"LIFE-13", "LIFE-07"}},
      // unix(7): what a message carries and nobody takes is closed.
      {"DescriptorInFlightUntilReadWithoutIt",
       [](Actor& member, const std::string&) {
         auto pair = std::make_shared<std::pair<Fd, Fd>>(SETUP_OK(SocketPair(SOCK_STREAM)));
         SETUP_OK(SendFd(pair->first.get(), HandleOf(member).get()));
         return Release([pair] {
           char data[16];
           EXPECT_GT(::read(pair->second.get(), data, sizeof data), 0) << ErrnoName(errno);
         });
       },
       {"LIFE-13"}},
      {"DescriptorInFlightUntilThereIsNoRoomForIt",
       [](Actor& member, const std::string&) {
         auto pair = std::make_shared<std::pair<Fd, Fd>>(SETUP_OK(SocketPair(SOCK_DGRAM)));
         SETUP_OK(SendFd(pair->first.get(), HandleOf(member).get()));
         return Release([pair] {
           char data[16];
           alignas(cmsghdr) char control[CMSG_LEN(0)];
           iovec part{data, sizeof data};
           msghdr message{};
           message.msg_iov = &part;
           message.msg_iovlen = 1;
           message.msg_control = control;
           message.msg_controllen = sizeof control;
           EXPECT_GT(::recvmsg(pair->second.get(), &message, 0), 0) << ErrnoName(errno);
           EXPECT_NE(message.msg_flags & MSG_CTRUNC, 0) << "control: there was no room";
         });
       },
       {"LIFE-13"}},
      {"DescriptorInFlightThatWasPeekedAt",
       [](Actor& member, const std::string&) {
         auto pair = SETUP_OK(SocketPair(SOCK_DGRAM));
         SETUP_OK(SendFd(pair.first.get(), HandleOf(member).get()));
         char data[16];
         alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
         iovec part{data, sizeof data};
         msghdr message{};
         message.msg_iov = &part;
         message.msg_iovlen = 1;
         message.msg_control = control;
         message.msg_controllen = sizeof control;
         EXPECT_GT(::recvmsg(pair.second.get(), &message, MSG_PEEK | MSG_CMSG_CLOEXEC), 0) << ErrnoName(errno);
         const cmsghdr* header = CMSG_FIRSTHDR(&message);
         int copy = -1;
         if (header != nullptr) std::memcpy(&copy, CMSG_DATA(header), sizeof copy);
         EXPECT_GE(copy, 0) << "control: a peek gives a copy";
         Fd{copy}.Reset();
         return Holding(std::move(pair));
       },
       {"LIFE-13", "LIFE-07"}},
      // Nobody can receive it any more, but the sockets hold each other: the kernel collects them.
      {"DescriptorInACycleOfSockets",
       [](Actor& member, const std::string&) {
         auto pair = SETUP_OK(SocketPair(SOCK_DGRAM));
         SETUP_OK(SendFd(pair.first.get(), HandleOf(member).get()));
         SETUP_OK(SendFd(pair.first.get(), pair.second.get()));
         SETUP_OK(SendFd(pair.second.get(), pair.first.get()));
         return Holding(std::move(pair));
       },
       {"LIFE-13"}},
      {"SocketInFlight",
       [](Actor& member, const std::string&) {
         return InFlight(Fd(member.Run([] { return ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0); })));
       },
       {"LIFE-16"}, "INET"},
      {"TcpSocket", [](Actor& m, const std::string&) { return SocketPin(m, AF_INET, SOCK_STREAM, 0, "INET"); }, {"LIFE-15"}, "INET"},
      {"UdpSocket", [](Actor& m, const std::string&) { return SocketPin(m, AF_INET, SOCK_DGRAM, 0, "INET"); }, {"LIFE-15"}, "INET"},
      {"RawSocket", [](Actor& m, const std::string&) { return SocketPin(m, AF_INET, SOCK_RAW, IPPROTO_UDP, "INET"); }, {"LIFE-15"}, "INET"},
      {"Tcp6Socket", [](Actor& m, const std::string&) { return SocketPin(m, AF_INET6, SOCK_STREAM, 0, "IPV6"); }, {"LIFE-15"}, "IPV6"},
      {"Udp6Socket", [](Actor& m, const std::string&) { return SocketPin(m, AF_INET6, SOCK_DGRAM, 0, "IPV6"); }, {"LIFE-15"}, "IPV6"},
      {"Raw6Socket", [](Actor& m, const std::string&) { return SocketPin(m, AF_INET6, SOCK_RAW, IPPROTO_UDP, "IPV6"); }, {"LIFE-15"}, "IPV6"},
      {"UnixStreamSocket", [](Actor& m, const std::string&) { return SocketPin(m, AF_UNIX, SOCK_STREAM, 0, "UNIX"); }, {"LIFE-15"}, "UNIX"},
      {"UnixDatagramSocket", [](Actor& m, const std::string&) { return SocketPin(m, AF_UNIX, SOCK_DGRAM, 0, "UNIX"); }, {"LIFE-15"}, "UNIX"},
      {"UdpLiteSocket", [](Actor& m, const std::string&) { return SocketPin(m, AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE, "UDPLITE"); }, {"LIFE-15"}, "INET"},
      {"SctpSocket", [](Actor& m, const std::string&) { return SocketPin(m, AF_INET, SOCK_STREAM, IPPROTO_SCTP, "IP_SCTP"); }, {"LIFE-15"}, "IP_SCTP"},
      {"Sctp6SeqpacketSocket", [](Actor& m, const std::string&) { return SocketPin(m, AF_INET6, SOCK_SEQPACKET, IPPROTO_SCTP, "IP_SCTP"); }, {"LIFE-15"}, "IP_SCTP"},
      {"MptcpSocket", [](Actor& m, const std::string&) { return SocketPin(m, AF_INET, SOCK_STREAM, 262 /* IPPROTO_MPTCP */, "MPTCP"); }, {"LIFE-15"}, "MPTCP"},
      {"DiagSocket", [](Actor& m, const std::string&) { return SocketPin(m, AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG, "NET"); }, {"LIFE-15"}},
      {"RouteNetlinkSocket", [](Actor& m, const std::string&) { return SocketPin(m, AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, "NET"); }, {"LIFE-15"}},
      {"GenericNetlinkSocket", [](Actor& m, const std::string&) { return SocketPin(m, AF_NETLINK, SOCK_RAW, NETLINK_GENERIC, "NET"); }, {"LIFE-15"}},
      {"NetlinkUeventSocket", [](Actor& m, const std::string&) { return SocketPin(m, AF_NETLINK, SOCK_DGRAM, NETLINK_KOBJECT_UEVENT, "NET"); }, {"LIFE-15"}},
      {"SeqpacketUnixSocket", [](Actor& m, const std::string&) { return SocketPin(m, AF_UNIX, SOCK_SEQPACKET, 0, "UNIX"); }, {"LIFE-15"}, "UNIX"},
      {"XdpSocket", [](Actor& m, const std::string&) { return SocketPin(m, 44 /* AF_XDP */, SOCK_RAW, 0, "XDP_SOCKETS"); }, {"LIFE-15"}, "XDP_SOCKETS"},
      {"CanSocket", [](Actor& m, const std::string&) { return SocketPin(m, AF_CAN, SOCK_RAW, 1 /* CAN_RAW */, "CAN_RAW"); }, {"LIFE-15"}, "CAN_RAW"},
      {"KeySocket", [](Actor& m, const std::string&) { return SocketPin(m, AF_KEY, SOCK_RAW, 2 /* PF_KEY_V2 */, "NET_KEY"); }, {"LIFE-15"}, "NET_KEY"},
      {"ConnectedTcpSocket",  // its listener and its peer are gone, too
       [](Actor& member, const std::string&) {
         return Holding(member.Run([] {
           SETUP_OK(SETUP_OK(Rtnl::Open()).Up("lo"));
           Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
           sockaddr_in address{};
           address.sin_family = AF_INET;
           address.sin_port = htons(4712);
           address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
           const auto* generic = reinterpret_cast<const sockaddr*>(&address);
           if (::bind(listener.get(), generic, sizeof address) < 0 || ::listen(listener.get(), 1) < 0 ||
               ::connect(client.get(), generic, sizeof address) < 0)
             throw SetupFailure(ErrnoError("a loopback connection").ToString(), std::source_location::current());
           return Fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
         }));
       },
       {"LIFE-15", "LIFE-24"}, "INET"},
      {"PacketSocket", [](Actor& m, const std::string&) { return SocketPin(m, AF_PACKET, SOCK_RAW, htons(ETH_P_ALL), "PACKET"); }, {"LIFE-15"}, "PACKET"},
      {"PacketDatagramSocket", [](Actor& m, const std::string&) { return SocketPin(m, AF_PACKET, SOCK_DGRAM, 0, "PACKET"); }, {"LIFE-15"}, "PACKET"},
      {"MappedPacketRing",
       [](Actor& member, const std::string&) {
         Fd socket(member.Run([] { return ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); }));
         if (!socket.valid()) throw MissingNeed("needs-config:PACKET", "this kernel has no packet sockets");
         const unsigned size = static_cast<unsigned>(::getpagesize());
         tpacket_req ring{size, 4, 2048, size / 2048 * 4};
         if (::setsockopt(socket.get(), SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring) < 0)
           throw SetupFailure(ErrnoError("PACKET_RX_RING").ToString(), std::source_location::current());
         void* memory = ::mmap(nullptr, size * 4, PROT_READ | PROT_WRITE, MAP_SHARED, socket.get(), 0);
         if (memory == MAP_FAILED) throw SetupFailure(ErrnoError("mmap of the ring").ToString(), std::source_location::current());
         return Release([memory, size] { EXPECT_EQ(::munmap(memory, size * 4), 0); });  // the socket is closed here
       },
       {"LIFE-17"}, "PACKET"},
      {"TunDescriptor",
       [](Actor& member, const std::string&) {
         auto tun = member.Run([file = TunFile()] { return Open(file, O_RDWR); });
         if (!tun.ok()) throw MissingNeed("needs-config:TUN", "/dev/net/tun cannot be opened: " + tun.error().ToString());
         return Holding(std::move(*tun));
       },
       {"LIFE-23"}, "TUN"},
      {"TunDescriptorWithADevice", [](Actor& m, const std::string&) { return TunPin(m, IFF_TAP); }, {"LIFE-23"}, "TUN"},
      {"TunDescriptorWithADetachedQueue",
       [](Actor& m, const std::string&) { return TunPin(m, IFF_TAP | IFF_MULTI_QUEUE, [](const Fd& tun) { return SetQueue(tun, IFF_DETACH_QUEUE); }); },
       {"LIFE-23"}, "TUN"},
      {"TunDescriptorWithAQueueThatWasDetachedForAWhile",
       [](Actor& m, const std::string&) {
         return TunPin(m, IFF_TUN | IFF_MULTI_QUEUE, [](const Fd& tun) -> Status {
           RETURN_IF_ERROR(SetQueue(tun, IFF_DETACH_QUEUE));
           return SetQueue(tun, IFF_ATTACH_QUEUE);
         });
       },
       {"LIFE-23"}, "TUN"},
      {"TunDescriptorWhoseDeviceIsDeleted",
       [](Actor& m, const std::string&) { return TunPin(m, IFF_TUN, [](const Fd&) { return SETUP_OK(Rtnl::Open()).DeleteLink("tun9"); }); }, {"LIFE-23"}, "TUN"},
      {"TunDescriptorWithADetachedQueueWhoseDeviceIsDeleted",
       [](Actor& m, const std::string&) {
         return TunPin(m, IFF_TAP | IFF_MULTI_QUEUE, [](const Fd& tun) -> Status {
           RETURN_IF_ERROR(SetQueue(tun, IFF_DETACH_QUEUE));
           return SETUP_OK(Rtnl::Open()).DeleteLink("tun9");
         });
       },
       {"LIFE-23"}, "TUN"},
      {"TunDescriptorWithADeviceThatIsPersistent",
       [](Actor& m, const std::string&) {
         return TunPin(m, IFF_TAP, [](const Fd& tun) -> Status {
           if (::ioctl(tun.get(), TUNSETPERSIST, 1) < 0) return ErrnoError("TUNSETPERSIST");
           return Ok();
         });
       },
       {"LIFE-23"}, "TUN"},
  };
  for (const char* file : {"tcp", "udp", "dev", "snmp", "route", "unix", "sockstat", "netlink", "packet", "if_inet6", "tcp6", "netstat", "arp", "raw",
                           "igmp", "protocols", "snmp6", "sockstat6", "udp6", "raw6", "icmp", "icmp6", "udplite", "udplite6", "ptype", "dev_mcast", "mcfilter", "mcfilter6",
                           "igmp6", "anycast6", "ip6_flowlabel", "ipv6_route", "rt6_stats", "fib_trie", "fib_triestat", "xfrm_stat"}) {
    std::string label = file;
    label[0] = static_cast<char>(std::toupper(label[0]));
    for (auto& c : label)
      if (c == '_') c = 'X';
    pins.push_back({"OpenFileProcNet" + label,
                    [file](Actor& member, const std::string&) {
                      auto opened = member.Run([&] { return Open(std::string("/proc/thread-self/net/") + file, O_RDONLY); });
                      if (opened.code() == ENOENT)
                        throw MissingNeed("needs-config:PROC_FS", std::string("this kernel has no /proc/net/") + file);
                      return Holding(SETUP_OK(std::move(opened)));
                    },
                    {"LIFE-18"}});
  }
  return pins;
}

/// Pins that cannot get in each other's way are tried side by side, in one test: the time goes into waiting for the kernel.
/// What copies mounts or descriptor tables would copy the pins of others, and stands alone.
struct PinGroup {
  const char* name;
  std::vector<const char*> pins;  ///< beginnings of names
};
const PinGroup kGroups[] = {
    {"Processes", {"Process", "KilledProcess", "StoppedProcess", "ProcessThatLeavesBySetns", "ProcessThatLeavesByUnshare", "Thread"}},
    {"Descriptors", {"Descriptor", "DuplicateOfADescriptor", "PathDescriptor", "DescriptorInFlight",
                     "DescriptorInFlightUntilReceivedAndClosed", "SocketInFlight"}},
    {"DescriptorsThatGoOtherwise", {"DescriptorUntilDup2", "DescriptorUntilDup3", "DescriptorUntilCloseRange", "DescriptorInFlightUntilReadWithoutIt",
                                    "DescriptorInFlightUntilThereIsNoRoomForIt", "DescriptorInFlightThatWasPeekedAt", "DescriptorInACycleOfSockets"}},
    // The test has closed its own when the next process copies its table.
    {"DescriptorsOfAnotherProcess", {"DescriptorUntilExecve", "PathDescriptorUntilExecve", "SocketUntilExecve", "DescriptorThatIsMarkedUntilExecve",
                                     "DescriptorUntilItsProcessExits"}},
    {"Sockets", {"TcpSocket", "UdpSocket", "RawSocket", "Tcp6Socket", "Udp6Socket", "Raw6Socket", "UnixStreamSocket", "UnixDatagramSocket",
                 "SeqpacketUnixSocket", "ConnectedTcpSocket", "RouteNetlinkSocket", "GenericNetlinkSocket", "NetlinkUeventSocket",
                 "DiagSocket", "PacketSocket", "PacketDatagramSocket"}},
    {"AUdpLiteSocket", {"UdpLiteSocket"}},
    {"AnMptcpSocket", {"MptcpSocket"}},
    {"AnXdpSocket", {"XdpSocket"}},
    {"SctpSockets", {"SctpSocket", "Sctp6SeqpacketSocket"}},
    {"ACanSocket", {"CanSocket"}},
    {"AKeySocket", {"KeySocket"}},
    {"OpenProcNetFiles", {"OpenFileProcNetTcp", "OpenFileProcNetUdp", "OpenFileProcNetDev", "OpenFileProcNetSnmp", "OpenFileProcNetRoute",
                          "OpenFileProcNetUnix", "OpenFileProcNetSockstat", "OpenFileProcNetNetlink", "OpenFileProcNetPacket",
                          "OpenFileProcNetIfXinet6", "OpenFileProcNetTcp6", "OpenFileProcNetNetstat", "OpenFileProcNetArp", "OpenFileProcNetRaw",
                          "OpenFileProcNetIgmp", "OpenFileProcNetProtocols", "OpenFileProcNetSnmp6", "OpenFileProcNetSockstat6"}},
    {"OpenProcNetFilesOfIpv6AndOthers", {"OpenFileProcNetUdp6", "OpenFileProcNetRaw6", "OpenFileProcNetIcmp", "OpenFileProcNetIcmp6",
                                         "OpenFileProcNetUdplite", "OpenFileProcNetUdplite6", "OpenFileProcNetPtype", "OpenFileProcNetDevXmcast",
                                         "OpenFileProcNetMcfilter", "OpenFileProcNetMcfilter6", "OpenFileProcNetIgmp6", "OpenFileProcNetAnycast6",
                                         "OpenFileProcNetIp6Xflowlabel", "OpenFileProcNetIpv6Xroute", "OpenFileProcNetRt6Xstats",
                                         "OpenFileProcNetFibXtrie", "OpenFileProcNetFibXtriestat", "OpenFileProcNetXfrmXstat"}},
    {"BindMounts", {"BindMount", "LazilyUnmountedBindMount", "DescriptorOpenedThroughADetachedMount"}},
    {"ADetachedMount", {"DetachedMount"}},
    {"AMountElsewhere", {"BindMountInAnotherMountNamespace"}},
    {"AMountElsewhereUntilItsFileIsRemoved", {"BindMountElsewhereUntilItsFileIsRemoved"}},
    {"ADescriptorInheritedByAChild", {"DescriptorInheritedByAChild"}},
    {"AMappedPacketRing", {"MappedPacketRing"}},
    {"ATunDescriptor", {"TunDescriptor"}},
    {"ATunDescriptorWithADevice", {"TunDescriptorWithADevice"}},
    {"ATunDescriptorWhateverBecameOfItsDevice", {"TunDescriptorWithADetachedQueue", "TunDescriptorWithAQueueThatWasDetachedForAWhile",
                                                 "TunDescriptorWhoseDeviceIsDeleted", "TunDescriptorWithADetachedQueueWhoseDeviceIsDeleted",
                                                 "TunDescriptorWithADeviceThatIsPersistent"}},
};

void CheckPins(const std::vector<Pin>& pins) {
  struct Row {
    std::string name, outside;
    Release release;
  };
  std::vector<Row> rows;
  Watched watched(static_cast<int>(pins.size()));
  for (const Pin& pin : pins) {
    const std::string number = std::to_string(&pin - pins.data()), outside = "out" + number;
    Actor member = watched.StartMember("member", outside);
    try {
      rows.push_back({pin.name, outside, pin.take(member, number)});
    } catch (const MissingNeed&) {
      if (rows.empty() && &pin == &pins.back()) throw;  // else the others are checked
      continue;
    }
    member.Exit();
  }
  watched.Fence();
  for (const Row& row : rows)
    EXPECT_TRUE(watched.Present(row.outside)) << "the namespace was freed (its veth was destroyed) although this still holds it: " << row.name;
  for (const Row& row : rows) row.release();
  const Deadline deadline = Deadline::OfKernelWork();
  for (const Row& row : rows)
    EXPECT_OK(watched.UntilGone("the namespace to be freed (its veth to be destroyed), after its last pin has gone: " + row.name, row.outside, deadline));
  std::vector<NetNamespace> room;
  for (const Row& row : rows) {
    auto made = watched.oracle().CreateWhenRoom();
    ASSERT_OK(made) << "after the last pins have gone (" << row.name << " ...) one of the namespaces is still counted";
    room.push_back(std::move(*made));
  }
}

/// network_namespaces(7) names processes only; namespaces(7) adds descriptors and bind mounts; the rest is what the
/// kernel does (suites/requirements.yaml, LIFE).
const bool pins_registered = [] {
  const std::vector<Pin> all = Pins();
  for (const PinGroup& group : kGroups) {
    std::vector<Pin> pins;
    std::set<std::string> ids{"LIFE-01"};
    for (const Pin& pin : all) {
      if (std::find(group.pins.begin(), group.pins.end(), pin.name) == group.pins.end()) continue;
      pins.push_back(pin);
      ids.insert(pin.covers.begin(), pin.covers.end());
    }
    Covers covers;
    covers.list.assign(ids.begin(), ids.end());
    Needs needs(UserNs(), Config("VETH"));
    const bool all_need_it = std::all_of(pins.begin(), pins.end(), [&](const Pin& pin) { return pin.config == pins[0].config; });
    if (all_need_it && !pins[0].config.empty()) needs.list.push_back(Config(pins[0].config));
    RegisterBody("Life", std::string("KeptAliveBy") + group.name, __FILE__, __LINE__, [pins] { CheckPins(pins); }, covers, needs);
  }
  return true;
}();

/// What must not keep a namespace alive. Gives a check for when it has gone.
struct NoPin {
  std::string name;
  std::function<Release(Actor& member)> take;
  std::vector<std::string> covers;
};

std::vector<NoPin> NoPins() {
  return {
      {"PidfdOfAFormerMember",
       [](Actor& member) {
         Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, member.pid(), 0)));
         if (!pidfd.valid()) throw MissingNeed("needs-feature:pidfd_open", "pidfd_open(2), since Linux 5.3", "", LinuxVersion{5, 3});
         return Holding(std::move(pidfd));
       },
       {"LIFE-22"}},
      {"PidfdOfAProcessThatHasLeft",
       [](Actor& member) {
         auto second = std::make_shared<Actor>(Actor::Start("second"));
         const Fd home = HandleOf(*second);
         SETUP_OK(second->Enter(HandleOf(member).get(), CLONE_NEWNET));
         Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, second->pid(), 0)));
         if (!pidfd.valid()) throw MissingNeed("needs-feature:pidfd_open", "pidfd_open(2), since Linux 5.3", "", LinuxVersion{5, 3});
         SETUP_OK(second->Enter(home.get(), CLONE_NEWNET));
         auto held = Holding(std::move(pidfd));
         return Release([second, held] { held(); });
       },
       {"LIFE-22", "LIFE-02"}},
      {"TheMagicLinkItself",
       [](Actor& member) { return Holding(SETUP_OK(Open(member.Proc("ns/net"), O_PATH | O_NOFOLLOW))); },
       {"LIFE-08"}},
      {"TheDirectoryOfMagicLinks", [](Actor& member) { return Holding(SETUP_OK(Open(member.Proc("ns"), O_RDONLY))); }, {"LIFE-19"}},
      {"ADirectoryOfProcNet",
       [](Actor& member) {
         Fd first = SETUP_OK(member.Run([] { return Open("/proc/thread-self/net", O_RDONLY | O_DIRECTORY); }));
         Fd second = SETUP_OK(Open(member.Proc("net"), O_RDONLY | O_DIRECTORY));
         return Holding(std::pair(std::move(first), std::move(second)));
       },
       {"LIFE-19"}},
      {"ItsUserNamespace", [](Actor& member) { return Holding(SETUP_OK(Open(member.Proc("ns/user"), O_RDONLY))); }, {"LIFE-31"}},
      {"AnotherNamespaceOfTheMember", [](Actor& member) { return Holding(SETUP_OK(Open(member.Proc("ns/mnt"), O_RDONLY))); }, {"LIFE-06"}},
      {"AnOpenSysctlFile",
       [](Actor& member) {
         // With the device-dependent ones: their table goes with the device.
         auto files = std::make_shared<std::vector<Fd>>();
         for (const char* path : {"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/conf/inside/forwarding",
                                  "/proc/sys/net/ipv4/ip_default_ttl", "/proc/sys/net/ipv4/conf/all/forwarding",
                                  "/proc/sys/net/ipv6/conf/inside/forwarding", "/proc/sys/net/ipv6/conf/all/forwarding",
                                  "/proc/sys/net/ipv6/bindv6only"}) {
           if (std::string(path).starts_with("/proc/sys/net/ipv6") && ::access("/proc/thread-self/net/if_inet6", F_OK) != 0) continue;
           files->push_back(SETUP_OK(member.Run([&] { return Open(path, O_RDONLY); })));
           EXPECT_OK(ReadAll(files->back().get())) << "control: it can be read while the namespace lives: " << path;
           ::lseek(files->back().get(), 0, SEEK_SET);
         }
         return Release([files] {
           for (const Fd& file : *files)
             EXPECT_THAT(ReadAll(file.get()), FailsWith(ENOENT)) << "a sysctl file of a namespace that has been freed";
         });
       },
       {"LIFE-20"}},
      {"AMountedSysfs",
       [](Actor& member) {
         auto viewer = std::make_shared<Actor>(Actor::Start("viewer"));
         Fd space = HandleOf(member);
         SETUP_OK(viewer->Enter(space.get(), CLONE_NEWNET));
         SETUP_OK(viewer->Unshare(CLONE_NEWNS));
         auto list = [viewer] {
           return viewer->Run([] {
             std::set<std::string> names;
             Fd root = SETUP_OK(Open("/sys/class/net", O_RDONLY | O_DIRECTORY));
             char buffer[4096];
             for (;;) {
               long n = ::syscall(SYS_getdents64, root.get(), buffer, sizeof buffer);
               if (n < 0) throw SetupFailure(ErrnoError("getdents64").ToString(), std::source_location::current());
               if (n == 0) break;
               for (long at = 0; at < n;) {
                 auto* length = reinterpret_cast<unsigned short*>(buffer + at + 16);
                 const char* name = buffer + at + 19;
                 if (name[0] != '.' && std::string(name) != "bonding_masters") names.insert(name);
                 at += *length;
               }
             }
             return names;
           });
         };
         viewer->Run([] {
           if (::mount("sysfs", "/sys", "sysfs", 0, nullptr) < 0)
             throw SetupFailure(ErrnoError("mount(sysfs)").ToString(), std::source_location::current());
         });
         EXPECT_THAT(list(), testing::IsSupersetOf({"inside", "lo"})) << "control: the mount shows the namespace's devices";
         SETUP_OK(viewer->Unshare(CLONE_NEWNET));  // the viewer keeps the mount only
         return Release([list] { EXPECT_THAT(list(), IsEmpty()) << "devices in the sysfs of a namespace that has been freed"; });
       },
       {"LIFE-21"}},
      {"AnNsid",
       [](Actor& member) {
         auto rtnl = std::make_shared<Rtnl>(SETUP_OK(Rtnl::Open()));
         const int nsid = SETUP_OK(rtnl->GetNsid(ByPid(member.pid()))).nsid;  // assigned with the veth
         EXPECT_GE(nsid, 0) << "control: the veth pair has made the kernel assign an id";
         return Release([rtnl, nsid] {
           for (const NsidEntry& entry : SETUP_OK(rtnl->Nsids()))
             EXPECT_NE(entry.nsid, nsid) << "the id of a namespace that has been freed is still listed";
         });
       },
       {"NSID-14", "NSID-10"}},
      {"TimeWaitConnections",
       [](Actor& member) {
         member.Run([] {
           SETUP_OK(SETUP_OK(Rtnl::Open()).Up("lo"));
           for (int family : {AF_INET, AF_INET6}) {
             Fd listener(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)), client(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
             if (family == AF_INET6 && !listener.valid()) continue;  // a kernel without IPv6
             sockaddr_storage address{};
             address.ss_family = static_cast<sa_family_t>(family);
             if (family == AF_INET)
               reinterpret_cast<sockaddr_in&>(address).sin_addr.s_addr = htonl(INADDR_LOOPBACK);
             else
               reinterpret_cast<sockaddr_in6&>(address).sin6_addr = in6addr_loopback;
             reinterpret_cast<sockaddr_in&>(address).sin_port = htons(4711);  // in the same place in both
             const socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
             const auto* generic = reinterpret_cast<const sockaddr*>(&address);
             if (::bind(listener.get(), generic, size) < 0 || ::listen(listener.get(), 1) < 0 || ::connect(client.get(), generic, size) < 0)
               throw SetupFailure(ErrnoError("a loopback connection").ToString(), std::source_location::current());
             Fd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
             client.Reset();  // the active close
             char byte;
             EXPECT_EQ(::read(accepted.get(), &byte, 1), 0);
             accepted.Reset();
             // Its last segments may still be on their way.
             const std::string table = family == AF_INET ? "/proc/thread-self/net/tcp" : "/proc/thread-self/net/tcp6";
             EXPECT_OK(Eventually("control: a connection in TIME_WAIT in " + table, [&] {
               return SETUP_OK(ReadFile(table)).find(":1267 06 ") != std::string::npos;
             }));
           }
         });
         return Release([] {});
       },
       {"LIFE-24"}},
      {"AnUnsentSocketPair",  // of the test's namespace, opened while the member lived: has nothing to do with it
       [](Actor&) { return Holding(SETUP_OK(SocketPair(SOCK_STREAM))); },
       {"LIFE-15"}},
  };
}

/// Requests that name the namespace and are refused, or only ask: a kernel that does not let go of it afterwards, on a way
/// out that is seldom taken, keeps it for ever. The member's namespace has the devices lo and inside.
std::vector<NoPin> Requests() {
  struct Case {
    const char* name;
    std::vector<std::string> covers;
    std::function<void(Rtnl& here, int there)> make;
  };
  const std::vector<Case> cases = {
      {"ARefusedMove", {"LIFE-01", "DEV-14"}, [](Rtnl& here, int there) {
         std::ignore = here.AddVeth("inside", "mate");  // by the first of these only
         EXPECT_THAT(here.MoveLink("inside", ByFd(there)), FailsWith(EEXIST)) << "control: the name is taken there";
       }},
      {"AMoveRefusedForItsIndex", {"LIFE-01", "DEV-19"}, [](Rtnl& here, int there) {
         std::ignore = here.AddVeth("wanderer", "mate2");
         // Linux heeds it since 5.13; before, the device moves, and the namespace is let go of all the same.
         if (!here.MoveLink("wanderer", ByFd(there), {.new_ifindex = 1}).ok()) return;
         EXPECT_THAT(here.LinkByName("wanderer"), FailsWith(ENODEV)) << "control: it moved or it did not";
       }},
      {"AMoveOfWhatCannotMove", {"LIFE-01", "DEV-26"},
       [](Rtnl& here, int there) { EXPECT_THAT(here.MoveLink("lo", ByFd(there), {.new_name = "lo9"}), FailsWith(EINVAL)) << "control"; }},
      {"ARefusedCreation", {"LIFE-01", "DEV-08"}, [](Rtnl& here, int there) {
         EXPECT_THAT(here.AddVeth("inside", "mate3", {.netns_fd = there}), FailsWith(EEXIST)) << "control: the name is taken there";
         EXPECT_FALSE(here.AddLink({.name = "never", .kind = "no-such-kind", .netns_fd = there}).ok()) << "control";
       }},
      {"ARefusedPeer", {"LIFE-01", "VETH-19"}, [](Rtnl& here, int there) {
         EXPECT_THAT(here.AddVeth("never", {.name = "inside", .netns_fd = there}), FailsWith(EEXIST)) << "control: the name is taken there";
       }},
      {"ARefusedCreationOverANamespaceOfAnId", {"LIFE-01", "VIRT-07"}, [](Rtnl& here, int there) {
         const int nsid = SETUP_OK(here.GetNsid(ByFd(there))).nsid;  // assigned with the veth
         EXPECT_FALSE(here.AddLink({.name = "never", .kind = "no-such-kind", .link_netnsid = nsid}).ok()) << "control";
         EXPECT_FALSE(here.AddLink({.name = "lo", .kind = "veth", .link_netnsid = nsid}).ok()) << "control";
       }},
      {"ARefusedId", {"LIFE-01", "NSID-04", "NSID-14"}, [](Rtnl& here, int there) {
         EXPECT_THAT(here.NewNsid(ByFd(there), 77), FailsWith(EEXIST)) << "control: it has one";
         EXPECT_THAT(here.GetNsid(ByFd(there), 4711).code(), EINVAL) << "control: a target that does not exist";
       }},
      {"RequestsOfATargetId", {"LIFE-01", "NLK-07", "NLK-11"}, [](Rtnl& here, int there) {
         const int nsid = SETUP_OK(here.GetNsid(ByFd(there))).nsid;
         EXPECT_FALSE(here.GetLink("no-such-device", nsid).ok()) << "control";
         std::ignore = here.GetLink("lo", nsid);
         std::ignore = here.Links({.target_nsid = nsid});
         std::ignore = here.Addresses({.index = 4711, .target_nsid = nsid});
         std::ignore = here.Addresses({.target_nsid = nsid});
         std::ignore = here.Nsids(nsid);
         std::ignore = here.GetNsid(ByFd(there), nsid);
         std::ignore = here.DeleteLink("no-such-device", nsid);
       }},
      {"ARefusedSetns", {"LIFE-01", "CREATE-09"}, [](Rtnl&, int there) {
         EXPECT_EQ(::setns(there, CLONE_NEWUTS), -1) << "control: another type";
         EXPECT_EQ(errno, EINVAL);
       }},
      {"QuestionsByIoctl", {"LIFE-01", "NSFS-09", "NSFS-11", "NSFS-13"}, [](Rtnl&, int there) {
         std::ignore = Fd(::ioctl(there, 0xb701 /* NS_GET_USERNS */));
         std::ignore = Fd(::ioctl(there, 0xb702 /* NS_GET_PARENT */));
         std::ignore = ::ioctl(there, 0xb703 /* NS_GET_NSTYPE */);
         std::ignore = ::ioctl(there, 0xb7ff);
       }},
  };
  std::vector<NoPin> pins;
  for (const Case& each : cases) {
    pins.push_back({each.name,
                    [make = each.make](Actor& member) {
                      Rtnl here = SETUP_OK(Rtnl::Open());
                      const Fd there = HandleOf(member);
                      make(here, there.get());
                      return Release([] {});
                    },
                    each.covers});
  }
  return pins;
}

const bool no_pins_registered = [] {
  struct Group {
    const char* name;
    std::vector<NoPin> pins;
  };
  std::vector<Group> groups(3);
  groups[0].name = "NotKeptAliveByWhatOnlyRefersToIt";
  groups[1].name = "NotKeptAliveByConnectionsInTimeWait";  // alone: it is about time, too
  for (NoPin& pin : NoPins()) groups[pin.name == "TimeWaitConnections" ? 1 : 0].pins.push_back(std::move(pin));
  groups[2] = {"NotKeptAliveByRequestsThatAreOver", Requests()};
  for (const Group& group : groups) {
    const std::vector<NoPin>& pins = group.pins;
    Covers covers;
    for (const NoPin& pin : pins) {
      for (const std::string& id : pin.covers)
        if (std::find(covers.list.begin(), covers.list.end(), id) == covers.list.end()) covers.list.push_back(id);
    }
    RegisterBody(
        "Life", group.name, __FILE__, __LINE__,
        [pins] {
          struct Row {
            std::string name, outside;
            Fd handle;
            Release after;
          };
          std::vector<Row> rows;
          Watched watched(static_cast<int>(pins.size()));
          for (const NoPin& pin : pins) {
            const std::string outside = "out" + std::to_string(&pin - pins.data());
            Actor member = watched.StartMember("member", outside);
            Fd handle = HandleOf(member);
            try {
              Release after = pin.take(member);
              rows.push_back({pin.name, outside, std::move(handle), after});
            } catch (const MissingNeed&) {
              continue;
            }
            member.Exit();
          }
          watched.Fence();
          for (const Row& row : rows)
            EXPECT_TRUE(watched.Present(row.outside)) << "control: a descriptor of it is open (" << row.name << ")";
          for (Row& row : rows) row.handle.Reset();
          const Deadline deadline = Deadline::OfKernelWork();
          for (const Row& row : rows)
            EXPECT_OK(watched.UntilGone("the namespace to be freed (its veth to be destroyed), of which nothing is left but " + row.name,
                                        row.outside, deadline));
          std::vector<NetNamespace> room;
          for (std::size_t i = 0; i < rows.size(); ++i) {
            auto made = watched.oracle().CreateWhenRoom();
            ASSERT_OK(made) << "one of the namespaces is still counted";
            room.push_back(std::move(*made));
          }
          for (const Row& row : rows) {
            SCOPED_TRACE(row.name);
            row.after();
          }
        },
        covers, Needs(UserNs(), Config("VETH")));
  }
  return true;
}();

// network_namespaces(7): "When a network namespace is freed (i.e., when the last process in the namespace terminates)".
NETNS_TEST(Life, NamespaceIsFreedWhenItsLastProcessTerminates, Covers("LIFE-01"), Needs(UserNs())) {
  for (bool killed : {false, true}) {
    SCOPED_TRACE(killed ? "killed by SIGKILL" : "exits");
    FreedOracle oracle;
    Actor member = oracle.StartMember("member");
    EXPECT_THAT(oracle.HasRoom(), Holds(false)) << "control: the namespace is alive";
    killed ? member.Kill() : member.Exit();
    EXPECT_OK(oracle.WaitUntilFreed());
  }
}

NETNS_TEST(Life, VethOfAFreedNamespaceIsDestroyed, Covers("LIFE-01"), Needs(UserNs(), Config("VETH"))) {
  Watched watched;
  Actor member = watched.StartMember();
  watched.ExpectStays("control: its member is alive");
  member.Kill();
  watched.ExpectFreed("its last process was killed");
}

NETNS_TEST(Life, NamespaceIsFreedWhenItsLastProcessLeaves, Covers("LIFE-02"), Needs(UserNs(), Config("VETH"))) {
  for (bool by_setns : {true, false}) {
    SCOPED_TRACE(by_setns ? "by setns" : "by unshare");
    Watched watched;
    auto space = watched.Create();
    Actor member = space.StartActor("member");
    space.Release();
    watched.ExpectStays("control: a process is in it");
    auto home = NetNamespace::Current();
    SETUP_OK(by_setns ? member.Enter(home.fd(), CLONE_NEWNET) : member.Unshare(CLONE_NEWNET));
    watched.ExpectFreed("its last process has left it");
    EXPECT_EQ(::kill(member.pid(), 0), 0) << "control: that process still runs";
  }
}

NETNS_TEST(Life, NamespaceSurvivesItsCreator, Covers("LIFE-03"), Needs(UserNs(), Config("VETH"))) {
  Watched watched;
  Actor creator = watched.StartMember("creator");
  // A child of the creator that is adopted by the test's init when the creator ends.
  Fd child_pidfd;
  pid_t child = creator.Run([&] {
    Fd pidfd;
    pid_t pid = ::fork();
    if (pid == 0)
      for (;;) ::pause();
    return pid;
  });
  auto inside = SETUP_OK(NetNamespace::OfPid(child)).Identity();
  EXPECT_EQ(inside, SETUP_OK(NetNamespace::OfPid(creator.pid())).Identity());
  creator.Exit();
  watched.ExpectStays("a child of its creator is still in it");
  EXPECT_EQ(SETUP_OK(NetNamespace::OfPid(child)).Identity(), inside);
  ::kill(child, SIGKILL);
  watched.ExpectFreed("the last of its members was killed");
}

NETNS_TEST(Life, AThreadKeepsItAliveUntilItLeaves, Covers("LIFE-04"), Needs(UserNs(), Config("VETH"))) {
  Watched watched;
  auto space = watched.Create();
  auto home = NetNamespace::Current();
  Thread thread;
  auto enter = [&](int fd) {
    return thread.Run([&]() -> Status {
      if (::setns(fd, CLONE_NEWNET) < 0) return ErrnoError("setns");
      return Ok();
    });
  };
  SETUP_OK(enter(space.fd()));
  space.Release();
  watched.ExpectStays("a thread is in it");
  SETUP_OK(enter(home.fd()));
  watched.ExpectFreed("the only thread in it has left");
  EXPECT_EQ(InodeOf(thread.Proc("ns/net")), home.Inode()) << "control: the thread still runs";
}

NETNS_TEST(Life, AZombieDoesNotKeepItAlive, Covers("LIFE-05"), Needs(UserNs(), Config("VETH"))) {
  for (bool killed : {false, true}) {
    SCOPED_TRACE(killed ? "killed" : "exited");
    Watched watched;
    Actor member = watched.StartMember();
    killed ? member.Kill(/*leave_zombie=*/true) : member.Exit(/*leave_zombie=*/true);
    watched.ExpectFreed("its only member is a zombie");
    EXPECT_THAT(SETUP_OK(ReadFile(member.Proc("status"))), HasSubstr("Z (zombie)")) << "control: it has not been reaped";
    member.Reap();
  }
}

// namespaces(7): opening the file "keeps the namespace alive ... even if all processes currently in the namespace terminate".
NETNS_TEST(Life, WhatADescriptorHoldsIsAllStillThere, Covers("LIFE-06", "NSFS-03"), Needs(UserNs(), Config("VETH"))) {
  Watched watched;
  Actor member = watched.StartMember();
  auto space = SETUP_OK(NetNamespace::OfPid(member.pid()));
  const auto identity = space.Identity();
  auto rtnl = RtnlIn(space);
  SETUP_OK(rtnl.Up("inside"));
  SETUP_OK(rtnl.AddAddress("192.0.2.1/24", "inside"));
  SETUP_OK(rtnl.AddRoute({.to = "198.51.100.0/24", .via = "192.0.2.2"}));
  SETUP_OK(space.SetSysctl("net.ipv4.ip_default_ttl", "33"));
  const bool ipv6 = rtnl.AddAddress("2001:db8::1/64", "inside", {.nodad = true}).ok();
  { auto let_go = std::move(rtnl); }  // a socket would be a pin, too
  member.Kill();
  watched.ExpectStays("a descriptor of it is open");
  EXPECT_EQ(space.Identity(), identity);
  Actor visitor = Actor::Start("visitor");
  ASSERT_OK(visitor.Enter(space.fd(), CLONE_NEWNET));
  visitor.Run([&] {
    auto in = SETUP_OK(Rtnl::Open());
    EXPECT_TRUE(SETUP_OK(in.LinkByName("inside")).up());
    EXPECT_THAT(SETUP_OK(in.Addresses({.family = AF_INET})), SizeIs(1));
    auto routes = SETUP_OK(in.Routes({.family = AF_INET}));
    EXPECT_TRUE(std::any_of(routes.begin(), routes.end(), [](const Route& r) { return r.to == "198.51.100.0/24"; }));
    if (ipv6) {
      auto addresses = SETUP_OK(in.Addresses({.family = AF_INET6}));
      EXPECT_TRUE(std::any_of(addresses.begin(), addresses.end(), [](const Address& a) { return a.address == "2001:db8::1"; }));
    }
    EXPECT_EQ(SETUP_OK(ReadFile("/proc/sys/net/ipv4/ip_default_ttl")), "33\n");
  });
  visitor.Kill();
  space.Release();
  watched.ExpectFreed("its last descriptor was closed");
}

NETNS_TEST(Life, OnlyTheLastCloseFrees, Covers("LIFE-07"), Needs(UserNs(), Config("VETH"))) {
  Watched watched;
  std::vector<Fd> handles;
  handles.push_back(watched.Create().Release());
  handles.push_back(SETUP_OK(handles[0].Dup()));
  handles.push_back(SETUP_OK(Open("/proc/self/fd/" + std::to_string(handles[0].get()), O_RDONLY)));
  auto pair = SETUP_OK(SocketPair(SOCK_DGRAM));
  SETUP_OK(SendFd(pair.first.get(), handles[0].get()));
  handles.push_back(SETUP_OK(ReceiveFd(pair.second.get())));
  while (handles.size() > 1) {
    handles.erase(handles.begin());
    watched.ExpectStays(std::to_string(handles.size()) + " of its descriptors are open");
  }
  handles.clear();
  watched.ExpectFreed("the last of its descriptors was closed");
}

/// Receives a descriptor of a namespace with the address 192.0.2.7, and uses it for all that one is good for.
void UseAReceivedDescriptor(const Fd& from) {
  auto received = SETUP_OK(ReceiveFd(from.get()));
  EXPECT_EQ(::ioctl(received.get(), NS_GET_NSTYPE), CLONE_NEWNET);
  EXPECT_EQ(::setns(received.get(), CLONE_NEWUTS), -1) << "control: of another type";
  EXPECT_EQ(errno, EINVAL);
  auto rtnl = SETUP_OK(Rtnl::Open());
  EXPECT_OK(rtnl.NewNsid(ByFd(received.get()), 14)) << "NETNSA_FD, to give an id";
  auto known = rtnl.GetNsid(ByFd(received.get()));
  EXPECT_OK(known) << "NETNSA_FD, to ask for an id";
  if (known.ok()) {
    EXPECT_EQ(known->nsid, 14);
  }
  SETUP_OK(rtnl.AddVeth("gift", "other"));
  EXPECT_OK(rtnl.MoveLink("gift", ByFd(received.get()))) << "IFLA_NET_NS_FD, to move a device";
  EXPECT_OK(rtnl.AddVeth("near", PeerSpec{.name = "far", .netns_fd = received.get()})) << "IFLA_NET_NS_FD, to make a device";
  ASSERT_EQ(::setns(received.get(), CLONE_NEWNET), 0) << ErrnoName(errno);
  auto there = SETUP_OK(Rtnl::Open());
  EXPECT_THAT(SETUP_OK(there.Addresses({.family = AF_INET})), SizeIs(1));
  EXPECT_OK(there.LinkByName("gift"));
  EXPECT_OK(there.LinkByName("far"));
}

// setns(2), unix(7), SCM_RIGHTS: a descriptor serves whoever has it, with the rights of that process. Who opened it is nobody's
// business, nor in which user namespace that was.
NETNS_TEST(Life, AReceivedDescriptorIsFullyUsable, Covers("LIFE-14"), Needs(UserNs(), Config("VETH"))) {
  for (const bool opened_by_owner : {false, true})
    for (const bool received_by_owner : {false, true}) {
      SCOPED_TRACE(std::string("opened by ") + (opened_by_owner ? "root of the owner" : "root of the owner's parent") + ", used by " +
                   (received_by_owner ? "root of the owner" : "root of the owner's parent"));
      Actor owner = StartNamespaceRoot("owner");
      const Fd user = SETUP_OK(Open(owner.Proc("ns/user"), O_RDONLY));
      SETUP_OK(RtnlIn(SETUP_OK(NetNamespace::OfPid(owner.pid()))).AddAddress("192.0.2.7/32", "lo"));
      Fd opened = opened_by_owner ? SETUP_OK(owner.Run([] { return Open("/proc/self/ns/net", O_RDONLY); })) : HandleOf(owner);
      SETUP_OK(owner.Unshare(CLONE_NEWNET));  // the descriptor is all that keeps the first one
      auto pair = SETUP_OK(SocketPair(SOCK_STREAM));
      const bool other_user = IsRealRoot();
      // A forked process in another pid namespace: it shares no descriptor table, and its /proc shows no member.
      auto receiver = Child::Start(
          "receiver",
          [&] {
            if (received_by_owner) {
              ASSERT_EQ(::setns(user.get(), CLONE_NEWUSER), 0) << ErrnoName(errno);
              if (other_user) {
                ASSERT_EQ(::setresgid(0, 0, 0), 0) << ErrnoName(errno);
                ASSERT_EQ(::setresuid(0, 0, 0), 0) << ErrnoName(errno);
              }
            }
            ASSERT_EQ(::unshare(CLONE_NEWNET), 0) << ErrnoName(errno);  // where it makes the devices that it gives away
            UseAReceivedDescriptor(pair.second);
          },
          CLONE_NEWPID);
      SETUP_OK(SendFd(pair.first.get(), opened.get()));
      opened.Reset();
      SETUP_OK(receiver.Join());
    }
}

/// A TCP connection attempt: ECONNREFUSED shows that the other side's stack answers.
Status TryConnect(int family, const char* text, int port, const NetNamespace& from) {
  Fd socket = SETUP_OK(from.Socket(family, SOCK_STREAM | SOCK_NONBLOCK));
  sockaddr_storage address{};
  address.ss_family = static_cast<sa_family_t>(family);
  reinterpret_cast<sockaddr_in&>(address).sin_port = htons(static_cast<std::uint16_t>(port));
  ::inet_pton(family, text, family == AF_INET ? static_cast<void*>(&reinterpret_cast<sockaddr_in&>(address).sin_addr)
                                              : &reinterpret_cast<sockaddr_in6&>(address).sin6_addr);
  const socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), size) < 0 && errno != EINPROGRESS)
    return ErrnoError(std::string("connect ") + text);
  RETURN_IF_ERROR(WaitFor(socket.get(), POLLOUT, Deadline::OfTest(), std::string("an answer from ") + text));
  int code = 0;
  socklen_t code_size = sizeof code;
  ::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &code, &code_size);
  if (code != 0) return Error{code, std::string("connect ") + text};
  return Ok();
}

NETNS_TEST(Life, APinnedNamespaceWithoutMembersKeepsWorking, Covers("LIFE-26"), Needs(UserNs(), Config("VETH"), Config("INET"))) {
  Watched watched;
  Actor member = watched.StartMember();
  auto space = SETUP_OK(NetNamespace::OfPid(member.pid()));
  auto here = NetNamespace::Current();
  bool ipv6 = false;
  {
    auto inside = RtnlIn(space);
    SETUP_OK(inside.Up("inside"));
    SETUP_OK(watched.here().Up("outside"));
    SETUP_OK(inside.AddAddress("192.0.2.1/24", "inside"));
    SETUP_OK(watched.here().AddAddress("192.0.2.2/24", "outside"));
    ipv6 = inside.AddAddress("2001:db8::1/64", "inside", {.nodad = true}).ok() &&
           watched.here().AddAddress("2001:db8::2/64", "outside", {.nodad = true}).ok();
    SETUP_OK(Eventually("carrier", [&] { return SETUP_OK(watched.here().LinkByName("outside")).carrier.value_or(true); }));
  }
  auto answers = [&](const char* when) {
    EXPECT_THAT(TryConnect(AF_INET, "192.0.2.1", 9, here), FailsWith(ECONNREFUSED)) << when;
    if (ipv6) {
      EXPECT_THAT(TryConnect(AF_INET6, "2001:db8::1", 9, here), FailsWith(ECONNREFUSED)) << when;
    }
  };
  answers("control: while it has a member");
  member.Kill();
  watched.ExpectStays("a descriptor of it is open");
  answers("without members");
  space.Release();
  watched.ExpectFreed("its last descriptor was closed");
  EXPECT_THAT(TryConnect(AF_INET, "192.0.2.1", 9, here), testing::AnyOf(FailsWith(ENETUNREACH), FailsWith(EHOSTUNREACH))) << "control";
}

NETNS_TEST(Life, AListenerMovedOutStillServesItsNamespace, Covers("LIFE-27", "LIFE-15"), Needs(Config("INET"))) {
  auto first = NetNamespace::Create(), second = NetNamespace::Create();
  for (const auto* space : {&first, &second}) SETUP_OK(RtnlIn(*space).Up("lo"));
  for (auto [family, loopback, port] : {std::tuple(AF_INET, "127.0.0.1", 4711), std::tuple(AF_INET6, "::1", 4712)}) {
    SCOPED_TRACE(loopback);
    Actor server = first.StartActor("server");
    Fd listener(server.Run([&, family = family] { return ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0); }));
    if (!listener.valid() && errno == EAFNOSUPPORT) continue;
    sockaddr_storage address{};
    address.ss_family = static_cast<sa_family_t>(family);
    reinterpret_cast<sockaddr_in&>(address).sin_port = htons(static_cast<std::uint16_t>(port));
    const socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    SETUP_OK(server.Enter(second.fd(), CLONE_NEWNET));
    server.Run([&] {
      EXPECT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size), 0) << ErrnoName(errno);
      EXPECT_EQ(::listen(listener.get(), 5), 0) << ErrnoName(errno);
    });
    ASSERT_OK(TryConnect(family, loopback, port, first)) << "the namespace in which the socket was made";
    EXPECT_GE(server.Run([&] { return ::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC); }), 0);
    EXPECT_THAT(TryConnect(family, loopback, port, second), FailsWith(ECONNREFUSED)) << "the namespace in which its process is";
    listener.Reset();
    EXPECT_THAT(TryConnect(family, loopback, port, first), FailsWith(ECONNREFUSED)) << "control: closed";
  }
}

NETNS_TEST(Life, TheEndOfAPidNamespaceFreesItsNetworkNamespace, Covers("LIFE-28"), Needs(UserNs(), Config("VETH"))) {
  Watched watched(2);
  Actor starter = watched.StartMember("starter");
  pid_t init = 0, second = 0, third = 0;
  starter.Run([&] {
    SETUP_OK([]() -> Status {
      if (::unshare(CLONE_NEWPID) < 0) return ErrnoError("unshare(CLONE_NEWPID)");
      return Ok();
    }());
    for (pid_t* pid : {&init, &second, &third}) {
      *pid = ::fork();
      if (*pid == 0)
        for (;;) ::pause();
    }
  });
  SETUP_OK(starter.Unshare(CLONE_NEWNET));
  auto kill = [&](pid_t pid) {
    starter.Run([&] {
      ::kill(pid, SIGKILL);
      // An init ends when all of its namespace have been reaped.
      if (pid == init) ::waitpid(third, nullptr, 0);
      ::waitpid(pid, nullptr, 0);
    });
  };
  kill(second);
  watched.ExpectStays("two processes are still in it, of which one is the pid namespace's init");
  EXPECT_EQ(starter.Run([&] { return ::waitpid(third, nullptr, WNOHANG); }), 0) << "control: the third process runs";
  kill(init);
  watched.ExpectFreed("the init of the pid namespace was killed, and with it all its members");
}

NETNS_TEST(Life, FreeingReturnsTheQuota, Covers("LIFE-29", "USER-14"), Needs(UserNs())) {
  constexpr int kLimit = 3;
  FreedOracle oracle(kLimit);
  std::vector<NetNamespace> alive;
  for (int i = 0; i < kLimit; ++i) {
    auto made = oracle.TryCreate();
    ASSERT_OK(made) << "namespace " << i + 1 << " of " << kLimit;
    alive.push_back(std::move(*made));
  }
  EXPECT_THAT(oracle.TryCreate(), FailsWith(ENOSPC));
  for (int round = 0; round < 3; ++round) {
    EXPECT_THAT(oracle.TryCreate(), FailsWith(ENOSPC)) << "control: nothing was freed";
    alive.erase(alive.begin() + round % kLimit);
    auto made = oracle.CreateWhenRoom();
    ASSERT_OK(made) << "one of " << kLimit << " was freed, round " << round;
    alive.push_back(std::move(*made));
  }
}

NETNS_TEST(Life, RepeatedCreationLeaksNothing, Covers("LIFE-30"), Needs(UserNs(), Config("VETH"))) {
  constexpr int kAtOnce = 16, kRounds = 4;
  Watched watched(kAtOnce);
  auto links = [&] { return SETUP_OK(watched.here().Links()).size(); };
  auto nsids = [&] { return SETUP_OK(watched.here().Nsids()).size(); };
  const auto links_before = links(), nsids_before = nsids();
  for (int round = 0; round < kRounds; ++round) {
    std::vector<NetNamespace> alive;
    for (int i = 0; i < kAtOnce; ++i) {
      const std::string outside = "out" + std::to_string(i);
      // Room for each: without it the one before has leaked.
      alive.push_back(watched.Create(outside));
      auto rtnl = RtnlIn(alive.back());
      SETUP_OK(rtnl.Up("inside"));
      SETUP_OK(rtnl.AddAddress("192.0.2.1/24", "inside"));
      SETUP_OK(rtnl.AddRoute({.to = "198.51.100.0/24", .via = "192.0.2.2"}));
    }
    EXPECT_EQ(links(), links_before + kAtOnce) << "control: they are all there";
    EXPECT_EQ(nsids(), nsids_before + kAtOnce) << "control: they are all there";
    EXPECT_THAT(watched.oracle().HasRoom(), Holds(false)) << "control: they are all counted";
    alive.clear();
  }
  for (int i = 0; i < kAtOnce; ++i) SETUP_OK(watched.UntilGone("all veth ends to vanish", "out" + std::to_string(i)));
  std::vector<NetNamespace> again;
  for (int i = 0; i < kAtOnce; ++i) again.push_back(SETUP_OK(watched.oracle().CreateWhenRoom()));
  EXPECT_EQ(links(), links_before);
  EXPECT_EQ(nsids(), nsids_before);
}

NETNS_TEST(Life, NamespacesAreFlat, Covers("LIFE-25"), Needs(UserNs(), Config("VETH"))) {
  for (bool creator_first : {true, false}) {
    SCOPED_TRACE(creator_first ? "the creator's namespace is freed first" : "the created one is freed first");
    Watched watched(3);
    Actor creator = watched.StartMember("creator", "outcreator");
    auto first = SETUP_OK(NetNamespace::OfPid(creator.pid()));
    SETUP_OK(creator.Unshare(CLONE_NEWNET));
    auto second = SETUP_OK(NetNamespace::OfPid(creator.pid()));
    watched.Watch(second.fd(), "outcreated");
    SETUP_OK(creator.Unshare(CLONE_NEWNET));
    creator.Kill();
    auto& freed = creator_first ? first : second;
    auto& kept = creator_first ? second : first;
    const std::string gone = creator_first ? "outcreator" : "outcreated", stays = creator_first ? "outcreated" : "outcreator";
    freed.Release();
    EXPECT_OK(watched.UntilGone("the veth of the freed namespace to vanish", gone));
    watched.ExpectStays("only a namespace that is related to it by creation was freed", stays);
    Actor visitor = Actor::Start("visitor");
    EXPECT_OK(visitor.Enter(kept.fd(), CLONE_NEWNET));
    EXPECT_OK(visitor.Run([] { return SETUP_OK(Rtnl::Open()).LinkByName("inside"); }));
    visitor.Kill();
    kept.Release();
    EXPECT_OK(watched.UntilGone("the other one to be freed", stays));
  }
}

// NS_GET_USERNS: a network namespace keeps its owner.
NETNS_TEST(Life, TheOwningUserNamespaceIsKeptAlive, Covers("LIFE-31", "NSFS-09"), Needs(UserNs())) {
  Actor root = StartNamespaceRoot("root");
  auto space = SETUP_OK(NetNamespace::OfPid(root.pid()));
  const ino_t user = InodeOf(root.Proc("ns/user"));
  root.Kill();
  EXPECT_THAT(OwnerInodeOf(space.fd()), Holds(user)) << "the user namespace of a namespace that only a descriptor holds";
  Actor visitor = Actor::Start("visitor");
  Fd owner = SETUP_OK(OwnerOf(space.fd()));
  EXPECT_OK(visitor.Enter(owner.get(), CLONE_NEWUSER)) << "its owner can be joined";
  EXPECT_OK(visitor.Enter(space.fd(), CLONE_NEWNET));
  EXPECT_THAT(OwnerInodeOf(NetNamespace::Create().fd()), Holds(InodeOf("/proc/self/ns/user"))) << "control: one of our own";
}

/// While it lives, this process and those that it starts are not interrupted by others, where that is allowed: what dies meanwhile
/// waits for the kernel's worker, and is one batch (net/core/net_namespace.c, cleanup_net()).
class Uninterrupted {
 public:
  Uninterrupted() { Set(SCHED_FIFO, 1); }
  Uninterrupted(const Uninterrupted&) = delete;
  Uninterrupted& operator=(const Uninterrupted&) = delete;
  ~Uninterrupted() { Set(SCHED_OTHER, 0); }

 private:
  static void Set(int policy, int priority) {
    const sched_param parameter{.sched_priority = priority};
    std::ignore = ::sched_setscheduler(0, policy, &parameter);
  }
};

/// What is the only pin of many namespaces, and lets all of them go at once.
struct Grip {
  const char* name;
  std::function<Release(std::vector<NetNamespace>)> take;
  std::vector<const char*> covers;
};
const std::vector<Grip>& Grips() {
  static const std::vector<Grip> grips = {
      {"Descriptors", [](std::vector<NetNamespace> all) { return Holding(std::move(all)); }, {"LIFE-06"}},
      {"AProcessWithDescriptors",
       [](std::vector<NetNamespace> all) {
         auto bearer = std::make_shared<Bearer>(Bearer::Then::kExit);
         all.clear();
         return Release([bearer] { bearer->LetGo(); });
       },
       {"LIFE-07"}},
      {"Messages",
       [](std::vector<NetNamespace> all) {
         auto pair = SETUP_OK(SocketPair(SOCK_STREAM));
         for (const NetNamespace& each : all) SETUP_OK(SendFd(pair.first.get(), each.fd()));
         return Holding(std::move(pair));
       },
       {"LIFE-13"}},
      {"AMountNamespace",
       [](std::vector<NetNamespace> all) {
         auto mounts = std::make_shared<Actor>(Actor::Start("mounts", CLONE_NEWNS));
         mounts->Run([&] {
           for (const NetNamespace& each : all) BindMount("/proc/self/fd/" + std::to_string(each.fd()), "/tmp/batch" + std::to_string(each.fd()));
         });
         return Release([mounts] { mounts->Exit(); });
       },
       {"LIFE-11"}},
      {"Sockets",
       [](std::vector<NetNamespace> all) {
         std::vector<Fd> sockets;
         for (const NetNamespace& each : all) sockets.push_back(SETUP_OK(each.Socket(AF_UNIX, SOCK_STREAM)));
         return Holding(std::move(sockets));
       },
       {"LIFE-15"}},
  };
  return grips;
}
// Nothing else dies until all are gone, so that nobody else's end could be what frees the last of them.
void ManyDieTogether(const Grip& grip) {
  constexpr int kCount = 24;
  Watched watched(kCount);
  std::vector<NetNamespace> all;
  for (int i = 0; i < kCount; ++i) all.push_back(watched.Create("out" + std::to_string(i)));
  const auto left = [&] {
    std::vector<std::string> names;
    for (const Link& link : SETUP_OK(watched.here().Links()))
      if (link.name.starts_with("out")) names.push_back(link.name);
    return names;
  };
  {
    const Uninterrupted uninterrupted;
    const Release let_go = grip.take(std::move(all));
    EXPECT_THAT(left(), SizeIs(kCount)) << "control: they are held (how long: KeptAliveBy...)";
    let_go();
  }
  EXPECT_OK(Eventually("all of the namespaces that died together to be freed", [&] { return left().empty(); }, Deadline::OfKernelWork(),
                       [&] { return "left: " + testing::PrintToString(left()); }));
}
const bool grips_registered = [] {
  for (const Grip& grip : Grips()) {
    Covers covers("LIFE-32", "VETH-24");
    for (const char* id : grip.covers) covers.list.push_back(id);
    RegisterBody("Life", std::string("ManyThatDieTogetherAreAllFreed/") + grip.name, __FILE__, __LINE__, [&grip] { ManyDieTogether(grip); }, covers,
                 Needs(UserNs(), Config("VETH")), Within{std::chrono::seconds(60)});
  }
  return true;
}();

NETNS_TEST(Life, ABatchOfConnectedNamespacesDiesTogether, Covers("LIFE-32"), Needs(UserNs(), Config("VETH")), Within{std::chrono::seconds(60)}) {
  constexpr int kCount = 50, kKept = 17;
  Watched watched(kCount);
  std::vector<NetNamespace> chain;
  for (int i = 0; i < kCount; ++i) {
    chain.push_back(watched.Create("out" + std::to_string(i)));
    if (i > 0)
      SETUP_OK(RtnlIn(chain[i]).AddVeth("left", PeerSpec{.name = "right", .netns_fd = chain[i - 1].fd()}));
  }
  auto kept = SETUP_OK(chain[kKept].Dup());
  EXPECT_OK(RtnlIn(kept).LinkByName("left")) << "control";
  EXPECT_OK(RtnlIn(kept).LinkByName("right")) << "control";
  chain.clear();
  for (int i = 0; i < kCount; ++i) {
    if (i == kKept) continue;
    ASSERT_OK(watched.UntilGone("the veth end of namespace " + std::to_string(i) + " to vanish", "out" + std::to_string(i)));
  }
  watched.ExpectStays("it is the one that is still held", "out" + std::to_string(kKept));
  EXPECT_THAT(RtnlIn(kept).LinkByName("left"), FailsWith(ENODEV)) << "the peer of a device that died with its namespace";
  EXPECT_THAT(RtnlIn(kept).LinkByName("right"), FailsWith(ENODEV)) << "the peer of a device that died with its namespace";
  EXPECT_OK(RtnlIn(kept).LinkByName("inside"));
  kept.Release();
  EXPECT_OK(watched.UntilGone("the last one to vanish", "out" + std::to_string(kKept)));
  std::vector<NetNamespace> again;
  for (int i = 0; i < kCount; ++i) {
    auto made = watched.oracle().CreateWhenRoom();
    ASSERT_OK(made) << "of " << kCount << " namespaces that died in one batch only " << i << " were given back to the quota";
    again.push_back(std::move(*made));
  }
}

// Freed exactly when the last pin goes, whichever that is: all ordered pairs of the kinds of pin, side by side.
NETNS_TEST(Life, EveryOrderOfTwoPins, Covers("LIFE-03", "LIFE-04", "LIFE-06", "LIFE-09", "LIFE-13", "LIFE-15", "LIFE-18"),
           Needs(UserNs(), Config("VETH"), Config("INET")), Within{std::chrono::seconds(60)}) {
  const std::set<std::string> chosen{"Process", "Thread", "Descriptor", "PathDescriptor", "BindMount", "DescriptorInFlight",
                                     "UdpSocket", "RouteNetlinkSocket", "OpenFileProcNetDev"};
  std::vector<Pin> pins;
  for (Pin& pin : Pins())
    if (chosen.count(pin.name) > 0) pins.push_back(std::move(pin));
  struct Case {
    std::string text, outside;
    Release first, second;
  };
  std::vector<Case> cases;
  Watched watched(static_cast<int>(pins.size() * pins.size()));
  for (const Pin& first : pins) {
    for (const Pin& second : pins) {
      if (&first == &second) continue;
      const std::string number = std::to_string(cases.size());
      Actor member = watched.StartMember("member", "out" + number);
      cases.push_back({"first " + first.name + " let go, then " + second.name, "out" + number, first.take(member, "a" + number),
                       second.take(member, "b" + number)});
      member.Exit();
    }
  }
  for (Case& one : cases) one.first();
  watched.Fence();
  for (Case& one : cases)
    EXPECT_TRUE(watched.Present(one.outside)) << "freed too early, with its first pin: " << one.text;
  for (Case& one : cases) one.second();
  for (Case& one : cases)
    EXPECT_OK(watched.UntilGone("the namespace to be freed: " + one.text, one.outside));
}

NETNS_TEST(Life, ABatchOf500IsFreed, Covers("LIFE-32", "LIFE-29", "LIFE-30"), Needs(UserNs()), Full{}, Within{std::chrono::seconds(600)}) {
  constexpr int kCount = 500;
  FreedOracle oracle(kCount);
  std::vector<NetNamespace> alive;
  for (int i = 0; i < kCount; ++i) {
    auto made = oracle.TryCreate();
    ASSERT_OK(made) << "namespace " << i + 1;
    alive.push_back(std::move(*made));
  }
  EXPECT_THAT(oracle.HasRoom(), Holds(false)) << "control: all are alive";
  alive.clear();
  for (int i = 0; i < kCount; ++i) {
    auto made = oracle.CreateWhenRoom(Deadline::OfTest());
    ASSERT_OK(made) << "of " << kCount << " namespaces that were let go together only " << i << " were given back";
    alive.push_back(std::move(*made));
  }
  EXPECT_THAT(oracle.HasRoom(), Holds(false)) << "control: not more than that";
}

// net/unix/garbage.c: nobody can ever receive what is queued on sockets that only their own queues hold.
NETNS_TEST(Life, ADescriptorInAnUnreachableCycleIsCollected, Covers("LIFE-13", "LIFE-16"), Needs(UserNs(), Config("VETH"))) {
  Watched watched(2);
  std::vector<Fd> controls;
  for (const bool socket : {false, true}) {
    const std::string outside = socket ? "outsocket" : "outns";
    Actor member = watched.StartMember("member", outside);
    auto pair = SETUP_OK(SocketPair(SOCK_DGRAM));
    Fd pin = socket ? Fd(member.Run([] { return ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0); })) : HandleOf(member);
    // The queue of the second socket holds the namespace, and the second socket.
    SETUP_OK(SendFd(pair.first.get(), pin.get()));
    SETUP_OK(SendFd(pair.first.get(), pair.second.get()));
    controls.push_back(SETUP_OK(pair.second.Dup()));
    member.Exit();
  }
  for (const char* outside : {"outns", "outsocket"}) watched.ExpectStays("control: its socket can still be received from", outside);
  controls.clear();
  // The collector runs when some socket is closed.
  for (const char* outside : {"outns", "outsocket"})
    EXPECT_OK(Eventually(std::string("the collection of the cycle: ") + outside, [&] {
      SETUP_OK(SocketPair(SOCK_DGRAM));
      return !watched.Present(outside);
    }, Deadline::OfTest(), [&] { return HoldersBelow(watched.oracle().user_namespace_fd()); }));
}

// Freed while its devices are up, addressed and carry traffic.
NETNS_TEST(Life, FreedWhileItsDevicesAreBusy, Covers("LIFE-01", "LIFE-24"), Needs(UserNs(), Config("VETH"), Config("INET"))) {
  Watched watched;
  Actor member = watched.StartMember();
  SETUP_OK(watched.here().Up("outside"));
  SETUP_OK(watched.here().AddAddress("192.0.2.2/24", "outside"));
  SETUP_OK(member.Run([] {
    auto rtnl = SETUP_OK(Rtnl::Open());
    SETUP_OK(rtnl.Up("lo"));
    SETUP_OK(rtnl.Up("inside"));
    SETUP_OK(rtnl.AddNeighbour({.to = "192.0.2.77", .address = "02:00:00:00:00:77", .dev = "inside", .flags = 0}));
    return rtnl.AddAddress("192.0.2.1/24", "inside");
  }));
  // Datagrams that wait for a neighbour which never answers, and some that are on their way.
  auto here = NetNamespace::Current();
  Fd sender = SETUP_OK(here.Socket(AF_INET, SOCK_DGRAM));
  for (const char* to : {"192.0.2.1", "192.0.2.99"}) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(9);
    ::inet_pton(AF_INET, to, &address.sin_addr);
    for (int i = 0; i < 50; ++i)
      [[maybe_unused]] ssize_t n = ::sendto(sender.get(), to, 4, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&address), sizeof address);
  }
  // A connection whose other end is outside and stays open.
  Fd listener = SETUP_OK(here.Socket(AF_INET, SOCK_STREAM));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(4711);
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  auto space = SETUP_OK(NetNamespace::OfPid(member.pid()));
  EXPECT_OK(TryConnect(AF_INET, "192.0.2.2", 4711, space));
  Fd accepted(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  ASSERT_TRUE(accepted.valid());
  space.Release();
  member.Kill();
  watched.ExpectFreed("its last process was killed, busy as its devices were");
}

NETNS_TEST(Life, NestedNamespacesAreFreedOneByOne, Covers("LIFE-25", "LIFE-01"), Needs(UserNs(), Config("VETH"))) {
  // Three levels of user namespaces, each with a network namespace that is charged to all of its ancestors.
  Watched watched(3);
  std::vector<Actor> levels;
  levels.push_back(watched.StartMember("level1", "out0"));
  for (int depth = 1; depth < 3; ++depth) {
    levels.push_back(Actor::Start("level" + std::to_string(depth + 1)));
    Fd user = SETUP_OK(Open(levels[depth - 1].Proc("ns/user"), O_RDONLY));
    SETUP_OK(levels[depth].Enter(user.get(), CLONE_NEWUSER));
    SETUP_OK(EnterNewUserNamespace(levels[depth]));
    SETUP_OK(levels[depth].Unshare(CLONE_NEWNET));
    watched.Watch(SETUP_OK(NetNamespace::OfPid(levels[depth].pid())).fd(), "out" + std::to_string(depth));
  }
  EXPECT_THAT(watched.oracle().HasRoom(), Holds(false)) << "control: all three are charged to the outermost user namespace";
  levels[1].Kill();
  watched.ExpectFreed("the middle one of three nested ones lost its last process", "out1");
  EXPECT_TRUE(watched.Present("out0")) << "the namespace of an outer level went too";
  EXPECT_TRUE(watched.Present("out2")) << "the namespace of an inner level went too";
  levels[2].Kill();
  EXPECT_OK(watched.UntilGone("the innermost one to be freed", "out2"));
  levels[0].Kill();
  EXPECT_OK(watched.UntilGone("the outermost one to be freed", "out0"));
}

}  // namespace
}  // namespace netns
