"""Plasticity by spike times and by waveforms: sums over pairs, windows, bounds, and the networks that learn by it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from memspike import InputError, experiments
from memspike.arrays import Crossbar
from memspike.cells import DifferentialPair, RangeReference, SingleReference
from memspike.data import LatencySpikes, shapes
from memspike.devices import Pulsed, mif_synapse, pulsed_mif_synapse
from memspike.learning import (
    STDP,
    Additive,
    Multiplicative,
    Timing,
    Trains,
    Waveforms,
    WaveformSTDP,
)
from memspike.networks import Associative, Clock, Competitive
from memspike.neurons import ALIF, LIF, MIF, Analog, Driver, ExponentialFilter
from memspike.report import stdp_window, window_figure

DT = 1e-3
ROWS, COLUMNS, STEPS = 4, 3, 120
TRIPLET: dict[str, Any] = {
    "plus": 0.004,
    "minus": 0.003,
    "triplet_plus": 0.01,
    "triplet_minus": 0.002,
    "tau_minus": 34e-3,
}


def free(timing):
    """Additive plasticity without bounds that matter."""
    return STDP(timing, low=-1e3, high=1e3, dt=DT)


def trains(seed=0, rate=0.1, steps=STEPS):
    random = np.random.default_rng(seed)
    pre, post = ((random.random((steps, n)) < rate).astype(float) for n in (ROWS, COLUMNS))
    return Trains(jnp.asarray(pre), jnp.asarray(post))


def brute(timing, pre, post):
    """Δw of one synapse: a plain sum over spike times, pair by pair and triplet by triplet."""
    a = {name: float(getattr(timing, name)) for name in Timing.__dataclass_fields__ if name != "nearest"}
    t_pre, t_post = np.flatnonzero(pre) * DT, np.flatnonzero(post) * DT

    def seen(times, now, tau):
        earlier = times[times < now - DT / 2]
        earlier = earlier[-1:] if timing.nearest else earlier
        return sum(np.exp(-(now - s) / tau) for s in earlier)

    up = sum(
        seen(t_pre, t, a["tau_plus"]) * (a["plus"] + a["triplet_plus"] * seen(t_post, t, a["tau_y"])) for t in t_post
    )
    down = sum(
        seen(t_post, t, a["tau_minus"]) * (a["minus"] + a["triplet_minus"] * seen(t_pre, t, a["tau_x"])) for t in t_pre
    )
    return up - down


@pytest.mark.parametrize("nearest", [False, True])
@pytest.mark.parametrize("constants", [{}, TRIPLET], ids=["pairs", "triplets"])
def test_traces_are_sums_over_spikes(x64, constants, nearest):
    timing = Timing(**constants, nearest=nearest)
    batch = trains()
    law, w = free(timing), jnp.zeros((ROWS, COLUMNS))
    _, dw = law.change(w, batch, law.init(w))
    wanted = [[brute(timing, x, y) for y in np.asarray(batch.post).T] for x in np.asarray(batch.pre).T]
    np.testing.assert_allclose(dw, wanted, rtol=1e-11)


def test_a_train_may_be_cut_anywhere(x64):
    law, batch, w = free(Timing(**TRIPLET)), trains(1), jnp.zeros((ROWS, COLUMNS))
    _, whole = law.change(w, batch, law.init(w))
    traces, total = law.init(w), jnp.zeros_like(w)
    for a, b in ((0, 37), (37, 38), (38, STEPS)):
        traces, dw = law.change(w, Trains(batch.pre[a:b], batch.post[a:b]), traces)
        total = total + dw
    np.testing.assert_allclose(total, whole, rtol=1e-11)


def one_pair(lag, timing, repeats=1, period=0):
    """Δw of `repeats` pairs, `period` steps apart, post `lag` steps after pre."""
    at = 60 + np.arange(repeats) * period
    steps = at[-1] + 100
    pre, post = jnp.zeros((steps, 1)).at[at, 0].set(1.0), jnp.zeros((steps, 1)).at[at + lag, 0].set(1.0)
    law, w = free(timing), jnp.zeros((1, 1))
    return float(law.change(w, Trains(pre, post), law.init(w))[1][0, 0])


def test_the_window_of_pairs_is_two_exponentials(x64):
    timing = Timing(plus=0.01, minus=0.005, tau_plus=17e-3, tau_minus=34e-3)
    for lag in (-50, -20, -1, 0, 1, 20, 50):
        t = lag * DT
        wanted = 0.01 * np.exp(-t / 17e-3) if lag > 0 else -0.005 * np.exp(t / 34e-3) if lag < 0 else 0.0
        assert one_pair(lag, timing) == pytest.approx(wanted, rel=1e-11)


def test_triplets_turn_depression_into_potentiation_at_high_rates(x64):
    """Post before pre: pairs depress at any rate; with triplets five at 50 Hz potentiate, at 2 Hz not."""
    pairs = Timing(plus=0.004, minus=0.007, tau_plus=17e-3, tau_minus=34e-3)
    triplets = Timing(plus=0.0, minus=0.007, triplet_plus=0.01, tau_plus=17e-3, tau_minus=34e-3, tau_y=114e-3)
    slow, fast = ({"repeats": 5, "period": p} for p in (500, 20))
    assert one_pair(-10, pairs, **slow) < 0
    assert one_pair(-10, pairs, **fast) < 0
    assert one_pair(-10, triplets, **slow) < 0
    assert one_pair(-10, triplets, **fast) > 0
    assert one_pair(10, triplets, **fast) > one_pair(10, triplets, **slow)


def test_soft_bounds_slow_down_and_hard_bounds_stop(x64):
    w = jnp.asarray([[0.0, 0.25, 1.0]])
    pre = jnp.zeros((5, 1)).at[0].set(1.0)
    up = Trains(pre, jnp.zeros((5, 3)).at[1].set(1.0))
    down = Trains(jnp.zeros((5, 1)).at[1].set(1.0), jnp.zeros((5, 3)).at[0].set(1.0))
    size = 0.01 * np.exp(-1 / 20)

    def change(dependence, batch):
        law = STDP(Timing(), dependence, dt=DT)
        return np.asarray(law.change(w, batch, law.init(w))[1][0])

    np.testing.assert_allclose(change(Multiplicative(mu=1.0), up), size * np.asarray([1, 0.75, 0]), rtol=1e-9)
    np.testing.assert_allclose(change(Multiplicative(mu=2.0), up), size * np.asarray([1, 0.5625, 0]), rtol=1e-9)
    np.testing.assert_allclose(change(Multiplicative(mu=1.0), down), -size * np.asarray([0, 0.25, 1]), rtol=1e-9)
    np.testing.assert_allclose(change(Additive(), up), size * np.asarray([1, 1, 0]), rtol=1e-9)
    np.testing.assert_allclose(change(Additive(), down), -size * np.asarray([0, 1, 1]), rtol=1e-9)


def test_weights_stay_between_their_bounds_for_ever():
    law = STDP(Timing(plus=0.3, minus=0.2), Multiplicative(mu=0.5), low=-0.5, high=0.5, dt=DT)
    change = jax.jit(lambda *given: law.change(*given))
    w = jnp.zeros((ROWS, COLUMNS))
    traces = law.init(w)
    for k in range(30):
        traces, dw = change(w, trains(k, 0.3), traces)
        w = w + dw
        assert float(jnp.abs(w).max()) <= 0.5 + 1e-6
    with pytest.raises(InputError, match="low must be below high"):
        STDP(low=1.0, high=0.0)


def test_waveforms_make_the_window_of_stdp(x64):
    """Published neurons, v_pre − v_post across a memory with thresholds: causal pairs potentiate, others depress."""
    law, lags = WaveformSTDP(), np.asarray([-8, -5, -2, -1, -0.2, 0, 0.2, 1, 2, 5, 8]) * 1e-3
    change = np.asarray(stdp_window(law, Driver(), lags))
    np.testing.assert_allclose(change[[0, 4, 5, 6, 10]], 0.0, atol=1e-12)
    assert (change[[7, 8]] > 0.005).all()
    assert (change[[2, 3]] < -0.002).all()
    assert change[7] > change[8] > change[9] >= 0
    figure = window_figure(law, Driver())
    assert len(figure.axes) == 3


def test_a_device_between_two_membranes_is_integrated_right(x64):
    """Against an adaptive solver that knows nothing of steps, with voltages linear between their samples."""
    law = WaveformSTDP(dt=2e-6)
    dt, steps = 2e-6, 3000
    spikes = jnp.zeros((steps, 2)).at[100, 0].set(1.0).at[600, 1].set(1.0)
    v = Driver()(spikes, dt)
    assert isinstance(law.cell.device, Pulsed)
    device = law.cell.device.device
    ends = np.concatenate([[0.0], np.arange(1, steps + 1) * dt])
    across = np.concatenate([[0.0], np.asarray(v[:, 0] - v[:, 1])])
    rate = jax.jit(lambda x, u: device.rate(x, u))
    for pre, post, sign in ((0, 1, 1.0), (1, 0, -1.0)):
        found = float(law.moved(jnp.full((1, 1), 0.3), Waveforms(v[:, [pre]], v[:, [post]]))[0, 0])

        def slope(t, x, sign=sign):
            return [float(rate(jnp.asarray(x[0]), jnp.asarray(sign * np.interp(t, ends, across))))]

        solution = solve_ivp(slope, (0.0, steps * dt), [0.3], rtol=1e-8, atol=1e-11, max_step=10e-6)
        assert (found - 0.3) * sign > 0.01
        assert found - 0.3 == pytest.approx(solution.y[0, -1] - 0.3, rel=2e-2)


def test_the_synapse_of_waveforms_must_be_one_memory():
    with pytest.raises(InputError, match="one memory device a weight"):
        WaveformSTDP(cell=DifferentialPair())
    with pytest.raises(InputError, match="one memory device a weight"):
        WaveformSTDP(cell=DifferentialPair(Pulsed(mif_synapse())))
    law = WaveformSTDP(cell=SingleReference(device=Pulsed(mif_synapse()), reference=5e-6, scale=2.0))
    still = Waveforms(jnp.full((10, 2), 0.02), jnp.full((10, 3), 0.02))
    np.testing.assert_array_equal(law.change(jnp.full((2, 3), 0.3), still), 0.0)


def test_shapes_become_one_spike_a_pixel(x64):
    images = shapes(8)
    assert images.sum(1).tolist() == [28, 28, 32, 32]
    apart = np.abs(images[:, None] - images[None]).sum(-1)
    assert (apart + 64 * np.eye(4) >= 32).all()
    with pytest.raises(InputError, match="6 or more"):
        shapes(4)
    encode = LatencySpikes(flips=0.1, jitter=1e-3)
    x = jax.vmap(lambda k: encode(jnp.asarray(images[0]), key=k))(jax.random.split(jax.random.key(0), 300))
    assert x.shape == (300, 60, 64)
    np.testing.assert_array_equal(x.sum(1), 1.0)
    early = np.asarray(x[:, :18].sum(1)).mean(0)
    np.testing.assert_allclose(early, 0.1 + 0.8 * images[0], atol=0.08)


def test_one_winner_silences_the_others(x64):
    """With inhibition as long as the presentation the layer spikes once: the neuron that is first over threshold."""
    layer = Competitive((6, 3), neuron=ALIF(theta=1.5, refractory=40, soft=False, beta=0.5))
    w = jnp.asarray([[0.9, 0.5, 0.2]] * 6)
    cells = layer.crossbar.cell.place(layer.crossbar.cell.init((6, 3)), w)
    x = jnp.zeros((40, 6)).at[jnp.arange(6) * 3, jnp.arange(6)].set(1.0)
    first = layer.present(layer.read((cells,)), x, jnp.zeros(3), 1e-3)
    np.testing.assert_array_equal(first.z.sum(0), [1.0, 0.0, 0.0])
    assert int(first.z[:, 0].argmax()) == 3  # the second spike brings 1.8
    np.testing.assert_allclose(first.adaptation, [np.exp(-35e-3 / 2.0), 0, 0], rtol=1e-6)
    # a winner that has adapted enough lets the next one win
    after = layer.present(layer.read((cells,)), x, jnp.asarray([10.0, 0, 0]), 1e-3)
    np.testing.assert_array_equal(after.z.sum(0), [0.0, 1.0, 0.0])
    short = Competitive((6, 3), neuron=ALIF(theta=1.5, refractory=1, soft=False))
    assert float(short.present(short.read((cells,)), x, jnp.zeros(3), 1e-3).z.sum()) > 1
    with pytest.raises(InputError, match="refractory"):
        Competitive((6, 3), neuron=ALIF(refractory=0))


@pytest.mark.parametrize("kind", ["lif", "mif"])
def test_any_neuron_silences_the_others_for_the_inhibition(x64, kind):
    """The first over threshold wins; after the inhibition, at rest, the layer fires anew."""
    spiking = kind == "lif"
    neuron = LIF(theta=1.5, tau=2e-3) if spiking else Analog(MIF(), ExponentialFilter(tau=0.1e-3), current=2e-6)
    dt = 1e-3 if spiking else 50e-6
    w = jnp.asarray([[0.9, 0.5, 0.2]] * 6)
    x = jnp.zeros((60, 6)).at[5:8].set(1.0).at[25:28].set(1.0)
    found = {}
    for steps in (10, 40):
        layer = Competitive((6, 3), neuron=neuron, inhibition=steps * dt)
        cells = layer.crossbar.cell.place(layer.crossbar.cell.init((6, 3)), w)
        found[steps] = layer.present(layer.read((cells,)), x, jnp.ones(3), dt)
    np.testing.assert_array_equal(found[40].z.sum(0), [1.0, 0.0, 0.0])
    np.testing.assert_array_equal(found[10].z.sum(0), [2.0, 0.0, 0.0])
    first, second = np.flatnonzero(found[10].z[:, 0])
    assert second - first == 20
    np.testing.assert_array_equal(found[10].adaptation, 1.0)  # nothing adapts


def test_analog_neurons_win_once_a_presentation(x64):
    layer = Competitive((6, 3), neuron=Analog(MIF(), ExponentialFilter(tau=0.1e-3), current=2e-6))
    cells = layer.crossbar.cell.place(layer.crossbar.cell.init((6, 3)), jnp.full((6, 3), 0.5))
    x = jnp.zeros((60, 6)).at[5:8].set(1.0).at[40:43].set(1.0)
    assert float(layer.present(layer.read((cells,)), x, jnp.zeros(3), 50e-6).z.sum()) == 1


# time at the scale of the MIF circuit
CIRCUIT = [
    "neuron=mif",
    "simulation.dt=50us",
    "simulation.duration=4ms",
    "task.early=0.5ms",
    "task.late=3ms",
    "task.jitter=50us",
    "learning.rule.delay=1ms",
    "network.current=0.5uA",
]


@pytest.mark.parametrize("keys", [["neuron=lif"], CIRCUIT], ids=["lif", "mif"])
def test_shapes_are_told_apart_by_any_neurons(tmp_path, keys):
    settings = experiments.resolve("stdp-patterns", keys, quick=True).settings
    result = experiments.run(settings, tmp_path / "run")
    assert result["test_accuracy"] > 0.5


def test_an_associative_network_without_weights_is_its_neurons(x64):
    """Cells at their reference carry no current; with weights a driven neuron excites the others, never itself."""
    cell = RangeReference(pulsed_mif_synapse())
    network = Associative(3, Crossbar(cell), coupling=0.3)
    current = Driver().current(jnp.zeros((150, 3)).at[10, 0].set(1.0), 10e-6)
    still, alone = cell.place(cell.init((3, 3)), jnp.zeros((3, 3))), Driver()

    def run(cells):
        return network.run(network.read((cells,)), current, Clock(10e-6, (150,))).v

    expected = alone(jnp.zeros((150, 3)).at[10, 0].set(1.0), 10e-6)
    np.testing.assert_allclose(run(still), expected, rtol=1e-6)
    v = run(cell.place(still, jnp.full((3, 3), 0.9)))
    assert float(v[:, 1].max()) > float(expected[:, 1].max()) + 1e-3
    own = run(cell.place(still, 0.9 * jnp.eye(3)))
    np.testing.assert_allclose(own, expected, rtol=1e-6)
