"""What the file of an experiment with online learning in a recurrent spiking network may say."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from memspike.experiments.config import (
    DataConfig,
    Joules,
    Number,
    Positive,
    ProgrammingConfig,
    RunConfig,
    Seconds,
    Section,
    Siemens,
    Volts,
    field,
    quantity,
)

Hertz = Annotated[float, quantity("Hz")]


class PatternConfig(Section):
    """Pattern generation: frozen input spikes, a sum of sines to follow."""

    patterns: Positive = Field(default=3, description="patterns, all learned by one network")
    steps: Positive = Field(default=1000, description="time steps of a pattern")
    inputs: Positive = Field(default=100, description="inputs")
    input_rate: Hertz = field("Hz", "rate of every input", default=50.0, ge=0)
    renewed: Positive | None = Field(default=None, description="epochs after which a chip has to learn new patterns")


class FramesConfig(Section):
    """Classification of frames that are heard one after the other, as spike trains."""

    frame_time: Seconds = field("s", "how long a frame lasts in the network", default=5e-3, gt=0)
    max_rate: Hertz = field("Hz", "spikes a second of a full-scale value; at most one a step", default=1e3, gt=0)
    window: Number = field("1", "share of the steps, at the end, that count", default=0.5, gt=0, le=1)
    smoothing: Number = field("1", "share of the target spread over all classes", default=0.0, ge=0, lt=1)


class WearConfig(Section):
    """What wear is counted against."""

    endurance: Number = field("1", "pulses that a device survives, for the share used", default=1e8, gt=0)


class DeviceConfig(WearConfig):
    """The devices behind the weights."""

    device: str = Field(default="pcm", description="pulse device: a name of memspike list devices, or a file")
    devices_per_side: Positive = Field(default=1, description="devices on either side of a weight, written in turn")
    siemens: Siemens = field("S", "conductance difference of a weight of 1 with one device a side", default=11.82503e-6)
    shrink: Number = field("1", "siemens are multiplied by this: smaller weight of one pulse", default=1.0, gt=0)
    write_noise: bool = Field(default=True, description="noise of every pulse")
    drift: bool = Field(default=True, description="drift of conductances")
    read_noise: bool = Field(default=True, description="noise of every read")
    bits: Annotated[int, Field(ge=1, le=16)] | None = Field(
        default=None, description="ideal device in place of `device`: 2^bits equal steps, no drift, no noise"
    )
    state_drift: bool = Field(default=False, description="drift exponent by state and with spread (device pcm)")
    persistent: Number = field("1", "share of the write noise that belongs to the device", default=0.0, ge=0, le=1)
    flicker: Number = field("1", "1/f noise with a memory: 1 is that of Joshi et al., 0 none", default=0.0, ge=0, le=10)
    life: Number | None = Field(default=None, gt=0, description="pulses after which a device stops to answer")
    start: str = Field(default="read-noise", description="read-noise, random-set or programmed: weights at the start")
    start_share: Number = field("1", "share of synapses with a SET, for start=random-set", default=0.05, ge=0, le=1)
    start_siemens: Siemens = field("S", "all conductances at the start, for start=read-noise", default=0.236876e-6)
    set_energy: Joules = field("J", "energy of a SET pulse (assumption)", default=10e-12, ge=0)
    reset_energy: Joules = field("J", "energy of a RESET (assumption)", default=30e-12, ge=0)

    @model_validator(mode="after")
    def _known(self) -> "DeviceConfig":
        if self.start not in ("read-noise", "random-set", "programmed"):
            raise ValueError(f"device.start is '{self.start}'; allowed: read-noise, random-set, programmed")
        return self


class NeuronConfig(Section):
    """The neurons and the readout."""

    kind: str = Field(default="lif", description="lif or alif")
    count: Positive = Field(default=100, description="neurons")
    theta: Number = field("1", "threshold in units of weight", default=0.1, gt=0)
    tau: Seconds = field("s", "membrane time constant", default=30e-3, gt=0)
    tau_out: Seconds = field("s", "time constant of the readout", default=30e-3, gt=0)
    tau_a: Seconds = field("s", "time constant of adaptation (alif)", default=2.0, gt=0)
    beta: Number = field("1", "rise of the threshold by a spike (alif)", default=0.07, ge=0)
    adaptive: Number = field("1", "share of the neurons that adapt (alif)", default=1.0, ge=0, le=1)
    refractory: Annotated[int, Field(ge=0)] = Field(default=0, description="steps without spikes after a spike")
    reset: str = Field(default="soft", description="soft: minus theta; zero: to 0")
    surrogate: str = Field(default="triangular", description="pseudo-derivative, see: memspike list surrogates")
    read_voltage: Volts = field("V", "row voltage of a spike", default=0.2, gt=0, le=10)

    @model_validator(mode="after")
    def _known(self) -> "NeuronConfig":
        for key, value, allowed in (("kind", self.kind, ("lif", "alif")), ("reset", self.reset, ("soft", "zero"))):
            if value not in allowed:
                raise ValueError(f"neuron.{key} is '{value}'; allowed: {', '.join(allowed)}")
        return self


class LoopConfig(Section):
    """How often trials are shown."""

    epochs: Positive = Field(default=250, description="times that all trials are shown")
    batch: Positive = Field(default=1, description="trials of one update")


class LearningConfig(LoopConfig):
    """The rule, its constants and the scheme that writes what it wants."""

    rule: str = Field(default="eprop", description="eprop or eprop-online")
    scheme: str = Field(default="mixed-precision", description="programming scheme, see: memspike list schemes")
    rates: tuple[Number, Number, Number] = Field(
        default=(2e-5, 5e-5, 2e-5), description="learning rates of input, recurrent and output weights"
    )
    rate_factor: Number = field("1", "all learning rates are multiplied by this", default=1.0, gt=0)
    anneal: Number = field("1", "learning rates at the end over those at the start", default=1.0, ge=0, le=1)
    adam: bool = Field(default=False, description="rates are steps of Adam instead of factors of the gradient")
    feedback: str = Field(default="random", description="symmetric, random or adaptive")
    feedback_gain: Number = field("1", "random feedback has s.d. gain·√(2/neurons)", default=0.1, ge=0)
    weight_gain: Number = field("1", "digital or programmed weights start with s.d. gain·√(2/rows)", default=0.1, ge=0)
    rate_weight: Number = field("1", "price of firing rates away from the target", default=1e-4, ge=0)
    target_rate: Hertz = field("Hz", "firing rate that is aimed at", default=12.0, ge=0)
    clip: Number = field("1", "largest element of a gradient", default=100.0, gt=0)
    released: bool = Field(
        default=False, description="order of operations of the released code: early input traces, RESET loops"
    )

    @model_validator(mode="after")
    def _known(self) -> "LearningConfig":
        for key, value, allowed in (
            ("rule", self.rule, ("eprop", "eprop-online")),
            ("feedback", self.feedback, ("symmetric", "random", "adaptive")),
        ):
            if value not in allowed:
                raise ValueError(f"learning.{key} is '{value}'; allowed: {', '.join(allowed)}")
        return self


class TimeConfig(Section):
    """Time inside a trial and between trials."""

    dt: Seconds = field("s", "time step", default=1e-3, gt=0)
    pause: Seconds = field("s", "from the start of a trial to the start of the next", default=38.6, ge=0)
    parts: Positive = Field(default=6, description="moments of a trial at which drifting conductances are read anew")


class StudyConfig(Section):
    """What a table runs through; other experiments ignore it."""

    schemes: tuple[str, ...] = Field(default=(), description="lines of the table; all by default")
    conditions: tuple[str, ...] = Field(default=(), description="conditions of the table; all by default")


class LoopedConfig(RunConfig):
    """What every run that learns trial after trial has: `device.endurance`, `learning.epochs`, `learning.batch`."""

    device: Any
    learning: Any


class OnlineConfig(LoopedConfig):
    """One run, whole."""

    task: PatternConfig = PatternConfig()
    device: DeviceConfig = DeviceConfig()
    neuron: NeuronConfig = NeuronConfig()
    learning: LearningConfig = LearningConfig()
    programming: ProgrammingConfig = ProgrammingConfig()
    time: TimeConfig = TimeConfig()
    study: StudyConfig = StudyConfig()


class FramesOnlineConfig(OnlineConfig):
    """One run on frames of a data set, whole."""

    data: DataConfig = DataConfig(name="spoken-digits")
    task: FramesConfig = FramesConfig()  # pyright: ignore[reportIncompatibleVariableOverride]
