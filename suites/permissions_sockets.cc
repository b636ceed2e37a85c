// SPDX-License-Identifier: GPL-2.0-or-later
// USER: rows of the table of rights (permissions.cc) for sockets and their options. Where a page names the capability it is
// at the row; of the rest capabilities(7) says it, CAP_NET_ADMIN "perform various network-related operations", CAP_NET_RAW
// "use RAW and PACKET sockets".
#include <linux/capability.h>
#include <netinet/ip.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>

#include <iterator>
#include <set>
#include <sstream>

#include "suites/support/control_message.h"
#include "suites/support/rights.h"

// After the C library's headers: in this order they go together.
#include <linux/if_xdp.h>
#include <linux/inet_diag.h>
#include <linux/packet_diag.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>

namespace netns::rights {
namespace {

// What the C library may not have yet.
constexpr int kSoPriority = 12, kSoTxTime = 61, kSoPreferBusyPoll = 69, kSoBusyPollBudget = 70;
constexpr int kIpXfrmPolicy = 17, kIpv6XfrmPolicy = 35, kIpv6Transparent = 75, kIpv6JoinAnycast = 27;
constexpr int kIpv6HopOptions = 54, kIpv6OptionsBeforeRouting = 55, kIpv6DestinationOptions = 59, kMrtAssert = 207, kTcpRepair = 19;
constexpr int kIpTransparent = 19, kAfXdp = 44;
constexpr std::uint32_t kMark = 0x77;

constexpr int T = ETOOMANYREFS, H = ENODATA, S = ESRCH;
//                                       nobody  child  owner  parent  ancestor  sibling  -NET_ADMIN  -SYS_ADMIN  creator
constexpr Rights kInitialFile      = {A,     A,     A,     A,      ok,       A,       A,          A,          A};
constexpr Rights kRefusedFile      = {A,     A,     A,     A,      A,        A,       A,          A,          A};
// CAP_NET_ADMIN, or in later kernels CAP_NET_RAW, which who lacks only the one has.
constexpr Rights kNetAdminOrRaw    = {P,     P,     ok,    ok,     ok,       P,       kEither,    ok,         ok};
// A capability in the user namespace of the actor itself.
constexpr Rights kOwnCapability    = {P,     ok,    ok,    ok,     ok,       ok,      ok,         ok,         P};
constexpr Rights kFound            = {S,     S,     ok,    ok,     ok,       S,       S,          ok,         ok};
constexpr Rights kShown            = {H,     H,     ok,    ok,     ok,       H,       H,          ok,         ok};
constexpr Rights kTooManyInFlight  = {T,     T,     T,     T,      ok,       T,       T,          T,          T};
constexpr Rights kTooManyInFlight1 = {T,     T,     T,     T,      T,        T,       T,          T,          T};

Status Set(const Fd& socket, int level, int option, const void* value, socklen_t size, const char* what) {
  if (!socket.valid()) return ErrnoError("socket");
  if (::setsockopt(socket.get(), level, option, value, size) < 0) return ErrnoError(std::string("setsockopt(") + what + ")");
  return Ok();
}
/// An option of a new socket of the actor's.
Step Option(const char* name, int family, int type, int level, int option, int value) {
  return {name, [=](World&) {
            const Fd socket(::socket(family, type | SOCK_CLOEXEC, 0));
            return Set(socket, level, option, &value, sizeof value, name);
          }};
}
/// An option of the socket that root has made.
Step OptionOfRoots(const char* name, int level, int option, int value) {
  return {name, [=](World& world) { return Set(world.socket, level, option, &value, sizeof value, name); }};
}

/// A datagram to this host with one control message.
template <class Info>
Status SendWith(const Fd& socket, const sockaddr* to, socklen_t size, int level, int type, const Info& info, const char* what) {
  return SendWithControl(socket, to, size, level, type, info, std::string("sendmsg with ") + what, MSG_DONTWAIT | MSG_NOSIGNAL);
}
Status SendIpv4With(int type, std::uint32_t value, const char* what) {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr to = Ipv4(INADDR_LOOPBACK);
  reinterpret_cast<sockaddr_in&>(to).sin_port = htons(9);
  return SendWith(socket, &to, sizeof to, SOL_SOCKET, type, value, what);
}
/// An IPv6 extension header that consists of padding.
constexpr unsigned char kPadding[8] = {0, 0, 1, 4, 0, 0, 0, 0};
Step StickyOption(const char* name, int option) {
  return {name, [=](World&) {
            const Fd socket(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
            return Set(socket, IPPROTO_IPV6, option, kPadding, sizeof kPadding, name);
          }};
}
Step OptionOfOnePacket(const char* name, int option) {
  return {name, [=](World&) {
            const Fd socket(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
            sockaddr_in6 to{};
            to.sin6_family = AF_INET6;
            to.sin6_addr = in6addr_loopback;
            to.sin6_port = htons(9);
            return SendWith(socket, reinterpret_cast<sockaddr*>(&to), sizeof to, IPPROTO_IPV6, option, kPadding, name);
          }};
}
Status SendAt(int clock) {
  const struct {  // sock_txtime
    int clock;
    unsigned flags;
  } time{clock, 0};
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return Set(socket, SOL_SOCKET, kSoTxTime, &time, sizeof time, "SO_TXTIME");
}
void BringLoopbackUp(World& world) { SETUP_OK(world.root().Up("lo")); }

std::function<void(World&)> MakeASocket(int family, int type, int protocol) {
  return [=](World& world) { world.socket = SETUP_OK(world.ns->Socket(family, type, protocol)); };
}
Status BindToDevice(World& world, const char* device) {
  return Set(world.socket, SOL_SOCKET, SO_BINDTODEVICE, device, static_cast<socklen_t>(std::strlen(device) + 1), "SO_BINDTODEVICE");
}

/// Joins the subnet-router anycast address of a prefix that its0 has.
Status JoinAnycast(World& world) {
  const Fd socket(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ipv6_mreq request{};
  const unsigned char address[16] = {0x20, 0x01, 0x0D, 0xB8, 0, 9};
  std::memcpy(&request.ipv6mr_multiaddr, address, sizeof address);
  request.ipv6mr_interface = static_cast<unsigned>(IndexOfIts0(world));
  return Set(socket, IPPROTO_IPV6, kIpv6JoinAnycast, &request, sizeof request, "IPV6_JOIN_ANYCAST");
}

Status ChooseCongestionControl(const std::string& name) {
  const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return Set(socket, IPPROTO_TCP, 13 /* TCP_CONGESTION */, name.c_str(), static_cast<socklen_t>(name.size()), "TCP_CONGESTION");
}
/// An algorithm that is there and not for everybody. Real root brings one where there is none.
const std::string& RestrictedCongestionControl() {
  static const std::string found = [] {
    auto names = [](const char* file) {
      std::istringstream words(SETUP_OK(ReadFile(file)));
      return std::set<std::string>(std::istream_iterator<std::string>(words), {});
    };
    for (const char* name : {"", "htcp", "westwood", "vegas", "dctcp"}) {
      if (name[0] != '\0') (void)ChooseCongestionControl(name);
      const auto allowed = names("/proc/sys/net/ipv4/tcp_allowed_congestion_control");
      for (const std::string& one : names("/proc/sys/net/ipv4/tcp_available_congestion_control"))
        if (!allowed.contains(one)) return one;
    }
    throw MissingNeed("needs-feature:restricted-congestion-control", "every algorithm that is loaded is allowed to all", "modprobe tcp_htcp");
  }();
  return found;
}

Step BindLow(const char* name, int family, int type, int protocol = 0) {
  return {name, [=](World&) -> Status {
            const Fd socket(::socket(family, type | SOCK_CLOEXEC, protocol));
            if (!socket.valid()) return ErrnoError("socket");
            sockaddr_storage address{};
            address.ss_family = static_cast<sa_family_t>(family);
            reinterpret_cast<sockaddr_in&>(address).sin_port = htons(80);
            if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6)) < 0)
              return ErrnoError("bind to port 80");
            return Ok();
          }};
}

// --- flow labels (include/uapi/linux/in6.h)

/// in6_flowlabel_req, whose header does not go with the C library's.
struct FlowLabel {
  in6_addr to = in6addr_loopback;
  std::uint32_t label = 0;
  std::uint8_t action = 0 /* IPV6_FL_A_GET */, share = 1 /* IPV6_FL_S_EXCL */;
  std::uint16_t flags = 1 /* IPV6_FL_F_CREATE */, expires = 0, linger = 0;
  std::uint32_t padding = 0;
};
Status Manage(const Fd& socket, const FlowLabel& request) {
  return Set(socket, IPPROTO_IPV6, 32 /* IPV6_FLOWLABEL_MGR */, &request, sizeof request, "IPV6_FLOWLABEL_MGR");
}
std::uint32_t its_label = 0x12345;
void MakeAFlowLabel(World& world) {
  world.socket = SETUP_OK(world.ns->Socket(AF_INET6, SOCK_DGRAM));
  ++its_label;  // that of the turn before stays for a while after its socket
  SETUP_OK(Manage(world.socket, {.label = htonl(its_label)}));
}
/// Longer than anybody may hold one: 150 s.
Status MakeALongFlowLabel() {
  const Fd socket(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return Manage(socket, {.expires = 160, .linger = 160});
}
/// One that another socket holds.
Status RenewItsFlowLabel() {
  const Fd socket(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  return Manage(socket, {.label = htonl(its_label), .action = 2 /* IPV6_FL_A_RENEW */, .share = 0 /* IPV6_FL_S_NONE */, .flags = 0, .expires = 10, .linger = 10});
}

// --- unix(7): SCM_CREDENTIALS, SCM_RIGHTS

Fd other_end;
void MakeAPair(World& world) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) < 0) throw SetupFailure(ErrnoError("socketpair").ToString(), std::source_location::current());
  world.socket = Fd(pair[0]);
  other_end = Fd(pair[1]);
}
void MakeANamedSocket(World& world) {
  world.socket = SETUP_OK(world.ns->Socket(AF_UNIX, SOCK_DGRAM));
  sockaddr_un address{AF_UNIX, "/tmp/its-socket"};
  ::unlink(address.sun_path);
  if (::bind(world.socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0)
    throw SetupFailure(ErrnoError("bind of a named socket").ToString(), std::source_location::current());
}
Status Claim(World& world, std::function<void(ucred&)> change) {
  ucred who{::getpid(), ::geteuid(), ::getegid()};
  change(who);
  return SendWith(world.socket, nullptr, 0, SOL_SOCKET, SCM_CREDENTIALS, who, "SCM_CREDENTIALS");
}
void NeedManyUsers() {
  if (!IsRealRoot()) throw MissingNeed("needs-root", "an ordinary user has no other user's id to claim");
}
/// More descriptors in flight than the process may have open.
Status SendManyDescriptors(World& world) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = 4;
  if (::setrlimit(RLIMIT_NOFILE, &limit) < 0) return ErrnoError("setrlimit");
  const int fd = world.ns->fd();
  for (int i = 0; i < 8; ++i) RETURN_IF_ERROR(SendWith(world.socket, nullptr, 0, SOL_SOCKET, SCM_RIGHTS, fd, "SCM_RIGHTS"));
  return Ok();
}

// --- sock_diag(7)

constexpr std::uint16_t kPort = 4711;
void MakeAMarkedSocket(World& world, int type) {
  world.socket = SETUP_OK(world.ns->Socket(AF_INET, type));
  sockaddr address = Ipv4(INADDR_LOOPBACK);
  reinterpret_cast<sockaddr_in&>(address).sin_port = htons(kPort);
  if (::setsockopt(world.socket.get(), SOL_SOCKET, SO_MARK, &kMark, sizeof kMark) < 0 ||
      ::bind(world.socket.get(), &address, sizeof address) < 0 || (type == SOCK_STREAM && ::listen(world.socket.get(), 1) < 0))
    throw SetupFailure(ErrnoError("a socket with a mark").ToString(), std::source_location::current());
}
inet_diag_req_v2 ItsSocket(int protocol) {
  inet_diag_req_v2 request{};
  request.sdiag_family = AF_INET;
  request.sdiag_protocol = static_cast<std::uint8_t>(protocol);
  request.idiag_states = ~0U;
  request.id.idiag_sport = htons(kPort);
  request.id.idiag_src[0] = htonl(INADDR_LOOPBACK);
  request.id.idiag_cookie[0] = request.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  return request;
}
/// ENODATA where the socket is told of, without its mark.
Status FindItsMark(const std::vector<Message>& messages) {
  for (const Message& message : messages) {
    if (message.Header<inet_diag_msg>().id.idiag_sport != htons(kPort)) continue;
    const auto mark = message.AttributesAfter<inet_diag_msg>().U32(15 /* INET_DIAG_MARK */);
    if (!mark) return Error{ENODATA, "asking for the mark of a socket"};
    EXPECT_EQ(*mark, kMark);
    return Ok();
  }
  return Error{ENOENT, "asking for a socket"};
}
Step MarkInAList(const char* name, int protocol) {
  return {name, [=](World&) -> Status {
            ASSIGN_OR_RETURN(NetlinkSocket diag, NetlinkSocket::Open(NETLINK_SOCK_DIAG));
            inet_diag_req_v2 request = ItsSocket(protocol);
            request.id = {};
            ASSIGN_OR_RETURN(auto messages, diag.Dump(Request(SOCK_DIAG_BY_FAMILY).Header(request).Named("list sockets")));
            return FindItsMark(messages);
          }};
}
Step MarkOfOne(const char* name, int protocol) {
  return {name, [=](World&) -> Status {
            ASSIGN_OR_RETURN(NetlinkSocket diag, NetlinkSocket::Open(NETLINK_SOCK_DIAG));
            inet_diag_req_v2 request = ItsSocket(protocol);
            if (protocol == IPPROTO_UDP) {  // which is asked for with its two ends the other way round
              std::swap(request.id.idiag_sport, request.id.idiag_dport);
              std::swap(request.id.idiag_src, request.id.idiag_dst);
            }
            ASSIGN_OR_RETURN(Message message, diag.Get(Request(SOCK_DIAG_BY_FAMILY).Header(request).Named("ask for a socket")));
            std::vector<Message> messages;
            messages.push_back(std::move(message));
            return FindItsMark(messages);
          }};
}
/// A filter for sockets by their mark, which would tell the mark of any.
Status FilterByMark() {
  ASSIGN_OR_RETURN(NetlinkSocket diag, NetlinkSocket::Open(NETLINK_SOCK_DIAG));
  inet_diag_req_v2 request = ItsSocket(IPPROTO_TCP);
  request.id = {};
  const struct {
    inet_diag_bc_op operation;
    std::uint32_t mark, mask;
  } filter{{10 /* INET_DIAG_BC_MARK_COND */, sizeof filter, sizeof filter + 4}, kMark, ~0U};
  return Discard(diag.Dump(Request(SOCK_DIAG_BY_FAMILY).Header(request).Structure(INET_DIAG_REQ_BYTECODE, filter).Named("list sockets by their mark")));
}
Status DestroyItsSocket() {
  ASSIGN_OR_RETURN(NetlinkSocket diag, NetlinkSocket::Open(NETLINK_SOCK_DIAG));
  return diag.Ack(Request(21 /* SOCK_DESTROY */).Header(ItsSocket(IPPROTO_TCP)).Named("destroy a socket"));
}
void MakeAFilteringSocket(World& world) {
  world.socket = SETUP_OK(world.ns->Socket(AF_PACKET, SOCK_RAW, 0));
  struct {
    std::uint16_t code;
    std::uint8_t jt, jf;
    std::uint32_t k;
  } all{6 /* BPF_RET | BPF_K */, 0, 0, 0xFFFF};
  const struct {
    unsigned short length;
    void* filter;
  } program{1, &all};
  SETUP_OK(Set(world.socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program, "SO_ATTACH_FILTER"));
}
Status AskForItsFilter() {
  ASSIGN_OR_RETURN(NetlinkSocket diag, NetlinkSocket::Open(NETLINK_SOCK_DIAG));
  packet_diag_req request{};
  request.sdiag_family = AF_PACKET;
  request.pdiag_show = PACKET_SHOW_FILTER;
  ASSIGN_OR_RETURN(auto messages, diag.Dump(Request(SOCK_DIAG_BY_FAMILY).Header(request).Named("list packet sockets")));
  if (messages.empty()) return Error{ENOENT, "asking for a packet socket"};
  const auto filter = messages[0].AttributesAfter<packet_diag_msg>().Raw(PACKET_DIAG_FILTER);
  if (!filter || filter->empty()) return Error{ENODATA, "asking for the filter of a packet socket"};
  return Ok();
}

std::vector<Operation> Operations() {
  constexpr auto kInside = From::kInside;
  constexpr auto kNone = Effect::kNone;
  auto row = [](const char* name, const Rights& rights, std::vector<Step> steps, std::function<void(World&)> prepare = {},
                const char* config = "INET") {
    return Operation{name, {"USER-28", "SOCK-22"}, From::kInside, rights, Effect::kNone, All(std::move(steps)), std::move(prepare), config};
  };
  // A socket stays with the namespace in which it was made, whoever has it, and at home most are root: the owner of the socket's
  // namespace is asked, and neither that of the namespace in which the process is nor its own.
  auto by_socket_of_roots = [](const char* name, const Rights& rights, std::vector<Step> steps, std::function<void(World&)> prepare,
                               const char* config = "INET") {
    return Operation{name, {"USER-28", "SOCK-22", "SOCK-14"}, From::kHome, rights, Effect::kNone, All(std::move(steps)), std::move(prepare), config};
  };
  const auto xfrm = [](const Step& step) {  // no policy that is one: what matters is who is told so
    return Step{step.name, [=](World& world) { return Heard(step.attempt(world), {EINVAL, EOPNOTSUPP, ENOPROTOOPT}); }};
  };
  return {
      // socket(7): "requires the CAP_NET_ADMIN or CAP_NET_RAW (since Linux 5.17) capability"
      row("SetTheMarkOfASocket", kNetAdminOrRaw, {Option("SO_MARK", AF_INET, SOCK_DGRAM, SOL_SOCKET, SO_MARK, 7)}),
      row("MarkOnePacket", kNetAdminOrRaw, {{"SO_MARK", [](World&) { return SendIpv4With(SO_MARK, 7, "SO_MARK"); }}}, BringLoopbackUp),
      // socket(7): "Setting a priority outside the range 0 to 6 requires the CAP_NET_ADMIN capability."
      row("SetAHighPriorityOfASocket", kNetAdminOrRaw,
          {Option("SO_PRIORITY 7", AF_INET, SOCK_DGRAM, SOL_SOCKET, kSoPriority, 7),
           Option("SO_PRIORITY -1", AF_INET, SOCK_DGRAM, SOL_SOCKET, kSoPriority, -1)}),
      {"PrioritizeOnePacket", {"USER-28"}, kInside, kNetAdminOrRaw, kNone,
       [](World&) { return SendIpv4With(kSoPriority, 7, "SO_PRIORITY"); }, BringLoopbackUp, "INET", nullptr, false,
       [] {
         if (SendIpv4With(kSoPriority, 1, "SO_PRIORITY").code() == EINVAL)
           throw MissingNeed("needs-feature:SO_PRIORITY-of-one-packet", "SO_PRIORITY as a control message, since Linux 6.14", "", LinuxVersion{6, 14});
       }},
      // socket(7): "a privileged (CAP_NET_ADMIN) process" may exceed the limits, which are the machine's; capabilities(7).
      {"ForceTheBuffersOfASocket", {"USER-28"}, kInside, kInitial, kNone,
       All({Option("SO_SNDBUFFORCE", AF_INET, SOCK_DGRAM, SOL_SOCKET, SO_SNDBUFFORCE, 65536),
            Option("SO_RCVBUFFORCE", AF_INET, SOCK_DGRAM, SOL_SOCKET, SO_RCVBUFFORCE, 65536)}), {}, "INET", &kRefused},
      // socket(7): "allowed only for processes with the CAP_NET_ADMIN capability or an effective user ID of 0"
      {"DebugASocket", {"USER-28"}, kInside, kInitialFile, kNone, All({Option("SO_DEBUG", AF_INET, SOCK_STREAM, SOL_SOCKET, SO_DEBUG, 1)}), {}, "INET",
       &kRefusedFile},
      // Unbound sockets may be bound to a device by anybody since Linux 5.7; one that is bound already stays there.
      by_socket_of_roots("BindABoundSocketToAnotherDevice", kOtherCap,
          {{"SO_BINDTODEVICE", [](World& world) { return BindToDevice(world, "its0"); }},
           {"SO_BINDTODEVICE of none", [](World& world) { return BindToDevice(world, ""); }}},
          [](World& world) {
            AddIts0(world);
            MakeASocket(AF_INET, SOCK_DGRAM, 0)(world);
            SETUP_OK(BindToDevice(world, "lo"));
          }),
      {"PreferBusyPolling", {"USER-28"}, kInside, kInitial, kNone,
       All({Option("SO_PREFER_BUSY_POLL", AF_INET, SOCK_DGRAM, SOL_SOCKET, kSoPreferBusyPoll, 1),
            Option("SO_BUSY_POLL_BUDGET", AF_INET, SOCK_DGRAM, SOL_SOCKET, kSoBusyPollBudget, 100)}), {}, "NET_RX_BUSY_POLL", &kRefused, false,
       [] {
         const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
         const int off = 0;
         if (Set(socket, SOL_SOCKET, kSoPreferBusyPoll, &off, sizeof off, "SO_PREFER_BUSY_POLL").code() == ENOPROTOOPT)
           throw MissingNeed("needs-feature:SO_PREFER_BUSY_POLL", "SO_PREFER_BUSY_POLL, since Linux 5.11", "", LinuxVersion{5, 11});
       }},
      // tc-etf(8): by the clock of a card, unlike the monotonic one
      row("SendAtTimesOfAnotherClock", kNetAdmin, {{"SO_TXTIME", [](World&) { return SendAt(CLOCK_TAI); }}}),
      {"SendAtTimesOfTheMonotonicClock", {"USER-28"}, kInside, kEverybody, kNone, [](World&) { return SendAt(CLOCK_MONOTONIC); }, {}, "INET"},
      // ip(7), capabilities(7): CAP_NET_ADMIN, or CAP_NET_RAW "bind to any address for transparent proxying"
      by_socket_of_roots("SetOptionsOfASocketOfRoots", kNetAdminOrRaw,
                         {OptionOfRoots("SO_MARK", SOL_SOCKET, SO_MARK, 7), OptionOfRoots("SO_PRIORITY", SOL_SOCKET, kSoPriority, 7),
                          OptionOfRoots("IP_TRANSPARENT", IPPROTO_IP, kIpTransparent, 1),
                          {"SO_MARK of one packet",
                           [](World& world) {
                             const std::uint32_t mark = 7;
                             sockaddr to = Ipv4(INADDR_LOOPBACK);
                             reinterpret_cast<sockaddr_in&>(to).sin_port = htons(9);
                             return SendWith(world.socket, &to, sizeof to, SOL_SOCKET, SO_MARK, mark, "SO_MARK");
                           }}},
                         [](World& world) {
                           BringLoopbackUp(world);
                           MakeASocket(AF_INET, SOCK_DGRAM, 0)(world);
                         }),
      by_socket_of_roots("SetOptionsOfAnIpv6SocketOfRoots", kOtherCap,
                         {OptionOfRoots("IPV6_TRANSPARENT", IPPROTO_IPV6, kIpv6Transparent, 1),
                          {"IPV6_HOPOPTS", [](World& world) { return Set(world.socket, IPPROTO_IPV6, kIpv6HopOptions, kPadding, sizeof kPadding, "IPV6_HOPOPTS"); }}},
                         MakeASocket(AF_INET6, SOCK_DGRAM, 0), "IPV6"),
      by_socket_of_roots("SetTheIpsecPolicyOfASocketOfRoots", kNetAdmin, {xfrm(OptionOfRoots("IP_XFRM_POLICY", IPPROTO_IP, kIpXfrmPolicy, 0))},
                         MakeASocket(AF_INET, SOCK_DGRAM, 0)),
      by_socket_of_roots("BindASocketOfRootsToAPrivilegedPort", kOtherCapFile,
                         {{"bind", [](World& world) -> Status {
                             sockaddr address = Ipv4(INADDR_ANY);
                             reinterpret_cast<sockaddr_in&>(address).sin_port = htons(80);
                             if (::bind(world.socket.get(), &address, sizeof address) < 0) return ErrnoError("bind to port 80");
                             return Ok();
                           }}},
                         MakeASocket(AF_INET, SOCK_STREAM, 0)),
      row("MakeASocketTransparent", kOtherCap, {Option("IP_TRANSPARENT", AF_INET, SOCK_STREAM, IPPROTO_IP, kIpTransparent, 1)}),
      row("MakeAnIpv6SocketTransparent", kOtherCap, {Option("IPV6_TRANSPARENT", AF_INET6, SOCK_STREAM, IPPROTO_IPV6, kIpv6Transparent, 1)}, {}, "IPV6"),
      row("SetTheIpsecPolicyOfASocket", kNetAdmin, {xfrm(Option("IP_XFRM_POLICY", AF_INET, SOCK_DGRAM, IPPROTO_IP, kIpXfrmPolicy, 0)),
                                                    xfrm(Option("IP_IPSEC_POLICY", AF_INET, SOCK_DGRAM, IPPROTO_IP, 16, 0))}),
      row("SetTheIpsecPolicyOfAnIpv6Socket", kNetAdmin, {xfrm(Option("IPV6_XFRM_POLICY", AF_INET6, SOCK_DGRAM, IPPROTO_IPV6, kIpv6XfrmPolicy, 0)),
                                                         xfrm(Option("IPV6_IPSEC_POLICY", AF_INET6, SOCK_DGRAM, IPPROTO_IPV6, 34, 0))}, {}, "IPV6"),
      // RFC 3542, 8 and 9: options of privileged processes
      row("SetIpv6HeaderOptionsOfASocket", kOtherCap,
          {StickyOption("IPV6_HOPOPTS", kIpv6HopOptions), StickyOption("IPV6_RTHDRDSTOPTS", kIpv6OptionsBeforeRouting),
           StickyOption("IPV6_DSTOPTS", kIpv6DestinationOptions)}, {}, "IPV6"),
      row("SetIpv6HeaderOptionsOfOnePacket", kOtherCap,
          {OptionOfOnePacket("IPV6_HOPOPTS", kIpv6HopOptions), OptionOfOnePacket("IPV6_DSTOPTS", kIpv6DestinationOptions)}, BringLoopbackUp, "IPV6"),
      row("JoinAnIpv6AnycastGroup", kNetAdmin, {{"IPV6_JOIN_ANYCAST", JoinAnycast}},
          [](World& world) {
            AddIts0(world);
            SETUP_OK(world.root().Up("its0"));
            if (Status added = world.root().AddAddress("2001:db8:9::1/64", "its0", {.nodad = true}); added.code() != EEXIST) SETUP_OK(std::move(added));
          }, "IPV6"),
      // tcp(7), TCP_CONGESTION: "Unprivileged processes are limited to choosing one of the algorithms in
      // tcp_allowed_congestion_control. Privileged processes (CAP_NET_ADMIN) can choose from any of the available ones."
      {"ChooseARestrictedCongestionControl", {"USER-28", "SYSCTL-12"}, kInside, kNetAdmin, kNone,
       [](World&) { return ChooseCongestionControl(RestrictedCongestionControl()); }, {}, "INET", nullptr, false, [] { RestrictedCongestionControl(); }},
      {"ChooseAnAllowedCongestionControl", {"USER-28", "SYSCTL-12"}, kInside, kEverybody, kNone,
       [](World&) { return ChooseCongestionControl("reno"); }, {}, "INET"},
      {"MakeALongFlowLabel", {"USER-28"}, kInside, kInitial, kNone, [](World&) { return MakeALongFlowLabel(); }, {}, "IPV6", &kRefused},
      row("RenewAFlowLabelOfAnotherSocket", kFound, {{"IPV6_FL_A_RENEW", [](World&) { return RenewItsFlowLabel(); }}}, MakeAFlowLabel, "IPV6"),
      row("RepairATcpConnection", kNetAdmin, {Option("TCP_REPAIR", AF_INET, SOCK_STREAM, IPPROTO_TCP, kTcpRepair, 1)}),
      // capabilities(7): "modify routing tables"
      by_socket_of_roots("ConfigureMulticastRoutingBySomeSocket", kNetAdminFile, {OptionOfRoots("MRT_ASSERT", IPPROTO_IP, kMrtAssert, 0)},
          MakeASocket(AF_INET, SOCK_RAW, IPPROTO_IGMP), "IP_MROUTE"),
      by_socket_of_roots("ConfigureIpv6MulticastRoutingBySomeSocket", kNetAdminFile, {OptionOfRoots("MRT6_ASSERT", IPPROTO_IPV6, kMrtAssert, 0)},
          MakeASocket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6), "IPV6_MROUTE"),
      // ip(7), ipv6(7), sctp(7): "ports below 1024"
      {"BindAPrivilegedPort", {"USER-09"}, kInside, kOtherCapFile, kNone, All({BindLow("TCP", AF_INET, SOCK_STREAM), BindLow("UDP", AF_INET, SOCK_DGRAM)}),
       {}, "INET"},
      {"BindAPrivilegedIpv6Port", {"USER-09"}, kInside, kOtherCapFile, kNone,
       All({BindLow("TCP", AF_INET6, SOCK_STREAM), BindLow("UDP", AF_INET6, SOCK_DGRAM)}), {}, "IPV6"},
      {"BindAPrivilegedSctpPort", {"USER-09"}, kInside, kOtherCapFile, kNone,
       All({BindLow("one-to-one", AF_INET, SOCK_STREAM, IPPROTO_SCTP), BindLow("one-to-many", AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP)}), {}, "IP_SCTP"},
      {"OpenAnXdpSocket", {"USER-08", "SOCK-25"}, kInside, kOtherCap, kNone, [](World&) { return OpenSocket(kAfXdp, SOCK_RAW, 0); }, {}, "XDP_SOCKETS"},
      {"OpenARawIpv6Socket", {"USER-08"}, kInside, kOtherCap, kNone,
       All({{"IPPROTO_UDP", [](World&) { return OpenSocket(AF_INET6, SOCK_RAW, IPPROTO_UDP); }},
            {"IPPROTO_ICMPV6", [](World&) { return OpenSocket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6); }}}), {}, "IPV6"},

      // include/uapi/linux/un.h: gives the file of a socket's name
      {"OpenTheFileOfASocket", {"USER-07"}, From::kHome, kNetAdmin, kNone,
       [](World& world) -> Status {
         const Fd file(::ioctl(world.socket.get(), 0x89E0 /* SIOCUNIXFILE */));
         if (!file.valid()) return ErrnoError("ioctl(SIOCUNIXFILE)");
         return Ok();
       },
       MakeANamedSocket, "UNIX"},
      // unix(7): who sends credentials must name its own ids, unless it has CAP_SYS_ADMIN, CAP_SETUID or CAP_SETGID. User and
      // group are those of the sender's user namespace, and so is the capability; a process id is one of its pid namespace,
      // whose owner decides.
      {"ClaimAnotherUid", {"UNIX-13"}, kInside, kOwnCapability, kNone,
       [](World& world) { return Claim(world, [](ucred& who) { who.uid = 3; }); }, MakeAPair, "UNIX", nullptr, false, NeedManyUsers},
      {"ClaimAnotherGid", {"UNIX-13"}, kInside, kOwnCapability, kNone,
       [](World& world) { return Claim(world, [](ucred& who) { who.gid = 3; }); }, MakeAPair, "UNIX", nullptr, false, NeedManyUsers},
      {"ClaimAnotherPid", {"UNIX-13"}, kInside, kInitial, kNone,
       [](World& world) { return Claim(world, [](ucred& who) { who.pid = 1; }); }, MakeAPair, "UNIX"},
      {"ClaimOnlyWhatIsTrue", {"UNIX-13"}, kInside, kEverybody, kNone,
       [](World& world) { return Claim(world, [](ucred&) {}); }, MakeAPair, "UNIX"},
      // unix(7), ETOOMANYREFS: "the number of "in-flight" file descriptors exceeds the RLIMIT_NOFILE resource limit and the
      // caller does not have the CAP_SYS_RESOURCE capability"
      {"SendManyDescriptors", {"UNIX-13"}, kInside, kTooManyInFlight, kNone, SendManyDescriptors, MakeAPair, "UNIX", &kTooManyInFlight1},

      // ss(8), -K; include/uapi/linux/inet_diag.h: "only with CAP_NET_ADMIN"
      {"DestroyASocket", {"SOCK-20", "USER-07"}, kInside, kNetAdmin, kNone, [](World&) { return DestroyItsSocket(); },
       [](World& world) { MakeAMarkedSocket(world, SOCK_STREAM); }, "INET_DIAG_DESTROY"},
      {"AskForTheMarkOfATcpSocket", {"SOCK-20", "USER-07"}, kInside, kShown, kNone,
       All({MarkInAList("in a list", IPPROTO_TCP), MarkOfOne("of one", IPPROTO_TCP)}),
       [](World& world) { MakeAMarkedSocket(world, SOCK_STREAM); }, "INET_DIAG"},
      {"AskForTheMarkOfAUdpSocket", {"SOCK-20", "USER-07"}, kInside, kShown, kNone,
       All({MarkInAList("in a list", IPPROTO_UDP), MarkOfOne("of one", IPPROTO_UDP)}),
       [](World& world) { MakeAMarkedSocket(world, SOCK_DGRAM); }, "INET_UDP_DIAG"},
      {"ListSocketsByTheirMark", {"SOCK-20", "USER-07"}, kInside, kNetAdmin, kNone, [](World&) { return FilterByMark(); }, {}, "INET_DIAG"},
      {"AskForTheFilterOfAPacketSocket", {"SOCK-20", "USER-07"}, kInside, kShown, kNone, [](World&) { return AskForItsFilter(); }, MakeAFilteringSocket,
       "PACKET_DIAG"},
  };
}

// capabilities(7): each capability alone, in the user namespace that owns the network namespace -----------------------------------

/// Leaves the calling process with these capabilities in effect, of those that it may have.
Status PutIntoEffect(std::uint64_t capabilities) {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  if (::syscall(SYS_capget, &header, data) < 0) return ErrnoError("capget");
  for (int word : {0, 1}) data[word].effective = data[word].permitted & static_cast<std::uint32_t>(capabilities >> (32 * word));
  if (::syscall(SYS_capset, &header, data) < 0) return ErrnoError("capset");
  return Ok();
}

struct Opened {
  Step step;
  std::set<int> by;           ///< Each of them alone opens it, and no other does.
  std::set<int> maybe = {};   ///< Kernels differ.
  std::function<void(World&)> prepare = {};
};
std::vector<Opened> OpenedByCapabilities(bool v6) {
  const int family = v6 ? AF_INET6 : AF_INET;
  const std::set<int> admin{CAP_NET_ADMIN}, raw{CAP_NET_RAW}, either{CAP_NET_ADMIN, CAP_NET_RAW}, service{CAP_NET_BIND_SERVICE};
  const auto xfrm = [](const Step& step) {
    return Step{step.name, [=](World& world) { return Heard(step.attempt(world), {EINVAL, EOPNOTSUPP, ENOPROTOOPT}); }};
  };
  std::vector<Opened> rows;
  for (int type : {SOCK_DGRAM, SOCK_STREAM}) {
    const bool stream = type == SOCK_STREAM;
    // socket(7): "requires the CAP_NET_ADMIN or CAP_NET_RAW (since Linux 5.17) capability"; of the priority: "CAP_NET_ADMIN".
    rows.push_back({Option(stream ? "SO_MARK of a stream" : "SO_MARK", family, type, SOL_SOCKET, SO_MARK, 7), admin, raw});
    rows.push_back({Option(stream ? "SO_PRIORITY 7 of a stream" : "SO_PRIORITY 7", family, type, SOL_SOCKET, kSoPriority, 7), admin, raw});
    rows.push_back({Option(stream ? "SO_PRIORITY -1 of a stream" : "SO_PRIORITY -1", family, type, SOL_SOCKET, kSoPriority, -1), admin, raw});
    // capabilities(7): of both, "bind to any address for transparent proxying"
    rows.push_back({v6 ? Option(stream ? "IPV6_TRANSPARENT of a stream" : "IPV6_TRANSPARENT", family, type, IPPROTO_IPV6, kIpv6Transparent, 1)
                       : Option(stream ? "IP_TRANSPARENT of a stream" : "IP_TRANSPARENT", family, type, IPPROTO_IP, kIpTransparent, 1), either});
    rows.push_back({Option(stream ? "SO_RCVBUFFORCE of a stream" : "SO_RCVBUFFORCE", family, type, SOL_SOCKET, SO_RCVBUFFORCE, 65536), {}});
    rows.push_back({BindLow(stream ? "a port below 1024 of a stream" : "a port below 1024", family, type), service});
    rows.push_back({{stream ? "another device of a stream" : "another device",
                     [=](World&) -> Status {
                       const Fd socket(::socket(family, type | SOCK_CLOEXEC, 0));
                       RETURN_IF_ERROR(Set(socket, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3, "SO_BINDTODEVICE"));
                       return Set(socket, SOL_SOCKET, SO_BINDTODEVICE, "", 1, "SO_BINDTODEVICE of none");
                     }}, raw});
    rows.push_back({xfrm(v6 ? Option("IPV6_XFRM_POLICY", family, type, IPPROTO_IPV6, kIpv6XfrmPolicy, 0) : Option("IP_XFRM_POLICY", family, type, IPPROTO_IP, kIpXfrmPolicy, 0)), admin});
  }
  rows.push_back({Option("TCP_REPAIR", family, SOCK_STREAM, IPPROTO_TCP, kTcpRepair, 1), admin});
  rows.push_back({{"a raw socket", [=](World&) { return OpenSocket(family, SOCK_RAW, IPPROTO_UDP); }}, raw});
  // capabilities(7), CAP_NET_ADMIN: "modify routing tables"
  rows.push_back({v6 ? OptionOfRoots("MRT6_ASSERT", IPPROTO_IPV6, kMrtAssert, 0) : OptionOfRoots("MRT_ASSERT", IPPROTO_IP, kMrtAssert, 0), admin, {},
                  MakeASocket(family, SOCK_RAW, v6 ? int{IPPROTO_ICMPV6} : int{IPPROTO_IGMP})});
  if (v6) {
    // RFC 3542, 8 and 9
    for (const auto& [name, option] : {std::pair("IPV6_HOPOPTS", kIpv6HopOptions), std::pair("IPV6_RTHDRDSTOPTS", kIpv6OptionsBeforeRouting),
                                       std::pair("IPV6_DSTOPTS", kIpv6DestinationOptions)})
      rows.push_back({StickyOption(name, option), raw});
    for (const auto& [name, option] : {std::pair("IPV6_HOPOPTS of one packet", kIpv6HopOptions), std::pair("IPV6_DSTOPTS of one packet", kIpv6DestinationOptions)})
      rows.push_back({OptionOfOnePacket(name, option), raw});
  } else {
    rows.push_back({{"SO_MARK of one packet", [](World&) { return SendIpv4With(SO_MARK, 7, "SO_MARK"); }}, admin, raw});
    rows.push_back({{"SO_TXTIME by another clock", [](World&) { return SendAt(CLOCK_TAI); }}, admin});
    rows.push_back({{"a packet socket", [](World&) { return OpenSocket(AF_PACKET, SOCK_RAW, 0); }}, raw});
  }
  return rows;
}
void EachAloneOpensWhatItIsFor(bool v6) {
  World world(/*with_devices=*/false);
  BringLoopbackUp(world);
  Actor actor = world.Start(kOwnerRoot, /*inside=*/true);
  const auto with = [&](std::uint64_t capabilities, const Step& step) {
    return actor.Run([&]() -> Status {
      SETUP_OK(PutIntoEffect(capabilities));
      Status status = step.attempt(world);
      SETUP_OK(PutIntoEffect(~0ull));
      return status;
    });
  };
  const Step harmless = v6 ? Option("IPV6_V6ONLY", AF_INET6, SOCK_DGRAM, IPPROTO_IPV6, IPV6_V6ONLY, 1) : Option("IP_FREEBIND", AF_INET, SOCK_DGRAM, IPPROTO_IP, 15 /* IP_FREEBIND */, 1);
  EXPECT_OK(with(0, harmless)) << "control: what is for everybody";
  for (const Opened& row : OpenedByCapabilities(v6)) {
    SCOPED_TRACE(row.step.name);
    if (row.prepare) row.prepare(world);
    const Status all = with(~0ull, row.step);
    const int code = all.code();
    if (code == ENOPROTOOPT || code == EOPNOTSUPP || code == EAFNOSUPPORT || code == EPROTONOSUPPORT) continue;  // not in this kernel
    if (row.by.empty()) {
      EXPECT_FALSE(all.ok()) << "it takes a capability of the initial user namespace";
    } else {
      EXPECT_OK(all) << "control: root of the owner, with all capabilities";
    }
    std::set<int> opened;
    for (int each = 0; each <= 40 /* CAP_CHECKPOINT_RESTORE */; ++each) {
      if (row.maybe.contains(each)) continue;
      const Status status = with(1ull << each, row.step);
      if (status.ok()) opened.insert(each);
      else EXPECT_TRUE(status.code() == EPERM || status.code() == EACCES) << "with capability " << each << ": " << status.error().ToString();
    }
    EXPECT_EQ(opened, row.by) << "the numbers of the capabilities (linux/capability.h) each of which opens it alone, in the user namespace of the owner";
    // All others together do not.
    std::uint64_t others = ~0ull;
    for (const std::set<int>* set : {&row.by, &row.maybe})
      for (int each : *set) others &= ~(1ull << each);
    EXPECT_THAT(with(others, row.step), testing::AnyOf(FailsWith(EPERM), FailsWith(EACCES))) << "all capabilities but those";
  }
}
const bool alone_registered = [] {
  for (bool v6 : {false, true})
    RegisterBody("UserRights", std::string("EachCapabilityAloneOpensWhatItIsFor/") + (v6 ? "Ipv6" : "Ipv4"), __FILE__, __LINE__, [v6] { EachAloneOpensWhatItIsFor(v6); },
                 Covers("USER-28", "SOCK-22", "USER-08", "USER-09"), Needs(UserNs(), Config(v6 ? "IPV6" : "INET")));
  return true;
}();

const bool registered = RegisterOperations(Operations(), /*with_devices=*/false, __FILE__, __LINE__);

}  // namespace
}  // namespace netns::rights
