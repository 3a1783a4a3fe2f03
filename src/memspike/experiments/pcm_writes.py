"""How phase-change memory answers to pulses: conductance after n of them, and where one blind write ends."""

from typing import NamedTuple

import jax
import numpy as np

from memspike.arrays.crossbar import Crossbar
from memspike.config.settings import Run
from memspike.devices.pcm import PCM
from memspike.devices.targets import ramp
from memspike.experiments.base import Result, registered
from memspike.experiments.table import Column
from memspike.learning.programming.accuracy import published_writers, write_grid
from memspike.learning.programming.base import Scheme
from memspike.parts.errors import InputError
from memspike.parts.param import option
from memspike.training.folder import RunFolder
from memspike.training.progress import Progress, Report

SET_PULSES, POPULATION = (1, 2, 4, 8, 12, 16, 20), 20_000


class WritesSettings(Run):
    """One measurement, whole."""

    g_max: float = option(12e-6, "highest conductance of a device", unit="S", bounds=(10.001e-6, 1))
    most: float = option(10e-6, "sources and targets go from −most to most", unit="S", bounds=(1e-12, 10e-6))
    points: int = option(21, "sources, and targets", bounds=(2, 100_000))
    repeats: int = option(1000, "cells of every pair of source and target", bounds=(2, 10**8))


class Writers(NamedTuple):
    """The writers by name, and how they are measured."""

    settings: WritesSettings
    of: dict[str, tuple[Crossbar, Scheme]]


def prepare(settings: WritesSettings) -> Writers:
    """The four published writers; InputError for more than one seed."""
    if settings.seeds != 1:
        raise InputError(f"seeds is {settings.seeds}; allowed for {settings.experiment}: 1 (set seed for other noise).")
    return Writers(settings, published_writers(settings.g_max))


def measure(writers: Writers, folder: RunFolder, *, resume: bool, report: Report) -> Result:
    """Write grids of the four published writers and the curve of SET pulses.

    Of each row `error` is the published figure of merit in S²: the mean over targets of the squared mean miss over
    sources; `mean_square` is that of single writes, `sd` what they scatter by on average.
    """
    settings = writers.settings
    arrays: dict[str, np.ndarray] = {}
    rows, start = [], jax.random.key(settings.seed)
    for k, (name, (crossbar, scheme)) in enumerate(writers.of.items()):
        own = jax.random.fold_in(start, k)
        grid = write_grid(
            crossbar, scheme, most=settings.most, points=settings.points, repeats=settings.repeats, key=own
        )
        arrays |= {f"{part}_{k}": np.asarray(value) for part, value in grid._asdict().items()}
        found = {"error": float(grid.error), "mean_square": float(grid.mean_square), "sd": float(grid.sd.mean())}
        rows.append({"writer": name, **found})
        report(Progress(k + 1, len(writers.of), found["error"], None))
    folder.write_arrays("grids.npz", arrays)
    reached = ramp(PCM(g_max=settings.g_max), SET_PULSES[-1], (POPULATION,), key=start)
    mean = np.asarray(reached, np.float64).mean(1)
    return {"rows": rows, **{f"g_after_{n}": float(mean[n]) for n in SET_PULSES}, "g_max": settings.g_max}


def headline(result: Result) -> str:
    """The writer with the lowest error."""
    best = min(result["rows"], key=lambda row: row["error"])
    return f"lowest error: {best['writer']}, {1e12 * best['error']:.3g} µS²"


pcm_writes = registered(
    "pcm-writes",
    "20 SET pulses on PCM, and blind writes from every conductance to every other, by four writers",
    {},
    quick={"points": 11, "repeats": 200},
    expected=0.32e-12,
    expected_quick=0.32e-12,
    reference=(
        "supplement of Demirağ et al., arXiv 2108.01804, and its released code; errors of an independent "
        "simulation at 12 µS: 3.43, 3.35, 3.39 µS² for N = 1, 8, 16 and 0.32 µS² for update-ready"
    ),
    carry=measure,
    headline=headline,
    kind="writes",
    columns=(
        Column("writer", "writer", "text"),
        Column("error", "error", "fixed", "µS²", 2),
        Column("mean_square", "mean square of a single write", "fixed", "µS²", 2),
        Column("sd", "s.d.", "fixed", "µS", 2),
    ),
    root=WritesSettings,
    prepare=prepare,
    measure="error",
)
