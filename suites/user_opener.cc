// SPDX-License-Identifier: GPL-2.0-or-later
// USER: a link request may name a second namespace: the one where the device shall be, or the one of the device below. The right
// over that one is asked of both, too: of whoever opened the netlink socket and of whoever sends.
#include "fixtures/user_namespace.h"
#include "suites/support/bare_send.h"
#include "suites/support/between.h"

namespace netns {
namespace {

using testing::AnyOf;

constexpr int kId = 12;
constexpr const char *kMade = "nsconf-made", *kLower = "nsconf-low";

/// One way to name the other namespace, in a request of one kind.
struct Way {
  const char *name, *symbol;
  /// The request; `member` is a process in the other namespace.
  std::function<Request(Place& there, Actor& member)> request;
  enum class Effect { kMadeThere, kMovedThere, kMadeHere, kDeletedThere } effect;
};

Request& PutKind(Request& request, const char* kind, const More& data = {}) {
  return request.Nest(IFLA_LINKINFO, [&](Request& info) {
    info.Text(IFLA_INFO_KIND, kind);
    if (data) info.Nest(IFLA_INFO_DATA, data);
  });
}
const std::vector<Way>& Ways() {
  using Effect = Way::Effect;
  static const auto create = [] {
    Request request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    request.Named("create a link elsewhere").Header(ifinfomsg{}).Text(IFLA_IFNAME, kMade);
    return std::move(PutKind(request, "bridge"));
  };
  static const auto move = [](std::uint16_t type) { return std::move(Request(type).Named("move a link").Header(ifinfomsg{}).Text(IFLA_IFNAME, kMade)); };
  static const std::vector<Way> ways = {
      {"CreateByDescriptor", "BRIDGE", [](Place& there, Actor&) { return std::move(create().Fd(IFLA_NET_NS_FD, there.fd())); }, Effect::kMadeThere},
      {"CreateByPid", "BRIDGE", [](Place&, Actor& member) { return std::move(create().S32(IFLA_NET_NS_PID, member.pid())); }, Effect::kMadeThere},
      {"CreateById", "BRIDGE", [](Place&, Actor&) { return std::move(create().S32(IFLA_TARGET_NETNSID, kId)); }, Effect::kMadeThere},
      {"MoveByDescriptor", "VETH", [](Place& there, Actor&) { return std::move(move(RTM_NEWLINK).Fd(IFLA_NET_NS_FD, there.fd())); }, Effect::kMovedThere},
      {"MoveByPid", "VETH", [](Place&, Actor& member) { return std::move(move(RTM_NEWLINK).S32(IFLA_NET_NS_PID, member.pid())); }, Effect::kMovedThere},
      {"MoveById", "VETH", [](Place&, Actor&) { return std::move(move(RTM_NEWLINK).S32(IFLA_TARGET_NETNSID, kId)); }, Effect::kMovedThere},
      {"SetByDescriptor", "VETH", [](Place& there, Actor&) { return std::move(move(RTM_SETLINK).Fd(IFLA_NET_NS_FD, there.fd())); }, Effect::kMovedThere},
      {"SetByPid", "VETH", [](Place&, Actor& member) { return std::move(move(RTM_SETLINK).S32(IFLA_NET_NS_PID, member.pid())); }, Effect::kMovedThere},
      {"SetById", "VETH", [](Place&, Actor&) { return std::move(move(RTM_SETLINK).S32(IFLA_TARGET_NETNSID, kId)); }, Effect::kMovedThere},
      {"CreateOnADeviceThere", "VLAN_8021Q",
       [](Place& there, Actor&) {
         Request request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
         request.Named("create a VLAN on a device elsewhere").Header(ifinfomsg{}).Text(IFLA_IFNAME, kMade);
         request.S32(IFLA_LINK, SETUP_OK(there->LinkByName(kLower)).index).S32(IFLA_LINK_NETNSID, kId);
         return std::move(PutKind(request, "vlan", [](Request& data) { data.U16(IFLA_VLAN_ID, 10); }));
       },
       Effect::kMadeHere},
      {"DeleteById", "VETH",
       [](Place& there, Actor&) {
         ifinfomsg header{};
         header.ifi_index = SETUP_OK(there->LinkByName(kLower)).index;
         return std::move(Request(RTM_DELLINK).Named("delete a link elsewhere").Header(header).S32(IFLA_TARGET_NETNSID, kId));
       },
       Effect::kDeletedThere},
  };
  return ways;
}

void OpenerAndSenderNeedTheRight(const Way& way, Place& there, Place&) {
  using Effect = Way::Effect;
  Actor stranger = StartNamespaceRoot("stranger"), member = there.ns.StartActor("member");
  Place own{SETUP_OK(NetNamespace::OfPid(stranger.pid()))};
  Undo undo([&] {
    for (const char* name : {kMade, kLower}) (void)there->DeleteLink(name).ok();
  });
  SETUP_OK(own->NewNsid(there.ref(), kId));
  AddDevice(there, kLower);
  if (way.effect == Effect::kMovedThere) AddDevice(own, kMade);
  const auto done = [&] {
    switch (way.effect) {
      case Effect::kMadeThere: return there->LinkByName(kMade).ok();
      case Effect::kMovedThere: return there->LinkByName(kMade).ok() || !own->LinkByName(kMade).ok();
      case Effect::kMadeHere: return own->LinkByName(kMade).ok();
      case Effect::kDeletedThere: return !there->LinkByName(kLower).ok();
    }
    return false;
  };
  Rtnl of_the_stranger = SETUP_OK(stranger.Run([] { return Rtnl::Open(); })), &of_root = own.rtnl;
  // All of them may do what they like in the namespace of the socket: control.
  for (Rtnl* rtnl : {&of_the_stranger, &of_root})
    for (bool by_root : {false, true}) {
      Request up(RTM_NEWLINK);
      ifinfomsg header{};
      header.ifi_index = 1;
      header.ifi_change = header.ifi_flags = IFF_UP;
      up.Named("bring lo up").Header(header);
      const auto send = [&] { return AckOfBareSend(rtnl->socket().fd(), up); };
      EXPECT_OK(by_root ? send() : stranger.Run(send)) << "control: of the namespace of the socket both have the right";
    }
  const Request request = way.request(there, member);
  const auto by_send = [&](Rtnl& rtnl) { return AckOfBareSend(rtnl.socket().fd(), request); };
  const auto refused = AnyOf(FailsWith(EPERM), FailsWith(EACCES));
  EXPECT_THAT(by_send(of_the_stranger), refused) << "sent with the right over the other namespace, on a socket that was opened without";
  EXPECT_FALSE(done()) << "it took effect";
  EXPECT_THAT(stranger.Run([&] { return by_send(of_root); }), refused) << "sent without the right over the other namespace, on a socket that was opened with it";
  EXPECT_FALSE(done()) << "it took effect";
  EXPECT_THAT(stranger.Run([&] { return by_send(of_the_stranger); }), refused) << "neither";
  EXPECT_FALSE(done()) << "it took effect";
  const Status both = by_send(of_root);
  if (both.code() == EOPNOTSUPP) RequireBuiltIn(both, way.symbol);
  EXPECT_OK(both) << "control: both have the right";
  EXPECT_TRUE(done()) << "control: this is how it is seen";
  if (way.effect == Effect::kMadeHere) SETUP_OK(own->DeleteLink(kMade));
}
const bool registered = [] {
  for (const Way& way : Ways())
    RegisterBetween("User", "OpenerAndSenderNeedTheRightOverTheNamespaceNamed", way.name, __FILE__, __LINE__,
                    [&way](Place& there, Place& other) { OpenerAndSenderNeedTheRight(way, there, other); }, Covers("USER-27", "USER-10", "USER-13"),
                    Needs(Config("VETH"), Config(way.symbol), UserNs()));
  return true;
}();

}  // namespace
}  // namespace netns
