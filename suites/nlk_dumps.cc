// SPDX-License-Identifier: GPL-2.0-or-later
// NLK, third part: dumps that take more than one buffer. Between two of them anything can happen, here or elsewhere, and each of
// them asks anew of which namespace it is. And listeners to several namespaces, of which each has ids of its own.
#include <arpa/inet.h>
#include <linux/nexthop.h>

#include <array>
#include <map>

#include "suites/support/between.h"
#include "suites/support/listener.h"
#include "suites/support/netfilter_request.h"
#include "suites/support/place.h"
#include "suites/support/uppers.h"
#include "suites/support/firewall.h"  // behind net/if.h, which linux/if.h respects only in this order

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

namespace netns {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// --------------------------------------------------------------------------------------------- what interrupts a dump

/// Something of which a namespace has many, a dump of it, and one change of it.
struct Listed {
  const char* name;
  std::vector<std::string> covers;
  std::vector<const char*> configs;
  int protocol;
  std::function<void(Place&)> fill;
  std::function<Request()> dump;
  std::function<void(Place&)> change;  ///< Undoes what it has done.
};

constexpr int kMany = 300;  // of some 60 bytes each

std::string Nth4(int n) { return "10.7." + std::to_string(n / 200) + "." + std::to_string(1 + n % 200) + "/32"; }
std::string Nth6(int n) {
  char text[40];
  std::snprintf(text, sizeof text, "2001:db8:7::%x/128", 1 + n);
  return text;
}
/// Adds or deletes an IPv6 address, without a wait for its route.
Status ChangeIpv6(Place& at, std::uint16_t type, const std::string& address, int device) {
  ifaddrmsg header{};
  header.ifa_family = AF_INET6;
  header.ifa_prefixlen = 128;
  header.ifa_flags = IFA_F_NODAD;
  header.ifa_index = static_cast<unsigned>(device);
  Request request(type, type == RTM_NEWADDR ? NLM_F_CREATE | NLM_F_EXCL : 0);
  request.Named("IPv6 address " + address).Header(header);
  PutAddress(request, IFA_LOCAL, address.substr(0, address.find('/')));
  return at->socket().Ack(request);
}
/// Many of something of nftables, in one transaction.
void FillNftables(Place& at, const std::function<void(NftBatch&, int n)>& add) {
  auto nft = SETUP_OK(Nftables::In(at.ns));
  NftBatch batch;
  batch.AddTable(NFPROTO_INET, "t").AddChain({.table = "t", .name = "c"});
  for (int n = 0; n < kMany; ++n) add(batch, n);
  NeedsNftables(nft.Commit(batch), "three hundred of them");
}
Request DumpOfNftables(int message) { return NetfilterRequest(NFNL_SUBSYS_NFTABLES, message, NLM_F_REQUEST | NLM_F_DUMP, "a dump of nftables", NFPROTO_INET); }
void ChangeNftables(Place& at) {
  auto nft = SETUP_OK(Nftables::In(at.ns));
  NeedsNftables(nft.Commit(NftBatch().AddTable(NFPROTO_INET, "nsconf-other")), "a table");
  SETUP_OK(nft.Commit(NftBatch().DeleteTable(NFPROTO_INET, "nsconf-other")));
}
Request BlackholeNexthop(std::uint32_t id) {
  nhmsg header{};
  header.nh_family = AF_INET;
  Request add(RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_EXCL);
  add.Named("add nexthop " + std::to_string(id)).Header(header).U32(NHA_ID, id).Flag(NHA_BLACKHOLE);
  return add;
}
template <class Header>
Request DumpOf(std::uint16_t type, const Header& header) {
  Request dump(type, NLM_F_REQUEST | NLM_F_DUMP);
  dump.Header(header);
  return dump;
}

void ChangeAnIpv4Address(Place& at) {
  SETUP_OK(at->AddAddress("10.8.0.1/32", "lo"));
  SETUP_OK(at->DeleteAddress("10.8.0.1/32", "lo"));
}
void ChangeAnIpv6Address(Place& at) {
  for (std::uint16_t type : {RTM_NEWADDR, RTM_DELADDR}) SETUP_OK(ChangeIpv6(at, type, "2001:db8:8::1/128", 1));
}
void ChangeALink(Place& at) {
  AddBridge(at, "nsconf-change");
  SETUP_OK(at->DeleteLink("nsconf-change"));
}
void ChangeANexthop(Place& at) {
  SETUP_OK(at->socket().Ack(BlackholeNexthop(7777)));
  SETUP_OK(at->socket().Ack(Request(RTM_DELNEXTHOP).Named("delete it").Header(nhmsg{}).U32(NHA_ID, 7777)));
}
/// The kernel finishes IPv6 addresses by and by, and tells each when it has.
void FillIpv6(Place& at) {
  Listener listener(at, {RTNLGRP_IPV6_IFADDR});
  std::set<std::string> finished;
  for (int n = 1; n <= kMany; ++n) {
    Status added = ChangeIpv6(at, RTM_NEWADDR, Nth6(n - 1), 1);
    RequireBuiltIn(added, "IPV6");
    SETUP_OK(std::move(added));
    if (n % 50 != 0 && n != kMany) continue;  // so few that the listener has room for their news
    SETUP_OK(listener.Await("IPv6 addresses to be finished", [&](const Message& message) {
      if (message.type() == RTM_NEWADDR) finished.insert(ReadAddress(message).address);
      return finished.size() >= static_cast<std::size_t>(n);
    }));
  }
  SETUP_OK(at->Up("lo"));  // waits for the one that told the last
}
void FillLinks(Place& at) {
  for (int n = 0; n < 60; ++n) AddBridge(at, "hub" + std::to_string(n));
}

const std::vector<Listed>& AllListed() {
  static const auto addresses = [](int family) {
    ifaddrmsg header{};
    header.ifa_family = static_cast<unsigned char>(family);
    return DumpOf(RTM_GETADDR, header);
  };
  static const std::vector<Listed> listed = {
      {"Ipv4Addresses", {"NLK-14"}, {"INET"}, NETLINK_ROUTE,
       [](Place& at) { for (int n = 0; n < kMany; ++n) SETUP_OK(at->AddAddress(Nth4(n), "lo")); },
       [] { return addresses(AF_INET); }, ChangeAnIpv4Address},
      {"Ipv6Addresses", {"NLK-14"}, {"IPV6"}, NETLINK_ROUTE, FillIpv6, [] { return addresses(AF_INET6); }, ChangeAnIpv6Address},
      {"Links", {"NLK-14"}, {"BRIDGE"}, NETLINK_ROUTE, FillLinks, [] { return DumpOf(RTM_GETLINK, ifinfomsg{}); }, ChangeALink},
      {"Statistics", {"NLK-14"}, {"BRIDGE"}, NETLINK_ROUTE, FillLinks,
       [] {
         if_stats_msg header{};
         header.filter_mask = IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64);
         return DumpOf(RTM_GETSTATS, header);
       },
       ChangeALink},
      {"Nexthops", {"NLK-14"}, {"INET"}, NETLINK_ROUTE,
       [](Place& at) { for (int n = 0; n < kMany; ++n) SETUP_OK(at->socket().Ack(BlackholeNexthop(static_cast<std::uint32_t>(1 + n)))); },
       [] { return DumpOf(RTM_GETNEXTHOP, nhmsg{}); }, ChangeANexthop},
      // nft(8): rules are listed as of one generation of the ruleset, which is the namespace's.
      {"RulesOfNftables", {"FW-22", "NLK-14"}, {"NF_TABLES", "NF_TABLES_INET"}, NETLINK_NETFILTER,
       [](Place& at) { FillNftables(at, [](NftBatch& batch, int) { batch.AddRule({.table = "t", .chain = "c", .counter = true}); }); },
       [] { return DumpOfNftables(NFT_MSG_GETRULE); }, ChangeNftables},
      {"ChainsOfNftables", {"FW-22", "NLK-14"}, {"NF_TABLES", "NF_TABLES_INET"}, NETLINK_NETFILTER,
       [](Place& at) { FillNftables(at, [](NftBatch& batch, int n) { batch.AddChain({.table = "t", .name = "chain" + std::to_string(n)}); }); },
       [] { return DumpOfNftables(NFT_MSG_GETCHAIN); }, ChangeNftables},
      {"SetsOfNftables", {"FW-22", "NLK-14"}, {"NF_TABLES", "NF_TABLES_INET"}, NETLINK_NETFILTER,
       [](Place& at) {
         FillNftables(at, [](NftBatch& batch, int n) {
           batch.Add(NFT_MSG_NEWSET, NFPROTO_INET, NLM_F_CREATE, "add a set", [n](Request& r) {
             r.Text(NFTA_SET_TABLE, "t").Text(NFTA_SET_NAME, "set" + std::to_string(n)).Be32(NFTA_SET_KEY_TYPE, 7 /* ipv4_addr */).Be32(NFTA_SET_KEY_LEN, 4).Be32(NFTA_SET_ID, static_cast<std::uint32_t>(1 + n));
           });
         });
       },
       [] { return DumpOfNftables(NFT_MSG_GETSET); }, ChangeNftables},
      // (Not elements of sets: their dumps are never marked.)
      {"ObjectsOfNftables", {"FW-22", "NLK-14"}, {"NF_TABLES", "NF_TABLES_INET"}, NETLINK_NETFILTER,
       [](Place& at) {
         FillNftables(at, [](NftBatch& batch, int n) {
           batch.Add(NFT_MSG_NEWOBJ, NFPROTO_INET, NLM_F_CREATE, "add a counter", [n](Request& r) {
             r.Text(NFTA_OBJ_TABLE, "t").Text(NFTA_OBJ_NAME, "counter" + std::to_string(n)).Be32(NFTA_OBJ_TYPE, NFT_OBJECT_COUNTER).Nest(NFTA_OBJ_DATA, [](Request&) {});
           });
         });
       },
       [] { return DumpOfNftables(NFT_MSG_GETOBJ); }, ChangeNftables},
  };
  return listed;
}

struct Dumped {
  int buffers = 0;
  bool interrupted = false;
};
/// A dump by hand, since Dump() would ask again; through small buffers, of which the kernel fills one ahead.
Dumped DumpInParts(Place& place, const Listed& listed, const std::function<void()>& meanwhile) {
  const Fd socket = SETUP_OK(place.ns.Socket(AF_NETLINK, SOCK_RAW, listed.protocol));
  const Request dump = listed.dump();
  SETUP_OK(SendTo(socket, std::string(reinterpret_cast<const char*>(dump.bytes().data()), dump.bytes().size()), NetlinkAddress(0)));
  Dumped dumped;
  std::array<char, 4096> buffer{};
  for (;;) {
    SETUP_OK(WaitFor(socket.get(), POLLIN, Deadline::OfTest(), "the next part of a dump"));
    const ssize_t size = ::recv(socket.get(), buffer.data(), buffer.size(), 0);
    if (size < 0) SETUP_OK(Status(ErrnoError("recv of a dump")));
    ++dumped.buffers;
    for (std::size_t at = 0; at + sizeof(nlmsghdr) <= static_cast<std::size_t>(size);) {
      nlmsghdr header{};
      std::memcpy(&header, buffer.data() + at, sizeof header);
      if (header.nlmsg_len < sizeof header) return dumped;
      if ((header.nlmsg_flags & NLM_F_DUMP_INTR) != 0) dumped.interrupted = true;
      if (header.nlmsg_type == NLMSG_ERROR) SETUP_OK(Status(Error{EPROTO, "a dump was refused"}));
      if (header.nlmsg_type == NLMSG_DONE) return dumped;
      at += NLMSG_ALIGN(header.nlmsg_len);
    }
    if (dumped.buffers <= 3) meanwhile();
  }
}

// netlink(7), NLM_F_DUMP_INTR: what was dumped has changed meanwhile - in the namespace of the dump. Elsewhere that may change and
// everything else, too: a dump may be about more than one thing.
void IsInterruptedByItsOwnNamespaceOnly(const Listed& listed, Place& dumps, Place& changes) {
  SETUP_OK(Eventually("the namespace to be at rest", [&] { return !DumpInParts(dumps, listed, [] {}).interrupted; }));
  const Dumped dumped = DumpInParts(dumps, listed, [&] {
    listed.change(changes);
    ChangeALink(changes);
    ChangeAnIpv4Address(changes);
    if (HasIpv6()) ChangeAnIpv6Address(changes);
    ChangeANexthop(changes);
  });
  EXPECT_GE(dumped.buffers, 3) << "control: it takes several buffers";
  EXPECT_FALSE(dumped.interrupted) << "NLM_F_DUMP_INTR: interrupted by changes in another namespace";
  EXPECT_TRUE(DumpInParts(dumps, listed, [&] { listed.change(dumps); }).interrupted) << "control: changes in the same namespace";
}
void OfTwoNamespaces(const Listed& listed) {
  Place older, younger;
  for (Place* place : {&older, &younger}) {
    SETUP_OK((*place)->Up("lo"));
    listed.fill(*place);
  }
  for (auto [dumps, changes, which] : {std::tuple(&older, &younger, "the older namespace"), std::tuple(&younger, &older, "the younger namespace")}) {
    SCOPED_TRACE(std::string("a dump in ") + which);
    IsInterruptedByItsOwnNamespaceOnly(listed, *dumps, *changes);
  }
}
void BesideTheInitial(const Listed& listed) {
  Place initial(InitialNetNamespace()), other;
  for (Place* place : {&initial, &other}) SETUP_OK((*place)->Up("lo"));
  listed.fill(other);
  IsInterruptedByItsOwnNamespaceOnly(listed, other, initial);
}
const bool interruptions = [] {
  for (const Listed& listed : AllListed()) {
    Covers covers;
    covers.list.assign(listed.covers.begin(), listed.covers.end());
    Needs needs;
    for (const char* symbol : listed.configs) needs.list.push_back(Config(symbol));
    if (std::find(listed.configs.begin(), listed.configs.end(), std::string("BRIDGE")) == listed.configs.end()) needs.list.push_back(Config("BRIDGE"));
    RegisterBody("Nlk", std::string("ChangesElsewhereDoNotInterruptADumpOf/") + listed.name, __FILE__, __LINE__, [&listed] { OfTwoNamespaces(listed); }, covers, needs,
                 Within{std::chrono::seconds(120)});
    needs.list.push_back(Machine());
    RegisterBody("Nlk", std::string("ChangesInTheInitialNamespaceDoNotInterruptADumpOf/") + listed.name, __FILE__, __LINE__, [&listed] { BesideTheInitial(listed); }, covers, needs,
                 Within{std::chrono::seconds(120)}, Exclusive{});
  }
  return true;
}();

// ------------------------------------------------------------------------------------------------ dumps by target id

// rt-link.yaml target-netnsid: "all links of the target namespace, each message carrying the id", in the last buffer as in the first.
NETNS_TEST(Nlk, LongDumpsOfAnotherNamespaceAreOfItToTheEnd, Covers("NLK-08", "NLK-11"), Needs(Config("BRIDGE")), Within{std::chrono::seconds(120)}) {
  constexpr int kLinks = 70, kAddresses = 440;
  Place here, there;
  SETUP_OK(here->NewNsid(there.ref(), 12));
  std::vector<std::string> names = {"lo"};
  for (int n = 0; n < kLinks; ++n) {
    names.push_back("far" + std::to_string(n));
    AddBridge(there, names.back(), {.index = 1000 + n});
    AddBridge(here, "near" + std::to_string(n), {.index = 3000 + n});
  }
  std::sort(names.begin(), names.end());
  std::vector<std::string> listed;
  for (const Link& link : SETUP_OK(here->Links({.target_nsid = 12}))) {
    EXPECT_EQ(link.target_netnsid, std::optional(12)) << link;
    if (!IsFallback(link.name)) listed.push_back(link.name);
  }
  std::sort(listed.begin(), listed.end());
  EXPECT_EQ(listed, names) << "IFLA_TARGET_NETNSID: the links of the other namespace, once each";
  EXPECT_EQ(LinkNames(here).size(), static_cast<std::size_t>(kLinks + 1)) << "control: without the attribute";
  // Filters that are meant for the other namespace: the index of a master there.
  EXPECT_THAT(here->Links({.target_nsid = 12, .kind = "bridge"}), Holds(testing::SizeIs(kLinks)));

  // rt-addr.yaml target-netnsid.
  std::vector<int> families = {AF_INET};
  if (HasIpv6()) families.push_back(AF_INET6);
  for (int family : families) {
    SCOPED_TRACE(family == AF_INET ? "IPv4" : "IPv6");
    const auto nth = family == AF_INET ? Nth4 : Nth6;
    std::set<std::string> expected, seen;
    for (int n = 0; n < kAddresses; ++n) {
      const int device = n % 2 == 0 ? 1000 : 1069;
      SETUP_OK(family == AF_INET ? there->AddAddress(nth(n), device) : ChangeIpv6(there, RTM_NEWADDR, nth(n), device));
      expected.insert(nth(n));
    }
    SETUP_OK(family == AF_INET ? here->AddAddress(nth(5000), 3000) : ChangeIpv6(here, RTM_NEWADDR, nth(5000), 3000));
    const auto addresses = SETUP_OK(here->Addresses({.family = family, .target_nsid = 12}));
    for (const Address& address : addresses) {
      EXPECT_EQ(address.target_netnsid, std::optional(12)) << address;
      seen.insert(address.ToString());
    }
    EXPECT_EQ(addresses.size(), expected.size()) << "each once";
    EXPECT_EQ(seen, expected) << "IFA_TARGET_NETNSID: the addresses of the other namespace";
    EXPECT_THAT(here->Addresses({.family = family}), Holds(testing::SizeIs(1))) << "control: without the attribute";
    // Of one device: its index is one of the other namespace, too.
    EXPECT_THAT(here->Addresses({.family = family, .index = 1069, .target_nsid = 12}), Holds(testing::SizeIs(kAddresses / 2))) << "the addresses of a device of the other namespace";
    EXPECT_THAT(here->Addresses({.family = family, .index = 3000, .target_nsid = 12}), FailsWith(ENODEV)) << "a device of the asking namespace";
    EXPECT_THAT(here->Addresses({.family = family, .index = 3000}), Holds(testing::SizeIs(1))) << "control";
  }
}

// ------------------------------------------------------------------------------------------- listeners to several namespaces

Status SetAllIds(Listener& listener, int on) {
  if (::setsockopt(listener.fd(), SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof on) < 0) return ErrnoError("setsockopt(NETLINK_LISTEN_ALL_NSID)");
  return Ok();
}
/// Of which namespaces a listener has heard about links: "name of 7", or "name" where no id was told.
std::set<std::string> LinksHeard(Listener& listener) {
  std::set<std::string> heard;
  for (const Message& message : listener.Heard())
    if (message.type() == RTM_NEWLINK) heard.insert(ReadLink(message).name + (message.nsid() ? " of " + std::to_string(*message.nsid()) : ""));
  return heard;
}

// netlink(7), NETLINK_LISTEN_ALL_NSID: the id is the one that the listener's namespace has for the sender's.
NETNS_TEST(Nlk, EachListenerToAllIdsIsToldTheIdOfItsOwnNamespace, Covers("NLK-05", "NLK-06"), Needs(Config("BRIDGE"))) {
  Place first, second, third, sender, late;
  SETUP_OK(first->NewNsid(sender.ref(), 7));
  SETUP_OK(second->NewNsid(sender.ref(), 9));
  SETUP_OK(sender->NewNsid(first.ref(), 3));
  // Two of one namespace, and one that is in the sender's: whoever is told first must not decide for the others.
  Listener in_first(first, {RTNLGRP_LINK}), in_second(second, {RTNLGRP_LINK}), again_in_first(first, {RTNLGRP_LINK}), in_third(third, {RTNLGRP_LINK}),
      in_sender(sender, {RTNLGRP_LINK}), plain(first, {RTNLGRP_LINK});
  for (Listener* listener : {&in_first, &in_second, &again_in_first, &in_third, &in_sender}) {
    Status all = SetAllIds(*listener, 1);
    if (all.code() == ENOPROTOOPT) throw MissingNeed("needs-feature:all-nsid", "no NETLINK_LISTEN_ALL_NSID", "use Linux 4.2 or later", LinuxVersion{4, 2});
    if (all.code() == EPERM) throw MissingNeed("needs-cap:NET_BROADCAST", all.error().ToString(), "run as root");
    SETUP_OK(std::move(all));
  }
  AddBridge(sender, "one");
  EXPECT_THAT(LinksHeard(in_first), ElementsAre("one of 7"));
  EXPECT_THAT(LinksHeard(in_second), ElementsAre("one of 9")) << "the id of its own namespace, not that of another listener's";
  EXPECT_THAT(LinksHeard(again_in_first), ElementsAre("one of 7"));
  EXPECT_THAT(LinksHeard(in_sender), ElementsAre("one")) << "in the sender's own namespace no id is told";
  EXPECT_THAT(LinksHeard(in_third), IsEmpty()) << "a namespace that has no id for the sender's";
  EXPECT_THAT(LinksHeard(plain), IsEmpty()) << "a listener without the option";
  // An id that is given later is heard from then on.
  AddBridge(late, "unheard");
  EXPECT_THAT(LinksHeard(in_first), IsEmpty()) << "control: no id yet";
  SETUP_OK(first->NewNsid(late.ref(), 8));
  AddBridge(late, "heard");
  EXPECT_THAT(LinksHeard(in_first), ElementsAre("heard of 8"));
  EXPECT_THAT(LinksHeard(in_second), IsEmpty());
  // And the option can be taken back.
  SETUP_OK(SetAllIds(in_first, 0));
  (void)LinksHeard(again_in_first);
  AddBridge(sender, "two");
  AddBridge(first, "own");
  EXPECT_THAT(LinksHeard(in_first), ElementsAre("own")) << "heard of another namespace after the option was switched off";
  EXPECT_THAT(LinksHeard(again_in_first), ElementsAre("own", "two of 7")) << "control: where it is still on";
}

// netlink(7): a port id is the address of a socket of the namespace, and so is a group.
NETNS_TEST(Nlk, EqualPortsOfManyNamespacesGetTheirOwnMessages, Covers("NLK-03", "NLK-02"), Needs(Config("BRIDGE"))) {
  constexpr std::uint32_t kPort = 0x4e730042;
  constexpr int kNamespaces = 24;
  std::vector<NetNamespace> places;
  std::vector<Fd> receivers, senders;
  for (int i = 0; i < kNamespaces; ++i) {
    places.push_back(NetNamespace::Create());
    receivers.push_back(SETUP_OK(places.back().Socket(AF_NETLINK, SOCK_DGRAM, NETLINK_USERSOCK)));
    ASSERT_OK(Bind(receivers.back(), NetlinkAddress(kPort, 1))) << "the port of another namespace is in the way";
    senders.push_back(SETUP_OK(places.back().Socket(AF_NETLINK, SOCK_DGRAM, NETLINK_USERSOCK)));
  }
  auto none = NetNamespace::Create();
  const Fd stranger = SETUP_OK(none.Socket(AF_NETLINK, SOCK_DGRAM, NETLINK_USERSOCK));
  EXPECT_THAT(SendTo(stranger, std::string(32, 's'), NetlinkAddress(kPort)), FailsWith(ECONNREFUSED)) << "a port that only other namespaces have";
  for (int i = 0; i < kNamespaces; ++i)
    for (const bool group : {false, true}) {
      // To a group the sender is told ESRCH where nobody but itself listens; who gets it is what counts.
      const Status sent = SendTo(senders[static_cast<std::size_t>(i)], std::string(32, static_cast<char>('a' + i)), group ? NetlinkAddress(0, 1) : NetlinkAddress(kPort));
      if (!group) {
        ASSERT_OK(sent);
      }
      for (int j = 0; j < kNamespaces; ++j) EXPECT_EQ(Readable(receivers[static_cast<std::size_t>(j)]), i == j) << "sent in namespace " << i << ", seen in " << j;
      if (!Readable(receivers[static_cast<std::size_t>(i)])) return;
      EXPECT_EQ(SETUP_OK(Receive(receivers[static_cast<std::size_t>(i)])).data[0], 'a' + i);
    }
}

// netlink(7): a port id is looked up among the sockets of the namespace of the sender, for each protocol, whichever call it is
// that names it. Where it is not there, nobody gets the message.
void MessagesStayInside(Place& owner, Place& other) {
  constexpr std::uint32_t kPort = 0x4e730043, kGroup = 1U << 20;
  const struct {
    const char* name;
    int protocol;
  } protocols[] = {{"NETLINK_USERSOCK", NETLINK_USERSOCK}, {"NETLINK_ROUTE", NETLINK_ROUTE},
                   {"NETLINK_GENERIC", NETLINK_GENERIC},   {"NETLINK_KOBJECT_UEVENT", NETLINK_KOBJECT_UEVENT},
                   {"NETLINK_SOCK_DIAG", NETLINK_SOCK_DIAG}, {"NETLINK_NETFILTER", NETLINK_NETFILTER},
                   {"NETLINK_XFRM", NETLINK_XFRM},         {"NETLINK_AUDIT", NETLINK_AUDIT}};
  const std::string message(32, 'm');
  for (const auto& [name, number] : protocols) {
    const int protocol = number;
    auto opened = owner.ns.Socket(AF_NETLINK, SOCK_RAW, protocol);
    if (!opened.ok()) continue;  // this kernel has no such protocol
    SCOPED_TRACE(name);
    const Fd receiver = std::move(*opened);
    const bool groups = protocol == NETLINK_USERSOCK;  // those of the others are the kernel's
    SETUP_OK(Bind(receiver, NetlinkAddress(kPort, groups ? kGroup : 0)));
    const auto socket_in = [protocol](Place& place) { return SETUP_OK(place.ns.Socket(AF_NETLINK, SOCK_RAW, protocol)); };
    const auto by_sendto = [&](Place& from) { return SendTo(socket_in(from), message, NetlinkAddress(kPort)); };
    const auto by_connect = [&](Place& from) -> Status {
      const Fd socket = socket_in(from);
      const SockAddr to = NetlinkAddress(kPort);
      if (::connect(socket.get(), to.get(), to.length()) < 0) return ErrnoError("connect");
      if (::send(socket.get(), message.data(), message.size(), MSG_DONTWAIT) < 0) return ErrnoError("send");
      return Ok();
    };
    EXPECT_THAT(by_sendto(other), FailsWith(ECONNREFUSED)) << "sendto(2) to a port id of another namespace";
    EXPECT_THAT(by_connect(other), FailsWith(ECONNREFUSED)) << "connect(2) to a port id of another namespace, and send(2)";
    EXPECT_FALSE(Readable(receiver)) << "a message to a port id crossed";
    while (Readable(receiver)) SETUP_OK(Receive(receiver));
    if (groups) {
      (void)SendTo(socket_in(other), message, NetlinkAddress(0, kGroup)).ok();
      EXPECT_FALSE(Readable(receiver)) << "a message to a group crossed";
      while (Readable(receiver)) SETUP_OK(Receive(receiver));
      (void)SendTo(socket_in(owner), message, NetlinkAddress(0, kGroup)).ok();
      EXPECT_TRUE(Readable(receiver)) << "control: to a group of its own namespace";
      while (Readable(receiver)) SETUP_OK(Receive(receiver));
    }
    for (const auto& sent : {by_sendto(owner), by_connect(owner)}) {
      EXPECT_OK(sent) << "control: to a port id of its own namespace";
      EXPECT_TRUE(Readable(receiver)) << "control: to a port id of its own namespace";
      if (Readable(receiver)) SETUP_OK(Receive(receiver));
    }
  }
}
const bool stay_inside = RegisterBetween("Nlk", "UserToUserMessagesOfEveryProtocolStayInside", "", __FILE__, __LINE__, MessagesStayInside, Covers("NLK-03"), Needs());

}  // namespace
}  // namespace netns
