"""What asymmetric, nonlinear updates cost a network with local learning, and what every way around them recovers."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field, model_validator
from scipy.stats import qmc

from memspike.experiments.base import Experiment, register
from memspike.experiments.compensations import COMPENSATIONS, FAST, IDEAL, PERIOD, THETA, TUNED, Compensation
from memspike.experiments.config import DataConfig, Number, Positive, Section
from memspike.experiments.decolle import REFERENCE
from memspike.experiments.local_config import LayersConfig, LocalConfig, LocalLearningConfig
from memspike.experiments.named import data_set
from memspike.experiments.pcm_eprop_table import wanted
from memspike.experiments.population import Outcome, train_population
from memspike.experiments.run import Report, silent
from memspike.experiments.settings import changed
from memspike.training.folder import RunFolder

Case = dict[str, Any]
BOUNDS = {
    "learning.rate": "rates",
    "device.weight_range": "ranges",
    THETA: "thetas",
    FAST: "fast",
    PERIOD: "periods",
}
DEVICES = ("ag-a-si", "taox-tio2", "taox-hfox", "pcmo", "alox-hfo2", "gst-pcm", "epiram", "hzo-fefet")


class AsymmetryConfig(Section):
    """Cases, ways around them, and how their settings are searched."""

    labels: tuple[Number, ...] = Field(default=(0, 1, 2, 3, 4, 5, 6, 7), description="nonlinearity labels of a sweep")
    signs: tuple[int, ...] = Field(
        default=(-1, 1), description="−1: asymmetric (labels NL/−NL); 1: symmetric nonlinearity (NL/NL)"
    )
    devices: tuple[str, ...] = Field(default=(), description="devices of the tables in place of labels")
    compensations: tuple[str, ...] = Field(default=(), description="ways around asymmetry; all by default")
    trials: Positive = Field(default=16, description="settings that are tried for every case and way, logarithmic")
    rates: tuple[Number, Number] = Field(
        default=(0.05, 3.2), description="least and largest learning rate that is tried"
    )
    ranges: tuple[Number, Number] = Field(
        default=(0.2, 1.6), description="least and largest weight range that is tried"
    )
    thetas: tuple[Number, Number] = Field(default=(0.002, 0.2), description="the same of θ of error-triggered")
    fast: tuple[Number, Number] = Field(default=(0.1, 3.0), description="the same of `fast` of fast tiles")
    periods: tuple[Number, Number] = Field(default=(10.0, 1000.0), description="the same of `period` of fast tiles")
    reads: Number = Field(default=4.0, gt=0, description="rows of a fast tile that are read in an update")
    tuning_seeds: Positive = Field(default=2, description="seeds of the search, from 1000 on")
    tuning_epochs: Positive | None = Field(
        default=None, description="epochs of the search; those of the report by default"
    )
    tuning_train: Positive | None = Field(default=None, description="training images of the search; all by default")
    hold_out: Positive = Field(default=287, description="training images that the search is measured on")

    @model_validator(mode="after")
    def _known(self) -> "AsymmetryConfig":
        if any(sign not in (-1, 1) for sign in self.signs):
            raise ValueError(f"study.signs are {list(self.signs)}; allowed: -1 and 1")
        for name in BOUNDS.values():
            least, largest = getattr(self, name)
            if not 0 < least <= largest:
                raise ValueError(f"study.{name} is [{least:g}, {largest:g}]; allowed: two numbers above 0, least first")
        return self


class AsymmetryStudyConfig(LocalConfig):
    """One study, whole."""

    study: AsymmetryConfig = AsymmetryConfig()


def cases_of(study: AsymmetryConfig) -> list[Case]:
    """Dotted keys of every device of the study."""
    if study.devices:
        return [{"device.device": name} for name in study.devices]
    pairs = [(nl, sign * nl + 0.0) for sign in study.signs for nl in study.labels]
    return [{"device.labels": pair} for k, pair in enumerate(pairs) if pair not in pairs[:k]]


def tried(study: AsymmetryConfig, own: Sequence[str]) -> list[Case]:
    """`study.trials` settings of rate, weight range and the `own` keys of a way: a Halton sequence in logarithms."""
    keys = ("learning.rate", "device.weight_range", *own)
    least, largest = np.log(np.asarray([getattr(study, BOUNDS[key]) for key in keys])).T
    points = qmc.Halton(len(keys), scramble=False).fast_forward(1).random(study.trials)
    return [dict(zip(keys, map(float, values), strict=True)) for values in np.exp(least + points * (largest - least))]


def settings_of(way: Compensation, study: AsymmetryConfig) -> Case:
    """Dotted keys of a way in this study."""
    return way.settings | ({"programming.reads": study.reads} if FAST in way.tuned else {})


def _best(config: AsymmetryStudyConfig, cases: Sequence[Case], way: Compensation, report: Report) -> list[Case]:
    """For every case the settings with the highest accuracy on images held out of the training."""
    study = config.study
    grid = tried(study, way.tuned)
    search = {"seeds": study.tuning_seeds, "seed": 1000, "data.hold_out": study.hold_out}
    search |= {"learning.epochs": study.tuning_epochs or config.learning.epochs}
    search |= {"data.train": study.tuning_train or config.data.train}
    configs = [changed(config, {**settings_of(way, study), **case, **one, **search}) for case in cases for one in grid]
    found = train_population(configs, data_set(configs[0].data, configs[0].learning.batch), report)
    means = np.asarray([outcome.accuracy.mean() for outcome in found]).reshape(len(cases), len(grid))
    return [grid[int(k)] for k in means.argmax(1)]


def _trained(
    config: AsymmetryStudyConfig, cases: Sequence[Case], way: Compensation, report: Report
) -> tuple[list[Case], list[Outcome]]:
    """Search, then report: the settings found for every case, and what they came to with the seeds of the study."""
    best = _best(config, cases, way, report)
    configs = [
        changed(config, {**settings_of(way, config.study), **case, **own})
        for case, own in zip(cases, best, strict=True)
    ]
    return best, train_population(configs, data_set(configs[0].data, configs[0].learning.batch), report)


def _row(case: Case, name: str, own: Case, outcome: Outcome) -> dict[str, Any]:
    labels = case.get("device.labels", (None, None))
    return {
        "device": case.get("device.device", "soft-bounds"),
        "scheme": name,
        "nl_up": labels[0],
        "nl_down": labels[1],
        "accuracy_mean": float(outcome.accuracy.mean()),
        "accuracy_sd": float(outcome.accuracy.std(ddof=1)) if len(outcome.accuracy) > 1 else 0.0,
        "accuracies": [float(a) for a in outcome.accuracy],
        "pulses_per_weight": float(outcome.pulses_per_weight.mean()),
        "energy_j": float(outcome.energy.mean()),
        "learning_rate": own["learning.rate"],
        "weight_range": own["device.weight_range"],
        **{key.split(".")[1]: own.get(key) for key in TUNED},
    }


def study(config: AsymmetryStudyConfig, out: Path, *, resume: bool = False, report: Report = silent) -> dict[str, Any]:
    """Search and train every case with every compensation in the folder `out` → the content of its result.json.

    The ideal device is written exactly and has no spread; its settings are searched, too, with the same budget. An
    interrupted study goes on after the last compensation that was finished.
    """
    names = wanted("compensation", config.study.compensations, COMPENSATIONS)
    folder, cases = RunFolder(out), cases_of(config.study)
    folder.start(config, resume=resume)
    rows: list[dict[str, Any]] = []
    table = rows
    for name in ("ideal", *names):
        part = f"parts/{name}.json"
        if not (out / part).exists():
            way = IDEAL if name == "ideal" else COMPENSATIONS[name]
            own_cases = cases[:1] if name == "ideal" else cases
            best, outcomes = _trained(config, own_cases, way, report)
            trained = zip(own_cases, best, outcomes, strict=True)
            folder.write_json(part, [_row(case, name, own, outcome) for case, own, outcome in trained])
        rows += json.loads((out / part).read_text())
        table = [row | {"ideal_accuracy": rows[0]["accuracy_mean"], "seeds": config.seeds} for row in rows]
        folder.write_csv("table.csv", table)
    result = {
        "experiment": config.experiment,
        "rows": table,
        "ideal_accuracy": table[0]["accuracy_mean"],
        "ideal_accuracy_sd": table[0]["accuracy_sd"],
        "seeds": config.seeds,
        "seed": config.seed,
        "epochs": config.learning.epochs,
        "batch": config.learning.batch,
        "hidden": list(config.network.hidden),
        "data": config.data.name,
    }
    folder.write_json("result.json", result)
    return result


def said(result: dict[str, Any]) -> str:
    """A result in one line: the ideal device, and the mean over the cases of none and of the best compensation."""
    by_name: dict[str, list[float]] = {}
    for row in result["rows"][1:]:
        by_name.setdefault(row["scheme"], []).append(row["accuracy_mean"])
    means = {name: float(np.mean(values)) for name, values in by_name.items()}
    best = max(means, key=lambda name: means[name])
    none = f"uncompensated {means['none']:.1%}, " if "none" in means else ""
    return f"ideal device {result['ideal_accuracy']:.1%}; mean of the cases: {none}best {best} {means[best]:.1%}"


SMALL = LocalLearningConfig(batch=1, epochs=5, rate=0.5, anneal=0.2)
QUICK = {
    "seeds": 2,
    "data.train": 300,
    "network.hidden": (50,),
    "learning.epochs": 2,
    "study.trials": 3,
    "study.rates": (0.2, 3.2),
    "study.ranges": (0.8, 1.2),
    "study.tuning_seeds": 1,
    "study.hold_out": 100,
    "study.compensations": ("none", "accumulate"),
}
DIGITS = AsymmetryStudyConfig(
    experiment="asymmetry-study", seeds=5, learning=SMALL, network=LayersConfig(hidden=(100,)), data=DataConfig()
)

asymmetry_study = register(
    Experiment(
        DIGITS,
        quick=QUICK | {"study.labels": (0, 5)},
        expected=0.95,
        expected_quick=0.761,
        reference=REFERENCE,
        study=study,
        summary=said,
        measure="accuracy of the ideal device",
    ),
    "accuracy of local learning against nonlinearity, symmetric and asymmetric, under every way around it",
)
asymmetry_devices = register(
    asymmetry_study._replace(
        config=DIGITS.model_copy(update={"experiment": "asymmetry-devices", "study": AsymmetryConfig(devices=DEVICES)}),
        quick=QUICK | {"study.devices": ("ag-a-si", "pcmo")},
    ),
    "accuracy of local learning on eight devices of the NeuroSim tables, under every way around asymmetry",
)
