// SPDX-License-Identifier: GPL-2.0-or-later
// STACK: groups that are joined by an address or a route, and what TCP has learned: of one namespace, whichever of two has it,
// also beside the initial one.
#include <arpa/inet.h>
#include <linux/tcp_metrics.h>
#include <net/if.h>
#include <netinet/in.h>

#include <set>

#include "fixtures/sockets.h"
#include "suites/support/between.h"
#include "suites/support/generic.h"
#include "suites/support/in_namespace.h"

namespace netns {
namespace {

using testing::HasSubstr;
using testing::Not;

// --- Multicast --------------------------------------------------------------------------------------------------------

std::string Group(int number) { return "239.61.1." + std::to_string(number); }

/// A socket option by which a device is chosen without its number.
struct Choice {
  const char* what;
  bool by_address;  ///< By an address of the device; else by the route to the group.
  bool joins;       ///< The socket becomes a member of the group.
  int refused;      ///< With an address that nobody has, ip(7).
  Status (*choose)(const Fd& socket, in_addr group, in_addr address);
};
const Choice kChoices[] = {
    {"IP_ADD_MEMBERSHIP with an address", true, true, ENODEV,
     [](const Fd& socket, in_addr group, in_addr address) { return SetSockOpt(socket, IPPROTO_IP, IP_ADD_MEMBERSHIP, ip_mreq{group, address}); }},
    {"IP_ADD_MEMBERSHIP with an address and no index", true, true, ENODEV,
     [](const Fd& socket, in_addr group, in_addr address) { return SetSockOpt(socket, IPPROTO_IP, IP_ADD_MEMBERSHIP, ip_mreqn{group, address, 0}); }},
    {"IP_ADD_SOURCE_MEMBERSHIP with an address", true, true, ENODEV,
     [](const Fd& socket, in_addr group, in_addr address) {
       ip_mreq_source request{};
       request.imr_multiaddr = group;
       request.imr_interface = address;
       request.imr_sourceaddr = Ip4("198.18.61.200");
       return SetSockOpt(socket, IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, request);
     }},
    {"IP_MULTICAST_IF with an address", true, false, EADDRNOTAVAIL,
     [](const Fd& socket, in_addr, in_addr address) { return SetSockOpt(socket, IPPROTO_IP, IP_MULTICAST_IF, address); }},
    {"IP_MULTICAST_IF with an address and no index", true, false, EADDRNOTAVAIL,
     [](const Fd& socket, in_addr, in_addr address) { return SetSockOpt(socket, IPPROTO_IP, IP_MULTICAST_IF, ip_mreqn{{}, address, 0}); }},
    {"IP_ADD_MEMBERSHIP by the route", false, true, ENODEV,
     [](const Fd& socket, in_addr group, in_addr) { return SetSockOpt(socket, IPPROTO_IP, IP_ADD_MEMBERSHIP, ip_mreqn{group, {}, 0}); }},
};

/// As /proc/net/igmp writes it.
std::string InIgmp(const std::string& group) {
  char text[9];
  std::snprintf(text, sizeof text, "%08X", Ip4(group).s_addr);
  return text;
}
// ip(7): "imr_address is the address of the local interface with which the system should join the multicast group", and without
// one "an appropriate interface is chosen by the system". Local, and the system, are those of the socket's namespace.
void DevicesAreChosenInOneNamespace(Place& owner, Place& other) {
  const char device[] = "nsconf-mc", address[] = "198.18.61.1";
  Undo gone([&] {
    for (Place* place : {&owner, &other}) (void)(*place)->DeleteLink(device).ok();
  });
  const auto has_it = [&](Place& at) {
    AddDevice(at, device, {}, true);
    SETUP_OK(at->AddAddress(std::string(address) + "/24", device));
    SETUP_OK(at->AddRoute({.to = "239.61.1.0/24", .dev = device}));
  };
  const auto choose = [&](Place& at, const Choice& choice, const std::string& group) -> Result<Fd> {
    ASSIGN_OR_RETURN(Fd socket, at.ns.Socket(AF_INET, SOCK_DGRAM));
    RETURN_IF_ERROR(choice.choose(socket, Ip4(group), Ip4(address)));
    return socket;
  };
  const bool routed = other->GetRoute(Group(1)).ok();  // a machine may have a route to everywhere
  has_it(owner);
  int number = 0;
  for (const Choice& choice : kChoices) {
    SCOPED_TRACE(choice.what);
    const std::string group = Group(++number), line = InIgmp(group);
    const auto chosen = choose(other, choice, group);
    if (choice.by_address || !routed) {
      EXPECT_THAT(chosen, FailsWith(choice.refused)) << "ip(7): only another namespace has the address or the route";
    }
    EXPECT_THAT(owner.ns.ReadProcNet("igmp"), Holds(Not(HasSubstr(line)))) << "joined by a socket of another namespace";
    const auto mine = choose(owner, choice, group);
    EXPECT_OK(mine) << "control: where the address and the route are";
    EXPECT_THAT(owner.ns.ReadProcNet("igmp"), Holds(choice.joins ? testing::Matcher<std::string>(HasSubstr(line)) : Not(HasSubstr(line)))) << "control: its members";
  }
  has_it(other);
  for (const Choice& choice : kChoices) {
    SCOPED_TRACE(choice.what);
    const std::string group = Group(++number), line = InIgmp(group);
    const auto theirs = choose(other, choice, group);
    EXPECT_OK(theirs) << "control: now the address and the route are there, too";
    EXPECT_THAT(owner.ns.ReadProcNet("igmp"), Holds(Not(HasSubstr(line)))) << "joined by a socket of another namespace";
    if (choice.joins) {
      EXPECT_THAT(other.ns.ReadProcNet("igmp"), Holds(HasSubstr(line))) << "control: its members";
    }
  }
}
[[maybe_unused]] const bool multicast =
    RegisterBetween("Stack", "DevicesOfGroupsAreChosenByAddressesAndRoutesOfOneNamespace", "", __FILE__, __LINE__, DevicesAreChosenInOneNamespace, Covers("STACK-18"),
                    Needs(Config("VETH"), Config("IP_MULTICAST"), Config("PROC_FS")));

// --- What TCP has learned ---------------------------------------------------------------------------------------------

/// ip-tcp_metrics(8) in one namespace.
class Metrics {
 public:
  explicit Metrics(const Place& at) : metrics_(at, TCP_METRICS_GENL_NAME, "INET") {}
  Status Show(const char* address) { return Of(metrics_->Get(Make(TCP_METRICS_CMD_GET, address))); }
  Status Delete(const char* address) { return metrics_->Ack(Make(TCP_METRICS_CMD_DEL, address)); }
  Status Flush() { return metrics_->Ack(metrics_.Make(TCP_METRICS_CMD_DEL, "flush the TCP metrics", TCP_METRICS_GENL_VERSION)); }
  std::size_t Listed() { return SETUP_OK(metrics_->Dump(metrics_.Make(TCP_METRICS_CMD_GET, "list the TCP metrics", TCP_METRICS_GENL_VERSION))).size(); }

 private:
  static Status Of(Result<Message> answer) { return answer.ok() ? Ok() : Status(answer.error()); }
  Request Make(std::uint8_t command, const char* address) {
    Request request = metrics_.Make(command, std::string(command == TCP_METRICS_CMD_GET ? "TCP metrics of " : "delete TCP metrics of ") + address, TCP_METRICS_GENL_VERSION);
    if (std::strchr(address, ':') != nullptr) {
      request.Structure(TCP_METRICS_ATTR_ADDR_IPV6, Ip6(address));
    } else {
      request.Structure(TCP_METRICS_ATTR_ADDR_IPV4, Ip4(address));
    }
    return request;
  }
  Generic metrics_;
};
/// Connections over which something went both ways, properly closed, so that something is learned of each address.
void Learn(const Place& at, const std::vector<const char*>& addresses) {
  for (const char* address : addresses) {
    static std::uint16_t port = 17300;  // closed connections keep theirs for a while
    const Fd listener = SETUP_OK(TcpListen(at.ns, Inet(address, ++port)));
    Fd client = SETUP_OK(TcpConnect(at.ns, Inet(address, port))), server = SETUP_OK(Accept(listener));
    SETUP_OK(Send(client, "there"));
    SETUP_OK(ReceiveExactly(server, 5));
    SETUP_OK(Send(server, "back"));
    SETUP_OK(ReceiveExactly(client, 4));
    SETUP_OK(::shutdown(client.get(), SHUT_WR) < 0 ? Status(ErrnoError("shutdown")) : Ok());
    SETUP_OK(Receive(server));
    server.Reset();
    SETUP_OK(Receive(client));
  }
}
// ip-tcp_metrics(8): "delete", and "flush"; both need capabilities over the initial user namespace, and mean one namespace.
void MetricsAreDeletedInOneNamespace(Place& owner, Place& other) {
  std::vector<const char*> addresses = {kLoopback4};
  if (HasIpv6()) addresses.push_back(kLoopback6);
  for (Place* place : {&owner, &other}) LoopbackUp(place->ns);
  Metrics mine(owner), theirs(other);
  for (Metrics* each : {&mine, &theirs}) ASSERT_OK(each->Flush());
  const auto learn = [&](Place& at, Metrics& metrics) {
    Learn(at, addresses);
    for (const char* address : addresses) SETUP_OK(Eventually(std::string("metrics of ") + address, [&] { return metrics.Show(address).ok(); }));
  };
  const auto still = [&](const char* after) {
    for (const char* address : addresses) EXPECT_OK(mine.Show(address)) << "ip-tcp_metrics(8): what the namespace has learned of " << address << " is gone after " << after;
  };
  learn(owner, mine);
  EXPECT_EQ(theirs.Listed(), 0u) << "what another namespace has learned is listed";
  for (const char* address : addresses) {
    EXPECT_THAT(theirs.Show(address), FailsWith(ESRCH)) << "what another namespace has learned is shown";
    EXPECT_THAT(theirs.Delete(address), FailsWith(ESRCH)) << "what another namespace has learned is found to be deleted";
  }
  still("requests to delete the same in another namespace, which had learned nothing");
  EXPECT_OK(theirs.Flush());
  still("a flush in another namespace, which had learned nothing");
  for (bool flush : {false, true}) {
    learn(other, theirs);
    if (flush) {
      EXPECT_OK(theirs.Flush());
    } else {
      for (const char* address : addresses) EXPECT_OK(theirs.Delete(address));
    }
    EXPECT_EQ(theirs.Listed(), 0u) << "control: gone where it was " << (flush ? "flushed" : "deleted");
    still(flush ? "a flush in another namespace" : "the same was deleted in another namespace");
  }
  EXPECT_OK(mine.Flush());
  EXPECT_EQ(mine.Listed(), 0u) << "control: its own";
}
[[maybe_unused]] const bool metrics =
    RegisterBetween("Stack", "TcpMetricsAreDeletedInOneNamespace", "", __FILE__, __LINE__, MetricsAreDeletedInOneNamespace, Covers("STACK-13"), Needs(Root(), Config("INET")));

}  // namespace
}  // namespace netns
