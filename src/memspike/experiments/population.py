"""Many configurations that differ in numbers alone, all their seeds trained together as one population of chips."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from memspike.data.base import Dataset
from memspike.experiments.decolle import Images
from memspike.experiments.local_config import LocalConfig
from memspike.experiments.run import Progress, Report
from memspike.training.costs import device_pulses


class Outcome(NamedTuple):
    """What one configuration came to, by seed: test accuracy, mean pulses of a weight, write energy in J of a chip."""

    accuracy: Float[np.ndarray, " seeds"]
    pulses_per_weight: Float[np.ndarray, " seeds"]
    energy: Float[np.ndarray, " seeds"]


def train_population(configs: Sequence[LocalConfig], data: Dataset, report: Report) -> list[Outcome]:
    """Train all `configs` on the same images → their outcomes, in order.

    They have to agree in everything but numbers: of the device, the weight range, the learning rate, θ of triggered
    errors, and `fast` and `period` of a fast tile.
    """
    first, seeds = configs[0], configs[0].seeds
    images = Images(first, data, configs)
    chips, epochs = images.online.init(), first.learning.epochs
    for epoch in range(epochs):
        chips, metrics = jax.block_until_ready(images.online.epochs(chips, epoch, 1))
        report(Progress(epoch + 1, epochs, float(np.nanmean(np.asarray(metrics["loss"]))), None))
    count = len(configs) * seeds
    pulses, resets = device_pulses(chips.ledger, count)
    sizes = images.online.learner.sizes
    weights = sum((rows + 1) * columns for rows, columns in pairwise(sizes))
    per_weight = (pulses + resets).sum(1) / weights
    energy = sum(np.asarray(ledger.write_energy, np.float64).reshape(count, -1).sum(1) for ledger in chips.ledger)
    columns = (images.accuracy(chips), per_weight, np.asarray(energy))
    return [Outcome(*(c.reshape(-1, seeds)[k] for c in columns)) for k in range(len(configs))]
