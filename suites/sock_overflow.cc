// SPDX-License-Identifier: GPL-2.0-or-later
// SOCK, UNIX, STACK: what is sent to many, and what finds no room, stays in its namespace all the same.
#include <netinet/ip_icmp.h>

#include "fixtures/net_namespace.h"
#include "suites/support/sockets.h"

namespace netns {
namespace {

using namespace sock;
using testing::IsEmpty;
using testing::SizeIs;

// ------------------------------------------------------------------------------------------------------- to many at once

/// A destination that more than one socket may get.
struct Destination {
  const char* text;
  bool member;  ///< a group, which has to be joined
};

Fd Hears(const NetNamespace& where, const Destination& to, std::uint16_t port, bool shares) {
  const bool v6 = std::string(to.text).find(':') != std::string::npos;
  Fd socket = SETUP_OK(where.Socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM));
  if (shares) SETUP_OK(SetOption(socket, SOL_SOCKET, SO_REUSEADDR, 1));
  SETUP_OK(Bind(socket, SockAddr::Ip(v6 ? "::" : "0.0.0.0", port)));
  if (to.member && v6) {
    ipv6_mreq request{};
    ::inet_pton(AF_INET6, to.text, &request.ipv6mr_multiaddr);
    request.ipv6mr_interface = 1;
    if (::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_JOIN_GROUP, &request, sizeof request) < 0)
      throw SetupFailure(ErrnoError("IPV6_JOIN_GROUP").ToString(), std::source_location::current());
  } else if (to.member) {
    ip_mreqn request{};
    ::inet_pton(AF_INET, to.text, &request.imr_multiaddr);
    request.imr_ifindex = 1;
    if (::setsockopt(socket.get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &request, sizeof request) < 0)
      throw SetupFailure(ErrnoError("IP_ADD_MEMBERSHIP").ToString(), std::source_location::current());
  }
  return socket;
}
Fd Speaks(const NetNamespace& where, const Destination& to) {
  const bool v6 = std::string(to.text).find(':') != std::string::npos;
  Fd socket = SETUP_OK(where.Socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM));
  SETUP_OK(SetOption(socket, SOL_SOCKET, SO_BROADCAST, 1));
  if (to.member && v6) {
    SETUP_OK(SetOption(socket, IPPROTO_IPV6, IPV6_MULTICAST_IF, 1));
  } else if (to.member) {
    ip_mreqn request{};
    request.imr_ifindex = 1;
    if (::setsockopt(socket.get(), IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof request) < 0)
      throw SetupFailure(ErrnoError("IP_MULTICAST_IF").ToString(), std::source_location::current());
  }
  return socket;
}

// network_namespaces(7): each namespace has its own loopback device, port numbers and groups. A broadcast or multicast datagram
// is copied to all sockets that want it: all of the namespace.
NETNS_TEST(Stack, DatagramsToManyReachTheSocketsOfTheirNamespaceOnly, Covers("STACK-04", "DEV-03", "SOCK-02", "STACK-18"), Within{std::chrono::seconds(60)}) {
  constexpr std::uint16_t kPort = 4711;
  std::vector<Destination> destinations = {{"127.0.0.1", false},      {"127.1.2.3", false}, {"127.255.255.255", false}, {"255.255.255.255", false},
                                           {"192.0.2.255", false},    {"192.0.2.7", false}, {"239.1.2.3", true},        {"224.0.0.1", false}};
  if (HasIpv6()) destinations.push_back({"::1", false});
  for (const Destination& to : destinations) {
    SCOPED_TRACE(to.text);
    std::vector<NetNamespace> all;  // those made before and after the one that sends too
    for (int i = 0; i < 4; ++i) all.push_back(NetNamespace::Create());
    std::vector<Fd> first, second;
    for (const NetNamespace& each : all) {
      LoopbackUp(each);
      Rtnl rtnl = RtnlIn(each);
      SETUP_OK(rtnl.AddAddress("192.0.2.7/24", "lo", {.broadcast = "192.0.2.255"}));
      SETUP_OK(rtnl.AddRoute({.to = "224.0.0.0/4", .dev = LinkRef("lo")}));
      SETUP_OK(rtnl.AddRoute({.to = "255.255.255.255/32", .dev = LinkRef("lo")}));
    }
    for (const NetNamespace& each : all) first.push_back(Hears(each, to, kPort, true));
    for (std::size_t from = 0; from < all.size(); ++from) {
      const Fd speaker = Speaks(all[from], to);
      for (int round : {1, 2}) {
        const std::string text = "from " + std::to_string(from) + ", " + std::to_string(round);
        const Status sent = SendTo(speaker, text, SockAddr::Ip(to.text, kPort));
        ASSERT_OK(sent);
        ASSERT_THAT(Receive(first[from]), Holds(text)) << "control: its own namespace";
        // Behind what is told apart, one to each alone: what went astray is there before it.
        for (std::size_t other = 0; other < all.size(); ++other) {
          const bool v6 = std::string(to.text).find(':') != std::string::npos;
          const Fd last = SETUP_OK(all[other].Socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM));
          SETUP_OK(SendTo(last, "last", SockAddr::Ip(v6 ? "::1" : "127.0.0.1", kPort)));
          for (auto next = Receive(first[other]);; next = Receive(first[other])) {
            ASSERT_OK(next);
            if (*next == "last") break;
            ADD_FAILURE() << "the socket of namespace " << other << " got '" << *next << "', " << (other == from ? "twice" : "of another namespace");
          }
        }
      }
    }
  }
}

// --------------------------------------------------------------------------------------------------------------- no room

/// Sends or connects until there is no more room; how often it went.
int FillUp(const NetNamespace& from, int type, const SockAddr& name, std::vector<Fd>& clients, int& error) {
  int done = 0;
  for (; done < 10000; ++done) {
    if (type == SOCK_DGRAM && !clients.empty()) {
      const Status sent = Send(clients[0], "full " + std::to_string(done));
      if (!sent.ok()) {
        error = sent.code();
        break;
      }
      continue;
    }
    Fd client = SETUP_OK(from.Socket(AF_UNIX, type | SOCK_NONBLOCK));
    if (::connect(client.get(), name.get(), name.size()) < 0) {
      error = errno;
      break;
    }
    clients.push_back(std::move(client));
    if (type == SOCK_DGRAM) --done;
  }
  return done;
}

// unix(7): EAGAIN of a full queue. A server of the same name in another namespace is no way out, whichever is older.
NETNS_TEST(Unix, WhatFindsNoRoomGoesNowhereElse, Covers("UNIX-03", "UNIX-02"), Needs(Config("UNIX"))) {
  struct {
    const char* name;
    int type;
  } types[] = {{"stream", SOCK_STREAM}, {"datagram", SOCK_DGRAM}, {"seqpacket", SOCK_SEQPACKET}};
  for (const auto& [what, type] : types)
    for (bool connected : {true, false}) {
      if (!connected && type != SOCK_DGRAM) continue;
      SCOPED_TRACE(std::string(what) + (type == SOCK_DGRAM ? connected ? ", connected" : ", each with its address" : ""));
      const SockAddr name = SockAddr::Abstract("full");
      std::vector<NetNamespace> all;
      std::vector<Fd> servers;
      for (int i = 0; i < 4; ++i) {
        all.push_back(NetNamespace::Create());
        SETUP_OK(all[i].SetSysctl("net.unix.max_dgram_qlen", "5"));
      }
      for (const NetNamespace& each : all) {
        Fd server = SETUP_OK(each.Socket(AF_UNIX, type | SOCK_NONBLOCK));
        SETUP_OK(Bind(server, name));
        if (type != SOCK_DGRAM) SETUP_OK(Listen(server, 3));
        servers.push_back(std::move(server));
      }
      for (std::size_t full : {1, 3, 0}) {
        SCOPED_TRACE("the server of namespace " + std::to_string(full) + " is full");
        std::vector<Fd> clients;
        int done = 0, error = 0;
        if (connected) {
          done = FillUp(all[full], type, name, clients, error);
        } else {
          const Fd client = SETUP_OK(all[full].Socket(AF_UNIX, type));
          for (; done < 10000; ++done)
            if (const Status sent = SendTo(client, "full", name); !sent.ok()) {
              error = sent.code();
              break;
            }
        }
        EXPECT_EQ(error, EAGAIN) << ErrnoName(error);
        EXPECT_LT(done, 100) << "there was always room";
        for (int again = 0; again < 5; ++again) {
          const Fd client = SETUP_OK(all[full].Socket(AF_UNIX, type | SOCK_NONBLOCK));
          if (type == SOCK_DGRAM)
            EXPECT_THAT(SendTo(client, "one more", name), FailsWith(EAGAIN));
          else
            EXPECT_EQ(::connect(client.get(), name.get(), name.size()) < 0 ? errno : 0, EAGAIN);
        }
        for (std::size_t other = 0; other < all.size(); ++other) {
          if (other == full) continue;
          EXPECT_FALSE(Readable(servers[other])) << "something came to the server of namespace " << other;
          // It has room for its own.
          const Fd client = SETUP_OK(all[other].Socket(AF_UNIX, type | SOCK_NONBLOCK));
          EXPECT_EQ(::connect(client.get(), name.get(), name.size()) < 0 ? errno : 0, 0) << "control";
          EXPECT_OK(Send(client, "own")) << "control";
          EXPECT_TRUE(Readable(servers[other])) << "control: what comes there is seen";
          if (type == SOCK_DGRAM)
            EXPECT_THAT(Drain(servers[other]), testing::ElementsAre("own"));
          else
            EXPECT_OK(Accept(servers[other]));
        }
        // What was accepted is all there, and then there is room again.
        int there = 0;
        if (type == SOCK_DGRAM)
          there = static_cast<int>(Drain(servers[full]).size());
        else
          for (Fd next(::accept(servers[full].get(), nullptr, nullptr)); next.valid(); next.Reset(::accept(servers[full].get(), nullptr, nullptr))) ++there;
        EXPECT_EQ(there, done) << "what was sent and what came differ";
        const Fd client = SETUP_OK(all[full].Socket(AF_UNIX, type | SOCK_NONBLOCK));
        EXPECT_EQ(::connect(client.get(), name.get(), name.size()) < 0 ? errno : 0, 0) << "control: there is room again";
        if (type == SOCK_DGRAM) {
          EXPECT_OK(Send(client, "own"));
          EXPECT_THAT(Drain(servers[full]), SizeIs(1));
        } else {
          EXPECT_OK(Accept(servers[full]));
        }
      }
    }
}

}  // namespace
}  // namespace netns
