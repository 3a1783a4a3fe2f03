"""Which examples a configuration asks for: a registered data set, or a file of one's own."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from memspike.config.resolve import Resolver
from memspike.config.sections import Data
from memspike.config.settings import Settings
from memspike.data.base import Dataset
from memspike.data.files.dataset import Understood, digest, understood
from memspike.data.files.formats import SOUNDS, format_of
from memspike.data.files.options import IMAGES, WAVES
from memspike.data.gammatone import heard
from memspike.data.store import load
from memspike.data.trials import Augment
from memspike.data.value_encoders import Spikes
from memspike.parts.errors import InputError
from memspike.parts.registry import DATASETS
from memspike.parts.table import read_table

# what a preset sets for its own data set: changes that images alone can have, and numbers of its examples
OF_IMAGES: Mapping[str, Any] = {"augment.shift": 0.0, "augment.mirror": False}
NAMES = ("leave_out", "group", "label", "target")
OF_ITS_DATA = ("data.train", "data.test", "data.hold_out", "data.leave_out")


def examples(wanted: Data, augment: Augment) -> Dataset:
    """The data set, whole; InputError for keys that have no meaning for it."""
    if wanted.name in DATASETS:
        wanted.reading.check(frozenset(), f"the data set '{wanted.name}', which is no file")
        return load(wanted.name, wanted.leave_out)
    found = understood(Path(wanted.name), wanted.reading, wanted.leave_out)
    if found.raw.kind != IMAGES:
        for name in ("shift", "mirror"):
            value = getattr(augment, name)
            if value:
                raise InputError(
                    f"augment.{name} is {str(value).lower()}, a change of images, but {found.data.name} holds frames "
                    "in time; leave it out, or set data.kind=images."
                )
    _check_held_out(found, wanted)
    return found.data


def _check_held_out(found: Understood, wanted: Data) -> None:
    """InputError where the last training examples begin in the middle of a group that a split goes by."""
    if wanted.hold_out is None or (wanted.group is None and wanted.leave_out is None):
        return
    name = wanted.group or next(iter(found.raw.groups))
    groups = np.array(found.raw.groups[name])[found.train][: wanted.train]
    whole = len(groups) - 1 - np.flatnonzero(groups[1:] != groups[:-1])[::-1]
    if wanted.hold_out not in whole:
        few = ", ".join(str(n) for n in whole[:6]) or "none, since there is one group"
        raise InputError(
            f"data.hold_out is {wanted.hold_out}, which cuts a group of {name} in two; numbers of examples that are "
            f"whole groups: {few}."
        )


def with_data(settings: Settings, data: Dataset) -> Settings:
    """The settings with the sampling rate of waveforms, and with the largest count where spikes are shown as they are.

    InputError where the encoder and waveforms do not fit.
    """
    encoder: Any = heard(settings.encoder, data.rate, data.name)
    if encoder is not settings.encoder:
        return dataclasses.replace(settings, encoder=encoder)
    if not isinstance(encoder, Spikes) or encoder.count is not None:
        return settings
    return dataclasses.replace(settings, encoder=dataclasses.replace(encoder, count=float(data.full_scale)))


def of_a_file(resolver: Resolver, changes: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """What a configuration with a file of one's own says beside the `changes` that a user makes.

    Keys that belong to the data set of a preset are taken back before the changes, unless these give them; the whole
    path and the SHA-256 of the content are written down after them.
    """
    changes = list(changes)
    if not any(key.split(".")[0] in ("data", "name") for key, _ in changes):
        return changes
    tried = Resolver(resolver.root, resolver.tables)
    for key, value in changes:
        tried.change(key, value)
    data = tried.tables.get("data", {})
    name = data.get("name") if isinstance(data, Mapping) else None
    if not isinstance(name, str) or name in DATASETS or not Path(name).exists():
        return changes
    path = Path(name).resolve()
    form, heard_whole = format_of(path), _type(tried.tables.get("encoder")) == "gammatone"
    kind = data.get("kind") or (WAVES if form is SOUNDS and heard_whole else form.kind)
    before: list[tuple[str, Any]] = [(key, "none") for key in OF_ITS_DATA if _has(resolver.tables, key)]
    if kind != IMAGES:
        before += [(key, off) for key, off in OF_IMAGES.items() if _has(resolver.tables, key)]
    after: list[tuple[str, Any]] = [("data.name", str(path))]
    after += [(f"data.{key}", value) for key, value in as_texts(data).items() if value != data[key]]
    if kind == WAVES and "kind" not in data:
        after.append(("data.kind", kind))
    if "sha256" not in data:
        after.append(("data.sha256", digest(path)))
    return [*before, *changes, *after]


def _type(part: Any) -> Any:
    """The name of a part in a table."""
    return part.get("type") if isinstance(part, Mapping) else part


def as_texts(data: Mapping[str, Any]) -> dict[str, Any]:
    """The keys that name something in a file, as texts also where they look like numbers, as subjects often do."""
    named = {key: data[key] for key in NAMES if key in data}
    return {key: str(v) if isinstance(v, int) and not isinstance(v, bool) else v for key, v in named.items()}


def check_same_data(tables: Mapping[str, Any], config: Path) -> None:
    """InputError where the run of a configuration file learned from another content of the same file."""
    if not config.is_file():
        return
    now, before = (t.get("data", {}) for t in (tables, read_table(config)))
    if now.get("name") == before.get("name") and now.get("sha256") != before.get("sha256"):
        raise InputError(
            f"{now['name']} has changed since {config.parent} was started (its SHA-256 is another); give back the "
            "file as it was, or choose another --out."
        )


def _has(tables: Mapping[str, Any], key: str) -> bool:
    """Whether tables say something of a dotted key."""
    for name in key.split("."):
        if not isinstance(tables, Mapping) or name not in tables:
            return False
        tables = tables[name]
    return True
