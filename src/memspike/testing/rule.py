"""The contract of a learning rule: whatever network it accepts, a learner of its own learns."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from memspike.arrays.crossbar import Crossbar
from memspike.cells.single import RangeReference
from memspike.data.trials import Trial
from memspike.devices.presets.published import pulsed_mif_synapse
from memspike.learning.objectives import (
    AbstractObjective,
    SmoothMaximum,
    SquaredError,
    SummedOutput,
    Windowed,
    Winner,
)
from memspike.learning.optimizers import sgd
from memspike.learning.programming.schemes import ideal
from memspike.learning.rules.base import AbstractRule, Batch, dense
from memspike.networks.base import AbstractNetwork, Clock
from memspike.networks.feedforward import feedforward
from memspike.networks.local import local_network
from memspike.networks.populations import Associative, Competitive
from memspike.networks.recurrent import Recurrent
from memspike.neurons.lif import ALIF, LIF
from memspike.parts.errors import InputError
from memspike.parts.table import Recipe
from memspike.testing.common import check_parameters, check_sentence, check_serialisation, in_double_precision, same
from memspike.training.learner import Learner
from memspike.training.start import Exact, Fabrication

STEPS, ROWS, CLASSES, KEY = 60, 6, 3, 3


class Case(NamedTuple):
    """A small network, what is wanted of it, one trial, its time step; rate and initial gain with which it learns."""

    network: AbstractNetwork
    objective: AbstractObjective
    x: Any
    target: Any
    dt: float
    rate: float
    gain: float = 0.5


def _cases() -> Iterator[Case]:
    """One of every kind of network."""
    random = np.random.default_rng(0)
    spikes = jnp.asarray((random.random((STEPS, ROWS)) < 0.2).astype(float))
    target = jax.nn.one_hot(jnp.asarray(1), CLASSES, dtype=float)
    wave = jnp.sin(jnp.arange(STEPS) / 10)[:, None] * jnp.ones((1, CLASSES))
    recurrent = Recurrent((ROWS, 20, CLASSES), LIF(theta=0.3))
    local = local_network((ROWS, 20, 20), CLASSES)
    memory = Crossbar(RangeReference(pulsed_mif_synapse()))
    long = 10 * STEPS
    together = jnp.zeros((long, ROWS)).at[10, : ROWS // 2].set(1.0)
    winner = Competitive(
        (ROWS, CLASSES), memory, ALIF(theta=0.5, beta=0.0, refractory=long, soft=False), classes=CLASSES
    )
    yield Case(feedforward((ROWS, 8, CLASSES)), SmoothMaximum(), 0.1 * spikes, target, 5e-5, 0.1)
    yield Case(feedforward((ROWS, 8, CLASSES)), Windowed(), 0.1 * spikes, target, 5e-5, 0.1)
    yield Case(recurrent, SquaredError(), spikes, wave, 1e-3, 1e-3)
    yield Case(local, SummedOutput(), spikes, target, 1e-3, 1.0, 1.0)
    yield Case(winner, Winner(), together, target, 1e-5, 1.0, 1.0)
    in_turn = jnp.zeros((long, ROWS)).at[jnp.asarray([10, 110]), jnp.asarray([0, 1])].set(1.0)
    yield Case(Associative(ROWS, memory), Winner(), in_turn, in_turn.max(0), 1e-5, 1.0)


def _learner(rule: AbstractRule, case: Case, batch: int = 1) -> Learner:
    return Learner(
        network=case.network,
        rule=rule,
        scheme=Recipe(ideal, "ideal"),
        objective=case.objective,
        optimizer=Recipe(sgd, "sgd", {}, {"learning_rate": jnp.asarray(case.rate)}),
        start=Exact(case.gain),
        fabrication=Fabrication(),
        clock=Clock(case.dt, (len(case.x),)),
        updates=100,
        batch=batch,
        noisy=False,
    )


@in_double_precision
def check_rule(make: Callable[[], AbstractRule]) -> None:
    """Made without arguments; refuses in one sentence what it cannot learn; learns what it accepts.

    There a change has the shapes of the weights and is finite, follows from the key alone, is the mean of a batch,
    and lowers the loss of a frozen trial; without a teacher silence changes
    nothing, and between two neurons that spike one after the other the weight of the first rises.
    """
    rule, learned = make(), 0
    assert rule.source, "a rule needs a source"
    check_parameters(rule)
    check_serialisation(rule)
    for case in _cases():
        try:
            learner = _learner(rule, case)
            trial = _trial(learner)
            jax.eval_shape(trial, _shown(learner, case))
        except InputError as error:
            check_sentence(error)
            continue
        _check_learning(learner, case, trial)
        learned += 1
    assert learned, f"{type(rule).__name__} learns none of the networks"


def _shown(learner: Learner, case: Case) -> Batch:
    return learner.batch_of(Trial(case.x, case.target))


def _trial(learner: Learner) -> Callable[[Batch], tuple[Any, Any]]:
    """A new chip and what its rule wants after one trial, as one program."""
    key = jax.random.key(KEY)

    @jax.jit
    def run(given: Batch) -> tuple[Any, Any]:
        network = learner.made(key)
        chip = learner.init(network, key=key)
        view = learner.view(network, chip.cells, None)
        return chip, learner.rule.update(chip.rule, view, given, learner.transformation(), key=key)

    return run


def _check_learning(learner: Learner, case: Case, trial: Callable[[Batch], tuple[Any, Any]]) -> None:
    shown, shapes = _shown(learner, case), case.network.shapes
    chip, (state, change, metrics) = trial(shown)
    assert [dense(c).shape for c in change] == list(shapes), "a change has not the shape of its weights"
    assert all(np.isfinite(dense(c)).all() for c in change), "a change is not finite"
    assert all(np.isfinite(m) for m in metrics.values()), "a metric is not finite"
    assert jax.tree.structure(state) == jax.tree.structure(chip.rule), "the state changes its form"
    if isinstance(case.network, Recurrent):
        assert not np.diagonal(dense(change[1])).any(), "a neuron is connected to itself"
    if isinstance(case.network, Associative):
        assert float(change[0][0, 1]) > 0 > float(change[0][1, 0]), "the earlier spike does not drive the later one"
    if isinstance(case.objective, Winner):
        assert np.asarray(change[0]).any(), "spikes change nothing"
        silent = trial(shown._replace(x=jnp.zeros_like(case.x)))[1][1]
        same(silent, [jnp.zeros(s) for s in shapes], 0.0, "a change without any spike")
    try:
        both = _learner(learner.rule, case, 2)
    except InputError as error:
        check_sentence(error)
    else:
        twice = shown._replace(x=jnp.stack([case.x] * 2, 1), target=jnp.stack([case.target] * 2, case.target.ndim - 1))
        for one, other in zip(change, _trial(both)(twice)[1][1], strict=True):
            np.testing.assert_allclose(dense(one), dense(other), rtol=1e-5, atol=1e-9, err_msg="the mean of a batch")
    if not isinstance(case.objective, Winner):
        _check_own(learner, case, trial)
    _check_descent(learner, case)


def _check_own(learner: Learner, case: Case, trial: Callable[[Batch], tuple[Any, Any]]) -> None:
    """A trial with steps of its own changes what the same trial changes that is cut after them."""
    own = len(case.x) - 13
    wanted = case.target[:own] if case.target.ndim > 1 else case.target
    cut = case._replace(x=case.x[:own], target=wanted)
    shorter = _learner(learner.rule, cut)
    alone = _trial(shorter)(_shown(shorter, cut))[1]
    padded = trial(learner.batch_of(Trial(case.x, case.target, jnp.asarray(own))))[1]
    for one, other in zip(alone.change, padded.change, strict=True):
        np.testing.assert_allclose(dense(one), dense(other), rtol=1e-5, atol=1e-9, err_msg="steps that are not its own")
    same(alone.metrics["loss"], padded.metrics["loss"], 1e-5, "loss of a trial with steps of its own")


def _check_descent(learner: Learner, case: Case) -> None:
    """The loss of a frozen trial falls below 0.9 of what it was; the same keys give the same chip."""
    key = jax.random.key(KEY)
    network = learner.made(key)

    @jax.jit
    def train(chip: Any) -> Any:
        return jax.lax.scan(
            lambda c, k: learner.step(network, c, Trial(case.x, case.target), key=k), chip, jax.random.split(key, 100)
        )

    chip = learner.init(network, key=key)
    done, metrics = train(chip)
    same(train(chip)[0], done, 0.0, "same keys, same chip")
    losses = np.asarray(metrics["loss"])
    assert losses[-1] < 0.9 * losses[0] or isinstance(network, Associative), (
        f"loss from {losses[0]} to {losses[-1]} on a {type(network).__name__}"
    )
