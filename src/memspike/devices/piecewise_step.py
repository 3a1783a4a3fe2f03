"""Steps interpolated between nodes: the law for measured devices that no formula fits."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from memspike.devices.base import Real
from memspike.devices.step import AbstractStepDevice
from memspike.parts.errors import InputError
from memspike.parts.param import Parameter, is_concrete, param

Nodes = Float[Array, " nodes"]
Segments = Float[Array, " segments"]


def _nodes(value: object) -> Array:
    return jnp.asarray(value, dtype=jnp.result_type(float))


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
    """

    source: ClassVar[str] = "aihwkit PiecewiseStepDevice: Rasch et al., arXiv 2104.02184 (2021)"

    up: Nodes = eqx.field(
        default=(0.02, 0.01, 0.005),
        converter=_nodes,
        metadata={"doc": "upward steps at the nodes, shares of the range"},
    )
    down: Nodes = eqx.field(
        default=(0.005, 0.01, 0.02),
        converter=_nodes,
        metadata={"doc": "downward steps at the nodes, shares of the range"},
    )
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
