"""Patches by copying against slices of arrays, and the way back against their gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memspike.networks.patches import Cut, patches, sliced

pytest.importorskip("llvmlite")
CASES = [
    ((4, 5, 1), Cut(2, 1, 3, 4)),
    ((14, 14, 16), Cut(5, 2, 5, 5)),
    ((9, 7, 3), Cut(3, 2, 4, 3)),
    ((6, 6, 7), Cut(3, 3, 2, 1)),  # patches do not reach the last pixels
    ((3, 3, 2), Cut(3, 1, 1, 1)),
]


def image_of(shape, *batch):
    return jnp.asarray(np.random.default_rng(0).normal(size=(*batch, *shape)), jnp.float32)


@pytest.mark.parametrize(("shape", "cut"), CASES)
@pytest.mark.parametrize("batch", [(), (1,), (2, 3)])
def test_patches_are_the_slices(shape, cut, batch):
    image = image_of(shape, *batch)
    np.testing.assert_array_equal(patches(image, cut), sliced(image, cut))


@pytest.mark.parametrize(("shape", "cut"), CASES)
def test_the_way_back_is_the_gradient_of_the_slices(shape, cut):
    image = image_of(shape, 3)
    wanted = jnp.cos(jnp.arange(sliced(image, cut).size, dtype=jnp.float32)).reshape(sliced(image, cut).shape)
    ours, theirs = (jax.jit(jax.grad(lambda x, f=f: (f(x, cut) * wanted).sum()))(image) for f in (patches, sliced))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


def test_vmap_and_a_loop_are_the_same():
    cut, image = CASES[2][1], image_of(CASES[2][0], 4, 2)
    np.testing.assert_array_equal(
        jax.vmap(lambda x: patches(x, cut), in_axes=1)(image), sliced(image.swapaxes(0, 1), cut)
    )
    square = jax.jit(jax.grad(lambda x: jax.lax.map(lambda one: jnp.square(patches(one, cut)).sum(), x).sum()))
    expected = jax.grad(lambda x: jnp.square(sliced(x, cut)).sum())(image)
    np.testing.assert_allclose(square(image), expected, rtol=1e-6, atol=1e-6)
    many = jax.vmap(jax.grad(lambda x: jnp.square(patches(x, cut)).sum()))(image)
    np.testing.assert_allclose(many, expected, rtol=1e-6, atol=1e-6)


def test_double_precision_is_sliced(monkeypatch):
    with jax.enable_x64(True):
        image = jnp.asarray(np.random.default_rng(0).normal(size=(4, 5, 1)))
        found = patches(image, CASES[0][1])
        assert found.dtype == jnp.float64
        np.testing.assert_array_equal(found, sliced(image, CASES[0][1]))
