"""The one time loop."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.arrays.crossbar import Seen
from memspike.cells.base import Lines
from memspike.networks.layer import Layer
from memspike.networks.timeline import Clock
from memspike.neurons.base import AbstractNeuron
from memspike.parts.errors import InputError

Real = Float[Array, "..."]


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


def _scan_neuron(
    neuron: AbstractNeuron, drive: Callable, start: Any, xs: Any, shape: tuple[int, ...], dt: float, checkpoint: bool
) -> Trace:
    """Scan a population of `shape` neurons over `xs`; `drive(state, x)` gives the mid-step current in A."""
    rest = neuron.rest()

    def body(carry: Any, x: Any) -> tuple[Any, Trace]:
        source, state = carry
        before = neuron.voltage(state)
        source, current = drive(source, x)
        state, v = neuron.step(state, current, dt)
        return (source, state), Trace(v, 0.5 * (before + v) - rest)

    carry = (start, neuron.init(shape))
    return jax.lax.scan(jax.checkpoint(body) if checkpoint else body, carry, xs)[1]


def _run_events(
    layer: Layer,
    seen: Seen | Lines,
    events: Events,
    steps: int,
    dt: float,
    *,
    key: PRNGKeyArray | None,
    checkpoint: bool,
) -> Trace:
    """One GEMM for all events; the filter's response to them is known in closed form."""
    held, durations = events.holds()
    jumps = layer.crossbar.read(seen, layer.rows.effective(held, durations)[1::2], key=key)
    middles = (jnp.arange(steps, dtype=jnp.result_type(float)) + 0.5) * dt
    since = middles[:, None] - jnp.asarray(events.times, dtype=middles.dtype)[None, :]

    def drive(state: Any, weight: Real) -> tuple[Any, Real]:
        return state, jnp.tensordot(weight, jumps, axes=1)

    kernel = layer.filter.kernel(since)
    return _scan_neuron(layer.neuron, drive, (), kernel, jumps.shape[1:], dt, checkpoint)


def _run_dense(
    layer: Layer,
    seen: Seen | Lines,
    v: Float[Array, "steps *batch rows"],
    dt: float,
    *,
    key: PRNGKeyArray | None,
    checkpoint: bool,
) -> Trace:
    """One GEMM for all steps; filter and membranes are scanned."""
    durations = jnp.full(v.shape[0], dt, dtype=v.dtype)
    currents = layer.crossbar.read(seen, layer.rows.effective(v, durations), key=key)
    shape = currents.shape[1:]

    def drive(state: Any, current: Real) -> tuple[Any, Real]:
        return layer.filter.step(state, current, dt)

    return _scan_neuron(layer.neuron, drive, layer.filter.init(shape), currents, shape, dt, checkpoint)


def run_layer(
    layer: Layer,
    seen: Seen | Lines,
    drive: Events | Float[Array, "steps *batch rows"],
    clock: Clock,
    *,
    key: PRNGKeyArray | None = None,
    checkpoint: bool = True,
) -> Trace:
    """The membranes of one layer for `Events`, or for row voltages in V held over every step of the clock."""
    if isinstance(drive, Events):
        return _run_events(layer, seen, drive, clock.steps, clock.dt, key=key, checkpoint=checkpoint)
    return _run_dense(layer, seen, drive, clock.dt, key=key, checkpoint=checkpoint)


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

    `seen` holds the conductances of every layer, or what `Feedforward.transfer` made of them once for many calls.
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
        trace = run_layer(layer, one, drive, Clock(dt, (steps,)), key=k, checkpoint=checkpoint)
        traces.append(trace.v)
        drive = trace.above_rest
    return tuple(traces)
