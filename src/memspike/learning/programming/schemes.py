"""The schemes by their names, each a way to count pulses and a way to write them; and those without pulses."""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from jaxtyping import PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.cells.base import CellState, Weight
from memspike.cells.refresh import Refresh
from memspike.devices.base import select
from memspike.learning.programming import counting, options
from memspike.learning.programming.base import Applied, Counting, Scheme, compose, nothing, unwritten
from memspike.learning.programming.options import Takes
from memspike.learning.programming.writers import refreshed, update_ready
from memspike.parts.registry import SCHEMES

RELEASED = "released code of Demirağ et al., arXiv 2108.01804"


def _moved(crossbar: Crossbar, cells: CellState, dw: Weight) -> CellState:
    """The cells put at their weight + dw; where nothing is wanted they are left as they are, age and all."""
    cell = crossbar.cell
    there = cell.place(cells, cell.weight(cell.stored(cells)) + dw)
    return there._replace(devices=select((dw != 0)[None], there.devices, cells.devices))


def _exact(state: Any, crossbar: Crossbar, cells: CellState, dw: Weight, *, key: PRNGKeyArray | None) -> Applied:
    return Applied(state, _moved(crossbar, cells, dw), unwritten(crossbar, cells))


@SCHEMES.register("ideal", "exact programming, clipped to the conductance range of the device; no pulses")
def ideal() -> Scheme:
    """Each cell is put at exactly the wanted weight, by no pulses at all; the device range still clips.

    In cells that hold levels (`BitSliced`) it is the nearest one: changes below half a level are lost.

    Source: a bound of this library, no model of hardware.
    """
    return Scheme(nothing, _exact, exact=True)


@SCHEMES.register("fp32", "weights in digital memory, clipped to [−1, 1]: the upper bound of every scheme")
def fp32() -> Scheme:
    """The scheme `ideal` on digital memory in place of devices: no drift, no noise.

    Source: a bound of this library, no model of hardware.
    """
    return Scheme(nothing, _exact, exact=True, digital=True)


@SCHEMES.register("accumulate-digital", "digital weights that move by whole quanta of accumulated changes")
@options.checked
def accumulate_digital(quantum: options.Quantum = 0.125) -> Scheme:
    """Wanted changes add up; whole quanta leave the accumulator and move digital weights, clipped to [−1, 1].

    Source: a baseline of this library, `mixed_precision` without devices.
    """

    def apply(state: Weight, crossbar: Crossbar, cells: CellState, dw: Weight, *, key: PRNGKeyArray | None) -> Applied:
        left, quanta = counting.taken(state + dw, quantum)
        return Applied(left, _moved(crossbar, cells, quanta * quantum), unwritten(crossbar, cells))

    return Scheme(counting.zero_weights, apply, digital=True)


def blind(count: Callable[Takes, Counting], name: str, doc: str, source: str = "") -> Callable[Takes, Scheme]:
    """The scheme of a way to count, written blind, with the same options; registered under `name`."""

    @functools.wraps(count)
    def make(*args: Takes.args, **kwargs: Takes.kwargs) -> Scheme:
        return compose(count(*args, **kwargs))

    make.__signature__ = inspect.signature(count).replace(return_annotation=Scheme)  # pyright: ignore
    return SCHEMES.add(name, make, doc, source)


by_sign = blind(
    counting.sign, "sign", "one pulse on every device of the side that the sign of Δw asks for; dead zone", RELEASED
)
by_chance = blind(counting.stochastic, "stochastic", "one pulse with a probability in proportion to Δw", RELEASED)
# what is below a step is lost; for `MultiDevice` cells, whose N devices make a step 1/N as large
multi_device = blind(
    counting.rounded,
    "multi",
    "whole pulses at once, dealt cyclically to the devices of a side",
    "Boybat et al., Nat. Commun. 9: 2514 (2018), doi 10.1038/s41467-018-04933-y; " + RELEASED,
)
by_rounding = blind(
    counting.stochastically_rounded,
    "stochastic-rounding",
    "analog SGD: whole pulses that are right on average, nothing stored",
    "Gokmen & Vlasov, Front. Neurosci. 10: 333 (2016), doi 10.3389/fnins.2016.00333 (there by coinciding bit streams)",
)
by_sign_gain = blind(
    counting.sign_gain,
    "sign-gain",
    "stochastic rounding by the weight step of a pulse in its direction, at mid-range",
)
by_running_gain = blind(
    counting.running_gain,
    "running-gain",
    "stochastic rounding by the weight step of a pulse at the running mean of the array",
)
mixed_precision = blind(
    counting.accumulate,
    "mixed-precision",
    "Δw accumulates in digital memory; a whole quantum is one pulse on one device",
    "Nandakumar et al., Front. Neurosci. 14: 406 (2020), doi 10.3389/fnins.2020.00406",
)
# for reproduction
mixed_precision_released = blind(
    counting.accumulate_capped,
    "mixed-precision-released",
    "mixed precision with the pulse count of the released code",
    RELEASED,
)
by_expected_step = blind(
    counting.expected_step,
    "expected-step",
    "mixed precision that spends what the next pulse of that device is expected to give",
)


@SCHEMES.register("update-ready", "mixed precision; where a device is full, the opposite one is RESET", RELEASED)
@options.checked
def ready(quantum: options.OptionalQuantum = None, full: options.FullShare = 10 / 12) -> Scheme:
    """`accumulate` with the writer `update_ready`, both taking a `quantum` as the step of a pulse."""
    return compose(counting.accumulate(quantum), update_ready(full, quantum))


@SCHEMES.register("mixed-precision-refreshed", "mixed precision with a refresh of full pairs every 100 updates")
@options.checked
def mixed_precision_refreshed(
    quantum: options.OptionalQuantum = None, every: options.UpdateInterval = 100, settle: options.SettleTime = 38.6
) -> Scheme:
    """`mixed_precision` inside `refreshed`.

    Source: the combination is a choice of this library; its parts cite theirs.
    """
    return refreshed(mixed_precision(quantum), Refresh(), every, settle)


@SCHEMES.register(
    "one-sided-refreshed",
    "stochastic rounding on pairs written from one side, with a refresh where both sides have filled",
    "aihwkit, one-sided cells: Rasch et al., arXiv 2104.02184 (2021); thresholds 0.75 and 0.25",
)
@options.checked
def one_sided_refreshed(
    step: options.OptionalPulseStep = None,
    most: options.OptionalMostPulses = None,
    every: options.UpdateInterval = 100,
    settle: options.SettleTime = 38.6,
) -> Scheme:
    """`by_rounding` inside `refreshed`: a pair with its sides above 0.75 and 0.25 is RESET and rewritten."""
    return refreshed(by_rounding(step, most), Refresh(above=0.75, apart=2.0, emptier=0.25), every, settle)
