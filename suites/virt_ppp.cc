// SPDX-License-Identifier: GPL-2.0-or-later
// VIRT: PPP units, PPPoE sessions and FOU ports of each namespace.
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/fou.h>
#include <linux/genetlink.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <set>

#include "fixtures/sockets.h"
#include "suites/support/place.h"

// After the C library's headers: in this order they go together.
#include <linux/if_pppox.h>
#include <linux/ppp-ioctl.h>

namespace netns {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// --------------------------------------------------------------------------------------------------------------- PPP

/// /dev/ppp, opened by a process of the namespace.
Fd OpenPpp(const Place& place) {
  static const std::string node = [] {
    if (::access("/dev/ppp", F_OK) == 0) return std::string("/dev/ppp");
    // The number that the kernel has for it (Documentation/admin-guide/devices.txt); opening it asks for the module.
    if (::mknod("/dev/ppp", S_IFCHR | 0600, ::makedev(108, 0)) == 0) return std::string("/dev/ppp");
    throw MissingNeed("needs-config:PPP", ErrnoError("there is no /dev/ppp, and mknod").ToString(), "use a kernel with CONFIG_PPP");
  }();
  auto opened = place.ns.OpenIn(node, O_RDWR);
  if (opened.code() == ENXIO || opened.code() == ENODEV || opened.code() == ENOENT || opened.code() == EACCES)
    throw MissingNeed("needs-config:PPP", "/dev/ppp cannot be opened: " + opened.error().ToString(), "use a kernel with CONFIG_PPP");
  return SETUP_OK(std::move(opened));
}
/// PPPIOCNEWUNIT by a process of the namespace: makes pppN. -1: the first free number.
Result<int> NewUnit(const Place& place, const Fd& ppp, int unit) {
  return place.ns.In([&]() -> Result<int> {
    int number = unit;
    if (::ioctl(ppp.get(), PPPIOCNEWUNIT, &number) < 0) return ErrnoError("ioctl(PPPIOCNEWUNIT)");
    return number;
  });
}

// drivers/net/ppp/ppp_generic.c: units are numbered in each namespace.
NETNS_TEST(Virt, PppUnitsArePerNamespace, Covers("VIRT-21"), Needs(Machine(), Config("PPP"))) {
  Place a, b;
  Place nested = Place::Inside(a);
  const Fd first = OpenPpp(a), second = OpenPpp(a), third = OpenPpp(a);
  ASSERT_OK_AND_ASSIGN(int unit, NewUnit(a, first, -1));
  EXPECT_EQ(unit, 0);
  ASSERT_OK_AND_ASSIGN(unit, NewUnit(a, second, -1));
  EXPECT_EQ(unit, 1) << "control: the next in this namespace";
  EXPECT_THAT(NewUnit(a, third, 1), FailsWith(EEXIST)) << "control: taken in this namespace";
  EXPECT_THAT(LinkNames(a), ElementsAre("lo", "ppp0", "ppp1"));
  for (Place* place : {&b, &nested}) {
    SCOPED_TRACE(place == &b ? "another namespace" : "one created from inside");
    EXPECT_THAT(LinkNames(*place), ElementsAre("lo"));
    Fd ppp = OpenPpp(*place);
    EXPECT_THAT(NewUnit(*place, ppp, 1), Holds(1)) << "the same number";
    EXPECT_THAT(LinkNames(*place), ElementsAre("lo", "ppp1"));
    ppp.Reset();
    EXPECT_THAT(LinkNames(*place), ElementsAre("lo")) << "it goes with its file";
  }
  EXPECT_THAT(LinkNames(a), ElementsAre("lo", "ppp0", "ppp1"));
}

// ------------------------------------------------------------------------------------------------------------- PPPoE

sockaddr_pppox Session(std::uint16_t id, const std::string& device) {
  sockaddr_pppox address{};
  address.sa_family = AF_PPPOX;
  address.sa_protocol = PX_PROTO_OE;
  address.sa_addr.pppoe.sid = htons(id);
  const unsigned char remote[] = {2, 0, 0, 0, 0, 7};
  std::memcpy(address.sa_addr.pppoe.remote, remote, sizeof remote);
  device.copy(address.sa_addr.pppoe.dev, IFNAMSIZ - 1);
  return address;
}
Result<Fd> OpenSession(const Place& place, std::uint16_t id, const std::string& device) {
  auto socket = place.ns.Socket(AF_PPPOX, SOCK_STREAM, PX_PROTO_OE);
  if (!socket.ok()) RequireBuiltIn(socket.error(), "PPPOE");
  const sockaddr_pppox session = Session(id, device);  // packed, and so not aligned as connect(2) has it
  sockaddr_storage address{};
  std::memcpy(&address, &session, sizeof session);
  if (::connect(socket->get(), reinterpret_cast<const sockaddr*>(&address), sizeof session) < 0)
    return ErrnoError("connect(PPPoE session " + std::to_string(id) + " on " + device + ")");
  return std::move(*socket);
}

// drivers/net/ppp/pppoe.c: sessions are per namespace, over devices of the namespace of the socket.
NETNS_TEST(Virt, PppoeSessionsArePerNamespace, Covers("VIRT-21", "PROC-28"), Needs(Config("PPPOE"), Config("VETH"))) {
  Place a, b;
  Place nested = Place::Inside(a);
  for (Place* place : {&a, &b, &nested}) AddDevice(*place, "eth0", {.index = 4600}, true);
  AddDevice(a, "only0", {}, true);
  auto listed = [](const Place& place) {
    std::istringstream lines(SETUP_OK(place.ns.ReadProcNet("pppoe")));
    int count = -1;  // the title
    for (std::string line; std::getline(lines, line);) ++count;
    return count;
  };
  ASSERT_OK_AND_ASSIGN(const Fd first, OpenSession(a, 5, "eth0"));
  EXPECT_THAT(OpenSession(a, 5, "eth0"), FailsWith(EALREADY)) << "control: taken in this namespace";
  ASSERT_OK_AND_ASSIGN(const Fd second, OpenSession(a, 6, "only0"));
  // How many of its own it lists is not the claim: 6.1 passes over some.
  const int own_sessions = listed(a);
  EXPECT_GE(own_sessions, 1) << "control";
  for (Place* place : {&b, &nested}) {
    SCOPED_TRACE(place == &b ? "another namespace" : "one created from inside");
    EXPECT_EQ(listed(*place), 0);
    EXPECT_THAT(OpenSession(*place, 7, "only0"), FailsWith(ENODEV)) << "a device of the other namespace";
    ASSERT_OK_AND_ASSIGN(const Fd own, OpenSession(*place, 5, "eth0"));
    EXPECT_EQ(listed(*place), 1);
    SETUP_OK((*place)->Down("eth0"));  // ends the sessions of the device
  }
  EXPECT_EQ(listed(a), own_sessions) << "the device of that name and number of another namespace was set down";
}

// --------------------------------------------------------------------------------------------------------------- FOU

class Fou {
 public:
  explicit Fou(const Place& place) : socket_(SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(place.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_GENERIC))))) {
    auto found = socket_.ResolveFamily(FOU_GENL_NAME);
    if (!found.ok()) RequireBuiltIn(found.error(), "NET_FOU");
    id_ = SETUP_OK(std::move(found)).id;
  }
  Status Change(std::uint8_t command, std::uint16_t port) {
    Request request = Make(command, "FOU port " + std::to_string(port));
    request.Be16(FOU_ATTR_PORT, port).U8(FOU_ATTR_AF, AF_INET);
    if (command == FOU_CMD_ADD) request.U8(FOU_ATTR_IPPROTO, IPPROTO_IPIP).U8(FOU_ATTR_TYPE, FOU_ENCAP_DIRECT);
    return socket_.Ack(request);
  }
  std::set<std::uint16_t> Ports() {
    std::set<std::uint16_t> ports;
    for (const Message& message : SETUP_OK(socket_.Dump(Make(FOU_CMD_GET, "list the FOU ports"))))
      if (auto port = message.AttributesAfter<genlmsghdr>().U16(FOU_ATTR_PORT)) ports.insert(ntohs(*port));
    return ports;
  }

 private:
  Request Make(std::uint8_t command, const std::string& what) const {
    Request request(id_);
    request.Named(what).Header(genlmsghdr{.cmd = command, .version = FOU_GENL_VERSION});
    return request;
  }
  NetlinkSocket socket_;
  std::uint16_t id_ = 0;
};

// ip-fou(8); net/ipv4/fou_core.c: the list of ports is per namespace.
NETNS_TEST(Virt, FouPortsArePerNamespace, Covers("VIRT-15"), Needs(Root(), Config("NET_FOU"))) {
  Place a, b;
  Place nested = Place::Inside(a);
  Fou in_a(a), in_b(b), in_nested(nested);
  ASSERT_OK(in_a.Change(FOU_CMD_ADD, 5555));
  EXPECT_FALSE(in_a.Change(FOU_CMD_ADD, 5555).ok()) << "control: taken in this namespace";
  ASSERT_OK(in_a.Change(FOU_CMD_ADD, 5556));
  EXPECT_THAT(in_a.Ports(), ElementsAre(5555, 5556)) << "control";
  for (Fou* other : {&in_b, &in_nested}) {
    EXPECT_THAT(other->Ports(), IsEmpty());
    EXPECT_FALSE(other->Change(FOU_CMD_DEL, 5556).ok()) << "a port of another namespace";
    EXPECT_OK(other->Change(FOU_CMD_ADD, 5555));
    EXPECT_THAT(other->Ports(), ElementsAre(5555));
    EXPECT_OK(other->Change(FOU_CMD_DEL, 5555));
    EXPECT_THAT(other->Ports(), IsEmpty());
  }
  EXPECT_THAT(in_a.Ports(), ElementsAre(5555, 5556));
  // The port is a UDP port of the namespace.
  EXPECT_THAT(UdpBind(a.ns, Inet("0.0.0.0", 5555)), FailsWith(EADDRINUSE)) << "control";
  EXPECT_THAT(UdpBind(b.ns, Inet("0.0.0.0", 5555)), Succeeds());
}

}  // namespace
}  // namespace netns
