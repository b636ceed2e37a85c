// SPDX-License-Identifier: GPL-2.0-or-later
// Event streams for tests, as short as what the test is about.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "reports/report.h"

namespace netns::reports::testing {

/// Writes a stream event by event.
class StreamBuilder {
 public:
  /// A header of kernel `release` with a plan of `tests`: {name, ids}.
  explicit StreamBuilder(const std::string& release = "6.12.117");

  StreamBuilder& Plan(const std::string& name, std::vector<std::string> covers, bool selected = true);
  StreamBuilder& Header(const std::string& key, nlohmann::json value);
  StreamBuilder& Start(const std::string& name);
  /// start and end.
  StreamBuilder& Ran(const std::string& name, const std::string& verdict,
                     nlohmann::json more = nlohmann::json::object());
  StreamBuilder& Event(nlohmann::json event);
  StreamBuilder& Line(const std::string& raw);
  StreamBuilder& Footer();

  std::string Text() const;
  Run Read() const;

 private:
  nlohmann::json header_;
  nlohmann::json counts_ = nlohmann::json::object();
  std::vector<std::string> lines_;
};

/// A catalogue of VETH-01, VETH-02, PHYS-01 and CONF-01.
const Catalogue& SmallCatalogue();

/// A failure for the "failures" of an end.
nlohmann::json Failure(const std::string& message, const std::string& file = "suites/veth.cc", int line = 41);

Report MakeReport(std::vector<Run> runs, const std::string& profile = "developer");

}  // namespace netns::reports::testing
