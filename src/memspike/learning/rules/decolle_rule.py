"""DECOLLE as a rule of a learner."""

from typing import Any, ClassVar

import optax
from jaxtyping import Array, PRNGKeyArray

from memspike.arrays.ledger import Ledger
from memspike.learning.objectives import AbstractObjective
from memspike.learning.rules.base import AbstractRule, Batch, Rule, View, two_keys, untouched
from memspike.learning.rules.decolle import SOURCE, AbstractTrigger, Always, Decolle, Segment, decolle, decolle_outer
from memspike.networks.base import AbstractNetwork, Cells
from memspike.networks.local import LocalNetwork
from memspike.parts.errors import InputError
from memspike.parts.param import Parameter, option, param, part
from memspike.parts.registry import RULES


@RULES.register("decolle", "DECOLLE: local errors of fixed random readouts times traces, layer by layer", SOURCE)
class DecolleRule(AbstractRule):
    """The local gradients of `Decolle` on a `LocalNetwork`, scaled by the optimiser.

    With `outer` a wanted change stays a sum of outer products, which a scheme such as bit-lines multiplies in the
    array; the optimiser then has to be sgd.
    """

    source: ClassVar[str] = SOURCE
    spread_batch: ClassVar[bool] = False
    segments: ClassVar[bool] = True
    finite: ClassVar[bool] = False
    sees_devices: ClassVar[bool] = True

    regulariser: Parameter = param(0.0, "1", "price of high membranes and of silence", bounds=(0, 1e6))
    trigger: AbstractTrigger = part(Always, "what becomes of error, slope and trace before they are multiplied")
    outer: bool = option(False, "outer products that are not summed up outside the array")

    def check(self, network: AbstractNetwork, objective: AbstractObjective, batch: int) -> None:
        """Layers with a readout each."""
        if not isinstance(network, LocalNetwork):
            raise InputError(
                f"DECOLLE needs layers of trace-lif neurons with a readout each; this network is a "
                f"{type(network).__name__}. Set network.type=local and neuron=trace-lif, or another learning.rule."
            )

    def keys(self, key: PRNGKeyArray) -> tuple[PRNGKeyArray, PRNGKeyArray]:
        """Two."""
        return two_keys(key)

    def _rule(self, view: View, optimizer: optax.GradientTransformation, batch: tuple[int, ...]) -> Rule:
        assert isinstance(view.network, LocalNetwork)
        problem = Decolle(view.network, view.clock.dt, regulariser=self.regulariser, trigger=self.trigger)
        return (decolle_outer if self.outer else decolle)(problem, optimizer, batch)

    def init(
        self, view: View, optimizer: optax.GradientTransformation, batch: tuple[int, ...], *, key: PRNGKeyArray
    ) -> Any:
        """States of the optimiser and of all layers."""
        return self._rule(view, optimizer, batch).init(view.weights())

    def prepare(self, view: View, *, key: PRNGKeyArray) -> tuple[Cells, tuple[Ledger | None, ...]]:
        """Nothing."""
        return untouched(view)

    def update(
        self, state: Any, view: View, batch: Batch, optimizer: optax.GradientTransformation, *, key: PRNGKeyArray
    ) -> tuple[Any, tuple[Any, ...], dict[str, Array]]:
        """A segment."""
        x, target, counts, fresh = batch
        segment = Segment(x, target, counts.astype(x.dtype), fresh, view.readings())
        return self._rule(view, optimizer, ()).update(state, view.weights(), segment, key=view.key(key))

    def run(self, state: Any, view: View, x: Any, *, key: PRNGKeyArray | None) -> Any:
        """The network on a trial."""
        return view.network.run(view.readings(), x, view.clock, key=key)

    def classes(self, state: Any, predicted: Array) -> Array:
        """As predicted."""
        return predicted


@RULES.register("decolle-outer", "the same by plain gradient descent, as outer products that arrays multiply", SOURCE)
def decolle_rule_outer() -> DecolleRule:
    """`DecolleRule` with `outer`."""
    return DecolleRule(outer=True)
