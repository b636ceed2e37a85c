// SPDX-License-Identifier: GPL-2.0-or-later
// Errors as values. A call into the kernel that may fail gives a Result: its value, or an Error that says which call
// failed, with which errno, in the kernel's own words where it has any (netlink's extended acknowledgement).
#pragma once

#include <compare>
#include <cerrno>
#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace netns {

/// What went wrong. `code` is an errno value (never 0), `call` names the call with its operands.
struct [[nodiscard]] Error {
  int code = 0;
  std::string call;
  std::string kernel_says = {};  ///< NLMSGERR_ATTR_MSG of netlink(7); empty where the kernel gave none.
  std::source_location where = std::source_location::current();
  std::string lacking = {};  ///< the option whose absence explains the failure, "VETH"; empty for any other failure

  /// "move 'eth0': EPERM (Operation not permitted), kernel says: ..."
  std::string ToString() const;
};

/// The symbolic name of an errno value, "EPERM"; "errno 9999" for one that has none.
std::string ErrnoName(int code);

/// The Error of a call that has just failed, from errno. Evaluate it before anything else can change errno.
Error ErrnoError(std::string call, std::source_location where = std::source_location::current());

struct Done {};

/// Thrown by SETUP_OK: a step that is not the claim went wrong. It ends the test as ERROR, never as FAIL.
class SetupFailure : public std::runtime_error {
 public:
  SetupFailure(const std::string& message, std::source_location where)
      : std::runtime_error(message), where_(where) {}
  const std::source_location& where() const { return where_; }

 private:
  std::source_location where_;
};

/// A version of Linux by its first two numbers; {} for none.
struct LinuxVersion {
  int major = 0, minor = 0;
  auto operator<=>(const LinuxVersion&) const = default;
};

/// Thrown to leave a test that cannot run here, with a machine-readable reason (docs/events.md). With `since` the feature is
/// claimed by every Linux from that version on: its absence there is a failure (ClaimedAllTheSame(), harness/needs.h).
class MissingNeed : public std::runtime_error {
 public:
  MissingNeed(std::string code, const std::string& text, std::string remedy = {}, LinuxVersion since = {})
      : std::runtime_error(text), code_(std::move(code)), remedy_(std::move(remedy)), since_(since) {}
  const std::string& code() const { return code_; }
  const std::string& remedy() const { return remedy_; }
  LinuxVersion since() const { return since_; }

 private:
  std::string code_, remedy_;
  LinuxVersion since_;
};

/// Leaves a test whose preparation failed: as MISS where the kernel lacks an option for it, else as ERROR.
[[noreturn]] inline void ThrowSetupFailure(const Error& error, const std::string& message, std::source_location where) {
  if (!error.lacking.empty())
    throw MissingNeed("needs-config:" + error.lacking, message, "use a kernel with CONFIG_" + error.lacking);
  throw SetupFailure(message, where);
}

/// A value or an Error. Must not be ignored.
template <class T>
class [[nodiscard]] Result {
 public:
  using value_type = T;
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  /// The value; throws SetupFailure where there is none, so that a forgotten check is loud.
  T& value() & { Require(); return std::get<0>(state_); }
  const T& value() const& { Require(); return std::get<0>(state_); }
  T&& value() && { Require(); return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const { return std::get<1>(state_); }
  /// The errno of the failure, 0 on success.
  int code() const { return ok() ? 0 : error().code; }

 private:
  void Require() const {
    if (!ok()) ThrowSetupFailure(error(), error().ToString(), error().where);
  }
  std::variant<T, Error> state_;
};

using Status = Result<Done>;
inline Status Ok() { return Done{}; }

#define NETNS_CONCAT_(a, b) a##b
#define NETNS_CONCAT(a, b) NETNS_CONCAT_(a, b)
/// Leaves the enclosing function with the Error of `expr`, if it has one.
#define RETURN_IF_ERROR(expr)                              \
  do {                                                     \
    auto netns_status_ = (expr);                           \
    if (!netns_status_.ok()) return netns_status_.error(); \
  } while (false)
#define ASSIGN_OR_RETURN(decl, expr) ASSIGN_OR_RETURN_(NETNS_CONCAT(netns_result_, __LINE__), decl, expr)
#define ASSIGN_OR_RETURN_(tmp, decl, expr) \
  auto tmp = (expr);                       \
  if (!tmp.ok()) return tmp.error();       \
  decl = std::move(tmp).value()

/// A step that prepares the claim: gives its value, or ends the test as ERROR with what failed (MISS, where the kernel
/// was built without what the step needs).
template <class T>
T SetupOk(Result<T> result, const char* text, std::source_location where = std::source_location::current()) {
  if (!result.ok()) ThrowSetupFailure(result.error(), std::string(text) + ": " + result.error().ToString(), where);
  return std::move(result).value();
}
#define SETUP_OK(...) ::netns::SetupOk((__VA_ARGS__), #__VA_ARGS__)

}  // namespace netns
