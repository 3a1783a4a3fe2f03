"""The layouts, for the tests of this folder."""

import importlib.util
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("layouts", Path(__file__).with_name("layouts.py"))
assert _spec is not None
assert _spec.loader is not None
_layouts = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_layouts)


@pytest.fixture(scope="session")
def layouts():
    return _layouts


@pytest.fixture
def layout(tmp_path):
    """Writes a layout and returns its path."""

    def write(name):
        path = tmp_path / name
        path.write_bytes(_layouts.data(name))
        return path

    return write
