"""The patches of an image as rows of a matrix, and the way back of their gradient.

Numbers are only copied, but in an order that costs XLA several times the product of matrices behind it; a kernel copies
the neighbouring pixels of a patch as they lie.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float

from memspike.parts import kernels
from memspike.parts.kernels import Kernel
from memspike.parts.parallel import along_batch

if TYPE_CHECKING:
    from memspike.parts.writer import Writer
else:
    Writer = Any

Real = Float[Array, "..."]


class Cut(NamedTuple):
    """Pixels of a patch below and beside each other, from one to the next, and how many there are either way."""

    kernel: int
    stride: int
    down: int
    across: int


class _Layout(NamedTuple):
    """A cut of images of a width and channels."""

    cut: Cut
    width: int
    channels: int

    @property
    def run(self) -> int:
        """Numbers of a row of a patch, which lie beside each other in the image as well."""
        return self.cut.kernel * self.channels

    def runs(self) -> int:
        """Rows of all patches of an image."""
        return self.cut.down * self.cut.across * self.cut.kernel


def patches(pixels: Float[Array, "*batch height width channels"], cut: Cut) -> Float[Array, "*batch places pixels"]:
    """Rows of kernel² · channels pixels: rows of the image, then columns, then channels."""
    if pixels.dtype != jnp.float32 or pixels.size == 0 or not kernels.available():
        return sliced(pixels, cut)
    height, width, channels = pixels.shape[-3:]
    flat = pixels.reshape(*pixels.shape[:-3], height * width * channels)
    found: Any = _copied(_Layout(cut, width, channels), flat)
    return found.reshape(*pixels.shape[:-3], cut.down * cut.across, -1)


def sliced(pixels: Float[Array, "*batch height width channels"], cut: Cut) -> Float[Array, "*batch places pixels"]:
    """The same by slices of arrays.

    They are no gather, whose gradient is slow; a convolution of XLA is many times slower inside of a loop.
    """
    n, stride = range(cut.kernel), cut.stride
    down, across = (stride * (count - 1) + 1 for count in cut[2:])
    every = [pixels[..., a : a + down : stride, b : b + across : stride, :] for a in n for b in n]
    rows = jnp.concatenate(every, axis=-1)
    return rows.reshape(*pixels.shape[:-3], cut.down * cut.across, rows.shape[-1])


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _copied(layout: _Layout, flat: Real) -> Real:
    return _run(layout, flat.shape[-1], True)(flat)


def _forward(layout: _Layout, flat: Real) -> tuple[Real, int]:
    return _copied(layout, flat), flat.shape[-1]


def _backward(layout: _Layout, size: int, wanted: Real) -> tuple[Real]:
    return (_run(layout, size, False)(wanted),)


_copied.defvjp(_forward, _backward)


@cache
def _run(layout: _Layout, size: int, cut: bool) -> Callable[[Real], Real]:
    """From images of a `size` to patches, or the sum of all patches back into images."""
    names = "_".join(str(n) for n in (*layout.cut, layout.width, layout.channels, size))
    body = partial(_write_cut if cut else _write_sum, layout)
    kernel = Kernel(f"memspike_{'patches' if cut else 'patches_back'}_{names}", 1, 1, 1 - cut, body)
    inside, outside = (size, layout.runs() * layout.run)[:: 1 if cut else -1]

    def part(x: Real) -> Real:
        images = math.prod(x.shape[:-1])
        found = kernels.call(kernel, [x.reshape(images, inside)], [(images, outside)])[0]
        return found.reshape(*x.shape[:-1], outside)

    @custom_vmap
    def run(x: Real) -> Real:
        return along_batch(part, -2, (x,), jax.eval_shape(part, x)) if x.ndim > 1 else part(x)

    @run.def_vmap
    def _(axis: int, batched: Sequence[bool], x: Real) -> tuple[Real, bool]:
        return run(x), True

    return run


def _write_runs(layout: _Layout, writer: Writer, first: Sequence[Any], copy: Callable[..., None]) -> None:
    """`copy(here, there, place)` for all numbers of all runs of an image: where they are in it, and in the patches.

    `first` are pointers to the first pixel and the first number of the first patch.
    """
    from memspike.parts.lanes import WIDE
    from memspike.parts.writer import Place

    (cut, width, channels), builder, whole = layout, writer.builder, writer.whole
    with (
        writer.loop(whole(0), whole(cut.down)) as i,
        writer.loop(whole(0), whole(cut.across)) as j,
        writer.loop(whole(0), whole(cut.kernel)) as a,
    ):
        row = builder.add(builder.mul(i, whole(cut.stride)), a)
        corner = builder.add(builder.mul(row, whole(width)), builder.mul(j, whole(cut.stride)))
        patch = builder.add(builder.mul(i, whole(cut.across)), j)
        number = builder.add(builder.mul(patch, whole(cut.kernel)), a)
        here = writer.after(first[0], builder.mul(corner, whole(channels)))
        there = writer.after(first[1], builder.mul(number, whole(layout.run)))
        most = layout.run // WIDE * WIDE
        for begin, end, lanes in ((0, most, WIDE), (most, layout.run, 1)):
            with writer.loop(whole(begin), whole(end), lanes) as k:
                copy(here, there, Place(k, lanes))


def _write_cut(
    layout: _Layout, writer: Writer, inputs: Sequence[Any], outputs: Sequence[Any], shape: tuple[Any, Any]
) -> None:
    (images, size), builder = shape, writer.builder
    length = writer.whole(layout.runs() * layout.run)
    with writer.loop(writer.whole(0), images) as n:
        first = (writer.after(x, builder.mul(n, s)) for x, s in ((inputs[0], size), (outputs[0], length)))
        _write_runs(
            layout,
            writer,
            tuple(first),
            lambda here, there, place: writer.store(writer.load(here, place), there, place),
        )


def _write_sum(
    layout: _Layout, writer: Writer, inputs: Sequence[Any], outputs: Sequence[Any], shape: tuple[Any, Any]
) -> None:
    from memspike.parts.writer import Place

    (images, size), builder = shape, writer.builder
    length = writer.whole(layout.runs() * layout.run)

    def add(here: Any, there: Any, place: Place) -> None:
        writer.store(writer.load(here, place) + writer.load(there, place), here, place)

    with writer.loop(writer.whole(0), images) as n:
        first = tuple(writer.after(x, builder.mul(n, s)) for x, s in ((outputs[0], size), (inputs[0], length)))
        with writer.loop(writer.whole(0), size) as k:
            writer.store(writer.zero(1), first[0], Place(k, 1))
        _write_runs(layout, writer, first, add)
