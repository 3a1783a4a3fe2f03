"""The rows of facts on a page, for every kind of result; what a result.json lacks is left out."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from memspike.experiments.table import Column, cell
from memspike.parts import units

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


def errors(result: Result) -> Facts:
    """Mean squared errors against that of a network whose output is zero."""
    median, baseline = float(result["mse_median"]), result["mse_silent"]
    share = f"; the median is {100 * median / baseline:.3g} % of it" if np.isfinite(median) and baseline > 0 else ""
    away = f"{result['diverged']} of {result['seeds']} (error not finite, or more than {result['rate_limit_hz']:g} Hz)"
    return [
        (f"mean squared error of the last {result['last_epochs']} epochs, median of the seeds", real(median)),
        ("quartiles of the seeds", f"{real(result['mse_q1'])} to {real(result['mse_q3'])}"),
        ("every seed", ", ".join(map(real, result["mse"]))),
        ("mean squared error of the zero-output baseline", real(baseline) + share),
        ("seeds that diverged", away if result["diverged"] else "none"),
    ]


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
