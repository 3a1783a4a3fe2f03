"""The laws that a fit tries, each as a vector with starts; adding one is one entry of `LAWS`."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from memspike.devices.step import AbstractStepDevice, ConstantStep, ExpStep, LogStep, PowerStep, SoftBounds
from memspike.devices.tabular import PiecewiseStep
from memspike.fitting.likelihood import Problem, Ramps, Shape

Vector = Float[np.ndarray, " _"]
SIDES = (("up", 1), ("down", -1))
TABLE = 25  # nodes of the finest table; every NODES − 1 divides TABLE − 1, so one compiled law serves all
NODES = (4, 5, 7, 9, 13)
SCALES = {"amplitude": "signed"}
SHAPES: dict[Any, Shape] = {}
LIMITS = {"amplitude": (-30.0, 30.0), "gamma": (0.05, 20.0)}  # beyond these exp-step is another law


@dataclass(frozen=True)
class Law:
    """A candidate: its vector form, how many parameters a direction has, where to start, how to make the device."""

    shape: Shape
    names: tuple[str, ...]
    constants: tuple[tuple[float, ...], ...]
    starts: Callable[[Ramps], list[Vector]]
    assemble: Callable[..., AbstractStepDevice]


def _scalar_law(cls: Any, names: tuple[str, ...], guesses: Sequence[tuple[float, ...]], **constants: float) -> Law:
    """A law with a few numbers a direction; the first one scales the step (or, as a pulse count, divides it)."""
    info = {f.name: f.metadata for f in dataclasses.fields(cls)}
    limits = [LIMITS.get(name, info[f"{name}_up"]["bounds"]) for name in names]
    low, high = zip(*limits, strict=True)
    scales = tuple(SCALES.get(name, "log" if b > 0 else "linear") for name, b in zip(names, low, strict=True))
    divides = names[0] == "pulses"

    def fields(side: str, values: Any) -> dict[str, Any]:
        return {f"{name}_{side}": values[k] for k, name in enumerate(names)}

    def starts(data: Ramps) -> list[Vector]:
        wanted = abs(data.step[data.known].mean())
        found = []
        for guess in guesses:
            trial = np.array([1e3 if divides else 1e-3, *guess])
            problem = Problem(shape, len(names), np.array([tuple(constants.values())]), data)
            steps = problem.means(np.append(shape.vector(trial), [0.0, 0.0]))
            ratio = wanted / max(abs(steps[data.known].mean()), 1e-12)
            trial[0] = np.clip(trial[0] * (1 / ratio if divides else ratio), 2 * low[0], 0.5 * high[0])
            found.append(trial)
        return found

    def assemble(up: Vector, down: Vector, **rest: float) -> AbstractStepDevice:
        return cls(**fields("up", up), **fields("down", down), **constants, **rest)

    def build(values: Array, given: Array) -> AbstractStepDevice:
        fixed = {name: given[0, k] for k, name in enumerate(constants)}
        return cls(**fields("up", values), **fields("down", values), **fixed, g_min=0.0, g_max=1.0)

    # one shape a class, whatever the constants: they are arguments of the compiled likelihood
    shape = SHAPES.setdefault(cls, Shape(build, scales, low, high))
    return Law(shape, tuple(f"{name}_{{}}" for name in names), (tuple(constants.values()),), starts, assemble)


def _hats(x: Float[np.ndarray, "..."], nodes: int) -> Float[np.ndarray, "... nodes"]:
    """Weights of linear interpolation between equidistant nodes."""
    return np.maximum(0.0, 1 - np.abs(x[..., None] * (nodes - 1) - np.arange(nodes)))


def _finest(values: Array, weights: Array) -> AbstractStepDevice:
    q = weights @ values
    return PiecewiseStep(up=q, down=q, g_min=0.0, g_max=1.0)


TABLE_SHAPE = Shape(_finest, ("log",) * TABLE, (1e-7,) * TABLE, (1.0,) * TABLE)


def _table_law(nodes: int) -> Law:
    """Steps at `nodes` conductances; a coarse table is the finest one with its nodes interpolated."""
    weights = np.zeros((TABLE, TABLE))
    weights[:, :nodes] = _hats(np.linspace(0, 1, TABLE), nodes)

    def starts(data: Ramps) -> list[Vector]:
        size = np.abs(data.step[data.known].mean())
        design = np.vstack([_hats(data.share[data.known], nodes), 1e-3 * np.eye(nodes)])
        wanted = np.append(data.sign * data.step[data.known], np.full(nodes, 1e-3 * size))
        q = np.linalg.lstsq(design, wanted, rcond=None)[0]
        return [np.clip(q, 0.1 * size, 0.5)]

    def assemble(up: Vector, down: Vector, **rest: float) -> AbstractStepDevice:
        return PiecewiseStep(up=jnp.asarray(up), down=jnp.asarray(down), **rest)

    names = tuple(f"{{}}[{k}]" for k in range(nodes))
    return Law(TABLE_SHAPE, names, tuple(map(tuple, weights.tolist())), starts, assemble)


_EXPONENTS = [(-1.0, 1.0), (0.3, 1.0), (-0.03, 3.0), (0.003, 5.0)]
LAWS: dict[str, tuple[Law, ...]] = {
    "constant-step": (_scalar_law(ConstantStep, ("pulses",), [()]),),
    "soft-bounds": (_scalar_law(SoftBounds, ("pulses", "curvature"), [(-2.0,), (-0.3,), (0.3,), (2.0,)]),),
    "power-step": (_scalar_law(PowerStep, ("step", "power"), [(0.3,), (1.2,), (2.5,)]),),
    "log-step": (_scalar_law(LogStep, ("step", "beta"), [(-2.0,), (0.3,), (3.0,)]),),
    "exp-step": tuple(
        _scalar_law(ExpStep, ("step", "amplitude", "gamma"), _EXPONENTS, scale=s, offset=0.0) for s in (1.0, -1.0)
    ),
    **{f"piecewise-step-{n}": (_table_law(n),) for n in NODES},
}
