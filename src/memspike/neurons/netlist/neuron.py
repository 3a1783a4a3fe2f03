"""A neuron that is a netlist: compiled to an implicit step."""

from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from memspike.devices import MetastableSwitch
from memspike.neurons.base import AbstractNeuron
from memspike.neurons.netlist.advance import step as advance
from memspike.neurons.netlist.elements import (
    AbstractElement,
    Capacitor,
    Memristor,
    VoltageSource,
    VoltageSwitch,
)
from memspike.neurons.netlist.equations import Given, Middle, Static, across, source_sum
from memspike.neurons.netlist.events import excess
from memspike.neurons.netlist.implicit import settle
from memspike.neurons.netlist.topology import topology
from memspike.parts.errors import InputError, RunError
from memspike.parts.param import is_concrete, option, part

Real = Float[Array, "..."]
# lengths in s of the implicit steps that lead to rest: from far below to far above all times of a circuit
TO_REST = np.geomspace(1e-15, 1e12, 55)


class NetlistState(NamedTuple):
    """Voltages in V of the capacitors, states of the devices, and 1 for the switches that are on, by their number.

    `v`: the voltages in V of the groups of nodes in the last mid-step and, `ahead`, those expected in the next, where
    the solution is sought.
    `failed`: how many steps had no solution; from the first on all voltages are NaN.
    """

    u: dict[int, Real]
    x: dict[int, Any]
    on: dict[int, Real]
    v: tuple[Real, ...]
    ahead: tuple[Real, ...]
    failed: Real


def published_pair() -> tuple[AbstractElement, ...]:
    """The circuit of the MIF neuron: a capacitor, and two memristors, one in series with a battery of 50 mV."""
    return (
        Capacitor(1e-9, "C1", ("v", "0")),
        Memristor(MetastableSwitch(), "X1", ("v", "0")),
        Memristor(MetastableSwitch(), "X2", ("v", "e2")),
        VoltageSource(50e-3, "VE2", ("e2", "0")),
    )


class Netlist(AbstractNeuron):
    """A circuit of resistors, capacitors, sources, switches and devices of the library, with a step of its own.

    The input current enters at the node `input`, from the ground; the membrane is the node `membrane`, which has to be
    held by capacitors. A step is the implicit midpoint rule with Newton's iteration; the switching of hard switches is
    found within it. A step without a solution makes all voltages NaN and is counted in `failed` of the state.

    The neuron starts at rest: all capacitors open, all devices settled. Where a capacitor has an `initial` voltage it
    starts there instead, the other capacitors at theirs or 0 V, and devices as they are after a long time at 0 V.
    An oscillator has no rest: give it initial voltages.

    InputError for a netlist that cannot be solved, with the name of the element or the node.
    """

    source: ClassVar[str] = (
        "modified nodal analysis: Ho, Ruehli & Brennan, IEEE Trans. Circuits Syst. 22(6): 504 (1975), doi "
        "10.1109/TCS.1975.1084079; default circuit: Kang et al., IEEE TCAS-I 68(12): 4837 (2021), doi "
        "10.1109/TCSI.2021.3126555"
    )

    elements: tuple[AbstractElement, ...] = part(published_pair, "the elements of the circuit")
    input: str = option("v", "the node that the input current flows into")
    membrane: str = option("v", "the node whose voltage is the membrane's")
    substeps: int = option(1, "equal parts of a step in time", bounds=(1, 1_000_000))
    events: int = option(2, "switchings of hard switches that are found in one part of a step", bounds=(1, 100))

    def __check_init__(self) -> None:
        if not self.elements:
            raise InputError("Netlist.elements is empty; a circuit is needed.")
        topology(self.elements, self.input, self.membrane)
        check_initial(self)

    def rest(self) -> Real:
        """The voltage in V of the membrane at the start."""
        return self.voltage(_start(self))

    def init(self, shape: tuple[int, ...] = ()) -> NetlistState:
        """`shape` neurons at the start."""
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, shape or jnp.shape(leaf)), _start(self))

    def voltage(self, state: NetlistState) -> Real:
        """The voltage of the membrane in V."""
        return self.between(state, self.membrane)

    def between(self, state: NetlistState, node: str, other: str = "0") -> Real:
        """The voltage in V of a node that capacitors hold, against another one.

        InputError for nodes that they do not hold.
        """
        path = static_of(self).topology.path((node, other))
        if path is None:
            raise InputError(f"The voltage between nodes '{node}' and '{other}' is not held by capacitors.")
        volts = source_sum(self.elements, path, state.u)
        return jnp.zeros(()) if volts is None else volts

    def step(self, state: NetlistState, current: Real, dt: float) -> tuple[NetlistState, Real]:
        """`substeps` equal parts with the injected `current` in A at mid-step → (state, membrane in V)."""
        static, h = static_of(self), dt / self.substeps

        def one(s: NetlistState, _: None = None) -> tuple[NetlistState, None]:
            h_ = jnp.asarray(h, s.v[0].dtype)
            reached = advance(static, Given(self.elements, current, h_, s.u, s.x, s.on), s.ahead, self.events)
            u = jax.tree.map(lambda x: jnp.where(reached.solved, x, jnp.nan), reached.u)
            failed = s.failed + (1 - reached.solved.astype(s.failed.dtype))
            ahead = reached.y.v if s.on else tuple(2 * new - old for new, old in zip(reached.y.v, s.v, strict=True))
            return NetlistState(u, reached.x, reached.on, reached.y.v, ahead, failed), None

        if self.substeps == 1:
            state = one(state)[0]
        else:
            shapes = jax.eval_shape(lambda s: one(s)[0], state)
            start = jax.tree.map(lambda leaf, like: jnp.broadcast_to(leaf, like.shape), state, shapes)
            state, _ = jax.lax.scan(one, start, None, length=self.substeps)
        return state, self.voltage(state)


def static_of(neuron: Netlist) -> Static:
    """What the step of a netlist is compiled for."""
    found = topology(neuron.elements, neuron.input, neuron.membrane)
    unknown = found.place(neuron.input).unknown
    assert unknown is not None, "the input is held by a source"
    return Static(found, unknown)


def check_solved(state: NetlistState) -> None:
    """RunError with the number of steps that had no solution, if there are any."""
    failed = int(np.asarray(state.failed).max())
    if failed:
        raise RunError(
            f"{failed} steps of the netlist had no solution, and all voltages after the first of them are NaN: "
            "Newton's iteration did not converge, or more switchings than `events` fell into one part of a step; take "
            "a shorter step, or more substeps."
        )


def _blank(neuron: Netlist) -> tuple[dict[int, Any], dict[int, Real]]:
    """Devices at 0 V, and switches as they are given."""
    zero = jnp.zeros(())
    devices = {k: e.device.init() for k, e in enumerate(neuron.elements) if isinstance(e, Memristor)}
    switches = {k: zero + float(e.on) for k, e in enumerate(neuron.elements) if isinstance(e, VoltageSwitch)}
    return devices, switches


def initial(neuron: Netlist) -> dict[int, Real] | None:
    """The voltages of the capacitors where initial ones are given, else None."""
    each = {k: e for k, e in enumerate(neuron.elements) if isinstance(e, Capacitor)}
    if all(e.initial is None for e in each.values()):
        return None
    found = {k: jnp.asarray(e.initial or 0.0, jnp.result_type(float)) for k, e in each.items()}
    static = static_of(neuron)
    for k, e in each.items():  # of a loop of capacitors, and beside a source, the others say what it is
        path = static.topology.path(e.nodes)
        if path is not None and all(term.element != k for term in path):
            volts = source_sum(neuron.elements, path, found)
            found[k] = jnp.zeros(()) if volts is None else volts
    return found


def check_initial(neuron: Netlist) -> None:
    """InputError for an initial voltage that the others forbid."""
    for k, volts in (initial(neuron) or {}).items():
        element: Any = neuron.elements[k]
        wrong = (
            element.initial is not None and is_concrete(volts) and not np.allclose(volts, element.initial, atol=1e-9)
        )
        if wrong:
            raise InputError(
                f"The initial voltage of {element.name} is {element.initial:g} V, but those of the other capacitors "
                f"and sources in its loop make it {float(np.max(volts)):g} V."
            )


@eqx.filter_jit  # traced once however often a program asks
def _start(neuron: Netlist) -> NetlistState:
    static, (x, on), given = static_of(neuron), _blank(neuron), initial(neuron)
    zero = jnp.zeros(())
    v = (zero,) * static.topology.unknowns
    if given is not None:
        return NetlistState(given, x, _switched(static, neuron, given, on), v, v, zero)
    u = {k: zero for k, e in enumerate(neuron.elements) if isinstance(e, Capacitor)}
    state = NetlistState(u, x, on, v, v, zero)
    for _ in range(len(on) + 1):
        state = _settled(static, neuron, state._replace(failed=zero))
        state = state._replace(on=_switched(static, neuron, state.u, state.on))
    return state


def _switched(static: Static, neuron: Netlist, u: dict[int, Real], on: dict[int, Real]) -> dict[int, Real]:
    """Switches as these voltages leave them."""
    beyond = excess(static, Given(neuron.elements, jnp.zeros(()), jnp.zeros(()), u, {}, on), u)
    return {k: jnp.where(beyond[k] > 0, 1 - now, now) for k, now in on.items()}


def _settled(static: Static, neuron: Netlist, state: NetlistState) -> NetlistState:
    """The circuit at rest, by implicit steps of growing length; derivatives are those of the last one, which is all."""

    def given(s: NetlistState, h: Any) -> Given:
        return Given(neuron.elements, jnp.zeros(()), h, s.u, s.x, s.on)

    def solve(s: NetlistState, h: Any) -> tuple[NetlistState, Any]:
        now = given(s, h)
        leaves = {k: tuple(jax.tree.leaves(x)) for k, x in s.x.items()}
        y, solved = settle(static, now, Middle(s.v, leaves))
        each = ((k, e) for k, e in enumerate(neuron.elements) if isinstance(e, Capacitor))
        u = {k: across(static, now, y.v, e.nodes) for k, e in each}
        x = {k: jax.tree.unflatten(jax.tree.structure(s.x[k]), y.x[k]) for k in s.x}
        return s._replace(u=u, x=x, v=y.v, ahead=y.v, failed=1 - solved.astype(s.failed.dtype)), None

    times = jnp.asarray(TO_REST, state.failed.dtype)
    shapes = jax.eval_shape(lambda s: solve(s, times[0])[0], state)
    start = jax.tree.map(lambda leaf, like: jnp.broadcast_to(leaf, like.shape), state, shapes)
    reached, _ = jax.lax.scan(solve, jax.lax.stop_gradient(start), times)
    last, _ = solve(jax.lax.stop_gradient(reached), times[-1])
    lost = last.failed > 0
    return last._replace(u=jax.tree.map(lambda x: jnp.where(lost, jnp.nan, x), last.u))
