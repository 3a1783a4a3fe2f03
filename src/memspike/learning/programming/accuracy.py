"""How well one blind write reaches its target: every source conductance to every target conductance."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.cells.differential import MultiDevice
from memspike.cells.refresh import Refresh
from memspike.devices.base import select
from memspike.devices.pcm import PCM
from memspike.learning.programming.base import Scheme, compose
from memspike.learning.programming.counting import rounded
from memspike.learning.programming.writers import rewriting, update_ready
from memspike.parts.errors import InputError
from memspike.parts.param import check_count

# step that the released code expects of a pulse on one device, in S
PULSE = 0.75e-6


class WriteGrid(NamedTuple):
    """Mean and s.d. of what one write reaches, for every source (rows) and target (columns).

    All are differences of the mean conductance of the two sides of a cell, in S.
    """

    source: Float[Array, " sources"]
    target: Float[Array, " targets"]
    mean: Float[Array, "sources targets"]
    sd: Float[Array, "sources targets"]

    @property
    def error(self) -> Float[Array, ""]:
        """The published figure of merit in S²: mean over targets of (mean over sources − target)².

        Misses from different sources cancel in it, and the s.d. does not count.
        """
        return jnp.square(self.mean.mean(0) - self.target).mean()

    @property
    def mean_square(self) -> Float[Array, ""]:
        """The mean squared miss of a single write in S², bias and s.d. together."""
        return (jnp.square(self.mean - self.target[None]) + jnp.square(self.sd)).mean()


def write_grid(
    crossbar: Crossbar,
    scheme: Scheme,
    *,
    most: float = 10e-6,
    points: int = 21,
    repeats: int = 400,
    key: PRNGKeyArray,
) -> WriteGrid:
    """One update of `scheme` from each of `points` sources in [−most, most] S to each of as many targets.

    Every pair of them is tried on `repeats` cells without a pulse since their RESET, whose devices that carry the
    source were put there exactly (`place`); the others are as the RESET left them. The scheme takes the source to be
    exact. InputError where the cell cannot hold ±`most`.
    Source: supplement of Demirağ et al., arXiv 2108.01804, and its released code.
    """
    check_count("The number of points of a write grid", points, 2)
    check_count("The number of repeats of a write grid", repeats, 2)
    cell = crossbar.cell
    ends = cell.weight(cell.conductances(jnp.asarray([[-1e6, 1e6]])))[0] / _weight_of(crossbar, 1.0)
    if not 0 < most <= float(jnp.abs(ends).min()) * (1 + 1e-6):
        raise InputError(
            f"The largest conductance difference is {most:g} S; above 0 and at most {float(jnp.abs(ends).min()):g} S "
            f"is needed for this {type(cell).__name__}."
        )
    return _write_grid(crossbar, scheme, jnp.linspace(-most, most, points), repeats, key)


def _weight_of(crossbar: Crossbar, difference: Float[Array, "*shape"] | float) -> Float[Array, "*shape"]:
    """The weight for a difference in S of the mean conductances of the sides."""
    gains = crossbar.cell.gains()
    return difference * jnp.maximum(gains, 0.0).sum() / crossbar.cell.unit()


@eqx.filter_jit
def _write_grid(
    crossbar: Crossbar, scheme: Scheme, levels: Float[Array, " levels"], repeats: int, key: PRNGKeyArray
) -> WriteGrid:
    cell, shape = crossbar.cell, (repeats, levels.shape[0])
    per_siemens = _weight_of(crossbar, 1.0)

    def from_source(given: tuple[Float[Array, ""], PRNGKeyArray]) -> tuple[Array, Array]:
        source, own = given
        fresh, write = jax.random.split(own)
        blank = cell.init(shape, key=fresh)
        w = jnp.full(shape, source * per_siemens)
        carries = cell.conductances(w)[: cell.programmed()] > cell.conductance_range()[0]
        cells = blank._replace(devices=select(carries, cell.place(blank, w).devices, blank.devices))
        dw = jnp.broadcast_to((levels - source) * per_siemens, shape)
        done = scheme.apply(scheme.init(crossbar, cells), crossbar, cells, dw, key=write)
        reached = cell.weight(cell.stored(done.cells)) / per_siemens
        return reached.mean(0), reached.std(0)

    mean, sd = jax.lax.map(from_source, (levels, jax.random.split(key, levels.shape[0])))
    return WriteGrid(levels, levels, mean, sd)


def published_writers(g_max: float = 12e-6) -> dict[str, tuple[Crossbar, Scheme]]:
    """The four writers of the published experiment by name, on PCM up to `g_max` S.

    N = 1, 8 and 16 devices a side, pulsed in turn, and refreshed after the write where both sides are full;
    one device a side, the opposite one RESET where it is full. A pulse is taken to move one device by 0.75 µS.
    Source: released code of Demirağ et al., arXiv 2108.01804.
    """
    found = {}
    for n in (1, 8, 16):
        crossbar, step = _pcm(n, g_max)
        width = g_max - float(crossbar.cell.conductance_range()[0])
        full = Refresh(above=1 - (g_max - 9e-6) / width, apart=4.5e-6 / width)
        found[f"N = {n}"] = (crossbar, compose(rounded(step), rewriting(full, step)))
    crossbar, step = _pcm(1, g_max)
    found["update-ready"] = (crossbar, compose(rounded(step), update_ready(10e-6 / g_max, step)))
    return found


def _pcm(per_side: int, g_max: float) -> tuple[Crossbar, float]:
    crossbar = Crossbar(MultiDevice(PCM(g_max=g_max), per_side))
    return crossbar, PULSE / float(crossbar.cell.unit())
