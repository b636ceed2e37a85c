// SPDX-License-Identifier: GPL-2.0-or-later
// What one namespace has and another must know nothing of: the same body between two ordinary namespaces, whichever of them is
// older or was made inside the other, and in both directions beside the initial one, which is where a kernel looks, or writes,
// that forgets to ask of which namespace something is.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "fixtures/nic.h"
#include "suites/support/place.h"

namespace netns {

/// `owner` has it, `other` is asked. Either may be the initial one: what is done there has to be undone.
using Between = std::function<void(Place& owner, Place& other)>;

inline void BetweenTwoNamespaces(const Between& body) {
  {
    SCOPED_TRACE("it is of the older one of two namespaces");
    Place owner, other;
    body(owner, other);
  }
  {
    SCOPED_TRACE("it is of the younger one of two namespaces");
    Place other, owner;
    body(owner, other);
  }
  {
    SCOPED_TRACE("it is of a namespace that was made inside the other one");
    Place other, owner = Place::Inside(other);
    body(owner, other);
  }
}
inline void BesideTheInitialNamespace(const Between& body) {
  {
    SCOPED_TRACE("it is of the initial namespace");
    Place owner(InitialNetNamespace()), other;
    body(owner, other);
  }
  {
    SCOPED_TRACE("it is of an ordinary namespace, the other one is the initial namespace");
    Place owner, other(InitialNetNamespace());
    body(owner, other);
  }
}

/// Registers SUITE.NAME/BetweenTwo and SUITE.NAME/BesideTheInitialNamespace; with a row, SUITE.NAME/ROW and
/// SUITE.NAMEBesideTheInitialNamespace/ROW.
inline bool RegisterBetween(const char* suite, const std::string& name, const std::string& row, const char* file, int line, const Between& body,
                            const Covers& covers, const Needs& needs) {
  Needs machine = needs;
  machine.list.push_back(Machine());
  RegisterBody(suite, name + (row.empty() ? "/BetweenTwo" : "/" + row), file, line, [body] { BetweenTwoNamespaces(body); }, covers, needs);
  return RegisterBody(suite, name + (row.empty() ? "/BesideTheInitialNamespace" : "BesideTheInitialNamespace/" + row), file, line,
                      [body] { BesideTheInitialNamespace(body); }, covers, machine, Exclusive{});
}

/// Undoes something when it goes, also where the body ends early.
class Undo {
 public:
  explicit Undo(std::function<void()> undo) : undo_(std::move(undo)) {}
  Undo(const Undo&) = delete;
  Undo& operator=(const Undo&) = delete;
  ~Undo() { undo_(); }

 private:
  std::function<void()> undo_;
};

}  // namespace netns
