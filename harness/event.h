// SPDX-License-Identifier: GPL-2.0-or-later
// What the processes of a test tell the runner: one datagram per event on a SOCK_SEQPACKET socket that every process of
// the test inherits. An exit code would lose skips, lines and messages; a datagram keeps them, also before a crash.
#pragma once

#include <string>
#include <string_view>

namespace netns {

struct Event {
  enum class Kind { kCheck, kSkip, kMiss, kProperty, kDone, kExit };
  Kind kind = Kind::kCheck;
  std::string check;    ///< kCheck: "expectation", "setup", "crash", "exit", "deadline", "leak" (docs/events.md)
  std::string file;     ///< kCheck, kSkip
  int line = 0;
  bool fatal = false;
  std::string where;    ///< the processes it came through, "" for the test body
  std::string key;      ///< kProperty: its name; kMiss: the reason code
  std::string text;     ///< message; the property's value; kMiss: the explanation
  std::string remedy;   ///< kMiss
  int status = 0;       ///< kExit: the wait status of the body

  std::string Encode() const;
  /// False where `datagram` is no event.
  static bool Decode(std::string_view datagram, Event& event);
};

/// The event channel of this process's test, or -1 where none runs.
int EventChannel();
void SetEventChannel(int fd);
/// Sends an event; long texts are cut to what a datagram holds. Blocks while the runner is slow; never fails loudly.
void Send(const Event& event);

/// Records a property of the running test at once (unlike testing::Test::RecordProperty it survives a crash).
void Property(std::string_view key, std::string_view value);

}  // namespace netns
