"""The one entry: an experiment is a training, or a study of many."""

from pathlib import Path
from typing import Any, cast

from memspike.experiments.config import RunConfig
from memspike.experiments.run import Report, silent
from memspike.experiments.run import run as train
from memspike.parts.registry import EXPERIMENTS


def run(config: RunConfig, out: Path, *, resume: bool = False, report: Report = silent) -> dict[str, Any]:
    """Run `config` in the folder `out` and return the content of its result.json.

    InputError for input that cannot be used, RunError if the run fails; an interrupted run goes on from
    its last checkpoint with `resume=True` and ends with the same numbers.
    """
    study = EXPERIMENTS.get(config.experiment).value.study if config.experiment in EXPERIMENTS else None
    return (study or cast(Any, train))(config, out, resume=resume, report=report)
