"""The nonlinearity labels of device papers (NL_LTP, NL_LTD) and the curvature of the exponential law.

A normalised pulse curve f(u) = (1 − e^(−κu))/(1 − e^(−κ)), u = n/P_max, has its largest distance from the
straight line at D = 1/s − a + a·ln(a·s) with a = 1/κ and s = 1 − e^(−κ). The label is NL = 10.1015·D with
the sign of κ, so no table is needed. Source: NeuroSim user manual V3.0, eq. 1–3; the closed form reproduces
its published label table.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from memspike.parts.param import is_concrete

PER_DEVIATION = 10.1015
LARGEST = 9.0


def _library(value: Any) -> Any:
    """numpy in double precision for numbers, JAX for traced values."""
    return np if is_concrete(value) else jnp


def _deviation(curvature: Any) -> Any:
    """Largest distance of the normalised curve from the straight line, for curvature ≥ 0."""
    xp = _library(curvature)
    k = xp.maximum(curvature, 1e-2)
    s = -xp.expm1(-k)
    exact = 1 / s - 1 / k + xp.log(s / k) / k
    return xp.where(curvature < 1e-2, curvature / 8, exact)


def label(curvature: Any) -> Any:
    """The label NL (dimensionless, |NL| < 10.1) of a curvature κ = P_max/A, signed alike."""
    xp = _library(curvature)
    curvature = np.asarray(curvature, dtype=float) if xp is np else curvature
    return xp.sign(curvature) * PER_DEVIATION * _deviation(xp.abs(curvature))


def curvature(label: Any) -> Any:
    """The curvature κ = P_max/A of a label, by bisection; labels beyond ±9 are taken as ±9."""
    xp = _library(label)
    label = np.asarray(label, dtype=float) if xp is np else label
    wanted = xp.minimum(xp.abs(label), LARGEST) / PER_DEVIATION

    def halve(_: Any, ends: tuple[Any, Any]) -> tuple[Any, Any]:
        low, high = ends
        middle = 0.5 * (low + high)
        below = _deviation(middle) < wanted
        return xp.where(below, middle, low), xp.where(below, high, middle)

    ends = xp.zeros_like(wanted), xp.full_like(wanted, 100.0)
    if xp is np:
        for _ in range(60):
            ends = halve(0, ends)
        low, high = ends
    else:
        low, high = jax.lax.fori_loop(0, 60, halve, ends)
    return xp.sign(label) * 0.5 * (low + high)
