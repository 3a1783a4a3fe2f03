"""What the compiler is told, and that numbers stay what they are."""

import os
import subprocess
import sys

import numpy as np
import pytest

from memspike.parts.compiler_flags import tell

PROGRAM = """
import sys
import numpy as np
import jax
import memspike as ms
neuron = ms.neurons.mif_netlist()
start = neuron.init((3,))
drive = 5e-6 * np.ones((40, 3), np.float32) * np.arange(1, 4, dtype=np.float32)
v = jax.jit(lambda s, i: jax.lax.scan(lambda s, i: neuron.step(s, i, 10e-6), s, i)[1])(start, drive)
np.save(sys.argv[1], v)
"""


@pytest.mark.parametrize("given", ["", "--xla_cpu_enable_fast_math=false"])
def test_the_flag_joins_those_that_are_given(monkeypatch, given):
    monkeypatch.setenv("XLA_FLAGS", given)
    tell()
    once = os.environ["XLA_FLAGS"]
    assert once.startswith(given)
    assert once.split()[-2:] == [
        "--xla_backend_extra_options=xla_cpu_small_while_loop_byte_threshold=65536",
        "--xla_cpu_prefer_vector_width=512",
    ]
    tell()
    assert os.environ["XLA_FLAGS"] == once


def test_options_that_are_given_stay(monkeypatch):
    own = "--xla_cpu_prefer_vector_width=128 --xla_backend_extra_options=xla_cpu_optimize_for_size=true"
    monkeypatch.setenv("XLA_FLAGS", own)
    tell()
    assert os.environ["XLA_FLAGS"] == own


def test_a_loop_that_is_one_function_finds_the_same(tmp_path):
    found = []
    for limit in (1024, 65536):
        flag = f"--xla_backend_extra_options=xla_cpu_small_while_loop_byte_threshold={limit}"
        file = tmp_path / f"{limit}.npy"
        given = {**os.environ, "XLA_FLAGS": flag, "MEMSPIKE_CACHE": "0"}
        subprocess.run([sys.executable, "-c", PROGRAM, str(file)], env=given, check=True, timeout=300)
        found.append(np.load(file))
    assert 0.05 < found[0].max() < 0.5
    np.testing.assert_allclose(*found, rtol=1e-6, atol=1e-9)
