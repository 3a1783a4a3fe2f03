"""Shape of the code: import order, sizes, parameters with unit, doc and bounds, sources."""

import ast
import inspect
import statistics

import pytest

from memspike.parts.param import own_parameters
from memspike.parts.registry import DEVICES, FILTERS, NEURONS, REGISTRIES, RULES

ORDER = [
    *("parts", "devices", "fitting", "cells", "arrays", "neurons", "networks", "learning", "data", "training"),
    *("config", "experiments", "report", "interop", "testing", "cli"),
]
FILE_LIMIT, FUNCTION_LIMIT, ARGUMENT_LIMIT = 400, 80, 6


@pytest.fixture(scope="module")
def modules(root):
    package = root / "src/memspike"
    return {p.relative_to(package): ast.parse(p.read_text()) for p in sorted(package.rglob("*.py"))}


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "memspike":
            parts = node.module.split(".")
            if len(parts) > 1:
                yield parts[1]
            else:
                yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("memspike."))


def test_imports_go_only_downwards(modules):
    for path, tree in modules.items():
        layer = path.parts[0]
        if len(path.parts) == 1:
            continue
        allowed = {*ORDER[: ORDER.index(layer) + 1], "__version__", "parameters"} - {"interop"}
        for target in imported(tree):
            assert target in allowed, f"{path} imports {target}"


def test_sizes(modules, root):
    lengths = []
    for path, tree in modules.items():
        lines = len((root / "src/memspike" / path).read_text().splitlines())
        lengths.append(lines)
        assert lines <= FILE_LIMIT, f"{path} has {lines} lines"
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                assert length <= FUNCTION_LIMIT, f"{path}: {node.name} has {length} lines"
                arguments = [a for a in node.args.args + node.args.kwonlyargs if a.arg not in ("self", "cls", "key")]
                command = any("command" in ast.unparse(d) for d in node.decorator_list)
                assert command or len(arguments) <= ARGUMENT_LIMIT + 1, (
                    f"{path}: {node.name} has {len(arguments)} arguments"
                )
    assert statistics.median(lengths) <= 160


def test_every_parameter_has_unit_doc_and_bounds():
    seen = 0
    for registry in (DEVICES, NEURONS, FILTERS, REGISTRIES["synapses"], REGISTRIES["losses"]):
        for entry in registry:
            thing = entry.value()
            for part in (thing, *(v for v in vars(thing).values() if hasattr(v, "__dataclass_fields__"))):
                for p in own_parameters(part):
                    seen += 1
                    assert p.unit, (entry.name, p.path)
                    assert p.doc, (entry.name, p.path)
                    assert all(abs(b) < float("inf") for b in p.bounds), f"{entry.name}.{p.path} has no bounds"
    assert seen > 40


def test_numbers_of_modules_are_parameters(modules):
    """A bare float default in an equinox field would have no unit: only `param` or static fields."""
    for path, tree in modules.items():
        if path.parts[0] not in ORDER[:5]:
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


def test_no_pickle_and_nothing_happens_at_import(modules, root):
    for path in modules:
        text = (root / "src/memspike" / path).read_text()
        assert "import pickle" not in text, path
        assert "allow_pickle=True" not in text, path


def test_importing_starts_no_jax_backend():
    import subprocess
    import sys

    check = "import memspike, jax; from jax._src import xla_bridge as x; print(len(x._backends))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"


def test_registered_values_are_callables_or_values():
    for kind, registry in REGISTRIES.items():
        for entry in registry:
            assert entry.doc, f"{kind} {entry.name} has no doc"
            assert callable(entry.value) or inspect.isclass(type(entry.value))
