"""The one learner: a network on chips, a rule that wants changes, a scheme that writes them."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from memspike.arrays.ledger import Ledger
from memspike.cells.base import CellState
from memspike.data.trials import Trial
from memspike.learning.objectives import AbstractObjective, Own
from memspike.learning.programming.base import Scheme
from memspike.learning.rules.base import AbstractRule, Batch, View, dense
from memspike.networks.base import AbstractNetwork, Cells, Clock, Corrections, corrections_of, lines_of, unity, wired
from memspike.networks.local import LocalNetwork
from memspike.parts.refusals import OnlyAfterTrials
from memspike.parts.table import Recipe
from memspike.training.start import AbstractStart, Fabrication

# of the wire solver for the correction in training: well below what the correction moves until it is renewed
LAG_TOLERANCE = 1e-3


class Lagged(NamedTuple):
    """The correction of the wires that training uses, and how far off it was at most when it was renewed."""

    corrections: Any
    deviation: Float[Array, "*chips"]


class Chip(NamedTuple):
    """What training carries from trial to trial: cells of all crossbars, states of rule and scheme, ledgers, wires.

    There is no ledger where the scheme sends no pulses, and no correction where all wires are ideal.
    """

    cells: tuple[CellState, ...]
    rule: Any
    scheme: tuple[Any, ...]
    ledger: tuple[Ledger, ...] | None
    wires: Lagged | None


# a chip after a step, and its metrics
Stepped = tuple[Chip, dict[str, Array]]


class Aged(NamedTuple):
    """How an old chip is seen: output gains of every crossbar that compensate its drift, or None."""

    gains: tuple[Array, ...] | None = None


class Learner(eqx.Module):
    """Everything that learns, as it is on paper; `made` draws the network of one chip. Holds no state.

    Numbers of all parts are leaves, so that learners which differ in numbers alone can be trained together. A matrix
    may have a scheme of its own (`own_schemes`, one a matrix, None for that of the run). `updates` is how many there
    will be, for the schedule of the optimiser; `batch` trials make one update, or with `every` some steps of them.
    `pause` seconds pass from one trial to the next.
    """

    network: AbstractNetwork
    rule: AbstractRule
    scheme: Recipe
    objective: AbstractObjective
    optimizer: Recipe
    start: AbstractStart
    fabrication: Fabrication
    clock: Clock = eqx.field(static=True)
    updates: int = eqx.field(static=True)
    batch: int = eqx.field(static=True, default=1)
    every: int | None = eqx.field(static=True, default=None)
    pause: float = eqx.field(static=True, default=0.0)
    noisy: bool = eqx.field(static=True, default=True)
    own_schemes: tuple[Recipe | None, ...] = ()

    def __check_init__(self) -> None:
        self.rule.check(self.network, self.objective, self.batch)
        if self.every is not None and not self.rule.segments:
            raise OnlyAfterTrials()

    @property
    def recipes(self) -> tuple[Recipe, ...]:
        """How the programming scheme of every matrix is made."""
        own = self.own_schemes or (None,) * len(self.network.shapes)
        return tuple(self.scheme if one is None else one for one in own)

    @property
    def schemes(self) -> tuple[Scheme, ...]:
        """The programming scheme of every matrix."""
        return tuple(recipe() for recipe in self.recipes)

    @property
    def digital(self) -> bool:
        """Whether all weights lie in digital memory."""
        return all(one.digital for one in self.schemes)

    @property
    def exact(self) -> bool:
        """Whether all weights are programmed without error, by no pulses."""
        return all(one.exact for one in self.schemes)

    @property
    def individual(self) -> bool:
        """Whether the network of a chip differs from that of the next."""
        return isinstance(self.network, LocalNetwork) or not (self.fabrication.idle or self.digital)

    def transformation(self) -> optax.GradientTransformation:
        """The optimiser for the updates of a training."""
        return self.optimizer(updates=self.updates)

    def made(self, key: PRNGKeyArray) -> AbstractNetwork:
        """The network of one chip as it comes out of the factory."""
        network, for_devices = self.network.drawn(key=key)
        return self.fabrication.network(network, [one.digital for one in self.schemes], key=for_devices)

    def view(self, network: AbstractNetwork, cells: Cells, corrections: Corrections, aged: Aged | None = None) -> View:
        """What the rule may see of a chip."""
        digital = self.digital
        clock = Clock(self.clock.dt, (self.clock.steps,)) if digital else self.clock
        gains = None if aged is None else aged.gains
        return View(
            network,
            self.objective,
            clock,
            cells,
            corrections,
            digital,
            self.exact,
            self.noisy,
            aged is not None,
            gains,
        )

    def init(self, network: AbstractNetwork, *, key: PRNGKeyArray) -> Chip:
        """A new chip before its first trial."""
        schemes = self.schemes
        cells = self.start.cells(network, [one.digital for one in schemes], key=key)
        lines = lines_of(network, cells)
        wires = Lagged(unity(network, lines), jnp.zeros(())) if wired(network) else None
        batch = () if self.batch == 1 else (self.batch,)
        view = self.view(network, cells, None if wires is None else wires.corrections)
        rule = self.rule.init(view, self.transformation(), batch, key=key)
        states = tuple(one.init(c, s) for one, c, s in zip(schemes, network.crossbars, cells, strict=True))
        ledger = None
        if not self.exact:
            ledger = tuple(c.ledger(shape) for c, shape in zip(network.crossbars, network.shapes, strict=True))
        return Chip(cells, rule, states, ledger, wires)

    def batch_of(self, trial: Trial) -> Batch:
        """A trial, or several, as the rule sees it."""
        counts = self.objective.counts(self.clock.steps, trial.own)
        return Batch(trial.x, trial.target, counts, jnp.asarray(True), trial.own)

    def step(self, network: AbstractNetwork, chip: Chip, trial: Trial, *, key: PRNGKeyArray) -> Stepped:
        """One trial, or a batch of them, and the updates that follow from it."""
        steps, whole = self.clock.steps, self.batch_of(trial)
        length = self.every or steps
        if length >= steps:
            return self._update(network, chip, whole, key=key)
        parts = steps // length

        def cut(values: Array) -> Array:
            return values[: parts * length].reshape(parts, length, *values.shape[1:])

        numbers = trial.target.ndim == trial.x.ndim  # something else at every step

        def body(chip: Chip, now: tuple[Array, Array, Array | None, Array]) -> Stepped:
            x, own, target, k = now
            part = Batch(x, trial.target if target is None else target, own, k == 0)
            return self._update(network, chip, part, key=jax.random.fold_in(key, k))

        shown = (cut(whole.x), cut(whole.counts), cut(trial.target) if numbers else None, jnp.arange(parts))
        chip, metrics = jax.lax.scan(body, chip, shown)
        return chip, jax.tree.map(lambda m: m.mean(0), metrics)

    def _update(self, network: AbstractNetwork, chip: Chip, batch: Batch, *, key: PRNGKeyArray) -> Stepped:
        """Rule, then programming, crossbar by crossbar; then time passes."""
        rule, crossbars = self.rule, network.crossbars
        corrections = None if chip.wires is None else chip.wires.corrections
        cells, before = rule.prepare(self.view(network, chip.cells, corrections), key=key)
        for_rule, for_scheme = rule.keys(key)
        view = self.view(network, cells, corrections)
        state, change, metrics = rule.update(chip.rule, view, batch, self.transformation(), key=for_rule)
        keys = jax.random.split(for_scheme, len(change))
        lagged = corrections or (None,) * len(change)
        parts = zip(self.schemes, chip.scheme, crossbars, cells, change, lagged, keys, strict=True)
        done = [
            one.apply(s, c, own, dw if one.outer else dense(dw), key=k, **({"correction": w} if one.reads else {}))
            for one, s, c, own, dw, w, k in parts
        ]
        cells, ledger = tuple(one.cells for one in done), chip.ledger
        if self.pause:
            cells = tuple(c.cell.wait(own, self.pause) for c, own in zip(crossbars, cells, strict=True))
        if ledger is not None:
            ledger = tuple(old if b is None else old + b for old, b in zip(ledger, before, strict=True))
            ledger = tuple(old + one.ledger for old, one in zip(ledger, done, strict=True))
        return Chip(cells, state, tuple(one.state for one in done), ledger, chip.wires), metrics

    def renewed(self, network: AbstractNetwork, chip: Chip) -> Chip:
        """The chip with the exact correction of its wires, and how far off the one in use was.

        That is the rms error of a weight's transfer over its rms, the largest of the crossbars.
        """
        assert chip.wires is not None
        lines = lines_of(network, chip.cells)
        fresh = corrections_of(network, lines, LAG_TOLERANCE)
        used = zip(network.crossbars, lines, chip.wires.corrections, fresh or (), strict=True)
        errors = [crossbar.deviation(g, old, new) for crossbar, g, old, new in used]
        deviation = jnp.maximum(chip.wires.deviation, jnp.stack(errors).max())
        return chip._replace(wires=Lagged(fresh, deviation))

    def predicted(self, view: View, chip: Chip, x: Any, own: Own = None, *, key: PRNGKeyArray | None) -> Array:
        """Classes that a chip takes trials for, each by the steps of its own; with a key, by noisy reads."""
        activity = self.rule.run(chip.rule, view, x, key=key)
        return self.rule.classes(chip.rule, self.objective.predict(activity.output, own))

    def followed(
        self, view: View, chip: Chip, x: Any, *, key: PRNGKeyArray | None
    ) -> Float[Array, "*batch steps outputs"]:
        """Outputs of a chip at every step of trials; with a key, by noisy reads."""
        return jnp.moveaxis(self.rule.run(chip.rule, view, x, key=key).output, 0, -2)
