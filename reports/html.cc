// SPDX-License-Identifier: GPL-2.0-or-later
// HTML: fills html/*.tpl. The templates escape by context on their own (AUTOESCAPE), so nothing here does.
#include <ctemplate/template.h>
#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <map>
#include <set>

#include "reports/compare.h"
#include "reports/embedded.h"
#include "reports/plots.h"
#include "reports/text.h"
#include "reports/writers.h"

namespace netns::reports {
namespace {

using ctemplate::TemplateDictionary;

// A class name of the style sheet.
std::string Class(Verdict verdict) { return verdict == Verdict::kUntested ? "NONE" : std::string(Word(verdict)); }

// What a cell of the matrix shows; "not tested" would fill the page.
std::string CellWord(Verdict verdict) { return verdict == Verdict::kUntested ? "-" : std::string(Word(verdict)); }

std::string Expand(std::string_view name, TemplateDictionary& dictionary) {
  const std::string key(name);
  static std::set<std::string> known;
  if (known.insert(key).second)
    ctemplate::StringToTemplateCache(key, Embedded(name).data(), Embedded(name).size(), ctemplate::DO_NOT_STRIP);
  std::string out;
  if (!ctemplate::ExpandTemplate(key, ctemplate::DO_NOT_STRIP, &dictionary, &out))
    throw std::runtime_error("template " + key + " cannot be used");
  return out;
}

struct Chapter {
  std::string title, page;
  std::vector<std::size_t> requirements;
};

std::vector<Chapter> Chapters(const Catalogue& catalogue) {
  std::vector<Chapter> chapters;
  std::map<std::string, std::size_t, std::less<>> chapter_of;
  for (const YAML::Node& node : YAML::Load(std::string(Embedded("chapters.yaml")))["chapters"]) {
    for (const YAML::Node& area : node["areas"]) chapter_of[area.as<std::string>()] = chapters.size();
    chapters.push_back({node["title"].as<std::string>(), node["page"].as<std::string>(), {}});
  }
  for (const std::string& area : catalogue.areas())
    if (chapter_of.emplace(area, chapters.size()).second) chapters.push_back({"Other: " + area, "", {}});
  for (std::size_t i = 0; i < catalogue.requirements().size(); ++i)
    chapters[chapter_of.find(catalogue.requirements()[i].area())->second].requirements.push_back(i);
  std::erase_if(chapters, [](const Chapter& chapter) { return chapter.requirements.empty(); });
  return chapters;
}

class Page {
 public:
  explicit Page(const Report& report) : report_(report), troubles_(Troubles(report)), page_("report") {}

  std::string Write() {
    Top();
    Runs();
    TroubleList();
    Lists();
    for (const Chapter& chapter : Chapters(*report_.catalogue)) WriteChapter(chapter);
    Measurements();
    Kills();
    return Expand("report.html.tpl", page_);
  }

 private:
  void Top() {
    const Headline headline = report_.headline();
    page_.SetValue("WORD", std::string(headline.word));
    page_.SetValue("CLASS", Class(headline.verdict));
    page_.SetValue("LINE", report_.VerdictLine());
    page_.SetValue("FACTS", report_.FactsLine());
    page_.SetIntValue("STATUS", report_.exit_status());
    page_.SetValue("STYLE", ctemplate::TemplateString(Embedded("report.css").data(), Embedded("report.css").size()));
    page_.SetValue("SCRIPT", ctemplate::TemplateString(Embedded("report.js").data(), Embedded("report.js").size()));
    for (const std::string& area : report_.catalogue->areas())
      page_.AddSectionDictionary("AREA")->SetValue("NAME", area);
  }

  void Runs() {
    for (std::size_t i = 0; i < report_.runs.size(); ++i) {
      const Run& run = report_.runs[i];
      TemplateDictionary* option = page_.AddSectionDictionary("KERNEL_OPTION");
      option->SetIntValue("NUMBER", static_cast<long>(i));
      option->SetValue("LABEL", run.label);
      TemplateDictionary* row = page_.AddSectionDictionary("RUN");
      row->SetValue("KERNEL", KernelName(run));
      row->SetValue("FACTS", run.header.version);
      const Headline headline = report_.RunHeadline(i);
      row->SetValue("CLASS", Class(headline.verdict));
      row->SetValue("WORD", std::string(headline.word));
      for (const Verdict one : {Verdict::kPass, Verdict::kFail, Verdict::kError, Verdict::kMiss, Verdict::kSkip})
        row->SetIntValue(ctemplate::TemplateString(Word(one).data(), Word(one).size()),
                         report_.assessments[i].tests[one]);
      row->SetValue("TIME", Duration(run.duration_ms));
      row->SetValue("PATH", run.path);
      for (const std::string& problem : run.problems) row->AddSectionDictionary("PROBLEM")->SetValue("TEXT", problem);
    }
  }

  void TroubleList() {
    if (troubles_.empty()) return;
    TemplateDictionary* list = page_.AddSectionDictionary("TROUBLES");
    for (std::size_t i = 0; i < troubles_.size(); ++i) {
      const Trouble& trouble = troubles_[i];
      const TestInfo& info = trouble.test->info;
      const Result& result = *trouble.result;
      number_of_.emplace(info.name, i);
      TemplateDictionary* item = list->AddSectionDictionary("TROUBLE");
      item->SetIntValue("NUMBER", static_cast<long>(i));
      item->SetValue("WORD", Class(result.verdict));
      item->SetValue("CLASS", Class(result.verdict));
      item->SetValue("TEST", info.name);
      std::vector<std::string> kernels, numbers, areas;
      for (const std::size_t run : trouble.runs) {
        kernels.push_back(report_.runs[run].label);
        numbers.push_back(std::to_string(run));
      }
      for (const std::string& id : info.covers) {
        areas.emplace_back(AreaOf(id));
        if (const Requirement* requirement = report_.catalogue->Find(id)) {
          TemplateDictionary* statement = item->AddSectionDictionary("STATEMENT");
          statement->SetValue("ID", id);
          statement->SetValue("TEXT", requirement->statement);
          statement->SetValue("SOURCE", requirement->source);
          Control(*statement, *requirement);
        }
      }
      item->SetValue("KERNELS", "on Linux " + Join(kernels, ", "));
      item->SetValue("RUNS", Join(numbers, " "));
      item->SetValue("AREAS", Join(areas, " "));
      for (const Check& check : result.failures) {
        TemplateDictionary* one = item->AddSectionDictionary("CHECK");
        one->SetValue("HEADING", check.Heading());
        one->SetValue("MESSAGE", check.message);
      }
      const auto section = [&](const char* name, const std::string& text) {
        if (!text.empty()) item->AddSectionDictionary(name)->SetValue("TEXT", text);
      };
      section("REASON", result.reason.text);
      section("LOG", result.kernel_log);
      section("OUTPUT", result.OutputBesideFailures());
      item->SetValue("COMMAND", CommandFor(report_.runs[trouble.runs.front()], info.name));
    }
  }

  void Lists() {
    if (!report_.violations.empty()) {
      TemplateDictionary* list = page_.AddSectionDictionary("VIOLATIONS");
      for (const Violation& violation : report_.violations) {
        TemplateDictionary* item = list->AddSectionDictionary("VIOLATION");
        item->SetValue("RUN", violation.run);
        item->SetValue("WHAT", violation.what);
        item->SetValue("TEXT", violation.text);
        item->SetValue("REMEDY", violation.remedy);
      }
    }
    const std::vector<MissGroup> groups = MissByRemedy(report_);
    if (groups.empty()) return;
    TemplateDictionary* list = page_.AddSectionDictionary("MISSES");
    for (const MissGroup& group : groups) {
      TemplateDictionary* item = list->AddSectionDictionary("MISS");
      item->SetValue("COUNT", Count(static_cast<long>(group.tests.size()), "test"));
      item->SetValue("REMEDY", group.remedy);
      item->SetValue("CODES", Join(group.codes, ", "));
      item->SetValue("TESTS", Join(group.tests, ", "));
    }
  }

  void WriteChapter(const Chapter& chapter) {
    TemplateDictionary* section = page_.AddSectionDictionary("CHAPTER");
    section->SetIntValue("NUMBER", chapter_number_);
    section->SetValue("TITLE", chapter.title);
    section->SetValue("PAGE", chapter.page);
    constexpr std::size_t kMany = 6;  // kernels whose labels fit side by side
    if (report_.runs.size() > kMany) section->AddSectionDictionary("MANY");
    for (std::size_t i = 0; i < report_.runs.size(); ++i) {
      TemplateDictionary* column = section->AddSectionDictionary("COLUMN");
      column->SetIntValue("NUMBER", static_cast<long>(i));
      column->SetValue("LABEL", report_.runs[i].label);
    }
    Counts counts;
    for (const std::size_t index : chapter.requirements) {
      WriteRequirement(*section, index);
      counts.Add(report_.RequirementVerdict(index));
    }
    TemplateDictionary* row = page_.AddSectionDictionary("CHAPTER_COUNT");
    row->SetIntValue("NUMBER", chapter_number_++);
    row->SetValue("TITLE", chapter.title);
    row->SetIntValue("REQUIREMENTS", static_cast<long>(chapter.requirements.size()));
    const auto cell = [&](Verdict verdict, int count) {
      TemplateDictionary* one = row->AddSectionDictionary("CELL");
      one->SetValue("CLASS", count == 0 ? "NONE" : Class(verdict));
      one->SetValue("COUNT", count == 0 ? "-" : std::to_string(count));
    };
    for (const Verdict verdict : {Verdict::kPass, Verdict::kFail, Verdict::kError, Verdict::kMiss})
      cell(verdict, counts[verdict]);
    cell(Verdict::kUntested, counts[Verdict::kUntested] + counts[Verdict::kSkip]);
  }

  static void Control(TemplateDictionary& where, const Requirement& requirement) {
    if (const std::string control = requirement.control(); !control.empty())
      where.AddSectionDictionary("CONTROL")->SetValue("TEXT", control);
  }

  void WriteRequirement(TemplateDictionary& section, std::size_t index) {
    const Requirement& requirement = report_.catalogue->requirements()[index];
    TemplateDictionary* row = section.AddSectionDictionary("REQUIREMENT");
    row->SetValue("ID", requirement.id);
    row->SetValue("AREA", std::string(requirement.area()));
    row->SetValue("TITLE", requirement.title);
    row->SetValue("STATEMENT", requirement.statement);
    row->SetValue("SOURCE", requirement.source);
    Control(*row, requirement);
    std::vector<std::string> states;
    std::set<std::string> told;
    for (std::size_t i = 0; i < report_.runs.size(); ++i) {
      const RequirementState& state = report_.assessments[i].states[index];
      states.push_back(Class(state.verdict));
      TemplateDictionary* cell = row->AddSectionDictionary("STATE");
      cell->SetValue("CLASS", Class(state.verdict));
      cell->SetValue("WORD", CellWord(state.verdict));
      cell->SetIntValue("NUMBER", static_cast<long>(i));
      for (const std::uint32_t test : state.tests)
        if (told.insert(report_.runs[i].tests[test].info.name).second) WriteTest(*row, report_.runs[i].tests[test]);
    }
    row->SetValue("STATES", Join(states, " "));
    for (const Mutant& mutant : report_.kills.mutants) {
      if (std::find(mutant.breaks.begin(), mutant.breaks.end(), requirement.id) == mutant.breaks.end()) continue;
      TemplateDictionary* item = row->AddSectionDictionary("MUTANT");
      item->SetIntValue("NUMBER", mutant.number);
      item->SetValue("OUTCOME", mutant.outcome);
    }
  }

  void WriteTest(TemplateDictionary& row, const TestRecord& record) {
    TemplateDictionary* item = row.AddSectionDictionary("TEST");
    item->SetValue("NAME", record.info.name);
    item->SetValue("AT", record.info.file.empty() ? "" : fmt::format("{}:{}", record.info.file, record.info.line));
    const auto [first, last] = number_of_.equal_range(record.info.name);
    for (auto one = first; one != last; ++one) {
      TemplateDictionary* link = item->AddSectionDictionary("LINK");
      link->SetIntValue("NUMBER", static_cast<long>(one->second));
      link->SetValue("WORD", Class(troubles_[one->second].result->verdict));
    }
    const Result* result = record.Decisive();
    if (record.verdict == Verdict::kMiss && result != nullptr)
      item->AddSectionDictionary("WHY")->SetValue("TEXT",
                                                  fmt::format("{}: {}", result->reason.code, result->reason.text));
  }

  // One row of dots per kernel, for every benchmark.
  void Measurements() {
    std::map<std::string, std::map<std::size_t, std::vector<double>>> by_name;
    std::map<std::string, std::string> units;
    for (std::size_t i = 0; i < report_.runs.size(); ++i)
      for (const Measurement& one : report_.runs[i].measurements) {
        by_name[one.name][i].push_back(one.value);
        units[one.name] = one.unit;
      }
    if (by_name.empty()) return;
    TemplateDictionary* section = page_.AddSectionDictionary("MEASUREMENTS");
    section->SetValue("PLOTS", PlotsHtml(report_.runs));
    for (auto& [name, rows] : by_name) {
      double most = 0;
      for (const auto& [run, values] : rows) most = std::max(most, *std::max_element(values.begin(), values.end()));
      TemplateDictionary* benchmark = section->AddSectionDictionary("BENCHMARK");
      benchmark->SetValue("NAME", name);
      benchmark->SetValue("UNIT", units[name]);
      benchmark->SetIntValue("HEIGHT", static_cast<long>(rows.size()) * 36 + 10);
      std::string label = name;
      long y = 16;
      for (auto& [run, values] : rows) {
        std::sort(values.begin(), values.end());
        const std::string median = fmt::format("{:.4g} {}", values[values.size() / 2], units[name]);
        label += fmt::format("; Linux {}: median {}", report_.runs[run].label, median);
        TemplateDictionary* row = benchmark->AddSectionDictionary("ROW");
        row->SetValue("KERNEL", report_.runs[run].label);
        row->SetIntValue("Y", y);
        row->SetIntValue("TEXT_Y", y + 4);
        row->SetIntValue("MEDIAN_Y", y + 17);
        row->SetValue("MEDIAN", median);
        for (const double value : values)
          row->AddSectionDictionary("DOT")->SetValue(
              "X", fmt::format("{:.1f}", most > 0 ? 265 + 520 * std::max(0.0, value) / most : 265));
        y += 36;
      }
      benchmark->SetValue("LABEL", label);
    }
  }

  void Kills() {
    const KillMatrix& kills = report_.kills;
    if (kills.mutants.empty()) return;
    TemplateDictionary* section = page_.AddSectionDictionary("KILLS");
    section->SetValue("KERNEL", kills.kernel);
    section->SetValue("DATE", kills.date);
    const long killed = std::count_if(kills.mutants.begin(), kills.mutants.end(),
                                      [](const Mutant& mutant) { return mutant.outcome == "killed"; });
    section->SetValue("SUMMARY",
                      fmt::format("{} of {} were killed by a test of what they break.", killed, kills.mutants.size()));
    for (const Mutant& mutant : kills.mutants) {
      TemplateDictionary* row = section->AddSectionDictionary("KILL");
      row->SetIntValue("NUMBER", mutant.number);
      row->SetValue("NAME", mutant.name);
      row->SetValue("WHAT", mutant.what);
      row->SetValue("DIFFICULTY", mutant.difficulty);
      row->SetValue("OUTCOME", mutant.outcome);
      row->SetValue("CLASS", mutant.outcome == "killed" ? "PASS" : mutant.outcome == "survived" ? "FAIL" : "MISS");
      for (const std::string& id : mutant.breaks) row->AddSectionDictionary("BREAKS")->SetValue("ID", id);
      row->SetValue("KILLERS", Excerpt(Join(mutant.killers, ", "), 1, 400));
    }
  }

  const Report& report_;
  std::vector<Trouble> troubles_;
  std::multimap<std::string, std::size_t> number_of_;
  TemplateDictionary page_;
  long chapter_number_ = 0;
};

}  // namespace

std::string WriteHtml(const Report& report) { return Page(report).Write(); }

std::string WriteComparisonHtml(const Comparison& comparison) {
  TemplateDictionary page("compare");
  const Verdict verdict = comparison.regressed()  ? Verdict::kFail
                          : comparison.incomplete ? Verdict::kError
                                                  : Verdict::kPass;
  page.SetValue("WORD", comparison.regressed() ? "REGRESSED" : comparison.incomplete ? "INCOMPLETE" : "NO REGRESSION");
  page.SetValue("CLASS", Class(verdict));
  page.SetValue("LINE", comparison.VerdictLine());
  page.SetValue("STYLE", ctemplate::TemplateString(Embedded("report.css").data(), Embedded("report.css").size()));
  if (!comparison.differences.empty()) {
    TemplateDictionary* list = page.AddSectionDictionary("DIFFERENCES");
    for (const Difference& difference : comparison.differences) {
      TemplateDictionary* item = list->AddSectionDictionary("DIFFERENCE");
      item->SetValue("CHANGE", std::string(Word(difference.change)));
      item->SetValue("NAME", difference.name);
      item->SetValue("TITLE", difference.title);
      item->SetValue("CLASS_BEFORE", Class(difference.before));
      item->SetValue("CLASS_AFTER", Class(difference.after));
      item->SetValue("BEFORE", std::string(difference.Before()));
      item->SetValue("AFTER", std::string(difference.After()));
      item->SetValue("WHY", difference.Why());
    }
  }
  if (!comparison.speeds.empty()) {
    TemplateDictionary* list = page.AddSectionDictionary("SPEEDS");
    for (const SpeedDifference& speed : comparison.speeds)
      list->AddSectionDictionary("SPEED")->SetValue("TEXT", speed.Sentence());
  }
  return Expand("compare.html.tpl", page);
}

}  // namespace netns::reports
