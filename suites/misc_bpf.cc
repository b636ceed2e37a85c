// SPDX-License-Identifier: GPL-2.0-or-later
// MISC: BPF programs that belong to a network namespace (socket lookup, flow dissection), what keeps them attached, and
// which namespace they are told of.
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "fixtures/bpf.h"
#include "fixtures/nic.h"
#include "fixtures/sockets.h"
#include "suites/support/in_namespace.h"
#include "suites/support/watched.h"

namespace netns {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint16_t kAsked = 7777, kServed = 8888;

/// What a kernel that does not know the program type or the way of attaching says (EINVAL), as MISS.
template <class T>
T NeedsBpf(Result<T> result, const char* what) {
  if (!result.ok() && (result.code() == EINVAL || result.code() == EOPNOTSUPP))
    throw MissingNeed("needs-feature:bpf", std::string("this kernel has no ") + what + ": " + result.error().ToString());
  return SetupOk(std::move(result), what);
}
Fd LookupProgram(bpf::Code code) {
  return NeedsBpf(LoadBpf({BPF_PROG_TYPE_SK_LOOKUP, BPF_SK_LOOKUP, std::move(code)}), "programs for socket lookup");
}
/// What asks for port kAsked gets the socket of `sockets`, whatever its port.
Fd SteeringProgram(const Fd& sockets) {
  using namespace bpf;
  const Code steer = Join({FindElement(sockets, Return(SK_PASS)),
                           {Move(BPF_REG_7, BPF_REG_0), Move(BPF_REG_1, BPF_REG_6), Move(BPF_REG_2, BPF_REG_0),
                            Set(BPF_REG_3, 0), Call(BPF_FUNC_sk_assign), Move(BPF_REG_1, BPF_REG_7), Call(BPF_FUNC_sk_release)}});
  return LookupProgram(Join({{Move(BPF_REG_6, BPF_REG_1), Load(BPF_W, BPF_REG_2, BPF_REG_1, offsetof(bpf_sk_lookup, local_port)),
                              SkipUnlessEqual(BPF_REG_2, kAsked, static_cast<int>(steer.size()))},
                             steer,
                             Return(SK_PASS)}));
}
/// Refuses what asks for a port.
Fd RefusingProgram(std::uint16_t port) {
  using namespace bpf;
  return LookupProgram(Join({{Load(BPF_W, BPF_REG_2, BPF_REG_1, offsetof(bpf_sk_lookup, local_port)), SkipIfEqual(BPF_REG_2, port, 2)},
                             Return(SK_PASS), Return(SK_DROP)}));
}

/// A namespace with a listener that only a program makes reachable by port kAsked.
struct Served {
  explicit Served(const std::string& loopback) : address(loopback) { Start(); }
  Served(NetNamespace existing, const std::string& loopback) : ns(std::move(existing)), address(loopback) { Start(); }
  void Start() {
    LoopbackUp(ns);
    listener = SETUP_OK(TcpListen(ns, Inet(address, kServed)));
    sockets = SETUP_OK(CreateBpfMap(BPF_MAP_TYPE_SOCKMAP, 8));
    SETUP_OK(SetBpfElement(sockets, 0, static_cast<std::uint64_t>(listener.get())));
  }
  Status Ask(std::uint16_t port) const {
    ASSIGN_OR_RETURN(const Fd client, TcpConnect(ns, Inet(address, port)));
    RETURN_IF_ERROR(Accept(listener));
    return Ok();
  }

  NetNamespace ns = NetNamespace::Create();
  std::string address;
  Fd listener, sockets;
};

// Documentation/bpf/prog_sk_lookup.rst: "... attached to a network namespace ... Programs ... are invoked in the same order
// as they were attached".
void LookupProgramsActInTheirNamespace(const char* loopback) {
  Served a(loopback), b(loopback), nested(a.ns.In([] { return NetNamespace::Create(); }), loopback);
  EXPECT_THAT(a.Ask(kAsked), FailsWith(ECONNREFUSED)) << "control: nobody listens on this port";
  const Fd steers_a = SteeringProgram(a.sockets), steers_b = SteeringProgram(b.sockets);
  const Fd in_a = NeedsBpf(LinkBpf(steers_a, a.ns.fd(), BPF_SK_LOOKUP), "links to a network namespace");
  EXPECT_OK(a.Ask(kAsked)) << "control: the program sends it to the listener";
  EXPECT_THAT(b.Ask(kAsked), FailsWith(ECONNREFUSED)) << "another namespace";
  EXPECT_THAT(nested.Ask(kAsked), FailsWith(ECONNREFUSED)) << "one created from inside";
  {
    const Fd in_b = SETUP_OK(LinkBpf(steers_b, b.ns.fd(), BPF_SK_LOOKUP));
    EXPECT_OK(b.Ask(kAsked)) << "by its own program";
    EXPECT_OK(a.Ask(kAsked));
  }
  EXPECT_EVENTUALLY("b's program to be detached with its link", [&] { return b.Ask(kAsked).code() == ECONNREFUSED; });
  EXPECT_OK(a.Ask(kAsked)) << "the program of a went with that of b";
  // A second program, which refuses what the first lets pass; the order is that of attaching.
  const Fd refuses = RefusingProgram(kServed);
  EXPECT_OK(a.Ask(kServed)) << "control: before it is attached";
  const Fd second = SETUP_OK(LinkBpf(refuses, a.ns.fd(), BPF_SK_LOOKUP));
  EXPECT_THAT(a.Ask(kServed), FailsWith(ECONNREFUSED)) << "control: after";
  EXPECT_OK(b.Ask(kServed));
  EXPECT_OK(nested.Ask(kServed));
  const std::uint32_t first_id = SETUP_OK(GetBpfProgramId(steers_a)), second_id = SETUP_OK(GetBpfProgramId(refuses));
  EXPECT_THAT(AttachedBpf(a.ns.fd(), BPF_SK_LOOKUP), Holds(ElementsAre(first_id, second_id)));
  EXPECT_THAT(AttachedBpf(b.ns.fd(), BPF_SK_LOOKUP), Holds(IsEmpty()));
  EXPECT_THAT(AttachedBpf(nested.ns.fd(), BPF_SK_LOOKUP), Holds(IsEmpty()));
  // Only a network namespace can be the target.
  const Fd uts = SETUP_OK(Open("/proc/self/ns/uts", O_RDONLY));
  EXPECT_THAT(LinkBpf(steers_b, uts.get(), BPF_SK_LOOKUP), FailsWith(EINVAL));
  EXPECT_THAT(LinkBpf(steers_b, a.listener.get(), BPF_SK_LOOKUP), FailsWith(EINVAL));
  EXPECT_THAT(LinkBpf(steers_b, 999, BPF_SK_LOOKUP), FailsWith(EBADF));
}
NETNS_TEST(Misc, SocketLookupProgramsActInTheirNamespaceOverIpv4, Covers("MISC-01"), Needs(Root(), Config("BPF_SYSCALL"))) {
  LookupProgramsActInTheirNamespace(kLoopback4);
}
NETNS_TEST(Misc, SocketLookupProgramsActInTheirNamespaceOverIpv6, Covers("MISC-01"), Needs(Root(), Config("BPF_SYSCALL"), Config("IPV6"))) {
  LookupProgramsActInTheirNamespace(kLoopback6);
}

// prog_sk_lookup.rst: "... when a connection is received (TCP), or when the stack looks up a socket for a datagram (UDP)".
void LookupProgramsActOnDatagrams(const char* loopback) {
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  const auto arrives = [&](const NetNamespace& ns, std::uint16_t port) -> Result<bool> {
    LoopbackUp(ns);
    ASSIGN_OR_RETURN(const Fd receiver, UdpBind(ns, Inet(loopback, port)));
    ASSIGN_OR_RETURN(const Fd client, ns.Socket(Inet(loopback).family(), SOCK_DGRAM));
    RETURN_IF_ERROR(Connect(client, Inet(loopback, port)));
    RETURN_IF_ERROR(Send(client, "x"));
    // It is there, or its refusal is.
    pollfd either[] = {{receiver.get(), POLLIN, 0}, {client.get(), POLLIN, 0}};
    if (::poll(either, 2, Deadline::In(std::chrono::seconds(10)).PollMs()) <= 0) return Error{ETIMEDOUT, "waiting for a datagram or its refusal"};
    return Readable(receiver);
  };
  const Fd refuses = RefusingProgram(kServed);
  for (const NetNamespace* ns : {&a, &b}) EXPECT_THAT(arrives(*ns, kServed), Holds(true)) << "control: without a program";
  for (auto [in, other, which] : {std::tuple(&a, &b, "the older"), std::tuple(&b, &a, "the younger")}) {
    SCOPED_TRACE(std::string("attached to ") + which + " namespace");
    const Fd link = NeedsBpf(LinkBpf(refuses, in->fd(), BPF_SK_LOOKUP), "links to a network namespace");
    EXPECT_THAT(arrives(*other, kServed), Holds(true)) << "a program of another namespace refused a datagram";
    EXPECT_THAT(arrives(*in, kServed), Holds(false)) << "control: the program refuses it";
    EXPECT_THAT(arrives(*in, kAsked), Holds(true)) << "control: another port";
  }
}
NETNS_TEST(Misc, SocketLookupProgramsActOnDatagramsOfTheirNamespaceOverIpv4, Covers("MISC-01"), Needs(Root(), Config("BPF_SYSCALL"))) {
  LookupProgramsActOnDatagrams(kLoopback4);
}
NETNS_TEST(Misc, SocketLookupProgramsActOnDatagramsOfTheirNamespaceOverIpv6, Covers("MISC-01"), Needs(Root(), Config("BPF_SYSCALL"), Config("IPV6"))) {
  LookupProgramsActOnDatagrams(kLoopback6);
}

// Documentation/bpf/prog_flow_dissector.rst.
Fd CountingDissector(const Fd& count) {
  return NeedsBpf(LoadBpf({BPF_PROG_TYPE_FLOW_DISSECTOR, 0, bpf::CountAndReturn(count, BPF_OK)}), "flow dissectors");
}
std::uint64_t Count(const Fd& count) { return SETUP_OK(GetBpfElement(count)); }

/// Has the flow of a packet taken apart: two packet sockets that share the packets of lo by the hash of the flow.
void DissectOnce(const NetNamespace& ns) {
  LoopbackUp(ns);
  const int fanout = PACKET_FANOUT_HASH << 16 | 77;
  std::vector<Fd> sockets;
  for (int i = 0; i < 2; ++i) {
    sockets.push_back(SETUP_OK(PacketSocket(ns, 1, ETH_P_IP)));
    SETUP_OK(SetSockOpt(sockets.back(), SOL_PACKET, PACKET_FANOUT, fanout));
  }
  const Fd receiver = SETUP_OK(UdpBind(ns, Inet(kLoopback4, 9))), sender = SETUP_OK(ns.Socket(AF_INET, SOCK_DGRAM));
  SETUP_OK(SendTo(sender, "x", Inet(kLoopback4, 9)));
  SETUP_OK(Receive(receiver));
}

/// `dissector`, which counts in `seen`, is attached in `a` alone.
void ExpectDissectorOfOneNamespace(const NetNamespace& a, const NetNamespace& b, const Fd& dissector, const Fd& seen) {
  DissectOnce(b);
  EXPECT_EQ(Count(seen), 0u) << "a packet of another namespace";
  DissectOnce(a);
  EXPECT_GT(Count(seen), 0u) << "control: a packet of its own";
  const std::uint32_t id = SETUP_OK(GetBpfProgramId(dissector));
  EXPECT_THAT(AttachedBpf(a.fd(), BPF_FLOW_DISSECTOR), Holds(ElementsAre(id)));
  EXPECT_THAT(AttachedBpf(b.fd(), BPF_FLOW_DISSECTOR), Holds(IsEmpty()));
}

NETNS_TEST(Misc, FlowDissectorsActInTheirNamespace, Covers("MISC-01"), Needs(Root(), Config("BPF_SYSCALL"), Config("PACKET"))) {
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  const Fd seen = SETUP_OK(CreateBpfMap(BPF_MAP_TYPE_ARRAY, 8));
  const Fd dissector = CountingDissector(seen);
  {
    const Fd link = NeedsBpf(LinkBpf(dissector, a.fd(), BPF_FLOW_DISSECTOR), "links to a network namespace");
    ExpectDissectorOfOneNamespace(a, b, dissector, seen);
    EXPECT_FALSE(LinkBpf(dissector, a.fd(), BPF_FLOW_DISSECTOR).ok()) << "control: one namespace has one";
    EXPECT_OK(LinkBpf(dissector, b.fd(), BPF_FLOW_DISSECTOR)) << "and another its own";
  }
  EXPECT_OK(Eventually("the dissector to be detached", [&] { return AttachedBpf(a.fd(), BPF_FLOW_DISSECTOR)->empty(); }));
}

// The older way names no namespace: the program goes to that of the process.
NETNS_TEST(Misc, AFlowDissectorIsAttachedInTheNamespaceOfTheProcess, Covers("MISC-01"),
           Needs(Machine(), Config("BPF_SYSCALL"), Config("PACKET")), Exclusive{}) {
  auto initial = InitialNetNamespace(), a = NetNamespace::Create(), b = NetNamespace::Create();
  const Fd seen = SETUP_OK(CreateBpfMap(BPF_MAP_TYPE_ARRAY, 8));
  const Fd dissector = CountingDissector(seen);
  const auto detach = [&] { return DetachBpf(dissector, 0, BPF_FLOW_DISSECTOR); };
  ASSERT_OK(a.In([&] { return AttachBpf(dissector, 0, BPF_FLOW_DISSECTOR); }));
  ExpectDissectorOfOneNamespace(a, b, dissector, seen);
  EXPECT_THAT(AttachedBpf(initial.fd(), BPF_FLOW_DISSECTOR), Holds(IsEmpty()));
  EXPECT_THAT(b.In(detach), FailsWith(ENOENT)) << "there is none in this namespace";
  EXPECT_THAT(initial.In(detach), FailsWith(ENOENT)) << "nor in the initial one";
  EXPECT_OK(a.In(detach)) << "control";
}

NETNS_TEST(Misc, AFlowDissectorOfTheInitialNamespaceExcludesOthers, Covers("MISC-02"),
           Needs(Machine(), Config("BPF_SYSCALL"), Config("PACKET")), Exclusive{}) {
  auto initial = InitialNetNamespace();
  auto a = NetNamespace::Create();
  const Fd seen = SETUP_OK(CreateBpfMap(BPF_MAP_TYPE_ARRAY, 8)), seen_too = SETUP_OK(CreateBpfMap(BPF_MAP_TYPE_ARRAY, 8));
  const Fd dissector = CountingDissector(seen), another = CountingDissector(seen_too);
  {
    const Fd everywhere = NeedsBpf(LinkBpf(dissector, initial.fd(), BPF_FLOW_DISSECTOR), "links to a network namespace");
    EXPECT_THAT(LinkBpf(another, a.fd(), BPF_FLOW_DISSECTOR), FailsWith(EEXIST));
    DissectOnce(a);
    EXPECT_GT(Count(seen), 0u) << "that of the initial namespace is for all";
  }
  Result<Fd> here = Error{EEXIST, "not tried"};
  ASSERT_OK(Eventually("an attachment once the machine-wide one is gone", [&] {
    here = LinkBpf(another, a.fd(), BPF_FLOW_DISSECTOR);
    return here.code() != EEXIST;
  })) << "control";
  ASSERT_OK(here) << "control: without a machine-wide one";
  EXPECT_THAT(LinkBpf(dissector, initial.fd(), BPF_FLOW_DISSECTOR), FailsWith(EEXIST)) << "and the other way around";
}

// kernel/bpf/net_namespace.c: a link does not keep the namespace, and goes on as one to nothing.
NETNS_TEST(Misc, BpfLinksDoNotKeepANamespaceAlive, Covers("MISC-03"), Needs(Root(), UserNs(), Config("BPF_SYSCALL"), Config("VETH"))) {
  Watched watched;
  auto dies = watched.Create();
  const Fd passes = LookupProgram(bpf::Return(SK_PASS));
  const Fd link = NeedsBpf(LinkBpf(passes, dies.fd(), BPF_SK_LOOKUP), "links to a network namespace");
  const auto before = SETUP_OK(GetBpfLinkInfo(link));
  EXPECT_EQ(before.netns.netns_ino, dies.Inode()) << "control: attached";
  EXPECT_EQ(before.prog_id, SETUP_OK(GetBpfProgramId(passes)));
  {
    auto second = SETUP_OK(dies.Dup());
    (void)dies.Release();
    watched.ExpectStays("a descriptor is open");
    EXPECT_EQ(SETUP_OK(GetBpfLinkInfo(link)).netns.netns_ino, second.Inode()) << "control: while it lives";
  }
  watched.ExpectFreed("only a BPF link refers to it");
  const auto after = SETUP_OK(GetBpfLinkInfo(link));
  EXPECT_EQ(after.netns.netns_ino, 0u) << "the link is to nothing";
  EXPECT_EQ(after.prog_id, before.prog_id) << "and keeps its program";
}

// bpf-helpers(7) bpf_get_netns_cookie.
NETNS_TEST(Misc, BpfSeesTheCookieOfTheNamespaceOfTheSocket, Covers("MISC-04"), Needs(Root(), Config("BPF_SYSCALL"))) {
  using namespace bpf;
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  if (!a.Cookie().ok()) throw MissingNeed("needs-feature:netns-cookie", "SO_NETNS_COOKIE is missing (before 5.14)", "", LinuxVersion{5, 14});
  const Fd cookie = SETUP_OK(CreateBpfMap(BPF_MAP_TYPE_ARRAY, 8));
  // On every message that is sent by a socket of the map. The context is the helper's argument.
  const Fd program = NeedsBpf(LoadBpf({BPF_PROG_TYPE_SK_MSG, BPF_SK_MSG_VERDICT,
                                       Join({{Call(BPF_FUNC_get_netns_cookie), Move(BPF_REG_6, BPF_REG_0)},
                                             FindElement(cookie, Return(SK_PASS)),
                                             {Store(BPF_DW, BPF_REG_0, 0, BPF_REG_6)},
                                             Return(SK_PASS)})}),
                              "namespace cookies for programs on messages (before 5.15)");
  const Fd sockets = SETUP_OK(CreateBpfMap(BPF_MAP_TYPE_SOCKMAP, 8));
  NeedsBpf(AttachBpf(program, sockets.get(), BPF_SK_MSG_VERDICT), "programs on messages");
  auto seen_from = [&](const NetNamespace& ns) {
    LoopbackUp(ns);
    const Fd listener = SETUP_OK(TcpListen(ns, Inet(kLoopback4, kServed)));
    const Fd client = SETUP_OK(TcpConnect(ns, Inet(kLoopback4, kServed))), server = SETUP_OK(Accept(listener));
    SETUP_OK(SetBpfElement(cookie, 0, 0));
    SETUP_OK(SetBpfElement(sockets, 0, static_cast<std::uint64_t>(client.get())));
    SETUP_OK(Send(client, "x"));
    SETUP_OK(ReceiveExactly(server, 1));
    return SETUP_OK(GetBpfElement(cookie));
  };
  const std::uint64_t from_a = seen_from(a), from_b = seen_from(b);
  EXPECT_EQ(from_a, SETUP_OK(a.Cookie()));
  EXPECT_EQ(from_b, SETUP_OK(b.Cookie()));
  EXPECT_NE(from_a, from_b) << "control: two namespaces";
}

/// A control group of this test, with the test's process in it until the end.
class ControlGroup {
 public:
  ControlGroup() {
    const std::string root = "/tmp/cgroup2";
    ::mkdir(root.c_str(), 0755);
    if (::mount("cgroup2", root.c_str(), "cgroup2", 0, nullptr) < 0)
      throw MissingNeed("needs-config:CGROUPS", "no control groups (version 2) can be mounted: " + ErrnoName(errno), "use a kernel with CONFIG_CGROUPS");
    root_ = root + "/cgroup.procs";
    path_ = root + "/nsconf-" + std::to_string(NetNamespace::Current().Inode());
    if (::mkdir(path_.c_str(), 0755) < 0) throw SetupFailure(ErrnoError("mkdir of a control group").ToString(), std::source_location::current());
    SETUP_OK(WriteFile(path_ + "/cgroup.procs", "0"));
    fd_ = SETUP_OK(Open(path_, O_RDONLY | O_DIRECTORY));
  }
  ControlGroup(const ControlGroup&) = delete;
  ControlGroup& operator=(const ControlGroup&) = delete;
  ~ControlGroup() {
    (void)WriteFile(root_, "0").ok();
    ::rmdir(path_.c_str());
  }
  int fd() const { return fd_.get(); }

 private:
  std::string root_, path_;
  Fd fd_;
};

// Programs of a control group are told of sockets of its processes, in whatever namespace these are.
NETNS_TEST(Misc, BpfOfControlGroupsSeesTheCookieOfTheNamespaceOfTheSocket, Covers("MISC-04"), Needs(Machine(), Config("CGROUP_BPF"), Config("BPF_SYSCALL"))) {
  using namespace bpf;
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  if (!a.Cookie().ok()) throw MissingNeed("needs-feature:netns-cookie", "SO_NETNS_COOKIE is missing (before 5.14)", "", LinuxVersion{5, 14});
  LoopbackUp(a), LoopbackUp(b);
  struct Kind {
    const char* name;
    std::uint32_t type, attach;
    std::function<void(const NetNamespace&)> happens;  ///< What the program runs at, with a socket of the namespace.
  };
  const auto connect = [](int type) {
    return [type](const NetNamespace& ns) {
      const Fd socket = SETUP_OK(ns.Socket(AF_INET, type));
      const SockAddr to = Inet(kLoopback4, 9);
      std::ignore = ::connect(socket.get(), to.get(), to.length());
    };
  };
  const Kind kinds[] = {
      {"at the making of sockets", BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE, [](const NetNamespace& ns) { SETUP_OK(ns.Socket(AF_INET, SOCK_DGRAM)); }},
      {"at connect(2)", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, connect(SOCK_DGRAM)},
      {"at steps of connections", BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS, connect(SOCK_STREAM)},
      {"at setsockopt(2)", BPF_PROG_TYPE_CGROUP_SOCKOPT, BPF_CGROUP_SETSOCKOPT,
       [](const NetNamespace& ns) {
         const Fd socket = SETUP_OK(ns.Socket(AF_INET, SOCK_DGRAM));
         const int on = 1;
         ::setsockopt(socket.get(), SOL_SOCKET, SO_BROADCAST, &on, sizeof on);
       }},
  };
  ControlGroup group;
  const Fd cookie = SETUP_OK(CreateBpfMap(BPF_MAP_TYPE_ARRAY, 8));
  int tried = 0;
  for (const Kind& kind : kinds) {
    SCOPED_TRACE(kind.name);
    auto program = LoadBpf({kind.type, kind.type == BPF_PROG_TYPE_SOCK_OPS ? 0u : kind.attach,
                            bpf::Join({{Call(BPF_FUNC_get_netns_cookie), Move(BPF_REG_6, BPF_REG_0)},
                                       FindElement(cookie, Return(1)),
                                       {Store(BPF_DW, BPF_REG_0, 0, BPF_REG_6)},
                                       Return(1)})});
    if (program.code() == EINVAL) continue;  // such programs were given the helper later, or not at all
    const Fd link = NeedsBpf(LinkBpf(SETUP_OK(std::move(program)), group.fd(), kind.attach), "links to control groups");
    ++tried;
    const auto seen_from = [&](const NetNamespace& ns) {
      SETUP_OK(SetBpfElement(cookie, 0, 0));
      kind.happens(ns);
      return SETUP_OK(GetBpfElement(cookie));
    };
    const std::uint64_t from_a = seen_from(a), from_b = seen_from(b);
    EXPECT_EQ(from_a, SETUP_OK(a.Cookie())) << "bpf-helpers(7): the cookie of the network namespace the socket is associated with";
    EXPECT_EQ(from_b, SETUP_OK(b.Cookie())) << "bpf-helpers(7): the cookie of the network namespace the socket is associated with";
    EXPECT_NE(from_a, from_b) << "control: two namespaces";
  }
  if (tried == 0) throw MissingNeed("needs-feature:bpf", "no program of a control group is given cookies of namespaces");
}

// bpf-helpers(7), bpf_sk_lookup_udp: "If the netns is a negative signed 32-bit integer, then the socket lookup table in the
// netns associated with the ctx will be used", else that with this id; bpf_sk_assign: "-ENETUNREACH if the socket is not
// reachable (wrong netns)".
struct Steered {
  std::uint64_t found, assigned;
};
/// What a program at the entrance of lo finds for a datagram to `port`, and what comes of giving the datagram to it.
Steered Steer(const NetNamespace& ns, std::int32_t nsid, std::uint16_t port) {
  using namespace bpf;
  constexpr std::uint64_t kNothing = 12345;
  const Fd found = SETUP_OK(CreateBpfMap(BPF_MAP_TYPE_ARRAY, 8)), assigned = SETUP_OK(CreateBpfMap(BPF_MAP_TYPE_ARRAY, 8));
  SETUP_OK(SetBpfElement(assigned, 0, kNothing));
  const std::int32_t loopback = static_cast<std::int32_t>(htonl(INADDR_LOOPBACK));
  const auto note = [&](const Fd& map, int from) {
    return Join({FindElement(map, Return(0)), {Store(BPF_DW, BPF_REG_0, 0, from)}});
  };
  const Code take = Join({{Move(BPF_REG_7, BPF_REG_0), Move(BPF_REG_1, BPF_REG_6), Move(BPF_REG_2, BPF_REG_7), Set(BPF_REG_3, 0), Call(BPF_FUNC_sk_assign),
                           Move(BPF_REG_8, BPF_REG_0), Move(BPF_REG_1, BPF_REG_7), Call(BPF_FUNC_sk_release), Set(BPF_REG_7, 1)},
                          note(found, BPF_REG_7), note(assigned, BPF_REG_8)});
  // The tuple of the lookup: source and destination, then their ports.
  const Fd program = NeedsBpf(
      LoadBpf({BPF_PROG_TYPE_SCHED_CLS, 0,
               Join({{Move(BPF_REG_6, BPF_REG_1), StoreValue(BPF_W, BPF_REG_10, -16, loopback), StoreValue(BPF_W, BPF_REG_10, -12, loopback),
                      StoreValue(BPF_H, BPF_REG_10, -8, htons(9)), StoreValue(BPF_H, BPF_REG_10, -6, htons(port)), Move(BPF_REG_2, BPF_REG_10), Add(BPF_REG_2, -16),
                      Set(BPF_REG_3, 12), Set(BPF_REG_4, nsid), Set(BPF_REG_5, 0), Call(BPF_FUNC_sk_lookup_udp),
                      SkipIfEqual(BPF_REG_0, 0, static_cast<int>(take.size()))},
                     take, Return(0)})}),
      "lookups of sockets in programs of traffic control");
  auto rtnl = RtnlIn(ns);
  const Status entrance = rtnl.AddQdisc("lo", "clsact", 0xFFFFFFF1u, 0xFFFF0000u);
  if (!entrance.ok() && entrance.code() == ENOENT) throw MissingNeed("needs-config:NET_SCH_INGRESS", "no clsact: " + entrance.error().ToString());
  SETUP_OK(Status(entrance));
  tcmsg header{};
  header.tcm_ifindex = 1;
  header.tcm_parent = 0xFFFFFFF2u;  // TC_H_MIN_INGRESS of clsact
  header.tcm_info = 1u << 16 | htons(ETHERTYPE_IP);
  const Status attached = rtnl.socket().Ack(Request(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL).Named("attach a program").Header(header).Text(TCA_KIND, "bpf").Nest(TCA_OPTIONS, [&](Request& options) {
    options.U32(6 /* TCA_BPF_FD */, static_cast<std::uint32_t>(program.get())).Text(7 /* TCA_BPF_NAME */, "steer").U32(8 /* TCA_BPF_FLAGS */, 1 /* direct action */);
  }));
  if (!attached.ok() && attached.code() == ENOENT) throw MissingNeed("needs-config:NET_CLS_BPF", "no classifier for BPF: " + attached.error().ToString());
  SETUP_OK(Status(attached));
  const Fd receiver = SETUP_OK(UdpBind(ns, Inet(kLoopback4, 4))), sender = SETUP_OK(ns.Socket(AF_INET, SOCK_DGRAM));
  SETUP_OK(SendTo(sender, "x", Inet(kLoopback4, 4)));
  SETUP_OK(Eventually("the program to run", [&] { return SETUP_OK(GetBpfElement(assigned)) != kNothing || Readable(receiver); }));
  SETUP_OK(rtnl.DeleteQdisc("lo", 0xFFFFFFF1u));
  return {SETUP_OK(GetBpfElement(found)), SETUP_OK(GetBpfElement(assigned))};
}
NETNS_TEST(Misc, SocketsAreFoundAndGivenPacketsInTheirNamespace, Covers("MISC-01"),
           Needs(Root(), Config("BPF_SYSCALL"), Config("NET_SCH_INGRESS"), Config("NET_CLS_BPF"))) {
  constexpr std::uint16_t kHere = 7101, kThere = 7102, kBoth = 7103;
  constexpr std::uint64_t kUntouched = 12345;
  const auto error = [](int code) { return static_cast<std::uint64_t>(static_cast<std::int64_t>(-code)); };
  auto here = NetNamespace::Create(), there = NetNamespace::Create();
  for (const NetNamespace* each : {&here, &there}) LoopbackUp(*each);
  std::vector<Fd> sockets;
  for (auto [ns, port] : {std::pair{&here, kHere}, {&there, kThere}, {&here, kBoth}, {&there, kBoth}}) sockets.push_back(SETUP_OK(UdpBind(*ns, Inet(kLoopback4, port))));
  auto rtnl = RtnlIn(here);
  SETUP_OK(rtnl.NewNsid(ByFd(there.fd()), 5));
  const Steered own = Steer(here, -1, kHere);
  EXPECT_EQ(own.found, 1u) << "control: a socket of the namespace of the packet";
  EXPECT_EQ(own.assigned, 0u) << "control: it may have the packet";
  EXPECT_EQ(Steer(here, -1, kThere).found, 0u) << "bpf-helpers(7), bpf_sk_lookup_udp: a socket of another namespace was found";
  const Steered equal = Steer(here, 5, kBoth);
  EXPECT_EQ(equal.found, 1u) << "bpf-helpers(7), bpf_sk_lookup_udp: a socket of the namespace with that id was not found";
  EXPECT_EQ(equal.assigned, error(ENETUNREACH)) << "bpf-helpers(7), bpf_sk_assign: a packet was given to a socket of another namespace";
  EXPECT_EQ(Steer(here, 5, kHere).found, 0u) << "bpf-helpers(7), bpf_sk_lookup_udp: a socket of this namespace was found by the id of another";
  const Steered unknown = Steer(here, 6, kBoth);
  EXPECT_EQ(unknown.found, 0u) << "bpf-helpers(7), bpf_sk_lookup_udp: found by an id that no namespace has";
  EXPECT_EQ(unknown.assigned, kUntouched) << "control";
}

}  // namespace
}  // namespace netns
