"""Readouts: the smooth maximum is monotone in the drive, the time mean is not."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import memspike as ms
from memspike.learning.objectives import SmoothMaximum, TimeMean, Windowed, excess
from memspike.neurons import ExponentialFilter


def answers(drives):
    """Membranes above rest for impulses into the single-exponential filter of the prototypes."""
    neuron = ms.neurons.mif()
    kernel = ExponentialFilter(tau=1e-3).kernel((jnp.arange(1000.0) + 0.5) * 1e-5)
    u = jnp.asarray(drives) * 1e-5

    def body(s, k):
        return neuron.step(s, k * u, 1e-5)

    return jax.lax.scan(body, neuron.init(u.shape), kernel)[1] - neuron.rest()


def test_time_mean_is_not_monotone_and_the_maximum_is(x64):
    v = answers(np.linspace(0.0, 1.0, 41))
    mean = np.asarray(TimeMean().samples(v).scores[0])
    peak = np.asarray(SmoothMaximum(softness=1e-3).samples(v).scores[0])
    assert (np.diff(mean) < 0).any()
    assert (np.diff(mean) > 0).any()
    assert (np.diff(peak) > 0).all()


def test_smooth_maximum_bounds(x64):
    v = jax.random.normal(jax.random.key(0), (50, 4)) * 0.02
    readout = SmoothMaximum(temperature=1.0, softness=1e-3)
    score = np.asarray(readout.samples(v).scores[0])
    top = np.asarray(v.max(0))
    assert (score >= top).all()
    assert (score <= top + 1e-3 * math.log(50)).all()


def test_excess_is_zero_inside_and_smooth_at_the_edge(x64):
    v = jnp.asarray([-0.2, 0.0, 0.19999, 0.4])
    assert float(excess(v[:3], 0.2)) == 0.0
    assert float(excess(v, 0.2)) == pytest.approx(0.25)
    assert float(jax.grad(excess)(jnp.asarray(0.2), 0.2)) == 0.0


def test_window():
    v = jnp.arange(10.0)[:, None] * jnp.ones((1, 2))
    scores = Windowed(temperature=1.0, start=0.3, stop=0.6).samples(v).scores
    np.testing.assert_array_equal(scores[:, 0], [3, 4, 5])
    assert len(Windowed(start=0.999, stop=1.0).samples(v).scores) == 1


def test_cross_entropy_of_even_scores_is_log_classes(x64):
    loss = Windowed().loss(jnp.zeros((7, 5)), jnp.asarray([0.0, 1.0, 0.0, 0.0, 0.0]))
    assert float(loss) == pytest.approx(math.log(5))


def test_predict():
    v = jnp.zeros((6, 2, 3)).at[2, 0, 1].set(0.1).at[3, 1, 2].set(0.1)
    np.testing.assert_array_equal(SmoothMaximum().predict(v), [1, 2])
