// SPDX-License-Identifier: GPL-2.0-or-later
// Where benchmarks run: in user, pid, mount and network namespaces of their own, so that no root is needed, the machine's
// initial network namespace is never touched, and nothing is left behind, however the program ends.
//
//   supervisor (the user's process) ──clone──▶ worker (pid 1 of its namespace): benchmarks
//   signals, waits, awaits the kernel's freeing
#pragma once

#include <functional>

#include "fixtures/net_namespace.h"

namespace netns::bench {

/// Says that this machine is the suite's own: the worker keeps real root, and may use the initial namespace.
void SetDisposableMachine();
bool IsDisposableMachine();
/// Throws MissingNeed where the machine is not the suite's own.
NetNamespace InitialNamespace();

/// Runs `body` in the worker and gives its exit status. SIGINT and SIGTERM ask it to end (SetInterrupted); a second one
/// kills it. Either way this returns only when the kernel has freed all network namespaces, or says that it still does.
int RunInOwnWorld(const std::function<int()>& body);

}  // namespace netns::bench
