"""eecircuit-engine, an ngspice that runs in Node: found, and given decks without a control block."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from memspike.interop.spice.raw import Plot

PACKAGE = "eecircuit-engine"
INSTALL = f"npm install {PACKAGE}"
RUNNER = Path(__file__).with_name("engine.mjs")


class Engine(NamedTuple):
    """Node, the module of the engine, and its version."""

    node: str
    module: str
    version: str


def find_engine(folder: Path | None = None) -> Engine | None:
    """The package in `folder` (the current one) or above it, or in npm's global folder; None where it or Node is not
    there.
    """
    node = shutil.which("node")
    if node is None:
        return None
    for root in _roots((folder or Path.cwd()).resolve()):
        package = root / PACKAGE / "package.json"
        if package.is_file():
            known = json.loads(package.read_text(encoding="utf-8"))
            return Engine(node, str(package.parent / known["module"]), known["version"])
    return None


def _roots(folder: Path) -> Iterator[Path]:
    yield from (one / "node_modules" for one in (folder, *folder.parents))
    npm = shutil.which("npm")
    if npm is not None:
        done = subprocess.run([npm, "root", "-g"], capture_output=True, text=True, timeout=60, check=False)
        if done.returncode == 0 and done.stdout.strip():
            yield Path(done.stdout.strip())


def plain(deck: str) -> str:
    """A deck as the engine takes it: the vectors to keep and the analysis as cards, letters beyond ASCII left out.

    The engine runs what the cards say, and writes the raw file itself.
    """

    def cards(block: re.Match[str]) -> str:
        lines = (line.strip() for line in block[1].splitlines())
        return "\n".join(f".{line}" for line in lines if line.startswith("save ") or line == "op")

    text = re.sub(r"^\.control\n(.*?)^\.endc$", cards, deck, flags=re.S | re.M)
    return text.replace("µ", "u").encode("ascii", "ignore").decode()


def ran(command: list[str], folder: Path, timeout: float | None) -> subprocess.CompletedProcess[str]:
    """A command in a folder, with what it said, however it ended; subprocess.TimeoutExpired after `timeout` seconds."""
    options: dict[str, Any] = {"capture_output": True, "text": True, "errors": "replace", "check": False}
    return subprocess.run(command, cwd=folder, timeout=timeout, **options)


def run(engine: Engine, deck: str, folder: Path, timeout: float | None = None) -> tuple[list[Plot], str]:
    """Run a deck in a folder → its plot, or none where it failed, and what was said.

    subprocess.TimeoutExpired for one that does not end in time.
    """
    (folder / "plain.cir").write_text(plain(deck), encoding="ascii")
    done = ran([engine.node, str(RUNNER), engine.module, "plain.cir", "out"], folder, timeout)
    log, names = folder / "out.log", folder / "out.json"
    said = log.read_text(encoding="utf-8") if log.exists() else done.stderr
    if not names.exists():
        return [], said
    known = [str(name).lower() for name in json.loads(names.read_text(encoding="utf-8"))]
    table = np.fromfile(folder / "out.bin", "<f8").reshape(len(known), -1)
    return [Plot(PACKAGE, dict(zip(known, table, strict=True)))], said
