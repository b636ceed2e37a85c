// SPDX-License-Identifier: GPL-2.0-or-later
#include "harness/event.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <ctime>
#include <nlohmann/json.hpp>

namespace netns {
namespace {

int channel = -1;
constexpr std::size_t kTextLimit = 48 * 1024;

/// In front of each piece. Two threads with one number are in two pid namespaces, and do not begin in one nanosecond.
struct Piece {
  std::uint64_t began;
  std::int64_t thread;
  std::uint32_t size;
  std::uint32_t last;
};
constexpr std::size_t kPieceLimit = PIPE_BUF - sizeof(Piece);

std::string Cut(std::string_view text) {
  if (text.size() <= kTextLimit) return std::string(text);
  return std::string(text.substr(0, kTextLimit)) + "\n[cut: " + std::to_string(text.size()) + " bytes]";
}

}  // namespace

std::string Event::Encode() const {
  nlohmann::json json{{"k", static_cast<int>(kind)}, {"c", check},       {"f", file}, {"l", line}, {"F", fatal},
                      {"w", where},                  {"n", key},         {"t", Cut(text)},
                      {"r", remedy},                 {"s", status}};
  // "replace": a message may hold any bytes; the stream is UTF-8.
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

bool Event::Decode(std::string_view message, Event& event) {
  auto json = nlohmann::json::parse(message, nullptr, false);
  if (!json.is_object()) return false;
  event.kind = static_cast<Kind>(json.value("k", 0));
  event.check = json.value("c", "");
  event.file = json.value("f", "");
  event.line = json.value("l", 0);
  event.fatal = json.value("F", false);
  event.where = json.value("w", "");
  event.key = json.value("n", "");
  event.text = json.value("t", "");
  event.remedy = json.value("r", "");
  event.status = json.value("s", 0);
  return true;
}

int EventChannel() { return channel; }
void SetEventChannel(int fd) { channel = fd; }

void Send(const Event& event) {
  if (channel < 0) return;
  const std::string message = event.Encode();
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  Piece piece{static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(now.tv_nsec), ::syscall(SYS_gettid), 0, 0};
  for (std::size_t at = 0; piece.last == 0; at += piece.size) {
    piece.size = static_cast<std::uint32_t>(std::min(kPieceLimit, message.size() - at));
    piece.last = at + piece.size == message.size();
    char bytes[PIPE_BUF];
    std::memcpy(bytes, &piece, sizeof piece);
    std::memcpy(bytes + sizeof piece, message.data() + at, piece.size);
    while (::write(channel, bytes, sizeof piece + piece.size) < 0)
      if (errno != EINTR) return;
  }
}

bool EventReader::Read(int fd, const std::function<void(std::string_view)>& take) {
  static char buffer[64 * 1024];
  for (;;) {
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    if (n == 0) return false;
    unread_.append(buffer, static_cast<std::size_t>(n));
    std::size_t at = 0;
    for (Piece piece; unread_.size() - at >= sizeof piece; at += sizeof piece + piece.size) {
      std::memcpy(&piece, unread_.data() + at, sizeof piece);
      if (piece.size > kPieceLimit) {  // a test that runs wild has written what is no event; the rest cannot be found any more
        unread_.clear();
        return false;
      }
      if (unread_.size() - at - sizeof piece < piece.size) break;
      const std::string_view text = std::string_view(unread_).substr(at + sizeof piece, piece.size);
      const std::pair sender(piece.began, piece.thread);
      const auto begun = begun_.find(sender);
      if (begun == begun_.end() && piece.last != 0) {
        take(text);
        continue;
      }
      std::string& whole = begun == begun_.end() ? begun_[sender] : begun->second;
      whole += text;
      if (piece.last == 0) continue;
      take(whole);
      begun_.erase(sender);
    }
    unread_.erase(0, at);
  }
}

void Property(std::string_view key, std::string_view value) {
  Event event;
  event.kind = Event::Kind::kProperty;
  event.key = key;
  event.text = value;
  Send(event);
}

}  // namespace netns
