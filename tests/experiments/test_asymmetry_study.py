"""Studies of mitigation methods: many settings trained together, and studies of them."""

import json
from typing import Any

import equinox as eqx
import numpy as np
import pytest

import memspike as ms
from memspike import cells
from memspike.config.build import learner_of, network_of
from memspike.config.resolve import written
from memspike.config.settings import Settings
from memspike.devices import SoftBounds
from memspike.experiments import resolve
from memspike.experiments.asymmetry_study import RANGE, RATE, Case, cases_of, outcomes_of, prepare, settings_of, tried
from memspike.experiments.base import changed
from memspike.experiments.mitigation import FAST, METHODS, PERIOD, THETA, families
from memspike.training.variants import groups_of

QUICK = ("data.train=200", "data.test=100", "training.epochs=1", "training.batch=1", "network.layers=[20]")
STACK = ("synapse=stack", "fabrication.calibration=300", "learning.scheme=tiki-taka-2")


def labelled(nl_up, nl_down):
    """Soft bounds with noisy pulses, as a table."""
    law = {"type": "soft-bounds", "nl_up": nl_up, "nl_down": nl_down, "g_min": 0.1e-6, "g_max": 5e-6}
    return {"type": "cycle-to-cycle", "up": 0.01, "down": 0.01, "device": law}


def variant(base, changes):
    return changed(Settings, written(base), changes)


def test_a_population_is_a_loop_of_runs(tmp_path):
    """Settings with other devices, rates, thresholds and gradient arrays, together and one by one: the same chips."""
    _, base, _ = resolve("decolle-digits", [*QUICK, *STACK, "seeds=2"])
    events = {"type": "error-triggered", "low": -0.5, "high": 0.5, "cutoff": 0.05}
    keys = ("synapse.device", RATE, "synapse.scale", "learning.rule.trigger", FAST, PERIOD)
    values = (
        (labelled(0.0, 0.0), 0.5, 1.0, events | {"theta": 0.01}, 1.0, 100.0),
        (labelled(3.0, -3.0), 1.0, 2.0, events | {"theta": 0.03}, 4.0, 30.0),
    )
    several = [variant(base, dict(zip(keys, v, strict=True))) for v in values]
    together = outcomes_of(several)
    for k, (settings, outcome) in enumerate(zip(several, together, strict=True)):
        alone = ms.experiments.run(settings, tmp_path / str(k))
        np.testing.assert_allclose(outcome.accuracy, alone["test_accuracies"], atol=0.021)
        assert outcome.pulses_per_weight.mean() == pytest.approx(2 * alone["writes_per_device"], rel=0.02)  # two arrays
        assert outcome.energy.mean() == pytest.approx(alone["energy_j"], rel=0.02)


def test_learners_of_different_parts_are_trained_one_group_after_the_other():
    given = [*QUICK, "data.train=20", "study.devices=[ag-a-si,ideal,pcmo]", "study.methods=[none]", "study.hold_out=5"]
    study = prepare(resolve("asymmetry-devices", [*given, "seeds=1"])[1])
    several = [study.variant(METHODS["accumulate"], case, {RATE: 0.5, RANGE: 1.0}, {}) for case in study.cases]
    learners = [learner_of(one, network_of(one, 64, 10), 20, 20) for one in several]
    assert groups_of(learners) == [[0, 2], [1]]
    found = outcomes_of(several)
    pulses = [float(outcome.pulses_per_weight[0]) * (65 * 20) for outcome in found]
    energies = [float(outcome.energy[0]) for outcome in found]
    assert min(pulses) > 0
    np.testing.assert_allclose(energies[1], 10e-12 * pulses[1], rtol=1e-5)
    assert energies[0] / pulses[0] != pytest.approx(energies[2] / pulses[2], rel=0.1)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("study.methods=[nun]", "Unknown study.methods 'nun'"),
        ("study.devices=[pcno]", "Unknown synapse.device 'pcno'"),
        ("study.devices=[mif-pair]", "a pulse device is needed"),
        ("study.signs=[0]", "study.signs is [0]; allowed: -1 and 1"),
        ("study.labels=[10]", "study.labels is 10"),
        ("study.labels=[]", "study.labels or study.signs is empty"),
        ("study.trials=0", "study.trials is 0"),
        ("study.hold_out=300", "data.hold_out is 300"),
        ("learning.optimizer=rates", "Unknown key of learning.optimizer 'learning_rate'"),
    ],
)
def test_a_study_that_cannot_be_is_refused(call, tmp_path, setting, words):
    status, _, error = call("run", "asymmetry-study", "--quick", "--set", setting, "--out", tmp_path / "run")
    assert status == 2
    assert words in error.replace("\n", " ")
    assert not (tmp_path / "run").exists()


def test_cases_of_a_study():
    _, settings, _ = resolve("asymmetry-study", ["study.labels=[0,3]"])
    assert [case.labels for case in cases_of(settings)] == [(0.0, 0.0), (3.0, -3.0), (3.0, 3.0)]
    _, settings, _ = resolve("asymmetry-devices", ["study.devices=[pcmo,ideal]"])
    assert cases_of(settings) == [
        Case("pcmo", None, {"synapse.device": "pcmo", "array.drive": None}),
        Case("ideal", None, {"synapse.device": "ideal"}),
    ]


def network_of_case(study, k, method="none"):
    """The nominal network of a method on a device of a study."""
    own = tried(study.settings.study, METHODS[method].tuned)[0]
    settings = study.variant(METHODS[method], study.cases[k], own, {})
    return network_of(settings, 8, 3), own


def test_devices_of_a_study_are_those_of_their_labels_and_tables():
    """Their laws, ranges and pulses: those of the tables where they are published, else those of the configuration."""
    study = prepare(resolve("asymmetry-study", ["study.labels=[5]", "study.signs=[-1]", "study.methods=[none]"])[1])
    network, own = network_of_case(study, 0)
    crossbar: Any = network.crossbars[0]
    law = SoftBounds.from_labels(5.0, -5.0, g_min=0.1e-6, g_max=5e-6)
    assert eqx.tree_equal(crossbar.cell.device, ms.devices.CycleToCycle(law, up=0.01, down=0.01))
    assert crossbar.drive.up.energy == pytest.approx(10e-12)
    assert crossbar.cell.scale == pytest.approx(1 / own[RANGE])
    study = prepare(resolve("asymmetry-devices", ["study.devices=[ag-a-si,ideal]", "study.methods=[none]"])[1])
    found: list[Any] = [network_of_case(study, k)[0].crossbars[0].drive for k in range(2)]
    published, assumed = found
    assert (float(published.up.v), float(published.up.width)) == pytest.approx((3.2, 300e-6))
    assert published.up.energy is None
    assert assumed.up.energy == pytest.approx(10e-12)
    for k in range(2):
        cell: Any = network_of_case(study, k)[0].crossbars[0].cell
        assert cell.reference == pytest.approx(float(cells.midpoint(cell.device)))


def test_every_method_is_in_one_family():
    found = families()
    assert sorted(name for names in found.values() for name in names) == sorted(METHODS)
    assert len(found) == 4
    assert "none" in found["one device"]
    assert set(found["gradient arrays"]) == {name for name, method in METHODS.items() if FAST in method.tuned}


def test_every_method_is_searched_with_as_many_settings():
    _, settings, _ = resolve("asymmetry-devices", ["study.trials=9", "study.fast=[0.5, 2.0]", "study.reads=3"])
    given = settings.study
    bounds = {RATE: given.rates, RANGE: given.ranges, THETA: given.thetas}
    bounds |= {FAST: (0.5, 2.0), PERIOD: given.periods}
    for name, method in METHODS.items():
        found = tried(given, method.tuned)
        assert len(found) == 9
        assert set(found[0]) == {RATE, RANGE, *method.tuned}
        for key in found[0]:
            least, largest = bounds[key]
            values = np.asarray([settings[key] for settings in found])
            assert least < values.min() < least * (largest / least) ** 0.25, name
            assert largest > values.max() > least * (largest / least) ** 0.75, name
            assert len(set(values)) == 9
    assert settings_of(METHODS["agad"], given)["learning.scheme.reads"] == 3
    assert "learning.scheme.reads" not in settings_of(METHODS["none"], given)


def test_bounds_of_a_search_are_checked():
    with pytest.raises(ms.InputError, match=r"study.rates is \[2, 1\]; allowed: two numbers above 0, least first"):
        resolve("asymmetry-devices", ["study.rates=[2, 1]"])


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / "run"
    _, settings, _ = resolve(
        "asymmetry-devices",
        ["study.devices=[pcmo]", "network.layers=[40]", "study.trials=1", "study.rates=[1.6, 1.6]"],
        quick=True,
    )
    return folder, settings, ms.experiments.run(settings, folder)


@pytest.mark.full
def test_asymmetry_costs_and_accumulation_recovers(studied):
    _, _, result = studied
    rows = {row["scheme"]: row for row in result["rows"]}
    needed = {"device", "scheme", "nl_up", "nl_down", "accuracy_mean", "accuracy_sd", "ideal_accuracy"}
    assert needed | {"pulses_per_weight", "learning_rate", "seeds"} <= set(rows["none"])
    assert rows["none"]["accuracy_mean"] < rows["ideal"]["accuracy_mean"] - 0.1
    assert rows["accumulate"]["accuracy_mean"] > rows["none"]["accuracy_mean"] + 0.1
    assert min(rows[name]["pulses_per_weight"] for name in ("none", "accumulate")) > 0.5
    assert rows["ideal"]["pulses_per_weight"] == 0
    assert result["baseline"] == "none"
    assert result["families"] == families()


def test_a_study_goes_on_where_it_was(studied):
    folder, settings, result = studied
    (folder / "parts/accumulate.json").unlink()
    (folder / "result.json").unlink()
    before = (folder / "parts/none.json").read_text()
    again = ms.experiments.run(settings, folder, resume=True)
    assert (folder / "parts/none.json").read_text() == before
    assert json.dumps(again["rows"]) == json.dumps(result["rows"])
