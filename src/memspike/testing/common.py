"""What the contract suites share: comparison, finite differences, parameters, serialisation, compilation."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from memspike.parts.param import own_parameters


def same(a: Any, b: Any, rtol: float, what: str) -> None:
    """All leaves of two trees are equal within `rtol`."""
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(np.asarray(x), np.asarray(y), rtol=rtol, atol=1e-14, err_msg=what)


def finite_difference(f: Callable[[Any], Any], x: Any, what: str, rtol: float = 1e-5) -> None:
    """The gradient of a scalar function of one array equals central differences."""
    x = jnp.asarray(x)
    gradient = np.asarray(jax.grad(lambda a: f(a).sum())(x)).ravel()
    for i in range(x.size):
        h = 1e-6 * max(1e-3, abs(float(x.ravel()[i])))
        bump = jnp.zeros(x.size).at[i].set(h).reshape(x.shape)
        numeric = float((f(x + bump).sum() - f(x - bump).sum()) / (2 * h))
        scale = max(np.abs(gradient).max(), abs(numeric), 1e-12)
        assert abs(gradient[i] - numeric) <= rtol * scale, f"{what}: gradient {gradient[i]} but slope {numeric}"


def check_parameters(module: eqx.Module) -> None:
    """Every parameter is an array leaf with a unit, a meaning and bounds that hold its value."""
    for p in own_parameters(module):
        assert p.unit, f"{p.path} has no unit"
        assert p.doc, f"{p.path} has no meaning"
        assert p.bounds[0] < p.bounds[1], f"{p.path} has no bounds"
        value = np.asarray(p.value)
        assert value.dtype == jnp.result_type(float), f"{p.path} is {value.dtype}"
        inside = (value >= p.bounds[0]) & (value <= p.bounds[1])
        assert inside.all(), f"{p.path} is out of its bounds"


def check_serialisation(module: eqx.Module) -> None:
    """The leaves alone rebuild the module."""
    leaves, treedef = jax.tree.flatten(module)
    again = jax.tree.unflatten(treedef, [np.asarray(leaf) for leaf in leaves])
    same(module, again, 0.0, "serialisation")


def check_compiles_once(call: Callable[[Any], Any], module: eqx.Module) -> None:
    """New parameter values do not compile again."""
    count = 0

    @eqx.filter_jit
    def counted(m: eqx.Module) -> Any:
        nonlocal count
        count += 1
        return call(m)

    counted(module)
    counted(jax.tree.map(lambda leaf: leaf * 1.01, module))
    assert count == 1, f"compiled {count} times"
