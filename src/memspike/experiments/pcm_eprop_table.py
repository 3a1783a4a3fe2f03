"""Update schemes on phase-change memory: what each imperfection of the devices costs, effects, months of learning."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx

from memspike.config.resolve import written
from memspike.devices.base import AbstractPulseDevice
from memspike.devices.variation.wrappers import Flicker, LimitedEndurance
from memspike.experiments.base import Result, changed, nested, registered
from memspike.experiments.eprop import scale
from memspike.experiments.pcm_eprop import GENERATION, REFERENCE, GenerationSettings, prepare
from memspike.experiments.table import DAYS, ENDURANCE, ENERGY, ERROR, MOST, RATE, SCHEME, SEEDS, WRITES, Column
from memspike.parts.errors import unknown
from memspike.parts.param import option, part
from memspike.training.folder import RunFolder
from memspike.training.progress import Report

Keys = dict[str, Any]
Wrap = Callable[[AbstractPulseDevice], AbstractPulseDevice]


def tuned(factor: float, theta: float, rate_factor: float, rate_weight: float, scheme: str | None = None) -> Keys:
    """What a search finds for a scheme: scale of the conductances, threshold, rates, price of firing."""
    found: Keys = {} if scheme is None else {"learning.scheme": {"type": scheme}}
    return found | {
        "synapse.scale": scale(factor),
        "neuron.theta": theta,
        "learning.optimizer.rate_factor": rate_factor,
        "learning.rule.rate_weight": rate_weight,
    }


FOUR = {"synapse": {"type": "multi-device", "per_side": 4}}
MIXED = (3.896, 0.2483, 1.18, 0.0003637)
# dotted keys of each line of the table: a scheme on its cell, and what scripts/tune_pcm_eprop.py found for it in 40
# trials on seeds 1000 and 1001, 120 epochs each; the released code keeps its own constants
SCHEMES: dict[str, Keys] = {
    "fp32": tuned(1.0, 0.1685, 1.728, 1.747e-05, "fp32")
    | {
        "learning.optimizer.rates": [2e-5, 5e-5, 2e-5],
        "learning.rule.feedback_gain": 0.1,
        "learning.start.gain": 0.1,
    },
    "mixed-precision": tuned(*MIXED),
    "mixed-precision 4 a side": FOUR,
    "stochastic": tuned(3.959, 0.3112, 0.06965, 0.0003011, "stochastic"),
    "sign": tuned(3.709, 0.1618, 2.599, 0.002552, "sign") | {"learning.scheme.dead_zone": 0.002154},
    "multi 4 a side": FOUR | tuned(0.8312, 0.1203, 2.732, 0.0001814, "multi"),
    "update-ready": tuned(*MIXED, "update-ready"),
    "expected-step": tuned(3.303, 0.2978, 2.413, 0.0001925, "expected-step"),
    "write-verify": tuned(3.298, 0.3996, 0.8438, 0.0004792, "write-verify"),
    "released code": tuned(1.0, 0.19252357575425721, 1.0, 8.3827e-4, "mixed-precision-released")
    | {"learning.rule.reference_order": True, "learning.start": {"type": "near-reset"}},
}


def without(*names: str) -> Keys:
    """The device with some of its constants at 0."""
    return {f"synapse.device.{name}": 0.0 for name in names}


CONDITIONS: dict[str, Keys] = {
    "full": {},
    "no write noise": without("noise_slope", "noise_offset", "noise_history"),
    "no drift": without("nu", "state_drift"),
    "no read noise": without("read_slope", "read_offset"),
    "ideal 4 bit": {
        "synapse.device": {
            "type": "constant-step",
            "g_min": 0.01e-6,
            "g_max": 12e-6,
            "pulses_up": 16.0,
            "pulses_down": 16.0,
        }
    },
}
OF_DEVICE = {"type": "absolute", "sd": 1.0}
MONTH = {"simulation.pause": 3456.0}  # 250 epochs of three patterns take 30 days
ANNEALED = {"learning.optimizer.anneal": 0.1}
RANDOM = {"learning.start.type": "random-set"}
OWN_NOISE = {"synapse.device.persistent": 0.33, "fabrication.spread.deviation": OF_DEVICE}
BY_STATE = {"synapse.device.state_drift": 1.0, "fabrication.spread.nu_deviation": OF_DEVICE}
WANDERING = partial(Flicker, strength=1.0)
# dotted keys of what memspike adds to the published device model and training, each on its own and all together, and a
# wrapper around the device
EFFECTS: dict[str, tuple[Keys, Wrap | None]] = {
    "as published": ({}, None),
    "rates annealed": (ANNEALED, None),
    "start: random SETs": (RANDOM, None),
    "start: programmed": ({"learning.start.type": "programmed"}, None),
    "a third of the noise per device": (OWN_NOISE, None),
    "drift by state": (BY_STATE, None),
    "1/f noise": ({}, WANDERING),
    "a month": (MONTH, None),
    "a month, drift by state": (MONTH | BY_STATE, None),
    "all": (MONTH | ANNEALED | RANDOM | OWN_NOISE | BY_STATE, WANDERING),
}
# a scheme of the table, and how it keeps pairs from filling up
KEEPING: dict[str, Keys] = {
    "none": SCHEMES["mixed-precision"],
    "update-ready": SCHEMES["update-ready"],
    "refresh every 100": SCHEMES["mixed-precision"]
    | {"learning.scheme": {"type": "mixed-precision-refreshed", "every": 100}},
}
LIVES: dict[str, Wrap | None] = {"unlimited": None, "3 pulses": partial(LimitedEndurance, endurance=3.0)}
MEASURED = (
    ERROR,
    WRITES,
    MOST,
    ENERGY,
    ENDURANCE,
    Column("mse_first", "error, first patterns", "fixed"),
    DAYS,
    RATE,
    SEEDS,
)
CONDITION = Column("condition", "condition", "text")
KEPT = ("mse_median", "mse_q1", "mse_q3", "diverged", "writes_per_device", "writes_most", "energy_j", "endurance_used")


class Lines(eqx.Module):
    """Which lines a table has."""

    schemes: tuple[str, ...] = option((), "schemes of the table; all by default")
    conditions: tuple[str, ...] = option((), "conditions of the table; all by default")


class TableSettings(GenerationSettings):
    """The training that all lines of a table share, and the lines."""

    study: Lines = part(Lines, "the lines of the table")


class Line(NamedTuple):
    """A line of a table: what its row says, and the settings of its training."""

    row: dict[str, str]
    training: GenerationSettings


def wanted(kind: str, chosen: tuple[str, ...], known: Mapping[str, Any]) -> list[str]:
    """The chosen names, or all; InputError for an unknown one."""
    for name in chosen:
        if name not in known:
            raise unknown(kind, name, known)
    return list(chosen or known)


def around(settings: GenerationSettings, wrap: Wrap) -> GenerationSettings:
    """Settings with a wrapper around the device, which keeps its spread."""
    cell, made = settings.synapse, settings.fabrication
    spread = {" ".join(f"device.{path}" for path in paths.split()): how for paths, how in made.spread.items()}
    return dataclasses.replace(
        settings,
        synapse=dataclasses.replace(cell, device=wrap(cell.device)),
        fabrication=dataclasses.replace(made, spread=spread),
    )


def line(settings: GenerationSettings, row: dict[str, str], keys: Keys, wrap: Wrap | None = None) -> Line:
    """The training of a line: that of the table with other values of some keys, and a wrapper around its device."""
    tables = {key: value for key, value in written(settings).items() if key != "study"}
    training = changed(GenerationSettings, tables, keys | {"experiment": "pcm-eprop"})
    return Line(row, training if wrap is None else around(training, wrap))


def trainable(lines: list[Line]) -> list[Line]:
    """The lines; InputError where the first of them cannot be trained."""
    prepare(lines[0].training)
    return lines


def compare(lines: list[Line], folder: RunFolder, *, resume: bool, report: Report) -> Result:
    """Train every line with the same seeds; the folder holds one run folder a training."""
    rows: list[dict[str, Any]] = []
    zero = 0.0
    for row, training in lines:
        name = "-".join(row.values()).replace(" ", "-").replace(",", "").replace("/", "")
        result = nested(training, folder.path / "trainings" / name, report=report)
        zero = result["mse_zero_output"]
        kept = {key: result[key] for key in (*KEPT, "mse_first", "days") if key in result}
        rows.append({**row, **kept, "rate_hz": result["rate_hz"], "seeds": training.seeds})
        folder.write_csv("table.csv", rows)
    return {"rows": rows, "mse_zero_output": zero, "epochs": lines[0].training.training.epochs}


def schemes(settings: TableSettings) -> list[Line]:
    """Every scheme under every condition.

    A condition changes the devices, so that digital weights have one line. The weights start with a random SET on some
    synapses, so that also a network whose reads have no noise is active.
    """
    names = wanted("scheme of the table", settings.study.schemes, SCHEMES)
    conditions = wanted("condition of the table", settings.study.conditions, CONDITIONS)
    lines = [
        line(settings, {"scheme": name, "condition": condition}, SCHEMES[name] | CONDITIONS[condition])
        for name in names
        for condition in (conditions if name != "fp32" else ["full"])
    ]
    return trainable(lines)


def effects(settings: TableSettings) -> list[Line]:
    """A training under every effect."""
    names = wanted("effect", settings.study.conditions, EFFECTS)
    return trainable([line(settings, {"effect": name}, *EFFECTS[name]) for name in names])


def lives(settings: TableSettings) -> list[Line]:
    """Chips that get new patterns from time to time, with every way to keep pairs from filling up.

    Of each row `mse_first` is the error on the first patterns, `mse_median` that on the last.
    """
    keeping = wanted("way of keeping pairs", settings.study.schemes, KEEPING)
    chosen = wanted("life of a device", settings.study.conditions, LIVES)
    lines = [
        line(settings, {"scheme": way, "condition": life}, KEEPING[way], LIVES[life])
        for way in keeping
        for life in chosen
    ]
    return trainable(lines)


def headline(result: Result) -> str:
    """The line with the lowest error."""
    best = min(result["rows"], key=lambda row: row["mse_median"])
    name = best.get("scheme") or best["effect"]
    return f"best of {len(result['rows'])} lines: {name}, error {best['mse_median']:.4f}"


errors = partial(
    registered,
    carry=compare,
    headline=headline,
    kind="schemes",
    root=TableSettings,
    reference=REFERENCE,
    measure="error",
)

pcm_eprop_table = errors(
    "pcm-eprop-table",
    "every update scheme on PCM: all its noise, and without each kind of it; error, pulses, energy",
    GENERATION,
    {"synapse": {"type": "differential-pair"}, "learning": {"start": {"type": "random-set"}}},
    columns=(SCHEME, CONDITION, *MEASURED),
    quick={
        "seeds": 2,
        "training.epochs": 10,
        "study.schemes": ("fp32", "mixed-precision"),
        "study.conditions": ("full",),
    },
    expected=0.0104,
    expected_quick=0.2,
    prepare=schemes,
)

pcm_eprop_effects = errors(
    "pcm-eprop-effects",
    "pcm-eprop with drift by state, 1/f noise, spread of devices, other starts, annealing and a month of device time",
    GENERATION,
    columns=(Column("effect", "effect", "text"), *MEASURED),
    quick={"seeds": 2, "training.epochs": 10, "study.conditions": ("as published", "drift by state")},
    expected=0.015,
    expected_quick=0.25,
    prepare=effects,
)

pcm_eprop_life = errors(
    "pcm-eprop-life",
    "eight months on one chip that gets new patterns every month: pairs fill up, devices wear out, refresh",
    GENERATION,
    {
        "task": {"renewed": 250},
        "synapse": {"type": "differential-pair", "device": {"state_drift": 1.0}},
        "fabrication": {"spread": {"nu_deviation": OF_DEVICE}},
        "learning": {"start": {"type": "random-set"}},
        "training": {"epochs": 2000},
        "simulation": {"pause": 3600.0},
    },
    columns=(SCHEME, CONDITION, *MEASURED),
    quick={"seeds": 2, "training.epochs": 6, "task.renewed": 3, "study.conditions": ("3 pulses",)}
    | {"study.schemes": ("none", "update-ready")},
    expected=0.1,
    expected_quick=0.3,
    prepare=lives,
)
