"""What a ledger costs: energies, area and latency of the periphery, with the source of every number.

Every number can be replaced. What no publication gives is called an assumption in the `source` of its class.
"""

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from memspike.arrays.ledger import Ledger
from memspike.arrays.periphery import Shared
from memspike.arrays.sums import FULL
from memspike.arrays.wear import AbstractWear
from memspike.devices.part import AbstractModel, AbstractPart
from memspike.parts.errors import InputError
from memspike.parts.param import Parameter, is_concrete, option, param, part

ISAAC = "Shafiee et al., ISCA 2016 (ISAAC), doi 10.1109/ISCA.2016.12"


class AbstractADC(AbstractModel):
    """An analogue-to-digital converter: energy of a conversion, conversions a second, area."""

    if TYPE_CHECKING:
        rate: Parameter = eqx.field(init=False)
        area: Parameter = eqx.field(init=False)
    else:
        rate: eqx.AbstractVar[Parameter]
        area: eqx.AbstractVar[Parameter]

    @abstractmethod
    def energy(self) -> Float[Array, "..."]:
        """Energy of one conversion in J."""


class WaldenADC(AbstractADC):
    """E = FoM·2^bits, with the Walden figure of merit FoM = P/(f·2^ENOB) and effective bits.

    Default: a single-channel SAR converter in 28 nm CMOS; 34.4 fJ per conversion step at 1.25 GS/s, 3.56 mW and
    40.1 dB SNDR (6.4 effective bits), core 0.0071 mm². The best converters reach a few fJ at lower rates.
    """

    source: ClassVar[str] = (
        "definition: Walden, IEEE JSAC 17(4): 539 (1999), doi 10.1109/49.761034; defaults: Ramkaj et al., IEEE JSSC "
        "53(7): 1889 (2018), as read in its abstract; the default of 8 bits is an assumption (7-bit converter)"
    )

    figure_of_merit: Parameter = param(34.4e-15, "J", "energy of a conversion step", bounds=(0, 1e-6))
    bits: Parameter = param(8.0, "1", "effective number of bits", bounds=(0, 32))
    rate: Parameter = param(1.25e9, "1/s", "conversions a second", bounds=(1, 1e13))
    area: Parameter = param(0.0071e-6, "m²", "area of a converter", bounds=(0, 1))

    def energy(self) -> Float[Array, "..."]:
        """FoM·2^bits."""
        return jnp.asarray(self.figure_of_merit) * jnp.exp2(self.bits)


class RatedADC(AbstractADC):
    """E = P/f of a converter whose power and rate are published.

    Default: one of the eight 8-bit converters of an ISAAC multiply unit, in all 16 mW at 1.2 GS/s each and
    0.0096 mm² at 32 nm: 1.67 pJ a conversion. The measured circuit behind it takes 3.1 mW at 1.2 GS/s (2.6 pJ).
    """

    source: ClassVar[str] = (
        f"{ISAAC}, component table as read in the comments of a public estimator library (its ISAAC component "
        "file); circuit: Kull et al., ISSCC 2013, doi 10.1109/ISSCC.2013.6487818, as read in its title"
    )

    power: Parameter = param(2e-3, "W", "power of a converter while it runs", bounds=(0, 1e3))
    rate: Parameter = param(1.2e9, "1/s", "conversions a second", bounds=(1, 1e13))
    area: Parameter = param(1200e-12, "m²", "area of a converter", bounds=(0, 1))

    def energy(self) -> Float[Array, "..."]:
        """P/f."""
        return jnp.asarray(self.power) / self.rate


class RowDriver(AbstractPart):
    """The driver of a row: E = P·cycle for a row driven once.

    Default: the 1-bit drivers of ISAAC, 4 mW and 0.00017 mm² for 8·128 of them, in a read cycle of 100 ns: 0.39 pJ.
    """

    source: ClassVar[str] = (
        f"{ISAAC}, component table as read in the comments of a public estimator library (power, area); cycle: "
        "assumption, about the time of 128 columns at 1.2 GS/s"
    )

    power: Parameter = param(4e-3 / 1024, "W", "power of a driver", bounds=(0, 1e3))
    cycle: Parameter = param(100e-9, "s", "time that it is on for a read", bounds=(0, 1e3))
    area: Parameter = param(170e-12 / 1024, "m²", "area of a driver", bounds=(0, 1))

    def energy(self) -> Float[Array, "..."]:
        """P·cycle of one driven row in J."""
        return jnp.asarray(self.power) * self.cycle


class SampleHold(AbstractPart):
    """The capacitor of a column that waits for its converter: E = C·V²."""

    source: ClassVar[str] = "assumption: a capacitor of 10 fF charged to 1 V, 10 µm² with its switch"

    capacitance: Parameter = param(10e-15, "F", "hold capacitor", bounds=(0, 1e-3))
    swing: Parameter = param(1.0, "V", "voltage that it is charged to", bounds=(0, 100))
    area: Parameter = param(10e-12, "m²", "area of capacitor and switch", bounds=(0, 1))

    def energy(self) -> Float[Array, "..."]:
        """C·V² of one sample in J."""
        return jnp.asarray(self.capacitance) * self.swing**2


class Adder(AbstractPart):
    """Digital addition of one converted partial sum: 32-bit integer, 45 nm at 0.9 V."""

    source: ClassVar[str] = (
        "Horowitz, ISSCC 2014, doi 10.1109/ISSCC.2014.6757323 (energy, as read in table 3 of PMC8934428, which "
        f"cites it); area: shift-and-add unit of {ISAAC}, 60 µm² at 32 nm, as read in the comments of a public "
        "estimator library"
    )

    energy: Parameter = param(0.1e-12, "J", "energy of an addition", bounds=(0, 1e-3))
    area: Parameter = param(60e-12, "m²", "area of an adder", bounds=(0, 1))


class NeuronCost(AbstractPart):
    """A neuron at the end of a column: energy of a spike, energy of a time step without one, area.

    Default: an analogue leaky integrate-and-fire neuron in 28 nm CMOS at 250 mV, 1.61 fJ a spike and 34 µm²
    (another, of Morris–Lecar type in 65 nm: 4 fJ a spike, doi 10.3389/fnins.2017.00123). A device neuron such as
    MIF has its own dissipation: give it to the ledger (`stepped(…, energy=…)`) and set both energies to 0.
    """

    source: ClassVar[str] = (
        "Besrour et al., arXiv 2408.07734, as read in its abstract (energy of a spike, area); no energy between "
        "spikes: assumption"
    )

    spike: Parameter = param(1.61e-15, "J", "energy of a spike", bounds=(0, 1))
    step: Parameter = param(0.0, "J", "energy of a neuron in a time step", bounds=(0, 1))
    area: Parameter = param(34e-12, "m²", "area of a neuron", bounds=(0, 1))


class CellArea(AbstractPart):
    """The area of one device, height × width in feature sizes, and the wires that pass over it.

    Default: a passive crosspoint, 2F × 2F = 4F²; one with an access transistor has 4F × 12F. A row of n devices is a
    wire of n·width·F metres with a capacitance of 0.2 fF/µm.
    """

    source: ClassVar[str] = (
        "DNN+NeuroSim source (Param.cpp: heightInFeatureSizeCrossbar 2, heightInFeatureSize1T1R 4, "
        "widthInFeatureSize1T1R 12; SubArray.cpp: 0.2 fF/µm), as read in public copies; F = 32 nm: assumption"
    )

    feature: Parameter = param(32e-9, "m", "feature size F", bounds=(1e-10, 1e-3))
    height: Parameter = param(2.0, "1", "height of a device in F (along a column)", bounds=(0, 1e4))
    width: Parameter = param(2.0, "1", "width of a device in F (along a row)", bounds=(0, 1e4))
    capacitance: Parameter = param(0.2e-15 / 1e-6, "F/m", "capacitance of a wire per metre", bounds=(0, 1))

    def area(self) -> Float[Array, "..."]:
        """Area of one device in m²."""
        return jnp.asarray(self.height) * self.width * self.feature**2

    def row_capacitance(self, devices: int) -> Float[Array, "..."]:
        """Capacitance in F of a row wire over `devices` devices."""
        return jnp.asarray(self.capacitance) * self.width * self.feature * devices


class Costs(AbstractPart):
    """The periphery of one array. A part that the chip does not have is None, and what uses it is refused.

    `columns_per_adc` columns take turns at one converter: a column is held, converted, and added to a partial sum.
    """

    source: ClassVar[str] = f"parts: see each; columns_per_adc: {ISAAC} (one converter for an array of 128 columns)"

    adc: AbstractADC | None = part(RatedADC, "converter of columns")
    dac: RowDriver | None = part(RowDriver, "driver of a row")
    hold: SampleHold | None = part(SampleHold, "what holds a column until its conversion")
    adder: Adder | None = part(Adder, "what adds a converted partial sum")
    neuron: NeuronCost | None = part(NeuronCost, "neuron of a column")
    cell: CellArea = part(CellArea, "area of a device")
    columns_per_adc: int = option(128, "columns that take turns at one converter", bounds=(1, 1_000_000_000))


class ReadTime(NamedTuple):
    """In s: from the start of a read to its last digital value, and between reads that overlap."""

    latency: float
    interval: float


def read_time(columns: int, duration: float, costs: Costs, conversions: float = 1.0) -> ReadTime:
    """How long a read of the array takes.

    All rows are driven for `duration` s, all columns are sampled at its end, then every converter takes its
    columns one after the other, each by `conversions` conversions: one where the lines of a cell are combined before,
    as many as lines where after. With sample-and-holds the next read is driven meanwhile, so reads follow each
    other at the longer of both; without, at their sum. Without a converter: `duration`.
    """
    if not (np.isfinite(duration) and duration >= 0):
        raise InputError(f"The duration of a read is {duration:g} s; a finite number from 0 s on is needed.")
    if costs.adc is None:
        return ReadTime(duration, duration)
    turns = min(columns, costs.columns_per_adc) * conversions / float(costs.adc.rate)
    total = duration + turns
    return ReadTime(total, total if costs.hold is None else max(duration, turns))


def pulses_taken(wear: AbstractWear) -> Float[np.ndarray, "..."]:
    """Pulses and RESETs of every device; InputError if a counter is full."""
    counts = [np.asarray(x) for x in (wear.up, wear.down, wear.resets)]
    if any((x == FULL).any() for x in counts):
        raise InputError(f"A device counter is full at {FULL} pulses; the ledger is no longer exact.")
    return np.sum(np.asarray(counts, np.float64), axis=0)


def endurance_used(
    ledger: Ledger, endurance: Float[Array, "..."] | Float[np.ndarray, "..."] | float
) -> Float[np.ndarray, "..."]:
    """Share of the `endurance`, in pulses, that every device has used, [lines, rows, columns]; above 1 it is worn out.

    A pulse up, a pulse down and a RESET use one each. Published endurance counts full switching cycles, which is
    the pessimistic reading for partial pulses. InputError unless `endurance` is finite and above 0.
    """
    limit = np.asarray(endurance, np.float64)
    if not (np.isfinite(limit) & (limit > 0)).all():
        worst = limit[~(np.isfinite(limit) & (limit > 0))].flat[0]
        raise InputError(f"The endurance is {worst:g} pulses; a finite number above 0 is needed.")
    return pulses_taken(ledger.worn()) / limit


def _each(what: str, part: Any, count: int, energy: Any) -> float:
    """`count` events of a part; a part that is absent may have had none."""
    if part is None:
        if count:
            raise InputError(f"The ledger counts {count} of {what}, but the costs have no part for them.")
        return 0.0
    return count * float(energy(part))


def area(lines: int, rows: int, columns: int, costs: Costs) -> float:
    """Area in m²: devices, a driver a row, a hold and a neuron a column, converters with their adders; no routing."""
    shared = 0 if costs.adc is None else Shared(costs.columns_per_adc).converters(columns)
    parts = ((costs.dac, rows), (costs.hold, columns), (costs.adc, shared), (costs.adder, shared))
    periphery = sum(n * float(part.area) for part, n in (*parts, (costs.neuron, columns)) if part is not None)
    return lines * rows * columns * float(costs.cell.area()) + periphery


def _energies(ledger: Ledger, costs: Costs) -> dict[str, float]:
    lines, _, columns = ledger.up.shape
    converted = int(ledger.column_conversions)
    square = float(ledger.read_square.exact() + ledger.write_square.exact())
    wires = float(costs.cell.row_capacitance(lines * columns)) * square
    return {
        "write_energy_j": float(ledger.worn().energy.exact().sum()),
        "read_energy_j": float(ledger.read_energy.exact()),
        "wire_energy_j": float(ledger.wire_energy.exact()) + wires,
        "converter_energy_j": _each("conversions", costs.adc, converted, lambda adc: adc.energy())
        + (0.0 if costs.hold is None else converted * float(costs.hold.energy()))
        + _each("driven rows", costs.dac, int(ledger.row_conversions), lambda dac: dac.energy()),
        "digital_energy_j": _each("partial sums", costs.adder, converted, lambda adder: adder.energy),
        "neuron_energy_j": float(ledger.neuron_energy.exact())
        + _each("spikes", costs.neuron, int(ledger.spikes), lambda neuron: neuron.spike)
        + _each("neuron steps", costs.neuron, int(ledger.neuron_steps), lambda neuron: neuron.step),
    }


def summary(ledger: Ledger, costs: Costs, *, endurance: Any = None) -> dict[str, float]:
    """The costs of one array as plain numbers, the unit in every name.

    Pulses include RESETs. Read latency: `read_time` at the mean duration and the mean conversions of the reads; write
    latency: the mean of the writes. `endurance` in pulses adds the share of it that is used. InputError for a ledger
    of several chips (take one of the `vmap` axis), for counters that are full, and for events without a part in
    `costs`.
    """
    wear = ledger.worn()
    if not is_concrete(wear.up) or wear.up.ndim != 3:
        raise InputError(
            f"The ledger has devices of shape {wear.up.shape}; [lines, rows, columns] of one chip is needed."
        )
    lines, rows, columns = wear.up.shape
    pulses = pulses_taken(wear)
    reads, writes = int(ledger.reads), int(ledger.writes)
    conversions = int(ledger.column_conversions) / max(reads * columns, 1)
    one = read_time(columns, float(ledger.read_seconds.exact()) / max(reads, 1), costs, conversions)
    found = {
        "devices": float(pulses.size),
        "pulses_up": float(np.asarray(wear.up, np.float64).sum()),
        "pulses_down": float(np.asarray(wear.down, np.float64).sum()),
        "resets": float(np.asarray(wear.resets, np.float64).sum()),
        "pulses_per_device": float(pulses.mean()),
        "pulses_most": float(pulses.max()),
        "writes": float(writes),
        "reads": float(reads),
        "spikes": float(int(ledger.spikes)),
    }
    energies = _energies(ledger, costs)
    found |= energies | {"total_energy_j": sum(energies.values())}
    found |= {
        "area_mm2": area(lines, rows, columns, costs) * 1e6,
        "latency_read_s": one.latency if reads else 0.0,
        "latency_write_s": float(ledger.write_seconds.exact()) / max(writes, 1),
        "time_reading_s": one.latency + (reads - 1) * one.interval if reads else 0.0,
        "time_writing_s": float(ledger.write_seconds.exact()),
    }
    if endurance is not None:
        used = endurance_used(ledger, endurance)
        found |= {"endurance_used_mean": float(used.mean()), "endurance_used_max": float(used.max())}
    return found
