// SPDX-License-Identifier: GPL-2.0-or-later
// What only one namespace has. A kernel that forgets about namespaces looks numbers and names up in the initial one, and finds
// them taken there. One row for each kind of object: in a namespace that has none of that name it cannot be used, changed or
// deleted, and one of that name can be made.
#include "suites/support/conntrack_tuple.h"
#include "suites/support/place.h"
#include "suites/support/uppers.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fixtures/nic.h"
#include "fixtures/sockets.h"
#include "suites/support/firewall.h"

// The kernel's headers after the C library's: in this order they go together.
#include <linux/fib_rules.h>
#include <linux/genetlink.h>
#include <linux/if_addrlabel.h>
#include <linux/inet_diag.h>
#include <linux/mptcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_acct.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/nexthop.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/ppp-ioctl.h>
#include <linux/sock_diag.h>

namespace netns {
namespace {

/// What keeps an object; it goes with it.
using Keeper = std::shared_ptr<void>;
Keeper Until(std::function<void()> undo) {
  return Keeper(nullptr, [undo = std::move(undo)](void*) { undo(); });
}

struct Use {
  const char* what;
  std::function<Status(Place&)> in;
};
struct Kind {
  const char *suite, *name;
  std::vector<std::string> covers;
  std::vector<const char*> configs;
  std::function<Result<Keeper>(Place&)> make;  ///< Fails where one of that name is there.
  std::vector<Use> uses;                       ///< Succeed only where there is one. What deletes comes last.
};

NetlinkSocket SocketIn(Place& at, int protocol) { return SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(at.ns.Socket(AF_NETLINK, SOCK_RAW, protocol)))); }
Status AsStatus(const Result<Message>& answer) { return answer.ok() ? Ok() : Status(answer.error()); }

// Numbers that nothing else on the machine has to do with.
constexpr std::uint32_t kNumber = 47474;
constexpr const char* kName = "nsconf_only";

RouteSpec Hole(bool v6) {
  return {.to = v6 ? "2001:db8:4747::/48" : "198.18.47.0/24", .type = RTN_BLACKHOLE, .scope = v6 ? std::optional<std::uint8_t>() : 0, .family = v6 ? AF_INET6 : AF_INET};
}
Kind RouteKind(bool v6) {
  return {"Route", v6 ? "Ipv6Route" : "Ipv4Route", {v6 ? "ROUTE-02" : "ROUTE-01", "USER-30"}, {v6 ? "IPV6" : "INET"},
          [v6](Place& at) -> Result<Keeper> {
            RETURN_IF_ERROR(at->Up("lo"));
            RETURN_IF_ERROR(at->AddRoute(Hole(v6)));
            return Until([&at, v6] { (void)at->DeleteRoute(Hole(v6)).ok(); });
          },
          {{"deletion", [v6](Place& at) { return at->DeleteRoute(Hole(v6)); }}}};
}
Kind RuleKind(bool v6) {
  const RuleSpec rule{.family = v6 ? AF_INET6 : AF_INET, .priority = 4747, .table = 4747, .mark = kNumber};
  return {"Route", v6 ? "Ipv6Rule" : "Ipv4Rule", {"ROUTE-04", "USER-30"}, {v6 ? "IPV6_MULTIPLE_TABLES" : "IP_MULTIPLE_TABLES"},
          [rule](Place& at) -> Result<Keeper> {
            RETURN_IF_ERROR(at->AddRule(rule));
            return Until([&at, rule] { (void)at->DeleteRule(rule).ok(); });
          },
          {{"deletion", [rule](Place& at) { return at->DeleteRule(rule); }}}};
}
/// A table that a rule of the own namespace names: the lookup goes on where there is no such table.
Kind TableKind(bool v6) {
  RouteSpec route = Hole(v6);
  route.type = RTN_PROHIBIT;
  route.table = 4748;
  return {"Route", v6 ? "Ipv6Table" : "Ipv4Table", {"ROUTE-05", "ROUTE-17"}, {v6 ? "IPV6_MULTIPLE_TABLES" : "IP_MULTIPLE_TABLES"},
          [route](Place& at) -> Result<Keeper> {
            RETURN_IF_ERROR(at->Up("lo"));
            RETURN_IF_ERROR(at->AddRoute(route));
            return Until([&at, route] { (void)at->DeleteRoute(route).ok(); });
          },
          {{"a lookup that a rule sends there", [v6](Place& at) -> Status {
              const RuleSpec rule{.family = v6 ? AF_INET6 : AF_INET, .priority = 4748, .table = 4748, .mark = kNumber};
              SETUP_OK(at->AddRule(rule));
              const auto found = at->GetRoute(v6 ? "2001:db8:4747::1" : "198.18.47.1", {.mark = kNumber});
              SETUP_OK(at->DeleteRule(rule));
              if (found.code() == EACCES) return Ok();  // what the route in the table says
              return Error{found.ok() ? ENETUNREACH : found.code(), "the lookup did not come to the table"};
            }}}};
}
Kind NexthopKind() {
  const auto request = [](std::uint16_t type, std::uint16_t flags = 0) {
    nhmsg header{};
    if (type == RTM_NEWNEXTHOP) header.nh_family = AF_INET;
    Request message(type, flags);
    message.Named("nexthop").Header(header).U32(NHA_ID, kNumber);
    if (type == RTM_NEWNEXTHOP) message.Flag(NHA_BLACKHOLE);
    return message;
  };
  return {"Route", "Nexthop", {"ROUTE-08", "USER-30"}, {"INET"},
          [=](Place& at) -> Result<Keeper> {
            RETURN_IF_ERROR(at->Up("lo"));  // a blackhole needs it
            RETURN_IF_ERROR(at->socket().Ack(request(RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_EXCL)));
            return Until([&at, request] { (void)at->socket().Ack(request(RTM_DELNEXTHOP)).ok(); });
          },
          {{"RTM_GETNEXTHOP", [=](Place& at) { return AsStatus(at->socket().Get(request(RTM_GETNEXTHOP))); }},
           {"a route by it",
            [](Place& at) {
              RouteSpec route{.to = "198.18.48.0/24", .scope = 0, .more = [](Request& r) { r.U32(30 /* RTA_NH_ID */, kNumber); }};
              const Status added = at->AddRoute(route);
              if (added.ok()) (void)at->DeleteRoute({.to = "198.18.48.0/24"}).ok();
              return added;
            }},
           {"deletion", [=](Place& at) { return at->socket().Ack(request(RTM_DELNEXTHOP)); }}}};
}
Kind LabelKind() {
  const auto request = [](std::uint16_t type, std::uint16_t flags = 0) {
    ifaddrlblmsg header{};
    header.ifal_family = AF_INET6;
    header.ifal_prefixlen = 48;
    Request message(type, flags);
    message.Named("address label").Header(header).Structure(IFAL_ADDRESS, Ip6("2001:db8:4747::")).U32(IFAL_LABEL, kNumber);
    return message;
  };
  return {"Route", "AddressLabel", {"ROUTE-13"}, {"IPV6"},
          [=](Place& at) -> Result<Keeper> {
            RETURN_IF_ERROR(at->socket().Ack(request(RTM_NEWADDRLABEL, NLM_F_CREATE | NLM_F_EXCL)));
            return Until([&at, request] { (void)at->socket().Ack(request(RTM_DELADDRLABEL)).ok(); });
          },
          {{"deletion", [=](Place& at) { return at->socket().Ack(request(RTM_DELADDRLABEL)); }}}};
}
/// The index of a device as the interface by which a simulated packet comes in, and as what else a request can name.
Kind IndexKind() {
  const auto lookup = [](Place& at, const char* to, const char* from) -> Status {
    const auto found = at->GetRoute(to, {.src = from, .iif = int{kNumber}});
    return found.code() == ENODEV ? Status(found.error()) : Ok();  // whatever else comes of it, the device is known
  };
  Kind kind{"Route", "InputInterface", {"ROUTE-17", "DEV-06"}, {"VETH"},
          [](Place& at) -> Result<Keeper> {
            RETURN_IF_ERROR(at->AddVeth("nsconf-in", PeerSpec{.name = "nsconf-in2"}, {.index = int{kNumber}}));
            SETUP_OK(at->Up("nsconf-in"));
            return Until([&at] { (void)at->DeleteLink("nsconf-in").ok(); });
          },
          {{"RTM_GETROUTE over IPv4", [=](Place& at) { return lookup(at, "198.18.47.1", "198.18.49.1"); }},
           {"a dump of its addresses", [](Place& at) -> Status {
              auto addresses = at->Addresses({.family = AF_INET, .index = int{kNumber}});
              return addresses.ok() ? Ok() : Status(addresses.error());
            }}}};
  if (HasIpv6()) kind.uses.push_back({"RTM_GETROUTE over IPv6", [=](Place& at) { return lookup(at, "2001:db8:4747::1", "2001:db8:4749::1"); }});
  return kind;
}
Kind BlockKind() {
  const auto on = [](int index, std::uint32_t parent, std::uint32_t handle = 0, std::uint32_t info = 0) {
    tcmsg header{};
    header.tcm_ifindex = index;
    header.tcm_parent = parent;
    header.tcm_handle = handle;
    header.tcm_info = info;
    return header;
  };
  return {"Dev", "SharedBlock", {"DEV-37"}, {"VETH", "NET_SCHED", "NET_SCH_INGRESS", "NET_CLS_MATCHALL"},
          [=](Place& at) -> Result<Keeper> {
            RETURN_IF_ERROR(at->AddVeth("nsconf-tc", PeerSpec{.name = "nsconf-tc2"}));
            Request add(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL);
            add.Named("clsact with a block").Header(on(SETUP_OK(at->LinkByName("nsconf-tc")).index, TC_H_CLSACT, 0xffff0000)).Text(TCA_KIND, "clsact").U32(TCA_INGRESS_BLOCK, kNumber);
            const Status added = at->socket().Ack(add);
            Keeper keeper = Until([&at] { (void)at->DeleteLink("nsconf-tc").ok(); });
            RETURN_IF_ERROR(added);
            return keeper;
          },
          {{"a filter in it", [=](Place& at) {
              Request add(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL);
              add.Named("a filter in a block").Header(on(-1 /* TCM_IFINDEX_MAGIC_BLOCK */, kNumber, 0, TC_H_MAKE(77u << 16, htons(3 /* ETH_P_ALL */)))).Text(TCA_KIND, "matchall");
              add.Nest(TCA_OPTIONS, [](Request&) {});
              return at->socket().Ack(add);
            }}}};
}
Kind UpperKindRow(const UpperKind& kind) {
  return {"Virt", kind.name, {"VIRT-15"}, {kind.symbol},
          [&kind](Place& at) -> Result<Keeper> {
            Status added = at->AddLink(UpperSpec(kind, "nsconf-up", 0, 47));
            RequireBuiltIn(added, kind.symbol);
            RETURN_IF_ERROR(added);
            // A second one with the same ends is refused, of the same name anyway.
            return Until([&at] { (void)at->DeleteLink("nsconf-up").ok(); });
          },
          {{"deletion", [](Place& at) { return at->DeleteLink("nsconf-up"); }}}};
}
Kind TableOfNftables() {
  const auto commit = [](Place& at, auto change) -> Status {
    ASSIGN_OR_RETURN(Nftables nft, Nftables::In(at.ns));
    NftBatch batch;
    change(batch);
    return nft.Commit(batch);
  };
  const auto raw = [](Place& at, int type, std::uint16_t flags) {
    auto socket = SocketIn(at, NETLINK_NETFILTER);
    nfgenmsg header{};
    header.nfgen_family = NFPROTO_INET;
    Request request(static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type), flags);
    request.Named("nf_tables").Header(header).Text(1 /* NFTA_TABLE_NAME */, kName);
    return AsStatus(socket.Get(request));
  };
  return {"Fw", "NftablesTable", {"FW-01", "USER-30"}, {"NF_TABLES", "NF_TABLES_INET"},
          [=](Place& at) -> Result<Keeper> {
            if (raw(at, 1 /* NFT_MSG_GETTABLE */, 0).ok()) return Error{EEXIST, "the table is there"};
            RETURN_IF_ERROR(commit(at, [](NftBatch& batch) { batch.AddTable(NFPROTO_INET, kName); }));
            return Until([&at] {
              if (auto nft = Nftables::In(at.ns); nft.ok()) (void)nft->Flush().ok();
            });
          },
          {{"NFT_MSG_GETTABLE", [=](Place& at) { return raw(at, 1, 0); }}}};
}
Kind AccountKind() {
  const auto ask = [](Place& at, int type, std::uint16_t flags) {
    auto socket = SocketIn(at, NETLINK_NETFILTER);
    Request request(static_cast<std::uint16_t>(NFNL_SUBSYS_ACCT << 8 | type), flags);
    request.Named("nfacct").Header(nfgenmsg{}).Text(NFACCT_NAME, kName);
    return type == NFNL_MSG_ACCT_GET ? AsStatus(socket.Get(request)) : socket.Ack(request);
  };
  return {"Fw", "AccountingObject", {"FW-25"}, {"NETFILTER_NETLINK_ACCT"},
          [=](Place& at) -> Result<Keeper> {
            RETURN_IF_ERROR(ask(at, NFNL_MSG_ACCT_NEW, NLM_F_CREATE | NLM_F_EXCL));
            return Until([&at, ask] { (void)ask(at, NFNL_MSG_ACCT_DEL, 0).ok(); });
          },
          {{"NFNL_MSG_ACCT_GET", [=](Place& at) { return ask(at, NFNL_MSG_ACCT_GET, 0); }}, {"deletion", [=](Place& at) { return ask(at, NFNL_MSG_ACCT_DEL, 0); }}}};
}
Kind ConnectionKind() {
  const auto ask = [](Place& at, int type, std::uint16_t flags) {
    auto socket = SocketIn(at, NETLINK_NETFILTER);
    nfgenmsg header{};
    header.nfgen_family = AF_INET;
    Request request(static_cast<std::uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | type), flags);
    request.Named("a connection").Header(header);
    NestTuple(request, CTA_TUPLE_ORIG, IPPROTO_UDP, "198.18.47.1", "198.18.47.2", 4747, 4748);
    if (type == IPCTNL_MSG_CT_NEW) {
      NestTuple(request, CTA_TUPLE_REPLY, IPPROTO_UDP, "198.18.47.2", "198.18.47.1", 4748, 4747);
      request.Be32(CTA_TIMEOUT, 600);
    }
    const Status answer = type == IPCTNL_MSG_CT_GET ? AsStatus(socket.Get(request)) : socket.Ack(request);
    if (answer.code() == EINVAL || answer.code() == ENOTSUP) throw MissingNeed("needs-config:NF_CT_NETLINK", answer.error().ToString());
    return answer;
  };
  return {"Fw", "Connection", {"FW-07"}, {"NF_CT_NETLINK"},
          [=](Place& at) -> Result<Keeper> {
            RETURN_IF_ERROR(ask(at, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL));
            return Until([&at, ask] { (void)ask(at, IPCTNL_MSG_CT_DELETE, 0).ok(); });
          },
          {{"IPCTNL_MSG_CT_GET", [=](Place& at) { return ask(at, IPCTNL_MSG_CT_GET, 0); }}, {"deletion", [=](Place& at) { return ask(at, IPCTNL_MSG_CT_DELETE, 0); }}}};
}
Kind EndpointKind() {
  const auto ask = [](Place& at, std::uint8_t command) {
    auto socket = SocketIn(at, NETLINK_GENERIC);
    auto family = socket.ResolveFamily("mptcp_pm");
    if (!family.ok()) RequireBuiltIn(family.error(), "MPTCP");
    Request request(SETUP_OK(std::move(family)).id);
    request.Named("an MPTCP endpoint").Header(genlmsghdr{.cmd = command, .version = 1});
    request.Nest(MPTCP_PM_ATTR_ADDR | NLA_F_NESTED, [&](Request& nest) {
      nest.U16(MPTCP_PM_ADDR_ATTR_FAMILY, AF_INET).U8(MPTCP_PM_ADDR_ATTR_ID, 147).Structure(MPTCP_PM_ADDR_ATTR_ADDR4, Ip4("198.18.47.7"));
      if (command == MPTCP_PM_CMD_ADD_ADDR) nest.U32(MPTCP_PM_ADDR_ATTR_FLAGS, MPTCP_PM_ADDR_FLAG_SIGNAL);
    });
    return command == MPTCP_PM_CMD_GET_ADDR ? AsStatus(socket.Get(request)) : socket.Ack(request);
  };
  return {"Stack", "MptcpEndpoint", {"STACK-15"}, {"MPTCP"},
          [=](Place& at) -> Result<Keeper> {
            RETURN_IF_ERROR(ask(at, MPTCP_PM_CMD_ADD_ADDR));
            return Until([&at, ask] { (void)ask(at, MPTCP_PM_CMD_DEL_ADDR).ok(); });
          },
          {{"MPTCP_PM_CMD_GET_ADDR", [=](Place& at) { return ask(at, MPTCP_PM_CMD_GET_ADDR); }}, {"deletion", [=](Place& at) { return ask(at, MPTCP_PM_CMD_DEL_ADDR); }}}};
}
/// A socket that is asked for by its address, and destroyed. `stream`: TCP.
Kind SocketKind(bool v6, bool stream, const char* name) {
  const auto address = [v6] { return Inet(v6 ? "::1" : "127.0.0.1", 47474); };
  const auto ask = [v6, stream](Place& at, std::uint16_t type) {
    auto socket = SocketIn(at, NETLINK_SOCK_DIAG);
    inet_diag_req_v2 request{};
    request.sdiag_family = v6 ? AF_INET6 : AF_INET;
    request.sdiag_protocol = stream ? IPPROTO_TCP : IPPROTO_UDP;
    request.idiag_states = ~0u;
    // To be shown, a UDP socket is asked for with its two ends the other way round; to be destroyed it is not.
    const bool swapped = !stream && type == SOCK_DIAG_BY_FAMILY;
    (swapped ? request.id.idiag_dport : request.id.idiag_sport) = htons(47474);
    auto& ip = swapped ? request.id.idiag_dst : request.id.idiag_src;
    if (v6) {
      ip[3] = htonl(1);
    } else {
      ip[0] = htonl(INADDR_LOOPBACK);
    }
    request.id.idiag_cookie[0] = request.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    Request message(type);
    message.Named("a socket by its address").Header(request);
    return type == SOCK_DIAG_BY_FAMILY ? AsStatus(socket.Get(message)) : socket.Ack(message);
  };
  return {"Sock", name, {"SOCK-20", v6 ? (stream ? "SOCK-02" : "SOCK-04") : (stream ? "SOCK-01" : "SOCK-03")},
          {"INET_DIAG", stream ? "INET_TCP_DIAG" : "INET_UDP_DIAG", "INET_DIAG_DESTROY", v6 ? "IPV6" : "INET"},
          [=](Place& at) -> Result<Keeper> {
            SETUP_OK(at->Up("lo"));
            auto made = stream ? TcpListen(at.ns, address()) : UdpBind(at.ns, address());
            if (!made.ok()) return made.error();
            auto kept = std::make_shared<Fd>(std::move(*made));
            return Keeper(kept, kept.get());
          },
          {{"a query", [=](Place& at) { return ask(at, SOCK_DIAG_BY_FAMILY); }}, {"SOCK_DESTROY", [=](Place& at) { return ask(at, 21); }}}};
}
Kind NameKind(int type, const char* name) {
  return {"Unix", name, {"UNIX-01", "UNIX-02"}, {"UNIX"},
          [type](Place& at) -> Result<Keeper> {
            auto kept = std::make_shared<Fd>(SETUP_OK(at.ns.Socket(AF_UNIX, type)));
            RETURN_IF_ERROR(Bind(*kept, AbstractUnix(kName)));
            if (type != SOCK_DGRAM) SETUP_OK(Listen(*kept));
            return Keeper(kept, kept.get());
          },
          {{"connect()", [type](Place& at) { return Connect(SETUP_OK(at.ns.Socket(AF_UNIX, type)), AbstractUnix(kName)); }}}};
}
Kind UnitKind() {
  const auto open = [](Place& at) {
    if (::access("/dev/ppp", F_OK) != 0 && ::mknod("/dev/ppp", S_IFCHR | 0600, ::makedev(108, 0)) < 0)
      throw MissingNeed("needs-config:PPP", "there is no /dev/ppp", "use a kernel with CONFIG_PPP");
    auto opened = at.ns.OpenIn("/dev/ppp", O_RDWR);
    if (!opened.ok()) throw MissingNeed("needs-config:PPP", opened.error().ToString(), "use a kernel with CONFIG_PPP");
    return SETUP_OK(std::move(opened));
  };
  const auto call = [](Place& at, const Fd& fd, unsigned long request, const char* text) {
    return at.ns.In([&]() -> Status {
      int unit = 4747;
      if (::ioctl(fd.get(), request, &unit) < 0) return ErrnoError(text);
      return Ok();
    });
  };
  return {"Virt", "PppUnit", {"VIRT-21"}, {"PPP"},
          [=](Place& at) -> Result<Keeper> {
            auto kept = std::make_shared<Fd>(open(at));
            RETURN_IF_ERROR(call(at, *kept, PPPIOCNEWUNIT, "ioctl(PPPIOCNEWUNIT)"));
            return Keeper(kept, kept.get());
          },
          {{"PPPIOCATTACH", [=](Place& at) { return call(at, open(at), PPPIOCATTACH, "ioctl(PPPIOCATTACH)"); }}}};
}

const std::vector<Kind>& Kinds() {
  static const std::vector<Kind> kinds = [] {
    std::vector<Kind> all = {RouteKind(false), RouteKind(true), RuleKind(false), RuleKind(true), TableKind(false), TableKind(true), NexthopKind(), LabelKind(), IndexKind(),
                             BlockKind(), TableOfNftables(), AccountKind(), ConnectionKind(), EndpointKind(), SocketKind(false, true, "TcpSocket"), SocketKind(true, true, "TcpSocketOfIpv6"),
                             SocketKind(false, false, "UdpSocket"), SocketKind(true, false, "UdpSocketOfIpv6"), NameKind(SOCK_STREAM, "AbstractStream"), NameKind(SOCK_DGRAM, "AbstractDatagram"),
                             NameKind(SOCK_SEQPACKET, "AbstractSeqpacket"), UnitKind()};
    for (const UpperKind& upper : UpperKinds())
      if (!upper.on_a_device && upper.clash != 0 && std::string(upper.kind) != "xfrm") all.push_back(UpperKindRow(upper));
    return all;
  }();
  return kinds;
}

void MeansNothingElsewhere(const Kind& kind, Place& owner, std::initializer_list<Place*> others) {
  auto made = kind.make(owner);
  if (!made.ok() && (made.code() == EOPNOTSUPP || made.code() == EPROTONOSUPPORT || made.code() == EAFNOSUPPORT || made.code() == EPFNOSUPPORT || made.code() == ENOENT))
    throw MissingNeed(std::string("needs-config:") + (made.code() == EPFNOSUPPORT ? "IPV6" : kind.configs.front()), made.error().ToString());
  Keeper there = SETUP_OK(std::move(made));
  EXPECT_FALSE(kind.make(owner).ok()) << "control: a second one in the same namespace";
  int number = 0;
  for (Place* place : others) {
    SETUP_OK((*place)->Up("lo"));
    SCOPED_TRACE("in another namespace, number " + std::to_string(++number));
    for (const Use& use : kind.uses) EXPECT_FALSE(use.in(*place).ok()) << use.what << ": found what only another namespace has";
    auto made_here = kind.make(*place);
    ASSERT_OK(made_here) << ": taken, although only another namespace has it";
    Keeper own = std::move(*made_here);
    EXPECT_FALSE(kind.make(*place).ok()) << "control: a second one here";
    for (const Use& use : kind.uses) EXPECT_OK(use.in(*place)) << "control: " << use.what << " where there is one";
    own.reset();
  }
  for (const Use& use : kind.uses) EXPECT_OK(use.in(owner)) << "control: " << use.what << " where it still is";
}

const bool kinds_registered = [] {
  for (const Kind& kind : Kinds())
    for (bool of_initial : {true, false}) {
      TestSpec spec;
      spec.suite = kind.suite;
      spec.name = std::string(of_initial ? "WhatOnlyTheInitialNamespaceHasIsNotFoundElsewhere/" : "WhatOnlyOneNamespaceHasIsNotFoundElsewhere/") + kind.name;
      spec.file = __FILE__;
      spec.line = __LINE__;
      spec.covers = kind.covers;
      if (of_initial || std::string(kind.name) == "PppUnit") spec.needs = {Machine()};
      for (const char* symbol : kind.configs) spec.needs.push_back(Config(symbol));
      spec.exclusive = of_initial;
      const Kind* row = &kind;
      spec.make = [row, of_initial] {
        return new BodyTest([row, of_initial] {
          Place before;
          Place owner = of_initial ? Place(InitialNetNamespace()) : Place();
          Place after;
          Place nested = Place::Inside(owner);
          MeansNothingElsewhere(*row, owner, {&before, &after, &nested});
        });
      };
      AllTests().push_back(std::move(spec));
    }
  return true;
}();

}  // namespace
}  // namespace netns
