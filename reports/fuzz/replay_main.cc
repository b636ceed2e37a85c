// SPDX-License-Identifier: GPL-2.0-or-later
// Runs a fuzz target for compilers without libFuzzer: over the files of directories, and then over damaged copies of them,
// always the same ones. Bounded in time; prints how many. Under the preset 'sanitize' with ASan and UBSan.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

void Try(const std::string& input) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
}

// One damage: a byte changed, a part lost, a part there twice, or the end of another input instead of its own.
std::string Damaged(std::string input, const std::vector<std::string>& corpus, std::mt19937& random) {
  const auto below = [&](std::size_t bound) { return bound == 0 ? 0 : random() % bound; };
  const std::size_t at = below(input.size()), length = below(std::min<std::size_t>(64, input.size() - at));
  switch (random() % 4) {
    case 0:
      if (!input.empty()) input[at] = static_cast<char>(random());
      break;
    case 1: input.erase(at, length); break;
    case 2: input.insert(at, input.substr(at, length)); break;
    default: {
      const std::string& other = corpus[below(corpus.size())];
      input = input.substr(0, at) + other.substr(below(other.size()));
    }
  }
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> corpus;
  for (int i = 1; i < argc; ++i) {
    // In the order of their names, so that each run tries the same inputs.
    std::vector<std::filesystem::path> paths;
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) paths.push_back(entry.path());
    std::sort(paths.begin(), paths.end());
    for (const auto& path : paths) {
      std::ifstream file(path, std::ios::binary);
      corpus.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
  }
  for (const std::string& input : corpus) Try(input);
  constexpr int kDamaged = 20000;
  constexpr std::chrono::seconds kLongest(10);
  const auto begin = std::chrono::steady_clock::now();
  std::mt19937 random(1);
  int tried = 0;
  for (; !corpus.empty() && tried < kDamaged && std::chrono::steady_clock::now() - begin < kLongest; ++tried) {
    std::string input = corpus[random() % corpus.size()];
    for (unsigned damages = 1 + random() % 4; damages > 0; --damages) input = Damaged(std::move(input), corpus, random);
    Try(input);
  }
  std::printf("%zu inputs, %d damaged ones\n", corpus.size(), tried);
  return corpus.empty() ? 1 : 0;
}
