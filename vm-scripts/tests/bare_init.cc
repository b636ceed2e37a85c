// SPDX-License-Identifier: GPL-2.0-or-later
// The least that a kernel can be booted into: an init that switches the machine off at once. Against it boot_overhead.py
// measures ours.
#include <linux/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

int main() {
  // Without ACPI nothing can be switched off; then a reboot, which QEMU's -no-reboot turns into its end.
  syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_POWER_OFF, nullptr);
  syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_RESTART, nullptr);
  for (;;) pause();
}
