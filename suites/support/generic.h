// SPDX-License-Identifier: GPL-2.0-or-later
// Requests to one family of generic netlink, from inside a namespace.
#pragma once

#include <linux/genetlink.h>

#include <string>

#include "suites/support/place.h"

namespace netns {

/// Generic netlink to one family, inside a namespace. MISS where the kernel lacks the family, for want of CONFIG_<symbol>.
class Generic {
 public:
  Generic(const Place& place, const char* family, const char* symbol)
      : socket_(SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(place.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC))))) {
    auto found = socket_.ResolveFamily(family);
    if (!found.ok()) RequireBuiltIn(found.error(), symbol);
    id_ = SETUP_OK(std::move(found)).id;
  }
  Request Make(std::uint8_t command, const std::string& what, std::uint8_t version = 1) const {
    Request request(id_);
    request.Named(what).Header(genlmsghdr{.cmd = command, .version = version});
    return request;
  }
  NetlinkSocket* operator->() { return &socket_; }

 private:
  NetlinkSocket socket_;
  std::uint16_t id_ = 0;
};

}  // namespace netns
