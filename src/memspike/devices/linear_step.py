"""Steps that change linearly with the weight."""

from typing import ClassVar

import jax.numpy as jnp

from memspike.devices.base import Real
from memspike.devices.step import AbstractStepDevice
from memspike.parts.param import Parameter, param


class LinearStep(AbstractStepDevice):
    """One pulse moves g by ±s·(1 + γ·w), with w = 2g − 1 and s, γ of the direction taken.

    n pulses are one affine map: g' = g + Δ(g)·((1 + 2sγ)^n − 1)/(2sγ). A negative γ_up and a positive
    γ_down saturate towards the bounds. Valid while 1 + 2sγ > 0, i.e. one pulse does not cross its asymptote.
    """

    source: ClassVar[str] = (
        "aihwkit LinearStepDevice: Rasch et al., arXiv 2104.02184 (2021); Li et al., VLSI 2018, "
        "IEEE 8510648, for the capacitor"
    )

    step_up: Parameter = param(5e-3, "1", "upward step at mid-range, as a share of the range", bounds=(1e-9, 1))
    step_down: Parameter = param(5e-3, "1", "downward step at mid-range, as a share of the range", bounds=(1e-9, 1))
    slope_up: Parameter = param(
        -0.5, "1", "γ: relative change of the upward step from mid-range to g = 1", bounds=(-10, 10)
    )
    slope_down: Parameter = param(0.5, "1", "γ: the same for the downward step", bounds=(-10, 10))

    def response(self, share: Real, pulses: Real) -> Real:
        """The affine map of all pulses at once."""
        up = pulses > 0
        step = jnp.where(up, self.step_up, -self.step_down)
        slope = jnp.where(up, self.slope_up, self.slope_down)
        number = jnp.abs(pulses)
        first = step * (1 + slope * (2 * share - 1))
        growth = 2 * step * slope
        straight = jnp.abs(growth) < 1e-7
        safe = jnp.maximum(jnp.where(straight, 1.0, growth), -1 + 1e-6)
        total = jnp.expm1(jnp.clip(number * jnp.log1p(safe), -80.0, 30.0)) / safe
        return share + first * jnp.where(straight, number, total)
