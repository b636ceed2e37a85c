// SPDX-License-Identifier: GPL-2.0-or-later
// FW: packets that a rule hands to a listener (NFLOG, NFQUEUE) for whom nobody listens in the namespace: they go to nobody, not
// to those who listen with the same number elsewhere.
#include <poll.h>

#include "fixtures/net_namespace.h"
#include "fixtures/nic.h"
#include "fixtures/sockets.h"
#include "harness/assertions.h"
#include "harness/registration.h"
#include "suites/support/firewall.h"
#include "suites/support/in_namespace.h"

namespace netns {
namespace {

constexpr std::uint16_t kNumber = 4711, kPort = 9000;
constexpr const char* kTable = "nsconf-listeners";

/// A rule that logs, or queues, what comes to a port.
struct Way {
  const char* name;
  bool queue;
  bool six;
  std::vector<const char*> configs;
};
const std::vector<Way>& Ways() {
  static const std::vector<Way> ways = {{"Ipv4Logs", false, false, {"NFT_LOG", "NETFILTER_NETLINK_LOG"}},
                                        {"Ipv6Logs", false, true, {"NFT_LOG", "NETFILTER_NETLINK_LOG", "IPV6"}},
                                        {"Ipv4Queues", true, false, {"NFT_QUEUE", "NETFILTER_NETLINK_QUEUE"}},
                                        {"Ipv6Queues", true, true, {"NFT_QUEUE", "NETFILTER_NETLINK_QUEUE", "IPV6"}}};
  return ways;
}

/// Listens for the number, for whole records without delay.
Fd Hear(const NetNamespace& ns, const Way& way) {
  Fd socket = SETUP_OK(ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER));
  SETUP_OK(Bind(socket, NetlinkAddress(0)));
  nfgenmsg header{};
  header.res_id = htons(kNumber);
  if (way.queue) {
    BindQueue(socket, kNumber);
    nfqnl_msg_config_params params{};
    params.copy_mode = NFQNL_COPY_META;
    Request config(NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_CONFIG);
    SendRaw(socket, config.Header(header).Structure(NFQA_CFG_PARAMS, params));
  } else {
    SendRaw(socket, LogBind(kNumber));
    nfulnl_msg_config_mode mode{};
    mode.copy_mode = NFULNL_COPY_META;
    Request config(NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG);
    SendRaw(socket, config.Header(header).Structure(NFULA_CFG_MODE, mode).Be32(NFULA_CFG_QTHRESH, 1));
  }
  return socket;
}
void AddRule(const NetNamespace& ns, const Way& way) {
  LoopbackUp(ns);
  auto nft = SETUP_OK(Nftables::In(ns));
  NftRule rule{.table = kTable, .chain = "in", .protocol = IPPROTO_UDP, .dport = kPort};
  if (way.queue) {
    rule.queue = kNumber;
  } else {
    rule.log = NftLog{.prefix = "nsconf", .group = kNumber};
  }
  NeedsNftables(nft.Commit(NftBatch().AddTable(NFPROTO_INET, kTable).AddChain({.table = kTable, .name = "in", .hook = NF_INET_LOCAL_IN}).AddRule(rule)),
                "a rule that hands packets over");
}
/// Sends a datagram that meets the rule. It is through with it when this returns; whether it was delivered.
bool Send(const NetNamespace& ns, const Way& way) { return DatagramArrives(ns, way.six ? kLoopback6 : kLoopback4, kPort); }

/// What has come to a listener, each record once.
int Records(const Fd& listener) {
  int records = 0;
  while (Readable(listener)) {
    (void)SETUP_OK(Receive(listener));
    ++records;
  }
  return records;
}

/// A verdict about all that is queued. A listener that is closed gives them up later, when the rule may have gone: 5.10 warns
/// of that.
void DropQueued(const Fd& listener, const Way& way) {
  if (!way.queue) return;
  nfgenmsg header{};
  header.res_id = htons(kNumber);
  nfqnl_msg_verdict_hdr verdict{};
  verdict.verdict = htonl(NF_DROP);
  verdict.id = htonl(1000);  // and all before it
  Request request(NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_VERDICT_BATCH);
  SendRaw(listener, request.Header(header).Structure(NFQA_VERDICT_HDR, verdict));
}

// nft(8), "log group", "queue"; libnetfilter_log, libnetfilter_queue: the numbers are those of a namespace.
void NobodyElseGets(const Way& way, bool with_initial) {
  const auto older = NetNamespace::Create(), own = NetNamespace::Create(), younger = NetNamespace::Create(), creator = NetNamespace::Current();
  const auto nested = own.In([] { return NetNamespace::Create(); });
  struct Other {
    const char* who;
    NetNamespace ns;
    Fd listener = {};
  };
  std::vector<Other> others;
  if (with_initial) {
    others.push_back({"the initial namespace", InitialNetNamespace()});
  } else {
    others.push_back({"an older namespace", SETUP_OK(older.Dup())});
    others.push_back({"a younger namespace", SETUP_OK(younger.Dup())});
    others.push_back({"a namespace made from inside", SETUP_OK(nested.Dup())});
    others.push_back({"the creator's namespace", SETUP_OK(creator.Dup())});
  }
  for (Other& other : others) other.listener = Hear(other.ns, way);
  const auto expect_nothing = [&](const char* when) {
    for (Other& other : others) EXPECT_EQ(Records(other.listener), 0) << "a packet of another namespace was handed to the listener of " << other.who << ", " << when;
  };
  AddRule(own, way);
  EXPECT_EQ(Send(own, way), !way.queue) << "nobody listens: what is logged passes, what is queued is dropped";
  expect_nothing("when nobody listened there");
  {
    const Fd here = Hear(own, way);
    (void)Send(own, way);
    EXPECT_OK(WaitFor(here.get(), POLLIN, Deadline::In(std::chrono::seconds(10)), "a record")) << "control: the listener of the namespace itself";
    EXPECT_EQ(Records(here), 1) << "control: the one packet";
    DropQueued(here, way);
    expect_nothing("when somebody listened there");
  }
  EXPECT_EQ(Send(own, way), !way.queue) << "nobody listens any more";
  expect_nothing("when nobody listened there any more");
  // Control: the listeners hear what is of theirs.
  for (Other& other : others) {
    struct Undo {
      const NetNamespace& ns;
      ~Undo() { (void)SETUP_OK(Nftables::In(ns)).Commit(NftBatch().DeleteTable(NFPROTO_INET, kTable)).ok(); }
    } undo{other.ns};
    AddRule(other.ns, way);
    (void)Send(other.ns, way);
    EXPECT_OK(WaitFor(other.listener.get(), POLLIN, Deadline::In(std::chrono::seconds(10)), "a record")) << "control: the listener of " << other.who;
    EXPECT_EQ(Records(other.listener), 1) << "control: the one packet of " << other.who;
    DropQueued(other.listener, way);
    other.listener.Reset();
  }
  const Fd again = Hear(own, way);
  EXPECT_EQ(Records(again), 0) << "packets of others";
}

const bool registered = [] {
  for (const Way& way : Ways()) {
    Needs needs{Config("NF_TABLES"), Config("NF_TABLES_INET")};
    for (const char* symbol : way.configs) needs.list.push_back(Config(symbol));
    const Covers covers(way.queue ? "FW-11" : "FW-12");
    RegisterBody("Fw", std::string("WhatNobodyListensForGoesToNobody/") + way.name, __FILE__, __LINE__, [&way] { NobodyElseGets(way, false); }, covers, needs);
    needs.list.push_back(Machine());
    RegisterBody("Fw", std::string("WhatNobodyListensForDoesNotGoToTheInitialNamespace/") + way.name, __FILE__, __LINE__, [&way] { NobodyElseGets(way, true); }, covers, needs,
                 Exclusive{});
  }
  return true;
}();

}  // namespace
}  // namespace netns
