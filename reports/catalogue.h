// SPDX-License-Identifier: GPL-2.0-or-later
// The catalogue of requirements (suites/requirements.yaml), read and checked.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace netns::reports {

/// Input from outside that cannot be used. what() is one line that names the input and the remedy; exit status 2.
class InputError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// One documented behaviour. The fields are those of the head of suites/requirements.yaml.
struct Requirement {
  std::string id = {};  ///< AREA-NN, never renumbered.
  std::string title = {};
  std::string statement = {};
  std::string basis = {};
  std::string source = {};
  std::string how_to_test = {};
  std::string since = {};
  std::string priority = {};
  std::string note = {};
  std::string untestable = {};  ///< Why no test can show it; empty where one can.
  std::vector<std::string> needs = {};
  std::vector<std::string> verified_on = {};

  /// "VETH" of "VETH-03".
  std::string_view area() const;
  /// The part of how_to_test that shows the behaviour.
  std::string way() const;
  /// The part of how_to_test, after "NEGATIVE:", that shows that a test of it could fail; empty where it names none.
  std::string control() const;
};

/// The area of a requirement's id: all before its last dash.
std::string_view AreaOf(std::string_view id);

/// All requirements, in the order of the file.
class Catalogue {
 public:
  /// Reads requirements.yaml. Throws InputError where the file is unreadable, no catalogue, or has an id twice.
  static Catalogue Load(const std::string& path);
  /// The same from text; `name` stands for the path in messages.
  static Catalogue Parse(const std::string& text, const std::string& name);

  const std::vector<Requirement>& requirements() const { return requirements_; }
  /// nullptr for an id that the catalogue does not have.
  const Requirement* Find(std::string_view id) const;
  /// Areas in the order of their first requirement.
  const std::vector<std::string>& areas() const { return areas_; }
  /// Areas of which the file says (`complete_areas:`) that each requirement has a test or a reason for none.
  const std::vector<std::string>& complete_areas() const { return complete_areas_; }

 private:
  std::vector<Requirement> requirements_ = {};
  std::vector<std::string> areas_ = {};
  std::vector<std::string> complete_areas_ = {};
  std::unordered_map<std::string, std::size_t> index_;
};

/// A whole file, or InputError.
std::string ReadTextFile(const std::string& path);

}  // namespace netns::reports
