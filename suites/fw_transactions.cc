// SPDX-License-Identifier: GPL-2.0-or-later
// FW: transactions of nftables. What is valid is decided by the generation of the namespace, which changes with each commit;
// so all of it is looked at in namespaces with an even and with an odd number of commits.
#include "fixtures/nftables.h"

#include <linux/netfilter/nf_tables.h>

#include "fixtures/nic.h"
#include "fixtures/sockets.h"
#include "harness/assertions.h"
#include "harness/registration.h"
#include "suites/support/firewall.h"
#include "suites/support/in_namespace.h"

namespace netns {
namespace {

using testing::ElementsAre;
using testing::Field;
using testing::IsEmpty;
using testing::SizeIs;

NftChain Input(const char* name) { return {.table = "t", .name = name, .hook = NF_INET_LOCAL_IN}; }
NftRule Dropping(std::uint16_t port) { return {.table = "t", .chain = "in", .protocol = IPPROTO_UDP, .dport = port, .verdict = NF_DROP}; }

/// A set, an element of it, and a counter, of table "t".
NftBatch& AddSet(NftBatch& batch) {
  return batch.Add(NFT_MSG_NEWSET, NFPROTO_INET, NLM_F_CREATE, "add a set", [](Request& r) {
    r.Text(NFTA_SET_TABLE, "t").Text(NFTA_SET_NAME, "s").Be32(NFTA_SET_KEY_TYPE, 7).Be32(NFTA_SET_KEY_LEN, 4).Be32(NFTA_SET_ID, 1);
  });
}
NftBatch& AddElement(NftBatch& batch, std::uint32_t value) {
  return batch.Add(NFT_MSG_NEWSETELEM, NFPROTO_INET, NLM_F_CREATE, "add an element", [value](Request& r) {
    r.Text(NFTA_SET_ELEM_LIST_TABLE, "t").Text(NFTA_SET_ELEM_LIST_SET, "s").Nest(NFTA_SET_ELEM_LIST_ELEMENTS, [value](Request& list) {
      list.Nest(NFTA_LIST_ELEM, [value](Request& element) { element.Nest(NFTA_SET_ELEM_KEY, [value](Request& key) { key.Be32(NFTA_DATA_VALUE, value); }); });
    });
  });
}
NftBatch& AddCounter(NftBatch& batch) {
  return batch.Add(NFT_MSG_NEWOBJ, NFPROTO_INET, NLM_F_CREATE, "add a counter", [](Request& r) {
    r.Text(NFTA_OBJ_TABLE, "t").Text(NFTA_OBJ_NAME, "o").Be32(NFTA_OBJ_TYPE, NFT_OBJECT_COUNTER).Nest(NFTA_OBJ_DATA, [](Request&) {});
  });
}
std::size_t Dumped(Nftables& nft, int message, const char* what) {
  nfgenmsg header{};
  header.nfgen_family = NFPROTO_INET;
  header.version = NFNETLINK_V0;
  return SETUP_OK(nft.socket().Dump(Request(static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | message)).Header(header).Named(what))).size();
}

/// All that one table can have; a rule in it drops what comes to port 7001.
NftBatch Everything() {
  NftBatch batch;
  batch.AddTable(NFPROTO_INET, "t").AddChain(Input("in")).AddRule(Dropping(7001));
  AddSet(batch);
  AddElement(batch, 1);
  return AddCounter(batch);
}
std::vector<std::size_t> Seen(Nftables& nft) {
  return {SETUP_OK(nft.Tables()).size(), SETUP_OK(nft.Chains()).size(), SETUP_OK(nft.Rules()).size(), Dumped(nft, NFT_MSG_GETSET, "dump sets"),
          Dumped(nft, NFT_MSG_GETOBJ, "dump objects")};
}

/// Runs `body` in namespaces with different numbers of commits behind them.
void InEachGeneration(const std::function<void(const NetNamespace&, Nftables&)>& body) {
  for (int commits : {0, 1}) {
    SCOPED_TRACE("after " + std::to_string(commits) + " commits");
    auto ns = NetNamespace::Create();
    LoopbackUp(ns);
    auto nft = SETUP_OK(Nftables::In(ns));
    NftBatch forget;
    for (int i = 0; i < commits; ++i) {
      NeedsNftables(nft.Commit(NftBatch().AddTable(NFPROTO_INET, "early" + std::to_string(i))), "a table");
      forget.DeleteTable(NFPROTO_INET, "early" + std::to_string(i));
    }
    if (commits > 0) SETUP_OK(nft.Commit(forget));
    body(ns, nft);
  }
}

// nft(8): "... all rules in this file are applied in one go": what is made and deleted in one transaction never was.
NETNS_TEST(Fw, WhatATransactionMakesItCanDelete, Covers("FW-22", "FW-01"), Needs(Config("NF_TABLES"), Config("NF_TABLES_INET"))) {
  InEachGeneration([](const NetNamespace& ns, Nftables& nft) {
    NftBatch made_and_deleted = Everything();
    made_and_deleted.DeleteTable(NFPROTO_INET, "t");
    NeedsNftables(nft.Commit(NftBatch().AddTable(NFPROTO_INET, "u").DeleteTable(NFPROTO_INET, "u")), "a table");
    ASSERT_OK(nft.Commit(made_and_deleted)) << "nft(8): a transaction that deletes what it made";
    EXPECT_EQ(Seen(nft), (std::vector<std::size_t>{0, 0, 0, 0, 0})) << "tables, chains, rules, sets, objects";
    EXPECT_TRUE(DatagramArrives(ns, kLoopback4, 7001)) << "a rule that was deleted in the transaction that made it acts";
    ASSERT_OK(nft.Commit(Everything())) << "the names are free";
    EXPECT_EQ(Seen(nft), (std::vector<std::size_t>{1, 1, 1, 1, 1})) << "control: tables, chains, rules, sets, objects";
    EXPECT_FALSE(DatagramArrives(ns, kLoopback4, 7001)) << "control";
    // Replaced in one go.
    NftBatch replaced;
    replaced.DeleteTable(NFPROTO_INET, "t").AddTable(NFPROTO_INET, "t").AddChain(Input("in")).AddRule(Dropping(7005));
    ASSERT_OK(nft.Commit(replaced)) << "nft(8): a transaction that replaces a table";
    EXPECT_EQ(Seen(nft), (std::vector<std::size_t>{1, 1, 1, 0, 0})) << "tables, chains, rules, sets, objects";
    EXPECT_TRUE(DatagramArrives(ns, kLoopback4, 7001)) << "a rule that was replaced acts";
    EXPECT_FALSE(DatagramArrives(ns, kLoopback4, 7005)) << "the rule that replaced it does not act";
  });
}

// nft(8): or none at all. A transaction that fails leaves everything as it was.
NETNS_TEST(Fw, AFailedTransactionChangesNothing, Covers("FW-22", "FW-01"), Needs(Config("NF_TABLES"), Config("NF_TABLES_INET"))) {
  InEachGeneration([](const NetNamespace& ns, Nftables& nft) {
    NeedsNftables(nft.Commit(NftBatch().AddTable(NFPROTO_INET, "u").DeleteTable(NFPROTO_INET, "u")), "a table");
    ASSERT_OK(nft.Commit(Everything()));
    const std::vector<std::size_t> all = {1, 1, 1, 1, 1};
    ASSERT_EQ(Seen(nft), all) << "control";
    const NftRule impossible{.table = "t", .chain = "no-such-chain", .verdict = NF_DROP};
    const auto fails = [&](const char* what, NftBatch batch) {
      SCOPED_TRACE(what);
      batch.AddRule(impossible);
      EXPECT_THAT(nft.Commit(batch), FailsWith(ENOENT));
      EXPECT_EQ(Seen(nft), all) << "nft(8): a transaction that failed has changed tables, chains, rules, sets or objects";
      EXPECT_FALSE(DatagramArrives(ns, kLoopback4, 7001)) << "the rule does not act any more";
    };
    const auto rules = SETUP_OK(nft.Rules());
    NftBatch made;
    made.AddChain(Input("more"));
    fails("something is made", made.AddRule(Dropping(7003)));
    EXPECT_TRUE(DatagramArrives(ns, kLoopback4, 7003)) << "a rule of a transaction that failed acts";
    fails("a rule is deleted", NftBatch().DeleteRule(rules.front()));
    fails("all rules are deleted", NftBatch().FlushRules(NFPROTO_INET, "t"));
    NftBatch set, object;
    set.Add(NFT_MSG_DELSET, NFPROTO_INET, 0, "delete the set", [](Request& r) { r.Text(NFTA_SET_TABLE, "t").Text(NFTA_SET_NAME, "s"); });
    fails("a set is deleted", set);
    object.Add(NFT_MSG_DELOBJ, NFPROTO_INET, 0, "delete the counter", [](Request& r) {
      r.Text(NFTA_OBJ_TABLE, "t").Text(NFTA_OBJ_NAME, "o").Be32(NFTA_OBJ_TYPE, NFT_OBJECT_COUNTER);
    });
    fails("an object is deleted", object);
    NftBatch chain;
    chain.FlushRules(NFPROTO_INET, "t").DeleteChain(Input("in"));
    fails("a chain is deleted", chain);
    NftBatch table;
    table.DeleteTable(NFPROTO_INET, "t");
    EXPECT_THAT(nft.Commit(NftBatch().DeleteTable(NFPROTO_INET, "t").AddRule(impossible)), FailsWith(ENOENT));
    EXPECT_EQ(Seen(nft), all) << "nft(8): a transaction that failed has deleted the table";
    // It is all there still, and can be deleted for good.
    ASSERT_OK(nft.Commit(table)) << "control";
    EXPECT_EQ(Seen(nft), (std::vector<std::size_t>{0, 0, 0, 0, 0})) << "control";
  });
}

// One namespace's transaction does not decide what is valid in another: it may begin, and fail, between two of theirs.
NETNS_TEST(Fw, RulesetsOfTheInitialNamespaceAndOfOthersAreSeparate, Covers("FW-01", "FW-22"), Needs(Machine(), Config("NF_TABLES"), Config("NF_TABLES_INET")), Exclusive{}) {
  auto initial = InitialNetNamespace(), fresh = NetNamespace::Create();
  auto in_initial = SETUP_OK(Nftables::In(initial)), in_fresh = SETUP_OK(Nftables::In(fresh));
  const auto births = NeedsNftables(in_initial.Tables(), "tables");
  EXPECT_THAT(in_fresh.Tables(), Holds(IsEmpty()));
  for (int round = 0; round < 3; ++round) {
    SCOPED_TRACE(round);
    ASSERT_OK(in_fresh.Commit(Everything()));
    EXPECT_THAT(in_initial.Tables(), Holds(SizeIs(births.size()))) << "a table of another namespace is listed in the initial one";
    EXPECT_THAT(in_initial.Commit(NftBatch().DeleteTable(NFPROTO_INET, "t")), FailsWith(ENOENT)) << "a table of another namespace can be deleted";
    ASSERT_OK(in_initial.Commit(Everything())) << "an equal one of another namespace is in the way";
    EXPECT_EQ(Seen(in_fresh), (std::vector<std::size_t>{1, 1, 1, 1, 1})) << "tables, chains, rules, sets, objects";
    ASSERT_OK(in_fresh.Commit(NftBatch().DeleteTable(NFPROTO_INET, "t")));
    EXPECT_EQ(Seen(in_fresh), (std::vector<std::size_t>{0, 0, 0, 0, 0})) << "those of the initial namespace are listed in another one";
    EXPECT_THAT(in_initial.Tables(), Holds(SizeIs(births.size() + 1))) << "the table of the initial namespace was deleted in another one";
    EXPECT_THAT(in_fresh.Commit(NftBatch().DeleteTable(NFPROTO_INET, "t")), FailsWith(ENOENT)) << "a table of the initial namespace can be deleted";
    ASSERT_OK(in_initial.Commit(NftBatch().DeleteTable(NFPROTO_INET, "t"))) << "control";
    // The next round begins with another parity in the one of them.
    SETUP_OK(in_fresh.Commit(NftBatch().AddTable(NFPROTO_INET, "parity")));
    SETUP_OK(in_fresh.Commit(NftBatch().DeleteTable(NFPROTO_INET, "parity")));
    SETUP_OK(in_initial.Commit(NftBatch().AddTable(NFPROTO_INET, "parity").DeleteTable(NFPROTO_INET, "parity")));
  }
  EXPECT_THAT(in_initial.Tables(), Holds(SizeIs(births.size()))) << "control";
}

}  // namespace
}  // namespace netns
