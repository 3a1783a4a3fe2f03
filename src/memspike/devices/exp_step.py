"""Steps that depend exponentially on the weight."""

from typing import ClassVar

import jax.numpy as jnp
from jaxtyping import Array

from memspike.devices.base import Real
from memspike.devices.step import AbstractStepDevice
from memspike.parts.param import Parameter, param

# pulses of one write that are taken one by one
EXACT = 8


class ExpStep(AbstractStepDevice):
    """One pulse moves g by ±s·max(1 − A·e^(±γz), 0), with z = a·w + b and w = 2g − 1 (in units of half the range).

    Up to 8 pulses of one write follow this discrete rule exactly. The rest of a longer write follows its
    continuous limit dg/dn = ±s·(1 − A·e^(±γz)), in which e^(∓γz) obeys a linear equation, so that the rest is
    one closed map; the difference is of the order of one step over the range. Valid for |A|·s below about 0.5.
    """

    source: ClassVar[str] = (
        "aihwkit ExpStepDevice: Rasch et al., arXiv 2104.02184 (2021), fitted to Gong et al., "
        "Nat. Commun. 9: 2102 (2018), doi 10.1038/s41467-018-04485-1"
    )

    step_up: Parameter = param(0.85e-3, "1", "s of potentiation, a share of the range", bounds=(1e-9, 1))
    step_down: Parameter = param(0.5e-3, "1", "s of depression, a share of the range", bounds=(1e-9, 1))
    amplitude_up: Parameter = param(-1.18445, "1", "A of potentiation", bounds=(-1e3, 1e3))
    amplitude_down: Parameter = param(-0.081404, "1", "A of depression", bounds=(-1e3, 1e3))
    gamma_up: Parameter = param(5.0, "1", "γ of potentiation", bounds=(1e-3, 100))
    gamma_down: Parameter = param(5.0, "1", "γ of depression", bounds=(1e-3, 100))
    scale: Parameter = param(-0.5, "1", "a in z = a·w + b", bounds=(-10, 10))
    offset: Parameter = param(-0.5, "1", "b in z = a·w + b", bounds=(-10, 10))

    def _exponent(self, share: Real, up: Array) -> Real:
        """±γz."""
        gamma = jnp.where(up, self.gamma_up, -self.gamma_down)
        return gamma * (self.scale * (2 * share - 1) + self.offset)

    def _pulse(self, share: Real, up: Array) -> Real:
        """One pulse of the discrete rule."""
        amplitude = jnp.where(up, self.amplitude_up, self.amplitude_down)
        size = jnp.maximum(1 - amplitude * jnp.exp(jnp.minimum(self._exponent(share, up), 80.0)), 0.0)
        return jnp.clip(share + jnp.where(up, self.step_up, -self.step_down) * size, 0.0, 1.0)

    def _flow(self, share: Real, up: Array, number: Real) -> Real:
        """With y = ±γz, dy/dn = c·(1 − A·e^y): q = e^−y relaxes exponentially to A."""
        sign = jnp.where(up, 1.0, -1.0)
        step = jnp.where(up, self.step_up, self.step_down)
        amplitude = jnp.where(up, self.amplitude_up, self.amplitude_down)
        per_share = 2 * self.scale * jnp.where(up, self.gamma_up, -self.gamma_down)
        y = self._exponent(share, up)
        speed = sign * step * per_share
        # never further than the bound in this direction: keeps the argument of the logarithm positive
        q, limit = jnp.exp(-y), jnp.exp(-self._exponent(0.5 + 0.5 * sign, up))
        relaxed = q + jnp.expm1(jnp.clip(-speed * number, -80.0, 30.0)) * (q - amplitude)
        kept = jnp.where(speed > 0, jnp.maximum(relaxed, limit), jnp.minimum(relaxed, limit))
        flat = jnp.abs(per_share) < 1e-6
        drift = sign * step * (1 - amplitude * jnp.exp(y)) * number
        moved = share + jnp.where(flat, drift, -(jnp.log(kept) + y) / jnp.where(flat, 1.0, per_share))
        return jnp.where(amplitude * jnp.exp(y) >= 1, share, moved)

    def response(self, share: Real, pulses: Real) -> Real:
        """The discrete rule for up to 8 pulses, its continuous limit for the rest."""
        up, left = pulses > 0, jnp.abs(pulses)
        for _ in range(EXACT):
            share = jnp.where(left >= 1, self._pulse(share, up), share)
            left = jnp.maximum(left - 1, 0.0)
        return jnp.where(left > 0, self._flow(share, up, left), share)
