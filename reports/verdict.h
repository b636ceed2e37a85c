// SPDX-License-Identifier: GPL-2.0-or-later
// The words for results (those of KCIDB) and how they add up.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace netns::reports {

enum class Verdict {
  kPass,
  kFail,      ///< The kernel is wrong.
  kError,     ///< The test, the harness or the machine broke; also the verdict of an incomplete run.
  kMiss,      ///< Could not be run here.
  kSkip,      ///< Not asked for.
  kUntested,  ///< Of a requirement only: no test covers it.
};

inline constexpr std::array kAllVerdicts = {Verdict::kPass, Verdict::kFail, Verdict::kError,
                                            Verdict::kMiss, Verdict::kSkip, Verdict::kUntested};

/// "PASS"; "not tested" for kUntested.
std::string_view Word(Verdict verdict);
/// The verdict of a word of docs/events.md; nothing for another word.
std::optional<Verdict> ParseVerdict(std::string_view word);
/// The one that counts of two verdicts: FAIL before ERROR, MISS, PASS, SKIP, not tested. A requirement of which one
/// test passed and another could not run is not shown in full, hence MISS before PASS; a test that nobody asked for
/// says nothing, hence SKIP after it.
Verdict Worse(Verdict a, Verdict b);

/// How many of each.
class Counts {
 public:
  void Add(Verdict verdict) { ++counts_[static_cast<std::size_t>(verdict)]; }
  Counts& operator+=(const Counts& other);
  int operator[](Verdict verdict) const { return counts_[static_cast<std::size_t>(verdict)]; }
  int total() const;

 private:
  std::array<int, kAllVerdicts.size()> counts_{};
};

/// Exit statuses of every command.
enum ExitStatus : int {
  kExitPass = 0,
  kExitFail = 1,
  kExitUsage = 2,
  kExitError = 3,
  kExitForbidden = 4,
};

}  // namespace netns::reports
