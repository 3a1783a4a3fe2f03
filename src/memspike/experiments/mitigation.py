"""Mitigation methods against asymmetric updates by name: cell, programming scheme and rule, as keys of a configuration.

The scheme of the Asilomar paper (doi 10.1109/IEEECONF44664.2019.9049043) could not be obtained; these are published or
derived alternatives that keep to what its abstract says, under names of their own, and baselines.
"""

from typing import Any, NamedTuple

THETA, FAST, PERIOD = "learning.rule.trigger.theta", "learning.scheme.fast", "learning.scheme.period"
TUNED = (THETA, FAST, PERIOD)
"""What some methods have beside a learning rate and a weight range, and a study searches."""
# pairs of pulses by which a device finds its reference
CALIBRATION = 300
SINGLE: dict[str, Any] = {"type": "single-reference"}
PAIR: dict[str, Any] = {"type": "differential-pair", "write": "one-sided"}
PUSH_PULL: dict[str, Any] = {"type": "differential-pair", "write": "both-sides", "balanced": True}
ALTERNATE: dict[str, Any] = {"type": "differential-pair", "write": "alternate", "balanced": True}
STACK: dict[str, Any] = {"type": "stack", "tiles": 2}
ONE, TWO, MEMORY, ARRAYS = "one device", "two devices", "digital memory or reads", "gradient arrays"
EVENTS = {"type": "error-triggered", "theta": 0.02, "low": -0.5, "high": 0.5, "cutoff": 0.05}


class Method(NamedTuple):
    """Its family, what it needs beside pulses, an explanation, dotted keys, and which of `TUNED` it has."""

    family: str
    needs: str
    doc: str
    settings: dict[str, Any]
    tuned: tuple[str, ...] = ()


def _keys(scheme: str | dict[str, Any], cell: dict[str, Any] = SINGLE, *, calibrated: bool = False) -> dict[str, Any]:
    """A scheme on a cell, whose reference is in mid-range or calibrated."""
    calibration = CALIBRATION if calibrated else None
    return {"synapse": cell, "learning.scheme": scheme, "fabrication.calibration": calibration}


def _array(needs: str, doc: str, scheme: str, gamma: float = 0.0, **options: float) -> Method:
    """A scheme with a gradient array beside the weight array, both with calibrated references."""
    settings = _keys({"type": scheme, "memory": 0.99, **options}, STACK | {"gamma": gamma}, calibrated=True)
    return Method(ARRAYS, needs, doc, settings, (FAST, PERIOD))


READ, BUFFERED = "two arrays, reads of rows", "two arrays, reads of rows, digital memory"
METHODS: dict[str, Method] = {
    "none": Method(ONE, "nothing", "one device, mid-range reference, pulses as if even", _keys("stochastic-rounding")),
    "sign-gain": Method(
        ONE, "nothing", "pulses up and down counted by their expected weight step in mid-range", _keys("sign-gain")
    ),
    "running-gain": Method(ONE, "nothing", "the same at the running mean of the array", _keys("running-gain")),
    "zero-shift": Method(
        ONE,
        "calibration",
        "reference at the symmetry point of each device",
        _keys("stochastic-rounding", calibrated=True),
    ),
    "push-pull": Method(TWO, "two devices", "a pair, both sides written", _keys("stochastic-rounding", PUSH_PULL)),
    "push-pull-alternate": Method(
        TWO, "two devices", "a pair, the sides written in turn", _keys("stochastic-rounding", ALTERNATE)
    ),
    "conditional-reverse": Method(
        TWO,
        "two devices, rare coarse reads",
        "the side that answers better",
        _keys("conditional-reverse", PUSH_PULL),
    ),
    "error-triggered": Method(
        ONE,
        "nothing",
        "whole errors on active neurons and rows alone",
        _keys("stochastic-rounding") | {"learning.rule.trigger": EVENTS},
        (THETA,),
    ),
    "accumulate": Method(
        MEMORY, "digital memory", "changes add up, whole pulses leave the accumulator", _keys("mixed-precision")
    ),
    "accumulate-zero-shift": Method(
        MEMORY, "digital memory, calibration", "both of them", _keys("mixed-precision", calibrated=True)
    ),
    "accumulate-push-pull": Method(
        MEMORY, "digital memory, two devices", "both of them", _keys("mixed-precision", PUSH_PULL)
    ),
    "one-sided-refreshed": Method(
        TWO,
        "two devices, rare reads",
        "pulses up alone, full pairs rewritten",
        _keys("one-sided-refreshed", PAIR),
    ),
    "bit-lines": Method(
        ONE,
        "nothing",
        "products by coinciding random bits, a write a time step",
        _keys("bit-lines") | {"learning.rule": "decolle-outer"},
    ),
    "tiki-taka": _array(READ, "a gradient array, its rows added to the weight array", "tiki-taka"),
    "tiki-taka-2": _array(BUFFERED, "Tiki-Taka with a buffer", "tiki-taka-2"),
    "chopped-tiki-taka": _array(BUFFERED, "the same with gradients of turning sign", "chopped-tiki-taka", chop=0.05),
    "agad": _array(BUFFERED, "chopped, with a reference learned on the fly", "agad", chop=0.5),
    "residual-tiles": _array(
        READ, "a weight is both arrays, the second one for what the first misses", "residual-tiles", gamma=0.4
    ),
    "expected-step": Method(
        MEMORY,
        "digital memory",
        "accumulate, spend what the next pulse is expected to give",
        _keys("expected-step"),
    ),
    "cancel-with-read": Method(
        MEMORY,
        "reads at every update",
        "read, invert the law: the baseline with hardware",
        _keys("cancel-with-read"),
    ),
}
BASELINE = "none"
IDEAL = Method(
    "",
    "",
    "written exactly, without spread",
    _keys("ideal") | {"fabrication.published": False, "fabrication.label_spread": 0.0, "fabrication.range_spread": 0.0},
)


def families() -> dict[str, list[str]]:
    """The methods by their families, without the ideal device."""
    titles = dict.fromkeys(method.family for method in METHODS.values())
    return {title: [name for name, method in METHODS.items() if method.family == title] for title in titles}
