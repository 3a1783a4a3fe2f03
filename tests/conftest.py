import os
import sys
from pathlib import Path

import jax
import pytest

ROOT = Path(__file__).parents[1]

# most of the suite's time is compilation of small programs: compile fast, also in programs that tests start
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0".strip()

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def x64():
    """Double precision for one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def shared_data(root) -> Path:
    """Measured data beside the clone, or where MEMSPIKE_SHARED_DATA points; missing data fails where it is required."""
    folder = Path(os.environ.get("MEMSPIKE_SHARED_DATA") or root.parent / "shared/data")
    if not folder.is_dir():
        if os.environ.get("MEMSPIKE_REQUIRE_DATA"):
            pytest.fail(f"measured data is required and {folder} is absent")
        pytest.skip(f"no measured data: {folder} is absent; set MEMSPIKE_SHARED_DATA")
    return folder


@pytest.fixture
def call(monkeypatch, capsys):
    """Run the program in this process → exit status, output, error output."""
    from memspike import cli  # not above: the type checker must be hooked in before the package is imported

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["memspike", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        captured = capsys.readouterr()
        return stop.value.code, captured.out, captured.err

    return run
