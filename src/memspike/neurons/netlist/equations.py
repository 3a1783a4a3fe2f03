"""The equations of one implicit step of a netlist, and the solution of their linear form.

The step is the implicit midpoint rule, which is the trapezoidal rule where all is linear: with mid-step values v, x

    sum of the currents out of every group of nodes = input,  i_C = 2C·(v_C − u)/h,  x = x₀ + h/2·rate(x, v),

and u and x end at 2v_C − u and 2x − x₀. Nothing but the voltages u of the capacitors and the states x is remembered, so
that nodes without capacitor do not ring. Second order, stable for every h. Source: Hairer & Wanner, Solving Ordinary
Differential Equations II (1996), doi 10.1007/978-3-642-05221-7, ch. IV.3 and VI.1; nodal analysis with sources: Ho,
Ruehli & Brennan, IEEE Trans. Circuits Syst. 22(6): 504 (1975), doi 10.1109/TCS.1975.1084079.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from memspike.devices.base import Real
from memspike.neurons.netlist.elements import (
    AbstractElement,
    Capacitor,
    CurrentSource,
    Memristor,
    Nodes,
    Resistor,
    VoltageSource,
    VoltageSwitch,
)
from memspike.neurons.netlist.elimination import Matrix, Row, add, solve
from memspike.neurons.netlist.topology import Term, Topology


class Static(NamedTuple):
    """What a program is compiled for."""

    topology: Topology
    input: int


class Given(NamedTuple):
    """What a step begins with: elements, input in A, step h in s, and by the numbers of the elements what they are at.

    Capacitors have a voltage u in V, devices a state x, switches `on`, 1 or 0.
    """

    elements: tuple[AbstractElement, ...]
    current: Real
    h: Real
    u: dict[int, Real]
    x: dict[int, Any]
    on: dict[int, Real]


class Middle(NamedTuple):
    """The unknowns: voltages of the groups of nodes, and the leaves of the states of the devices, in mid-step."""

    v: tuple[Real, ...]
    x: dict[int, tuple[Real, ...]]


class Local(NamedTuple):
    """The linear form of a device between two nodes: A·δx + b·δu for its state, c·δx + g·δu for its current."""

    nodes: Nodes
    a: Matrix
    b: list[Real]
    c: list[Real]
    g: Real


class Linear(NamedTuple):
    """The linear form of all equations at one point, the states of devices eliminated from the sums of currents."""

    matrix: Matrix
    local: dict[int, Local]


def source_sum(elements: tuple[AbstractElement, ...], terms: tuple[Term, ...], u: dict[int, Real]) -> Real | None:
    """The voltages of sources and capacitors along a path; None where there are none."""
    total = None
    for k, sign in terms:
        element = elements[k]
        one = jnp.asarray(element.voltage) if isinstance(element, VoltageSource) else u[k]
        total = add(total, one if sign > 0 else -one)
    return total


def across(static: Static, given: Given, v: tuple[Real, ...], nodes: Nodes) -> Real:
    """The voltage of the first of two nodes against the second."""
    total = None
    for node, sign in zip(nodes, (1, -1), strict=True):
        place = static.topology.place(node)
        own = None if place.unknown is None else v[place.unknown]
        own = add(own, source_sum(given.elements, place.sources, given.u))
        if own is not None:
            total = add(total, own if sign > 0 else -own)
    return jnp.zeros_like(given.h) if total is None else total


def _law(element: Memristor, tree: Any, leaves: tuple[Real, ...], u: Real) -> tuple[Real, tuple[Real, ...]]:
    """The current and the rates of a device at the leaves of its state, and at its voltage."""
    state = jax.tree.unflatten(tree, leaves)
    return element.device.current(state, u), tuple(jax.tree.leaves(element.device.rate(state, u)))


def _resistive(element: AbstractElement, k: int, given: Given) -> Real | None:
    """The conductance of an element that has one in this step."""
    if isinstance(element, Resistor):
        return jnp.asarray(1 / element.resistance)
    if isinstance(element, Capacitor):
        return 2 * element.capacitance / given.h
    if isinstance(element, VoltageSwitch):
        off = jnp.asarray(1 / element.r_off)
        return off + given.on[k] * (1 / element.r_on - off)
    return None


class _Sums:
    """Currents out of the groups of nodes, and their slopes, as they are collected."""

    def __init__(self, static: Static):
        self.topology, size = static.topology, static.topology.unknowns
        self.matrix: Matrix = [[None] * size for _ in range(size)]
        self.currents: Row = [None] * size

    def _ends(self, nodes: Nodes) -> list[tuple[int, int]]:
        first, second = (self.topology.place(n).unknown for n in nodes)
        return [] if first == second else [(k, s) for k, s in ((first, 1), (second, -1)) if k is not None]

    def current(self, nodes: Nodes, i: Real) -> None:
        for k, sign in self._ends(nodes):
            self.currents[k] = add(self.currents[k], i if sign > 0 else -i)

    def slope(self, nodes: Nodes, g: Real) -> None:
        for k, s in self._ends(nodes):
            for j, t in self._ends(nodes):
                self.matrix[k][j] = add(self.matrix[k][j], g if s == t else -g)


def residuals(static: Static, given: Given, y: Middle) -> tuple[Row, dict[int, list[Real]]]:
    """What is left over of the sums of currents, in A, and of the state equations."""
    sums, states = _Sums(static), {}
    for k, element in enumerate(given.elements):
        if isinstance(element, VoltageSource):
            continue
        if isinstance(element, CurrentSource):
            sums.current(element.nodes, jnp.asarray(element.current))
            continue
        u = across(static, given, y.v, element.nodes)  # pyright: ignore[reportAttributeAccessIssue]
        if isinstance(element, Memristor):
            start, tree = jax.tree.flatten(given.x[k])
            i, rates = _law(element, tree, y.x[k], u)
            states[k] = [x - x0 - 0.5 * given.h * f for x, x0, f in zip(y.x[k], start, rates, strict=True)]
        else:
            g = _resistive(element, k, given)
            i = g * (u - given.u[k] if isinstance(element, Capacitor) else u)  # pyright: ignore[reportOptionalOperand]
        sums.current(element.nodes, i)  # pyright: ignore[reportAttributeAccessIssue]
    sums.currents[static.input] = add(sums.currents[static.input], -given.current)
    return sums.currents, states


def linear(static: Static, given: Given, y: Middle) -> Linear:
    """The slopes of the equations at `y`."""
    sums, local = _Sums(static), {}
    for k, element in enumerate(given.elements):
        if isinstance(element, Memristor):
            u = across(static, given, y.v, element.nodes)
            one = local[k] = _local(element, given.x[k], (y.x[k], u), given.h)
            slope = one.g
            for c, moved in zip(one.c, solve(one.a, [list(one.b)])[0], strict=True):
                slope = slope - c * moved
            sums.slope(element.nodes, slope)
        elif (g := _resistive(element, k, given)) is not None:
            sums.slope(element.nodes, g)  # pyright: ignore[reportAttributeAccessIssue]
    return Linear(sums.matrix, local)


def _local(element: Memristor, start: Any, at: tuple[tuple[Real, ...], Real], h: Real) -> Local:
    law, (x, u) = partial(_law, element, jax.tree.structure(start)), at
    half, still = 0.5 * h, tuple(jnp.zeros_like(one) for one in x)
    a: Matrix = [[None] * len(x) for _ in x]
    c = []
    for j, one in enumerate(x):
        along = (*still[:j], jnp.ones_like(one), *still[j + 1 :])
        di, df = jax.jvp(lambda s: law(s, u), (x,), (along,))[1]
        c.append(di)
        for i, slope in enumerate(df):
            a[i][j] = (1.0 if i == j else 0.0) - half * slope
    g, df = jax.jvp(lambda w: law(x, w), (u,), (jnp.ones_like(u),))[1]
    return Local(element.nodes, a, [-half * slope for slope in df], c, g)


def solved(static: Static, at: Linear, currents: Row, states: dict[int, list[Real]]) -> Middle:
    """δ with J·δ = the right-hand side, given by its rows of currents and of states."""
    inner: dict[int, list[list[Real]]] = {}
    sums = _Sums(static)
    for k, one in at.local.items():
        inner[k] = solve(one.a, [list(states[k]), list(one.b)])
        for c, moved in zip(one.c, inner[k][0], strict=True):
            sums.current(one.nodes, c * moved)
    right = [add(r, None if s is None else -s) for r, s in zip(currents, sums.currents, strict=True)]
    v = tuple(solve(at.matrix, [right])[0])
    x = {}
    for k, (direct, by_voltage) in inner.items():
        u = difference(static, v, at.local[k].nodes)
        x[k] = tuple(d if u is None else d - b * u for d, b in zip(direct, by_voltage, strict=True))
    return Middle(v, x)


def difference(static: Static, v: tuple[Real, ...], nodes: Nodes) -> Real | None:
    """The change of the voltage between two nodes for changes of the unknowns; None: it cannot change."""
    first, second = (static.topology.place(n).unknown for n in nodes)
    total = None if first is None else v[first]
    return total if second is None else add(total, -v[second])
