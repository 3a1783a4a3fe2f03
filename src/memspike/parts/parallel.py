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


def _shared_out() -> bool:
    """Whether this is already the share of one device, which cannot be shared out again."""
    return bool(jax.sharding.get_abstract_mesh().manual_axes)


def map_split(one: Callable[[Any], Any], items: Any) -> Any:
    """`one` of every item along axis 0, one after the other, shared out among devices where their number divides it."""
    devices = jax.device_count()
    if devices == 1 or _shared_out() or jax.tree.leaves(items)[0].shape[0] % devices:
        return jax.lax.map(one, items)
    mesh = devices_mesh("items")
    spec = PartitionSpec("items")
    return jax.shard_map(
        lambda part: jax.lax.map(one, part), mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False
    )(items)


def vmap_split(one: Callable[..., Any], *batched: Any) -> Any:
    """`vmap` of `one` over axis 0 of all leaves, shared out among devices where their number divides it.

    Every device runs its share on its own: loops end when those of its share have ended.
    """
    devices, count = jax.device_count(), jax.tree.leaves(batched)[0].shape[0]
    if devices == 1 or _shared_out() or count % devices:
        return jax.vmap(one)(*batched)
    mesh = devices_mesh("chips")
    spec = PartitionSpec("chips")
    shared = jax.shard_map(jax.vmap(one), mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
    return shared(*batched)


def split(x: Array, axis: int) -> Array:
    """`x` with `axis` spread over all devices, where their number divides it; otherwise `x` itself."""
    devices = jax.device_count()
    if devices == 1 or _shared_out() or x.shape[axis] % devices:
        return x
    mesh = devices_mesh("batch")
    spec = PartitionSpec(*([None] * axis), "batch")
    return jax.lax.with_sharding_constraint(x, NamedSharding(mesh, spec))


def held(tree: Any) -> Any:
    """The same values, computed once: otherwise XLA computes them again inside everything that uses them."""
    return jax.lax.optimization_barrier(tree)
