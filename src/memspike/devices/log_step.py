"""Steps that fall exponentially with the conductance: a logarithmic pulse curve."""

from typing import ClassVar

import jax.numpy as jnp

from memspike.devices.base import Real
from memspike.devices.step import AbstractStepDevice
from memspike.parts.param import Parameter, param


class LogStep(AbstractStepDevice):
    """dg/dn = s·e^(−β·g) upwards and −s·e^(−β·(1 − g)) downwards: the distance run is ln(1 + s·β·n·e^(−β·d))/β.

    d is the share already run in the direction taken (g upwards, 1 − g downwards). n pulses are one closed
    map that composes exactly. Swept from end to end in P pulses it is g = ln(1 + (e^β − 1)·n/P)/β.
    The assignment of the law to this source is from general knowledge of it.
    """

    source: ClassVar[str] = (
        "Querlioz, Bichler, Dollfus & Gamrat, IEEE Trans. Nanotechnol. 12(3): 288 (2013), "
        "doi 10.1109/TNANO.2013.2250995"
    )

    step_up: Parameter = param(0.03, "1", "upward step at g = 0, a share of the range", bounds=(1e-9, 10))
    step_down: Parameter = param(0.03, "1", "downward step at g = 1, a share of the range", bounds=(1e-9, 10))
    beta_up: Parameter = param(3.0, "1", "β of potentiation; 0 is linear", bounds=(-30, 30))
    beta_down: Parameter = param(3.0, "1", "β of depression; 0 is linear", bounds=(-30, 30))

    def response(self, share: Real, pulses: Real) -> Real:
        """The share run in the direction taken, after all pulses."""
        up = pulses > 0
        beta = jnp.where(up, self.beta_up, self.beta_down)
        step = jnp.where(up, self.step_up, self.step_down)
        run = jnp.where(up, share, 1 - share)
        straight = jnp.abs(beta) < 1e-5
        safe = jnp.where(straight, 1.0, beta)
        inside = 1 + step * safe * jnp.abs(pulses) * jnp.exp(-safe * run)
        # beta < 0 accelerates and passes the end after finitely many pulses
        gain = jnp.where(inside > 1e-12, jnp.log(jnp.maximum(inside, 1e-12)) / safe, 2.0)
        moved = run + jnp.where(straight, step * jnp.abs(pulses), gain)
        return jnp.where(up, moved, 1 - moved)
