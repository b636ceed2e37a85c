// SPDX-License-Identifier: GPL-2.0-or-later
// What connection tracking knows a connection by, for requests that make one by hand: linux/netfilter/nfnetlink_conntrack.h.
#pragma once

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>

#include <cstdint>

#include "fixtures/netlink.h"

namespace netns {

/// Nests an IPv4 tuple (CTA_TUPLE_ORIG, CTA_EXPECT_MASK ...) into a request; ports in host order.
inline void NestTuple(Request& request, int type, std::uint8_t protocol, const char* from, const char* to, std::uint16_t sport, std::uint16_t dport) {
  request.Nest(static_cast<std::uint16_t>(type), [&](Request& nest) {
    in_addr source{}, target{};
    ::inet_pton(AF_INET, from, &source);
    ::inet_pton(AF_INET, to, &target);
    nest.Nest(CTA_TUPLE_IP, [&](Request& ip) { ip.U32(CTA_IP_V4_SRC, source.s_addr).U32(CTA_IP_V4_DST, target.s_addr); });
    nest.Nest(CTA_TUPLE_PROTO, [&](Request& proto) { proto.U8(CTA_PROTO_NUM, protocol).Be16(CTA_PROTO_SRC_PORT, sport).Be16(CTA_PROTO_DST_PORT, dport); });
  });
}

}  // namespace netns
