// SPDX-License-Identifier: GPL-2.0-or-later
// Whether this machine and kernel have what a test needs: probed before the test, by trying, never guessed.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "harness/registration.h"

namespace netns {

/// Why a test cannot run here (docs/events.md).
struct Reason {
  std::string code, text, remedy;
};

/// What is known of the machine before any test runs.
struct MachineState {
  bool disposable = false;
  bool real_root = false;       ///< namespaces can be made in the initial user namespace
  bool user_namespaces = false;
  std::string user_namespace_error;
  bool net_namespaces = false;  ///< CONFIG_NET_NS is set, or /proc/self/ns/net is there
  bool pid_namespaces = false;
  bool full = false;
  /// Devices that may be leased: {driver, name}.
  std::vector<std::pair<std::string, std::string>> nics;
  /// Models and drivers of the cards that the machine was made with; empty where nobody tells.
  std::set<std::string> cards;

  /// Probes everything but `disposable`, `full`, `nics` and `cards`.
  static MachineState Probe();
};

/// The first need of `spec` that is not met, if any.
std::optional<Reason> Missing(const TestSpec& spec, const MachineState& machine);

/// What shows that this kernel claims to have what a test found missing: an option that is built in or whose module is
/// loaded, or its version (asked only on a machine of the suite's own). Such a test fails; a MISS would hide the defect.
std::optional<std::string> ClaimedAllTheSame(const MissingNeed& missing, bool machine_of_its_own);

/// "nic:e1000:2" -> {"e1000", 2}; nullopt for another need.
std::optional<std::pair<std::string, int>> NicNeed(const std::string& need);

}  // namespace netns
