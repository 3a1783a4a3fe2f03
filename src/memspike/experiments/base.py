"""What an experiment is: tables with a target and a citation, and the one way to run it."""

import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from memspike.config.accuracy import accurate
from memspike.config.build import classification
from memspike.config.examples import check_same_data, of_a_file
from memspike.config.resolve import Resolver, assignments, checked, merged, put, read_file, written
from memspike.config.settings import Settings
from memspike.experiments import table
from memspike.experiments.about import about, expected
from memspike.experiments.table import ACCURACY, LOWEST, Column
from memspike.parts.errors import InputError
from memspike.parts.registry import EXPERIMENTS
from memspike.training.classify import Classification, classify
from memspike.training.folder import RunFolder
from memspike.training.population import Population
from memspike.training.progress import Report, silent

Result = dict[str, Any]
Tables = Mapping[str, Any]


class Experiment(NamedTuple):
    """A registered experiment.

    `tables` are its configuration, checked against the class `root`; `quick` holds the keys that `--quick` changes;
    `expected` and `expected_quick` are what was measured with seed 0, of the `measure`; `reference` says what was
    published and where. `prepare(settings)` refuses what cannot run before a folder is made, and returns what is
    prepared, that of a training also with data that were given in Python; `carry(prepared, folder, *, resume, report)`
    carries it out in a claimed folder, and returns its result without what every result says. `kind` names the figures
    of the report, `columns` the columns of the rows; `headline` says a result in one line. `chips` are those of
    what is prepared, where their training leaves checkpoints: None for studies of several trainings, and for trainings
    on examples, which have them.
    """

    name: str
    tables: Tables
    quick: Mapping[str, Any]
    expected: float
    expected_quick: float
    reference: str
    carry: Callable[..., Result]
    headline: Callable[[Result], str]
    kind: str
    columns: tuple[Column, ...] = ()
    root: type = Settings
    prepare: Callable[..., Any] = lambda settings: settings
    measure: str = "test accuracy"
    chips: Callable[[Any], Population] | None = None

    def shown(self, value: float) -> str:
        """An expected value as text."""
        return f"{value:.1%}" if self.measure == "test accuracy" else f"{self.measure} {value:.3g}"

    def settings(self, changes: Mapping[str, Any] | None = None) -> Any:
        """Its settings with other values of some dotted keys, checked."""
        return changed(self.root, {"experiment": self.name, **self.tables}, changes or {})


def changed(root: type, tables: Tables, changes: Mapping[str, Any]) -> Any:
    """The settings of tables with other values of some dotted keys, checked."""
    for key, value in changes.items():
        tables = put(dict(tables), key, value)
    return checked(root, tables)


def together(*tables: Tables) -> dict[str, Any]:
    """Tables on top of each other, later ones over earlier ones."""
    found: dict[str, Any] = {}
    for one in tables:
        found = merged(found, one)
    return found


def register(experiment: Experiment, doc: str) -> Experiment:
    """Add an experiment to the registry. InputError for a kind that no report knows, or a name that is taken."""
    if experiment.kind not in table.KINDS:
        raise InputError(f"The kind of {experiment.name} is '{experiment.kind}'; allowed: {', '.join(table.KINDS)}.")
    return EXPERIMENTS.add(experiment.name, experiment, doc, experiment.reference)


def registered(name: str, doc: str, *tables: Tables, **fields: Any) -> Experiment:
    """Register an experiment with tables that lie on top of each other, and its other `fields`."""
    return register(Experiment(name, together(*tables), **fields), doc)


AGES = (
    Column("age_s", "age", "duration"),
    Column("compensation", "compensation", "text"),
    ACCURACY,
    LOWEST,
    Column("chips", "chips", "count"),
)


def accuracy_line(result: Result) -> str:
    """Accuracy, also of noisy copies."""
    spread = f" ± {100 * result['test_accuracy_sd']:.2f}" if result["seeds"] > 1 else ""
    said = f"test accuracy {100 * result['test_accuracy']:.2f}{spread} %"
    if "chips" in result:
        noisy = f"{100 * result['chips_accuracy']:.2f} ± {100 * result['chips_accuracy_sd']:.2f} %"
        said += f"; {result['chips']} chips with programming spread and read noise: {noisy}"
    return said


def chips_of(given: Classification) -> Population:
    """The chips of a training on examples."""
    return given.population


classifier = partial(
    registered,
    carry=classify,
    prepare=classification,
    chips=chips_of,
    headline=accuracy_line,
    kind="classification",
    columns=AGES,
)
"""`registered` for a training of classifiers on a data set."""


class Resolved(NamedTuple):
    """An experiment, its tables after all changes, and whether these differ from its own in more than seeds."""

    experiment: Experiment
    settings: Any
    changed: bool


def resolve(
    name_or_file: str, overrides: Iterable[str] = (), *, quick: bool = False, seeds: int | None = None
) -> Resolved:
    """The experiment and its checked settings.

    Later wins: the experiment's own tables, `--quick`, the TOML file, `--set key=value`, `--seeds`. InputError in one
    sentence for an unknown name, key or unit, or a value out of bounds.
    """
    name, given = read_file(name_or_file)
    experiment: Experiment = EXPERIMENTS.get(name).value
    resolver = Resolver(experiment.root, {"experiment": name, **experiment.tables})
    for key, value in experiment.quick.items() if quick else ():
        resolver.change(key, value)
    changes = [*given.items(), *assignments(overrides)]
    for key, value in of_a_file(resolver, changes):
        resolver.change(key, value)
    if seeds is not None:
        resolver.change("seeds", seeds)
    own = any(key not in ("seed", "seeds") for key, _ in changes)
    return Resolved(experiment, resolver.settings(), own)


def run(settings: Any, out: Path, *, resume: bool = False, report: Report = silent, command: str = "") -> Result:
    """Run `settings` in the folder `out` and return the content of its result.json; `command` started it.

    InputError for input that cannot be used, before a folder is made; RunError if the run fails. An interrupted run
    goes on from its last checkpoint with `resume=True` and ends with the same numbers.
    """
    settings = accurate(settings)
    ready = EXPERIMENTS.get(settings.experiment).value.prepare(settings)
    return carried(settings, ready, out, resume=resume, report=report, command=command)


def carried(
    settings: Any,
    ready: Any,
    out: Path,
    *,
    resume: bool,
    report: Report,
    command: str = "",
    files: Mapping[str, Mapping[str, np.ndarray]] | None = None,
) -> Result:
    """`run` of what is prepared; `files` of arrays lie in the folder from the beginning."""
    experiment: Experiment = EXPERIMENTS.get(settings.experiment).value
    folder, tables = RunFolder(out), written(settings, experiment.tables)
    if resume:
        check_same_data(tables, out / "config.toml")
    folder.start(tables, resume=resume)
    if not (out / "run.json").exists():
        folder.write_json("run.json", about(experiment, settings, command))
    for name, arrays in (files or {}).items():
        folder.write_arrays(name, dict(arrays))
    found = experiment.carry(ready, folder, resume=resume, report=report)
    result = {
        "experiment": settings.experiment,
        "kind": experiment.kind,
        "source": experiment.reference if expected(experiment, settings) else "",
        **found,
        **({"columns": table.declared(experiment.columns)} if found.get("rows") else {}),
        "seeds": settings.seeds,
        "seed": settings.seed,
    }
    result["headline"] = experiment.headline(result)
    folder.write_json("result.json", result)
    return result


def nested(settings: Any, out: Path, *, report: Report) -> Result:
    """The result of a training inside a study, in a folder of its own that an interrupted study goes on with."""
    if (out / "result.json").exists():
        return json.loads((out / "result.json").read_text())
    return run(settings, out, resume=(out / "config.toml").exists(), report=report)
