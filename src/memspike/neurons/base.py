"""What every neuron declares: current in, membrane voltage out."""

from abc import abstractmethod
from typing import Any

from jaxtyping import Array, Float

from memspike.devices.part import AbstractPart


class AbstractNeuron(AbstractPart):
    """A neuron written for one cell; populations come by broadcasting over the shape of the state."""

    @abstractmethod
    def rest(self) -> Float[Array, "..."]:
        """Membrane voltage in V without input."""

    @abstractmethod
    def init(self, shape: tuple[int, ...] = ()) -> Any:
        """The state of `shape` neurons at rest."""

    @abstractmethod
    def voltage(self, state: Any) -> Float[Array, "..."]:
        """The membrane voltage in V of a state."""

    @abstractmethod
    def step(self, state: Any, current: Float[Array, "..."], dt: float) -> tuple[Any, Float[Array, "..."]]:
        """Advance by `dt` seconds with `current` A (its value in mid-step) → new state, voltage in V."""
