// SPDX-License-Identifier: GPL-2.0-or-later
// VIRT: CAN. Jobs of cangw(1) are those of one namespace, and a pair of vxcan carries every kind of frame from one to another.
#include <linux/can.h>
#include <linux/can/gw.h>
#include <linux/can/raw.h>

#include "fixtures/sockets.h"
#include "fixtures/topology.h"
#include "suites/support/between.h"

namespace netns {
namespace {

using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

/// A raw socket of one device that gets and sends all kinds of frames that its kernel has.
Fd CanSocket(Place& at, const std::string& device) {
  auto made = at.ns.Socket(AF_CAN, SOCK_RAW, CAN_RAW);
  if (!made.ok()) RequireBuiltIn(made.error(), "CAN");
  Fd socket = SETUP_OK(std::move(made));
  SETUP_OK(SetSockOpt(socket, SOL_CAN_RAW, CAN_RAW_FD_FRAMES, 1));
  (void)SetSockOpt(socket, SOL_CAN_RAW, 7 /* CAN_RAW_XL_FRAMES */, 1).ok();
  sockaddr_can address{};
  address.can_family = AF_CAN;
  address.can_ifindex = SETUP_OK(at->LinkByName(device)).index;
  if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0)
    throw SetupFailure(ErrnoError("bind of a CAN socket").ToString(), std::source_location::current());
  return socket;
}
std::string Classic(canid_t id) {
  can_frame frame{};
  frame.can_id = id;
  frame.can_dlc = 3;
  std::memcpy(frame.data, "abc", 3);
  return {reinterpret_cast<const char*>(&frame), sizeof frame};
}

// --- cangw ------------------------------------------------------------------------------------------------------------

Request Job(std::uint16_t type, std::uint32_t from, std::uint32_t to) {
  Request request(type, type == RTM_NEWROUTE ? NLM_F_CREATE | NLM_F_EXCL : 0);
  request.Named("a job of cangw from " + std::to_string(from) + " to " + std::to_string(to));
  // With an echo, as other sockets of a virtual device get what is sent by it.
  request.Header(rtcanmsg{.can_family = AF_CAN, .gwtype = CGW_TYPE_CAN_CAN, .flags = CGW_FLAGS_CAN_ECHO});
  return request.U32(CGW_SRC_IF, from).U32(CGW_DST_IF, to);
}
/// "cangw -L": how many frames each job has handled.
std::vector<std::uint32_t> Jobs(Place& at) {
  std::vector<std::uint32_t> handled;
  Request dump(RTM_GETROUTE);
  for (const Message& message : SETUP_OK(at->socket().Dump(dump.Named("list the jobs of cangw").Header(rtcanmsg{.can_family = AF_CAN}))))
    handled.push_back(message.AttributesAfter<rtcanmsg>().U32(CGW_HANDLED).value_or(0));
  return handled;
}
constexpr int kFrom = 64211, kTo = 64212;
// cangw(1): "-A", "-D", "-F", "-L": of the namespace of the one who asks.
void JobsAreSeparate(Place& owner, Place& other) {
  Undo undo([&] {
    for (Place* place : {&owner, &other})
      for (const char* name : {"nscan0", "nscan1"}) (void)(*place)->DeleteLink(name).ok();  // their jobs go with them
  });
  for (Place* place : {&owner, &other})
    for (auto [name, index] : {std::pair("nscan0", kFrom), std::pair("nscan1", kTo)}) {
      Status added = (*place)->AddLink({.name = name, .kind = "vcan", .index = index});
      RequireBuiltIn(added, "CAN_VCAN");
      SETUP_OK(std::move(added));
      SETUP_OK((*place)->Up(name));
    }
  const auto job = [&](Place& at, std::uint16_t type, int from = kFrom, int to = kTo) {
    return at->socket().Ack(Job(type, static_cast<std::uint32_t>(from), static_cast<std::uint32_t>(to)));
  };
  const auto flush = [&](Place& at) { return job(at, RTM_DELROUTE, 0, 0); };
  const Status first = job(owner, RTM_NEWROUTE);
  if (first.code() == EOPNOTSUPP || first.code() == EINVAL) throw MissingNeed("needs-config:CAN_GW", "no job of cangw can be made: " + first.error().ToString());
  ASSERT_OK(first);
  EXPECT_THAT(Jobs(owner), SizeIs(1)) << "control";
  EXPECT_THAT(Jobs(other), IsEmpty()) << "cangw(1) -L: a job of another namespace is listed";
  // A frame on the one device of each: only one namespace has somebody who passes it on.
  const auto passes = [&](Place& at, canid_t id) {
    const Fd in = CanSocket(at, "nscan0"), here = CanSocket(at, "nscan0"), out = CanSocket(at, "nscan1");
    // The second is a fence: it is on the bus behind what became of the first.
    for (int i = 0; i < 2; ++i) {
      SETUP_OK(Send(in, Classic(id)));
      EXPECT_THAT(Receive(here), Holds(testing::Field(&Datagram::data, Classic(id)))) << "control: the frame has been on the bus";
    }
    return Readable(out);
  };
  EXPECT_EVENTUALLY("control: a frame to be passed on", [&] { return passes(owner, 0x101); }, Deadline::In(std::chrono::seconds(10)));
  EXPECT_FALSE(passes(other, 0x102)) << "cangw(1): a frame was passed on by a job of another namespace";
  EXPECT_THAT(job(other, RTM_DELROUTE), Not(Succeeds())) << "cangw(1) -D: a job of another namespace";
  EXPECT_THAT(Jobs(owner), SizeIs(1)) << "cangw(1) -D: a job of another namespace was deleted";
  EXPECT_OK(flush(other));
  EXPECT_THAT(Jobs(owner), SizeIs(1)) << "cangw(1) -F: a job of another namespace was deleted";
  // An equal one there.
  EXPECT_OK(job(other, RTM_NEWROUTE)) << "a job of another namespace is in the way";
  EXPECT_THAT(Jobs(other), SizeIs(1));
  EXPECT_THAT(Jobs(owner), SizeIs(1)) << "a job of another namespace is listed";
  EXPECT_EVENTUALLY("a frame to be passed on by the job of the other one", [&] { return passes(other, 0x103); }, Deadline::In(std::chrono::seconds(10)));
  const auto before = Jobs(owner);
  EXPECT_EVENTUALLY("a frame to be passed on by the job of the other one", [&] { return passes(other, 0x104); }, Deadline::In(std::chrono::seconds(10)));
  EXPECT_EQ(Jobs(owner), before) << "cangw(1) -L: frames of another namespace were counted";
  EXPECT_OK(job(other, RTM_DELROUTE));
  EXPECT_THAT(Jobs(other), IsEmpty()) << "control";
  EXPECT_THAT(Jobs(owner), SizeIs(1)) << "cangw(1) -D: it was deleted with an equal one of another namespace";
  for (bool by_flush : {true, false}) {
    SETUP_OK(job(other, RTM_NEWROUTE));
    if (by_flush) {
      EXPECT_OK(flush(other));
    } else {
      SETUP_OK(other->DeleteLink("nscan1"));
    }
    EXPECT_THAT(Jobs(other), IsEmpty()) << "control";
    EXPECT_THAT(Jobs(owner), SizeIs(1)) << (by_flush ? "cangw(1) -F: jobs of another namespace were deleted" : "the end of a device with the same number ended a job of another namespace");
  }
  EXPECT_EVENTUALLY("a frame to be passed on by the job that stays", [&] { return passes(owner, 0x105); }, Deadline::In(std::chrono::seconds(10)));
  EXPECT_OK(job(owner, RTM_DELROUTE)) << "control";
  EXPECT_THAT(Jobs(owner), IsEmpty()) << "control";
}
[[maybe_unused]] const bool jobs = RegisterBetween("Virt", "JobsOfCanGatewaysAreSeparate", "", __FILE__, __LINE__, JobsAreSeparate, Covers("VIRT-22"),
                                                   Needs(Root(), Config("CAN"), Config("CAN_RAW"), Config("CAN_GW"), Config("CAN_VCAN")));

// --- vxcan ------------------------------------------------------------------------------------------------------------

struct Frame {
  const char* name;
  std::uint32_t mtu;
  std::string bytes;
};
std::vector<Frame> Frames() {
  canfd_frame fd{};
  fd.can_id = 0x124;
  fd.len = 64;
  fd.flags = CANFD_BRS | 0x04 /* CANFD_FDF, which younger kernels set */;
  for (unsigned i = 0; i < 64; ++i) fd.data[i] = static_cast<unsigned char>(i);
  // struct canxl_frame: prio, flags, sdt, len, af, data; since Linux 6.2.
  std::string xl(12 + 1500, '\0');
  xl[0] = 0x25;
  xl[1] = 0x01;
  xl[4] = static_cast<char>(0x80);  // CANXL_XLF
  xl[6] = static_cast<char>(1500 & 0xff);
  xl[7] = static_cast<char>(1500 >> 8);
  for (std::size_t i = 12; i < xl.size(); ++i) xl[i] = static_cast<char>(i);
  can_frame remote{};
  remote.can_id = 0x125 | CAN_RTR_FLAG;
  remote.can_dlc = 8;
  return {{"Classic", CAN_MTU, Classic(0x123)},
          {"Extended", CAN_MTU, Classic(0x12345678 | CAN_EFF_FLAG)},
          {"RemoteRequest", CAN_MTU, {reinterpret_cast<const char*>(&remote), sizeof remote}},
          {"ClassicBesideFlexible", CANFD_MTU, Classic(0x126)},
          {"Flexible", CANFD_MTU, {reinterpret_cast<const char*>(&fd), sizeof fd}},
          {"Extra", 2060 /* CANXL_MAX_MTU */, xl}};
}
// Documentation/networking/can.rst: what is sent at one end of the pair comes out at the other, wherever that is.
void FrameCrosses(const Frame& frame) {
  Place a, b;
  Place nested = Place::Inside(a);
  // Within one namespace (control), between two, and by an end that has moved.
  for (auto [name, near, far] : {std::tuple("nsvx0", &a, &a), std::tuple("nsvx1", &a, &b), std::tuple("nsvx2", &nested, &b)}) {
    const std::string peer = std::string(name) + "p", way = near == far ? "within one namespace" : "from one namespace to another";
    Place& birth = near == &nested ? a : *near;
    Status added = birth->AddLink({.name = name, .kind = "vxcan", .peer = PeerSpec{.name = peer, .netns_fd = far->fd()}});
    RequireBuiltIn(added, "CAN_VXCAN");
    SETUP_OK(std::move(added));
    if (near == &nested) SETUP_OK(a->MoveLink(name, nested.ref()));
    for (auto [place, end] : {std::pair(near, std::string(name)), std::pair(far, peer)}) {
      if (frame.mtu != CAN_MTU) {
        const Status set = (*place)->SetLink(end, {.mtu = frame.mtu});
        if (frame.mtu == 2060 && set.code() == EINVAL) throw MissingNeed("needs-feature:can-xl", "vxcan knows no CAN XL", "use Linux 6.2 or later", LinuxVersion{6, 2});
        SETUP_OK(Status(set));
      }
      SETUP_OK((*place)->Up(end));
    }
    // What is sent before is lost. (A new device counts as running until the kernel has looked at its carrier.)
    for (auto [place, end] : {std::pair(near, std::string(name)), std::pair(far, peer)}) SETUP_OK(WaitUntilUp(place->ns, end));
    const Fd here = CanSocket(*near, name), there = CanSocket(*far, peer);
    ASSERT_OK(Send(here, frame.bytes)) << way;
    EXPECT_THAT(Receive(there, Deadline::In(std::chrono::seconds(10))), Holds(testing::Field(&Datagram::data, frame.bytes))) << "can.rst: the frame was lost or changed " << way;
    ASSERT_OK(Send(there, frame.bytes)) << way;
    EXPECT_THAT(Receive(here, Deadline::In(std::chrono::seconds(10))), Holds(testing::Field(&Datagram::data, frame.bytes))) << "can.rst: the frame was lost or changed back " << way;
    for (auto [place, end] : {std::pair(near, std::string(name)), std::pair(far, peer)})
      EXPECT_EQ(SETUP_OK((*place)->LinkByName(end)).stats.tx_dropped, 0u) << "frames were dropped " << way;
  }
}
[[maybe_unused]] const bool frames = [] {
  for (const Frame& frame : Frames())
    RegisterBody("Virt", std::string("FramesCrossFromOneNamespaceToAnother/") + frame.name, __FILE__, __LINE__, [frame] { FrameCrosses(frame); }, Covers("VIRT-22"),
                 Needs(Config("CAN"), Config("CAN_RAW"), Config("CAN_VXCAN")));
  return true;
}();

}  // namespace
}  // namespace netns
