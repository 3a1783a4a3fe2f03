"""Shape of the code: import order, circles, sizes, numbers with unit, doc and bounds, sources."""

import ast
import dataclasses
import importlib
import inspect
import math
import statistics
import subprocess
import sys
from pathlib import Path

import equinox as eqx
import pytest

from memspike.parts.fields import fields_of
from memspike.parts.registry import DEVICES, NEURONS, OPTIMIZERS, REGISTRIES, RULES, SCHEMES

ORDER = [
    *("parts", "devices", "fitting", "cells", "arrays", "neurons", "networks", "learning", "data", "training"),
    *("config", "experiments", "report", "interop", "testing", "cli"),
]
PHYSICS = ORDER[:5]
FILE_LIMIT, FUNCTION_LIMIT, ARGUMENT_LIMIT, MEDIAN_FILE, MEDIAN_FUNCTION = 400, 80, 6, 160, 12


@pytest.fixture(scope="module")
def modules(root):
    package = root / "src/memspike"
    return {p.relative_to(package): ast.parse(p.read_text()) for p in sorted(package.rglob("*.py"))}


def module_name(path):
    parts = path.with_suffix("").parts
    return ".".join(("memspike", *parts[: -1 if parts[-1] == "__init__" else None]))


def at_module_level(tree):
    """Statements that run when a module is imported, without those for type checkers."""
    for node in tree.body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from node.orelse
        else:
            yield node


def imported(nodes, known):
    """The modules of the package that import statements name."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] == "memspike")
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "memspike":
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in known else node.module


def test_the_layers_are_the_folders(modules):
    assert {path.parts[0] for path in modules if len(path.parts) > 1} <= {*ORDER}
    assert ORDER.index("training") < ORDER.index("config") < ORDER.index("experiments") < ORDER.index("report")


def test_imports_go_only_downwards(modules):
    known = {module_name(path) for path in modules}
    for path, tree in modules.items():
        if len(path.parts) == 1:
            continue
        allowed = {*ORDER[: ORDER.index(path.parts[0]) + 1]} - ({"interop"} - {path.parts[0]})
        for target in imported(at_module_level(tree), known):
            layer = target.split(".")[1] if "." in target else "parts"  # of the package itself: its version
            assert layer in allowed, f"{path} imports {target}"


def test_no_module_imports_itself_by_way_of_others(modules):
    known = {module_name(path) for path in modules}
    graph = {module_name(path): {*imported(at_module_level(tree), known)} for path, tree in modules.items()}
    done: set[str] = set()

    def visit(name, trail):
        assert name not in trail, " → ".join([*trail[trail.index(name) :], name])
        if name not in done:
            for target in sorted(graph.get(name, ())):
                visit(target, [*trail, name])
            done.add(name)

    for name in graph:
        visit(name, [])


# each argument is a field of its own to the caller
MORE_ARGUMENTS = {
    "write_verify": 7,
    "_all": 8,
    "carried": 7,
    "fit": 17,
    "look": 10,
    "run": 10,
    "show": 9,
    "deploy": 12,
    "spice": 10,
}


def test_sizes(modules, root):
    recipes = {e.value.__name__ for r in (SCHEMES, OPTIMIZERS) for e in r}  # their arguments are the fields of a table
    files, functions = [], []
    for path, tree in modules.items():
        files.append(len((root / "src/memspike" / path).read_text().splitlines()))
        assert files[-1] <= FILE_LIMIT, f"{path} has {files[-1]} lines"
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                functions.append((node.end_lineno or 0) - node.lineno + 1)
                assert functions[-1] <= FUNCTION_LIMIT, f"{path}: {node.name} has {functions[-1]} lines"
                given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                arguments = [a.arg for a in given if a.arg not in ("self", "cls", "key")]
                command = any("command" in ast.unparse(d) for d in node.decorator_list)
                most = MORE_ARGUMENTS.get(node.name, ARGUMENT_LIMIT)
                fits = command or node.name in recipes or len(arguments) <= most
                assert fits, f"{path}: {node.name} has {len(arguments)} arguments"
    assert statistics.median(files) <= MEDIAN_FILE
    assert statistics.median(functions) <= MEDIAN_FUNCTION


def parts_of(modules):
    """Every class of the package that may be a part of a configuration."""
    for path in modules:
        if path.parts[0] not in ("interop", "testing", "cli") and path.name != "__main__.py":
            importlib.import_module(module_name(path))
    found, open_ = [], [eqx.Module]
    while open_:
        for cls in open_.pop().__subclasses__():
            open_.append(cls)
            if cls.__module__.startswith("memspike.") and cls not in found:
                found.append(cls)
    return found


def check_bounds_of(where, kind, bounds, *, both):
    """A number has bounds that hold something, at both ends or at one."""
    if any(word in str(kind) for word in ("float", "int", "Float")) and "dict" not in str(kind):
        assert bounds is not None, f"{where} has no bounds"
        assert bounds[0] < bounds[1], f"the bounds of {where} hold nothing"
        assert (all if both else any)(math.isfinite(b) for b in bounds), f"{where} has no finite bounds"


def test_every_parameter_and_option_has_unit_doc_and_bounds(modules):
    seen = 0
    for cls in parts_of(modules):
        for field in dataclasses.fields(cls):
            meta, where = field.metadata, f"{cls.__module__}.{cls.__qualname__}.{field.name}"
            if "unit" in meta or "choices" in meta:
                seen += 1
                assert meta["doc"], f"{where} has no doc"
            if "unit" in meta:
                assert meta["unit"], f"{where} has no unit"
                check_bounds_of(where, field.type, meta["bounds"], both=not meta.get("static"))
    assert seen > 300


@pytest.mark.parametrize("registry", [SCHEMES, OPTIMIZERS], ids=lambda r: r.kind)
def test_every_option_of_a_recipe_has_unit_doc_and_bounds(registry):
    for entry in registry:
        for name, field in fields_of(entry.value).items():
            assert field.doc, f"{entry.name}.{name} has no doc"
            assert field.unit, f"{entry.name}.{name} has no unit"
            check_bounds_of(f"{entry.name}.{name}", field.kind, field.bounds, both=False)


def test_numbers_of_modules_are_parameters(modules):
    """A bare float default in an equinox field would have no unit: only `param` or static fields."""
    for path, tree in modules.items():
        if path.parts[0] not in PHYSICS:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and any(
                "Module" in ast.unparse(b) or "Abstract" in ast.unparse(b) for b in node.bases
            ):
                for item in node.body:
                    if isinstance(item, ast.AnnAssign) and isinstance(item.value, ast.Constant):
                        assert not isinstance(item.value.value, float), f"{path}: {ast.unparse(item)}"


@pytest.mark.parametrize("registry", [DEVICES, NEURONS, RULES], ids=lambda r: r.kind)
def test_every_device_neuron_and_rule_has_a_source(registry):
    for entry in registry:
        assert any(word in entry.source for word in ("doi", "arXiv", "PLoS", "IEEE")), entry.name


def test_every_public_name_says_what_it_is(modules):
    for path, tree in modules.items():
        assert ast.get_docstring(tree) is not None, f"{path} has no docstring"
        for node in tree.body:
            public = isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
            assert not public or ast.get_docstring(node), f"{path}: {getattr(node, 'name', '')} has no docstring"


def test_no_class_overrides_what_another_has_made(modules):
    """Abstract or final: a method of a class of ours is only ever given a body where it had none."""
    for cls in parts_of(modules):
        for base in cls.__mro__[1:]:
            if not base.__module__.startswith("memspike."):
                continue
            for name, value in vars(base).items():
                made = inspect.isfunction(value) and not getattr(value, "__isabstractmethod__", False)
                if made and not name.startswith("__") and name in vars(cls):
                    raise AssertionError(f"{cls.__name__}.{name} overrides that of {base.__name__}")


def test_no_pickle(modules, root):
    for path in modules:
        text = (root / "src/memspike" / path).read_text()
        assert "import pickle" not in text, path
        assert "allow_pickle=True" not in text, path


def test_importing_starts_no_jax_backend():
    check = "import memspike, jax; from jax._src import xla_bridge as x; print(len(x._backends))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


def test_no_path_of_a_machine_in_the_source(root):
    for path in [*Path(root, "src").rglob("*.py"), *Path(root, "tests").rglob("*.py")]:
        text = path.read_text()
        assert "/wo" + "rk/" not in text, path
        assert "/ho" + "me/" not in text, path


def test_registered_values_are_callables_or_values():
    for kind, registry in REGISTRIES.items():
        for entry in registry:
            assert entry.doc, f"{kind} {entry.name} has no doc"
            assert callable(entry.value) or inspect.isclass(type(entry.value))
