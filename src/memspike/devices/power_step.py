"""Steps that are a power of the distance to the bound."""

from typing import ClassVar

import jax.numpy as jnp

from memspike.devices.base import Real
from memspike.devices.step import AbstractStepDevice
from memspike.parts.param import Parameter, param


def _approach(distance: Real, step: Real, power: Real, number: Real) -> Real:
    """The distance d after `number` pulses of dd/dn = −s·d^γ: d^(1−γ) falls linearly; γ = 1 is exponential."""
    d = jnp.maximum(distance, 1e-12)
    excess = power - 1
    near_one = jnp.abs(excess) < 1e-4
    safe = jnp.where(near_one, 1.0, excess)
    # d·(1 + (γ − 1)·s·n·d^(γ−1))^(−1/(γ−1)); below γ = 1 the bound is reached after finitely many pulses
    base = 1 + safe * step * number * jnp.exp(safe * jnp.log(d))
    alive = base > 1e-12
    powered = jnp.where(alive, d * jnp.exp(-jnp.log(jnp.where(alive, base, 1.0)) / safe), 0.0)
    return jnp.where(near_one, d * jnp.exp(-step * number), powered)


class PowerStep(AbstractStepDevice):
    """One pulse moves g by +s·(1 − g)^γ or −s·g^γ, with s and γ of the direction taken (Fusi–Abbott).

    Here the pulse count is continuous: n pulses are one closed map that composes exactly; it differs from
    the discrete rule by the order of one step over the range. γ = 0 is the ideal device, γ = 1 soft bounds.
    """

    source: ClassVar[str] = (
        "aihwkit PowStepDevice after Fusi & Abbott, Nat. Neurosci. 10: 485 (2007), doi 10.1038/nn1859; "
        "Rasch et al., arXiv 2104.02184 (2021)"
    )

    step_up: Parameter = param(0.02, "1", "upward step at g = 0, a share of the range", bounds=(1e-9, 1))
    step_down: Parameter = param(0.02, "1", "downward step at g = 1, a share of the range", bounds=(1e-9, 1))
    power_up: Parameter = param(1.5, "1", "γ of potentiation", bounds=(-5, 20))
    power_down: Parameter = param(1.5, "1", "γ of depression", bounds=(-5, 20))

    def response(self, share: Real, pulses: Real) -> Real:
        """The distance to the bound ahead, after all pulses."""
        number = jnp.abs(pulses)
        up = 1 - _approach(1 - share, jnp.asarray(self.step_up), jnp.asarray(self.power_up), number)
        down = _approach(share, jnp.asarray(self.step_down), jnp.asarray(self.power_down), number)
        return jnp.where(pulses > 0, up, down)
