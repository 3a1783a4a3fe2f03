"""Samples of a run to leaf through, one at a time, and what its energy went into."""

import html
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from memspike.parts import units
from memspike.report.figures import Arrays
from memspike.report.web import inside

# the figure after which the samples of a kind stand
BESIDE = {"membranes": "membranes", "generation": "targets", "classification": "spikes"}
STEPS, NEURONS, MOST = 200, 32, 12
PARTS = {
    "write_energy_j": "programming the devices",
    "read_energy_j": "reading: in the devices",
    "wire_energy_j": "wires",
    "converter_energy_j": "converters and drivers",
    "digital_energy_j": "adding partial sums",
    "neuron_energy_j": "neurons",
}
Panel = dict[str, Any]


def class_name(predicted: int) -> str:
    """A class as a figure names it."""
    return "none" if predicted < 0 else str(predicted)


def _numbers(values: np.ndarray, digits: int) -> list[float | None]:
    return [round(v, digits) if math.isfinite(v) else None for v in values.astype(float).tolist()]


def _panel(title: str, ylabel: str, t: np.ndarray, lines: list[Panel]) -> Panel:
    return {"title": title, "xlabel": "time (ms)", "ylabel": ylabel, "x": _numbers(1e3 * t, 4), "lines": lines}


def _membranes(samples: Arrays) -> list[dict[str, Any]]:
    """Input and membranes of every layer; the output neuron that won is strong."""
    count = sum(name.startswith("trace_") for name in samples)
    found = []
    for k, image in enumerate(samples["images"][:MOST]):
        won, panels = int(samples["predicted"][k]), []
        for layer in range(count):
            v = samples[f"trace_{layer}"][:, k]
            v = v.reshape(len(v), -1)
            every = max(1, -(-len(v) // STEPS))
            last, t = layer == count - 1, (np.arange(len(v)) + 1)[::every] * float(samples["dt"])
            name = "output layer" if last else f"hidden layer {layer + 1}"
            lines = [
                {"label": f"neuron {n}", "y": _numbers(1e3 * v[::every, n], 1), "strong": last and n == won}
                for n in range(v.shape[1] if last else min(v.shape[1], NEURONS))
            ]
            panels.append(_panel(name, "membrane (mV)", t, sorted(lines, key=lambda line: line["strong"])))
        title = f"true {samples['labels'][k]}, predicted {class_name(won)}"
        picture = image.tolist() if image.ndim == 2 else None
        found.append({"title": title, "image": picture, "panels": panels})
    return found


def _dots(z: np.ndarray, t: np.ndarray) -> list[Panel]:
    step, neuron = np.nonzero(z)
    return [{"label": "spike", "dots": True, "x": _numbers(1e3 * t[step], 3), "y": neuron.tolist()}]


def _patterns(samples: Arrays) -> list[dict[str, Any]]:
    """Target and output, and the spikes, of every pattern."""
    found = []
    for k, (y, target) in enumerate(zip(samples["y"][:MOST], samples["target"], strict=False)):
        t = (np.arange(len(y)) + 1) * float(samples["dt"])
        every = max(1, -(-len(y) // (2 * STEPS)))
        lines = [
            {
                "label": name,
                "y": _numbers(values[::every, n], 4),
                "strong": name == "output",
                "dashed": name != "output",
            }
            for name, values in (("target", target), ("output", y))
            for n in range(y.shape[1])
        ]
        panels = [_panel("output and target", "output", t[::every], lines)]
        if "z" in samples:
            panels.append(_panel("spikes", "neuron", t, _dots(samples["z"][k], t)))
        error = float(np.square(y.astype(float) - target).mean())
        found.append({"title": f"pattern {k + 1}, error {error:.3g}", "panels": panels})
    return found


def _classified(samples: Arrays) -> list[dict[str, Any]]:
    """Input and spikes of every example."""
    found = []
    for k, z in enumerate(samples["z"][:MOST]):
        t = (np.arange(len(z)) + 1) * float(samples["dt"])
        title = f"true {samples['labels'][k]}, predicted {class_name(int(samples['predicted'][k]))}"
        image = samples["images"][k]
        panels = [_panel("spikes", "neuron", t, _dots(z.reshape(len(z), -1), t))]
        found.append({"title": title, "image": image.tolist() if image.ndim == 2 else None, "panels": panels})
    return found


def browser(run: Mapping[str, Any]) -> str:
    """The samples of a run as a part of its page; "" where it has none to leaf through."""
    made = {"membranes": _membranes, "generation": _patterns, "classification": _classified}
    kind, samples = run["result"]["kind"], run.get("samples", {})
    needed = {"membranes": {"trace_0", "images"}, "generation": {"y", "target"}, "classification": {"z", "labels"}}
    if kind not in made or not needed[kind] <= set(samples):
        return ""
    text = "<p class=note>Buttons or the arrow keys go from sample to sample; the pointer reads values.</p>"
    return f"<div class=browser tabindex=0 aria-label='samples'>{inside(made[kind](samples))}</div>{text}"


def _shares(result: Mapping[str, Any]) -> dict[str, float]:
    """Energies in J by what they went into, as far as a result tells them apart."""
    parts = {title: float(result[key]) for key, title in PARTS.items() if key in result}
    return parts if "write_energy_j" in result else _pulses(result) | parts


def _pulses(result: Mapping[str, Any]) -> dict[str, float]:
    """Energy in J of the pulses of every kind; nothing where no pulse has an energy that is known."""
    if not result.get("energy_j"):
        return {}
    given = [result.get(f"{kind}_energy_j") for kind in ("set", "reset")]
    counts = [float(result.get(f"{kind}s_per_device", 0.0)) for kind in ("set", "reset")]
    if any(g is None and n for g, n in zip(given, counts, strict=True)):
        return {"SET and RESET pulses": float(result["energy_j"])}
    each = [n * float(g or 0.0) for g, n in zip(given, counts, strict=True)]
    if not sum(each):
        return {}
    names = ("SET pulses", "RESET pulses")
    return {name: float(result["energy_j"]) * one / sum(each) for name, one in zip(names, each, strict=True)}


def energies(result: Mapping[str, Any]) -> list[str]:
    """What the energy of a chip went into, as bars, and what of it the run has not counted; nothing without devices."""
    if result.get("digital") or "energy_j" not in result:
        return []
    parts = sorted(_shares(result).items(), key=lambda item: -item[1])
    total = sum(value for _, value in parts)
    title = '<section><h2 id="energy-of-the-training">Energy of the training</h2>'
    note = f"<p class=note>Not counted in this run: {', '.join(_not_counted(result))}.</p></section>"
    if not total:
        return [title + note]
    rows = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{units.show(float(f'{value:.3g}'), 'J')}</td>"
        f"<td>{100 * value / total:.1f} %</td>"
        f'<td><div class=meter><i style="width:{100 * value / total:.1f}%"></i></div></td></tr>'
        for name, value in parts
    )
    head = "".join(f"<th scope=col>{name}</th>" for name in ("part", "energy of a chip", "share", ""))
    return [
        f"{title}<div class=wide tabindex=0><table>"
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>{note}"
    ]


def _not_counted(result: Mapping[str, Any]) -> list[str]:
    """The kinds of energy that a result says nothing of; reads of schemes are not those of the trials."""
    missing = [title for key, title in PARTS.items() if key not in result and key != "write_energy_j"]
    if "write_energy_j" not in result and not result["energy_j"]:
        pulses = bool(result.get("writes_per_device"))
        why = "the energy of a pulse is not known" if pulses else "no pulses were sent"
        missing.insert(0, f"{PARTS['write_energy_j']} ({why})")
    if "read_energy_j" in result:
        missing.append("the reads of the trials")
    return missing
