// SPDX-License-Identifier: GPL-2.0-or-later
#include "harness/known_defects.h"

#include <cstdio>
#include <sstream>
#include <utility>

namespace netns {
namespace {

/// {6, 12} of "6.12.95+deb12-amd64".
std::optional<std::pair<int, int>> Version(const std::string& text) {
  std::pair<int, int> version;
  if (std::sscanf(text.c_str(), "%d.%d", &version.first, &version.second) != 2) return std::nullopt;
  return version;
}

}  // namespace

Result<std::vector<KnownDefect>> ParseKnownDefects(const std::string& text) {
  std::vector<KnownDefect> defects;
  std::istringstream lines(text);
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    std::istringstream words(line);
    KnownDefect defect;
    std::string kernels;
    if (!(words >> defect.test) || defect.test.front() == '#') continue;
    words >> kernels >> std::ws;
    std::getline(words, defect.reference);
    const std::size_t dots = kernels.find("..");
    if (dots != std::string::npos) {
      defect.first = kernels.substr(0, dots);
      defect.last = kernels.substr(dots + 2);
    }
    if (!Version(defect.first) || !Version(defect.last) || defect.reference.empty())
      return Error{EINVAL, "known defects, line " + std::to_string(number) + ": expected 'TEST FIRST..LAST REFERENCE', found '" + line + "'"};
    defects.push_back(std::move(defect));
  }
  return defects;
}

std::optional<KnownDefect> FindKnownDefect(const std::vector<KnownDefect>& defects, const std::string& test,
                                           const std::string& release) {
  const auto version = Version(release);
  for (const KnownDefect& defect : defects)
    if (defect.test == test && version && *Version(defect.first) <= *version && *version <= *Version(defect.last)) return defect;
  return std::nullopt;
}

}  // namespace netns
