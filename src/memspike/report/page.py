"""report.html: one self-contained page a run, with everything in it."""

import csv
import html
import json
import re
import tomllib
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from memspike.experiments.table import cell, cells, columns_of, shown
from memspike.parts import units
from memspike.parts.atomic import read_arrays, write_bytes, write_text
from memspike.parts.errors import InputError, unknown
from memspike.parts.units import counted
from memspike.report import samples
from memspike.report.kinds import PAGES, WEIGHTS, Run
from memspike.report.web import plot, png

ABOUT = ("config.toml", "result.json", "environment.json")
NEEDED = ("kind", "experiment", "headline", "source", "seeds", "seed")
STYLE, SCRIPT = (Path(__file__).with_name(name).read_text() for name in ("page.css", "page.js"))
SORTABLE = 3  # rows from which a table can be sorted


def table(header: Iterable[str], rows: Iterable[Iterable[Any]], kind: str = "") -> str:
    """An HTML table of texts, escaped; its headings sort it where there are a few rows."""
    names, lines = list(header), [[html.escape(str(c)) for c in row] for row in rows]
    head = "".join(f"<th scope=col>{html.escape(h)}</th>" for h in names)
    body = "".join("<tr>" + "".join(f"<td>{c}</td>" for c in row) + "</tr>" for row in lines)
    kind += " sortable" if len(lines) >= SORTABLE and any(names) else ""
    top = f"<thead><tr>{head}</tr></thead>" if any(names) else ""
    return f'<div class=wide tabindex=0><table class="{kind.strip()}">{top}<tbody>{body}</tbody></table></div>'


def anchor(title: str) -> str:
    """The identifier of a section."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def section(title: str, content: str) -> str:
    """A part of a page: its title and HTML."""
    return f'<section><h2 id="{anchor(title)}">{html.escape(title)}</h2>{content}</section>'


def folded(title: str, content: str) -> str:
    """Something that opens when asked for."""
    return f"<details><summary>{html.escape(title)}</summary>{content}</details>"


def document(title: str, heading: str, parts: Iterable[str]) -> str:
    """A whole page with links to its sections."""
    body = "".join(parts)
    found = re.findall(r'<h2 id="([^"]+)">(.*?)</h2>', body)
    links = "".join(f'<a href="#{name}">{text}</a>' for name, text in found)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><link rel="icon" href="data:,">'
        f"<style>{STYLE}</style></head><body><header><h1>memspike · {html.escape(heading)}</h1>"
        f'<nav aria-label="sections">{links}</nav></header><main>{body}</main><script>{SCRIPT}</script></body></html>'
    )


def _number(value: Any, unit: str) -> str:
    if isinstance(value, list):
        flat = np.asarray(value)
        return f"{flat.size} values, {units.show(float(flat.min()), unit)} to {units.show(float(flat.max()), unit)}"
    return units.show(float(value), unit)


def _parameters(parameters: list[dict[str, Any]]) -> list[str]:
    rows = [(p["name"], _number(p["value"], p["unit"]), p["doc"]) for p in parameters]
    sources = sorted({p["source"] for p in parameters if p.get("source")})
    every = table(("parameter", "value", "meaning"), rows, "keys")
    return [
        section("Parameters", folded(f"All {len(rows)} parameters", every)),
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
    there = [name for name in ("run.json", *kind.optional) if (folder / name).is_file()]
    return about | read_files(folder, (*kind.files, *there))


def _ran(run: Run) -> str:
    """What ran: command, date, versions, machine."""
    about, here = run.get("run", {}), run["environment"]
    packages = here.get("packages", {})
    versions = ", ".join(f"{name} {packages[name]}" for name in ("memspike", "jax", "numpy") if name in packages)
    rows = {
        "command": about.get("command", ""),
        "started": about.get("started", "").replace("T", " ").replace("+00:00", " UTC"),
        "versions": ", ".join(filter(None, (versions, f"Python {here['python']}" if "python" in here else ""))),
        "machine": ", ".join(str(here[key]) for key in ("platform",) if key in here)
        + "".join(f", {counted(here[key], 'core')}" for key in ("cores",) if key in here),
    }
    command = f"<p><code>{html.escape(rows.pop('command'))}</code></p>" if rows["command"] else ""
    rows.pop("command", None)
    every = folded("Every version", f"<pre>{html.escape(json.dumps(here, indent=2))}</pre>")
    return section("What ran", command + table(("", ""), [row for row in rows.items() if row[1]]) + every)


def _configuration(run: Run) -> str:
    """What differs from the experiment, then every key with its meaning; older runs have their file alone."""
    lines, file = run.get("run", {}).get("settings", []), html.escape(run["text"])
    changed = [line for line in lines if "usual" in line]
    found = ""
    if lines:
        rows = [(x["key"], x["value"], x["usual"] or "–", x["source"], x["meaning"]) for x in changed]
        header = ("key", "value", "usual value", "set by", "meaning")
        found = table(header, rows, "keys") if rows else "<p>All settings are those of the experiment.</p>"
        every = [(x["key"], x["value"], x["source"], x["allowed"], x["meaning"]) for x in lines]
        header = ("key", "value", "set by", "allowed", "meaning")
        found += folded(f"All {len(every)} settings", table(header, every, "keys"))
    return section("Configuration", found + folded("config.toml", f"<pre>{file}</pre>"))


def _figures(folder: Path, run: Run) -> list[str]:
    """The figures as files and as parts of the page, and samples to leaf through behind the figure that shows them."""
    parts, leaves = [], samples.browser(run)
    for file, (title, figure) in PAGES[run["result"]["kind"]].figures(run).items():
        write_bytes(folder / "figures" / f"{file}.png", png(figure))
        parts.append(section(title, plot(figure, file, title)))
        if leaves and file == samples.BESIDE.get(run["result"]["kind"]):
            parts.append(section("Samples one by one", leaves))
    return parts


def write_report(folder: Path) -> Path:
    """Write figures/*.png and report.html of a finished run; → the page, which opens offline.

    What was expected and published stands beside the result of a run whose settings are those of the experiment.
    InputError if the run is not finished.
    """
    run = read_run(folder)
    result, kind, about = run["result"], PAGES[run["result"]["kind"]], run.get("run", {})
    big = result["headline"] if kind.big is None else f"{kind.big.title} {cell(result, kind.big)}"
    wanted = f"expected {about['expected']}" if about.get("expected") else ""
    note = "; ".join(filter(None, (wanted, about.get("reference", ""))))
    facts = [fact for found in kind.facts for fact in found(result)]
    parts = [f"<p class=big>{html.escape(big)}</p>", f"<p class=note>{html.escape(note)}</p>" if note else ""]
    parts += [_ran(run), section("Result", table(("", ""), facts)), *_figures(folder, run), *samples.energies(result)]
    if result.get("digital"):
        text = f"The scheme {result['scheme']} keeps the weights in digital memory: there are no devices."
        parts.append(section(WEIGHTS, f"<p>{html.escape(text)}</p>"))
    parts += _rows(result)
    parts += _parameters(run["parameters"]) if "parameters" in run else []
    parts.append(_configuration(run | {"text": (folder / "config.toml").read_text()}))
    write_text(folder / "report.html", document(result["experiment"], result["experiment"], parts))
    return folder / "report.html"
