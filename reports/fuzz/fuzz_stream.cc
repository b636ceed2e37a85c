// SPDX-License-Identifier: GPL-2.0-or-later
// Any bytes as an event stream: read and told, or refused with InputError; never a crash.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <sstream>

#include "reports/report.h"

using namespace netns::reports;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Catalogue catalogue = Catalogue::Parse(
      "requirements: [{id: A-1, title: t, statement: s, source: x}, {id: B-1, title: t, statement: s, source: x}]",
      "fuzz");
  static const Profile profile = LoadProfile("ci");
  std::istringstream in(std::string(reinterpret_cast<const char*>(data), size));
  std::vector<Run> runs;
  try {
    runs = ReadStream(in, "fuzz");
  } catch (const InputError&) {
    return 0;
  }
  JoinAndLabel(runs);
  const Report report = Report::Make(catalogue, std::move(runs), profile);
  if (report.VerdictLine().find('\n') != std::string::npos) std::abort();
  if (report.incomplete() && report.exit_status() != kExitError) std::abort();
  return 0;
}
