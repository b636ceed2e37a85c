// SPDX-License-Identifier: GPL-2.0-or-later
// VIRT: objects that are made by generic netlink: L2TP tunnels and sessions, Open vSwitch datapaths.
#include <arpa/inet.h>
#include <linux/batman_adv.h>
#include <linux/genetlink.h>
#include <linux/hsr_netlink.h>
#include <linux/if_team.h>
#include <linux/l2tp.h>
#include <linux/openvswitch.h>
#include <linux/wireguard.h>

#include <memory>
#include <set>

#include "suites/support/generic.h"
#include "suites/support/place.h"

namespace netns {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

bool HasLink(Place& at, const std::string& name) {
  auto link = at->LinkByName(name);
  if (!link.ok() && link.code() != ENODEV) SETUP_OK(std::move(link));
  return link.ok();
}

// -------------------------------------------------------------------------------------------------------------- L2TP

Status AddTunnel(Generic& l2tp, std::uint32_t id, std::uint16_t port) {
  Request request = l2tp.Make(L2TP_CMD_TUNNEL_CREATE, "add L2TP tunnel " + std::to_string(id));
  request.U32(L2TP_ATTR_CONN_ID, id).U32(L2TP_ATTR_PEER_CONN_ID, id).U8(L2TP_ATTR_PROTO_VERSION, 3);
  request.U16(L2TP_ATTR_ENCAP_TYPE, L2TP_ENCAPTYPE_UDP);
  request.Be32(L2TP_ATTR_IP_SADDR, INADDR_LOOPBACK).Be32(L2TP_ATTR_IP_DADDR, INADDR_LOOPBACK + 1);
  request.U16(L2TP_ATTR_UDP_SPORT, port).U16(L2TP_ATTR_UDP_DPORT, 1701);
  return l2tp->Ack(request);
}
Status DeleteTunnel(Generic& l2tp, std::uint32_t id) {
  Request request = l2tp.Make(L2TP_CMD_TUNNEL_DELETE, "delete L2TP tunnel " + std::to_string(id));
  request.U32(L2TP_ATTR_CONN_ID, id);
  return l2tp->Ack(request);
}
std::set<std::uint32_t> Tunnels(Generic& l2tp) {
  std::set<std::uint32_t> ids;
  for (const Message& message : SETUP_OK(l2tp->Dump(l2tp.Make(L2TP_CMD_TUNNEL_GET, "list the L2TP tunnels"))))
    if (auto id = message.AttributesAfter<genlmsghdr>().U32(L2TP_ATTR_CONN_ID)) ids.insert(*id);
  return ids;
}

// net/l2tp: the list of tunnels is per namespace.
NETNS_TEST(Virt, L2tpTunnelsArePerNamespace, Covers("VIRT-21"), Needs(Config("L2TP"))) {
  Place a, b;
  Place nested = Place::Inside(a);
  for (Place* place : {&a, &b, &nested}) SETUP_OK((*place)->Up("lo"));
  Generic in_a(a, "l2tp", "L2TP"), in_b(b, "l2tp", "L2TP"), in_nested(nested, "l2tp", "L2TP");
  ASSERT_OK(AddTunnel(in_a, 1, 5001));
  ASSERT_OK(AddTunnel(in_a, 2, 5002));
  EXPECT_THAT(AddTunnel(in_a, 1, 5003), FailsWith(EEXIST)) << "control: the id is taken in this namespace";
  EXPECT_THAT(Tunnels(in_a), ElementsAre(1u, 2u));
  EXPECT_THAT(Tunnels(in_b), IsEmpty());
  EXPECT_THAT(Tunnels(in_nested), IsEmpty());
  EXPECT_OK(AddTunnel(in_b, 1, 5001)) << "the same id and port in another";
  EXPECT_OK(AddTunnel(in_nested, 2, 5002));
  EXPECT_THAT(Tunnels(in_b), ElementsAre(1u));
  EXPECT_THAT(Tunnels(in_nested), ElementsAre(2u));
  EXPECT_THAT(DeleteTunnel(in_b, 2), FailsWith(ENODEV)) << "one of another namespace";
  EXPECT_OK(DeleteTunnel(in_b, 1));
  EXPECT_EVENTUALLY("the tunnel to be taken apart, which a work queue does", [&] { return Tunnels(in_b).empty(); });
  EXPECT_THAT(Tunnels(in_a), ElementsAre(1u, 2u));
  EXPECT_THAT(Tunnels(in_nested), ElementsAre(2u));
}

Request SessionRequest(Generic& l2tp, std::uint8_t command, std::uint32_t tunnel, std::uint32_t session) {
  Request request = l2tp.Make(command, "L2TP session " + std::to_string(session) + " of tunnel " + std::to_string(tunnel));
  request.U32(L2TP_ATTR_CONN_ID, tunnel).U32(L2TP_ATTR_SESSION_ID, session);
  return request;
}
Status AddSession(Generic& l2tp, std::uint32_t tunnel, std::uint32_t session, const char* device) {
  Request request = SessionRequest(l2tp, L2TP_CMD_SESSION_CREATE, tunnel, session);
  request.U32(L2TP_ATTR_PEER_SESSION_ID, session).U16(L2TP_ATTR_PW_TYPE, L2TP_PWTYPE_ETH).Text(L2TP_ATTR_IFNAME, device);
  return l2tp->Ack(request);
}
/// Whether a session is found by its numbers.
Status AskSession(Generic& l2tp, std::uint32_t tunnel, std::uint32_t session) {
  const auto answer = l2tp->Get(SessionRequest(l2tp, L2TP_CMD_SESSION_GET, tunnel, session));
  return answer.ok() ? Ok() : Status(answer.error());
}
std::multiset<std::uint32_t> Sessions(Generic& l2tp) {
  std::multiset<std::uint32_t> ids;
  for (const Message& message : SETUP_OK(l2tp->Dump(l2tp.Make(L2TP_CMD_SESSION_GET, "list the L2TP sessions"))))
    if (auto id = message.AttributesAfter<genlmsghdr>().U32(L2TP_ATTR_SESSION_ID)) ids.insert(*id);
  return ids;
}

// ip-l2tp(8), "session": within a tunnel, and so within its namespace.
NETNS_TEST(Virt, L2tpSessionsArePerNamespace, Covers("VIRT-21"), Needs(Config("L2TP"), Config("L2TP_V3"), Config("L2TP_ETH"))) {
  Place a, b;
  Place nested = Place::Inside(a);
  for (Place* place : {&a, &b, &nested}) SETUP_OK((*place)->Up("lo"));
  Generic in_a(a, "l2tp", "L2TP"), in_b(b, "l2tp", "L2TP"), in_nested(nested, "l2tp", "L2TP");
  for (Generic* each : {&in_a, &in_b}) SETUP_OK(AddTunnel(*each, 1, 5001));
  Status added = AddSession(in_a, 1, 7, "seven");
  if (added.code() == EPROTONOSUPPORT) RequireBuiltIn(added, "L2TP_ETH");
  ASSERT_OK(added);
  ASSERT_OK(AddSession(in_a, 1, 8, "eight"));
  EXPECT_THAT(Sessions(in_a), ElementsAre(7u, 8u)) << "control";
  EXPECT_OK(AskSession(in_a, 1, 8)) << "control";
  EXPECT_TRUE(HasLink(a, "seven") && HasLink(a, "eight")) << "control: each has a device";
  EXPECT_FALSE(HasLink(b, "seven") || HasLink(nested, "seven")) << "the device of a session of another namespace";
  for (Generic* other : {&in_b, &in_nested}) {
    SCOPED_TRACE(other == &in_b ? "another namespace, which has a tunnel of that id" : "one created from inside, without a tunnel");
    EXPECT_THAT(Sessions(*other), IsEmpty()) << "a session of another namespace is listed";
    EXPECT_THAT(AskSession(*other, 1, 8), FailsWith(ENODEV)) << "a session of another namespace is found";
    EXPECT_THAT((*other)->Ack(SessionRequest(*other, L2TP_CMD_SESSION_DELETE, 1, 8)), FailsWith(ENODEV)) << "a session of another namespace can be deleted";
  }
  EXPECT_THAT(AddSession(in_nested, 1, 9, "nine"), FailsWith(ENODEV)) << "a session in a tunnel of another namespace";
  EXPECT_OK(AddSession(in_b, 1, 7, "seven")) << "the same ids in another namespace";
  EXPECT_TRUE(HasLink(b, "seven"));
  EXPECT_THAT(Sessions(in_b), ElementsAre(7u));
  EXPECT_OK(in_b->Ack(SessionRequest(in_b, L2TP_CMD_SESSION_DELETE, 1, 7)));
  EXPECT_EVENTUALLY("the session to be taken apart", [&] { return Sessions(in_b).empty() && !HasLink(b, "seven"); });
  EXPECT_THAT(Sessions(in_a), ElementsAre(7u, 8u)) << "the equal session of another namespace was deleted";
  EXPECT_TRUE(HasLink(a, "seven")) << "the equal session of another namespace was deleted";
}

// ------------------------------------------------------------------------------------------------------ Open vSwitch

struct OvsHeader {
  genlmsghdr generic;
  ovs_header ovs;
};
Status AddDatapath(Generic& ovs, const std::string& name) {
  Request request = ovs.Make(OVS_DP_CMD_NEW, "add datapath " + name, OVS_DATAPATH_VERSION);
  request.Header(ovs_header{}).Text(OVS_DP_ATTR_NAME, name).U32(OVS_DP_ATTR_UPCALL_PID, 0);
  return ovs->Ack(request);
}
std::set<std::string> Datapaths(Generic& ovs) {
  Request request = ovs.Make(OVS_DP_CMD_GET, "list the datapaths", OVS_DATAPATH_VERSION);
  request.Header(ovs_header{});
  std::set<std::string> names;
  for (const Message& message : SETUP_OK(ovs->Dump(request)))
    if (auto name = message.AttributesAfter<OvsHeader>().Text(OVS_DP_ATTR_NAME)) names.insert(*name);
  return names;
}

// ovs-vsctl(8); netlink/specs/ovs_datapath.yaml.
NETNS_TEST(Virt, DatapathsOfOpenVswitchArePerNamespace, Covers("VIRT-20"), Needs(Config("OPENVSWITCH"))) {
  Place a, b;
  Place nested = Place::Inside(a);
  Generic in_a(a, OVS_DATAPATH_FAMILY, "OPENVSWITCH"), in_b(b, OVS_DATAPATH_FAMILY, "OPENVSWITCH"),
      in_nested(nested, OVS_DATAPATH_FAMILY, "OPENVSWITCH");
  ASSERT_OK(AddDatapath(in_a, "dp0"));
  EXPECT_THAT(AddDatapath(in_a, "dp0"), FailsWith(EEXIST)) << "control: the name is taken in this namespace";
  ASSERT_OK(AddDatapath(in_a, "dp1"));
  EXPECT_THAT(Datapaths(in_a), ElementsAre("dp0", "dp1"));
  EXPECT_THAT(Datapaths(in_b), IsEmpty());
  EXPECT_THAT(Datapaths(in_nested), IsEmpty());
  EXPECT_TRUE(HasLink(a, "dp0"));
  EXPECT_FALSE(HasLink(b, "dp0") || HasLink(nested, "dp0"));
  EXPECT_OK(AddDatapath(in_b, "dp0"));
  EXPECT_OK(AddDatapath(in_nested, "dp1"));
  EXPECT_THAT(Datapaths(in_b), ElementsAre("dp0"));
  EXPECT_THAT(Datapaths(in_nested), ElementsAre("dp1"));
  EXPECT_THAT(a->MoveLink("dp0", b.ref()), FailsWith(EINVAL)) << "its own port is bound to the namespace";
}

// net/openvswitch/datapath.c, ovs_exit_net(): "Detach all vports from given namespace".
NETNS_TEST(Virt, APortOfADatapathGoesWithTheNamespaceOfItsDevice, Covers("VIRT-20"), Needs(Config("OPENVSWITCH"))) {
  Place a, b;
  auto doomed = std::make_unique<Place>();
  Generic datapaths(a, OVS_DATAPATH_FAMILY, "OPENVSWITCH"), ports(a, OVS_VPORT_FAMILY, "OPENVSWITCH");
  SETUP_OK(AddDatapath(datapaths, "dp0"));
  const ovs_header header{.dp_ifindex = SETUP_OK(a->LinkByName("dp0")).index};
  for (const char* name : {"home", "away", "goes", "goes2"}) {
    Request add = ports.Make(OVS_VPORT_CMD_NEW, std::string("add port ") + name, OVS_VPORT_VERSION);
    add.Header(header).U32(OVS_VPORT_ATTR_TYPE, OVS_VPORT_TYPE_INTERNAL).Text(OVS_VPORT_ATTR_NAME, name).U32(OVS_VPORT_ATTR_UPCALL_PID, 0);
    SETUP_OK(ports->Ack(add));
  }
  const auto listed = [&] {
    Request list = ports.Make(OVS_VPORT_CMD_GET, "list the ports", OVS_VPORT_VERSION);
    std::set<std::string> names;
    for (const Message& message : SETUP_OK(ports->Dump(list.Header(header)))) names.insert(message.AttributesAfter<OvsHeader>().Text(OVS_VPORT_ATTR_NAME).value_or("?"));
    return names;
  };
  SETUP_OK(a->MoveLink("away", b.ref()));
  for (const char* name : {"goes", "goes2"}) SETUP_OK(a->MoveLink(name, doomed->ref()));
  EXPECT_THAT(listed(), ElementsAre("away", "dp0", "goes", "goes2", "home")) << "control: ports in other namespaces are ports still";
  doomed.reset();
  EXPECT_EVENTUALLY("the ports whose devices went with their namespace to go", [&] { return !listed().contains("goes") && !listed().contains("goes2"); });
  EXPECT_THAT(listed(), ElementsAre("away", "dp0", "home")) << "control: ports of namespaces that live";
  EXPECT_FALSE(HasLink(a, "goes") || HasLink(a, "goes2")) << "a device came back";
  EXPECT_TRUE(HasLink(a, "home") && HasLink(b, "away")) << "control";
}

// ------------------------------------------------------------------------------------- devices by generic netlink

/// A kind of device that is asked about by generic netlink: a request that names one by its index.
struct AskedKind {
  const char *name, *symbol, *kind, *family;
  std::uint8_t command;
  std::uint16_t attribute;
  bool dump;  ///< The answer is a dump.
  bool ports;  ///< It stands on two devices.
};
void IsAskedInItsNamespace(const AskedKind& kind) {
  constexpr int index = 4700;
  Place before, a, after;
  Place nested = Place::Inside(a);
  LinkSpec spec{.name = "asked", .kind = kind.kind, .index = index};
  if (kind.ports) {
    const auto one = static_cast<std::uint32_t>(AddDevice(a, "one", {}, true)), two = static_cast<std::uint32_t>(AddDevice(a, "two", {}, true));
    spec.data = [=](Request& r) { r.U32(IFLA_HSR_SLAVE1, one).U32(IFLA_HSR_SLAVE2, two); };
  }
  Status added = a->AddLink(spec);
  RequireBuiltIn(added, kind.symbol);
  SETUP_OK(std::move(added));
  auto ask = [&](Place& place) -> Status {
    Generic family(place, kind.family, kind.symbol);
    Request request = family.Make(kind.command, std::string("ask about a device by ") + kind.family);
    request.U32(kind.attribute, index);
    auto answer = kind.dump ? family->Dump(request) : family->Ask(request);
    if (!answer.ok()) return answer.error();
    return Ok();
  };
  ASSERT_OK(ask(a)) << "control: in the namespace of the device";
  for (auto [place, what] : {std::pair(&before, "created before"), std::pair(&after, "created after"), std::pair(&nested, "created from inside")}) {
    SCOPED_TRACE(std::string("from a namespace ") + what);
    EXPECT_THAT(ask(*place).code(), testing::AnyOf(ENODEV, EINVAL)) << "no device has that index";
    AddDevice(*place, "other", {.index = index});
    EXPECT_NE(ask(*place).code(), 0) << "a device of another kind has that index";
  }
  EXPECT_OK(ask(a));
}
[[maybe_unused]] const bool asked_registered = [] {
  static const AskedKind kinds[] = {
      {"WireGuard", "WIREGUARD", "wireguard", WG_GENL_NAME, WG_CMD_GET_DEVICE, WGDEVICE_A_IFINDEX, true, false},
      {"Team", "NET_TEAM", "team", TEAM_GENL_NAME, TEAM_CMD_OPTIONS_GET, TEAM_ATTR_TEAM_IFINDEX, false, false},
      {"BatmanAdv", "BATMAN_ADV", "batadv", BATADV_NL_NAME, BATADV_CMD_GET_MESH_INFO, BATADV_ATTR_MESH_IFINDEX, false, false},
      {"Hsr", "HSR", "hsr", "HSR", HSR_C_GET_NODE_LIST, HSR_A_IFINDEX, false, true},
  };
  for (const AskedKind& kind : kinds)
    RegisterBody("Virt", std::string("GenericNetlinkFindsDevicesOfItsNamespaceOnly/") + kind.name, __FILE__, __LINE__, [&kind] { IsAskedInItsNamespace(kind); },
                 Covers("VIRT-20", "DEV-04"), Needs(Config(kind.symbol), Config("VETH")));
  return true;
}();

}  // namespace
}  // namespace netns
