// SPDX-License-Identifier: GPL-2.0-or-later
#include "benchmarks/bench.h"

#include <algorithm>
#include <cmath>
#include <csignal>

namespace netns::bench {
namespace {

volatile std::sig_atomic_t interrupted = 0;
double scale = 1;
double injected = 0;

}  // namespace

std::vector<Benchmark>& All() {
  static std::vector<Benchmark> all;
  return all;
}

void Add(std::string name, Traits traits, std::function<void(State&)> body) {
  All().push_back({std::move(name), std::move(traits), std::move(body)});
}

bool IsLimit(int code) {
  return code == ENOSPC || code == ENOMEM || code == EMFILE || code == ENFILE || code == EAGAIN || code == EUSERS ||
         code == ENOBUFS;
}

std::string LimitName(int code) {
  switch (code) {
    case ENOSPC: return "user.max_net_namespaces (ENOSPC)";
    case EMFILE: return "the limit of open files, ulimit -n (EMFILE)";
    case ENFILE: return "fs.file-max (ENFILE)";
    case EAGAIN: return "the limit of processes (EAGAIN)";
    case EUSERS: return "the nesting of user namespaces (EUSERS)";
    default: return "memory (" + ErrnoName(code) + ")";
  }
}

void Fail(const Error& error, const std::string& so_far, std::source_location where) {
  if (IsLimit(error.code))
    throw LimitReached("reached: " + LimitName(error.code) + ", at " + error.call +
                       (so_far.empty() ? "" : "; until then: " + so_far));
  ThrowSetupFailure(error, error.ToString(), where);
}

void SetInterrupted() { interrupted = 1; }
bool IsInterrupted() { return interrupted != 0; }
void CheckInterrupted() {
  if (IsInterrupted()) throw Interrupted();
}

double Scale() { return scale; }
void SetScale(double value) { scale = value; }
int Scaled(int count) { return std::max(1, static_cast<int>(std::lround(count * scale))); }

void SetInjectedDelay(double part) { injected = part; }

double StopWatch::Stop() const {
  auto elapsed = Clock::now() - begin_;
  if (injected > 0) {
    const auto until = begin_ + std::chrono::duration_cast<Clock::duration>(elapsed * (1 + injected));
    while (Clock::now() < until) {
    }
    elapsed = Clock::now() - begin_;
  }
  return std::chrono::duration<double>(elapsed).count();
}

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

long NextIterations(long iterations, double seconds, double wanted, long most) {
  const double factor = seconds > 0 ? wanted / seconds : 10;
  // A short trial says little: grow by ten at most, and try again.
  const double next = std::ceil(static_cast<double>(iterations) * std::clamp(factor, 1.0, 10.0));
  return std::min(most, std::max(iterations, static_cast<long>(next)));
}

void MedianOf(State& state, int count, const std::function<double()>& step, const std::function<void()>& after) {
  std::vector<double> seconds(static_cast<std::size_t>(count));
  double sum = 0;
  for (auto _ : state) {
    for (double& one : seconds) {
      CheckInterrupted();
      sum += one = step();
    }
    state.SetIterationTime(Median(seconds));
    if (after) after();
  }
  state.counters["mean_s"] = sum / static_cast<double>(count) / static_cast<double>(state.iterations());
}

}  // namespace netns::bench
