// SPDX-License-Identifier: GPL-2.0-or-later
#include "harness/runner.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <list>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "harness/child.h"
#include "harness/event.h"
#include "harness/host_guard.h"
#include "harness/isolation.h"
#include "harness/kernel_config.h"
#include "harness/kernel_log.h"
#include "harness/patience.h"
#include "harness/quick.h"
#include "harness/stream.h"

namespace netns {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;
constexpr std::size_t kOutputLimit = 64 * 1024;
constexpr std::size_t kWaitReportSize = 512;
constexpr std::size_t kCheckLimit = 200;  // failures kept of one test; the rest are counted
constexpr std::chrono::milliseconds kSignOfLife{30000};  // to the console, where somebody may wait for one
constexpr int kVainWaits = 4;  ///< as many as run at once on one CPU
constexpr std::chrono::seconds kLongestDeadline{480};  // 'vm' gives a test up after 600
constexpr std::size_t kGuardBatch = 64;   // tests between two looks at all of the host

/// Text for a terminal: control characters but newline and tab made visible.
std::string Printable(const std::string& text) {
  std::string out;
  for (unsigned char c : text) {
    if (c == '\n' || c == '\t' || (c >= 0x20 && c != 0x7f)) {
      out += static_cast<char>(c);
    } else {
      char escaped[5];
      std::snprintf(escaped, sizeof escaped, "\\x%02x", c);
      out += escaped;
    }
  }
  return out;
}

struct Outcome {
  std::string verdict;
  std::vector<Event> checks;
  std::size_t checks_dropped = 0;
  Reason reason;
  std::string skip_file;
  int skip_line = 0;
  std::map<std::string, std::string> properties;
  std::string output, kernel_log;
  std::size_t output_dropped = 0;
  double duration_ms = 0;
};

struct Unmap {
  void operator()(char* memory) const { ::munmap(memory, kWaitReportSize); }
};

struct Running {
  const TestSpec* spec = nullptr;
  IsolatedTest process;
  EventReader events;
  Deadline deadline = Deadline::In(std::chrono::seconds(0));
  std::unique_ptr<char, Unmap> wait_report;  ///< MAP_SHARED
  Clock::time_point started;
  bool done = false, exited = false, killed = false, skipped = false, events_open = true, output_open = true;
  int status = 0;
  std::vector<std::string> nics;
  unsigned long taint = 0;
  Outcome outcome;
};

class Runner {
 public:
  explicit Runner(const RunnerOptions& options)
      : options_(options), machine_(MachineState::Probe()), log_(options.disposable) {
    // Not longer than usual where a test has a longer deadline: that is for all that it does, not for one wait.
    SetPatience(patience_);
    machine_.disposable = options.disposable;
    machine_.full = options.full;
    if (options.disposable && machine_.net_namespaces)
      if (auto initial = Open("/proc/self/ns/net", O_RDONLY); initial.ok()) initial_ = std::move(*initial);
    if (options.disposable && machine_.real_root && options.find_devices) devices_ = options.find_devices();
    for (const auto& device : devices_) machine_.nics.emplace_back(device.driver, device.bus);
    ReadMachineFacts();
  }

  Status OpenStream() {
    ASSIGN_OR_RETURN(stream_, Stream::Open(options_.stream_path));
    return Ok();
  }
  Status ReadSkipFile() {
    if (options_.skip_file.empty()) return Ok();
    std::ifstream file(options_.skip_file);
    if (!file) return Error{ENOENT, "open(\"" + options_.skip_file + "\")"};
    for (std::string line; std::getline(file, line);)
      if (!line.empty()) skip_.emplace(line, "named in the skip file");
    return Ok();
  }
  Status ReadAloneFile() {
    if (options_.alone_file.empty()) return Ok();
    std::ifstream file(options_.alone_file);
    if (!file) return Error{ENOENT, "open(\"" + options_.alone_file + "\")"};
    for (std::string line; std::getline(file, line);)
      if (!line.empty()) apart_.insert(line);
    return Ok();
  }

  const MachineState& machine() const { return machine_; }
  Stream& stream() { return stream_; }
  std::map<std::string, int>& counts() { return counts_; }

  void ReadMachineFacts();
  void LeaveToOtherShards();
  void WriteHeader();
  void BeginIteration(const testing::UnitTest& unit_test, int iteration);
  void EndIteration();
  void Finish(int exit_status);
  void BeginGuard();
  void EndGuard();
  /// Called from the proxy's body: the outcome of this test, when its process is done.
  Outcome Await(const TestSpec& spec);

 private:
  /// Whether nothing else may run beside it.
  bool Alone(const TestSpec& spec) const { return spec.exclusive || apart_.count(spec.FullName()) > 0; }
  void OrderUpcoming();
  void StartWhatFits();
  bool Fits(const TestSpec& spec, std::vector<std::string>* nics);
  void Start(const TestSpec& spec, std::vector<std::string> nics);
  void Pump();
  void ReadEvents(Running& test);
  void ReadOutput(Running& test);
  void ReadKernelLog();
  void AddCheck(Running& test, Event event);
  void Conclude(Running& test);
  bool GuardsHost() const { return options_.host_guard && !machine_.disposable; }
  void GuardAfter(Running& test);
  void LookAtHost();
  void ApplyKnownDefects(const TestSpec& spec, Outcome& outcome);
  void LosePatience(const TestSpec& spec, const Outcome& outcome);
  void Report(const TestSpec& spec, Outcome outcome);

  RunnerOptions options_;
  MachineState machine_;
  KernelLog log_;
  Stream stream_;
  json facts_ = json::object();
  Fd initial_;  ///< the runner's own network namespace, lent to tests on a disposable machine
  std::vector<RunnerOptions::Device> devices_;
  std::map<std::string, std::string> skip_;  ///< test -> why
  std::set<std::string> apart_, busy_nics_;
  std::vector<const TestSpec*> upcoming_;  // not yet started
  std::list<Running> running_;
  std::map<const TestSpec*, Outcome> finished_;
  std::map<std::string, int> counts_;
  HostSnapshot cheap_, whole_;
  std::set<const TestSpec*> since_look_, drift_suspects_;
  std::chrono::milliseconds patience_ = options_.deadline;
  int vain_waits_ = 0;  ///< tests that failed after a long wait for what the kernel did not do
  bool again_ = false;  ///< a suspect of a drift runs again, by itself
  int iteration_ = 1;
  Clock::time_point begun_ = Clock::now(), last_sign_ = begun_;
};

Runner* runner = nullptr;

json CheckJson(const Event& check) {
  return {{"kind", check.check}, {"file", check.file},   {"line", check.line},
          {"message", check.text}, {"fatal", check.fatal}, {"where", check.where}};
}

std::vector<std::string> NeedTexts(const TestSpec& spec) {
  std::vector<std::string> texts;
  for (const Need& need : spec.needs) texts.push_back(need.text);
  return texts;
}

json PlanEntry(const TestSpec& spec) {
  return {{"name", spec.FullName()}, {"covers", spec.covers}, {"needs", NeedTexts(spec)},
          {"file", spec.file},       {"line", spec.line}};
}

// Options that no test needs by name, and that profiles of distributions ask for; the header tells them, too.
constexpr std::array kOptionsOfProfiles = {
    "NAMESPACES", "NET_NS", "USER_NS", "PID_NS", "UTS_NS", "IPC_NS", "TIME_NS", "CGROUPS", "CGROUP_BPF", "CGROUP_NET_CLASSID",
    "CGROUP_NET_PRIO", "BPF_SYSCALL", "SECCOMP_FILTER", "PROC_FS", "PROC_SYSCTL", "SYSFS", "SYSCTL", "UNIX", "UNIX_DIAG", "PACKET",
    "PACKET_DIAG", "INET", "INET_DIAG", "IPV6", "IP_MULTIPLE_TABLES", "IPV6_MULTIPLE_TABLES", "IP_MULTICAST", "NET_SCHED",
    "NET_SCH_FQ_CODEL", "NET_SCH_INGRESS", "NET_CLS_BPF", "NET_ACT_BPF", "VETH", "BRIDGE", "BRIDGE_NETFILTER",
    "BRIDGE_VLAN_FILTERING", "DUMMY", "VLAN_8021Q", "MACVLAN", "MACVTAP", "IPVLAN", "IPVTAP", "VXLAN", "GENEVE", "TUN", "WIREGUARD",
    "NETKIT", "NET_VRF", "BONDING", "NET_TEAM", "NET_IPIP", "NET_IPGRE", "IPV6_SIT", "IPV6_TUNNEL", "NETFILTER", "NETFILTER_ADVANCED",
    "NETFILTER_XTABLES", "NETFILTER_XT_MARK", "NETFILTER_XT_MATCH_ADDRTYPE", "NETFILTER_XT_MATCH_COMMENT",
    "NETFILTER_XT_MATCH_CONNTRACK", "NETFILTER_XT_MATCH_IPVS", "NETFILTER_XT_MATCH_MULTIPORT", "NETFILTER_XT_TARGET_MASQUERADE",
    "NETFILTER_XT_TARGET_REDIRECT", "NF_TABLES", "NF_TABLES_INET", "NF_TABLES_IPV4", "NF_TABLES_IPV6", "NFT_NAT", "NFT_MASQ",
    "NFT_COMPAT", "NFT_FIB_INET", "NF_CONNTRACK", "NF_CT_NETLINK", "NF_NAT", "IP_NF_IPTABLES", "IP_NF_FILTER", "IP_NF_NAT",
    "IP6_NF_IPTABLES", "IP6_NF_FILTER", "IP6_NF_NAT", "IP_VS", "IP_SET", "XFRM_USER", "INET_ESP", "POSIX_MQUEUE", "OVERLAY_FS",
    "KEYS"};

std::set<std::string> SelectedTests() {
  std::set<std::string> selected;
  const auto& unit_test = *testing::UnitTest::GetInstance();
  for (int s = 0; s < unit_test.total_test_suite_count(); ++s)
    for (int t = 0; t < unit_test.GetTestSuite(s)->total_test_count(); ++t) {
      const auto* info = unit_test.GetTestSuite(s)->GetTestInfo(t);
      if (info->should_run()) selected.insert(std::string(info->test_suite_name()) + "." + info->name());
    }
  return selected;
}

/// What the launcher of a virtual machine tells of it.
void Runner::ReadMachineFacts() {
  if (options_.machine_facts_path.empty()) return;
  auto text = ReadFile(options_.machine_facts_path);
  json facts = text.ok() ? json::parse(*text, nullptr, false) : json();
  if (!facts.is_object()) return;
  facts_ = std::move(facts);
  for (const json& card : facts_.value("nics", json::array()))
    for (const char* name : {"model", "driver"})
      if (card.is_object() && card.contains(name) && card[name].is_string()) machine_.cards.insert(card[name]);
}

void Runner::LeaveToOtherShards() {
  if (options_.shards == 1) return;
  const std::set<std::string> selected = SelectedTests();
  int nth = 0;
  for (const TestSpec& spec : AllTests())
    if (selected.count(spec.FullName()) > 0 && nth++ % options_.shards != options_.shard - 1)
      skip_.emplace(spec.FullName(), "in another shard");
}

void Runner::WriteHeader() {
  // The plan of some thousand tests takes a while to write; CTest runs the program once a test, without a stream.
  if (!stream_.goes_somewhere()) return;
  std::set<std::string> options;
  json plan = json::array();
  const std::set<std::string> selected = SelectedTests();
  for (const TestSpec& spec : AllTests()) {
    for (const Need& need : spec.needs)
      if (need.text.rfind("config:", 0) == 0) options.insert(need.text.substr(7));
    json entry = PlanEntry(spec);
    entry["selected"] = selected.count(spec.FullName()) > 0;
    plan.push_back(std::move(entry));
  }
  options.insert(kOptionsOfProfiles.begin(), kOptionsOfProfiles.end());
  json nics = json::array();
  for (const auto& device : devices_)
    nics.push_back({{"name", device.name}, {"driver", device.driver}, {"mac", device.mac}, {"bus", device.bus}});
  stream_.Write("header", {{"schema", "1.0"},
                           {"tool", {{"name", "netns-conformance"}, {"version", options_.tool_version}}},
                           {"kernel", KernelFacts({options.begin(), options.end()})},
                           {"command", options_.command},
                           {"privilege", machine_.real_root ? "root" : "user"},
                           {"disposable", machine_.disposable},
                           {"machine", facts_},
                           {"nics", nics},
                           {"jobs", options_.jobs},
                           {"quick", options_.quick},
                           {"seed", testing::UnitTest::GetInstance()->random_seed()},
                           {"tests", plan}});
}

void Runner::BeginGuard() {
  if (!GuardsHost()) return;
  whole_ = HostSnapshot::Whole();
  cheap_ = HostSnapshot::Cheap();
}

/// After every test what is cheap, after every batch the rest.
void Runner::GuardAfter(Running& test) {
  if (again_) {
    HostSnapshot now = HostSnapshot::Whole();
    for (const std::string& line : whole_.DriftTo(now)) {
      Event event;
      event.check = "host-drift";
      event.text = "this machine changed while the test ran, and once more while it ran alone: " + line;
      event.fatal = true;
      AddCheck(test, std::move(event));
    }
    whole_.PutBackSysctls(now);
    whole_ = HostSnapshot::Whole();
    return;
  }
  HostSnapshot now = HostSnapshot::Cheap();
  if (!cheap_.DriftTo(now).empty()) {
    cheap_ = now;
    since_look_.clear();  // those before it left the cheap part as it was
    since_look_.insert(test.spec);
    LookAtHost();
    return;
  }
  since_look_.insert(test.spec);
  if (since_look_.size() >= kGuardBatch) LookAtHost();
}

/// Compares all of the host. What drifted is told and, as far as it is sysctls, put back; who did it shows later.
void Runner::LookAtHost() {
  HostSnapshot now = HostSnapshot::Whole();
  auto drift = whole_.DriftTo(now);
  if (!drift.empty()) {
    whole_.PutBackSysctls(now);
    now = HostSnapshot::Whole();
    drift_suspects_.insert(since_look_.begin(), since_look_.end());
    for (const Running& other : running_) drift_suspects_.insert(other.spec);
  }
  for (const std::string& line : drift) {
    std::string text = "this machine changed during the run: " + line;
    stream_.Write("note", {{"level", "warning"}, {"text", text}, {"kind", "host-drift"}});
    std::fprintf(stderr, "netns-tests: %s\n", Printable(text).c_str());
  }
  whole_ = std::move(now);
  since_look_.clear();
}

/// Runs the tests that may have changed the host once more, each by itself: the one that does it again is to blame. What
/// none does again was somebody else's doing, on a machine that others use.
void Runner::EndGuard() {
  if (!GuardsHost()) return;
  if (!since_look_.empty()) LookAtHost();
  if (drift_suspects_.empty()) return;
  again_ = true;
  ++iteration_;
  const int errors = counts_["ERROR"] + counts_["FAIL"];
  for (const TestSpec* spec : drift_suspects_) {
    upcoming_ = {spec};
    const Outcome outcome = Await(*spec);
    for (const Event& check : outcome.checks)
      if (check.check == "host-drift") std::fprintf(stderr, "netns-tests: %s: %s\n", spec->FullName().c_str(), Printable(check.text).c_str());
  }
  if (counts_["ERROR"] + counts_["FAIL"] == errors) {
    const std::string text = "none of the " + std::to_string(drift_suspects_.size()) +
                             " tests that ran meanwhile changes this machine when it runs alone: somebody else did";
    stream_.Write("note", {{"level", "warning"}, {"text", text}, {"kind", "host-drift"}});
    std::fprintf(stderr, "netns-tests: %s\n", text.c_str());
  }
}

void Runner::BeginIteration(const testing::UnitTest& unit_test, int iteration) {
  iteration_ = iteration + 1;
  std::map<std::string, const TestSpec*> by_name;
  for (const TestSpec& spec : AllTests()) by_name[spec.FullName()] = &spec;
  upcoming_.clear();
  finished_.clear();
  // GetTestSuite(i) and GetTestInfo(i) follow the shuffled order.
  for (int s = 0; s < unit_test.total_test_suite_count(); ++s) {
    const testing::TestSuite* suite = unit_test.GetTestSuite(s);
    if (!suite->should_run()) continue;
    for (int t = 0; t < suite->total_test_count(); ++t) {
      const testing::TestInfo* info = suite->GetTestInfo(t);
      auto spec = by_name.find(std::string(info->test_suite_name()) + "." + info->name());
      if (info->should_run() && spec != by_name.end()) upcoming_.push_back(spec->second);
    }
  }
  OrderUpcoming();
}

/// GoogleTest's order, but for what a run of several jobs gains by: what waits for a card starts first, because each card
/// serves one test after the other, and what must be alone comes last, so that the others are waited for once only.
void Runner::OrderUpcoming() {
  const auto rank = [&](const TestSpec* spec) {
    if (apart_.count(spec->FullName()) > 0) return 0;
    if (options_.jobs == 1) return 1;
    if (spec->exclusive) return 3;
    return std::any_of(spec->needs.begin(), spec->needs.end(), [](const Need& need) { return NicNeed(need.text).has_value(); }) ? 1 : 2;
  };
  std::stable_sort(upcoming_.begin(), upcoming_.end(), [&](const TestSpec* a, const TestSpec* b) { return rank(a) < rank(b); });
}

void Runner::EndIteration() {
  // --gtest_fail_fast leaves tests that were started ahead: they end here, without a word.
  for (Running& test : running_) {
    ::syscall(SYS_pidfd_send_signal, test.process.pidfd.get(), SIGKILL, nullptr, 0);
    ::waitpid(test.process.init, nullptr, 0);
  }
  running_.clear();
  busy_nics_.clear();
}

bool Runner::Fits(const TestSpec& spec, std::vector<std::string>* nics) {
  if (Alone(spec) && !running_.empty()) return false;
  for (const Running& other : running_)
    if (Alone(*other.spec)) return false;
  for (const Need& need : spec.needs) {
    auto nic = NicNeed(need.text);
    if (!nic) continue;
    int wanted = nic->second;
    for (const auto& device : devices_) {
      if (wanted == 0) break;
      if ((!nic->first.empty() && device.driver != nic->first) || busy_nics_.count(device.bus) > 0 ||
          std::count(nics->begin(), nics->end(), device.bus) > 0)
        continue;
      nics->push_back(device.bus);  // names may change hands, places do not
      --wanted;
    }
    if (wanted > 0) return false;
  }
  return true;
}

void Runner::StartWhatFits() {
  for (auto next = upcoming_.begin(); next != upcoming_.end() && running_.size() < static_cast<std::size_t>(options_.jobs);) {
    const TestSpec& spec = **next;
    if (const auto skipped = skip_.find(spec.FullName()); skipped != skip_.end()) {
      Outcome outcome;
      outcome.verdict = "SKIP";
      outcome.reason = {"not-selected", skipped->second, ""};
      next = upcoming_.erase(next);
      Report(spec, std::move(outcome));
      continue;
    }
    if (auto missing = Missing(spec, machine_)) {
      Outcome outcome;
      outcome.verdict = missing->code == "not-selected" ? "SKIP" : "MISS";
      outcome.reason = *missing;
      next = upcoming_.erase(next);
      Report(spec, std::move(outcome));
      continue;
    }
    std::vector<std::string> nics;
    if (!Fits(spec, &nics)) {
      if (Alone(spec)) return;  // what comes later must not overtake it for ever
      ++next;
      continue;
    }
    next = upcoming_.erase(next);
    Start(spec, std::move(nics));
  }
}

void Runner::Start(const TestSpec& spec, std::vector<std::string> nics) {
  ReadKernelLog();
  stream_.Write("start", {{"test", spec.FullName()}, {"iteration", iteration_}});
  log_.Mark("start " + spec.FullName());
  Running test;
  test.spec = &spec;
  test.started = Clock::now();
  // A test that needs more time than others needs more by the same factor where all take longer (an emulated CPU), but no more
  // than the launcher of a machine waits for one.
  const auto longer = std::min(spec.deadline * options_.deadline.count() / RunnerOptions{}.deadline.count(), kLongestDeadline);
  test.deadline = Deadline::In(std::max({options_.deadline, spec.deadline, longer}));
  void* shared = ::mmap(nullptr, kWaitReportSize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared != MAP_FAILED) test.wait_report.reset(static_cast<char*>(shared));
  test.nics = nics;
  test.taint = KernelLog::Taint();
  IsolationOptions isolation;
  isolation.user_namespace = !machine_.real_root;
  isolation.network_namespace = machine_.net_namespaces;
  isolation.test = spec.FullName();
  isolation.leased = std::move(nics);
  isolation.initial_network_namespace = initial_.get();
  isolation.deadline = test.deadline;
  isolation.wait_report = test.wait_report.get();
  isolation.wait_report_size = test.wait_report != nullptr ? kWaitReportSize : 0;
  for (const Running& other : running_) {
    isolation.close_in_child.push_back(other.process.events.get());
    isolation.close_in_child.push_back(other.process.output.get());
  }
  if (stream_.goes_somewhere()) isolation.close_in_child.push_back(stream_.fd());
  auto process = StartIsolated(spec, isolation);
  if (!process.ok()) {
    Event event;
    event.check = "setup";
    event.fatal = true;
    event.text = "the test's process could not be started: " + process.error().ToString();
    test.exited = test.done = true;
    AddCheck(test, event);
    test.events_open = test.output_open = false;
    Conclude(test);
    return;
  }
  test.process = std::move(*process);
  for (const auto& nic : test.nics) busy_nics_.insert(nic);
  running_.push_back(std::move(test));
}

void Runner::AddCheck(Running& test, Event event) {
  if (test.outcome.checks.size() >= kCheckLimit) {
    ++test.outcome.checks_dropped;
    return;
  }
  json line = CheckJson(event);
  line["test"] = test.spec->FullName();
  line["iteration"] = iteration_;
  stream_.Write("check", std::move(line));
  test.outcome.checks.push_back(std::move(event));
}

void Runner::ReadEvents(Running& test) {
  if (!test.events_open) return;
  test.events_open = test.events.Read(test.process.events.get(), [&](std::string_view message) {
    Event event;
    if (!Event::Decode(message, event)) return;
    switch (event.kind) {
      case Event::Kind::kCheck:
        AddCheck(test, std::move(event));
        break;
      case Event::Kind::kSkip:
        test.skipped = true;
        test.outcome.reason = {"skipped", event.text, ""};
        test.outcome.skip_file = event.file;
        test.outcome.skip_line = event.line;
        break;
      case Event::Kind::kMiss:
        test.skipped = true;
        test.outcome.reason = {event.key, event.text, event.remedy};
        break;
      case Event::Kind::kProperty:
        test.outcome.properties[event.key] = event.text;
        break;
      case Event::Kind::kDone:
        test.done = true;
        break;
      case Event::Kind::kExit:
        test.exited = true;
        test.status = event.status;
        break;
    }
  });
}

void Runner::ReadOutput(Running& test) {
  static char buffer[65536];
  while (test.output_open) {
    pollfd ready{test.process.output.get(), POLLIN, 0};
    if (::poll(&ready, 1, 0) <= 0) return;
    ssize_t n = ::read(test.process.output.get(), buffer, sizeof buffer);
    if (n <= 0) {
      test.output_open = false;
      return;
    }
    std::size_t room = kOutputLimit - std::min(kOutputLimit, test.outcome.output.size());
    std::size_t kept = std::min(room, static_cast<std::size_t>(n));
    test.outcome.output.append(buffer, kept);
    test.outcome.output_dropped += static_cast<std::size_t>(n) - kept;
  }
}

void Runner::ReadKernelLog() {
  auto lines = log_.Drain();
  if (lines.empty()) return;
  bool finding = std::any_of(lines.begin(), lines.end(), KernelLog::IsFinding);
  for (Running& test : running_) {
    for (const std::string& line : lines)
      if (test.outcome.kernel_log.size() < kOutputLimit) test.outcome.kernel_log += line + "\n";
    if (!finding) continue;
    Event event;
    event.check = "kernel-log";
    event.text = "the kernel complained while this test ran";
    if (running_.size() > 1) event.text += " (beside " + std::to_string(running_.size() - 1) + " others)";
    for (const std::string& line : lines)
      if (KernelLog::IsFinding(line)) event.text += "\n  " + line;
    AddCheck(test, std::move(event));
  }
}

void Runner::Pump() {
  std::vector<pollfd> fds;
  int timeout = 1 << 30;
  for (Running& test : running_) {
    fds.push_back({test.events_open ? test.process.events.get() : -1, POLLIN, 0});
    fds.push_back({test.output_open ? test.process.output.get() : -1, POLLIN, 0});
    fds.push_back({test.process.pidfd.get(), POLLIN, 0});
    timeout = std::min(timeout, test.killed ? 10000 : test.deadline.PollMs());
  }
  timeout = std::min(timeout, static_cast<int>(kSignOfLife.count()));
  if (Clock::now() - last_sign_ >= kSignOfLife) {
    last_sign_ = Clock::now();
    std::string names;
    for (const Running& test : running_) names += " " + test.spec->FullName();
    log_.Mark("still at" + names);
  }
  if (::poll(fds.data(), fds.size(), timeout) < 0 && errno != EINTR) return;
  std::size_t i = 0;
  for (auto test = running_.begin(); test != running_.end(); i += 3) {
    if (fds[i].revents != 0) ReadEvents(*test);
    if (fds[i + 1].revents != 0) ReadOutput(*test);
    bool ended = fds[i + 2].revents != 0;
    if (!ended && !test->killed && test->deadline.Passed()) {
      ReadEvents(*test);
      Event event;
      event.check = "deadline";
      event.fatal = true;
      auto seconds = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - test->started).count() / 1000.0;
      char text[64];
      std::snprintf(text, sizeof text, "the deadline passed after %.1f s", seconds);
      event.text = text;
      if (test->wait_report != nullptr && *test->wait_report != '\0')
        event.text += std::string(", waiting for ") + test->wait_report.get();
      AddCheck(*test, std::move(event));
      test->killed = true;
      // The kernel kills all of the pid namespace with its init.
      ::syscall(SYS_pidfd_send_signal, test->process.pidfd.get(), SIGKILL, nullptr, 0);
    }
    if (!ended) {
      ++test;
      continue;
    }
    ::waitpid(test->process.init, nullptr, 0);
    ReadEvents(*test);
    ReadOutput(*test);
    ReadKernelLog();
    Conclude(*test);
    test = running_.erase(test);
  }
}

void Runner::Conclude(Running& test) {
  Outcome& outcome = test.outcome;
  auto add = [&](const char* kind, const std::string& text) {
    Event event;
    event.check = kind;
    event.text = text;
    event.fatal = true;
    AddCheck(test, std::move(event));
  };
  if (!test.killed) {
    if (test.exited && WIFSIGNALED(test.status))
      add("crash", "the test " + DescribeWaitStatus(test.status));
    else if (test.exited && (test.status != 0 || !test.done))
      add("exit", test.status == 0 ? "the test's process exited with status 0 before the test was done"
                                   : "the test's process " + DescribeWaitStatus(test.status));
    else if (!test.exited && outcome.checks.empty())
      add("crash", "the test's init was killed before it could say how the test ended");
  }
  if (GuardsHost()) GuardAfter(test);
  if (unsigned long taint = KernelLog::Taint(); taint & ~test.taint) {
    char text[96];
    std::snprintf(text, sizeof text, "the kernel got tainted: %#lx -> %#lx", test.taint, taint);
    add("kernel-log", text);
  }
  bool failed = false, broken = false;
  for (const Event& check : outcome.checks) {
    if (check.check == "expectation" || check.check == "deadline" || check.check == "kernel-log" || check.check == "leak")
      failed = true;
    else
      broken = true;
  }
  outcome.verdict = failed ? "FAIL" : broken ? "ERROR" : test.skipped ? "MISS" : test.done ? "PASS" : "ERROR";
  if (!broken) ApplyKnownDefects(*test.spec, outcome);
  outcome.duration_ms = std::chrono::duration<double, std::milli>(Clock::now() - test.started).count();
  for (const auto& nic : test.nics) busy_nics_.erase(nic);
  log_.Mark("end " + test.spec->FullName() + " " + outcome.verdict);
  LosePatience(*test.spec, outcome);
  Report(*test.spec, std::move(outcome));
}

/// A failure that is known of this kernel says nothing new: MISS, with the reference. Only of expectations: a kernel that
/// crashes, warns or hangs on top of it is news. A test that passes against what is known is told, too.
void Runner::ApplyKnownDefects(const TestSpec& spec, Outcome& outcome) {
  utsname names{};
  ::uname(&names);
  auto known = FindKnownDefect(options_.known_defects, spec.FullName(), names.release);
  if (!known) return;
  const std::string kernels = "kernels " + known->first + " to " + known->last;
  if (outcome.verdict == "PASS")
    stream_.Write("note", {{"level", "info"},
                           {"text", spec.FullName() + " passes, although it is known to fail on " + kernels + " (" +
                                        known->reference + "); suites/known-defects.txt can be shortened"}});
  const bool as_known = std::all_of(outcome.checks.begin(), outcome.checks.end(),
                                    [](const Event& check) { return check.check == "expectation"; });
  if (outcome.verdict != "FAIL" || !as_known) return;
  outcome.verdict = "MISS";
  outcome.reason = {"known-defect", "the kernel is known to be wrong here, " + kernels + ": " + known->reference,
                    "use a newer kernel"};
}

/// What a good kernel does in a fraction of the time has not come, and a machine that was merely slow would have let one
/// test fail, not that many: the rest need not wait as long. The run is lost already.
void Runner::LosePatience(const TestSpec& spec, const Outcome& outcome) {
  using Milliseconds = std::chrono::duration<double, std::milli>;
  const auto full = std::chrono::duration_cast<std::chrono::milliseconds>(options_.deadline);
  const auto next = std::clamp(patience_ / 2, full / 24, full / 6);
  const bool in_vain = std::any_of(outcome.checks.begin(), outcome.checks.end(), [](const Event& check) {
    return check.text.find("waiting for ") != std::string::npos;
  });
  const bool bad = outcome.verdict == "FAIL" || outcome.verdict == "ERROR";
  if (!bad || !in_vain || outcome.duration_ms < Milliseconds(std::min(patience_, full / 6)).count()) return;
  if (++vain_waits_ % kVainWaits != 0 || next >= patience_) return;
  patience_ = next;
  SetPatience(patience_);
  char text[200];
  std::snprintf(text, sizeof text, "%d tests waited in vain, the last of them %s; each that starts from now on waits for at most %.1f s",
                vain_waits_, spec.FullName().c_str(), Milliseconds(patience_).count() / 1000.0);
  stream_.Write("note", {{"level", "warning"}, {"text", text}});
}

void Runner::Report(const TestSpec& spec, Outcome outcome) {
  ++counts_[outcome.verdict];
  json failures = json::array();
  for (const Event& check : outcome.checks) failures.push_back(CheckJson(check));
  json line{{"test", spec.FullName()},   {"iteration", iteration_}, {"verdict", outcome.verdict},
            {"duration_ms", outcome.duration_ms}, {"covers", spec.covers},   {"needs", NeedTexts(spec)},
            {"failures", failures},      {"properties", outcome.properties}};
  if (outcome.checks_dropped > 0) line["failures_dropped"] = outcome.checks_dropped;
  if (!outcome.reason.code.empty())
    line["reason"] = {{"code", outcome.reason.code}, {"text", outcome.reason.text}, {"remedy", outcome.reason.remedy}};
  bool bad = outcome.verdict == "FAIL" || outcome.verdict == "ERROR";
  if (bad && !outcome.kernel_log.empty()) line["kernel_log"] = outcome.kernel_log;
  if (!outcome.output.empty()) line["output"] = outcome.output;
  if (outcome.output_dropped > 0) line["output_dropped"] = outcome.output_dropped;
  stream_.Write("end", std::move(line));
  finished_[&spec] = std::move(outcome);
}

Outcome Runner::Await(const TestSpec& spec) {
  for (;;) {
    StartWhatFits();
    if (auto done = finished_.find(&spec); done != finished_.end()) {
      Outcome outcome = std::move(done->second);
      finished_.erase(done);
      return outcome;
    }
    if (!running_.empty()) Pump();
  }
}

void Runner::Finish(int exit_status) {
  json counts = json::object();
  for (const char* verdict : {"PASS", "FAIL", "ERROR", "MISS", "SKIP"}) counts[verdict] = counts_[verdict];
  stream_.Write("footer",
                {{"counts", counts},
                 {"duration_ms", std::chrono::duration<double, std::milli>(Clock::now() - begun_).count()},
                 {"exit_status", exit_status}});
}

/// Replays one result in GoogleTest as if it had happened here. AssertHelper is the only way in that takes a place.
void Replay(testing::TestPartResult::Type type, const std::string& file, int line, const std::string& text) {
  testing::internal::AssertHelper(type, file.c_str(), line, Printable(text).c_str()) = testing::Message();
}

class Proxy : public testing::Test {
 public:
  explicit Proxy(const TestSpec* spec) : spec_(spec) {}

 private:
  void TestBody() override {
    Outcome outcome = runner->Await(*spec_);
    for (const auto& [key, value] : outcome.properties) RecordProperty(key, Printable(value));
    for (const Event& check : outcome.checks) {
      if (outcome.reason.code == "known-defect") break;  // in the stream it stands in full
      std::string text = check.text;
      if (check.check == "setup") text = "[set-up, not the claim] " + text;
      if (!check.where.empty()) text += "\n  in " + check.where;
      Replay(check.fatal ? testing::TestPartResult::kFatalFailure : testing::TestPartResult::kNonFatalFailure,
             check.file, check.line, text);
    }
    if (outcome.verdict == "FAIL" || outcome.verdict == "ERROR") {
      if (runner_options->describe_requirement && outcome.verdict == "FAIL")
        for (const std::string& id : spec_->covers)
          std::printf("  documented: %s  %s\n", id.c_str(), runner_options->describe_requirement(id).c_str());
      if (!outcome.output.empty()) std::printf("  output of the test:\n%s\n", Printable(outcome.output).c_str());
      if (!outcome.kernel_log.empty()) std::printf("  kernel log:\n%s\n", Printable(outcome.kernel_log).c_str());
    }
    if (outcome.verdict == "MISS" || outcome.verdict == "SKIP")
      Replay(testing::TestPartResult::kSkip, outcome.skip_file, outcome.skip_line,
             outcome.verdict + " " + outcome.reason.code + ": " + outcome.reason.text);
  }

  const TestSpec* spec_;

 public:
  static inline const RunnerOptions* runner_options = nullptr;
};

class IterationListener : public testing::EmptyTestEventListener {
 public:
  void OnTestIterationStart(const testing::UnitTest& unit_test, int iteration) override {
    if (iteration == 0) {
      runner->LeaveToOtherShards();
      runner->WriteHeader();
      runner->BeginGuard();
    }
    runner->BeginIteration(unit_test, iteration);
  }
  void OnTestIterationEnd(const testing::UnitTest&, int) override { runner->EndIteration(); }
};

/// One plain line per test that did not pass, and a progress line on a terminal.
class ProgressPrinter : public testing::EmptyTestEventListener {
 public:
  explicit ProgressPrinter(bool terminal) : terminal_(terminal) {}
  void OnTestStart(const testing::TestInfo& info) override {
    if (!terminal_) return;
    std::printf("\r\033[K[%d] %s.%s", done_, info.test_suite_name(), info.name());
    std::fflush(stdout);
  }
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (terminal_) std::printf("\r\033[K");
    if (!result.skipped() && !result.passed())
      std::printf("%s:%d: %s\n", result.file_name() != nullptr ? result.file_name() : "?", result.line_number(),
                  result.message());
  }
  void OnTestEnd(const testing::TestInfo& info) override {
    ++done_;
    const testing::TestResult& result = *info.result();
    if (result.Passed() && terminal_) return;
    if (terminal_) std::printf("\r\033[K");
    std::printf("%s %s.%s\n", result.Skipped() ? "MISS" : result.Passed() ? "PASS" : "FAIL", info.test_suite_name(),
                info.name());
  }
  void OnTestProgramEnd(const testing::UnitTest&) override {
    if (terminal_) std::printf("\r\033[K");
    std::fflush(stdout);
  }

 private:
  bool terminal_;
  int done_ = 0;
};

void ChoosePrinter(const std::string& progress) {
  auto& listeners = testing::UnitTest::GetInstance()->listeners();
  if (progress == "auto" || progress == "gtest") return;  // GoogleTest's own
  delete listeners.Release(listeners.default_result_printer());
  if (progress != "none") listeners.Append(new ProgressPrinter(progress == "terminal"));
}

}  // namespace

/// Of two tests of one name GoogleTest would run both and the runner would wait for ever for the first.
void RefuseDoubles() {
  std::map<std::string, const TestSpec*> by_name;
  for (const TestSpec& spec : AllTests()) {
    auto [first, is_new] = by_name.emplace(spec.FullName(), &spec);
    if (is_new) continue;
    std::fprintf(stderr, "netns-tests: two tests are called %s: %s:%d and %s:%d; rename one\n", spec.FullName().c_str(),
                 first->second->file, first->second->line, spec.file, spec.line);
    std::exit(kUsage);
  }
}

std::string ListAsJson() {
  RefuseDoubles();
  json tests = json::array();
  for (const TestSpec& spec : AllTests()) tests.push_back(PlanEntry(spec));
  return json{{"tests", tests}}.dump(1) + "\n";
}

int RunTests(const RunnerOptions& options) {
  RefuseDoubles();
  Proxy::runner_options = &options;
  Runner instance(options);
  runner = &instance;
  if (auto opened = instance.OpenStream(); !opened.ok()) {
    std::fprintf(stderr, "netns-tests: cannot write the event stream: %s\n", opened.error().ToString().c_str());
    return kUsage;
  }
  for (const auto& read : {instance.ReadSkipFile(), instance.ReadAloneFile()}) {
    if (read.ok()) continue;
    std::fprintf(stderr, "netns-tests: %s\n", read.error().ToString().c_str());
    return kUsage;
  }
  std::vector<const TestSpec*> tests;
  for (const TestSpec& spec : AllTests())
    if (!options.quick || FilterSelects(testing::GTEST_FLAG(filter), spec.FullName())) tests.push_back(&spec);
  if (options.quick) tests = QuickChoice(tests, [&](const TestSpec& spec) { return !Missing(spec, instance.machine()); });
  for (const TestSpec* spec : tests)
    testing::RegisterTest(spec->suite.c_str(), spec->name.c_str(), nullptr, nullptr, spec->file, spec->line,
                          [spec]() -> Proxy* { return new Proxy(spec); });
  ChoosePrinter(options.progress);
  testing::UnitTest::GetInstance()->listeners().Append(new IterationListener);
  bool gtest_failed = RUN_ALL_TESTS() != 0;
  // Nothing ran, so there is no state from before that the guard could compare with.
  if (testing::GTEST_FLAG(list_tests)) return gtest_failed ? kBroken : kAllPassed;
  auto& counts = instance.counts();
  int ran = 0;
  for (const auto& [verdict, count] : counts) ran += count;
  if (ran == 0) {
    std::fprintf(stderr, "netns-tests: no test matches --gtest_filter=%s (see --gtest_list_tests)\n",
                 testing::GTEST_FLAG(filter).c_str());
    return kUsage;
  }
  instance.EndGuard();
  int status = kAllPassed;
  if (counts["ERROR"] > 0 || (gtest_failed && counts["FAIL"] == 0)) status = kBroken;
  if (counts["FAIL"] > 0) status = kSomeFailed;
  if (options.miss_is_status_4 && status == kAllPassed && counts["PASS"] == 0) status = kForbiddenMiss;
  instance.Finish(status);
  if (!instance.stream().failure().empty()) {
    std::fprintf(stderr, "netns-tests: the event stream is not whole: %s; make room there, or name another place\n", instance.stream().failure().c_str());
    status = kBroken;
  }
  return status;
}

}  // namespace netns
