"""Published parameter sets of devices but those of aihwkit and NeuroSim, and the laws with example values."""

from collections.abc import Callable
from typing import TypeVar

from memspike.devices.base import AbstractDevice
from memspike.devices.memristors import VTEAM, LinearIonDrift, StanfordPKU, Yakopcic, exponential_resistance
from memspike.devices.metastable import MetastableSwitch
from memspike.devices.pcm import PCM, Cubic, Logarithmic, PCMJoshi, Switched
from memspike.devices.pulsed import Pulsed
from memspike.devices.step import ExpStep, LinearStep, LogStep, PowerStep, SoftBounds
from memspike.devices.tabular import PiecewiseStep, Tabular
from memspike.devices.volatile import VO2, Diffusive, ThermalNbO2, ThresholdSwitch
from memspike.parts.registry import DEVICES

Make = TypeVar("Make", bound=Callable[..., AbstractDevice])
HERMES = (
    "Le Gallo et al., Nat. Electron. 6: 680 (2023), doi 10.1038/s41928-023-01010-1; constants as in aihwkit's "
    "HermesNoiseModel"
)


def preset(name: str, source: str) -> Callable[[Make], Make]:
    """Register a function that makes a device under `name`; its docstring is shown."""

    def add(make: Make) -> Make:
        return DEVICES.add(name, make, (make.__doc__ or "").rstrip("."), source)

    return add


# laws whose own defaults are a parameter set: of their source, or, for the step laws, an example
for _name, _law in (
    ("soft-bounds", SoftBounds),
    ("linear-step", LinearStep),
    ("exp-step", ExpStep),
    ("power-step", PowerStep),
    ("log-step", LogStep),
    ("piecewise-step", PiecewiseStep),
    ("tabular", Tabular),
):
    DEVICES.add(_name, _law, f"the law {_law.__name__} with example values, not a measured device", _law.source)

for _name, _law, _doc in (
    (
        "yakopcic",
        Yakopcic,
        "Yakopcic's generalised device with the parameters of its first publication: thresholds 0.16 and 0.15 V",
    ),
    (
        "stanford-pku",
        StanfordPKU,
        "Filamentary oxide RRAM, Stanford–PKU version 1: gap of 0.2 to 1.7 nm, set and reset near 1.3 V",
    ),
    ("vteam", VTEAM, "VTEAM with MemTorch's defaults: 50 Ω / 1 kΩ, thresholds −0.2 and +0.02 V"),
    ("linear-ion-drift", LinearIonDrift, "The HP memristor: 100 Ω / 16 kΩ, 10 nm, with Biolek's window"),
    (
        "threshold-switch",
        ThresholdSwitch,
        "A smooth volatile switch: on at 110 mV, off at 20 mV, 10 µs (a reconstruction)",
    ),
    (
        "nbo2",
        ThermalNbO2,
        "A niobium dioxide threshold switch: Poole–Frenkel and Joule heat (parameters not confirmed by a source)",
    ),
    ("diffusive", Diffusive, "A silver diffusive memristor: 17 kΩ / 10 GΩ, forgets within 20 ms and, in part, 2.4 s"),
    ("vo2", VO2, "A vanadium dioxide thermal neuristor at 325 K: hysteresis of 7.2 K around 332.8 K"),
):
    DEVICES.add(_name, _law, _doc, _law.source)
DEVICES.add("pulsed-vteam", Pulsed, "VTEAM programmed by 10 ns pulses of −0.22 V (up) and +0.3 V (down)", VTEAM.source)


@preset("mif-pair", MetastableSwitch.source)
def mif_pair() -> MetastableSwitch:
    """The volatile memristor of the published MIF neuron: 1 kΩ / 100 kΩ, on at 110 mV, off below 5 mV, 1 ms."""
    return MetastableSwitch()


@preset("knowm", MetastableSwitch.source)
def knowm() -> MetastableSwitch:
    """Knowm's default mean metastable switch: 500 Ω / 1.5 kΩ, ±270 mV, 0.1 ms, thermal voltage at 298.5 K."""
    return MetastableSwitch(r_on=500.0, r_off=1500.0, v_on=0.27, v_off=-0.27, v_scale=25.7227e-3, tau=1e-4)


@preset("mif-synapse", VTEAM.source)
def mif_synapse() -> VTEAM:
    """A memory between two MIF neurons: thresholds just above the 102 mV of one spike of theirs (a reconstruction)."""
    return VTEAM(
        r_on=20e3,
        r_off=200e3,
        k_on=-6e-4,
        k_off=2e-4,
        alpha_on=1.0,
        alpha_off=1.0,
        v_on=-106e-3,
        v_off=106e-3,
        smoothing=1e-3,
        resistance=exponential_resistance,
        substeps=1,
    )


@preset("pulsed-mif-synapse", VTEAM.source)
def pulsed_mif_synapse() -> Pulsed:
    """The memory between MIF neurons, also programmed by 0.2 µs pulses of 0.2 V (a reconstruction)."""
    return Pulsed(mif_synapse(), v_up=-0.2, v_down=0.2, width=0.2e-6)  # pyright: ignore[reportCallIssue]


@preset("pcm", PCM.source)
def pcm() -> PCM:
    """Partial-SET phase-change memory of the e-prop study: history, drift, read noise, RESET; up to 12 µS."""
    return PCM()


@preset("pcm-wide", PCM.source)
def pcm_wide() -> PCM:
    """The same device with G_max = 20 µS, which replicates the measured cumulative curve of its source."""
    return PCM(g_max=20e-6)


@preset("pcm-joshi", PCMJoshi.source)
def pcm_joshi() -> PCMJoshi:
    """Write–verified phase-change memory: programming error, scattered drift, 1/f noise; up to 25 µS."""
    return PCMJoshi()


@preset("hermes", HERMES)
def hermes() -> PCMJoshi:
    """The phase-change memory of the HERMES chip, one device a weight side; up to 10.35 µS."""
    return PCMJoshi(
        g_max=10.35e-6,
        t_c=200.0,
        t_read=512e-9,
        error=Cubic(0.1578, 2.3244, -2.1631, 0.6884),
        nu_mean=Switched(Logarithmic(-0.0387, -0.0182, 0.072, 0.13), Cubic(0.0736, -0.0126, -0.0436), 0.0945),
        nu_sd=Switched(Logarithmic(-0.0120, -0.0023, 0.0124, 0.04), Cubic(0.0104, 0.0116, -0.0165), 0.3039),
        noise=Switched(Logarithmic(-0.0078, 0.0038, 0.0179, 0.04), Cubic(0.0088, 0.0768, -0.1352, 0.0664), 0.1591),
    )


@preset("hermes-two-devices", HERMES)
def hermes_two_devices() -> PCMJoshi:
    """The same with two devices a weight side in parallel; up to 20.7 µS, less drift variability."""
    return PCMJoshi(
        g_max=20.7e-6,
        t_c=300.0,
        t_read=512e-9,
        error=Cubic(0.1660, 4.7181, -8.4810, 4.6896),
        nu_mean=Switched(Logarithmic(-0.0387, -0.0182, 0.072, 0.13), Cubic(0.0736, -0.0126, -0.0436), 0.0945),
        nu_sd=Switched(Logarithmic(-0.0117, -0.0057, 0.0091, 0.04), Cubic(0.0073, 0.0093, -0.0118), 0.3055),
        noise=Switched(Logarithmic(-0.0117, -0.0069, 0.015, 0.04), Cubic(0.0123, 0.0211, -0.0280, 0.0069), 0.16),
    )
