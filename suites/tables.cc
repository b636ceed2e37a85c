// SPDX-License-Identifier: GPL-2.0-or-later
// Tables of one namespace that are reached by netlink, against those of namespaces made before and after it, of its creator, of
// one made from inside, and of the initial namespace: a kernel that forgets to ask of which namespace something is takes that
// one. A row makes one object, counts such objects, and takes it away again; what is asserted of all rows is the same. (Rows
// of /proc/net: proc_files.cc; of rtnetlink's dumps: nlk.cc.)
#include <arpa/inet.h>
#include <linux/fou.h>
#include <linux/ila.h>
#include <linux/ioam6_genl.h>
#include <linux/l2tp.h>
#include <linux/mptcp.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_acct.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netfilter/nfnetlink_cttimeout.h>
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/openvswitch.h>
#include <linux/seg6_genl.h>
#include <linux/tc_act/tc_gact.h>
#include <linux/pkt_cls.h>
#include <linux/xfrm.h>

#include "fixtures/nftables.h"
#include "fixtures/nic.h"
#include "suites/support/action.h"
#include "suites/support/conntrack_tuple.h"
#include "suites/support/generic.h"
#include "suites/support/in_namespace.h"
#include "suites/support/netfilter_request.h"
#include "suites/support/place.h"
#include "suites/support/virtual_servers.h"

namespace netns {
namespace {

using testing::Not;

struct Table {
  const char* name;
  std::vector<std::string> covers;
  std::vector<const char*> configs;
  std::function<Status(Place&)> add, remove;
  std::function<std::size_t(Place&)> count;
  std::function<Status(Place&)> flush = {};  ///< Removes all of them, where there is a way.
  bool for_root = false;                     ///< Asks for rights in the initial user namespace.
};

/// A refusal that says that the kernel has no such subsystem, as MISS.
Status Known(Status status, const char* symbol) {
  if (status.code() == EINVAL || status.code() == EOPNOTSUPP || status.code() == EPROTONOSUPPORT)
    throw MissingNeed(std::string("needs-config:") + symbol, status.error().ToString(), std::string("use a kernel with CONFIG_") + symbol);
  return status;
}

const std::vector<Table>& Tables() {
  static const auto l2tp = [](Place& at) { return Generic(at, "l2tp", "L2TP"); };
  static const auto fou = [](Place& at, std::uint8_t command) {
    Generic family(at, FOU_GENL_NAME, "NET_FOU");
    Request request = family.Make(command, "FOU port 57122");
    request.Be16(FOU_ATTR_PORT, 57122).U8(FOU_ATTR_AF, AF_INET);
    if (command == FOU_CMD_ADD) request.U8(FOU_ATTR_IPPROTO, IPPROTO_IPIP).U8(FOU_ATTR_TYPE, FOU_ENCAP_DIRECT);
    return family->Ack(request);
  };
  static const VirtualService service{.address = "192.0.2.81", .port = 81};
  static const auto endpoint = [](Place& at, std::uint8_t command) {
    Generic family(at, MPTCP_PM_NAME, "MPTCP");
    in_addr address{};
    ::inet_pton(AF_INET, "192.0.2.82", &address);
    Request request = family.Make(command, "MPTCP endpoint 192.0.2.82", MPTCP_PM_VER);
    request.Nest(MPTCP_PM_ATTR_ADDR | NLA_F_NESTED, [&](Request& r) {
      r.U16(MPTCP_PM_ADDR_ATTR_FAMILY, AF_INET).U8(MPTCP_PM_ADDR_ATTR_ID, 82).Structure(MPTCP_PM_ADDR_ATTR_ADDR4, address);
      r.U32(MPTCP_PM_ADDR_ATTR_FLAGS, MPTCP_PM_ADDR_FLAG_SIGNAL);
    });
    return family->Ack(request);
  };
  static const auto ioam = [](Place& at, std::uint8_t command) {
    Generic family(at, IOAM6_GENL_NAME, "IPV6_IOAM6_LWTUNNEL");
    Request request = family.Make(command, "IOAM namespace 83", IOAM6_GENL_VERSION);
    request.U16(IOAM6_ATTR_NS_ID, 83);
    return family->Ack(request);
  };
  static const auto mapping = [](Place& at, std::uint8_t command) -> Status {
    Generic family(at, ILA_GENL_NAME, "IPV6_ILA");
    Request request = family.Make(command, "ILA mapping of 2001:db8:0:88::/64", ILA_GENL_VERSION);
    std::array<std::uint8_t, 8> match{0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0x88}, locator{0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0x89};
    request.Structure(ILA_ATTR_LOCATOR_MATCH, match);
    if (command == ILA_CMD_ADD) request.Structure(ILA_ATTR_LOCATOR, locator);
    if (command == ILA_CMD_ADD) return family->Ack(request);
    // A deletion succeeds of one that is not there, too.
    Request get = family.Make(ILA_CMD_GET, "ILA mapping of 2001:db8:0:88::/64", ILA_GENL_VERSION);
    const auto there = family->Get(get.Structure(ILA_ATTR_LOCATOR_MATCH, match));
    RETURN_IF_ERROR(family->Ack(request));
    return there.ok() ? Ok() : Status(there.error());
  };
  static const auto ipsec = [](Place& at) {
    auto opened = at.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_XFRM);
    if (!opened.ok()) RequireBuiltIn(opened.error(), "XFRM_USER");
    return SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(std::move(opened))));
  };
  static const auto block = [] {
    xfrm_userpolicy_info policy{};
    policy.sel.family = AF_INET;
    policy.sel.daddr.a4 = htonl(0xC6120058);  // 198.18.0.88
    policy.sel.prefixlen_d = 32;
    policy.lft = {XFRM_INF, XFRM_INF, XFRM_INF, XFRM_INF, 0, 0, 0, 0};
    policy.dir = XFRM_POLICY_OUT;
    policy.action = XFRM_POLICY_BLOCK;
    return policy;
  };
  static const auto connection = [](Place& at, int type, std::uint16_t flags) {
    Request request = NetfilterRequest(NFNL_SUBSYS_CTNETLINK, type, flags, "connection from 192.0.2.84");
    NestTuple(request, CTA_TUPLE_ORIG, IPPROTO_UDP, "192.0.2.84", "192.0.2.85", 84, 85);
    if (type == IPCTNL_MSG_CT_NEW) {
      NestTuple(request, CTA_TUPLE_REPLY, IPPROTO_UDP, "192.0.2.85", "192.0.2.84", 85, 84);
      request.Be32(CTA_TIMEOUT, 600);
    }
    return NetfilterIn(at.ns).Ack(request);
  };
  static const auto state = [] {
    xfrm_usersa_info info{};
    info.family = info.sel.family = AF_INET;
    info.id.daddr.a4 = htonl(0xC6120058);  // 198.18.0.88
    info.saddr.a4 = htonl(0xC6120057);
    info.id.proto = IPPROTO_ESP;
    info.lft = {XFRM_INF, XFRM_INF, XFRM_INF, XFRM_INF, 0, 0, 0, 0};
    return info;
  };
  static const auto segment_key = [](Place& at, const std::string& secret) -> Status {
    Generic family(at, SEG6_GENL_NAME, "IPV6_SEG6_LWTUNNEL");
    constexpr std::uint32_t kKey = 4788;
    if (!secret.empty()) {  // An addition takes the place of one that is there.
      for (const Message& message : SETUP_OK(family->Dump(family.Make(SEG6_CMD_DUMPHMAC, "list the keys", SEG6_GENL_VERSION))))
        if (message.AttributesAfter<genlmsghdr>().U32(SEG6_ATTR_HMACKEYID) == kKey) return Error{EEXIST, "key 4788"};
    }
    Request request = family.Make(SEG6_CMD_SETHMAC, "key 4788", SEG6_GENL_VERSION);
    request.U32(SEG6_ATTR_HMACKEYID, kKey).U8(SEG6_ATTR_SECRETLEN, static_cast<std::uint8_t>(secret.size())).U8(SEG6_ATTR_ALGID, 2 /* SHA256 */);
    if (!secret.empty()) request.Raw(SEG6_ATTR_SECRET, std::as_bytes(std::span(secret)));
    const Status done = family->Ack(request);
    return done.code() == 524 /* ENOTSUPP */ ? Known(Error{EOPNOTSUPP, done.error().ToString()}, "IPV6_SEG6_HMAC") : done;
  };
  static const auto connection_with_helper = [](Place& at, int type, std::uint16_t flags) {
    Request request = NetfilterRequest(NFNL_SUBSYS_CTNETLINK, type, flags, "connection with a helper");
    NestTuple(request, CTA_TUPLE_ORIG, IPPROTO_TCP, "192.0.2.88", "192.0.2.89", 4088, 21);
    if (type == IPCTNL_MSG_CT_NEW) {
      NestTuple(request, CTA_TUPLE_REPLY, IPPROTO_TCP, "192.0.2.89", "192.0.2.88", 21, 4088);
      request.Be32(CTA_TIMEOUT, 600).Be32(CTA_STATUS, IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED);
      request.Nest(CTA_PROTOINFO, [](Request& info) { info.Nest(CTA_PROTOINFO_TCP, [](Request& tcp) { tcp.U8(CTA_PROTOINFO_TCP_STATE, 3); }); });
      request.Nest(CTA_HELP, [](Request& help) { help.Text(CTA_HELP_NAME, "ftp"); });
    }
    return NetfilterIn(at.ns).Ack(request);
  };
  static const auto expectation = [](Place& at, int type, std::uint16_t flags) {
    Request request = NetfilterRequest(NFNL_SUBSYS_CTNETLINK_EXP, type, flags, "expectation");
    if (type == IPCTNL_MSG_EXP_NEW) NestTuple(request, CTA_EXPECT_MASTER, IPPROTO_TCP, "192.0.2.88", "192.0.2.89", 4088, 21);
    NestTuple(request, CTA_EXPECT_TUPLE, IPPROTO_TCP, "192.0.2.89", "192.0.2.88", 0, 4996);
    if (type == IPCTNL_MSG_EXP_NEW) {
      NestTuple(request, CTA_EXPECT_MASK, IPPROTO_TCP, "255.255.255.255", "255.255.255.255", 0, 0xffff);
      request.Be32(CTA_EXPECT_TIMEOUT, 600);
    }
    return NetfilterIn(at.ns).Ack(request);
  };
  static const auto account = [](Place& at, int type, std::uint16_t flags) {
    return NetfilterIn(at.ns).Ack(NetfilterRequest(NFNL_SUBSYS_ACCT, type, flags, "accounting object").Text(NFACCT_NAME, "nscon-86"));
  };
  static const auto policy = [](Place& at, int type, std::uint16_t flags) {
    Request request = NetfilterRequest(NFNL_SUBSYS_CTNETLINK_TIMEOUT, type, flags, "timeout policy");
    request.Text(CTA_TIMEOUT_NAME, "nscon-87");
    if (type == IPCTNL_MSG_TIMEOUT_NEW)
      request.Be16(CTA_TIMEOUT_L3PROTO, AF_INET).U8(CTA_TIMEOUT_L4PROTO, IPPROTO_UDP).Nest(CTA_TIMEOUT_DATA | NLA_F_NESTED, [](Request& r) { r.Be32(1 /* unreplied */, 30); });
    return NetfilterIn(at.ns).Ack(request);
  };
  static const auto change_set = [](Place& at, int command, bool named) {
    Request request = NetfilterRequest(NFNL_SUBSYS_IPSET, command, command == IPSET_CMD_CREATE ? NLM_F_CREATE | NLM_F_EXCL : named ? NLM_F_EXCL /* or one that is not there is no error */ : 0, named ? "set nscon-90" : "all sets");
    request.U8(IPSET_ATTR_PROTOCOL, 6);
    if (named) request.Text(IPSET_ATTR_SETNAME, "nscon-90");
    if (command == IPSET_CMD_CREATE) request.Text(IPSET_ATTR_TYPENAME, "hash:ip").U8(IPSET_ATTR_REVISION, 0).U8(IPSET_ATTR_FAMILY, NFPROTO_IPV4).Nest(IPSET_ATTR_DATA, [](Request&) {});
    return NetfilterIn(at.ns).Ack(request);
  };
  static const auto action = [](Place& at, std::uint16_t type, std::uint16_t flags) {
    tc_gact parameters{};
    parameters.index = 88;
    parameters.action = TC_ACT_OK;
    return at->socket().Ack(ActionRequest(type, flags, "action gact 88", [&](Request& one) {
      one.Text(TCA_ACT_KIND, "gact").U32(TCA_ACT_INDEX, 88);
      if (type == RTM_NEWACTION) one.Nest(TCA_ACT_OPTIONS, [&](Request& options) { options.Structure(TCA_GACT_PARMS, parameters); });
    }));
  };
  static const auto datapath = [](Place& at, std::uint8_t command) {
    Generic family(at, OVS_DATAPATH_FAMILY, "OPENVSWITCH");
    Request request = family.Make(command, "datapath nscon-89", OVS_DATAPATH_VERSION);
    request.Header(ovs_header{}).Text(OVS_DP_ATTR_NAME, "nscon-89");
    if (command == OVS_DP_CMD_NEW) request.U32(OVS_DP_ATTR_UPCALL_PID, 0);
    return family->Ack(request);
  };
  static const std::vector<Table> tables = {
      {"L2tpTunnels", {"VIRT-21"}, {"L2TP"},
       [](Place& at) {
         LoopbackUp(at.ns);
         Generic family = l2tp(at);
         Request request = family.Make(L2TP_CMD_TUNNEL_CREATE, "add L2TP tunnel 80");
         request.U32(L2TP_ATTR_CONN_ID, 80).U32(L2TP_ATTR_PEER_CONN_ID, 80).U8(L2TP_ATTR_PROTO_VERSION, 3).U16(L2TP_ATTR_ENCAP_TYPE, L2TP_ENCAPTYPE_UDP);
         request.Be32(L2TP_ATTR_IP_SADDR, INADDR_LOOPBACK).Be32(L2TP_ATTR_IP_DADDR, INADDR_LOOPBACK + 1);
         request.U16(L2TP_ATTR_UDP_SPORT, 57121).U16(L2TP_ATTR_UDP_DPORT, 1701);
         return family->Ack(request);
       },
       [](Place& at) {
         Generic family = l2tp(at);
         Request request = family.Make(L2TP_CMD_TUNNEL_DELETE, "delete L2TP tunnel 80");
         request.U32(L2TP_ATTR_CONN_ID, 80);
         return family->Ack(request);
       },
       [](Place& at) {
         Generic family = l2tp(at);
         return SETUP_OK(family->Dump(family.Make(L2TP_CMD_TUNNEL_GET, "list the L2TP tunnels"))).size();
       }},
      {"FouPorts", {"VIRT-15"}, {"NET_FOU"}, [](Place& at) { return fou(at, FOU_CMD_ADD); }, [](Place& at) { return fou(at, FOU_CMD_DEL); },
       [](Place& at) {
         Generic family(at, FOU_GENL_NAME, "NET_FOU");
         return SETUP_OK(family->Dump(family.Make(FOU_CMD_GET, "list the FOU ports"))).size();
       }},
      {"VirtualServers", {"FW-16"}, {"IP_VS", "IP_VS_RR", "IP_VS_PROTO_TCP"}, [](Place& at) { return VirtualServers(at.ns).Add(service); },
       [](Place& at) { return VirtualServers(at.ns).Delete(service); }, [](Place& at) { return VirtualServers(at.ns).Ports().size(); },
       [](Place& at) { return VirtualServers(at.ns).Flush(); }},
      {"MptcpEndpoints", {"STACK-15"}, {"MPTCP"}, [](Place& at) { return endpoint(at, MPTCP_PM_CMD_ADD_ADDR); },
       [](Place& at) { return endpoint(at, MPTCP_PM_CMD_DEL_ADDR); },
       [](Place& at) {
         Generic family(at, MPTCP_PM_NAME, "MPTCP");
         return SETUP_OK(family->Dump(family.Make(MPTCP_PM_CMD_GET_ADDR, "list endpoints", MPTCP_PM_VER))).size();
       },
       [](Place& at) {
         Generic family(at, MPTCP_PM_NAME, "MPTCP");
         return family->Ack(family.Make(MPTCP_PM_CMD_FLUSH_ADDRS, "flush endpoints", MPTCP_PM_VER));
       }},
      {"IoamNamespaces", {"ROUTE-14"}, {"IPV6"}, [](Place& at) { return ioam(at, IOAM6_CMD_ADD_NAMESPACE); }, [](Place& at) { return ioam(at, IOAM6_CMD_DEL_NAMESPACE); },
       [](Place& at) {
         Generic family(at, IOAM6_GENL_NAME, "IPV6_IOAM6_LWTUNNEL");
         return SETUP_OK(family->Dump(family.Make(IOAM6_CMD_DUMP_NAMESPACES, "list IOAM namespaces", IOAM6_GENL_VERSION))).size();
       }, {}, true},
      {"AddressMappings", {"ROUTE-14"}, {"IPV6_ILA"}, [](Place& at) { return mapping(at, ILA_CMD_ADD); }, [](Place& at) { return mapping(at, ILA_CMD_DEL); },
       [](Place& at) {
         Generic family(at, ILA_GENL_NAME, "IPV6_ILA");
         std::size_t count = 0;
         // EAGAIN: the kernel was giving its table another size meanwhile (net/ipv6/ila/ila_xlat.c, rhashtable_walk_next()).
         SETUP_OK(Eventually("a list of the ILA mappings", [&] {
           auto list = family->Dump(family.Make(ILA_CMD_GET, "list the ILA mappings", ILA_GENL_VERSION));
           if (list.code() == EAGAIN) return false;
           count = SETUP_OK(std::move(list)).size();
           return true;
         }));
         return count;
       },
       [](Place& at) {
         Generic family(at, ILA_GENL_NAME, "IPV6_ILA");
         return family->Ack(family.Make(ILA_CMD_FLUSH, "flush the ILA mappings", ILA_GENL_VERSION));
       }},
      {"IpsecPolicies", {"STACK-17"}, {"XFRM_USER"},
       [](Place& at) {
         auto socket = ipsec(at);
         return socket.Ack(Request(XFRM_MSG_NEWPOLICY, NLM_F_CREATE | NLM_F_EXCL).Header(block()).Named("add a policy"));
       },
       [](Place& at) {
         auto socket = ipsec(at);
         xfrm_userpolicy_id id{};
         id.sel = block().sel;
         id.dir = XFRM_POLICY_OUT;
         return socket.Ack(Request(XFRM_MSG_DELPOLICY).Header(id).Named("delete a policy"));
       },
       [](Place& at) {
         auto socket = ipsec(at);
         return SETUP_OK(socket.Dump(Request(XFRM_MSG_GETPOLICY).Named("list the policies"))).size();
       },
       [](Place& at) {
         auto socket = ipsec(at);
         return socket.Ack(Request(XFRM_MSG_FLUSHPOLICY).Named("flush the policies"));
       }},
      {"IpsecStates", {"STACK-17"}, {"XFRM_USER", "INET_ESP"},
       [](Place& at) -> Status {
         auto socket = ipsec(at);
         xfrm_userspi_info range{};
         range.info = state();
         range.min = range.max = 0x4788;
         auto answer = socket.Get(Request(XFRM_MSG_ALLOCSPI).Header(range).Named("allocate an SPI"));
         return answer.ok() ? Ok() : Status(answer.error());
       },
       [](Place& at) {
         auto socket = ipsec(at);
         xfrm_usersa_id id{};
         id.daddr = state().id.daddr;
         id.spi = htonl(0x4788);
         id.family = AF_INET;
         id.proto = IPPROTO_ESP;
         return socket.Ack(Request(XFRM_MSG_DELSA).Header(id).Named("delete a state"));
       },
       [](Place& at) {
         auto socket = ipsec(at);
         // A request for an SPI that is refused leaves a state without one behind, for a while.
         std::size_t count = 0;
         for (const Message& message : SETUP_OK(socket.Dump(Request(XFRM_MSG_GETSA).Named("list the states")))) count += message.Header<xfrm_usersa_info>().id.spi == htonl(0x4788);
         return count;
       },
       [](Place& at) {
         auto socket = ipsec(at);
         xfrm_usersa_flush flush{};
         flush.proto = IPPROTO_ESP;
         return socket.Ack(Request(XFRM_MSG_FLUSHSA).Header(flush).Named("flush the states"));
       }},
      {"SegmentRoutingKeys", {"ROUTE-14"}, {"IPV6_SEG6_LWTUNNEL", "IPV6_SEG6_HMAC"},
       [](Place& at) { return segment_key(at, "secret"); },
       [](Place& at) { return segment_key(at, ""); },
       [](Place& at) {
         Generic family(at, SEG6_GENL_NAME, "IPV6_SEG6_LWTUNNEL");
         return SETUP_OK(family->Dump(family.Make(SEG6_CMD_DUMPHMAC, "list the keys", SEG6_GENL_VERSION))).size();
       }, {}, true},
      {"Expectations", {"FW-24"}, {"NF_CT_NETLINK", "NF_CONNTRACK_FTP"},
       [](Place& at) -> Status {
         RETURN_IF_ERROR(Known(connection_with_helper(at, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL), "NF_CONNTRACK_FTP"));
         return expectation(at, IPCTNL_MSG_EXP_NEW, NLM_F_CREATE | NLM_F_EXCL);
       },
       [](Place& at) {
         const Status removed = expectation(at, IPCTNL_MSG_EXP_DELETE, 0);
         (void)connection_with_helper(at, IPCTNL_MSG_CT_DELETE, 0).ok();
         return removed;
       },
       [](Place& at) {
         auto socket = NetfilterIn(at.ns);
         auto all = socket.Dump(NetfilterRequest(NFNL_SUBSYS_CTNETLINK_EXP, IPCTNL_MSG_EXP_GET, 0, "list expectations"));
         if (!all.ok()) Known(all.error(), "NF_CT_NETLINK").ok();
         return SETUP_OK(std::move(all)).size();
       },
       [](Place& at) {
         const Status flushed = NetfilterIn(at.ns).Ack(NetfilterRequest(NFNL_SUBSYS_CTNETLINK_EXP, IPCTNL_MSG_EXP_DELETE, 0, "flush expectations"));
         (void)connection_with_helper(at, IPCTNL_MSG_CT_DELETE, 0).ok();
         return flushed;
       }},
      {"Connections", {"FW-07"}, {"NF_CT_NETLINK"},
       [](Place& at) { return Known(connection(at, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL), "NF_CT_NETLINK"); },
       [](Place& at) { return connection(at, IPCTNL_MSG_CT_DELETE, 0); },
       [](Place& at) {
         auto socket = NetfilterIn(at.ns);
         std::size_t count = 0;
         auto all = socket.Dump(NetfilterRequest(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET, 0, "list connections"));
         if (!all.ok()) Known(all.error(), "NF_CT_NETLINK").ok();
         for (const Message& message : SETUP_OK(std::move(all))) {
           in_addr source{};
           ::inet_pton(AF_INET, "192.0.2.84", &source);
           if (message.AttributesAfter<nfgenmsg>().Nested(CTA_TUPLE_ORIG).Nested(CTA_TUPLE_IP).U32(CTA_IP_V4_SRC) == source.s_addr) ++count;
         }
         return count;
       },
       [](Place& at) {
         return NetfilterIn(at.ns).Ack(NetfilterRequest(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE, 0, "flush connections"));
       }},
      {"AccountingObjects", {"FW-25"}, {"NETFILTER_NETLINK_ACCT"},
       [](Place& at) { return Known(account(at, NFNL_MSG_ACCT_NEW, NLM_F_CREATE | NLM_F_EXCL), "NETFILTER_NETLINK_ACCT"); },
       [](Place& at) { return account(at, NFNL_MSG_ACCT_DEL, 0); },
       [](Place& at) {
         auto socket = NetfilterIn(at.ns);
         auto all = socket.Dump(NetfilterRequest(NFNL_SUBSYS_ACCT, NFNL_MSG_ACCT_GET, 0, "list accounting objects"));
         if (!all.ok()) Known(all.error(), "NETFILTER_NETLINK_ACCT").ok();
         return SETUP_OK(std::move(all)).size();
       },
       [](Place& at) {
         return NetfilterIn(at.ns).Ack(NetfilterRequest(NFNL_SUBSYS_ACCT, NFNL_MSG_ACCT_DEL, 0, "flush accounting objects"));
       }},
      {"TimeoutPolicies", {"FW-08", "FW-25"}, {"NF_CT_NETLINK_TIMEOUT"},
       [](Place& at) { return Known(policy(at, IPCTNL_MSG_TIMEOUT_NEW, NLM_F_CREATE | NLM_F_EXCL), "NF_CT_NETLINK_TIMEOUT"); },
       [](Place& at) { return policy(at, IPCTNL_MSG_TIMEOUT_DELETE, 0); },
       [](Place& at) {
         auto socket = NetfilterIn(at.ns);
         auto all = socket.Dump(NetfilterRequest(NFNL_SUBSYS_CTNETLINK_TIMEOUT, IPCTNL_MSG_TIMEOUT_GET, 0, "list timeout policies"));
         if (!all.ok()) Known(all.error(), "NF_CT_NETLINK_TIMEOUT").ok();
         return SETUP_OK(std::move(all)).size();
       },
       [](Place& at) {
         return NetfilterIn(at.ns).Ack(NetfilterRequest(NFNL_SUBSYS_CTNETLINK_TIMEOUT, IPCTNL_MSG_TIMEOUT_DELETE, 0, "flush timeout policies"));
       }},
      // ipset(8): "destroy" without a name destroys all sets.
      {"Sets", {"FW-15"}, {"IP_SET", "IP_SET_HASH_IP"}, [](Place& at) { return change_set(at, IPSET_CMD_CREATE, true); }, [](Place& at) { return change_set(at, IPSET_CMD_DESTROY, true); },
       [](Place& at) {
         Request list = NetfilterRequest(NFNL_SUBSYS_IPSET, IPSET_CMD_LIST, 0, "list sets");
         std::size_t count = 0;
         for (const Message& message : SETUP_OK(NetfilterIn(at.ns).Dump(list.U8(IPSET_ATTR_PROTOCOL, 6)))) count += message.AttributesAfter<nfgenmsg>().Text(IPSET_ATTR_SETNAME) == "nscon-90";
         return count;
       },
       [](Place& at) { return change_set(at, IPSET_CMD_DESTROY, false); }},
      // nft(8): "flush ruleset" deletes the tables of all families.
      {"TablesOfNftables", {"FW-01"}, {"NF_TABLES", "NF_TABLES_INET"},
       [](Place& at) { return SETUP_OK(Nftables::In(at.ns)).Commit(NftBatch().Add(NFT_MSG_NEWTABLE, NFPROTO_INET, NLM_F_CREATE | NLM_F_EXCL, "add a table", [](Request& r) { r.Text(NFTA_TABLE_NAME, "nscon-91"); })); },
       [](Place& at) { return SETUP_OK(Nftables::In(at.ns)).Commit(NftBatch().DeleteTable(NFPROTO_INET, "nscon-91")); },
       [](Place& at) {
         return SETUP_OK(NetfilterIn(at.ns).Dump(NetfilterRequest(NFNL_SUBSYS_NFTABLES, NFT_MSG_GETTABLE, 0, "list the tables of nftables", AF_UNSPEC))).size();
       },
       [](Place& at) { return SETUP_OK(Nftables::In(at.ns)).Commit(NftBatch().Add(NFT_MSG_DELTABLE, NFPROTO_UNSPEC, 0, "flush the ruleset", [](Request&) {})); }},
      {"Actions", {"DEV-37"}, {"NET_ACT_GACT"},
       [](Place& at) {
         Status added = action(at, RTM_NEWACTION, NLM_F_CREATE | NLM_F_EXCL);
         RequireBuiltIn(added, "NET_ACT_GACT");
         return added;
       },
       [](Place& at) { return action(at, RTM_DELACTION, 0); },
       [](Place& at) {
         std::size_t count = 0;
         auto all = at->socket().Dump(ActionRequest(RTM_GETACTION, 0, "list the actions", [](Request& one) { one.Text(TCA_ACT_KIND, "gact"); }));
         if (!all.ok()) RequireBuiltIn(Status(all.error()), "NET_ACT_GACT");
         for (const Message& message : SETUP_OK(std::move(all))) count += message.AttributesAfter<tcamsg>().Nested(TCA_ACT_TAB).all().size();
         return count;
       },
       [](Place& at) {  // tc-actions(8): "flush action"
         return at->socket().Ack(ActionRequest(RTM_DELACTION, NLM_F_ROOT, "flush the actions", [](Request& one) { one.Text(TCA_ACT_KIND, "gact"); }));
       }},
      {"Datapaths", {"VIRT-20"}, {"OPENVSWITCH"}, [](Place& at) { return datapath(at, OVS_DP_CMD_NEW); }, [](Place& at) { return datapath(at, OVS_DP_CMD_DEL); },
       [](Place& at) {
         Generic family(at, OVS_DATAPATH_FAMILY, "OPENVSWITCH");
         Request dump = family.Make(OVS_DP_CMD_GET, "list the datapaths", OVS_DATAPATH_VERSION);
         dump.Header(ovs_header{});
         return SETUP_OK(family->Dump(dump)).size();
       }},
  };
  return tables;
}

using Others = std::vector<std::pair<Place*, const char*>>;

// network_namespaces(7): each namespace has its own.
void IsSeparate(const Table& table, Place& owner, const Others& others) {
  const std::size_t before = table.count(owner);
  std::vector<std::size_t> births;
  Place made_before = Place::Inside(owner);
  const std::size_t at_birth = table.count(made_before);
  for (const auto& [place, name] : others) births.push_back(table.count(*place));
  ASSERT_OK(table.add(owner)) << "control";
  EXPECT_THAT(table.add(owner), Not(Succeeds())) << "control: it is there";
  EXPECT_EQ(table.count(owner), before + 1) << "control: it is listed";
  Place made_after = Place::Inside(owner);
  EXPECT_EQ(table.count(made_after), at_birth) << "network_namespaces(7): a namespace begins with what its creator's has";
  for (std::size_t i = 0; i < others.size(); ++i) {
    auto [place, name] = others[i];
    SCOPED_TRACE(name);
    EXPECT_EQ(table.count(*place), births[i]) << "network_namespaces(7): it is listed in another namespace";
    EXPECT_THAT(table.remove(*place), Not(Succeeds())) << "network_namespaces(7): it can be deleted in another namespace";
    EXPECT_EQ(table.count(owner), before + 1) << "it was deleted in another namespace";
    EXPECT_OK(table.add(*place)) << "network_namespaces(7): an equal one of another namespace is in the way";
    EXPECT_EQ(table.count(owner), before + 1) << "an equal one of another namespace is listed";
    EXPECT_OK(table.remove(*place)) << "control: its own";
    EXPECT_EVENTUALLY("its own to go", [&, place = place] { return table.count(*place) == births[i]; });
    EXPECT_EQ(table.count(owner), before + 1) << "it was deleted with an equal one of another namespace";
    if (!table.flush) continue;
    SETUP_OK(table.add(*place));
    EXPECT_OK(table.flush(*place));
    EXPECT_EVENTUALLY("control: its own to go", [&, place = place] { return table.count(*place) == births[i]; });
    EXPECT_EQ(table.count(owner), before + 1) << "network_namespaces(7): it was flushed in another namespace";
  }
  EXPECT_OK(table.remove(owner)) << "control";
  EXPECT_EVENTUALLY("control: it to go", [&] { return table.count(owner) == before; });
}

void IsSeparateFromTheInitial(const Table& table, bool of_the_initial) {
  Place initial(InitialNetNamespace()), fresh, other;
  Place& owner = of_the_initial ? initial : fresh;
  Place born = Place::Inside(owner);
  IsSeparate(table, owner, {{&other, "a third namespace"}, {&born, "a namespace that was made inside the owner's"}, {of_the_initial ? &fresh : &initial, of_the_initial ? "another namespace" : "the initial namespace"}});
}

void IsSeparateAmongOthers(const Table& table) {
  Place creator = Place::Here(), before, owner, after;
  Place born = Place::Inside(owner);
  IsSeparate(table, owner, {{&before, "the namespace made before"}, {&after, "the namespace made after"}, {&creator, "the creator's namespace"}, {&born, "a namespace that was made inside the owner's"}});
}

[[maybe_unused]] const bool tables = [] {
  for (const Table& table : Tables()) {
    Covers covers;
    covers.list = table.covers;
    covers.list.push_back("NLK-01");  // the requests are sent by a process of another namespace than their sockets were made in
    for (const char* id : {"CREATE-24", "USER-30"}) covers.list.push_back(id);
    Needs needs, needs_machine(Machine());
    if (table.for_root) needs.list.push_back(Root());
    for (const char* symbol : table.configs)
      for (Needs* each : {&needs, &needs_machine}) each->list.push_back(Config(symbol));
    RegisterBody("Nlk", std::string("TablesAreOfOneNamespace/") + table.name, __FILE__, __LINE__, [&table] { IsSeparateAmongOthers(table); }, covers, needs);
    for (bool of_the_initial : {false, true})
      RegisterBody("Nlk", std::string(of_the_initial ? "TablesOfTheInitialNamespaceAreItsOwn/" : "TablesDoNotReachTheInitialNamespace/") + table.name, __FILE__, __LINE__,
                   [&table, of_the_initial] { IsSeparateFromTheInitial(table, of_the_initial); }, covers, needs_machine, Exclusive{});
  }
  return true;
}();

}  // namespace
}  // namespace netns
