"""report.html: one self-contained page a run, with everything in it."""

import base64
import csv
import html
import io
import json
import tomllib
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from memspike.experiments.table import cell, cells, columns_of, shown
from memspike.parts import units
from memspike.parts.atomic import read_arrays, write_bytes, write_text
from memspike.parts.errors import InputError, unknown
from memspike.report.kinds import PAGES, WEIGHTS, Run

ABOUT = ("config.toml", "result.json", "environment.json")
NEEDED = ("kind", "experiment", "headline", "source", "seeds", "seed")
STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:1000px;margin:2rem auto;padding:0 1rem;color:#1b1f24}
h1{font-size:1.7rem}h2{margin-top:2.2rem;border-bottom:1px solid #d8dce2;padding-bottom:.2rem}img{max-width:100%}
table{border-collapse:collapse;font-size:.9rem}th{color:#57606a;font-weight:600}.wide{overflow-x:auto}
td,th{padding:.25rem .7rem;border-bottom:1px solid #e6e9ee;text-align:left;vertical-align:top}
.big{font-size:2.4rem;color:#0b5cad;line-height:1.2}.note{color:#57606a;font-size:.9rem}
pre{font-size:.85rem;background:#f6f8fa;padding:.7rem;overflow-x:auto}
"""


def table(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """An HTML table of texts, escaped."""
    head = "".join(f"<th>{html.escape(h)}</th>" for h in header)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(c))}</td>" for c in row) + "</tr>" for row in rows)
    return f"<div class=wide><table><tr>{head}</tr>{body}</table></div>"


def png(figure: Figure) -> bytes:
    """A figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()


def section(title: str, content: str) -> str:
    """A part of a page: its title and HTML."""
    return f"<h2>{html.escape(title)}</h2>{content}"


def img(image: bytes, text: str) -> str:
    """A PNG inside the page, with its alternative text."""
    data = base64.b64encode(image).decode()
    return f'<img alt="{html.escape(text)}" src="data:image/png;base64,{data}">'


def document(title: str, heading: str, parts: Iterable[str]) -> str:
    """A whole page."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}</style></head><body><h1>memspike · {html.escape(heading)}</h1>{''.join(parts)}</body></html>"
    )


def _number(value: Any, unit: str) -> str:
    if isinstance(value, list):
        flat = np.asarray(value)
        return f"{flat.size} values, {units.show(float(flat.min()), unit)} to {units.show(float(flat.max()), unit)}"
    return units.show(float(value), unit)


def _parameters(parameters: list[dict[str, Any]]) -> list[str]:
    rows = [(p["name"], _number(p["value"], p["unit"]), p["doc"]) for p in parameters]
    sources = sorted({p["source"] for p in parameters if p.get("source")})
    return [
        section("Parameters", table(("parameter", "value", "meaning"), rows)),
        f"<p class=note>Sources: {html.escape('; '.join(sources))}</p>",
    ]


def _rows(result: dict[str, Any]) -> list[str]:
    """The table of a result with its own columns."""
    if not result.get("rows"):
        return []
    columns = columns_of(result["columns"])
    rows, more = shown(result["rows"])
    found = [section("Table", table([column.title for column in columns], cells(rows, columns)))]
    return [*found, f"<p class=note>{more}</p>"] if more else found


def _numbers(path: Path) -> list[dict[str, float]]:
    """The rows of a table of numbers; what was not measured is nan."""
    with path.open(newline="") as file:
        return [{k: float(v) if v else np.nan for k, v in row.items()} for row in csv.DictReader(file)]


READERS: dict[str, Callable[[Path], Any]] = {
    ".toml": lambda path: tomllib.loads(path.read_text()),
    ".json": lambda path: json.loads(path.read_text()),
    ".csv": _numbers,
    ".npz": read_arrays,
}


def read_files(folder: Path, names: Iterable[str]) -> Run:
    """The contents of files of a finished run by their names without ending.

    InputError in one sentence if one is missing or broken.
    """
    names = tuple(names)
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise InputError(f"{folder} is not the folder of a finished run: it lacks {', '.join(missing)}.")
    try:
        return {Path(name).stem: READERS[Path(name).suffix](folder / name) for name in names}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"The run in {folder} cannot be read ({error}).") from None


def read_run(folder: Path) -> Run:
    """The files that the page of a run needs, by their names without ending.

    InputError in one sentence if one is missing or broken, or if the result does not say what kind it is.
    """
    about = read_files(folder, ABOUT)
    result = about["result"]
    lacking = [key for key in (*NEEDED, *(("columns",) if result.get("rows") else ())) if key not in result]
    if lacking:
        raise InputError(f"The result.json in {folder} was written by an older version: it lacks {', '.join(lacking)}.")
    if result["kind"] not in PAGES:
        raise unknown("kind of result", result["kind"], PAGES)
    kind = PAGES[result["kind"]]
    there = [name for name in kind.optional if (folder / name).is_file()]
    return about | read_files(folder, (*kind.files, *there))


def write_report(folder: Path, expected: str = "") -> Path:
    """Write figures/*.png and report.html of a finished run; → the page, which opens offline.

    `expected` is a line to stand beside the result. InputError if the run is not finished.
    """
    run = read_run(folder)
    result, kind = run["result"], PAGES[run["result"]["kind"]]
    big = result["headline"] if kind.big is None else f"{kind.big.title} {cell(result, kind.big)}"
    note = "; ".join(filter(None, (expected, result["source"])))
    facts = [fact for found in kind.facts for fact in found(result)]
    parts = [f"<p class=big>{html.escape(big)}</p>", f"<p class=note>{html.escape(note)}</p>", table(("", ""), facts)]
    for file, (title, figure) in kind.figures(run).items():
        image = png(figure)
        write_bytes(folder / "figures" / f"{file}.png", image)
        parts.append(section(title, img(image, title)))
    if result.get("digital"):
        text = f"The scheme {result['scheme']} keeps the weights in digital memory: there are no devices."
        parts.append(section(WEIGHTS, f"<p>{html.escape(text)}</p>"))
    parts += _rows(result)
    parts += _parameters(run["parameters"]) if "parameters" in run else []
    for title, name in (("Configuration", "config.toml"), ("Environment", "environment.json")):
        parts.append(section(title, f"<pre>{html.escape((folder / name).read_text())}</pre>"))
    write_text(folder / "report.html", document(result["experiment"], result["experiment"], parts))
    return folder / "report.html"
