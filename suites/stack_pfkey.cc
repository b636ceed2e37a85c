// SPDX-License-Identifier: GPL-2.0-or-later
// STACK: key management sockets (RFC 2367) are told what is done to the tables of IPsec, by whomever: in their namespace.
#include "fixtures/link_monitor.h"
#include "fixtures/nic.h"
#include "suites/support/between.h"
#include "suites/support/sockets.h"

// The kernel's headers after the C library's: in this order they go together.
#include <linux/ipsec.h>
#include <linux/pfkeyv2.h>
#include <linux/xfrm.h>

namespace netns {
namespace {

using namespace sock;

/// A socket that hears all messages of its namespace.
Fd KeyIn(const NetNamespace& where) {
  auto socket = where.Socket(AF_KEY, SOCK_RAW, PF_KEY_V2);
  if (!socket.ok()) RequireBuiltIn(socket.code(), "NET_KEY");
  return SETUP_OK(std::move(socket));
}
NetlinkSocket XfrmIn(const NetNamespace& where) {
  auto socket = where.Socket(AF_NETLINK, SOCK_RAW, NETLINK_XFRM);
  if (!socket.ok()) RequireBuiltIn(socket.code(), "XFRM_USER");
  return SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(std::move(socket))));
}
/// The types of the messages that have come.
std::vector<int> Types(const Fd& key) {
  std::vector<int> types;
  for (const std::string& text : Drain(key)) {
    sadb_msg head{};
    std::memcpy(&head, text.data(), std::min(text.size(), sizeof head));
    types.push_back(head.sadb_msg_type);
  }
  return types;
}

constexpr std::uint32_t kNumber = 0x4E455753, kSpi = 0x4711;

xfrm_userpolicy_info Policy() {
  xfrm_userpolicy_info policy{};
  policy.sel.family = AF_INET;
  policy.sel.daddr.a4 = policy.sel.saddr.a4 = kNumber;
  policy.sel.prefixlen_d = policy.sel.prefixlen_s = 32;
  policy.lft = {XFRM_INF, XFRM_INF, XFRM_INF, XFRM_INF, 0, 0, 0, 0};
  policy.dir = XFRM_POLICY_OUT;
  policy.action = XFRM_POLICY_BLOCK;
  return policy;
}
void AddPolicy(const NetNamespace& ns) {
  auto xfrm = XfrmIn(ns);
  SETUP_OK(xfrm.Ack(Request(XFRM_MSG_NEWPOLICY, NLM_F_CREATE | NLM_F_EXCL).Header(Policy()).Named("add a policy")));
}
/// Of a state that has no algorithm yet.
void TakeSpi(const NetNamespace& ns) {
  xfrm_userspi_info range{};
  range.info.family = range.info.sel.family = AF_INET;
  range.info.id.daddr.a4 = range.info.saddr.a4 = kNumber;
  range.info.id.proto = IPPROTO_ESP;
  range.info.lft = {XFRM_INF, XFRM_INF, XFRM_INF, XFRM_INF, 0, 0, 0, 0};
  range.min = range.max = kSpi;
  auto xfrm = XfrmIn(ns);
  SETUP_OK(xfrm.Get(Request(XFRM_MSG_ALLOCSPI).Header(range).Named("allocate an SPI")));
}
void DeleteState(const NetNamespace& ns) {
  xfrm_usersa_id id{};
  id.daddr.a4 = kNumber;
  id.family = AF_INET;
  id.proto = IPPROTO_ESP;
  id.spi = htonl(kSpi);
  auto xfrm = XfrmIn(ns);
  SETUP_OK(xfrm.Ack(Request(XFRM_MSG_DELSA).Header(id).Named("delete a state")));
}

/// A request of the family itself, with what follows its head.
std::string Sadb(int type, int satype, const std::string& rest = {}) {
  sadb_msg head{};
  head.sadb_msg_version = PF_KEY_V2;
  head.sadb_msg_type = static_cast<std::uint8_t>(type);
  head.sadb_msg_satype = static_cast<std::uint8_t>(satype);
  head.sadb_msg_len = static_cast<std::uint16_t>((sizeof head + rest.size()) / 8);
  head.sadb_msg_seq = 1;
  head.sadb_msg_pid = static_cast<std::uint32_t>(::getpid());
  return std::string(reinterpret_cast<const char*>(&head), sizeof head) + rest;
}
std::string SadbAddress(int which) {
  struct {
    sadb_address head;
    sockaddr_in address;
  } part{};
  part.head.sadb_address_len = sizeof part / 8;
  part.head.sadb_address_exttype = static_cast<std::uint16_t>(which);
  part.head.sadb_address_prefixlen = 32;
  part.address.sin_family = AF_INET;
  part.address.sin_addr.s_addr = kNumber;
  return std::string(reinterpret_cast<const char*>(&part), sizeof part);
}
std::string SadbPolicy() {
  sadb_x_policy part{};
  part.sadb_x_policy_len = sizeof part / 8;
  part.sadb_x_policy_exttype = SADB_X_EXT_POLICY;
  part.sadb_x_policy_type = IPSEC_POLICY_DISCARD;
  part.sadb_x_policy_dir = IPSEC_DIR_OUTBOUND;
  return std::string(reinterpret_cast<const char*>(&part), sizeof part);
}
/// Sends a request, which is answered to its sender too: once that is there, it has been done.
void Ask(const Fd& key, const std::string& request) {
  SETUP_OK(Send(key, request));
  const std::string answer = SETUP_OK(Receive(key));
  sadb_msg head{};
  std::memcpy(&head, answer.data(), std::min(answer.size(), sizeof head));
  if (head.sadb_msg_errno != 0) SETUP_OK(Status(Error{head.sadb_msg_errno, "a request to a key management socket"}));
}

/// Something of which the sockets of a namespace are told, with the type of that message.
struct News {
  const char* name;
  int type;
  std::function<void(const NetNamespace&)> prepare, make;
};
const std::vector<News>& AllNews() {
  static const std::vector<News> news = {
      {"APolicyThatIsAdded", SADB_X_SPDADD, {}, AddPolicy},
      {"APolicyThatIsDeleted", SADB_X_SPDDELETE, AddPolicy,
       [](const NetNamespace& ns) {
         xfrm_userpolicy_id id{};
         id.sel = Policy().sel;
         id.dir = XFRM_POLICY_OUT;
         auto xfrm = XfrmIn(ns);
         SETUP_OK(xfrm.Ack(Request(XFRM_MSG_DELPOLICY).Header(id).Named("delete a policy")));
       }},
      {"PoliciesThatAreFlushed", SADB_X_SPDFLUSH, AddPolicy,
       [](const NetNamespace& ns) {
         auto xfrm = XfrmIn(ns);
         SETUP_OK(xfrm.Ack(Request(XFRM_MSG_FLUSHPOLICY).Named("flush policies")));
       }},
      {"AStateThatIsDeleted", SADB_DELETE, TakeSpi, DeleteState},
      {"StatesThatAreFlushed", SADB_FLUSH, TakeSpi,
       [](const NetNamespace& ns) {
         auto xfrm = XfrmIn(ns);
         SETUP_OK(xfrm.Ack(Request(XFRM_MSG_FLUSHSA).Header(xfrm_usersa_flush{.proto = IPPROTO_ESP}).Named("flush states")));
       }},
      // The same, asked for by sockets of the family.
      {"APolicyThatAKeySocketAdds", SADB_X_SPDADD, {},
       [](const NetNamespace& ns) { Ask(KeyIn(ns), Sadb(SADB_X_SPDADD, SADB_SATYPE_UNSPEC, SadbAddress(SADB_EXT_ADDRESS_SRC) + SadbAddress(SADB_EXT_ADDRESS_DST) + SadbPolicy())); }},
      {"APolicyThatAKeySocketDeletes", SADB_X_SPDDELETE, AddPolicy,
       [](const NetNamespace& ns) { Ask(KeyIn(ns), Sadb(SADB_X_SPDDELETE, SADB_SATYPE_UNSPEC, SadbAddress(SADB_EXT_ADDRESS_SRC) + SadbAddress(SADB_EXT_ADDRESS_DST) + SadbPolicy())); }},
      {"PoliciesThatAKeySocketFlushes", SADB_X_SPDFLUSH, AddPolicy, [](const NetNamespace& ns) { Ask(KeyIn(ns), Sadb(SADB_X_SPDFLUSH, SADB_SATYPE_UNSPEC)); }},
      {"StatesThatAKeySocketFlushes", SADB_FLUSH, TakeSpi, [](const NetNamespace& ns) { Ask(KeyIn(ns), Sadb(SADB_FLUSH, SADB_SATYPE_UNSPEC)); }},
  };
  return news;
}

// RFC 2367, 2.2: "All PF_KEY sockets" get what is changed - of the tables that they see, which are those of a namespace.
void IsToldInItsNamespaceOnly(const News& news, bool with_initial) {
  const auto older = NetNamespace::Create(), here = NetNamespace::Create(), younger = NetNamespace::Create(), creator = NetNamespace::Current();
  const auto nested = here.In([] { return NetNamespace::Create(); });
  std::optional<NetNamespace> initial;
  if (with_initial) initial = InitialNetNamespace();
  struct Ear {
    const char* who;
    Fd socket;
  };
  const auto ears_of_others = [&](const NetNamespace* but) {
    std::vector<Ear> ears;
    for (const auto& [who, ns] : {std::pair{"an older namespace", &older}, {"the middle one", &here}, {"a younger namespace", &younger}, {"one made from inside", &nested}, {"the creator's namespace", &creator}})
      if (ns != but) ears.push_back({who, KeyIn(*ns)});
    if (initial && &*initial != but) ears.push_back({"the initial namespace", KeyIn(*initial)});
    return ears;
  };
  std::vector<std::pair<const char*, const NetNamespace*>> places = {{"made in a namespace", &here}, {"made in one made from inside", &nested}};
  if (initial) places.emplace_back("made in the initial namespace", &*initial);
  for (const auto& [where, ns] : places) {
    SCOPED_TRACE(where);
    if (news.prepare) news.prepare(*ns);
    const Fd hears = KeyIn(*ns);
    auto others = ears_of_others(ns);
    news.make(*ns);
    EXPECT_THAT(Types(hears), testing::Contains(news.type)) << "control: a socket beside it";
    for (const Ear& other : others) EXPECT_THAT(Types(other.socket), testing::IsEmpty()) << "told in " << other.who;
    // Nothing is left, wherever that was.
    auto xfrm = XfrmIn(*ns);
    (void)xfrm.Ack(Request(XFRM_MSG_FLUSHPOLICY).Named("flush policies")).ok();
    (void)xfrm.Ack(Request(XFRM_MSG_FLUSHSA).Header(xfrm_usersa_flush{.proto = IPPROTO_ESP}).Named("flush states")).ok();
  }
}

// RFC 2367, 3.1.13 SADB_X_PROMISC: "a process ... gets all PF_KEY messages", also those that are sent by others - of its namespace.
void PromiscuousSocketsHearTheirNamespace(bool with_initial) {
  const auto older = NetNamespace::Create(), here = NetNamespace::Create();
  const auto nested = here.In([] { return NetNamespace::Create(); });
  const auto promiscuous = [](const NetNamespace& ns) {
    Fd key = KeyIn(ns);
    Ask(key, Sadb(SADB_X_PROMISC, 1));
    (void)Drain(key);
    return key;
  };
  const Fd hears = promiscuous(here), in_older = promiscuous(older), in_nested = promiscuous(nested);
  std::optional<Fd> in_initial;
  if (with_initial) in_initial = promiscuous(InitialNetNamespace());
  const Fd asks = KeyIn(here);
  SETUP_OK(Send(asks, Sadb(SADB_X_SPDDUMP, SADB_SATYPE_UNSPEC)));
  SETUP_OK(Receive(asks));
  EXPECT_THAT(Types(hears), Not(testing::IsEmpty())) << "control: a promiscuous socket of the namespace";
  EXPECT_THAT(Types(in_older), testing::IsEmpty()) << "told in an older namespace";
  EXPECT_THAT(Types(in_nested), testing::IsEmpty()) << "told in one made from inside";
  if (in_initial) {
    EXPECT_THAT(Types(*in_initial), testing::IsEmpty()) << "told in the initial namespace";
  }
}

const bool registered = [] {
  for (const News& news : AllNews()) {
    RegisterBody("Stack", std::string("KeyManagementNewsStaysInItsNamespace/") + news.name, __FILE__, __LINE__, [&news] { IsToldInItsNamespaceOnly(news, false); },
                 Covers("SOCK-27", "STACK-17"), Needs(Config("NET_KEY"), Config("XFRM_USER")));
    RegisterBody("Stack", std::string("KeyManagementNewsDoesNotReachTheInitialNamespace/") + news.name, __FILE__, __LINE__, [&news] { IsToldInItsNamespaceOnly(news, true); },
                 Covers("SOCK-27", "STACK-17"), Needs(Machine(), Config("NET_KEY"), Config("XFRM_USER")), Exclusive{});
  }
  return true;
}();
NETNS_TEST(Stack, PromiscuousKeySocketsHearTheirNamespaceOnly, Covers("SOCK-27"), Needs(Config("NET_KEY"))) { PromiscuousSocketsHearTheirNamespace(false); }
NETNS_TEST(Stack, PromiscuousKeySocketsOfTheInitialNamespaceHearNothingElse, Covers("SOCK-27"), Needs(Machine(), Config("NET_KEY")), Exclusive{}) {
  PromiscuousSocketsHearTheirNamespace(true);
}

// ---------------------------------------------------------------------------------------------------------- requests

/// An extension of a message that begins with its length and type.
template <class Extension>
std::optional<Extension> FindExtension(const std::string& message, int type) {
  for (std::size_t at = sizeof(sadb_msg); at + sizeof(sadb_ext) <= message.size();) {
    sadb_ext head{};
    std::memcpy(&head, message.data() + at, sizeof head);
    if (head.sadb_ext_len == 0) break;
    if (head.sadb_ext_type == type && at + sizeof(Extension) <= message.size()) {
      Extension found{};
      std::memcpy(&found, message.data() + at, sizeof found);
      return found;
    }
    at += head.sadb_ext_len * 8U;
  }
  return std::nullopt;
}
/// Sends a request over a socket of its own, and gives the messages that answer it: the kernel has sent them when send(2) returns.
std::vector<std::string> AnswersTo(Place& at, const std::string& request) {
  const Fd key = KeyIn(at.ns);
  SETUP_OK(Send(key, request));
  return Drain(key);
}
/// What the first answer says.
Status Outcome(Place& at, const std::string& request, const char* what) {
  const auto answers = AnswersTo(at, request);
  if (answers.empty()) return Error{ENOMSG, std::string(what) + ": no answer"};
  sadb_msg head{};
  std::memcpy(&head, answers.front().data(), std::min(answers.front().size(), sizeof head));
  if (head.sadb_msg_errno != 0) return Error{head.sadb_msg_errno, what};
  return Ok();
}
std::string SadbSpi() {
  sadb_sa part{};
  part.sadb_sa_len = sizeof part / 8;
  part.sadb_sa_exttype = SADB_EXT_SA;
  part.sadb_sa_spi = htonl(kSpi);
  return std::string(reinterpret_cast<const char*>(&part), sizeof part);
}
std::string SadbSpiRange() {
  sadb_spirange part{};
  part.sadb_spirange_len = sizeof part / 8;
  part.sadb_spirange_exttype = SADB_EXT_SPIRANGE;
  part.sadb_spirange_min = part.sadb_spirange_max = kSpi;
  return std::string(reinterpret_cast<const char*>(&part), sizeof part);
}
std::string SadbAddresses() { return SadbAddress(SADB_EXT_ADDRESS_SRC) + SadbAddress(SADB_EXT_ADDRESS_DST); }
/// How many states with our SPI a dump lists.
std::size_t CountStates(Place& at, int satype) {
  std::size_t count = 0;
  for (const std::string& answer : AnswersTo(at, Sadb(SADB_DUMP, satype))) {
    const auto state = FindExtension<sadb_sa>(answer, SADB_EXT_SA);
    count += state && state->sadb_sa_spi == htonl(kSpi);
  }
  return count;
}
/// The numbers of the policies that a dump lists.
std::vector<std::uint32_t> PolicyNumbers(Place& at) {
  std::vector<std::uint32_t> numbers;
  for (const std::string& answer : AnswersTo(at, Sadb(SADB_X_SPDDUMP, SADB_SATYPE_UNSPEC)))
    if (const auto policy = FindExtension<sadb_x_policy>(answer, SADB_X_EXT_POLICY)) numbers.push_back(policy->sadb_x_policy_id);
  return numbers;
}
std::string OfNumber(int request, std::uint32_t number) {
  const std::string part = SadbPolicy();
  sadb_x_policy policy{};
  std::memcpy(&policy, part.data(), sizeof policy);
  policy.sadb_x_policy_id = number;
  return Sadb(request, SADB_SATYPE_UNSPEC, std::string(reinterpret_cast<const char*>(&policy), sizeof policy));
}

// RFC 2367, 3.1: each request is about the tables of the namespace of its socket, whoever sends it.
void RequestsAboutStates(Place& owner, Place& other) {
  const auto take = [](Place& at) { return Outcome(at, Sadb(SADB_GETSPI, SADB_SATYPE_ESP, SadbAddresses() + SadbSpiRange()), "SADB_GETSPI"); };
  const auto get = [](Place& at) { return Outcome(at, Sadb(SADB_GET, SADB_SATYPE_ESP, SadbSpi() + SadbAddresses()), "SADB_GET"); };
  const auto remove = [](Place& at) { return Outcome(at, Sadb(SADB_DELETE, SADB_SATYPE_ESP, SadbSpi() + SadbAddresses()), "SADB_DELETE"); };
  const auto flush = [](Place& at) { (void)Outcome(at, Sadb(SADB_FLUSH, SADB_SATYPE_UNSPEC), "SADB_FLUSH").ok(); };
  const Undo clean([&] {
    for (Place* place : {&owner, &other}) flush(*place);
  });
  const auto listed = [&](Place& at, std::size_t count, const char* what) {
    for (int satype : {SADB_SATYPE_UNSPEC, SADB_SATYPE_ESP}) EXPECT_EQ(CountStates(at, satype), count) << what << ", SADB_DUMP " << (satype == SADB_SATYPE_ESP ? "of ESP" : "of all");
  };
  for (Place* place : {&owner, &other}) listed(*place, 0, "control: at first");
  ASSERT_OK(take(owner));
  listed(owner, 1, "control: its own");
  EXPECT_OK(get(owner)) << "control: its own";
  EXPECT_THAT(take(owner), testing::Not(Succeeds())) << "control: the SPI is taken";
  listed(other, 0, "a state of another namespace is listed");
  EXPECT_THAT(get(other), FailsWith(ESRCH)) << "SADB_GET: a state of another namespace";
  EXPECT_THAT(remove(other), FailsWith(ESRCH)) << "SADB_DELETE: a state of another namespace";
  flush(other);
  listed(owner, 1, "SADB_FLUSH of another namespace took it");
  EXPECT_OK(take(other)) << "SADB_GETSPI: the SPI of another namespace is in the way";
  listed(owner, 1, "an equal one of another namespace is listed");
  listed(other, 1, "control: its own");
  EXPECT_OK(remove(other)) << "control: its own";
  listed(other, 0, "control: deleted");
  listed(owner, 1, "SADB_DELETE of an equal one of another namespace took it");
  EXPECT_OK(remove(owner)) << "control";
  EXPECT_THAT(get(owner), FailsWith(ESRCH)) << "control: deleted";
}
void RequestsAboutPolicies(Place& owner, Place& other) {
  const std::string one = SadbAddresses() + SadbPolicy();
  const auto add = [&](Place& at) { return Outcome(at, Sadb(SADB_X_SPDADD, SADB_SATYPE_UNSPEC, one), "SADB_X_SPDADD"); };
  const auto remove = [&](Place& at) { return Outcome(at, Sadb(SADB_X_SPDDELETE, SADB_SATYPE_UNSPEC, one), "SADB_X_SPDDELETE"); };
  const auto flush = [](Place& at) { (void)Outcome(at, Sadb(SADB_X_SPDFLUSH, SADB_SATYPE_UNSPEC), "SADB_X_SPDFLUSH").ok(); };
  const Undo clean([&] {
    for (Place* place : {&owner, &other}) flush(*place);
  });
  for (Place* place : {&owner, &other}) EXPECT_THAT(PolicyNumbers(*place), testing::IsEmpty()) << "control: at first";
  ASSERT_OK(add(owner));
  const auto numbers = PolicyNumbers(owner);
  ASSERT_THAT(numbers, testing::SizeIs(1)) << "control: its own";
  EXPECT_THAT(add(owner), FailsWith(EEXIST)) << "control: it is there";
  EXPECT_OK(Outcome(owner, OfNumber(SADB_X_SPDGET, numbers[0]), "SADB_X_SPDGET")) << "control: its own";
  EXPECT_THAT(PolicyNumbers(other), testing::IsEmpty()) << "SADB_X_SPDDUMP lists a policy of another namespace";
  EXPECT_THAT(Outcome(other, OfNumber(SADB_X_SPDGET, numbers[0]), "SADB_X_SPDGET"), FailsWith(ENOENT)) << "a policy of another namespace";
  EXPECT_THAT(Outcome(other, OfNumber(SADB_X_SPDDELETE2, numbers[0]), "SADB_X_SPDDELETE2"), FailsWith(ENOENT)) << "a policy of another namespace";
  EXPECT_THAT(remove(other), FailsWith(ENOENT)) << "SADB_X_SPDDELETE: a policy of another namespace";
  flush(other);
  EXPECT_EQ(PolicyNumbers(owner), numbers) << "SADB_X_SPDFLUSH of another namespace took it";
  EXPECT_OK(add(other)) << "an equal policy of another namespace is in the way";
  EXPECT_EQ(PolicyNumbers(owner), numbers) << "an equal one of another namespace is listed";
  const auto of_other = PolicyNumbers(other);
  EXPECT_THAT(of_other, testing::SizeIs(1)) << "control: its own";
  EXPECT_OK(remove(other)) << "control: its own";
  EXPECT_THAT(PolicyNumbers(other), testing::IsEmpty()) << "control: deleted";
  EXPECT_EQ(PolicyNumbers(owner), numbers) << "SADB_X_SPDDELETE of an equal one of another namespace took it";
  EXPECT_OK(Outcome(owner, OfNumber(SADB_X_SPDDELETE2, numbers[0]), "SADB_X_SPDDELETE2")) << "control";
  EXPECT_THAT(PolicyNumbers(owner), testing::IsEmpty()) << "control: deleted";
}
const bool requests = RegisterBetween("Stack", "KeyManagementRequestsAreAboutTheirNamespace", "States", __FILE__, __LINE__, RequestsAboutStates, Covers("STACK-17", "SOCK-27"),
                                      Needs(Config("NET_KEY"))) &&
                      RegisterBetween("Stack", "KeyManagementRequestsAreAboutTheirNamespace", "Policies", __FILE__, __LINE__, RequestsAboutPolicies, Covers("STACK-17", "SOCK-27"),
                                      Needs(Config("NET_KEY")));

}  // namespace
}  // namespace netns
