// SPDX-License-Identifier: GPL-2.0-or-later
// A multicast group of a bridge's port, as bridge(8) adds it: "bridge mdb add dev hub port port grp 239.1.2.3 permanent".
#pragma once

#include <arpa/inet.h>
#include <linux/if_bridge.h>
#include <linux/if_ether.h>

#include <string>

#include "suites/support/place.h"

namespace netns {

/// RTM_NEWMDB or RTM_DELMDB for the group.
inline Request BridgeGroup(Place& at, std::uint16_t type, std::uint16_t flags, const std::string& bridge, const std::string& port) {
  br_mdb_entry entry{};
  entry.ifindex = static_cast<__u32>(SETUP_OK(at->LinkByName(port)).index);
  entry.state = MDB_PERMANENT;
  entry.addr.proto = htons(ETH_P_IP);
  entry.addr.u.ip4 = htonl(0xEF010203u);
  br_port_msg header{};
  header.family = AF_BRIDGE;
  header.ifindex = static_cast<__u32>(SETUP_OK(at->LinkByName(bridge)).index);
  Request request(type, flags);
  request.Header(header).Structure(MDBA_SET_ENTRY, entry);
  return request;
}
/// Adds it as soon as the port forwards. MISS where the kernel was built without.
inline void AddBridgeGroup(Place& at, const std::string& bridge, const std::string& port) {
  const Request add = BridgeGroup(at, RTM_NEWMDB, NLM_F_CREATE | NLM_F_EXCL, bridge, port);
  SETUP_OK(Eventually("the port to forward", [&] {
    const Status added = at->socket().Ack(add);
    if (added.code() == EOPNOTSUPP) RequireBuiltIn(added, "BRIDGE_IGMP_SNOOPING");
    return added.ok();
  }));
}

}  // namespace netns
