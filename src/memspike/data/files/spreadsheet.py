"""CSV: a row an example, several series row by row, or one long series that is cut into windows."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from memspike.data.files.arrays import test_of
from memspike.data.files.labels import checked
from memspike.data.files.options import FRAMES, Reading
from memspike.data.files.raw import Raw, padded
from memspike.fitting.instruments.grid import separator_of, split
from memspike.fitting.instruments.numbers import decimal_comma, number
from memspike.fitting.instruments.source import load
from memspike.parts.errors import InputError, unknown
from memspike.parts.units import counted

LABEL, EXAMPLE, SPLIT = ("label", "class"), ("example", "series"), ("split",)
GROUPS = ("group", "speaker", "subject", "patient", "session")
_TIME = re.compile(r"(time|t|frame|step)(_\w{1,2})?( ?[(\[].*)?")
UNEVEN = 0.01
SHOWN = 6


@dataclass(frozen=True)
class Sheet:
    """The cells of a file with a header: names of the columns as they are, and (line number, cells) of every row."""

    file: str
    names: list[str]
    rows: list[tuple[int, list[str]]]
    comma: bool

    def at(self, wanted: Sequence[str]) -> int | None:
        """The number of the one column with one of these names, in any case; InputError where there are two."""
        found = [k for k, name in enumerate(self.names) if name.lower() in wanted]
        if len(found) > 1:
            raise InputError(
                f"{self.file} has the columns {' and '.join(self.names[k] for k in found)}; one is needed."
            )
        return found[0] if found else None

    def named(self, key: str, name: str) -> int:
        """The number of a column that a key names."""
        at = self.at((name.lower(),))
        if at is None:
            raise unknown(f"{key}: {self.file} has no column", name, self.names)
        return at

    def texts(self, k: int) -> list[str]:
        """The cells of a column; InputError for an empty one."""
        cells = [cells[k] for _, cells in self.rows]
        for (line, _), cell in zip(self.rows, cells, strict=True):
            if not cell:
                raise InputError(
                    f"{self.file}, line {line}, column {self.names[k]}: the cell is empty; a text is needed."
                )
        return cells

    def values(self, k: int) -> Float[np.ndarray, " rows"]:
        """The numbers of a column; InputError with line and column for what is none."""
        cells = [cells[k] for _, cells in self.rows]
        try:
            found = np.asarray(cells, float)
        except ValueError:
            found = np.array([np.nan if (v := number(cell, comma=self.comma)) is None else v for cell in cells])
        bad = np.flatnonzero(~np.isfinite(found))
        if len(bad):
            line, cell = self.rows[bad[0]][0], cells[bad[0]]
            said = f"'{cell[:40]}'" if cell else "empty"
            raise InputError(f"{self.file}, line {line}, column {self.names[k]} is {said}; a finite number is needed.")
        return found

    def table(self, columns: Sequence[int]) -> Float[np.ndarray, "rows columns"]:
        """Several columns of numbers."""
        return np.stack([self.values(k) for k in columns], axis=1)

    def is_text(self, k: int) -> bool:
        """Whether most cells of a column that are not empty are texts."""
        cells = [cells[k] for _, cells in self.rows if cells[k]]
        texts = sum(number(cell, comma=self.comma) is None for cell in cells)
        return texts > 0.5 * len(cells)


@dataclass(frozen=True)
class Columns:
    """The numbers of the columns by what they are for."""

    channels: list[int]
    label: int | None
    targets: list[int]
    example: int | None
    time: int | None
    split: int | None
    groups: dict[str, int]


def read(path: Path, given: Reading) -> Raw:
    """A column `example` makes it several series; `window` one long series; else every row is an example."""
    sheet = opened(path)
    columns = _columns(sheet, given)
    if columns.example is not None:
        if given.window is not None:
            raise InputError(f"data.window is {given.window}, but {path.name} has a column of examples; leave it out.")
        return _long(sheet, columns)
    if given.window is not None:
        return _series(sheet, columns, given.window)
    if columns.time is not None:
        raise InputError(
            f"{path.name} has a column {sheet.names[columns.time]} and no column example: give data.window, the "
            "frames of the windows into which one long series is cut, or a column that says to which example a row "
            "belongs."
        )
    labels, targets = (
        _labels(sheet, columns),
        sheet.table(columns.targets).astype(np.float32) if columns.targets else None,
    )
    x = sheet.table(columns.channels)[:, None, :]
    named = {name: checked(sheet.texts(k), name) for name, k in columns.groups.items()}
    test = None if columns.split is None else test_of(sheet.texts(columns.split), f"{path.name}: split")
    wanted = None if targets is None else targets[:, None, :]
    form, notes = "CSV, a row an example", (_channels(sheet, columns),)
    return Raw(form, x, FRAMES, labels, wanted, None, test, named, assumed=False, notes=notes)


def _rows(path: Path) -> tuple[str, list[tuple[int, list[str]]]]:
    """What separates the cells of a text file, and the cells of every line, with its number, but for comments."""
    lines = load(path).lines
    separator = separator_of(lines)
    return separator, [
        (k, split(line, separator)) for k, line in enumerate(lines, 1) if line.strip() and not line.startswith("#")
    ]


def is_headless(path: Path) -> bool:
    """Whether a text file holds rows of as many cells each, with numbers, and already the first has some."""
    try:
        _, rows = _rows(path)
    except InputError:
        return False
    wide = {len(cells) for _, cells in rows}
    return len(rows) > 1 and len(wide) == 1 and wide != {1} and all(any(map(_is_number, cells)) for _, cells in rows)


def _is_number(cell: str) -> bool:
    return number(cell) is not None


def opened(path: Path) -> Sheet:
    """The cells of a text file with a header; InputError for a file without one, or with rows of other lengths."""
    separator, rows = _rows(path)
    names = rows[0][1] if rows else []
    if len(rows) < 2 or any(number(name) is not None for name in names):
        raise InputError(
            f"{path.name} needs a header: a first row that names the columns (label or target, and the others), and "
            "rows below it."
        )
    if len({name.lower() for name in names}) < len(names):
        twice = next(name for k, name in enumerate(names) if name.lower() in map(str.lower, names[:k]))
        raise InputError(f"{path.name} has the column {twice} twice; every column needs a name of its own.")
    for line, cells in rows[1:]:
        if len(cells) != len(names):
            raise InputError(f"{path.name}, line {line} has {len(cells)} cells; the header has {len(names)}.")
    comma = decimal_comma((c for _, cells in rows[1:] for c in cells), separated_by_commas=separator == ",")
    if comma is None:
        raise InputError(f"{path.name} writes numbers as 1,234, which may be 1.234 or 1234; write them with a point.")
    return Sheet(path.name, names, rows[1:], comma)


def _columns(sheet: Sheet, given: Reading) -> Columns:
    """What every column is for; InputError where nothing is wanted of the others, or where that is not plain."""
    if given.label is not None and given.target is not None:
        raise InputError("data.label and data.target are both given; classes or numbers are wanted, not both.")
    label = sheet.at(LABEL) if given.label is None else sheet.named("data.label", given.label)
    targets = [k for k, name in enumerate(sheet.names) if name.lower().startswith("target")]
    if given.target is not None:
        targets = [sheet.named("data.target", given.target)]
    example, divided = sheet.at(EXAMPLE), sheet.at(SPLIT)
    times = [k for k, name in enumerate(sheet.names) if _TIME.fullmatch(name.lower())]
    groups = [k for k, name in enumerate(sheet.names) if name.lower() in GROUPS]
    if given.group is not None:
        groups.append(sheet.named("data.group", given.group))
    aside = {label, *targets, example, divided, *times, *groups}
    rest = [k for k in range(len(sheet.names)) if k not in aside]
    texts = [k for k in rest if sheet.is_text(k)]
    channels = [k for k in rest if k not in texts]
    if label is not None and targets and given.label is None and given.target is None:
        raise InputError(
            f"{sheet.file} has a column {sheet.names[label]} and a column {sheet.names[targets[0]]}; say which is "
            "wanted by data.label or data.target."
        )
    label = None if given.target is not None else label
    targets = [] if given.label is not None else targets
    if (label is None and not targets) or not channels or len(times) > 1:
        raise InputError(
            f"{sheet.file} has the columns {_few(sheet.names)}; needed: a column label (classes) or target (numbers), "
            "or data.label or data.target that names one; one column of time at most, and columns of numbers."
        )
    named = {sheet.names[k]: k for k in dict.fromkeys((*groups, *texts))}
    return Columns(channels, label, targets, example, times[0] if times else None, divided, named)


def _few(names: Sequence[str]) -> str:
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _channels(sheet: Sheet, columns: Columns) -> str:
    """What the channels are, and which columns are none."""
    aside = f"; no channels: {', '.join(columns.groups)}" if columns.groups else ""
    return f"channels: {_few([sheet.names[k] for k in columns.channels])}{aside}"


def _labels(sheet: Sheet, columns: Columns) -> tuple[str, ...] | None:
    return None if columns.label is None else tuple(sheet.texts(columns.label))


def _long(sheet: Sheet, columns: Columns) -> Raw:
    """Several series: rows of one example in the order of their time."""
    assert columns.example is not None
    owner = np.array(sheet.texts(columns.example))
    names = list(dict.fromkeys(owner.tolist()))
    rows = [np.flatnonzero(owner == name) for name in names]
    notes = [_channels(sheet, columns)]
    if columns.time is not None:
        notes += _check_times(sheet, sheet.values(columns.time), columns.time, rows)
    values = sheet.table(columns.channels)
    x, lengths = padded([values[own] for own in rows])
    targets = None
    if columns.targets:
        wanted = sheet.table(columns.targets).astype(np.float32)
        targets = padded([wanted[own] for own in rows])[0]
    labels = None if columns.label is None else _constant(sheet, columns.label, rows)
    groups = {name: _constant(sheet, k, rows) for name, k in columns.groups.items()}
    said = None if columns.split is None else list(_constant(sheet, columns.split, rows))
    test = None if said is None else test_of(said, f"{sheet.file}: split")
    form = "CSV, a row a frame of an example"
    return Raw(form, x, FRAMES, labels, targets, lengths, test, groups, assumed=False, notes=tuple(notes))


def _constant(sheet: Sheet, k: int, rows: list[np.ndarray]) -> tuple[str, ...]:
    """The one text of every example; InputError where rows of an example differ."""
    texts = sheet.texts(k)
    for own in rows:
        other = next((i for i in own if texts[i] != texts[own[0]]), None)
        if other is not None:
            raise InputError(
                f"{sheet.file}, line {sheet.rows[other][0]}, column {sheet.names[k]} is '{texts[other]}', and "
                f"'{texts[own[0]]}' in line {sheet.rows[own[0]][0]} of the same example; one value an example is "
                "needed."
            )
    return tuple(texts[own[0]] for own in rows)


def _check_times(sheet: Sheet, t: np.ndarray, k: int, rows: list[np.ndarray]) -> list[str]:
    """InputError where time does not ascend; a note where frames have unequal lengths."""
    steps = []
    for own in rows:
        back = np.flatnonzero(np.diff(t[own]) <= 0)
        if len(back):
            line = sheet.rows[own[back[0] + 1]][0]
            raise InputError(f"{sheet.file}, line {line}, column {sheet.names[k]} does not ascend within its example.")
        steps.append(np.diff(t[own]))
    every = np.concatenate(steps)
    if len(every) and np.ptp(every) > UNEVEN * every.mean():
        return [
            f"{sheet.names[k]} is not evenly spaced ({every.min():g} to {every.max():g}); rows count as equal frames"
        ]
    return []


def _series(sheet: Sheet, columns: Columns, window: int) -> Raw:
    """One long series of inputs and targets in windows that follow each other."""
    if not columns.targets:
        raise InputError(f"data.window is {window}; a series needs a column target, or data.target that names one.")
    count, rest = divmod(len(sheet.rows), window)
    if count < 2:
        raise InputError(
            f"data.window is {window}; {sheet.file} has {counted(len(sheet.rows), 'row')}, and two windows are needed."
        )
    notes = [_channels(sheet, columns)]
    if columns.time is not None:
        notes += _check_times(sheet, sheet.values(columns.time), columns.time, [np.arange(len(sheet.rows))])
    if rest:
        notes.append(f"the last {counted(rest, 'row')} make no whole window and are left out")
    x, y = (
        sheet.table(which)[: count * window].reshape(count, window, -1) for which in (columns.channels, columns.targets)
    )
    form = f"CSV, one series in windows of {window} rows"
    return Raw(form, x, FRAMES, None, y.astype(np.float32), series=True, assumed=False, notes=tuple(notes))
