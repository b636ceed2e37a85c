// SPDX-License-Identifier: GPL-2.0-or-later
// SOCK, sixth part: listings show a connection in each of its states, and AF_XDP sockets, to their own namespace only.
#include <sys/stat.h>

#include "suites/support/sockets.h"

// The kernel's headers after the C library's: in this order they go together.
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <linux/xdp_diag.h>

namespace netns {
namespace {

using namespace sock;
using testing::Each;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::SizeIs;

/// The states (TCP_ESTABLISHED = 1 ...) of the connections to or from a port, as /proc/net/tcp and tcp6 list them.
std::set<int> StatesInProc(const NetNamespace& where, const Family& family, std::uint16_t port) {
  std::set<int> states;
  char wanted[8];
  std::snprintf(wanted, sizeof wanted, ":%04X", port);
  std::istringstream lines(SETUP_OK(where.ReadProcNet(family.domain == AF_INET ? "tcp" : "tcp6")));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string slot, local, remote, state;
    words >> slot >> local >> remote >> state;
    if (local.ends_with(wanted) || remote.ends_with(wanted)) states.insert(static_cast<int>(std::strtol(state.c_str(), nullptr, 16)));
  }
  return states;
}
/// The same as sock_diag(7) tells.
std::set<int> StatesInDiag(const NetNamespace& where, const Family& family, std::uint16_t port) {
  auto socket = SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(where.Socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG))));
  inet_diag_req_v2 request{};
  request.sdiag_family = static_cast<std::uint8_t>(family.domain);
  request.sdiag_protocol = IPPROTO_TCP;
  request.idiag_states = ~0U;
  auto dump = socket.Dump(Request(SOCK_DIAG_BY_FAMILY).Header(request).Named("dump connections"));
  if (dump.code() == ENOENT) throw MissingNeed("needs-config:INET_DIAG", "the kernel has no inet_diag");
  std::set<int> states;
  for (const Message& message : SETUP_OK(std::move(dump))) {
    const auto entry = message.Header<inet_diag_msg>();
    if (entry.id.idiag_sport == htons(port) || entry.id.idiag_dport == htons(port)) states.insert(entry.idiag_state);
  }
  return states;
}

enum { kEstablished = 1, kFinWait2 = 5, kTimeWait = 6, kCloseWait = 8, kListen = 10 };

// proc_pid_net(5), sock_diag(7): "TCP socket information", in each state that a connection rests in.
void ConnectionsOfEachState(const Family& family, const std::function<std::set<int>(const NetNamespace&, const Family&, std::uint16_t)>& list) {
  constexpr std::uint16_t kPort = 7747;
  auto before = CreateWithLoopback(), here = CreateWithLoopback(), after = CreateWithLoopback();
  auto nested = here.In([] { return NetNamespace::Create(); });
  std::vector<std::pair<const char*, const NetNamespace*>> others = {{"a namespace created before", &before},
                                                                     {"a namespace created after", &after},
                                                                     {"a namespace created from inside", &nested}};
  auto own = NetNamespace::Current();
  others.push_back({"the creator's namespace", &own});
  const SockAddr at = SockAddr::Ip(family.loopback, kPort);
  Fd listener = SETUP_OK(Listener(here, at));
  const auto connect = [&](std::uint16_t from) {
    Fd client = SETUP_OK(Bound(here, SOCK_STREAM, SockAddr::Ip(family.loopback, from)));
    SETUP_OK(Connect(client, at));
    Fd accepted = SETUP_OK(Accept(listener));
    return std::pair(std::move(client), std::move(accepted));
  };
  auto established = connect(40011);
  auto half = connect(40012);
  ASSERT_EQ(::shutdown(half.first.get(), SHUT_WR), 0);  // FIN_WAIT2 here, CLOSE_WAIT at the other end
  SETUP_OK(WaitFor(half.second.get(), POLLIN, Deadline::OfTest(), "the end of the stream"));
  auto over = connect(40013);
  over.first.Reset();
  SETUP_OK(WaitFor(over.second.get(), POLLIN, Deadline::OfTest(), "the end of the stream"));
  over.second.Reset();  // TIME_WAIT for a minute
  EXPECT_EVENTUALLY("each state to be listed where the connections are", [&] {
    const auto seen = list(here, family, kPort);
    for (int state : {kEstablished, kFinWait2, kTimeWait, kCloseWait, kListen})
      if (!seen.contains(state)) return false;
    return true;
  });
  for (const auto& [who, where] : others) EXPECT_THAT(list(*where, family, kPort), IsEmpty()) << "states listed in " << who;
}
NETNS_TEST(Sock, ConnectionsOfEachStateAreListedInTheirNamespaceOverIpv4, Covers("PROC-14", "SOCK-21"), Needs(Config("PROC_FS"))) {
  ConnectionsOfEachState(Families()[0], StatesInProc);
}
NETNS_TEST(Sock, ConnectionsOfEachStateAreListedInTheirNamespaceOverIpv6, Covers("PROC-14", "SOCK-21"), Needs(Config("PROC_FS"), Config("IPV6"))) {
  ConnectionsOfEachState(Families()[1], StatesInProc);
}
NETNS_TEST(Sock, DiagListsEachStateInItsNamespaceOverIpv4, Covers("SOCK-20"), Needs(Config("INET_DIAG"))) {
  ConnectionsOfEachState(Families()[0], StatesInDiag);
}
NETNS_TEST(Sock, DiagListsEachStateInItsNamespaceOverIpv6, Covers("SOCK-20"), Needs(Config("INET_DIAG"), Config("IPV6"))) {
  ConnectionsOfEachState(Families()[1], StatesInDiag);
}

// sock_diag(7), linux/xdp_diag.h.
NETNS_TEST(Sock, DiagListsXdpSocketsOfItsNamespace, Covers("SOCK-25"), Needs(Config("XDP_SOCKETS"), Config("XDP_SOCKETS_DIAG"))) {
  auto before = NetNamespace::Create(), here = NetNamespace::Create(), after = NetNamespace::Create();
  constexpr int kAfXdp = 44;
  auto made = here.Socket(kAfXdp, SOCK_RAW);
  if (!made.ok()) RequireBuiltIn(made.code(), "XDP_SOCKETS");
  Fd socket = SETUP_OK(std::move(made));
  const auto listed = [&](const NetNamespace& where) {
    auto diag = SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(where.Socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG))));
    xdp_diag_req request{};
    request.sdiag_family = kAfXdp;
    request.xdiag_show = XDP_SHOW_INFO;
    auto dump = diag.Dump(Request(SOCK_DIAG_BY_FAMILY).Header(request).Named("dump AF_XDP sockets"));
    if (dump.code() == ENOENT) throw MissingNeed("needs-config:XDP_SOCKETS_DIAG", "the kernel does not list AF_XDP sockets");
    std::vector<std::uint32_t> inodes;
    for (const Message& message : SETUP_OK(std::move(dump))) inodes.push_back(message.Header<xdp_diag_msg>().xdiag_ino);
    return inodes;
  };
  struct stat info{};
  ASSERT_EQ(::fstat(socket.get(), &info), 0);
  EXPECT_THAT(listed(here), testing::ElementsAre(static_cast<std::uint32_t>(info.st_ino))) << "control: where it was made";
  EXPECT_THAT(listed(before), IsEmpty());
  EXPECT_THAT(listed(after), IsEmpty());
  EXPECT_THAT(listed(NetNamespace::Current()), IsEmpty());
  socket.Reset();
  EXPECT_EVENTUALLY("the closed socket to vanish from the list", [&] { return listed(here).empty(); });
}

}  // namespace
}  // namespace netns
