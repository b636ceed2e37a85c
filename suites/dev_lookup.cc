// SPDX-License-Identifier: GPL-2.0-or-later
// DEV: whatever names a device by its index or its name means one of the namespace of the socket that it is asked by. Each
// interface of the kernel looks it up in code of its own, so there is a row for each: with a device of the namespace, with one
// that only another has, and by a process that is in that other one and has brought the socket along.
#include <arpa/inet.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <netinet/in.h>
#include <sys/ioctl.h>

#include "fixtures/actor.h"
#include "fixtures/nic.h"
#include "fixtures/sockets.h"
#include "suites/support/generic.h"
#include "suites/support/may_use.h"
#include "suites/support/place.h"
#include "suites/support/uppers.h"

// The kernel's headers after the C library's: in this order they go together.
#include <linux/batman_adv.h>
#include <linux/can.h>
#include <linux/can/gw.h>
#include <linux/can/raw.h>
#include <linux/dcbnl.h>
#include <linux/ethtool_netlink.h>
#include <linux/if_addrlabel.h>
#include <linux/if_bridge.h>
#include <linux/if_ether.h>
#include <linux/if_macsec.h>
#include <linux/if_packet.h>
#include <linux/if_pppox.h>
#include <linux/if_team.h>
#include <linux/mroute.h>
#include <linux/mroute6.h>
#include <linux/netconf.h>
#include <linux/nexthop.h>
#include <linux/openvswitch.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/sockios.h>
#include <linux/tipc_netlink.h>
#include <linux/wireguard.h>

namespace netns {
namespace {

constexpr const char *kBase = "nsbase", *kPort = "nsport", *kOver = "nsover";

struct Device {
  int index;
  std::string name;
  std::uint32_t number() const { return static_cast<std::uint32_t>(index); }
};

/// Who asks: by sockets of `home`, itself or from where a traveller is.
struct Asker {
  Place& home;
  Actor* traveller;

  template <class Ask>
  auto By(Ask ask) {
    return traveller != nullptr ? traveller->Run(ask) : ask();
  }
  Fd Socket(int domain, int type, int protocol = 0) { return SETUP_OK(home.ns.Socket(domain, type, protocol)); }
  template <class Value>
  Status Option(const Fd& socket, int level, int name, const Value& value, const char* text) {
    return By([&]() -> Status { return ::setsockopt(socket.get(), level, name, &value, sizeof value) < 0 ? Status(ErrnoError(text)) : Ok(); });
  }
  Status Request_(unsigned long call, void* argument, const char* text, int domain = AF_INET) {
    const Fd socket = Socket(domain, SOCK_DGRAM);
    return By([&]() -> Status { return ::ioctl(socket.get(), call, argument) < 0 ? Status(ErrnoError(text)) : Ok(); });
  }
  template <class Address>
  Status Bind(const Fd& socket, const Address& address, const char* text) {
    return By([&]() -> Status { return ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 ? Status(ErrnoError(text)) : Ok(); });
  }
  Status Ack(const Request& request) {
    return By([&] { return home->socket().Ack(request); });
  }
  Status Get(const Request& request) {
    return By([&]() -> Status {
      auto answer = home->socket().Ask(request);
      return answer.ok() ? Ok() : Status(answer.error());
    });
  }
  Status Dump(const Request& request) {
    return By([&]() -> Status {
      auto answer = home->socket().Dump(request);
      return answer.ok() ? Ok() : Status(answer.error());
    });
  }
};

struct Row {
  const char* name;
  std::vector<std::string> covers;
  std::vector<const char*> configs;  ///< The first is what is missing where the kernel knows nothing of it.
  std::function<Status(Asker&, const Device&)> use;  ///< Undoes what it has done.
  std::function<void(Place&, const Device&)> make = {};  ///< Else an Ethernet device that is up and has addresses.
  bool root = false;
};

void MakeEthernet(Place& at, const Device& device) {
  AddDevice(at, device.name, {.index = device.index}, true);
  SETUP_OK(at->AddAddress("192.0.2.1/24", device.index));
  if (!HasIpv6()) return;
  SETUP_OK(at->AddAddress("2001:db8:47::1/64", device.index, {.nodad = true}));
  SETUP_OK(at->AddAddress("fe80::77/64", device.index, {.nodad = true}));
}
void MakeBridge(Place& at, const Device& device) {
  AddBridge(at, device.name, {.index = device.index});
  SETUP_OK(at->Up(device.index));
}
auto Makes(const char* kind, const char* symbol, More data = {}) {
  return [=](Place& at, const Device& device) {
    Status added = at->AddLink({.name = device.name, .kind = kind, .index = device.index, .data = data});
    RequireBuiltIn(added, symbol);
    SETUP_OK(std::move(added));
    (void)at->Up(device.index).ok();
  };
}
/// Another device of the namespace that asks, for what takes two.
int Other(Place& home, const char* name = kBase) {
  if (auto link = home->LinkByName(name); link.ok()) return link->index;
  return AddDevice(home, name, {}, true);
}

sockaddr_in Ip4(const char* text) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  ::inet_pton(AF_INET, text, &address.sin_addr);
  return address;
}
sockaddr_in6 Scoped(const char* text, int index, std::uint16_t port = 0) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  address.sin6_addr = Ip6(text);
  address.sin6_scope_id = static_cast<std::uint32_t>(index);
  return address;
}

/// A device above the one that is named.
Row Above(const char* name, const char* symbol, const char* kind, bool by_link, std::function<void(Request&, Place&, const Device&)> data = {}) {
  return {name, {"VIRT-07", "DEV-06"}, {symbol, "VETH"}, [=](Asker& asker, const Device& device) -> Status {
            LinkSpec spec{.name = kOver, .kind = kind};
            if (by_link) spec.link = LinkRef(device.index);
            if (data) {
              Other(asker.home);
              spec.data = [&](Request& r) { data(r, asker.home, device); };
            }
            const Status added = asker.By([&] { return asker.home->AddLink(spec); });
            if (added.ok()) SETUP_OK(asker.home->DeleteLink(kOver));
            return added;
          }};
}
/// A filter on another device, for what comes in by the one that is named.
Row FilterFor(const char* name, const char* symbol, const char* kind, std::uint32_t handle, std::function<void(Request&, const Device&)> options) {
  return {name, {"DEV-37"}, {symbol, "NET_SCH_INGRESS", "VETH"}, [=](Asker& asker, const Device& device) -> Status {
            const bool first = !asker.home->LinkByName(kBase).ok();
            const int base = Other(asker.home);
            if (first) RequireBuiltIn(asker.home->AddQdisc(base, "clsact", TC_H_CLSACT, 0xffff0000), "NET_SCH_INGRESS");
            tcmsg header{};
            header.tcm_ifindex = base;
            header.tcm_parent = TC_H_MAKE(TC_H_CLSACT, 0xfff2u);
            header.tcm_handle = handle;
            header.tcm_info = TC_H_MAKE(77u << 16, htons(ETH_P_ALL));
            Request add(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL);
            add.Named("add a filter").Header(header).Text(TCA_KIND, kind).Nest(TCA_OPTIONS, [&](Request& r) { options(r, device); });
            const Status added = asker.Ack(add);
            if (added.code() == ENOENT) RequireBuiltIn(added, symbol);
            header.tcm_handle = 0;
            if (added.ok()) SETUP_OK(asker.home->socket().Ack(Request(RTM_DELTFILTER).Header(header)));
            return added;
          }};
}
Row NetconfOf(const char* name, std::uint8_t family, const char* symbol) {
  return {name, {"DEV-06"}, {symbol, "VETH"}, [=](Asker& asker, const Device& device) {
            if (family == AF_MPLS && !MayUse("MPLS_ROUTING")) throw MissingNeed("needs-module:MPLS_ROUTING", "a test would load a module of this machine");
            netconfmsg header{};
            header.ncm_family = family;
            return asker.Get(Request(RTM_GETNETCONF).Named("settings of a device").Header(header).S32(NETCONFA_IFINDEX, device.index));
          }};
}
Row Multipath(const char* name, int family) {
  const bool v6 = family == AF_INET6;
  return {name, {"ROUTE-07", "DEV-06"}, {v6 ? "IPV6" : "INET", "VETH"}, [=](Asker& asker, const Device& device) {
            RouteSpec route{.to = v6 ? "2001:db8:48::/48" : "198.51.100.0/24"};
            if (!v6) route.scope = RT_SCOPE_LINK;
            route.more = [&](Request& r) {
              struct {
                rtnexthop way;
                rtattr head;
                in6_addr gateway;
              } way{{.rtnh_len = static_cast<unsigned short>(v6 ? sizeof way : sizeof way.way), .rtnh_flags = 0, .rtnh_hops = 0, .rtnh_ifindex = device.index},
                    {.rta_len = RTA_LENGTH(sizeof way.gateway), .rta_type = RTA_GATEWAY},
                    Ip6("fe80::99")};
              r.Raw(RTA_MULTIPATH, std::as_bytes(std::span(&way, 1)).first(way.way.rtnh_len));
            };
            const Status added = asker.By([&] { return asker.home->AddRoute(route); });
            if (added.ok()) SETUP_OK(asker.home->DeleteRoute({.to = route.to}));
            return added;
          }};
}
Row Membership(const char* name, int family) {
  const bool v6 = family == AF_INET6;
  return {name, {"SOCK-24", "SOCK-23"}, {v6 ? "IPV6" : "IP_MULTICAST", "VETH"}, [=](Asker& asker, const Device& device) {
            group_source_req join{};
            join.gsr_interface = device.number();
            const SockAddr group = Inet(v6 ? "ff3e::4747" : "232.1.1.1", 0), source = Inet(v6 ? "2001:db8::47" : "198.51.100.47", 0);
            std::memcpy(&join.gsr_group, group.get(), group.length());
            std::memcpy(&join.gsr_source, source.get(), source.length());
            return asker.Option(asker.Socket(family, SOCK_DGRAM), v6 ? int{IPPROTO_IPV6} : int{IPPROTO_IP}, MCAST_JOIN_SOURCE_GROUP, join, "MCAST_JOIN_SOURCE_GROUP");
          }};
}
Row ScopedBind(const char* name, std::vector<const char*> configs, int type, int protocol) {
  configs.push_back("VETH");
  return {name, {"SOCK-23"}, configs, [=](Asker& asker, const Device& device) {
            if (protocol == IPPROTO_ICMPV6) SETUP_OK(asker.home.ns.SetSysctl("net.ipv4.ping_group_range", "0 0"));
            auto socket = asker.home.ns.Socket(AF_INET6, type, protocol);
            if (!socket.ok()) return Status(socket.error());
            return asker.Bind(*socket, Scoped("fe80::77", device.index, type == SOCK_RAW ? 0 : 4747), "bind to a link-local address");
          }};
}
/// What is asked of a family of generic netlink about a device of its own.
Row Asks(const char* name, const char* symbol, const char* kind, const char* family, std::uint8_t command, bool dump, std::function<void(Request&, const Device&)> put, bool port = false) {
  return {name, {"DEV-04", "DEV-06"}, {symbol, "VETH"}, [=](Asker& asker, const Device& device) -> Status {
            Generic generic(asker.home, family, symbol);
            Request request = generic.Make(command, std::string("ask ") + family + " about a device");
            put(request, device);
            return asker.By([&]() -> Status {
              auto answer = dump ? generic->Dump(request) : generic->Ask(request);
              return answer.ok() ? Ok() : Status(answer.error());
            });
          },
          [=](Place& at, const Device& device) {
            Makes(kind, symbol)(at, device);
            if (!port) return;
            AddDevice(at, device.name + "0", {}, true);
            SETUP_OK(at->SetLink(device.name + "0", {.master = LinkRef(device.index)}));
            SETUP_OK(at->Up(device.index));
          }};
}
/// A socket of CAN that names a device of CAN.
Row OfCan(const char* name, const char* symbol, int type, int protocol, bool connects, std::function<void(sockaddr_can&)> more = {}) {
  return {name, {"VIRT-22", "DEV-06"}, {symbol, "CAN", "CAN_VCAN"}, [=](Asker& asker, const Device& device) -> Status {
            auto socket = asker.home.ns.Socket(AF_CAN, type, protocol);
            if (!socket.ok()) return socket.error();
            sockaddr_can address{};
            address.can_family = AF_CAN;
            address.can_ifindex = device.index;
            if (more) more(address);
            if (!connects) return asker.Bind(*socket, address, "bind(AF_CAN)");
            return asker.By([&]() -> Status {
              return ::connect(socket->get(), reinterpret_cast<sockaddr*>(&address), sizeof address) < 0 ? Status(ErrnoError("connect(AF_CAN)")) : Ok();
            });
          },
          Makes("vcan", "CAN_VCAN")};
}
/// A job of cangw(1), for frames from one device to another.
Row CanGateway(const char* name, bool from) {
  return {name, {"VIRT-22", "DEV-06"}, {"CAN_GW", "CAN", "CAN_VCAN"},
          [=](Asker& asker, const Device& device) {
            if (!asker.home->LinkByName(kBase).ok()) SETUP_OK(asker.home->AddLink({.name = kBase, .kind = "vcan"}));
            const auto other = static_cast<std::uint32_t>(SETUP_OK(asker.home->LinkByName(kBase)).index);
            const auto request = [&](std::uint16_t type, std::uint16_t flags) {
              Request message(type, flags);
              message.Named("a job of cangw").Header(rtcanmsg{.can_family = AF_CAN, .gwtype = CGW_TYPE_CAN_CAN, .flags = 0});
              message.U32(CGW_SRC_IF, from ? device.number() : other).U32(CGW_DST_IF, from ? other : device.number());
              return message;
            };
            const Status added = asker.Ack(request(RTM_NEWROUTE, NLM_F_CREATE));
            return added.ok() ? asker.Ack(request(RTM_DELROUTE, 0)) : added;
          },
          Makes("vcan", "CAN_VCAN"), true};
}
/// A request that is answered about a device, or ethtool's: by either way to name it.
Row Ethtool(const char* name, bool by_name) {
  return {name, {"DEV-34"}, {"ETHTOOL_NETLINK", "VETH"}, [=](Asker& asker, const Device& device) -> Status {
            Generic ethtool(asker.home, ETHTOOL_GENL_NAME, "ETHTOOL_NETLINK");
            Request request = ethtool.Make(ETHTOOL_MSG_LINKINFO_GET, "ask ethtool about a link");
            request.Nest(ETHTOOL_A_LINKINFO_HEADER | NLA_F_NESTED, [&](Request& r) {
              if (by_name) r.Text(ETHTOOL_A_HEADER_DEV_NAME, device.name);
              else r.U32(ETHTOOL_A_HEADER_DEV_INDEX, device.number());
            });
            return asker.By([&]() -> Status {
              auto answer = ethtool->Ask(request);
              return answer.ok() ? Ok() : Status(answer.error());
            });
          }};
}
/// RFC 8335, "PROBE": whether the node has an interface of that name or index. The answer says "No Such Interface" or that it has.
Row Probe(const char* name, bool by_name) {
  return {name, {"STACK-11", "STACK-22", "DEV-04", "DEV-06"}, {"INET", "VETH"}, [=](Asker& asker, const Device& device) -> Status {
            if (!asker.home.ns.HasSysctl("net.ipv4.icmp_echo_enable_probe"))
              throw MissingNeed("needs-feature:icmp-probe", "the kernel does not answer ICMP extended echo requests", "use Linux 5.13 or later", LinuxVersion{5, 13});
            SETUP_OK(asker.home.ns.SetSysctl("net.ipv4.icmp_echo_enable_probe", "1"));
            SETUP_OK(asker.home->Up("lo"));
            std::string object = by_name ? device.name : std::string(4, '\0');
            if (!by_name) {
              const std::uint32_t index = htonl(device.number());
              std::memcpy(object.data(), &index, sizeof index);
            }
            while (object.size() % 4 != 0) object.push_back('\0');
            std::string packet{42, 0, 0, 0, 0x47, 0x47, 1, 1 /* of the node itself */, 0x20, 0, 0, 0};
            packet += std::string{0, static_cast<char>(object.size() + 4), 3, static_cast<char>(by_name ? 1 : 2)} + object;
            const auto sum_up = [&](std::size_t from, std::size_t at) {
              std::uint32_t sum = 0;
              for (std::size_t i = from; i + 1 < packet.size(); i += 2) sum += static_cast<std::uint32_t>(static_cast<unsigned char>(packet[i]) << 8 | static_cast<unsigned char>(packet[i + 1]));
              while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
              packet[at] = static_cast<char>(~sum >> 8);
              packet[at + 1] = static_cast<char>(~sum);
            };
            sum_up(8, 10);
            sum_up(0, 2);
            const Fd socket = asker.Socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
            const sockaddr_in to = Ip4("127.0.0.1");
            SETUP_OK(asker.By([&]() -> Status {
              return ::sendto(socket.get(), packet.data(), packet.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to) < 0 ? Status(ErrnoError("sendto")) : Ok();
            }));
            for (;;) {
              const std::string got = SETUP_OK(Receive(socket)).data;
              if (got.size() < 28 || got[20] != 43) continue;  // the request itself
              return got[21] == 0 ? Ok() : Status(Error{ENODEV, "ICMP extended echo: code " + std::to_string(got[21])});
            }
          }};
}

const std::vector<Row>& Rows() {
  static const std::vector<Row> rows = {
      // ---------------------------------------------------------------------------------------------- rtnetlink(7)
      {"AlternativeName", {"DEV-07", "DEV-06"}, {"VETH"},
       [](Asker& asker, const Device& device) {
         const Status added = asker.By([&] { return asker.home->AddAltname(device.index, "nsconf-alternative"); });
         if (added.ok()) SETUP_OK(asker.home->DeleteAltname(device.index, "nsconf-alternative"));
         return added;
       }},
      {"ChangeByName", {"DEV-05", "DEV-04"}, {"VETH"}, [](Asker& asker, const Device& device) { return asker.Ack(Request(RTM_NEWLINK).Header(ifinfomsg{}).Text(IFLA_IFNAME, device.name).U32(IFLA_TXQLEN, 77)); }},
      {"ChangeByIndex", {"DEV-06", "DEV-04"}, {"VETH"}, [](Asker& asker, const Device& device) { return asker.By([&] { return asker.home->SetLink(device.index, {.txqlen = 78u}); }); }},
      {"Ipv4AddressesOf", {"DEV-06"}, {"VETH"},
       [](Asker& asker, const Device& device) {
         return asker.By([&]() -> Status { auto all = asker.home->Addresses({.family = AF_INET, .index = device.index}); return all.ok() ? Ok() : Status(all.error()); });
       }},
      {"Ipv6AddressesOf", {"DEV-06"}, {"IPV6", "VETH"},
       [](Asker& asker, const Device& device) {
         return asker.By([&]() -> Status { auto all = asker.home->Addresses({.family = AF_INET6, .index = device.index}); return all.ok() ? Ok() : Status(all.error()); });
       }},
      {"Ipv4RoutesOf", {"ROUTE-01", "DEV-06"}, {"VETH"},
       [](Asker& asker, const Device& device) {
         return asker.By([&]() -> Status { auto all = asker.home->Routes({.family = AF_INET, .dev = device.index}); return all.ok() ? Ok() : Status(all.error()); });
       }},
      {"Ipv6RoutesOf", {"ROUTE-02", "DEV-06"}, {"IPV6", "VETH"},
       [](Asker& asker, const Device& device) {
         return asker.By([&]() -> Status { auto all = asker.home->Routes({.family = AF_INET6, .dev = device.index}); return all.ok() ? Ok() : Status(all.error()); });
       }},
      {"LookupOfARouteOut", {"ROUTE-17", "DEV-06"}, {"VETH"},
       [](Asker& asker, const Device& device) {
         return asker.By([&]() -> Status { auto found = asker.home->GetRoute("239.1.1.47", {.oif = device.index}); return found.ok() ? Ok() : Status(found.error()); });
       }},
      {"LookupOfAnIpv6RouteOut", {"ROUTE-17", "DEV-06"}, {"IPV6", "VETH"},
       [](Asker& asker, const Device& device) {
         return asker.By([&]() -> Status { auto found = asker.home->GetRoute("ff02::47", {.oif = device.index}); return found.ok() ? Ok() : Status(found.error()); });
       }},
      NetconfOf("Ipv4Settings", AF_INET, "INET"),
      NetconfOf("Ipv6Settings", AF_INET6, "IPV6"),
      {"Statistics", {"DEV-33", "DEV-06"}, {"VETH"},
       [](Asker& asker, const Device& device) {
         if_stats_msg header{};
         header.ifindex = device.number();
         header.filter_mask = IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64);
         return asker.Get(Request(RTM_GETSTATS).Named("statistics of a device").Header(header));
       }},
      {"Ipv4Neighbour", {"STACK-22", "DEV-06"}, {"VETH"},
       [](Asker& asker, const Device& device) {
         const NeighbourSpec entry{.to = "192.0.2.7", .address = "02:00:00:00:00:07", .dev = device.index};
         const Status added = asker.By([&] { return asker.home->AddNeighbour(entry); });
         if (!added.ok()) return added;
         ndmsg header{};
         header.ndm_family = AF_INET;
         header.ndm_ifindex = device.index;
         Request get(RTM_GETNEIGH);
         get.Named("a neighbour").Header(header);
         PutAddress(get, NDA_DST, "192.0.2.7");
         EXPECT_OK(asker.Get(get)) << "RTM_GETNEIGH of one that is there";
         return asker.By([&] { return asker.home->DeleteNeighbour(entry); });
       }},
      {"ProxiedIpv4Neighbour", {"STACK-22", "DEV-06"}, {"VETH"},
       [](Asker& asker, const Device& device) {
         const NeighbourSpec entry{.to = "192.0.2.8", .dev = device.index, .flags = NTF_PROXY};
         const Status added = asker.By([&] { return asker.home->AddNeighbour(entry); });
         return added.ok() ? asker.By([&] { return asker.home->DeleteNeighbour(entry); }) : added;
       }},
      {"ForwardingEntryOfADevice", {"VIRT-19", "DEV-06"}, {"VETH"},
       [](Asker& asker, const Device& device) {
         const NeighbourSpec entry{.to = "", .address = "02:00:00:00:00:0a", .dev = device.index, .flags = NTF_SELF};
         const Status added = asker.By([&] { return asker.home->AddForwarding(entry); });
         return added.ok() ? asker.By([&] { return asker.home->DeleteForwarding(entry); }) : added;
       }},
      {"ForwardingEntriesOfABridge", {"VIRT-19", "DEV-06"}, {"BRIDGE"},
       [](Asker& asker, const Device& device) {
         ndmsg header{};
         header.ndm_family = AF_BRIDGE;
         return asker.Dump(Request(RTM_GETNEIGH).Named("forwarding entries of a bridge").Header(header).U32(NDA_MASTER, device.number()));
       },
       MakeBridge},
      {"VlanOfABridge", {"VIRT-19", "DEV-06"}, {"BRIDGE_VLAN_FILTERING", "BRIDGE"},
       [](Asker& asker, const Device& device) {
         ifinfomsg header{};
         header.ifi_family = AF_BRIDGE;
         header.ifi_index = device.index;
         const bridge_vlan_info vlan{.flags = BRIDGE_VLAN_INFO_BRENTRY, .vid = 47};
         Status last = Ok();
         for (std::uint16_t type : {RTM_SETLINK, RTM_DELLINK}) {
           Request request(type);
           request.Named("a VLAN of a bridge").Header(header).Nest(IFLA_AF_SPEC | NLA_F_NESTED, [&](Request& r) { r.U16(IFLA_BRIDGE_FLAGS, BRIDGE_FLAGS_SELF).Structure(IFLA_BRIDGE_VLAN_INFO, vlan); });
           last = asker.Ack(request);
           if (!last.ok()) break;
         }
         return last;
       },
       MakeBridge},
      {"MulticastGroupOfABridge", {"VIRT-19", "DEV-06"}, {"BRIDGE_IGMP_SNOOPING", "BRIDGE"},
       [](Asker& asker, const Device& device) {
         br_port_msg header{};
         header.family = AF_BRIDGE;
         header.ifindex = device.number();
         br_mdb_entry entry{};
         entry.ifindex = device.number();
         entry.addr.u.ip4 = htonl(0xef010109);
         entry.addr.proto = htons(ETH_P_IP);
         const Status added = asker.Ack(Request(RTM_NEWMDB, NLM_F_CREATE | NLM_F_EXCL).Named("join a group").Header(header).Structure(MDBA_SET_ENTRY, entry));
         return added.ok() ? asker.Ack(Request(RTM_DELMDB).Named("leave it").Header(header).Structure(MDBA_SET_ENTRY, entry)) : added;
       },
       MakeBridge},
      {"Master", {"DEV-25", "DEV-06"}, {"BRIDGE", "VETH"},
       [](Asker& asker, const Device& device) {
         Other(asker.home, kPort);
         const Status set = asker.By([&] { return asker.home->SetLink(kPort, {.master = LinkRef(device.index)}); });
         if (set.ok()) SETUP_OK(asker.home->SetLink(kPort, {.master = LinkRef()}));
         return set;
       },
       MakeBridge},
      {"MasterOfANewDevice", {"DEV-25", "DEV-06"}, {"BRIDGE", "VETH"},
       [](Asker& asker, const Device& device) {
         const int base = Other(asker.home);
         const Status added = asker.By([&] { return asker.home->AddVeth(kOver, PeerSpec{.name = "nsover2"}, {.master = LinkRef(device.index)}); });
         (void)base;
         if (added.ok()) SETUP_OK(asker.home->DeleteLink(kOver));
         return added;
       },
       MakeBridge},
      {"NexthopObject", {"ROUTE-08", "DEV-06"}, {"INET", "VETH"},
       [](Asker& asker, const Device& device) {
         nhmsg header{};
         header.nh_family = AF_INET;
         const Status added = asker.Ack(Request(RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_EXCL).Named("add a nexthop").Header(header).U32(NHA_ID, 4747).U32(NHA_OIF, device.number()));
         return added.ok() ? asker.Ack(Request(RTM_DELNEXTHOP).Named("delete it").Header(nhmsg{}).U32(NHA_ID, 4747)) : added;
       }},
      {"Ipv6NexthopObject", {"ROUTE-08", "DEV-06"}, {"IPV6", "VETH"},
       [](Asker& asker, const Device& device) {
         nhmsg header{};
         header.nh_family = AF_INET6;
         const Status added = asker.Ack(Request(RTM_NEWNEXTHOP, NLM_F_CREATE | NLM_F_EXCL).Named("add a nexthop").Header(header).U32(NHA_ID, 4748).U32(NHA_OIF, device.number()));
         return added.ok() ? asker.Ack(Request(RTM_DELNEXTHOP).Named("delete it").Header(nhmsg{}).U32(NHA_ID, 4748)) : added;
       }},
      Multipath("WayOfARoute", AF_INET),
      Multipath("WayOfAnIpv6Route", AF_INET6),
      {"AddressLabel", {"ROUTE-13", "DEV-06"}, {"IPV6", "VETH"},
       [](Asker& asker, const Device& device) {
         ifaddrlblmsg header{};
         header.ifal_family = AF_INET6;
         header.ifal_prefixlen = 48;
         header.ifal_index = device.number();
         const auto request = [&](std::uint16_t type, std::uint16_t flags) {
           Request message(type, flags);
           message.Named("an address label of a device").Header(header).Structure(IFAL_ADDRESS, Ip6("2001:db8:4747::")).U32(IFAL_LABEL, 47);
           return message;
         };
         const Status added = asker.Ack(request(RTM_NEWADDRLABEL, NLM_F_CREATE | NLM_F_EXCL));
         return added.ok() ? asker.Ack(request(RTM_DELADDRLABEL, 0)) : added;
       }},
      {"DcbOfADevice", {"DEV-05", "DEV-04"}, {"DCB", "VETH"},
       [](Asker& asker, const Device& device) -> Status {
         const auto ask = [&](const std::string& name) {
           dcbmsg header{};
           header.cmd = DCB_CMD_GSTATE;
           return asker.Get(Request(RTM_GETDCB).Named("dcbnl: whether DCB is on").Header(header).Text(DCB_ATTR_IFNAME, name));
         };
         if (const Status nobody = ask("nsnobody"); nobody.code() == EOPNOTSUPP) RequireBuiltIn(nobody, "DCB");
         const Status answer = ask(device.name);
         return answer.code() == EOPNOTSUPP ? Ok() : answer;  // the device is known, and has none
       }},
      // ---------------------------------------------------------------------------------------------- traffic control
      {"QueueingDiscipline", {"DEV-37", "DEV-06"}, {"NET_SCHED", "VETH"},
       [](Asker& asker, const Device& device) {
         const Status added = asker.By([&] { return asker.home->AddQdisc(device.index, "pfifo", TC_H_ROOT, 0x470000); });
         if (!added.ok()) return added;
         tcmsg header{};
         header.tcm_ifindex = device.index;
         header.tcm_handle = 0x470000;
         EXPECT_OK(asker.Get(Request(RTM_GETQDISC).Named("a queueing discipline").Header(header)));
         return asker.By([&] { return asker.home->DeleteQdisc(device.index); });
       }},
      {"Filter", {"DEV-37", "DEV-06"}, {"NET_CLS_MATCHALL", "NET_SCH_INGRESS", "VETH"},
       [](Asker& asker, const Device& device) {
         tcmsg header{};
         header.tcm_ifindex = device.index;
         header.tcm_parent = TC_H_MAKE(TC_H_CLSACT, 0xfff2u);
         header.tcm_info = TC_H_MAKE(77u << 16, htons(ETH_P_ALL));
         const Status added = asker.Ack(Request(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL).Named("add a filter").Header(header).Text(TCA_KIND, "matchall").Nest(TCA_OPTIONS, [](Request&) {}));
         return added.ok() ? asker.Ack(Request(RTM_DELTFILTER).Named("delete it").Header(header)) : added;
       },
       [](Place& at, const Device& device) {
         MakeEthernet(at, device);
         RequireBuiltIn(at->AddQdisc(device.index, "clsact", TC_H_CLSACT, 0xffff0000), "NET_SCH_INGRESS");
       }},
      {"Chain", {"DEV-37", "DEV-06"}, {"NET_CLS_ACT", "NET_SCH_INGRESS", "VETH"},
       [](Asker& asker, const Device& device) {
         tcmsg header{};
         header.tcm_ifindex = device.index;
         header.tcm_parent = TC_H_MAKE(TC_H_CLSACT, 0xfff2u);
         const Status added = asker.Ack(Request(RTM_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL).Named("add a chain").Header(header).U32(TCA_CHAIN, 47));
         return added.ok() ? asker.Ack(Request(RTM_DELCHAIN).Named("delete it").Header(header).U32(TCA_CHAIN, 47)) : added;
       },
       [](Place& at, const Device& device) {
         MakeEthernet(at, device);
         RequireBuiltIn(at->AddQdisc(device.index, "clsact", TC_H_CLSACT, 0xffff0000), "NET_SCH_INGRESS");
       }},
      FilterFor("InputOfU32", "NET_CLS_U32", "u32", 0,
                [](Request& r, const Device& device) {
                  std::array<std::byte, 16> selector{};  // tc_u32_sel without a key
                  selector[0] = std::byte{TC_U32_TERMINAL};
                  r.U32(TCA_U32_CLASSID, 0x10001).Raw(TCA_U32_SEL, selector).Text(TCA_U32_INDEV, device.name);
                }),
      FilterFor("InputOfFlower", "NET_CLS_FLOWER", "flower", 0, [](Request& r, const Device& device) { r.U32(TCA_FLOWER_CLASSID, 0x10001).Text(TCA_FLOWER_INDEV, device.name); }),
      FilterFor("InputOfFw", "NET_CLS_FW", "fw", 47, [](Request& r, const Device& device) { r.U32(TCA_FW_CLASSID, 0x10001).Text(TCA_FW_INDEV, device.name); }),
      // ---------------------------------------------------------------------------------------------- devices on others
      Above("DeviceBelowVlan", "VLAN_8021Q", "vlan", true, [](Request& r, Place&, const Device&) { r.U16(IFLA_VLAN_ID, 47); }),
      Above("DeviceBelowMacvlan", "MACVLAN", "macvlan", true),
      Above("DeviceBelowMacvtap", "MACVTAP", "macvtap", true),
      Above("DeviceBelowIpvlan", "IPVLAN", "ipvlan", true),
      Above("DeviceBelowMacsec", "MACSEC", "macsec", true),
      Above("DeviceBelowVxlan", "VXLAN", "vxlan", false, [](Request& r, Place&, const Device& device) { r.U32(IFLA_VXLAN_ID, 47).U32(IFLA_VXLAN_LINK, device.number()).Be16(IFLA_VXLAN_PORT, 4747); }),
      Above("FirstPortOfHsr", "HSR", "hsr", false,
            [](Request& r, Place& home, const Device& device) { r.U32(IFLA_HSR_SLAVE1, device.number()).U32(IFLA_HSR_SLAVE2, static_cast<std::uint32_t>(Other(home))); }),
      Above("SecondPortOfHsr", "HSR", "hsr", false,
            [](Request& r, Place& home, const Device& device) { r.U32(IFLA_HSR_SLAVE2, device.number()).U32(IFLA_HSR_SLAVE1, static_cast<std::uint32_t>(Other(home))); }),
      {"WayOutOfAVxlanEntry", {"VIRT-15", "DEV-06"}, {"VXLAN", "VETH"},
       [](Asker& asker, const Device& device) {
         if (!asker.home->LinkByName(kOver).ok()) {
           Status added = asker.home->AddLink({.name = kOver, .kind = "vxlan", .data = [](Request& r) { r.U32(IFLA_VXLAN_ID, 47).Be16(IFLA_VXLAN_PORT, 4747); }});
           RequireBuiltIn(added, "VXLAN");
           SETUP_OK(std::move(added));
         }
         const NeighbourSpec entry{.to = "192.0.2.9", .address = "02:00:00:00:00:0b", .dev = kOver, .flags = NTF_SELF, .more = [&](Request& r) { r.U32(NDA_IFINDEX, device.number()); }};
         const Status added = asker.By([&] { return asker.home->AddForwarding(entry); });
         return added.ok() ? asker.By([&] { return asker.home->DeleteForwarding(entry); }) : added;
       }},
      {"PortOfABondByIoctl", {"VIRT-18", "DEV-35"}, {"BONDING", "VETH"},
       [](Asker& asker, const Device& device) {
         if (!asker.home->LinkByName(kOver).ok()) {
           Status added = asker.home->AddLink({.name = kOver, .kind = "bond"});
           RequireBuiltIn(added, "BONDING");
           SETUP_OK(std::move(added));
         }
         ifreq request = NamedIfreq(kOver);
         device.name.copy(request.ifr_slave, IFNAMSIZ - 1);
         const Status added = asker.Request_(SIOCBONDENSLAVE, &request, "ioctl(SIOCBONDENSLAVE)");
         return added.ok() ? asker.Request_(SIOCBONDRELEASE, &request, "ioctl(SIOCBONDRELEASE)") : added;
       },
       [](Place& at, const Device& device) { AddDevice(at, device.name, {.index = device.index}); }},
      // ---------------------------------------------------------------------------------------------- ioctl(2)
      {"EthtoolIoctl", {"DEV-34", "DEV-35"}, {"VETH"},
       [](Asker& asker, const Device& device) -> Status {
         const Fd socket = asker.Socket(AF_INET, SOCK_DGRAM);
         return asker.By([&]() -> Status { auto driver = EthtoolDriver(socket, device.name); return driver.ok() ? Ok() : Status(driver.error()); });
       }},
      {"IndexByIoctl", {"DEV-35", "DEV-06"}, {"VETH"},
       [](Asker& asker, const Device& device) {
         ifreq request{};
         request.ifr_ifindex = device.index;
         return asker.Request_(SIOCGIFNAME, &request, "ioctl(SIOCGIFNAME)");
       }},
      {"ChangeByIoctl", {"DEV-35"}, {"VETH"},
       [](Asker& asker, const Device& device) {
         ifreq request = NamedIfreq(device.name);
         request.ifr_mtu = 1400;
         return asker.Request_(SIOCSIFMTU, &request, "ioctl(SIOCSIFMTU)");
       }},
      {"RouteByIoctl", {"DEV-35", "ROUTE-01"}, {"INET", "VETH"},
       [](Asker& asker, const Device& device) {
         rtentry route{};
         const sockaddr_in to = Ip4("198.51.100.0"), mask = Ip4("255.255.255.0");
         std::memcpy(&route.rt_dst, &to, sizeof to);
         std::memcpy(&route.rt_genmask, &mask, sizeof mask);
         route.rt_flags = RTF_UP;
         std::string name = device.name;
         route.rt_dev = name.data();
         const Status added = asker.Request_(SIOCADDRT, &route, "ioctl(SIOCADDRT)");
         return added.ok() ? asker.Request_(SIOCDELRT, &route, "ioctl(SIOCDELRT)") : added;
       }},
      {"Ipv6RouteByIoctl", {"DEV-35", "ROUTE-02"}, {"IPV6", "VETH"},
       [](Asker& asker, const Device& device) {
         in6_rtmsg route{};
         route.rtmsg_dst = Ip6("2001:db8:48::");
         route.rtmsg_dst_len = 48;
         route.rtmsg_metric = 1;
         route.rtmsg_flags = RTF_UP;
         route.rtmsg_ifindex = device.index;
         const Status added = asker.Request_(SIOCADDRT, &route, "ioctl(SIOCADDRT), IPv6", AF_INET6);
         return added.ok() ? asker.Request_(SIOCDELRT, &route, "ioctl(SIOCDELRT), IPv6", AF_INET6) : added;
       }},
      {"Ipv6AddressByIoctl", {"DEV-35"}, {"IPV6", "VETH"},
       [](Asker& asker, const Device& device) {
         struct {
           in6_addr address;
           std::uint32_t prefix;
           int index;
         } request{Ip6("2001:db8:49::1"), 64, device.index};  // in6_ifreq
         const Status added = asker.Request_(SIOCSIFADDR, &request, "ioctl(SIOCSIFADDR), IPv6", AF_INET6);
         return added.ok() ? asker.Request_(SIOCDIFADDR, &request, "ioctl(SIOCDIFADDR), IPv6", AF_INET6) : added;
       }},
      {"ArpByIoctl", {"DEV-35", "STACK-22"}, {"INET", "VETH"},
       [](Asker& asker, const Device& device) {
         arpreq request{};
         const sockaddr_in address = Ip4("192.0.2.10");
         std::memcpy(&request.arp_pa, &address, sizeof address);
         request.arp_ha.sa_family = ARPHRD_ETHER;
         request.arp_ha.sa_data[5] = 9;
         request.arp_flags = ATF_COM | ATF_PERM;
         device.name.copy(request.arp_dev, sizeof request.arp_dev - 1);
         const Status added = asker.Request_(SIOCSARP, &request, "ioctl(SIOCSARP)");
         return added.ok() ? asker.Request_(SIOCDARP, &request, "ioctl(SIOCDARP)") : added;
       }},
      // ---------------------------------------------------------------------------------------------- sockets
      Membership("SourceOfAGroup", AF_INET),
      Membership("SourceOfAnIpv6Group", AF_INET6),
      {"AnycastAddress", {"SOCK-23", "DEV-06"}, {"IPV6", "VETH"},
       [](Asker& asker, const Device& device) {
         ipv6_mreq join{};
         join.ipv6mr_multiaddr = Ip6("2001:db8:47::ac");
         join.ipv6mr_interface = device.number();
         return asker.Option(asker.Socket(AF_INET6, SOCK_DGRAM), IPPROTO_IPV6, 27 /* IPV6_JOIN_ANYCAST */, join, "IPV6_JOIN_ANYCAST");
       }},
      {"KeyOfAVrf", {"VIRT-17", "SOCK-23"}, {"TCP_MD5SIG", "NET_VRF"},
       [](Asker& asker, const Device& device) {
         struct {  // tcp_md5sig
           sockaddr_storage address;
           std::uint8_t flags, prefix;
           std::uint16_t length;
           int index;
           std::uint8_t key[80];
         } signature{};
         const sockaddr_in peer = Ip4("192.0.2.11");
         std::memcpy(&signature.address, &peer, sizeof peer);
         signature.flags = 2;  // TCP_MD5SIG_FLAG_IFINDEX
         signature.length = 4;
         std::memcpy(signature.key, "4747", 4);
         signature.index = device.index;
         return asker.Option(asker.Socket(AF_INET, SOCK_STREAM), IPPROTO_TCP, 32 /* TCP_MD5SIG_EXT */, signature, "TCP_MD5SIG_EXT");
       },
       Makes("vrf", "NET_VRF", [](Request& r) { r.U32(1 /* IFLA_VRF_TABLE */, 47); })},
      ScopedBind("RawIpv6Socket", {"IPV6"}, SOCK_RAW, 253),
      ScopedBind("UdpIpv6Socket", {"IPV6"}, SOCK_DGRAM, 0),
      ScopedBind("EchoIpv6Socket", {"IPV6"}, SOCK_DGRAM, IPPROTO_ICMPV6),
      ScopedBind("SctpSocket", {"IP_SCTP", "IPV6"}, SOCK_SEQPACKET, IPPROTO_SCTP),
      {"MulticastInterface", {"SOCK-24", "DEV-06"}, {"IP_MROUTE", "VETH"},
       [](Asker& asker, const Device& device) -> Status {
         const Fd router = asker.Socket(AF_INET, SOCK_RAW, IPPROTO_IGMP);
         const int on = 1;
         if (::setsockopt(router.get(), IPPROTO_IP, MRT_INIT, &on, sizeof on) < 0) {
           if (errno == ENOPROTOOPT) RequireBuiltIn(Error{EOPNOTSUPP, "MRT_INIT"}, "IP_MROUTE");
           return ErrnoError("MRT_INIT");
         }
         vifctl add{};
         add.vifc_flags = VIFF_USE_IFINDEX;
         add.vifc_threshold = 1;
         add.vifc_lcl_ifindex = device.index;
         return asker.Option(router, IPPROTO_IP, MRT_ADD_VIF, add, "MRT_ADD_VIF");
       }},
      {"Ipv6MulticastInterface", {"SOCK-24", "DEV-06"}, {"IPV6_MROUTE", "VETH"},
       [](Asker& asker, const Device& device) -> Status {
         const Fd router = asker.Socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
         const int on = 1;
         if (::setsockopt(router.get(), IPPROTO_IPV6, MRT6_INIT, &on, sizeof on) < 0) {
           if (errno == ENOPROTOOPT) RequireBuiltIn(Error{EOPNOTSUPP, "MRT6_INIT"}, "IPV6_MROUTE");
           return ErrnoError("MRT6_INIT");
         }
         mif6ctl add{};
         add.vifc_threshold = 1;
         add.mif6c_pifi = static_cast<std::uint16_t>(device.index);
         return asker.Option(router, IPPROTO_IPV6, MRT6_ADD_MIF, add, "MRT6_ADD_MIF");
       }},
      {"OldPacketSocket", {"SOCK-11", "DEV-05"}, {"PACKET", "VETH"},
       [](Asker& asker, const Device& device) {
         const Fd socket = asker.Socket(AF_PACKET, SOCK_PACKET, htons(ETH_P_ALL));
         sockaddr address{};
         address.sa_family = AF_PACKET;
         device.name.copy(address.sa_data, sizeof address.sa_data - 1);
         return asker.Bind(socket, address, "bind(SOCK_PACKET)");
       }},
      {"FrameOfAnOldPacketSocket", {"SOCK-11", "DEV-05"}, {"PACKET", "VETH"},
       [](Asker& asker, const Device& device) {
         const Fd socket = asker.Socket(AF_PACKET, SOCK_PACKET, htons(ETH_P_ALL));
         sockaddr_pkt to{};
         to.spkt_family = AF_PACKET;
         device.name.copy(reinterpret_cast<char*>(to.spkt_device), sizeof to.spkt_device - 1);
         to.spkt_protocol = htons(0x88b5);
         const std::string frame = std::string(12, '\xff') + "\x88\xb5" + std::string(46, '\0');
         return asker.By([&]() -> Status {
           return ::sendto(socket.get(), frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0 ? Status(ErrnoError("sendto(SOCK_PACKET)")) : Ok();
         });
       }},
      {"RingOfAPacketSocket", {"SOCK-11", "DEV-06"}, {"PACKET", "VETH"},
       [](Asker& asker, const Device& device) {
         const Fd socket = asker.Socket(AF_PACKET, SOCK_RAW, 0);
         const tpacket_req ring{.tp_block_size = 4096, .tp_block_nr = 1, .tp_frame_size = 2048, .tp_frame_nr = 2};
         SETUP_OK(asker.Option(socket, SOL_PACKET, PACKET_TX_RING, ring, "PACKET_TX_RING"));
         sockaddr_ll to{};
         to.sll_family = AF_PACKET;
         to.sll_protocol = htons(0x88b5);
         to.sll_ifindex = device.index;
         to.sll_halen = 6;
         return asker.By([&]() -> Status {
           return ::sendto(socket.get(), nullptr, 0, MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0 ? Status(ErrnoError("sendto of a ring")) : Ok();
         });
       }},
      OfCan("CanSocket", "CAN_RAW", SOCK_RAW, CAN_RAW, false),
      OfCan("CanBroadcastManager", "CAN_BCM", SOCK_DGRAM, CAN_BCM, true),
      OfCan("CanTransport", "CAN_ISOTP", SOCK_DGRAM, CAN_ISOTP, false, [](sockaddr_can& a) { a.can_addr.tp = {.rx_id = 0x123, .tx_id = 0x321}; }),
      OfCan("CanJ1939", "CAN_J1939", SOCK_DGRAM, CAN_J1939, false, [](sockaddr_can& a) { a.can_addr.j1939 = {.name = 0, .pgn = 0x40000 /* J1939_NO_PGN */, .addr = 0x20}; }),
      {"FrameOfACanSocket", {"VIRT-22", "DEV-06"}, {"CAN_RAW", "CAN", "CAN_VCAN"},
       [](Asker& asker, const Device& device) -> Status {
         auto socket = asker.home.ns.Socket(AF_CAN, SOCK_RAW, CAN_RAW);
         if (!socket.ok()) return socket.error();
         sockaddr_can to{};
         to.can_family = AF_CAN;
         to.can_ifindex = device.index;
         can_frame frame{};
         frame.can_id = 0x47;
         return asker.By([&]() -> Status {
           return ::sendto(socket->get(), &frame, sizeof frame, 0, reinterpret_cast<sockaddr*>(&to), sizeof to) < 0 ? Status(ErrnoError("sendto(AF_CAN)")) : Ok();
         });
       },
       Makes("vcan", "CAN_VCAN")},
      CanGateway("CanGatewayFrom", true),
      CanGateway("CanGatewayTo", false),
      {"PppoeSession", {"VIRT-21", "DEV-05"}, {"PPPOE", "VETH"},
       [](Asker& asker, const Device& device) -> Status {
         auto socket = asker.home.ns.Socket(AF_PPPOX, SOCK_STREAM, PX_PROTO_OE);
         if (!socket.ok()) return socket.error();
         sockaddr_pppox to{};
         to.sa_family = AF_PPPOX;
         to.sa_protocol = PX_PROTO_OE;
         to.sa_addr.pppoe.sid = htons(47);
         to.sa_addr.pppoe.remote[0] = 2;
         device.name.copy(to.sa_addr.pppoe.dev, IFNAMSIZ - 1);
         sockaddr_storage address{};
         std::memcpy(&address, &to, sizeof to);
         return asker.By([&]() -> Status {
           return ::connect(socket->get(), reinterpret_cast<sockaddr*>(&address), sizeof to) < 0 ? Status(ErrnoError("connect(AF_PPPOX)")) : Ok();
         });
       }},
      Probe("ProbeByName", true),
      Probe("ProbeByIndex", false),
      // ---------------------------------------------------------------------------------------------- generic netlink
      Ethtool("EthtoolByName", true),
      Ethtool("EthtoolByIndex", false),
      Asks("WireGuardByIndex", "WIREGUARD", "wireguard", WG_GENL_NAME, WG_CMD_GET_DEVICE, true, [](Request& r, const Device& device) { r.U32(WGDEVICE_A_IFINDEX, device.number()); }),
      Asks("WireGuardByName", "WIREGUARD", "wireguard", WG_GENL_NAME, WG_CMD_GET_DEVICE, true, [](Request& r, const Device& device) { r.Text(WGDEVICE_A_IFNAME, device.name); }),
      Asks("Team", "NET_TEAM", "team", TEAM_GENL_NAME, TEAM_CMD_OPTIONS_GET, false, [](Request& r, const Device& device) { r.U32(TEAM_ATTR_TEAM_IFINDEX, device.number()); }),
      Asks("BatmanAdv", "BATMAN_ADV", "batadv", BATADV_NL_NAME, BATADV_CMD_GET_MESH_INFO, false, [](Request& r, const Device& device) { r.U32(BATADV_ATTR_MESH_IFINDEX, device.number()); }),
      Asks("NodesOfBatmanAdv", "BATMAN_ADV", "batadv", BATADV_NL_NAME, BATADV_CMD_GET_ORIGINATORS, true, [](Request& r, const Device& device) { r.U32(BATADV_ATTR_MESH_IFINDEX, device.number()); }, true),
      Asks("AddressesOfBatmanAdv", "BATMAN_ADV", "batadv", BATADV_NL_NAME, BATADV_CMD_GET_TRANSTABLE_LOCAL, true, [](Request& r, const Device& device) { r.U32(BATADV_ATTR_MESH_IFINDEX, device.number()); }, true),
      {"MacsecByIndex", {"DEV-04", "DEV-06"}, {"MACSEC", "VETH"},
       [](Asker& asker, const Device& device) {
         Generic generic(asker.home, MACSEC_GENL_NAME, "MACSEC");
         Status last = Ok();
         for (const std::uint8_t command : {MACSEC_CMD_ADD_RXSC, MACSEC_CMD_DEL_RXSC}) {
           Request request = generic.Make(command, "a channel of macsec");
           request.U32(MACSEC_ATTR_IFINDEX, device.number()).Nest(MACSEC_ATTR_RXSC_CONFIG | NLA_F_NESTED, [](Request& r) { r.U64(MACSEC_RXSC_ATTR_SCI, 0x4700000000000047); });
           last = asker.By([&] { return generic->Ack(request); });
           if (!last.ok()) break;
         }
         return last;
       },
       [](Place& at, const Device& device) {
         const int below = AddDevice(at, device.name + "0");
         Status added = at->AddLink({.name = device.name, .kind = "macsec", .index = device.index, .link = LinkRef(below)});
         RequireBuiltIn(added, "MACSEC");
         SETUP_OK(std::move(added));
       },
       true},
      {"PortOfADatapath", {"VIRT-20", "DEV-05"}, {"OPENVSWITCH", "VETH"},
       [](Asker& asker, const Device& device) -> Status {
         Generic datapaths(asker.home, OVS_DATAPATH_FAMILY, "OPENVSWITCH"), ports(asker.home, OVS_VPORT_FAMILY, "OPENVSWITCH");
         if (!asker.home->LinkByName(kOver).ok()) {
           Request add = datapaths.Make(OVS_DP_CMD_NEW, "add a datapath", OVS_DATAPATH_VERSION);
           add.Header(ovs_header{}).Text(OVS_DP_ATTR_NAME, kOver).U32(OVS_DP_ATTR_UPCALL_PID, 0);
           SETUP_OK(datapaths->Ack(add));
         }
         const ovs_header header{.dp_ifindex = SETUP_OK(asker.home->LinkByName(kOver)).index};
         Request add = ports.Make(OVS_VPORT_CMD_NEW, "add a port", OVS_VPORT_VERSION);
         add.Header(header).U32(OVS_VPORT_ATTR_TYPE, OVS_VPORT_TYPE_NETDEV).Text(OVS_VPORT_ATTR_NAME, device.name).U32(OVS_VPORT_ATTR_UPCALL_PID, 0);
         const Status added = asker.By([&] { return ports->Ack(add); });
         if (!added.ok()) return added;
         Request remove = ports.Make(OVS_VPORT_CMD_DEL, "delete it", OVS_VPORT_VERSION);
         remove.Header(header).Text(OVS_VPORT_ATTR_NAME, device.name);
         return asker.By([&] { return ports->Ack(remove); });
       }},
      {"BearerOfTipc", {"SOCK-27", "DEV-05"}, {"TIPC", "VETH"},
       [](Asker& asker, const Device& device) -> Status {
         Generic tipc(asker.home, TIPC_GENL_V2_NAME, "TIPC");
         Status last = Ok();
         for (const std::uint8_t command : {TIPC_NL_BEARER_ENABLE, TIPC_NL_BEARER_DISABLE}) {
           Request request = tipc.Make(command, "a bearer of TIPC");
           request.Nest(TIPC_NLA_BEARER | NLA_F_NESTED, [&](Request& r) { r.Text(TIPC_NLA_BEARER_NAME, "eth:" + device.name); });
           last = asker.By([&] { return tipc->Ack(request); });
           if (!last.ok()) break;
         }
         return last;
       },
       {}, true},
  };
  return rows;
}

const Device kMine{47101, "nsmine"}, kTheirs{47102, "nstheirs"}, kNobodys{47103, "nsnobodys"};

void Make(const Row& row, Place& at, const Device& device) { row.make ? row.make(at, device) : MakeEthernet(at, device); }
/// What the kernel has nothing of is MISS.
void Control(const Row& row, Asker& asker) {
  const Status control = row.use(asker, kMine);
  switch (control.code()) {
    case EOPNOTSUPP: case EPROTONOSUPPORT: case EAFNOSUPPORT: case ESOCKTNOSUPPORT: case ENOPROTOOPT:
      RequireBuiltIn(Error{EOPNOTSUPP, control.error().ToString()}, row.configs.front());
      break;
    default: break;
  }
  ASSERT_OK(control) << "control: a device of the namespace";
  EXPECT_FALSE(row.use(asker, kNobodys).ok()) << "control: a device that nobody has";
}

void AreThoseOfTheSocketsNamespace(const Row& row) {
  Place home, other;
  Actor traveller = other.ns.StartActor("traveller");
  Make(row, home, kMine);
  Make(row, other, kTheirs);
  Asker here{home, nullptr}, away{home, &traveller};
  Control(row, here);
  if (testing::Test::HasFatalFailure()) return;
  EXPECT_FALSE(row.use(here, kTheirs).ok()) << "network_namespaces(7): a device that only another namespace has was found";
  EXPECT_OK(row.use(away, kMine)) << "a device of the socket's namespace was not found for a process of another one";
  EXPECT_FALSE(row.use(away, kTheirs).ok()) << "a device of where the process is was found by a socket of another namespace";
}

void AreNotThoseOfTheInitialNamespace(const Row& row) {
  struct Undo {
    Place initial{InitialNetNamespace()};
    ~Undo() {
      for (const std::string& name : {kTheirs.name, kTheirs.name + "0"}) (void)initial->DeleteLink(name).ok();
    }
  } undo;
  Place home;
  Place nested = Place::Inside(home);
  Make(row, undo.initial, kTheirs);
  for (Place* place : {&home, &nested}) {
    SCOPED_TRACE(place == &home ? "a namespace" : "one made from inside it");
    Make(row, *place, kMine);
    Asker here{*place, nullptr};
    Control(row, here);
    if (testing::Test::HasFatalFailure()) return;
    EXPECT_FALSE(row.use(here, kTheirs).ok()) << "network_namespaces(7): a device that only the initial namespace has was found";
  }
}

[[maybe_unused]] const bool registered = [] {
  for (const Row& row : Rows()) {
    Covers covers;
    covers.list = row.covers;
    Needs needs, machine(Machine());
    if (row.root) needs.list.push_back(Root());
    for (Needs* each : {&needs, &machine})
      for (const char* symbol : row.configs) each->list.push_back(Config(symbol));
    RegisterBody("Dev", std::string("NamedDevicesAreThoseOfTheSocketsNamespace/") + row.name, __FILE__, __LINE__, [&row] { AreThoseOfTheSocketsNamespace(row); }, covers, needs);
    RegisterBody("Dev", std::string("NamedDevicesAreNotThoseOfTheInitialNamespace/") + row.name, __FILE__, __LINE__, [&row] { AreNotThoseOfTheInitialNamespace(row); }, covers, machine,
                 Exclusive{});
  }
  return true;
}();

}  // namespace
}  // namespace netns
