"""In which order trials are shown to a chip, and which keys its start, its trials and its updates have.

Two orders are kept, each with the draws that its recorded results were made with: one that shuffles on the host and
counts steps, and one that shuffles by the key of the chip and counts trials within an epoch.
"""

from abc import abstractmethod
from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key, PRNGKeyArray

MADE, STARTED, ORDERED = range(3)
Shuffled = Int[np.ndarray, "chips epochs count"]


class StepKeys(NamedTuple):
    """The keys of one step: for what is shown, and for the update."""

    trial: PRNGKeyArray
    update: PRNGKeyArray


class Moment(NamedTuple):
    """When a step is: its epoch, its number in the epoch and in the whole training."""

    epoch: Int[Array, ""]
    within: Int[Array, ""]
    step: Int[Array, ""]


class AbstractOrder(eqx.Module):
    """Numbers of trials and keys of steps, both fixed by the seed of a chip."""

    @abstractmethod
    def shuffled(self, seeds: list[int], keys: Key[Array, " chips"], epochs: range, count: int) -> Shuffled:
        """The order of the trials in each of the epochs."""

    @abstractmethod
    def start(self, key: PRNGKeyArray) -> PRNGKeyArray:
        """The key of a chip's first weights."""

    @abstractmethod
    def keys(self, key: PRNGKeyArray, now: Moment) -> StepKeys:
        """The keys of a step."""


class BySteps(AbstractOrder):
    """NumPy shuffles by seed and epoch; the key of a step follows from its number in the training."""

    def shuffled(self, seeds: list[int], keys: Key[Array, " chips"], epochs: range, count: int) -> Shuffled:
        """A permutation of a generator of its own for each seed and epoch."""
        each = [[np.random.default_rng([s, e]).permutation(count) for e in epochs] for s in seeds]
        return np.asarray(each, np.int32)

    def start(self, key: PRNGKeyArray) -> PRNGKeyArray:
        """Number 0."""
        return jax.random.fold_in(key, 0)

    def keys(self, key: PRNGKeyArray, now: Moment) -> StepKeys:
        """That of the trial is the first of three that the key of the update falls into."""
        own = jax.random.fold_in(jax.random.fold_in(key, 1), now.step)
        return StepKeys(jax.random.split(own, 3)[0], own)


class ByEpochs(AbstractOrder):
    """JAX shuffles by the key of the chip and the epoch; the keys of a step follow from its number in the epoch."""

    def shuffled(self, seeds: list[int], keys: Key[Array, " chips"], epochs: range, count: int) -> Shuffled:
        """A permutation of the key of each chip and epoch."""
        return np.asarray(_permutations(keys, jnp.asarray(list(epochs), jnp.int32), count), np.int32)

    def start(self, key: PRNGKeyArray) -> PRNGKeyArray:
        """Number 1."""
        return jax.random.fold_in(key, STARTED)

    def keys(self, key: PRNGKeyArray, now: Moment) -> StepKeys:
        """Two of one."""
        own = jax.random.fold_in(jax.random.fold_in(key, ORDERED), now.epoch)
        return StepKeys(*jax.random.split(jax.random.fold_in(own, now.within + 1)))


@partial(jax.jit, static_argnums=2)
def _permutations(
    keys: Key[Array, " chips"], epochs: Int[Array, " epochs"], count: int
) -> Int[Array, "chips epochs count"]:
    def one(key: PRNGKeyArray, epoch: Int[Array, ""]) -> Int[Array, " count"]:
        return jax.random.permutation(jax.random.fold_in(jax.random.fold_in(key, ORDERED), epoch), count)

    return jax.vmap(lambda key: jax.vmap(lambda epoch: one(key, epoch))(epochs))(keys)
