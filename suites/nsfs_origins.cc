// SPDX-License-Identifier: GPL-2.0-or-later
// NSFS, second part: a handle of a network namespace is the same handle, wherever it comes from and whoever uses it.
#include <fcntl.h>
#include <linux/nsfs.h>
#include <linux/sockios.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fixtures/net_namespace.h"
#include "fixtures/thread.h"
#include "fixtures/user_namespace.h"
#include "harness/assertions.h"
#include "harness/registration.h"
#include "suites/support/any_link.h"
#include "suites/support/nsfs.h"

namespace netns {
namespace {

Fd Opened(const std::string& path, int flags = O_RDONLY) {
  Fd fd(::open(path.c_str(), flags | O_CLOEXEC));
  if (!fd.valid()) SETUP_OK(Status(ErrnoError("open('" + path + "')")));
  return fd;
}
Status BindMount(const std::string& from, const std::string& to) {
  Opened(to, O_CREAT | O_RDWR).Reset();
  if (::mount(from.c_str(), to.c_str(), nullptr, MS_BIND, nullptr) < 0) return ErrnoError("mount('" + from + "', '" + to + "', MS_BIND)");
  return Ok();
}
Result<int> Ask(const Fd& fd, unsigned long request, void* argument = nullptr) {
  const int answer = ::ioctl(fd.get(), request, argument);
  if (answer < 0) return ErrnoError("ioctl");
  return answer;
}

struct Origin {
  const char* name;
  std::function<Fd(Actor& member)> open;
};
const std::vector<Origin>& Origins() {
  static const std::vector<Origin> origins = {
      {"/proc/PID/ns/net", [](Actor& member) { return Opened(member.Proc("ns/net")); }},
      {"/proc/PID/task/TID/ns/net", [](Actor& member) { return Opened(member.Proc("task/" + std::to_string(member.pid()) + "/ns/net")); }},
      {"a bind mount",
       [](Actor& member) {
         SETUP_OK(BindMount(member.Proc("ns/net"), "/tmp/mount"));
         return Opened("/tmp/mount");
       }},
      {"a bind mount of a bind mount",
       [](Actor& member) {
         SETUP_OK(BindMount(member.Proc("ns/net"), "/tmp/first"));
         SETUP_OK(BindMount("/tmp/first", "/tmp/second"));
         return Opened("/tmp/second");
       }},
      {"a bind mount of a descriptor",
       [](Actor& member) {
         Fd fd = Opened(member.Proc("ns/net"));
         SETUP_OK(BindMount("/proc/self/fd/" + std::to_string(fd.get()), "/tmp/third"));
         return Opened("/tmp/third");
       }},
      // umount(2), MNT_DETACH: the mount is gone, and what is open stays.
      {"a bind mount that was removed lazily",
       [](Actor& member) {
         SETUP_OK(BindMount(member.Proc("ns/net"), "/tmp/lazy"));
         Fd fd = Opened("/tmp/lazy");
         EXPECT_EQ(::umount2("/tmp/lazy", MNT_DETACH), 0) << ErrnoName(errno);
         return fd;
       }},
      {"an O_PATH descriptor of a bind mount that was removed lazily",
       [](Actor& member) {
         SETUP_OK(BindMount(member.Proc("ns/net"), "/tmp/lazier"));
         const Fd path = Opened("/tmp/lazier", O_PATH);
         EXPECT_EQ(::umount2("/tmp/lazier", MNT_DETACH), 0) << ErrnoName(errno);
         return Opened("/proc/self/fd/" + std::to_string(path.get()));
       }},
      {"a bind mount whose mount namespace is gone",
       [](Actor& member) {
         Actor mounter = Actor::Start("mounter", CLONE_NEWNS);
         Fd fd = mounter.Run([&] {
           SETUP_OK(BindMount(member.Proc("ns/net"), "/tmp/elsewhere"));
           return Opened("/tmp/elsewhere");
         });
         mounter.Kill();
         return fd;
       }},
      {"a bind mount upon which another one was mounted",
       [](Actor& member) {
         SETUP_OK(BindMount(member.Proc("ns/net"), "/tmp/covered"));
         Fd fd = Opened("/tmp/covered");
         EXPECT_EQ(::mount("/proc/self/ns/net", "/tmp/covered", nullptr, MS_BIND, nullptr), 0) << ErrnoName(errno);
         return fd;
       }},
      {"a mount that is attached nowhere",
       [](Actor& member) {
         SETUP_OK(BindMount(member.Proc("ns/net"), "/tmp/tree"));
         const Fd tree(static_cast<int>(::syscall(428 /* open_tree */, AT_FDCWD, "/tmp/tree", 1u /* OPEN_TREE_CLONE */ | O_CLOEXEC)));
         if (!tree.valid()) SETUP_OK(Status(ErrnoError("open_tree")));
         return Opened("/proc/self/fd/" + std::to_string(tree.get()));
       }},
      {"a message",
       [](Actor& member) {
         const auto pair = SETUP_OK(SocketPair(SOCK_DGRAM));
         SETUP_OK(SendFd(pair.first.get(), Opened(member.Proc("ns/net")).get()));
         return SETUP_OK(ReceiveFd(pair.second.get()));
       }},
      {"another descriptor",
       [](Actor& member) {
         Fd fd = Opened(member.Proc("ns/net"));
         return Opened("/proc/self/fd/" + std::to_string(fd.get()));
       }},
      {"an O_PATH descriptor",
       [](Actor& member) {
         Fd fd = Opened(member.Proc("ns/net"), O_PATH);
         return Opened("/proc/self/fd/" + std::to_string(fd.get()));
       }},
      {"root of its owner, who opened it", [](Actor& member) { return member.Run([] { return Opened("/proc/self/ns/net"); }); }},
      {"a socket",
       [](Actor& member) {
         Fd socket = SETUP_OK(SETUP_OK(NetNamespace::OfPid(member.pid())).Socket(AF_UNIX, SOCK_STREAM));
         return Fd(SETUP_OK(Ask(socket, SIOCGSKNS)));
       }},
  };
  return origins;
}

// ioctl_ns(2) and setns(2) speak of "a file descriptor that refers to a namespace", not of how it was opened.
NETNS_TEST(Nsfs, AHandleOfAnyOriginAnswersAlike,
           Covers("NSFS-02", "NSFS-03", "NSFS-08", "NSFS-09", "NSFS-11", "NSFS-12", "NSFS-13", "CREATE-08", "CREATE-13", "DEV-10", "NSID-01", "NSID-02", "LIFE-10"),
           Needs(UserNs())) {
  Actor member = StartNamespaceRoot("member");
  const ino_t owner = InodeOf(member.Proc("ns/user")), own = InodeOf("/proc/self/ns/user");
  ASSERT_NE(owner, own) << "control: its owner is another user namespace";
  const auto space = SETUP_OK(NetNamespace::OfPid(member.pid()));
  auto there = RtnlIn(space);
  int number = 0;
  for (const Origin& origin : Origins()) {
    SCOPED_TRACE(std::string("the handle of ") + origin.name);
    const Fd handle = origin.open(member);
    const NetNamespace same(Fd(::fcntl(handle.get(), F_DUPFD_CLOEXEC, 0)));
    EXPECT_TRUE(same.Is(space));
    EXPECT_THAT(Ask(handle, NS_GET_NSTYPE), Holds(CLONE_NEWNET));
    EXPECT_THAT(OwnerInodeOf(handle.get()), Holds(owner)) << "NS_GET_USERNS";
    EXPECT_THAT(Ask(handle, NS_GET_PARENT), FailsWith(EINVAL));
    uid_t uid = 4711;
    EXPECT_THAT(Ask(handle, NS_GET_OWNER_UID, &uid), FailsWith(EINVAL));
    EXPECT_THAT(Ask(handle, _IO(0xb7, 0xfe)), FailsWith(ENOTTY)) << "an unknown request";
    for (int nstype : {CLONE_NEWNET, 0}) {
      Actor joiner = Actor::Start("joiner");
      EXPECT_OK(joiner.Enter(handle.get(), nstype));
      EXPECT_TRUE(SETUP_OK(NetNamespace::OfPid(joiner.pid())).Is(space));
    }
    Actor refused = Actor::Start("refused");
    EXPECT_THAT(refused.Enter(handle.get(), CLONE_NEWUTS), FailsWith(EINVAL)) << "control: another type";
    // As the target of a move, and for an id.
    const auto here = NetNamespace::Create();
    auto rtnl = RtnlIn(here);
    const std::string name = "o" + std::to_string(number++);
    SETUP_OK(rtnl.AddVeth(name, PeerSpec{.name = name + "p"}));
    EXPECT_OK(rtnl.MoveLink(name, ByFd(handle.get())));
    EXPECT_OK(there.LinkByName(name)) << "the device has not arrived";
    EXPECT_OK(rtnl.GetNsid(ByFd(handle.get())));
    const auto other = NetNamespace::Create();
    auto asker = RtnlIn(other);
    EXPECT_OK(asker.NewNsid(ByFd(handle.get()), 31));
    EXPECT_EQ(SETUP_OK(asker.GetNsid(ByFd(space.fd()))).nsid, 31);
  }
  // Control: the owner is told, not the user namespace of whoever asks.
  EXPECT_THAT(OwnerInodeOf(NetNamespace::Create().fd()), Holds(own));
}

// setns(2): only for user, mount and time namespaces does the process have to have a single thread.
NETNS_TEST(Create, AThreadOfSeveralJoinsByAnyHandle, Covers("CREATE-12", "CREATE-14", "CREATE-08"),
           Needs(Feature("setns-pidfd", "setns(2) takes a PID file descriptor (since Linux 5.8)", [] {
             Fd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
             return self.valid() && RunBriefly([&]() -> Status {
                                      if (::setns(self.get(), CLONE_NEWNET) < 0) return ErrnoError("setns");
                                      return Ok();
                                    }, [] {}).code() != EINVAL;
           }, LinuxVersion{5, 8}))) {
  Actor target = Actor::Start("target", CLONE_NEWNET | CLONE_NEWUTS);
  const ino_t net = InodeOf(target.Proc("ns/net")), uts = InodeOf(target.Proc("ns/uts"));
  const ino_t home = InodeOf("/proc/self/ns/net"), home_uts = InodeOf("/proc/self/ns/uts");
  const Fd file = Opened(target.Proc("ns/net"));
  struct {
    const char* name;
    int fd, nstype;
    ino_t uts;
  } ways[] = {{"a PID file descriptor", target.pidfd(), CLONE_NEWNET, home_uts},
              {"a PID file descriptor, with another type", target.pidfd(), CLONE_NEWNET | CLONE_NEWUTS, uts},
              {"a namespace descriptor", file.get(), CLONE_NEWNET, home_uts},
              {"a namespace descriptor, type 0", file.get(), 0, home_uts}};
  for (const auto& way : ways) {
    SCOPED_TRACE(way.name);
    Thread bystander, mover;
    EXPECT_OK(mover.Run([&]() -> Status {
      if (::setns(way.fd, way.nstype) < 0) return ErrnoError("setns");
      return Ok();
    }));
    EXPECT_EQ(InodeOf(mover.Proc("ns/net")), net);
    EXPECT_EQ(InodeOf(mover.Proc("ns/uts")), way.uts);
    EXPECT_EQ(InodeOf(bystander.Proc("ns/net")), home) << "a sibling thread was moved";
    EXPECT_EQ(InodeOf("/proc/self/ns/net"), home) << "the main thread was moved";
    EXPECT_EQ(mover.Run([] { return ::unshare(CLONE_NEWUSER) < 0 ? errno : 0; }), EINVAL) << "control: the process has several threads";
  }
}

}  // namespace
}  // namespace netns
