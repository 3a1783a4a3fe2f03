"""Workbooks (xls, xlsx): those of a Keithley 4200, and those of spreadsheet users."""

import io
from typing import Any

from memspike.fitting.instruments.extras import extra
from memspike.fitting.instruments.grid import Grid, grid
from memspike.fitting.instruments.options import Options
from memspike.fitting.instruments.raw import Form, Raw, RawColumn, raw_of
from memspike.fitting.instruments.source import Source
from memspike.parts.errors import InputError

_NO_DATA = ("calc", "settings")


def _text(cell: Any) -> str:
    return "" if cell is None else repr(cell) if isinstance(cell, float) else " ".join(str(cell).split())


def _pages(source: Source) -> list[tuple[str, list[list[str]]]]:
    """(name, cells) of every sheet: xlsx by openpyxl, row by row, and xls by xlrd."""
    memory = io.BytesIO(source.data)
    if source.data.startswith(b"PK"):
        book = extra("openpyxl", source.name).load_workbook(memory, read_only=True, data_only=True)
        for page in book.worksheets:
            page.reset_dimensions()  # those that the file states may be far too large
        return [(p.title, [[_text(c) for c in row] for row in p.iter_rows(values_only=True)]) for p in book.worksheets]
    book = extra("xlrd", source.name).open_workbook(file_contents=source.data, logfile=io.StringIO(), ragged_rows=True)
    return [(p.name, [[_text(c) for c in p.row_values(k)] for k in range(p.nrows)]) for p in book.sheets()]


def _sheets(source: Source) -> list[tuple[str, Grid]]:
    """(name, table) of every sheet with numbers."""
    try:
        pages = _pages(source)
    except InputError:
        raise
    except Exception as error:  # the readers fail in many ways on damaged files
        said = (str(error).splitlines() or [""])[0][:80]
        raise InputError(f"{source.name} is no workbook that can be read ({said}).") from None
    found = []
    for name, rows in pages:
        if name.strip().lower() in _NO_DATA:
            continue
        lines = "\n".join("\t".join(cell.replace('"', "'") for cell in row) for row in rows)
        page = Source(source.path, lines.encode(errors="replace"), source.skip)
        try:
            found.append((name, grid(page, "\t")))
        except InputError:
            continue  # a sheet without numbers
    return found


def _read(source: Source, options: Options) -> Raw:
    sheets = _sheets(source)
    if not sheets:
        raise InputError(f"{source.name} has no sheet with numbers besides Calc and Settings.")
    first = sheets[0][1]
    alike = [(name, page) for name, page in sheets if page.header == first.header and page.width == first.width]
    raw = raw_of(first, FORM.name)
    if len(sheets) > len(alike):
        left = [name for name, page in sheets if all(page is not own for _, own in alike)]
        raw.notes.append(f"Sheets with other columns than {alike[0][0]} are left out: {', '.join(left)}.")
    if len(alike) > 1:
        for k, column in enumerate(raw.columns):
            column.cells = [cell for _, page in alike for cell in page.column(k)]
        raw.rows = tuple(row for _, page in alike for row, _ in page.rows)
        runs = [float(n) for n, (_, page) in enumerate(alike, 1) for _ in page.rows]
        raw.columns.append(RawColumn("run", runs, "cycle"))
    return raw


FORM = Form(
    "Keithley 4200 and other workbooks",
    "the first bytes of an xls or xlsx file",
    "every sheet but Calc and Settings, names in its first row; each sheet with the same columns is a cycle "
    "(needs openpyxl, xlrd)",
    "two public readers; no raw file was seen",
    lambda source: source.is_a("workbook"),
    _read,
)
