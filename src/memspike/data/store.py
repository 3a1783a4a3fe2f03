"""The cache of data sets that do not ship with a package: load, import from a file, fetch from mirrors."""

import hashlib
import io
import os
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import platformdirs

from memspike._atomic import write_bytes
from memspike._errors import InputError, RunError, unknown
from memspike._registry import DATASETS
from memspike.data import idx
from memspike.data.archive import read_files
from memspike.data.base import Dataset, check_finite
from memspike.data.sources import ROLES, SOURCES, Source

FOLDER_VARIABLE = "MEMSPIKE_DATA"
Arrays = dict[str, np.ndarray]


def folder() -> Path:
    """Where data sets are kept: $MEMSPIKE_DATA, else the platform's cache folder."""
    given = os.environ.get(FOLDER_VARIABLE)
    return Path(given) if given else Path(platformdirs.user_cache_dir("memspike")) / "data"


def path_of(name: str) -> Path:
    """The cache file of a data set."""
    return folder() / f"{name}.npz"


def verify(arrays: Arrays, source: Source, origin: str) -> None:
    """InputError unless the decoded arrays are exactly the published ones."""
    for role in ROLES:
        array = arrays[role]
        if array.dtype.kind == "f":
            check_finite(array, f"{origin}, {role}")
        shape = source.shapes[role]
        if array.shape != shape or array.dtype != np.uint8:
            raise InputError(
                f"{origin}: {role} has shape {array.shape} and type {array.dtype}; "
                f"{source.name} needs {shape} and uint8."
            )
        digest = hashlib.sha256(array.tobytes()).hexdigest()
        if digest != source.sha256[role]:
            raise InputError(
                f"{origin}: {role} is not that of {source.name} (SHA-256 {digest[:12]}…, expected "
                f"{source.sha256[role][:12]}…)."
            )


def _save(arrays: Arrays, source: Source, origin: str) -> Path:
    verify(arrays, source, origin)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    path = path_of(source.name)
    write_bytes(path, buffer.getvalue())
    return path


def _source(name: str) -> Source:
    if name in SOURCES:
        return SOURCES[name]
    if name in DATASETS:
        raise InputError(f"The data set '{name}' ships with a package and needs no file.")
    raise unknown("data set", name, SOURCES)


def import_file(name: str, path: Path) -> Path:
    """Put a data set into the cache from a folder, an IDX archive (tgz, tar, zip) or an npz file.

    The decoded arrays must have the published checksums; otherwise InputError, and the cache is untouched.
    """
    source = _source(name)
    return _save(read_files(path, source), source, str(path))


def fetch(name: str, report: Callable[[str], object] = str) -> Path:
    """Download a data set from its mirrors, each in turn, check it and put it into the cache."""
    source = _source(name)
    failures = []
    for mirror in source.mirrors:
        try:
            arrays = {}
            for role in ROLES:
                url = mirror + source.files[role]
                report(f"fetching {url}")
                with urllib.request.urlopen(url, timeout=30) as answer:
                    arrays[role] = idx.parse(answer.read(), url)
            return _save(arrays, source, mirror)
        except (OSError, InputError) as error:
            failures.append(f"{mirror}: {error}")
            report(f"failed: {error}")
    raise RunError(
        f"No mirror gave {name} ({'; '.join(failures)}). If you have the files, use: memspike data import {name} PATH"
    )


def load(name: str) -> Dataset:
    """A data set by name, from the package that ships it or from the cache (checked on every load)."""
    entry = DATASETS.get(name)
    return entry.value()


def load_cached(source: Source) -> Dataset:
    """A data set of the cache; InputError that says how to get it if it is not there."""
    path = path_of(source.name)
    if not path.exists():
        raise InputError(
            f"The data set '{source.name}' is not in {folder()}. Get it with: memspike data fetch {source.name}, "
            f"or from a file: memspike data import {source.name} PATH"
        )
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            arrays = {role: archive[role] for role in ROLES}
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} cannot be read ({error}). Remove it and run: memspike data fetch {source.name}"
        ) from None
    verify(arrays, source, str(path))
    labels = {role: arrays[role].astype(np.int32) for role in ("y_train", "y_test")}
    return Dataset(source.name, arrays["x_train"], labels["y_train"], arrays["x_test"], labels["y_test"], 10, 255.0)


for _source_ in SOURCES.values():
    DATASETS.add(_source_.name, lambda s=_source_: load_cached(s), _source_.doc, _source_.licence)
