// SPDX-License-Identifier: GPL-2.0-or-later
// Sees whether a run changed the machine that it ran on: a snapshot before, one after, and what differs.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace netns {

class HostSnapshot {
 public:
  /// What is cheap enough to be looked at after every test: device names, mounts, /run/netns. Microseconds.
  static HostSnapshot Cheap();
  /// All of it: also addresses, routes, policy rules, the generation of nftables, the names of iptables' tables, modules,
  /// taint, and every readable file below /proc/sys/net and /proc/sys/user. Some ten milliseconds.
  static HostSnapshot Whole();
  /// One line for each difference, "what: before -> after".
  std::vector<std::string> DriftTo(const HostSnapshot& later) const;
  /// Writes the values of this snapshot back into the files below /proc/sys that differ in `later`; what else changed stays.
  void PutBackSysctls(const HostSnapshot& later) const;

 private:
  std::map<std::string, std::string> state_;
};

}  // namespace netns
