// SPDX-License-Identifier: GPL-2.0-or-later
#include "harness/host_guard.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <sstream>
#include <string_view>

#include "harness/fd.h"

namespace netns {
namespace {

/// Counters and caches that the kernel itself moves all the time.
bool MovesByItself(const std::string& path) {
  static constexpr std::array<std::string_view, 6> names{"nf_conntrack_count", "stable_secret", "tcp_fastopen_key",
                                                         "nf_conntrack_buckets", "mc_forwarding", "flush"};
  return std::any_of(names.begin(), names.end(), [&](auto name) { return path.find(name) != std::string::npos; });
}

/// The first column of each line, sorted: names without counters.
std::string FirstWords(const std::string& path, std::size_t skip_lines = 0) {
  auto text = ReadFile(path);
  if (!text.ok()) return {};
  std::vector<std::string> words;
  std::istringstream lines(*text);
  for (std::string line; std::getline(lines, line);) {
    if (skip_lines > 0) {
      --skip_lines;
      continue;
    }
    std::string word;
    std::istringstream(line) >> word;
    words.push_back(word);
  }
  std::sort(words.begin(), words.end());
  std::string joined;
  for (const auto& word : words) joined += word + " ";
  return joined;
}

std::string Listing(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  std::string joined;
  for (const auto& name : names) joined += name + " ";
  return joined;
}

std::string Content(const std::string& path) {
  auto text = ReadFile(path);
  return text.ok() ? *text : "";
}

std::string Shorten(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text.size() > 400 ? text.substr(0, 400) + "..." : text;
}

}  // namespace

HostSnapshot HostSnapshot::Cheap() {
  HostSnapshot snapshot;
  snapshot.state_["devices"] = FirstWords("/proc/net/dev", 2);
  snapshot.state_["mounts"] = Content("/proc/self/mounts");
  snapshot.state_["/run/netns"] = Listing("/run/netns");
  return snapshot;
}

HostSnapshot HostSnapshot::Whole() {
  HostSnapshot snapshot = Cheap();
  snapshot.state_["modules"] = FirstWords("/proc/modules");
  snapshot.state_["taint"] = Content("/proc/sys/kernel/tainted");
  snapshot.state_["addresses (IPv6)"] = Content("/proc/net/if_inet6");
  snapshot.state_["routes (IPv4)"] = FirstWords("/proc/net/route");
  snapshot.state_["local addresses (IPv4)"] = Content("/proc/net/fib_trie");
  snapshot.state_["iptables"] = Content("/proc/net/ip_tables_names") + Content("/proc/net/ip6_tables_names");
  std::error_code error;
  for (const char* root : {"/proc/sys/net", "/proc/sys/user"})
    for (auto entry = std::filesystem::recursive_directory_iterator(
             root, std::filesystem::directory_options::skip_permission_denied, error);
         entry != std::filesystem::recursive_directory_iterator(); entry.increment(error)) {
      if (error || !entry->is_regular_file(error) || MovesByItself(entry->path())) continue;
      snapshot.state_[entry->path()] = Content(entry->path());
    }
  return snapshot;
}

std::vector<std::string> HostSnapshot::DriftTo(const HostSnapshot& later) const {
  std::vector<std::string> drift;
  for (const auto& [what, before] : state_) {
    auto after = later.state_.find(what);
    if (after == later.state_.end())
      drift.push_back(what + ": gone (was \"" + Shorten(before) + "\")");
    else if (after->second != before)
      drift.push_back(what + ": \"" + Shorten(before) + "\" -> \"" + Shorten(after->second) + "\"");
  }
  for (const auto& [what, after] : later.state_)
    if (state_.count(what) == 0) drift.push_back(what + ": new (\"" + Shorten(after) + "\")");
  return drift;
}

}  // namespace netns
