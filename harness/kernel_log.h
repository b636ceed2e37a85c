// SPDX-License-Identifier: GPL-2.0-or-later
// The kernel's log (/dev/kmsg), cut per test, and the kernel's taint.
#pragma once

#include <string>
#include <vector>

#include "harness/fd.h"

namespace netns {

class KernelLog {
 public:
  /// Starts at the end of the log. Where /dev/kmsg cannot be read (dmesg_restrict) it stays silent.
  /// `markers`: this machine is the suite's own, so that Mark() may write to the log.
  explicit KernelLog(bool markers);
  bool readable() const { return reader_.valid(); }
  /// What has come since the last call, a line each, without the markers.
  std::vector<std::string> Drain();
  /// Writes a marker line, which shows on the console which test is in flight.
  void Mark(const std::string& text);
  /// True for a line that is a finding: WARNING, BUG, oops, hung task, lockdep, KASAN and their kin.
  static bool IsFinding(const std::string& line);
  /// /proc/sys/kernel/tainted.
  static unsigned long Taint();

 private:
  Fd reader_, writer_;
};

}  // namespace netns
