// SPDX-License-Identifier: GPL-2.0-or-later
// A root that the kernel cannot mistake for the machine's.
#pragma once

#include <sched.h>

#include <string>

#include "fixtures/user_namespace.h"
#include "harness/assertions.h"

namespace netns {

/// Root of a new user namespace, in a network namespace that it owns: on the machine another user than root, where it can be.
inline Actor StartOtherRoot(const std::string& name) {
  Actor root = Actor::Start(name);
  if (IsRealRoot()) {
    SETUP_OK(EnterMappedUserNamespace(root, 100000, 65536));
  } else {
    SETUP_OK(EnterNewUserNamespace(root));
  }
  SETUP_OK(root.Unshare(CLONE_NEWNET));
  return root;
}

}  // namespace netns
