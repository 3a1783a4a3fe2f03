"""Mitigation methods against asymmetric updates by name: cell, programming scheme and rule, as keys of a configuration.

The scheme of the Asilomar paper (doi 10.1109/IEEECONF44664.2019.9049043) could not be obtained; these are published or
derived alternatives that keep to what its abstract says, under names of their own, and baselines. What each does and
needs stands in docs/local-learning.md.
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
    """Its family, dotted keys, and which of `TUNED` it has."""

    family: str
    settings: dict[str, Any]
    tuned: tuple[str, ...] = ()


def _keys(scheme: str | dict[str, Any], cell: dict[str, Any] = SINGLE, *, calibrated: bool = False) -> dict[str, Any]:
    """A scheme on a cell, whose reference is in mid-range or calibrated."""
    calibration = CALIBRATION if calibrated else None
    return {"synapse": cell, "learning.scheme": scheme, "fabrication.calibration": calibration}


def _array(scheme: str, gamma: float = 0.0, **options: float) -> Method:
    """A scheme with a gradient array beside the weight array, both with calibrated references."""
    settings = _keys({"type": scheme, "memory": 0.99, **options}, STACK | {"gamma": gamma}, calibrated=True)
    return Method(ARRAYS, settings, (FAST, PERIOD))


METHODS: dict[str, Method] = {
    "none": Method(ONE, _keys("stochastic-rounding")),
    "sign-gain": Method(ONE, _keys("sign-gain")),
    "running-gain": Method(ONE, _keys("running-gain")),
    "zero-shift": Method(ONE, _keys("stochastic-rounding", calibrated=True)),
    "push-pull": Method(TWO, _keys("stochastic-rounding", PUSH_PULL)),
    "push-pull-alternate": Method(TWO, _keys("stochastic-rounding", ALTERNATE)),
    "conditional-reverse": Method(TWO, _keys("conditional-reverse", PUSH_PULL)),
    "error-triggered": Method(ONE, _keys("stochastic-rounding") | {"learning.rule.trigger": EVENTS}, (THETA,)),
    "accumulate": Method(MEMORY, _keys("mixed-precision")),
    "accumulate-zero-shift": Method(MEMORY, _keys("mixed-precision", calibrated=True)),
    "accumulate-push-pull": Method(MEMORY, _keys("mixed-precision", PUSH_PULL)),
    "one-sided-refreshed": Method(TWO, _keys("one-sided-refreshed", PAIR)),
    "bit-lines": Method(ONE, _keys("bit-lines") | {"learning.rule": "decolle-outer"}),
    "tiki-taka": _array("tiki-taka"),
    "tiki-taka-2": _array("tiki-taka-2"),
    "chopped-tiki-taka": _array("chopped-tiki-taka", chop=0.05),
    "agad": _array("agad", chop=0.5),
    "residual-tiles": _array("residual-tiles", gamma=0.4),
    "expected-step": Method(MEMORY, _keys("expected-step")),
    "cancel-with-read": Method(MEMORY, _keys("cancel-with-read")),
}
BASELINE = "none"
# written exactly, without spread
IDEAL = Method(
    "",
    _keys("ideal") | {"fabrication.published": False, "fabrication.label_spread": 0.0, "fabrication.range_spread": 0.0},
)


def families() -> dict[str, list[str]]:
    """The methods by their families, without the ideal device."""
    titles = dict.fromkeys(method.family for method in METHODS.values())
    return {title: [name for name, method in METHODS.items() if method.family == title] for title in titles}
