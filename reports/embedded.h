// SPDX-License-Identifier: GPL-2.0-or-later
// Files of this folder that the program carries with it: templates, style sheets, profiles.
#pragma once

#include <span>
#include <string_view>

namespace netns::reports {

struct EmbeddedFile {
  std::string_view name;  ///< Without its folder.
  std::string_view content;
};

extern const std::span<const EmbeddedFile> kEmbeddedFiles;

/// The content of the file of this name, which must exist.
std::string_view Embedded(std::string_view name);

}  // namespace netns::reports
