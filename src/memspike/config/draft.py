"""A network and a learner in Python: the tables of a configuration, with objects where a file has names."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import jax.numpy as jnp
import optax

from memspike.arrays.crossbar import Crossbar
from memspike.arrays.fidelity import Ideal, Resistive
from memspike.arrays.trains import Drive, Pulse
from memspike.config.resolve import checked, merged
from memspike.config.sections import ArraySettings, DriveSettings, LayerSettings, PulseSettings
from memspike.config.settings import Settings
from memspike.devices.base import AbstractDevice
from memspike.learning.programming.base import Scheme
from memspike.parts.content import content_of
from memspike.parts.errors import InputError
from memspike.parts.param import Meta
from memspike.parts.registry import OPTIMIZERS, SCHEMES, Registry
from memspike.parts.table import Recipe, build

# the type that a configuration has for what only this process can make
OBJECT = "given in Python"
LEARNING = ("rule", "scheme", "optimizer", "objective", "start")


class Draft(NamedTuple):
    """A layer, a network or a learner before the data say how large it is: tables, whose values may be objects."""

    kind: str
    tables: dict[str, Any]

    def changed(self, tables: Mapping[str, Any]) -> "Draft":
        """With other tables on top; InputError in one sentence for what cannot be."""
        found = Draft(self.kind, merged(self.tables, tables))
        if self.kind != "layer":
            checked(Settings, found.tables)
        return found


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _cells(synapse: Any) -> Any:
    """The cells of a device are differential pairs of it."""
    return {"device": synapse} if isinstance(synapse, AbstractDevice) else synapse


def layer(size: int | None = None, **parts: Any) -> Draft:
    """One layer of `size` neurons, or channels of a convolution, with what is its own.

    `parts` are the keys of a layer in a configuration: neuron, synapse (a cell, or a device), array, scheme, filter,
    connection, sources, recurrent, loops, bias. The last layer of a classifier has no size: it is that of the data.

    InputError for a key or a value that is not allowed.
    """
    if "synapse" in parts:
        parts["synapse"] = _cells(parts["synapse"])
    if "scheme" in parts:
        parts["scheme"] = _scheme(parts["scheme"])
    tables = _given(size=size, **parts)
    build(LayerSettings, tables, "layer")
    return Draft("layer", tables)


def _layer(given: Any) -> Any:
    if isinstance(given, Draft):
        if given.kind != "layer":
            raise InputError(f"A {given.kind} stands where a layer is needed: memspike.layer(100), or a whole number.")
        return given.tables
    return given


def network(
    layers: Any,
    *,
    type: str = "feedforward",
    neuron: Any = None,
    synapse: Any = None,
    crossbar: Crossbar | None = None,
    **options: Any,
) -> Draft:
    """A network of layers, sizes or `layer(…)`; the last one, of a neuron a class, may be left out.

    `neuron` and `synapse` (a cell, or a device) are those of all layers, objects or what a TOML file says; so is the
    `crossbar`, which has a cell of its own. `type` is the kind of network and `options` are its other keys:
    feedforward, recurrent, local or competitive; `array` stands for a crossbar without its cell. InputError in one
    sentence for what does not fit.
    """
    if isinstance(layers, str) or not isinstance(layers, Sequence):
        raise InputError(f"layers is {layers!r}; a list such as [100], or [memspike.layer(100)], is needed.")
    array = options.pop("array", None)
    if crossbar is not None:
        if synapse is not None or array is not None:
            raise InputError("A network was given a crossbar and a synapse or an array; the crossbar has its own.")
        synapse, array = crossbar.cell, array_of(crossbar)
    of_network = {"type": type, "layers": [_layer(one) for one in layers], **options}
    tables = {"network": of_network, **_given(neuron=neuron, synapse=_cells(synapse), array=array)}
    return Draft("network", {}).changed(tables)


def array_of(crossbar: Crossbar) -> ArraySettings:
    """What the cells of a crossbar share, as a configuration says it; InputError where it has no words for it."""
    if float(jnp.max(crossbar.programming_spread)) > 0:
        raise InputError(
            "Crossbar.programming_spread is that of new chips: leave it out and give the learner "
            "evaluation={'programming_spread': …}."
        )
    wires: Any = crossbar.wires
    if not isinstance(wires, Ideal | Resistive):
        raise InputError(f"Crossbar.wires is a {wires.__class__.__name__}; Ideal or Resistive is needed here.")
    ohms: dict[str, Any] = {}
    if isinstance(wires, Resistive):
        ohms = {k: float(jnp.asarray(getattr(wires, k))) for k in ("r_row", "r_column", "r_driver", "r_sense")}
        ohms["two_sided"] = wires.two_sided
    tiles, periphery = crossbar.tiles, crossbar.periphery
    return ArraySettings(
        **ohms,
        tile=None if tiles is None else (tiles.rows, tiles.columns),
        analog_sums=False if tiles is None else tiles.analog,
        dac=periphery.dac,
        amplifier=periphery.amplifier,
        adc=periphery.adc,
        order=periphery.order,
        read_noise=crossbar.read_noise,
        drive=None if crossbar.drive is None else _drive(crossbar.drive),
    )


def _pulse(given: Pulse) -> PulseSettings:
    known = {name: getattr(given, name) for name in ("energy", "width", "v")}
    return PulseSettings(**{name: None if value is None else float(value) for name, value in known.items()})


def _drive(given: Drive) -> DriveSettings:
    down, reset = (None if one is None else _pulse(one) for one in (given.down, given.reset))
    return DriveSettings(_pulse(given.up), down, reset)


def _recipe(value: Any, registry: Registry) -> Any:
    """A function that makes a scheme or an optimiser as what a table names."""
    if callable(value) and not isinstance(value, Recipe):
        name = next((entry.name for entry in registry if entry.value is value), OBJECT)
        return _object(value, value) if name == OBJECT else Recipe(value, name)
    return value


def _object(value: Any, make: Callable[..., Any]) -> Recipe:
    """What only this process can make, with its content: a run of another one is not the same."""
    content = content_of(value)

    def made(content: Annotated[str, Meta("1", "what the object holds")] = content, **more: Any) -> Any:
        return make(**more)

    return Recipe(made, OBJECT)


def _scheme(value: Any) -> Any:
    return _object(value, lambda: value) if isinstance(value, Scheme) else _recipe(value, SCHEMES)


def _optimizer(value: Any) -> Any:
    if isinstance(value, optax.GradientTransformation):
        return _object(value, lambda updates: value)
    return _recipe(value, OPTIMIZERS)


def learner(
    network: Any, rule: Any = None, scheme: Any = None, optimizer: Any = None, objective: Any = None, **sections: Any
) -> Draft:
    """What learns: a network, a rule, the scheme that writes, an optimiser (also one of optax), an objective.

    Each is an object, or what a TOML file says of it: a name, or a table. `sections` are the other tables of a
    configuration: encoder, augment, fabrication, simulation, evaluation, and `start`. What is left out has the value
    that `memspike show classifier` prints. InputError in one sentence for what does not fit.
    """
    if not (isinstance(network, Draft) and network.kind == "network"):
        raise InputError(f"The first argument is a {_called(network)}; a network is needed: memspike.network([100]).")
    learning = _given(
        rule=rule,
        scheme=_scheme(scheme),
        optimizer=_optimizer(optimizer),
        objective=objective,
        start=sections.pop("start", None),
    )
    known = [f.name for f in dataclasses.fields(Settings) if f.name not in ("experiment", "seeds", "seed", "data")]
    for name in ("training", *sections):
        if name in sections and (name not in known or name == "training"):
            allowed = [*LEARNING, *(one for one in known if one not in ("learning", "training"))]
            raise InputError(
                f"learner has no argument '{name}'; allowed: {', '.join(allowed)}; data, seeds and how long it trains "
                "are given to memspike.fit."
            )
    return Draft("learner", network.tables).changed({"learning": learning, **sections})


def _called(value: Any) -> str:
    return value.kind if isinstance(value, Draft) else type(value).__name__


def objects_in(tables: Any, path: str = "") -> list[str]:
    """Dotted keys of a configuration whose part was an object that no file can hold."""
    if isinstance(tables, list):
        return [key for k, value in enumerate(tables) for key in objects_in(value, f"{path}.{k}")]
    if not isinstance(tables, Mapping):
        return []
    own = [path.strip(".")] if tables.get("type") == OBJECT else []
    return own + [key for name, value in tables.items() for key in objects_in(value, f"{path}.{name}")]
