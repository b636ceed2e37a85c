// SPDX-License-Identifier: GPL-2.0-or-later
// The words in which a test states its claim, each with what it prints when it fails.
//
//   ASSERT_OK(expr)                 "expr: open("/x"): ENOENT (No such file or directory)"
//   ASSERT_OK_AND_ASSIGN(d, expr)   the same, and gives the value
//   EXPECT_THAT(expr, Succeeds())            "Expected: succeeds; Actual: bind(...): EADDRINUSE (...)"
//   EXPECT_THAT(expr, FailsWith(EPERM))      "Expected: fails with EPERM; Actual: succeeded"
//   EXPECT_THAT(expr, Holds(Contains(x)))    a Result whose value matches
//   SETUP_OK(expr)                  a step that is not the claim: its failure is ERROR (harness/result.h)
//   EXPECT_EVENTUALLY("the peer is gone", probe)   see Eventually() in harness/wait.h
#pragma once

#include <gmock/gmock.h>

#include "harness/result.h"
#include "harness/wait.h"

namespace netns {

namespace internal {
template <class R>
void ExplainResult(const R& result, testing::MatchResultListener* listener) {
  if (result.ok())
    *listener << "which succeeded";
  else
    *listener << "which failed: " << result.error().ToString();
}
}  // namespace internal

MATCHER(Succeeds, negation ? "fails" : "succeeds") {
  internal::ExplainResult(arg, result_listener);
  return arg.ok();
}

MATCHER_P(FailsWith, code, std::string(negation ? "does not fail with " : "fails with ") + ErrnoName(code)) {
  internal::ExplainResult(arg, result_listener);
  return !arg.ok() && arg.error().code == code;
}

MATCHER_P(Holds, matcher, "holds a value that " + testing::DescribeMatcher<typename std::decay_t<arg_type>::value_type>(matcher, negation)) {
  if (!arg.ok()) {
    internal::ExplainResult(arg, result_listener);
    return false;
  }
  return testing::ExplainMatchResult(matcher, arg.value(), result_listener);
}

/// Prints a Result in gmock's messages as a reader would say it.
template <class T>
void PrintTo(const Result<T>& result, std::ostream* out) {
  if (!result.ok())
    *out << result.error().ToString();
  else if constexpr (std::is_same_v<T, Done>)
    *out << "success";
  else
    testing::internal::UniversalPrint(result.value(), out);
}
inline void PrintTo(const Done&, std::ostream* out) { *out << "success"; }

#define ASSERT_OK(...)                                                                                  \
  if (auto&& netns_result_ = (__VA_ARGS__); netns_result_.ok())                                         \
    ;                                                                                                   \
  else                                                                                                  \
    GTEST_FATAL_FAILURE_("") << #__VA_ARGS__ << ": " << netns_result_.error().ToString()
#define EXPECT_OK(...)                                                                                  \
  if (auto&& netns_result_ = (__VA_ARGS__); netns_result_.ok())                                         \
    ;                                                                                                   \
  else                                                                                                  \
    ADD_FAILURE() << #__VA_ARGS__ << ": " << netns_result_.error().ToString()
#define ASSERT_OK_AND_ASSIGN(decl, ...) \
  ASSERT_OK_AND_ASSIGN_(NETNS_CONCAT(netns_result_, __LINE__), decl, __VA_ARGS__)
#define ASSERT_OK_AND_ASSIGN_(tmp, decl, ...)                                                           \
  auto tmp = (__VA_ARGS__);                                                                             \
  if (!tmp.ok()) GTEST_FATAL_FAILURE_("") << #__VA_ARGS__ << ": " << tmp.error().ToString();            \
  decl = std::move(tmp).value()
#define EXPECT_EVENTUALLY(what, ...) EXPECT_OK(::netns::Eventually(what, __VA_ARGS__))
#define ASSERT_EVENTUALLY(what, ...) ASSERT_OK(::netns::Eventually(what, __VA_ARGS__))

}  // namespace netns
