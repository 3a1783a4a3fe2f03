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

from memspike.devices.pcm import PCM
from memspike.experiments.settings import flat
from memspike.parts import units
from memspike.parts.atomic import write_bytes, write_text
from memspike.parts.errors import InputError
from memspike.parts.registry import EXPERIMENTS
from memspike.report import asymmetry_figures, figures, online_figures, online_page, write_figures

ABOUT = ("config.toml", "result.json", "environment.json")
NEEDED = ("config.toml", "result.json", "metrics.csv", "samples.npz", "parameters.json", "environment.json")
STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:1000px;margin:2rem auto;padding:0 1rem;color:#1b1f24}
h1{font-size:1.7rem}h2{margin-top:2.2rem;border-bottom:1px solid #d8dce2;padding-bottom:.2rem}
table{border-collapse:collapse;font-size:.9rem}
td,th{padding:.25rem .7rem;border-bottom:1px solid #e6e9ee;text-align:left;
vertical-align:top}th{color:#57606a;font-weight:600}img{max-width:100%}.big{font-size:2.4rem;color:#0b5cad}
.note{color:#57606a;font-size:.9rem}
"""


def table(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """An HTML table of texts, escaped."""
    head = "".join(f"<th>{html.escape(h)}</th>" for h in header)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(c))}</td>" for c in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def png(figure: Figure) -> bytes:
    """A figure as PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()


def img(image: bytes, text: str) -> str:
    """A PNG inside the page, with its alternative text."""
    data = base64.b64encode(image).decode()
    return f'<img alt="{html.escape(text)}" src="data:image/png;base64,{data}">'


def _number(value: Any, unit: str) -> str:
    if isinstance(value, list):
        flat = np.asarray(value)
        return f"{flat.size} values, {units.show(float(flat.min()), unit)} to {units.show(float(flat.max()), unit)}"
    return units.show(float(value), unit)


def _short(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(_short, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _headline(result: dict[str, Any], note: str) -> str:
    percent = {k: f"{100 * v:.2f} %" for k, v in result.items() if "accuracy" in k}
    rows = [
        ("test accuracy, mean of the seeds", f"{percent['test_accuracy']}, s.d. {percent['test_accuracy_sd']}"),
        ("lowest seed", percent["test_accuracy_min"]),
        ("the same networks simulated at the fine step", percent["test_accuracy_fine_step"]),
        (
            f"{result['chips']} chips with programming spread and read noise",
            f"{percent['chips_accuracy']}, s.d. {percent['chips_accuracy_sd']}, lowest {percent['chips_accuracy_min']}",
        ),
        ("seeds", f"{result['seeds']}, from {result['seed']}"),
        ("time", f"{result['wall_s']} s, {result['steps_per_s']} training steps a second over all seeds"),
    ]
    return f"<p class=big>{percent['test_accuracy']}</p>{note}" + table(("", ""), rows)


def _page(folder: Path, name: str, parts: list[str], config: dict[str, Any], environment: dict[str, Any]) -> Path:
    parts.append("<h2>Configuration</h2>" + table(("key", "value"), flat(config)))
    parts.append("<h2>Environment</h2>" + table(("", ""), flat(environment)))
    title = html.escape(name)
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{STYLE}</style></head>"
        f"<body><h1>memspike · {title}</h1>{''.join(parts)}</body></html>"
    )
    write_text(folder / "report.html", page)
    return folder / "report.html"


def _rows(rows: list[dict[str, Any]]) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return table(columns, [[_short(row.get(c, "")) for c in columns] for row in rows])


def _note(name: str, expected: str) -> str:
    """What is expected of an experiment and what was published about it."""
    published = EXPERIMENTS.get(name).source if name in EXPERIMENTS else ""
    return f"<p class=note>{html.escape('; '.join(filter(None, (expected, published))))}</p>"


def _draw(folder: Path, file: str, title: str, figure: Figure) -> str:
    """The figure as figures/FILE.png, and the part of the page that shows it."""
    image = png(figure)
    write_bytes(folder / "figures" / f"{file}.png", image)
    return f"<h2>{html.escape(title)}</h2>{img(image, title)}"


def _study_figure(folder: Path, result: dict[str, Any]) -> str:
    """The figure of a study, if there is one of that name."""
    name = result["experiment"]
    if name in online_figures.STUDIES:
        title, draw = online_figures.STUDIES[name]
        return _draw(folder, "study", title, draw(result))
    by_rows = figures.STUDIES | asymmetry_figures.STUDIES
    if name in by_rows:
        title, draw = by_rows[name]
        return _draw(folder, "study", title, draw(result["rows"]))
    if (folder / "grids.npz").is_file():
        run = read_files(folder, ("config.toml", "grids.npz"))
        grids = write_figures.grids_of(run["grids"], [row["writer"] for row in result["rows"]])
        curve = online_figures.cumulative_curve(PCM(g_max=run["config"]["g_max"]))
        drawn = _draw(folder, "writes", "Mean and s.d. of what a write reaches", write_figures.write_figure(grids))
        return drawn + _draw(folder, "cumulative", "Conductance after SET pulses", curve)
    return ""


def _write_study(folder: Path, run: dict[str, Any], expected: str) -> Path:
    """The page of a study: its figure, if there is one of that name, and its table."""
    result = run["result"]
    parts = [f"<p class=big>{html.escape(online_page.headline(result))}</p>", _note(result["experiment"], expected)]
    parts += [_study_figure(folder, result), _rows(result["rows"])]
    return _page(folder, result["experiment"], parts, run["config"], run["environment"])


def _write_online(folder: Path, result: dict[str, Any], expected: str) -> Path:
    """The page of online learning: what there is of errors, accuracies, costs and figures."""
    names = [name for name in online_page.ARRAYS if (folder / name).is_file() or name in online_page.needed(result)]
    run = read_files(folder, (*ABOUT, "metrics.csv", *names))
    shown = online_page.content(run)
    name = str(result["experiment"])
    parts = [f"<p class=big>{html.escape(shown.headline)}</p>", _note(name, expected), table(("", ""), shown.facts)]
    parts += [_draw(folder, title.split()[0].lower(), title, figure) for title, figure in shown.figures.items()]
    parts += [f"<h2>{html.escape(title)}</h2><p>{html.escape(text)}</p>" for title, text in shown.notes.items()]
    if result.get("rows"):
        parts += [_study_figure(folder, result), _rows(result["rows"])]
    return _page(folder, name, parts, run["config"], run["environment"])


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _numbers(path: Path) -> list[dict[str, float]]:
    """The rows of a table of numbers; what was not measured is nan."""
    with path.open(newline="") as file:
        return [{k: float(v) if v else np.nan for k, v in row.items()} for row in csv.DictReader(file)]


READERS: dict[str, Callable[[Path], Any]] = {
    ".toml": lambda path: tomllib.loads(path.read_text()),
    ".json": lambda path: json.loads(path.read_text()),
    ".csv": _numbers,
    ".npz": _arrays,
}


def read_files(folder: Path, names: Iterable[str]) -> dict[str, Any]:
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


def read_run(folder: Path) -> dict[str, Any]:
    """The files of a finished run; InputError in one sentence if one is missing or broken."""
    run = read_files(folder, NEEDED)
    run["history"] = run.pop("metrics")
    return run


def write_report(folder: Path, expected: str = "") -> Path:
    """Write figures/*.png and report.html of a finished run; → the page, which opens offline.

    `expected` is a line to stand beside the accuracy. InputError if the run is not finished.
    """
    about = read_files(folder, ABOUT)
    result, trained = about["result"], (folder / "metrics.csv").exists()
    if "rows" in result and not trained:
        return _write_study(folder, about, expected)
    if "learning" in about["config"]:
        return _write_online(folder, result, expected)
    return _write_run(folder, expected)


def _write_run(folder: Path, expected: str) -> Path:
    """The page of a classifier that was trained by backpropagation."""
    run = read_run(folder)
    samples, result = run["samples"], run["result"]
    drawn = {
        "Loss and accuracy": figures.curves(run["history"]),
        "Confusion matrix of the first seed": figures.confusion(samples["confusion"]),
        "Membranes of sample inputs": figures.waveforms(
            samples, frames=run["config"].get("input", {}).get("encoder", "image") != "image"
        ),
        "Rasters": figures.rasters(samples),
        "Conductances": figures.conductances(samples),
    }
    if result.get("rows"):
        drawn["Time since programming"] = figures.over_time(result["rows"])
    parts = [_headline(result, _note(result["experiment"], expected))]
    parts += [_draw(folder, title.split()[0].lower(), title, figure) for title, figure in drawn.items()]
    if result.get("rows"):
        parts.append(_rows(result["rows"]))
    parameters = [(p["name"], _number(p["value"], p["unit"]), p["doc"]) for p in run["parameters"]]
    sources = sorted({p["source"] for p in run["parameters"] if p.get("source")})
    parts.append("<h2>Parameters</h2>" + table(("parameter", "value", "meaning"), parameters))
    parts.append("<p class=note>Sources: " + html.escape("; ".join(sources)) + "</p>")
    return _page(folder, str(result["experiment"]), parts, run["config"], run["environment"])
