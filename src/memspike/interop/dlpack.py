"""A network as a module of PyTorch: compiled by JAX, called by DLPack, with gradients both ways.

DLPack shares memory: what one side writes in place the other would see, though arrays of JAX are never to
change. So every tensor is cloned at the door, in both directions; the copy also makes strides compact.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike.experiments.trained import TrainedRun
from memspike.interop.optional import needed
from memspike.networks.base import AbstractNetwork, Clock, Weights
from memspike.parts.errors import InputError

Real = Float[Array, "..."]
INSTALL = "'memspike[torch]'"
WIDE = ("float64", "int64", "uint64", "complex128")


def _checked(tensor: Any, torch: Any, what: str) -> None:
    """InputError for what would be narrowed in silence, or is nowhere that JAX can reach."""
    name = str(tensor.dtype).removeprefix("torch.")
    if name in WIDE and not jax.config.read("jax_enable_x64"):
        raise InputError(
            f"{what} is {name}, which JAX would narrow to 32 bits; give {what}.float(), or allow 64 bits by "
            'jax.config.update("jax_enable_x64", True) before anything is computed.'
        )
    if not tensor.is_floating_point():
        raise InputError(f"{what} is {name}; floating-point numbers are needed: {what}.float().")
    if tensor.device.type not in ("cpu", jax.default_backend().replace("gpu", "cuda")):
        raise InputError(f"{what} is on {tensor.device}, and JAX computes on {jax.default_backend()}; move it there.")


def to_jax(tensor: Any, what: str = "the tensor") -> Real:
    """A clone of a tensor of PyTorch as an array of JAX. InputError for 64 bits where JAX has 32."""
    torch = needed("torch", INSTALL, "The door to PyTorch")
    _checked(tensor, torch, what)
    return jnp.from_dlpack(tensor.detach().clone(memory_format=torch.contiguous_format))


def to_torch(array: Real) -> Any:
    """A clone of an array of JAX as a tensor of PyTorch. InputError without the package torch."""
    return needed("torch", INSTALL, "The door to PyTorch").from_dlpack(jax.block_until_ready(array)).clone()


def _function(torch: Any, run: Callable[[Weights, Real], Real]) -> Any:
    """`run` as a function of PyTorch, compiled once a shape, forwards and backwards."""
    plain = jax.jit(run)
    forward = jax.jit(lambda weights, x: jax.vjp(run, weights, x))
    backward = jax.jit(lambda pull, slope: pull(slope))

    class Run(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, x: Any, *weights: Any) -> Any:
            own = tuple(to_jax(w, "a weight") for w in weights)
            given = to_jax(x, "x")
            if not any(context.needs_input_grad):
                return to_torch(plain(own, given))
            y, context.pull = forward(own, given)
            return to_torch(y)

        @staticmethod
        @torch.autograd.function.once_differentiable
        def backward(context: Any, slope: Any) -> Any:
            of_weights, of_x = backward(context.pull, to_jax(slope, "the gradient"))
            return (to_torch(of_x), *(to_torch(w) for w in of_weights))

    return Run


def torch_module(network: AbstractNetwork | TrainedRun, weights: Weights | None = None, dt: float | None = None) -> Any:
    """A `torch.nn.Module` whose parameters are the weights [rows, columns] of the network, one tensor a crossbar.

    It is called with inputs [steps, *batch, rows] and gives what `network.run` calls the output [steps, *batch,
    outputs], as reads without noise see these weights on the devices: clipped to their range, through wires and
    converters. Gradients are JAX's, of weights and of inputs, once. Of a trained run it is the first chip, with its
    stored weights and its step; of a network `weights` and the step `dt` in s are needed.

    InputError without the package torch, for 64-bit tensors where JAX has 32 bits, and without weights or step.
    """
    torch = needed("torch", INSTALL, "The door to PyTorch")
    if isinstance(network, TrainedRun):
        dt = network.settings.simulation.dt if dt is None else dt
        network, cells = network.chip()
        weights = network.weights(cells) if weights is None else weights
    if weights is None or dt is None:
        raise InputError("A network needs weights, one array [rows, columns] a crossbar, and dt, its step in s.")
    shapes = [tuple(w.shape) for w in weights]
    if shapes != [*network.shapes]:
        raise InputError(f"The weights have shapes {shapes}; {list(network.shapes)} are needed.")
    model, step = network, dt

    def run(weights: Weights, x: Real) -> Real:
        clock = Clock(step, (x.shape[0],))
        return model.run(model.programmed(weights, None), x, clock).output

    function = _function(torch, run)

    class Network(torch.nn.Module):
        def __init__(self, values: Weights):
            torch.nn.Module.__init__(self)
            self.weights = torch.nn.ParameterList([torch.nn.Parameter(to_torch(w)) for w in values])

        def forward(self, x: Any) -> Any:
            return function.apply(x, *self.weights)

    return Network(tuple(jnp.asarray(w) for w in weights))
