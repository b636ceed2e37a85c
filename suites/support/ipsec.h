// SPDX-License-Identifier: GPL-2.0-or-later
// Policies of IPsec for the datagrams of wire.h, by NETLINK_XFRM: linux/xfrm.h.
#pragma once

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>

#include "fixtures/netlink.h"
#include "suites/support/in_namespace.h"

namespace netns {

inline constexpr xfrm_lifetime_cfg kForEver{XFRM_INF, XFRM_INF, XFRM_INF, XFRM_INF, 0, 0, 0, 0};

/// MISS where the kernel has no XFRM_USER.
inline NetlinkSocket IpsecIn(const NetNamespace& ns) {
  return SETUP_OK(NetlinkSocket::Adopt(NeedsConfig("XFRM_USER", ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_XFRM), "a socket of xfrm")));
}
/// For datagrams to port 7001; `direction`: XFRM_POLICY_IN, _OUT, _FWD; `action`: XFRM_POLICY_ALLOW, _BLOCK.
inline xfrm_userpolicy_info DatagramPolicy(std::uint16_t family, std::uint8_t direction, std::uint8_t action) {
  xfrm_userpolicy_info policy{};
  policy.sel.family = family;
  policy.sel.proto = IPPROTO_UDP;
  policy.sel.dport = htons(7001);
  policy.sel.dport_mask = 0xFFFF;
  policy.lft = kForEver;
  policy.dir = direction;
  policy.action = action;
  return policy;
}
inline void BlockDatagrams(const NetNamespace& ns, std::uint16_t family, std::uint8_t direction) {
  auto socket = IpsecIn(ns);
  SETUP_OK(socket.Ack(Request(XFRM_MSG_NEWPOLICY, NLM_F_CREATE | NLM_F_EXCL).Header(DatagramPolicy(family, direction, XFRM_POLICY_BLOCK)).Named("a policy that blocks")));
}

}  // namespace netns
