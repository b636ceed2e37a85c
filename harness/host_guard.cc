// SPDX-License-Identifier: GPL-2.0-or-later
#include "harness/host_guard.h"

#include <linux/fib_rules.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
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

/// /proc/net/ipv6_route without its counters: destination, source and next hop with their lengths, flags, device.
std::string Ipv6Routes() {
  std::vector<std::string> routes;
  std::istringstream lines(Content("/proc/net/ipv6_route"));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string to, to_length, from, from_length, by, metric, references, uses, flags, device;
    words >> to >> to_length >> from >> from_length >> by >> metric >> references >> uses >> flags >> device;
    // ff00::/8 and cloned entries (RTF_CACHE) come and go with traffic.
    if (to.rfind("ff", 0) != 0 && (std::strtoul(flags.c_str(), nullptr, 16) & 0x01000000) == 0)
      routes.push_back(to + "/" + to_length + " from " + from + "/" + from_length + " via " + by + " dev " + device);
  }
  std::sort(routes.begin(), routes.end());
  std::string joined;
  for (const auto& route : routes) joined += route + "\n";
  return joined;
}

/// What netlink answers to one request, in hexadecimal without the headers; "" where it is refused.
template <class Header>
std::string NetlinkAnswer(int protocol, std::uint16_t type, std::uint16_t flags, Header header) {
  Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!socket.valid()) return "";
  timeval limit{2, 0};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  struct {
    nlmsghdr nlh;
    Header header;
  } request{{sizeof request, type, static_cast<std::uint16_t>(NLM_F_REQUEST | flags), 1, 0}, header};
  if (::send(socket.get(), &request, sizeof request, 0) != sizeof request) return "";
  std::string answer;
  alignas(nlmsghdr) static char buffer[32 * 1024];
  for (;;) {
    ssize_t received = ::recv(socket.get(), buffer, sizeof buffer, 0);
    if (received <= 0) return "";
    auto left = static_cast<unsigned>(received);
    for (auto* message = reinterpret_cast<nlmsghdr*>(buffer); NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
      if (message->nlmsg_type == NLMSG_DONE) return answer;
      if (message->nlmsg_type == NLMSG_ERROR) return "";
      char digits[3];
      for (unsigned i = NLMSG_HDRLEN; i < message->nlmsg_len; ++i) {
        std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned char>(reinterpret_cast<char*>(message)[i]));
        answer += digits;
      }
      answer += ' ';
      if ((flags & NLM_F_DUMP) == 0) return answer;
    }
  }
}

std::string PolicyRules() { return NetlinkAnswer(NETLINK_ROUTE, RTM_GETRULE, NLM_F_DUMP, fib_rule_hdr{}); }

/// Every change of a ruleset makes a new generation. To ask would load the module, so only where it is there already.
std::string NftablesGeneration() {
  if (::access("/sys/module/nf_tables", F_OK) != 0) return "";
  return NetlinkAnswer(NETLINK_NETFILTER, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN, 0, nfgenmsg{AF_UNSPEC, NFNETLINK_V0, 0});
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
  snapshot.state_["routes (IPv4)"] = Content("/proc/net/route");
  snapshot.state_["routes (IPv6)"] = Ipv6Routes();
  snapshot.state_["policy rules"] = PolicyRules();
  snapshot.state_["nftables generation"] = NftablesGeneration();
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

void HostSnapshot::PutBackSysctls(const HostSnapshot& later) const {
  // Some write others along (ip_forward those of conf/*): the second time each has its own value.
  for (int round = 0; round < 2; ++round)
    for (const auto& [what, before] : state_) {
      auto after = later.state_.find(what);
      if (what.rfind("/proc/sys/", 0) == 0 && after != later.state_.end() && after->second != before)
        (void)WriteFile(what, before);
    }
}

}  // namespace netns
