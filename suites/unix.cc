// SPDX-License-Identifier: GPL-2.0-or-later
// UNIX: the abstract socket namespace is one per network namespace; socket files are not.
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <map>
#include <regex>
#include <set>

#include "fixtures/nic.h"
#include "fixtures/user_namespace.h"
#include "suites/support/sockets.h"

namespace netns {
namespace {

using namespace sock;
using testing::HasSubstr;
using testing::Not;

struct Type {
  const char* name;
  int type;
};
constexpr Type kTypes[] = {{"Stream", SOCK_STREAM}, {"Datagram", SOCK_DGRAM}, {"Seqpacket", SOCK_SEQPACKET}};

/// Names that might be mixed up: short, long, with zero bytes inside, and as autobind makes them.
std::vector<SockAddr> Names() {
  return {SockAddr::Abstract("x"), SockAddr::Abstract(std::string_view("x\0y", 3)), SockAddr::Abstract("00000"),
          SockAddr::Abstract(std::string(100, 'n')), SockAddr::Abstract("/tmp/x")};
}

/// socket, bind, and listen where the type knows it.
Result<Fd> Serve(const NetNamespace& where, int type, const SockAddr& name) {
  ASSIGN_OR_RETURN(Fd socket, where.Socket(AF_UNIX, type));
  RETURN_IF_ERROR(Bind(socket, name));
  if (type != SOCK_DGRAM) RETURN_IF_ERROR(Listen(socket));
  return socket;
}

/// Reaches the server of a name, and gives what arrived there: which server it was.
Result<std::string> Reach(const NetNamespace& from, int type, const SockAddr& name, const Fd& server, const std::string& text) {
  ASSIGN_OR_RETURN(Fd client, Connected(from, type, name));
  RETURN_IF_ERROR(Send(client, text));
  if (type == SOCK_DGRAM) return ReceiveNow(server);
  ASSIGN_OR_RETURN(Fd accepted, Accept(server));
  return Receive(accepted);
}

// network_namespaces(7): "the UNIX domain abstract socket namespace" is isolated.
void NameIsTakenOnlyInItsOwnNamespace(int type) {
  std::vector<NetNamespace> all;
  for (int i = 0; i < 5; ++i) all.push_back(NetNamespace::Create());
  all.push_back(all[0].In([] { return NetNamespace::Create(); }));
  for (const SockAddr& name : Names()) {
    SCOPED_TRACE(name.ToString());
    std::vector<Fd> servers;
    for (const NetNamespace& each : all) {
      ASSERT_OK_AND_ASSIGN(Fd server, Serve(each, type, name));
      servers.push_back(std::move(server));
    }
    for (const NetNamespace& each : all)
      EXPECT_THAT(Serve(each, type, name), FailsWith(EADDRINUSE)) << "control: taken inside of one namespace";
    servers[1].Reset();
    EXPECT_THAT(Serve(all[1], type, name), Succeeds()) << "given up here";
    EXPECT_THAT(Serve(all[0], type, name), FailsWith(EADDRINUSE)) << "given up elsewhere only";
    EXPECT_THAT(Serve(all[2], type, name), FailsWith(EADDRINUSE)) << "given up elsewhere only";
  }
}

void NameIsUnreachableFromElsewhere(int type) {
  auto elder = NetNamespace::Create(), here = NetNamespace::Create(), there = NetNamespace::Create(), creator = NetNamespace::Current();
  auto nested = here.In([] { return NetNamespace::Create(); });
  Actor root = StartElsewhere("root");
  auto of_another_user = SETUP_OK(NetNamespace::OfPid(root.pid()));
  for (const SockAddr& name : Names()) {
    SCOPED_TRACE(name.ToString());
    ASSERT_OK_AND_ASSIGN(Fd server, Serve(here, type, name));
    for (const NetNamespace* other : {&there, &nested, &elder, &creator, &of_another_user}) {
      EXPECT_THAT(TryConnect(*other, name, type), FailsWith(ECONNREFUSED));
      if (type == SOCK_DGRAM) {
        ASSERT_OK_AND_ASSIGN(Fd sender, other->Socket(AF_UNIX, type));
        EXPECT_THAT(SendTo(sender, "stray", name), FailsWith(ECONNREFUSED));
        ASSERT_OK_AND_ASSIGN(Fd own_sender, here.Socket(AF_UNIX, type));
        EXPECT_THAT(SendTo(own_sender, "own", name), Succeeds()) << "control";
        EXPECT_THAT(ReceiveNow(server), Holds("own"));
      }
    }
    EXPECT_FALSE(Readable(server)) << "something came from another namespace";
    EXPECT_THAT(Reach(here, type, name, server, "own"), Holds("own")) << "control: inside it is reached";
  }
}

void EqualNamesLeadToTheirOwnServers(int type) {
  auto here = NetNamespace::Create(), there = NetNamespace::Create();
  for (const SockAddr& name : Names()) {
    SCOPED_TRACE(name.ToString());
    ASSERT_OK_AND_ASSIGN(Fd server_there, Serve(there, type, name));
    ASSERT_OK_AND_ASSIGN(Fd server_here, Serve(here, type, name));
    for (int round = 0; round < 2; ++round) {
      EXPECT_THAT(Reach(here, type, name, server_here, "here"), Holds("here"));
      EXPECT_THAT(Reach(there, type, name, server_there, "there"), Holds("there"));
      EXPECT_FALSE(Readable(server_here));
      EXPECT_FALSE(Readable(server_there));
    }
    server_there.Reset();
    EXPECT_THAT(TryConnect(there, name, type), FailsWith(ECONNREFUSED)) << "control: closed";
    EXPECT_THAT(Reach(here, type, name, server_here, "here"), Holds("here"));
    server_here.Reset();
    EXPECT_THAT(TryConnect(here, name, type), FailsWith(ECONNREFUSED)) << "control: closed";
  }
}

// The socket's namespace decides, not that of the process that calls bind or connect.
void NamespaceOfTheSocketDecides(int type) {
  auto here = NetNamespace::Create(), there = NetNamespace::Create();
  const SockAddr name = SockAddr::Abstract("home"), second = SockAddr::Abstract("late");
  ASSERT_OK_AND_ASSIGN(Fd server, Serve(here, type, name));
  Actor traveller = here.StartActor("traveller");
  Fd carried = SETUP_OK(here.Socket(AF_UNIX, type)), binder = SETUP_OK(here.Socket(AF_UNIX, type));
  SETUP_OK(traveller.Enter(there.fd(), CLONE_NEWNET));
  EXPECT_THAT(traveller.Run([&] { return Connect(carried, name); }), Succeeds());
  EXPECT_THAT(traveller.Run([&]() -> Status {
    Fd fresh(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    if (!fresh.valid()) return ErrnoError("socket");
    return Connect(fresh, name);
  }), FailsWith(ECONNREFUSED)) << "control: a socket that is made there";
  EXPECT_THAT(traveller.Run([&] { return Bind(binder, name); }), FailsWith(EADDRINUSE)) << "taken at home";
  EXPECT_THAT(traveller.Run([&] { return Bind(binder, second); }), Succeeds());
  EXPECT_THAT(Serve(here, type, second), FailsWith(EADDRINUSE)) << "bound at home";
  EXPECT_THAT(Serve(there, type, second), Succeeds()) << "and not there";
}

// unix(7): autobind. Names are unique in one namespace, and taken in that one only.
void AutobindIsPerNamespace(int type) {
  auto here = NetNamespace::Create(), there = NetNamespace::Create();
  const auto autobind = [&](const NetNamespace& where, Fd* socket) -> Result<SockAddr> {
    ASSIGN_OR_RETURN(*socket, where.Socket(AF_UNIX, type));
    sa_family_t family = AF_UNIX;
    if (::bind(socket->get(), reinterpret_cast<const sockaddr*>(&family), sizeof family) < 0) return ErrnoError("bind (autobind)");
    return SockAddr::Of(*socket);
  };
  std::vector<Fd> sockets;
  std::set<std::string> names;
  for (int i = 0; i < 200; ++i) {
    Fd socket;
    ASSERT_OK_AND_ASSIGN(SockAddr name, autobind(here, &socket));
    EXPECT_THAT(name.name(), testing::ResultOf([](const std::string& text) {
      return std::regex_match(text.substr(1), std::regex("[0-9a-f]{5}")) && text[0] == '\0';
    }, true)) << name.ToString();
    EXPECT_TRUE(names.insert(name.name()).second) << name.ToString() << " was given twice";
    EXPECT_THAT(Serve(here, type, name), FailsWith(EADDRINUSE)) << "control: taken in its own namespace";
    EXPECT_THAT(Serve(there, type, name), Succeeds()) << "free in another one";
    if (type == SOCK_DGRAM) {
      EXPECT_THAT(TryConnect(there, name, type), FailsWith(ECONNREFUSED));
      EXPECT_THAT(TryConnect(here, name, type), Succeeds()) << "control";
    }
    sockets.push_back(std::move(socket));
  }
}

const bool type_tests = [] {
  for (const Type& type : kTypes) {
    const std::string name = type.name;
    const auto add = [&](const char* what, void (*body)(int), Covers covers) {
      RegisterBody("Unix", name + what, __FILE__, __LINE__, [body, type] { body(type.type); }, covers, Needs(Config("UNIX")));
    };
    add("NameIsTakenOnlyInItsOwnNamespace", NameIsTakenOnlyInItsOwnNamespace, Covers("UNIX-01", "UNIX-12"));
    add("NameIsUnreachableFromElsewhere", NameIsUnreachableFromElsewhere, Covers("UNIX-02"));
    add("EqualNamesLeadToTheirOwnServers", EqualNamesLeadToTheirOwnServers, Covers("UNIX-03"));
    add("NamespaceOfTheSocketDecides", NamespaceOfTheSocketDecides, Covers("UNIX-04"));
    add("AutobindIsPerNamespace", AutobindIsPerNamespace, Covers("UNIX-07"));
  }
  return true;
}();

NETNS_TEST(Unix, NamesOfDifferentTypesCoexistInOneNamespace, Covers("UNIX-12"), Needs(Config("UNIX"))) {
  auto here = NetNamespace::Create(), there = NetNamespace::Create();
  const SockAddr name = SockAddr::Abstract("x");
  std::vector<Fd> servers;
  for (const Type& type : kTypes) {
    SCOPED_TRACE(type.name);
    ASSERT_OK_AND_ASSIGN(Fd server, Serve(here, type.type, name));
    servers.push_back(std::move(server));
    EXPECT_THAT(Serve(here, type.type, name), FailsWith(EADDRINUSE)) << "control: the same type again";
    // The type alone must not lead into another namespace either.
    for (const Type& other : kTypes) EXPECT_THAT(TryConnect(there, name, other.type), FailsWith(ECONNREFUSED)) << other.name;
  }
  for (std::size_t i = 0; i < std::size(kTypes); ++i)
    EXPECT_THAT(Reach(here, kTypes[i].type, name, servers[i], kTypes[i].name), Holds(kTypes[i].name));
}

// Nor is a name of the initial namespace one of another, or the other way round.
NETNS_TEST(Unix, NamesOfTheInitialNamespaceAreItsOwn, Covers("UNIX-01", "UNIX-12"), Needs(Machine(), Config("UNIX")), Exclusive{}) {
  const auto initial = InitialNetNamespace();
  auto fresh = NetNamespace::Create();
  const SockAddr name = SockAddr::Abstract("nscon-initial");
  for (const Type& type : kTypes) {
    for (bool of_the_initial : {true, false}) {
      SCOPED_TRACE(std::string(type.name) + (of_the_initial ? " of the initial namespace" : " of another namespace"));
      const NetNamespace &owner = of_the_initial ? initial : fresh, &other = of_the_initial ? fresh : initial;
      ASSERT_OK_AND_ASSIGN(Fd server, Serve(owner, type.type, name));
      EXPECT_THAT(TryConnect(other, name, type.type), FailsWith(ECONNREFUSED)) << "unix(7): an abstract name of another namespace";
      ASSERT_OK_AND_ASSIGN(Fd equal, Serve(other, type.type, name));  // unix(7): taken in another namespace
      EXPECT_THAT(Reach(owner, type.type, name, server, "of the owner"), Holds("of the owner")) << "control";
      EXPECT_THAT(Reach(other, type.type, name, equal, "of the other"), Holds("of the other"));
      EXPECT_FALSE(Readable(server)) << "something came from another namespace";
    }
  }
}

// Only abstract names are isolated: a socket file is found by its inode, wherever the caller's network is.
NETNS_TEST(Unix, PathnameSocketsAreNotIsolated, Covers("UNIX-05"), Needs(Config("UNIX"))) {
  auto here = NetNamespace::Create(), there = NetNamespace::Create();
  for (const Type& type : kTypes) {
    SCOPED_TRACE(type.name);
    const std::string text = std::string("/tmp/socket-") + type.name;
    const SockAddr path = SockAddr::Path(text);
    ASSERT_OK_AND_ASSIGN(Fd server, Serve(here, type.type, path));
    EXPECT_THAT(Serve(there, type.type, path), FailsWith(EADDRINUSE)) << "the file exists";
    EXPECT_THAT(Reach(here, type.type, path, server, "near"), Holds("near"));
    EXPECT_THAT(Reach(there, type.type, path, server, "far"), Holds("far"));
    EXPECT_THAT(TryConnect(there, SockAddr::Abstract(text), type.type), FailsWith(ECONNREFUSED)) << "control: no abstract name";
    // From the older namespace to a server of the younger one, and from one that was made inside.
    const SockAddr younger = SockAddr::Path(text + "-younger");
    ASSERT_OK_AND_ASSIGN(Fd other_server, Serve(there, type.type, younger));
    EXPECT_THAT(Reach(here, type.type, younger, other_server, "far"), Holds("far"));
    EXPECT_THAT(Reach(there.In([] { return NetNamespace::Create(); }), type.type, younger, other_server, "inside"), Holds("inside"));
    if (type.type == SOCK_DGRAM) {
      for (const NetNamespace* from : {&here, &there}) {
        EXPECT_THAT(SendTo(SETUP_OK(from->Socket(AF_UNIX, SOCK_DGRAM)), "by name", path), Succeeds());
        EXPECT_THAT(ReceiveNow(server), Holds("by name"));
      }
    }
    // A descriptor passes too, and stays what it is.
    Fd parcel = SETUP_OK(here.Socket(AF_INET, SOCK_DGRAM));
    ASSERT_OK_AND_ASSIGN(Fd client, Connected(there, type.type, path));
    if (type.type == SOCK_DGRAM) {
      ASSERT_OK(SendFd(client.get(), parcel.get()));
      ASSERT_OK_AND_ASSIGN(Fd received, ReceiveFd(server.get()));
      EXPECT_TRUE(SETUP_OK(NamespaceOf(received)).Is(here));
    } else {
      ASSERT_OK_AND_ASSIGN(Fd accepted, Accept(server));
      // (Whose namespace `accepted` has is nowhere documented: Linux gives it that of the client.)
      ASSERT_OK(SendFd(client.get(), parcel.get()));
      ASSERT_OK_AND_ASSIGN(Fd received, ReceiveFd(accepted.get()));
      EXPECT_TRUE(SETUP_OK(NamespaceOf(received)).Is(here));
      // And back.
      ASSERT_OK(SendFd(accepted.get(), received.get()));
      ASSERT_OK_AND_ASSIGN(Fd returned, ReceiveFd(client.get()));
      EXPECT_TRUE(SETUP_OK(NamespaceOf(returned)).Is(here));
    }
  }
}

/// How two sockets have come together.
enum class Meeting { kPair, kAbstract, kPathname };

/// What two connected sockets are for, the one used by `user`, the other by the test itself. The first refusal is the last
/// request: nobody waits for what was not sent.
void Exchange(Actor& user, const Fd& theirs, const Fd& ours, bool both_ways) {
  const auto there = [&](auto request) { return user.Run(request); };
  ASSERT_OK(there([&] { return Send(theirs, "ping"); })) << "send(2)";
  int waiting = 0;
  EXPECT_EQ(::ioctl(ours.get(), SIOCINQ, &waiting), 0) << ErrnoName(errno);
  EXPECT_EQ(waiting, 4) << "unix(7), SIOCINQ";
  ASSERT_THAT(Receive(ours), Holds("ping"));
  ASSERT_OK(there([&]() -> Status { return ::write(theirs.get(), "line", 4) == 4 ? Ok() : Status(ErrnoError("write")); })) << "write(2)";
  ASSERT_THAT(Receive(ours), Holds("line"));
  ASSERT_OK(there([&] { return SendFd(theirs.get(), theirs.get()); })) << "unix(7), SCM_RIGHTS";
  ASSERT_THAT(ReceiveFd(ours.get()), Succeeds());
  EXPECT_THAT(there([&] { return SockAddr::OfPeer(theirs); }), Succeeds());
  if (!both_ways) return;
  ASSERT_OK(Send(ours, "pong")) << "the answer";
  ASSERT_THAT(there([&] { return Receive(theirs); }), Holds("pong"));
  ASSERT_OK(SendFd(ours.get(), ours.get())) << "unix(7), SCM_RIGHTS of the answer";
  ASSERT_THAT(there([&] { return ReceiveFd(theirs.get()); }), Succeeds());
}

// A connection is one of two sockets: where their owners are, when they use it, is of no importance.
void ConnectedSocketsOutliveMoves(int type, Meeting meeting) {
  auto here = NetNamespace::Create(), there = NetNamespace::Create();
  const SockAddr name = meeting == Meeting::kPathname ? SockAddr::Path("/tmp/meeting") : SockAddr::Abstract("meeting");
  Actor mover = here.StartActor("mover");
  const auto connect = [&] {
    return mover.Run([&]() -> Result<Fd> {
      Fd fd(::socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
      RETURN_IF_ERROR(Connect(fd, name));
      return fd;
    });
  };
  Fd server, theirs, ours;
  if (meeting == Meeting::kPair) {
    auto pair = SETUP_OK(mover.Run([&] { return SocketPair(type); }));
    theirs = std::move(pair.first), ours = std::move(pair.second);
  } else {
    server = SETUP_OK(Serve(here, type, name));
    theirs = SETUP_OK(connect());
    // A connected datagram socket keeps its peer, which it looked up once.
    if (type == SOCK_DGRAM)
      ours = std::move(server);
    else
      ours = SETUP_OK(Accept(server));
  }
  const struct { const char* where; std::function<Status()> go; } steps[] = {{"at home", [] { return Ok(); }},
                                                                            {"after setns(2)", [&] { return mover.Enter(there.fd(), CLONE_NEWNET); }},
                                                                            {"after unshare(2)", [&] { return mover.Unshare(CLONE_NEWNET); }},
                                                                            {"at home again", [&] { return mover.Enter(here.fd(), CLONE_NEWNET); }},
                                                                            {"elsewhere again", [&] { return mover.Enter(there.fd(), CLONE_NEWNET); }}};
  for (const auto& step : steps) {
    SCOPED_TRACE(step.where);
    SETUP_OK(step.go());
    ASSERT_NO_FATAL_FAILURE(Exchange(mover, theirs, ours, meeting == Meeting::kPair || type != SOCK_DGRAM));
  }
  if (meeting == Meeting::kAbstract) {
    EXPECT_THAT(connect(), FailsWith(ECONNREFUSED)) << "control: a new connection";
  }
  if (type == SOCK_DGRAM) return;
  EXPECT_OK(mover.Run([&]() -> Status { return ::shutdown(theirs.get(), SHUT_WR) == 0 ? Ok() : Status(ErrnoError("shutdown")); }));
  EXPECT_THAT(Receive(ours), Holds("")) << "shutdown(2): the end";
}
[[maybe_unused]] const bool moves = [] {
  for (const Type& type : kTypes)
    for (auto [meeting, text] : {std::pair(Meeting::kPair, "Pair"), {Meeting::kAbstract, "ByAbstractName"}, {Meeting::kPathname, "ByPathname"}})
      RegisterBody("Unix", std::string("ConnectedSocketsOutliveMovesOfTheirOwners/") + type.name + text, __FILE__, __LINE__,
                   [type = type.type, meeting = meeting] { ConnectedSocketsOutliveMoves(type, meeting); }, Covers("UNIX-06", "SOCK-14"), Needs(Config("UNIX")));
  return true;
}();

/// Lines of /proc/net/unix that name something.
Result<std::vector<std::string>> Listed(const NetNamespace& where, const std::string& name) {
  ASSIGN_OR_RETURN(std::string text, where.ReadProcNet("unix"));
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);)
    if (line.ends_with(" " + name)) lines.push_back(line);
  return lines;
}
std::size_t LineCount(const NetNamespace& where) {
  const std::string text = SETUP_OK(where.ReadProcNet("unix"));
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) - 1;
}

NETNS_TEST(Unix, ProcListsOnlySocketsOfTheNamespace, Covers("UNIX-08"), Needs(Config("UNIX"))) {
  auto here = NetNamespace::Create(), there = NetNamespace::Create();
  EXPECT_EQ(LineCount(here), 0U) << "a new namespace has no sockets";
  std::vector<Fd> sockets;
  for (const Type& type : kTypes) {
    SCOPED_TRACE(type.name);
    const std::string text = std::string("name-") + type.name, path = "/tmp/path-" + std::string(type.name);
    sockets.push_back(SETUP_OK(Serve(here, type.type, SockAddr::Abstract(text))));
    sockets.push_back(SETUP_OK(Serve(here, type.type, SockAddr::Path(path))));
    sockets.push_back(SETUP_OK(here.Socket(AF_UNIX, type.type)));  // without a name
    EXPECT_THAT(Listed(here, "@" + text), Holds(testing::SizeIs(1)));
    EXPECT_THAT(Listed(here, path), Holds(testing::SizeIs(1)));
    EXPECT_EQ(LineCount(here), sockets.size()) << SETUP_OK(here.ReadProcNet("unix"));
    EXPECT_EQ(LineCount(there), 0U) << "of another namespace:\n" << SETUP_OK(there.ReadProcNet("unix"));
  }
  // The same names there: each list has one.
  Fd same = SETUP_OK(Serve(there, SOCK_STREAM, SockAddr::Abstract("name-Stream")));
  EXPECT_THAT(Listed(there, "@name-Stream"), Holds(testing::SizeIs(1)));
  EXPECT_THAT(Listed(here, "@name-Stream"), Holds(testing::SizeIs(1)));
  EXPECT_EQ(LineCount(there), 1U);
  sockets.clear();
  EXPECT_EVENTUALLY("the list to be empty", [&] { return LineCount(here) == 0; });
  EXPECT_EQ(LineCount(there), 1U) << "closed elsewhere";
}

/// The inodes (socket numbers) that UNIX_DIAG lists.
Result<std::vector<std::uint32_t>> DiagInodes(const NetNamespace& where) {
  ASSIGN_OR_RETURN(Fd fd, where.Socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG));
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Adopt(std::move(fd)));
  unix_diag_req request{};
  request.sdiag_family = AF_UNIX;
  request.udiag_states = ~0U;
  request.udiag_show = UDIAG_SHOW_NAME;
  ASSIGN_OR_RETURN(auto messages, socket.Dump(Request(SOCK_DIAG_BY_FAMILY).Header(request).Named("dump unix sockets")));
  std::vector<std::uint32_t> inodes;
  for (const Message& message : messages) inodes.push_back(message.Header<unix_diag_msg>().udiag_ino);
  return inodes;
}
Result<std::uint32_t> DiagLookup(const NetNamespace& where, std::uint32_t inode) {
  ASSIGN_OR_RETURN(Fd fd, where.Socket(AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG));
  ASSIGN_OR_RETURN(NetlinkSocket socket, NetlinkSocket::Adopt(std::move(fd)));
  unix_diag_req request{};
  request.sdiag_family = AF_UNIX;
  request.udiag_ino = inode;
  request.udiag_show = UDIAG_SHOW_NAME;
  request.udiag_cookie[0] = request.udiag_cookie[1] = ~0U;  // INET_DIAG_NOCOOKIE
  ASSIGN_OR_RETURN(Message message, socket.Get(Request(SOCK_DIAG_BY_FAMILY).Header(request).Named("look up a unix socket")));
  return message.Header<unix_diag_msg>().udiag_ino;
}
std::uint32_t InodeOf(const Fd& socket) {
  struct stat info{};
  if (::fstat(socket.get(), &info) < 0) throw SetupFailure("fstat of a socket", std::source_location::current());
  return static_cast<std::uint32_t>(info.st_ino);
}

NETNS_TEST(Unix, DiagListsAndFindsOnlySocketsOfTheNamespace, Covers("UNIX-09", "SOCK-20"), Needs(Config("UNIX_DIAG"))) {
  auto here = NetNamespace::Create(), there = NetNamespace::Create();
  std::vector<Fd> sockets;
  std::vector<std::uint32_t> inodes;
  for (const Type& type : kTypes)
    for (const SockAddr& name : {SockAddr::Abstract("diag"), SockAddr::Path(std::string("/tmp/diag-") + type.name)}) {
      sockets.push_back(SETUP_OK(Serve(here, type.type, name)));
      inodes.push_back(InodeOf(sockets.back()));
    }
  const auto dump = DiagInodes(here);
  if (!dump.ok() && dump.code() == ENOENT) throw MissingNeed("needs-config:UNIX_DIAG", "no sock_diag handler for unix sockets");
  EXPECT_THAT(dump, Holds(testing::UnorderedElementsAreArray(inodes)));
  EXPECT_THAT(DiagInodes(there), Holds(testing::IsEmpty()));
  Fd own = SETUP_OK(Serve(there, SOCK_STREAM, SockAddr::Abstract("diag")));
  EXPECT_THAT(DiagInodes(there), Holds(testing::ElementsAre(InodeOf(own))));
  for (std::uint32_t inode : inodes) {
    EXPECT_THAT(DiagLookup(here, inode), Holds(inode)) << "control";
    EXPECT_THAT(DiagLookup(there, inode), FailsWith(ENOENT));
  }
  EXPECT_THAT(DiagLookup(here, InodeOf(own)), FailsWith(ENOENT));
}

/// How many datagrams an unread socket of a namespace takes.
int QueueLength(const NetNamespace& where) {
  const SockAddr name = SockAddr::Abstract("queue");
  Fd server = SETUP_OK(Serve(where, SOCK_DGRAM, name));
  Fd client = SETUP_OK(where.Socket(AF_UNIX, SOCK_DGRAM));
  int sent = 0;
  for (; sent < 2000; ++sent) {
    auto status = SendTo(client, "x", name);
    if (status.ok()) continue;
    if (status.code() == EAGAIN) break;
    SETUP_OK(std::move(status));
  }
  return sent;
}

NETNS_TEST(Unix, DatagramQueueLengthIsPerNamespace, Covers("UNIX-10"), Needs(Config("UNIX"))) {
  const char* name = "net.unix.max_dgram_qlen";
  auto here = NetNamespace::Create(), there = NetNamespace::Create();
  const std::string birth = SETUP_OK(there.Sysctl(name));
  EXPECT_THAT(here.Sysctl(name), Holds(birth));
  const int usual = QueueLength(there);
  EXPECT_EQ(QueueLength(here), usual);
  ASSERT_OK(here.SetSysctl(name, "1"));
  const int shorter = QueueLength(here);
  EXPECT_LT(shorter, usual);
  EXPECT_GE(shorter, 1);
  EXPECT_THAT(there.Sysctl(name), Holds(birth));
  EXPECT_EQ(QueueLength(there), usual);
  auto born = here.In([] { return NetNamespace::Create(); });
  EXPECT_THAT(born.Sysctl(name), Holds(birth)) << "the default, not the creator's value";
  EXPECT_EQ(QueueLength(born), usual);
  ASSERT_OK(there.SetSysctl(name, "50"));
  EXPECT_THAT(here.Sysctl(name), Holds("1"));
  EXPECT_GT(QueueLength(there), shorter);
  EXPECT_EQ(QueueLength(here), shorter);
}

NETNS_TEST(Unix, NamesOfAFreedNamespaceAreNotMissedElsewhere, Covers("UNIX-11"), Needs(Config("UNIX"))) {
  auto there = NetNamespace::Create();
  const SockAddr name = SockAddr::Abstract("mortal");
  for (const Type& type : kTypes) {
    FreedOracle oracle;
    SCOPED_TRACE(type.name);
    ASSERT_OK_AND_ASSIGN(Fd server, Serve(there, type.type, name));
    {
      NetNamespace mortal = oracle.Create();
      ASSERT_OK_AND_ASSIGN(Fd dying, Serve(mortal, type.type, name));
      EXPECT_THAT(Serve(mortal, type.type, name), FailsWith(EADDRINUSE)) << "control";
      // The last socket gone, its name is free at once.
      dying.Reset();
      EXPECT_THAT(TryConnect(mortal, name, type.type), FailsWith(ECONNREFUSED));
      ASSERT_OK_AND_ASSIGN(Fd again, Serve(mortal, type.type, name));
    }
    ASSERT_OK(oracle.WaitUntilFreed());
    EXPECT_THAT(Reach(there, type.type, name, server, "alive"), Holds("alive"));
    EXPECT_THAT(Serve(there, type.type, name), FailsWith(EADDRINUSE)) << "still taken";
    server.Reset();
    EXPECT_THAT(TryConnect(there, name, type.type), FailsWith(ECONNREFUSED)) << "control: closed";
  }
}

/// SO_PEERCRED.
Result<ucred> PeerOf(const Fd& socket) {
  ucred credentials{};
  socklen_t size = sizeof credentials;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0) return ErrnoError("getsockopt(SO_PEERCRED)");
  return credentials;
}
/// A byte, and the SCM_CREDENTIALS that come with it.
Result<ucred> ReceiveCredentials(const Fd& socket) {
  RETURN_IF_ERROR(WaitFor(socket.get(), POLLIN, Deadline::OfTest(), "credentials"));
  char byte = 0;
  iovec iov{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(ucred))] = {};
  msghdr msg{};
  msg.msg_iov = &iov;
  msg.msg_iovlen = 1;
  msg.msg_control = control;
  msg.msg_controllen = sizeof control;
  if (::recvmsg(socket.get(), &msg, 0) < 0) return ErrnoError("recvmsg");
  const cmsghdr* header = CMSG_FIRSTHDR(&msg);
  if (header == nullptr || header->cmsg_type != SCM_CREDENTIALS) return Error{ENOMSG, "no SCM_CREDENTIALS came"};
  ucred credentials{};
  std::memcpy(&credentials, CMSG_DATA(header), sizeof credentials);
  return credentials;
}

// unix(7): SCM_CREDENTIALS, of each type of socket and without a connection where there is none.
NETNS_TEST(Unix, CredentialsComeWithMessagesFromAnotherNamespace, Covers("UNIX-13"), Needs(Config("UNIX"))) {
  auto here = NetNamespace::Create(), there = NetNamespace::Create();
  for (const Type& type : kTypes) {
    const SockAddr path = SockAddr::Path(std::string("/tmp/whose-") + type.name);
    ASSERT_OK_AND_ASSIGN(Fd server, Serve(here, type.type, path));
    SETUP_OK(SetOption(server, SOL_SOCKET, SO_PASSCRED, 1));
    for (const NetNamespace* from : {&here, &there}) {
      SCOPED_TRACE(std::string(type.name) + (from == &here ? ", control: from the same namespace" : ", from another namespace"));
      ASSERT_OK_AND_ASSIGN(Fd client, Connected(*from, type.type, path));
      Fd reader;
      if (type.type != SOCK_DGRAM) {
        reader = SETUP_OK(Accept(server));
        SETUP_OK(SetOption(reader, SOL_SOCKET, SO_PASSCRED, 1));
      }
      ASSERT_OK(Send(client, "x"));
      auto message = ReceiveCredentials(type.type == SOCK_DGRAM ? server : reader);
      ASSERT_OK(message);
      EXPECT_EQ(message->uid, ::geteuid());
      EXPECT_EQ(message->gid, ::getegid());
      EXPECT_EQ(message->pid, ::getpid());
    }
  }
}

// unix(7): SO_PEERCRED, over a socket file between network namespaces, in the ids of the reader.
NETNS_TEST(Unix, PeerCredentialsAreThoseOfTheReadersNamespaces, Covers("UNIX-13"), Needs(Config("UNIX"), UserNs())) {
  const SockAddr path = SockAddr::Path("/tmp/credentials");
  Actor server = Actor::Start("server");
  SETUP_OK(EnterNewUserNamespace(server));  // in which 0 is the id of the test
  SETUP_OK(server.Unshare(CLONE_NEWNET));
  Actor client = Actor::Start("client");
  SETUP_OK(client.Unshare(CLONE_NEWNET));
  ASSERT_OK_AND_ASSIGN(Fd listener, server.Run([&]() -> Result<Fd> {
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    RETURN_IF_ERROR(Bind(fd, path));
    RETURN_IF_ERROR(Listen(fd));
    return fd;
  }));
  const auto connect = [&](Actor& who) {
    return who.Run([&]() -> Result<Fd> {
      Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      RETURN_IF_ERROR(Connect(fd, path));
      return fd;
    });
  };
  ASSERT_OK_AND_ASSIGN(Fd connection, connect(client));
  ASSERT_OK_AND_ASSIGN(Fd accepted, server.Run([&] { return Accept(listener); }));
  // The client's user id is the one that the server's user namespace maps to 0; its pid is one of the shared namespace.
  auto seen = server.Run([&] { return PeerOf(accepted); });
  ASSERT_OK(seen);
  EXPECT_EQ(seen->uid, 0U);
  EXPECT_EQ(seen->gid, 0U);
  EXPECT_EQ(seen->pid, client.pid());
  auto outside = PeerOf(connection);
  ASSERT_OK(outside);
  EXPECT_EQ(outside->uid, ::geteuid());
  EXPECT_EQ(outside->gid, ::getegid());
  EXPECT_EQ(outside->pid, server.pid());

  SETUP_OK(SetOption(accepted, SOL_SOCKET, SO_PASSCRED, 1));
  ASSERT_OK(client.Run([&] { return Send(connection, "x"); }));
  auto message = server.Run([&] { return ReceiveCredentials(accepted); });
  ASSERT_OK(message);
  EXPECT_EQ(message->uid, 0U);
  EXPECT_EQ(message->gid, 0U);
  EXPECT_EQ(message->pid, client.pid());

  // A pid that the reader's pid namespace does not have is 0.
  Actor enclosed = Actor::Start("enclosed", CLONE_NEWPID);
  auto from_within = enclosed.Run([&] { return PeerOf(connection); });
  ASSERT_OK(from_within);
  EXPECT_EQ(from_within->pid, 0);
  // A user that the reader's user namespace does not have is the overflow id.
  Actor unmapped = Actor::Start("unmapped", CLONE_NEWUSER);
  auto from_there = unmapped.Run([&] { return PeerOf(connection); });
  ASSERT_OK(from_there);
  const auto overflow_uid = static_cast<uid_t>(std::stoul(SETUP_OK(ReadFile("/proc/sys/kernel/overflowuid"))));
  const auto overflow_gid = static_cast<gid_t>(std::stoul(SETUP_OK(ReadFile("/proc/sys/kernel/overflowgid"))));
  EXPECT_EQ(from_there->uid, overflow_uid);
  EXPECT_EQ(from_there->gid, overflow_gid);
  // And the same of what comes with a message, in both directions.
  for (auto [reader, pid] : {std::pair{&unmapped, client.pid()}, {&enclosed, pid_t{0}}}) {
    SCOPED_TRACE(reader == &unmapped ? "read in a user namespace without the user" : "read in a pid namespace without the process");
    ASSERT_OK(client.Run([&] { return Send(connection, "x"); }));
    auto read = reader->Run([&] { return ReceiveCredentials(accepted); });
    ASSERT_OK(read);
    EXPECT_EQ(read->pid, pid);
    EXPECT_EQ(read->uid, reader == &unmapped ? overflow_uid : ::geteuid());
    EXPECT_EQ(read->gid, reader == &unmapped ? overflow_gid : ::getegid());
  }
  SETUP_OK(SetOption(connection, SOL_SOCKET, SO_PASSCRED, 1));
  ASSERT_OK(server.Run([&] { return Send(accepted, "y"); }));
  auto back = client.Run([&] { return ReceiveCredentials(connection); });
  ASSERT_OK(back);
  EXPECT_EQ(back->uid, ::geteuid()) << "0 there is this user here";
  EXPECT_EQ(back->gid, ::getegid()) << "0 there is this group here";
  EXPECT_EQ(back->pid, server.pid());
}

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

/// What a socket tells of the process at the other end, by option: the bytes, of a pidfd the process that it is of, or the error.
std::map<std::string, std::string> ToldOfThePeer(const Fd& socket) {
  const auto get = [&](int option) -> Result<std::string> {
    std::string value(512, '\0');
    socklen_t size = static_cast<socklen_t>(value.size());
    if (::getsockopt(socket.get(), SOL_SOCKET, option, value.data(), &size) < 0) return ErrnoError("getsockopt");
    value.resize(size);
    return value;
  };
  std::map<std::string, std::string> told;
  for (const auto& [name, option] : {std::pair("SO_PEERCRED", SO_PEERCRED), std::pair("SO_PEERGROUPS", SO_PEERGROUPS), std::pair("SO_PEERSEC", SO_PEERSEC)}) {
    const auto value = get(option);
    told[name] = value.ok() ? testing::PrintToString(*value) : ErrnoName(value.code());
  }
  const auto pidfd = get(SO_PEERPIDFD);
  if (!pidfd.ok()) {
    told["SO_PEERPIDFD"] = ErrnoName(pidfd.code());
    return told;
  }
  int number = -1;
  std::memcpy(&number, pidfd->data(), std::min(sizeof number, pidfd->size()));
  const Fd descriptor(number);
  std::istringstream lines(SETUP_OK(ReadFile("/proc/self/fdinfo/" + std::to_string(number))));
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("Pid:")) told["SO_PEERPIDFD"] = line;
  return told;
}

// unix(7), SO_PEERCRED, SO_PEERSEC; SO_PEERGROUPS and SO_PEERPIDFD beside them: what is known of the process at the other end does
// not depend on the network namespaces of either socket, nor on that of the process that asks.
NETNS_TEST(Unix, WhatIsToldOfThePeerDoesNotDependOnNamespaces, Covers("UNIX-13", "UNIX-05"), Needs(Config("UNIX"))) {
  auto here = NetNamespace::Create(), there = NetNamespace::Create(), third = NetNamespace::Create();
  Actor in_here = here.StartActor("server"), in_there = there.StartActor("client"), in_third = third.StartActor("third");
  const std::vector<gid_t> groups = in_there.Run([] {
    const gid_t wanted[] = {::getegid(), ::getegid()};
    std::ignore = ::syscall(SYS_setgroups, 2, wanted);  // where that is allowed
    std::vector<gid_t> now(static_cast<std::size_t>(std::max(::getgroups(0, nullptr), 0)));
    if (::getgroups(static_cast<int>(now.size()), now.data()) < 0) now.clear();
    return now;
  });
  const std::string expected = testing::PrintToString(std::string(reinterpret_cast<const char*>(groups.data()), groups.size() * sizeof(gid_t)));
  for (const Type& type : kTypes) {
    if (type.type == SOCK_DGRAM) continue;  // knows of no peer
    SCOPED_TRACE(type.name);
    const SockAddr path = SockAddr::Path(std::string("/tmp/peer-") + type.name);
    const Fd server = SETUP_OK(in_here.Run([&]() -> Result<Fd> {
      Fd socket(::socket(AF_UNIX, type.type | SOCK_CLOEXEC, 0));
      RETURN_IF_ERROR(Bind(socket, path));
      RETURN_IF_ERROR(Listen(socket));
      return socket;
    }));
    // The client is one process, with a socket of its own namespace or of the server's.
    struct Connection {
      Fd client, accepted;
    };
    const auto connect = [&](const NetNamespace& from) {
      Connection made{SETUP_OK(from.Socket(AF_UNIX, type.type)), {}};
      SETUP_OK(in_there.Run([&] { return Connect(made.client, path); }));
      made.accepted = SETUP_OK(in_here.Run([&] { return Accept(server); }));
      return made;
    };
    const Connection control = connect(here), across = connect(there), from_third = connect(third);
    const auto of_client = in_here.Run([&] { return ToldOfThePeer(control.accepted); }), of_server = in_there.Run([&] { return ToldOfThePeer(control.client); });
    EXPECT_EQ(of_client.at("SO_PEERGROUPS"), expected) << "control: inside one namespace";
    EXPECT_NE(of_client.at("SO_PEERCRED"), of_server.at("SO_PEERCRED")) << "control: they are of two processes";
    for (Actor* reader : {&in_here, &in_there, &in_third}) {
      SCOPED_TRACE("asked by a process in the namespace of the " + std::string(reader == &in_here ? "server" : reader == &in_there ? "client" : "third"));
      for (const Connection* each : {&control, &across, &from_third}) {
        SCOPED_TRACE(each == &control ? "both sockets are of one namespace" : each == &across ? "each socket is of the namespace of its process" : "the client's socket is of a third namespace");
        EXPECT_EQ(reader->Run([&] { return ToldOfThePeer(each->accepted); }), of_client) << "the server is told of the client";
        EXPECT_EQ(reader->Run([&] { return ToldOfThePeer(each->client); }), of_server) << "the client is told of the server";
      }
    }
  }
}

}  // namespace
}  // namespace netns
