"""Kernels of neurons in time: arrays of any shape become [steps, columns], and more neurons stand beside each other."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float

from memspike.parts import kernels
from memspike.parts.kernels import Kernel
from memspike.parts.parallel import along_batch

Real = Float[Array, "..."]

# what an array of a kernel is: a number for all, one a step, one a neuron, one a step and neuron
NUMBER, STEP, NEURON, COURSE = range(4)
# neurons of a chip from which on chips come one after the other where little is computed: putting them beside each
# other costs more
ENOUGH = 64


def side_by_side(
    kernel: Kernel, inputs: Sequence[int], outputs: Sequence[int], *, little: bool = False
) -> Callable[..., tuple[Real, ...]]:
    """The kernel for neurons of any shape; `vmap` puts more of them beside each other, unless `little` is computed and
    they are enough.
    """

    def part(*given: Real) -> tuple[Real, ...]:
        of = dict(zip(inputs, given, strict=True))
        shape = of[COURSE].shape if COURSE in of else (*of[STEP].shape, *of[NEURON].shape)
        steps, columns = shape[0], int(np.prod(shape[1:]))
        flat = {NEURON: (columns,), COURSE: (steps, columns)}
        found = kernels.call(
            kernel,
            [x.reshape(flat.get(kind, x.shape)) for kind, x in zip(inputs, given, strict=True)],
            [flat[kind] for kind in outputs],
        )
        return tuple(x.reshape(shape[kind == NEURON :]) for kind, x in zip(outputs, found, strict=True))

    @custom_vmap
    def run(*given: Real) -> tuple[Real, ...]:
        batched = max(x.ndim for x in given) > 2  # otherwise the last axis but one is time
        return along_batch(part, -2, given, jax.eval_shape(part, *given)) if batched else part(*given)

    @run.def_vmap
    def _(size: int, batched: Sequence[bool], *given: Real) -> tuple[tuple[Real, ...], tuple[bool, ...]]:
        whole = [x if own else jnp.broadcast_to(x, (size, *x.shape)) for x, own in zip(given, batched, strict=True)]
        done = (True,) * len(outputs)
        columns = max(
            math.prod(x.shape[1 + (k == COURSE) :]) for x, k in zip(whole, inputs, strict=True) if k >= NEURON
        )
        apart = any(own for own, kind in zip(batched, inputs, strict=True) if kind < NEURON)
        if apart or (little and columns >= ENOUGH):
            return jax.lax.map(lambda each: run(*each), tuple(whole)), done
        beside = [
            one if kind < NEURON else jnp.moveaxis(x, 0, kind == COURSE)
            for kind, one, x in zip(inputs, given, whole, strict=True)
        ]
        return tuple(jnp.moveaxis(x, int(k == COURSE), 0) for k, x in zip(outputs, run(*beside), strict=True)), done

    return run


def one_by_one(run: Callable[..., Any]) -> Callable[..., Any]:
    """`run`, which `vmap` calls for one chip after the other."""

    @custom_vmap
    def each(*given: Any) -> Any:
        return run(*given)

    @each.def_vmap
    def _(size: int, batched: Sequence[bool], *given: Any) -> tuple[Any, Any]:
        shared = [x for x, own in zip(given, batched, strict=True) if not own]

        def one(own: Any) -> Any:
            mine, theirs = iter(own), iter(shared)
            return each(*(next(mine) if b else next(theirs) for b in batched))

        found = jax.lax.map(one, tuple(x for x, own in zip(given, batched, strict=True) if own))
        return found, jax.tree.map(lambda _: True, found)

    return each
