// SPDX-License-Identifier: GPL-2.0-or-later
// NLK: dumps that the kernel gives in several parts (netlink(7), NLM_F_MULTI). Each part is made when the one before it has
// been read, and has to remember of which namespace the dump is. A row makes more objects than fit into one part, with equal
// keys and other marks in each namespace; what is listed must be exactly what was made.
#include <arpa/inet.h>
#include <linux/if_bridge.h>
#include <linux/inet_diag.h>
#include <linux/netconf.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink_diag.h>
#include <linux/nexthop.h>
#include <linux/packet_diag.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <linux/xfrm.h>

#include "fixtures/nic.h"
#include "fixtures/nftables.h"
#include "fixtures/sockets.h"
#include "suites/support/conntrack_tuple.h"
#include "suites/support/many_requests.h"
#include "suites/support/place.h"

namespace netns {
namespace {

/// Objects of one kind.
struct Kind {
  const char* name;
  int protocol;
  int count;
  /// Makes them; `mark` (1 to 9) is another number in each namespace, and shows in each object.
  std::function<void(Place&, int mark)> make;
  std::function<Request()> dump;
  /// What a message says of one such object, with its mark; nothing for another one.
  std::function<std::string(const Message&)> read;
  /// The same, as it was made.
  std::function<std::string(int mark, int i)> expected;
  const char *config = nullptr, *also = nullptr;  ///< Options that it takes.
  std::optional<std::uint16_t> target = {};  ///< The attribute that names another namespace, in the request and in each answer,
  std::size_t header = 0;                    ///< behind a header of this size.
  std::vector<std::string> covers = {};
  std::function<void(Place&)> undo = {};     ///< In the initial namespace; none: not to be tried there.
  /// The kernel leaves out what it was about to write when a part was full, and begins anew when the table has grown meanwhile.
  bool loses = false;
};

/// The answer to a dump request, and how many parts with objects it had.
struct Answer {
  std::vector<Message> messages;
  int parts = 0;
  bool interrupted = false;
};
Answer DumpByHand(Place& at, int protocol, const Request& request, const std::function<void()>& between = {}) {
  const Fd socket = SETUP_OK(at.ns.Socket(AF_NETLINK, SOCK_RAW, protocol));
  const int on = 1;
  (void)SetSockOpt(socket, SOL_NETLINK, NETLINK_GET_STRICT_CHK, on).ok();
  std::string bytes(reinterpret_cast<const char*>(request.bytes().data()), request.bytes().size());
  reinterpret_cast<nlmsghdr*>(bytes.data())->nlmsg_flags |= NLM_F_REQUEST | NLM_F_DUMP;
  SETUP_OK(SendTo(socket, bytes, NetlinkAddress(0)));
  Answer answer;
  // The kernel fills parts of the size that it sees asked for: the smaller, the more of them.
  std::vector<char> buffer(4096);
  for (;;) {
    SETUP_OK(WaitFor(socket.get(), POLLIN, Deadline::OfTest(), "a part of " + request.what()));
    ssize_t size = ::recv(socket.get(), nullptr, 0, MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC);
    if (size > static_cast<ssize_t>(buffer.size())) buffer.resize(static_cast<std::size_t>(size));
    size = ::recv(socket.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0) SETUP_OK(Status(ErrnoError("recv of " + request.what())));
    const std::size_t messages_before = answer.messages.size();
    if (between) between();
    for (std::size_t at_byte = 0; at_byte + sizeof(nlmsghdr) <= static_cast<std::size_t>(size);) {
      nlmsghdr head{};
      std::memcpy(&head, buffer.data() + at_byte, sizeof head);
      if (head.nlmsg_len < sizeof head || at_byte + head.nlmsg_len > static_cast<std::size_t>(size)) break;
      if ((head.nlmsg_flags & NLM_F_DUMP_INTR) != 0) answer.interrupted = true;
      int error = 0;
      if ((head.nlmsg_type == NLMSG_ERROR || head.nlmsg_type == NLMSG_DONE) && head.nlmsg_len >= NLMSG_HDRLEN + sizeof error) {
        std::memcpy(&error, buffer.data() + at_byte + NLMSG_HDRLEN, sizeof error);
        if (error < 0) SETUP_OK(Status(Error{-error, request.what()}));
      }
      if (head.nlmsg_type == NLMSG_DONE || head.nlmsg_type == NLMSG_ERROR) {
        answer.parts += answer.messages.size() > messages_before;
        return answer;
      }
      answer.messages.emplace_back(std::as_bytes(std::span(buffer)).subspan(at_byte, head.nlmsg_len));
      at_byte += NLMSG_ALIGN(head.nlmsg_len);
    }
    answer.parts += answer.messages.size() > messages_before;
  }
}

void Send(Place& at, int protocol, const std::vector<Request>& requests, const char* symbol) {
  for (int code : SendMany(at.ns, protocol, requests)) {
    if (code != 0) RequireBuiltIn(Error{code, requests.front().what()}, symbol);
    if (code == EINVAL && protocol == NETLINK_NETFILTER) throw MissingNeed(std::string("needs-config:") + symbol, "nfnetlink has no such subsystem");
    if (code != 0) SETUP_OK(Status(Error{code, requests.front().what()}));
  }
}

/// An IPv4 address whose second byte is the mark: 10.MARK.i/256.i%256. In network byte order.
std::uint32_t Numbered(int mark, int i) { return htonl(0x0A000000u | static_cast<std::uint32_t>(mark) << 16 | static_cast<std::uint32_t>(i)); }
in6_addr Numbered6(int mark, int i) {
  in6_addr address{};
  ::inet_pton(AF_INET6, "2001:db8::", &address);
  address.s6_addr[5] = static_cast<std::uint8_t>(mark);
  address.s6_addr[14] = static_cast<std::uint8_t>(i >> 8);
  address.s6_addr[15] = static_cast<std::uint8_t>(i);
  return address;
}
std::string Show(const void* address, int family) {
  char text[INET6_ADDRSTRLEN] = "";
  ::inet_ntop(family, address, text, sizeof text);
  return text;
}
std::string Show(std::uint32_t address) { return Show(&address, AF_INET); }
std::string Show(const in6_addr& address) { return Show(&address, AF_INET6); }
/// Those of Numbered(), of whatever mark.
std::string ShowNumbered(const std::optional<Bytes>& raw) {
  if (!raw) return "";
  if (raw->size() == 4) {
    const std::string text = Show(raw->data(), AF_INET);
    return text.starts_with("10.") ? text : "";
  }
  if (raw->size() != 16) return "";
  const std::string text = Show(raw->data(), AF_INET6);
  return text.starts_with("2001:db8:") ? text : "";
}
std::string ExpectedAddress(int family, int mark, int i) { return family == AF_INET ? Show(Numbered(mark, i)) : Show(Numbered6(mark, i)); }
Request& PutAddress(Request& request, std::uint16_t type, int family, int mark, int i) {
  return family == AF_INET ? request.U32(type, Numbered(mark, i)) : request.Structure(type, Numbered6(mark, i));
}
const char* SymbolOf(int family) { return family == AF_INET ? "INET" : "IPV6"; }

void Hub(Place& at) {
  if (!at->LinkByName("nsconf-hub").ok()) AddBridge(at, "nsconf-hub");
  SETUP_OK(at->Up("nsconf-hub"));
}
void RemoveHub(Place& at) { (void)at->DeleteLink("nsconf-hub").ok(); }

/// Bridges of equal indexes, whose names have the mark.
constexpr int kFirstIndex = 4000;
std::string BridgeName(int mark, int i) { return "nsc" + std::to_string(mark) + "-" + std::to_string(i); }
void Bridges(Place& at, int mark, int count) {
  std::vector<Request> adds;
  for (int i = 0; i < count; ++i) {
    ifinfomsg header{};
    header.ifi_index = kFirstIndex + i;
    adds.emplace_back(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
    adds.back().Named("add bridges").Header(header).Text(IFLA_IFNAME, BridgeName(mark, i)).Nest(IFLA_LINKINFO, [](Request& info) { info.Text(IFLA_INFO_KIND, "bridge"); });
  }
  Send(at, NETLINK_ROUTE, adds, "BRIDGE");
}
Kind Links(const char* name, std::uint8_t family, bool with_target) {
  Kind kind{.name = name, .protocol = NETLINK_ROUTE, .count = 16};
  kind.make = [](Place& at, int mark) { Bridges(at, mark, 16); };
  kind.dump = [family] {
    ifinfomsg header{};
    header.ifi_family = family;
    Request dump(RTM_GETLINK);
    dump.Named("list links").Header(header);
    return dump;
  };
  kind.read = [](const Message& message) {
    const std::string text = message.AttributesAfter<ifinfomsg>().Text(IFLA_IFNAME).value_or("");
    return text.starts_with("nsc") && !text.starts_with("nsconf") ? text : "";
  };
  kind.expected = BridgeName;
  kind.config = "BRIDGE";
  if (family == AF_INET6) kind.also = "IPV6";
  if (with_target) {
    kind.target = IFLA_TARGET_NETNSID;
    kind.header = sizeof(ifinfomsg);
  }
  return kind;
}
/// Settings of each of the bridges, told by their indexes, which are equal in all namespaces: only the number can be wrong.
template <class Header>
Kind OfEachBridge(const char* name, int count, std::uint16_t type, Header header, std::function<int(const Message&)> index, const char* also = nullptr) {
  Kind kind{.name = name, .protocol = NETLINK_ROUTE, .count = count};
  const auto made = [count](int mark) { return mark % 2 == 0 ? count : count - 5; };
  kind.make = [made](Place& at, int mark) { Bridges(at, mark, made(mark)); };
  kind.dump = [type, header, name] {
    Request dump(type);
    dump.Named(name).Header(header);
    return dump;
  };
  kind.read = [index](const Message& message) {
    const int i = index(message) - kFirstIndex;
    return i >= 0 && i < 1000 ? std::to_string(i) : "";
  };
  kind.expected = [made](int mark, int i) { return i < made(mark) ? std::to_string(i) : ""; };
  kind.config = "BRIDGE";
  kind.also = also;
  return kind;
}
Kind Addresses(const char* name, int family) {
  Kind kind{.name = name, .protocol = NETLINK_ROUTE, .count = 200};
  kind.make = [family](Place& at, int mark) {
    SETUP_OK(at->Up("lo"));
    std::vector<Request> adds;
    for (int i = 0; i < 200; ++i) {
      ifaddrmsg header{};
      header.ifa_family = static_cast<std::uint8_t>(family);
      header.ifa_prefixlen = family == AF_INET ? 32 : 128;
      header.ifa_index = 1;
      adds.emplace_back(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
      adds.back().Named("add addresses").Header(header);
      PutAddress(adds.back(), IFA_LOCAL, family, mark, i).U32(IFA_FLAGS, IFA_F_NODAD | IFA_F_PERMANENT);
      PutAddress(adds.back(), IFA_ADDRESS, family, mark, i);
    }
    Send(at, NETLINK_ROUTE, adds, SymbolOf(family));
  };
  kind.dump = [family] {
    ifaddrmsg header{};
    header.ifa_family = static_cast<std::uint8_t>(family);
    Request dump(RTM_GETADDR);
    dump.Named("list addresses").Header(header);
    return dump;
  };
  kind.read = [](const Message& message) { return ShowNumbered(message.AttributesAfter<ifaddrmsg>().Raw(IFA_ADDRESS)); };
  kind.expected = [family](int mark, int i) { return ExpectedAddress(family, mark, i); };
  kind.config = SymbolOf(family);
  kind.target = IFA_TARGET_NETNSID;
  kind.header = sizeof(ifaddrmsg);
  kind.covers = {"NLK-11"};
  return kind;
}
Kind Routes(const char* name, int family) {
  Kind kind{.name = name, .protocol = NETLINK_ROUTE, .count = 200};
  const auto requests = [family](std::uint16_t type, std::uint16_t flags, int mark) {
    std::vector<Request> all;
    for (int i = 0; i < 200; ++i) {
      rtmsg header{};
      header.rtm_family = static_cast<std::uint8_t>(family);
      header.rtm_dst_len = family == AF_INET ? 32 : 128;
      header.rtm_table = RT_TABLE_MAIN;
      header.rtm_protocol = RTPROT_STATIC;
      header.rtm_type = RTN_BLACKHOLE;
      all.emplace_back(type, flags);
      PutAddress(all.back().Named("routes").Header(header), RTA_DST, family, mark, i);
    }
    return all;
  };
  kind.make = [=](Place& at, int mark) {
    SETUP_OK(at->Up("lo"));
    Send(at, NETLINK_ROUTE, requests(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, mark), SymbolOf(family));
  };
  kind.undo = [=](Place& at) { (void)SendMany(at.ns, NETLINK_ROUTE, requests(RTM_DELROUTE, 0, 9)); };
  kind.dump = [family] {
    rtmsg header{};
    header.rtm_family = static_cast<std::uint8_t>(family);
    Request dump(RTM_GETROUTE);
    dump.Named("list routes").Header(header);
    return dump;
  };
  kind.read = [](const Message& message) { return ShowNumbered(message.AttributesAfter<rtmsg>().Raw(RTA_DST)); };
  kind.expected = [family](int mark, int i) { return ExpectedAddress(family, mark, i); };
  kind.config = SymbolOf(family);
  return kind;
}
Kind Rules(const char* name, int family) {
  Kind kind{.name = name, .protocol = NETLINK_ROUTE, .count = 200};
  const auto requests = [family](std::uint16_t type, std::uint16_t flags, int mark) {
    std::vector<Request> all;
    for (int i = 0; i < 200; ++i) {
      rtmsg header{};  // as struct fib_rule_hdr
      header.rtm_family = static_cast<std::uint8_t>(family);
      header.rtm_type = 1;  // FR_ACT_TO_TBL
      all.emplace_back(type, flags);
      all.back().Named("rules").Header(header).U32(6 /* FRA_PRIORITY */, static_cast<std::uint32_t>(40000 + i)).U32(15 /* FRA_TABLE */, static_cast<std::uint32_t>(7700 + mark));
    }
    return all;
  };
  const char* symbol = family == AF_INET ? "IP_MULTIPLE_TABLES" : "IPV6_MULTIPLE_TABLES";
  kind.make = [=](Place& at, int mark) { Send(at, NETLINK_ROUTE, requests(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, mark), symbol); };
  kind.undo = [=](Place& at) { (void)SendMany(at.ns, NETLINK_ROUTE, requests(RTM_DELRULE, 0, 9)); };
  kind.dump = [family] {
    rtmsg header{};
    header.rtm_family = static_cast<std::uint8_t>(family);
    Request dump(RTM_GETRULE);
    dump.Named("list rules").Header(header);
    return dump;
  };
  kind.read = [](const Message& message) {
    const Attributes all = message.AttributesAfter<rtmsg>();
    const std::uint32_t table = all.U32(15).value_or(0), priority = all.U32(6).value_or(0);
    return table > 7700 && table < 7710 ? std::to_string(priority) + " to " + std::to_string(table) : "";
  };
  kind.expected = [](int mark, int i) { return std::to_string(40000 + i) + " to " + std::to_string(7700 + mark); };
  kind.config = symbol;
  return kind;
}
Kind Neighbours(const char* name, int family) {
  Kind kind{.name = name, .protocol = NETLINK_ROUTE, .count = 150};
  kind.make = [family](Place& at, int mark) {
    Hub(at);
    const int hub = SETUP_OK(at->LinkByName("nsconf-hub")).index;
    std::vector<Request> adds;
    for (int i = 0; i < 150; ++i) {
      ndmsg header{};
      header.ndm_family = static_cast<std::uint8_t>(family);
      header.ndm_ifindex = hub;
      header.ndm_state = NUD_PERMANENT;
      adds.emplace_back(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL);
      const std::array<std::uint8_t, 6> address{2, 0, 0, 0, 0, 7};
      PutAddress(adds.back().Named("add neighbours").Header(header), NDA_DST, family, mark, i).Structure(NDA_LLADDR, address);
    }
    Send(at, NETLINK_ROUTE, adds, SymbolOf(family));
  };
  kind.undo = RemoveHub;
  kind.dump = [family] {
    ndmsg header{};
    header.ndm_family = static_cast<std::uint8_t>(family);
    Request dump(RTM_GETNEIGH);
    dump.Named("list neighbours").Header(header);
    return dump;
  };
  // Others come by themselves: of groups, and on lo for each address that something was sent to.
  kind.read = [](const Message& message) { return message.Header<ndmsg>().ndm_state == NUD_PERMANENT ? ShowNumbered(message.AttributesAfter<ndmsg>().Raw(NDA_DST)) : ""; };
  kind.expected = [family](int mark, int i) { return ExpectedAddress(family, mark, i); };
  kind.config = "BRIDGE";
  kind.also = SymbolOf(family);
  return kind;
}
std::string ShowHardware(int mark, int i) {
  char text[18];
  std::snprintf(text, sizeof text, "02:6e:%02x:00:%02x:%02x", mark, i >> 8, i & 255);
  return text;
}
Kind Forwardings() {
  Kind kind{.name = "ForwardingEntries", .protocol = NETLINK_ROUTE, .count = 150};
  kind.make = [](Place& at, int mark) {
    Hub(at);
    AddDevice(at, "nsconf-port");
    SETUP_OK(at->SetLink("nsconf-port", {.master = "nsconf-hub"}));
    const int port = SETUP_OK(at->LinkByName("nsconf-port")).index;
    std::vector<Request> adds;
    for (int i = 0; i < 150; ++i) {
      ndmsg header{};
      header.ndm_family = AF_BRIDGE;
      header.ndm_ifindex = port;
      header.ndm_state = NUD_PERMANENT;
      header.ndm_flags = NTF_MASTER;
      const std::array<std::uint8_t, 6> address{2, 0x6e, static_cast<std::uint8_t>(mark), 0, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)};
      adds.emplace_back(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL);
      adds.back().Named("add forwarding entries").Header(header).Structure(NDA_LLADDR, address);
    }
    Send(at, NETLINK_ROUTE, adds, "BRIDGE");
  };
  kind.dump = [] {
    ndmsg header{};
    header.ndm_family = AF_BRIDGE;
    Request dump(RTM_GETNEIGH);
    dump.Named("list forwarding entries").Header(header);
    return dump;
  };
  kind.read = [](const Message& message) -> std::string {
    const auto all = message.AttributesAfter<ndmsg>();
    const auto raw = all.Raw(NDA_LLADDR);
    if (!raw || raw->size() != 6 || all.Has(NDA_VLAN)) return "";  // (one more for each VLAN of the port)
    char text[18];
    const auto* b = reinterpret_cast<const std::uint8_t*>(raw->data());
    std::snprintf(text, sizeof text, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
    return std::string(text).starts_with("02:6e:") ? text : "";
  };
  kind.expected = ShowHardware;
  kind.config = "BRIDGE";
  return kind;
}
Kind Nexthops() {
  Kind kind{.name = "Nexthops", .protocol = NETLINK_ROUTE, .count = 200};
  const auto id_of = [](int mark, int i) { return static_cast<std::uint32_t>(100'000 * mark + 500 + i); };
  kind.make = [=](Place& at, int mark) {
    SETUP_OK(at->Up("lo"));
    std::vector<Request> adds;
    for (int i = 0; i < 200; ++i) {
      nhmsg header{};
      header.nh_family = AF_INET;
      adds.emplace_back(RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_EXCL);
      adds.back().Named("add nexthops").Header(header).U32(NHA_ID, id_of(mark, i)).Flag(NHA_BLACKHOLE);
    }
    Send(at, NETLINK_ROUTE, adds, "INET");
  };
  kind.dump = [] {
    Request dump(RTM_GETNEXTHOP);
    dump.Named("list nexthops").Header(nhmsg{});
    return dump;
  };
  kind.read = [](const Message& message) {
    const std::uint32_t id = message.AttributesAfter<nhmsg>().U32(NHA_ID).value_or(0);
    return id >= 100'000 ? std::to_string(id) : "";
  };
  kind.expected = [=](int mark, int i) { return std::to_string(id_of(mark, i)); };
  return kind;
}
// --- sock_diag(7)
std::vector<Fd>& Kept() {
  static std::vector<Fd> sockets;
  return sockets;
}
void Keep(Result<Fd> socket) { Kept().push_back(SETUP_OK(std::move(socket))); }
Kind InternetSockets(const char* name, int family, int protocol, const char* config) {
  Kind kind{.name = name, .protocol = NETLINK_SOCK_DIAG, .count = 100};
  const std::string loopback = family == AF_INET ? kLoopback4 : kLoopback6;
  kind.make = [=](Place& at, int mark) {
    SETUP_OK(at->Up("lo"));
    for (int i = 0; i < 100; ++i) {
      const SockAddr address = Inet(loopback, static_cast<std::uint16_t>(10'000 + 1000 * mark + i));
      Keep(protocol == IPPROTO_TCP ? TcpListen(at.ns, address) : UdpBind(at.ns, address));
    }
  };
  kind.dump = [=] {
    inet_diag_req_v2 header{};
    header.sdiag_family = static_cast<std::uint8_t>(family);
    header.sdiag_protocol = static_cast<std::uint8_t>(protocol);
    header.idiag_states = ~0u;
    header.idiag_ext = 0xFF;
    Request dump(SOCK_DIAG_BY_FAMILY);
    dump.Named("list internet sockets").Header(header);
    return dump;
  };
  kind.read = [](const Message& message) {
    const int port = ntohs(message.Header<inet_diag_msg>().id.idiag_sport);
    return port >= 11'000 && port < 15'000 ? std::to_string(port) : "";
  };
  kind.expected = [](int mark, int i) { return std::to_string(10'000 + 1000 * mark + i); };
  kind.config = config;
  kind.also = SymbolOf(family);
  kind.covers = {"SOCK-20"};
  return kind;
}
Kind UnixSockets() {
  Kind kind{.name = "UnixSockets", .protocol = NETLINK_SOCK_DIAG, .count = 120};
  const auto path = [](int mark, int i) { return "nsconf-" + std::to_string(mark) + "-" + std::to_string(i); };
  kind.make = [=](Place& at, int mark) {
    for (int i = 0; i < 120; ++i) {
      Fd socket = SETUP_OK(at.ns.Socket(AF_UNIX, SOCK_DGRAM));
      SETUP_OK(Bind(socket, AbstractUnix(path(mark, i))));
      Kept().push_back(std::move(socket));
    }
  };
  kind.dump = [] {
    unix_diag_req header{};
    header.sdiag_family = AF_UNIX;
    header.udiag_states = ~0u;
    header.udiag_show = UDIAG_SHOW_NAME;
    Request dump(SOCK_DIAG_BY_FAMILY);
    dump.Named("list unix sockets").Header(header);
    return dump;
  };
  kind.read = [](const Message& message) {
    const auto attributes = message.AttributesAfter<unix_diag_msg>();
    const auto raw = attributes.Raw(UNIX_DIAG_NAME);
    if (!raw || raw->empty()) return std::string();
    const std::string name(reinterpret_cast<const char*>(raw->data()) + 1, raw->size() - 1);
    return name.starts_with("nsconf-") ? name : "";
  };
  kind.expected = path;
  kind.config = "UNIX_DIAG";
  kind.covers = {"SOCK-20"};
  return kind;
}
Kind NetlinkSockets() {
  Kind kind{.name = "NetlinkSockets", .protocol = NETLINK_SOCK_DIAG, .count = 120};
  kind.make = [](Place& at, int mark) {
    for (int i = 0; i < 120; ++i) {
      Fd socket = SETUP_OK(at.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
      SETUP_OK(Bind(socket, NetlinkAddress(static_cast<std::uint32_t>(0x6e730000 + mark * 0x1000 + i))));
      Kept().push_back(std::move(socket));
    }
  };
  kind.dump = [] {
    netlink_diag_req header{};
    header.sdiag_family = AF_NETLINK;
    header.sdiag_protocol = NETLINK_ROUTE;
    Request dump(SOCK_DIAG_BY_FAMILY);
    dump.Named("list netlink sockets").Header(header);
    return dump;
  };
  kind.read = [](const Message& message) {
    const std::uint32_t port = message.Header<netlink_diag_msg>().ndiag_portid;
    return port >> 16 == 0x6e73 ? std::to_string(port) : "";
  };
  kind.expected = [](int mark, int i) { return std::to_string(0x6e730000 + mark * 0x1000 + i); };
  kind.config = "NETLINK_DIAG";
  kind.loses = true;  // net/netlink/diag.c: the walk through the table of all namespaces' sockets, rhashtable_walk_next()
  kind.covers = {"SOCK-20"};
  return kind;
}
Kind PacketSockets() {
  Kind kind{.name = "PacketSockets", .protocol = NETLINK_SOCK_DIAG, .count = 120};
  // They have nothing that could be marked but their protocol.
  kind.make = [](Place& at, int mark) {
    for (int i = 0; i < 120; ++i) Keep(PacketSocket(at.ns, 1, static_cast<std::uint16_t>(0x8000 + mark * 0x100 + i)));
  };
  kind.dump = [] {
    packet_diag_req header{};
    header.sdiag_family = AF_PACKET;
    header.pdiag_show = PACKET_SHOW_INFO;
    Request dump(SOCK_DIAG_BY_FAMILY);
    dump.Named("list packet sockets").Header(header);
    return dump;
  };
  kind.read = [](const Message& message) {
    const int protocol = message.Header<packet_diag_msg>().pdiag_num;
    return protocol >= 0x8100 && protocol < 0x8A00 ? std::to_string(protocol) : "";
  };
  kind.expected = [](int mark, int i) { return std::to_string(0x8000 + mark * 0x100 + i); };
  kind.config = "PACKET_DIAG";
  kind.covers = {"SOCK-20"};
  return kind;
}

// --- nfnetlink
Kind Connections() {
  Kind kind{.name = "Connections", .protocol = NETLINK_NETFILTER, .count = 150};
  const auto address = [](int mark) { return "10.77.0." + std::to_string(mark); };
  const auto requests = [=](int type, std::uint16_t flags, int mark) {
    std::vector<Request> all;
    const std::string to = address(mark);
    for (int i = 0; i < 150; ++i) {
      nfgenmsg header{};
      header.nfgen_family = AF_INET;
      all.emplace_back(static_cast<std::uint16_t>(NFNL_SUBSYS_CTNETLINK << 8 | type), flags);
      Request& add = all.back().Named("connections").Header(header);
      const auto port = static_cast<std::uint16_t>(2000 + i);
      NestTuple(add, CTA_TUPLE_ORIG, IPPROTO_UDP, "192.0.2.21", to.c_str(), port, 4722);
      if (type != IPCTNL_MSG_CT_NEW) continue;
      NestTuple(add, CTA_TUPLE_REPLY, IPPROTO_UDP, to.c_str(), "192.0.2.21", 4722, port);
      add.Be32(CTA_TIMEOUT, 600);
    }
    return all;
  };
  kind.make = [=](Place& at, int mark) { Send(at, NETLINK_NETFILTER, requests(IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL, mark), "NF_CT_NETLINK"); };
  kind.undo = [=](Place& at) { (void)SendMany(at.ns, NETLINK_NETFILTER, requests(IPCTNL_MSG_CT_DELETE, 0, 9)); };
  kind.dump = [] {
    nfgenmsg header{};
    header.nfgen_family = AF_INET;
    Request dump(NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET);
    dump.Named("list connections").Header(header);
    return dump;
  };
  kind.read = [](const Message& message) -> std::string {
    const auto all = message.AttributesAfter<nfgenmsg>();
    const Attributes tuple = all.Nested(CTA_TUPLE_ORIG), ip = tuple.Nested(CTA_TUPLE_IP), proto = tuple.Nested(CTA_TUPLE_PROTO);
    const std::string to = Show(ip.U32(CTA_IP_V4_DST).value_or(0));
    return to.starts_with("10.77.0.") ? to + " " + std::to_string(ntohs(proto.U16(CTA_PROTO_SRC_PORT).value_or(0))) : "";
  };
  kind.expected = [=](int mark, int i) { return address(mark) + " " + std::to_string(2000 + i); };
  kind.config = "NF_CT_NETLINK";
  kind.covers = {"FW-07"};
  return kind;
}
Kind FilterTables() {
  Kind kind{.name = "FilterTables", .protocol = NETLINK_NETFILTER, .count = 150};
  const auto name = [](int mark, int i) { return "nsconf_" + std::to_string(mark) + "_" + std::to_string(i); };
  kind.make = [=](Place& at, int mark) {
    NftBatch batch;
    for (int i = 0; i < 150; ++i) batch.AddTable(NFPROTO_IPV4, name(mark, i));
    auto nft = SETUP_OK(Nftables::In(at.ns));
    const Status made = nft.Commit(batch);
    if (!made.ok() && MissingNftables(made.error())) throw MissingNeed("needs-config:NF_TABLES", made.error().ToString());
    SETUP_OK(Status(made));
  };
  kind.undo = [=](Place& at) {
    NftBatch batch;
    for (int i = 0; i < 150; ++i) batch.DeleteTable(NFPROTO_IPV4, name(9, i));
    (void)SETUP_OK(Nftables::In(at.ns)).Commit(batch).ok();
  };
  kind.dump = [] {
    nfgenmsg header{};
    header.nfgen_family = NFPROTO_IPV4;
    Request dump(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE);
    dump.Named("list nft tables").Header(header);
    return dump;
  };
  kind.read = [](const Message& message) {
    const std::string text = message.AttributesAfter<nfgenmsg>().Text(NFTA_TABLE_NAME).value_or("");
    return text.starts_with("nsconf_") ? text : "";
  };
  kind.expected = name;
  kind.config = "NF_TABLES";
  kind.covers = {"FW-01"};
  return kind;
}

// --- IPsec
Kind Policies() {
  Kind kind{.name = "IpsecPolicies", .protocol = NETLINK_XFRM, .count = 120};
  const auto selector = [](int mark, int i) {
    xfrm_selector what{};
    what.family = AF_INET;
    what.daddr.a4 = Numbered(mark, i);
    what.prefixlen_d = 32;
    return what;
  };
  kind.make = [=](Place& at, int mark) {
    std::vector<Request> adds;
    for (int i = 0; i < 120; ++i) {
      xfrm_userpolicy_info policy{};
      policy.sel = selector(mark, i);
      policy.lft = {XFRM_INF, XFRM_INF, XFRM_INF, XFRM_INF, 0, 0, 0, 0};
      policy.dir = XFRM_POLICY_OUT;
      policy.action = XFRM_POLICY_BLOCK;
      adds.emplace_back(XFRM_MSG_NEWPOLICY, NLM_F_CREATE | NLM_F_EXCL);
      adds.back().Named("add policies").Header(policy);
    }
    Send(at, NETLINK_XFRM, adds, "XFRM_USER");
  };
  kind.undo = [=](Place& at) {
    std::vector<Request> removes;
    for (int i = 0; i < 120; ++i) {
      xfrm_userpolicy_id id{};
      id.sel = selector(9, i);
      id.dir = XFRM_POLICY_OUT;
      removes.emplace_back(XFRM_MSG_DELPOLICY);
      removes.back().Header(id);
    }
    (void)SendMany(at.ns, NETLINK_XFRM, removes);
  };
  kind.dump = [] {
    Request dump(XFRM_MSG_GETPOLICY);
    dump.Named("list policies");
    return dump;
  };
  kind.read = [](const Message& message) {
    const std::string to = Show(message.Header<xfrm_userpolicy_info>().sel.daddr.a4);
    return to.starts_with("10.") ? to : "";
  };
  kind.expected = [](int mark, int i) { return Show(Numbered(mark, i)); };
  kind.config = "XFRM_USER";
  kind.covers = {"STACK-17"};
  return kind;
}
Kind States() {
  Kind kind{.name = "IpsecStates", .protocol = NETLINK_XFRM, .count = 120};
  kind.make = [](Place& at, int mark) {
    std::vector<Request> adds;
    for (int i = 0; i < 120; ++i) {
      xfrm_userspi_info range{};  // states without any algorithm yet
      range.info.family = range.info.sel.family = AF_INET;
      range.info.id.daddr.a4 = range.info.saddr.a4 = Numbered(mark, i);
      range.info.id.proto = IPPROTO_ESP;
      range.info.lft = {XFRM_INF, XFRM_INF, XFRM_INF, XFRM_INF, 0, 0, 0, 0};
      range.min = range.max = static_cast<std::uint32_t>(0x1000 + i);
      adds.emplace_back(XFRM_MSG_ALLOCSPI);
      adds.back().Named("allocate SPIs").Header(range);
    }
    Send(at, NETLINK_XFRM, adds, "XFRM_USER");
  };
  kind.dump = [] {
    Request dump(XFRM_MSG_GETSA);
    dump.Named("list states");
    return dump;
  };
  kind.read = [](const Message& message) {
    const auto info = message.Header<xfrm_usersa_info>();
    const std::string to = Show(info.id.daddr.a4);
    return to.starts_with("10.") ? to : "";
  };
  kind.expected = [](int mark, int i) { return Show(Numbered(mark, i)); };
  kind.config = "XFRM_USER";
  kind.covers = {"STACK-17"};
  return kind;
}

int IndexInStatistics(const Message& message) { return static_cast<int>(message.Header<if_stats_msg>().ifindex); }
int IndexInNetconf(const Message& message) { return message.AttributesAfter<netconfmsg>().S32(NETCONFA_IFINDEX).value_or(0); }

const std::vector<Kind>& Kinds() {
  static const std::vector<Kind> kinds = [] {
    if_stats_msg statistics{};
    statistics.filter_mask = IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64);
    netconfmsg forwarding{}, forwarding6{};
    forwarding.ncm_family = AF_INET;
    forwarding6.ncm_family = AF_INET6;
    std::vector<Kind> all = {
        Links("Links", AF_UNSPEC, true),
        Links("Ipv6SettingsOfLinks", AF_INET6, false),
        OfEachBridge("Statistics", 30, RTM_GETSTATS, statistics, IndexInStatistics),
        OfEachBridge("ForwardingSettings", 70, RTM_GETNETCONF, forwarding, IndexInNetconf),
        OfEachBridge("Ipv6ForwardingSettings", 70, RTM_GETNETCONF, forwarding6, IndexInNetconf, "IPV6"),
        Addresses("Ipv4Addresses", AF_INET),
        Addresses("Ipv6Addresses", AF_INET6),
        Routes("Ipv4Routes", AF_INET),
        Routes("Ipv6Routes", AF_INET6),
        Rules("Ipv4Rules", AF_INET),
        Rules("Ipv6Rules", AF_INET6),
        Neighbours("Ipv4Neighbours", AF_INET),
        Neighbours("Ipv6Neighbours", AF_INET6),
        Forwardings(),
        Nexthops(),
        InternetSockets("Ipv4TcpSockets", AF_INET, IPPROTO_TCP, "INET_DIAG"),
        InternetSockets("Ipv6TcpSockets", AF_INET6, IPPROTO_TCP, "INET_DIAG"),
        InternetSockets("Ipv4UdpSockets", AF_INET, IPPROTO_UDP, "INET_UDP_DIAG"),
        InternetSockets("Ipv6UdpSockets", AF_INET6, IPPROTO_UDP, "INET_UDP_DIAG"),
        UnixSockets(),
        NetlinkSockets(),
        PacketSockets(),
        Connections(),
        FilterTables(),
        Policies(),
        States(),
    };
    return all;
  }();
  return kinds;
}

/// One that nothing interrupted.
Answer WholeDump(Place& at, const Kind& kind, const Request& request) {
  Answer answer;
  SETUP_OK(Eventually("a dump that nothing interrupts", [&] {
    answer = DumpByHand(at, kind.protocol, request);
    return !answer.interrupted;
  }));
  return answer;
}
std::vector<std::string> Shown(const Kind& kind, const std::vector<Message>& messages) {
  std::vector<std::string> shown;
  for (const Message& message : messages)
    if (std::string one = kind.read(message); !one.empty()) shown.push_back(std::move(one));
  std::sort(shown.begin(), shown.end());
  return shown;
}
std::vector<std::string> Made(const Kind& kind, int mark) {
  std::vector<std::string> made;
  for (int i = 0; i < kind.count; ++i)
    if (std::string one = kind.expected(mark, i); !one.empty()) made.push_back(std::move(one));
  std::sort(made.begin(), made.end());
  return made;
}
/// What one has and the other has not, for messages: the whole lists are long.
std::string Difference(const std::vector<std::string>& expected, const std::vector<std::string>& seen) {
  std::vector<std::string> missing, extra;
  std::set_difference(expected.begin(), expected.end(), seen.begin(), seen.end(), std::back_inserter(missing));
  std::set_difference(seen.begin(), seen.end(), expected.begin(), expected.end(), std::back_inserter(extra));
  std::string text = std::to_string(missing.size()) + " missing, " + std::to_string(extra.size()) + " that do not belong there";
  if (!missing.empty()) text += "; missing: " + missing.front() + " to " + missing.back();
  if (!extra.empty()) text += "; not of it: " + extra.front() + " to " + extra.back();
  return text;
}
void ExpectListed(const Kind& kind, const Answer& answer, const std::vector<std::string>& made, const std::string& whose) {
  auto seen = Shown(kind, answer.messages);
  if (kind.loses) {
    seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
    EXPECT_TRUE(std::includes(made.begin(), made.end(), seen.begin(), seen.end()) && seen.size() + static_cast<std::size_t>(answer.parts) >= made.size())
        << "the dump of " << whose << ", of " << answer.parts << " parts, is not what was made there: " << Difference(made, seen);
    return;
  }
  EXPECT_TRUE(seen == made) << "the dump of " << whose << ", of " << answer.parts << " parts, is not what was made there: " << Difference(made, seen);
}

/// The request of the kind with the id of another namespace.
Request ByTarget(const Kind& kind, int id) {
  Request request = kind.dump();
  request.S32(*kind.target, id);
  return request;
}
/// Whether each message of the answer says that it is about the namespace with this id here.
int WithoutTarget(const Kind& kind, const Answer& answer, int id) {
  int without = 0;
  for (const Message& message : answer.messages) {
    const Attributes attributes(message.payload().subspan(std::min(message.payload().size(), NLMSG_ALIGN(kind.header))));
    without += attributes.S32(*kind.target) != id;
  }
  return without;
}

// netlink(7): "Multipart messages"; rt-link.yaml, target-netnsid.
void PartsAreOfOneNamespace(const Kind& kind) {
  Place here = Place::Here();
  Place older, a, younger;
  Place nested = Place::Inside(a), empty = Place::Inside(a);
  struct Row {
    Place& place;
    int mark;
    const char* who;
  };
  std::vector<Row> rows = {{older, 1, "an older namespace"}, {a, 2, "the middle one"}, {nested, 4, "one made from inside"}};
  if (kind.target) rows.push_back({younger, 3, "a younger one"});
  for (const Row& row : rows) kind.make(row.place, row.mark);
  int parts = 0;
  for (const Row& row : rows) {
    const Answer answer = WholeDump(row.place, kind, kind.dump());
    parts = std::max(parts, answer.parts);
    ExpectListed(kind, answer, Made(kind, row.mark), row.who);
  }
  EXPECT_GE(parts, 2) << "control: they do not fit into one part";
  ExpectListed(kind, WholeDump(empty, kind, kind.dump()), {}, "a namespace in which none was made");
  ExpectListed(kind, WholeDump(here, kind, kind.dump()), {}, "the creator's namespace");

  // Two dumps at a time: between the parts of the one another is made from beginning to end, and the other namespaces ask.
  Answer other;
  bool once = false;
  const Answer between = DumpByHand(a, kind.protocol, kind.dump(), [&] {
    if (std::exchange(once, true)) return;
    other = DumpByHand(older, kind.protocol, kind.dump());
    (void)DumpByHand(empty, kind.protocol, kind.dump());
  });
  if (!between.interrupted) ExpectListed(kind, between, Made(kind, 2), "one that was read while others dumped");
  if (!other.interrupted) ExpectListed(kind, other, Made(kind, 1), "another one, made in between");

  if (!kind.target) return;
  SETUP_OK(a->NewNsid(older.ref(), 812));
  SETUP_OK(a->NewNsid(younger.ref(), 813));
  SETUP_OK(a->NewNsid(nested.ref(), 814));
  SETUP_OK(a->NewNsid(empty.ref(), 815));
  SETUP_OK(nested->NewNsid(a.ref(), 816));
  SETUP_OK(here->NewNsid(a.ref(), 817));
  struct Target {
    Place& from;
    int id;
    int mark;  ///< 0: nothing
    const char* who;
  } targets[] = {{a, 812, 1, "an older namespace, asked for by its id"},  {a, 813, 3, "a younger namespace, asked for by its id"},
                 {a, 814, 4, "one made from inside, asked for by its id"}, {a, 815, 0, "one that has none, asked for by its id"},
                 {nested, 816, 2, "the creator's, asked for by its id"},    {here, 817, 2, "one asked for from where there are none"}};
  for (const Target& target : targets) {
    const Answer answer = WholeDump(target.from, kind, ByTarget(kind, target.id));
    ExpectListed(kind, answer, target.mark != 0 ? Made(kind, target.mark) : std::vector<std::string>{}, target.who);
    EXPECT_EQ(WithoutTarget(kind, answer, target.id), 0) << "messages that do not say of whom they are, of " << target.who;
    if (target.mark != 0) {
      EXPECT_GE(answer.parts, 2) << "control: they do not fit into one part";
    }
  }
  ExpectListed(kind, WholeDump(a, kind, kind.dump()), Made(kind, 2), "the own namespace again, without an id");
}

// The initial namespace is where a kernel goes on that forgets of which namespace a dump is.
void PartsAreNotOfTheInitialNamespace(const Kind& kind) {
  Place initial(InitialNetNamespace()), a;
  struct Undo {
    const Kind& kind;
    Place& initial;
    ~Undo() { kind.undo(initial); }
  } undo{kind, initial};
  kind.make(a, 2);
  ExpectListed(kind, WholeDump(initial, kind, kind.dump()), {}, "the initial namespace, in which none was made");
  kind.make(initial, 9);
  ExpectListed(kind, WholeDump(a, kind, kind.dump()), Made(kind, 2), "a namespace beside the initial one");
  ExpectListed(kind, WholeDump(initial, kind, kind.dump()), Made(kind, 9), "the initial namespace");
}

const bool registered = [] {
  for (const Kind& kind : Kinds()) {
    Needs needs;
    for (const char* symbol : {kind.config, kind.also})
      if (symbol != nullptr) needs.list.push_back(Config(symbol));
    Covers covers("NLK-16");
    if (kind.target) covers.list.push_back("NLK-08");
    covers.list.insert(covers.list.end(), kind.covers.begin(), kind.covers.end());
    RegisterBody("Nlk", std::string("EveryPartOfADumpIsOfItsNamespace/") + kind.name, __FILE__, __LINE__, [&kind] { PartsAreOfOneNamespace(kind); }, covers, needs,
                 Within{std::chrono::seconds(90)});
    if (!kind.undo) continue;
    needs.list.push_back(Machine());
    RegisterBody("Nlk", std::string("NoPartOfADumpIsOfTheInitialNamespace/") + kind.name, __FILE__, __LINE__, [&kind] { PartsAreNotOfTheInitialNamespace(kind); }, covers,
                 needs, Exclusive{}, Within{std::chrono::seconds(90)});
  }
  return true;
}();

}  // namespace
}  // namespace netns
