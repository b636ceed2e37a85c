// SPDX-License-Identifier: GPL-2.0-or-later
// USER: the counters of all users of all user namespaces are in one table; the user is the same one here.
#include <linux/capability.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixtures/net_namespace.h"
#include "fixtures/user_namespace.h"
#include "harness/assertions.h"
#include "harness/registration.h"
#include "suites/support/between.h"
#include "suites/support/clone.h"

namespace netns {
namespace {

// namespaces(7): the limit "is a per-user limit" of the user namespace: of this one, whatever the same user has in others.
NETNS_TEST(User, TheLimitIsThatOfTheUserInOneUserNamespace, Covers("USER-14", "USER-17"), Needs(UserNs()), Within{std::chrono::seconds(60)}) {
  constexpr int kSiblings = 70;  // of which some meet in one of a thousand buckets
  std::vector<Actor> siblings;
  for (int i = 0; i < kSiblings; ++i) {
    siblings.push_back(Actor::Start("sibling-" + std::to_string(i)));
    SETUP_OK(EnterNewUserNamespace(siblings.back()));
    siblings.back().Run([] { SETUP_OK(WriteFile("/proc/sys/user/max_net_namespaces", "1")); });
  }
  for (int i = 0; i < kSiblings; ++i) {
    SCOPED_TRACE("sibling " + std::to_string(i));
    ASSERT_OK(siblings[static_cast<std::size_t>(i)].Unshare(CLONE_NEWNET))
        << "namespaces(7): the first of this user in this user namespace, and the limit is 1; it was counted with those of others";
  }
  for (int i = 0; i < kSiblings; i += 9)
    EXPECT_THAT(siblings[static_cast<std::size_t>(i)].Unshare(CLONE_NEWNET), FailsWith(ENOSPC)) << "control: the second";
}

// namespaces(7): "The limits ... apply to all users, including UID 0". Those of the initial user namespace to the root of the
// machine, who is bound by no other.
NETNS_TEST(User, TheLimitOfTheInitialUserNamespaceBindsItsRootToo, Covers("USER-15"), Needs(Machine(), UserNs()), Exclusive{}) {
  const std::string path = "/proc/sys/user/max_net_namespaces";
  const std::string before = SETUP_OK(ReadFile(path));
  Actor root = Actor::Start("root"), user = Actor::Start("user"), below = Actor::Start("below");
  ASSERT_TRUE(IsRealRoot());
  SETUP_OK(BecomeUser(user, 1000, {CAP_SYS_ADMIN}));
  SETUP_OK(EnterNewUserNamespace(below));
  const auto clone = [&](Call call) {
    return root.Run([&]() -> Status {
      ASSIGN_OR_RETURN(const pid_t pid, CloneBy(call, CLONE_NEWNET));
      if (pid == 0) ::_exit(0);
      ::waitpid(pid, nullptr, 0);
      return Ok();
    });
  };
  {
    Undo undo([&] { SETUP_OK(WriteFile(path, before)); });
    SETUP_OK(WriteFile(path, "0"));
    EXPECT_THAT(root.Unshare(CLONE_NEWNET), FailsWith(ENOSPC)) << "unshare(2) by UID 0 of the initial user namespace";
    EXPECT_THAT(root.Unshare(CLONE_NEWNET | CLONE_NEWUTS), FailsWith(ENOSPC)) << "unshare(2) by UID 0 of the initial user namespace, with another type";
    for (Call call : {Call::kClone, Call::kClone3})
      EXPECT_THAT(clone(call), FailsWith(ENOSPC)) << (call == Call::kClone ? "clone(2)" : "clone3(2)") << " by UID 0 of the initial user namespace";
    EXPECT_THAT(root.Unshare(CLONE_NEWUSER | CLONE_NEWNET), FailsWith(ENOSPC)) << "UID 0 of the initial user namespace, with a new user namespace";
    EXPECT_THAT(user.Unshare(CLONE_NEWNET), FailsWith(ENOSPC)) << "another user with CAP_SYS_ADMIN";
    EXPECT_THAT(below.Unshare(CLONE_NEWNET), FailsWith(ENOSPC)) << "root of a user namespace that UID 0 made";
    EXPECT_OK(root.Unshare(CLONE_NEWUTS)) << "control: another type";
  }
  for (Actor* each : {&root, &user, &below}) EXPECT_OK(each->Unshare(CLONE_NEWNET)) << "control: with the limit that was there before";
}

}  // namespace
}  // namespace netns
