// SPDX-License-Identifier: GPL-2.0-or-later
// The event stream of a run (docs/events.md): JSON Lines, one write(2) per line, nothing buffered.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "harness/fd.h"

namespace netns {

class Stream {
 public:
  /// No path: events go nowhere. A character device (a serial port) is opened as it is, a file is truncated.
  static Result<Stream> Open(const std::string& path);
  /// Adds "event" and "time" and writes the line. The first failure (no space left) is kept, see failure().
  void Write(const char* event, nlohmann::json line);
  /// The first write that failed, if one did: a run whose stream is not whole is no verdict.
  const std::string& failure() const { return failure_; }
  bool goes_somewhere() const { return fd_.get() >= 0; }
  int fd() const { return fd_.get(); }

 private:
  Fd fd_;
  std::string failure_, path_;
};

/// The `kernel` object of the header; `options` are the symbols that the tests need.
nlohmann::json KernelFacts(const std::vector<std::string>& options);

}  // namespace netns
