"""The matrix as a picture: every rule against the names of all other axes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from memspike.report.figures import new_figure


def pairs(result: Mapping[str, Any]) -> Figure:
    """A row a rule, a column a name of another axis.

    The colour is the share of the combinations with both that are possible; the number is the mean accuracy in percent
    of those that were trained.
    """
    axes, rows = result["axes"], result["rows"]
    rules, others = axes["rule"], [axis for axis in axes if axis != "rule"]
    wide = [len(axes[axis]) for axis in others]
    figure, grid = new_figure(3.0 + 0.42 * sum(wide), 2.6 + 0.42 * len(rules), columns=len(others), width_ratios=wide)
    image = None
    for ax, axis in zip(grid[0], others, strict=True):
        share, accuracy = (np.full((len(rules), len(axes[axis])), np.nan) for _ in range(2))
        for i, rule in enumerate(rules):
            for j, name in enumerate(axes[axis]):
                here = [row for row in rows if row["rule"] == rule and row[axis] == name]
                share[i, j] = np.mean([row["status"] in ("run", "traced") for row in here]) if here else np.nan
                scores = [row["accuracy_mean"] for row in here if "accuracy_mean" in row]
                accuracy[i, j] = np.mean(scores) if scores else np.nan
        image = ax.imshow(share, vmin=0, vmax=1, cmap="YlGnBu", aspect="auto")
        for (i, j), score in np.ndenumerate(accuracy):
            if np.isfinite(score):
                dark = share[i, j] > 0.6
                ax.text(j, i, f"{100 * score:.0f}", ha="center", va="center", fontsize=7, color="w" if dark else "k")
        ax.set_xticks(range(len(axes[axis])), axes[axis], rotation=60, ha="right", fontsize=8)
        ax.set_yticks(range(len(rules)), rules if ax is grid[0, 0] else [""] * len(rules), fontsize=8)
        ax.set_title(axis, fontsize=10)
    if image is not None:
        figure.colorbar(image, ax=list(grid[0]), label="share of the combinations that is possible")
    return figure
