"""The one bisection: where a comparison changes its answer, elementwise."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool

from memspike.devices.base import Real


def bisect(above: Callable[[Real], Bool[Array, "..."]], low: Real, high: Real, steps: int) -> tuple[Real, Real]:
    """The bracket [low, high] after `steps` halvings; `above(x)` tells whether what is sought lies above x."""

    def halve(_: Any, bracket: tuple[Real, Real]) -> tuple[Real, Real]:
        middle = 0.5 * (bracket[0] + bracket[1])
        upper = above(middle)
        return jnp.where(upper, middle, bracket[0]), jnp.where(upper, bracket[1], middle)

    return jax.lax.fori_loop(0, steps, halve, (low, high))
