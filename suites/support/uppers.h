// SPDX-License-Identifier: GPL-2.0-or-later
// Devices that stand on another one (vlan, macvlan, macsec, ipvlan, xfrm) or send through the namespace in which they were made
// (tunnels): one row for each kind, so that a rule for all of them is checked for each.
#pragma once

#include <arpa/inet.h>
#include <linux/if_tunnel.h>

#include <array>
#include <cerrno>
#include <functional>
#include <string>
#include <vector>

#include "suites/support/place.h"

namespace netns {

struct UpperKind {
  const char* name;    ///< In a test's name.
  const char* symbol;  ///< The kernel option that it needs.
  const char* kind;    ///< For rtnetlink.
  bool on_a_device;    ///< IFLA_LINK names the device below.
  bool ipv6;           ///< Sends IPv6.
  bool carries_ipv6;   ///< Only IPv6 fits into it (sit).
  int clash;           ///< The errno for a second one with the same key in one namespace; 0 for none.
  /// Attributes of device number `nr`, which has `local` and `remote` as its ends where it is a tunnel.
  std::function<void(Request&, int nr, int lower, const std::string& local, const std::string& remote)> data;
};

/// An address as netlink wants it.
inline void PutAddress(Request& request, std::uint16_t type, const std::string& text) {
  std::array<std::byte, 16> bytes{};
  const bool v6 = text.find(':') != std::string::npos;
  if (::inet_pton(v6 ? AF_INET6 : AF_INET, text.c_str(), bytes.data()) != 1)
    throw SetupFailure("'" + text + "' is no IP address", std::source_location::current());
  request.Raw(type, Bytes(bytes).first(v6 ? 16 : 4));
}

inline const std::vector<UpperKind>& UpperKinds() {
  using Text = const std::string&;
  static const auto iptun = [](Request& r, int, int, Text local, Text remote) {
    PutAddress(r, IFLA_IPTUN_LOCAL, local);
    PutAddress(r, IFLA_IPTUN_REMOTE, remote);
    r.U8(IFLA_IPTUN_TTL, 64);
    r.U8(IFLA_IPTUN_PMTUDISC, 1);
  };
  static const auto gre = [](Request& r, int, int, Text local, Text remote) {
    PutAddress(r, IFLA_GRE_LOCAL, local);
    PutAddress(r, IFLA_GRE_REMOTE, remote);
    r.U8(IFLA_GRE_TTL, 64);
    r.U8(IFLA_GRE_PMTUDISC, 1);
  };
  static const auto vti = [](Request& r, int, int, Text local, Text remote) {
    PutAddress(r, IFLA_VTI_LOCAL, local);
    PutAddress(r, IFLA_VTI_REMOTE, remote);
    r.Be32(IFLA_VTI_IKEY, 7).Be32(IFLA_VTI_OKEY, 7);
  };
  static const auto ip6tnl = [](Request& r, int, int, Text local, Text remote) {
    PutAddress(r, IFLA_IPTUN_LOCAL, local);
    PutAddress(r, IFLA_IPTUN_REMOTE, remote);
    r.U8(IFLA_IPTUN_PROTO, 0);  // both IPv4 and IPv6 inside
    r.U8(IFLA_IPTUN_TTL, 64);
    r.U32(IFLA_IPTUN_FLAGS, 0x1 /* IP6_TNL_F_IGN_ENCAP_LIMIT */);
  };
  static const auto ip6gre = [](Request& r, int, int, Text local, Text remote) {
    PutAddress(r, IFLA_GRE_LOCAL, local);
    PutAddress(r, IFLA_GRE_REMOTE, remote);
    r.U8(IFLA_GRE_TTL, 64);
    r.U32(IFLA_GRE_FLAGS, 0x1);
  };
  static const auto vxlan = [](Request& r, int nr, int, Text local, Text remote) {
    const bool v6 = remote.find(':') != std::string::npos;
    r.U32(IFLA_VXLAN_ID, static_cast<std::uint32_t>(100 + nr));
    PutAddress(r, v6 ? IFLA_VXLAN_LOCAL6 : IFLA_VXLAN_LOCAL, local);
    PutAddress(r, v6 ? IFLA_VXLAN_GROUP6 : IFLA_VXLAN_GROUP, remote);
    r.Be16(IFLA_VXLAN_PORT, 4789);
  };
  static const auto geneve = [](Request& r, int nr, int, Text, Text remote) {
    const bool v6 = remote.find(':') != std::string::npos;
    r.U32(IFLA_GENEVE_ID, static_cast<std::uint32_t>(100 + nr));
    PutAddress(r, v6 ? IFLA_GENEVE_REMOTE6 : IFLA_GENEVE_REMOTE, remote);
    r.Be16(IFLA_GENEVE_PORT, 6081);
  };
  static const std::vector<UpperKind> kinds = {
      {"Vlan", "VLAN_8021Q", "vlan", true, false, false, EEXIST,
       [](Request& r, int nr, int, Text, Text) { r.U16(IFLA_VLAN_ID, static_cast<std::uint16_t>(10 + nr)); }},
      {"Macvlan", "MACVLAN", "macvlan", true, false, false, 0,
       [](Request& r, int, int, Text, Text) { r.U32(IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE); }},
      {"Macvtap", "MACVTAP", "macvtap", true, false, false, 0,
       [](Request& r, int, int, Text, Text) { r.U32(IFLA_MACVLAN_MODE, MACVLAN_MODE_BRIDGE); }},
      {"Macsec", "MACSEC", "macsec", true, false, false, EBUSY,
       [](Request& r, int nr, int, Text, Text) { r.Be16(IFLA_MACSEC_PORT, static_cast<std::uint16_t>(1 + nr)); }},
      {"Ipvlan", "IPVLAN", "ipvlan", true, false, false, 0,
       [](Request& r, int, int, Text, Text) { r.U16(IFLA_IPVLAN_MODE, IPVLAN_MODE_L2); }},
      {"Xfrm", "XFRM_INTERFACE", "xfrm", false, false, false, EEXIST,
       [](Request& r, int nr, int lower, Text, Text) {
         r.U32(IFLA_XFRM_LINK, static_cast<std::uint32_t>(lower)).U32(IFLA_XFRM_IF_ID, static_cast<std::uint32_t>(nr + 1));
       }},
      {"Ipip", "NET_IPIP", "ipip", false, false, false, EEXIST, iptun},
      {"Sit", "IPV6_SIT", "sit", false, false, true, EEXIST, iptun},
      {"Gre", "NET_IPGRE", "gre", false, false, false, EEXIST, gre},
      {"Gretap", "NET_IPGRE", "gretap", false, false, false, EEXIST, gre},
      {"Vti", "NET_IPVTI", "vti", false, false, false, EEXIST, vti},
      {"Ip6tnl", "IPV6_TUNNEL", "ip6tnl", false, true, false, EEXIST, ip6tnl},
      {"Ip6gre", "IPV6_GRE", "ip6gre", false, true, false, EEXIST, ip6gre},
      {"Ip6gretap", "IPV6_GRE", "ip6gretap", false, true, false, EEXIST, ip6gre},
      {"Vti6", "IPV6_VTI", "vti6", false, true, false, EEXIST, vti},
      {"Vxlan", "VXLAN", "vxlan", false, false, false, EEXIST, vxlan},
      {"VxlanOverIpv6", "VXLAN", "vxlan", false, true, false, EEXIST, vxlan},
      {"Geneve", "GENEVE", "geneve", false, false, false, EBUSY, geneve},
      {"GeneveOverIpv6", "GENEVE", "geneve", false, true, false, EBUSY, geneve},
  };
  return kinds;
}

/// A device of the kind, number `nr`. Tunnels go from 192.0.2.1 to 192.0.2.(2+nr), or the same of 2001:db8::/64.
inline LinkSpec UpperSpec(const UpperKind& kind, const std::string& name, int lower, int nr = 0,
                          const std::string& local = {}, const std::string& remote = {}) {
  const std::string network = kind.ipv6 ? "2001:db8::" : "192.0.2.";
  LinkSpec spec{.name = name, .kind = kind.kind};
  if (kind.on_a_device) spec.link = LinkRef(lower);
  spec.data = [&kind, nr, lower, from = local.empty() ? network + "1" : local,
               to = remote.empty() ? network + std::to_string(2 + nr) : remote](Request& r) {
    kind.data(r, nr, lower, from, to);
  };
  return spec;
}

/// Whether one stays when the device that it stands on moves to another namespace: macsec dies of it.
inline bool OutlivesAMoveBelow(const UpperKind& kind) { return kind.on_a_device && std::string(kind.kind) != "macsec"; }

/// Adds one, or ends the test as MISS where the kernel has no such kind.
inline int AddUpper(Place& at, const UpperKind& kind, const std::string& name, int lower, int nr = 0) {
  Status added = at->AddLink(UpperSpec(kind, name, lower, nr));
  if (added.code() == EPFNOSUPPORT) throw MissingNeed("needs-config:IPV6", "the kernel has no CONFIG_IPV6: " + added.error().ToString());
  RequireBuiltIn(added, kind.symbol);
  SETUP_OK(std::move(added));
  return SETUP_OK(at->LinkByName(name)).index;
}

/// Since 5.14 a kernel tells what a namespace's cookie is; a stand-in for "5.13 or later" where nothing else tells.
inline bool HasNetnsCookie() { return NetNamespace::Current().Cookie().ok(); }

}  // namespace netns
