"""One memristive neuron under a current: its spike, and what each of its parameters does to the height of the spike."""

import jax
import jax.numpy as jnp

from memspike.neurons import MIF

DT, STEPS = 10e-6, 1000
t = jnp.arange(0.5, STEPS) * DT
current = 10e-6 * (t / 1e-3) * jnp.exp(1 - t / 1e-3)  # amperes: rises to 10 µA within a millisecond, then decays


def peak(neuron: MIF) -> jax.Array:
    """The highest membrane voltage in V."""

    def body(state, i):
        state, _ = neuron.step(state, i, DT)
        return state, state.v

    return jax.lax.scan(body, neuron.init(), current)[1].max()


neuron = MIF()
height, slopes = jax.value_and_grad(peak)(neuron)
print(f"rest {1e3 * float(neuron.rest()):.1f} mV, peak {1e3 * float(height):.1f} mV")
print(f"10 mV more on the threshold of M1: {1e3 * float(slopes.m1.v_on) * 10e-3:+.1f} mV at the peak")
print(f"1 % more capacitance: {1e3 * float(slopes.capacitance * neuron.capacitance) * 0.01:+.2f} mV at the peak")
