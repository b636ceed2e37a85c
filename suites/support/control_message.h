// SPDX-License-Identifier: GPL-2.0-or-later
// A datagram that says by which device, or from which address, it is to leave: cmsg(3).
#pragma once

#include <sys/socket.h>

#include <cstring>
#include <string>

#include "harness/fd.h"
#include "harness/result.h"

namespace netns {

/// Sends one byte with `info` as its only control message (IP_PKTINFO, IPV6_PKTINFO). `what` is the call for errors.
template <class Info>
Status SendWithControl(const Fd& socket, const sockaddr* to, socklen_t size, int level, int type, const Info& info, const std::string& what, int flags = 0) {
  char text[] = "x";
  iovec part{text, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof info)] = {};
  msghdr message{};
  message.msg_name = const_cast<sockaddr*>(to);
  message.msg_namelen = size;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = level;
  head->cmsg_type = type;
  head->cmsg_len = CMSG_LEN(sizeof info);
  std::memcpy(CMSG_DATA(head), &info, sizeof info);
  if (::sendmsg(socket.get(), &message, flags) < 0) return ErrnoError(what);
  return Ok();
}

}  // namespace netns
