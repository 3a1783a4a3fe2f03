"""Ways around asymmetric updates by name: a cell, a programming scheme and the rule's trigger, as dotted keys.

The scheme of the Asilomar paper (doi 10.1109/IEEECONF44664.2019.9049043) could not be obtained; these are published or
derived alternatives that keep to what its abstract says, under names of their own, and baselines.
"""

from typing import Any, NamedTuple

THETA, FAST, PERIOD = "learning.theta", "programming.fast", "programming.period"
TUNED = (THETA, FAST, PERIOD)
"""What some ways have beside a learning rate and a weight range, and a study searches."""
BUFFERED = "two tiles, reads of rows, digital memory"


class Compensation(NamedTuple):
    """Dotted keys of a configuration, what it needs beside pulses, an explanation, and which of `TUNED` it has."""

    settings: dict[str, Any]
    needs: str
    doc: str
    tuned: tuple[str, ...] = ()


def _keys(scheme: str, cell: str = "single", **more: Any) -> dict[str, Any]:
    sections = {"theta": "learning", "rule": "learning", "gamma": "device"}
    named = {f"{sections.get(k, 'programming')}.{k}": v for k, v in more.items()}
    return {"device.cell": cell, "learning.scheme": scheme, **named}


def _tiles(scheme: str, needs: str, doc: str, **more: Any) -> Compensation:
    return Compensation(_keys(scheme, "tiles", memory=0.99, **more), needs, doc, (FAST, PERIOD))


COMPENSATIONS: dict[str, Compensation] = {
    "none": Compensation(_keys("stochastic-rounding"), "nothing", "one device, mid-range reference, pulses as if even"),
    "sign-gain": Compensation(_keys("sign-gain"), "nothing", "pulses up and down counted by their worth in mid-range"),
    "running-gain": Compensation(_keys("running-gain"), "nothing", "the same at the running mean of the array"),
    "zero-shift": Compensation(
        _keys("stochastic-rounding", "zero-shift"), "calibration", "reference at the symmetry point of each device"
    ),
    "push-pull": Compensation(_keys("stochastic-rounding", "push-pull"), "two devices", "a pair, both sides written"),
    "push-pull-alternate": Compensation(
        _keys("stochastic-rounding", "alternate"), "two devices", "a pair, the sides written in turn"
    ),
    "conditional-reverse": Compensation(
        _keys("conditional-reverse", "push-pull"), "two devices, rare coarse reads", "the side that answers better"
    ),
    "error-triggered": Compensation(
        _keys("stochastic-rounding", theta=0.02),
        "nothing",
        "whole errors on active neurons and rows alone",
        (THETA,),
    ),
    "accumulate": Compensation(
        _keys("mixed-precision"), "digital memory", "changes add up, whole pulses leave the accumulator"
    ),
    "accumulate-zero-shift": Compensation(
        _keys("mixed-precision", "zero-shift"), "digital memory, calibration", "both of them"
    ),
    "accumulate-push-pull": Compensation(
        _keys("mixed-precision", "push-pull"), "digital memory, two devices", "both of them"
    ),
    "one-sided-refreshed": Compensation(
        _keys("one-sided-refreshed", "pair"), "two devices, rare reads", "pulses up alone, full pairs rewritten"
    ),
    "bit-lines": Compensation(
        _keys("bit-lines", rule="decolle-outer"), "nothing", "products by coinciding random bits, a write a time step"
    ),
    "tiki-taka": _tiles("tiki-taka", "two tiles, reads of rows", "a fast tile, its rows added to the slow one"),
    "tiki-taka-2": _tiles("tiki-taka-2", BUFFERED, "Tiki-Taka with a buffer"),
    "chopped-tiki-taka": _tiles("chopped-tiki-taka", BUFFERED, "the same with gradients of turning sign", chop=0.05),
    "agad": _tiles("agad", BUFFERED, "chopped, with a reference learned on the fly", chop=0.5),
    "residual-tiles": _tiles(
        "residual-tiles",
        "two tiles, reads of rows",
        "a weight is both tiles, the fast one for what the slow misses",
        gamma=0.4,
    ),
    "expected-step": Compensation(
        _keys("expected-step"), "digital memory", "accumulate, spend what the next pulse is expected to give"
    ),
    "cancel-with-read": Compensation(
        _keys("cancel-with-read"), "reads at every update", "read, invert the law: the baseline with hardware"
    ),
}
IDEAL = Compensation(
    {"device.cell": "single", "learning.scheme": "ideal", "device.spread": False}, "", "written exactly, without spread"
)
