"""The experiments with online learning on phase-change memory: settings, effects, resuming, results."""

import importlib
import json
import tomllib

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memspike import InputError
from memspike.cells import DifferentialPair, MultiDevice
from memspike.devices import PCM, Flicker
from memspike.experiments import resolve, run
from memspike.experiments.chip import cell_of, device_of, learner
from memspike.experiments.pcm_eprop import measured, online, said, trivial
from memspike.experiments.pcm_eprop_table import KEPT
from memspike.learning import SquaredError
from memspike.training.folder import RunFolder

# the package holds the experiment under the name of its module
tables = importlib.import_module("memspike.experiments.pcm_eprop_table")

KEY = jax.random.key(0)
SMALL = ("neuron.count=16", "task.inputs=20", "task.steps=120", "time.parts=2", "epochs=4")


def config_of(*settings, small=True):
    return resolve("pcm-eprop", (*(SMALL if small else ()), *settings))[1]


def test_targets_are_sums_of_the_four_sines_and_a_silent_network_has_the_known_error():
    config = config_of("seeds=40", small=False)
    shown = online(config).task(jax.random.key(0), jnp.asarray(0))
    x, target = shown.trial(jnp.asarray(1), jax.random.key(0))
    assert x.shape == (1000, 100)
    assert 0.045 < float(x.mean()) < 0.055
    np.testing.assert_allclose(jnp.abs(target).max(), 1.0, rtol=1e-6)
    power = np.abs(np.fft.rfft(np.asarray(target)[:, 0])) ** 2
    assert power[[1, 2, 3, 5]].sum() > 0.999 * power.sum()
    assert abs(trivial(config) - 0.217) < 0.02


def test_a_run_can_be_interrupted_and_ends_with_the_same_numbers(tmp_path, monkeypatch):
    from memspike.experiments import online as module

    monkeypatch.setattr(module, "CHUNKS", 2)
    config = config_of("seeds=2")
    whole = run(config, tmp_path / "whole")

    class StopError(Exception):
        pass

    def stop(progress):
        raise StopError

    with pytest.raises(StopError):
        run(config, tmp_path / "parts", report=stop)
    assert not (tmp_path / "parts/result.json").exists()
    again = run(config, tmp_path / "parts", resume=True)
    same = [key for key in whole if key not in ("wall_s", "ms_per_seed_and_epoch")]
    assert {k: whole[k] for k in same} == {k: again[k] for k in same}
    assert json.loads((tmp_path / "parts/result.json").read_text())["seeds"] == 2
    assert {"mse_median", "mse_q1", "mse_q3", "writes_per_device", "energy_j"} <= set(whole)
    with np.load(tmp_path / "parts/snapshots.npz") as snapshots:
        assert list(snapshots["epochs"]) == [2, 4]
        assert snapshots["recurrent"].sum(1).tolist() == [256, 256]


def test_what_a_chip_was_sent_is_what_its_ledger_says():
    """Energy = pulses × energy of a pulse + RESETs × that of a RESET, device by device."""
    config = config_of("released=true", "scheme=mixed-precision-released", "devices_per_side=1", "rate_factor=20.0")
    made = online(config)
    chips, metrics = made.epochs(made.init(), 0, 3)
    history = [
        {"epoch": e, "seed": s, "loss": float(metrics["loss"][s, e].mean()), "rate": 1.0}
        for e in range(3)
        for s in range(config.seeds)
    ]
    result = measured(config, chips, history)
    recurrent = chips.ledger[1]
    diagonal = np.asarray(recurrent.resets)[:, :, np.arange(16), np.arange(16)]
    assert (diagonal == 9).all(), "every self-connection is RESET before each of nine patterns"
    assert np.asarray(recurrent.resets).sum() == diagonal.sum()
    sets, resets = (sum(np.asarray(getattr(b, k)).sum() for b in chips.ledger) for k in ("up", "resets"))
    assert sets > 0
    expected = (sets * 10e-12 + resets * 30e-12) / config.seeds
    np.testing.assert_allclose(result["energy_j"], expected, rtol=1e-5)


def test_effects_of_the_device_can_be_switched_off():
    plain, quiet = device_of(config_of().device), device_of(config_of("write_noise=false").device)
    assert isinstance(plain, PCM)
    assert isinstance(quiet, PCM)
    state = quiet.init((50,))
    after = quiet.program(state, 1, key=jax.random.key(0))
    assert float(jnp.ptp(after.g)) == 0.0
    still = device_of(config_of("drift=false").device)
    np.testing.assert_allclose(still.conductance(after, 1e-3), still.conductance(after, 1e6))
    silent = device_of(config_of("read_noise=false").device)
    assert float(silent.read_moments(after).sd.max()) == 0.0
    ideal = device_of(config_of("bits=4").device)
    np.testing.assert_allclose(
        ideal.program(ideal.init(), 16), ideal.g_max, rtol=1e-5, err_msg="2^bits pulses from end to end"
    )


def test_state_dependent_drift_has_the_published_mean_and_spread():
    config = config_of("state_drift=true", "devices_per_side=1")
    made = online(config)
    network = made.learner.fabricated(jax.random.key(3))
    device = network.crossbars[0].cell.device
    assert isinstance(device, PCM)
    g = jnp.full((2, 20, 16), 2.5e-6)
    exponent = np.asarray(device.exponent(g))
    # μ = −0.0155·ln 0.1 + 0.0244 = 0.0601, σ = −0.0125·ln 0.1 − 0.0059 = 0.0229
    assert abs(exponent.mean() - 0.0601) < 0.004
    assert abs(exponent.std() - 0.0229) < 0.003
    same = made.learner.fabricated(jax.random.key(3)).crossbars[0].cell.device
    assert isinstance(same, PCM)
    np.testing.assert_array_equal(same.exponent(g), exponent)


@pytest.mark.parametrize("start", ["read-noise", "random-set", "programmed"])
def test_weights_at_the_start(start):
    config = config_of(
        f"start={start}", "devices_per_side=1", "weight_gain=0.5", "theta=0.3", "start_share=1.0", "shrink=1.0"
    )
    blueprint = learner(config, 20, 1, 120, error=SquaredError(), updates=10)
    chip = blueprint.init(blueprint.network, key=jax.random.key(0))
    w = np.asarray(blueprint.network.weights(chip.cells)[0])
    spread = {"read-noise": 0.003, "random-set": 0.2, "programmed": 0.5 * (2 / 20) ** 0.5}[start]
    assert 0.6 * spread < w.std() < 1.6 * spread


def test_a_weight_of_one_is_what_the_configuration_says():
    pair = cell_of(config_of("devices_per_side=1", "shrink=1.0").device, digital=False)
    several = cell_of(config_of("devices_per_side=4", "shrink=2.0").device, digital=False)
    assert isinstance(pair, DifferentialPair)
    assert isinstance(several, MultiDevice)
    np.testing.assert_allclose(pair.unit(), 11.82503e-6, rtol=1e-5)
    np.testing.assert_allclose(several.unit(), 4 * 2 * 11.82503e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["scheme=sgn"], "sign"),
        (
            ["scheme=sign", "programming.quantum=0.1"],
            r"programming.quantum has no effect on the scheme 'sign'.*dead_zone",
        ),
        (["device=soft-bounds", "write_noise=false"], "device=pcm only"),
        (["device=mif"], "mif"),
        (["start=warm"], "read-noise, random-set, programmed"),
        (["neuron.kind=izhikevich"], "lif, alif"),
        (["feedback=none"], "symmetric, random, adaptive"),
        (["devices_per_side=0"], "devices_per_side"),
        (["training.epochs=3"], "learning.epochs"),
    ],
)
def test_bad_settings_are_refused_in_one_sentence(settings, message, tmp_path):
    with pytest.raises(InputError, match=message) as error:
        run(config_of(*settings), tmp_path / "run")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_wear_and_flicker_are_part_of_a_chip():
    """With a life of one pulse no device answers to a second, and chips with 1/f noise see other weights."""
    settings = ("devices_per_side=1", "rate_factor=100.0", "state_drift=true", "seeds=1", "shrink=1.0")
    settings += ("theta=0.1", "start=random-set", "start_share=0.5")
    worn = online(config_of("life=1", *settings))
    young, _ = worn.epochs(worn.init(), 0, 3)
    old, _ = worn.epochs(young, 1, 3)
    used = np.asarray(young.cells[1].devices.memory) >= 1
    before, after = (np.asarray(chips.cells[1].devices.inner.g) for chips in (young, old))
    sent = np.asarray(old.ledger[1].up) > np.asarray(young.ledger[1].up)
    assert (used & sent).any()
    np.testing.assert_array_equal(before[used], after[used])
    assert (before != after)[~used & sent].all()
    wandering = online(config_of("flicker=1", *settings))
    network = wandering.learner.fabricated(wandering.keys[0])
    chip = wandering.learner.init(network, key=jax.random.key(1))
    device, state = network.crossbars[0].cell.device, chip.cells[0].devices
    assert isinstance(device, Flicker)
    seen = np.asarray(device.conductance(state) / device.device.conductance(state.inner))
    q = np.asarray(jnp.minimum(0.0088 / (device.stored(state) / 25e-6) ** 0.65, 0.2))
    np.testing.assert_allclose(((seen - 1) / q).std(), np.log(1e8) ** 0.5, rtol=0.1)


def test_new_patterns_come_when_they_are_due():
    """The same patterns until `renewed` epochs are over, then others; all chips have their own."""
    shown = online(config_of("renewed=2")).task
    targets = [np.asarray(shown(KEY, jnp.asarray(e)).trial(jnp.asarray(0), KEY)[1]) for e in range(4)]
    np.testing.assert_array_equal(targets[0], targets[1])
    np.testing.assert_array_equal(targets[2], targets[3])
    assert np.abs(targets[1] - targets[2]).max() > 0.1


def test_studies_hold_a_row_for_every_line_and_go_on_where_they_were(tmp_path, monkeypatch):
    """The table of lives: every way of keeping pairs × every life, the settings of each in its own folder."""
    trained = []

    def short(config, out, *, resume, report):
        trained.append(out.name)
        folder = RunFolder(out)
        folder.start(config, resume=resume)
        result = dict.fromkeys(KEPT, 1.0) | {"mse_silent": 0.2, "mse_first": 0.5, "days": 7.0, "rate_hz": 12.0}
        folder.write_json("result.json", result)
        if len(trained) == 3:
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(tables, "generate", short)
    config = resolve("pcm-eprop-life", ("study.schemes=[none,refresh every 100]",))[1]
    with pytest.raises(KeyboardInterrupt):
        run(config, tmp_path / "life")
    result = run(config, tmp_path / "life", resume=True)
    assert len(trained) == 4, "what was finished is not trained again"
    pairs = [("none", "unlimited"), ("none", "3 pulses")]
    pairs += [("refresh every 100", "unlimited"), ("refresh every 100", "3 pulses")]
    assert [(row["scheme"], row["condition"]) for row in result["rows"]] == pairs
    assert all(row["mse_first"] == 0.5 and row["days"] == 7.0 for row in result["rows"])
    worn = tomllib.loads((tmp_path / "life/trainings" / trained[3] / "config.toml").read_text())
    assert worn["device"]["life"] == 3.0
    assert worn["learning"]["scheme"] == "mixed-precision-refreshed"
    assert said(result).startswith("best of 4 lines: none, error 1.0000")
    assert "drift by state, error 0.0100" in said({"rows": [{"effect": "drift by state", "mse_median": 0.01}]})
    with pytest.raises(InputError, match=r"Unknown effect 'drift by stat'.*drift by state"):
        run(resolve("pcm-eprop-effects", ("study.conditions=[drift by stat]",))[1], tmp_path / "effects")
