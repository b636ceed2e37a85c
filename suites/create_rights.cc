// SPDX-License-Identifier: GPL-2.0-or-later
// CREATE: whoever has CAP_SYS_ADMIN in his own user namespace may make a network namespace, and join one of his own, wherever
// he stands: namespaces(7) and setns(2) ask nothing about the namespace that is left.
#include <linux/capability.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "fixtures/net_namespace.h"
#include "fixtures/nic.h"
#include "fixtures/user_namespace.h"
#include "harness/assertions.h"
#include "harness/isolation.h"
#include "harness/registration.h"
#include "suites/support/clone.h"
#include "suites/support/membership.h"
#include "suites/support/nsfs.h"

namespace netns {
namespace {

/// What somebody finds in the namespace in which he is.
struct View {
  ino_t net = 0, user = 0, owner = 0;
  int up = 0;  ///< the errno with which he brings up lo
};
View Look() {
  View view;
  view.net = InodeOf("/proc/self/ns/net");
  view.user = InodeOf("/proc/self/ns/user");
  if (auto self = Open("/proc/self/ns/net", O_RDONLY); self.ok()) view.owner = OwnerInodeOf(self->get()).ok() ? *OwnerInodeOf(self->get()) : 0;
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  view.up = ::ioctl(socket.get(), SIOCSIFFLAGS, &request) < 0 ? errno : 0;
  return view;
}

/// A child by clone(2) or clone3(2) that looks where it is, and lives until the descriptor of its namespace is open.
Result<std::pair<View, Fd>> CloneAndLook(Call call, std::uint64_t flags) {
  ASSIGN_OR_RETURN(auto says, Pipe());
  ASSIGN_OR_RETURN(auto waits, Pipe());
  ASSIGN_OR_RETURN(const pid_t pid, CloneBy(call, flags));
  if (pid == 0) {
    waits.second.Reset();
    const View view = Look();
    char end = 0;
    [[maybe_unused]] ssize_t n = ::write(says.second.get(), &view, sizeof view);
    n = ::read(waits.first.get(), &end, 1);  // until the other end is closed
    ::_exit(0);
  }
  says.second.Reset();
  View view;
  const ssize_t n = TEMP_FAILURE_RETRY(::read(says.first.get(), &view, sizeof view));
  auto space = Open("/proc/" + std::to_string(pid) + "/ns/net", O_RDONLY);
  waits.second.Reset();
  ::waitpid(pid, nullptr, 0);
  if (n != sizeof view) return Error{EIO, "the child said nothing"};
  return std::pair{view, space.ok() ? std::move(*space) : Fd()};
}
Result<View> UnshareAndLook(int flags) {
  View view;
  RETURN_IF_ERROR(RunBriefly([&] { return UnshareHere(flags); }, [&] { view = Look(); }));
  return view;
}

/// A new user namespace and a network namespace of it, by one call.
Actor StartOwner(const char* name) {
  Actor actor = Actor::Start(name);
  SETUP_OK(actor.Run([]() -> Status {
    const uid_t uid = ::geteuid();
    const gid_t gid = ::getegid();
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) return ErrnoError("unshare(CLONE_NEWUSER | CLONE_NEWNET)");
    return MapIds(uid, gid, 0);
  }));
  return actor;
}
NetNamespace NamespaceOf(const Actor& actor) { return SETUP_OK(NetNamespace::OfPid(actor.pid())); }

/// Somebody with all capabilities in his own user namespace, and the network namespace in which he stands.
struct Stand {
  const char* name;
  std::function<Actor()> start;
  bool machine = false;
  bool owns = false;  ///< that namespace is one of his own user namespace
};
const std::vector<Stand>& Stands() {
  static const std::vector<Stand> stands = {
      {"InANamespaceOfHisOwn", [] { return StartOwner("caller"); }, false, true},
      {"InANamespaceOfItsParents",
       [] {
         Actor actor = Actor::Start("caller");
         SETUP_OK(EnterNewUserNamespace(actor));
         return actor;
       }},
      {"InANamespaceOfItsGrandparents",
       [] {
         Actor actor = Actor::Start("caller");
         for (int i = 0; i < 2; ++i) SETUP_OK(EnterNewUserNamespace(actor));
         return actor;
       }},
      {"InANamespaceOfAParentThatIsAChild",
       [] {
         Actor actor = StartOwner("caller");
         SETUP_OK(EnterNewUserNamespace(actor));
         return actor;
       }},
      {"InANamespaceOfASibling",
       [] {
         static Actor sibling = StartOwner("sibling");
         Actor actor = Actor::Start("caller");
         SETUP_OK(actor.Enter(NamespaceOf(sibling).fd(), CLONE_NEWNET));
         SETUP_OK(EnterNewUserNamespace(actor));
         return actor;
       }},
      {"InANamespaceOfASiblingThatHasGone",
       [] {
         Actor sibling = StartOwner("sibling"), actor = Actor::Start("caller");
         SETUP_OK(actor.Enter(NamespaceOf(sibling).fd(), CLONE_NEWNET));
         SETUP_OK(EnterNewUserNamespace(actor));
         sibling.Kill();
         return actor;
       }},
      {"InAUserNamespaceThatHeJoined",
       [] {
         static Actor maker = Actor::Start("maker");
         SETUP_OK(EnterNewUserNamespace(maker));
         const Fd user = SETUP_OK(Open(maker.Proc("ns/user"), O_RDONLY));
         Actor actor = Actor::Start("caller");
         SETUP_OK(actor.Enter(user.get(), CLONE_NEWUSER));
         return actor;
       }},
      {"InTheInitialNamespace",
       [] {
         Actor actor = Actor::Start("caller");
         SETUP_OK(actor.Enter(InitialNetNamespace().fd(), CLONE_NEWNET));
         SETUP_OK(EnterNewUserNamespace(actor));
         return actor;
       },
       true},
      {"AsAnotherUserInTheInitialNamespace",
       [] {
         Actor actor = Actor::Start("caller");
         SETUP_OK(actor.Enter(InitialNetNamespace().fd(), CLONE_NEWNET));
         SETUP_OK(BecomeUser(actor, 1000));
         if (auto made = actor.Unshare(CLONE_NEWUSER); !made.ok())
           throw MissingNeed("needs-userns", "user namespaces are forbidden to ordinary users here: " + made.error().ToString());
         return actor;
       },
       true},
  };
  return stands;
}

bool HasClone3() { return ::syscall(SYS_clone3, nullptr, 0) < 0 && errno != ENOSYS && errno != EPERM; }

void ExpectNewAndHis(const View& view, ino_t before, const std::string& how) {
  EXPECT_NE(view.net, before) << how << ": the caller is where he was";
  EXPECT_EQ(view.owner, view.user) << how << ": namespaces(7): owned by the user namespace of who makes it";
  EXPECT_EQ(view.up, 0) << how << ": its maker may not administrate it: " << ErrnoName(view.up);
}

/// Every way to make one, all in the actor. Gives a descriptor of one of those that were made.
Fd MakesInEveryWay(bool allowed) {
  const ino_t before = InodeOf("/proc/self/ns/net");
  Fd one;
  for (int flags : {CLONE_NEWNET, CLONE_NEWNET | CLONE_NEWUTS, CLONE_NEWNET | CLONE_NEWNS}) {
    const std::string with = flags == CLONE_NEWNET ? "CLONE_NEWNET" : flags & CLONE_NEWNS ? "CLONE_NEWNET | CLONE_NEWNS" : "CLONE_NEWNET | CLONE_NEWUTS";
    const auto unshared = UnshareAndLook(flags);
    if (allowed) {
      EXPECT_THAT(unshared, Succeeds()) << "unshare(" << with << ")";
    } else {
      EXPECT_THAT(unshared, FailsWith(EPERM)) << "control: unshare(" << with << ") without CAP_SYS_ADMIN";
    }
    if (unshared.ok()) ExpectNewAndHis(*unshared, before, "unshare(" + with + ")");
    for (Call call : {Call::kClone, Call::kClone3}) {
      if (call == Call::kClone3 && !HasClone3()) continue;
      const std::string how = std::string(call == Call::kClone ? "clone(" : "clone3(") + with + ")";
      auto cloned = CloneAndLook(call, static_cast<std::uint64_t>(flags));
      if (allowed) {
        EXPECT_THAT(cloned.ok() ? Ok() : Status(cloned.error()), Succeeds()) << how;
      } else {
        EXPECT_THAT(cloned.ok() ? Ok() : Status(cloned.error()), FailsWith(EPERM)) << "control: " << how << " without CAP_SYS_ADMIN";
      }
      if (!cloned.ok()) continue;
      ExpectNewAndHis(cloned->first, before, how);
      if (cloned->second.valid()) one = std::move(cloned->second);
    }
  }
  EXPECT_EQ(InodeOf("/proc/self/ns/net"), before) << "the caller himself has not moved";
  return one;
}

// unshare(2), clone(2): CLONE_NEWNET "requires the CAP_SYS_ADMIN capability" - in the caller's user namespace; setns(2): "both
// in its own user namespace and in the user namespace that owns the target namespace".
void MayLeaveAnyNamespace(const Stand& stand) {
  Actor caller = stand.start();
  {
    SCOPED_TRACE("with all capabilities");
    const Fd one = caller.Run([] { return MakesInEveryWay(true); });
    if (one.valid()) {
      // Into one of his own, from where he stands; and back only where he has rights over what he left.
      const NetNamespace left = NamespaceOf(caller);
      for (int type : {CLONE_NEWNET, 0}) {
        View view;
        Status back = Ok();
        const Status joined = caller.Run([&] {
          return RunBriefly([&] { return SetNs(one.get(), type); },
                            [&] {
                              view = Look();
                              back = SetNs(left.fd(), CLONE_NEWNET);
                            });
        });
        EXPECT_THAT(joined, Succeeds()) << "setns into a namespace of his own user namespace";
        if (!joined.ok()) continue;
        EXPECT_EQ(view.net, InodeOf(one.get()));
        EXPECT_EQ(view.up, 0) << ErrnoName(view.up);
        if (stand.owns) {
          EXPECT_THAT(back, Succeeds()) << "back into the one that he left";
        } else {
          EXPECT_THAT(back, FailsWith(EPERM)) << "control: back into the one that he left, which is not of his user namespace";
        }
      }
    }
  }
  {
    SCOPED_TRACE("with CAP_SYS_ADMIN alone");
    Actor admin = stand.start();
    SETUP_OK(KeepOnlyCapabilities(admin, {CAP_SYS_ADMIN}));
    admin.Run([] {
      const ino_t before = InodeOf("/proc/self/ns/net");
      const auto unshared = UnshareAndLook(CLONE_NEWNET);
      EXPECT_THAT(unshared, Succeeds()) << "unshare(CLONE_NEWNET)";
      if (unshared.ok()) {
        EXPECT_NE(unshared->net, before);
      }
      const auto cloned = CloneAndLook(Call::kClone, CLONE_NEWNET);
      EXPECT_THAT(cloned.ok() ? Ok() : Status(cloned.error()), Succeeds()) << "clone(CLONE_NEWNET)";
    });
  }
  {
    SCOPED_TRACE("for good, one after the other");
    Actor twice = stand.start();
    const ino_t before = NamespaceOf(twice).Inode();
    EXPECT_THAT(twice.Unshare(CLONE_NEWNET), Succeeds());
    const ino_t between = NamespaceOf(twice).Inode();
    EXPECT_NE(between, before);
    EXPECT_THAT(twice.Unshare(CLONE_NEWNET), Succeeds());
    EXPECT_NE(NamespaceOf(twice).Inode(), between);
  }
  SETUP_OK(DropCapability(caller, CAP_SYS_ADMIN));
  caller.Run([] { (void)MakesInEveryWay(false); });
}

const bool registered = [] {
  for (const Stand& stand : Stands()) {
    Needs needs{UserNs()};
    if (stand.machine) needs.list.push_back(Machine());
    RegisterBody("Create", std::string("ItsRightsDoNotDependOnTheNamespaceThatIsLeft/") + stand.name, __FILE__, __LINE__, [&stand] { MayLeaveAnyNamespace(stand); },
                 Covers("CREATE-18", "CREATE-19", "USER-02"), needs);
  }
  return true;
}();

}  // namespace
}  // namespace netns
