"""What is installed is what is needed."""

import ast
import sys
import tomllib

import pytest

NAMES = {"PIL": "pillow", "tomli_w": "tomli-w", "jaxlib": "jax", "mpl_toolkits": "matplotlib"}
# rich comes with typer's own command line; each of these is imported where its extra is used
EXTRAS = {"diffrax", "torch", "optuna", "allpairspy", "openpyxl", "xlrd", "h5py", "aedat", "hypothesis", "pytest"}


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text())["project"]


def imported(root):
    """The names of packages that the source imports, at the top of a file or inside a function."""
    for path in (root / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.split(".")[0]


def test_every_package_that_is_imported_is_required(root, project):
    required = {line.split(">")[0].split("=")[0] for line in project["dependencies"]}
    found = {NAMES.get(name, name) for name in imported(root)} - set(sys.stdlib_module_names) - {"memspike"}
    assert "numpy" in found
    assert found - EXTRAS <= required
    assert not {"sklearn", "plotly", "pandas"} & found


def test_licences_are_shipped(root, project):
    assert "CC-BY-4.0" in project["license"]
    assert all((root / name).is_file() for name in project["license-files"])
