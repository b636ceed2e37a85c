# SPDX-License-Identifier: GPL-2.0-or-later
"""The negative kernels' configurations: what is asked for, and how a refusal is noticed."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import unittest
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[1] / "negative" / "build.py"
_spec = importlib.util.spec_from_file_location("negative_build", PROGRAM)
assert _spec and _spec.loader
negative = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(negative)


class Variants(unittest.TestCase):
    def test_each_is_the_common_kernel_with_its_own_lines_last(self) -> None:
        self.assertEqual(set(negative.names()), {"no-net-ns", "no-veth", "no-ipv6", "no-nf-tables", "no-user-ns", "debug"})
        for name in negative.names():
            text = negative.configuration(name)
            own = [line for line in (negative.VARIANTS / f"{name}.config").read_text().splitlines() if "CONFIG_" in line]
            self.assertTrue(own, name)
            self.assertEqual([line for line in text.splitlines() if "CONFIG_" in line][-len(own) :], own)
            self.assertIn(f'CONFIG_LOCALVERSION="-netns-{name}"', text)

    def test_what_is_switched_off_is_on_in_the_common_kernel(self) -> None:
        for name in negative.names():
            base = set(negative.base_of(name).read_text().splitlines())
            for line in (negative.VARIANTS / f"{name}.config").read_text().splitlines():
                if line.endswith(" is not set"):
                    self.assertIn(line.split()[1] + "=y", base, "a kernel without it would lack nothing")

    def test_notices_what_kconfig_refuses(self) -> None:
        wanted = "CONFIG_A=y\n# CONFIG_B is not set\n"
        self.assertEqual(negative.unmet(wanted, "CONFIG_A=y\n"), [])
        self.assertEqual(negative.unmet(wanted, "CONFIG_A=m\nCONFIG_B=y\n"), ["CONFIG_A=y", "# CONFIG_B is not set"])

    def test_an_unknown_variant_is_one_line(self) -> None:
        done = subprocess.run([sys.executable, str(PROGRAM), "no-such"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertEqual(len(done.stderr.splitlines()), 1)
        self.assertIn("no-veth", done.stderr)


if __name__ == "__main__":
    unittest.main()
