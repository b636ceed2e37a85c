// SPDX-License-Identifier: GPL-2.0-or-later
#include "reports/profile.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <set>

#include "reports/embedded.h"
#include "reports/report.h"
#include "reports/text.h"

namespace netns::reports {
namespace {

constexpr std::string_view kSuffix = ".profile.yaml";

bool Matches(std::string_view pattern, std::string_view code) {
  if (pattern.ends_with('*')) return code.starts_with(pattern.substr(0, pattern.size() - 1));
  return pattern == code;
}

bool ReadAllowed(const YAML::Node& node, const std::string& name, const char* key) {
  if (!node) return true;
  const auto word = node.as<std::string>();
  if (word != "allowed" && word != "forbidden")
    throw InputError(
        fmt::format("{}:{}: {} is '{}'; it must be allowed or forbidden", name, node.Mark().line + 1, key, word));
  return word == "allowed";
}

std::vector<std::string> ReadList(const YAML::Node& node) {
  return node && !node.IsNull() ? node.as<std::vector<std::string>>() : std::vector<std::string>();
}

// A misspelt key would silently require nothing.
void RefuseUnknownKeys(const YAML::Node& map, const std::set<std::string>& known, const std::string& name) {
  for (const auto& entry : map) {
    const auto key = entry.first.as<std::string>();
    if (!known.contains(key))
      throw InputError(fmt::format("{}:{}: '{}' is not known in a profile; known are: {}", name,
                                   entry.first.Mark().line + 1, key, fmt::join(known, ", ")));
  }
}

bool Selects(std::string_view word, const Requirement& requirement) {
  return word == requirement.id || word == requirement.area() || word == requirement.priority;
}

// A word of `requirements:` without the dash that takes back what others ask for.
std::string_view Bare(std::string_view word) { return word.starts_with('-') ? word.substr(1) : word; }

bool Matches(const std::vector<std::string>& patterns, std::string_view code) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return Matches(pattern, code); });
}

bool Requires(const Profile& profile, const Requirement& requirement) {
  bool asked = false, taken_back = false;
  for (const std::string& word : profile.required_requirements)
    if (Selects(Bare(word), requirement)) (word.starts_with('-') ? taken_back : asked) = true;
  return asked && !taken_back;
}

// Whether a requirement holds by those tests that ran, and the others may be MISS by the profile's may_miss.
bool HoldsButForWhatMayMiss(const Profile& profile, const Run& run, const RequirementState& state) {
  bool some_passed = false;
  for (const std::uint32_t index : state.tests) {
    const TestRecord& test = run.tests[index];
    const Result* result = test.Decisive();
    if (test.verdict == Verdict::kPass)
      some_passed = true;
    else if (test.verdict != Verdict::kMiss || result == nullptr || !Matches(profile.may_miss, result->reason.code))
      return false;
  }
  return some_passed;
}

}  // namespace

bool Profile::AllowsMiss(std::string_view reason_code) const {
  return miss_allowed != Matches(miss_except, reason_code);
}

std::vector<std::string> BuiltInProfiles() {
  std::vector<std::string> names;
  for (const EmbeddedFile& file : kEmbeddedFiles)
    if (file.name.ends_with(kSuffix)) names.emplace_back(file.name.substr(0, file.name.size() - kSuffix.size()));
  return names;
}

Profile ParseProfile(const std::string& text, const std::string& name) {
  Profile profile;
  profile.digest = Sha256(text);
  try {
    const YAML::Node root = YAML::Load(text);
    if (!root.IsMap() || !root["profile"])
      throw InputError(fmt::format("{}: no profile: it has no key 'profile' (the name); see docs/reports.md", name));
    RefuseUnknownKeys(root, {"profile", "description", "miss", "miss_except", "skip", "require"}, name);
    profile.name = Printable(root["profile"].as<std::string>());
    if (root["description"]) profile.description = Printable(root["description"].as<std::string>());
    profile.miss_allowed = ReadAllowed(root["miss"], name, "miss");
    profile.skip_allowed = ReadAllowed(root["skip"], name, "skip");
    profile.miss_except = ReadList(root["miss_except"]);
    if (const YAML::Node require = root["require"]) {
      if (!require.IsMap())
        throw InputError(
            fmt::format("{}:{}: require must have the keys config or requirements", name, require.Mark().line + 1));
      RefuseUnknownKeys(require, {"config", "requirements", "may_miss"}, name);
      profile.required_options = ReadList(require["config"]);
      profile.may_miss = ReadList(require["may_miss"]);
      profile.required_requirements = ReadList(require["requirements"]);
    }
  } catch (const YAML::Exception& error) {
    throw InputError(fmt::format("{}:{}: {}", name, error.mark.line + 1, error.msg));
  }
  return profile;
}

Profile LoadProfile(const std::string& name_or_path) {
  for (const EmbeddedFile& file : kEmbeddedFiles)
    if (file.name == name_or_path + std::string(kSuffix)) return ParseProfile(std::string(file.content), name_or_path);
  try {
    return ParseProfile(ReadTextFile(name_or_path), name_or_path);
  } catch (const InputError& error) {
    if (name_or_path.find('/') != std::string::npos || name_or_path.find('.') != std::string::npos) throw;
    throw InputError(fmt::format("profile '{}' is not known; known are {}, or give a file", name_or_path,
                                 fmt::join(BuiltInProfiles(), ", ")));
  }
}

void CheckProfile(const Profile& profile, const Catalogue& catalogue) {
  for (const std::string& word : profile.required_requirements) {
    const auto& all = catalogue.requirements();
    if (std::none_of(all.begin(), all.end(),
                     [&](const Requirement& requirement) { return Selects(Bare(word), requirement); }))
      throw InputError(fmt::format(
          "profile {}: requires '{}', which is no requirement, area or priority of the catalogue", profile.name, word));
  }
}

std::vector<Violation> Judge(const Profile& profile, const Catalogue& catalogue, const Run& run,
                             const Assessment& assessment) {
  std::vector<Violation> out;
  for (const std::string& option : profile.required_options) {
    const auto found = run.header.config.find(option);
    const std::string value = found == run.header.config.end() ? "absent" : found->second;
    if (value == "y" || value == "m") continue;
    const bool unknown = value == "?" || value == "absent";
    out.push_back({.run = run.label,
                   .what = "CONFIG_" + option,
                   .text = value == "absent" ? "is required, and the stream says nothing of it"
                           : unknown         ? "is required, and the kernel's configuration could not be read"
                                             : fmt::format("is required, and this kernel has it {}",
                                                   value == "n" ? "not" : "as " + value),
                   .remedy = value == "absent" ? "run again with this version, whose streams tell what profiles commonly ask "
                                                 "for; else add it to kOptionsOfProfiles in harness/runner.cc"
                             : unknown ? "make the configuration readable: CONFIG_IKCONFIG_PROC=y, or its file in /boot"
                                     : fmt::format("build the kernel with CONFIG_{}=y or m", option)});
  }
  const auto& requirements = catalogue.requirements();
  for (std::size_t i = 0; i < requirements.size(); ++i) {
    const RequirementState& state = assessment.states[i];
    if (!Requires(profile, requirements[i]) || !requirements[i].untestable.empty() || state.verdict == Verdict::kPass) continue;
    // FAIL and ERROR are told as such; a profile adds what else must not be.
    if (state.verdict == Verdict::kFail || state.verdict == Verdict::kError) continue;
    if (state.verdict == Verdict::kMiss && HoldsButForWhatMayMiss(profile, run, state)) continue;
    std::string remedy = "run all tests";
    for (const std::uint32_t test : state.tests)
      if (const Result* result = run.tests[test].Decisive(); result != nullptr && result->verdict == Verdict::kMiss)
        remedy = RemedyOf(result->reason);
    out.push_back({.run = run.label,
                   .what = requirements[i].id,
                   .text = fmt::format("is required, and is {}: {}", Word(state.verdict), requirements[i].title),
                   .remedy = state.tests.empty() ? "no test covers it yet; see netns-report list --coverage" : remedy});
  }
  long skipped = 0;
  for (const TestRecord& test : run.tests) {
    if (test.verdict == Verdict::kSkip) ++skipped;
    const Result* result = test.Decisive();
    if (test.verdict != Verdict::kMiss || result == nullptr || profile.AllowsMiss(result->reason.code)) continue;
    out.push_back({.run = run.label,
                   .what = test.info.name,
                   .text = fmt::format("must run, and is MISS ({}{}{})", result->reason.code,
                                       result->reason.text.empty() ? "" : ": ", result->reason.text),
                   .remedy = RemedyOf(result->reason)});
  }
  if (skipped > 0 && !profile.skip_allowed)
    out.push_back({.run = run.label,
                   .what = Count(skipped, "test"),
                   .text = "must run, and SKIP: not asked for",
                   .remedy = "run without a filter"});
  return out;
}

std::string RemedyOf(const Reason& reason) {
  if (!reason.remedy.empty()) return reason.remedy;
  const auto colon = reason.code.find(':');
  const std::string kind = reason.code.substr(0, colon);
  const std::string what = colon == std::string::npos ? "" : reason.code.substr(colon + 1);
  if (kind == "needs-config") return fmt::format("build the kernel with CONFIG_{}=y or m", what);
  if (kind == "needs-module") return fmt::format("install the module {} of this kernel", what);
  if (kind == "needs-cap") return fmt::format("run as root (CAP_{})", what);
  if (kind == "needs-machine") return "run in a machine of its own: ./netns-conformance vm";
  if (kind == "needs-nic")
    return what.empty() ? "run with physical devices: ./netns-conformance vm"
                        : "run with such cards: ./netns-conformance vm --nics=all";
  if (kind == "needs-userns")
    return "allow user namespaces (user.max_user_namespaces, kernel.unprivileged_userns_clone)";
  if (kind == "needs-net-ns") return "build the kernel with CONFIG_NET_NS=y";
  if (kind == "needs-tool") return fmt::format("install the package that has the program {}", what);
  if (kind == "needs-feature") return fmt::format("a kernel that has {}", what);
  if (kind == "not-selected") return "run without a filter";
  if (!reason.text.empty()) return fmt::format("what the test itself asks for: {}", Excerpt(reason.text, 1, 200));
  return "none is known";
}

}  // namespace netns::reports
