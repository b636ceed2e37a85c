// SPDX-License-Identifier: GPL-2.0-or-later
// What the processes of a test tell the runner: one message per event through a pipe that every process of the test
// inherits. An exit code would lose skips, lines and messages; a message keeps them, also before a crash. (A pipe belongs
// to no network namespace. A socket of family AF_UNIX would be part of what is tested: where a kernel lets it send nothing
// any more when its owner is in another namespace, every test that enters one would end without a word.)
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>

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
  /// False where `message` is no event.
  static bool Decode(std::string_view message, Event& event);
};

/// The runner's side: puts together again what the processes of one test have written. A write(2) of up to PIPE_BUF bytes
/// to a pipe is not mixed with others (pipe(7)), so a message that is longer comes in pieces.
class EventReader {
 public:
  /// Reads what has come, from a non-blocking descriptor, and gives each message that is complete to `take`. False at the
  /// end: all who could write have gone.
  bool Read(int fd, const std::function<void(std::string_view)>& take);

 private:
  std::string unread_;
  std::map<std::pair<std::uint64_t, std::int64_t>, std::string> begun_;  ///< by time and thread of the sender
};

/// The event channel of this process's test, or -1 where none runs.
int EventChannel();
void SetEventChannel(int fd);
/// Sends an event; texts longer than some 50 000 bytes are cut. Blocks while the runner is slow; never fails loudly.
void Send(const Event& event);

/// Records a property of the running test at once (unlike testing::Test::RecordProperty it survives a crash).
void Property(std::string_view key, std::string_view value);

}  // namespace netns
