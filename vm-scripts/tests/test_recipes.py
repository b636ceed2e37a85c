# SPDX-License-Identifier: GPL-2.0-or-later
"""The recipes of docs/: every command line in them is one that the front door takes."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from typing import Iterator

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from netns_vm import cli  # noqa: E402

DOCS = Path(__file__).resolve().parents[2] / "docs"
COMMAND = re.compile(r'(?:[\w./$]*|"\$here)/netns-conformance"? ([a-z]+ [^`\n]*)')


def commands(path: Path) -> Iterator[str]:
    """Calls of the front door with a command and at least one argument."""
    text = path.read_text(encoding="utf-8")
    for found in COMMAND.finditer(text):
        if path.suffix == ".md" and text[max(found.start() - 1, 0)] not in "`\n":
            continue  # prose
        yield re.split(r"\s(?:\|\||>|>>|2>&1|#)|;|\[-", found.group(1) + " ")[0].strip()


class Recipes(unittest.TestCase):
    def test_every_command_line_parses(self) -> None:
        seen = 0
        for path in [*DOCS.glob("*.md"), *(path for path in DOCS.glob("ci/*") if path.suffix in (".yml", ".sh"))]:
            for text in commands(path):
                words = [word for word in shlex.split(text.replace('"$@"', "")) if word not in ("...", "[...]")]
                if any(word.isupper() and not word.startswith("-") for word in words):
                    words = [re.sub(r"^[A-Z]+$", "x", word) for word in words]
                with self.subTest(file=path.name, command=text):
                    complaint = io.StringIO()
                    try:
                        with contextlib.redirect_stderr(complaint):
                            cli.parse(words)
                    except SystemExit:
                        self.fail(complaint.getvalue())
                    seen += 1
        self.assertGreater(seen, 10)

    def test_the_words_of_a_machine_make_it_again(self) -> None:
        for words in ([], ["--debian=bookworm", "--nics=e1000:2"], ["--kernel=/boot/vmlinuz-6.1", "--modules=/lib/modules", "--append=quiet debug"],
                      ["--deb", "/a.deb", "/b.deb", "--memory=2048", "--cpus=4"], ["--running-kernel", "--accel=tcg", "--", "--gtest_shuffle"]):
            with self.subTest(words=words):
                again = cli.words_again(cli.parse(["vm", "--no-build", "--filter=A.*", *words]))
                self.assertEqual(again, words)
                self.assertEqual(cli.words_again(cli.parse(["vm", "--filter=A.B", *again])), words)

    def test_shell_scripts_are_shell(self) -> None:
        for path in DOCS.glob("ci/*.sh"):
            subprocess.run(["sh", "-n", str(path)], check=True)
            self.assertTrue(path.stat().st_mode & 0o100, path)

    def play(self, script: str, *arguments: str) -> int:
        """Runs a copy of a script beside a front door that notes its calls and ends as IMAGE.status or kernel.status says."""
        (self.dir / "docs/ci").mkdir(parents=True, exist_ok=True)
        shutil.copy(DOCS / "ci" / script, self.dir / "docs/ci")
        front = self.dir / "netns-conformance"
        front.write_text(
            f'#!/bin/sh\necho "$@" >> {self.dir}/calls\n'
            'while [ $# -gt 0 ]; do case $1 in --kernel) image=$2 ;; --output) output=$2 ;; esac; shift; done\n'
            'if [ -d "$output" ]; then touch "$output/events.jsonl"; fi\n'
            f'exit $(cat "{self.dir}/$(basename "${{image:-kernel}}").status" 2>/dev/null || echo 0)\n'
        )
        front.chmod(0o755)
        (self.dir / "calls").write_text("")
        return subprocess.run([str(self.dir / "docs/ci" / script), *arguments], stdout=subprocess.DEVNULL).returncode

    def calls(self) -> list[str]:
        return (self.dir / "calls").read_text().splitlines()

    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.dir = Path(holder.name)

    def test_every_kernel_is_judged_once(self) -> None:
        images = self.dir / "images"
        images.mkdir()
        for name, status in (("bzImage-good", 0), ("vmlinuz-bad", 1), ("vmlinuz-unknown", 3)):
            (images / name).touch()
            (self.dir / f"{name}.status").write_text(str(status))
        self.assertEqual(self.play("every-kernel.sh", str(images), "--filter=Sock.*"), 1)
        self.assertEqual(len(self.calls()), 3)
        self.assertIn("--filter=Sock.*", self.calls()[0])
        self.assertEqual(self.play("every-kernel.sh", str(images)), 1)
        self.assertEqual([Path(call.split()[2]).name for call in self.calls()], ["vmlinuz-unknown"], "only what has no verdict yet")

    def test_a_lab_tells_a_bad_kernel_from_a_bad_machine(self) -> None:
        for status, expected in ((0, 0), (1, 1), (3, 2), (4, 2)):
            (self.dir / "kernel.status").write_text(str(status))
            (self.dir / "out").mkdir(exist_ok=True)
            self.assertEqual(self.play("kernelci-job.sh", "tree", str(self.dir / "out")), expected)
            self.assertIn("--profile ci", self.calls()[0])
            self.assertEqual([call.split()[0] for call in self.calls()], ["vm", "report", "report"])

    def test_the_configuration_names_options_only(self) -> None:
        for line in (DOCS / "ci" / "netns.config").read_text().splitlines():
            self.assertRegex(line, r"^(#.*|CONFIG_\w+=y)$")


if __name__ == "__main__":
    unittest.main()
