"""Names that the shell completes, without JAX: they are remembered until the package changes."""

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from memspike import __version__


def _file() -> Path:
    from platformdirs import user_cache_dir

    given = os.environ.get("MEMSPIKE_CACHE", "")
    return Path(given if given not in ("", "0") else user_cache_dir("memspike")) / "names.json"


def _stamp() -> str:
    """Changes with the version and with every file of the package."""
    files = Path(__file__).parents[1].rglob("*.py")
    return f"{__version__} {max(file.stat().st_mtime_ns for file in files)}"


def _remembered() -> dict[str, Any]:
    """The names of the last time, or none where they are those of another state of the package."""
    try:
        found = json.loads(_file().read_text())
        return found if found["stamp"] == _stamp() else {"stamp": _stamp()}
    except (OSError, ValueError, KeyError, TypeError):
        return {"stamp": _stamp()}


def _remember(known: dict[str, Any]) -> None:
    """Keep names for the next time; where nothing can be written they are collected again."""
    from memspike.parts.atomic import write_text
    from memspike.parts.errors import RunError

    if os.environ.get("MEMSPIKE_CACHE") != "0":
        try:
            write_text(_file(), json.dumps(known))
        except RunError:
            return


def _names() -> dict[str, list[list[str]]]:
    """Name and meaning of everything that is registered, by kind."""
    known = _remembered()
    if "names" not in known:
        from memspike.parts.registry import REGISTRIES

        known["names"] = {kind: [[e.name, e.doc] for e in registry] for kind, registry in REGISTRIES.items()}
        _remember(known)
    return known["names"]


def _keys(experiment: str) -> list[list[str]]:
    """Key and meaning of every setting of an experiment; none of one that is not registered."""
    known = _remembered()
    if experiment not in known.setdefault("keys", {}):
        from memspike.parts.registry import EXPERIMENTS
        from memspike.parts.written import keys_of

        if not experiment or experiment not in EXPERIMENTS:
            return []
        keys = keys_of(EXPERIMENTS.get(experiment).value.settings())
        known["keys"][experiment] = [[key.path, key.doc] for key in keys]
        _remember(known)
    return known["keys"][experiment]


def _begin(pairs: Iterable[list[str]], start: str) -> Iterator[tuple[str, str]]:
    return ((name, doc) for name, doc in pairs if name.startswith(start))


def experiment_names(incomplete: str) -> list[tuple[str, str]]:
    """Experiments that begin so, with their meaning."""
    return [*_begin(_names()["experiments"], incomplete)]


def every_name(incomplete: str) -> list[tuple[str, str]]:
    """Everything registered that begins so."""
    return [pair for pairs in _names().values() for pair in _begin(pairs, incomplete)]


def experiment_keys(ctx: Any, incomplete: str) -> list[tuple[str, str]]:
    """Keys of the experiment of this command line that begin so, each with its equals sign."""
    words = [ctx.params.get("name"), *ctx.args]
    name = next((word for word in words if word and not word.startswith("-")), "")
    return [(f"{key}=", doc) for key, doc in _begin(_keys(name), incomplete)]
