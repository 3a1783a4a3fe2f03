"""What the file of an experiment with spike-timing-dependent plasticity may say."""

from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from memspike.experiments.config import (
    Amperes,
    Joules,
    Number,
    Positive,
    ProgrammingConfig,
    Seconds,
    Section,
    Volts,
    field,
)
from memspike.experiments.online_config import LoopedConfig, WearConfig

Share = Annotated[Number, Field(ge=0, le=0.5)]


class ShapesConfig(Section):
    """Noisy images of four shapes, one spike a pixel."""

    side: Annotated[int, Field(ge=6, le=64)] = Field(default=8, description="pixels of a side")
    presentations: Positive = Field(default=40, description="presentations of an epoch, shapes in turn")
    flips: Share = field("1", "probability of a pixel to be inverted", default=0.1)
    early: Seconds = field("s", "latency of a bright pixel", default=5e-3, ge=0)
    late: Seconds = field("s", "latency of a dark pixel", default=30e-3, ge=0)
    jitter: Seconds = field("s", "s.d. of every latency", default=1e-3, ge=0)


class SynapseConfig(WearConfig):
    """The devices behind the weights: one a synapse, against a fixed reference at its lowest conductance."""

    device: str = Field(default="epiram", description="pulse device: a name of memspike list devices, or a file")
    spread: bool = Field(default=True, description="published spread from device to device, where there is one")
    start: Number = field("1", "weights at the start, mean", default=0.5, ge=0, le=1)
    start_spread: Number = field("1", "weights at the start, s.d.", default=0.02, ge=0, le=1)
    pulse_energy: Joules = field("J", "energy of a programming pulse (assumption)", default=10e-12, ge=0)


class WinnerConfig(Section):
    """The neurons, of which one fires in a presentation."""

    count: Positive = Field(default=8, description="neurons")
    theta: Number = field("1", "threshold in units of weight", default=9.0, gt=0)
    tau: Seconds = field("s", "membrane time constant", default=20e-3, gt=0)
    tau_a: Seconds = field("s", "time constant of adaptation; it passes during presentations only", default=2.0, gt=0)
    beta: Number = field("1", "rise of the threshold by a spike", default=0.3, ge=0)
    noise: Number = field("1", "s.d. of a membrane's noise in a step, in units of weight", default=0.2, ge=0)
    read_voltage: Volts = field("V", "row voltage of a spike", default=0.2, gt=0, le=10)


class PlasticityConfig(Section):
    """The rule, its constants and the scheme that writes what it wants."""

    batch: ClassVar[int] = 1
    rule: str = Field(default="stdp", description="stdp or stdp-waveform")
    scheme: str = Field(default="stochastic", description="programming scheme, see: memspike list schemes")
    epochs: Positive = Field(default=15, description="times that all presentations are shown")
    plus: Number = field("1", "A₂⁺: potentiation by a pair (stdp)", default=0.06, ge=0)
    minus: Number = field("1", "A₂⁻: depression by a pair (stdp)", default=0.12, ge=0)
    triplet_plus: Number = field("1", "A₃⁺: more of it by an earlier post spike (stdp)", default=0.0, ge=0)
    triplet_minus: Number = field("1", "A₃⁻: more depression by an earlier pre spike (stdp)", default=0.0, ge=0)
    tau_plus: Seconds = field("s", "τ₊ (stdp)", default=20e-3, gt=0)
    tau_minus: Seconds = field("s", "τ₋ (stdp)", default=20e-3, gt=0)
    tau_x: Seconds = field("s", "τ_x (stdp)", default=100e-3, gt=0)
    tau_y: Seconds = field("s", "τ_y (stdp)", default=100e-3, gt=0)
    nearest: bool = Field(default=False, description="only the last spike of a train counts (stdp)")
    mu: Number = field("1", "0: additive; otherwise multiplicative with this power (stdp)", default=1.0, ge=0, le=10)
    gain: Number = field("1", "voltage across a synapse over v_pre − v_post (stdp-waveform)", default=1.0)
    peak: Amperes = field("A", "current of a spike in the neurons that drive the lines (stdp-waveform)", default=5e-6)

    @model_validator(mode="after")
    def _known(self) -> "PlasticityConfig":
        if self.rule not in ("stdp", "stdp-waveform"):
            raise ValueError(f"learning.rule is '{self.rule}'; allowed: stdp, stdp-waveform")
        return self


class EpisodeConfig(Section):
    """Time inside a presentation and between two."""

    dt: Seconds = field("s", "time step", default=1e-3, gt=0)
    steps: Positive = Field(default=60, description="steps of a presentation")
    delay: Seconds = field("s", "from a spike of a neuron to its arrival at the synapses", default=5e-3, ge=0)
    pause: Seconds = field("s", "from a presentation to the next, in which devices may drift", default=1.0, ge=0)


class TestConfig(Section):
    """What is measured after training."""

    presentations: Positive = Field(default=200, description="held-out presentations, shapes in turn")
    flips: tuple[Share, ...] = Field(default=(0.0, 0.1, 0.2, 0.3), description="noise of the rows of the table")


class StdpConfig(LoopedConfig):
    """One run, whole."""

    task: ShapesConfig = ShapesConfig()
    device: SynapseConfig = SynapseConfig()
    neuron: WinnerConfig = WinnerConfig()
    learning: PlasticityConfig = PlasticityConfig()
    programming: ProgrammingConfig = ProgrammingConfig()
    time: EpisodeConfig = EpisodeConfig()
    evaluation: TestConfig = TestConfig()
