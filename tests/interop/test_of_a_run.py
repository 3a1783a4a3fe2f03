"""A trained run of LIF neurons on its way out: as a NIR file, and as a module of PyTorch."""

import jax
import numpy as np
import pytest

import memspike as ms
from memspike.config.resolve import written
from memspike.networks import Clock
from memspike.parts.errors import InputError
from memspike.training.folder import Checkpoint, RunFolder

SMALL = ["neuron.soft=false", "data.name=digits", "data.train=32", "data.test=10", "network.layers=[12]"]
SMALL += ["training.epochs=1"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A recurrent network on PCM whose neurons are reset to zero, at its first checkpoint: its first weights."""
    out = tmp_path_factory.mktemp("runs") / "run"
    experiment, settings, _ = ms.experiments.resolve("eprop-spoken", SMALL)
    population = experiment.prepare(settings).population
    folder = RunFolder(out)
    folder.start(written(settings, experiment.tables), resume=False)
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(population.init())]
    folder.save(Checkpoint(1, leaves, [], {}, 0.0))
    return ms.load(out)


def shown(run):
    x = run.shown(4)
    network, cells = run.chip()
    ran = network.run(network.programmed(network.weights(cells), None), x, Clock(run.settings.simulation.dt, (len(x),)))
    return np.asarray(x), np.asarray(ran.output)


def test_a_run_is_written_with_its_conductances_and_read_back(trained, tmp_path, call):
    pytest.importorskip("nir")
    from memspike.interop import from_nir, read_nir

    path = tmp_path / "a.nir"
    status, text, error = call("nir", "export", str(trained.folder), "--out", str(path))
    assert (status, text.strip()) == (0, str(path))
    assert "drift" in error
    assert call("nir", "export", str(trained.folder), "--out", str(path))[0] == 2  # it is there
    graph = read_nir(path)
    held = trained.conductances()["input"][0]
    assert np.allclose(graph.nodes["fc0"].metadata["conductances_s"], held, rtol=1e-6)
    assert graph.metadata["age_s"] == 0
    x, wanted = shown(trained)
    assert np.abs(wanted).max() > 0
    assert np.allclose(from_nir(path).run(x), wanted, atol=1e-4 * np.abs(wanted).max())


def test_an_older_chip_has_drifted(trained):
    pytest.importorskip("nir")
    from memspike.interop import nir_of_run

    young, old = (nir_of_run(trained, age=age).graph.nodes["fc0"] for age in (0.0, 1e6))
    ratio = old.metadata["conductances_s"] / young.metadata["conductances_s"]
    assert 0 < np.median(ratio) < 0.9
    with pytest.raises(InputError, match="Chip 3 does not exist"):
        nir_of_run(trained, chip=3)


def test_a_run_is_a_module_of_torch(trained):
    torch = pytest.importorskip("torch")
    from memspike.interop import torch_module

    x, wanted = shown(trained)
    module = torch_module(trained)
    assert np.allclose(module(torch.from_numpy(x.copy())).detach().numpy(), wanted, atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_a_run_is_counted_by_neurobench(trained, call):
    pytest.importorskip("neurobench")
    status, text, _ = call("neurobench", str(trained.folder))
    assert status == 0
    lines = dict(line.rsplit(": ", 1) for line in text.splitlines())
    assert lines["SynapticOperations, memspike"] == lines["SynapticOperations, snnTorch"]
    assert "not measured" not in text
