"""Docs that run: README's example, every how-to page, generated tables, every verb and public name."""

import importlib
import re
import subprocess
import sys

import pytest

import memspike as ms
from memspike import cli as program
from memspike.parts.registry import REGISTRIES

HOW_TO = [
    *("add-a-device", "add-a-neuron", "add-a-rule", "add-a-scheme", "add-an-experiment"),
    *("own-data", "fit-your-device"),
]


def blocks(path, language="python"):
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(), flags=re.S)


@pytest.fixture
def clean_registry(monkeypatch):
    """What a page registers is forgotten after it."""
    for registry in REGISTRIES.values():
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))


def test_readme_example(root, capsys):
    (code,) = blocks(root / "README.md")
    assert len([line for line in code.splitlines() if line.strip()]) <= 15
    exec(compile(code, "README.md", "exec"), {})
    assert float(capsys.readouterr().out) != 0.0


def test_readme_names_exactly_two_set_up_commands(root):
    first = blocks(root / "README.md", "sh")[0]
    assert first.split("\n") == ["make demo", "make test", ""]


@pytest.mark.parametrize("page", HOW_TO)
def test_how_to_pages_run(root, page, x64, clean_registry):
    code = "\n".join(blocks(root / f"docs/how-to/{page}.md"))
    assert code
    exec(compile(code, page, "exec"), {})


@pytest.mark.parametrize(
    ("page", "word"),
    [
        ("devices", "fabricate"),
        ("arrays", "solve"),
        ("online-learning", "eprop"),
        ("local-learning", "decolle"),
        ("tiki-taka", "agad"),
        ("stdp", "Trains"),
    ],
)
def test_pages_run(root, page, word):
    code = "\n".join(blocks(root / f"docs/{page}.md"))
    assert word in code
    exec(compile(code, page, "exec"), {})


@pytest.mark.parametrize("script", ["results.py table --check", "catalogue.py --check"])
def test_generated_pages_are_fresh(root, script):
    name, *arguments = script.split()
    subprocess.run([sys.executable, str(root / "scripts" / name), *arguments], check=True)


def test_every_verb_is_documented(root):
    page = (root / "docs/cli.md").read_text()
    commands = [c.name or (c.callback and c.callback.__name__) for c in program.app.registered_commands]
    commands += [f"data {c.name}" for c in program.data_app.registered_commands]
    assert len(commands) >= 8
    for command in commands:
        assert f"`memspike {command}" in page, command


def test_every_public_name_is_in_the_reference(root):
    page = (root / "docs/reference.md").read_text()
    named = set(re.findall(r"::: (memspike[\w.]*)", page))
    for module in ("devices", "cells", "arrays", "neurons", "networks", "learning", "data", "experiments", "report"):
        package = importlib.import_module(f"memspike.{module}")
        for name, thing in vars(package).items():
            if name.startswith("_") or type(thing).__name__ == "module":
                continue
            home = getattr(thing, "__module__", "")
            known = {f"memspike.{module}.{name}", home} & named or isinstance(thing, ms.experiments.Experiment)
            assert known, f"memspike.{module}.{name} is not in docs/reference.md"


def test_settings_files_in_the_docs_are_valid(root, tmp_path):
    for k, text in enumerate(blocks(root / "docs/first-steps.md", "toml")):
        file = tmp_path / f"{k}.toml"
        file.write_text(text)
        ms.experiments.resolve(str(file))


def test_runs_named_in_the_docs_are_valid(root):
    pages = [root / "README.md", *sorted((root / "docs").glob("*.md"))]
    commands = [
        m
        for p in pages
        for m in re.findall(r"^memspike run (\S+)((?: --set \S+| --set \"[^\"]+\")*)", p.read_text(), re.M)
    ]
    assert len(commands) >= 6
    for name, options in commands:
        if name.endswith(".toml"):
            continue
        ms.experiments.resolve(name, re.findall(r'--set "?([^"\s]+)"?', options))
