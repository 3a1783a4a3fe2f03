"""Networks, learners and trainings in Python: the same as by a configuration, with objects and arrays."""

from typing import Any

import numpy as np
import optax
import pytest

import memspike as ms
from memspike.arrays import ADC, Crossbar, Drive, Periphery, Pulse, Resistive, Tiles
from memspike.config.build import classification
from memspike.config.draft import array_of
from memspike.config.resolve import checked
from memspike.config.settings import Settings
from memspike.experiments.export import export_run
from memspike.parts.atomic import read_arrays
from memspike.parts.errors import InterruptedRunError
from memspike.training import bar
from memspike.training.progress import Progress

RNG = np.random.default_rng(0)
Y = RNG.integers(0, 2, 120)
X = np.where(Y[:, None, None] == 1, np.eye(6), np.eye(6)[::-1]) * RNG.uniform(0.5, 1.0, (120, 6, 6))
ARRAYS = (X[:80], Y[:80], X[80:], Y[80:])


def learner(**more):
    network = ms.network([6], synapse=ms.devices.ConstantStep(g_min=10e-6, g_max=100e-6))
    return ms.learner(network, **{"optimizer": ms.optimizers.adamw(learning_rate=2e-2), **more})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fit") / "run"
    return ms.fit(learner(), ARRAYS, epochs=4, batch=20, seeds=2, seed=3, folder=folder, progress=False)


def test_arrays_are_learned_kept_and_read_back(run):
    assert run.accuracy().mean() > 0.9
    assert (list(run.seeds), run.predict(X[:3].astype(np.float32)).shape) == ([3, 4], (2, 3))
    again = ms.load(run.folder)
    np.testing.assert_array_equal(again.predict(), run.predict())
    assert again.result == run.result
    with pytest.raises(ms.InputError, match=r"tells classes; use accuracy\(\)"):
        again.error()
    assert [row["age_s"] for row in again.age((60.0,), chips=2)] == [60.0]


def test_it_goes_on_with_the_same_data_alone(run):
    same: dict[str, Any] = {"epochs": 4, "batch": 20, "seeds": 2, "seed": 3, "folder": run.folder, "progress": False}
    again = ms.fit(learner(), ARRAYS, resume=True, **same)
    np.testing.assert_array_equal(again.predict(), run.predict())
    with pytest.raises(ms.InputError, match="is not empty; give another one, or resume=True"):
        ms.fit(learner(), ARRAYS, **same)
    with pytest.raises(ms.InputError, match="was started with other data"):
        ms.fit(learner(), (X[:80], Y[:80], X[80:] / 2, Y[80:]), resume=True, **same)
    with pytest.raises(ms.InputError, match="was started with another configuration"):
        ms.fit(learner(), ARRAYS, resume=True, **{**same, "seeds": 1})


WAVES = 0.5 + 0.5 * np.sin(RNG.uniform(0, 6, (60, 1)) + RNG.uniform(0.2, 0.4, (60, 1)) * np.arange(12))
NUMBERS = (WAVES[:40, 2:, None], WAVES[:40, :-2, None], WAVES[40:, 2:, None], WAVES[40:, :-2, None])


def test_numbers_are_followed_kept_and_read_back(tmp_path):
    network = ms.network([8], type="recurrent", synapse=ms.devices.ConstantStep(g_min=10e-6, g_max=100e-6))
    follower = ms.learner(
        network, encoder=ms.encoders.population(fields=4), optimizer=ms.optimizers.adamw(learning_rate=1e-2)
    )
    given: dict[str, Any] = {"epochs": 2, "batch": 20, "seeds": 2, "folder": tmp_path / "run", "progress": False}
    run = ms.fit(follower, NUMBERS, **given)
    assert run.settings.experiment == "regressor"
    assert run.error().tolist() == run.result["test_errors"]
    assert run.predict(NUMBERS[2][:3].astype(np.float32)).shape == (2, 3, 10, 1)
    loaded, again = ms.load(run.folder), ms.fit(follower, NUMBERS, resume=True, **given)
    assert loaded.error().tolist() == again.error().tolist() == run.error().tolist()
    np.testing.assert_allclose(loaded.labels, NUMBERS[3], rtol=1e-6)
    export_run(loaded, tmp_path / "out")
    saved = read_arrays(tmp_path / "out/predictions.npz")
    assert saved["predicted"].shape == (2, *saved["targets"].shape)
    with pytest.raises(ms.InputError, match=r"follows numbers; use error\(\)"):
        run.accuracy()
    with pytest.raises(ms.InputError, match="follows numbers; ages"):
        run.age((60.0,))


def test_objects_and_words_are_one_configuration():
    """Every part as an object, by its name, and as the key of an experiment."""
    by_object = ms.learner(
        ms.network(
            [ms.layer(6, neuron=ms.neurons.MIF(m1=ms.devices.MetastableSwitch(v_on=0.09)), recurrent=True), ms.layer()],
            synapse=ms.cells.DifferentialPair(ms.devices.PCM()),
        ),
        rule=ms.learning.BPTT(),
        scheme=ms.schemes.mixed_precision(quantum=0.1),
        optimizer=ms.optimizers.adamw(learning_rate=1e-3),
        encoder=ms.encoders.image(read_voltage="50mV"),
        simulation={"dt": "25us"},
    )
    keys = [
        *("network.layers=[6]", "network.layers.0.neuron=mif", "network.layers.0.neuron.m1.v_on=90mV"),
        *("network.layers.0.recurrent=true", "synapse.device=pcm", "learning.scheme=mixed-precision", "quantum=0.1"),
        *("learning.optimizer.learning_rate=1e-3", "encoder.read_voltage=50mV", "dt=25us"),
    ]
    by_key = ms.experiments.resolve("classifier", keys).settings
    found = checked(Settings, {"experiment": "classifier", **by_object.tables})
    for name in ("neuron", "synapse", "learning", "encoder", "simulation"):
        assert repr(getattr(found, name)) == repr(getattr(by_key, name)), name
    assert repr(found.network.layers[0]) == repr(by_key.network.layers[0])


def test_a_crossbar_is_taken_as_it_is():
    periphery = Periphery(adc=ADC(bits=6, range=1e-3))
    drive = Drive(Pulse(energy=1e-12), None, None)
    given = Crossbar(
        ms.cells.DifferentialPair(ms.devices.SoftBounds()), Resistive(1.0, 2.0, 3.0, 4.0), Tiles(16, 16), periphery,
        read_noise=0.01, drive=drive,
    )  # fmt: skip
    learner = ms.learner(ms.network([6], crossbar=given))
    settings = checked(Settings, {"experiment": "classifier", "training": {"batch": 20}, **learner.tables})
    made: Any = classification(settings, ms.data.from_arrays(*ARRAYS)).learner.network.crossbars[0]
    assert repr(made.wires) == repr(given.wires)
    assert (made.tiles.rows, made.tiles.columns, made.periphery.adc.bits) == (16, 12, 6)
    assert repr(made.cell) == repr(given.cell)
    assert (float(made.read_noise), float(made.drive.up.energy)) == pytest.approx((0.01, 1e-12))
    with pytest.raises(ms.InputError, match="programming_spread"):
        array_of(Crossbar(programming_spread=0.1))


def test_what_no_file_holds_is_trained_and_says_why_it_is_not_read_back(tmp_path):
    scheme = ms.learning.refreshed(ms.learning.mixed_precision(), ms.cells.Refresh(), every=5)
    own = ms.learner(ms.network([4]), scheme=scheme, optimizer=optax.sgd(1e-2))
    run = ms.fit(own, ARRAYS, epochs=1, batch=40, folder=tmp_path / "run", progress=False)
    assert run.accuracy().shape == (1,)
    with pytest.raises(ms.InputError, match=r"learning\.scheme and learning\.optimizer was an object in Python"):
        ms.load(run.folder)
    for other in ({"optimizer": optax.sgd(2e-2)}, {"scheme": ms.learning.mixed_precision(quantum=0.5)}):
        changed = ms.learner(ms.network([4]), **{"scheme": scheme, "optimizer": optax.sgd(1e-2), **other})
        with pytest.raises(ms.InputError, match="was started with another configuration"):
            ms.fit(changed, ARRAYS, epochs=1, batch=40, folder=run.folder, progress=False, resume=True)
    again = ms.fit(own, ARRAYS, epochs=1, batch=40, folder=run.folder, progress=False, resume=True)
    assert again.accuracy() == run.accuracy()
    config = run.folder / "config.toml"
    kept = [line for line in config.read_text().splitlines() if not line.startswith("content = ")]
    config.write_text("\n".join(kept).replace('type = "given in Python"', 'type = "mine"'))
    with pytest.raises(ms.InputError, match=r"Unknown learning\.scheme 'mine'; parts of your own must be registered"):
        ms.load(run.folder)
    (run.folder / "arrays.npz").unlink()
    config.write_text(config.read_text().replace('type = "mine"', 'type = "sgd"').replace('"sgd"', '"ideal"', 1))
    with pytest.raises(ms.InputError, match=r"its arrays\.npz is missing"):
        ms.load(run.folder)


def test_an_interruption_leaves_a_checkpoint_and_says_how_to_go_on(tmp_path, monkeypatch, run):
    def stop(self, status):
        if status.step >= 8:
            raise KeyboardInterrupt

    same = {"epochs": 4, "batch": 20, "seeds": 2, "seed": 3, "folder": tmp_path / "run"}
    with monkeypatch.context() as patched:
        patched.setattr(bar.RunProgress, "update", stop)
        with pytest.raises(InterruptedRunError, match=r"resume=True\) goes on from the last checkpoint\.$"):
            ms.fit(learner(), ARRAYS, **same)
    assert ms.load(tmp_path / "run").step == 8
    again = ms.fit(learner(), ARRAYS, resume=True, progress=False, **same)
    np.testing.assert_array_equal(again.predict(), run.predict())


def test_progress_is_a_line_here_and_a_bar_in_a_notebook(monkeypatch, capsys):
    shown = []

    class Handle:
        def update(self, content, raw):
            shown.append(content["text/html"])

    with bar.progress_shown() as report:
        report(Progress(4, 4, 0.5, 0.75))
    assert capsys.readouterr().err == "step 4/4, loss 0.500, test 75.00%, compiled\n"
    monkeypatch.setattr(bar, "import_module", lambda name: type("IPython", (), {"display": lambda *a, **k: Handle()}))
    monkeypatch.setattr(bar, "Console", lambda **options: type("Console", (), {"is_jupyter": True}))
    with bar.progress_shown() as report:
        report(Progress(2, 4, 0.5, None))
    assert shown == ['<progress value="2" max="4"></progress> 2/4 loss 0.500, compiled']


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: ms.network(64), r"layers is 64; a list such as \[100\]"),
        (lambda: ms.network([6], neuron="lof"), r"Unknown neuron 'lof'.*Did you mean 'lif'"),
        (lambda: ms.network([6], typ="local"), r"Unknown key of network \(feedforward\) 'typ'"),
        (lambda: ms.network([6], type="recurent"), r"Did you mean 'recurrent'\?"),
        (lambda: ms.network([ms.network([6])]), "A network stands where a layer is needed"),
        (lambda: ms.layer(6, neurons="lif"), r"Unknown key of layer 'neurons'.*Did you mean 'neuron'"),
        (lambda: ms.network([6], crossbar=Crossbar(), synapse=ms.devices.PCM()), "the crossbar has its own"),
        (lambda: ms.learner([6]), r"is a list; a network is needed: memspike\.network"),
        (lambda: learner(rule="bppt"), r"Unknown learning\.rule 'bppt'.*Did you mean 'bptt'"),
        (lambda: learner(epochs=3), "learner has no argument 'epochs'; allowed: rule, scheme"),
        (lambda: learner(simulation={"dt": "1mV"}), r"simulation\.dt"),
        (lambda: ms.fit(ms.network([6]), "digits", folder="x"), r"is a network; a learner is needed"),
        (lambda: ms.fit(learner(), "digit", folder="x"), r"Unknown data\.name 'digit'.*Did you mean 'digits'"),
        (lambda: ms.fit(learner(), "digits", folder="x", epoch=3), r"Unknown key of training 'epoch'.*'epochs'"),
        (lambda: ms.fit(learner(), ARRAYS, folder="x", batch=100), r"training\.batch is 100; arrays has 80"),
        (lambda: ms.fit(learner(), ARRAYS[:3], folder="x"), "The data are 3 arrays; needed: x_train, y_train"),
        (lambda: ms.data.from_arrays(-X, Y, X, Y), "x_train has values down to -"),
        (lambda: ms.data.from_arrays(X, Y[:5], X, Y), "x_train has 120 examples and y_train 5"),
        (lambda: ms.data.from_arrays(X, Y, X[:, :3], Y), r"x_test has shape \[120, 3, 6\]"),
        (lambda: ms.data.from_arrays(X, Y + 0.5, X, Y), r"y_train is float64 \[120\]; classes \[examples\]"),
        (lambda: ms.data.from_arrays(X, X, X, X[:, :5]), r"y_test is float64 \[120, 5, 6\];.*\[120 examples, 6 frames"),
        (lambda: ms.data.from_arrays(X, X, X, X[..., :5]), r"y_test is float64 \[120, 6, 5\]"),
        (lambda: ms.data.from_arrays(X, X, X, X + np.inf), "y_test: example 0 contains NaN"),
        (
            lambda: ms.fit(learner(objective="cross-entropy"), NUMBERS, folder="x", batch=20),
            "a regression needs squared-error",
        ),
        (lambda: ms.data.from_arrays(X * np.nan, Y, X, Y), "x_train: example 0 contains NaN"),
        (lambda: ms.data.from_arrays(0 * X, Y, 0 * X, Y), "there is nothing to learn from"),
        (lambda: ms.data.load("arrays"), r"memspike\.load finds them in the run folder"),
        (lambda: ms.schemes.mixed_precision(quantum=-1), r"mixed-precision\.quantum is -1"),
    ],
)
def test_what_does_not_fit_is_one_sentence_and_writes_nothing(make, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ms.InputError, match=said):
        make()
    assert not list(tmp_path.iterdir())


def test_names_are_those_of_the_registry():
    assert "mixed_precision" in dir(ms.schemes)
    with pytest.raises(AttributeError, match="Did you mean 'eprop'"):
        _ = ms.rules.epropp
    assert not hasattr(ms.rules, "_repr_html_")
