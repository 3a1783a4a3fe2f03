"""A page in headless Chromium: what a script finds there, what the console says, a picture."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-dev-shm-usage")
PROBE = """<script>
const found = {console: []};
addEventListener("error", (e) => found.console.push(String(e.message)));
</script>"""


class Seen(NamedTuple):
    """What `probe` put into `found`, and the lines of the console."""

    found: dict[str, Any]
    console: list[str]


def chromium() -> str:
    """The program; where it is required a missing one fails the test, elsewhere it skips it."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        if os.environ.get("MEMSPIKE_REQUIRE_CHROMIUM"):
            pytest.fail("Chromium is required and not installed: apt-get install chromium")
        pytest.skip("no Chromium: apt-get install chromium")
    return program


def _call(*options: str) -> "subprocess.CompletedProcess[str]":
    command = [chromium(), *FLAGS, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def probe(page: Path, script: str, *, width: int = 1200, dark: bool = False) -> Seen:
    """Run `script` at the end of a copy of the page; it fills `found`."""
    copy = page.with_name("probed.html")
    more = f'<script>{script};document.body.setAttribute("data-found", JSON.stringify(found));</script></body>'
    text = page.read_text().replace("<head>", f"<head>{PROBE}", 1)
    copy.write_text(more.join(text.rsplit("</body>", 1)))
    scheme = ("--blink-settings=preferredColorScheme=0",) if dark else ()
    size = ("--virtual-time-budget=3000", f"--window-size={width},900")
    done = _call(*size, *scheme, "--enable-logging=stderr", "--dump-dom", copy.as_uri())
    match = re.search(r'data-found="([^"]*)"', done.stdout)
    assert match, done.stderr[-2000:]
    found = json.loads(match[1].replace("&quot;", '"').replace("&amp;", "&").replace("&lt;", "<"))
    return Seen(found, [line for line in done.stderr.splitlines() if ":CONSOLE" in line])


def picture(page: Path, image: Path, *, width: int) -> bytes:
    """A screenshot."""
    _call("--virtual-time-budget=3000", f"--window-size={width},2000", f"--screenshot={image}", page.as_uri())
    return image.read_bytes()
