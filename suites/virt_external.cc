// SPDX-License-Identifier: GPL-2.0-or-later
// VIRT: tunnels of which each packet says where it goes (ip-link(8), "external"). A namespace has one of a kind, apart from the
// others, and it sends through the namespace in which it was made.
#include <net/if.h>

#include <memory>

#include "suites/support/uppers.h"

namespace netns {
namespace {

struct ExternalKind {
  const char *name, *symbol, *kind;
  std::function<void(Request&)> data;
};
const std::vector<ExternalKind>& ExternalKinds() {
  static const auto gre = [](Request& r) { r.Flag(IFLA_GRE_COLLECT_METADATA); };
  static const auto iptun = [](Request& r) { r.Flag(IFLA_IPTUN_COLLECT_METADATA); };
  static const std::vector<ExternalKind> kinds = {
      {"Ipip", "NET_IPIP", "ipip", iptun},
      {"Gre", "NET_IPGRE", "gre", gre},
      {"Gretap", "NET_IPGRE", "gretap", gre},
      {"Ip6tnl", "IPV6_TUNNEL", "ip6tnl", iptun},
      {"Ip6gre", "IPV6_GRE", "ip6gre", gre},
      {"Vxlan", "VXLAN", "vxlan", [](Request& r) { r.U8(IFLA_VXLAN_COLLECT_METADATA, 1).Be16(IFLA_VXLAN_PORT, 4789); }},
      {"Geneve", "GENEVE", "geneve", [](Request& r) { r.Flag(IFLA_GENEVE_COLLECT_METADATA); }},
  };
  return kinds;
}

void DiesWithTheNamespaceWhereItWasMade(const ExternalKind& kind) {
  Place other;
  auto doomed = std::make_unique<Place>();
  const auto add = [&](Place& at, const char* name) { return at->AddLink({.name = name, .kind = kind.kind, .data = kind.data}); };
  Status first = add(*doomed, "moved");
  RequireBuiltIn(first, kind.symbol);
  ASSERT_OK(first);
  EXPECT_FALSE(add(*doomed, "second").ok()) << "control: a namespace has one";
  ASSERT_OK(add(other, "own")) << "ip-link(8): taken in another namespace";
  SETUP_OK((*doomed)->MoveLink("moved", other.ref()));
  EXPECT_FALSE(add(*doomed, "second").ok()) << "the one that moved is still that of the namespace where it was made";
  EXPECT_OK(other->LinkByName("moved")) << "control";
  doomed.reset();
  EXPECT_EVENTUALLY("the tunnel to go with the namespace through which it sends", [&] { return other->LinkByName("moved").code() == ENODEV; });
  EXPECT_OK(other->LinkByName("own")) << "the tunnel of this namespace went with that of another";
}
[[maybe_unused]] const bool registered = [] {
  for (const ExternalKind& kind : ExternalKinds()) {
    Needs needs{Config(kind.symbol)};
    if (std::string(kind.symbol).starts_with("IPV6")) needs.list.push_back(Config("IPV6"));
    RegisterBody("Virt", std::string("AnExternalTunnelDiesWithTheNamespaceBelow/") + kind.name, __FILE__, __LINE__,
                 [&kind] { DiesWithTheNamespaceWhereItWasMade(kind); }, Covers("VIRT-06", "VIRT-15"), needs);
  }
  return true;
}();

}  // namespace
}  // namespace netns
