// SPDX-License-Identifier: GPL-2.0-or-later
// The table of rights (permissions.cc): its actors, the world that they act in, and what a row of it says. The rows are in
// permissions*.cc, by subject.
#pragma once

#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "fixtures/net_namespace.h"
#include "fixtures/rtnl.h"
#include "fixtures/user_namespace.h"
#include "harness/assertions.h"
#include "harness/registration.h"

namespace netns::rights {

enum Who : std::size_t {
  kNobody, kChildRoot, kOwnerRoot, kParentRoot, kAncestorRoot, kSiblingRoot, kWithoutNetAdmin, kWithoutSysAdmin, kCreator, kActors
};
struct ActorName {
  const char *name, *text;
};
inline constexpr ActorName kNames[kActors] = {
    {"Nobody", "a user without any capability"},
    {"ChildRoot", "root of a child of the owner"},
    {"OwnerRoot", "root of the user namespace that owns it"},
    {"ParentRoot", "root of the owner's parent"},
    {"AncestorRoot", "root of the owner's grandparent"},
    {"SiblingRoot", "root of a sibling of the owner"},
    {"OwnerRootWithoutNetAdmin", "root of the owner without CAP_NET_ADMIN"},
    {"OwnerRootWithoutSysAdmin", "root of the owner without CAP_SYS_ADMIN"},
    {"CreatorOfTheOwner", "the user who created the owner, without any capability at home"}};

/// The network namespace that all is about, what is in it, and the user namespaces around.
class World {
 public:
  /// With its0 and peer0, a veth pair, in the namespace, or with lo alone.
  explicit World(bool with_devices);

  /// Starts one of the actors: in a network namespace of its own user namespace (of the owner's, for kCreator), or inside
  /// the namespace of the table.
  Actor Start(Who who, bool inside);
  /// rtnetlink inside the namespace, opened and used by root of an ancestor.
  Rtnl& root() { return *root_; }
  bool Has(const std::string& device) { return root_->LinkByName(device).ok(); }
  /// What administration could change in it.
  std::string State();
  /// Makes the devices in it as they were.
  void Reset();
  /// Another namespace of the same owner.
  NetNamespace& Second();

  std::optional<NetNamespace> ns;      ///< the namespace of the table
  std::optional<Actor> member;         ///< a process in it, and of its owner
  std::optional<NetNamespace> home;    ///< where the actor of this turn is at home
  std::optional<NetNamespace> spare;   ///< a namespace of this turn
  Fd socket;                           ///< a socket of this turn

 private:
  Fd UserOf(const Actor& actor) { return SETUP_OK(Open(actor.Proc("ns/user"), O_RDONLY)); }
  void Join(Actor& actor, const Fd& user) {
    SETUP_OK(actor.Enter(user.get(), CLONE_NEWUSER));
    if (many_users_) SETUP_OK(BecomeNamespaceRoot(actor));
  }
  Actor Nested(const std::string& name, Actor* in, uid_t outside, unsigned count);

  const bool many_users_ = IsRealRoot();
  std::optional<Actor> parent_keeper_, child_keeper_, sibling_keeper_;
  Fd parent_, owner_, child_, sibling_;
  std::optional<NetNamespace> second_;
  std::optional<Rtnl> root_;
};

inline constexpr int ok = 0, P = EPERM, A = EACCES, V = EINVAL;
/// Kernels differ, and no page says which is right: the cell is not tried.
inline constexpr int kEither = -1;
using Rights = std::array<int, kActors>;

//                                   nobody  child  owner  parent  ancestor  sibling  -NET_ADMIN  -SYS_ADMIN  creator
inline constexpr Rights kEverybody    = {ok,    ok,    ok,    ok,     ok,       ok,      ok,         ok,         ok};
inline constexpr Rights kNetAdmin     = {P,     P,     ok,    ok,     ok,       P,       P,          ok,         ok};
inline constexpr Rights kNetAdminFile = {A,     A,     ok,    ok,     ok,       A,       A,          ok,         ok};
inline constexpr Rights kOtherCap     = {P,     P,     ok,    ok,     ok,       P,       ok,         ok,         ok};
inline constexpr Rights kOtherCapFile = {A,     A,     ok,    ok,     ok,       A,       ok,         ok,         ok};
inline constexpr Rights kSysAdmin     = {P,     P,     ok,    ok,     ok,       P,       ok,         P,          P};
inline constexpr Rights kSysAdminHome = {P,     ok,    ok,    ok,     ok,       ok,      ok,         P,          P};
inline constexpr Rights kSysAdminProc = {A,     A,     ok,    ok,     ok,       A,       ok,         P,          P};
inline constexpr Rights kTogether     = {P,     P,     V,     ok,     ok,       P,       V,          V,          ok};
inline constexpr Rights kNetAdminHome = {P,     ok,    ok,    ok,     ok,       ok,      P,          ok,         ok};
inline constexpr Rights kByNsid       = {A,     A,     ok,    ok,     ok,       A,       A,          ok,         ok};
inline constexpr Rights kByNsidAdmin  = {P,     A,     ok,    ok,     ok,       A,       P,          ok,         ok};
inline constexpr Rights kDescendants  = {ok,    P,     ok,    ok,     ok,       P,       ok,         ok,         ok};
inline constexpr Rights kDescendants1 = {P,     P,     ok,    ok,     ok,       P,       ok,         ok,         ok};
inline constexpr Rights kAttribute    = {A,     A,     ok,    ok,     ok,       A,       P,          ok,         A};
inline constexpr Rights kAttribute1   = {P,     P,     ok,    ok,     ok,       P,       P,          ok,         ok};
// What only root of the initial user namespace may: the test's own, if it is root of the machine.
inline constexpr Rights kInitial       = {P,     P,     P,     P,      ok,       P,       P,          P,          P};
inline constexpr Rights kRefused       = {P,     P,     P,     P,      P,        P,       P,          P,          P};

enum class From { kHome, kInside };
/// How it is known whether the operation took effect.
enum class Effect {
  kNone,   ///< its result says all
  kState,  ///< State() has changed
  kMade,   ///< a device "made" is in the namespace (and gone from home, if it was there)
  kTaken,  ///< a device "taken" is at the actor's home, and not in the namespace any more
  kAtHome  ///< a device "made" is at home
};

struct Operation {
  const char* name;
  std::vector<const char*> covers;
  From from;
  const Rights& rights;
  Effect effect;
  std::function<Status(World&)> attempt;          ///< runs as the actor
  std::function<void(World&)> prepare = {};       ///< runs as root of the ancestor, before the actor starts
  const char* config = nullptr;
  const Rights* one_user = nullptr;               ///< where all actors are the same user of the machine
  bool cells = false;                             ///< a test of its own for each cell: some fail on stock kernels
  std::function<void()> look = {};                ///< runs before all else, and throws MissingNeed where it cannot be tried
};

/// `request` on a socket that the actor opens.
inline std::function<Status(World&)> Request_(std::function<Status(Rtnl&, World&)> request) {
  return [request](World& world) -> Status {
    ASSIGN_OR_RETURN(Rtnl rtnl, Rtnl::Open());
    return request(rtnl, world);
  };
}

Status Discard(const auto& result) {
  if (!result.ok()) return result.error();
  return Ok();
}

inline Status OpenSocket(int family, int type, int protocol) {
  Fd fd(::socket(family, type | SOCK_CLOEXEC, protocol));
  if (!fd.valid()) return ErrnoError("socket(" + std::to_string(family) + ", " + std::to_string(type) + ")");
  return Ok();
}

/// An ioctl on a datagram socket of the actor's.
template <class Argument>
Status Ioctl(unsigned long request, Argument& argument, const char* what, int family = AF_INET) {
  Fd socket(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return ErrnoError("socket(" + std::to_string(family) + ")");
  if (::ioctl(socket.get(), request, &argument) < 0) return ErrnoError(what);
  return Ok();
}
inline ifreq NamedRequest(const char* device) {
  ifreq request{};
  std::strncpy(request.ifr_name, device, IFNAMSIZ - 1);
  return request;
}

inline sockaddr Ipv4(std::uint32_t address) {
  sockaddr result{};
  auto& in = reinterpret_cast<sockaddr_in&>(result);
  in.sin_family = AF_INET;
  in.sin_addr.s_addr = htonl(address);
  return result;
}
inline int IndexOfIts0(World& world) { return SETUP_OK(world.root().LinkByName("its0")).index; }


/// What somebody is told who is listened to, though it cannot be done: for him it counts as allowed.
inline Status Heard(Status status, std::initializer_list<int> codes) {
  for (int code : codes)
    if (status.code() == code) return Ok();
  return status;
}

/// One of several calls for which the same right is asked, by code of its own each.
struct Step {
  const char* name;
  std::function<Status(World&)> attempt;
};
/// Takes all of the steps: their outcome where it is the same for all, else EBADE and what came of each.
inline std::function<Status(World&)> All(std::vector<Step> steps) {
  return [steps](World& world) -> Status {
    std::vector<Status> results;
    for (const Step& step : steps) results.push_back(step.attempt(world));
    std::string text;
    bool same = true;
    for (std::size_t i = 0; i < steps.size(); ++i) {
      same = same && results[i].code() == results[0].code();
      text += (i > 0 ? ", " : "") + std::string(steps[i].name) + ": " + (results[i].ok() ? "success" : ErrnoName(results[i].code()));
    }
    if (!same) return Error{EBADE, text};
    return results[0].ok() ? results[0] : Status(Error{results[0].code(), text});
  };
}

/// For a `prepare`, where the world was made without devices.
inline void AddIts0(World& world) {
  if (!world.Has("its0")) world.Reset();
}

/// Makes tests of operations, a test for each. `with_devices`: of its world.
bool RegisterOperations(const std::vector<Operation>& operations, bool with_devices, const char* file, int line);

}  // namespace netns::rights
