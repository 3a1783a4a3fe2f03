"""What stands between digital numbers and a crossbar: DAC, sense amplifier, ADC, and how lines are combined."""

import dataclasses
from abc import abstractmethod
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from memspike.devices.base import Key, Real
from memspike.devices.part import AbstractPart
from memspike.parts.errors import InputError
from memspike.parts.param import Parameter, check_bounds, is_concrete, option, param
from memspike.parts.random import normal


class AbstractStage(AbstractPart):
    """One element of the periphery; its parameters are numbers or arrays along the last axis of its input.

    Without a key it is deterministic, with one it is noisy. Gradients go straight through rounding; where it clips,
    the gradient with respect to the input is 0.
    """

    @abstractmethod
    def __call__(self, x: Real, *, key: Key = None) -> Real:
        """What comes out for `x`, in the same unit."""


def _together(x: Real, *values: Parameter) -> tuple[Real, ...]:
    """`x` and parameters in their common shape."""
    try:
        return tuple(jnp.broadcast_arrays(x, *values))
    except ValueError:
        shapes = [jnp.shape(p) for p in values]
        raise InputError(f"Parameters of shapes {shapes} do not broadcast with a signal {jnp.shape(x)}.") from None


def _clip(x: Real, low: Real, high: Real) -> Real:
    """`x` kept in [low, high], both ends with slope 1; the slope beyond them goes to the bound."""
    return jnp.where(x > high, high, jnp.where(x < low, low, x))


def _straight(exact: Real, ideal: Real) -> Real:
    """The value of `exact` with the gradient of `ideal`."""
    return jax.lax.stop_gradient(exact) + (ideal - jax.lax.stop_gradient(ideal))


def _noisy(x: Real, rms: Parameter, key: Key) -> Real:
    x, rms = _together(x, rms)
    return x if key is None else x + rms * normal(key, x.shape, x.dtype)


def _top(converter: "ADC | DAC") -> Real:
    """The highest code: 2^(bits−1) − 1 if codes have a sign, otherwise 2^bits − 1."""
    power = jnp.asarray(converter.bits).astype(jnp.int32) - int(converter.bipolar)
    return jnp.ldexp(jnp.ones(power.shape, jnp.result_type(float)), power) - 1


def _in_steps(converter: "ADC | DAC", x: Real) -> tuple[Real, Real, Real]:
    """`x` clipped to the range, in LSB and not rounded; the highest code and the full scale."""
    x, full, top = _together(x, converter.range, _top(converter))
    return _clip(x, -full if converter.bipolar else jnp.zeros_like(full), full) / full * top, top, full


def _check_converter(converter: "ADC | DAC") -> None:
    check_bounds(converter)
    bits, least = np.atleast_1d(converter.bits) if is_concrete(converter.bits) else np.zeros(0), 1 + converter.bipolar
    bad = bits[(bits != np.round(bits)) | (bits < least)]
    if len(bad):
        which = f"{type(converter).__name__}.bits of a {'bipolar' if converter.bipolar else 'unipolar'} converter"
        raise InputError(f"{which} is {bad[0]:g}; allowed: whole numbers from {least} to 24.")


class Identity(AbstractStage):
    """An ideal stage of infinite resolution and range: its input is its output."""

    def __call__(self, x: Real, *, key: Key = None) -> Real:
        """`x` itself."""
        return x


class DAC(AbstractStage):
    """Wanted row voltages → voltages that stand on the rows: (1 + gain_error)·q(v) + offset + noise·ξ.

    q clips to the range and rounds to the nearest level k·range/K: K = 2^(bits−1) − 1 and k = −K … K if bipolar,
    K = 2^bits − 1 and k = 0 … K otherwise; code 0 is 0 V, code K the full scale. Errors may be arrays [rows].
    InputError for a range that is not positive and finite and for bits as of the ADC.
    """

    source: ClassVar[str] = "terms: IEEE Std 1658-2011, doi 10.1109/IEEESTD.2012.6152113"

    bits: Parameter = param(None, "bit", "resolution", bounds=(1, 24))
    range: Parameter = param(None, "V", "full scale: voltage of the highest code", bounds=(1e-9, 1e6))
    bipolar: bool = option(True, "codes have a sign")
    offset: Parameter = param(0.0, "V", "output voltage of code 0", bounds=(-1e6, 1e6))
    gain_error: Parameter = param(0.0, "1", "relative error of the slope", bounds=(-0.99, 10))
    noise: Parameter = param(0.0, "V", "noise at the output, rms", bounds=(0, 1e6))

    def __check_init__(self) -> None:
        _check_converter(self)

    @property
    def lsb(self) -> Real:
        """Voltage between neighbouring codes, in V."""
        return self.range / _top(self)

    def __call__(self, v: Real, *, key: Key = None) -> Real:
        """Wanted voltages [..., rows] in V → voltages on the rows in V; with a key, with fresh noise."""
        steps, top, full = _in_steps(self, v)
        held, gain, offset = _together(_straight(jnp.round(steps), steps) / top * full, self.gain_error, self.offset)
        return _noisy((1 + gain) * held + offset, self.noise, key)


class ADC(AbstractStage):
    """Currents → currents that the codes stand for: x = (1 + gain_error)·(i + noise·ξ) + offset, then code·LSB.

    code = round(x/LSB + inl(x)), clipped to −K … K with K = 2^(bits−1) − 1 if bipolar and to 0 … K with K = 2^bits − 1
    otherwise; LSB = range/K. Convention: mid-tread, code 0 means 0 A and code K the full scale exactly. So a column
    without current reads 0, not ±LSB/2; both signs of a weight are treated alike (one of the 2^bits codes stays
    unused); the error is at most LSB/2 in the whole range, its ends included.

    `inl` is a table of deviations in LSB at equidistant inputs from the lowest to the highest of the range, linear in
    between: one for every code, or a few; positive reads high. Where it falls by more than 1 LSB a code the converter
    is not monotone, where it rises by more than 1 codes are missing. Other parameters may be arrays [columns].
    InputError for a range that is not positive and finite, for bits that are not whole or out of 1 … 24 (2 … 24 if
    bipolar: one code measures nothing), and for a table that is not two or more finite numbers.
    """

    source: ClassVar[str] = (
        "terms: IEEE Std 1241-2010, doi 10.1109/IEEESTD.2011.5692956; LSB²/12: Bennett, Bell Syst. Tech. J. 27: 446 "
        "(1948), doi 10.1002/j.1538-7305.1948.tb01340.x; straight-through gradient: Bengio et al., arXiv 1308.3432"
    )

    bits: Parameter = param(None, "bit", "resolution", bounds=(1, 24))
    range: Parameter = param(None, "A", "full scale: current of the highest code", bounds=(1e-18, 1e3))
    bipolar: bool = option(True, "codes have a sign")
    offset: Parameter = param(0.0, "A", "current that is added before the code", bounds=(-1e3, 1e3))
    gain_error: Parameter = param(0.0, "1", "relative error of the slope", bounds=(-0.99, 10))
    noise: Parameter = param(0.0, "A", "noise at the input, rms", bounds=(0, 1e3))
    inl: Float[Array, " knots"] | None = eqx.field(
        default=None,
        converter=lambda table: None if table is None else jnp.asarray(table, jnp.result_type(float)),
        metadata={"doc": "deviations in LSB at equidistant inputs over the range"},
    )

    def __check_init__(self) -> None:
        _check_converter(self)
        table = np.asarray(self.inl) if is_concrete(self.inl) else np.zeros(2)
        if table.size < 2 or not np.isfinite(table).all():
            raise InputError(f"ADC.inl is {table}; two or more finite deviations in LSB are needed.")

    @property
    def lsb(self) -> Real:
        """Current between neighbouring codes, in A."""
        return self.range / _top(self)

    def seen(self, i: Real, *, key: Key = None) -> Real:
        """The current in A that is converted: `i` with noise (if keyed), gain error and offset.

        InputError for parameters that do not broadcast with the signal.
        """
        i, gain, offset = _together(_noisy(i, self.noise, key), self.gain_error, self.offset)
        return (1 + gain) * i + offset

    def codes(self, i: Real, *, key: Key = None) -> Real:
        """The output codes of currents `i` in A: whole numbers, as floating point numbers."""
        steps, top, _ = _in_steps(self, self.seen(i, key=key))
        low, moved = (-1.0 if self.bipolar else 0.0), steps
        if self.inl is not None:
            at = jnp.linspace(low, 1.0, self.inl.size, dtype=steps.dtype)
            moved = steps + jnp.interp(steps / top, at, self.inl)
        return _straight(jnp.clip(jnp.round(moved), low * top, top), steps)

    def __call__(self, i: Real, *, key: Key = None) -> Real:
        """Currents [..., columns] in A → the currents in A that their codes stand for; with a key, with noise."""
        code, full, top = _together(self.codes(i, key=key), self.range, _top(self))
        return code / top * full


def _samples(adc: ADC, currents: Real) -> Real:
    """Sizes in A of the currents that the codes have to cover."""
    seen = adc.seen(currents).ravel()
    sizes = jnp.abs(seen) if adc.bipolar else jnp.maximum(seen, 0.0)
    if is_concrete(sizes) and not (np.isfinite(sizes).all() and np.any(sizes)):
        raise InputError(f"{sizes.size} sample currents give no range; finite ones, not all 0 or clipped, are needed.")
    return sizes


def calibrated_converter(adc: ADC, currents: Real, quantile: float = 1.0) -> ADC:
    """The converter with one range that covers a share `quantile` of sample currents in A; 1 covers them all.

    Currents count as the converter sees them, gain error and offset included. `vmap` over columns gives each its own
    range. InputError for samples that are not finite or all 0, and for a quantile that is not in 0 … 1.
    """
    if not 0 < quantile <= 1:
        raise InputError(f"quantile is {quantile}; allowed: above 0, up to 1.")
    return dataclasses.replace(adc, range=jnp.quantile(_samples(adc, currents), quantile))


@jax.jit
def _best_range(x: Real, top: Real) -> Real:
    def step(lsb: Real) -> tuple[Real, Real]:
        code = jnp.minimum(jnp.round(x / lsb), top)
        better = jnp.where(code.any(), (code * x).sum() / jnp.maximum(jnp.square(code).sum(), 1.0), lsb)
        return jnp.square(code * lsb - x).mean(), better

    wide = x.max() / top * jnp.geomspace(1e-4, 2.0, 256, dtype=x.dtype)
    wide = wide[jnp.argsort(jax.lax.map(step, wide)[0])]
    near = jnp.concatenate([wide[:16], wide[0] * jnp.linspace(0.9, 1.1, 64, dtype=x.dtype)])
    near = jax.lax.fori_loop(0, 20, lambda _, lsb: jax.lax.map(step, lsb)[1], near)
    return near[jnp.argmin(jax.lax.map(step, near)[0])] * top


def calibrated_least_squares(adc: ADC, currents: Real) -> ADC:
    """The converter with the one range of least mean squared error of quantisation and clipping of currents in A.

    256 ranges from 10⁻⁴ to twice the largest current are tried (a wider one is never better than its half). The best
    16 and 64 within 10 % of the best are refined in turns: for given codes c the best LSB is Σc·x/Σc², for a given LSB
    the best codes are the nearest ones. InputError for samples that are not finite or all 0.
    """
    return dataclasses.replace(adc, range=_best_range(_samples(adc, currents), _top(adc)))


class SenseAmplifier(AbstractStage):
    """Transimpedance stage: v = r_f·((1 + gain_error)·trim·s·i + noise·ξ) + offset, clipped to ±swing.

    s = 1 − e^(−integration/tau): settling of a single pole. noise = noise_density·√bandwidth is white and at the input;
    a single pole has bandwidth = 1/(4·tau). As a stage it gives the current v/r_f that its output stands for, so that
    a converter behind it has its range in A.
    """

    source: ClassVar[str] = "textbook: transimpedance amplifier with one pole; definition of noise bandwidth"

    r_f: Parameter = param(None, "Ω", "feedback resistance", bounds=(1e-3, 1e15))
    gain_error: Parameter = param(0.0, "1", "relative error of the transimpedance", bounds=(-0.99, 10))
    trim: Parameter = param(1.0, "1", "factor set to make up for the gain error", bounds=(0.01, 100))
    offset: Parameter = param(0.0, "V", "output voltage without current", bounds=(-1e6, 1e6))
    swing: Parameter = param(1e6, "V", "largest output voltage of either sign", bounds=(1e-6, 1e6))
    noise_density: Parameter = param(0.0, "A/√Hz", "noise referred to the input", bounds=(0, 1))
    bandwidth: Parameter = param(1.0, "Hz", "noise bandwidth", bounds=(1e-6, 1e15))
    tau: Parameter = param(0.0, "s", "time constant; 0 settles at once", bounds=(0, 1e6))
    integration: Parameter = param(1e-6, "s", "time from the step of the current to the sample", bounds=(1e-15, 1e6))
    comparator_offset: Parameter = param(0.0, "V", "output voltage at which the decision turns", bounds=(-1e6, 1e6))

    def settled(self) -> Real:
        """Share of the final value that is reached at the sample."""
        slow = jnp.asarray(self.tau) > 0
        return jnp.where(slow, -jnp.expm1(-self.integration / jnp.where(slow, self.tau, 1.0)), 1.0)

    def volts(self, i: Real, *, key: Key = None) -> Real:
        """Currents [..., columns] in A → output voltages in V; with a key, with fresh noise.

        InputError for parameters that do not broadcast with the signal.
        """
        slope = (1 + self.gain_error) * self.trim * self.settled()
        i, slope, r_f, offset, swing = _together(i, slope, self.r_f, self.offset, self.swing)
        i = _noisy(slope * i, self.noise_density * jnp.sqrt(jnp.asarray(self.bandwidth)), key)
        return _clip(r_f * i + offset, -swing, swing)

    def __call__(self, i: Real, *, key: Key = None) -> Real:
        """Currents [..., columns] in A → v/r_f in A."""
        v, r_f = _together(self.volts(i, key=key), self.r_f)
        return v / r_f

    def decide(self, i: Real, *, key: Key = None) -> Real:
        """1 where the output exceeds `comparator_offset`, else 0; gradient of the line (−swing, 0) to (swing, 1).

        InputError for parameters that do not broadcast with the signal.
        """
        v, swing, threshold = _together(self.volts(i, key=key), self.swing, self.comparator_offset)
        return _straight((v > threshold).astype(v.dtype), 0.5 + 0.5 * v / swing)
