// SPDX-License-Identifier: GPL-2.0-or-later
// The only place where a test waits. Every wait has a deadline that is passed down, never restarted, and a sentence
// that says what it waits for; the sentence of the innermost wait is reported when a test's own deadline passes.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "harness/result.h"

namespace netns {

/// A point in time (CLOCK_MONOTONIC) by which something must have happened.
class Deadline {
 public:
  using Clock = std::chrono::steady_clock;
  static Deadline In(std::chrono::milliseconds time) { return Deadline(Clock::now() + time); }
  /// The deadline of the running test, less a margin in which a wait can still report its failure.
  /// In a process that runs no test: ten seconds from now.
  static Deadline OfTest();
  /// For what the kernel does in the background and without waiting for anyone, such as freeing a namespace: half of the test's
  /// time, at least 30 and at most 90 seconds (an emulated CPU under load takes one or two), but not beyond its deadline.
  static Deadline OfKernelWork();
  /// The time that is left in ms for poll(2), rounded up, never negative.
  int PollMs() const;
  bool Passed() const { return Clock::now() >= at_; }
  Clock::time_point at() const { return at_; }

 private:
  explicit Deadline(Clock::time_point at) : at_(at) {}
  Clock::time_point at_;
};

/// Waits until `fd` has one of `events` (poll(2): POLLIN, POLLOUT; POLLHUP and POLLERR count).
/// ETIMEDOUT when the deadline passes; the Error's text is "waiting for " + what.
Status WaitFor(int fd, short events, Deadline deadline, std::string_view what);

/// Waits until a process (a pidfd) has ended.
Status WaitForExit(int pidfd, Deadline deadline, std::string_view what);

/// For facts of which the kernel sends no event: asks `probe` again, with growing pauses (1 ms to 50 ms), until it
/// says true. ETIMEDOUT with the last `describe()` at the deadline. Success is immediate.
Status Eventually(std::string_view what, const std::function<bool()>& probe, Deadline deadline = Deadline::OfTest(),
                  const std::function<std::string()>& describe = {});

/// What the calling process waits for at this moment, in memory that outlives it (shared with the runner).
class WaitingFor {
 public:
  explicit WaitingFor(std::string_view what);
  ~WaitingFor();
  WaitingFor(const WaitingFor&) = delete;
  WaitingFor& operator=(const WaitingFor&) = delete;
  static std::string Current();

 private:
  std::string outer_;
};

/// Set by the runner before it forks a test: where WaitingFor writes (MAP_SHARED, `size` bytes), and the deadline.
void SetWaitReport(char* shared, std::size_t size);
void SetTestDeadline(Deadline deadline);

}  // namespace netns
