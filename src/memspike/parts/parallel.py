"""All cores of a CPU, or all accelerators, for one batch; and what the compiler shall not do twice."""

import contextlib
import os
from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array

_PATIENCE = "--xla_cpu_collective_call_terminate_timeout_seconds=1000000"


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def use_cores(count: int | None = None) -> int:
    """Let JAX see `count` CPU cores (all that this process may use, by default) as that many devices.

    Call it before the first array is made; later it changes nothing. → the number of devices. The
    patience flag keeps a run alive that was stopped and continued.
    """
    cores = count or _usable_cores()
    if "collective_call_terminate" not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_PATIENCE}".strip()
    with contextlib.suppress(RuntimeError):  # JAX has started already
        jax.config.update("jax_num_cpu_devices", cores)
    return jax.device_count()


def devices_mesh(axis: str) -> Mesh:
    """All devices in a row of that name."""
    return jax.make_mesh((jax.device_count(),), (axis,), axis_types=(AxisType.Auto,))


def _divides(count: int) -> bool:
    """Whether devices can share out so many: there are several, and this is not the share of one of them already."""
    several = jax.device_count() > 1 and not jax.sharding.get_abstract_mesh().manual_axes
    return several and count % jax.device_count() == 0


def _share_out(every: Callable[..., Any], axis: str, batched: tuple[Any, ...]) -> Any:
    """`every` of all leaves, shared out along axis 0 where devices divide it."""
    if not _divides(jax.tree.leaves(batched)[0].shape[0]):
        return every(*batched)
    spec = PartitionSpec(axis)
    return jax.shard_map(every, mesh=devices_mesh(axis), in_specs=spec, out_specs=spec, check_vma=False)(*batched)


def map_split(one: Callable[[Any], Any], items: Any) -> Any:
    """`one` of every item along axis 0, one after the other, shared out among devices where their number divides it."""
    return _share_out(lambda part: jax.lax.map(one, part), "items", (items,))


def vmap_split(one: Callable[..., Any], *batched: Any) -> Any:
    """`vmap` of `one` over axis 0 of all leaves, shared out among devices where their number divides it.

    Every device runs its share on its own: loops end when those of its share have ended.
    """
    return _share_out(jax.vmap(one), "chips", batched)


def loop_split(one: Callable[..., Any], *batched: Any) -> Any:
    """As `vmap_split`, one after the other: faster where `one` has work enough and its arrays stay near that way."""
    return _share_out(lambda *each: jax.lax.map(lambda own: one(*own), each), "chips", batched)


def along_batch(run: Callable[..., Any], axis: int, given: tuple[Any, ...], like: Any) -> Any:
    """`run(*given)`, each device for its part of `axis` (from the end), where their number divides it.

    For what XLA cannot share out by itself. Arrays of fewer axes are for all; `like` are the shapes of what comes out.
    """
    longest = max(given, key=lambda x: x.ndim)
    if longest.ndim < -axis or not _divides(longest.shape[axis]):
        return run(*given)

    def spec(x: Any) -> PartitionSpec:
        there = x.ndim >= -axis and x.shape[axis] == longest.shape[axis]
        return PartitionSpec(*([None] * (x.ndim + axis)), "batch") if there else PartitionSpec()

    ins, outs = tuple(spec(x) for x in given), jax.tree.map(spec, like)
    return jax.shard_map(run, mesh=devices_mesh("batch"), in_specs=ins, out_specs=outs, check_vma=False)(*given)


def split(x: Array, axis: int) -> Array:
    """`x` with `axis` spread over all devices, where their number divides it; otherwise `x` itself."""
    if not _divides(x.shape[axis]):
        return x
    spec = PartitionSpec(*([None] * axis), "batch")
    return jax.lax.with_sharding_constraint(x, NamedSharding(devices_mesh("batch"), spec))


def held(tree: Any) -> Any:
    """The same values, computed once: otherwise XLA computes them again inside everything that uses them."""
    return jax.lax.optimization_barrier(tree)
