"""Recurrent spiking networks and e-prop: dynamics, and gradients against automatic differentiation."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from memspike import InputError
from memspike.arrays import ADC, Crossbar, Periphery, Resistive
from memspike.cells import DifferentialPair, MultiDevice
from memspike.devices import PCM
from memspike.learning import Adaptive, Batch, CrossEntropy, Eprop, Random, SquaredError, Symmetric, View
from memspike.learning.rules.eprop_online import OnlineEprop, Shown
from memspike.networks import Clock, Reading, Readings, Recurrent, clock
from memspike.neurons import ALIF, LIF, surrogate

STEPS, SIZES = 60, (7, 6, 2)
KEY = jax.random.key(3)

NEURONS = {
    "lif": lambda: LIF(tau=12e-3, theta=0.4),
    "lif-zero-reset": lambda: LIF(tau=12e-3, theta=0.4, soft=False),
    "lif-refractory": lambda: LIF(tau=12e-3, theta=0.4, refractory=3),
    "alif": lambda: ALIF(tau=12e-3, theta=0.3, tau_a=50e-3, beta=0.12),
    "alif-mixed": lambda: ALIF(
        tau=12e-3, theta=0.3, tau_a=50e-3, beta=np.array([0.0, 0.3, 0.1, 0.0, 0.2, 0.1]), refractory=2
    ),
    "alif-fast-sigmoid": lambda: ALIF(theta=0.3, beta=0.1, surrogate=surrogate.FastSigmoid(slope=2.0), soft=False),
}


class Problem(NamedTuple):
    """A rule, and what it sees of a network whose weights are exact."""

    rule: Eprop
    view: View

    @property
    def network(self) -> Any:
        return self.view.network

    def run(self, weights, trial):
        return self.network.run(exact(weights), trial.x, self.view.clock)

    def gradient(self, activity, feedback, trial):
        return self.rule.gradient(self.view, activity, trial, feedback)


def exact(weights):
    """Readings of exactly these weights, without noise."""
    return Readings(*(Reading(w[None], jnp.zeros_like(w)) for w in weights))


def batch_of(x, target):
    return Batch(x, target, jnp.ones(len(x)), jnp.asarray(True))


def trial_of(key, steps=STEPS, sizes=SIZES, batch=()):
    x = jax.random.bernoulli(key, 0.25, (steps, *batch, sizes[0])).astype(float)
    return batch_of(x, jax.random.normal(jax.random.fold_in(key, 1), (steps, *batch, sizes[2])))


def problem_of(neuron, error=None, **options):
    chosen: dict[str, Any] = {"rate_weight": 0.0, "clip": 1e9} | options
    view = View(Recurrent(SIZES, neuron, tau_out=9e-3), error or SquaredError(), Clock(1e-3, (STEPS,)), ())
    return Problem(Eprop(**chosen), view)


def weights_of(problem, gain=1.2):
    return problem.network.init_weights(gain, key=KEY)


@pytest.mark.parametrize("name", NEURONS)
def test_the_neuron_follows_its_equations(x64, name):
    neuron = NEURONS[name]()
    drive = np.random.default_rng(0).normal(0.1, 0.3, size=(50, 6))
    v = z = a = np.zeros(6)
    blocked = np.zeros(6)
    state, alpha = neuron.init((6,)), np.exp(-1e-3 / float(neuron.tau))
    for now in drive:
        a_next = a * np.exp(-1e-3 / float(neuron.tau_a)) + z if isinstance(neuron, ALIF) else a
        v = alpha * v + now - float(neuron.theta) * z if neuron.soft else alpha * v * (1 - z) + now
        blocked = np.where(z > 0, neuron.refractory, np.maximum(blocked - 1, 0))
        a = a_next
        threshold = float(neuron.theta) + (np.asarray(neuron.beta) * a if isinstance(neuron, ALIF) else 0)
        z = ((v > threshold) & (blocked <= 0)).astype(float)
        state = neuron.step(state, jnp.asarray(now), 1e-3)
        np.testing.assert_allclose(state.v, v, atol=1e-12)
        np.testing.assert_array_equal(state.z, z)
    assert neuron.refractory == 0 or (blocked >= 0).all()


def autodiff(problem, weights, trial):
    """The gradient of the loss with spikes that arrive from other neurons held fixed."""

    def loss(w):
        activity = problem.network.run(exact(w), trial.x, problem.view.clock, fixed=True)
        if isinstance(problem.view.objective, SquaredError):
            return 0.5 * jnp.square(activity.y - trial.target).sum()
        scores = jax.nn.log_softmax(activity.y) * problem.view.objective.counts(STEPS)[:, None]
        return -(scores * trial.target[None]).sum()

    return jax.grad(loss)(weights)


@pytest.mark.parametrize("name", NEURONS)
@pytest.mark.parametrize(
    "error", [SquaredError, lambda: CrossEntropy(window=0.4)], ids=["regression", "classification"]
)
def test_eprop_is_autodiff_with_the_spikes_of_others_held_fixed(x64, name, error):
    error = error()
    problem = problem_of(NEURONS[name](), error=error)
    trial, weights = trial_of(KEY), weights_of(problem)
    if isinstance(error, CrossEntropy):
        trial = trial._replace(target=jnp.asarray([0.0, 1.0]))
    activity = problem.run(weights, trial)
    assert 0.02 < float(activity.z.mean()) < 0.6, "neither silent nor saturated"
    found = problem.gradient(activity, weights[2], trial)
    for ours, true in zip(found, autodiff(problem, weights, trial), strict=True):
        assert float(jnp.abs(true).max()) > 1e-4
        np.testing.assert_allclose(ours, true, rtol=1e-9, atol=1e-9 * float(jnp.abs(true).max()))


@pytest.mark.parametrize("name", ["lif", "lif-refractory"])
def test_without_recurrence_eprop_is_backpropagation_through_time(x64, name):
    problem = problem_of(NEURONS[name]())
    trial, weights = trial_of(KEY), weights_of(problem)
    weights = (weights[0], jnp.zeros_like(weights[1]), weights[2])

    def loss(w):
        full = (w[0], jnp.zeros_like(weights[1]), w[1])
        return 0.5 * jnp.square(problem.run(full, trial).y - trial.target).sum()

    true = jax.grad(loss)((weights[0], weights[2]))
    found = problem.gradient(problem.run(weights, trial), weights[2], trial)
    np.testing.assert_allclose(found[0], true[0], rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(found[2], true[1], rtol=1e-9, atol=1e-10)


def test_with_recurrence_eprop_is_not_backpropagation_through_time(x64):
    problem = problem_of(NEURONS["lif"]())
    trial, weights = trial_of(KEY), weights_of(problem)
    true = jax.grad(lambda w: 0.5 * jnp.square(problem.run(w, trial).y - trial.target).sum())(weights)
    found = problem.gradient(problem.run(weights, trial), weights[2], trial)
    assert float(jnp.abs(found[1] - true[1]).max()) > 1e-3 * float(jnp.abs(true[1]).max())


@pytest.mark.parametrize("name", NEURONS)
@pytest.mark.parametrize("reference_order", [False, True])
def test_the_factorised_form_is_the_online_form(name, reference_order):
    problem = problem_of(NEURONS[name](), rate_weight=1e-2, reference_order=reference_order, clip=5.0)
    trial, weights = trial_of(KEY), weights_of(problem)
    feedback = jax.random.normal(jax.random.key(8), weights[2].shape)
    ours = problem.gradient(problem.run(weights, trial), feedback, trial)
    _, online = problem.rule.online_gradient(problem.view, exact(weights), trial, feedback)
    for a, b in zip(ours, online, strict=True):
        scale = float(jnp.abs(b).max())
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5 * scale)
    assert float(jnp.abs(ours[0]).max()) > 1e-2


def test_the_gradient_follows_its_definition_step_by_step(x64):
    """Traces and filters written out as loops in numpy, with rate regularisation and random feedback."""
    problem = problem_of(LIF(tau=12e-3, theta=0.4), rate_weight=0.03, target_rate=20.0)
    trial, weights = trial_of(KEY), weights_of(problem)
    feedback = np.random.default_rng(2).normal(size=(6, 2))
    activity = problem.run(weights, trial)
    z, y, v = (np.asarray(q) for q in (activity.z, activity.y, activity.state.v))
    x, target = np.asarray(trial.x), np.asarray(trial.target)
    alpha, kappa = np.exp(-1e-3 / 12e-3), np.exp(-1e-3 / 9e-3)
    rate = z.sum(0) / (STEPS * 1e-3)
    traces = [np.zeros((7, 6)), np.zeros((6, 6))]
    filtered = [np.zeros((7, 6)), np.zeros((6, 6))]
    spikes, wanted = np.zeros(6), [np.zeros((7, 6)), np.zeros((6, 6)), np.zeros((6, 2))]
    last = np.zeros(6)
    for t in range(STEPS):
        psi = 0.3 * np.maximum(0, 1 - np.abs((v[t] - 0.4) / 0.4))
        learning = feedback @ (y[t] - target[t]) + 0.03 * (rate - 20.0)
        for k, source in enumerate((x[t], last)):
            traces[k] = alpha * traces[k] + source[:, None]
            filtered[k] = kappa * filtered[k] + psi[None] * traces[k]
            wanted[k] += learning[None] * filtered[k]
        spikes = kappa * spikes + z[t]
        wanted[2] += spikes[:, None] * (y[t] - target[t])[None]
        last = z[t]
    wanted[1] *= 1 - np.eye(6)
    found = problem.gradient(activity, jnp.asarray(feedback), trial)
    for ours, true in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, true, rtol=1e-10, atol=1e-12)


def test_a_batch_gives_the_mean_gradient(x64):
    problem = problem_of(NEURONS["alif"](), rate_weight=1e-2)
    weights, trial = weights_of(problem), trial_of(KEY, batch=(4,))
    whole = problem.gradient(problem.run(weights, trial), weights[2], trial)
    each = [batch_of(trial.x[:, k], trial.target[:, k]) for k in range(4)]
    single = [problem.gradient(problem.run(weights, one), weights[2], one) for one in each]
    for k, ours in enumerate(whole):
        np.testing.assert_allclose(ours, sum(s[k] for s in single) / 4, rtol=1e-9, atol=1e-12)


def test_an_update_may_happen_at_any_step(x64):
    """Weights that change in the middle of a trial: the increments before it are those of the old weights."""
    problem = problem_of(NEURONS["lif"]())
    objective: Any = problem.view.objective
    online = OnlineEprop(problem.network, objective, 1e-3)
    trial, weights = trial_of(KEY), weights_of(problem)

    def slopes(change_at):
        state, found, w = online.init(), [], weights
        for t in range(30):
            if t == change_at:
                w = tuple(1.5 * m for m in w)
            reads = exact(w).part(0)
            state, step = online.step(state, reads, weights[2], Shown(trial.x[t], trial.x[t], (trial.target[t], None)))
            found.append(step.gradient[0])
        return jnp.stack(found)

    same, other = slopes(None), slopes(15)
    np.testing.assert_array_equal(same[:15], other[:15])
    assert float(jnp.abs(same[15:] - other[15:]).max()) > 1e-6


@pytest.mark.parametrize("online", [False, True], ids=["factorised", "online"])
@pytest.mark.parametrize("feedback", [Symmetric, Random, Adaptive])
def test_it_learns(online, feedback):
    """A frozen input and a slow target: the loss falls to less than a third in 20 updates and stays there for 20."""
    rule, adam = Eprop(feedback=feedback(), feedback_gain=0.3, online=online), optax.adam(3e-4)
    network = Recurrent((30, 30, 1), LIF(theta=0.3))
    x = jax.random.bernoulli(KEY, 0.05, (150, 30)).astype(jnp.float32)
    trial = batch_of(x, jnp.sin(jnp.arange(150) / 25)[:, None])
    view = View(network, SquaredError(), Clock(1e-3, (150,)), placed(network, network.init_weights(0.5, key=KEY)))
    state, losses = rule.init(view, adam, (), key=KEY), []
    start = state.feedback

    @jax.jit
    def update(state, cells, key):
        now = view._replace(cells=cells)
        state, change, metrics = rule.update(state, now, trial, adam, key=key)
        return state, placed(network, [w + d for w, d in zip(now.weights(), change, strict=True)]), metrics

    cells = view.cells
    for step in range(40):
        state, cells, metrics = update(state, cells, jax.random.key(step))
        losses.append(float(metrics["loss"]))
    assert np.mean(losses[-20:]) < losses[0] / 3, losses[:: len(losses) // 6]
    assert (float(jnp.abs(state.feedback - start).max()) > 0.01) == (feedback is Adaptive)


def placed(network, weights):
    """Fresh cells at these weights."""
    pairs = zip(network.crossbars, weights, strict=True)
    return tuple(c.cell.place(c.cell.init(w.shape), w) for c, w in pairs)


def pcm_network(cell=None, **options):
    crossbar = Crossbar(cell or DifferentialPair(PCM()), **options)
    network = Recurrent((20, 10, 2), LIF(theta=0.4), crossbars=(crossbar, crossbar, crossbar))
    return network, placed(network, network.init_weights(1.0, key=KEY))


def test_reads_of_devices_have_the_mean_and_the_spread_of_single_reads(x64):
    network, cells = pcm_network(MultiDevice(PCM(), per_side=2, scale=0.5))
    x = jax.random.bernoulli(KEY, 0.2, (1, 20)).astype(float)
    reading = network.read(cells, (0.25,)).part(0)
    keys = jax.random.split(jax.random.key(1), 4000)
    cell = network.crossbars[0].cell
    brute = jax.vmap(lambda k: x[0] @ cell.weight(cell.read(cells[0], 0.25, key=k)))(keys)
    shortcut = jax.vmap(lambda k: network.drive(reading, x[0], jnp.zeros(10), key=k))(keys)
    error = np.asarray(brute.std(0)) / np.sqrt(len(keys))
    np.testing.assert_allclose(brute.mean(0), shortcut.mean(0), atol=6 * error.max())
    np.testing.assert_allclose(brute.std(0), shortcut.std(0), rtol=0.06)


def test_drift_in_parts_is_drift_step_by_step(x64):
    """A run that starts right after a write, its conductances read in 6 parts, against reads at every step."""
    network, cells = pcm_network()
    when = clock(1000, 1e-3)
    assert len(when.parts) == 6
    assert when.steps == 1000
    cell = network.crossbars[0].cell
    exact = jax.vmap(lambda t: cell.weight(cell.read(cells[0], t)))((jnp.arange(1000.0) + 0.5) * 1e-3)
    ours = jnp.repeat(network.read(cells, when.moments(), noise=False).input.mean, jnp.asarray(when.parts), axis=0)
    ratio = np.asarray(ours / exact)
    assert np.abs(np.log(ratio)).max() < 0.0445, "4.4 % is the bound that `clock` states"
    assert np.abs(np.log(ratio)).max() > 1e-3, "nothing drifts here"
    assert abs(ratio.mean() - 1) < 1e-3


def test_wires_and_converters_are_part_of_the_network(x64):
    x = jax.random.bernoulli(KEY, 0.3, (40, 20)).astype(float)
    plain, cells = pcm_network()
    ideal = plain.run(plain.read(cells, (0.1,), noise=False), x, clock(40, 1e-3, 1))
    wired, _ = pcm_network(wires=Resistive(r_row=20.0, r_column=20.0))
    lossy = wired.run(wired.read(cells, (0.1,), noise=False), x, clock(40, 1e-3, 1))
    assert float(jnp.abs(ideal.state.v - lossy.state.v).max()) > 1e-4
    fine, _ = pcm_network(periphery=Periphery(adc=ADC(bits=20, range=100e-6)))
    converted = fine.run(fine.read(cells, (0.1,), noise=False), x, clock(40, 1e-3, 1))
    np.testing.assert_allclose(converted.state.v, ideal.state.v, atol=1e-3)
    coarse, _ = pcm_network(periphery=Periphery(adc=ADC(bits=3, range=20e-6)))
    rough = coarse.run(coarse.read(cells, (0.1,), noise=False), x, clock(40, 1e-3, 1))
    assert float(jnp.abs(rough.state.v - ideal.state.v).max()) > 1e-2


def test_chips_are_a_vmap():
    network, cells = pcm_network()
    x = jax.random.bernoulli(KEY, 0.2, (50, 20)).astype(jnp.float32)
    when, keys = clock(50, 1e-3, 2), jax.random.split(KEY, 3)
    readings = network.read(cells, when.moments())
    together = eqx.filter_vmap(lambda k: network.run(readings, x, when, key=k).y)(keys)
    for k, one in zip(keys, together, strict=True):
        np.testing.assert_allclose(network.run(readings, x, when, key=k).y, one, atol=1e-5)
    assert float(together.std(0).max()) > 0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Recurrent((3, 2, 0)), "three whole numbers"),
        (lambda: clock(0, 1e-3), "positive numbers are needed"),
        (lambda: LIF(theta=-1.0), "LIF.theta"),
        (lambda: problem_of(LIF()).run(weights_of(problem_of(LIF())), trial_of(KEY, steps=30)), "60 steps and 7 rows"),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(InputError, match=message):
        make()
