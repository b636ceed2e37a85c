// SPDX-License-Identifier: GPL-2.0-or-later
// Sets of ipset(8) as iptables asks for them, by getsockopt(SO_IP_SET): linux/netfilter/ipset/ip_set.h.
#pragma once

#include <linux/netfilter/ipset/ip_set.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <string>

#include "fixtures/net_namespace.h"
#include "harness/assertions.h"

namespace netns {

/// What iptables asks to make a rule with a set: the number of a name (IP_SET_OP_GET_BYNAME). IPSET_INVALID_ID: none.
inline ip_set_id_t NumberOfSet(const NetNamespace& ns, const std::string& name) {
  const Fd socket = SETUP_OK(ns.Socket(AF_INET, SOCK_RAW, IPPROTO_RAW));
  ip_set_req_get_set request{};
  request.op = IP_SET_OP_GET_BYNAME;
  request.version = 6;
  name.copy(request.set.name, sizeof request.set.name - 1);
  socklen_t size = sizeof request;
  if (::getsockopt(socket.get(), SOL_IP, 83 /* SO_IP_SET */, &request, &size) < 0) SETUP_OK(Status(ErrnoError("getsockopt(SO_IP_SET)")));
  return request.set.index;
}

}  // namespace netns
