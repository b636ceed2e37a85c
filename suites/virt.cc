// SPDX-License-Identifier: GPL-2.0-or-later
// VIRT: devices that stand on others, and tunnels: where the device is and where it sends from are two namespaces.
#include <linux/if_ether.h>

#include <memory>

#include "fixtures/sockets.h"
#include "fixtures/topology.h"
#include "fixtures/user_namespace.h"
#include "suites/support/listener.h"
#include "suites/support/uppers.h"
#include "suites/support/firewall.h"  // behind net/if.h, which linux/if.h respects only in this order

namespace netns {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;
using testing::Optional;

int IdOf(Place& at, const Place& other) { return SETUP_OK(at->GetNsid(ByFd(other.fd()))).nsid; }

bool HasLink(Place& at, const std::string& name) {
  auto link = at->LinkByName(name);
  if (!link.ok() && link.code() != ENODEV) SETUP_OK(std::move(link));
  return link.ok();
}

// net/core/rtnetlink.c rtnl_fill_link_netnsid(): the namespace of the device below, or of the tunnel's outer packets, where
// it is another one than the device's own.
void LinkNetnsidNamesTheNamespaceBelow(const UpperKind& kind) {
  // ipvlan tells it since 5.13.
  const bool told = std::string(kind.kind) != "ipvlan" || HasNetnsCookie();
  Place a, b;
  Place nested = Place::Inside(b);
  const int lower = AddDevice(a, "lower");
  for (int nr : {0, 1}) {
    const std::string name = "upper" + std::to_string(nr);
    SCOPED_TRACE(name);
    AddUpper(a, kind, name, lower, nr);
    const Link at_home = SETUP_OK(a->LinkByName(name));
    EXPECT_EQ(at_home.link_netnsid, std::nullopt) << "control: device and namespace below are one";
    if (kind.on_a_device) {
      EXPECT_EQ(at_home.link, lower);
    }
    ASSERT_OK(a->MoveLink(name, b.ref()));
    const Link moved = SETUP_OK(b->LinkByName(name));
    if (!told) continue;
    ASSERT_TRUE(moved.link_netnsid.has_value()) << "IFLA_LINK_NETNSID is missing after the move";
    EXPECT_GE(*moved.link_netnsid, 0);
    EXPECT_EQ(*moved.link_netnsid, IdOf(b, a)) << "the id of the namespace below";
    if (kind.on_a_device) {
      EXPECT_EQ(moved.link, lower) << "the index that the lower device has there";
    }
    std::vector<std::optional<int>> dumped;
    for (const Link& link : SETUP_OK(b->Links()))
      if (link.name == name) dumped.push_back(link.link_netnsid);
    EXPECT_THAT(dumped, ElementsAre(moved.link_netnsid)) << "the dump and the single answer";
  }
  if (!told) return;
  // A third namespace has an id of its own for it; the way home makes the attribute go.
  SETUP_OK(nested->NewNsid(a.ref(), 77));
  ASSERT_OK(b->MoveLink("upper1", nested.ref()));
  EXPECT_EQ(SETUP_OK(nested->LinkByName("upper1")).link_netnsid, 77);
  EXPECT_EQ(SETUP_OK(b->LinkByName("upper0")).link_netnsid, IdOf(b, a));
  ASSERT_OK(nested->MoveLink("upper1", a.ref()));
  EXPECT_EQ(SETUP_OK(a->LinkByName("upper1")).link_netnsid, std::nullopt) << "home again";
}

// The device below goes to another namespace, and the one above stays where it is: moved, not dead.
void StaysWhenTheDeviceBelowMoves(const UpperKind& kind) {
  const bool told = std::string(kind.kind) != "ipvlan" || HasNetnsCookie();
  Place a, b, c;
  const int lower = AddDevice(a, "lower");
  AddUpper(a, kind, "home", lower, 0);
  AddUpper(a, kind, "away", lower, 1);
  SETUP_OK(a->MoveLink("away", b.ref()));
  Listener hears(a, {RTNLGRP_LINK}), hears_b(b, {RTNLGRP_LINK});
  ASSERT_OK(a->MoveLink("lower", c.ref(), {.new_name = "moved"}));
  for (const Message& message : hears.Heard())
    if (message.type() == RTM_DELLINK) {
      EXPECT_EQ(ReadLink(message).name, "lower") << "only the device that moved leaves";
    }
  for (const Message& message : hears_b.Heard()) EXPECT_NE(message.type(), RTM_DELLINK);
  ASSERT_TRUE(HasLink(a, "home")) << "the " << kind.kind << " died of the move of the device below";
  ASSERT_TRUE(HasLink(b, "away")) << "the " << kind.kind << " in another namespace died of the move of the device below";
  const int index = SETUP_OK(c->LinkByName("moved")).index;
  EXPECT_EQ(SETUP_OK(a->LinkByName("home")).link, index);
  EXPECT_EQ(SETUP_OK(b->LinkByName("away")).link, index);
  if (told) {
    EXPECT_EQ(SETUP_OK(a->LinkByName("home")).link_netnsid, IdOf(a, c));
    EXPECT_EQ(SETUP_OK(b->LinkByName("away")).link_netnsid, IdOf(b, c));
  }
  // And once more, to where the upper one is.
  ASSERT_OK(c->MoveLink("moved", b.ref(), {.new_name = "lower"}));
  ASSERT_TRUE(HasLink(a, "home"));
  ASSERT_TRUE(HasLink(b, "away"));
  EXPECT_EQ(SETUP_OK(b->LinkByName("away")).link_netnsid, std::nullopt) << "device and namespace below are one again";
  if (told) {
    EXPECT_EQ(SETUP_OK(a->LinkByName("home")).link_netnsid, IdOf(a, b));
  }
  // Control: the end of the device below is the end of both.
  SETUP_OK(b->DeleteLink("lower"));
  EXPECT_FALSE(HasLink(a, "home"));
  EXPECT_FALSE(HasLink(b, "away"));
}

// NETDEV_UNREGISTER of the device below; ip_tunnel_delete_nets(), vxlan_exit_batch() and the like.
void DiesWithTheNamespaceBelow(const UpperKind& kind) {
  auto a = std::make_unique<Place>();
  Place b, c;
  const int lower = AddDevice(*a, "lower");
  AddUpper(*a, kind, "first", lower, 0);
  AddUpper(*a, kind, "second", lower, 1);
  SETUP_OK((*a)->MoveLink("first", b.ref()));
  SETUP_OK((*a)->MoveLink("second", c.ref()));
  AddDevice(*a, "guest");  // born in the same namespace, stands on nothing there
  SETUP_OK((*a)->MoveLink("guest", b.ref()));
  const int own = AddDevice(b, "own");
  AddUpper(b, kind, "local", own, 2);
  Listener hears_b(b, {RTNLGRP_LINK}), hears_c(c, {RTNLGRP_LINK});
  EXPECT_TRUE(HasLink(b, "first") && HasLink(c, "second")) << "control: they live as long as the namespace below";
  a.reset();
  auto left = [](const std::string& name) {
    return [name](const Message& m) { return m.type() == RTM_DELLINK && ReadLink(m).name == name; };
  };
  EXPECT_OK(hears_b.Await("the device in the second namespace to go with the one below", left("first")));
  EXPECT_OK(hears_c.Await("the device in the third namespace to go with the one below", left("second")));
  EXPECT_FALSE(HasLink(b, "first"));
  EXPECT_FALSE(HasLink(c, "second"));
  EXPECT_TRUE(HasLink(b, "guest")) << "a device that depends on nothing there stays";
  EXPECT_TRUE(HasLink(b, "local")) << "so does one of the same kind over a device of its own namespace";
  EXPECT_TRUE(HasLink(b, "own"));
}

// rt-link.yaml link-netnsid; ip-link(8): "link-netnsid".
void CanBeMadeOverANamespaceNamedById(const UpperKind& kind) {
  auto owner_of_below = std::make_unique<Place>();
  Place& below = *owner_of_below;
  Place here, target;
  AddDevice(below, "spare");
  const int lower = AddDevice(below, "lower", LinkSpec{.index = 4711});
  AddUpper(below, kind, "probe", lower, 3);  // MISS where there is no such kind
  SETUP_OK(below->DeleteLink("probe"));
  SETUP_OK(here->NewNsid(below.ref(), 5));
  auto with_id = [&](const std::string& name, int nr, std::optional<int> id) {
    LinkSpec spec = UpperSpec(kind, name, lower, nr);
    spec.link_netnsid = id;
    return spec;
  };
  EXPECT_THAT(here->AddLink(with_id("bad", 0, 99)), FailsWith(EINVAL)) << "an id that is unknown here";
  if (kind.on_a_device) {
    EXPECT_THAT(here->AddLink(with_id("bad", 0, {})), FailsWith(ENODEV)) << "control: no such index in the own namespace";
  }
  EXPECT_FALSE(HasLink(here, "bad"));
  ASSERT_OK(here->AddLink(with_id("upper", 0, 5)));
  const Link made = SETUP_OK(here->LinkByName("upper"));
  EXPECT_FALSE(HasLink(below, "upper")) << "it is where it was asked for";
  const bool told = (std::string(kind.kind) != "ipvlan" || HasNetnsCookie()) && std::string(kind.kind) != "geneve";
  if (told) {
    EXPECT_EQ(made.link_netnsid, 5);
  }
  if (kind.on_a_device) {
    EXPECT_EQ(made.link, lower);
  }
  // For a third namespace the id (not the name, which some kernels look up in the asking one, too) is the one that the third one has.
  SETUP_OK(target->NewNsid(below.ref(), 8));
  LinkSpec third = with_id("third", 1, 8);
  third.netns_fd = target.fd();
  ASSERT_OK(here->AddLink(third));
  if (told) {
    EXPECT_EQ(SETUP_OK(target->LinkByName("third")).link_netnsid, 8);
  }
  LinkSpec wrong = with_id("wrong", 2, 5);
  wrong.netns_fd = target.fd();
  EXPECT_THAT(here->AddLink(wrong), FailsWith(EINVAL)) << "an id of the asking namespace, unknown in the target";
  EXPECT_FALSE(HasLink(target, "wrong"));
  EXPECT_THAT(LinkNames(below), ElementsAre("lo", "lower", "spare"));
  // They are like those that were moved: they go with the namespace below, one of the same kind that stands here does not.
  const int own = AddDevice(here, "own");
  AddUpper(here, kind, "local", own, 6);
  owner_of_below.reset();
  EXPECT_EVENTUALLY("the devices to go with the namespace below", [&] { return !HasLink(here, "upper") && !HasLink(target, "third"); });
  EXPECT_TRUE(HasLink(here, "local")) << "control: one that does not stand on it";
}

// net/core/rtnetlink.c: CAP_NET_ADMIN over the namespace below, too.
void NeedsRightsOverTheNamespaceBelow(const UpperKind& kind) {
  Place below;
  const int lower = AddDevice(below, "lower");
  AddUpper(below, kind, "probe", lower, 3);
  SETUP_OK(below->DeleteLink("probe"));
  Actor container = StartNamespaceRoot("container");
  Rtnl inside = SETUP_OK(container.Run([] { return Rtnl::Open(); }));
  Status numbered = container.Run([&] { return inside.NewNsid(ByFd(below.fd()), 5); });
  SETUP_OK(std::move(numbered));
  LinkSpec spec = UpperSpec(kind, "upper", lower, 0);
  spec.link_netnsid = 5;
  EXPECT_THAT(container.Run([&] { return inside.AddLink(spec); }), FailsWith(EPERM));
  EXPECT_THAT(inside.LinkByName("upper"), FailsWith(ENODEV));
  EXPECT_THAT(LinkNames(below), ElementsAre("lo", "lower"));
  // Control: the same request by one who has rights over both.
  Place mine;
  SETUP_OK(mine->NewNsid(below.ref(), 5));
  EXPECT_OK(mine->AddLink(spec));
}

// The same key once in every namespace.
void KeysAreScopedPerNamespace(const UpperKind& kind) {
  Place a, b;
  Place nested = Place::Inside(a);
  const int in_a = AddDevice(a, "lower", {.index = 500}), in_b = AddDevice(b, "lower", {.index = 500});
  const int in_nested = AddDevice(nested, "lower", {.index = 500});
  AddUpper(a, kind, "one", in_a, 0);
  EXPECT_THAT(a->AddLink(UpperSpec(kind, "two", in_a, 0)), FailsWith(kind.clash)) << "control: the same key twice in one";
  EXPECT_OK(b->AddLink(UpperSpec(kind, "one", in_b, 0)));
  EXPECT_OK(nested->AddLink(UpperSpec(kind, "one", in_nested, 0)));
  EXPECT_THAT(b->AddLink(UpperSpec(kind, "two", in_b, 0)), FailsWith(kind.clash));
  EXPECT_OK(a->AddLink(UpperSpec(kind, "two", in_a, 1))) << "control: another key";
  EXPECT_THAT(LinkNames(a), ElementsAre("lo", "lower", "one", "two"));
  EXPECT_THAT(LinkNames(b), ElementsAre("lo", "lower", "one"));
  // The key belongs to the namespace below, wherever the device is.
  SETUP_OK(a->MoveLink("two", b.ref()));
  EXPECT_THAT(a->AddLink(UpperSpec(kind, "three", in_a, 1)), FailsWith(kind.clash)) << "its key stays taken where it sends";
  EXPECT_OK(b->AddLink(UpperSpec(kind, "three", in_b, 1))) << "and is free where it is";
  SETUP_OK(b->DeleteLink("two"));
  EXPECT_OK(a->AddLink(UpperSpec(kind, "three", in_a, 1)));
}

/// Frames that a packet socket has got from others, or that left by its device.
bool SawFrame(const Fd& socket, const std::function<bool(const std::string&)>& wanted) {
  while (Readable(socket))
    if (wanted(SETUP_OK(Receive(socket)).data)) return true;
  return false;
}

/// Two tunnel devices over a wire between `a` and `far`; that of `a` has been moved to `b`.
struct MovedTunnel {
  explicit MovedTunnel(const UpperKind& kind) : wire(SETUP_OK(VethPair::Between(a.ns, far.ns))) {
    const std::string near_end = kind.ipv6 ? "2001:db8::1" : "192.0.2.1", far_end = kind.ipv6 ? "2001:db8::2" : "192.0.2.2";
    for (auto [place, local, remote] : {std::tuple(&a, near_end, far_end), std::tuple(&far, far_end, near_end)}) {
      Status added = (*place)->AddLink(UpperSpec(kind, "tunnel", 0, 0, local, remote));
      RequireBuiltIn(added, kind.symbol);
      SETUP_OK(std::move(added));
    }
    SETUP_OK(a->MoveLink("tunnel", b.ref()));
    inner_near = kind.carries_ipv6 ? "2001:db8:9::1" : "198.51.100.1";
    inner_far = kind.carries_ipv6 ? "2001:db8:9::2" : "198.51.100.2";
    for (auto [place, address] : {std::pair(&b, inner_near), std::pair(&far, inner_far)}) {
      if (HasIpv6()) SETUP_OK(place->ns.SetSysctl("net/ipv6/conf/tunnel/accept_dad", "0"));
      SETUP_OK((*place)->Up("tunnel"));
      SETUP_OK((*place)->AddAddress(address + (kind.carries_ipv6 ? "/64" : "/24"), "tunnel", {.nodad = kind.carries_ipv6}));
    }
  }
  Place a, b, far;
  VethPair wire;
  std::string inner_near, inner_far;
};

// net/ipv4/ip_tunnel.c (tunnel->net): inner packets where the device is, outer ones where it was made.
void SendsWhereItWasMade(const UpperKind& kind) {
  MovedTunnel moved(kind);
  auto& [a, b, far, wire, inner_near, inner_far] = moved;
  // All that goes over the wire is of the tunnel: outer addresses, never a naked inner packet.
  auto probe = PacketSocket(a.ns, wire.west_link().index, ETH_P_ALL);
  if (!probe.ok()) RequireBuiltIn(probe.error(), "PACKET");
  const Fd on_wire = SETUP_OK(std::move(probe));
  EXPECT_OK(Ping(b.ns, inner_far)) << "from where the device is now, through the namespace where it was made";
  EXPECT_OK(Ping(far.ns, inner_near));
  EXPECT_OK(UdpTalks(b.ns, far.ns, Inet(inner_far)));
  EXPECT_OK(TcpTalks(far.ns, b.ns, Inet(inner_near)));
  const std::uint16_t outer = kind.ipv6 ? ETH_P_IPV6 : ETH_P_IP;
  EXPECT_TRUE(SawFrame(on_wire, [&](const std::string& frame) {
    return frame.size() > 14 + 40 && static_cast<unsigned char>(frame[12]) == outer >> 8 &&
           static_cast<unsigned char>(frame[13]) == (outer & 0xff);
  })) << "outer packets on the wire of the namespace below";
  EXPECT_GT(SETUP_OK(b->LinkByName("tunnel")).stats.tx_packets, 0u);
  EXPECT_GT(SETUP_OK(b->LinkByName("tunnel")).stats.rx_packets, 0u);
  EXPECT_THAT(Ping(a.ns, inner_far, {.deadline = Deadline::In(500ms)}), Not(Succeeds()))
      << "the namespace where it was made has no way into the tunnel any more";
  // Control: without the wire of that namespace nothing passes, whatever the device's own namespace has.
  SETUP_OK(a->Down("west"));
  EXPECT_THAT(Ping(b.ns, inner_far, {.deadline = Deadline::In(500ms)}), Not(Succeeds()));
}

/// Packets with the mark 0x55: outer ones that leave by `wire`, inner ones that come by the tunnel. What comes by `wire` gets it.
class Marks {
 public:
  Marks(const NetNamespace& ns, const std::string& wire) : nft_(NeedsNftables(Nftables::In(ns), "nf_tables")) {
    NftBatch batch;
    batch.AddTable(NFPROTO_INET, "t");
    batch.AddChain({.table = "t", .name = "out", .hook = NF_INET_LOCAL_OUT, .priority = 500});
    batch.AddChain({.table = "t", .name = "in", .hook = NF_INET_PRE_ROUTING, .priority = -500});
    batch.AddRule({.table = "t", .chain = "out", .oif = wire, .counter = true, .comment = "out"});
    batch.AddRule({.table = "t", .chain = "out", .oif = wire, .mark = 0x55, .counter = true, .comment = "marked out"});
    batch.AddRule({.table = "t", .chain = "in", .iif = wire, .set_mark = 0x55});
    batch.AddRule({.table = "t", .chain = "in", .iif = "tunnel", .counter = true, .comment = "in"});
    batch.AddRule({.table = "t", .chain = "in", .iif = "tunnel", .mark = 0x55, .counter = true, .comment = "marked in"});
    NeedsNftables(nft_.Commit(batch), "rules");
  }
  std::uint64_t Of(const std::string& what) {
    for (const NftRule& rule : SETUP_OK(nft_.Rules(NFPROTO_INET)))
      if (rule.comment == what) return rule.packets;
    return 0;
  }

 private:
  Nftables nft_;
};

// net/ipv4/ip_tunnel_core.c iptunnel_xmit(), __iptunnel_pull_header(): what crosses from one namespace to another is scrubbed.
void ScrubsTheMark(const UpperKind& kind) {
  MovedTunnel moved(kind);
  auto& [a, b, far, wire, inner_near, inner_far] = moved;
  Marks in_a(a.ns, "west"), in_b(b.ns, "no wire"), in_far(far.ns, "east");
  const auto send = [](Place& from, Place& to, const std::string& address) {
    const Fd receiver = SETUP_OK(UdpBind(to.ns, Inet(address, 4000)));
    const Fd sender = SETUP_OK(from.ns.Socket(Inet(address).family(), SOCK_DGRAM));
    SETUP_OK(SetSockOpt(sender, SOL_SOCKET, SO_MARK, 0x55));
    SETUP_OK(SendTo(sender, "x", Inet(address, 4000)));
    EXPECT_OK(Receive(receiver)) << "control: it gets through";
  };
  send(b, far, inner_far);
  EXPECT_GT(in_a.Of("out"), 0u) << "control: outer packets";
  EXPECT_EQ(in_a.Of("marked out"), 0u) << "the mark of the sender's namespace is on the outer packet of another";
  EXPECT_GT(in_far.Of("marked in"), 0u) << "control: inside one namespace the mark of an outer packet stays";
  send(far, b, inner_near);
  EXPECT_GT(in_far.Of("marked out"), 0u) << "control: inside one namespace the mark of the inner packet stays";
  EXPECT_GT(in_b.Of("in"), 0u) << "control: inner packets";
  EXPECT_EQ(in_b.Of("marked in"), 0u) << "the mark of the outer packet's namespace is on the inner one of another";
}

// ip-link(8), "ip link set ... type": what is asked about the outer packets of a tunnel that has moved is asked where it sends.
void IsChangedWhereItSends(const UpperKind& kind) {
  MovedTunnel moved(kind);
  auto& [a, b, far, wire, inner_near, inner_far] = moved;
  const std::string network = kind.ipv6 ? "2001:db8::" : "192.0.2.";
  const auto change = [&](const std::string& remote) {
    Request request(RTM_NEWLINK);
    request.Named("send to " + remote).Header(ifinfomsg{}).Text(IFLA_IFNAME, "tunnel").Nest(IFLA_LINKINFO, [&](Request& info) {
      info.Text(IFLA_INFO_KIND, kind.kind).Nest(IFLA_INFO_DATA, [&](Request& data) { kind.data(data, 0, 0, network + "1", remote); });
    });
    return b->socket().Ack(request);
  };
  // A tunnel to 9 in the namespace where the moved one is, and one to 8 where it sends.
  SETUP_OK(b->AddLink(UpperSpec(kind, "here", 0, 0, network + "1", network + "9")));
  SETUP_OK(a->AddLink(UpperSpec(kind, "there", 0, 0, network + "1", network + "8")));
  const auto reaches = [](Place& from, const std::string& to) { return Ping(from.ns, to, {.deadline = Deadline::In(10s)}); };
  EXPECT_OK(reaches(b, inner_far)) << "control: as it was made";
  if (std::string(kind.kind) != "ip6gretap") {  // which is never refused
    EXPECT_THAT(change(network + "8"), FailsWith(EEXIST)) << "the ends of a tunnel of the namespace where it sends";
    EXPECT_OK(reaches(b, inner_far)) << "after a change that was refused";
  }
  EXPECT_OK(change(network + "9")) << "the ends of a tunnel of the namespace where it is, which sends elsewhere";
  EXPECT_THAT(Ping(b.ns, inner_far, {.deadline = Deadline::In(500ms)}), Not(Succeeds())) << "control: it sends to nobody";
  ASSERT_OK(change(network + "2"));
  EXPECT_OK(reaches(b, inner_far)) << "changed back, it sends through the namespace where it was made";
  EXPECT_OK(reaches(far, inner_near)) << "and gets what comes in there";
}

[[maybe_unused]] const bool registered = [] {
  for (const UpperKind& kind : UpperKinds()) {
    const std::string of = kind.kind, row = std::string("/") + kind.name;
    Needs needs(Config("VETH"), Config(kind.symbol));
    if (kind.ipv6) needs.list.push_back(Config("IPV6"));
    auto add = [&](const char* name, void (*body)(const UpperKind&), Covers covers) {
      RegisterBody(
          "Virt", name + row, __FILE__, __LINE__, [&kind, body] { body(kind); }, covers, needs);
    };
    if (of != "geneve") add("LinkNetnsidNamesTheNamespaceBelow", LinkNetnsidNamesTheNamespaceBelow, Covers("VIRT-05"));
    if (OutlivesAMoveBelow(kind))
      add("StaysWhenTheDeviceBelowMoves", StaysWhenTheDeviceBelowMoves, Covers("VIRT-01", "VIRT-03", "VIRT-05"));
    add("DiesWithTheNamespaceBelow", DiesWithTheNamespaceBelow,
        kind.on_a_device ? Covers("VIRT-03") : Covers("VIRT-06"));
    if (of != "xfrm")
      add("CanBeMadeOverANamespaceNamedById", CanBeMadeOverANamespaceNamedById, kind.on_a_device ? Covers("VIRT-07", "VIRT-03") : Covers("VIRT-07", "VIRT-06"));
    if (of == "vlan" || of == "macvlan" || of == "ipip" || of == "ip6tnl" || of == "vxlan")
      add("NeedsRightsOverTheNamespaceBelow", NeedsRightsOverTheNamespaceBelow, Covers("VIRT-07"));
    if (kind.clash != 0 && !kind.on_a_device) add("KeysAreScopedPerNamespace", KeysAreScopedPerNamespace, Covers("VIRT-15"));
    if (!kind.on_a_device && of != "xfrm" && of != "vti" && of != "vti6")
      add("SendsWhereItWasMade", SendsWhereItWasMade, Covers("VIRT-04"));
    if (!kind.on_a_device && of != "xfrm" && of != "vti" && of != "vti6") {
      if (of != "vxlan" && of != "geneve") add("IsChangedWhereItSends", IsChangedWhereItSends, Covers("VIRT-04", "VIRT-15"));
      needs.list.push_back(Config("NF_TABLES"));
      needs.list.push_back(Config("NF_TABLES_INET"));
      add("ScrubsTheMark", ScrubsTheMark, Covers("VIRT-04", "VETH-22"));
    }
  }
  return true;
}();

}  // namespace
}  // namespace netns
