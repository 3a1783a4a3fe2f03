"""Drift of any pulse device: a power law of the time since the last write, faster when hot."""

from typing import Any, ClassVar

import jax.numpy as jnp

from memspike.devices.base import AbstractPulseDevice, Key, Moments, Pulses, Real, Seconds, counts
from memspike.devices.step import SoftBounds
from memspike.devices.variation.wrappers import AbstractWrapper, Varied
from memspike.parts.param import Parameter, param, part

BOLTZMANN = 8.617333262e-5  # eV/K
LOWEST = 1e-12  # S: below it the state dependence of the exponent is not extrapolated


class Drift(AbstractWrapper):
    """A read t seconds after the last write sees G·(max(a·t, t₀)/t₀)^(−ν), with G the conductance up to t₀.

    ν = (nu + slope·ln(G/g_reference))·b, a = e^(E_a/k·(1/T_r − 1/T)), b the same with E_ν. `clock_energy` E_a makes
    time run faster above T_r = `reference_temperature`, `exponent_energy` E_ν makes the exponent larger; both are 0
    by default. A device keeps its exponent: a spread over devices is `fabricate(…, {"nu": Absolute(sd)})`. A negative
    ν lets G rise. The memory of the state is the age of the last write in s; one temperature holds all the time.
    """

    source: ClassVar[str] = (
        "power law: Joshi et al., Nat. Commun. 11: 2473 (2020), doi 10.1038/s41467-020-16108-9; Arrhenius factors and "
        "their use for other devices: definition"
    )

    device: AbstractPulseDevice = part(SoftBounds, "the device inside")
    nu: Parameter = param(0.04, "1", "drift exponent ν at g_reference and T_r", bounds=(-2, 2))
    slope: Parameter = param(0.0, "1", "change of ν per e-fold of G", bounds=(-2, 2))
    g_reference: Parameter = param(10e-6, "S", "conductance at which ν is nu", bounds=(1e-12, 1))
    t0: Parameter = param(1.0, "s", "time after a write until which G stands still at T_r", bounds=(1e-12, 1e12))
    temperature: Parameter = param(300.0, "K", "temperature T of the device", bounds=(1, 2000))
    reference_temperature: Parameter = param(300.0, "K", "temperature T_r", bounds=(1, 2000))
    clock_energy: Parameter = param(0.0, "eV", "activation energy E_a of the rate of time", bounds=(-10, 10))
    exponent_energy: Parameter = param(0.0, "eV", "activation energy E_ν of the exponent", bounds=(-10, 10))

    def init(self, shape: tuple[int, ...] = (), *, key: Key = None) -> Varied:
        """Fresh devices of age 0."""
        inner = self.device.init(shape, key=key)
        return Varied(inner, jnp.zeros_like(self.device.stored(inner)))

    def program(self, state: Varied, pulses: Pulses, *, key: Key = None) -> Varied:
        """The device inside is programmed; a device without a pulse keeps its age."""
        inner = self.device.program(state.inner, pulses, key=key)
        age = jnp.broadcast_to(state.memory, self.device.stored(inner).shape)
        return Varied(inner, jnp.where(counts(pulses) == 0, age, 0.0))

    def reset(self, state: Varied, *, key: Key = None) -> Varied:
        """The device inside is RESET; age 0."""
        return Varied(self.device.reset(state.inner, key=key), jnp.zeros_like(state.memory))

    def place(self, state: Varied, g: Real, *, key: Key = None) -> Varied:
        """The device inside is placed; the age stays."""
        return Varied(self.device.place(state.inner, g, key=key), state.memory)

    def stored(self, state: Varied) -> Real:
        """The programmed conductance in S, without drift."""
        return self.device.stored(state.inner)

    def wait(self, state: Varied, dt: Seconds) -> Varied:
        """Everything is `dt` older."""
        return Varied(self.device.wait(state.inner, dt), state.memory + dt)

    def exponent(self, g: Real) -> Real:
        """The drift exponent of a device programmed to `g` S, at its temperature."""
        inverse = (1 / self.reference_temperature - 1 / self.temperature) / BOLTZMANN
        shared = self.nu + self.slope * jnp.log(jnp.maximum(g, LOWEST) / self.g_reference)
        return shared * jnp.exp(self.exponent_energy * inverse)

    def factor(self, state: Varied, t: Seconds = 0.0) -> Real:
        """What drift leaves of the conductance in `t` seconds."""
        inverse = (1 / self.reference_temperature - 1 / self.temperature) / BOLTZMANN
        aged = jnp.exp(self.clock_energy * inverse) * (state.memory + t) / self.t0
        return jnp.exp(-self.exponent(self.stored(state)) * jnp.log(jnp.maximum(aged, 1.0)))

    def conductance(self, state: Varied, t: Seconds = 0.0, *, key: Key = None) -> Real:
        """What a read sees in `t` seconds, in S."""
        return self.device.conductance(state.inner, t, key=key) * self.factor(state, t)

    def read_moments(self, state: Any, t: Seconds = 0.0) -> Moments:
        """Those of the device inside, drifted."""
        inner, factor = self.device.read_moments(state.inner, t), self.factor(state, t)
        return Moments(inner.mean * factor, inner.sd * factor)
