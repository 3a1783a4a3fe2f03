"""The sections of a configuration: parts, whose keys are the fields of their classes, and what belongs to a run."""

from typing import Any

import equinox as eqx

from memspike.arrays.converters import AbstractStage, Identity
from memspike.arrays.fidelity import Resistive
from memspike.arrays.periphery import AbstractOrder, BeforeConversion
from memspike.arrays.rows import AbstractRows
from memspike.cells.base import AbstractCell
from memspike.data.files.options import Reading
from memspike.learning.objectives import AbstractObjective, Windowed
from memspike.learning.optimizers import adamw
from memspike.learning.programming.schemes import ideal
from memspike.learning.rules.base import AbstractRule
from memspike.learning.rules.bptt import BPTT
from memspike.networks.connections import AbstractConnection, Dense
from memspike.neurons.filters import AbstractFilter
from memspike.parts.param import Parameter, option, param, part
from memspike.parts.registry import DATASETS, LOSSES, NEURONS, OPTIMIZERS, RULES, SCHEMES
from memspike.parts.table import Recipe
from memspike.training.order import AbstractOrder as AbstractTrialOrder
from memspike.training.order import ByEpochs
from memspike.training.start import AbstractStart, Exact

WIRES = {
    field: Resistive.__dataclass_fields__[field].metadata for field in ("r_row", "r_column", "r_driver", "r_sense")
}


def _wire(name: str, default: float | None) -> Any:
    """A resistance as `Resistive` declares it."""
    meta = WIRES[name]
    return eqx.field(default=default, static=True, metadata={k: meta[k] for k in ("unit", "doc", "bounds")})


def _of_file(name: str) -> Any:
    """A key of `Reading`, declared there."""
    field: Any = Reading.__dataclass_fields__[name]
    meta = {k: v for k, v in field.metadata.items() if k != "static"}
    return eqx.field(default=field.default, static=True, metadata=meta)


class Data(eqx.Module):
    """Which examples, how many; of a file of one's own, how it is read, split and scaled."""

    name: str = option("digits", "data set, or the path of a file or folder of one's own", choices=DATASETS)
    train: int | None = option(None, "use only the first so many training examples", bounds=(1, 10**9))
    test: int | None = option(None, "use only the first so many test examples", bounds=(1, 10**9))
    hold_out: int | None = option(
        None, "measure on so many last training examples instead of the test set; to choose settings", bounds=(1, 10**9)
    )
    leave_out: str | None = option(None, "a speaker, or a group of data.group, who is the whole test part")
    kind: str | None = _of_file("kind")
    label: str | None = _of_file("label")
    target: str | None = _of_file("target")
    group: str | None = _of_file("group")
    split: float | None = _of_file("split")
    scale: str | None = _of_file("scale")
    frames: int | None = _of_file("frames")
    frame: float | None = _of_file("frame")
    window: int | None = _of_file("window")
    pool: int | None = _of_file("pool")
    sha256: str | None = _of_file("sha256")

    @property
    def reading(self) -> Reading:
        """What is said of a file."""
        return Reading(**{name: getattr(self, name) for name in Reading.__dataclass_fields__})


class PulseSettings(eqx.Module):
    """One kind of programming pulse; what is not given is not known and not counted."""

    energy: float | None = option(None, "energy of a pulse", unit="J", bounds=(0, 1e3))
    width: float | None = option(None, "length of a pulse", unit="s", bounds=(0, 1e6))
    v: float | None = option(None, "voltage of a pulse", unit="V", bounds=(-1e3, 1e3))


class DriveSettings(eqx.Module):
    """The pulses that program the devices."""

    up: PulseSettings = part(PulseSettings, "a pulse upwards (SET)")
    down: PulseSettings | None = option(None, "a pulse downwards; without it a pulse downwards is one full RESET")
    reset: PulseSettings | None = option(None, "a full RESET; without it the energy of one is not known")


class ArraySettings(eqx.Module):
    """What the cells of a matrix share: wires, tiles, converters, pulses."""

    r_row: float = _wire("r_row", 0.0)
    r_column: float = _wire("r_column", 0.0)
    r_driver: float | None = _wire("r_driver", None)
    r_sense: float | None = _wire("r_sense", None)
    two_sided: bool = option(False, "rows are driven from both ends")
    tile: tuple[int, int] | None = option(
        None, "rows and columns of devices on one array; none: every matrix on one array", bounds=(1, 10**6)
    )
    analog_sums: bool = option(False, "partial sums of tiles are added as currents, then converted")
    dac: AbstractStage = part(Identity, "drivers of the rows")
    amplifier: AbstractStage = part(Identity, "amplifiers of the columns")
    adc: AbstractStage = part(Identity, "converters of the columns")
    order: AbstractOrder = part(BeforeConversion, "when the lines of a cell are combined")
    read_noise: Parameter = param(0.0, "1", "s.d. of a conductance over its mean at each read", bounds=(0, 10))
    drive: DriveSettings | None = option(None, "programming pulses; those that are published with a device by default")

    @property
    def ideal_wires(self) -> bool:
        """Whether no wire has resistance."""
        return not any((self.r_row, self.r_column, self.r_driver, self.r_sense))


class LayerSettings(eqx.Module):
    """One layer: its size, and what is its own; what it leaves out it has from the tables of the run."""

    size: int | None = option(
        None, "neurons, or channels of a convolution; the last layer has one a class or output", bounds=(1, 10**8)
    )
    neuron: eqx.Module | None = eqx.field(default=None, metadata={"doc": "the neurons", "choices": NEURONS})
    synapse: AbstractCell | None = eqx.field(default=None, metadata={"doc": "the cells"})
    array: ArraySettings | None = eqx.field(default=None, metadata={"doc": "the array"})
    scheme: Recipe | None = eqx.field(default=None, metadata={"doc": "the programming scheme", "choices": SCHEMES})
    filter: AbstractFilter | None = eqx.field(default=None, metadata={"doc": "the synaptic filter (feedforward)"})
    input_gain: float | None = option(
        None, "its own network.input_gain, where the input drives it (feedforward)", bounds=(0, 1e9)
    )
    reading: AbstractRows | None = eqx.field(default=None, metadata={"doc": "what reading does to the devices"})
    connection: AbstractConnection = part(Dense, "how rows see what drives the layer (feedforward)")
    sources: tuple[int | str, ...] | None = option(
        None,
        "numbers of the layers that drive this one, -1 or input for the input; the one before by default",
        bounds=(-1, 10**4),
    )
    recurrent: bool = option(False, "the neurons drive rows of a second crossbar of the layer, too (feedforward)")
    loops: bool = option(False, "and are connected with themselves there")
    bias: bool | None = option(
        None, "a bias row; by default where the input has one and drives the layer (feedforward)"
    )


class FabricationSettings(eqx.Module):
    """What differs from device to device on a chip."""

    preset: str = option("", "device whose published spread and pulses count; that of synapse.device by default")
    published: bool = option(False, "the published spread of the device, where there is one")
    label_spread: float = option(
        0.0, "s.d. of the nonlinearity labels of soft bounds without a published spread (assumption)", bounds=(0, 10)
    )
    range_spread: float = option(
        0.0, "relative s.d. of g_max and of the step of such devices, and of equal steps (assumption)", bounds=(0, 1)
    )
    spread: dict[str, Any] = eqx.field(
        default_factory=dict,
        static=True,
        metadata={"doc": "parameter → relative s.d., or a table with a type; e.g. nu = 0.1"},
    )
    stuck: float = option(0.0, "probability of a dead cell, half at either end", bounds=(0, 1))
    calibration: int | None = option(
        None, "pairs of pulses that find the reference of each device; none: mid-range", bounds=(1, 10**6)
    )
    reference_error: float = option(0.0, "s.d. of a calibrated reference over the range", bounds=(0, 1))


class LearningSettings(eqx.Module):
    """What is wanted of the network, the rule, the optimiser, and the scheme that writes."""

    rule: AbstractRule = part(BPTT, "learning rule", choices=RULES)
    scheme: Recipe = part(lambda: Recipe(ideal, "ideal"), "programming scheme", choices=SCHEMES)
    optimizer: Recipe = part(lambda: Recipe(adamw, "adamw"), "optimiser", choices=OPTIMIZERS)
    objective: AbstractObjective = part(Windowed, "readout and loss", choices=LOSSES)
    start: AbstractStart = part(Exact, "weights before the first trial")


class SimulationSettings(eqx.Module):
    """Time inside a trial and between trials."""

    dt: float = option(50e-6, "time step", unit="s", bounds=(1e-15, 1e3))
    duration: float = option(
        0.8e-3, "simulated time of a trial; an encoder of frames sets it", unit="s", bounds=(1e-15, 1e6)
    )
    accuracy: str = option(
        "run",
        "run: steps of dt; spice: dt halved until membranes are within 1 mV of a circuit simulator's",
        choices=("run", "spice"),
    )
    parts: int = option(1, "moments of a trial at which drifting conductances are read anew", bounds=(1, 10**4))
    pause: float = option(0.0, "from the start of a trial to the start of the next", unit="s", bounds=(0, 1e12))

    @property
    def steps(self) -> int:
        """Time steps of a trial."""
        return max(1, round(self.duration / self.dt))


class TrainingSettings(eqx.Module):
    """How often and how trials are shown."""

    epochs: int = option(20, "times that all trials are shown", bounds=(1, 10**9))
    batch: int = option(128, "trials of one update", bounds=(1, 10**9))
    label_smoothing: float = option(0.0, "share of the target spread over all classes", bounds=(0, 0.999))
    update_every: int | None = option(
        None, "steps of a trial after which weights are written; none: once a trial", bounds=(1, 10**9)
    )
    wires: bool = option(True, "wires and converters also in training, not only in the evaluation")
    order: AbstractTrialOrder = part(ByEpochs, "how trials are shuffled and keys are drawn")
    epochs_together: int | None = option(
        None, "epochs from one measurement to the next; none: a 25th of all", bounds=(1, 10**9)
    )
    checkpoint_every: int | None = option(
        None, "updates between checkpoints; none: at every measurement", bounds=(1, 10**12)
    )
