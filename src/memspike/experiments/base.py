"""What an experiment is: a configuration with a target and a citation."""

from typing import Any, NamedTuple

from memspike._registry import EXPERIMENTS
from memspike.experiments.config import ExperimentConfig


class Experiment(NamedTuple):
    """A registered experiment.

    `quick` holds the overrides (dotted keys) of `--quick`; `expected` and `expected_quick` are the test
    accuracies measured with seed 0; `reference` says what was published and where.
    """

    config: ExperimentConfig
    quick: dict[str, Any]
    expected: float
    expected_quick: float
    reference: str

    @property
    def name(self) -> str:
        """The registered name."""
        return self.config.experiment


def register(experiment: Experiment, doc: str) -> Experiment:
    """Add an experiment to the registry."""
    return EXPERIMENTS.add(experiment.name, experiment, doc, experiment.reference)
