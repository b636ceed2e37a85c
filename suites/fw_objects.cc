// SPDX-License-Identifier: GPL-2.0-or-later
// FW: what stands in nftables besides chains and rules (sets, stateful objects, flow tables), and the timeout policies of
// connection tracking.
#include "fixtures/nftables.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_cttimeout.h>

#include <functional>

#include "fixtures/link_monitor.h"
#include "fixtures/sockets.h"
#include "harness/assertions.h"
#include "harness/registration.h"
#include "suites/support/firewall.h"
#include "suites/support/in_namespace.h"

namespace netns {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

constexpr int kFamily = NFPROTO_INET;

Request Ask(int subsystem, int message, int family, std::uint16_t flags, const std::string& what) {
  nfgenmsg header{};
  header.nfgen_family = static_cast<std::uint8_t>(family);
  header.version = NFNETLINK_V0;
  Request request(static_cast<std::uint16_t>(subsystem << 8 | message), flags);
  request.Named(what).Header(header);
  return request;
}

/// Something that has a name within a table.
struct Object {
  const char* name;
  const char* symbol;
  int add, get, remove;
  std::uint16_t table_attribute, name_attribute;
  std::function<void(Request&)> attributes;
};
const std::vector<Object>& Objects() {
  static const auto stateful = [](const char* name, const char* symbol, std::uint32_t type, std::function<void(Request&)> data) {
    return Object{name, symbol, NFT_MSG_NEWOBJ, NFT_MSG_GETOBJ, NFT_MSG_DELOBJ, NFTA_OBJ_TABLE, NFTA_OBJ_NAME, [type, data](Request& r) {
      r.Be32(NFTA_OBJ_TYPE, type).Nest(NFTA_OBJ_DATA, data);
    }};
  };
  static const auto set = [](const char* name, std::function<void(Request&)> more) {
    return Object{name, "NF_TABLES", NFT_MSG_NEWSET, NFT_MSG_GETSET, NFT_MSG_DELSET, NFTA_SET_TABLE, NFTA_SET_NAME, [more](Request& r) {
      r.Be32(NFTA_SET_KEY_TYPE, 7).Be32(NFTA_SET_KEY_LEN, 4).Be32(NFTA_SET_ID, 1);  // ipv4_addr
      more(r);
    }};
  };
  static const std::vector<Object> objects = {
      set("Set", [](Request&) {}),
      set("Map", [](Request& r) { r.Be32(NFTA_SET_FLAGS, NFT_SET_MAP).Be32(NFTA_SET_DATA_TYPE, 7).Be32(NFTA_SET_DATA_LEN, 4); }),
      stateful("Counter", "NF_TABLES", NFT_OBJECT_COUNTER, [](Request&) {}),
      stateful("Quota", "NFT_QUOTA", NFT_OBJECT_QUOTA, [](Request& r) {
        const std::uint64_t bytes = __builtin_bswap64(1'000'000);
        r.Structure(NFTA_QUOTA_BYTES, bytes);
      }),
      {"Flowtable", "NF_FLOW_TABLE_INET", NFT_MSG_NEWFLOWTABLE, NFT_MSG_GETFLOWTABLE, NFT_MSG_DELFLOWTABLE, NFTA_FLOWTABLE_TABLE, NFTA_FLOWTABLE_NAME,
       [](Request& r) {
         r.Nest(NFTA_FLOWTABLE_HOOK, [](Request& hook) {
           hook.Be32(NFTA_FLOWTABLE_HOOK_NUM, NF_NETDEV_INGRESS).Be32(NFTA_FLOWTABLE_HOOK_PRIORITY, 0);
         });
       }},
  };
  return objects;
}

struct Firewall {
  explicit Firewall(const NetNamespace& ns) : nft(NeedsNftables(Nftables::In(ns), "nf_tables")) {}
  Status AddTable() {
    NftBatch batch;
    batch.AddTable(kFamily, "t");
    return nft.Commit(batch);
  }
  Status Change(int message, std::uint16_t flags, const Object& object, const std::string& name) {
    NftBatch batch;
    batch.Add(message, kFamily, flags, std::string(object.name) + " " + name, [&](Request& r) {
      r.Text(object.table_attribute, "t").Text(object.name_attribute, name);
      // (With a hook, a request to delete a flow table is one to take devices out of it.)
      if (message != NFT_MSG_DELFLOWTABLE) object.attributes(r);
    });
    return nft.Commit(batch);
  }
  Status Add(const Object& object, const std::string& name) { return Change(object.add, NLM_F_CREATE | NLM_F_EXCL, object, name); }
  Status Delete(const Object& object, const std::string& name) { return Change(object.remove, 0, object, name); }
  std::vector<std::string> Names(const Object& object) {
    std::vector<std::string> names;
    for (const Message& message : SETUP_OK(nft.socket().Dump(Ask(NFNL_SUBSYS_NFTABLES, object.get, kFamily, 0, "dump"))))
      names.push_back(message.AttributesAfter<nfgenmsg>().Text(object.name_attribute).value_or("?"));
    std::sort(names.begin(), names.end());
    return names;
  }
  Status Get(const Object& object, const std::string& name) {
    Request request = Ask(NFNL_SUBSYS_NFTABLES, object.get, kFamily, 0, std::string("get ") + name);
    request.Text(object.table_attribute, "t").Text(object.name_attribute, name);
    object.attributes(request);
    const auto answer = nft.socket().Get(request);
    if (!answer.ok()) return answer.error();
    return Ok();
  }
  Nftables nft;
};

RtnlMonitor MonitorIn(const NetNamespace& ns) {
  return SETUP_OK(RtnlMonitor::Adopt(SETUP_OK(ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER)), {NFNLGRP_NFTABLES}));
}
/// The messages of nftables that have come, of one type. Each commit is announced at once, before it is acknowledged.
int Heard(RtnlMonitor& monitor, int type) {
  int count = 0;
  for (const Message& message : SETUP_OK(monitor.DrainNow()))
    if (message.type() == (NFNL_SUBSYS_NFTABLES << 8 | type)) ++count;
  return count;
}

// nft(8): sets, maps, named counters and quotas, flow tables.
void ObjectsAreSeparate(const Object& object) {
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  auto nested = a.In([] { return NetNamespace::Create(); });
  Firewall in_a(a), in_b(b), in_nested(nested);
  auto hears_a = MonitorIn(a), hears_b = MonitorIn(b), hears_nested = MonitorIn(nested);
  NeedsNftables(in_a.AddTable(), "a table");
  Status added = in_a.Add(object, "one");
  if (added.code() == ENOENT || added.code() == EOPNOTSUPP || added.code() == EAFNOSUPPORT)
    throw MissingNeed(std::string("needs-config:") + object.symbol, "the kernel has no such object: " + added.error().ToString(),
                      std::string("use a kernel with CONFIG_") + object.symbol);
  ASSERT_OK(added);
  ASSERT_OK(in_a.Add(object, "two"));
  EXPECT_THAT(in_a.Add(object, "one"), FailsWith(EEXIST)) << "control: it is there";
  EXPECT_THAT(in_a.Names(object), ElementsAre("one", "two")) << "control";
  EXPECT_OK(in_a.Get(object, "two")) << "control";
  for (Firewall* other : {&in_b, &in_nested}) {
    SCOPED_TRACE(other == &in_b ? "another namespace" : "one created from inside");
    EXPECT_THAT(other->Names(object), IsEmpty());
    EXPECT_THAT(other->Get(object, "two"), FailsWith(ENOENT)) << "without a table of that name";
    SETUP_OK(other->AddTable());
    EXPECT_THAT(other->Names(object), IsEmpty()) << "with a table of that name";
    EXPECT_THAT(other->Get(object, "two"), FailsWith(ENOENT));
    EXPECT_THAT(other->Delete(object, "two"), FailsWith(ENOENT));
  }
  EXPECT_EQ(Heard(hears_a, object.add), 2) << "control: its own";
  EXPECT_EQ(Heard(hears_b, object.add), 0) << "an object of another namespace";
  EXPECT_EQ(Heard(hears_nested, object.add), 0) << "an object of another namespace";
  for (Firewall* other : {&in_b, &in_nested}) {
    EXPECT_OK(other->Add(object, "two")) << "the same name";
    EXPECT_THAT(other->Names(object), ElementsAre("two"));
    EXPECT_OK(other->Delete(object, "two"));
    EXPECT_THAT(other->Names(object), IsEmpty());
    SETUP_OK(other->nft.Flush());
  }
  EXPECT_EQ(Heard(hears_a, object.remove), 0) << "an object of another namespace";
  EXPECT_EQ(Heard(hears_b, object.remove), 1) << "control: its own";
  EXPECT_THAT(in_a.Names(object), ElementsAre("one", "two")) << "deleted in another namespace";
}
[[maybe_unused]] const bool objects_registered = [] {
  for (const Object& object : Objects())
    RegisterBody("Fw", std::string("NftablesObjectsAreSeparate/") + object.name, __FILE__, __LINE__, [&object] { ObjectsAreSeparate(object); },
                 Covers("FW-01", "FW-22"), Needs(Config("NF_TABLES"), Config("NF_TABLES_INET"), Config(object.symbol)));
  return true;
}();

/// NFT_MSG_NEWSETELEM: one address.
void PutElement(Request& r, const std::string& address) {
  in_addr bytes{};
  ::inet_pton(AF_INET, address.c_str(), &bytes);
  r.Text(NFTA_SET_ELEM_LIST_TABLE, "t").Text(NFTA_SET_ELEM_LIST_SET, "set").Nest(NFTA_SET_ELEM_LIST_ELEMENTS, [&](Request& list) {
    list.Nest(NFTA_LIST_ELEM, [&](Request& element) {
      element.Nest(NFTA_SET_ELEM_KEY, [&](Request& key) { key.Structure(NFTA_DATA_VALUE, bytes); });
    });
  });
}

NETNS_TEST(Fw, ElementsOfEquallyNamedSetsAreSeparate, Covers("FW-01"), Needs(Config("NF_TABLES"), Config("NF_TABLES_INET"))) {
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  Firewall in_a(a), in_b(b);
  const Object& set = Objects()[0];
  for (Firewall* firewall : {&in_a, &in_b}) {
    NeedsNftables(firewall->AddTable(), "a table");
    SETUP_OK(firewall->Add(set, "set"));
  }
  auto change = [](Firewall& firewall, int message, std::uint16_t flags, const std::string& address) {
    NftBatch batch;
    batch.Add(message, kFamily, flags, "element " + address, [&](Request& r) { PutElement(r, address); });
    return firewall.nft.Commit(batch);
  };
  auto count = [](Firewall& firewall) {
    Request request = Ask(NFNL_SUBSYS_NFTABLES, NFT_MSG_GETSETELEM, kFamily, 0, "dump the elements");
    request.Text(NFTA_SET_ELEM_LIST_TABLE, "t").Text(NFTA_SET_ELEM_LIST_SET, "set");
    std::size_t elements = 0;
    for (const Message& message : SETUP_OK(firewall.nft.socket().Dump(request)))
      elements += message.AttributesAfter<nfgenmsg>().Nested(NFTA_SET_ELEM_LIST_ELEMENTS).all().size();
    return elements;
  };
  ASSERT_OK(change(in_a, NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL, "192.0.2.1"));
  ASSERT_OK(change(in_a, NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL, "192.0.2.2"));
  EXPECT_THAT(change(in_a, NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL, "192.0.2.2"), FailsWith(EEXIST)) << "control";
  EXPECT_EQ(count(in_a), 2u) << "control";
  EXPECT_EQ(count(in_b), 0u);
  EXPECT_THAT(change(in_b, NFT_MSG_DELSETELEM, 0, "192.0.2.2"), FailsWith(ENOENT));
  EXPECT_OK(change(in_b, NFT_MSG_NEWSETELEM, NLM_F_CREATE | NLM_F_EXCL, "192.0.2.2"));
  EXPECT_OK(change(in_b, NFT_MSG_DELSETELEM, 0, "192.0.2.2"));
  EXPECT_EQ(count(in_b), 0u);
  EXPECT_EQ(count(in_a), 2u);
}

// nft(8) flowtable: its devices are of the namespace.
NETNS_TEST(Fw, FlowTablesTakeNoDeviceOfAnotherNamespace, Covers("FW-19"),
           Needs(Config("NF_TABLES"), Config("NF_TABLES_INET"), Config("NF_FLOW_TABLE_INET"), Config("VETH"))) {
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  auto rtnl_a = RtnlIn(a), rtnl_b = RtnlIn(b);
  AddPair(rtnl_a, "mine", "minepeer");
  AddPair(rtnl_b, "theirs", "theirspeer");
  Firewall in_a(a);
  NeedsNftables(in_a.AddTable(), "a table");
  auto with_device = [&](const std::string& device) {
    NftBatch batch;
    batch.Add(NFT_MSG_NEWFLOWTABLE, kFamily, NLM_F_CREATE | NLM_F_EXCL, "flow table with " + device, [&](Request& r) {
      r.Text(NFTA_FLOWTABLE_TABLE, "t").Text(NFTA_FLOWTABLE_NAME, "of-" + device).Nest(NFTA_FLOWTABLE_HOOK, [&](Request& hook) {
        hook.Be32(NFTA_FLOWTABLE_HOOK_NUM, NF_NETDEV_INGRESS).Be32(NFTA_FLOWTABLE_HOOK_PRIORITY, 0).Nest(NFTA_FLOWTABLE_HOOK_DEVS, [&](Request& devices) {
          devices.Text(NFTA_DEVICE_NAME, device);
        });
      });
    });
    return in_a.nft.Commit(batch);
  };
  /// The devices of all flow tables, as a dump lists them.
  auto devices = [&] {
    std::vector<std::string> names;
    for (const Message& message : SETUP_OK(in_a.nft.socket().Dump(Ask(NFNL_SUBSYS_NFTABLES, NFT_MSG_GETFLOWTABLE, kFamily, 0, "dump"))))
      for (const auto& [type, raw] : message.AttributesAfter<nfgenmsg>().Nested(NFTA_FLOWTABLE_HOOK).Nested(NFTA_FLOWTABLE_HOOK_DEVS).all()) {
        std::string name(reinterpret_cast<const char*>(raw.data()), raw.size());
        names.push_back(name.substr(0, name.find('\0')));
      }
    return names;
  };
  const Status own = with_device("mine");
  if (own.code() == ENOENT || own.code() == EOPNOTSUPP)
    throw MissingNeed("needs-config:NF_FLOW_TABLE_INET", "the kernel has no flow tables: " + own.error().ToString(), "use a kernel with CONFIG_NF_FLOW_TABLE_INET");
  ASSERT_OK(own) << "control: a device of its own";
  // Younger kernels (6.16) take the name of a device that may come later.
  EXPECT_THAT(with_device("theirs").code(), testing::AnyOf(ENOENT, 0)) << "a device of another namespace";
  EXPECT_THAT(devices(), Contains("mine")) << "control";
  const std::size_t before = devices().size();
  SETUP_OK(rtnl_a.MoveLink("mine", ByFd(b.fd())));
  if (before == 1) {
    EXPECT_THAT(devices(), IsEmpty()) << "the device is in another namespace now";
  }
  EXPECT_OK(rtnl_b.LinkByName("mine"));
}

// --- Timeout policies -------------------------------------------------------------------------------------------------

constexpr int kTimeout = NFNL_SUBSYS_CTNETLINK_TIMEOUT;

NetlinkSocket TimeoutsIn(const NetNamespace& ns) {
  return SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER))));
}
Status ChangeTimeout(NetlinkSocket& socket, int message, std::uint16_t flags, const std::string& name, std::uint32_t seconds) {
  Request request = Ask(kTimeout, message, AF_UNSPEC, flags, "timeout policy " + name);
  if (!name.empty()) request.Text(CTA_TIMEOUT_NAME, name);
  if (seconds != 0) {
    request.Be16(CTA_TIMEOUT_L3PROTO, AF_INET).U8(CTA_TIMEOUT_L4PROTO, IPPROTO_UDP).Nest(CTA_TIMEOUT_DATA, [&](Request& data) {
      data.Be32(CTA_TIMEOUT_UDP_UNREPLIED, seconds).Be32(CTA_TIMEOUT_UDP_REPLIED, seconds + 1);
    });
  }
  return socket.Ack(request);
}
std::vector<std::string> TimeoutNames(NetlinkSocket& socket) {
  std::vector<std::string> names;
  for (const Message& message : SETUP_OK(socket.Dump(Ask(kTimeout, IPCTNL_MSG_TIMEOUT_GET, AF_UNSPEC, 0, "dump the timeout policies"))))
    names.push_back(message.AttributesAfter<nfgenmsg>().Text(CTA_TIMEOUT_NAME).value_or("?"));
  std::sort(names.begin(), names.end());
  return names;
}

// nfct(8) timeout; linux/netfilter/nfnetlink_cttimeout.h.
NETNS_TEST(Fw, TimeoutPoliciesOfConntrackArePerNamespace, Covers("FW-24", "FW-08"), Needs(Config("NF_CT_NETLINK_TIMEOUT"))) {
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  auto nested = a.In([] { return NetNamespace::Create(); });
  auto in_a = TimeoutsIn(a), in_b = TimeoutsIn(b), in_nested = TimeoutsIn(nested);
  Status added = ChangeTimeout(in_a, IPCTNL_MSG_TIMEOUT_NEW, NLM_F_CREATE | NLM_F_EXCL, "short", 77);
  if (added.code() == EINVAL || NotCompiledIn(added.code()))
    throw MissingNeed("needs-config:NF_CT_NETLINK_TIMEOUT", "the kernel has no timeout policies: " + added.error().ToString(),
                      "use a kernel with CONFIG_NF_CT_NETLINK_TIMEOUT");
  ASSERT_OK(added);
  EXPECT_THAT(ChangeTimeout(in_a, IPCTNL_MSG_TIMEOUT_NEW, NLM_F_CREATE | NLM_F_EXCL, "short", 77), FailsWith(EEXIST)) << "control";
  ASSERT_OK(ChangeTimeout(in_a, IPCTNL_MSG_TIMEOUT_NEW, NLM_F_CREATE | NLM_F_EXCL, "shorter", 66));
  EXPECT_THAT(TimeoutNames(in_a), ElementsAre("short", "shorter")) << "control";
  for (NetlinkSocket* other : {&in_b, &in_nested}) {
    EXPECT_THAT(TimeoutNames(*other), IsEmpty());
    EXPECT_THAT(ChangeTimeout(*other, IPCTNL_MSG_TIMEOUT_DELETE, 0, "short", 0), FailsWith(ENOENT));
    EXPECT_OK(ChangeTimeout(*other, IPCTNL_MSG_TIMEOUT_NEW, NLM_F_CREATE | NLM_F_EXCL, "short", 55));
    EXPECT_THAT(TimeoutNames(*other), ElementsAre("short"));
    EXPECT_OK(ChangeTimeout(*other, IPCTNL_MSG_TIMEOUT_DELETE, 0, "", 0)) << "all of them";
    EXPECT_THAT(TimeoutNames(*other), IsEmpty());
  }
  EXPECT_THAT(TimeoutNames(in_a), ElementsAre("short", "shorter")) << "another namespace deleted all of its own";
  // The defaults, which are the sysctls too.
  const std::string file = "net.netfilter.nf_conntrack_udp_timeout";
  const std::string before = SETUP_OK(b.Sysctl(file));
  ASSERT_OK(ChangeTimeout(in_a, IPCTNL_MSG_TIMEOUT_DEFAULT_SET, 0, "", 99));
  EXPECT_THAT(a.Sysctl(file), Holds(testing::Eq("99"))) << "control";
  for (const NetNamespace* other : {&b, &nested}) EXPECT_THAT(other->Sysctl(file), Holds(testing::Eq(before)));
}

}  // namespace
}  // namespace netns
