"""Contracts of neurons, filters, objectives and schemes."""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from memspike.arrays.crossbar import Crossbar
from memspike.cells.base import CellState
from memspike.cells.differential import DifferentialPair
from memspike.cells.single import Stack, midpoint
from memspike.devices.base import AbstractPulseDevice
from memspike.devices.pcm import PCM
from memspike.devices.step import SoftBounds
from memspike.devices.variation.wrappers import AbstractVariation, Varied
from memspike.learning.objectives import AbstractObjective, AbstractReadout, AbstractStepObjective
from memspike.learning.programming.base import Scheme
from memspike.neurons.base import AbstractNeuron
from memspike.neurons.filters import AbstractFilter
from memspike.neurons.lif import AbstractSpikingNeuron, SpikingState
from memspike.parts.errors import InputError
from memspike.testing.common import (
    check_compiles_once,
    check_parameters,
    check_sentence,
    check_serialisation,
    finite_difference,
    in_double_precision,
    same,
)


@in_double_precision
def check_neuron(neuron: AbstractNeuron, current: float = 1e-6, dt: float = 10e-6) -> None:
    """Rests at rest; same in → same out; vmap = broadcasting; finite under strong current; true gradient.

    `current` is in A, `dt` in s.
    """
    check_parameters(neuron)
    check_serialisation(neuron)

    def run(i: Any, n: AbstractNeuron = neuron, steps: int = 50) -> Any:
        start = n.init(jnp.shape(i))
        return jax.lax.scan(lambda s, _: n.step(s, i, dt), start, None, length=steps)[1]

    still = run(jnp.zeros(()), steps=500)
    np.testing.assert_allclose(still, np.full(500, neuron.rest()), rtol=1e-9, err_msg="not at rest without input")
    currents = current * jnp.asarray([-1.0, 0.0, 0.5, 2.0])
    together = run(currents)
    assert together.shape == (50, 4), f"shape {together.shape}"
    same(jax.vmap(run, out_axes=1)(currents), together, 1e-10, "vmap of run")
    same(together, run(currents), 0.0, "a second run")
    strong = run(1000 * currents)
    assert np.isfinite(np.asarray(strong)).all(), "not finite under strong current"
    finite_difference(lambda u: run(u * current)[-1], currents / current, "voltage in current", rtol=1e-4)
    check_compiles_once(lambda n: run(currents, n), neuron)


@in_double_precision
def check_filter(make: Callable[[], AbstractFilter]) -> None:
    """Unit gain at zero frequency; linear; pulses and the kernel are the answers of the steps; causal."""
    layer = make()
    assert layer.source, "a filter needs a source"
    check_parameters(layer)
    check_serialisation(layer)
    dt = 1e-5

    def answer(drive: Any) -> Any:
        return jax.lax.scan(lambda s, u: layer.step(s, u, dt), layer.init(drive.shape[1:]), drive)[1]

    settled = float(answer(jnp.ones((20_000, 1)))[-1, 0])
    assert np.isclose(settled, 1.0, rtol=1e-6), f"gain at zero frequency is {settled}"
    random = jnp.asarray(np.random.default_rng(0).normal(size=(40, 3)))
    same(answer(random * 3 + 1), 3 * answer(random) + answer(jnp.ones_like(random)), 1e-9, "linearity")
    assert float(layer.kernel(jnp.asarray(-1e-3))) == 0.0, "the kernel acts before the event"
    moments = (jnp.arange(300, dtype=jnp.result_type(float)) + layer.moment) * dt
    for count in (1, 40):
        held = answer(jnp.zeros((300, 1)).at[:count].set(1.0))[:, 0]
        same(layer.pulse(moments, count * dt), held, 1e-9, f"a pulse of {count} steps")
    assert float(layer.pulse(jnp.asarray(-1e-3), dt)) == 0.0, "a pulse acts before it begins"
    brief = jnp.zeros((300, 1)).at[0].set(1.0)
    ratio = np.asarray(answer(brief)[100:, 0] / layer.kernel(moments[100:]))
    np.testing.assert_allclose(ratio, ratio.mean(), rtol=2e-2, err_msg="the kernel is not the answer to a brief drive")


@in_double_precision
def check_objective(objective: AbstractObjective) -> None:
    """Shapes; the output that is highest throughout is the class; true gradient, also step by step.

    An objective without classes, or without a loss, says so in one sentence.
    """
    check_parameters(objective)
    y = jnp.asarray(np.random.default_rng(1).normal(size=(10, 2, 3)))
    y = y * 1e-2 if isinstance(objective, AbstractReadout) else y
    target: Any = jax.nn.one_hot(jnp.asarray([0, 2]), 3, dtype=float)
    counts = np.asarray(objective.counts(10))
    assert counts.shape == (10,), f"shape of counts {counts.shape}"
    assert set(np.unique(counts)) <= {0.0, 1.0}, "steps count or they do not"
    highest = _or_refused(lambda: objective.predict(y.at[:, :, 1].set(5.0)))
    if highest is None:
        target = jnp.broadcast_to(target, y.shape)  # it follows a target at every step
    else:
        assert (np.asarray(highest) == 1).all(), "the highest output does not win"
    _check_own(objective, y, target)
    loss = _or_refused(lambda: objective.loss(y, target))
    if loss is None:
        return
    assert loss.shape == (2,), f"shape {loss.shape}"
    assert (np.asarray(loss) > 0).all(), "a loss is not positive"
    unit = 1e-2 if isinstance(objective, AbstractReadout) else 1.0
    finite_difference(lambda u: objective.loss(u * unit, target), y / unit, "loss in the output", rtol=1e-4)
    if isinstance(objective, AbstractStepObjective):
        slope = jax.grad(lambda u: objective.loss(u, target).sum())(y)
        signal = objective.signal(y, target)
        along = float((slope * signal).sum() / jnp.linalg.norm(slope) / jnp.linalg.norm(signal))
        assert along > 1 - 1e-9, "the signal is not along the slope of the loss"


def _check_own(objective: AbstractObjective, y: Any, target: Any) -> None:
    """A trial with steps of its own is judged as the same trial cut after them."""
    own = jnp.asarray([7, 10])
    for k, n in enumerate((7, 10)):
        cut, wanted = y[:n, k], target[k] if target.ndim == 2 else target[:n, k]
        same(objective.counts(10, own)[:n, k], objective.counts(n), 0.0, "steps that count of a shorter trial")
        assert not objective.counts(10, own)[n:, k].any(), "steps count that are not a trial's own"
        whole = _or_refused(lambda: objective.predict(y, own))
        if whole is not None:
            same(whole[k], objective.predict(cut), 0.0, "class of a shorter trial")
        whole = _or_refused(lambda: objective.loss(y, target, own))
        if whole is not None:
            same(whole[k], objective.loss(cut, wanted), 1e-12, "loss of a shorter trial")
        if isinstance(objective, AbstractStepObjective):
            signal = objective.signal(y, target, own)[:, k]
            same(signal[:n], objective.signal(cut, wanted), 1e-12, "signal of a shorter trial")
            assert not signal[n:].any(), "a signal at steps that are not a trial's own"


def _or_refused(call: Callable[[], Any]) -> Any:
    """What a call gives, None where it is refused in one sentence."""
    try:
        return call()
    except InputError as error:
        check_sentence(error)
        return None


class Taken(NamedTuple):
    """Pulses that every device really had; a RESET counts as one down."""

    up: Any
    down: Any


class Counted(AbstractVariation):
    """A device that counts its own pulses: an account independent of the ledger."""

    source: ClassVar[str] = "definition"
    volatile: ClassVar[bool] = False

    device: AbstractPulseDevice

    def start(self, g: Any) -> Taken:
        """None yet."""
        return Taken(jnp.zeros_like(g), jnp.zeros_like(g))

    def written(self, before: Varied, after: Any, pulses: Any, *, key: Any) -> Varied:
        """Counted."""
        up, down = (jnp.maximum(sign * pulses, 0.0) for sign in (1, -1))
        return Varied(after, Taken(before.memory.up + up, before.memory.down + down))

    def held(self, g: Any) -> Any:
        """That of the device inside."""
        return g

    def seen(self, memory: Taken, g: Any) -> Any:
        """That of the device inside."""
        return g


@in_double_precision
def check_scheme(scheme: Scheme, crossbar: Crossbar | None = None) -> None:
    """The contract of a scheme on a `crossbar`; by default on linear pairs and, unless digital, on PCM pairs.

    Schemes that need tiles are checked on a `Stack` of soft bounds, and refuse other cells.

    No wanted change, no change and no pulse; conductances in range; same key, same result; jit and vmap over chips are
    a loop; the ledger counts the pulses that the devices had; no noise without a key; small updates move the weights
    in the wanted direction on average.
    """
    if crossbar is not None:
        _check_scheme_on(scheme, crossbar)
        return
    if scheme.tiles > 1:
        _check_refusal(scheme)
        device = SoftBounds()
        _check_scheme_on(scheme, Crossbar(Stack(device, midpoint(device), scheme.tiles)))
        return
    _check_scheme_on(scheme, Crossbar())
    if not scheme.digital:
        _check_scheme_on(scheme, Crossbar(DifferentialPair(PCM())))


def _check_refusal(scheme: Scheme) -> None:
    """One sentence that names the cell which is needed."""
    crossbar, said = Crossbar(), ""
    try:
        scheme.init(crossbar, crossbar.cell.init((2, 3)))
    except InputError as error:
        said = str(error)
    assert "Stack" in said, f"a cell without tiles is not refused, or not by name: '{said}'"


def _check_scheme_on(scheme: Scheme, crossbar: Crossbar) -> None:
    crossbar = eqx.tree_at(lambda c: c.cell.device, crossbar, replace_fn=Counted)
    cell, shape = crossbar.cell, (4, 8)
    random = np.random.default_rng(0)
    signs = jnp.asarray(np.where(np.arange(32).reshape(shape) % 2, 1.0, -1.0))
    some = signs * jnp.asarray(random.uniform(0.1, 0.3, shape))
    wanted = jnp.stack([jnp.zeros(shape), 5 * signs, some])

    def chip(w: Any) -> Any:
        return cell.place(cell.init(w.shape), w)

    def apply(state: Any, cells: CellState, dw: Any, key: Any) -> Any:
        return scheme.apply(state, crossbar, cells, dw, key=key)

    chips = jax.jit(jax.vmap(chip))(jnp.asarray(random.uniform(-0.2, 0.2, (3, *shape))))
    states = jax.jit(jax.vmap(lambda cells: scheme.init(crossbar, cells)))(chips)
    keys = jax.random.split(jax.random.key(0), 3)
    one, all_chips = jax.jit(apply), jax.jit(jax.vmap(apply))
    done = all_chips(states, chips, wanted, keys)
    same(all_chips(states, chips, wanted, keys), done, 0.0, "a second call with the same key")
    for k in (1, 2):
        alone = one(*jax.tree.map(lambda x, k=k: x[k], (states, chips, wanted, keys)))
        same(jax.tree.map(lambda x, k=k: x[k], done), alone, 1e-6, "vmap over chips")
    first = jax.tree.map(lambda x: x[0], (chips, done))
    same(first[1].cells, first[0], 0.0, "the cells without a wanted change")
    wear = first[1].ledger.worn()
    assert not any(np.asarray(x).any() for x in (wear.up, wear.down, wear.resets, wear.energy.value)), "idle pulses"
    g = np.asarray(jax.vmap(cell.device.stored)(done.cells.devices))
    low, high = (np.asarray(x) for x in (cell.device.g_min, cell.device.g_max))
    assert ((g >= low * (1 - 1e-6) - 1e-15) & (g <= high * (1 + 1e-6))).all(), "conductances leave the range"
    worth = jax.jit(lambda: cell.nominal_worth())()
    # a fast tile fills first, and its reference has to be learned by some schemes
    number = 12 if scheme.tiles == 1 else 200
    _check_updates(all_chips, crossbar, (states, chips), 1.2 * jnp.maximum(worth.up, -worth.down) * signs, number)
    _check_without_key(scheme, crossbar, chip)


def _check_updates(apply: Callable[..., Any], crossbar: Crossbar, start: tuple[Any, Any], dw: Any, number: int) -> None:
    """So many updates a little above the worth of a pulse: direction, and the ledger against the devices' own count."""
    cell, (states, cells) = crossbar.cell, start
    n, dw = cell.programmed(), jnp.broadcast_to(dw, (3, *dw.shape))
    before = np.asarray(jax.vmap(lambda c: cell.weight(cell.stored(c)))(cells))
    booked = np.zeros((2, 3, n, *dw.shape[1:]))
    for k in range(number):
        done = apply(states, cells, dw, jax.random.split(jax.random.key(k + 1), 3))
        states, cells, wear = done.state, done.cells, done.ledger.worn()
        booked += np.stack([np.asarray(wear.up), np.asarray(wear.down) + np.asarray(wear.resets)])[:, :, :n]
    counted = np.stack([np.asarray(cells.devices.memory.up), np.asarray(cells.devices.memory.down)])
    np.testing.assert_array_equal(booked, counted, err_msg="the ledger is not what the devices took")
    moved = np.asarray(jax.vmap(lambda c: cell.weight(cell.stored(c)))(cells)) - before
    for sign in (1, -1):
        along = sign * moved[np.sign(np.asarray(dw)) == sign]
        error = along.std() / np.sqrt(along.size)
        assert along.mean() > 3 * error, f"small updates of sign {sign} move the weights by {along.mean()} ± {error}"


def _check_without_key(scheme: Scheme, crossbar: Crossbar, chip: Callable[[Any], Any]) -> None:
    """Equal cells with equal wishes stay equal."""
    apply = jax.jit(lambda state, cells, dw: scheme.apply(state, crossbar, cells, dw, key=None))
    cells = jax.jit(chip)(jnp.full((2, 3), 0.1))
    state = scheme.init(crossbar, cells)
    for dw in (0.21, -0.34):
        done = apply(state, cells, jnp.full((2, 3), dw))
        state, cells = done.state, done.cells
    w = np.asarray(crossbar.cell.weight(crossbar.cell.stored(cells)))
    assert np.isfinite(w).all(), "a weight is not finite"
    assert np.ptp(w) <= 1e-6, "noise without a key"


@in_double_precision
def check_spiking_neuron(neuron: AbstractSpikingNeuron, drive: float = 0.5, dt: float = 1e-3) -> None:
    """Silent without input; spikes are 0 or 1; vmap = broadcasting; parameters; serialisation; one compilation.

    `drive` in units of weight is the s.d. of a random input that makes the neuron fire at some steps.
    """
    assert neuron.source, "a neuron needs a source"
    check_parameters(neuron)
    check_serialisation(neuron)

    def run(arriving: Any, n: AbstractSpikingNeuron = neuron) -> SpikingState:
        def step(state: SpikingState, now: Any) -> tuple[SpikingState, SpikingState]:
            state = n.step(state, now, dt)
            return state, state

        return jax.lax.scan(step, n.init(arriving.shape[1:]), arriving)[1]

    still = run(jnp.zeros((300, 2)))
    for name, leaf in zip(("v", "z"), still[:2], strict=True):
        np.testing.assert_array_equal(np.asarray(leaf), 0.0, err_msg=f"{name} without input")
    random = drive * jnp.asarray(np.random.default_rng(0).normal(size=(200, 5)))
    states = run(random)
    z, psi = np.asarray(states.z), np.asarray(states.psi)
    assert set(np.unique(z)) == {0.0, 1.0}, f"spikes are {np.unique(z)[:5]}"
    assert z.shape == random.shape, f"shape {z.shape}"
    assert (np.isfinite(psi) & (psi >= 0)).all(), "the pseudo-derivative is negative or not finite"
    same(jax.vmap(run, in_axes=1, out_axes=1)(random), states, 1e-12, "vmap of run")
    strong = run(1e6 * random)
    assert all(np.isfinite(np.asarray(leaf)).all() for leaf in strong), "not finite under strong input"
    check_compiles_once(lambda n: run(random, n), neuron)
