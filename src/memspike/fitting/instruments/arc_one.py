"""ArC ONE: csv or csv.gz of a session, the history of one device after the other."""

from memspike.fitting.instruments.grid import split
from memspike.fitting.instruments.numbers import number
from memspike.fitting.instruments.options import Options
from memspike.fitting.instruments.raw import Form, Raw, RawColumn
from memspike.fitting.instruments.source import Source
from memspike.parts.errors import InputError

_HEADER = ("wordline", "bitline", "resistance")
_NAMES = ("Wordline", "Bitline", "Resistance", "Amplitude (V)", "Pulse width (s)", "Tag", "ReadTag", "ReadVoltage")


def _header(source: Source) -> int | None:
    heads = (tuple(cell.lower() for cell in split(line, ",")[:3]) for line in source.lines[:20])
    return next((k for k, head in enumerate(heads) if head == _HEADER), None)


def _is_read(tag: str, width: str) -> bool:
    """A row that only reads: tags `S R…` (single) and `F R…` (all), or no pulse width."""
    return tag.startswith(("S R", "F R")) or number(width) in (0.0, None) or width == ""


def _read(source: Source, options: Options) -> Raw:
    start = _header(source) or 0
    names = split(source.lines[start], ",")
    lines = [(k, split(line, ",")) for k, line in enumerate(source.lines[start + 1 :], start + 2) if line.strip(" ,")]
    if not lines:
        raise InputError(f"{source.name} is an ArC ONE session without rows.")
    place = {name: names.index(name) for name in _NAMES if name in names}
    if len(place) < len(_NAMES):
        lacking = [name for name in _NAMES if name not in place]
        raise InputError(f"{source.name} is an ArC ONE session without the column {lacking[0]}.")

    def cell(cells: list[str], name: str) -> str:
        return cells[place[name]] if place[name] < len(cells) else ""

    devices, volts, widths = [], [], []
    for _, cells in lines:
        devices.append(f"W{cell(cells, 'Wordline')}B{cell(cells, 'Bitline')}")
        only_read = _is_read(cell(cells, "Tag"), cell(cells, "Pulse width (s)"))
        volts.append(0.0 if only_read else cell(cells, "Amplitude (V)"))
        widths.append("" if only_read else cell(cells, "Pulse width (s)"))
    values = {name: [cell(cells, name) for _, cells in lines] for name in ("Resistance", "ReadVoltage")}
    columns = [
        RawColumn("device", devices, "device"),
        RawColumn("Resistance", values["Resistance"], "resistance", "Ω"),
        RawColumn("Amplitude (V)", volts, "write voltage", "V"),
        RawColumn("Pulse width (s)", widths, "width", "s"),
        RawColumn("ReadVoltage", values["ReadVoltage"], "read voltage", "V"),
    ]
    return Raw(FORM.name, columns, tuple(k for k, _ in lines))


FORM = Form(
    "ArC ONE",
    "a line `Wordline, Bitline, Resistance, …`; gzip is taken off",
    "ohms, device by device; pulses and reads told apart by `Tag`; a row is the read behind its pulse",
    "[arc-instruments/arc1_pyqt](https://github.com/arc-instruments/arc1_pyqt) 515eb0f3",
    lambda source: _header(source) is not None,
    _read,
)
