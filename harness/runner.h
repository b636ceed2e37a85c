// SPDX-License-Identifier: GPL-2.0-or-later
// Runs the registered tests under GoogleTest. GoogleTest stays the sequencer (its flags, filters, shards, repeats and
// reports work as they are): each registered test is a proxy whose body waits for its isolated process. With --jobs the
// runner starts the processes of the tests that come next ahead of time.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "harness/known_defects.h"
#include "harness/needs.h"

namespace netns {

struct RunnerOptions {
  std::string stream_path, machine_facts_path, skip_file, alone_file, progress = "auto";
  int jobs = 1;
  int shard = 1, shards = 1;  ///< runs each `shards`th of the selected tests, from the `shard`th on; the others are SKIP
  std::chrono::seconds deadline{30};
  bool disposable = false, full = false, host_guard = true;
  bool quick = false;  ///< of the selected tests only as many as cover all that these cover (harness/quick.h)
  bool miss_is_status_4 = false;  ///< exit status 4 where nothing ran but MISS and SKIP: for one test per ctest entry
  std::vector<std::string> command;
  std::string tool_version;
  std::vector<KnownDefect> known_defects;  ///< a failure that is one of these is MISS, code known-defect
  /// A requirement's text for failure messages: "port numbers are ... [ip(7)]"; "" for an unknown id.
  std::function<std::string(const std::string& id)> describe_requirement;
  /// Physical devices of the initial namespace that tests may lease: {driver, name} with mac and bus for the header.
  struct Device {
    std::string driver, name, mac, bus;
  };
  std::function<std::vector<Device>()> find_devices;
};

/// Exit statuses of every command (DESIGN.md section 4).
enum ExitStatus { kAllPassed = 0, kSomeFailed = 1, kUsage = 2, kBroken = 3, kForbiddenMiss = 4 };

/// Registers all tests with GoogleTest (after testing::InitGoogleTest), runs them, returns the exit status.
int RunTests(const RunnerOptions& options);

/// The list of `--list=json`.
std::string ListAsJson();

}  // namespace netns
