// SPDX-License-Identifier: GPL-2.0-or-later
#include "harness/event.h"

#include <sys/socket.h>

#include <nlohmann/json.hpp>

namespace netns {
namespace {

int channel = -1;
constexpr std::size_t kTextLimit = 48 * 1024;

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

bool Event::Decode(std::string_view datagram, Event& event) {
  auto json = nlohmann::json::parse(datagram, nullptr, false);
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
  std::string datagram = event.Encode();
  while (::send(channel, datagram.data(), datagram.size(), MSG_NOSIGNAL) < 0 && errno == EINTR) {
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
