"""A layer, and the one time loop."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.arrays.crossbar import Crossbar, Seen
from memspike.arrays.rows import AbstractRows, StaticRows
from memspike.cells.base import Lines
from memspike.networks.base import Clock
from memspike.neurons.base import AbstractNeuron
from memspike.neurons.filters import AbstractFilter, AlphaFilter
from memspike.neurons.mif import MIF
from memspike.parts.errors import InputError

Real = Float[Array, "..."]


class Layer(eqx.Module):
    """Row voltages → crossbar currents → filter → membranes; `shape` is (rows, columns)."""

    shape: tuple[int, int] = eqx.field(static=True)
    crossbar: Crossbar = eqx.field(default_factory=Crossbar)
    rows: AbstractRows = eqx.field(default_factory=StaticRows)
    filter: AbstractFilter = eqx.field(default_factory=AlphaFilter)
    neuron: AbstractNeuron = eqx.field(default_factory=MIF)


class Events(eqx.Module):
    """Row voltages at few instants: `v` [events, ..., rows] in V at the starts of the given `times` in s.

    Each event is a short row pulse of `width` seconds; the filter's first stage jumps by its current.
    """

    v: Float[Array, "events *batch rows"]
    times: tuple[float, ...] = eqx.field(static=True)
    width: float = eqx.field(static=True, default=10e-6)

    def __check_init__(self) -> None:
        if not self.times or any(pause < 0 for pause in self._pauses()):
            raise InputError(
                f"Event times are {list(self.times)} s with pulses of {self.width:g} s; needed: ascending from 0 "
                "or later, at least one pulse length apart."
            )

    def _pauses(self) -> list[float]:
        """Seconds at 0 V before each pulse."""
        ends = (0.0, *(start + self.width for start in self.times[:-1]))
        return [start - end for start, end in zip(self.times, ends, strict=True)]

    def holds(self) -> tuple[Real, Real]:
        """Row voltages [2·events, ...] and durations in s: before each pulse 0 V, then the pulse itself."""
        durations = [d for pause in self._pauses() for d in (pause, self.width)]
        v = jnp.stack([jnp.zeros_like(self.v), self.v], axis=1)
        return v.reshape(-1, *self.v.shape[1:]), jnp.asarray(durations, dtype=self.v.dtype)


class Trace(NamedTuple):
    """Membranes of a layer: voltage in V at step ends, and voltage above rest in mid-step (row drive)."""

    v: Float[Array, "steps *batch columns"]
    above_rest: Float[Array, "steps *batch columns"]


def _run_layer(
    layer: Layer,
    seen: Seen | Lines,
    drive: Events | Float[Array, "steps *batch rows"],
    clock: Clock,
    *,
    key: PRNGKeyArray | None,
    checkpoint: bool,
) -> Trace:
    """The membranes of one layer: one GEMM for all events or steps, then a scan of filter and neurons.

    Events pass the filter in closed form.
    """
    dt, rest = clock.dt, layer.neuron.rest()
    if isinstance(drive, Events):
        held, durations = drive.holds()
        jumps = layer.crossbar.read(seen, layer.rows.effective(held, durations)[1::2], key=key)
        middles = (jnp.arange(clock.steps, dtype=jnp.result_type(float)) + 0.5) * dt
        since = middles[:, None] - jnp.asarray(drive.times, dtype=middles.dtype)[None, :]
        shape, source, xs = jumps.shape[1:], (), layer.filter.kernel(since)
    else:
        durations = jnp.full(drive.shape[0], dt, dtype=drive.dtype)
        xs = layer.crossbar.read(seen, layer.rows.effective(drive, durations), key=key)
        shape, source, jumps = xs.shape[1:], layer.filter.init(xs.shape[1:]), None

    def body(carry: Any, x: Real) -> tuple[Any, Trace]:
        source, state = carry
        before = layer.neuron.voltage(state)
        if jumps is None:
            source, current = layer.filter.step(source, x, dt)
        else:
            current = jnp.tensordot(x, jumps, axes=1)
        state, v = layer.neuron.step(state, current, dt)
        return (source, state), Trace(v, 0.5 * (before + v) - rest)

    carry = (source, layer.neuron.init(shape))
    return jax.lax.scan(jax.checkpoint(body) if checkpoint else body, carry, xs)[1]


def simulate(
    network: Any,
    seen: tuple[Seen, ...] | tuple[Float[Array, "... _ _ _"], ...],
    inputs: Events | Float[Array, "steps *batch rows"],
    *,
    steps: int,
    dt: float,
    key: PRNGKeyArray | None = None,
    checkpoint: bool = True,
) -> tuple[Float[Array, "steps *batch columns"], ...]:
    """Membrane voltages in V at the end of every step, one array [steps, ..., neurons] a layer.

    `seen` holds the conductances of every layer, or what `Crossbar.transfer` made of them once for many calls.
    `inputs` are row voltages in V: `Events`, or an array [steps, ..., rows] held over each step of `dt`
    seconds. The membrane of a neuron minus its rest voltage drives its row of the next crossbar through
    a buffer. With a `key`, crossbars are read with their read noise. `checkpoint` recomputes the inside
    of a step in the backward pass: less memory, and faster on a CPU.
    """
    rows = inputs.v.shape[-1] if isinstance(inputs, Events) else inputs.shape[-1]
    if rows != network.layers[0].shape[0]:
        raise InputError(f"The input has {rows} rows; the first layer has {network.layers[0].shape[0]}.")
    if not isinstance(inputs, Events) and inputs.shape[0] != steps:
        raise InputError(f"The input has {inputs.shape[0]} steps; {steps} were asked for.")
    keys = [None] * len(seen) if key is None else list(jax.random.split(key, len(seen)))
    traces = []
    drive: Events | Real = inputs
    for layer, one, k in zip(network.layers, seen, keys, strict=True):
        trace = _run_layer(layer, one, drive, Clock(dt, (steps,)), key=k, checkpoint=checkpoint)
        traces.append(trace.v)
        drive = trace.above_rest
    return tuple(traces)
