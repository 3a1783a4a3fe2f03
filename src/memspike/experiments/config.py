"""What an experiment file may say: every key with its type, unit, bounds and meaning."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from memspike.parts import units


def quantity(unit: str) -> BeforeValidator:
    """Texts such as 50us become numbers in `unit`."""
    return BeforeValidator(lambda value: units.parse(value, unit) if isinstance(value, str) else value)


def field(unit: str, doc: str, **bounds: Any) -> Any:
    """A number with a unit, a meaning, a default and bounds."""
    return Field(description=doc, json_schema_extra={"unit": unit}, allow_inf_nan=False, **bounds)


Seconds = Annotated[float, quantity("s")]
Volts = Annotated[float, quantity("V")]
Siemens = Annotated[float, quantity("S")]
Amperes = Annotated[float, quantity("A")]
Joules = Annotated[float, quantity("J")]
Ohms = Annotated[float, quantity("Ω")]
Number = Annotated[float, quantity("1")]
Positive = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A table of the experiment file: unknown keys are refused, defaults are checked too."""

    model_config = ConfigDict(extra="forbid", validate_default=True, frozen=True)


class DataConfig(Section):
    """Which images, how many."""

    name: str = Field(default="digits", description="data set, see: memspike list datasets")
    train: Positive | None = Field(default=None, description="use only the first so many training images")
    test: Positive | None = Field(default=None, description="use only the first so many test images")

    hold_out: Positive | None = Field(
        default=None, description="measure on so many last training images instead of the test set; to choose settings"
    )
    leave_out: str | None = Field(
        default=None, description="a speaker who is the whole test part, of a data set with speakers (spoken-digits)"
    )


class InputConfig(Section):
    """How pixels become row voltages."""

    encoder: str = Field(
        default="image",
        description="image: all rows at each of the times; frames: image row by image row in turn, each on rows of its "
        "own; channels: the same, all on the same rows",
    )
    interval: Seconds = field("s", "from frame to frame, of the encoders frames and channels", default=50e-6, gt=0)
    read_voltage: Volts = field("V", "row voltage of a white pixel and of the bias row", default=0.1, gt=0, le=10)
    offset: Number = field("1", "pixel value that gives no voltage", default=0.0, ge=-1, le=1)
    times: tuple[Seconds, ...] = Field(
        default=(0.0,), description="instants of the row pulses, ascending", min_length=1
    )
    width: Seconds = field("s", "length of a row pulse", default=10e-6, gt=0)

    @model_validator(mode="after")
    def _ascending(self) -> "InputConfig":
        gaps = [b - a for a, b in zip(self.times, self.times[1:], strict=False)]
        if self.times[0] < 0 or any(gap < self.width for gap in gaps):
            raise ValueError(f"input.times {list(self.times)} must start at 0 or later and be at least width apart")
        if self.encoder in ("frames", "channels") and (len(self.times) > 1 or self.interval < self.width):
            raise ValueError(
                f"input.times {list(self.times)} must be the start of the first frame alone with "
                f"input.encoder={self.encoder}, and input.interval {self.interval:g} s at least width"
            )
        return self


class NetworkConfig(Section):
    """Sizes and parts of the network."""

    hidden: tuple[Positive, ...] = Field(default=(64,), description="neurons of each hidden layer")
    neuron: str = Field(default="mif", description="neuron preset, see: memspike list neurons")
    m1: str | None = Field(default=None, description="another device as M1: a name of memspike list devices, or a file")
    m2: str | None = Field(default=None, description="another device as M2, likewise")
    integrator: str = Field(default="staggered-exponential", description="see: memspike list integrators")
    input_filter: str = Field(
        default="alpha", description="synaptic filter of the first layer, see: memspike list filters"
    )
    input_tau: Seconds = field("s", "time constant of the first layer's filter", default=0.3e-3, gt=0)
    filter: str = Field(default="exponential", description="synaptic filter of the other layers")
    tau: Seconds = field("s", "time constant of the other layers' filters", default=0.1e-3, gt=0)


class SynapseConfig(Section):
    """The devices of the crossbars."""

    model: str = Field(default="static", description="static or dynamical, see: memspike list synapses")
    device: str | None = Field(
        default=None, description="pulse device whose range replaces g_min and g_max: a name, or a file of memspike fit"
    )
    g_min: Siemens = field("S", "lowest conductance", default=10e-6, gt=0)
    g_max: Siemens = field("S", "highest conductance", default=100e-6, gt=0)
    tau: Seconds = field("s", "time constant of dynamical synapses", default=10e-3, gt=0)
    devices_per_side: Positive = Field(default=1, description="devices on either side of a weight, written in turn")
    pulse_energy: Joules = field("J", "energy of a programming pulse (assumption)", default=10e-12, ge=0)

    @model_validator(mode="after")
    def _range(self) -> "SynapseConfig":
        if self.g_min >= self.g_max:
            raise ValueError(
                f"synapse.g_min {self.g_min:g} S and synapse.g_max {self.g_max:g} S are reversed or equal; "
                "g_min must be below g_max"
            )
        return self


class ArrayConfig(Section):
    """The wires that the devices share."""

    r_row: Ohms = field("Ω", "resistance of a row wire from device to device; 0 for ideal wires", default=0.0, ge=0)
    r_column: Ohms = field("Ω", "resistance of a column wire from device to device", default=0.0, ge=0)
    r_driver: Ohms | None = Field(
        default=None, ge=0, description="resistance between a driver and the first device; r_row by default"
    )
    r_sense: Ohms | None = Field(
        default=None, ge=0, description="resistance between the last device and the sense node; r_column by default"
    )
    two_sided: bool = Field(default=False, description="rows are driven from both ends")
    tile: tuple[Positive, Positive] | None = Field(
        default=None, description="rows and columns of devices on one array; None: each layer on one array"
    )
    analog_sums: bool = Field(default=False, description="partial sums of tiles are added as currents, then converted")
    dac_bits: Annotated[int, Field(ge=1, le=24)] | None = Field(default=None, description="bits of the row drivers")
    dac_range: Volts = field("V", "full scale of the row drivers", default=1.0, gt=0)
    adc_bits: Annotated[int, Field(ge=1, le=24)] | None = Field(default=None, description="bits of the converters")
    adc_range: Amperes | None = Field(default=None, gt=0, description="full scale of the converters in A")
    subtract_first: bool = Field(
        default=True, description="lines of a cell are subtracted as currents; false: converted one by one"
    )
    train: bool = Field(
        default=True, description="wires and converters also in the training loop, not only in the evaluation"
    )

    @model_validator(mode="after")
    def _converters(self) -> "ArrayConfig":
        if self.adc_bits is not None and self.adc_range is None:
            raise ValueError("array.adc_bits needs array.adc_range, the full scale of the converters in A, e.g. 20uA")
        return self

    @property
    def ideal(self) -> bool:
        """Whether no wire has resistance."""
        return not any((self.r_row, self.r_column, self.r_driver, self.r_sense))


class SimulationConfig(Section):
    """Time."""

    dt: Seconds = field("s", "time step", default=50e-6, gt=0)
    duration: Seconds = field("s", "simulated time of one image", default=0.8e-3, gt=0)
    checkpoint: bool = Field(default=True, description="recompute the inside of a step in the backward pass")

    @property
    def steps(self) -> int:
        """Number of time steps."""
        return max(1, round(self.duration / self.dt))


class ProgrammingConfig(Section):
    """Options of the programming scheme; each scheme takes some of them; changes are in units of weight."""

    quantum: Number | None = Field(default=None, gt=0, description="what leaves the accumulator at once")
    pulses: Positive | None = Field(default=None, description="pulses of a quantum")
    step: Number | None = Field(default=None, gt=0, description="what one pulse is taken to be worth")
    scale: Number | None = Field(default=None, gt=0, description="change that gives a pulse with certainty")
    dead_zone: Number | None = Field(default=None, ge=0, description="smaller changes give no pulse")
    most: Positive | None = Field(default=None, description="pulses of a weight in one update at most")
    full: Number | None = Field(default=None, gt=0, le=1, description="share of the range that counts as full")
    every: Positive | None = Field(default=None, description="updates between refreshes or coarse reads")
    levels: Annotated[int, Field(ge=2)] | None = Field(
        default=None, description="levels that a coarse read tells apart"
    )
    length: Positive | None = Field(default=None, description="longest stream of bits")
    tolerance: Number | None = Field(default=None, gt=0, le=1, description="accepted error over the range")
    settle: Seconds | None = Field(default=None, ge=0, description="seconds from a pulse to its verify read")
    fast: Number | None = Field(default=None, gt=0, description="of Δw that is pulsed onto a fast tile")
    period: Number | None = Field(default=None, gt=0, description="updates in which a fast tile is passed on once")
    chop: Number | None = Field(default=None, gt=0, le=1, description="share of reads of a row that turn its chopper")
    slower: Positive | None = Field(default=None, description="intervals of a tile over those of the next one")
    noise: Number | None = Field(default=None, ge=0, description="s.d. of a reading of a fast tile")
    memory: Number | None = Field(default=None, ge=0, lt=1, description="of the average of max |Δw|; 0: no scaling")
    reads: Number | None = Field(default=None, gt=0, description="rows of a fast tile that are read in an update")


class TrainingConfig(Section):
    """Learning rule, loss, optimiser and regularisation."""

    rule: str = Field(default="bptt", description="learning rule, see: memspike list rules")
    scheme: str = Field(default="ideal", description="programming scheme, see: memspike list schemes")
    loss: str = Field(default="windowed", description="readout and loss, see: memspike list losses")
    temperature: Volts = field("V", "voltage that counts as one unit of score", default=5e-3, gt=0)
    softness: Volts = field("V", "softness of the smooth maximum", default=5e-3, gt=0)
    window: tuple[Number, Number] = Field(default=(0.3, 1.0), description="window as shares of the simulated time")
    label_smoothing: Number = field("1", "share of the target spread over all classes", default=0.0, ge=0, lt=1)
    epochs: Positive = Field(default=20, description="passes over the training images")
    batch: Positive = Field(default=128, description="images per step")
    learning_rate: Number = field("1", "peak step of Adam in weight units", default=5e-3, gt=0, le=10)
    weight_decay: Number = field("1", "decoupled weight decay (AdamW)", default=0.0, ge=0)
    warmup: Number = field("1", "share of the steps with rising learning rate", default=0.02, ge=0, lt=1)
    clip: Number = field("1", "largest gradient norm", default=1.0, gt=0)
    init_gain: Number = field("1", "s.d. of initial weights times the root of the rows", default=0.5, gt=0)
    swing: Volts = field("V", "membrane excursion from rest that costs nothing", default=0.25, gt=0)
    swing_weight: Number = field("1", "price of larger excursions in the loss", default=1.0, ge=0)
    weight_noise: Number = field("1", "relative noise of every weight in each step", default=0.0, ge=0, le=1)
    shift: Number = field("1", "s.d. of the random shift of an image in pixels", default=0.0, ge=0, le=2)
    mirror: bool = Field(default=False, description="mirror half of the images")
    drop: Number = field("1", "share of input pixels set to zero", default=0.0, ge=0, lt=1)
    checkpoint_every: Positive = Field(default=1000, description="training steps between checkpoints")

    @model_validator(mode="after")
    def _window(self) -> "TrainingConfig":
        if not 0 <= self.window[0] < self.window[1] <= 1:
            raise ValueError(f"training.window {list(self.window)} must be two ascending shares between 0 and 1")
        return self


Age = Annotated[Seconds, Field(ge=0, allow_inf_nan=False)]


class EvaluationConfig(Section):
    """What is measured after training."""

    age: tuple[Age, ...] = Field(
        default=(), description="seconds since programming at which chips made of synapse.device are read again"
    )
    programmer: str = Field(default="statistical", description="how they are programmed: memspike list programmers")
    tolerance: Number = field("1", "accepted error of write-verify over the range", default=0.01, gt=0, le=1)
    compensation: str = Field(default="none", description="against drift, see: memspike list compensations")
    reference_age: Seconds = field("s", "age of the first read, which write-verify aims at", default=30.0, ge=0)

    programming_spread: Number = field("1", "relative programming error of a device", default=0.05, ge=0, le=1)
    read_noise: Number = field("1", "relative noise of a device at each read", default=0.01, ge=0, le=1)
    chips: Positive = Field(default=20, description="chips with their own programming errors")
    fine_dt: Seconds = field("s", "time step of the accuracy check at a fine step", default=10e-6, gt=0)


class StudyConfig(Section):
    """What a study runs through; other experiments ignore it."""

    resistances: tuple[Ohms, ...] = Field(
        default=(0.1, 1.0, 3.0, 10.0), min_length=1, description="wire resistances in Ω per segment"
    )
    tiles: tuple[Positive, ...] = Field(
        default=(128, 256), min_length=1, description="rows and columns of devices on one array"
    )


class RunConfig(Section):
    """What every run has: the name of its experiment, and its seeds."""

    experiment: str = Field(description="registered name of the experiment")
    seeds: Positive = Field(default=1, description="independent trainings run together")
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = Field(default=0, description="first seed")


class ExperimentConfig(RunConfig):
    """One run, whole."""

    data: DataConfig = DataConfig()
    input: InputConfig = InputConfig()
    network: NetworkConfig = NetworkConfig()
    synapse: SynapseConfig = SynapseConfig()
    array: ArrayConfig = ArrayConfig()
    simulation: SimulationConfig = SimulationConfig()
    training: TrainingConfig = TrainingConfig()
    programming: ProgrammingConfig = ProgrammingConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    study: StudyConfig = StudyConfig()
