"""Range and spikes of membranes: against counting by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from memspike import experiments
from memspike.networks.feedforward import Membranes
from memspike.neurons import MIF
from memspike.report.kinds import membranes
from memspike.training.membranes import swing


def test_swing_counts_spikes_and_time_out_of_range():
    rest = float(MIF().rest())
    v = np.full((10, 2, 3), 20e-3)
    v[2, 0, 0] = v[5, 0, 0] = 60e-3  # two spikes
    v[3:6, 1, 1] = 140e-3  # one, too high for three steps
    v[9, 1, 2] = -60e-3  # too low for one
    quiet = np.full((10, 2, 2), 10e-3)
    found = swing(Membranes((jnp.asarray(v - rest), jnp.asarray(quiet - rest))))
    np.testing.assert_allclose([found.low, found.high], [-60e-3, 140e-3], rtol=1e-5)
    assert float(found.outside) == pytest.approx(4 / 100)
    assert float(found.active) == pytest.approx(2 / 10)
    assert float(found.spikes) == pytest.approx(1.5)


def test_a_run_tells_its_membranes_and_its_ablation_is_one_option(tmp_path):
    keys = ["training.epochs=2", "data.train=320", "data.test=60", "evaluation.chips=0", "evaluation.fine_dt=none"]
    found = {}
    for integrator in ("staggered-exponential", "frozen-memristors"):
        settings = experiments.resolve("memprop-digits", [*keys, f"neuron.integrator={integrator}"]).settings
        found[integrator] = experiments.run(settings, tmp_path / integrator)
    for result in found.values():
        assert result["membrane_low"] < 18e-3 < result["membrane_high"]
        assert 0 <= result["membrane_outside"] < 1
        assert result["membrane_step"] == 50e-6
    circuit, linear = found["staggered-exponential"], found["frozen-memristors"]
    assert 1e-3 < circuit["membrane_deviation"] < 0.2, "50 µs are coarse for neurons that switch"
    assert 0 < linear["membrane_deviation"] < circuit["membrane_deviation"]
    assert f"{1e3 * circuit['membrane_deviation']:.3g} mV at steps of 50 µs" in dict(membranes(circuit)).values()
    assert len({result["membrane_low"] for result in found.values()}) == 2
