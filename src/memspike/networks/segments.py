"""A run in segments of time, whose inside is computed again in the backward pass: long trials in little memory.

A gradient needs all states of all neurons in all steps. In segments only the states between two of them are kept, and
those of one segment at a time: √T steps a segment make the memory grow with √T, for one more forward pass.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.networks.base import Clock
from memspike.networks.simulate import Drive, Events, How, LayerRun, as_voltages, drive_of, seen_by_layers

Real = Float[Array, "..."]


def in_segments(
    network: Any,
    seen: tuple[Any, ...],
    inputs: Events | Float[Array, "steps *batch rows"],
    clock: Clock,
    segment: int,
    *,
    key: PRNGKeyArray | None = None,
) -> tuple[Float[Array, "steps *batch columns"], ...]:
    """As `simulate`, in segments of so many steps; the last one has what is left.

    Without noise it is the same to rounding; the noise of reads is drawn anew for every segment.
    """
    inputs = as_voltages(network, inputs)
    x = inputs.v if isinstance(inputs, Events) else inputs
    layers = list(seen_by_layers(network, seen, key))
    # what the input alone brings to every layer: earlier ones send nothing
    silent = [jnp.zeros((1, *x.shape[1:-1], math.prod(layer.map)), x.dtype) for layer in network.layers]
    whole = [drive_of(network, k, inputs, silent, 1) for k in range(len(layers))]
    runs = [
        LayerRun(layer, reads, drive, How(network.fires(k)), key=own)
        for k, (layer, drive, (reads, own)) in enumerate(zip(network.layers, whole, layers, strict=True))
    ]

    def one(states: Any, first: Any, steps: int) -> tuple[Any, tuple[Real, ...]]:
        here = inputs if isinstance(inputs, Events) else jax.lax.dynamic_slice_in_dim(inputs, first, steps)
        after, sent, found = [], [], []
        for k, (run, state) in enumerate(zip(runs, states, strict=True)):
            drive = drive_of(network, k, here, sent, steps)
            noise: Any = layers[k][1]
            own = None if noise is None else jax.random.fold_in(noise, first)
            state, trace = run.advance(state, first, Drive(None, *drive[1:]), Clock(clock.dt, (steps,)), key=own)
            after.append(state)
            sent.append(trace.above_rest)
            found.append(trace.v)
        return tuple(after), tuple(found)

    states, full = tuple(run.start(x.dtype) for run in runs), clock.steps // segment
    again = jax.checkpoint(one, static_argnums=2)
    numbers = jnp.arange(full, dtype=jnp.int32) * segment
    states, found = jax.lax.scan(lambda at, first: again(at, first, segment), states, numbers)
    found = tuple(v.reshape(full * segment, *v.shape[2:]) for v in found)
    if rest := clock.steps - full * segment:
        more = again(states, jnp.int32(full * segment), rest)[1]
        found = tuple(jnp.concatenate(pair) for pair in zip(found, more, strict=True))
    return found
