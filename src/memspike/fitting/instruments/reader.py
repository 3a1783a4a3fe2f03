"""A file → a table: the formats in the order in which they are asked; a new one is its file and its line here."""

from functools import cache
from importlib import import_module
from pathlib import Path

from memspike.fitting.instruments.assemble import assemble
from memspike.fitting.instruments.options import Options
from memspike.fitting.instruments.raw import Form
from memspike.fitting.instruments.source import load
from memspike.fitting.table import Table
from memspike.parts.errors import InputError

FORMATS = (
    "workbook",
    "arc_two",
    "arc_one",
    "b1500",
    "pulse_log",
    "neurosim",
    "write_verify",
    "knowm",
    "plain",
)


@cache
def forms() -> tuple[Form, ...]:
    """Every format."""
    return tuple(import_module(f"memspike.fitting.instruments.{name}").FORM for name in FORMATS)


def read(path: str | Path, options: Options | None = None) -> Table:
    """What a file holds, in SI units, whatever instrument wrote it; found by content.

    InputError in one sentence for a file that cannot be read, and for what is not sure: it then names the option
    that settles it. Notes of the table say what was left out or decided.
    """
    options = options or Options()
    source = load(Path(path), options.skip)
    form = next((form for form in forms() if form.found(source)), None)
    if form is None:
        raise InputError(f"{path} is of no format that is known; a table of measurements is needed.")
    return assemble(source.name, form.read(source, options), options)
