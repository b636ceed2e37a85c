// SPDX-License-Identifier: GPL-2.0-or-later
// Notifications of rtnetlink(7), all groups or some, with a fence (SendFence of fixtures/link_monitor.h) behind which nothing
// that happened before can still come. So "nothing arrived" is known without waiting.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <optional>
#include <vector>

#include "fixtures/link_monitor.h"
#include "suites/support/place.h"

#ifndef NETLINK_LISTEN_ALL_NSID
#define NETLINK_LISTEN_ALL_NSID 8
#endif

namespace netns {

class Listener {
 public:
  /// Hears `groups` (RTNLGRP_*) in the namespace of `place`; none given: all that the kernel has.
  explicit Listener(Place& place, std::vector<int> groups = {})
      : socket_(SETUP_OK(place.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE))) {
    sockaddr_nl any{};
    any.nl_family = AF_NETLINK;
    if (::bind(socket_.get(), reinterpret_cast<sockaddr*>(&any), sizeof any) < 0)
      throw SetupFailure(ErrnoError("bind of a listener").ToString(), std::source_location::current());
    const int size = 4 * 1024 * 1024;
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    const bool all = groups.empty();
    if (all)
      for (int group = 1; group < 40; ++group) groups.push_back(group);
    for (int group : groups)
      if (Status joined = Join(group); !joined.ok() && !all) SETUP_OK(std::move(joined));
  }

  int fd() const { return socket_.get(); }
  Status Join(int group) {
    if (::setsockopt(socket_.get(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0)
      return ErrnoError("setsockopt(NETLINK_ADD_MEMBERSHIP, " + std::to_string(group) + ")");
    return Ok();
  }
  Status ListenToAllIds() {
    const int on = 1;
    if (::setsockopt(socket_.get(), SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof on) < 0)
      return ErrnoError("setsockopt(NETLINK_LISTEN_ALL_NSID)");
    return Ok();
  }

  /// Everything that came since the last call.
  std::vector<Message> Heard() {
    static std::uint32_t next_mark = 0x68656100;
    const std::uint32_t mark = ++next_mark;
    SETUP_OK(SendFence(socket_.get(), mark));
    std::vector<Message> heard;
    for (;;) {
      for (Message& message : Read()) {
        if (IsFence(socket_.get(), message, mark)) return heard;
        heard.push_back(std::move(message));
      }
    }
  }
  /// Waits for a message that `wanted` accepts (an event that the kernel sends some time later), and gives it.
  Result<Message> Await(const std::string& what, const std::function<bool(const Message&)>& wanted) {
    for (;;) {
      RETURN_IF_ERROR(WaitFor(socket_.get(), POLLIN, Deadline::OfTest(), what));
      std::optional<Message> found;
      for (Message& message : Read())
        if (!found && wanted(message)) found = message;
      if (found) return *found;
    }
  }

 private:
  std::vector<Message> Read() {
    SETUP_OK(WaitFor(socket_.get(), POLLIN, Deadline::OfTest(), "a notification"));
    static std::array<std::byte, 65536> buffer;
    std::array<char, 256> control{};
    iovec part{buffer.data(), buffer.size()};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    const ssize_t size = ::recvmsg(socket_.get(), &header, MSG_DONTWAIT);
    if (size < 0) throw SetupFailure(ErrnoError("recvmsg of a notification").ToString(), std::source_location::current());
    std::optional<int> nsid;
    for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item))
      if (item->cmsg_level == SOL_NETLINK && item->cmsg_type == NETLINK_LISTEN_ALL_NSID) {
        int value = 0;
        std::memcpy(&value, CMSG_DATA(item), sizeof value);
        nsid = value;
      }
    std::vector<Message> messages;
    std::size_t at = 0;
    while (at + sizeof(nlmsghdr) <= static_cast<std::size_t>(size)) {
      nlmsghdr message{};
      std::memcpy(&message, buffer.data() + at, sizeof message);
      if (message.nlmsg_len < sizeof message || at + message.nlmsg_len > static_cast<std::size_t>(size)) break;
      messages.emplace_back(Bytes(buffer).subspan(at, message.nlmsg_len), nsid);
      at += NLMSG_ALIGN(message.nlmsg_len);
    }
    return messages;
  }

  Fd socket_;
};

/// The types of messages, each once, for comparison: {RTM_NEWLINK, RTM_DELLINK}.
inline std::set<int> Types(const std::vector<Message>& messages) {
  std::set<int> types;
  for (const Message& message : messages) types.insert(message.type());
  return types;
}
/// What messages say, for a failure's text.
inline std::string Tell(const std::vector<Message>& messages) {
  std::ostringstream out;
  for (const Message& message : messages) {
    out << " [type " << message.type();
    if (message.nsid()) out << " of nsid " << *message.nsid();
    if (message.type() == RTM_NEWLINK || message.type() == RTM_DELLINK) out << " " << ReadLink(message);
    if (message.type() == RTM_NEWADDR || message.type() == RTM_DELADDR) out << " " << ReadAddress(message);
    if (message.type() == RTM_NEWROUTE || message.type() == RTM_DELROUTE) out << " " << ReadRoute(message);
    out << "]";
  }
  return out.str();
}

}  // namespace netns
