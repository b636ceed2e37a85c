// SPDX-License-Identifier: GPL-2.0-or-later
#include "harness/quick.h"

#include <fnmatch.h>

#include <algorithm>
#include <queue>
#include <set>
#include <tuple>

namespace netns {
namespace {

/// GoogleTest knows * and ? only.
bool Matches(std::string_view pattern, const std::string& name) {
  std::string escaped;
  for (const char c : pattern) {
    if (c == '[' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return ::fnmatch(escaped.c_str(), name.c_str(), 0) == 0;
}

bool AnyMatches(std::string_view patterns, const std::string& name) {
  for (std::size_t begin = 0; begin <= patterns.size();) {
    const std::size_t end = std::min(patterns.find(':', begin), patterns.size());
    if (Matches(patterns.substr(begin, end - begin), name)) return true;
    begin = end + 1;
  }
  return false;
}

/// A test in the queue: what it adds, as far as it was counted last, and what makes it the better of two that add the same.
struct Candidate {
  std::size_t adds;
  bool modest;  ///< needs no machine of its own and no time beyond the usual
  std::size_t place;

  bool operator<(const Candidate& other) const {
    return std::tuple(adds, modest, other.place) < std::tuple(other.adds, other.modest, place);
  }
};

bool IsModest(const TestSpec& spec) {
  const auto wants_machine = [](const Need& need) { return need.text == "machine" || need.text.starts_with("nic"); };
  return !spec.exclusive && spec.deadline.count() == 0 && std::none_of(spec.needs.begin(), spec.needs.end(), wants_machine);
}

/// Adds to `chosen` the places of tests that cover more of `left`, and takes it out there, until no admitted test does.
void Choose(const std::vector<const TestSpec*>& tests, const std::function<bool(const TestSpec&)>& admits, std::set<std::string>& left,
            std::set<std::size_t>& chosen) {
  const auto adds = [&](std::size_t place) {
    const auto& covers = tests[place]->covers;
    return static_cast<std::size_t>(std::count_if(covers.begin(), covers.end(), [&](const std::string& id) { return left.contains(id); }));
  };
  std::priority_queue<Candidate> queue;
  for (std::size_t place = 0; place < tests.size(); ++place) queue.push({adds(place), IsModest(*tests[place]), place});
  while (!queue.empty() && queue.top().adds > 0) {
    Candidate best = queue.top();
    queue.pop();
    // What a test adds only shrinks as others are chosen: one that is still first with its count of now is the best.
    if (const std::size_t now = adds(best.place); now < best.adds) {
      best.adds = now;
      queue.push(best);
    } else if (admits(*tests[best.place])) {
      chosen.insert(best.place);
      for (const std::string& id : tests[best.place]->covers) left.erase(id);
    }
  }
}

}  // namespace

bool FilterSelects(std::string_view filter, const std::string& name) {
  const std::size_t minus = filter.find('-');
  const std::string_view wanted = filter.substr(0, minus);
  if (!wanted.empty() && !AnyMatches(wanted, name)) return false;
  return minus == std::string_view::npos || !AnyMatches(filter.substr(minus + 1), name);
}

std::vector<const TestSpec*> QuickChoice(const std::vector<const TestSpec*>& tests, const std::function<bool(const TestSpec&)>& can_run) {
  std::set<std::string> left;
  for (const TestSpec* spec : tests) left.insert(spec->covers.begin(), spec->covers.end());
  std::set<std::size_t> chosen;
  Choose(tests, can_run, left, chosen);
  Choose(tests, [](const TestSpec&) { return true; }, left, chosen);
  std::vector<const TestSpec*> choice;
  for (const std::size_t place : chosen) choice.push_back(tests[place]);
  return choice;
}

}  // namespace netns
