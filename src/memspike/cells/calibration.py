"""Zero-shifting: a reference where a device settles under pulses up and down in turn."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from memspike.cells.base import Real
from memspike.devices.base import AbstractPulseDevice, span
from memspike.parts.errors import InputError
from memspike.parts.param import check_count
from memspike.parts.random import normal

# what two starts of a settled device may differ by, as a share of the range
TOGETHER = 0.02
STARTS = (0.25, 0.75)


def _two_ends(
    device: AbstractPulseDevice, shape: tuple[int, ...], pairs: int, key: PRNGKeyArray | None
) -> Float[Array, "2 ..."]:
    """Mean conductances in S over the last quarter of the pairs, from both starts with the same noise."""

    def run(share: Float[Array, ""]) -> Real:
        state = device.place(device.init(shape), device.g_min + share * span(device))

        def pair(k: Int[Array, ""], carry: tuple[Any, Real]) -> tuple[Any, Real]:
            state, total = carry
            keys = (None, None) if key is None else jax.random.split(jax.random.fold_in(key, k))
            risen = device.program(state, 1, key=keys[0])
            fallen = device.program(risen, -1, key=keys[1])
            middle = 0.5 * (device.stored(risen) + device.stored(fallen))
            return fallen, total + jnp.where(k >= pairs - late, middle, 0.0)

        late = max(pairs // 4, 1)
        return jax.lax.fori_loop(0, pairs, pair, (state, jnp.zeros_like(device.stored(state))))[1] / late

    return jax.vmap(run)(jnp.asarray(STARTS))


def settling_points(
    device: AbstractPulseDevice, shape: tuple[int, ...] = (), pairs: int = 500, *, key: PRNGKeyArray | None = None
) -> Real:
    """Conductances in S where `shape` devices settle under `pairs` pulses up and down; NaN where they do not.

    Each is the mean after the last pulses of both signs; with a key the pulses are noisy. Two starts, at a quarter and
    at three quarters of the range, have to end within 2 % of it. Source: Kim et al., arXiv 1907.10228.
    """
    check_count("The number of pairs of pulses", pairs)
    first, second = _two_ends(device, shape, pairs, key)
    return jnp.where(jnp.abs(first - second) < TOGETHER * span(device), 0.5 * (first + second), jnp.nan)


def calibrated_references(
    device: AbstractPulseDevice,
    shape: tuple[int, ...] = (),
    pairs: int = 500,
    *,
    error: float = 0.0,
    key: PRNGKeyArray | None = None,
) -> Real:
    """References in S, device by device: `settling_points`, copied with a Gaussian `error` (s.d., share of the range).

    InputError for devices that alternating pulses drive apart, or that need more of them; for a negative error, and for
    an error without a key.
    """
    if not 0 <= error < float("inf") or (error and key is None):
        raise InputError(f"The error of a reference is {error:g} of the range; 0 and above, and a key, is needed.")
    run, copy = (None, None) if key is None else jax.random.split(key)
    found = settling_points(device, shape, pairs, key=run)
    lost = ~np.isfinite(np.asarray(found))
    if lost.any():
        ends = np.asarray(_two_ends(device, shape, pairs, run) / span(device), float)
        away = (np.abs(ends[1] - ends[0]) > STARTS[1] - STARTS[0] + TOGETHER).sum()
        what = "are driven away from their symmetry point by" if away else "have not settled after"
        more = "give another reference" if away else "give more, or another reference"
        raise InputError(
            f"{away or lost.sum()} of {lost.size} devices ({type(device).__name__}) {what} {pairs} pairs of pulses up "
            f"and down; {more}."
        )
    if copy is None:
        return found
    return jnp.clip(found + error * span(device) * normal(copy, found.shape), device.g_min, device.g_max)
