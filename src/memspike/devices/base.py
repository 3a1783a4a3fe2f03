"""What every device declares: `self` is what was fabricated, `state` is what evolves."""

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Num, PRNGKeyArray

from memspike.devices.part import AbstractModel
from memspike.parts.errors import InputError
from memspike.parts.param import Parameter, check_bounds, is_concrete
from memspike.parts.refusals import MISFITS, FollowsVoltage, Volatile

if TYPE_CHECKING:
    from typing import ClassVar as AbstractClassVar
else:
    from equinox import AbstractClassVar

Real = Float[Array, "..."]
Key = PRNGKeyArray | None
Pulses = Num[Array, "..."] | int | float
Seconds = Float[Array, "..."] | float


class AbstractDevice(AbstractModel):
    """A two-terminal device, written for one device; arrays of devices come by broadcasting.

    `source` cites the model with its equation numbers. `volatile` tells whether the state relaxes at
    zero volts (usable inside a neuron) or stays (usable as a memory).
    """

    volatile: AbstractClassVar[bool]

    @abstractmethod
    def init(self) -> Any:
        """The state of a device that has rested at 0 V."""

    @abstractmethod
    def current(self, state: Any, v: Real) -> Real:
        """Current in A through the device at `v` volts; zero at zero volts."""

    @abstractmethod
    def conductance(self, state: Any) -> Real:
        """Small-signal conductance in S at zero volts."""


class AbstractStateDevice(AbstractDevice):
    """A device whose state obeys dx/dt = rate(x, v) under the applied voltage."""

    @abstractmethod
    def rate(self, state: Any, v: Real) -> Any:
        """Time derivative of the state, in its unit per second, at `v` volts."""

    @abstractmethod
    def advance(self, state: Any, v: Real, dt: Float[Array, ""] | float) -> Any:
        """The state after `dt` seconds at a constant `v` volts; stable for every `dt` ≥ 0."""


class AbstractRelaxingDevice(AbstractStateDevice):
    """A state device that settles at one state for every constant voltage."""

    @abstractmethod
    def equilibrium(self, v: Real) -> Any:
        """The state reached after an infinite time at a constant `v` volts."""


class AbstractMemoryDevice(AbstractStateDevice):
    """A non-volatile device with one scalar state between a most resistive and a most conductive end."""

    volatile: ClassVar[bool] = False

    @abstractmethod
    def ends(self) -> tuple[Real, Real]:
        """The states of lowest and of highest conductance; between them conductance grows with the state."""


class Moments(NamedTuple):
    """Mean and s.d. of one read, in S."""

    mean: Real
    sd: Real


def clipped(mean: Real, sd: Real, low: Real | float, high: Real | float) -> Moments:
    """Mean and s.d. of a Gaussian that is clipped to [low, high]."""
    noisy = sd > 0
    sigma = jnp.where(noisy, sd, 1.0)
    a, b = (jnp.clip((end - mean) / sigma, -30.0, 30.0) for end in (low, high))
    below, above = (0.5 * jax.lax.erfc(x * (0.5**0.5)) for x in (-a, b))
    at_a, at_b = (jnp.exp(-0.5 * x * x) * (1 / (2 * math.pi) ** 0.5) for x in (a, b))
    shift = a * below + b * above + at_a - at_b
    square = a * a * below + b * b * above + (1 - below - above) + a * at_a - b * at_b
    variance = jnp.where(noisy, square - shift * shift, 0.0)
    inside = variance > 0
    spread = jnp.where(inside, sigma * jnp.sqrt(jnp.where(inside, variance, 1.0)), 0.0)
    return Moments(jnp.clip(mean + jnp.where(noisy, sigma * shift, 0.0), low, high), spread)


class AbstractPulseDevice(AbstractDevice):
    """A non-volatile synapse that is programmed by counts of identical pulses.

    A count is signed: n > 0 potentiates, n < 0 depresses, 0 leaves the device alone. Without a `key` every
    method gives the noise-free law; with one, a sample. The state carries the time since the last
    programming where the device drifts, so there is no absolute clock to lose digits: `wait` lets time
    pass, and `conductance(state, t)` looks `t` seconds ahead without it. `overshoots` tells whether the error of a
    keyed write may end above G_max; its target may not.

    InputError where `g_min` is not below `g_max`, or a parameter is out of its bounds.
    """

    volatile: ClassVar[bool] = False
    overshoots: ClassVar[bool] = False

    if TYPE_CHECKING:
        g_min: Parameter = eqx.field(init=False)
        g_max: Parameter = eqx.field(init=False)
    else:
        g_min: eqx.AbstractVar[Parameter]
        g_max: eqx.AbstractVar[Parameter]

    def __check_init__(self) -> None:
        check_bounds(self)
        low, high = self.g_min, self.g_max
        if is_concrete(low) and is_concrete(high) and not (np.asarray(low) < np.asarray(high)).all():
            raise InputError(
                f"The conductance range of {type(self).__name__} is reversed or empty: g_min is {np.max(low):g} S "
                f"and g_max is {np.min(high):g} S; g_min must be below g_max."
            )

    @abstractmethod
    def init(self, shape: tuple[int, ...] = (), *, key: Key = None) -> Any:
        """The state of `shape` devices after a RESET."""

    @abstractmethod
    def program(self, state: Any, pulses: Pulses, *, key: Key = None) -> Any:
        """The state after `pulses` signed pulses, counts that broadcast with the state."""

    @abstractmethod
    def reset(self, state: Any, *, key: Key = None) -> Any:
        """The state after a full RESET to the lowest conductance."""

    @abstractmethod
    def place(self, state: Any, g: Real, *, key: Key = None) -> Any:
        """The state put at a programmed conductance of `g` S (clipped to the range), its history kept."""

    @abstractmethod
    def stored(self, state: Any) -> Real:
        """The programmed conductance in S: what pulses act on, without drift and read noise."""

    @abstractmethod
    def wait(self, state: Any, dt: Seconds) -> Any:
        """The state `dt` seconds later without any pulse."""

    @abstractmethod
    def conductance(self, state: Any, t: Seconds = 0.0, *, key: Key = None) -> Real:
        """The conductance in S that a read sees in `t` seconds, with drift, and with read noise if keyed."""

    @abstractmethod
    def read_moments(self, state: Any, t: Seconds = 0.0) -> "Moments":
        """Mean and s.d. in S of one noisy read in `t` seconds, clipping included."""


def span(device: AbstractPulseDevice) -> Real:
    """G_max − G_min in S."""
    return jnp.asarray(device.g_max - device.g_min)


def at(module: Any, path: str) -> Any:
    """What stands at a dotted path in a module, through its parts and tuples."""
    for name in path.split("."):
        module = module[int(name)] if isinstance(module, tuple | list) else getattr(module, name)
    return module


def select(condition: Bool[Array, "..."], yes: Any, no: Any) -> Any:
    """State `yes` where `condition` holds, else `no`, leaf by leaf."""
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), yes, no)


def counts(pulses: Pulses) -> Real:
    """Pulse counts as floating point numbers."""
    return jnp.asarray(pulses).astype(jnp.result_type(float))


def not_held(where: str, name: str, made: Any, wanted: str) -> InputError:
    """Why what is named there holds no weight: it forgets, or follows a voltage; else what is wanted alone."""
    if isinstance(made, type) and issubclass(made, AbstractStateDevice):
        reason = FollowsVoltage if issubclass(made, AbstractMemoryDevice) else Volatile
        return reason(where, name, made.__name__, wanted)
    return InputError(f"{where} is '{name}', a {getattr(made, '__name__', 'value')}; {wanted}.")


MISFITS[AbstractPulseDevice] = MISFITS[AbstractMemoryDevice] = not_held
