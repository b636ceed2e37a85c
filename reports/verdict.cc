// SPDX-License-Identifier: GPL-2.0-or-later
#include "reports/verdict.h"

#include <numeric>

namespace netns::reports {

std::string_view Word(Verdict verdict) {
  switch (verdict) {
    case Verdict::kPass: return "PASS";
    case Verdict::kFail: return "FAIL";
    case Verdict::kError: return "ERROR";
    case Verdict::kMiss: return "MISS";
    case Verdict::kSkip: return "SKIP";
    case Verdict::kUntested: return "not tested";
  }
  return "not tested";
}

std::optional<Verdict> ParseVerdict(std::string_view word) {
  for (const Verdict verdict : kAllVerdicts)
    if (verdict != Verdict::kUntested && Word(verdict) == word) return verdict;
  return std::nullopt;
}

Verdict Worse(Verdict a, Verdict b) {
  constexpr std::array kWorstFirst = {Verdict::kFail, Verdict::kError, Verdict::kMiss,
                                      Verdict::kPass, Verdict::kSkip,  Verdict::kUntested};
  for (const Verdict verdict : kWorstFirst)
    if (a == verdict || b == verdict) return verdict;
  return Verdict::kUntested;
}

Counts& Counts::operator+=(const Counts& other) {
  for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
  return *this;
}

int Counts::total() const { return std::accumulate(counts_.begin(), counts_.end(), 0); }

}  // namespace netns::reports
