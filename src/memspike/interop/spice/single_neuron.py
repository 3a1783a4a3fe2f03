"""A single neuron on a bench: a current into its membrane, the deck, the same by the library."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from memspike.interop.spice.bench import cast
from memspike.interop.spice.expressions import number
from memspike.interop.spice.simulator import Simulator, control, simulate
from memspike.interop.spice.subcircuits import folded, helper_lines, neuron_circuit
from memspike.neurons.filters import AlphaFilter

Times = Float[np.ndarray, " times"]


class Injection(NamedTuple):
    """A current into the membrane: its name, what ngspice makes of `time`, and the same in A of times in s."""

    name: str
    text: str
    at: Callable[[Array], Array]


def alpha_current(peak: float, tau: float = 1e-3) -> Injection:
    """An alpha function with a peak of `peak` A at `tau` s."""
    scale = peak * math.e
    text = f"{number(scale / tau)}*time*exp(-time/{number(tau)})"
    return Injection(f"alpha {peak * 1e6:g} µA", text, lambda t: scale * AlphaFilter(tau=tau).kernel(t))


def constant_current(level: float) -> Injection:
    """`level` A from the start on."""
    return Injection(f"constant {level * 1e6:g} µA", number(level), lambda t: jnp.full_like(t, level))


def neuron_deck(neuron: Any, name: str, injection: Injection, duration: float, step: float) -> str:
    """A deck of one neuron at rest that is given a current for `duration` s, in steps of at most `step` s."""
    circuit = neuron_circuit(neuron, "neuron")
    nodes = ["m", *circuit.outer.ports]
    lines = [f"* memspike: the neuron {name} on a bench, {injection.name}"]
    lines += helper_lines([text for part in circuit.parts for text in part.texts])
    for part in circuit.parts:
        lines += part.lines
    lines += [f"Binput 0 m I={injection.text}", f"Xneuron {' '.join(nodes)} neuron"]
    lines += folded(".ic " + " ".join(f"V({n})={number(np.ravel(circuit.start[n])[0])}" for n in nodes))
    lines.append(".options reltol=1e-6 method=trap")
    lines.append(f".tran {number(step)} {number(duration)} 0 {number(step)} uic")
    lines += [".meas tran peak MAX v(m)", *control([f"v({node})" for node in nodes]), ".end", ""]
    return "\n".join(lines)


@eqx.filter_jit
def _membrane(neuron: Any, currents: Float[Array, " steps"], dt: float) -> Float[Array, " steps"]:
    return jax.lax.scan(lambda s, i: neuron.step(s, i, dt), neuron.init(), currents)[1]


class NeuronBench(NamedTuple):
    """Membranes in V at the library's step ends: of the library, of the simulator."""

    times: Times
    library: Times
    simulator: Times

    @property
    def deviation(self) -> float:
        """The largest difference in V."""
        return float(np.abs(self.library - self.simulator).max())


def membrane(neuron: Any, injection: Injection, duration: float, dt: float) -> tuple[Times, Times]:
    """Times of step ends in s and the membrane in V by the library, in steps of `dt` s and double precision."""
    with jax.enable_x64(True):
        middles = (jnp.arange(round(duration / dt), dtype=float) + 0.5) * dt
        v = _membrane(cast(neuron), injection.at(middles), dt)
        return np.asarray(middles) + 0.5 * dt, np.asarray(v)


def neuron_bench(
    simulator: Simulator, neuron: Any, injection: Injection, *, duration: float = 10e-3, dt: float = 10e-6
) -> NeuronBench:
    """A neuron by the library in steps of `dt` s, and by the simulator in steps ten times shorter."""
    deck = neuron_deck(neuron, type(neuron).__name__, injection, duration, dt / 10)
    plot = simulate(simulator, deck).plot
    times, ours = membrane(neuron, injection, duration, dt)
    return NeuronBench(times, ours, plot.at("v(m)", times))
