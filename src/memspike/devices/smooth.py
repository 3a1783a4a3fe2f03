"""Smooth stand-ins for the hard edges of published laws; exact limits are named in each docstring."""

import jax.numpy as jnp

from memspike.devices.base import Real
from memspike.parts.param import Parameter

# below these the true value is under the rounding of float32; dividing by less would overflow it
NEGLIGIBLE_STEP = 1e-7
NEGLIGIBLE_BASE = 1e-12


def positive_part(y: Real, width: Parameter) -> Real:
    """y²/(y + width) above zero, exactly 0 below: once differentiable; max(y, 0) for width → 0."""
    above = y > NEGLIGIBLE_STEP
    safe = jnp.where(above, y, 1.0)
    return jnp.where(above, safe * safe / (safe + width), 0.0)


def gate(y: Real, width: Parameter) -> Real:
    """Exactly 0 below zero, exactly 1 beyond `width`, a cubic between; the unit step for width → 0."""
    u = jnp.clip(y / width, 0.0, 1.0)
    return u * u * (3 - 2 * u)


def power(base: Real, exponent: Parameter) -> Real:
    """base^exponent for base ≥ 0 and exponent ≥ 1, with finite derivatives in both at base = 0."""
    above = base > NEGLIGIBLE_BASE
    safe = jnp.where(above, base, 1.0)
    return jnp.where(above, jnp.exp(exponent * jnp.log(safe)), 0.0)


def edge(distance: Real, width: Parameter) -> Real:
    """1 − e^(−distance/width): slows a motion towards a bound at that distance; 1 for width → 0."""
    return -jnp.expm1(-distance / width)


def magnitude(v: Real, width: Parameter) -> Real:
    """v²/√(v² + width²): |v| for width → 0, and smooth at 0."""
    return v * v / jnp.sqrt(v * v + width * width)


def root_magnitude(v: Real, width: Parameter) -> Real:
    """v²/(v² + width²)^¾: √|v| for width → 0, and smooth at 0."""
    square = v * v + width * width
    return v * v / (jnp.sqrt(square) * jnp.sqrt(jnp.sqrt(square)))
