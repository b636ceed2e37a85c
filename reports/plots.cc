// SPDX-License-Identifier: GPL-2.0-or-later
// The markup is built as a tree by pugixml, which escapes whatever a stream calls a benchmark or a kernel.
#include "reports/plots.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <pugixml.hpp>
#include <set>
#include <sstream>

#include "reports/speed.h"

namespace netns::reports {
namespace {

constexpr double kWidth = 800, kHeight = 260, kLeft = 80, kRight = 180, kTop = 14, kBottom = 34;

/// "free/until-done/256" -> {"free/until-done", 256}; a family of "" where the name ends in no number.
std::pair<std::string, double> Split(const std::string& name) {
  const auto slash = name.rfind('/');
  if (slash == std::string::npos || slash + 1 == name.size()) return {};
  const std::string tail = name.substr(slash + 1);
  if (tail.find_first_not_of("0123456789") != std::string::npos || tail.size() > 9) return {};
  return {name.substr(0, slash), std::stod(tail)};
}

pugi::xml_node Element(pugi::xml_node parent, const char* name,
                       const std::vector<std::pair<const char*, std::string>>& attributes, const std::string& text = {}) {
  pugi::xml_node node = parent.append_child(name);
  for (const auto& [key, value] : attributes) node.append_attribute(key) = value.c_str();
  if (!text.empty()) node.text() = text.c_str();
  return node;
}

std::string At(double value) { return fmt::format("{:.1f}", value); }

/// A logarithmic axis: numbers and costs grow by decades.
struct Axis {
  double low, high, from, to;
  double operator()(double value) const {
    const double part = high > low ? (std::log10(value) - std::log10(low)) / (std::log10(high) - std::log10(low)) : 0.5;
    return from + part * (to - from);
  }
};

std::string Tick(double value) { return value >= 1000 && value < 1e6 ? fmt::format("{:.0f}", value) : fmt::format("{:.3g}", value); }

/// Powers of ten within the axis; its ends where there are fewer than two.
std::vector<double> Ticks(const Axis& axis) {
  std::vector<double> ticks;
  for (double power = std::ceil(std::log10(axis.low)); power <= std::log10(axis.high) + 1e-9; ++power)
    ticks.push_back(std::pow(10, power));
  if (ticks.size() < 2) ticks = {axis.low, axis.high};
  return ticks;
}

void DrawCurve(pugi::xml_node parent, const CostCurve& curve) {
  double low_x = 1e300, high_x = 0, low_y = 1e300, high_y = 0;
  std::string summary = curve.family + " against number, in " + curve.unit;
  for (const CostCurve::Line& line : curve.lines) {
    for (const auto& [x, y] : line.points) {
      low_x = std::min(low_x, x), high_x = std::max(high_x, x);
      low_y = std::min(low_y, y), high_y = std::max(high_y, y);
    }
    summary += fmt::format("; {}: {:.4g} at {:.0f}, {:.4g} at {:.0f}", line.label, line.points.front().second,
                           line.points.front().first, line.points.back().second, line.points.back().first);
  }
  Element(parent, "h3", {}, fmt::format("{} ({})", curve.family, curve.unit));
  pugi::xml_node svg = Element(parent, "svg", {{"viewBox", fmt::format("0 0 {} {}", kWidth, kHeight)}, {"width", "100%"}, {"role", "img"}, {"aria-label", summary}});
  const Axis across{low_x, high_x, kLeft, kWidth - kRight}, up{low_y, high_y, kHeight - kBottom, kTop};
  for (const double tick : Ticks(across)) {
    Element(svg, "line", {{"class", "axis"}, {"x1", At(across(tick))}, {"x2", At(across(tick))}, {"y1", At(kTop)}, {"y2", At(kHeight - kBottom)}});
    Element(svg, "text", {{"x", At(across(tick))}, {"y", At(kHeight - 14)}, {"text-anchor", "middle"}}, Tick(tick));
  }
  for (const double tick : Ticks(up)) {
    Element(svg, "line", {{"class", "axis"}, {"x1", At(kLeft)}, {"x2", At(kWidth - kRight)}, {"y1", At(up(tick))}, {"y2", At(up(tick))}});
    Element(svg, "text", {{"x", At(kLeft - 6)}, {"y", At(up(tick) + 4)}, {"text-anchor", "end"}}, Tick(tick));
  }
  // Kernels differ by the dashes of their line, and by the name at its end, not by colour alone.
  int number = 0;
  double last_label = -1e9;
  for (const CostCurve::Line& line : curve.lines) {
    std::string points;
    for (const auto& [x, y] : line.points) points += fmt::format("{}{},{}", points.empty() ? "" : " ", At(across(x)), At(up(y)));
    const std::string dashes = number == 0 ? "none" : fmt::format("{} {}", 2 + 3 * number, 3);
    Element(svg, "polyline", {{"class", "curve"}, {"points", points}, {"fill", "none"}, {"stroke", "currentColor"}, {"stroke-width", "1.5"}, {"stroke-dasharray", dashes}});
    for (const auto& [x, y] : line.points) Element(svg, "circle", {{"class", "dot"}, {"cx", At(across(x))}, {"cy", At(up(y))}, {"r", "3"}});
    double y = up(line.points.back().second) + 4;
    if (std::abs(y - last_label) < 16) y = last_label + 16;
    last_label = y;
    Element(svg, "text", {{"x", At(kWidth - kRight + 8)}, {"y", At(y)}}, line.label);
    ++number;
  }
}

struct Bar {
  std::string name, label;
  double ratio;
};

void DrawRatios(pugi::xml_node parent, const std::vector<Run>& runs) {
  std::vector<Bar> bars;
  for (const Run& run : runs)
    for (const SpeedRow& row : SpeedTable(run))
      if (row.times_floor > 0)
        bars.push_back({fmt::format("{} over {}", row.name, row.floor), run.label, row.times_floor});
  if (bars.empty()) return;
  std::stable_sort(bars.begin(), bars.end(), [](const Bar& a, const Bar& b) { return a.name < b.name; });
  double most = 1;
  for (const Bar& bar : bars) most = std::max(most, bar.ratio);
  Element(parent, "h3", {}, "Times the floor");
  Element(parent, "p", {{"class", "page"}}, "The floor is the bare system call, or the same traffic over lo; 1 is as fast as it can be. The axis is logarithmic.");
  constexpr double kFrom = 400, kTo = 700, kRow = 22;
  const double height = kRow * static_cast<double>(bars.size()) + 8;
  std::string summary = "Ratios of medians to the floor";
  for (const Bar& bar : bars) summary += fmt::format("; {} {}: {:.2f}", bar.name, bar.label, bar.ratio);
  pugi::xml_node svg = Element(parent, "svg", {{"viewBox", fmt::format("0 0 {} {:.0f}", kWidth, height)}, {"width", "100%"}, {"role", "img"}, {"aria-label", summary}});
  const Axis across{0.5, std::max(most, 2.0), kFrom, kTo};
  Element(svg, "line", {{"class", "axis"}, {"x1", At(across(1))}, {"x2", At(across(1))}, {"y1", "0"}, {"y2", At(height)}});
  double y = 4;
  for (const Bar& bar : bars) {
    const double end = across(std::max(bar.ratio, 0.5));
    const double left = std::min(end, across(1)), right = std::max(end, across(1));
    Element(svg, "text", {{"x", "0"}, {"y", At(y + 13)}}, bar.name);
    Element(svg, "rect", {{"class", "dot"}, {"x", At(left)}, {"y", At(y + 3)}, {"width", At(std::max(right - left, 1.0))}, {"height", "12"}});
    Element(svg, "text", {{"x", At(right + 6)}, {"y", At(y + 13)}}, fmt::format("{:.2f} {}", bar.ratio, bar.label));
    y += kRow;
  }
}

}  // namespace

std::vector<CostCurve> CostCurves(const std::vector<Run>& runs) {
  std::map<std::string, CostCurve> curves;
  std::set<std::string> long_enough;
  for (const Run& run : runs) {
    std::map<std::string, CostCurve::Line> lines;
    for (const SpeedRow& row : SpeedTable(run)) {
      const auto [family, number] = Split(row.name);
      if (family.empty() || number <= 0 || row.median <= 0) continue;
      curves[family].family = family;
      curves[family].unit = row.unit;
      lines[family].label = run.label;
      lines[family].points.emplace_back(number, row.median);
    }
    for (auto& [family, line] : lines) {
      std::sort(line.points.begin(), line.points.end());
      if (line.points.size() >= 3) long_enough.insert(family);
      curves[family].lines.push_back(std::move(line));
    }
  }
  std::vector<CostCurve> out;
  for (const std::string& family : long_enough) out.push_back(std::move(curves[family]));
  return out;
}

std::string PlotsHtml(const std::vector<Run>& runs) {
  pugi::xml_document document;
  const std::vector<CostCurve> curves = CostCurves(runs);
  if (!curves.empty())
    Element(document, "p", {{"class", "page"}}, "Cost against number, medians; both axes are logarithmic, and a straight line at 45 degrees is proportional.");
  for (const CostCurve& curve : curves) DrawCurve(document, curve);
  DrawRatios(document, runs);
  std::ostringstream out;
  for (const pugi::xml_node node : document) node.print(out, "", pugi::format_raw);
  return out.str();
}

}  // namespace netns::reports
