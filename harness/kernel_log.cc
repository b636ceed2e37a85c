// SPDX-License-Identifier: GPL-2.0-or-later
#include "harness/kernel_log.h"

#include <array>
#include <cstdlib>
#include <string_view>

namespace netns {

KernelLog::KernelLog(bool markers) {
  if (auto reader = Open("/dev/kmsg", O_RDONLY | O_NONBLOCK); reader.ok()) {
    reader_ = std::move(*reader);
    ::lseek(reader_.get(), 0, SEEK_END);
  }
  if (markers)
    if (auto writer = Open("/dev/kmsg", O_WRONLY); writer.ok()) writer_ = std::move(*writer);
}

std::vector<std::string> KernelLog::Drain() {
  std::vector<std::string> lines;
  if (!reader_.valid()) return lines;
  char record[8192];
  for (;;) {
    ssize_t n = ::read(reader_.get(), record, sizeof record);
    if (n < 0 && (errno == EPIPE || errno == EINTR)) continue;  // EPIPE: the ring went past us; the next read goes on
    if (n <= 0) return lines;
    // "priority,sequence,time,flags;text\n KEY=value\n..."
    std::string_view text(record, static_cast<std::size_t>(n));
    std::size_t semicolon = text.find(';');
    if (semicolon == std::string_view::npos) continue;
    text.remove_prefix(semicolon + 1);
    text = text.substr(0, text.find('\n'));
    if (text.rfind("netns-conformance: ", 0) != 0) lines.emplace_back(text);
  }
}

void KernelLog::Mark(const std::string& text) {
  if (!writer_.valid()) return;
  std::string line = "<5>netns-conformance: " + text + "\n";
  [[maybe_unused]] ssize_t n = ::write(writer_.get(), line.data(), line.size());
}

bool KernelLog::IsFinding(const std::string& line) {
  static constexpr std::array<std::string_view, 23> signs{
      "WARNING: ",      "BUG: ",          "kernel BUG at", "Oops: ",           "Oops[",
      "general protection fault", "KASAN: ", "KMSAN: ",    "KCSAN: ",          "UBSAN: ",
      "INFO: task ",    "INFO: rcu_",     "rcu: INFO:",    "INFO: possible ",  "possible recursive locking",
      "suspicious RCU usage", "unregister_netdevice: waiting for", "refcount_t: ", "ref_tracker: ",
      "soft lockup",    "hard LOCKUP",    "kmemleak: ",    "list_add corruption"};
  for (std::string_view sign : signs)
    if (line.find(sign) != std::string::npos)
      // kmemleak announces its scan thread at boot; RCU stalls of a starved emulator are the machine's, not the kernel's.
      return line.find("kmemleak: Kernel memory leak detector initialized") == std::string::npos &&
             line.find("kmemleak: Automatic memory scanning") == std::string::npos;
  return false;
}

unsigned long KernelLog::Taint() {
  auto text = ReadFile("/proc/sys/kernel/tainted");
  return text.ok() ? std::strtoul(text->c_str(), nullptr, 10) : 0;
}

}  // namespace netns
