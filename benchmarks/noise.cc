// SPDX-License-Identifier: GPL-2.0-or-later
// How much this machine's time varies by itself: work that is always the same and that no network namespace has a part in.
// Measured in every round like any benchmark; its spread is the noise floor, its change from one run to the next is the
// machine's and not the kernel's.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "benchmarks/processes.h"

namespace netns::bench {
namespace {

/// Arithmetic in registers: neither memory nor the kernel.
std::uint64_t Spin() {
  std::uint64_t x = 88172645463325252ULL;
  for (int i = 0; i < 100'000; ++i) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
  }
  return x;
}

}  // namespace

void AddNoise() {
  Add("noise/spin", {.manual = true, .quick = true}, [](State& state) {
    // No injected delay: a machine does not get slower by it.
    MedianOf(state, 32, [] {
      const auto begin = Clock::now();
      benchmark::DoNotOptimize(Spin());
      return std::chrono::duration<double>(Clock::now() - begin).count();
    });
  });
  // Memory is got from the kernel, cleared, and given back: what making a namespace consists of, without a namespace.
  Add("noise/memory", {.manual = true, .quick = true}, [](State& state) {
    constexpr std::size_t kSize = 64 * 4096;
    MedianOf(state, 32, [] {
      const auto begin = Clock::now();
      auto* memory = static_cast<char*>(::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
      if (memory == MAP_FAILED) Fail(ErrnoError("mmap"));
      for (std::size_t at = 0; at < kSize; at += 4096) memory[at] = 1;
      ::munmap(memory, kSize);
      return std::chrono::duration<double>(Clock::now() - begin).count();
    });
  });
  Add("noise/fork", {.manual = true, .quick = true}, [](State& state) {
    MedianOf(state, 16, [] {
      const auto begin = Clock::now();
      InChild([] { return 0; });
      return std::chrono::duration<double>(Clock::now() - begin).count();
    });
  });
}

}  // namespace netns::bench
