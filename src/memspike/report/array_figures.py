"""Pictures of an array: its wires, where the pulses went, how much life they cost, what the energy was spent on."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from memspike.arrays.costs import Costs, endurance_used, pulses_taken, summary
from memspike.arrays.ledger import Ledger
from memspike.arrays.solution import Solution
from memspike.parts.errors import InputError
from memspike.report.figures import ACCENT, MUTED, SECOND, new_figure, readable
from memspike.report.samples import PARTS

MOST_MAPS = 8


def array_figure(solution: Solution, conductances: Any, voltages: Any) -> Figure:
    """Four maps and the outputs of one input: `solution` of `solve(voltages, conductances, …)` with voltages [rows].

    Conductance and current of every device, the voltage its wires cost it, its current less that of ideal wires;
    output currents beside those of ideal wires, and the relative error of each.

    `conductances` [rows, columns] are in S, `voltages` in V.
    """
    g, v = np.asarray(conductances, dtype=float), np.asarray(voltages, dtype=float)
    device = np.asarray(solution.currents.device, dtype=float)
    across = np.asarray(solution.voltages.row, dtype=float) - np.asarray(solution.voltages.column, dtype=float)
    ideal, output = v @ g, np.asarray(solution.currents.output, dtype=float)
    figure, axes = new_figure(12.0, 6.4, columns=3, rows=2)
    cells, unit = readable(g, "S")
    currents, ampere = readable(device, "A")
    lost, volt = readable(v[:, None] - across, "V")
    missing, error_unit = readable(device - v[:, None] * g, "A")
    for axis, values, title, label, colours in (
        (axes[0, 0], cells, "conductance of the devices", unit, "viridis"),
        (axes[0, 1], currents, "current through the devices", ampere, "viridis"),
        (axes[0, 2], lost, "voltage lost in the wires", volt, "RdBu"),
        (axes[1, 0], missing, "device currents less the ideal ones", error_unit, "RdBu"),
    ):
        most = float(np.abs(values).max()) or 1.0
        limits = {"vmin": -most, "vmax": most} if colours == "RdBu" else {}
        image = axis.imshow(values, aspect="auto", cmap=colours, **limits)
        axis.set(xlabel="column", ylabel="row (driven from the left)", title=title)
        axis.spines[:].set_visible(False)
        figure.colorbar(image, ax=axis, label=label)
    both, amperes = readable(np.stack([ideal, output]), "A")
    columns = np.arange(len(output))
    axes[1, 1].plot(columns, both[0], color=SECOND, lw=1.4, ls="--", label="ideal wires")
    axes[1, 1].plot(columns, both[1], color=ACCENT, lw=1.8, label="with wire resistance")
    axes[1, 1].set(xlabel="column", ylabel=f"output current ({amperes})", title="outputs")
    axes[1, 1].legend(frameon=False, fontsize=8)
    error = 100 * (output / np.where(ideal == 0, np.nan, ideal) - 1)
    axes[1, 2].bar(columns, error, color=ACCENT, width=1.0)
    axes[1, 2].set(xlabel="column", ylabel="error of the output (%)", title="error against ideal wires")
    return figure


def pulse_maps(ledger: Ledger, names: Sequence[str] | None = None) -> Figure:
    """Pulses and RESETs of every device, one map a line (the first eight), all on one scale; `names` of the lines.

    InputError unless there is one name for each line.
    """
    pulses = pulses_taken(ledger.worn())
    lines = len(pulses)
    titles = names or [f"line {k + 1} of {lines}" for k in range(lines)]
    if len(titles) != lines:
        raise InputError(f"{len(titles)} names were given for {lines} lines; one a line is needed.")
    shown = min(lines, MOST_MAPS)
    wide = min(shown, 4)
    deep = -(-shown // wide)
    figure, axes = new_figure(1.2 + 3.6 * wide, 0.4 + 3.0 * deep, columns=wide, rows=deep)
    scale = Normalize(0, max(float(pulses.max()), 1.0))
    for axis in axes.flat[shown:]:
        axis.set_visible(False)
    for line, axis in enumerate(axes.flat[:shown]):
        image = axis.imshow(pulses[line], aspect="auto", cmap="magma_r", norm=scale, interpolation="nearest")
        axis.set(xlabel="column", ylabel="row")
        axis.set_title(f"{titles[line]}: {pulses[line].mean():.3g} on average", fontsize=10)
        axis.spines[:].set_visible(False)
        if line == shown - 1:
            figure.colorbar(image, ax=axes, label="pulses and RESETs of a device")
    return figure


def _histogram(axis: Axes, used: np.ndarray) -> None:
    """Devices over the endurance they have used, in %; devices that were never written are named."""
    worn = 100 * used[used > 0]
    axis.set(xlabel="endurance used (%)", ylabel="devices", title="life of the devices")
    if worn.size:
        low, high = float(worn.min()), float(worn.max())
        if high > 30 * low:
            # steps of 1.6: no bin between the small whole counts stays empty
            number = int(np.ceil(np.log(1.05 * high / (0.95 * low)) / np.log(1.6)))
            bins = 0.95 * low * 1.6 ** np.arange(number + 1)
            axis.set_xscale("log")
        else:
            bins = np.linspace(0, 1.05 * high, 31)
        axis.hist(worn, bins.tolist(), color=ACCENT, edgecolor="white", lw=0.5)
        axis.axvline(float(worn.mean()), color=SECOND, lw=1.6, ls="--", label=f"mean of these: {worn.mean():.2g} %")
        axis.axvline(high, color=MUTED, lw=1.6, ls="--", label=f"most used: {high:.2g} %")
        if high >= 100:
            axis.axvline(100.0, color="black", lw=1.6, label=f"worn out: {int((used >= 1).sum())} devices")
        axis.set_ylim(top=1.45 * axis.get_ylim()[1])
    if worn.size < used.size:
        axis.plot([], [], " ", label=f"not shown: {used.size - worn.size} devices never written")
    axis.legend(framealpha=1.0, edgecolor="none", fontsize=8, loc="upper left")


def _bars(axis: Axes, numbers: dict[str, float]) -> None:
    """What the energy was spent on, largest first, with shares of the total."""
    parts = sorted(((numbers[key], name) for key, name in PARTS.items() if numbers[key] > 0), reverse=True)
    total, unit = readable([numbers["total_energy_j"]], "J")
    axis.set(title=f"energy: {total[0]:.3g} {unit} in all")
    if not parts:
        axis.text(0.5, 0.5, "nothing was spent", ha="center", transform=axis.transAxes)
        return
    values, unit = readable([energy for energy, _ in parts], "J")
    places = [float(k) for k in range(len(parts))]
    axis.barh(places, values, color=ACCENT, height=0.6)
    for place, value, (energy, _) in zip(places, values, parts, strict=True):
        number, own = readable([energy], "J")
        share = 100 * energy / numbers["total_energy_j"]
        percent = f"{share:.1f} %" if share >= 0.1 else "below 0.1 %"
        axis.text(value, place, f" {number[0]:.3g} {own}, {percent}", va="center", fontsize=9)
    axis.set_yticks(places, [name for _, name in parts])
    axis.invert_yaxis()
    axis.set_xlim(0, 1.45 * float(values.max()))
    axis.set_xlabel(f"energy ({unit})")


def cost_figure(ledger: Ledger, costs: Costs, *, endurance: Any) -> Figure:
    """The share of the `endurance` (pulses) that the devices have used, and what the energy was spent on.

    InputError for an endurance that is not finite and above 0.
    """
    figure, axes = new_figure(11.0, 3.6, columns=2)
    _histogram(axes[0, 0], endurance_used(ledger, endurance).ravel())
    _bars(axes[0, 1], summary(ledger, costs))
    return figure
