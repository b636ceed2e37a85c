// SPDX-License-Identifier: GPL-2.0-or-later
// FW: connections that are expected to come of another one, where only one of two namespaces expects anything at all.
#include "fixtures/nftables.h"

#include "suites/support/between.h"

#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "fixtures/netfilter.h"
#include "fixtures/sockets.h"
#include "suites/support/conntrack_tuple.h"
#include "suites/support/firewall.h"
#include "suites/support/in_namespace.h"
#include "suites/support/netfilter_request.h"

namespace netns {
namespace {

constexpr const char *kFrom = "192.0.2.221", *kTo = "192.0.2.222", *kTable = "nsconf-x";
constexpr std::uint16_t kPort = 4997;

/// A namespace that tracks its connections, between two addresses of lo, with somebody who listens at kFrom.
struct Tracking {
  explicit Tracking(Place& at) : place(at), socket(NetfilterIn(at.ns)) {
    LoopbackUp(place.ns);
    for (const char* address : {kFrom, kTo}) SETUP_OK(place->AddAddress(std::string(address) + "/32", "lo"));
    auto nft = SETUP_OK(Nftables::In(place.ns));
    NeedsNftables(nft.Commit(NftBatch()
                                 .AddTable(NFPROTO_INET, kTable)
                                 .AddChain({.table = kTable, .name = "post", .hook = NF_INET_POST_ROUTING, .priority = 100, .type = "nat"})
                                 .AddRule({.table = kTable, .chain = "post", .oif = "none-such", .nat = NftNat{}})),
                  "a rule that has connections tracked");
    listener = SETUP_OK(TcpListen(place.ns, Inet(kFrom, kPort)));
  }
  ~Tracking() {
    (void)socket.Ack(NetfilterRequest(NFNL_SUBSYS_CTNETLINK_EXP, IPCTNL_MSG_EXP_DELETE, 0, "forget expectations")).ok();
    (void)socket.Ack(NetfilterRequest(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE, 0, "forget connections")).ok();
    if (auto nft = Nftables::In(place.ns); nft.ok()) (void)nft->Commit(NftBatch().DeleteTable(NFPROTO_INET, kTable)).ok();
    for (const char* address : {kFrom, kTo}) (void)place->DeleteAddress(std::string(address) + "/32", "lo").ok();
  }
  /// A connection that a helper looks after, and one that is expected to come of it.
  void Expect() {
    Request add = NetfilterRequest(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL, "add a connection with a helper");
    NestTuple(add, CTA_TUPLE_ORIG, IPPROTO_TCP, kFrom, kTo, 4021, 21);
    NestTuple(add, CTA_TUPLE_REPLY, IPPROTO_TCP, kTo, kFrom, 21, 4021);
    add.Be32(CTA_TIMEOUT, 600).Be32(CTA_STATUS, IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED);
    add.Nest(CTA_PROTOINFO, [](Request& info) { info.Nest(CTA_PROTOINFO_TCP, [](Request& tcp) { tcp.U8(CTA_PROTOINFO_TCP_STATE, 3); }); });
    add.Nest(CTA_HELP, [](Request& help) { help.Text(CTA_HELP_NAME, "ftp"); });
    const Status made = socket.Ack(add);
    if (made.code() == EINVAL || made.code() == EOPNOTSUPP || made.code() == EAGAIN)
      throw MissingNeed("needs-config:NF_CONNTRACK_FTP", "no connection with a helper can be made: " + made.error().ToString());
    SETUP_OK(Status(made));
    Request expect = NetfilterRequest(NFNL_SUBSYS_CTNETLINK_EXP, IPCTNL_MSG_EXP_NEW, NLM_F_CREATE | NLM_F_EXCL, "expect a connection");
    NestTuple(expect, CTA_EXPECT_MASTER, IPPROTO_TCP, kFrom, kTo, 4021, 21);
    NestTuple(expect, CTA_EXPECT_TUPLE, IPPROTO_TCP, kTo, kFrom, 0, kPort);
    NestTuple(expect, CTA_EXPECT_MASK, IPPROTO_TCP, "255.255.255.255", "255.255.255.255", 0, 0xffff);
    expect.Be32(CTA_EXPECT_TIMEOUT, 600);
    SETUP_OK(socket.Ack(expect));
  }
  /// Makes a connection as it is expected; whether it is known as expected. Each has a port of its own, which stays taken for a while.
  bool IsExpected() {
    static std::uint16_t port = 5100;
    ++port;
    const Fd client = SETUP_OK(place.ns.Socket(AF_INET, SOCK_STREAM));
    SETUP_OK(Bind(client, Inet(kTo, port)));
    SETUP_OK(Connect(client, Inet(kFrom, kPort)));
    auto conntrack = SETUP_OK(Conntrack::In(place.ns));
    for (const Flow& flow : SETUP_OK(conntrack.Flows(AF_INET)))
      if (flow.sport == port && flow.dport == kPort) return (flow.status & IPS_EXPECTED) != 0;
    throw SetupFailure("the connection is not tracked", std::source_location::current());
  }
  std::size_t Expectations() { return SETUP_OK(socket.Dump(NetfilterRequest(NFNL_SUBSYS_CTNETLINK_EXP, IPCTNL_MSG_EXP_GET, 0, "list expectations"))).size(); }

  Place& place;
  NetlinkSocket socket;
  Fd listener;
};
// conntrack(8): "expect".
[[maybe_unused]] const bool registered = RegisterBetween(
    "Fw", "OnlyTheNamespaceThatExpectsAConnectionKnowsIt", "", __FILE__, __LINE__,
    [](Place& owner, Place& other) {
      Tracking expecting(owner), not_expecting(other);
      EXPECT_FALSE(not_expecting.IsExpected()) << "control: nobody expects anything yet";
      expecting.Expect();
      EXPECT_EQ(expecting.Expectations(), 1u) << "control";
      EXPECT_EQ(not_expecting.Expectations(), 0u) << "an expectation of another namespace is listed";
      EXPECT_FALSE(not_expecting.IsExpected()) << "conntrack(8): a connection was taken for one that another namespace expects";
      EXPECT_EQ(expecting.Expectations(), 1u) << "a connection of another namespace has used up the expectation";
      SETUP_OK(not_expecting.socket.Ack(NetfilterRequest(NFNL_SUBSYS_CTNETLINK_EXP, IPCTNL_MSG_EXP_DELETE, 0, "forget expectations")));
      EXPECT_EQ(expecting.Expectations(), 1u) << "the expectations of another namespace were forgotten";
      EXPECT_TRUE(expecting.IsExpected()) << "the connection that this namespace expects";
      EXPECT_EQ(expecting.Expectations(), 0u) << "control: it has been used up";
    },
    Covers("FW-24"), Needs(Config("NF_TABLES"), Config("NF_TABLES_INET"), Config("NFT_NAT"), Config("NFT_MASQ"), Config("NF_CT_NETLINK"), Config("NF_CONNTRACK_FTP")));

}  // namespace
}  // namespace netns
