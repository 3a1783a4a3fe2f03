"""ngspice as another program: found on the path or in Node, asked for its version, run on a deck."""

import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from memspike.interop.spice import engine as node_engine
from memspike.interop.spice.engine import Engine, find_engine
from memspike.interop.spice.raw import Plot, read_raw
from memspike.parts.errors import InputError, RunError, unknown

OLDEST = 39
INSTALL = "apt-get install ngspice (Debian, Ubuntu), brew install ngspice (macOS)"
RAW = "out.raw"
NAMES = ("ngspice", node_engine.PACKAGE)


class Simulator(NamedTuple):
    """A program that runs our decks: where it is, its name, its version, and whether it has the solver KLU.

    `engine` is what runs it where that is Node.
    """

    path: str
    name: str
    version: str
    klu: bool
    engine: Engine | None = None


class Simulated(NamedTuple):
    """What a run came to: the plots of its raw file, what `.meas` statements found, seconds."""

    plots: list[Plot]
    measured: dict[str, float]
    seconds: float

    @property
    def plot(self) -> Plot:
        """The last analysis."""
        return self.plots[-1]


def find_simulator(name: str | None = None) -> Simulator:
    """ngspice on the path, or else eecircuit-engine, an ngspice that runs in Node; with a name only that one.

    The engine is looked for in node_modules of the current folder and of those above it, and in npm's global one.
    InputError in one sentence where it is missing or too old, and for other names.
    """
    if name not in (None, *NAMES):
        raise unknown("simulator", str(name), list(NAMES))
    path = None if name == node_engine.PACKAGE else shutil.which("ngspice")
    found = find_engine() if path is None and name != "ngspice" else None
    if found is not None:
        return Simulator(found.module, node_engine.PACKAGE, found.version, klu=True, engine=found)
    if name == node_engine.PACKAGE:
        raise InputError(f"{name} is not in node_modules here or above, or Node is missing: {node_engine.INSTALL}.")
    if path is None:
        raise InputError(
            f"The circuit simulator ngspice is not on the path; install it: {INSTALL}; or for Node: "
            f"{node_engine.INSTALL}."
        )
    done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=60, check=False)
    found = re.search(r"ngspice-(\d+)(\.\d+)?", done.stdout + done.stderr)
    if found is None:
        raise InputError(f"{path} does not say that it is ngspice; install it: {INSTALL}.")
    if int(found[1]) < OLDEST:
        raise InputError(f"{path} is ngspice {found[1]}; {OLDEST} or later is needed: {INSTALL}.")
    return Simulator(path, "ngspice", found[1] + (found[2] or ""), "klu" in (done.stdout + done.stderr).lower())


def simulator_of(verify: bool | str) -> Simulator | None:
    """What `verify` asks for: a simulator by name, True: the one that is found first, False: none."""
    if not verify:
        return None
    return find_simulator(None if verify is True else verify)


def control(save: list[str], analysis: str = "run") -> list[str]:
    """The control block of a deck: one thread (two are many times slower), the vectors that are kept, the raw file."""
    lines = [".control", "set num_threads=1", "set filetype=binary"]
    lines += [f"save {' '.join(save[k : k + 8])}" for k in range(0, len(save), 8)]
    return [*lines, analysis, f"write {RAW}", ".endc"]


def simulate(simulator: Simulator, deck: str, *, timeout: float | None = None) -> Simulated:
    """Run a deck in a folder of its own; RunError with what the program says where it fails."""
    with tempfile.TemporaryDirectory(prefix="memspike-spice-") as name:
        folder = Path(name)
        (folder / "deck.cir").write_text(deck)
        begin = time.perf_counter()
        try:
            if simulator.engine is None:
                plots, said = _batch(simulator, folder, timeout)
            else:
                plots, said = node_engine.run(simulator.engine, deck, folder, timeout)
        except subprocess.TimeoutExpired:
            raise RunError(f"{simulator.name} did not end within {timeout:g} s.") from None
        seconds = time.perf_counter() - begin
        wrong = [line.strip() for line in said.splitlines() if re.search(r"error|fatal|too small|singular", line, re.I)]
        wrong = [line for line in wrong if "measure" not in line.lower()]
        if not plots or "aborted" in said or wrong:
            reason = (wrong or said.strip().splitlines() or ["it wrote no result"])[0]
            raise RunError(f"{simulator.name} {simulator.version} failed: {reason}")
        return Simulated(plots, _measured(said), seconds)


def _batch(simulator: Simulator, folder: Path, timeout: float | None) -> tuple[list[Plot], str]:
    """The program on the deck of a folder: its plots, and what it said."""
    done = node_engine.ran([simulator.path, "-b", "deck.cir"], folder, timeout)
    raw = folder / RAW
    return read_raw(raw) if raw.exists() else [], done.stdout + done.stderr


def _measured(said: str) -> dict[str, float]:
    """The results of `.meas` statements; a failed one is not among them."""
    found = re.findall(r"^(\w+)\s+=\s+([-+.\deE]+)", said, flags=re.M)
    return {name: float(value) for name, value in found}
