# SPDX-License-Identifier: GPL-2.0-or-later
"""Machines for netns-conformance: kernels, initramfs, QEMU, and the verdict that comes out of them."""
