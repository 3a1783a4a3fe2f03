"""Any scalar-state memory as a device that is programmed by counts of voltage pulses."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from memspike.devices.base import AbstractMemoryDevice, AbstractPulseDevice, Key, Moments, Pulses, Real, Seconds, counts
from memspike.devices.memristors import VTEAM
from memspike.devices.numerics import bisect, keep
from memspike.parts.errors import InputError
from memspike.parts.param import Parameter, param, part


class Pulsed(AbstractPulseDevice):
    """A state device under square pulses: n > 0 pulses of `v_up`, n < 0 pulses of `v_down`, `width` seconds each.

    Each pulse integrates the law of `device`; nothing is fitted. A broken count ends with a shorter pulse. The
    state is that of `device`. Derivatives are forward-mode, and reverse-mode where the counts are not traced.

    InputError for a volatile `device`.
    """

    source: ClassVar[str] = "integration of the law of `device`, whose source counts"

    device: AbstractMemoryDevice = part(VTEAM, "the device that is pulsed")
    v_up: Parameter = param(-0.22, "V", "voltage of a potentiating pulse, signed", bounds=(-100, 100))
    v_down: Parameter = param(0.3, "V", "voltage of a depressing pulse, signed", bounds=(-100, 100))
    width: Parameter = param(10e-9, "s", "duration of a pulse", bounds=(1e-15, 1e6))

    def __check_init__(self) -> None:
        if self.device.volatile:
            raise InputError(
                f"Pulsed.device is a {type(self.device).__name__}, which forgets; a non-volatile one is needed."
            )

    @property
    def g_min(self) -> Parameter:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Conductance in S at the resistive end of the state."""
        return self.device.conductance(self.device.ends()[0])

    @property
    def g_max(self) -> Parameter:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Conductance in S at the conductive end of the state."""
        return self.device.conductance(self.device.ends()[1])

    def init(self, shape: tuple[int, ...] = (), *, key: Key = None) -> Real:
        """All devices at the resistive end."""
        low = self.device.ends()[0]
        return jnp.broadcast_to(low, shape or jnp.shape(low))

    def program(self, state: Real, pulses: Pulses, *, key: Key = None) -> Real:
        """One integration a pulse, every cell for as many pulses as it is given."""
        n = counts(pulses)
        v = jnp.where(n > 0, self.v_up, self.v_down)
        number = jnp.abs(n)

        def pulse(k: Any, x: Real) -> Real:
            share = jnp.clip(number - jnp.asarray(k).astype(number.dtype), 0.0, 1.0)
            return self.device.advance(x, v, share * self.width)

        start = jnp.broadcast_to(state, jax.eval_shape(lambda x: pulse(0, x), state).shape)
        return jax.lax.fori_loop(0, jnp.ceil(number.max()).astype(int), pulse, start)

    def reset(self, state: Real, *, key: Key = None) -> Real:
        """The resistive end."""
        return jnp.zeros_like(state) + self.device.ends()[0]

    def place(self, state: Real, g: Real, *, key: Key = None) -> Real:
        """The state of that conductance: bisection, then a Newton step that carries the derivative."""
        low, high = self.device.ends()
        wanted = jnp.clip(g, self.g_min, self.g_max) + jnp.zeros_like(state)
        start = jax.lax.stop_gradient((jnp.zeros_like(wanted) + low, jnp.zeros_like(wanted) + high))
        below, above = bisect(lambda x: ~(self.device.conductance(x) > wanted), *start, 60)
        x = jax.lax.stop_gradient(0.5 * (below + above))
        found, slope = jax.jvp(self.device.conductance, (x,), (jnp.ones_like(x),))
        return keep(x + (wanted - found) / jax.lax.stop_gradient(slope), low, high)

    def stored(self, state: Real) -> Real:
        """The conductance in S."""
        return self.device.conductance(state)

    def wait(self, state: Real, dt: Seconds) -> Real:
        """The state: nothing drifts."""
        return state

    def current(self, state: Real, v: Real) -> Real:
        """Current in A of the device at `v` volts."""
        return self.device.current(state, v)

    def conductance(self, state: Real, t: Seconds = 0.0, *, key: Key = None) -> Real:
        """The small-signal conductance in S, at any time."""
        return self.device.conductance(state)

    def read_moments(self, state: Real, t: Seconds = 0.0) -> Moments:
        """Reads are exact."""
        return Moments(self.conductance(state, t), jnp.zeros_like(state))
