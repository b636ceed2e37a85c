// SPDX-License-Identifier: GPL-2.0-or-later
// FW: connections through virtual servers (ipvsadm(8)); those of all namespaces are in one table.
#include <arpa/inet.h>
#include <linux/ip_vs.h>
#include <netinet/in.h>

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

}  // namespace
}  // namespace netns
