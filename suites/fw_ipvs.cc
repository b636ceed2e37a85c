// SPDX-License-Identifier: GPL-2.0-or-later
// FW: connections through virtual servers (ipvsadm(8)); those of all namespaces are in one table.
#include <arpa/inet.h>
#include <linux/ip_vs.h>
#include <netinet/in.h>

#include <set>
#include <sstream>

#include "fixtures/sockets.h"
#include "fixtures/topology.h"
#include "suites/support/between.h"
#include "suites/support/generic.h"
#include "suites/support/in_namespace.h"
#include "suites/support/virtual_servers.h"

namespace netns {
namespace {

/// A client, and a router whose virtual server at port 80 sends connections to its own port 8080.
struct Side {
  NetNamespace client = NetNamespace::Create();
  Place router;
  Fd listener, connection, accepted;

  Side() {
    SETUP_OK(VethPair::Between(client, router.ns, {.west6 = "", .east6 = ""}));
    listener = SETUP_OK(TcpListen(router.ns, Inet("192.0.2.2", 8080)));
  }
  Status Serve() {
    const VirtualService service{.address = "192.0.2.2", .port = 80};
    VirtualServers servers(router.ns);
    RETURN_IF_ERROR(servers.Add(service));
    return servers.ChangeServer(IPVS_CMD_NEW_DEST, service, "192.0.2.2", 8080);
  }
  Status Open() {
    ASSIGN_OR_RETURN(connection, client.Socket(AF_INET, SOCK_STREAM));
    RETURN_IF_ERROR(Bind(connection, Inet("192.0.2.1", 40001)));
    RETURN_IF_ERROR(Connect(connection, Inet("192.0.2.2", 80), Deadline::In(std::chrono::seconds(10))));
    ASSIGN_OR_RETURN(accepted, Accept(listener, Deadline::In(std::chrono::seconds(10))));
    return Ok();
  }
  Status Talk(const std::string& text) {
    RETURN_IF_ERROR(Send(connection, text));
    ASSIGN_OR_RETURN(const std::string heard, ReceiveExactly(accepted, text.size(), Deadline::In(std::chrono::seconds(10))));
    RETURN_IF_ERROR(Send(accepted, heard));
    ASSIGN_OR_RETURN(const std::string back, ReceiveExactly(connection, text.size(), Deadline::In(std::chrono::seconds(10))));
    return back == text ? Ok() : Status(Error{EBADMSG, "'" + back + "' came back instead of '" + text + "'"});
  }
};
/// Connections from the client's address to the virtual server, as /proc/net/ip_vs_conn lists them.
int Listed(const NetNamespace& ns) {
  std::istringstream lines(SETUP_OK(ns.ReadProcNet("ip_vs_conn")));
  int count = 0;
  for (std::string line; std::getline(lines, line);)
    if (line.find("C0000201 9C41 C0000202 0050") != std::string::npos) ++count;
  return count;
}
NETNS_TEST(Fw, ConnectionsThroughVirtualServersAreOfOneNamespace, Covers("FW-16", "PROC-28"),
           Needs(Config("IP_VS"), Config("IP_VS_RR"), Config("IP_VS_PROTO_TCP"), Config("VETH"))) {
  std::vector<Side> sides(2);
  auto third = NetNamespace::Create();
  for (Side& side : sides) {
    const Status served = side.Serve();
    if (served.code() == ENOENT || served.code() == EPROTONOSUPPORT) throw MissingNeed("needs-config:IP_VS_RR", "no virtual server can be made: " + served.error().ToString());
    SETUP_OK(Status(served));
  }
  ASSERT_OK(sides[0].Open()) << "ipvsadm(8): a connection through the virtual server of its namespace";
  EXPECT_OK(sides[0].Talk("first"));
  EXPECT_EQ(Listed(sides[0].router.ns), 1) << "control";
  EXPECT_EQ(Listed(sides[1].router.ns), 0) << "/proc/net/ip_vs_conn: a connection of another namespace is listed";
  EXPECT_EQ(Listed(third), 0) << "/proc/net/ip_vs_conn: a connection of another namespace is listed";
  // The same addresses and ports once more.
  ASSERT_OK(sides[1].Open()) << "ipvsadm(8): an equal connection through the virtual server of another namespace";
  for (Side& side : sides) {
    EXPECT_OK(side.Talk("second"));
    EXPECT_EQ(Listed(side.router.ns), 1) << "an equal connection of another namespace is listed";
  }
  SETUP_OK(VirtualServers(sides[0].router.ns).Flush());
  EXPECT_OK(sides[1].Talk("third")) << "ipvsadm(8): the virtual servers of another namespace were flushed";
}

/// The time-out of TCP connections through virtual servers ("ipvsadm --set").
std::uint32_t TcpTimeout(Generic& family) {
  const Message answer = SETUP_OK(family->Get(family.Make(IPVS_CMD_GET_CONFIG, "ask for time-outs", IPVS_GENL_VERSION)));
  return answer.AttributesAfter<genlmsghdr>().U32(IPVS_CMD_ATTR_TIMEOUT_TCP).value_or(0);
}
Status ChangeDaemon(Generic& family, std::uint8_t command, std::uint32_t state, const char* device, std::uint32_t id) {
  Request request = family.Make(command, std::string(command == IPVS_CMD_NEW_DAEMON ? "start" : "stop") + " a sync daemon on " + device, IPVS_GENL_VERSION);
  request.Nest(IPVS_CMD_ATTR_DAEMON, [&](Request& r) { r.U32(IPVS_DAEMON_ATTR_STATE, state).Text(IPVS_DAEMON_ATTR_MCAST_IFN, device).U32(IPVS_DAEMON_ATTR_SYNC_ID, id); });
  return family->Ack(request);
}
/// "ipvsadm -l --daemon": state and sync id of each.
std::set<std::pair<std::uint32_t, std::uint32_t>> Daemons(Generic& family) {
  std::set<std::pair<std::uint32_t, std::uint32_t>> all;
  for (const Message& message : SETUP_OK(family->Dump(family.Make(IPVS_CMD_GET_DAEMON, "list sync daemons", IPVS_GENL_VERSION)))) {
    const Attributes daemon = message.AttributesAfter<genlmsghdr>().Nested(IPVS_CMD_ATTR_DAEMON);
    all.emplace(daemon.U32(IPVS_DAEMON_ATTR_STATE).value_or(0), daemon.U32(IPVS_DAEMON_ATTR_SYNC_ID).value_or(0));
  }
  return all;
}
// ipvsadm(8), --start-daemon, --stop-daemon, --set: of the namespace.
NETNS_TEST(Fw, DaemonsAndTimeoutsOfVirtualServersAreOfOneNamespace, Covers("FW-16"), Needs(Root(), Config("IP_VS"), Config("VETH"))) {
  using Set = std::set<std::pair<std::uint32_t, std::uint32_t>>;
  constexpr std::uint32_t kMaster = IP_VS_STATE_MASTER, kBackup = IP_VS_STATE_BACKUP;
  Place before, a, b;
  for (auto [place, host] : {std::pair(&before, 1), std::pair(&a, 2), std::pair(&b, 3)}) {
    AddDevice(*place, "eth0", {}, true);
    SETUP_OK((*place)->AddAddress("192.0.2." + std::to_string(host) + "/24", "eth0"));
  }
  AddDevice(b, "only0", {}, true);
  Generic of_before(before, IPVS_GENL_NAME, "IP_VS"), of_a(a, IPVS_GENL_NAME, "IP_VS"), of_b(b, IPVS_GENL_NAME, "IP_VS");
  const std::uint32_t usual = TcpTimeout(of_b);
  Request set = of_a.Make(IPVS_CMD_SET_CONFIG, "set time-outs", IPVS_GENL_VERSION);
  ASSERT_OK(of_a->Ack(set.U32(IPVS_CMD_ATTR_TIMEOUT_TCP, 4711)));
  EXPECT_EQ(TcpTimeout(of_a), 4711u) << "control";
  for (Generic* other : {&of_before, &of_b}) EXPECT_EQ(TcpTimeout(*other), usual) << "ipvsadm(8), --set: in another namespace";
  Place born;
  Generic of_born(born, IPVS_GENL_NAME, "IP_VS");
  EXPECT_EQ(TcpTimeout(of_born), usual) << "a new namespace begins with the time-outs of another";

  EXPECT_THAT(ChangeDaemon(of_a, IPVS_CMD_NEW_DAEMON, kMaster, "only0", 7), FailsWith(ENODEV)) << "a device of another namespace";
  ASSERT_OK(ChangeDaemon(of_a, IPVS_CMD_NEW_DAEMON, kMaster, "eth0", 7));
  EXPECT_EQ(Daemons(of_a), (Set{{kMaster, 7}})) << "control";
  EXPECT_THAT(ChangeDaemon(of_a, IPVS_CMD_NEW_DAEMON, kMaster, "eth0", 8), FailsWith(EEXIST)) << "control: a namespace has one";
  for (Generic* other : {&of_before, &of_b}) {
    EXPECT_EQ(Daemons(*other), Set()) << "a daemon of another namespace is listed";
    EXPECT_THAT(ChangeDaemon(*other, IPVS_CMD_DEL_DAEMON, kMaster, "eth0", 7), FailsWith(ESRCH)) << "a daemon of another namespace can be stopped";
    ASSERT_OK(ChangeDaemon(*other, IPVS_CMD_NEW_DAEMON, kMaster, "eth0", 9)) << "the daemon of another namespace is in the way";
    ASSERT_OK(ChangeDaemon(*other, IPVS_CMD_NEW_DAEMON, kBackup, "eth0", 10));
    EXPECT_EQ(Daemons(*other), (Set{{kMaster, 9}, {kBackup, 10}}));
  }
  EXPECT_EQ(Daemons(of_a), (Set{{kMaster, 7}})) << "the daemons of another namespace are listed";
  for (std::uint32_t state : {kMaster, kBackup}) ASSERT_OK(ChangeDaemon(of_before, IPVS_CMD_DEL_DAEMON, state, "eth0", 0));
  EXPECT_EQ(Daemons(of_before), Set()) << "control: stopped";
  EXPECT_EQ(Daemons(of_a), (Set{{kMaster, 7}})) << "stopped in another namespace";
  EXPECT_EQ(Daemons(of_b), (Set{{kMaster, 9}, {kBackup, 10}})) << "stopped in another namespace";
  ASSERT_OK(ChangeDaemon(of_a, IPVS_CMD_DEL_DAEMON, kMaster, "eth0", 0));
  for (std::uint32_t state : {kMaster, kBackup}) ASSERT_OK(ChangeDaemon(of_b, IPVS_CMD_DEL_DAEMON, state, "eth0", 0));
}

// --- Services of each kind --------------------------------------------------------------------------------------------

struct KindOfService {
  const char* name;
  VirtualService service;
};
const std::vector<KindOfService>& KindsOfServices() {
  static const std::vector<KindOfService> all = {
      {"TcpIpv4", {.address = "192.0.2.90", .port = 90}},
      {"UdpIpv4", {.protocol = IPPROTO_UDP, .address = "192.0.2.90", .port = 90}},
      {"SctpIpv4", {.protocol = IPPROTO_SCTP, .address = "192.0.2.90", .port = 90}},
      {"AnyPortIpv4", {.address = "192.0.2.90", .flags = IP_VS_SVC_F_PERSISTENT}},
      {"FirewallMarkIpv4", {.mark = 90}},
      {"TcpIpv6", {.family = AF_INET6, .address = "2001:db8::90", .port = 90}},
      {"UdpIpv6", {.family = AF_INET6, .protocol = IPPROTO_UDP, .address = "2001:db8::90", .port = 90}},
      {"SctpIpv6", {.family = AF_INET6, .protocol = IPPROTO_SCTP, .address = "2001:db8::90", .port = 90}},
      {"AnyPortIpv6", {.family = AF_INET6, .address = "2001:db8::90", .flags = IP_VS_SVC_F_PERSISTENT}},
      {"FirewallMarkIpv6", {.family = AF_INET6, .mark = 90}},
  };
  return all;
}
/// Lines of /proc/net/ip_vs about services.
std::size_t InProc(const NetNamespace& ns) {
  std::istringstream lines(SETUP_OK(ns.ReadProcNet("ip_vs")));
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line);)
    for (const char* start : {"TCP  ", "UDP  ", "SCTP ", "FWM  "}) count += line.starts_with(start);
  return count;
}
/// What the older interface of ipvsadm(8) gives, which knows IPv4 only: the number of services, and those in the list.
std::pair<unsigned, unsigned> ByOption(const NetNamespace& ns) {
  const Fd socket = SETUP_OK(ns.Socket(AF_INET, SOCK_RAW, IPPROTO_RAW));
  ip_vs_getinfo info{};
  socklen_t size = sizeof info;
  if (::getsockopt(socket.get(), IPPROTO_IP, IP_VS_SO_GET_INFO, &info, &size) < 0) SETUP_OK(Status(ErrnoError("getsockopt(IP_VS_SO_GET_INFO)")));
  constexpr unsigned kRoom = 8;
  alignas(ip_vs_get_services) char buffer[sizeof(ip_vs_get_services) + kRoom * sizeof(ip_vs_service_entry)] = {};
  auto* list = reinterpret_cast<ip_vs_get_services*>(buffer);
  list->num_services = kRoom;
  size = sizeof buffer;
  if (::getsockopt(socket.get(), IPPROTO_IP, IP_VS_SO_GET_SERVICES, buffer, &size) < 0) SETUP_OK(Status(ErrnoError("getsockopt(IP_VS_SO_GET_SERVICES)")));
  unsigned listed = 0;
  for (unsigned i = 0; i < kRoom; ++i) listed += list->entrytable[i].sched_name[0] != '\0';
  return {info.num_services, listed};
}
// ipvsadm(8): all that can be asked or done with a virtual server concerns those of the namespace.
void ServicesAreOfTheNamespace(const VirtualService& service, Place& owner, Place& other) {
  const bool six = service.family == AF_INET6;
  const char *first = six ? "2001:db8::1" : "192.0.2.1", *second = six ? "2001:db8::2" : "192.0.2.2";
  const unsigned by_option = six ? 0 : 1;
  for (Place* place : {&owner, &other}) LoopbackUp(place->ns);  // real servers have to be addresses of hosts, by the routes there
  VirtualServers in_owner(owner.ns), in_other(other.ns);
  Undo undo([&] {
    for (VirtualServers* each : {&in_owner, &in_other}) (void)each->Delete(service).ok();
  });
  const std::size_t shown = InProc(owner.ns), shown_there = InProc(other.ns);
  const auto counted = ByOption(owner.ns), counted_there = ByOption(other.ns);
  const Status added = in_owner.Add(service);
  if (added.code() == ENOENT || added.code() == EPROTONOSUPPORT || added.code() == EAFNOSUPPORT || (six && added.code() == EINVAL))
    throw MissingNeed(six ? "needs-config:IP_VS_IPV6" : "needs-config:IP_VS_RR", "no virtual server can be made: " + added.error().ToString());
  ASSERT_OK(added);
  ASSERT_OK(in_owner.ChangeServer(IPVS_CMD_NEW_DEST, service, first, 8090));
  EXPECT_THAT(in_owner.Add(service), FailsWith(EEXIST)) << "control: inside one namespace it is taken";
  const auto untouched = [&](const char* after) {
    SCOPED_TRACE(after);
    EXPECT_TRUE(in_owner.Lists(service)) << "control: listed where it is";
    EXPECT_OK(in_owner.Find(service)) << "control: found where it is";
    EXPECT_THAT(in_owner.Servers(service), testing::ElementsAre(8090)) << "its real servers";
    EXPECT_EQ(InProc(owner.ns), shown + 1) << "/proc/net/ip_vs";
    EXPECT_EQ(ByOption(owner.ns), std::pair(counted.first + by_option, counted.second + by_option)) << "getsockopt(IP_VS_SO_GET_INFO, IP_VS_SO_GET_SERVICES)";
  };
  untouched("as made");
  EXPECT_FALSE(in_other.Lists(service)) << "ipvsadm(8) -L: a virtual server of another namespace is listed";
  EXPECT_EQ(InProc(other.ns), shown_there) << "/proc/net/ip_vs: a virtual server of another namespace is listed";
  EXPECT_EQ(ByOption(other.ns), counted_there) << "getsockopt(2): a virtual server of another namespace is listed";
  EXPECT_THAT(in_other.Find(service), FailsWith(ESRCH)) << "a virtual server of another namespace is shown";
  EXPECT_THAT(in_other.Servers(service), testing::IsEmpty()) << "the real servers of another namespace's virtual server are listed";
  EXPECT_THAT(in_other.Edit(service), FailsWith(ESRCH)) << "ipvsadm(8) -E";
  EXPECT_THAT(in_other.Zero(service), FailsWith(ESRCH)) << "ipvsadm(8) -Z";
  EXPECT_THAT(in_other.ChangeServer(IPVS_CMD_NEW_DEST, service, second, 8091), FailsWith(ESRCH)) << "ipvsadm(8) -a";
  EXPECT_THAT(in_other.ChangeServer(IPVS_CMD_SET_DEST, service, first, 8090), FailsWith(ESRCH)) << "ipvsadm(8) -e";
  EXPECT_THAT(in_other.ChangeServer(IPVS_CMD_DEL_DEST, service, first, 8090), FailsWith(ESRCH)) << "ipvsadm(8) -d";
  EXPECT_THAT(in_other.Delete(service), FailsWith(ESRCH)) << "ipvsadm(8) -D";
  EXPECT_OK(in_other.Flush());
  untouched("after requests about it in another namespace");
  // An equal one there, with another real server.
  ASSERT_OK(in_other.Add(service)) << "ipvsadm(8): a virtual server of another namespace is in the way";
  EXPECT_THAT(in_other.Servers(service), testing::IsEmpty()) << "the real servers of another namespace's virtual server";
  EXPECT_THAT(in_other.ChangeServer(IPVS_CMD_DEL_DEST, service, first, 8090), FailsWith(ENOENT)) << "a real server of another namespace";
  EXPECT_OK(in_other.ChangeServer(IPVS_CMD_NEW_DEST, service, second, 8091));
  EXPECT_THAT(in_other.Servers(service), testing::ElementsAre(8091));
  EXPECT_TRUE(in_other.Lists(service));
  EXPECT_OK(in_other.Zero(service)) << "control";
  EXPECT_OK(in_other.Edit(service)) << "control";
  untouched("beside an equal one of another namespace");
  EXPECT_OK(in_other.Delete(service));
  EXPECT_FALSE(in_other.Lists(service)) << "control";
  untouched("after an equal one of another namespace was deleted");
  SETUP_OK(in_other.Add(service));
  EXPECT_OK(in_other.Flush());
  EXPECT_FALSE(in_other.Lists(service)) << "control";
  untouched("after those of another namespace were flushed");
  EXPECT_OK(in_owner.Delete(service)) << "control";
  EXPECT_FALSE(in_owner.Lists(service)) << "control";
}
[[maybe_unused]] const bool services = [] {
  for (const KindOfService& kind : KindsOfServices()) {
    Needs needs(Config("IP_VS"), Config("IP_VS_RR"));
    if (kind.service.family == AF_INET6) needs.list.push_back(Config("IP_VS_IPV6"));
    RegisterBetween("Fw", "VirtualServersAreOfTheNamespace", kind.name, __FILE__, __LINE__,
                    [&kind](Place& owner, Place& other) { ServicesAreOfTheNamespace(kind.service, owner, other); }, Covers("FW-16", "PROC-28"), needs);
  }
  return true;
}();

}  // namespace
}  // namespace netns
