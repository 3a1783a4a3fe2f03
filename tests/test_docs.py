"""Docs that run: README's example, every how-to page, every command, key, verb and public name."""

import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import memspike as ms
from memspike import cli as program
from memspike.devices import description
from memspike.parts import compiled
from memspike.parts.fields import FieldInfo, choices_of, fields_of, is_part, kebab, product
from memspike.parts.registry import EXPERIMENTS, REGISTRIES, Registry

HOW_TO = [
    *("add-a-device", "add-a-neuron", "add-a-rule", "add-a-scheme", "add-an-experiment"),
    *("own-data", "in-python", "use-a-run", "fit-your-device", "fit-a-sweep", "fit-ageing-and-noise"),
    *("speakers-by-their-vowels", "a-neuron-from-a-netlist", "exchange-with-other-frameworks", "confirm-with-spice"),
]
PACKAGES = (
    *("devices", "fitting", "cells", "arrays", "neurons", "networks", "learning", "data", "experiments", "report"),
    *("interop", "testing"),
)
ROOT = Path(__file__).parents[1]
VOWELS = "docs/how-to/speakers-by-their-vowels.md"  # needs files that it says how to get

PAGES = ["README.md", *sorted(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]
TUTORIAL = sorted(f"docs/tutorial/{p.name}" for p in (ROOT / "docs/tutorial").glob("*.md"))
EVERY = [*PAGES, *(f"docs/how-to/{name}.md" for name in HOW_TO), *TUTORIAL]


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


# of the environment of the tests, what a page may see: where programs and data are, and what saves compilation
SEEN = (
    *("PATH", "HOME", "PYTHONPATH", "TMPDIR", "XLA_FLAGS", "XDG_CACHE_HOME", "MEMSPIKE_DATA", "MEMSPIKE_CACHE"),
    *("JAX_COMPILATION_CACHE_DIR", *(name.upper() for name in compiled.OPTIONS)),
)
# verbs run as they are; a run that is not quick is resolved only
COMMANDS = """
import json, shlex, sys
from memspike import cli, experiments
from memspike.parts import imports

def command(line):
    words = shlex.split(line, comments=True)
    if words[1] == "run" and "--quick" not in words:
        options, given = iter(words[3:]), []
        for option in options:
            if option == "--import":
                imports.bring(next(options))
            elif option == "--set":
                given.append(next(options))
            elif option in ("--seeds", "--out"):
                next(options)
            else:
                assert option == "--resume", option
        experiment, settings, _ = experiments.resolve(words[2], given)
        experiment.prepare(settings)
        return
    sys.argv = words
    try:
        cli.main()
    except SystemExit as stop:
        assert not stop.code, line
"""
ALL = "\nfor line in json.loads(sys.argv[1]):\n    command(line)\n"


def fresh(folder, *arguments):
    """What a new interpreter in a folder says, with an environment of its own."""
    given = {name: os.environ[name] for name in SEEN if name in os.environ}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def files_of(page):
    """The files that a page shows: blocks that begin with the name of one, and all other blocks in order as page.py."""
    found, rest = {}, []
    for code in blocks(page):
        first = re.match(r"# (\w+\.py)\n", code)
        if first:
            found[first[1]] = code
        else:
            rest.append(code)
    return found | ({"page.py": "\n".join(rest)} if rest else {})


def story(page):
    """All blocks of a page in order as one program: its Python, and its commands as a reader would type them."""
    parts = ["from terminal import command"]
    for language, code in re.findall(r"```(python|sh)\n(.*?)```", page.read_text(), flags=re.S):
        lines = [f"command({line!r})" for line in code.splitlines() if line.startswith("memspike ")]
        parts += [code] if language == "python" else lines
    return "\n".join(parts)


def test_readme_example_is_short(root):
    (code,) = blocks(root / "README.md")
    assert len([line for line in code.splitlines() if line.strip()]) <= 15


def test_readme_names_exactly_two_set_up_commands(root):
    first = blocks(root / "README.md", "sh")[0]
    assert first.split("\n") == ["make demo", "make test", ""]


WITH_CODE = [page for page in EVERY if "```python" in (ROOT / page).read_text() and page not in TUTORIAL]


@pytest.mark.parametrize("page", WITH_CODE)
def test_pages_run_as_they_stand_in_a_fresh_interpreter(root, tmp_path, page):
    """All Python of a page, and its commands where they need files that the page shows."""
    files = files_of(root / page)
    for name, code in files.items():
        (tmp_path / name).write_text(code)
    if "page.py" in files:
        said = fresh(tmp_path, "page.py")
        assert said or "print(" not in files["page.py"]
    lines = [line for block in blocks(root / page, "sh") for line in block.splitlines()]
    own = [line for line in lines if line.startswith("memspike run ") or "--import " in line]
    own = own if page.startswith("docs/how-to/") and page != VOWELS else []
    assert set(files) <= {"page.py"} or any("--import" in line for line in own) or page == VOWELS
    if own:
        fresh(tmp_path, "-c", COMMANDS + ALL, json.dumps(own))


def test_files_of_utterances_become_a_data_set_as_the_page_says(root, tmp_path):
    """Made-up files of that layout, and the block and the commands of the page, up to the runs themselves."""
    rng, held = np.random.default_rng(0), {}
    (tmp_path / "vowels").mkdir()
    for part, count in (("TRAIN", 30), ("TEST", 9)):
        held[part] = [rng.normal(size=(rng.integers(7, 30), 12)).round(6) for _ in range(count)]
        rows = [":".join(",".join(map(str, c)) for c in one.T) + f":{k % 3 + 1}" for k, one in enumerate(held[part])]
        head = "# made up\n@problemName JapaneseVowels\n@classLabel true 1 2 3\n@data\n"
        (tmp_path / f"vowels/JapaneseVowels_{part}.ts").write_text(head + "\n".join(rows) + "\n")
    (tmp_path / "vowels.py").write_text(files_of(root / VOWELS)["vowels.py"])
    fresh(tmp_path, "vowels.py")
    data = ms.data.load_file(tmp_path / "vowels.npz", ms.data.Reading())
    for part, lengths in (("TRAIN", data.lengths_train), ("TEST", data.lengths_test)):
        assert [len(one) for one in held[part]] == np.asarray(lengths).tolist()
    with np.load(tmp_path / "vowels.npz") as arrays:
        assert np.allclose(arrays["x_test"][4, : len(held["TEST"][4])], held["TEST"][4])
        assert not arrays["x_test"][4, len(held["TEST"][4]) :].any()
        assert arrays["y_train"][:4].tolist() == ["speaker 1", "speaker 2", "speaker 3", "speaker 1"]
    lines = [line for block in blocks(root / VOWELS, "sh") for line in block.splitlines()]
    said = fresh(tmp_path, "-c", COMMANDS + ALL, json.dumps([one for one in lines if one.startswith("memspike ")]))
    assert "30 training and 9 test examples" in said


@pytest.mark.parametrize("page", TUTORIAL)
def test_pages_of_the_tutorial_run_with_their_commands(root, tmp_path, page):
    """What a reader does from top to bottom in an empty folder; a page prints what it speaks of."""
    (tmp_path / "terminal.py").write_text(COMMANDS)
    (tmp_path / "page.py").write_text(story(root / page))
    said = fresh(tmp_path, "page.py").splitlines()
    assert len(said) >= (root / page).read_text().count("print(") >= 3


def test_the_tutorial_is_linked_in_order(root):
    menu = (root / "mkdocs.yml").read_text()
    pages = [Path(page) for page in TUTORIAL]
    assert [page.name[:2] for page in pages] == [f"{k}-" for k in range(1, 7)]
    for page, after in zip(pages, [*pages[1:], None], strict=True):
        assert f"tutorial/{page.name}" in menu
        assert after is None or f"]({after.name})" in (root / page).read_text()
    for door in ("README.md", "docs/index.md", "docs/first-steps.md"):
        assert f"tutorial/{pages[0].name})" in (root / door).read_text(), door


def test_every_how_to_page_is_run(root):
    pages = {path.stem for path in (root / "docs/how-to").glob("*.md")}
    assert pages == set(HOW_TO)
    assert all(f"how-to/{page}.md" in (root / "mkdocs.yml").read_text() for page in pages)


def test_every_verb_is_documented(root):
    page = (root / "docs/cli.md").read_text()
    commands = [c.name or (c.callback and c.callback.__name__) for c in program.app.registered_commands]
    groups = program.app.registered_groups
    commands += [f"{g.name} {c.name}" for g in groups for c in getattr(g.typer_instance, "registered_commands", [])]
    assert len(commands) >= 8
    for command in commands:
        assert f"`memspike {command}" in page, command


def test_every_page_of_the_reference_is_in_the_navigation(root):
    index, config = (root / "docs/reference/index.md").read_text(), (root / "mkdocs.yml").read_text()
    for path in (root / "docs/reference").glob("*.md"):
        assert f"reference/{path.name}" in config
        assert path.name == "index.md" or f"({path.name})" in index


def shadowed(name):
    """Whether a tool that reads files finds a module where Python finds a function of the same name."""
    home, _, last = name.rpartition(".")
    file = ROOT / "src" / f"{name.replace('.', '/')}.py"
    return file.is_file() and not isinstance(getattr(importlib.import_module(home), last, file), ModuleType | Path)


def test_every_public_name_is_in_the_reference(root):
    pages = "\n".join(path.read_text() for path in (root / "docs/reference").glob("*.md"))
    named = set(re.findall(r"::: (memspike[\w.]*)", pages))
    assert not [name for name in named if shadowed(name)]
    top = [name for name in vars(ms)["__all__"] if f"memspike.{name}" not in named]
    assert all(isinstance(getattr(ms, name), ModuleType) for name in top), top
    for module in (*PACKAGES, "interop.spice"):
        package = importlib.import_module(f"memspike.{module}")
        for name, thing in vars(package).items():
            if name.startswith("_") or type(thing).__name__ == "module":
                continue
            home = getattr(thing, "__module__", "")
            known = {f"memspike.{module}.{name}", f"{home}.{name}"} & named or (".presets." in home and home in named)
            known = known or isinstance(thing, ms.experiments.Experiment)
            assert known, f"memspike.{module}.{name} is not in docs/reference"


@pytest.mark.parametrize("page", ["first-steps", "configuration"])
def test_settings_files_in_the_docs_are_valid(root, tmp_path, page):
    for k, text in enumerate(blocks(root / f"docs/{page}.md", "toml")):
        file = tmp_path / f"{k}.toml"
        file.write_text(text)
        ms.experiments.resolve(str(file))


@pytest.mark.parametrize("page", [*EVERY, "CONTRIBUTING.md"])
def test_files_named_in_the_docs_exist(root, page):
    named = re.findall(r"(?<![\w/.-])(?:src|tests|scripts|benchmarks|results)/[\w/.-]+\.\w+", (root / page).read_text())
    assert not [path for path in named if not (root / path).is_file()]


@pytest.mark.parametrize("page", PAGES)
def test_commands_in_the_docs_are_valid(root, page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs/fit-set").mkdir(parents=True)
    description.write(ms.devices.find("pcmo"), tmp_path / "runs/fit-set/device.toml")
    utterances = np.random.default_rng(0).normal(size=(40, 29, 12))  # of the page on vowels
    np.savez(tmp_path / "vowels.npz", x=utterances, y=np.arange(40) % 4, lengths=np.full(40, 20))
    found = [words for words in commands(root / page) if words[0] in EXPERIMENTS]
    assert len(found) >= 3 or page not in ("README.md", "docs/results.md", "docs/configuration.md")
    for words in found:
        resolved(words)


def beside(path):
    """Inline code in the second column of the tables of a page that have one there called `here`."""
    found = []
    for table in re.findall(r"^\| there \| here \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", path.read_text(), re.M):
        rows = [re.split(r"(?<!\\)\|", row)[1:-1] for row in table.splitlines()]
        assert {len(row) for row in rows} == {3}
        found += [code for row in rows for code in re.findall("`([^`]+)`", row[1])]
    return found


def exists(code):
    """Whether a name, key, command or registered name is one of this library."""
    if code.startswith("ms."):
        thing = ms
        for name in code.split(".")[1:]:
            thing = getattr(thing, name, None)
        return thing is not None
    if code.startswith("memspike "):
        commands = [c.name or (c.callback and c.callback.__name__) for c in program.app.registered_commands]
        return code.split()[1] in {*commands, *(group.name for group in program.app.registered_groups)}
    key, _, value = code.partition("=")
    names = {entry.name for registry in REGISTRIES.values() for entry in registry}
    names |= {kebab(name) for package in PACKAGES for name in vars(getattr(ms, package))["__all__"]}
    if not value and "." not in key:
        return key in names
    return has({e.value.root for e in EXPERIMENTS}, key.split(".")) and value in {*names, "", "true", "false"}


@pytest.mark.parametrize("page", ["aihwkit", "snntorch"])
def test_what_stands_beside_words_of_another_tool_exists(root, page):
    path = root / f"docs/for-users-of-{page}.md"
    codes = beside(path)
    assert len(codes) > 25
    assert not [code for code in codes if not exists(code)]
    own = [code for code in prose(path) if code.startswith(("ms.", "memspike "))]
    assert not [code for code in own if not exists(code)]


@pytest.mark.parametrize(
    "code", ["ms.devices.Nothing", "memspike nothing", "learning.nothing", "reram", "neuron.soft=x"]
)
def test_what_does_not_exist_is_found(code):
    assert not exists(code)


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
