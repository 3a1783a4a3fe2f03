"""Pulse devices whose state is the conductance itself: each law is one function of g and n."""

from abc import abstractmethod
from typing import Any, ClassVar

import jax.numpy as jnp
from jaxtyping import Array

from memspike.devices import labels
from memspike.devices.base import AbstractPulseDevice, Key, Moments, Pulses, Real, Seconds, counts, span
from memspike.parts.param import Parameter, param


class AbstractConductanceDevice(AbstractPulseDevice):
    """A device without memory but its conductance: the state is G in S, any shape; no drift, no read noise."""

    def init(self, shape: tuple[int, ...] = (), *, key: Key = None) -> Real:
        """All devices at G_min."""
        return jnp.broadcast_to(jnp.asarray(self.g_min), shape or jnp.shape(self.g_min))

    def reset(self, state: Real, *, key: Key = None) -> Real:
        """G_min."""
        return jnp.zeros_like(state) + self.g_min

    def place(self, state: Real, g: Real, *, key: Key = None) -> Real:
        """`g` inside the range."""
        return jnp.zeros_like(state) + jnp.clip(g, self.g_min, self.g_max)

    def stored(self, state: Real) -> Real:
        """The state."""
        return state

    def wait(self, state: Real, dt: Seconds) -> Real:
        """The state: nothing drifts."""
        return state

    def current(self, state: Real, v: Real) -> Real:
        """Ohmic: G·v in A."""
        return state * v

    def conductance(self, state: Real, t: Seconds = 0.0, *, key: Key = None) -> Real:
        """The state, at any time."""
        return state

    def read_moments(self, state: Real, t: Seconds = 0.0) -> Moments:
        """Reads are exact."""
        return Moments(self.conductance(state, t), jnp.zeros_like(state))


class AbstractStepDevice(AbstractConductanceDevice):
    """A device whose law is one function of the share g = (G − G_min)/(G_max − G_min) and the pulse count.

    A final class declares its parameters, `response`, and the range where it differs. No cycle-to-cycle noise:
    `memspike.devices` has a wrapper for it.
    """

    g_min: Parameter = param(1e-6, "S", "lowest conductance", bounds=(0, 1e3))
    g_max: Parameter = param(10e-6, "S", "highest conductance", bounds=(0, 1e3))

    @abstractmethod
    def response(self, share: Real, pulses: Real) -> Real:
        """The share of the range after `pulses` signed identical pulses, before it is clipped to [0, 1]."""

    def program(self, state: Real, pulses: Pulses, *, key: Key = None) -> Real:
        """The law, all pulses in one map, clipped to the range."""
        share = (state - self.g_min) / span(self)
        moved = jnp.clip(self.response(share, counts(pulses)), 0.0, 1.0)
        return jnp.where(counts(pulses) == 0, state, self.g_min + span(self) * moved)


class ConstantStep(AbstractStepDevice):
    """g' = g + n/P: linear, symmetric if both pulse counts are equal; hard bounds.

    Valid as the ideal reference, and for devices far from their bounds.
    """

    source: ClassVar[str] = "Gokmen & Vlasov, Front. Neurosci. 10: 333 (2016), doi 10.3389/fnins.2016.00333"

    g_min: Parameter = param(0.1e-6, "S", "lowest conductance", bounds=(0, 1e3))
    g_max: Parameter = param(5e-6, "S", "highest conductance", bounds=(0, 1e3))
    pulses_up: Parameter = param(64.0, "1", "pulses of a full upward sweep", bounds=(0.1, 1e9))
    pulses_down: Parameter = param(64.0, "1", "pulses of a full downward sweep", bounds=(0.1, 1e9))

    def response(self, share: Real, pulses: Real) -> Real:
        """A shift in proportion to the count."""
        per_pulse = jnp.where(pulses > 0, 1 / self.pulses_up, 1 / self.pulses_down)
        return share + pulses * per_pulse


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


class LogStep(AbstractStepDevice):
    """dg/dn = s·e^(−β·g) upwards and −s·e^(−β·(1 − g)) downwards: the distance run is ln(1 + s·β·n·e^(−β·d))/β.

    d is the share already run in the direction taken (g upwards, 1 − g downwards). n pulses are one closed
    map that composes exactly. Swept from end to end in P pulses it is g = ln(1 + (e^β − 1)·n/P)/β.
    The assignment of the law to this source is from general knowledge of it.
    """

    source: ClassVar[str] = (
        "Querlioz, Bichler, Dollfus & Gamrat, IEEE Trans. Nanotechnol. 12(3): 288 (2013), "
        "doi 10.1109/TNANO.2013.2250995"
    )

    step_up: Parameter = param(0.03, "1", "upward step at g = 0, a share of the range", bounds=(1e-9, 10))
    step_down: Parameter = param(0.03, "1", "downward step at g = 1, a share of the range", bounds=(1e-9, 10))
    beta_up: Parameter = param(3.0, "1", "β of potentiation; 0 is linear", bounds=(-30, 30))
    beta_down: Parameter = param(3.0, "1", "β of depression; 0 is linear", bounds=(-30, 30))

    def response(self, share: Real, pulses: Real) -> Real:
        """The share run in the direction taken, after all pulses."""
        up = pulses > 0
        beta = jnp.where(up, self.beta_up, self.beta_down)
        step = jnp.where(up, self.step_up, self.step_down)
        run = jnp.where(up, share, 1 - share)
        straight = jnp.abs(beta) < 1e-5
        safe = jnp.where(straight, 1.0, beta)
        inside = 1 + step * safe * jnp.abs(pulses) * jnp.exp(-safe * run)
        # beta < 0 accelerates and passes the end after finitely many pulses
        gain = jnp.where(inside > 1e-12, jnp.log(jnp.maximum(inside, 1e-12)) / safe, 2.0)
        moved = run + jnp.where(straight, step * jnp.abs(pulses), gain)
        return jnp.where(up, moved, 1 - moved)


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
        (slope, whole, end, straight), below = self.constants(True), self.constants(False)
        u = pulses * jnp.where(up, whole, below[1])
        grown = _exponential(u * jnp.where(up, slope, below[0]))
        curved = share * (1 + grown) + grown * jnp.where(up, end, below[2])
        return jnp.where(jnp.where(up, straight, below[3]), share + u, curved)

    def constants(self, up: bool) -> tuple[Real, Real, Real, Any]:
        """−κ, 1/P, 1/(e^−κ − 1) of a direction, and whether it is linear."""
        k = jnp.asarray(self.curvature_up if up else self.curvature_down)
        straight = jnp.abs(k) < 1e-6
        safe = jnp.where(straight, 1.0, k)
        return -safe, 1 / jnp.asarray(self.pulses_up if up else self.pulses_down), 1 / _exponential(-safe), straight
