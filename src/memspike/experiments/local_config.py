"""What the file of an experiment with local learning in a feed-forward spiking network may say."""

from typing import Annotated

from pydantic import Field, model_validator

from memspike.experiments.config import (
    DataConfig,
    Joules,
    Number,
    Positive,
    ProgrammingConfig,
    Seconds,
    Section,
    field,
)
from memspike.experiments.online_config import Hertz, LoopConfig, LoopedConfig, WearConfig

CELLS = ("single", "zero-shift", "pair", "push-pull", "alternate", "tiles")
ENCODERS = ("regular", "bernoulli")
RULES = ("decolle", "decolle-outer")
OPTIMIZERS = ("sgd", "adamax")


class SpikesConfig(Section):
    """Images as spike trains."""

    steps: Positive = Field(default=20, description="time steps of an image")
    dt: Seconds = field("s", "time step", default=5e-3, gt=0)
    max_rate: Hertz = field("Hz", "spikes a second of a white pixel; at most one a step", default=150.0, gt=0)
    encoder: str = Field(
        default="regular", description="regular: evenly spaced spikes of random phase; bernoulli: a draw every step"
    )
    burn: Annotated[int, Field(ge=0)] = Field(default=5, description="first steps of an image, which do not count")

    @model_validator(mode="after")
    def _known(self) -> "SpikesConfig":
        if self.encoder not in ENCODERS:
            raise ValueError(f"task.encoder is '{self.encoder}'; allowed: {', '.join(ENCODERS)}")
        if self.burn >= self.steps:
            raise ValueError(f"task.burn is {self.burn}; allowed: 0 to {self.steps - 1}, fewer than task.steps")
        return self


class MatrixConfig(WearConfig):
    """The devices behind the weights, and how they make them."""

    device: str = Field(default="ideal", description="pulse device: a name of memspike list devices, or a file")
    labels: tuple[Number, Number] | None = Field(
        default=None, description="nonlinearity labels up and down of soft bounds in place of the law of `device`"
    )
    levels: Positive = Field(default=100, description="pulses of a full sweep, with labels")
    c2c: Number = field("1", "cycle-to-cycle noise over the range, with labels", default=0.01, ge=0, le=1)
    cell: str = Field(
        default="single",
        description="single: device and reference in mid-range; zero-shift: reference at the symmetry point of each "
        "device; pair, push-pull, alternate: two devices, of which a change writes one side, both, or each in turn; "
        "tiles: slow and fast devices, for Tiki-Taka and its kin",
    )
    gamma: Number = field("1", "what a tile counts over the one before it, in reads", default=0.0, ge=0, le=1)
    calibration: Positive = Field(default=300, description="pairs of pulses that a reference is calibrated with")
    weight_range: Number = field("1", "largest weight of a device in mid-range", default=1.0, gt=0)
    cycle_noise: bool = Field(default=True, description="cycle-to-cycle noise of the device")
    spread: bool = Field(
        default=True, description="device-to-device spread: the published one, or label_spread and range_spread"
    )
    label_spread: Number = field("1", "s.d. of the nonlinearity labels of a device (assumption)", default=0.2, ge=0)
    range_spread: Number = field(
        "1", "relative s.d. of g_max and of the step size of a device (assumption)", default=0.05, ge=0, le=1
    )
    reference_error: Number = field(
        "1", "s.d. of a programmed reference over the range (zero-shift)", default=0.0, ge=0, le=1
    )
    pulse_energy: Joules = field("J", "energy of a pulse of unknown voltage (assumption)", default=10e-12, ge=0)

    @model_validator(mode="after")
    def _known(self) -> "MatrixConfig":
        if self.cell not in CELLS:
            raise ValueError(f"device.cell is '{self.cell}'; allowed: {', '.join(CELLS)}")
        return self


class LayersConfig(Section):
    """Layers, their neurons and readouts."""

    hidden: tuple[Positive, ...] = Field(default=(150,), description="neurons of each layer", min_length=1)
    surrogate: str = Field(default="fast-sigmoid", description="pseudo-derivative, see: memspike list surrogates")
    tau: Seconds = field("s", "time constant of membranes", default=32.8e-3, gt=0)
    tau_syn: Seconds = field("s", "time constant of synapses", default=12e-3, gt=0)
    tau_ref: Seconds = field("s", "time constant of refractoriness", default=2.3e-3, gt=0)
    amplitude: Number = field("1", "random readouts are uniform in ±amplitude/√neurons", default=2.0, gt=0)
    gain: Number = field("1", "weights start with s.d. gain/√rows", default=1.0, ge=0)


class LocalLearningConfig(LoopConfig):
    """The rule, its constants and the scheme that writes what it wants."""

    epochs: Positive = Field(default=10, description="times that all images are shown")
    rule: str = Field(default="decolle", description="decolle, or decolle-outer for schemes that multiply in the array")
    scheme: str = Field(default="ideal", description="programming scheme, see: memspike list schemes")
    rate: Number = field("1", "learning rate", default=1.0, gt=0)
    anneal: Number = field("1", "learning rate at the end over that at the start, linear", default=1.0, ge=0, le=1)
    optimizer: str = Field(default="sgd", description="sgd, or adamax (needs digital memory for every weight)")
    update_every: Positive | None = Field(
        default=None, description="steps after which the weights are written; None: once an image"
    )
    regulariser: Number = field("1", "price of high membranes and of silence", default=0.0, ge=0)
    theta: Number | None = Field(default=None, gt=0, description="error of one event: updates are error-triggered")
    window: Number = field("1", "membranes within ± this take part in events", default=0.5, gt=0)
    cutoff: Number = field("1", "rows with a larger trace take part in events", default=0.05, ge=0)

    @model_validator(mode="after")
    def _known(self) -> "LocalLearningConfig":
        for key, value, allowed in (("rule", self.rule, RULES), ("optimizer", self.optimizer, OPTIMIZERS)):
            if value not in allowed:
                raise ValueError(f"learning.{key} is '{value}'; allowed: {', '.join(allowed)}")
        if self.rule == "decolle-outer" and self.optimizer != "sgd":
            raise ValueError("learning.optimizer must be sgd with learning.rule=decolle-outer, which keeps no gradient")
        return self


class LocalConfig(LoopedConfig):
    """One run, whole."""

    data: DataConfig = DataConfig()
    task: SpikesConfig = SpikesConfig()
    device: MatrixConfig = MatrixConfig()
    network: LayersConfig = LayersConfig()
    learning: LocalLearningConfig = LocalLearningConfig()
    programming: ProgrammingConfig = ProgrammingConfig()
