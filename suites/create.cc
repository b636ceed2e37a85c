// SPDX-License-Identifier: GPL-2.0-or-later
// CREATE: unshare(2), clone(2) and setns(2) with CLONE_NEWNET.
#include <arpa/inet.h>
#include <dirent.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cstddef>
#include <cstring>
#include <future>
#include <thread>

#include "fixtures/net_namespace.h"
#include "fixtures/thread.h"
#include "fixtures/user_namespace.h"
#include "harness/assertions.h"
#include "harness/child.h"
#include "harness/registration.h"
#include "suites/support/any_link.h"
#include "suites/support/clone.h"
#include "suites/support/firewall.h"
#include "suites/support/membership.h"
#include "suites/support/nsfs.h"

namespace netns {
namespace {

using testing::Contains;
using testing::Each;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

NetNamespace OfActor(const Actor& actor) { return SETUP_OK(NetNamespace::OfPid(actor.pid())); }

/// What a fresh child sees at its first instructions.
struct View {
  ino_t net = 0, user = 0, owner = 0;
};

/// Clones a child of its own memory that looks where it is.
Result<View> CloneAndLook(Call call, std::uint64_t flags) {
  ASSIGN_OR_RETURN(auto pipe, Pipe());
  ASSIGN_OR_RETURN(const pid_t pid, CloneBy(call, flags));
  if (pid == 0) {
    View view{InodeOf("/proc/self/ns/net"), InodeOf("/proc/self/ns/user"), 0};
    auto self = Open("/proc/self/ns/net", O_RDONLY);
    if (self.ok()) view.owner = OwnerInodeOf(self->get()).ok() ? *OwnerInodeOf(self->get()) : 0;
    [[maybe_unused]] ssize_t n = ::write(pipe.second.get(), &view, sizeof view);
    ::_exit(0);
  }
  pipe.second.Reset();
  View view;
  ssize_t n = TEMP_FAILURE_RETRY(::read(pipe.first.get(), &view, sizeof view));
  ::waitpid(pid, nullptr, 0);
  if (n != sizeof view) return Error{EIO, "the child said nothing"};
  return view;
}

Need Clone3() {
  return Feature("clone3", "clone3(2) (since Linux 5.3)",
                 [] { return ::syscall(SYS_clone3, nullptr, 0) < 0 && errno != ENOSYS && errno != EPERM; }, LinuxVersion{5, 3});
}

/// MISS where a policy forbids user namespaces to those without privilege.
void RequireUnprivilegedUserNamespaces() {
  Actor probe = StartUnprivileged("probe");
  if (auto made = probe.Unshare(CLONE_NEWUSER); !made.ok())
    throw MissingNeed("needs-userns", "user namespaces are forbidden to ordinary users here: " + made.error().ToString(),
                      "allow them: kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0");
}

std::vector<std::string> LinkNames(const NetNamespace& space) {
  std::vector<std::string> names;
  for (const Link& link : SETUP_OK(RtnlIn(space).Links())) names.push_back(link.name);
  return names;
}

// unshare(2): "CLONE_NEWNET ... so that the calling process is moved into a new network namespace which is not shared
// with any previously existing process".
NETNS_TEST(Create, UnshareMovesTheCallerIntoANewNamespace, Covers("CREATE-01")) {
  Actor actor = Actor::Start("caller"), bystander = Actor::Start("bystander");
  auto before = OfActor(actor);
  ASSERT_OK(actor.Unshare(CLONE_NEWUTS));
  ASSERT_OK(actor.Unshare(0));
  EXPECT_TRUE(OfActor(actor).Is(before)) << "control: unshare(0) and unshare(CLONE_NEWUTS) must not touch it";
  std::vector<NetNamespace> seen;
  seen.push_back(SETUP_OK(before.Dup()));
  for (int i = 0; i < 3; ++i) {
    ASSERT_OK(actor.Unshare(CLONE_NEWNET));
    auto now = OfActor(actor);
    for (const auto& other : seen) EXPECT_FALSE(now.Is(other)) << "unshare number " << i + 1 << " gave a namespace that existed";
    EXPECT_EQ(actor.Run([] { return InodeOf("/proc/thread-self/ns/net"); }), now.Inode());
    seen.push_back(std::move(now));
  }
  EXPECT_TRUE(NetNamespace::Current().Is(before)) << "the namespace of another process (the creator's) changed";
  EXPECT_TRUE(OfActor(bystander).Is(before)) << "the namespace of another process (a sibling's) changed";
  // No process that can be seen is in the new one.
  DIR* proc = ::opendir("/proc");
  ASSERT_NE(proc, nullptr);
  int others = 0;
  while (const dirent* entry = ::readdir(proc)) {
    if (entry->d_name[0] < '1' || entry->d_name[0] > '9' || std::stoi(entry->d_name) == actor.pid()) continue;
    ino_t inode = InodeOf("/proc/" + std::string(entry->d_name) + "/ns/net");
    if (inode != 0) ++others;
    EXPECT_NE(inode, seen.back().Inode()) << "process " << entry->d_name << " is in the new namespace";
  }
  ::closedir(proc);
  EXPECT_GE(others, 2) << "control: the namespaces of other processes can be seen";
}

NETNS_TEST(Create, UnshareWorksInANestedUserNamespaceToo, Covers("CREATE-01", "USER-02"), Needs(UserNs())) {
  Actor outer = StartNamespaceRoot("outer");
  auto first = OfActor(outer);
  ASSERT_OK(EnterNewUserNamespace(outer));
  EXPECT_TRUE(OfActor(outer).Is(first)) << "control: a new user namespace brings no network namespace";
  ASSERT_OK(outer.Unshare(CLONE_NEWNET));
  EXPECT_FALSE(OfActor(outer).Is(first));
  EXPECT_FALSE(OfActor(outer).Is(NetNamespace::Current()));
}

// clone(2): "If CLONE_NEWNET is set, then create the process in a new network namespace."
NETNS_TEST(Create, CloneStartsTheChildInANewNamespace, Covers("CREATE-02")) {
  auto before = NetNamespace::Current();
  View with = SETUP_OK(CloneAndLook(Call::kClone, CLONE_NEWNET));
  View again = SETUP_OK(CloneAndLook(Call::kClone, CLONE_NEWNET));
  View without = SETUP_OK(CloneAndLook(Call::kClone, 0));
  EXPECT_EQ(without.net, before.Inode()) << "control: without the flag";
  EXPECT_NE(with.net, before.Inode());
  EXPECT_NE(again.net, before.Inode());
  EXPECT_TRUE(NetNamespace::Current().Is(before)) << "clone(2) moved the parent";
  Actor child = Actor::Start("child", CLONE_NEWNET), second = Actor::Start("second", CLONE_NEWNET);
  EXPECT_FALSE(OfActor(child).Is(before));
  EXPECT_FALSE(OfActor(child).Is(OfActor(second))) << "two children share one new namespace";
  EXPECT_TRUE(NetNamespace::Current().Is(before)) << "clone(2) moved the parent";
  // A child of the child: the same, one level down.
  child.Run([&] {
    Actor grandchild = Actor::Start("grandchild", CLONE_NEWNET);
    EXPECT_FALSE(OfActor(grandchild).Is(NetNamespace::Current()));
    EXPECT_FALSE(OfActor(grandchild).Is(before));
  });
}

NETNS_TEST(Create, Clone3HonoursTheFlag, Covers("CREATE-03"), Needs(Clone3())) {
  auto before = NetNamespace::Current();
  EXPECT_EQ(SETUP_OK(CloneAndLook(Call::kClone3, 0)).net, before.Inode()) << "control: without the flag";
  ASSERT_OK_AND_ASSIGN(View with, CloneAndLook(Call::kClone3, CLONE_NEWNET));
  EXPECT_NE(with.net, before.Inode());
  EXPECT_EQ(with.owner, with.user);
  EXPECT_TRUE(NetNamespace::Current().Is(before)) << "clone3(2) moved the parent";
}

// clone(2), user_namespaces(7): "If CLONE_NEWUSER is specified along with other CLONE_NEW* flags in a single clone(2) or
// unshare(2) call, the user namespace is guaranteed to be created first".
NETNS_TEST(Create, WithAUserNamespaceItNeedsNoPrivilege, Covers("CREATE-03", "CREATE-18", "USER-02", "USER-03"),
           Needs(UserNs(), Clone3())) {
  RequireUnprivilegedUserNamespaces();
  const ino_t here = NetNamespace::Current().Inode();
  for (Call call : {Call::kClone, Call::kClone3}) {
    SCOPED_TRACE(call == Call::kClone ? "clone" : "clone3");
    Actor nobody = StartUnprivileged("nobody");
    nobody.Run([&] {
      const ino_t user = InodeOf("/proc/self/ns/user");
      EXPECT_THAT(CloneAndLook(call, CLONE_NEWNET), FailsWith(EPERM)) << "control: alone it needs CAP_SYS_ADMIN";
      ASSERT_OK_AND_ASSIGN(View view, CloneAndLook(call, CLONE_NEWUSER | CLONE_NEWNET));
      EXPECT_NE(view.net, here);
      EXPECT_NE(view.user, user);
      EXPECT_EQ(view.owner, view.user) << "the new network namespace is not owned by the new user namespace";
    });
  }
  Actor nobody = StartUnprivileged("nobody");
  EXPECT_THAT(nobody.Unshare(CLONE_NEWNET), FailsWith(EPERM));
  ASSERT_OK(nobody.Unshare(CLONE_NEWUSER | CLONE_NEWNET));
  nobody.Run([&] {
    auto now = NetNamespace::Current();
    EXPECT_NE(now.Inode(), here);
    EXPECT_THAT(OwnerInodeOf(now.fd()), Holds(InodeOf("/proc/self/ns/user")));
  });
}

// fork(2), vfork(2), clone(2) without the flag: "the process is created in the same network namespace".
NETNS_TEST(Create, AChildWithoutTheFlagSharesTheNamespace, Covers("CREATE-04")) {
  auto rtnl = RtnlIn(NetNamespace::Current());
  auto lo_is_up = [&] { return SETUP_OK(rtnl.LinkByName("lo")).up(); };
  ASSERT_FALSE(lo_is_up()) << "control: a fresh namespace has its loopback device down";
  const ino_t here = NetNamespace::Current().Inode();

  auto child_with_a_flag = Child::Start(
      "apart", [] { SETUP_OK(RtnlIn(NetNamespace::Current()).Up("lo")); }, CLONE_NEWNET);
  SETUP_OK(child_with_a_flag.Join());
  EXPECT_FALSE(lo_is_up()) << "control: with CLONE_NEWNET the child's changes are not seen here";

  auto forked = Child::Start("forked", [&] {
    EXPECT_EQ(NetNamespace::Current().Inode(), here);
    SETUP_OK(RtnlIn(NetNamespace::Current()).Up("lo"));
  });
  SETUP_OK(forked.Join());
  EXPECT_TRUE(lo_is_up()) << "what a child of fork(2) changed is not seen by its parent";

  SETUP_OK(RunBriefly([] { return Ok(); }, [&] {  // vfork(2)
    EXPECT_EQ(NetNamespace::Current().Inode(), here);
    SETUP_OK(RtnlIn(NetNamespace::Current()).Down("lo"));
  }));
  EXPECT_FALSE(lo_is_up()) << "what a child of vfork(2) changed is not seen by its parent";

  Actor cloned = Actor::Start("cloned");
  SETUP_OK(rtnl.AddAddress("192.0.2.1/24", "lo"));
  cloned.Run([&] {
    EXPECT_EQ(NetNamespace::Current().Inode(), here);
    auto addresses = SETUP_OK(RtnlIn(NetNamespace::Current()).Addresses({.family = AF_INET}));
    EXPECT_TRUE(std::any_of(addresses.begin(), addresses.end(), [](const Address& a) { return a.address == "192.0.2.1"; }))
        << "what the parent changed is not seen by its child";
  });

  // A thread may be elsewhere than the rest of its process. Its children are where it is.
  std::async(std::launch::async, [&] {
    if (::unshare(CLONE_NEWNET) < 0) throw SetupFailure(ErrnoError("unshare(CLONE_NEWNET)").ToString(), std::source_location::current());
    const ino_t of_thread = NetNamespace::Current().Inode();
    EXPECT_NE(of_thread, here) << "control";
    ino_t vforked = 0;
    SETUP_OK(RunBriefly([] { return Ok(); }, [&] { vforked = NetNamespace::Current().Inode(); }));
    EXPECT_EQ(vforked, of_thread) << "a child of vfork(2) by a thread in another namespace than its process";
    auto forked_by_thread = Child::Start("forked", [&] { EXPECT_EQ(NetNamespace::Current().Inode(), of_thread) << "a child of fork(2) by such a thread"; });
    SETUP_OK(forked_by_thread.Join());
    EXPECT_EQ(Actor::Start("cloned").Run([] { return NetNamespace::Current().Inode(); }), of_thread) << "a child of clone(2) by such a thread";
  }).get();
  EXPECT_EQ(NetNamespace::Current().Inode(), here) << "control";
}

// execve(2) does not list namespaces among what it resets.
NETNS_TEST(Create, MembershipSurvivesExecve, Covers("CREATE-05")) {
  enum class By { kProcess, kProcessThatUnshared, kThreadThatUnshared };
  auto after_exec = [](By by) -> std::pair<ino_t, ino_t> {
    auto pipe = SETUP_OK(Pipe());
    Fd pidfd;
    pid_t pid = ::fork();
    if (pid == 0) {
      const auto execute = [&] {
        if (by != By::kProcess && ::unshare(CLONE_NEWNET) < 0) ::_exit(1);
        ino_t inode = InodeOf("/proc/thread-self/ns/net");
        [[maybe_unused]] ssize_t n = ::write(pipe.second.get(), &inode, sizeof inode);
        // A traced process stops when execve(2) is done, before the first instruction of the new program.
        ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
        ::execl("/proc/self/exe", "netns-tests", "--version", static_cast<char*>(nullptr));
        ::_exit(1);
      };
      // The thread takes over the process, and the others end; where they were does not matter any more.
      if (by == By::kThreadThatUnshared) std::thread(execute).join();
      execute();
    }
    int status = 0;
    ::waitpid(pid, &status, __WALL);
    pipe.second.Reset();
    ino_t before = 0;
    [[maybe_unused]] ssize_t n = ::read(pipe.first.get(), &before, sizeof before);
    if (!WIFSTOPPED(status))
      throw SetupFailure("the child did not get through execve(2): " + DescribeWaitStatus(status), std::source_location::current());
    std::pair<ino_t, ino_t> inodes{before, InodeOf("/proc/" + std::to_string(pid) + "/ns/net")};
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return inodes;
  };
  const ino_t here = NetNamespace::Current().Inode();
  for (By by : {By::kProcessThatUnshared, By::kThreadThatUnshared}) {
    SCOPED_TRACE(by == By::kThreadThatUnshared ? "by a thread that is in another namespace than its process" : "by a process");
    auto [before, after] = after_exec(by);
    EXPECT_EQ(after, before) << "execve(2) changed the network namespace";
    EXPECT_NE(after, here);
  }
  EXPECT_EQ(after_exec(By::kProcess), std::pair(here, here)) << "control: one that stayed where it was";
}

// unshare(2) moves "the calling process": a thread.
NETNS_TEST(Create, UnshareMovesOnlyTheCallingThread, Covers("CREATE-06", "NSFS-05")) {
  auto before = NetNamespace::Current();
  Thread mover, bystander;
  EXPECT_EQ(InodeOf(mover.Proc("ns/net")), before.Inode()) << "control: threads start together";
  ASSERT_THAT(mover.Run([] { return UnshareHere(CLONE_NEWUSER); }), FailsWith(EINVAL))
      << "control: this process must count as one of several threads";
  ASSERT_OK(mover.Run([] { return UnshareHere(CLONE_NEWNET); }));
  const ino_t moved = mover.Run([] { return InodeOf("/proc/thread-self/ns/net"); });
  EXPECT_NE(moved, before.Inode());
  EXPECT_EQ(InodeOf(mover.Proc("ns/net")), moved);
  EXPECT_EQ(mover.Run([] { return InodeOf("/proc/self/ns/net"); }), before.Inode())
      << "/proc/self is the thread group's leader";
  EXPECT_EQ(bystander.Run([] { return InodeOf("/proc/thread-self/ns/net"); }), before.Inode()) << "a sibling thread was moved";
  EXPECT_TRUE(NetNamespace::Current().Is(before)) << "the main thread was moved";
  // Sockets go where the thread is.
  Fd main_socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  auto main_rtnl = SETUP_OK(Rtnl::Adopt(std::move(main_socket)));
  auto moved_rtnl = SETUP_OK(mover.Run([] { return Rtnl::Open(); }));
  SETUP_OK(moved_rtnl.Up("lo"));
  EXPECT_FALSE(SETUP_OK(main_rtnl.LinkByName("lo")).up()) << "a socket of the main thread is in the moved thread's namespace";
  EXPECT_TRUE(SETUP_OK(moved_rtnl.LinkByName("lo")).up());
}

NETNS_TEST(Create, ANewThreadStartsWhereItsCreatorIs, Covers("CREATE-07")) {
  auto here = NetNamespace::Current();
  auto there = NetNamespace::Create();
  Thread first;
  SETUP_OK(first.Run([&] { return SetNs(there.fd(), CLONE_NEWNET); }));
  first.Run([&] {
    Thread second;
    EXPECT_EQ(second.Run([] { return InodeOf("/proc/thread-self/ns/net"); }), there.Inode())
        << "a new thread follows the thread that created it, not the leader";
    second.Run([&] {
      Thread third;
      EXPECT_EQ(third.Run([] { return InodeOf("/proc/thread-self/ns/net"); }), there.Inode());
    });
    // So does a new process.
    EXPECT_EQ(SETUP_OK(CloneAndLook(Call::kClone, 0)).net, there.Inode());
  });
  Thread control;
  EXPECT_EQ(control.Run([] { return InodeOf("/proc/thread-self/ns/net"); }), here.Inode()) << "control: one of the leader's";
}

// setns(2): "reassociate thread with a namespace".
NETNS_TEST(Create, SetnsJoinsTheNamespaceOfADescriptor, Covers("CREATE-08")) {
  Actor member = Actor::Start("member", CLONE_NEWNET);
  auto there = OfActor(member);
  auto rtnl = RtnlIn(there);
  AddAnyLink(rtnl, "onlythere");
  for (int nstype : {CLONE_NEWNET, 0}) {
    SCOPED_TRACE(nstype == 0 ? "nstype 0" : "nstype CLONE_NEWNET");
    Actor joiner = Actor::Start("joiner");
    auto names = [&] { return joiner.Run([] { return LinkNames(NetNamespace::Current()); }); };
    const ino_t uts = InodeOf(joiner.Proc("ns/uts"));
    EXPECT_THAT(names(), Not(Contains("onlythere"))) << "control: before";
    ASSERT_OK(joiner.Enter(there.fd(), nstype));
    EXPECT_TRUE(OfActor(joiner).Is(there));
    EXPECT_THAT(names(), Contains("onlythere"));
    EXPECT_EQ(InodeOf(joiner.Proc("ns/uts")), uts);
    EXPECT_FALSE(NetNamespace::Current().Is(there)) << "the creator of the joiner was moved";
  }
}

NETNS_TEST(Create, SetnsEnforcesTheType, Covers("CREATE-09")) {
  auto there = NetNamespace::Create();
  Actor joiner = Actor::Start("joiner");
  auto before = OfActor(joiner);
  Fd uts = SETUP_OK(Open("/proc/self/ns/uts", O_RDONLY));
  for (int wrong : {CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWCGROUP,
                    0x80 /* CLONE_NEWTIME */, CLONE_NEWNET | CLONE_NEWUTS, CLONE_NEWNET | CLONE_NEWUSER, CLONE_NEWNET | 0x80, CLONE_NEWNET | 1,
                    CLONE_NEWNET | CLONE_VM, 1, -1}) {
    EXPECT_THAT(joiner.Enter(there.fd(), wrong), FailsWith(EINVAL)) << "a network namespace as type " << wrong;
    EXPECT_TRUE(OfActor(joiner).Is(before)) << "a refused setns moved the caller, type " << wrong;
  }
  EXPECT_THAT(joiner.Enter(uts.get(), CLONE_NEWNET), FailsWith(EINVAL)) << "a UTS namespace as a network namespace";
  for (const char* type : {"ipc", "mnt", "pid", "pid_for_children", "user", "cgroup", "time"}) {
    auto other = Open(std::string("/proc/self/ns/") + type, O_RDONLY);
    if (!other.ok()) continue;  // not in this kernel
    EXPECT_THAT(joiner.Enter(other->get(), CLONE_NEWNET), FailsWith(EINVAL)) << "a namespace of type " << type << " as a network namespace";
  }
  EXPECT_TRUE(OfActor(joiner).Is(before));
  EXPECT_OK(joiner.Enter(there.fd(), CLONE_NEWNET)) << "control: the right type";
  EXPECT_TRUE(OfActor(joiner).Is(there));
}

NETNS_TEST(Create, SetnsRejectsWhatIsNoNamespace, Covers("CREATE-10")) {
  Actor joiner = Actor::Start("joiner");
  auto before = OfActor(joiner);
  Fd path = SETUP_OK(Open("/proc/self/ns/net", O_PATH));
  Fd null = SETUP_OK(Open("/dev/null", O_RDONLY));
  Fd directory = SETUP_OK(Open("/proc/self/ns", O_RDONLY | O_DIRECTORY));
  Fd proc_file = SETUP_OK(Open("/proc/self/net/dev", O_RDONLY));
  Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  for (int nstype : {CLONE_NEWNET, 0}) {
    SCOPED_TRACE(nstype == 0 ? "nstype 0" : "nstype CLONE_NEWNET");
    EXPECT_THAT(joiner.Enter(9999, nstype), FailsWith(EBADF)) << "a descriptor that is not open";
    EXPECT_THAT(joiner.Enter(-1, nstype), FailsWith(EBADF));
    EXPECT_THAT(joiner.Enter(path.get(), nstype), FailsWith(EBADF)) << "one opened with O_PATH";
    EXPECT_THAT(joiner.Enter(null.get(), nstype), FailsWith(EINVAL)) << "a device";
    EXPECT_THAT(joiner.Enter(directory.get(), nstype), FailsWith(EINVAL)) << "a directory";
    EXPECT_THAT(joiner.Enter(proc_file.get(), nstype), FailsWith(EINVAL)) << "a file below /proc/net";
    EXPECT_THAT(joiner.Enter(socket.get(), nstype), FailsWith(EINVAL)) << "a socket";
  }
  EXPECT_TRUE(OfActor(joiner).Is(before));
  Fd good = SETUP_OK(Open("/proc/self/ns/net", O_RDONLY));
  EXPECT_OK(joiner.Enter(good.get(), CLONE_NEWNET)) << "control: the same file opened for reading";
}

NETNS_TEST(Create, JoiningOnesOwnNamespaceSucceeds, Covers("CREATE-11")) {
  Actor actor = Actor::Start("actor");
  for (int round = 0; round < 2; ++round) {
    auto own = OfActor(actor);
    EXPECT_OK(actor.Enter(own.fd(), CLONE_NEWNET));
    EXPECT_OK(actor.Enter(own.fd(), 0));
    EXPECT_TRUE(OfActor(actor).Is(own));
    SETUP_OK(actor.Unshare(CLONE_NEWNET));
  }
  // The control wants a kernel with user namespaces.
  if (auto user = Open("/proc/self/ns/user", O_RDONLY); user.ok()) {
    EXPECT_THAT(actor.Enter(user->get(), CLONE_NEWUSER), FailsWith(EINVAL)) << "control: a user namespace cannot be re-entered";
  }
}

// Joining what one is in leaves everything as it was: nothing is freed under the caller, and nothing kept for ever.
NETNS_TEST(Create, JoiningOnesOwnNamespaceKeepsNothing, Covers("CREATE-11", "LIFE-02"), Needs(UserNs(), PidfdSetns())) {
  FreedOracle oracle;
  Actor member = oracle.StartMember("member");
  for (int round = 0; round < 3; ++round) {
    auto own = OfActor(member);
    EXPECT_OK(member.Enter(own.fd(), CLONE_NEWNET));
    EXPECT_OK(member.Enter(own.fd(), 0));
    EXPECT_OK(member.Enter(member.pidfd(), CLONE_NEWNET)) << "by its own PID file descriptor";
    EXPECT_TRUE(OfActor(member).Is(own));
  }
  EXPECT_OK(RtnlIn(OfActor(member)).LinkByName("lo")) << "it lives";
  EXPECT_THAT(oracle.HasRoom(), Holds(false)) << "control: a process is in it";
  member.Exit();
  EXPECT_OK(oracle.WaitUntilFreed()) << "a namespace that its only process had joined once more";
}

NETNS_TEST(Create, EachThreadCanJoinAnotherNamespace, Covers("CREATE-12")) {
  auto here = NetNamespace::Current();
  std::vector<NetNamespace> spaces;
  std::vector<std::unique_ptr<Thread>> threads;
  for (int i = 0; i < 4; ++i) {
    spaces.push_back(NetNamespace::Create());
    threads.push_back(std::make_unique<Thread>());
    ASSERT_OK(threads[i]->Run([&] { return SetNs(spaces[i].fd(), i % 2 == 0 ? CLONE_NEWNET : 0); })) << "thread " << i;
    EXPECT_THAT(threads[i]->Run([&] { return UnshareHere(CLONE_NEWUSER); }), FailsWith(EINVAL))
        << "control: the process has several threads";
  }
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(InodeOf(threads[i]->Proc("ns/net")), spaces[i].Inode()) << "thread " << i;
    auto inside = SETUP_OK(threads[i]->Run([] { return Rtnl::Open(); }));
    SETUP_OK(inside.AddAddress("192.0.2." + std::to_string(i + 1) + "/32", "lo"));
  }
  for (int i = 0; i < 4; ++i) {
    auto addresses = SETUP_OK(RtnlIn(spaces[i]).Addresses({.family = AF_INET}));
    ASSERT_THAT(addresses, SizeIs(1)) << "the socket of thread " << i << " is not where its thread is";
    EXPECT_EQ(addresses[0].address, "192.0.2." + std::to_string(i + 1));
  }
  EXPECT_TRUE(NetNamespace::Current().Is(here));
}

// namespaces(7): "Bind mounting ... keeps the corresponding namespace ... alive"; opening the mount gives a handle.
NETNS_TEST(Create, ABindMountIsAsGoodAsTheOriginal, Covers("CREATE-13")) {
  SETUP_OK(Open("/tmp/handle", O_CREAT | O_RDWR, 0600));
  Actor member = Actor::Start("member", CLONE_NEWNET);
  const auto identity = OfActor(member).Identity();
  SETUP_OK(RtnlIn(OfActor(member)).AddAddress("192.0.2.9/32", "lo"));
  ASSERT_EQ(::mount(member.Proc("ns/net").c_str(), "/tmp/handle", nullptr, MS_BIND, nullptr), 0) << ErrnoName(errno);
  member.Kill();
  auto reopened = NetNamespace::OfPath("/tmp/handle");
  ASSERT_OK(reopened);
  EXPECT_EQ(reopened->Identity(), identity);
  Actor joiner = Actor::Start("joiner");
  ASSERT_OK(joiner.Enter(reopened->fd(), CLONE_NEWNET));
  joiner.Run([] {
    EXPECT_THAT(SETUP_OK(RtnlIn(NetNamespace::Current()).Addresses({.family = AF_INET})), SizeIs(1)) << "what was configured is lost";
  });
  joiner.Kill();
  reopened->Release();  // it was opened through the mount, which it keeps busy
  ASSERT_EQ(::umount("/tmp/handle"), 0) << ErrnoName(errno);
  Fd plain = SETUP_OK(Open("/tmp/handle", O_RDONLY));
  Actor control = Actor::Start("control");
  EXPECT_THAT(control.Enter(plain.get(), 0), FailsWith(EINVAL)) << "control: without the mount it is an ordinary file";
}

// setns(2): with CLONE_NEWUSER in the mask the user namespace is joined first, and what the caller may do in it counts for
// the rest: the creator of a user namespace enters it and its network namespace at once, without any capability at home.
NETNS_TEST(Create, SetnsOfAUserNamespaceAndItsNetworkNamespaceNeedsNoRightsAtHome, Covers("CREATE-14", "CREATE-17", "USER-05"),
           Needs(PidfdSetns(), UserNs())) {
  Actor target = StartNamespaceRoot("target"), joiner = Actor::Start("joiner");
  SETUP_OK(KeepOnlyCapabilities(joiner, {}));
  // What has changed its credentials is nobody's to look into, but it may say otherwise.
  for (Actor* actor : {&target, &joiner})
    SETUP_OK(actor->Run([]() -> Status { return ::prctl(PR_SET_DUMPABLE, 1) == 0 ? Ok() : Status(ErrnoError("PR_SET_DUMPABLE")); }));
  auto before = OfActor(joiner);
  EXPECT_THAT(joiner.Enter(target.pidfd(), CLONE_NEWNET), FailsWith(EPERM)) << "control: the network namespace alone needs rights at home";
  EXPECT_TRUE(OfActor(joiner).Is(before));
  ASSERT_OK(joiner.Enter(target.pidfd(), CLONE_NEWUSER | CLONE_NEWNET)) << "both at once need rights in the user namespace that is joined";
  EXPECT_TRUE(OfActor(joiner).Is(OfActor(target)));
  EXPECT_EQ(InodeOf(joiner.Proc("ns/user")), InodeOf(target.Proc("ns/user")));
}

NETNS_TEST(Create, SetnsWithAPidfdJoinsTheNamespaceOfTheProcess, Covers("CREATE-14"), Needs(PidfdSetns())) {
  Actor target = Actor::Start("target", CLONE_NEWNET | CLONE_NEWUTS);
  auto there = OfActor(target);
  Actor joiner = Actor::Start("joiner");
  const ino_t uts = InodeOf(joiner.Proc("ns/uts")), mnt = InodeOf(joiner.Proc("ns/mnt"));
  ASSERT_FALSE(OfActor(joiner).Is(there)) << "control: before";
  ASSERT_OK(joiner.Enter(target.pidfd(), CLONE_NEWNET));
  EXPECT_TRUE(OfActor(joiner).Is(there));
  EXPECT_EQ(InodeOf(joiner.Proc("ns/uts")), uts) << "another membership changed";
  EXPECT_EQ(InodeOf(joiner.Proc("ns/mnt")), mnt) << "another membership changed";
  // Where the process has gone since counts, not where it started.
  SETUP_OK(target.Unshare(CLONE_NEWNET));
  ASSERT_OK(joiner.Enter(target.pidfd(), CLONE_NEWNET));
  EXPECT_TRUE(OfActor(joiner).Is(OfActor(target)));
  EXPECT_FALSE(OfActor(joiner).Is(there));
}

NETNS_TEST(Create, SetnsWithAPidfdValidatesTheTypes, Covers("CREATE-15"), Needs(PidfdSetns())) {
  Actor target = Actor::Start("target", CLONE_NEWNET);
  Actor joiner = Actor::Start("joiner");
  auto before = OfActor(joiner);
  for (int wrong : {0, 1, CLONE_NEWNET | 1, CLONE_NEWNET | CLONE_VM, CLONE_FILES}) {
    EXPECT_THAT(joiner.Enter(target.pidfd(), wrong), FailsWith(EINVAL)) << "types " << wrong;
    EXPECT_TRUE(OfActor(joiner).Is(before)) << "a refused setns moved the caller, types " << wrong;
  }
  EXPECT_OK(joiner.Enter(target.pidfd(), CLONE_NEWNET)) << "control";
}

NETNS_TEST(Create, SetnsWithThePidfdOfADeadProcessFails, Covers("CREATE-16"), Needs(PidfdSetns())) {
  Actor joiner = Actor::Start("joiner");
  auto before = OfActor(joiner);
  for (bool killed : {false, true}) {
    SCOPED_TRACE(killed ? "killed" : "exited");
    Actor target = Actor::Start("target", CLONE_NEWNET);
    Actor another = Actor::Start("another");
    EXPECT_OK(another.Enter(target.pidfd(), CLONE_NEWNET)) << "control: alive";
    killed ? target.Kill(/*leave_zombie=*/true) : target.Exit(/*leave_zombie=*/true);
    EXPECT_THAT(joiner.Enter(target.pidfd(), CLONE_NEWNET), FailsWith(ESRCH)) << "a zombie";
    target.Reap();
    EXPECT_THAT(joiner.Enter(target.pidfd(), CLONE_NEWNET), FailsWith(ESRCH)) << "reaped";
  }
  EXPECT_TRUE(OfActor(joiner).Is(before));
}

// setns(2): "if any requested type cannot be joined, none is".
NETNS_TEST(Create, SetnsOfSeveralTypesIsAllOrNothing, Covers("CREATE-17"), Needs(PidfdSetns())) {
  Actor target = Actor::Start("target", CLONE_NEWNET | CLONE_NEWUTS);
  Actor joiner = Actor::Start("joiner");
  auto before = OfActor(joiner);
  const ino_t uts = InodeOf(joiner.Proc("ns/uts"));
  // The target shares the caller's user namespace, which cannot be re-entered.
  EXPECT_THAT(joiner.Enter(target.pidfd(), CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWUSER), FailsWith(EINVAL));
  EXPECT_TRUE(OfActor(joiner).Is(before)) << "a setns that failed has moved the caller";
  EXPECT_EQ(InodeOf(joiner.Proc("ns/uts")), uts) << "a setns that failed has moved the caller";
  if (::access("/proc/self/ns/time", F_OK) == 0) {
    // A type that comes after the network namespace: a process that shares its memory cannot join a time namespace.
    EXPECT_FALSE(joiner.Enter(target.pidfd(), CLONE_NEWNET | CLONE_NEWUTS | 0x80 /* CLONE_NEWTIME */).ok());
    EXPECT_TRUE(OfActor(joiner).Is(before)) << "a setns that failed at a later type has moved the caller";
    EXPECT_EQ(InodeOf(joiner.Proc("ns/uts")), uts) << "a setns that failed at a later type has moved the caller";
  }
  ASSERT_OK(joiner.Enter(target.pidfd(), CLONE_NEWNET | CLONE_NEWUTS)) << "control";
  EXPECT_TRUE(OfActor(joiner).Is(OfActor(target)));
  EXPECT_EQ(InodeOf(joiner.Proc("ns/uts")), InodeOf(target.Proc("ns/uts")));
}

// clone(2): "Only a privileged process (CAP_SYS_ADMIN) can employ CLONE_NEWNET."
NETNS_TEST(Create, CreationNeedsCapSysAdmin, Covers("CREATE-18")) {
  const bool clone3 = ::syscall(SYS_clone3, nullptr, 0) < 0 && errno != ENOSYS;
  auto expect = [&](Actor& actor, bool allowed) {
    actor.Run([&] {
      const ino_t before = InodeOf("/proc/self/ns/net");
      for (int flags : {CLONE_NEWNET, CLONE_NEWNET | CLONE_NEWUTS}) {
        auto cloned = CloneAndLook(Call::kClone, flags);
        auto cloned3 = clone3 ? CloneAndLook(Call::kClone3, flags) : CloneAndLook(Call::kClone, flags);
        auto unshared = RunBriefly([&] { return UnshareHere(flags); }, [] {});
        if (allowed) {
          EXPECT_OK(cloned) << flags;
          EXPECT_OK(cloned3) << flags;
          EXPECT_OK(unshared) << flags;
        } else {
          EXPECT_THAT(cloned, FailsWith(EPERM)) << flags;
          EXPECT_THAT(cloned3, FailsWith(EPERM)) << flags;
          EXPECT_THAT(unshared, FailsWith(EPERM)) << flags;
        }
      }
      EXPECT_EQ(InodeOf("/proc/self/ns/net"), before);
    });
  };
  {
    SCOPED_TRACE("without any capability");
    Actor actor = StartUnprivileged("nobody");
    expect(actor, false);
  }
  {
    SCOPED_TRACE("with every capability but CAP_SYS_ADMIN");
    Actor actor = Actor::Start("nearly");
    SETUP_OK(DropCapability(actor, CAP_SYS_ADMIN));
    expect(actor, false);
  }
  {
    SCOPED_TRACE("control: with CAP_SYS_ADMIN alone");
    Actor actor = Actor::Start("admin");
    SETUP_OK(KeepOnlyCapabilities(actor, {CAP_SYS_ADMIN}));
    expect(actor, true);
  }
}

NETNS_TEST(Create, CreationNeedsCapSysAdminInANestedUserNamespaceToo, Covers("CREATE-18"), Needs(UserNs())) {
  Actor root = StartNamespaceRoot("root");
  EXPECT_OK(root.Unshare(CLONE_NEWNET)) << "control";
  std::vector<Call> calls{Call::kClone};
  if (::syscall(SYS_clone3, nullptr, 0) < 0 && errno != ENOSYS) calls.push_back(Call::kClone3);
  for (Call call : calls) EXPECT_OK(root.Run([&] { return CloneAndLook(call, CLONE_NEWNET); })) << "control";
  SETUP_OK(DropCapability(root, CAP_SYS_ADMIN));
  auto before = OfActor(root);
  EXPECT_THAT(root.Unshare(CLONE_NEWNET), FailsWith(EPERM));
  for (Call call : calls)
    EXPECT_THAT(root.Run([&] { return CloneAndLook(call, CLONE_NEWNET); }), FailsWith(EPERM)) << (call == Call::kClone ? "clone(2)" : "clone3(2)");
  EXPECT_TRUE(OfActor(root).Is(before));
}

// setns(2): the caller "must have the CAP_SYS_ADMIN capability both in its own user namespace and in the user namespace
// that owns the target namespace".
NETNS_TEST(Create, JoiningNeedsCapSysAdminOnBothSides, Covers("CREATE-19"), Needs(UserNs())) {
  auto outer = NetNamespace::Current();
  Actor inner_root = StartNamespaceRoot("inner");
  auto inner = OfActor(inner_root);
  {
    Actor actor = StartUnprivileged("nobody");
    auto own = OfActor(actor);
    EXPECT_THAT(actor.Enter(own.fd(), CLONE_NEWNET), FailsWith(EPERM)) << "no capability: not even the own namespace";
    EXPECT_THAT(actor.Enter(inner.fd(), CLONE_NEWNET), FailsWith(EPERM)) << "no capability";
    EXPECT_TRUE(OfActor(actor).Is(own));
  }
  {
    Actor actor = Actor::Start("nearly");
    SETUP_OK(DropCapability(actor, CAP_SYS_ADMIN));
    EXPECT_THAT(actor.Enter(outer.fd(), CLONE_NEWNET), FailsWith(EPERM)) << "every capability but CAP_SYS_ADMIN";
    EXPECT_THAT(actor.Enter(outer.fd(), 0), FailsWith(EPERM)) << "every capability but CAP_SYS_ADMIN";
  }
  EXPECT_THAT(inner_root.Enter(outer.fd(), CLONE_NEWNET), FailsWith(EPERM))
      << "root of a child user namespace, into a namespace of its parent";
  EXPECT_THAT(inner_root.Enter(outer.fd(), 0), FailsWith(EPERM));
  EXPECT_TRUE(OfActor(inner_root).Is(inner));
  Actor sibling = StartNamespaceRoot("sibling");
  EXPECT_THAT(sibling.Enter(inner.fd(), CLONE_NEWNET), FailsWith(EPERM)) << "root of a sibling user namespace";
  {
    Actor child = Actor::Start("child");
    Fd user = SETUP_OK(Open(inner_root.Proc("ns/user"), O_RDONLY));
    SETUP_OK(child.Enter(user.get(), CLONE_NEWUSER));
    EXPECT_THAT(child.Enter(outer.fd(), CLONE_NEWNET), FailsWith(EPERM)) << "capabilities in the target's child only";
    EXPECT_OK(child.Enter(inner.fd(), CLONE_NEWNET)) << "control: root of the owner";
  }
  Actor ancestor = Actor::Start("ancestor");
  EXPECT_OK(ancestor.Enter(inner.fd(), CLONE_NEWNET)) << "control: root of the parent of the owner";
  EXPECT_TRUE(OfActor(ancestor).Is(inner));
  EXPECT_OK(ancestor.Enter(outer.fd(), CLONE_NEWNET)) << "control: and back";
}

NETNS_TEST(Create, SetnsWithAPidfdNeedsToBeAllowedToReadTheProcess, Covers("CREATE-20"), Needs(Root(), PidfdSetns())) {
  Actor target = Actor::Start("target", CLONE_NEWNET);
  auto there = OfActor(target);
  Actor other_user = Actor::Start("other user");
  SETUP_OK(BecomeUser(other_user, 65534, {CAP_SYS_ADMIN}));
  auto before = OfActor(other_user);
  EXPECT_THAT(other_user.Enter(target.pidfd(), CLONE_NEWNET), FailsWith(EPERM)) << "the process of another user";
  EXPECT_TRUE(OfActor(other_user).Is(before));
  EXPECT_OK(other_user.Enter(there.fd(), CLONE_NEWNET)) << "control: the same rights suffice for a namespace descriptor";
  Actor tracer = Actor::Start("tracer");
  SETUP_OK(BecomeUser(tracer, 65534, {CAP_SYS_ADMIN, CAP_SYS_PTRACE}));
  EXPECT_OK(tracer.Enter(target.pidfd(), CLONE_NEWNET)) << "control: with CAP_SYS_PTRACE";
}

NETNS_TEST(Create, InvalidUnshareFlagsHaveNoEffect, Covers("CREATE-21"), Needs(UserNs())) {
  FreedOracle oracle(2);
  Actor caller = oracle.StartMember("caller");
  auto before = OfActor(caller);
  for (int bad : {0x1, 0x40, CLONE_PIDFD}) {
    EXPECT_THAT(caller.Unshare(CLONE_NEWNET | bad), FailsWith(EINVAL)) << "flag " << bad;
    EXPECT_TRUE(OfActor(caller).Is(before)) << "a refused unshare moved the caller, flag " << bad;
  }
  // No namespace has been made and thrown away either: there is room for one, at once.
  EXPECT_OK(caller.Unshare(CLONE_NEWNET)) << "control: without the bad bit";
  EXPECT_FALSE(OfActor(caller).Is(before));
}

NETNS_TEST(Create, TwoUnsharesGiveTwoNamespacesAndFreeTheFirst, Covers("CREATE-22", "LIFE-02"), Needs(UserNs())) {
  for (bool keep : {true, false}) {
    FreedOracle oracle(2);
    Actor member = oracle.StartMember("member");
    auto first = OfActor(member);
    const auto first_identity = first.Identity();
    if (!keep) first.Release();
    SETUP_OK(member.Unshare(CLONE_NEWNET));
    EXPECT_NE(OfActor(member).Identity(), first_identity);
    if (keep) {
      EXPECT_THAT(oracle.HasRoom(), Holds(false)) << "control: a descriptor keeps the first namespace";
    } else {
      EXPECT_OK(oracle.WaitUntilFreed()) << "the first namespace, which nobody is in any more";
    }
  }
}

// What was opened before the switch goes on working on the namespace in which it was opened.
NETNS_TEST(Create, OpenDescriptorsKeepReferringToTheOldNamespace, Covers("CREATE-23")) {
  auto old_space = NetNamespace::Create();
  auto new_space = NetNamespace::Create();
  auto old_rtnl = RtnlIn(old_space);
  auto new_rtnl = RtnlIn(new_space);
  AddAnyLink(old_rtnl, "onlyold");
  AddAnyLink(new_rtnl, "onlynew");
  SETUP_OK(old_rtnl.AddAddress("192.0.2.1/24", "onlyold"));
  SETUP_OK(new_rtnl.AddAddress("198.51.100.1/24", "onlynew"));
  SETUP_OK(old_space.SetSysctl("net.ipv4.ip_default_ttl", "65"));
  SETUP_OK(new_space.SetSysctl("net.ipv4.ip_default_ttl", "66"));
  Actor mover = old_space.StartActor("mover");
  auto index = [](int socket, const char* name) -> Result<int> {
    ifreq request{};
    std::strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (::ioctl(socket, SIOCGIFINDEX, &request) < 0) return ErrnoError(std::string("SIOCGIFINDEX ") + name);
    return request.ifr_ifindex;
  };
  auto name = [](int socket, int number) -> Result<std::string> {
    ifreq request{};
    request.ifr_ifindex = number;
    if (::ioctl(socket, SIOCGIFNAME, &request) < 0) return ErrnoError("SIOCGIFNAME");
    return std::string(request.ifr_name);
  };
  auto listed = [](int socket) -> Result<std::vector<std::string>> {
    ifreq entries[8] = {};
    ifconf request{};
    request.ifc_len = sizeof entries;
    request.ifc_req = entries;
    if (::ioctl(socket, SIOCGIFCONF, &request) < 0) return ErrnoError("SIOCGIFCONF");
    std::vector<std::string> all;
    for (std::size_t i = 0; i < static_cast<std::size_t>(request.ifc_len) / sizeof(ifreq); ++i) {
      char text[INET_ADDRSTRLEN] = "";
      ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(&entries[i].ifr_addr)->sin_addr, text, sizeof text);
      all.push_back(std::string(text) + " of " + entries[i].ifr_name);
    }
    return all;
  };
  const int old_index = SETUP_OK(old_rtnl.LinkByName("onlyold")).index;
  struct Opened {
    const char* what;
    int family;
    Fd socket;
  };
  std::vector<Opened> sockets;
  mover.Run([&] {
    for (auto [what, family] : {std::pair("IPv4", AF_INET), std::pair("IPv6", AF_INET6), std::pair("UNIX", AF_UNIX)})
      if (int fd = ::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0); fd >= 0) sockets.push_back({what, family, Fd(fd)});
  });
  Fd sysctl = SETUP_OK(mover.Run([] { return Open("/proc/sys/net/ipv4/ip_default_ttl", O_RDWR); }));
  Fd devices = SETUP_OK(mover.Run([] { return Open("/proc/self/net/dev", O_RDONLY); }));
  auto netlink = SETUP_OK(mover.Run([] { return Rtnl::Open(); }));
  for (bool by_setns : {true, false}) {
    SCOPED_TRACE(by_setns ? "after setns" : "after unshare");
    if (by_setns)
      SETUP_OK(mover.Enter(new_space.fd(), CLONE_NEWNET));
    else
      SETUP_OK(mover.Unshare(CLONE_NEWNET));
    mover.Run([&] {
      for (auto& [what, family, socket] : sockets) {
        EXPECT_OK(index(socket.get(), "onlyold")) << what << " socket opened before";
        EXPECT_THAT(index(socket.get(), "onlynew"), FailsWith(ENODEV)) << what << " socket opened before";
        EXPECT_THAT(name(socket.get(), old_index), Holds(std::string("onlyold"))) << what << " socket opened before, SIOCGIFNAME";
        EXPECT_THAT(listed(socket.get()), Holds(ElementsAre("192.0.2.1 of onlyold"))) << what << " socket opened before, SIOCGIFCONF";
        Fd fresh(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        EXPECT_THAT(index(fresh.get(), "onlyold"), FailsWith(ENODEV)) << "control: a new " << what << " socket";
        if (by_setns) {
          EXPECT_OK(index(fresh.get(), "onlynew")) << "control: a new " << what << " socket";
          EXPECT_THAT(listed(fresh.get()), Holds(ElementsAre("198.51.100.1 of onlynew"))) << "control: a new " << what << " socket";
        } else {
          EXPECT_THAT(listed(fresh.get()), Holds(IsEmpty())) << "control: a new " << what << " socket";
        }
      }
      EXPECT_OK(netlink.LinkByName("onlyold"));
      EXPECT_THAT(netlink.LinkByName("onlynew"), FailsWith(ENODEV));
      ::lseek(sysctl.get(), 0, SEEK_SET);
      EXPECT_THAT(ReadAll(sysctl.get()), Holds(std::string("65\n"))) << "a sysctl file opened before";
      ::lseek(devices.get(), 0, SEEK_SET);
      EXPECT_THAT(ReadAll(devices.get()), Holds(testing::AllOf(testing::HasSubstr("onlyold"), Not(testing::HasSubstr("onlynew")))))
          << "/proc/net/dev opened before";
    });
  }
  ::lseek(sysctl.get(), 0, SEEK_SET);
  ASSERT_EQ(mover.Run([&] { return ::write(sysctl.get(), "67", 2); }), 2);
  EXPECT_THAT(old_space.Sysctl("net.ipv4.ip_default_ttl"), Holds(std::string("67"))) << "a write goes where the file was opened";
  EXPECT_THAT(new_space.Sysctl("net.ipv4.ip_default_ttl"), Holds(std::string("66")));
}

// network_namespaces(7): "isolation of the system resources": a new namespace is no copy of its creator's.
NETNS_TEST(Create, NothingOfTheCreatorIsCopied, Covers("CREATE-24")) {
  auto creator = NetNamespace::Create();
  auto rtnl = RtnlIn(creator);
  AddAnyLink(rtnl, "mine");
  SETUP_OK(rtnl.Up("lo"));
  SETUP_OK(rtnl.Up("mine"));
  SETUP_OK(rtnl.AddAddress("192.0.2.1/24", "mine"));
  SETUP_OK(rtnl.AddRoute({.to = "198.51.100.0/24", .via = "192.0.2.2"}));
  SETUP_OK(rtnl.AddNeighbour({.to = "192.0.2.3", .address = "02:00:00:00:00:03", .dev = "mine"}));
  const bool ipv6 = rtnl.AddAddress("2001:db8::1/64", "mine", {.nodad = true}).ok();
  if (ipv6) SETUP_OK(rtnl.AddRoute({.to = "2001:db8:1::/48", .via = "2001:db8::2"}));
  const bool rules = rtnl.AddRule({.family = AF_INET, .priority = 1234, .from = "192.0.2.0/24"}).ok();
  const bool rules6 = ipv6 && rtnl.AddRule({.family = AF_INET6, .priority = 1234, .from = "2001:db8::/64"}).ok();
  auto third = NetNamespace::Create();
  SETUP_OK(rtnl.NewNsid(ByFd(third.fd()), 42));
  std::vector<Fd> listeners;
  for (int family : {AF_INET, AF_INET6}) {
    for (int type : {SOCK_STREAM, SOCK_DGRAM}) {
      if (family == AF_INET6 && !ipv6) continue;
      Fd socket = SETUP_OK(creator.Socket(family, type));
      const int on = 1;
      if (family == AF_INET6) ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
      sockaddr_storage address{};
      address.ss_family = static_cast<sa_family_t>(family);
      reinterpret_cast<sockaddr_in&>(address).sin_port = htons(4711);  // the same place in sockaddr_in6
      ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6)), 0);
      if (type == SOCK_STREAM) {
        ASSERT_EQ(::listen(socket.get(), 1), 0);
      }
      listeners.push_back(std::move(socket));
    }
  }
  SETUP_OK(creator.SetSysctl("net.ipv4.ip_default_ttl", "33"));

  Actor inside = creator.StartActor("creator");
  Actor cloned = inside.Run([] { return Actor::Start("cloned", CLONE_NEWNET); });
  auto by_clone = OfActor(cloned);
  inside.Run([&] { cloned.Kill(); });
  SETUP_OK(inside.Unshare(CLONE_NEWNET));
  auto by_unshare = OfActor(inside);

  const char* files[] = {"tcp", "udp", "tcp6", "udp6"};
  auto check = [&](const NetNamespace& space, bool creators) {
    auto in = RtnlIn(space);
    auto expect = [&](bool present, const char* what) { EXPECT_EQ(present, creators) << what; };
    auto links = SETUP_OK(in.Links());
    auto named = [&](const char* name) { return std::any_of(links.begin(), links.end(), [&](const Link& l) { return l.name == name; }); };
    EXPECT_TRUE(named("lo"));
    expect(named("mine"), "the device 'mine'");
    EXPECT_EQ(SETUP_OK(in.LinkByName("lo")).up(), creators) << "the loopback device's state";
    auto addresses = SETUP_OK(in.Addresses());
    auto has = [&](const char* text) { return std::any_of(addresses.begin(), addresses.end(), [&](const Address& a) { return a.address == text; }); };
    expect(has("192.0.2.1"), "the IPv4 address");
    if (ipv6) expect(has("2001:db8::1"), "the IPv6 address");
    if (!creators) {
      EXPECT_THAT(addresses, IsEmpty()) << "a fresh namespace has no address at all";
    }
    auto routes = SETUP_OK(in.Routes());
    auto route = [&](const char* to) { return std::any_of(routes.begin(), routes.end(), [&](const Route& r) { return r.to == to; }); };
    expect(route("198.51.100.0/24"), "the IPv4 route");
    if (ipv6) expect(route("2001:db8:1::/48"), "the IPv6 route");
    auto neighbours = SETUP_OK(in.Neighbours());
    expect(std::any_of(neighbours.begin(), neighbours.end(), [](const Neighbour& n) { return n.to == "192.0.2.3"; }), "the neighbour");
    for (int family : {AF_INET, AF_INET6}) {
      if (family == AF_INET ? !rules : !rules6) continue;
      auto list = SETUP_OK(in.Rules(family));
      expect(std::any_of(list.begin(), list.end(), [](const Rule& r) { return r.priority == 1234; }), "the rule");
    }
    auto nsids = SETUP_OK(in.Nsids());
    expect(std::any_of(nsids.begin(), nsids.end(), [](const NsidEntry& n) { return n.nsid == 42; }), "the id of a third namespace");
    for (const char* file : files) {
      auto text = space.ReadProcNet(file);
      if (!text.ok() || (!ipv6 && file[3] == '6')) continue;
      expect(text->find(":1267 ") != std::string::npos, file);  // 4711 in hexadecimal
    }
    EXPECT_EQ(SETUP_OK(space.Sysctl("net.ipv4.ip_default_ttl")) == "33", creators) << "the sysctl ip_default_ttl";
  };
  {
    SCOPED_TRACE("made by clone(2)");
    check(by_clone, false);
  }
  {
    SCOPED_TRACE("made by unshare(2)");
    check(by_unshare, false);
  }
  SCOPED_TRACE("control: the creator's own");
  check(creator, true);
}

// Also not where a user namespace is made along with it, and also no firewall.
NETNS_TEST(Create, NothingIsCopiedWhicheverWayItIsMade, Covers("CREATE-24", "CREATE-03"), Needs(UserNs(), Config("NF_TABLES"))) {
  auto creator = NetNamespace::Create();
  auto rtnl = RtnlIn(creator);
  AddAnyLink(rtnl, "mine");
  for (const char* device : {"lo", "mine"}) SETUP_OK(rtnl.Up(device));
  SETUP_OK(rtnl.AddAddress("192.0.2.1/24", "mine"));
  SETUP_OK(rtnl.AddRoute({.to = "198.51.100.0/24", .via = "192.0.2.2"}));
  SETUP_OK(creator.SetSysctl("net.ipv4.ip_default_ttl", "33"));
  NftBatch batch;
  batch.AddTable(NFPROTO_IPV4, "mine");
  NeedsNftables(NeedsNftables(Nftables::In(creator), "nf_tables").Commit(batch), "a table");
  const Fd listener = SETUP_OK(creator.Socket(AF_UNIX, SOCK_STREAM));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path + 1, "netns-mine", 10);
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&name), offsetof(sockaddr_un, sun_path) + 11), 0) << ErrnoName(errno);
  struct {
    const char* how;
    int by_clone, by_unshare;
  } ways[] = {{"clone(2)", CLONE_NEWNET, 0},
              {"clone(2), with a user namespace", CLONE_NEWUSER | CLONE_NEWNET, 0},
              {"unshare(2)", 0, CLONE_NEWNET},
              {"unshare(2), with a user namespace", 0, CLONE_NEWUSER | CLONE_NEWNET}};
  auto look = [](const NetNamespace& space) {
    auto in = RtnlIn(space);
    std::vector<std::string> found;
    for (const Link& link : SETUP_OK(in.Links()))
      if (link.name == "mine" || (link.name == "lo" && link.up())) found.push_back("the device " + link.name + (link.up() ? ", up" : ""));
    for (const Address& address : SETUP_OK(in.Addresses({.family = AF_INET}))) found.push_back("the address " + address.ToString());
    for (const Route& route : SETUP_OK(in.Routes({.family = AF_INET}))) found.push_back("the route " + route.to);
    for (const NftTable& table : SETUP_OK(SETUP_OK(Nftables::In(space)).Tables())) found.push_back("the table " + table.name);
    if (SETUP_OK(space.ReadProcNet("unix")).find("@netns-mine") != std::string::npos) found.push_back("the socket @netns-mine");
    if (SETUP_OK(space.Sysctl("net.ipv4.ip_default_ttl")) == "33") found.push_back("the sysctl");
    return found;
  };
  EXPECT_THAT(look(creator), testing::IsSupersetOf({"the device mine, up", "the device lo, up", "the address 192.0.2.1/24", "the route 198.51.100.0/24",
                                                    "the table mine", "the socket @netns-mine", "the sysctl"}))
      << "control: the creator's own";
  for (const auto& [how, by_clone, by_unshare] : ways) {
    SCOPED_TRACE(how);
    Actor inside = creator.StartActor("creator");
    std::optional<Actor> child;
    if (by_clone != 0)
      child.emplace(inside.Run([flags = by_clone] { return Actor::Start("child", flags); }));
    else
      SETUP_OK(inside.Unshare(by_unshare));
    auto made = OfActor(child ? *child : inside);
    if (child) inside.Run([&] { child->Kill(); });
    EXPECT_FALSE(made.Is(creator));
    EXPECT_THAT(look(made), IsEmpty()) << "a new namespace began with something of its creator's";
  }
}

}  // namespace
}  // namespace netns
