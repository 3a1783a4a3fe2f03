"""A crossbar of differential pairs with ideal wires and virtual-ground columns."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from memspike._param import Parameter, check_bounds, param
from memspike.cells.differential import DifferentialPair, Pair

Real = Float[Array, "..."]


class Crossbar(eqx.Module):
    """Rows carry voltages, columns sit at virtual ground and deliver I_j = Σ_i v_i·(G⁺_ij − G⁻_ij).

    What is on the chip is `self`; the programmed conductances are the state (`Pair` of [rows, columns]).
    """

    cell: DifferentialPair = eqx.field(default_factory=DifferentialPair)
    programming_spread: Parameter = param(0.0, "1", "s.d. of a programmed conductance over its target", bounds=(0, 10))
    read_noise: Parameter = param(0.0, "1", "s.d. of a conductance over its mean at each read", bounds=(0, 10))

    def __check_init__(self) -> None:
        check_bounds(self)

    def program(self, w: Real, *, key: PRNGKeyArray | None = None) -> Pair:
        """Conductances in S for logical weights `w` [rows, columns].

        With a key every device misses its target by a relative Gaussian error of `programming_spread`,
        drawn once, and stays inside the device range. Without a key programming is exact.
        """
        pair = self.cell.conductances(w)
        if key is None:
            return pair
        keys = jax.random.split(key)
        missed = (
            g * (1 + self.programming_spread * jax.random.normal(k, g.shape)) for g, k in zip(pair, keys, strict=True)
        )
        return self.cell.clip(Pair(*missed))

    def read(self, pair: Pair, v: Float[Array, "... rows"], *, key: PRNGKeyArray | None = None) -> Real:
        """Column currents in A for row voltages `v` in V; with a key, with fresh read noise.

        The noise of all devices of a column adds up to one Gaussian of variance
        read_noise²·Σ_i v_i²·(G⁺_ij² + G⁻_ij²), so one normal per output is drawn: same distribution.
        """
        current = v @ (pair.plus - pair.minus)
        if key is None:
            return current
        variance = jnp.square(v) @ (jnp.square(pair.plus) + jnp.square(pair.minus))
        positive = variance > 0
        spread = jnp.where(positive, jnp.sqrt(jnp.where(positive, variance, 1.0)), 0.0)
        return current + self.read_noise * spread * jax.random.normal(key, current.shape)
