// SPDX-License-Identifier: GPL-2.0-or-later
// MISC: BPF programs that belong to a network namespace (socket lookup, flow dissection), what keeps them attached, and
// which namespace they are told of.
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/tcp.h>

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

NETNS_TEST(Misc, FlowDissectorsActInTheirNamespace, Covers("MISC-01"), Needs(Root(), Config("BPF_SYSCALL"), Config("PACKET"))) {
  auto a = NetNamespace::Create(), b = NetNamespace::Create();
  const Fd seen = SETUP_OK(CreateBpfMap(BPF_MAP_TYPE_ARRAY, 8));
  const Fd dissector = CountingDissector(seen);
  {
    const Fd link = NeedsBpf(LinkBpf(dissector, a.fd(), BPF_FLOW_DISSECTOR), "links to a network namespace");
    DissectOnce(b);
    EXPECT_EQ(Count(seen), 0u) << "a packet of another namespace";
    DissectOnce(a);
    EXPECT_GT(Count(seen), 0u) << "control: a packet of its own";
    const std::uint32_t id = SETUP_OK(GetBpfProgramId(dissector));
    EXPECT_THAT(AttachedBpf(a.fd(), BPF_FLOW_DISSECTOR), Holds(ElementsAre(id)));
    EXPECT_THAT(AttachedBpf(b.fd(), BPF_FLOW_DISSECTOR), Holds(IsEmpty()));
    EXPECT_FALSE(LinkBpf(dissector, a.fd(), BPF_FLOW_DISSECTOR).ok()) << "control: one namespace has one";
    EXPECT_OK(LinkBpf(dissector, b.fd(), BPF_FLOW_DISSECTOR)) << "and another its own";
  }
  EXPECT_OK(Eventually("the dissector to be detached", [&] { return AttachedBpf(a.fd(), BPF_FLOW_DISSECTOR)->empty(); }));
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

}  // namespace
}  // namespace netns
