// SPDX-License-Identifier: GPL-2.0-or-later
// For a test that goes through many options of the kernel, of which it can do without any.
#pragma once

#include <string>

#include "harness/isolation.h"
#include "harness/kernel_config.h"

namespace netns {

/// Whether something of CONFIG_<symbol> may be used: to use a module that is not loaded loads it, which only a machine of the
/// suite's own may have done to it.
inline bool MayUse(const std::string& symbol) {
  if (InitialNetworkNamespace() >= 0) return true;
  const char value = KernelConfig::Running().Value(symbol);
  return value == 'y' || (value == 'm' && KernelConfig::ModuleLoaded(KernelConfig::ModuleName(symbol)));
}

}  // namespace netns
