"""Many chips as one: a learner, or several that differ in numbers, and the programs that train all their chips."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int, PRNGKeyArray

from memspike.data.trials import AbstractTrials, Trial
from memspike.networks.base import AbstractNetwork
from memspike.parts.parallel import devices_mesh, loop_split, vmap_split
from memspike.training.learner import Chip, Learner
from memspike.training.order import MADE, AbstractOrder, Moment

Metrics = dict[str, Float[Array, "chips epochs steps"]]


class FabricatedChip(NamedTuple):
    """What a chip is and never changes: its key, its numbers (see `Population`), its network where it has its own."""

    key: PRNGKeyArray
    numbers: Any
    network: Any


class Piece(NamedTuple):
    """Steps that run as one program: whole epochs, or a part of one."""

    epoch: int
    epochs: int
    first: int
    steps: int


class Population:
    """Binds learners, trials and an order to compiled programs of all chips; holds no training state.

    There is a chip a seed. Of several learners, which must differ in numbers alone, there is one a learner and seed
    (seeds of the first learner first), all trained together. Chips are shared out among devices where their number
    divides it; rules that sum over a batch (`spread_batch`) share out the batch instead.
    """

    def __init__(self, learners: Sequence[Learner], trials: AbstractTrials, order: AbstractOrder, seeds: range):
        self.learner, self.trials, self.order, self.seeds = learners[0], trials, order, seeds
        self.per_epoch = trials.count // self.learner.batch
        keys = jnp.stack([jax.random.key(s) for s in seeds])
        self.keys = jnp.tile(keys, len(learners))
        self.numbers = _stacked(learners, len(seeds)) if len(learners) > 1 else None
        self.chips = FabricatedChip(self.keys, self.numbers, None)
        if self.learner.individual:
            # devices are drawn once, and not again in every program that uses them
            make = jax.jit(lambda *chips: vmap_split(self._made, *chips))
            self.chips = self.chips._replace(network=make(self.keys, self.numbers))
        self._init = jax.jit(lambda chips: vmap_split(self._start, chips))
        self._run = jax.jit(self._piece, static_argnames="steps")
        # traced once for the check below and for every program that has it in its loop
        self._step = jax.jit(self._learned)
        self._renew = jax.jit(lambda made, chips: jax.vmap(self._renewed)(made, chips))
        # what does not fit together says so before anything is written
        jax.eval_shape(self._one_step, self.chips, self.placed(jax.eval_shape(self._init, self.chips)), trials)

    @property
    def count(self) -> int:
        """All chips."""
        return len(self.keys)

    @property
    def spread_batch(self) -> bool:
        """Whether the batch is shared out among devices, and not the chips."""
        return self.learner.rule.spread_batch

    def learner_of(self, numbers: Any) -> Learner:
        """The learner of a chip, given its entry of `numbers`."""
        return self.learner if numbers is None else eqx.combine(numbers, self.learner)

    def _made(self, key: PRNGKeyArray, numbers: Any) -> AbstractNetwork:
        return self.learner_of(numbers).made(jax.random.fold_in(key, MADE))

    def network(self, made: FabricatedChip) -> AbstractNetwork:
        """The network of a chip."""
        return self._made(made.key, made.numbers) if made.network is None else made.network

    def _start(self, made: FabricatedChip) -> Chip:
        return self.learner_of(made.numbers).init(self.network(made), key=self.order.start(made.key))

    def init(self) -> Chip:
        """The chips before the first trial, with a leading axis."""
        return self.placed(self._init(self.chips))

    def placed(self, chips: Chip) -> Chip:
        """Chips, or their shapes, where the training program leaves them, so that it is traced and compiled once."""
        devices = jax.device_count()
        shared = not self.spread_batch and self.count % devices == 0
        if devices == 1 or not (shared or self.spread_batch):
            return chips
        mesh = devices_mesh("batch" if self.spread_batch else "chips")
        sharding = NamedSharding(mesh, PartitionSpec("chips") if shared else PartitionSpec())

        def put(leaf: Any) -> Any:
            if isinstance(leaf, jax.ShapeDtypeStruct):
                return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)
            return jax.device_put(leaf, sharding)

        return jax.tree.map(put, chips)

    def _each(self, one: Callable[..., Any], *batched: Any) -> Any:
        """`one` of every chip, shared out among devices unless they share the batch."""
        if self.spread_batch:
            return jax.vmap(one)(*batched)
        split = loop_split if self.learner.network.apart else vmap_split
        return split(one, *batched)

    def _one_step(self, made: FabricatedChip, chips: Chip, trials: AbstractTrials) -> Any:
        """The first step of every chip, for its shapes."""
        none = jnp.int32(0)
        index = jnp.zeros(() if self.learner.batch == 1 else (self.learner.batch,), jnp.int32)

        def one(made: FabricatedChip, chip: Chip) -> Any:
            made = made._replace(network=self.network(made))
            return self._step(made, chip, trials, trials.epoch(made.key, none), index, Moment(none, none, none))

        return self._each(one, made, chips)

    def _learned(
        self,
        made: FabricatedChip,
        chip: Chip,
        trials: AbstractTrials,
        shown: Any,
        index: Array,
        now: Moment,
    ) -> tuple[Chip, dict[str, Array]]:
        keys = self.order.keys(made.key, now)
        trial = trials.trial(shown, index, keys.trial)
        return self.learner_of(made.numbers).step(made.network, chip, trial, key=keys.update)

    def _piece(
        self,
        made: FabricatedChip,
        chips: Chip,
        trials: AbstractTrials,
        indices: Int[Array, "chips epochs steps batch"],
        start: tuple[Array, Array],
        *,
        steps: int,
    ) -> tuple[Chip, Metrics]:
        """All steps of a piece that begins at (epoch, number in the epoch)."""

        def one(made: FabricatedChip, chip: Chip, own: Int[Array, "epochs steps batch"]) -> tuple[Chip, Any]:
            made = made._replace(network=self.network(made))

            def epoch(chip: Chip, now: tuple[Array, Array]) -> tuple[Chip, Any]:
                index, number = now
                shown = trials.epoch(made.key, number)

                def body(chip: Chip, now: tuple[Array, Array]) -> tuple[Chip, dict[str, Array]]:
                    index, k = now
                    moment = Moment(number, k, number * self.per_epoch + k)
                    at = index[0] if self.learner.batch == 1 else index
                    return self._step(made, chip, trials, shown, at, moment)

                return jax.lax.scan(body, chip, (index, start[1] + jnp.arange(steps, dtype=jnp.int32)))

            epochs = start[0] + jnp.arange(own.shape[0], dtype=jnp.int32)
            return jax.lax.scan(epoch, chip, (own, epochs))

        return self._each(one, made, chips, indices)

    def _indices(self, piece: Piece) -> Int[np.ndarray, "chips epochs steps batch"]:
        """The trials of every step of a piece."""
        size, epochs = self.learner.batch, range(piece.epoch, piece.epoch + piece.epochs)
        repeats = self.count // len(self.seeds)
        order = self.order.shuffled(list(self.seeds) * repeats, self.keys, epochs, self.trials.count)
        shape = (self.count, piece.epochs, self.per_epoch, size)
        return order[..., : self.per_epoch * size].reshape(shape)[:, :, piece.first : piece.first + piece.steps]

    def trial_of(self, made: FabricatedChip, which: int, piece: Piece, number: int) -> Trial:
        """What chip number `which` is shown in step `number` of a piece of one epoch."""
        epoch, within = jnp.int32(piece.epoch), jnp.int32(piece.first + number)
        keys = self.order.keys(made.key, Moment(epoch, within, epoch * self.per_epoch + within))
        index = jnp.asarray(self._indices(piece)[which, 0, number])
        at = index[0] if self.learner.batch == 1 else index
        return self.trials.trial(self.trials.epoch(made.key, epoch), at, keys.trial)

    def run(self, chips: Chip, piece: Piece) -> tuple[Chip, Metrics]:
        """The chips after a piece, and the metrics of all its steps."""
        indices = self._indices(piece)
        start = (jnp.int32(piece.epoch), jnp.int32(piece.first))
        return self._run(self.chips, chips, self.trials, jnp.asarray(indices), start, steps=piece.steps)

    def renewed(self, chips: Chip, *, first: bool) -> Chip:
        """The chips with exact corrections of their wires; at the first time nothing was in use before."""
        if chips.wires is None:
            return chips
        # two programs over several CPU devices in flight can wait for each other for ever
        chips = jax.block_until_ready(self._renew(self.chips, chips))
        assert chips.wires is not None
        if first:
            wires = chips.wires._replace(deviation=jnp.zeros_like(chips.wires.deviation))
            chips = chips._replace(wires=wires)
        return self.placed(chips)

    def _renewed(self, made: FabricatedChip, chip: Chip) -> Chip:
        return self.learner_of(made.numbers).renewed(self.network(made), chip)

    def first_of(self, tree: Any) -> Any:
        """What belongs to the first chip, by way of the host."""

        def one(leaf: Any) -> Any:
            if not eqx.is_array(leaf):
                return leaf
            key = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
            return leaf[0] if key else jnp.asarray(np.asarray(leaf)[0])

        return jax.tree.map(one, tree)


def _stacked(learners: Sequence[Learner], seeds: int) -> Any:
    """The numbers of all learners with a leading axis, each repeated for all seeds."""
    leaves, trees = zip(*(jax.tree.flatten(eqx.filter(one, eqx.is_inexact_array)) for one in learners), strict=True)
    together = [jnp.repeat(jnp.stack(same), seeds, axis=0) for same in zip(*leaves, strict=True)]
    return jax.tree.unflatten(trees[0], together)
