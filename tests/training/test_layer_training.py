"""Networks of layers that learn the digits: convolution, recurrence, spikes."""

import pytest

import memspike as ms
from memspike.experiments import resolve
from memspike.parts.atomic import read_arrays

LAYERS = "network.layers.0"
CASES = {
    "convolution": [
        "network.layers=[8,32]",
        f"{LAYERS}.connection=convolution",
        f"{LAYERS}.connection.padding=1",
        f"{LAYERS}.connection.pool=2",
        "training.epochs=3",
    ],
    # eight channels hear the rows of an image one after the other: the neurons have to remember
    "recurrent": [
        "network.layers=[64]",
        f"{LAYERS}.recurrent=true",
        "encoder=channels",
        "encoder.interval=100us",
        "encoder.read_voltage=0.3",
        "network.input_filter.tau=0.1ms",
        "simulation.duration=1.2ms",
        "learning.objective.start=0.6",
        "learning.rule.weight_noise=0",
        "augment.shift=0",
        "training.epochs=4",
    ],
    "spikes": [f"{LAYERS}.neuron=lif", f"{LAYERS}.neuron.tau=1ms", "training.epochs=2"],
}


@pytest.mark.parametrize("name", CASES)
def test_digits_are_learned(tmp_path, name):
    changes = [*CASES[name], "evaluation.chips=0", "evaluation.fine_dt=none"]
    result = ms.experiments.run(resolve("memprop-digits", changes).settings, tmp_path / "run")
    assert result["test_accuracy"] > 0.9
    samples = read_arrays(tmp_path / "run/samples.npz")
    traces = [samples[f"trace_{k}"].shape[-1] for k in range(len(samples["rest"]))]
    assert traces == {"convolution": [128, 32, 10], "recurrent": [64, 10], "spikes": [64, 10]}[name]
