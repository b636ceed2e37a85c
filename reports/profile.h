// SPDX-License-Identifier: GPL-2.0-or-later
// Profiles: what a kernel and a machine must provide. docs/reports.md says how to write one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "reports/stream.h"

namespace netns::reports {

struct Assessment;

struct Profile {
  std::string name = {};
  std::string description = {};
  std::string digest = {};  ///< SHA-256 of the profile's text, so that a result says by which edition it was judged.
  bool miss_allowed = true;
  bool skip_allowed = true;
  /// Reason codes to which the opposite of `miss_allowed` applies; "needs-nic:*" stands for all that begin so.
  std::vector<std::string> miss_except = {};
  std::vector<std::string> required_options = {};       ///< Kernel options, without CONFIG_, that must be y or m.
  std::vector<std::string> required_requirements = {};  ///< Ids, areas ("VETH") or priorities ("core") that must PASS; "-ID" takes back.
  /// Reason codes for which a test of a required requirement may be MISS, where another of its tests passes.
  std::vector<std::string> may_miss = {};

  bool AllowsMiss(std::string_view reason_code) const;
};

/// What a profile forbids and a run has.
struct Violation {
  std::string run = {};   ///< The run's label.
  std::string what = {};  ///< "CONFIG_VETH", a requirement's id or a test's name.
  std::string text = {};
  std::string remedy = {};
};

/// A built-in profile ("developer", "ci", "distribution") or a YAML file. Throws InputError.
Profile LoadProfile(const std::string& name_or_path);
/// The same from text. Ids are checked against the catalogue. Throws InputError.
Profile ParseProfile(const std::string& text, const std::string& name);
/// Throws InputError where the profile requires what the catalogue does not know.
void CheckProfile(const Profile& profile, const Catalogue& catalogue);
/// The names of the built-in profiles.
std::vector<std::string> BuiltInProfiles();

std::vector<Violation> Judge(const Profile& profile, const Catalogue& catalogue, const Run& run,
                             const Assessment& assessment);

/// What to do about a MISS: the reason's own remedy, or the usual one for its code.
std::string RemedyOf(const Reason& reason);

}  // namespace netns::reports
