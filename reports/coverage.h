// SPDX-License-Identifier: GPL-2.0-or-later
// Which requirement has which tests: list, check-trace and explain.
#pragma once

#include <string>
#include <vector>

#include "reports/report.h"

namespace netns::reports {

/// The catalogue and the tests that cover it.
class Coverage {
 public:
  /// Both must outlive the object.
  Coverage(const Catalogue& catalogue, const std::vector<TestInfo>& tests);

  const Catalogue& catalogue() const { return catalogue_; }
  const std::vector<TestInfo>& tests() const { return tests_; }
  /// The tests of requirement `index` of the catalogue.
  const std::vector<const TestInfo*>& TestsOf(std::size_t index) const { return tests_of_[index]; }
  std::size_t IndexOf(const Requirement& requirement) const;

  /// What breaks traceability, a line each: a test that covers nothing or an unknown id; an id or a test name that is
  /// there twice; a requirement of a complete area that has neither a test nor a reason why none can show it.
  std::vector<std::string> Problems(const std::vector<std::string>& more_complete_areas) const;

 private:
  const Catalogue& catalogue_;
  const std::vector<TestInfo>& tests_;
  std::vector<std::vector<const TestInfo*>> tests_of_;
};

/// Which requirements to list; an empty field selects all.
struct ListFilter {
  std::string area;
  std::string priority;
  std::string text;   ///< Within id, title, statement or source; case does not matter.
  std::string state;  ///< "covered", "untestable" or "open".
};

std::string WriteList(const Coverage& coverage, const ListFilter& filter);
std::string WriteListJson(const Coverage& coverage, const ListFilter& filter);
/// covered / untestable / open per area.
std::string WriteCoverage(const Coverage& coverage);
std::string WriteCoverageJson(const Coverage& coverage);

/// All there is to say of a requirement or of a test; with what came of it in `runs`. Throws InputError for a name that
/// is neither, with the nearest ones.
std::string Explain(const Coverage& coverage, const std::string& name, const std::vector<Run>& runs);

}  // namespace netns::reports
