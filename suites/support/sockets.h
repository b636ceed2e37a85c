// SPDX-License-Identifier: GPL-2.0-or-later
// Sockets as the suites ask about them: addresses as text, every call a Result with the exact errno, every wait with a
// deadline, and the handful of devices and namespaces that most tests of sockets and routes start from.
#pragma once

#include <arpa/inet.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fixtures/net_namespace.h"
#include "fixtures/rtnl.h"
#include "harness/assertions.h"
#include "harness/registration.h"

namespace netns::sock {

/// A socket address of IPv4, IPv6 or unix(7).
class SockAddr {
 public:
  SockAddr() = default;
  /// "192.0.2.1" or "2001:db8::1"; `scope` is sin6_scope_id.
  static SockAddr Ip(const std::string& text, std::uint16_t port = 0, unsigned scope = 0) {
    SockAddr address;
    in_addr v4{};
    if (::inet_pton(AF_INET, text.c_str(), &v4) == 1) {
      sockaddr_in in{};
      in.sin_family = AF_INET;
      in.sin_port = htons(port);
      in.sin_addr = v4;
      address.Set(in);
      return address;
    }
    sockaddr_in6 in6{};
    in6.sin6_family = AF_INET6;
    in6.sin6_port = htons(port);
    in6.sin6_scope_id = scope;
    if (::inet_pton(AF_INET6, text.c_str(), &in6.sin6_addr) != 1)
      throw SetupFailure("'" + text + "' is no IP address", std::source_location::current());
    address.Set(in6);
    return address;
  }
  /// A name of the abstract socket namespace, without its leading zero byte.
  static SockAddr Abstract(std::string_view name) {
    std::string path(1, '\0');
    return Unix(path.append(name), false);
  }
  static SockAddr Path(std::string_view path) { return Unix(std::string(path), true); }
  /// The local address of a socket.
  static Result<SockAddr> Of(const Fd& socket) {
    SockAddr address;
    address.size_ = sizeof address.storage_;
    if (::getsockname(socket.get(), address.Raw(), &address.size_) < 0) return ErrnoError("getsockname");
    return address;
  }
  static Result<SockAddr> OfPeer(const Fd& socket) {
    SockAddr address;
    address.size_ = sizeof address.storage_;
    if (::getpeername(socket.get(), address.Raw(), &address.size_) < 0) return ErrnoError("getpeername");
    return address;
  }

  int family() const { return storage_.ss_family; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t size() const { return size_; }
  std::uint16_t port() const {
    // The port is in the same place in both families.
    return ntohs(reinterpret_cast<const sockaddr_in*>(&storage_)->sin_port);
  }
  /// Of unix(7): the bytes of the name, an abstract one with its zero byte in front.
  std::string name() const {
    constexpr auto head = offsetof(sockaddr_un, sun_path);
    return size_ <= head ? "" : std::string(reinterpret_cast<const char*>(&storage_) + head, size_ - head);
  }
  std::string ToString() const {
    char text[INET6_ADDRSTRLEN] = "";
    if (family() == AF_INET) {
      ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(&storage_)->sin_addr, text, sizeof text);
    } else if (family() == AF_INET6) {
      ::inet_ntop(AF_INET6, &reinterpret_cast<const sockaddr_in6*>(&storage_)->sin6_addr, text, sizeof text);
    } else {
      std::string shown = name();
      for (char& c : shown) c = c == '\0' ? '@' : c;
      return "unix:" + shown;
    }
    return std::string(text) + " port " + std::to_string(port());
  }

 private:
  static SockAddr Unix(const std::string& path, bool terminated) {
    SockAddr address;
    sockaddr_un un{};
    un.sun_family = AF_UNIX;
    if (path.size() + 1 > sizeof un.sun_path)
      throw SetupFailure("unix path too long: " + path, std::source_location::current());
    std::memcpy(un.sun_path, path.data(), path.size());
    address.Set(un);
    address.size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (terminated ? 1 : 0));
    return address;
  }
  template <class Struct>
  void Set(const Struct& value) {
    std::memcpy(&storage_, &value, sizeof value);
    size_ = sizeof value;
  }
  sockaddr* Raw() { return reinterpret_cast<sockaddr*>(&storage_); }

  sockaddr_storage storage_{};
  socklen_t size_ = 0;
};

/// What differs between the two families in a test that is written once for both.
struct Family {
  const char* name;
  int domain;
  const char* loopback;
  const char* any;
  const char* net;  ///< Prefix of documentation addresses: net + "1" is an address
  int prefix;       ///< Its usual length
  int host_prefix;
  std::string Host(int n) const { return net + std::to_string(n); }
  std::string HostPrefix(int n) const { return Host(n) + "/" + std::to_string(prefix); }
};
inline const std::array<Family, 2>& Families() {
  static const std::array<Family, 2> families = {{{"Ipv4", AF_INET, "127.0.0.1", "0.0.0.0", "192.0.2.", 24, 32},
                                                  {"Ipv6", AF_INET6, "::1", "::", "2001:db8::", 64, 128}}};
  return families;
}

/// A header as it goes into a packet.
template <class Struct>
std::string BytesOf(const Struct& value) {
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

/// setsockopt(2) and getsockopt(2) of an int.
inline Status SetOption(const Fd& socket, int level, int option, int value) {
  if (::setsockopt(socket.get(), level, option, &value, sizeof value) < 0)
    return ErrnoError("setsockopt(" + std::to_string(level) + ", " + std::to_string(option) + ")");
  return Ok();
}
inline Result<int> GetOption(const Fd& socket, int level, int option) {
  int value = 0;
  socklen_t size = sizeof value;
  if (::getsockopt(socket.get(), level, option, &value, &size) < 0)
    return ErrnoError("getsockopt(" + std::to_string(level) + ", " + std::to_string(option) + ")");
  return value;
}
inline Status SetStringOption(const Fd& socket, int level, int option, const std::string& value) {
  if (::setsockopt(socket.get(), level, option, value.c_str(), static_cast<socklen_t>(value.size() + 1)) < 0)
    return ErrnoError("setsockopt(" + std::to_string(level) + ", " + std::to_string(option) + ", \"" + value + "\")");
  return Ok();
}

inline Status Bind(const Fd& socket, const SockAddr& address) {
  if (::bind(socket.get(), address.get(), address.size()) < 0) return ErrnoError("bind(" + address.ToString() + ")");
  return Ok();
}
inline Status Listen(const Fd& socket, int backlog = 128) {
  if (::listen(socket.get(), backlog) < 0) return ErrnoError("listen");
  return Ok();
}
/// socket(2) in the namespace, bind(2), and listen(2) where the type has it.
inline Result<Fd> Bound(const NetNamespace& where, int type, const SockAddr& address, int protocol = 0) {
  ASSIGN_OR_RETURN(Fd socket, where.Socket(address.family(), type, protocol));
  RETURN_IF_ERROR(Bind(socket, address));
  return socket;
}
inline Result<Fd> Listener(const NetNamespace& where, const SockAddr& address, int protocol = 0, int type = SOCK_STREAM) {
  ASSIGN_OR_RETURN(Fd socket, where.Socket(address.family(), type, protocol));
  // As servers do: what is left of the connections of one before must not stand in the way. Two listeners collide all the same.
  RETURN_IF_ERROR(SetOption(socket, SOL_SOCKET, SO_REUSEADDR, 1));
  RETURN_IF_ERROR(Bind(socket, address));
  RETURN_IF_ERROR(Listen(socket));
  return socket;
}

/// Makes a socket non-blocking; every wait of this header is a poll(2) with a deadline.
inline Status NonBlocking(const Fd& socket) {
  int flags = ::fcntl(socket.get(), F_GETFL);
  if (flags < 0 || ::fcntl(socket.get(), F_SETFL, flags | O_NONBLOCK) < 0) return ErrnoError("fcntl(O_NONBLOCK)");
  return Ok();
}

/// connect(2), waiting for its outcome.
inline Status Connect(const Fd& socket, const SockAddr& address, Deadline deadline = Deadline::OfTest()) {
  const std::string call = "connect(" + address.ToString() + ")";
  RETURN_IF_ERROR(NonBlocking(socket));
  if (::connect(socket.get(), address.get(), address.size()) == 0) return Ok();
  if (errno != EINPROGRESS) return ErrnoError(call);
  RETURN_IF_ERROR(WaitFor(socket.get(), POLLOUT, deadline, call));
  ASSIGN_OR_RETURN(int code, GetOption(socket, SOL_SOCKET, SO_ERROR));
  if (code != 0) return Error{code, call};
  return Ok();
}
inline Result<Fd> Connected(const NetNamespace& where, int type, const SockAddr& address, int protocol = 0) {
  ASSIGN_OR_RETURN(Fd socket, where.Socket(address.family(), type, protocol));
  RETURN_IF_ERROR(Connect(socket, address));
  return socket;
}
/// The outcome of a connect alone.
inline Status TryConnect(const NetNamespace& where, const SockAddr& address, int type = SOCK_STREAM, int protocol = 0) {
  ASSIGN_OR_RETURN(Fd socket, Connected(where, type, address, protocol));
  return Ok();
}

/// accept(2), waiting for a connection.
inline Result<Fd> Accept(const Fd& listener) {
  RETURN_IF_ERROR(WaitFor(listener.get(), POLLIN, Deadline::OfTest(), "a connection to accept"));
  int fd = ::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC);
  if (fd < 0) return ErrnoError("accept");
  return Fd(fd);
}
/// Whether a connection (or a datagram) waits at this moment.
inline bool Readable(const Fd& socket) {
  pollfd poll_fd{socket.get(), POLLIN, 0};
  return ::poll(&poll_fd, 1, 0) == 1;
}

inline Status Send(const Fd& socket, std::string_view text) {
  if (::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) return ErrnoError("send");
  return Ok();
}
inline Status SendTo(const Fd& socket, std::string_view text, const SockAddr& to) {
  if (::sendto(socket.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT, to.get(), to.size()) < 0)
    return ErrnoError("sendto(" + to.ToString() + ")");
  return Ok();
}
/// One datagram, or what a stream has; EAGAIN when there is nothing now.
inline Result<std::string> ReceiveNow(const Fd& socket) {
  std::string text(65536, '\0');
  ssize_t n = ::recv(socket.get(), text.data(), text.size(), MSG_DONTWAIT);
  if (n < 0) return ErrnoError("recv");
  text.resize(static_cast<std::size_t>(n));
  return text;
}
/// The same, waiting for it.
inline Result<std::string> Receive(const Fd& socket, Deadline deadline = Deadline::OfTest()) {
  RETURN_IF_ERROR(WaitFor(socket.get(), POLLIN, deadline, "data to receive"));
  return ReceiveNow(socket);
}
/// All datagrams that are there now.
inline std::vector<std::string> Drain(const Fd& socket) {
  std::vector<std::string> all;
  for (auto next = ReceiveNow(socket); next.ok(); next = ReceiveNow(socket)) all.push_back(*next);
  return all;
}

inline std::size_t CountWith(const std::vector<std::string>& datagrams, const std::string& marker) {
  return static_cast<std::size_t>(std::count_if(datagrams.begin(), datagrams.end(), [&](const std::string& text) { return text.find(marker) != std::string::npos; }));
}
/// What has come to each of the sockets, once `count` datagrams with `marker` have come to them together, or some seconds are
/// over. A busy kernel passes on what was sent over loopback only after the sender has been answered (ksoftirqd).
inline std::vector<std::vector<std::string>> DrainWhen(std::initializer_list<const Fd*> sockets, std::size_t count, const std::string& marker) {
  std::vector<std::vector<std::string>> all(sockets.size());
  const Deadline deadline = Deadline::In(std::chrono::seconds(10));
  for (;;) {
    std::size_t i = 0, there = 0;
    std::vector<pollfd> more;
    for (const Fd* socket : sockets) {
      for (std::string& text : Drain(*socket)) all[i].push_back(std::move(text));
      there += CountWith(all[i++], marker);
      more.push_back({socket->get(), POLLIN, 0});
    }
    if (there >= count || ::poll(more.data(), more.size(), deadline.PollMs()) <= 0) return all;
  }
}

/// rtnetlink in a namespace.
inline Rtnl RtnlIn(const NetNamespace& where) {
  return SETUP_OK(Rtnl::Adopt(SETUP_OK(where.Socket(AF_NETLINK, SOCK_RAW, 0))));
}
/// Brings lo up, by ioctl: a netlink socket is freed some time after it was closed, which tests that count sockets see.
inline void LoopbackUp(const NetNamespace& where) {
  Fd socket = SETUP_OK(where.Socket(AF_INET, SOCK_DGRAM));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) < 0)
    throw SetupFailure(ErrnoError("ioctl(SIOCSIFFLAGS) of lo").ToString(), std::source_location::current());
}
/// A new namespace with lo up.
inline NetNamespace CreateWithLoopback() {
  auto created = NetNamespace::Create();
  LoopbackUp(created);
  return created;
}
/// Two namespaces, made one right after the other before anything else is done to either of them: what a kernel mixes up
/// is often the one and its neighbour.
struct TwoNamespaces {
  NetNamespace here, there;
};
template <class Configure>
TwoNamespaces CreateTwo(Configure configure) {
  auto here = NetNamespace::Create();
  auto there = NetNamespace::Create();
  configure(here);
  configure(there);
  return {std::move(here), std::move(there)};
}
inline TwoNamespaces CreateTwoWithLoopback() { return CreateTwo(LoopbackUp); }
inline bool HasIpv6() { return ::access("/proc/self/net/if_inet6", F_OK) == 0; }
/// Waits until a device really carries frames: the kernel activates its queues some time after both ends are up.
inline void WaitUntilRunning(const NetNamespace& where, const std::string& name) {
  constexpr int kOperUp = 6;  // IF_OPER_UP of linux/if.h, which does not go together with net/if.h
  Rtnl rtnl = RtnlIn(where);
  SETUP_OK(Eventually(name + " to run", [&] {
    const auto link = rtnl.LinkByName(name);
    return link.ok() && link->running() && link->operstate == kOperUp;
  }));
}
/// Waits until an address of this namespace is really local: the kernel enters an IPv6 address into its tables by a work
/// queue, even where it asks for no duplicate address detection.
inline void WaitUntilLocal(const NetNamespace& where, const std::string& address) {
  Rtnl rtnl = RtnlIn(where);
  const std::string host = address.substr(0, address.find('/'));
  SETUP_OK(Eventually(host + " to be local", [&] {
    const auto route = rtnl.GetRoute(host);
    return route.ok() && route->type == RTN_LOCAL;
  }));
}
/// Adds an address ("192.0.2.1/24") to a device that is up, ready for use.
inline void AddAddress(const NetNamespace& where, const std::string& address, const std::string& device) {
  const bool v6 = address.find(':') != std::string::npos;
  SETUP_OK(RtnlIn(where).AddAddress(address, device, AddressOptions{.nodad = v6}));
  WaitUntilLocal(where, address);
}
/// A device without any link to the outside: a veth pair `name`, `name`p inside the one namespace, both up. Unlike a
/// dummy it is there on every machine that can run these tests at all.
inline void AddDevice(const NetNamespace& where, const std::string& name, std::optional<int> index = {}) {
  Rtnl rtnl = RtnlIn(where);
  const std::string peer = name + "p";
  SETUP_OK(rtnl.AddVeth(name, PeerSpec{.name = peer}, LinkSpec{.index = index}));
  SETUP_OK(rtnl.Up(name));
  SETUP_OK(rtnl.Up(peer));
  WaitUntilRunning(where, name);
  WaitUntilRunning(where, peer);
}
inline int IndexOf(const NetNamespace& where, const std::string& name) {
  return SETUP_OK(RtnlIn(where).LinkByName(name)).index;
}

/// Two namespaces joined by a veth pair, addresses Host(1) and Host(2) of both families on its ends, all up. The ends
/// need not be named differently.
inline void Join(const NetNamespace& one, const std::string& name_in_one, const NetNamespace& two,
                 const std::string& name_in_two, int host_in_one = 1, int host_in_two = 2) {
  Rtnl here = RtnlIn(one), there = RtnlIn(two);
  SETUP_OK(here.AddVeth(name_in_one, PeerSpec{.name = name_in_two, .netns_fd = two.fd()}));
  for (const Family& family : Families()) {
    if (family.domain == AF_INET6 && !HasIpv6()) continue;
    SETUP_OK(here.AddAddress(family.HostPrefix(host_in_one), name_in_one, AddressOptions{.nodad = true}));
    SETUP_OK(there.AddAddress(family.HostPrefix(host_in_two), name_in_two, AddressOptions{.nodad = true}));
  }
  SETUP_OK(here.Up(name_in_one));
  SETUP_OK(there.Up(name_in_two));
  WaitUntilRunning(one, name_in_one);
  WaitUntilRunning(two, name_in_two);
  for (const Family& family : Families()) {
    if (family.domain == AF_INET6 && !HasIpv6()) continue;
    WaitUntilLocal(one, family.Host(host_in_one));
    WaitUntilLocal(two, family.Host(host_in_two));
  }
}

/// The namespace of a socket, as the kernel itself says (SIOCGSKNS).
inline Result<NetNamespace> NamespaceOf(const Fd& socket) {
  int fd = ::ioctl(socket.get(), SIOCGSKNS);
  if (fd < 0) return ErrnoError("ioctl(SIOCGSKNS)");
  return NetNamespace(Fd(fd));
}

/// For calls that fail because the kernel was built without something that no readable configuration told of.
inline void RequireBuiltIn(int code, const char* symbol) {
  if (code == EOPNOTSUPP || code == EPROTONOSUPPORT || code == EAFNOSUPPORT || code == ESOCKTNOSUPPORT ||
      code == ENOPROTOOPT)
    throw MissingNeed(std::string("needs-config:") + symbol, std::string("the kernel answers ") + ErrnoName(code),
                      std::string("use a kernel with CONFIG_") + symbol);
}

}  // namespace netns::sock
