// SPDX-License-Identifier: GPL-2.0-or-later
// What the tests of devices start from: a namespace with rtnetlink at hand, devices that can be moved, and every way in
// which a device can be seen.
#pragma once

#include <arpa/inet.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "fixtures/net_namespace.h"
#include "fixtures/rtnl.h"
#include "harness/assertions.h"
#include "harness/registration.h"

namespace netns {

/// A network namespace and an rtnetlink socket that was born in it.
struct Place {
  /// A new namespace.
  Place() : Place(NetNamespace::Create()) {}
  explicit Place(NetNamespace existing) : ns(std::move(existing)), rtnl(SETUP_OK(Rtnl::In(ns))) {}
  /// The namespace of the test itself.
  static Place Here() { return Place(NetNamespace::Current()); }
  /// Created by a process inside `parent`.
  static Place Inside(const Place& parent) { return Place(parent.ns.In([] { return NetNamespace::Create(); })); }

  Rtnl* operator->() { return &rtnl; }
  NsRef ref() const { return ByFd(ns.fd()); }
  int fd() const { return ns.fd(); }

  NetNamespace ns;
  Rtnl rtnl;
};

/// Leaves the test as MISS when the kernel was built without CONFIG_<symbol>, which no readable configuration told.
inline void RequireBuiltIn(const Status& status, const std::string& symbol) {
  const int code = status.code();
  if (code == EOPNOTSUPP || code == EPROTONOSUPPORT || code == EAFNOSUPPORT || code == ENOENT || code == ESOCKTNOSUPPORT)
    throw MissingNeed("needs-config:" + symbol, "the kernel has no CONFIG_" + symbol + ": " + status.error().ToString(),
                      "use a kernel with CONFIG_" + symbol);
}

/// Devices that a module makes by itself in every namespace, as soon as it is loaded.
inline bool IsFallback(const std::string& name) {
  static const std::set<std::string> names = {"sit0",     "tunl0",   "gre0",     "gretap0",  "erspan0",
                                              "ip6tnl0",  "ip6gre0", "ip_vti0",  "ip6_vti0", "pim6reg", "pimreg"};
  return names.contains(name);
}

/// The names of all links but fallback tunnels, sorted.
inline std::vector<std::string> LinkNames(Place& place) {
  std::vector<std::string> names;
  for (const Link& link : SETUP_OK(place->Links()))
    if (!IsFallback(link.name)) names.push_back(link.name);
  std::sort(names.begin(), names.end());
  return names;
}

inline bool HasIpv6() { return ::access("/proc/thread-self/net/if_inet6", F_OK) == 0; }

/// A device that exists on every kernel and may be moved: one end of a veth pair whose other end lies in a namespace of
/// its own, where no test looks. With `running` both ends are up. Returns its ifindex.
inline int AddDevice(Place& at, const std::string& name, LinkSpec spec = {}, bool running = false) {
  static Place yard;  // a test's body runs in a process of its own
  Status added = at->AddVeth(name, PeerSpec{.netns_fd = yard.fd()}, std::move(spec));
  RequireBuiltIn(added, "VETH");
  SETUP_OK(std::move(added));
  const Link link = SETUP_OK(at->LinkByName(name));
  if (running) {
    SETUP_OK(yard->Up(link.link.value_or(0)));
    SETUP_OK(at->Up(name));
    SETUP_OK(Eventually(name + " to have carrier", [&] {
      const auto now = at->LinkByName(name);
      return now.ok() && now->carrier.value_or(false) && now->operstate == 6;  // IF_OPER_UP
    }));
  }
  return link.index;
}
/// A device without a peer: a bridge, which cannot be moved.
inline int AddBridge(Place& at, const std::string& name, LinkSpec spec = {}) {
  spec.name = name;
  spec.kind = "bridge";
  Status added = at->AddLink(spec);
  RequireBuiltIn(added, "BRIDGE");
  SETUP_OK(std::move(added));
  return SETUP_OK(at->LinkByName(name)).index;
}

/// inet_pton(3); text that is no address breaks the test.
template <class Raw>
Raw FromText(int family, const std::string& text) {
  Raw address{};
  SETUP_OK(::inet_pton(family, text.c_str(), &address) == 1 ? Ok() : Status(Error{EINVAL, "inet_pton(" + text + ")"}));
  return address;
}
inline in_addr Ip4(const std::string& text) { return FromText<in_addr>(AF_INET, text); }
inline in6_addr Ip6(const std::string& text) { return FromText<in6_addr>(AF_INET6, text); }

/// An ifreq with a name.
inline ifreq NamedIfreq(const std::string& name) {
  ifreq request{};
  name.copy(request.ifr_name, sizeof request.ifr_name - 1);
  return request;
}
/// One of the interface ioctls of netdevice(7).
inline Status Ioctl(const Fd& socket, unsigned long call, ifreq& request, const char* text) {
  if (::ioctl(socket.get(), call, &request) < 0) return ErrnoError(std::string(text) + "('" + request.ifr_name + "')");
  return Ok();
}
#define NETNS_IOCTL(socket, call, request) ::netns::Ioctl(socket, call, request, #call)

/// SIOCSIFNAME.
inline Status RenameByIoctl(const Fd& socket, const std::string& from, const std::string& to) {
  ifreq request = NamedIfreq(from);
  to.copy(request.ifr_newname, sizeof request.ifr_newname - 1);
  return NETNS_IOCTL(socket, SIOCSIFNAME, request);
}

/// SIOCETHTOOL with ETHTOOL_GDRVINFO: the driver's name.
inline Result<std::string> EthtoolDriver(const Fd& socket, const std::string& name) {
  ethtool_drvinfo info{};
  info.cmd = ETHTOOL_GDRVINFO;
  ifreq request = NamedIfreq(name);
  request.ifr_data = reinterpret_cast<char*>(&info);
  RETURN_IF_ERROR(NETNS_IOCTL(socket, SIOCETHTOOL, request));
  return std::string(info.driver, strnlen(info.driver, sizeof info.driver));
}

/// Whether a table of /proc/net has a line whose first word is `name` (with or without a colon).
inline bool ProcNetLists(const std::string& text, const std::string& name, int column = 0) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    for (int i = 0; i <= column; ++i) words >> word;
    if (auto colon = word.find(':'); colon != std::string::npos) word.resize(colon);
    if (word == name) return true;
  }
  return false;
}

/// Every way in which `place` shows a device, by name or by index. Where a way fails, it must fail with ENODEV; another
/// error is told in its words.
inline std::vector<std::string> Seen(Place& place, const std::string& name, int index = 0,
                                     const std::string& altname = {}) {
  std::vector<std::string> ways;
  auto note = [&](const std::string& way, const Status& status) {
    if (status.ok())
      ways.push_back(way);
    else if (status.code() != ENODEV)
      ways.push_back(way + " fails with " + status.error().ToString());
  };
  auto asks = [&](const std::string& way, const Result<Link>& link, const std::string& expected) {
    if (link.ok())
      note(link->name == expected ? way : way + " (a device called " + link->name + ")", Ok());
    else
      note(way, link.error());
  };
  asks("RTM_GETLINK by name", place->LinkByName(name), name);
  if (index != 0) {
    auto link = place->LinkByIndex(index);
    if (!link.ok() || link->name == name) asks("RTM_GETLINK by index", link, name);
  }
  if (!altname.empty()) asks("RTM_GETLINK by altname", place->LinkByName(altname), name);
  for (const Link& link : SETUP_OK(place->Links())) {
    if (link.name == name) ways.push_back("RTM_GETLINK dump");
    if (!altname.empty() && std::count(link.altnames.begin(), link.altnames.end(), altname) != 0)
      ways.push_back("altname in the RTM_GETLINK dump");
  }
  const Fd socket = SETUP_OK(place.ns.Socket(AF_INET, SOCK_DGRAM));
  ifreq by_name = NamedIfreq(name);
  note("SIOCGIFINDEX", NETNS_IOCTL(socket, SIOCGIFINDEX, by_name));
  by_name = NamedIfreq(name);
  note("SIOCGIFFLAGS", NETNS_IOCTL(socket, SIOCGIFFLAGS, by_name));
  by_name = NamedIfreq(name);
  note("SIOCGIFMTU", NETNS_IOCTL(socket, SIOCGIFMTU, by_name));
  by_name = NamedIfreq(name);
  note("SIOCGIFHWADDR", NETNS_IOCTL(socket, SIOCGIFHWADDR, by_name));
  if (index != 0) {
    ifreq by_index{};
    by_index.ifr_ifindex = index;
    Status status = NETNS_IOCTL(socket, SIOCGIFNAME, by_index);
    if (!status.ok() || by_index.ifr_name == name) note("SIOCGIFNAME", status);
  }
  auto driver = EthtoolDriver(socket, name);
  note("SIOCETHTOOL", driver.ok() ? Ok() : Status(driver.error()));
  if (ProcNetLists(SETUP_OK(place.ns.ReadProcNet("dev")), name)) ways.push_back("/proc/net/dev");
  const bool ipv6 = HasIpv6();
  place.ns.InWithSysfs([&] {
    auto exists = [&](const std::string& path) {
      struct stat info{};
      if (::lstat(path.c_str(), &info) == 0) ways.push_back(path);
    };
    std::vector<std::string> directories = {"/sys/class/net/", "/sys/devices/virtual/net/", "/proc/sys/net/ipv4/conf/",
                                            "/proc/sys/net/ipv4/neigh/"};
    if (ipv6)
      directories.insert(directories.end(),
                         {"/proc/sys/net/ipv6/conf/", "/proc/sys/net/ipv6/neigh/", "/proc/thread-self/net/dev_snmp6/"});
    for (const std::string& directory : directories) exists(directory + name);
    if (::if_nametoindex(name.c_str()) != 0) ways.push_back("if_nametoindex()");
    if (struct if_nameindex* list = ::if_nameindex()) {
      for (auto* entry = list; entry->if_index != 0; ++entry)
        if (entry->if_name == name) ways.push_back("if_nameindex()");
      ::if_freenameindex(list);
    }
  });
  for (std::string& way : ways)
    if (way.starts_with("/")) way = way.ends_with("/" + name) ? way.substr(0, way.size() - name.size()) : way;
  return ways;
}

/// What Seen() gives for an Ethernet device that is there.
inline std::vector<std::string> EveryWay(bool with_index = true, bool with_altname = false) {
  std::vector<std::string> ways = {"RTM_GETLINK by name"};
  if (with_index) ways.push_back("RTM_GETLINK by index");
  if (with_altname) ways.push_back("RTM_GETLINK by altname");
  ways.push_back("RTM_GETLINK dump");
  if (with_altname) ways.push_back("altname in the RTM_GETLINK dump");
  ways.insert(ways.end(), {"SIOCGIFINDEX", "SIOCGIFFLAGS", "SIOCGIFMTU", "SIOCGIFHWADDR"});
  if (with_index) ways.push_back("SIOCGIFNAME");
  ways.insert(ways.end(), {"SIOCETHTOOL", "/proc/net/dev", "/sys/class/net/", "/sys/devices/virtual/net/",
                           "/proc/sys/net/ipv4/conf/", "/proc/sys/net/ipv4/neigh/"});
  if (HasIpv6())
    ways.insert(ways.end(),
                {"/proc/sys/net/ipv6/conf/", "/proc/sys/net/ipv6/neigh/", "/proc/thread-self/net/dev_snmp6/"});
  ways.insert(ways.end(), {"if_nametoindex()", "if_nameindex()"});
  return ways;
}

}  // namespace netns
