import os
import shutil
import sys
from pathlib import Path

import jax
import pytest
from platformdirs import user_cache_dir

from memspike.parts.compiled import quick

ROOT = Path(__file__).parents[1]

# most of the suite's time is compilation of small programs: compile fast and once, also in programs that tests start;
# full reproductions calculate for long: they get the programs that users get
if "full" not in sys.argv:
    os.environ |= quick()
os.environ.setdefault("MEMSPIKE_CACHE", str(Path(user_cache_dir("memspike"), "tests")))

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    """Keep compiled programs, once the type checker is hooked in; programs that tests start keep them there too."""
    from memspike.parts import compiled

    config.addinivalue_line("filterwarnings", f"ignore:{compiled.NO_MATTER}")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(compiled.keep() or "")
    for option, value in compiled.OPTIONS.items():
        os.environ[option.upper()] = str(value)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """What the loader of compiled programs says is nothing that a failed test has to show."""
    from memspike.cli.stderr_filter import needless

    report = yield
    report.sections = [
        (name, "".join(line for line in text.splitlines(keepends=True) if not needless(line.encode(), every=True)))
        for name, text in report.sections
    ]
    return report


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


@pytest.fixture(scope="session")
def simulator():
    """ngspice on the path; missing, it skips, and fails where it is required."""
    from memspike.interop.spice import find_simulator

    if shutil.which("ngspice") is None:
        if os.environ.get("MEMSPIKE_REQUIRE_NGSPICE"):
            pytest.fail("ngspice is required and not on the path")
        pytest.skip("no ngspice on the path; apt-get install ngspice")
    return find_simulator()


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
