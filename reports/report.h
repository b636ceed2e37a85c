// SPDX-License-Identifier: GPL-2.0-or-later
// Runs and catalogue put together: the one model that every writer tells.
#pragma once

#include <string>
#include <vector>

#include "reports/catalogue.h"
#include "reports/kill_matrix.h"
#include "reports/profile.h"
#include "reports/stream.h"
#include "reports/verdict.h"

namespace netns::reports {

/// What one run says of one requirement.
struct RequirementState {
  Verdict verdict = Verdict::kUntested;
  std::vector<std::uint32_t> tests = {};  ///< Indices into Run::tests.
};

/// What one run says of the catalogue.
struct Assessment {
  std::vector<RequirementState> states = {};  ///< In the order of Catalogue::requirements().
  Counts tests = {};
  Counts requirements = {};
  std::vector<std::string> unknown_ids = {};  ///< Covered by tests, but not in the catalogue.
};

Assessment Assess(const Catalogue& catalogue, const Run& run);

/// The one word that a report opens with, and the verdict whose colour it has.
struct Headline {
  std::string_view word;  ///< A verdict's, or INCOMPLETE, or FORBIDDEN by the profile.
  Verdict verdict;
};

/// All that a report tells.
struct Report {
  const Catalogue* catalogue = nullptr;
  std::vector<Run> runs = {};
  std::vector<Assessment> assessments = {};  ///< One per run.
  Profile profile = {};
  std::vector<Violation> violations = {};
  KillMatrix kills;  ///< Empty where none was given; told by HTML.
  int slowest = 0;   ///< How many of the slowest tests to list.
  std::string note;  ///< A line of the caller's for the terminal, to stand above the verdict.

  /// Puts a report together.
  static Report Make(const Catalogue& catalogue, std::vector<Run> runs, Profile profile);

  ExitStatus exit_status() const;
  /// The worst verdict of all runs; ERROR where one is incomplete.
  Verdict verdict() const;
  bool incomplete() const;
  Headline headline() const;
  /// Of one run by itself.
  Headline RunHeadline(std::size_t run) const;
  /// "FAIL: Linux 6.12.117 (x86_64, kvm): 410 of 412 requirements checked hold, 2 FAIL, ..." in one line.
  std::string VerdictLine() const;
  /// What it was measured by, in one line: tests by verdict, time, profile and its digest.
  std::string FactsLine() const;
  /// Of one run: the worst of its tests, ERROR where it is incomplete or has none.
  Verdict RunVerdict(std::size_t run) const;
  /// Of requirement `index` over all runs.
  Verdict RequirementVerdict(std::size_t index) const;
  /// MISS, because some test of it could not run, while others passed.
  bool HoldsInPart(std::size_t index) const;
};

/// "Linux 6.12.117 (x86_64, tcg)".
std::string KernelName(const Run& run);
/// The command that runs just this one test as this run did, in the words of a shell.
std::string CommandFor(const Run& run, const std::string& test);

}  // namespace netns::reports
