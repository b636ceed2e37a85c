// SPDX-License-Identifier: GPL-2.0-or-later
// ROUTE: what a namespace learns of a route from the ICMP messages that come into it, also beside the initial namespace.
#include "fixtures/nic.h"
#include "suites/support/sockets.h"

// The kernel's headers after the C library's: in this order they go together.
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>

namespace netns {
namespace {

using namespace sock;

/// A destination that no namespace here has an address in.
std::string FarHost(const Family& family) { return family.domain == AF_INET ? "198.51.100.9" : "2001:db8:f::9"; }

// Path MTU: learned from an ICMP message that came into one namespace ---------------------------------------------------
std::uint16_t Checksum(const std::string& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2)
    sum += static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i]) << 8 | static_cast<unsigned char>(bytes[i + 1]));
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}
/// The message of a router that a packet from `source` to `destination` was too big for the next link.
std::string TooBig(const Family& family, const std::string& source, const std::string& destination, std::uint16_t mtu) {
  if (family.domain == AF_INET) {
    iphdr packet{};
    packet.version = 4;
    packet.ihl = 5;
    packet.ttl = 64;
    packet.tot_len = htons(1500);
    packet.frag_off = htons(0x4000);
    packet.protocol = IPPROTO_ICMP;
    ::inet_pton(AF_INET, source.c_str(), &packet.saddr);
    ::inet_pton(AF_INET, destination.c_str(), &packet.daddr);
    packet.check = htons(Checksum(BytesOf(packet)));
    icmphdr error{};
    error.type = ICMP_DEST_UNREACH;
    error.code = ICMP_FRAG_NEEDED;
    error.un.frag.mtu = htons(mtu);
    // An echo reply inside: no socket needs to wait for it.
    const std::string rest = BytesOf(packet) + BytesOf(icmphdr{});
    error.checksum = htons(Checksum(BytesOf(error) + rest));
    return BytesOf(error) + rest;
  }
  ip6_hdr packet{};
  packet.ip6_flow = htonl(6U << 28);
  packet.ip6_plen = htons(1400);
  packet.ip6_nxt = IPPROTO_ICMPV6;
  packet.ip6_hlim = 64;
  ::inet_pton(AF_INET6, source.c_str(), &packet.ip6_src);
  ::inet_pton(AF_INET6, destination.c_str(), &packet.ip6_dst);
  icmp6_hdr error{};
  error.icmp6_type = ICMP6_PACKET_TOO_BIG;
  error.icmp6_mtu = htonl(mtu);
  icmp6_hdr reply{};
  reply.icmp6_type = ICMP6_ECHO_REPLY;
  return BytesOf(error) + BytesOf(packet) + BytesOf(reply);  // the kernel sums it up
}
std::uint32_t MtuTo(const NetNamespace& where, const Family& family, const std::string& address) {
  Rtnl rtnl = RtnlIn(where);
  std::byte bytes[16];
  ::inet_pton(family.domain, address.c_str(), bytes);
  rtmsg header{};
  header.rtm_family = static_cast<unsigned char>(family.domain);
  header.rtm_dst_len = static_cast<unsigned char>(family.host_prefix);
  const Message answer = SETUP_OK(rtnl.socket().Get(
      Request(RTM_GETROUTE).Header(header).Raw(RTA_DST, Bytes(bytes, family.domain == AF_INET ? 4 : 16)).Named("route to " + address)));
  return answer.AttributesAfter<rtmsg>().Nested(RTA_METRICS).U32(RTAX_MTU).value_or(0);
}
constexpr char kDevice[] = "nsconf-rt";
/// A namespace that reaches FarHost() by a router of its own. Its device goes with this: it may be the initial namespace.
class Host {
 public:
  explicit Host(NetNamespace where) : ns_(std::move(where)), router_(CreateWithLoopback()) {
    LoopbackUp(ns_);
    Join(ns_, kDevice, router_, "eth0");
    for (const Family& family : Families())
      if (family.domain == AF_INET || HasIpv6()) SETUP_OK(RtnlIn(ns_).AddRoute(RouteSpec{.to = FarHost(family), .via = family.Host(2), .dev = kDevice}));
  }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;
  ~Host() { (void)RtnlIn(ns_).DeleteLink(kDevice).ok(); }

  const NetNamespace& ns() const { return ns_; }
  const NetNamespace& router() const { return router_; }
  std::uint32_t Mtu(const Family& family) const { return MtuTo(ns_, family, FarHost(family)); }
  /// Its router says that packets to FarHost() are to be no longer than this.
  void Hear(const Family& family, std::uint16_t mtu) const {
    const Fd raw = SETUP_OK(router_.Socket(family.domain, SOCK_RAW, family.domain == AF_INET ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6}));
    SETUP_OK(SendTo(raw, TooBig(family, family.Host(1), FarHost(family), mtu), SockAddr::Ip(family.Host(1))));
  }

 private:
  NetNamespace ns_, router_;
};
Deadline Soon() { return Deadline::In(std::chrono::seconds(10)); }
void PathMtu(const Family& family, const Host& here, const Host& there) {
  EXPECT_EQ(here.Mtu(family), 0U) << "control: before";
  here.Hear(family, 1300);
  EXPECT_EVENTUALLY("the path MTU to be learned", [&] { return here.Mtu(family) == 1300; }, Soon());
  EXPECT_EQ(there.Mtu(family), 0U) << "a path MTU of which another namespace was told is learned here";
  there.Hear(family, 1400);
  EXPECT_EVENTUALLY("the path MTU to be learned", [&] { return there.Mtu(family) == 1400; }, Soon());
  EXPECT_EQ(here.Mtu(family), 1300U) << "a path MTU of which another namespace was told is learned here";
  there.Hear(family, 1290);
  EXPECT_EVENTUALLY("the smaller path MTU to be learned", [&] { return there.Mtu(family) == 1290; }, Soon());
  EXPECT_EQ(here.Mtu(family), 1300U) << "a path MTU of which another namespace was told is learned here";
}
/// The message of a router that it should be asked no more about `destination`, but `instead`.
std::string Redirect(const std::string& source, const std::string& destination, const std::string& instead) {
  // As in TooBig(), but for the beginning.
  std::string message = TooBig(Families()[0], source, destination, 0);
  icmphdr redirect{};
  redirect.type = ICMP_REDIRECT;
  redirect.code = ICMP_REDIR_HOST;
  ::inet_pton(AF_INET, instead.c_str(), &redirect.un.gateway);
  const std::string rest = message.substr(sizeof redirect);
  redirect.checksum = htons(Checksum(BytesOf(redirect) + rest));
  return BytesOf(redirect) + rest;
}
// ip-sysctl.rst, accept_redirects: what a router says is for the namespace that it says it to.
class Believer : public Host {
 public:
  explicit Believer(NetNamespace where) : Host(std::move(where)) {
    // The other router is known: the kernel believes nothing of one that does not answer.
    SETUP_OK(RtnlIn(ns()).AddNeighbour({.to = family_.Host(3), .address = "02:00:00:00:00:03", .dev = kDevice}));
    for (const char* device : {"all", kDevice})
      for (auto [name, value] : {std::pair("accept_redirects", "1"), std::pair("secure_redirects", "0")}) {
        const std::string file = std::string("net/ipv4/conf/") + device + "/" + name;
        before_.emplace_back(file, SETUP_OK(ns().Sysctl(file)));
        SETUP_OK(ns().SetSysctl(file, value));
      }
  }
  ~Believer() {
    for (const auto& [file, value] : before_) (void)ns().SetSysctl(file, value).ok();
  }
  /// Its router says that FarHost() is reached by another one.
  void HearOfAnother() const {
    const Fd raw = SETUP_OK(router().Socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
    SETUP_OK(SendTo(raw, Redirect(family_.Host(1), FarHost(family_), family_.Host(3)), SockAddr::Ip(family_.Host(1))));
  }
  bool GoesByAnother() const { return SETUP_OK(RtnlIn(ns()).GetRoute(FarHost(family_))).via == family_.Host(3); }

 private:
  const Family& family_ = Families()[0];
  std::vector<std::pair<std::string, std::string>> before_;
};
// RFC 4861, 8: routers speak by their link-local addresses, and so do their redirects.
class Ipv6Believer : public Host {
 public:
  explicit Ipv6Believer(NetNamespace where) : Host(std::move(where)) {
    Rtnl here = RtnlIn(ns()), there = RtnlIn(router());
    SETUP_OK(here.AddAddress("fe80::1/64", kDevice, {.nodad = true}));
    SETUP_OK(there.AddAddress(std::string(kRouter) + "/64", "eth0", {.nodad = true}));
    SETUP_OK(here.AddRoute({.to = kFar, .via = kRouter, .dev = kDevice}));
    SETUP_OK(here.AddNeighbour({.to = kOther, .address = "02:00:00:00:00:03", .dev = kDevice}));
    for (auto [name, value] : {std::pair("forwarding", "0"), std::pair("accept_redirects", "1")})
      SETUP_OK(ns().SetSysctl(std::string("net/ipv6/conf/") + kDevice + "/" + name, value));
  }
  /// Its router says that kFar is reached by another one.
  void HearOfAnother() const {
    const auto link = static_cast<std::uint32_t>(SETUP_OK(RtnlIn(router()).LinkByName("eth0")).index);
    const Fd raw = SETUP_OK(router().Socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6));
    SETUP_OK(Bind(raw, SockAddr::Ip(kRouter, 0, link)));
    SETUP_OK(SetOption(raw, SOL_IPV6, IPV6_UNICAST_HOPS, 255));  // from this link, or it is not believed
    nd_redirect redirect{};
    redirect.nd_rd_type = ND_REDIRECT;
    ::inet_pton(AF_INET6, kOther, &redirect.nd_rd_target);
    ::inet_pton(AF_INET6, kFar, &redirect.nd_rd_dst);
    SETUP_OK(SendTo(raw, BytesOf(redirect), SockAddr::Ip("fe80::1", 0, link)));
  }
  bool GoesByAnother() const { return SETUP_OK(RtnlIn(ns()).GetRoute(kFar)).via == kOther; }

 private:
  static constexpr const char *kRouter = "fe80::2", *kOther = "fe80::3", *kFar = "2001:db8:f::19";
};
template <class Believer>
void Redirects(const Believer& here, const Believer& there) {
  for (const Believer* each : {&here, &there}) ASSERT_FALSE(each->GoesByAnother()) << "control: before";
  here.HearOfAnother();
  EXPECT_EVENTUALLY("the redirect to be learned by the namespace that was told", [&] { return here.GoesByAnother(); }, Soon());
  EXPECT_FALSE(there.GoesByAnother()) << "a redirect of which another namespace was told is learned here";
  auto born = CreateWithLoopback();
  EXPECT_THAT(RtnlIn(born).GetRoute(FarHost(Families()[0])), FailsWith(ENETUNREACH)) << "learned by another namespace";
  there.HearOfAnother();
  EXPECT_EVENTUALLY("the redirect to be learned by the other namespace", [&] { return there.GoesByAnother(); }, Soon());
}
NETNS_TEST(Route, RedirectsAreLearnedByOneNamespace, Covers("ROUTE-11"), Needs(Config("VETH"))) {
  const Believer here(NetNamespace::Create()), there(NetNamespace::Create());
  Redirects(there, here);
}
NETNS_TEST(Route, RedirectsAreLearnedByOneNamespaceBesideTheInitial, Covers("ROUTE-11"), Needs(Machine(), Config("VETH")), Exclusive{}) {
  for (bool initial_first : {false, true}) {
    SCOPED_TRACE(initial_first ? "told to the initial namespace" : "told to an ordinary namespace");
    const Believer initial(InitialNetNamespace()), fresh(NetNamespace::Create());
    Redirects(initial_first ? initial : fresh, initial_first ? fresh : initial);
  }
}
NETNS_TEST(Route, Ipv6RedirectsAreLearnedByOneNamespace, Covers("ROUTE-11"), Needs(Config("VETH"), Config("IPV6"))) {
  const Ipv6Believer here(NetNamespace::Create()), there(NetNamespace::Create());
  Redirects(there, here);
}
NETNS_TEST(Route, Ipv6RedirectsAreLearnedByOneNamespaceBesideTheInitial, Covers("ROUTE-11"), Needs(Machine(), Config("VETH"), Config("IPV6")), Exclusive{}) {
  for (bool initial_first : {false, true}) {
    SCOPED_TRACE(initial_first ? "told to the initial namespace" : "told to an ordinary namespace");
    const Ipv6Believer initial(InitialNetNamespace()), fresh(NetNamespace::Create());
    Redirects(initial_first ? initial : fresh, initial_first ? fresh : initial);
  }
}
// Documentation/networking/ip-sysctl.rst: route/flush and route/min_pmtu are of the namespace, and so is what they do.
NETNS_TEST(Route, PathMtusAreFlushedAndBoundedByTheirNamespace, Covers("ROUTE-11", "SYSCTL-15"), Needs(Config("VETH"), Config("SYSCTL"))) {
  const Family& family = Families()[0];
  auto here = CreateWithLoopback(), router_here = CreateWithLoopback();
  auto there = CreateWithLoopback(), router_there = CreateWithLoopback();
  Join(here, "eth0", router_here, "eth0");
  Join(there, "eth0", router_there, "eth0");
  for (const NetNamespace* where : {&here, &there})
    SETUP_OK(RtnlIn(*where).AddRoute(RouteSpec{.to = "default", .via = family.Host(2), .dev = "eth0"}));
  const auto tell = [&](const NetNamespace& router, std::uint16_t mtu) {
    Fd raw = SETUP_OK(router.Socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
    SETUP_OK(SendTo(raw, TooBig(family, family.Host(1), FarHost(family), mtu), SockAddr::Ip(family.Host(1))));
  };
  const auto learns = [&](const NetNamespace& where, const NetNamespace& router, std::uint16_t told, std::uint32_t expected) {
    tell(router, told);
    return Eventually("the path MTU " + std::to_string(expected) + " to be learned", [&] { return MtuTo(where, family, FarHost(family)) == expected; },
                      Deadline::In(std::chrono::seconds(10)));
  };
  ASSERT_OK(learns(here, router_here, 1300, 1300));
  ASSERT_OK(learns(there, router_there, 1300, 1300));
  const bool flushes = here.HasSysctl("net/ipv4/route/flush");  // hidden where the namespace belongs to no initial user namespace
  if (flushes) {
    SETUP_OK(here.SetSysctl("net/ipv4/route/flush", "1"));
    EXPECT_EVENTUALLY("what was learned to be forgotten where it was flushed", [&] { return MtuTo(here, family, FarHost(family)) == 0; },
                      Deadline::In(std::chrono::seconds(10)));
    EXPECT_EQ(MtuTo(there, family, FarHost(family)), 1300U) << "flushed by another namespace";
    ASSERT_OK(learns(here, router_here, 1300, 1300));
  }
  if (here.HasSysctl("net/ipv4/route/min_pmtu")) {  // of the machine before Linux 5.18
    SETUP_OK(here.SetSysctl("net/ipv4/route/min_pmtu", "1000"));
    EXPECT_OK(learns(here, router_here, 800, 1000)) << "not less than this namespace allows";
    EXPECT_OK(learns(there, router_there, 800, 800)) << "control: another one allows less";
  } else if (!flushes) {
    throw MissingNeed("needs-feature:route-sysctls", "ipv4/route is the machine's alone here");
  }
}
void PathMtuBetweenTwo(const Family& family) {
  const Host here(NetNamespace::Create()), there(NetNamespace::Create());
  PathMtu(family, here, there);
}
NETNS_TEST(Route, Ipv4PathMtuIsLearnedByOneNamespace, Covers("ROUTE-11"), Needs(Config("VETH"))) { PathMtuBetweenTwo(Families()[0]); }
NETNS_TEST(Route, Ipv6PathMtuIsLearnedByOneNamespace, Covers("ROUTE-11"), Needs(Config("VETH"), Config("IPV6"))) { PathMtuBetweenTwo(Families()[1]); }
void PathMtuBesideTheInitialNamespace(const Family& family) {
  for (bool initial_first : {false, true}) {
    SCOPED_TRACE(initial_first ? "learned by the initial namespace" : "learned by an ordinary namespace");
    const Host initial(InitialNetNamespace()), fresh(NetNamespace::Create());
    PathMtu(family, initial_first ? initial : fresh, initial_first ? fresh : initial);
  }
}
NETNS_TEST(Route, Ipv4PathMtuIsLearnedByOneNamespaceBesideTheInitial, Covers("ROUTE-11"), Needs(Machine(), Config("VETH")), Exclusive{}) {
  PathMtuBesideTheInitialNamespace(Families()[0]);
}
NETNS_TEST(Route, Ipv6PathMtuIsLearnedByOneNamespaceBesideTheInitial, Covers("ROUTE-11"), Needs(Machine(), Config("VETH"), Config("IPV6")), Exclusive{}) {
  PathMtuBesideTheInitialNamespace(Families()[1]);
}

}  // namespace
}  // namespace netns
