// SPDX-License-Identifier: GPL-2.0-or-later
#include "harness/wait.h"

#include <poll.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <thread>

#include "harness/patience.h"

namespace netns {
namespace {

char* shared_report = nullptr;
std::size_t shared_size = 0;
std::optional<Deadline> test_deadline;
std::chrono::milliseconds test_time{0};  // from the beginning of the test to its deadline
std::chrono::milliseconds patience = std::chrono::hours(24), vain{0};  // `vain`: what this process has lost already

/// How long the next wait may be in vain.
std::chrono::milliseconds PatienceLeft() { return std::max(patience - vain, patience / 10); }

/// After a wait in vain. A short one was meant to be: a test that shows that nothing comes.
void LoseTime(Deadline::Clock::duration waited) {
  using namespace std::chrono_literals;
  if (waited >= 1s) vain += std::chrono::duration_cast<std::chrono::milliseconds>(waited);
}

}  // namespace

void SetPatience(std::chrono::milliseconds time) { patience = time; }

void SetWaitReport(char* shared, std::size_t size) {
  shared_report = shared;
  shared_size = size;
}

void SetTestDeadline(Deadline deadline) {
  test_deadline = deadline;
  test_time = std::chrono::duration_cast<std::chrono::milliseconds>(deadline.at() - Deadline::Clock::now());
}

Deadline Deadline::OfTest() {
  using namespace std::chrono_literals;
  if (!test_deadline) return Deadline::In(10s);
  // A tenth of what is left stays for the report.
  auto left = std::chrono::duration_cast<std::chrono::milliseconds>(test_deadline->at() - Clock::now());
  return Deadline::In(std::max(left - std::clamp<std::chrono::milliseconds>(left / 10, 50ms, 1000ms), 1ms));
}

Deadline Deadline::OfKernelWork() {
  using namespace std::chrono_literals;
  // More where the test was given more time: an emulated CPU that others want too has taken 40 seconds.
  return Deadline(std::min(Deadline::In(std::clamp<std::chrono::milliseconds>(test_time / 2, 30s, 90s)).at_, OfTest().at_));
}

int Deadline::PollMs() const {
  auto left = std::chrono::ceil<std::chrono::milliseconds>(at_ - Clock::now()).count();
  return static_cast<int>(std::clamp<long long>(left, 0, 1 << 30));
}

WaitingFor::WaitingFor(std::string_view what) {
  if (shared_report == nullptr) return;
  outer_ = Current();
  std::size_t n = std::min(what.size(), shared_size - 1);
  std::memcpy(shared_report, what.data(), n);
  shared_report[n] = '\0';
}

WaitingFor::~WaitingFor() {
  if (shared_report == nullptr) return;
  std::memcpy(shared_report, outer_.c_str(), outer_.size() + 1);
}

std::string WaitingFor::Current() {
  if (shared_report == nullptr) return {};
  return std::string(shared_report, strnlen(shared_report, shared_size - 1));
}

Status WaitFor(int fd, short events, Deadline deadline, std::string_view what) {
  WaitingFor report(what);
  const auto begun = Deadline::Clock::now();
  const Deadline patient = Deadline::In(PatienceLeft());
  const Deadline until = patient.at() < deadline.at() ? patient : deadline;
  for (;;) {
    pollfd poll_fd{fd, events, 0};
    int n = ::poll(&poll_fd, 1, until.PollMs());
    if (n > 0) return Ok();
    if (n == 0) {
      LoseTime(Deadline::Clock::now() - begun);
      return Error{ETIMEDOUT, "waiting for " + std::string(what)};
    }
    if (errno != EINTR) return ErrnoError("poll, waiting for " + std::string(what));
  }
}

Status WaitForExit(int pidfd, Deadline deadline, std::string_view what) {
  return WaitFor(pidfd, POLLIN, deadline, what);
}

Status Eventually(std::string_view what, const std::function<bool()>& probe, Deadline deadline,
                  const std::function<std::string()>& describe) {
  WaitingFor report(what);
  const auto begun = Deadline::Clock::now();
  for (auto pause = std::chrono::milliseconds(1);; pause = std::min(pause * 2, std::chrono::milliseconds(50))) {
    if (probe()) return Ok();
    const auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(Deadline::Clock::now() - begun);
    if (deadline.Passed() || waited >= PatienceLeft()) {
      LoseTime(waited);
      std::string text = "waiting for " + std::string(what);
      if (describe) text += "; last seen: " + describe();
      return Error{ETIMEDOUT, text};
    }
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace netns
