#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""The HTML report in a real browser: html_test.py NETNS-REPORT REQUIREMENTS.YAML [SCREENSHOT-DIRECTORY]

Speaks WebDriver (a W3C recommendation) to Debian's chromedriver. Exit status 77 where there is none.
"""

import base64
import json
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.request
from pathlib import Path
from typing import Any, Optional

PROGRAM = REQUIREMENTS = ""
TAB, ENTER = "\ue004", "\ue007"  # WebDriver's names of keys
SCREENSHOTS: Optional[Path] = None


def events(kernel: int) -> str:
    """A run with a pass, a MISS, and a failure whose texts are as hostile as a kernel log can be."""
    tests = [{"name": "Create.Moves", "covers": ["CREATE-01"]}, {"name": "Veth.Pipe", "covers": ["VETH-01"]}, {"name": "Phys.Back", "covers": ["PHYS-01"]}]
    hostile = "</pre></script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\u001b[31m"
    lines = [
        {"event": "header", "time": 1.0 + kernel, "schema": "1.0", "kernel": {"release": f"6.{kernel}.0"}, "tests": tests},
        {"event": "end", "test": "Create.Moves", "verdict": "PASS", "duration_ms": 3},
        {"event": "end", "test": "Veth.Pipe", "verdict": "FAIL" if kernel == 1 else "PASS", "duration_ms": 3,
         "failures": [{"kind": "expectation", "file": "a.cc", "line": 7, "message": "Expected: gone\n  Actual: " + hostile}], "kernel_log": hostile + "A" * 1000000},
        {"event": "end", "test": "Phys.Back", "verdict": "MISS", "duration_ms": 0, "reason": {"code": "needs-nic", "text": hostile}},
        {"event": "footer", "counts": {}, "duration_ms": 6},
    ]
    return "".join(json.dumps(line) + "\n" for line in lines)


class Browser:
    """A WebDriver session with headless chromium."""

    def __init__(self, driver: str) -> None:
        self.process = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.base = ""
        for line in self.process.stdout:  # it says when it is ready, and where
            if "started successfully on port" in line:
                self.base = "http://127.0.0.1:" + line.rsplit(" ", 1)[1].strip().rstrip(".")
                break
        options = {"args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1400,1200", "--disable-dev-shm-usage"]}
        capabilities = {"alwaysMatch": {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}
        self.session = self.call("POST", "/session", {"capabilities": capabilities})["sessionId"]

    def call(self, method: str, path: str, body: Optional[dict] = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.base + path, data=data, method=method, headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, url: str) -> None:
        self.call("POST", f"/session/{self.session}/url", {"url": url})

    def run(self, script: str) -> Any:
        return self.call("POST", f"/session/{self.session}/execute/sync", {"script": script, "args": []})

    def press(self, *keys: str) -> None:
        """Keys as a user presses them, one after the other; the focus is where the page has it."""
        steps = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.call("POST", f"/session/{self.session}/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": steps}]})

    def log(self) -> Any:
        return self.call("POST", f"/session/{self.session}/se/log", {"type": "browser"})

    def media(self, feature: str, value: str, medium: str = "") -> None:
        self.call("POST", f"/session/{self.session}/goog/cdp/execute",
                  {"cmd": "Emulation.setEmulatedMedia", "params": {"media": medium, "features": [{"name": feature, "value": value}]}})

    def screenshot(self, name: str) -> None:
        if SCREENSHOTS is not None:
            (SCREENSHOTS / name).write_bytes(base64.b64decode(self.call("GET", f"/session/{self.session}/screenshot")))

    def close(self) -> None:
        try:
            self.call("DELETE", f"/session/{self.session}")
        finally:
            self.process.terminate()
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()


class Html(unittest.TestCase):
    def test_opened_filtered_and_drilled_into(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            paths = []
            for kernel in (1, 2):
                paths.append(str(Path(directory) / f"{kernel}.jsonl"))
                Path(paths[-1]).write_text(events(kernel), encoding="utf-8")
            page = Path(directory) / "report.html"
            subprocess.run([PROGRAM, "report", *paths, "--requirements", REQUIREMENTS, "--format", "html", "--output", str(page)], check=False)
            browser = Browser(shutil.which("chromedriver") or "")
            self.addCleanup(browser.close)
            browser.open(page.as_uri())
            self.check(browser)

    def check(self, browser: Browser) -> None:
        def shown() -> int:
            return browser.run("return [...document.querySelectorAll('tr.req')].filter(r => r.checkVisibility()).length")

        def choose(field: str, value: str) -> None:
            browser.run(f"const f = document.getElementById('f-{field}'); f.value = {json.dumps(value)}; f.dispatchEvent(new Event('input', {{bubbles: true}}))")

        # By keyboard alone: the first stop leads past the filter, and Enter opens what is closed.
        browser.press(TAB)
        self.assertEqual(browser.run("return document.activeElement.className"), "skip")
        browser.press(ENTER)
        self.assertEqual(browser.run("return location.hash + document.activeElement.id"), "#requirementsrequirements")
        browser.run("document.querySelector('details.trouble > summary').focus()")
        browser.press(ENTER)
        self.assertTrue(browser.run("return document.querySelector('details.trouble').open"))
        browser.press(ENTER)
        self.assertFalse(browser.run("return document.querySelector('details.trouble').open"))
        browser.run("scrollTo(0, 0)")
        everything = shown()
        self.assertGreater(everything, 100)
        self.assertEqual(browser.run("return document.querySelector('.verdict').textContent"), "FAIL")
        browser.screenshot("light.png")
        choose("verdict", "FAIL")
        self.assertEqual(shown(), 1)
        choose("kernel", "1")
        self.assertEqual(shown(), 0, "on the second kernel nothing failed")
        self.assertFalse(browser.run("return document.getElementById('failures').checkVisibility()"), "a heading of nothing")
        choose("kernel", "0")
        self.assertEqual(shown(), 1)
        choose("verdict", "")
        choose("text", "veth-01")
        self.assertEqual(shown(), 1)
        choose("text", "")
        choose("kernel", "")
        choose("area", "PHYS")
        self.assertLess(shown(), everything)
        choose("area", "")
        self.assertEqual(shown(), everything)
        # From the requirement to its failure, by the link that a reader would follow.
        browser.run("document.getElementById('VETH-01').querySelector('summary').click()")
        browser.run("document.getElementById('VETH-01').querySelector('a').click(); return new Promise(r => setTimeout(r, 0))")
        self.assertTrue(browser.run("return document.getElementById('t0').open"))
        self.assertIn("<script>", browser.run("return document.querySelector('#t0 pre').textContent"))
        self.assertIn("Expected: gone\n  Actual: </pre>", browser.run("return document.querySelector('#t0 pre').innerText"), "lines stay lines")
        self.assertEqual(browser.run("return [...document.querySelectorAll('#chapters ~ div tbody tr')].reduce((sum, row) => sum + Number(row.cells[1].textContent), 0)"), everything)
        browser.screenshot("failure.png")
        browser.media("prefers-color-scheme", "dark")
        browser.screenshot("dark.png")
        browser.media("prefers-color-scheme", "light", "print")
        browser.run("document.getElementById('t0').open = false; dispatchEvent(new Event('beforeprint'))")
        self.assertTrue(browser.run("return document.getElementById('t0').open"), "paper has nothing to click on")
        self.assertFalse(browser.run("return document.getElementById('filter').checkVisibility()"))
        browser.screenshot("print.png")
        # Every control has a name, every table its headers.
        self.assertEqual(browser.run("return [...document.querySelectorAll('select,input')].filter(e => e.labels.length === 0).length"), 0)
        self.assertEqual(browser.run("return [...document.querySelectorAll('th')].filter(e => !e.scope).length"), 0)
        self.assertEqual(browser.run("return document.querySelectorAll('img').length"), 0)
        self.assertNotEqual(browser.run("return document.title"), "owned")
        self.assertEqual(browser.log(), [], "the console must be silent")


if __name__ == "__main__":
    PROGRAM, REQUIREMENTS = sys.argv[1:3]
    if len(sys.argv) > 3:
        SCREENSHOTS = Path(sys.argv[3])
    if shutil.which("chromedriver") is None:
        print("MISS: no chromedriver; remedy: apt install chromium-driver")
        sys.exit(77)
    unittest.main(argv=sys.argv[:1])
