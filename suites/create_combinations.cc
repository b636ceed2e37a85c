// SPDX-License-Identifier: GPL-2.0-or-later
// CREATE: the same system calls with everything else that can be asked of them at once: each pair of types of setns(2), each
// combination of flags of clone(2) and unshare(2), each kind of program of execve(2), each thread of a process.
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include <csignal>
#include <cstring>

#include "fixtures/net_namespace.h"
#include "fixtures/thread.h"
#include "fixtures/user_namespace.h"
#include "harness/assertions.h"
#include "harness/child.h"
#include "harness/registration.h"
#include "suites/support/membership.h"
#include "suites/support/nsfs.h"

namespace netns {
namespace {

constexpr int kNewTime = 0x80;  // CLONE_NEWTIME

struct Type {
  const char* name;
  int flag;
  const char* file;  ///< Where setns(2) of it shows.
};
constexpr Type kTypes[] = {{"mount", CLONE_NEWNS, "mnt"},          {"UTS", CLONE_NEWUTS, "uts"},
                           {"IPC", CLONE_NEWIPC, "ipc"},           {"pid", CLONE_NEWPID, "pid_for_children"},
                           {"cgroup", CLONE_NEWCGROUP, "cgroup"},  {"network", CLONE_NEWNET, "net"},
                           {"time", kNewTime, "time"}};

/// The types that this kernel has.
std::vector<Type> TypesHere() {
  std::vector<Type> types;
  for (const Type& type : kTypes)
    if (::access((std::string("/proc/self/ns/") + type.file).c_str(), F_OK) == 0) types.push_back(type);
  return types;
}

/// All memberships of the thread to which an open /proc/PID/ns belongs.
using Memberships = std::map<std::string, ino_t>;
Memberships MembershipsOf(int directory) {
  Memberships all;
  for (const char* file : {"user", "mnt", "uts", "ipc", "pid", "pid_for_children", "cgroup", "net", "time", "time_for_children"}) {
    struct stat info {};
    all[file] = ::fstatat(directory, file, &info, 0) == 0 ? info.st_ino : 0;
  }
  return all;
}
Fd OpenMemberships(const std::string& process = "thread-self") {
  return SETUP_OK(Open("/proc/" + process + "/ns", O_RDONLY | O_DIRECTORY));
}
Memberships MembershipsOf(const std::string& process) { return MembershipsOf(OpenMemberships(process).get()); }

/// In which of them two differ.
std::vector<std::string> Different(const Memberships& one, const Memberships& other) {
  std::vector<std::string> files;
  for (const auto& [file, inode] : one)
    if (other.at(file) != inode) files.push_back(file);
  return files;
}

/// A process of a user namespace all of whose namespaces belong to that one, but for those of `foreign`, which are the test's.
class Target {
 public:
  Target(int owner_fd, const std::vector<Type>& types, int foreign) : maker_(Actor::Start("maker")) {
    SETUP_OK(maker_.Enter(owner_fd, CLONE_NEWUSER));
    int mine = 0;
    for (const Type& type : types) mine |= type.flag & ~foreign;
    SETUP_OK(maker_.Unshare(mine));
    auto ready = SETUP_OK(Pipe());
    maker_.Run([&] {  // pid and time namespaces are of the children
      process_.emplace(Child::Start("target", [&] {
        // What has changed its credentials is nobody's to look into, but it may say otherwise.
        ::prctl(PR_SET_DUMPABLE, 1);
        [[maybe_unused]] const ssize_t n = ::write(ready.second.get(), "r", 1);
        for (;;) ::pause();
      }));
    });
    SETUP_OK(WaitFor(ready.first.get(), POLLIN, Deadline::OfTest(), "the target to be ready"));
  }
  int pidfd() const { return process_->pidfd(); }
  Memberships Of() const { return MembershipsOf(std::to_string(process_->pid())); }
  Fd OpenNamespace(const char* file) const {
    return SETUP_OK(Open("/proc/" + std::to_string(process_->pid()) + "/ns/" + file, O_RDONLY));
  }

 private:
  Actor maker_;
  std::optional<Child> process_;
};

/// Runs `body` in a process with memory of its own in the user namespace, all of whose namespaces are new.
void InAFreshMember(int owner_fd, const std::vector<Type>& types, const std::string& name, const std::function<void()>& body) {
  Child child = Child::Start(name, [&] {
    SETUP_OK(SetNs(owner_fd, CLONE_NEWUSER));
    int all = 0;
    for (const Type& type : types) all |= type.flag;
    SETUP_OK(UnshareHere(all));
    body();
  });
  EXPECT_OK(child.Join());
}

// setns(2): with a PID file descriptor "the caller joins one or more of the namespaces of the process"; "If any of the
// namespaces cannot be joined, the caller joins none".
NETNS_TEST(Create, SetnsOfEachPairOfTypesIsAllOrNothing, Covers("CREATE-17", "CREATE-14", "CREATE-19"), Needs(PidfdSetns(), UserNs()), Within{std::chrono::seconds(120)}) {
  const std::vector<Type> types = TypesHere();
  Actor owner = Actor::Start("owner");
  SETUP_OK(EnterNewUserNamespace(owner));
  const Fd user = SETUP_OK(Open(owner.Proc("ns/user"), O_RDONLY));
  for (const Type& refused : types) {
    SCOPED_TRACE(std::string("a process whose ") + refused.name + " namespace is not of the caller's user namespace");
    Target target(user.get(), types, refused.flag);
    const Memberships there = target.Of();
    const Fd by_descriptor = target.OpenNamespace(refused.file);
    EXPECT_EQ(there.at(refused.file), InodeOf(std::string("/proc/self/ns/") + refused.file)) << "control: that one is the test's";
    InAFreshMember(user.get(), types, "joiner", [&] {
      const Fd own = OpenMemberships();
      const Memberships before = MembershipsOf(own.get());
      const auto expect_refusal = [&](int fd, int mask, const std::string& what) {
        EXPECT_THAT(SetNs(fd, mask), FailsWith(EPERM)) << what;
        EXPECT_THAT(Different(before, MembershipsOf(own.get())), testing::IsEmpty()) << "a setns that failed has changed these: " << what;
      };
      expect_refusal(target.pidfd(), refused.flag, "that one alone");
      expect_refusal(by_descriptor.get(), refused.flag, "by a descriptor of it");
      expect_refusal(by_descriptor.get(), 0, "by a descriptor of it, of any type");
      int all = 0;
      std::vector<std::string> files;
      for (const Type& other : types) {
        all |= other.flag;
        if (other.flag == refused.flag) continue;
        expect_refusal(target.pidfd(), refused.flag | other.flag, std::string("together with the ") + other.name + " namespace");
        files.push_back(other.file);
        if (other.flag == kNewTime) files.push_back("time_for_children");
      }
      expect_refusal(target.pidfd(), all, "together with all others");
      ASSERT_OK(SetNs(target.pidfd(), all & ~refused.flag)) << "control: all but that one";
      const Memberships after = MembershipsOf(own.get());
      EXPECT_THAT(Different(before, after), testing::UnorderedElementsAreArray(files)) << "control: joined are exactly those";
      for (const Type& other : types)
        if (other.flag != refused.flag) {
          EXPECT_EQ(after.at(other.file), there.at(std::string(other.file) == "pid_for_children" ? "pid" : other.file))
              << "control: the " << other.name << " namespace is not that of the process";
        }
    });
  }
  // Each pair that can be joined is joined, and nothing else.
  Target target(user.get(), types, 0);
  const Memberships there = target.Of();
  for (const Type& one : types)
    for (const Type& other : types) {
      if (one.flag > other.flag) continue;
      InAFreshMember(user.get(), types, std::string(one.name) + " and " + other.name, [&] {
        const Fd own = OpenMemberships();
        const Memberships before = MembershipsOf(own.get());
        ASSERT_OK(SetNs(target.pidfd(), one.flag | other.flag));
        std::set<std::string> expected{one.file, other.file};
        if ((one.flag | other.flag) & kNewTime) expected.insert("time_for_children");
        const Memberships after = MembershipsOf(own.get());
        EXPECT_THAT(Different(before, after), testing::UnorderedElementsAreArray(expected)) << "joined are exactly the types that were asked for";
        for (const Type* type : {&one, &other})
          EXPECT_EQ(after.at(type->file), there.at(std::string(type->file) == "pid_for_children" ? "pid" : type->file));
      });
    }
}

// setns(2), EINVAL: "the caller tried to join the user namespace in which it is already"; EUSERS, EINVAL: one of several
// threads cannot join a time or a user namespace.
NETNS_TEST(Create, SetnsOfATypeThatCannotBeJoinedJoinsNoOther, Covers("CREATE-17"), Needs(PidfdSetns(), UserNs()), Within{std::chrono::seconds(60)}) {
  const std::vector<Type> types = TypesHere();
  Actor owner = Actor::Start("owner");
  SETUP_OK(EnterNewUserNamespace(owner));
  const Fd user = SETUP_OK(Open(owner.Proc("ns/user"), O_RDONLY));
  Target target(user.get(), types, 0);
  InAFreshMember(user.get(), types, "joiner", [&] {
    const Fd own = OpenMemberships();
    const Memberships before = MembershipsOf(own.get());
    const auto expect_refusal = [&](int mask, int error, const std::string& what) {
      EXPECT_THAT(SetNs(target.pidfd(), mask), FailsWith(error)) << what;
      EXPECT_THAT(Different(before, MembershipsOf(own.get())), testing::IsEmpty()) << "a setns that failed has changed these: " << what;
    };
    for (const Type& type : types) {
      expect_refusal(type.flag | CLONE_NEWUSER, EINVAL, std::string(type.name) + " and the caller's own user namespace");
      expect_refusal(type.flag | CLONE_VM, EINVAL, std::string(type.name) + " and something that is no type");
      expect_refusal(type.flag | CLONE_NEWNET | CLONE_FILES, EINVAL, std::string(type.name) + ", network and something that is no type");
    }
    int all = 0;
    for (const Type& type : types) all |= type.flag;
    EXPECT_OK(SetNs(target.pidfd(), all)) << "control: all of them, by a process of one thread";
    EXPECT_EQ(Different(before, MembershipsOf(own.get())).size(), types.size() + (types.back().flag == kNewTime ? 1 : 0)) << "control";
  });
  // Whose children are to be in another pid or time namespace cannot start a thread.
  std::vector<Type> unshared = types;
  std::erase_if(unshared, [](const Type& type) { return type.flag == kNewTime || type.flag == CLONE_NEWPID; });
  InAFreshMember(user.get(), unshared, "one of two threads", [&] {
    const Fd own = OpenMemberships();
    const Memberships before = MembershipsOf(own.get());
    std::optional<Thread> second(std::in_place);
    for (const Type& type : unshared) {
      if (type.flag == CLONE_NEWNS) continue;
      const auto expect_refusal = [&](int other, int error, const char* name) {
        EXPECT_THAT(SetNs(target.pidfd(), type.flag | other), FailsWith(error)) << type.name << " and " << name;
        EXPECT_THAT(Different(before, MembershipsOf(own.get())), testing::IsEmpty())
            << "a setns that failed has changed these: " << type.name << " and " << name;
      };
      if (types.back().flag == kNewTime) expect_refusal(kNewTime, EUSERS, "time, by one of two threads");
      expect_refusal(CLONE_NEWUSER, EINVAL, "user, by one of two threads");
    }
    EXPECT_OK(SetNs(target.pidfd(), CLONE_NEWNET | CLONE_NEWUTS)) << "control: others may be joined by one of two threads";
    EXPECT_THAT(Different(before, MembershipsOf(own.get())), testing::UnorderedElementsAre("net", "uts")) << "control";
  });
}

Need PidfdThread() {
  return Feature("pidfd-thread", "pidfd_open(2) with PIDFD_THREAD (since Linux 6.9)",
                 [] { return Fd(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), O_EXCL))).valid(); }, LinuxVersion{6, 9});
}

// pidfd_open(2), PIDFD_THREAD: "create a file descriptor that refers to a specific thread, rather than a process"; setns(2)
// joins the namespaces of what the descriptor refers to.
NETNS_TEST(Create, SetnsWithThePidfdOfAThreadJoinsTheNamespaceOfThatThread, Covers("CREATE-14", "CREATE-16"), Needs(PidfdSetns(), PidfdThread())) {
  const auto open_thread = [](pid_t tid) {
    Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, tid, O_EXCL /* PIDFD_THREAD */)));
    if (!fd.valid()) throw SetupFailure(ErrnoError("pidfd_open(PIDFD_THREAD)").ToString(), std::source_location::current());
    return fd;
  };
  // What has changed its credentials, as the test in its user namespace, is nobody's to look into, but it may say otherwise.
  ::prctl(PR_SET_DUMPABLE, 1);
  SETUP_OK(UnshareHere(CLONE_NEWUTS));  // that of the machine is not for everyone to join
  const Memberships leader = MembershipsOf("self");
  Thread stays, of_net, of_both;
  SETUP_OK(of_net.Run([] { return UnshareHere(CLONE_NEWNET); }));
  SETUP_OK(of_both.Run([] { return UnshareHere(CLONE_NEWNET | CLONE_NEWUTS); }));
  Fd whole(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  struct {
    const char* whose;
    pid_t tid;
    const Fd* pidfd;
  } cases[] = {{"the thread group's leader, as a process", ::getpid(), &whole}, {"the leader, as a thread", ::getpid(), nullptr},
               {"a thread that is where the leader is", stays.tid(), nullptr}, {"a thread that unshared", of_net.tid(), nullptr},
               {"a thread that unshared its UTS namespace too", of_both.tid(), nullptr}};
  for (int mask : {CLONE_NEWNET, CLONE_NEWNET | CLONE_NEWUTS})
    for (const auto& [whose, tid, pidfd] : cases) {
      SCOPED_TRACE(std::string(whose) + (mask == CLONE_NEWNET ? "" : ", network and UTS namespace"));
      const Fd thread = open_thread(tid);
      const Memberships there = MembershipsOf("self/task/" + std::to_string(tid));
      Actor joiner = Actor::Start("joiner", CLONE_NEWNET | CLONE_NEWUTS);
      const Memberships before = MembershipsOf(std::to_string(joiner.pid()));
      ASSERT_OK(joiner.Enter(pidfd != nullptr ? pidfd->get() : thread.get(), mask));
      Memberships expected = before;
      expected["net"] = there.at("net");
      if (mask & CLONE_NEWUTS) expected["uts"] = there.at("uts");
      EXPECT_THAT(Different(expected, MembershipsOf(std::to_string(joiner.pid()))), testing::IsEmpty())
          << "these are not those of the thread to which the descriptor refers";
    }
  EXPECT_NE(MembershipsOf("self/task/" + std::to_string(of_net.tid())).at("net"), leader.at("net")) << "control";
  EXPECT_THAT(Different(leader, MembershipsOf("self/task/" + std::to_string(stays.tid()))), testing::IsEmpty()) << "control";
  // A thread that has ended has no namespaces, whatever its process does.
  const Fd ended = open_thread(of_net.tid());
  of_net.End();
  Actor joiner = Actor::Start("joiner");
  SETUP_OK(Eventually("the thread to be gone", [&] { return joiner.Enter(ended.get(), CLONE_NEWNET).code() == ESRCH; }));
  EXPECT_OK(joiner.Enter(whole.get(), CLONE_NEWNET)) << "control: its process lives";
}

// ---------------------------------------------------------------------------------------------- clone(2) and unshare(2)

/// What a new task sees of itself. It may share memory and descriptors with its creator: system calls only.
struct Look {
  ino_t net = 0, owner = 0, user = 0;
  int into = -1;
};
int LookAround(void* argument) {
  Look look = *static_cast<Look*>(argument);
  struct stat info {};
  const int net = ::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
  if (net >= 0 && ::fstat(net, &info) == 0) look.net = info.st_ino;
  const int owner = ::ioctl(net, NS_GET_USERNS);
  if (owner >= 0 && ::fstat(owner, &info) == 0) look.owner = info.st_ino;
  if (::stat("/proc/thread-self/ns/user", &info) == 0) look.user = info.st_ino;
  ::close(owner);
  ::close(net);
  [[maybe_unused]] const ssize_t n = ::write(look.into, &look, sizeof look);
  return 0;  // clone(3): ends the task, not its process
}

/// The thread that asks for it.
struct Caller {
  template <class F>
  auto Run(F&& closure) const {
    return closure();
  }
};
/// clone(2) of a task that looks around, by the process or thread `creator`.
template <class Creator>
Result<Look> CloneAndLook(Creator& creator, unsigned long flags) {
  ASSIGN_OR_RETURN(auto pipe, Pipe());
  alignas(16) static char stack[1 << 16];
  static pid_t alive;
  Look request;
  request.into = pipe.second.get();
  alive = 1;
  const bool thread = flags & CLONE_THREAD;
  const int call = static_cast<int>(flags | CLONE_CHILD_CLEARTID | (thread ? 0 : SIGCHLD));
  pid_t pid = -1;
  auto cloned = creator.Run([&]() -> Status {
    pid = ::clone(LookAround, stack + sizeof stack, call, &request, nullptr, nullptr, &alive);
    return pid < 0 ? Status(ErrnoError("clone")) : Ok();
  });
  RETURN_IF_ERROR(cloned);
  Look seen;
  RETURN_IF_ERROR(WaitFor(pipe.first.get(), POLLIN, Deadline::OfTest(), "the new task to tell what it sees"));
  if (::read(pipe.first.get(), &seen, sizeof seen) != sizeof seen) return Error{EIO, "the new task said nothing"};
  if (thread)
    RETURN_IF_ERROR(Eventually("the new thread to end", [&] { return *static_cast<volatile pid_t*>(&alive) == 0; }));
  else if (flags & CLONE_PARENT)
    ::waitpid(pid, nullptr, __WALL);
  else
    creator.Run([&] { ::waitpid(pid, nullptr, __WALL); });
  return seen;
}

struct Flags {
  const char* names;
  unsigned long bits;
};

// clone(2), CLONE_NEWNET: "create the process in a new network namespace", whatever else is new or shared.
NETNS_TEST(Create, CloneHonoursTheFlagWhateverElseIsShared, Covers("CREATE-02", "CREATE-03", "CREATE-04", "CREATE-07"), Needs(UserNs()), Within{std::chrono::seconds(120)}) {
  const Flags bases[] = {{"nothing shared", 0},
                         {"CLONE_VM", CLONE_VM},
                         {"CLONE_VM, CLONE_SIGHAND", CLONE_VM | CLONE_SIGHAND},
                         {"CLONE_VM, CLONE_SIGHAND, CLONE_THREAD", CLONE_VM | CLONE_SIGHAND | CLONE_THREAD}};
  const Flags extras[] = {{"", 0},
                          {"CLONE_FS", CLONE_FS},
                          {"CLONE_FILES", CLONE_FILES},
                          {"CLONE_SYSVSEM", CLONE_SYSVSEM},
                          {"CLONE_IO", CLONE_IO},
                          {"CLONE_VFORK", CLONE_VFORK},
                          {"CLONE_PARENT", CLONE_PARENT},
                          {"CLONE_UNTRACED", CLONE_UNTRACED},
                          {"CLONE_NEWUTS", CLONE_NEWUTS},
                          {"CLONE_NEWUSER", CLONE_NEWUSER},
                          {"all that can be shared", CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_IO}};
  Actor creator = Actor::Start("creator", CLONE_NEWNET);
  const Memberships before = MembershipsOf(std::to_string(creator.pid()));
  const std::set<ino_t> known{before.at("net"), NetNamespace::Current().Inode()};
  for (const Flags& base : bases)
    for (const Flags& extra : extras) {
      if ((base.bits & CLONE_THREAD) && extra.bits == CLONE_NEWUSER) continue;  // see below
      SCOPED_TRACE(std::string(base.names) + (extra.bits != 0 ? ", " : "") + extra.names);
      const unsigned long flags = base.bits | extra.bits;
      ASSERT_OK_AND_ASSIGN(const Look without, CloneAndLook(creator, flags));
      EXPECT_EQ(without.net, before.at("net")) << "control: without CLONE_NEWNET the new task is where its creator is";
      ASSERT_OK_AND_ASSIGN(const Look with, CloneAndLook(creator, flags | CLONE_NEWNET));
      EXPECT_EQ(known.count(with.net), 0u) << "with CLONE_NEWNET the new task is not in a new network namespace";
      EXPECT_EQ(with.owner, with.user) << "the owner of a new namespace is not the user namespace of its first task";
      EXPECT_EQ(with.user == before.at("user"), !(flags & CLONE_NEWUSER)) << "control";
      EXPECT_THAT(Different(before, MembershipsOf(std::to_string(creator.pid()))), testing::IsEmpty()) << "clone(2) changed the creator's";
    }
}

// clone(2), ERRORS, EINVAL.
NETNS_TEST(Create, CloneWithFlagsThatExcludeEachOtherCreatesNothing, Covers("CREATE-02", "CREATE-21"), Needs(UserNs())) {
  FreedOracle oracle(2);
  Actor creator = oracle.StartMember("creator");
  const Memberships before = MembershipsOf(std::to_string(creator.pid()));
  const Flags invalid[] = {{"CLONE_SIGHAND without CLONE_VM", CLONE_SIGHAND},
                           {"CLONE_THREAD without CLONE_SIGHAND", CLONE_THREAD},
                           {"CLONE_THREAD without CLONE_SIGHAND", CLONE_VM | CLONE_THREAD},
                           {"CLONE_FS, CLONE_NEWNS", CLONE_FS | CLONE_NEWNS},
                           {"CLONE_FS, CLONE_NEWUSER", CLONE_FS | CLONE_NEWUSER},
                           {"CLONE_SYSVSEM, CLONE_NEWIPC", CLONE_SYSVSEM | CLONE_NEWIPC},
                           {"CLONE_THREAD, CLONE_NEWUSER", CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_NEWUSER},
                           {"CLONE_THREAD, CLONE_NEWPID", CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_NEWPID}};
  for (const Flags& flags : invalid) {
    if ((flags.bits & CLONE_NEWIPC) && before.at("ipc") == 0) continue;  // no such namespaces in this kernel
    EXPECT_THAT(CloneAndLook(creator, flags.bits | CLONE_NEWNET), FailsWith(EINVAL)) << flags.names;
    EXPECT_THAT(Different(before, MembershipsOf(std::to_string(creator.pid()))), testing::IsEmpty()) << flags.names;
  }
  // No namespace has been made and thrown away either: there is room for one, at once.
  ASSERT_OK_AND_ASSIGN(const Look made, CloneAndLook(creator, CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_NEWNET));
  EXPECT_NE(made.net, before.at("net")) << "control: flags that go together";
}

// unshare(2): the flags that unshare something else do not touch this one; CLONE_THREAD, CLONE_SIGHAND and CLONE_VM "may be
// specified if the caller is single threaded" and are EINVAL otherwise.
NETNS_TEST(Create, UnshareHonoursTheFlagWhateverElseIsUnshared, Covers("CREATE-01", "CREATE-21"), Needs(UserNs()), Within{std::chrono::seconds(60)}) {
  struct {
    Flags flags;
    bool several_threads;  ///< whether one of several threads may ask for it
  } cases[] = {{{"CLONE_FILES", CLONE_FILES}, true},
               {{"CLONE_FS", CLONE_FS}, true},
               {{"CLONE_SYSVSEM", CLONE_SYSVSEM}, true},
               {{"CLONE_NEWUTS", CLONE_NEWUTS}, true},
               {{"CLONE_NEWIPC", CLONE_NEWIPC}, true},
               {{"CLONE_NEWNS", CLONE_NEWNS}, true},
               {{"CLONE_NEWPID", CLONE_NEWPID}, true},
               {{"CLONE_NEWCGROUP", CLONE_NEWCGROUP}, true},
               {{"CLONE_NEWUSER", CLONE_NEWUSER}, false},
               {{"CLONE_THREAD", CLONE_THREAD}, false},
               {{"CLONE_SIGHAND", CLONE_SIGHAND}, false},
               {{"CLONE_VM", CLONE_VM}, false}};
  for (const auto& [flags, several_threads] : cases)
    for (bool alone : {true, false}) {
      Child child = Child::Start(std::string(flags.names) + (alone ? ", by a single thread" : ", by one of two threads"), [&] {
        std::optional<Thread> second;
        if (!alone) second.emplace();
        const Fd own = OpenMemberships();
        const Memberships before = MembershipsOf(own.get());
        const Status without = UnshareHere(static_cast<int>(flags.bits));
        if (without.code() == EINVAL && (alone || several_threads)) return;  // no such namespaces in this kernel
        const Memberships between = MembershipsOf(own.get());
        EXPECT_EQ(between.at("net"), before.at("net")) << "control: without CLONE_NEWNET";
        if (alone || several_threads) {
          EXPECT_OK(without) << "control: without CLONE_NEWNET";
          // What it may be asked once (a pid namespace for the children) is asked for in another process.
          if (flags.bits != CLONE_NEWPID && flags.bits != CLONE_NEWUSER) {
            EXPECT_OK(UnshareHere(static_cast<int>(flags.bits) | CLONE_NEWNET));
            EXPECT_NE(MembershipsOf(own.get()).at("net"), between.at("net")) << "CLONE_NEWNET was ignored";
          }
        } else {
          EXPECT_THAT(without, FailsWith(EINVAL)) << "control: not for one of several threads";
          EXPECT_THAT(UnshareHere(static_cast<int>(flags.bits) | CLONE_NEWNET), FailsWith(EINVAL));
          EXPECT_THAT(Different(before, MembershipsOf(own.get())), testing::IsEmpty()) << "a refused unshare has changed these";
        }
        if (second) {
          EXPECT_EQ(MembershipsOf("self/task/" + std::to_string(second->tid())).at("net"), before.at("net")) << "the other thread was moved";
        }
      });
      EXPECT_OK(child.Join());
    }
  // The remaining ones once more, at once.
  for (int flags : {CLONE_NEWPID, CLONE_NEWUSER}) {
    Child child = Child::Start(flags == CLONE_NEWPID ? "CLONE_NEWPID" : "CLONE_NEWUSER", [&] {
      const Fd own = OpenMemberships();
      const Memberships before = MembershipsOf(own.get());
      if (UnshareHere(flags | CLONE_NEWNET).code() == EINVAL) return;
      EXPECT_NE(MembershipsOf(own.get()).at("net"), before.at("net")) << "CLONE_NEWNET was ignored";
    });
    EXPECT_OK(child.Join());
  }
}

/// One of several threads that is in `there` and asks for a new namespace of `type`; `others` are those of its process.
template <class By>
void StaysWhereItIs(By& asks, const Type& type, const NetNamespace& there, const std::vector<std::string>& others) {
  const ino_t here = InodeOf(others[0]);
  const auto expect_there = [&](const std::string& after) {
    EXPECT_EQ(asks.Run([] { return InodeOf("/proc/thread-self/ns/net"); }), there.Inode()) << "of the caller, after " << after;
    for (const std::string& other : others) EXPECT_EQ(InodeOf(other), here) << "of another thread, after " << after;
  };
  SETUP_OK(asks.Run([&] { return SetNs(there.fd(), CLONE_NEWNET); }));
  ASSERT_NE(here, there.Inode()) << "control";
  expect_there("setns(2) (control)");
  const unsigned long flag = static_cast<unsigned>(type.flag);
  const auto of_child = [&](unsigned long flags) { return SETUP_OK(CloneAndLook(asks, flags)).net; };
  if (type.flag != kNewTime) {  // not of clone(2)
    for (unsigned long more : {0, int{CLONE_NEWUSER}})
      EXPECT_EQ(of_child(flag | more), there.Inode()) << "of its child by clone(2)" << (more != 0 ? ", in a new user namespace too" : "");
    const ino_t made = of_child(flag | CLONE_NEWNET);
    EXPECT_TRUE(made != here && made != there.Inode()) << "control: with CLONE_NEWNET its child is in neither";
    expect_there("clone(2)");
  }
  SETUP_OK(asks.Run([&] { return UnshareHere(type.flag); }));
  expect_there("unshare(2)");
  EXPECT_EQ(of_child(0), there.Inode()) << "of its child, after unshare(2)";
  // What it has left it may join again, unless that is of the machine.
  if (type.flag == CLONE_NEWUTS || type.flag == CLONE_NEWIPC || type.flag == CLONE_NEWCGROUP) {
    const Fd left = SETUP_OK(Open(others[0].substr(0, others[0].rfind('/') + 1) + type.file, O_RDONLY));
    const Status joined = asks.Run([&] { return SetNs(left.get(), type.flag); });
    EXPECT_TRUE(joined.ok() || joined.code() == EPERM) << "control: " << joined.error().ToString();
    expect_there("setns(2) to another type");
  }
}

// setns(2), unshare(2): "the calling thread". Whatever else a thread asks for, its network namespace remains its own, not that
// of the thread group's leader, and its children are in it.
NETNS_TEST(Create, AThreadElsewhereStaysThereWhateverElseIsNew, Covers("CREATE-04", "CREATE-07", "CREATE-12"), Needs(UserNs()), Within{std::chrono::seconds(60)}) {
  std::vector<Type> types = TypesHere();
  std::erase_if(types, [](const Type& type) { return type.flag == CLONE_NEWNET; });
  const auto there = NetNamespace::Create();
  for (bool leader : {false, true})
    for (const Type& type : types) {
      SCOPED_TRACE(std::string(leader ? "the leader" : "a thread") + ", elsewhere than the rest of its process, and a new " + type.name + " namespace");
      Child child = Child::Start(type.name, [&] {
        Thread mover, bystander;
        Caller caller;
        if (leader)
          StaysWhereItIs(caller, type, there, {bystander.Proc("ns/net"), mover.Proc("ns/net")});
        else
          StaysWhereItIs(mover, type, there, {bystander.Proc("ns/net"), "/proc/self/ns/net"});
      });
      EXPECT_OK(child.Join());
    }
}

// ---------------------------------------------------------------------------------------------------------- execve(2)

/// What is executed, and by whom.
struct Program {
  const char* what;
  mode_t mode = 0755;
  uid_t owner = 0;
  gid_t group = 0;
  std::optional<uid_t> user = {};      ///< whom the process becomes before; none: it stays what it is
  bool capability = false;             ///< the file has CAP_NET_RAW
  bool no_new_privs = false;
  bool script = false, by_descriptor = false;
  std::optional<uid_t> becomes = {};   ///< control: its effective user afterwards
  std::optional<gid_t> becomes_group = {};
  bool gains = false;                  ///< control: whether it has CAP_NET_RAW afterwards
};

/// A copy of this program at `path`, or a script that has it as its interpreter.
void Install(const Program& program, const std::string& path) {
  const std::string binary = path + ".bin";
  {
    const Fd from = SETUP_OK(Open("/proc/self/exe", O_RDONLY)), to = SETUP_OK(Open(binary, O_CREAT | O_EXCL | O_WRONLY, 0755));
    while (::sendfile(to.get(), from.get(), nullptr, 1 << 24) > 0) {
    }
  }
  if (program.script) {
    SETUP_OK(Open(path, O_CREAT | O_EXCL, 0755));
    SETUP_OK(WriteFile(path, "#!" + binary + " --version\n"));
  } else {
    ASSERT_EQ(::rename(binary.c_str(), path.c_str()), 0) << ErrnoName(errno);
  }
  if (program.user || program.owner != 0) {
    ASSERT_EQ(::chown(path.c_str(), program.owner, program.group), 0) << ErrnoName(errno);
  }
  ASSERT_EQ(::chmod(path.c_str(), program.mode), 0) << ErrnoName(errno);
  if (program.capability) {
    vfs_cap_data data{};
    data.magic_etc = VFS_CAP_REVISION_2 | VFS_CAP_FLAGS_EFFECTIVE;
    data.data[0].permitted = 1u << CAP_NET_RAW;
    ASSERT_EQ(::setxattr(path.c_str(), "security.capability", &data, sizeof data, 0), 0) << ErrnoName(errno);
  }
}

/// The fields of "Name:\tvalue value" in /proc/PID/status.
std::vector<std::string> StatusOf(pid_t pid, const std::string& name) {
  std::istringstream lines(SETUP_OK(ReadFile("/proc/" + std::to_string(pid) + "/status")));
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(name + ":")) {
      std::istringstream words(line.substr(name.size() + 1));
      return {std::istream_iterator<std::string>(words), {}};
    }
  return {};
}

void ExpectMembershipsSurvive(const Program& program, const std::string& path) {
  Install(program, path);
  const Memberships here = MembershipsOf("self");
  auto elsewhere = NetNamespace::Create();
  enum class Entered { kNot, kByUnshare, kBySetns };
  for (Entered entered : {Entered::kNot, Entered::kByUnshare, Entered::kBySetns}) {
    SCOPED_TRACE(entered == Entered::kNot ? "control: a process that stayed where it was"
                                          : entered == Entered::kByUnshare ? "a process that unshared" : "a process that used setns(2)");
    auto pipe = SETUP_OK(Pipe());
    const pid_t pid = ::fork();
    if (pid == 0) {
      if (entered == Entered::kByUnshare && ::unshare(CLONE_NEWNET) < 0) ::_exit(1);
      if (entered == Entered::kBySetns && ::setns(elsewhere.fd(), CLONE_NEWNET) < 0) ::_exit(2);
      struct stat info {};
      if (::stat("/proc/self/ns/net", &info) < 0 || ::write(pipe.second.get(), &info.st_ino, sizeof info.st_ino) < 0) ::_exit(3);
      // Who traces itself with all rights may be traced when it gains some. It stops when execve(2) is done.
      ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
      if (program.no_new_privs && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) ::_exit(4);
      if (program.user) {
        if (::syscall(SYS_setgroups, 0, nullptr) < 0 || ::syscall(SYS_setresgid, *program.user, *program.user, *program.user) < 0 ||
            ::syscall(SYS_setresuid, *program.user, *program.user, *program.user) < 0)
          ::_exit(5);
      }
      const char* arguments[] = {"netns-tests", "--version", nullptr};
      if (program.by_descriptor) {
        const int fd = ::open(path.c_str(), O_PATH);
        ::syscall(SYS_execveat, fd, "", arguments, environ, AT_EMPTY_PATH);
      } else {
        ::execv(path.c_str(), const_cast<char**>(arguments));
      }
      ::_exit(6);
    }
    int status = 0;
    ::waitpid(pid, &status, __WALL);
    if (!WIFSTOPPED(status))
      throw SetupFailure("the child did not get through execve(2): " + DescribeWaitStatus(status), std::source_location::current());
    ino_t before = 0;
    [[maybe_unused]] const ssize_t n = ::read(pipe.first.get(), &before, sizeof before);
    const Memberships after = MembershipsOf(std::to_string(pid));
    const auto uids = StatusOf(pid, "Uid"), gids = StatusOf(pid, "Gid"), capabilities = StatusOf(pid, "CapEff");
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, __WALL);
    ASSERT_EQ(uids.size(), 4u);
    if (program.becomes) {
      EXPECT_EQ(uids[1], std::to_string(*program.becomes)) << "control: its effective user";
    }
    if (program.becomes_group) {
      EXPECT_EQ(gids.at(1), std::to_string(*program.becomes_group)) << "control: its effective group";
    }
    if (program.user) {
      EXPECT_EQ(std::stoull(capabilities.at(0), nullptr, 16) >> CAP_NET_RAW & 1, program.gains ? 1u : 0u) << "control: CAP_NET_RAW";
    }
    EXPECT_EQ(after.at("net"), before) << "execve(2) changed the network namespace";
    EXPECT_EQ(after.at("net") == here.at("net"), entered == Entered::kNot);
    Memberships expected = here;
    expected["net"] = before;
    EXPECT_THAT(Different(expected, after), testing::IsEmpty()) << "execve(2) changed these memberships";
  }
}

// execve(2): what is reset is listed there, and namespaces are not; nor do they depend on whose the program is.
NETNS_TEST(Create, MembershipSurvivesExecveOfAnyKindOfProgram, Covers("CREATE-05"), Within{std::chrono::seconds(60)}) {
  const Program programs[] = {{.what = "a binary"},
                              {.what = "a script", .script = true},
                              {.what = "a binary by its descriptor", .by_descriptor = true},
                              {.what = "a binary, without new privileges", .no_new_privs = true}};
  int number = 0;
  for (const Program& program : programs) {
    SCOPED_TRACE(program.what);
    ExpectMembershipsSurvive(program, "/tmp/program" + std::to_string(number++));
  }
}

NETNS_TEST(Create, MembershipSurvivesExecveThatChangesCredentials, Covers("CREATE-05"), Needs(Root()), Within{std::chrono::seconds(60)}) {
  // The test's own /tmp is mounted nosuid.
  ASSERT_EQ(::mkdir("/tmp/programs", 0755), 0) << ErrnoName(errno);
  ASSERT_EQ(::mount("programs", "/tmp/programs", "tmpfs", 0, "mode=755"), 0) << ErrnoName(errno);
  constexpr uid_t kNobody = 65534, kThird = 4711;
  const Program programs[] = {
      {.what = "control: an ordinary program", .user = kNobody, .becomes = kNobody, .becomes_group = kNobody},
      {.what = "set-user-ID root", .mode = 04755, .user = kNobody, .becomes = 0, .becomes_group = kNobody, .gains = true},
      {.what = "set-user-ID of a third user", .mode = 04755, .owner = kThird, .user = kNobody, .becomes = kThird},
      {.what = "set-user-ID of the user itself", .mode = 04755, .owner = kNobody, .user = kNobody, .becomes = kNobody},
      {.what = "set-group-ID", .mode = 02755, .group = kThird, .user = kNobody, .becomes = kNobody, .becomes_group = kThird},
      {.what = "set-user-ID and set-group-ID", .mode = 06755, .owner = kThird, .group = kThird, .user = kNobody, .becomes = kThird, .becomes_group = kThird},
      {.what = "with capabilities", .user = kNobody, .capability = true, .becomes = kNobody, .gains = true},
      {.what = "set-user-ID root, without new privileges", .mode = 04755, .user = kNobody, .no_new_privs = true, .becomes = kNobody},
      {.what = "set-user-ID root, by its descriptor", .mode = 04755, .user = kNobody, .by_descriptor = true, .becomes = 0, .gains = true},
      {.what = "set-user-ID of another, by root", .mode = 04755, .owner = kThird, .becomes = kThird},
  };
  int number = 0;
  for (const Program& program : programs) {
    SCOPED_TRACE(program.what);
    ExpectMembershipsSurvive(program, "/tmp/programs/program" + std::to_string(number++));
  }
}

}  // namespace
}  // namespace netns
