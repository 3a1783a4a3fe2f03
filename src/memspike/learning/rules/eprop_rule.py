"""e-prop as a rule of a learner: constants, feedback, and the order of operations of the released code."""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, PRNGKeyArray

from memspike.arrays.ledger import Ledger
from memspike.learning.objectives import AbstractObjective, AbstractStepObjective
from memspike.learning.rules.base import AbstractRule, Batch, View, last_two_of_three, untouched
from memspike.learning.rules.eprop import SOURCE, Adaptive, Broadcast, Eprop, Real, Symmetric, Trial, eprop
from memspike.learning.rules.eprop_online import eprop_online
from memspike.networks.base import AbstractNetwork, Cells
from memspike.networks.recurrent import Recurrent
from memspike.parts.errors import InputError
from memspike.parts.param import Parameter, option, param
from memspike.parts.registry import RULES

FEEDBACK = ("symmetric", "random", "adaptive")


@RULES.register("eprop", "e-prop, traces summed up in one product of matrices a trial", SOURCE)
class EpropRule(AbstractRule):
    """The gradient of `Eprop` on a `Recurrent` network, scaled by the optimiser.

    In the `reference_order`, that of the released code of Demirağ et al. (arXiv 2108.01804), input traces are a step
    ahead of the neurons and both sides of every self-connection are RESET before every trial. `online` keeps a trace
    for every synapse instead of one product of matrices: the same numbers to rounding, one trial a batch.
    """

    source: ClassVar[str] = SOURCE
    spread_batch: ClassVar[bool] = False
    segments: ClassVar[bool] = False
    finite: ClassVar[bool] = False
    sees_devices: ClassVar[bool] = True

    feedback: str = option("random", "weights that carry the error back", choices=FEEDBACK)
    feedback_gain: float = option(0.1, "random feedback has s.d. gain·√(2/neurons)", bounds=(0, 1e6))
    rate_weight: Parameter = param(1e-4, "1", "price of firing rates away from the target", bounds=(0, 1e6))
    target_rate: Parameter = param(12.0, "Hz", "firing rate that is aimed at", bounds=(0, 1e6))
    clip: Parameter = param(100.0, "1", "largest size of an element of the gradient", bounds=(1e-12, 1e12))
    reference_order: bool = option(False, "order of operations of the released code: early traces, RESET loops")
    online: bool = option(False, "a trace for every synapse, step by step")

    def check(self, network: AbstractNetwork, objective: AbstractObjective, batch: int) -> None:
        """A recurrent network of spiking neurons, and an error at every step."""
        if not isinstance(network, Recurrent):
            raise InputError(
                f"e-prop needs a recurrent network of spiking neurons (lif, alif); this network is a "
                f"{type(network).__name__}. Set network.type=recurrent and neuron=lif, or another learning.rule."
            )
        if not isinstance(objective, AbstractStepObjective):
            raise InputError(
                f"e-prop needs an error at every step, as of cross-entropy or squared-error; "
                f"learning.objective is a {type(objective).__name__}."
            )
        if self.online and batch > 1:
            raise InputError(
                f"eprop-online shows one trial at a time; training.batch is {batch}. Set training.batch=1, or "
                "learning.rule=eprop."
            )

    def keys(self, key: PRNGKeyArray) -> tuple[PRNGKeyArray, PRNGKeyArray]:
        """The first of three keys is that of the preparation."""
        return last_two_of_three(key)

    def problem(self, view: View, feedback: Real) -> Eprop:
        """e-prop on a chip's network with the given feedback weights."""
        kinds = {"symmetric": Symmetric, "random": lambda: Broadcast(feedback), "adaptive": lambda: Adaptive(feedback)}
        assert isinstance(view.network, Recurrent)
        assert isinstance(view.objective, AbstractStepObjective)
        return Eprop(
            view.network,
            view.clock,
            view.objective,
            kinds[self.feedback](),
            rate_weight=self.rate_weight,
            rate=self.target_rate,
            clip=self.clip,
            lead=int(self.reference_order),
        )

    def init(
        self, view: View, optimizer: optax.GradientTransformation, batch: tuple[int, ...], *, key: PRNGKeyArray
    ) -> Any:
        """States of the optimiser and of the feedback, drawn with the third of three keys."""
        neurons, outputs = view.network.shapes[2]
        drawn = (
            self.feedback_gain
            * (2 / neurons) ** 0.5
            * jax.random.normal(jax.random.split(key, 3)[2], (neurons, outputs))
        )
        return eprop(self.problem(view, drawn), optimizer).init(view.weights())

    def prepare(self, view: View, *, key: PRNGKeyArray) -> tuple[Cells, tuple[Ledger | None, ...]]:
        """In the reference order both sides of every self-connection are RESET."""
        if not self.reference_order or view.digital:
            return untouched(view)
        crossbar, cells = view.network.crossbars[1], view.cells
        own = jnp.eye(view.network.shapes[1][0])[None] > 0
        where = jnp.broadcast_to(own, (crossbar.cell.programmed(), *own.shape[1:]))
        after, ledger = crossbar.erase(cells[1], where, key=jax.random.split(key, 3)[0])
        return (cells[0], after, cells[2]), (None, ledger, None)

    def _trial(self, view: View, x: Array, target: Any) -> Trial:
        if self.reference_order:
            x = jnp.concatenate([jnp.zeros_like(x[:1]), x[:-1]])
        return Trial(x, target, None if view.plain() else view.readings())

    def update(
        self, state: Any, view: View, batch: Batch, optimizer: optax.GradientTransformation, *, key: PRNGKeyArray
    ) -> tuple[Any, tuple[Any, ...], dict[str, Array]]:
        """One trial, or the mean of a batch of them."""
        make = eprop_online if self.online else eprop
        rule = make(self.problem(view, state.feedback), optimizer)
        return rule.update(state, view.weights(), self._trial(view, batch.x, batch.target), key=view.key(key))

    def run(self, state: Any, view: View, x: Any, *, key: PRNGKeyArray | None) -> Any:
        """The network on a trial."""
        return self.problem(view, state.feedback).run(view.weights(), self._trial(view, x, jnp.zeros(())), key=key)

    def classes(self, state: Any, predicted: Array) -> Array:
        """As predicted."""
        return predicted


@RULES.register("eprop-online", "e-prop with a trace for every synapse, step by step", SOURCE)
def eprop_rule_online() -> EpropRule:
    """`EpropRule` with `online`."""
    return EpropRule(online=True)
