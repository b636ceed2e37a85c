// SPDX-License-Identifier: GPL-2.0-or-later
// Steps that tests of packet filters share.
#pragma once

#include "fixtures/nftables.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netfilter/nfnetlink_queue.h>

#include <string>

#include "fixtures/net_namespace.h"
#include "fixtures/netlink.h"
#include "fixtures/sockets.h"

namespace netns {

/// The value of a step that needs nf_tables: MISS where the kernel was built without, ERROR where it fails otherwise.
template <class T>
T NeedsNftables(Result<T> result, const char* step) {
  if (!result.ok() && (MissingNftables(result.error()) || result.code() == EAFNOSUPPORT))
    throw MissingNeed("needs-config:NF_TABLES", "the kernel cannot do this with nf_tables: " + result.error().ToString(),
                      "use a kernel with NF_TABLES and its expressions");
  return SetupOk(std::move(result), step);
}

/// Whether a datagram to a port of the loopback device is delivered. A second one, to the next port, is sent behind it and
/// waited for: when that is there, the first is there or was dropped.
inline bool DatagramArrives(const NetNamespace& ns, const std::string& loopback, std::uint16_t port) {
  Fd receiver = SetupOk(UdpBind(ns, Inet(loopback, port)), "UdpBind"), fence = SetupOk(UdpBind(ns, Inet(loopback, static_cast<std::uint16_t>(port + 1))), "UdpBind");
  Fd sender = SetupOk(ns.Socket(Inet(loopback).family(), SOCK_DGRAM), "socket");
  SetupOk(SendTo(sender, "x", Inet(loopback, port)), "SendTo");
  SetupOk(SendTo(sender, "x", Inet(loopback, static_cast<std::uint16_t>(port + 1))), "SendTo");
  SetupOk(Receive(fence), "the datagram behind");
  return Readable(receiver);
}

/// NFQNL_CFG_CMD_BIND and NFULNL_CFG_CMD_BIND of a number.
inline Request QueueBind(std::uint16_t number) {
  nfgenmsg header{};
  header.res_id = htons(number);
  nfqnl_msg_config_cmd command{};
  command.command = NFQNL_CFG_CMD_BIND;
  Request request(NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_CONFIG);
  request.Named("bind queue " + std::to_string(number)).Header(header).Structure(NFQA_CFG_CMD, command);
  return request;
}
inline Request LogBind(std::uint16_t number) {
  nfgenmsg header{};
  header.res_id = htons(number);
  nfulnl_msg_config_cmd command{};
  command.command = NFULNL_CFG_CMD_BIND;
  Request request(NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG);
  request.Named("bind log group " + std::to_string(number)).Header(header).Structure(NFULA_CFG_CMD, command);
  return request;
}

/// Sends a request on a socket that also gets packets, without asking for an answer.
inline void SendRaw(const Fd& socket, const Request& request) {
  std::vector<std::byte> bytes(request.bytes().begin(), request.bytes().end());
  reinterpret_cast<nlmsghdr*>(bytes.data())->nlmsg_flags |= NLM_F_REQUEST;
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  if (::sendto(socket.get(), bytes.data(), bytes.size(), 0, reinterpret_cast<sockaddr*>(&kernel), sizeof kernel) < 0)
    SetupOk(Status(ErrnoError("sendto(nfnetlink)")), "sendto");
}
inline void BindQueue(const Fd& socket, std::uint16_t number) { SendRaw(socket, QueueBind(number)); }

}  // namespace netns
