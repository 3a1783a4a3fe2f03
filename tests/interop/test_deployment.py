"""Networks of others on devices: exact as numbers and by ideal writes, worse on chips that age; and the verbs."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memspike.experiments import resolve
from memspike.networks import Feedforward, Layer
from memspike.neurons import LIF, ExponentialFilter
from memspike.parts.errors import InputError

pytest.importorskip("nir")

from memspike.interop import deploy, from_nir, inputs_of, to_nir, write_nir

DT = 1e-3


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Two layers of LIF neurons that fire."""
    parts = {"filter": ExponentialFilter(tau=1e-12), "neuron": LIF(tau=10e-3, theta=0.8, soft=False)}
    network = Feedforward((Layer((6, 9), **parts), Layer((9, 3), **parts)), input_voltage=0.2, spiking_output=True)
    weights = tuple(jnp.clip(2 * w, -1, 1) for w in network.init_weights(key=jax.random.key(0)))
    return write_nir(tmp_path_factory.mktemp("nir") / "net.nir", to_nir(network, weights, DT).graph)


@pytest.fixture(scope="module")
def labelled(file, tmp_path_factory):
    """Inputs with what the network of numbers decides as their classes."""
    x = (np.random.default_rng(0).random((40, 25, 6)) < 0.4).astype(np.float32)
    counts = np.asarray(from_nir(file).run(np.moveaxis(x, 0, 1))).sum(0)
    path = tmp_path_factory.mktemp("data") / "x.npz"
    np.savez(path, x=x, y=counts.argmax(-1))
    return path


def settings_of(*keys):
    return resolve("classifier", keys).settings


def test_chips_of_a_device_that_drifts_lose_what_numbers_and_ideal_writes_have(file, labelled):
    imported = from_nir(file)
    given = settings_of("synapse.device=pcm", "evaluation.compensation=global")
    rows = deploy(imported, given, inputs_of(labelled, imported), ages=(1.0, 2.6e6), chips=2)
    assert [row["network"] for row in rows] == ["numbers", "ideal writes", *["chips"] * 4]
    assert rows[0]["accuracy_mean"] == rows[1]["accuracy_mean"] == 1
    assert rows[1]["difference_mean"] == 0
    plain = {row["age_s"]: row for row in rows[2:] if row["compensation"] == "none"}
    against = {row["age_s"]: row for row in rows[2:] if row["compensation"] == "global"}
    assert plain[2.6e6]["accuracy_mean"] < plain[1.0]["accuracy_mean"] - 0.1
    assert against[2.6e6]["accuracy_mean"] > plain[2.6e6]["accuracy_mean"]
    assert plain[1.0]["difference_mean"] > 0


def test_a_cell_of_a_smaller_range_scales_weights_and_thresholds_together(file):
    imported = from_nir(file)
    rows = deploy(imported, settings_of("synapse.scale=3"), ages=(0.0,), chips=1)
    assert rows[1]["difference_mean"] < 0.01  # rounding alone


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"z": np.zeros(3)}, "an array x is needed"),
        ({"x": np.zeros((2, 5, 7))}, r"\[examples, steps, 6\] is needed"),
        ({"x": np.full((2, 5, 6), np.nan)}, "no finite number"),
        ({"x": np.zeros((2, 5, 6)), "y": np.array([0, 3])}, "a class from 0 to 2"),
    ],
)
def test_data_that_do_not_fit_are_refused(file, tmp_path, arrays, said):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=said):
        inputs_of(tmp_path / "a.npz", from_nir(file))


def test_the_verbs(file, labelled, tmp_path, call):
    status, text, _ = call("nir", "import", str(file), "--json", "--out", str(tmp_path / "w"))
    facts = json.loads(text)
    assert status == 0
    assert [(one["rows"], one["columns"]) for one in facts["layers"]] == [(6, 9), (9, 3)]
    assert {p.name for p in (tmp_path / "w").iterdir()} == {"weights.npz", "conductances.npz"}
    words = ("deploy", str(file), "--device", "pcm", "--data", str(labelled), "--chips", "1", "--ages", "1s,1h")
    status, text, _ = call(*words, "--out", str(tmp_path / "d"), "--json")
    rows = json.loads(text)["rows"]
    assert status == 0
    assert [row["age_s"] for row in rows] == [None, None, 1, 3600]
    assert json.loads((tmp_path / "d/deploy.json").read_text())["rows"] == rows
    for more, said in (
        (("--set", "encoder=delta"), "no meaning here"),
        (("--device", "pmc"), "Did you mean 'pcm'"),
        (("--ages", "1x"), "--ages"),
    ):
        status, _, error = call(*words, "--out", str(tmp_path / "none"), *more)
        assert status == 2
        assert said in error
    assert not (tmp_path / "none").exists()
