// SPDX-License-Identifier: GPL-2.0-or-later
// USER: what belongs to no namespace is for privileged processes of the initial user namespace (user_namespaces(7): "loading
// a kernel module"; "Only a process with privileges in the initial user namespace can perform such operations"), and root
// there without the capability is not privileged.
#include <linux/capability.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "fixtures/net_namespace.h"
#include "fixtures/nic.h"
#include "fixtures/user_namespace.h"
#include "harness/assertions.h"
#include "harness/kernel_config.h"
#include "harness/registration.h"

namespace netns {
namespace {

Need IpipAsModule() {
  return Feature("ipip-as-module", "CONFIG_NET_IPIP=m, a module that can be loaded and unloaded",
                 [] { return KernelConfig::Running().Value("NET_IPIP") == 'm'; });
}
/// The module of IPIP tunnels is not in the kernel now.
void UnloadIpip() {
  if (::syscall(SYS_delete_module, "ipip", O_NONBLOCK) < 0 && errno != ENOENT)
    throw SetupFailure(ErrnoError("delete_module(ipip)").ToString(), std::source_location::current());
}
void NameADevice(const char* name) {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, name);
  (void)::ioctl(socket.get(), SIOCGIFFLAGS, &request);
}

// Whoever names a device that is not there makes the kernel load the module "netdev-NAME", with CAP_NET_ADMIN, or NAME, with
// CAP_SYS_MODULE. Neither capability of a namespace's root is one over the kernel.
NETNS_TEST(UserRights, RootOfANamespaceLoadsNoModuleByTheNameOfADevice, Covers("USER-29"),
           Needs(Machine(), UserNs(), Config("NET_IPIP"), IpipAsModule()), Exclusive{}) {
  constexpr const char* kNames[] = {"tunl0" /* netdev-tunl0 */, "ipip"};
  UnloadIpip();
  Actor container = StartNamespaceRoot("root of a namespace");
  for (const char* name : kNames) {
    container.Run([&] { NameADevice(name); });
    EXPECT_FALSE(KernelConfig::ModuleLoaded("ipip")) << "root of a user namespace has loaded a module by asking for the device " << name;
    UnloadIpip();
  }
  for (const char* name : kNames) {
    NameADevice(name);
    EXPECT_TRUE(KernelConfig::ModuleLoaded("ipip")) << "control: root of the machine, " << name;
    UnloadIpip();
  }
  // Each capability of its own does for its own kind of name only.
  Actor administrator = Actor::Start("with CAP_NET_ADMIN alone"), nobody = Actor::Start("with neither");
  SETUP_OK(KeepOnlyCapabilities(administrator, {CAP_NET_ADMIN}));
  SETUP_OK(KeepOnlyCapabilities(nobody, {}));
  administrator.Run([] { NameADevice("ipip"); });
  EXPECT_FALSE(KernelConfig::ModuleLoaded("ipip")) << "a module was loaded by its own name, without CAP_SYS_MODULE";
  nobody.Run([] { NameADevice("tunl0"); });
  EXPECT_FALSE(KernelConfig::ModuleLoaded("ipip")) << "a module was loaded without any capability";
  administrator.Run([] { NameADevice("tunl0"); });
  EXPECT_TRUE(KernelConfig::ModuleLoaded("ipip")) << "control: CAP_NET_ADMIN is enough for netdev-tunl0";
  UnloadIpip();
}

// net/ipv4/devinet.c: what makes a host a router takes CAP_NET_ADMIN, also of the user whose file it is (not in Linux 5.10).
NETNS_TEST(UserRights, ToSwitchForwardingTakesCapNetAdminOfRootToo, Covers("SYSCTL-16", "USER-07"), Needs(Root())) {
  auto ns = NetNamespace::Create();
  constexpr const char* kForwarding[] = {"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/conf/all/forwarding",
                                         "/proc/sys/net/ipv4/conf/default/forwarding", "/proc/sys/net/ipv4/conf/lo/forwarding"};
  Actor with = ns.StartActor("with"), without = ns.StartActor("without");
  SETUP_OK(DropCapability(without, CAP_NET_ADMIN));
  for (const char* file : kForwarding) {
    const Status written = without.Run([&] { return WriteFile(file, "1"); });
    if (written.ok())
      throw MissingNeed("needs-feature:forwarding-by-capability", std::string("root wrote ") + file + " without CAP_NET_ADMIN, which Linux 6.1 refuses", "",
                        LinuxVersion{6, 1});
    EXPECT_THAT(written, FailsWith(EPERM)) << file << ", root without CAP_NET_ADMIN";
    EXPECT_OK(with.Run([&] { return WriteFile(file, "1"); })) << "control: " << file;
  }
  EXPECT_OK(without.Run([] { return WriteFile("/proc/sys/net/ipv4/ip_default_ttl", "65"); })) << "control: its user may write other files";
}

// Documentation/admin-guide/sysctl/net.rst: of the machine, and not only in the hands of whoever has the uid.
NETNS_TEST(UserRights, SysctlsOfTheMachineTakeACapabilityOfRootToo, Covers("USER-29"), Needs(Machine())) {
  struct Entry {
    const char* file;
    int capability;
  };
  constexpr Entry kEntries[] = {{"/proc/sys/net/core/bpf_jit_enable", CAP_SYS_ADMIN}, {"/proc/sys/net/core/bpf_jit_harden", CAP_SYS_ADMIN},
                                {"/proc/sys/net/core/bpf_jit_limit", CAP_SYS_ADMIN}, {"/proc/sys/net/core/default_qdisc", CAP_NET_ADMIN}};
  auto initial = InitialNetNamespace();
  bool tried = false;
  for (const Entry& entry : kEntries) {
    SCOPED_TRACE(entry.file);
    Actor with = initial.StartActor("with"), without = initial.StartActor("without");
    SETUP_OK(DropCapability(without, entry.capability));
    auto value = with.Run([&] { return ReadFile(entry.file); });
    if (value.code() == ENOENT) continue;  // without CONFIG_BPF_JIT or CONFIG_NET_SCHED
    ASSERT_OK(value);
    tried = true;
    // The value that it has: the machine stays as it is.
    EXPECT_THAT(without.Run([&] { return WriteFile(entry.file, *value); }), FailsWith(EPERM)) << "root without the capability";
    EXPECT_OK(with.Run([&] { return WriteFile(entry.file, *value); })) << "control";
  }
  if (!tried) throw MissingNeed("needs-config:BPF_JIT", "none of these sysctls is there");
}

}  // namespace
}  // namespace netns
