// SPDX-License-Identifier: GPL-2.0-or-later
// DEV: traffic control. Queueing disciplines, classes, filters, chains, blocks and shared actions belong to a namespace; the
// discipline that new devices get is the machine's.
#include <fcntl.h>
#include <linux/gen_stats.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/tc_act/tc_connmark.h>
#include <linux/tc_act/tc_csum.h>
#include <linux/tc_act/tc_defact.h>
#include <linux/tc_act/tc_gact.h>
#include <linux/tc_act/tc_mirred.h>
#include <linux/tc_act/tc_nat.h>
#include <linux/tc_act/tc_skbedit.h>
#include <linux/tc_act/tc_vlan.h>

#include <array>
#include <cstddef>

#include "fixtures/link_monitor.h"
#include "fixtures/nic.h"
#include "fixtures/sockets.h"
#include "fixtures/user_namespace.h"
#include "suites/support/action.h"
#include "suites/support/place.h"
#include "suites/support/tun.h"

namespace netns {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

constexpr std::uint32_t kHandle = 5 << 16;  // 5:0

tcmsg On(int device, std::uint32_t parent, std::uint32_t handle = 0, std::uint32_t info = 0) {
  tcmsg message{};
  message.tcm_ifindex = device;
  message.tcm_parent = parent;
  message.tcm_handle = handle;
  message.tcm_info = info;
  return message;
}
/// The handles of what a dump of `type` gives for a device, one after the other.
std::vector<std::uint32_t> Handles(Place& place, std::uint16_t type, const tcmsg& of) {
  std::vector<std::uint32_t> handles;
  for (const Message& message : SETUP_OK(place->socket().Dump(Request(type).Header(of).Named("dump of traffic control"))))
    if (message.Header<tcmsg>().tcm_ifindex == of.tcm_ifindex) handles.push_back(message.Header<tcmsg>().tcm_handle);
  return handles;
}

/// "tc qdisc add dev ... root handle 5: htb"
Status AddHtb(Place& place, int device, std::uint32_t handle = kHandle) {
  tc_htb_glob options{};
  options.version = 3;
  options.rate2quantum = 10;
  return place->AddQdisc(device, "htb", TC_H_ROOT, handle, [&](Request& r) { r.Structure(TCA_HTB_INIT, options); });
}
Status AddClass(Place& place, int device, std::uint32_t id) {
  tc_htb_opt options{};
  options.rate.rate = options.ceil.rate = 1'000'000;
  options.rate.linklayer = options.ceil.linklayer = 1;  // TC_LINKLAYER_ETHERNET: no rate table
  options.buffer = options.cbuffer = 10'000;
  Request request(RTM_NEWTCLASS, NLM_F_CREATE | NLM_F_EXCL);
  request.Named("add a class").Header(On(device, kHandle, id)).Text(TCA_KIND, "htb").Nest(TCA_OPTIONS, [&](Request& r) {
    r.Structure(TCA_HTB_PARMS, options);
  });
  return place->socket().Ack(request);
}
/// A u32 filter that matches everything; `more` gives it actions.
Status AddFilter(Place& place, const tcmsg& at, const More& more = {}) {
  // A selector whose one key has an empty mask.
  alignas(tc_u32_sel) std::array<std::byte, sizeof(tc_u32_sel) + sizeof(tc_u32_key)> all{};
  auto* selector = reinterpret_cast<tc_u32_sel*>(all.data());
  selector->nkeys = 1;
  selector->flags = TC_U32_TERMINAL;
  Request request(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL);
  request.Named("add a filter").Header(at).Text(TCA_KIND, "u32").Nest(TCA_OPTIONS, [&](Request& r) {
    r.U32(TCA_U32_CLASSID, kHandle | 1).Raw(TCA_U32_SEL, all);
    if (more) more(r);
  });
  return place->socket().Ack(request);
}
constexpr std::uint32_t FilterInfo(std::uint32_t priority) { return priority << 16 | (ETH_P_ALL << 8 & 0xff00); }
/// The priorities of the filters below a parent.
std::vector<std::uint32_t> Filters(Place& place, const tcmsg& of) {
  std::vector<std::uint32_t> priorities;
  for (const Message& message : SETUP_OK(place->socket().Dump(Request(RTM_GETTFILTER).Header(of).Named("dump the filters")))) {
    const std::uint32_t priority = message.Header<tcmsg>().tcm_info >> 16;
    if (priorities.empty() || priorities.back() != priority) priorities.push_back(priority);
  }
  return priorities;
}


// net/sched/sch_api.c: everything hangs on a device, which is looked up in the namespace of the socket.
NETNS_TEST(Dev, QueueingDisciplinesClassesAndFiltersArePerNamespace, Covers("DEV-37"),
           Needs(Config("VETH"), Config("NET_SCHED"), Config("NET_SCH_HTB"), Config("NET_CLS_U32"))) {
  Place a, b;
  Place nested = Place::Inside(a);
  // Devices of one index everywhere, a second one of which only a has something, and lo.
  for (Place* place : {&a, &b, &nested}) {
    AddDevice(*place, "one", {.index = 4100});
    AddDevice(*place, "two", {.index = 4101});
  }
  const int only_in_a = AddDevice(a, "mine", {.index = 4200});
  Status added = AddHtb(a, 4101);
  RequireBuiltIn(added, "NET_SCH_HTB");
  ASSERT_OK(added);
  EXPECT_THAT(AddHtb(a, 4101), FailsWith(EEXIST)) << "control: it is there";
  ASSERT_OK(AddClass(a, 4101, kHandle | 1));
  ASSERT_OK(AddClass(a, 4101, kHandle | 2));
  EXPECT_THAT(AddClass(a, 4101, kHandle | 1), FailsWith(EEXIST)) << "control";
  const tcmsg below = On(4101, kHandle);
  Status filter = AddFilter(a, On(4101, kHandle, 0, FilterInfo(11)));
  RequireBuiltIn(filter, "NET_CLS_U32");
  ASSERT_OK(filter);
  ASSERT_OK(AddFilter(a, On(4101, kHandle, 0, FilterInfo(12))));

  auto htb = [](Place& place, int device) {
    for (const Qdisc& qdisc : SETUP_OK(place->Qdiscs()))
      if (qdisc.dev == device && qdisc.kind == "htb") return true;
    return false;
  };
  EXPECT_TRUE(htb(a, 4101)) << "control";
  EXPECT_THAT(Handles(a, RTM_GETTCLASS, On(4101, 0)), ElementsAre(kHandle | 1, kHandle | 2)) << "control";
  EXPECT_THAT(Filters(a, below), ElementsAre(11u, 12u)) << "control";
  for (Place* place : {&b, &nested}) {
    SCOPED_TRACE(place == &b ? "another namespace" : "one created from inside");
    for (const Qdisc& qdisc : SETUP_OK((*place)->Qdiscs())) EXPECT_NE(qdisc.kind, "htb") << qdisc;
    EXPECT_THAT(Handles(*place, RTM_GETTCLASS, On(4101, 0)), IsEmpty());
    EXPECT_THAT((*place)->socket().Dump(Request(RTM_GETTFILTER).Header(below).Named("dump the filters")),
                testing::AnyOf(FailsWith(EINVAL), FailsWith(ENOENT), Holds(IsEmpty())));
    EXPECT_THAT(AddClass(*place, 4101, kHandle | 3), FailsWith(ENOENT)) << "a class below a discipline of the other namespace";
    EXPECT_THAT(AddHtb(*place, only_in_a), FailsWith(ENODEV)) << "a device of the other namespace";
    EXPECT_OK(AddHtb(*place, 4101)) << "the same handle";
    EXPECT_THAT(Handles(*place, RTM_GETTCLASS, On(4101, 0)), IsEmpty());
    EXPECT_OK(AddClass(*place, 4101, kHandle | 1));
    EXPECT_THAT(Filters(*place, below), IsEmpty());
    EXPECT_OK((*place)->DeleteQdisc(4101));
    EXPECT_FALSE(htb(*place, 4101));
    EXPECT_TRUE(htb(a, 4101)) << "deleted in the other namespace";
  }
  EXPECT_THAT(Handles(a, RTM_GETTCLASS, On(4101, 0)), ElementsAre(kHandle | 1, kHandle | 2));
  EXPECT_THAT(Filters(a, below), ElementsAre(11u, 12u));
}

/// A discipline with a class and a filter, and the end of them all.
void AddAllAndDelete(Place& place, int device) {
  Status added = AddHtb(place, device);
  RequireBuiltIn(added, "NET_SCH_HTB");
  SETUP_OK(std::move(added));
  SETUP_OK(AddClass(place, device, kHandle | 1));
  SETUP_OK(AddFilter(place, On(device, kHandle, 0, FilterInfo(11))));
  SETUP_OK(place->DeleteQdisc(device));
}
NETNS_TEST(Dev, NewsOfTrafficControlStaysInTheNamespace, Covers("DEV-37", "NLK-04"),
           Needs(Config("VETH"), Config("NET_SCHED"), Config("NET_SCH_HTB"), Config("NET_CLS_U32"))) {
  Place a, b;
  Place nested = Place::Inside(a);
  for (Place* place : {&a, &b, &nested}) AddDevice(*place, "one", {.index = 4100});
  auto in_a = SETUP_OK(RtnlMonitor::In(a.ns, {RTNLGRP_TC})), in_b = SETUP_OK(RtnlMonitor::In(b.ns, {RTNLGRP_TC})),
       in_nested = SETUP_OK(RtnlMonitor::In(nested.ns, {RTNLGRP_TC}));
  AddAllAndDelete(a, 4100);
  std::set<int> types;
  for (const Message& message : SETUP_OK(in_a.ThroughFence())) types.insert(message.type());
  EXPECT_THAT(types, testing::IsSupersetOf({RTM_NEWQDISC, RTM_NEWTCLASS, RTM_NEWTFILTER, RTM_DELQDISC})) << "control: its own";
  EXPECT_THAT(in_b.ThroughFence(), Holds(IsEmpty()));
  EXPECT_THAT(in_nested.ThroughFence(), Holds(IsEmpty()));
}

NETNS_TEST(Dev, NewsOfTrafficControlDoesNotReachTheInitialNamespace, Covers("DEV-37", "NLK-04"),
           Needs(Machine(), Config("VETH"), Config("NET_SCHED"), Config("NET_SCH_HTB"), Config("NET_CLS_U32"))) {
  constexpr int kDevice = 61100;  // of no other namespace
  Place a, initial(InitialNetNamespace());
  AddDevice(a, "one", {.index = kDevice});
  auto in_a = SETUP_OK(RtnlMonitor::In(a.ns, {RTNLGRP_TC})), in_initial = SETUP_OK(RtnlMonitor::In(initial.ns, {RTNLGRP_TC}));
  AddAllAndDelete(a, kDevice);
  const auto types = [](RtnlMonitor& monitor) {
    std::set<int> heard;
    for (const Message& message : SETUP_OK(monitor.ThroughFence()))
      if (message.Header<tcmsg>().tcm_ifindex == kDevice) heard.insert(message.type());
    return heard;
  };
  EXPECT_THAT(types(in_a), testing::IsSupersetOf({RTM_NEWQDISC, RTM_NEWTCLASS, RTM_NEWTFILTER, RTM_DELQDISC})) << "control: a listener beside it";
  EXPECT_THAT(types(in_initial), IsEmpty()) << "rtnetlink(7): a listener in the initial namespace heard of a device of another one";
}

/// A clsact discipline on a device, whose filters for what comes in are those of a block.
Status AddClsactWithBlock(Place& place, int device, std::uint32_t block) {
  Request request(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL);
  request.Named("add clsact").Header(On(device, TC_H_CLSACT, 0xffff0000)).Text(TCA_KIND, "clsact").U32(TCA_INGRESS_BLOCK, block);
  return place->socket().Ack(request);
}

// tc(8) "block": a number of a block is one of the namespace.
NETNS_TEST(Dev, SharedBlocksOfFiltersArePerNamespace, Covers("DEV-37"),
           Needs(Config("VETH"), Config("NET_SCHED"), Config("NET_SCH_INGRESS"), Config("NET_CLS_U32"))) {
  Place a, b;
  for (Place* place : {&a, &b}) {
    for (int device : {4100, 4101}) {
      AddDevice(*place, "dev" + std::to_string(device), {.index = device});
      Status added = AddClsactWithBlock(*place, device, 22);
      RequireBuiltIn(added, "NET_SCH_INGRESS");
      SETUP_OK(std::move(added));
    }
  }
  const std::uint32_t magic = 0xffffffff;  // TCM_IFINDEX_MAGIC_BLOCK
  const tcmsg block = On(static_cast<int>(magic), 22);
  auto filters = [&](Place& place) { return Filters(place, block); };
  SETUP_OK(AddFilter(a, On(static_cast<int>(magic), 22, 0, FilterInfo(31))));
  EXPECT_THAT(AddFilter(a, On(static_cast<int>(magic), 23, 0, FilterInfo(31))), FailsWith(EINVAL)) << "control: no such block";
  EXPECT_THAT(filters(a), ElementsAre(31u)) << "control";
  EXPECT_THAT(filters(b), IsEmpty()) << "the block of that number in another namespace";
  SETUP_OK(AddFilter(b, On(static_cast<int>(magic), 22, 0, FilterInfo(32))));
  EXPECT_THAT(filters(b), ElementsAre(32u));
  EXPECT_THAT(filters(a), ElementsAre(31u));
  SETUP_OK(AddClsactWithBlock(a, 1, 33));
  EXPECT_THAT(AddFilter(b, On(static_cast<int>(magic), 33, 0, FilterInfo(31))), FailsWith(EINVAL)) << "a block of another namespace";
}

// ------------------------------------------------------------------------------------------------------ shared actions

struct Action {
  const char* name;    ///< In a test's name.
  const char* symbol;  ///< The option that it needs.
  const char* kind;
  std::function<void(Request&, std::uint32_t index)> options;
};
const std::vector<Action>& Actions() {
  static const auto generic = [](auto parameters, std::uint32_t index, int action = TC_ACT_PIPE) {
    parameters.index = index;
    parameters.action = action;
    return parameters;
  };
  static const std::vector<Action> actions = {
      {"Gact", "NET_ACT_GACT", "gact", [](Request& r, std::uint32_t i) { r.Structure(TCA_GACT_PARMS, generic(tc_gact{}, i, TC_ACT_OK)); }},
      {"Mirred", "NET_ACT_MIRRED", "mirred", [](Request& r, std::uint32_t i) {
         auto parameters = generic(tc_mirred{}, i, TC_ACT_STOLEN);
         parameters.eaction = TCA_EGRESS_REDIR;
         parameters.ifindex = 1;  // lo, which every namespace has
         r.Structure(TCA_MIRRED_PARMS, parameters);
       }},
      {"Police", "NET_ACT_POLICE", "police", [](Request& r, std::uint32_t i) {
         tc_police parameters{};
         parameters.index = i;
         parameters.action = TC_ACT_SHOT;
         parameters.burst = 10'000;
         parameters.mtu = 2000;
         r.Structure(TCA_POLICE_TBF, parameters);
       }},
      {"Skbedit", "NET_ACT_SKBEDIT", "skbedit", [](Request& r, std::uint32_t i) {
         r.Structure(TCA_SKBEDIT_PARMS, generic(tc_skbedit{}, i)).U32(TCA_SKBEDIT_MARK, 7);
       }},
      {"Vlan", "NET_ACT_VLAN", "vlan", [](Request& r, std::uint32_t i) {
         auto parameters = generic(tc_vlan{}, i);
         parameters.v_action = TCA_VLAN_ACT_POP;
         r.Structure(TCA_VLAN_PARMS, parameters);
       }},
      {"Nat", "NET_ACT_NAT", "nat", [](Request& r, std::uint32_t i) { r.Structure(TCA_NAT_PARMS, generic(tc_nat{}, i)); }},
      {"Csum", "NET_ACT_CSUM", "csum", [](Request& r, std::uint32_t i) {
         auto parameters = generic(tc_csum{}, i);
         parameters.update_flags = TCA_CSUM_UPDATE_FLAG_IPV4HDR;
         r.Structure(TCA_CSUM_PARMS, parameters);
       }},
      {"Connmark", "NET_ACT_CONNMARK", "connmark", [](Request& r, std::uint32_t i) { r.Structure(TCA_CONNMARK_PARMS, generic(tc_connmark{}, i)); }},
      {"Simple", "NET_ACT_SIMP", "simple", [](Request& r, std::uint32_t i) {
         r.Structure(TCA_DEF_PARMS, generic(tc_defact{}, i)).Text(TCA_DEF_DATA, "seen");
       }},
  };
  return actions;
}

Status AddAction(Place& place, const Action& action, std::uint32_t index) {
  return place->socket().Ack(ActionRequest(RTM_NEWACTION, NLM_F_CREATE | NLM_F_EXCL, "add an action", [&](Request& one) {
    one.Text(TCA_ACT_KIND, action.kind).Nest(TCA_ACT_OPTIONS, [&](Request& r) { action.options(r, index); });
  }));
}
Status AskAction(Place& place, std::uint16_t type, const Action& action, std::uint32_t index) {
  const Request request = ActionRequest(type, 0, type == RTM_DELACTION ? "delete an action" : "ask for an action",
                                        [&](Request& one) { one.Text(TCA_ACT_KIND, action.kind).U32(TCA_ACT_INDEX, index); });
  if (type == RTM_DELACTION) return place->socket().Ack(request);
  const auto answer = place->socket().Get(request);
  if (!answer.ok()) return answer.error();
  return Ok();
}
/// The indexes of a kind's actions: every kind's own structure begins with tc_gen (police too, with its index first).
std::vector<std::uint32_t> Indexes(Place& place, const Action& action) {
  std::vector<std::uint32_t> indexes;
  const Request request = ActionRequest(RTM_GETACTION, 0, "dump the actions", [&](Request& one) { one.Text(TCA_ACT_KIND, action.kind); });
  for (const Message& message : SETUP_OK(place->socket().Dump(request)))
    for (const auto& [number, raw] : message.AttributesAfter<tcamsg>().Nested(TCA_ACT_TAB).all()) {
      const Attributes one(raw);
      EXPECT_EQ(one.Text(TCA_ACT_KIND), std::optional<std::string>(action.kind));
      const Attributes options = one.Nested(TCA_ACT_OPTIONS);
      const std::string kind = action.kind;
      const std::uint16_t parameters = kind == "police" ? TCA_POLICE_TBF : kind == "csum" ? TCA_CSUM_PARMS : kind == "connmark" ? TCA_CONNMARK_PARMS
                                       : kind == "nat" ? TCA_NAT_PARMS : 2;
      indexes.push_back(options.Structure<std::uint32_t>(parameters).value_or(0));
    }
  std::sort(indexes.begin(), indexes.end());
  return indexes;
}

// (To make one takes CAP_NET_ADMIN in the initial user namespace, whatever the namespace: tc_ctl_action().)
void ActionsArePerNamespace(const Action& action) {
  Place a, b;
  Place nested = Place::Inside(a);
  auto in_a = SETUP_OK(RtnlMonitor::In(a.ns, {RTNLGRP_TC})), in_b = SETUP_OK(RtnlMonitor::In(b.ns, {RTNLGRP_TC}));
  Status added = AddAction(a, action, 7);
  RequireBuiltIn(added, action.symbol);
  ASSERT_OK(added);
  EXPECT_THAT(AddAction(a, action, 7), FailsWith(EEXIST)) << "control: taken in this namespace";
  ASSERT_OK(AddAction(a, action, 8));
  EXPECT_THAT(Indexes(a, action), ElementsAre(7u, 8u)) << "control";
  EXPECT_OK(AskAction(a, RTM_GETACTION, action, 8)) << "control";
  for (Place* place : {&b, &nested}) {
    SCOPED_TRACE(place == &b ? "another namespace" : "one created from inside");
    EXPECT_THAT(Indexes(*place, action), IsEmpty());
    EXPECT_THAT(AskAction(*place, RTM_GETACTION, action, 8), FailsWith(ENOENT));
    EXPECT_THAT(AskAction(*place, RTM_DELACTION, action, 8), FailsWith(ENOENT));
  }
  EXPECT_THAT(in_b.ThroughFence(), Holds(IsEmpty())) << "news of an action of another namespace";
  EXPECT_THAT(in_a.ThroughFence(), Holds(Not(IsEmpty()))) << "control: its own";
  for (Place* place : {&b, &nested}) {
    EXPECT_OK(AddAction(*place, action, 7)) << "the same index";
    EXPECT_THAT(Indexes(*place, action), ElementsAre(7u));
    EXPECT_OK(AskAction(*place, RTM_DELACTION, action, 7));
    EXPECT_THAT(Indexes(*place, action), IsEmpty());
  }
  EXPECT_THAT(Indexes(a, action), ElementsAre(7u, 8u)) << "actions of another namespace were deleted";
  // tc-actions(8): "flush action KIND", where there are some and where there are none.
  const auto flush = [&](Place& place) {
    return place->socket().Ack(ActionRequest(RTM_DELACTION, NLM_F_ROOT, "flush the actions of a kind", [&](Request& one) { one.Text(TCA_ACT_KIND, action.kind); }));
  };
  for (Place* place : {&b, &nested}) {
    EXPECT_OK(AddAction(*place, action, 7));
    EXPECT_OK(flush(*place));
    EXPECT_THAT(Indexes(*place, action), IsEmpty()) << "control: flushed";
    std::ignore = flush(*place);
  }
  EXPECT_THAT(Indexes(a, action), ElementsAre(7u, 8u)) << "actions of another namespace were flushed";
  EXPECT_OK(flush(a)) << "control";
  EXPECT_THAT(Indexes(a, action), IsEmpty()) << "control";
}
[[maybe_unused]] const bool actions_registered = [] {
  for (const Action& action : Actions())
    RegisterBody("Dev", std::string("SharedActionsArePerNamespace/") + action.name, __FILE__, __LINE__, [&action] { ActionsArePerNamespace(action); },
                 Covers("DEV-37", "USER-30"), Needs(Root(), Config("NET_SCHED"), Config("NET_CLS_ACT"), Config(action.symbol)));
  return true;
}();

// act_mirred: a target is a device of the namespace, and no longer one once it has left.
NETNS_TEST(Dev, PacketsAreNotRedirectedToADeviceOfAnotherNamespace, Covers("DEV-37", "DEV-23"),
           Needs(Config("VETH"), Config("NET_SCHED"), Config("NET_SCH_INGRESS"), Config("NET_CLS_ACT"), Config("NET_CLS_U32"), Config("NET_ACT_MIRRED"), Config("PACKET"))) {
  Place a, b, wire;
  // What comes in by "in" goes out by "out"; the other ends of both are in `wire`.
  for (auto [name, index] : {std::pair("in", 4300), std::pair("out", 4301)}) {
    Status added = a->AddVeth(name, {.name = std::string(name) + "wire", .netns_fd = wire.fd()}, {.index = index});
    RequireBuiltIn(added, "VETH");
    SETUP_OK(std::move(added));
  }
  for (auto [place, name] : {std::pair(&a, "in"), std::pair(&a, "out"), std::pair(&wire, "inwire"), std::pair(&wire, "outwire")}) {
    if (HasIpv6()) SETUP_OK(place->ns.SetSysctl("net/ipv6/conf/" + std::string(name) + "/disable_ipv6", "1"));
    SETUP_OK((*place)->Up(name));
  }
  auto running = [](Place& place, const char* name) {
    SETUP_OK(Eventually(std::string(name) + " to run", [&] { return place->LinkByName(name)->operstate == 6; }));
  };
  // Either end: what is sent by one that the kernel has not set running yet is lost.
  for (const char* name : {"inwire", "outwire"}) running(wire, name);
  for (const char* name : {"in", "out"}) running(a, name);
  const int only_in_b = AddDevice(b, "elsewhere", {.index = 4400});
  auto redirect = [&](int device) {
    return [device](Request& r) {
      r.Nest(TCA_U32_ACT, [&](Request& actions) {
        actions.Nest(1, [&](Request& one) {
          tc_mirred parameters{};
          parameters.action = TC_ACT_STOLEN;
          parameters.eaction = TCA_EGRESS_REDIR;
          parameters.ifindex = static_cast<std::uint32_t>(device);
          one.Text(TCA_ACT_KIND, "mirred").Nest(TCA_ACT_OPTIONS, [&](Request& options) { options.Structure(TCA_MIRRED_PARMS, parameters); });
        });
      });
    };
  };
  Status added = a->AddQdisc("in", "ingress", TC_H_INGRESS, 0xffff0000);
  RequireBuiltIn(added, "NET_SCH_INGRESS");
  SETUP_OK(std::move(added));
  const std::uint32_t ingress = 0xffff0000;
  EXPECT_THAT(AddFilter(a, On(4300, ingress, 0, FilterInfo(1)), redirect(only_in_b)), FailsWith(ENODEV)) << "a device of another namespace";
  Status redirected = AddFilter(a, On(4300, ingress, 0, FilterInfo(2)), redirect(4301));
  RequireBuiltIn(redirected, "NET_ACT_MIRRED");
  ASSERT_OK(redirected) << "control: one of its own";

  constexpr std::uint16_t ethertype = 0x88b5;
  const Fd out = SETUP_OK(PacketSocket(wire.ns, SETUP_OK(wire->LinkByName("inwire")).index, ethertype));
  const Fd back = SETUP_OK(PacketSocket(wire.ns, SETUP_OK(wire->LinkByName("outwire")).index, ethertype));
  auto send = [&](const std::string& text) {
    std::string frame("\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x99\x88\xb5", 14);
    frame += text + std::string(46, '\0');
    SETUP_OK(SendTo(out, frame, PacketOn(SETUP_OK(wire->LinkByName("inwire")).index, ethertype, "ff:ff:ff:ff:ff:ff")));
  };
  send("first");
  EXPECT_THAT(SETUP_OK(Receive(back)).data, testing::HasSubstr("first")) << "control: it is redirected";
  // The device leaves; the wire to it stays, and now ends in b.
  SETUP_OK(a->MoveLink("out", b.ref()));
  SETUP_OK(b->Up("out"));
  running(wire, "outwire");
  running(b, "out");
  send("second");
  // A frame that b itself sends is behind any that came through.
  const Fd fence = SETUP_OK(PacketSocket(b.ns, SETUP_OK(b->LinkByName("out")).index, ethertype));
  std::string frame("\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x98\x88\xb5", 14);
  SETUP_OK(SendTo(fence, frame + "fence" + std::string(46, '\0'), PacketOn(SETUP_OK(b->LinkByName("out")).index, ethertype, "ff:ff:ff:ff:ff:ff")));
  EXPECT_THAT(SETUP_OK(Receive(back)).data, testing::HasSubstr("fence")) << "a packet of a left by a device that is in b";
}

// ---------------------------------------------------------------------------------------------------- the default

/// net.core.default_qdisc of the machine, put back at the end.
class DefaultQdisc {
 public:
  DefaultQdisc() : initial_(InitialNetNamespace()), before_(SETUP_OK(initial_.Sysctl(kName))) {}
  DefaultQdisc(const DefaultQdisc&) = delete;
  DefaultQdisc& operator=(const DefaultQdisc&) = delete;
  ~DefaultQdisc() { (void)initial_.SetSysctl(kName, before_).ok(); }
  void Set(const std::string& kind) { SETUP_OK(initial_.SetSysctl(kName, kind)); }
  static constexpr const char* kName = "net.core.default_qdisc";

 private:
  NetNamespace initial_;
  std::string before_;
};

// Documentation/admin-guide/sysctl/net.rst default_qdisc. A veth has no queue, so it gets none of it; an ifb has.
NETNS_TEST(Dev, TheDefaultQueueingDisciplineIsTheMachines, Covers("DEV-38"), Needs(Machine(), Config("NET_SCHED"), Config("IFB")), Exclusive{}) {
  Place initial(InitialNetNamespace()), a;
  Place nested = Place::Inside(a);
  EXPECT_TRUE(initial.ns.HasSysctl(DefaultQdisc::kName)) << "control";
  EXPECT_FALSE(a.ns.HasSysctl(DefaultQdisc::kName)) << "there is one for all";
  DefaultQdisc setting;
  auto kind_of_new = [](Place& place, const std::string& name) -> std::string {
    Status added = place->AddLink({.name = name, .kind = "ifb"});
    RequireBuiltIn(added, "IFB");
    SETUP_OK(std::move(added));
    SETUP_OK(place->Up(name));
    return SETUP_OK(place->LinkByName(name)).qdisc;
  };
  for (const std::string kind : {"pfifo", "bfifo", "pfifo_fast"}) {
    SCOPED_TRACE(kind);
    setting.Set(kind);
    EXPECT_EQ(kind_of_new(initial, "ns-" + kind), kind) << "control";
    SETUP_OK(initial->DeleteLink("ns-" + kind));
    EXPECT_EQ(kind_of_new(a, kind), kind);
    EXPECT_EQ(kind_of_new(nested, kind), kind);
  }
  EXPECT_EQ(SETUP_OK(a->LinkByName("pfifo")).qdisc, "pfifo") << "a device that is up keeps what it got";
}

/// The disciplines of the queues of a device: those below its root, or that itself where the device has one queue.
std::vector<std::string> OfQueues(Place& place, const std::string& name) {
  const Link link = SETUP_OK(place->LinkByName(name));
  std::vector<std::string> queues;
  for (const Qdisc& qdisc : SETUP_OK(place->Qdiscs()))
    if (qdisc.dev == link.index && qdisc.kind != "mq" && qdisc.kind != "mqprio") queues.push_back(qdisc.kind);
  return queues;
}
/// A way in which a device with `queues` queues comes to be up in a place.
struct ManyQueues {
  const char* name;
  std::vector<const char*> configs;
  const char* root;
  std::size_t queues;
  std::function<void(Place& at, Place& other, const std::string& name)> make;
};
void AddIfb(Place& at, const std::string& name) {
  Status added = at->AddLink({.name = name, .kind = "ifb", .tx_queues = 3, .rx_queues = 3});
  RequireBuiltIn(added, "IFB");
  SETUP_OK(std::move(added));
}
/// Multi-queue tap devices live as long as their files.
std::vector<Fd>& TapFiles() {
  static std::vector<Fd> files;  // a test's body runs in a process of its own
  return files;
}
void AddTap(Place& at, const std::string& name) {
  for (int queue = 0; queue < 2; ++queue) {
    auto file = at.ns.OpenIn(TunFile(), O_RDWR);
    if (file.code() == ENODEV || file.code() == ENXIO) RequireBuiltIn(Error{EOPNOTSUPP, "/dev/net/tun"}, "TUN");
    TapFiles().push_back(SETUP_OK(std::move(file)));
    ifreq request = NamedIfreq(name);
    request.ifr_flags = static_cast<short>(IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE);
    SETUP_OK(NETNS_IOCTL(TapFiles().back(), TUNSETIFF, request));
  }
}
const std::vector<ManyQueues>& WithManyQueues() {
  static const std::vector<ManyQueues> ways = {
      {"OfADevice", {"IFB"}, "mq", 3,
       [](Place& at, Place&, const std::string& name) {
         AddIfb(at, name);
         SETUP_OK(at->Up(name));
       }},
      {"OfATap", {"TUN"}, "mq", 2,
       [](Place& at, Place&, const std::string& name) {
         AddTap(at, name);
         SETUP_OK(at->Up(name));
       }},
      {"OfADeviceThatComes", {"IFB"}, "mq", 3,
       [](Place& at, Place& other, const std::string& name) {
         AddIfb(other, name);
         SETUP_OK(other->MoveLink(name, at.ref()));
         SETUP_OK(at->Up(name));
       }},
      {"OfADeviceThatCameAfterItWasUp", {"IFB"}, "mq", 3,
       [](Place& at, Place& other, const std::string& name) {
         AddIfb(other, name);
         SETUP_OK(other->Up(name));
         SETUP_OK(other->MoveLink(name, at.ref()));
         SETUP_OK(at->Up(name));
       }},
      {"OfADeviceInTheRequestOfAnother", {"IFB"}, "mq", 3,
       [](Place& at, Place& other, const std::string& name) {
         SETUP_OK(other->AddLink({.name = name, .kind = "ifb", .up = true, .netns_fd = at.fd(), .tx_queues = 3, .rx_queues = 3}));
       }},
      {"BelowAnExplicitRoot", {"IFB"}, "mq", 3,
       [](Place& at, Place&, const std::string& name) {
         AddIfb(at, name);
         SETUP_OK(at->Up(name));
         SETUP_OK(at->AddQdisc(name, "mq", TC_H_ROOT, kHandle));
       }},
      {"AfterAnotherRootHasGone", {"IFB"}, "mq", 3,
       [](Place& at, Place&, const std::string& name) {
         AddIfb(at, name);
         SETUP_OK(at->Up(name));
         SETUP_OK(at->AddQdisc(name, "pfifo", TC_H_ROOT, kHandle));
         EXPECT_EQ(SETUP_OK(at->LinkByName(name)).qdisc, "pfifo") << "control";
         SETUP_OK(at->DeleteQdisc(name));
       }},
      {"OfPrioritisedQueues", {"IFB", "NET_SCH_MQPRIO"}, "mqprio", 3,
       [](Place& at, Place&, const std::string& name) {
         AddIfb(at, name);
         SETUP_OK(at->Up(name));
         tc_mqprio_qopt options{};
         options.num_tc = 3;
         for (std::uint16_t i = 0; i < 3; ++i) {
           options.count[i] = 1;
           options.offset[i] = i;
         }
         Request request(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE);
         request.Named("add mqprio").Header(On(SETUP_OK(at->LinkByName(name)).index, TC_H_ROOT, kHandle)).Text(TCA_KIND, "mqprio").Structure(TCA_OPTIONS, options);
         Status added = at->socket().Ack(request);
         RequireBuiltIn(added, "NET_SCH_MQPRIO");
         SETUP_OK(std::move(added));
       }},
  };
  return ways;
}
// Documentation/networking/multiqueue.rst: each queue has a discipline of its own; by net/sched/sch_mq.c and sch_mqprio.c that is the
// default one of the machine.
void EachQueueHasTheDefault(const ManyQueues& way) {
  Place initial(InitialNetNamespace()), a;
  Place nested = Place::Inside(a);
  Actor root = StartNamespaceRoot("root");
  Place owned{root.Run([] { return NetNamespace::Current(); })};
  DefaultQdisc setting;
  const std::string name = "nscqueues";
  struct Remove {
    Place& initial;
    std::string name;
    ~Remove() { (void)initial->DeleteLink(name).ok(); }
  } remove{initial, name};
  for (const std::string kind : {"pfifo", "bfifo", "pfifo_fast"}) {
    SCOPED_TRACE("net.core.default_qdisc = " + kind);
    setting.Set(kind);
    for (const auto& [at, other, where] : {std::tuple(&initial, &a, "control: in the initial namespace"), std::tuple(&a, &initial, "in another one"),
                                           std::tuple(&nested, &a, "in one that was created from inside"), std::tuple(&owned, &a, "in one of another owner")}) {
      SCOPED_TRACE(where);
      way.make(*at, *other, name);
      EXPECT_EQ(SETUP_OK((*at)->LinkByName(name)).qdisc, way.root) << "control: the root";
      EXPECT_EQ(OfQueues(*at, name), std::vector<std::string>(way.queues, kind)) << "the disciplines of its queues";
      TapFiles().clear();
      (void)(*at)->DeleteLink(name).ok();  // a tap has gone
    }
  }
}
[[maybe_unused]] const bool queues = [] {
  for (const ManyQueues& way : WithManyQueues()) {
    Needs needs(Machine(), Config("NET_SCHED"), UserNs());
    for (const char* symbol : way.configs) needs.list.push_back(Config(symbol));
    RegisterBody("Dev", std::string("EachQueueHasTheDefaultDiscipline/") + way.name, __FILE__, __LINE__, [&way] { EachQueueHasTheDefault(way); }, Covers("DEV-38"), needs,
                 Exclusive{});
  }
  // Cards that have a queue for each processor, if they can.
  for (const auto& [suite, driver] : {std::pair("PhysVirtioNet", "virtio_net"), std::pair("PhysVmxnet3", "vmxnet3")})
    RegisterBody(
        suite, "EachQueueHasTheDefaultDiscipline", __FILE__, __LINE__,
        [] {
          auto nics = PhysicalNic::Leased();
          Place initial(InitialNetNamespace()), a;
          DefaultQdisc setting;
          for (const std::string kind : {"pfifo", "bfifo", "pfifo_fast"}) {
            SCOPED_TRACE("net.core.default_qdisc = " + kind);
            setting.Set(kind);
            SETUP_OK(nics[0].MoveTo(a.ns));
            const std::string name = nics[0].name();
            SETUP_OK(a->Up(name));
            const auto queues = OfQueues(a, name);
            EXPECT_THAT(queues, Not(IsEmpty()));
            EXPECT_THAT(queues, testing::Each(kind)) << "in the namespace that it was moved to";
            SETUP_OK(a->MoveLink(name, initial.ref()));
            SETUP_OK(initial->Up(name));
            EXPECT_EQ(OfQueues(initial, name), std::vector<std::string>(queues.size(), kind)) << "control: in the initial namespace";
          }
        },
        Covers("DEV-38"), Needs(Nic(driver, 1), Config("NET_SCHED")), Exclusive{});
  return true;
}();

}  // namespace
}  // namespace netns
