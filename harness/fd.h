// SPDX-License-Identifier: GPL-2.0-or-later
// A file descriptor that is closed with its owner.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "harness/result.h"

namespace netns {

/// Owns one file descriptor, or none (-1).
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) Reset(std::exchange(other.fd_, -1));
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { Reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  /// Gives the descriptor up; the caller closes it.
  int Release() { return std::exchange(fd_, -1); }
  void Reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }
  /// A second descriptor for the same open file description (dup, close-on-exec).
  Result<Fd> Dup() const;

 private:
  int fd_ = -1;
};

/// open(2) with O_CLOEXEC added.
Result<Fd> Open(const std::string& path, int flags, mode_t mode = 0);
/// openat(2) with O_CLOEXEC added.
Result<Fd> OpenAt(int dirfd, const std::string& path, int flags, mode_t mode = 0);
/// The rest of a file, read to its end.
Result<std::string> ReadAll(int fd);
/// A whole file.
Result<std::string> ReadFile(const std::string& path);
/// Writes all of `data` in one write(2), as /proc/sys wants it; a short write is an error (EIO).
Status WriteFile(const std::string& path, std::string_view data);
/// Sends or receives one descriptor over a unix(7) socket (SCM_RIGHTS).
Status SendFd(int socket, int fd);
Result<Fd> ReceiveFd(int socket);
/// A connected pair of unix(7) sockets, close-on-exec.
Result<std::pair<Fd, Fd>> SocketPair(int type);
/// pipe2(2), close-on-exec: {read end, write end}.
Result<std::pair<Fd, Fd>> Pipe();

}  // namespace netns
