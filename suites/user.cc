// SPDX-License-Identifier: GPL-2.0-or-later
// USER: who owns a network namespace, what its owner's capabilities give, and how many there may be. The table of rights
// (who may do what to whose namespace) is in permissions.cc.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <climits>
#include <filesystem>
#include <map>
#include <sstream>

#include "fixtures/net_namespace.h"
#include "fixtures/user_namespace.h"
#include "harness/assertions.h"
#include "harness/child.h"
#include "harness/registration.h"
#include "suites/support/any_link.h"
#include "suites/support/bare_send.h"
#include "suites/support/nsfs.h"

namespace netns {
namespace {

using testing::AnyOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Not;
using testing::SizeIs;

NetNamespace OfActor(const Actor& actor) { return SETUP_OK(NetNamespace::OfPid(actor.pid())); }

Result<Fd> NewSocket(int family, int type, int protocol = 0) {
  int fd = ::socket(family, type | SOCK_CLOEXEC, protocol);
  if (fd < 0) return ErrnoError("socket(" + std::to_string(family) + ", " + std::to_string(type) + ", " + std::to_string(protocol) + ")");
  return Fd(fd);
}

Status Bind(int family, int type, int port) {
  ASSIGN_OR_RETURN(Fd socket, NewSocket(family, type));
  sockaddr_storage address{};
  address.ss_family = static_cast<sa_family_t>(family);
  reinterpret_cast<sockaddr_in&>(address).sin_port = htons(static_cast<std::uint16_t>(port));
  const socklen_t size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size) < 0) return ErrnoError("bind to port " + std::to_string(port));
  return Ok();
}

/// A user namespace whose root is another user of the machine, as real root may map it (global root's uid would be enough
/// for the permissions of many files, whatever its capabilities); else the test's own user.
Actor StartMappedRoot(const std::string& name, bool own_namespace = true) {
  if (!IsRealRoot()) {
    Actor same = Actor::Start(name);
    SETUP_OK(EnterNewUserNamespace(same));
    if (own_namespace) SETUP_OK(same.Unshare(CLONE_NEWNET));
    return same;
  }
  Actor actor = Actor::Start(name);
  SETUP_OK(EnterMappedUserNamespace(actor, 100000, 10));
  if (own_namespace) SETUP_OK(actor.Unshare(CLONE_NEWNET));
  return actor;
}

/// The first network namespace of a new user namespace costs one of the limit, too.
Actor StartCounted(const std::string& name, int limit) {
  Actor actor = Actor::Start(name);
  SETUP_OK(EnterNewUserNamespace(actor));
  SETUP_OK(actor.Run([&] { return WriteFile("/proc/sys/user/max_net_namespaces", std::to_string(limit)); }));
  return actor;
}

Result<std::string> Limit() {
  ASSIGN_OR_RETURN(std::string text, ReadFile("/proc/sys/user/max_net_namespaces"));
  return text.substr(0, text.find('\n'));
}

/// Creates namespaces in the calling process until it is refused: how many, and how.
std::pair<int, int> CreateUntilRefused(std::vector<NetNamespace>& made, int at_most = 20) {
  for (int i = 0; i < at_most; ++i) {
    auto one = NetNamespace::TryCreate();
    if (!one.ok()) return {i, one.code()};
    made.push_back(std::move(*one));
  }
  return {at_most, 0};
}

// namespaces(7), user_namespaces(7): "each ... namespace ... is owned by the user namespace ... of the process that created it".
NETNS_TEST(User, OwnershipIsForLife, Covers("USER-01"), Needs(UserNs())) {
  Actor actor = StartNamespaceRoot("actor");
  const ino_t first = InodeOf(actor.Proc("ns/user"));
  actor.Run([] { EXPECT_OK(SETUP_OK(Rtnl::Open()).Up("lo")) << "control: before"; });
  auto old_space = OfActor(actor);
  SETUP_OK(EnterNewUserNamespace(actor));
  EXPECT_NE(InodeOf(actor.Proc("ns/user")), first);
  EXPECT_THAT(OwnerInodeOf(old_space.fd()), Holds(first)) << "the owner changed with its only member's user namespace";
  actor.Run([] {
    auto rtnl = SETUP_OK(Rtnl::Open());
    EXPECT_THAT(rtnl.Down("lo"), FailsWith(EPERM));
    EXPECT_THAT(rtnl.AddAddress("192.0.2.1/24", "lo"), FailsWith(EPERM));
    EXPECT_THAT(rtnl.AddLink({.name = "mine", .kind = "bridge"}), FailsWith(EPERM));
    EXPECT_TRUE(SETUP_OK(rtnl.LinkByName("lo")).up()) << "a refused request took effect";
  });
  SETUP_OK(actor.Unshare(CLONE_NEWNET));
  EXPECT_THAT(OwnerInodeOf(OfActor(actor).fd()), Holds(InodeOf(actor.Proc("ns/user"))));
  actor.Run([] {
    auto rtnl = SETUP_OK(Rtnl::Open());
    EXPECT_OK(rtnl.Up("lo")) << "control: a namespace made afterwards";
    AddAnyLink(rtnl, "mine");
  });
  EXPECT_THAT(OwnerInodeOf(old_space.fd()), Holds(first));
}

NETNS_TEST(User, AnUnprivilegedTaskGetsFullControlOfItsOwn, Covers("USER-02", "USER-08", "USER-09"), Needs(UserNs())) {
  Actor nobody = StartUnprivileged("nobody");
  EXPECT_THAT(nobody.Unshare(CLONE_NEWNET), FailsWith(EPERM)) << "control: alone";
  auto made = nobody.Unshare(CLONE_NEWUSER | CLONE_NEWNET);
  if (made.code() == EPERM || made.code() == EACCES || made.code() == ENOSPC) {
    Actor probe = StartUnprivileged("probe");
    if (!probe.Unshare(CLONE_NEWUSER).ok())
      throw MissingNeed("needs-userns", "user namespaces are forbidden to ordinary users here: " + made.error().ToString());
  }
  ASSERT_OK(made);
  nobody.Run([] {
    auto rtnl = SETUP_OK(Rtnl::Open());
    EXPECT_OK(rtnl.Up("lo"));
    EXPECT_OK(rtnl.AddAddress("192.0.2.1/24", "lo"));
    AddAnyLink(rtnl, "mine");
    EXPECT_OK(rtnl.Rename("mine", "yours"));
    EXPECT_OK(rtnl.Up("yours"));
    EXPECT_OK(rtnl.AddRoute({.to = "198.51.100.0/24", .dev = "lo"}));
    EXPECT_OK(rtnl.DeleteLink("yours"));
    EXPECT_OK(NewSocket(AF_INET, SOCK_RAW, IPPROTO_UDP));
    EXPECT_OK(Bind(AF_INET, SOCK_STREAM, 80));
  });
}

// user_namespaces(7): "the user namespace is guaranteed to be created first".
NETNS_TEST(User, WithBothFlagsTheUserNamespaceComesFirst, Covers("USER-03"), Needs(UserNs())) {
  const ino_t here = InodeOf("/proc/self/ns/user");
  for (bool by_clone : {true, false}) {
    SCOPED_TRACE(by_clone ? "clone" : "unshare");
    Actor both = Actor::Start("both", by_clone ? CLONE_NEWUSER | CLONE_NEWNET : 0);
    if (!by_clone) SETUP_OK(both.Unshare(CLONE_NEWNET | CLONE_NEWUSER));
    EXPECT_NE(InodeOf(both.Proc("ns/user")), here);
    EXPECT_THAT(OwnerInodeOf(OfActor(both).fd()), Holds(InodeOf(both.Proc("ns/user"))));
    EXPECT_OK(both.Run([] { return SETUP_OK(Rtnl::Open()).Up("lo"); }));
  }
  Actor later = Actor::Start("later");
  SETUP_OK(later.Unshare(CLONE_NEWNET));
  SETUP_OK(later.Unshare(CLONE_NEWUSER));
  EXPECT_THAT(OwnerInodeOf(OfActor(later).fd()), Holds(here)) << "control: first the one, then the other";
  EXPECT_THAT(later.Run([] { return SETUP_OK(Rtnl::Open()).Up("lo"); }), FailsWith(EPERM)) << "control";
}

/// One attempt at something that network administration is needed for, in the namespace of the calling process.
struct Attempt {
  std::string name;
  std::function<Status()> run;
  int refused;  ///< the errno of the refusal
};

Status OpenSocket(int family, int type, int protocol) {
  RETURN_IF_ERROR(NewSocket(family, type, protocol));
  return Ok();
}

Status SetMtuByIoctl(const char* name, int mtu) {
  ASSIGN_OR_RETURN(Fd socket, NewSocket(AF_INET, SOCK_DGRAM));
  ifreq request{};
  std::strcpy(request.ifr_name, name);
  request.ifr_mtu = mtu;
  if (::ioctl(socket.get(), SIOCSIFMTU, &request) < 0) return ErrnoError("ioctl(SIOCSIFMTU)");
  return Ok();
}
std::vector<Attempt> Attempts() {
  auto rtnl = [](auto request) {
    return [request]() -> Status {
      ASSIGN_OR_RETURN(Rtnl rtnl, Rtnl::Open());
      return request(rtnl);
    };
  };
  std::vector<Attempt> attempts{
      {"create a link", rtnl([](Rtnl& r) { return r.AddLink({.name = "mine", .kind = AnyLinkKind()}); }), EPERM},
      {"bring a link up", rtnl([](Rtnl& r) { return r.Up("lo"); }), EPERM},
      {"change an mtu", rtnl([](Rtnl& r) { return r.SetLink("lo", {.mtu = 1500}); }), EPERM},
      {"add an altname", rtnl([](Rtnl& r) { return r.AddAltname("lo", "loop"); }), EPERM},
      {"add an IPv4 address", rtnl([](Rtnl& r) { return r.AddAddress("192.0.2.1/24", "lo"); }), EPERM},
      {"add an IPv4 route", rtnl([](Rtnl& r) { return r.AddRoute({.to = "198.51.100.0/24", .dev = "lo"}); }), EPERM},
      {"add an IPv4 rule", rtnl([](Rtnl& r) { return r.AddRule({.family = AF_INET, .priority = 77, .from = "192.0.2.0/24"}); }), EPERM},
      {"delete the IPv4 address", rtnl([](Rtnl& r) { return r.DeleteAddress("192.0.2.1/24", "lo"); }), EPERM},
      {"assign an nsid", rtnl([](Rtnl& r) { return r.NewNsid(ByPid(::getpid()), 7); }), EPERM},
      {"change an mtu by ioctl", [] { return SetMtuByIoctl("lo", 65536); }, EPERM},
      {"write a sysctl", [] { return WriteFile("/proc/sys/net/ipv4/ip_default_ttl", "65"); }, EACCES},
      {"write a device's sysctl", [] { return WriteFile("/proc/sys/net/ipv4/conf/lo/forwarding", "1"); }, EACCES},
  };
  if (::access("/proc/self/net/if_inet6", F_OK) == 0) {
    attempts.push_back({"add an IPv6 address", rtnl([](Rtnl& r) { return r.AddAddress("2001:db8::1/64", "lo"); }), EPERM});
    attempts.push_back({"add an IPv6 route", rtnl([](Rtnl& r) { return r.AddRoute({.to = "2001:db8:1::/64", .dev = "lo"}); }), EPERM});
    attempts.push_back({"write an IPv6 sysctl", [] { return WriteFile("/proc/sys/net/ipv6/conf/all/forwarding", "1"); }, EACCES});
  }
  return attempts;
}

std::vector<Attempt> RawSocketAttempts() {
  std::vector<Attempt> attempts{{"a raw IPv4 socket", [] { return OpenSocket(AF_INET, SOCK_RAW, IPPROTO_UDP); }, EPERM}};
  if (::access("/proc/self/net/if_inet6", F_OK) == 0)
    attempts.push_back({"a raw IPv6 socket", [] { return OpenSocket(AF_INET6, SOCK_RAW, IPPROTO_UDP); }, EPERM});
  if (::access("/proc/self/net/packet", F_OK) == 0) {
    attempts.push_back({"a packet socket (raw)", [] { return OpenSocket(AF_PACKET, SOCK_RAW, 0); }, EPERM});
    attempts.push_back({"a packet socket (datagram)", [] { return OpenSocket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ALL)); }, EPERM});
  }
  return attempts;
}

void ExpectRefused(const std::vector<Attempt>& attempts, const char* why) {
  for (const Attempt& attempt : attempts) EXPECT_THAT(attempt.run(), FailsWith(attempt.refused)) << attempt.name << ": " << why;
}
void ExpectAllowed(const std::vector<Attempt>& attempts, const char* why) {
  for (const Attempt& attempt : attempts) EXPECT_OK(attempt.run()) << attempt.name << ": " << why;
}

// user_namespaces(7): "Holding CAP_NET_ADMIN in a user namespace permits ... only ... resources governed by that namespace".
NETNS_TEST(User, RightsInAChildUserNamespaceGiveNoneOverTheParentsNamespace, Covers("USER-04", "USER-08"), Needs(UserNs())) {
  Actor child = StartMappedRoot("child", /*own_namespace=*/false);
  child.Run([] {
    ExpectRefused(Attempts(), "root of a child user namespace, in a namespace of its parent's");
    ExpectRefused(RawSocketAttempts(), "root of a child user namespace, in a namespace of its parent's");
    EXPECT_OK(SETUP_OK(Rtnl::Open()).Links()) << "looking is allowed";
  });
  SETUP_OK(child.Unshare(CLONE_NEWNET));
  child.Run([] {
    ExpectAllowed(Attempts(), "control: in a namespace of its own");
    ExpectAllowed(RawSocketAttempts(), "control: in a namespace of its own");
  });
  // And one level further down.
  SETUP_OK(EnterNewUserNamespace(child));
  child.Run([] {
    for (const Attempt& attempt : RawSocketAttempts()) EXPECT_THAT(attempt.run(), FailsWith(EPERM)) << attempt.name << ", nested";
    EXPECT_THAT(SETUP_OK(Rtnl::Open()).Down("lo"), FailsWith(EPERM)) << "nested";
    EXPECT_THAT(WriteFile("/proc/sys/net/ipv4/ip_default_ttl", "65"), FailsWith(EACCES)) << "nested";
  });
}

NETNS_TEST(User, TheCreatorOfTheOwnerMayJoinThroughIt, Covers("USER-05"), Needs(Root(), UserNs())) {
  Actor owner = Actor::Start("owner");
  SETUP_OK(BecomeUser(owner, 1000));
  if (auto made = owner.Unshare(CLONE_NEWUSER | CLONE_NEWNET); !made.ok())
    throw MissingNeed("needs-userns", "user namespaces are forbidden to ordinary users here: " + made.error().ToString());
  auto space = OfActor(owner);
  Fd user = SETUP_OK(Open(owner.Proc("ns/user"), O_RDONLY));
  Actor same = Actor::Start("same user"), other = Actor::Start("other user");
  SETUP_OK(BecomeUser(same, 1000));
  SETUP_OK(BecomeUser(other, 1001));
  EXPECT_THAT(same.Enter(space.fd(), CLONE_NEWNET), FailsWith(EPERM)) << "it has no CAP_SYS_ADMIN at home";
  EXPECT_OK(same.Enter(user.get(), CLONE_NEWUSER));
  EXPECT_OK(same.Enter(space.fd(), CLONE_NEWNET));
  EXPECT_TRUE(OfActor(same).Is(space));
  EXPECT_OK(same.Run([] { return SETUP_OK(Rtnl::Open()).Up("lo"); }));
  EXPECT_THAT(other.Enter(user.get(), CLONE_NEWUSER), FailsWith(EPERM)) << "control: another user";
  EXPECT_THAT(other.Enter(space.fd(), CLONE_NEWNET), FailsWith(EPERM)) << "control: another user";
}

// user_namespaces(7): "A process that resides in the parent of the user namespace and whose effective user ID matches the
// owner of the namespace has all capabilities in the namespace": over what it owns, and what its descendants own, too.
NETNS_TEST(User, TheCreatorOfTheOwnerHasItsRightsWithoutJoiningIt, Covers("USER-05", "USER-06"), Needs(Root(), UserNs())) {
  for (bool nested : {false, true}) {
    SCOPED_TRACE(nested ? "a network namespace of a child of the user namespace" : "a network namespace of the user namespace");
    Actor owner = Actor::Start("owner");
    SETUP_OK(BecomeUser(owner, 1000));
    if (auto made = owner.Unshare(CLONE_NEWUSER | CLONE_NEWNET); !made.ok())
      throw MissingNeed("needs-userns", "user namespaces are forbidden to ordinary users here: " + made.error().ToString());
    if (nested) {
      for (const char* map : {"uid_map", "gid_map"}) SETUP_OK(WriteFile(owner.Proc(map), "0 1000 1"));
      SETUP_OK(owner.Unshare(CLONE_NEWUSER | CLONE_NEWNET));
    }
    auto space = OfActor(owner);
    for (uid_t uid : {1001u, 1000u}) {
      SCOPED_TRACE(uid == 1000 ? "the creator" : "control: another user");
      // It enters as root, and has no capability at home any more when it acts.
      Actor visitor = Actor::Start("visitor");
      SETUP_OK(visitor.Enter(space.fd(), CLONE_NEWNET));
      SETUP_OK(BecomeUser(visitor, uid));
      visitor.Run([&] {
        if (uid == 1000) {
          ExpectAllowed(Attempts(), "the user who created the owning user namespace");
          ExpectAllowed(RawSocketAttempts(), "the user who created the owning user namespace");
          EXPECT_OK(Bind(AF_INET, SOCK_STREAM, 80));
        } else {
          ExpectRefused(Attempts(), "another user");
          ExpectRefused(RawSocketAttempts(), "another user");
          EXPECT_THAT(Bind(AF_INET, SOCK_STREAM, 80), FailsWith(EACCES));
        }
      });
    }
  }
}

NETNS_TEST(User, RightsInAnAncestorExtendToDescendants, Covers("USER-06"), Needs(UserNs())) {
  Actor nested = StartNamespaceRoot("nested");
  auto level1 = OfActor(nested);
  SETUP_OK(EnterNewUserNamespace(nested));
  SETUP_OK(nested.Unshare(CLONE_NEWNET));
  auto level2 = OfActor(nested);
  SETUP_OK(EnterNewUserNamespace(nested));
  SETUP_OK(nested.Unshare(CLONE_NEWNET));
  auto level3 = OfActor(nested);
  for (const auto* space : {&level1, &level2, &level3}) {
    Actor visitor = Actor::Start("visitor");
    ASSERT_OK(visitor.Enter(space->fd(), CLONE_NEWNET));
    visitor.Run([] {
      ExpectAllowed(Attempts(), "root of an ancestor of the owner");
      ExpectAllowed(RawSocketAttempts(), "root of an ancestor of the owner");
    });
  }
  EXPECT_THAT(nested.Enter(level2.fd(), CLONE_NEWNET), FailsWith(EPERM)) << "control: outwards";
  EXPECT_THAT(nested.Enter(level1.fd(), CLONE_NEWNET), FailsWith(EPERM)) << "control: outwards";
  EXPECT_THAT(nested.Enter(NetNamespace::Current().fd(), CLONE_NEWNET), FailsWith(EPERM)) << "control: outwards";
  EXPECT_TRUE(OfActor(nested).Is(level3));
}

// capabilities(7): CAP_NET_ADMIN "Perform various network-related operations".
NETNS_TEST(User, AdministrationNeedsCapNetAdmin, Covers("USER-07"), Needs(UserNs())) {
  for (bool nested : {false, true}) {
    SCOPED_TRACE(nested ? "two user namespaces deep" : "one user namespace deep");
    auto start = [&](const char* name) {
      Actor root = StartMappedRoot(name);
      if (nested) {
        SETUP_OK(EnterNewUserNamespace(root));
        SETUP_OK(root.Unshare(CLONE_NEWNET));
      }
      return root;
    };
    Actor with = start("with"), without = start("without"), alone = start("alone");
    with.Run([] { ExpectAllowed(Attempts(), "control: with CAP_NET_ADMIN"); });
    SETUP_OK(KeepOnlyCapabilities(alone, {CAP_NET_ADMIN}));
    alone.Run([] { ExpectAllowed(Attempts(), "with CAP_NET_ADMIN alone"); });
    SETUP_OK(DropCapability(without, CAP_NET_ADMIN));
    without.Run([] {
      ExpectRefused(Attempts(), "without CAP_NET_ADMIN");
      auto rtnl = SETUP_OK(Rtnl::Open());
      EXPECT_OK(rtnl.Links()) << "looking is allowed";
      EXPECT_OK(rtnl.Addresses()) << "looking is allowed";
      EXPECT_OK(rtnl.Routes()) << "looking is allowed";
      EXPECT_FALSE(SETUP_OK(rtnl.LinkByName("lo")).up()) << "a refused request took effect";
      EXPECT_THAT(SETUP_OK(rtnl.Addresses()), SizeIs(0)) << "a refused request took effect";
    });
  }
}

NETNS_TEST(User, RawAndPacketSocketsNeedCapNetRaw, Covers("USER-08"), Needs(UserNs())) {
  for (bool nested : {false, true}) {
    SCOPED_TRACE(nested ? "two user namespaces deep" : "one user namespace deep");
    Actor root = StartNamespaceRoot("root");
    if (nested) {
      SETUP_OK(EnterNewUserNamespace(root));
      SETUP_OK(root.Unshare(CLONE_NEWNET));
    }
    Actor alone = Actor::Start("alone");
    SETUP_OK(alone.Enter(SETUP_OK(Open(root.Proc("ns/user"), O_RDONLY)).get(), CLONE_NEWUSER));
    SETUP_OK(alone.Enter(OfActor(root).fd(), CLONE_NEWNET));
    SETUP_OK(KeepOnlyCapabilities(alone, {CAP_NET_RAW}));
    root.Run([] { ExpectAllowed(RawSocketAttempts(), "control: root of the owner"); });
    alone.Run([] { ExpectAllowed(RawSocketAttempts(), "with CAP_NET_RAW alone"); });
    SETUP_OK(DropCapability(root, CAP_NET_RAW));
    root.Run([] {
      ExpectRefused(RawSocketAttempts(), "without CAP_NET_RAW");
      EXPECT_OK(OpenSocket(AF_INET, SOCK_DGRAM, 0)) << "control: an ordinary socket";
    });
  }
}

// ip(7), capabilities(7): "CAP_NET_BIND_SERVICE Bind a socket to Internet domain privileged ports".
NETNS_TEST(User, PrivilegedPortsNeedCapNetBindService, Covers("USER-09"), Needs(UserNs(), Config("INET"))) {
  std::vector<std::pair<int, int>> kinds{{AF_INET, SOCK_STREAM}, {AF_INET, SOCK_DGRAM}};
  if (::access("/proc/self/net/if_inet6", F_OK) == 0) kinds.insert(kinds.end(), {{AF_INET6, SOCK_STREAM}, {AF_INET6, SOCK_DGRAM}});
  auto expect = [&](bool allowed, const char* who) {
    for (auto [family, type] : kinds) {
      SCOPED_TRACE(std::string(who) + (family == AF_INET ? ", IPv4" : ", IPv6") + (type == SOCK_STREAM ? " stream" : " datagram"));
      for (int port : {1, 80, 1023}) {
        if (allowed) {
          EXPECT_OK(Bind(family, type, port));
        } else {
          EXPECT_THAT(Bind(family, type, port), FailsWith(EACCES));
        }
      }
      EXPECT_OK(Bind(family, type, 1024)) << "control: not privileged";
      EXPECT_OK(Bind(family, type, 8080)) << "control: not privileged";
    }
  };
  Actor nobody = StartUnprivileged("nobody");
  nobody.Run([&] { expect(false, "no capability"); });
  Actor child = Actor::Start("child");
  SETUP_OK(EnterNewUserNamespace(child));
  child.Run([&] { expect(false, "root of a child user namespace, in a namespace of its parent's"); });
  Actor root = StartNamespaceRoot("root");
  root.Run([&] { expect(true, "root of the owner"); });
  Actor ancestor = OfActor(root).StartActor("ancestor");
  ancestor.Run([&] { expect(true, "root of the owner's parent"); });
  SETUP_OK(DropCapability(root, CAP_NET_BIND_SERVICE));
  root.Run([&] { expect(false, "every capability but CAP_NET_BIND_SERVICE"); });
}

NETNS_TEST(User, DevicesOfOtherNamespacesAreOutOfReach, Covers("USER-30"), Needs(UserNs())) {
  // The same names, indices, addresses and routes on both sides.
  auto outer = NetNamespace::Create();
  Actor root = StartNamespaceRoot("root");
  auto inner = OfActor(root);
  auto fill = [](const NetNamespace& space) {
    auto rtnl = RtnlIn(space);
    AddAnyLink(rtnl, "same");
    SETUP_OK(rtnl.Up("lo"));
    SETUP_OK(rtnl.Up("same"));
    SETUP_OK(rtnl.AddAddress("192.0.2.1/24", "same"));
    SETUP_OK(rtnl.AddRoute({.to = "198.51.100.0/24", .via = "192.0.2.2"}));
    SETUP_OK(rtnl.AddNeighbour({.to = "192.0.2.3", .address = "02:00:00:00:00:03", .dev = "same"}));
    rtnl.AddAddress("2001:db8::1/64", "same", {.nodad = true}).ok();
    if (auto rule = rtnl.AddRule({.family = AF_INET, .priority = 77, .from = "192.0.2.0/24"}); rule.code() != EOPNOTSUPP) SETUP_OK(std::move(rule));
  };
  fill(outer);
  fill(inner);
  auto state = [](const NetNamespace& space) {
    auto rtnl = RtnlIn(space);
    std::ostringstream text;
    for (const Link& link : SETUP_OK(rtnl.Links()))
      text << "link " << link.name << " " << link.index << " mtu " << link.mtu << (link.up() ? " up\n" : " down\n");
    // What the kernel adds by itself in its own time (link-local addresses, what they bring) is not looked at.
    for (const Address& address : SETUP_OK(rtnl.Addresses()))
      if (address.address.rfind("fe80", 0) != 0) text << "address " << address.ToString() << "\n";
    for (const Route& route : SETUP_OK(rtnl.Routes({.family = AF_INET}))) text << "route " << route.to << " " << route.table << "\n";
    for (const Rule& rule : SETUP_OK(rtnl.Rules(AF_INET))) text << "rule " << rule.priority << "\n";
    for (const Neighbour& neighbour : SETUP_OK(rtnl.Neighbours(AF_INET)))
      if (neighbour.state == NUD_PERMANENT) text << "neighbour " << neighbour.to << "\n";
    return text.str();
  };
  auto before = state(outer);
  root.Run([] {
    auto rtnl = SETUP_OK(Rtnl::Open());
    EXPECT_OK(rtnl.DeleteNeighbour({.to = "192.0.2.3", .dev = "same"}));
    EXPECT_OK(rtnl.DeleteRoute({.to = "198.51.100.0/24"}));
    rtnl.DeleteRule({.family = AF_INET, .priority = 77, .from = "192.0.2.0/24"}).ok();
    EXPECT_OK(rtnl.DeleteAddress("192.0.2.1/24", "same"));
    EXPECT_OK(rtnl.SetLink("same", {.mtu = 1280}));
    EXPECT_OK(rtnl.Down("same"));
    EXPECT_OK(rtnl.Down("lo"));
    EXPECT_OK(rtnl.DeleteLink("same"));
  });
  EXPECT_EQ(state(outer), before) << "namespace root changed a namespace of its parent's";
  EXPECT_NE(state(inner), before) << "control: it changed its own";
  EXPECT_OK(RtnlIn(outer).DeleteLink("same"));
  EXPECT_NE(state(outer), before) << "control: the parent changes its own";
}

// namespaces(7): "max_net_namespaces ... a per-user limit on the number of network namespaces that may be created in the
// user namespace"; unshare(2), clone(2): ENOSPC.
NETNS_TEST(User, TheLimitBoundsCreation, Covers("USER-14"), Needs(UserNs())) {
  Actor root = StartCounted("root", 5);
  std::vector<NetNamespace> made;
  EXPECT_EQ(root.Run([&] { return CreateUntilRefused(made); }), std::pair(5, ENOSPC));
  EXPECT_THAT(root.Unshare(CLONE_NEWNET), FailsWith(ENOSPC));
  EXPECT_THAT(root.Run([] { return Actor::TryStart("clone", CLONE_NEWNET); }).code(), ENOSPC) << "clone(2)";
  // Together with a user namespace it is charged to the new one and to this one; that of the new one is wide.
  const ino_t user = InodeOf(root.Proc("ns/user"));
  EXPECT_THAT(root.Run([] { return Actor::TryStart("both", CLONE_NEWUSER | CLONE_NEWNET); }).code(), ENOSPC) << "clone(2) with CLONE_NEWUSER";
  EXPECT_THAT(root.Unshare(CLONE_NEWUSER | CLONE_NEWNET), FailsWith(ENOSPC)) << "unshare(2) with CLONE_NEWUSER";
  EXPECT_EQ(InodeOf(root.Proc("ns/user")), user) << "a refused unshare(2) moved the caller into a new user namespace";
  SETUP_OK(root.Run([] { return WriteFile("/proc/sys/user/max_net_namespaces", "7"); }));
  EXPECT_EQ(root.Run([&] { return CreateUntilRefused(made); }), std::pair(2, ENOSPC)) << "control: two more, whatever was refused before";
  SETUP_OK(root.Run([] { return WriteFile("/proc/sys/user/max_net_namespaces", "2"); }));
  EXPECT_THAT(root.Unshare(CLONE_NEWNET), FailsWith(ENOSPC)) << "a limit below what is in use";
  EXPECT_OK(NetNamespace::TryCreate()) << "control: outside of that user namespace";
}

NETNS_TEST(User, TheLimitBindsRootToo, Covers("USER-15"), Needs(UserNs())) {
  Actor root = StartCounted("root", 0);
  EXPECT_EQ(root.Run([] { return ::geteuid(); }), 0u);
  for (int flags : {CLONE_NEWNET, CLONE_NEWNET | CLONE_NEWUTS}) EXPECT_THAT(root.Unshare(flags), FailsWith(ENOSPC));
  Actor joined = Actor::Start("joined");
  SETUP_OK(joined.Enter(SETUP_OK(Open(root.Proc("ns/user"), O_RDONLY)).get(), CLONE_NEWUSER));
  EXPECT_THAT(joined.Unshare(CLONE_NEWNET), FailsWith(ENOSPC)) << "one who came from an ancestor";
  EXPECT_OK(root.Unshare(CLONE_NEWUTS)) << "control: another kind of namespace";
  SETUP_OK(root.Run([] { return WriteFile("/proc/sys/user/max_net_namespaces", "1"); }));
  EXPECT_OK(root.Unshare(CLONE_NEWNET)) << "control: room for one";
}

NETNS_TEST(User, NestingDoesNotEscapeTheLimit, Covers("USER-16"), Needs(UserNs())) {
  for (int depth : {1, 3}) {
    SCOPED_TRACE("nested " + std::to_string(depth) + " deep");
    Actor outer = StartCounted("outer", 3);
    Actor nested = Actor::Start("nested");
    SETUP_OK(nested.Enter(SETUP_OK(Open(outer.Proc("ns/user"), O_RDONLY)).get(), CLONE_NEWUSER));
    for (int i = 0; i < depth; ++i) SETUP_OK(EnterNewUserNamespace(nested));
    EXPECT_THAT(nested.Run(Limit), Holds(std::to_string(INT_MAX))) << "control: its own limit is wide";
    std::vector<NetNamespace> made;
    EXPECT_EQ(nested.Run([&] { return CreateUntilRefused(made); }), std::pair(3, ENOSPC));
    EXPECT_THAT(outer.Unshare(CLONE_NEWNET), FailsWith(ENOSPC)) << "they count in the outer one";
    SETUP_OK(outer.Run([] { return WriteFile("/proc/sys/user/max_net_namespaces", "5"); }));
    EXPECT_EQ(nested.Run([&] { return CreateUntilRefused(made); }), std::pair(2, ENOSPC)) << "control: room for two";
  }
}

NETNS_TEST(User, TheLimitHoldsAtEachLevel, Covers("USER-16", "USER-14"), Needs(UserNs())) {
  Actor outer = StartCounted("outer", 4);
  Actor inner = Actor::Start("inner");
  SETUP_OK(inner.Enter(SETUP_OK(Open(outer.Proc("ns/user"), O_RDONLY)).get(), CLONE_NEWUSER));
  SETUP_OK(EnterNewUserNamespace(inner));
  SETUP_OK(inner.Run([] { return WriteFile("/proc/sys/user/max_net_namespaces", "1"); }));
  std::vector<NetNamespace> made;
  EXPECT_EQ(inner.Run([&] { return CreateUntilRefused(made); }), std::pair(1, ENOSPC)) << "the inner limit";
  // What the inner limit refused must not have been charged to the outer one.
  EXPECT_EQ(outer.Run([&] { return CreateUntilRefused(made); }), std::pair(3, ENOSPC)) << "the outer limit, of which one is used";
  EXPECT_THAT(outer.Run(Limit), Holds(std::string("4")));
}

NETNS_TEST(User, AtEachOfThreeLevelsTheLimitBindsAndIsGivenBack, Covers("USER-16", "USER-14", "LIFE-29"), Needs(UserNs())) {
  std::vector<Actor> levels;
  for (int depth = 0; depth < 3; ++depth) {
    Actor actor = Actor::Start("level" + std::to_string(depth + 1));
    if (depth > 0) SETUP_OK(actor.Enter(SETUP_OK(Open(levels.back().Proc("ns/user"), O_RDONLY)).get(), CLONE_NEWUSER));
    SETUP_OK(EnterNewUserNamespace(actor));
    levels.push_back(std::move(actor));
  }
  auto limit_only = [&](std::size_t tight, int count) {
    for (std::size_t level = 0; level < levels.size(); ++level)
      SETUP_OK(levels[level].Run([&] { return WriteFile("/proc/sys/user/max_net_namespaces", level == tight ? std::to_string(count) : "100000"); }));
  };
  Actor& creator = levels.back();
  std::vector<NetNamespace> made;
  auto one_more = [&] {
    return Eventually("room for a namespace, after one was freed",
                      [&] { return creator.Run([&] { return CreateUntilRefused(made, 1); }).first == 1; }, Deadline::OfKernelWork());
  };
  for (std::size_t tight = 0; tight < levels.size(); ++tight) {
    SCOPED_TRACE("the limit of level " + std::to_string(tight + 1) + " is the narrow one");
    limit_only(tight, 2);
    // What was let go in the round before may still count for a while.
    for (int i = 0; i < 2; ++i) EXPECT_OK(one_more());
    EXPECT_EQ(creator.Run([&] { return CreateUntilRefused(made); }), std::pair(0, ENOSPC));
    made.pop_back();
    EXPECT_OK(one_more()) << "one of two was freed";
    EXPECT_EQ(creator.Run([&] { return CreateUntilRefused(made); }), std::pair(0, ENOSPC)) << "control: only one was freed";
    made.clear();
    // None is left in the books of any level.
    for (std::size_t level = 0; level < levels.size(); ++level) {
      limit_only(level, 1);
      EXPECT_OK(one_more()) << "level " << level + 1 << " still counts one that was freed";
      made.clear();
    }
  }
}

NETNS_TEST(User, ARefusedCreationIsNotCounted, Covers("USER-14", "LIFE-29"), Needs(UserNs())) {
  Actor root = StartCounted("root", 2);
  std::vector<NetNamespace> made;
  EXPECT_EQ(root.Run([&] { return CreateUntilRefused(made); }), std::pair(2, ENOSPC));
  for (int i = 0; i < 20; ++i) EXPECT_THAT(root.Unshare(CLONE_NEWNET), FailsWith(ENOSPC));
  SETUP_OK(root.Run([] { return WriteFile("/proc/sys/user/max_net_namespaces", "3"); }));
  EXPECT_EQ(root.Run([&] { return CreateUntilRefused(made); }), std::pair(1, ENOSPC));
}

NETNS_TEST(User, TheLimitIsPerUser, Covers("USER-17"), Needs(Root(), UserNs())) {
  // A user namespace with two users, which real root may map.
  Actor keeper = Actor::Start("keeper", CLONE_NEWUSER);
  SETUP_OK(WriteFile(keeper.Proc("uid_map"), "0 100000 10"));
  SETUP_OK(WriteFile(keeper.Proc("gid_map"), "0 100000 10"));
  keeper.Run([] {
    if (::syscall(SYS_setresgid, 0, 0, 0) < 0 || ::syscall(SYS_setresuid, 0, 0, 0) < 0)
      throw SetupFailure(ErrnoError("setresuid").ToString(), std::source_location::current());
  });
  SETUP_OK(keeper.Run([] { return WriteFile("/proc/sys/user/max_net_namespaces", "3"); }));
  Fd user = SETUP_OK(Open(keeper.Proc("ns/user"), O_RDONLY));
  auto start = [&](uid_t uid) {
    Actor actor = Actor::Start("user " + std::to_string(uid));
    SETUP_OK(actor.Enter(user.get(), CLONE_NEWUSER));
    SETUP_OK(BecomeUser(actor, uid, {CAP_SYS_ADMIN}));
    return actor;
  };
  Actor first = start(1), second = start(2);
  std::vector<NetNamespace> made;
  EXPECT_EQ(first.Run([&] { return CreateUntilRefused(made); }), std::pair(3, ENOSPC));
  EXPECT_EQ(second.Run([&] { return CreateUntilRefused(made); }), std::pair(3, ENOSPC)) << "another user has an allowance of its own";
  EXPECT_THAT(first.Unshare(CLONE_NEWNET), FailsWith(ENOSPC)) << "control";
}

NETNS_TEST(User, ANewUserNamespaceHasNoLimitOfItsOwn, Covers("USER-18", "USER-19"), Needs(UserNs())) {
  auto outer = Limit();
  if (outer.code() == ENOENT) throw MissingNeed("needs-feature:max_net_namespaces", "user.max_net_namespaces, since Linux 4.9", "", LinuxVersion{4, 9});
  Actor child = Actor::Start("child"), sibling = Actor::Start("sibling");
  SETUP_OK(EnterNewUserNamespace(child));
  SETUP_OK(EnterNewUserNamespace(sibling));
  EXPECT_THAT(child.Run(Limit), Holds(std::string("2147483647")));
  EXPECT_OK(child.Run([] { return WriteFile("/proc/sys/user/max_net_namespaces", "7"); }));
  EXPECT_THAT(child.Run(Limit), Holds(std::string("7")));
  EXPECT_THAT(Limit(), Holds(*outer)) << "a write in a child user namespace changed the limit of its parent";
  EXPECT_THAT(sibling.Run(Limit), Holds(std::string("2147483647"))) << "a write changed the limit of a sibling";
  Actor grandchild = Actor::Start("grandchild");
  SETUP_OK(grandchild.Enter(SETUP_OK(Open(child.Proc("ns/user"), O_RDONLY)).get(), CLONE_NEWUSER));
  SETUP_OK(EnterNewUserNamespace(grandchild));
  EXPECT_THAT(grandchild.Run(Limit), Holds(std::string("2147483647"))) << "it is not inherited";
}

// namespaces(7): "the values exposed by these files are the values for the user namespace in which the opening process
// resides": a descriptor goes on meaning that one, whoever holds it.
NETNS_TEST(User, AnOpenLimitIsThatOfTheUserNamespaceOfItsOpener, Covers("USER-19"), Needs(UserNs())) {
  constexpr const char* kFile = "/proc/sys/user/max_net_namespaces";
  auto read = [](const Fd& fd) -> Result<std::string> {
    ::lseek(fd.get(), 0, SEEK_SET);
    ASSIGN_OR_RETURN(std::string text, ReadAll(fd.get()));
    return text.substr(0, text.find('\n'));
  };
  auto write = [](const Fd& fd, const char* value) -> Status {
    ::lseek(fd.get(), 0, SEEK_SET);
    if (::write(fd.get(), value, std::strlen(value)) < 0) return ErrnoError("write of a limit");
    return Ok();
  };
  Actor child = Actor::Start("child"), grandchild = Actor::Start("grandchild"), sibling = Actor::Start("sibling");
  SETUP_OK(EnterNewUserNamespace(child));
  SETUP_OK(EnterNewUserNamespace(sibling));
  SETUP_OK(grandchild.Enter(SETUP_OK(Open(child.Proc("ns/user"), O_RDONLY)).get(), CLONE_NEWUSER));
  SETUP_OK(EnterNewUserNamespace(grandchild));
  const std::string ours = SETUP_OK(Limit());
  Fd of_child = SETUP_OK(child.Run([&] { return Open(kFile, O_RDWR); })), of_grandchild = SETUP_OK(grandchild.Run([&] { return Open(kFile, O_RDWR); }));
  EXPECT_OK(write(of_child, "21")) << "by a process of its parent";
  EXPECT_OK(child.Run([&] { return write(of_grandchild, "22"); })) << "by a process of its parent";
  EXPECT_THAT(child.Run(Limit), Holds(std::string("21")));
  EXPECT_THAT(grandchild.Run(Limit), Holds(std::string("22")));
  EXPECT_THAT(Limit(), Holds(ours)) << "the limit of the writer's user namespace changed";
  EXPECT_THAT(read(of_child), Holds(std::string("21"))) << "read by a process of its parent";
  EXPECT_THAT(read(of_grandchild), Holds(std::string("22"))) << "read by a process two levels up";
  EXPECT_THAT(grandchild.Run([&] { return read(of_child); }), Holds(std::string("21"))) << "read by a process of its child";
  EXPECT_THAT(sibling.Run([&] { return read(of_child); }), Holds(std::string("21"))) << "read by a process of a sibling";
  // Rights are asked for again when it is written.
  EXPECT_THAT(grandchild.Run([&] { return write(of_child, "31"); }), AnyOf(FailsWith(EPERM), FailsWith(EACCES))) << "by root of its child";
  EXPECT_THAT(sibling.Run([&] { return write(of_child, "32"); }), AnyOf(FailsWith(EPERM), FailsWith(EACCES))) << "by root of a sibling";
  EXPECT_THAT(child.Run(Limit), Holds(std::string("21"))) << "a refused write took effect";
  EXPECT_THAT(grandchild.Run(Limit), Holds(std::string("22"))) << "a refused write took effect in the writer's own";
  EXPECT_THAT(sibling.Run(Limit), Holds(std::string("2147483647"))) << "a refused write took effect in the writer's own";
  // A process that moves on sees the limit of where it is.
  SETUP_OK(EnterNewUserNamespace(sibling));
  SETUP_OK(sibling.Run([] { return WriteFile("/proc/sys/user/max_net_namespaces", "23"); }));
  EXPECT_THAT(sibling.Run(Limit), Holds(std::string("23")));
  EXPECT_THAT(Limit(), Holds(ours)) << "a write two levels down changed the limit here";
}

NETNS_TEST(User, TheFirstLimitIsHalfOfThreadsMax, Covers("USER-18"), Needs(Machine())) {
  auto threads = SETUP_OK(ReadFile("/proc/sys/kernel/threads-max"));
  EXPECT_THAT(Limit(), Holds(std::to_string(std::stol(threads) / 2)));
}

NETNS_TEST(User, WritingTheLimitNeedsCapSysResource, Covers("USER-19"), Needs(UserNs())) {
  auto write = [] { return WriteFile("/proc/sys/user/max_net_namespaces", "9"); };
  Actor with = StartMappedRoot("with"), without = StartMappedRoot("without");
  EXPECT_OK(with.Run(write)) << "control";
  SETUP_OK(DropCapability(without, CAP_SYS_RESOURCE));
  EXPECT_THAT(without.Run(write), FailsWith(EACCES)) << "every capability but CAP_SYS_RESOURCE";
  EXPECT_THAT(without.Run(Limit), Holds(std::string("2147483647")));
  Actor alone = StartMappedRoot("alone");
  SETUP_OK(KeepOnlyCapabilities(alone, {CAP_SYS_RESOURCE}));
  EXPECT_OK(alone.Run(write)) << "with CAP_SYS_RESOURCE alone";
  auto before = Limit();
  Actor nobody = StartUnprivileged("nobody");
  EXPECT_THAT(nobody.Run([] { return Open("/proc/sys/user/max_net_namespaces", O_WRONLY); }), FailsWith(EACCES));
  EXPECT_THAT(Limit(), Holds(SETUP_OK(std::move(before))));
}

struct Ids {
  uid_t uid;
  gid_t gid;
  bool operator==(const Ids&) const = default;
  friend void PrintTo(const Ids& ids, std::ostream* out) { *out << ids.uid << ":" << ids.gid; }
};
Result<Ids> IdsOf(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) < 0) return ErrnoError("stat(" + path + ")");
  return Ids{info.st_uid, info.st_gid};
}
constexpr Ids kRoot{0, 0}, kOverflow{65534, 65534};

NETNS_TEST(User, SysctlsBelongToTheRootOfTheOwner, Covers("USER-20"), Needs(UserNs())) {
  Actor root = StartMappedRoot("root");
  // Not of net/core and net/unix: older kernels hide those where the owner is not the initial user namespace.
  std::vector<const char*> files = {"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/conf/lo/forwarding", "/proc/sys/net/ipv4/ip_default_ttl"};
  if (::access("/proc/self/net/if_inet6", F_OK) == 0)
    files.insert(files.end(), {"/proc/sys/net/ipv6/conf/all/forwarding", "/proc/sys/net/ipv6/conf/lo/disable_ipv6", "/proc/sys/net/ipv6/bindv6only"});
  for (const char* file : files) {
    SCOPED_TRACE(file);
    EXPECT_THAT(root.Run([&] { return IdsOf(file); }), Holds(kRoot)) << "seen from inside";
    auto visitor = OfActor(root).StartActor("visitor");
    if (IsRealRoot()) {
      EXPECT_THAT(visitor.Run([&] { return IdsOf(file); }), Holds(Ids{100000, 100000})) << "seen from outside";
    }
    auto value = SETUP_OK(root.Run([&] { return ReadFile(file); }));
    EXPECT_OK(root.Run([&] { return WriteFile(file, value); })) << "root of the owner may write";
  }
  // Capability or no capability, one of the parent's entries is out of reach.
  Actor child = StartMappedRoot("child", /*own_namespace=*/false);
  if (IsRealRoot()) {
    for (const char* file : files)
      EXPECT_THAT(child.Run([&] { return Open(file, O_WRONLY); }), FailsWith(EACCES)) << "control: " << file << " of the parent's namespace";
    Actor weak = Actor::Start("weak");
    SETUP_OK(weak.Enter(SETUP_OK(Open(root.Proc("ns/user"), O_RDONLY)).get(), CLONE_NEWUSER));
    SETUP_OK(weak.Enter(OfActor(root).fd(), CLONE_NEWNET));
    SETUP_OK(BecomeUser(weak, 5));
    for (const char* file : files)
      EXPECT_THAT(weak.Run([&] { return Open(file, O_WRONLY); }), FailsWith(EACCES)) << "control: " << file << ", another user without CAP_NET_ADMIN";
  }
}

void MountSysfs() {
  if (::unshare(CLONE_NEWNS) < 0 || ::mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) < 0)
    throw SetupFailure(ErrnoError("mount(sysfs)").ToString(), std::source_location::current());
}

constexpr const char* kAttributes[] = {"mtu", "ifindex", "address", "flags", "operstate", "tx_queue_len", "carrier", "ifalias", "uevent", "statistics",
                                       "statistics/rx_bytes", "statistics/collisions", "queues/rx-0", "queues/tx-0", "."};
constexpr const char* kQueueAttributes[] = {"queues/rx-0/rps_cpus", "queues/rx-0/rps_flow_cnt", "queues/tx-0/tx_timeout", "queues/tx-0/xps_cpus",
                                            "queues/tx-0/byte_queue_limits/limit"};

NETNS_TEST(User, DeviceAttributesBelongToTheRootOfTheOwner, Covers("USER-21"), Needs(UserNs(), Config("SYSFS"))) {
  Actor root = StartMappedRoot("root");
  root.Run([] {
    AddAnyLink(*std::make_unique<Rtnl>(SETUP_OK(Rtnl::Open())), "mine");
    MountSysfs();
    for (const char* device : {"lo", "mine"}) {
      const std::string base = std::string("/sys/class/net/") + device + "/";
      std::vector<const char*> attributes(std::begin(kAttributes), std::end(kAttributes));
      attributes.insert(attributes.end(), std::begin(kQueueAttributes), std::end(kQueueAttributes));
      for (const char* attribute : attributes) {
        auto ids = IdsOf(base + attribute);
        if (ids.code() == ENOENT) continue;  // queues: a matter of CONFIG_RPS and CONFIG_XPS
        EXPECT_THAT(ids, Holds(kRoot)) << device << "/" << attribute;
      }
    }
    EXPECT_OK(WriteFile("/sys/class/net/lo/mtu", "1500")) << "and may be written";
    EXPECT_EQ(SETUP_OK(SETUP_OK(Rtnl::Open()).LinkByName("lo")).mtu, 1500u);
  });
  if (!IsRealRoot()) return;
  // Control: the sysfs of a namespace that the parent owns, seen from inside a child user namespace.
  Actor child = StartMappedRoot("child", /*own_namespace=*/false);
  EXPECT_THAT(child.Run([] { return IdsOf("/sys/class/net/lo/mtu"); }), Holds(kOverflow)) << "control: of a namespace of the parent's";
}

/// The owner of each file and directory below a device's directory in the sysfs of a namespace: the attributes of its queues, or
/// the rest.
std::map<std::string, Ids> OwnersBelow(const NetNamespace& space, const std::string& device, bool of_queues) {
  std::map<std::string, Ids> owners;
  space.InWithSysfs([&] {
    const std::filesystem::path base = std::filesystem::canonical("/sys/class/net/" + device);
    owners["."] = SETUP_OK(IdsOf(base));
    // Links are not followed: they lead to devices, which are on their own.
    for (const auto& entry : std::filesystem::recursive_directory_iterator(base))
      if (!entry.is_symlink()) owners[entry.path().lexically_relative(base)] = SETUP_OK(IdsOf(entry.path()));
  });
  std::erase_if(owners, [&](const auto& each) { return (each.first.starts_with("queues/") && std::count(each.first.begin(), each.first.end(), '/') > 1) != of_queues; });
  return owners;
}
void OwnershipFollowsTheDevice(bool of_queues) {
  constexpr unsigned kQueues = 5;
  Actor root = StartMappedRoot("root");
  auto inner = OfActor(root), outer = NetNamespace::Create();
  auto rtnl = RtnlIn(outer);
  const auto queues = [](Request& request) { request.U32(IFLA_NUM_TX_QUEUES, kQueues).U32(IFLA_NUM_RX_QUEUES, kQueues); };
  SETUP_OK(rtnl.AddVeth("moved", PeerSpec{.name = "stays", .more = queues}, LinkSpec{.tx_queues = kQueues, .rx_queues = kQueues}));
  auto check = [&](const NetNamespace& space, const std::string& device, Ids expected, const char* when) {
    const auto owners = OwnersBelow(space, device, of_queues);
    for (const auto& [attribute, owner] : owners) EXPECT_EQ(owner, expected) << device << "/" << attribute << ", " << when;
    return owners.size();
  };
  const std::size_t attributes = check(outer, "moved", kRoot, "control: before");
  const auto listed = OwnersBelow(outer, "moved", of_queues);
  const std::string last = "queues/tx-" + std::to_string(kQueues - 1);
  const std::vector<std::string> some = of_queues ? std::vector<std::string>{last + "/tx_timeout"} : std::vector<std::string>{"mtu", "statistics/rx_bytes", last};
  for (const std::string& attribute : some) EXPECT_TRUE(listed.contains(attribute)) << "control: " << attribute << " is looked at";
  SETUP_OK(rtnl.MoveLink("moved", ByFd(inner.fd())));
  const auto arrived = OwnersBelow(inner, "moved", false);
  if (arrived.at("mtu") == kRoot && OwnersBelow(inner, "lo", false).at("mtu") == Ids{100000, 100000} &&
      ::access("/proc/sys/net/core/tstamp_allow_data", F_OK) != 0)
    throw MissingNeed("needs-feature:sysfs-ownership", "ownership that follows a device, since Linux 5.7", "", LinuxVersion{5, 7});
  EXPECT_EQ(check(inner, "moved", Ids{100000, 100000}, "moved to a namespace of another owner"), attributes);
  check(outer, "stays", kRoot, "control: the one that was not moved");
  SETUP_OK(RtnlIn(inner).MoveLink("moved", ByFd(outer.fd())));
  check(outer, "moved", kRoot, "moved back");
}
NETNS_TEST(User, OwnershipOfAttributesFollowsTheDevice, Covers("USER-22"), Needs(Root(), UserNs(), Config("VETH"), Config("SYSFS"))) {
  OwnershipFollowsTheDevice(/*of_queues=*/false);
}
NETNS_TEST(User, OwnershipOfAttributesOfItsQueuesFollowsTheDevice, Covers("USER-22"), Needs(Root(), UserNs(), Config("VETH"), Config("SYSFS"))) {
  OwnershipFollowsTheDevice(/*of_queues=*/true);
}

NETNS_TEST(User, IdsMustBeMappedFirst, Covers("USER-23"), Needs(UserNs(), Config("SYSFS"))) {
  for (bool mapped_first : {true, false}) {
    SCOPED_TRACE(mapped_first ? "control: mapped, then CLONE_NEWNET" : "CLONE_NEWUSER|CLONE_NEWNET, then mapped");
    Actor actor = Actor::Start("actor");
    // Whoever is not the machine's root tells its files from those of the creator.
    if (IsRealRoot()) SETUP_OK(BecomeUser(actor, 1000));
    const uid_t uid = actor.Run(::geteuid);
    const gid_t gid = actor.Run(::getegid);
    auto map = [&] {
      if (!IsRealRoot()) SETUP_OK(WriteFile(actor.Proc("setgroups"), "deny"));
      SETUP_OK(WriteFile(actor.Proc("uid_map"), "0 " + std::to_string(uid) + " 1"));
      SETUP_OK(WriteFile(actor.Proc("gid_map"), "0 " + std::to_string(gid) + " 1"));
    };
    SETUP_OK(actor.Unshare(CLONE_NEWUSER | (mapped_first ? 0 : CLONE_NEWNET)));
    if (IsRealRoot())
      map();
    else
      actor.Run(map);
    if (mapped_first) SETUP_OK(actor.Unshare(CLONE_NEWNET));
    const Ids expected = mapped_first ? kRoot : kOverflow;
    actor.Run([&] {
      MountSysfs();
      EXPECT_THAT(IdsOf("/sys/class/net/lo/mtu"), Holds(expected));
      EXPECT_THAT(IdsOf("/proc/thread-self/net/dev"), Holds(expected));
      EXPECT_THAT(IdsOf("/proc/sys/net/ipv4/ip_forward"), Holds(kRoot)) << "sysctls: looked up at access";
    });
    if (IsRealRoot()) {
      const Ids outside = mapped_first ? Ids{uid, gid} : kRoot;
      EXPECT_THAT(IdsOf(actor.Proc("net/dev")), Holds(outside)) << "seen from outside";
    }
  }
}

// user_namespaces(7): mounting sysfs; the kernel asks for rights over the owner of the network namespace.
NETNS_TEST(User, MountingSysfsNeedsRightsOverTheNamespace, Covers("USER-24"), Needs(UserNs(), Config("SYSFS"))) {
  Actor child = Actor::Start("child");
  SETUP_OK(EnterNewUserNamespace(child));
  SETUP_OK(child.Unshare(CLONE_NEWNS));
  auto mount = [] {
    return [&]() -> Status {
      if (::mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) < 0) return ErrnoError("mount(sysfs)");
      return Ok();
    }();
  };
  EXPECT_THAT(child.Run(mount), FailsWith(EPERM)) << "in a namespace of its parent's";
  SETUP_OK(child.Unshare(CLONE_NEWNET));
  ASSERT_OK(child.Run(mount)) << "in a namespace of its own";
  EXPECT_OK(child.Run([] { return ReadFile("/sys/class/net/lo/ifindex"); }));
  // Nested once more.
  SETUP_OK(EnterNewUserNamespace(child));
  SETUP_OK(child.Unshare(CLONE_NEWNS));
  EXPECT_THAT(child.Run(mount), FailsWith(EPERM)) << "in a namespace of its parent's, nested";
}

NETNS_TEST(User, TheCreatorOfTheOwnerMayMountItsSysfs, Covers("USER-24"), Needs(Root(), UserNs(), Config("SYSFS"))) {
  Actor owner = Actor::Start("owner");
  SETUP_OK(BecomeUser(owner, 1000));
  if (auto made = owner.Unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET); !made.ok())
    throw MissingNeed("needs-userns", "user namespaces are forbidden to ordinary users here: " + made.error().ToString());
  const Fd mounts = SETUP_OK(Open(owner.Proc("ns/mnt"), O_RDONLY));
  const auto space = OfActor(owner);
  // Both enter as root, and have no capability at home any more when they mount: only that over the owner counts.
  for (unsigned uid : {1001u, 1000u}) {
    Actor visitor = Actor::Start("user " + std::to_string(uid));
    SETUP_OK(visitor.Unshare(CLONE_FS));
    SETUP_OK(visitor.Enter(space.fd(), CLONE_NEWNET));
    SETUP_OK(visitor.Enter(mounts.get(), CLONE_NEWNS));
    SETUP_OK(BecomeUser(visitor, uid));
    const Status mounted = visitor.Run([]() -> Status {
      if (::mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) < 0) return ErrnoError("mount(sysfs)");
      return Ok();
    });
    if (uid == 1000)
      EXPECT_OK(mounted) << "it created the user namespace that owns the network namespace";
    else
      EXPECT_THAT(mounted, FailsWith(EPERM)) << "control: another user";
  }
}

NETNS_TEST(User, RestrictedProcFilesAreReadableForTheOwnersRoot, Covers("USER-25"), Needs(UserNs(), Config("NF_CONNTRACK"))) {
  Actor root = StartNamespaceRoot("root");
  int seen = 0;
  for (const char* name : {"nf_conntrack", "ip_tables_names", "ip_tables_matches", "netfilter/nfnetlink_log", "netfilter/nfnetlink_queue", "stat/nf_conntrack"}) {
    SCOPED_TRACE(name);
    const std::string path = std::string("/proc/thread-self/net/") + name;
    struct stat info {};
    if (root.Run([&] { return ::stat(path.c_str(), &info); }) < 0) continue;
    ++seen;
    EXPECT_EQ(info.st_uid, 0u) << "whose file it is, seen by root of the owner";
    if (!std::string(name).starts_with("stat/")) {
      EXPECT_EQ(info.st_mode & 07777, 0440u) << "its mode";
    }
    EXPECT_OK(root.Run([&] { return ReadFile(path); })) << "root of the owner";
    if ((info.st_mode & 0004) != 0) continue;
    Actor nobody = StartUnprivileged("nobody");
    const std::string its = root.Proc(std::string("net/") + name);
    if (IsRealRoot()) {
      EXPECT_THAT(nobody.Run([&] { return Open(its, O_RDONLY); }), FailsWith(EACCES)) << "control: another user";
    }
  }
  if (seen == 0) throw MissingNeed("needs-module:nf_conntrack", "none of the restricted files is there");
}

Status ListenAll(const Fd& socket) {
  int on = 1;
  if (::setsockopt(socket.get(), SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof on) < 0)
    return ErrnoError("setsockopt(NETLINK_LISTEN_ALL_NSID)");
  return Ok();
}

NETNS_TEST(User, ListeningToAllNamespacesNeedsCapNetBroadcast, Covers("USER-26"), Needs(UserNs())) {
  auto listener = [] { return ListenAll(SETUP_OK(NewSocket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE))); };
  Actor nobody = StartUnprivileged("nobody");
  EXPECT_THAT(nobody.Run(listener), FailsWith(EPERM));
  EXPECT_OK(listener()) << "control";
  Actor child = Actor::Start("child");
  SETUP_OK(EnterNewUserNamespace(child));
  EXPECT_THAT(child.Run(listener), FailsWith(EPERM)) << "root of a child user namespace, in a namespace of its parent's";
  Actor root = StartNamespaceRoot("root");
  EXPECT_OK(root.Run(listener)) << "control: root of the owner";
  Actor alone = StartNamespaceRoot("alone");
  SETUP_OK(KeepOnlyCapabilities(alone, {CAP_NET_BROADCAST}));
  EXPECT_OK(alone.Run(listener)) << "with CAP_NET_BROADCAST alone";
  SETUP_OK(DropCapability(root, CAP_NET_BROADCAST));
  EXPECT_THAT(root.Run(listener), FailsWith(EPERM)) << "every capability but CAP_NET_BROADCAST";
}

/// Link notifications with the namespace that they tell of, "lo@7".
std::vector<std::string> Received(const Fd& socket) {
  std::vector<std::string> seen;
  for (;;) {
    char buffer[16384], control[256];
    iovec part{buffer, sizeof buffer};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
    ssize_t n = ::recvmsg(socket.get(), &header, MSG_DONTWAIT);
    if (n < 0) return seen;
    int nsid = -1;
    for (cmsghdr* c = CMSG_FIRSTHDR(&header); c != nullptr; c = CMSG_NXTHDR(&header, c))
      if (c->cmsg_level == SOL_NETLINK && c->cmsg_type == NETLINK_LISTEN_ALL_NSID) std::memcpy(&nsid, CMSG_DATA(c), sizeof nsid);
    const Message message(std::as_bytes(std::span(buffer, static_cast<std::size_t>(n))));
    if (message.type() == RTM_NEWLINK) seen.push_back(ReadLink(message).name + "@" + std::to_string(nsid));
  }
}

NETNS_TEST(User, MessagesOfANamespaceGoOnlyToThoseWithRightsOverIt, Covers("USER-26"), Needs(UserNs())) {
  auto peer = NetNamespace::Create();                    // owned by the test's user namespace
  Actor root = StartNamespaceRoot("root");
  auto here = NetNamespace::Create();
  auto subscribe = [&](int group) {
    Fd socket = SETUP_OK(NewSocket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = 1u << (group - 1);
    if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0)
      throw SetupFailure(ErrnoError("bind of a listener").ToString(), std::source_location::current());
    SETUP_OK(ListenAll(socket));
    return socket;
  };
  Fd privileged = here.In([&] { return subscribe(RTNLGRP_LINK); });
  Fd child = root.Run([&] { return subscribe(RTNLGRP_LINK); });
  Fd child_second;
  Actor its_second = Actor::Start("second");
  SETUP_OK(its_second.Enter(SETUP_OK(Open(root.Proc("ns/user"), O_RDONLY)).get(), CLONE_NEWUSER));
  SETUP_OK(its_second.Unshare(CLONE_NEWNET));
  // Both listeners' namespaces have an id for the peer, and the child's one for a second namespace of its own.
  SETUP_OK(RtnlIn(here).NewNsid(ByFd(peer.fd()), 7));
  SETUP_OK(RtnlIn(OfActor(root)).NewNsid(ByFd(peer.fd()), 7));
  SETUP_OK(RtnlIn(OfActor(root)).NewNsid(ByFd(OfActor(its_second).fd()), 8));
  SETUP_OK(RtnlIn(peer).Up("lo"));
  SETUP_OK(RtnlIn(OfActor(its_second)).Up("lo"));  // the fence: comes after
  EXPECT_THAT(Received(privileged), Contains("lo@7")) << "control: with rights over the peer";
  auto childs = Received(child);
  EXPECT_THAT(childs, Contains("lo@8")) << "control: a namespace of its own user namespace";
  EXPECT_THAT(childs, Not(Contains("lo@7"))) << "root of a child user namespace heard of a namespace of its parent's";
}

/// Brings lo up by a request without an address, as send(2) makes it.
Status SendUp(int socket) {
  ifinfomsg header{};
  header.ifi_index = 1;
  header.ifi_change = header.ifi_flags = IFF_UP;
  return AckOfBareSend(socket, Request(RTM_NEWLINK).Header(header).Named("bring lo up"));
}

// netlink_ns_capable(): the opener of the socket and the sender.
NETNS_TEST(User, NetlinkChecksOpenerAndSender, Covers("USER-27")) {
  auto rtnl = SETUP_OK(Rtnl::Open());
  Actor nobody = StartUnprivileged("nobody");
  auto open = [] { return NewSocket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE); };
  Fd opened_by_nobody = SETUP_OK(nobody.Run(open)), opened_by_root = SETUP_OK(open());
  EXPECT_THAT(SendUp(opened_by_nobody.get()), FailsWith(EPERM)) << "opened without privilege, sent with it";
  EXPECT_THAT(nobody.Run([&] { return SendUp(opened_by_root.get()); }), FailsWith(EPERM)) << "opened with privilege, sent without it";
  EXPECT_THAT(nobody.Run([&] { return SendUp(opened_by_nobody.get()); }), FailsWith(EPERM)) << "neither";
  EXPECT_FALSE(SETUP_OK(rtnl.LinkByName("lo")).up()) << "a refused request took effect";
  EXPECT_OK(SendUp(opened_by_root.get())) << "control: both with privilege";
  EXPECT_TRUE(SETUP_OK(rtnl.LinkByName("lo")).up()) << "control";
}

NETNS_TEST(User, WhichSocketOptionsHonourTheOwnersCapabilities, Covers("USER-28"), Needs(UserNs(), Config("INET"))) {
  struct Option {
    const char* name;
    int level, option, value;
    bool honoured;  ///< by the capabilities of the namespace's owner
    int domain = AF_INET;
  };
  const Option options[] = {
      {"SO_MARK", SOL_SOCKET, SO_MARK, 7, true},
      {"SO_PRIORITY 7", SOL_SOCKET, SO_PRIORITY, 7, true},
      {"IP_TRANSPARENT", IPPROTO_IP, 19 /* IP_TRANSPARENT */, 1, true},
      {"SO_SNDBUFFORCE", SOL_SOCKET, SO_SNDBUFFORCE, 65536, false},
      {"SO_RCVBUFFORCE", SOL_SOCKET, SO_RCVBUFFORCE, 65536, false},
      {"SO_DEBUG", SOL_SOCKET, SO_DEBUG, 1, false},
      {"SO_MARK of IPv6", SOL_SOCKET, SO_MARK, 7, true, AF_INET6},
      {"IPV6_TRANSPARENT", IPPROTO_IPV6, 75 /* IPV6_TRANSPARENT */, 1, true, AF_INET6},
      {"SO_RCVBUFFORCE of IPv6", SOL_SOCKET, SO_RCVBUFFORCE, 65536, false, AF_INET6},
  };
  int type = SOCK_DGRAM;
  auto set = [&type](const Option& option) -> Status {
    ASSIGN_OR_RETURN(Fd socket, NewSocket(option.domain, type));
    if (::setsockopt(socket.get(), option.level, option.option, &option.value, sizeof option.value) < 0)
      return ErrnoError(std::string("setsockopt ") + option.name);
    return Ok();
  };
  Actor root = StartNamespaceRoot("root"), child = Actor::Start("child"), dropped = StartNamespaceRoot("dropped");
  SETUP_OK(EnterNewUserNamespace(child));
  SETUP_OK(KeepOnlyCapabilities(dropped, {}));
  for (int each : {SOCK_DGRAM, SOCK_STREAM}) {
    type = each;
    EXPECT_OK(dropped.Run([&] { return set({"SO_PRIORITY 6", SOL_SOCKET, SO_PRIORITY, 6, true}); })) << "control: up to 6 it is for everybody";
    EXPECT_OK(child.Run([&] { return set({"SO_PRIORITY 6", SOL_SOCKET, SO_PRIORITY, 6, true}); })) << "control: up to 6 it is for everybody";
  }
  for (const auto& [option, each] : [&options] {
         std::vector<std::pair<Option, int>> all;
         for (int each : {SOCK_DGRAM, SOCK_STREAM})
           for (const Option& option : options) all.emplace_back(option, each);
         return all;
       }()) {
    if (option.domain == AF_INET6 && ::access("/proc/self/net/if_inet6", F_OK) != 0) continue;
    type = each;
    SCOPED_TRACE(std::string(option.name) + (type == SOCK_STREAM ? " of a stream" : " of datagrams"));
    const Option& this_one = option;
    auto as = [&](Actor& actor) { return actor.Run([&] { return set(this_one); }); };
    auto refused = AnyOf(FailsWith(EPERM), FailsWith(EACCES));
    if (option.honoured) {
      EXPECT_OK(as(root)) << "root of the owner";
    } else {
      EXPECT_THAT(as(root), refused) << "needs the capability in the initial user namespace";
    }
    EXPECT_THAT(as(child), refused) << "root of a child user namespace, in a namespace of its parent's";
    EXPECT_THAT(as(dropped), refused) << "control: no capability";
    if (IsRealRoot()) {
      EXPECT_OK(set(option)) << "control: root of the machine";
    }
  }
}

NETNS_TEST(User, GlobalLimitsCannotBeSetFromANamespace, Covers("USER-29"), Needs(Root())) {
  auto space = NetNamespace::Create();
  space.In([] {
    for (const char* name : {"netfilter/nf_conntrack_buckets", "netfilter/nf_conntrack_max", "netfilter/nf_conntrack_expect_max"}) {
      const std::string path = std::string("/proc/sys/net/") + name;
      if (::access(path.c_str(), F_OK) != 0) continue;
      auto opened = Open(path, O_WRONLY);
      // Root may open a file without write permission (CAP_DAC_OVERRIDE does not help with sysctls).
      EXPECT_THAT(opened, FailsWith(EACCES)) << path;
    }
    for (const char* name : {"core/netdev_max_backlog", "core/dev_weight", "core/netdev_budget", "ipv4/tcp_mem", "ipv4/udp_mem"}) {
      const std::string path = std::string("/proc/sys/net/") + name;
      EXPECT_THAT(Open(path, O_WRONLY), AnyOf(FailsWith(ENOENT), FailsWith(EACCES))) << path;
    }
    EXPECT_OK(Open("/proc/sys/net/ipv4/ip_forward", O_WRONLY)) << "control: what belongs to the namespace";
  });
}

}  // namespace
}  // namespace netns
