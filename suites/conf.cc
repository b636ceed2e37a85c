// SPDX-License-Identifier: GPL-2.0-or-later
// CONF: kernels without CONFIG_NET_NS, whose documented errors and absences are what these tests ask for, and what belongs
// to the configuration of those that have it. On a kernel without network namespaces a test lives in the machine's only
// one: those that touch it ask for a machine of their own, and take away what they made.
#include <dirent.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <set>

#include "fixtures/nic.h"
#include "fixtures/rtnl.h"
#include "fixtures/sockets.h"
#include "harness/assertions.h"
#include "harness/child.h"
#include "harness/kernel_config.h"
#include "harness/needs.h"
#include "harness/registration.h"
#include "suites/support/clone.h"
#include "suites/support/nsfs.h"

#ifndef SIOCGSKNS
#define SIOCGSKNS 0x894C
#endif

namespace netns {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::Eq;
using testing::HasSubstr;
using testing::Not;

constexpr pid_t kNoSuchPid = 0x7ffffff0;  // above any pid_max

Status Unshare(int flags) {
  if (::unshare(flags) < 0) return ErrnoError("unshare(" + std::to_string(flags) + ")");
  return Ok();
}
Status SetNs(const Fd& fd, int type) {
  if (::setns(fd.get(), type) < 0) return ErrnoError("setns(" + std::to_string(type) + ")");
  return Ok();
}
/// The outcome of a step that may move the caller into other namespaces, taken in a process that is gone then.
Status Elsewhere(const std::function<Status()>& step) { return RunBriefly(step, [] {}); }

/// Makes a child that ends at once, and reaps it.
Status CloneAndReap(Call call, std::uint64_t flags) {
  ASSIGN_OR_RETURN(const pid_t pid, CloneBy(call, flags));
  if (pid == 0) ::_exit(0);
  if (::waitpid(pid, nullptr, 0) != pid) return ErrnoError("waitpid");
  return Ok();
}
/// Whether the caller has a child, running or dead.
bool HasChild() { return ::waitpid(-1, nullptr, WNOHANG | __WALL) >= 0; }

std::vector<std::string> Listing(const std::string& directory) {
  std::vector<std::string> names;
  DIR* open = ::opendir(directory.c_str());
  if (open == nullptr) throw SetupFailure(ErrnoError("opendir(" + directory + ")").ToString(), std::source_location::current());
  while (const dirent* entry = ::readdir(open))
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  ::closedir(open);
  return names;
}
Status Lstat(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) < 0) return ErrnoError("lstat(" + path + ")");
  return Ok();
}
Result<Fd> Socket(int domain, int type, int protocol = 0) {
  int fd = ::socket(domain, type | SOCK_CLOEXEC, protocol);
  if (fd < 0) return ErrnoError("socket(" + std::to_string(domain) + ", " + std::to_string(type) + ", " + std::to_string(protocol) + ")");
  return Fd(fd);
}

/// Removes a device of the only namespace when the test is over.
class LinkForNow {
 public:
  LinkForNow(Rtnl& rtnl, std::string name) : rtnl_(rtnl), name_(std::move(name)) {}
  ~LinkForNow() { std::ignore = rtnl_.DeleteLink(name_); }
  LinkForNow(const LinkForNow&) = delete;
  LinkForNow& operator=(const LinkForNow&) = delete;

 private:
  Rtnl& rtnl_;
  std::string name_;
};

// unshare(2) EINVAL: "CLONE_NEWNET was specified in flags, but the kernel was not configured with CONFIG_NET_NS".
NETNS_TEST(Conf, UnshareSaysThatThereAreNoNetworkNamespaces, Covers("CONF-01"), WithoutNetNs{}, Needs(Root())) {
  const ino_t uts = InodeOf("/proc/self/ns/uts");
  EXPECT_THAT(Unshare(CLONE_NEWNET), FailsWith(EINVAL));
  EXPECT_THAT(Unshare(CLONE_NEWNET | CLONE_NEWUTS), FailsWith(EINVAL));
  EXPECT_EQ(InodeOf("/proc/self/ns/uts"), uts) << "a refused unshare(2) changed the other namespace that it was asked for";
  EXPECT_THAT(Elsewhere([] { return Unshare(CLONE_NEWUTS); }), Succeeds()) << "control: without the flag";
}

// "... and change nothing": not even the user namespace that is asked for in the same call, and made first.
NETNS_TEST(Conf, ARefusedUnshareMakesNoUserNamespace, Covers("CONF-01"), WithoutNetNs{}, Needs(Root(), UserNs())) {
  // A process of its own memory: one that shares it may not enter a user namespace, which is EINVAL too.
  auto child = Child::Start("caller", [] {
    const ino_t before = InodeOf("/proc/self/ns/user");
    EXPECT_THAT(Unshare(CLONE_NEWUSER | CLONE_NEWNET), FailsWith(EINVAL));
    EXPECT_EQ(InodeOf("/proc/self/ns/user"), before) << "a refused unshare(2) moved the caller into a user namespace";
    EXPECT_THAT(Unshare(CLONE_NEWUSER), Succeeds()) << "control: without the flag";
    EXPECT_NE(InodeOf("/proc/self/ns/user"), before) << "control";
  });
  ASSERT_OK(child.Join());
}

// clone(2) EINVAL: "CLONE_NEWNET was specified in the flags mask, but the kernel was not configured with CONFIG_NET_NS".
NETNS_TEST(Conf, CloneMakesNoProcessWithTheFlag, Covers("CONF-02"), WithoutNetNs{}, Needs(Root())) {
  const bool clone3 = ::syscall(SYS_clone3, nullptr, 0) < 0 && errno != ENOSYS && errno != EPERM;
  for (Call call : {Call::kClone, Call::kClone3}) {
    if (call == Call::kClone3 && !clone3) continue;  // since Linux 5.3
    SCOPED_TRACE(call == Call::kClone ? "clone" : "clone3");
    EXPECT_THAT(CloneAndReap(call, 0), Succeeds()) << "control: without the flag";
    EXPECT_THAT(CloneAndReap(call, CLONE_NEWUTS), Succeeds()) << "control: with another one";
    EXPECT_THAT(CloneAndReap(call, CLONE_NEWNET), FailsWith(EINVAL));
    EXPECT_THAT(CloneAndReap(call, CLONE_NEWNET | CLONE_NEWUTS), FailsWith(EINVAL));
    EXPECT_FALSE(HasChild()) << "a refused clone left a process";
  }
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ASSERT_GT(child, 0);
  EXPECT_TRUE(HasChild() || HasChild()) << "control: a child is noticed";
  std::ignore = ::waitpid(child, nullptr, 0);
}

// namespaces(7): the files of /proc/PID/ns are those of the namespaces that the kernel supports.
NETNS_TEST(Conf, ProcHasNoHandle, Covers("CONF-03"), WithoutNetNs{}) {
  for (const char* place : {"/proc/self/ns", "/proc/thread-self/ns", "/proc/1/ns"}) {
    SCOPED_TRACE(place);
    const std::string directory = place;
    EXPECT_THAT(Listing(directory), AllOf(Contains(Eq("mnt")), Contains(Eq("pid")))) << "control: the others are there";
    EXPECT_THAT(Lstat(directory + "/mnt"), Succeeds()) << "control";
    EXPECT_THAT(Listing(directory), Not(Contains(Eq("net"))));
    EXPECT_THAT(Lstat(directory + "/net"), FailsWith(ENOENT));
    EXPECT_THAT(Open(directory + "/net", O_RDONLY), FailsWith(ENOENT));
  }
}

// setns(2): with a PID file descriptor "nstype is specified as a bit mask"; one for what the kernel lacks is EINVAL.
NETNS_TEST(Conf, SetnsRefusesTheType, Covers("CONF-04"), WithoutNetNs{},
           Needs(Root(), Feature("setns-pidfd", "setns(2) takes a PID file descriptor (since Linux 5.8)", [] {
                           Fd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
                           return self.valid() && Elsewhere([&] { return SetNs(self, CLONE_NEWUTS); }).ok();
                         }, LinuxVersion{5, 8}))) {
  const Fd self(static_cast<int>(::syscall(SYS_pidfd_open, ::getpid(), 0)));
  const auto enter = [&](int types) { return Elsewhere([&] { return SetNs(self, types); }); };
  EXPECT_THAT(enter(CLONE_NEWUTS), Succeeds()) << "control: a type that the kernel has";
  EXPECT_THAT(enter(CLONE_NEWNET), FailsWith(EINVAL));
  EXPECT_THAT(enter(CLONE_NEWNET | CLONE_NEWUTS), FailsWith(EINVAL));
}

// setns(2) EINVAL: "fd refers to a namespace whose type does not match that specified in nstype". There is no other kind here.
NETNS_TEST(Conf, SetnsTakesNoOtherNamespaceForOne, Covers("CONF-04"), WithoutNetNs{}, Needs(Root())) {
  for (const char* type : {"uts", "mnt", "ipc"}) {
    SCOPED_TRACE(type);
    auto fd = Open(std::string("/proc/self/ns/") + type, O_RDONLY);
    if (!fd.ok()) continue;
    EXPECT_THAT(Elsewhere([&] { return SetNs(*fd, CLONE_NEWNET); }), FailsWith(EINVAL));
  }
  const Fd uts = SETUP_OK(Open("/proc/self/ns/uts", O_RDONLY));
  EXPECT_THAT(Elsewhere([&] { return SetNs(uts, CLONE_NEWUTS); }), Succeeds()) << "control";
}

// network_namespaces(7): without them there is one stack, the whole system's.
NETNS_TEST(Conf, TheOnlyStackWorks, Covers("CONF-05"), WithoutNetNs{}, Needs(Machine())) {
  char target[64] = "";
  ASSERT_GT(::readlink("/proc/net", target, sizeof target - 1), 0);
  EXPECT_STREQ(target, "self/net");
  ASSERT_OK_AND_ASSIGN(const std::string devices, ReadFile("/proc/net/dev"));
  EXPECT_THAT(devices, HasSubstr("lo:"));

  Rtnl rtnl = SETUP_OK(Rtnl::Open());
  EXPECT_THAT(rtnl.LinkByName("lo"), Succeeds());
  EXPECT_THAT(rtnl.LinkByName("nothere0"), FailsWith(ENODEV)) << "control";
  SETUP_OK(rtnl.Up("lo"));
  ASSERT_OK_AND_ASSIGN(Fd listener, Socket(AF_INET, SOCK_STREAM));
  ASSERT_OK(Bind(listener, Inet("127.0.0.1")));
  ASSERT_OK_AND_ASSIGN(const SockAddr at, GetSockName(listener));
  ASSERT_OK_AND_ASSIGN(Fd early, Socket(AF_INET, SOCK_STREAM));
  EXPECT_THAT(Connect(early, at), FailsWith(ECONNREFUSED)) << "control: nobody listens yet";
  ASSERT_OK(Listen(listener));
  ASSERT_OK_AND_ASSIGN(Fd client, Socket(AF_INET, SOCK_STREAM));
  ASSERT_OK(Connect(client, at));
  ASSERT_OK_AND_ASSIGN(Fd accepted, Accept(listener));
  ASSERT_OK(Send(client, "hello"));
  EXPECT_THAT(ReceiveExactly(accepted, 5), Holds(Eq("hello")));
  char line[16];
  std::snprintf(line, sizeof line, "0100007F:%04X", at.port());
  EXPECT_THAT(ReadFile("/proc/net/tcp"), Holds(HasSubstr(line))) << "the listener is listed";
}

NETNS_TEST(Conf, TheOnlyStackHasItsSysctls, Covers("CONF-05"), WithoutNetNs{}, Needs(Machine()), Exclusive{}) {
  const std::string path = "/proc/sys/net/ipv4/ip_default_ttl";
  const std::string before = SETUP_OK(ReadFile(path));
  EXPECT_THAT(WriteFile(path, "17"), Succeeds());
  EXPECT_THAT(ReadFile(path), Holds(Eq("17\n")));
  const Fd udp = SETUP_OK(Socket(AF_INET, SOCK_DGRAM));
  EXPECT_THAT(GetSockOpt(udp, IPPROTO_IP, IP_TTL), Holds(Eq(17))) << "it is the one that sockets go by";
  SETUP_OK(WriteFile(path, before));
  const Fd later = SETUP_OK(Socket(AF_INET, SOCK_DGRAM));
  EXPECT_THAT(GetSockOpt(later, IPPROTO_IP, IP_TTL), Holds(Eq(std::stoi(before)))) << "control";
  EXPECT_THAT(ReadFile("/proc/sys/net/ipv4/not_there"), FailsWith(ENOENT)) << "control";
}

// There is one namespace, and every process is in it; descriptors of others cannot be.
NETNS_TEST(Conf, RtnetlinkKnowsOneNamespace, Covers("CONF-06"), WithoutNetNs{}, Needs(Machine(), Config("DUMMY"))) {
  Rtnl rtnl = SETUP_OK(Rtnl::Open());
  SETUP_OK(rtnl.AddLink({.name = "nsconf0", .kind = "dummy"}));
  LinkForNow remove(rtnl, "nsconf0");
  const int index = SETUP_OK(rtnl.LinkByName("nsconf0")).index;
  EXPECT_THAT(rtnl.MoveLink("nsconf0", ByPid(kNoSuchPid)), FailsWith(ESRCH)) << "control: a process that there is not";
  EXPECT_THAT(rtnl.MoveLink("nsconf0", ByPid(::getpid())), Succeeds());
  EXPECT_THAT(rtnl.MoveLink("nsconf0", ByPid(1)), Succeeds());
  EXPECT_EQ(SETUP_OK(rtnl.LinkByName("nsconf0")).index, index) << "a move to where it is changes nothing";
  const Fd uts = SETUP_OK(Open("/proc/self/ns/uts", O_RDONLY));
  EXPECT_THAT(rtnl.MoveLink("nsconf0", ByFd(uts.get())), FailsWith(EINVAL));
}

NETNS_TEST(Conf, TheOnlyNamespaceCanHaveAnId, Covers("CONF-06"), WithoutNetNs{}, Needs(Machine())) {
  Rtnl rtnl = SETUP_OK(Rtnl::Open());
  EXPECT_THAT(rtnl.GetNsid(ByPid(kNoSuchPid)), FailsWith(ESRCH)) << "control: a process that there is not";
  ASSERT_OK_AND_ASSIGN(const NsidEntry before, rtnl.GetNsid(ByPid(::getpid())));
  if (before.nsid == -1) {
    EXPECT_THAT(rtnl.NewNsid(ByPid(::getpid()), 7), Succeeds());  // ids stay: a second run of this test finds it
  }
  EXPECT_THAT(rtnl.NewNsid(ByPid(1), 8), FailsWith(EEXIST)) << "the process is in the same namespace, which has an id now";
  ASSERT_OK_AND_ASSIGN(const NsidEntry after, rtnl.GetNsid(ByPid(1)));
  EXPECT_EQ(after.nsid, 7);
}

// ioctl SIOCGSKNS gives a handle of a socket's namespace, and there is none to give.
NETNS_TEST(Conf, SocketsHaveNoHandleToGive, Covers("CONF-07"), WithoutNetNs{}, Needs(Root())) {
  for (int domain : {AF_INET, AF_UNIX, AF_NETLINK}) {
    SCOPED_TRACE(domain);
    ASSERT_OK_AND_ASSIGN(const Fd socket, Socket(domain, SOCK_DGRAM));
    errno = 0;
    EXPECT_EQ(::ioctl(socket.get(), SIOCGSKNS), -1);
    EXPECT_EQ(errno, EINVAL) << ErrnoName(errno);
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    EXPECT_EQ(::ioctl(socket.get(), SIOCGIFINDEX, &request), 0) << "control: an ioctl of sockets that there is";
  }
}

char Configured(const std::string& symbol) {
  const char value = KernelConfig::Running().Value(symbol);
  if (value == '?')
    throw MissingNeed("needs-kernel-config", "the configuration of the kernel cannot be read (/proc/config.gz, /boot, /lib/modules)",
                      "build the kernel with CONFIG_IKCONFIG_PROC=y, or put its configuration into /boot");
  return value;
}

// The presence of /proc/PID/ns/net, the configuration and what unshare(2) says are one and the same.
/// What is in the directory of namespaces of a process or thread.
std::set<std::string> NamespaceEntries(const std::string& directory) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) names.insert(entry.path().filename());
  return names;
}

NETNS_TEST(Conf, SupportShowsEverywhereAlike, Covers("CONF-08")) {
  EXPECT_EQ(Configured("NET"), 'y') << "control: an option that every such kernel has";
  EXPECT_EQ(Configured("NO_SUCH_OPTION"), 'n') << "control: one that none has";
  EXPECT_EQ(Configured("NET_NS"), 'y');
  EXPECT_THAT(Lstat("/proc/self/ns/net"), Succeeds());
  for (const char* directory : {"/proc/self/ns", "/proc/thread-self/ns"}) {
    EXPECT_THAT(NamespaceEntries(directory), Contains("mnt")) << "control: " << directory;
    EXPECT_THAT(NamespaceEntries(directory), Contains("net")) << directory;
  }
  EXPECT_THAT(Elsewhere([] { return Unshare(CLONE_NEWNET); }), Succeeds());
}

NETNS_TEST(Conf, AbsenceShowsEverywhereAlike, Covers("CONF-08"), WithoutNetNs{}) {
  EXPECT_EQ(Configured("NET"), 'y') << "control: an option that every such kernel has";
  EXPECT_EQ(Configured("NET_NS"), 'n');
  EXPECT_THAT(Lstat("/proc/self/ns/net"), FailsWith(ENOENT));
  EXPECT_THAT(NamespaceEntries("/proc/self/ns"), Contains("mnt")) << "control";
  EXPECT_THAT(NamespaceEntries("/proc/self/ns"), Not(Contains("net")));
  const auto unshared = Elsewhere([] { return Unshare(CLONE_NEWNET); });
  EXPECT_THAT(unshared, FailsWith(EINVAL));
}

// Nothing but the tests of this file may run on such a kernel, and those must.
NETNS_TEST(Conf, AllOtherTestsAreMissingWithoutNetworkNamespaces, Covers("CONF-08"), WithoutNetNs{}, Needs(Root())) {
  const MachineState machine = MachineState::Probe();
  EXPECT_FALSE(machine.net_namespaces);
  int here = 0, elsewhere = 0;
  for (const TestSpec& spec : AllTests()) {
    const auto missing = Missing(spec, machine);
    if (spec.without_net_ns) {
      EXPECT_EQ(spec.suite, "Conf");
      ++here;
      EXPECT_TRUE(!missing || missing->code != "needs-net-ns") << spec.FullName();
    } else {
      ++elsewhere;
      ASSERT_TRUE(missing) << spec.FullName() << " would run";
      EXPECT_EQ(missing->code, "needs-net-ns") << spec.FullName();
    }
  }
  EXPECT_GT(here, 5) << "control";
  EXPECT_GT(elsewhere, 100) << "control";
}

Status SendFrame(const Fd& socket, int index, const std::string& text) {
  std::string frame = "\xff\xff\xff\xff\xff\xff\x02\x00";
  frame.resize(12);
  frame += std::string("\x88\xb5") + text;  // ETH_P_802_EX1
  frame.resize(60);
  return SendTo(socket, frame, PacketOn(index, 0x88b5, "ff:ff:ff:ff:ff:ff"));
}

// drivers/net/Kconfig: VETH depends on no namespaces.
NETNS_TEST(Conf, AVethPairWorksInTheOnlyNamespace, Covers("CONF-09"), WithoutNetNs{}, Needs(Machine(), Config("VETH"), Config("PACKET"))) {
  Rtnl rtnl = SETUP_OK(Rtnl::Open());
  ASSERT_OK(rtnl.AddVeth("nsconf1", "nsconf2"));
  LinkForNow remove(rtnl, "nsconf1");
  const int west = SETUP_OK(rtnl.LinkByName("nsconf1")).index, east = SETUP_OK(rtnl.LinkByName("nsconf2")).index;
  const auto running = [&](const char* name) {
    const auto link = rtnl.LinkByName(name);
    return link.ok() && link->running();
  };
  ASSERT_OK_AND_ASSIGN(Fd receiver, Socket(AF_PACKET, SOCK_RAW));
  ASSERT_OK(Bind(receiver, PacketOn(east, 0x88b5)));
  ASSERT_OK_AND_ASSIGN(Fd sender, Socket(AF_PACKET, SOCK_RAW));

  ASSERT_OK(rtnl.Up("nsconf1"));
  std::ignore = SendFrame(sender, west, "too early");  // the other end is down: nowhere to go
  ASSERT_OK(rtnl.Up("nsconf2"));
  for (const char* name : {"nsconf1", "nsconf2"})
    ASSERT_EVENTUALLY(std::string(name) + " to run", [&] { return running(name); });
  ASSERT_OK(SendFrame(sender, west, "in time"));
  // Frames keep their order: what comes first is the first that passed. A receive may have seen the device go down before.
  Result<Datagram> first = Receive(receiver);
  if (!first.ok() && first.code() == ENETDOWN) first = Receive(receiver);
  ASSERT_OK(first);
  EXPECT_THAT(first->data, HasSubstr("in time"));
  EXPECT_THAT(first->data, Not(HasSubstr("too early"))) << "control: a frame passed to an end that is down";
}

// ---- modules

/// The module is not in the kernel now.
void Unload(const std::string& module) {
  if (::syscall(SYS_delete_module, module.c_str(), O_NONBLOCK) == 0 || errno == ENOENT) return;
  throw SetupFailure(ErrnoError("delete_module(" + module + ")").ToString(), std::source_location::current());
}
Need AsModule(const std::string& symbol, const std::string& module) {
  return Feature(module + "-as-module", "CONFIG_" + symbol + "=m, a module that can be loaded and unloaded",
                 [symbol] { return KernelConfig::Running().Value(symbol) == 'm'; });
}

/// A sysctl of the machine, set until the end of the test.
class SetForNow {
 public:
  SetForNow(std::string path, const std::string& value) : path_(std::move(path)), before_(SETUP_OK(ReadFile(path_))) {
    SETUP_OK(WriteFile(path_, value));
  }
  ~SetForNow() { std::ignore = WriteFile(path_, before_); }
  SetForNow(const SetForNow&) = delete;
  SetForNow& operator=(const SetForNow&) = delete;

 private:
  std::string path_, before_;
};

/// A tunnel module makes its fallback device in every namespace that there is, and takes it away from each.
void LoadsIntoExistingNamespaces(const std::string& module, const std::string& device) {
  auto initial = InitialNetNamespace();
  const std::string sysctl = "net/core/fb_tunnels_only_for_init_net";
  const std::string before = SETUP_OK(initial.Sysctl(sysctl));
  Unload(module);
  auto one = NetNamespace::Create(), two = NetNamespace::Create();
  Rtnl in_one = SETUP_OK(Rtnl::In(one)), in_two = SETUP_OK(Rtnl::In(two));
  for (Rtnl* rtnl : {&in_one, &in_two}) {
    EXPECT_THAT(rtnl->LinkByName("lo"), Succeeds()) << "control: what is there is found";
    EXPECT_THAT(rtnl->LinkByName(device), FailsWith(ENODEV)) << "control: before the module is loaded";
  }
  SETUP_OK(initial.SetSysctl(sysctl, "0"));
  // netdevice(7): to name a device that is not there makes the kernel load "netdev-NAME".
  const Fd socket = SETUP_OK(initial.Socket(AF_INET, SOCK_DGRAM));
  ifreq request{};
  std::strncpy(request.ifr_name, device.c_str(), sizeof request.ifr_name - 1);
  const bool loaded = ::ioctl(socket.get(), SIOCGIFFLAGS, &request) == 0;
  const Error refused = loaded ? Error{} : ErrnoError("ioctl(SIOCGIFFLAGS, " + device + ")");
  SETUP_OK(initial.SetSysctl(sysctl, before));
  if (!loaded) throw SetupFailure(refused.ToString(), std::source_location::current());
  for (Rtnl* rtnl : {&in_one, &in_two}) {
    EXPECT_THAT(rtnl->LinkByName(device), Succeeds()) << "the module did not reach a namespace from before it was loaded";
    EXPECT_THAT(rtnl->Up(device), Succeeds());
  }
  Unload(module);
  for (Rtnl* rtnl : {&in_one, &in_two}) {
    EXPECT_THAT(rtnl->LinkByName(device), FailsWith(ENODEV)) << "the module is gone, its device is not";
    EXPECT_THAT(rtnl->LinkByName("lo"), Succeeds()) << "control";
  }
}

/// The same of a protocol: sockets of it can be made in a namespace from before.
NETNS_TEST(Conf, AProtocolLoadsIntoExistingNamespaces, Covers("CONF-10"), Needs(Machine(), Config("CAN_RAW"), AsModule("CAN_RAW", "can_raw")),
           Exclusive{}) {
  constexpr int kCanRaw = 1;
  auto one = NetNamespace::Create(), two = NetNamespace::Create();
  const auto open = [&](const NetNamespace& ns) { return ns.Socket(AF_CAN, SOCK_RAW, kCanRaw); };
  Unload("can_raw");
  {
    SetForNow no_modules("/proc/sys/kernel/modprobe", "\n");
    for (const NetNamespace* ns : {&one, &two})
      EXPECT_THAT(open(*ns), testing::AnyOf(FailsWith(EPROTONOSUPPORT), FailsWith(EAFNOSUPPORT))) << "control: before the module is loaded";
  }
  for (const NetNamespace* ns : {&one, &two}) EXPECT_THAT(open(*ns), Succeeds());
  SetForNow no_modules("/proc/sys/kernel/modprobe", "\n");
  for (const NetNamespace* ns : {&one, &two}) EXPECT_THAT(open(*ns), Succeeds()) << "control: it stays loaded";
  Unload("can_raw");
  for (const NetNamespace* ns : {&one, &two}) EXPECT_THAT(open(*ns), FailsWith(EPROTONOSUPPORT)) << "the module is gone";
}

[[maybe_unused]] const bool registered = [] {
  for (auto [symbol, module, device] : {std::tuple("NET_IPIP", "ipip", "tunl0"), std::tuple("IPV6_SIT", "sit", "sit0")})
    RegisterBody(
        "Conf", std::string("ModulesLoadIntoExistingNamespaces/") + module, __FILE__, __LINE__,
        [module = std::string(module), device = std::string(device)] { LoadsIntoExistingNamespaces(module, device); },
        Covers("CONF-10"), Needs(Machine(), Config(symbol), AsModule(symbol, module)), Exclusive{});
  return true;
}();

}  // namespace
}  // namespace netns
