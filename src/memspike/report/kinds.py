"""What the page of every kind of result shows: its big line, its facts, its files and its figures."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from memspike.devices.pcm import PCM
from memspike.experiments.table import Column, cell
from memspike.learning.programming.accuracy import WriteGrid
from memspike.parts import units
from memspike.report import matrix_figures, membrane_figures, study_figures
from memspike.report import online_figures as online
from memspike.report.figures import Arrays

Run = dict[str, Any]
Figures = dict[str, tuple[str, Figure]]
WEIGHTS = "Conductances of the first seed"
Result = Mapping[str, Any]
Facts = list[tuple[str, str]]
Section = Callable[[Result], Facts]


def real(value: float) -> str:
    """A number, or that it is none."""
    return f"{value:.4g}" if np.isfinite(value) else "not finite"


def percent(value: float) -> str:
    """A share in percent."""
    return f"{100 * value:.2f} %"


def _joules(value: float) -> str:
    return units.show(float(f"{value:.3g}"), "J")


def _known(result: Result, *columns: Column) -> Facts:
    """Titles and texts of the columns that the result has."""
    return [(column.title, text) for column in columns if (text := cell(result, column))]


def accuracies(result: Result) -> Facts:
    """Test accuracies of the seeds, of the fine step, and of chips without plasticity."""
    return _known(
        result,
        Column("test_accuracy", "test accuracy, mean of the seeds", "percent with sd", digits=2),
        Column("test_accuracy_min", "lowest seed", "percent", digits=2),
        Column("test_accuracies", "every seed", "percent", digits=2),
        Column("untrained_accuracy", "without plasticity", "percent", digits=2),
        Column("chance", "by chance", "percent", digits=2),
        Column("test_accuracy_fine_step", "the same networks simulated at the fine step", "percent", digits=2),
    )


def chips(result: Result) -> Facts:
    """What is left on chips with programming spread and read noise."""
    mean = cell(result, Column("chips_accuracy", "", "percent with sd", digits=2))
    title = f"{result.get('chips')} chips with programming spread and read noise"
    return [(title, f"{mean}, lowest {percent(result['chips_accuracy_min'])}")] if mean else []


def membranes(result: Result) -> Facts:
    """Range and spikes of the membranes, on the scale of the published neuron (rest at 18 mV)."""
    step = off_exact(result)
    deviates = [("largest deviation of a membrane from a fine step", step)] if step else []
    if "membrane_low" not in result:
        return deviates
    low, high = (f"{1e3 * result[f'membrane_{end}']:.0f}" for end in ("low", "high"))
    spikes, active = result["spikes_per_active_neuron"], percent(result["active_neurons"])
    return [
        ("membranes, all layers and test trials", f"{low} to {high} mV"),
        ("time outside of −50 to 130 mV, where the published neuron is", percent(result["membrane_outside"])),
        ("spikes (rises through 30 mV)", f"{spikes:.2f} a neuron and trial of the {active} that spike"),
        *deviates,
    ]


def off_exact(result: Result) -> str:
    """How far membranes at the step of a run are from exact ones, '' where that was not measured."""
    if "membrane_deviation" not in result:
        return ""
    return f"{1e3 * result['membrane_deviation']:.3g} mV at steps of {1e6 * result['membrane_step']:.4g} µs"


def errors(result: Result) -> Facts:
    """Mean squared errors against that of a network whose output is zero."""
    median, baseline = float(result["mse_median"]), result["mse_zero_output"]
    share = f"; the median is {100 * median / baseline:.3g} % of it" if np.isfinite(median) and baseline > 0 else ""
    away = f"{result['diverged']} of {result['seeds']} (error not finite, or more than {result['rate_limit_hz']:g} Hz)"
    return [
        (f"mean squared error of the last {result['last_epochs']} epochs, median of the seeds", real(median)),
        ("quartiles of the seeds", f"{real(result['mse_q1'])} to {real(result['mse_q3'])}"),
        ("every seed", ", ".join(map(real, result["mse"]))),
        ("mean squared error of the zero-output baseline", real(baseline) + share),
        ("seeds that diverged", away if result["diverged"] else "none"),
    ]


def misses(result: Result) -> Facts:
    """Errors over the variance of the targets, against a linear model."""
    return _known(
        result,
        Column("test_error", "mean squared error over the variance, mean of the seeds", "number with sd"),
        Column("test_error_max", "highest seed"),
        Column("test_errors", "every seed"),
        Column("ridge_error", "ridge regression from the same frames and up to 39 before them"),
    )


def overlaps(result: Result) -> Facts:
    """What a memory completes, against what it did before learning."""
    return _known(
        result,
        Column("overlap", "overlap of recalled with stored patterns, mean of the seeds", "number with sd"),
        Column("overlap_min", "lowest seed"),
        Column("overlap_before", "the same cues before learning"),
        Column("overlap_unseen", "cues of patterns that were never shown"),
    )


def costs(result: Result) -> Facts:
    """Pulses, wear and energy of a chip; a scheme on digital memory has none."""
    if result.get("digital"):
        return [("pulses, wear, energy", f"none: the scheme {result['scheme']} keeps the weights in digital memory")]
    if "writes_per_device" not in result:
        return []
    each, sets, resets = (f"{result[f'{key}_per_device']:.3g}" for key in ("writes", "sets", "resets"))
    given = [(kind, result.get(f"{kind.lower()}_energy_j")) for kind in ("SET", "RESET")]
    at = " and ".join(f"{_joules(energy)} a {kind}" for kind, energy in given if energy is not None)
    text = ", at ".join(filter(None, (_joules(result["energy_j"]), at)))
    rows = [
        ("pulses a device, mean of all devices and seeds", f"{each} ({sets} SET, {resets} RESET)"),
        ("pulses of the device that was written most", f"{result['writes_most']}"),
        ("energy of all pulses of a chip", f"{text}: the energy of a pulse is an assumption of the configuration"),
    ]
    if "endurance_used" in result:
        life = f"{result['endurance']:.3g} pulses, an assumption of the configuration"
        rows.append(
            ("endurance used by the device that was written most", f"{100 * result['endurance_used']:.3g} % of {life}")
        )
    return rows


def work(result: Result) -> Facts:
    """Firing rate, seeds, epochs, examples and time."""
    return [
        *_known(
            result,
            Column("rate_hz", "mean firing rate", "number", "Hz"),
            Column("target_rate_hz", "firing rate aimed at", "number", "Hz"),
        ),
        ("seeds", f"{result['seeds']}, from {result['seed']}"),
        *_known(
            result,
            Column("epochs", "epochs", "count"),
            Column("train_examples", "examples in training", "count"),
            Column("test_examples", "examples in the test", "count"),
            Column("wall_s", "time of the training", "count", "s"),
            Column("ms_per_seed_and_epoch", "time of a seed and epoch", "count", "ms"),
            Column("steps_per_s", "training steps a second over all seeds", "count"),
        ),
    ]


def reasons(result: Result) -> Facts:
    """Why combinations are refused, each reason with one of its sentences."""
    count = Counter(row["reason"] for row in result["rows"])
    return [(f"{name} ({count[name]})", sentence) for name, sentence in result["reasons"].items()]


class Kind(NamedTuple):
    """A page: `figures` of a run by file name, each with its title; `files` that the run must have, and may have.

    `big` is the number in the first line; without it the headline of the experiment stands there.
    """

    figures: Callable[[Run], Figures]
    facts: tuple[Section, ...] = ()
    files: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    big: Column | None = None


ACCURACY = Column("test_accuracy", "test accuracy", "percent", digits=2)
ERROR = Column("mse_median", "mean squared error", "fixed")
OVERLAP = Column("overlap", "overlap", "fixed", digits=3)
MISS = Column("test_error", "test error over the variance", "fixed")


def _study(title: str, draw: Callable[[dict[str, Any]], Figure], *more: Section) -> Kind:
    """A study: one figure of its rows, and `more` that it tells."""
    return Kind(lambda run: {"study": (title, draw(run["result"]))}, (*more, work))


def _membranes(run: Run) -> Figures:
    samples, result = run["samples"], run["result"]
    if "trace_0" not in samples:  # the same experiment with another network
        mistaken = membrane_figures.confusion(samples["confusion"])
        return {**_online()(run), "confusion": ("Confusion matrix of the first seed", mistaken)}
    waves = membrane_figures.waveforms(samples, frames=result.get("input") == "frames")
    drawn = {
        "loss": ("Loss and accuracy", online.training_curves(run["metrics"])),
        "confusion": ("Confusion matrix of the first seed", membrane_figures.confusion(samples["confusion"])),
        "membranes": ("Membranes of sample inputs", waves),
        "rasters": ("Rasters", membrane_figures.rasters(samples)),
    }
    if "g_0" in samples:
        drawn["conductances"] = ("Conductances", membrane_figures.conductances(samples))
        drawn["maps"] = ("Conductance maps", membrane_figures.maps(samples))
    aged = {"time": ("Time since programming", study_figures.by_age(result))} if result.get("rows") else {}
    return drawn | aged


def _online(
    name: str = "", title: str = "", draw: Callable[[Arrays], Figure] | None = None
) -> Callable[[Run], Figures]:
    """Online learning: loss, the figure of its samples that it alone has, spikes and conductances."""

    def figures(run: Run) -> Figures:
        result, samples, snapshots = run["result"], run.get("samples", {}), run.get("snapshots", {})
        rate = result.get("target_rate_hz")
        curves = online.training_curves(run["metrics"], baseline=result.get("mse_zero_output"), rate=rate)
        drawn = {"loss": ("Loss by epoch", curves)} | ({name: (title, draw(samples))} if draw else {})
        if "z" in samples:
            drawn["spikes"] = ("Spikes of the first seed", online.spike_rasters(samples, rate))
        if snapshots and not result.get("digital"):
            weights = online.conductances_over_time(snapshots, result.get("devices_per_side", 1))
            drawn["conductances"] = (WEIGHTS, weights)
        if "g_0" in samples:
            drawn["maps"] = ("Conductance maps of the first seed", membrane_figures.maps(samples))
        return drawn

    return figures


def _writes(run: Run) -> Figures:
    grids = {
        row["writer"]: WriteGrid(*(jnp.asarray(run["grids"][f"{part}_{k}"]) for part in WriteGrid._fields))
        for k, row in enumerate(run["result"]["rows"])
    }
    curve = online.cumulative_curve(PCM(g_max=run["result"]["g_max"]))
    return {
        "writes": ("Mean and s.d. of what a write reaches", study_figures.write_figure(grids)),
        "cumulative": ("Conductance after SET pulses", curve),
    }


METRICS, SAMPLES, SNAPSHOTS = "metrics.csv", "samples.npz", ("snapshots.npz",)
LEARNED = (costs, work)
TARGETS = _online("targets", "Targets and outputs of the first seed", online.targets_and_outputs)
NUMBERS = _online("targets", "Targets and outputs of the first seed, first test examples", online.targets_and_outputs)
FIELDS = _online("weights", "Weights of every neuron of the first seed", online.fields)
RECALLS = _online("recall", "Recall from a part, first seed", online.recalls)
TESTED = (accuracies, chips, *LEARNED, membranes)
PAGES: dict[str, Kind] = {
    "membranes": Kind(_membranes, TESTED, (METRICS, SAMPLES, "parameters.json"), (), ACCURACY),
    "classification": Kind(_online(), TESTED, (METRICS,), (SAMPLES, *SNAPSHOTS), ACCURACY),
    "plasticity": Kind(FIELDS, TESTED, (METRICS, SAMPLES), SNAPSHOTS, ACCURACY),
    "regression": Kind(NUMBERS, (misses, *LEARNED, membranes), (METRICS, SAMPLES, "parameters.json"), SNAPSHOTS, MISS),
    "generation": Kind(TARGETS, (errors, *LEARNED), (METRICS, SAMPLES), SNAPSHOTS, ERROR),
    "recall": Kind(RECALLS, (overlaps, *LEARNED, membranes), (METRICS, SAMPLES), SNAPSHOTS, OVERLAP),
    "schemes": _study("Error of every line", study_figures.by_scheme),
    "references": _study("Error of every scheme with wrong references", study_figures.by_reference),
    "labels": _study("Accuracy against nonlinearity", study_figures.by_label),
    "devices": _study("Accuracy by device", study_figures.by_device),
    "wires": _study("Accuracy against wire resistance", study_figures.by_wires),
    "speakers": _study("Accuracy for a new speaker", study_figures.by_speaker),
    "writes": Kind(_writes, (work,), ("grids.npz",)),
    "matrix": _study("Which combinations are possible, and what they learn", matrix_figures.pairs, reasons),
    "table": Kind(lambda run: {}, (work,)),
}
"""By the kind that a result.json names."""
