// SPDX-License-Identifier: GPL-2.0-or-later
// VIRT: tunnels. A change of their ends meets only devices of the namespace where they send; those of IPsec find policies and
// states there, too.
#include "fixtures/sockets.h"
#include "fixtures/topology.h"
#include "suites/support/between.h"
#include "suites/support/uppers.h"

// The kernel's headers after the C library's: in this order they go together.
#include <linux/if_ether.h>
#include <linux/xfrm.h>

namespace netns {
namespace {

using namespace std::chrono_literals;
using testing::Not;

/// RTM_NEWLINK without NLM_F_CREATE: "ip link change NAME type KIND ...", to the ends of device number `nr`.
Status ChangeTo(Place& at, const UpperKind& kind, const std::string& name, int lower, int nr) {
  const std::string network = kind.ipv6 ? "2001:db8::" : "192.0.2.";
  Request request(RTM_NEWLINK);
  request.Named("change " + name + " to number " + std::to_string(nr)).Header(ifinfomsg{}).Text(IFLA_IFNAME, name).Nest(IFLA_LINKINFO, [&](Request& info) {
    info.Text(IFLA_INFO_KIND, kind.kind).Nest(IFLA_INFO_DATA, [&](Request& data) { kind.data(data, nr, lower, network + "1", network + std::to_string(2 + nr)); });
  });
  return at->socket().Ack(request);
}
// ip-link(8): what two devices of one namespace cannot both be, devices of two namespaces can: also by a change.
void ChangesMeetTheirOwnNamespace(const UpperKind& kind, Place& owner, Place& other) {
  Undo undo([&] {
    for (Place* place : {&owner, &other})
      for (const char* name : {"nsconf-t0", "nsconf-t1"}) (void)(*place)->DeleteLink(name).ok();
  });
  AddUpper(owner, kind, "nsconf-t0", 1, 50);
  AddUpper(other, kind, "nsconf-t0", 1, 51);
  ASSERT_OK(ChangeTo(other, kind, "nsconf-t0", 1, 50)) << "ip-link(8): the ends of a device of another namespace are in the way";
  ASSERT_OK(ChangeTo(other, kind, "nsconf-t0", 1, 51)) << "control: and back";
  AddUpper(other, kind, "nsconf-t1", 1, 52);
  AddUpper(owner, kind, "nsconf-t1", 1, 53);
  if (std::string(kind.kind) != "ip6gretap") {  // which is never refused
    EXPECT_THAT(ChangeTo(other, kind, "nsconf-t1", 1, 51), FailsWith(EEXIST)) << "control: the ends of a device of its own namespace";
    EXPECT_THAT(ChangeTo(owner, kind, "nsconf-t1", 1, 50), FailsWith(EEXIST)) << "control: the ends of a device of its own namespace";
  }
  EXPECT_OK(ChangeTo(owner, kind, "nsconf-t1", 1, 52)) << "ip-link(8): the ends of a device of another namespace are in the way";
  EXPECT_OK(ChangeTo(owner, kind, "nsconf-t0", 1, 51)) << "ip-link(8): the ends of a device of another namespace are in the way";
  EXPECT_THAT(other->AddLink(UpperSpec(kind, "nsconf-t2", 1, 51)), FailsWith(kind.clash)) << "control: the ends that it was changed back to";
  EXPECT_OK(other->DeleteLink("nsconf-t0"));
  EXPECT_OK(owner->LinkByName("nsconf-t0")) << "deleted in another namespace";
}

// --- Tunnels of IPsec -------------------------------------------------------------------------------------------------

constexpr xfrm_lifetime_cfg kForEver{XFRM_INF, XFRM_INF, XFRM_INF, XFRM_INF, 0, 0, 0, 0};
constexpr std::uint32_t kKey = 7;

/// Names of algorithms with keys of these many bytes: those that do nothing, and others for kernels that have none such.
struct Algorithms {
  const char *cipher, *hash;
  std::size_t cipher_key, hash_key;
};
constexpr Algorithms kAlgorithms[] = {{"ecb(cipher_null)", "digest_null", 0, 0}, {"cbc(aes)", "hmac(sha256)", 16, 32}};

struct Ipsec {
  Ipsec(const UpperKind& of, const Place& at) : kind(of), socket(Open(at)) {}
  static NetlinkSocket Open(const Place& at) {
    auto opened = at.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_XFRM);
    if (!opened.ok()) RequireBuiltIn(opened.error(), "XFRM_USER");
    return SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(std::move(opened))));
  }
  int domain() const { return kind.ipv6 ? AF_INET6 : AF_INET; }
  xfrm_address_t Address(const std::string& text) const {
    xfrm_address_t address{};
    ::inet_pton(domain(), text.c_str(), &address);
    return address;
  }
  /// vti: packets are known by their mark; xfrm: by the id of the device.
  void Key(Request& request) const {
    if (std::string(kind.kind) == "xfrm") request.U32(XFRMA_IF_ID, kKey);
    else request.Structure(XFRMA_MARK, xfrm_mark{kKey, ~0u});
  }
  Status State(const std::string& from, const std::string& to, std::uint32_t spi) {
    xfrm_usersa_info state{};
    state.family = static_cast<std::uint16_t>(domain());
    state.sel.family = state.family;
    state.saddr = Address(from);
    state.id = {Address(to), htonl(spi), IPPROTO_ESP};
    state.mode = XFRM_MODE_TUNNEL;
    state.reqid = 1;
    state.lft = kForEver;
    Status added = Error{ENOSYS, "no algorithm"};
    for (const Algorithms& algorithms : kAlgorithms) {
      const auto algorithm = [](const char* name, std::size_t key) {
        std::vector<std::byte> bytes(sizeof(xfrm_algo) + key);
        auto* head = reinterpret_cast<xfrm_algo*>(bytes.data());
        std::strcpy(head->alg_name, name);
        head->alg_key_len = static_cast<unsigned>(8 * key);
        return bytes;
      };
      const auto cipher = algorithm(algorithms.cipher, algorithms.cipher_key), hash = algorithm(algorithms.hash, algorithms.hash_key);
      Request request(XFRM_MSG_NEWSA, NLM_F_CREATE | NLM_F_EXCL);
      request.Named("add a state").Header(state).Raw(XFRMA_ALG_CRYPT, cipher).Raw(XFRMA_ALG_AUTH, hash);
      Key(request);
      added = socket.Ack(request);
      if (added.code() != ENOSYS && added.code() != ENOENT && added.code() != EPROTONOSUPPORT) break;
    }
    return added;
  }
  Status Policy(std::uint8_t direction, const std::string& from, const std::string& to) {
    xfrm_userpolicy_info policy{};
    policy.sel.family = static_cast<std::uint16_t>(domain());
    policy.lft = kForEver;
    policy.dir = direction;
    policy.action = XFRM_POLICY_ALLOW;
    xfrm_user_tmpl by{};
    by.id.daddr = Address(to);
    by.saddr = Address(from);
    by.id.proto = IPPROTO_ESP;
    by.family = policy.sel.family;
    by.mode = XFRM_MODE_TUNNEL;
    by.reqid = 1;
    by.aalgos = by.ealgos = by.calgos = ~0U;
    Request request(XFRM_MSG_NEWPOLICY, NLM_F_CREATE | NLM_F_EXCL);
    request.Named("add a policy").Header(policy).Structure(XFRMA_TMPL, by);
    Key(request);
    return socket.Ack(request);
  }
  const UpperKind& kind;
  NetlinkSocket socket;
};

// ip-xfrm(8), ip-link(8) type vti: policies and states of the namespace in which the device was made.
void EncryptsWhereItWasMade(const UpperKind& kind) {
  Place a, b, far;
  const VethPair wire = SETUP_OK(VethPair::Between(a.ns, far.ns));
  const std::string near_end = kind.ipv6 ? "2001:db8::1" : "192.0.2.1", far_end = kind.ipv6 ? "2001:db8::2" : "192.0.2.2";
  const std::string inner_near = kind.ipv6 ? "2001:db8:9::1" : "198.51.100.1", inner_far = kind.ipv6 ? "2001:db8:9::2" : "198.51.100.2";
  for (auto [place, local, remote] : {std::tuple(&a, near_end, far_end), std::tuple(&far, far_end, near_end)}) {
    const int lower = place == &a ? wire.west_link().index : wire.east_link().index;
    // Number 6 of xfrm has the id 7, which is the key of all vti, too.
    Status added = (*place)->AddLink(UpperSpec(kind, "tunnel", lower, static_cast<int>(kKey) - 1, local, remote));
    RequireBuiltIn(added, kind.symbol);
    SETUP_OK(std::move(added));
    Ipsec ipsec(kind, *place);
    for (auto [from, to, spi] : {std::tuple(near_end, far_end, 0x100u), std::tuple(far_end, near_end, 0x200u)}) {
      const Status state = ipsec.State(from, to, spi);
      if (state.code() == ENOSYS || state.code() == ENOENT || state.code() == EPROTONOSUPPORT)
        throw MissingNeed("needs-config:CRYPTO_NULL", "no state can be made: " + state.error().ToString(), "use a kernel with CONFIG_CRYPTO_NULL and CONFIG_INET_ESP");
      SETUP_OK(Status(state));
    }
    SETUP_OK(ipsec.Policy(XFRM_POLICY_OUT, local, remote));
    SETUP_OK(ipsec.Policy(XFRM_POLICY_IN, remote, local));
  }
  const auto settle = [&](Place& at, const std::string& address) {
    if (HasIpv6()) SETUP_OK(at.ns.SetSysctl("net/ipv6/conf/tunnel/accept_dad", "0"));
    SETUP_OK(at->Up("tunnel"));
    SETUP_OK(at->AddAddress(address + (kind.ipv6 ? "/64" : "/24"), "tunnel", {.nodad = kind.ipv6}));
    // Answers of either end come by the tunnel from where no address of it is: without a check of the way back.
    if (!kind.ipv6)
      for (const char* device : {"all", "tunnel"}) SETUP_OK(at.ns.SetSysctl(std::string("net/ipv4/conf/") + device + "/rp_filter", "0"));
  };
  settle(far, inner_far);
  auto probe = PacketSocket(a.ns, wire.west_link().index, ETH_P_ALL);
  if (!probe.ok()) RequireBuiltIn(probe.error(), "PACKET");
  const Fd on_wire = SETUP_OK(std::move(probe));
  const std::size_t protocol = 14 + (kind.ipv6 ? 6u : 9u);
  const auto encrypted = [&] {
    bool seen = false;
    while (Readable(on_wire)) {
      const std::string frame = SETUP_OK(Receive(on_wire)).data;
      seen = seen || (frame.size() > protocol && frame[protocol] == IPPROTO_ESP && frame[12] == (kind.ipv6 ? '\x86' : '\x08'));
    }
    return seen;
  };
  const Deadline soon = Deadline::In(20s);
  settle(a, inner_near);
  EXPECT_OK(UdpTalks(a.ns, far.ns, Inet(inner_far, 4100), 100, soon)) << "control: before the move";
  EXPECT_TRUE(encrypted()) << "control: before the move";
  SETUP_OK(a->MoveLink("tunnel", b.ref()));
  settle(b, inner_near);
  EXPECT_OK(UdpTalks(b.ns, far.ns, Inet(inner_far, 4101), 100, Deadline::In(20s)))
      << "ip-xfrm(8): the device has moved, the policies and states are those of the namespace where it was made";
  EXPECT_TRUE(encrypted()) << "encrypted packets on the wire of the namespace where it was made";
  EXPECT_OK(TcpTalks(far.ns, b.ns, Inet(inner_near, 4102), 100, Deadline::In(20s))) << "and what comes in there is decrypted there";
  // Control: without the state of that namespace nothing leaves.
  Ipsec in_a(kind, a);
  xfrm_usersa_flush states{};
  states.proto = IPPROTO_ESP;
  SETUP_OK(in_a.socket.Ack(Request(XFRM_MSG_FLUSHSA).Header(states).Named("flush states")));
  EXPECT_THAT(Ping(b.ns, inner_far, {.deadline = Deadline::In(500ms)}), Not(Succeeds())) << "control: without its states";
}

[[maybe_unused]] const bool registered = [] {
  for (const UpperKind& kind : UpperKinds()) {
    const std::string of = kind.kind;
    Needs needs(Config(kind.symbol));
    if (kind.ipv6) needs.list.push_back(Config("IPV6"));
    const bool can_change = kind.clash == EEXIST && !kind.on_a_device && of != "vxlan";
    if (can_change)
      RegisterBetween("Virt", "ChangesMeetDevicesOfTheirNamespace", kind.name, __FILE__, __LINE__,
                      [&kind](Place& owner, Place& other) { ChangesMeetTheirOwnNamespace(kind, owner, other); }, Covers("VIRT-15"), needs);
    if (of == "vti" || of == "vti6" || of == "xfrm") {
      Needs more = needs;
      for (const char* symbol : {"XFRM_USER", "VETH", "PACKET", kind.ipv6 ? "INET6_ESP" : "INET_ESP"}) more.list.push_back(Config(symbol));
      RegisterBody("Virt", std::string("EncryptsWhereItWasMade/") + kind.name, __FILE__, __LINE__, [&kind] { EncryptsWhereItWasMade(kind); }, Covers("VIRT-04", "STACK-17"), more,
                   Within{std::chrono::seconds(60)});
    }
  }
  return true;
}();

}  // namespace
}  // namespace netns
