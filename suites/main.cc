// SPDX-License-Identifier: GPL-2.0-or-later
// netns-tests: all suites in one program.
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "fixtures/nic.h"
#include "harness/runner.h"
#include "known_defects.gen.h"
#include "requirements.gen.h"

namespace {

std::string Describe(const std::string& id) {
  const netns::RequirementText* requirement = netns::FindRequirement(id);
  if (requirement == nullptr) return {};
  return std::string(requirement->statement) + " [" + std::string(requirement->source) + "]";
}

std::vector<netns::RunnerOptions::Device> Devices() {
  std::vector<netns::RunnerOptions::Device> devices;
  for (const auto& nic : netns::FindPhysicalNics()) devices.push_back({nic.driver, nic.name, nic.mac, nic.bus});
  return devices;
}

}  // namespace

int main(int argc, char** argv) {
  netns::RunnerOptions options;
  options.command.assign(argv, argv + argc);
  options.tool_version = NETNS_VERSION;
  options.describe_requirement = Describe;
  options.find_devices = Devices;
  auto known = netns::ParseKnownDefects(kKnownDefects);
  if (!known.ok()) {
    std::fprintf(stderr, "netns-tests: suites/known-defects.txt: %s\n", known.error().call.c_str());
    return netns::kBroken;
  }
  options.known_defects = *known;
  testing::InitGoogleTest(&argc, argv);  // takes its own flags out

  CLI::App app("Conformance tests of Linux network namespaces. All flags of GoogleTest work too (--gtest_help shows them).");
  std::string list;
  int deadline = 60;  // some take 20 s where an ordinary user runs them beside a kernel build
  bool no_host_guard = false, gtest_help = false;
  std::string shard;
  app.add_option("--stream", options.stream_path, "write the event stream (JSON Lines) to this file or device");
  app.add_option("--machine-facts", options.machine_facts_path, "a JSON object for the header's `machine`");
  app.add_option("--skip-file", options.skip_file, "names of tests, one a line, not to run");
  app.add_option("--alone-file", options.alone_file, "names of tests, one a line, to run first and one at a time");
  app.add_option("--jobs,-j", options.jobs, "run this many tests at once")->check(CLI::Range(1, 256));
  // Not GTEST_TOTAL_SHARDS: the header is to show the plan of all shards, so that their streams can be joined.
  app.add_option("--shard", shard, "I/N: run every Nth of the selected tests, from the Ith on")
      ->check(CLI::Validator(
          [&](const std::string& text) {
            char end;
            const bool good = std::sscanf(text.c_str(), "%d/%d%c", &options.shard, &options.shards, &end) == 2 &&
                              options.shard >= 1 && options.shard <= options.shards;
            return good ? std::string() : "'" + text + "' is not I/N with 1 <= I <= N";
          },
          "I/N"));
  app.add_option("--deadline", deadline, "seconds that one test may take")->check(CLI::Range(1, 86400));
  app.add_option("--progress", options.progress, "auto, none, plain, terminal")
      ->check(CLI::IsMember({"auto", "gtest", "none", "plain", "terminal"}));
  app.add_flag("--disposable-machine", options.disposable,
               "this machine is to spare: tests may change its initial network namespace");
  app.add_flag("--full", options.full, "also run the long tests");
  app.add_flag("--quick", options.quick, "of the selected tests only so many that each requirement is checked");
  app.add_flag("--no-host-guard", no_host_guard, "do not compare the machine before and after");
  bool ctest = false;
  app.add_flag("--ctest", ctest, "one ctest entry: no host guard (the whole run has one), exit status 4 for a MISS");
  app.add_option("--list", list, "print the tests with what they cover and need, and run nothing")
      ->check(CLI::IsMember({"json"}));
  app.add_flag("--gtest_help", gtest_help)->group("");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : netns::kUsage;
  }
  options.deadline = std::chrono::seconds(deadline);
  options.host_guard = !no_host_guard && !ctest;
  options.miss_is_status_4 = ctest;
  if (!list.empty()) {
    std::fputs(netns::ListAsJson().c_str(), stdout);
    return 0;
  }
  return netns::RunTests(options);
}
