"""Kernels: functions of lanes against NumPy in double precision, and the switch."""

import subprocess
import sys
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("llvmlite")
from memspike.parts import kernels, lane_functions


@cache
def kernel_of(law):
    """It applies a law of lanes to numbers [steps, columns]."""

    def body(writer, inputs, outputs, shape):
        steps, columns = shape
        with writer.tiles(columns) as (first, count), writer.loop(writer.whole(0), steps) as t:
            row = writer.builder.add(writer.builder.mul(t, columns), first)
            here, there = writer.after(inputs[0], row), writer.after(outputs[0], row)
            writer.each(count, lambda place: writer.store(law(writer.load(here, place)), there, place))

    return kernels.Kernel(f"memspike_test_{law.__name__}", 1, 1, 0, body)


def through(law, x):
    return np.asarray(kernels.call(kernel_of(law), [jnp.asarray(x, jnp.float32)], [x.shape])[0])


def halved_and_held(x):
    return (1.0 - x / 2.0).at_most(3.0).at_least(-x)


LAWS = {
    lane_functions.exponential: lambda x: np.exp(np.clip(x, -40, 40)),
    lane_functions.risen: lambda x: -np.expm1(-np.clip(x, -40, 40)),
    halved_and_held: lambda x: np.maximum(np.minimum(1 - x / 2, 3), -x),
}


@pytest.mark.parametrize("columns", [1, 15, 16, 17, 255, 256, 257, 600])
@pytest.mark.parametrize("law", LAWS)
def test_lanes_against_double_precision(law, columns):
    random = np.random.default_rng(columns)
    size = 10.0 ** random.uniform(-6, 1.9, (3, columns))
    x = (size * random.choice([-1, 1], size.shape)).astype(np.float32)
    np.testing.assert_allclose(through(law, x), LAWS[law](x.astype(float)), rtol=4e-7)


@pytest.mark.parametrize("law", LAWS)
def test_what_is_no_number_stays_none(law):
    assert np.isnan(through(law, np.full((1, 17), np.nan, np.float32))).all()


def test_the_handler_works_and_can_be_switched_off(monkeypatch):
    assert kernels.available()
    assert kernels.state().startswith("used, llvmlite ")
    monkeypatch.setenv("MEMSPIKE_FAST", "0")
    assert not kernels.available()
    assert kernels.state() == "not used: $MEMSPIKE_FAST is 0"


def test_there_are_none_without_the_package_or_the_processor(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert not kernels.available()
    assert kernels.state() == "not used on the device gpu"
    monkeypatch.undo()
    monkeypatch.setattr(kernels.importlib.util, "find_spec", lambda name: None)
    assert not kernels.available()
    assert "memspike[fast]" in kernels.state()


def test_an_interface_of_another_shape_leaves_the_form_in_jax(monkeypatch):
    program = """
import memspike, jax.numpy as jnp
from memspike.parts import kernels
kernels._CHECK = kernels._CHECK._replace(body=lambda *a: None)  # finds nothing of what it should
assert not kernels.available()
from memspike.neurons import mif_course, mif
assert not mif_course.fits(mif(), jnp.zeros((2, 3)))
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_importing_memspike_compiles_no_kernel():
    program = "import memspike, sys; assert not any(m.split('.')[0] == 'llvmlite' for m in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
