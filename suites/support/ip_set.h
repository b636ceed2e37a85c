// SPDX-License-Identifier: GPL-2.0-or-later
// Sets of ipset(8), and as iptables asks for them, by getsockopt(SO_IP_SET): linux/netfilter/ipset/ip_set.h.
#pragma once

#include <arpa/inet.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nfnetlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <string>
#include <vector>

#include "fixtures/net_namespace.h"
#include "fixtures/netlink.h"
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

/// The sets of a namespace as ipset(8) asks for them.
class Sets {
 public:
  explicit Sets(const NetNamespace& ns) : socket_(SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER))))) {}
  Status Create(const std::string& name, const char* type = "hash:ip", std::uint8_t family = NFPROTO_IPV4) {
    Request request = Make(IPSET_CMD_CREATE, NLM_F_CREATE | NLM_F_EXCL, "create set " + name, name);
    request.Text(IPSET_ATTR_TYPENAME, type).U8(IPSET_ATTR_REVISION, 0).U8(IPSET_ATTR_FAMILY, family).Nest(IPSET_ATTR_DATA, [](Request&) {});
    return socket_.Ack(request);
  }
  Status Add(const std::string& name, const char* member) { return Member(IPSET_CMD_ADD, name, member); }
  Status Test(const std::string& name, const char* member) { return Member(IPSET_CMD_TEST, name, member); }
  Status Destroy(const std::string& name) { return socket_.Ack(Make(IPSET_CMD_DESTROY, NLM_F_EXCL, "destroy set " + name, name)); }
  Status Flush(const std::string& name) { return socket_.Ack(Make(IPSET_CMD_FLUSH, 0, "flush set " + name, name)); }
  /// Of all sets.
  Status FlushAll() { return socket_.Ack(Make(IPSET_CMD_FLUSH, 0, "flush all sets", {})); }
  Status DestroyAll() { return socket_.Ack(Make(IPSET_CMD_DESTROY, 0, "destroy all sets", {})); }
  Status Rename(const std::string& from, const std::string& to) {
    Request request = Make(IPSET_CMD_RENAME, 0, "rename set " + from, from);
    request.Text(IPSET_ATTR_SETNAME2, to);
    return socket_.Ack(request);
  }
  Status Swap(const std::string& one, const std::string& two) {
    Request request = Make(IPSET_CMD_SWAP, 0, "swap set " + one, one);
    request.Text(IPSET_ATTR_SETNAME2, two);
    return socket_.Ack(request);
  }
  /// One that has a header at all.
  Status Header(const std::string& name) {
    auto got = socket_.Ask(Make(IPSET_CMD_HEADER, 0, "header of set " + name, name));
    return got.ok() ? Ok() : Status(got.error());
  }
  std::vector<std::string> Names() {
    Request request = Make(IPSET_CMD_LIST, 0, "list sets", {});
    std::vector<std::string> names;
    for (const Message& message : SETUP_OK(socket_.Dump(request)))
      if (auto name = message.AttributesAfter<nfgenmsg>().Text(IPSET_ATTR_SETNAME)) names.push_back(*name);
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return names;
  }

 private:
  static Request Make(int command, std::uint16_t flags, const std::string& what, const std::string& name) {
    Request request(static_cast<std::uint16_t>(NFNL_SUBSYS_IPSET << 8 | command), flags);
    nfgenmsg header{};
    header.nfgen_family = AF_INET;
    request.Named(what).Header(header).U8(IPSET_ATTR_PROTOCOL, 6);
    if (!name.empty()) request.Text(IPSET_ATTR_SETNAME, name);
    return request;
  }
  Status Member(int command, const std::string& name, const char* member) {
    Request request = Make(command, 0, std::string(command == IPSET_CMD_ADD ? "add " : "test ") + member + " of set " + name, name);
    in_addr ip{};
    in6_addr ip6{};
    const bool six = ::inet_pton(AF_INET6, member, &ip6) == 1;
    if (!six) ::inet_pton(AF_INET, member, &ip);
    request.Nest(IPSET_ATTR_DATA, [&](Request& data) {
      data.Nest(IPSET_ATTR_IP, [&](Request& address) {
        if (six)
          address.Raw(IPSET_ATTR_IPADDR_IPV6 | NLA_F_NET_BYTEORDER, std::as_bytes(std::span(&ip6, 1)));
        else
          address.U32(IPSET_ATTR_IPADDR_IPV4 | NLA_F_NET_BYTEORDER, ip.s_addr);
      });
    });
    return socket_.Ack(request);
  }
  NetlinkSocket socket_;
};

/// IPSET_ERR_EXIST of TEST: the set has no such member.
inline constexpr int kNoMember = 4103;

}  // namespace netns
