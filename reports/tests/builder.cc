// SPDX-License-Identifier: GPL-2.0-or-later
#include "reports/tests/builder.h"

#include <fmt/format.h>

#include <sstream>

namespace netns::reports::testing {

using nlohmann::json;

StreamBuilder::StreamBuilder(const std::string& release)
    : header_{{"event", "header"},
              {"time", 1700000000.25},
              {"schema", "1.0"},
              {"tool", {{"name", "netns-conformance"}, {"version", "0.1.0"}}},
              {"kernel",
               {{"release", release},
                {"version", "#1 SMP"},
                {"machine", "x86_64"},
                {"config",
                 {{"source", "/proc/config.gz"}, {"digest", "ab12"}, {"options", {{"NET_NS", "y"}, {"VETH", "m"}}}}}}},
              {"command", {"netns-tests"}},
              {"privilege", "root"},
              {"disposable", true},
              {"machine", {{"accelerator", "tcg"}}},
              {"tests", json::array()}} {}

StreamBuilder& StreamBuilder::Plan(const std::string& name, std::vector<std::string> covers, bool selected) {
  header_["tests"].push_back({{"name", name},
                              {"covers", covers},
                              {"needs", {"config:VETH"}},
                              {"file", "suites/veth.cc"},
                              {"line", 40},
                              {"selected", selected}});
  return *this;
}

StreamBuilder& StreamBuilder::Header(const std::string& key, json value) {
  header_[key] = std::move(value);
  return *this;
}

StreamBuilder& StreamBuilder::Start(const std::string& name) {
  return Event({{"event", "start"}, {"test", name}, {"iteration", 1}});
}

StreamBuilder& StreamBuilder::Ran(const std::string& name, const std::string& verdict, json more) {
  json end = {{"event", "end"}, {"test", name}, {"iteration", 1}, {"verdict", verdict}, {"duration_ms", 12.5}};
  end.update(more);
  Event({{"event", "start"}, {"test", name}, {"iteration", end["iteration"]}});
  counts_[verdict] = counts_.value(verdict, 0) + 1;
  return Event(end);
}

StreamBuilder& StreamBuilder::Event(json event) {
  event["time"] = 1700000000.5 + 0.1 * static_cast<double>(lines_.size());
  return Line(event.dump());
}

StreamBuilder& StreamBuilder::Line(const std::string& raw) {
  lines_.push_back(raw);
  return *this;
}

StreamBuilder& StreamBuilder::Footer() {
  return Event({{"event", "footer"}, {"counts", counts_}, {"duration_ms", 1234}, {"exit_status", 0}});
}

std::string StreamBuilder::Text() const {
  std::string text = header_.dump() + "\n";
  for (const std::string& line : lines_) text += line + "\n";
  return text;
}

Run StreamBuilder::Read() const {
  std::istringstream in(Text());
  std::vector<Run> runs = ReadStream(in, "test.jsonl");
  JoinAndLabel(runs);
  return std::move(runs.at(0));
}

const Catalogue& SmallCatalogue() {
  static const Catalogue catalogue = Catalogue::Parse(R"(
complete_areas: [VETH]
requirements:
- {id: VETH-01, title: A pair is a pipe, statement: What enters one end leaves the other., source: veth(4), priority: core, needs: [VETH]}
- {id: VETH-02, title: Freed together, statement: Both ends go with one., source: network_namespaces(7), priority: linked, needs: [VETH], how_to_test: "Delete one end. NEGATIVE: another pair stays."}
- {id: PHYS-01, title: Comes back, statement: A physical device returns to the initial namespace., source: network_namespaces(7), priority: core, needs: [physical-nic]}
- {id: CONF-01, title: Needs CONFIG_NET_NS, statement: Without it there are none., source: network_namespaces(7), priority: core, needs: [], untestable: needs another kernel}
)",
                                                      "small.yaml");
  return catalogue;
}

json Failure(const std::string& message, const std::string& file, int line) {
  return {{"kind", "expectation"}, {"file", file},   {"line", line},
          {"message", message},    {"fatal", false}, {"where", ""}};
}

Report MakeReport(std::vector<Run> runs, const std::string& profile) {
  JoinAndLabel(runs);
  return Report::Make(SmallCatalogue(), std::move(runs), LoadProfile(profile));
}

}  // namespace netns::reports::testing
