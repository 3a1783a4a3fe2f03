"""Static current–voltage curves of the cells of an array: odd, monotone, zero at 0 V."""

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from memspike.devices.numerics import root_magnitude
from memspike.devices.part import AbstractModel
from memspike.parts.param import Parameter, param

Real = Float[Array, "..."]
# Newton's method closes in on a selector from one side, by up to v_0 a step, and then doubles its digits
SELECTOR_STEPS = 30


class AbstractCurve(AbstractModel):
    """Current through a cell whose memory element has the conductance g, written for one cell.

    A curve is odd and rises strictly where g > 0. Parameters may be arrays [rows, columns]: each cell its own.
    """

    @abstractmethod
    def current(self, g: Real, v: Real) -> Real:
        """Current in A at `v` volts across a cell of conductance `g` in S."""

    @abstractmethod
    def slope(self, g: Real, v: Real) -> Real:
        """Its derivative with respect to `v` in V: a conductance in S, as `g` is."""


class Ohmic(AbstractCurve):
    """I = g·v."""

    source: ClassVar[str] = "Ohm's law"

    def current(self, g: Real, v: Real) -> Real:
        """g·v."""
        return g * v

    def slope(self, g: Real, v: Real) -> Real:
        """The conductance itself."""
        return g * jnp.ones_like(v)


class Sinh(AbstractCurve):
    """I = g·sinh(b·v)/b: tunnelling and hopping between traps; Ohm's law for b → 0. Valid while b·|v| < 80."""

    source: ClassVar[str] = "current of Yakopcic et al., IEEE EDL 32(10): 1436 (2011), doi 10.1109/LED.2011.2163292"

    b: Parameter = param(1.0, "1/V", "inverse voltage of the nonlinearity", bounds=(1e-6, 1e3))

    def current(self, g: Real, v: Real) -> Real:
        """g·sinh(b·v)/b."""
        return g * jnp.sinh(self.b * v) / self.b

    def slope(self, g: Real, v: Real) -> Real:
        """g·cosh(b·v)."""
        return g * jnp.cosh(self.b * v)


class PooleFrenkel(AbstractCurve):
    """I = g·v·exp(β·√|v|): field-assisted emission from traps.

    √|v| is smoothed to s(v) = v²/(v² + w²)^¾, the published law for w → 0, so that every derivative exists at 0 V.
    β = (q/kT)·√(q/(π·ε·d)) for a film of thickness d and high-frequency permittivity ε.
    """

    source: ClassVar[str] = (
        "Frenkel, Phys. Rev. 54: 647 (1938), doi 10.1103/PhysRev.54.647; in memories: Patmiou et al., arXiv 1906.07677"
    )

    beta: Parameter = param(2.0, "V^-1/2", "β, strength of the field's help", bounds=(0, 100))
    width: Parameter = param(1e-3, "V", "voltage w below which the curve is ohmic", bounds=(1e-6, 1))

    def current(self, g: Real, v: Real) -> Real:
        """g·v·exp(β·s(v))."""
        return g * v * jnp.exp(self.beta * root_magnitude(v, self.width))

    def slope(self, g: Real, v: Real) -> Real:
        """g·exp(β·s)·(1 + β·v·s'(v)) with v·s' = s·(v²/2 + 2w²)/(v² + w²)."""
        s, square, w2 = root_magnitude(v, self.width), v * v, self.width * self.width
        return g * jnp.exp(self.beta * s) * (1 + self.beta * s * (0.5 * square + 2 * w2) / (square + w2))


class Selector(AbstractCurve):
    """A two-sided exponential selector, I = i_s·sinh(v_s/v_0), in series with the memory element g.

    v_s is the root of i_s·sinh(v_s/v_0) = g·(v − v_s). Below about v_0·asinh(g·v/i_s) the selector takes the whole
    voltage, beyond it the memory element conducts. At low field the cell has 1/(1/g + v_0/i_s), not g. The
    derivative is that of the implicit function theorem.
    """

    source: ClassVar[str] = (
        "bidirectional exponential selector, one of the classes of Chen, J. Comput. Electron. 16: 1186 (2017), "
        "doi 10.1007/s10825-017-1059-7; the sinh form is a reconstruction"
    )

    i_s: Parameter = param(1e-10, "A", "scale of the selector current", bounds=(1e-18, 1))
    v_0: Parameter = param(0.05, "V", "voltage scale of the selector", bounds=(1e-3, 10))

    def selector_voltage(self, g: Real, v: Real) -> Real:
        """The part of `v`, in V, that drops across the selector in series with a device of `g` in S."""

        def balance(s: Real) -> Real:
            return self.i_s * jnp.sinh(s / self.v_0) - g * (v - s)

        def newton(_: Callable, s: Real) -> Real:
            def step(_: Array, s: Real) -> Real:
                return s - balance(s) / (self.i_s / self.v_0 * jnp.cosh(s / self.v_0) + g)

            return jax.lax.fori_loop(0, SELECTOR_STEPS, step, s)

        most = self.v_0 * jnp.arcsinh(g * jnp.abs(v) / self.i_s)
        start = jnp.sign(v) * jnp.minimum(jnp.abs(v), most)
        return jax.lax.custom_root(balance, start, newton, lambda f, y: y / f(jnp.ones_like(y)))

    def current(self, g: Real, v: Real) -> Real:
        """i_s·sinh(v_s/v_0)."""
        return self.i_s * jnp.sinh(self.selector_voltage(g, v) / self.v_0)

    def slope(self, g: Real, v: Real) -> Real:
        """g in series with the slope of the selector."""
        own = self.i_s / self.v_0 * jnp.cosh(self.selector_voltage(g, v) / self.v_0)
        return own * g / (own + g)
