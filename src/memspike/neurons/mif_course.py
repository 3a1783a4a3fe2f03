"""All steps of MIF neurons at once, and their gradient, by kernels for the processor.

A neuron that is driven by currents known beforehand needs nobody else: its time loop runs in registers, sixteen neurons
beside each other, where a loop over arrays sends every state through memory in every step. The equations are those of
`staggered_exponential` and their adjoint; derivatives are taken with respect to the currents. Where a parameter of the
neuron or the course of a pulse is differentiated, or neurons differ, the loop over arrays does it (`stepped`).
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike.devices.metastable import MetastableSwitch
from memspike.neurons.mif import MIF, MIFState, frozen_memristors, staggered_exponential
from memspike.neurons.mif_kernels import Kinds, Used, backward_kernel, forward_kernel, numbers_of
from memspike.parts import kernels

Real = Float[Array, "..."]


class Injected(NamedTuple):
    """Currents in A in the middle of every step: the sum of `weights`[t]·`pulse` and `held`[t], of what is there."""

    weights: Float[Array, " steps"] | None
    pulse: Float[Array, "*batch"] | None
    held: Float[Array, "steps *batch"] | None

    def whole(self) -> Float[Array, "steps *batch"]:
        """The sum."""
        if self.weights is None or self.pulse is None:
            assert self.held is not None
            return self.held
        each = jnp.tensordot(self.weights, self.pulse, axes=0)
        return each if self.held is None else each + self.held


class Courses(NamedTuple):
    """Membranes in V [steps, *batch]: at the ends of steps, and in their middles above rest; the state at the end."""

    v: Float[Array, "steps *batch"]
    above_rest: Float[Array, "steps *batch"]
    end: MIFState


def fits(neuron: Any, like: Real) -> bool:
    """Whether there is a kernel for these neurons in this process, for currents of this type."""
    known = isinstance(neuron, MIF) and neuron.integrator in (staggered_exponential, frozen_memristors)
    if not known or like.dtype != jnp.float32 or like.size == 0 or not kernels.available():
        return False
    switches = all(isinstance(device, MetastableSwitch) for device in (neuron.m1, neuron.m2))
    return switches and all(jnp.ndim(leaf) == 0 for leaf in jax.tree.leaves(neuron))


def stepped(neuron: MIF, start: MIFState, injected: Injected, dt: float) -> Courses:
    """The membranes from a state on in steps of `dt` seconds; by a loop over arrays."""

    @jax.checkpoint
    def one(state: MIFState, current: Real) -> tuple[MIFState, tuple[Real, Real]]:
        after, v = neuron.step(state, current, dt)
        return after, (v, 0.5 * (state.v + v) - neuron.rest())

    end, (v, above) = jax.lax.scan(one, start, injected.whole())
    return Courses(v, above, end)


def course(neuron: MIF, start: MIFState, injected: Injected, dt: float) -> Courses:
    """As `stepped`, by the kernels; `neuron` has to fit."""
    return _course(dt, neuron, start, injected)


def _run(dt: float, neuron: MIF, start: MIFState, injected: Injected) -> tuple[Courses, Any]:
    """The courses, and all that a way back needs."""
    numbers = numbers_of(neuron, dt)
    v, above, *x = forward_kernel(_kinds(neuron, injected))(*_there(injected), *start, numbers)
    return Courses(v, above, MIFState(v[-1], *(one[-1] for one in x))), (numbers, (v, *x))


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _course(dt: float, neuron: MIF, start: MIFState, injected: Injected) -> Courses:
    return _run(dt, neuron, start, injected)[0]


def _forward(dt: float, neuron: Any, start: Any, injected: Any) -> tuple[Courses, Any]:
    given: Any = jax.tree.map(lambda x: x.value, (neuron, start, injected), is_leaf=_primal)
    if any(leaf.perturbed for leaf in jax.tree.leaves((neuron, injected.weights), is_leaf=_primal)):
        return jax.vjp(lambda n, s, i: stepped(n, s, i, dt), *given)
    courses, kept = _run(dt, *given)
    return courses, (given, *kept)


def _backward(dt: float, kept: Any, wanted: Courses) -> Any:
    if callable(kept):
        return kept(jax.tree.map(_array, wanted, is_leaf=_symbolic))
    (neuron, start, injected), numbers, courses = kept
    end = not all(_symbolic(w) for w in wanted.end)
    used = Used(not _symbolic(wanted.v), not _symbolic(wanted.above_rest), end)
    asked = [w for w in wanted[:2] if not _symbolic(w)]
    asked += [_array(w) for w in wanted.end] if end else []
    kernel = backward_kernel(_kinds(neuron, injected), used)
    *found, v, x1, x2 = kernel(*_there(injected), *start, *courses, *asked, numbers)
    found = iter(found)
    pulse, held = (None if x is None else next(found) for x in injected[1:])
    weights = None if injected.weights is None else jnp.zeros_like(injected.weights)
    return jax.tree.map(jnp.zeros_like, neuron), MIFState(v, x1, x2), Injected(weights, pulse, held)


def _primal(x: Any) -> bool:
    return isinstance(x, jax.custom_derivatives.CustomVJPPrimal)


def _symbolic(x: Any) -> bool:
    return isinstance(x, jax.custom_derivatives.SymbolicZero)


def _array(x: Any) -> Any:
    return jnp.zeros(x.shape, x.dtype) if _symbolic(x) else x


_course.defvjp(_forward, _backward, symbolic_zeros=True)


def _kinds(neuron: MIF, injected: Injected) -> Kinds:
    return Kinds(injected.pulse is not None, injected.held is not None, neuron.integrator is not frozen_memristors)


def _there(injected: Injected) -> list[Real]:
    return [x for x in injected if x is not None]
