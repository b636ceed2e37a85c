// SPDX-License-Identifier: GPL-2.0-or-later
// /proc/sys/net as one namespace shows it, and other valid values for the files in it.
#pragma once

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fixtures/actor.h"
#include "fixtures/net_namespace.h"
#include "harness/fd.h"

namespace netns {

/// One file below /proc/sys/net. A file that cannot be read has "!EIO" and the like as its value.
struct SysctlFile {
  mode_t mode = 0;
  std::string value;
  bool writable() const { return (mode & 0200) != 0; }
  bool readable() const { return (mode & 0400) != 0; }
};
/// By path below /proc/sys/net: "ipv4/conf/lo/forwarding".
using SysctlTree = std::map<std::string, SysctlFile>;

/// A process in a namespace, that reads and writes its /proc/sys/net: one process for hundreds of files.
class SysctlView {
 public:
  explicit SysctlView(Actor actor) : actor_(std::move(actor)) {}
  SysctlView(const NetNamespace& ns, const std::string& name) : actor_(ns.StartActor(name)) {}

  Actor& actor() { return actor_; }

  std::string Read(const std::string& path) {
    return actor_.Run([&] { return ReadHere(path); });
  }
  Status Write(const std::string& path, const std::string& value) {
    return actor_.Run([&] { return WriteFile(kRoot + path, value); });
  }
  /// All files whose path `wanted` accepts. In the initial namespace other tests' devices come and go meanwhile: what a
  /// directory lists can then lack an entry that is there.
  SysctlTree Tree(const std::function<bool(const std::string&)>& wanted) {
    return actor_.Run([&] {
      SysctlTree tree;
      AddTree(kRoot, wanted, tree);
      return tree;
    });
  }

  /// Gives the file another valid value, by trying likely ones, and returns what it reads afterwards; nothing when the
  /// kernel takes none of them (a set of one scheduler, for example), or takes one and keeps the old one: `taken` tells.
  std::optional<std::string> Change(const std::string& path, bool* taken = nullptr) {
    auto [now, any_taken] = actor_.Run([&]() -> std::pair<std::optional<std::string>, bool> {
      std::string old = ReadHere(path);
      bool took = false;
      for (const std::string& value : OtherValues(path, old)) {
        if (!WriteFile(kRoot + path, value).ok()) continue;
        took = true;
        std::string shown = ReadHere(path);
        if (shown != old) return {shown, took};
      }
      return {std::nullopt, took};
    });
    if (taken != nullptr) *taken = any_taken;
    return now;
  }

  /// In the namespace of the calling thread: for many files within one Run() of the actor.
  static std::string ReadHere(const std::string& path) {
    auto text = ReadFile(kRoot + path);
    if (!text.ok()) return "!" + ErrnoName(text.code());
    while (!text->empty() && text->back() == '\n') text->pop_back();
    return *text;
  }

 private:
  static inline const std::string kRoot = "/proc/sys/net/";

  /// Directory by directory: one that goes away meanwhile would end a std::filesystem::recursive_directory_iterator.
  static void AddTree(const std::string& directory, const std::function<bool(const std::string&)>& wanted, SysctlTree& tree) {
    std::error_code gone;
    std::vector<std::filesystem::directory_entry> entries;
    for (std::filesystem::directory_iterator at(directory, gone), end; !gone && at != end; at.increment(gone)) entries.push_back(*at);
    for (const auto& entry : entries) {
      struct stat info{};
      const std::string name = entry.path().string(), path = name.substr(kRoot.size());
      if (entry.is_directory(gone))
        AddTree(name, wanted, tree);
      else if (wanted(path) && ::stat(name.c_str(), &info) == 0 && S_ISREG(info.st_mode))  // of a thousand files few are wanted
        tree[path] = {info.st_mode & 07777u, (info.st_mode & 0400) != 0 ? ReadHere(path) : "!write-only"};
    }
  }

  static std::vector<std::string> OtherValues(const std::string& path, const std::string& old) {
    auto ends = [&](std::string_view tail) { return std::string_view(path).ends_with(tail); };
    if (ends("/stable_secret")) return {"2001:db8::5ec:1", "2001:db8::5ec:2"};
    if (ends("tcp_fastopen_key")) return {"01020304-05060708-090a0b0c-0d0e0f10", "11020304-05060708-090a0b0c-0d0e0f10"};
    if (ends("ip_local_reserved_ports")) return {"8080", "8081"};
    if (ends("ping_group_range")) return {"0 0", "1\t0"};
    if (ends("ip_local_port_range")) return {"33000 60001", "33001 60003"};
    if (ends("tcp_congestion_control")) {
      std::vector<std::string> values;
      std::string allowed = ReadHere("ipv4/tcp_allowed_congestion_control") + " ";
      for (std::size_t at = 0, space; (space = allowed.find(' ', at)) != std::string::npos; at = space + 1)
        if (space > at) values.push_back(allowed.substr(at, space - at));
      return values;
    }
    if (ends("/ratemask") && old.find('-') != std::string::npos) return {"0-1,3-126", "0-1,3-125"};
    if (path.starts_with("netfilter/nf_log/")) return {"nfnetlink_log", "nf_log_syslog", "NONE"};
    if (ends("sctp/cookie_hmac_alg")) return {"sha256", "sha1", "md5", "none"};
    if (ends("sctp/plpmtud_probe_interval")) return {"5000", "5001"};  // 0 or at least 5000
    if (ends("path_manager")) return {"userspace", "kernel"};
    if (ends("rps_default_mask")) return {"1", "0"};
    // Numbers, separated by blanks: the last one is changed, which for minimum-default-maximum stays in order.
    std::size_t begin = old.find_last_of(" \t");
    begin = begin == std::string::npos ? 0 : begin + 1;
    std::string head = old.substr(0, begin), number = old.substr(begin);
    char* rest = nullptr;
    errno = 0;
    long long value = std::strtoll(number.c_str(), &rest, 10);
    if (number.empty() || *rest != '\0') return {};
    std::vector<std::string> values;
    if (errno == ERANGE || value > (1ll << 61)) {  // near the top of 64 bits: only down
      unsigned long long top = std::strtoull(number.c_str(), nullptr, 10);
      return {head + std::to_string(top - 1), head + std::to_string(top / 2)};
    }
    // Some files count in clock ticks and round small steps away.
    for (long long other : {value + 1, value - 1, value + 10, value - 10, value + 100, value * 2, value / 2, value + 4096,
                            value - 4096, 0ll, 1ll, 2ll, 10'000ll, 200'000ll})
      if (other != value) values.push_back(head + std::to_string(other));
    return values;
  }

  Actor actor_;
};

/// The paths present in both trees whose values differ, "path: 'old' became 'new'". Paths of one tree only are left out:
/// a module that another test loads may add a directory to every namespace at any time.
inline std::vector<std::string> Differences(const SysctlTree& before, const SysctlTree& after) {
  std::vector<std::string> differences;
  for (const auto& [path, file] : before)
    if (auto now = after.find(path); now != after.end() && now->second.value != file.value)
      differences.push_back(path + ": '" + file.value + "' became '" + now->second.value + "'");
  return differences;
}

}  // namespace netns
