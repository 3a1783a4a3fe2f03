"""The schemes by their names, each a way to count pulses and a way to write them."""

from memspike.cells.refresh import Refresh
from memspike.learning.programming import options
from memspike.learning.programming.base import Scheme, compose
from memspike.learning.programming.counting import (
    accumulate,
    accumulate_capped,
    expected_step,
    rounded,
    sign,
    stochastic,
)
from memspike.learning.programming.refreshed import refreshed
from memspike.learning.programming.stochastic_rounding import by_rounding
from memspike.learning.programming.writers import update_ready
from memspike.parts.registry import SCHEMES

RELEASED = "released code of Demirağ et al., arXiv 2108.01804"


@SCHEMES.register("sign", "one pulse on every device of the side that the sign of Δw asks for; dead zone", RELEASED)
@options.checked
def by_sign(dead_zone: options.DeadZone = 0.0) -> Scheme:
    """`sign`, written blind."""
    return compose(sign(dead_zone))


@SCHEMES.register("stochastic", "one pulse with a probability in proportion to Δw", RELEASED)
@options.checked
def by_chance(scale: options.Scale = None) -> Scheme:
    """`stochastic`, written blind."""
    return compose(stochastic(scale))


@SCHEMES.register(
    "multi",
    "whole pulses at once, dealt cyclically to the devices of a side",
    "Boybat et al., Nat. Commun. 9: 2514 (2018), doi 10.1038/s41467-018-04933-y; " + RELEASED,
)
@options.checked
def multi_device(step: options.OptionalPulseStep = None) -> Scheme:
    """`rounded`, what is below a step is lost; for `MultiDevice` cells, whose N devices make a step 1/N as large."""
    return compose(rounded(step))


@SCHEMES.register(
    "mixed-precision",
    "Δw accumulates in digital memory; a whole quantum is one pulse on one device",
    "Nandakumar et al., Front. Neurosci. 14: 406 (2020), doi 10.3389/fnins.2020.00406",
)
@options.checked
def mixed_precision(quantum: options.OptionalQuantum = None, pulses: options.QuantumPulses = 1) -> Scheme:
    """`accumulate`, written blind."""
    return compose(accumulate(quantum, pulses))


@SCHEMES.register("mixed-precision-released", "mixed precision with the pulse count of the released code", RELEASED)
@options.checked
def mixed_precision_released(quantum: options.Quantum = 0.125, step: options.PulseStep = 0.75 / 11.82503) -> Scheme:
    """`accumulate_capped`, written blind: for reproduction."""
    return compose(accumulate_capped(quantum, step))


@SCHEMES.register("update-ready", "mixed precision; where a device is full, the opposite one is RESET", RELEASED)
@options.checked
def ready(quantum: options.OptionalQuantum = None, full: options.FullShare = 10 / 12) -> Scheme:
    """`accumulate` with the writer `update_ready`, both taking a `quantum` as the step of a pulse."""
    return compose(accumulate(quantum), update_ready(full, quantum))


@SCHEMES.register("expected-step", "mixed precision that spends what the next pulse of that device is expected to give")
@options.checked
def by_expected_step(most: options.MostPulses = 1) -> Scheme:
    """`expected_step`, written blind: the controller counts pulses and reads nothing."""
    return compose(expected_step(most))


@SCHEMES.register("mixed-precision-refreshed", "mixed precision with a refresh of full pairs every 100 updates")
@options.checked
def mixed_precision_refreshed(
    quantum: options.OptionalQuantum = None, every: options.UpdateInterval = 100, settle: options.SettleTime = 38.6
) -> Scheme:
    """`mixed_precision` inside `refreshed`."""
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
