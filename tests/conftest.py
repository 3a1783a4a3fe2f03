import hashlib
import os
import platform
import sys
from pathlib import Path

import jax
import pytest
from platformdirs import user_cache_dir

ROOT = Path(__file__).parents[1]


def compiled_programs() -> Path:
    """Where compiled programs are kept from one run to the next, apart for each kind of processor."""
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    kind = [line for line in lines if line.startswith(("model name", "flags", "Features"))] or [platform.processor()]
    return Path(
        user_cache_dir("memspike"), "tests-" + hashlib.sha256("".join(sorted(set(kind))).encode()).hexdigest()[:12]
    )


# most of the suite's time is compilation of small programs: compile fast and once, also in programs that tests start
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0".strip()
for option, value in (
    ("jax_compilation_cache_dir", str(compiled_programs())),
    ("jax_persistent_cache_min_compile_time_secs", 0.0),
    ("jax_persistent_cache_min_entry_size_bytes", -1),
):
    os.environ[option.upper()] = str(value)
    jax.config.update(option, value)

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(scope="module", autouse=True)
def _forgotten():
    """Programs of a module leave memory with it: kept, they come to many gigabytes a worker."""
    yield
    jax.clear_caches()


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
