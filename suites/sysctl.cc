// SPDX-License-Identifier: GPL-2.0-or-later
// SYSCTL: which files of /proc/sys/net a namespace has, and that what is written there stays there.
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <array>
#include <set>
#include <string_view>
#include <thread>

#include "fixtures/net_namespace.h"
#include "fixtures/nic.h"
#include "fixtures/rtnl.h"
#include "fixtures/user_namespace.h"
#include "harness/assertions.h"
#include "harness/registration.h"
#include "suites/support/between.h"
#include "suites/support/in_namespace.h"
#include "suites/support/may_use.h"
#include "suites/support/sysctl_tree.h"

namespace netns {
namespace {

using testing::AnyOf;
using testing::Eq;
using testing::IsEmpty;
using testing::Ne;
using testing::Not;

constexpr const char* kLogInvalid = "netfilter/nf_conntrack_log_invalid";

// Files that are registered for every namespace but act on the whole machine. They are not written by any test.
bool IsKnownGlobal(const std::string& path) {
  return path == "netfilter/nf_hooks_lwtunnel" ||  // a static key of the machine that can only be turned on
         path == "ipv4/vs/debug_level" || path.starts_with("vsock/") ||
         (path == kLogInvalid && !MayUse("NF_LOG_SYSLOG"));  // see BringLoggers()
}

/// Since Linux 6.17 the first who wants invalid packets to be logged brings the module that logs, which then stands in nf_log/ of
/// every namespace.
void BringLoggers() {
  if (MayUse("NF_LOG_SYSLOG")) (void)NetNamespace::Create().SetSysctl(std::string("net/") + kLogInvalid, "255").ok();
}

// Values that change by themselves, or that follow from what the creator is asked to do for its children.
bool IsLive(const std::string& path) {
  return path == "netfilter/nf_conntrack_count" || path == "ipv4/tcp_ehash_entries" || path == "ipv4/udp_hash_entries" ||
         path.find("/available_") != std::string::npos || path.find("tcp_available_") != std::string::npos;
}

bool IsPerDevice(const std::string& path) {
  return path.starts_with("ipv4/conf/") || path.starts_with("ipv6/conf/") || path.starts_with("mpls/conf/") ||
         path.starts_with("ipv4/neigh/") || path.starts_with("ipv6/neigh/");
}

// Files that have only one valid value where their subject has only one choice.
bool MayHaveOneValue(const std::string& path) {
  return path.starts_with("mptcp/") || path.starts_with("netfilter/nf_log/") || path == "ipv4/tcp_congestion_control" ||
         path == "ipv6/conf/all/stable_secret";  // refused: a secret belongs to a device or to the default
}

struct Group {
  const char* name;
  const char* config;  // what the kernel lacks where the group has no file
  std::function<bool(const std::string&)> holds;
  std::vector<std::string> covers;
};

bool Below(const std::string& path, std::string_view directory) {
  return path.starts_with(directory);
}
/// A file directly in `directory` (with its slash).
bool In(const std::string& path, std::string_view directory) {
  return path.starts_with(directory) && path.find('/', directory.size()) == std::string::npos;
}

const std::vector<Group>& Groups() {
  static const std::vector<Group> groups = {
      {"Core", "SYSCTL", [](auto& p) { return Below(p, "core/"); }, {"SYSCTL-02", "SYSCTL-18"}},
      {"Unix", "UNIX", [](auto& p) { return Below(p, "unix/"); }, {"SYSCTL-02"}},
      {"Ipv4Tcp", "INET", [](auto& p) { return In(p, "ipv4/") && Below(p, "ipv4/tcp_"); }, {"SYSCTL-02"}},
      {"Ipv4", "INET", [](auto& p) { return In(p, "ipv4/") && !Below(p, "ipv4/tcp_"); }, {"SYSCTL-02", "SYSCTL-22"}},
      {"Ipv4Conf", "INET", [](auto& p) { return Below(p, "ipv4/conf/"); }, {"SYSCTL-02"}},
      {"Ipv4Neigh", "INET", [](auto& p) { return Below(p, "ipv4/neigh/"); }, {"SYSCTL-02", "SYSCTL-22"}},
      {"Ipv4Route", "INET", [](auto& p) { return Below(p, "ipv4/route/"); }, {"SYSCTL-02", "SYSCTL-15"}},
      {"Ipv6", "IPV6", [](auto& p) { return In(p, "ipv6/") || Below(p, "ipv6/icmp/"); }, {"SYSCTL-02", "SYSCTL-21", "SYSCTL-22"}},
      {"Ipv6Conf", "IPV6", [](auto& p) { return Below(p, "ipv6/conf/"); }, {"SYSCTL-02"}},
      {"Ipv6Neigh", "IPV6", [](auto& p) { return Below(p, "ipv6/neigh/"); }, {"SYSCTL-02", "SYSCTL-22"}},
      {"Ipv6Route", "IPV6", [](auto& p) { return Below(p, "ipv6/route/"); }, {"SYSCTL-02", "SYSCTL-15"}},
      {"Netfilter", "NF_CONNTRACK", [](auto& p) { return Below(p, "netfilter/"); }, {"SYSCTL-02", "SYSCTL-22", "FW-08", "FW-14"}},
      {"Mptcp", "MPTCP", [](auto& p) { return Below(p, "mptcp/"); }, {"SYSCTL-02"}},
      {"Bridge", "BRIDGE_NETFILTER", [](auto& p) { return Below(p, "bridge/"); }, {"SYSCTL-02", "FW-17"}},
      {"Others", "SYSCTL",
       [](auto& p) {
         for (const char* known : {"core/", "unix/", "ipv4/", "ipv6/", "netfilter/", "mptcp/", "bridge/"})
           if (Below(p, known)) return false;
         return true;
       },
       {"SYSCTL-02"}},
  };
  return groups;
}

[[noreturn]] void MissFiles(const Group& group) {
  const std::string text = "a new namespace has no writable file in this part of /proc/sys/net", option = group.config;
  // What is left over belongs to no option, and older kernels show less of IP in other namespaces than the initial one.
  if (option == "SYSCTL" || option == "INET" || option == "IPV6") throw MissingNeed("needs-feature:sysctls:" + std::string(group.name), text);
  throw MissingNeed("needs-config:" + option, text, "use a kernel with CONFIG_" + option);
}

/// A namespace in the map: who it is, how it is written to, and what it last showed.
struct Party {
  std::string who;
  SysctlView view;
  SysctlTree tree = {};
};

/// What came of writing: who changed a file, who was refused every value, and who was told yes and sees the old one.
struct Outcomes {
  std::map<std::string, std::vector<std::string>> changed, refused;
  std::vector<std::string> kept;

  /// Files that take what is written in one namespace, and not (or in vain) in another. One that takes no other value
  /// anywhere (the kernel has only one algorithm, for example) says nothing of namespaces.
  std::vector<std::string> Stuck() const {
    std::vector<std::string> stuck = kept;
    for (const auto& [path, whose] : refused)
      if (changed.count(path) != 0)
        for (const std::string& who : whose) stuck.push_back(who + ": " + path + " (refused)");
    return stuck;
  }
};

/// Writes every writable file of `writer`, one at a time and back, and tells what the others see of it.
void WriteOneAtATime(std::vector<Party>& parties, Party& writer, const std::function<bool(const std::string&)>& holds,
                     std::vector<std::string>& leaks, Outcomes& outcomes) {
  for (const auto& [path, file] : writer.tree) {
    if (!file.writable() || !file.readable() || IsKnownGlobal(path)) continue;
    bool taken = false;
    auto value = writer.view.Change(path, &taken);
    if (!value) {
      if (taken && !MayHaveOneValue(path)) outcomes.kept.push_back(writer.who + ": " + path + " (written, and not shown)");
      if (!taken && !MayHaveOneValue(path)) outcomes.refused[path].push_back(writer.who);
      continue;
    }
    outcomes.changed[path].push_back(writer.who);
    for (Party& other : parties) {
      if (&other == &writer || other.tree.count(path) == 0) continue;
      if (std::string seen = other.view.Read(path); seen != other.tree[path].value)
        leaks.push_back(path + ": written in the " + writer.who + " as '" + *value + "', and in the " + other.who + " '" +
                        other.tree[path].value + "' became '" + seen + "'");
    }
    if (!file.value.starts_with("!")) (void)!writer.view.Write(path, file.value).ok();
    if (leaks.size() > 20) return;  // said often enough
  }
  // Some settings carry others along and do not bring them back.
  writer.tree = writer.view.Tree(holds);
}

/// Writes every writable file of `writer` and leaves it so; a write may show in another file of another namespace.
void WriteAllAtOnce(std::vector<Party>& parties, Party& writer, const std::function<bool(const std::string&)>& holds,
                    std::vector<std::string>& leaks) {
  for (const auto& [path, file] : writer.tree)
    if (file.writable() && file.readable() && !IsKnownGlobal(path)) (void)writer.view.Change(path);
  writer.tree = writer.view.Tree(holds);
  for (Party& other : parties) {
    if (&other == &writer) continue;
    for (const std::string& difference : Differences(other.tree, other.view.Tree(holds)))
      leaks.push_back("in the " + other.who + ", after all files were written in the " + writer.who + ": " + difference);
  }
}

void EveryWritableFileIsPrivate(const Group& group) {
  auto holds = [&](const std::string& path) { return group.holds(path) && !IsLive(path); };
  if (group.holds(kLogInvalid)) BringLoggers();
  SysctlView pristine(NetNamespace::Create(), "pristine");
  std::vector<Party> parties;
  parties.push_back({"creating namespace", SysctlView(NetNamespace::Current(), "creator")});
  parties.push_back({"first namespace", SysctlView(NetNamespace::Create(), "first")});
  parties.push_back({"second namespace", SysctlView(NetNamespace::Create(), "second")});
  parties.push_back({"namespace of another owner", SysctlView(StartElsewhere("nested"))});
  for (Party& party : parties) {
    // Devices of the same names everywhere; where the kernel has no veth, lo has to do.
    auto rtnl = RtnlIn(party.view.actor());
    (void)rtnl.AddVeth("one", PeerSpec{.name = "two"}).ok();
    party.tree = party.view.Tree(holds);
  }
  SysctlTree at_birth = pristine.Tree(holds);
  bool any = std::any_of(parties[1].tree.begin(), parties[1].tree.end(), [](auto& entry) {
    return entry.second.writable() && entry.second.readable() && !IsKnownGlobal(entry.first);
  });
  if (!any)
    MissFiles(group);

  std::vector<std::string> leaks;
  Outcomes outcomes;
  for (Party& writer : parties) WriteOneAtATime(parties, writer, holds, leaks, outcomes);
  EXPECT_FALSE(outcomes.changed.empty()) << "control: a written value is read back in its own namespace";
  EXPECT_THAT(outcomes.Stuck(), IsEmpty()) << "a file takes other values in one namespace and not in another, or does not show what was written";
  for (Party& writer : parties) WriteAllAtOnce(parties, writer, holds, leaks);
  EXPECT_THAT(leaks, IsEmpty()) << "a write must be seen only in its own namespace";
  testing::Test::RecordProperty("values_changed", static_cast<int>(outcomes.changed.size()));

  // conf/ is copied from the initial or the creating namespace, as devconf_inherit_init_net says: see the tests of that.
  // What the creator asks for its children changes other values of theirs.
  for (const char* asks : {"ipv4/tcp_child_ehash_entries", "ipv4/udp_child_hash_entries"}) (void)parties[0].view.Write(asks, "0").ok();
  SysctlView born(NetNamespace::Create(), "born");
  std::vector<std::string> inherited;
  for (const std::string& difference : Differences(at_birth, born.Tree(holds)))
    if (!IsPerDevice(difference)) inherited.push_back(difference);
  EXPECT_THAT(inherited, IsEmpty()) << "a new namespace must start with the same values, whatever its siblings and creator have";
  EXPECT_THAT(Differences(at_birth, pristine.Tree(holds)), IsEmpty()) << "a namespace that nobody wrote to changed";
}

const bool map_of_siblings = [] {
  for (const Group& group : Groups()) {
    TestSpec spec;
    spec.suite = "Sysctl";
    spec.name = std::string("EveryWritableFileIsPrivate/") + group.name;
    spec.file = __FILE__;
    spec.line = __LINE__;
    spec.covers = group.covers;
    spec.needs = {Config("SYSCTL")};
    spec.deadline = std::chrono::seconds(120);
    const Group* row = &group;
    spec.make = [row] { return new BodyTest([row] { EveryWritableFileIsPrivate(*row); }); };
    AllTests().push_back(std::move(spec));
  }
  return true;
}();

// A file that is writable for nobody: it shows what is global. Even root gets EACCES (net_ctl_permissions, proc_sys_permission).
NETNS_TEST(Sysctl, ReadOnlyFilesCannotBeOpenedForWriting, Covers("SYSCTL-05", "SYSCTL-17", "FW-08"), Needs(Config("SYSCTL"))) {
  for (bool nested : {false, true}) {
    SCOPED_TRACE(nested ? "in a namespace of another owner" : "in one of the same owner");
    SysctlView view = nested ? SysctlView(StartElsewhere("nested")) : SysctlView(NetNamespace::Create(), "plain");
    int read_only = 0;
    for (const auto& [path, file] : view.Tree([](auto&) { return true; })) {
      auto opened = view.actor().Run([&, &path = path] { return Open("/proc/sys/net/" + path, O_WRONLY); });
      if (file.writable()) {
        EXPECT_THAT(opened, Succeeds()) << "control: " << path << " is writable";
      } else {
        ++read_only;
        EXPECT_THAT(opened, FailsWith(EACCES)) << path;
      }
    }
    EXPECT_GT(read_only, 0) << "control: conf/all/mc_forwarding is one";
    // These show what belongs to the whole machine (sysctl_net_core.c, nf_conntrack_standalone.c), where they exist at all.
    for (const char* name : {"core/rmem_max", "core/rmem_default", "core/wmem_max", "core/wmem_default", "netfilter/nf_conntrack_max",
                             "netfilter/nf_conntrack_buckets", "netfilter/nf_conntrack_expect_max", "netfilter/nf_conntrack_count",
                             "ipv4/tcp_available_congestion_control", "ipv4/tcp_allowed_congestion_control",
                             "ipv4/conf/all/mc_forwarding", "ipv4/conf/default/mc_forwarding", "ipv4/conf/lo/mc_forwarding",
                             "ipv6/conf/all/mc_forwarding", "ipv6/conf/lo/mc_forwarding"}) {
      auto opened = view.actor().Run([&] { return Open(std::string("/proc/sys/net/") + name, O_WRONLY); });
      EXPECT_THAT(opened.code(), AnyOf(EACCES, ENOENT)) << name << " must not be writable outside of the initial namespace";
    }
  }
}

// ip-sysctl.rst, mc_forwarding: "(R/O)". Of the initial namespace too, and of devices that come later.
NETNS_TEST(Sysctl, MulticastForwardingIsReadOnlyInTheInitialNamespaceToo, Covers("SYSCTL-17"), Needs(Machine(), Config("SYSCTL"), Config("VETH")), Exclusive{}) {
  const auto initial = InitialNetNamespace();
  auto fresh = NetNamespace::Create();
  for (const NetNamespace* where : {&initial, static_cast<const NetNamespace*>(&fresh)}) {
    SCOPED_TRACE(where == &initial ? "the initial namespace" : "a new namespace");
    Rtnl rtnl = RtnlIn(*where);
    AddPair(rtnl, "nscon-mc1", "nscon-mc2");
    for (const char* family : {"ipv4", "ipv6"})
      for (const char* entry : {"all", "default", "lo", "nscon-mc1", "nscon-mc2"}) {
        const std::string directory = std::string("/proc/sys/net/") + family + "/conf/" + entry + "/";
        const auto read = where->OpenIn(directory + "mc_forwarding", O_RDONLY);
        if (read.code() == ENOENT) continue;  // without IPv6, or without multicast routing in it
        EXPECT_THAT(where->OpenIn(directory + "mc_forwarding", O_WRONLY), FailsWith(EACCES)) << directory;
        EXPECT_THAT(where->OpenIn(directory + "forwarding", O_WRONLY), Succeeds()) << "control: " << directory;
      }
    SETUP_OK(rtnl.DeleteLink("nscon-mc1"));
  }
}

// Settings of the whole machine: sysctl_net_core.c and sysctl_net_ipv4.c register them for the initial namespace only.
const char* const kOnlyInitial[] = {
    "core/netdev_max_backlog", "core/netdev_budget", "core/netdev_budget_usecs", "core/dev_weight", "core/default_qdisc",
    "core/bpf_jit_enable", "core/bpf_jit_harden", "core/bpf_jit_kallsyms", "core/bpf_jit_limit", "core/busy_poll",
    "core/busy_read", "core/message_burst", "core/message_cost", "core/rps_sock_flow_entries", "core/devconf_inherit_init_net",
    "core/fb_tunnels_only_for_init_net", "ipv4/tcp_mem", "ipv4/udp_mem", "ipv4/tcp_max_orphans", "ipv4/inet_peer_threshold",
    "ipv4/inet_peer_minttl", "ipv4/inet_peer_maxttl", "ipv4/cipso_cache_enable", "ipv4/cipso_rbm_optfmt", "ipv4/route/gc_thresh",
    "ipv4/route/gc_timeout", "ipv4/neigh/default/gc_thresh1", "ipv4/neigh/default/gc_thresh3",
    "ipv4/neigh/default/base_reachable_time_ms", "ipv6/neigh/default/gc_thresh1", "ipv6/neigh/default/gc_thresh3",
    "ipv6/neigh/default/mcast_solicit"};

NETNS_TEST(Sysctl, SystemWideSettingsAreAbsentOutsideTheInitialNamespace, Covers("SYSCTL-04"), Needs(Config("SYSCTL"))) {
  auto ns = NetNamespace::Create();
  for (const char* name : kOnlyInitial)
    EXPECT_THAT(ns.OpenIn(std::string("/proc/sys/net/") + name, O_RDONLY), FailsWith(ENOENT)) << name;
  EXPECT_TRUE(ns.HasSysctl("net/core/somaxconn")) << "control: a setting of the namespace is there";
  EXPECT_TRUE(ns.HasSysctl("net/ipv4/ip_default_ttl")) << "control";
}

NETNS_TEST(Sysctl, SystemWideSettingsArePresentInTheInitialNamespace, Covers("SYSCTL-04"), Needs(Machine(), Config("SYSCTL"))) {
  auto initial = InitialNetNamespace();
  auto ns = NetNamespace::Create();
  for (const char* name : {"core/netdev_max_backlog", "core/netdev_budget", "core/dev_weight", "core/default_qdisc",
                           "core/devconf_inherit_init_net", "core/fb_tunnels_only_for_init_net", "ipv4/tcp_mem", "ipv4/udp_mem",
                           "ipv4/tcp_max_orphans", "ipv4/neigh/default/gc_thresh1"}) {
    EXPECT_TRUE(initial.HasSysctl(std::string("net/") + name)) << "control: " << name;
    EXPECT_FALSE(ns.HasSysctl(std::string("net/") + name)) << name;
  }
  // Whatever else only the initial namespace has is fine; what a new one has, the initial one has too.
  SysctlView first(initial, "initial"), second(ns, "new");
  auto everything = [](const std::string&) { return true; };
  SysctlTree in_initial = first.Tree(everything);
  for (const auto& [path, file] : second.Tree(everything))
    EXPECT_TRUE(in_initial.contains(path) || initial.HasSysctl("net/" + path)) << path << " exists only outside of the initial namespace";
}

// --- The initial namespace: written from elsewhere, and written itself ------------------------------------------------

/// Puts values of the initial namespace back when it goes.
class Restore {
 public:
  Restore(SysctlView& view, SysctlTree tree) : view_(view), tree_(std::move(tree)) {}
  ~Restore() {
    // Twice, since some settings carry others along (forwarding, stable_secret).
    for (int round = 0; round < 2; ++round)
      for (const auto& [path, file] : tree_)
        if (file.writable() && !file.value.starts_with("!") && view_.Read(path) != file.value)
          (void)!view_.Write(path, file.value).ok();
  }
  Restore(const Restore&) = delete;
  Restore& operator=(const Restore&) = delete;

 private:
  SysctlView& view_;
  SysctlTree tree_;
};

/// What must not be written in the initial namespace: it could not be put back, or would cut the machine off.
bool Irrevocable(const std::string& path) {
  return IsKnownGlobal(path) || path.ends_with("/stable_secret") || path.ends_with("tcp_fastopen_key") ||
         path.ends_with("/keep_addr_on_down");
}

void InitialNamespaceIsSeparate(const Group& group) {
  if (group.holds(kLogInvalid)) BringLoggers();
  SysctlView initial(InitialNetNamespace(), "initial");
  SysctlView first(NetNamespace::Create(), "first"), untouched(NetNamespace::Create(), "untouched");
  auto holds = [&](const std::string& path) { return group.holds(path) && !IsLive(path); };
  SysctlTree new_tree = first.Tree(holds), at_birth = untouched.Tree(holds);
  // Only what a namespace has too: the rest is the machine's.
  auto shared = [&](const std::string& path) { return holds(path) && new_tree.count(path) != 0; };
  SysctlTree initial_tree = initial.Tree(shared);
  Restore restore(initial, initial_tree);

  std::vector<std::string> leaks;
  int changed = 0;
  for (const auto& [path, file] : new_tree) {
    if (!file.writable() || !file.readable() || IsKnownGlobal(path) || initial_tree.count(path) == 0) continue;
    // Twice, to two values: an earlier test's write may have leaked, and then the initial namespace has the first one already.
    if (first.Change(path)) ++changed;
    std::string seen = initial.Read(path);
    if (seen == initial_tree[path].value && first.Change(path)) seen = initial.Read(path);
    if (seen != initial_tree[path].value)
      leaks.push_back(path + ": written in a new namespace, and in the initial one '" + initial_tree[path].value + "' became '" + seen + "'");
  }
  if (changed == 0)
    MissFiles(group);
  for (const std::string& difference : Differences(initial_tree, initial.Tree(shared)))
    leaks.push_back("in the initial namespace, after all were written in a new one: " + difference);
  EXPECT_THAT(leaks, IsEmpty()) << "a write in a namespace must not reach the initial one";

  leaks.clear();
  new_tree = first.Tree(holds);
  int changed_initially = 0;
  for (const auto& [path, file] : initial_tree) {
    if (!file.writable() || !file.readable() || Irrevocable(path) || !new_tree[path].writable()) continue;
    if (initial.Change(path)) ++changed_initially;
    std::string seen = first.Read(path);
    if (seen == new_tree[path].value && initial.Change(path)) seen = first.Read(path);
    if (seen != new_tree[path].value)
      leaks.push_back(path + ": written in the initial namespace, and in a new one '" + new_tree[path].value + "' became '" + seen + "'");
  }
  EXPECT_GT(changed_initially, 0) << "control: a written value is read back in the initial namespace";
  // Of two values the second change above brought back the first. A value of "default" may reach devices elsewhere.
  for (const auto& [path, file] : initial_tree)
    if (file.writable() && file.readable() && !Irrevocable(path) && new_tree[path].writable() && initial.Read(path) == at_birth[path].value)
      (void)initial.Change(path);
  for (const std::string& difference : Differences(new_tree, first.Tree(holds)))
    leaks.push_back("in a written namespace: " + difference);
  for (const std::string& difference : Differences(at_birth, untouched.Tree(holds)))
    leaks.push_back("in an untouched namespace: " + difference);
  EXPECT_THAT(leaks, IsEmpty()) << "a write in the initial namespace must not reach another one";

  // Values at birth, with devconf_inherit_init_net=0: IPv4's conf is copied, and a few of TCP; nothing else.
  if (initial.Read("core/devconf_inherit_init_net") != "0") return;
  SysctlView born(NetNamespace::Create(), "born");
  std::vector<std::string> inherited;
  for (const std::string& difference : Differences(at_birth, born.Tree(holds))) {
    bool documented = difference.starts_with("ipv4/conf/") || difference.starts_with("ipv4/ip_forward:") ||
                      difference.starts_with("ipv4/tcp_rmem:") || difference.starts_with("ipv4/tcp_wmem:") ||
                      difference.starts_with("ipv4/tcp_congestion_control:");
    if (!documented) inherited.push_back(difference);
  }
  EXPECT_THAT(inherited, IsEmpty()) << "a new namespace must start with the defaults, whatever the initial one was set to";
}

const bool map_of_initial = [] {
  for (const Group& group : Groups()) {
    TestSpec spec;
    spec.suite = "Sysctl";
    spec.name = std::string("InitialNamespaceIsSeparate/") + group.name;
    spec.file = __FILE__;
    spec.line = __LINE__;
    spec.covers = group.covers;
    spec.covers.push_back("SYSCTL-10");
    spec.needs = {Machine(), Config("SYSCTL")};
    spec.exclusive = true;
    spec.deadline = std::chrono::seconds(120);
    const Group* row = &group;
    spec.make = [row] { return new BodyTest([row] { InitialNamespaceIsSeparate(*row); }); };
    AllTests().push_back(std::move(spec));
  }
  return true;
}();

// What is global shows the value of the initial namespace, at once.
NETNS_TEST(Sysctl, GlobalValuesAreLiveInEveryNamespace, Covers("SYSCTL-05", "FW-08"), Needs(Machine(), Config("SYSCTL")), Exclusive{}) {
  SysctlView initial(InitialNetNamespace(), "initial"), first(NetNamespace::Create(), "first"), second(NetNamespace::Create(), "second"),
      nested(StartElsewhere("nested"));
  int seen = 0;
  for (const char* name : {"core/rmem_max", "core/rmem_default", "core/wmem_max", "core/wmem_default", "netfilter/nf_conntrack_max",
                           "netfilter/nf_conntrack_expect_max", "netfilter/nf_conntrack_buckets"}) {
    SysctlTree tree = initial.Tree([&](const std::string& path) { return path == name; });
    std::string here = first.Read(name);
    if (tree.empty() || here == "!ENOENT") continue;  // {r,w}mem_*: since 6.9 or so
    ++seen;
    Restore restore(initial, tree);
    EXPECT_EQ(here, tree[name].value) << name;
    EXPECT_TRUE(tree[name].writable()) << "control: " << name << " is writable in the initial namespace";
    auto value = initial.Change(name);
    ASSERT_TRUE(value.has_value()) << "control: " << name << " can be changed in the initial namespace";
    EXPECT_EQ(first.Read(name), *value) << name;
    EXPECT_EQ(second.Read(name), *value) << name;
    if (nested.Read(name) != "!ENOENT") {  // not every kernel shows it to every owner
      EXPECT_EQ(nested.Read(name), *value) << name << " in a namespace of a nested user namespace";
    }
  }
  if (seen == 0) throw MissingNeed("needs-feature:global-values", "no global value is shown in namespaces by this kernel");
}

/// Gives a file another value than it has, and another than `taken` where it knows a third one.
void MakeDifferent(SysctlView& view, const std::string& path, const std::string& taken) {
  if (view.Change(path) == taken) (void)view.Change(path);
}

struct Inherited {
  std::string file, initial, creator;
};
/// Distinct values for the initial and for the creating namespace, none of them a default.
const Inherited kInherited4[] = {{"ipv4/conf/default/rp_filter", "2", "1"},       {"ipv4/conf/default/arp_ignore", "3", "1"},
                                 {"ipv4/conf/default/tag", "41", "42"},           {"ipv4/conf/all/arp_announce", "2", "1"},
                                 {"ipv4/conf/all/log_martians", "1", "0"},        {"ipv4/conf/all/tag", "43", "44"},
                                 {"ipv4/conf/all/medium_id", "5", "6"},
                                 // "all" carries "default" along, which is written behind it.
                                 {"ipv4/conf/all/forwarding", "1", "0"},         {"ipv4/conf/default/forwarding", "0", "1"}};
const Inherited kInherited6[] = {{"ipv6/conf/default/hop_limit", "78", "79"},     {"ipv6/conf/default/accept_ra", "2", "0"},
                                 {"ipv6/conf/default/dad_transmits", "3", "4"},   {"ipv6/conf/default/max_addresses", "17", "18"},
                                 {"ipv6/conf/all/hop_limit", "80", "81"},         {"ipv6/conf/all/router_solicitations", "5", "6"},
                                 {"ipv6/conf/all/forwarding", "1", "0"}};

// admin-guide/sysctl/net.rst devconf_inherit_init_net: 0 copies IPv4 from the initial namespace and gives IPv6 its defaults;
// 1 copies both from the initial one, 2 gives both their defaults, 3 copies both from the namespace of the creator.
void DevconfInheritance(int mode) {
  SysctlView initial(InitialNetNamespace(), "initial"), pristine(NetNamespace::Create(), "pristine");
  auto conf = [](const std::string& path) {
    return path == "core/devconf_inherit_init_net" || path.starts_with("ipv4/conf/default/") || path.starts_with("ipv4/conf/all/") ||
           path.starts_with("ipv6/conf/default/") || path.starts_with("ipv6/conf/all/");
  };
  Restore restore(initial, initial.Tree(conf));
  if (auto set = initial.Write("core/devconf_inherit_init_net", std::to_string(mode)); !set.ok() && set.code() == EINVAL)
    throw MissingNeed("needs-feature:devconf-inherit-" + std::to_string(mode), "this kernel does not know the mode", "", mode == 3 ? LinuxVersion{5, 8} : LinuxVersion{4, 20});
  else
    SETUP_OK(std::move(set));
  // Compiled-in defaults: what a namespace shows that is born in mode 2.
  SETUP_OK(initial.Write("core/devconf_inherit_init_net", "2"));
  SysctlView defaults(NetNamespace::Create(), "defaults");
  SETUP_OK(initial.Write("core/devconf_inherit_init_net", std::to_string(mode)));

  bool ipv6 = defaults.Read("ipv6/conf/default/hop_limit") != "!ENOENT";
  SysctlView creator(NetNamespace::Create(), "creator");
  std::vector<Inherited> rows(std::begin(kInherited4), std::end(kInherited4));
  if (ipv6) rows.insert(rows.end(), std::begin(kInherited6), std::end(kInherited6));
  // First all files, with two values where there are two others.
  for (const auto& [path, file] : defaults.Tree(conf)) {
    if (!file.writable() || !file.readable() || Irrevocable(path)) continue;
    (void)initial.Change(path);
    MakeDifferent(creator, path, initial.Read(path));
  }
  for (const Inherited& row : rows) {
    SETUP_OK(initial.Write(row.file, row.initial));
    SETUP_OK(creator.Write(row.file, row.creator));
  }
  // A secret is a namespace's own. (One of the initial namespace could not be taken back.)
  const std::string secret = "ipv6/conf/default/stable_secret";
  if (ipv6) {
    SETUP_OK(creator.Write(secret, "2001:db8::5ec"));
    EXPECT_THAT(creator.Read(secret), testing::EndsWith("05ec")) << "control";
  }
  SysctlTree old = pristine.Tree(conf);
  SysctlView born(creator.actor().Run([] { return NetNamespace::Create(); }), "born");
  Actor member = Actor::Start("member");  // the creator itself may be what unshares
  SETUP_OK(member.Enter(SETUP_OK(NetNamespace::OfPid(creator.actor().pid())).fd(), CLONE_NEWNET));
  SETUP_OK(member.Unshare(CLONE_NEWNET));
  SysctlView unshared(std::move(member));
  Actor owner = Actor::Start("owner");  // and whose it is does not matter
  SETUP_OK(owner.Enter(SETUP_OK(NetNamespace::OfPid(creator.actor().pid())).fd(), CLONE_NEWNET));
  SETUP_OK(EnterNewUserNamespace(owner));
  SETUP_OK(owner.Unshare(CLONE_NEWNET));
  SysctlView nested(std::move(owner));
  for (const Inherited& row : rows) {
    bool four = row.file.starts_with("ipv4/");
    std::string expected = mode == 3                       ? row.creator
                           : mode == 1 || (mode == 0 && four) ? row.initial
                                                           : defaults.Read(row.file);
    EXPECT_EQ(born.Read(row.file), expected) << row.file << " with devconf_inherit_init_net=" << mode;
    EXPECT_EQ(unshared.Read(row.file), expected) << row.file << " of a namespace made by unshare, devconf_inherit_init_net=" << mode;
    EXPECT_EQ(nested.Read(row.file), expected) << row.file << " of a namespace of a nested user namespace, devconf_inherit_init_net=" << mode;
    if (row.file.find("/default/") != std::string::npos && row.file.find("accept_ra") == std::string::npos) {
      // A device starts from conf/default of its own namespace.
      std::string of_lo = row.file;
      of_lo.replace(of_lo.find("/default/"), 9, "/lo/");
      EXPECT_EQ(born.Read(of_lo), expected) << of_lo << " with devconf_inherit_init_net=" << mode;
    }
  }
  // And all the files. The kernel's parameters say whether a new namespace has IPv6, and autoconfiguration, by default.
  SysctlTree expected = defaults.Tree(conf);
  const SysctlTree of_initial = initial.Tree(conf), of_creator = creator.Tree(conf);
  std::size_t other_values = 0;
  for (auto& [path, file] : expected) {
    if (path == secret || path == "ipv6/conf/default/autoconf" || path == "ipv6/conf/default/disable_ipv6") continue;
    const bool four = path.starts_with("ipv4/");
    const std::string usual = file.value;
    if (mode == 3)
      file.value = of_creator.at(path).value;
    else if (mode == 1 || (mode == 0 && four))
      file.value = of_initial.at(path).value;
    other_values += file.value != usual;
  }
  if (mode != 2) {
    EXPECT_GT(other_values, 20u) << "control: what is to be inherited is not what a new namespace has by default";
  }
  for (SysctlView* each : {&born, &unshared, &nested}) {
    EXPECT_THAT(Differences(expected, each->Tree(conf)), IsEmpty()) << "a new namespace with devconf_inherit_init_net=" << mode << ": as it should be, and as it is";
    if (ipv6) {
      EXPECT_EQ(each->Read(secret), "!EIO") << "ip-sysctl.rst, stable_secret: \"By default the stable secret is unset\", with devconf_inherit_init_net=" << mode;
    }
  }
  for (SysctlView* each : {&born, &unshared, &nested})
    EXPECT_EQ(each->Read("ipv4/ip_forward"), each->Read("ipv4/conf/all/forwarding")) << "ip-sysctl.rst: ip_forward is conf/all/forwarding, at birth too";
  EXPECT_THAT(Differences(old, pristine.Tree(conf)), IsEmpty()) << "a namespace that existed before must not change";
}
NETNS_TEST(Sysctl, ConfIsInheritedAsByDefault, Covers("SYSCTL-06", "SYSCTL-07", "STACK-10"), Needs(Machine(), Config("SYSCTL")), Exclusive{}) {
  DevconfInheritance(0);
}
NETNS_TEST(Sysctl, ConfOfBothFamiliesIsCopiedFromTheInitialNamespaceInMode1, Covers("SYSCTL-08", "STACK-10"), Needs(Machine(), Config("SYSCTL")),
           Exclusive{}) {
  DevconfInheritance(1);
}
NETNS_TEST(Sysctl, ConfOfBothFamiliesStartsWithDefaultsInMode2, Covers("SYSCTL-08", "STACK-10"), Needs(Machine(), Config("SYSCTL")), Exclusive{}) {
  DevconfInheritance(2);
}
NETNS_TEST(Sysctl, ConfOfBothFamiliesIsCopiedFromTheCreatorInMode3, Covers("SYSCTL-08", "STACK-10"), Needs(Machine(), Config("SYSCTL")), Exclusive{}) {
  DevconfInheritance(3);
}

// ip-sysctl.rst, conf/default: "Change the interface-specific default settings." Those of the namespace where a device comes to be,
// or to which it comes.
void DevicesStartFromTheDefaults(const std::string& family, Place& owner, Place& other) {
  const std::string conf = family + "/conf/", defaults = conf + "default/";
  const auto of_default = [&](const std::string& path) { return path.starts_with(defaults); };
  SysctlView of_owner(owner.ns, "owner"), of_other(other.ns, "other");
  const SysctlTree files = of_owner.Tree(of_default);
  if (files.empty()) throw MissingNeed("needs-config:IPV6", "this kernel has no " + defaults);
  Restore restore_owner(of_owner, files), restore_other(of_other, of_other.Tree(of_default));
  const Undo remove([&] {
    for (Place* place : {&owner, &other})
      for (const char* name : {"nsdfborn", "nsdfhub", "nsdfcame", "nsdfnear", "nsdffar"}) (void)(*place)->DeleteLink(name).ok();
  });
  std::vector<std::string> names;  // that can be set
  std::size_t different = 0;
  for (const auto& [path, file] : files) {
    if (!file.writable() || !file.readable() || Irrevocable(path) || path.ends_with("/mtu")) continue;
    names.push_back(path.substr(defaults.size()));
    (void)of_owner.Change(path);
    MakeDifferent(of_other, path, of_owner.Read(path));
    different += of_owner.Read(path) != of_other.Read(path);
  }
  EXPECT_GT(different, 15u) << "control: the namespaces have other defaults";
  // Born there; made there from the other namespace; made in the other namespace, where all was set, and moved.
  AddDevice(owner, "nsdfborn");
  AddBridge(owner, "nsdfhub");
  SETUP_OK(other->AddVeth("nsdfnear", PeerSpec{.name = "nsdffar", .netns_fd = owner.fd()}));
  AddDevice(other, "nsdfcame");
  for (const std::string& name : names) (void)of_other.Change(conf + "nsdfcame/" + name);
  SETUP_OK(other->MoveLink("nsdfcame", owner.ref()));
  const auto starts_with = [&](SysctlView& view, const std::string& device, const char* how) {
    std::vector<std::string> wrong;
    std::size_t seen = 0;
    view.actor().Run([&] {
      for (const std::string& name : names) {
        const std::string shown = SysctlView::ReadHere(conf + device + "/" + name), expected = SysctlView::ReadHere(defaults + name);
        if (shown == "!ENOENT") continue;  // devices have no such file
        ++seen;
        if (shown != expected) wrong.push_back(name + ": default " + expected + ", the device " + shown);
      }
    });
    EXPECT_GT(seen, 15u) << "control: " << device << " has files";
    EXPECT_THAT(wrong, IsEmpty()) << "ip-sysctl.rst, conf/default: a device that " << how;
  };
  starts_with(of_owner, "nsdfborn", "was made in the namespace");
  starts_with(of_owner, "nsdfhub", "was made in the namespace, a bridge");
  starts_with(of_owner, "nsdffar", "was made from another namespace");
  starts_with(of_owner, "nsdfcame", "came from another namespace");
  starts_with(of_other, "nsdfnear", "was made together with one of another namespace");
}
[[maybe_unused]] const bool starts = [] {
  for (const char* family : {"ipv4", "ipv6"}) {
    const bool six = std::string(family) == "ipv6";
    Needs needs(Config("SYSCTL"), Config("VETH"), Config("BRIDGE"));
    if (six) needs.list.push_back(Config("IPV6"));
    RegisterBetween("Sysctl", "DevicesStartFromTheDefaultsOfTheNamespace", six ? "Ipv6" : "Ipv4", __FILE__, __LINE__,
                    [family](Place& owner, Place& other) { DevicesStartFromTheDefaults(family, owner, other); },
                    six ? Covers("SYSCTL-11", "DEV-21", "STACK-09") : Covers("SYSCTL-11", "DEV-21", "SYSCTL-06"), needs);
  }
  return true;
}();

// tcp_sk_init() copies three values of the initial namespace, once.
NETNS_TEST(Sysctl, SomeTcpValuesAreCopiedFromTheInitialNamespaceAtCreation, Covers("SYSCTL-09", "SYSCTL-10"),
           Needs(Machine(), Config("SYSCTL")), Exclusive{}) {
  SysctlView initial(InitialNetNamespace(), "initial");
  auto wanted = [](const std::string& path) {
    return path == "ipv4/tcp_rmem" || path == "ipv4/tcp_wmem" || path == "ipv4/tcp_congestion_control" || path == "ipv4/tcp_keepalive_time";
  };
  SysctlTree before = initial.Tree(wanted);
  Restore restore(initial, before);
  std::string congestion = before["ipv4/tcp_congestion_control"].value == "reno" ? before["ipv4/tcp_congestion_control"].value : "reno";
  SETUP_OK(initial.Write("ipv4/tcp_rmem", "4097 100001 5000001"));
  SETUP_OK(initial.Write("ipv4/tcp_wmem", "4098 100002 5000002"));
  SETUP_OK(initial.Write("ipv4/tcp_congestion_control", congestion));
  SETUP_OK(initial.Write("ipv4/tcp_keepalive_time", "4321"));
  // The creator has other values, and is another user's or not.
  auto creator = NetNamespace::Create();
  SETUP_OK(creator.SetSysctl("net.ipv4.tcp_rmem", "4099 100003 5000003"));
  SETUP_OK(creator.SetSysctl("net.ipv4.tcp_wmem", "4099 100004 5000004"));
  SETUP_OK(creator.SetSysctl("net.ipv4.tcp_congestion_control", before["ipv4/tcp_congestion_control"].value));
  SysctlView born(creator.In([] { return NetNamespace::Create(); }), "born");
  Actor owner = creator.StartActor("owner");
  SETUP_OK(EnterNewUserNamespace(owner));
  SETUP_OK(owner.Unshare(CLONE_NEWNET));
  SysctlView nested(std::move(owner));
  auto check = [&](const char* when) {
    SCOPED_TRACE(when);
    for (SysctlView* each : {&born, &nested}) {
      SCOPED_TRACE(each == &born ? "of the creator's user namespace" : "of a nested user namespace");
      EXPECT_EQ(each->Read("ipv4/tcp_rmem"), "4097\t100001\t5000001");
      EXPECT_EQ(each->Read("ipv4/tcp_wmem"), "4098\t100002\t5000002");
      EXPECT_EQ(each->Read("ipv4/tcp_congestion_control"), congestion);
      EXPECT_EQ(each->Read("ipv4/tcp_keepalive_time"), "7200") << "control: this one is not copied";
    }
  };
  check("at birth");
  SETUP_OK(initial.Write("ipv4/tcp_rmem", "4100 100004 5000004"));
  SETUP_OK(initial.Write("ipv4/tcp_wmem", "4101 100005 5000005"));
  SETUP_OK(initial.Write("ipv4/tcp_congestion_control", before["ipv4/tcp_congestion_control"].value));
  check("after the initial namespace changed again");
  SysctlView later(NetNamespace::Create(), "later");
  EXPECT_EQ(later.Read("ipv4/tcp_rmem"), "4100\t100004\t5000004") << "as it is now in the initial namespace";
  EXPECT_EQ(later.Read("ipv4/tcp_wmem"), "4101\t100005\t5000005") << "as it is now in the initial namespace";
  EXPECT_EQ(later.Read("ipv4/tcp_congestion_control"), before["ipv4/tcp_congestion_control"].value) << "as it is now in the initial namespace";
}

// Values at birth that the documents state, of a namespace whose creator has others.
NETNS_TEST(Sysctl, NewNamespaceStartsWithDocumentedDefaults, Covers("SYSCTL-10"), Needs(Config("SYSCTL"))) {
  struct Row {
    const char *file, *value, *other;
  };
  const Row rows[] = {{"ipv4/ip_default_ttl", "64", "65"},
                      {"ipv4/tcp_keepalive_time", "7200", "7201"},
                      {"ipv4/tcp_keepalive_intvl", "75", "76"},
                      {"ipv4/tcp_keepalive_probes", "9", "8"},
                      {"ipv4/tcp_syn_retries", "6", "5"},
                      {"ipv4/tcp_synack_retries", "5", "4"},
                      {"ipv4/tcp_retries1", "3", "4"},
                      {"ipv4/tcp_retries2", "15", "14"},
                      {"ipv4/tcp_fin_timeout", "60", "61"},
                      {"ipv4/tcp_sack", "1", "0"},
                      {"ipv4/tcp_timestamps", "1", "0"},
                      {"ipv4/tcp_window_scaling", "1", "0"},
                      {"ipv4/ip_local_port_range", "32768\t60999", "33000\t61001"},
                      {"ipv4/ip_unprivileged_port_start", "1024", "1000"},
                      {"ipv4/ip_local_reserved_ports", "", "8080"},
                      {"ipv4/icmp_echo_ignore_all", "0", "1"},
                      {"ipv4/icmp_echo_ignore_broadcasts", "1", "0"},
                      {"ipv4/ip_nonlocal_bind", "0", "1"},
                      {"ipv4/ip_no_pmtu_disc", "0", "1"},
                      {"ipv4/igmp_max_memberships", "20", "21"},
                      {"ipv4/ipfrag_time", "30", "31"},
                      {"ipv6/bindv6only", "0", "1"},
                      {"ipv6/ip_nonlocal_bind", "0", "1"},
                      {"ipv6/ip6frag_time", "60", "61"},
                      {"ipv6/conf/all/forwarding", "0", "1"},
                      {"ipv6/conf/default/hop_limit", "64", "63"},
                      {"unix/max_dgram_qlen", "10", "11"},
                      {"netfilter/nf_conntrack_udp_timeout", "30", "31"},
                      {"netfilter/nf_conntrack_tcp_timeout_established", "432000", "432001"},
                      {"netfilter/nf_conntrack_icmp_timeout", "30", "31"}};
  auto pristine = NetNamespace::Create();
  auto creator = NetNamespace::Create();
  for (const Row& row : rows) {
    if (!pristine.HasSysctl(std::string("net/") + row.file)) continue;
    SETUP_OK(creator.SetSysctl(std::string("net/") + row.file, row.other));
    EXPECT_THAT(creator.Sysctl(std::string("net/") + row.file), Holds(Eq(row.other))) << "control";
  }
  auto born = creator.In([] { return NetNamespace::Create(); });
  for (const Row& row : rows) {
    std::string name = std::string("net/") + row.file;
    if (!pristine.HasSysctl(name)) continue;
    // devconf_inherit_init_net=1 or 3 is a choice of the machine's owner, which cannot be read from here.
    bool conf = std::string_view(row.file).find("/conf/") != std::string_view::npos;
    auto value = born.Sysctl(name);
    if (!conf) {
      EXPECT_THAT(value, Holds(Eq(row.value))) << row.file;
      EXPECT_THAT(pristine.Sysctl(name), Holds(Eq(row.value))) << row.file;
    }
  }
}

// ip-sysctl.rst, neigh/default: "the default for all devices that are made later", and for those that nobody has set. Only the
// initial namespace has such files, and writes of them reach devices of it.
NETNS_TEST(Sysctl, DefaultsOfNeighboursReachDevicesOfTheInitialNamespaceOnly, Covers("SYSCTL-22", "SYSCTL-02"), Needs(Machine(), Config("SYSCTL"), Config("VETH")),
           Exclusive{}) {
  SysctlView initial(InitialNetNamespace(), "initial"), fresh(NetNamespace::Create(), "new");
  auto rtnl = RtnlIn(initial.actor());
  SETUP_OK(rtnl.AddVeth("nscon-neigh", PeerSpec{.name = "nscon-other"}));
  SETUP_OK(RtnlIn(fresh.actor()).AddVeth("one", PeerSpec{.name = "two"}));
  for (const char* family : {"ipv4", "ipv6"}) {
    const std::string directory = std::string(family) + "/neigh/";
    const SysctlTree defaults = initial.Tree([&](const std::string& path) { return path.starts_with(directory + "default/"); });
    if (defaults.empty()) continue;
    Restore restore(initial, defaults);
    const auto elsewhere = [&] { return fresh.Tree([&](const std::string& path) { return path.starts_with(directory); }); };
    const SysctlTree before = elsewhere();
    int followed = 0;
    for (const auto& [path, file] : defaults) {
      const std::string of_a_device = directory + "nscon-neigh/" + path.substr(path.rfind('/') + 1), old = initial.Read(of_a_device);
      if (!file.writable() || old.starts_with("!")) continue;
      const auto value = initial.Change(path);
      followed += value && initial.Read(of_a_device) == *value && *value != old;
    }
    EXPECT_GT(followed, 0) << family << ": control: a device of the initial namespace follows the default";
    EXPECT_THAT(Differences(before, elsewhere()), IsEmpty()) << "neigh/default was written in the initial namespace, and a device of another has the value";
  }
  SETUP_OK(rtnl.DeleteLink("nscon-neigh"));
}

}  // namespace
}  // namespace netns
