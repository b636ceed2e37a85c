// SPDX-License-Identifier: GPL-2.0-or-later
// TOOL: what ip-netns(8), ip-monitor(8), ip(8), bridge(8), tc(8), unshare(1), nsenter(1) and lsns(8) say of network namespaces,
// with the programs of this machine. They work in the mount namespace of the test, on a /run of its own.
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>

#include "fixtures/nic.h"
#include "fixtures/tool.h"
#include "suites/support/nsfs.h"
#include "suites/support/place.h"
#include "suites/support/watched.h"

namespace netns {
namespace {

using testing::AllOf;
using testing::Eq;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

void MountTmpfs(const char* where) {
  if (::mount("tmpfs", where, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755") < 0) SETUP_OK(Status(ErrnoError(std::string("mount(tmpfs, ") + where + ")")));
}

/// An empty /run, which is /var/run too, and an /etc of the test's own.
struct Root {
  Root() {
    MountTmpfs("/run");
    if (::access("/var/run", F_OK) != 0) {
      MountTmpfs("/var");
      if (::symlink("/run", "/var/run") < 0) SETUP_OK(Status(ErrnoError("symlink(/var/run)")));
    }
  }
};
std::string Named(const std::string& name) { return "/run/netns/" + name; }

ToolResult RunIt(const std::vector<std::string>& command) { return SETUP_OK(RunTool(command)); }
/// Runs a step that is not the claim.
void Do(const std::vector<std::string>& command) {
  const ToolResult result = RunIt(command);
  if (result.status != 0) {
    std::ostringstream text;
    text << command.at(0) << ": " << result;
    throw SetupFailure(text.str(), std::source_location::current());
  }
}

/// Whether nsfs is mounted at a path, as the mount table tells.
bool IsMounted(const std::string& path) {
  std::istringstream lines(SETUP_OK(ReadFile("/proc/self/mountinfo")));
  for (std::string line; std::getline(lines, line);)
    if (line.find(" " + path + " ") != std::string::npos && line.find(" - nsfs ") != std::string::npos) return true;
  return false;
}
std::vector<std::string> Words(const std::string& text) {
  std::istringstream in(text);
  return {std::istream_iterator<std::string>(in), {}};
}
bool HasWord(const std::string& text, const std::string& word) {
  const auto words = Words(text);
  return std::count(words.begin(), words.end(), word) != 0;
}
/// Runs a program that stays, and waits until it is what runs: until then it is its starter.
Tool StartStaying(const std::vector<std::string>& command, const std::string& program) {
  Tool tool = SETUP_OK(Tool::Start(command));
  SETUP_OK(Eventually("'" + program + "' to run", [&] {
    const auto words = ReadFile("/proc/" + std::to_string(tool.pid()) + "/cmdline");
    return words.ok() && words->starts_with(program + '\0' + "monitor");
  }));
  return tool;
}
ino_t NamespaceOf(pid_t pid, const char* which) { return InodeOf("/proc/" + std::to_string(pid) + "/ns/" + which); }

// ip-netns(8) add, list, delete.
NETNS_TEST(Tool, IpNetnsAddNamesANewNamespace, Covers("TOOL-01")) {
  Root root;
  const ToolResult added = RunIt({"ip", "netns", "add", "blue"});
  ASSERT_EQ(added.status, 0) << added;
  EXPECT_TRUE(IsMounted(Named("blue")));
  auto blue = SETUP_OK(NetNamespace::OfPath(Named("blue")));
  EXPECT_FALSE(blue.Is(NetNamespace::Current()));
  EXPECT_EQ(blue.In([] { return InodeOf("/proc/self/ns/net"); }), blue.Inode()) << "what is opened there can be entered";
  Place place(std::move(blue));
  EXPECT_THAT(LinkNames(place), testing::ElementsAre("lo"));
  Do({"ip", "netns", "add", "red"});
  EXPECT_FALSE(place.ns.Is(SETUP_OK(NetNamespace::OfPath(Named("red"))))) << "each is another one";
  const ToolResult again = RunIt({"ip", "netns", "add", "blue"});
  EXPECT_EQ(again.status, 1) << again;
  EXPECT_THAT(again.err, HasSubstr("File exists"));
  EXPECT_TRUE(place.ns.Is(SETUP_OK(NetNamespace::OfPath(Named("blue"))))) << "and changes nothing";
  const std::string list = RunIt({"ip", "netns", "list"}).out;
  EXPECT_TRUE(HasWord(list, "blue") && HasWord(list, "red")) << list;
  const ToolResult deleted = RunIt({"ip", "netns", "del", "blue"});
  EXPECT_EQ(deleted.status, 0) << deleted;
  EXPECT_FALSE(IsMounted(Named("blue"))) << "control";
  EXPECT_NE(::access(Named("blue").c_str(), F_OK), 0) << "control";
  EXPECT_FALSE(HasWord(RunIt({"ip", "netns", "list"}).out, "blue")) << "control";
  EXPECT_TRUE(IsMounted(Named("red"))) << "control: the other";
  EXPECT_EQ(RunIt({"ip", "netns", "del", "blue"}).status, 1) << "control: a name that is not there";
}

NETNS_TEST(Tool, IpNetnsDelTakesTheNameNotTheUsers, Covers("TOOL-02"), Needs(Config("VETH"), UserNs())) {
  Root root;
  Watched watched;
  for (const bool used : {true, false}) {
    SCOPED_TRACE(used ? "with a process inside" : "control: without one");
    Do({"ip", "netns", "add", "blue"});
    std::optional<Actor> user;
    {
      auto blue = SETUP_OK(NetNamespace::OfPath(Named("blue")));
      watched.Watch(blue.fd());
      if (used) user.emplace(blue.StartActor("user"));
    }
    watched.ExpectStays("it has a name");
    Do({"ip", "netns", "del", "blue"});
    if (used) {
      watched.ExpectStays("a process is inside");
      user->Exit();
    }
    EXPECT_EVENTUALLY("the namespace to be freed", [&] { return !watched.Present(); });
  }
}

NETNS_TEST(Tool, ACardReturnsAfterIpNetnsDelOnlyWhenTheUsersEnd, Covers("TOOL-02"), Needs(Nic("e1000", 1)), Within{std::chrono::seconds(60)}) {
  Root root;
  auto nics = PhysicalNic::Leased();
  for (const bool used : {true, false}) {
    SCOPED_TRACE(used ? "with a process inside" : "control: without one");
    Do({"ip", "netns", "add", "blue"});
    std::optional<Actor> user;
    {
      auto blue = SETUP_OK(NetNamespace::OfPath(Named("blue")));
      SETUP_OK(nics[0].MoveTo(blue));
      if (used) user.emplace(blue.StartActor("user"));
    }
    Do({"ip", "netns", "del", "blue"});
    if (used) {
      EXPECT_THAT(nics[0].InInitial(), FailsWith(ENODEV)) << "the process still uses it";
      user->Exit();
    }
    EXPECT_OK(nics[0].WaitUntilBack());
  }
}

NETNS_TEST(Tool, IpNetnsRelatesProcessesAndNames, Covers("TOOL-03")) {
  Root root;
  for (const char* name : {"blue", "red"}) Do({"ip", "netns", "add", name});
  Actor in_blue = SETUP_OK(NetNamespace::OfPath(Named("blue"))).StartActor("in blue");
  Actor second = SETUP_OK(NetNamespace::OfPath(Named("blue"))).StartActor("in blue too");
  Actor unnamed = NetNamespace::Create().StartActor("in one without a name");
  auto identify = [](pid_t pid) { return Words(RunIt({"ip", "netns", "identify", std::to_string(pid)}).out); };
  EXPECT_THAT(identify(in_blue.pid()), testing::ElementsAre("blue"));
  EXPECT_THAT(identify(unnamed.pid()), IsEmpty()) << "control";
  EXPECT_THAT(identify(::getpid()), IsEmpty()) << "control";
  const std::string blue = RunIt({"ip", "netns", "pids", "blue"}).out, red = RunIt({"ip", "netns", "pids", "red"}).out;
  EXPECT_TRUE(HasWord(blue, std::to_string(in_blue.pid())) && HasWord(blue, std::to_string(second.pid()))) << blue;
  EXPECT_FALSE(HasWord(blue, std::to_string(unnamed.pid()))) << blue;
  EXPECT_THAT(Words(red), IsEmpty()) << "control";
  SETUP_OK(second.Enter(SETUP_OK(NetNamespace::OfPath(Named("red"))).fd()));
  EXPECT_THAT(identify(second.pid()), testing::ElementsAre("red")) << "it has moved";
  EXPECT_TRUE(HasWord(RunIt({"ip", "netns", "pids", "red"}).out, std::to_string(second.pid())));
}

// ip-netns(8) exec: "/etc/netns/NAME/... bind mounting", "/sys".
NETNS_TEST(Tool, IpNetnsExecGivesAViewOfEtcAndSys, Covers("TOOL-04"), Needs(Config("VETH"))) {
  Root root;
  MountTmpfs("/etc");
  std::filesystem::create_directories("/etc/netns/blue");
  auto write = [](const char* path, const char* text) {
    const Fd file = SETUP_OK(Open(path, O_CREAT | O_WRONLY, 0644));
    if (::write(file.get(), text, std::strlen(text)) < 0) SETUP_OK(Status(ErrnoError("write")));
  };
  write("/etc/resolv.conf", "outside");
  write("/etc/hosts", "shared");
  write("/etc/netns/blue/resolv.conf", "inside");
  Do({"ip", "netns", "add", "blue"});
  auto blue = SETUP_OK(NetNamespace::OfPath(Named("blue")));
  Place here = Place::Here();
  SETUP_OK(here->AddVeth("outer0", {.name = "inner0", .netns_fd = blue.fd()}));
  const Tool tool = StartStaying({"ip", "netns", "exec", "blue", "ip", "monitor"}, "ip");
  const std::string inside = "/proc/" + std::to_string(tool.pid()) + "/root";
  EXPECT_EQ(NamespaceOf(tool.pid(), "net"), blue.Inode());
  EXPECT_NE(NamespaceOf(tool.pid(), "mnt"), InodeOf("/proc/self/ns/mnt")) << "a mount namespace of its own";
  EXPECT_THAT(ReadFile(inside + "/etc/resolv.conf"), Holds(Eq("inside")));
  EXPECT_THAT(ReadFile(inside + "/etc/hosts"), Holds(Eq("shared"))) << "a file that the namespace has none of";
  EXPECT_THAT(ReadFile("/etc/resolv.conf"), Holds(Eq("outside"))) << "control: outside";
  auto exists = [](const std::string& path) {
    struct stat info {};
    return ::lstat(path.c_str(), &info) == 0;
  };
  EXPECT_TRUE(exists(inside + "/sys/class/net/inner0"));
  EXPECT_FALSE(exists(inside + "/sys/class/net/outer0"));
  EXPECT_TRUE(exists("/sys/class/net/outer0")) << "control: outside";
  EXPECT_FALSE(exists("/sys/class/net/inner0")) << "control: outside";
}

NETNS_TEST(Tool, IpNetnsAttachNamesANamespaceThatIsThere, Covers("TOOL-05"), Needs(Config("VETH"), UserNs())) {
  Root root;
  Watched watched;
  Actor member = watched.StartMember();
  const ToolResult attached = RunIt({"ip", "netns", "attach", "green", std::to_string(member.pid())});
  if (attached.status != 0 && attached.err.find("unknown") != std::string::npos)
    throw MissingNeed("needs-tool:ip", "this ip(8) has no 'netns attach': " + attached.err, "install a younger iproute2");
  ASSERT_EQ(attached.status, 0) << attached;
  EXPECT_EQ(InodeOf(Named("green")), NamespaceOf(member.pid(), "net"));
  watched.oracle().keeper().Run([&] { member.Kill(); });
  watched.ExpectStays("it has a name");
  Do({"ip", "netns", "del", "green"});
  watched.ExpectFreed("the name was the last that held it (control)");
}

// ip-monitor(8): "all-nsid ... the nsid is displayed before each message".
NETNS_TEST(Tool, IpMonitorTellsTheIdOfTheNamespace, Covers("TOOL-06"), Needs(Config("VETH"), Config("BRIDGE"))) {
  Root root;
  Place here = Place::Here(), known, unknown;
  SETUP_OK(here->NewNsid(known.ref(), 7));
  Tool monitor = SETUP_OK(Tool::Start({"ip", "-o", "monitor", "link", "all-nsid"}));
  // It is heard from once it listens.
  int fences = 0;
  auto fence = [&] {
    const std::string name = "fence" + std::to_string(++fences);
    AddBridge(here, name);
    return name;
  };
  SETUP_OK(Eventually("ip monitor to listen", [&] { return monitor.Until(fence(), Deadline::In(std::chrono::milliseconds(200))).ok(); }));
  AddBridge(known, "known0");
  AddBridge(unknown, "unknown0");
  ASSERT_OK_AND_ASSIGN(const std::string text, monitor.Until(fence()));
  std::istringstream lines(text);
  bool told = false;
  for (std::string line; std::getline(lines, line);) {
    EXPECT_THAT(line, Not(HasSubstr("unknown0"))) << "control: a namespace without id";
    if (line.find(" known0:") != std::string::npos) {
      told = true;
      EXPECT_THAT(line, HasSubstr("[nsid 7]"));
    }
    if (line.find(" fence") != std::string::npos) {
      EXPECT_THAT(line, Not(HasSubstr("[nsid 7]"))) << "control: its own namespace";
    }
  }
  EXPECT_TRUE(told) << text;
}

// unshare(1) --net, with and without a file.
NETNS_TEST(Tool, UnshareMakesANamespaceThatAFileKeeps, Covers("TOOL-07"), Needs(Config("VETH"), UserNs())) {
  Root root;
  Watched watched;
  Place here = Place::Here();
  SETUP_OK(here->AddVeth("outer0", "outer1"));
  const Fd file = SETUP_OK(Open("/run/kept", O_CREAT | O_RDONLY, 0644));
  const ToolResult first = RunIt({"unshare", "--net=/run/kept", "ip", "-o", "link"});
  ASSERT_EQ(first.status, 0) << first;
  EXPECT_THAT(first.out, AllOf(HasSubstr("lo:"), Not(HasSubstr("outer0"))));
  EXPECT_THAT(RunIt({"ip", "-o", "link"}).out, HasSubstr("outer0")) << "control: without it";
  EXPECT_TRUE(IsMounted("/run/kept"));
  watched.Watch(SETUP_OK(NetNamespace::OfPath("/run/kept")).fd());
  watched.ExpectStays("a file keeps it");
  const ToolResult again = RunIt({"nsenter", "--net=/run/kept", "ip", "-o", "link"});
  EXPECT_EQ(again.status, 0) << again;
  EXPECT_THAT(again.out, AllOf(HasSubstr("inside"), Not(HasSubstr("outer0")))) << "the same one again";
  if (::umount2("/run/kept", 0) < 0) SETUP_OK(Status(ErrnoError("umount2")));
  EXPECT_EVENTUALLY("the namespace to be freed", [&] { return !watched.Present(); });
  EXPECT_NE(RunIt({"nsenter", "--net=/run/kept", "ip", "-o", "link"}).status, 0) << "control: there is nothing to enter";
  // Without a file it goes with the program.
  const Fd other = SETUP_OK(Open("/run/other", O_CREAT | O_RDONLY, 0644));
  const ToolResult brief = RunIt({"unshare", "--net", "ip", "-o", "link"});
  EXPECT_EQ(brief.status, 0) << brief;
  EXPECT_THAT(brief.out, Not(HasSubstr("outer0")));
  EXPECT_FALSE(IsMounted("/run/other"));
}

// nsenter(1) --target, --net.
NETNS_TEST(Tool, NsenterChangesOnlyTheNamespacesThatItIsAskedFor, Covers("TOOL-08")) {
  Root root;
  Actor target = Actor::Start("target", CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC);
  const std::string pid = std::to_string(target.pid());
  const std::vector<std::string> others = {"uts", "ipc", "mnt", "pid", "user"};
  auto expect_in = [&](const std::vector<std::string>& command, bool net, bool uts) {
    const Tool tool = StartStaying(command, "ip");
    EXPECT_EQ(NamespaceOf(tool.pid(), "net"), net ? NamespaceOf(target.pid(), "net") : InodeOf("/proc/self/ns/net"));
    for (const std::string& other : others)
      EXPECT_EQ(NamespaceOf(tool.pid(), other.c_str()), uts && other == "uts" ? NamespaceOf(target.pid(), "uts") : InodeOf("/proc/self/ns/" + other)) << other;
  };
  {
    SCOPED_TRACE("by pid");
    expect_in({"nsenter", "--target", pid, "--net", "ip", "monitor"}, true, false);
  }
  {
    SCOPED_TRACE("by file");
    expect_in({"nsenter", "--net=/proc/" + pid + "/ns/net", "ip", "monitor"}, true, false);
  }
  {
    SCOPED_TRACE("control: another namespace");
    expect_in({"nsenter", "--target", pid, "--uts", "ip", "monitor"}, false, true);
  }
  {
    SCOPED_TRACE("both");
    expect_in({"nsenter", "--target", pid, "--net", "--uts", "ip", "monitor"}, true, true);
  }
}

// lsns(8): "NSFS nsfs mountpoint", "NETNSID".
NETNS_TEST(Tool, LsnsListsNetworkNamespacesOfProcesses, Covers("TOOL-09")) {
  Root root;
  Do({"ip", "netns", "add", "blue"});
  Place here = Place::Here();
  auto blue = SETUP_OK(NetNamespace::OfPath(Named("blue")));
  SETUP_OK(here->NewNsid(ByFd(blue.fd()), 7));
  Actor in_blue = blue.StartActor("in blue"), twice = blue.StartActor("in blue too");
  Actor unnamed = NetNamespace::Create().StartActor("in one without a name");
  const std::string gone = std::to_string(NamespaceOf(unnamed.pid(), "net"));
  // The row of each namespace.
  auto rows = [] {
    const ToolResult result = RunIt({"lsns", "--type", "net", "--raw", "--noheadings", "--output", "NS,NETNSID,NSFS"});
    EXPECT_EQ(result.status, 0) << result;
    std::map<std::string, std::vector<std::vector<std::string>>> found;
    std::istringstream lines(result.out);
    for (std::string line; std::getline(lines, line);)
      if (const auto words = Words(line); !words.empty()) found[words[0]].push_back(words);
    return found;
  };
  const auto before = rows();
  const std::string of_blue = std::to_string(blue.Inode());
  ASSERT_TRUE(before.contains(of_blue));
  EXPECT_EQ(before.at(of_blue).size(), 1u) << "once, whatever the number of processes";
  EXPECT_THAT(before.at(of_blue).at(0), testing::ElementsAre(of_blue, "7", testing::EndsWith("/netns/blue")));
  EXPECT_TRUE(before.contains(gone));
  EXPECT_TRUE(before.contains(std::to_string(InodeOf("/proc/self/ns/net")))) << "its own";
  unnamed.Exit();
  EXPECT_FALSE(rows().contains(gone)) << "control: the process has ended";
}

// ip(8), bridge(8), tc(8): -n, -netns.
NETNS_TEST(Tool, TheNetnsOptionIsLikeExec, Covers("TOOL-10"), Needs(Config("VETH"), Config("BRIDGE"))) {
  Root root;
  Do({"ip", "netns", "add", "blue"});
  Place here = Place::Here(), blue(SETUP_OK(NetNamespace::OfPath(Named("blue"))));
  SETUP_OK(here->AddVeth("outer0", {.name = "inner0", .netns_fd = blue.fd()}));
  AddBridge(blue, "hub0");
  SETUP_OK(blue->SetLink("inner0", {.master = "hub0"}));
  SETUP_OK(blue->Up("inner0"));
  const std::vector<std::vector<std::string>> commands = {{"ip", "-o", "link", "show"}, {"bridge", "link", "show"}, {"tc", "qdisc", "show", "dev", "inner0"}};
  for (const auto& command : commands) {
    SCOPED_TRACE(command[0]);
    std::vector<std::string> with_option = {command[0], "-n", "blue"}, by_exec = {"ip", "netns", "exec", "blue"};
    with_option.insert(with_option.end(), command.begin() + 1, command.end());
    by_exec.insert(by_exec.end(), command.begin(), command.end());
    const ToolResult option = RunIt(with_option), exec = RunIt(by_exec), without = RunIt(command);
    EXPECT_EQ(option.status, 0) << option;
    EXPECT_THAT(option.out, HasSubstr(command[0] == "tc" ? "qdisc" : "inner0"));
    // The link's state follows its carrier a moment later.
    EXPECT_EVENTUALLY("both to show the same", [&] { return RunIt(with_option).out == RunIt(by_exec).out; });
    EXPECT_EQ(exec.status, 0) << exec;
    EXPECT_THAT(without.out, Not(HasSubstr("inner0"))) << "control: without the option";
  }
  EXPECT_NE(RunIt({"ip", "-n", "nowhere", "link"}).status, 0) << "control: a name that is not there";
}

}  // namespace
}  // namespace netns
