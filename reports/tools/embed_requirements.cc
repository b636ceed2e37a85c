// SPDX-License-Identifier: GPL-2.0-or-later
// Writes requirements.yaml as C++: a header with every id, so that Covers("VTEH-01") fails to compile, and a source
// file with the texts that go with them.
//
//   netns-embed-requirements REQUIREMENTS.YAML OUT.h OUT.cc
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "reports/catalogue.h"

namespace {

using netns::reports::Catalogue;
using netns::reports::InputError;
using netns::reports::Requirement;

std::string CppString(const std::string& text) {
  std::string literal = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      literal += '\\';
      literal += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      literal += fmt::format("\\{:03o}", static_cast<unsigned>(c));
    } else {
      literal += c;
    }
  }
  return literal + '"';
}

std::string Header(const std::vector<const Requirement*>& sorted) {
  std::string out = R"(// SPDX-License-Identifier: GPL-2.0-or-later
// Generated from requirements.yaml by netns-embed-requirements. Do not edit.
#pragma once

#include <cstddef>
#include <string_view>

namespace netns {

/// Every requirement's id, sorted.
inline constexpr std::string_view kRequirementIds[] = {
)";
  for (const Requirement* requirement : sorted) out += fmt::format("    {},\n", CppString(requirement->id));
  out += fmt::format(R"(}};
inline constexpr std::size_t kRequirementCount = {};

/// Whether the catalogue has this id; usable at compile time.
constexpr bool IsRequirement(std::string_view id) {{
  std::size_t low = 0, high = kRequirementCount;
  while (low < high) {{
    const std::size_t middle = low + (high - low) / 2;
    if (kRequirementIds[middle] < id)
      low = middle + 1;
    else
      high = middle;
  }}
  return low < kRequirementCount && kRequirementIds[low] == id;
}}

/// What a failure message needs to say of a requirement.
struct RequirementText {{
  std::string_view id, title, statement, source;
}};

/// In the order of kRequirementIds.
extern const RequirementText kRequirementTexts[kRequirementCount];

/// nullptr for an id that the catalogue does not have.
const RequirementText* FindRequirement(std::string_view id);

}}  // namespace netns
)",
                     sorted.size());
  return out;
}

std::string Source(const std::vector<const Requirement*>& sorted, const std::string& header_name) {
  std::string out = fmt::format(R"(// SPDX-License-Identifier: GPL-2.0-or-later
// Generated from requirements.yaml by netns-embed-requirements. Do not edit.
#include "{}"

#include <algorithm>
#include <iterator>

namespace netns {{

const RequirementText kRequirementTexts[kRequirementCount] = {{
)",
                                header_name);
  for (const Requirement* requirement : sorted)
    out +=
        fmt::format("    {{{},\n     {},\n     {},\n     {}}},\n", CppString(requirement->id),
                    CppString(requirement->title), CppString(requirement->statement), CppString(requirement->source));
  out += R"(};

const RequirementText* FindRequirement(std::string_view id) {
  const auto found = std::lower_bound(std::begin(kRequirementIds), std::end(kRequirementIds), id);
  if (found == std::end(kRequirementIds) || *found != id) return nullptr;
  return &kRequirementTexts[found - std::begin(kRequirementIds)];
}

}  // namespace netns
)";
  return out;
}

void Write(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (!file) throw InputError(fmt::format("{}: could not be written", path));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    fmt::print(stderr, "usage: netns-embed-requirements REQUIREMENTS.YAML OUT.h OUT.cc\n");
    return 2;
  }
  try {
    const Catalogue catalogue = Catalogue::Load(argv[1]);
    std::vector<const Requirement*> sorted;
    for (const Requirement& requirement : catalogue.requirements()) sorted.push_back(&requirement);
    std::sort(sorted.begin(), sorted.end(), [](const auto* a, const auto* b) { return a->id < b->id; });
    // Languages have no arrays of no elements, and a catalogue of none is a mistake anyway.
    if (sorted.empty()) throw InputError(fmt::format("{}: has no requirements", argv[1]));
    Write(argv[2], Header(sorted));
    Write(argv[3], Source(sorted, std::filesystem::path(argv[2]).filename().string()));
  } catch (const InputError& error) {
    fmt::print(stderr, "netns-embed-requirements: {}\n", error.what());
    return 2;
  }
  return 0;
}
