// SPDX-License-Identifier: GPL-2.0-or-later
#include "harness/fd.h"

#include <sys/socket.h>

#include <cstring>

namespace netns {

Result<Fd> Fd::Dup() const {
  int fd = ::fcntl(fd_, F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return ErrnoError("fcntl(F_DUPFD_CLOEXEC)");
  return Fd(fd);
}

Result<Fd> Open(const std::string& path, int flags, mode_t mode) { return OpenAt(AT_FDCWD, path, flags, mode); }

Result<Fd> OpenAt(int dirfd, const std::string& path, int flags, mode_t mode) {
  int fd = ::openat(dirfd, path.c_str(), flags | O_CLOEXEC, mode);
  if (fd < 0) return ErrnoError("open(\"" + path + "\")");
  return Fd(fd);
}

Result<std::string> ReadAll(int fd) {
  std::string all;
  char buffer[16384];
  for (;;) {
    ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n == 0) return all;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError("read");
    all.append(buffer, static_cast<size_t>(n));
  }
}

Result<std::string> ReadFile(const std::string& path) {
  ASSIGN_OR_RETURN(Fd fd, Open(path, O_RDONLY));
  auto content = ReadAll(fd.get());
  if (!content.ok()) return Error{content.error().code, "read(\"" + path + "\")"};
  return content;
}

Status WriteFile(const std::string& path, std::string_view data) {
  ASSIGN_OR_RETURN(Fd fd, Open(path, O_WRONLY));
  ssize_t n = ::write(fd.get(), data.data(), data.size());
  if (n < 0) return ErrnoError("write(\"" + path + "\", \"" + std::string(data) + "\")");
  if (static_cast<size_t>(n) != data.size()) return Error{EIO, "short write to " + path};
  return Ok();
}

Status SendFd(int socket, int fd) {
  char byte = 0;
  iovec iov{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr msg{};
  msg.msg_iov = &iov;
  msg.msg_iovlen = 1;
  msg.msg_control = control;
  msg.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&msg);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  if (::sendmsg(socket, &msg, MSG_NOSIGNAL) < 0) return ErrnoError("sendmsg(SCM_RIGHTS)");
  return Ok();
}

Result<Fd> ReceiveFd(int socket) {
  char byte = 0;
  iovec iov{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr msg{};
  msg.msg_iov = &iov;
  msg.msg_iovlen = 1;
  msg.msg_control = control;
  msg.msg_controllen = sizeof control;
  ssize_t n = TEMP_FAILURE_RETRY(::recvmsg(socket, &msg, MSG_CMSG_CLOEXEC));
  if (n < 0) return ErrnoError("recvmsg(SCM_RIGHTS)");
  cmsghdr* header = CMSG_FIRSTHDR(&msg);
  if (n == 0 || header == nullptr || header->cmsg_type != SCM_RIGHTS)
    return Error{EPIPE, "recvmsg(SCM_RIGHTS): no descriptor came"};
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return Fd(fd);
}

Result<std::pair<Fd, Fd>> SocketPair(int type) {
  int fds[2];
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) < 0) return ErrnoError("socketpair");
  return std::pair(Fd(fds[0]), Fd(fds[1]));
}

Result<std::pair<Fd, Fd>> Pipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) < 0) return ErrnoError("pipe2");
  return std::pair(Fd(fds[0]), Fd(fds[1]));
}

}  // namespace netns
