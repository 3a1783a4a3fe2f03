"""Keysight B1500 and EasyEXPERT: CSV with tagged lines, in the two dialects that the program exports."""

from memspike.fitting.instruments.grid import split
from memspike.fitting.instruments.options import Options
from memspike.fitting.instruments.raw import Form, Raw, RawColumn
from memspike.fitting.instruments.source import Source
from memspike.parts.errors import InputError

_MARKER = "AutoAnalysis.Marker.Data.StartCondition"
_TAGS = ("SetupTitle", "PrimitiveTest", "TestParameter", "DataName", "Setup title", "Classic test name", "Channel.")
_SWEPT = ("VAR1", "VAR2", "VAR1'", "VARD")


def _found(source: Source) -> bool:
    tagged = sum(line.lstrip().startswith(_TAGS) for line in source.lines)
    return tagged > 0 and any(
        line.lstrip().startswith("DataName") or line.lstrip().strip(" ,").endswith(_MARKER) for line in source.lines
    )


def _setup(source: Source) -> dict[str, list[str]]:
    """Every tag with its values, whatever line it stands on."""
    found: dict[str, list[str]] = {}
    for line in source.lines:
        cells = split(line, ",")
        if cells and cells[0] in ("TestParameter", "MetaData", "AnalysisSetup"):
            cells = cells[1:]
        if len(cells) > 1:
            found.setdefault(cells[0], cells[1:])
    return found


def _blocks(source: Source) -> list[tuple[list[str], list[tuple[int, list[str]]]]]:
    """(names, rows) of each DataName block, or of the table behind the marker."""
    found: list[tuple[list[str], list[tuple[int, list[str]]]]] = []
    marked = False
    for k, line in enumerate(source.lines, 1):
        cells = split(line, ",")
        if not any(cells):
            continue
        if cells[0] == "DataName":
            found.append((cells[1:], []))
        elif cells[0] == "DataValue" and found:
            found[-1][1].append((k, cells[1:]))
        elif marked and not found:
            found.append((cells, []))
        elif marked and found:
            found[-1][1].append((k, cells))
        marked = marked or (cells[0] == _MARKER and not any(c == "TestParameter" for c in cells))
    return [(names, rows) for names, rows in found if rows]


def _kinds(setup: dict[str, list[str]]) -> dict[str, str]:
    """Name → voltage or current, as the channels say."""
    voltages, currents = setup.get("Channel.VName", []), setup.get("Channel.IName", [])
    return {**dict.fromkeys(filter(None, voltages), "voltage"), **dict.fromkeys(filter(None, currents), "current")}


def _swept(setup: dict[str, list[str]]) -> set[str]:
    """The names of voltage and current of the swept channel; empty if none is said."""
    rows = zip(
        setup.get("Channel.VName", []), setup.get("Channel.IName", []), setup.get("Channel.Func", []), strict=False
    )
    return {name for voltage, current, func in rows if func.upper() in _SWEPT[:1] for name in (voltage, current)}


def _read(source: Source, options: Options) -> Raw:
    setup, blocks = _setup(source), _blocks(source)
    if not blocks:
        raise InputError(f"{source.name} is a B1500 file without rows of data (DataValue).")
    names, kinds, swept = blocks[0][0], _kinds(setup), _swept(setup)
    rows = [(line, cells, k) for k, (own, more) in enumerate(blocks) if own == names for line, cells in more]
    notes = []
    if any(own != names for own, _ in blocks):
        notes.append(f"Only the tables with the columns {', '.join(names)} are read.")
    columns = []
    for k, name in enumerate(names):
        if swept & {*names} and name in kinds and name not in swept:
            notes.append(f"Column {name} is left out: its channel is not swept (Channel.Func).")
            continue
        columns.append(RawColumn(name, [c[k] if k < len(c) else "" for _, c, _ in rows], kinds.get(name, "")))
    if len(blocks) > 1:
        columns.append(RawColumn("cycle", [float(k + 1) for _, _, k in rows], "cycle"))
    facts = {}
    for tag in ("Measurement.Primary.Compliance",):
        try:
            facts["compliance"] = float(setup[tag][0])
        except (KeyError, ValueError):
            continue
    return Raw(FORM.name, columns, tuple(line for line, _, _ in rows), facts=facts, notes=notes)


FORM = Form(
    "Keysight B1500 / EasyEXPERT",
    "lines tagged `DataName` and `DataValue`, or a table behind `AutoAnalysis.Marker.Data.StartCondition`",
    "the channel that is swept (`Channel.Func`), its voltage and current; every repetition is a cycle; compliance",
    "[sam-olson/b1500a-data-parse](https://github.com/sam-olson/b1500a-data-parse) 26356e95",
    _found,
    _read,
)
