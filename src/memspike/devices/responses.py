"""What unequal pulses do to learning: response functions, the drift they cause, and the penalty that it amounts to."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from memspike.devices.asymmetry import Curve, asymmetry
from memspike.devices.base import AbstractPulseDevice

Values = Float[np.ndarray, " points"] | float


class Response(NamedTuple):
    """Steps over those of a linear device with `pulses` pulses a sweep, against the share of the range.

    E[Δg] = (F·E[n] − A·E|n|)/pulses for random whole pulses n at g, with F = (q⁺ + q⁻)/2 and A = (q⁻ − q⁺)/2: the
    second part is a drift that is there even where the wanted change is zero on average, towards the symmetry point
    if that attracts.
    """

    share: Curve
    up: Curve
    down: Curve
    pulses: float
    symmetry_point: float
    attracting: bool

    @property
    def mean(self) -> Curve:
        """F: how much of a wanted change happens."""
        return 0.5 * (self.up + self.down)

    @property
    def asymmetry(self) -> Curve:
        """A: what every pulse of either sign moves downwards on average."""
        return 0.5 * (self.down - self.up)

    def drift(self, share: Values, mean: Values = 0.0, activity: Values = 1.0) -> Float[np.ndarray, " points"]:
        """Expected change of the share of the range by one update with E[n] = `mean` and E|n| = `activity`."""
        f, a = (np.interp(share, self.share, curve) for curve in (self.mean, self.asymmetry))
        return np.atleast_1d((f * mean - a * activity) / self.pulses)

    def penalty(self) -> Curve:
        """∫ A/F dg from the symmetry point (mid-range without one): what analog SGD adds to the loss.

        With pulses in proportion to a noisy gradient the stationary point solves dL/dw = −(A/F)·E|∂L/∂w|, so the loss
        that is minimised is L + E|∂L/∂w|·penalty, whatever the learning rate; per unit of g as weight.
        """
        slope = self.asymmetry / np.maximum(self.mean, 1e-12)
        steps = 0.5 * (slope[1:] + slope[:-1]) * np.diff(self.share)
        summed = np.concatenate([[0.0], np.cumsum(steps)])
        start = self.symmetry_point if np.isfinite(self.symmetry_point) else 0.5
        return summed - np.interp(start, self.share, summed)


def response(device: AbstractPulseDevice, pulses: float | None = None, points: int = 401) -> Response:
    """The response of a device with scalar parameters; `pulses` of a linear sweep: by default 1 over its mean step.

    Source of the drift law: the expectation of one write, as in the analyses of analog SGD by Wu, Gokmen, Rasch & Chen,
    arXiv 2406.12774.
    """
    found = asymmetry(device, points)
    number = pulses or float(2 / (found.up.mean() + found.down.mean()))
    return Response(found.share, number * found.up, number * found.down, number, found.symmetry_point, found.attracting)
