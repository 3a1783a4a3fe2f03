"""Packages load when they are used: a quick start, the same names as ever, full registries."""

import ast
import json
import os
import subprocess
import sys

import pytest

from memspike.parts.errors import InputError
from memspike.parts.registry import REGISTRIES, Registry

HEAVY = ("jax", "jaxlib", "equinox", "numpy", "scipy", "matplotlib", "pandas", "openpyxl", "xlrd", "h5py")
LAZY = ("devices", "cells", "arrays", "neurons", "networks", "learning", "data", "fitting", "report", "testing")
HELP = [
    *("", "list", "show", "run", "fit", "report", "data", "data fetch", "data import", "data where", "data look"),
    *("doctor", "compare", "export"),
]


def fresh(code, *arguments, **environment):
    """What a new interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


CALLED = """
import sys
from memspike.cli import main
sys.argv = ["memspike", *sys.argv[1:]]
try:
    main()
except SystemExit as stop:
    assert not stop.code, stop.code
print("loaded:", *sorted({name.split(".")[0] for name in sys.modules}))
"""


def loaded(text):
    return set(text.splitlines()[-1].removeprefix("loaded: ").split()) & set(HEAVY)


@pytest.mark.parametrize("verb", HELP)
def test_help_needs_no_heavy_package(verb):
    text = fresh(CALLED, *verb.split(), "--help")
    assert "Usage: memspike" in text
    assert not loaded(text)


def test_version_needs_no_heavy_package():
    text = fresh(CALLED, "--version")
    assert text.startswith("memspike ")
    assert not loaded(text)


def test_completion_needs_no_heavy_package():
    text = fresh(CALLED, _MEMSPIKE_COMPLETE="complete_bash", COMP_WORDS="memspike d", COMP_CWORD="1")
    assert {"data", "doctor"} <= set(text.split())
    assert not loaded(text)


def test_the_program_is_a_module_too():
    done = subprocess.run(
        [sys.executable, "-m", "memspike.cli", "list", "none"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


def test_importing_the_library_loads_no_heavy_package():
    text = fresh('import sys, memspike\nprint("loaded:", *sorted({name.split(".")[0] for name in sys.modules}))')
    assert not loaded(text)


def stubs(root):
    """Package → (file, name) for every name that its stub offers."""
    found = {}
    for package in LAZY:
        tree = ast.parse((root / f"src/memspike/{package}/__init__.pyi").read_text())
        imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
        found[package] = [(node.module or "", alias.name) for node in imports for alias in node.names]
    return found


NAMES = """
import importlib, json, sys
for package, names in json.loads(sys.argv[1]).items():
    files = [importlib.import_module(f"memspike.{package}.{file}") for file, _ in names if file] if PARTS_FIRST else []
    home = importlib.import_module(f"memspike.{package}")
    for file, name in names:
        offered = getattr(home, name)
        scope = {}
        exec(f"from memspike.{package} import {name}", scope)
        own = importlib.import_module(f"memspike.{package}.{file}" if file else f"memspike.{package}.{name}")
        assert offered is (getattr(own, name) if file else own), (package, file, name)
        assert scope[name] is offered, (package, name)
        assert getattr(home, name) is offered, (package, name)
        assert not file or type(offered).__name__ != "module" or file == "presets", (package, name)
print("all")
"""


@pytest.mark.parametrize("parts_first", [True, False], ids=["parts-first", "packages-first"])
def test_every_name_is_what_its_file_defines(root, parts_first):
    """A function may be named as its file is: the import of the file must not take the name."""
    code = NAMES.replace("PARTS_FIRST", str(parts_first))
    assert fresh(code, json.dumps(stubs(root))).strip() == "all"


def test_the_library_offers_its_packages(root):
    code = """
import memspike as ms
for name in ms.__all__:
    getattr(ms, name)
assert ms.devices.SoftBounds is __import__("memspike.devices.step").devices.step.SoftBounds
assert issubclass(ms.InputError, ValueError) and callable(ms.parameters) and callable(ms.use_cores)
print(*ms.__all__)
"""
    assert set(LAZY) | {"experiments", "InputError", "RunError", "use_cores", "parameters"} <= set(fresh(code).split())


def test_stubs_are_in_the_package(root):
    for package in ("", *LAZY, "devices/presets"):
        assert (root / "src/memspike" / package / "__init__.pyi").is_file(), package


READ = """
import json
from memspike.parts.registry import REGISTRIES
names = {kind: [entry.name for entry in registry] for kind, registry in REGISTRIES.items()}
print(json.dumps(names))
"""


def test_registries_are_full_whatever_was_imported_before():
    alone = {}
    for kind in ("devices", "schemes", "datasets"):
        code = f"from memspike.parts.registry import REGISTRIES\nprint(*[e.name for e in REGISTRIES['{kind}']])"
        alone[kind] = fresh(code).split()
    everything = json.loads(fresh(READ))
    after_others = json.loads(fresh("import memspike.experiments, memspike.learning.objectives\n" + READ))
    assert everything == after_others
    for kind, names in alone.items():
        assert names == everything[kind] == sorted(names)
    assert len(everything["devices"]) >= 40
    assert all(everything.values())


USER = """
from memspike.parts.registry import DEVICES
@DEVICES.register("mine", "a device of a user")
def mine(): ...
assert "mine" in DEVICES and "pcm" in DEVICES and DEVICES.get("mine").value is mine
DEVICES.add("mine-too", mine, "another one")
assert "mine-too" in [entry.name for entry in DEVICES]
print("both")
"""


def test_a_user_registers_before_and_after_the_library_does():
    assert fresh(USER).strip() == "both"


def home_of(tmp_path, monkeypatch, name, text):
    (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)


def test_a_registry_may_be_read_while_its_home_is_imported(tmp_path, monkeypatch):
    registry = Registry("thing", "home_that_reads")
    monkeypatch.setitem(REGISTRIES, "things", registry)
    home_of(
        tmp_path,
        monkeypatch,
        "home_that_reads",
        "from memspike.parts.registry import REGISTRIES\nr = REGISTRIES['things']\nr.add('b', 1, 'one')\n"
        "assert 'b' in r and 'a' not in r\nr.add('a', 2, 'two')\n",
    )
    assert [entry.name for entry in registry] == ["a", "b"]
    assert registry.get("b").value == 1
    with pytest.raises(InputError, match="allowed: a, b"):
        registry.get("c")


def test_a_home_that_fails_fails_every_time(tmp_path, monkeypatch):
    home_of(tmp_path, monkeypatch, "home_that_fails", "raise OSError('no file')")
    registry = Registry("thing", "home_that_fails")
    for _ in range(2):
        with pytest.raises(OSError, match="no file"):
            list(registry)
