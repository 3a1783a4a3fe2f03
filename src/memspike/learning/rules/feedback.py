"""The weights through which e-prop's error reaches the neurons."""

from abc import abstractmethod

import equinox as eqx
from jaxtyping import Array, Float

from memspike.parts.param import Parameter, check_bounds, param

Feedback = Float[Array, "neurons outputs"]


class AbstractFeedback(eqx.Module):
    """B [neurons, outputs], and what becomes of the random weights that a chip starts with."""

    def __check_init__(self) -> None:
        check_bounds(self)

    @abstractmethod
    def weights(self, stored: Feedback, output: Feedback) -> Feedback:
        """B, given the output weights of now."""

    @abstractmethod
    def after(self, stored: Feedback, change: Feedback) -> Feedback:
        """What is stored after the wanted `change` of the output weights."""


class Symmetric(AbstractFeedback):
    """B = W_out."""

    def weights(self, stored: Feedback, output: Feedback) -> Feedback:
        """The output weights."""
        return output

    def after(self, stored: Feedback, change: Feedback) -> Feedback:
        """Never used."""
        return stored


class Random(AbstractFeedback):
    """B fixed, random, drawn once."""

    def weights(self, stored: Feedback, output: Feedback) -> Feedback:
        """What is stored."""
        return stored

    def after(self, stored: Feedback, change: Feedback) -> Feedback:
        """Unchanged."""
        return stored


class Adaptive(AbstractFeedback):
    """B starts random and takes the wanted changes of the output weights, with a decay: it aligns with W_out."""

    decay: Parameter = param(1e-3, "1", "share of B lost in every update", bounds=(0, 1))

    def weights(self, stored: Feedback, output: Feedback) -> Feedback:
        """What is stored."""
        return stored

    def after(self, stored: Feedback, change: Feedback) -> Feedback:
        """Decayed, and moved like the output weights."""
        return (1 - self.decay) * stored + change
