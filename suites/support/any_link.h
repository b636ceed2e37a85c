// SPDX-License-Identifier: GPL-2.0-or-later
// A virtual device of whichever kind this kernel has, for tests to which the kind does not matter.
#pragma once

#include <string>

#include "fixtures/net_namespace.h"
#include "fixtures/rtnl.h"
#include "harness/kernel_config.h"

namespace netns {

/// rtnetlink inside a namespace. Throws SetupFailure.
inline Rtnl RtnlIn(const NetNamespace& space) {
  return SetupOk(Rtnl::In(space), "rtnetlink inside a namespace");
}

/// A kind of single virtual device that can be made without loading a module; "" where there is none.
inline std::string AnyLinkKind() {
  const struct {
    const char *symbol, *kind;
  } kinds[] = {{"BRIDGE", "bridge"}, {"DUMMY", "dummy"}, {"IFB", "ifb"}};
  const auto& config = KernelConfig::Running();
  for (const auto& [symbol, kind] : kinds) {
    const char value = config.Value(symbol);
    if (value == 'y' || (value == 'm' && KernelConfig::ModuleLoaded(KernelConfig::ModuleName(symbol)))) return kind;
  }
  for (const auto& [symbol, kind] : kinds)  // on a machine of our own the guest's modprobe brings it
    if (config.Value(symbol) != 'n') return kind;
  return "";
}

/// Adds a device that no other namespace should see. MISS where the kernel has none of the kinds.
inline void AddAnyLink(Rtnl& rtnl, const std::string& name) {
  const std::string kind = AnyLinkKind();
  Status made = kind.empty() ? Status(Error{EOPNOTSUPP, "adding a link"}) : rtnl.AddLink({.name = name, .kind = kind});
  if (made.code() == EOPNOTSUPP)
    throw MissingNeed("needs-config:BRIDGE", "this kernel has neither bridge nor dummy nor ifb devices",
                      "build the kernel with CONFIG_BRIDGE or CONFIG_DUMMY");
  SetupOk(std::move(made), "adding a virtual device");
}

}  // namespace netns
