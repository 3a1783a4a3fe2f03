"""What drives a network, and the one time loop."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.arrays.crossbar import Crossbar, Seen
from memspike.networks.base import Clock
from memspike.networks.layers import INPUT, Layer, Trace
from memspike.neurons import mif_course
from memspike.parts.errors import InputError

Real = Float[Array, "..."]


class Events(eqx.Module):
    """Row voltages at few instants: `v` [events, ..., rows] in V at the starts of the given `times` in s.

    Each event is a rectangular row pulse that lasts `width` seconds. Its current, times the gain of the layer
    (`Layer.input_gain`), passes the synaptic filter exactly, so that twice the width is twice the charge.

    InputError for times that descend, begin before 0 or are less than a pulse apart.
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


class Drive(NamedTuple):
    """What drives a layer: row pulses at few instants, row voltages in V that are held over every step, and currents
    in A that join those of the columns.
    """

    events: Events | None
    held: Float[Array, "steps *batch rows"] | None
    injected: Float[Array, "steps *batch neurons"] | None = None


class Walk(NamedTuple):
    """A layer in a run: its number, what drives it, what its crossbars see, what its neurons do."""

    number: int
    drive: Drive
    seen: tuple[Seen, ...]
    trace: Trace


class _Source(NamedTuple):
    """What a source is to a layer: voltages at events, voltages that are held, and where they are."""

    events: Real | None
    held: Real | None
    where: tuple[int, ...]

    def kind(self, events: bool) -> Real | None:
        """One of both."""
        return self.events if events else self.held


def _joined(values: Sequence[Real | None], maps: Sequence[tuple[int, ...]]) -> Real | None:
    """Sources one after the other, in the channels of every pixel; 0 V where one is None, None where all are."""
    given = [v for v in values if v is not None]
    if not given:
        return None
    lead = given[0].shape[:-1]
    zero = jnp.zeros((), given[0].dtype)
    placed = [
        jnp.broadcast_to(zero, (*lead, *where)) if v is None else v.reshape(*lead, *where)
        for v, where in zip(values, maps, strict=True)
    ]
    return jnp.concatenate(placed, axis=-1).reshape(*lead, -1)


def drive_of(network: Any, k: int, inputs: Events | Real, sent: Sequence[Real], steps: int) -> Drive:
    """What drives layer number `k`, given the input and what the layers before it send in all `steps`."""
    layer, sources = network.layers[k], network.sources(k)
    pulses = inputs if isinstance(inputs, Events) else None
    if sources == (INPUT,) and layer.bias is None and layer.input_bias >= network.input_bias:
        return Drive(pulses, None if isinstance(inputs, Events) else inputs)
    x = inputs.v if isinstance(inputs, Events) else inputs
    pixels, own = (x[..., :-1], x[..., -1:]) if network.input_bias else (x, None)

    def of_input(v: Real, where: tuple[int, ...]) -> _Source:
        return _Source(None, v, where) if pulses is None else _Source(v, None, where)

    found = [
        of_input(pixels, where) if s == INPUT else _Source(None, sent[s], where)
        for s, where in zip(sources, network.source_maps(k), strict=True)
    ]
    bias = None
    if layer.bias is not None:
        bias = _Source(None, jnp.full((steps, *x.shape[1:-1], 1), layer.bias, x.dtype), (1,))
    elif own is not None and layer.input_bias and INPUT in sources:
        bias = of_input(own, (1,))

    def whole(events: bool) -> Real | None:
        image = _joined([one.kind(events) for one in found], [one.where for one in found])
        if bias is None:
            return image
        flat = sum(math.prod(one.where) for one in found)
        return _joined([image, bias.kind(events)], [(flat,), (1,)])

    at_events = whole(True)
    if pulses is not None and at_events is not None:
        pulses = eqx.tree_at(lambda e: e.v, pulses, at_events)
    return Drive(None if at_events is None else pulses, whole(False))


class How(NamedTuple):
    """How a layer is run: whether its neurons fire, whether the inside of a step is recomputed in the backward pass,
    and whether differentiation holds fixed what its neurons hear of each other.
    """

    fires: bool
    checkpoint: bool = True
    fixed: bool = False


class LayerRun:
    """A layer in time: what pulses of input rows bring, and how it goes on from a state for some steps.

    A recurrent layer reads its other crossbar in every step. Others go on by a kernel where there is one.
    """

    def __init__(self, layer: Layer, seen: tuple[Seen, ...], drive: Drive, how: How, *, key: Any) -> None:
        self.seen, self.how, self.key, self.events = seen, how, key, drive.events
        self.pulses = None
        if drive.events is not None:
            held, durations = drive.events.holds()
            noise = key if key is None or drive.held is None else jax.random.fold_in(key, 1)
            self.pulses = layer.read(seen[0], layer.rows.effective(held, durations)[1::2], key=noise)
        batch = next(x.shape[1:-1] for x in (self.pulses, drive.held, drive.injected) if x is not None)
        self.shape = (*batch, math.prod(layer.map))
        self.layer = layer.of_rank(len(self.shape))
        # currents that pass the filter from step to step, not in closed form
        self.filters = drive.held is not None or drive.injected is not None or layer.recurrent is not None

    def start(self, dtype: Any) -> Any:
        """Filter, neurons and what these sent before, at rest."""
        none = jnp.zeros(self.shape, dtype)
        last = () if self.layer.recurrent is None else (none, none)
        return self.layer.filter.init(self.shape) if self.filters else (), self.layer.neuron.init(self.shape), last

    def weights(self, first: Any, clock: Clock) -> Float[Array, "steps events"] | None:
        """The current of every pulse in every step from step `first` on, for a column current of 1 A; exact."""
        if self.events is None:
            return None
        steps = jnp.arange(clock.steps, dtype=jnp.result_type(float)) + jnp.asarray(first, jnp.result_type(float))
        since = ((steps + self.layer.filter.moment) * clock.dt)[:, None]
        since = since - jnp.asarray(self.events.times, dtype=since.dtype)[None, :]
        return jnp.asarray(self.layer.input_gain, since.dtype) * self.layer.filter.pulse(since, self.events.width)

    def currents(self, drive: Drive, dt: float, *, key: Any) -> Real | None:
        """Column currents of what is held, and those that are injected: one product for all steps."""
        found = drive.injected
        if drive.held is not None:
            durations = jnp.full(drive.held.shape[0], dt, dtype=drive.held.dtype)
            read = self.layer.read(self.seen[0], self.layer.rows.effective(drive.held, durations), key=key)
            found = read if found is None else read + found
        return found

    def advance(self, state: Any, first: Any, drive: Drive, clock: Clock, *, key: Any) -> tuple[Any, Trace]:
        """The steps of `clock`, the first of them number `first`, under this drive; fresh read noise is of `key`."""
        weights, currents = self.weights(first, clock), self.currents(drive, clock.dt, key=key)
        pulses = self.pulses
        like: Any = pulses if currents is None else currents
        # one pulse is cheaper weighed in each step, many are in one product, whose backward pass is one, too
        pulsed = None
        if pulses is not None and weights is not None and len(pulses) > 1:
            pulsed, weights, pulses = jnp.tensordot(weights, pulses, axes=1), None, None
        if self.layer.recurrent is None and mif_course.fits(self.layer.neuron, like):
            alone = None if weights is None else weights[:, 0], None if pulses is None else pulses[0]
            return self._at_once(state, alone, pulsed, currents, clock.dt)
        number = None
        if self.key is not None and self.layer.recurrent is not None:
            number = jnp.arange(clock.steps, dtype=jnp.int32) + jnp.asarray(first, jnp.int32)
        body = self._step(pulses, clock.dt)
        # a spiking neuron has less inside of a step than its states are
        body = jax.checkpoint(body) if self.how.checkpoint and not self.layer.spiking else body
        return jax.lax.scan(body, state, (weights, pulsed, currents, number))

    def _step(self, pulses: Real | None, dt: float) -> Callable[[Any, Any], tuple[Any, Trace]]:
        layer, how = self.layer, self.how
        back = None if layer.recurrent is None else _reader(layer.recurrent, self.seen[1])
        noise: Any = None if self.key is None or back is None else jax.random.fold_in(self.key, 2)

        def body(carry: Any, x: Any) -> tuple[Any, Trace]:
            source, state, last = carry
            weights, current, arriving, t = x
            if back is not None:
                last = jax.lax.stop_gradient(last) if how.fixed else last
                passed, v = layer.rows.step(last[0], last[1], dt)
                own = back(v, None if t is None else jax.random.fold_in(noise, t))
                arriving, last = own if arriving is None else arriving + own, (passed,)
            if pulses is not None and weights is not None:
                current = jnp.tensordot(weights, pulses, axes=1)
            if arriving is not None:
                source, filtered = layer.filter.step(source, arriving, dt)
                current = filtered if current is None else filtered + current
            state, trace = layer.step(state, current, dt, fires=how.fires)
            return (source, state, (*last, trace.above_rest) if back is not None else last), trace

        return body

    def _at_once(
        self, state: Any, pulse: tuple[Real | None, Real | None], held: Real | None, currents: Real | None, dt: float
    ) -> tuple[Any, Trace]:
        """The steps of neurons that need nobody else."""
        source, neurons, last = state
        if currents is not None:
            source, filtered = jax.lax.scan(lambda at, x: self.layer.filter.step(at, x, dt), source, currents)
            held = filtered if held is None else held + filtered
        found = mif_course.course(self.layer.neuron, neurons, mif_course.Injected(*pulse, held), dt)
        return (source, found.end, last), Trace(found.v, found.above_rest)


def run_layer(layer: Layer, seen: tuple[Seen, ...], drive: Drive, clock: Clock, how: How, *, key: Any) -> Trace:
    """The neurons of one layer from rest: one GEMM for all events or steps, then filter and neurons in time."""
    run = LayerRun(layer, seen, drive, how, key=key)
    like = next(x for x in (run.pulses, drive.held, drive.injected) if x is not None)
    return run.advance(run.start(like.dtype), 0, drive, clock, key=key)[1]


def _reader(crossbar: Crossbar, seen: Seen) -> Callable[[Real, Any], Real]:
    """Reads of the same conductances inside a loop."""
    if not crossbar.periphery.ideal:
        return lambda v, key: crossbar.read(seen, v, key=key)
    columns = crossbar.columns(seen)
    return lambda v, key: columns.read(v, key=key)


Runner = Callable[..., Trace]


def walk(
    network: Any,
    seen: Sequence[Any],
    inputs: Events | Real,
    clock: Clock,
    *,
    checkpoint: bool = True,
    key: PRNGKeyArray | None = None,
    run: Runner = run_layer,
) -> list[Walk]:
    """The layers of a run from rest, one after the other, each by `run`; other arguments as of `simulate`."""
    inputs, done = as_voltages(network, inputs), []
    for k, (layer, (reads, own)) in enumerate(zip(network.layers, seen_by_layers(network, seen, key), strict=True)):
        drive = drive_of(network, k, inputs, [at.trace.above_rest for at in done], clock.steps)
        how = How(network.fires(k), checkpoint)
        done.append(Walk(k, drive, reads, run(layer, reads, drive, clock, how, key=own)))
    return done


def seen_by_layers(
    network: Any, seen: Sequence[Any], key: PRNGKeyArray | None
) -> Iterator[tuple[tuple[Seen, ...], PRNGKeyArray | None]]:
    """What the crossbars of every layer see, nothing where neurons are not connected, and a key of their reads."""
    keys = [None] * len(seen) if key is None else list(jax.random.split(key, len(seen)))
    own = iter(zip(seen, keys, strict=True))
    for layer in network.layers:
        found, each = zip(*(next(own) for _ in layer.crossbars()), strict=True)
        used = [
            one if isinstance(one, Seen) else crossbar.transfer(one)
            for crossbar, one in zip(layer.crossbars(), found, strict=True)
        ]
        parts = zip(used, layer.connected(), strict=True)
        reads = tuple(one if mask is None else Seen(one.lines * mask[None], one.sd * mask[None]) for one, mask in parts)
        yield reads, each[0]


def as_voltages(network: Any, inputs: Events | Real) -> Events | Real:
    """Inputs as row voltages in V."""
    return inputs if isinstance(inputs, Events) or network.input_voltage == 1.0 else network.input_voltage * inputs


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
    """Membrane voltages in V at the end of every step, one array [steps, ..., neurons] a layer; row pulses of neurons
    that spike, and of those in the last layer their membranes without threshold (`Layer.step`).

    `seen` holds the conductances of every crossbar, or what `Crossbar.transfer` made of them once for many calls.
    `inputs` are row voltages in V: `Events`, or an array [steps, ..., rows] held over each step of `dt`
    seconds. The membrane of a neuron minus its rest voltage drives its row of the next crossbar through
    a buffer. With a `key`, crossbars are read with their read noise. `checkpoint` recomputes the inside
    of a step in the backward pass: less memory, and faster on a CPU.

    InputError for inputs of another number of rows or steps.
    """
    rows = inputs.v.shape[-1] if isinstance(inputs, Events) else inputs.shape[-1]
    if rows != network.input_rows:
        raise InputError(f"The input has {rows} rows; the first layer has {network.input_rows}.")
    if not isinstance(inputs, Events) and inputs.shape[0] != steps:
        raise InputError(f"The input has {inputs.shape[0]} steps; {steps} were asked for.")
    clock = Clock(dt, (steps,))
    return tuple(at.trace.v for at in walk(network, seen, inputs, clock, checkpoint=checkpoint, key=key))
