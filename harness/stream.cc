// SPDX-License-Identifier: GPL-2.0-or-later
#include "harness/stream.h"

#include <sys/stat.h>
#include <sys/utsname.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "harness/kernel_config.h"
#include "harness/kernel_log.h"

namespace netns {

Result<Stream> Stream::Open(const std::string& path) {
  Stream stream;
  if (path.empty()) return stream;
  stream.path_ = path;
  struct stat info{};
  bool device = ::stat(path.c_str(), &info) == 0 && S_ISCHR(info.st_mode);
  ASSIGN_OR_RETURN(stream.fd_, netns::Open(path, device ? O_WRONLY | O_NOCTTY : O_WRONLY | O_CREAT | O_TRUNC, 0644));
  return stream;
}

void Stream::Write(const char* event, nlohmann::json line) {
  if (!fd_.valid()) return;
  line["event"] = event;
  line["time"] = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  std::string text = line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  for (std::size_t done = 0; done < text.size();) {
    ssize_t n = ::write(fd_.get(), text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      if (failure_.empty()) failure_ = ErrnoError("write(\"" + path_ + "\")").ToString();
      return;
    }
    done += static_cast<std::size_t>(n);
  }
}

nlohmann::json KernelFacts(const std::vector<std::string>& options) {
  utsname names{};
  ::uname(&names);
  const KernelConfig& config = KernelConfig::Running();
  nlohmann::json values = nlohmann::json::object();
  for (const std::string& option : options) values[option] = std::string(1, config.Value(option));
  auto cmdline = ReadFile("/proc/cmdline");
  std::string command_line = cmdline.ok() ? *cmdline : "";
  while (!command_line.empty() && command_line.back() == '\n') command_line.pop_back();
  return {{"release", names.release},
          {"version", names.version},
          {"machine", names.machine},
          {"cmdline", command_line},
          {"tainted", KernelLog::Taint()},
          {"config", {{"source", config.source()}, {"digest", config.digest()}, {"options", values}}}};
}

}  // namespace netns
