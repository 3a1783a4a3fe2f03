"""Checks of an installation: versions, devices, the two JAX faults that were seen, caches."""

import os
import time
from collections.abc import Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from memspike.data import store
from memspike.parts import compiled, imports, kernels
from memspike.parts.errors import InputError
from memspike.training.folder import environment


class Check(NamedTuple):
    """One line of `memspike doctor`."""

    name: str
    ok: bool
    detail: str


def vmapped_sum_error(n: int = 40_000) -> float:
    """Largest relative error of `n` inputs on one matrix, r ↦ Σ(M·r)², against numpy.

    Many reads of one crossbar under `vmap` and `jit`; jax 0.10.2 is wrong by orders (issue 39103).
    """
    rng = np.random.default_rng(0)
    m = rng.normal(size=(3, 3)).astype(np.float32)
    r = rng.normal(size=(n, 3)).astype(np.float32)
    ours = jax.jit(jax.vmap(lambda a, b: ((a @ b) ** 2).sum(), in_axes=(None, 0)))(m, r)
    theirs = ((r.astype(np.float64) @ m.T.astype(np.float64)) ** 2).sum(axis=1)
    return float(np.max(np.abs(np.asarray(ours) - theirs) / (theirs + 1e-2)))


def recorded_scan_growth(short: int = 5_000, factor: int = 8) -> float:
    """Processor time of a recorded scan `factor` times as long over the short one's, per step; 1 is linear.

    jax 0.11.1 rewrites the whole record at each step if a step's part of it is below 256 bytes
    (issue 40101), which makes this about `factor`.
    """

    def seconds(steps: int) -> float:
        def body(x: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
            x = 0.999 * x + 0.001
            return x, x

        scan = jax.jit(lambda x: jax.lax.scan(body, x, None, length=steps)[1])
        start = jnp.zeros(4)
        jax.block_until_ready(scan(start))
        times = []
        for _ in range(5):
            begin = time.process_time()  # not of other programs
            jax.block_until_ready(scan(start))
            times.append(time.process_time() - begin)
        return min(times)

    return seconds(short * factor) / seconds(short) / factor


def _compiled_programs() -> str:
    """Where compiled programs are kept, or why they are not."""
    kept = compiled.keep()
    if kept is not None:
        return str(kept)
    folder = compiled.folder()
    if folder is None:
        return f"not kept: ${compiled.FOLDER_VARIABLE} is 0"
    return "not kept: switched off in JAX" if compiled.usable(folder) else f"not kept: {folder} cannot be written"


def _own_parts() -> Check:
    """What installed packages and `--import` bring, or why they fail."""
    try:
        imports.bring_installed()
    except InputError as error:
        return Check("own parts", False, str(error))
    return Check("own parts", True, ", ".join(imports.offered()) or "none")


def checks() -> Iterator[Check]:
    """All checks, one at a time."""
    here = environment()
    yield Check("python", True, f"{here['python']} on {here['platform']}, {here['cores']} cores")
    yield Check("packages", True, ", ".join(f"{k} {v}" for k, v in here["packages"].items()))
    yield Check("devices", True, ", ".join(here["devices"]))
    error = vmapped_sum_error()
    yield Check("jax canary: vmapped matrix–vector sum", error < 1e-4, f"relative error {error:.1e}")
    growth = recorded_scan_growth()
    yield Check("jax canary: recorded scan is linear", growth < 4, f"time per step grows {growth:.2f}×")
    folder = store.folder()
    parent = next(p for p in (folder, *folder.parents) if p.exists())
    yield Check("data cache", os.access(parent, os.W_OK), str(folder))
    yield Check("compiled programs", True, _compiled_programs())
    yield Check("kernels", True, kernels.state())
    yield _own_parts()
    for name in store.SOURCES:
        present = store.path_of(name).exists()
        yield Check(f"data set {name}", True, "present" if present else f"absent; memspike data fetch {name}")
