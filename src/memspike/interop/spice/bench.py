"""A single device, or a single neuron, on a bench: the deck, the same by the library, and how far they are apart."""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from memspike.devices.base import AbstractStateDevice
from memspike.devices.sweep import SweepSetting, load_line
from memspike.interop.spice.expressions import number
from memspike.interop.spice.laws import law_of, start_of
from memspike.interop.spice.simulator import Simulator, control, simulate
from memspike.interop.spice.subcircuits import device_subcircuit, folded, helper_lines
from memspike.parts.errors import InputError

Times = Float[np.ndarray, " times"]
# the rise of a pulse over its length
RISE = 0.02


def cast(tree: Any) -> Any:
    """Arrays of real numbers in the precision in use."""
    kind = jnp.result_type(float)
    return jax.tree.map(lambda x: x.astype(kind) if isinstance(x, jax.Array) and x.dtype.kind == "f" else x, tree)


class Course(NamedTuple):
    """A supply voltage in V that is linear between its corners, at ascending times in s."""

    times: Times
    volts: Times

    def at(self, t: Times) -> Times:
        """The voltage in V at times in s."""
        return np.interp(t, self.times, self.volts)

    def card(self) -> list[str]:
        """The source of it."""
        return pwl("Vsupply s 0", self.times, self.volts)


def pwl(head: str, times: Any, volts: Any) -> list[str]:
    """A piecewise linear source in lines of a readable width.

    InputError for times that do not ascend: ngspice only warns where two are equal, and takes an odd count of numbers
    for another waveform.
    """
    times = np.asarray(times, float)
    if len(times) != len(volts) or not (np.diff(times) > 0).all():
        raise InputError(f"The source '{head}' has {len(times)} times and {len(volts)} voltages; times must ascend.")
    points = " ".join(f"{number(t)} {number(v)}" for t, v in zip(times, volts, strict=True))
    return folded(f"{head} PWL({points})")


def sweep_course(setting: SweepSetting, steps: int) -> Course:
    """One period of a sine from 0 V, with corners at `steps` times."""
    t = np.linspace(0.0, 1.0, steps + 1)
    return Course(t / setting.frequency, setting.amplitude * np.sin(2 * np.pi * t))


def pulse_course(setting: SweepSetting) -> Course:
    """A pulse up and one down, each a fifth of a period, with pauses between them."""
    length = 0.2 / setting.frequency
    rise = RISE * length
    corners = [(0.0, 0.0)]
    for begin, height in ((0.5, 1.0), (2.5, -1.0)):
        t = begin * length
        level = height * setting.amplitude
        corners += [(t, 0.0), (t + rise, level), (t + length, level), (t + length + rise, 0.0)]
    corners.append((5 * length, 0.0))
    times, volts = zip(*corners, strict=True)
    return Course(np.asarray(times), np.asarray(volts))


class Traces(NamedTuple):
    """At `times` in s the current in A and every state of a device, each over its scale."""

    times: Times
    current: Times
    states: tuple[Times, ...]


@eqx.filter_jit
def _driven(device: AbstractStateDevice, supply: Float[Array, " halves"], dt: Array, load: Array) -> tuple[Array, Any]:
    def voltage(state: Any, u: Array) -> Array:
        return load_line(device, state, u, load)

    def step(state: Any, u: Float[Array, " two"]) -> tuple[Any, Any]:
        middle = voltage(device.advance(state, voltage(state, u[0]), dt / 2), u[1])
        after = device.advance(state, middle, dt)
        return after, after

    _, states = jax.lax.scan(step, device.init(), supply[:-1].reshape(-1, 2))
    v = jax.vmap(voltage)(states, supply[2::2])
    return jax.vmap(device.current)(states, v), states


def by_library(device: AbstractStateDevice, course: Course, load: float, steps: int) -> Traces:
    """The library's own midpoint steps, in double precision."""
    with jax.enable_x64(True):
        device = cast(device)
        halves = np.linspace(0.0, course.times[-1], 2 * steps + 1)
        dt = course.times[-1] / steps
        i, states = _driven(device, jnp.asarray(course.at(halves)), jnp.asarray(dt), jnp.asarray(float(load)))
        return Traces(halves[2::2], np.asarray(i), start_of(device, states))


def device_deck(device: AbstractStateDevice, name: str, course: Course, load: float, steps: int) -> str:
    """A deck that drives a rested device through a load; the largest step is a `steps`-th of the course."""
    word = law_of(device).word
    part = device_subcircuit(device, word)
    step = number(course.times[-1] / steps)
    lines = [f"* memspike: the device {name} on a bench", *helper_lines(part.texts), *part.lines]
    lines += course.card()
    lines.append(f"Rload s p {number(load)}" if load else "Vload s p 0")
    lines += ["Vammeter p d 0", f"Xdevice d 0 {' '.join(part.ports)} {word}"]
    starts = zip(part.ports, start_of(device), strict=True)
    lines += folded(".ic " + " ".join(f"V({port})={number(np.ravel(x)[0])}" for port, x in starts))
    lines.append(".options reltol=1e-7 trtol=0.1 method=trap")
    lines.append(f".tran {step} {number(course.times[-1])} 0 {step} uic")
    lines += control(["i(vammeter)", *(f"v({port})" for port in part.ports)])
    return "\n".join([*lines, ".end", ""])


class Deviation(NamedTuple):
    """Largest difference over full scale: of the current, and of every state."""

    current: float
    states: tuple[float, ...]

    @property
    def largest(self) -> float:
        """Of all."""
        return max(self.current, *self.states)


def _share(ours: Times, theirs: Times, least: float) -> float:
    span = max(float(np.ptp(ours)), float(np.abs(ours).max()) if least == 0 else 0.0, least)
    return float(np.abs(ours - theirs).max()) / span if span else float(np.abs(theirs).max())


class Bench(NamedTuple):
    """A device under a course of its supply: both traces, at the library's times, and the deck."""

    library: Traces
    simulator: Traces
    deck: str

    @property
    def deviation(self) -> Deviation:
        """Over the largest current, and over the range of every state (of which 1 % of its scale is the least)."""
        states = zip(self.library.states, self.simulator.states, strict=True)
        return Deviation(
            _share(self.library.current, self.simulator.current, 0.0), tuple(_share(a, b, 0.01) for a, b in states)
        )


def device_bench(
    simulator: Simulator,
    device: AbstractStateDevice,
    course: Course,
    *,
    load: float = 0.0,
    steps: int = 20_000,
    name: str = "device",
) -> Bench:
    """A rested device by the library and by the simulator, both in at least `steps` steps."""
    deck = device_deck(device, name, course, load, steps)
    plot = simulate(simulator, deck).plot
    ours = by_library(device, course, load, steps)
    law = law_of(device)
    ports = [one.name for one in law.states][: law.compared]
    ours = ours._replace(states=ours.states[: law.compared])
    theirs = Traces(
        ours.times, plot.at("i(vammeter)", ours.times), tuple(plot.at(f"v({port})", ours.times) for port in ports)
    )
    return Bench(ours, theirs, deck)


COURSES: dict[str, Callable[[SweepSetting], Course]] = {
    "sweep": lambda setting: sweep_course(setting, 4000),
    "pulses": pulse_course,
}
