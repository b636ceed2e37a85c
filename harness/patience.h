// SPDX-License-Identifier: GPL-2.0-or-later
// A kernel that never does what tests wait for (that frees no namespace, say) would make each of hundreds of them wait to
// its deadline, for hours in all. Where several have waited in vain, those that come later wait less.
#pragma once

#include <chrono>

namespace netns {

/// From now on, in this process and in those that it forks: so long may Eventually() and WaitFor() wait in vain in one test, all
/// its vain waits of a second or more together. One that follows when that is used up still gets a tenth of it. Without a
/// call: to the deadline given.
void SetPatience(std::chrono::milliseconds patience);

}  // namespace netns
