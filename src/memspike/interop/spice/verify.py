"""A trained network against the simulator: membranes, states, currents, predictions."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from memspike.devices.numerics import risen
from memspike.experiments.trained import TrainedRun
from memspike.interop.spice.bench import cast
from memspike.interop.spice.crossbars import REDUCED, transfers
from memspike.interop.spice.laws import start_of
from memspike.interop.spice.network import Deck, Setting, check_network, chosen_layers, network_deck, vectors
from memspike.interop.spice.raw import Plot
from memspike.interop.spice.simulator import Simulator, simulate
from memspike.networks.accuracy import accurate_step, refined
from memspike.networks.base import Clock, lines_of
from memspike.networks.feedforward import Feedforward
from memspike.networks.layers import Layer
from memspike.networks.simulate import Events, walk
from memspike.neurons.mif import MIF, staggered_exponential
from memspike.parts.errors import InputError

Real = Float[np.ndarray, "..."]
# of the tolerance, what the steps of library and simulator may cost each, and in V, what they are always allowed
SHARE, FINEST = 0.2, 0.1e-3
TOLERANCE = 1e-3


class LayerTraces(NamedTuple):
    """Of a layer at step ends: membranes in V, states of the memristors, filtered currents in A, [steps, neurons] each.

    States are those of M1 and M2, one array a capacitor of the netlist; there are none of neurons that are no MIF.
    """

    v: Real
    states: tuple[Real, ...]
    current: Real | None


class Reference(NamedTuple):
    """The library's own run of one sample at a fine step: times of step ends in s, traces of every layer, its class."""

    times: Float[np.ndarray, " steps"]
    layers: tuple[LayerTraces, ...]
    sent: tuple[Real, ...]
    predicted: int


@eqx.filter_jit
def _replayed(neuron: MIF, v: Array, dt: float) -> tuple[Any, Any, Array]:
    """The states and the currents that belong to membranes of `MIF.step`, which is undone."""
    start: Any = neuron.init(v.shape[1:])

    def body(carry: tuple[Any, Array], now: Array) -> tuple[Any, Any]:
        state, before = carry
        moved, _ = neuron.step(state._replace(v=before), jnp.zeros_like(now), dt)
        state = moved._replace(v=before)
        leak, slope = neuron.membrane_current(state)
        gain = risen(slope * (dt / neuron.capacitance)) / slope
        return (state, now), (state.x1, state.x2, (now - before) / gain + leak)

    return jax.lax.scan(body, (start, start.v), v)[1]


def _resolved(layer: Layer) -> Layer:
    """The layer with neurons whose steps are of second order."""
    if not isinstance(layer.neuron, MIF):
        return layer
    return dataclasses.replace(layer, neuron=dataclasses.replace(layer.neuron, integrator=staggered_exponential))


class Subject(NamedTuple):
    """A chip of a run, ready for export: its network, conductances of every crossbar in S, and its clock.

    `decide` takes a sample, its outputs [steps, outputs] in V above rest and their step in s, and gives the class;
    `shown` gives what drives the input for a sample; `read` is when outputs count, in s.
    """

    network: Feedforward
    lines: tuple[Any, ...]
    clock: Clock
    decide: Callable[[int, Array, float], int]
    shown: Callable[[int], Any]
    read: tuple[float, float]


def subject(run: TrainedRun, crossbars: str = REDUCED) -> Subject:
    """The first chip of a run. InputError, naming the part, for a network of which there is no netlist."""
    given, data = run.prepared, run.prepared.data
    learner = given.learner
    trials: Any = given.population.trials
    if data.regression:
        raise InputError("The run follows numbers and tells no classes apart; netlists are of classifiers.")
    network: Any
    network, cells = run.chip()
    check_network(network, crossbars)
    rule = jax.tree.map(lambda leaf: leaf[0], run.chips.rule)
    network = eqx.tree_at(lambda n: n.layers, network, tuple(map(_resolved, network.layers)))

    def lengths(sample: int) -> Any:
        return None if data.lengths_test is None else jnp.asarray(data.lengths_test[sample : sample + 1])

    def decide(sample: int, output: Array, dt: float) -> int:
        ends = lengths(sample)
        own = None if ends is None else trials.own(ends, dt)
        classes = learner.rule.classes(rule, learner.objective.predict(output[:, None], own))
        return int(np.asarray(classes)[0])

    def shown(sample: int) -> Any:
        x = jnp.asarray(data.x_test[sample : sample + 1])
        drive = trials.shown(x, learner.clock.dt, lengths(sample), key=jax.random.key(sample))
        return eqx.tree_at(lambda e: e.v, drive, drive.v[:, 0]) if isinstance(drive, Events) else drive[:, 0]

    counted = np.flatnonzero(np.asarray(learner.objective.counts(learner.clock.steps)).ravel())
    read = (float(counted[0]) * learner.clock.dt, float(counted[-1] + 1) * learner.clock.dt)
    return Subject(network, lines_of(network, cells), learner.clock, decide, shown, read)


class Ready(NamedTuple):
    """A subject and one of its inputs in double precision: network, what reads see, row voltages."""

    network: Feedforward
    seen: tuple[Any, ...]
    inputs: Any


def _ready(of: Subject, inputs: Any) -> Ready:
    """To be called with double precision switched on, with inputs that were made without it."""
    network, lines = cast(of.network), tuple(jnp.asarray(np.asarray(g), float) for g in of.lines)
    return Ready(network, transfers(network.crossbars, lines), cast(inputs))


def fine_step(of: Subject, sample: int, within: float) -> float:
    """The step in s, that of the run or a half, a quarter … of it, with membranes within `within` V of exact."""
    shown = of.shown(sample)
    with jax.enable_x64(True):
        network, seen, inputs = _ready(of, shown)
        found = accurate_step(network, seen, inputs, steps=of.clock.steps, dt=of.clock.dt, within=within)
    return found.dt


@eqx.filter_jit
def _run(network: Feedforward, seen: tuple[Any, ...], inputs: Any, clock: Clock) -> list[tuple[Array, Array]]:
    found = walk(network, seen, inputs, clock, checkpoint=False)
    return [(one.trace.v, one.trace.above_rest) for one in found]


def reference(of: Subject, sample: int, dt: float) -> Reference:
    """The library's run of one sample in steps of `dt` seconds, in double precision."""
    shown = of.shown(sample)
    with jax.enable_x64(True):
        network, seen, inputs = _ready(of, shown)
        times = round(of.clock.dt / dt)
        clock = Clock(dt, (of.clock.steps * times,))
        found = _run(network, seen, refined(inputs, times), clock)
        layers = tuple(_traces(layer, v, dt) for layer, (v, _) in zip(network.layers, found, strict=True))
        output = np.asarray(found[-1][0] - network.layers[-1].of_rank(2).rest())
    times = dt * np.arange(1, clock.steps + 1)
    predicted = of.decide(sample, jnp.asarray(output), dt)
    return Reference(times, layers, tuple(np.asarray(above) for _, above in found), predicted)


def _traces(layer: Layer, v: Array, dt: float) -> LayerTraces:
    neuron: Any = layer.of_rank(1).neuron
    if not isinstance(neuron, MIF):
        return LayerTraces(np.asarray(v), (), None)
    x1, x2, current = _replayed(neuron, v, dt)
    states = (*start_of(neuron.m1, x1), *start_of(neuron.m2, x2))
    return LayerTraces(np.asarray(v), states, np.asarray(current))


class Apart(NamedTuple):
    """Largest and rms difference."""

    largest: float
    rms: float


def apart(ours: Real, theirs: Real) -> Apart:
    """Of two arrays of the same meaning."""
    d = ours - theirs
    return Apart(float(np.abs(d).max()), float(np.sqrt(np.square(d).mean())))


class Compared(NamedTuple):
    """One sample: both classes (None where the last layer is not exported), and how far the layers are apart.

    `membranes` in V, `states`, `currents` over the largest current of the layer; traces are of the last exported layer.
    """

    sample: int
    label: Any
    library: int | None
    simulator: int | None
    membranes: dict[int, Apart]
    states: dict[int, Apart]
    currents: dict[int, Apart]
    seconds: float
    times: Float[np.ndarray, " steps"]
    ours: Real
    theirs: Real
    measured: dict[str, float]


class Wanted(NamedTuple):
    """What of a run is exported: layers from 1, test examples, form of crossbars, tolerance of membranes in V."""

    layers: list[int] | None = None
    samples: list[str] | None = None
    crossbars: str = REDUCED
    tolerance: float = TOLERANCE


class Plan(NamedTuple):
    """What is exported of a run: a subject, how, and lines about the run."""

    of: Subject
    setting: Setting
    header: list[str]
    labels: Any


def plan(run: TrainedRun, sample: int, wanted: Wanted) -> Plan:
    """What is exported of a run. InputError for what has no netlist.

    The step of simulator and library is so fine that each of them costs a small share of the tolerance, in a `sample`.
    """
    of = subject(run, wanted.crossbars)
    chosen = chosen_layers(of.network, wanted.layers)
    step = fine_step(of, sample, max(SHARE * wanted.tolerance, FINEST))
    setting = Setting(chosen, step, of.clock.steps * of.clock.dt, wanted.crossbars)
    about = [
        "memspike: a trained network as a circuit; ngspice 39 or later runs it: ngspice -b THIS_FILE",
        f"run: {run.folder.name}, experiment {run.settings.experiment}, chip of seed {run.seeds[0]}, {run.step} steps",
    ]
    return Plan(of, setting, about, run.labels)


def deck_of(given: Plan, sample: int, versions: str, ours: Reference | None = None) -> Deck:
    """The deck of one test example; `ours` is the library's run of it, which drives a later layer."""
    of, setting = given.of, given.setting
    first = setting.layers[0]
    ours = reference(of, sample, setting.step) if first > 1 and ours is None else ours
    inputs: Any = of.shown(sample) if first == 1 or ours is None else ours.sent[first - 2]
    inputs = inputs if isinstance(inputs, Events) else np.asarray(inputs, float)
    header = [*given.header, f"sample: test example {sample}, class {given.labels[sample]}", f"written by {versions}"]
    return network_deck(of.network, of.lines, inputs, setting, header, of.read)


def compared(given: Plan, sample: int, simulator: Simulator, deck: Deck, ours: Reference | None = None) -> Compared:
    """One sample by the library, whose run is `ours` where it is there already, and by the simulator."""
    of, setting, done = given.of, given.setting, simulate(simulator, deck.text)
    ours = reference(of, sample, setting.step) if ours is None else ours
    groups = vectors(of.network, setting.layers)
    theirs = {k: _simulated(of.network.layers[k - 1], groups[k], done.plot, ours.times) for k in setting.layers}
    last = setting.layers[-1]
    whole, told = last == len(of.network.layers), None
    if whole:
        above = theirs[last].v - np.asarray(of.network.layers[-1].of_rank(2).rest(), float)
        told = of.decide(sample, jnp.asarray(above, jnp.result_type(float)), setting.step)
    membranes, states, currents = {}, {}, {}
    for k, found in theirs.items():
        own = ours.layers[k - 1]
        membranes[k] = apart(own.v, found.v)
        if own.current is None or found.current is None:
            continue
        states[k] = apart(np.stack(own.states), np.stack(found.states))
        middles, scale = ours.times - 0.5 * setting.step, float(np.abs(own.current).max()) or 1.0
        moved = np.stack([np.interp(middles, ours.times, c) for c in found.current.T], axis=1)
        currents[k] = apart(own.current / scale, moved / scale)
    predicted = (ours.predicted, told) if whole else (None, None)
    apart_by = (membranes, states, currents)
    both = (ours.times, ours.layers[last - 1].v, theirs[last].v)
    return Compared(sample, given.labels[sample], *predicted, *apart_by, done.seconds, *both, done.measured)


def _simulated(layer: Layer, groups: list[list[str]], plot: Plot, times: Real) -> LayerTraces:
    tables = [np.stack([plot.at(name, times) for name in names], axis=1) for names in groups]
    unit = float(layer.crossbar.cell.unit())
    return LayerTraces(tables[0], tuple(tables[1:-1]), tables[-1] * unit)


class Verdict(NamedTuple):
    """What verify.json holds."""

    facts: dict[str, Any]
    passed: bool


def verdict(found: list[Compared], simulator: Simulator, given: Plan, tolerance: float) -> Verdict:
    """All samples together: the largest deviation of a membrane against the tolerance in V, and all predictions."""

    def worst(of: Callable[[Compared], dict[int, Apart]]) -> Iterator[Apart]:
        for one in found:
            yield from of(one).values()

    membranes = list(worst(lambda one: one.membranes))
    pairs = [(one.library, one.simulator) for one in found if one.library is not None]
    same = sum(a == b for a, b in pairs)
    largest = max(one.largest for one in membranes)
    passed = bool(largest <= tolerance and same == len(pairs))
    layers = given.setting.layers
    facts: dict[str, Any] = {
        "samples": [one.sample for one in found],
        "same_predictions": same if pairs else None,
        "max_deviation_v": largest,
        "rms_deviation_v": float(np.sqrt(np.mean([one.rms**2 for one in membranes]))),
        "max_deviation_state": max((one.largest for one in worst(lambda one: one.states)), default=None),
        "max_deviation_current": max((one.largest for one in worst(lambda one: one.currents)), default=None),
        "tolerance_v": tolerance,
        "passed": passed,
        "simulator": f"{simulator.name} {simulator.version}",
        "simulator_seconds": [one.seconds for one in found],
        "crossbars": given.setting.crossbars,
        "step_s": given.setting.step,
        "layers": {str(k): {"max_deviation_v": max(one.membranes[k].largest for one in found)} for k in layers},
        "predictions": [{"library": a, "simulator": b} for a, b in pairs],
        "labels": [int(one.label) for one in found],
    }
    return Verdict(facts, passed)
