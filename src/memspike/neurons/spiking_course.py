"""Spiking networks by kernels for the processor: all steps at once, and signals carried back through them.

Neurons that hear each other add up the rows of the few that spiked, where a product of matrices adds up all, and an
outer product of spikes takes as long as there are spikes. Numbers are those of the loop over arrays to rounding; where
a membrane ends that close to its threshold, a spike may differ. Layers without connections among their neurons are no
faster by a kernel: their time is in products of matrices.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from memspike.neurons.lif import ALIF, LIF, SpikingState
from memspike.neurons.recurrent_kernels import lowpass_kernel, outer_kernel, recurrent_kernel
from memspike.neurons.spiking_kernels import SURROGATES, backward_kernel, kinds_of, names_of, numbers_of
from memspike.parts import kernels

Real = Float[Array, "..."]


def usable(like: Any) -> bool:
    """Whether there are kernels for arrays such as this in this process."""
    return like.dtype == jnp.float32 and like.size > 0 and kernels.available()


def fits(neuron: Any, like: Any) -> bool:
    """Whether there is a kernel for these neurons in this process, for what drives them [steps, *batch, neurons]."""
    known = type(neuron) in (LIF, ALIF) and type(neuron.surrogate) in SURROGATES
    if not known or not usable(like):
        return False
    shapes, whole = {jnp.shape(leaf) for leaf in jax.tree.leaves(neuron)}, like.shape[1:]
    return all(len(one) <= len(whole) and _spreads(one, whole) for one in shapes)


def _spreads(shape: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Whether an array of a shape broadcasts to another one."""
    return all(n in (1, m) for n, m in zip(shape[::-1], whole[::-1], strict=False))


def numbers_for(neuron: Any, dt: float, shape: tuple[int, ...]) -> list[Real]:
    """The numbers of the neurons as the kernels take them, for states of this shape."""
    each = numbers_of(neuron, dt)
    if kinds_of(neuron).differ:
        return [jnp.broadcast_to(x, shape) for x in each]
    return [jnp.stack(each)]


def credit(neuron: Any, states: SpikingState, signal: Real, dt: float) -> Real:
    """dE/d(drive) for signals at the spikes of every step from rest: carried backwards inside every neuron that
    fits.
    """
    numbers = numbers_for(neuron, dt, signal.shape[1:])
    return backward_kernel(kinds_of(neuron))(states.psi, states.z, signal, *numbers)[0]


class Weighed(NamedTuple):
    """What reads of the matrices of a recurrent network see in the parts of a run, and their variances."""

    input: Float[Array, "parts rows neurons"]
    recurrent: Float[Array, "parts neurons neurons"]
    input_variance: Float[Array, "rows neurons"]
    recurrent_variance: Float[Array, "neurons neurons"]


def recurrent(
    neuron: Any,
    start: SpikingState,
    x: Float[Array, "steps *batch rows"],
    weighed: Weighed,
    parts: Int[Array, " steps"],
    dt: float,
    *,
    key: Any = None,
) -> SpikingState:
    """The states of neurons that fit and hear each other after every step; with a key, by noisy reads.

    `parts` has the part of the run that every step belongs to. The noise is `normal(key, (steps, *batch, neurons))`.
    There is no gradient.
    """
    kinds, shape = kinds_of(neuron), start.v.shape
    neurons = shape[-1]
    flat = [getattr(start, name).reshape(-1, neurons) for name in names_of(kinds)]
    noisy = key is not None
    words = [jax.random.key_data(key)] if noisy else []
    numbers = numbers_for(neuron, dt, (neurons,))
    matrices = weighed if noisy else weighed[:2]
    trials = x.reshape(x.shape[0], -1, x.shape[-1])
    found = recurrent_kernel(kinds, noisy)(trials, parts, *matrices, *flat, *words, *numbers)
    each = dict(zip((*names_of(kinds), "psi"), (y.reshape(len(x), *shape) for y in found), strict=True))
    none = jnp.zeros((len(x), *shape), x.dtype)
    return SpikingState(*(each.get(name, none) for name in SpikingState._fields))


def products(a: Float[Array, "terms rows"], b: Float[Array, "terms columns"]) -> Float[Array, "rows columns"]:
    """Σ over the terms of a ⊗ b: what is 0 in `a` costs nothing. There is no gradient."""
    return outer_kernel()(a, b)


def filtered(reverse: bool, x: Float[Array, "steps *batch"], factor: Float[Array, ""]) -> Real:
    """y[t] = factor·y[t−1] + x[t], or from the last step to the first: y[t] = factor·y[t+1] + x[t]."""
    found: Any = _filtered(reverse, x, factor)
    return found


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _filtered(reverse: bool, x: Real, factor: Real) -> Real:
    return lowpass_kernel(reverse)(x, jnp.asarray(factor, jnp.float32).reshape(1))[0]


def _filtered_forward(reverse: bool, x: Real, factor: Real) -> tuple[Real, tuple[Real, Real]]:
    y = filtered(reverse, x, factor)
    return y, (y, factor)


def _filtered_backward(reverse: bool, kept: tuple[Real, Real], wanted: Real) -> tuple[Real, Real]:
    y, factor = kept
    back = filtered(not reverse, wanted, factor)
    # of every step but the first with what it began with
    own, before = (back[:-1], y[1:]) if reverse else (back[1:], y[:-1])
    return back, (own * before).sum().astype(factor.dtype)


_filtered.defvjp(_filtered_forward, _filtered_backward)
