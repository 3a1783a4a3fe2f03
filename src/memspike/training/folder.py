"""The run folder: what is in it, checkpoints, and how it is written."""

import csv
import io
import json
import os
import platform
import re
import sys
import tomllib
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import tomli_w

from memspike.parts.atomic import read_arrays, write_arrays, write_text
from memspike.parts.errors import InputError
from memspike.parts.imports import KEY, check_unchanged, recorded, versions
from memspike.parts.kernels import PACKAGE, wanted

KEPT_CHECKPOINTS = 2
_STEP = re.compile(r"step-(\d+)\.npz")


class Checkpoint(NamedTuple):
    """Training state after `step` steps, the history so far, metrics summed in this epoch (a list a name), seconds."""

    step: int
    leaves: list[np.ndarray]
    history: list[dict[str, Any]]
    sums: dict[str, list[float]]
    seconds: float


class RunFolder:
    """The files of one run under `path`; every write is atomic."""

    def __init__(self, path: Path):
        self.path = path

    def start(self, tables: Mapping[str, Any], *, resume: bool) -> None:
        """Claim the folder: new, or an interrupted run of the very same tables.

        The configuration also says where parts of users come from; they may have moved when the run is resumed.
        """
        file = self.path / "config.toml"
        text = tomli_w.dumps(tables)
        try:
            exists, empty = file.exists(), not self.path.exists() or not any(self.path.iterdir())
        except OSError as error:
            raise InputError(f"{self.path} cannot be used as a run folder ({error.strerror}).") from None
        if resume and exists:
            self._compare(_without_imports(file.read_text()), text)
            check_unchanged(self._parts(), self.path)
            return
        if resume and not empty:
            raise InputError(f"{self.path} holds no config.toml, so there is no run to resume.")
        if not empty:
            raise InputError(f"The folder {self.path} is not empty; give another --out, or --resume to go on with it.")
        own_parts = versions()
        here = json.dumps(environment() | ({"parts": own_parts} if own_parts else {}), indent=2) + "\n"
        own = tomli_w.dumps({KEY: recorded()}) if recorded() else ""
        write_text(file, own + text)
        write_text(self.path / "environment.json", here)

    def _parts(self) -> Any:
        """What the parts of users were when the run was started."""
        file = self.path / "environment.json"
        try:
            return json.loads(file.read_text()).get("parts") if file.is_file() else None
        except (OSError, ValueError):
            return None

    def _compare(self, old: str, new: str) -> None:
        if old == new:
            return
        before, now = set(old.splitlines()), set(new.splitlines())
        changed = sorted(now - before) or sorted(before - now)
        raise InputError(
            f"{self.path} was started with another configuration; this one says {changed[0]!r}. "
            "Resume with the same settings or choose another --out."
        )

    def write_csv(self, name: str, rows: list[dict[str, Any]]) -> None:
        """A table, one column a key of any row."""
        buffer = io.StringIO()
        names = list(dict.fromkeys(key for row in rows for key in row))
        writer = csv.DictWriter(buffer, fieldnames=names)
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.path / name, buffer.getvalue())

    def write_json(self, name: str, value: Any) -> None:
        """A JSON file."""
        write_text(self.path / name, json.dumps(value, indent=2) + "\n")

    def write_arrays(self, name: str, arrays: dict[str, np.ndarray]) -> None:
        """An npz file."""
        write_arrays(self.path / name, arrays)

    def _checkpoints(self) -> list[tuple[int, Path]]:
        found = [(int(m[1]), p) for p in (self.path / "checkpoints").glob("*.npz") if (m := _STEP.fullmatch(p.name))]
        return sorted(found)

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, then remove all but the newest two."""
        about = {name: getattr(checkpoint, name) for name in ("history", "sums", "seconds")}
        meta = json.dumps(about).encode()
        arrays = {f"leaf_{i:04d}": leaf for i, leaf in enumerate(checkpoint.leaves)}
        arrays["meta"] = np.frombuffer(meta, dtype=np.uint8)
        write_arrays(self.path / "checkpoints" / f"step-{checkpoint.step:09d}.npz", arrays)
        for _, old in self._checkpoints()[:-KEPT_CHECKPOINTS]:
            old.unlink(missing_ok=True)

    def latest(self) -> Checkpoint | None:
        """The newest readable checkpoint, or None."""
        for step, path in reversed(self._checkpoints()):
            try:
                arrays = read_arrays(path)
                leaves = [arrays[name] for name in sorted(arrays) if name.startswith("leaf_")]
                meta = json.loads(arrays["meta"].tobytes())
            except (OSError, KeyError, ValueError, zipfile.BadZipFile):
                continue
            return Checkpoint(step, leaves, **meta)
        return None


def _without_imports(text: str) -> str:
    """A configuration as it is written where no parts of users are imported."""
    if not text.startswith(KEY):
        return text
    try:
        return tomli_w.dumps({key: value for key, value in tomllib.loads(text).items() if key != KEY})
    except tomllib.TOMLDecodeError:
        return text


def environment() -> dict[str, Any]:
    """Versions and machine of this run, without names of people or hosts."""
    packages = ("memspike", "jax", "jaxlib", "equinox", "optax", "numpy", "scipy", *(PACKAGE,) * wanted())
    return {
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "devices": [f"{d.platform}:{d.device_kind}" for d in jax.devices()],
        "packages": {name: metadata.version(name) for name in packages},
    }
