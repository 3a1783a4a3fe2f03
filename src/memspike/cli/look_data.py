"""`memspike data look` of a data set: what was understood, and a command that learns it."""

import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from memspike.cli.console import out
from memspike.parts.errors import InputError
from memspike.parts.units import counted

if TYPE_CHECKING:
    from memspike.config.sections import Data
    from memspike.data.base import Dataset
    from memspike.data.files.dataset import Understood

MOST = 12  # classes that are shown
BAR = 30
BATCH = 32
MEGA = 1e6
SHOWN = 5e-5  # the least share that is said


def _say(text: str) -> None:
    out.print(text, markup=False, soft_wrap=True)


def wanted(path: Path, settings: list[str]) -> "Data":
    """The keys below `data` that a file is read with."""
    from memspike.config.examples import as_texts
    from memspike.config.resolve import assignments, put
    from memspike.config.sections import Data
    from memspike.parts import table

    tables: dict[str, object] = {}
    for key, value in assignments(settings):
        tables = put(tables, key.removeprefix("data."), value)
    return table.build(Data, {**tables, **as_texts(tables), "name": str(path)}, "data")


def _shape(found: "Understood") -> str:
    from memspike.data.files.options import IMAGES, WAVES

    _, rows, columns = found.raw.x.shape
    if found.raw.kind == WAVES:
        return f"waveforms of {counted(rows, 'sample')} from {counted(columns, 'microphone')}"
    if found.raw.kind == IMAGES:
        said = f"images of {rows} × {columns} pixels"
        other = "frames"
    else:
        said = f"{counted(rows, 'frame')} of {counted(columns, 'channel')}"
        other = "images"
    square = found.raw.assumed and rows > 1 and found.raw.lengths is None
    return said + (f" (assumed; data.kind={other} says otherwise)" if square else "")


def _lengths(found: "Understood") -> list[str]:
    lengths = found.raw.lengths
    if lengths is None:
        return []
    words = f"{lengths.min()} to {lengths.max()} frames, {lengths.mean():.1f} on average"
    return [f"lengths: {words}; what is behind the end of an example does not count"]


def _wanted_of(found: "Understood") -> list[str]:
    """Classes with their numbers of examples in both parts, or the targets."""
    data, raw = found.data, found.raw
    if raw.labels is None:
        y = data.y_train
        return [f"regression: {counted(data.classes, 'output')}, {y.min():.4g} to {y.max():.4g} in the training part"]
    names = data.names or tuple(str(k) for k in range(data.classes))
    train, test = (Counter(y.tolist()) for y in (data.y_train, data.y_test))
    most = max(train[k] + test[k] for k in range(data.classes))
    plain = "utf" not in (out.encoding or "").lower()
    lines = [f"classes: {data.classes} (training + test examples)"]
    width = max(len(name) for name in names[:MOST])
    for k, name in enumerate(names[:MOST]):
        bar = ("#" if plain else "█") * max(1, round(BAR * (train[k] + test[k]) / most))
        lines.append(f"  {name:<{width}} {bar} {train[k]} + {test[k]}")
    if data.classes > MOST:
        lines.append(f"  and {data.classes - MOST} more")
    return lines


def _split(found: "Understood", given: "Data") -> str:
    """How the two parts came about."""
    raw, train, test = found.raw, len(found.train), len(found.test)
    if given.leave_out is not None:
        how = f"made: all of '{given.leave_out}' is the test part"
    elif given.group is not None:
        how = f"made: whole groups of {given.group}"
    elif raw.test is not None:
        how = "as the file states"
    elif raw.series:
        how = "made: the end of the series"
    else:
        how = "made: a share of every class" if raw.labels is not None else "made by chance"
    return f"split: {train} training and {test} test examples, {how}"


def _groups(found: "Understood", given: "Data") -> list[str]:
    lines = []
    for name, values in found.raw.groups.items():
        several = sorted(set(values))
        few = ", ".join(several[:4]) + (" …" if len(several) > 4 else "")
        use = "" if given.group == name else f"; data.group={name} keeps each on one side"
        lines.append(f"group {name}: {len(several)} ({few}){use}")
    return lines


def _values(found: "Understood") -> list[str]:
    """What values are, how they are scaled, and how many were clipped."""
    x, scaling = found.raw.x, found.scaling
    kind = "counts" if found.raw.counts else "bytes" if x.dtype.kind == "u" else "numbers"
    lines = [f"values: {kind} from {x.min():.4g} to {x.max():.4g}; scaled by {scaling.how}"]
    if scaling.constant:
        lines.append(f"note: {counted(scaling.constant, 'channel')} never changes in the training part and is 0")
    if max(found.clipped) > SHOWN:
        lines.append(f"note: clipped: {found.clipped[0]:.2%} of training and {found.clipped[1]:.2%} of test values")
    return lines


def _command(data: "Dataset", found: "Understood", settings: list[str], path: Path) -> str:
    """A command that learns the data."""
    flat = found.raw.x.shape[1] == 1 or found.raw.kind == "images"
    keys = [f"data.name={path}", *(k if k.startswith("data.") else f"data.{k}" for k in settings)]
    if found.raw.rate is not None:
        keys.append("encoder=gammatone")
    if not flat and found.raw.counts:
        keys.append("encoder=spikes")
    if flat and not data.regression and len(data.y_train) < BATCH:
        keys.append(f"training.batch={len(data.y_train)}")
    words = [word for key in keys for word in ("--set", key)]
    name = "eprop-regression" if data.regression else "memprop-digits" if flat else "eprop-spoken"
    return shlex.join(["memspike", "run", name, *words])


def look(path: Path, settings: list[str]) -> None:
    """Print what a file was understood to hold as a data set."""
    from memspike.data.files.dataset import understood

    given = wanted(path, settings)
    found = understood(path, given.reading, given.leave_out)
    data, raw = found.data, found.raw
    size = (data.x_train.nbytes + data.x_test.nbytes) / MEGA
    _say(f"{data.name}: {raw.form}, {counted(len(raw.x), 'example')} of {_shape(found)}")
    lines = [
        *_lengths(found),
        *_wanted_of(found),
        *_groups(found, given),
        _split(found, given),
        *_values(found),
        f"memory: {size:.3g} MB",
        *(f"note: {note}" for note in raw.notes),
        *_lacking(found),
        f"learn it with {_command(data, found, settings, path)}",
    ]
    for line in lines:
        _say(line)


def _lacking(found: "Understood") -> list[str]:
    """Classes without a test example."""
    data = found.data
    if data.regression:
        return []
    names = data.names or tuple(str(k) for k in range(data.classes))
    lacking = [names[k] for k in range(data.classes) if not (data.y_test == k).any()]
    return [f"note: no test example of {', '.join(lacking[:MOST])}"] if lacking else []


def _check_told(path: Path) -> None:
    """InputError for rows of numbers without a header that nothing tells to be of a data set or of a device."""
    from memspike.data.files.spreadsheet import is_headless
    from memspike.fitting.instruments.options import Options
    from memspike.fitting.instruments.reader import read

    if not is_headless(path):
        return
    try:
        read(path, Options())
    except InputError as error:
        raise InputError(
            f"{path.name} has no header, so it may be a data set, which needs a first row that names the columns "
            "(label or target, and the others), or a measured file, whose columns are named by "
            "--column 1=voltage:V and the like; add the row, or say which by --as data or --as device."
        ) from error


def is_data_set(path: Path) -> bool:
    """Whether a file is a data set by what it holds; InputError where it may be a measured file as well."""
    from memspike.data.files import formats, spreadsheet
    from memspike.fitting.instruments.options import Options
    from memspike.fitting.instruments.reader import read

    if path.is_dir():
        return True
    try:
        form = formats.format_of(path)
    except InputError:
        return False
    if form is formats.ARRAYS:
        return True
    if form is formats.SPIKES:
        from memspike.data.files import spike_times

        return spike_times.holds_spikes(path)
    try:
        names = [name.lower() for name in spreadsheet.opened(path).names]
    except InputError:
        _check_told(path)
        return False
    labelled = any(name in (*spreadsheet.LABEL, *spreadsheet.EXAMPLE) for name in names)
    if not labelled and not any(name.startswith("target") for name in names):
        return False
    try:
        measured = read(path, Options())
        kinds = {column.kind for column in measured.columns} & {"current", "conductance", "resistance"}
    except InputError:
        return True
    if kinds and not labelled:
        return False  # conductances that were wanted of devices, and those that were reached
    if kinds:
        raise InputError(
            f"{path.name} may be a data set (it has labels or examples) or a measured file (it has a {min(kinds)}); "
            "say which by --as data or --as device."
        )
    return True
