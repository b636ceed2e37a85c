# SPDX-License-Identifier: GPL-2.0-or-later
"""explain-holders, on namespaces of our own: each kind of holder is listed, and is gone from the list when it is gone."""

from __future__ import annotations

import contextlib
import ctypes
import io
import os
import socket
import sys
import threading
import unittest
from argparse import Namespace
from pathlib import Path
from typing import Callable

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from netns_vm import holders  # noqa: E402
from netns_vm.problems import UsageProblem  # noqa: E402

libc = ctypes.CDLL(None, use_errno=True)


def in_a_thread(step: Callable[[], None]) -> Callable[[], None]:
    """Runs `step` in a thread of its own, which then stays until the returned function is called."""
    done, leave = threading.Event(), threading.Event()

    def run() -> None:
        try:
            step()
        finally:
            done.set()
            leave.wait()

    thread = threading.Thread(target=run)
    thread.start()
    done.wait()

    def end() -> None:
        leave.set()
        thread.join()

    return end


@unittest.skipUnless(os.geteuid() == 0, "needs root: one thread of this process enters another namespace")
class Holders(unittest.TestCase):
    def setUp(self) -> None:
        made: dict[str, int] = {}

        def make() -> None:
            if libc.unshare(holders.CLONE_NEWNET):
                return
            made["socket"] = socket.socket().detach()
            made["namespace"] = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net", os.O_RDONLY)

        self.end_thread = in_a_thread(make)
        if not made:
            self.end_thread()
            self.skipTest("unshare(CLONE_NEWNET) is not allowed here")
        self.made = made
        self.identity = holders.identity(made["namespace"])
        self.name = f"net:[{self.identity[1]}]"

    def kinds(self) -> list[str]:
        return sorted(holder.kind for holder in holders.holders(self.identity, self.name)[0] if holder.pid == os.getpid())

    def test_each_holder_is_listed_until_it_is_gone(self) -> None:
        self.assertEqual(self.kinds(), ["descriptor", "socket", "thread"])
        self.end_thread()
        self.assertEqual(self.kinds(), ["descriptor", "socket"])
        os.close(self.made["socket"])
        self.assertEqual(self.kinds(), ["descriptor"])
        os.close(self.made["namespace"])
        self.assertEqual(self.kinds(), [])

    def test_the_page_names_process_and_descriptor(self) -> None:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            status = holders.main(Namespace(what=f"/proc/self/fd/{self.made['namespace']}"))
        self.end_thread()
        self.assertEqual(status, 0)
        self.assertIn(f"descriptor {self.made['socket']} of {os.getpid()} ", out.getvalue())
        self.assertIn("is in it, unlike the process", out.getvalue())
        os.close(self.made["socket"])
        os.close(self.made["namespace"])


class BadInput(unittest.TestCase):
    def test_is_one_line(self) -> None:
        for word, says in (("/no/such", "no such file"), ("999999999", "no such process"), ("/etc/passwd", "is no namespace"), ("/proc/self/ns/mnt", "no network namespace")):
            with self.subTest(word), self.assertRaises(UsageProblem) as caught:
                holders.find(word)
            self.assertIn(says, str(caught.exception))
            self.assertNotIn("\n", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
