"""Maps of an array with wire resistance: conductances, currents, voltage drops, error against ideal wires."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from memspike.arrays.solution import Solution
from memspike.report.figures import ACCENT, SECOND, new_figure, readable


def array_figure(solution: Solution, conductances: Any, voltages: Any) -> Figure:
    """Four maps and the outputs of one input: `solution` of `solve(voltages, conductances, …)` with voltages [rows].

    Conductance and current of every device, the voltage its wires cost it, its current less that of ideal wires;
    output currents beside those of ideal wires, and the relative error of each.
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
