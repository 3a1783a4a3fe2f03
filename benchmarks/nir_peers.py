"""The same networks in memspike and in other frameworks, by way of NIR files: are their spikes the same?

100 random inputs of 50 steps of 0.1 ms (the one step that snnTorch knows). "memspike → X": we write, X reads and runs.
"X → memspike": X builds, runs and writes, we read and run. A cell says on how many inputs all output spikes are the
same, or what who refuses says. Needs nir, torch, spikingjelly, snntorch and norse, which CI does not have; run with:
python benchmarks/nir_peers.py
"""

import argparse
import contextlib
import io
import json
import logging
import os
import tempfile
import warnings
from itertools import pairwise
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import equinox as eqx
import jax
import jax.numpy as jnp
import nir
import numpy as np
import torch

from memspike.interop import from_nir, to_nir, write_nir
from memspike.networks import Convolution, Feedforward, Layer, Recurrent
from memspike.neurons import LIF, ExponentialFilter, SteppedExponentialFilter

DT, STEPS, INPUTS = 1e-4, 50, 100
AT_ONCE = ExponentialFilter(tau=1e-12)
logging.disable(logging.CRITICAL)
warnings.filterwarnings("ignore")


def inputs(shape):
    return (np.random.default_rng(0).random((STEPS, INPUTS, *shape)) < 0.3).astype(np.float32)


# --- memspike's own networks


def lif(**more):
    return LIF(**{"tau": 2e-3, "theta": 1.0, "soft": False, **more})


def layers(*sizes, **last):
    each = [Layer(pair, filter=AT_ONCE, neuron=lif()) for pair in pairwise(sizes[:-1])]
    return (*each, Layer(sizes[-2:], filter=AT_ONCE, **{"neuron": lif(), **last}))


def spiking(layers_, **more):
    return Feedforward(layers_, input_voltage=0.2, spiking_output=True, **more)


def convolution():
    first = Layer((19, 6), filter=AT_ONCE, neuron=lif(), connection=Convolution(3, 1, 1, 2), image=(8, 8, 2), bias=0.2)
    return spiking((first, Layer((96, 10), filter=AT_ONCE, neuron=lif())), inputs=(8, 8, 2))


def own_networks():
    spread = jnp.linspace(0.8, 1.2, 10)
    biased = Layer((21, 30), filter=AT_ONCE, neuron=lif(), bias=0.2)
    return {
        "dense": spiking(layers(20, 30, 10)),
        "dense with bias": spiking((biased, *layers(30, 10)), inputs=(20,)),
        "leaky readout": Feedforward(layers(20, 30, 10), input_voltage=0.2),
        "own threshold a neuron": spiking(layers(20, 30, 10, neuron=lif(theta=spread))),
        "own decay a neuron": spiking(layers(20, 30, 10, neuron=lif(tau=2e-3 * spread))),
        "convolution, pool, flatten": convolution(),
        "recurrent": spiking(layers(20, 30, recurrent=Layer((1, 1)).crossbar, loops=True)),
        "recurrent with a readout": Recurrent((20, 30, 5), lif(), tau_out=5e-3),
        "own synapses": spiking(
            tuple(
                eqx.tree_at(lambda one: one.filter, one, SteppedExponentialFilter(tau=2e-4))
                for one in layers(20, 30, 10)
            )
        ),
        "soft reset": spiking(layers(20, 30, 10, neuron=lif(soft=True))),
    }


def own(network, folder):
    """Its file, inputs, and what we read of it."""
    weights = network.init_weights(1.5, key=jax.random.key(1))
    weights = tuple(jnp.clip(w, -1, 1) for w in weights)
    path = write_nir(folder / "own.nir", to_nir(network, weights, DT).graph)
    imported = from_nir(path)
    return path, inputs(imported.shape), imported


# --- the others


def stepped(module, x, reset=lambda: None):
    """Outputs of a module that is called step by step."""
    reset()
    state, found = None, []
    with torch.no_grad():
        for now in torch.from_numpy(x):
            out = module(now) if state is None else module(now, state)
            out, state = out if isinstance(out, tuple) else (out, None)
            found.append(out.numpy())
    return np.stack(found)


def by_spikingjelly(path):
    from spikingjelly.activation_based.nir_exchange import import_from_nir

    return stepped, import_from_nir(str(path), dt=DT)


def by_snntorch(path):
    from snntorch import utils
    from snntorch.import_nir import import_from_nir

    def one_by_one(module, x):  # its Flatten folds the batch
        each = [stepped(module, x[:, k], lambda: utils.reset(module)) for k in range(x.shape[1])]
        return np.stack(each, axis=1)

    def at_once(module, x):
        return stepped(module, x, lambda: utils.reset(module))

    net = import_from_nir(nir.read(path))
    return one_by_one if any(isinstance(m, torch.nn.Flatten) for m in net.modules()) else at_once, net


def by_norse(path):
    import norse.torch

    return stepped, norse.torch.from_nir(nir.read(path), dt=DT)


READERS = {"SpikingJelly": by_spikingjelly, "snnTorch": by_snntorch, "Norse": by_norse}


def spikingjelly_network(what):
    from spikingjelly.activation_based import layer, neuron
    from spikingjelly.activation_based.nir_exchange import export_to_nir

    def cell(**more):
        return neuron.LIFNode(**{"tau": 20.0, "decay_input": False, **more})

    def image():
        return [
            layer.Conv2d(2, 6, 3, padding=1),
            cell(),
            layer.AvgPool2d(2),
            layer.Flatten(),
            layer.Linear(96, 10),
            cell(),
        ]

    made = {
        "dense": lambda: [layer.Linear(20, 30), cell(), layer.Linear(30, 10, bias=False), cell()],
        "input times 1/tau": lambda: [layer.Linear(20, 30), cell(decay_input=True, v_threshold=0.05)],
        "no leak": lambda: [layer.Linear(20, 30), neuron.IFNode()],
        "convolution, pool, flatten": image,
        "reset to 0.1": lambda: [layer.Linear(20, 30), cell(v_reset=0.1)],
        "soft reset": lambda: [layer.Linear(20, 30), cell(v_reset=None)],
        "own synapse (CUBA)": lambda: [layer.Linear(20, 30), neuron.CUBALIFNode(0.5, 0.9)],
    }[what]
    net = torch.nn.Sequential(*made())

    def write(path, example):
        export_to_nir(net, example, save_path=path, dt=DT)

    def run(x):
        from spikingjelly.activation_based import functional

        return stepped(net, x, lambda: functional.reset_net(net))

    return net, run, write, {}


def snntorch_network(what):
    import snntorch as snn
    from snntorch import utils
    from snntorch.export_nir import export_to_nir

    def cell(n, **more):
        options = {"threshold": torch.ones(n), "init_hidden": True, "reset_mechanism": "zero", **more}
        return snn.Leaky(beta=torch.full((n,), 0.95), **options)

    def again(**more):
        return snn.RLeaky(beta=0.95, linear_features=30, init_hidden=True, reset_mechanism="zero", **more)

    def behind(**more):
        decays = torch.full((30,), 0.5), torch.full((30,), 0.9)
        return snn.Synaptic(*decays, threshold=torch.ones(30), init_hidden=True, reset_mechanism="zero", **more)

    made = {
        "dense": lambda: [torch.nn.Linear(20, 30), cell(30), torch.nn.Linear(30, 10, bias=False), cell(10)],
        "reset at once": lambda: [torch.nn.Linear(20, 30), cell(30, reset_delay=False)],
        "recurrent, reset at once": lambda: [torch.nn.Linear(20, 30), again(reset_delay=False)],
        "recurrent, reset_delay (says nothing)": lambda: [torch.nn.Linear(20, 30), again()],
        "subtract (says nothing)": lambda: [torch.nn.Linear(20, 30), cell(30, reset_mechanism="subtract")],
        "own synapse (Synaptic)": lambda: [torch.nn.Linear(20, 30), behind()],
        "own synapse, reset at once": lambda: [torch.nn.Linear(20, 30), behind(reset_delay=False)],
    }[what]
    net = torch.nn.Sequential(*made())

    def write(path, example):
        nir.write(path, export_to_nir(net, example[0]))  # one without a batch

    return net, lambda x: stepped(net, x, lambda: utils.reset(net)), write, {}


def norse_network(what):
    import norse.torch as norse

    def cell(n, **more):
        each = {"tau_mem_inv": torch.full((n,), 500.0), "v_th": torch.full((n,), 0.05), "v_leak": torch.zeros(n)}
        return norse.LIFBoxCell(norse.LIFBoxParameters(**{**each, **more}), dt=DT)

    def behind(n):
        each = {"tau_mem_inv": torch.full((n,), 500.0), "tau_syn_inv": torch.full((n,), 2000.0)}
        ends = {"v_th": torch.full((n,), 0.05), "v_leak": torch.zeros(n)}
        return norse.LIFCell(norse.LIFParameters(**each, **ends), dt=DT)

    made = {
        "dense": lambda: [torch.nn.Linear(20, 30), cell(30), torch.nn.Linear(30, 10), cell(10)],
        "leaky readout": lambda: [
            torch.nn.Linear(20, 30),
            cell(30),
            torch.nn.Linear(30, 10),
            norse.LIBoxCell(norse.LIBoxParameters(tau_mem_inv=torch.full((10,), 200.0), v_leak=torch.zeros(10)), dt=DT),
        ],
        "own synapse (LIFCell)": lambda: [torch.nn.Linear(20, 30), behind(30)],
        "a bias in v_leak": lambda: [torch.nn.Linear(20, 30), cell(30, v_leak=torch.full((30,), 0.01))],
        "tau in its default form": lambda: [torch.nn.Linear(20, 30), cell(30)],
    }[what]
    net = norse.SequentialState(*made())
    default = "default" in what

    def write(path, example):
        nir.write(path, norse.to_nir(net, example[0], **({} if default else {"dt": 1.0})))  # one without a batch

    return net, lambda x: stepped(net, x), write, {"tau_scale": 1e3} if default else {}


WRITERS = {
    "SpikingJelly": (
        spikingjelly_network,
        [
            *("dense", "input times 1/tau", "no leak", "convolution, pool, flatten", "reset to 0.1", "soft reset"),
            "own synapse (CUBA)",
        ],
    ),
    "snnTorch": (
        snntorch_network,
        [
            *("dense", "reset at once", "recurrent, reset at once", "recurrent, reset_delay (says nothing)"),
            *("subtract (says nothing)", "own synapse (Synaptic)", "own synapse, reset at once"),
        ],
    ),
    "Norse": (
        norse_network,
        ["dense", "leaky readout", "own synapse (LIFCell)", "a bias in v_leak", "tau in its default form"],
    ),
}


def near(imported, x, share):
    """Outputs with all thresholds higher by a share."""
    network = imported.network
    moved = [eqx.tree_at(lambda one: one.neuron.theta, one, one.neuron.theta * (1 + share)) for one in network.layers]
    network = eqx.tree_at(lambda n: n.layers, network, tuple(moved))
    return np.asarray(imported._replace(network=network).run(x))


def compared(imported, x, peers):
    """Inputs whose spikes are all the same; of a readout the largest difference over its largest value.

    An input on which a membrane comes within 1e-6 of its threshold is one that thresholds moved by so much explain.
    """
    ours = np.asarray(imported.run(x))
    if ours.shape != peers.shape:
        return f"outputs of another shape: {list(peers.shape[2:])} for {list(ours.shape[2:])}"
    if not imported.network.spiking_output:
        return f"membranes within {np.abs(ours - peers).max() / np.abs(ours).max():.0e}"
    wrong = (ours != peers).any(axis=(0, 2))
    moved = [(near(imported, x, share) == peers).all(axis=(0, 2)) for share in (1e-6, -1e-6)]
    tied = wrong & (moved[0] | moved[1])
    words = f"{int((~wrong).sum())} of {len(wrong)} inputs, {int(ours.sum())} spikes"
    return words + (f"; {int(tied.sum())} with a membrane within 1e-6 of threshold" if tied.any() else "")


def said(error):
    return f"refused: {str(error).splitlines()[0] if str(error) else type(error).__name__}"


def outward(rows):
    for case, network in own_networks().items():
        with tempfile.TemporaryDirectory() as folder:
            try:
                path, x, imported = own(network, Path(folder))
            except ValueError as error:
                rows.append({"from": "memspike", "to": "NIR", "network": case, "spikes": said(error)})
                continue
            for peer, read in READERS.items():
                try:
                    run, module = read(path)
                    result = compared(imported, x, run(module, x))
                except Exception as error:
                    result = said(error)
                rows.append({"from": "memspike", "to": peer, "network": case, "spikes": result})


def inward(rows):
    for peer, (make, cases) in WRITERS.items():
        for case in cases:
            torch.manual_seed(1)
            net, run, write, how = make(case)
            for p in net.parameters():
                p.data *= 1.5 if p.ndim > 1 else 1.0
            shape = (2, 8, 8) if "convolution" in case else (20,)
            x = inputs(shape)
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "peer.nir"
                try:
                    wanted = run(x)
                    write(path, torch.from_numpy(x[0]))
                except Exception as error:
                    rows.append({"from": peer, "to": "NIR", "network": case, "spikes": said(error)})
                    continue
                try:
                    imported = from_nir(path, dt=DT, **how)
                    result = compared(imported, x, wanted)
                except ValueError as error:
                    result = said(error)
            rows.append({"from": peer, "to": "memspike", "network": case, "spikes": result})


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", default="results/nir-peers.json")
    options = parser.parse_args()
    rows = []
    with contextlib.redirect_stdout(io.StringIO()):
        outward(rows)
        inward(rows)
    for row in rows:
        print(f"{row['from']:>12} → {row['to']:<12} {row['network']:<38} {row['spikes']}")
    Path(options.out).write_text(
        json.dumps({"inputs": INPUTS, "steps": STEPS, "dt": DT, "rows": rows}, indent=2) + "\n"
    )


if __name__ == "__main__":
    main()
