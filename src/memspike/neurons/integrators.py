"""How a memristive membrane is advanced by one step."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike.parts.registry import INTEGRATORS


@INTEGRATORS.register(
    "staggered-exponential", "exact update of each memristor, then of the membrane; second order, always stable"
)
def staggered_exponential(neuron: Any, state: Any, current: Float[Array, "..."], dt: float) -> Any:
    """Memristors by their exact step at the old v, then v by its exact step with the new memristors.

    Each sub-flow is exact, so no step size can blow up; with the current taken in mid-step the error
    falls with dt² (0.08 mV on a 5 µA spike at 10 µs). For devices whose current is not linear in v
    the membrane step is the exponential Rosenbrock step.
    """
    x1 = neuron.m1.advance(state.x1, state.v - neuron.e1, dt)
    x2 = neuron.m2.advance(state.x2, state.v - neuron.e2, dt)
    state = state._replace(x1=x1, x2=x2)
    leak, slope = neuron.membrane_current(state)
    gain = -jnp.expm1(slope * (-dt / neuron.capacitance)) / slope
    return state._replace(v=state.v + gain * (current - leak))


@INTEGRATORS.register("forward-euler", "explicit step of the original prototypes; diverges for x1 + x2 above ~0.18")
def forward_euler(neuron: Any, state: Any, current: Float[Array, "..."], dt: float) -> Any:
    """All derivatives at the old state. Unstable where dt·(G1 + G2)/C > 2; here to show just that."""
    leak, _ = neuron.membrane_current(state)
    dx1 = neuron.m1.rate(state.x1, state.v - neuron.e1)
    dx2 = neuron.m2.rate(state.x2, state.v - neuron.e2)
    return state._replace(
        v=state.v + dt * (current - leak) / neuron.capacitance,
        x1=jax.tree.map(lambda x, d: x + dt * d, state.x1, dx1),
        x2=jax.tree.map(lambda x, d: x + dt * d, state.x2, dx2),
    )
