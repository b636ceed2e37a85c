// SPDX-License-Identifier: GPL-2.0-or-later
// Namespaces whose end is watched from two sides: by the kernel's own count of them (FreedOracle), and by a veth(4) end
// inside, which is destroyed with the namespace, so that its other end vanishes from the test's namespace.
//
// That a namespace is NOT freed is shown with a fence: another one dies after it. The kernel frees in batches, in order,
// and unregisters the devices of a whole batch before it counts any of it as gone; so when the fence is gone and the
// veth's other end is still here, the namespace has survived, whatever time that took (net/core/net_namespace.c,
// cleanup_net()).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "fixtures/holders.h"
#include "fixtures/net_namespace.h"
#include "fixtures/rtnl.h"
#include "harness/assertions.h"
#include "harness/registration.h"

namespace netns {

class Watched {
 public:
  /// Up to `limit` namespaces alive or being freed at once.
  explicit Watched(int limit = 1) : oracle_(limit), fence_(1), here_(SetupOk(Rtnl::Open(), "rtnetlink")) {}

  FreedOracle& oracle() { return oracle_; }
  /// rtnetlink in the test's own namespace, where the outer ends are.
  Rtnl& here() { return here_; }

  /// Puts a veth end "inside" into a namespace; its other end is `outside`, here.
  void Watch(int namespace_fd, const std::string& outside = "outside") {
    SetupOk(here_.AddVeth(outside, PeerSpec{.name = "inside", .netns_fd = namespace_fd}), "a veth pair across the namespaces");
  }
  /// A namespace with its witness; the descriptor is its only pin.
  NetNamespace Create(const std::string& outside = "outside") {
    auto made = SetupOk(oracle_.CreateWhenRoom(), "a counted namespace");
    Watch(made.fd(), outside);
    return made;
  }
  /// A process that is the only member of a namespace with its witness, and its only pin.
  Actor StartMember(const std::string& name = "member", const std::string& outside = "outside") {
    Actor member = oracle_.StartMember(name);
    Watch(SetupOk(NetNamespace::OfPid(member.pid()), "its namespace").fd(), outside);
    return member;
  }

  /// Whether the outer end is still here.
  bool Present(const std::string& outside = "outside") {
    auto link = here_.LinkByName(outside);
    if (!link.ok() && link.code() != ENODEV) SetupOk(std::move(link), "looking for the veth end");
    return link.ok();
  }
  /// Lets another namespace die after whatever has been let go so far, and waits until the kernel is done with it.
  void Fence() {
    SetupOk(fence_.CreateWhenRoom(), "the fence");
    auto gone = fence_.WaitUntilFreed();
    if (!gone.ok())
      ADD_FAILURE() << "control: a namespace without any member or other pin was not freed: " << gone.error().ToString();
  }
  /// Waits until the outer end has vanished; when it does not in time, the error lists what holds the namespaces.
  Status UntilGone(const std::string& what, const std::string& outside = "outside", Deadline deadline = Deadline::OfKernelWork()) {
    return Eventually(what, [&] { return !Present(outside); }, deadline,
                      [&] { return HoldersBelow(oracle_.user_namespace_fd()); });
  }
  /// Expects that the namespace has not been freed by now.
  void ExpectStays(const std::string& why, const std::string& outside = "outside") {
    Fence();
    EXPECT_TRUE(Present(outside)) << "the namespace was freed (its veth was destroyed) although " << why;
  }
  /// Expects that one of the counted namespaces is freed in time, and its veth with it.
  void ExpectFreed(const std::string& why, const std::string& outside = "outside") {
    auto freed = oracle_.WaitUntilFreed();
    if (!freed.ok()) {
      ADD_FAILURE() << "the namespace was not freed although " << why << ": " << freed.error().ToString()
                    << (Present(outside) ? "; its veth is still there" : "; its veth is gone");
    } else {
      EXPECT_FALSE(Present(outside)) << "the kernel counts the namespace as freed, but its veth is still there, although " << why;
    }
  }

 private:
  FreedOracle oracle_, fence_;
  Rtnl here_;
};

}  // namespace netns
