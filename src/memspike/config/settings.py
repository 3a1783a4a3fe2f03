"""The root of a configuration: every part of a training is named here once, and sets its own fields."""

from typing import Any

import equinox as eqx

from memspike.cells.base import AbstractCell
from memspike.cells.differential import DifferentialPair
from memspike.config.networks import AbstractTopology, FeedforwardTopology
from memspike.config.sections import (
    ArraySettings,
    Data,
    FabricationSettings,
    LearningSettings,
    SimulationSettings,
    TrainingSettings,
)
from memspike.data.encoders import AbstractEncoder, AmplitudeEvents
from memspike.data.trials import Augment
from memspike.neurons.mif import mif
from memspike.parts.param import option, part
from memspike.parts.registry import ENCODERS, NEURONS
from memspike.training.classify import Evaluation


class Run(eqx.Module):
    """What every run has: the name of its experiment, and its seeds."""

    experiment: str = option("", "registered name of the experiment")
    seeds: int = option(1, "independent trainings run together", bounds=(1, 10**7))
    seed: int = option(0, "first seed", bounds=(0, 2**31 - 1))


class Settings(Run):
    """One training, whole."""

    data: Data = part(Data, "examples")
    encoder: AbstractEncoder = part(AmplitudeEvents, "from examples to what drives the rows", choices=ENCODERS)
    augment: Augment = part(Augment, "random changes of training images")
    network: AbstractTopology = part(FeedforwardTopology, "layers, and what connects them")
    neuron: eqx.Module = part(mif, "the neurons of all layers", choices=NEURONS)
    synapse: AbstractCell = part(DifferentialPair, "the cells of all matrices: how devices make a weight")
    array: ArraySettings = part(ArraySettings, "the arrays of all matrices")
    fabrication: FabricationSettings = part(FabricationSettings, "spread from device to device")
    learning: LearningSettings = part(LearningSettings, "rule, scheme, optimiser, objective")
    simulation: SimulationSettings = part(SimulationSettings, "time")
    training: TrainingSettings = part(TrainingSettings, "how trials are shown")
    evaluation: Evaluation = part(Evaluation, "what is measured afterwards")


def seeds_of(run: Any) -> range:
    """The seeds of a run."""
    return range(run.seed, run.seed + run.seeds)
