// SPDX-License-Identifier: GPL-2.0-or-later
// A small choice of the tests that still covers every requirement: for whoever wants a verdict within seconds (--quick).
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "harness/registration.h"

namespace netns {

/// Whether GoogleTest's --gtest_filter=`filter` selects the test `name` ("Suite.Name").
bool FilterSelects(std::string_view filter, const std::string& name);

/// About the fewest of `tests` that cover all that `tests` cover, in their order. Tests of which `can_run` is true come
/// first, so that a requirement is left to one that cannot run only where there is no other; of those that add as much,
/// those that need no machine, no card and no longer deadline, then the first. (Greedy set cover: at most ln(n) times
/// the fewest.)
std::vector<const TestSpec*> QuickChoice(const std::vector<const TestSpec*>& tests, const std::function<bool(const TestSpec&)>& can_run);

}  // namespace netns
