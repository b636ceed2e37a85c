// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes as a profile: read, or refused with InputError; never a crash.
#include <cstddef>
#include <cstdint>

#include "reports/profile.h"

using namespace netns::reports;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const Profile profile = ParseProfile(std::string(reinterpret_cast<const char*>(data), size), "fuzz");
    (void)profile.AllowsMiss("needs-nic:igb");
  } catch (const InputError&) {
  }
  return 0;
}
