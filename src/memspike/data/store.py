"""The cache of data sets that do not ship with a package: load, import from a file, fetch from mirrors."""

import inspect
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import platformdirs

from memspike.data.base import Dataset
from memspike.data.images import IdxSource
from memspike.data.source import Arrays, Report, Source
from memspike.data.sources import SOURCES
from memspike.parts.atomic import write_bytes
from memspike.parts.errors import InputError, RunError, unknown
from memspike.parts.registry import DATASETS

FOLDER_VARIABLE = "MEMSPIKE_DATA"


def folder() -> Path:
    """Where data sets are kept: $MEMSPIKE_DATA, else the platform's cache folder."""
    given = os.environ.get(FOLDER_VARIABLE)
    return Path(given) if given else Path(platformdirs.user_cache_dir("memspike")) / "data"


def path_of(name: str) -> Path:
    """The cache file of a data set."""
    return folder() / f"{name}.npz"


def _save(arrays: Arrays, source: Source, origin: str) -> Path:
    source.verify(arrays, origin)
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
    """Put a data set into the cache from a folder or an archive of its files (tgz, tar, zip; images also npz).

    The decoded arrays must have the published checksums; otherwise InputError, and the cache is untouched.
    """
    source = _source(name)
    return _save(source.read(path), source, str(path))


def fetch(name: str, report: Report = str) -> Path:
    """Download a data set from its mirrors, each in turn, check it and put it into the cache."""
    source = _source(name)
    failures = []
    for mirror in source.mirrors:
        try:
            return _save(source.download(mirror, report), source, mirror)
        except (OSError, InputError) as error:
            failures.append(f"{mirror}: {error}")
            report(f"failed: {error}")
    raise RunError(
        f"No mirror gave {name} ({'; '.join(failures)}). If you have the files, use: memspike data import {name} PATH"
    )


def load(name: str, leave_out: str | None = None) -> Dataset:
    """A data set by name, from the package that ships it or from the cache (checked on every load).

    With `leave_out` the test part is all that this speaker said and the training part all the others; InputError for
    a data set without speakers.
    """
    make = DATASETS.get(name).value
    if leave_out is None:
        return make()
    if "leave_out" not in inspect.signature(make).parameters:
        raise InputError(f"data.leave_out is '{leave_out}', but the data set '{name}' has no speakers to leave out.")
    return make(leave_out=leave_out)


def present(source: Source) -> Path:
    """The cache file of a data set; InputError that says how to get it if it is not there."""
    path = path_of(source.name)
    if not path.exists():
        raise InputError(
            f"The data set '{source.name}' is not in {folder()}. Get it with: memspike data fetch {source.name}, "
            f"or from a file: memspike data import {source.name} PATH"
        )
    return path


def cached(source: Source) -> Arrays:
    """The arrays of a data set in the cache, checked."""
    path = present(source)
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
            arrays = {role: archive[role] for role in source.roles}
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(
            f"{path} cannot be read ({error}). Remove it and run: memspike data fetch {source.name}"
        ) from None
    source.verify(arrays, str(path))
    return arrays


def images(source: IdxSource) -> Dataset:
    """A data set of images from the cache."""
    arrays = cached(source)
    labels = {role: arrays[role].astype(np.int32) for role in ("y_train", "y_test")}
    return Dataset(source.name, arrays["x_train"], labels["y_train"], arrays["x_test"], labels["y_test"], 10, 255.0)


for _source_ in SOURCES.values():
    if isinstance(_source_, IdxSource):
        DATASETS.add(_source_.name, lambda s=_source_: images(s), _source_.doc, _source_.licence)
