"""The experiments with online learning on phase-change memory: settings, effects, resuming, results."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memspike import InputError
from memspike.cells import DifferentialPair, MultiDevice
from memspike.devices import PCM
from memspike.experiments import resolve, run
from memspike.experiments.chip import cell_of, device_of, learner
from memspike.experiments.pcm_eprop import measured, online, trivial
from memspike.learning import SquaredError

SMALL = ("neuron.count=16", "task.inputs=20", "task.steps=120", "time.parts=2", "epochs=4")


def config_of(*settings, small=True):
    return resolve("pcm-eprop", (*(SMALL if small else ()), *settings))[1]


def test_targets_are_sums_of_the_four_sines_and_a_silent_network_has_the_known_error():
    config = config_of("seeds=40", small=False)
    shown = online(config).task(jax.random.key(0))
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
