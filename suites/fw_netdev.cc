// SPDX-License-Identifier: GPL-2.0-or-later
// FW: chains and flow tables that are bound to several devices. When one of the devices leaves the namespace, or goes, the
// others keep theirs.
#include "fixtures/nftables.h"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "fixtures/net_namespace.h"
#include "fixtures/rtnl.h"
#include "fixtures/sockets.h"
#include "fixtures/topology.h"
#include "harness/assertions.h"
#include "harness/registration.h"
#include "suites/support/firewall.h"
#include "suites/support/in_namespace.h"

namespace netns {
namespace {

constexpr int kChains = 3, kOfEach = 3, kDevices = kChains * kOfEach;  // three devices for each chain
constexpr const char* kTable = "nsconf-devices";
std::string Device(int i) { return "dev" + std::to_string(i); }
std::string Peer(int i) { return "peer" + std::to_string(i); }

/// Devices of a namespace whose other ends are in another one, all up.
struct Wires {
  NetNamespace inside = NetNamespace::Create(), outside = NetNamespace::Create();
  Wires() {
    auto in = RtnlIn(inside), out = RtnlIn(outside);
    for (int i = 0; i < kDevices; ++i) {
      NeedsConfig("VETH", in.AddVeth(Device(i), PeerSpec{.name = Peer(i), .netns_fd = outside.fd()}), "a veth pair");
      SETUP_OK(in.Up(Device(i)));
      SETUP_OK(out.Up(Peer(i)));
    }
    for (int i = 0; i < kDevices; ++i) SETUP_OK(WaitUntilUp(outside, Peer(i)));
  }
};

struct Kind {
  const char* name;
  int family;
  std::uint32_t hook;
  bool egress;
  std::vector<const char*> configs;
};
const std::vector<Kind>& Kinds() {
  static const std::vector<Kind> kinds = {{"Ingress", NFPROTO_NETDEV, 0 /* NF_NETDEV_INGRESS */, false, {"NF_TABLES_NETDEV"}},
                                          {"IngressOfTheInetFamily", NFPROTO_INET, 5 /* NF_INET_INGRESS */, false, {"NF_TABLES_INET", "NETFILTER_INGRESS"}},
                                          {"Egress", NFPROTO_NETDEV, 1 /* NF_NETDEV_EGRESS */, true, {"NF_TABLES_NETDEV", "NETFILTER_EGRESS"}}};
  return kinds;
}

std::string Chain(int chain) { return "c" + std::to_string(chain); }
void PutDevices(Request& request, std::uint16_t type, int chain) {
  request.Nest(type, [chain](Request& devices) {
    for (int i = 0; i < kOfEach; ++i) devices.Text(NFTA_DEVICE_NAME, Device(chain * kOfEach + i));
  });
}
/// Chains, each on three of the devices, that count what passes each.
Nftables CountOnAll(const NetNamespace& ns, const Kind& kind) {
  auto nft = SETUP_OK(Nftables::In(ns));
  NftBatch batch;
  batch.AddTable(kind.family, kTable);
  for (int chain = 0; chain < kChains; ++chain)
    batch.Add(NFT_MSG_NEWCHAIN, kind.family, NLM_F_CREATE | NLM_F_EXCL, "add a chain on several devices", [&](Request& add) {
      add.Text(NFTA_CHAIN_TABLE, kTable).Text(NFTA_CHAIN_NAME, Chain(chain)).Text(NFTA_CHAIN_TYPE, "filter");
      add.Nest(NFTA_CHAIN_HOOK, [&](Request& hook) {
        hook.Be32(NFTA_HOOK_HOOKNUM, kind.hook).Be32(NFTA_HOOK_PRIORITY, 0);
        PutDevices(hook, NFTA_HOOK_DEVS, chain);
      });
    });
  for (int i = 0; i < kDevices; ++i)
    batch.AddRule({.family = kind.family, .table = kTable, .chain = Chain(i / kOfEach), .iif = kind.egress ? "" : Device(i), .oif = kind.egress ? Device(i) : "", .counter = true, .comment = Device(i)});
  NeedsNftables(nft.Commit(batch), "a chain on several devices");
  return nft;
}
std::uint64_t Counted(Nftables& nft, int device) {
  for (const NftRule& rule : SETUP_OK(nft.Rules()))
    if (rule.comment == Device(device)) return rule.packets;
  return 0;
}
/// The names of the devices of one chain or flow table, as a dump shows them; nothing where it is not shown at all.
std::optional<std::set<std::string>> DevicesListed(Nftables& nft, int family, int type, std::uint16_t number_of_name, const std::string& name, std::uint16_t hook, std::uint16_t devices) {
  nfgenmsg header{};
  header.nfgen_family = static_cast<std::uint8_t>(family);
  Request dump(static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type));
  dump.Named("list what is bound to devices").Header(header);
  std::optional<std::set<std::string>> names;
  for (const Message& message : SETUP_OK(nft.socket().Dump(dump))) {
    const Attributes all = message.AttributesAfter<nfgenmsg>();
    if (all.Text(1 /* NFTA_CHAIN_TABLE, NFTA_FLOWTABLE_TABLE */) != kTable || all.Text(number_of_name) != name) continue;
    names.emplace();
    for (const auto& [number, bytes] : all.Nested(hook).Nested(devices).all())
      if (number == NFTA_DEVICE_NAME) names->insert(std::string(reinterpret_cast<const char*>(bytes.data()), strnlen(reinterpret_cast<const char*>(bytes.data()), bytes.size())));
  }
  return names;
}

/// An IPv4 packet without content, in an Ethernet frame.
std::string Frame() {
  std::string frame(60, '\0');
  frame.replace(0, 6, 6, '\xff');
  frame.replace(6, 6, std::string("\x02\0\0\0\0\x07", 6));
  frame.replace(12, 2, std::string("\x08\0", 2));
  frame.replace(14, 20, std::string("\x45\0\0\x2e\0\0\0\0\x40\xfd\0\0\xc0\0\x02\x01\xc0\0\x02\x02", 20));
  return frame;
}
void SendOn(const NetNamespace& ns, const std::string& device) {
  const Fd socket = SETUP_OK(PacketSocket(ns, SETUP_OK(RtnlIn(ns).LinkByName(device)).index, 0));
  SETUP_OK(Send(socket, Frame()));
}

/// How a device leaves.
struct Leave {
  const char* name;
  std::function<void(Wires&, const NetNamespace& elsewhere, int device)> leave;
};
const std::vector<Leave>& Leaves() {
  static const std::vector<Leave> leaves = {
      {"MovesAway", [](Wires& wires, const NetNamespace& elsewhere, int i) { SETUP_OK(RtnlIn(wires.inside).MoveLink(Device(i), ByFd(elsewhere.fd()))); }},
      {"IsDeleted", [](Wires& wires, const NetNamespace&, int i) { SETUP_OK(RtnlIn(wires.inside).DeleteLink(Device(i))); }},
      {"GoesWithItsPeer", [](Wires& wires, const NetNamespace&, int i) { SETUP_OK(RtnlIn(wires.outside).DeleteLink(Peer(i))); }}};
  return leaves;
}

const char* Which(int chain) { return chain == 0 ? "the first of its devices leaves" : chain == 1 ? "the middle one leaves" : "the last one leaves"; }

// nft(8), "netdev": "devices = { ... }". A chain is unbound from a device that goes.
void OthersKeepTheChain(const Kind& kind, const Leave& how) {
  Wires wires, bystander;  // equal devices with equal chains, in another namespace
  const auto elsewhere = NetNamespace::Create();
  Nftables nft = CountOnAll(wires.inside, kind), of_bystander = CountOnAll(bystander.inside, kind);
  const auto counts = [&](Wires& where, Nftables& by, int i) {
    const std::uint64_t before = Counted(by, i);
    if (kind.egress)
      SendOn(where.inside, Device(i));
    else
      SendOn(where.outside, Peer(i));
    return Eventually("the chain to count a packet on " + Device(i), [&] { return Counted(by, i) > before; }, Deadline::In(std::chrono::seconds(5)));
  };
  for (int i = 0; i < kDevices; ++i) ASSERT_OK(counts(wires, nft, i)) << "control: before";
  for (int chain = 0; chain < kChains; ++chain) {
    SCOPED_TRACE(Which(chain));
    const int at = chain * kOfEach, first = at + chain, second = at + (chain + 1) % kOfEach, third = at + (chain + 2) % kOfEach;
    how.leave(wires, elsewhere, first);
    for (int i : {second, third}) EXPECT_OK(counts(wires, nft, i)) << "its chain is gone, though another device left";
    const auto listed = DevicesListed(nft, kind.family, NFT_MSG_GETCHAIN, NFTA_CHAIN_NAME, Chain(chain), NFTA_CHAIN_HOOK, NFTA_HOOK_DEVS);
    ASSERT_TRUE(listed.has_value()) << "the chain itself is gone";
    EXPECT_THAT(*listed, testing::IsSupersetOf({Device(second), Device(third)}));
    how.leave(wires, elsewhere, second);
    EXPECT_OK(counts(wires, nft, third)) << "its chain is gone, though others left";
    for (int i = at + kOfEach; i < kDevices; ++i) EXPECT_OK(counts(wires, nft, i)) << "its chain is gone, though they were devices of another chain that left";
  }
  for (int i = 0; i < kDevices; ++i) EXPECT_OK(counts(bystander, of_bystander, i)) << "its chain is gone, though they were devices of another namespace that left";
}
// The same for flow tables, as they are listed.
void OthersKeepTheFlowTable(const Leave& how) {
  Wires wires, bystander;
  const auto elsewhere = NetNamespace::Create();
  const auto add = [](const NetNamespace& ns) {
    auto nft = SETUP_OK(Nftables::In(ns));
    NftBatch batch;
    batch.AddTable(NFPROTO_INET, kTable);
    for (int chain = 0; chain < kChains; ++chain)
      batch.Add(NFT_MSG_NEWFLOWTABLE, NFPROTO_INET, NLM_F_CREATE | NLM_F_EXCL, "add a flow table", [&](Request& table) {
        table.Text(NFTA_FLOWTABLE_TABLE, kTable).Text(NFTA_FLOWTABLE_NAME, Chain(chain)).Nest(NFTA_FLOWTABLE_HOOK, [&](Request& hook) {
          hook.Be32(NFTA_FLOWTABLE_HOOK_NUM, 0).Be32(NFTA_FLOWTABLE_HOOK_PRIORITY, 0);
          PutDevices(hook, NFTA_FLOWTABLE_HOOK_DEVS, chain);
        });
      });
    NeedsNftables(nft.Commit(batch), "a flow table");
    return nft;
  };
  const auto listed = [](Nftables& nft, int chain) {
    return DevicesListed(nft, NFPROTO_INET, NFT_MSG_GETFLOWTABLE, NFTA_FLOWTABLE_NAME, Chain(chain), NFTA_FLOWTABLE_HOOK, NFTA_FLOWTABLE_HOOK_DEVS).value_or(std::set<std::string>{});
  };
  Nftables nft = add(wires.inside), of_bystander = add(bystander.inside);
  const auto all_of = [](int chain) { return std::set<std::string>{Device(chain * kOfEach), Device(chain * kOfEach + 1), Device(chain * kOfEach + 2)}; };
  for (int chain = 0; chain < kChains; ++chain) ASSERT_EQ(listed(nft, chain), all_of(chain)) << "control: before";
  for (int chain = 0; chain < kChains; ++chain) {
    SCOPED_TRACE(Which(chain));
    const int at = chain * kOfEach, first = at + chain, second = at + (chain + 1) % kOfEach, third = at + (chain + 2) % kOfEach;
    how.leave(wires, elsewhere, first);
    EXPECT_THAT(listed(nft, chain), testing::IsSupersetOf({Device(second), Device(third)})) << "gone, though another device left";
    how.leave(wires, elsewhere, second);
    EXPECT_THAT(listed(nft, chain), testing::IsSupersetOf({Device(third)})) << "gone, though others left";
    for (int other = chain + 1; other < kChains; ++other) EXPECT_EQ(listed(nft, other), all_of(other)) << "devices of another flow table left";
    EXPECT_EQ(listed(of_bystander, chain), all_of(chain)) << "devices of another namespace left";
  }
}

const bool registered = [] {
  for (const Leave& how : Leaves()) {
    for (const Kind& kind : Kinds()) {
      Needs needs{Config("NF_TABLES"), Config("VETH")};
      for (const char* symbol : kind.configs) needs.list.push_back(Config(symbol));
      RegisterBody("Fw", std::string("AChainStaysOnTheOtherDevicesWhenOne") + how.name + "/" + kind.name, __FILE__, __LINE__, [&kind, &how] { OthersKeepTheChain(kind, how); },
                   Covers("FW-18"), needs, Within{std::chrono::seconds(60)});
    }
    RegisterBody("Fw", std::string("AFlowTableKeepsTheOtherDevicesWhenOne") + how.name, __FILE__, __LINE__, [&how] { OthersKeepTheFlowTable(how); }, Covers("FW-19", "FW-18"),
                 Needs(Config("NF_TABLES"), Config("NF_TABLES_INET"), Config("NF_FLOW_TABLE_INET"), Config("VETH")), Within{std::chrono::seconds(60)});
  }
  return true;
}();

}  // namespace
}  // namespace netns
