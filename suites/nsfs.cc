// SPDX-License-Identifier: GPL-2.0-or-later
// NSFS: /proc/PID/ns/net, the handles that it gives, and the questions that they and sockets answer.
#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include <cstring>
#include <memory>
#include <set>

#include "fixtures/net_namespace.h"
#include "fixtures/rtnl.h"
#include "fixtures/thread.h"
#include "fixtures/user_namespace.h"
#include "harness/assertions.h"
#include "harness/registration.h"
#include "suites/support/nsfs.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif
#ifndef NS_GET_NSTYPE
#define NS_GET_NSTYPE _IO(NSIO, 0x3)
#define NS_GET_OWNER_UID _IO(NSIO, 0x4)
#endif
// linux/nsfs.h of Linux 6.18
#define NETNS_NS_GET_ID _IOR(0xb7, 13, std::uint64_t)

namespace netns {
namespace {

using testing::AnyOf;
using testing::Contains;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;
using testing::StartsWith;

NetNamespace OfActor(const Actor& actor) { return SETUP_OK(NetNamespace::OfPid(actor.pid())); }

Result<std::string> ReadLinkText(const std::string& path) {
  char text[256];
  ssize_t n = ::readlink(path.c_str(), text, sizeof text);
  if (n < 0) return ErrnoError("readlink(" + path + ")");
  return std::string(text, static_cast<std::size_t>(n));
}

Result<struct stat> Stat(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) < 0) return ErrnoError("stat(" + path + ")");
  return info;
}

Result<int> Ioctl(int fd, unsigned long request, void* argument = nullptr) {
  int value = ::ioctl(fd, request, argument);
  if (value < 0) return ErrnoError("ioctl");
  return value;
}

Result<Fd> NamespaceOfSocket(int socket) {
  ASSIGN_OR_RETURN(int fd, Ioctl(socket, SIOCGSKNS));
  return Fd(fd);
}

Result<std::uint64_t> CookieOf(int socket) {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof cookie;
  if (::getsockopt(socket, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) < 0) return ErrnoError("getsockopt(SO_NETNS_COOKIE)");
  return cookie;
}

Result<std::uint64_t> IdOf(int fd) {
  std::uint64_t id = 0;
  if (::ioctl(fd, NETNS_NS_GET_ID, &id) < 0) return ErrnoError("ioctl(NS_GET_ID)");
  return id;
}

Need NsGetId() {
  return Feature("ns-get-id", "ioctl NS_GET_ID (since Linux 6.18)",
                 [] { return IdOf(NetNamespace::Current().fd()).ok(); }, LinuxVersion{6, 18});
}

Need NetnsCookie() {
  return Feature("netns-cookie", "getsockopt SO_NETNS_COOKIE (since Linux 5.14)", [] {
    Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    return CookieOf(socket.get()).code() != ENOPROTOOPT;
  }, LinuxVersion{5, 14});
}

struct Family {
  const char* name;
  int family, type, protocol;
};
constexpr Family kFamilies[] = {
    {"IPv4 stream", AF_INET, SOCK_STREAM, 0},         {"IPv4 datagram", AF_INET, SOCK_DGRAM, 0},
    {"IPv6 stream", AF_INET6, SOCK_STREAM, 0},        {"IPv6 datagram", AF_INET6, SOCK_DGRAM, 0},
    {"UNIX stream", AF_UNIX, SOCK_STREAM, 0},         {"UNIX datagram", AF_UNIX, SOCK_DGRAM, 0},
    {"route netlink", AF_NETLINK, SOCK_RAW, 0},       {"generic netlink", AF_NETLINK, SOCK_RAW, 16},
    {"raw IPv4", AF_INET, SOCK_RAW, 17},              {"packet", AF_PACKET, SOCK_DGRAM, 0},
};
/// A socket of the family born in `space`, or none where the kernel has no such sockets.
std::optional<Fd> SocketOf(const NetNamespace& space, const Family& family) {
  auto socket = space.Socket(family.family, family.type, family.protocol);
  if (socket.code() == EAFNOSUPPORT || socket.code() == EPROTONOSUPPORT) return std::nullopt;
  return SETUP_OK(std::move(socket));
}

// proc(5), namespaces(7): "/proc/[pid]/ns/net": a symbolic link whose text is "net:[inode]".
NETNS_TEST(Nsfs, TheEntryIsALinkThatNamesTypeAndInode, Covers("NSFS-01")) {
  Actor actor = Actor::Start("actor");
  auto check = [&](const std::string& path) {
    SCOPED_TRACE(path);
    struct stat link {};
    ASSERT_EQ(::lstat(path.c_str(), &link), 0) << ErrnoName(errno);
    EXPECT_TRUE(S_ISLNK(link.st_mode));
    EXPECT_THAT(ReadLinkText(path), Holds("net:[" + std::to_string(SETUP_OK(Stat(path)).st_ino) + "]"));
    EXPECT_TRUE(S_ISREG(SETUP_OK(Stat(path)).st_mode));
  };
  check("/proc/self/ns/net");
  check("/proc/thread-self/ns/net");
  check(actor.Proc("ns/net"));
  const std::string before = SETUP_OK(ReadLinkText(actor.Proc("ns/net")));
  EXPECT_EQ(before, SETUP_OK(ReadLinkText("/proc/self/ns/net")));
  SETUP_OK(actor.Unshare(CLONE_NEWNET));
  check(actor.Proc("ns/net"));
  EXPECT_NE(SETUP_OK(ReadLinkText(actor.Proc("ns/net"))), before) << "after unshare";
  EXPECT_EQ(SETUP_OK(ReadLinkText("/proc/self/ns/net")), before);
  EXPECT_THAT(ReadLinkText(actor.Proc("ns/uts")), Holds(StartsWith("uts:["))) << "control: another type";
  EXPECT_THAT(ReadLinkText(actor.Proc("net")), Not(Holds(StartsWith("net:[")))) << "control: no namespace link";
}

/// What readdir(3) gives for a directory of namespaces.
Result<std::set<std::string>> Listed(const std::string& directory) {
  std::unique_ptr<DIR, int (*)(DIR*)> open(::opendir(directory.c_str()), ::closedir);
  if (!open) return ErrnoError("opendir(" + directory + ")");
  std::set<std::string> names;
  while (const dirent* entry = ::readdir(open.get()))
    if (entry->d_name[0] != '.') names.insert(std::string(entry->d_name) + (entry->d_type == DT_LNK ? "" : ", which is no link"));
  return names;
}

// namespaces(7): "Each process has a /proc/pid/ns/ subdirectory containing one entry for each namespace": whoever it is, and who
// looks for it by name or in the directory.
NETNS_TEST(Nsfs, TheEntryIsListedForProcessesOfEveryUserNamespace, Covers("NSFS-01", "CONF-08"), Needs(UserNs())) {
  Actor same = Actor::Start("same"), apart = Actor::Start("apart", CLONE_NEWNET), unprivileged = StartUnprivileged("unprivileged");
  Actor child = Actor::Start("child"), root = StartNamespaceRoot("root"), nested = Actor::Start("nested");
  SETUP_OK(EnterNewUserNamespace(child));
  SETUP_OK(EnterNewUserNamespace(nested));
  SETUP_OK(EnterNewUserNamespace(nested));
  SETUP_OK(nested.Unshare(CLONE_NEWNET));
  const struct {
    const char* who;
    Actor& actor;
  } rows[] = {{"a process of the test's namespaces", same},
              {"one in a network namespace of its own", apart},
              {"one without any capability", unprivileged},
              {"one in a child user namespace", child},
              {"root of a child user namespace, in a network namespace of its own", root},
              {"one two user namespaces below", nested}};
  for (const auto& [who, each] : rows) {
    SCOPED_TRACE(who);
    Actor& actor = each;
    const std::string task = "task/" + std::to_string(actor.pid()) + "/ns";
    for (const std::string& directory : {std::string("/proc/self/ns"), std::string("/proc/thread-self/ns"), actor.Proc("ns"), actor.Proc(task)}) {
      const auto listed = SETUP_OK(actor.Run([&] { return Listed(directory); }));
      EXPECT_THAT(listed, IsSupersetOf({"mnt", "uts", "ipc", "user", "pid"})) << "control: other types, in " << directory;
      EXPECT_THAT(listed, Contains("net")) << "in " << directory << ", as the process itself lists it";
      EXPECT_THAT(actor.Run([&] { return ReadLinkText(directory + "/net"); }), Holds(StartsWith("net:["))) << directory;
    }
    EXPECT_THAT(SETUP_OK(Listed(actor.Proc("ns"))), Contains("net")) << "as its creator lists it";
  }
}

// namespaces(7): "If two processes are in the same namespace, then the device IDs and inode numbers ... will be the same".
NETNS_TEST(Nsfs, SameNamespaceIfAndOnlyIfSameDeviceAndInode, Covers("NSFS-02")) {
  Actor child = Actor::Start("child"), sibling = Actor::Start("sibling");
  auto of = [](const Actor& actor) { return SETUP_OK(Stat(actor.Proc("ns/net"))); };
  auto own = SETUP_OK(Stat("/proc/self/ns/net"));
  auto same = [](const struct stat& a, const struct stat& b) { return a.st_dev == b.st_dev && a.st_ino == b.st_ino; };
  EXPECT_TRUE(same(of(child), own));
  auto home = NetNamespace::Current();
  SETUP_OK(child.Unshare(CLONE_NEWNET));
  SETUP_OK(sibling.Unshare(CLONE_NEWNET));
  EXPECT_NE(of(child).st_ino, own.st_ino);
  EXPECT_NE(of(child).st_ino, of(sibling).st_ino);
  EXPECT_EQ(of(child).st_dev, own.st_dev);
  SETUP_OK(sibling.Enter(OfActor(child).fd(), CLONE_NEWNET));
  EXPECT_TRUE(same(of(child), of(sibling)));
  SETUP_OK(child.Enter(home.fd(), CLONE_NEWNET));
  EXPECT_TRUE(same(of(child), own)) << "back home";
  EXPECT_FALSE(same(of(child), of(sibling)));
}

NETNS_TEST(Nsfs, AHandleAgreesWithItsLink, Covers("NSFS-03")) {
  Actor member = Actor::Start("member", CLONE_NEWNET);
  const auto link = SETUP_OK(Stat(member.Proc("ns/net")));
  auto handle = OfActor(member);
  auto other = NetNamespace::Create();
  for (bool alive : {true, false}) {
    SCOPED_TRACE(alive ? "while its member lives" : "when all members have gone");
    EXPECT_EQ(handle.Identity(), std::pair(link.st_dev, link.st_ino));
    EXPECT_THAT(ReadLinkText("/proc/self/fd/" + std::to_string(handle.fd())), Holds("net:[" + std::to_string(link.st_ino) + "]"));
    auto reopened = SETUP_OK(NetNamespace::OfPath("/proc/self/fd/" + std::to_string(handle.fd())));
    EXPECT_TRUE(reopened.Is(handle));
    EXPECT_FALSE(handle.Is(other)) << "control: another namespace's";
    if (alive) member.Kill();
  }
}

NETNS_TEST(Nsfs, InodesOfLiveNamespacesAreUnique, Covers("NSFS-04")) {
  std::vector<NetNamespace> alive;
  std::set<std::pair<dev_t, ino_t>> identities{NetNamespace::Current().Identity()};
  std::set<dev_t> devices;
  constexpr std::size_t kCount = 100;
  for (std::size_t i = 0; i < kCount; ++i) {
    alive.push_back(NetNamespace::Create());
    identities.insert(alive.back().Identity());
    devices.insert(alive.back().Identity().first);
    EXPECT_EQ(SETUP_OK(alive.back().Dup()).Identity(), alive.back().Identity()) << "control: two handles of one namespace";
  }
  EXPECT_EQ(identities.size(), kCount + 1) << "two namespaces that exist at the same time have one inode number";
  EXPECT_EQ(devices.size(), 1u);
  // A namespace that takes a freed one's place may have its number, but none of the living.
  for (std::size_t i = 0; i < kCount; i += 2) alive[i].Release();
  for (std::size_t i = 0; i < kCount; i += 2) alive[i] = NetNamespace::Create();
  std::set<ino_t> again;
  for (const auto& space : alive) again.insert(space.Inode());
  EXPECT_EQ(again.size(), kCount);
}

NETNS_TEST(Nsfs, SelfIsTheLeaderAndThreadSelfTheThread, Covers("NSFS-05")) {
  Thread thread;
  auto views = [&] {
    return thread.Run([&] {
      return std::vector<std::string>{SETUP_OK(ReadLinkText("/proc/self/ns/net")),
                                      SETUP_OK(ReadLinkText("/proc/" + std::to_string(::getpid()) + "/ns/net")),
                                      SETUP_OK(ReadLinkText("/proc/thread-self/ns/net")),
                                      SETUP_OK(ReadLinkText(thread.Proc("ns/net")))};
    });
  };
  auto before = views();
  for (const auto& view : before) EXPECT_EQ(view, before[0]) << "control: equal before";
  auto there = NetNamespace::Create();
  SETUP_OK(thread.Run([&]() -> Status {
    if (::setns(there.fd(), CLONE_NEWNET) < 0) return ErrnoError("setns");
    return Ok();
  }));
  auto after = views();
  EXPECT_EQ(after[0], before[0]) << "/proc/self is the leader";
  EXPECT_EQ(after[1], before[0]) << "/proc/PID is the leader";
  EXPECT_EQ(after[2], "net:[" + std::to_string(there.Inode()) + "]") << "/proc/thread-self is the thread";
  EXPECT_EQ(after[3], after[2]) << "/proc/self/task/TID is the thread";
  EXPECT_EQ(SETUP_OK(ReadLinkText("/proc/self/task/" + std::to_string(::getpid()) + "/ns/net")), before[0]);
}

NETNS_TEST(Nsfs, TheEntryOfADeadProcessCannotBeResolved, Covers("NSFS-06")) {
  for (bool killed : {false, true}) {
    Actor actor = Actor::Start("actor", CLONE_NEWNET);
    const std::string path = actor.Proc("ns/net");
    EXPECT_OK(ReadLinkText(path)) << "control: alive";
    EXPECT_OK(Open(path, O_RDONLY)) << "control: alive";
    killed ? actor.Kill(true) : actor.Exit(true);
    EXPECT_THAT(ReadLinkText(path), FailsWith(ENOENT)) << "a zombie";
    EXPECT_THAT(Open(path, O_RDONLY), FailsWith(ENOENT)) << "a zombie";
    EXPECT_THAT(Stat(path), FailsWith(ENOENT)) << "a zombie";
    EXPECT_OK(Stat(actor.Proc("status"))) << "control: it has not been reaped";
    actor.Reap();
    EXPECT_THAT(Open(path, O_RDONLY), FailsWith(ENOENT)) << "reaped";
    EXPECT_THAT(Stat(actor.Proc("status")), FailsWith(ENOENT)) << "control: it has been reaped";
  }
}

// namespaces(7): "Permission to dereference or read (readlink(2)) these symbolic links is governed by a ptrace access mode
// PTRACE_MODE_READ_FSCREDS check".
NETNS_TEST(Nsfs, AccessNeedsToBeAllowedToReadTheProcess, Covers("NSFS-07")) {
  Actor target = Actor::Start("target", CLONE_NEWNET);
  const std::string path = target.Proc("ns/net");
  Actor nobody = StartUnprivileged("nobody");
  nobody.Run([&] {
    for (const std::string& one : {path, std::string("/proc/1/ns/net"), target.Proc("task/" + std::to_string(target.pid()) + "/ns/net")}) {
      EXPECT_THAT(ReadLinkText(one), FailsWith(EACCES)) << one;
      EXPECT_THAT(Stat(one), FailsWith(EACCES)) << one;
      EXPECT_THAT(Open(one, O_RDONLY), FailsWith(EACCES)) << one;
      EXPECT_THAT(Open(one, O_PATH), FailsWith(EACCES)) << one;
    }
    EXPECT_OK(ReadLinkText("/proc/self/ns/net")) << "control: its own";
    EXPECT_OK(Open("/proc/self/ns/net", O_RDONLY)) << "control: its own";
    EXPECT_OK(Open(target.Proc("net/dev"), O_RDONLY)) << "the files below /proc/PID/net are readable for all";
  });
  EXPECT_OK(ReadLinkText(path)) << "control: with the rights";
  EXPECT_OK(Open(path, O_RDONLY)) << "control: with the rights";
  EXPECT_OK(Open(target.Proc("task/" + std::to_string(target.pid()) + "/ns/net"), O_RDONLY)) << "control: with the rights";
}

// ptrace(2): capabilities in a child user namespace do not count over a process of the parent's.
NETNS_TEST(Nsfs, RootOfAChildUserNamespaceMayNotLookIntoItsParents, Covers("NSFS-07"), Needs(UserNs())) {
  Actor target = Actor::Start("target", CLONE_NEWNET), root = StartNamespaceRoot("root"), sibling = StartNamespaceRoot("sibling");
  Actor own = Actor::Start("own");
  SETUP_OK(own.Enter(SETUP_OK(Open(root.Proc("ns/user"), O_RDONLY)).get(), CLONE_NEWUSER));
  SETUP_OK(own.Unshare(CLONE_NEWNET));
  // A process whose credentials changed is nobody's to look into, unless it says otherwise: the user namespace alone decides.
  if (::prctl(PR_SET_DUMPABLE, 1) < 0) SETUP_OK(Status(ErrnoError("PR_SET_DUMPABLE")));
  root.Run([&] {
    for (const Actor* other : {&target, &sibling}) {
      SCOPED_TRACE(other == &target ? "a process of the parent user namespace" : "a process of a sibling user namespace");
      const std::string path = other->Proc("ns/net");
      EXPECT_THAT(ReadLinkText(path), FailsWith(EACCES));
      EXPECT_THAT(Stat(path), FailsWith(EACCES));
      EXPECT_THAT(Open(path, O_RDONLY), FailsWith(EACCES));
    }
    EXPECT_OK(ReadLinkText(own.Proc("ns/net"))) << "control: a process of its own user namespace";
    EXPECT_OK(Open(own.Proc("ns/net"), O_RDONLY)) << "control: a process of its own user namespace";
  });
  EXPECT_OK(Open(root.Proc("ns/net"), O_RDONLY)) << "control: from the parent";
}

// ioctl_ns(2): NS_GET_NSTYPE "returns one of the CLONE_NEW* values".
NETNS_TEST(Nsfs, TheTypeIsCloneNewnet, Covers("NSFS-08", "NSFS-13")) {
  auto fresh = NetNamespace::Create();
  auto own = NetNamespace::Current();
  for (const auto* space : {&fresh, &own}) {
    EXPECT_THAT(Ioctl(space->fd(), NS_GET_NSTYPE), Holds(CLONE_NEWNET));
    EXPECT_THAT(Ioctl(space->fd(), NS_GET_NSTYPE), Holds(0x40000000));
  }
  Fd uts = SETUP_OK(Open("/proc/self/ns/uts", O_RDONLY));
  EXPECT_THAT(Ioctl(uts.get(), NS_GET_NSTYPE), Holds(CLONE_NEWUTS)) << "control";
  if (auto user = Open("/proc/self/ns/user", O_RDONLY); user.ok()) {
    EXPECT_THAT(Ioctl(user->get(), NS_GET_NSTYPE), Holds(CLONE_NEWUSER)) << "control";
  }
  Fd null = SETUP_OK(Open("/dev/null", O_RDONLY)), file = SETUP_OK(Open("/tmp/file", O_RDWR | O_CREAT, 0600));
  Fd proc = SETUP_OK(Open("/proc/self/status", O_RDONLY)), socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  Fd directory = SETUP_OK(Open("/proc/self/ns", O_RDONLY | O_DIRECTORY)), sysctl = SETUP_OK(Open("/proc/sys/net/ipv4/ip_forward", O_RDONLY));
  auto pipe = SETUP_OK(Pipe());
  alignas(8) unsigned char room[64] = {47};  // sockets take a struct ifreq before they know the request, on older kernels
  for (const auto& [what, fd] : {std::pair("a device", null.get()), std::pair("a regular file", file.get()), std::pair("a socket", socket.get()),
                                 std::pair("the directory of namespaces", directory.get()), std::pair("a sysctl", sysctl.get()), std::pair("a pipe", pipe.first.get())})
    EXPECT_THAT(Ioctl(fd, NS_GET_OWNER_UID, room), FailsWith(ENOTTY)) << what << ", NS_GET_OWNER_UID";
  EXPECT_EQ(room[0], 47u) << "a refused request wrote its result";
  for (unsigned long request : {NS_GET_NSTYPE, NS_GET_USERNS, NS_GET_PARENT}) {
    EXPECT_THAT(Ioctl(socket.get(), request, room), FailsWith(ENOTTY)) << "a socket, request " << request;
    EXPECT_THAT(Ioctl(directory.get(), request), FailsWith(ENOTTY)) << "the directory of namespaces, request " << request;
    EXPECT_THAT(Ioctl(sysctl.get(), request), FailsWith(ENOTTY)) << "a sysctl, request " << request;
    EXPECT_THAT(Ioctl(pipe.first.get(), request), FailsWith(ENOTTY)) << "a pipe, request " << request;
    EXPECT_THAT(Ioctl(null.get(), request), FailsWith(ENOTTY)) << "a device, request " << request;
    EXPECT_THAT(Ioctl(file.get(), request), FailsWith(ENOTTY)) << "a regular file, request " << request;
    EXPECT_THAT(Ioctl(proc.get(), request), FailsWith(ENOTTY)) << "a file of /proc, request " << request;
  }
  EXPECT_THAT(Ioctl(fresh.fd(), _IO(0xb7, 0xff)), FailsWith(ENOTTY)) << "an unknown request";
  EXPECT_THAT(Ioctl(fresh.fd(), _IO(0xb7, 0xfe)), FailsWith(ENOTTY)) << "an unknown request";
  EXPECT_THAT(Ioctl(fresh.fd(), _IO(0xb7, 0)), FailsWith(ENOTTY)) << "an unknown request";
  EXPECT_THAT(Ioctl(fresh.fd(), 0x5401 /* TCGETS */, room), FailsWith(ENOTTY)) << "a request of terminals";
  EXPECT_THAT(Ioctl(fresh.fd(), SIOCGSKNS), FailsWith(ENOTTY)) << "a request of sockets";
}

// ioctl_ns(2): NS_GET_USERNS "Returns a file descriptor that refers to the owning user namespace".
NETNS_TEST(Nsfs, TheOwnerIsTheUserNamespaceOfTheCreator, Covers("NSFS-09", "USER-01"), Needs(UserNs())) {
  const ino_t here = InodeOf("/proc/self/ns/user");
  auto own = NetNamespace::Create();
  ASSERT_OK_AND_ASSIGN(Fd owner, OwnerOf(own.fd()));
  EXPECT_EQ(InodeOf(owner.get()), here) << "one that this process created";
  EXPECT_EQ(::fcntl(owner.get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC) << "the descriptor must be close-on-exec";
  EXPECT_EQ(::fcntl(owner.get(), F_GETFL) & O_ACCMODE, O_RDONLY);
  EXPECT_THAT(Ioctl(owner.get(), NS_GET_NSTYPE), Holds(CLONE_NEWUSER));
  Actor outer = StartNamespaceRoot("outer");
  EXPECT_THAT(OwnerInodeOf(OfActor(outer).fd()), Holds(InodeOf(outer.Proc("ns/user")))) << "one created in a child user namespace";
  EXPECT_NE(InodeOf(outer.Proc("ns/user")), here) << "control";
  const ino_t outer_user = InodeOf(outer.Proc("ns/user"));
  SETUP_OK(EnterNewUserNamespace(outer));
  EXPECT_THAT(OwnerInodeOf(OfActor(outer).fd()), Holds(outer_user)) << "its member has moved on to another user namespace";
  SETUP_OK(outer.Unshare(CLONE_NEWNET));
  EXPECT_THAT(OwnerInodeOf(OfActor(outer).fd()), Holds(InodeOf(outer.Proc("ns/user")))) << "one created two levels down";
}

NETNS_TEST(Nsfs, TheOwnerIsRefusedOutsideTheCallersScope, Covers("NSFS-10"), Needs(UserNs())) {
  auto ours = NetNamespace::Current();
  Actor root = StartNamespaceRoot("root"), sibling = StartNamespaceRoot("sibling");
  auto its = OfActor(root);
  root.Run([&] {
    EXPECT_THAT(OwnerOf(ours.fd()), FailsWith(EPERM)) << "a namespace of the parent's";
    EXPECT_THAT(OwnerInodeOf(its.fd()), Holds(InodeOf("/proc/self/ns/user"))) << "control: one of its own";
  });
  sibling.Run([&] { EXPECT_THAT(OwnerOf(its.fd()), FailsWith(EPERM)) << "a namespace of a sibling's"; });
  Actor below = Actor::Start("below");
  SETUP_OK(below.Enter(SETUP_OK(Open(root.Proc("ns/user"), O_RDONLY)).get(), CLONE_NEWUSER));
  SETUP_OK(BecomeNamespaceRoot(below));
  SETUP_OK(EnterNewUserNamespace(below));
  SETUP_OK(below.Unshare(CLONE_NEWNET));
  auto belows = OfActor(below);
  const ino_t its_user = InodeOf(below.Proc("ns/user"));
  EXPECT_THAT(OwnerInodeOf(belows.fd()), Holds(its_user)) << "a namespace of a grandchild's";
  root.Run([&] { EXPECT_THAT(OwnerInodeOf(belows.fd()), Holds(its_user)) << "a namespace of a child's"; });
  sibling.Run([&] { EXPECT_THAT(OwnerOf(belows.fd()), FailsWith(EPERM)) << "a namespace of a sibling's child"; });
  below.Run([&] { EXPECT_THAT(OwnerOf(its.fd()), FailsWith(EPERM)) << "a namespace of the parent's, two levels down"; });
  SETUP_OK(EnterNewUserNamespace(root));
  root.Run([&] { EXPECT_THAT(OwnerOf(its.fd()), FailsWith(EPERM)) << "from a child of its owner"; });
  EXPECT_OK(OwnerOf(its.fd())) << "control: a namespace of a child's";
}

// ioctl_ns(2): NS_GET_PARENT is "valid only for hierarchical namespaces", NS_GET_OWNER_UID for user namespaces.
NETNS_TEST(Nsfs, ThereIsNoParentAndNoOwnerUid, Covers("NSFS-11", "NSFS-12"), Needs(UserNs())) {
  Actor root = StartNamespaceRoot("root");
  auto its = OfActor(root);
  auto ours = NetNamespace::Create();
  Fd user = SETUP_OK(Open(root.Proc("ns/user"), O_RDONLY));
  for (const auto* space : {&ours, &its}) {
    uid_t uid = 4711;
    EXPECT_THAT(Ioctl(space->fd(), NS_GET_PARENT), FailsWith(EINVAL));
    EXPECT_THAT(Ioctl(space->fd(), NS_GET_OWNER_UID, &uid), FailsWith(EINVAL));
    EXPECT_EQ(uid, 4711u) << "a refused request wrote its result";
  }
  root.Run([&] {
    EXPECT_THAT(Ioctl(its.fd(), NS_GET_PARENT), FailsWith(EINVAL));
    EXPECT_THAT(Ioctl(ours.fd(), NS_GET_PARENT), FailsWith(EINVAL));
  });
  auto parent = Ioctl(user.get(), NS_GET_PARENT);
  ASSERT_OK(parent) << "control: a user namespace has one";
  EXPECT_EQ(InodeOf(Fd(*parent).get()), InodeOf("/proc/self/ns/user"));
  uid_t uid = 4711;
  EXPECT_OK(Ioctl(user.get(), NS_GET_OWNER_UID, &uid)) << "control: a user namespace has one";
  EXPECT_EQ(uid, ::geteuid());
}

NETNS_TEST(Nsfs, ABindMountShowsAsNsfs, Covers("NSFS-14")) {
  auto space = NetNamespace::Create();
  struct statfs info {};
  ASSERT_EQ(::fstatfs(space.fd(), &info), 0);
  EXPECT_EQ(static_cast<unsigned long>(info.f_type), 0x6e736673ul) << "NSFS_MAGIC";
  SETUP_OK(Open("/tmp/handle", O_CREAT | O_RDWR, 0600));
  auto line = [] {
    std::string all = SETUP_OK(ReadFile("/proc/self/mountinfo"));
    std::size_t at = all.find(" /tmp/handle ");
    if (at == std::string::npos) return std::string();
    std::size_t begin = all.rfind('\n', at);
    return all.substr(begin == std::string::npos ? 0 : begin + 1, all.find('\n', at) - begin - 1);
  };
  EXPECT_EQ(line(), "") << "control: before";
  ASSERT_EQ(::mount(("/proc/self/fd/" + std::to_string(space.fd())).c_str(), "/tmp/handle", nullptr, MS_BIND, nullptr), 0)
      << ErrnoName(errno);
  EXPECT_THAT(line(), HasSubstr(" net:[" + std::to_string(space.Inode()) + "] /tmp/handle "));
  EXPECT_THAT(line(), HasSubstr(" - nsfs nsfs "));
  ASSERT_EQ(::statfs("/tmp/handle", &info), 0);
  EXPECT_EQ(static_cast<unsigned long>(info.f_type), 0x6e736673ul);
  ASSERT_EQ(::umount("/tmp/handle"), 0);
  EXPECT_EQ(line(), "") << "control: after umount";
}

NETNS_TEST(Nsfs, TheInitialNamespaceHasTheFixedInode, Covers("NSFS-15"), Needs(Root(), NsGetId())) {
  // The test's own pid namespace hides pid 1 of the machine, but kernel threads are nobody's children: the initial user
  // namespace's handles are of no use either. What shows the initial namespace is the runner's, where that is in it.
  constexpr ino_t kInitialNet = 0xEFFFFFF9;
  auto handle_of_initial = [&]() -> Result<Fd> {
    // open_by_handle_at(2) finds a namespace by its inode alone where the id is left open.
    struct {
      unsigned bytes, type;
      std::uint64_t id;
      std::uint32_t ns_type, inode;
    } handle{16, 0xF1, 0, CLONE_NEWNET, static_cast<std::uint32_t>(kInitialNet)};
    ASSIGN_OR_RETURN(Fd root, Open("/proc/self/ns/net", O_RDONLY));
    int fd = static_cast<int>(::syscall(SYS_open_by_handle_at, -10002 /* FD_NSFS_ROOT */, &handle, O_RDONLY));
    if (fd < 0) return ErrnoError("open_by_handle_at");
    return Fd(fd);
  };
  auto opened = handle_of_initial();
  if (!opened.ok())
    throw MissingNeed("needs-feature:nsfs-handles", "the initial namespace cannot be opened here: " + opened.error().ToString());
  EXPECT_EQ(InodeOf(opened->get()), kInitialNet);
  EXPECT_THAT(Ioctl(opened->get(), NS_GET_NSTYPE), Holds(CLONE_NEWNET));
  EXPECT_NE(NetNamespace::Create().Inode(), kInitialNet) << "control: a fresh namespace";
  EXPECT_NE(NetNamespace::Current().Inode(), kInitialNet) << "control: the test's own namespace";
}

NETNS_TEST(Nsfs, IdsAreNeverUsedAgain, Covers("NSFS-16"), Needs(NsGetId())) {
  std::set<std::uint64_t> ids;
  constexpr int kCount = 100;  // they do not grow steadily: each CPU hands out its own share
  for (int i = 0; i < kCount; ++i) {
    auto space = NetNamespace::Create();
    auto again = SETUP_OK(space.Dup());
    ASSERT_OK_AND_ASSIGN(std::uint64_t id, IdOf(space.fd()));
    EXPECT_THAT(IdOf(again.fd()), Holds(id)) << "control: two handles of one namespace";
    EXPECT_TRUE(ids.insert(id).second) << "id " << id << " was given twice";
  }
  EXPECT_EQ(ids.size(), static_cast<std::size_t>(kCount));
  EXPECT_EQ(ids.count(SETUP_OK(IdOf(NetNamespace::Current().fd()))), 0u);
}

// listns(2), Linux 6.19 (on x86-64 and arm64 number 470).
struct ListRequest {
  std::uint32_t size = sizeof(ListRequest), spare = 0;
  std::uint64_t ns_id = 0;
  std::uint32_t ns_type = CLONE_NEWNET, spare2 = 0;
  std::uint64_t user_ns_id = 0;
};

Result<std::set<std::uint64_t>> ListNamespaces() {
  std::set<std::uint64_t> all;
  ListRequest request;
  for (;;) {
    std::uint64_t ids[256];
    long n = ::syscall(470, &request, ids, 256, 0);
    if (n < 0) return ErrnoError("listns");
    all.insert(ids, ids + n);
    if (n < 256) return all;
    request.ns_id = ids[255];
  }
}

NETNS_TEST(Nsfs, ListnsEnumeratesLiveNamespaces, Covers("NSFS-17"),
           Needs(NsGetId(), Feature("listns", "listns(2) (since Linux 6.19)", [] { return ListNamespaces().ok(); }, LinuxVersion{6, 19}))) {
  Actor member = Actor::Start("member", CLONE_NEWNET);
  const std::uint64_t alive = SETUP_OK(IdOf(OfActor(member).fd()));
  EXPECT_THAT(ListNamespaces(), Holds(testing::Contains(SETUP_OK(IdOf(NetNamespace::Current().fd()))))) << "the caller's own";
  // Linux 7.2 shows others only to processes of the initial pid namespace (may_see_all_namespaces(), kernel/nscommon.c), which
  // a test never is.
  if (SETUP_OK(ListNamespaces()).size() == 1)
    throw MissingNeed("needs-feature:listns-in-pid-namespaces", "listns(2) shows a process of a pid namespace no network namespace but its own");
  EXPECT_THAT(ListNamespaces(), Holds(testing::Contains(alive)));
  member.Kill();
  EXPECT_OK(Eventually("the namespace to leave the list", [&] { return SETUP_OK(ListNamespaces()).count(alive) == 0; }));
}

struct Handle {
  unsigned bytes = 128;
  int type = 0;
  unsigned char data[128] = {};
};

Result<Handle> EncodeHandle(int fd) {
  Handle handle;
  int mount_id = 0;
  if (::syscall(SYS_name_to_handle_at, fd, "", &handle, &mount_id, AT_EMPTY_PATH) < 0) return ErrnoError("name_to_handle_at");
  return handle;
}
Result<Fd> OpenHandle(Handle& handle) {
  int fd = static_cast<int>(::syscall(SYS_open_by_handle_at, -10002 /* FD_NSFS_ROOT */, &handle, O_RDONLY));
  if (fd < 0) return ErrnoError("open_by_handle_at");
  return Fd(fd);
}

NETNS_TEST(Nsfs, FileHandlesReopenLiveNamespacesOnly, Covers("NSFS-18"),
           Needs(UserNs(), Feature("nsfs-handles", "file handles of namespaces (since Linux 6.18)", [] {
                   auto handle = EncodeHandle(NetNamespace::Current().fd());
                   return handle.ok() && OpenHandle(*handle).ok();
                 }))) {
  FreedOracle oracle;
  Actor member = oracle.StartMember("member");
  auto handle = SETUP_OK(EncodeHandle(OfActor(member).fd()));
  {
    ASSERT_OK_AND_ASSIGN(Fd reopened, OpenHandle(handle));
    EXPECT_EQ(InodeOf(reopened.get()), OfActor(member).Inode());
    EXPECT_THAT(Ioctl(reopened.get(), NS_GET_NSTYPE), Holds(CLONE_NEWNET));
  }
  auto ours = NetNamespace::Create();
  auto our_handle = SETUP_OK(EncodeHandle(ours.fd()));
  Actor outsider = StartNamespaceRoot("outsider");
  outsider.Run([&] { EXPECT_FALSE(OpenHandle(our_handle).ok()) << "root of a child user namespace opened its parent's namespace"; });
  EXPECT_OK(OpenHandle(our_handle)) << "control";
  member.Kill();
  SETUP_OK(oracle.WaitUntilFreed());
  EXPECT_THAT(OpenHandle(handle), FailsWith(ESTALE)) << "of a namespace that has been freed";
}

// ioctl SIOCGSKNS: a handle of the namespace of a socket.
NETNS_TEST(Nsfs, ASocketTellsItsNamespace, Covers("NSFS-19"), Needs(UserNs())) {
  auto born = NetNamespace::Create(), elsewhere = NetNamespace::Create();
  int tried = 0;
  for (const Family& family : kFamilies) {
    SCOPED_TRACE(family.name);
    auto socket = SocketOf(born, family);
    if (!socket) continue;
    ++tried;
    for (bool from_elsewhere : {false, true}) {
      auto ask = [&] { return NamespaceOfSocket(socket->get()); };
      ASSERT_OK_AND_ASSIGN(Fd handle, from_elsewhere ? elsewhere.In(ask) : ask());
      EXPECT_EQ(InodeOf(handle.get()), born.Inode());
      EXPECT_NE(InodeOf(handle.get()), elsewhere.Inode()) << "control";
      EXPECT_EQ(::fcntl(handle.get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC) << "the handle must be close-on-exec";
      EXPECT_THAT(Ioctl(handle.get(), NS_GET_NSTYPE), Holds(CLONE_NEWNET));
    }
  }
  EXPECT_GE(tried, 4) << "control";
  // A socket that accept(2) made is of its listener's namespace, wherever that is called.
  for (int family : {AF_INET, AF_INET6, AF_UNIX}) {
    SCOPED_TRACE("accepted, family " + std::to_string(family));
    auto listener = born.Socket(family, SOCK_STREAM), client = born.Socket(family, SOCK_STREAM);
    if (listener.code() == EAFNOSUPPORT) continue;
    SETUP_OK(SETUP_OK(Rtnl::In(born)).Up("lo"));
    sockaddr_storage address{};
    address.ss_family = static_cast<sa_family_t>(family);
    if (family == AF_INET) reinterpret_cast<sockaddr_in&>(address).sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (family == AF_INET6) reinterpret_cast<sockaddr_in6&>(address).sin6_addr = in6addr_loopback;
    socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sa_family_t);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    ASSERT_EQ(::bind(listener->get(), generic, size), 0) << ErrnoName(errno);  // UNIX: to a name of the kernel's choice
    ASSERT_EQ(::listen(listener->get(), 1), 0);
    size = sizeof address;
    ASSERT_EQ(::getsockname(listener->get(), generic, &size), 0);
    ASSERT_EQ(elsewhere.In([&] { return ::connect(client->get(), generic, size); }), 0) << ErrnoName(errno);
    const Fd accepted(elsewhere.In([&] { return ::accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC); }));
    ASSERT_TRUE(accepted.valid()) << ErrnoName(errno);
    for (const Fd* end : std::initializer_list<const Fd*>{&*client, &accepted}) {
      ASSERT_OK_AND_ASSIGN(Fd handle, NamespaceOfSocket(end->get()));
      EXPECT_EQ(InodeOf(handle.get()), born.Inode()) << (end == &accepted ? "the accepted end" : "the connected end");
    }
  }
  // The handle pins the namespace when the socket has gone.
  FreedOracle oracle;
  Actor member = oracle.StartMember("member");
  Fd socket(member.Run([] { return ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0); }));
  const ino_t inode = OfActor(member).Inode();
  auto handle = NetNamespace(SETUP_OK(NamespaceOfSocket(socket.get())));
  socket.Reset();
  member.Kill();
  EXPECT_THAT(oracle.HasRoom(), Holds(false));
  Actor visitor = Actor::Start("visitor");
  EXPECT_OK(visitor.Enter(handle.fd(), CLONE_NEWNET));
  EXPECT_EQ(OfActor(visitor).Inode(), inode);
  visitor.Kill();
  handle.Release();
  EXPECT_OK(oracle.WaitUntilFreed());
}

NETNS_TEST(Nsfs, TheNamespaceOfASocketNeedsCapNetAdminOverIt, Covers("NSFS-20"), Needs(UserNs())) {
  auto ours = NetNamespace::Create();
  Actor root = StartNamespaceRoot("root"), sibling = StartNamespaceRoot("sibling"), nobody = StartUnprivileged("nobody");
  auto its = OfActor(root);
  for (const Family& family : kFamilies) {
    SCOPED_TRACE(family.name);
    auto our_socket = SocketOf(ours, family), its_socket = SocketOf(its, family);
    if (!our_socket || !its_socket) continue;
    auto ask = [](Actor& actor, const Fd& socket) {
      return actor.Run([&]() -> Status {
        RETURN_IF_ERROR(NamespaceOfSocket(socket.get()));
        return Ok();
      });
    };
    EXPECT_OK(NamespaceOfSocket(our_socket->get())) << "control: with CAP_NET_ADMIN";
    EXPECT_OK(NamespaceOfSocket(its_socket->get())) << "control: root of an ancestor";
    EXPECT_OK(ask(root, *its_socket)) << "control: root of the owner";
    EXPECT_THAT(ask(root, *our_socket), FailsWith(EPERM)) << "root of a child user namespace";
    EXPECT_THAT(ask(sibling, *its_socket), FailsWith(EPERM)) << "root of a sibling user namespace";
    EXPECT_THAT(ask(nobody, *our_socket), FailsWith(EPERM)) << "no capability";
  }
  nobody.Run([&] {
    Fd own(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    EXPECT_THAT(NamespaceOfSocket(own.get()), FailsWith(EPERM)) << "not even of a socket of one's own";
  });
  Actor nearly = StartNamespaceRoot("nearly");
  SETUP_OK(DropCapability(nearly, CAP_NET_ADMIN));
  nearly.Run([&] {
    Fd own(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    EXPECT_THAT(NamespaceOfSocket(own.get()), FailsWith(EPERM)) << "every capability but CAP_NET_ADMIN";
  });
  auto pipe = SETUP_OK(Pipe());
  Fd null = SETUP_OK(Open("/dev/null", O_RDONLY));
  EXPECT_THAT(NamespaceOfSocket(pipe.first.get()), FailsWith(ENOTTY)) << "a pipe";
  EXPECT_THAT(NamespaceOfSocket(null.get()), FailsWith(ENOTTY)) << "a device";
  EXPECT_THAT(NamespaceOfSocket(ours.fd()), FailsWith(ENOTTY)) << "a namespace handle";
}

NETNS_TEST(Nsfs, TheCookieIdentifiesTheNamespaceOfASocket, Covers("NSFS-21"), Needs(UserNs(), NetnsCookie())) {
  auto first = NetNamespace::Create(), second = NetNamespace::Create();
  ASSERT_OK_AND_ASSIGN(std::uint64_t cookie1, first.Cookie());
  ASSERT_OK_AND_ASSIGN(std::uint64_t cookie2, second.Cookie());
  EXPECT_NE(cookie1, 0u);
  EXPECT_NE(cookie2, 0u);
  EXPECT_NE(cookie1, cookie2);
  Actor nobody = StartUnprivileged("nobody");
  for (const Family& family : kFamilies) {
    SCOPED_TRACE(family.name);
    auto one = SocketOf(first, family), other = SocketOf(second, family);
    if (!one || !other) continue;
    EXPECT_THAT(CookieOf(one->get()), Holds(cookie1));
    EXPECT_THAT(CookieOf(other->get()), Holds(cookie2));
    EXPECT_THAT(second.In([&] { return CookieOf(one->get()); }), Holds(cookie1)) << "asked from the other namespace";
    EXPECT_THAT(nobody.Run([&] { return CookieOf(one->get()); }), Holds(cookie1)) << "asked without privilege";
    std::uint64_t value[4] = {};
    for (socklen_t size : {4u, 0u, 7u, 9u, 16u, 32u}) {
      EXPECT_EQ(::getsockopt(one->get(), SOL_SOCKET, SO_NETNS_COOKIE, value, &size), -1) << "length " << size;
      EXPECT_EQ(errno, EINVAL) << "length " << size;
    }
  }
  std::set<std::uint64_t> seen{cookie1, cookie2};
  Actor nested = StartNamespaceRoot("nested");
  for (int depth = 1; depth <= 2; ++depth) {
    EXPECT_TRUE(seen.insert(SETUP_OK(OfActor(nested).Cookie())).second) << "a namespace " << depth << " user namespaces deep shares a cookie";
    SETUP_OK(EnterNewUserNamespace(nested));
    ASSERT_OK(nested.Unshare(CLONE_NEWNET)) << "a namespace " << depth + 1 << " user namespaces deep cannot be made";
  }
  EXPECT_TRUE(seen.insert(SETUP_OK(OfActor(nested).Cookie())).second) << "a namespace three user namespaces deep shares a cookie";
  const std::size_t so_far = seen.size();
  constexpr int kCount = 50;
  for (int i = 0; i < kCount; ++i) seen.insert(SETUP_OK(NetNamespace::Create().Cookie()));
  EXPECT_EQ(seen.size(), kCount + so_far) << "a cookie was used again";
}

NETNS_TEST(Nsfs, HandlesCannotBeReadOrWritten, Covers("NSFS-22")) {
  auto space = NetNamespace::Create();
  char byte = 0;
  EXPECT_EQ(::read(space.fd(), &byte, 1), -1);
  EXPECT_EQ(errno, EINVAL);
  EXPECT_EQ(::write(space.fd(), &byte, 1), -1);
  EXPECT_THAT(errno, AnyOf(EBADF, EINVAL));
  for (int mode : {O_RDWR, O_WRONLY}) EXPECT_FALSE(Open("/proc/self/ns/net", mode).ok()) << "open for writing";
  EXPECT_OK(Open("/proc/self/ns/net", O_RDONLY)) << "control";
}

}  // namespace
}  // namespace netns
