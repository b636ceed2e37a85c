// SPDX-License-Identifier: GPL-2.0-or-later
// /sbin/modprobe of the guest: answers at once where the kernel asks for what no module of the guest is.
//
// Every look at a device name that does not exist makes the kernel ask for a module of that name, twice (dev_load() in
// net/core/dev_ioctl.c). Tests of absence do little else, and without an accelerator the start of a dynamically linked
// program with a library of compression formats takes longer than all the rest of such a test. So this one is small and
// static, and passes on (to /init, by libkmod) only what has a chance.
#include <fcntl.h>
#include <fnmatch.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <string_view>

namespace {

std::string ReadFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info {};
  std::string text;
  if (fd >= 0 && fstat(fd, &info) == 0) {
    text.resize(static_cast<std::size_t>(info.st_size));
    std::size_t have = 0;
    for (ssize_t got = 1; got > 0 && have < text.size(); have += static_cast<std::size_t>(std::max<ssize_t>(got, 0)))
      got = read(fd, text.data() + have, text.size() - have);
    text.resize(have);
  }
  if (fd >= 0) close(fd);
  return text;
}

/// Names of modules do not tell '-' from '_'.
std::string Plain(std::string_view name) {
  std::string plain(name);
  std::replace(plain.begin(), plain.end(), '-', '_');
  return plain;
}

template <class Function>
bool AnyLine(const std::string& text, Function&& matches) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    if (matches(std::string_view(text).substr(at, end - at))) return true;
    at = end + 1;
  }
  return false;
}

/// "kernel/drivers/net/dummy.ko: ..." of modules.dep.
bool IsModule(std::string_view line, const std::string& wanted) {
  const auto path = line.substr(0, line.find(':'));
  const auto name = path.substr(path.rfind('/') + 1);
  return Plain(name.substr(0, name.find(".ko"))) == wanted;
}

/// "alias rtnl-link-dummy dummy" of modules.alias.
bool IsAlias(std::string_view line, const std::string& wanted) {
  constexpr std::string_view kAlias = "alias ";
  if (line.size() <= kAlias.size() + 1 || line.substr(0, kAlias.size()) != kAlias) return false;
  line.remove_prefix(kAlias.size());
  if (line.front() != wanted.front() && line.front() != '*' && line.front() != '[') return false;
  return fnmatch(Plain(line.substr(0, line.find(' '))).c_str(), wanted.c_str(), 0) == 0;
}

bool MayBeThere(const std::string& name) {
  utsname kernel{};
  uname(&kernel);
  const std::string folder = std::string("/lib/modules/") + kernel.release;
  const std::string wanted = Plain(name);
  return !wanted.empty() &&
         (AnyLine(ReadFile(folder + "/modules.alias"), [&](std::string_view line) { return IsAlias(line, wanted); }) ||
          AnyLine(ReadFile(folder + "/modules.dep"), [&](std::string_view line) { return IsModule(line, wanted); }));
}

}  // namespace

/// The kernel calls "/sbin/modprobe -q -- ALIAS".
int main(int argc, char** argv) {
  if (argc < 2 || !MayBeThere(argv[argc - 1])) return 1;
  argv[0] = const_cast<char*>("modprobe");
  execv("/init", argv);
  return 1;
}
