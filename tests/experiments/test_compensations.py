"""Ways around asymmetric updates, one by one and in training."""

import json
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import memspike as ms
from memspike import cells, learning
from memspike.arrays import Crossbar
from memspike.devices import SoftBounds
from memspike.devices.presets import neurosim
from memspike.experiments import resolve
from memspike.experiments.asymmetry_study import cases_of, settings_of, tried
from memspike.experiments.compensations import COMPENSATIONS, FAST, PERIOD
from memspike.experiments.named import data_set
from memspike.experiments.population import train_population
from memspike.experiments.run import silent
from memspike.experiments.settings import changed
from memspike.learning.programming.cancelled import inverted
from memspike.learning.programming.counting import nominal_step, symmetric_step
from memspike.learning.programming.rounding import bit_line_counts

KEY = jax.random.key(0)


def law_of(name):
    """A device of the tables without its cycle-to-cycle noise."""
    return neurosim.from_table(name).device.device


def single(name="ag-a-si", **parts):
    device = law_of(name)
    return Crossbar(cells.SingleReference(device, cells.midpoint(device), **parts))


def settled(scheme, crossbar, updates=900, size=0.012, shape=(60, 60)):
    """Mean weight after many updates whose wanted change is zero on average."""
    start = crossbar.cell.place(crossbar.cell.init(shape), jnp.full(shape, 0.2))

    def one(carry, key):
        first, second = jax.random.split(key)
        dw = size * jax.random.rademacher(first, shape, float)
        done = scheme.apply(carry[0], crossbar, carry[1], dw, key=second)
        return (done.state, done.cells), None

    run = jax.jit(lambda s, c: jax.lax.scan(one, (s, c), jax.random.split(KEY, updates))[0][1])
    end = run(scheme.init(crossbar, start), start)
    return float(crossbar.cell.weight(crossbar.cell.stored(end)).mean())


def test_stochastic_rounding_is_right_on_average():
    crossbar = single()
    dw = jnp.linspace(-0.05, 0.05, 11)[None] * jnp.ones((20_000, 1))
    way = learning.stochastically_rounded()
    fresh = crossbar.cell.init(dw.shape)
    _, n = way.pulses((), crossbar, fresh, dw, key=KEY)
    wanted = np.asarray(dw[0] / symmetric_step(crossbar))
    assert (np.asarray(n) == np.round(n)).all()
    np.testing.assert_allclose(np.asarray(n).mean(0), wanted, atol=4 * 0.5 / 20_000**0.5)
    _, capped = learning.stochastically_rounded(most=1).pulses((), crossbar, fresh, dw, key=KEY)
    assert np.abs(capped).max() == 1


def test_gains_move_the_point_where_pulses_cancel():
    """Without a wanted change: uncompensated to the symmetry point, by sign gains to mid-range."""
    crossbar = single()
    g_star = ms.devices.response(law_of("ag-a-si")).symmetry_point
    assert settled(learning.by_rounding(), crossbar) == pytest.approx(2 * (g_star - 0.5), abs=0.03)
    assert settled(learning.by_sign_gain(), crossbar) == pytest.approx(0.0, abs=0.03)
    # read first, then invert: it stays where it was, up to the noise of the pulses
    assert settled(learning.cancelled(), crossbar, updates=300) == pytest.approx(0.2, abs=0.03)


def test_running_gain_follows_a_mean_device(x64):
    """Against a plain loop with one device that gets the mean pulses of every update."""
    crossbar, random = single(), np.random.default_rng(0)
    scheme = learning.by_running_gain()
    start = crossbar.cell.place(crossbar.cell.init((5, 4)), jnp.zeros((5, 4)))
    state, own = scheme.init(crossbar, start), start
    law = law_of("ag-a-si")
    middle = 0.5 * (float(law.g_min) + float(law.g_max))
    g, unit = jnp.asarray(middle), float(crossbar.cell.unit())
    up0, down0 = (abs(float(law.program(jnp.asarray(middle), s)) - middle) / unit for s in (1, -1))
    for _ in range(6):
        dw = random.normal(0.02, 0.05, (5, 4))
        up, down = (abs(float(law.program(g, s) - g)) / unit for s in (1, -1))
        wanted = np.where(dw > 0, dw / max(up, 0.02 * up0), dw / max(down, 0.02 * down0))
        n = np.round(wanted)
        done = scheme.apply(state, crossbar, own, jnp.asarray(dw), key=None)
        np.testing.assert_array_equal(np.asarray(done.ledger.up - done.ledger.down)[0], n)
        state, own = done.state, done.cells
        g = law.program(law.program(g, np.maximum(n, 0).mean()), -np.maximum(-n, 0).mean())
        np.testing.assert_allclose(state.devices, np.full((1, 1, 1), g), rtol=1e-12)


def test_inversion_encloses_the_wanted_change(x64):
    """Against the inverse of the exponential law in closed form: neighbours of it, with the right mean."""
    law = SoftBounds.from_labels(2.4, -4.88, pulses_up=97.0, pulses_down=100.0)
    cell = cells.SingleReference(law, cells.midpoint(law))
    g = jnp.asarray(np.random.default_rng(0).uniform(3e-6, 7e-6, (1, 30, 30)))
    state = cell.init((30, 30))._replace(devices=g)
    dw = jnp.asarray(np.random.default_rng(1).normal(0, 0.05, (30, 30)))
    exact = np.asarray(law.pulses_for(g[0], dw * cell.unit()))
    draws = np.asarray(jax.vmap(lambda k: inverted(cell, state, dw, 15, key=k))(jax.random.split(KEY, 400)))
    inside = np.isfinite(exact) & (np.abs(exact) < 14)
    assert inside.mean() > 0.8
    low, high = np.floor(np.abs(exact)), np.ceil(np.abs(exact))
    size = np.abs(draws)
    assert ((size >= low - 1e-9) & (size <= high + 1e-9))[:, inside].all()
    changes = np.asarray(
        jax.vmap(lambda n: cell.weight(cell.stored(cell.program(state, n)[0])))(jnp.asarray(draws[:60]))
    )
    now = np.asarray(cell.weight(cell.stored(state)))
    error = changes.std(0) / 60**0.5
    off = np.abs(changes.mean(0) - now - np.asarray(dw)) / np.maximum(error, 1e-12)
    assert (off < 5)[inside & (error > 1e-9)].mean() > 0.99
    # without a key the nearer of the two
    nearest = np.asarray(inverted(cell, state, dw, 15, key=None))
    moved = np.asarray(cell.weight(cell.stored(cell.program(state, jnp.asarray(nearest))[0]))) - now
    other = np.asarray(cell.weight(cell.stored(cell.program(state, jnp.asarray(np.sign(dw) * low))[0]))) - now
    assert (np.abs(moved - dw) <= np.abs(other - dw) + 1e-12)[inside].all()


def test_cancelled_books_its_reads():
    crossbar = single()
    start = crossbar.cell.place(crossbar.cell.init((6, 5)), jnp.zeros((6, 5)))
    done = learning.cancelled().apply((), crossbar, start, jnp.full((6, 5), 0.1), key=KEY)
    assert int(done.ledger.reads) == 6


def test_bit_lines_multiply_in_the_array():
    """Mean of the coincidences of a sum of outer products; the stream is as long as the largest product needs."""
    random = np.random.default_rng(0)
    rows, columns = jnp.asarray(random.uniform(-1, 1, 6), jnp.float32), jnp.asarray(random.normal(0, 1, 5), jnp.float32)
    for adaptive in (False, True):
        count = jax.jit(
            jax.vmap(lambda k, a=adaptive: bit_line_counts(rows, columns, gain=2.0, length=31, adaptive=a, key=k))
        )
        n = np.asarray(count(jax.random.split(KEY, 20_000)))
        wanted = 2.0 * np.outer(rows, columns)
        np.testing.assert_allclose(n.mean(0), wanted, atol=5 * n.std(0).max() / 20_000**0.5)
        longest = np.ceil(np.abs(wanted).max()) if adaptive else 31
        assert np.abs(n).max() <= longest
    crossbar = Crossbar()
    start = crossbar.cell.place(crossbar.cell.init((6, 5)), jnp.zeros((6, 5)))
    step = float(symmetric_step(crossbar))
    dw = learning.Outer(step * 3 * jnp.stack([rows, rows[::-1]]), jnp.stack([columns, 2 * columns[::-1]]))
    scheme = learning.by_bit_lines()
    both = jax.jit(jax.vmap(lambda k: scheme.apply((), crossbar, start, dw, key=k)))(jax.random.split(KEY, 4000))
    moved = np.asarray(jax.vmap(lambda c: crossbar.cell.weight(crossbar.cell.stored(c)))(both.cells))
    np.testing.assert_allclose(moved.mean(0), learning.dense(dw), atol=5 * moved.std(0).max() / 4000**0.5)
    assert int(jax.tree.map(lambda x: x[0], both.ledger.writes)) == 2
    again = learning.terms(learning.dense(dw))
    np.testing.assert_allclose(learning.dense(again), learning.dense(dw), rtol=1e-6)


def test_conditional_reverse_takes_the_side_that_answers():
    law = law_of("pcmo")
    crossbar = Crossbar(cells.DifferentialPair(law, cells.BothSides()))
    low, width = float(law.g_min), float(law.g_max - law.g_min)
    # upwards: G⁺ is nearly full in the first cell and empty in the second, G⁻ at a third in both
    share = jnp.asarray([[0.9, 0.1], [0.3, 0.3]]).T[:, None, :]
    state = crossbar.cell.init((1, 2))._replace(devices=low + width * share)
    scheme = learning.conditional_reverse(every=10, levels=10)
    step = float(symmetric_step(crossbar))
    done = scheme.apply(scheme.init(crossbar, state), crossbar, state, jnp.full((1, 2), 2 * step), key=None)
    sent = np.asarray(done.ledger.up - done.ledger.down)[:, 0]
    worth = {
        (k, side): abs(float(law.program(jnp.asarray(low + width * s), n)) - (low + width * s))
        for k, pair in enumerate(((0.95, 0.35), (0.15, 0.35)))
        for side, s, n in ((0, pair[0], 1), (1, pair[1], -1))
    }
    nominal = step * float(crossbar.cell.unit())
    for k in range(2):
        best = min((0, 1), key=lambda side: abs(worth[k, side] - nominal))
        assert sent[best, k] == (2, -2)[best]
        assert sent[1 - best, k] == 0
    assert int(done.ledger.reads) == 1
    later = scheme.apply(done.state, crossbar, done.cells, jnp.full((1, 2), step), key=None)
    assert int(later.ledger.reads) == 0
    with pytest.raises(ms.InputError, match="DifferentialPair is needed"):
        scheme.init(single(), single().cell.init((2, 2)))


def test_worth_is_that_of_the_mean_cell_for_references_of_their_own():
    device = law_of("ag-a-si")
    points = cells.at_symmetry_point(device, (3, 4))
    shifted, plain = Crossbar(cells.SingleReference(device, points)), single()
    dw = jnp.asarray([[1.0, -1.0]])
    np.testing.assert_allclose(nominal_step(shifted, None, dw), nominal_step(plain, None, dw), rtol=1e-5)


QUICK = ("data.train=200", "data.test=100", "learning.epochs=1", "learning.batch=1", "network.hidden=[20]")


def test_a_population_is_a_loop_of_runs(tmp_path):
    """Configurations with other devices, rates, thresholds and fast tiles, together and one by one: the same chips."""
    _, base = resolve("decolle-digits", [*QUICK, "learning.scheme=tiki-taka-2", "device.cell=tiles", "seeds=2"])
    keys = ("device.labels", "learning.rate", "device.weight_range", "learning.theta", FAST, PERIOD)
    values = (((0.0, 0.0), 0.5, 1.0, 0.01, 1.0, 100.0), ((3.0, -3.0), 1.0, 0.5, 0.03, 4.0, 30.0))
    several = [changed(base, dict(zip(keys, v, strict=True))) for v in values]
    together = train_population(several, data_set(base.data, 1), silent)
    for k, (config, outcome) in enumerate(zip(several, together, strict=True)):
        alone = ms.experiments.run(config, tmp_path / str(k))
        np.testing.assert_allclose(outcome.accuracy, alone["test_accuracies"], atol=0.021)
        assert outcome.pulses_per_weight.mean() == pytest.approx(2 * alone["writes_per_device"], rel=0.02)  # two tiles
        assert outcome.energy.mean() == pytest.approx(alone["energy_j"], rel=0.02)


def test_wanted_changes_as_outer_products_are_those_of_the_rule(x64):
    """One update by either rule."""
    problem = learning.Decolle(ms.networks.local_network((7, 6, 5), 3, key=KEY))
    x = jax.random.bernoulli(KEY, 0.4, (12, 4, 7)).astype(float)
    segment = learning.Segment(x, jax.nn.one_hot(jnp.arange(4) % 3, 3), jnp.ones(12), jnp.asarray(True))
    weights = problem.network.init_weights(3.0, key=KEY)
    rules = [make(problem, optax.sgd(0.3), (4,)) for make in (learning.decolle, learning.decolle_outer)]
    changes = [rule.update(rule.init(weights), weights, segment, key=None)[1] for rule in rules]
    assert changes[1][0].rows.shape == (48, 8)
    for one, other in zip(*changes, strict=True):
        np.testing.assert_allclose(one, learning.dense(other), atol=1e-14)
        assert np.abs(one).max() > 1e-4


def test_updates_every_few_steps(tmp_path):
    """Weights written within an image: as many writes as segments, and it learns."""
    given = ["learning.scheme=bit-lines", "learning.rule=decolle-outer", "learning.update_every=5", "learning.rate=0.5"]
    result = ms.experiments.run(resolve("decolle-digits", [*QUICK, *given, "learning.epochs=4"])[1], tmp_path / "run")
    assert result["test_accuracy"] > 0.4
    assert result["writes_per_device"] > 0


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("device.cell=triple", "device.cell is 'triple'; allowed: single, zero-shift"),
        ("learning.rule=bptt", "learning.rule is 'bptt'; allowed: decolle, decolle-outer"),
        ("task.burn=20", "task.burn is 20; allowed: 0 to 19"),
        ("device.device=mif-pair", "a pulse device is needed"),
        ("learning.scheme=conditional-reverse", "DifferentialPair is needed"),
        ("programming.length=3", "programming.length has no effect"),
        ("learning.scheme=agad", "device.cell is 'single'; tiles is needed"),
    ],
)
def test_what_cannot_be_is_said(call, tmp_path, setting, words):
    status, _, error = call("run", "decolle-digits", "--quick", "--set", setting, "--out", tmp_path / "run")
    assert status == 2
    assert words in error.replace("\n", " ")
    assert not (tmp_path / "run").exists()


def test_cases_of_a_study():
    _, config = resolve("asymmetry-study", ["study.labels=[0,3]"])
    assert [c["device.labels"] for c in cases_of(config.study)] == [(0.0, 0.0), (3.0, -3.0), (3.0, 3.0)]
    _, config = resolve("asymmetry-devices", ["study.devices=[pcmo]"])
    assert cases_of(config.study) == [{"device.device": "pcmo"}]


def test_every_way_is_searched_with_as_many_settings():
    _, config = resolve("asymmetry-devices", ["study.trials=9", "study.fast=[0.5, 2.0]", "study.reads=3"])
    given = config.study
    bounds = {"learning.rate": given.rates, "device.weight_range": given.ranges, "learning.theta": given.thetas}
    bounds |= {FAST: (0.5, 2.0), PERIOD: given.periods}
    for name, way in COMPENSATIONS.items():
        found = tried(given, way.tuned)
        assert len(found) == 9
        assert set(found[0]) == {"learning.rate", "device.weight_range", *way.tuned}
        for key in found[0]:
            least, largest = bounds[key]
            values = np.asarray([settings[key] for settings in found])
            assert least < values.min() < least * (largest / least) ** 0.25, name
            assert largest > values.max() > least * (largest / least) ** 0.75, name
            assert len(set(values)) == 9
    assert settings_of(COMPENSATIONS["agad"], given)["programming.reads"] == 3
    assert "programming.reads" not in settings_of(COMPENSATIONS["none"], given)


def test_bounds_of_a_search_are_checked():
    with pytest.raises(ms.InputError, match=r"study.rates is \[2, 1\]; allowed: two numbers above 0, least first"):
        resolve("asymmetry-devices", ["study.rates=[2, 1]"])


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / "run"
    _, config = resolve(
        "asymmetry-devices",
        ["study.devices=[pcmo]", "network.hidden=[40]", "study.trials=1", "study.rates=[1.6, 1.6]"],
        quick=True,
    )
    return folder, config, ms.experiments.run(config, folder)


def test_asymmetry_costs_and_accumulation_recovers(studied):
    _, _, result = studied
    rows = {row["scheme"]: row for row in result["rows"]}
    needed = {"device", "scheme", "nl_up", "nl_down", "accuracy_mean", "accuracy_sd", "ideal_accuracy"}
    assert needed | {"pulses_per_weight", "learning_rate", "seeds"} <= set(rows["none"])
    assert rows["none"]["accuracy_mean"] < rows["ideal"]["accuracy_mean"] - 0.1
    assert rows["accumulate"]["accuracy_mean"] > rows["none"]["accuracy_mean"] + 0.1
    assert min(rows[name]["pulses_per_weight"] for name in ("none", "accumulate")) > 0.5
    assert rows["ideal"]["pulses_per_weight"] == 0


def test_a_study_goes_on_where_it_was(studied):
    folder, config, result = studied
    (folder / "parts/accumulate.json").unlink()
    (folder / "result.json").unlink()
    before = (folder / "parts/none.json").read_text()
    again = ms.experiments.run(config, folder, resume=True)
    assert (folder / "parts/none.json").read_text() == before
    assert json.dumps(again["rows"]) == json.dumps(result["rows"])


def test_spread_and_reference_belong_to_the_chip(tmp_path):
    """Two seeds have other devices; a chip has the same ones at every read, and its reference at their own points."""
    from memspike.experiments.local_chip import local_learner

    _, config = resolve(
        "decolle-digits", ["device.device=ag-a-si", "device.cell=zero-shift", "learning.scheme=sign-gain"]
    )
    learner = local_learner(config, 8, 3, 10)
    made = [eqx.filter_jit(learner.fabricated)(jax.random.key(k)) for k in (0, 0, 1)]
    made_cells: list[Any] = [n.layers[0].crossbar.cell for n in made]
    curvature = [cell.device.device.curvature_up for cell in made_cells]
    assert curvature[0].shape == (1, 9, 150)
    np.testing.assert_array_equal(curvature[0], curvature[1])
    assert not np.array_equal(curvature[0], curvature[2])
    cell = made_cells[0]
    width = float(learner.crossbar.cell.device.g_max)
    points = cells.at_symmetry_point(cell.device, (1, 9, 150))[0]
    # alternating pulses with their noise end near it, far nearer than mid-range is
    off = np.asarray(cell.reference - points)
    assert off.std() < 0.1 * width
    assert abs(off.mean()) < 0.02 * width
    assert np.corrcoef(np.asarray(cell.reference).ravel(), np.asarray(points).ravel())[0, 1] > 0.1
