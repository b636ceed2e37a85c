// SPDX-License-Identifier: GPL-2.0-or-later
// The formats of a report. Each writer tells the same model (reports/report.h) and returns the whole text.
#pragma once

#include <string>

#include "reports/report.h"

namespace netns::reports {

/// For a person at a terminal; `color` adds ANSI colours.
std::string WriteTerminal(const Report& report, bool color);
/// JUnit XML as Jenkins, GitLab and GitHub read it.
std::string WriteJUnit(const Report& report);
/// KTAP version 1, as tools/testing/kunit/kunit.py parses it: one subtest per area, in it one per test.
std::string WriteKtap(const Report& report);
/// KCIDB I/O, version 5.3 of its schema.
std::string WriteKcidb(const Report& report);
/// For a mailing list or a merge request.
std::string WriteMarkdown(const Report& report);
/// Of the schema in docs/reports.md.
std::string WriteJson(const Report& report);
/// One file with all that it needs in it.
std::string WriteHtml(const Report& report);

/// Tests that share a way to become able to run.
struct MissGroup {
  std::string remedy = {};
  std::vector<std::string> codes = {};
  std::vector<std::string> tests = {};
};

/// The MISS tests of all runs by remedy, most tests first.
std::vector<MissGroup> MissByRemedy(const Report& report);

/// A test that failed, or broke, alike in one or several runs.
struct Trouble {
  const TestRecord* test;
  const Result* result;
  std::vector<std::size_t> runs = {};
};

/// FAIL first, then ERROR; tests that were never reached are left out (they are told as a number).
std::vector<Trouble> Troubles(const Report& report);

/// One line of the area table.
struct AreaRow {
  std::string area = {};
  int requirements = 0;
  Counts counts = {};  ///< Of requirements.
  double duration_ms = 0;

  /// Requirements of which no test was asked for.
  int not_tested() const { return counts[Verdict::kUntested] + counts[Verdict::kSkip]; }
  /// Whether nothing of this area ran; tables leave it out.
  bool idle() const { return not_tested() == requirements && duration_ms == 0; }
};

/// Areas in the catalogue's order, over all runs.
std::vector<AreaRow> AreaTable(const Report& report);

/// A test's name split at its first dot.
std::pair<std::string, std::string> SuiteAndCase(const std::string& name);

}  // namespace netns::reports
