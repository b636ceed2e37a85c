// SPDX-License-Identifier: GPL-2.0-or-later
// What a benchmark is made with. A body reads as what it times:
//
//   Add("enter/setns", {.unit = benchmark::kNanosecond, .quick = true}, [](State& state) {
//     auto a = NetNamespace::Create(), b = NetNamespace::Create();
//     for (auto _ : state) Must(::setns(a.fd(), CLONE_NEWNET), "setns(CLONE_NEWNET)");
//   });
//
// Set-up fails by throwing (SETUP_OK, value(), Must): the benchmark then ends as ERROR, as MISS where the kernel lacks
// what it needs (MissingNeed), or as MISS with the figures so far where a limit of the machine was reached (LimitReached).
#pragma once

#include <benchmark/benchmark.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "harness/result.h"

namespace netns::bench {

using benchmark::State;

/// What is known of a benchmark without running it.
struct Traits {
  benchmark::TimeUnit unit = benchmark::kMicrosecond;
  bool manual = false;       ///< the body tells its time itself (SetIterationTime, MedianOf)
  bool quick = false;        ///< part of --quick
  bool machine = false;      ///< only on a machine of the suite's own: it touches the initial namespace
  std::string floor = {};    ///< the benchmark below whose time this one cannot go; reports show the ratio
  std::string complexity = {};  ///< family whose cost is fitted against the last part of the name
  std::string value_unit = {};  ///< the value is the counter "value", in this unit, and not a time
  long most_iterations = 1'000'000'000;
};

struct Benchmark {
  std::string name;  ///< area/what/param
  Traits traits;
  std::function<void(State&)> body;
};

/// All benchmarks, in the order in which they were added.
std::vector<Benchmark>& All();
void Add(std::string name, Traits traits, std::function<void(State&)> body);

// One per file: which benchmarks there are is read top down, not collected by the linker.
void AddNoise();
void AddCreation();
void AddFreeing();
void AddCrowds();
void AddEntering();
void AddVeth();
void AddDataPath();
void AddReading();
void AddMemory();
void AddWorkloads();
void AddOtherTools();
void AddPhysical();
void AddHarness();

/// A limit of the machine (user.max_net_namespaces, memory, descriptors, processes) was reached: no fault of the kernel.
class LimitReached : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};
/// The user has had enough.
class Interrupted : public std::runtime_error {
 public:
  Interrupted() : std::runtime_error("interrupted") {}
};

/// Whether an errno says that the machine has no more of something.
bool IsLimit(int code);
/// "user.max_net_namespaces (ENOSPC)", for a message.
std::string LimitName(int code);
/// Throws for an error: LimitReached where it is one, else SetupFailure. `so_far`: the figures until then.
[[noreturn]] void Fail(const Error& error, const std::string& so_far = {},
                       std::source_location where = std::source_location::current());
/// The result of a system call that must succeed.
inline int Must(long result, const char* call, std::source_location where = std::source_location::current()) {
  if (result < 0) Fail(ErrnoError(call, where), {}, where);
  return static_cast<int>(result);
}
inline void Must(const Status& status, std::source_location where = std::source_location::current()) {
  if (!status.ok()) Fail(status.error(), {}, where);
}

/// Set by SIGTERM; long loops ask, so that an interrupted run ends soon.
void SetInterrupted();
bool IsInterrupted();
void CheckInterrupted();

/// What --scale says: workloads of thousands are made smaller or larger by it.
double Scale();
void SetScale(double scale);
/// `count` times Scale(), at least 1.
int Scaled(int count);

/// For the proof that a slowdown is found (benchmarks/prove.py): each timed step is made longer by this part of itself.
void SetInjectedDelay(double part);

using Clock = std::chrono::steady_clock;

/// Times one step.
class StopWatch {
 public:
  /// Seconds since it was made, with the injected delay, if there is one.
  double Stop() const;

 private:
  Clock::time_point begin_ = Clock::now();
};

template <class F>
double Timed(F&& step) {
  const StopWatch watch;
  step();
  return watch.Stop();
}

double Median(std::vector<double> values);

/// How many iterations to try next, where `iterations` took `seconds` and `wanted` seconds are asked for.
long NextIterations(long iterations, double seconds, double wanted, long most);

/// One iteration as Google Benchmark counts: `count` steps, each of which gives its own time in seconds. The iteration's
/// time is their median, so that a single preemption does not decide. `after` clears up, untimed.
void MedianOf(State& state, int count, const std::function<double()>& step, const std::function<void()>& after = {});

}  // namespace netns::bench
