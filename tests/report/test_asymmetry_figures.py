"""Pictures of the asymmetry studies."""

import numpy as np
import pytest

from memspike.experiments.compensations import COMPENSATIONS
from memspike.report.asymmetry_figures import against_labels, by_device


def row(scheme, labels=(None, None), device="soft-bounds"):
    return {
        "device": device, "scheme": scheme, "nl_up": labels[0], "nl_down": labels[1], "accuracy_mean": 0.9,
        "accuracy_sd": 0.01, "pulses_per_weight": 0.0 if scheme == "ideal" else 30.0, "ideal_accuracy": 0.95,
    }  # fmt: skip


def rows_of(schemes, pairs):
    return [row("ideal", (0, 0)), *(row(name, pair) for name in schemes for pair in pairs)]


BOTH = [(0, 0), (3, -3), (7, -7), (3, 3), (7, 7)]


def legend(axis):
    return [text.get_text() for text in axis.get_legend().get_texts()] if axis.get_legend() else []


def test_every_way_is_in_one_family_beside_what_is_done_without():
    figure = against_labels(rows_of(COMPENSATIONS, BOTH))
    axes = np.asarray(figure.axes).reshape(4, 4)
    names = [legend(axis) for axis in axes[2]]
    assert all(own[:2] == ["ideal device", "none"] for own in names)
    assert sorted(name for own in names for name in own[2:]) == sorted(set(COMPENSATIONS) - {"none"})
    assert [title.split("\n")[0] for title in (axis.get_title() for axis in axes[0])] == [
        "one device", "two devices", "digital memory or reads", "fast tiles",
    ]  # fmt: skip
    mean, sd = 90.0, 1.0
    for axis in axes[0]:
        low, high = axis.get_ylim()
        assert low < mean - sd
        assert high >= 101
    assert len({axis.get_ylim() for axis in axes[[1, 3]].flat}) == 1, "pulses have one scale"


@pytest.mark.parametrize(
    ("pairs", "panels"), [(BOTH, 4), ([(0, 0), (3, -3)], 2), ([(3, 3)], 2), ([(0, 0)], 4), ([(1, -1)], 2)]
)
def test_few_ways_share_a_panel(pairs, panels):
    figure = against_labels(rows_of(["accumulate", "agad"], pairs))
    assert len(figure.axes) == panels
    assert {name for axis in figure.axes for name in legend(axis)} == {"ideal device", "accumulate", "agad"}


def test_every_device_has_every_way():
    own = [row("ideal", device="pcmo")] + [row(n, device=d) for d in ("pcmo", "ag-a-si") for n in COMPENSATIONS]
    above, below = by_device(own).axes
    assert [tick.get_text() for tick in above.get_xticklabels()] == ["pcmo", "ag-a-si"]
    assert len(below.lines) >= len(COMPENSATIONS)
