// SPDX-License-Identifier: GPL-2.0-or-later
#include "reports/text.h"

#include <fmt/format.h>
#include <sha256.h>

#include <algorithm>
#include <array>
#include <ctime>

namespace netns::reports {
namespace {

// The code point at the head of `text` and its length in bytes; length 0 where the bytes are no UTF-8.
struct CodePoint {
  char32_t value;
  std::size_t length;
};

CodePoint Decode(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return {first, 1};
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return {0, 0};
  char32_t value = first & (0x7f >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {0, 0};
    value = (value << 6) | (byte(i) & 0x3f);
  }
  constexpr std::array<char32_t, 5> kSmallest = {0, 0, 0x80, 0x800, 0x10000};
  if (value < kSmallest[length] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) return {0, 0};
  return {value, length};
}

// Whether a character changes how others are shown, or is none that XML 1.0 allows.
bool NeedsEscape(char32_t c) {
  if (c < 0x20) return c != '\n' && c != '\t';
  if (c < 0x7f) return false;
  return c <= 0x9f || (c >= 0x200e && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) ||
         c == 0xfeff || (c & 0xfffe) == 0xfffe;
}

bool IsPlain(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= 0x20 && c < 0x7f) || c == '\n' || c == '\t'; });
}

}  // namespace

std::string Printable(std::string_view text) {
  if (IsPlain(text)) return std::string(text);
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size();) {
    const auto [value, length] = Decode(text.substr(i));
    if (length == 0) {
      out += "\xef\xbf\xbd";
      ++i;
      continue;
    }
    if (value == '\r' && i + 1 < text.size() && text[i + 1] == '\n') {
      // A serial console ends its lines like this; it means nothing.
    } else if (!NeedsEscape(value)) {
      out.append(text, i, length);
    } else if (value <= 0xff) {
      out += fmt::format("\\x{:02x}", static_cast<unsigned>(value));
    } else {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(value));
    }
    i += length;
  }
  return out;
}

std::vector<std::string> SplitLines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    lines.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return lines;
}

std::string Excerpt(std::string_view text, std::size_t lines, std::size_t columns) {
  const std::vector<std::string> all = SplitLines(text);
  std::string out;
  for (std::size_t i = 0; i < std::min(lines, all.size()); ++i) {
    std::size_t cut = std::min(columns, all[i].size());
    while (cut > 0 && cut < all[i].size() && (static_cast<unsigned char>(all[i][cut]) & 0xc0) == 0x80) --cut;
    out.append(all[i], 0, cut);
    if (cut < all[i].size()) out += fmt::format(" [... {} more bytes in the stream]", all[i].size() - cut);
    out += '\n';
  }
  if (all.size() > lines) out += fmt::format("[... {} more lines in the stream]\n", all.size() - lines);
  if (!out.empty()) out.pop_back();
  return out;
}

std::string Wrap(std::string_view text, std::size_t width, std::size_t indent) {
  const std::string margin(indent, ' ');
  std::string out = margin;
  std::size_t column = indent;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t start = text.find_first_not_of(" \n\t", i);
    if (start == std::string_view::npos) break;
    const std::size_t end = std::min(text.find_first_of(" \n\t", start), text.size());
    if (column > indent && column + 1 + (end - start) > width) {
      out += '\n' + margin;
      column = indent;
    } else if (column > indent) {
      out += ' ';
      ++column;
    }
    out += text.substr(start, end - start);
    column += end - start;
    i = end;
  }
  return out;
}

std::string Indent(std::string_view text, std::string_view prefix) {
  std::string out;
  for (const std::string& line : SplitLines(text)) out += fmt::format("{}{}\n", prefix, line);
  if (!out.empty()) out.pop_back();
  return out;
}

std::string Join(const std::vector<std::string>& parts, std::string_view between) {
  return fmt::format("{}", fmt::join(parts, between));
}

std::string Count(long number, std::string_view noun) {
  return fmt::format("{} {}{}", number, noun, number == 1 ? "" : "s");
}

std::string Duration(double milliseconds) {
  if (milliseconds < 1000) return fmt::format("{:.0f} ms", milliseconds);
  const double seconds = milliseconds / 1000;
  if (seconds < 120) return fmt::format("{:.1f} s", seconds);
  return fmt::format("{:.0f} min {:02.0f} s", (seconds - static_cast<int>(seconds) % 60) / 60,
                     static_cast<double>(static_cast<int>(seconds) % 60));
}

std::string ShellWord(std::string_view word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string_view::npos) return std::string(word);
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

std::string EscapeMarkdown(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<') {
      out += "&lt;";
    } else if (c == '&') {
      out += "&amp;";
    } else if (c == '\n') {
      out += ' ';
    } else {
      if (std::string_view("\\`*_[]|>#@~").find(c) != std::string_view::npos) out += '\\';
      out += c;
    }
  }
  return out;
}

std::string UtcTime(double seconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm utc{};
  gmtime_r(&time, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  return text;
}

std::string Sha256(std::string_view data) {
  SHA2_CTX context;
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest{};
  SHA256Init(&context);
  SHA256Update(&context, reinterpret_cast<const std::uint8_t*>(data.data()), data.size());
  SHA256Final(digest.data(), &context);
  return fmt::format("{:02x}", fmt::join(digest, ""));
}

}  // namespace netns::reports
