// SPDX-License-Identifier: GPL-2.0-or-later
//
// Runs in the guest in the place of the test program: many mutants in one boot.
//
// Reads /netns-schedule (lines "NUMBER TEST:TEST:... [TEST:...]..."), and for each line selects the mutant in
// /sys/module/kernel/parameters/netns_mutant and runs the tests, group after group, until one fails. Then it selects mutant 0 and runs the
// test that failed once more: only if it passes there was the failure the mutant's doing, and not what an earlier
// mutant left behind. If it does not, the machine is of no more use, and the sweep ends there. With "NUMBER!" a test that
// breaks (ERROR) counts like one that fails.
//
// Two other lines: "with OPTION:OPTION" sets options of the test program for what follows; "reach PATTERN:PATTERN" runs
// tests with no mutant, and notes which mechanical mutants the kernel met in the time of each (run them with --jobs=1).
//
// The lines of the test program's stream are passed on; names of tests get the prefix "NUMBER/" and, in the run with
// mutant 0, "NUMBER=0/".

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

constexpr const char* kProgram = "/netns-program";
constexpr const char* kSchedule = "/netns-schedule";
constexpr const char* kSelector = "/sys/module/kernel/parameters/netns_mutant";
constexpr const char* kSeen = "/sys/module/kernel/parameters/netns_mutant_seen";
constexpr std::string_view kStreamOption = "--stream=";

bool WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

bool Select(const std::string& number) {
  const int fd = open(kSelector, O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const bool selected = WriteAll(fd, number);
  close(fd);
  return selected;
}

/// What the kernel noted since it was last asked: hexadecimal words separated by commas, without leading zeros.
std::string TakeSeen() {
  const int fd = open(kSeen, O_RDWR | O_CLOEXEC);
  if (fd < 0) return "";
  char buffer[4096];
  const ssize_t got = read(fd, buffer, sizeof buffer);
  WriteAll(fd, "0");
  close(fd);
  std::string text(buffer, got > 0 ? static_cast<std::size_t>(got) : 0);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  const auto first = text.find_first_not_of("0,");
  return first == std::string::npos ? "" : text.substr(first);
}

/// The text value of `key` in a line of the stream, which has no white space between its tokens; "" where it is absent.
std::string ValueOf(std::string_view line, std::string_view key) {
  const std::string begin = "\"" + std::string(key) + "\":\"";
  const auto at = line.find(begin);
  if (at == std::string_view::npos) return "";
  const auto from = at + begin.size();
  return std::string(line.substr(from, line.find('"', from) - from));
}

class Sweep {
 public:
  Sweep(int stream, std::vector<std::string> options) : stream_(stream), options_(std::move(options)) {}

  /// 0, or 3 where the machine or the test program broke.
  int Run() {
    std::ifstream schedule(kSchedule);
    for (std::string line; std::getline(schedule, line);) {
      std::istringstream words(line);
      std::string number;
      words >> number;
      const std::vector<std::string> groups(std::istream_iterator<std::string>(words), {});
      if (groups.empty()) continue;
      if (number == "with") {
        SetOptions(groups.front());
      } else if (number == "reach") {
        if (!Reach(groups.front())) return 3;
      } else if (!Examine(number, groups)) {
        return 3;
      }
    }
    WriteAll(stream_, footer_);
    return 0;
  }

 private:
  struct Outcome {
    std::string failed;  // the first test that said FAIL, or ERROR where that counts
    bool passed = false;
  };

  void Note(const std::string& text) { WriteAll(stream_, R"({"event":"note","level":"info","text":")" + text + "\"}\n"); }

  void SetOptions(const std::string& words) {
    std::istringstream stream(words);
    for (std::string word; std::getline(stream, word, ':');) {
      const std::string name = word.substr(0, word.find('=') + 1);
      std::erase_if(options_, [&](const std::string& option) { return option.starts_with(name); });
      options_.push_back(word);
    }
  }

  bool Reach(const std::string& tests) {
    if (!Select("-1")) return false;
    TakeSeen();
    recording_ = true;
    RunTests("0/", tests);
    recording_ = false;
    return Select("0");
  }

  bool Examine(std::string number, const std::vector<std::string>& groups) {
    errors_count_ = number.ends_with('!');
    if (errors_count_) number.pop_back();
    Note("mutant " + number + " begins");
    if (!Select(number)) {
      Note("mutant " + number + " cannot be selected: " + std::strerror(errno));
      return false;
    }
    Outcome mutated;
    for (const std::string& tests : groups) {
      mutated = RunTests(number + "/", tests);
      if (!mutated.failed.empty()) break;
    }
    if (!Select("0")) return false;
    if (!mutated.failed.empty()) {
      const Outcome sound = RunTests(number + "=0/", mutated.failed);
      if (sound.passed && errors_count_) {
        // By itself once more: what failed only next to others was the machine's load, not the mutant.
        if (!Select(number)) return false;
        if (RunTests(number + "/", mutated.failed).failed.empty()) Note("mutant " + number + " passes alone");
        if (!Select("0")) return false;
      }
      Note("mutant " + number + (sound.passed ? " confirmed" : " not confirmed"));
      if (!sound.passed) return false;
    }
    Note("mutant " + number + " ends");
    return true;
  }

  /// Runs `tests` until one fails.
  Outcome RunTests(const std::string& prefix, const std::string& tests) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) return {};
    const pid_t child = fork();
    if (child == 0) {
      fcntl(ends[1], F_SETFD, 0);
      std::vector<std::string> words = {kProgram, "--stream=/proc/self/fd/" + std::to_string(ends[1]), "--gtest_filter=" + tests};
      words.insert(words.end(), options_.begin(), options_.end());
      std::vector<char*> arguments;
      for (auto& word : words) arguments.push_back(word.data());
      arguments.push_back(nullptr);
      execv(kProgram, arguments.data());
      std::fprintf(stderr, "%s: %s\n", kProgram, std::strerror(errno));
      _exit(127);
    }
    close(ends[1]);
    const Outcome outcome = PassOn(ends[0], child, prefix);
    close(ends[0]);
    return outcome;
  }

  Outcome PassOn(int pipe, pid_t child, const std::string& prefix) {
    Outcome outcome;
    std::string text;
    bool killed = false;
    bool ended = false;
    const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
    fcntl(pipe, F_SETFL, O_NONBLOCK);
    while (!ended) {
      pollfd watched[] = {{pipe, POLLIN, 0}, {pidfd, POLLIN, 0}};
      if (poll(watched, 2, -1) < 0 && errno != EINTR) break;
      ended = (watched[1].revents & POLLIN) != 0;
      char buffer[1 << 16];
      ssize_t got = 0;
      while ((got = read(pipe, buffer, sizeof buffer)) > 0) text.append(buffer, static_cast<std::size_t>(got));
      if (got == 0) ended = true;
      std::size_t begin = 0;
      for (std::size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
        Take(text.substr(begin, end - begin + 1), prefix, outcome);
      }
      text.erase(0, begin);
      if (!outcome.failed.empty() && !killed && !recording_) killed = kill(child, SIGKILL) == 0;  // tests die with their runner
    }
    // The launcher's watchdog would wait for them.
    for (const std::string& test : running_) {
      WriteAll(stream_, R"({"event":"end","test":")" + prefix + test + R"(","iteration":1,"verdict":"SKIP","duration_ms":0,"covers":[],"failures":[]})" "\n");
    }
    running_.clear();
    close(pidfd);
    while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
    }
    return outcome;
  }

  void Take(std::string line, const std::string& prefix, Outcome& outcome) {
    const std::string event = ValueOf(line, "event");
    const std::string test = ValueOf(line, "test");
    if (event == "header") {
      if (!std::exchange(header_seen_, true)) WriteAll(stream_, line);
      return;
    }
    if (event == "footer") {
      footer_ = line;
      return;
    }
    if (event == "start") {
      running_.insert(test);
      if (recording_) TakeSeen();
    }
    if (event == "end") {
      if (recording_) Note("reached " + test + " " + TakeSeen());
      running_.erase(test);
      const std::string verdict = ValueOf(line, "verdict");
      const bool failed = verdict == "FAIL" || (verdict == "ERROR" && errors_count_);
      if (failed && outcome.failed.empty()) outcome.failed = test;
      outcome.passed = verdict == "PASS";
    }
    if (!test.empty()) line.insert(line.find("\"test\":\"") + 8, prefix);
    WriteAll(stream_, line);
  }

  int stream_;
  std::vector<std::string> options_;
  std::set<std::string> running_;
  bool header_seen_ = false;
  bool errors_count_ = false;
  bool recording_ = false;
  std::string footer_;
};

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> options;
  int stream = -1;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word.starts_with(kStreamOption)) {
      stream = open(std::string(word.substr(kStreamOption.size())).c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC);
    } else {
      options.emplace_back(word);
    }
  }
  if (stream < 0) {
    std::fprintf(stderr, "netns-mutant-sweep: runs in the guest only, as 'netns-conformance mutants --together' has it\n");
    return 2;
  }
  return Sweep(stream, std::move(options)).Run();
}
