"""Pictures of write accuracy: what one blind write reaches from every source for every target."""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from memspike.learning.programming.accuracy import WriteGrid
from memspike.parts.errors import InputError
from memspike.report.figures import MUTED, new_figure

MICRO = 1e6


def write_figure(grids: Mapping[str, WriteGrid]) -> Figure:
    """One column a writer: the mean reached against the target, a line for each source; below it the s.d. as a map.

    All columns share their scales. InputError without any grid.
    """
    if not grids:
        raise InputError("No write grid was given; at least one is needed.")
    figure, axes = new_figure(1.2 + 3.2 * len(grids), 6.4, columns=len(grids), rows=2)
    source = MICRO * np.concatenate([np.asarray(g.source) for g in grids.values()])
    target = MICRO * np.concatenate([np.asarray(g.target) for g in grids.values()])
    reached = MICRO * np.concatenate([np.asarray(g.mean).ravel() for g in grids.values()])
    by_source = Normalize(float(source.min()), float(source.max()))
    by_sd = Normalize(0.0, MICRO * max(float(np.asarray(g.sd).max()) for g in grids.values()))
    colours, image = colormaps["viridis"], None
    low, high = (float(end(np.concatenate([target, reached]))) for end in (np.min, np.max))
    margin = 0.03 * (high - low)
    for k, (name, grid) in enumerate(grids.items()):
        s, t, mean, sd = (MICRO * np.asarray(x, dtype=float) for x in grid)
        above, below = axes[0, k], axes[1, k]
        for one, line in zip(s, mean, strict=True):
            above.plot(t, line, color=colours(by_source(one)), lw=1.1)
        above.plot(t, t, color="black", lw=1.4, ls="--", label="target")
        above.plot(t, mean.mean(0), color=MUTED, lw=2.4, label="mean over sources")
        above.set(xlabel="target (µS)", ylim=(low - margin, high + margin), aspect="equal")
        above.set_title(f"{name}: error {MICRO**2 * float(grid.error):.2f} µS²", fontsize=11)
        half = 0.5 * (t[1] - t[0]), 0.5 * (s[1] - s[0])
        edges = (t[0] - half[0], t[-1] + half[0], s[0] - half[1], s[-1] + half[1])
        image = below.imshow(sd, origin="lower", extent=edges, norm=by_sd, cmap="magma_r", aspect="equal")
        below.set(xlabel="target (µS)")
        below.set_title(f"s.d.: {sd.mean():.2f} µS on average", fontsize=11)
        below.spines[:].set_visible(False)
    axes[0, 0].set_ylabel("mean reached (µS)")
    axes[1, 0].set_ylabel("source (µS)")
    axes[0, 0].legend(frameon=False, fontsize=8, loc="upper left")
    figure.colorbar(ScalarMappable(by_source, colours), ax=axes[0, -1], label="source (µS)")
    if image is not None:
        figure.colorbar(image, ax=axes[1, -1], label="s.d. of what is reached (µS)")
    return figure


def grids_of(arrays: Mapping[str, np.ndarray], names: list[str]) -> dict[str, WriteGrid]:
    """The grids in a grids.npz, by the names of their writers in order."""
    return {
        name: WriteGrid(*(jnp.asarray(arrays[f"{part}_{k}"]) for part in WriteGrid._fields))
        for k, name in enumerate(names)
    }
