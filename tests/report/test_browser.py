"""The page of a run in a browser: no errors, narrow screens, dark mode, keys, sorting, samples, links, zoom."""

import importlib.util
from pathlib import Path

import pytest

from memspike.experiments import resolve, run
from memspike.report import write_report

SPEC = importlib.util.spec_from_file_location("browser", Path(__file__).with_name("browser.py"))
assert SPEC is not None
assert SPEC.loader is not None
browser = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(browser)

SMALL = ["data.train=320", "data.test=40", "size=8", "evaluation.chips=2", "fine_dt=50us", "epochs=2"]
WIDTHS = """
found.page = document.documentElement.scrollWidth;
found.window = innerWidth;
found.paper = getComputedStyle(document.body).backgroundColor;
found.ink = getComputedStyle(document.body).color;
found.figures = [...document.querySelectorAll("figure.plot svg")].map((s) => s.getBoundingClientRect().width > 100);
"""
USE = """
const table = [...document.querySelectorAll("table.sortable")].find((t) => t.tHead.textContent.includes("meaning"));
table.closest("details").open = true;
const column = () => [...table.tBodies[0].rows].map((row) => row.cells[0].textContent);
const before = column();
const button = table.querySelector("th button");
button.focus();
found.focused = document.activeElement === button;
button.click();
found.up = JSON.stringify(column()) === JSON.stringify([...before].sort((a, b) => a.localeCompare(b)));
found.sorted = table.querySelector("th").getAttribute("aria-sort");
button.click();
found.down = column()[0] !== before.slice().sort((a, b) => a.localeCompare(b))[0];
const press = (target, key) => target.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
const samples = document.querySelector(".browser");
const title = () => samples.querySelector("output").textContent;
found.samples = [title()];
press(samples, "ArrowRight");
found.samples.push(title());
press(samples, "ArrowLeft");
press(samples, "ArrowLeft");
found.samples.push(title());
const figure = document.querySelector("#fig-loss");
press(figure, "ArrowRight");
press(figure, "ArrowRight");
found.read = figure.querySelector("output").textContent;
press(figure, "+");
found.zoomed = figure.hasAttribute("data-zoomed");
press(figure, "0");
found.whole = !figure.hasAttribute("data-zoomed");
const map = document.querySelector("#fig-maps");
press(map, "ArrowRight");
found.map = map.querySelector("output").textContent;
const svg = map.querySelector("svg").getBoundingClientRect();
const at = { clientX: svg.left + 0.2 * svg.width, clientY: svg.top + 0.25 * svg.height, bubbles: true };
map.querySelector("svg").dispatchEvent(new PointerEvent("pointermove", at));
found.pointed = map.querySelector("output").textContent;
found.dead = [...document.querySelectorAll("a")].filter((a) => !document.getElementById(a.hash.slice(1))).length;
found.links = document.querySelectorAll("nav a").length;
const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
found.twice = ids.length - new Set(ids).size;
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "run"
    run(resolve("memprop-digits", SMALL).settings, out, command="memspike run memprop-digits")
    return write_report(out)


@pytest.mark.parametrize(("width", "dark"), [(400, False), (400, True), (1200, False)])
def test_no_errors_and_nothing_wider_than_the_window(page, width, dark):
    found, console = browser.probe(page, WIDTHS, width=width, dark=dark)
    assert console == found["console"] == []
    assert found["window"] <= max(width, 500), "headless windows may have a least width"
    assert found["page"] <= found["window"]
    assert all(found["figures"])
    assert len(found["figures"]) == 6
    light = "rgb(255, 255, 255)"
    assert (found["paper"] == light) == (not dark)
    assert found["ink"] != found["paper"]


def test_tables_samples_figures_and_links_by_keyboard(page):
    found, console = browser.probe(page, USE)
    assert console == found["console"] == []
    assert found["focused"]
    assert found["up"]
    assert found["down"]
    assert found["sorted"] == "ascending"
    assert [text.split(":")[0] for text in found["samples"]] == ["1 of 3", "2 of 3", "3 of 3"]
    assert "epoch 2, training loss" in found["read"]
    assert found["zoomed"]
    assert found["whole"]
    assert "conductance (µS) " in found["map"]
    assert "layer 1: G⁺ · column " in found["pointed"]
    assert (found["dead"], found["twice"]) == (0, 0)
    assert found["links"] >= 8


def test_a_picture_of_the_page(page, tmp_path):
    image = browser.picture(page, tmp_path / "page.png", width=400)
    assert image.startswith(b"\x89PNG")
    assert len(image) > 30_000


def test_the_page_is_small_and_says_what_ran(page):
    text = page.read_text()
    assert len(text) < 8e6
    assert "<code>memspike run memprop-digits</code>" in text
    for words in ("jax 0", "Python 3", "usual value", "training.epochs", "times that all trials are shown"):
        assert words in text, words
    assert "expected" not in text.split("<main>")[1].split("</section>")[0]
    assert "2206.12992; no figure" not in text, "settings were changed: no reference"
