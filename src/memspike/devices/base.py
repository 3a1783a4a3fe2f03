"""What every device declares: `self` is what was fabricated, `state` is what evolves."""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import equinox as eqx
from jaxtyping import Array, Float

from memspike._param import check_bounds

if TYPE_CHECKING:
    from typing import ClassVar as AbstractClassVar
else:
    from equinox import AbstractClassVar


class AbstractDevice(eqx.Module):
    """A two-terminal device, written for one device; arrays of devices come by broadcasting.

    `source` cites the model with its equation numbers. `volatile` tells whether the state relaxes at
    zero volts (usable inside a neuron) or stays (usable as a memory).
    """

    source: AbstractClassVar[str]
    volatile: AbstractClassVar[bool]

    def __check_init__(self) -> None:
        check_bounds(self)

    @abstractmethod
    def init(self) -> Any:
        """The state of a device that has rested at 0 V."""

    @abstractmethod
    def current(self, state: Any, v: Float[Array, "..."]) -> Float[Array, "..."]:
        """Current in A through the device at `v` volts; zero at zero volts."""

    @abstractmethod
    def conductance(self, state: Any) -> Float[Array, "..."]:
        """Small-signal conductance in S at zero volts."""


class AbstractStateDevice(AbstractDevice):
    """A device whose state obeys dx/dt = rate(x, v) under the applied voltage."""

    @abstractmethod
    def rate(self, state: Any, v: Float[Array, "..."]) -> Any:
        """Time derivative of the state, in 1/s, at `v` volts."""

    @abstractmethod
    def advance(self, state: Any, v: Float[Array, "..."], dt: Float[Array, ""] | float) -> Any:
        """The state after `dt` seconds at a constant `v` volts; stable for every `dt` ≥ 0."""

    @abstractmethod
    def equilibrium(self, v: Float[Array, "..."]) -> Any:
        """The state reached after an infinite time at a constant `v` volts."""
