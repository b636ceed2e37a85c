// SPDX-License-Identifier: GPL-2.0-or-later
// VIRT: devices that belong to a file (tun, tap) or to a socket in the kernel (WireGuard), and the namespace of each.
#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <linux/wireguard.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <memory>

#include "fixtures/sockets.h"
#include "fixtures/topology.h"
#include "fixtures/user_namespace.h"
#include "suites/support/listener.h"
#include "suites/support/place.h"
#include "suites/support/tun.h"
#include "suites/support/uppers.h"

#ifndef TUNGETDEVNETNS
#define TUNGETDEVNETNS _IO('T', 227)
#endif

namespace netns {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

bool HasLink(Place& at, const std::string& name) {
  auto link = at->LinkByName(name);
  if (!link.ok() && link.code() != ENODEV) SETUP_OK(std::move(link));
  return link.ok();
}

// ------------------------------------------------------------------------------------------------------- tun and tap

/// /dev/net/tun, opened by a process of the namespace.
Fd OpenTun(const NetNamespace& in) {
  auto opened = in.OpenIn(TunFile().c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  const int code = opened.code();
  if (code == ENODEV || code == ENXIO)
    throw MissingNeed("needs-config:TUN", "/dev/net/tun cannot be opened: " + opened.error().ToString(), "use a kernel with CONFIG_TUN");
  return SETUP_OK(std::move(opened));
}

Status SetIff(const Fd& tun, const std::string& name, int flags = IFF_TAP | IFF_NO_PI) {
  ifreq request = NamedIfreq(name);
  request.ifr_flags = static_cast<short>(flags);
  return NETNS_IOCTL(tun, TUNSETIFF, request);
}
Status TunIoctl(const Fd& tun, unsigned long call, unsigned long value, const char* text) {
  if (::ioctl(tun.get(), call, value) < 0) return ErrnoError(text);
  return Ok();
}
Result<NetNamespace> NamespaceOf(const Fd& tun, unsigned long call, const char* text) {
  const int fd = ::ioctl(tun.get(), call, 0);
  if (fd < 0) return ErrnoError(text);
  return NetNamespace(Fd(fd));
}
#define NETNS_OF(tun, call) NamespaceOf(tun, call, #call)

// drivers/net/tun.c tun_chr_open(): the namespace is taken when the file is opened.
NETNS_TEST(Virt, ATunDeviceIsMadeWhereItsFileWasOpened, Covers("VIRT-10"), Needs(Config("TUN"))) {
  Place here = Place::Here(), a, b;
  Place nested = Place::Inside(a);
  Actor in_b = b.ns.StartActor("in b");
  for (auto [name, flags] : {std::pair("tap0", IFF_TAP | IFF_NO_PI), std::pair("tun0", IFF_TUN | IFF_NO_PI)}) {
    SCOPED_TRACE(name);
    const Fd by_a = OpenTun(a.ns), by_nested = OpenTun(nested.ns), by_b = OpenTun(b.ns);
    ASSERT_OK(SetIff(by_a, name, flags));
    EXPECT_TRUE(HasLink(a, name)) << "the file was opened in a";
    EXPECT_FALSE(HasLink(here, name)) << "the caller is here";
    EXPECT_FALSE(HasLink(b, name) || HasLink(nested, name));
    ASSERT_OK(in_b.Run([&, n = name, f = flags] { return SetIff(by_nested, n, f); }));
    EXPECT_TRUE(HasLink(nested, name)) << "the file was opened in the nested one, the caller is in b";
    EXPECT_FALSE(HasLink(here, name) || HasLink(b, name));
    ASSERT_OK(in_b.Run([&, n = name, f = flags] { return SetIff(by_b, n, f); }));
    EXPECT_TRUE(HasLink(b, name)) << "control: opened and asked for in b";
    EXPECT_FALSE(HasLink(here, name));
    const Fd by_here = OpenTun(here.ns);
    ASSERT_OK(SetIff(by_here, name, flags));
    EXPECT_TRUE(HasLink(here, name)) << "control: opened and asked for here";
    EXPECT_THAT(SetIff(OpenTun(a.ns), name, flags), FailsWith(EBUSY)) << "control: the name is taken in that namespace";
  }
  EXPECT_FALSE(HasLink(a, "tap0") || HasLink(here, "tun0") || HasLink(b, "tap0")) << "gone with their files";
}

// An existing device is looked up there, too.
NETNS_TEST(Virt, AFileAttachesToTheDeviceOfItsNamespace, Covers("VIRT-10"), Needs(Config("TUN"))) {
  Place a, b;
  for (Place* place : {&a, &b}) {
    const Fd tun = OpenTun(place->ns);
    SETUP_OK(SetIff(tun, "tap0"));
    SETUP_OK(TunIoctl(tun, TUNSETPERSIST, 1, "TUNSETPERSIST"));
  }
  SETUP_OK(b->SetLink("tap0", {.address = "02:00:00:00:00:0b"}));
  const Fd tun = OpenTun(b.ns);
  Actor in_a = a.ns.StartActor("in a");
  ASSERT_OK(in_a.Run([&] { return SetIff(tun, "tap0"); }));
  ifreq request{};
  ASSERT_OK(NETNS_IOCTL(tun, SIOCGIFHWADDR, request));
  EXPECT_EQ(static_cast<unsigned char>(request.ifr_hwaddr.sa_data[5]), 0x0b) << "the one of the namespace of the file";
  ASSERT_OK_AND_ASSIGN(auto of_file, NETNS_OF(tun, SIOCGSKNS));
  EXPECT_TRUE(of_file.Is(b.ns)) << "SIOCGSKNS tells the namespace of the file";
  EXPECT_OK(SetIff(OpenTun(a.ns), "tap0")) << "the other one was free";
  EXPECT_THAT(SetIff(OpenTun(b.ns), "tap0"), FailsWith(EBUSY)) << "control: this one is not";
}

/// An Ethernet frame to everybody.
std::string Frame(const std::string& text) {
  std::string frame("\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x99\x88\xb5", 14);
  frame += text;
  frame.resize(60, '\0');
  return frame;
}
Result<std::string> ReadFrame(const Fd& tun, const std::string& text) {
  std::array<char, 4096> buffer{};
  for (;;) {
    RETURN_IF_ERROR(WaitFor(tun.get(), POLLIN, Deadline::OfTest(), "a frame from the tap device"));
    const ssize_t size = ::read(tun.get(), buffer.data(), buffer.size());
    if (size < 0) return ErrnoError("read of the tap device");
    std::string frame(buffer.data(), static_cast<std::size_t>(size));
    if (frame.find(text) != std::string::npos) return frame;  // the rest is IPv6 looking around
  }
}
Status WriteFrame(const Fd& tun, const std::string& text) {
  const std::string frame = Frame(text);
  if (::write(tun.get(), frame.data(), frame.size()) < 0) return ErrnoError("write to the tap device");
  return Ok();
}

NETNS_TEST(Virt, ATapDeviceKeepsItsFileWhenItIsMoved, Covers("VIRT-11"), Needs(Config("TUN"), Config("PACKET"))) {
  Place a, b, c;
  const Fd tun = OpenTun(a.ns), other = OpenTun(a.ns);
  SETUP_OK(SetIff(tun, "tap0"));
  SETUP_OK(SetIff(other, "stays"));
  SETUP_OK(a->Up("stays"));
  auto everything_in_a = PacketSocket(a.ns, 0, 0x88b5);
  if (!everything_in_a.ok()) RequireBuiltIn(everything_in_a.error(), "PACKET");
  for (Place* to : {&b, &c, &a}) {
    SCOPED_TRACE(to == &b ? "in the second namespace" : to == &c ? "in the third" : "back home");
    Place& from = to == &b ? a : to == &c ? b : c;
    ASSERT_OK(from->MoveLink("tap0", to->ref()));
    ASSERT_OK((*to)->Up("tap0"));
    const int index = SETUP_OK((*to)->LinkByName("tap0")).index;
    const Fd there = SETUP_OK(PacketSocket(to->ns, index, 0x88b5));
    ASSERT_OK(WriteFrame(tun, "to the device"));
    ASSERT_OK_AND_ASSIGN(Datagram heard, Receive(there));
    EXPECT_THAT(heard.data, HasSubstr("to the device"));
    EXPECT_EQ(Readable(*everything_in_a), to == &a) << "in the namespace where it was made";
    ASSERT_OK(SendTo(there, Frame("from the device"), PacketOn(index, 0x88b5, "ff:ff:ff:ff:ff:ff")));
    EXPECT_THAT(ReadFrame(tun, "from the device"), Succeeds());
    ASSERT_OK_AND_ASSIGN(auto of_file, NETNS_OF(tun, SIOCGSKNS));
    EXPECT_TRUE(of_file.Is(a.ns)) << "the namespace of the file does not change";
    auto of_device = NETNS_OF(tun, TUNGETDEVNETNS);
    if (of_device.code() == EINVAL || of_device.code() == ENOTTY) continue;  // before Linux 5.7
    ASSERT_OK(of_device);
    EXPECT_TRUE(of_device->Is(to->ns)) << "TUNGETDEVNETNS tells where the device is";
  }
  auto of_other = NETNS_OF(other, TUNGETDEVNETNS);
  if (of_other.ok()) {
    EXPECT_TRUE(of_other->Is(a.ns)) << "control: the one that was not moved";
  }
}

// drivers/net/tun.c tun_chr_write_iter(), tun_chr_read_iter(): each file that was attached to the device, and either kind of device.
NETNS_TEST(Virt, ATapFileGoesBadWithTheNamespaceOfTheDevice, Covers("VIRT-12"), Needs(Config("TUN"))) {
  struct Attached {
    const char* what;
    Fd file;
    bool tap;
  };
  Place a;
  FreedOracle oracle;
  auto b = std::make_unique<Place>(oracle.Create());
  std::vector<Attached> dying, staying;
  for (auto* into : {&dying, &staying}) {
    const bool dies = into == &dying;
    const auto attach = [&](const char* what, const std::string& name, int flags) {
      Fd file = OpenTun(a.ns);
      SETUP_OK(SetIff(file, (dies ? "" : "stays") + name, flags | IFF_NO_PI));
      into->push_back({what, std::move(file), (flags & IFF_TAP) != 0});
    };
    attach("tap", "tap0", IFF_TAP);
    attach("tun", "tun0", IFF_TUN);
    attach("the first queue of a tap", "tapq0", IFF_TAP | IFF_MULTI_QUEUE);
    attach("the second queue of a tap", "tapq0", IFF_TAP | IFF_MULTI_QUEUE);
    for (const std::string name : {"tap0", "tun0", "tapq0"}) {
      if (dies) SETUP_OK(a->MoveLink(name, b->ref()));
      SETUP_OK(dies ? (*b)->Up(name) : a->Up("stays" + name));
    }
  }
  const auto write = [](const Attached& attached) -> Status {
    const std::string packet = attached.tap ? Frame("x") : std::string(1, '\x45') + std::string(59, '\0');
    const ssize_t size = ::write(attached.file.get(), packet.data(), packet.size());
    if (size < 0) return ErrnoError("write to the file");
    return Ok();
  };
  const auto read = [](const Attached& attached) -> Status {
    std::array<char, 4096> buffer{};
    if (::read(attached.file.get(), buffer.data(), buffer.size()) < 0) return ErrnoError("read of the file");
    return Ok();
  };
  for (const Attached& each : dying) EXPECT_OK(write(each)) << "control: " << each.what << ", as long as the namespace of the device lives";
  b.reset();
  ASSERT_OK(oracle.WaitUntilFreed());
  for (const Attached& each : dying) {
    SCOPED_TRACE(each.what);
    EXPECT_THAT(write(each), FailsWith(EBADFD)) << "the device went with its namespace";
    EXPECT_THAT(read(each), FailsWith(EBADFD)) << "the device went with its namespace";
  }
  for (const Attached& each : staying) {
    SCOPED_TRACE(each.what);
    EXPECT_OK(write(each)) << "control: a device of a namespace that lives";
    EXPECT_NE(read(each).code(), EBADFD) << "control: a device of a namespace that lives";
  }
  for (const char* name : {"tap0", "tun0", "tapq0"}) EXPECT_FALSE(HasLink(a, name)) << name << ": the device comes back to where it was made";
}

NETNS_TEST(Virt, APersistentTapDiesWithItsNamespace, Covers("VIRT-13"), Needs(Config("TUN"))) {
  Place here = Place::Here(), parent;
  auto doomed = std::make_unique<Place>(Place::Inside(parent));
  for (auto [name, flags] : {std::pair("tap0", IFF_TAP | IFF_NO_PI), std::pair("tun0", IFF_TUN | IFF_NO_PI)}) {
    const Fd tun = OpenTun(doomed->ns);
    SETUP_OK(SetIff(tun, name, flags));
    SETUP_OK(TunIoctl(tun, TUNSETPERSIST, 1, "TUNSETPERSIST"));
    const Fd passing = OpenTun(doomed->ns);
    SETUP_OK(SetIff(passing, std::string("passing") + name, flags));
  }
  EXPECT_THAT(LinkNames(*doomed), ElementsAre("lo", "tap0", "tun0")) << "control: those that persist outlive their files";
  AddDevice(*doomed, "probe");
  FreedOracle oracle;
  auto fence = oracle.Create();
  doomed.reset();
  (void)fence.Release();
  ASSERT_OK(oracle.WaitUntilFreed());
  EXPECT_THAT(LinkNames(here), Not(Contains(testing::AnyOf("tap0", "tun0"))));
  EXPECT_THAT(LinkNames(parent), ElementsAre("lo"));
}

// drivers/net/tun.c tun_set_iff(), tun_not_capable().
NETNS_TEST(Virt, MakingATunDeviceNeedsRightsOverTheNamespaceOfItsFile, Covers("VIRT-14"), Needs(Config("TUN"), UserNs())) {
  Place a;
  // It has all capabilities in its own user namespace, none over that of `a`.
  Actor container = StartNamespaceRoot("container");
  const NetNamespace inside = SETUP_OK(NetNamespace::OfPid(container.pid()));
  Place its(SETUP_OK(inside.Dup()));
  for (int flags : {IFF_TAP | IFF_NO_PI, IFF_TUN | IFF_NO_PI}) {
    const Fd foreign = OpenTun(a.ns), own = OpenTun(inside);
    EXPECT_THAT(container.Run([&] { return SetIff(foreign, "new0", flags); }), FailsWith(EPERM))
        << "capabilities over the caller's own user namespace are none over that of the file";
    EXPECT_FALSE(HasLink(a, "new0"));
    EXPECT_OK(container.Run([&] { return SetIff(own, "new0", flags); })) << "control: over its own";
    EXPECT_TRUE(HasLink(its, "new0"));
    EXPECT_OK(SetIff(foreign, "new0", flags)) << "control: the same file in the hands of one who has rights";
    EXPECT_TRUE(HasLink(a, "new0"));
    const Fd again = OpenTun(inside);
    EXPECT_OK(SetIff(again, "other0", flags)) << "the owner of the outer user namespace has rights over the inner one";
    Actor nobody = StartUnprivileged("unprivileged");
    const Fd third = OpenTun(a.ns);
    EXPECT_THAT(nobody.Run([&] { return SetIff(third, "new1", flags); }), FailsWith(EPERM));
  }
  // Attaching is for the owner, too.
  {
    const Fd maker = OpenTun(a.ns), other = OpenTun(a.ns);
    SETUP_OK(SetIff(maker, "mine"));
    SETUP_OK(TunIoctl(maker, TUNSETPERSIST, 1, "TUNSETPERSIST"));
    SETUP_OK(TunIoctl(maker, TUNSETOWNER, ::geteuid(), "TUNSETOWNER"));
    if (IsRealRoot()) {  // otherwise there is no other user
      SETUP_OK(SetIff(other, "theirs"));
      SETUP_OK(TunIoctl(other, TUNSETPERSIST, 1, "TUNSETPERSIST"));
      SETUP_OK(TunIoctl(other, TUNSETOWNER, 12345, "TUNSETOWNER"));
    }
  }
  struct OfGroup {
    const char* name;
    bool owned, in_group;
  };
  const OfGroup grouped[] = {{"ourgroup", false, true}, {"minegroup", true, true}, {"othergroup", false, false}, {"mineother", true, false}};
  for (const auto& [name, owned, in_group] : grouped) {
    if (!in_group && !IsRealRoot()) continue;  // there is no other group
    const Fd maker = OpenTun(a.ns);
    SETUP_OK(SetIff(maker, name));
    SETUP_OK(TunIoctl(maker, TUNSETPERSIST, 1, "TUNSETPERSIST"));
    if (owned) SETUP_OK(TunIoctl(maker, TUNSETOWNER, ::geteuid(), "TUNSETOWNER"));
    SETUP_OK(TunIoctl(maker, TUNSETGROUP, in_group ? ::getegid() : 12345, "TUNSETGROUP"));
  }
  const Fd attach = OpenTun(a.ns);
  Actor same = Actor::Start("same user");
  SETUP_OK(EnterNewUserNamespace(same));
  EXPECT_OK(same.Run([&] { return SetIff(attach, "mine"); })) << "its user owns the device";
  for (const auto& [name, owned, in_group] : grouped) {
    if (!in_group && !IsRealRoot()) continue;
    SCOPED_TRACE(name);
    const Fd file = OpenTun(a.ns);
    EXPECT_EQ(same.Run([&, device = name] { return SetIff(file, device); }).code(), in_group ? 0 : EPERM) << "TUNSETGROUP: " << (in_group ? "its group is the device's" : "of another group");
    if (!in_group) {
      EXPECT_OK(SetIff(file, name)) << "control: with rights over the namespace";
    }
  }
  if (IsRealRoot()) {
    const Fd refused = OpenTun(a.ns);
    EXPECT_THAT(same.Run([&] { return SetIff(refused, "theirs"); }), FailsWith(EPERM)) << "of another user";
    EXPECT_OK(SetIff(refused, "theirs")) << "control: with rights over the namespace";
  }
}

// --------------------------------------------------------------------------------------------------------- WireGuard

/// Private keys: any 32 bytes will do.
const std::string kNearKey = std::string(64, '7'), kFarKey = std::string(64, '5');
std::vector<std::byte> Hex(const std::string& text) {
  std::vector<std::byte> bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(std::stoi(text.substr(i, 2), nullptr, 16)));
  return bytes;
}

/// Talks to WireGuard in a namespace.
class WireGuard {
 public:
  explicit WireGuard(const NetNamespace& ns)
      : socket_(SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC))))),
        family_(SETUP_OK(socket_.ResolveFamily("wireguard")).id) {}

  Status Set(const std::string& device, const std::function<void(Request&)>& what) {
    Request request(family_);
    request.Named("configure " + device).Header(genlmsghdr{.cmd = WG_CMD_SET_DEVICE, .version = WG_GENL_VERSION});
    request.Text(WGDEVICE_A_IFNAME, device);
    what(request);
    return socket_.Ack(request);
  }
  Status SetKey(const std::string& device, const std::string& hex) {
    return Set(device, [&](Request& r) { r.Raw(WGDEVICE_A_PRIVATE_KEY, Hex(hex)); });
  }
  Status SetPort(const std::string& device, std::uint16_t port) {
    return Set(device, [&](Request& r) { r.U16(WGDEVICE_A_LISTEN_PORT, port); });
  }
  Result<std::vector<std::byte>> PublicKey(const std::string& device) {
    Request request(family_);
    request.Named("ask " + device).Header(genlmsghdr{.cmd = WG_CMD_GET_DEVICE, .version = WG_GENL_VERSION});
    request.Text(WGDEVICE_A_IFNAME, device);
    ASSIGN_OR_RETURN(auto messages, socket_.Dump(request));
    for (const Message& message : messages)
      if (auto raw = message.AttributesAfter<genlmsghdr>().Raw(WGDEVICE_A_PUBLIC_KEY))
        return std::vector<std::byte>(raw->begin(), raw->end());
    return Error{ENOENT, "the public key of " + device};
  }
  Status SetPeer(const std::string& device, const std::vector<std::byte>& key, const SockAddr& endpoint) {
    return Set(device, [&](Request& r) {
      r.Nest(WGDEVICE_A_PEERS, [&](Request& peers) {
        peers.Nest(0, [&](Request& peer) {
          peer.Raw(WGPEER_A_PUBLIC_KEY, key);
          peer.Raw(WGPEER_A_ENDPOINT, Bytes(reinterpret_cast<const std::byte*>(endpoint.get()), endpoint.length()));
          peer.Nest(WGPEER_A_ALLOWEDIPS, [&](Request& allowed) {
            for (const char* all : {"0.0.0.0", "::"})
              allowed.Nest(0, [&](Request& ip) {
                ip.U16(WGALLOWEDIP_A_FAMILY, *all == ':' ? AF_INET6 : AF_INET);
                PutAddress(ip, WGALLOWEDIP_A_IPADDR, all);
                ip.U8(WGALLOWEDIP_A_CIDR_MASK, 0);
              });
          });
        });
      });
    });
  }

 private:
  NetlinkSocket socket_;
  std::uint16_t family_;
};

void AddWireGuard(Place& at, const std::string& name) {
  Status added = at->AddLink({.name = name, .kind = "wireguard"});
  RequireBuiltIn(added, "WIREGUARD");
  SETUP_OK(std::move(added));
}
/// Whether /proc/net/udp (udp6) of the namespace has a socket on the port.
bool UdpPortInUse(const Place& at, const char* file, std::uint16_t port) {
  char text[8];
  std::snprintf(text, sizeof text, ":%04X ", port);
  return SETUP_OK(at.ns.ReadProcNet(file)).find(text) != std::string::npos;
}

/// A tunnel between `device` in `near` and "wg0" in `far`, which reach each other's outer addresses from elsewhere.
void Introduce(Place& near, const std::string& device, Place& far, const std::string& far_outer, const std::string& near_outer) {
  WireGuard one(near.ns), two(far.ns);
  SETUP_OK(one.SetKey(device, kNearKey));
  SETUP_OK(two.SetKey("wg0", kFarKey));
  SETUP_OK(one.SetPeer(device, SETUP_OK(two.PublicKey("wg0")), Inet(far_outer, 5555)));
  SETUP_OK(two.SetPeer("wg0", SETUP_OK(one.PublicKey(device)), Inet(near_outer, 5555)));
  SETUP_OK(two.SetPort("wg0", 5555));
}
void GiveInner(Place& place, const std::string& device, int host) {
  SETUP_OK(place->Up(device));
  SETUP_OK(place->AddAddress("198.51.100." + std::to_string(host) + "/24", device));
  if (HasIpv6()) SETUP_OK(place->AddAddress("2001:db8:9::" + std::to_string(host) + "/64", device, {.nodad = true}));
}

// drivers/net/wireguard/device.c (creating_net).
void WireGuardSpeaksFromWhereItWasMade(const std::string& near_outer, const std::string& far_outer) {
  Place a, b, c, far;
  AddWireGuard(a, "wg0");
  AddWireGuard(far, "wg0");
  SETUP_OK(VethPair::Between(a.ns, far.ns));
  SETUP_OK(a->MoveLink("wg0", b.ref()));
  Introduce(b, "wg0", far, far_outer, near_outer);
  SETUP_OK(WireGuard(b.ns).SetPort("wg0", 5555));
  GiveInner(far, "wg0", 2);
  EXPECT_FALSE(UdpPortInUse(a, "udp", 5555)) << "control: while the device is down";
  for (Place* at : {&b, &c}) {
    SCOPED_TRACE(at == &b ? "in the second namespace" : "in a third one");
    if (at == &c) SETUP_OK(b->MoveLink("wg0", c.ref()));
    GiveInner(*at, "wg0", 1);
    for (const char* file : {"udp", "udp6"}) {
      if (!HasIpv6() && std::string(file) == "udp6") continue;
      EXPECT_TRUE(UdpPortInUse(a, file, 5555)) << file << ": its socket is where it was made";
      EXPECT_FALSE(UdpPortInUse(b, file, 5555) || UdpPortInUse(c, file, 5555)) << file << ": and not where the device is";
    }
    EXPECT_THAT(UdpBind(a.ns, Inet("0.0.0.0", 5555)), FailsWith(EADDRINUSE));
    EXPECT_THAT(UdpBind(at->ns, Inet("0.0.0.0", 5555)), Succeeds());
    EXPECT_OK(Ping(at->ns, "198.51.100.2", {.deadline = Deadline::In(10s)})) << "through the namespace where it was made";
    if (HasIpv6()) {
      EXPECT_OK(Ping(at->ns, "2001:db8:9::2", {.deadline = Deadline::In(10s)}));
    }
    EXPECT_OK(Ping(far.ns, "198.51.100.1", {.deadline = Deadline::In(10s)}));
  }
  // A port is per namespace of birth.
  AddWireGuard(a, "second");
  AddWireGuard(b, "second");
  SETUP_OK(WireGuard(a.ns).SetPort("second", 5555));
  SETUP_OK(WireGuard(b.ns).SetPort("second", 5555));
  EXPECT_THAT(a->Up("second"), FailsWith(EADDRINUSE)) << "control: the same port where the first one was made";
  EXPECT_OK(b->Up("second")) << "free where the first one once was";
}
NETNS_TEST(Virt, WireGuardSpeaksFromWhereItWasMade, Covers("VIRT-08"), Needs(Config("WIREGUARD"), Config("VETH"))) {
  WireGuardSpeaksFromWhereItWasMade("192.0.2.1", "192.0.2.2");
}
NETNS_TEST(Virt, WireGuardSpeaksFromWhereItWasMadeOverIpv6, Covers("VIRT-08"),
           Needs(Config("WIREGUARD"), Config("VETH"), Config("IPV6"))) {
  WireGuardSpeaksFromWhereItWasMade("2001:db8::1", "2001:db8::2");
}

// drivers/net/wireguard/device.c wg_netns_pre_exit().
NETNS_TEST(Virt, WireGuardOutlivesTheNamespaceWhereItWasMade, Covers("VIRT-09"), Needs(Config("WIREGUARD"), Config("VETH"))) {
  auto a = std::make_unique<Place>();
  Place b, far;
  AddWireGuard(*a, "wg0");
  AddWireGuard(far, "wg0");
  SETUP_OK(VethPair::Between(a->ns, far.ns));
  SETUP_OK((*a)->MoveLink("wg0", b.ref()));
  AddWireGuard(b, "own");
  SETUP_OK(b->Up("own"));
  Introduce(b, "wg0", far, "192.0.2.2", "192.0.2.1");
  SETUP_OK(WireGuard(b.ns).SetPort("wg0", 5555));
  GiveInner(far, "wg0", 2);
  GiveInner(b, "wg0", 1);
  EXPECT_OK(Ping(b.ns, "198.51.100.2")) << "control: while it lives";
  EXPECT_EQ(SETUP_OK(b->LinkByName("wg0")).carrier, true);
  a.reset();
  ASSERT_EVENTUALLY("the device to lose its carrier with the namespace where it was made", [&] {
    const auto link = b->LinkByName("wg0");
    return !link.ok() || !link->carrier.value_or(true);
  });
  ASSERT_TRUE(HasLink(b, "wg0")) << "the device stays";
  EXPECT_EQ(SETUP_OK(b->LinkByName("own")).carrier, true) << "control: one that was made here";
  EXPECT_THAT(Ping(b.ns, "198.51.100.2", {.deadline = Deadline::In(500ms)}), Not(Succeeds()));
  EXPECT_FALSE(UdpPortInUse(b, "udp", 5555)) << "its socket is not opened here instead";
  (void)WireGuard(b.ns).SetPort("wg0", 5556).ok();  // is refused, or has no effect
  EXPECT_FALSE(UdpPortInUse(b, "udp", 5556));
  EXPECT_OK(b->DeleteLink("wg0"));
}

}  // namespace
}  // namespace netns
