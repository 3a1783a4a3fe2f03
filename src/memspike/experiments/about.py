"""What a run is: its command, its settings with meaning and source, and what is expected of just these settings."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from memspike.parts import units
from memspike.parts.written import Key, keys_of

if TYPE_CHECKING:
    from memspike.experiments.base import Experiment

FEW = 8
# keys that say which chips, not what is done
WHICH = ("experiment", "seed", "seeds")
CHANGED, QUICK, DEFAULT = "changed", "--quick", "default"


def shown(value: Any, unit: str) -> str:
    """The value of a key as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and unit == "1":
        return str(value)
    if isinstance(value, int | float):
        return units.show(float(value), unit)
    if isinstance(value, list):
        return ", ".join(shown(one, unit) for one in value) or "none"
    return "none" if value is None else str(value)


def allowed(key: Key) -> str:
    """Bounds, or names: of many the first few and where the others are listed."""
    if len(key.choices) > FEW:
        return f"{', '.join(key.choices[:FEW])} … ({len(key.choices)}, see: memspike list)"
    if key.choices:
        return ", ".join(key.choices)
    return " … ".join(units.show(float(bound), key.unit) for bound in key.bounds) if key.bounds else ""


def _names(tables: Any, path: str) -> bool:
    """Whether tables have a value for a dotted key; numbers count entries of lists."""
    for name in path.split("."):
        if isinstance(tables, Mapping) and name in tables:
            tables = tables[name]
        elif isinstance(tables, list | tuple) and name.isdigit() and int(name) < len(tables):
            tables = tables[int(name)]
        else:
            return False
    return True


def _values(settings: Any) -> dict[str, Any]:
    return {key.path: key.value for key in keys_of(settings)}


def lines(experiment: "Experiment", settings: Any) -> list[dict[str, str]]:
    """Every key of settings with value, what is allowed, meaning, source and, where it was changed, the usual value.

    The source is `changed`, `--quick`, the name of the experiment, or `default`, which is that of the part.
    """
    usual, quick = _values(experiment.settings()), _values(experiment.settings(experiment.quick))
    found = []
    for key in keys_of(settings):
        line = {"key": key.path, "value": shown(key.value, key.unit), "allowed": allowed(key), "meaning": key.doc}
        if key.path in usual and usual[key.path] == key.value:
            line["source"] = experiment.name if _names(experiment.tables, key.path) else DEFAULT
        else:
            line["source"] = QUICK if key.path in quick and quick[key.path] == key.value else CHANGED
            line["usual"] = shown(usual[key.path], key.unit) if key.path in usual else ""
        found.append(line)
    return found


def expected(experiment: "Experiment", settings: Any) -> str:
    """What was measured with these very settings, of the experiment or of its quick version; "" where one differs."""
    own = {path: value for path, value in _values(settings).items() if path not in WHICH}
    for value, changes in ((experiment.expected, {}), (experiment.expected_quick, experiment.quick)):
        usual = _values(experiment.settings(changes))
        if own == {path: one for path, one in usual.items() if path not in WHICH}:
            return experiment.shown(value)
    return ""


def about(experiment: "Experiment", settings: Any, command: str) -> dict[str, Any]:
    """The content of run.json; `command` is what started the run, "" from Python."""
    found = expected(experiment, settings)
    return {
        "command": command,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "expected": found,
        "reference": experiment.reference if found else "",
        "settings": lines(experiment, settings),
    }
