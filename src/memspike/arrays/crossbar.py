"""A crossbar: cells of devices, the wires they share, what is programmed into them and what a read returns."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from memspike.arrays.fidelity import AbstractWires, Ideal
from memspike.arrays.ledger import Ledger, empty, erased, taken, written
from memspike.arrays.periphery import Periphery
from memspike.arrays.sums import Tally
from memspike.arrays.tiles import Send, Tiles, together
from memspike.arrays.trains import Drive, Pulse, one_for_all
from memspike.cells.base import AbstractCell, CellState, Devices, Lines, Weight, weighted
from memspike.cells.differential import DifferentialPair
from memspike.cells.single import SingleReference
from memspike.devices import pcm_course, pulse_course
from memspike.devices.base import AbstractPulseDevice, Key, select
from memspike.devices.coincidences import Coincidences, counted
from memspike.devices.part import AbstractPart
from memspike.devices.pulsed import Pulsed
from memspike.devices.variation.wrappers import AbstractWrapper
from memspike.parts.errors import InputError
from memspike.parts.parallel import held, map_split
from memspike.parts.param import Parameter, is_concrete, param, part
from memspike.parts.random import normal

Real = Float[Array, "..."]
Correction = Lines | None
Product = Callable[[Real, Weight], Real]
TRACE = 1e-4
# share of the range of a weight that single precision may take it beyond an end
ROUNDING = 1e-5
NOTHING = Pulse(energy=0.0, width=0.0)
UNKNOWN = Drive(NOTHING, NOTHING, NOTHING)


class Seen(NamedTuple):
    """What reads see: transfer of every line in S and the s.d. of one read, each [lines, rows, columns]."""

    lines: Lines
    sd: Lines

    def scaled(self, gains: Float[Array, " columns"]) -> "Seen":
        """The same behind column amplifiers of these gains."""
        wide = jnp.broadcast_to(gains, self.lines.shape)
        return Seen(self.lines * wide, self.sd * jnp.abs(jnp.broadcast_to(gains, self.sd.shape)))


def root(variance: Real) -> Real:
    """√variance with a finite slope at 0."""
    positive = variance > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, variance, 1.0)), 0.0)


class Columns(NamedTuple):
    """Of every weight the conductance in S that reads see, and the variance in S² of one read."""

    mean: Weight
    variance: Weight

    def read(self, v: Real, *, key: Key = None, product: Product = jnp.matmul, reads: int = 1) -> Real:
        """Column currents in A for row voltages in V, v @ mean; with a key, with fresh read noise.

        `product` stands for the product of matrices where the currents of several `reads` are averaged.
        """
        current = product(v, self.mean)
        if key is None:
            return current
        variance = product(jnp.square(v), self.variance)
        variance = variance if reads == 1 else variance / reads
        return current + root(variance) * normal(key, current.shape)


class Crossbar(AbstractPart):
    """Rows carry voltages, columns sit at virtual ground and deliver I_j = Σ_i v_i·Σ_l gain_l·G_lij.

    What is on the chip is `self`; the programmed conductances are the state, `Lines` [lines, rows, columns] in S.
    The lines of a cell are neighbouring column wires of the same array; with `tiles` the matrix lies on several
    arrays whose partial sums are added, as numbers behind a converter each or as currents (`Tiles.analog`).
    `drive` are the pulses that program the devices; without it their energy and time are counted as 0.
    """

    cell: AbstractCell = part(DifferentialPair, "how devices make one signed weight")
    wires: AbstractWires = part(Ideal, "resistance of the wires")
    tiles: Tiles | None = part(lambda: None, "size of the arrays that the matrix is cut into")
    periphery: Periphery = part(Periphery, "drivers and converters")
    programming_spread: Parameter = param(0.0, "1", "s.d. of a programmed conductance over its target", bounds=(0, 10))
    read_noise: Parameter = param(0.0, "1", "s.d. of a conductance over its mean at each read", bounds=(0, 10))
    drive: Drive | None = part(lambda: None, "pulses that program the devices")

    def __check_init__(self) -> None:
        if self.tiles is None and self.periphery.ideal:
            return
        lines = jax.eval_shape(self.cell.gains).shape[0]
        if self.tiles is not None:
            self.tiles.check_lines(lines)
        self.periphery.check_lines(lines)

    def fitted(self, w: Weight) -> tuple[Weight, Float[Array, ""]]:
        """The weights times one factor of at most 1 with which all cells can hold them, and that factor.

        Divide the currents of reads by it. InputError for cells that cannot hold 0.
        """
        low, high = self.cell.weight_range(w.shape)
        if is_concrete(low) and is_concrete(high) and not ((np.asarray(low) <= 0) & (np.asarray(high) >= 0)).all():
            raise InputError("Weights cannot be scaled for cells that do not hold 0; another reference is needed.")
        end = jnp.where(w > 0, high, low)
        size = jnp.where(w == 0, 1.0, w)
        factor = jnp.minimum(1.0, jnp.where(w == 0, 1.0, end / size).min())
        return w * factor, factor

    def _check_held(self, w: Weight) -> None:
        """InputError for weights that a cell cannot hold; traced ones pass."""
        if not is_concrete(w):
            return
        low, high = self.cell.weight_range(w.shape)
        if not (is_concrete(low) and is_concrete(high)):
            return
        given, least, most = (np.asarray(x, float) for x in (w, low, high))
        slack = ROUNDING * (most - least)
        wrong = np.argwhere(~((given >= least - slack) & (given <= most + slack)))
        if len(wrong):
            at = tuple(wrong[0])
            raise InputError(
                f"The weight of row {at[0]}, column {at[1]} is {given[at]:g}; its cell can hold {least[at]:g} to "
                f"{most[at]:g}: scale the weights (Crossbar.fitted) or clip them."
            )

    def program(self, w: Weight, *, key: Key = None) -> Lines:
        """Conductances in S for logical weights `w`.

        With a key every device misses its target by a relative Gaussian error of `programming_spread`,
        drawn once, and stays inside the device range. Without a key programming is exact. InputError for weights that
        a cell cannot hold; inside a transformation (a training step) they are clipped: the projection onto the chip.
        """
        self._check_held(w)
        lines = self.cell.conductances(w)
        if key is None:
            return lines
        devices = lines[: self.cell.programmed()]
        missed = devices * (1 + self.programming_spread * normal(key, devices.shape))
        return self.cell.complete(self.cell.clip(missed))

    def write(self, cells: CellState, pulses: Weight | Coincidences, *, key: Key = None) -> tuple[CellState, Ledger]:
        """The cells after whole signed pulses on their weights, and the ledger of it.

        InputError where a pulse's voltage, width or energy is not known.
        """
        device, before = self.cell.device, cells.devices
        if isinstance(pulses, Coincidences) and isinstance(self.cell, SingleReference):
            # every pulse is one of the device: bits are as good as their number
            drive = self._drive()
            if drive is not None and one_for_all(drive) and pulse_course.fits(device, before, pulses):
                moved = pulse_course.moved(device, before, pulses, key=key)
                return cells._replace(devices=moved.state), taken(moved.taken, pulses, drive)
        number = jnp.asarray(counted(pulses), jnp.result_type(float))
        dealt, counter = self.cell.deal(number, cells.counter)
        devices, ledger = self._moved(device, before, dealt, key=key)
        return CellState(devices, counter), ledger

    def _moved(self, device: AbstractPulseDevice, before: Any, dealt: Devices, *, key: Key) -> tuple[Any, Ledger]:
        """Devices after whole signed pulses, and the ledger of it."""
        drive = self._drive()
        if drive is not None and one_for_all(drive) and pulse_course.fits(device, before, dealt):
            moved = pulse_course.moved(device, before, dealt, key=key)
            return moved.state, taken(moved.taken, dealt, drive)
        after, dealt = held((pcm_course.programmed(device, before, dealt, key=key), dealt))
        return after, written(device, before, after, dealt, drive)

    def pulse(self, cells: CellState, dealt: Devices, *, key: Key = None) -> tuple[CellState, Ledger]:
        """The cells after whole signed pulses on every device [devices, rows, columns], and the ledger of it.

        InputError where a pulse's voltage, width or energy is not known.
        """
        devices, ledger = self._moved(self.cell.device, cells.devices, dealt, key=key)
        return cells._replace(devices=devices), ledger

    def pulse_tiles(self, cells: CellState, sends: Sequence[Send], *, key: Key = None) -> tuple[CellState, Ledger]:
        """The cells after whole signed pulses on some tiles of devices, or rows of them, in turn; their ledger.

        InputError where a pulse's voltage, width or energy is not known.
        """
        shape = self.cell.device.stored(cells.devices).shape
        keys = (None,) * len(sends) if key is None else tuple(jax.random.split(key, len(sends)))
        devices, ledgers, drive = cells.devices, [], self._drive()
        for send, own in zip(sends, keys, strict=True):
            if drive is not None and one_for_all(drive) and send.alone:
                moved = send.moved(self.cell.device, devices, shape, key=own)
                if moved is not None:
                    devices = moved.state
                    ledgers.append(taken(moved.taken, send.given(), drive))
                    continue
            n, device, before = send.dealt(shape[1]), send.part(self.cell.device, shape), send.part(devices, shape)
            after, ledger = self._moved(device, before, n, key=own)
            devices = send.put(devices, after, shape)
            ledgers.append(ledger)
        return cells._replace(devices=devices), together(shape, sends, ledgers)

    def erase(
        self, cells: CellState, where: Bool[Array, "devices rows columns"], *, key: Key = None
    ) -> tuple[CellState, Ledger]:
        """The cells after full RESETs of the devices `where` true, and the ledger of it."""
        after = cells._replace(devices=select(where, self.cell.device.reset(cells.devices, key=key), cells.devices))
        counts = where.astype(jnp.result_type(float))
        return after, self._erased(cells, after, counts)

    def book(self, before: CellState, after: CellState, pulses: Devices, resets: Devices) -> Ledger:
        """The ledger of signed `pulses` and `resets` of every device that took the cells from `before` to `after`.

        InputError where a pulse's voltage, width or energy is not known.
        """
        first = written(self.cell.device, before.devices, after.devices, pulses, self._drive())
        erasing = dataclasses.replace(self._erased(before, after, resets), writes=Tally.of(0))  # of the same write
        return first + erasing

    def _erased(self, before: CellState, after: CellState, resets: Devices) -> Ledger:
        drive = self._drive() or UNKNOWN
        pulse = drive.reset or drive.down or Pulse()
        return erased(self.cell.device, before.devices, after.devices, resets, pulse)

    def _drive(self) -> Drive | None:
        device = self.cell.device
        while isinstance(device, AbstractWrapper):
            device = device.device
        return None if isinstance(device, Pulsed) else self.drive or UNKNOWN

    def ledger(self, shape: tuple[int, ...]) -> Ledger:
        """The ledger of a new matrix [rows, columns]: of all devices that take pulses, not of fixed references."""
        return empty((self.cell.programmed(), *shape))

    def _on_tiles(self, lines: Lines, one: Any, each: Any) -> Lines:
        """`one` applied to every physical array: neighbouring lines interleaved, the matrix cut into tiles.

        `each` maps it over tiles: one after the other, or all together.
        """
        n, rows, columns = lines.shape
        physical = jnp.moveaxis(lines, 0, -1).reshape(rows, columns * n)
        if self.tiles is None:
            done = one(physical)
        else:
            self.tiles.check(physical.shape, n)
            blocks = self.tiles.split(physical, n)
            flat = each(one, blocks.reshape(-1, *blocks.shape[2:]))
            done = self.tiles.join(flat.reshape(blocks.shape), physical.shape)
        return jnp.moveaxis(done.reshape(rows, columns, n), -1, 0)

    def _exact(self, lines: Lines, tolerance: float | None = None) -> Lines:
        return self._on_tiles(lines, lambda g: self.wires.transfer(g, tolerance), map_split)

    def _estimate(self, lines: Lines) -> Lines:
        return self._on_tiles(lines, self.wires.estimate, lambda one, blocks: jax.vmap(one)(blocks))

    def _through(self, lines: Lines, correction: Correction) -> Lines:
        if isinstance(self.wires, Ideal):
            return lines
        if correction is None:
            return self._exact(lines)
        return self._estimate(lines) * correction

    def transfer(self, lines: Lines, *, correction: Correction = None, sd: Lines | None = None) -> Seen:
        """What the array does to row voltages: line currents = v @ transfer; `lines` itself with ideal wires.

        Exact, by one solution of the nodal equations for every row or column of a tile. With the `correction` of
        conductances nearby it is the estimate of the wires times that ratio: exact where the correction was
        taken, a few orders of magnitude cheaper, with the gradient of the estimate. See `correction`.

        `sd` in S is that of one read of every device; without it, read_noise·G. With wires the noise of a device
        acts through its own element of the transfer matrix: first order in the voltage drop.
        """
        through = self._through(lines, correction)
        if sd is None:
            return Seen(through, self.read_noise * through)
        if isinstance(self.wires, Ideal):
            return Seen(lines, sd)
        return Seen(through, sd * jnp.where(lines > 0, through / jnp.where(lines > 0, lines, 1.0), 1.0))

    def correction(self, lines: Lines, tolerance: float | None = None) -> Correction:
        """Exact transfer over its estimate at these conductances; None with ideal wires.

        Training takes it once in a while: the ratio moves far more slowly than the weights. `tolerance` of the
        solver: None is what the precision gives.
        """
        if isinstance(self.wires, Ideal):
            return None
        # a device at 0 S has no ratio; with a trace of conductance it stands out from the sneak paths around it
        lines = jnp.maximum(lines, TRACE * lines.max())
        return self._exact(lines, tolerance) / self._estimate(lines)

    def deviation(self, lines: Lines, used: Correction, exact: Correction) -> Float[Array, ""]:
        """Rms error of the signed transfer with the correction `used` over its rms; 0 with ideal wires."""
        if used is None or exact is None:
            return jnp.zeros(())
        estimate = self._estimate(lines)
        gains = self.cell.gains().astype(lines.dtype)
        true, wrong = (weighted(gains, estimate * c) for c in (exact, used - exact))
        # relative before squaring: squared microsiemens underflow in float32
        unit = jnp.abs(true).max()
        return root(jnp.square(wrong / unit).mean()) / root(jnp.square(true / unit).mean())

    def read(self, seen: Seen | Lines, v: Float[Array, "... rows"], *, key: Key = None) -> Real:
        """Column currents in A for row voltages `v` in V; with a key, with fresh read noise.

        `seen` is what `transfer` returns, or the conductances it is to be taken of. The noise of all devices of a
        column adds up to one Gaussian of variance Σ_i v_i²·Σ_l gain_l²·sd_lij², so one normal per output is drawn:
        the same distribution as noise of every device, unless a read is clipped (a device near the floor of its
        reads). With converters it is one normal per converted current, and what is returned is the current that
        the sum of the codes stands for.
        """
        seen = seen if isinstance(seen, Seen) else self.transfer(seen)
        if self.periphery.ideal:
            return self.columns(seen).read(v, key=key)
        return self.weighed(seen, v, self.cell.gains().astype(seen.lines.dtype), key=key)

    def weighed(
        self, seen: Seen, v: Float[Array, "... rows"], gains: Float[Array, " lines"], *, key: Key = None
    ) -> Real:
        """Currents in A for `v` in V, as `read`, with other `gains` of the lines of a cell, such as those of one
        device.
        """
        keys = (None, None) if key is None else jax.random.split(key)
        return self._converted(seen, self.periphery.drive(v, key=keys[0]), gains, key=keys[1])

    def columns(self, seen: Seen) -> Columns:
        """What columns without converters make of row voltages, for many reads of the same conductances."""
        gains = self.cell.gains().astype(seen.lines.dtype)
        variance = weighted(jnp.square(gains), jnp.square(seen.sd))
        return Columns(weighted(gains, seen.lines), variance)

    def _converted(self, seen: Seen, v: Real, gains: Real, *, key: Key) -> Real:
        """Every tile read and converted, partial sums added; one conversion for all with analog partial sums."""
        rows = seen.lines.shape[1]
        step = rows if self.tiles is None or self.tiles.analog else self.tiles.size(seen.lines.shape[1:])[0]
        total = jnp.zeros((), v.dtype)
        for k, first in enumerate(range(0, rows, step)):
            part = slice(first, first + step)
            here = v[..., part]
            currents = jnp.stack([here @ g for g in seen.lines[:, part]])
            sense_key = None
            if key is not None:
                sense_key, noise_key = jax.random.split(jax.random.fold_in(key, k))
                variance = jnp.stack([jnp.square(here) @ jnp.square(sd) for sd in seen.sd[:, part]])
                currents = currents + root(variance) * normal(noise_key, currents.shape)
            total = total + self.periphery.sense(currents, gains, key=sense_key)
        return total
