"""What every cell declares: how its devices make one signed weight, and what a pulse on that weight does to them.

The conductances of a matrix of cells are `Lines`: [lines, rows, columns] in S, one line for each column wire of a
cell. The weight is Σ_l gain_l·G_l / unit.
"""

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from memspike.devices import pcm_course
from memspike.devices.base import AbstractPulseDevice, Moments, Seconds
from memspike.devices.part import AbstractPart
from memspike.parts.errors import InputError
from memspike.parts.param import is_concrete, mean_of

Real = Float[Array, "..."]
Lines = Float[Array, "lines rows columns"]
Devices = Float[Array, "devices rows columns"]
Weight = Float[Array, "rows columns"]
# a weight that no cell can hold
BEYOND = 1e9


class CellState(NamedTuple):
    """Device states, [programmed lines, rows, columns] in every leaf, and what arbitration counts."""

    devices: Any
    counter: Any


class Worth(NamedTuple):
    """What one logical pulse changes in the weight: upwards (≥ 0) and downwards (≤ 0) on average."""

    up: Real
    down: Real


class Saturated(NamedTuple):
    """Where a pulse upwards, or downwards, has nearly lost its effect."""

    up: Bool[Array, "..."]
    down: Bool[Array, "..."]


def weighted(gains: Float[Array, " lines"], lines: Lines) -> Weight:
    """Σ_l gain_l·line_l, line by line: a product of matrices or a reduction is many times slower on a CPU."""
    gains = gains.astype(lines.dtype)
    return sum((gains[k] * lines[k] for k in range(1, lines.shape[0])), gains[0] * lines[0])


class AbstractCell(AbstractPart):
    """Devices that share one signed weight. Written for a matrix of cells; the device may differ from cell to cell.

    `device` may hold parameters of any shape that broadcasts with [programmed lines, rows, columns]; the range
    that maps weights to conductances is the mean range of the devices, as a controller that knows the chip's
    type but not its spread would use.

    InputError where the mean range is empty or reversed.
    """

    if TYPE_CHECKING:
        device: AbstractPulseDevice = eqx.field(init=False)
    else:
        device: eqx.AbstractVar[AbstractPulseDevice]

    def __check_init__(self) -> None:
        low, high = self.conductance_range()
        if is_concrete(low) and is_concrete(high) and not float(low) < float(high):
            raise InputError(
                f"The conductance range of {type(self).__name__} is reversed or empty: on average g_min is "
                f"{float(low):g} S and g_max is {float(high):g} S."
            )

    def conductance_range(self) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Lowest and highest conductance in S that weights are mapped to."""
        return jnp.mean(jnp.asarray(self.device.g_min)), jnp.mean(jnp.asarray(self.device.g_max))

    def weight_range(self, shape: tuple[int, ...]) -> tuple[Weight, Weight]:
        """Lowest and highest weight that each cell of a matrix [rows, columns] can hold."""
        low, high = (self.weight(self.conductances(jnp.full(shape, end))) for end in (-BEYOND, BEYOND))
        return low, high

    @abstractmethod
    def gains(self) -> Float[Array, " lines"]:
        """How each line counts in the output current."""

    @abstractmethod
    def unit(self) -> Float[Array, ""]:
        """The conductance difference in S that is a weight of 1."""

    @abstractmethod
    def programmed(self) -> int:
        """How many of the lines are devices that take pulses; the others are fixed."""

    @abstractmethod
    def conductances(self, w: Weight) -> Lines:
        """The conductances in S that stand for `w`, clipped to the range; differentiable."""

    @abstractmethod
    def complete(self, g: Devices) -> Lines:
        """All lines in S, given those of the programmed devices."""

    @abstractmethod
    def start(self, shape: tuple[int, ...]) -> Any:
        """The arbitration counter of a fresh matrix."""

    @abstractmethod
    def deal(self, pulses: Weight, counter: Any) -> tuple[Devices, Any]:
        """Signed pulses on weights → signed pulses of every programmed device, and the counter afterwards."""

    def weight(self, lines: Lines) -> Weight:
        """The logical weight that conductances stand for."""
        return weighted(self.gains(), lines) / self.unit()

    def clip(self, g: Devices) -> Devices:
        """Conductances of devices in S, inside the range."""
        return jnp.clip(g, *self.conductance_range())

    def init(self, shape: tuple[int, ...], *, key: PRNGKeyArray | None = None) -> CellState:
        """A matrix of cells [rows, columns] whose devices were all RESET."""
        return CellState(self.device.init((self.programmed(), *shape), key=key), self.start(shape))

    def place(self, state: CellState, w: Weight, *, key: PRNGKeyArray | None = None) -> CellState:
        """The devices put at the conductances of `w`; with a key, with the programming error of the device."""
        target = self.conductances(w)[: self.programmed()]
        return state._replace(devices=self.device.place(state.devices, target, key=key))

    def program(
        self, state: CellState, pulses: Weight, *, key: PRNGKeyArray | None = None
    ) -> tuple[CellState, Devices]:
        """The state after signed pulses on weights, and the signed pulses that every device took."""
        dealt, counter = self.deal(jnp.asarray(pulses, jnp.result_type(float)), state.counter)
        return CellState(pcm_course.programmed(self.device, state.devices, dealt, key=key), counter), dealt

    def wait(self, state: CellState, dt: Seconds) -> CellState:
        """The state `dt` seconds later."""
        return state._replace(devices=self.device.wait(state.devices, dt))

    def stored(self, state: CellState) -> Lines:
        """Programmed conductances in S of all lines, without drift and read noise."""
        return self.complete(self.device.stored(state.devices))

    def read(self, state: CellState, t: Seconds = 0.0, *, key: PRNGKeyArray | None = None) -> Lines:
        """Conductances in S of all lines that a read sees in `t` seconds; with a key, noisy."""
        return self.complete(self.device.conductance(state.devices, t, key=key))

    def reads(self, state: CellState, times: Sequence[Seconds]) -> Float[Array, "times lines rows columns"]:
        """Conductances in S of all lines that reads without noise see in so many seconds (s), one after the other."""
        return jnp.stack([self.complete(g) for g in pcm_course.ahead(self.device, state.devices, times)])

    def read_moments(self, state: CellState, t: Seconds = 0.0) -> Moments:
        """Mean and s.d. in S of a noisy read of every line in `t` seconds; fixed lines have no noise."""
        mean, sd = self.device.read_moments(state.devices, t)
        sd = jnp.broadcast_to(sd, self.device.stored(state.devices).shape)
        fixed = self.gains().shape[0] - sd.shape[0]
        return Moments(
            self.complete(mean), jnp.concatenate([sd, jnp.zeros((fixed, *sd.shape[1:]), sd.dtype)]) if fixed else sd
        )

    def worth(self, state: CellState) -> Worth:
        """What one logical pulse changes in each weight [rows, columns] on average, from the present state."""
        now = self.weight(self.stored(state))

        def moved(pulse: float) -> Weight:
            after, _ = self.program(state, jnp.full(now.shape, pulse, now.dtype))
            return self.weight(self.stored(after)) - now

        return Worth(moved(1.0), moved(-1.0))

    def saturated(self, state: CellState, share: float = 0.1) -> Saturated:
        """Which weights [rows, columns] a pulse moves by less than `share` of the nominal worth, up and down."""
        now, nominal = self.worth(state), self.nominal_worth()
        return Saturated(now.up < share * nominal.up, now.down > share * nominal.down)

    def nominal_worth(self) -> Worth:
        """What one logical pulse is worth in weight for a mean cell with its devices in mid-range."""
        cell, state = typical(self)
        return Worth(*(x.mean() for x in cell.worth(state)))


def shared_range(cell: AbstractCell) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Lowest conductance and width of the range in S."""
    low, high = cell.conductance_range()
    return low, high - low


def typical(cell: AbstractCell) -> tuple[AbstractCell, CellState]:
    """A matrix of one mean cell, and its state with all devices in mid-range."""
    mean = mean_of(cell)
    fresh, middle = mean.init((1, 1)), 0.5 * sum(cell.conductance_range())
    here = mean.device.place(fresh.devices, jnp.full((cell.programmed(), 1, 1), middle))
    return mean, fresh._replace(devices=here)


def uncounted(self: AbstractCell, shape: tuple[int, ...]) -> Real:
    """Nothing is counted: a cell may take this as its `start`."""
    return jnp.zeros(())
