// SPDX-License-Identifier: GPL-2.0-or-later
// What a namespace knows by a name: no request that gives a name finds, changes or is refused for one of another namespace.
#include "fixtures/nftables.h"

#include <linux/if_bridge.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <functional>
#include <sstream>

#include "suites/support/between.h"
#include "suites/support/firewall.h"
#include "suites/support/ip_set.h"
#include "suites/support/netfilter_request.h"

namespace netns {
namespace {

using testing::Contains;
using testing::Not;

struct Named {
  const char* suite;
  const char* name;
  std::vector<std::string> covers;
  std::vector<const char*> configs;
  /// The first one throws MISS where the kernel lacks the kind. All but `names` fail where there is none of the name.
  std::function<Status(Place&, const std::string&)> add, remove;
  std::function<std::vector<std::string>(Place&)> names;
  std::function<Status(Place&, const std::string&)> ask = {};
  std::function<Status(Place&, const std::string& from, const std::string& to)> rename = {};
  std::function<Status(Place&, const std::string& one, const std::string& two)> swap = {};
  std::function<void(Place&)> tidy = {};  ///< Takes away what was made around it.
  bool for_root = false;                  ///< Asks for rights in the initial user namespace.
};

// network_namespaces(7), and the page of the program that makes such things.
void NamesAreOfTheNamespace(const Named& thing, Place& owner, Place& other) {
  const std::string theirs = "nsnm-theirs", mine = "nsnm-mine", third = "nsnm-third";
  const Undo undo([&] {
    for (Place* place : {&owner, &other}) {
      for (const std::string& name : {theirs, mine, third}) (void)thing.remove(*place, name).ok();
      if (thing.tidy) thing.tidy(*place);
    }
  });
  const auto has = [&](Place& at, const std::string& name) {
    const auto all = thing.names(at);
    return std::find(all.begin(), all.end(), name) != all.end();
  };
  ASSERT_OK(thing.add(owner, theirs));
  EXPECT_THAT(thing.add(owner, theirs), Not(Succeeds())) << "control: inside one namespace the name is taken";
  const auto untouched = [&](const char* after) {
    EXPECT_TRUE(has(owner, theirs)) << "it has gone after " << after;
    for (const std::string& name : {mine, third}) EXPECT_FALSE(has(owner, name)) << name << " is there after " << after;
  };
  untouched("it was made");
  EXPECT_FALSE(has(other, theirs)) << "a name of another namespace is listed";
  EXPECT_THAT(thing.remove(other, theirs), Not(Succeeds())) << "by a name of another namespace";
  untouched("a request in another namespace to delete it");
  if (thing.ask) {
    EXPECT_OK(thing.ask(owner, theirs)) << "control";
    EXPECT_THAT(thing.ask(other, theirs), Not(Succeeds())) << "by a name of another namespace";
  }
  if (thing.rename) {
    EXPECT_THAT(thing.rename(other, theirs, third), Not(Succeeds())) << "by a name of another namespace";
    untouched("a request in another namespace to rename it");
  }
  ASSERT_OK(thing.add(other, mine)) << "control";
  if (thing.swap) {
    EXPECT_THAT(thing.swap(other, mine, theirs), Not(Succeeds())) << "with a name of another namespace";
    EXPECT_THAT(thing.swap(other, theirs, mine), Not(Succeeds())) << "with a name of another namespace";
    untouched("a request in another namespace to swap it");
  }
  if (thing.rename) {
    EXPECT_OK(thing.rename(other, mine, theirs)) << "renamed: a name that only another namespace has is free";
    EXPECT_TRUE(has(other, theirs)) << "it does not have its new name";
    EXPECT_FALSE(has(other, mine)) << "it still has its old name";
    untouched("something in another namespace got its name");
    SETUP_OK(thing.add(other, mine));
    EXPECT_THAT(thing.rename(other, mine, theirs), Not(Succeeds())) << "control: a name that the namespace itself has";
    EXPECT_OK(thing.remove(other, theirs)) << "control";
    untouched("one in another namespace was deleted that had got its name");
  }
  ASSERT_OK(thing.add(other, theirs)) << "made: a name that only another namespace has is free";
  if (thing.swap) {
    EXPECT_OK(thing.swap(other, mine, theirs)) << "control";
    untouched("two of another namespace were swapped");
  }
  EXPECT_OK(thing.remove(other, theirs)) << "control";
  EXPECT_FALSE(has(other, theirs)) << "control";
  untouched("one of its name was deleted in another namespace");
  EXPECT_OK(thing.remove(other, mine)) << "control";
  EXPECT_OK(thing.remove(owner, theirs)) << "control";
  EXPECT_FALSE(has(owner, theirs)) << "control";
}

// --- Sets of ipset(8) -------------------------------------------------------------------------------------------------

Named KindOfSet(const char* name, const char* symbol, const char* type, std::uint8_t family) {
  return {.suite = "Fw", .name = name, .covers = {"FW-15"}, .configs = {"IP_SET", symbol},
          .add = [symbol, type, family](Place& at, const std::string& set) {
            const Status made = Sets(at.ns).Create(set, type, family);
            if (made.code() == EINVAL || made.code() == EOPNOTSUPP || made.code() == ENOENT || made.code() == IPSET_ERR_FIND_TYPE)
              throw MissingNeed(std::string("needs-config:") + symbol, "the kernel has no such sets: " + made.error().ToString());
            return made;
          },
          .remove = [](Place& at, const std::string& set) { return Sets(at.ns).Destroy(set); },
          .names = [](Place& at) { return Sets(at.ns).Names(); },
          .ask = [](Place& at, const std::string& set) -> Status {
            RETURN_IF_ERROR(Sets(at.ns).Header(set));
            return Sets(at.ns).Flush(set);
          },
          .rename = [](Place& at, const std::string& from, const std::string& to) { return Sets(at.ns).Rename(from, to); },
          .swap = [](Place& at, const std::string& one, const std::string& two) { return Sets(at.ns).Swap(one, two); }};
}

// --- Tables and chains of nft(8) --------------------------------------------------------------------------------------

struct Family {
  const char* name;
  int number;
  const char* symbol;
};
constexpr Family kFamilies[] = {{"Ip", NFPROTO_IPV4, "NF_TABLES_IPV4"}, {"Ip6", NFPROTO_IPV6, "NF_TABLES_IPV6"},       {"Inet", NFPROTO_INET, "NF_TABLES_INET"},
                                {"Arp", NFPROTO_ARP, "NF_TABLES_ARP"},  {"Bridge", NFPROTO_BRIDGE, "NF_TABLES_BRIDGE"}, {"Netdev", NFPROTO_NETDEV, "NF_TABLES_NETDEV"}};
Nftables NftIn(const Place& at) { return NeedsNftables(Nftables::In(at.ns), "nf_tables"); }
/// One message, as a transaction.
Status Change(Place& at, int family, int message, std::uint16_t flags, const std::function<void(Request&)>& attributes) {
  NftBatch batch;
  batch.Add(message, family, flags, "message " + std::to_string(message), attributes);
  const Status changed = NftIn(at).Commit(batch);
  if (!changed.ok() && changed.code() != ENOENT && MissingNftables(changed.error())) (void)NeedsNftables(Result<int>(changed.error()), "nf_tables");
  return changed;
}
Named TablesOf(const Family& family) {
  const int number = family.number;
  const auto change = [number](Place& at, int message, std::uint16_t flags, const std::string& table) {
    return Change(at, number, message, flags, [&](Request& r) { r.Text(NFTA_TABLE_NAME, table); });
  };
  return {.suite = "Fw", .name = "NftablesTable", .covers = {"FW-01"}, .configs = {"NF_TABLES", family.symbol},
          .add = [change](Place& at, const std::string& table) { return change(at, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, table); },
          .remove = [change](Place& at, const std::string& table) { return change(at, NFT_MSG_DELTABLE, 0, table); },
          .names = [number](Place& at) {
            std::vector<std::string> names;
            for (const NftTable& table : SETUP_OK(NftIn(at).Tables(number))) names.push_back(table.name);
            return names;
          },
          .ask = [number](Place& at, const std::string& table) {
            const auto answer = NetfilterIn(at.ns).Get(NetfilterRequest(NFNL_SUBSYS_NFTABLES, NFT_MSG_GETTABLE, 0, "get a table", static_cast<std::uint8_t>(number)).Text(NFTA_TABLE_NAME, table));
            return answer.ok() ? Ok() : Status(answer.error());
          }};
}
constexpr const char* kTable = "nsnm-table";
Named ChainsOf(const Family& family) {
  const int number = family.number;
  const auto get = [number](Place& at, const std::string& chain) {
    Request request = NetfilterRequest(NFNL_SUBSYS_NFTABLES, NFT_MSG_GETCHAIN, 0, "get chain " + chain, static_cast<std::uint8_t>(number));
    return NetfilterIn(at.ns).Get(request.Text(NFTA_CHAIN_TABLE, kTable).Text(NFTA_CHAIN_NAME, chain));
  };
  const auto change = [number](Place& at, int message, std::uint16_t flags, const std::string& chain, const std::function<void(Request&)>& more = {}) {
    return Change(at, number, message, flags, [&](Request& r) {
      r.Text(NFTA_CHAIN_TABLE, kTable).Text(NFTA_CHAIN_NAME, chain);
      if (more) more(r);
    });
  };
  const auto table = [number](Place& at, int message, std::uint16_t flags) {
    return Change(at, number, message, flags, [](Request& r) { r.Text(NFTA_TABLE_NAME, kTable); });
  };
  return {.suite = "Fw", .name = "NftablesChain", .covers = {"FW-01"}, .configs = {"NF_TABLES", family.symbol},
          .add = [=](Place& at, const std::string& chain) -> Status {
            RETURN_IF_ERROR(table(at, NFT_MSG_NEWTABLE, NLM_F_CREATE));
            return change(at, NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL, chain);
          },
          .remove = [=](Place& at, const std::string& chain) { return change(at, NFT_MSG_DELCHAIN, 0, chain); },
          .names = [number](Place& at) {
            std::vector<std::string> names;
            for (const NftChain& chain : SETUP_OK(NftIn(at).Chains(number)))
              if (chain.table == kTable) names.push_back(chain.name);
            return names;
          },
          .ask = [=](Place& at, const std::string& chain) -> Status {
            const auto answer = get(at, chain);
            return answer.ok() ? Ok() : Status(answer.error());
          },
          // nft(8), "rename chain": by its handle.
          .rename = [=](Place& at, const std::string& from, const std::string& to) -> Status {
            ASSIGN_OR_RETURN(const Message found, get(at, from));
            const auto handle = found.AttributesAfter<nfgenmsg>().U64(NFTA_CHAIN_HANDLE).value_or(0);
            return change(at, NFT_MSG_NEWCHAIN, 0, to, [handle](Request& r) { r.Structure(NFTA_CHAIN_HANDLE, handle); });
          },
          .tidy = [=](Place& at) { (void)table(at, NFT_MSG_DELTABLE, 0).ok(); }};
}

// --- Devices ----------------------------------------------------------------------------------------------------------

Status BridgeByIoctl(Place& at, unsigned long call, const char* text, const std::string& name) {
  char buffer[IFNAMSIZ] = {};
  name.copy(buffer, sizeof buffer - 1);
  const Fd socket = SETUP_OK(at.ns.Socket(AF_UNIX, SOCK_DGRAM));
  if (::ioctl(socket.get(), call, buffer) == 0) return Ok();
  const Status failed = ErrnoError(text);
  if (failed.code() == ENOPKG || failed.code() == ENOTTY) RequireBuiltIn(Error{EOPNOTSUPP, text}, "BRIDGE");
  return failed;
}
/// The oldest way, of brctl(8) of Linux 2.4.
Status BridgeByOldIoctl(Place& at, unsigned long command, const std::string& name) {
  char buffer[IFNAMSIZ] = {};
  name.copy(buffer, sizeof buffer - 1);
  unsigned long arguments[] = {command, reinterpret_cast<unsigned long>(buffer), 0};
  const Fd socket = SETUP_OK(at.ns.Socket(AF_UNIX, SOCK_DGRAM));
  if (::ioctl(socket.get(), SIOCSIFBR, arguments) == 0) return Ok();
  const Status failed = ErrnoError("ioctl(SIOCSIFBR)");
  if (failed.code() == ENOPKG || failed.code() == ENOTTY || failed.code() == EOPNOTSUPP) RequireBuiltIn(Error{EOPNOTSUPP, "SIOCSIFBR"}, "BRIDGE");
  return failed;
}
Status RenameBySocket(Place& at, const std::string& from, const std::string& to) { return RenameByIoctl(SETUP_OK(at.ns.Socket(AF_UNIX, SOCK_DGRAM)), from, to); }
Status RenameByNetlink(Place& at, const std::string& from, const std::string& to) { return at->Rename(from, to); }
Status FindByNetlink(Place& at, const std::string& name) {
  const auto link = at->LinkByName(name);
  return link.ok() ? Ok() : Status(link.error());
}
constexpr const char* kBearer = "nsnm-bearer";

std::vector<Named> Everything() {
  std::vector<Named> all = {
      KindOfSet("SetOfIpv4Addresses", "IP_SET_HASH_IP", "hash:ip", NFPROTO_IPV4),
      KindOfSet("SetOfIpv6Addresses", "IP_SET_HASH_IP", "hash:ip", NFPROTO_IPV6),
      KindOfSet("ListOfSets", "IP_SET_LIST_SET", "list:set", NFPROTO_UNSPEC),
      {.suite = "Dev", .name = "Link", .covers = {"DEV-05", "DEV-04"}, .configs = {"BRIDGE"},
       .add = [](Place& at, const std::string& name) {
         Status added = at->AddLink({.name = name, .kind = "bridge"});
         RequireBuiltIn(added, "BRIDGE");
         return added;
       },
       .remove = [](Place& at, const std::string& name) { return at->DeleteLink(name); }, .names = LinkNames, .ask = FindByNetlink, .rename = RenameByNetlink},
      {.suite = "Dev", .name = "BridgeByIoctl", .covers = {"DEV-05", "DEV-04"}, .configs = {"BRIDGE"},
       .add = [](Place& at, const std::string& name) { return BridgeByIoctl(at, SIOCBRADDBR, "ioctl(SIOCBRADDBR)", name); },
       .remove = [](Place& at, const std::string& name) { return BridgeByIoctl(at, SIOCBRDELBR, "ioctl(SIOCBRDELBR)", name); }, .names = LinkNames,
       .ask = [](Place& at, const std::string& name) {
         ifreq request = NamedIfreq(name);
         return NETNS_IOCTL(SETUP_OK(at.ns.Socket(AF_UNIX, SOCK_DGRAM)), SIOCGIFINDEX, request);
       },
       .rename = RenameBySocket},
      {.suite = "Dev", .name = "BridgeByOldIoctl", .covers = {"DEV-05", "DEV-04"}, .configs = {"BRIDGE"},
       .add = [](Place& at, const std::string& name) { return BridgeByOldIoctl(at, BRCTL_ADD_BRIDGE, name); },
       .remove = [](Place& at, const std::string& name) { return BridgeByOldIoctl(at, BRCTL_DEL_BRIDGE, name); }, .names = LinkNames},
      {.suite = "Dev", .name = "AlternativeName", .covers = {"DEV-07"}, .configs = {"BRIDGE"},
       .add = [](Place& at, const std::string& name) {
         if (!at->LinkByName(kBearer).ok()) AddBridge(at, kBearer);
         return at->AddAltname(kBearer, name);
       },
       .remove = [](Place& at, const std::string& name) { return at->DeleteAltname(kBearer, name); },
       .names = [](Place& at) {
         std::vector<std::string> names;
         for (const Link& link : SETUP_OK(at->Links())) names.insert(names.end(), link.altnames.begin(), link.altnames.end());
         return names;
       },
       .ask = FindByNetlink, .tidy = [](Place& at) { (void)at->DeleteLink(kBearer).ok(); }},
      // Documentation/networking/bonding.rst, "Configuring Bonding Manually via Sysfs".
      {.suite = "Virt", .name = "BondBySysfs", .covers = {"VIRT-18", "SYSFS-10"}, .configs = {"BONDING"},
       .add = [](Place& at, const std::string& name) {
         Status added = at.ns.WriteSysfs("class/net/bonding_masters", "+" + name);
         if (added.code() != ENOENT) return added;
         // A request by netlink brings the module.
         Status probe = at->AddLink({.name = kBearer, .kind = "bond"});
         RequireBuiltIn(probe, "BONDING");
         SETUP_OK(std::move(probe));
         SETUP_OK(at->DeleteLink(kBearer));
         return at.ns.WriteSysfs("class/net/bonding_masters", "+" + name);
       },
       .remove = [](Place& at, const std::string& name) { return at.ns.WriteSysfs("class/net/bonding_masters", "-" + name); },
       .names = [](Place& at) {
         std::istringstream text(SETUP_OK(at.ns.ReadSysfs("class/net/bonding_masters")));
         return std::vector<std::string>{std::istream_iterator<std::string>(text), {}};
       },
       .ask = [](Place& at, const std::string& name) {
         const auto mode = at.ns.ReadSysfs("class/net/" + name + "/bonding/mode");
         return mode.ok() ? Ok() : Status(mode.error());
       },
       .rename = RenameByNetlink, .for_root = true},
  };
  return all;
}
[[maybe_unused]] const bool registered = [] {
  const auto add = [](const Named& thing, const std::string& row) {
    Covers covers;
    covers.list = thing.covers;
    Needs needs;
    for (const char* symbol : thing.configs) needs.list.push_back(Config(symbol));
    if (thing.for_root) needs.list.push_back(Root());
    RegisterBetween(thing.suite, "NamesAreOfTheNamespace", row, __FILE__, __LINE__, [thing](Place& owner, Place& other) { NamesAreOfTheNamespace(thing, owner, other); }, covers, needs);
  };
  for (const Named& thing : Everything()) add(thing, thing.name);
  for (const Family& family : kFamilies)
    for (const Named& thing : {TablesOf(family), ChainsOf(family)}) add(thing, thing.name + std::string("Of") + family.name);
  return true;
}();

}  // namespace
}  // namespace netns
