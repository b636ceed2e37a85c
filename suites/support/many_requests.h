// SPDX-License-Identifier: GPL-2.0-or-later
// Hundreds of netlink requests in a few datagrams: what tests of full tables send.
#pragma once

#include <linux/netlink.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <span>
#include <vector>

#include "fixtures/net_namespace.h"
#include "fixtures/netlink.h"
#include "harness/wait.h"

namespace netns {

/// The errno that answers each request, 0 for success, in their order. What a request is answered besides is not read.
inline std::vector<int> SendMany(const NetNamespace& ns, int protocol, const std::vector<Request>& requests) {
  constexpr std::size_t kAtOnce = 50;  // the answers to so many fit into any receive buffer
  const Fd socket = SETUP_OK(ns.Socket(AF_NETLINK, SOCK_RAW, protocol));
  std::vector<int> answers(requests.size(), -1);
  for (std::size_t first = 0; first < requests.size(); first += kAtOnce) {
    const std::size_t count = std::min(kAtOnce, requests.size() - first);
    std::vector<std::byte> bytes;
    for (std::size_t i = first; i < first + count; ++i) {
      const Bytes one = requests[i].bytes();
      const std::size_t at = bytes.size();
      bytes.insert(bytes.end(), one.begin(), one.end());
      auto* head = reinterpret_cast<nlmsghdr*>(bytes.data() + at);
      head->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
      head->nlmsg_seq = static_cast<std::uint32_t>(i + 1);
      bytes.resize(NLMSG_ALIGN(bytes.size()));
    }
    sockaddr_nl kernel{};
    kernel.nl_family = AF_NETLINK;
    if (::sendto(socket.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel) < 0)
      SETUP_OK(Status(ErrnoError("sendto of " + std::to_string(count) + " netlink requests")));
    for (std::size_t answered = 0; answered < count;) {
      SETUP_OK(WaitFor(socket.get(), POLLIN, Deadline::OfTest(), "answers to netlink requests"));
      static std::array<std::byte, 65536> buffer;
      const ssize_t size = ::recv(socket.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (size < 0) SETUP_OK(Status(ErrnoError("recv of answers to netlink requests")));
      for (std::size_t at = 0; at + sizeof(nlmsghdr) <= static_cast<std::size_t>(size);) {
        nlmsghdr head{};
        std::memcpy(&head, buffer.data() + at, sizeof head);
        if (head.nlmsg_len < sizeof head) break;
        if (head.nlmsg_type == NLMSG_ERROR && head.nlmsg_seq >= 1 && head.nlmsg_seq <= requests.size()) {
          int error = 0;
          std::memcpy(&error, buffer.data() + at + NLMSG_HDRLEN, sizeof error);
          answers[head.nlmsg_seq - 1] = -error;
          ++answered;
        }
        at += NLMSG_ALIGN(head.nlmsg_len);
      }
    }
  }
  return answers;
}

}  // namespace netns
