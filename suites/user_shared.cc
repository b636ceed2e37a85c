// SPDX-License-Identifier: GPL-2.0-or-later
// USER: the counters of all users of all user namespaces are in one table; the user is the same one here.
#include <sched.h>

#include "fixtures/net_namespace.h"
#include "fixtures/user_namespace.h"
#include "harness/assertions.h"
#include "harness/registration.h"

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

}  // namespace
}  // namespace netns
