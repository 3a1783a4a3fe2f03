"""How pixels become row voltages."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike._param import Parameter, check_bounds, param
from memspike.networks.simulate import Events

Real = Float[Array, "..."]


class AmplitudeEvents(eqx.Module):
    """Each pixel is the height of a short row pulse, given at every event time; one more row is a bias.

    With pixel values in [0, 1] the height is read_voltage·(pixel − offset); with an offset the pulses
    have both signs. The bias row always gets `read_voltage`.
    """

    read_voltage: Parameter = param(100e-3, "V", "row voltage of a full-scale pixel", bounds=(1e-6, 10))
    offset: Parameter = param(0.0, "1", "pixel value that gives no voltage", bounds=(-1, 1))
    times: tuple[float, ...] = eqx.field(static=True, default=(0.0,))
    width: float = eqx.field(static=True, default=10e-6)

    def __check_init__(self) -> None:
        check_bounds(self)

    def __call__(self, pixels: Float[Array, "*batch pixels"]) -> Events:
        """Row voltages in V of `pixels` and of the bias row, the same at every event."""
        bias = jnp.ones_like(pixels[..., :1])
        v = self.read_voltage * jnp.concatenate([pixels - self.offset, bias], axis=-1)
        return Events(jnp.broadcast_to(v, (len(self.times), *v.shape)), self.times, self.width)
