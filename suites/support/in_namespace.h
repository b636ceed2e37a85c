// SPDX-License-Identifier: GPL-2.0-or-later
// Small steps that many tests of /proc, sysctls and firewalls take inside a namespace.
#pragma once

#include <sys/socket.h>

#include <string>

#include "fixtures/actor.h"
#include "fixtures/net_namespace.h"
#include "fixtures/rtnl.h"

namespace netns {

/// rtnetlink inside a namespace.
inline Rtnl RtnlIn(const NetNamespace& ns) {
  return SetupOk(Rtnl::In(ns), "Rtnl::In");
}
/// rtnetlink in the namespace of an actor.
inline Rtnl RtnlIn(Actor& actor) {
  return SetupOk(actor.Run([] { return Rtnl::Open(); }), "Rtnl::Open");
}

/// Whether an error means that the kernel was built without the thing that was asked for.
inline bool NotCompiledIn(int code) {
  return code == EOPNOTSUPP || code == EPROTONOSUPPORT || code == EAFNOSUPPORT || code == ENOPROTOOPT ||
         code == ESOCKTNOSUPPORT;
}
/// The value of a step that needs CONFIG_<symbol>: MISS where the kernel has no such thing, ERROR where it fails otherwise.
template <class T>
T NeedsConfig(const std::string& symbol, Result<T> result, const char* step) {
  if (!result.ok() && NotCompiledIn(result.code()))
    throw MissingNeed("needs-config:" + symbol, "the kernel has no CONFIG_" + symbol + ": " + result.error().ToString(),
                      "use a kernel with CONFIG_" + symbol);
  return SetupOk(std::move(result), step);
}

/// A virtual Ethernet pair inside one namespace: devices that need no other namespace.
inline void AddPair(Rtnl& rtnl, const std::string& one, const std::string& two) {
  NeedsConfig("VETH", rtnl.AddVeth(one, PeerSpec{.name = two}), "a veth pair");
}

inline void LoopbackUp(const NetNamespace& ns) {
  auto rtnl = RtnlIn(ns);
  SetupOk(rtnl.Up("lo"), "lo up");
}

}  // namespace netns
