"""What the contract suites share: comparison, finite differences, parameters, serialisation, compilation."""

import copy
import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any, ParamSpec

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from memspike.parts.errors import InputError
from memspike.parts.param import check_bounds, kind_of, own_parameters

Checks = ParamSpec("Checks")


def _doubled(leaf: Any) -> Any:
    """A leaf in double precision: the shortest number that gives the same single one, 0.1 for 0.1f."""
    if not eqx.is_array(leaf) or leaf.dtype != np.float32:
        return leaf
    values = np.asarray(leaf)
    return jnp.asarray(np.array([float(str(x)) for x in values.ravel()]).reshape(values.shape))


def in_double_precision(check: Callable[Checks, None]) -> Callable[Checks, None]:
    """`check` with 64 bit switched on, also in the parts that it is given, and as it was before afterwards."""

    @functools.wraps(check)
    def run(*args: Checks.args, **kwargs: Checks.kwargs) -> None:
        with jax.enable_x64(True):
            given = [jax.tree.map(_doubled, one) if isinstance(one, eqx.Module) else one for one in args]
            check(*given, **kwargs)  # pyright: ignore[reportCallIssue]

    return run


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
    """Every field has a meaning, a parameter a unit and bounds that hold it; an option refuses what is wrong.

    The same for the parts inside.
    """
    for field in dataclasses.fields(module):
        assert field.metadata.get("doc"), f"{type(module).__name__}.{field.name} has no meaning"
        inside = getattr(module, field.name)
        for part in inside if isinstance(inside, tuple) else (inside,):
            if isinstance(part, eqx.Module):
                check_parameters(part)
        if field.metadata.get("static"):
            _check_option(module, field)
    for p in own_parameters(module):
        assert p.unit, f"{p.path} has no unit"
        assert p.doc, f"{p.path} has no meaning"
        assert p.bounds[0] < p.bounds[1], f"{p.path} has no bounds"
        value = np.asarray(p.value)
        assert value.dtype == jnp.result_type(float), f"{p.path} is {value.dtype}"
        inside = (value >= p.bounds[0]) & (value <= p.bounds[1])
        assert inside.all(), f"{p.path} is out of its bounds"


def _check_option(module: eqx.Module, field: dataclasses.Field) -> None:
    """A static number or switch refuses other kinds, NaN, infinity and what is out of bounds, in one sentence."""
    low, high = field.metadata["bounds"] or (-math.inf, math.inf)
    kind = kind_of(type(module), field)
    if kind in (int, float):
        assert field.metadata["bounds"], f"{type(module).__name__}.{field.name} has no bounds"
    beyond = [type(end)(end + step) for end, step in ((low, -1), (high, 1)) if math.isfinite(end)]
    wrong: dict[Any, list[Any]] = {
        int: [2.5, math.nan, math.inf, True, "3", *beyond],
        float: [math.nan, math.inf, True, "3", *beyond],
        bool: [1, 0.0, "yes"],
    }
    for value in wrong.get(kind, []):
        _check_refusal(module, field, value)
    for value in beyond if kind is int else []:
        try:
            dataclasses.replace(module, **{field.name: value})  # pyright: ignore[reportArgumentType]
        except InputError:
            continue
        raise AssertionError(f"{type(module).__name__}({field.name}={value}) is made without a word")


def _check_refusal(module: eqx.Module, field: dataclasses.Field, value: Any) -> None:
    changed, said = copy.copy(module), ""
    object.__setattr__(changed, field.name, value)
    try:
        check_bounds(changed)
    except InputError as error:
        said = str(error)
    assert f".{field.name} " in said, f"{type(module).__name__}.{field.name} = {value} is not refused, or not by name"
    assert said.endswith("needed."), f"not one sentence: {said}"


def check_sentence(error: InputError) -> None:
    """What is wrong stands in one sentence."""
    said = str(error)
    assert said.endswith("."), f"not a sentence: {said}"
    assert "\n" not in said, f"not one sentence: {said}"


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
