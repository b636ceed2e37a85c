// SPDX-License-Identifier: GPL-2.0-or-later
// VIRT: CAN. Jobs of cangw(1) are those of one namespace, a pair of vxcan carries every kind of frame from one to another, and
// sockets of each kind get no other frames than those of their namespace.
#include <linux/can.h>
#include <linux/can/bcm.h>
#include <linux/can/error.h>
#include <linux/can/gw.h>
#include <linux/can/isotp.h>
#include <linux/can/j1939.h>
#include <linux/can/raw.h>
#include <linux/if_ether.h>
#include <poll.h>

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

// --- Sockets of each kind ---------------------------------------------------------------------------------------------

enum class Bits { kClassic, kFlexible, kExtra };
/// A frame whose data are `data`. CAN XL has no identifier; its priority stands there.
std::string FrameOf(Bits bits, canid_t id, const std::string& data) {
  if (bits == Bits::kClassic) {
    can_frame frame{};
    frame.can_id = id;
    frame.can_dlc = 8;
    data.copy(reinterpret_cast<char*>(frame.data), 8);
    return {reinterpret_cast<const char*>(&frame), sizeof frame};
  }
  if (bits == Bits::kFlexible) {
    canfd_frame frame{};
    frame.can_id = id;
    frame.len = 12;
    frame.flags = 0x04 /* CANFD_FDF, which younger kernels set */;
    data.copy(reinterpret_cast<char*>(frame.data), 12);
    return {reinterpret_cast<const char*>(&frame), sizeof frame};
  }
  std::string xl(12 + 12, '\0');
  std::memcpy(xl.data(), &id, sizeof id);
  xl[4] = static_cast<char>(0x80);  // CANXL_XLF
  xl[6] = 12;
  data.copy(xl.data() + 12, 12);
  return xl;
}

struct Ear {
  std::string what;
  Fd socket;
};
/// Opens what shall hear a frame, on the device of that index or, with 0, on all.
using Open = std::function<std::vector<Ear>(Place&, int index, canid_t id)>;

Fd BoundTo(Place& at, int type, int protocol, const char* symbol, const sockaddr_can& address, bool connects = false, const std::function<void(const Fd&)>& before = {}) {
  auto made = at.ns.Socket(AF_CAN, type, protocol);
  if (!made.ok()) RequireBuiltIn(made.error(), symbol);
  Fd socket = SETUP_OK(std::move(made));
  if (before) before(socket);
  const auto call = connects ? ::connect : ::bind;
  if (call(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) SETUP_OK(Status(ErrnoError(connects ? "connect(AF_CAN)" : "bind(AF_CAN)")));
  return socket;
}
// can.rst: filters by mask, inverted ones, none, and those of error frames. The kernel has a list for each kind.
std::vector<Ear> RawSockets(Place& at, int index, canid_t id) {
  sockaddr_can address{};
  address.can_family = AF_CAN;
  address.can_ifindex = index;
  std::vector<Ear> ears;
  const auto add = [&](const char* what, const std::function<void(const Fd&)>& filter) {
    ears.push_back({what, BoundTo(at, SOCK_RAW, CAN_RAW, "CAN_RAW", address, false, [&](const Fd& socket) {
                      SETUP_OK(SetSockOpt(socket, SOL_CAN_RAW, CAN_RAW_FD_FRAMES, 1));
                      (void)SetSockOpt(socket, SOL_CAN_RAW, 7 /* CAN_RAW_XL_FRAMES */, 1).ok();
                      if (filter) filter(socket);
                    })});
  };
  if (id & CAN_ERR_FLAG) {
    add("a raw socket that asks for errors", [](const Fd& socket) { SETUP_OK(SetSockOpt(socket, SOL_CAN_RAW, CAN_RAW_ERR_FILTER, can_err_mask_t{CAN_ERR_MASK})); });
    return ears;
  }
  const auto filter = [](can_filter wanted) { return [wanted](const Fd& socket) { SETUP_OK(SetSockOpt(socket, SOL_CAN_RAW, CAN_RAW_FILTER, wanted)); }; };
  add("a raw socket of all frames", {});
  add("a raw socket of one identifier", filter({id, CAN_EFF_FLAG | CAN_RTR_FLAG | (id & CAN_EFF_FLAG ? CAN_EFF_MASK : CAN_SFF_MASK)}));
  add("a raw socket with a mask", filter({id, 0x07}));
  add("a raw socket of all but one identifier", filter({(id ^ 1) | CAN_INV_FILTER, CAN_SFF_MASK}));
  return ears;
}
std::vector<Ear> BroadcastManagers(Place& at, int index, canid_t id, bool flexible) {
  sockaddr_can address{};
  address.can_family = AF_CAN;
  address.can_ifindex = index;
  std::vector<Ear> ears;
  ears.push_back({"a broadcast manager", BoundTo(at, SOCK_DGRAM, CAN_BCM, "CAN_BCM", address, true)});
  bcm_msg_head wanted{};
  wanted.opcode = RX_SETUP;
  wanted.flags = RX_FILTER_ID | (flexible ? CAN_FD_FRAME : 0u);
  wanted.can_id = id;
  SETUP_OK(Send(ears[0].socket, {reinterpret_cast<const char*>(&wanted), sizeof wanted}));
  return ears;
}
std::vector<Ear> PacketSockets(Place& at, int index, canid_t) {
  std::vector<Ear> ears;
  ears.push_back({"a packet socket", SETUP_OK(PacketSocket(at.ns, index, ETH_P_ALL))});
  return ears;
}

struct Hearing {
  const char* name;
  std::vector<const char*> configs;
  Bits bits;
  canid_t id;
  Open open;
  bool any = true;               ///< Whether it can be bound to all devices.
  const char* in_front = "";     ///< What the transport has in front of its data.
};
const std::vector<Hearing>& Hearings() {
  static const Open managers = [](Place& at, int index, canid_t id) { return BroadcastManagers(at, index, id, false); };
  static const Open flexible_managers = [](Place& at, int index, canid_t id) { return BroadcastManagers(at, index, id, true); };
  static const Open isotp = [](Place& at, int index, canid_t id) {
    sockaddr_can address{};
    address.can_family = AF_CAN;
    address.can_ifindex = index;
    address.can_addr.tp = {.rx_id = id, .tx_id = 0x321};
    std::vector<Ear> ears;
    ears.push_back({"an ISO-TP socket", BoundTo(at, SOCK_DGRAM, CAN_ISOTP, "CAN_ISOTP", address)});
    return ears;
  };
  static const Open j1939 = [](Place& at, int index, canid_t) {
    sockaddr_can address{};
    address.can_family = AF_CAN;
    address.can_ifindex = index;
    address.can_addr.j1939 = {.name = 0, .pgn = J1939_NO_PGN, .addr = 0x20};
    std::vector<Ear> ears;
    ears.push_back({"a J1939 socket", BoundTo(at, SOCK_DGRAM, CAN_J1939, "CAN_J1939", address)});
    return ears;
  };
  static const std::vector<Hearing> all = {
      {"RawClassic", {"CAN_RAW"}, Bits::kClassic, 0x123, RawSockets},
      {"RawExtended", {"CAN_RAW"}, Bits::kClassic, 0x12345673 | CAN_EFF_FLAG, RawSockets},
      {"RawRemoteRequest", {"CAN_RAW"}, Bits::kClassic, 0x125 | CAN_RTR_FLAG, RawSockets},
      {"RawError", {"CAN_RAW"}, Bits::kClassic, CAN_ERR_CRTL | CAN_ERR_FLAG, RawSockets},
      {"RawFlexible", {"CAN_RAW"}, Bits::kFlexible, 0x126, RawSockets},
      {"RawFlexibleExtended", {"CAN_RAW"}, Bits::kFlexible, 0x12345674 | CAN_EFF_FLAG, RawSockets},
      {"RawExtra", {"CAN_RAW"}, Bits::kExtra, 0x127, RawSockets},
      {"BroadcastManagerClassic", {"CAN_RAW", "CAN_BCM"}, Bits::kClassic, 0x128, managers},
      {"BroadcastManagerExtended", {"CAN_RAW", "CAN_BCM"}, Bits::kClassic, 0x12345675 | CAN_EFF_FLAG, managers},
      {"BroadcastManagerFlexible", {"CAN_RAW", "CAN_BCM"}, Bits::kFlexible, 0x129, flexible_managers},
      {"Isotp", {"CAN_RAW", "CAN_ISOTP"}, Bits::kClassic, 0x12a, isotp, false, "\x07"},  // a single frame of seven bytes
      // Priority 6, PGN 0xef00 (proprietary) to 0x20, from 0x30.
      {"J1939", {"CAN_RAW", "CAN_J1939"}, Bits::kClassic, 0x18ef2030 | CAN_EFF_FLAG, j1939, false},
      {"PacketClassic", {"CAN_RAW", "PACKET"}, Bits::kClassic, 0x12b, PacketSockets},
      {"PacketFlexible", {"CAN_RAW", "PACKET"}, Bits::kFlexible, 0x12c, PacketSockets},
      {"PacketExtra", {"CAN_RAW", "PACKET"}, Bits::kExtra, 0x12d, PacketSockets},
  };
  return all;
}
constexpr int kHeard = 64213;
/// What a socket gets, up to and with the first frame that has `text`, in one string.
std::string HeardUntil(const Ear& ear, const std::string& text) {
  std::string all;
  while (all.find(text) == std::string::npos) {
    // (Not recv(2) with MSG_TRUNC: J1939 sockets refuse it.)
    char bytes[4096];
    const Status readable = WaitFor(ear.socket.get(), POLLIN, Deadline::In(std::chrono::seconds(10)), ear.what + " to hear a frame");
    const ssize_t n = readable.ok() ? ::read(ear.socket.get(), bytes, sizeof bytes) : -1;
    if (n < 0) return all + " [then: " + (readable.ok() ? ErrnoError("read") : readable.error()).ToString() + "]";
    all.append(bytes, static_cast<std::size_t>(n));
  }
  return all;
}
// Documentation/networking/can.rst. Devices of the same name and number are in both namespaces.
void FramesReachSocketsOfTheirNamespace(const Hearing& hearing, Place& owner, Place& other) {
  Undo undo([&] {
    for (Place* place : {&owner, &other}) (void)(*place)->DeleteLink("nscanh").ok();
  });
  for (Place* place : {&owner, &other}) {
    Status added = (*place)->AddLink({.name = "nscanh", .kind = "vcan", .index = kHeard});
    RequireBuiltIn(added, "CAN_VCAN");
    SETUP_OK(std::move(added));
    const std::uint32_t mtu = hearing.bits == Bits::kClassic ? CAN_MTU : hearing.bits == Bits::kFlexible ? CANFD_MTU : 2060 /* CANXL_MAX_MTU */;
    const Status set = (*place)->SetLink("nscanh", {.mtu = mtu});
    if (hearing.bits == Bits::kExtra && set.code() == EINVAL) throw MissingNeed("needs-feature:can-xl", "vcan knows no CAN XL", "use Linux 6.2 or later", LinuxVersion{6, 2});
    SETUP_OK(Status(set));
    SETUP_OK((*place)->Up("nscanh"));
  }
  const Fd from_owner = CanSocket(owner, "nscanh"), from_other = CanSocket(other, "nscanh");
  std::vector<Ear> ours, theirs;
  for (int index : {kHeard, 0}) {
    if (index == 0 && !hearing.any) continue;
    for (auto [place, ears] : {std::pair(&owner, &ours), std::pair(&other, &theirs)})
      for (Ear& ear : hearing.open(*place, index, hearing.id)) {
        ear.what += index == 0 ? " of all devices" : " of the device";
        ears->push_back(std::move(ear));
      }
  }
  const auto send = [&](const Fd& from, const std::string& text) { SETUP_OK(Send(from, FrameOf(hearing.bits, hearing.id, hearing.in_front + text))); };
  send(from_other, "foreign");
  for (const Ear& ear : theirs) EXPECT_THAT(HeardUntil(ear, "foreign"), testing::HasSubstr("foreign")) << "control: " << ear.what;
  send(from_owner, "ownframe");  // the fence: behind what must not come
  for (const Ear& ear : ours) {
    const std::string heard = HeardUntil(ear, "ownfram");
    EXPECT_THAT(heard, testing::HasSubstr("ownfram")) << "control: " << ear.what;
    EXPECT_THAT(heard, Not(testing::HasSubstr("foreign"))) << "can.rst: " << ear.what << " got a frame of another namespace";
  }
  send(from_other, "another");
  for (const Ear& ear : theirs) {
    const std::string heard = HeardUntil(ear, "another");
    EXPECT_THAT(heard, testing::HasSubstr("another")) << "control: " << ear.what;
    EXPECT_THAT(heard, Not(testing::HasSubstr("ownfram"))) << "can.rst: " << ear.what << " got a frame of another namespace";
  }
}
[[maybe_unused]] const bool hearings = [] {
  for (const Hearing& hearing : Hearings()) {
    Needs needs(Config("CAN"), Config("CAN_VCAN"));
    for (const char* symbol : hearing.configs) needs.list.push_back(Config(symbol));
    RegisterBetween("Virt", "CanFramesReachSocketsOfTheirNamespace", hearing.name, __FILE__, __LINE__,
                    [&hearing](Place& owner, Place& other) { FramesReachSocketsOfTheirNamespace(hearing, owner, other); }, Covers("VIRT-22"), needs);
  }
  return true;
}();

}  // namespace
}  // namespace netns
