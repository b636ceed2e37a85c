// SPDX-License-Identifier: GPL-2.0-or-later
// The file through which tun and tap devices are made (Documentation/networking/tuntap.rst).
#pragma once

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <string>

#include "harness/result.h"

namespace netns {

/// A device node of tun that every user may open, as udev makes it: what is tested is the kernel's rule, not the mode of a
/// file. Where /dev/net/tun is absent or is for root only, root gets a node of the test's own. Otherwise MISS.
inline std::string TunFile() {
  static const std::string file = [] {
    const std::string usual = "/dev/net/tun", own = "/tmp/dev/tun";
    struct stat node {};
    const bool there = ::stat(usual.c_str(), &node) == 0;
    if (there && (node.st_mode & 0006) == 0006) return usual;
    ::mkdir("/tmp/dev", 0755);
    if (::mount("dev", "/tmp/dev", "tmpfs", 0, "mode=0755") == 0 &&  // /tmp itself has no devices
        ::mknod(own.c_str(), S_IFCHR | 0666, makedev(10, 200)) == 0 && ::chmod(own.c_str(), 0666) == 0)
      return own;
    throw MissingNeed("needs-device:/dev/net/tun", there ? "users may not open /dev/net/tun" : "there is no /dev/net/tun",
                      there ? "chmod 0666 /dev/net/tun, as udev does" : "modprobe tun");
  }();
  return file;
}

}  // namespace netns
