// SPDX-License-Identifier: GPL-2.0-or-later
// SOCK, third part: families other than IP, and sockets that are made by other means than socket(2).
#include <sys/mman.h>
#include <sys/syscall.h>

#include <atomic>
#include <set>

#include "fixtures/nic.h"
#include "suites/support/sockets.h"

// The kernel's headers after the C library's: in this order they go together.
#include <linux/if_xdp.h>
#include <linux/io_uring.h>
#include <linux/rxrpc.h>
#include <linux/tipc.h>
#include <linux/vm_sockets.h>

namespace netns {
namespace {

using namespace sock;
using testing::IsEmpty;
using testing::Not;

// Families that know of no namespaces ---------------------------------------------------------------------------------------
struct OldFamily {
  const char* name;
  int domain, type, protocol;
};
const std::vector<OldFamily>& OldFamilies() {
  static const std::vector<OldFamily> families = {
      {"AF_AX25", AF_AX25, SOCK_DGRAM, 0},          {"AF_AX25", AF_AX25, SOCK_SEQPACKET, 0},     {"AF_APPLETALK", AF_APPLETALK, SOCK_DGRAM, 0},
      {"AF_NETROM", AF_NETROM, SOCK_SEQPACKET, 0},  {"AF_ROSE", AF_ROSE, SOCK_SEQPACKET, 0},     {"AF_X25", AF_X25, SOCK_SEQPACKET, 0},
      {"AF_ATMPVC", AF_ATMPVC, SOCK_DGRAM, 0},      {"AF_ATMSVC", AF_ATMSVC, SOCK_DGRAM, 0},     {"AF_LLC", AF_LLC, SOCK_DGRAM, 0},
      {"AF_LLC", AF_LLC, SOCK_STREAM, 0},           {"AF_BLUETOOTH", AF_BLUETOOTH, SOCK_RAW, 1}, {"AF_BLUETOOTH", AF_BLUETOOTH, SOCK_SEQPACKET, 0},
      {"AF_NFC", AF_NFC, SOCK_SEQPACKET, 0},
  };
  return families;
}
// Only where the initial namespace can be asked what the kernel has at all; asking may load modules.
NETNS_TEST(Stack, FamiliesWithoutNamespacesAreRefusedOutsideOfTheInitialOne, Covers("STACK-21"), Needs(Machine())) {
  const auto initial = InitialNetNamespace();
  auto fresh = NetNamespace::Create();
  auto nested = fresh.In([] { return NetNamespace::Create(); });
  std::set<std::string> known;
  for (const OldFamily& family : OldFamilies()) {
    SCOPED_TRACE(testing::Message() << family.name << " type " << family.type);
    const auto open = [&](const NetNamespace& where) { return where.Socket(family.domain, family.type, family.protocol); };
    if (!open(initial).ok()) continue;  // not in this kernel
    known.insert(family.name);
    EXPECT_THAT(open(fresh), FailsWith(EAFNOSUPPORT));
    EXPECT_THAT(open(nested), FailsWith(EAFNOSUPPORT));
    EXPECT_THAT(open(initial), Succeeds()) << "control: there it still works";
  }
  for (auto [domain, type] : {std::pair{AF_UNIX, SOCK_STREAM}, {AF_INET, SOCK_STREAM}, {AF_NETLINK, SOCK_RAW}, {AF_PACKET, SOCK_RAW}})
    EXPECT_THAT(fresh.Socket(domain, type), Succeeds()) << "control: family " << domain;
  if (known.empty()) throw MissingNeed("needs-config:LLC2", "the kernel has none of these families", "use a kernel with CONFIG_LLC2, CONFIG_ATM, CONFIG_X25 or CONFIG_BT");
}

// vsock(7) -----------------------------------------------------------------------------------------------------------------
/// A socket bound to a port of all context ids; port 0: the kernel chooses.
Result<Fd> BoundVsock(const NetNamespace& where, unsigned& port) {
  ASSIGN_OR_RETURN(Fd socket, where.Socket(AF_VSOCK, SOCK_STREAM));
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = VMADDR_CID_ANY;
  address.svm_port = port == 0 ? VMADDR_PORT_ANY : port;
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) return ErrnoError("bind(vsock port " + std::to_string(port) + ")");
  socklen_t size = sizeof address;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) < 0) return ErrnoError("getsockname");
  port = address.svm_port;
  return socket;
}
NETNS_TEST(Stack, VsockPortsAreSharedUnlessLocalModeIsSelected, Covers("STACK-20"), Needs(Config("VSOCKETS"))) {
  const char *mode = "net.vsock.ns_mode", *child_mode = "net.vsock.child_ns_mode";
  auto [here, there] = CreateTwo([](const NetNamespace&) {});
  const auto probe = here.Socket(AF_VSOCK, SOCK_STREAM);
  if (!probe.ok()) RequireBuiltIn(probe.code(), "VSOCKETS");
  if (here.HasSysctl(mode) && SETUP_OK(here.Sysctl(mode)) != "global")
    throw MissingNeed("needs-feature:vsock-global", "this machine makes new namespaces with private vsock ports (net.vsock.child_ns_mode)");
  unsigned port = 0;
  const auto first = BoundVsock(here, port);
  if (!first.ok() && (first.code() == EADDRNOTAVAIL || first.code() == ENODEV)) throw MissingNeed("needs-config:VSOCKETS_LOOPBACK", "no vsock transport to bind on");
  ASSERT_OK(first);
  ASSERT_NE(port, 0U);
  EXPECT_THAT(BoundVsock(here, port), FailsWith(EADDRINUSE)) << "control: twice in one namespace";
  EXPECT_THAT(BoundVsock(there, port), FailsWith(EADDRINUSE)) << "global mode: one space of ports for all namespaces";
  EXPECT_THAT(BoundVsock(NetNamespace::Current(), port), FailsWith(EADDRINUSE)) << "global mode: one space of ports for all namespaces";
  // Who listens is reached from everywhere, whichever side is older.
  for (const NetNamespace* serves : {&here, &there}) {
    unsigned listening = 0;
    ASSERT_OK_AND_ASSIGN(Fd listener, BoundVsock(*serves, listening));
    SETUP_OK(Listen(listener));
    const auto reach = [&, listening](const NetNamespace& from) -> Status {
      ASSIGN_OR_RETURN(Fd socket, from.Socket(AF_VSOCK, SOCK_STREAM));
      sockaddr_vm address{};
      address.svm_family = AF_VSOCK;
      address.svm_cid = 1;  // VMADDR_CID_LOCAL
      address.svm_port = listening;
      if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) return ErrnoError("connect(vsock)");
      return Ok();
    };
    if (const Status own = reach(*serves); !own.ok()) break;  // no loopback transport: nothing to reach by
    EXPECT_THAT(reach(serves == &here ? there : here), Succeeds()) << "global mode: listeners of all namespaces are reached";
    EXPECT_THAT(reach(NetNamespace::Current()), Succeeds()) << "global mode: listeners of all namespaces are reached";
  }
  if (!here.HasSysctl(child_mode)) return;
  // Children of one that asks for local mode have ports of their own.
  auto parent = NetNamespace::Create();
  EXPECT_THAT(parent.Sysctl(child_mode), Holds("global")) << "at birth";
  ASSERT_OK(parent.SetSysctl(child_mode, "local"));
  auto one = parent.In([] { return NetNamespace::Create(); }), two = parent.In([] { return NetNamespace::Create(); });
  for (const NetNamespace* each : {&one, &two}) {
    EXPECT_THAT(each->Sysctl(mode), Holds("local"));
    ASSERT_OK_AND_ASSIGN(Fd own, BoundVsock(*each, port));
    EXPECT_THAT(BoundVsock(*each, port), FailsWith(EADDRINUSE)) << "control: twice in one namespace";
    EXPECT_THAT(each->SetSysctl(child_mode, "global"), FailsWith(EPERM)) << "out of a local one no way leads back";
  }
  EXPECT_THAT(parent.Sysctl(mode), Holds("global")) << "its own mode is unchanged";
  EXPECT_THAT(BoundVsock(parent, port), FailsWith(EADDRINUSE));
  EXPECT_THAT(here.Sysctl(child_mode), Holds("global")) << "written in another namespace";
}

// AF_XDP -------------------------------------------------------------------------------------------------------------------
/// An AF_XDP socket with the memory and the rings that a bind needs.
class XdpSocket {
 public:
  static XdpSocket In(const NetNamespace& where) {
    auto opened = where.Socket(AF_XDP, SOCK_RAW);
    if (!opened.ok()) RequireBuiltIn(opened.code(), "XDP_SOCKETS");
    XdpSocket socket;
    socket.fd_ = SETUP_OK(std::move(opened));
    constexpr std::size_t kChunk = 4096, kChunks = 16;
    socket.memory_ = ::mmap(nullptr, kChunk * kChunks, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (socket.memory_ == MAP_FAILED) throw SetupFailure(ErrnoError("mmap").ToString(), std::source_location::current());
    socket.size_ = kChunk * kChunks;
    xdp_umem_reg memory{};
    memory.addr = reinterpret_cast<std::uint64_t>(socket.memory_);
    memory.len = socket.size_;
    memory.chunk_size = kChunk;
    if (::setsockopt(socket.fd_.get(), SOL_XDP, XDP_UMEM_REG, &memory, sizeof memory) < 0) {
      if (errno == ENOBUFS) throw MissingNeed("needs-limit:MEMLOCK", "RLIMIT_MEMLOCK is too low to register memory with AF_XDP", "raise it, or run as root");
      throw SetupFailure(ErrnoError("setsockopt(XDP_UMEM_REG)").ToString(), std::source_location::current());
    }
    for (int ring : {XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_RX_RING, XDP_TX_RING}) SETUP_OK(SetOption(socket.fd_, SOL_XDP, ring, 16));
    return socket;
  }
  XdpSocket(XdpSocket&& other) noexcept : fd_(std::move(other.fd_)), memory_(std::exchange(other.memory_, nullptr)), size_(other.size_) {}
  ~XdpSocket() {
    fd_.Reset();
    if (memory_ != nullptr) ::munmap(memory_, size_);
  }
  Status Bind(int index) {
    sockaddr_xdp address{};
    address.sxdp_family = AF_XDP;
    address.sxdp_ifindex = static_cast<std::uint32_t>(index);
    address.sxdp_flags = XDP_COPY;
    if (::bind(fd_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) return ErrnoError("bind(sxdp_ifindex " + std::to_string(index) + ")");
    return Ok();
  }

 private:
  XdpSocket() = default;
  Fd fd_;
  void* memory_ = nullptr;
  std::size_t size_ = 0;
};
NETNS_TEST(Sock, XdpSocketsBindOnlyToDevicesOfTheirNamespace, Covers("SOCK-25"), Needs(Config("XDP_SOCKETS"), Config("VETH"))) {
  auto [here, there] = CreateTwoWithLoopback();
  AddDevice(here, "mine", 50);
  AddDevice(here, "also", 70);
  AddDevice(there, "theirs", 60);
  {
    XdpSocket socket = XdpSocket::In(here);
    EXPECT_THAT(socket.Bind(60), FailsWith(ENODEV));
    EXPECT_THAT(socket.Bind(50), Succeeds()) << "control: its own";
  }
  // Wherever the caller is. (Another device: a queue is given back only some time after its socket was closed.)
  Actor away = there.StartActor("away");
  XdpSocket socket = XdpSocket::In(here);
  EXPECT_THAT(away.Run([&] { return socket.Bind(60); }), FailsWith(ENODEV));
  EXPECT_THAT(away.Run([&] { return socket.Bind(70); }), Succeeds()) << "control: its own";
  XdpSocket other = XdpSocket::In(there);
  EXPECT_THAT(other.Bind(50), FailsWith(ENODEV));
  EXPECT_THAT(other.Bind(60), Succeeds()) << "control: its own";
}

// TIPC ---------------------------------------------------------------------------------------------------------------------
NETNS_TEST(Sock, TipcServicesAreOfOneNamespace, Covers("SOCK-27"), Needs(Config("TIPC"))) {
  auto [here, there] = CreateTwoWithLoopback();
  const auto open = [](const NetNamespace& where) {
    auto socket = where.Socket(AF_TIPC, SOCK_RDM);
    if (!socket.ok()) RequireBuiltIn(socket.code(), "TIPC");
    return SETUP_OK(std::move(socket));
  };
  const auto serve = [&](const NetNamespace& where) {
    Fd socket = open(where);
    sockaddr_tipc address{};
    address.family = AF_TIPC;
    address.addrtype = TIPC_ADDR_NAMESEQ;
    address.scope = TIPC_NODE_SCOPE;
    address.addr.nameseq = {18888, 17, 17};
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0)
      throw SetupFailure(ErrnoError("bind(TIPC name)").ToString(), std::source_location::current());
    return socket;
  };
  const auto send = [&](const NetNamespace& where, const char* text) -> Status {
    Fd socket = open(where);
    sockaddr_tipc address{};
    address.family = AF_TIPC;
    address.addrtype = TIPC_ADDR_NAME;
    address.addr.name.name = {18888, 17};
    if (::sendto(socket.get(), text, std::strlen(text), MSG_DONTWAIT, reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) return ErrnoError("sendto(TIPC name)");
    return Ok();
  };
  Fd server = serve(here);
  EXPECT_THAT(send(there, "stray"), FailsWith(EHOSTUNREACH)) << "a service of another namespace";
  EXPECT_THAT(send(here, "own"), Succeeds()) << "control";
  EXPECT_THAT(Receive(server), Holds("own"));
  Fd other = serve(there);
  EXPECT_THAT(send(there, "of there"), Succeeds());
  EXPECT_THAT(send(here, "of here"), Succeeds());
  EXPECT_THAT(Receive(other), Holds("of there"));
  EXPECT_THAT(Receive(server), Holds("of here"));
  EXPECT_THAT(ReceiveNow(server), FailsWith(EAGAIN));
  EXPECT_THAT(ReceiveNow(other), FailsWith(EAGAIN));
}

// RxRPC --------------------------------------------------------------------------------------------------------------------
NETNS_TEST(Sock, RxrpcServicesAreOfOneNamespace, Covers("SOCK-27"), Needs(Config("AF_RXRPC"))) {
  auto [here, there] = CreateTwoWithLoopback();
  const auto serve = [](const NetNamespace& where) -> Result<Fd> {
    auto opened = where.Socket(AF_RXRPC, SOCK_DGRAM, AF_INET);
    if (!opened.ok()) RequireBuiltIn(opened.code(), "AF_RXRPC");
    Fd socket = SETUP_OK(std::move(opened));
    sockaddr_rxrpc address{};
    address.srx_family = AF_RXRPC;
    address.srx_service = 52;
    address.transport_type = SOCK_DGRAM;
    address.transport_len = sizeof address.transport.sin;
    address.transport.sin.sin_family = AF_INET;
    address.transport.sin.sin_port = htons(7052);
    ::inet_pton(AF_INET, "127.0.0.1", &address.transport.sin.sin_addr);
    if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) return ErrnoError("bind(RxRPC service)");
    return socket;
  };
  ASSERT_OK_AND_ASSIGN(Fd first, serve(here));
  EXPECT_THAT(serve(here), FailsWith(EADDRINUSE)) << "control";
  EXPECT_THAT(serve(there), Succeeds());
  EXPECT_THAT(Bound(here, SOCK_DGRAM, SockAddr::Ip("127.0.0.1", 7052)), FailsWith(EADDRINUSE)) << "control: its UDP port";
}

// io_uring -----------------------------------------------------------------------------------------------------------------
/// One request at a time.
class Ring {
 public:
  static Ring Create() {
    Ring ring;
    io_uring_params parameters{};
    ring.fd_ = Fd(static_cast<int>(::syscall(SYS_io_uring_setup, 2, &parameters)));
    if (ring.fd_.get() < 0) {
      if (errno == ENOSYS) throw MissingNeed("needs-config:IO_URING", "the kernel has no io_uring", "use a kernel with CONFIG_IO_URING");
      if (errno == EPERM) throw MissingNeed("needs-sysctl:io_uring_disabled", "io_uring is forbidden here", "sysctl kernel.io_uring_disabled=0");
      throw SetupFailure(ErrnoError("io_uring_setup").ToString(), std::source_location::current());
    }
    const auto map = [&](std::size_t size, off_t offset) {
      void* at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd_.get(), offset);
      if (at == MAP_FAILED) throw SetupFailure(ErrnoError("mmap of a ring").ToString(), std::source_location::current());
      return static_cast<char*>(at);  // until the end of the test
    };
    char* submissions = map(parameters.sq_off.array + parameters.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
    char* completions = map(parameters.cq_off.cqes + parameters.cq_entries * sizeof(io_uring_cqe), IORING_OFF_CQ_RING);
    ring.entries_ = reinterpret_cast<io_uring_sqe*>(map(parameters.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES));
    ring.tail_ = reinterpret_cast<unsigned*>(submissions + parameters.sq_off.tail);
    ring.mask_ = *reinterpret_cast<unsigned*>(submissions + parameters.sq_off.ring_mask);
    ring.array_ = reinterpret_cast<unsigned*>(submissions + parameters.sq_off.array);
    ring.done_head_ = reinterpret_cast<unsigned*>(completions + parameters.cq_off.head);
    ring.done_mask_ = *reinterpret_cast<unsigned*>(completions + parameters.cq_off.ring_mask);
    ring.done_ = reinterpret_cast<io_uring_cqe*>(completions + parameters.cq_off.cqes);
    return ring;
  }
  /// Submits the request in the calling process and waits for its outcome: what the call returns, or -errno.
  int Run(const io_uring_sqe& request) {
    const unsigned tail = *tail_;
    entries_[tail & mask_] = request;
    array_[tail & mask_] = tail & mask_;
    std::atomic_ref(*tail_).store(tail + 1, std::memory_order_release);
    if (::syscall(SYS_io_uring_enter, fd_.get(), 1, 1, IORING_ENTER_GETEVENTS, nullptr, 0) < 0)
      throw SetupFailure(ErrnoError("io_uring_enter").ToString(), std::source_location::current());
    const unsigned head = *done_head_;
    const int result = done_[head & done_mask_].res;
    std::atomic_ref(*done_head_).store(head + 1, std::memory_order_release);
    return result;
  }

 private:
  Fd fd_;
  io_uring_sqe* entries_ = nullptr;
  unsigned *tail_ = nullptr, *array_ = nullptr, *done_head_ = nullptr;
  unsigned mask_ = 0, done_mask_ = 0;
  io_uring_cqe* done_ = nullptr;
};
NETNS_TEST(Sock, SocketsOfIoUringAreOfTheSubmittersNamespace, Covers("SOCK-28")) {
  constexpr std::uint8_t kOpSocket = 45;  // IORING_OP_SOCKET, since Linux 5.19
  auto [here, there] = CreateTwoWithLoopback();
  Ring ring = Ring::Create();
  Actor in_here = here.StartActor("here"), in_there = there.StartActor("there");
  const auto open = [&](int domain, int type) {
    io_uring_sqe request{};
    request.opcode = kOpSocket;
    request.fd = domain;
    request.off = static_cast<std::uint64_t>(type);
    return ring.Run(request);
  };
  if (const int probe = open(AF_INET, SOCK_STREAM); probe == -EINVAL)
    throw MissingNeed("needs-feature:IORING_OP_SOCKET", "io_uring of this kernel makes no sockets (since Linux 5.19)", "use a newer kernel", LinuxVersion{5, 19});
  // Alternately, with one ring: it is the submitter that counts, not the ring's creator.
  for (int round = 0; round < 2; ++round) {
    for (auto [domain, type] : {std::pair{AF_INET, SOCK_STREAM}, {AF_INET, SOCK_DGRAM}, {AF_UNIX, SOCK_STREAM}, {AF_NETLINK, SOCK_RAW}}) {
      SCOPED_TRACE(testing::Message() << "family " << domain << " type " << type);
      for (auto [actor, own, other] : {std::tuple{&in_here, &here, &there}, {&in_there, &there, &here}}) {
        const int fd = actor->Run([&] { return open(domain, type); });
        ASSERT_GE(fd, 0) << ErrnoName(-fd);
        const Fd socket(fd);
        const auto of = NamespaceOf(socket);
        ASSERT_OK(of);
        EXPECT_TRUE(of->Is(*own));
        EXPECT_FALSE(of->Is(*other)) << "control";
      }
    }
  }
  // Connections over io_uring go where the socket is, whoever submits.
  const SockAddr address = SockAddr::Ip("127.0.0.1", 8080);
  Fd listener = SETUP_OK(Listener(here, address));
  for (auto [where, expected] : {std::pair{&here, 0}, {&there, -ECONNREFUSED}}) {
    Fd socket = SETUP_OK(where->Socket(AF_INET, SOCK_STREAM));
    io_uring_sqe request{};
    request.opcode = IORING_OP_CONNECT;
    request.fd = socket.get();
    request.addr = reinterpret_cast<std::uint64_t>(address.get());
    request.off = address.size();
    EXPECT_EQ(in_there.Run([&] { return ring.Run(request); }), expected);
  }
}

}  // namespace
}  // namespace netns
