"""Examples of unequal lengths: what lies behind their ends changes nothing, whatever learns them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import memspike as ms
from memspike.config import build, examples
from memspike.data.base import Dataset
from memspike.experiments import resolve, run
from memspike.parts.errors import InputError

FRAMES, CHANNELS, CLASSES = 6, 5, 2
SAME = ("network.layers=[8]", "training.batch=5", "training.epochs=2", "evaluation.fine_dt=none", "evaluation.chips=0")
RULES = {
    "eprop": ("eprop-spoken", "encoder.frame_time=4ms", "learning.scheme=fp32", "evaluation.age=[]"),
    "bptt": ("memprop-digits", "encoder=channels", "simulation.duration=0.6ms", "augment.shift=0"),
    "decolle": ("decolle-mnist", "encoder=frame-rate", "encoder.max_rate=200", "learning.objective.burn=2"),
}


def sounds(behind: int = 0) -> Dataset:
    """Two classes of noise, 3 to 6 frames long, with values `behind` their ends."""
    rng = np.random.default_rng(0)
    y = (np.arange(40) % CLASSES).astype(np.int32)
    x = np.clip(rng.uniform(0, 255, (CLASSES, FRAMES, CHANNELS))[y] + rng.normal(0, 25, (40, FRAMES, CHANNELS)), 0, 255)
    lengths = rng.integers(3, FRAMES + 1, 40)
    x[np.arange(FRAMES)[None] >= lengths[:, None]] = behind
    x = x.astype(np.uint8)
    return Dataset("sounds", x[:30], y[:30], x[30:], y[30:], CLASSES, 255.0, lengths[:30], lengths[30:])


def settings(rule, *keys):
    name, *own = RULES[rule]
    return resolve(name, (*SAME, *own, *keys)).settings


def check_loaded(run, data):
    """A run that is read back predicts examples by their own lengths."""
    predicted = run.predict()
    np.testing.assert_array_equal(run.predict(data.x_test, data.lengths_test), predicted)
    assert (run.predict(data.x_test) != predicted).any(), "what lies behind the ends counts without lengths"
    for lengths in ([1, 2], np.full(10, FRAMES + 1), np.zeros(10, int)):
        with pytest.raises(InputError, match="lengths have shape"):
            run.predict(data.x_test, lengths)
    with pytest.raises(InputError, match="lengths belong to examples"):
        run.predict(lengths=data.lengths_test)


@pytest.mark.parametrize("rule", RULES)
def test_what_lies_behind_the_end_of_an_example_changes_nothing(rule, monkeypatch, tmp_path):
    results = []
    for behind in (0, 255):
        data = sounds(behind)
        monkeypatch.setattr(examples, "load", lambda *_, data=data: data)
        results.append(run(settings(rule), tmp_path / str(behind)))
    assert results[0]["test_accuracies"] == results[1]["test_accuracies"]
    assert results[0]["final_loss"] == pytest.approx(results[1]["final_loss"], rel=1e-6)
    texts = [(tmp_path / str(behind) / "metrics.csv").read_text().splitlines() for behind in (0, 255)]
    last = [[float(value) for value in text[-1].split(",")[:4]] for text in texts]
    np.testing.assert_allclose(last[0], last[1], rtol=1e-5)
    if rule == "bptt":
        check_loaded(ms.load(tmp_path / "255"), data)
    whole = sounds(255)._replace(lengths_train=None, lengths_test=None)
    monkeypatch.setattr(examples, "load", lambda *_: whole)
    assert run(settings(rule), tmp_path / "whole")["final_loss"] != pytest.approx(results[0]["final_loss"], rel=1e-3)


def test_a_trial_ends_as_much_earlier_as_its_example_lacks_frames(monkeypatch):
    data, lengths = sounds(), np.asarray(sounds().lengths_train)[:5]
    monkeypatch.setattr(examples, "load", lambda *_: data)
    for rule, frame in (("eprop", 4e-3), ("bptt", 50e-6)):
        trials: Any = build.classification(settings(rule)).population.trials
        own = trials.trial(None, jnp.arange(5), jax.random.key(0)).own
        missing = (FRAMES - lengths) * frame / trials.dt
        np.testing.assert_array_equal(np.asarray(own), trials.steps - np.round(missing))
        finer = trials.own(jnp.asarray(lengths), trials.dt / 4)
        np.testing.assert_array_equal(np.asarray(finer), 4 * trials.steps - np.round(4 * missing))


def test_an_example_that_ends_before_any_step_counts_is_refused(monkeypatch):
    monkeypatch.setattr(examples, "load", lambda *_: sounds())
    with pytest.raises(InputError, match="burn is 20; allowed: 0 to"):
        build.classification(settings("decolle", "learning.objective.burn=20"))
