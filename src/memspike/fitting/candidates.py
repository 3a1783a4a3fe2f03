"""The laws that a fit tries, each as a vector with starts; adding one is one entry of `LAWS`."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from memspike.devices.step import AbstractStepDevice, ConstantStep, ExpStep, LinearStep, LogStep, PowerStep, SoftBounds
from memspike.devices.tabular import PiecewiseStep
from memspike.fitting.likelihood import Shape

Vector = Float[np.ndarray, " _"]
NODES = (4, 5, 7, 9, 13, 25)
FINEST = 25  # nodes of the finest table; every NODES − 1 divides FINEST − 1, so one compiled law serves all
EDGE = 3.0  # farthest bound of power-step, in ranges beyond the range of the ramps
ASYMPTOTE = 40.0  # a curvature beyond this cannot be told from an asymptote at the bound
STRAIGHT = 1e-6


@dataclass(frozen=True)
class Law:
    """A candidate: its vector form, the names of its parameters, where to start, how to make the device.

    `assemble(up, down, low, width)` → the device, of shares over `width` S from `low` S on; `speeds` are the fields
    that make one device faster than another (upwards, downwards).
    """

    shape: Shape
    names: tuple[str, ...]
    guesses: tuple[Vector, ...]
    assemble: Callable[[Vector, Vector, float, float], AbstractStepDevice]
    speeds: tuple[str, str]
    divides: bool = False  # the first parameter of the vector, instead of scaling the step
    edges: bool = False


def _of(
    cls: Any, names: tuple[str, ...], constants: tuple[tuple[str, float], ...], values: Any, sign: int, x: Any, n: Any
) -> Any:
    fields = {f"{name}_{side}": values[k] for k, name in enumerate(names) for side in ("up", "down")}
    return cls(**fields, **dict(constants), g_min=0.0, g_max=1.0).response(x, sign * n)


def _made(
    cls: Any,
    names: tuple[str, ...],
    constants: tuple[tuple[str, float], ...],
    up: Vector,
    down: Vector,
    low: float,
    width: float,
) -> Any:
    pairs = zip(names, up, down, strict=True)
    fields = {f"{name}_{side}": v for name, a, b in pairs for side, v in (("up", a), ("down", b))}
    return cls(**fields, **dict(constants), g_min=low, g_max=low + width)


def _plain(cls: Any, names: tuple[str, ...], shape: tuple[Any, ...], guesses: Any, **constants: float) -> Law:
    """A law whose vector is its own parameters."""
    fixed, first = tuple(constants.items()), names[0]
    found = tuple(np.array(g, dtype=float) for g in guesses)
    speeds = f"{first}_up", f"{first}_down"
    respond = partial(_of, cls, names, fixed)
    return Law(Shape(respond, *shape), names, found, partial(_made, cls, names, fixed), speeds, first == "pulses")


def soft_numbers(up: Vector, down: Vector, low: float, high: float) -> dict[str, float]:
    """The affine map of a pulse as pulses of a full sweep and curvature over the range `low` to `high` (shares).

    An asymptote inside the range is put at its end.
    """
    found = {}
    for side, sign, (step, slope) in (("up", 1, up), ("down", -1, down)):
        rate = affine_rate(sign, step, slope)
        if abs(rate) < STRAIGHT * step:
            found |= {f"pulses_{side}": (high - low) / step, f"curvature_{side}": 0.0}
            continue
        end = 0.5 - 0.5 / slope  # where the step is zero
        start, stop = (low, high) if sign > 0 else (high, low)
        ratio = (end - start) / (end - stop)
        curvature = np.log(ratio) if ratio > 0 else np.sign(rate) * ASYMPTOTE
        curvature = float(np.clip(curvature, -ASYMPTOTE, ASYMPTOTE))
        found |= {f"pulses_{side}": curvature / rate, f"curvature_{side}": sign * curvature}
    return found


def soft_bounds(up: Vector, down: Vector, low: float, width: float) -> SoftBounds:
    """The exponential law over shares 0 to 1."""
    return SoftBounds(**soft_numbers(up, down, 0.0, 1.0), g_min=low, g_max=low + width)


def affine_rate(sign: int, step: float, slope: float) -> float:
    """c of one pulse of soft bounds, x' = B − (B − x)·e^(−c)."""
    return float(-np.log1p(max(2 * sign * step * slope, np.exp(-30.0) - 1)))


def _power(values: Any, sign: int, x: Any, n: Any) -> Any:
    """power-step whose bound ahead lies `edge` beyond the range."""
    step, power, edge = values
    law = PowerStep(step_up=step, step_down=step, power_up=power, power_down=power, g_min=0.0, g_max=1.0)
    width = 1 + edge
    low = 0.0 if sign > 0 else -edge
    return low + width * law.response((x - low) / width, sign * n)


def _power_device(up: Vector, down: Vector, low: float, width: float) -> PowerStep:
    """Its range is from bound to bound, but not below 0 S."""
    below = min(down[2], low / width)
    whole = 1 + up[2] + below
    steps = [s * (1 + edge) / whole * (whole / (1 + edge)) ** power for s, power, edge in (up, (*down[:2], below))]
    powers, ends = (
        {"power_up": up[1], "power_down": down[1]},
        {"g_min": low - below * width, "g_max": low + (1 + up[2]) * width},
    )
    return PowerStep(step_up=min(steps[0], 1.0), step_down=min(steps[1], 1.0), **powers, **ends)


def hats(x: Float[np.ndarray, "..."], nodes: int) -> Float[np.ndarray, "... nodes"]:
    """Weights of linear interpolation between equidistant nodes."""
    return np.maximum(0.0, 1 - np.abs(x[..., None] * (nodes - 1) - np.arange(nodes)))


def _nodes(values: Any, sign: int, x: Any, n: Any) -> Any:
    return PiecewiseStep(up=values, down=values, g_min=0.0, g_max=1.0).response(x, sign * n)


def _nodes_device(up: Vector, down: Vector, low: float, width: float) -> PiecewiseStep:
    return PiecewiseStep(up=jnp.asarray(up), down=jnp.asarray(down), g_min=low, g_max=low + width)


def _table(nodes: int) -> Law:
    """Steps at `nodes` conductances; a coarse table is the finest one with its nodes interpolated."""
    weights = tuple(map(tuple, hats(np.linspace(0, 1, FINEST), nodes).tolist()))
    shape = Shape(_nodes, ("log",) * nodes, (1e-7,) * nodes, (1.0,) * nodes, weights)
    return Law(shape, ("",) * nodes, (), _nodes_device, ("gain_up", "gain_down"))


_LINEAR = Shape(partial(_of, LinearStep, ("step", "slope"), ()), ("log", "linear"), (1e-9, -10.0), (1.0, 10.0))
_POWER = Shape(_power, ("log", "linear", "linear"), (1e-9, -5.0, 0.0), (1.0, 20.0, EDGE))
_EXPONENTS = [(1e-3, -1.0, 1.0), (1e-3, 0.3, 1.0), (1e-3, -0.03, 3.0), (1e-3, 0.003, 5.0)]
_EXP = (("log", "signed", "log"), (1e-9, -30.0, 0.05), (1.0, 30.0, 20.0))
_SOFT_GUESSES = tuple(np.array([1e-3, s]) for s in (-0.9, -0.3, 0.3, 0.9))
_POWER_GUESSES = tuple(np.array([1e-3, *g]) for g in ((0.3, 0.1), (1.2, 0.1), (2.4, 0.3)))
LAWS: dict[str, tuple[Law, ...]] = {
    "constant-step": (_plain(ConstantStep, ("pulses",), (("log",), (0.1,), (1e9,)), [(1e3,)]),),
    "soft-bounds": (Law(_LINEAR, ("pulses", "curvature"), _SOFT_GUESSES, soft_bounds, ("pulses_up", "pulses_down")),),
    "power-step": (
        Law(_POWER, ("step", "power", "edge"), _POWER_GUESSES, _power_device, ("step_up", "step_down"), edges=True),
    ),
    "log-step": (
        _plain(
            LogStep,
            ("step", "beta"),
            (("log", "linear"), (1e-9, -30.0), (10.0, 30.0)),
            [(1e-3, -2.0), (1e-3, 0.3), (1e-3, 3.0)],
        ),
    ),
    "exp-step": tuple(
        _plain(ExpStep, ("step", "amplitude", "gamma"), _EXP, _EXPONENTS, scale=s, offset=0.0) for s in (1.0, -1.0)
    ),
    **{f"piecewise-step-{n}": (_table(n),) for n in NODES},
}
