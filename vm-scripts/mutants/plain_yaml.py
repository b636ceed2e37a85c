# SPDX-License-Identifier: GPL-2.0-or-later
"""Reads the tables of mutants: as much of YAML as they use."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any


def read(path: Path) -> list[dict[str, Any]]:
    """A list of mappings, one scalar or flow list of words a line. ValueError names the file and the line that is none."""
    entries: list[dict[str, Any]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = re.match(r"(- |  )(\w+): (.*)$", line)
        if not match or (match[1] == "  " and not entries):
            raise ValueError(f"{path}:{number}: not 'key: value' of a list of mappings: {line}")
        if match[1] == "- ":
            entries.append({})
        value: Any = match[3]
        if value.startswith("["):
            value = [word.strip() for word in value.strip("[]").split(",") if word.strip()]
        elif value.startswith('"'):
            value = json.loads(value)
        elif value.isdigit():
            value = int(value)
        entries[-1][match[2]] = value
    return entries
