// SPDX-License-Identifier: GPL-2.0-or-later
// Text that came from a kernel or a test, made safe to show; and small wording helpers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace netns::reports {

/// Text that no terminal, XML parser or browser can trip over: valid UTF-8 of printable characters, newlines and tabs.
/// Other control characters, bidirectional overrides and non-characters become visible escapes ("\x1b"), bytes that are
/// no UTF-8 become U+FFFD, and "\r\n" a plain newline. It leaves clean text as it is.
std::string Printable(std::string_view text);

/// The first `lines` lines, each of at most `columns` bytes (cut at a character's edge), and a last line that says how
/// much was left out.
std::string Excerpt(std::string_view text, std::size_t lines, std::size_t columns);

/// Breaks text at blanks so that no line is longer than `width`, each line after `indent` blanks.
std::string Wrap(std::string_view text, std::size_t width, std::size_t indent);

/// Puts `prefix` before every line.
std::string Indent(std::string_view text, std::string_view prefix);

std::vector<std::string> SplitLines(std::string_view text);
std::string Join(const std::vector<std::string>& parts, std::string_view between);

/// "1 test", "2 tests".
std::string Count(long number, std::string_view noun);
/// Milliseconds as a person reads them: "3 ms", "1.2 s", "4 min 10 s".
std::string Duration(double milliseconds);

/// A word as a shell reads it: in quotes where it needs them.
std::string ShellWord(std::string_view word);

/// Text that stays text in Markdown, and in the HTML that Markdown may hold; newlines become blanks.
std::string EscapeMarkdown(std::string_view text);

/// Seconds since the epoch as "2026-11-27T02:04:53", in UTC.
std::string UtcTime(double seconds);

/// SHA-256 in lower-case hexadecimal.
std::string Sha256(std::string_view data);

}  // namespace netns::reports
