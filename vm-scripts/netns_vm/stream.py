# SPDX-License-Identifier: GPL-2.0-or-later
"""The event stream of a VM run (docs/events.md): lines of several boots joined into one file."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Optional

from .problems import MachineProblem

Event = dict[str, Any]
VERDICTS = ("PASS", "FAIL", "ERROR", "MISS", "SKIP")


class Joined:
    """Writes DIR/events.jsonl and keeps the state of the run: the plan, what is in flight, what has ended."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            raise MachineProblem(f"{path}: {error.strerror}") from None
        self.header: Optional[Event] = None
        self.planned: dict[str, Event] = {}
        self.ended: dict[str, str] = {}  # test -> verdict of its last end
        self.counts: dict[str, int] = {verdict: 0 for verdict in VERDICTS}
        self.in_flight: dict[str, float] = {}  # test -> when its start was seen (monotonic), in order of starts
        self.boot_header: Optional[Event] = None
        self.boot_footer: Optional[Event] = None
        self.begun = time.time()
        self._handled: set[str] = set()
        self._held: list[Event] = []  # a stream begins with its header; what is known before waits for it

    def begin_boot(self) -> None:
        self.boot_header = self.boot_footer = None
        self.in_flight.clear()
        # What ended in an earlier boot is not told again (the runner reports it as SKIP, named in the skip file).
        self._handled = set(self.ended)

    def write(self, event: Event) -> None:
        event.setdefault("time", time.time())
        if self.header is None:
            self._held.append(event)
            return
        self._put(event)

    def _put(self, event: Event) -> None:
        data = json.dumps(event, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        try:
            while data:
                data = data[self._file.write(data) or 0 :]
        except OSError as error:
            raise MachineProblem(f"{self.path}: {error.strerror}; results are not whole; name another place with --output DIR") from None

    def note(self, text: str, level: str = "info") -> None:
        self.write({"event": "note", "level": level, "text": text})

    def take(self, line: bytes) -> Optional[Event]:
        """Takes one line of the guest's; returns its event if it belongs in the joined stream."""
        try:
            event = json.loads(line)
            kind = event["event"]
        except (ValueError, TypeError, KeyError):
            self.note(f"a line from the guest is no event: {line[:200].decode('utf-8', 'replace')!r}", "warning")
            return None
        test = event.get("test")
        if kind == "header":
            self.boot_header = event
            if self.header is not None:
                return None
            self._begin(event)
            for entry in event.get("tests", []):
                self.planned[entry["name"]] = entry
        elif kind == "footer":
            self.boot_footer = event
            return None
        elif test in self._handled:
            return None
        elif kind == "start":
            self.in_flight.pop(test, None)
            self.in_flight[test] = time.monotonic()
        elif kind == "end":
            self._end(event)
        if kind != "header":
            self.write(event)
        return event

    def _begin(self, header: Event) -> None:
        self.header = header
        self._put(header)
        held, self._held = self._held, []
        for event in held:
            self._put(event)

    def _end(self, event: Event) -> None:
        test = event["test"]
        self.in_flight.pop(test, None)
        verdict = event.get("verdict", "ERROR")
        self.counts[verdict] = self.counts.get(verdict, 0) + 1
        self.ended[test] = verdict

    def end(self, event: Event) -> None:
        """Adds an end line of the launcher's own."""
        self._end(event)
        self.write(event)

    def selected(self) -> list[str]:
        return [name for name, entry in self.planned.items() if entry.get("selected", True)]

    def remaining(self) -> list[str]:
        return [name for name in self.selected() if name not in self.ended]

    def status(self, complete: bool) -> int:
        if self.counts["FAIL"]:
            return 1
        return 3 if self.counts["ERROR"] or not complete or not self.ended else 0

    def finish(self, complete: bool, own_header: Event) -> int:
        """Writes the footer (only of a complete run) and returns the exit status. `own_header` is for a guest without one."""
        if self.header is None:
            self._begin(own_header)
        status = self.status(complete)
        if complete:
            self.write({"event": "footer", "counts": self.counts, "duration_ms": (time.time() - self.begun) * 1000.0, "exit_status": status})
        self._file.close()
        return status
