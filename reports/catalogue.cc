// SPDX-License-Identifier: GPL-2.0-or-later
#include "reports/catalogue.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

namespace netns::reports {
namespace {

// The catalogue writes a test and its control in one text.
constexpr std::string_view kControl = "NEGATIVE:";

std::string Text(const YAML::Node& entry, const char* key) {
  const YAML::Node node = entry[key];
  if (!node || node.IsNull()) return {};
  std::string text = node.as<std::string>();
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

std::vector<std::string> List(const YAML::Node& entry, const char* key) {
  const YAML::Node node = entry[key];
  if (!node || node.IsNull()) return {};
  if (node.IsScalar()) return {node.as<std::string>()};
  return node.as<std::vector<std::string>>();
}

Requirement ReadRequirement(const YAML::Node& entry) {
  return Requirement{.id = Text(entry, "id"),
                     .title = Text(entry, "title"),
                     .statement = Text(entry, "statement"),
                     .basis = Text(entry, "basis"),
                     .source = Text(entry, "source"),
                     .how_to_test = Text(entry, "how_to_test"),
                     .since = Text(entry, "since"),
                     .priority = Text(entry, "priority"),
                     .note = Text(entry, "note"),
                     .untestable = Text(entry, "untestable"),
                     .needs = List(entry, "needs"),
                     .verified_on = List(entry, "verified_on")};
}

}  // namespace

std::string_view AreaOf(std::string_view id) {
  const auto dash = id.rfind('-');
  return dash == std::string_view::npos ? id : id.substr(0, dash);
}

std::string_view Requirement::area() const { return AreaOf(id); }

std::string Requirement::way() const {
  const std::string way = how_to_test.substr(0, how_to_test.find(kControl));
  return way.substr(0, way.find_last_not_of(" \n") + 1);
}

std::string Requirement::control() const {
  const auto control = how_to_test.find(kControl);
  if (control == std::string::npos) return {};
  const auto text = how_to_test.find_first_not_of(" \n", control + kControl.size());
  return text == std::string::npos ? "" : how_to_test.substr(text);
}

std::string ReadTextFile(const std::string& path) {
  struct stat status {};
  // A directory opens for reading and then fails without a word, so it is told apart here.
  if (::stat(path.c_str(), &status) != 0) throw InputError(fmt::format("{}: {}", path, std::strerror(errno)));
  if (S_ISDIR(status.st_mode)) throw InputError(fmt::format("{}: is a directory; give a file", path));
  std::ifstream file(path, std::ios::binary);
  if (!file) throw InputError(fmt::format("{}: {}", path, std::strerror(errno)));
  return {std::istreambuf_iterator<char>(file), {}};
}

Catalogue Catalogue::Load(const std::string& path) { return Parse(ReadTextFile(path), path); }

Catalogue Catalogue::Parse(const std::string& text, const std::string& name) {
  Catalogue catalogue;
  try {
    const YAML::Node root = YAML::Load(text);
    if (!root.IsMap() || !root["requirements"] || !root["requirements"].IsSequence())
      throw InputError(
          fmt::format("{}: no catalogue: it has no list 'requirements'; give suites/requirements.yaml "
                      "with --requirements",
                      name));
    for (const YAML::Node& entry : root["requirements"]) {
      const int line = entry.Mark().line + 1;
      Requirement requirement = ReadRequirement(entry);
      if (requirement.id.empty()) throw InputError(fmt::format("{}:{}: a requirement without an id", name, line));
      if (!catalogue.index_.emplace(requirement.id, catalogue.requirements_.size()).second)
        throw InputError(fmt::format("{}:{}: {} is there twice; ids are never reused", name, line, requirement.id));
      const std::string area(requirement.area());
      if (std::find(catalogue.areas_.begin(), catalogue.areas_.end(), area) == catalogue.areas_.end())
        catalogue.areas_.push_back(area);
      catalogue.requirements_.push_back(std::move(requirement));
    }
    catalogue.complete_areas_ = List(root, "complete_areas");
  } catch (const YAML::Exception& error) {
    throw InputError(fmt::format("{}:{}: {}", name, error.mark.line + 1, error.msg));
  }
  return catalogue;
}

const Requirement* Catalogue::Find(std::string_view id) const {
  const auto found = index_.find(std::string(id));
  return found == index_.end() ? nullptr : &requirements_[found->second];
}

}  // namespace netns::reports
