"""What an experiment is: a configuration with a target and a citation."""

from collections.abc import Callable
from typing import Any, NamedTuple

from memspike.experiments.config import RunConfig
from memspike.parts.registry import EXPERIMENTS


class Experiment(NamedTuple):
    """A registered experiment.

    `quick` holds the overrides (dotted keys) of `--quick`; `expected` and `expected_quick` are the test accuracies (or
    errors) measured with seed 0; `reference` says what was published and where. A study brings its own `study`, called
    like `run`, which trains and measures many configurations and returns its table as `rows`; `summary` says a result
    in one line where it is not an accuracy but a `measure` of its own.
    """

    config: RunConfig
    quick: dict[str, Any]
    expected: float
    expected_quick: float
    reference: str
    study: Callable[..., dict[str, Any]] | None = None
    summary: Callable[[dict[str, Any]], str] | None = None
    measure: str = "error"

    def shown(self, value: float) -> str:
        """An expected value as text: an accuracy, or a `measure` where there is a `summary`."""
        return f"{value:.1%}" if self.summary is None else f"{self.measure} {value:.3g}"

    @property
    def name(self) -> str:
        """The registered name."""
        return self.config.experiment


def register(experiment: Experiment, doc: str) -> Experiment:
    """Add an experiment to the registry."""
    return EXPERIMENTS.add(experiment.name, experiment, doc, experiment.reference)
