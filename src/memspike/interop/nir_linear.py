"""Chains of linear NIR nodes as the weights of one crossbar: dense, or the kernel of a convolution."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.lib.stride_tricks import sliding_window_view

from memspike.interop.nir_graph import Chain
from memspike.interop.nir_neurons import kind
from memspike.networks.connections import Convolution, Map
from memspike.parts.errors import InputError

Array = Float[np.ndarray, "..."]
Shape = tuple[int, ...]
LARGEST = 20_000_000


class Dense(NamedTuple):
    """Weights [inputs, outputs] and bias [outputs] in the order of the file, and the shape of the outputs there."""

    weights: Array
    bias: Array
    shape: Shape


class Kernel(NamedTuple):
    """A convolution with its weights [rows, channels], bias [channels] and the shape of its outputs in the file."""

    connection: Convolution
    weights: Array
    bias: Array
    shape: Shape


def _pair(value: Any) -> tuple[int, int]:
    values = [int(v) for v in np.atleast_1d(np.asarray(value))]
    return (values[0], values[-1])


def _padding(node: Any, kernel: Sequence[int], dilation: Sequence[int]) -> list[tuple[int, int]]:
    """Zeros before and behind, along every axis."""
    given = node.padding
    given = given.decode() if isinstance(given, bytes) else given
    if isinstance(given, str):
        if given == "valid":
            return [(0, 0)] * len(kernel)
        total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return [(n // 2, n - n // 2) for n in total]
    return [(n, n) for n in _pair(given)[-len(kernel) :]]


def _convolved(node: Any, x: Array) -> Array:
    """x [batch, channels, *space] by the kernel of a node, torch's way round."""
    w = np.asarray(node.weight, np.float64)
    axes = w.ndim - 2
    stride, dilation = (_pair(v)[-axes:] for v in (node.stride, node.dilation))
    around = _padding(node, w.shape[2:], dilation)
    x = np.pad(x, ((0, 0), (0, 0), *around))
    spans = [d * (k - 1) + 1 for k, d in zip(w.shape[2:], dilation, strict=True)]
    seen = sliding_window_view(x, spans, axis=tuple(range(2, 2 + axes)))
    picks = [
        slice(None),
        slice(None),
        *(slice(None, None, s) for s in stride),
        *(slice(None, None, d) for d in dilation),
    ]
    seen, groups = seen[tuple(picks)], int(np.asarray(node.groups))
    inner, letters = w.shape[1], "hw"[:axes]
    outer, found = w.shape[0] // groups, []
    for g in range(groups):
        part = seen[:, g * inner : (g + 1) * inner]
        own = w[g * outer : (g + 1) * outer]
        found.append(np.einsum(f"bc{letters}{letters.upper()},oc{letters.upper()}->bo{letters}", part, own))
    bias = np.asarray(node.bias, np.float64).reshape(-1, *[1] * axes)
    return np.concatenate(found, axis=1) + bias


def _pooled(node: Any, x: Array) -> Array:
    size, stride, padding = _pair(node.kernel_size), _pair(node.stride), _pair(node.padding)
    x = np.pad(x, ((0, 0), (0, 0), *((n, n) for n in padding)))
    seen = sliding_window_view(x, size, axis=(2, 3))[:, :, :: stride[0], :: stride[1]]
    total = seen.sum((-2, -1))
    return total / math.prod(size) if kind(node) == "AvgPool2d" else total


def _applied(name: str, node: Any, x: Array) -> Array:
    """What one node makes of x [batch, *shape]."""
    what, given = kind(node), list(x.shape[1:])
    if what == "Flatten":
        return x.reshape(len(x), -1)
    if what == "Scale":
        scale = np.asarray(node.scale, np.float64)
        return x * (scale if scale.size == 1 else scale.reshape(x.shape[1:]))
    if what in ("Linear", "Affine"):
        w = np.asarray(node.weight, np.float64)
        if w.ndim != 2 or x.shape[-1] != w.shape[1]:
            raise InputError(f"The node {name} has weights of shape {list(w.shape)}; its input has shape {given}.")
        return x @ w.T + (np.asarray(node.bias, np.float64) if what == "Affine" else 0.0)
    axes = 1 if what == "Conv1d" else 2
    channels = x.shape[1] if what.endswith("Pool2d") else int(node.weight.shape[1] * np.asarray(node.groups))
    if x.ndim != axes + 2 or x.shape[1] != channels:
        wanted = "channels and a length" if axes == 1 else "channels, height and width"
        raise InputError(f"The node {name} is a {what}, which needs {wanted}; its input has shape {given}.")
    return _pooled(node, x) if what.endswith("Pool2d") else _convolved(node, x)


def _through(chain: Chain, x: Array) -> Array:
    for name, node in chain.nodes:
        try:
            x = _applied(name, node, x)
        except (ValueError, IndexError) as error:
            if isinstance(error, InputError):
                raise
            shapes = f"the node {name}, a {kind(node)}, does not fit an input of shape {list(x.shape[1:])}"
            raise InputError(f"{shapes[0].upper()}{shapes[1:]}: {error}.") from None
    return x


def dense(chain: Chain, shape: Shape) -> Dense:
    """What a chain does to an input of that shape, as a matrix. InputError where it does not fit, or is too large."""
    rest = _through(chain, np.zeros((1, *shape)))
    count, out = math.prod(shape), math.prod(rest.shape[1:])
    if count * out > LARGEST:
        names = ", ".join(name for name, _ in chain.nodes)
        raise InputError(
            f"The nodes {names} would need a matrix of {count} × {out} devices; with a square kernel, equal strides, a "
            "dilation and groups of 1 and pools that do not overlap a convolution keeps its kernel."
        )
    unit, parts = np.eye(count), []
    for k in range(0, count, 256):
        some = unit[k : k + 256]
        parts.append((_through(chain, some.reshape(len(some), *shape)) - rest).reshape(len(some), out))
    return Dense(np.concatenate(parts), rest.reshape(-1), rest.shape[1:])


def _square(node: Any) -> int:
    """The side of a pool that neither overlaps nor is padded, else 0."""
    size, stride, padding = _pair(node.kernel_size), _pair(node.stride), _pair(node.padding)
    return size[0] if size[0] == size[1] == stride[0] == stride[1] and padding == (0, 0) else 0


def _plain(node: Any) -> bool:
    """Whether a convolution is one that a crossbar can read patch by patch."""
    kernel, stride, dilation = np.shape(node.weight)[2:], _pair(node.stride), _pair(node.dilation)
    around = _padding(node, kernel, dilation)
    equal = kernel[0] == kernel[1] and stride[0] == stride[1] and len({n for pair in around for n in pair}) == 1
    return equal and dilation == (1, 1) and int(np.asarray(node.groups)) == 1


def kernel(chain: Chain, shape: Shape) -> Kernel | None:
    """A chain with one plain Conv2d, pools and scales around it, as a convolution; None where it is not one."""
    before, after, scale, gain, conv = 1, 1, 1.0, 1.0, None
    for _, node in chain.nodes:
        what = kind(node)
        if what == "Scale" and np.size(node.scale) == 1:
            scale, gain = (
                (scale * float(np.ravel(node.scale)[0]), gain)
                if conv is None
                else (
                    scale,
                    gain * float(np.ravel(node.scale)[0]),
                )
            )
        elif what in ("AvgPool2d", "SumPool2d") and _square(node):
            side = _square(node)
            if conv is None:
                before, scale = before * side, scale / side**2 if what == "AvgPool2d" else scale
            else:
                after, gain = after * side, gain * side**2 if what == "SumPool2d" else gain
        elif what == "Conv2d" and conv is None and _plain(node):
            conv = node
        elif what != "Flatten" or conv is None:
            return None
    if conv is None or len(shape) != 3 or any(n % before for n in shape[1:]):
        return None
    w = np.asarray(conv.weight, np.float64) * scale
    w = np.repeat(np.repeat(w, before, axis=2), before, axis=3)
    padding = _padding(conv, conv.weight.shape[2:], (1, 1))[0][0] * before
    if padding >= w.shape[2] or w.shape[1] != shape[0]:
        return None
    connection = Convolution(w.shape[2], _pair(conv.stride)[0] * before, padding, after)
    down, across, _ = connection.neurons((*shape[1:], shape[0]), w.shape[0])
    rows = w.transpose(2, 3, 1, 0).reshape(-1, w.shape[0]) * gain
    flat = kind(chain.nodes[-1][1]) == "Flatten"
    out = (w.shape[0] * down * across,) if flat else (w.shape[0], down, across)
    return Kernel(connection, rows, np.asarray(conv.bias, np.float64) * gain, out)


def image(shape: Shape) -> Map:
    """Where pixels are that the file has as [channels, height, width]: (height, width, channels)."""
    return (*shape[1:], shape[0])


def places(channels: int, height: int, width: int) -> np.ndarray:
    """For every pixel in the order of the file its number here, where channels run fastest."""
    return np.arange(channels * height * width).reshape(height, width, channels).transpose(2, 0, 1).ravel()
