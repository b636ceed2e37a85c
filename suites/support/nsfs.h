// SPDX-License-Identifier: GPL-2.0-or-later
// Questions to namespace descriptors: ioctl_ns(2), fstat(2).
#pragma once

#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <string>

#include "harness/fd.h"
#include "harness/result.h"

namespace netns {

/// st_ino of whatever the descriptor refers to; 0 where fstat(2) fails.
inline ino_t InodeOf(int fd) {
  struct stat info {};
  return ::fstat(fd, &info) == 0 ? info.st_ino : 0;
}

/// st_ino of a path, symbolic links followed; 0 where stat(2) fails.
inline ino_t InodeOf(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? info.st_ino : 0;
}

/// NS_GET_USERNS: the user namespace that owns a namespace.
inline Result<Fd> OwnerOf(int fd) {
  int owner = ::ioctl(fd, NS_GET_USERNS);
  if (owner < 0) return ErrnoError("ioctl(NS_GET_USERNS)");
  return Fd(owner);
}

/// The inode of the owner, for comparison with that of /proc/PID/ns/user.
inline Result<ino_t> OwnerInodeOf(int fd) {
  ASSIGN_OR_RETURN(Fd owner, OwnerOf(fd));
  return InodeOf(owner.get());
}

}  // namespace netns
