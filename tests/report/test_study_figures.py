"""Figures of studies."""

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from memspike.report.study_figures import by_age, by_device, by_label, by_speaker, by_wires

FAMILIES = {
    "one device": ["none", "sign-gain", "zero-shift"],
    "two devices": ["push-pull"],
    "digital memory or reads": ["accumulate", "expected-step"],
    "fast tiles": ["tiki-taka", "agad"],
    "not there": ["chopped"],
}
METHODS = [name for title, names in FAMILIES.items() for name in names if title != "not there"]


def row(scheme, labels=(None, None), device="soft-bounds"):
    return {
        "device": device, "scheme": scheme, "nl_up": labels[0], "nl_down": labels[1], "accuracy_mean": 0.9,
        "accuracy_sd": 0.01, "pulses_per_weight": 0.0 if scheme == "ideal" else 30.0,
    }  # fmt: skip


def result_of(rows):
    return {"rows": rows, "families": FAMILIES, "baseline": "none", "ideal_accuracy": 0.95}


def labelled(schemes, pairs):
    return result_of([row("ideal", (0, 0)), *(row(name, pair) for name in schemes for pair in pairs)])


BOTH = [(0, 0), (3, -3), (7, -7), (3, 3), (7, 7)]


def legend(axis):
    return [text.get_text() for text in axis.get_legend().get_texts()] if axis.get_legend() else []


def test_every_method_is_in_one_family_beside_what_is_done_without():
    figure = by_label(labelled(METHODS, BOTH))
    axes = np.asarray(figure.axes).reshape(4, 4)
    names = [legend(axis) for axis in axes[2]]
    assert all(own[:2] == ["ideal device", "none"] for own in names)
    assert sorted(name for own in names for name in own[2:]) == sorted(set(METHODS) - {"none"})
    assert [axis.get_title().split("\n")[0] for axis in axes[0]] == list(FAMILIES)[:-1]
    mean, sd = 90.0, 1.0
    for axis in axes[0]:
        low, high = axis.get_ylim()
        assert low < mean - sd
        assert high >= 101
    assert len({axis.get_ylim() for axis in axes[[1, 3]].flat}) == 1, "pulses have one scale"


@pytest.mark.parametrize(
    ("pairs", "panels"), [(BOTH, 4), ([(0, 0), (3, -3)], 2), ([(3, 3)], 2), ([(0, 0)], 4), ([(1, -1)], 2)]
)
def test_few_methods_share_a_panel(pairs, panels):
    figure = by_label(labelled(["accumulate", "agad"], pairs))
    assert len(figure.axes) == panels
    assert {name for axis in figure.axes for name in legend(axis)} == {"ideal device", "accumulate", "agad"}


def test_every_device_has_every_method():
    own = [row("ideal", device="pcmo")] + [row(n, device=d) for d in ("pcmo", "ag-a-si") for n in METHODS]
    above, below = by_device(result_of(own)).axes
    assert [tick.get_text() for tick in above.get_xticklabels()] == ["pcmo", "ag-a-si"]
    assert len(below.lines) >= len(METHODS)


def accuracy(**entries):
    return entries | {"accuracy_mean": 0.9, "accuracy_sd": 0.01}


def test_accuracies_by_age_wires_and_speaker_have_a_line_for_each():
    ages = [accuracy(age_s=a, compensation=c) for c in ("none", "global") for a in (0.0, 30.0, 1e7)]
    assert legend(by_age({"rows": ages}).axes[0]) == ["compensation: none", "compensation: global"]
    wired = [accuracy(tile=t, r_ohm=r, trained=w) for t in (64, 128) for r in (1.0, 10.0) for w in ("ideal", "wired")]
    axes = by_wires({"rows": wired}).axes
    assert [axis.get_title() for axis in axes] == ["tiles of 64 × 64 devices", "tiles of 128 × 128 devices"]
    assert legend(axes[0]) == ["trained: ideal", "trained: wired"]
    (axis,) = by_speaker({"rows": [accuracy(speaker=name) for name in "abc"]}).axes
    assert [bar.get_bbox().height for bar in axis.patches if isinstance(bar, Rectangle)] == [90.0] * 3
