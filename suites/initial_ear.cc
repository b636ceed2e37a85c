// SPDX-License-Identifier: GPL-2.0-or-later
// FW, VIRT and NLK: what happens in a namespace is not told, sent or delivered to the initial one. There a kernel that
// forgets about namespaces sends everything, and no listener in a fresh namespace would notice.
#include <arpa/inet.h>
#include <linux/can.h>
#include <linux/can/raw.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "fixtures/netfilter.h"
#include "fixtures/nic.h"
#include "fixtures/sockets.h"
#include "suites/support/conntrack_tuple.h"
#include "suites/support/firewall.h"
#include "suites/support/place.h"

namespace netns {
namespace {

bool Says(const Message& message, const std::string& text) {
  const auto bytes = message.payload();
  return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()).find(text) != std::string_view::npos;
}

// nft(8), "monitor": "The monitor command allows you to listen to Netlink events produced by the nf_tables subsystem".
NETNS_TEST(Fw, NewsOfNftablesDoesNotReachTheInitialNamespace, Covers("NLK-04", "FW-01", "FW-22"), Needs(Machine(), Config("NF_TABLES"), Config("NF_TABLES_INET")), Exclusive{}) {
  const std::string name = "nsconf_told";
  const auto initial = InitialNetNamespace();
  auto here = NetNamespace::Create();
  const auto listen = [](const NetNamespace& ns) {
    return SETUP_OK(RtnlMonitor::Adopt(SETUP_OK(ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER)), {NFNLGRP_NFTABLES}));
  };
  auto hears = listen(here), hears_initial = listen(initial);
  auto nft = NeedsNftables(Nftables::In(here), "nf_tables");
  const auto before = SETUP_OK(SETUP_OK(Nftables::In(initial)).Generation());
  NeedsNftables(nft.Commit(NftBatch().AddTable(NFPROTO_INET, name)), "a table");
  const auto told = SETUP_OK(hears.DrainNow());
  EXPECT_TRUE(std::any_of(told.begin(), told.end(), [&](const Message& message) { return Says(message, name); })) << "control: the listener beside it";
  for (const Message& message : SETUP_OK(hears_initial.DrainNow())) EXPECT_FALSE(Says(message, name)) << "a listener in the initial namespace heard of it";
  EXPECT_EQ(SETUP_OK(SETUP_OK(Nftables::In(initial)).Generation()), before) << "the generation of the initial namespace";
}

// Connections made by hand (IPCTNL_MSG_CT_NEW) are announced like those of packets, before the request is acknowledged.
NETNS_TEST(Fw, NewsOfConnectionsDoesNotReachTheInitialNamespace, Covers("NLK-04", "FW-07"), Needs(Machine(), Config("NF_CT_NETLINK")), Exclusive{}) {
  const auto initial = InitialNetNamespace();
  auto here = NetNamespace::Create();
  auto hears = SETUP_OK(MonitorConntrack(here)), hears_initial = SETUP_OK(MonitorConntrack(initial));
  auto socket = SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(here.Socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER))));
  nfgenmsg header{};
  header.nfgen_family = AF_INET;
  Request add(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL);
  add.Header(header);
  NestTuple(add, CTA_TUPLE_ORIG, IPPROTO_UDP, "192.0.2.21", "192.0.2.22", 4721, 4722);
  NestTuple(add, CTA_TUPLE_REPLY, IPPROTO_UDP, "192.0.2.22", "192.0.2.21", 4722, 4721);
  add.Be32(CTA_TIMEOUT, 600);
  const Status added = socket.Ack(add);
  if (added.code() == EINVAL || added.code() == ENOTSUP) throw MissingNeed("needs-config:NF_CT_NETLINK", added.error().ToString());
  ASSERT_OK(added);
  ASSERT_OK(hears.Until([](const Message& message) { return ReadFlow(message).sport == 4721; }, "control: the listener beside it to hear"));
  for (const Message& message : SETUP_OK(hears_initial.DrainNow())) EXPECT_NE(ReadFlow(message).sport, 4721) << "a listener in the initial namespace heard of it";
}

// Documentation/networking/can.rst: a socket that is bound to no interface gets the frames of all - of its namespace.
NETNS_TEST(Virt, CanFramesDoNotReachTheInitialNamespace, Covers("VIRT-22"), Needs(Machine(), Config("CAN"), Config("CAN_RAW"), Config("CAN_VCAN")), Exclusive{}) {
  Place initial(InitialNetNamespace()), here;
  struct Remove {
    Place& initial;
    ~Remove() { (void)initial->DeleteLink("nsconf-can").ok(); }
  } remove{initial};
  for (const auto& [place, name] : {std::pair{&initial, "nsconf-can"}, std::pair{&here, "vcan0"}}) {
    Status added = (*place)->AddLink({.name = name, .kind = "vcan"});
    RequireBuiltIn(added, "CAN_VCAN");
    SETUP_OK(std::move(added));
    SETUP_OK((*place)->Up(name));
  }
  const auto open = [](Place& place, int index) {
    Fd socket = SETUP_OK(place.ns.Socket(AF_CAN, SOCK_RAW, CAN_RAW));
    sockaddr_can address{};
    address.can_family = AF_CAN;
    address.can_ifindex = index;
    if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) SETUP_OK(Status(ErrnoError("bind(AF_CAN)")));
    return socket;
  };
  const auto send = [](const Fd& socket, unsigned id) {
    can_frame frame{};
    frame.can_id = id;
    SETUP_OK(Send(socket, std::string_view(reinterpret_cast<const char*>(&frame), sizeof frame)));
  };
  const Fd any_initial = open(initial, 0), any_here = open(here, 0);
  const Fd sender = open(here, SETUP_OK(here->LinkByName("vcan0")).index), sender_initial = open(initial, SETUP_OK(initial->LinkByName("nsconf-can")).index);
  send(sender, 0x123);
  EXPECT_OK(Receive(any_here)) << "control: another socket of the namespace";
  EXPECT_FALSE(Readable(any_initial)) << "a frame of another namespace was delivered in the initial one";
  send(sender_initial, 0x124);
  EXPECT_OK(Receive(any_initial)) << "control: it hears the devices of its own";
  EXPECT_FALSE(Readable(any_here)) << "a frame of the initial namespace was delivered in another one";
}

}  // namespace
}  // namespace netns
