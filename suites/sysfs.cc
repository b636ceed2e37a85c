// SPDX-License-Identifier: GPL-2.0-or-later
// SYSFS: /sys/class/net and what else of sysfs(5) depends on the network namespace of whoever mounted it.
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>

#include <filesystem>

#include "fixtures/user_namespace.h"
#include "suites/support/between.h"
#include "suites/support/place.h"

namespace netns {
namespace {

using testing::AnyOf;
using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::HasSubstr;
using testing::Not;

constexpr auto kFreed = std::chrono::seconds(25);

/// A process with a mount namespace of its own, that can mount instances of sysfs and be moved between namespaces.
class Mounter {
 public:
  explicit Mounter(const char* name) : actor_(Actor::Start(name)) { SETUP_OK(actor_.Unshare(CLONE_NEWNS)); }
  Actor& actor() { return actor_; }
  /// Mounts sysfs as a member of `ns` at a new directory, and gives its path.
  std::string Mount(const NetNamespace& ns, const std::string& directory) { return SETUP_OK(TryMount(ns, directory)); }
  /// The same where it is the claim that it can be mounted in this namespace, too.
  Result<std::string> TryMount(const NetNamespace& ns, const std::string& directory) {
    return TryMount(ns, directory, [](const std::string& path) { return MountSysfs(path, MS_NOSUID | MS_NODEV | MS_NOEXEC); });
  }
  /// In a way of the caller's.
  Result<std::string> TryMount(const NetNamespace& ns, const std::string& directory, const std::function<Status(const std::string&)>& mount) {
    Enter(ns);
    return actor_.Run([&]() -> Result<std::string> {
      const std::string path = "/tmp/" + directory;
      ::mkdir(path.c_str(), 0755);
      RETURN_IF_ERROR(mount(path));
      return path;
    });
  }
  static Status MountSysfs(const std::string& path, unsigned long flags, const char* source = "sysfs") {
    if (::mount(source, path.c_str(), "sysfs", flags, nullptr) < 0) return ErrnoError("mount(sysfs)");
    return Ok();
  }
  void Enter(const NetNamespace& ns) { SETUP_OK(actor_.Enter(ns.fd(), CLONE_NEWNET)); }
  /// The symlinks of a directory; fallback tunnels left out.
  std::vector<std::string> List(const std::string& directory, bool only_links = true) {
    return actor_.Run([&] {
      std::vector<std::string> names;
      std::error_code error;
      for (const auto& entry : std::filesystem::directory_iterator(directory, error))
        if ((!only_links || entry.is_symlink()) && !IsFallback(entry.path().filename())) names.push_back(entry.path().filename());
      if (error) throw SetupFailure(directory + ": " + error.message(), std::source_location::current());
      std::sort(names.begin(), names.end());
      return names;
    });
  }
  Result<std::string> Read(const std::string& path) {
    return actor_.Run([&]() -> Result<std::string> {
      ASSIGN_OR_RETURN(std::string text, ReadFile(path));
      while (!text.empty() && text.back() == '\n') text.pop_back();
      return text;
    });
  }
  Status Write(const std::string& path, const std::string& value) {
    return actor_.Run([&] { return WriteFile(path, value); });
  }
  bool Exists(const std::string& path) {
    return actor_.Run([&] {
      struct stat info{};
      return ::lstat(path.c_str(), &info) == 0;
    });
  }
  dev_t Device(const std::string& path) {
    return actor_.Run([&] {
      struct stat info{};
      if (::stat(path.c_str(), &info) < 0)
        throw SetupFailure(ErrnoError("stat(" + path + ")").ToString(), std::source_location::current());
      return info.st_dev;
    });
  }

 private:
  Actor actor_;
};

// network_namespaces(7): the /sys/class/net directory is isolated.
NETNS_TEST(Sysfs, AMountListsExactlyTheDevicesOfItsNamespace, Covers("SYSFS-01", "SYSFS-05"), Needs(Config("VETH"), Config("BRIDGE"))) {
  Place here = Place::Here();
  Place a, b;
  Place nested = Place::Inside(a);
  AddBridge(here, "creators");
  AddDevice(a, "ina");
  AddDevice(a, "ina2");
  AddBridge(b, "inb");
  AddDevice(a, "moved");
  SETUP_OK(a->MoveLink("moved", b.ref()));
  Mounter mounter("mounter");
  const std::string root_a = mounter.Mount(a.ns, "a");
  ASSERT_OK_AND_ASSIGN(const std::string root_b, mounter.TryMount(b.ns, "b"));
  ASSERT_OK_AND_ASSIGN(const std::string root_nested, mounter.TryMount(nested.ns, "nested"));
  ASSERT_OK_AND_ASSIGN(const std::string root_here, mounter.TryMount(here.ns, "here"));
  struct {
    Place& place;
    const std::string& root;
    std::vector<std::string> expected;
  } rows[] = {{a, root_a, {"ina", "ina2", "lo"}},
              {b, root_b, {"inb", "lo", "moved"}},
              {nested, root_nested, {"lo"}},
              {here, root_here, {"creators", "lo"}}};
  for (const auto& [place, root, expected] : rows) {
    SCOPED_TRACE(root);
    EXPECT_EQ(mounter.List(root + "/class/net"), expected);
    EXPECT_EQ(mounter.List(root + "/class/net"), LinkNames(place)) << "control: rtnetlink in the same namespace";
    EXPECT_EQ(mounter.List(root + "/devices/virtual/net", false), expected) << "the directories behind the links";
  }
  // It follows the namespace while it is mounted.
  AddBridge(a, "late");
  EXPECT_THAT(mounter.List(root_a + "/class/net"), Contains("late"));
  for (const std::string& other : {root_b, root_nested, root_here}) {
    EXPECT_FALSE(mounter.Exists(other + "/class/net/late"));
    EXPECT_FALSE(mounter.Exists(other + "/devices/virtual/net/late"));
  }
  SETUP_OK(a->DeleteLink("late"));
  EXPECT_FALSE(mounter.Exists(root_a + "/class/net/late"));
  EXPECT_FALSE(mounter.Exists(root_a + "/devices/virtual/net/late"));
}

/// fsopen(2), fsconfig(2), fsmount(2) and move_mount(2).
Status MountInSteps(const std::string& path, bool read_only) {
  const Fd context(static_cast<int>(::syscall(430 /* fsopen */, "sysfs", 1u /* FSOPEN_CLOEXEC */)));
  if (!context.valid()) return ErrnoError("fsopen(sysfs)");
  if (read_only && ::syscall(431 /* fsconfig */, context.get(), 0u /* FSCONFIG_SET_FLAG */, "ro", nullptr, 0) < 0) return ErrnoError("fsconfig(ro)");
  if (::syscall(431 /* fsconfig */, context.get(), 6u /* FSCONFIG_CMD_CREATE */, nullptr, nullptr, 0) < 0) return ErrnoError("fsconfig(FSCONFIG_CMD_CREATE)");
  const Fd mount(static_cast<int>(::syscall(432 /* fsmount */, context.get(), 1u /* FSMOUNT_CLOEXEC */, 0xEu | (read_only ? 1u : 0u) /* MOUNT_ATTR_NOSUID, NODEV, NOEXEC, RDONLY */)));
  if (!mount.valid()) return ErrnoError("fsmount");
  if (::syscall(429 /* move_mount */, mount.get(), "", AT_FDCWD, path.c_str(), 4u /* MOVE_MOUNT_F_EMPTY_PATH */) < 0) return ErrnoError("move_mount");
  return Ok();
}

// mount(2): flags say how a file system is used, and not what is in it. The first mount of a namespace decides what the others show.
NETNS_TEST(Sysfs, AMountListsTheDevicesOfItsNamespaceHoweverItIsMounted, Covers("SYSFS-01", "SYSFS-02", "TOOL-04"), Needs(Config("VETH"))) {
  constexpr unsigned long kUsual = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  const auto flags = [](unsigned long value, const char* source = "sysfs") {
    return [=](const std::string& path) { return Mounter::MountSysfs(path, value, source); };
  };
  const struct {
    const char* name;
    std::function<Status(const std::string&)> mount;
    bool read_only;
  } ways[] = {{"writable", flags(kUsual), false},
              {"read-only", flags(kUsual | MS_RDONLY), true},
              {"read-only, without other flags", flags(MS_RDONLY), true},
              {"read-only, by another name", flags(kUsual | MS_RDONLY, "anything"), true},
              {"without flags", flags(0), false},
              {"with other flags", flags(kUsual | MS_SYNCHRONOUS | MS_DIRSYNC), false},
              {"in steps", [](const std::string& path) { return MountInSteps(path, false); }, false},
              {"in steps, read-only", [](const std::string& path) { return MountInSteps(path, true); }, true},
              {"writable, and read-only later",
               [](const std::string& path) -> Status {
                 RETURN_IF_ERROR(Mounter::MountSysfs(path, kUsual));
                 if (::mount(nullptr, path.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | kUsual, nullptr) < 0) return ErrnoError("mount(MS_REMOUNT)");
                 return Ok();
               },
               true},
              {"as a read-only bind mount",
               [](const std::string& path) -> Status {
                 const std::string first = path + ".first";
                 ::mkdir(first.c_str(), 0755);
                 RETURN_IF_ERROR(Mounter::MountSysfs(first, kUsual));
                 if (::mount(first.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) < 0) return ErrnoError("mount(MS_BIND)");
                 if (::mount(nullptr, path.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | kUsual, nullptr) < 0) return ErrnoError("mount(MS_REMOUNT)");
                 return Ok();
               },
               true}};
  Place here = Place::Here();
  AddDevice(here, "creators");
  Mounter mounter("mounter");
  int number = 0;
  for (const auto& way : ways) {
    SCOPED_TRACE(way.name);
    const std::string name = "way" + std::to_string(number++);
    Place place;
    AddDevice(place, name);
    auto root = mounter.TryMount(place.ns, name, way.mount);
    if (root.code() == ENOSYS) continue;  // without these calls
    ASSERT_OK(root);
    const std::vector<std::string> expected = {"lo", name};
    EXPECT_EQ(mounter.List(*root + "/class/net"), expected);
    EXPECT_EQ(mounter.List(*root + "/devices/virtual/net", false), expected);
    EXPECT_EQ(LinkNames(place), expected) << "control: rtnetlink in the same namespace";
    const Status written = mounter.Write(*root + "/class/net/" + name + "/ifalias", "alias");
    if (way.read_only) {
      EXPECT_THAT(written, FailsWith(EROFS)) << "control: it is mounted read-only";
    } else {
      EXPECT_OK(written) << "control: it is writable";
    }
    // A second mount of the same namespace, of the other kind.
    ASSERT_OK_AND_ASSIGN(const std::string second, mounter.TryMount(place.ns, name + "second", flags(way.read_only ? kUsual : kUsual | MS_RDONLY)));
    EXPECT_EQ(mounter.List(second + "/class/net"), expected) << "a second mount";
  }
}

NETNS_TEST(Sysfs, AMountInNestedUserNamespacesListsItsDevicesToo, Covers("SYSFS-01", "SYSFS-02"), Needs(Config("VETH"), UserNs())) {
  Place here = Place::Here();
  AddDevice(here, "creators");
  Actor actor = Actor::Start("nested");
  for (int depth = 1; depth <= 3; ++depth) {
    SCOPED_TRACE("user namespaces below the test's: " + std::to_string(depth));
    SETUP_OK(EnterNewUserNamespace(actor));
    SETUP_OK(actor.Unshare(CLONE_NEWNET | CLONE_NEWNS));
    const std::string name = "depth" + std::to_string(depth);
    std::vector<std::string> names;
    Status mounted = actor.Run([&]() -> Status {
      auto rtnl = SETUP_OK(Rtnl::Open());
      RequireBuiltIn(rtnl.AddVeth(name, (name + "p").c_str()), "VETH");
      if (::mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) < 0) return ErrnoError("mount(sysfs)");
      for (const auto& entry : std::filesystem::directory_iterator("/sys/class/net"))
        if (entry.is_symlink() && !IsFallback(entry.path().filename())) names.push_back(entry.path().filename());
      return Ok();
    });
    ASSERT_OK(mounted);
    std::sort(names.begin(), names.end());
    EXPECT_THAT(names, ElementsAre(name, name + "p", "lo"));
  }
}

// fs/sysfs/mount.c: the tag is that of the mounter. (sysfs(5) says: of the process that looks.)
NETNS_TEST(Sysfs, TheViewIsThatOfTheMounterWhoeverLooks, Covers("SYSFS-02"), Needs(Config("BRIDGE"))) {
  Place a, b;
  AddBridge(a, "ina");
  AddBridge(b, "inb");
  Mounter mounter("mounter");
  const std::string root = mounter.Mount(a.ns, "a");
  for (Place* reader : {&a, &b}) {
    mounter.Enter(reader->ns);
    EXPECT_THAT(mounter.List(root + "/class/net"), ElementsAre("ina", "lo"));
    EXPECT_OK(mounter.Read(root + "/class/net/ina/ifindex"));
    EXPECT_FALSE(mounter.Exists(root + "/class/net/inb"));
    const std::string text = SETUP_OK(mounter.Read("/proc/thread-self/net/dev"));
    EXPECT_EQ(ProcNetLists(text, "ina"), reader == &a) << "control: procfs follows the reader";
    EXPECT_EQ(ProcNetLists(text, "inb"), reader == &b) << "control: procfs follows the reader";
  }
  SETUP_OK(mounter.actor().Unshare(CLONE_NEWNET));
  EXPECT_THAT(mounter.List(root + "/class/net"), ElementsAre("ina", "lo")) << "after unshare(2) the old view stays";
  Place own(SETUP_OK(NetNamespace::OfPid(mounter.actor().pid())));
  ASSERT_OK_AND_ASSIGN(const std::string fresh, mounter.TryMount(own.ns, "fresh"));
  EXPECT_THAT(mounter.List(fresh + "/class/net"), ElementsAre("lo")) << "a fresh mount shows the new one";
}

NETNS_TEST(Sysfs, MountsOfOneNamespaceShareASuperblock, Covers("SYSFS-03")) {
  Place a, b;
  Place nested = Place::Inside(b);
  Mounter mounter("mounter");
  const std::string a1 = mounter.Mount(a.ns, "a1");
  ASSERT_OK_AND_ASSIGN(const std::string b1, mounter.TryMount(b.ns, "b1"));
  ASSERT_OK_AND_ASSIGN(const std::string a2, mounter.TryMount(a.ns, "a2"));
  ASSERT_OK_AND_ASSIGN(const std::string n1, mounter.TryMount(nested.ns, "n1"));
  EXPECT_EQ(mounter.Device(a1), mounter.Device(a2)) << "two mounts of one namespace";
  EXPECT_NE(mounter.Device(a1), mounter.Device(b1)) << "mounts of two namespaces";
  EXPECT_NE(mounter.Device(b1), mounter.Device(n1)) << "mounts of a namespace and one created from inside";
  EXPECT_NE(mounter.Device(a1), mounter.Device("/sys")) << "mounts of the creator's and another";
  // Whoever mounts it, and whatever was mounted and unmounted meanwhile.
  Mounter second("second");
  ASSERT_OK_AND_ASSIGN(const std::string a3, second.TryMount(a.ns, "a3"));
  ASSERT_OK_AND_ASSIGN(const std::string n2, second.TryMount(nested.ns, "n2"));
  EXPECT_EQ(second.Device(a3), mounter.Device(a1)) << "mounts of one namespace in two mount namespaces";
  EXPECT_EQ(second.Device(n2), mounter.Device(n1)) << "mounts of one namespace in two mount namespaces";
  mounter.actor().Run([&] { EXPECT_EQ(::umount(a1.c_str()), 0) << ErrnoName(errno); });
  ASSERT_OK_AND_ASSIGN(const std::string a4, mounter.TryMount(a.ns, "a4"));
  EXPECT_EQ(mounter.Device(a4), mounter.Device(a2)) << "a mount after another one has been unmounted";
  EXPECT_NE(mounter.Device(a4), mounter.Device(b1)) << "mounts of two namespaces";
}

// Documentation/networking/sysfs-tagging.rst: equal names do not conflict.
NETNS_TEST(Sysfs, DevicesOfOneNameCoexist, Covers("SYSFS-04", "SYSFS-12"), Needs(Config("VETH"))) {
  Place a, b;
  AddDevice(a, "d0", {.index = 100, .mtu = 1400, .address = "02:00:00:00:00:0a"});
  AddDevice(b, "d0", {.index = 200, .mtu = 1300, .address = "02:00:00:00:00:0b"});
  SETUP_OK(b->SetLink("d0", {.alias = "of b"}));
  Mounter mounter("mounter");
  const std::string root_a = mounter.Mount(a.ns, "a"), root_b = mounter.Mount(b.ns, "b");
  for (const char* directory : {"/class/net/d0/", "/devices/virtual/net/d0/"}) {
    EXPECT_THAT(mounter.Read(root_a + directory + "ifindex"), Holds(std::string("100")));
    EXPECT_THAT(mounter.Read(root_b + directory + "ifindex"), Holds(std::string("200")));
    EXPECT_THAT(mounter.Read(root_a + directory + "mtu"), Holds(std::string("1400")));
    EXPECT_THAT(mounter.Read(root_b + directory + "mtu"), Holds(std::string("1300")));
    EXPECT_THAT(mounter.Read(root_a + directory + "address"), Holds(std::string("02:00:00:00:00:0a")));
    EXPECT_THAT(mounter.Read(root_b + directory + "address"), Holds(std::string("02:00:00:00:00:0b")));
    EXPECT_THAT(mounter.Read(root_a + directory + "ifalias"), Holds(std::string("")));
    EXPECT_THAT(mounter.Read(root_b + directory + "ifalias"), Holds(std::string("of b")));
  }
  EXPECT_THAT(a->AddVeth("d0", "other"), FailsWith(EEXIST)) << "control: in one namespace they do conflict";
  // A name that is taken elsewhere may be given later, too, and a device may come to where its name is free.
  AddDevice(b, "d1", {.index = 201});
  AddDevice(a, "other", {.index = 101});
  EXPECT_OK(a->Rename("other", "d1")) << "a name that a device of another namespace has";
  EXPECT_THAT(a->Rename("d1", "d0"), FailsWith(EEXIST)) << "control: in one namespace they do conflict";
  Place third;
  EXPECT_OK(b->MoveLink("d1", third.ref()));
  EXPECT_THAT(a->MoveLink("d0", b.ref()), FailsWith(EEXIST)) << "control: taken where it would come to";
  const std::string root_third = mounter.Mount(third.ns, "third");
  for (const char* directory : {"/class/net/d1/", "/devices/virtual/net/d1/"}) {
    EXPECT_THAT(mounter.Read(root_a + directory + "ifindex"), Holds(std::string("101")));
    EXPECT_THAT(mounter.Read(root_third + directory + "ifindex"), Holds(std::string("201")));
    EXPECT_FALSE(mounter.Exists(root_b + directory));
  }
  EXPECT_FALSE(mounter.Exists(root_a + "/class/net/other")) << "the old name of a renamed device";
  EXPECT_THAT(mounter.Read(root_b + "/class/net/d0/ifindex"), Holds(std::string("200")));
  SETUP_OK(a->DeleteLink("d0"));
  EXPECT_FALSE(mounter.Exists(root_a + "/class/net/d0"));
  EXPECT_THAT(mounter.Read(root_b + "/class/net/d0/ifindex"), Holds(std::string("200")));
}

NETNS_TEST(Sysfs, EntriesMoveWithTheDevice, Covers("SYSFS-06"), Needs(Config("VETH"), Config("BRIDGE"))) {
  Place a, b;
  AddDevice(a, "west");
  AddDevice(a, "second");
  AddDevice(a, "stays");
  AddBridge(a, "hub");
  SETUP_OK(a->SetLink("west", {.master = "hub"}));
  Mounter mounter("mounter");
  const std::string root_a = mounter.Mount(a.ns, "a"), root_b = mounter.Mount(b.ns, "b");
  const std::vector<std::string> paths = {"/class/net/NAME",
                                          "/class/net/NAME/ifindex",
                                          "/class/net/NAME/statistics/rx_bytes",
                                          "/class/net/NAME/queues/rx-0",
                                          "/class/net/NAME/queues/tx-0",
                                          "/devices/virtual/net/NAME",
                                          "/devices/virtual/net/NAME/queues/rx-0",
                                          "/devices/virtual/net/NAME/uevent"};
  auto expect = [&](const std::string& name, const std::string& root, bool present, const char* when) {
    for (std::string path : paths) {
      path.replace(path.find("NAME"), 4, name);
      EXPECT_EQ(mounter.Exists(root + path), present) << path << (present ? " is missing in " : " is there in ") << root << " " << when;
    }
  };
  expect("west", root_a, true, "before (control)");
  expect("west", root_b, false, "before");
  EXPECT_TRUE(mounter.Exists(root_a + "/class/net/hub/lower_west")) << "control";
  EXPECT_TRUE(mounter.Exists(root_a + "/class/net/hub/brif/west")) << "control";
  EXPECT_TRUE(mounter.Exists(root_a + "/class/net/west/master")) << "control";
  const Fd attribute = mounter.actor().Run([&] { return SETUP_OK(Open(root_a + "/class/net/west/mtu", O_RDONLY)); });
  SETUP_OK(a->MoveLink("west", b.ref()));
  expect("west", root_a, false, "after the move");
  expect("west", root_b, true, "after the move");
  EXPECT_FALSE(mounter.Exists(root_a + "/class/net/hub/lower_west"));
  EXPECT_FALSE(mounter.Exists(root_a + "/class/net/hub/brif/west"));
  EXPECT_FALSE(mounter.Exists(root_b + "/class/net/west/master"));
  EXPECT_FALSE(mounter.Exists(root_b + "/class/net/west/upper_hub"));
  EXPECT_FALSE(mounter.Exists(root_b + "/class/net/west/brport"));
  expect("stays", root_a, true, "(control: not moved)");
  expect("stays", root_b, false, "(control: not moved)");
  SETUP_OK(a->MoveLink("second", b.ref(), {.new_name = "renamed"}));
  expect("second", root_a, false, "after a move that renames");
  expect("renamed", root_b, true, "after a move that renames");
  expect("second", root_b, false, "after a move that renames");
  SETUP_OK(b->MoveLink("west", a.ref()));
  expect("west", root_a, true, "back home");
  expect("west", root_b, false, "back home");
  SETUP_OK(a->Rename("west", "other"));
  expect("west", root_a, false, "after a change of name");
  expect("other", root_a, true, "after a change of name");
  expect("other", root_b, false, "after a change of name");
}

// net/core/net-sysfs.c netdev_store(): ns_capable(net->user_ns, CAP_NET_ADMIN) of the device's namespace.
NETNS_TEST(Sysfs, WritesActOnTheNamespaceOfTheInstance, Covers("SYSFS-07"), Needs(Config("VETH"), UserNs())) {
  Place a, b;
  for (Place* place : {&a, &b}) AddDevice(*place, "west", {.mtu = 1400});
  Mounter mounter("mounter");
  const std::string root_a = mounter.Mount(a.ns, "a");
  mounter.Enter(b.ns);
  EXPECT_OK(mounter.Write(root_a + "/class/net/west/mtu", "1310")) << "a writer in another namespace";
  EXPECT_EQ(SETUP_OK(a->LinkByName("west")).mtu, 1310u);
  EXPECT_EQ(SETUP_OK(b->LinkByName("west")).mtu, 1400u) << "the namespace of the writer";
  // tx_queue_len asks for the capability in the initial user namespace, whoever owns the device (tx_queue_len_store()).
  const std::uint32_t length = IsRealRoot() ? 55 : SETUP_OK(a->LinkByName("west")).txqlen;
  if (IsRealRoot()) {
    EXPECT_OK(mounter.Write(root_a + "/class/net/west/tx_queue_len", "55"));
  }
  EXPECT_OK(mounter.Write(root_a + "/class/net/west/ifalias", "written"));
  EXPECT_EQ(SETUP_OK(a->LinkByName("west")).txqlen, length);
  EXPECT_EQ(SETUP_OK(a->LinkByName("west")).alias, "written");
  EXPECT_NE(SETUP_OK(b->LinkByName("west")).txqlen, 55u);
  // Control: root of a user namespace that does not own a; it holds open descriptors, so that file modes do not matter.
  std::map<std::string, std::string> attributes = {{"mtu", "1320"}, {"tx_queue_len", "56"}, {"ifalias", "refused"}, {"netdev_group", "7"}, {"flags", "0x1"}};
  std::map<std::string, Fd> open;
  mounter.actor().Run([&] {
    for (const auto& [name, value] : attributes) open[name] = SETUP_OK(Open(root_a + "/class/net/west/" + name, O_WRONLY));
  });
  SETUP_OK(EnterNewUserNamespace(mounter.actor()));
  SETUP_OK(mounter.actor().Unshare(CLONE_NEWNET));
  for (const auto& [name, value] : attributes) {
    const Status written = mounter.actor().Run([&, name = name, value = value]() -> Status {
      if (::write(open[name].get(), value.data(), value.size()) < 0) return ErrnoError("write(" + name + ")");
      return Ok();
    });
    EXPECT_THAT(written, FailsWith(EPERM)) << name << ", by root of a child user namespace";
  }
  const Link now = SETUP_OK(a->LinkByName("west"));
  EXPECT_EQ(now.mtu, 1310u);
  EXPECT_EQ(now.txqlen, length);
  EXPECT_EQ(now.alias, "written");
  EXPECT_EQ(now.group, 0u);
  EXPECT_FALSE(now.up());
}

NETNS_TEST(Sysfs, TheInstanceOfADeadNamespaceIsEmpty, Covers("SYSFS-08"), Needs(Config("VETH"), UserNs())) {
  FreedOracle oracle(2);  // one to die, and one for the member to go to
  Actor member = oracle.StartMember("member");
  SETUP_OK(member.Unshare(CLONE_NEWNS));
  Place other;
  std::vector<std::string> before, after;
  auto list = [](std::vector<std::string>& names) {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/sys/class/net", error)) {
      const std::string name = entry.path().filename();
      if (name != "bonding_masters" && !IsFallback(name)) names.push_back(name);
    }
  };
  member.Run([&] {
    if (::mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) < 0)
      throw SetupFailure(ErrnoError("mount(sysfs)").ToString(), std::source_location::current());
    auto rtnl = SETUP_OK(Rtnl::Open());
    RequireBuiltIn(rtnl.AddVeth("west", "east"), "VETH");
    list(before);
  });
  std::sort(before.begin(), before.end());
  EXPECT_THAT(before, ElementsAre("east", "lo", "west")) << "control: while it lives";
  // The member leaves; its mount stays.
  SETUP_OK(member.Unshare(CLONE_NEWNET));
  ASSERT_OK(oracle.WaitUntilFreed(Deadline::In(kFreed))) << "a mounted sysfs must not keep a namespace";
  member.Run([&] { list(after); });
  EXPECT_THAT(after, IsEmpty());
  member.Run([] {
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator("/sys/devices/virtual/net", error))
      if (!IsFallback(entry.path().filename())) ADD_FAILURE() << entry.path() << " in the sysfs of a namespace that has been freed";
    for (const char* name : {"lo", "west", "east"}) {
      struct stat info {};
      EXPECT_EQ(::lstat((std::string("/sys/class/net/") + name).c_str(), &info), -1) << name << " in the sysfs of a namespace that has been freed";
    }
    EXPECT_TRUE(std::filesystem::exists("/sys/class/net", error)) << "control: the instance is still there";
    EXPECT_EQ(::umount("/sys"), 0) << "an instance of a namespace that has been freed cannot be unmounted: " << ErrnoName(errno);
  });
}

NETNS_TEST(Sysfs, WhatIsNotNetworkIsTheSameInEveryInstance, Covers("SYSFS-09"), Needs(Config("BRIDGE"))) {
  Place a, b;
  AddBridge(a, "ina");
  Mounter mounter("mounter");
  const std::string root_a = mounter.Mount(a.ns, "a"), root_b = mounter.Mount(b.ns, "b");
  for (const char* directory : {"", "/bus", "/block", "/class", "/kernel", "/fs", "/devices", "/devices/virtual", "/bus/platform", "/class/mem", "/class/tty"}) {
    if (!mounter.Exists(root_a + directory)) continue;
    EXPECT_EQ(mounter.List(root_a + directory, false), mounter.List(root_b + directory, false)) << "/sys" << directory;
  }
  // Another test may load a module between the two looks.
  auto equal = [&] { return mounter.List(root_a + "/module", false) == mounter.List(root_b + "/module", false); };
  EXPECT_TRUE(equal() || equal()) << "/sys/module";
  EXPECT_THAT(mounter.List(root_b + "/module", false), Not(IsEmpty()));
  EXPECT_NE(mounter.List(root_a + "/class/net"), mounter.List(root_b + "/class/net")) << "control: this differs";
}

// fsopen(2): "the network namespace of the caller is taken when the context is created".
NETNS_TEST(Sysfs, TheNewMountApiTakesTheNamespaceOfFsopen, Covers("SYSFS-11"), Needs(Config("BRIDGE"))) {
  Place a, b;
  AddBridge(a, "ina");
  AddBridge(b, "inb");
  Mounter mounter("mounter");
  auto mount = [&](Place& opener, Place& attacher) {
    mounter.Enter(opener.ns);
    const Fd context = mounter.actor().Run([] { return Fd(static_cast<int>(::syscall(SYS_fsopen, "sysfs", 1 /* FSOPEN_CLOEXEC */))); });
    if (!context.valid()) throw MissingNeed("needs-feature:fsopen", "no fsopen(2)", "use Linux 5.2 or later", LinuxVersion{5, 2});
    mounter.Enter(attacher.ns);
    return mounter.actor().Run([&]() -> Fd {
      if (::syscall(SYS_fsconfig, context.get(), 6 /* FSCONFIG_CMD_CREATE */, nullptr, nullptr, 0) < 0)
        throw SetupFailure(ErrnoError("fsconfig").ToString(), std::source_location::current());
      // MOUNT_ATTR_NOSUID | NODEV | NOEXEC, as user namespaces must
      const long mounted = ::syscall(SYS_fsmount, context.get(), 1, 2 | 4 | 8);
      if (mounted < 0) throw SetupFailure(ErrnoError("fsmount").ToString(), std::source_location::current());
      return Fd(static_cast<int>(mounted));
    });
  };
  struct {
    Place& opener;
    Place& attacher;
    bool shows_a;
  } rows[] = {{a, b, true}, {b, a, false}, {a, a, true}, {b, b, false}};
  for (const auto& [opener, attacher, shows_a] : rows) {
    const Fd root = mount(opener, attacher);
    EXPECT_EQ(::faccessat(root.get(), "class/net/ina", F_OK, 0) == 0, shows_a);
    EXPECT_EQ(::faccessat(root.get(), "class/net/inb", F_OK, 0) == 0, !shows_a);
  }
}

// Documentation/ABI/testing/sysfs-class-net.
NETNS_TEST(Sysfs, AttributesAgreeWithNetlink, Covers("SYSFS-12"), Needs(Config("VETH"), Config("BRIDGE")), Within{std::chrono::seconds(60)}) {
  Place a, b;
  RequireBuiltIn(a->AddVeth("eth0", {.name = "eth0", .index = 77, .mtu = 1300, .netns_fd = b.fd()}, {.index = 66, .mtu = 1450}), "VETH");
  SETUP_OK(a->AddVeth("left", "right"));
  AddBridge(a, "hub");
  SETUP_OK(a->SetLink("left", {.alias = "an alias", .txqlen = 99, .group = 8}));
  SETUP_OK(a->Up("eth0"));
  // A pair that carries something: what IPv6 says by itself when a link comes up, or a frame of the test's own.
  SETUP_OK(a->Up("left"));
  SETUP_OK(a->Up("right"));
  SETUP_OK(a->Up("lo"));
  const Fd sender = SETUP_OK(a.ns.Socket(AF_INET, SOCK_DGRAM));
  sockaddr_in nobody{};
  nobody.sin_family = AF_INET;
  nobody.sin_port = htons(9);
  nobody.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (int i = 0; i < 7; ++i)
    if (::sendto(sender.get(), "seven", 5, 0, reinterpret_cast<sockaddr*>(&nobody), sizeof nobody) < 0 && errno != ECONNREFUSED) SETUP_OK(Status(ErrnoError("sendto")));
  static const std::map<int, std::string> states = {{0, "unknown"}, {2, "down"}, {3, "lowerlayerdown"}, {6, "up"}};
  for (Place* place : {&a, &b}) {
    for (const Link& listed : SETUP_OK((*place)->Links())) {
      if (IsFallback(listed.name)) continue;
      SCOPED_TRACE(std::string(place == &a ? "a" : "b") + ": " + listed.name);
      auto attribute = [&, place](const char* name) {
        auto text = place->ns.ReadSysfs("class/net/" + listed.name + "/" + name);
        return text.ok() ? *text : ErrnoName(text.code());
      };
      const Link link = SETUP_OK((*place)->LinkByIndex(listed.index));
      EXPECT_EQ(attribute("ifindex"), std::to_string(link.index));
      EXPECT_EQ(attribute("iflink"), std::to_string(link.link.value_or(link.index)));
      EXPECT_EQ(attribute("address"), link.address);
      EXPECT_EQ(attribute("broadcast"), link.broadcast);
      EXPECT_EQ(attribute("mtu"), std::to_string(link.mtu));
      EXPECT_EQ(attribute("tx_queue_len"), std::to_string(link.txqlen));
      EXPECT_EQ(attribute("netdev_group"), std::to_string(link.group));
      EXPECT_EQ(attribute("ifalias"), link.alias);
      EXPECT_EQ(attribute("type"), std::to_string(link.type));
      EXPECT_EQ(std::stoul(attribute("flags"), nullptr, 16) & (IFF_UP | IFF_LOOPBACK | IFF_BROADCAST), link.flags & (IFF_UP | IFF_LOOPBACK | IFF_BROADCAST));
      if (link.type == ARPHRD_ETHER || link.type == ARPHRD_LOOPBACK) {
        EXPECT_EQ(attribute("addr_len"), "6");
      }
      EXPECT_THAT(attribute("uevent"), testing::AllOf(testing::HasSubstr("INTERFACE=" + link.name), testing::HasSubstr("IFINDEX=" + std::to_string(link.index))));
      EXPECT_EVENTUALLY("carrier of sysfs and netlink to agree", [&] {
        const Link now = SETUP_OK((*place)->LinkByIndex(listed.index));
        return attribute("carrier") == (!now.up() ? "EINVAL" : now.carrier.value_or(false) ? "1" : "0") &&
               attribute("carrier_changes") == std::to_string(now.carrier_changes);
      });
      std::string counters;
      EXPECT_OK(Eventually("the counters of sysfs and netlink to agree", [&] {
        const auto now = SETUP_OK((*place)->LinkByIndex(listed.index)).stats;
        const std::pair<const char*, std::uint64_t> expected[] = {
            {"rx_packets", now.rx_packets}, {"tx_packets", now.tx_packets}, {"rx_bytes", now.rx_bytes},   {"tx_bytes", now.tx_bytes},
            {"rx_dropped", now.rx_dropped}, {"tx_dropped", now.tx_dropped}, {"rx_errors", now.rx_errors}, {"tx_errors", now.tx_errors},
            {"multicast", now.multicast},   {"collisions", now.collisions}};
        counters.clear();
        place->ns.InWithSysfs([&] {
          for (const auto& [name, value] : expected) {
            const auto text = ReadFile("/sys/class/net/" + listed.name + "/statistics/" + name);
            if (!text.ok() || *text != std::to_string(value) + "\n")
              counters += std::string(name) + ": " + (text.ok() ? *text : ErrnoName(text.code())) + " in sysfs, " + std::to_string(value) + " by netlink; ";
          }
        });
        return counters.empty();
      }, Deadline::In(std::chrono::seconds(20)), [&] { return counters; }));
      EXPECT_EVENTUALLY("operstate of sysfs and netlink to agree", [&] {
        const auto state = states.find(SETUP_OK((*place)->LinkByIndex(listed.index)).operstate);
        return state == states.end() || attribute("operstate") == state->second;
      });
    }
  }
  EXPECT_GE(std::stoul(SETUP_OK(a.ns.ReadSysfs("class/net/lo/statistics/tx_packets"))), 7u) << "control: something was counted";
  EXPECT_EQ(SETUP_OK(b.ns.ReadSysfs("class/net/lo/statistics/tx_packets")), "0") << "control: nothing was sent in the other namespace";
  EXPECT_EQ(SETUP_OK(a.ns.ReadSysfs("class/net/eth0/ifindex")), "66") << "control: two devices of one name";
  EXPECT_EQ(SETUP_OK(b.ns.ReadSysfs("class/net/eth0/ifindex")), "77");
  EXPECT_EQ(SETUP_OK(a.ns.ReadSysfs("class/net/eth0/iflink")), "77");
  EXPECT_EQ(SETUP_OK(b.ns.ReadSysfs("class/net/eth0/iflink")), "66");
}

// drivers/net/bonding: bonding_masters lists the bonds of the mounter's namespace.
// The file belongs to the root of the machine: no other may write it, whoever owns the namespace.
NETNS_TEST(Sysfs, BondingMastersListsTheBondsOfTheNamespace, Covers("SYSFS-10"), Needs(Root(), Config("BONDING"))) {
  Place a, b;
  RequireBuiltIn(a->AddLink({.name = "bonda", .kind = "bond"}), "BONDING");
  SETUP_OK(b->AddLink({.name = "bondb", .kind = "bond"}));
  Place nested = Place::Inside(a);
  auto masters = [](Place& place) {
    std::istringstream text(SETUP_OK(place.ns.ReadSysfs("class/net/bonding_masters")));
    std::vector<std::string> names;
    for (std::string name; text >> name;)
      if (name != "bond0") names.push_back(name);  // the module's own, where it makes one
    return names;
  };
  EXPECT_THAT(masters(a), ElementsAre("bonda"));
  EXPECT_THAT(masters(b), ElementsAre("bondb"));
  EXPECT_THAT(masters(nested), IsEmpty());
  EXPECT_OK(b.ns.WriteSysfs("class/net/bonding_masters", "+bonda")) << "the name is free in this namespace";
  EXPECT_THAT(masters(b), ElementsAre("bondb", "bonda"));
  EXPECT_THAT(masters(a), ElementsAre("bonda"));
  EXPECT_OK(b.ns.WriteSysfs("class/net/bonding_masters", "-bonda"));
  EXPECT_THAT(masters(a), ElementsAre("bonda")) << "one was deleted, of another namespace";
}

// drivers/net/bonding/bond_sysfs.c: who writes to the instance of one namespace while in another one makes and deletes bonds,
// and gives them ports, in the namespace of the instance. The file is of root of the initial user namespace.
void BondsAreOfTheNamespaceOfTheInstance(Place& owner, Place& writer) {
  const std::string bond = "nsinstbond", port = "nsinstport", masters = "/class/net/bonding_masters";
  const LinkSpec spec{.name = bond, .kind = "bond"};
  const auto has = [&](Place& place, const std::string& name) { return place->LinkByName(name).ok(); };
  const Undo remove([&] {
    for (Place* place : {&owner, &writer})
      for (const std::string& name : {bond, port}) (void)(*place)->DeleteLink(name).ok();
  });
  Status probe = owner->AddLink(spec);
  RequireBuiltIn(probe, "BONDING");
  SETUP_OK(std::move(probe));
  SETUP_OK(owner->DeleteLink(bond));
  Mounter mounter("writer");
  const std::string theirs = mounter.Mount(owner.ns, "theirs"), own = mounter.Mount(writer.ns, "own");
  mounter.Enter(writer.ns);
  ASSERT_OK(mounter.Write(theirs + masters, "+" + bond)) << "the name is free in the namespace of the instance";
  EXPECT_FALSE(has(writer, bond)) << "the bond was made in the namespace of the writer, not in that of the sysfs";
  ASSERT_TRUE(has(owner, bond)) << "the bond was not made in the namespace of the sysfs";
  EXPECT_THAT(mounter.Read(theirs + masters), Holds(HasSubstr(bond)));
  EXPECT_THAT(mounter.Read(own + masters), Holds(Not(HasSubstr(bond)))) << "control: the instance of the writer's namespace";
  // A port: the device of that name in the namespace of the bond.
  for (Place* place : {&owner, &writer}) AddDevice(*place, port);
  EXPECT_OK(mounter.Write(theirs + "/class/net/" + bond + "/bonding/slaves", "+" + port));
  EXPECT_EQ(SETUP_OK(owner->LinkByName(port)).master, SETUP_OK(owner->LinkByName(bond)).index) << "the port in the namespace of the sysfs";
  EXPECT_FALSE(SETUP_OK(writer->LinkByName(port)).master.has_value()) << "the device of that name in the namespace of the writer";
  EXPECT_OK(mounter.Write(own + masters, "+" + bond)) << "control: the instance of the writer's namespace";
  EXPECT_TRUE(has(writer, bond)) << "control";
  EXPECT_OK(mounter.Write(theirs + masters, "-" + bond));
  EXPECT_FALSE(has(owner, bond)) << "the bond in the namespace of the sysfs was not deleted";
  EXPECT_TRUE(has(writer, bond)) << "the bond of that name in the namespace of the writer was deleted";
}
[[maybe_unused]] const bool bonds =
    RegisterBetween("Sysfs", "BondsAreOfTheNamespaceOfTheInstance", "", __FILE__, __LINE__, BondsAreOfTheNamespaceOfTheInstance,
                    Covers("SYSFS-07", "VIRT-18"), Needs(Root(), Config("BONDING"), Config("VETH")));

// The queues of a device are objects of the device's namespace too.
NETNS_TEST(Sysfs, QueuesFollowTheirDevice, Covers("SYSFS-10", "SYSFS-06"), Needs(Config("VETH"))) {
  Place a, b;
  AddDevice(a, "west", {.tx_queues = 3, .rx_queues = 3});
  AddDevice(a, "stays");
  auto queues = [](Place& place, const std::string& name) {
    std::vector<std::string> found;
    place.ns.InWithSysfs([&] {
      std::error_code error;
      for (const auto& entry : std::filesystem::directory_iterator("/sys/class/net/" + name + "/queues", error))
        found.push_back(entry.path().filename());
    });
    std::sort(found.begin(), found.end());
    return found;
  };
  const auto before = queues(a, "west");
  EXPECT_THAT(before, testing::IsSupersetOf({"rx-0", "tx-0", "tx-1", "tx-2"})) << "control";
  SETUP_OK(a->MoveLink("west", b.ref()));
  EXPECT_EQ(queues(b, "west"), before);
  EXPECT_THAT(queues(a, "west"), IsEmpty());
  EXPECT_THAT(queues(a, "stays"), Not(IsEmpty()));
  EXPECT_THAT(queues(b, "stays"), IsEmpty());
}

}  // namespace
}  // namespace netns
