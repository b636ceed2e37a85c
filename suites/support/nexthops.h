// SPDX-License-Identifier: GPL-2.0-or-later
// Nexthop objects of one namespace (ip-nexthop(8)).
#pragma once

#include "suites/support/sockets.h"

// After the C library's headers.
#include <linux/nexthop.h>

namespace netns::sock {

inline Status AddNexthop(const NetNamespace& where, const Family& family, std::uint32_t id, int device, const std::string& via = {}) {
  Rtnl rtnl = RtnlIn(where);
  Request request(RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_EXCL);
  nhmsg header{};
  header.nh_family = static_cast<unsigned char>(family.domain);
  header.nh_protocol = RTPROT_STATIC;
  request.Named("add nexthop " + std::to_string(id)).Header(header).U32(NHA_ID, id).U32(NHA_OIF, static_cast<std::uint32_t>(device));
  if (!via.empty()) {
    std::byte bytes[16];
    ::inet_pton(family.domain, via.c_str(), bytes);
    request.Raw(NHA_GATEWAY, Bytes(bytes, family.domain == AF_INET ? 4 : 16));
  }
  return rtnl.socket().Ack(request);
}
inline Status AddGroup(const NetNamespace& where, std::uint32_t id, const std::vector<std::uint32_t>& members) {
  Rtnl rtnl = RtnlIn(where);
  std::vector<nexthop_grp> group;
  for (std::uint32_t member : members) group.push_back(nexthop_grp{.id = member});
  nhmsg header{};
  return rtnl.socket().Ack(Request(RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_EXCL)
                               .Named("add nexthop group " + std::to_string(id))
                               .Header(header)
                               .U32(NHA_ID, id)
                               .Raw(NHA_GROUP, std::as_bytes(std::span(group))));
}
inline Status DeleteNexthop(const NetNamespace& where, std::uint32_t id) {
  Rtnl rtnl = RtnlIn(where);
  return rtnl.socket().Ack(Request(RTM_DELNEXTHOP).Named("delete nexthop " + std::to_string(id)).Header(nhmsg{}).U32(NHA_ID, id));
}
inline std::vector<std::uint32_t> Nexthops(const NetNamespace& where) {
  Rtnl rtnl = RtnlIn(where);
  std::vector<std::uint32_t> ids;
  for (const Message& message : SETUP_OK(rtnl.socket().Dump(Request(RTM_GETNEXTHOP).Header(nhmsg{}).Named("dump nexthops"))))
    ids.push_back(message.AttributesAfter<nhmsg>().U32(NHA_ID).value_or(0));
  return ids;
}

}  // namespace netns::sock
