"""Several runs beside each other: what they came to, in which settings they differ, a figure."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memspike.experiments.table import ENDURANCE, Column, cell, plain
from memspike.parts.atomic import write_bytes
from memspike.parts.errors import InputError
from memspike.report.figures import MUTED, new_figure, style, whole
from memspike.report.kinds import PAGES, Run
from memspike.report.page import document, read_run, section, table
from memspike.report.web import plot, png

# of a result, where it has them
MORE = (
    Column("test_accuracy_min", "lowest seed", "percent", digits=2),
    Column("chips_accuracy", "chips with noise", "percent with sd", digits=2),
    Column("rate_hz", "firing rate", "number", "Hz", 3),
    Column("writes_per_device", "pulses a device", "number", digits=3),
    Column("energy_j", "energy", "scaled", "J", 3),
    ENDURANCE,
    Column("seeds", "seeds", "count"),
    Column("epochs", "epochs", "count"),
    Column("wall_s", "time", "fixed", "s", 1),
)
# the result of every seed by what is measured, and the column of metrics.csv that tells it by epoch
SEEDS = {"test_accuracy": "test_accuracies", "mse_median": "mse"}
BY_EPOCH = {"test_accuracy": "test_accuracy", "mse_median": "loss"}


class Comparison(NamedTuple):
    """Runs by name; `measure` is what they are compared by, `settings` the values of keys that differ, a run each."""

    names: tuple[str, ...]
    runs: tuple[Run, ...]
    measure: Column
    settings: dict[str, tuple[str, ...]]

    @property
    def header(self) -> list[str]:
        """The titles of the table."""
        return ["run", *(column.title for column in self._columns)]

    @property
    def lines(self) -> list[list[str]]:
        """A line a run."""
        own = [[cell(run["result"], column) for column in self._columns] for run in self.runs]
        return [[name, *values] for name, values in zip(self.names, own, strict=True)]

    @property
    def _columns(self) -> list[Column]:
        found = [column for column in MORE if any(cell(run["result"], column) for run in self.runs)]
        return [Column("experiment", "experiment", "text"), self.measure, *found]


def _names(folders: Sequence[Path]) -> tuple[str, ...]:
    """The names of the folders, with as many of those above them as tell them apart."""
    for depth in range(1, 1 + max(len(folder.resolve().parts) for folder in folders)):
        found = tuple("/".join(folder.resolve().parts[-depth:]) for folder in folders)
        if len(set(found)) == len(found):
            return found
    raise InputError("A run was given twice; give every run once.")


def _settings(run: Run) -> dict[str, str]:
    """Every key of a configuration as text, as run.json writes it or, in older runs, as the file has it."""
    lines = run.get("run", {}).get("settings", [])
    if lines:
        return {line["key"]: line["value"] for line in lines}
    return dict(_flat(run["config"], ""))


def _flat(table: Any, prefix: str) -> list[tuple[str, str]]:
    if isinstance(table, dict):
        return [pair for key, value in table.items() for pair in _flat(value, f"{prefix}.{key}" if prefix else key)]
    if isinstance(table, list) and any(isinstance(one, dict) for one in table):
        return [pair for k, one in enumerate(table) for pair in _flat(one, f"{prefix}.{k}")]
    return [(prefix, str(table))]


def compare(folders: Sequence[Path]) -> Comparison:
    """Finished runs beside each other.

    InputError for fewer than two runs, a run that is not finished, studies, and runs that measure different things.
    """
    if len(folders) < 2:
        raise InputError("compare needs two runs or more.")
    names, runs = _names(folders), tuple(read_run(folder) for folder in folders)
    kinds = [run["result"]["kind"] for run in runs]
    measures = [PAGES[kind].big for kind in kinds]
    for name, kind, measure in zip(names, kinds, measures, strict=True):
        if measure is None:
            raise InputError(
                f"{name} is a study of the kind {kind}, which has a table of its own; compare its trainings."
            )
        if measure != measures[0]:
            raise InputError(
                f"{names[0]} is of the kind {kinds[0]} and {name} of the kind {kind}; runs of one kind can be compared."
            )
    every = [_settings(run) for run in runs]
    keys = dict.fromkeys(key for one in every for key in one if key != "experiment")
    values = {key: tuple(one.get(key, "–") for one in every) for key in keys}
    measure: Any = measures[0]
    form = {"mse_median": "fixed with quartiles", "test_accuracy": "percent with sd", "overlap": "fixed with sd"}
    measure = measure._replace(form=form[measure.key])
    return Comparison(names, runs, measure, {key: own for key, own in values.items() if len(set(own)) > 1})


def summary(found: Comparison) -> dict[str, Any]:
    """A comparison as numbers and texts."""
    return {
        "measure": found.measure.key,
        "runs": [{"name": n, "result": run["result"]} for n, run in zip(found.names, found.runs, strict=True)],
        "settings": {key: dict(zip(found.names, own, strict=True)) for key, own in found.settings.items()},
    }


def text(found: Comparison) -> str:
    """A comparison for a terminal: the table, and below it the settings that differ."""
    lines = [plain(found.header, found.lines), ""]
    if not found.settings:
        return "\n".join([*lines, "All settings are the same."])
    rows = [[key, *own] for key, own in found.settings.items()]
    return "\n".join([*lines, plain(["setting", *found.names], rows)])


def _values(found: Comparison, run: Run) -> list[float]:
    result = run["result"]
    scale = 100.0 if found.measure.form.startswith("percent") else 1.0
    own = result.get(SEEDS.get(found.measure.key, ""), [result[found.measure.key]])
    return [scale * float(value) for value in own]


def _epochs(axis: Axes, found: Comparison, title: str) -> None:
    """The median of the seeds by epoch, a line a run."""
    key = BY_EPOCH[found.measure.key]
    scale = 100.0 if found.measure.form.startswith("percent") else 1.0
    for place, (name, run) in enumerate(zip(found.names, found.runs, strict=True)):
        rows = [row for row in run["metrics"] if np.isfinite(row.get(key, np.nan))]
        epochs = sorted({row["epoch"] for row in rows})
        middle = [scale * np.median([row[key] for row in rows if row["epoch"] == epoch]) for epoch in epochs]
        axis.plot(epochs, middle, label=name, ms=3, lw=1.6, **style(place))
    axis.set(xlabel="epoch", ylabel=title)
    axis.xaxis.set_major_locator(whole())
    axis.legend(frameon=False, fontsize=8)
    if scale == 1.0:
        axis.set_yscale("log")


def figure(found: Comparison) -> Figure:
    """What every run came to, a dot a seed and a bar at the median; beside it how it came there, by epoch."""
    curves = found.measure.key in BY_EPOCH and all("metrics" in run for run in found.runs)
    drawn, axes = new_figure(4.6 * (1 + curves), 0.9 + max(2.7, 0.4 * len(found.names)), columns=1 + curves)
    title = found.measure.title + (" (%)" if found.measure.form.startswith("percent") else "")
    for place, run in enumerate(found.runs):
        values, looks = _values(found, run), style(place)
        axes[0, 0].plot(values, [place] * len(values), ls="", ms=5, **looks)
        axes[0, 0].plot([np.median(values)] * 2, [place - 0.25, place + 0.25], color=looks["color"], lw=2.4)
        axes[0, 0].axhline(place, color=MUTED, lw=0.4, zorder=0)
    axes[0, 0].set_yticks(range(len(found.names)), found.names, fontsize=8)
    axes[0, 0].set(xlabel=title, ylim=(len(found.names) - 0.5, -0.5))
    if curves:
        _epochs(axes[0, 1], found, title)
    return drawn


def write_comparison(found: Comparison, folder: Path) -> list[Path]:
    """Write compare.json, compare.svg, compare.png and compare.html into a folder → their paths."""
    drawn = figure(found)
    settings = [[key, *own] for key, own in found.settings.items()]
    same = "<p>All settings are the same.</p>"
    parts = [
        section("Runs", table(found.header, found.lines)),
        section("Figure", plot(drawn, "compare", "what every run came to")),
        section("Settings that differ", table(["setting", *found.names], settings, "keys") if settings else same),
    ]
    vectors = io.BytesIO()
    drawn.savefig(vectors, format="svg", metadata={"Date": None})
    files = {
        "compare.json": (json.dumps(summary(found), indent=2, ensure_ascii=False) + "\n").encode(),
        "compare.svg": vectors.getvalue(),
        "compare.png": png(drawn),
        "compare.html": document("memspike compare", "comparison", parts).encode(),
    }
    for name, content in files.items():
        write_bytes(folder / name, content)
    return [folder / name for name in files]
