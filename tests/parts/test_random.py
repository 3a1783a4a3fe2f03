"""Our draws are those of JAX."""

import jax
import numpy as np
import pytest

from memspike.parts import random
from memspike.parts.random import normal, uniform


@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 5), (2, 64, 33)])
def test_draws_are_those_of_jax_to_the_bit(shape, monkeypatch):
    found = [jax.jit(draw, static_argnums=1)(jax.random.key(5), shape) for draw in (uniform, normal)]
    wanted = [draw(jax.random.key(5), shape) for draw in (jax.random.uniform, jax.random.normal)]
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    monkeypatch.setattr(random, "_threefry", lambda key, x: x)
    assert not np.array_equal(uniform(jax.random.key(5), shape), wanted[0]), "it is JAX that draws"


def test_many_chips_draw_as_one_does():
    keys = jax.random.split(jax.random.key(0), 3)
    together = jax.jit(jax.vmap(lambda key: normal(key, (4, 9))))(keys)
    for key, drawn in zip(keys, together, strict=True):
        np.testing.assert_array_equal(drawn, jax.random.normal(key, (4, 9)))


def test_what_is_not_made_here_is_left_to_jax(x64):
    key, other = jax.random.key(1), jax.random.key(1, impl="rbg")
    for draw, theirs in ((uniform, jax.random.uniform), (normal, jax.random.normal)):
        np.testing.assert_array_equal(draw(key, (6,)), theirs(key, (6,)))
        np.testing.assert_array_equal(draw(other, (6,), np.float32), theirs(other, (6,), np.float32))
        assert draw(key, (0,)).shape == (0,)
    with jax.threefry_partitionable(False):
        np.testing.assert_array_equal(uniform(key, (6,), np.float32), jax.random.uniform(key, (6,), np.float32))
