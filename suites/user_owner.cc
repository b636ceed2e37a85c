// SPDX-License-Identifier: GPL-2.0-or-later
// USER, second part: subsystems that check a right of their own ask the owner of the network namespace, not the machine's.
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/genetlink.h>
#include <linux/mptcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "fixtures/net_namespace.h"
#include "fixtures/user_namespace.h"
#include "harness/assertions.h"
#include "harness/registration.h"
#include "suites/support/may_use.h"
#include "suites/support/place.h"

namespace netns {
namespace {

using testing::AnyOf;

/// A step of somebody, in the namespace that he is in. An error that means that the kernel has no such thing is MISS.
struct Step {
  const char* name;
  const char* symbol;
  std::function<Status()> as_caller;
};

Status Refused(int code, const std::string& call) { return Status(Error{code, call}); }

/// Binds a socket of a protocol to a port.
Status BindPort(int family, int type, int protocol, std::uint16_t port) {
  Fd socket(::socket(family, type | SOCK_CLOEXEC, protocol));
  if (!socket.valid()) return ErrnoError("socket");
  sockaddr_storage address{};
  socklen_t size = sizeof(sockaddr_in);
  if (family == AF_INET) {
    auto* four = reinterpret_cast<sockaddr_in*>(&address);
    four->sin_family = AF_INET;
    four->sin_port = htons(port);
  } else {
    auto* six = reinterpret_cast<sockaddr_in6*>(&address);
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(port);
    size = sizeof(sockaddr_in6);
  }
  if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size) < 0) return ErrnoError("bind to port " + std::to_string(port));
  return Ok();
}

// capabilities(7), CAP_NET_BIND_SERVICE: every protocol that has ports asks for it in code of its own.
NETNS_TEST(User, PrivilegedPortsOfEveryProtocolAskTheOwner, Covers("USER-09"), Needs(UserNs(), Config("INET"))) {
  struct {
    const char* name;
    int type, protocol;
    const char* symbol;
  } protocols[] = {{"SCTP, one to one", SOCK_STREAM, IPPROTO_SCTP, "IP_SCTP"},
                   {"SCTP, one to many", SOCK_SEQPACKET, IPPROTO_SCTP, "IP_SCTP"},
                   {"UDP-Lite", SOCK_DGRAM, 136, "INET"},
                   {"MPTCP", SOCK_STREAM, 262, "MPTCP"},
                   {"TCP", SOCK_STREAM, IPPROTO_TCP, "INET"},
                   {"UDP", SOCK_DGRAM, IPPROTO_UDP, "INET"}};
  Actor owner = StartNamespaceRoot("owner"), child = Actor::Start("child"), without = StartNamespaceRoot("without");
  SETUP_OK(child.Enter(SETUP_OK(NetNamespace::OfPid(owner.pid())).fd(), CLONE_NEWNET));
  SETUP_OK(EnterNewUserNamespace(child));  // a sibling of the owner: its rights end there
  SETUP_OK(DropCapability(without, CAP_NET_BIND_SERVICE));
  for (const auto& [name, type, protocol, symbol] : protocols)
    for (int family : {AF_INET, AF_INET6}) {
      if (!MayUse(symbol)) continue;
      if (family == AF_INET6 && !HasIpv6()) continue;
      SCOPED_TRACE(std::string(name) + (family == AF_INET ? " over IPv4" : " over IPv6"));
      const auto bind = [&](Actor& who, std::uint16_t port) { return who.Run([&] { return BindPort(family, type, protocol, port); }); };
      const Status free = bind(owner, 8091);
      if (free.code() == EPROTONOSUPPORT || free.code() == ESOCKTNOSUPPORT || free.code() == EAFNOSUPPORT || free.code() == ENOPROTOOPT) continue;  // not in this kernel
      EXPECT_OK(free) << "control: not privileged";
      EXPECT_OK(bind(child, 8092)) << "control: not privileged";
      EXPECT_OK(bind(without, 8093)) << "control: not privileged";
      for (std::uint16_t port : {1, 91, 1023}) {
        EXPECT_OK(bind(owner, port)) << "root of the owner";
        EXPECT_THAT(bind(child, port), FailsWith(EACCES)) << "root of another user namespace";
        EXPECT_THAT(bind(without, port), FailsWith(EACCES)) << "root of the owner without CAP_NET_BIND_SERVICE";
      }
    }
}

/// One request to mptcp_pm that changes the limits of the namespace in which the caller is.
Status SetMptcpLimits() {
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Open(NETLINK_GENERIC));
  auto family = socket.ResolveFamily("mptcp_pm");
  if (!family.ok()) return family.error();
  Request request(family->id);
  request.Named("set the limits of MPTCP").Header(genlmsghdr{.cmd = MPTCP_PM_CMD_SET_LIMITS, .version = 1});
  request.U32(MPTCP_PM_ATTR_RCV_ADD_ADDRS, 1).U32(MPTCP_PM_ATTR_SUBFLOWS, 2);
  return socket.Ack(request);
}
/// Adds nothing to the counters of the legacy table "filter" (IPT_SO_SET_ADD_COUNTERS), which is a change all the same.
Status AddToCounters(int family) {
  Fd socket(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return ErrnoError("socket");
  const int level = family == AF_INET ? int{IPPROTO_IP} : int{IPPROTO_IPV6};
  // struct ipt_getinfo: the number of entries is the last but one of its numbers. Who may not ask is refused the change too.
  alignas(8) char info[84] = "filter";
  std::uint32_t entries = 4;
  socklen_t size = sizeof info;
  if (::getsockopt(socket.get(), level, 64 /* IPT_SO_GET_INFO */, info, &size) == 0) {
    std::memcpy(&entries, info + 76, sizeof entries);
  } else if (errno != EPERM) {
    return ErrnoError("getsockopt(IPT_SO_GET_INFO)");
  }
  std::vector<char> request(40 + 16 * entries);  // struct xt_counters_info
  std::strcpy(request.data(), "filter");
  std::memcpy(request.data() + 32, &entries, sizeof entries);
  if (::setsockopt(socket.get(), level, 65 /* IPT_SO_SET_ADD_COUNTERS */, request.data(), static_cast<socklen_t>(request.size())) < 0)
    return ErrnoError("setsockopt(IPT_SO_SET_ADD_COUNTERS)");
  return Ok();
}

// Generic netlink marks operations that are for the owner (GENL_UNS_ADMIN_PERM); iptables checks with ns_capable().
void OwnerMay(const Step& step) {
  Actor owner = StartNamespaceRoot("owner"), child = Actor::Start("child"), without = StartNamespaceRoot("without");
  SETUP_OK(child.Enter(SETUP_OK(NetNamespace::OfPid(owner.pid())).fd(), CLONE_NEWNET));
  SETUP_OK(EnterNewUserNamespace(child));
  SETUP_OK(DropCapability(without, CAP_NET_ADMIN));
  const Status done = owner.Run(step.as_caller);
  if (done.code() == ENOPROTOOPT) throw MissingNeed(std::string("needs-config:") + step.symbol, done.error().ToString());
  RequireBuiltIn(done, step.symbol);
  EXPECT_OK(done) << "root of the owner";
  const auto refused = AnyOf(FailsWith(EPERM), FailsWith(EACCES));
  EXPECT_THAT(child.Run(step.as_caller), refused) << "root of another user namespace";
  EXPECT_THAT(without.Run(step.as_caller), refused) << "root of the owner without CAP_NET_ADMIN";
}
const bool steps = [] {
  static const Step rows[] = {{"GenericNetlink", "MPTCP", SetMptcpLimits},
                              {"Iptables", "IP_NF_FILTER", [] { return AddToCounters(AF_INET); }},
                              {"Ip6tables", "IP6_NF_FILTER", [] { return AddToCounters(AF_INET6); }}};
  for (const Step& row : rows)
    RegisterBody("User", std::string("ChangesAskTheOwnerOfTheNamespace/") + row.name, __FILE__, __LINE__, [&row] { OwnerMay(row); },
                 Covers("USER-07", "USER-04"), Needs(UserNs(), Config(row.symbol)));
  return true;
}();

// sysfs(5): an attribute is written with the rights of the writer over the owner of the device's namespace.
NETNS_TEST(User, AttributesOfABridgeAskTheOwner, Covers("USER-21", "SYSFS-07"), Needs(UserNs(), Config("BRIDGE"), Config("SYSFS"))) {
  Actor owner = StartNamespaceRoot("owner"), child = Actor::Start("child"), without = StartNamespaceRoot("without");
  for (Actor* of : {&owner, &without}) {
    Place place(SETUP_OK(NetNamespace::OfPid(of->pid())));
    AddBridge(place, "hub");
    SETUP_OK(place->AddVeth("port", PeerSpec{.name = "other"}));
    SETUP_OK(place->SetLink("port", {.master = "hub"}));
  }
  SETUP_OK(EnterNewUserNamespace(child));
  SETUP_OK(DropCapability(without, CAP_NET_ADMIN));
  const struct {
    const char *file, *value;
  } attributes[] = {{"hub/bridge/ageing_time", "20000"}, {"hub/bridge/flush", "1"}, {"hub/mtu", "1400"},
                    {"hub/ifalias", "hub"},              {"port/brport/priority", "7"}, {"port/brport/hairpin_mode", "1"}};
  for (const auto& [file, value] : attributes) {
    SCOPED_TRACE(file);
    // Opened by one that may, so that only the check at the write counts.
    const auto opened = [&](Actor& of) {
      Fd fd;
      SETUP_OK(NetNamespace::OfPid(of.pid())).InWithSysfs([&] { fd = Fd(::open((std::string("/sys/class/net/") + file).c_str(), O_WRONLY | O_CLOEXEC)); });
      return fd;
    };
    const Fd mine = opened(owner), theirs = opened(without);
    if (!mine.valid()) continue;  // not an attribute of this kernel
    const auto write = [&](Actor& who, const Fd& fd) {
      return who.Run([&]() -> Status {
        if (::pwrite(fd.get(), value, std::strlen(value), 0) < 0) return Refused(errno, std::string("write to ") + file);
        return Ok();
      });
    };
    EXPECT_OK(write(owner, mine)) << "root of the owner";
    EXPECT_THAT(write(child, mine), FailsWith(EPERM)) << "root of another user namespace";
    EXPECT_THAT(write(without, theirs), FailsWith(EPERM)) << "root of the owner without CAP_NET_ADMIN";
  }
}

}  // namespace
}  // namespace netns
