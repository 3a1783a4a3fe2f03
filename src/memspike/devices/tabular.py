"""Step laws as tables: of the mean step (interpolated between nodes), or of its whole measured distribution."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.devices.base import Key, Pulses, Real, counts
from memspike.devices.step import AbstractConductanceDevice, AbstractStepDevice
from memspike.devices.variation.fabricate import AnyOf, fabricate
from memspike.parts.errors import InputError
from memspike.parts.param import Parameter, is_concrete, param
from memspike.parts.random import uniform

Nodes = Float[Array, " nodes"]
Segments = Float[Array, " segments"]
Grid = Float[Array, "devices g"]
Table = Float[Array, "devices quantiles g"]


def _array(value: object) -> Array:
    return jnp.asarray(value, dtype=jnp.result_type(float))


def _numbers(doc: str, converter: Callable[[object], Array] = _array, **default: Any) -> Any:
    """A field that is an array of a table."""
    return eqx.field(converter=converter, metadata={"doc": doc}, **default)


def _slopes(q: Nodes) -> tuple[Segments, Segments, Segments]:
    """Slope of every segment, a slope safe to divide by, and the pulses each segment takes."""
    width = 1 / (q.shape[-1] - 1)
    slope = jnp.diff(q) / width
    flat = jnp.abs(slope) < 1e-6 * q[:-1]
    safe = jnp.where(flat, 1.0, slope)
    ratio = jnp.log(q[1:] / q[:-1]) / safe
    return jnp.where(flat, 0.0, slope), safe, jnp.where(flat, width / q[:-1], ratio)


def _run(q: Nodes, run: Real, number: Real) -> Real:
    """The share run after `number` pulses of d(run)/dn = q(run), q linear between equidistant nodes."""
    segments = q.shape[-1] - 1
    slope, safe, pulses = _slopes(q)
    start = jnp.concatenate([jnp.zeros(1, q.dtype), jnp.cumsum(pulses)])
    k = jnp.clip((run * segments).astype(jnp.int32), 0, segments - 1)
    d = run - k.astype(q.dtype) / segments
    inside = jnp.where(slope[k] == 0, d / q[k], jnp.log1p(jnp.maximum(slope[k] * d / q[k], -1 + 1e-7)) / safe[k])
    reached = start[k] + inside + number
    k = jnp.clip(jnp.searchsorted(start, reached, side="right") - 1, 0, segments - 1)
    left = reached - start[k]
    grown = jnp.expm1(jnp.clip(slope[k] * left, -80.0, 30.0)) / safe[k]
    return k.astype(q.dtype) / segments + q[k] * jnp.where(slope[k] == 0, left, grown)


class PiecewiseStep(AbstractStepDevice):
    """dg/dn = q(g), with q linear between equidistant nodes over [0, 1], one table a direction.

    The pulse number as a function of g is closed in every segment and so is its inverse: any n is one map that
    composes exactly. `up` and `down` are the step sizes at the nodes, shares of the range per pulse, positive,
    from g = 0 to g = 1; they belong to the device type, `gain_up` and `gain_down` to the single device.

    InputError for a table of less than two steps, or with one that is not above 0.
    """

    source: ClassVar[str] = "aihwkit PiecewiseStepDevice: Rasch et al., arXiv 2104.02184 (2021)"

    up: Nodes = _numbers("upward steps at the nodes, shares of the range", default=(0.02, 0.01, 0.005))
    down: Nodes = _numbers("downward steps at the nodes, shares of the range", default=(0.005, 0.01, 0.02))
    gain_up: Parameter = param(1.0, "1", "step of this device over that of the table, upwards", bounds=(1e-3, 1e3))
    gain_down: Parameter = param(1.0, "1", "the same downwards", bounds=(1e-3, 1e3))

    def __check_init__(self) -> None:
        for name in ("up", "down"):
            q = getattr(self, name)
            if is_concrete(q) and (np.size(q) < 2 or not (np.asarray(q) > 0).all()):
                raise InputError(f"PiecewiseStep.{name} is {np.asarray(q)}; at least 2 steps, all above 0, are needed.")

    def response(self, share: Real, pulses: Real) -> Real:
        """Along the table of the direction taken."""
        forward = jax.vmap(_run, (None, 0, 0))
        shape = jnp.broadcast_shapes(share.shape, jnp.shape(pulses), jnp.shape(self.gain_up), jnp.shape(self.gain_down))
        flat = jnp.broadcast_to(share, shape).ravel()
        number = jnp.abs(jnp.broadcast_to(pulses, shape))
        up = forward(self.up, flat, (number * self.gain_up).ravel()).reshape(shape)
        down = 1 - forward(self.down[::-1], 1 - flat, (number * self.gain_down).ravel()).reshape(shape)
        return jnp.where(pulses > 0, up, down)


def _table(value: object) -> Array:
    """Quantiles that never fall: one below an earlier one is raised to it."""
    array = _array(value)
    return jax.lax.cummax(array, axis=1) if array.ndim == 3 else array


def _example(direction: float) -> Float[np.ndarray, "1 21 11"]:
    """A table to try things with: soft bounds with a Gaussian error, not a measured device."""
    share = np.linspace(0.0, 1.0, 11)
    ahead = 1 - share if direction > 0 else share
    from scipy.special import ndtri  # a fifth of a second to import

    normal = ndtri(np.linspace(0.01, 0.99, 21))
    return 1e-6 * (direction * 0.5 * ahead[None, :] + 0.2 * normal[:, None])[None]


class Tabular(AbstractConductanceDevice):
    """One pulse changes G by a value drawn from the table at G: ΔG = F⁻¹(u | G), u uniform in [0, 1).

    `g` [devices, G] is the grid of conductances in S, equidistant; `up` and `down` [devices, quantiles, G] are
    the inverse distribution functions in S at equidistant probabilities 0 … 1, interpolated in both. A
    quantile below an earlier one is raised to it (measured tables are not quite monotone at extrapolated
    corners). `which` is the table of each device. Without a key a pulse is the mean of the distribution.
    Pulses are applied one after the other, G clipped to the grid after each. The default is an example, not
    a measured device; `from_npz` reads measured ones.

    InputError where the grid is not equidistant and rising, or a table has another shape or values that are not
    finite.
    """

    source: ClassVar[str] = (
        "lookup tables of measured devices: Agarwal et al., VLSI 2017, IEEE 7998164; jump tables: Sidler et al., "
        "ESSDERC 2016, IEEE 7599680"
    )

    g: Grid = _numbers("grid of conductances in S", default_factory=lambda: np.linspace(1e-6, 10e-6, 11)[None])
    up: Table = _numbers("quantiles of ΔG of an upward pulse in S", _table, default_factory=lambda: _example(1.0))
    down: Table = _numbers("quantiles of ΔG of a downward pulse in S", _table, default_factory=lambda: _example(-1.0))
    which: Parameter = param(0.0, "1", "row of the tables that is this device", bounds=(0, 1e6))

    def __check_init__(self) -> None:
        if not all(is_concrete(a) for a in (self.g, self.up, self.down)):
            return
        devices, points = self.g.shape
        steps = np.diff(np.asarray(self.g, dtype=float), axis=1)
        if points < 2 or (steps <= 0).any() or np.ptp(steps, axis=1).max() > 1e-3 * steps.max():
            raise InputError("Tabular.g is not an equidistant rising grid of conductances.")
        for name in ("up", "down"):
            table = getattr(self, name)
            if table.shape[0] != devices or table.shape[2] != points or table.shape[1] < 2:
                raise InputError(
                    f"Tabular.{name} is {table.shape}; [devices, quantiles, G] = [{devices}, ≥ 2, {points}] is needed."
                )
            if not np.isfinite(np.asarray(table)).all():
                raise InputError(f"Tabular.{name} holds values that are not finite.")

    @classmethod
    def from_npz(cls, path: Path | str) -> "Tabular":
        """Tables in the layout of the reduced CrossSim file: `G` [devices, G], `dG_inc`, `dG_dec` [devices, cdf, G].

        InputError if the file lacks one of them.
        """
        try:
            with np.load(io.BytesIO(Path(path).read_bytes()), allow_pickle=False) as archive:
                g, up, down = (np.asarray(archive[name], dtype=float) for name in ("G", "dG_inc", "dG_dec"))
        except FileNotFoundError:
            raise InputError(f"{path} does not exist.") from None
        except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
            raise InputError(f"{path} is not a file of step tables (G, dG_inc, dG_dec): {error}.") from None
        return cls(g=_array(g), up=_table(up), down=_table(down))

    @property
    def devices(self) -> int:
        """Number of measured devices in the tables."""
        return self.g.shape[0]

    def _row(self) -> Array:
        return jnp.asarray(self.which).astype(jnp.int32)

    @property
    def g_min(self) -> Parameter:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Lowest conductance of this device's grid, in S."""
        return self.g[self._row(), 0]

    @property
    def g_max(self) -> Parameter:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Highest conductance of this device's grid, in S."""
        return self.g[self._row(), -1]

    def mixed(self, shape: tuple[int, ...], *, key: PRNGKeyArray) -> "Tabular":
        """A chip of `shape` devices, each a random one of the measured ones. InputError as in `fabricate`."""
        return fabricate(self, {"which": AnyOf(self.devices)}, shape=shape, key=key)

    def _position(self, g: Real) -> tuple[Array, Real]:
        """Grid interval of a conductance and the share of it."""
        last = self.g.shape[1] - 1
        x = jnp.clip((g - self.g_min) / (self.g_max - self.g_min), 0.0, 1.0) * last
        k = jnp.clip(x.astype(jnp.int32), 0, last - 1)
        return k, x - k.astype(x.dtype)

    def step(self, g: Real, upward: Array | bool, u: Real | None) -> Real:
        """ΔG in S of one pulse at `g`: the quantile `u`, or the mean of the distribution."""
        k, part = self._position(g)
        row = jnp.broadcast_to(self._row(), k.shape)
        if u is None:
            means = jnp.stack([jnp.trapezoid(t, axis=1) / (t.shape[1] - 1) for t in (self.down, self.up)])
            side = jnp.broadcast_to(jnp.asarray(upward), k.shape).astype(jnp.int32)
            return (1 - part) * means[side, row, k] + part * means[side, row, k + 1]

        def drawn(table: Table) -> Real:
            last = table.shape[1] - 1
            j = jnp.clip((u * last).astype(jnp.int32), 0, last - 1)
            q = u * last - j.astype(u.dtype)
            low = (1 - part) * table[row, j, k] + part * table[row, j, k + 1]
            high = (1 - part) * table[row, j + 1, k] + part * table[row, j + 1, k + 1]
            return low + q * (high - low)

        return jnp.where(upward, drawn(self.up), drawn(self.down))

    def program(self, state: Real, pulses: Pulses, *, key: Key = None) -> Real:
        """|n| steps, one after the other."""
        n = jnp.broadcast_to(counts(pulses), jnp.broadcast_shapes(jnp.shape(pulses), state.shape))
        start = jnp.broadcast_to(state, n.shape)
        low, high = self.g_min, self.g_max

        def pulse(k: Array, g: Real) -> Real:
            u = None if key is None else uniform(jax.random.fold_in(key, k), g.shape)
            moved = jnp.clip(g + self.step(g, n > 0, u), low, high)
            return jnp.where(jnp.abs(n) > k.astype(n.dtype), moved, g)

        return jax.lax.fori_loop(0, jnp.max(jnp.abs(n), initial=0).astype(jnp.int32), pulse, start)
