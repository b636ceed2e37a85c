// SPDX-License-Identifier: GPL-2.0-or-later
// netlink(7) requests by send(2), which names no address. A sender who names one (sendto(2), as libraries do) has chosen where the
// request goes: the kernel then leaves out its check of who opened the socket (NETLINK_SKB_DST). Without, it checks both.
#pragma once

#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>

#include <cstring>
#include <string>
#include <vector>

#include "fixtures/netlink.h"
#include "harness/wait.h"

namespace netns {

/// Sends a request by send(2) and waits for its acknowledgement.
inline Status AckOfBareSend(int socket, const Request& request) {
  static std::uint32_t sequence = 0x7e570000;  // none that a NetlinkSocket on the same socket has used
  std::vector<std::byte> bytes(request.bytes().begin(), request.bytes().end());
  auto* head = reinterpret_cast<nlmsghdr*>(bytes.data());
  head->nlmsg_flags = static_cast<std::uint16_t>(head->nlmsg_flags | NLM_F_REQUEST | NLM_F_ACK);
  head->nlmsg_seq = ++sequence;
  if (::send(socket, bytes.data(), bytes.size(), 0) < 0) return ErrnoError("send of '" + request.what() + "'");
  for (;;) {
    RETURN_IF_ERROR(WaitFor(socket, POLLIN, Deadline::OfTest(), "the answer to '" + request.what() + "'"));
    alignas(nlmsghdr) char buffer[8192];
    const ssize_t size = ::recv(socket, buffer, sizeof buffer, 0);
    if (size < 0) return ErrnoError("recv of the answer to '" + request.what() + "'");
    const auto* answer = reinterpret_cast<const nlmsghdr*>(buffer);
    for (unsigned left = static_cast<unsigned>(size); NLMSG_OK(answer, left); answer = NLMSG_NEXT(answer, left)) {
      if (answer->nlmsg_seq != sequence || answer->nlmsg_type != NLMSG_ERROR) continue;
      nlmsgerr error;
      std::memcpy(&error, NLMSG_DATA(answer), sizeof error);
      if (error.error != 0) return Error{-error.error, request.what() + " (by send(2))"};
      return Ok();
    }
  }
}

}  // namespace netns
