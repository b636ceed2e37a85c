// SPDX-License-Identifier: GPL-2.0-or-later
// Virtual servers of one namespace as ipvsadm(8) asks for them: generic netlink, linux/ip_vs.h.
#pragma once

#include <arpa/inet.h>
#include <linux/genetlink.h>
#include <linux/ip_vs.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "fixtures/net_namespace.h"
#include "fixtures/netlink.h"
#include "harness/assertions.h"

namespace netns {

/// What identifies one: an address, protocol and port, or a firewall mark ("ipvsadm -f").
struct VirtualService {
  int family = AF_INET;
  std::uint8_t protocol = IPPROTO_TCP;
  std::string address = {};
  std::uint16_t port = 0;
  std::uint32_t mark = 0;
  std::uint32_t flags = 0;

  void Identify(Request& r) const {
    r.U16(IPVS_SVC_ATTR_AF, static_cast<std::uint16_t>(family));
    if (mark != 0)
      r.U32(IPVS_SVC_ATTR_FWMARK, mark);
    else
      r.U16(IPVS_SVC_ATTR_PROTOCOL, protocol).Structure(IPVS_SVC_ATTR_ADDR, Bytes(address)).Be16(IPVS_SVC_ATTR_PORT, port);
  }
  static in6_addr Bytes(const std::string& address) {
    in6_addr bytes{};
    if (::inet_pton(AF_INET6, address.c_str(), &bytes) != 1) ::inet_pton(AF_INET, address.c_str(), &bytes);
    return bytes;
  }
  std::string ToString() const { return mark != 0 ? "mark " + std::to_string(mark) : "protocol " + std::to_string(protocol) + " at " + address + " port " + std::to_string(port); }
  /// Whether it is the one of a message.
  bool Is(const Attributes& service) const {
    if (service.U16(IPVS_SVC_ATTR_AF).value_or(0) != family) return false;
    if (mark != 0) return service.U32(IPVS_SVC_ATTR_FWMARK).value_or(0) == mark;
    const in6_addr bytes = Bytes(address), theirs = service.Structure<in6_addr>(IPVS_SVC_ATTR_ADDR).value_or(in6_addr{});
    return service.U16(IPVS_SVC_ATTR_PROTOCOL).value_or(0) == protocol && ntohs(service.U16(IPVS_SVC_ATTR_PORT).value_or(0)) == port &&
           std::memcmp(&bytes, &theirs, family == AF_INET6 ? sizeof bytes : sizeof(in_addr)) == 0;
  }
};

class VirtualServers {
 public:
  explicit VirtualServers(const NetNamespace& ns) : socket_(SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC))))) {
    auto family = socket_.ResolveFamily(IPVS_GENL_NAME);
    if (family.code() == ENOENT) throw MissingNeed("needs-config:IP_VS", "the kernel has no virtual servers (or ip_vs is not loaded)");
    family_ = SetupOk(std::move(family), "IPVS");
  }
  Status Add(const VirtualService& service) { return Ack(IPVS_CMD_NEW_SERVICE, "add", service, true); }
  Status Edit(const VirtualService& service) { return Ack(IPVS_CMD_SET_SERVICE, "edit", service, true); }
  Status Delete(const VirtualService& service) { return Ack(IPVS_CMD_DEL_SERVICE, "delete", service); }
  Status Zero(const VirtualService& service) { return Ack(IPVS_CMD_ZERO, "set the counters of", service); }
  Status Flush() { return socket_.Ack(Make(IPVS_CMD_FLUSH, "flush virtual servers")); }
  /// Asks for one.
  Status Find(const VirtualService& service) {
    auto answer = socket_.Get(Of(IPVS_CMD_GET_SERVICE, "ask for", service));
    if (!answer.ok()) return answer.error();
    return service.Is(answer->AttributesAfter<genlmsghdr>().Nested(IPVS_CMD_ATTR_SERVICE)) ? Ok() : Status(Error{EBADMSG, "another virtual server was shown than " + service.ToString()});
  }
  /// In the list of all of the namespace. (The second part of a list begins at a place in a table of all namespaces: where one of
  /// them has added a service meanwhile, another's comes twice. So nobody counts how often.)
  bool Lists(const VirtualService& service) {
    const auto all = SETUP_OK(socket_.Dump(Make(IPVS_CMD_GET_SERVICE, "list virtual servers")));
    return std::any_of(all.begin(), all.end(), [&](const Message& message) { return service.Is(message.AttributesAfter<genlmsghdr>().Nested(IPVS_CMD_ATTR_SERVICE)); });
  }
  std::vector<std::uint16_t> Ports() {
    std::set<std::uint16_t> ports;
    for (const Message& message : SETUP_OK(socket_.Dump(Make(IPVS_CMD_GET_SERVICE, "list virtual servers"))))
      ports.insert(ntohs(message.AttributesAfter<genlmsghdr>().Nested(IPVS_CMD_ATTR_SERVICE).U16(IPVS_SVC_ATTR_PORT).value_or(0)));
    return {ports.begin(), ports.end()};
  }
  /// IPVS_CMD_NEW_DEST, IPVS_CMD_SET_DEST and IPVS_CMD_DEL_DEST of a real server.
  Status ChangeServer(std::uint8_t command, const VirtualService& service, const std::string& address, std::uint16_t port) {
    Request request = Of(command, "change a real server of", service);
    request.Nest(IPVS_CMD_ATTR_DEST, [&](Request& r) {
      r.Structure(IPVS_DEST_ATTR_ADDR, VirtualService::Bytes(address)).Be16(IPVS_DEST_ATTR_PORT, port).U32(IPVS_DEST_ATTR_FWD_METHOD, IP_VS_CONN_F_MASQ);
      r.U32(IPVS_DEST_ATTR_WEIGHT, 1).U32(IPVS_DEST_ATTR_U_THRESH, 0).U32(IPVS_DEST_ATTR_L_THRESH, 0);
    });
    return socket_.Ack(request);
  }
  /// Ports of the real servers.
  std::vector<std::uint16_t> Servers(const VirtualService& service) {
    std::vector<std::uint16_t> ports;
    for (const Message& message : SETUP_OK(socket_.Dump(Of(IPVS_CMD_GET_DEST, "list the real servers of", service))))
      ports.push_back(ntohs(message.AttributesAfter<genlmsghdr>().Nested(IPVS_CMD_ATTR_DEST).U16(IPVS_DEST_ATTR_PORT).value_or(0)));
    return ports;
  }

 private:
  Request Make(std::uint8_t command, const std::string& what) {
    Request request(family_.id);
    request.Named(what).Header(genlmsghdr{.cmd = command, .version = IPVS_GENL_VERSION, .reserved = 0});
    return request;
  }
  Request Of(std::uint8_t command, const std::string& what, const VirtualService& service, bool whole = false) {
    Request request = Make(command, what + " the virtual server " + service.ToString());
    request.Nest(IPVS_CMD_ATTR_SERVICE, [&](Request& r) {
      service.Identify(r);
      if (!whole) return;
      const struct { std::uint32_t flags, mask; } flags{service.flags, ~0u};
      r.Text(IPVS_SVC_ATTR_SCHED_NAME, "rr").Structure(IPVS_SVC_ATTR_FLAGS, flags).U32(IPVS_SVC_ATTR_TIMEOUT, service.flags != 0 ? 60 : 0);
      r.U32(IPVS_SVC_ATTR_NETMASK, service.family == AF_INET6 ? 128 : ~0u);
    });
    return request;
  }
  Status Ack(std::uint8_t command, const char* verb, const VirtualService& service, bool whole = false) { return socket_.Ack(Of(command, verb, service, whole)); }

  NetlinkSocket socket_;
  GenericFamily family_;
};

}  // namespace netns
