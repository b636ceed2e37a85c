// SPDX-License-Identifier: GPL-2.0-or-later
// USER: who may do what to whose network namespace, as one table: actors across, operations down, each cell allowed or
// refused with its errno. Here are the world in which they act, the check of a cell, and the first of the rows; more of
// them are in permissions_*.cc. user_namespaces(7): a privileged operation on a namespace needs the capability in the user
// namespace that owns it; capabilities reach downwards only; whoever created a user namespace holds all of them in it.
//
//   the test's user namespace          kAncestorRoot; kNobody (no capability)
//    └─ grandparent's child "parent"   kParentRoot; kCreator (made the owner, holds no capability)
//        ├─ owner                      kOwnerRoot, kWithoutNetAdmin, kWithoutSysAdmin; owns the namespace of the table
//        │   └─ child                  kChildRoot
//        └─ sibling                    kSiblingRoot
//
// As real root they are different users of the machine, so that no file is open to them for their uid's sake. An ordinary
// user has only one to give: where this makes a difference, the row says so.
//
// Left out: extended acknowledgements. A refusal for want of a capability carries none, and may get one any day.
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/if_vlan.h>
#include <linux/netlink.h>
#include <linux/nsfs.h>
#include <linux/sockios.h>
#include <linux/xfrm.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <functional>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "fixtures/net_namespace.h"
#include "fixtures/user_namespace.h"
#include "harness/assertions.h"
#include "harness/registration.h"
#include "suites/support/any_link.h"
#include "suites/support/bare_send.h"
#include "suites/support/nsfs.h"
#include "suites/support/rights.h"
#include "suites/support/tun.h"

namespace netns::rights {

/// The root of a new user namespace below that of `in`.
Actor World::Nested(const std::string& name, Actor* in, uid_t outside, unsigned count) {
  Actor actor = Actor::Start(name);
  if (in != nullptr) Join(actor, UserOf(*in));
  SETUP_OK(many_users_ ? EnterMappedUserNamespace(actor, outside, count, in) : EnterNewUserNamespace(actor));
  return actor;
}

constexpr uid_t kCreatorsId = 5;

World::World(bool with_devices) {
  parent_keeper_.emplace(Nested("parent", nullptr, 100000, 100));
  parent_ = UserOf(*parent_keeper_);
  // The owner is made by an ordinary user of the parent, who has CAP_SYS_ADMIN for systems that ask for it.
  member.emplace(Actor::Start("member"));
  Join(*member, parent_);
  if (many_users_) {
    SETUP_OK(BecomeUser(*member, kCreatorsId, {CAP_SYS_ADMIN}));
    SETUP_OK(EnterMappedUserNamespace(*member, 10, 50, &*parent_keeper_));
  } else {
    SETUP_OK(EnterNewUserNamespace(*member));
  }
  owner_ = UserOf(*member);
  SETUP_OK(member->Unshare(CLONE_NEWNET));
  ns.emplace(SETUP_OK(NetNamespace::OfPid(member->pid())));
  child_keeper_.emplace(Nested("child", &*member, 10, 10));
  child_ = UserOf(*child_keeper_);
  sibling_keeper_.emplace(Nested("sibling", &*parent_keeper_, 70, 10));
  sibling_ = UserOf(*sibling_keeper_);
  root_.emplace(SETUP_OK(Rtnl::In(*ns)));
  if (with_devices) Reset();
}

NetNamespace& World::Second() {
  if (!second_) {
    Actor maker = Actor::Start("maker");
    Join(maker, owner_);
    SETUP_OK(maker.Unshare(CLONE_NEWNET));
    second_.emplace(SETUP_OK(NetNamespace::OfPid(maker.pid())));
  }
  return *second_;
}

void World::Reset() {
  for (const Link& link : SETUP_OK(root_->Links()))
    if (Status deleted = link.kind == "veth" || link.kind == "bridge" ? root_->DeleteLink(link.index) : Ok(); deleted.code() != ENODEV)
      SETUP_OK(std::move(deleted));  // ENODEV: it went with its peer
  SETUP_OK(root_->Down("lo"));
  SETUP_OK(root_->AddVeth("its0", "peer0"));
}

Actor World::Start(Who who, bool inside) {
  Actor actor = Actor::Start(kNames[who].name);
  if (inside) SETUP_OK(actor.Enter(ns->fd(), CLONE_NEWNET));
  // The rights with which it could make a home are the first to go.
  auto settle = [&] {
    if (!inside) SETUP_OK(actor.Unshare(CLONE_NEWNET));
  };
  switch (who) {
    case kNobody:
      settle();
      if (many_users_) {
        SETUP_OK(BecomeUser(actor, 65534));
      } else {
        SETUP_OK(EnterNewUserNamespace(actor));
        SETUP_OK(KeepOnlyCapabilities(actor, {}));
      }
      break;
    case kAncestorRoot: settle(); break;
    case kParentRoot: Join(actor, parent_); settle(); break;
    case kSiblingRoot: Join(actor, sibling_); settle(); break;
    case kChildRoot: Join(actor, child_); settle(); break;
    case kOwnerRoot: Join(actor, owner_); settle(); break;
    case kWithoutNetAdmin:
      Join(actor, owner_);
      settle();
      SETUP_OK(DropCapability(actor, CAP_NET_ADMIN));
      break;
    case kWithoutSysAdmin:
      Join(actor, owner_);
      settle();
      SETUP_OK(DropCapability(actor, CAP_SYS_ADMIN));
      break;
    default:  // kCreator: at home in a namespace that the owner owns, over which it has rights, too
      if (!inside) SETUP_OK(actor.Enter(Second().fd(), CLONE_NEWNET));
      Join(actor, parent_);
      SETUP_OK(many_users_ ? BecomeUser(actor, kCreatorsId) : KeepOnlyCapabilities(actor, {}));
  }
  return actor;
}

std::string World::State() {
  std::ostringstream text;
  for (const Link& link : SETUP_OK(root_->Links())) {
    text << link.index << ": " << link.name << (link.up() ? " up" : "") << " mtu " << link.mtu << " " << link.address << " group "
         << link.group << " alias " << link.alias << " qdisc " << link.qdisc;
    for (const std::string& altname : link.altnames) text << " altname " << altname;
    text << "\n";
  }
  for (const Address& one : SETUP_OK(root_->Addresses()))
    if (!one.address.starts_with("fe80")) text << one.ToString() << " on " << one.index << "\n";
  for (const Route& one : SETUP_OK(root_->Routes({.family = AF_INET}))) text << one.to << " in " << one.table << "\n";
  for (const Rule& one : SETUP_OK(root_->Rules(AF_INET))) text << "rule " << one.priority << "\n";
  for (const Neighbour& one : SETUP_OK(root_->Neighbours(AF_INET))) text << "neighbour " << one.to << "\n";
  for (const Qdisc& one : SETUP_OK(root_->Qdiscs())) text << one.kind << " on " << one.dev << "\n";
  return text.str();
}

namespace {

// --- the table ----------------------------------------------------------------------------------------------------

Status Enter(int fd, int flags) {
  if (::setns(fd, flags) < 0) return ErrnoError("setns");
  return Ok();
}

Status SetFlagsByIoctl() {
  ifreq request = NamedRequest("its0");
  request.ifr_flags = IFF_UP;
  return Ioctl(SIOCSIFFLAGS, request, "ioctl(SIOCSIFFLAGS)");
}
Status SetAddressByIoctl() {
  ifreq request = NamedRequest("its0");
  auto& address = reinterpret_cast<sockaddr_in&>(request.ifr_addr);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(0xC0000201);
  return Ioctl(SIOCSIFADDR, request, "ioctl(SIOCSIFADDR)");
}
Status SetMtuByIoctl() {
  ifreq request = NamedRequest("its0");
  request.ifr_mtu = 1400;
  return Ioctl(SIOCSIFMTU, request, "ioctl(SIOCSIFMTU)");
}
Status RenameByIoctl() {
  ifreq request = NamedRequest("its0");
  std::strncpy(request.ifr_newname, "its1", IFNAMSIZ - 1);
  return Ioctl(SIOCSIFNAME, request, "ioctl(SIOCSIFNAME)");
}
Status AddRouteByIoctl() {
  char device[] = "its0";
  rtentry route{};
  route.rt_dst = Ipv4(0xC6336400);  // 198.51.100.0/24
  route.rt_genmask = Ipv4(0xFFFFFF00);
  route.rt_flags = RTF_UP;
  route.rt_dev = device;
  return Ioctl(SIOCADDRT, route, "ioctl(SIOCADDRT)");
}
Status AddNeighbourByIoctl() {
  arpreq request{};
  request.arp_pa = Ipv4(0xC0000203);
  request.arp_ha.sa_family = ARPHRD_ETHER;
  request.arp_ha.sa_data[0] = 2;
  request.arp_flags = ATF_PERM | ATF_COM;
  std::strcpy(request.arp_dev, "its0");
  return Ioctl(SIOCSARP, request, "ioctl(SIOCSARP)");
}
Status AddIpv6AddressByIoctl(World& world) {
  struct {  // in6_ifreq, whose header does not go with the C library's
    in6_addr address;
    std::uint32_t prefix_length;
    int index;
  } request{};
  request.address.s6_addr[0] = 0xFD;
  request.address.s6_addr[15] = 1;
  request.prefix_length = 64;
  request.index = SETUP_OK(world.root().LinkByName("its0")).index;
  return Ioctl(SIOCSIFADDR, request, "ioctl(SIOCSIFADDR)", AF_INET6);
}
Status AddVlanByIoctl() {
  vlan_ioctl_args request{};
  request.cmd = ADD_VLAN_CMD;
  std::strcpy(request.device1, "its0");
  request.u.VID = 10;
  return Ioctl(SIOCSIFVLAN, request, "ioctl(SIOCSIFVLAN)");
}
Status AddBridgeByIoctl() {
  char name[IFNAMSIZ] = "itsbr";
  return Ioctl(SIOCBRADDBR, name, "ioctl(SIOCBRADDBR)");
}

/// A request to replace a legacy table by nonsense: who may replace it is told so, and anybody else is not even listened to.
Status ReplaceTable(int family, int level, int option) {
  Fd socket(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return ErrnoError("socket(" + std::to_string(family) + ")");
  const std::array<char, 4096> nonsense{};
  if (::setsockopt(socket.get(), level, option, nonsense.data(), nonsense.size()) == 0 || errno == EINVAL) return Ok();
  if (errno == ENOPROTOOPT) return Error{EOPNOTSUPP, "setsockopt for a legacy table"};
  return ErrnoError("setsockopt for a legacy table");
}

Status FlushIpsecStates() {
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_XFRM));
  xfrm_usersa_flush states{};
  states.proto = IPPROTO_ESP;
  return socket.Ack(Request(XFRM_MSG_FLUSHSA).Header(states).Named("flush IPsec states"));
}
/// netlink(7): only who has CAP_NET_ADMIN may listen to a multicast group; rtnetlink and a few others are open to all.
Status ListenToIpsecEvents() {
  Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_XFRM));
  if (!socket.valid()) return ErrnoError("socket(NETLINK_XFRM)");
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = 1U << (XFRMNLGRP_SA - 1);
  if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0) return ErrnoError("bind to a group of NETLINK_XFRM");
  return Ok();
}

Status SetFeatureByIoctl() {
  ifreq request = NamedRequest("its0");
  ethtool_value value{ETHTOOL_SGRO, 1};
  request.ifr_data = reinterpret_cast<char*>(&value);
  return Ioctl(SIOCETHTOOL, request, "ioctl(ETHTOOL_SGRO)");
}

Status OpenTun() {
  ASSIGN_OR_RETURN(Fd tun, Open(TunFile(), O_RDWR));
  ifreq request = NamedRequest("tun0");
  request.ifr_flags = IFF_TUN;
  if (::ioctl(tun.get(), TUNSETIFF, &request) < 0) return ErrnoError("ioctl(TUNSETIFF)");
  return Ok();
}

Status MountSysfs() {
  (void)::unshare(CLONE_NEWNS);  // where it may not, it may not mount either
  if (::mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) < 0) return ErrnoError("mount(sysfs)");
  return Ok();
}

Status ListenToAll() {
  Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  const int on = 1;
  if (::setsockopt(socket.get(), SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof on) < 0)
    return ErrnoError("setsockopt(NETLINK_LISTEN_ALL_NSID)");
  return Ok();
}

Status NamespaceOfPidfd(int pidfd) {
  const Fd ns(::ioctl(pidfd, _IO(0xFF, 4) /* PIDFD_GET_NET_NAMESPACE */, 0));
  if (!ns.valid()) return ErrnoError("ioctl(PIDFD_GET_NET_NAMESPACE)");
  return Ok();
}

constexpr const char *kMounted = "/tmp/its-ns", *kItsSysfs = "/tmp/its-sys";

void BindMountIt(World& world) {
  if (::access(kMounted, F_OK) == 0) return;
  SETUP_OK(Open(kMounted, O_CREAT | O_RDWR, 0644));
  if (::mount(world.member->Proc("ns/net").c_str(), kMounted, nullptr, MS_BIND, nullptr) < 0)
    throw SetupFailure(ErrnoError("mount(MS_BIND)").ToString(), std::source_location::current());
}

/// The sysfs of the namespace, for everybody to see.
void ShowItsSysfs(World& world) {
  if (::access(kItsSysfs, F_OK) == 0) return;
  ::mkdir(kItsSysfs, 0755);
  Status mounted = world.ns->In([]() -> Status {
    if (::mount("sysfs", kItsSysfs, "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) < 0) return ErrnoError("mount(sysfs)");
    return Ok();
  });
  SETUP_OK(std::move(mounted));
}

constexpr int kNsid = 7;
/// A veth end "made" at the actor's home, and an id of the namespace there.
void PutADeviceAtHome(World& world) {
  Rtnl home = RtnlIn(*world.home);
  if (!home.LinkByName("made").ok()) SETUP_OK(home.AddVeth("made", "rest"));
}
void GiveItAnIdAtHome(World& world) {
  Rtnl home = RtnlIn(*world.home);
  if (SETUP_OK(home.GetNsid(ByFd(world.ns->fd()))).nsid != kNsid) SETUP_OK(home.NewNsid(ByFd(world.ns->fd()), kNsid));
}
void PutADeviceIntoIt(World& world) {
  if (!world.Has("taken")) SETUP_OK(world.root().AddVeth("taken", "peer1"));
}

std::vector<Operation> Operations() {
  using R = Rtnl&;
  using W = World&;
  constexpr auto kHome = From::kHome, kInside = From::kInside;
  auto admin = [](const char* name, std::function<Status(Rtnl&, World&)> request, std::function<void(World&)> prepare = {}) {
    return Operation{name, {"USER-04", "USER-06", "USER-07"}, From::kInside, kNetAdmin, Effect::kState, Request_(std::move(request)), std::move(prepare)};
  };
  auto by_ioctl = [](const char* name, Status (*request)(), const char* config = nullptr, std::function<void(World&)> prepare = {}) {
    return Operation{name, {"USER-04", "USER-07"}, From::kInside, kNetAdmin, Effect::kState, [request](World&) { return request(); }, std::move(prepare), config};
  };
  auto replace = [](const char* name, int family, int level, int option, const char* config) {
    return Operation{name, {"USER-04", "USER-07"}, From::kInside, kNetAdmin, Effect::kNone, [=](World&) { return ReplaceTable(family, level, option); }, {}, config};
  };
  return {
      // Creating and entering.
      {"CreateByUnshare", {"CREATE-18", "USER-02"}, kHome, kSysAdminHome, Effect::kNone,
       [](W) -> Status {
         if (::unshare(CLONE_NEWNET) < 0) return ErrnoError("unshare(CLONE_NEWNET)");
         return Ok();
       }},
      // unshare(2): what is no namespace needs no privilege to be unshared.
      {"UnshareNoNamespace", {"CREATE-18"}, kHome, kEverybody, Effect::kNone,
       [](W) -> Status {
         if (::unshare(CLONE_FILES | CLONE_FS) < 0) return ErrnoError("unshare(CLONE_FILES | CLONE_FS)");
         return Ok();
       }},
      {"CreateByClone", {"CREATE-18", "USER-02"}, kHome, kSysAdminHome, Effect::kNone,
       [](W) { return Discard(Actor::TryStart("clone", CLONE_NEWNET)); }},
      {"EnterByADescriptor", {"CREATE-19", "USER-05", "USER-06"}, kHome, kSysAdmin, Effect::kNone,
       [](W w) { return Enter(w.ns->fd(), CLONE_NEWNET); }},
      {"EnterByAPidfd", {"CREATE-19", "CREATE-20", "USER-05", "USER-06"}, kHome, kSysAdmin, Effect::kNone,
       [](W w) { return Enter(w.member->pidfd(), CLONE_NEWNET); }},
      {"EnterByTheProcPath", {"CREATE-19", "NSFS-07", "USER-06"}, kHome, kSysAdminProc, Effect::kNone,
       [](W w) -> Status {
         ASSIGN_OR_RETURN(Fd fd, Open(w.member->Proc("ns/net"), O_RDONLY));
         return Enter(fd.get(), CLONE_NEWNET);
       }},
      {"EnterByABindMountsPath", {"CREATE-19", "USER-05", "USER-06"}, kHome, kSysAdmin, Effect::kNone,
       [](W) -> Status {
         ASSIGN_OR_RETURN(Fd fd, Open(kMounted, O_RDONLY));
         return Enter(fd.get(), CLONE_NEWNET);
       },
       BindMountIt},
      {"EnterTogetherWithItsOwner", {"CREATE-20", "USER-05"}, kHome, kTogether, Effect::kNone,
       [](W w) { return Enter(w.member->pidfd(), CLONE_NEWUSER | CLONE_NEWNET); }},

      // Devices across the border.
      {"MoveADeviceInByDescriptor", {"USER-10"}, kHome, kNetAdmin, Effect::kMade,
       Request_([](R r, W w) { return r.MoveLink("made", ByFd(w.ns->fd())); }), PutADeviceAtHome, "VETH"},
      {"MoveADeviceInByPid", {"USER-10"}, kHome, kNetAdmin, Effect::kMade,
       Request_([](R r, W w) { return r.MoveLink("made", ByPid(w.member->pid())); }), PutADeviceAtHome, "VETH"},
      {"MoveADeviceInByNsid", {"USER-10"}, kHome, kNetAdmin, Effect::kMade,
       Request_([](R r, W) { return r.MoveLink("made", ByNsid(kNsid)); }),
       [](W w) { PutADeviceAtHome(w), GiveItAnIdAtHome(w); }, "VETH"},
      {"MoveADeviceOut", {"USER-10", "USER-11"}, kInside, kNetAdmin, Effect::kTaken,
       Request_([](R r, W w) { return r.MoveLink("taken", ByFd(w.home->fd())); }), PutADeviceIntoIt, "VETH"},
      {"MoveADeviceOutByASocketOfRoots", {"USER-11", "USER-27"}, kHome, kNetAdmin, Effect::kTaken,
       [](W w) { return w.root().MoveLink("taken", ByFd(w.home->fd())); }, PutADeviceIntoIt, "VETH"},
      {"MoveADeviceOutByABareSendOverASocketOfRoots", {"USER-11", "USER-27"}, kHome, kNetAdmin, Effect::kTaken,
       [](W w) {
         return AckOfBareSend(w.root().socket().fd(), Request(RTM_NEWLINK).Header(ifinfomsg{}).Text(IFLA_IFNAME, "taken").Fd(IFLA_NET_NS_FD, w.home->fd()).Named("move 'taken'"));
       },
       PutADeviceIntoIt, "VETH"},
      {"CreateALinkThereByDescriptor", {"USER-13"}, kHome, kNetAdmin, Effect::kMade,
       Request_([](R r, W w) { return r.AddLink({.name = "made", .kind = "veth", .netns_fd = w.ns->fd()}); }), {}, "VETH"},
      {"CreateALinkThereByPid", {"USER-13"}, kHome, kNetAdmin, Effect::kMade,
       Request_([](R r, W w) { return r.AddLink({.name = "made", .kind = "veth", .netns_pid = w.member->pid()}); }), {}, "VETH"},
      {"CreateALinkThereByNsid", {"USER-13"}, kHome, kNetAdmin, Effect::kMade,
       Request_([](R r, W) { return r.AddLink({.name = "made", .kind = "veth", .target_nsid = kNsid}); }), GiveItAnIdAtHome, "VETH"},
      {"CreateALinkOnADeviceThere", {"USER-13"}, kHome, kNetAdmin, Effect::kAtHome,
       Request_([](R r, W w) {
         return r.AddLink({.name = "made", .kind = "vlan", .link = IndexOfIts0(w), .link_netnsid = kNsid,
                           .data = [](Request& q) { q.U16(1 /* IFLA_VLAN_ID */, 10); }});
       }),
       GiveItAnIdAtHome, "VLAN_8021Q"},
      {"CreateAVethPeerThere", {"USER-12"}, kHome, kNetAdmin, Effect::kMade,
       Request_([](R r, W w) { return r.AddVeth("near", PeerSpec{.name = "made", .netns_fd = w.ns->fd()}); }), {}, "VETH", nullptr, true},
      {"CreateAVxcanPeerThere", {"USER-12"}, kHome, kNetAdmin, Effect::kMade,
       Request_([](R r, W w) { return r.AddLink({.name = "near", .kind = "vxcan", .peer = PeerSpec{.name = "made", .netns_fd = w.ns->fd()}}); }),
       {}, "CAN_VXCAN", nullptr, true},
      {"CreateANetkitPeerThere", {"USER-12"}, kHome, kNetAdmin, Effect::kMade,
       Request_([](R r, W w) { return r.AddLink({.name = "near", .kind = "netkit", .peer = PeerSpec{.name = "made", .netns_fd = w.ns->fd()}}); }),
       {}, "NETKIT", nullptr, true},

      // Administration inside.
      admin("BringALinkUp", [](R r, W) { return r.Up("its0"); }),
      admin("BringLoopbackUp", [](R r, W) { return r.Up("lo"); }),
      admin("RenameADevice", [](R r, W) { return r.Rename("its0", "its1"); }),
      admin("ChangeAnMtu", [](R r, W) { return r.SetLink("its0", {.mtu = 1400}); }),
      admin("ChangeAMacAddress", [](R r, W) { return r.SetLink("its0", {.address = "02:00:00:00:00:77"}); }),
      admin("AddAnAltname", [](R r, W) { return r.AddAltname("its0", "itsalt"); }),
      admin("DeleteADevice", [](R r, W) { return r.DeleteLink("its0"); }),
      admin("AddALink", [](R r, W) { return r.AddVeth("its2", "its3"); }),
      admin("AddAnIpv4Address", [](R r, W) { return r.AddAddress("192.0.2.1/24", "its0"); }),
      admin("AddAnIpv4Route", [](R r, W) { return r.AddRoute({.to = "198.51.100.0/24", .dev = "its0"}); },
            [](W w) { SETUP_OK(w.root().Up("its0")); }),
      admin("AddAnIpv4Rule", [](R r, W) { return r.AddRule({.family = AF_INET, .priority = 77, .from = "192.0.2.0/24"}); }),
      admin("AddANeighbour", [](R r, W) { return r.AddNeighbour({.to = "192.0.2.3", .address = "02:00:00:00:00:03", .dev = "its0"}); }),
      admin("AddAQdisc", [](R r, W) { return r.AddQdisc("its0", "pfifo", 0xFFFFFFFFu /* TC_H_ROOT */, 0x10000); }),
      by_ioctl("SetFlagsByIoctl", SetFlagsByIoctl),
      by_ioctl("SetAnAddressByIoctl", SetAddressByIoctl),
      by_ioctl("SetAnMtuByIoctl", SetMtuByIoctl),
      by_ioctl("RenameByIoctl", RenameByIoctl),
      by_ioctl("AddARouteByIoctl", AddRouteByIoctl, nullptr, [](W w) { SETUP_OK(w.root().Up("its0")); }),
      by_ioctl("AddANeighbourByIoctl", AddNeighbourByIoctl),
      by_ioctl("AddAVlanByIoctl", AddVlanByIoctl, "VLAN_8021Q"),
      by_ioctl("AddABridgeByIoctl", AddBridgeByIoctl, "BRIDGE"),
      {"AddAnIpv6AddressByIoctl", {"USER-04", "USER-07"}, kInside, kNetAdmin, Effect::kState, [](W w) { return AddIpv6AddressByIoctl(w); }, {}, "IPV6"},
      {"SetAFeatureByIoctl", {"USER-07"}, kInside, kNetAdmin, Effect::kNone, [](W) { return SetFeatureByIoctl(); }, {}, "VETH"},
      replace("ReplaceAnIptablesTable", AF_INET, SOL_IP, 64 /* IPT_SO_SET_REPLACE */, "IP_NF_FILTER"),
      replace("ReplaceAnIp6tablesTable", AF_INET6, SOL_IPV6, 64 /* IP6T_SO_SET_REPLACE */, "IP6_NF_FILTER"),
      replace("ReplaceAnArptablesTable", AF_INET, SOL_IP, 96 /* ARPT_SO_SET_REPLACE */, "IP_NF_ARPFILTER"),
      replace("ReplaceAnEbtablesTable", AF_INET, SOL_IP, 128 /* EBT_SO_SET_ENTRIES */, "BRIDGE_EBT_T_FILTER"),
      {"FlushIpsecStates", {"USER-07"}, kInside, kNetAdmin, Effect::kNone, [](W) { return FlushIpsecStates(); }, {}, "XFRM_USER"},
      {"ListenToIpsecEvents", {"USER-07"}, kInside, kNetAdmin, Effect::kNone, [](W) { return ListenToIpsecEvents(); }, {}, "XFRM_USER"},
      {"OpenAKeySocket", {"USER-07"}, kInside, kNetAdmin, Effect::kNone, [](W) { return OpenSocket(AF_KEY, SOCK_RAW, 2 /* PF_KEY_V2 */); }, {}, "NET_KEY"},
      {"MakeATunDevice", {"USER-07"}, kInside, kNetAdmin, Effect::kNone, [](W) { return OpenTun(); }, {}, "TUN", nullptr, false, [] { TunFile(); }},

      // Ids of namespaces.
      {"AssignAnNsidInIt", {"NSID-12", "USER-07"}, kInside, kNetAdmin, Effect::kNone,
       Request_([](R r, W w) { return r.NewNsid(ByFd(w.spare->fd())); }), [](W w) { w.spare.emplace(NetNamespace::Create()); }},
      {"GiveItAnNsidAtHome", {"NSID-12"}, kHome, kNetAdminHome, Effect::kNone,
       Request_([](R r, W w) { return r.NewNsid(ByFd(w.ns->fd())); })},
      {"LookAtADeviceThroughAnNsid", {"NSID-05"}, kHome, kByNsid, Effect::kNone,
       Request_([](R r, W) { return Discard(r.GetLink("its0", kNsid)); }), GiveItAnIdAtHome},
      {"ListDevicesThroughAnNsid", {"NSID-05"}, kHome, kByNsid, Effect::kNone,
       Request_([](R r, W) { return Discard(r.Links({.target_nsid = kNsid})); }), GiveItAnIdAtHome},
      {"ListAddressesThroughAnNsid", {"NSID-05"}, kHome, kByNsid, Effect::kNone,
       Request_([](R r, W) { return Discard(r.Addresses({.target_nsid = kNsid})); }), GiveItAnIdAtHome},
      {"AskForAnNsidThroughAnNsid", {"NSID-05"}, kHome, kByNsid, Effect::kNone,
       All({{"one", Request_([](R r, W w) { return Discard(r.GetNsid(ByFd(w.ns->fd()), kNsid)); })},
            {"all", Request_([](R r, W) { return Discard(r.Nsids(kNsid)); })}}), GiveItAnIdAtHome},
      {"DeleteADeviceThroughAnNsid", {"NSID-05", "USER-07"}, kHome, kByNsidAdmin, Effect::kState,
       Request_([](R r, W w) { return r.DeleteLink(IndexOfIts0(w), kNsid); }), GiveItAnIdAtHome},
      {"ListenToAllNsids", {"USER-26"}, kInside, kOtherCap, Effect::kNone, [](W) { return ListenToAll(); }},

      // Sockets and files.
      {"OpenARawSocket", {"USER-08"}, kInside, kOtherCap, Effect::kNone, [](W) { return OpenSocket(AF_INET, SOCK_RAW, IPPROTO_UDP); }, {}, "INET"},
      {"OpenAPacketSocket", {"USER-08"}, kInside, kOtherCap, Effect::kNone,
       [](W) { return OpenSocket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_ALL)); }, {}, "PACKET"},
      {"MountItsSysfs", {"USER-24"}, kInside, kSysAdmin, Effect::kNone, [](W) { return MountSysfs(); }, {}, "SYSFS"},
      {"WriteADeviceAttribute", {"USER-21", "USER-07"}, kHome, kAttribute, Effect::kState,
       [](W) { return WriteFile(std::string(kItsSysfs) + "/class/net/its0/mtu", "1400"); }, ShowItsSysfs, "SYSFS", &kAttribute1},
      {"ReadADeviceAttribute", {"USER-21"}, kHome, kEverybody, Effect::kNone,
       [](W) { return Discard(ReadFile(std::string(kItsSysfs) + "/class/net/its0/mtu")); }, ShowItsSysfs, "SYSFS"},
      {"WriteASysctl", {"USER-04", "USER-20"}, kInside, kNetAdminFile, Effect::kNone,
       [](W) { return WriteFile("/proc/sys/net/ipv4/ip_default_ttl", "65"); }},
      {"WriteADevicesSysctl", {"USER-04", "USER-20"}, kInside, kNetAdminFile, Effect::kNone,
       [](W) { return WriteFile("/proc/sys/net/ipv4/conf/its0/forwarding", "1"); }},
      {"ReadASysctl", {"USER-20"}, kInside, kEverybody, Effect::kNone,
       [](W) { return Discard(ReadFile("/proc/sys/net/ipv4/conf/its0/forwarding")); }},
      {"ListDevicesInside", {"USER-07"}, kInside, kEverybody, Effect::kNone, Request_([](R r, W) { return Discard(r.Links()); })},
      {"ReadProcNetOfAMember", {"PROC-02"}, kHome, kEverybody, Effect::kNone,
       [](W w) -> Status {
         ASSIGN_OR_RETURN(std::string text, ReadFile(w.member->Proc("net/dev")));
         EXPECT_NE(text.find("its0:"), std::string::npos) << "/proc/PID/net/dev is not that of the member's namespace:\n" << text;
         return Ok();
       }},
      {"OpenTheNsFileOfAMember", {"NSFS-07"}, kHome, kOtherCapFile, Effect::kNone,
       [](W w) { return Discard(Open(w.member->Proc("ns/net"), O_RDONLY)); }},
      // PIDFD_GET_NET_NAMESPACE(2const): governed by a ptrace access mode PTRACE_MODE_READ_FSCREDS check, as the file
      {"AskAPidfdForTheNamespace", {"NSFS-07"}, kHome, kOtherCapFile, Effect::kNone,
       [](W w) { return NamespaceOfPidfd(w.member->pidfd()); }, {}, nullptr, nullptr, false,
       [] {
         Actor self = Actor::Start("member");
         if (NamespaceOfPidfd(self.pidfd()).code() == ENOTTY || NamespaceOfPidfd(self.pidfd()).code() == EINVAL)
           throw MissingNeed("needs-feature:PIDFD_GET_NET_NAMESPACE", "PIDFD_GET_NET_NAMESPACE, since Linux 6.11", "", LinuxVersion{6, 11});
       }},
      {"AskForTheOwner", {"NSFS-09", "USER-01"}, kHome, kDescendants, Effect::kNone,
       [](W w) { return Discard(OwnerOf(w.ns->fd())); }, {}, nullptr, &kDescendants1},
      {"AskASocketForItsNamespace", {"NSFS-20"}, kHome, kNetAdmin, Effect::kNone,
       [](W w) -> Status {
         Fd ns(::ioctl(w.root().socket().fd(), SIOCGSKNS));
         if (!ns.valid()) return ErrnoError("ioctl(SIOCGSKNS)");
         return Ok();
       }},
  };
}

// --- its check ----------------------------------------------------------------------------------------------------

/// Whether it has happened; anything halfway is a failure.
bool Happened(const Operation& operation, World& world, const std::string& before) {
  auto at_home = [&](const char* name) { return RtnlIn(*world.home).LinkByName(name).ok(); };
  switch (operation.effect) {
    case Effect::kState: return world.State() != before;
    case Effect::kAtHome: return at_home("made");
    case Effect::kTaken: {
      const bool taken = at_home("taken");
      EXPECT_NE(taken, world.Has("taken")) << "the device is in both namespaces, or in none";
      return taken;
    }
    default: {
      const bool made = world.Has("made");
      EXPECT_FALSE(made && at_home("made")) << "the device is in both namespaces";
      return made;
    }
  }
}

/// Clears away what an operation has left.
void Undo(const Operation& operation, World& world) {
  auto clear = [](Rtnl& rtnl, std::initializer_list<const char*> names) {
    for (const char* name : names)
      if (rtnl.LinkByName(name).ok()) SETUP_OK(rtnl.DeleteLink(name));
  };
  clear(world.root(), {"made", "taken", "peer1"});
  if (world.home) {
    Rtnl home = RtnlIn(*world.home);
    clear(home, {"made", "taken", "near", "rest"});
  }
  if (operation.effect != Effect::kState) return;
  for (const Rule& rule : SETUP_OK(world.root().Rules(AF_INET)))
    if (rule.priority == 77) SETUP_OK(world.root().DeleteRule({.family = AF_INET, .priority = 77, .from = "192.0.2.0/24"}));
  world.Reset();
}

/// How a kernel answers that was built without something.
bool IsLacking(int code) {
  return code == EOPNOTSUPP || code == EAFNOSUPPORT || code == EPROTONOSUPPORT || code == ESOCKTNOSUPPORT || code == ENOPROTOOPT;
}

void CheckCell(const Operation& operation, World& world, Who who) {
  SCOPED_TRACE(std::string(operation.name) + " by " + kNames[who].text);
  const bool inside = operation.from == From::kInside;
  const Rights& rights = operation.one_user != nullptr && !IsRealRoot() ? *operation.one_user : operation.rights;
  const int expected = rights[who];
  if (expected == kEither) return;
  std::optional<Actor> at_home;
  world.home.reset();
  world.socket.Reset();
  Actor actor = world.Start(who, inside);
  if (inside && operation.effect == Effect::kTaken) at_home.emplace(world.Start(who, /*inside=*/false));
  const Actor& resident = at_home ? *at_home : actor;
  world.home.emplace(SETUP_OK(NetNamespace::OfPid(resident.pid())));
  if (operation.prepare) operation.prepare(world);
  const std::string before = operation.effect == Effect::kState ? world.State() : "";
  const Status result = actor.Run([&] { return operation.attempt(world); });
  if (operation.config != nullptr && expected == ok && IsLacking(result.code()))
    throw MissingNeed(std::string("needs-config:") + operation.config, result.error().ToString());
  if (expected == ok) {
    EXPECT_OK(result);
  } else {
    EXPECT_THAT(result, FailsWith(expected));
  }
  if (operation.effect == Effect::kNone) return;
  const bool happened = Happened(operation, world, before);
  EXPECT_EQ(happened, expected == ok) << (expected == ok ? "it succeeded without any effect" : "it was refused, and has happened all the same");
  // To make devices anew takes longer than all the rest: not where nothing has changed.
  if (happened || operation.effect != Effect::kState) Undo(operation, world);
}

}  // namespace

bool RegisterOperations(const std::vector<Operation>& operations, bool with_devices, const char* file, int line) {
  for (const Operation& operation : operations) {
    Covers covers;
    for (const char* id : operation.covers) covers.list.push_back(id);
    Needs needs(UserNs(), Config("VETH"));
    if (operation.config != nullptr && operation.config != std::string("VETH")) needs.list.push_back(Config(operation.config));
    if (operation.cells) {
      for (std::size_t who = 0; who < kActors; ++who)
        RegisterBody("UserRights", std::string(operation.name) + "_" + kNames[who].name, file, line,
                     [=] {
                       if (operation.look) operation.look();
                       World world(with_devices);
                       CheckCell(operation, world, kAncestorRoot);  // control: it can be done
                       CheckCell(operation, world, static_cast<Who>(who));
                     },
                     covers, needs);
    } else {
      RegisterBody("UserRights", operation.name, file, line,
                   [=] {
                     if (operation.look) operation.look();
                     World world(with_devices);
                     for (std::size_t who = 0; who < kActors; ++who) CheckCell(operation, world, static_cast<Who>(who));
                   },
                   covers, needs);
    }
  }
  return true;
}

namespace {
const bool registered = RegisterOperations(Operations(), /*with_devices=*/true, __FILE__, __LINE__);
}  // namespace
}  // namespace netns::rights
