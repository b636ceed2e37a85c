// SPDX-License-Identifier: GPL-2.0-or-later
// Many network namespaces at once, and the moment at which the kernel has really freed the last of them.
//
// They are made in a private user namespace (FreedOracle). Its user.max_net_namespaces is set to 1 before they are let go:
// creation answers ENOSPC there until the last of them is gone, whatever their number.
#pragma once

#include <functional>
#include <vector>

#include "benchmarks/bench.h"
#include "fixtures/net_namespace.h"

namespace netns::bench {

class Crowd {
 public:
  Crowd();
  Crowd(Crowd&&) = default;

  /// Makes `count` more, each by unshare(2) in one process, each pinned by a descriptor only. `inside` runs in the new
  /// namespace and is part of the time. Gives the seconds of each.
  std::vector<double> Grow(int count, const std::function<void()>& inside = {});
  std::size_t size() const { return pins_.size(); }
  /// The namespace of that number.
  NetNamespace At(std::size_t index) const;

  /// Closes all descriptors: what the caller sees of destruction. Gives its seconds.
  double LetGo();
  /// Waits until the kernel has freed all that were let go. One new namespace, which proves it, stays alive until the next
  /// LetGo(), so that nothing is being freed while the next ones are timed.
  void WaitUntilGone();
  /// Both, from the first close(2) on.
  double FreeAndWait();
  /// Waits until every network namespace, of whomever, that lost its last reference before is freed: the kernel frees them
  /// in that order, so one that is let go now serves as a fence.
  void PassFence();

 private:
  void SetLimit(std::size_t limit);
  void CloseAll();
  FreedOracle oracle_;
  std::vector<Fd> pins_;
  Fd proof_;
};

}  // namespace netns::bench
