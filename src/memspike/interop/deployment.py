"""An imported network on device arrays: what it does as numbers, right after programming, and as its devices age."""

import dataclasses
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from memspike.arrays.compensation import NoCompensation
from memspike.config.build import crossbar_of, fabrication
from memspike.config.sections import LayerSettings
from memspike.config.settings import Settings
from memspike.interop.nir_import import Imported
from memspike.networks import base
from memspike.networks.base import Cells, Clock
from memspike.networks.feedforward import Feedforward
from memspike.parts.atomic import read_arrays
from memspike.parts.errors import InputError
from memspike.parts.written import type_of
from memspike.training.aging import Lifetime, drift_gains, later
from memspike.training.evaluate import exact_corrections, spread

HOUR, DAY = 3600.0, 86400.0
AGES = (1.0, HOUR, DAY, 2629746.0)
AT_ONCE = 250


class Inputs(NamedTuple):
    """Inputs [examples, steps, *shape] as they are given to the network, and the classes of them, where known."""

    x: Float[np.ndarray, "examples steps ..."]
    y: Int[np.ndarray, " examples"] | None


def random_inputs(imported: Imported, *, examples: int = 100, steps: int = 100, rate: float = 0.1) -> Inputs:
    """Independent spikes, at every input and step with the probability `rate`, always the same ones."""
    drawn = np.random.default_rng(0).random((examples, steps, *imported.shape)) < rate
    return Inputs(drawn.astype(np.float32), None)


def inputs_of(file: Path, imported: Imported) -> Inputs:
    """Inputs of an npz file: x [examples, steps, *shape], taken as they are, and y [examples], if there is one.

    InputError for another shape, NaN and infinity, and labels that are no outputs of the network.
    """
    if not file.is_file():
        raise InputError(f"The file {file} does not exist.")
    try:
        arrays = read_arrays(file)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{file} cannot be read as npz ({str(error).splitlines()[0]}).") from None
    if "x" not in arrays:
        raise InputError(f"{file} holds {', '.join(arrays) or 'nothing'}; an array x is needed, and y for an accuracy.")
    x, y = arrays["x"], arrays.get("y")
    if x.ndim != len(imported.shape) + 2 or x.shape[2:] != imported.shape or 0 in x.shape:
        wanted = ", ".join(map(str, imported.shape))
        raise InputError(f"x in {file} has shape {list(x.shape)}; [examples, steps, {wanted}] is needed.")
    if x.dtype.kind not in "buif" or not np.isfinite(x).all():
        raise InputError(f"x in {file} holds what is no finite number.")
    outputs = int(np.prod(imported.output_shape))
    if y is not None and (y.shape != x.shape[:1] or y.dtype.kind not in "bui" or y.min() < 0 or y.max() >= outputs):
        raise InputError(
            f"y in {file} has shape {list(y.shape)} and type {y.dtype}; a class from 0 to {outputs - 1} for each of "
            f"{len(x)} examples is needed."
        )
    return Inputs(x.astype(np.float32), y)


def on_devices(imported: Imported, settings: Settings) -> Imported:
    """The network on the crossbars that a configuration has in `synapse` and `array`, weights scaled to their cells."""
    weights, layers, scale = iter(imported.weights), [], imported.scale
    held: list[Float[Array, "rows columns"]] = []
    for k, layer in enumerate(imported.network.layers):
        where = f"layer {k}"
        crossbars = [crossbar_of(settings, True, LayerSettings(), shape, where) for shape in layer.shapes()]
        own = [next(weights) for _ in crossbars]
        factor = min(float(c.fitted(w)[1]) for c, w in zip(crossbars, own, strict=True))
        held += [w * factor for w in own]
        neuron = dataclasses.replace(layer.neuron, theta=layer.neuron.theta * factor)
        back = crossbars[1] if layer.recurrent is not None else None
        layers.append(dataclasses.replace(layer, crossbar=crossbars[0], recurrent=back, neuron=neuron))
        if k + 1 == len(imported.network.layers) and not imported.network.spiking_output:
            scale /= factor
    network = dataclasses.replace(imported.network, layers=tuple(layers))
    return imported._replace(network=network, weights=tuple(held), scale=scale)


@eqx.filter_jit
def _ran(network: Feedforward, readings: Any, rows: Array, dt: float, key: PRNGKeyArray | None) -> Array:
    return network.run(readings, rows, Clock(dt, (rows.shape[0],)), key=key).output


def _outputs(imported: Imported, network: Feedforward, readings: Any, x: np.ndarray, key: Any) -> np.ndarray:
    """Outputs [examples, steps, *shape], some examples at a time."""
    found = []
    for k in range(0, len(x), AT_ONCE):
        rows = imported.rows(np.moveaxis(x[k : k + AT_ONCE], 0, 1))
        own = None if key is None else jax.random.fold_in(key, k)
        sent = _ran(network, readings, rows, imported.dt, own)
        found.append(np.moveaxis(np.asarray(imported.outputs(sent)), 0, 1))
    return np.concatenate(found)


def _decided(outputs: np.ndarray) -> np.ndarray:
    """The output with the largest sum over all steps: most spikes, or the highest mean membrane."""
    return outputs.sum(1).reshape(len(outputs), -1).argmax(-1)


def _scored(outputs: np.ndarray, digital: np.ndarray, y: np.ndarray | None) -> dict[str, float]:
    """Accuracy where labels are known, and how far the outputs are those of the digital network."""
    decided = _decided(outputs)
    found = {} if y is None else {"accuracy": float((decided == y).mean())}
    whole = np.abs(digital).sum()
    difference = float(np.abs(outputs - digital).sum() / whole) if whole else float("nan")
    return {**found, "same_decision": float((decided == _decided(digital)).mean()), "difference": difference}


def _summed(name: str, compensation: str, age: float | None, scores: list[dict[str, float]]) -> dict[str, Any]:
    row: dict[str, Any] = {"network": name, "age_s": age, "compensation": compensation, "chips": len(scores)}
    for what in scores[0]:
        values = np.asarray([one[what] for one in scores])
        row |= {f"{what}_mean": float(values.mean()), f"{what}_sd": spread(values)}
    return row


def deploy(
    imported: Imported,
    settings: Settings,
    inputs: Inputs | None = None,
    *,
    ages: Sequence[float] = AGES,
    chips: int = 5,
) -> list[dict[str, Any]]:
    """Put an imported network onto `chips` device arrays and follow them → a row for each state and age in s.

    Rows: the network as numbers; ideal writes, where the conductances are exact and reads have no noise; chips with the
    spread of `settings.fabrication`, programmed by `evaluation.programmer` and read with their noise at every age, also
    with `evaluation.compensation`. A row has the accuracy, where labels are known, the share of inputs on which the
    largest output is that of the network of numbers, and Σ|y − y₀|/Σ|y₀| over all outputs and steps; mean and s.d. of
    the chips. Without `inputs` they are random. InputError for ages below 0, no chips, and what does not fit.
    """
    if not ages or any(not (np.isfinite(a) and a >= 0) for a in ages) or chips < 1:
        raise InputError(f"Ages are {list(ages)} s on {chips} chips; ages from 0 s on and a chip are needed.")
    x, y = inputs or random_inputs(imported)
    mapped = on_devices(imported, settings)
    digital = _outputs(imported, imported.network, imported.digital(), x, None)
    exact = _outputs(mapped, mapped.network, mapped.network.programmed(mapped.weights, None), x, None)
    rows = [
        _summed("numbers", "none", None, [_scored(digital, digital, y)]),
        _summed("ideal writes", "none", None, [_scored(exact, digital, y)]),
    ]
    wanted = settings.evaluation
    named = {"none": NoCompensation(), type_of(wanted.compensation): wanted.compensation}
    made = [_chip(mapped, settings, jax.random.key(settings.seed + k)) for k in range(chips)]
    for name, compensation in named.items():
        life = Lifetime(ages, wanted.programmer, compensation, wanted.reference_age, chips)
        for number, age in enumerate(ages):
            scores = []
            for k, (network, cells) in enumerate(made):
                key = jax.random.fold_in(jax.random.key(settings.seed + 1_000_003 + k), number)
                seen = _aged(network, cells, life, age, key)
                scores.append(_scored(_outputs(mapped, network, seen, x, key), digital, y))
            rows.append(_summed("chips", name, float(age), scores))
    return rows


def _chip(mapped: Imported, settings: Settings, key: PRNGKeyArray) -> tuple[Any, Cells]:
    """One chip with its own devices, programmed with the weights."""
    for_devices, for_writes = jax.random.split(key)
    crossbars = mapped.network.crossbars
    network = fabrication(settings).network(mapped.network, [False] * len(crossbars), key=for_devices)
    keys = jax.random.split(for_writes, len(crossbars))
    each = zip(network.crossbars, mapped.weights, keys, strict=True)
    written = [settings.evaluation.programmer.write(c.cell, w, key=k) for c, w, k in each]
    return network, tuple(one.state for one in written)


def _aged(network: Feedforward, cells: Cells, life: Lifetime, age: float, key: PRNGKeyArray) -> Any:
    """What reads of a chip see `age` seconds after its programming."""
    t = jnp.asarray(age, jnp.result_type(float))
    old = later(network, cells, t)
    seen = network.read(old, corrections=exact_corrections(network, old, aged=True))
    if isinstance(life.compensation, NoCompensation):
        return seen
    return base.scaled_columns(seen, drift_gains(network, cells, life, t, key))
