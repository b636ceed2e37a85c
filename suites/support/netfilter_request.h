// SPDX-License-Identifier: GPL-2.0-or-later
// Requests to the subsystems of netfilter by netlink, from inside a namespace: linux/netfilter/nfnetlink.h.
#pragma once

#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>

#include "fixtures/net_namespace.h"
#include "fixtures/netlink.h"
#include "harness/assertions.h"

namespace netns {

inline NetlinkSocket NetfilterIn(const NetNamespace& ns) { return SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER)))); }

/// `subsystem`: NFNL_SUBSYS_*; `type`: of its messages.
inline Request NetfilterRequest(int subsystem, int type, std::uint16_t flags, const std::string& what, std::uint8_t family = AF_INET) {
  nfgenmsg header{};
  header.nfgen_family = family;
  Request request(static_cast<std::uint16_t>(subsystem << 8 | type), flags);
  request.Named(what).Header(header);
  return request;
}

}  // namespace netns
