"""A trained network against the simulator: membranes, states, currents, predictions."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from memspike.experiments.trained import TrainedRun
from memspike.interop.spice.laws import start_of
from memspike.interop.spice.network import Deck, Setting, cast, check_network, chosen_layers, network_deck, vectors
from memspike.interop.spice.raw import Plot
from memspike.interop.spice.simulator import Simulated, Simulator, simulate
from memspike.networks.base import Clock, lines_of
from memspike.networks.feedforward import Feedforward
from memspike.networks.layers import Layer
from memspike.networks.simulate import Events, walk
from memspike.neurons.mif import MIF

Real = Float[np.ndarray, "..."]
# of the library and of the simulator, over the time constant of the synaptic filter
STEP = 2e-6


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
        x1 = neuron.m1.advance(state.x1, before - neuron.e1, dt)
        x2 = neuron.m2.advance(state.x2, before - neuron.e2, dt)
        state = state._replace(v=before, x1=x1, x2=x2)
        leak, slope = neuron.membrane_current(state)
        gain = -jnp.expm1(slope * (-dt / neuron.capacitance)) / slope
        return (state, now), (x1, x2, (now - before) / gain + leak)

    return jax.lax.scan(body, (start, start.v), v)[1]


class Subject(NamedTuple):
    """A chip of a run, ready for export: its network, conductances of every crossbar, reads, and who decides."""

    network: Feedforward
    lines: tuple[Any, ...]
    clock: Clock
    decide: Callable[[Array], int]
    shown: Callable[[int, float], Any]


def subject(run: TrainedRun) -> Subject:
    """The first chip of a run. InputError, naming the part, for a network of which there is no netlist."""
    given = run._given  # noqa: SLF001
    learner, population = given.learner, given.population
    one = jax.tree.map(lambda leaf: leaf[0], (population.chips, run.chips))
    network: Any = population.network(one[0]) if learner is population.learner else learner.network
    check_network(network)
    chip = one[1]

    def decide(output: Array) -> int:
        classes = learner.rule.classes(chip.rule, learner.objective.predict(output[:, None]))
        return int(np.asarray(classes)[0])

    def shown(sample: int, dt: float) -> Any:
        x = jnp.asarray(run.test_examples[sample])
        return population.trials.shown(x, dt, key=jax.random.key(sample))

    return Subject(network, lines_of(network, chip.cells), learner.clock, decide, shown)


def reference(of: Subject, inputs: Any, dt: float) -> Reference:
    """The library's run of one input in steps of `dt` seconds, in double precision."""
    with jax.enable_x64(True):
        network, lines = cast(of.network), tuple(jnp.asarray(np.asarray(g), float) for g in of.lines)
        x = cast(inputs)
        steps = max(1, round(of.clock.steps * of.clock.dt / dt))
        seen = tuple(c.transfer(g) for c, g in zip(network.crossbars, lines, strict=True))
        run = eqx.filter_jit(lambda n, s, u: [(w.trace.v, w.trace.above_rest) for w in walk(n, s, u, Clock(dt, (steps,)), checkpoint=False)])
        found = run(network, seen, x)
        layers = tuple(_traces(layer, v, dt) for layer, (v, _) in zip(network.layers, found, strict=True))
        output = found[-1][0] - network.layers[-1].of_rank(2).rest()
        coarse = jnp.asarray(np.asarray(output))
        times = dt * np.arange(1, steps + 1)
        return Reference(times, layers, tuple(np.asarray(above) for _, above in found), of.decide(coarse))


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

    `membranes` in V, `states`, `currents` in A over the largest current of the layer; traces of the last exported layer.
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


class Plan(NamedTuple):
    """What is exported of a run: a subject, how, and lines about the run."""

    of: Subject
    setting: Setting
    header: list[str]
    labels: Any


def plan(run: TrainedRun, *, layers: list[int] | None = None, crossbars: str = "reduced", step: float | None = None) -> Plan:
    """What is exported of a run, with the step of simulator and library in s. InputError for what has no netlist."""
    of = subject(run)
    check_network(of.network, crossbars)
    chosen = chosen_layers(of.network, layers)
    setting = Setting(chosen, step or min(STEP, of.clock.dt), of.clock.steps * of.clock.dt, crossbars)
    about = [
        "memspike: a trained network as a circuit; ngspice 39 or later runs it: ngspice -b THIS_FILE",
        f"run: {run.folder.name}, experiment {run.settings.experiment}, chip of seed {run.seeds[0]}, {run.step} steps",
    ]
    return Plan(of, setting, about, run.labels)


def window(of: Subject) -> tuple[float, float]:
    """When outputs are read, in s: all of the trial, as far as a deck is concerned."""
    return 0.0, of.clock.steps * of.clock.dt


def deck_of(given: Plan, sample: int, versions: str) -> Deck:
    """The deck of one test example."""
    of, setting = given.of, given.setting
    inputs: Any = of.shown(sample, of.clock.dt)
    first = setting.layers[0]
    if first > 1:
        inputs = reference(of, inputs, setting.step).sent[first - 2]
    inputs = inputs if isinstance(inputs, Events) else np.asarray(inputs, float)
    header = [*given.header, f"sample: test example {sample}, class {given.labels[sample]}", f"written by {versions}"]
    return network_deck(of.network, of.lines, inputs, setting, header, window(of))


def compared(given: Plan, sample: int, simulator: Simulator, deck: Deck) -> Compared:
    """One sample by the library and by the simulator."""
    of, setting = given.of, given.setting
    ours = reference(of, of.shown(sample, of.clock.dt), setting.step)
    done: Simulated = simulate(simulator, deck.text)
    theirs = {k: _simulated(of.network.layers[k - 1], groups, done.plot, ours.times) for k, groups in vectors(of.network, setting.layers).items()}
    last = setting.layers[-1]
    whole = last == len(of.network.layers)
    simulated = None
    if whole:
        rest = np.asarray(of.network.layers[-1].neuron.rest(), float)
        simulated = of.decide(jnp.asarray(theirs[last].v - rest, jnp.result_type(float)))
    membranes, states, currents = {}, {}, {}
    for k, found in theirs.items():
        own = ours.layers[k - 1]
        membranes[k] = apart(own.v, found.v)
        if own.states:
            states[k] = apart(np.stack(own.states), np.stack(found.states))
        if own.current is not None and found.current is not None:
            middles = ours.times - 0.5 * setting.step
            scale = float(np.abs(own.current).max()) or 1.0
            moved = np.stack([np.interp(middles, ours.times, c) for c in found.current.T], axis=1)
            currents[k] = apart(own.current / scale, moved / scale)
    return Compared(
        sample, given.labels[sample], ours.predicted if whole else None, simulated, membranes, states, currents,
        done.seconds, ours.times, ours.layers[last - 1].v, theirs[last].v, done.measured,
    )


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
