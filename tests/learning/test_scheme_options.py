"""Options of programming schemes: every one documented at the scheme, checked, and open to traced values."""

import inspect
import math
import types
from typing import get_args, get_type_hints

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memspike import learning
from memspike.cells import Refresh
from memspike.learning.programming import counting
from memspike.learning.programming.options import checked
from memspike.learning.programming.tiki_taka import buffered
from memspike.parts.errors import InputError
from memspike.parts.param import Meta
from memspike.parts.registry import SCHEMES

NUMBERS = [(entry.name, option) for entry in SCHEMES for option in inspect.signature(entry.value).parameters]
TRACED = [
    (name, option) for name, option in NUMBERS if option in ("fast", "period", "quantum", "step", "scale", "settle")
]


def described(scheme, option):
    """The types and the `Meta` of an option of a scheme of the registry."""
    hint = get_type_hints(SCHEMES.get(scheme).value, include_extras=True)[option]
    return get_args(hint.__origin__) or (hint.__origin__,), hint.__metadata__[0]


@pytest.mark.parametrize(("scheme", "option"), NUMBERS)
def test_every_option_says_what_it_is(scheme, option):
    default = inspect.signature(SCHEMES.get(scheme).value).parameters[option].default
    kinds, meta = described(scheme, option)
    assert isinstance(meta, Meta)
    assert len(meta.doc) > 10
    assert meta.unit
    assert meta.bounds[0] < meta.bounds[1]
    assert default is not inspect.Parameter.empty
    assert default is not None or types.NoneType in kinds
    if default is not None:
        assert meta.bounds[0] <= default <= meta.bounds[1]
    SCHEMES.get(scheme).value(**{option: default})


@pytest.mark.parametrize(("scheme", "option"), NUMBERS)
def test_what_is_no_number_within_bounds_is_refused(scheme, option):
    kinds, meta = described(scheme, option)
    low, high = meta.bounds
    wrong = [math.nan, math.inf, -math.inf, True, "3"]
    wrong += [np.float32(math.nan), low - 1 if low >= 1 else low - 0.1]
    wrong += [math.nextafter(high, math.inf)] if math.isfinite(high) else []
    wrong += [2.0, 2.5] if int in kinds else []
    wrong += [] if types.NoneType in kinds else [None]
    for value in wrong:
        with pytest.raises(InputError) as refused:
            SCHEMES.get(scheme).value(**{option: value})
        said = str(refused.value)
        assert said.startswith(f"{option} ({meta.doc}) is {value}")
        assert said.endswith(" is needed.")
        assert f"from {low:g}" in said


@pytest.mark.parametrize(("scheme", "option"), TRACED)
def test_traced_values_pass(scheme, option):
    """Also those that would be refused: nobody knows them yet."""

    def made(value):
        SCHEMES.get(scheme).value(**{option: value})
        return value

    assert float(jax.jit(made)(jnp.asarray(-1.0))) == -1.0
    with pytest.raises(InputError, match=f"{option} .* is -1"):
        made(jnp.asarray(-1.0))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: learning.by_sign(-0.1),
            r"dead_zone \(largest change .*\) is -0.1; a finite number from 0 on is needed",
        ),
        (lambda: learning.by_expected_step(0), r"most \(.*\) is 0; a whole number from 1 on is needed"),
        (lambda: learning.ready(full=1.5), "full .* is 1.5; a finite number from 1e-12 to 1 is needed"),
        (lambda: learning.verified(settle=-1.0), "settle .* is -1.0 s; a finite number from 0 s on is needed"),
        (lambda: learning.conditional_reverse(levels=1), "levels .* is 1; a whole number from 2 on is needed"),
        (lambda: learning.refreshed(learning.ideal(), Refresh(), 0), "every .* is 0"),
        (lambda: learning.refreshed(learning.ideal(), Refresh(), settle=math.nan), "settle .* is nan s"),
        (lambda: learning.rewriting(Refresh(), 0.0), "step .* is 0.0"),
        (lambda: learning.update_ready(0.0), "full .* is 0.0"),
        (lambda: counting.stochastic(0.0), "scale .* is 0.0"),
        (lambda: learning.stochastically_rounded(None, 0), "most .*no limit.* is 0"),
        (lambda: learning.residual(learning.GradientArray(), 0), "slower .* is 0"),
        (lambda: learning.residual(learning.GradientArray(noise=-0.1)), "noise .* is -0.1"),
        (
            lambda: learning.transferring(buffered(), learning.GradientArray(fast=0.0)),
            "fast .* is 0",
        ),
    ],
)
def test_what_schemes_are_made_of_refuses_too(make, words):
    with pytest.raises(InputError, match=words):
        make()


def test_arrays_are_checked_number_by_number():
    learning.tiki_taka(fast=jnp.asarray([0.5, 1.0]))
    with pytest.raises(InputError, match="fast "):
        learning.tiki_taka(fast=jnp.asarray([0.5, 0.0]))


def test_a_checked_function_keeps_its_name_and_signature():
    def twice(scheme, slower: int = 1):
        """Twice."""
        return 2 * slower

    assert inspect.signature(checked(twice)) == inspect.signature(twice)
    assert checked(twice).__doc__ == "Twice."
    assert checked(twice)(None, slower=3) == 6
