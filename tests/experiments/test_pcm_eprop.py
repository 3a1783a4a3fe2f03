"""The experiments with online learning on phase-change memory: settings, effects, resuming, results."""

import json
import tomllib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memspike import InputError
from memspike.cells import DifferentialPair, MultiDevice
from memspike.devices import PCM, ConstantStep, Flicker, LimitedEndurance
from memspike.experiments import resolve, run
from memspike.experiments.pcm_eprop import headline as said
from memspike.experiments.pcm_eprop import measured, prepare, zero_output
from memspike.experiments.pcm_eprop_table import CONDITIONS, EFFECTS, FOUR, KEPT, LIVES, SCHEMES, headline, line
from memspike.parts.registry import EXPERIMENTS
from memspike.training.population import Piece

KEY = jax.random.key(0)
SMALL = ("network.layers=[16]", "task.inputs=20", "task.steps=120", "simulation.parts=2", "training.epochs=4")
PAIR = "synapse.type=differential-pair"
OF_DEVICE = '{type="absolute", sd=1.0}'


def settings_of(*settings, small=True):
    return resolve("pcm-eprop", (*(SMALL if small else ()), *settings)).settings


def line_of(name, *keys):
    """The training of a line of the table with these keys, and the device in it."""
    training = line(resolve(name).settings, {}, *keys).training
    return training, training.synapse.device


def test_targets_are_sums_of_the_four_sines_and_zero_output_has_the_known_error():
    made = prepare(settings_of("seeds=40", small=False))
    trials = made.population.trials
    x, target, _ = trials.trial(trials.epoch(KEY, jnp.asarray(0)), jnp.asarray(1), KEY)
    assert x.shape == (1000, 100)
    assert 0.045 < float(x.mean()) < 0.055
    np.testing.assert_allclose(jnp.abs(target).max(), 1.0, rtol=1e-6)
    power = np.abs(np.fft.rfft(np.asarray(target)[:, 0])) ** 2
    assert power[[1, 2, 3, 5]].sum() > 0.999 * power.sum()
    assert abs(zero_output(made) - 0.217) < 0.02


def test_a_run_can_be_interrupted_and_ends_with_the_same_numbers(tmp_path):
    settings = settings_of("seeds=2", "training.epochs_together=2")
    whole = run(settings, tmp_path / "whole")

    class StopError(Exception):
        pass

    def stop(progress):
        raise StopError

    with pytest.raises(StopError):
        run(settings, tmp_path / "parts", report=stop)
    assert not (tmp_path / "parts/result.json").exists()
    again = run(settings, tmp_path / "parts", resume=True)
    same = [key for key in whole if key not in ("wall_s", "ms_per_seed_and_epoch")]
    assert {k: whole[k] for k in same} == {k: again[k] for k in same}
    assert json.loads((tmp_path / "parts/result.json").read_text())["seeds"] == 2
    assert {"mse_median", "mse_q1", "mse_q3", "writes_per_device", "energy_j"} <= set(whole)
    with np.load(tmp_path / "parts/snapshots.npz") as snapshots:
        assert list(snapshots["epochs"]) == [2, 4]
        assert snapshots["recurrent"].sum(1).tolist() == [256, 256]


def test_what_a_chip_was_sent_is_what_its_ledger_says():
    """Energy = pulses × energy of a pulse + RESETs × that of a RESET, device by device."""
    settings = settings_of(
        "learning.rule.reference_order=true",
        "learning.scheme=mixed-precision-released",
        PAIR,
        "learning.optimizer.rate_factor=20.0",
    )
    made = prepare(settings)
    population = made.population
    chips, metrics = population.run(population.init(), Piece(0, 3, 0, 3))
    history = [
        {"epoch": e, "seed": s, "loss": float(metrics["loss"][s, e].mean()), "rate": 1.0}
        for e in range(3)
        for s in range(settings.seeds)
    ]
    result = measured(made, chips, history)
    assert chips.ledger is not None
    recurrent = chips.ledger[1]
    diagonal = np.asarray(recurrent.resets)[:, :, np.arange(16), np.arange(16)]
    assert (diagonal == 9).all(), "every self-connection is RESET before each of nine patterns"
    assert np.asarray(recurrent.resets).sum() == diagonal.sum()
    sets, resets = (sum(np.asarray(getattr(b, k)).sum() for b in chips.ledger) for k in ("up", "resets"))
    assert sets > 0
    expected = (sets * 10e-12 + resets * 30e-12) / settings.seeds
    np.testing.assert_allclose(result["energy_j"], expected, rtol=1e-5)


def test_effects_of_the_device_can_be_switched_off():
    _, plain = line_of("pcm-eprop-table", CONDITIONS["full"])
    _, quiet = line_of("pcm-eprop-table", CONDITIONS["no write noise"])
    assert isinstance(plain, PCM)
    assert isinstance(quiet, PCM)
    state = quiet.init((50,))
    after = quiet.program(state, 1, key=jax.random.key(0))
    assert float(jnp.ptp(after.g)) == 0.0
    _, still = line_of("pcm-eprop-table", CONDITIONS["no drift"])
    np.testing.assert_allclose(still.conductance(after, 1e-3), still.conductance(after, 1e6))
    _, silent = line_of("pcm-eprop-table", CONDITIONS["no read noise"])
    assert float(silent.read_moments(after).sd.max()) == 0.0
    _, ideal = line_of("pcm-eprop-table", CONDITIONS["ideal 4 bit"])
    assert isinstance(ideal, ConstantStep)
    assert (ideal.g_min, ideal.g_max) == (plain.g_min, plain.g_max)
    np.testing.assert_allclose(
        ideal.program(ideal.init(), 16), ideal.g_max, rtol=1e-5, err_msg="2^bits pulses from end to end"
    )


def test_lines_keep_what_the_study_says():
    """A line with another cell, start or wrapper has the devices, the scale and the spread of the study."""
    changed = ("synapse.device.t0=20s", "synapse.scale=2.5", 'fabrication.spread={"nu"=0.1}', "learning.start.gain=0.3")
    settings = resolve("pcm-eprop-table", changed).settings
    cell = line(settings, {}, FOUR | CONDITIONS["no drift"]).training.synapse
    assert isinstance(cell, MultiDevice)
    assert isinstance(cell.device, PCM)
    assert (float(cell.device.t0), float(cell.device.nu), float(cell.scale)) == (20.0, 0.0, 2.5)
    released: Any = line(settings, {}, SCHEMES["released code"]).training
    assert type(released.learning.start).__name__ == "NearReset"
    assert released.learning.start.gain == 0.3
    worn: Any = line(settings, {}, {}, LIVES["3 pulses"]).training
    assert isinstance(worn.synapse.device, LimitedEndurance)
    inner: Any = worn.synapse.device.device
    assert float(inner.t0) == 20.0
    assert dict(worn.fabrication.spread) == {"device.nu": 0.1}
    every: Any = line(settings, {}, *EFFECTS["all"]).training
    assert isinstance(every.synapse.device, Flicker)
    assert set(every.fabrication.spread) == {"device.nu", "device.deviation", "device.nu_deviation"}
    inner = every.synapse.device.device
    assert float(inner.persistent) == pytest.approx(0.33)


def test_state_dependent_drift_has_the_published_mean_and_spread():
    settings = settings_of("synapse.device.state_drift=1.0", f"fabrication.spread.nu_deviation={OF_DEVICE}", PAIR)
    learner = prepare(settings).population.learner
    device = learner.made(jax.random.key(3)).crossbars[0].cell.device
    assert isinstance(device, PCM)
    g = jnp.full((2, 20, 16), 2.5e-6)
    exponent = np.asarray(device.exponent(g))
    # μ = −0.0155·ln 0.1 + 0.0244 = 0.0601, σ = −0.0125·ln 0.1 − 0.0059 = 0.0229
    assert abs(exponent.mean() - 0.0601) < 0.004
    assert abs(exponent.std() - 0.0229) < 0.003
    same = learner.made(jax.random.key(3)).crossbars[0].cell.device
    assert isinstance(same, PCM)
    np.testing.assert_array_equal(same.exponent(g), exponent)


@pytest.mark.parametrize("start", ["near-reset", "random-set", "programmed"])
def test_weights_at_the_start(start):
    share = ("learning.start.share=1.0",) if start == "random-set" else ()
    settings = settings_of(
        f"learning.start={start}", PAIR, "learning.start.gain=0.5", "neuron.theta=0.3", *share, "synapse.scale=0.9862"
    )
    learner = prepare(settings).population.learner
    chip = learner.init(learner.network, key=jax.random.key(0))
    w = np.asarray(learner.network.weights(chip.cells)[0])
    spread = {"near-reset": 0.003, "random-set": 0.2, "programmed": 0.5 * (2 / 20) ** 0.5}[start]
    assert 0.6 * spread < w.std() < 1.6 * spread


def test_a_weight_of_one_is_what_the_configuration_says():
    pair = line_of("pcm-eprop-table", SCHEMES["released code"])[0].synapse
    several = line_of("pcm-eprop-table", SCHEMES["multi 4 a side"])[0].synapse
    assert isinstance(pair, DifferentialPair)
    assert isinstance(several, MultiDevice)
    np.testing.assert_allclose(pair.unit(), 11.82503e-6, rtol=1e-5)
    np.testing.assert_allclose(several.unit(), 4 * 0.8312 * 11.82503e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["learning.scheme=sgn"], "sign"),
        (["learning.scheme=sign", "learning.scheme.quantum=0.1"], r"learning\.scheme\b.*'quantum'.*dead_zone"),
        (["synapse.device=soft-bounds", "synapse.device.noise_slope=0"], "noise_slope does not exist.*pcm"),
        (["synapse.device=mif"], "mif"),
        (["learning.start=warm"], "near-reset, programmed, random-set"),
        (["neuron=izhikevich"], "list neurons"),
        (["learning.rule.feedback=none"], "symmetric, random, adaptive"),
        (["synapse.per_side=0"], "per_side"),
        (["learning.epochs=3"], "epochs"),
    ],
)
def test_bad_settings_are_refused_in_one_sentence(settings, message, tmp_path):
    with pytest.raises(InputError, match=message) as error:
        run(settings_of(*settings), tmp_path / "run")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def epochs(population, chips, first):
    """The chips after three epochs."""
    return population.run(chips, Piece(first, 3, 0, population.per_epoch))[0]


def test_wear_and_flicker_are_part_of_a_chip():
    """With a life of one pulse no device answers to a second, and chips with 1/f noise see other weights."""
    device = '{type="pcm", state_drift=1.0}'
    settings = (PAIR, "learning.optimizer.rate_factor=100.0", "seeds=1", "synapse.scale=0.9862", "neuron.theta=0.1")
    settings += ('learning.start={type="random-set", share=0.5}',)
    settings += (f'fabrication.spread={{"device.nu_deviation"={OF_DEVICE}}}',)
    wears = f'synapse.device={{type="limited-endurance", endurance=1, device={device}}}'
    worn = prepare(settings_of(*settings, wears)).population
    young = epochs(worn, worn.init(), 0)
    old = epochs(worn, young, 1)
    used = np.asarray(young.cells[1].devices.memory) >= 1
    before, after = (np.asarray(chips.cells[1].devices.inner.g) for chips in (young, old))
    assert young.ledger is not None
    assert old.ledger is not None
    sent = np.asarray(old.ledger[1].up) > np.asarray(young.ledger[1].up)
    assert (used & sent).any()
    np.testing.assert_array_equal(before[used], after[used])
    assert (before != after)[~used & sent].all()
    flickers = f'synapse.device={{type="flicker", strength=1, device={device}}}'
    wandering = prepare(settings_of(*settings, flickers)).population
    network = wandering.learner.made(wandering.keys[0])
    chip = wandering.learner.init(network, key=jax.random.key(1))
    made: Any = network.crossbars[0].cell.device
    state = chip.cells[0].devices
    assert isinstance(made, Flicker)
    seen = np.asarray(made.conductance(state) / made.device.conductance(state.inner))
    q = np.asarray(jnp.minimum(0.0088 / (made.stored(state) / 25e-6) ** 0.65, 0.2))
    np.testing.assert_allclose(((seen - 1) / q).std(), np.log(1e8) ** 0.5, rtol=0.1)


def test_new_patterns_come_when_they_are_due():
    """The same patterns until `renewed` epochs are over, then others; all chips have their own."""
    trials = prepare(settings_of("task.renewed=2")).population.trials
    targets = [np.asarray(trials.trial(trials.epoch(KEY, jnp.asarray(e)), jnp.asarray(0), KEY)[1]) for e in range(4)]
    np.testing.assert_array_equal(targets[0], targets[1])
    np.testing.assert_array_equal(targets[2], targets[3])
    assert np.abs(targets[1] - targets[2]).max() > 0.1


def test_studies_hold_a_row_for_every_line_and_go_on_where_they_were(tmp_path, monkeypatch):
    """The table of lives: every way of keeping pairs × every life, the settings of each in its own folder."""
    trained = []

    def short(settings, folder, *, resume, report):
        trained.append(folder.path.name)
        if len(trained) == 3:
            raise KeyboardInterrupt
        numbers = dict.fromkeys((*KEPT, "writes_per_device"), 1.0)
        return numbers | {"mse_zero_output": 0.2, "mse_first": 0.5, "days": 7.0, "rate_hz": 12.0}

    entry = EXPERIMENTS.get("pcm-eprop")
    quickly = entry.value._replace(carry=short, prepare=lambda settings: settings)
    monkeypatch.setitem(EXPERIMENTS._entries, "pcm-eprop", entry._replace(value=quickly))
    settings = resolve("pcm-eprop-life", (*SMALL, "study.schemes=[none,refresh every 100]")).settings
    with pytest.raises(KeyboardInterrupt):
        run(settings, tmp_path / "life")
    result = run(settings, tmp_path / "life", resume=True)
    assert trained == [*trained[:3], *trained[2:3], *trained[4:]]
    assert len(trained) == 5, "what was finished is not trained again"
    pairs = [("none", "unlimited"), ("none", "3 pulses")]
    pairs += [("refresh every 100", "unlimited"), ("refresh every 100", "3 pulses")]
    assert [(row["scheme"], row["condition"]) for row in result["rows"]] == pairs
    assert all(row["mse_first"] == 0.5 and row["days"] == 7.0 for row in result["rows"])
    worn = tomllib.loads((tmp_path / "life/trainings" / trained[4] / "config.toml").read_text())
    assert (worn["synapse"]["device"]["type"], worn["synapse"]["device"]["endurance"]) == ("limited-endurance", 3.0)
    assert worn["learning"]["scheme"]["type"] == "mixed-precision-refreshed"
    assert result["headline"].startswith("best of 4 lines: none, error 1.0000")
    assert "drift by state, error 0.0100" in headline({"rows": [{"effect": "drift by state", "mse_median": 0.01}]})
    assert "zero output has 0.200" in said(
        json.loads((tmp_path / "life/trainings" / trained[0] / "result.json").read_text())
    )
    with pytest.raises(InputError, match=r"Unknown effect 'drift by stat'.*drift by state"):
        run(resolve("pcm-eprop-effects", ("study.conditions=[drift by stat]",)).settings, tmp_path / "effects")
    assert not (tmp_path / "effects").exists()
