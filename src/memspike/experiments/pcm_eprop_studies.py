"""Pattern generation on phase-change memory beyond the published system: effect by effect, and months of learning."""

from pathlib import Path
from typing import Any

from memspike.experiments.base import Experiment, register
from memspike.experiments.online_config import OnlineConfig, StudyConfig
from memspike.experiments.pcm_eprop import BASE, REFERENCE, said
from memspike.experiments.pcm_eprop_table import SCHEMES, Line, compare, wanted
from memspike.experiments.run import Report, silent

MONTH = {"time.pause": 3456.0}  # 250 epochs of three patterns take 30 days
# what memspike adds to the published device model and training, each on its own and all together
EFFECTS: dict[str, dict[str, Any]] = {
    "as published": {},
    "rates annealed": {"learning.anneal": 0.1},
    "start: random SETs": {"device.start": "random-set"},
    "start: programmed": {"device.start": "programmed"},
    "a third of the noise per device": {"device.persistent": 0.33},
    "drift by state": {"device.state_drift": True},
    "1/f noise": {"device.flicker": 1.0},
    "a month": MONTH,
    "a month, drift by state": MONTH | {"device.state_drift": True},
    "all": MONTH
    | {
        "learning.anneal": 0.1,
        "device.start": "random-set",
        "device.persistent": 0.33,
        "device.state_drift": True,
        "device.flicker": 1.0,
    },
}
# a scheme of the table, and how it keeps pairs from filling up
KEEPING: dict[str, dict[str, Any]] = {
    "none": SCHEMES["mixed-precision"],
    "update-ready": SCHEMES["update-ready"],
    "refresh every 100": SCHEMES["mixed-precision"]
    | {"learning.scheme": "mixed-precision-refreshed", "programming.every": 100},
}
LIVES: dict[str, dict[str, Any]] = {"unlimited": {}, "3 pulses": {"device.life": 3.0}}


def compare_effects(
    config: OnlineConfig, out: Path, *, resume: bool = False, report: Report = silent
) -> dict[str, Any]:
    """Train under every effect with the same seeds."""
    names = wanted("effect", config.study.conditions, EFFECTS)
    lines = [Line({"effect": name}, EFFECTS[name]) for name in names]
    return compare(config, out, lines, resume=resume, report=report)


def compare_lives(config: OnlineConfig, out: Path, *, resume: bool = False, report: Report = silent) -> dict[str, Any]:
    """Chips that get new patterns from time to time, with every way to keep pairs from filling up.

    Of each row `mse_first` is the error on the first patterns, `mse_median` that on the last.
    """
    keeping = wanted("way of keeping pairs", config.study.schemes, KEEPING)
    lives = wanted("life of a device", config.study.conditions, LIVES)
    lines = [Line({"scheme": k, "condition": life}, KEEPING[k] | LIVES[life]) for k in keeping for life in lives]
    return compare(config, out, lines, resume=resume, report=report)


pcm_eprop_effects = register(
    Experiment(
        BASE.model_copy(update={"experiment": "pcm-eprop-effects", "study": StudyConfig()}),
        quick={"seeds": 2, "learning.epochs": 10, "study.conditions": ("as published", "drift by state")},
        expected=0.015,
        expected_quick=0.25,
        reference=REFERENCE,
        study=compare_effects,
        summary=said,
    ),
    "pcm-eprop with drift by state, 1/f noise, spread of devices, other starts, annealing and a month of device time",
)

pcm_eprop_life = register(
    Experiment(
        BASE.model_copy(
            update={
                "experiment": "pcm-eprop-life",
                "task": BASE.task.model_copy(update={"renewed": 250}),
                "device": BASE.device.model_copy(
                    update={"devices_per_side": 1, "state_drift": True, "start": "random-set"}
                ),
                "learning": BASE.learning.model_copy(update={"epochs": 2000}),
                "time": BASE.time.model_copy(update={"pause": 3600.0}),
            }
        ),
        quick={"seeds": 2, "learning.epochs": 6, "task.renewed": 3, "study.conditions": ("3 pulses",)}
        | {"study.schemes": ("none", "update-ready")},
        expected=0.1,
        expected_quick=0.3,
        reference=REFERENCE,
        study=compare_lives,
        summary=said,
    ),
    "eight months on one chip that gets new patterns every month: pairs fill up, devices wear out, refresh",
)
