"""Every rule × scheme × device × cell × array: all combinations built and traced, all pairs of parts trained."""

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax

from memspike.config.build import classification, data_set, examples_of, learner_of, network_of
from memspike.config.settings import Run, Settings
from memspike.experiments.base import Result, changed, nested, registered, together
from memspike.experiments.decolle import BASE
from memspike.experiments.eprop import EPROP
from memspike.experiments.memprop import MEMPROP
from memspike.experiments.stdp_patterns import SHAPES, WAVEFORM
from memspike.experiments.table import ACCURACY, SCHEME, Column
from memspike.parts.compiled import quick
from memspike.parts.errors import InputError, RunError, unknown
from memspike.parts.param import option, part
from memspike.parts.processes import each
from memspike.parts.refusals import Refusal
from memspike.parts.registry import SCHEMES
from memspike.training.folder import RunFolder
from memspike.training.progress import Progress, Report
from memspike.training.trace import Tracer

Tables = dict[str, Any]
AXES = ("rule", "scheme", "device", "cell", "array")
SPIKES = {"encoder": {"type": "image-rate", "max_rate": 150.0}}


def _without(tables: Tables, *keys: str) -> Tables:
    return {key: value for key, value in tables.items() if key not in keys}


def _small(size: int, epochs: int) -> Tables:
    return {"data": {"name": "digits"}, "network": {"layers": [{"size": size}]}, "training": {"epochs": epochs}}


_EPROP = together(
    EPROP,
    SPIKES,
    _small(32, 2),
    {
        "learning": {
            "rule": {"feedback": "symmetric"},
            "optimizer": {"rates": [3e-3] * 3, "adam": True},
            "start": {"type": "programmed"},
        },
        "neuron": {"theta": 2.0, "tau": 20e-3, "soft": False},
        "simulation": {"duration": 50e-3, "pause": 1.0, "parts": 1},
        "training": {"batch": 10},
    },
)
_DECOLLE = together(BASE, _small(64, 2))
_STDP = together(
    _without(SHAPES, "seeds"),
    _small(40, 1),
    {
        "encoder": {"type": "image-latency"},
        "network": {"noise": 0.05},
        "neuron": {"theta": 4.0},
        "learning": {"rule": {"timing": {"plus": 0.03, "minus": 0.05}}},
    },
)
# what a rule needs around it: the network and the signals that it learns from; scheme, device, cell and array are free
HOSTS: dict[str, Tables] = {
    "bptt": together(
        _without(MEMPROP, "evaluation"),
        _small(32, 4),
        {"learning": {"optimizer": {"learning_rate": 1e-2}}, "training": {"batch": 32}},
    ),
    "eprop": _EPROP,
    "eprop-online": together(
        _EPROP, {"learning": {"rule": {"type": "eprop-online"}}, "training": {"batch": 1, "epochs": 1}}
    ),
    "decolle": _DECOLLE,
    "decolle-outer": together(_DECOLLE, {"learning": {"rule": {"type": "decolle-outer"}}}),
    "stdp": _STDP,
    "stdp-waveform": together(_STDP, _without(WAVEFORM, "task", "training"), {"encoder": WAVEFORM["task"]}),
}
FITTED = "simulated-fit.toml"
# one device of every kind: pulse laws, phase change, tables, a followed law, a fitted file; and two that hold no weight
DEVICES: dict[str, Any] = {
    "ideal": {"type": "constant-step", "g_min": 1e-6, "g_max": 100e-6},
    "soft bounds": {"type": "taox-hfox"},
    "linear steps": {"type": "linear-step"},
    "logarithmic steps": {"type": "log-step"},
    "power-law steps": {"type": "power-step"},
    "exponential steps": {"type": "exp-step"},
    "piecewise steps": {"type": "piecewise-step"},
    "tabular": {"type": "tabular"},
    "PCM": {"type": "pcm"},
    "PCM, written and verified": {"type": "pcm-joshi"},
    "pulsed VTEAM": {"type": "pulsed-vteam"},
    "fitted file": {"type": str(files("memspike.devices.presets") / FITTED)},
    "VTEAM": {"type": "vteam"},
    "metastable switch": {"type": "mif-pair"},
}
CELLS: dict[str, Tables] = {
    "differential-pair": {},
    "multi-device": {"per_side": 2},
    "single-reference": {},
    "range-reference": {},
    "bit-sliced": {},
    "stack": {},
}
WIRES = {"r_row": 1.0, "r_column": 1.0}
ARRAYS: dict[str, Tables] = {
    "ideal": {},
    "wires": WIRES,
    "wires, tiles, converters": WIRES | {"tile": [32, 32], "adc": {"type": "adc", "bits": 10, "range": 100e-6}},
}


def choices() -> dict[str, list[str]]:
    """All names of every axis."""
    every = (HOSTS, [entry.name for entry in SCHEMES], DEVICES, CELLS, ARRAYS)
    return {axis: list(names) for axis, names in zip(AXES, every, strict=True)}


class Axes(eqx.Module):
    """What the matrix has; an empty axis has all its names."""

    rule: tuple[str, ...] = option((), "learning rules")
    scheme: tuple[str, ...] = option((), "programming schemes")
    device: tuple[str, ...] = option((), "devices, one of every kind")
    cell: tuple[str, ...] = option((), "cells")
    array: tuple[str, ...] = option((), "arrays")
    trained: int | None = option(
        None, "combinations that are trained; none: a set that holds every possible pair", bounds=(0, 10**6)
    )
    processes: int | None = option(None, "processes that work side by side; none: one a core", bounds=(1, 10**4))


class MatrixSettings(Run):
    """The matrix, whole."""

    study: Axes = part(Axes, "what the matrix has")


class Combination(NamedTuple):
    """One cell of the matrix, by names."""

    rule: str
    scheme: str
    device: str
    cell: str
    array: str

    @property
    def folder(self) -> str:
        """A name for its training."""
        return "-".join(name.replace(",", "").replace(" ", "-") for name in self)

    def tables(self) -> Tables:
        """Its configuration."""
        return together(
            HOSTS[self.rule],
            {
                "experiment": "memprop-digits",
                "synapse": {"type": self.cell, **CELLS[self.cell], "device": DEVICES[self.device]},
                "array": ARRAYS[self.array],
                "learning": {"scheme": {"type": self.scheme}},
            },
        )

    def settings(self, seeds: int = 1, seed: int = 0) -> Settings:
        """Its settings, checked; `Refusal` where parts do not go together."""
        return changed(Settings, self.tables(), {"seeds": seeds, "seed": seed})


class Found(NamedTuple):
    """Whether a combination is traced, refused, or failed, and why."""

    status: str
    reason: str = ""
    sentence: str = ""


class Inspector:
    """Builds and traces combinations; what two of them share is traced once."""

    def __init__(self) -> None:
        self._tracer, self._data = Tracer(), None

    def _trace(self, one: Combination) -> None:
        settings = one.settings()
        data = self._data = self._data or data_set(settings)
        trials = examples_of(settings, data)
        network = network_of(settings, trials.encoder.channels(data.x_train.shape[1:]), data.classes)
        learner = learner_of(settings, network, trials.steps, trials.count)
        self._tracer(learner, trials, (one.rule, *one[2:]))

    def __call__(self, one: Combination) -> Found:
        """Whether a step of the combination can be traced."""
        try:
            self._trace(one)
        except Refusal as error:
            return Found("refused", type(error).__name__, str(error))
        except Exception as error:
            return Found("failed", type(error).__name__, str(error))
        return Found("traced")


def of_device(task: tuple[str, Mapping[str, list[str]]]) -> list[tuple[Combination, Found]]:
    """All combinations of one device."""
    device, axes = task
    inspect = Inspector()
    names = [[device] if axis == "device" else axes[axis] for axis in AXES]
    return [(one, inspect(one)) for one in itertools.starmap(Combination, itertools.product(*names))]


def pairs(one: Combination) -> Iterator[tuple[tuple[str, str], ...]]:
    """All pairs of names of a combination, with their axes."""
    return itertools.combinations(zip(AXES, one, strict=True), 2)


def covering(possible: list[Combination]) -> list[Combination]:
    """A set of combinations that holds every pair of names that any of them holds.

    allpairspy makes most of it; InputError without that package.
    """
    try:
        all_pairs = import_module("allpairspy").AllPairs
    except ImportError:
        raise InputError("The matrix needs the package allpairspy: pip install 'memspike[matrix]'.") from None
    if len(possible) < 2:
        return possible
    allowed = set(possible)
    axes = [list(dict.fromkeys(one[k] for one in possible)) for k in range(len(AXES))]
    heads = {one[:k] for one in possible for k in range(len(AXES) + 1)}
    found = [Combination(*row) for row in all_pairs(axes, filter_func=lambda row: tuple(row) in heads)]
    found = [one for one in found if one in allowed]
    left = {pair for one in possible for pair in pairs(one)} - {pair for one in found for pair in pairs(one)}
    while left:  # what a search that never turns back has missed (its issue 2)
        best = max(possible, key=lambda one: sum(pair in left for pair in pairs(one)))
        found.append(best)
        left -= set(pairs(best))
    return found


def trained(task: tuple[Combination, int, int, str]) -> dict[str, Any]:
    """What a training of a combination comes to: accuracy, or why it ended."""
    one, seeds, seed, folder = task
    jax.clear_caches()
    try:
        result = nested(one.settings(seeds, seed), Path(folder), report=lambda _: None)
    except RunError as error:  # such as a loss that is not finite
        return {"reason": str(error)}
    except Exception as error:  # a fault of ours, which the other trainings shall outlive
        return {"status": "failed", "reason": f"{type(error).__name__}: {error}"}
    spread = {"accuracy_sd": result["test_accuracy_sd"]} if seeds > 1 else {}
    return {"accuracy_mean": result["test_accuracy"], **spread}


class Study(NamedTuple):
    """The names of every axis, and the settings."""

    axes: dict[str, list[str]]
    settings: MatrixSettings


def prepare(settings: MatrixSettings) -> Study:
    """The axes; InputError for a name that none of them has, or without the package that makes the pairs."""
    found = {}
    for axis, known in choices().items():
        chosen = list(getattr(settings.study, axis))
        for name in chosen:
            if name not in known:
                raise unknown(f"{axis} of the matrix", name, known)
        found[axis] = chosen or known
    covering([])
    classification(Combination("bptt", "ideal", "ideal", "differential-pair", "ideal").settings())
    return Study(found, settings)


def inspected(study: Study, folder: RunFolder, report: Report) -> dict[Combination, Found]:
    """Every combination, device by device; each device is written when it is done."""
    place, found, axes = folder.path / "traced", {}, study.axes
    tasks = [(device, axes) for device in axes["device"]]
    names = [f"{Combination('', '', device, '', '').folder.strip('-')}.json" for device in axes["device"]]
    done = {k: json.loads((place / name).read_text()) for k, name in enumerate(names) if (place / name).exists()}
    todo = [k for k in range(len(tasks)) if k not in done]
    for n, (k, rows) in enumerate(each(of_device, [tasks[k] for k in todo], study.settings.study.processes)):
        done[todo[k]] = rows
        folder.write_json(f"traced/{names[todo[k]]}", rows)
        report(Progress(n + 1, len(todo), None, None))
    for k in sorted(done):
        found |= {Combination(*one): Found(*what) for one, what in done[k]}
    return found


def explore(study: Study, folder: RunFolder, *, resume: bool, report: Report) -> Result:
    """Trace every combination, train a set of them; a row each."""
    settings, chance = study.settings, 0.1
    found = inspected(study, folder, report)
    possible = [one for one, what in found.items() if what.status == "traced"]
    chosen = covering(possible)[: settings.study.trained]
    tasks = [(one, settings.seeds, settings.seed, str(folder.path / "trainings" / one.folder)) for one in chosen]
    outcomes: dict[Combination, dict[str, Any]] = {}
    for n, (k, outcome) in enumerate(each(trained, tasks, settings.study.processes, quick())):
        outcomes[chosen[k]] = {"status": "run", **outcome}
        report(Progress(n + 1, len(tasks), None, outcome.get("accuracy_mean")))
    rows = [
        {**one._asdict(), "status": what.status, "reason": what.reason, **outcomes.get(one, {})}
        for one, what in found.items()
    ]
    rows.sort(key=lambda row: ("run", "failed", "traced", "refused").index(row["status"]))
    counts = Counter(row["status"] for row in rows)
    accuracies = [outcome["accuracy_mean"] for outcome in outcomes.values() if "accuracy_mean" in outcome]
    return {
        "rows": rows,
        "axes": study.axes,
        "counts": dict(counts),
        "reasons": {what.reason: what.sentence for what in found.values() if what.reason},
        "chance": chance,
        "learned": sum(accuracy > 2 * chance for accuracy in accuracies),
        "trained": len(outcomes),
    }


def headline(result: Result) -> str:
    """How many combinations there are of each status."""
    counts = result["counts"]
    possible, reasons = counts.get("traced", 0) + counts.get("run", 0), len(result["reasons"])
    return (
        f"{len(result['rows'])} combinations: {possible} possible, {counts.get('refused', 0)} refused for {reasons} "
        f"reason{'' if reasons == 1 else 's'}, {counts.get('failed', 0)} failed; {result['trained']} trained, of which "
        f"{result['learned']} learned (more than twice the accuracy of chance)"
    )


matrix = registered(
    "matrix",
    "every rule, scheme, device, cell and array together: what is possible, what is refused and why, what it learns",
    {},
    quick={
        "study.device": ("ideal", "soft bounds", "PCM", "VTEAM"),
        "study.array": ("ideal", "wires, tiles, converters"),
        "study.trained": 24,
    },
    expected=0.0,
    expected_quick=0.0,
    reference="no other tool is known to hold it",
    carry=explore,
    headline=headline,
    kind="matrix",
    columns=(
        Column("rule", "rule", "text"),
        SCHEME,
        Column("device", "device", "text"),
        Column("cell", "cell", "text"),
        Column("array", "array", "text"),
        Column("status", "status", "text"),
        Column("reason", "reason", "text"),
        ACCURACY,
    ),
    root=MatrixSettings,
    prepare=prepare,
    measure="failed combinations",
)
