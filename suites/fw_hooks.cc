// SPDX-License-Identifier: GPL-2.0-or-later
// FW: each hook of the packet filter acts on the packets of its namespace and on no others. A kernel that takes the rules of
// another namespace at one of the hooks (or none) is noticed at that hook only, in each family of protocols.
#include <netinet/in.h>

#include "fixtures/net_namespace.h"
#include "fixtures/nic.h"
#include "fixtures/nftables.h"
#include "fixtures/rtnl.h"
#include "fixtures/sockets.h"
#include "fixtures/topology.h"
#include "harness/assertions.h"
#include "harness/registration.h"
#include "suites/support/firewall.h"
#include "suites/support/in_namespace.h"

namespace netns {
namespace {

constexpr std::uint16_t kPort = 9000;
constexpr const char* kTable = "nsconf-hooks";

/// A namespace with a neighbour on each side: as a router, or as a bridge.
struct Scene {
  NetNamespace own = NetNamespace::Create(), west = NetNamespace::Create(), east = NetNamespace::Create();
  int fresh = 10;  ///< the last byte of the next address that nobody has resolved yet
};
void Route(Scene& scene) {
  SETUP_OK(VethPair::Between(scene.own, scene.west, {.west = "to-west", .east = "up", .west4 = "192.0.2.1/24", .east4 = "192.0.2.2/24", .west6 = "2001:db8:1::1/64", .east6 = "2001:db8:1::2/64"}));
  SETUP_OK(VethPair::Between(scene.own, scene.east, {.west = "to-east", .east = "up", .west4 = "198.51.100.1/24", .east4 = "198.51.100.2/24", .west6 = "2001:db8:2::1/64", .east6 = "2001:db8:2::2/64"}));
  for (const char* file : {"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"})
    if (scene.own.HasSysctl(file)) SETUP_OK(scene.own.SetSysctl(file, "1"));
  for (auto [end, via4, via6] : {std::tuple(&scene.west, "192.0.2.1", "2001:db8:1::1"), {&scene.east, "198.51.100.1", "2001:db8:2::1"}}) {
    SETUP_OK(RtnlIn(*end).AddRoute({.via = via4}));
    if (scene.own.HasSysctl("net/ipv6/conf/all/forwarding")) SETUP_OK(RtnlIn(*end).AddRoute({.via = via6}));
  }
}
void MakeBridge(Scene& scene) {
  SETUP_OK(VethPair::Between(scene.own, scene.west, {.west = "to-west", .east = "up", .west4 = "", .east4 = "192.0.2.2/24", .west6 = "", .east6 = ""}));
  SETUP_OK(VethPair::Between(scene.own, scene.east, {.west = "to-east", .east = "up", .west4 = "", .east4 = "192.0.2.3/24", .west6 = "", .east6 = ""}));
  NeedsConfig("BRIDGE", Bridge::Make(scene.own, "hub", {"to-west", "to-east"}), "a bridge");
  auto rtnl = RtnlIn(scene.own);
  SETUP_OK(rtnl.AddAddress("192.0.2.1/24", "hub"));
  SETUP_OK(rtnl.Up("hub"));
  SETUP_OK(WaitUntilUp(scene.own, "hub"));
}

/// Who sends to whom so that packets meet the hook in the namespace `own`.
struct Path {
  const NetNamespace *from, *to;
  std::string address;
};
struct Hook {
  const char* name;
  int family;
  std::uint32_t hook;
  std::function<void(Scene&)> build;
  std::function<Path(Scene&)> path;
  std::vector<const char*> configs;
  std::vector<const char*> covers;
};

const std::vector<Hook>& Hooks() {
  const auto in = [](const char* address) { return [address](Scene& s) { return Path{&s.west, &s.own, address}; }; };
  const auto through = [](const char* address) { return [address](Scene& s) { return Path{&s.west, &s.east, address}; }; };
  const auto out = [](const char* address) { return [address](Scene& s) { return Path{&s.own, &s.west, address}; }; };
  // Whoever sends has to ask for a new address first.
  static const auto asked = [](Scene& s) {
    const std::string address = "192.0.2." + std::to_string(s.fresh++);
    SETUP_OK(RtnlIn(s.own).AddAddress(address + "/24", "to-west"));
    return Path{&s.west, &s.own, address};
  };
  static const auto asks = [](Scene& s) {
    const std::string address = "192.0.2." + std::to_string(s.fresh++);
    SETUP_OK(RtnlIn(s.west).AddAddress(address + "/24", "up"));
    return Path{&s.own, &s.west, address};
  };
  static const std::vector<Hook> hooks = {
      {"Ipv4PreRouting", NFPROTO_IPV4, NF_INET_PRE_ROUTING, Route, in("192.0.2.1"), {"NF_TABLES_IPV4"}, {"FW-02"}},
      {"Ipv4Input", NFPROTO_IPV4, NF_INET_LOCAL_IN, Route, in("192.0.2.1"), {"NF_TABLES_IPV4"}, {"FW-02"}},
      {"Ipv4Forward", NFPROTO_IPV4, NF_INET_FORWARD, Route, through("198.51.100.2"), {"NF_TABLES_IPV4"}, {"FW-02", "FW-10"}},
      {"Ipv4Output", NFPROTO_IPV4, NF_INET_LOCAL_OUT, Route, out("192.0.2.2"), {"NF_TABLES_IPV4"}, {"FW-02"}},
      {"Ipv4PostRouting", NFPROTO_IPV4, NF_INET_POST_ROUTING, Route, through("198.51.100.2"), {"NF_TABLES_IPV4"}, {"FW-02", "FW-10"}},
      {"Ipv6PreRouting", NFPROTO_IPV6, NF_INET_PRE_ROUTING, Route, in("2001:db8:1::1"), {"NF_TABLES_IPV6", "IPV6"}, {"FW-02"}},
      {"Ipv6Input", NFPROTO_IPV6, NF_INET_LOCAL_IN, Route, in("2001:db8:1::1"), {"NF_TABLES_IPV6", "IPV6"}, {"FW-02"}},
      {"Ipv6Forward", NFPROTO_IPV6, NF_INET_FORWARD, Route, through("2001:db8:2::2"), {"NF_TABLES_IPV6", "IPV6"}, {"FW-02", "FW-10"}},
      {"Ipv6Output", NFPROTO_IPV6, NF_INET_LOCAL_OUT, Route, out("2001:db8:1::2"), {"NF_TABLES_IPV6", "IPV6"}, {"FW-02"}},
      {"Ipv6PostRouting", NFPROTO_IPV6, NF_INET_POST_ROUTING, Route, through("2001:db8:2::2"), {"NF_TABLES_IPV6", "IPV6"}, {"FW-02", "FW-10"}},
      // NF_ARP_IN is 0, NF_ARP_OUT is 1.
      {"ArpInputOfQuestions", NFPROTO_ARP, 0, Route, asked, {"NF_TABLES_ARP"}, {"FW-06"}},
      {"ArpInputOfAnswers", NFPROTO_ARP, 0, Route, asks, {"NF_TABLES_ARP"}, {"FW-06"}},
      {"ArpOutputOfQuestions", NFPROTO_ARP, 1, Route, asks, {"NF_TABLES_ARP"}, {"FW-06"}},
      {"ArpOutputOfAnswers", NFPROTO_ARP, 1, Route, asked, {"NF_TABLES_ARP"}, {"FW-06"}},
      // NF_BR_PRE_ROUTING and so on are the numbers of NF_INET_*.
      {"BridgePreRouting", NFPROTO_BRIDGE, NF_INET_PRE_ROUTING, MakeBridge, through("192.0.2.3"), {"NF_TABLES_BRIDGE", "BRIDGE"}, {"FW-06"}},
      {"BridgeInput", NFPROTO_BRIDGE, NF_INET_LOCAL_IN, MakeBridge, in("192.0.2.1"), {"NF_TABLES_BRIDGE", "BRIDGE"}, {"FW-06"}},
      {"BridgeForward", NFPROTO_BRIDGE, NF_INET_FORWARD, MakeBridge, through("192.0.2.3"), {"NF_TABLES_BRIDGE", "BRIDGE"}, {"FW-06"}},
      {"BridgeOutput", NFPROTO_BRIDGE, NF_INET_LOCAL_OUT, MakeBridge, out("192.0.2.2"), {"NF_TABLES_BRIDGE", "BRIDGE"}, {"FW-06"}},
      {"BridgePostRouting", NFPROTO_BRIDGE, NF_INET_POST_ROUTING, MakeBridge, through("192.0.2.3"), {"NF_TABLES_BRIDGE", "BRIDGE"}, {"FW-06"}},
  };
  return hooks;
}

/// A chain at the hook that counts and drops the datagrams of the test, or every ARP packet.
Nftables Drop(const NetNamespace& ns, const Hook& hook) {
  auto nft = SETUP_OK(Nftables::In(ns));
  NftRule rule{.family = hook.family, .table = kTable, .chain = "c", .counter = true, .verdict = NF_DROP, .comment = "of the test"};
  if (hook.family != NFPROTO_ARP) {
    rule.protocol = IPPROTO_UDP;
    rule.dport = kPort;
  }
  // Behind br_netfilter, which on older kernels passes over the chains of its own priority, 0.
  NeedsNftables(nft.Commit(NftBatch()
                               .AddTable(hook.family, kTable)
                               .AddChain({.family = hook.family, .table = kTable, .name = "c", .hook = hook.hook, .priority = 10})
                               .AddRule(rule)),
                "a chain at the hook");
  return nft;
}
std::uint64_t Dropped(Nftables& nft) {
  for (const NftRule& rule : SETUP_OK(nft.Rules()))
    if (rule.table == kTable) return rule.packets;
  return 0;
}

// nft(8), arptables(8), ebtables(8): packets "of the host" are those of a namespace (network_namespaces(7): firewall rules).
void ActsInItsNamespaceOnly(const Hook& hook, bool with_initial) {
  const auto older = NetNamespace::Create();
  Scene scene;
  const auto younger = NetNamespace::Create(), nested = scene.own.In([] { return NetNamespace::Create(); }), creator = NetNamespace::Current();
  hook.build(scene);
  const auto passes = [&](std::chrono::seconds time = std::chrono::seconds(10)) {
    const Path path = hook.path(scene);
    return UdpTalks(*path.from, *path.to, Inet(path.address, kPort), 10, Deadline::In(time));
  };
  // The kernel may need some time until it forwards.
  ASSERT_OK(Eventually("the first datagram to pass", [&] { return passes(std::chrono::seconds(2)).ok(); }, Deadline::In(std::chrono::seconds(20)))) << "control: without rules";
  struct Other {
    const char* who;
    Nftables nft;
  };
  std::vector<Other> others;
  std::optional<NetNamespace> initial;
  if (with_initial) {
    initial = InitialNetNamespace();
    others.push_back({"the initial namespace", Drop(*initial, hook)});
  } else {
    others.push_back({"an older namespace", Drop(older, hook)});
    others.push_back({"a younger namespace", Drop(younger, hook)});
    others.push_back({"a namespace made from inside", Drop(nested, hook)});
    others.push_back({"the creator's namespace", Drop(creator, hook)});
  }
  struct Undo {
    std::vector<Other>& others;
    const Hook& hook;
    ~Undo() {
      for (Other& other : others) (void)other.nft.Commit(NftBatch().DeleteTable(hook.family, kTable)).ok();
    }
  } undo{others, hook};
  ASSERT_OK(passes()) << "rules of another namespace drop the packets of this one";
  const auto expect_none = [&] {
    for (Other& other : others) EXPECT_EQ(Dropped(other.nft), 0u) << "packets of another namespace met the rule of " << other.who;
  };
  if (!with_initial || hook.family != NFPROTO_ARP) expect_none();  // (the machine may ask for hardware addresses itself)
  Nftables own = Drop(scene.own, hook);
  const Path path = hook.path(scene);
  const Fd sender = SETUP_OK(path.from->Socket(Inet(path.address).family(), SOCK_DGRAM));
  (void)SendTo(sender, "x", Inet(path.address, kPort)).ok();  // it may be told that it was dropped
  EXPECT_EVENTUALLY("the rule of the namespace itself to meet the packet", [&] { return Dropped(own) > 0; }, Deadline::In(std::chrono::seconds(10)));
  if (!with_initial || hook.family != NFPROTO_ARP) expect_none();
  SETUP_OK(own.Commit(NftBatch().DeleteTable(hook.family, kTable)));
  EXPECT_OK(passes()) << "control: without its own rule again";
}

const bool registered = [] {
  for (const Hook& hook : Hooks()) {
    Needs needs{Config("NF_TABLES"), Config("VETH")};
    for (const char* symbol : hook.configs) needs.list.push_back(Config(symbol));
    Covers covers;
    for (const char* id : hook.covers) covers.list.push_back(id);
    RegisterBody("Fw", std::string("AHookMeetsPacketsOfItsNamespaceOnly/") + hook.name, __FILE__, __LINE__, [&hook] { ActsInItsNamespaceOnly(hook, false); }, covers, needs);
    needs.list.push_back(Machine());
    RegisterBody("Fw", std::string("AHookDoesNotMeetPacketsForTheInitialNamespace/") + hook.name, __FILE__, __LINE__, [&hook] { ActsInItsNamespaceOnly(hook, true); }, covers,
                 needs, Exclusive{});
  }
  return true;
}();

}  // namespace
}  // namespace netns
