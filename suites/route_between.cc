// SPDX-License-Identifier: GPL-2.0-or-later
// ROUTE: what is decided by routes when a packet comes in, beside a namespace that has other routes, also the initial one.
#include "fixtures/sockets.h"
#include "suites/support/between.h"

namespace netns {
namespace {

// ip-sysctl.rst, rp_filter: "each incoming packet is tested against the FIB": that of the namespace where it comes in.
void SourcesAreLookedUpWhereAPacketComesIn(Place& owner, Place& receiver) {
  constexpr const char *kSource = "198.18.62.5", *kFile = "net/ipv4/conf/nsconf-v/rp_filter", *kAll = "net/ipv4/conf/all/rp_filter";
  const SockAddr target = Inet("198.18.61.2", 47483);
  Place sender;
  const std::string before = SETUP_OK(receiver.ns.Sysctl(kAll));
  Undo undo([&] {
    (void)receiver.ns.SetSysctl(kAll, before).ok();
    (void)receiver->DeleteLink("nsconf-v").ok();
    (void)owner->DeleteLink("nsconf-r").ok();
  });
  const Status added = receiver->AddVeth("nsconf-v", PeerSpec{.name = "eth0", .netns_fd = sender.fd()}, {.address = "02:00:00:00:61:02"});
  RequireBuiltIn(added, "VETH");
  SETUP_OK(Status(added));
  AddDevice(owner, "nsconf-r", {}, true);
  for (const char* name : {"lo", "eth0"}) SETUP_OK(sender->Up(name));
  for (Place* place : {&owner, &receiver}) SETUP_OK((*place)->Up("lo"));
  SETUP_OK(receiver->Up("nsconf-v"));
  SETUP_OK(sender->AddAddress("198.18.61.1/24", "eth0"));
  SETUP_OK(receiver->AddAddress("198.18.61.2/24", "nsconf-v"));
  SETUP_OK(sender->AddAddress(std::string(kSource) + "/32", "lo"));
  // No question of who has an address, which are validated as well.
  SETUP_OK(sender->AddNeighbour({.to = "198.18.61.2", .address = "02:00:00:00:61:02", .dev = "eth0"}));
  SETUP_OK(Eventually("the wire to carry", [&] {
    const auto link = receiver->LinkByName("nsconf-v");
    return link.ok() && link->running() && link->operstate == 6;  // IF_OPER_UP
  }));
  const Fd stray = SETUP_OK(UdpBind(sender.ns, Inet(kSource))), honest = SETUP_OK(UdpBind(sender.ns, Inet("198.18.61.1"))), server = SETUP_OK(UdpBind(receiver.ns, target));
  const auto arrives = [&] {
    bool seen = false;
    SETUP_OK(SendTo(stray, "stray", target));
    // The fences: datagrams with a source that is reached by this device. The second sets out when the first is there.
    for (int fence = 0; fence < 2; ++fence) {
      SETUP_OK(SendTo(honest, "fence", target));
      for (;;) {
        const std::string got = SETUP_OK(Receive(server)).data;
        if (got == "fence") break;
        seen = true;
      }
    }
    return seen;
  };
  const RouteSpec elsewhere{.to = "198.18.62.0/24", .dev = "nsconf-r"}, back{.to = "198.18.62.0/24", .dev = "nsconf-v"};
  const bool default_route = receiver->GetRoute(kSource).ok();  // then any source will do for 2
  SETUP_OK(receiver.ns.SetSysctl(kAll, "0"));
  for (const char* mode : {"1", "2"}) {
    if (default_route && std::string(mode) == "2") continue;
    SCOPED_TRACE(std::string("rp_filter=") + mode);
    SETUP_OK(receiver.ns.SetSysctl(kFile, "0"));
    EXPECT_TRUE(arrives()) << "control: rp_filter=0";
    SETUP_OK(receiver.ns.SetSysctl(kFile, mode));
    EXPECT_FALSE(arrives()) << "control: no route to the source";
    SETUP_OK(owner->AddRoute(elsewhere));
    EXPECT_FALSE(arrives()) << "ip-sysctl.rst, rp_filter: accepted because of a route that another namespace has to the source";
    SETUP_OK(owner->AddAddress(std::string(kSource) + "/32", "nsconf-r"));
    EXPECT_FALSE(arrives()) << "ip-sysctl.rst, rp_filter: accepted because of an address that another namespace has";
    SETUP_OK(receiver.ns.SetSysctl(kFile, "0"));
    EXPECT_TRUE(arrives()) << "dropped because of an address that another namespace has: there the source would be its own";
    SETUP_OK(receiver.ns.SetSysctl(kFile, mode));
    SETUP_OK(receiver->AddRoute(back));
    EXPECT_TRUE(arrives()) << "control: a route back, by the device that it came in by";
    SETUP_OK(receiver->DeleteRoute(back));
    SETUP_OK(owner->DeleteRoute(elsewhere));
    SETUP_OK(owner->DeleteAddress(std::string(kSource) + "/32", "nsconf-r"));
  }
}
[[maybe_unused]] const bool sources = RegisterBetween("Route", "SourcesAreLookedUpWhereAPacketComesIn", "", __FILE__, __LINE__, SourcesAreLookedUpWhereAPacketComesIn,
                                                      Covers("ROUTE-16"), Needs(Config("VETH")));

}  // namespace
}  // namespace netns
