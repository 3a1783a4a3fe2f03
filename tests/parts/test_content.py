"""What objects hold, as a short text."""

import functools
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import optax
import pytest

import memspike as ms
from memspike.parts.content import content_of


def made(rate):
    return lambda x: x * rate


CODE = """
import optax
from memspike.parts.content import content_of
print(content_of(optax.chain(optax.clip(1.0), optax.adam(1e-3))), content_of(lambda x: x in {"a", "b", "c"}))
"""


@pytest.mark.parametrize(
    ("make", "one", "other"),
    [
        (made, 1.0, 2.0),
        (optax.sgd, 1e-2, 2e-2),
        (lambda steps: optax.adam(optax.linear_schedule(1e-2, 0, steps)), 100, 200),
        (lambda q: ms.learning.mixed_precision(quantum=q), 0.1, 0.2),
        (lambda n: ms.devices.ConstantStep(pulses_up=n), 10.0, 20.0),
        (lambda n: functools.partial(made, rate=n), 1, 2),
        (lambda n: {"a": jnp.full(3, n)}, 1.0, 2.0),
        (lambda n: (np.zeros(n), "x", None), 2, 3),
    ],
)
def test_objects_that_do_the_same_have_the_same_content(make, one, other):
    assert content_of(make(one)) == content_of(make(one))
    assert content_of(make(one)) != content_of(make(other))


def test_code_is_content_and_loops_end():
    assert content_of(lambda x: x + 1) != content_of(lambda x: x + 2)
    loop: list = []
    loop.append(loop)
    assert content_of(loop) == content_of(loop)


def test_the_content_is_the_same_in_every_process():
    found = [subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True) for _ in range(2)]
    assert found[0].stdout == found[1].stdout != ""
