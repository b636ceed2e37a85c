# SPDX-License-Identifier: GPL-2.0-or-later
"""Where things are kept: the checkout, and the user's cache."""

from __future__ import annotations

import os
import re
from pathlib import Path

from .problems import MachineProblem, UsageProblem

CHECKOUT = Path(__file__).resolve().parents[2]


def version() -> str:
    """The tool's version, as CMakeLists.txt has it."""
    found = re.search(r"VERSION ([0-9.]+) LANGUAGES", (CHECKOUT / "CMakeLists.txt").read_text())
    return found.group(1) if found else "0"


def cache(*parts: str) -> Path:
    """A directory of ours under $XDG_CACHE_HOME (~/.cache), made if it is not there."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    path = Path(base, "netns-conformance", *parts)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MachineProblem(f"{path}: {error.strerror}; set XDG_CACHE_HOME to a directory that can be written") from None
    return path


def new_results(given: str | None) -> Path:
    """The directory for this run's results: the one given, else results/N with the next free number."""
    if given:
        path = Path(given)
        try:
            path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise UsageProblem(f"--output {path}: there is a file in the way; name a directory") from None
        except OSError as error:
            raise MachineProblem(f"--output {path}: {error.strerror}; name another place") from None
    else:
        base = Path("results")
        number = 1
        while True:
            path = base / f"{number:04d}"
            try:
                path.mkdir(parents=True)
                break
            except FileExistsError:
                number += 1
            except OSError as error:
                raise MachineProblem(f"{path}: {error.strerror}; name another place with --output DIR") from None
    probe = path / ".writable"
    try:
        probe.write_bytes(b"\0" * 4096)
        probe.unlink()
    except OSError as error:
        raise MachineProblem(f"{path}: {error.strerror}; name another place with --output DIR") from None
    return path
