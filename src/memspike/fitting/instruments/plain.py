"""Tables as people, pandas and spreadsheets write them: the format of every text that no other one knows."""

from memspike.fitting.instruments.grid import grid
from memspike.fitting.instruments.options import Options
from memspike.fitting.instruments.raw import Form, Raw, raw_of
from memspike.fitting.instruments.source import Source


def _found(source: Source) -> bool:
    return bool(source.lines)


def _read(source: Source, options: Options) -> Raw:
    return raw_of(grid(source), FORM.name)


FORM = Form(
    "table",
    "no other format fits",
    "columns apart by tabs, semicolons, commas or blanks; names, a row of units and `key,value` lines before it",
    "—",
    _found,
    _read,
)
