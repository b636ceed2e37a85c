// SPDX-License-Identifier: GPL-2.0-or-later
// Further corners, of several areas, in which two namespaces have the same number for different things: ports of netlink
// sockets, indices of devices that CAN sockets and masqueraded connections remember; and requests whose namespace is that of
// the socket, not of who asks.
#include <linux/can.h>
#include <linux/can/raw.h>
#include <linux/ethtool_netlink.h>
#include <linux/if_vlan.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/sockios.h>

#include <filesystem>
#include <tuple>

#include "fixtures/netfilter.h"
#include "fixtures/nic.h"
#include "fixtures/sockets.h"
#include "suites/support/firewall.h"
#include "suites/support/generic.h"
#include "suites/support/place.h"

namespace netns {
namespace {

using testing::AnyOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Not;


// --- what a netlink socket owns

/// Something that a socket of nfnetlink takes, and that is free again when the socket is closed.
struct Owned {
  const char* name;
  const char* requirement;
  std::vector<const char*> configs;
  std::function<Result<std::shared_ptr<void>>(Fd)> take;  ///< What is returned has the socket.
  std::function<bool(const NetNamespace&)> is_taken;
};
constexpr std::uint16_t kGroup = 4717;
constexpr const char* kOwnedTable = "nsconf_owned";

Result<std::shared_ptr<void>> TakeByRequest(Fd socket, const Request& request, const char* symbol) {
  auto owner = std::make_shared<NetlinkSocket>(SETUP_OK(NetlinkSocket::Adopt(std::move(socket))));
  const Status taken = owner->Ack(request);
  if (taken.code() == EINVAL || taken.code() == EOPNOTSUPP)
    throw MissingNeed(std::string("needs-config:") + symbol, "nfnetlink has no such subsystem", std::string("use a kernel with CONFIG_") + symbol);
  if (!taken.ok()) return taken.error();
  return std::shared_ptr<void>(owner);
}
bool IsTaken(const NetNamespace& ns, const Request& request, const char* symbol) {
  const auto tried = TakeByRequest(SETUP_OK(ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER)), request, symbol);
  if (!tried.ok() && tried.code() != EPERM) SETUP_OK(Status(tried.error()));
  return !tried.ok();
}
const std::vector<Owned>& AllOwned() {
  static const std::vector<Owned> owned = {
      {"LogGroup", "FW-12", {"NETFILTER_NETLINK_LOG"},
       [](Fd socket) { return TakeByRequest(std::move(socket), LogBind(kGroup), "NETFILTER_NETLINK_LOG"); },
       [](const NetNamespace& ns) { return IsTaken(ns, LogBind(kGroup), "NETFILTER_NETLINK_LOG"); }},
      {"Queue", "FW-11", {"NETFILTER_NETLINK_QUEUE"},
       [](Fd socket) { return TakeByRequest(std::move(socket), QueueBind(kGroup), "NETFILTER_NETLINK_QUEUE"); },
       [](const NetNamespace& ns) { return IsTaken(ns, QueueBind(kGroup), "NETFILTER_NETLINK_QUEUE"); }},
      // nft(8), table flag "owner"
      {"Table", "FW-01", {"NF_TABLES", "NF_TABLES_INET"},
       [](Fd socket) -> Result<std::shared_ptr<void>> {
         constexpr std::uint32_t kOwner = 2;  // NFT_TABLE_F_OWNER
         auto owner = std::make_shared<Nftables>(NeedsNftables(Nftables::Adopt(std::move(socket)), "nf_tables"));
         const Status made = owner->Commit(NftBatch().Add(NFT_MSG_NEWTABLE, NFPROTO_INET, NLM_F_CREATE | NLM_F_EXCL, "add a table with an owner", [](Request& r) {
           r.Text(NFTA_TABLE_NAME, kOwnedTable).Be32(NFTA_TABLE_FLAGS, kOwner);
         }));
         if (made.code() == EINVAL || made.code() == EOPNOTSUPP)
           throw MissingNeed("feature:owned-tables", "tables of nftables have no owners (before 5.12): " + made.error().ToString(), {}, LinuxVersion{5, 12});
         if (!made.ok()) return made.error();
         return std::shared_ptr<void>(owner);
       },
       [](const NetNamespace& ns) {
         for (const NftTable& table : SETUP_OK(NeedsNftables(Nftables::In(ns), "nf_tables").Tables()))
           if (table.name == kOwnedTable) return true;
         return false;
       }},
  };
  return owned;
}

// netlink(7), nl_pid: the "port ID" is the address of a socket - in its namespace. A socket of another namespace that has the
// same one owns nothing here.
void OwnersAreSocketsOfTheNamespace(const Owned& owned, const NetNamespace& of_owner, const NetNamespace& other) {
  constexpr std::uint32_t kPort = 0x4e730007;
  const auto open = [&](const NetNamespace& ns) {
    Fd socket = SETUP_OK(ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER));
    SETUP_OK(Bind(socket, NetlinkAddress(kPort)));
    return socket;
  };
  auto owner = SETUP_OK(owned.take(open(of_owner)));
  EXPECT_TRUE(owned.is_taken(of_owner)) << "control: it has an owner";
  EXPECT_FALSE(owned.is_taken(other)) << "network_namespaces(7): it is taken in another namespace";
  open(other).Reset();
  EXPECT_TRUE(owned.is_taken(of_owner)) << "netlink(7): a socket of another namespace that had the port id of the owner was closed";
  auto another = SETUP_OK(owned.take(open(other)));
  EXPECT_TRUE(owned.is_taken(other)) << "control: its own";
  another.reset();
  EXPECT_EVENTUALLY("control: what the closed socket had to be free", [&] { return !owned.is_taken(other); });
  EXPECT_TRUE(owned.is_taken(of_owner)) << "netlink(7): a socket of another namespace that had the same, and the same port id, was closed";
  owner.reset();
  EXPECT_EVENTUALLY("control: what the owner had to be free", [&] { return !owned.is_taken(of_owner); });
}
const bool owned_registered = [] {
  for (const Owned& owned : AllOwned()) {
    Needs needs, needs_machine(Machine());
    for (const char* symbol : owned.configs) needs.list.push_back(Config(symbol)), needs_machine.list.push_back(Config(symbol));
    RegisterBody("Fw", std::string("ClosedSocketsOfOtherNamespacesOwnNothingHere/") + owned.name, __FILE__, __LINE__,
                 [&owned] {
                   const auto a = NetNamespace::Create(), b = NetNamespace::Create();
                   OwnersAreSocketsOfTheNamespace(owned, a, b);
                   OwnersAreSocketsOfTheNamespace(owned, b, a);
                 },
                 Covers(owned.requirement), needs);
    RegisterBody("Fw", std::string("ClosedSocketsOfOtherNamespacesOwnNothingOfTheInitial/") + owned.name, __FILE__, __LINE__,
                 [&owned] {
                   const auto initial = InitialNetNamespace(), other = NetNamespace::Create();
                   OwnersAreSocketsOfTheNamespace(owned, initial, other);
                   OwnersAreSocketsOfTheNamespace(owned, other, initial);
                 },
                 Covers(owned.requirement, "USER-30"), needs_machine, Exclusive{});
  }
  return true;
}();

// --- rules that ask for the sender

// nft(8), "meta skuid", "meta skgid": the user and group of the socket that sent a packet. Where the packet enters another
// namespace it comes from outside, and has none.
NETNS_TEST(Fw, TheSenderOfAPacketIsUnknownInAnotherNamespace, Covers("VETH-22", "FW-02"),
           Needs(Config("NF_TABLES"), Config("NF_TABLES_NETDEV"), Config("VETH"))) {
  constexpr std::uint32_t kKeys[] = {NFT_META_SKUID, NFT_META_SKGID};
  // How many packets of a broadcast came in at `west`, and how many of them told of the one and the other.
  const auto seen = [&](Place& from, Place& at) {
    SETUP_OK(from->AddVeth("east", {.name = "west", .netns_fd = at.fd()}));
    SETUP_OK(from->AddAddress("192.0.2.1/24", "east"));
    auto nft = NeedsNftables(Nftables::In(at.ns), "nf_tables");
    NftBatch batch;
    batch.AddTable(NFPROTO_NETDEV, "t").AddChain({.family = NFPROTO_NETDEV, .table = "t", .name = "in", .hook = NF_NETDEV_INGRESS, .device = "west"});
    const auto count = [&](std::optional<std::uint32_t> key) {
      batch.Add(NFT_MSG_NEWRULE, NFPROTO_NETDEV, NLM_F_CREATE | NLM_F_APPEND, "add a rule", [=](Request& r) {
        r.Text(NFTA_RULE_TABLE, "t").Text(NFTA_RULE_CHAIN, "in").Nest(NFTA_RULE_EXPRESSIONS, [&](Request& list) {
          if (key) list.Nest(NFTA_LIST_ELEM, [&](Request& one) {
            one.Text(NFTA_EXPR_NAME, "meta").Nest(NFTA_EXPR_DATA, [&](Request& meta) { meta.Be32(NFTA_META_DREG, NFT_REG_1).Be32(NFTA_META_KEY, *key); });
          });
          list.Nest(NFTA_LIST_ELEM, [&](Request& one) { one.Text(NFTA_EXPR_NAME, "counter").Nest(NFTA_EXPR_DATA, [](Request&) {}); });
        });
      });
    };
    for (std::uint32_t key : kKeys) count(key);
    count({});  // behind them: what it has counted, they have seen
    NeedsNftables(nft.Commit(batch), "rules at the ingress of a device");
    SETUP_OK(from->Up("east"));
    SETUP_OK(at->Up("west"));
    SETUP_OK(Eventually("the pair to run", [&] { return from->LinkByName("east")->operstate == 6; }));
    const Fd sender = SETUP_OK(from.ns.Socket(AF_INET, SOCK_DGRAM));
    SETUP_OK(BindToDevice(sender, "east"));
    SETUP_OK(SetSockOpt(sender, SOL_SOCKET, SO_BROADCAST, 1));
    // Among other packets, which the kernel sends by itself.
    const auto packets = [&] {
      std::vector<std::uint64_t> counts;
      for (const NftRule& rule : SETUP_OK(nft.Rules(NFPROTO_NETDEV))) counts.push_back(rule.packets);
      if (counts.size() != 3) throw SetupFailure("not all rules are listed", std::source_location::current());
      return counts;
    };
    const auto before = packets().back();
    constexpr int kSent = 16;
    for (int i = 0; i < kSent; ++i) SETUP_OK(SendTo(sender, "x", Inet("255.255.255.255", 9)));
    SETUP_OK(Eventually("the packets to come", [&] { return packets().back() >= before + kSent; }));
    return packets();
  };
  Place alone, here, there;
  const auto within = seen(alone, alone);
  EXPECT_GE(within[0], 1u) << "control: the user, within one namespace";
  EXPECT_GE(within[1], 1u) << "control: the group, within one namespace";
  const auto across = seen(here, there);
  EXPECT_EQ(across[0], 0u) << "nft(8), meta skuid: a rule of one namespace saw the user of a socket of another";
  EXPECT_EQ(across[1], 0u) << "nft(8), meta skgid: a rule of one namespace saw the group of a socket of another";
}

// --- masquerading

// nft(8), masquerade: connections are forgotten when the device that they leave by goes down. The device is one of the
// namespace; another one of the same index takes nothing with it.
class Masquerader {
 public:
  Masquerader(Place& place, int index) : place_(place) {
    const auto nft = NeedsNftables(Nftables::In(place_.ns), "nf_tables");
    AddDevice(place_, kDevice, {.index = index}, true);
    SETUP_OK(place_->AddAddress("192.0.2.1/24", kDevice));
    if (HasIpv6()) SETUP_OK(place_->AddAddress("2001:db8::1/64", kDevice, {.nodad = true}));
    NeedsNftables(SETUP_OK(Nftables::In(place_.ns)).Commit(NftBatch()
                             .AddTable(NFPROTO_INET, kTable)
                             .AddChain({.table = kTable, .name = "out", .hook = NF_INET_POST_ROUTING, .priority = 100, .type = "nat"})
                             .AddRule({.table = kTable, .chain = "out", .oif = kDevice, .nat = NftNat{}})),
                  "a rule that masquerades");
  }
  ~Masquerader() {
    if (auto nft = Nftables::In(place_.ns); nft.ok()) std::ignore = nft->Commit(NftBatch().DeleteTable(NFPROTO_INET, kTable));
    std::ignore = place_->DeleteLink(kDevice);
  }
  /// Sends a packet of a connection, and makes sure that it is there.
  void Open(const std::string& to) {
    const Fd socket = SETUP_OK(place_.ns.Socket(Inet(to, 7017).family(), SOCK_DGRAM));
    SETUP_OK(Eventually("a packet to be sent to " + to, [&] { return SendTo(socket, "x", Inet(to, 7017)).ok(); }));
    SETUP_OK(Eventually("the connection to " + to, [&] { return Has(to); }));
  }
  bool Has(const std::string& to) {
    for (const Flow& flow : SETUP_OK(SETUP_OK(Conntrack::In(place_.ns)).Flows()))
      if (flow.dport == 7017 && flow.dst == to) return true;
    return false;
  }
  void Down() { SETUP_OK(place_->Down(kDevice)); }
  void Up() { SETUP_OK(place_->Up(kDevice)); }

 private:
  static constexpr const char *kDevice = "nsconf-masq", *kTable = "nsconf_masq";
  Place& place_;
};
void ADeviceOfTheSameIndexElsewhereGoesDown(Place& here, Place& there) {
  constexpr int kIndex = 61053;
  Masquerader own(here, kIndex), other(there, kIndex);
  std::vector<std::string> targets = {"192.0.2.2"};
  if (HasIpv6()) targets.push_back("2001:db8::2");
  for (const std::string& to : targets) own.Open(to);
  // The kernel forgets some time after the device went down. When it has done so twice, it is through with the first.
  for (int i = 0; i < 2; ++i) {
    other.Open("192.0.2.2");
    other.Down();
    ASSERT_OK(Eventually("the connection over the device that is down to be forgotten", [&] { return !other.Has("192.0.2.2"); })) << "control";
    other.Up();
  }
  for (const std::string& to : targets)
    EXPECT_TRUE(own.Has(to)) << "nft(8), masquerade: the connection to " << to << " went when a device of the same index of another namespace went down";
  own.Down();
  for (const std::string& to : targets) EXPECT_EVENTUALLY("control: the connection to " + to + " over its own device to be forgotten", [&] { return !own.Has(to); });
}
NETNS_TEST(Fw, MasqueradedConnectionsStayWhenADeviceElsewhereGoesDown, Covers("FW-09"),
           Needs(Config("NF_TABLES"), Config("NF_TABLES_INET"), Config("NFT_NAT"), Config("NFT_MASQ"), Config("NF_CT_NETLINK"), Config("VETH"))) {
  Place a, b;
  ADeviceOfTheSameIndexElsewhereGoesDown(a, b);
}
NETNS_TEST(Fw, MasqueradedConnectionsOfTheInitialNamespaceStayWhenADeviceElsewhereGoesDown, Covers("FW-09", "USER-30"),
           Needs(Machine(), Config("NF_TABLES"), Config("NF_TABLES_INET"), Config("NFT_NAT"), Config("NFT_MASQ"), Config("NF_CT_NETLINK"), Config("VETH")), Exclusive{}) {
  Place initial(InitialNetNamespace()), other;
  {
    SCOPED_TRACE("of the initial namespace");
    ADeviceOfTheSameIndexElsewhereGoesDown(initial, other);
  }
  SCOPED_TRACE("of another namespace");
  ADeviceOfTheSameIndexElsewhereGoesDown(other, initial);
}

// --- classes of sysfs

// sysfs(5): the entries of taps are those of the namespace of their device, to which they move with it.
struct TapKind {
  const char *name, *kind, *symbol;
};
constexpr TapKind kTapKinds[] = {{"Macvtap", "macvtap", "MACVTAP"}, {"Ipvtap", "ipvtap", "IPVTAP"}};
void TapsAreListedWhereTheirDevicesAre(const TapKind& kind, Place& owner, const std::vector<std::pair<Place*, const char*>>& others) {
  constexpr int kIndex = 61051;
  const std::string entry = "tap" + std::to_string(kIndex);
  const auto lists = [&](Place& place) {
    bool found = false;
    place.ns.InWithSysfs([&] { found = std::filesystem::is_symlink("/sys/class/" + std::string(kind.kind) + "/" + entry); });
    return found;
  };
  struct Remove {
    Place& place;
    ~Remove() { std::ignore = place->DeleteLink("nsconf-below"), std::ignore = place->DeleteLink(kIndex); }
  };
  Place elsewhere;
  const Remove remove{owner};
  AddDevice(owner, "nsconf-below");
  Status added = owner->AddLink({.name = "nsconf-tap", .kind = kind.kind, .index = kIndex, .link = "nsconf-below"});
  RequireBuiltIn(added, kind.symbol);
  SETUP_OK(std::move(added));
  EXPECT_TRUE(lists(owner)) << "sysfs(5): /sys/class/" << kind.kind << " lacks the entry of a device of the namespace";
  for (auto [place, name] : others) EXPECT_FALSE(lists(*place)) << "sysfs(5): the entry is shown in " << name;
  EXPECT_FALSE(lists(elsewhere)) << "control: before the move";
  ASSERT_OK(owner->MoveLink("nsconf-tap", elsewhere.ref()));
  EXPECT_TRUE(lists(elsewhere)) << "sysfs(5): the entry has not moved with its device";
  EXPECT_FALSE(lists(owner)) << "sysfs(5): the entry has stayed behind";
  for (auto [place, name] : others) EXPECT_FALSE(lists(*place)) << "sysfs(5): the entry is shown in " << name;
  SETUP_OK(elsewhere->DeleteLink("nsconf-tap"));
  EXPECT_FALSE(lists(elsewhere)) << "control: deleted";
}
const bool taps_registered = [] {
  for (const TapKind& kind : kTapKinds) {
    RegisterBody("Sysfs", std::string("TapsAreListedWhereTheirDevicesAre/") + kind.name, __FILE__, __LINE__,
                 [&kind] {
                   Place a, b, here = Place::Here();
                   Place nested = Place::Inside(a);
                   TapsAreListedWhereTheirDevicesAre(kind, a, {{&b, "another namespace"}, {&nested, "one made from inside"}, {&here, "the creator's namespace"}});
                 },
                 Covers("SYSFS-10"), Needs(Config(kind.symbol), Config("VETH")));
    RegisterBody("Sysfs", std::string("TapsAreNotThoseOfTheInitialNamespace/") + kind.name, __FILE__, __LINE__,
                 [&kind] {
                   Place initial(InitialNetNamespace()), other;
                   TapsAreListedWhereTheirDevicesAre(kind, other, {{&initial, "the initial namespace"}});
                   TapsAreListedWhereTheirDevicesAre(kind, initial, {{&other, "another namespace"}});
                 },
                 Covers("SYSFS-10"), Needs(Machine(), Config(kind.symbol), Config("VETH")), Exclusive{});
  }
  return true;
}();

// --- ethtool by netlink

// ethtool-netlink.rst: a "get" request without a device may be a dump: it lists all devices, of the namespace of the socket.
void DumpsOfEthtoolListDevicesOf(Place& here, Place& there) {
  struct Remove {
    Place& place;
    ~Remove() { std::ignore = place->DeleteLink("nsconf-here"), std::ignore = place->DeleteLink("nsconf-there"); }
  } remove{here}, remove_there{there};
  AddDevice(here, "nsconf-here", {.index = 61061});
  AddDevice(there, "nsconf-there", {.index = 61062});
  // Messages that list for a device what it has; what a device has not is left out, or ends the list.
  // By number: the headers of a distribution may lack the later ones.
  constexpr std::uint8_t kLinkState = 6, kFeatures = 11;
  const std::pair<std::uint8_t, const char*> requests[] = {
      {1, "STRSET"}, {2, "LINKINFO"}, {4, "LINKMODES"}, {kLinkState, "LINKSTATE"}, {7, "DEBUG"}, {9, "WOL"}, {kFeatures, "FEATURES"}, {13, "PRIVFLAGS"}, {15, "RINGS"}, {17, "CHANNELS"},
      {19, "COALESCE"}, {21, "PAUSE"}, {23, "EEE"}, {25, "TSINFO"}, {28, "TUNNEL_INFO"}, {29, "FEC"}, {34, "MODULE"}, {38, "RSS"}, {42, "MM"}};
  for (auto [command, name] : requests) {
    SCOPED_TRACE(std::string("ETHTOOL_MSG_") + name + "_GET");
    for (Place* place : {&here, &there}) {
      const bool first = place == &here;
      Generic ethtool(*place, "ethtool", "ETHTOOL_NETLINK");
      Request request = ethtool.Make(command, "list by ethtool");
      request.Nest(1 | NLA_F_NESTED, [](Request&) {});
      const auto listed = ethtool->Dump(request);
      if (!listed.ok()) {
        EXPECT_TRUE(command != kLinkState && command != kFeatures) << "control: " << listed.error().ToString();
        continue;
      }
      std::vector<std::string> names;
      for (const Message& message : *listed) {
        const auto attributes = message.AttributesAfter<genlmsghdr>();
        if (const auto device = attributes.Nested(1).Text(ETHTOOL_A_HEADER_DEV_NAME)) names.push_back(*device);
      }
      EXPECT_THAT(names, Not(Contains(first ? "nsconf-there" : "nsconf-here"))) << "ethtool-netlink.rst: a device of another namespace";
      if (command == kLinkState || command == kFeatures) {
        EXPECT_THAT(names, Contains(first ? "nsconf-here" : "nsconf-there")) << "ethtool-netlink.rst: a dump lists all devices of the namespace";
      }
      for (const std::string& each : names) EXPECT_OK((*place)->LinkByName(each)) << "ethtool-netlink.rst: no device of the namespace is called so";
    }
  }
}
NETNS_TEST(Dev, DumpsOfEthtoolListDevicesOfTheNamespace, Covers("DEV-34", "NLK-16"), Needs(Config("ETHTOOL_NETLINK"), Config("VETH"))) {
  Place a, b;
  DumpsOfEthtoolListDevicesOf(a, b);
}
NETNS_TEST(Dev, DumpsOfEthtoolListDevicesOfTheInitialNamespaceThere, Covers("DEV-34", "NLK-16"), Needs(Machine(), Config("ETHTOOL_NETLINK"), Config("VETH")), Exclusive{}) {
  Place initial(InitialNetNamespace()), other;
  DumpsOfEthtoolListDevicesOf(initial, other);
}

// --- VLANs by ioctl

// network_namespaces(7), socket(2): a request on a socket concerns the namespace in which the socket was made, whoever makes it.
NETNS_TEST(Dev, VlanIoctlsActInTheNamespaceOfTheSocket, Covers("DEV-35", "VIRT-27"), Needs(Config("VLAN_8021Q"), Config("VETH"))) {
  Place caller = Place::Here(), a, b;
  struct Asked {
    vlan_ioctl_args arguments{};
    Status status = Ok();
  };
  const auto ask = [](const Fd& socket, unsigned long call, int command, const std::string& device, int value = 0) {
    Asked asked;
    asked.arguments.cmd = command;
    device.copy(asked.arguments.device1, sizeof asked.arguments.device1 - 1);
    asked.arguments.u.VID = value;
    if (::ioctl(socket.get(), call, &asked.arguments) < 0) asked.status = ErrnoError("a VLAN ioctl on '" + device + "'");
    return asked;
  };
  for (Place* place : {&caller, &a, &b}) AddDevice(*place, "eth");
  const Fd in_a = SETUP_OK(a.ns.Socket(AF_INET, SOCK_DGRAM)), in_b = SETUP_OK(b.ns.Socket(AF_INET, SOCK_DGRAM)), in_caller = SETUP_OK(caller.ns.Socket(AF_INET, SOCK_DGRAM));
  // vconfig(8), set_name_type: the names of VLAN devices, which is a setting of the namespace, too.
  const Status chosen = ask(in_a, SIOCSIFVLAN, SET_VLAN_NAME_TYPE_CMD, "", VLAN_NAME_TYPE_PLUS_VID_NO_PAD).status;
  if (chosen.code() == ENOPKG || chosen.code() == ENOTTY || chosen.code() == EINVAL) RequireBuiltIn(Error{EOPNOTSUPP, "SIOCSIFVLAN"}, "VLAN_8021Q");
  ASSERT_OK(chosen);
  ASSERT_OK(ask(in_a, SIOCSIFVLAN, ADD_VLAN_CMD, "eth", 7).status);
  EXPECT_THAT(LinkNames(a), Contains("vlan7")) << "vconfig(8): the device is not in the namespace of the socket";
  EXPECT_THAT(LinkNames(caller), Not(AnyOf(Contains("vlan7"), Contains("eth.7"), Contains("eth.0007")))) << "vconfig(8): the device is in the namespace of the caller";
  ASSERT_OK(ask(in_b, SIOCSIFVLAN, ADD_VLAN_CMD, "eth", 8).status);
  EXPECT_THAT(LinkNames(b), AnyOf(Contains("eth.8"), Contains("eth.0008"))) << "vconfig(8): named as another namespace says";
  EXPECT_THAT(LinkNames(caller), ElementsAre("eth", "lo"));
  const Asked number = ask(in_a, SIOCGIFVLAN, GET_VLAN_VID_CMD, "vlan7"), below = ask(in_a, SIOCGIFVLAN, GET_VLAN_REALDEV_NAME_CMD, "vlan7");
  ASSERT_OK(number.status) << "vconfig(8): not found in the namespace of the socket";
  EXPECT_EQ(number.arguments.u.VID, 7);
  ASSERT_OK(below.status) << "vconfig(8): not found in the namespace of the socket";
  EXPECT_STREQ(below.arguments.u.device2, "eth");
  for (const Fd* socket : {&in_b, &in_caller}) {
    EXPECT_THAT(ask(*socket, SIOCGIFVLAN, GET_VLAN_VID_CMD, "vlan7").status, FailsWith(ENODEV)) << "vconfig(8): a device of another namespace";
    EXPECT_THAT(ask(*socket, SIOCSIFVLAN, DEL_VLAN_CMD, "vlan7").status, FailsWith(ENODEV)) << "vconfig(8): a device of another namespace";
  }
  // Asked from inside each of the others.
  for (Place* place : {&b, &caller}) {
    const int asked = place->ns.In([&] { return ask(in_a, SIOCGIFVLAN, GET_VLAN_VID_CMD, "vlan7").status.code(); });
    EXPECT_EQ(asked, 0) << "vconfig(8): not found in the namespace of the socket: " << ErrnoName(asked);
  }
  EXPECT_THAT(LinkNames(a), Contains("vlan7")) << "a request on a socket of another namespace deleted it";
  EXPECT_OK(ask(in_a, SIOCSIFVLAN, DEL_VLAN_CMD, "vlan7").status) << "control";
  EXPECT_THAT(LinkNames(a), ElementsAre("eth", "lo")) << "control";
}

// --- CAN sockets whose device goes

#ifndef CAN_ISOTP
#define CAN_ISOTP 6
#endif
struct CanKind {
  const char* name;
  int type, protocol;
  const char* symbol;
  bool connect;
};
constexpr CanKind kCanKinds[] = {{"Raw", SOCK_RAW, CAN_RAW, "CAN_RAW", false},
                                 {"BroadcastManager", SOCK_DGRAM, CAN_BCM, "CAN_BCM", true},
                                 {"Isotp", SOCK_DGRAM, CAN_ISOTP, "CAN_ISOTP", false}};

// Documentation/networking/can.rst: a socket is bound to an interface by its index, and is told by an error when that goes
// down or away - the one of its namespace.
void CanSocketsAreToldOfTheirDevice(const CanKind& kind, Place& here, Place& there) {
  constexpr int kIndex = 61054;
  constexpr const char* kName = "nsconf-can";
  struct Remove {
    Place& place;
    ~Remove() { std::ignore = place->DeleteLink(kName); }
  } remove{here}, remove_there{there};
  const auto add = [&](Place& place) {
    Status added = place->AddLink({.name = kName, .kind = "vcan", .index = kIndex});
    RequireBuiltIn(added, "CAN_VCAN");
    SETUP_OK(std::move(added));
    SETUP_OK(place->Up(kName));
  };
  const auto open = [&](Place& place) {
    auto opened = place.ns.Socket(AF_CAN, kind.type, kind.protocol);
    if (!opened.ok()) RequireBuiltIn(Status(opened.error()), kind.symbol);
    Fd socket = SETUP_OK(std::move(opened));
    sockaddr_can address{};
    address.can_family = AF_CAN;
    address.can_ifindex = kIndex;
    address.can_addr.tp.tx_id = 0x321;
    address.can_addr.tp.rx_id = 0x123;
    const auto call = kind.connect ? ::connect : ::bind;
    if (call(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0)
      throw SetupFailure(ErrnoError("binding a CAN socket").ToString(), std::source_location::current());
    return socket;
  };
  const auto error = [](const Fd& socket) { return SETUP_OK(GetSockOpt<int>(socket, SOL_SOCKET, SO_ERROR)); };
  add(here), add(there);
  const Fd own = open(here), other = open(there);
  EXPECT_EQ(error(own), 0) << "control: before";
  SETUP_OK(there->Down(kName));
  EXPECT_EQ(error(other), ENETDOWN) << "control: its device is down";
  EXPECT_EQ(error(own), 0) << "can.rst: a device of the same index of another namespace went down";
  SETUP_OK(there->DeleteLink(kName));
  EXPECT_EQ(error(other), ENODEV) << "control: its device has gone";
  EXPECT_EQ(error(own), 0) << "can.rst: a device of the same index of another namespace has gone";
  SETUP_OK(here->Down(kName));
  EXPECT_EQ(error(own), ENETDOWN) << "can.rst: it is no longer told of its own device";
  SETUP_OK(here->DeleteLink(kName));
  EXPECT_EQ(error(own), ENODEV) << "can.rst: it is no longer told of its own device";
}
const bool can_registered = [] {
  for (const CanKind& kind : kCanKinds) {
    RegisterBody("Virt", std::string("CanSocketsAreToldOfTheirDevice/") + kind.name, __FILE__, __LINE__,
                 [&kind] {
                   Place a, b;
                   CanSocketsAreToldOfTheirDevice(kind, a, b);
                 },
                 Covers("VIRT-22"), Needs(Config("CAN"), Config(kind.symbol), Config("CAN_VCAN")));
    RegisterBody("Virt", std::string("CanSocketsOfTheInitialNamespaceAreToldOfTheirDevice/") + kind.name, __FILE__, __LINE__,
                 [&kind] {
                   Place initial(InitialNetNamespace()), other;
                   CanSocketsAreToldOfTheirDevice(kind, initial, other);
                   CanSocketsAreToldOfTheirDevice(kind, other, initial);
                 },
                 Covers("VIRT-22"), Needs(Machine(), Config("CAN"), Config(kind.symbol), Config("CAN_VCAN")), Exclusive{});
  }
  return true;
}();

}  // namespace
}  // namespace netns
