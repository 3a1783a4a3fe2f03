"""What `memspike spice` does: decks and modules of a run, a device or a neuron, and their distance from the library."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from memspike import __version__
from memspike.devices.base import AbstractStateDevice
from memspike.devices.sweep import SWEEPS, SweepSetting
from memspike.experiments.trained import TrainedRun
from memspike.interop.spice.bench import COURSES, device_bench, device_deck
from memspike.interop.spice.crossbars import warning
from memspike.interop.spice.figures import Overlay, overlay_figure, write_overlay
from memspike.interop.spice.laws import law_of
from memspike.interop.spice.simulator import Simulator, simulator_of
from memspike.interop.spice.single_neuron import alpha_current, neuron_bench, neuron_deck
from memspike.interop.spice.verify import Compared, Plan, Wanted, compared, deck_of, plan, reference, verdict
from memspike.interop.spice.verilog import verilog_a
from memspike.neurons.mif import MIF
from memspike.neurons.relaxation import RelaxationOscillator
from memspike.parts.atomic import write_text
from memspike.parts.errors import InputError

# sweeps with which what is compared is not where in a runaway a step falls: others are those of `memspike show`
BENCHES = {"diffusive": SweepSetting(5.0, 20.0, 1e5), "stanford-pku": SweepSetting(2.0, 1e8, 0.0)}
USUAL = SweepSetting(0.5, 1e3, 0.0)
STEPS = 40_000
# what a device may be off by, over full scale, and a membrane, in V
DEVICE_TOLERANCE, NEURON_TOLERANCE = 5e-3, 0.5e-3
# of a single neuron: peaks of alpha currents in A, the step of the library in s
PEAKS, NEURON_STEP = (2e-6, 5e-6, 10e-6, 20e-6), 10e-6


class Found(NamedTuple):
    """Files that were written, sentences about them, what verify.json holds, and whether it is within tolerance.

    `facts` are empty and `passed` is None without a verification.
    """

    files: list[Path]
    said: list[str]
    facts: dict[str, Any]
    passed: bool | None


def samples_of(given: list[str] | None, count: int) -> list[int]:
    """Numbers of test examples from texts like 3 and 0-19; the first one by default. InputError for others."""
    found: list[int] = []
    for text in given or ["0"]:
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", text.strip())
        if match is None:
            raise InputError(f"--sample is '{text}'; write the number of a test example, such as 3, or several: 0-19.")
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last < count:
            raise InputError(f"--sample is '{text}'; allowed: 0 to {count - 1}, the smaller number first.")
        found += range(first, last + 1)
    return list(dict.fromkeys(found))


def check_folder(folder: Path) -> None:
    """InputError where a folder holds something."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"The folder {folder} is not empty; give another --out.")


def _modules(given: Plan) -> dict[str, str]:
    """The Verilog-A module of every memristor of the exported neurons, by its file name; equal ones once."""
    found: dict[str, str] = {}
    for k in given.setting.layers:
        neuron: Any = given.of.network.layers[k - 1].neuron
        for tag in ("m1", "m2", "device"):
            device = vars(neuron).get(tag)
            if isinstance(device, AbstractStateDevice):
                text = verilog_a(device)
                if text not in found.values():
                    found[f"{law_of(device).word}-{k}-{tag}.va"] = text
    return found


def export_run(run: TrainedRun, folder: Path, wanted: Wanted, *, verify: bool | str, note: Any = print) -> Found:
    """A deck for every sample, modules, and with `verify` verify.json and a figure.

    `verify` is the name of a simulator, or True for the one that is found first; `note` is told what takes long.
    InputError for what has no netlist, and for a simulator that is not there.
    """
    check_folder(folder)
    samples = samples_of(wanted.samples, len(run.labels))
    simulator = simulator_of(verify)
    given = plan(run, samples[0], wanted)
    files, found, decks = [], [], []
    for sample in samples:
        ours = None if simulator is None else reference(given.of, sample, given.setting.step)
        deck = deck_of(given, sample, f"memspike {__version__}", ours)
        if not decks and (told := warning(deck.wired)):
            note(told)
        decks.append(deck)
        write_text(folder / f"sample-{sample}.cir", deck.text)
        files.append(folder / f"sample-{sample}.cir")
        if simulator is not None:
            found.append(compared(given, sample, simulator, deck, ours))
    for name, text in _modules(given).items():
        write_text(folder / name, text)
        files.append(folder / name)
    said = [f"simplified: {one}" for one in decks[0].simplified]
    if simulator is None:
        return Found(files, said, {}, None)
    facts, passed = verdict(found, simulator, given, wanted.tolerance)
    files += _written(folder, facts, [_panel(one) for one in found], str(facts["simulator"]))
    return Found(files, [*said, run_verdict(facts)], facts, passed)


def run_verdict(facts: dict[str, Any]) -> str:
    """The verdict on a run in one sentence."""
    count, same = len(facts["samples"]), facts["same_predictions"]
    classes = "" if same is None else f"{same} of {count} predictions are the same; "
    return (
        f"{facts['simulator']}: {classes}membranes differ by at most {facts['max_deviation_v'] * 1e3:.3f} mV (rms "
        f"{facts['rms_deviation_v'] * 1e3:.3f} mV) in {count} samples; {_passed(facts['passed'])} the tolerance of "
        f"{facts['tolerance_v'] * 1e3:g} mV"
    )


def _passed(passed: bool) -> str:
    return "within" if passed else "NOT within"


def _written(folder: Path, facts: dict[str, Any], panels: list[Overlay], simulator: str) -> list[Path]:
    write_text(folder / "verify.json", json.dumps(facts, indent=2) + "\n")
    return [folder / "verify.json", *write_overlay(overlay_figure(panels, simulator), folder)]


def _panel(one: Compared) -> Overlay:
    """The membranes of the last exported layer; the winner stands out."""
    title = f"sample {one.sample}" if one.library is None else f"sample {one.sample}: {one.library} and {one.simulator}"
    return Overlay(one.times, one.ours, one.theirs, "V", "membrane", title, one.library)


def export_device(device: AbstractStateDevice, name: str, folder: Path, *, verify: bool | str) -> Found:
    """Decks of a sweep and of pulses, and a module; with `verify` how far both are from the library."""
    check_folder(folder)
    simulator, setting = simulator_of(verify), BENCHES.get(name) or SWEEPS.get(name, USUAL)
    files, facts, panels = [], {}, []
    module = verilog_a(device)
    for kind, course in COURSES.items():
        file = folder / f"{kind}.cir"
        text = device_deck(device, name, course(setting), setting.load, STEPS)
        write_text(file, text)
        files.append(file)
        if simulator is not None:
            bench = device_bench(simulator, device, course(setting), load=setting.load, steps=STEPS, name=name)
            facts[kind] = {"current": bench.deviation.current, "states": list(bench.deviation.states)}
            both = (bench.library.current[:, None], bench.simulator.current[:, None])
            panels.append(Overlay(bench.library.times, *both, "A", "current", f"{name}, {kind}"))
    write_text(folder / f"{law_of(device).word}.va", module)
    files.append(folder / f"{law_of(device).word}.va")
    if simulator is None:
        return Found(files, [], {}, None)
    largest = max(max(one["current"], *one["states"]) for one in facts.values())
    more = _about(simulator, largest, "max_deviation_full_scale", DEVICE_TOLERANCE)
    facts = {"device": name, "amplitude_v": setting.amplitude, "frequency_hz": setting.frequency} | more | facts
    said = (
        f"{facts['simulator']}: current and states differ by at most {100 * largest:.4f} % of full scale; "
        f"{_passed(facts['passed'])} the tolerance of {100 * DEVICE_TOLERANCE:g} %"
    )
    files += _written(folder, facts, panels, str(facts["simulator"]))
    return Found(files, [said], facts, bool(facts["passed"]))


def _about(simulator: Simulator, largest: float, key: str, tolerance: float) -> dict[str, Any]:
    named = f"{simulator.name} {simulator.version}"
    return {"simulator": named, key: largest, "tolerance": tolerance, "passed": bool(largest <= tolerance)}


def export_neuron(neuron: Any, name: str, folder: Path, *, verify: bool | str) -> Found:
    """Decks of a neuron under alpha currents; with `verify` how far its membranes are from those of the library.

    InputError for a neuron that is no circuit, and for an oscillator that is to be verified: its phase runs away.
    """
    check_folder(folder)
    if verify and isinstance(neuron, RelaxationOscillator):
        raise InputError(f"{name} oscillates, so that its membranes cannot be compared one by one; leave out --verify.")
    unit = 1.0
    if isinstance(neuron, MIF):  # impedances that are scaled need currents that are
        unit = float(np.ravel(neuron.capacitance)[0]) / float(np.ravel(MIF().capacitance)[0])
    simulator, files, facts, panels = simulator_of(verify), [], {}, []
    for k, peak in enumerate(PEAKS, start=1):
        injection = alpha_current(peak * unit)
        file = folder / f"alpha-{k}.cir"
        write_text(file, neuron_deck(neuron, name, injection, 10e-3, NEURON_STEP / 10))
        files.append(file)
        if simulator is not None:
            bench = neuron_bench(simulator, neuron, injection, dt=NEURON_STEP)
            facts[injection.name] = bench.deviation
            both = bench.library[:, None], bench.simulator[:, None]
            panels.append(Overlay(bench.times, *both, "V", "membrane", injection.name))
    if simulator is None:
        return Found(files, [], {}, None)
    largest = max(facts.values())
    facts = {"neuron": name} | _about(simulator, largest, "max_deviation_v", NEURON_TOLERANCE) | {"currents": facts}
    said = (
        f"{facts['simulator']}: membranes differ by at most {largest * 1e3:.3f} mV over 10 ms in steps of "
        f"{NEURON_STEP * 1e6:g} µs; {_passed(bool(facts['passed']))} the tolerance of {NEURON_TOLERANCE * 1e3:g} mV"
    )
    files += _written(folder, facts, panels, str(facts["simulator"]))
    return Found(files, [said], facts, bool(facts["passed"]))
