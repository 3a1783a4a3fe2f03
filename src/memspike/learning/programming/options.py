"""The options of programming schemes: unit, meaning and bounds of each stand here once, and one check for all."""

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Annotated, Any, ParamSpec, TypeVar, get_args, get_type_hints

import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from memspike.devices.base import Seconds
from memspike.parts.errors import InputError
from memspike.parts.param import Meta, Parameter, is_concrete

Takes = ParamSpec("Takes")
Made = TypeVar("Made")
# a change of a logical weight
WeightStep = Float[Array, ""] | float

ABOVE_ZERO = 1e-12
POSITIVE, NOT_NEGATIVE, SHARE = (ABOVE_ZERO, math.inf), (0.0, math.inf), (ABOVE_ZERO, 1.0)
COUNT = (1.0, math.inf)

QUANTUM = Meta("1", "what leaves the accumulator at once, in units of weight", POSITIVE)
STEP = Meta("1", "weight step that a pulse is taken to give", POSITIVE)
MOST = Meta("1", "pulses on a weight in one update at most", COUNT)


def _or_none(meta: Meta, means: str) -> Meta:
    return meta._replace(doc=f"{meta.doc}; none: {means}")


def _or_nominal(meta: Meta) -> Meta:
    return _or_none(meta, "that of the mean device in mid-range")


Quantum = Annotated[WeightStep, QUANTUM]
OptionalQuantum = Annotated[WeightStep | None, _or_nominal(QUANTUM)]
QuantumPulses = Annotated[int, Meta("1", "pulses that a quantum is written by", COUNT)]
PulseStep = Annotated[WeightStep, STEP]
OptionalPulseStep = Annotated[WeightStep | None, _or_nominal(STEP)]
Scale = Annotated[
    WeightStep | None, _or_nominal(Meta("1", "change of a weight from which on a pulse is certain", POSITIVE))
]
DeadZone = Annotated[float, Meta("1", "largest change of a weight that gives no pulse", NOT_NEGATIVE)]
MostPulses = Annotated[int, MOST]
OptionalMostPulses = Annotated[int | None, _or_none(MOST, "no limit")]
FullShare = Annotated[float, Meta("1", "share of its range at which a device counts as full", SHARE)]
UpdateInterval = Annotated[int, Meta("1", "updates between refreshes or coarse reads", COUNT)]
Levels = Annotated[int, Meta("1", "levels that a coarse read tells apart", (2.0, math.inf))]
STREAM = Meta("1", "bits of the longest stream", COUNT)
StreamLength = Annotated[int, STREAM]
OptionalStreamLength = Annotated[int | None, _or_none(STREAM, "a matrix is written, by rounding")]
Tolerance = Annotated[float, Meta("1", "accepted error of a device over its range", SHARE)]
SettleTime = Annotated[Seconds, Meta("s", "time from a pulse to the read that follows it", NOT_NEGATIVE)]
GradientGain = Annotated[Parameter, Meta("1", "gain from Δw to the gradient array A", POSITIVE)]
TransferPeriod = Annotated[
    Parameter, Meta("1", "updates in which the gradient array A is added to the weight array C once", POSITIVE)
]
ChopRate = Annotated[float, Meta("1", "share of the reads of a row of A after which its chopper turns", SHARE)]
Slowdown = Annotated[int, Meta("1", "read interval of an array over that of the next one", COUNT)]
ReadNoise = Annotated[float, Meta("1", "s.d. added to a reading of A, in units of weight", NOT_NEGATIVE)]
GradientMemory = Annotated[
    float, Meta("1", "weight of the past in the mean of max |Δw| that scales gradients; 0: no scaling", (0.0, 0.999999))
]
ReadVoltage = Annotated[
    Parameter, Meta("V", "row voltage of a read of A, on arrays with wires or converters", (1e-6, 10.0))
]
RowReads = Annotated[float, Meta("1", "rows of A read in an update: a whole number, or one over it", POSITIVE)]


@functools.cache
def _options(owner: Any) -> dict[str, tuple[tuple[Any, ...], Meta]]:
    """The types and the metadata of the annotated arguments of a function, or fields of a class."""
    hints = get_type_hints(owner, include_extras=True).items()
    return {
        name: (get_args(hint.__origin__) or (hint.__origin__,), meta)
        for name, hint in hints
        for meta in getattr(hint, "__metadata__", ())
        if isinstance(meta, Meta)
    }


def check_options(owner: Any, given: Mapping[str, Any]) -> None:
    """InputError unless every given option of `owner` is a number of its kind, within bounds; traced numbers pass."""
    for name, (kinds, meta) in _options(owner).items():
        value, whole, (low, high) = given.get(name), int in kinds, meta.bounds
        if name not in given or (value is None and NoneType in kinds) or (isinstance(value, Tracer) and not whole):
            continue
        numbers = np.asarray(value if is_concrete(value) else None)
        kind = numbers.dtype.kind in ("iu" if whole else "iuf")
        if not (kind and (np.isfinite(numbers) & (low <= numbers) & (numbers <= high)).all()):
            unit = "" if meta.unit == "1" else f" {meta.unit}"
            bounds = f"{low:g} to {high:g}{unit}" if math.isfinite(high) else f"{low:g}{unit} on"
            raise InputError(
                f"{name} ({meta.doc}) is {value}{unit}; "
                f"a {'whole' if whole else 'finite'} number from {bounds} is needed."
            )


def checked(make: Callable[Takes, Made]) -> Callable[Takes, Made]:
    """`make`, which raises InputError for what `check_options` refuses."""
    signature = inspect.signature(make)

    @functools.wraps(make)
    def call(*args: Takes.args, **kwargs: Takes.kwargs) -> Made:
        check_options(make, signature.bind(*args, **kwargs).arguments)
        return make(*args, **kwargs)

    return call
