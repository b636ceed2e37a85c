// SPDX-License-Identifier: GPL-2.0-or-later
// Documented behaviour that stock kernels are known not to have, so that nobody is alarmed by it again.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "harness/result.h"

namespace netns {

/// One line of suites/known-defects.txt: a test that fails on the kernels of first to last (versions by their first two
/// numbers, both included), and where that is written down.
struct KnownDefect {
  std::string test, first, last, reference;
};

/// Reads lines of 'TEST FIRST..LAST REFERENCE'; '#' begins a comment. EINVAL names the line that is none.
Result<std::vector<KnownDefect>> ParseKnownDefects(const std::string& text);

/// The defect by which `test` is known to fail on a kernel of this release ("6.12.95+deb12-amd64"), if there is one.
std::optional<KnownDefect> FindKnownDefect(const std::vector<KnownDefect>& defects, const std::string& test,
                                           const std::string& release);

}  // namespace netns
