"""The laws that a sweep fit tries: which fields are free and where to start; adding one is one entry of `LAWS`."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from memspike.devices import memristors, volatile
from memspike.devices.base import AbstractStateDevice
from memspike.devices.metastable import MetastableSwitch
from memspike.fitting.loops import Span
from memspike.parts.param import is_concrete

Numbers = dict[str, float]
SHARE = "x_0"  # the state at the first point, as a share of the way between its ends
SMALLEST = 1e-7  # of the upper bound: the least value of a field that is fitted as a logarithm but may be 0
BOLTZMANN_300K = 0.0257  # eV


@dataclass(frozen=True)
class Coordinate:
    """How the optimiser sees one field: a logarithm of its magnitude, or the value over `scale`."""

    unit: str
    low: float
    high: float
    linear: bool
    sign: float = 1.0

    def natural(self, theta: Any) -> Any:
        """The value of a coordinate."""
        if self.linear:
            return theta
        return self.sign * (jnp if isinstance(theta, jnp.ndarray) else np).exp(theta)

    def theta(self, value: Any) -> Any:
        """The coordinate of a value inside the bounds."""
        value = np.clip(value, self.low, self.high)
        return value if self.linear else np.log(np.maximum(np.abs(value), 1e-300))

    def ends(self) -> tuple[float, float]:
        """The bounds as coordinates."""
        return tuple(sorted((float(self.theta(self.low)), float(self.theta(self.high)))))  # pyright: ignore[reportReturnType]


@dataclass(frozen=True)
class Law:
    """A candidate: class, free fields (of its window as "window.p"), starting values, fields of other kinds.

    `start(span, draw)` makes values of the fields from what the data span; `draw(a, b)` is a number between, evenly
    in the logarithm. Fields in `linear` are fitted as they are. A law that `rests` begins at `init()`; the others
    at a fitted state. A `symmetric` one has no orientation. `held` says of fields that no sweep can tell which others
    hold for them. `bend(device)` is the voltage b of a current that goes as sinh(v/b); None: ohmic. A
    `stiff` one is followed by steps as short as it asks, also without a compliance.
    """

    cls: Any
    free: tuple[str, ...]
    start: Callable[[Span, Callable[[float, float], float]], Numbers]
    linear: tuple[str, ...] = ()
    fixed: dict[str, Any] = field(default_factory=dict)
    rests: bool = False
    symmetric: bool = False
    held: str = ""
    bend: Callable[[Any], Any] | None = None
    stiff: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """All that is fitted."""
        return self.free if self.rests else (*self.free, SHARE)

    def coordinates(self) -> tuple[Coordinate, ...]:
        """The coordinate of each of `names`."""
        found = []
        for name in self.names:
            owner = self.fixed["window"] if name.startswith("window.") else self.cls
            fields = {f.name: f.metadata for f in dataclasses.fields(owner)}
            own = fields.get(name.rpartition(".")[2], {"bounds": (0.0, 1.0), "unit": "1"})
            (low, high), linear = own["bounds"], name in (*self.linear, SHARE)
            low = low if linear or low else SMALLEST * high
            found.append(Coordinate(own["unit"], low, high, linear, -1.0 if high < 0 else 1.0))
        return tuple(found)

    def build(self, values: dict[str, Any], **options: Any) -> AbstractStateDevice:
        """The device with these values of the free fields (and of x₀ where it is one of its own)."""
        own = {name: value for name, value in values.items() if "." not in name}
        if not any(f.name == SHARE for f in dataclasses.fields(self.cls)):
            own.pop(SHARE, None)
        fixed = dict(self.fixed)
        if "window" in fixed:
            inside = {name.partition(".")[2]: value for name, value in values.items() if "." in name}
            fixed["window"] = fixed["window"](**inside)
        return self.cls(**own, **fixed, **options)

    def device(self, values: dict[str, Any]) -> AbstractStateDevice:
        """The same as plain numbers, as a description holds it."""
        return self.build({name: float(v) if is_concrete(v) else v for name, v in values.items()})

    def reach(self, device: Any) -> tuple[Any, Any]:
        """The lowest and the highest value of each state."""
        return device.ends() if hasattr(device, "ends") else (jnp.zeros(()), jnp.ones(()))

    def first(self, device: Any, share: Float[Array, ""] | None) -> Any:
        """The state at the first point."""
        if share is None:
            return device.init()
        low, high = self.reach(device)
        return low + share * (high - low) if SHARE not in {f.name for f in dataclasses.fields(device)} else share


def _ends(s: Span, draw: Any) -> Numbers:
    return {"r_on": draw(0.2, 1.0) / s.g_high, "r_off": draw(1.0, 3.0) / s.g_low}


def _vteam(s: Span, draw: Any) -> Numbers:
    off, on = draw(0.1, 0.95), draw(0.1, 0.95)
    a_off, a_on, depth = draw(1.0, 4.0), draw(1.0, 4.0), 3e-9
    speed = depth / s.seconds
    return _ends(s, draw) | {
        "v_off": off * s.top,
        "v_on": -on * s.bottom,
        "alpha_off": a_off,
        "alpha_on": a_on,
        "k_off": speed * draw(0.3, 300.0) / (1 / off - 1) ** a_off,
        "k_on": -speed * draw(0.3, 300.0) / (1 / on - 1) ** a_on,
    }


def _yakopcic(s: Span, draw: Any) -> Numbers:
    b = draw(0.05, 5.0) / max(s.top, s.bottom)
    p, n = draw(0.1, 0.95) * s.top, draw(0.1, 0.95) * s.bottom
    return {
        "b": b,
        "a_1": s.g_high / b / draw(0.3, 1.0),
        "a_2": s.g_high / b / draw(0.3, 1.0),
        "v_p": p,
        "v_n": n,
        "rate_p": draw(0.3, 300.0) / s.seconds / np.expm1(s.top - p) / np.exp(p),
        "rate_n": draw(0.3, 300.0) / s.seconds / np.expm1(s.bottom - n) / np.exp(n),
        "x_p": draw(0.1, 0.9),
        "x_n": draw(0.1, 0.9),
        "alpha_p": draw(0.1, 10.0),
        "alpha_n": draw(0.1, 10.0),
    }


def _stanford(s: Span, draw: Any) -> Numbers:
    v_0, g_0, gamma = max(s.top, s.bottom) / draw(1.0, 15.0), draw(0.1e-9, 0.5e-9), draw(11.0, 25.0)
    gap = np.clip(g_0 * np.log(s.g_high / s.g_low) * draw(0.8, 1.5), 0.45e-9, 1.75e-9)
    t_ox, a_0, e_a = 12e-9, 0.25e-9, draw(0.3, 1.2)
    set_ = draw(0.3, 1.0) * s.top
    gain = (gamma * a_0 * set_ / t_ox - e_a) / BOLTZMANN_300K
    return {
        "i_0": s.g_high * v_0 * np.exp(0.2e-9 / g_0),
        "g_0": g_0,
        "v_0": v_0,
        "speed": gap / s.seconds * draw(1.0, 100.0) * np.exp(-gain),
        "gamma_0": gamma,
        "beta": draw(0.1, 1.1),
        "e_a": e_a,
        "gap_max": 0.2e-9 + gap,
        "r_th": draw(1e2, 1e5),
        "f_min": gamma * set_ * draw(0.1, 0.9) / t_ox,
    }


def _drift(s: Span, draw: Any) -> Numbers:
    ends = _ends(s, draw)
    mobility = (10e-9) ** 2 * draw(0.1, 30.0) / (s.seconds * ends["r_on"] * s.i)
    return ends | {"mobility": mobility, "window.p": draw(1.0, 10.0)}


def _metastable(s: Span, draw: Any) -> Numbers:
    return _ends(s, draw) | {
        "v_on": (draw(0.1, 1.2) - 0.2) * s.top,
        "v_off": (draw(0.1, 1.6) - 1.1) * s.bottom,
        "v_scale": s.top / draw(3.0, 100.0),
        "tau": s.seconds * draw(1e-3, 1.0),
    }


def _threshold(s: Span, draw: Any) -> Numbers:
    v_th = draw(0.2, 1.0) * s.top
    return _ends(s, draw) | {
        "v_th": v_th,
        "v_hold": v_th * draw(0.05, 0.95),
        "v_scale": s.top / draw(5.0, 200.0),
        "tau": s.seconds * draw(1e-4, 0.3),
    }


def _diffusive(s: Span, draw: Any) -> Numbers:
    """The bridge runs away from µ·v = γ₁·(1 + α)²/4 on and holds down to µ·v = γ₁·α."""
    loss, alpha = draw(3.0, 3e3) / s.seconds, draw(0.02, 1.0)
    return {
        "r_on": draw(0.5, 1.0) / s.g_high,
        "r_off": draw(1.0, 1e4) / s.g_low,
        "length": draw(0.04, 1.0),
        "drift": loss * (1 + alpha) ** 2 / (4 * draw(0.2, 1.0) * s.top),
        "alpha": alpha,
        "beta": draw(1e-3, 10.0) / s.seconds,
        "gamma_1": loss,
        "gamma_2": draw(1e-2, 10.0) / s.seconds,
    }


_VTEAM = Law(
    memristors.VTEAM,
    ("r_on", "r_off", "k_on", "k_off", "alpha_on", "alpha_off", "v_on", "v_off"),
    _vteam,
    held="Only k/depth acts: k_on and k_off hold for a depth of 3 nm.",
)
_SWITCH = ("r_on", "r_off")


def _windowed(window: Any) -> Law:
    shape = ("window.p",) if window is not memristors.NoWindow else ()
    held = "Only mobility/depth² acts: the mobility holds for a depth of 10 nm"
    held += ", the scale j of the window being 1." if window is memristors.Prodromakis else "."
    return Law(memristors.LinearIonDrift, (*_SWITCH, "mobility", *shape), _drift, fixed={"window": window}, held=held)


LAWS: dict[str, Law] = {
    "vteam": _VTEAM,
    "vteam-exponential": dataclasses.replace(_VTEAM, fixed={"resistance": memristors.exponential_resistance}),
    "yakopcic": Law(
        memristors.Yakopcic,
        ("a_1", "a_2", "b", "v_p", "v_n", "rate_p", "rate_n", "x_p", "x_n", "alpha_p", "alpha_n"),
        _yakopcic,
        linear=("x_p", "x_n"),
        bend=lambda device: 1 / device.b,
    ),
    "stanford-pku": Law(
        memristors.StanfordPKU,
        ("i_0", "g_0", "v_0", "speed", "gamma_0", "beta", "e_a", "gap_max", "r_th", "f_min"),
        _stanford,
        linear=("beta",),
        bend=lambda device: device.v_0,
        stiff=True,
        held="Held: t_ox 12 nm, a_0 0.25 nm, gap_min 0.2 nm, t_0 298 K; the others hold for them.",
    ),
    "ion-drift": _windowed(memristors.NoWindow),
    "ion-drift-joglekar": _windowed(memristors.Joglekar),
    "ion-drift-biolek": _windowed(memristors.Biolek),
    "ion-drift-prodromakis": _windowed(memristors.Prodromakis),
    "metastable-switch": Law(
        MetastableSwitch,
        (*_SWITCH, "v_on", "v_off", "v_scale", "tau"),
        _metastable,
        linear=("v_on", "v_off"),
    ),
    "threshold-switch": Law(
        volatile.ThresholdSwitch, (*_SWITCH, "v_th", "v_hold", "v_scale", "tau"), _threshold, rests=True
    ),
    "diffusive": Law(
        volatile.Diffusive,
        (*_SWITCH, "length", "drift", "alpha", "beta", "gamma_1", "gamma_2"),
        _diffusive,
        rests=True,
        symmetric=True,
    ),
}
