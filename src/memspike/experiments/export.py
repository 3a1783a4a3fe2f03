"""A trained run as files for others: conductances, weights, predictions, traces, and pulses for a programmer."""

import csv
import io
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from memspike.devices.base import AbstractPulseDevice, span
from memspike.experiments.trained import TrainedRun
from memspike.parts.atomic import read_arrays, write_arrays, write_text
from memspike.parts.errors import InputError

MOST_PULSES, STILL = 100_000, 1000
TRACES = ("dt", "labels", "predicted", "images", "z", "y", "target")
COLUMNS = ("seed", "layer", "device", "row", "column", "conductance_s")
Values = Float[np.ndarray, "..."]


class Pulses(NamedTuple):
    """How targets are reached from a RESET: pulses up, the conductance in S that is expected then, half a step in S."""

    number: Int[np.ndarray, "..."]
    expected: Values
    tolerance: Values


def staircase(device: AbstractPulseDevice) -> Float[np.ndarray, " pulses"]:
    """Conductances in S after 0, 1, 2 … pulses up from a RESET, without noise.

    They end 1e-4 of the span below g_max, or where `STILL` pulses together move less than that: first pulses may be
    small.
    """
    state, rise = device.reset(device.init(())), jax.jit(lambda s: device.program(s, jnp.asarray(1)))
    found, least = [float(device.stored(state))], 1e-4 * float(span(device))
    while len(found) <= MOST_PULSES and found[-1] < float(device.g_max) - least:
        if len(found) > STILL and found[-1] - found[-1 - STILL] < least:
            break
        state = rise(state)
        found.append(float(device.stored(state)))
    return np.asarray(found)


def pulses_for(target: Values, steps: Float[np.ndarray, " pulses"]) -> Pulses:
    """The number of pulses whose expected conductance is nearest to each target in S; `steps` as of `staircase`."""
    rising = np.maximum.accumulate(steps)
    above = np.clip(np.searchsorted(rising, target), 1, len(rising) - 1)
    count = np.where(target - rising[above - 1] < rising[above] - target, above - 1, above)
    size = np.gradient(rising)
    return Pulses(count, rising[count], 0.5 * size[count])


def _plain(column: np.ndarray) -> list[Any]:
    """A column as CSV holds it: conductances to seven digits, as single precision has them."""
    return [f"{x:.7g}" for x in column.tolist()] if column.dtype.kind == "f" else column.tolist()


def _table(run: TrainedRun, conductances: dict[str, np.ndarray]) -> tuple[list[tuple[Any, ...]], tuple[str, ...]]:
    """Rows of a device each, and the names of the columns."""
    rows: list[tuple[Any, ...]] = []
    devices, exact = run.devices(), run.exact
    names = (*COLUMNS, "pulses_from_reset", "expected_s", "tolerance_s") if any(exact.values()) else COLUMNS
    for name, values in conductances.items():
        flat = [*np.stack([index.ravel() for index in np.indices(values.shape)])]
        columns: list[Any] = [np.asarray(run.seeds)[flat[0]], np.full(values.size, name), *flat[1:], values.ravel()]
        if exact[name]:
            columns += [*pulses_for(values.ravel(), staircase(devices[name]))]
        rows += zip(*(_plain(column) for column in columns), strict=True)
    return rows, names


def export_run(run: TrainedRun, folder: Path) -> list[Path]:
    """Write the files of a run into a new folder → their paths. InputError where the folder is not empty.

    `conductances.npz` and `weights.npz` hold [seeds, …] of every matrix; `conductances.csv` has a row a device: seed,
    layer, device of the weight, row, column, programmed conductance in S. Where the training set weights exactly, it
    also has how a programmer reaches each of them by identical pulses from a RESET (of the device without its spread),
    what conductance is expected then, and half a step there. `predictions.npz` has the predicted and the true classes
    (`labels`), or the numbers followed and wanted (`targets`), of all test examples of a data set, `traces.npz` what
    neurons do in the first of them.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"The folder {folder} is not empty; give another --out.")
    conductances = run.conductances()
    rows, names = _table(run, conductances)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    files = {"conductances.csv": text.getvalue()} if conductances else {}
    arrays: dict[str, dict[str, np.ndarray]] = {}
    if conductances:
        arrays |= {"conductances.npz": conductances, "weights.npz": run.weights()}
    if run.trained_on_examples:
        wanted = "labels" if run.labels.ndim == 1 else "targets"
        arrays["predictions.npz"] = {"predicted": run.predict(), wanted: run.labels, "seeds": np.asarray(run.seeds)}
    samples = run.folder / "samples.npz"
    if samples.exists():
        kept = read_arrays(samples)
        arrays["traces.npz"] = {k: v for k, v in kept.items() if k in TRACES or k.startswith("trace_")}
    for name, content in files.items():
        write_text(folder / name, content)
    for name, content in arrays.items():
        write_arrays(folder / name, content)
    return [folder / name for name in (*files, *arrays)]
