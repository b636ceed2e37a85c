// SPDX-License-Identifier: GPL-2.0-or-later
// FW: connections through virtual servers (ipvsadm(8)); those of all namespaces are in one table.
#include <arpa/inet.h>
#include <linux/ip_vs.h>
#include <netinet/in.h>

#include <set>
#include <sstream>

#include "fixtures/sockets.h"
#include "fixtures/topology.h"
#include "suites/support/generic.h"
#include "suites/support/in_namespace.h"

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
    Generic family(router, IPVS_GENL_NAME, "IP_VS");
    in6_addr address{};
    ::inet_pton(AF_INET, "192.0.2.2", &address);
    const struct { std::uint32_t flags, mask; } flags{0, ~0u};
    const auto service = [&](Request& r) {
      r.U16(IPVS_SVC_ATTR_AF, AF_INET).U16(IPVS_SVC_ATTR_PROTOCOL, IPPROTO_TCP).Structure(IPVS_SVC_ATTR_ADDR, address).Be16(IPVS_SVC_ATTR_PORT, 80);
    };
    Request add = family.Make(IPVS_CMD_NEW_SERVICE, "add virtual server 192.0.2.2:80", IPVS_GENL_VERSION);
    add.Nest(IPVS_CMD_ATTR_SERVICE, [&](Request& r) {
      service(r);
      r.Text(IPVS_SVC_ATTR_SCHED_NAME, "rr").Structure(IPVS_SVC_ATTR_FLAGS, flags).U32(IPVS_SVC_ATTR_TIMEOUT, 0).U32(IPVS_SVC_ATTR_NETMASK, ~0u);
    });
    RETURN_IF_ERROR(family->Ack(add));
    Request destination = family.Make(IPVS_CMD_NEW_DEST, "add real server 192.0.2.2:8080", IPVS_GENL_VERSION);
    destination.Nest(IPVS_CMD_ATTR_SERVICE, service).Nest(IPVS_CMD_ATTR_DEST, [&](Request& r) {
      r.Structure(IPVS_DEST_ATTR_ADDR, address).Be16(IPVS_DEST_ATTR_PORT, 8080).U32(IPVS_DEST_ATTR_FWD_METHOD, IP_VS_CONN_F_MASQ).U32(IPVS_DEST_ATTR_WEIGHT, 1);
      r.U32(IPVS_DEST_ATTR_U_THRESH, 0).U32(IPVS_DEST_ATTR_L_THRESH, 0);
    });
    return family->Ack(destination);
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
  Generic family(sides[0].router, IPVS_GENL_NAME, "IP_VS");
  SETUP_OK(family->Ack(family.Make(IPVS_CMD_FLUSH, "flush virtual servers", IPVS_GENL_VERSION)));
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

}  // namespace
}  // namespace netns
