"""Pulse devices whose state is the conductance itself: each law is one function of g and n."""

from abc import abstractmethod

import jax.numpy as jnp

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
