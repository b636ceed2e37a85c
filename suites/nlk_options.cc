// SPDX-License-Identifier: GPL-2.0-or-later
// NLK: options of a netlink socket (netlink(7), "Socket options"), each of which can be switched on, off and on again; and
// acknowledgements of requests that succeed, which carry no error's text.
#include <linux/if_bridge.h>

#include "fixtures/sockets.h"
#include "suites/support/listener.h"
#include "suites/support/place.h"

#ifndef NETLINK_GET_STRICT_CHK
#define NETLINK_GET_STRICT_CHK 12
#endif

namespace netns {
namespace {

// ------------------------------------------------------------------------------------------------- options

/// One datagram as it came: its messages, and which ancillary data of netlink there was.
struct Datagrams {
  std::vector<Message> messages;
  std::set<int> control;
  int error = 0;  ///< with which reading failed, other than EAGAIN
};
/// All that is there now. The kernel delivers before it acknowledges what it tells of.
Datagrams ReadAll(const Fd& socket) {
  Datagrams all;
  for (;;) {
    std::vector<char> buffer(65536);
    std::array<char, 256> control{};
    iovec part{buffer.data(), buffer.size()};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    const ssize_t size = ::recvmsg(socket.get(), &header, MSG_DONTWAIT);
    if (size < 0 && errno == EAGAIN) return all;
    if (size < 0) {
      all.error = errno;
      continue;  // told once
    }
    std::optional<int> nsid;
    for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item)) {
      if (item->cmsg_level != SOL_NETLINK) continue;
      all.control.insert(item->cmsg_type);
      if (item->cmsg_type == NETLINK_LISTEN_ALL_NSID) std::memcpy(&nsid.emplace(), CMSG_DATA(item), sizeof(int));
    }
    for (std::size_t at = 0; at + sizeof(nlmsghdr) <= static_cast<std::size_t>(size);) {
      nlmsghdr head{};
      std::memcpy(&head, buffer.data() + at, sizeof head);
      if (head.nlmsg_len < sizeof head || at + head.nlmsg_len > static_cast<std::size_t>(size)) break;
      all.messages.emplace_back(std::as_bytes(std::span(buffer)).subspan(at, head.nlmsg_len), nsid);
      at += NLMSG_ALIGN(head.nlmsg_len);
    }
  }
}
void SendRequest(const Fd& socket, const Request& request, std::uint16_t flags) {
  std::string bytes(reinterpret_cast<const char*>(request.bytes().data()), request.bytes().size());
  auto* head = reinterpret_cast<nlmsghdr*>(bytes.data());
  head->nlmsg_flags = static_cast<std::uint16_t>(head->nlmsg_flags | NLM_F_REQUEST | flags);
  SETUP_OK(SendTo(socket, bytes, NetlinkAddress(0)));
}
/// What a request is answered at once (not a dump).
Datagrams Answered(const Fd& socket, const Request& request) {
  SendRequest(socket, request, NLM_F_ACK);
  SETUP_OK(WaitFor(socket.get(), POLLIN, Deadline::OfTest(), "the answer to a request"));
  return ReadAll(socket);
}
Request GetLinkRequest(const char* name) {
  Request get(RTM_GETLINK);
  get.Named("get a link").Header(ifinfomsg{}).Text(IFLA_IFNAME, name);
  return get;
}

/// Something is told in the namespace of the socket, and in another one that has an id there.
struct Scene {
  Place here, other;
  int count = 0;
  void Change(Place& place) {
    SETUP_OK(place->SetLink("nsconf-hub", {.alias = "change " + std::to_string(++count)}));
  }
};
void JoinLinks(const Fd& socket) {
  const int group = RTNLGRP_LINK;
  SETUP_OK(SetSockOpt(socket, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group));
}

struct Option {
  const char* name;
  int number;
  /// Whether the socket acts as with the option. It may have anything to read before.
  std::function<bool(Scene&, const Fd&)> acts;
  std::vector<const char*> covers;
  int since_major = 0, since_minor = 0;  ///< of reading it back
  int off = -1;                          ///< another option that takes it back; else the same with the value 0
  int value = 1;
};
const std::vector<Option>& Options() {
  static const std::vector<Option> options = {
      {"EventsOfOtherNamespaces", NETLINK_LISTEN_ALL_NSID,
       [](Scene& scene, const Fd& socket) {
         JoinLinks(socket);
         (void)ReadAll(socket);
         scene.Change(scene.other);
         scene.Change(scene.here);
         int foreign = 0, own = 0;
         for (const Message& message : ReadAll(socket).messages) (message.nsid() ? foreign : own) += 1;
         EXPECT_GE(own, 1) << "control: events of its own namespace, with and without the option";
         return foreign > 0;
       },
       {"NLK-05", "NLK-06"}},
      // The datagrams of others by their marks, where their ancillary data are forgotten.
      {"EventsOfOtherNamespacesByTheirMarks", NETLINK_LISTEN_ALL_NSID,
       [](Scene& scene, const Fd& socket) {
         JoinLinks(socket);
         (void)ReadAll(socket);
         scene.Change(scene.other);
         bool heard = false;
         for (const Message& message : ReadAll(socket).messages) heard = heard || ReadLink(message).alias == "change " + std::to_string(scene.count);
         return heard;
       },
       {"NLK-05"}},
      {"TheGroupInEachMessage", NETLINK_PKTINFO,
       [](Scene& scene, const Fd& socket) {
         JoinLinks(socket);
         (void)ReadAll(socket);
         scene.Change(scene.here);
         const Datagrams heard = ReadAll(socket);
         EXPECT_FALSE(heard.messages.empty()) << "control: events";
         return heard.control.contains(NETLINK_PKTINFO);
       },
       {"NLK-04"}},
      {"AMembership", NETLINK_ADD_MEMBERSHIP,
       [](Scene& scene, const Fd& socket) {
         (void)ReadAll(socket);
         scene.Change(scene.here);
         return !ReadAll(socket).messages.empty();
       },
       {"NLK-04"}, 0, 0, NETLINK_DROP_MEMBERSHIP, RTNLGRP_LINK},
      {"ShortAcknowledgements", NETLINK_CAP_ACK,
       [](Scene&, const Fd& socket) {
         (void)ReadAll(socket);
         const Datagrams refused = Answered(socket, GetLinkRequest("nsconf-none"));
         EXPECT_EQ(refused.messages.size(), 1u) << "control: the answer";
         return !refused.messages.empty() && refused.messages[0].whole().size() <= NLMSG_HDRLEN + sizeof(nlmsgerr);
       },
       {"NLK-15"}},
      {"TextsOfErrors", NETLINK_EXT_ACK,
       [](Scene&, const Fd& socket) {
         (void)ReadAll(socket);
         Request add(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
         add.Named("add a link of no kind").Header(ifinfomsg{}).Nest(IFLA_LINKINFO, [](Request& info) { info.Text(IFLA_INFO_KIND, "nsconf-no-kind"); });
         const Datagrams refused = Answered(socket, add);
         EXPECT_EQ(refused.messages.size(), 1u) << "control: the answer";
         return !refused.messages.empty() && (refused.messages[0].flags() & NLM_F_ACK_TLVS) != 0;
       },
       {"NLK-15"}},
      {"StrictDumps", NETLINK_GET_STRICT_CHK,
       [](Scene&, const Fd& socket) {
         (void)ReadAll(socket);
         ifinfomsg header{};
         header.ifi_change = 1;  // means nothing in a dump
         Request dump(RTM_GETLINK);
         dump.Named("list links").Header(header);
         SendRequest(socket, dump, NLM_F_DUMP);
         SETUP_OK(WaitFor(socket.get(), POLLIN, Deadline::OfTest(), "a dump"));
         bool refused = false;
         for (bool done = false; !done;) {
           SETUP_OK(WaitFor(socket.get(), POLLIN, Deadline::OfTest(), "the end of a dump"));
           for (const Message& message : ReadAll(socket).messages) {
             done = done || message.type() == NLMSG_DONE || message.type() == NLMSG_ERROR;
             refused = refused || message.type() == NLMSG_ERROR || (message.type() == NLMSG_DONE && message.Header<int>() < 0);
           }
         }
         return refused;
       },
       {"NLK-08"}},
      {"SilenceAboutLostEvents", NETLINK_NO_ENOBUFS,
       [](Scene& scene, const Fd& socket) {
         const int small = 1;
         SETUP_OK(SetSockOpt(socket, SOL_SOCKET, SO_RCVBUF, small));  // the least that there is
         JoinLinks(socket);
         (void)ReadAll(socket);
         for (int i = 0; i < 40; ++i) scene.Change(scene.here);
         return ReadAll(socket).error != ENOBUFS;
       },
       {"NLK-04"}},
  };
  return options;
}

// netlink(7): each option is that of one socket, and may be cleared like any boolean option of socket(7).
void CanBeSwitchedOff(const Option& option) {
  Scene scene;
  Place unknown;  // has no id
  for (Place* place : {&scene.here, &scene.other, &unknown}) {
    AddBridge(*place, "nsconf-hub");
    SETUP_OK((*place)->Up("nsconf-hub"));  // of a device that is down not everything is told
  }
  SETUP_OK(scene.here->NewNsid(scene.other.ref(), 4));
  const auto open = [&] {
    Fd socket = SETUP_OK(scene.here.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
    SETUP_OK(Bind(socket, NetlinkAddress(0)));
    return socket;
  };
  const Fd subject = open(), never = open(), always = open();
  const auto set = [&](const Fd& socket, bool on) {
    const int value = option.off >= 0 ? option.value : on ? 1 : 0;
    const Status done = SetSockOpt(socket, SOL_NETLINK, on || option.off < 0 ? option.number : option.off, value);
    if (done.code() == ENOPROTOOPT) throw MissingNeed(std::string("needs-feature:") + option.name, "no such option", "use a later kernel", LinuxVersion{4, 20});
    if (done.code() == EPERM) throw MissingNeed("needs-cap:NET_BROADCAST", done.error().ToString(), "run as root");
    SETUP_OK(Status(done));
  };
  const auto expect = [&](const Fd& socket, bool on, const char* when) {
    if (option.off < 0) {
      const auto value = GetSockOpt(socket, SOL_NETLINK, option.number);
      if (value.ok()) {
        EXPECT_EQ(*value, on ? 1 : 0) << "getsockopt, " << when;
      } else {
        EXPECT_EQ(value.code(), ENOPROTOOPT) << "(older kernels cannot be asked about each option)";
      }
    }
    EXPECT_EQ(option.acts(scene, socket), on) << when;
  };
  set(always, true);
  expect(subject, false, "before it was ever set");
  for (int round = 1; round <= 2; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    set(subject, true);
    expect(subject, true, "control: switched on");
    expect(never, false, "another socket, without it");
    set(subject, false);
    expect(subject, false, "switched off again");
    expect(always, true, "another socket, with it");
    set(subject, false);
    expect(subject, false, "switched off twice");
  }
  set(subject, true);
  set(subject, true);
  set(subject, false);
  expect(subject, false, "switched on twice and off once");
}
const bool options_registered = [] {
  for (const Option& option : Options()) {
    Covers covers;
    for (const char* id : option.covers) covers.list.push_back(id);
    RegisterBody("Nlk", std::string("OptionsCanBeSwitchedOffAgain/") + option.name, __FILE__, __LINE__, [&option] { CanBeSwitchedOff(option); }, covers,
                 Needs(Config("BRIDGE")));
  }
  return true;
}();

// A socket that listens to all, where the other namespace gets its id later, and the option is that of one socket.
NETNS_TEST(Nlk, AListenerThatStopsListeningToAllIdsHearsItsOwnNamespaceOnly, Covers("NLK-05", "NLK-06"), Needs(Config("BRIDGE"))) {
  Place here, before, after, late;
  Place nested = Place::Inside(here);
  SETUP_OK(here->NewNsid(before.ref(), 1));
  SETUP_OK(here->NewNsid(after.ref(), 2));
  SETUP_OK(here->NewNsid(nested.ref(), 3));
  Listener stopped(here), listens(here);  // all groups
  for (Listener* each : {&stopped, &listens}) {
    Status on = each->ListenToAllIds();
    if (on.code() == EPERM) throw MissingNeed("needs-cap:NET_BROADCAST", on.error().ToString(), "run as root");
    SETUP_OK(std::move(on));
  }
  struct News {
    std::vector<Message> heard_by_stopped;
    std::set<int> ids_of_stopped, ids_of_listens;
  };
  // What is said is read after each namespace, before it fills a buffer.
  const auto news = [&](const std::string& name) {
    News all;
    for (Place* place : {&before, &after, &nested, &late, &here}) {
      AddBridge(*place, name);
      SETUP_OK((*place)->Up(name));
      SETUP_OK((*place)->AddAddress("192.0.2.1/32", name));
      SETUP_OK((*place)->AddRoute({.to = "198.51.100.0/24", .dev = name}));
      SETUP_OK((*place)->DeleteLink(name));
      for (const Message& message : listens.Heard())
        if (message.nsid()) all.ids_of_listens.insert(*message.nsid());
      for (Message& message : stopped.Heard()) {
        if (message.nsid()) all.ids_of_stopped.insert(*message.nsid());
        all.heard_by_stopped.push_back(std::move(message));
      }
    }
    return all;
  };
  const News first = news("first");
  EXPECT_EQ(first.ids_of_stopped, (std::set<int>{1, 2, 3})) << "control: while it listens to all";
  EXPECT_EQ(first.ids_of_listens, (std::set<int>{1, 2, 3})) << "control";
  const int off = 0;
  ASSERT_EQ(::setsockopt(stopped.fd(), SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &off, sizeof off), 0) << ErrnoName(errno);
  SETUP_OK(here->NewNsid(late.ref(), 4));
  (void)stopped.Heard(), (void)listens.Heard();
  const News second = news("second");
  const auto& heard = second.heard_by_stopped;
  for (const Message& message : heard) EXPECT_FALSE(message.nsid().has_value()) << "an event of another namespace:" << Tell({message});
  // What is told of its own namespace is told as before; of the others' no copy came without its id.
  int links = 0, gone = 0;
  for (const Message& message : heard) {
    links += message.type() == RTM_NEWLINK && ReadLink(message).name == "second" && !ReadLink(message).up();
    gone += message.type() == RTM_DELLINK && ReadLink(message).name == "second" && message.Header<ifinfomsg>().ifi_family == AF_UNSPEC;
  }
  EXPECT_GE(links, 1) << "control: its own namespace";
  EXPECT_EQ(gone, 1) << "the end of one device of its own:" << Tell(heard);
  EXPECT_EQ(second.ids_of_listens, (std::set<int>{1, 2, 3, 4})) << "control: another socket, that listens to all";
}

// ------------------------------------------------------------------------------------- acknowledgements

/// The acknowledgement of one request, on a socket with NETLINK_EXT_ACK.
struct Acknowledgement {
  int error = -1;
  std::string text;  ///< NLMSGERR_ATTR_MSG
  bool attributes = false;
};
Acknowledgement Acknowledge(Place& at, const Request& request) {
  const Fd socket = SETUP_OK(at.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
  const int on = 1;
  SETUP_OK(SetSockOpt(socket, SOL_NETLINK, NETLINK_EXT_ACK, on));
  SETUP_OK(SetSockOpt(socket, SOL_NETLINK, NETLINK_CAP_ACK, on));
  Acknowledgement seen;
  for (const Message& message : Answered(socket, request).messages) {
    if (message.type() != NLMSG_ERROR) continue;
    seen.error = -message.Header<nlmsgerr>().error;
    const Attributes attributes = message.AttributesAfter<nlmsgerr>();
    seen.attributes = !attributes.all().empty();
    seen.text = attributes.Text(NLMSGERR_ATTR_MSG).value_or("");
  }
  return seen;
}
Request LinkRequest(std::uint16_t type, int index, const More& more = {}, std::uint16_t flags = 0) {
  ifinfomsg header{};
  header.ifi_index = index;
  Request request(type, flags);
  request.Named("a link").Header(header);
  if (more) more(request);
  return request;
}

// netlink(7): the extended acknowledgement of a request that was done has no error to tell of.
NETNS_TEST(Nlk, WhatSucceedsIsAcknowledgedWithoutAnErrorText, Covers("NLK-15"), Needs(Config("VETH"), Config("BRIDGE")), Within{std::chrono::seconds(60)}) {
  Place a, b;
  Place nested = Place::Inside(a);
  Actor member = b.ns.StartActor("member"), own = a.ns.StartActor("own");
  SETUP_OK(a->NewNsid(b.ref(), 12));
  SETUP_OK(b->NewNsid(a.ref(), 13));
  const auto good = [](Place& at, const Request& request, const std::string& what) {
    const Acknowledgement seen = Acknowledge(at, request);
    EXPECT_EQ(seen.error, 0) << what;
    EXPECT_EQ(seen.text, "") << what << " succeeded, and its acknowledgement has the text of an error";
    EXPECT_FALSE(seen.attributes) << what << " succeeded, and its acknowledgement has attributes";
  };
  // A device of each state goes there and back, in each way that a namespace can be named.
  struct Way {
    const char* name;
    Place& to;
    More there, back;
  } ways[] = {{"by descriptor", b, [&](Request& r) { r.Fd(IFLA_NET_NS_FD, b.fd()); }, [&](Request& r) { r.Fd(IFLA_NET_NS_FD, a.fd()); }},
              {"by pid", b, [&](Request& r) { r.S32(IFLA_NET_NS_PID, member.pid()); }, [&](Request& r) { r.S32(IFLA_NET_NS_PID, own.pid()); }},
              {"by id", b, [&](Request& r) { r.S32(IFLA_TARGET_NETNSID, 12); }, [&](Request& r) { r.S32(IFLA_TARGET_NETNSID, 13); }},
              {"into one made from inside", nested, [&](Request& r) { r.Fd(IFLA_NET_NS_FD, nested.fd()); }, [&](Request& r) { r.Fd(IFLA_NET_NS_FD, a.fd()); }}};
  const int mover = AddDevice(a, "mover", {.index = 100});
  for (const Way& way : ways)
    for (bool up : {false, true}) {
      const std::uint16_t type = up ? RTM_SETLINK : RTM_NEWLINK;  // both move
      const std::string what = std::string("a move ") + way.name + (up ? " of a device that is up" : " of a device that is down");
      if (up) {
        SETUP_OK(a->Up(mover));
        SETUP_OK(a->AddAddress("192.0.2.1/24", "mover"));
      }
      good(a, LinkRequest(type, mover, way.there), what);
      ASSERT_OK(way.to->LinkByIndex(mover)) << what;
      good(way.to, LinkRequest(type, mover, way.back), what + ", back");
      ASSERT_OK(a->LinkByIndex(mover)) << what;
    }
  // Moves that do something else besides.
  const int index = AddDevice(a, "many", {.index = 40});
  SETUP_OK(a->AddAltname("many", "other-name"));
  AddDevice(b, "many", {.index = 41});
  const Acknowledgement refused = Acknowledge(a, LinkRequest(RTM_SETLINK, index, [&](Request& r) { r.Fd(IFLA_NET_NS_FD, b.fd()); }));
  EXPECT_EQ(refused.error, EEXIST) << "control: a move that is refused";
  good(a, LinkRequest(RTM_SETLINK, index, [&](Request& r) { r.Fd(IFLA_NET_NS_FD, b.fd()).Text(IFLA_IFNAME, "many1"); }), "a move with a new name");
  good(b, LinkRequest(RTM_SETLINK, SETUP_OK(b->LinkByName("many1")).index, [&](Request& r) { r.Fd(IFLA_NET_NS_FD, a.fd()).Text(IFLA_IFNAME, "many%d"); }),
       "a move with a pattern of a name");
  good(a, LinkRequest(RTM_SETLINK, index, [&](Request& r) { r.Fd(IFLA_NET_NS_FD, a.fd()); }), "a move to where it is");
  good(a, LinkRequest(RTM_SETLINK, index, [&](Request& r) { r.U32(IFLA_MTU, 1400); }), "another MTU");
  good(a, LinkRequest(RTM_SETLINK, index, [&](Request& r) { r.S32(IFLA_TARGET_NETNSID, 12).U32(IFLA_MTU, 1401); }), "a move by id, with another MTU");
  // Devices of another namespace: made and deleted there.
  const More bridge = [](Request& r) { r.Text(IFLA_IFNAME, "made").Nest(IFLA_LINKINFO, [](Request& info) { info.Text(IFLA_INFO_KIND, "bridge"); }); };
  for (const auto& [what, where] : {std::pair<const char*, More>{"by descriptor", [&](Request& r) { r.Fd(IFLA_NET_NS_FD, b.fd()); }},
                                    {"by pid", [&](Request& r) { r.S32(IFLA_NET_NS_PID, member.pid()); }},
                                    {"by id", [&](Request& r) { r.S32(IFLA_TARGET_NETNSID, 12); }}}) {
    good(a, LinkRequest(RTM_NEWLINK, 0, [&](Request& r) { bridge(r), where(r); }, NLM_F_CREATE | NLM_F_EXCL), std::string("a link made elsewhere ") + what);
    const int made = SETUP_OK(b->LinkByName("made")).index;
    good(a, LinkRequest(RTM_DELLINK, made, [](Request& r) { r.S32(IFLA_TARGET_NETNSID, 12); }), "a link deleted elsewhere");
  }
  // Ids.
  const NetNamespace third = NetNamespace::Create();
  Request id(RTM_NEWNSID);
  id.Named("an id").Header(rtgenmsg{}).S32(1 /* NETNSA_NSID */, 77).Fd(3 /* NETNSA_FD */, third.fd());
  good(a, id, "an id for a namespace");
  // Control: the way of looking finds texts. Every kernel from 4.20 on has this one.
  const Acknowledgement none = Acknowledge(a, LinkRequest(RTM_NEWLINK, 0, [](Request& r) { r.Nest(IFLA_LINKINFO, [](Request& info) { info.Text(IFLA_INFO_KIND, "nsconf-none"); }); },
                                                          NLM_F_CREATE | NLM_F_EXCL));
  EXPECT_EQ(none.error, EOPNOTSUPP) << "control";
  EXPECT_NE(none.text, "") << "control: an unknown kind of device is refused in words";
}

}  // namespace
}  // namespace netns
