// SPDX-License-Identifier: GPL-2.0-or-later
// NLK, second part: news of subsystems that do not speak rtnetlink stays in its namespace too. Each of them names the namespace
// that it tells in code of its own. Left out: L2TP, which tells all namespaces (genlmsg_multicast_allns()).
#include <arpa/inet.h>
#include <linux/genetlink.h>
#include <linux/if_team.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/openvswitch.h>
#include <linux/xfrm.h>

#include "fixtures/link_monitor.h"
#include "fixtures/nic.h"
#include "fixtures/sockets.h"
#include "suites/support/conntrack_tuple.h"
#include "suites/support/generic.h"
#include "suites/support/may_use.h"
#include "suites/support/place.h"

namespace netns {
namespace {

constexpr const char* kName = "nsconf-news";
constexpr std::uint32_t kNumber = 0x4E455753;  // as bytes, whichever way round, in nothing else that is told

/// Something that is told to the listeners of a group when it is done.
struct News {
  const char *name, *symbol;
  int protocol;
  std::vector<unsigned> groups;  ///< Of generic netlink: found by name.
  const char *family, *group;
  std::string mark;                    ///< What a message about it contains.
  std::function<void(Place&)> make;    ///< MISS where the kernel cannot.
  const char* also = nullptr;          ///< Another option that it takes.
  bool later = false;                  ///< Told some time after it is done, by a worker of the kernel.
};
std::string Bytes4(std::uint32_t number) { return std::string(reinterpret_cast<const char*>(&number), sizeof number); }

NetlinkSocket Ipsec(Place& at) {
  auto opened = at.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_XFRM);
  if (!opened.ok()) RequireBuiltIn(opened.error(), "XFRM_USER");
  return SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(std::move(opened))));
}
/// A policy about what goes to an address.
xfrm_userpolicy_info Policy(std::uint32_t to) {
  xfrm_userpolicy_info policy{};
  policy.sel.family = AF_INET;
  policy.sel.daddr.a4 = to;
  policy.sel.prefixlen_d = 32;
  policy.lft = {XFRM_INF, XFRM_INF, XFRM_INF, XFRM_INF, 0, 0, 0, 0};
  policy.dir = XFRM_POLICY_OUT;
  policy.action = XFRM_POLICY_BLOCK;
  return policy;
}
constexpr const char* kLoopback = "127.78.69.87";             // an address of lo,
const std::string kLoopbackBytes = "\x7f\x4e\x45\x57";  // and as it is told

/// Has a connection expected that goes to kLoopback, and forgets it. What it comes of says nothing of that address.
void Expect(Place& at) {
  auto socket = SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(at.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER))));
  const auto request = [](int subsystem, int type, std::uint16_t flags, const char* what) {
    nfgenmsg header{};
    header.nfgen_family = AF_INET;
    Request made(static_cast<std::uint16_t>(subsystem << 8 | type), flags);
    made.Named(what).Header(header);
    return made;
  };
  Request master = request(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL, "add a connection with a helper");
  NestTuple(master, CTA_TUPLE_ORIG, IPPROTO_TCP, "192.0.2.21", "192.0.2.22", 4021, 21);
  NestTuple(master, CTA_TUPLE_REPLY, IPPROTO_TCP, "192.0.2.22", "192.0.2.21", 21, 4021);
  master.Be32(CTA_TIMEOUT, 600).Nest(CTA_PROTOINFO, [](Request& info) { info.Nest(CTA_PROTOINFO_TCP, [](Request& tcp) { tcp.U8(CTA_PROTOINFO_TCP_STATE, 3); }); });
  master.Nest(CTA_HELP, [](Request& help) { help.Text(CTA_HELP_NAME, "ftp"); });
  const Status made = socket.Ack(master);
  if (made.code() == EINVAL || made.code() == EOPNOTSUPP || made.code() == EAGAIN) throw MissingNeed("needs-config:NF_CONNTRACK_FTP", "no connection with a helper can be made: " + made.error().ToString());
  SETUP_OK(Status(made));
  Request expect = request(NFNL_SUBSYS_CTNETLINK_EXP, IPCTNL_MSG_EXP_NEW, NLM_F_CREATE | NLM_F_EXCL, "expect a connection");
  NestTuple(expect, CTA_EXPECT_MASTER, IPPROTO_TCP, "192.0.2.21", "192.0.2.22", 4021, 21);
  NestTuple(expect, CTA_EXPECT_TUPLE, IPPROTO_TCP, "192.0.2.22", kLoopback, 0, 4999);
  NestTuple(expect, CTA_EXPECT_MASK, IPPROTO_TCP, "255.255.255.255", "255.255.255.255", 0, 0xffff);
  SETUP_OK(socket.Ack(expect.Be32(CTA_EXPECT_TIMEOUT, 600)));
  SETUP_OK(socket.Ack(request(NFNL_SUBSYS_CTNETLINK_EXP, IPCTNL_MSG_EXP_DELETE, 0, "forget it")));
  SETUP_OK(socket.Ack(request(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE, 0, "forget the connection")));
}

const std::vector<News>& AllNews() {
  static const std::vector<News> news = {
      {"Datapaths", "OPENVSWITCH", NETLINK_GENERIC, {}, OVS_DATAPATH_FAMILY, OVS_DATAPATH_MCGROUP, kName,
       [](Place& at) {
         Generic ovs(at, OVS_DATAPATH_FAMILY, "OPENVSWITCH");
         Request add = ovs.Make(OVS_DP_CMD_NEW, "add a datapath", OVS_DATAPATH_VERSION);
         add.Header(ovs_header{}).Text(OVS_DP_ATTR_NAME, kName).U32(OVS_DP_ATTR_UPCALL_PID, 0);
         SETUP_OK(ovs->Ack(add));
         Request remove = ovs.Make(OVS_DP_CMD_DEL, "delete it", OVS_DATAPATH_VERSION);
         remove.Header(ovs_header{}).Text(OVS_DP_ATTR_NAME, kName);
         SETUP_OK(ovs->Ack(remove));
       }},
      {"IpsecPolicies", "XFRM_USER", NETLINK_XFRM, {XFRMNLGRP_POLICY}, nullptr, nullptr, Bytes4(kNumber),
       [](Place& at) {
         auto opened = at.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_XFRM);
         if (!opened.ok()) RequireBuiltIn(opened.error(), "XFRM_USER");
         auto socket = SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(std::move(opened))));
         xfrm_userpolicy_info policy{};
         policy.sel.family = AF_INET;
         policy.sel.daddr.a4 = policy.sel.saddr.a4 = kNumber;
         policy.sel.prefixlen_d = policy.sel.prefixlen_s = 32;
         policy.lft = {XFRM_INF, XFRM_INF, XFRM_INF, XFRM_INF, 0, 0, 0, 0};
         policy.dir = XFRM_POLICY_OUT;
         policy.action = XFRM_POLICY_BLOCK;
         SETUP_OK(socket.Ack(Request(XFRM_MSG_NEWPOLICY, NLM_F_CREATE | NLM_F_EXCL).Header(policy).Named("add a policy")));
         xfrm_userpolicy_id id{};
         id.sel = policy.sel;
         id.dir = policy.dir;
         SETUP_OK(socket.Ack(Request(XFRM_MSG_DELPOLICY).Header(id).Named("delete it")));
       }},
      {"IpsecStates", "XFRM_USER", NETLINK_XFRM, {XFRMNLGRP_SA}, nullptr, nullptr, Bytes4(kNumber),
       [](Place& at) {
         auto opened = at.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_XFRM);
         if (!opened.ok()) RequireBuiltIn(opened.error(), "XFRM_USER");
         auto socket = SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(std::move(opened))));
         // One that has no algorithm yet: its end is told like that of any other.
         xfrm_userspi_info range{};
         range.info.family = range.info.sel.family = AF_INET;
         range.info.id.daddr.a4 = kNumber;
         range.info.saddr.a4 = kNumber;
         range.info.id.proto = IPPROTO_ESP;
         range.info.lft = {XFRM_INF, XFRM_INF, XFRM_INF, XFRM_INF, 0, 0, 0, 0};
         range.min = range.max = 0x4711;
         SETUP_OK(socket.Get(Request(XFRM_MSG_ALLOCSPI).Header(range).Named("allocate an SPI")));
         xfrm_usersa_id id{};
         id.daddr.a4 = kNumber;
         id.family = AF_INET;
         id.proto = IPPROTO_ESP;
         id.spi = htonl(0x4711);
         SETUP_OK(socket.Ack(Request(XFRM_MSG_DELSA).Header(id).Named("delete the state")));
       }},
      // ip-xfrm(8), "ip xfrm monitor": "acquire", "expire", "SA", "policy"; what is flushed is told at once.
      {"IpsecAcquires", "XFRM_USER", NETLINK_XFRM, {XFRMNLGRP_ACQUIRE}, nullptr, nullptr, Bytes4(kNumber),
       [](Place& at) {
         auto socket = Ipsec(at);
         AddDevice(at, kName, {}, true);  // lo would not ask the policies
         SETUP_OK(at->AddAddress("198.51.100.1/24", kName));
         xfrm_userpolicy_info policy = Policy(kNumber);
         char text[INET_ADDRSTRLEN] = "";
         ::inet_ntop(AF_INET, &policy.sel.daddr, text, sizeof text);
         SETUP_OK(at->AddRoute({.to = std::string(text) + "/32", .dev = kName}));
         policy.action = XFRM_POLICY_ALLOW;
         xfrm_user_tmpl wanted{};
         wanted.id.proto = IPPROTO_ESP;
         wanted.id.daddr.a4 = kNumber;
         wanted.family = AF_INET;
         wanted.mode = XFRM_MODE_TRANSPORT;
         wanted.aalgos = wanted.ealgos = wanted.calgos = ~0u;
         SETUP_OK(socket.Ack(Request(XFRM_MSG_NEWPOLICY, NLM_F_CREATE | NLM_F_EXCL).Header(policy).Structure(XFRMA_TMPL, wanted).Named("add a policy that wants ESP")));
         const Fd sender = SETUP_OK(at.ns.Socket(AF_INET, SOCK_DGRAM));
         const SockAddr to = Inet(text, 9);
         (void)!::sendto(sender.get(), "x", 1, MSG_DONTWAIT, to.get(), to.length());  // it waits for somebody to make a state
       },
       "VETH"},
      {"IpsecPoliciesThatExpire", "XFRM_USER", NETLINK_XFRM, {XFRMNLGRP_EXPIRE}, nullptr, nullptr, Bytes4(kNumber),
       [](Place& at) {
         auto socket = Ipsec(at);
         xfrm_user_polexpire expire{};
         expire.pol = Policy(kNumber);
         expire.hard = 1;
         SETUP_OK(socket.Ack(Request(XFRM_MSG_NEWPOLICY, NLM_F_CREATE | NLM_F_EXCL).Header(expire.pol).Named("add a policy")));
         SETUP_OK(socket.Ack(Request(XFRM_MSG_POLEXPIRE).Header(expire).Named("let it expire")));
       }},
      {"IpsecPoliciesThatAreFlushed", "XFRM_USER", NETLINK_XFRM, {XFRMNLGRP_POLICY}, nullptr, nullptr, "",
       [](Place& at) {
         auto socket = Ipsec(at);
         SETUP_OK(socket.Ack(Request(XFRM_MSG_NEWPOLICY, NLM_F_CREATE | NLM_F_EXCL).Header(Policy(kNumber)).Named("add a policy")));
         SETUP_OK(socket.Ack(Request(XFRM_MSG_FLUSHPOLICY).Named("flush")));
       }},
      {"IpsecStatesThatAreFlushed", "XFRM_USER", NETLINK_XFRM, {XFRMNLGRP_SA}, nullptr, nullptr, "",
       [](Place& at) {
         auto socket = Ipsec(at);
         xfrm_userspi_info range{};
         range.info.family = range.info.sel.family = AF_INET;
         range.info.id.daddr.a4 = range.info.saddr.a4 = kNumber;
         range.info.id.proto = IPPROTO_ESP;
         range.info.lft = {XFRM_INF, XFRM_INF, XFRM_INF, XFRM_INF, 0, 0, 0, 0};
         range.min = range.max = 0x4712;
         SETUP_OK(socket.Get(Request(XFRM_MSG_ALLOCSPI).Header(range).Named("allocate an SPI")));
         SETUP_OK(socket.Ack(Request(XFRM_MSG_FLUSHSA).Header(xfrm_usersa_flush{.proto = IPPROTO_ESP}).Named("flush")));
       }},
      {"PortsOfDatapaths", "OPENVSWITCH", NETLINK_GENERIC, {}, OVS_VPORT_FAMILY, OVS_VPORT_MCGROUP, kName,
       [](Place& at) {
         Generic datapaths(at, OVS_DATAPATH_FAMILY, "OPENVSWITCH"), ports(at, OVS_VPORT_FAMILY, "OPENVSWITCH");
         Request add = datapaths.Make(OVS_DP_CMD_NEW, "add a datapath", OVS_DATAPATH_VERSION);
         add.Header(ovs_header{}).Text(OVS_DP_ATTR_NAME, "nsconf-path").U32(OVS_DP_ATTR_UPCALL_PID, 0);
         SETUP_OK(datapaths->Ack(add));
         const ovs_header header{.dp_ifindex = SETUP_OK(at->LinkByName("nsconf-path")).index};
         Request port = ports.Make(OVS_VPORT_CMD_NEW, "add a port", OVS_VPORT_VERSION);
         port.Header(header).U32(OVS_VPORT_ATTR_TYPE, OVS_VPORT_TYPE_INTERNAL).Text(OVS_VPORT_ATTR_NAME, kName).U32(OVS_VPORT_ATTR_UPCALL_PID, 0);
         SETUP_OK(ports->Ack(port));
         Request remove = ports.Make(OVS_VPORT_CMD_DEL, "delete it", OVS_VPORT_VERSION);
         remove.Header(header).Text(OVS_VPORT_ATTR_NAME, kName);
         SETUP_OK(ports->Ack(remove));
       }},
      // netlink/specs/team.yaml: "change_event"; told of by the index of the device
      {"PortsOfTeams", "NET_TEAM", NETLINK_GENERIC, {}, TEAM_GENL_NAME, TEAM_GENL_CHANGE_EVENT_MC_GRP_NAME, Bytes4(kNumber),
       [](Place& at) {
         Status added = at->AddLink({.name = kName, .kind = "team", .index = int{kNumber}});
         RequireBuiltIn(added, "NET_TEAM");
         SETUP_OK(std::move(added));
         AddDevice(at, "nsconf-port");
         SETUP_OK(at->SetLink("nsconf-port", {.master = LinkRef(kName)}));
         SETUP_OK(at->DeleteLink(kName));
         SETUP_OK(at->DeleteLink("nsconf-port"));
       },
       "VETH"},
      // conntrack(8): "-E"; the beginning of a connection and its end.
      {"ConnectionsThatEnd", "NF_CT_NETLINK", NETLINK_NETFILTER, {NFNLGRP_CONNTRACK_DESTROY}, nullptr, nullptr, kLoopbackBytes,
       [](Place& at) {
         auto socket = SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(at.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER))));
         for (const int type : {IPCTNL_MSG_CT_NEW, IPCTNL_MSG_CT_DELETE}) {
           const bool add = type == IPCTNL_MSG_CT_NEW;
           nfgenmsg header{};
           header.nfgen_family = AF_INET;
           Request request(static_cast<std::uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | type), add ? NLM_F_CREATE | NLM_F_EXCL : 0);
           request.Named(add ? "add a connection" : "delete it").Header(header);
           NestTuple(request, CTA_TUPLE_ORIG, IPPROTO_UDP, kLoopback, "192.0.2.22", 4721, 4722);
           if (add) {
             NestTuple(request, CTA_TUPLE_REPLY, IPPROTO_UDP, "192.0.2.22", kLoopback, 4722, 4721);
             request.Be32(CTA_TIMEOUT, 600);
           }
           const Status done = socket.Ack(request);
           if (done.code() == EINVAL || done.code() == ENOTSUP) throw MissingNeed("needs-config:NF_CT_NETLINK", done.error().ToString());
           SETUP_OK(Status(done));
         }
       }},
      // conntrack(8), "expect": told of where it is made and where it is deleted
      {"ExpectedConnections", "NF_CT_NETLINK", NETLINK_NETFILTER, {NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_EXP_NEW}, nullptr, nullptr, kLoopbackBytes,
       [](Place& at) { Expect(at); }, "NF_CONNTRACK_FTP"},
      {"ExpectedConnectionsThatAreDeleted", "NF_CT_NETLINK", NETLINK_NETFILTER, {NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_EXP_DESTROY}, nullptr, nullptr, kLoopbackBytes,
       [](Place& at) { Expect(at); }, "NF_CONNTRACK_FTP"},
      // sock_diag(7), SKNLGRP_INET_TCP_DESTROY and its like, "ss -E": told by its local address, some time after it was closed
      {"SocketsThatAreClosed", "INET_DIAG", NETLINK_SOCK_DIAG, {1, 2}, nullptr, nullptr, "\x7f\x4e\x45\x57",
       [](Place& at) {
         SETUP_OK(at->Up("lo"));
         const std::string address = "127.78.69.87";  // the bytes above
         const Fd listener = SETUP_OK(TcpListen(at.ns, Inet(address, 7))), client = SETUP_OK(TcpConnect(at.ns, Inet(address, 7)));
         const Fd datagram = SETUP_OK(UdpBind(at.ns, Inet(address, 7)));
       },
       nullptr, true}};
  return news;
}

class Ear {
 public:
  Ear(Place& place, const News& news, const char* who) : who_(who), monitor_(Listen(place, news)) {}
  const char* who() const { return who_; }
  /// How many messages about it have come. The kernel sends them before it acknowledges the request.
  int Heard(const News& news) {
    int count = 0;
    for (const Message& message : SETUP_OK(monitor_.DrainNow())) {
      const auto bytes = message.payload();
      count += std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()).find(news.mark) != std::string_view::npos;
    }
    return count;
  }

 private:
  static RtnlMonitor Listen(Place& place, const News& news) {
    if (!MayUse(news.symbol)) throw MissingNeed("needs-module:" + std::string(news.symbol), "a test would load a module of this machine", "load it first");
    auto opened = place.ns.Socket(AF_NETLINK, SOCK_RAW, news.protocol);
    if (!opened.ok()) RequireBuiltIn(opened.error(), news.symbol);
    std::vector<unsigned> groups = news.groups;
    if (news.family != nullptr) {
      auto socket = SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(place.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC))));
      auto family = socket.ResolveFamily(news.family);
      // The module of some comes with the first device of that kind only.
      if (family.code() == ENOENT && place->AddLink({.name = "nsconf-first", .kind = news.family}).ok()) {
        SETUP_OK(place->DeleteLink("nsconf-first"));
        family = socket.ResolveFamily(news.family);
      }
      if (!family.ok()) RequireBuiltIn(family.error(), news.symbol);
      groups = {SETUP_OK(std::move(family)).groups.at(news.group)};
    }
    return SETUP_OK(RtnlMonitor::Adopt(SETUP_OK(std::move(opened)), groups));
  }
  const char* who_;
  RtnlMonitor monitor_;
};

void StaysInItsNamespace(const News& news, bool with_initial) {
  Place before, here, after;
  Place nested = Place::Inside(here);
  Place own = Place::Here();
  std::optional<Place> initial;
  if (with_initial) initial.emplace(InitialNetNamespace());
  Ear hears(here, news, "here");
  std::vector<Ear> others;
  others.emplace_back(before, news, "a namespace created before");
  others.emplace_back(after, news, "a namespace created after");
  others.emplace_back(nested, news, "a namespace created from inside");
  others.emplace_back(own, news, "the creator's namespace");
  if (initial) others.emplace_back(*initial, news, "the initial namespace");
  news.make(here);
  if (news.later) {
    // Once more: when the second is heard, whoever was to hear of the first one has.
    for (int i = 0; i < 2; ++i) {
      if (i > 0) news.make(here);
      ASSERT_OK(Eventually("a listener beside it to hear", [&] { return hears.Heard(news) > 0; })) << "control";
    }
  } else {
    EXPECT_GE(hears.Heard(news), 1) << "control: a listener beside it";
  }
  for (Ear& other : others) EXPECT_EQ(other.Heard(news), 0) << "heard in " << other.who();
}

const bool news_registered = [] {
  for (const News& news : AllNews()) {
    const char* also = news.also != nullptr ? news.also : news.symbol;
    RegisterBody("Nlk", std::string("NewsStaysInItsNamespace/") + news.name, __FILE__, __LINE__, [&news] { StaysInItsNamespace(news, false); },
                 Covers("NLK-04"), Needs(Config(news.symbol), Config(also)));
    RegisterBody("Nlk", std::string("NewsDoesNotReachTheInitialNamespace/") + news.name, __FILE__, __LINE__, [&news] { StaysInItsNamespace(news, true); },
                 Covers("NLK-04"), Needs(Machine(), Config(news.symbol), Config(also)), Exclusive{});
  }
  return true;
}();

}  // namespace
}  // namespace netns
