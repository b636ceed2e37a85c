// SPDX-License-Identifier: GPL-2.0-or-later
#include "harness/result.h"

#include <cstring>

namespace netns {

std::string ErrnoName(int code) {
  const char* name = strerrorname_np(code);
  return name != nullptr ? name : "errno " + std::to_string(code);
}

Error ErrnoError(std::string call, std::source_location where) { return Error{errno, std::move(call), {}, where}; }

std::string Error::ToString() const {
  std::string text = call + ": " + ErrnoName(code);
  if (const char* description = strerrordesc_np(code)) text += std::string(" (") + description + ")";
  if (!kernel_says.empty()) text += ", kernel says: \"" + kernel_says + "\"";
  return text;
}

}  // namespace netns
