"""What the page of every kind of result shows: its big line, its facts, its files and its figures."""

from collections.abc import Callable
from typing import Any, NamedTuple

from matplotlib.figure import Figure

from memspike.devices.pcm import PCM
from memspike.experiments.table import Column
from memspike.report import facts, membrane_figures, stdp_figures, study_figures, write_figures
from memspike.report import online_figures as online
from memspike.report.facts import Section
from memspike.report.figures import Arrays

Run = dict[str, Any]
Figures = dict[str, tuple[str, Figure]]
WEIGHTS = "Conductances of the first seed"


class Kind(NamedTuple):
    """A page: `figures` of a run by file name, each with its title; `files` that the run must have, and may have.

    `big` is the number in the first line; without it the headline of the experiment stands there.
    """

    figures: Callable[[Run], Figures]
    facts: tuple[Section, ...] = ()
    files: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    big: Column | None = None


ACCURACY = Column("test_accuracy", "", "percent", digits=2)
ERROR = Column("mse_median", "mean squared error", "fixed")
OVERLAP = Column("overlap", "overlap", "fixed", digits=3)


def _study(title: str, draw: Callable[[dict[str, Any]], Figure]) -> Kind:
    """A study: one figure of its rows."""
    return Kind(lambda run: {"study": (title, draw(run["result"]))}, (facts.work,))


def _membranes(run: Run) -> Figures:
    samples, result = run["samples"], run["result"]
    waves = membrane_figures.waveforms(samples, frames=result.get("input") == "frames")
    drawn = {
        "loss": ("Loss and accuracy", online.training_curves(run["metrics"])),
        "confusion": ("Confusion matrix of the first seed", membrane_figures.confusion(samples["confusion"])),
        "membranes": ("Membranes of sample inputs", waves),
        "rasters": ("Rasters", membrane_figures.rasters(samples)),
        "conductances": ("Conductances", membrane_figures.conductances(samples)),
    }
    aged = {"time": ("Time since programming", study_figures.by_age(result))} if result.get("rows") else {}
    return drawn | aged


def _online(
    name: str = "", title: str = "", draw: Callable[[Arrays], Figure] | None = None
) -> Callable[[Run], Figures]:
    """Online learning: loss, the figure of its samples that it alone has, spikes and conductances."""

    def figures(run: Run) -> Figures:
        result, samples, snapshots = run["result"], run.get("samples", {}), run.get("snapshots", {})
        rate = result.get("target_rate_hz")
        curves = online.training_curves(run["metrics"], baseline=result.get("mse_silent"), rate=rate)
        drawn = {"loss": ("Loss by epoch", curves)} | ({name: (title, draw(samples))} if draw else {})
        if "z" in samples:
            drawn["spikes"] = ("Spikes of the first seed", online.spike_rasters(samples, rate))
        if snapshots and not result.get("digital"):
            weights = online.conductances_over_time(snapshots, result.get("devices_per_side", 1))
            drawn["conductances"] = (WEIGHTS, weights)
        return drawn

    return figures


def _writes(run: Run) -> Figures:
    grids = write_figures.grids_of(run["grids"], [row["writer"] for row in run["result"]["rows"]])
    curve = online.cumulative_curve(PCM(g_max=run["result"]["g_max"]))
    return {
        "writes": ("Mean and s.d. of what a write reaches", write_figures.write_figure(grids)),
        "cumulative": ("Conductance after SET pulses", curve),
    }


METRICS, SAMPLES, SNAPSHOTS = "metrics.csv", "samples.npz", ("snapshots.npz",)
LEARNED = (facts.costs, facts.work)
TARGETS = _online("targets", "Targets and outputs of the first seed", online.targets_and_outputs)
FIELDS = _online("weights", "Weights of every neuron of the first seed", stdp_figures.fields)
RECALLS = _online("recall", "Recall from a part, first seed", stdp_figures.recalls)
TESTED = (facts.accuracies, facts.chips, *LEARNED)
PAGES: dict[str, Kind] = {
    "membranes": Kind(_membranes, TESTED, (METRICS, SAMPLES, "parameters.json"), (), ACCURACY),
    "classification": Kind(_online(), TESTED, (METRICS,), (SAMPLES, *SNAPSHOTS), ACCURACY),
    "plasticity": Kind(FIELDS, TESTED, (METRICS, SAMPLES), SNAPSHOTS, ACCURACY),
    "generation": Kind(TARGETS, (facts.errors, *LEARNED), (METRICS, SAMPLES), SNAPSHOTS, ERROR),
    "recall": Kind(RECALLS, (facts.overlaps, *LEARNED), (METRICS, SAMPLES), SNAPSHOTS, OVERLAP),
    "schemes": _study("Error of every line", study_figures.by_scheme),
    "references": _study("Error of every scheme with wrong references", study_figures.by_reference),
    "labels": _study("Accuracy against nonlinearity", study_figures.by_label),
    "devices": _study("Accuracy by device", study_figures.by_device),
    "wires": _study("Accuracy against wire resistance", study_figures.by_wires),
    "speakers": _study("Accuracy for a new speaker", study_figures.by_speaker),
    "writes": Kind(_writes, (facts.work,), ("grids.npz",)),
    "table": Kind(lambda run: {}, (facts.work,)),
}
"""By the kind that a result.json names."""
