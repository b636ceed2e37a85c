// SPDX-License-Identifier: GPL-2.0-or-later
// STACK: IPsec policies, states and interfaces of each namespace.
#include "fixtures/link_monitor.h"
#include "fixtures/nic.h"
#include "suites/support/sockets.h"

// The kernel's headers after the C library's: in this order they go together.
#include <linux/ipsec.h>
#include <linux/pfkeyv2.h>
#include <linux/xfrm.h>

namespace netns {
namespace {

using namespace sock;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr std::uint32_t kSpi = 0x4711;

NetlinkSocket XfrmIn(const NetNamespace& where) {
  auto socket = where.Socket(AF_NETLINK, SOCK_RAW, NETLINK_XFRM);
  if (!socket.ok()) RequireBuiltIn(socket.code(), "XFRM_USER");
  return SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(std::move(socket))));
}
xfrm_address_t AddressOf(const Family& family, const std::string& text) {
  xfrm_address_t address{};
  ::inet_pton(family.domain, text.c_str(), &address);
  return address;
}
/// What goes to one address.
xfrm_selector To(const Family& family, const std::string& text) {
  xfrm_selector selector{};
  selector.family = static_cast<std::uint16_t>(family.domain);
  selector.daddr = AddressOf(family, text);
  selector.prefixlen_d = static_cast<std::uint8_t>(family.host_prefix);
  return selector;
}
constexpr xfrm_lifetime_cfg kForEver{XFRM_INF, XFRM_INF, XFRM_INF, XFRM_INF, 0, 0, 0, 0};

Status AddBlock(const NetNamespace& where, const Family& family, const std::string& to) {
  xfrm_userpolicy_info policy{};
  policy.sel = To(family, to);
  policy.lft = kForEver;
  policy.dir = XFRM_POLICY_OUT;
  policy.action = XFRM_POLICY_BLOCK;
  auto socket = XfrmIn(where);
  return socket.Ack(Request(XFRM_MSG_NEWPOLICY, NLM_F_CREATE | NLM_F_EXCL).Header(policy).Named("add policy"));
}
Status DeleteBlock(const NetNamespace& where, const Family& family, const std::string& to) {
  xfrm_userpolicy_id id{};
  id.sel = To(family, to);
  id.dir = XFRM_POLICY_OUT;
  auto socket = XfrmIn(where);
  return socket.Ack(Request(XFRM_MSG_DELPOLICY).Header(id).Named("delete policy"));
}
std::size_t Policies(const NetNamespace& where) {
  auto socket = XfrmIn(where);
  return SETUP_OK(socket.Dump(Request(XFRM_MSG_GETPOLICY).Named("dump policies"))).size();
}
xfrm_usersa_info State(const Family& family, std::uint32_t spi) {
  xfrm_usersa_info state{};
  state.family = static_cast<std::uint16_t>(family.domain);
  state.sel.family = state.family;
  state.id.daddr = AddressOf(family, family.Host(2));
  state.saddr = AddressOf(family, family.Host(1));
  state.id.proto = IPPROTO_ESP;
  state.id.spi = htonl(spi);
  state.lft = kForEver;
  return state;
}
/// Takes exactly this SPI, for a state without any algorithm yet.
Status TakeSpi(const NetNamespace& where, const Family& family, std::uint32_t spi) {
  xfrm_userspi_info range{};
  range.info = State(family, 0);
  range.min = range.max = spi;
  auto socket = XfrmIn(where);
  auto answer = socket.Get(Request(XFRM_MSG_ALLOCSPI).Header(range).Named("allocate an SPI"));
  if (!answer.ok()) return answer.error();
  return Ok();
}
Status DeleteState(const NetNamespace& where, const Family& family, std::uint32_t spi) {
  xfrm_usersa_id id{};
  id.daddr = AddressOf(family, family.Host(2));
  id.spi = htonl(spi);
  id.family = static_cast<std::uint16_t>(family.domain);
  id.proto = IPPROTO_ESP;
  auto socket = XfrmIn(where);
  return socket.Ack(Request(XFRM_MSG_DELSA).Header(id).Named("delete state"));
}
std::size_t States(const NetNamespace& where) {
  auto socket = XfrmIn(where);
  return SETUP_OK(socket.Dump(Request(XFRM_MSG_GETSA).Named("dump states"))).size();
}
std::uint32_t CountedStates(const NetNamespace& where) {
  auto socket = XfrmIn(where);
  const Message answer = SETUP_OK(socket.Get(Request(XFRM_MSG_GETSADINFO).Header(std::uint32_t{~0U}).Named("count states")));
  return answer.AttributesAfter<std::uint32_t>().U32(XFRMA_SAD_CNT).value_or(99);
}
Status Flush(const NetNamespace& where) {
  auto socket = XfrmIn(where);
  xfrm_usersa_flush states{};
  states.proto = IPPROTO_ESP;
  RETURN_IF_ERROR(socket.Ack(Request(XFRM_MSG_FLUSHSA).Header(states).Named("flush states")));
  return socket.Ack(Request(XFRM_MSG_FLUSHPOLICY).Named("flush policies"));
}
RtnlMonitor MonitorIn(const NetNamespace& where) {
  return SETUP_OK(RtnlMonitor::Adopt(SETUP_OK(where.Socket(AF_NETLINK, SOCK_RAW, NETLINK_XFRM)), {XFRMNLGRP_SA, XFRMNLGRP_POLICY}));
}
/// Policies that packets fell over, of /proc/net/xfrm_stat; nothing without CONFIG_XFRM_STATISTICS.
std::optional<int> Blocked(const NetNamespace& where) {
  const auto text = where.ReadProcNet("xfrm_stat");
  if (!text.ok()) return {};
  const auto at = text->find("XfrmOutPolBlock");
  return at == std::string::npos ? std::optional<int>() : std::stoi(text->substr(at + std::strlen("XfrmOutPolBlock")));
}

/// Everything in `own`, nothing of it in `other`. Both have eth0 with Host(1) and no state or policy at all.
void IpsecIsSeparate(const NetNamespace& own, const NetNamespace& other, const Family& family) {
  const auto attempt = [&](const NetNamespace& where) { return TryConnect(where, SockAddr::Ip(family.Host(2), 9), SOCK_DGRAM); };
  auto heard = MonitorIn(own), not_heard = MonitorIn(other);
  EXPECT_EQ(Policies(own), 0U) << "control: before";
  EXPECT_THAT(attempt(own), Succeeds()) << "control: before";
  const auto blocked = Blocked(other);
  ASSERT_OK(AddBlock(own, family, family.Host(2)));
  EXPECT_THAT(AddBlock(own, family, family.Host(2)), FailsWith(EEXIST)) << "control";
  EXPECT_EQ(Policies(own), 1U) << "control";
  EXPECT_EQ(Policies(other), 0U);
  EXPECT_THAT(attempt(own), FailsWith(EPERM)) << "control: blocked";
  EXPECT_THAT(attempt(other), Succeeds()) << "the policy of another namespace";
  EXPECT_EQ(Blocked(other), blocked) << "counted in another namespace";
  if (Blocked(own)) {
    EXPECT_GT(*Blocked(own), 0) << "control";
  }
  EXPECT_THAT(DeleteBlock(other, family, family.Host(2)), FailsWith(ENOENT)) << "the policy of another namespace";
  // The same one again, elsewhere, and gone there only.
  ASSERT_OK(AddBlock(other, family, family.Host(2)));
  EXPECT_THAT(attempt(other), FailsWith(EPERM));
  ASSERT_OK(DeleteBlock(other, family, family.Host(2)));
  EXPECT_THAT(attempt(other), Succeeds());
  EXPECT_THAT(attempt(own), FailsWith(EPERM));

  ASSERT_OK(TakeSpi(own, family, kSpi));
  EXPECT_THAT(TakeSpi(own, family, kSpi), testing::AnyOf(FailsWith(ENOENT), FailsWith(EEXIST))) << "control: taken";
  // (An attempt leaves a state without SPI.)
  const std::size_t states = States(own);
  EXPECT_GE(states, 1U) << "control";
  EXPECT_EQ(CountedStates(own), states) << "control";
  EXPECT_EQ(States(other), 0U);
  EXPECT_EQ(CountedStates(other), 0U);
  EXPECT_THAT(DeleteState(other, family, kSpi), FailsWith(ESRCH)) << "the state of another namespace";
  auto born = own.In([] { return NetNamespace::Create(); });
  EXPECT_EQ(States(born), 0U) << "made from inside";
  EXPECT_EQ(Policies(born), 0U) << "made from inside";
  const auto leaked = SETUP_OK(not_heard.DrainNow());
  for (const Message& each : leaked) EXPECT_FALSE(each.type() == XFRM_MSG_NEWSA || each.type() == XFRM_MSG_DELSA) << "a state of another namespace";
  EXPECT_EQ(std::count_if(leaked.begin(), leaked.end(), [](const Message& each) { return each.type() == XFRM_MSG_NEWPOLICY; }), 1) << "its own";
  ASSERT_OK(TakeSpi(other, family, kSpi)) << "the same one is free there";
  ASSERT_OK(DeleteState(other, family, kSpi));
  EXPECT_EQ(States(own), states);
  ASSERT_OK(DeleteState(own, family, kSpi));
  const auto told = SETUP_OK(heard.DrainNow());
  EXPECT_GE(std::count_if(told.begin(), told.end(), [](const Message& each) { return each.type() == XFRM_MSG_NEWPOLICY; }), 1) << "control";
  // Flushed in one namespace only.
  ASSERT_OK(AddBlock(other, family, family.Host(2)));
  ASSERT_OK(TakeSpi(own, family, kSpi));
  ASSERT_OK(TakeSpi(other, family, kSpi));
  const std::size_t states_of_other = States(other);
  EXPECT_GE(states_of_other, 1U) << "control";
  ASSERT_OK(Flush(own));
  EXPECT_EQ(Policies(own), 0U) << "control";
  EXPECT_EQ(States(own), 0U) << "control";
  EXPECT_THAT(attempt(own), Succeeds()) << "control";
  EXPECT_EQ(Policies(other), 1U) << "ip-xfrm(8) flush: of the namespace";
  EXPECT_EQ(States(other), states_of_other) << "ip-xfrm(8) flush: of the namespace";
  EXPECT_THAT(attempt(other), FailsWith(EPERM));
  ASSERT_OK(Flush(other));
}
void AddEth0(const NetNamespace& where, const Family& family, const std::string& name = "eth0") {
  LoopbackUp(where);
  AddDevice(where, name);
  AddAddress(where, family.HostPrefix(1), name);
}
void Ipsec(const Family& family) {
  auto [here, there] = CreateTwo([&](const NetNamespace& each) { AddEth0(each, family); });
  IpsecIsSeparate(here, there, family);
  IpsecIsSeparate(there, here, family);
}
NETNS_TEST(Stack, Ipv4IpsecIsPerNamespace, Covers("STACK-17", "PROC-29"), Needs(Config("XFRM_USER"), Config("VETH"))) { Ipsec(Families()[0]); }
NETNS_TEST(Stack, Ipv6IpsecIsPerNamespace, Covers("STACK-17", "PROC-29"), Needs(Config("XFRM_USER"), Config("VETH"), Config("IPV6"))) { Ipsec(Families()[1]); }

void IpsecOfTheInitialNamespace(const Family& family) {
  auto initial = InitialNetNamespace();
  auto fresh = NetNamespace::Create();
  AddEth0(fresh, family, "nscon0");
  AddEth0(initial, family, "nscon0");
  IpsecIsSeparate(fresh, initial, family);
  IpsecIsSeparate(initial, fresh, family);
  SETUP_OK(RtnlIn(initial).DeleteLink("nscon0"));
}
NETNS_TEST(Stack, Ipv4IpsecIsNotThatOfTheInitialNamespace, Covers("STACK-17"), Needs(Machine(), Config("XFRM_USER"), Config("VETH")), Exclusive{}) {
  IpsecOfTheInitialNamespace(Families()[0]);
}
NETNS_TEST(Stack, Ipv6IpsecIsNotThatOfTheInitialNamespace, Covers("STACK-17"), Needs(Machine(), Config("XFRM_USER"), Config("VETH"), Config("IPV6")),
           Exclusive{}) {
  IpsecOfTheInitialNamespace(Families()[1]);
}

// Complete states, with algorithms that do nothing.
void CompleteStates(const Family& family) {
  auto [here, there] = CreateTwo([](const NetNamespace&) {});
  const auto add = [&](const NetNamespace& where) {
    // struct xfrm_algo: a name of 64 bytes, and the length of a key that they do not have.
    std::array<char, sizeof(xfrm_algo)> crypt{}, auth{};
    std::strcpy(crypt.data(), "ecb(cipher_null)");
    std::strcpy(auth.data(), "digest_null");
    auto socket = XfrmIn(where);
    return socket.Ack(Request(XFRM_MSG_NEWSA, NLM_F_CREATE | NLM_F_EXCL)
                          .Header(State(family, kSpi))
                          .Raw(XFRMA_ALG_CRYPT, std::as_bytes(std::span(crypt)))
                          .Raw(XFRMA_ALG_AUTH, std::as_bytes(std::span(auth)))
                          .Named("add state"));
  };
  const Status first = add(here);
  if (!first.ok() && (first.code() == ENOSYS || first.code() == ENOENT || first.code() == EPROTONOSUPPORT))
    throw MissingNeed("needs-config:CRYPTO_NULL", "the kernel answers " + ErrnoName(first.code()), "use a kernel with CONFIG_CRYPTO_NULL and CONFIG_INET_ESP");
  ASSERT_OK(Status(first));
  EXPECT_THAT(add(here), FailsWith(EEXIST)) << "control";
  EXPECT_EQ(States(here), 1U) << "control";
  EXPECT_EQ(States(there), 0U);
  EXPECT_THAT(DeleteState(there, family, kSpi), FailsWith(ESRCH));
  EXPECT_THAT(add(there), Succeeds());
  ASSERT_OK(DeleteState(here, family, kSpi));
  EXPECT_EQ(States(here), 0U) << "control";
  EXPECT_EQ(States(there), 1U);
}
NETNS_TEST(Stack, Ipv4SecurityAssociationsArePerNamespace, Covers("STACK-17"), Needs(Config("XFRM_USER"), Config("INET_ESP"))) {
  CompleteStates(Families()[0]);
}
NETNS_TEST(Stack, Ipv6SecurityAssociationsArePerNamespace, Covers("STACK-17"), Needs(Config("XFRM_USER"), Config("INET6_ESP"), Config("IPV6"))) {
  CompleteStates(Families()[1]);
}

// ip-xfrm(8): packets are encapsulated and taken apart by the states of their namespace. Two pairs of namespaces have equal ones.
Status AddTransport(const NetNamespace& where, const Family& family, int from, int to, std::uint32_t spi) {
  xfrm_usersa_info state = State(family, spi);
  state.saddr = AddressOf(family, family.Host(from));
  state.id.daddr = AddressOf(family, family.Host(to));
  state.mode = XFRM_MODE_TRANSPORT;
  state.reqid = 1;
  std::array<char, sizeof(xfrm_algo)> crypt{}, auth{};
  std::strcpy(crypt.data(), "ecb(cipher_null)");
  std::strcpy(auth.data(), "digest_null");
  auto socket = XfrmIn(where);
  return socket.Ack(Request(XFRM_MSG_NEWSA, NLM_F_CREATE | NLM_F_EXCL)
                        .Header(state)
                        .Raw(XFRMA_ALG_CRYPT, std::as_bytes(std::span(crypt)))
                        .Raw(XFRMA_ALG_AUTH, std::as_bytes(std::span(auth)))
                        .Named("add state"));
}
Status AddTransportPolicy(const NetNamespace& where, const Family& family, int from, int to) {
  xfrm_userpolicy_info policy{};
  policy.sel = To(family, family.Host(to));
  policy.sel.proto = IPPROTO_UDP;
  policy.lft = kForEver;
  policy.dir = XFRM_POLICY_OUT;
  policy.action = XFRM_POLICY_ALLOW;
  xfrm_user_tmpl by{};
  by.id.daddr = AddressOf(family, family.Host(to));
  by.saddr = AddressOf(family, family.Host(from));
  by.id.proto = IPPROTO_ESP;
  by.family = static_cast<std::uint16_t>(family.domain);
  by.mode = XFRM_MODE_TRANSPORT;
  by.reqid = 1;
  by.aalgos = by.ealgos = by.calgos = ~0U;
  auto socket = XfrmIn(where);
  return socket.Ack(Request(XFRM_MSG_NEWPOLICY, NLM_F_CREATE | NLM_F_EXCL).Header(policy).Structure(XFRMA_TMPL, by).Named("add policy"));
}
void EspTraffic(const Family& family) {
  struct Pair {
    NetNamespace west, east;
    Fd wire;
    std::vector<Fd> sockets;
  };
  std::vector<Pair> pairs;
  for (int i = 0; i < 2; ++i) {
    auto west = CreateWithLoopback(), east = CreateWithLoopback();
    Join(west, "eth0", east, "eth0");
    for (const NetNamespace* each : {&west, &east}) {
      // Either end has both states: one to send with, and one to receive with.
      for (auto [from, to] : {std::pair{1, 2}, {2, 1}}) {
        const Status added = AddTransport(*each, family, from, to, kSpi + static_cast<std::uint32_t>(from));
        if (!added.ok() && (added.code() == ENOSYS || added.code() == ENOENT || added.code() == EPROTONOSUPPORT))
          throw MissingNeed("needs-config:CRYPTO_NULL", "the kernel answers " + ErrnoName(added.code()), "use a kernel with CONFIG_CRYPTO_NULL and CONFIG_INET_ESP");
        ASSERT_OK(Status(added)) << "an equal state of another namespace is in the way";
      }
      ASSERT_OK(AddTransportPolicy(*each, family, each == &west ? 1 : 2, each == &west ? 2 : 1));
    }
    Fd wire = SETUP_OK(east.Socket(AF_PACKET, SOCK_DGRAM, htons(family.domain == AF_INET ? 0x0800 : 0x86DD)));
    pairs.push_back({std::move(west), std::move(east), std::move(wire), {}});
    pairs.back().sockets.push_back(SETUP_OK(Bound(pairs.back().west, SOCK_DGRAM, SockAddr::Ip(family.Host(1), 7000))));
    pairs.back().sockets.push_back(SETUP_OK(Bound(pairs.back().east, SOCK_DGRAM, SockAddr::Ip(family.Host(2), 7000))));
  }
  const auto talks = [&](Pair& pair, const char* text) {
    ASSERT_OK(SendTo(pair.sockets[0], text, SockAddr::Ip(family.Host(2), 7000)));
    EXPECT_THAT(Receive(pair.sockets[1], Deadline::In(std::chrono::seconds(10))), Holds(text)) << "ip-xfrm(8): the states of the receiver's namespace were not found";
    ASSERT_OK(SendTo(pair.sockets[1], text, SockAddr::Ip(family.Host(1), 7000)));
    EXPECT_THAT(Receive(pair.sockets[0], Deadline::In(std::chrono::seconds(10))), Holds(text)) << "ip-xfrm(8): the states of the receiver's namespace were not found";
  };
  for (Pair& pair : pairs) {
    SCOPED_TRACE(&pair == &pairs[0] ? "the older pair" : "the younger pair");
    talks(pair, "first");
    const auto frames = Drain(pair.wire);
    const std::size_t protocol = family.domain == AF_INET ? 9 : 6;
    EXPECT_TRUE(std::any_of(frames.begin(), frames.end(), [&](const std::string& frame) { return frame.size() > protocol && frame[protocol] == IPPROTO_ESP; }))
        << "control: what goes over the wire is encapsulated";
  }
  // Without its state the one namespace understands nothing any more; the other does.
  const auto without_state = [](const NetNamespace& where) {
    const auto text = where.ReadProcNet("xfrm_stat");
    const auto at = text.ok() ? text->find("XfrmInNoStates") : std::string::npos;
    return at == std::string::npos ? -1L : std::stol(text->substr(at + std::strlen("XfrmInNoStates")));
  };
  const long before = without_state(pairs[0].east), other = without_state(pairs[1].east);
  ASSERT_OK(DeleteState(pairs[0].east, family, kSpi + 1));
  talks(pairs[1], "second");
  ASSERT_OK(SendTo(pairs[0].sockets[0], "lost", SockAddr::Ip(family.Host(2), 7000)));
  if (before < 0) return;  // without CONFIG_XFRM_STATISTICS nothing tells that it has come
  EXPECT_EVENTUALLY("control: a packet without its state to be counted", [&] { return without_state(pairs[0].east) > before; });
  EXPECT_FALSE(Readable(pairs[0].sockets[1])) << "ip-xfrm(8): taken apart by the state of another namespace";
  EXPECT_EQ(without_state(pairs[1].east), other) << "counted in another namespace";
}
NETNS_TEST(Stack, Ipv4PacketsAreEncapsulatedByStatesOfTheirNamespace, Covers("STACK-17", "PROC-29"),
           Needs(Config("XFRM_USER"), Config("INET_ESP"), Config("PACKET"), Config("VETH"))) {
  EspTraffic(Families()[0]);
}
NETNS_TEST(Stack, Ipv6PacketsAreEncapsulatedByStatesOfTheirNamespace, Covers("STACK-17", "PROC-29"),
           Needs(Config("XFRM_USER"), Config("INET6_ESP"), Config("PACKET"), Config("VETH"), Config("IPV6"))) {
  EspTraffic(Families()[1]);
}

NETNS_TEST(Stack, IdsOfXfrmInterfacesArePerNamespace, Covers("STACK-17"), Needs(Config("XFRM_INTERFACE"))) {
  constexpr std::uint16_t kIfId = 2;  // IFLA_XFRM_IF_ID
  auto [here, there] = CreateTwoWithLoopback();
  const auto add = [&](const NetNamespace& where, const char* name, std::uint32_t id) {
    return RtnlIn(where).AddLink(LinkSpec{.name = name, .kind = "xfrm", .data = [id](Request& request) { request.U32(kIfId, id); }});
  };
  const Status first = add(here, "xfrm1", 42);
  if (!first.ok()) RequireBuiltIn(first.code(), "XFRM_INTERFACE");
  ASSERT_OK(Status(first));
  EXPECT_THAT(add(here, "xfrm2", 42), FailsWith(EEXIST)) << "control: the id is taken";
  EXPECT_THAT(add(here, "xfrm2", 43), Succeeds()) << "control: another id";
  EXPECT_THAT(RtnlIn(there).LinkByName("xfrm1"), FailsWith(ENODEV));
  EXPECT_THAT(add(there, "xfrm1", 42), Succeeds()) << "free in another namespace";
  ASSERT_OK(RtnlIn(there).DeleteLink("xfrm1"));
  EXPECT_THAT(RtnlIn(here).LinkByName("xfrm1"), Succeeds());
}

// XFRM_MSG_SETDEFAULT, since Linux 5.14: what becomes of packets for which there is no policy.
xfrm_userpolicy_default DefaultOf(const NetNamespace& where) {
  auto socket = XfrmIn(where);
  auto answer = socket.Get(Request(XFRM_MSG_GETDEFAULT).Header(xfrm_userpolicy_default{}).Named("get the default policy"));
  if (answer.code() == EINVAL) throw MissingNeed("needs-feature:xfrm-default", "no XFRM_MSG_GETDEFAULT", "use Linux 5.14 or later", LinuxVersion{5, 14});
  return SETUP_OK(std::move(answer)).Header<xfrm_userpolicy_default>();
}
void DefaultIsSeparate(const NetNamespace& here, const std::vector<const NetNamespace*>& others) {
  auto same = [](const xfrm_userpolicy_default& one, const xfrm_userpolicy_default& two) {
    return one.in == two.in && one.fwd == two.fwd && one.out == two.out;
  };
  std::vector<xfrm_userpolicy_default> before;
  for (const NetNamespace* other : others) before.push_back(DefaultOf(*other));
  const xfrm_userpolicy_default block{XFRM_USERPOLICY_BLOCK, XFRM_USERPOLICY_BLOCK, XFRM_USERPOLICY_BLOCK};
  EXPECT_FALSE(same(DefaultOf(here), block)) << "control: before";
  auto socket = XfrmIn(here);
  ASSERT_OK(socket.Ack(Request(XFRM_MSG_SETDEFAULT).Header(block).Named("set the default policy")));
  EXPECT_TRUE(same(DefaultOf(here), block)) << "control: in the namespace where it was set";
  for (std::size_t i = 0; i < others.size(); ++i)
    EXPECT_TRUE(same(DefaultOf(*others[i]), before[i])) << "the default policy of another namespace (the " << i + 1 << ". of those watched) was changed";
}
NETNS_TEST(Stack, DefaultPolicyOfXfrmIsPerNamespace, Covers("STACK-17"), Needs(Config("XFRM_USER"))) {
  auto sibling = NetNamespace::Create(), here = NetNamespace::Create();
  auto nested = here.In([] { return NetNamespace::Create(); });
  const NetNamespace creator = NetNamespace::Current();
  DefaultIsSeparate(here, {&sibling, &nested, &creator});
  const auto born = here.In([] { return NetNamespace::Create(); });
  EXPECT_EQ(DefaultOf(born).out, DefaultOf(sibling).out) << "a new namespace starts with its creator's";
}
NETNS_TEST(Stack, DefaultPolicyOfXfrmDoesNotReachTheInitialNamespace, Covers("STACK-17"), Needs(Machine(), Config("XFRM_USER"))) {
  const auto initial = InitialNetNamespace(), here = NetNamespace::Create();
  DefaultIsSeparate(here, {&initial});
}

// The older interface to the same tables, RFC 2367.
NETNS_TEST(Stack, KeyManagementSocketsShowOneNamespace, Covers("STACK-17", "SOCK-27"), Needs(Config("NET_KEY"), Config("XFRM_USER"))) {
  auto [here, there] = CreateTwoWithLoopback();
  const Family& family = Families()[0];
  const auto policies = [](const NetNamespace& where) {
    auto socket = where.Socket(AF_KEY, SOCK_RAW, PF_KEY_V2);
    if (!socket.ok()) RequireBuiltIn(socket.code(), "NET_KEY");
    Fd key = SETUP_OK(std::move(socket));
    sadb_msg request{};
    request.sadb_msg_version = PF_KEY_V2;
    request.sadb_msg_type = SADB_X_SPDDUMP;
    request.sadb_msg_len = sizeof request / 8;
    request.sadb_msg_pid = static_cast<std::uint32_t>(::getpid());
    SETUP_OK(Send(key, std::string_view(reinterpret_cast<const char*>(&request), sizeof request)));
    std::size_t count = 0;
    // The number of the last one is 0; an empty table is an error.
    while (true) {
      const std::string text = SETUP_OK(Receive(key));
      sadb_msg answer{};
      std::memcpy(&answer, text.data(), std::min(text.size(), sizeof answer));
      if (answer.sadb_msg_errno != 0) return count;
      ++count;
      if (answer.sadb_msg_seq == 0) return count;
    }
  };
  EXPECT_EQ(policies(here), 0U) << "at birth";
  SETUP_OK(AddBlock(here, family, family.Host(2)));
  EXPECT_EQ(policies(here), 1U) << "control";
  EXPECT_EQ(policies(there), 0U);
  SETUP_OK(AddBlock(here, family, family.Host(3)));
  SETUP_OK(AddBlock(there, family, family.Host(3)));
  EXPECT_EQ(policies(here), 2U) << "control";
  EXPECT_EQ(policies(there), 1U);
  // The first socket of this family makes a file in every namespace.
  if (here.ReadProcNet("pfkey").ok()) {
    Fd key = SETUP_OK(here.Socket(AF_KEY, SOCK_RAW, PF_KEY_V2));
    const auto lines = [](const NetNamespace& where) {
      const std::string text = SETUP_OK(where.ReadProcNet("pfkey"));
      return std::count(text.begin(), text.end(), '\n');
    };
    EXPECT_EQ(lines(here), 2) << "control: the heading and one";
    EXPECT_EQ(lines(there), 1) << "the heading";
  }
}

}  // namespace
}  // namespace netns
