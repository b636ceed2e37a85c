# SPDX-License-Identifier: GPL-2.0-or-later
"""The small parts of the launcher: archives, kernels, cards, faults, the joined stream."""

from __future__ import annotations

import io
import json
import struct
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from netns_vm import cpio, faults, kernels, modules, packages, qemu, stream  # noqa: E402
from netns_vm.problems import UsageProblem  # noqa: E402

HEADER = {"event": "header", "schema": "1.0", "tests": [{"name": "A.One", "selected": True}, {"name": "A.Two", "selected": True}, {"name": "B.Three", "selected": False}]}


def bzimage(release: str) -> bytes:
    image = bytearray(0x2000)
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", image, 0x20E, 0x400)
    image[0x600 : 0x600 + len(release) + 2] = release.encode() + b" x"
    return bytes(image)


class Scratch(unittest.TestCase):
    def setUp(self) -> None:
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.dir = Path(holder.name)


class Archives(Scratch):
    def test_writes_what_cpio_reads(self) -> None:
        out = io.BytesIO()
        archive = cpio.Writer(out)
        archive.file("a/b/c", b"hello", 0o755)
        archive.symlink("a/link", "b/c")
        archive.finish()
        data = out.getvalue()
        self.assertEqual(len(data) % 4, 0)
        self.assertTrue(data.startswith(b"070701"))
        for name in (b"a\0", b"a/b\0", b"a/b/c\0", b"a/link\0", b"TRAILER!!!\0"):
            self.assertIn(name, data)
        self.assertEqual(data.count(b"a/b\0"), 1)


class Kernels(Scratch):
    def test_release_of_a_bzimage(self) -> None:
        path = self.dir / "bzImage"
        path.write_bytes(bzimage("6.1.0-56-amd64"))
        self.assertEqual(kernels.release_of(path), "6.1.0-56-amd64")

    def test_says_what_a_file_is_that_is_no_kernel(self) -> None:
        arm = bytearray(128)
        arm[0x38:0x3C] = b"ARM\x64"
        for data, words in ((b"", "empty"), (b"\x7fELF" + bytes(64), "ELF"), (bytes(arm), "arm64"), (b"!<arch>\nxx", "--deb"), (b"hello", "not a kernel")):
            path = self.dir / "file"
            path.write_bytes(data)
            with self.assertRaisesRegex(UsageProblem, words):
                kernels.release_of(path)
        with self.assertRaisesRegex(UsageProblem, "No such file"):
            kernels.release_of(self.dir / "missing")

    def test_modules_of_another_release_are_refused(self) -> None:
        image = self.dir / "bzImage"
        image.write_bytes(bzimage("6.1.0"))
        (self.dir / "root/lib/modules/5.10.0/kernel").mkdir(parents=True)
        with self.assertRaisesRegex(UsageProblem, "5.10.0.*6.1.0"):
            kernels.from_file(image, self.dir / "root")
        (self.dir / "root/lib/modules/6.1.0").mkdir()
        self.assertEqual(kernels.from_file(image, self.dir / "root").modules, (self.dir / "root/lib/modules/6.1.0").absolute())


    def test_a_configuration_beside_the_image_must_be_of_its_version(self) -> None:
        image = self.dir / "bzImage"
        image.write_bytes(bzimage("6.1.0-rc1-mine"))
        for version, found in (("6.1.0-rc1", True), ("6.1.0", True), ("6.1", False), ("6.2.0", False)):
            (self.dir / ".config").write_text(f"#\n# Automatically generated file; DO NOT EDIT.\n# Linux/x86 {version} Kernel Configuration\n#\nCONFIG_NET=y\n")
            self.assertEqual(kernels.from_file(image, None).config is not None, found, version)


class Cards(unittest.TestCase):
    def test_pairs_share_a_wire(self) -> None:
        nics = qemu.parse_nics("e1000:2,virtio:2,igb:1")
        self.assertEqual([(nic.model, nic.wire) for nic in nics], [("e1000", 1), ("e1000", 1), ("virtio-net-pci", 2), ("virtio-net-pci", 2), ("igb", 3)])
        self.assertEqual(len({nic.mac for nic in nics}), 5)

    def test_none_and_nonsense(self) -> None:
        self.assertEqual(qemu.parse_nics("none"), [])
        for text in ("foo:2", "e1000:x", "e1000:99", "e1000:-1"):
            with self.assertRaises(UsageProblem):
                qemu.parse_nics(text)


class Faults(unittest.TestCase):
    CONSOLE = (
        "[    5.0] netns-conformance: start A.One\n[    5.1] netns-conformance: end A.One PASS\n"
        "[    5.2] netns-conformance: start A.Two\n[    5.3] BUG: kernel NULL pointer dereference, address: 0\n"
        "[    5.3] Oops: 0002 [#1]\n[    5.4] Kernel panic - not syncing: Fatal exception\n"
    )

    def test_the_first_cause_names_the_fault(self) -> None:
        fault = faults.diagnose(self.CONSOLE)
        assert fault
        self.assertEqual((fault.kind, fault.verdict), ("oops", "FAIL"))
        self.assertIn("NULL pointer", fault.text)

    def test_other_kinds(self) -> None:
        for line, kind in (
            ("watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [x:1]\nKernel panic - not syncing: softlockup: hung tasks", "lockup"),
            ("Watchdog detected hard LOCKUP on cpu 1\nKernel panic - not syncing: Hard LOCKUP", "lockup"),
            ("watchdog: Watchdog detected hard LOCKUP on cpu 0\nKernel panic - not syncing: Hard LOCKUP", "lockup"),
            ("rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:\nKernel panic - not syncing: RCU Stall", "lockup"),
            ("BUG: KASAN: slab-use-after-free in x\nKernel panic - not syncing: kasan.fault=panic set ...", "oops"),
            ("kernel BUG at net/core/dev.c:11: invalid opcode: 0000\nKernel panic - not syncing: Fatal exception", "oops"),
            ("Kernel panic - not syncing: Out of memory: compulsory panic_on_oom is enabled", "machine"),
            ("INFO: task x:1 blocked for more than 60 seconds.\nKernel panic - not syncing: hung_task: blocked tasks", "hung-task"),
            ("Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000009", "machine"),
            ("Kernel panic - not syncing: something new", "panic"),
        ):
            fault = faults.diagnose(line)
            assert fault
            self.assertEqual(fault.kind, kind)
        self.assertIsNone(faults.diagnose("all is well\nBUG: something that did not end the guest\n"))

    def test_a_slip_of_tcg_is_told_from_an_int3_of_the_kernel(self) -> None:
        slip = "Oops: int3: 0000 [#1] PREEMPT SMP\nRIP: 0010:sched_clock_cpu+0x9/0x1d0\nCode: 90 f3 0f 1e fa 41 54 55 53 66 <90> e8 b1\nKernel panic - not syncing: Fatal exception"
        self.assertTrue(faults.is_tcg_slip(slip))
        self.assertFalse(faults.is_tcg_slip(slip.replace("66 <90>", "cc <90>")), "a breakpoint that somebody left")
        self.assertFalse(faults.is_tcg_slip(slip.replace("int3", "page fault")))
        stuck = (
            "[  192.513839] watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [netns-test:6998]\n"
            "[  192.521792] RIP: 0010:__netif_receive_skb_core.constprop.0+0xe9/0xf00\n"
            "[  192.522277] Code: a8 40 0f 85 04 02 00 00 45 84 ed 0f 84 76 06 00 00 <0f> 1f 44 00 00 41 80 a7 83 00 00 00 7f\n"
        )
        self.assertTrue(faults.is_tcg_slip(stuck))
        self.assertFalse(faults.is_tcg_slip(stuck.replace("+0xe9/", "+0x4/")), "where a function begins")
        self.assertFalse(faults.is_tcg_slip(stuck.replace("<0f> 1f", "<f3> 90")), "a loop that waits")
        for line in slip.splitlines()[0], slip.splitlines()[0].replace("Oops: ", ""):
            fault = faults.diagnose(line + "\nKernel panic - not syncing: Fatal exception in interrupt")
            assert fault
            self.assertEqual((fault.kind, fault.text), ("oops", line))

    def test_in_flight_and_excerpt(self) -> None:
        self.assertEqual(faults.in_flight(self.CONSOLE), ["A.Two"])
        self.assertNotIn("A.One", faults.excerpt(self.CONSOLE))


class JoinedStream(Scratch):
    def events(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in (self.dir / "events.jsonl").read_text().splitlines()]

    def line(self, **event: object) -> bytes:
        return json.dumps(event).encode()

    def test_two_boots_become_one_run(self) -> None:
        joined = stream.Joined(self.dir / "events.jsonl")
        feed = stream.Feed(joined)
        joined.note("known before the header")
        feed.begin_boot()
        feed.take(self.line(**HEADER))
        feed.take(self.line(event="start", test="A.One", iteration=1))
        feed.end({"event": "end", "test": "A.One", "verdict": "FAIL"})
        self.assertEqual(feed.remaining(), ["A.Two"])
        feed.begin_boot()
        feed.take(self.line(**HEADER))
        feed.take(self.line(event="end", test="A.One", verdict="SKIP"))
        feed.take(self.line(event="start", test="A.Two", iteration=1))
        feed.take(b"\xff junk")
        feed.take(self.line(event="end", test="A.Two", verdict="PASS"))
        feed.take(self.line(event="footer", exit_status=0))
        self.assertEqual(joined.finish(True, {}), 1)
        events = self.events()
        self.assertEqual([event["event"] for event in events].count("header"), 1)
        self.assertEqual(events[0]["event"], "header")
        self.assertEqual([event["test"] for event in events if event["event"] == "end"], ["A.One", "A.Two"])
        self.assertEqual(events[-1]["counts"], {"PASS": 1, "FAIL": 1, "ERROR": 0, "MISS": 0, "SKIP": 0})

    def test_two_machines_become_one_run(self) -> None:
        joined = stream.Joined(self.dir / "events.jsonl")
        feeds = [stream.Feed(joined, number, 2) for number in (1, 2)]
        for feed in feeds:
            feed.begin_boot()
        for feed, own, other in ((feeds[1], "A.Two", "A.One"), (feeds[0], "A.One", "A.Two")):
            feed.take(self.line(**HEADER))
            self.assertEqual(feed.own(), [own])
            feed.take(self.line(event="start", test=own, iteration=1))
            self.assertEqual(feed.remaining(), [own])
            self.assertIsNone(feed.take(self.line(event="end", test=other, verdict="SKIP")), "the other machine's")
        self.assertEqual(joined.in_flight(), ["A.Two", "A.One"])
        for feed, own in zip(feeds, ("A.One", "A.Two")):
            feed.take(self.line(event="end", test=own, verdict="PASS"))
            self.assertEqual(feed.remaining(), [])
        self.assertEqual(joined.finish(True, {}), 0)
        events = self.events()
        self.assertEqual([event["event"] for event in events], ["header", "start", "start", "end", "end", "footer"])
        self.assertEqual([event["machine"] for event in events if event["event"] == "end"], [1, 2])
        self.assertEqual(events[-1]["counts"]["SKIP"], 0)

    def test_incomplete_has_no_footer_and_is_an_error(self) -> None:
        joined = stream.Joined(self.dir / "events.jsonl")
        feed = stream.Feed(joined)
        feed.begin_boot()
        feed.take(self.line(**HEADER))
        feed.take(self.line(event="end", test="A.One", verdict="PASS"))
        self.assertEqual(joined.finish(False, {}), 3)
        self.assertNotEqual(self.events()[-1]["event"], "footer")


class Lists(unittest.TestCase):
    def test_lists_can_be_read(self) -> None:
        self.assertIn("veth", modules.read_list().eager)
        self.assertIn("qemu-system-x86", packages.wanted())


if __name__ == "__main__":
    unittest.main()
