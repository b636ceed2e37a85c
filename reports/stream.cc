// SPDX-License-Identifier: GPL-2.0-or-later
#include "reports/stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>

#include "reports/kill_matrix.h"
#include "reports/text.h"

namespace netns::reports {
namespace {

using nlohmann::json;

// Fields are read with tolerance: one that is absent or of another type counts as absent.
const json& Field(const json& object, const char* key) {
  static const json kNull;
  if (!object.is_object()) return kNull;
  const auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

std::string AsText(const json& value) {
  if (value.is_string()) return Printable(value.get_ref<const std::string&>());
  if (value.is_null()) return {};
  return Printable(value.dump(-1, ' ', false, json::error_handler_t::replace));
}

std::string String(const json& object, const char* key) {
  const json& value = Field(object, key);
  return value.is_string() ? AsText(value) : std::string();
}

double Number(const json& object, const char* key, double fallback = 0) {
  const json& value = Field(object, key);
  return value.is_number() ? value.get<double>() : fallback;
}

// A number out of range is no number: a conversion would be undefined.
long Integer(const json& object, const char* key, long fallback) {
  const double value = Number(object, key, static_cast<double>(fallback));
  return std::abs(value) < 1e9 ? static_cast<long>(value) : fallback;
}

bool Flag(const json& object, const char* key, bool fallback) {
  const json& value = Field(object, key);
  return value.is_boolean() ? value.get<bool>() : fallback;
}

std::vector<std::string> Strings(const json& object, const char* key) {
  std::vector<std::string> out;
  const json& value = Field(object, key);
  if (!value.is_array()) return out;
  for (const json& item : value)
    if (item.is_string()) out.push_back(AsText(item));
  return out;
}

template <class Map>
Map TextMap(const json& object) {
  Map out;
  if (!object.is_object()) return out;
  for (const auto& [key, value] : object.items()) out.insert(out.end(), {Printable(key), AsText(value)});
  return out;
}

Check ReadCheck(const json& object) {
  return Check{.kind = String(object, "kind"),
               .file = String(object, "file"),
               .line = static_cast<int>(Integer(object, "line", 0)),
               .message = String(object, "message"),
               .fatal = Flag(object, "fatal", false),
               .where = String(object, "where")};
}

TestInfo ReadTestInfo(const json& object) {
  return TestInfo{.name = String(object, "name"),
                  .covers = Strings(object, "covers"),
                  .needs = Strings(object, "needs"),
                  .file = String(object, "file"),
                  .line = static_cast<int>(Integer(object, "line", 0)),
                  .selected = Flag(object, "selected", true)};
}

Header ReadHeader(const json& event) {
  Header header;
  header.time = Number(event, "time");
  header.schema = String(event, "schema");
  const json& tool = Field(event, "tool");
  header.tool_name = String(tool, "name");
  header.tool_version = String(tool, "version");
  const json& kernel = Field(event, "kernel");
  header.release = String(kernel, "release");
  header.version = String(kernel, "version");
  header.architecture = String(kernel, "machine");
  header.cmdline = String(kernel, "cmdline");
  header.tainted = AsText(Field(kernel, "tainted"));
  const json& config = Field(kernel, "config");
  header.config_source = String(config, "source");
  header.config_digest = String(config, "digest");
  header.config = TextMap<std::map<std::string, std::string>>(Field(config, "options"));
  header.command = Strings(event, "command");
  header.privilege = String(event, "privilege");
  header.disposable = Flag(event, "disposable", false);
  header.quick = Flag(event, "quick", false);
  header.machine = TextMap<std::map<std::string, std::string>>(Field(event, "machine"));
  header.machine.erase("command");
  header.again = Strings(Field(event, "machine"), "command");
  const json& nics = Field(event, "nics");
  if (nics.is_array())
    for (const json& nic : nics)
      header.nics.push_back({.name = String(nic, "name"), .driver = String(nic, "driver"), .bus = String(nic, "bus")});
  return header;
}

// Accepts "1", "1.0", "1.7"; refuses any other major version.
void CheckSchema(const json& event, const std::string& name) {
  const std::string schema = String(event, "schema");
  if (schema.empty())
    throw InputError(fmt::format("{}: the header names no schema version; it is no event stream", name));
  if (schema.substr(0, schema.find('.')) != "1")
    throw InputError(
        fmt::format("{}: event stream of schema {}, but this program reads 1.x; use the netns-report of "
                    "netns-conformance {}",
                    name, schema, String(Field(event, "tool"), "version")));
}

// A serial line may have put bytes into a line that are no UTF-8; the rest of it is still worth reading.
std::optional<json> ParseLine(const std::string& line) {
  json event = json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (event.is_discarded()) event = json::parse(Printable(line), nullptr, false);
  if (event.is_discarded() || !event.is_object()) return std::nullopt;
  return event;
}

// Builds one run out of its events.
class RunBuilder {
 public:
  RunBuilder(const std::string& path, const json& header) {
    run_.path = path;
    run_.header = ReadHeader(header);
    const json& plan = Field(header, "tests");
    if (!plan.is_array()) return;
    for (const json& item : plan) {
      TestInfo info = ReadTestInfo(item);
      if (info.name.empty()) continue;
      if (run_.Find(info.name) != nullptr) {
        Problem(fmt::format("the plan has the test {} twice; their results are counted as one test's", info.name));
        continue;
      }
      TestRecord& record = run_.Record(info.name);
      record.info = std::move(info);
    }
  }

  /// A run of which not even the header is whole.
  explicit RunBuilder(const std::string& path) { run_.path = path; }

  void Damage(const std::string& what) {
    damaged_ = true;
    Problem(what);
  }

  void Add(const json& event, std::size_t line) {
    const std::string kind = String(event, "event");
    last_time_ = std::max(last_time_, Number(event, "time"));
    if (footer_seen_) Problem(fmt::format("line {} comes after the footer", line));
    if (kind == "start") {
      Start(event);
    } else if (kind == "check") {
      open_[Key(event)].push_back(ReadCheck(event));
    } else if (kind == "end") {
      End(event, line);
    } else if (kind == "measurement") {
      run_.measurements.push_back({.name = String(event, "name"),
                                   .unit = String(event, "unit"),
                                   .value = Number(event, "value"),
                                   .floor = String(event, "floor")});
    } else if (kind == "note") {
      run_.notes.push_back({.level = String(event, "level"), .text = String(event, "text")});
    } else if (kind == "footer") {
      Footer(event);
    } else if (kind.empty()) {
      Damage(fmt::format("line {} is no event", line));
    }
    // Other kinds are of a later minor version.
  }

  Run Finish() {
    if (!footer_seen_ && !cut_short_said_) Problem("it has no footer: the run was cut short");
    Unended();
    Verdicts();
    run_.complete = footer_seen_ && !damaged_;
    if (!footer_seen_ && run_.header.time > 0) run_.duration_ms = std::max(0.0, last_time_ - run_.header.time) * 1000;
    return std::move(run_);
  }

  void CutShort(const std::string& what) {
    cut_short_said_ = true;
    Damage(what);
  }

 private:
  using TestIteration = std::pair<std::string, long>;

  static TestIteration Key(const json& event) { return {String(event, "test"), Integer(event, "iteration", 1)}; }

  void Problem(std::string text) {
    // A stream of garbage must not become a report of garbage.
    constexpr std::size_t kMost = 20;
    if (run_.problems.size() < kMost) run_.problems.push_back(std::move(text));
  }

  void Start(const json& event) {
    const TestIteration key = Key(event);
    if (key.first.empty()) return;
    run_.Record(key.first);
    open_[key];
  }

  void End(const json& event, std::size_t line) {
    const TestIteration key = Key(event);
    if (key.first.empty()) return Damage(fmt::format("line {} ends a test without a name", line));
    TestRecord& record = run_.Record(key.first);
    if (record.info.covers.empty()) record.info.covers = Strings(event, "covers");
    Result result{.iteration = key.second, .duration_ms = Number(event, "duration_ms")};
    const std::string word = String(event, "verdict");
    if (const auto verdict = ParseVerdict(word))
      result.verdict = *verdict;
    else
      Damage(fmt::format("line {}: '{}' is no verdict; {} counts as ERROR", line, word, key.first));
    const json& failures = Field(event, "failures");
    if (failures.is_array())
      for (const json& failure : failures) result.failures.push_back(ReadCheck(failure));
    // Writers bound what a test that runs wild can say.
    if (const long dropped = Integer(event, "failures_dropped", 0); dropped > 0)
      result.failures.push_back(
          {.kind = "dropped", .message = fmt::format("{} were not kept", Count(dropped, "more failure"))});
    const auto open = open_.find(key);
    if (open != open_.end()) {
      // The launcher ends the test in flight of a dead guest without knowing what it had already said.
      for (Check& check : open->second)
        if (std::find(result.failures.begin(), result.failures.end(), check) == result.failures.end())
          result.failures.push_back(std::move(check));
      open_.erase(open);
    }
    const json& reason = Field(event, "reason");
    result.reason = {
        .code = String(reason, "code"), .text = String(reason, "text"), .remedy = String(reason, "remedy")};
    result.properties = TextMap<std::vector<std::pair<std::string, std::string>>>(Field(event, "properties"));
    result.kernel_log = String(event, "kernel_log");
    result.output = String(event, "output");
    if (const long dropped = Integer(event, "output_dropped", 0); dropped > 0)
      result.output += fmt::format("\n[{} of output not kept]", Count(dropped, "more byte"));
    ends_.Add(result.verdict);
    if (!ended_.insert(key).second)
      Problem(fmt::format("line {} ends {} (iteration {}) once more; the worst verdict counts", line, key.first,
                          key.second));
    record.results.push_back(std::move(result));
  }

  void Footer(const json& event) {
    footer_seen_ = true;
    run_.duration_ms = Number(event, "duration_ms");
    const json& counts = Field(event, "counts");
    for (const Verdict verdict : {Verdict::kPass, Verdict::kFail, Verdict::kError, Verdict::kMiss}) {
      const long said = Integer(counts, std::string(Word(verdict)).c_str(), 0);
      if (ends_[verdict] < said)
        Damage(fmt::format("the footer counts {} {}, but the stream has {}: lines were lost", said, Word(verdict),
                           ends_[verdict]));
    }
  }

  // Tests that started and did not end get a result that says so, with what they had told until then.
  void Unended() {
    for (auto& [key, checks] : open_) {
      if (key.first.empty()) continue;
      TestRecord& record = run_.Record(key.first);
      record.in_flight = true;
      Result result{.iteration = key.second, .verdict = Verdict::kError, .failures = std::move(checks)};
      result.failures.push_back(
          {.kind = "incomplete", .message = "The test started and the stream ends before it did: it is a suspect."});
      result.reason = {.code = "incomplete", .text = "started and did not end"};
      record.results.push_back(std::move(result));
    }
    open_.clear();
  }

  void Verdicts() {
    for (TestRecord& record : run_.tests) {
      if (record.results.empty() && record.info.selected) {
        record.not_reached = true;
        record.verdict = Verdict::kError;
        record.results.push_back(
            {.verdict = Verdict::kError, .reason = {.code = "not-reached", .text = "was asked for and never ran"}});
      }
      for (const Result& result : record.results) record.verdict = Worse(record.verdict, result.verdict);
    }
  }

  Run run_;
  std::map<TestIteration, std::vector<Check>> open_;
  std::set<TestIteration> ended_;
  Counts ends_;
  double last_time_ = 0;
  bool footer_seen_ = false;
  bool damaged_ = false;
  bool cut_short_said_ = false;
};

// Of a first line that is cut short: writers may have put the header's fields in any order.
bool LooksLikeHeader(const std::string& line) {
  constexpr std::array kFirstFields = {"{\"command\"", "{\"event\":\"header\"", "{\"schema\"",
                                       "{\"event\": \"header\""};
  return std::any_of(kFirstFields.begin(), kFirstFields.end(),
                     [&](const char* field) { return line.starts_with(field); });
}

std::ifstream Open(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw InputError(fmt::format("{}: {}", path, std::strerror(errno)));
  // A directory can be opened, but not read.
  if (file.peek() == std::ifstream::traits_type::eof() && file.bad())
    throw InputError(fmt::format("{}: {}", path, std::strerror(errno)));
  file.clear();
  return file;
}

}  // namespace

std::string Check::Heading() const {
  return fmt::format("{}{}{}", file.empty() ? "" : fmt::format("{}:{}: ", file, line), kind,
                     where.empty() ? "" : fmt::format(" (in {})", where));
}

std::string Result::OutputBesideFailures() const {
  std::string left = output;
  for (const Check& check : failures) {
    const std::string printed = fmt::format("{}:{}: {}\n", check.file, check.line, check.message);
    if (const auto at = left.find(printed); at != std::string::npos) left.erase(at, printed.size());
  }
  return left;
}

const Result* TestRecord::Decisive() const {
  for (const Result& result : results)
    if (result.verdict == verdict) return &result;
  return nullptr;
}

double TestRecord::duration_ms() const {
  double sum = 0;
  for (const Result& result : results) sum += result.duration_ms;
  return sum;
}

TestRecord* Run::Find(const std::string& name) {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tests[found->second];
}

const TestRecord* Run::Find(const std::string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tests[found->second];
}

TestRecord& Run::Record(const std::string& name) {
  const auto [found, is_new] = index_.emplace(name, tests.size());
  if (is_new) {
    tests.emplace_back();
    tests.back().info.name = name;
  }
  return tests[found->second];
}

std::vector<Run> ReadStream(std::istream& in, const std::string& name) {
  std::vector<Run> runs;
  std::optional<RunBuilder> builder;
  std::string line;
  std::size_t number = 0;
  while (std::getline(in, line)) {
    ++number;
    const bool last_and_cut = in.eof();  // getline() met the end before a newline
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    const std::optional<json> event = ParseLine(line);
    if (event && String(*event, "event") == "header") {
      if (builder) runs.push_back(builder->Finish());
      CheckSchema(*event, name);
      builder.emplace(name, *event);
    } else if (!builder && !event && last_and_cut && LooksLikeHeader(line)) {
      builder.emplace(name);
      builder->CutShort("it ends within its header");
    } else if (!builder) {
      throw InputError(
          fmt::format("{}: no event stream: line {} is no header; give a file that --stream wrote", name, number));
    } else if (event) {
      builder->Add(*event, number);
    } else if (last_and_cut) {
      builder->CutShort(fmt::format("it ends in the middle of line {}: the run was cut short", number));
    } else {
      builder->Damage(fmt::format("line {} is damaged", number));
    }
  }
  if (in.bad()) throw InputError(fmt::format("{}: {}", name, std::strerror(errno)));
  if (!builder)
    throw InputError(
        fmt::format("{}: is empty, so it is no event stream; the run did not get as far as its header", name));
  runs.push_back(builder->Finish());
  return runs;
}

std::vector<Run> ReadStreamFile(const std::string& path) {
  if (path == "-") return ReadStream(std::cin, "standard input");
  std::ifstream file = Open(path);
  return ReadStream(file, path);
}

OneTest ReadOneTest(const std::string& path, const std::string& test) {
  std::ifstream file = Open(path);
  OneTest found;
  RunBuilder builder(path);
  const std::string name = json(test).dump();
  std::string line;
  for (std::size_t number = 1; std::getline(file, line); ++number) {
    // The header names all tests and is by far the longest line. Of the others most are of other tests.
    const bool of_the_test = number > 1 && line.find(name) != std::string::npos;
    if (!of_the_test && line.find("\"footer\"") == std::string::npos) continue;
    const std::optional<json> event = ParseLine(line);
    if (!event) continue;
    if (String(*event, "event") == "footer")
      found.ended = true;
    else if (String(*event, "test") == test)
      builder.Add(*event, number);
  }
  Run run = builder.Finish();
  if (TestRecord* record = run.Find(test)) found.record = std::move(*record);
  return found;
}

namespace {

// Whether two headers are of one run. The time is that of the header's writing, to the microsecond.
bool SameRun(const Run& a, const Run& b) {
  return a.header.time == b.header.time && a.header.time > 0 && a.header.release == b.header.release &&
         a.header.command == b.header.command;
}

// Moves into `into` all results that only `from` has.
void Merge(Run& into, Run& from) {
  for (TestRecord& record : from.tests) {
    TestRecord& mine = into.Record(record.info.name);
    if (mine.info.covers.empty()) mine.info = record.info;
    const bool silent = mine.not_reached || mine.in_flight;
    const bool other_silent = record.not_reached || record.in_flight;
    if (silent && !other_silent) {
      mine = std::move(record);
      continue;
    }
    if (other_silent) continue;
    for (Result& result : record.results)
      if (std::find(mine.results.begin(), mine.results.end(), result) == mine.results.end()) {
        mine.verdict = Worse(mine.verdict, result.verdict);
        mine.results.push_back(std::move(result));
      }
  }
  if (from.complete && !into.complete) {
    into.complete = true;
    into.duration_ms = from.duration_ms;
    into.problems.clear();
  }
  into.problems.push_back(fmt::format("{} is a stream of the same run; counted once", from.path));
}

}  // namespace

void JoinAndLabel(std::vector<Run>& runs) {
  std::vector<Run> joined;
  for (Run& run : runs) {
    const auto same = std::find_if(joined.begin(), joined.end(), [&](const Run& other) { return SameRun(other, run); });
    if (same == joined.end())
      joined.push_back(std::move(run));
    else
      Merge(*same, run);
  }
  runs = std::move(joined);
  std::map<std::string, int> seen;
  for (Run& run : runs) {
    run.label = run.header.release.empty() ? "unknown kernel" : run.header.release;
    const int number = ++seen[run.label];
    if (number > 1) run.label += fmt::format(" #{}", number);
  }
}

KillMatrix ReadKillMatrix(const std::string& path) {
  const json root = json::parse(ReadTextFile(path), nullptr, false);
  const json& list = root.is_discarded() ? root : Field(root, "mutants");
  if (!list.is_array())
    throw InputError(fmt::format("{}: no kill matrix; give the kill-matrix.json of netns-conformance mutants", path));
  if (const std::string schema = String(root, "schema"); schema.substr(0, schema.find('.')) != "1")
    throw InputError(fmt::format("{}: kill matrix of schema '{}', but this program reads 1.x", path, schema));
  KillMatrix matrix{.kernel = String(root, "kernel"), .date = String(root, "date")};
  for (const json& item : list) {
    Mutant mutant{.number = Integer(item, "number", 0),
                  .name = String(item, "name"),
                  .what = String(item, "what"),
                  .difficulty = String(item, "difficulty"),
                  .outcome = String(item, "outcome"),
                  .breaks = Strings(item, "breaks")};
    const json& killers = Field(item, "killers");
    if (killers.is_array())
      for (const json& killer : killers) mutant.killers.push_back(String(killer, "test"));
    matrix.mutants.push_back(std::move(mutant));
  }
  return matrix;
}

std::vector<TestInfo> ReadTestList(const std::string& path) {
  const json root = json::parse(ReadTextFile(path), nullptr, false);
  const json& list = root.is_discarded() ? root : Field(root, "tests");
  if (!list.is_array())
    throw InputError(fmt::format("{}: no list of tests; make it with: netns-tests --list=json", path));
  std::vector<TestInfo> tests;
  for (const json& item : list) tests.push_back(ReadTestInfo(item));
  return tests;
}

}  // namespace netns::reports
