# SPDX-License-Identifier: GPL-2.0-or-later
"""The event stream of a VM run (docs/events.md): lines of several boots and machines joined into one file."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any, Optional

from .problems import MachineProblem

Event = dict[str, Any]
VERDICTS = ("PASS", "FAIL", "ERROR", "MISS", "SKIP")


class Joined:
    """Writes DIR/events.jsonl and keeps the state of the run: the plan, and what has ended. Several machines may feed it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("wb", buffering=0)
        except OSError as error:
            raise MachineProblem(f"{path}: {error.strerror}") from None
        self.lock = threading.RLock()
        self.header: Optional[Event] = None
        self.planned: dict[str, Event] = {}
        self.ended: dict[str, str] = {}  # test -> verdict of its last end
        self.counts: dict[str, int] = {verdict: 0 for verdict in VERDICTS}
        self.feeds: list[Feed] = []
        self.begun = time.time()
        self._held: list[Event] = []  # a stream begins with its header; what is known before waits for it

    def write(self, event: Event) -> None:
        with self.lock:
            event.setdefault("time", time.time())
            if self.header is None:
                self._held.append(event)
            else:
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

    def begin(self, header: Event) -> bool:
        """Takes the first header for that of the run; whether it was the first."""
        with self.lock:
            if self.header is not None:
                return False
            self.header = header
            for entry in header.get("tests", []):
                self.planned[entry["name"]] = entry
            self._put(header)
            held, self._held = self._held, []
            for event in held:
                self._put(event)
            return True

    def end(self, event: Event) -> None:
        with self.lock:
            verdict = event.get("verdict", "ERROR")
            self.counts[verdict] = self.counts.get(verdict, 0) + 1
            self.ended[event["test"]] = verdict
            self.write(event)

    def selected(self) -> list[str]:
        return [name for name, entry in self.planned.items() if entry.get("selected", True)]

    def in_flight(self) -> list[str]:
        """Tests that run now, the last to start at the end."""
        started = [pair for feed in self.feeds for pair in list(feed.in_flight.items())]
        return [test for test, _ in sorted(started, key=lambda pair: pair[1])]

    def is_booting(self) -> bool:
        return not any(feed.boot_header for feed in self.feeds)

    def status(self, complete: bool) -> int:
        if self.counts["FAIL"]:
            return 1
        return 3 if self.counts["ERROR"] or not complete or not self.ended else 0

    def finish(self, complete: bool, own_header: Event) -> int:
        """Writes the footer (only of a complete run) and returns the exit status. `own_header` is for a guest without one."""
        self.begin(own_header)
        status = self.status(complete)
        if complete:
            self.write({"event": "footer", "counts": self.counts, "duration_ms": (time.time() - self.begun) * 1000.0, "exit_status": status})
        self._file.close()
        return status


class Feed:
    """What one machine of the run sends, boot by boot: its shard of the tests, the `shard`th of `shards`."""

    def __init__(self, joined: Joined, shard: int = 1, shards: int = 1) -> None:
        self._joined = joined
        self._shard = shard
        self._shards = shards
        self.in_flight: dict[str, float] = {}  # test -> when its start was seen (monotonic), in order of starts
        self.boot_header: Optional[Event] = None
        self.boot_footer: Optional[Event] = None
        self._handled: set[str] = set()
        joined.feeds.append(self)

    def begin_boot(self) -> None:
        self.boot_header = self.boot_footer = None
        self.in_flight.clear()
        # What ended in an earlier boot is not told again (the runner reports it as SKIP, named in the skip file).
        self._handled = set(self._joined.ended)

    def own(self) -> list[str]:
        """The tests of this shard, as the runner's --shard chooses them."""
        return self._joined.selected()[self._shard - 1 :: self._shards]

    def take(self, line: bytes) -> Optional[Event]:
        """Takes one line of the guest's; returns its event if it belongs in the joined stream."""
        try:
            event = json.loads(line)
            kind = event["event"]
        except (ValueError, TypeError, KeyError):
            self._joined.note(f"a line from the guest is no event: {line[:200].decode('utf-8', 'replace')!r}", "warning")
            return None
        test = event.get("test")
        if kind == "header":
            self.boot_header = event
            is_first = self._joined.begin(event)
            self._handled |= set(self._joined.selected()) - set(self.own())
            return event if is_first else None
        if kind == "footer":
            self.boot_footer = event
            return None
        if test in self._handled:
            return None
        if test and self._shards > 1:
            event["machine"] = self._shard
        if kind == "start":
            self.in_flight.pop(test, None)
            self.in_flight[test] = time.monotonic()
        if kind == "end":
            self.end(event)
        else:
            self._joined.write(event)
        return event

    def end(self, event: Event) -> None:
        """Takes the end of a test: the guest's, or one that the launcher gives it."""
        self.in_flight.pop(event["test"], None)
        self._joined.end(event)

    def done(self) -> int:
        """How many tests of this shard have ended."""
        return len(self.own()) - len(self.remaining())

    def remaining(self) -> list[str]:
        return [name for name in self.own() if name not in self._joined.ended]
