// SPDX-License-Identifier: GPL-2.0-or-later
#include "benchmarks/crowd.h"

#include <poll.h>
#include <sched.h>

#include <cstdio>

#include "harness/isolation.h"

namespace netns::bench {
namespace {

FreedOracle MakeOracle() {
  if (auto probe = ProbeUserNamespace(); !probe.ok())
    throw MissingNeed("needs-userns", "when a namespace is freed is told by a user namespace, and none can be made: " + probe.error().ToString(),
                      "allow user namespaces (CONFIG_USER_NS, kernel.unprivileged_userns_clone, AppArmor)");
  return FreedOracle(1);
}

std::string SoFar(const std::vector<double>& seconds) {
  char text[96];
  std::snprintf(text, sizeof text, "%zu namespaces, median %.1f us each", seconds.size(), Median(seconds) * 1e6);
  return text;
}

}  // namespace

Crowd::Crowd() : oracle_(MakeOracle()) {}

void Crowd::SetLimit(std::size_t limit) {
  Must(oracle_.keeper().Run([&] { return WriteFile("/proc/sys/user/max_net_namespaces", std::to_string(limit)); }));
}

std::vector<double> Crowd::Grow(int count, const std::function<void()>& inside) {
  SetLimit(pins_.size() + static_cast<std::size_t>(count) + 1);
  std::vector<double> seconds;
  seconds.reserve(static_cast<std::size_t>(count));
  pins_.reserve(pins_.size() + static_cast<std::size_t>(count));
  // A process of its own makes them: the keeper must hold none, or it would never be gone.
  Actor maker = Actor::Start("crowd");
  Must(maker.Enter(oracle_.user_namespace_fd(), CLONE_NEWUSER));
  Result<Done> failed = Ok();
  maker.Run([&] {
    while (seconds.size() < static_cast<std::size_t>(count) && !IsInterrupted()) {
      const StopWatch watch;
      const int made = ::unshare(CLONE_NEWNET);
      if (made == 0 && inside) inside();
      const double taken = made == 0 ? watch.Stop() : 0;
      if (made < 0) {
        failed = ErrnoError("unshare(CLONE_NEWNET)");
        return;
      }
      auto pin = Open("/proc/self/ns/net", O_RDONLY);
      if (!pin.ok()) {
        failed = pin.error();
        return;
      }
      pins_.push_back(std::move(*pin));
      seconds.push_back(taken);
    }
  });
  maker.Exit();
  CheckInterrupted();
  if (!failed.ok()) Fail(failed.error(), SoFar(seconds));
  return seconds;
}

NetNamespace Crowd::At(std::size_t index) const { return NetNamespace(SETUP_OK(pins_.at(index).Dup())); }

void Crowd::CloseAll() {
  pins_.clear();
  proof_.Reset();
}

double Crowd::LetGo() {
  SetLimit(1);
  return Timed([&] { CloseAll(); });
}

void Crowd::WaitUntilGone() {
  oracle_.keeper().Run([&] {
    const Deadline deadline = Deadline::OfTest();
    for (;;) {
      auto made = NetNamespace::TryCreate();
      if (made.ok()) {
        proof_ = made->Release();
        return;
      }
      if (made.code() != ENOSPC) Fail(made.error());
      if (deadline.Passed()) throw SetupFailure("the kernel did not free a crowd of namespaces in time", std::source_location::current());
      // As FreedOracle::WaitUntilFreed, but its pauses of up to 50 ms are longer than what is timed here.
      const timespec pause{0, 200'000};
      ::ppoll(nullptr, 0, &pause, nullptr);
    }
  });
}

double Crowd::FreeAndWait() {
  SetLimit(1);
  return Timed([&] {
    CloseAll();
    WaitUntilGone();
  });
}

void Crowd::PassFence() {
  Grow(1);
  LetGo();
  WaitUntilGone();
}

}  // namespace netns::bench
