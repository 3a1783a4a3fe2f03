"""Pattern generation on phase-change memory beyond the published system: effect by effect, and months of learning."""

from functools import partial
from typing import NamedTuple

from memspike.devices.variation.wrappers import Flicker, LimitedEndurance
from memspike.experiments.base import register
from memspike.experiments.pcm_eprop_table import (
    CONDITION,
    SCHEMES,
    Keys,
    Table,
    TableSettings,
    Wrap,
    errors,
    line,
    tabled,
    wanted,
)
from memspike.experiments.table import SCHEME, Column

OF_DEVICE = {"type": "absolute", "sd": 1.0}


class Effect(NamedTuple):
    """What an effect changes: dotted keys, and a wrapper around the device."""

    keys: Keys
    wrap: Wrap | None = None


MONTH = {"simulation.pause": 3456.0}  # 250 epochs of three patterns take 30 days
ANNEALED = {"learning.optimizer.anneal": 0.1}
RANDOM = {"learning.start.type": "random-set"}
OWN_NOISE = {"synapse.device.persistent": 0.33, "fabrication.spread.deviation": OF_DEVICE}
BY_STATE = {"synapse.device.state_drift": 1.0, "fabrication.spread.nu_deviation": OF_DEVICE}
WANDERING = partial(Flicker, strength=1.0)
# what memspike adds to the published device model and training, each on its own and all together
EFFECTS: dict[str, Effect] = {
    "as published": Effect({}),
    "rates annealed": Effect(ANNEALED),
    "start: random SETs": Effect(RANDOM),
    "start: programmed": Effect({"learning.start.type": "programmed"}),
    "a third of the noise per device": Effect(OWN_NOISE),
    "drift by state": Effect(BY_STATE),
    "1/f noise": Effect({}, WANDERING),
    "a month": Effect(MONTH),
    "a month, drift by state": Effect(MONTH | BY_STATE),
    "all": Effect(MONTH | ANNEALED | RANDOM | OWN_NOISE | BY_STATE, WANDERING),
}
# a scheme of the table, and how it keeps pairs from filling up
KEEPING: dict[str, Keys] = {
    "none": SCHEMES["mixed-precision"],
    "update-ready": SCHEMES["update-ready"],
    "refresh every 100": SCHEMES["mixed-precision"]
    | {"learning.scheme": {"type": "mixed-precision-refreshed", "every": 100}},
}
LIVES: dict[str, Wrap | None] = {"unlimited": None, "3 pulses": partial(LimitedEndurance, endurance=3.0)}


def effects(settings: TableSettings) -> Table:
    """A training under every effect."""
    names = wanted("effect", settings.study.conditions, EFFECTS)
    return tabled(settings, [line(settings, {"effect": name}, *EFFECTS[name]) for name in names])


def lives(settings: TableSettings) -> Table:
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
    return tabled(settings, lines)


pcm_eprop_effects = register(
    errors(
        "pcm-eprop-effects",
        {},
        (Column("effect", "effect", "text"),),
        quick={"seeds": 2, "training.epochs": 10, "study.conditions": ("as published", "drift by state")},
        expected=0.015,
        expected_quick=0.25,
        prepare=effects,
    ),
    "pcm-eprop with drift by state, 1/f noise, spread of devices, other starts, annealing and a month of device time",
)

pcm_eprop_life = register(
    errors(
        "pcm-eprop-life",
        {
            "task": {"renewed": 250},
            "synapse": {"type": "differential-pair", "device": {"state_drift": 1.0}},
            "fabrication": {"spread": {"nu_deviation": OF_DEVICE}},
            "learning": {"start": {"type": "random-set"}},
            "training": {"epochs": 2000},
            "simulation": {"pause": 3600.0},
        },
        (SCHEME, CONDITION),
        quick={"seeds": 2, "training.epochs": 6, "task.renewed": 3, "study.conditions": ("3 pulses",)}
        | {"study.schemes": ("none", "update-ready")},
        expected=0.1,
        expected_quick=0.3,
        prepare=lives,
    ),
    "eight months on one chip that gets new patterns every month: pairs fill up, devices wear out, refresh",
)
