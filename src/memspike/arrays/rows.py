"""What the reading itself does to the synaptic devices of a row: nothing, or their own dynamics."""

from abc import abstractmethod

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike.devices.metastable import MetastableSwitch
from memspike.devices.part import AbstractPart
from memspike.parts.param import part
from memspike.parts.registry import SYNAPSES

Real = Float[Array, "..."]


class AbstractRows(AbstractPart):
    """Row voltages → the voltages that a crossbar of fixed conductances must see for the same currents."""

    @abstractmethod
    def effective(self, v: Float[Array, "steps *batch rows"], durations: Float[Array, " steps"]) -> Real:
        """`v` in V, held for `durations` seconds each → effective row voltages in V at mid-step."""

    @abstractmethod
    def step(self, passed: Real, v: Real, dt: float) -> tuple[Real, Real]:
        """The same step after step of `dt` seconds: what has `passed` (0 at first) → what has now, effective
        voltages in V.
        """


@SYNAPSES.register("static", "conductances do not move while they are read")
class StaticRows(AbstractRows):
    """Conductances do not move while they are read."""

    def effective(self, v: Real, durations: Real) -> Real:
        """`v` itself."""
        return v

    def step(self, passed: Real, v: Real, dt: float) -> tuple[Real, Real]:
        """`v` itself."""
        return passed, v


def _slow_switch() -> MetastableSwitch:
    return MetastableSwitch(r_on=10e3, r_off=100e3, tau=10e-3)


@SYNAPSES.register(
    "dynamical", "every device of a pair obeys the metastable-switch law under its row voltage during the pass"
)
class DynamicalRows(AbstractRows):
    """Every synaptic device obeys dx/dt = r_on(v)·(1 − x) − r_off(v)·x under its row voltage.

    The law is linear in x and a column is a virtual ground, so all devices of row i share
    x_ij(t) = a_i(t)·x_ij(0) + b_i(t) with a_i = exp(−∫(r_on + r_off)dt). In a differential pair b
    cancels: the currents are those of the initial conductances under row voltages v_i(t)·a_i(t).
    Exact, at the cost of one number per row. Needs equal rates in all devices of a row.

    The device is a reconstruction: the neuron's switch between 10 and 100 µS with a tenfold τ.
    """

    device: MetastableSwitch = part(_slow_switch, "every synaptic device")

    def effective(self, v: Real, durations: Real) -> Real:
        """`v`·a with a taken in the middle of each hold, where the membrane samples its current."""
        shape = (-1,) + (1,) * (v.ndim - 1)
        decay = self.device.relaxation(v) * durations.reshape(shape)

        def body(total: Real, hold: Real) -> tuple[Real, Real]:
            return total + hold, total + 0.5 * hold

        # a scan: XLA's cumulative sum can take 70 times as long on a CPU
        passed = jax.lax.scan(body, jnp.zeros_like(decay[0]), decay)[1]
        return v * jnp.exp(-passed)

    def step(self, passed: Real, v: Real, dt: float) -> tuple[Real, Real]:
        """`passed` is the exponent of the decay so far."""
        hold = self.device.relaxation(v) * dt
        return passed + hold, v * jnp.exp(-(passed + 0.5 * hold))
