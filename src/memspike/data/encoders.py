"""How pixels become row voltages."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike._param import check_bounds, param
from memspike.networks.simulate import Events

Real = Float[Array, "..."]


class AmplitudeEvents(eqx.Module):
    """Each pixel is the height of a short row pulse, given at every event time; one more row is a bias.

    With pixel values in [0, 1] a white pixel is a pulse of `read_voltage`; the bias row always gets it.
    """

    read_voltage: Real = param(100e-3, "V", "row voltage of a white pixel", bounds=(1e-6, 10))
    times: tuple[float, ...] = eqx.field(static=True, default=(0.0,))
    width: float = eqx.field(static=True, default=10e-6)

    def __check_init__(self) -> None:
        check_bounds(self)

    def __call__(self, pixels: Float[Array, "*batch pixels"]) -> Events:
        """Row voltages of `pixels` and of the bias row, the same at every event."""
        bias = jnp.ones_like(pixels[..., :1])
        v = self.read_voltage * jnp.concatenate([pixels, bias], axis=-1)
        return Events(jnp.broadcast_to(v, (len(self.times), *v.shape)), self.times, self.width)
