"""Every pulse, read and conversion of an array, counted exactly: the book that costs are computed from.

Counts of devices are 32-bit integers that stay at their largest value instead of wrapping; counts of the array are
integers of two words, exact up to 2⁶¹. Energies, times and V² are sums of two floating point words
(Knuth's two-sum), so that a long training in single precision loses nothing that can be seen: the relative error
of 10⁷ additions is below 10⁻⁶, where a plain sum is wrong by percents or stops to grow.
"""

import dataclasses
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Num

from memspike.arrays.sums import Tally, Total
from memspike.arrays.trains import KINDS, Drive, Pulse, Summed, TrainCost, Trains, checked, part_of
from memspike.arrays.wear import Marks, Part, Wear, whole
from memspike.cells.base import Lines
from memspike.devices.base import AbstractPulseDevice, Pulses, Real
from memspike.devices.base import counts as as_float
from memspike.devices.coincidences import Coincidences
from memspike.devices.presets.neurosim import WritePulse
from memspike.devices.pulse_course import Taken
from memspike.devices.pulsed import Pulsed
from memspike.devices.variation.wrappers import AbstractWrapper
from memspike.parts.errors import InputError


def _sum() -> Any:
    return eqx.field(default_factory=lambda: Total.of(0.0))


def _count() -> Any:
    return eqx.field(default_factory=lambda: Tally.of(0))


class Ledger(eqx.Module):
    """What an array did. Ledgers add with `+`, are pytrees for `lax.scan` carries, and `vmap` over chips.

    `wear` is None in a ledger without writes; start a carry with `empty`. `read_energy` (J) is dissipated in the
    devices, `wire_energy` (J) in the resistance of the wires; `read_square` and `write_square` (V²) are
    Σ v² over row pulses, from which a wire capacitance gives its energy. Times are in s, one operation after
    the other. `row_conversions` counts rows driven at a voltage other than 0.
    """

    wear: Wear | Marks | None = None
    writes: Tally = _count()
    write_seconds: Total = _sum()
    write_square: Total = _sum()
    reads: Tally = _count()
    read_seconds: Total = _sum()
    read_square: Total = _sum()
    read_energy: Total = _sum()
    wire_energy: Total = _sum()
    row_conversions: Tally = _count()
    column_conversions: Tally = _count()
    neuron_steps: Tally = _count()
    spikes: Tally = _count()
    neuron_energy: Total = _sum()

    def __add__(self, other: "Ledger") -> "Ledger":
        def both(name: str) -> Any:
            a, b = getattr(self, name), getattr(other, name)
            return b if a is None else a if b is None else a + b

        return Ledger(**{field.name: both(field.name) for field in dataclasses.fields(self)})

    def worn(self) -> Wear | Marks:
        """What the devices took; InputError where nothing was ever written."""
        if self.wear is None:
            raise InputError("This ledger holds reads alone and knows no devices; add it to `empty(shape)`.")
        return self.wear

    @property
    def up(self) -> Int[Array, "*chips lines rows columns"]:
        """Pulses up of every device."""
        return self.worn().up

    @property
    def down(self) -> Int[Array, "*chips lines rows columns"]:
        """Pulses down of every device."""
        return self.worn().down

    @property
    def resets(self) -> Int[Array, "*chips lines rows columns"]:
        """Full RESETs of every device."""
        return self.worn().resets

    @property
    def write_energy(self) -> Float[Array, "*chips"]:
        """Energy in J that programming dissipated in the devices."""
        return self.worn().energy.value


def empty(shape: tuple[int, ...]) -> Ledger:
    """The ledger of new devices [lines, rows, columns] that did nothing yet."""
    return Ledger(Wear.new(shape))


def _unwrapped(device: AbstractPulseDevice, state: Any) -> tuple[AbstractPulseDevice, Any]:
    while isinstance(device, AbstractWrapper):
        device, state = device.device, state.inner
    return device, state


def pulse_energy(device: Pulsed, state: Real, pulses: Pulses, *, substeps: int = 16) -> Real:
    """Energy in J that signed `pulses` dissipate in every device: ∫ v·i(x(t), v) dt along its own trajectory.

    Simpson's rule on `substeps` parts of every pulse, between which `device.device.advance` moves the state; with
    16, below 0.1 % where a twelfth of a pulse switches the device. Reverse mode needs counts that are not traced.
    """
    inner, n = device.device, as_float(pulses)
    v = jnp.where(n > 0, device.v_up, device.v_down)
    number = jnp.abs(n)

    def part(carry: tuple[Real, Total], h: Real) -> tuple[Real, Total]:
        x, energy = carry
        middle = inner.advance(x, v, h / 2)
        end = inner.advance(middle, v, h / 2)
        mean = (inner.current(x, v) + 4 * inner.current(middle, v) + inner.current(end, v)) / 6
        return end, energy + Total.of(v * mean * h)

    def pulse(k: Any, carry: tuple[Real, Total]) -> tuple[Real, Total]:
        share = jnp.clip(number - jnp.asarray(k).astype(number.dtype), 0.0, 1.0)
        h = share * device.width / substeps
        return jax.lax.scan(lambda c, _: (part(c, h), None), carry, None, length=substeps)[0]

    shapes = jax.eval_shape(lambda x: pulse(0, (x, Total.of(jnp.zeros_like(v * x))))[0], state)
    start = (jnp.broadcast_to(state, shapes.shape), Total.of(jnp.zeros(shapes.shape, shapes.dtype)))
    return jax.lax.fori_loop(0, jnp.ceil(number.max()).astype(int), pulse, start)[1].value


def _cells(device: AbstractPulseDevice, before: Any, after: Any, n: Real) -> tuple[Real, Real]:
    """Counts and mean conductances of one shape, [lines, rows, columns]."""
    g = 0.5 * (device.stored(before) + device.stored(after))
    shape = np.broadcast_shapes(g.shape, n.shape)
    if len(shape) != 3:
        raise InputError(f"The devices and their pulse counts have shape {shape}; [lines, rows, columns] is needed.")
    return jnp.broadcast_to(n, shape), jnp.broadcast_to(g, shape)


def _book(pulses: Any, resets: Real | None, parts: list[TrainCost]) -> Ledger:
    """The ledger of signed pulses [lines, rows, columns], RESETs of the same devices, and what they cost."""
    energy, seconds, square = (sum(column[1:], column[0]) for column in zip(*parts, strict=True))
    shape = pulses.shape if len(pulses.shape) == 3 else (1, *pulses.shape)
    marks = Marks(None if resets is None else whole(resets), Total.of(energy), (Part.of(pulses),), shape)
    return Ledger(marks, Tally.of(1), Total.of(seconds), Total.of(square))


def written(
    device: AbstractPulseDevice,
    before: Any,
    after: Any,
    counts: Pulses,
    drive: Drive | WritePulse | None = None,
) -> Ledger:
    """The ledger of one write: signed `counts` took the states `before` to `after`, all [lines, rows, columns].

    Energy of a pulse: V²·(G_before + G_after)/2·width (Chen, Peng & Yu, IEEE TCAD 37: 3067 (2018), doi
    10.1109/TCAD.2018.2789723), with the stored conductances; or what `Pulse.energy` says. A drive without `down`
    counts every negative count as one RESET. State devices under `Pulsed` bring their own pulses (no `drive`),
    and their energy is `pulse_energy` of the law inside, whatever variation is around it.

    Time: row after row, all devices of a row at once, for each row its longest train of pulses up, then down.
    A broken pulse counts as a pulse; its energy and time are broken. InputError where voltage or width of a pulse
    is not known, for a negative width, and for other shapes.
    """
    n, g = _cells(device, before, after, as_float(counts))
    up, down = jnp.maximum(n, 0.0), jnp.maximum(-n, 0.0)
    inside, state = _unwrapped(device, before)
    if isinstance(inside, Pulsed):
        if drive is not None:
            raise InputError("A Pulsed device brings its own voltages and width; `drive` must be left out.")
        energy = jnp.broadcast_to(pulse_energy(inside, state, n), g.shape).sum(-1).sum()
        both = ((up, inside.v_up, energy), (down, inside.v_down, jnp.zeros_like(energy)))
        parts = [part_of("Pulsed", Pulse(v, inside.width), Trains(number, g), joules) for number, v, joules in both]
        return _book(n, None, parts)
    if drive is None:
        raise InputError(
            f"The voltage and width of the pulses of a {type(device).__name__} are not known; "
            "a Drive or a WritePulse is needed."
        )
    drive = drive if isinstance(drive, Drive) else Drive.of(drive)
    first = part_of(KINDS[0], drive.up, Trains(up, g))
    if drive.down is not None:
        return _book(n, None, [first, part_of(KINDS[1], drive.down, Trains(down, g))])
    resets = (n < 0).astype(n.dtype)
    return _book(up, resets, [first, part_of("RESET", drive.reset or Pulse(), Trains(resets, g))])


def taken(found: Taken, pulses: Real | Coincidences, drive: Drive | WritePulse) -> Ledger:
    """As `written`, given the sums over the signed `pulses` [lines, rows, columns] of one write."""
    drive = drive if isinstance(drive, Drive) else Drive.of(drive)
    each = [Summed(*one) for one in zip(*found, strict=True)]
    parts = [part_of(name, pulse or Pulse(), one) for name, pulse, one in zip(KINDS, drive[:2], each, strict=True)]
    return _book(pulses, None, parts)


def erased(device: AbstractPulseDevice, before: Any, after: Any, resets: Pulses, reset: Pulse) -> Ledger:
    """The ledger of full `resets` (counts) of devices: V²·(G_before + G_after)/2·width each, or its energy.

    InputError for a pulse whose energy, voltage or width is not known.
    """
    n, g = _cells(device, before, after, as_float(resets))
    return _book(jnp.zeros_like(n), n, [part_of("RESET", reset, Trains(n, g))])


def read(
    lines: Lines,
    v: Float[Array, "... driven"],
    duration: Float[Array, "..."] | float,
    *,
    across: Float[Array, "..."] | None = None,
    conversions: int | None = None,
) -> Ledger:
    """The ledger of reads of conductances `lines` in S at row voltages `v` in V, `duration` s each.

    Every vector in `v` [..., rows] is one read. With ideal wires each device sees its row voltage and dissipates
    v²·G·t. With wire resistance give the device voltages `across` [..., lines, rows, columns] in V: devices dissipate
    Σ across²·G·t, and since the driver of a row delivers all its currents, the wires take Σ (v − across)·across·G·t.
    `conversions` by ADCs a read: default one a column (lines subtracted before), 0 where neurons take the current.
    InputError for a negative duration and for shapes that do not fit.
    """
    if v.ndim == 0 or v.shape[-1] != lines.shape[1]:
        raise InputError(f"v has shape {v.shape}; [..., {lines.shape[1]}] is needed for {lines.shape[1]} rows.")
    t = checked("duration of a read", duration, "s", least=0.0)
    if np.broadcast_shapes(t.shape, v.shape[:-1]) != v.shape[:-1]:
        raise InputError(f"duration has shape {t.shape}; one number or {v.shape[:-1]}, one a read, is needed.")
    t = jnp.broadcast_to(t, v.shape[:-1])
    count = math.prod(v.shape[:-1])
    if across is None:
        in_devices, in_wires = ((v * v) @ lines.sum((0, 2)) * t).sum(), jnp.zeros(())
    else:
        if across.shape != (*v.shape[:-1], *lines.shape):
            raise InputError(f"across has shape {across.shape}; {(*v.shape[:-1], *lines.shape)} is needed.")
        current = across * lines.reshape((1,) * (v.ndim - 1) + lines.shape)
        each = t.reshape(*t.shape, 1, 1, 1)
        lost = v[..., None, :, None] - across
        in_devices, in_wires = (across * current * each).sum(), (lost * current * each).sum()
    return Ledger(
        reads=Tally.of(count),
        read_seconds=Total.of(t.sum()),
        read_square=Total.of((v * v).sum()),
        read_energy=Total.of(in_devices),
        wire_energy=Total.of(in_wires),
        row_conversions=Tally.of((v != 0).sum()),
        column_conversions=Tally.of(count * (lines.shape[2] if conversions is None else conversions)),
    )


def stepped(
    neurons: int, steps: int, *, spikes: Num[Array, "..."] | int = 0, energy: Float[Array, "..."] | float = 0.0
) -> Ledger:
    """The ledger of `neurons` over `steps` time steps with `spikes` in all, and the `energy` in J of their own
    devices.

    InputError for an energy that is not finite.
    """
    fired = spikes if isinstance(spikes, int) else spikes.astype(jnp.int32).sum()
    joules = checked("energy of the neurons", energy, "J").sum()
    return Ledger(neuron_steps=Tally.of(neurons * steps), spikes=Tally.of(fired), neuron_energy=Total.of(joules))
