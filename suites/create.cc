// SPDX-License-Identifier: GPL-2.0-or-later
// CREATE: unshare(2), clone(2) and setns(2) with CLONE_NEWNET.
#include <sched.h>
#include <sys/socket.h>

#include "fixtures/net_namespace.h"
#include "harness/assertions.h"
#include "harness/registration.h"

namespace netns {
namespace {

// unshare(2): "CLONE_NEWNET ... so that the calling process is moved into a new network namespace".
NETNS_TEST(Create, UnshareMovesTheCallerIntoANewNamespace, Covers("CREATE-01")) {
  Actor actor = Actor::Start("caller");
  auto before = SETUP_OK(NetNamespace::OfPid(actor.pid()));
  ASSERT_OK(actor.Unshare(CLONE_NEWUTS));
  EXPECT_TRUE(SETUP_OK(NetNamespace::OfPid(actor.pid())).Is(before)) << "control: CLONE_NEWUTS must not touch it";
  ASSERT_OK(actor.Unshare(CLONE_NEWNET));
  EXPECT_FALSE(SETUP_OK(NetNamespace::OfPid(actor.pid())).Is(before));
  EXPECT_TRUE(NetNamespace::Current().Is(before)) << "the namespace of another process changed";
}

NETNS_TEST(Life, NamespaceIsFreedWhenItsLastProcessTerminates, Covers("LIFE-01")) {
  FreedOracle oracle;
  Actor member = oracle.StartMember("member");
  EXPECT_THAT(oracle.HasRoom(), Holds(false)) << "control: the namespace is alive";
  member.Exit();
  EXPECT_OK(oracle.WaitUntilFreed());
}

}  // namespace
}  // namespace netns
