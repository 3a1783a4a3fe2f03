"""NeuroBench on own networks: its counts of synaptic operations and zeros, made of what our neurons really send.

NeuroBench counts what goes into linear modules of PyTorch and what comes out of neuron modules. A replica in PyTorch
holds the weights, and plays back the spikes of a run here; beside it the same network is run by snnTorch.
"""

import contextlib
import io
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from memspike.experiments.trained import TrainedRun
from memspike.interop.optional import needed
from memspike.networks.base import AbstractNetwork, Clock, Weights
from memspike.networks.connections import Dense
from memspike.networks.feedforward import Feedforward
from memspike.networks.recurrent import Recurrent
from memspike.networks.simulate import Events
from memspike.neurons.driver import SpikeObserver
from memspike.neurons.lif import LIF, AbstractSpikingNeuron
from memspike.parts.errors import InputError

Values = Float[np.ndarray, "..."]
WHAT, INSTALL = "NeuroBench", "neurobench snntorch"
# what NeuroBench books for a membrane of snnTorch's Leaky in a step, whichever reset it has
LEAKY_OPERATIONS = 4


class Stage(NamedTuple):
    """One layer: weights [rows, columns], bias, weights from itself; its neurons, None where they do not fire."""

    weights: Values
    bias: Values | None
    back: Values | None
    neuron: Any


class Model(NamedTuple):
    """A network, its weights and its step in s; `voltages`: analog neurons send their membranes, else their spikes."""

    network: Any
    weights: Weights
    dt: float
    steps: int
    voltages: bool

    def sent(self, x: Any) -> tuple[list[Values], Values]:
        """What each stage sends [steps, columns] and the output, for one example: [steps, rows], or row pulses."""
        network = self.network
        ran = network.run(network.programmed(self.weights, None), x, Clock(self.dt, (self.steps,)))
        if isinstance(network, Recurrent):
            return [np.asarray(ran.state.z if self.voltages else ran.z)], np.asarray(ran.output)
        each = []
        for v, layer in zip(ran.layers, network.layers, strict=True):
            if layer.spiking:
                each.append(np.asarray(v) / np.float32(layer.spike_voltage))
            elif self.voltages:
                each.append(np.asarray(v))
            else:
                risen = SpikeObserver().crossings(v + layer.of_rank(v.ndim).rest())
                each.append(np.asarray(risen, np.float32))
        return each, np.asarray(ran.layers[-1])


def _in_steps(pulses: Events, dt: float, steps: int) -> Values:
    """Row pulses as inputs [steps, examples, rows], each in the step in which it begins; the highest counts 1."""
    v = np.asarray(pulses.v, np.float32)
    found = np.zeros((steps, *v.shape[1:]), np.float32)
    for one, t in zip(v, pulses.times, strict=True):
        found[min(int(t / dt + 1e-6), steps - 1)] += one
    return found / max(float(np.abs(found).max()), np.finfo(np.float32).tiny)


class Bench(NamedTuple):
    """Metrics of the network here, the same of it in snnTorch, None each where not measured, and what to know."""

    memspike: dict[str, Any]
    snntorch: dict[str, Any]
    told: tuple[str, ...]


def _stages(network: Any, weights: Weights) -> list[Stage]:
    """The layers of a network; InputError for kinds that are no chain of dense layers."""
    w = [np.asarray(one, np.float32) for one in weights]
    if isinstance(network, Recurrent):
        back = w[1] * np.asarray(network.others(), np.float32)
        return [Stage(w[0], None, back, network.neuron), Stage(w[2], None, None, None)]
    if not isinstance(network, Feedforward):
        raise InputError(f"{WHAT} counts feed-forward and recurrent networks here, not {type(network).__name__}.")
    found, own = [], iter(w)
    for k, layer in enumerate(network.layers):
        if not isinstance(layer.connection, Dense) or network.sources(k) != (k - 1,):
            raise InputError(f"{WHAT} counts dense layers here, each driven by the one before; layer {k} is none.")
        matrix, mask = next(own), layer.connected()[-1]
        back = None if layer.recurrent is None else next(own) * np.float32(1.0 if mask is None else mask)
        bias = None
        if layer.bias is not None:
            matrix, bias = matrix[:-1], matrix[-1] * np.float32(layer.bias / float(layer.spike_voltage))
        found.append(Stage(matrix, bias, back, layer.neuron if network.fires(k) or not layer.spiking else None))
    return found


def _linear(torch: Any, w: Values, bias: Values | None) -> Any:
    module = torch.nn.Linear(*w.shape, bias=bias is not None)
    module.weight.data = torch.from_numpy(w.T.copy())
    if bias is not None:
        module.bias.data = torch.from_numpy(bias.copy())
    return module


def _replica(torch: Any, stages: list[Stage], play: Any) -> tuple[Any, type]:
    """A module whose linear parts see, and whose neurons send, what `play` says; and the class of its neurons."""

    class Neurons(torch.nn.Module):
        def forward(self, drive: Any, sent: Any) -> Any:
            return sent  # one bare tensor, which is what is counted

    class Replica(torch.nn.Module):
        def __init__(self) -> None:
            torch.nn.Module.__init__(self)
            self.linear = torch.nn.ModuleList([_linear(torch, s.weights, s.bias) for s in stages])
            backs = [_linear(torch, s.back, None) if s.back is not None else torch.nn.Identity() for s in stages]
            self.back = torch.nn.ModuleList(backs)
            self.neurons = torch.nn.ModuleList([Neurons() for s in stages if s.neuron is not None])

        def forward(self, batch: Any) -> Any:
            sent, output = play(batch[0].numpy())
            each = [torch.from_numpy(np.array(v)) for v in sent]
            for t in range(batch.shape[1]):
                signal = batch[:, t]
                for k, stage in enumerate(stages):
                    drive = self.linear[k](signal)
                    if stage.back is not None:
                        before = each[k][t - 1 : t] if t else torch.zeros_like(each[k][:1])
                        drive = drive + self.back[k](before)
                    if stage.neuron is not None:
                        signal = self.neurons[k](drive, each[k][t : t + 1])
            return torch.from_numpy(np.array(output))[None]

    return Replica(), Neurons


def _peer(torch: Any, snn: Any, stages: list[Stage], dt: float) -> Any:
    """The same network of snnTorch's Leaky neurons, with the decay and the reset that ours have."""

    def leaky(stage: Stage) -> Any:
        neuron, n = stage.neuron, stage.weights.shape[1]
        beta, theta = (
            torch.from_numpy(np.broadcast_to(np.asarray(v, np.float32), (n,)).copy())
            for v in (jnp.exp(-dt / neuron.tau), neuron.theta)
        )
        reset = "subtract" if neuron.soft else "zero"
        return snn.Leaky(beta=beta, threshold=theta, reset_mechanism=reset, init_hidden=True)

    class Peer(torch.nn.Module):
        def __init__(self) -> None:
            torch.nn.Module.__init__(self)
            self.linear = torch.nn.ModuleList([_linear(torch, s.weights, s.bias) for s in stages])
            backs = [_linear(torch, s.back, None) if s.back is not None else torch.nn.Identity() for s in stages]
            self.back = torch.nn.ModuleList(backs)
            self.neurons = torch.nn.ModuleList([leaky(s) for s in stages if s.neuron is not None])
            self.last: list[Any] = []
            self.seen: list[Any] = []

        def reset(self) -> None:
            self.last, self.seen = [None] * len(stages), []
            for one in self.neurons:
                one.reset_mem()

        def forward(self, signal: Any) -> Any:
            for k, stage in enumerate(stages):
                drive = self.linear[k](signal)
                if stage.back is not None:
                    before = torch.zeros_like(drive) if self.last[k] is None else self.last[k]
                    drive = drive + self.back[k](before)
                signal = drive if stage.neuron is None else self.neurons[k](drive)
                self.last[k] = signal
                if stage.neuron is not None:
                    self.seen.append(signal[0].detach().numpy())
            return signal, None

    return Peer()


def _counted(bench: Any, model: Any, data: Any, metrics: Any) -> dict[str, Any]:
    """NeuroBench's numbers; None where a metric failed, which it stores as 0.0 and says in a printed line."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
        found = bench.Benchmark(model, data, [], [], metrics).run(quiet=False)
    failed = [line for line in said.getvalue().splitlines() if line.startswith("Error running")]
    kept = {}
    for name, value in found.items():
        empty = value is None or value == 0 or (isinstance(value, dict) and not any(value.values()))
        kept[name] = None if empty or any(f"'{name}'" in line for line in failed) else value
    return kept


def _own_operations(abstract: Any) -> type:
    """A metric: updates of neurons a sample, every neuron in every step, and as many times NeuroBench's count."""

    class NeuronOperations(abstract.AccumulatedMetric):
        def __init__(self) -> None:
            abstract.AccumulatedMetric.__init__(self, requires_hooks=True)
            self.reset()

        def reset(self) -> None:
            self.updates = self.samples = 0

        def __call__(self, model: Any, preds: Any, data: Any) -> dict[str, float]:
            self.updates += sum(out.numel() for hook in model.activation_hooks for out in hook.activation_outputs)
            self.samples += data[0].size(0)
            return self.compute()

        def compute(self) -> dict[str, float]:
            each = self.updates / max(1, self.samples)
            return {"Neuron Updates": each, "Neuron Dense Ops": LEAKY_OPERATIONS * each}

    return NeuronOperations


def neurobench(
    network: AbstractNetwork | TrainedRun,
    x: Any = None,
    weights: Weights | None = None,
    dt: float | None = None,
    *,
    voltages: bool = False,
) -> Bench:
    """Footprint, activation sparsity, synaptic and neuron operations as NeuroBench counts them, one example at a time.

    Of a trained run it is the first chip with its stored weights on its first ten test examples; of a network `x` are
    inputs [steps, examples, rows], with `weights` [rows, columns] and the step `dt` in s. Row pulses (`Events`) count
    in the step in which they begin. Neurons with analog spikes count by the steps in which their membrane rises through
    30 mV, or with `voltages` by what really drives the next crossbar, which NeuroBench books as of an ANN. Reads are
    without noise. What NeuroBench could not measure is None, never 0.

    InputError without the packages, for networks that are no chains of dense layers, and for row pulses without a run.
    """
    needed("neurobench", INSTALL, WHAT)
    torch, snn = needed("torch", INSTALL, WHAT), needed("snntorch", INSTALL, WHAT)
    run = network if isinstance(network, TrainedRun) else None
    if run is not None:
        dt = run.settings.simulation.dt
        network, cells = run.chip()
        weights, x = network.weights(cells), run.shown(10) if x is None else x
    if x is None or weights is None or dt is None:
        raise InputError(f"{WHAT} needs inputs x, weights and dt of a network; of a run it has them.")
    stages, pulses = _stages(network, weights), x if isinstance(x, Events) else None
    if pulses is None:
        given = np.asarray(x, np.float32)
    elif run is None:
        raise InputError(f"{WHAT} counts row pulses of runs, whose length is known; give x in steps.")
    else:
        given = _in_steps(pulses, dt, run.settings.simulation.steps)
    model = Model(network, weights, dt, len(given), voltages)
    inputs = np.moveaxis(given, 0, 1)
    of = {one.tobytes(): k for k, one in enumerate(inputs)}

    def play(one: Values) -> tuple[list[Values], Values]:
        return model.sent(jnp.asarray(one) if pulses is None else example_of(pulses, of[one.tobytes()]))

    return _measured(torch, snn, (stages, play, inputs, dt), voltages)


def example_of(pulses: Events, k: int) -> Events:
    """The row pulses of one example."""
    return eqx.tree_at(lambda e: e.v, pulses, pulses.v[:, k])


def _measured(torch: Any, snn: Any, given: tuple[list[Stage], Any, Values, float], voltages: bool) -> Bench:
    stages, play, inputs, dt = given
    bench, models = needed("neurobench.benchmarks", INSTALL, WHAT), needed("neurobench.models", INSTALL, WHAT)
    static = needed("neurobench.metrics.static", INSTALL, WHAT)
    work = needed("neurobench.metrics.workload", INSTALL, WHAT)
    abstract = needed("neurobench.metrics.abstract", INSTALL, WHAT)
    tensors = torch.utils.data.TensorDataset(torch.from_numpy(inputs.copy()), torch.zeros(len(inputs)))
    data = torch.utils.data.DataLoader(tensors, batch_size=1)
    net, neurons = _replica(torch, stages, play)
    ours = models.TorchModel(net)
    ours.add_activation_module(neurons)
    counts = [static.Footprint], [work.ActivationSparsity, work.SynapticOperations]
    found = _counted(bench, ours, data, [counts[0], [*counts[1], _own_operations(abstract)]])
    told = _told(stages, inputs, voltages)
    if not all(isinstance(s.neuron, LIF) or s.neuron is None for s in stages):
        found["NeuronOperations"] = found["NeuronOperations"] and {
            **found["NeuronOperations"],
            "Neuron Dense Ops": None,
        }
        return Bench(found, {}, (*told, "snnTorch has no such neurons: its side is not measured."))
    if any(getattr(s.neuron, "refractory", 0) for s in stages):
        return Bench(found, {}, (*told, "snnTorch has no refractory period: its side is not measured."))
    net = _peer(torch, snn, stages, dt)
    peer = _counted(bench, models.SNNTorchModel(net), data, [counts[0], [*counts[1], work.NeuronOperations]])
    return Bench(found, peer, told)


def _told(stages: list[Stage], inputs: Values, voltages: bool) -> tuple[str, ...]:
    """What the numbers do not say by themselves."""
    told = ["Footprint: 32-bit weights in digital memory; here they are conductances of devices."]
    if not np.isin(inputs, (-1.0, 0.0, 1.0)).all():
        told.append("Inputs are not all 0 or 1: NeuroBench books steps with such an input as MACs, not as ACs.")
    if any(s.neuron is not None and not isinstance(s.neuron, AbstractSpikingNeuron) for s in stages):
        told.append(
            "Neurons send voltages and not spikes: NeuroBench books what they drive as MACs, as of an ANN."
            if voltages
            else "Neurons send voltages; counted are the steps in which they rise through 30 mV, as events of 0 or 1."
        )
    if any(s.neuron is None for s in stages):
        told.append("The readout is no neuron here: its membranes are neither activations nor neuron operations.")
    return tuple(told)
