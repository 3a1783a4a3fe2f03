"""What a step of a learner comes to in shapes: nothing is computed, and whatever cannot be fails here."""

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.arrays.fidelity import Ideal
from memspike.cells.base import CellState
from memspike.data.trials import AbstractTrials
from memspike.learning.programming.base import Applied, Scheme
from memspike.learning.rules.base import dense
from memspike.networks.base import AbstractNetwork, Cells, lines_of, unity, wired
from memspike.training.learner import Learner


class Wanted(NamedTuple):
    """A chip before its first update: its network, its cells, the wanted change of every matrix."""

    network: AbstractNetwork
    cells: Cells
    change: tuple[Any, ...]


def wanted(learner: Learner, trials: AbstractTrials, key: PRNGKeyArray) -> Wanted:
    """The first half of a step: a new chip, a trial on it, and what the rule makes of it."""
    network = learner.made(key)
    rule = learner.rule
    cells = learner.start.cells(network, [one.digital for one in learner.schemes], key=key)
    corrections = unity(network, lines_of(network, cells)) if wired(network) else None
    view, batch = learner.view(network, cells, corrections), () if learner.batch == 1 else (learner.batch,)
    state = rule.init(view, learner.transformation(), batch, key=key)
    cells, _ = rule.prepare(view, key=key)
    trial = trials.trial(trials.epoch(key, jnp.int32(0)), jnp.zeros(batch, jnp.int32), key)
    update = rule.update(state, view._replace(cells=cells), learner.batch_of(trial), learner.transformation(), key=key)
    return Wanted(network, cells, update.change)


def written(scheme: Scheme, crossbar: Crossbar, cells: CellState, change: Any, key: PRNGKeyArray) -> Applied:
    """The second half: what the scheme makes of a wanted change of one matrix."""
    dw = change if scheme.outer else dense(change)
    lines = crossbar.cell.stored(cells)
    ideal = not scheme.reads or isinstance(crossbar.wires, Ideal)
    lagged = {"correction": None if ideal else jnp.ones_like(lines)} if scheme.reads else {}
    return scheme.apply(scheme.init(crossbar, cells), crossbar, cells, dw, key=key, **lagged)


class TouchedError(Exception):
    """A scheme has asked for what the array does to reads."""


class _Out:
    """Stands for wires, tiles and converters where nothing should ask for them."""

    def __getattr__(self, name: str) -> Any:
        raise TouchedError(name)


OUT = _Out()


def _bare(matrix: tuple[Crossbar, Any, Any]) -> tuple[Crossbar, Any, Any]:
    """A matrix whose crossbar has no wires, tiles and converters to ask for."""
    crossbar = eqx.tree_at(
        lambda c: (c.wires, c.tiles, c.periphery), matrix[0], (OUT,) * 3, is_leaf=lambda x: x is None
    )
    return crossbar, *matrix[1:]


def _shapes(tree: Any) -> Hashable:
    """What a trace depends on: structure, shapes and types, values that are no arrays."""
    leaves, kind = jax.tree.flatten(tree)
    return kind, tuple((x.shape, x.dtype) if isinstance(x, jax.ShapeDtypeStruct) else x for x in leaves)


class Tracer:
    """Traces the halves of steps; one that was traced under the same name is not traced again.

    The first half depends on the scheme only by what its flags say, the second on nothing of the rule but the shapes
    of the wanted changes: together they are a step of `Learner`.
    """

    def __init__(self) -> None:
        self._known: dict[Hashable, Any] = {}

    def _once(self, name: Hashable, trace: Callable[[], Any]) -> Any:
        if name not in self._known:
            try:
                self._known[name] = trace()
            except Exception as error:
                self._known[name] = error
        found = self._known[name]
        if isinstance(found, Exception):
            raise found
        return found

    def __call__(self, learner: Learner, trials: AbstractTrials, name: Hashable) -> None:
        """A step of a learner; `name` tells apart whatever differs besides the scheme. Raises what a step raises."""
        key, schemes = jax.random.key(0), learner.schemes
        flags = (name, *((one.digital, one.exact) for one in schemes))
        half: Wanted = self._once(flags, lambda: eqx.filter_eval_shape(wanted, learner, trials, key))
        matrices = zip(half.network.crossbars, half.cells, half.change, strict=True)
        for matrix, scheme, recipe in zip(matrices, schemes, learner.recipes, strict=True):
            cells, bare, own = matrix[1], _bare(matrix), (recipe.name, repr(recipe.options()))
            try:  # the same on every array, unless the scheme asks for what the array does
                done = self._once((own, _shapes(bare)), partial(eqx.filter_eval_shape, written, scheme, *bare, key))
            except TouchedError:
                done = self._once((own, _shapes(matrix)), partial(eqx.filter_eval_shape, written, scheme, *matrix, key))
            before, after = (jax.tree.map(lambda x: (x.shape, x.dtype), one) for one in (cells, done.cells))
            if before != after:
                raise TypeError(f"{recipe.name} leaves cells of other shapes: {before} became {after}")
