// SPDX-License-Identifier: GPL-2.0-or-later
// Twins: namespaces made one right after the other, with devices of the same names and numbers. A kernel that mixes two
// namespaces up by name, number or place in its list mixes these up. One row for each kind of object: one of them gets it, from
// all others it must not be seen, by any way of asking; then all get the same one; then it goes from the first alone.
#include "suites/support/place.h"

#include <arpa/inet.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>

#include "fixtures/sockets.h"

// The kernel's headers after the C library's: in this order they go together.
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_addrlabel.h>
#include <linux/if_bridge.h>
#include <linux/neighbour.h>
#include <linux/netconf.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/nexthop.h>
#include <linux/xfrm.h>

namespace netns {
namespace {

constexpr int kIndex = 4100;
constexpr const char* kDevice = "same";
constexpr const char* kOther = "same2";

/// A way of asking, and what it is answered: text that is equal where the same is seen; a refusal is its errno.
struct Look {
  const char* how;
  std::function<std::string(Place&)> see;
};
struct Row {
  const char* suite;
  std::string name;
  std::vector<std::string> covers;
  std::vector<const char*> configs;
  std::function<Status(Place&)> add, remove;  ///< Without `remove` it stays.
  std::vector<Look> looks;
  bool silent = false;  ///< IPv6 is off on the devices, so that the kernel sends nothing by itself.
  bool setting = false; ///< A new namespace may begin with that of another (net.core.devconf_inherit_init_net).
};

template <class Value>
std::string Print(const Value& value) {
  std::ostringstream text;
  text << value;
  return text.str();
}
template <class Value>
std::string PrintAll(const Result<std::vector<Value>>& all, const std::function<std::string(const Value&)>& print = Print<Value>) {
  if (!all.ok()) return ErrnoName(all.code());
  std::string text;
  for (const Value& one : *all) text += print(one) + "\n";
  return text;
}
std::string PrintAnswer(const Result<Message>& answer, const std::function<std::string(const Message&)>& print) {
  return answer.ok() ? print(*answer) : ErrnoName(answer.code());
}
/// The lines of a file of /proc/net that have one of the texts.
std::string LinesWith(Place& at, const char* file, const std::vector<std::string>& texts) {
  const auto all = at.ns.ReadProcNet(file);
  if (!all.ok()) return ErrnoName(all.code());
  std::string found;
  std::istringstream lines(*all);
  for (std::string line; std::getline(lines, line);)
    if (std::any_of(texts.begin(), texts.end(), [&](const std::string& text) { return line.find(text) != std::string::npos; })) found += line + "\n";
  return found;
}
Fd Datagrams(Place& at, int domain = AF_INET) { return SETUP_OK(at.ns.Socket(domain, SOCK_DGRAM)); }
Request& PutIp(Request& request, std::uint16_t type, bool v6, const std::string& text) {
  return v6 ? request.Structure(type, Ip6(text)) : request.Structure(type, Ip4(text));
}
std::uint8_t FamilyOf(bool v6) { return v6 ? AF_INET6 : AF_INET; }

// Addresses ------------------------------------------------------------------------------------------------------------

// Without its flags: the kernel finishes an IPv6 address by and by.
std::string PrintAddress(const Address& address) { return address.ToString() + " peer " + address.peer + " index " + std::to_string(address.index); }

/// RTM_GETADDR of one address (IPv6 only: for IPv4 there are just dumps), on whichever device or on one.
Look OneAddress(const char* how, int index) {
  return {how, [index](Place& at) {
            ifaddrmsg header{};
            header.ifa_family = AF_INET6;
            header.ifa_index = static_cast<std::uint32_t>(index);
            Request get(RTM_GETADDR);
            get.Named("one address").Header(header).Structure(IFA_ADDRESS, Ip6("2001:db8:41::1"));
            return PrintAnswer(at->socket().Get(get), [](const Message& message) { return PrintAddress(ReadAddress(message)); });
          }};
}
/// SIOCGIFADDR and its like: the address of a device by its name.
Look AddressByIoctl(const char* how, unsigned long call) {
  return {how, [call](Place& at) -> std::string {
            ifreq request = NamedIfreq(kDevice);
            request.ifr_addr.sa_family = AF_INET;
            const Fd socket = Datagrams(at);
            if (::ioctl(socket.get(), call, &request) < 0) return ErrnoName(errno);
            return SockAddr(&request.ifr_addr, sizeof(sockaddr_in)).ip();
          }};
}
std::string ListedByIoctl(Place& at) {
  const Fd socket = Datagrams(at);
  ifreq entries[16] = {};
  struct ifconf request{};
  request.ifc_len = sizeof entries;
  request.ifc_req = entries;
  if (::ioctl(socket.get(), SIOCGIFCONF, &request) < 0) return ErrnoName(errno);
  std::string text;
  for (std::size_t i = 0; i < static_cast<std::size_t>(request.ifc_len) / sizeof(ifreq); ++i)
    text += std::string(entries[i].ifr_name) + " " + SockAddr(&entries[i].ifr_addr, sizeof(sockaddr_in)).ip() + "\n";
  return text;
}
/// Whether a socket can have the address for its own.
std::string BindTo(Place& at, const std::string& ip) {
  const Fd socket = Datagrams(at, ip.find(':') == std::string::npos ? AF_INET : AF_INET6);
  const Status bound = Bind(socket, Inet(ip, 4141));
  return bound.ok() ? "bound" : ErrnoName(bound.code());
}
std::vector<Look> AddressLooks(bool v6, const std::string& ip) {
  std::vector<Look> looks = {
      {"a dump of the addresses", [v6](Place& at) { return PrintAll<Address>(at->Addresses({.family = FamilyOf(v6)}), PrintAddress); }},
      {"a dump of the addresses of all families", [](Place& at) { return PrintAll<Address>(at->Addresses(), PrintAddress); }},
      {"a dump of the addresses of the device", [v6](Place& at) { return PrintAll<Address>(at->Addresses({.family = FamilyOf(v6), .index = kIndex}), PrintAddress); }},
      {"bind()", [ip](Place& at) { return BindTo(at, ip); }},
  };
  if (v6) {
    looks.push_back(OneAddress("RTM_GETADDR of the address", 0));
    looks.push_back(OneAddress("RTM_GETADDR of the address on the device", kIndex));
    looks.push_back({"/proc/net/if_inet6", [](Place& at) { return std::to_string(LinesWith(at, "if_inet6", {"20010db80041"}).size()); }});
  } else {
    looks.push_back(AddressByIoctl("SIOCGIFADDR", SIOCGIFADDR));
    looks.push_back(AddressByIoctl("SIOCGIFBRDADDR", SIOCGIFBRDADDR));
    looks.push_back(AddressByIoctl("SIOCGIFNETMASK", SIOCGIFNETMASK));
    looks.push_back(AddressByIoctl("SIOCGIFDSTADDR", SIOCGIFDSTADDR));
    looks.push_back({"SIOCGIFCONF", ListedByIoctl});
    looks.push_back({"/proc/net/fib_trie", [ip](Place& at) { return LinesWith(at, "fib_trie", {ip}).empty() ? "absent" : "listed"; }});
  }
  return looks;
}
Row AddressRow(const char* name, bool v6, AddressOptions options, const char* prefix) {
  const std::string ip = v6 ? "2001:db8:41::1" : "192.0.2.41", whole = ip + "/" + prefix;
  options.nodad = v6;
  return {"Stack", name, {v6 ? "STACK-02" : "STACK-01", "STACK-03", "NLK-16"}, {v6 ? "IPV6" : "INET"},
          [=](Place& at) { return at->AddAddress(whole, kDevice, options); }, [=](Place& at) { return at->DeleteAddress(whole, kDevice); }, AddressLooks(v6, ip)};
}
/// As ifconfig(8) does it.
Row AddressByIoctlRow() {
  const auto set = [](const std::string& ip) {
    return [ip](Place& at) -> Status {
      ifreq request = NamedIfreq(kDevice);
      const SockAddr address = Inet(ip);
      std::memcpy(&request.ifr_addr, address.get(), sizeof(sockaddr_in));
      const Fd socket = Datagrams(at);
      return NETNS_IOCTL(socket, SIOCSIFADDR, request);
    };
  };
  return {"Stack", "Ipv4AddressByIoctl", {"STACK-01", "STACK-03"}, {"INET"}, set("192.0.2.41"), set("0.0.0.0"), AddressLooks(false, "192.0.2.41")};
}

// Neighbours -----------------------------------------------------------------------------------------------------------

Row NeighbourRow(const char* name, bool v6, std::uint8_t flags) {
  const std::string ip = v6 ? "2001:db8:41::7" : "192.0.2.47";
  NeighbourSpec entry{.to = ip, .dev = kDevice, .flags = flags};
  if (flags == 0) entry.address = "02:00:00:00:00:47";
  const auto print = [](const Neighbour& one) { return one.to + " " + one.address + " index " + std::to_string(one.dev) + " flags " + std::to_string(one.flags); };
  const auto get = [=](Place& at) {
    ndmsg header{};
    header.ndm_family = FamilyOf(v6);
    header.ndm_ifindex = kIndex;
    header.ndm_flags = flags;
    Request request(RTM_GETNEIGH);
    request.Named("one neighbour").Header(header);
    PutIp(request, NDA_DST, v6, ip);
    return PrintAnswer(at->socket().Get(request), [&](const Message& message) { return print(ReadNeighbour(message)); });
  };
  const auto dump = [=](Place& at) {
    ndmsg header{};
    header.ndm_family = FamilyOf(v6);
    header.ndm_flags = flags;
    const auto all = at->socket().Dump(Request(RTM_GETNEIGH).Named("neighbours").Header(header));
    if (!all.ok()) return ErrnoName(all.code());
    std::string text;  // of permanent ones: groups of IPv6 come and go
    for (const Message& message : *all)
      if (const Neighbour one = ReadNeighbour(message); one.to == ip) text += print(one) + "\n";
    return text;
  };
  std::vector<Look> looks = {{"RTM_GETNEIGH of one", get}, {"a dump of RTM_GETNEIGH", dump}};
  if (!v6 && flags == 0) {
    looks.push_back({"/proc/net/arp", [=](Place& at) { return LinesWith(at, "arp", {ip}); }});
    looks.push_back({"SIOCGARP", [=](Place& at) -> std::string {
                       arpreq request{};
                       const SockAddr address = Inet(ip);
                       std::memcpy(&request.arp_pa, address.get(), sizeof request.arp_pa);
                       std::strcpy(request.arp_dev, kDevice);
                       const Fd socket = Datagrams(at);
                       if (::ioctl(socket.get(), SIOCGARP, &request) < 0) return ErrnoName(errno);
                       return "flags " + std::to_string(request.arp_flags) + " " + std::to_string(static_cast<unsigned char>(request.arp_ha.sa_data[5]));
                     }});
  }
  return {"Stack", name, {"STACK-22", "NLK-16"}, {v6 ? "IPV6" : "INET"}, [=](Place& at) { return at->AddNeighbour(entry); },
          [=](Place& at) { return at->DeleteNeighbour(entry); }, std::move(looks)};
}

// Routes and rules -----------------------------------------------------------------------------------------------------

std::string PrintRoute(const Route& route) {
  return route.to + " table " + std::to_string(route.table) + " type " + std::to_string(route.type) + " index " + std::to_string(route.dev);
}
/// A route in a table: the main one, one of those of the beginning, and those that a user numbers (up to 255 and above).
Row RouteRow(const char* name, bool v6, std::uint32_t table) {
  const std::string to = v6 ? "2001:db8:f::/48" : "198.51.100.0/24", host = v6 ? "2001:db8:f::9" : "198.51.100.9";
  const RouteSpec route{.to = to, .dev = kDevice, .table = table};
  const auto listed = [to](const Result<std::vector<Route>>& all) {
    if (!all.ok()) return ErrnoName(all.code());
    std::string text;
    for (const Route& one : *all)
      if (one.to == to) text += PrintRoute(one) + "\n";
    return text;
  };
  std::vector<Look> looks = {
      {"a dump of the routes", [=](Place& at) { return listed(at->Routes({.family = FamilyOf(v6)})); }},
      // Where the table itself is not there yet, older kernels answer as if it were empty.
      {"a dump of the routes of the table",
       [=](Place& at) {
         const std::string seen = listed(at->Routes({.family = FamilyOf(v6), .table = table}));
         return seen == "ENOENT" ? std::string() : seen;
       }},
      {"a dump of the routes by the device", [=](Place& at) { return listed(at->Routes({.family = FamilyOf(v6), .dev = kIndex})); }},
  };
  if (table == RT_TABLE_MAIN || table == RT_TABLE_DEFAULT) {
    if (table == RT_TABLE_MAIN || !v6)  // no rule of IPv6 leads to the table "default"
      looks.push_back({"a lookup", [=](Place& at) {
                         const auto found = at->GetRoute(host);
                         return found.ok() ? std::to_string(found->dev) : ErrnoName(found.code());
                       }});
    if (table == RT_TABLE_MAIN) {
      if (v6) {
        looks.push_back({"/proc/net/ipv6_route", [](Place& at) { return std::to_string(LinesWith(at, "ipv6_route", {"20010db8000f"}).size()); }});
      } else {
        looks.push_back({"/proc/net/route", [](Place& at) { return LinesWith(at, "route", {"006433C6"}); }});
      }
    }
    if (!v6) looks.push_back({"/proc/net/fib_trie", [](Place& at) { return LinesWith(at, "fib_trie", {"198.51.100.0"}).empty() ? "absent" : "listed"; }});
  } else if (!v6 && table != RT_TABLE_LOCAL) {  // which is there always
    looks.push_back({"/proc/net/fib_trie", [table](Place& at) { return LinesWith(at, "fib_trie", {"Id " + std::to_string(table) + ":"}).empty() ? "absent" : "listed"; }});
  }
  std::vector<std::string> covers = {v6 ? "ROUTE-02" : "ROUTE-01"};
  if (table != RT_TABLE_MAIN) covers.insert(covers.begin(), "ROUTE-05");
  return {"Route", name, covers, {table == RT_TABLE_MAIN ? (v6 ? "IPV6" : "INET") : (v6 ? "IPV6_MULTIPLE_TABLES" : "IP_MULTIPLE_TABLES")},
          [=](Place& at) { return at->AddRoute(route); }, [=](Place& at) { return at->DeleteRoute(route); }, std::move(looks)};
}
Row RuleRow(const char* name, bool v6) {
  const RuleSpec rule{.family = FamilyOf(v6), .priority = 4100, .table = 4100, .iif = kDevice, .mark = 41};
  return {"Route", name, {"ROUTE-04"}, {v6 ? "IPV6_MULTIPLE_TABLES" : "IP_MULTIPLE_TABLES"}, [=](Place& at) { return at->AddRule(rule); },
          [=](Place& at) { return at->DeleteRule(rule); },
          {{"a dump of the rules", [=](Place& at) { return PrintAll(at->Rules(FamilyOf(v6))); }},
           {"a dump of the rules of all families", [](Place& at) { return PrintAll(at->Rules(AF_UNSPEC)); }}}};
}
Row NexthopRow(const char* name, bool v6) {
  const auto request = [](std::uint16_t type, std::uint16_t flags = 0) {
    Request message(type, flags);
    message.Named("nexthop 4100");
    return message;
  };
  const auto by_number = [=](std::uint16_t type) { return std::move(request(type).Header(nhmsg{}).U32(NHA_ID, 4100)); };
  const auto print = [](const Message& message) {
    const Attributes all = message.AttributesAfter<nhmsg>();
    return std::to_string(all.U32(NHA_ID).value_or(0)) + " index " + std::to_string(all.U32(NHA_OIF).value_or(0));
  };
  const auto dump = [print](Place& at, int index) {
    Request get(RTM_GETNEXTHOP);
    get.Named("nexthops").Header(nhmsg{});
    if (index != 0) get.U32(NHA_OIF, static_cast<std::uint32_t>(index));
    const auto all = at->socket().Dump(get);
    if (!all.ok()) return ErrnoName(all.code());
    std::string text;
    for (const Message& message : *all) text += print(message) + "\n";
    return text;
  };
  return {"Route", name, {"ROUTE-08", "NLK-16"}, {v6 ? "IPV6" : "INET"},
          [=](Place& at) {
            nhmsg header{};
            header.nh_family = FamilyOf(v6);
            Request add = request(RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_EXCL);
            return at->socket().Ack(add.Header(header).U32(NHA_ID, 4100).U32(NHA_OIF, kIndex));
          },
          [=](Place& at) { return at->socket().Ack(by_number(RTM_DELNEXTHOP)); },
          {{"RTM_GETNEXTHOP of one", [=](Place& at) { return PrintAnswer(at->socket().Get(by_number(RTM_GETNEXTHOP)), print); }},
           {"a dump of the nexthops", [=](Place& at) { return dump(at, 0); }},
           {"a dump of the nexthops of the device", [=](Place& at) { return dump(at, kIndex); }}}};
}
Row LabelRow() {
  const auto header = [](std::uint8_t length) {
    ifaddrlblmsg message{};
    message.ifal_family = AF_INET6;
    message.ifal_prefixlen = length;
    return message;
  };
  const auto request = [=](std::uint16_t type, std::uint16_t flags) {
    Request message(type, flags);
    message.Named("address label").Header(header(48)).Structure(IFAL_ADDRESS, Ip6("2001:db8:77::")).U32(IFAL_LABEL, 7777);
    return message;
  };
  return {"Route", "AddressLabel", {"ROUTE-13", "NLK-16"}, {"IPV6"}, [=](Place& at) { return at->socket().Ack(request(RTM_NEWADDRLABEL, NLM_F_CREATE | NLM_F_EXCL)); },
          [=](Place& at) { return at->socket().Ack(request(RTM_DELADDRLABEL, 0)); },
          {{"RTM_GETADDRLABEL of an address",
            [=](Place& at) {
              Request get(RTM_GETADDRLABEL);
              get.Named("the label of an address").Header(header(128)).Structure(IFAL_ADDRESS, Ip6("2001:db8:77::1"));
              return PrintAnswer(at->socket().Get(get), [](const Message& m) { return std::to_string(m.AttributesAfter<ifaddrlblmsg>().U32(IFAL_LABEL).value_or(0)); });
            }},
           {"a dump of the address labels", [=](Place& at) {
              std::string text;
              for (const Message& m : SETUP_OK(at->socket().Dump(Request(RTM_GETADDRLABEL).Header(header(0))))) text += std::to_string(m.AttributesAfter<ifaddrlblmsg>().U32(IFAL_LABEL).value_or(0)) + " ";
              return text;
            }}}};
}

// Settings and counters of devices -------------------------------------------------------------------------------------

/// What RTM_GETNETCONF tells of one setting, in one answer or among all: of the device, or of what is for all devices or for new
/// ones (Documentation/networking/ip-sysctl.rst, conf/all and conf/default).
struct Netconf {
  const char *name, *file;
  std::uint16_t attribute;
};
struct NetconfEntry {
  const char *name, *directory;
  int index;
};
Row NetconfRow(bool v6, const Netconf& setting, const NetconfEntry& entry) {
  const std::string file = std::string("net/") + (v6 ? "ipv6" : "ipv4") + "/conf/" + entry.directory + "/" + setting.file;
  const int index = entry.index;
  const std::uint16_t attribute = setting.attribute;
  const auto header = [v6] {
    netconfmsg message{};
    message.ncm_family = FamilyOf(v6);
    return message;
  };
  // Of this entry alone: forwarding of all is passed on to the others.
  const auto print = [=](const Message& message) -> std::string {
    const Attributes all = message.AttributesAfter<netconfmsg>();
    return all.S32(NETCONFA_IFINDEX) == index ? std::to_string(all.S32(attribute).value_or(-99)) : "";
  };
  // At birth it may be what the initial namespace has.
  const auto born = std::make_shared<std::string>();
  return {"Stack", std::string(v6 ? "Ipv6" : "Ipv4") + setting.name + entry.name, {v6 ? "STACK-09" : "STACK-08", "NLK-16"}, {v6 ? "IPV6" : "INET"},
          [=](Place& at) -> Status {
            auto now = at.ns.Sysctl(file);
            if (now.code() == ENOENT) return Error{EOPNOTSUPP, "no " + file};
            if (!now.ok()) return now.error();
            *born = *now;
            return at.ns.SetSysctl(file, *now == "1" ? "0" : "1");
          },
          [=](Place& at) { return at.ns.SetSysctl(file, *born); },
          {{"the sysctl", [=](Place& at) { const auto value = at.ns.Sysctl(file); return value.ok() ? *value : ErrnoName(value.code()); }},
           {"RTM_GETNETCONF of one", [=](Place& at) { return PrintAnswer(at->socket().Get(Request(RTM_GETNETCONF).Header(header()).S32(NETCONFA_IFINDEX, index)), print); }},
           {"a dump of RTM_GETNETCONF", [=](Place& at) {
              std::string text;
              for (const Message& message : SETUP_OK(at->socket().Dump(Request(RTM_GETNETCONF).Header(header())))) text += print(message);
              return text;
            }}}};
}
std::vector<Row> NetconfRows() {
  static const NetconfEntry entries[] = {{"", kDevice, kIndex}, {"OfAll", "all", NETCONFA_IFINDEX_ALL}, {"OfDefault", "default", NETCONFA_IFINDEX_DEFAULT}};
  static const Netconf of_ipv4[] = {{"Forwarding", "forwarding", NETCONFA_FORWARDING},
                                    {"ReversePathFilter", "rp_filter", NETCONFA_RP_FILTER},
                                    {"ProxyArp", "proxy_arp", NETCONFA_PROXY_NEIGH},
                                    {"IgnoreRoutesWithLinkdown", "ignore_routes_with_linkdown", NETCONFA_IGNORE_ROUTES_WITH_LINKDOWN},
                                    {"BroadcastForwarding", "bc_forwarding", NETCONFA_BC_FORWARDING}};
  static const Netconf of_ipv6[] = {{"Forwarding", "forwarding", NETCONFA_FORWARDING},
                                    {"ProxyNdp", "proxy_ndp", NETCONFA_PROXY_NEIGH},
                                    {"IgnoreRoutesWithLinkdown", "ignore_routes_with_linkdown", NETCONFA_IGNORE_ROUTES_WITH_LINKDOWN}};
  std::vector<Row> rows;
  for (const NetconfEntry& entry : entries) {
    for (const Netconf& setting : of_ipv4) rows.push_back(NetconfRow(false, setting, entry));
    for (const Netconf& setting : of_ipv6) rows.push_back(NetconfRow(true, setting, entry));
  }
  return rows;
}

Look MtuByIoctl() {
  return {"SIOCGIFMTU", [](Place& at) -> std::string {
            ifreq request = NamedIfreq(kDevice);
            const Fd socket = Datagrams(at);
            if (::ioctl(socket.get(), SIOCGIFMTU, &request) < 0) return ErrnoName(errno);
            return std::to_string(request.ifr_mtu);
          }};
}
std::string PrintLink(const Link& link) {
  std::string text = std::to_string(link.index) + " " + link.name + " mtu " + std::to_string(link.mtu) + " qlen " + std::to_string(link.txqlen) + " group " + std::to_string(link.group) + " alias " +
                     link.alias + " flags " + std::to_string(link.flags & (IFF_PROMISC | IFF_ALLMULTI)) + " promiscuity " + std::to_string(link.promiscuity);
  for (const std::string& name : link.altnames) text += " altname " + name;
  return text;
}
std::string PrintLink(const Result<Link>& link) { return link.ok() ? PrintLink(*link) : ErrnoName(link.code()); }
/// Some files of the device in a sysfs of the namespace.
std::string InSysfs(Place& at, std::initializer_list<const char*> files) {
  std::string text;
  at.ns.InWithSysfs([&] {
    for (const char* file : files)
      for (const char* device : {kDevice, kOther}) text += SETUP_OK(ReadFile("/sys/class/net/" + std::string(device) + "/" + file));
  });
  return text;
}
Row LinkRow() {
  return {"Dev", "LinkSettings", {"DEV-04", "DEV-05", "DEV-06"}, {"VETH"},
          [](Place& at) -> Status {
            RETURN_IF_ERROR(at->SetLink(kDevice, {.mtu = 1400u, .alias = "twin", .promiscuous = true, .txqlen = 77u, .group = 41u}));
            return at->AddAltname(kDevice, "another-name-of-a-twin");
          },
          [](Place& at) -> Status {
            RETURN_IF_ERROR(at->DeleteAltname(kDevice, "another-name-of-a-twin"));
            return at->SetLink(kDevice, {.mtu = 1500u, .alias = "", .promiscuous = false, .txqlen = 1000u, .group = 0u});
          },
          {{"RTM_GETLINK by name", [](Place& at) { return PrintLink(at->LinkByName(kDevice)); }},
           {"RTM_GETLINK by index", [](Place& at) { return PrintLink(at->LinkByIndex(kIndex)); }},
           {"RTM_GETLINK by alternative name", [](Place& at) { return PrintLink(at->LinkByName("another-name-of-a-twin")); }},
           {"a dump of RTM_GETLINK",
            [](Place& at) {
              std::string text;
              for (const Link& link : SETUP_OK(at->Links()))
                if (!IsFallback(link.name)) text += PrintLink(link) + "\n";
              return text;
            }},
           MtuByIoctl(),
           {"sysfs", [](Place& at) { return InSysfs(at, {"mtu", "tx_queue_len", "netdev_group", "flags", "ifalias"}); }}}};
}

constexpr int kFrames = 7;
/// Frames from one end of the pair to the other. Somebody hears them: whether one that nobody wants counts as dropped depends on
/// packet sockets of other namespaces that hear everything (deliver_skb(), net/core/dev.c).
Status SendFrames(Place& at) {
  ASSIGN_OR_RETURN(const Fd hears, PacketSocket(at.ns, kIndex + 1, 0x88b5));
  ASSIGN_OR_RETURN(const Fd socket, at.ns.Socket(AF_PACKET, SOCK_RAW));
  std::string frame(60, 'x');
  frame.replace(0, 14, std::string("\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x41\x88\xb5", 14));
  for (int i = 0; i < kFrames; ++i) RETURN_IF_ERROR(SendTo(socket, frame, PacketOn(kIndex, 0x88b5)));
  for (int i = 0; i < kFrames; ++i) RETURN_IF_ERROR(Receive(hears));
  return Ok();
}
std::string PrintCounters(const rtnl_link_stats64& stats) {
  return "received " + std::to_string(stats.rx_packets) + "/" + std::to_string(stats.rx_bytes) + " sent " + std::to_string(stats.tx_packets) + "/" + std::to_string(stats.tx_bytes) + "\n";
}
Row CounterRow() {
  const auto stats_request = [](int index) {
    if_stats_msg header{};
    header.ifindex = static_cast<std::uint32_t>(index);
    header.filter_mask = IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64);
    return std::move(Request(RTM_GETSTATS).Named("statistics").Header(header));
  };
  const auto print = [](const Message& message) {
    const auto stats = message.AttributesAfter<if_stats_msg>().Structure<rtnl_link_stats64>(IFLA_STATS_LINK_64);
    return std::to_string(message.Header<if_stats_msg>().ifindex) + " " + (stats ? PrintCounters(*stats) : "nothing\n");
  };
  return {"Dev", "Counters", {"DEV-33", "PROC-09", "NLK-16", "SYSFS-07"}, {"VETH", "PACKET", "PROC_FS"}, SendFrames, {},
          {{"/proc/net/dev", [](Place& at) { return LinesWith(at, "dev", {kDevice}); }},
           {"/proc/PID/net/dev of a process there, read from here", [](Place& at) {
              Actor member = at.ns.StartActor("member");
              return SETUP_OK(ReadFile(member.Proc("net/dev")));
            }},
           {"RTM_GETLINK by name", [](Place& at) { return PrintCounters(SETUP_OK(at->LinkByName(kDevice)).stats) + PrintCounters(SETUP_OK(at->LinkByName(kOther)).stats); }},
           {"RTM_GETLINK by index", [](Place& at) { return PrintCounters(SETUP_OK(at->LinkByIndex(kIndex)).stats) + PrintCounters(SETUP_OK(at->LinkByIndex(kIndex + 1)).stats); }},
           {"a dump of RTM_GETLINK",
            [](Place& at) {
              std::string text;
              for (const Link& link : SETUP_OK(at->Links())) text += link.name + " " + PrintCounters(link.stats);
              return text;
            }},
           {"RTM_GETSTATS of one", [=](Place& at) { return PrintAnswer(at->socket().Get(stats_request(kIndex)), print) + PrintAnswer(at->socket().Get(stats_request(kIndex + 1)), print); }},
           {"a dump of RTM_GETSTATS",
            [=](Place& at) {
              std::string text;
              for (const Message& message : SETUP_OK(at->socket().Dump(stats_request(0)))) text += print(message);
              return text;
            }},
           {"sysfs", [](Place& at) { return InSysfs(at, {"statistics/rx_packets", "statistics/rx_bytes", "statistics/tx_packets", "statistics/tx_bytes"}); }}},
          true};
}

// Others ---------------------------------------------------------------------------------------------------------------

Row QdiscRow() {
  return {"Dev", "QueueingDiscipline", {"DEV-37", "NLK-16"}, {"NET_SCHED", "VETH"}, [](Place& at) { return at->AddQdisc(kDevice, "pfifo", 0xFFFFFFFFu, 0x410000u); },
          [](Place& at) { return at->DeleteQdisc(kDevice); },
          {{"a dump of RTM_GETQDISC", [](Place& at) { return PrintAll(at->Qdiscs()); }},
           {"RTM_GETQDISC of one",
            [](Place& at) {
              tcmsg header{};
              header.tcm_ifindex = kIndex;
              header.tcm_handle = 0x410000u;
              return PrintAnswer(at->socket().Get(Request(RTM_GETQDISC).Named("one queueing discipline").Header(header)), [](const Message& m) { return Print(ReadQdisc(m)); });
            }},
           {"RTM_GETLINK", [](Place& at) { return SETUP_OK(at->LinkByName(kDevice)).qdisc; }}}};
}
/// A bridge of the same name everywhere, whose table of addresses has an entry.
Row ForwardingEntryRow() {
  const NeighbourSpec entry{.to = "", .address = "02:00:00:00:41:41", .dev = kDevice, .flags = NTF_MASTER};
  const auto print = [](const Neighbour& one) { return one.address + " index " + std::to_string(one.dev) + " flags " + std::to_string(one.flags) + "\n"; };
  const auto bridge = [](Place& at) -> Status {
    if (at->LinkByName("bridge").ok()) return Ok();
    RETURN_IF_ERROR(at->AddLink({.name = "bridge", .kind = "bridge", .index = kIndex + 2}));
    return at->SetLink(kDevice, {.master = "bridge"});
  };
  const auto get = [=](Place& at) {
    ndmsg header{};
    header.ndm_family = AF_BRIDGE;
    header.ndm_flags = NTF_MASTER;
    header.ndm_ifindex = kIndex;
    const std::array<std::uint8_t, 6> mac{2, 0, 0, 0, 0x41, 0x41};
    return PrintAnswer(at->socket().Get(Request(RTM_GETNEIGH).Named("one forwarding entry").Header(header).Structure(NDA_LLADDR, mac)),
                       [&](const Message& m) { return print(ReadNeighbour(m)); });
  };
  return {"Virt", "ForwardingEntry", {"VIRT-19", "NLK-16"}, {"BRIDGE", "VETH"},
          [=](Place& at) -> Status {
            RETURN_IF_ERROR(bridge(at));
            return at->AddForwarding(entry);
          },
          [=](Place& at) { return at->DeleteForwarding(entry); },
          {{"a dump of the forwarding tables",
            [=](Place& at) {
              std::string text;
              for (const Neighbour& one : SETUP_OK(at->Forwardings()))
                if (one.address == "02:00:00:00:41:41") text = print(one);  // one for each VLAN
              return text;
            }},
           // There is no such device before: what is refused differs.
           {"RTM_GETNEIGH of one", [=](Place& at) { const std::string seen = get(at); return seen.starts_with("E") ? "refused" : seen; }}}};
}
Row PolicyRow() {
  const auto ask = [](Place& at, const std::function<Status(NetlinkSocket&)>& act) -> Status {
    auto opened = at.ns.Socket(AF_NETLINK, SOCK_RAW, NETLINK_XFRM);
    if (!opened.ok()) RequireBuiltIn(opened.error(), "XFRM_USER");
    auto socket = SETUP_OK(NetlinkSocket::Adopt(SETUP_OK(std::move(opened))));
    return act(socket);
  };
  const auto id = [] {
    xfrm_userpolicy_id policy{};
    policy.sel.family = AF_INET;
    policy.sel.daddr.a4 = htonl(0xC6120041);  // 198.18.0.65
    policy.sel.prefixlen_d = 32;
    policy.dir = XFRM_POLICY_OUT;
    return policy;
  };
  return {"Stack", "IpsecPolicy", {"STACK-17"}, {"XFRM_USER"},
          [=](Place& at) {
            xfrm_userpolicy_info policy{};
            policy.sel = id().sel;
            policy.lft = {XFRM_INF, XFRM_INF, XFRM_INF, XFRM_INF, 0, 0, 0, 0};
            policy.dir = XFRM_POLICY_OUT;
            policy.action = XFRM_POLICY_BLOCK;
            return ask(at, [&](NetlinkSocket& socket) { return socket.Ack(Request(XFRM_MSG_NEWPOLICY, NLM_F_CREATE | NLM_F_EXCL).Header(policy).Named("add a policy")); });
          },
          [=](Place& at) { return ask(at, [&](NetlinkSocket& socket) { return socket.Ack(Request(XFRM_MSG_DELPOLICY).Header(id()).Named("delete a policy")); }); },
          {{"XFRM_MSG_GETPOLICY of one",
            [=](Place& at) {
              const Status got = ask(at, [&](NetlinkSocket& socket) -> Status {
                const auto answer = socket.Get(Request(XFRM_MSG_GETPOLICY).Header(id()).Named("one policy"));
                return answer.ok() ? Ok() : Status(answer.error());
              });
              return got.ok() ? "found" : ErrnoName(got.code());
            }},
           {"a dump of the policies",
            [=](Place& at) {
              std::size_t count = 0;
              SETUP_OK(ask(at, [&](NetlinkSocket& socket) -> Status {
                ASSIGN_OR_RETURN(const auto all, socket.Dump(Request(XFRM_MSG_GETPOLICY).Named("policies")));
                count = all.size();
                return Ok();
              }));
              return std::to_string(count);
            }},
           {"a lookup of a route", [](Place& at) {
              SETUP_OK(at->AddRoute({.to = "198.18.0.0/16", .dev = kDevice}));
              const auto socket = Datagrams(at);
              const Status connected = Connect(socket, Inet("198.18.0.65", 9));
              SETUP_OK(at->DeleteRoute({.to = "198.18.0.0/16", .dev = kDevice}));
              return connected.ok() ? "goes" : ErrnoName(connected.code());
            }}}};
}

std::vector<Row> MakeRows() {
  std::vector<Row> rows = {AddressRow("Ipv4Address", false, {}, "24"), AddressRow("Ipv4HostAddress", false, {}, "32"),
                           AddressRow("Ipv4AddressWithAPeer", false, {.peer = "192.0.2.42"}, "32"), AddressByIoctlRow(), AddressRow("Ipv6Address", true, {}, "64"),
                           AddressRow("Ipv6HostAddress", true, {}, "128"), AddressRow("Ipv6AddressWithAPeer", true, {.peer = "2001:db8:41::2"}, "128"),
                           NeighbourRow("Ipv4Neighbour", false, 0), NeighbourRow("Ipv6Neighbour", true, 0), NeighbourRow("ProxiedIpv4Neighbour", false, NTF_PROXY),
                           NeighbourRow("ProxiedIpv6Neighbour", true, NTF_PROXY), RuleRow("Ipv4Rule", false), RuleRow("Ipv6Rule", true), NexthopRow("Ipv4Nexthop", false),
                           NexthopRow("Ipv6Nexthop", true), LabelRow(), LinkRow(), CounterRow(), QdiscRow(),
                           ForwardingEntryRow(), PolicyRow()};
  static const struct { const char *name4, *name6; std::uint32_t table; } tables[] = {{"Ipv4Route", "Ipv6Route", RT_TABLE_MAIN},
                                                                                     {"Ipv4RouteOfTable1", "Ipv6RouteOfTable1", 1},
                                                                                     {"Ipv4RouteOfTable252", "Ipv6RouteOfTable252", RT_TABLE_COMPAT},
                                                                                     {"Ipv4RouteOfTable253", "Ipv6RouteOfTable253", RT_TABLE_DEFAULT},
                                                                                     {"Ipv4RouteOfTable255", "Ipv6RouteOfTable255", RT_TABLE_LOCAL},
                                                                                     {"Ipv4RouteOfTable70000", "Ipv6RouteOfTable70000", 70000}};
  for (const auto& each : tables)
    for (bool v6 : {false, true}) rows.push_back(RouteRow(v6 ? each.name6 : each.name4, v6, each.table));
  for (Row& row : NetconfRows()) {
    row.setting = true;
    rows.push_back(std::move(row));
  }
  return rows;
}
const std::vector<Row>& Rows() {
  static const std::vector<Row> rows = MakeRows();
  return rows;
}

// The same devices everywhere, up; nothing comes up there by itself.
void Furnish(Place& at, bool silent) {
  const bool six = HasIpv6();
  if (six) SETUP_OK(at.ns.SetSysctl("net/ipv6/conf/default/addr_gen_mode", "1"));
  if (six && silent) SETUP_OK(at.ns.SetSysctl("net/ipv6/conf/default/disable_ipv6", "1"));
  Status added = at->AddVeth(kDevice, PeerSpec{.name = kOther, .index = kIndex + 1}, {.index = kIndex});
  RequireBuiltIn(added, "VETH");
  SETUP_OK(std::move(added));
  for (const char* device : {kDevice, kOther, "lo"}) SETUP_OK(at->Up(device));
}
// Frames go only then.
void WaitUntilRunning(Place& at) {
  SETUP_OK(Eventually("the pair to run", [&] {
    const auto one = at->LinkByName(kDevice), two = at->LinkByName(kOther);
    return one.ok() && two.ok() && one->operstate == 6 && two->operstate == 6;  // IF_OPER_UP
  }));
}

/// What all ways of asking show now.
std::vector<std::string> See(const Row& row, Place& at) {
  std::vector<std::string> seen;
  for (const Look& look : row.looks) seen.push_back(look.see(at));
  return seen;
}
/// The same once it is what is wanted, or some seconds are over: the kernel does some of its work later.
std::vector<std::string> SeeOnce(const Row& row, Place& at, const std::function<bool(const std::vector<std::string>&)>& wanted) {
  std::vector<std::string> seen;
  std::ignore = Eventually("all ways of asking to show the object", [&] { return wanted(seen = See(row, at)); }, Deadline::In(std::chrono::seconds(5)));
  return seen;
}
void ExpectSame(const Row& row, const std::vector<std::string>& seen, const std::vector<std::string>& expected, const char* what) {
  for (std::size_t i = 0; i < row.looks.size(); ++i) EXPECT_EQ(seen[i], expected[i]) << row.looks[i].how << ": " << what;
}

/// What is seen before the object is added, and with it: each look has to show it.
std::pair<std::vector<std::string>, std::vector<std::string>> AddAndSee(const Row& row, Place& at, const char* otherwise) {
  const std::vector<std::string> without = See(row, at);
  Status added = row.add(at);
  RequireBuiltIn(added, row.configs.front());
  SETUP_OK(std::move(added));
  const std::vector<std::string> with = SeeOnce(row, at, [&](const auto& seen) {
    for (std::size_t i = 0; i < seen.size(); ++i)
      if (seen[i] == without[i]) return false;
    return true;
  });
  for (std::size_t i = 0; i < row.looks.size(); ++i) EXPECT_NE(with[i], without[i]) << row.looks[i].how << ": " << otherwise;
  return {without, with};
}

/// `first`: which of the twins, in the order of their creation, has the object first.
void OnlyTheOwnObjectIsSeen(const Row& row, std::size_t first) {
  std::vector<NetNamespace> born;
  for (int i = 0; i < 3; ++i) born.push_back(NetNamespace::Create());
  born.push_back(born[first].In([] { return NetNamespace::Create(); }));
  std::vector<Place> twins;
  for (NetNamespace& ns : born) twins.emplace_back(std::move(ns));
  for (Place& twin : twins) Furnish(twin, row.silent);
  if (row.silent)
    for (Place& twin : twins) WaitUntilRunning(twin);
  Place& owner = twins[first];
  const auto name = [&](std::size_t i) { return "in the namespace created as number " + std::to_string(i) + ", the first object being in number " + std::to_string(first); };

  const auto [without, with] = AddAndSee(row, owner, "what the namespace has itself is not shown");
  for (std::size_t i = 0; i < twins.size(); ++i) {
    if (i == first) continue;
    SCOPED_TRACE(name(i));
    ExpectSame(row, See(row, twins[i]), without, "shows what only another namespace has");
  }
  for (std::size_t i = 0; i < twins.size(); ++i) {
    if (i == first) continue;
    SCOPED_TRACE(name(i));
    EXPECT_OK(row.add(twins[i])) << ": refused, although only other namespaces have the same";
    ExpectSame(row, SeeOnce(row, twins[i], [&](const auto& seen) { return seen == with; }), with, "does not show what the namespace has itself");
  }
  ExpectSame(row, See(row, owner), with, "changed by equal objects of other namespaces");
  if (!row.remove) return;
  EXPECT_OK(row.remove(owner));
  ExpectSame(row, SeeOnce(row, owner, [&](const auto& seen) { return seen == without; }), without, "still shows what was taken away here, and is in other namespaces only");
  for (std::size_t i = 0; i < twins.size(); ++i) {
    if (i == first) continue;
    SCOPED_TRACE(name(i));
    ExpectSame(row, See(row, twins[i]), with, "changed by a removal in another namespace");
  }
}

/// network_namespaces(7): a new namespace has its own, whoever makes it in whatever way.
void ANewOneHasNothingOfItsCreators(const Row& row) {
  Place creator;
  Furnish(creator, row.silent);
  if (row.silent) WaitUntilRunning(creator);
  const auto [without, with] = AddAndSee(row, creator, "control: what the creator's namespace has");
  Actor member = creator.ns.StartActor("member");
  const struct {
    const char* name;
    int by_clone, by_unshare;
  } ways[] = {{"clone(2)", CLONE_NEWNET, 0}, {"unshare(2), with a user namespace", 0, CLONE_NEWUSER | CLONE_NEWNET}};
  for (const auto& way : ways) {
    SCOPED_TRACE(std::string("made by ") + way.name + " in the namespace that has one");
    std::optional<Actor> child;
    if (way.by_clone != 0)
      child.emplace(member.Run([&] { return Actor::Start("child", static_cast<unsigned long>(way.by_clone)); }));
    else if (auto unshared = member.Unshare(way.by_unshare); unshared.code() == EPERM || unshared.code() == ENOSPC || unshared.code() == EINVAL)
      continue;  // no user namespaces here
    else
      SETUP_OK(std::move(unshared));
    Place made(SETUP_OK(NetNamespace::OfPid(child ? child->pid() : member.pid())));
    if (child) member.Run([&] { child->Kill(); });
    Furnish(made, row.silent);
    if (row.silent) WaitUntilRunning(made);
    ExpectSame(row, See(row, made), without, "a new namespace began with what its creator's has");
  }
}
const bool rows_registered = [] {
  for (const Row& row : Rows()) {
    Covers covers;
    covers.list.assign(row.covers.begin(), row.covers.end());
    Needs needs{Config("VETH")};
    for (const char* symbol : row.configs) needs.list.push_back(Config(symbol));
    const auto body = [&row] {
      for (std::size_t first : {0u, 2u}) OnlyTheOwnObjectIsSeen(row, first);
    };
    RegisterBody(row.suite, "TwinsSeeOnlyTheirOwn/" + row.name, __FILE__, __LINE__, body, covers, needs, Within{std::chrono::seconds(60)});
    if (row.setting) continue;
    covers.list.push_back("CREATE-24");
    RegisterBody("Create", "NothingOfTheCreatorIsCopied/" + row.name, __FILE__, __LINE__, [&row] { ANewOneHasNothingOfItsCreators(row); }, covers, needs);
  }
  return true;
}();

}  // namespace
}  // namespace netns
