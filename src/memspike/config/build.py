"""From checked settings to objects; below this file there is no configuration."""

import dataclasses
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from memspike.arrays.crossbar import Crossbar
from memspike.arrays.fidelity import AbstractWires, Ideal, Resistive
from memspike.arrays.periphery import Periphery
from memspike.arrays.tiles import Tiles
from memspike.arrays.trains import Drive, Pulse
from memspike.cells.base import AbstractCell
from memspike.cells.differential import DifferentialPair, MultiDevice
from memspike.cells.single import RangeReference, SingleReference, Stack, midpoint
from memspike.config.examples import examples, with_data
from memspike.config.networks import CompetitiveTopology, FeedforwardTopology, Ingredients, RecurrentTopology
from memspike.config.sections import ArraySettings, DriveSettings, FabricationSettings, LayerSettings, PulseSettings
from memspike.config.settings import Settings, seeds_of
from memspike.data.base import Dataset
from memspike.data.encoders import AbstractEvents, AbstractRates, ChannelEvents, FrameEvents
from memspike.data.pulse_trains import FramePulseRate
from memspike.data.trials import AbstractTrials, Examples
from memspike.data.value_encoders import AbstractSpikes
from memspike.devices.base import AbstractPulseDevice, span
from memspike.devices.description import spread_of
from memspike.devices.presets.neurosim import TABLE
from memspike.devices.step import ConstantStep, SoftBounds
from memspike.devices.variation.fabricate import AbstractSpread, OfLabel, Relative
from memspike.devices.variation.wrappers import AbstractWrapper
from memspike.learning.objectives import SquaredError
from memspike.learning.rules.eprop import Eprop
from memspike.networks.base import AbstractNetwork, Clock, clock
from memspike.networks.feedforward import Feedforward
from memspike.networks.recurrent import Recurrent
from memspike.parts import table
from memspike.parts.errors import InputError, unknown
from memspike.parts.refusals import NoGradientArray, NoNumbers, NothingAges, NotPlainDescent, OnlyNumbers
from memspike.parts.registry import DEVICES
from memspike.parts.table import Recipe
from memspike.parts.written import plain
from memspike.training.classify import Classification, Evaluation
from memspike.training.fit import Plan
from memspike.training.learner import Learner
from memspike.training.population import Population
from memspike.training.start import Fabrication


def data_set(settings: Settings, given: Dataset | None = None) -> Dataset:
    """The examples that a configuration asks for, of a `given` data set or of the one that it names.

    InputError where a batch does not fit into them.
    """
    wanted, batch = settings.data, settings.training.batch
    data = examples(wanted, settings.augment) if given is None else given
    data = data.limited(wanted.train, wanted.test)
    data = data if wanted.hold_out is None else data.held_out(wanted.hold_out)
    if batch > len(data.y_train):
        raise InputError(f"training.batch is {batch}; {data.name} has {len(data.y_train)} training examples here.")
    return data


def _wires(array: ArraySettings) -> AbstractWires:
    if array.ideal_wires:
        return Ideal()
    driver = array.r_row if array.r_driver is None else array.r_driver
    sense = array.r_column if array.r_sense is None else array.r_sense
    return Resistive(array.r_row, array.r_column, driver, sense, two_sided=array.two_sided)


def _tiles(array: ArraySettings, shape: tuple[int, int], lines: int, where: str) -> Tiles | None:
    """Tiles no larger than the matrix itself."""
    if array.tile is None:
        return None
    physical = (shape[0], shape[1] * lines)
    try:
        tiles = Tiles(*array.tile, array.analog_sums).within(physical)
        tiles.check(physical, lines)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return tiles


def _pulse(given: PulseSettings) -> Pulse:
    return Pulse(given.v, given.width, given.energy)


def _drive(given: DriveSettings | None, published: Any) -> Drive | None:
    """The pulses of a configuration, those published with the device, or none that are known."""
    if given is None:
        return None if published is None else jax.tree.map(jnp.asarray, Drive.of(published))
    down, reset = (None if pulse is None else _pulse(pulse) for pulse in (given.down, given.reset))
    return jax.tree.map(jnp.asarray, Drive(_pulse(given.up), down, reset))


def crossbar_of(settings: Settings, wires: bool, layer: LayerSettings, shape: tuple[int, int], where: str) -> Crossbar:
    """The crossbar of a matrix [rows, columns] with the parts of a layer or of the run; without `wires`, all ideal.

    Where some layers have a scheme of their own, those in digital memory have an array only where they ask for one.
    """
    cell, given = layer.synapse or settings.synapse, layer.array or settings.array
    preset = settings.fabrication.preset if layer.synapse is None else ""
    mixed = any(one.scheme is not None for one in settings.network.layers)
    digital = (layer.scheme or settings.learning.scheme)().digital
    if digital and mixed:
        given = layer.array or ArraySettings()
    if not wires:
        given = dataclasses.replace(ArraySettings(), drive=given.drive)
    if digital and (mixed or not isinstance(settings.network, FeedforwardTopology)):
        cell = digital_memory(cell)
    return Crossbar(
        cell,
        _wires(given),
        _tiles(given, shape, cell.gains().shape[0], where),
        Periphery(given.dac, given.amplifier, given.adc, given.order),
        read_noise=given.read_noise,
        drive=_drive(given.drive, TABLE[preset].pulse if preset in TABLE else None),
    )


def digital_memory(cell: AbstractCell) -> AbstractCell:
    """Digital memory in place of devices: the same weights, set exactly, without steps, drift and noise."""
    device = ConstantStep(g_min=1e-6, g_max=100e-6)
    if isinstance(cell, SingleReference | Stack):
        return SingleReference(device, midpoint(device), scale=cell.scale)
    if isinstance(cell, RangeReference):
        return RangeReference(device, cell.share)
    return DifferentialPair(device)


def _spread(given: FabricationSettings, device: AbstractPulseDevice, published: dict[str, Any]) -> dict[str, Any]:
    """Spread of the parameters of a device by their paths."""
    found: dict[str, Any] = {}
    inside, law = "", device
    while isinstance(law, AbstractWrapper):
        inside, law = inside + "device.", law.device
    if given.published and published:
        depth = max(p.count("device.") for paths in published for p in paths.split())
        extra = inside.count("device.") - depth
        more, skip = "device." * max(extra, 0), len("device.") * max(-extra, 0)
        found |= {" ".join(more + p[skip:] for p in paths.split()): how for paths, how in published.items()}
    elif isinstance(law, SoftBounds | ConstantStep):
        if given.range_spread:
            found |= {
                f"{inside}pulses_up {inside}pulses_down": Relative(given.range_spread),
                f"{inside}g_max": Relative(given.range_spread),
            }
        if given.label_spread and isinstance(law, SoftBounds):
            found |= {f"{inside}curvature_{side}": OfLabel(given.label_spread) for side in ("up", "down")}
    for path, how in _flat(given.spread):
        where = f"fabrication.spread.{path}"
        if isinstance(how, dict):
            how = table.build(AbstractSpread, how, where)
        elif isinstance(how, bool) or not isinstance(how, int | float) or not 0 <= how < float("inf"):
            raise InputError(f"{where} is {how!r}; a relative s.d. from 0 on, or a table with a type, is needed.")
        found[path] = how
    return found


def _flat(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Dotted paths of nested tables; a table with a type is a value."""
    found = []
    for key, value in tree.items():
        if isinstance(value, dict) and "type" not in value:
            found += _flat(value, f"{prefix}{key}.")
        else:
            found.append((prefix + key, value))
    return found


def fabrication(settings: Settings) -> Fabrication:
    """How chips differ."""
    given = settings.fabrication
    if given.preset and given.preset not in DEVICES:
        raise unknown("fabrication.preset", given.preset, [e.name for e in DEVICES], "see: memspike list devices")
    spread = _spread(given, settings.synapse.device, spread_of(given.preset))
    return Fabrication(spread, given.stuck, given.calibration, given.reference_error)


def _noisy(settings: Settings, network: AbstractNetwork) -> bool:
    """Whether reads in a trial have noise: of the arrays, or of devices in mid-range where the rule sees them."""
    if any(float(jnp.max(c.read_noise)) > 0 for c in network.crossbars):
        return True
    if not settings.learning.rule.sees_devices:
        return False
    for crossbar in network.crossbars:
        device = crossbar.cell.device
        state = device.place(device.init(()), device.g_min + 0.5 * span(device))
        if bool(jnp.max(device.read_moments(state).sd) > 0):
            return True
    return bool(getattr(network, "noise", 0.0))


def network_of(
    settings: Settings, inputs: int, outputs: int, *, wires: bool = True, image: tuple[int, ...] = ()
) -> AbstractNetwork:
    """The network of a configuration for so many rows of the first crossbar and outputs, and examples of that shape."""
    encoder, topology = settings.encoder, settings.network
    charge = float(encoder.max_rate) * settings.simulation.dt if isinstance(encoder, AbstractRates) else 1.0
    rule: Any = settings.learning.rule
    loops = isinstance(rule, Eprop) and rule.reference_order and not settings.learning.scheme().digital
    if loops and isinstance(topology, RecurrentTopology):
        topology = dataclasses.replace(topology, loops=True)
    crossbar = partial(crossbar_of, settings, wires)
    bias, spikes = isinstance(encoder, AbstractEvents), isinstance(encoder, AbstractRates | AbstractSpikes)
    width = encoder.width if isinstance(encoder, AbstractEvents) else None
    return topology.build(Ingredients(settings.neuron, crossbar, inputs, outputs, charge, image, bias, spikes, width))


def learner_of(settings: Settings, network: AbstractNetwork, steps: int, trials: int) -> Learner:
    """The learner of a configuration, for trials of so many steps, so many of them an epoch."""
    given, training, time = settings.learning, settings.training, settings.simulation
    own = schemes_of(settings, network)
    recipes = [given.scheme if one is None else one for one in own]
    for recipe, crossbar in zip(recipes, network.crossbars, strict=True):
        _check_tiles(recipe().tiles, recipe.name, crossbar.cell)
    if getattr(given.rule, "outer", False) and given.optimizer.name != "sgd":
        raise NotPlainDescent(given.optimizer.name)
    per_trial = 1 if training.update_every is None else max(1, steps // training.update_every)
    return Learner(
        network=network,
        rule=given.rule,
        scheme=given.scheme,
        objective=given.objective,
        optimizer=given.optimizer,
        start=given.start,
        fabrication=fabrication(settings),
        clock=clock(steps, time.dt, time.parts) if time.parts > 1 else Clock(time.dt, (steps,)),
        updates=training.epochs * (trials // training.batch) * per_trial,
        batch=training.batch,
        every=training.update_every,
        pause=time.pause,
        noisy=not all(one().digital for one in recipes) and _noisy(settings, network),
        own_schemes=() if own == (None,) * len(own) else own,
    )


def schemes_of(settings: Settings, network: AbstractNetwork) -> tuple[Recipe | None, ...]:
    """Of every matrix the scheme that its layer has for itself, or None."""
    layers: list[Any] = [*settings.network.layers, LayerSettings()]  # a last layer may be left out
    if isinstance(network, Recurrent):
        owners = (layers[0], layers[0], layers[1])
    elif isinstance(network, Feedforward):
        owners = tuple(layers[k] for k, one in enumerate(network.layers) for _ in one.crossbars())
    else:
        owners = layers[: len(network.shapes)]
    return tuple(layer.scheme for layer in owners)


def _check_tiles(tiles: int, name: str, cell: AbstractCell) -> None:
    if tiles > 1 and not isinstance(cell, Stack):
        raise NoGradientArray(name, type(cell).__name__)


def examples_of(settings: Settings, data: Dataset) -> Examples:
    """The training examples of a configuration as trials."""
    shape = data.x_train.shape[1:]
    encoder, time = settings.encoder.fitted(shape), settings.simulation
    steps = encoder.steps(shape, time.dt) or time.steps
    trials = Examples(
        jnp.asarray(data.x_train),
        jnp.asarray(data.y_train),
        encoder,
        settings.augment,
        data.classes,
        data.full_scale,
        steps,
        time.dt,
        settings.training.label_smoothing,
        settings.learning.rule.spread_batch,
        None if data.lengths_train is None else jnp.asarray(data.lengths_train),
    )
    settings.learning.objective.counts(steps)
    ends = [trials.own(jnp.asarray(n)) for n in (data.lengths_train, data.lengths_test) if n is not None]
    for own in ends:
        if own is not None:
            settings.learning.objective.counts(int(own.min()))
    return trials


class Built(NamedTuple):
    """What a configuration comes to: a population of chips, the learner as it is evaluated, and the examples."""

    population: Population
    learner: Learner
    data: Dataset


def classifier(settings: Settings, data: Dataset | None = None) -> Built:
    """Chips that learn the examples of a data set.

    `learner` is as the population's, but with wires and converters where the training leaves them out.
    """
    data = data_set(settings) if data is None else data
    settings = with_data(settings, data)
    trials = examples_of(settings, data)
    inputs = trials.encoder.channels(data.x_train.shape[1:])

    if not data.regression:
        jax.eval_shape(settings.learning.objective.predict, jnp.zeros((trials.steps, 1, data.classes)))  # tells classes

    def one(wires: bool) -> Learner:
        network = network_of(settings, inputs, data.classes, wires=wires, image=data.x_train.shape[1:])
        return learner_of(settings, network, trials.steps, trials.count)

    whole = one(True)
    trained = whole if settings.training.wires else one(False)
    return Built(Population([trained], trials, settings.training.order, seeds_of(settings)), whole, data)


def facts(settings: Settings) -> dict[str, Any]:
    """What a report says of a run beside what it has measured."""
    found: dict[str, Any] = {"endurance": settings.evaluation.endurance}
    own = (one.scheme or settings.learning.scheme for one in settings.network.layers)
    if settings.learning.scheme().digital and all(one().digital for one in own):
        found["digital"] = True
    drive, cell = settings.array.drive, settings.synapse
    rule: Any = settings.learning.rule
    for name, pulse in (("set_energy_j", drive and drive.up), ("reset_energy_j", drive and drive.reset)):
        if pulse and pulse.energy is not None:
            found[name] = pulse.energy
    if isinstance(rule, Eprop):
        found["target_rate_hz"] = float(rule.target_rate)
    if isinstance(cell, MultiDevice):
        found["devices_per_side"] = cell.per_side
    if isinstance(settings.encoder, FrameEvents | ChannelEvents | FramePulseRate):
        found["input"] = "frames"
    return found


def classification(settings: Settings, data: Dataset | None = None) -> Classification:
    """A training of classifiers, with all that is measured afterwards.

    InputError for what does not go together: a data set of numbers, ages of devices that do not age, and all else that
    parts refuse.
    """
    data = data_set(settings) if data is None else data
    if data.regression:
        raise OnlyNumbers(data.name, settings.experiment)
    built = classifier(settings, data)
    devices = [c.cell.device for c in built.learner.network.crossbars]
    if settings.evaluation.age and all(isinstance(device, ConstantStep) for device in devices):
        raise NothingAges()
    return Classification(*built, plan_of(settings), settings.evaluation, facts(settings))


def regression(settings: Settings, data: Dataset | None = None) -> Classification:
    """A training of networks that follow numbers, frame by frame."""
    data = data_set(settings) if data is None else data
    encoder, objective = settings.encoder, settings.learning.objective
    if not data.regression:
        raise NoNumbers("data.name", f"'{data.name}', which has classes", "targets that are numbers")
    if not isinstance(objective, SquaredError):
        raise NoNumbers("learning.objective", type(objective).__name__, "squared-error")
    if encoder.lasts() is None:
        given = f"{type(encoder).__name__}, which shows all frames at once"
        raise NoNumbers("encoder", given, "one that shows frame by frame, such as frame-rate")
    if isinstance(settings.network, CompetitiveTopology):
        raise NoNumbers("network", "competitive, whose neurons stand for classes", "recurrent, feedforward or local")
    check_measured(settings)
    return Classification(*classifier(settings, data), plan_of(settings), settings.evaluation, facts(settings))


def plan_of(settings: Settings) -> Plan:
    """How long the training of a configuration lasts."""
    given = settings.training
    return Plan(given.epochs, given.epochs_together, given.checkpoint_every)


def check_measured(settings: Settings) -> None:
    """InputError for keys of an evaluation that is the one of classified examples alone."""
    usual, given = plain(Evaluation()), plain(settings.evaluation)
    for name, value in given.items():
        if value != usual.get(name) and name not in ("at_once", "endurance"):
            said = value["type"] if isinstance(value, dict) else value
            raise InputError(
                f"evaluation.{name} is {said}, which {settings.experiment} does not measure; leave it out."
            )
    if not settings.training.wires:
        raise InputError(
            f"training.wires is false, but {settings.experiment} trains and tests on the same arrays; leave it out."
        )


def generator(settings: Settings, trials: AbstractTrials, steps: int, sizes: tuple[int, int]) -> Learner:
    """The learner of a configuration for other trials: of so many steps, inputs and outputs."""
    check_measured(settings)
    network = network_of(settings, *sizes)
    return learner_of(settings, network, steps, trials.count)
