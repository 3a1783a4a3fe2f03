"""What stands on the page of a network that learned online: headline, facts, figures."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure

from memspike.experiments.online_config import ProgrammingConfig
from memspike.experiments.pcm_eprop import LAST, RUNAWAY
from memspike.experiments.schemes import scheme_of
from memspike.parts import units
from memspike.parts.registry import SCHEMES
from memspike.report import online_figures as draw
from memspike.report import stdp_figures

Tree = dict[str, Any]
# beside config, result, metrics and environment: what a run that generates patterns has, and others may have
ARRAYS = ("samples.npz", "snapshots.npz")


class Content(NamedTuple):
    """A headline, rows of a table, figures and sentences in the place of figures, both by title."""

    headline: str
    facts: list[tuple[str, str]]
    figures: dict[str, Figure]
    notes: dict[str, str]


def needed(result: Tree) -> tuple[str, ...]:
    """The arrays without which the page of such a result cannot be made."""
    return ARRAYS if "mse_median" in result else ()


def is_digital(config: Tree) -> bool:
    """Whether the weights are in digital memory, so that there are no devices."""
    name = config.get("learning", {}).get("scheme", "")
    options = ProgrammingConfig.model_validate(config.get("programming", {}))
    return name in SCHEMES and scheme_of(name, options).digital


def _real(value: float) -> str:
    return f"{value:.4g}" if np.isfinite(value) else "not finite"


def _short(value: float, unit: str) -> str:
    return units.show(float(f"{value:.3g}"), unit)


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"


def _errors(result: Tree) -> list[tuple[str, str]]:
    """Mean squared errors against that of a silent network."""
    median, silent = float(result["mse_median"]), result.get("mse_silent")
    last = min(LAST, int(result.get("epochs", LAST)))
    rows = [
        (f"mean squared error of the last {last} epochs, median of the seeds", _real(median)),
        ("quartiles of the seeds", f"{_real(result['mse_q1'])} to {_real(result['mse_q3'])}"),
        ("every seed", ", ".join(_real(x) for x in result["mse"])),
    ]
    if silent is not None:
        share = f"; the median is {100 * median / silent:.3g} % of it" if np.isfinite(median) and silent > 0 else ""
        rows.append(("mean squared error of a silent network", f"{_real(silent)}{share}"))
    away = int(result.get("diverged", 0))
    where = f"{away} of {result['seeds']} (error not finite, or more than {RUNAWAY:g} Hz)"
    return [*rows, ("seeds that ran away", where if away else "none")]


def _accuracies(result: Tree) -> list[tuple[str, str]]:
    mean, sd = _percent(result["test_accuracy"]), result.get("test_accuracy_sd")
    rows = [("test accuracy, mean of the seeds", mean if sd is None else f"{mean}, s.d. {_percent(sd)}")]
    if "untrained_accuracy" in result:
        rows.append(
            ("without plasticity; by chance", f"{_percent(result['untrained_accuracy'])}; {_percent(result['chance'])}")
        )
    if "test_accuracies" in result:
        rows.append(("every seed", ", ".join(map(_percent, result["test_accuracies"]))))
    counted = [
        f"{result[key]} in {name}"
        for key, name in (("train_examples", "training"), ("test_examples", "the test"))
        if key in result
    ]
    return [*rows, ("examples", ", ".join(counted))] if counted else rows


def _overlaps(result: Tree) -> list[tuple[str, str]]:
    """What a memory completes, against what it did before learning."""
    mean, sd, low = (_real(result[key]) for key in ("overlap", "overlap_sd", "overlap_min"))
    return [
        ("overlap of recalled with stored patterns, mean of the seeds", f"{mean}, s.d. {sd}, lowest seed {low}"),
        ("the same cues before learning", _real(result["overlap_before"])),
        ("cues of patterns that were never shown", _real(result["overlap_unseen"])),
    ]


def _costs(result: Tree, config: Tree) -> list[tuple[str, str]]:
    """Pulses, wear and energy of a chip."""
    given = config.get("device", {})
    if is_digital(config):
        scheme = config["learning"]["scheme"]
        return [("pulses, wear, energy", f"none: the scheme {scheme} keeps the weights in digital memory")]
    rows = []
    if "writes_per_device" in result:
        parts = [
            f"{result[key]:.3g} {name}"
            for key, name in (("sets_per_device", "SET"), ("resets_per_device", "RESET"))
            if key in result
        ]
        split = f" ({', '.join(parts)})" if parts else ""
        rows.append(("pulses a device, mean of all devices and seeds", f"{result['writes_per_device']:.3g}{split}"))
    if "writes_most" in result:
        rows.append(("pulses of the device that was written most", f"{result['writes_most']}"))
    if "endurance_used" in result:
        of = f" of {given['endurance']:.3g} pulses, an assumption of the configuration" if "endurance" in given else ""
        rows.append(("endurance used by that device", f"{100 * result['endurance_used']:.3g} %{of}"))
    if "energy_j" in result:
        text = _short(result["energy_j"], "J")
        if {"set_energy", "reset_energy"} <= set(given):
            text += f", at {_short(given['set_energy'], 'J')} a SET and {_short(given['reset_energy'], 'J')} a RESET"
        rows.append(
            ("energy of all pulses of a chip", f"{text}: the energy of a pulse is an assumption of the configuration")
        )
    return rows


def facts(result: Tree, config: Tree) -> list[tuple[str, str]]:
    """Labels and texts of what a result.json knows."""
    rows = _errors(result) if "mse_median" in result else []
    rows += _accuracies(result) if "test_accuracy" in result else []
    rows += _overlaps(result) if "overlap" in result else []
    rows += _costs(result, config)
    if "rate_hz" in result:
        aim = config.get("learning", {}).get("target_rate")
        rows.append(
            ("mean firing rate", f"{_real(result['rate_hz'])} Hz" + ("" if aim is None else f", aimed at {aim:g} Hz"))
        )
    if "seeds" in result:
        rows.append(("seeds", f"{result['seeds']}, from {result.get('seed', 0)}"))
    if "epochs" in result:
        rows.append(("epochs", f"{result['epochs']}"))
    if "wall_s" in result:
        each = result.get("ms_per_seed_and_epoch")
        rows.append(("time", f"{result['wall_s']} s" + ("" if each is None else f", {each} ms a seed and epoch")))
    return rows


def headline(result: Tree) -> str:
    """The one number of a run or a table; empty where there is none."""
    if "test_accuracy" in result:
        return _percent(result["test_accuracy"])
    if "overlap" in result:
        return f"overlap {result['overlap']:.3f}"
    if "mse_median" in result:
        median = float(result["mse_median"])
        return f"mean squared error {median:.4f}" if np.isfinite(median) else "no finite error: the networks ran away"
    if "ideal_accuracy" in result:
        best = max(result["rows"][1:], key=lambda r: r["accuracy_mean"])
        ideal, reached = _percent(result["ideal_accuracy"]), _percent(best["accuracy_mean"])
        return f"ideal device {ideal}; best {reached}: {best['scheme']}"
    rows = [r for r in result.get("rows", []) if np.isfinite(r.get("mse_median", np.nan))]
    if not rows:
        return ""
    best = min(rows, key=lambda r: r["mse_median"])
    of = ", ".join(best[key] for key in ("scheme", "condition", "effect") if key in best)
    return f"lowest error {best['mse_median']:.4f}: {of}"


def content(run: Tree) -> Content:
    """The page of a run: `run` holds config, result, metrics and, where they were written, samples and snapshots."""
    config, result = run["config"], run["result"]
    samples, snapshots = run.get("samples", {}), run.get("snapshots", {})
    rate = config.get("learning", {}).get("target_rate")
    figures = {"Loss by epoch": draw.training_curves(run["metrics"], silent=result.get("mse_silent"), rate=rate)}
    if {"y", "target"} <= set(samples) and samples["y"].shape == samples["target"].shape:
        figures["Targets and outputs of the first seed"] = draw.targets_and_outputs(samples)
    if "z" in samples and samples["z"].ndim == 3:
        figures["Spikes of the first seed"] = draw.spike_rasters(samples, rate)
    for name, about, figure in (
        ("fields", "Weights of every neuron of the first seed", stdp_figures.fields),
        ("recalled", "Recall from a part, first seed", stdp_figures.recalls),
    ):
        if name in samples:
            figures[about] = figure(samples)
    notes, title = {}, "Conductances of the first seed"
    if is_digital(config):
        notes[title] = (
            f"The scheme {config['learning']['scheme']} keeps the weights in digital memory: there are no devices."
        )
    elif "edges" in snapshots:
        figures[title] = draw.conductances_over_time(snapshots, config.get("device", {}).get("devices_per_side", 1))
    return Content(headline(result), facts(result, config), figures, notes)
