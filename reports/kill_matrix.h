// SPDX-License-Identifier: GPL-2.0-or-later
// The kill matrix: which broken kernels the tests notice. Written by `netns-conformance mutants`.
#pragma once

#include <string>
#include <vector>

namespace netns::reports {

/// A kernel with one wrong behaviour, and what the suites said of it.
struct Mutant {
  long number = 0;
  std::string name = {};
  std::string what = {};  ///< What is wrong in this kernel.
  std::string difficulty = {};
  std::string outcome = {};               ///< "killed", "survived", "elsewhere", "splat", "uncovered", "incomplete".
  std::vector<std::string> breaks = {};   ///< Ids of the requirements that it violates.
  std::vector<std::string> killers = {};  ///< Tests that noticed.
};

struct KillMatrix {
  std::string kernel = {};
  std::string date = {};
  std::vector<Mutant> mutants = {};
};

/// Reads kill-matrix.json. Throws InputError.
KillMatrix ReadKillMatrix(const std::string& path);

}  // namespace netns::reports
