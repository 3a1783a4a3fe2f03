"""Docs that run: README's example, every how-to page, every command, key, verb and public name."""

import importlib
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import memspike as ms
from memspike import cli as program
from memspike.devices import description
from memspike.parts.fields import FieldInfo, choices_of, fields_of, is_part, product
from memspike.parts.registry import EXPERIMENTS, REGISTRIES, Registry

HOW_TO = [
    *("add-a-device", "add-a-neuron", "add-a-rule", "add-a-scheme", "add-an-experiment"),
    *("own-data", "use-a-run", "fit-your-device", "fit-a-sweep", "fit-ageing-and-noise"),
]


PAGES = ["README.md", *sorted(f"docs/{p.name}" for p in (Path(__file__).parents[1] / "docs").glob("*.md"))]


def blocks(path, language="python"):
    return re.findall(rf"```{language}\n(.*?)```", path.read_text(), flags=re.S)


def prose(path):
    """All inline code of a page."""
    return re.findall(r"(?<!`)`([^`]+)`(?!`)", re.sub(r"```.*?```", "", path.read_text(), flags=re.S))


def commands(path):
    """Experiment and options of every `memspike run` of a page, also in tables and of `--set …` behind one of them."""
    given = [line for block in blocks(path, "sh") for line in block.splitlines()]
    found = [shlex.split(line, comments=True)[2:] for line in given if line.startswith("memspike run ")]
    last = ""
    for code in prose(path):
        words = shlex.split(code.replace("\\|", "|")) if code.startswith(("memspike run ", "--set ")) else [code]
        if words[:2] == ["memspike", "run"]:
            last, words = words[2], words[3:]
        elif words[0] in EXPERIMENTS:
            last, words = words[0], []
        elif words[0] != "--set":
            continue
        if last in EXPERIMENTS:
            found.append([last, *words])
    return found


def resolved(words):
    """What a command runs; its options are those of the verb."""
    name, options, keys, more = words[0], iter(words[1:]), [], {}
    for option in options:
        if option == "--set":
            keys.append(next(options))
        elif option == "--seeds":
            more["seeds"] = int(next(options))
        else:
            assert option in ("--quick", "--resume"), option
    return ms.experiments.resolve(name, keys, **more)


def refused(name, key):
    """What a command answers that cannot run."""
    try:
        experiment, settings, _ = ms.experiments.resolve(name, [key])
        experiment.prepare(settings)
    except ms.InputError as error:
        return str(error)
    return "nothing"


@pytest.fixture
def clean_registry(monkeypatch):
    """What a page registers is forgotten after it."""
    for registry in REGISTRIES.values():
        registry.load()
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
def test_how_to_pages_run(root, page, x64, clean_registry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # pages write files
    code = "\n".join(blocks(root / f"docs/how-to/{page}.md"))
    assert code
    exec(compile(code, page, "exec"), {})
    for words in commands(root / f"docs/how-to/{page}.md"):
        resolved(words)


@pytest.mark.parametrize(
    ("page", "word"),
    [
        ("devices", "fabricate"),
        ("arrays", "solve"),
        ("online-learning", "Eprop"),
        ("local-learning", "Decolle"),
        ("tiki-taka", "agad"),
        ("stdp", "Trains"),
    ],
)
def test_pages_run(root, page, word):
    code = "\n".join(blocks(root / f"docs/{page}.md"))
    assert word in code
    exec(compile(code, page, "exec"), {})


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


@pytest.mark.parametrize("page", ["first-steps", "configuration"])
def test_settings_files_in_the_docs_are_valid(root, tmp_path, page):
    for k, text in enumerate(blocks(root / f"docs/{page}.md", "toml")):
        file = tmp_path / f"{k}.toml"
        file.write_text(text)
        ms.experiments.resolve(str(file))


@pytest.mark.parametrize("page", [*PAGES, *(f"docs/how-to/{name}.md" for name in HOW_TO), "CONTRIBUTING.md"])
def test_files_named_in_the_docs_exist(root, page):
    named = re.findall(r"(?<![\w/.-])(?:src|tests|scripts|benchmarks|results)/[\w/.-]+\.\w+", (root / page).read_text())
    assert not [path for path in named if not (root / path).is_file()]


@pytest.mark.parametrize("page", PAGES)
def test_commands_in_the_docs_are_valid(root, page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs/fit-set").mkdir(parents=True)
    description.write(ms.devices.find("pcmo"), tmp_path / "runs/fit-set/device.toml")
    found = [words for words in commands(root / page) if words[0] in EXPERIMENTS]
    assert len(found) >= 3 or page not in ("README.md", "docs/results.md", "docs/configuration.md")
    for words in found:
        resolved(words)


def test_answers_in_the_docs_are_those_of_the_program(root):
    (console,) = blocks(root / "README.md", "console")
    shown = re.findall(r"^\$ memspike run (\S+) --set (\S+)\nmemspike: (.+)$", console, re.M)
    rows = re.findall(r"^\| `([^`]+=[^`]+)` \| (.+) \|$", (root / "docs/configuration.md").read_text(), re.M)
    assert len(shown) >= 2
    assert len(rows) >= 5
    for name, key, answer in [*shown, *(("memprop-digits", *row) for row in rows)]:
        assert refused(name, key) == answer


def inside(field: FieldInfo):
    """Everything whose fields may stand in the table of a field."""
    if isinstance(field.choices, Registry):
        yield from (e.value for e in field.choices)
    for kind in field.kinds:
        kind = next((k for k in getattr(kind, "__args__", ()) if is_part(k)), kind)
        if is_part(kind):
            yield from choices_of(kind).values()


def has(makers, names):
    """Whether one of the makers has a field of that dotted name; numbers count entries of lists."""
    names = [n for n in names if not n.isdigit()]
    if not names:
        return True
    fields = [fields_of(product(make) if is_part(product(make)) else make).get(names[0]) for make in makers]
    return any(f and (f.kinds[0] == dict[str, Any] or has(inside(f), names[1:])) for f in fields)


@pytest.mark.parametrize("page", PAGES)
def test_keys_in_the_docs_exist(root, page):
    roots = {e.value.root for e in EXPERIMENTS}
    sections = {name for one in roots for name, field in fields_of(one).items() if field.part}
    for code in prose(root / page):
        key = code.split("=")[0]
        if re.fullmatch(r"[a-z_]+(\.[a-z_0-9]+)+", key) and key.split(".")[0] in sections:
            if page == "docs/configuration.md" and key in ("synapse.device.g_mx", "synapse.per_side"):
                continue
            assert has(roots, key.split(".")), f"{page} names {key}"
