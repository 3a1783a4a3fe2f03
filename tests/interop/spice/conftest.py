import os
import shutil

import pytest


@pytest.fixture(scope="session")
def simulator():
    """ngspice on the path; missing, it skips, and fails where it is required."""
    from memspike.interop.spice import find_simulator

    if shutil.which("ngspice") is None:
        if os.environ.get("MEMSPIKE_REQUIRE_NGSPICE"):
            pytest.fail("ngspice is required and not on the path")
        pytest.skip("no ngspice on the path; apt-get install ngspice")
    return find_simulator()
