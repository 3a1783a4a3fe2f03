"""Matrices with a programming scheme, a device and an array of their own."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memspike import experiments
from memspike.arrays import Ideal
from memspike.cells import DifferentialPair, MultiDevice
from memspike.config.build import classifier
from memspike.config.resolve import written
from memspike.config.settings import Settings
from memspike.devices import PCM, ConstantStep
from memspike.experiments.base import changed, together
from memspike.experiments.matrix import HOSTS
from memspike.parts.errors import InputError
from memspike.parts.refusals import NoGradientArray

SMALL: dict[str, Any] = {
    "experiment": "memprop-digits",
    "data": {"train": 200, "test": 50},
    "array": {"r_row": 1.0, "r_column": 1.0, "read_noise": 0.01},
    "synapse": {"type": "multi-device", "per_side": 2, "device": {"type": "pcm"}},
    "learning": {"scheme": {"type": "mixed-precision", "quantum": 0.05}},
    "training": {"epochs": 1},
}
READOUT = {"network.layers.1.scheme": "fp32"}


def built(host: str, changes: dict[str, Any], **more: Any) -> Any:
    return classifier(changed(Settings, together(HOSTS[host], SMALL, more), changes))


def started(learner: Any, trials: Any) -> tuple[Any, Any, Any]:
    """The network of a chip, the chip, and one step of it."""
    key = jax.random.key(0)
    network, chip = jax.jit(lambda k: (made := learner.made(k), learner.init(made, key=k)))(key)
    index = jnp.arange(learner.batch) if learner.batch > 1 else jnp.int32(0)
    trial = jax.jit(lambda: trials.trial(None, index, key))()
    return network, chip, jax.jit(lambda network, chip: learner.step(network, chip, trial, key=key)[0])


def after_steps(found: Any) -> tuple[Any, Any, Any]:
    network, chip, step = started(found.population.learner, found.population.trials)
    return network, chip, step(network, step(network, chip))  # the first update of a warm-up is none


def test_a_digital_readout_beside_phase_change_memory():
    found = built("eprop", READOUT)
    learner = found.population.learner
    first, second, readout = learner.network.crossbars
    for one in (first, second):
        assert isinstance(one.cell, MultiDevice)
        assert isinstance(one.cell.device, PCM)
    assert isinstance(readout.cell, DifferentialPair)
    assert isinstance(readout.cell.device, ConstantStep)
    assert isinstance(readout.wires, Ideal)
    assert float(readout.read_noise) == 0
    assert [one.digital for one in learner.schemes] == [False, False, True]
    assert not learner.digital
    assert not learner.exact
    assert learner.noisy
    network, before, after = after_steps(found)
    assert after.ledger is not None
    pulses = [float((one.up + one.down).sum()) for one in after.ledger]
    assert pulses[2] == 0
    moved = np.abs(np.asarray(network.weights(after.cells)[2] - network.weights(before.cells)[2]))
    assert 0 < moved.max() < 0.02  # less than a quantum: no pulse could do it
    assert after.scheme[2] == ()


def test_a_device_layer_beside_digital_memory():
    """The other way round: all in digital memory but the first layer of two."""
    changes = {"network.layers.0.scheme.type": "stochastic-rounding", "network.layers.0.synapse.device": "taox-hfox"}
    found = built("bptt", changes, learning={"scheme": {"type": "fp32"}})
    learner = found.population.learner
    assert [one.digital for one in learner.schemes] == [False, True]
    assert isinstance(learner.network.crossbars[1].cell.device, ConstantStep)
    assert not isinstance(learner.network.crossbars[0].wires, Ideal)
    _, _, after = after_steps(found)
    pulses = [float((one.up + one.down).sum()) for one in after.ledger]
    assert pulses[0] > 0 == pulses[1]


@pytest.mark.parametrize("host", ["bptt", "eprop", "decolle", "stdp"])
def test_the_scheme_of_the_run_for_all_layers_is_the_run(host):
    """Said of each layer, the same scheme gives the same chip, and one program for its steps."""
    size = 2 if host in ("bptt", "eprop") else 1
    same = {f"network.layers.{k}.scheme": {"type": "mixed-precision", "quantum": 0.05} for k in range(size)}
    chips, programs = [], []
    for changes in ({}, same):
        found = built(host, changes)
        learner = found.population.learner
        assert len(learner.own_schemes) == (len(learner.recipes) if changes else 0)
        assert all(eqx.tree_equal(one, learner.scheme) for one in learner.recipes)
        # equal numbers as one number: programs that differ in names alone are then the same text
        one = dataclasses.replace(learner, own_schemes=(learner.scheme,) * len(learner.own_schemes))
        network, chip, step = started(one, found.population.trials)
        chips.append(chip)
        programs.append(step.lower(network, chip).as_text())
    for a, b in zip(*(jax.tree.leaves(chip) for chip in chips), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    assert programs[0] == programs[1]


def test_a_table_without_a_type_starts_from_the_scheme_of_the_run():
    found = changed(Settings, together(HOSTS["bptt"], SMALL), {"network.layers.0.scheme.quantum": 0.2})
    own = found.network.layers[0].scheme
    assert own is not None
    assert (own.name, float(own.options()["quantum"])) == ("mixed-precision", pytest.approx(0.2))
    again = changed(Settings, written(found), {})
    assert written(again) == written(found)


def test_what_a_layer_cannot_have_is_refused():
    with pytest.raises(NoGradientArray, match="'agad' needs a gradient array"):
        built("bptt", {"network.layers.0.scheme": "agad"})
    with pytest.raises(InputError, match=r"network\.layers\.0\.scheme"):
        built("bptt", {"network.layers.0.scheme": "fp33"})
    stack = {"network.layers.0.scheme": "agad", "network.layers.0.synapse": {"type": "stack", "device": "taox-hfox"}}
    learner = built("bptt", stack).population.learner
    assert [one.tiles for one in learner.schemes] == [2, 1]


def test_writes_are_those_of_devices_alone(tmp_path):
    """A run whose readout is digital: it learns, and no pulse is spread over memory that takes none."""
    tables = together(HOSTS["bptt"], SMALL, {"data": {"train": 600, "test": 150}, "evaluation": {"age": (1.0, 1e4)}})
    settings = changed(Settings, tables, READOUT)
    result = experiments.run(settings, tmp_path / "run")
    assert result["test_accuracy"] > 0.3
    assert result["writes_per_device"] > 0
    assert "digital" not in result
    assert len(result["rows"]) == 2
