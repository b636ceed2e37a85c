// SPDX-License-Identifier: GPL-2.0-or-later
#include "harness/child.h"

#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <csignal>
#include <cstring>
#include <exception>

#include "harness/event.h"
#include "harness/isolation.h"
#include "harness/needs.h"
#include "harness/registration.h"

namespace netns {
namespace {

std::string current_where;

std::string Join(const std::string& outer, const std::string& inner) {
  return outer.empty() ? inner : inner.empty() ? outer : outer + "/" + inner;
}

void SendResult(const testing::TestPartResult& result) {
  if (result.passed()) return;
  Event event;
  event.kind = result.skipped() ? Event::Kind::kSkip : Event::Kind::kCheck;
  event.check = "expectation";
  event.file = result.file_name() != nullptr ? result.file_name() : "";
  event.line = result.line_number();
  event.fatal = result.fatally_failed();
  event.where = current_where;
  event.text = result.message();
  Send(event);
}

/// Sits behind both of GoogleTest's reporters. The listener sees what the default reporters pass on and keeps
/// HasFatalFailure() right; a process that was forked inside an intercepted scope (EXPECT_NONFATAL_FAILURE) has other
/// reporters in front, and there the two scoped ones take over.
class ResultListener : public testing::EmptyTestEventListener {
 public:
  void OnTestPartResult(const testing::TestPartResult& result) override { SendResult(result); }
};

bool listening = false;

class ResultInterceptor : public testing::ScopedFakeTestPartResultReporter {
 public:
  explicit ResultInterceptor(InterceptMode mode) : ScopedFakeTestPartResultReporter(mode, &unused_) {}
  void ReportTestPartResult(const testing::TestPartResult& result) override { SendResult(result); }

 private:
  static inline testing::TestPartResultArray unused_;
};

void SendCheck(const char* check, const std::string& text, const char* file = "", int line = 0) {
  Event event;
  event.check = check;
  event.text = text;
  event.fatal = true;
  event.file = file;
  event.line = line;
  event.where = current_where;
  Send(event);
}

void Guarded(const std::function<void()>& body) {
  try {
    body();
  } catch (const SetupFailure& failure) {
    SendCheck("setup", failure.what(), failure.where().file_name(), static_cast<int>(failure.where().line()));
  } catch (const MissingNeed& missing) {
    if (auto claimed = ClaimedAllTheSame(missing, InitialNetworkNamespace() >= 0)) {
      SendCheck("expectation", *claimed + ", but: " + missing.what());
      return;
    }
    Event event;
    event.kind = Event::Kind::kMiss;
    event.key = missing.code();
    event.text = missing.what();
    event.remedy = missing.remedy();
    Send(event);
  } catch (const std::exception& exception) {
    SendCheck("exit", std::string("threw an exception: ") + exception.what());
  } catch (...) {
    SendCheck("exit", "threw something that is no std::exception");
  }
}

}  // namespace

int RunReported(const std::string& where, const std::function<void()>& body) {
  current_where = Join(current_where, where);
  if (!listening) {
    listening = true;
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    delete listeners.Release(listeners.default_xml_generator());
    listeners.Append(new ResultListener);
    Guarded(body);
  } else {
    ResultInterceptor everywhere(ResultInterceptor::INTERCEPT_ALL_THREADS);
    ResultInterceptor here(ResultInterceptor::INTERCEPT_ONLY_CURRENT_THREAD);
    Guarded(body);
  }
  if (where.empty()) {
    if (const testing::TestInfo* info = testing::UnitTest::GetInstance()->current_test_info())
      for (int i = 0; i < info->result()->test_property_count(); ++i)
        Property(info->result()->GetTestProperty(i).key(), info->result()->GetTestProperty(i).value());
    Event done;
    done.kind = Event::Kind::kDone;
    Send(done);
  }
  std::fflush(nullptr);
  return 0;
}

Child Child::Start(std::string name, std::function<void()> body, unsigned long flags) {
  std::fflush(nullptr);
  Fd pidfd;
  auto pid = ForkWithFlags(flags, &pidfd);
  if (!pid.ok()) throw SetupFailure("fork of '" + name + "': " + pid.error().ToString(), pid.error().where);
  if (*pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::prctl(PR_SET_NAME, name.c_str());
    ::_exit(RunReported(name, body));
  }
  return Child(std::move(name), *pid, std::move(pidfd));
}

Child::~Child() {
  if (!pidfd_.valid()) return;
  ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0);
  ::waitpid(pid_, nullptr, 0);
}

Status Child::Signal(int signal) {
  if (::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0) < 0)
    return ErrnoError("pidfd_send_signal('" + name_ + "')");
  return Ok();
}

Status Child::Join(Deadline deadline) {
  RETURN_IF_ERROR(WaitForExit(pidfd_.get(), deadline, "the end of '" + name_ + "'"));
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pidfd_.Reset();
  if (status != 0) return Error{ECHILD, "'" + name_ + "' " + DescribeWaitStatus(status)};
  return Ok();
}

std::string DescribeWaitStatus(int status) {
  if (WIFSIGNALED(status)) {
    const char* name = sigabbrev_np(WTERMSIG(status));
    return std::string("was killed by SIG") + (name != nullptr ? name : std::to_string(WTERMSIG(status)));
  }
  return "exited with status " + std::to_string(WEXITSTATUS(status));
}

}  // namespace netns
