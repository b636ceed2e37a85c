# SPDX-License-Identifier: GPL-2.0-or-later
"""The recipes of docs/: every command line in them is one that the front door takes."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import subprocess
import sys
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

    def test_the_configuration_names_options_only(self) -> None:
        for line in (DOCS / "ci" / "netns.config").read_text().splitlines():
            self.assertRegex(line, r"^(#.*|CONFIG_\w+=y)$")


if __name__ == "__main__":
    unittest.main()
