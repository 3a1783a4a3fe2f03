"""MIF neurons by kernels against the loop over arrays, against finite differences, and beside each other."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import memspike as ms
from memspike.neurons import mif_course
from memspike.neurons.mif import forward_euler, frozen_memristors
from memspike.neurons.mif_course import Injected

pytest.importorskip("llvmlite")
DT = 10e-6


def from_rest(run):
    """The courses from rest on, without the state at the end."""

    def of(neuron, injected, dt):
        like = injected.pulse if injected.held is None else injected.held[0]
        return run(neuron, neuron.init(like.shape), injected, dt)[:2]

    return of


course, stepped = from_rest(mif_course.course), from_rest(mif_course.stepped)
GIVEN = ("pulse", "held", "pulse and held")


def currents(given, steps, batch, seed=0):
    random = np.random.default_rng(seed)

    def some(*shape):
        return jnp.asarray(8e-6 * (random.random(shape) - 0.3), jnp.float32)

    pulsed, held = given != "held", given != "pulse"
    weights = jnp.asarray(random.random(steps), jnp.float32)
    return Injected(
        weights if pulsed else None, some(*batch) if pulsed else None, some(steps, *batch) if held else None
    )


def weighed(run, neuron, used, dt=DT):
    """What is differentiated: a weighted sum of the courses that are used."""

    def of(injected, weights):
        found = run(neuron, injected, dt)
        return sum((w * c).sum() for w, c, use in zip(weights, found, used, strict=True) if use)

    return of


def weights_of(steps, batch, seed=1):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(2, steps, *batch)), jnp.float32)


def test_a_mif_neuron_has_a_kernel_and_others_have_none():
    like = jnp.zeros((4, 3), jnp.float32)
    assert mif_course.fits(ms.neurons.mif(), like)
    assert mif_course.fits(ms.neurons.mif_gigaohm(), like)
    per_neuron = ms.neurons.mif(capacitance=jnp.full(3, 1e-9))
    euler = ms.neurons.mif(integrator=forward_euler)
    assert mif_course.fits(ms.neurons.mif(integrator=frozen_memristors), like)
    for other in (per_neuron, euler, ms.neurons.mif_netlist()):
        assert not mif_course.fits(other, like)
    assert not mif_course.fits(ms.neurons.mif(), jnp.zeros((4, 0), jnp.float32))


def frozen():
    return ms.neurons.mif(integrator=frozen_memristors)


@pytest.mark.parametrize("neuron", [ms.neurons.mif, ms.neurons.mif_symmetric, ms.neurons.mif_gigaohm, frozen])
@pytest.mark.parametrize("dt", [1e-6, 50e-6])
def test_the_courses_are_those_of_the_loop(neuron, dt):
    neuron = neuron()
    scale = float(neuron.capacitance / 1e-9)
    given = jax.tree.map(lambda x: x * scale, currents("held", 60, (3, 11)))
    for ours, theirs, size in zip(course(neuron, given, dt), stepped(neuron, given, dt), (0.05, 0.05), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=2e-6, atol=2e-6 * size)


@pytest.mark.parametrize("used", [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize(("steps", "batch"), [(1, (5,)), (7, (16,)), (20, (3, 100)), (2, (1,))])
def test_gradients_are_those_of_the_loop(steps, batch, given, used):
    assert_same_gradients(ms.neurons.mif(), currents(given, steps, batch), weights_of(steps, batch), used)


def assert_same_gradients(neuron, injected, weights, used):
    def slopes(run):
        def of(pulse, held):
            return weighed(run, neuron, used)(Injected(injected.weights, pulse, held), weights)

        return jax.jit(jax.grad(of, argnums=[k for k in (0, 1) if injected[1 + k] is not None]))(*injected[1:])

    for a, b in zip(slopes(course), slopes(stepped), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-6 * float(jnp.abs(b).max()))


@pytest.mark.parametrize("given", GIVEN)
def test_gradients_of_frozen_memristors(given):
    assert_same_gradients(frozen(), currents(given, 15, (3, 7)), weights_of(15, (3, 7)), (True, True))


def test_the_gradient_against_finite_differences_in_double_precision():
    injected, weights = currents("held", 30, (4,)), weights_of(30, (4,))
    slopes = jax.grad(lambda h: weighed(course, ms.neurons.mif(), (True, True))(Injected(None, None, h), weights))
    slopes = np.asarray(slopes(injected.held))
    with jax.enable_x64(True):
        neuron = jax.tree.map(lambda x: jnp.asarray(x, jnp.float64), ms.neurons.mif())
        held, w = (jnp.asarray(np.asarray(x, float)) for x in (injected.held, weights))
        value = jax.jit(lambda h: weighed(stepped, neuron, (True, True))(Injected(None, None, h), w))
        for t, k in ((0, 0), (12, 1), (29, 3)):
            moved = jnp.zeros_like(held).at[t, k].set(1e-10)
            numeric = float((value(held + moved) - value(held - moved)) / 2e-10)
            assert slopes[t, k] == pytest.approx(numeric, rel=1e-4)


@pytest.mark.parametrize("given", GIVEN)
def test_vmap_is_a_loop_for_chips_and_for_neurons_of_other_parameters(given):
    each = [currents(given, 9, (2, 5), seed) for seed in range(3)]
    shared = each[0].weights
    each = [one._replace(weights=shared) for one in each]
    whole = jax.tree.map(lambda *x: jnp.stack(x), *each)
    axes: Any = Injected(None, *(None if x is None else 0 for x in whole[1:]))  # pyright: ignore[reportArgumentType]
    neuron = ms.neurons.mif()
    run = jax.vmap(lambda injected: course(neuron, injected, DT), in_axes=(axes,))
    found = run(whole._replace(weights=shared))
    for k, one in enumerate(each):
        for a, b in zip(found, course(neuron, one, DT), strict=True):
            np.testing.assert_array_equal(a[k], b)
    capacitance = jnp.asarray([0.8e-9, 1e-9, 1.2e-9])
    others = jax.vmap(lambda c, injected: course(ms.neurons.mif(capacitance=c), injected, DT))(capacitance, whole)
    for k, one in enumerate(each):
        np.testing.assert_allclose(
            others[0][k], stepped(ms.neurons.mif(capacitance=capacitance[k]), one, DT)[0], rtol=2e-6, atol=1e-7
        )


def test_gradients_of_chips_beside_each_other():
    each = [currents("pulse and held", 9, (5,), seed) for seed in range(3)]
    whole = jax.tree.map(lambda *x: jnp.stack(x), *each)
    weights = weights_of(9, (5,))

    def slope(pulse, held, course_weights):
        of = weighed(course, ms.neurons.mif(), (True, True))
        return jax.grad(lambda p, h: of(Injected(course_weights, p, h), weights), argnums=(0, 1))(pulse, held)

    found = jax.vmap(slope)(whole.pulse, whole.held, whole.weights)
    for k, one in enumerate(each):
        for a, b in zip(found, slope(one.pulse, one.held, one.weights), strict=True):
            np.testing.assert_allclose(a[k], b, rtol=1e-6, atol=1e-12)


def test_parameters_and_the_course_of_a_pulse_are_differentiated_by_the_loop():
    injected, weights = currents("pulse and held", 12, (6,)), weights_of(12, (6,))

    def loss(run):
        def of(neuron, injected):
            return weighed(run, neuron, (True, True))(injected, weights)

        return jax.grad(of, argnums=(0, 1), allow_int=True)(ms.neurons.mif(), injected)

    for a, b in zip(jax.tree.leaves(loss(course)), jax.tree.leaves(loss(stepped)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6 * float(jnp.abs(b).max()))


def test_what_is_no_number_is_found_again():
    found = course(ms.neurons.mif(), Injected(None, None, jnp.full((3, 4), jnp.nan, jnp.float32)), DT)
    assert jnp.isnan(found[0]).all()


@pytest.mark.parametrize("used", [(True, True), (False, False)])
@pytest.mark.parametrize("given", GIVEN)
def test_a_course_goes_on_where_another_ended(given, used):
    """Also the gradient of what comes after passes to the state between both, and to the first currents."""
    neuron, injected, weights = ms.neurons.mif(), currents(given, 12, (3, 6)), weights_of(12, (3, 6))

    def part(run, start, first, last, pulse, held):
        course_weights = None if injected.weights is None else injected.weights[first:last]
        here = Injected(course_weights, pulse, None if held is None else held[first:last])
        return run(neuron, start, here, DT)

    def loss(run, cuts):
        def of(pulse, held):
            state, total = neuron.init((3, 6)), 0.0
            for first, last in zip((0, *cuts), (*cuts, 12), strict=True):
                found = part(run, state, first, last, pulse, held)
                state = found.end
                pieces = zip(weights[:, first:last], found, used, strict=False)
                total = total + sum((w * c).sum() for w, c, use in pieces if use)
            return total + 3.0 * state.v.sum() + state.x1.sum() - 2.0 * state.x2.sum()

        k = [k for k in (0, 1) if injected[1 + k] is not None]
        return jax.jit(jax.value_and_grad(of, argnums=k))(*injected[1:])

    expected, slopes = loss(mif_course.stepped, ())
    for run, cuts in ((mif_course.course, ()), (mif_course.course, (5,)), (mif_course.course, (1, 2, 11))):
        value, found = loss(run, cuts)
        assert float(value) == pytest.approx(float(expected), rel=1e-5)
        for a, b in zip(found, slopes, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=3e-6 * float(jnp.abs(b).max()))


def test_a_network_is_the_same_by_kernels(monkeypatch):
    network = ms.networks.feedforward((6, 20, 3))
    g = network.program(network.init_weights(0.3, key=jax.random.key(0)))
    pulses = ms.networks.Events(jnp.asarray(np.random.default_rng(0).random((1, 5, 6)), jnp.float32), (0.0,))

    def loss(g):
        out = ms.networks.simulate(network, g, pulses, steps=40, dt=DT)
        return sum(jnp.square(v).sum() for v in out), out

    def both():
        return jax.jit(jax.value_and_grad(loss, has_aux=True))(g)

    (_, ours), slopes = both()
    monkeypatch.setenv("MEMSPIKE_FAST", "0")
    jax.clear_caches()
    (_, theirs), expected = both()
    for a, b in zip([*ours, *slopes], [*theirs, *expected], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=5e-6 * float(jnp.abs(b).max()))
