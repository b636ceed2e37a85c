// SPDX-License-Identifier: GPL-2.0-or-later
// Event streams (docs/events.md) read into memory. All text is Printable() once it is here.
#pragma once

#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "reports/catalogue.h"
#include "reports/verdict.h"

namespace netns::reports {

/// A failed expectation, a crash, a deadline: why a test is not PASS.
struct Check {
  std::string kind = {};  ///< "expectation", "setup", "crash", "panic", ... of docs/events.md.
  std::string file = {};
  int line = 0;
  std::string message = {};
  bool fatal = false;
  std::string where = {};  ///< The processes that it came through; empty for the test's body.
  bool operator==(const Check&) const = default;

  /// "suites/veth.cc:41: expectation (in worker)"; without the place where it has none.
  std::string Heading() const;
};

/// Why a test did not run (MISS, SKIP), or what broke (ERROR).
struct Reason {
  std::string code = {};
  std::string text = {};
  std::string remedy = {};
  bool operator==(const Reason&) const = default;
};

/// One end of a test.
struct Result {
  long iteration = 1;
  Verdict verdict = Verdict::kError;
  double duration_ms = 0;
  std::vector<Check> failures = {};
  Reason reason = {};
  std::vector<std::pair<std::string, std::string>> properties = {};
  std::string kernel_log = {};
  std::string output = {};
  bool operator==(const Result&) const = default;

  /// The output without what GoogleTest printed of the failures, for where they are told anyway.
  std::string OutputBesideFailures() const;
};

/// A test as its registration states it.
struct TestInfo {
  std::string name = {};
  std::vector<std::string> covers = {};
  std::vector<std::string> needs = {};
  std::string file = {};
  int line = 0;
  bool selected = true;
};

/// A test and what came of it.
struct TestRecord {
  TestInfo info = {};
  std::vector<Result> results = {};
  /// Of all its iterations. A test that was asked for and has no result is ERROR: silence is never a pass.
  Verdict verdict = Verdict::kSkip;
  bool in_flight = false;    ///< Started and not ended: a suspect of an incomplete run.
  bool not_reached = false;  ///< Asked for, and never started.

  /// The result that decides: the first with the record's verdict; nullptr for a SKIP that has none.
  const Result* Decisive() const;
  /// Of all iterations together.
  double duration_ms() const;
};

struct Measurement {
  std::string name = {};
  std::string unit = {};
  double value = 0;
  std::string floor = {};  ///< The benchmark below whose figure this one cannot go.
};

struct Note {
  std::string level = {};
  std::string text = {};
};

struct Nic {
  std::string name = {};
  std::string driver = {};
  std::string bus = {};
};

struct Header {
  double time = 0;
  std::string schema, tool_name, tool_version = {};
  std::string release, version, architecture, cmdline, tainted = {};
  std::string config_source, config_digest = {};
  std::map<std::string, std::string> config = {};  ///< "NET_NS" -> "y"; "?" where no configuration could be read.
  std::vector<std::string> command = {};
  std::string privilege = {};
  bool disposable = false;
  bool quick = false;  ///< Only so many tests were asked for that each requirement is checked.
  std::map<std::string, std::string> machine = {};
  std::vector<std::string> again = {};  ///< The words of the front door that made this machine; of a VM only.
  std::vector<Nic> nics = {};
};

/// One run of the suites on one kernel.
struct Run {
  std::string path = {};   ///< The stream it was read from.
  std::string label = {};  ///< Short and unique among the runs of a report; "6.12.117".
  Header header = {};
  std::vector<TestRecord> tests = {};  ///< In the order of the plan.
  std::vector<Measurement> measurements = {};
  std::vector<Note> notes = {};
  std::vector<std::string> problems = {};  ///< What is wrong with the stream, a line each.
  double duration_ms = 0;
  bool complete = false;  ///< Has its footer, and nothing in it is damaged.

  TestRecord* Find(const std::string& name);
  const TestRecord* Find(const std::string& name) const;
  /// The record of a test, made where there is none.
  TestRecord& Record(const std::string& name);

 private:
  std::unordered_map<std::string, std::size_t> index_;
};

/// Reads the runs of one stream; more than one where streams were joined end to end. A damaged or truncated stream
/// gives an incomplete run with all that could be read. Throws InputError for what is no stream, or another major
/// schema.
std::vector<Run> ReadStream(std::istream& in, const std::string& name);
/// The same of a file; "-" is standard input.
std::vector<Run> ReadStreamFile(const std::string& path);

/// What a stream says of one test.
struct OneTest {
  std::optional<TestRecord> record = {};  ///< Nothing where the stream has no event of it.
  bool ended = false;                     ///< The run got as far as its footer.
};

/// Reads what a stream says of one test, and no more: CTest asks so thousands of times. Throws InputError where the
/// file cannot be read.
OneTest ReadOneTest(const std::string& path, const std::string& test);

/// Joins the runs that are one (equal headers: a stream given twice, or a truncated and a whole copy) and labels all.
void JoinAndLabel(std::vector<Run>& runs);

/// The tests of `netns-tests --list=json`.
std::vector<TestInfo> ReadTestList(const std::string& path);

}  // namespace netns::reports
