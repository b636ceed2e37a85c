// SPDX-License-Identifier: GPL-2.0-or-later
// A setting of a namespace, and something in which its value shows: a packet, a socket, a table. That a value is read back
// says nothing of who asks for it: the code that uses it may ask another namespace, or the initial one.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fixtures/net_namespace.h"
#include "fixtures/nic.h"
#include "harness/assertions.h"
#include "harness/registration.h"

namespace netns {

struct Effect {
  const char *name, *sysctl, *value;
  std::function<Result<int>(const NetNamespace&)> observe;
  std::optional<int> expected = {};                          ///< nothing: only another observation than before
  std::function<void(const NetNamespace&)> prepare = {};     ///< Done in each of the namespaces before the first look.
  std::vector<const char*> configs = {};                     ///< What else the kernel needs.
  std::vector<const char*> covers = {};                      ///< Besides the documents of the setting.
};

/// "X_high_thresh" may not be lower than "X_low_thresh", whose name this is; empty for other settings.
inline std::string LowerThreshold(const std::string& sysctl) {
  constexpr std::string_view kHigh = "_high_thresh";
  return sysctl.ends_with(kHigh) ? sysctl.substr(0, sysctl.size() - kHigh.size()) + "_low_thresh" : "";
}

// Documents: ip-sysctl.rst, net.rst, nf_conntrack-sysctl.rst. What was set in one namespace must act there, and nowhere else.
inline void ActsInItsOwnNamespace(const Effect& effect) {
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  const auto prepare = [&](const NetNamespace& ns) {
    if (effect.prepare) effect.prepare(ns);
  };
  prepare(a);
  prepare(b);
  if (!a.HasSysctl(effect.sysctl))
    throw MissingNeed("needs-feature:" + std::string(effect.sysctl), "this kernel has no " + std::string(effect.sysctl) + " in a new namespace");
  std::string old = SETUP_OK(a.Sysctl(effect.sysctl)), old_b = SETUP_OK(b.Sysctl(effect.sysctl));
  int before = SETUP_OK(effect.observe(a));
  ASSERT_EQ(SETUP_OK(effect.observe(b)), before) << "two new namespaces behave alike";
  ASSERT_OK(a.SetSysctl(effect.sysctl, effect.value));
  int now = SETUP_OK(effect.observe(a));
  EXPECT_NE(now, before) << effect.sysctl << " = " << effect.value << " has no effect in its own namespace";
  EXPECT_EQ(now, effect.expected.value_or(now));
  EXPECT_EQ(SETUP_OK(effect.observe(b)), before) << "the other namespace behaves as before";
  auto third = NetNamespace::Create();
  prepare(third);
  EXPECT_EQ(SETUP_OK(effect.observe(third)), before) << "a third namespace, made afterwards, behaves as ever";
  // The test is in the namespace that the three were made from; what is of a device may not be there.
  const auto creator = NetNamespace::Current();
  if (const std::string low = LowerThreshold(effect.sysctl); !low.empty() && creator.HasSysctl(low)) SETUP_OK(creator.SetSysctl(low, "0"));
  if (creator.HasSysctl(effect.sysctl) && creator.SetSysctl(effect.sysctl, effect.value).ok()) {
    EXPECT_EQ(SETUP_OK(effect.observe(b)), before) << effect.sysctl << " = " << effect.value << " of the namespace from which it was made acts in another";
    EXPECT_EQ(SETUP_OK(effect.observe(third)), before) << effect.sysctl << " = " << effect.value << " of the namespace from which it was made acts in another";
  }
  EXPECT_THAT(b.Sysctl(effect.sysctl), Holds(testing::Eq(old_b)));
  ASSERT_OK(b.SetSysctl(effect.sysctl, effect.value));
  // An empty range of groups is written with ids that a small user namespace may not have.
  if (auto restored = a.SetSysctl(effect.sysctl, old); restored.ok())
    EXPECT_EQ(SETUP_OK(effect.observe(a)), before) << "control: with the old value the old behaviour";
  else
    EXPECT_EQ(std::string_view(effect.sysctl), "net/ipv4/ping_group_range") << restored.error().ToString();
  EXPECT_EQ(SETUP_OK(effect.observe(b)), now) << "the other way round";
}

/// A value of a namespace, until the end of the test.
class Borrowed {
 public:
  Borrowed(NetNamespace ns, std::string name) : ns_(std::move(ns)), name_(std::move(name)), old_(SetupOk(ns_.Sysctl(name_), "read the value")) {}
  ~Borrowed() { std::ignore = ns_.SetSysctl(name_, old_); }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;
  Status Set(const std::string& value) { return ns_.SetSysctl(name_, value); }
  const std::string& old() const { return old_; }

 private:
  NetNamespace ns_;
  std::string name_, old_;
};

// The same against the initial namespace, where a kernel looks that does not ask for the right one.
inline void InitialValueActsNowhereElse(const Effect& effect) {
  auto a = NetNamespace::Create();
  if (effect.prepare) effect.prepare(a);
  if (!a.HasSysctl(effect.sysctl))
    throw MissingNeed("needs-feature:" + std::string(effect.sysctl), "this kernel has no " + std::string(effect.sysctl) + " in a new namespace");
  const std::string old = SETUP_OK(a.Sysctl(effect.sysctl));
  const int before = SETUP_OK(effect.observe(a));
  std::optional<Borrowed> low;  // restored behind the other
  if (const std::string name = LowerThreshold(effect.sysctl); !name.empty()) SETUP_OK(low.emplace(InitialNetNamespace(), name).Set("0"));
  Borrowed initial(InitialNetNamespace(), effect.sysctl);
  // Once a threshold could only be lowered, for good.
  if (low && !initial.Set(std::to_string(std::stoull(initial.old()) + 1)).ok())
    throw MissingNeed("needs-feature:raised-threshold", std::string(effect.sysctl) + " of the initial namespace cannot be raised", "use Linux 6.9 or later", LinuxVersion{6, 9});
  SETUP_OK(initial.Set(effect.value));
  EXPECT_THAT(a.Sysctl(effect.sysctl), Holds(testing::Eq(old)));
  EXPECT_EQ(SETUP_OK(effect.observe(a)), before) << effect.sysctl << " = " << effect.value << " of the initial namespace acts in another";
  ASSERT_OK(a.SetSysctl(effect.sysctl, effect.value));
  const int now = SETUP_OK(effect.observe(a));
  EXPECT_NE(now, before) << "control: " << effect.sysctl << " = " << effect.value << " in its own namespace";
  // And against what the initial namespace had, and has again.
  SETUP_OK(initial.Set(initial.old()));
  EXPECT_EQ(SETUP_OK(effect.observe(a)), now) << effect.sysctl << " = " << initial.old() << " of the initial namespace acts in another";
}

inline void RegisterEffect(const char* suite, const Effect& effect, Covers covers, Needs needs, const char* file, int line) {
  const Effect* row = &effect;
  for (const char* id : effect.covers) covers.list.push_back(id);
  for (const char* symbol : effect.configs) needs.list.push_back(Config(symbol));
  RegisterBody(suite, std::string("ValueActsInItsOwnNamespace/") + effect.name, file, line, [row] { ActsInItsOwnNamespace(*row); }, covers, needs);
  // Devices of a test are not in the initial namespace, and its loopback device is in use.
  const std::string_view sysctl = effect.sysctl;
  for (const std::string_view part : {"/one/", "/lo/"})
    if (sysctl.find(part) != sysctl.npos) return;
  needs.list.push_back(Machine());
  RegisterBody(suite, std::string("ValueOfTheInitialNamespaceActsNowhereElse/") + effect.name, file, line, [row] { InitialValueActsNowhereElse(*row); }, covers, needs, Exclusive{});
}

}  // namespace netns
