// SPDX-License-Identifier: GPL-2.0-or-later
// DEV: XDP programs belong to a device and go with it from namespace to namespace.
#include <linux/if_link.h>

#include "fixtures/bpf.h"
#include "fixtures/sockets.h"
#include "suites/support/place.h"

namespace netns {
namespace {

using testing::Eq;

constexpr std::uint16_t kEthertype = 0x88b5;  // IEEE 802: for local experiments

Status AttachXdp(Place& place, const std::string& device, int program, std::uint32_t mode) {
  return place->SetLink(device, {.more = [&](Request& r) {
    r.Nest(IFLA_XDP, [&](Request& xdp) { xdp.S32(IFLA_XDP_FD, program).U32(IFLA_XDP_FLAGS, mode); });
  }});
}

/// Sends frames to everybody by a device.
void SendFrames(Place& place, const std::string& device, int count, const std::string& text) {
  const int index = SETUP_OK(place->LinkByName(device)).index;
  const Fd socket = SETUP_OK(PacketSocket(place.ns, index, kEthertype));
  std::string frame("\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x99\x88\xb5", 14);
  frame += text + std::string(46, '\0');
  for (int i = 0; i < count; ++i) SETUP_OK(SendTo(socket, frame, PacketOn(index, kEthertype, "ff:ff:ff:ff:ff:ff")));
}
void Running(Place& place, const std::string& name) {
  if (HasIpv6()) SETUP_OK(place.ns.SetSysctl("net/ipv6/conf/" + name + "/disable_ipv6", "1"));  // sends nothing by itself
  SETUP_OK(place->Up(name));
}
void UntilRunning(Place& place, const std::string& name) {
  SETUP_OK(Eventually(name + " to run", [&] { return place->LinkByName(name)->operstate == 6; }));
}

// net/core/dev.c: a program is taken off when the device is unregistered for good, not when it moves.
void ProgramStaysAcrossMoves(std::uint32_t mode) {
  Place a, b, wire;
  Status added = a->AddVeth("east", {.name = "west", .netns_fd = wire.fd()}, {.index = 4500});
  RequireBuiltIn(added, "VETH");
  SETUP_OK(std::move(added));
  Running(a, "east");
  Running(wire, "west");
  UntilRunning(a, "east");
  const Fd count = SETUP_OK(CreateBpfMap(BPF_MAP_TYPE_ARRAY, 8));
  std::uint32_t id = 0;
  {
    const Fd program = SETUP_OK(LoadBpf({BPF_PROG_TYPE_XDP, 0, bpf::CountAndReturn(count, XDP_DROP)}));
    id = SETUP_OK(GetBpfProgramId(program));
    Status attached = AttachXdp(a, "east", program.get(), mode);
    if (attached.code() == EOPNOTSUPP) throw MissingNeed("needs-feature:xdp", "veth takes no XDP program: " + attached.error().ToString());
    SETUP_OK(std::move(attached));
  }
  auto counted = [&] { return SETUP_OK(GetBpfElement(count)); };
  auto expect_at = [&](Place& place, const char* when) {
    SCOPED_TRACE(when);
    EXPECT_EQ(SETUP_OK(place->LinkByName("east")).xdp_program, std::optional(id));
    // The other end lost its carrier by the move, and sends nothing until it has it back, which the kernel sees to later.
    UntilRunning(wire, "west");
    const auto before = counted();
    const Fd sees = SETUP_OK(PacketSocket(place.ns, SETUP_OK(place->LinkByName("east")).index, kEthertype));
    SendFrames(wire, "west", 5, "dropped");
    EXPECT_EVENTUALLY("the program to run for each frame", [&] { return counted() == before + 5; });
    EXPECT_FALSE(Readable(sees)) << "the program drops";
  };
  expect_at(a, "where it was attached");
  for (Place* to : {&b, &a}) {
    Place& from = to == &b ? a : b;
    SETUP_OK(from->MoveLink("east", to->ref()));
    EXPECT_EQ(SETUP_OK((*to)->LinkByName("east")).xdp_program, std::optional(id)) << "right after the move";
    Running(*to, "east");
    UntilRunning(*to, "east");
    expect_at(*to, to == &b ? "after a move" : "after the move back");
  }
  // Detached in the namespace where it is; then frames arrive.
  SETUP_OK(a->MoveLink("east", b.ref()));
  Running(b, "east");
  UntilRunning(b, "east");
  EXPECT_OK(OpenBpfProgram(id)) << "control: the device keeps the program";
  SETUP_OK(AttachXdp(b, "east", -1, mode));
  EXPECT_THAT(SETUP_OK(b->LinkByName("east")).xdp_program.value_or(0), Eq(0u));
  const Fd sees = SETUP_OK(PacketSocket(b.ns, SETUP_OK(b->LinkByName("east")).index, kEthertype));
  UntilRunning(wire, "west");
  SendFrames(wire, "west", 1, "arrives");
  EXPECT_THAT(SETUP_OK(Receive(sees)).data, testing::HasSubstr("arrives")) << "control: without the program";
  EXPECT_EVENTUALLY("the program to be freed", [&] { return OpenBpfProgram(id).code() == ENOENT; });
}
NETNS_TEST(Dev, AnXdpProgramOfTheDriverStaysAcrossMoves, Covers("DEV-41"), Needs(Root(), Config("VETH"), Config("BPF_SYSCALL"), Config("PACKET"))) {
  ProgramStaysAcrossMoves(XDP_FLAGS_DRV_MODE);
}
NETNS_TEST(Dev, AGenericXdpProgramStaysAcrossMoves, Covers("DEV-41"), Needs(Root(), Config("VETH"), Config("BPF_SYSCALL"), Config("PACKET"))) {
  ProgramStaysAcrossMoves(XDP_FLAGS_SKB_MODE);
}

NETNS_TEST(Dev, AnXdpProgramGoesWithItsDevice, Covers("DEV-41"), Needs(Root(), UserNs(), Config("VETH"), Config("BPF_SYSCALL"))) {
  for (const bool by_free : {false, true}) {
    SCOPED_TRACE(by_free ? "the namespace is freed" : "the device is deleted");
    Place a;
    FreedOracle oracle;
    std::optional<Place> b(Place(oracle.Create()));
    const int index = AddDevice(a, "carries");
    std::uint32_t id = 0;
    {
      const Fd program = SETUP_OK(LoadBpf({BPF_PROG_TYPE_XDP, 0, bpf::Return(XDP_PASS)}));
      id = SETUP_OK(GetBpfProgramId(program));
      SETUP_OK(AttachXdp(a, "carries", program.get(), XDP_FLAGS_SKB_MODE));
    }
    SETUP_OK(a->MoveLink(index, b->ref()));
    EXPECT_OK(OpenBpfProgram(id)) << "control: after the move";
    if (!by_free) SETUP_OK((*b)->DeleteLink("carries"));
    b.reset();
    if (by_free) SETUP_OK(oracle.WaitUntilFreed());
    EXPECT_EVENTUALLY("the program to be freed", [&] { return OpenBpfProgram(id).code() == ENOENT; });
  }
}

}  // namespace
}  // namespace netns
