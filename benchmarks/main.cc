// SPDX-License-Identifier: GPL-2.0-or-later
// netns-bench: what network namespaces cost. Manual: docs/benchmarks.md.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <regex>
#include <set>

#include "benchmarks/context.h"
#include "benchmarks/rounds.h"
#include "benchmarks/world.h"

namespace netns::bench {
namespace {

struct Options {
  std::string filter, stream, json, machine_facts, progress = "auto";
  bool quick = false, list = false, disposable = false, json_in_stream = false;
  int repetitions = 0;
  double seconds_each = 0, scale = 1, time_limit = 0, inject = 0;
  unsigned seed = 0;
};

void AddAll() {
  AddNoise();
  AddCreation();
  AddFreeing();
  AddCrowds();
  AddEntering();
  AddVeth();
  AddDataPath();
  AddReading();
  AddMemory();
  AddWorkloads();
  AddOtherTools();
  AddPhysical();
  AddHarness();
}

/// The noise benchmarks belong to every run, and a floor to whatever is held beside it.
std::vector<const Benchmark*> Select(const Options& options) {
  const std::regex filter(options.filter);
  const auto wanted = [&](const Benchmark& benchmark) {
    return options.filter.empty() ? !options.quick || benchmark.traits.quick
                                  : std::regex_search(benchmark.name, filter) && (!options.quick || benchmark.traits.quick);
  };
  std::set<std::string> floors;
  for (const Benchmark& benchmark : All())
    if (wanted(benchmark)) floors.insert(benchmark.traits.floor);
  std::vector<const Benchmark*> selected;
  for (const Benchmark& benchmark : All())
    if (wanted(benchmark) || floors.contains(benchmark.name) || benchmark.name.starts_with("noise/"))
      selected.push_back(&benchmark);
  return selected;
}

nlohmann::json MachineFacts(const std::string& path) {
  if (path.empty()) return nlohmann::json::object();
  auto facts = nlohmann::json::parse(SETUP_OK(ReadFile(path)), nullptr, false);
  return facts.is_object() ? facts : nlohmann::json::object();
}

CpuTimes Now() {
  auto stat = ReadFile("/proc/stat");
  return ParseCpuTimes(stat.ok() ? *stat : "");
}

void TellNoise(Output& output, const CpuTimes& before, double load_before) {
  NoiseFacts facts{.load_before = load_before};
  const auto spread_of = [&](const char* name) {
    const auto found = output.values().find(name);
    return found == output.values().end() ? 0 : Spread(found->second);
  };
  facts.spin = spread_of("noise/spin");
  const CpuTimes after = Now();
  if (after.all > before.all) facts.steal = (after.steal - before.steal) / (after.all - before.all);
  char text[160];
  std::snprintf(text, sizeof text, "noise floor: the same arithmetic differs by %.1f%%, the same use of memory by %.1f%%",
                facts.spin * 100, spread_of("noise/memory") * 100);
  output.Note("info", text);
  if (const std::string why = WhyNoisy(facts); !why.empty()) output.Note("warning", "a noisy machine: " + why);
}

int Work(const Options& options, const std::vector<std::string>& command, const std::map<std::string, std::string>& context,
         const nlohmann::json& machine, double load_per_cpu) {
  try {
    std::vector<const Benchmark*> selected = Select(options);
    if (options.filter.empty() && !IsDisposableMachine())
      std::erase_if(selected, [](const Benchmark* benchmark) { return benchmark->traits.machine; });
    Output output({.stream_path = options.stream,
                   .json_path = options.json,
                   .json_in_stream = options.json_in_stream,
                   .progress = options.progress,
                   .tool_version = NETNS_VERSION,
                   .command = command,
                   .machine = machine,
                   .context = context});
    RoundOptions rounds{.seed = options.seed};
    if (options.quick) rounds = {.repetitions = 7, .seconds_each = 0.04, .time_limit = 48, .fewest = 1, .seed = options.seed};
    if (options.repetitions > 0) rounds.repetitions = options.repetitions, rounds.fewest = options.repetitions;
    if (options.seconds_each > 0) rounds.seconds_each = options.seconds_each;
    if (options.time_limit > 0) rounds.time_limit = options.time_limit;
    output.Begin(selected, rounds.repetitions);
    const CpuTimes before = Now();
    const bool complete = Rounds(output, rounds).Run(selected);
    TellNoise(output, before, load_per_cpu);
    if (!complete) output.Note("warning", "interrupted: the figures are those until then");
    return output.Finish(complete);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "netns-bench: %s\n", error.what());
    return 3;
  }
}

int Main(int argc, char** argv) {
  CLI::App app("What network namespaces cost. Runs in namespaces of its own; needs no root.", "netns-bench");
  Options options;
  app.add_option("--filter,--benchmark_filter,--gtest_filter", options.filter, "only benchmarks whose name this regular expression finds");
  app.add_flag("--quick", options.quick, "the most telling ones, in less than a minute");
  app.add_flag("--list", options.list, "print the names and run nothing");
  app.add_option("--stream", options.stream, "write the event stream (JSON Lines) to this file or device");
  app.add_option("--json,--benchmark_out", options.json, "write Google Benchmark's JSON to this file");
  app.add_flag("--json-in-stream", options.json_in_stream, "put Google Benchmark's JSON into the event stream, too");
  app.add_option("--repetitions,--benchmark_repetitions", options.repetitions, "rounds (default: 10; with --quick 7, as time allows)")->check(CLI::Range(1, 10000));
  app.add_option("--seconds-each,--benchmark_min_time", options.seconds_each, "about how long one repetition takes (default: 0.15)")->check(CLI::Range(0.0, 3600.0));
  app.add_option("--time-limit", options.time_limit, "begin no round that would end later than this, in seconds");
  app.add_option("--scale", options.scale, "make workloads of thousands smaller or larger (default: 1)")->check(CLI::Range(0.0001, 1000.0));
  app.add_option("--seed", options.seed, "of the order within rounds");
  app.add_option("--progress", options.progress, "auto, none, plain, terminal")->check(CLI::IsMember({"auto", "none", "plain", "terminal"}));
  app.add_option("--machine-facts", options.machine_facts, "a JSON object for the header's `machine`");
  app.add_flag("--disposable-machine", options.disposable, "this machine is to spare: also time its physical devices");
  // For the proof that a slowdown is found: no user wants it.
  app.add_option("--inject-delay", options.inject)->check(CLI::Range(0.0, 10.0))->group("");
  // What the VM's launcher says to any test program, and means nothing here.
  std::string ignored;
  for (const char* name : {"--jobs", "--deadline", "--skip-file"}) app.add_option(name, ignored)->group("");
  try {
    app.parse(argc, argv);
    std::regex checked(options.filter);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  } catch (const std::regex_error& error) {
    std::fprintf(stderr, "netns-bench: --filter: %s\n", error.what());
    return 2;
  }
  if (options.disposable) SetDisposableMachine();
  SetScale(options.scale);
  SetInjectedDelay(options.inject);
  AddAll();
  if (options.list) {
    for (const Benchmark& benchmark : All()) std::printf("%s\n", benchmark.name.c_str());
    return 0;
  }
  // Read before anything of ours runs.
  const nlohmann::json machine = MachineFacts(options.machine_facts);
  const auto context = ReadContext("", machine);
  const auto load = context.find("load");
  const double load_per_cpu = std::strtod(load->second.c_str(), nullptr) / std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN));
  const std::vector<std::string> command(argv, argv + argc);
  return RunInOwnWorld([&] { return Work(options, command, context, machine, load_per_cpu); });
}

}  // namespace
}  // namespace netns::bench

int main(int argc, char** argv) {
  try {
    int none = 1;  // its flags are not ours
    benchmark::Initialize(&none, argv);
    return netns::bench::Main(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "netns-bench: %s\n", error.what());
    return 3;
  }
}
