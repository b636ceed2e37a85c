// SPDX-License-Identifier: GPL-2.0-or-later
// What the running kernel was configured with, from wherever it can be read.
#pragma once

#include <map>
#include <string>

namespace netns {

class KernelConfig {
 public:
  /// Reads /proc/config.gz, /boot/config-RELEASE, /lib/modules/RELEASE/{config,build/.config}, the first that is there.
  static const KernelConfig& Running();
  /// 'y', 'm', 'n' for CONFIG_<symbol>, '?' where no configuration could be read.
  char Value(const std::string& symbol) const;
  const std::string& source() const { return source_; }  ///< the file, "" for none
  const std::string& digest() const { return digest_; }  ///< FNV-1a of the file's text, 16 hex digits
  /// The module of an option that is not built in, where its name differs from the lower-case symbol.
  static std::string ModuleName(const std::string& symbol);
  /// Whether a module is loaded or built in (/sys/module, /proc/modules).
  static bool ModuleLoaded(const std::string& module);

 private:
  std::map<std::string, char> options_;
  std::string source_, digest_;
};

}  // namespace netns
