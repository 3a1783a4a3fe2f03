"""The cache of data sets that do not ship with a package: load, import from a file, fetch from mirrors."""

import inspect
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import platformdirs

from memspike.data.base import Dataset
from memspike.data.source import Arrays, IdxSource, Report, Source, WavSource
from memspike.parts.atomic import write_bytes
from memspike.parts.errors import InputError, RunError, unknown
from memspike.parts.registry import DATASETS

SPOKEN_DIGITS = WavSource(
    "spoken-digits",
    "3,000 spoken digits of six speakers, 8 kHz, as cochleagrams; split 2,700 / 300, or by speaker (data.leave_out)",
    "Free Spoken Digit Dataset v1.0.10, Jackson et al., CC BY-SA 4.0",
    ("https://github.com/Jakobovski/free-spoken-digit-dataset/archive/refs/tags/v1.0.10.tar.gz",),
    {
        "samples": "f4e8c0733ae8099842dd914bb4eef83339d3f9c5a947c9fef870a33b97512a11",
        "lengths": "5fba02cd79c82776db65d82854f723b7b878afb37665ea70cfea67b2c35cfcec",
    },
    speakers=("george", "jackson", "lucas", "nicolas", "theo", "yweweler"),
    repetitions=50,
    rate=8000,
)

SOURCES: dict[str, Source] = {
    "mnist": IdxSource(
        "mnist",
        "70,000 handwritten digits, 28×28, split 60,000 / 10,000",
        "LeCun, Cortes & Burges, CC BY-SA 3.0",
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        {
            "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
            "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
            "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
            "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
        },
    ),
    "fashion-mnist": IdxSource(
        "fashion-mnist",
        "70,000 pictures of clothing, 28×28, split 60,000 / 10,000",
        "Xiao, Rasul & Vollgraf, arXiv 1708.07747, MIT",
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
        {
            "x_train": "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012",
            "y_train": "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7",
            "x_test": "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a",
            "y_test": "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9",
        },
    ),
    "spoken-digits": SPOKEN_DIGITS,
}
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
