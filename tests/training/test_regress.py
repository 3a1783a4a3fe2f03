"""Numbers that networks follow: errors against oracles, a training, what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import Ridge

import memspike as ms
from memspike.config import examples
from memspike.config.build import classifier
from memspike.data.base import Dataset
from memspike.data.included import mackey_glass
from memspike.experiments import resolve, run
from memspike.parts.errors import InputError
from memspike.training.regress import normalised_error, ridge_error

FRAMES = 8


def series(seed=0, noise=0.05, lengths=None) -> Dataset:
    """Two channels, of which one output is the first and the other the mean of the second over three frames."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 1, (120, FRAMES, 2))
    late = np.concatenate([np.zeros((120, 2)), x[..., 1]], axis=1)
    y = np.stack([2 * x[..., 0] - 1, (late[:, 2:] + late[:, 1:-1] + late[:, :-2]) / 3], axis=-1)
    y += noise * rng.normal(size=y.shape)
    ends = (None, None) if lengths is None else (lengths[:90], lengths[90:])
    return Dataset("series", x[:90], y[:90].astype(np.float32), x[90:], y[90:].astype(np.float32), 2, 1.0, *ends)


def test_the_mean_of_the_training_part_has_an_error_of_one():
    data = series()
    constant = np.broadcast_to(data.y_train.mean((0, 1)), data.y_test.shape)
    assert normalised_error(constant - data.y_test, data) == pytest.approx(1.0)
    assert normalised_error(0 * data.y_test, data) == 0


def test_frames_behind_the_end_of_an_example_do_not_count():
    lengths = np.random.default_rng(1).integers(3, FRAMES + 1, 120)
    data = series(lengths=lengths)
    off = np.where(np.arange(FRAMES)[None, :, None] < lengths[90:, None, None], 0.0, 1e3)
    assert normalised_error(np.broadcast_to(off, data.y_test.shape), data) == 0
    spoilt = data.y_train.copy()
    spoilt[np.arange(FRAMES)[None] >= lengths[:90, None]] = 1e3
    assert ridge_error(data._replace(y_train=spoilt)) == pytest.approx(ridge_error(data))


def test_ridge_is_that_of_scikit_learn_for_every_frame():
    """With the penalty that our own choice comes to; a nearly linear task is nearly solved."""
    data = series()
    found = {}
    for penalty in (10.0**k for k in range(-8, 3)):
        errors = []
        for last in (slice(68, None), None):
            first = slice(68) if last else slice(None)
            x_to, y_to = (data.x_train[last], data.y_train[last]) if last else (data.x_test, data.y_test)
            off = []
            for k in range(FRAMES):
                seen, to = (
                    np.pad(a[:, : k + 1].reshape(len(a), -1), ((0, 0), (0, 1)), constant_values=1)
                    for a in (data.x_train[first], x_to)
                )
                law = Ridge(penalty * len(seen), fit_intercept=False).fit(seen, data.y_train[first, k])
                off.append(law.predict(to) - y_to[:, k])
            errors.append(np.stack(off, 1))
        found[float(np.square(errors[0]).sum())] = normalised_error(errors[1], data)
    assert ridge_error(data) == pytest.approx(found[min(found)], rel=1e-4)
    assert ridge_error(data) < 0.05


def test_the_series_is_that_of_its_equation():
    """Noiseless targets: the same series by other means, with a step ten times as fine."""
    data, step, late = mackey_glass(), 0.01, 1700
    x = [1.2] * (late + 1)
    for k in range(late, late + 100 * 260):
        x.append(x[k] + step * (0.2 * x[k - late] / (1 + x[k - late] ** 10) - 0.1 * x[k]))
    fine = np.array(x[late + 1 + 20000 :: 100])[6:46]
    given = data.y_train[0, :, 0]
    assert np.corrcoef(given, fine)[0, 1] > 0.999
    assert data.x_train.min() >= 0
    assert data.x_train.max() <= 1


SMALL = ("network.layers=[16]", "training.epochs=15", "encoder.fields=6", "learning.scheme=fp32", "seeds=2")


def test_a_network_follows_numbers(monkeypatch, tmp_path):
    monkeypatch.setattr(examples, "load", lambda *_: series())
    settings = resolve("eprop-regression", SMALL).settings
    result = run(settings, tmp_path / "run")
    assert result["test_error"] < 0.9
    assert result["test_error_max"] == max(result["test_errors"])
    assert result["ridge_error"] == ridge_error(series())
    assert f"ridge regression {result['ridge_error']:.4f}" in result["headline"]
    loaded = ms.load(tmp_path / "run")
    predicted = loaded.predict()
    assert predicted.shape == (2, 30, FRAMES, 2)
    errors = [normalised_error(y - series().y_test, series()) for y in predicted]
    assert errors == pytest.approx(result["test_errors"])
    assert (ms.report.write_report(tmp_path / "run")).exists()


def test_analog_neurons_that_follow_numbers_say_how_far_they_are_from_fine_steps(monkeypatch, tmp_path):
    monkeypatch.setattr(examples, "load", lambda *_: series())
    time = ["network.current=20uA", "network.tau_out=1ms", "encoder.frame_time=0.3ms", "simulation.dt=50us"]
    rates = ["learning.rule.rate_weight=0.0", "learning.rule.clip=30.0", "learning.start.gain=0.05"]
    keys = [*SMALL, "neuron=mif", *time, *rates, "learning.optimizer.rates=[1.5e-3, 3e-4, 1.5e-2]", "training.epochs=1"]
    result = run(resolve("eprop-regression", keys).settings, tmp_path / "run")
    assert 0 < result["membrane_deviation"] < 50e-3
    assert result["membrane_step"] == pytest.approx(50e-6)


@pytest.mark.parametrize("every", [None, 10])
def test_a_local_rule_follows_numbers_of_every_step(every):
    """The same numbers at all steps are a class's; others in the second half of a trial come second."""
    keys = ("network.layers=[8]", f"training.update_every={every or 'none'}", "learning.scheme=fp32", "burn=0")
    population = classifier(resolve("decolle-digits", ("data.train=64", *keys)).settings).population
    learner, made = population.learner, population.network(population.first_of(population.chips))
    chip, key = learner.init(made, key=jax.random.key(0)), jax.random.key(1)
    trial = population.trials.trial(None, jnp.arange(10), key)
    steps = trial.x.shape[0]
    assert steps == 20

    def weights(target):
        after, _ = learner.step(made, chip, trial._replace(target=target), key=key)
        return np.concatenate([np.ravel(w) for w in made.weights(after.cells)])

    same = jnp.broadcast_to(trial.target, (steps, *trial.target.shape))
    late = same.at[steps // 2 :].set(0.5)
    np.testing.assert_allclose(weights(same), weights(trial.target), rtol=1e-5, atol=1e-7)
    assert np.abs(weights(late) - weights(late[::-1])).max() > 1e-3


@pytest.mark.parametrize(
    ("name", "keys", "words"),
    [
        ("eprop-spoken", ("data.name=mackey-glass",), "wants numbers at every frame"),
        ("eprop-regression", ("data.name=digits",), "has classes"),
        ("eprop-regression", ("learning.objective=cross-entropy",), "needs squared-error"),
        ("eprop-regression", ("encoder=image-rate",), "shows all frames at once"),
        ("regressor", ("network=competitive",), "whose neurons stand for classes"),
        ("eprop-regression", ("evaluation.age=[1]",), "does not measure"),
    ],
)
def test_refusals(name, keys, words, tmp_path):
    with pytest.raises(InputError, match=words):
        run(resolve(name, keys).settings, tmp_path / "run")
    assert not (tmp_path / "run").exists()
