"""From a checked configuration to a feed-forward network on crossbars that learns by local errors."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.arrays.crossbar import Crossbar
from memspike.arrays.ledger import Drive, Pulse
from memspike.cells.base import AbstractCell
from memspike.cells.calibration import settling_points
from memspike.cells.differential import DifferentialPair
from memspike.cells.single import SingleReference, midpoint
from memspike.cells.stack import Stack
from memspike.cells.write import Alternate, BothSides, OneSided
from memspike.devices.base import AbstractPulseDevice, span
from memspike.devices.constant_step import ConstantStep
from memspike.devices.presets.neurosim import TABLE
from memspike.devices.presets.spread import spread_of
from memspike.devices.soft_bounds import SoftBounds
from memspike.devices.variation.base import AbstractWrapper
from memspike.devices.variation.cycle_to_cycle import CycleToCycle
from memspike.devices.variation.fabricate import fabricate
from memspike.devices.variation.spread import AbstractSpread, OfLabel, Relative
from memspike.experiments.learner import AbstractLearner, Chip
from memspike.experiments.local_config import LocalConfig, LocalLearningConfig, MatrixConfig
from memspike.experiments.named import pulse_device
from memspike.experiments.schemes import scheme_of
from memspike.learning.outer import dense
from memspike.learning.programming.base import Scheme
from memspike.learning.rules.base import Rule
from memspike.learning.rules.decolle import Always, Decolle, ErrorTriggered, Segment
from memspike.networks.local import LocalNetwork, local_network
from memspike.parts.errors import InputError
from memspike.parts.registry import RULES, SURROGATES

Real = Float[Array, "..."]
WIDTH = 100e-9
# options of schemes that are numbers of a chip: a population may differ in them
TRACED = ("fast", "period")


def device_of(given: MatrixConfig) -> AbstractPulseDevice:
    """The pulse device that a configuration names; without its cycle-to-cycle noise, if that is switched off.

    With labels it has the range of that device and the exponential law of the labels.
    """
    device = pulse_device(given.device, AbstractPulseDevice)
    if given.labels is not None:
        low, high = (jnp.mean(jnp.asarray(g)) for g in (device.g_min, device.g_max))
        levels = dict.fromkeys(("pulses_up", "pulses_down"), float(given.levels))
        device = CycleToCycle(
            SoftBounds.from_labels(*given.labels, g_min=low, g_max=high, **levels), given.c2c, given.c2c
        )
    if not given.cycle_noise and isinstance(device, CycleToCycle):
        return device.device
    return device


def spread_for(given: MatrixConfig, device: AbstractPulseDevice) -> dict[str, AbstractSpread]:
    """The published device-to-device spread; where there is none, that of the configuration around soft bounds."""
    if not given.spread:
        return {}
    published = {} if given.labels else spread_of(given.device)
    if published:
        skip = 0 if given.cycle_noise else len("device.")
        return {" ".join(p[skip:] for p in paths.split()): how for paths, how in published.items()}
    inside, law = "", device
    while isinstance(law, AbstractWrapper):
        inside, law = inside + "device.", law.device
    if not isinstance(law, SoftBounds | ConstantStep):
        return {}
    found: dict[str, AbstractSpread] = {
        f"{inside}pulses_up {inside}pulses_down": Relative(given.range_spread),
        f"{inside}g_max": Relative(given.range_spread),
    }
    if isinstance(law, SoftBounds):
        found |= {f"{inside}curvature_{side}": OfLabel(given.label_spread) for side in ("up", "down")}
    return found


def cell_of(given: MatrixConfig, digital: bool, tiles: int = 1) -> AbstractCell:
    """Devices as weights of up to ±weight_range; digital memory as a device without steps."""
    scale = 1 / given.weight_range
    if digital:
        device = ConstantStep(g_min=1e-6, g_max=100e-6)
        return SingleReference(device, midpoint(device), scale=scale)
    device = device_of(given)
    if given.cell == "tiles":
        return Stack(device, midpoint(device), max(tiles, 2), gamma=given.gamma, scale=scale)
    if given.cell in ("single", "zero-shift"):
        return SingleReference(device, midpoint(device), scale=scale)
    write = {"pair": OneSided, "push-pull": BothSides, "alternate": Alternate}[given.cell]()
    return DifferentialPair(device, write, scale=scale, balanced=given.cell != "pair")


def drive_of(given: MatrixConfig) -> Drive:
    """The published pulses of a device, or pulses of the energy of the configuration."""
    if given.device in TABLE and given.labels is None:
        drive = Drive.of(TABLE[given.device].pulse)
    else:
        pulse = Pulse(energy=given.pulse_energy, width=WIDTH)
        drive = Drive(pulse, pulse, pulse)
    return jax.tree.map(jnp.asarray, drive)


def descent(given: LocalLearningConfig, rate: Float[Array, ""], updates: int) -> optax.GradientTransformation:
    """Gradient descent, or Adamax as in the source of DECOLLE; the rate falls linearly to its last value."""
    falling = optax.linear_schedule(1.0, given.anneal, max(updates, 1))

    def now(count: Any) -> Any:
        return rate * falling(count)

    return optax.sgd(now) if given.optimizer == "sgd" else optax.adamax(now, b1=0.0, b2=0.95)


class LocalLearner(AbstractLearner):
    """Layers on a crossbar each, a rule with local errors, a scheme.

    `network` is the nominal one; a chip draws its readouts and the deviations of its devices.
    """

    config: LocalConfig = eqx.field(static=True)
    sizes: tuple[int, ...] = eqx.field(static=True)
    classes: int = eqx.field(static=True)
    crossbar: Crossbar
    rate: Float[Array, ""]
    theta: Float[Array, ""] | None
    options: dict[str, Float[Array, ""]]
    updates: int = eqx.field(static=True)
    noisy: bool = eqx.field(static=True)

    @property
    def scheme(self) -> Scheme:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The programming scheme, with the options of this chip."""
        return scheme_of(self.config.learning.scheme, self.config.programming, self.options)

    @property
    def individual(self) -> bool:
        """Readouts are random."""
        return True

    def crossbars(self) -> dict[str, Crossbar]:
        """One a layer."""
        return {f"layer {k + 1}": self.crossbar for k in range(len(self.sizes) - 1)}

    def fabricated(self, key: PRNGKeyArray) -> LocalNetwork:
        """The network of one chip."""
        given, task = self.config.network, self.config.task
        for_readouts, for_devices = jax.random.split(key)
        network = local_network(
            self.sizes,
            self.classes,
            amplitude=given.amplitude,
            key=for_readouts,
            crossbar=self.crossbar,
            surrogate=SURROGATES.get(given.surrogate).value(),
            tau=given.tau,
            tau_syn=given.tau_syn,
            tau_ref=given.tau_ref,
            gain=1 / (task.max_rate * task.dt),
        )
        if self.scheme.digital:
            return network
        keys = jax.random.split(for_devices, len(network.layers))
        made = [self._made(shape, k) for shape, k in zip(network.shapes, keys, strict=True)]
        return eqx.tree_at(lambda n: [layer.crossbar for layer in n.layers], network, made)

    def _made(self, shape: tuple[int, int], key: PRNGKeyArray) -> Crossbar:
        """The crossbar of one layer as it comes out of the factory."""
        given, cell = self.config.device, self.crossbar.cell
        for_devices, for_reference = jax.random.split(key)
        spread = spread_for(given, cell.device)
        if spread:
            device = fabricate(cell.device, spread, shape=(cell.programmed(), *shape), key=for_devices)
            cell = eqx.tree_at(lambda c: c.device, cell, device)
        if isinstance(cell, SingleReference | Stack) and given.cell in ("zero-shift", "tiles"):
            cell = eqx.tree_at(lambda c: c.reference, cell, self._references(cell, shape, key=for_reference))
        return eqx.tree_at(lambda c: c.cell, self.crossbar, cell)

    def _references(self, cell: SingleReference | Stack, shape: tuple[int, int], *, key: PRNGKeyArray) -> Real:
        """Where every device settles under alternating pulses, mid-range if nowhere, copied with the given error."""
        given, nominal = self.config.device, self.crossbar.cell
        for_pulses, for_copy = jax.random.split(key)
        points = settling_points(cell.device, (cell.programmed(), *shape), given.calibration, key=for_pulses)
        if isinstance(cell, SingleReference):
            points = points[0]
        missed = given.reference_error * span(nominal.device) * jax.random.normal(for_copy, points.shape)
        return jnp.clip(jnp.where(jnp.isnan(points), midpoint(nominal.device), points) + missed, *nominal.conductance_range())

    def problem(self, network: LocalNetwork) -> Decolle:
        """The local losses of a chip's network."""
        given = self.config.learning
        trigger = (
            Always()
            if self.theta is None
            else ErrorTriggered(theta=self.theta, low=-given.window, high=given.window, cutoff=given.cutoff)
        )
        return Decolle(network, self.config.task.dt, regulariser=given.regulariser, trigger=trigger)

    def rule(self, network: LocalNetwork) -> Rule:
        """The rule of that problem."""
        given = self.config.learning
        batch = () if given.batch == 1 else (given.batch,)
        return RULES.get(given.rule).value(self.problem(network), descent(given, self.rate, self.updates), batch)

    def init(self, network: LocalNetwork, *, key: PRNGKeyArray) -> Chip:
        """A new chip whose devices were put at random weights."""
        weights = network.init_weights(self.config.network.gain, key=key)
        crossbars = [layer.crossbar for layer in network.layers]
        pairs = list(zip(crossbars, weights, strict=True))
        cells = tuple(c.cell.place(c.cell.init(w.shape), w) for c, w in pairs)
        scheme = tuple(self.scheme.init(c, s) for c, s in zip(crossbars, cells, strict=True))
        rule = self.rule(network).init(network.weights(cells))
        ledger = tuple(c.ledger(w.shape) for c, w in pairs)
        return Chip(cells, scheme, rule, ledger)

    def step(
        self, network: LocalNetwork, chip: Chip, x: Real, target: Real, *, key: PRNGKeyArray
    ) -> tuple[Chip, dict[str, Array]]:
        """One trial [steps, *batch, inputs] and the update after it, or after every few steps of it."""
        steps = x.shape[0]
        length = self.config.learning.update_every or steps
        counts = (jnp.arange(steps) >= self.config.task.burn).astype(x.dtype)
        if length >= steps:
            return self._segment(network, chip, x, target, (counts, jnp.asarray(True)), key=key)
        parts = steps // length

        def body(chip: Chip, now: tuple[Array, Array, Array]) -> tuple[Chip, dict[str, Array]]:
            x, own, k = now
            return self._segment(network, chip, x, target, (own, k == 0), key=jax.random.fold_in(key, k))

        cut = [a[: parts * length].reshape(parts, length, *a.shape[1:]) for a in (x, counts)]
        chip, metrics = jax.lax.scan(body, chip, (cut[0], cut[1], jnp.arange(parts)))
        return chip, jax.tree.map(lambda m: m.mean(0), metrics)

    def _segment(
        self, network: LocalNetwork, chip: Chip, x: Real, target: Real, when: tuple[Array, Array], *, key: PRNGKeyArray
    ) -> tuple[Chip, dict[str, Array]]:
        """Some steps and the update after them; `when`: which of them count, and whether the trial begins here."""
        for_rule, for_scheme = jax.random.split(key)
        segment = Segment(x, target, *when, network.read(chip.cells, noise=self.noisy))
        weights = network.weights(chip.cells)
        state, change, metrics = self.rule(network).update(
            chip.rule, weights, segment, key=for_rule if self.noisy else None
        )
        keys = jax.random.split(for_scheme, len(change))
        parts = zip(chip.scheme, network.layers, chip.cells, change, keys, strict=True)
        done = [
            self.scheme.apply(s, layer.crossbar, cells, dw if self.scheme.outer else dense(dw), key=k)
            for s, layer, cells, dw, k in parts
        ]
        ledger = tuple(old + one.ledger for old, one in zip(chip.ledger, done, strict=True))
        return Chip(tuple(one.cells for one in done), tuple(one.state for one in done), state, ledger), metrics


def local_learner(config: LocalConfig, inputs: int, classes: int, updates: int) -> LocalLearner:
    """The blueprint of the chips of a configuration, for so many inputs, classes and trials in all."""
    scheme = scheme_of(config.learning.scheme, config.programming)
    cell = cell_of(config.device, scheme.digital, scheme.tiles)
    if scheme.tiles > 1 and not isinstance(cell, Stack):
        raise InputError(
            f"The scheme '{config.learning.scheme}' needs a fast tile beside the slow one: device.cell is "
            f"'{config.device.cell}'; tiles is needed."
        )
    given = {name: getattr(config.programming, name) for name in TRACED}
    theta = config.learning.theta
    per_trial = max(1, config.task.steps // (config.learning.update_every or config.task.steps))
    return LocalLearner(  # pyright: ignore[reportCallIssue] (of `scheme`, which is a property here)
        config=config,
        sizes=(inputs, *config.network.hidden),
        classes=classes,
        crossbar=Crossbar(cell, drive=drive_of(config.device)),
        rate=jnp.asarray(config.learning.rate),
        theta=None if theta is None else jnp.asarray(theta),
        options={name: jnp.asarray(value) for name, value in given.items() if value is not None},
        updates=updates * per_trial,
        noisy=_noisy(cell.device),
    )


def _noisy(device: AbstractPulseDevice) -> bool:
    """Whether reads of a device in mid-range have noise."""
    state = device.place(device.init(()), device.g_min + 0.5 * span(device))
    return bool(jnp.max(device.read_moments(state).sd) > 0)
