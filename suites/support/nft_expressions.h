// SPDX-License-Identifier: GPL-2.0-or-later
// Rules of nftables by their expressions, for what NftRule does not know: linux/netfilter/nf_tables.h.
#pragma once

#include "fixtures/nftables.h"

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace netns {

/// One expression of a rule. Registers: NFT_REG_1.
struct Expression {
  std::string name;
  std::function<void(Request&)> data;
};
inline Expression Meta(std::uint32_t key) {
  return {"meta", [key](Request& r) { r.Be32(NFTA_META_DREG, NFT_REG_1).Be32(NFTA_META_KEY, key); }};
}
template <class Value>
Expression Equals(Value value) {
  return {"cmp", [value](Request& r) {
            r.Be32(NFTA_CMP_SREG, NFT_REG_1).Be32(NFTA_CMP_OP, NFT_CMP_EQ).Nest(NFTA_CMP_DATA, [value](Request& data) { data.Structure(NFTA_DATA_VALUE, value); });
          }};
}
inline Expression DestinationPort() {
  return {"payload", [](Request& r) {
            r.Be32(NFTA_PAYLOAD_DREG, NFT_REG_1).Be32(NFTA_PAYLOAD_BASE, NFT_PAYLOAD_TRANSPORT_HEADER).Be32(NFTA_PAYLOAD_OFFSET, 2).Be32(NFTA_PAYLOAD_LEN, 2);
          }};
}
/// `result`: NFT_FIB_RESULT_*; `flags`: NFTA_FIB_F_*
inline Expression Fib(std::uint32_t result, std::uint32_t flags) {
  return {"fib", [=](Request& r) { r.Be32(NFTA_FIB_DREG, NFT_REG_1).Be32(NFTA_FIB_RESULT, result).Be32(NFTA_FIB_FLAGS, flags); }};
}
inline Expression Counter() {
  return {"counter", [](Request&) {}};
}
inline std::vector<Expression> To(std::uint8_t protocol, std::uint16_t port) { return {Meta(NFT_META_L4PROTO), Equals(protocol), DestinationPort(), Equals(htons(port))}; }
inline std::vector<Expression> operator+(std::vector<Expression> all, const std::vector<Expression>& more) {
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

inline NftBatch& AddRule(NftBatch& batch, const std::string& table, const std::string& chain, const std::vector<Expression>& expressions, int family = NFPROTO_INET) {
  return batch.Add(NFT_MSG_NEWRULE, family, NLM_F_CREATE | NLM_F_APPEND, "add a rule", [=](Request& r) {
    r.Text(NFTA_RULE_TABLE, table).Text(NFTA_RULE_CHAIN, chain).Nest(NFTA_RULE_EXPRESSIONS, [&](Request& list) {
      for (const Expression& expression : expressions)
        list.Nest(NFTA_LIST_ELEM, [&](Request& one) { one.Text(NFTA_EXPR_NAME, expression.name).Nest(NFTA_EXPR_DATA, expression.data); });
    });
  });
}

}  // namespace netns
