"""What asymmetric, nonlinear updates cost a network with local learning, and what every mitigation method recovers."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from memspike.config.build import check_measured, data_set, examples_of, learner_of, network_of
from memspike.config.resolve import written
from memspike.config.settings import Settings, seeds_of
from memspike.devices.presets.neurosim import TABLE
from memspike.experiments import table
from memspike.experiments.base import Result, changed, register, registered, together
from memspike.experiments.decolle import BASE, REFERENCE
from memspike.experiments.mitigation import BASELINE, FAST, IDEAL, METHODS, PERIOD, THETA, TUNED, Method, families
from memspike.experiments.table import Column
from memspike.parts.errors import InputError
from memspike.parts.param import option, part
from memspike.training.evaluate import spread
from memspike.training.folder import RunFolder
from memspike.training.learner import Learner
from memspike.training.progress import Report, silent
from memspike.training.variants import Course, Outcome, train_variants

Keys = dict[str, Any]
# searched for every method; the weight range is that of a device in mid-range, 1/synapse.scale
RATE, RANGE = "learning.optimizer.learning_rate", "weight_range"
BOUNDS = {RATE: "rates", RANGE: "ranges", THETA: "thetas", FAST: "fast", PERIOD: "periods"}
# soft bounds of the sweep over labels: pulses of a full sweep, cycle-to-cycle noise over the range
LEVELS, NOISE = 100, 0.01
# first seed of the search
SEARCH = 1000
EIGHT = ("ag-a-si", "taox-tio2", "taox-hfox", "pcmo", "alox-hfo2", "gst-pcm", "epiram", "hzo-fefet")


class StudySettings(eqx.Module):
    """Devices, mitigation methods, and how their settings are searched."""

    labels: tuple[float, ...] = option(
        (0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0), "nonlinearity labels of a sweep", bounds=(-9, 9)
    )
    signs: tuple[int, ...] = option(
        (-1, 1), "−1: asymmetric (labels NL/−NL); 1: symmetric nonlinearity (NL/NL)", bounds=(-1, 1)
    )
    devices: tuple[str, ...] = option((), "devices by name or file in place of labels")
    methods: tuple[str, ...] = option((), "mitigation methods; all by default", choices=tuple(METHODS))
    trials: int = option(16, "settings that are tried for every device and method, logarithmic", bounds=(1, 10**6))
    rates: tuple[float, float] = option(
        (0.05, 3.2), "least and largest learning rate that is tried", bounds=(1e-12, 1e6)
    )
    ranges: tuple[float, float] = option((0.2, 1.6), "least and largest weight range that is tried", bounds=(1e-6, 1e6))
    thetas: tuple[float, float] = option((0.002, 0.2), "the same of θ of error-triggered", bounds=(1e-12, 1e6))
    fast: tuple[float, float] = option((0.1, 3.0), "the same of `fast` of gradient arrays", bounds=(1e-12, 1e6))
    periods: tuple[float, float] = option(
        (10.0, 1000.0), "the same of `period` of gradient arrays", bounds=(1e-12, 1e9)
    )
    reads: float = option(4.0, "rows of a gradient array that are read in an update", bounds=(1e-9, 1e9))
    tuning_seeds: int = option(2, f"seeds of the search, from {SEARCH} on", bounds=(1, 10**6))
    tuning_epochs: int | None = option(
        None, "epochs of the search; those of the training by default", bounds=(1, 10**9)
    )
    tuning_train: int | None = option(None, "training examples of the search; all by default", bounds=(1, 10**9))
    hold_out: int = option(287, "training examples that the search is measured on", bounds=(1, 10**9))

    def __check_init__(self) -> None:
        for name in BOUNDS.values():
            least, largest = getattr(self, name)
            if not 0 < least <= largest:
                raise InputError(
                    f"study.{name} is [{least:g}, {largest:g}]; allowed: two numbers above 0, least first."
                )
        if 0 in self.signs:
            raise InputError(f"study.signs is {list(self.signs)}; allowed: -1 and 1.")
        if not self.devices and not (self.labels and self.signs):
            raise InputError("study.labels or study.signs is empty; labels and signs, or study.devices, are needed.")


class AsymmetrySettings(Settings):
    """One study, whole: a training, of which the cells, the scheme and the learning rate are the study's own."""

    study: StudySettings = part(StudySettings, "devices, methods and the search")


class Case(NamedTuple):
    """A device: its name, its labels if these are swept, and its dotted keys."""

    device: str
    labels: tuple[float, float] | None
    settings: Keys


def cases_of(settings: AsymmetrySettings) -> list[Case]:
    """Every device of the study; pulses that are published with one count, not those of the configuration."""
    given = settings.study
    if given.devices:
        published = {name: {"array.drive": None} for name in TABLE}
        return [Case(name, None, {"synapse.device": name, **published.get(name, {})}) for name in given.devices]
    pairs = [(nl, sign * nl + 0.0) for sign in given.signs for nl in given.labels]
    return [Case("soft-bounds", pair, {"synapse.device": _labelled(settings, *pair)}) for pair in dict.fromkeys(pairs)]


def _labelled(settings: AsymmetrySettings, nl_up: float, nl_down: float) -> Keys:
    """The exponential law of two labels in the range of the device of the configuration, with noise of its pulses."""
    device = settings.synapse.device
    ends = {name: float(jnp.mean(jnp.asarray(getattr(device, name)))) for name in ("g_min", "g_max")}
    law = {"type": "soft-bounds", "nl_up": nl_up, "nl_down": nl_down, "pulses_up": LEVELS, "pulses_down": LEVELS}
    return {"type": "cycle-to-cycle", "up": NOISE, "down": NOISE, "device": law | ends}


def tried(given: StudySettings, own: Sequence[str]) -> list[Keys]:
    """`trials` settings of rate, weight range and the `own` keys of a method: a Halton sequence in logarithms."""
    keys = (RATE, RANGE, *own)
    least, largest = np.log(np.asarray([getattr(given, BOUNDS[key]) for key in keys])).T
    from scipy.stats import qmc

    points = qmc.Halton(len(keys), scramble=False).fast_forward(1).random(given.trials)
    return [dict(zip(keys, map(float, values), strict=True)) for values in np.exp(least + points * (largest - least))]


def settings_of(method: Method, given: StudySettings) -> Keys:
    """Dotted keys of a method in this study."""
    return method.settings | ({"learning.scheme.reads": given.reads} if FAST in method.tuned else {})


class Study(NamedTuple):
    """A study that can run: its settings, devices and methods, the ideal device first."""

    settings: AsymmetrySettings
    cases: list[Case]
    methods: dict[str, Method]

    def variant(self, method: Method, case: Case, own: Keys, more: Keys) -> Settings:
        """One training: the settings of the study with a method on a device, and what was found by the search."""
        tables = written(self.settings)
        del tables["study"], tables["synapse"], tables["fabrication"]["preset"]
        found = {key: value for key, value in own.items() if key != RANGE} | {"synapse.scale": 1 / own[RANGE]}
        return changed(Settings, tables, {**settings_of(method, self.settings.study), **case.settings, **found, **more})

    def search(self) -> Keys:
        """Dotted keys of the trainings of the search."""
        given, own = self.settings.study, self.settings
        return {
            "seeds": given.tuning_seeds,
            "seed": SEARCH,
            "data.hold_out": given.hold_out,
            "training.epochs": given.tuning_epochs or own.training.epochs,
            "data.train": given.tuning_train or own.data.train,
        }


def _course(settings: Settings) -> Course:
    data, training = data_set(settings), settings.training
    seeds, at_once = seeds_of(settings), settings.evaluation.at_once
    return Course(data, examples_of(settings, data), training.order, seeds, training.epochs, at_once)


def _learner(settings: Settings, course: Course) -> Learner:
    trials, data = course.trials, course.data
    inputs = trials.encoder.channels(data.x_train.shape[1:])
    return learner_of(settings, network_of(settings, inputs, data.classes), trials.steps, trials.count)


def outcomes_of(several: Sequence[Settings], report: Report = silent) -> list[Outcome]:
    """Train settings that differ in numbers, all their seeds together → what each came to."""
    course = _course(several[0])
    return train_variants([_learner(one, course) for one in several], course, report)


def prepare(settings: AsymmetrySettings) -> Study:
    """The study, after every method was built on a device and every device with a method."""
    check_measured(settings)
    names = settings.study.methods or METHODS
    study = Study(settings, cases_of(settings), {"ideal": IDEAL, **{name: METHODS[name] for name in names}})

    def one(method: Method, case: Case, more: Keys) -> Settings:
        return study.variant(method, case, tried(settings.study, method.tuned)[0], more)

    data_set(one(IDEAL, study.cases[0], study.search()))
    course = _course(one(IDEAL, study.cases[0], {}))
    pairs = [(method, study.cases[0]) for method in study.methods.values()]
    for method, case in pairs + [(METHODS[BASELINE], case) for case in study.cases[1:]]:
        _learner(one(method, case, {}), course)
    return study


def _trained(study: Study, name: str, report: Report) -> list[Result]:
    """Search, then train: for every device the settings that were best on held-out examples, and a row."""
    method = study.methods[name]
    cases = study.cases[:1] if method is IDEAL else study.cases  # the ideal one is the same for all devices
    grid, search = tried(study.settings.study, method.tuned), study.search()
    found = outcomes_of([study.variant(method, case, own, search) for case in cases for own in grid], report)
    means = np.asarray([outcome.accuracy.mean() for outcome in found]).reshape(len(cases), len(grid))
    best = [grid[int(k)] for k in means.argmax(1)]
    pairs = list(zip(cases, best, strict=True))
    outcomes = outcomes_of([study.variant(method, case, own, {}) for case, own in pairs], report)
    return [_row(case, name, own, outcome) for (case, own), outcome in zip(pairs, outcomes, strict=True)]


def _row(case: Case, name: str, own: Keys, outcome: Outcome) -> Result:
    labels = case.labels or (None, None)
    return {
        "device": case.device,
        "scheme": name,
        "nl_up": labels[0],
        "nl_down": labels[1],
        "accuracy_mean": float(outcome.accuracy.mean()),
        "accuracy_sd": spread(outcome.accuracy),
        "accuracies": [float(a) for a in outcome.accuracy],
        "pulses_per_weight": float(outcome.pulses_per_weight.mean()),
        "energy_j": float(outcome.energy.mean()),
        "learning_rate": own[RATE],
        "weight_range": own[RANGE],
        **{key.rsplit(".", 1)[-1]: own.get(key) for key in TUNED},
    }


def carry(study: Study, folder: RunFolder, *, resume: bool = False, report: Report = silent) -> Result:
    """Search and train every method on every device.

    The ideal device is written exactly and has no spread; its settings are searched, too, with the same budget. An
    interrupted study goes on after the last method that was finished.
    """
    settings = study.settings
    rows: list[Result] = []
    shown = rows
    for name in study.methods:
        done = folder.path / "parts" / f"{name}.json"
        if not done.exists():
            folder.write_json(f"parts/{name}.json", _trained(study, name, report))
        rows += json.loads(done.read_text())
        shown = [row | {"ideal_accuracy": rows[0]["accuracy_mean"], "seeds": settings.seeds} for row in rows]
        folder.write_csv("table.csv", shown)
    return {
        "rows": shown,
        "ideal_accuracy": shown[0]["accuracy_mean"],
        "ideal_accuracy_sd": shown[0]["accuracy_sd"],
        "families": families(),
        "baseline": BASELINE,
        "epochs": settings.training.epochs,
        "batch": settings.training.batch,
        "hidden": [layer.size for layer in settings.network.layers],
        "data": settings.data.name,
    }


def headline(result: Result) -> str:
    """A result in one line: the ideal device, and means over the devices without mitigation and of the best method."""
    by_name: dict[str, list[float]] = {}
    for row in result["rows"][1:]:
        by_name.setdefault(row["scheme"], []).append(row["accuracy_mean"])
    means = {name: float(np.mean(values)) for name, values in by_name.items()}
    best = max(means, key=lambda name: means[name])
    none = f"without mitigation {means[BASELINE]:.1%}, " if BASELINE in means else ""
    return f"ideal device {result['ideal_accuracy']:.1%}; mean of the devices: {none}best {best} {means[best]:.1%}"


COLUMNS = (
    Column("device", "device", "text"),
    table.SCHEME,
    Column("nl_up", "NL up"),
    Column("nl_down", "NL down"),
    table.ACCURACY,
    Column("accuracies", "every seed", "percent", digits=2),
    table.PULSES,
    table.ENERGY,
    Column("learning_rate", "learning rate"),
    Column("weight_range", "weight range"),
    Column("theta", "θ"),
    Column("fast", "fast"),
    Column("period", "period"),
)
DIGITS: dict[str, Any] = together(
    BASE,
    {
        "seeds": 5,
        "network": {"layers": [{"size": 100}]},
        "learning": {"optimizer": {"learning_rate": 0.5, "anneal": 0.2}},
        "training": {"batch": 1, "epochs": 5},
    },
)
QUICK: Keys = {
    "seeds": 2,
    "data.train": 300,
    "network.layers": [50],
    "training.epochs": 2,
    "study.trials": 3,
    "study.rates": [0.2, 3.2],
    "study.ranges": [0.8, 1.2],
    "study.tuning_seeds": 1,
    "study.hold_out": 100,
    "study.methods": ["none", "accumulate"],
}

asymmetry_study = registered(
    "asymmetry-study",
    "accuracy of local learning against nonlinearity, symmetric and asymmetric, under every mitigation method",
    DIGITS,
    quick=QUICK | {"study.labels": [0, 5]},
    expected=0.95,
    expected_quick=0.765,
    reference=REFERENCE,
    carry=carry,
    headline=headline,
    kind="labels",
    columns=COLUMNS,
    root=AsymmetrySettings,
    prepare=prepare,
    measure="accuracy of the ideal device",
)
asymmetry_devices = register(
    asymmetry_study._replace(
        name="asymmetry-devices",
        tables=together(DIGITS, {"study": {"devices": list(EIGHT)}}),
        quick=QUICK | {"study.devices": ["ag-a-si", "pcmo"]},
        expected_quick=0.774,
        kind="devices",
    ),
    "accuracy of local learning on eight devices of the NeuroSim tables, under every mitigation method",
)
