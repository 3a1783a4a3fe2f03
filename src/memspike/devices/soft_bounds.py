"""The exponential (soft-bound) law, as device papers fit it with NeuroSim."""

from typing import Any, ClassVar

import jax.numpy as jnp

from memspike.devices import labels
from memspike.devices.base import Real, span
from memspike.devices.step import AbstractStepDevice
from memspike.parts.param import Parameter, param

# a curve steeper than e^-40 cannot be told from one that relaxes to the bound itself
TO_THE_BOUND = 40.0


def _exponential(exponent: Real) -> Real:
    """e^exponent − 1, without overflow: far beyond the range of any device the clip decides."""
    return jnp.expm1(jnp.clip(exponent, -80.0, 30.0))


class SoftBounds(AbstractStepDevice):
    """Every pulse is an affine map: exponential relaxation towards (or away from) an asymptote.

    With g the share of the range, u = n/P the signed pulse count over that of a full sweep and
    κ = P/A the curvature of the direction taken,

        g' = g·e^(−κu) + (1 − e^(−κu))/(1 − e^(−κ)),

    which is G = B(1 − e^(−P/A)) + G_min of NeuroSim, inverted and advanced in one step; κ → 0 is linear.
    A positive κ_up saturates upwards; a **negative** κ_down saturates downwards (the usual asymmetric
    device); a positive κ_down retraces the upward curve (symmetric nonlinearity, as PCM or FeFET rows).
    Valid for identical pulses; n pulses of one sign compose exactly.
    """

    source: ClassVar[str] = (
        "NeuroSim user manual V3.0 eq. 1–3: Chen, Peng & Yu, IEEE TCAD 37(12): 3067 (2018), "
        "doi 10.1109/TCAD.2018.2789723"
    )

    pulses_up: Parameter = param(100.0, "1", "pulses of a full upward sweep", bounds=(0.1, 1e9))
    pulses_down: Parameter = param(100.0, "1", "pulses of a full downward sweep", bounds=(0.1, 1e9))
    curvature_up: Parameter = param(2.0, "1", "κ = P/A of potentiation; 0 is linear", bounds=(-100, 100))
    curvature_down: Parameter = param(
        -2.0, "1", "κ = P/A of depression, negative when it saturates", bounds=(-100, 100)
    )

    @classmethod
    def from_labels(cls, nl_up: Real | float, nl_down: Real | float, **parts: Parameter) -> "SoftBounds":
        """The device with nonlinearity labels NL_LTP and NL_LTD (signed, |NL| ≤ 9); `parts` are the other fields."""
        up, down = (jnp.asarray(labels.curvature(nl)).astype(jnp.result_type(float)) for nl in (nl_up, nl_down))
        return cls(curvature_up=up, curvature_down=down, **parts)

    @classmethod
    def from_rates(cls, alpha_up: Parameter, alpha_down: Parameter, **parts: Parameter) -> "SoftBounds":
        """ΔG = (G_max − G)(1 − e^(−α_up·n)) and −(G − G_min)(1 − e^(−α_down·n)): asymptotes at the range ends.

        α is in 1/pulse. This is the same law with curvature so large that the asymptote is the bound.
        """
        return cls(
            pulses_up=TO_THE_BOUND / alpha_up,
            pulses_down=TO_THE_BOUND / alpha_down,
            curvature_up=TO_THE_BOUND,
            curvature_down=-TO_THE_BOUND,
            **parts,
        )

    def response(self, share: Real, pulses: Real) -> Real:
        """One affine map for any number of pulses."""
        up = pulses > 0
        # constants of both directions outside of the choice: they are numbers of the device, not of the update
        (slope, whole, end, straight), below = self._constants(True), self._constants(False)
        u = pulses * jnp.where(up, whole, below[1])
        grown = _exponential(u * jnp.where(up, slope, below[0]))
        curved = share * (1 + grown) + grown * jnp.where(up, end, below[2])
        return jnp.where(jnp.where(up, straight, below[3]), share + u, curved)

    def _constants(self, up: bool) -> tuple[Real, Real, Real, Any]:
        """−κ, 1/P, 1/(e^−κ − 1) of a direction, and whether it is linear."""
        k = jnp.asarray(self.curvature_up if up else self.curvature_down)
        straight = jnp.abs(k) < 1e-6
        safe = jnp.where(straight, 1.0, k)
        return -safe, 1 / jnp.asarray(self.pulses_up if up else self.pulses_down), 1 / _exponential(-safe), straight

    def pulses_for(self, g: Real, change: Real) -> Real:
        """Signed pulse count (not rounded) that moves a device at `g` S by `change` S: the law inverted.

        Infinite or NaN where the change lies beyond the asymptote.
        """
        share, wanted = (g - self.g_min) / span(self), change / span(self)
        up = wanted > 0
        k = jnp.where(up, self.curvature_up, self.curvature_down)
        pulses = jnp.where(up, self.pulses_up, self.pulses_down)
        straight = jnp.abs(k) < 1e-6
        safe = jnp.where(straight, 1.0, k)
        ahead = -1 / jnp.expm1(-safe) - share
        return pulses * jnp.where(straight, wanted, -jnp.log1p(-wanted / ahead) / safe)
