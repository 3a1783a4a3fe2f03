"""Rows of tiles of devices, taken out of their arrays."""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jaxtyping import Array, Float, Int

from memspike.parts import kernels
from memspike.parts.kernels import Kernel

if TYPE_CHECKING:
    from memspike.parts.writer import Writer
else:
    Writer = Any

Shape = tuple[int, ...]
Rows = Int[Array, " reads"] | None


def part_of(tree: Any, shape: Shape, tile: int, row: Rows) -> Any:
    """The devices of a tile, or of rows of it, of an array of `shape` [tiles, rows, columns]; a row beyond the last is
    the last.

    What all devices share, and what is no array of devices, stays.
    """

    def one(x: Any) -> Any:
        n = jnp.ndim(x)
        if n < 2 or any(a not in (1, b) for a, b in zip(jnp.shape(x), shape[-n:], strict=True)):
            return x
        whole = jnp.broadcast_to(x, shape[-n:])
        own = whole[tile] if n == len(shape) else whole
        here = own if row is None else own.at[row].get(mode="clip")
        return here[None] if n == len(shape) else here

    return jax.tree.map(one, tree)


def taken(tree: Any, shape: Shape, tile: int, row: Int[Array, " reads"]) -> tuple[Any, Any]:
    """Rows as `part_of` has them, and the arrays that they were taken from: what is written to these comes afterwards,
    so that nothing has to be copied for it.
    """
    leaves, structure = jax.tree.flatten(tree)
    rows = tile * shape[1] + jnp.clip(row, 0, shape[1] - 1).astype(jnp.int32)
    parts, after = [], []
    for leaf in leaves:
        if jnp.shape(leaf) != shape or leaf.dtype != jnp.float32 or not kernels.available():
            parts.append(part_of(leaf, shape, tile, row))
            after.append(leaf)
            continue
        found, same = take(leaf, rows)
        parts.append(found[None])
        after.append(same)
    return jax.tree.unflatten(structure, parts), jax.tree.unflatten(structure, after)


def take(x: Float[Array, "*lines columns"], rows: Int[Array, " reads"]) -> tuple[Float[Array, "reads columns"], Array]:
    """Rows of an array, all axes but the last counted through, and the array, to which writes come afterwards."""
    if x.dtype != jnp.float32 or not kernels.available():
        return x.reshape(-1, x.shape[-1]).at[rows].get(mode="clip"), x
    return _take(x, rows)


@jax.custom_vjp
def _take(x: Array, rows: Int[Array, " reads"]) -> tuple[Array, Array]:
    return _kernel(x.ndim, False)(x, rows)


def _forward(x: Array, rows: Array) -> tuple[tuple[Array, Array], Array]:
    return _take(x, rows), rows


def _backward(rows: Array, wanted: tuple[Array, Array]) -> tuple[Array, None]:
    of_rows, of_array = wanted
    flat = of_array.reshape(-1, of_array.shape[-1]).at[rows].add(of_rows)
    return flat.reshape(of_array.shape), None


_take.defvjp(_forward, _backward)


@cache
def _kernel(rank: int, chips: bool) -> Callable[..., tuple[Array, Array]]:
    """(an array, rows [*chips, reads]) → these rows, and the array."""
    like = ((0, rank), (1, 1 + chips))
    kernel = Kernel(f"memspike_rows_{rank}{chips:d}", 2, 2, like, partial(_write, rank, chips))

    @custom_vmap
    def run(x: Array, rows: Array) -> tuple[Array, Array]:
        found, same = kernels.call(kernel, (x, rows), [(*rows.shape, x.shape[-1]), x.shape], same={0: 1})
        return found, same

    @run.def_vmap
    def _(size: int, batched: Sequence[bool], *given: Array) -> tuple[tuple[Array, Array], tuple[bool, bool]]:
        x, rows = (a if own else jnp.broadcast_to(a, (size, *a.shape)) for a, own in zip(given, batched, strict=True))
        if not chips:
            return _kernel(rank + 1, True)(x, rows), (True, True)
        found = run(x.reshape(-1, *x.shape[2:]), rows.reshape(-1, rows.shape[-1]))
        return tuple(a.reshape(size, -1, *a.shape[1:]) for a in found), (True, True)  # pyright: ignore[reportReturnType]

    return run


def _write(
    rank: int, chips: bool, writer: Writer, inputs: Sequence[Any], outputs: Sequence[Any], lengths: tuple[Any, ...]
) -> None:
    builder, columns, reads = writer.builder, lengths[rank - 1], lengths[-1]
    count = lengths[0] if chips else writer.whole(1)
    height = writer.product(lengths[int(chips) : rank - 1])
    with writer.loop(writer.whole(0), count) as chip, writer.loop(writer.whole(0), reads) as r:
        number = builder.add(builder.mul(chip, reads), r)
        row = builder.add(builder.mul(chip, height), writer.whole_at(inputs[1], number))
        here = writer.after(outputs[1], builder.mul(row, columns))
        there = writer.after(outputs[0], builder.mul(number, columns))
        writer.rows(columns, lambda place: writer.store(writer.load(here, place), there, place))
