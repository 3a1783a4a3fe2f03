"""What trained chips make of test examples: one evaluation for every rule, network and array."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PRNGKeyArray, Shaped

from memspike.data.base import Dataset
from memspike.data.trials import SHOWN, Examples
from memspike.networks.base import AbstractNetwork, Cells, corrections_of, lines_of, wired
from memspike.parts.parallel import map_split, split
from memspike.training.learner import Aged, Chip, Learner
from memspike.training.population import FabricatedChip, Population

# draws of a test: of what is shown, and of read noise
HEARD, READ = range(2)


class TestKeys(NamedTuple):
    """Keys of every chip and chunk: of what is shown, and of read noise, where there is any."""

    shown: PRNGKeyArray
    read: PRNGKeyArray | None


def read_keys(key: PRNGKeyArray, chips: int, chunks: int) -> Key[Array, "chips chunks"]:
    """Keys of read noise [chips, chunks] that follow from one key."""
    each = [jax.random.split(jax.random.fold_in(key, k), chips) for k in range(chunks)]
    return jnp.stack(each, axis=1)


class Evaluator:
    """Accuracy of the chips of a population on the test examples of a data set, `batch` of them at once.

    Wires are exact. Chips are shared out among devices, or batches where the rule does so.
    """

    def __init__(self, population: Population, data: Dataset, batch: int = 500):
        assert isinstance(population.trials, Examples)
        self.population, self.data, self.trials = population, data, population.trials
        self.batch = min(batch, len(data.y_test))
        self.x = self._chunks(data.x_test)
        self.lengths = None if data.lengths_test is None else self._chunks(data.lengths_test)
        self._classes = jax.jit(self._all, static_argnames=("learner", "dt"))

    def _chunks(self, values: np.ndarray) -> Array:
        """Values of the test examples in batches, the last one padded."""
        padded = jnp.pad(jnp.asarray(values), ((0, -len(values) % self.batch), *[(0, 0)] * (values.ndim - 1)))
        return padded.reshape(-1, self.batch, *values.shape[1:])

    @property
    def chunks(self) -> int:
        """Batches of a test."""
        return len(self.x)

    def keys(self, noisy: bool) -> TestKeys:
        """The keys of a test, those of each chip from its own key."""
        own = jax.vmap(lambda key: jax.random.fold_in(key, SHOWN))(self.population.keys)
        each = own[:, None] if self.chunks == 1 else jax.vmap(lambda key: jax.random.split(key, self.chunks))(own)
        fold = jax.vmap(jax.vmap(jax.random.fold_in, (0, None)), (0, None))
        return TestKeys(fold(each, HEARD), fold(each, READ) if noisy else None)

    def first(self, count: int, dt: float, *, key: PRNGKeyArray) -> Any:
        """The first `count` test examples as they are shown, in steps of `dt` seconds; at most a batch."""
        x, lengths = jax.tree.map(lambda a: a[0, :count], (self.x, self.lengths))
        return self.trials.shown(x, dt, lengths, key=key)

    def network(self, made: FabricatedChip, learner: Learner | None = None) -> AbstractNetwork:
        """The network of a chip, with the wires and converters of `learner`; a copy without its own has all of it."""
        if learner is not None and made.network is None:
            return learner.network
        own = self.population.network(made)
        if learner is None:
            return own
        pairs = zip(learner.network.crossbars, own.crossbars, strict=True)
        return own.with_crossbars(tuple(eqx.tree_at(lambda c: c.cell, one, chip.cell) for one, chip in pairs))

    def _all(
        self,
        made: FabricatedChip,
        chips: Chip,
        x: tuple[Array, Array | None],
        keys: TestKeys,
        gains: Any,
        trials: Examples,
        *,
        learner: "Static",
        dt: float,
    ) -> Shaped[Array, "chips chunks batch ..."]:
        spread = self.population.spread_batch

        def one(item: tuple[FabricatedChip, Chip, TestKeys, Any]) -> Shaped[Array, "chunks batch ..."]:
            made, chip, keys, gains = item
            own = learner.value or self.population.learner_of(made.numbers)
            network = self.network(made, learner.value)
            view = own.view(network, chip.cells, None, gains)
            view = view._replace(
                clock=view.clock if dt == view.clock.dt else view.clock.at_step(dt),
                corrections=exact_corrections(network, chip.cells, aged=view.aged),
            )

            def chunk(now: tuple[tuple[Array, Array | None], TestKeys]) -> Array:
                given, keys = now
                images, lengths = jax.tree.map(lambda a: split(a, 0), given) if spread else given
                ends = None if lengths is None else trials.own(lengths, dt)
                shown = trials.shown(images, dt, lengths, key=keys.shown)
                if self.data.regression:
                    return trials.by_frame(own.followed(view, chip, shown, key=keys.read), dt)
                return own.predicted(view, chip, shown, ends, key=keys.read)

            return jax.lax.map(chunk, (x, keys))

        items = (made, chips, keys, gains)
        return jax.lax.map(one, items) if spread else map_split(one, items)

    def predictions(
        self,
        chips: Chip,
        *,
        dt: float | None = None,
        aged: Aged | None = None,
        learner: Learner | None = None,
        made: FabricatedChip | None = None,
        keys: TestKeys | None = None,
    ) -> Shaped[np.ndarray, "chips examples ..."]:
        """The class that each chip takes each test example for, −1 for none; of numbers the mean output in each frame
        [chips, examples, frames, outputs].

        `dt` is another time step; `aged` says that the cells are old, with gains [chips, columns] of their drift
        compensation. `learner` has other wires and converters; `made` are other chips than those of the population.
        """
        noisy = (learner or self.population.learner).noisy
        found = self._classes(
            self.population.chips if made is None else made,
            chips,
            (self.x, self.lengths),
            self.keys(noisy) if keys is None else keys,
            aged,
            self.trials,
            learner=Static(learner),
            dt=self.population.learner.clock.dt if dt is None else dt,
        )
        return np.asarray(found).reshape(found.shape[0], -1, *found.shape[3:])[:, : len(self.data.y_test)]

    def accuracy(self, chips: Chip, **options: Any) -> Float[np.ndarray, " chips"]:
        """Share of the test examples that each chip classifies correctly."""
        return (self.predictions(chips, **options) == self.data.y_test[None]).mean(1)


class Static:
    """An object as a static argument: equal only to itself."""

    def __init__(self, value: Learner | None):
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Static) and other.value is self.value


def exact_corrections(network: AbstractNetwork, cells: Cells, *, aged: bool) -> Any:
    """The corrections of all wires at the conductances that are read: exact, and solved once for many trials."""
    if not wired(network):
        return None
    if not aged:
        return corrections_of(network, lines_of(network, cells))
    pairs = zip(network.crossbars, cells, strict=True)
    return corrections_of(network, tuple(c.cell.read_moments(state).mean for c, state in pairs))


def copies(learner: Learner, chip: Chip, count: int, *, key: PRNGKeyArray) -> Chip:
    """`count` chips with the weights of `chip`, each missing its targets by its own programming errors.

    Errors are those of the crossbars (`programming_spread`), relative to each device's own conductance.
    """
    network = learner.network
    weights = network.weights(chip.cells)

    def one(key: PRNGKeyArray) -> Cells:
        keys = jax.random.split(key, len(weights))
        cells = []
        for crossbar, w, state, k in zip(network.crossbars, weights, chip.cells, keys, strict=True):
            lines = crossbar.program(w, key=k)
            target = lines[: crossbar.cell.programmed()]
            cells.append(state._replace(devices=crossbar.cell.device.place(state.devices, target)))
        return tuple(cells)

    cells = jax.vmap(one)(jax.random.split(key, count))
    return repeated(chip._replace(cells=()), count)._replace(cells=cells)


def repeated(tree: Any, count: int) -> Any:
    """A tree of arrays with a leading axis of `count` times the same."""
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (count, *jnp.shape(leaf))), tree)


def spread(values: np.ndarray) -> float:
    """Sample standard deviation, 0 for a single value."""
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0
