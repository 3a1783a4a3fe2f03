"""Figures for a paper: their size, their format, and what is refused."""

import importlib.util
import re
from pathlib import Path

import pytest

import memspike as ms
from memspike.report import figures, write_figures
from memspike.report.paper import width_of

SPEC = importlib.util.spec_from_file_location("online", Path(__file__).with_name("test_online_report.py"))
assert SPEC is not None
assert SPEC.loader is not None
online = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(online)


@pytest.mark.parametrize(("text", "inches"), [("85mm", 85 / 25.4), ("8.5 cm", 85 / 25.4), ("7in", 7.0), ("252pt", 3.5)])
def test_widths_have_a_unit(text, inches):
    assert width_of(text) == pytest.approx(inches)


@pytest.mark.parametrize(
    ("text", "words"),
    [("85", "has no unit; allowed: mm, cm, in, pt"), ("85px", "the unit 'px'"), ("wide", "write it as 85mm"),
     ("85m", "the unit 'm'"), ("1mm", "allowed: 25.4mm to 609.6mm"), ("-85mm", "not a width")],
)  # fmt: skip
def test_other_widths_are_refused(text, words):
    with pytest.raises(ms.InputError, match=re.escape(words)):
        width_of(text)


def test_figures_have_the_width_that_was_asked_for(call, tmp_path):
    out = online.whole(tmp_path / "run")
    status, text, error = call("report", out, "--format", "svg", "--width", "85mm")
    assert status == 0, error
    found = [Path(line) for line in text.splitlines()]
    assert {path.name for path in found} == {"loss.svg", "targets.svg", "spikes.svg", "conductances.svg"}
    assert {path.parent for path in found} == {out / "figures-paper"}
    for path in found:
        drawn = path.read_text()
        assert re.search(r'<svg[^>]* width="240.94', drawn), "85 mm are 240.9 pt"
        sizes = [float(size) for size in re.findall(r"font(?:-size)?: (?:\w+ )*([\d.]+)px", drawn)]
        assert sizes
        assert min(sizes) >= 4.5, "exponents are the smallest"
    assert not (out / "report.html").exists()


def test_formats_and_styles(call, tmp_path):
    out = online.whole(tmp_path / "run")
    for form, start in (("pdf", b"%PDF"), ("png", b"\x89PNG")):
        (first, *_) = write_figures(out, tmp_path / form, form=form, style="screen")
        assert first.read_bytes().startswith(start)
    again = {
        path.name: path.read_bytes() for path in write_figures(out, tmp_path / "again", form="pdf", style="screen")
    }
    assert again["loss.pdf"] == (tmp_path / "pdf/loss.pdf").read_bytes(), "no date, no chance"
    for options, words in (
        (("--format", "jpg"), "allowed: pdf, png, svg"),
        (("--style", "papr"), "'paper'"),
        (("--width", "9"), "unit"),
    ):
        status, _, error = call("report", out, *options, "--out", tmp_path / "none")
        assert status == 2
        assert words in error
        assert error.count("\n") == 1
        assert not (tmp_path / "none").exists()


def test_panels_that_would_be_too_narrow_stand_below_each_other():
    with figures.drawn_for(figures.Page(3.3, 7.0, 2.4)):
        figure, axes = figures.new_figure(9.0, 3.0, columns=3)
    assert axes.shape == (1, 3)
    assert figure.get_size_inches()[0] == pytest.approx(3.3)
    assert len({round(axis.get_position().y0, 3) for axis in axes.flat}) == 3
    assert figures.new_figure(9.0, 3.0, columns=3)[0].get_size_inches()[0] == 9.0
