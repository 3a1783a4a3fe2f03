"""Feed-forward spiking layers with traces in their inputs and a fixed random readout each: networks for local rules."""

import math
from itertools import pairwise
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.networks.feedforward import Weights
from memspike.networks.recurrent import Cells, Reading, driven, reading_of
from memspike.neurons.surrogate import AbstractSurrogate, FastSigmoid
from memspike.parts.errors import InputError
from memspike.parts.parallel import held
from memspike.parts.param import Parameter, check_bounds, param

Real = Float[Array, "..."]


class Traces(NamedTuple):
    """State of a layer: synaptic trace q and membrane trace p of every input, refractoriness r, last spikes s."""

    q: Float[Array, "*batch rows"]
    p: Float[Array, "*batch rows"]
    r: Float[Array, "*batch columns"]
    s: Float[Array, "*batch columns"]


class Local(NamedTuple):
    """What a layer did: membrane traces of its rows (bias included), membranes, spikes, output of its readout."""

    p: Float[Array, "steps *batch rows"]
    u: Float[Array, "steps *batch columns"]
    s: Float[Array, "steps *batch columns"]
    y: Float[Array, "steps *batch classes"]


class LocalLayer(eqx.Module):
    """U = W·P + R, spike S = H(U); all synapses of an input share the traces Q and P, so a crossbar holds W alone.

    Q[t+1] = β·Q[t] + (1 − β)·gain·x[t], P[t+1] = α·P[t] + (1 − α)·Q[t] (the old Q), R[t+1] = ρ·R[t] − (1 − ρ)·w·S[t],
    with α, β, ρ = e^(−dt/τ) of membrane, synapse and refractoriness. The last row of the crossbar is a bias, driven
    as by P = 1. A fixed random readout Y = G·S + c, drawn with the chip, tells the layer its own error.
    """

    source: ClassVar[str] = (
        "Kaiser, Mostafa & Neftci, Front. Neurosci. 14: 424 (2020), doi 10.3389/fnins.2020.00424, and its released code"
    )
    shape: tuple[int, int] = eqx.field(static=True)
    readout: Float[Array, "columns classes"]
    offset: Float[Array, " classes"]
    crossbar: Crossbar = eqx.field(default_factory=Crossbar)
    surrogate: AbstractSurrogate = eqx.field(default_factory=FastSigmoid)
    tau: Parameter = param(32.8e-3, "s", "time constant of the membrane", bounds=(1e-9, 1e6))
    tau_syn: Parameter = param(12.0e-3, "s", "time constant of the synapses", bounds=(1e-9, 1e6))
    tau_ref: Parameter = param(2.3e-3, "s", "time constant of refractoriness", bounds=(1e-9, 1e6))
    refractory: Parameter = param(1.0, "1", "w: strength of refractoriness", bounds=(0, 1e6))
    gain: Parameter = param(1.0, "1", "charge of an input spike", bounds=(0, 1e6))

    def __check_init__(self) -> None:
        check_bounds(self)

    def init(self, batch: tuple[int, ...] = ()) -> Traces:
        """A layer at rest."""
        rows, columns = (jnp.zeros((*batch, n)) for n in self.shape)
        return Traces(rows, rows, columns, columns)

    def run(self, reading: Reading, x: Real, start: Traces, dt: float, *, key: Any = None) -> tuple[Traces, Local]:
        """The layer under input spikes x [steps, *batch, rows]; what is linear in them is one product of matrices."""
        alpha, beta, rho = (jnp.exp(-dt / tau) for tau in (self.tau, self.tau_syn, self.tau_ref))

        def traced(carry: tuple[Real, Real], now: Real) -> tuple[tuple[Real, Real], Real]:
            q, p = carry
            p = alpha * p + (1 - alpha) * q
            return (beta * q + (1 - beta) * self.gain * now, p), p

        (q, p), traces = jax.lax.scan(traced, (start.q, start.p), x)
        traces = held(jnp.concatenate([traces, jnp.ones_like(traces[..., :1])], axis=-1))
        drive = held(driven(self.crossbar, reading, traces, jnp.ones(()), key=key))

        def fired(carry: tuple[Real, Real], now: Real) -> tuple[tuple[Real, Real], tuple[Real, Real]]:
            r, s = carry
            r = rho * r - (1 - rho) * self.refractory * s
            u = now + r
            s = (u > 0).astype(u.dtype)
            return (r, s), (u, s)

        (r, s), (u, spikes) = jax.lax.scan(fired, (start.r, start.s), drive)
        y = spikes @ self.readout + jnp.broadcast_to(self.offset, (*spikes.shape[:-1], self.offset.shape[0]))
        return Traces(q, p, r, s), Local(traces, u, spikes, y)


class LocalNetwork(eqx.Module):
    """Layers in a row, each trained by its own readout; a layer sees the spikes of the one before at the same step."""

    layers: tuple[LocalLayer, ...]

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Rows, with the bias, and columns of every crossbar."""
        return tuple((layer.shape[0] + 1, layer.shape[1]) for layer in self.layers)

    def init_weights(self, gain: float = 1.0, *, key: PRNGKeyArray) -> Weights:
        """Normal weights with s.d. gain/√rows; no bias."""
        keys = jax.random.split(key, len(self.layers))
        drawn = [jax.random.normal(k, s) * (gain / math.sqrt(s[0])) for k, s in zip(keys, self.shapes, strict=True)]
        return tuple(w.at[-1].set(0.0) for w in drawn)

    def init(self, batch: tuple[int, ...] = ()) -> tuple[Traces, ...]:
        """All layers at rest."""
        return tuple(layer.init(batch) for layer in self.layers)

    def weights(self, cells: Cells) -> Weights:
        """The logical weights of the stored conductances."""
        pairs = zip(self.layers, cells, strict=True)
        return tuple(layer.crossbar.cell.weight(layer.crossbar.cell.stored(state)) for layer, state in pairs)

    def read(self, cells: Cells, *, noise: bool = True) -> tuple[Reading, ...]:
        """What reads of the crossbars see now."""
        pairs = zip(self.layers, cells, strict=True)
        return tuple(reading_of(layer.crossbar, state, (0.0,), noise).part(0) for layer, state in pairs)

    def ideal(self, weights: Weights) -> tuple[Reading, ...]:
        """Readings of exact, noiseless weights."""
        return tuple(Reading(w, jnp.zeros_like(w)) for w in weights)

    def run(
        self,
        readings: tuple[Reading, ...],
        x: Float[Array, "steps *batch inputs"],
        start: tuple[Traces, ...],
        dt: float,
        *,
        key: PRNGKeyArray | None = None,
    ) -> tuple[tuple[Traces, ...], tuple[Local, ...]]:
        """All layers under input spikes, from `start` on; with a key reads are noisy."""
        if x.shape[-1] != self.layers[0].shape[0]:
            raise InputError(
                f"The input has {x.shape[-1]} channels; the first layer has {self.layers[0].shape[0]} rows."
            )
        ends, done = [], []
        for k, (layer, reading, begin) in enumerate(zip(self.layers, readings, start, strict=True)):
            own = None if key is None else jax.random.fold_in(key, k)
            end, local = layer.run(reading, x, begin, dt, key=own)
            ends.append(end)
            done.append(local)
            x = local.s
        return tuple(ends), tuple(done)


def local_network(
    sizes: tuple[int, ...], classes: int, *, amplitude: float = 0.5, key: PRNGKeyArray, **layer: Any
) -> LocalNetwork:
    """Dense layers of `sizes`, each with a readout uniform in ±amplitude/√neurons for `classes` classes.

    Further keywords are those of `LocalLayer`. InputError for fewer than two sizes or sizes below 1.
    """
    if len(sizes) < 2 or any(int(n) != n or n < 1 for n in (*sizes, classes)):
        raise InputError(
            f"Network sizes are {list(sizes)} for {classes} classes; needed: two or more whole numbers ≥ 1."
        )
    layers = []
    for k, shape in enumerate(pairwise(sizes)):
        for_readout, for_offset = jax.random.split(jax.random.fold_in(key, k))
        reach = amplitude / math.sqrt(shape[1])
        readout = jax.random.uniform(for_readout, (shape[1], classes), minval=-reach, maxval=reach)
        offset = jax.random.uniform(for_offset, (classes,), minval=-reach, maxval=reach)
        layers.append(LocalLayer(shape, readout, offset, **layer))
    return LocalNetwork(tuple(layers))
