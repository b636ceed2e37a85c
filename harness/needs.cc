// SPDX-License-Identifier: GPL-2.0-or-later
#include "harness/needs.h"

#include <sched.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "harness/isolation.h"
#include "harness/kernel_config.h"

namespace netns {

Need Config(std::string symbol) { return {"config:" + symbol}; }
Need Root() { return {"root"}; }
Need Machine() { return {"machine"}; }
Need Nic(std::string driver, int count) { return {"nic:" + driver + ":" + std::to_string(count)}; }
Need UserNs() { return {"userns"}; }
Need Feature(std::string name, std::string explanation, std::function<bool()> probe, LinuxVersion since) {
  return {"feature:" + name, std::move(probe), std::move(explanation), since};
}

std::vector<TestSpec>& AllTests() {
  static std::vector<TestSpec> tests;
  return tests;
}

MachineState MachineState::Probe() {
  MachineState state;
  state.net_namespaces = ::access("/proc/self/ns/net", F_OK) == 0 || KernelConfig::Running().Value("NET_NS") == 'y';
  state.pid_namespaces = ::access("/proc/self/ns/pid", F_OK) == 0;
  Fd pidfd;
  auto pid = ForkWithFlags(CLONE_NEWNS | (state.net_namespaces ? CLONE_NEWNET : 0), &pidfd);
  if (pid.ok()) {
    if (*pid == 0) ::_exit(0);
    ::waitpid(*pid, nullptr, 0);
    // Root of a user namespace (a container) can make namespaces too, but is not root of the initial one.
    auto map = ReadFile("/proc/self/uid_map");
    state.real_root = !map.ok() || map->find("4294967295") != std::string::npos;
  }
  auto user = ProbeUserNamespace();
  state.user_namespaces = user.ok();
  if (!user.ok()) state.user_namespace_error = user.error().ToString();
  return state;
}

std::optional<std::pair<std::string, int>> NicNeed(const std::string& need) {
  if (need.rfind("nic:", 0) != 0) return std::nullopt;
  std::size_t colon = need.rfind(':');
  return std::pair(need.substr(4, colon - 4), std::stoi(need.substr(colon + 1)));
}

namespace {

/// Built in and yet not there: sockets of AF_INET6 cannot be made with ipv6.disable=1.
bool DisabledAtBoot(const std::string& symbol) {
  if (symbol.find("IPV6") == std::string::npos && !symbol.starts_with("IP6_")) return false;
  char disabled = '0';
  return std::ifstream("/sys/module/ipv6/parameters/disable") >> disabled && disabled == '1';
}

std::optional<Reason> MissingConfig(const std::string& symbol, const MachineState& machine) {
  char value = KernelConfig::Running().Value(symbol);
  if (value == 'n')
    return Reason{"needs-config:" + symbol, "CONFIG_" + symbol + " is not set",
                  "build the kernel with CONFIG_" + symbol + "=y or =m"};
  if (DisabledAtBoot(symbol)) return Reason{"needs-feature:ipv6", "the kernel was booted with ipv6.disable=1", "boot it without"};
  if (value != 'm' || machine.disposable) return std::nullopt;
  // On somebody's machine no module is loaded: that would change it.
  std::string module = KernelConfig::ModuleName(symbol);
  if (KernelConfig::ModuleLoaded(module)) return std::nullopt;
  return Reason{"needs-module:" + module, "the module " + module + " (CONFIG_" + symbol + "=m) is not loaded",
                "run in a VM (netns-conformance vm), or: modprobe " + module};
}

/// On a machine of the suite's own nobody forbids user namespaces to root: where the kernel has them they must work.
bool ClaimsUserNamespaces(const MachineState& machine) {
  long limit = 0;
  return machine.disposable && machine.real_root && KernelConfig::Running().Value("USER_NS") == 'y' &&
         std::ifstream("/proc/sys/user/max_user_namespaces") >> limit && limit > 0;
}

Reason NeedsMachine() {
  return {"needs-machine", "needs a machine of its own, because it changes the initial network namespace",
          "run in a VM (netns-conformance vm), or on a machine to spare with --disposable-machine"};
}

}  // namespace

std::optional<Reason> Missing(const TestSpec& spec, const MachineState& machine) {
  if (spec.without_net_ns == machine.net_namespaces) {
    if (spec.without_net_ns)
      return Reason{"needs-config:NET_NS=n", "is about kernels without CONFIG_NET_NS", "boot such a kernel"};
    return Reason{"needs-net-ns", "the kernel has no network namespaces (CONFIG_NET_NS is not set)",
                  "build the kernel with CONFIG_NET_NS=y"};
  }
  if (!machine.pid_namespaces)
    return Reason{"needs-config:PID_NS", "CONFIG_PID_NS is not set, which the isolation of tests rests on",
                  "build the kernel with CONFIG_PID_NS=y"};
  if (!machine.real_root && !machine.user_namespaces)
    return Reason{"needs-userns", "not root, and user namespaces cannot be used: " + machine.user_namespace_error,
                  "run as root, or allow them: sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces, "
                  "kernel.apparmor_restrict_unprivileged_userns=0"};
  if (spec.full && !machine.full)
    return Reason{"not-selected", "runs only with --full", "add --full"};
  for (const Need& need : spec.needs) {
    if (need.text.rfind("config:", 0) == 0) {
      if (auto reason = MissingConfig(need.text.substr(7), machine)) return reason;
    } else if (need.text == "root") {
      if (!machine.real_root)
        return Reason{"needs-cap:SYS_ADMIN", "needs CAP_SYS_ADMIN in the initial user namespace", "run as root"};
    } else if (need.text == "userns") {
      if (!machine.user_namespaces && !ClaimsUserNamespaces(machine))
        return Reason{"needs-userns", "user namespaces cannot be used: " + machine.user_namespace_error,
                      "allow them: CONFIG_USER_NS, user.max_user_namespaces, kernel.unprivileged_userns_clone"};
    } else if (need.text == "machine") {
      if (!machine.disposable || !machine.real_root) return NeedsMachine();
    } else if (auto nic = NicNeed(need.text)) {
      if (!machine.disposable || !machine.real_root) return NeedsMachine();
      auto have = std::count_if(machine.nics.begin(), machine.nics.end(),
                                [&](const auto& n) { return nic->first.empty() || n.first == nic->first; });
      const std::string remedy =
          "run with such cards: ./netns-conformance vm --nics=all" + std::string(nic->first == "igb" ? ", with QEMU 8 or later" : "");
      // A card that the machine should have, and of which the kernel makes no device, is another matter.
      if (!nic->first.empty() && !machine.cards.empty() && machine.cards.count(nic->first) == 0)
        return Reason{"not-selected", "is about cards of driver " + nic->first + ", and the machine was made without", remedy};
      if (have < nic->second)
        return Reason{"needs-nic" + (nic->first.empty() ? "" : ":" + nic->first),
                      "needs " + std::to_string(nic->second) + " physical network device(s)" +
                          (nic->first.empty() ? "" : " of driver " + nic->first) + ", has " + std::to_string(have),
                      remedy};
    }
  }
  return std::nullopt;
}

std::optional<std::string> ClaimedAllTheSame(const MissingNeed& missing, bool machine_of_its_own) {
  if (missing.code().starts_with("needs-config:")) {
    const std::string symbol = missing.code().substr(std::string("needs-config:").size());
    const KernelConfig& config = KernelConfig::Running();
    if (DisabledAtBoot(symbol)) return std::nullopt;
    if (config.Value(symbol) == 'y') return "the kernel is built with CONFIG_" + symbol + "=y";
    if (config.Value(symbol) == 'm' && KernelConfig::ModuleLoaded(KernelConfig::ModuleName(symbol)))
      return "the kernel has CONFIG_" + symbol + "=m, and the module is loaded";
  }
  // On somebody's machine a seccomp filter or another policy may stand before the kernel.
  if (missing.since() > LinuxVersion{} && machine_of_its_own) {
    utsname system{};
    LinuxVersion running;
    if (::uname(&system) == 0 && std::sscanf(system.release, "%d.%d", &running.major, &running.minor) == 2 && running >= missing.since())
      return "Linux has this since " + std::to_string(missing.since().major) + "." + std::to_string(missing.since().minor) + ", and this is " + system.release;
  }
  return std::nullopt;
}

}  // namespace netns
