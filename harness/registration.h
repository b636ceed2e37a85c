// SPDX-License-Identifier: GPL-2.0-or-later
// How a test is registered. What it covers and what it needs is static data of the registration: the list, the
// traceability check and the report read it without running the test, also of tests that crash.
//
//   NETNS_TEST(Ports, TcpPortIsFreeAgainInAnotherNamespace, Covers("SOCK-01"), Needs(Config("INET"))) {
//     ...the body, which runs in a process, mount, pid and network namespace of its own...
//   }
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <initializer_list>
#include <string>
#include <type_traits>
#include <vector>

#include "harness/result.h"

namespace netns {

/// Something that a test needs, in the words of the reason codes of docs/events.md.
struct Need {
  std::string text;                ///< "config:VETH", "root", "machine", "nic:e1000:2", "userns", "feature:NAME"
  std::function<bool()> probe = {};  ///< "feature" only; runs in the test's own process, before the body.
  std::string explanation = {};    ///< "feature" only: what a reader is told when the probe says no.
  LinuxVersion since = {};         ///< "feature" only: from this version on a kernel that lacks it fails the test.
};

/// CONFIG_<symbol> must be y or m. Where no configuration can be read the test runs and finds out.
Need Config(std::string symbol);
/// Real root: capabilities in the initial user namespace.
Need Root();
/// The machine is the suite's own: the test may change the initial namespace. Implies Root().
Need Machine();
/// `count` physical network devices of `driver` ("" = any), leased to this test alone. Implies Machine().
Need Nic(std::string driver = "", int count = 1);
/// User namespaces can be created.
Need UserNs();
/// A run-time probe for what no configuration option tells (a version, a backport). Probe, do not compare versions.
Need Feature(std::string name, std::string explanation, std::function<bool()> probe, LinuxVersion since = {});

struct Needs {
  template <class... N>
  explicit Needs(N... needs) : list{std::move(needs)...} {}
  std::vector<Need> list;
};

/// Ids of suites/requirements.yaml.
struct Covers {
  template <class... S>
  explicit Covers(S... ids) : list{std::string(ids)...} {}
  std::vector<std::string> list;
};

/// The test must not run beside others (it changes what the whole machine shares). Needs Machine() in general.
struct Exclusive {};
/// More time than the runner's default, for tests whose subject takes it.
struct Within {
  std::chrono::seconds time;
};
/// Runs only with --full.
struct Full {};
/// The claim is about a kernel without CONFIG_NET_NS: the test runs there, and is MISS elsewhere.
struct WithoutNetNs {};

/// Base of all conformance tests. SetUp, body and TearDown run in the isolated child.
class Test : public testing::Test {
 public:
  void Run() {
    SetUp();
    if (!HasFatalFailure() && !IsSkipped()) TestBody();
    TearDown();
  }
  void TestBody() override = 0;
};

struct TestSpec {
  std::string suite, name;
  const char* file = "";
  int line = 0;
  std::vector<std::string> covers;
  std::vector<Need> needs;
  bool exclusive = false, full = false, without_net_ns = false;
  std::chrono::seconds deadline{0};  ///< 0 = the runner's default
  std::function<Test*()> make;

  std::string FullName() const { return suite + "." + name; }
  void Apply(Covers c) { covers.insert(covers.end(), c.list.begin(), c.list.end()); }
  void Apply(Needs n) { needs.insert(needs.end(), n.list.begin(), n.list.end()); }
  void Apply(Exclusive) { exclusive = true; }
  void Apply(Within w) { deadline = w.time; }
  void Apply(Full) { full = true; }
  void Apply(WithoutNetNs) { without_net_ns = true; }
};

/// All registered tests, in the order of registration.
std::vector<TestSpec>& AllTests();

template <class... Traits>
bool Register(const char* suite, std::string name, const char* file, int line, std::function<Test*()> make,
              Traits... traits) {
  TestSpec spec;
  spec.suite = suite;
  spec.name = std::move(name);
  spec.file = file;
  spec.line = line;
  spec.make = std::move(make);
  (spec.Apply(std::move(traits)), ...);
  AllTests().push_back(std::move(spec));
  return true;
}

/// A test whose body is a function: for tables of tests (one per driver, per file, per cell of a matrix).
/// Call it while static objects are initialised: static const bool rows = [] { RegisterBody(...); return true; }();
class BodyTest : public Test {
 public:
  explicit BodyTest(std::function<void()> body) : body_(std::move(body)) {}
  void TestBody() override { body_(); }

 private:
  std::function<void()> body_;
};
template <class... Traits>
bool RegisterBody(const char* suite, std::string name, const char* file, int line, std::function<void()> body,
                  Traits... traits) {
  return Register(suite, std::move(name), file, line, [body] { return new BodyTest(body); }, std::move(traits)...);
}

/// Bus addresses ("0000:00:03.0") of the network devices that the runner leased to the running test, in the order of its needs.
const std::vector<std::string>& LeasedResources();

}  // namespace netns

#define NETNS_TEST(suite, name, ...) NETNS_TEST_F_(::netns::Test, suite, name, __VA_ARGS__)
/// As NETNS_TEST, with a fixture class derived from netns::Test; the suite has the fixture's name.
#define NETNS_TEST_F(fixture, name, ...) NETNS_TEST_F_(fixture, fixture, name, __VA_ARGS__)
#define NETNS_TEST_F_(base, suite, name, ...)                                                          \
  class suite##_##name##_Test : public base {                                                          \
   public:                                                                                             \
    void TestBody() override;                                                                          \
  };                                                                                                   \
  [[maybe_unused]] static const bool suite##_##name##_registered = ::netns::Register(                  \
      #suite, #name, __FILE__, __LINE__, [] { return new suite##_##name##_Test; }, __VA_ARGS__);       \
  void suite##_##name##_Test::TestBody()
