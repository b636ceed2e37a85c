# SPDX-License-Identifier: GPL-2.0-or-later
"""What the user sees while tests run: a line that changes on a terminal, plain lines elsewhere."""

from __future__ import annotations

import re
import shutil
import sys
import time
from typing import TextIO

from .stream import Event, Joined

PLAIN_EVERY_SECONDS = 15.0


def printable(text: str) -> str:
    """Text from a guest without what a terminal would obey."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "?", text)


class Progress:
    def __init__(self, joined: Joined, out: TextIO = sys.stdout, label: str = "") -> None:
        self._joined = joined
        self._out = out
        self._terminal = out.isatty()
        self._begun = time.monotonic()
        self._last = 0.0
        self._label = label
        self._total = 0

    def _counts(self) -> str:
        counts = self._joined.counts
        shown = [f"{counts[word]} {word}" for word in ("PASS", "FAIL", "ERROR", "MISS") if counts[word] or word in ("PASS", "FAIL")]
        return f"{sum(counts.values()) - counts['SKIP']}/{self._total or '?'}  " + "  ".join(shown)

    def clear(self) -> None:
        if self._terminal:
            self._out.write("\r\x1b[K")

    def say(self, text: str) -> None:
        """One plain line."""
        with self._joined.lock:  # machines speak from threads of their own
            self.clear()
            self._out.write(printable(self._label + text) + "\n")
            self._out.flush()

    def observe(self, event: Event) -> None:
        with self._joined.lock:
            self._observe(event)

    def _observe(self, event: Event) -> None:
        if event["event"] == "header":
            self._total = len(self._joined.selected())
            self.say(f"{self._total} tests on {event.get('kernel', {}).get('release', '?')}")
        if event["event"] == "end" and event.get("verdict") in ("FAIL", "ERROR"):
            failures = event.get("failures") or [{}]
            first = failures[0]
            place = f" {first.get('file')}:{first.get('line')}" if first.get("file") else ""
            message = str(first.get("message", "")).strip().splitlines()
            self.say(f"{event['verdict']} {event['test']}{place}: {' '.join(message[:3])}")

    def tick(self) -> None:
        with self._joined.lock:
            self._tick()

    def _tick(self) -> None:
        now = time.monotonic()
        if self._terminal:
            if now - self._last < 0.1:
                return
            running = (self._joined.in_flight() or ["booting" if self._joined.is_booting() else ""])[-1]
            line = f"{self._label}[{now - self._begun:4.0f} s] {self._counts()}  {running}"
            self._out.write("\r\x1b[K" + printable(line)[: shutil.get_terminal_size().columns - 1])
            self._out.flush()
            self._last = now
        elif now - max(self._last, self._begun) >= PLAIN_EVERY_SECONDS:
            self._last = now
            running = ", ".join(self._joined.in_flight()) or ("booting" if self._joined.is_booting() else "-")
            self.say(f"[{now - self._begun:.0f} s] {self._counts()}  running: {running}")
