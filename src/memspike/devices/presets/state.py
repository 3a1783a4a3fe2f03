"""Published parameter sets of the state devices, and the sinusoidal loop that shows each best."""

from typing import NamedTuple

from memspike.devices.diffusive import Diffusive
from memspike.devices.linear_ion_drift import LinearIonDrift
from memspike.devices.pulsed import Pulsed
from memspike.devices.stanford_pku import StanfordPKU
from memspike.devices.thermal_nbo2 import ThermalNbO2
from memspike.devices.threshold_switch import ThresholdSwitch
from memspike.devices.vo2 import VO2
from memspike.devices.vteam import VTEAM, exponential_resistance
from memspike.devices.yakopcic import Yakopcic
from memspike.parts.registry import DEVICES


def vteam() -> VTEAM:
    """VTEAM with MemTorch's defaults: 50 Ω / 1 kΩ, thresholds −0.2 and +0.02 V."""
    return VTEAM()


def yakopcic() -> Yakopcic:
    """Yakopcic's generalised device with the parameters of its first publication: thresholds 0.16 and 0.15 V."""
    return Yakopcic()


def stanford_pku() -> StanfordPKU:
    """Filamentary oxide RRAM, Stanford–PKU version 1: gap of 0.2 to 1.7 nm, set and reset near 1.3 V."""
    return StanfordPKU()


def linear_ion_drift() -> LinearIonDrift:
    """The HP memristor: 100 Ω / 16 kΩ, 10 nm, with Biolek's window."""
    return LinearIonDrift()


def threshold_switch() -> ThresholdSwitch:
    """A smooth volatile switch: on at 110 mV, off at 20 mV, 10 µs (a reconstruction)."""
    return ThresholdSwitch()


def nbo2() -> ThermalNbO2:
    """A niobium dioxide threshold switch: Poole–Frenkel and Joule heat (parameters not confirmed by a source)."""
    return ThermalNbO2()


def diffusive() -> Diffusive:
    """A silver diffusive memristor: 17 kΩ / 10 GΩ, forgets within 20 ms and, in part, 2.4 s."""
    return Diffusive()


def vo2() -> VO2:
    """A vanadium dioxide thermal neuristor at 325 K: hysteresis of 7.2 K around 332.8 K."""
    return VO2()


def pulsed_vteam() -> Pulsed:
    """VTEAM programmed by 10 ns pulses of −0.22 V (up) and +0.3 V (down)."""
    return Pulsed()  # pyright: ignore[reportCallIssue]


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


def pulsed_mif_synapse() -> Pulsed:
    """The memory between MIF neurons, also programmed by 0.2 µs pulses of 0.2 V (a reconstruction)."""
    return Pulsed(mif_synapse(), v_up=-0.2, v_down=0.2, width=0.2e-6)  # pyright: ignore[reportCallIssue]


class SweepSetting(NamedTuple):
    """Amplitude in V, middle frequency in Hz (a tenth and ten times it are shown too), series load in Ω."""

    amplitude: float
    frequency: float
    load: float


SWEEPS = {
    "mif-pair": SweepSetting(0.2, 100.0, 0.0),
    "knowm": SweepSetting(0.5, 1e3, 0.0),
    "vteam": SweepSetting(0.25, 1e6, 0.0),
    "mif-synapse": SweepSetting(0.11, 1e3, 0.0),
    "yakopcic": SweepSetting(0.45, 100.0, 0.0),
    "stanford-pku": SweepSetting(2.0, 1e5, 1e3),
    "linear-ion-drift": SweepSetting(1.2, 0.5, 0.0),
    "threshold-switch": SweepSetting(0.2, 1e3, 0.0),
    "nbo2": SweepSetting(2.0, 1e7, 3e3),
    "diffusive": SweepSetting(1.5, 1.0, 0.0),
    "vo2": SweepSetting(14.0, 2e5, 5e3),
}

for _name, _preset, _source in (
    ("vteam", vteam, VTEAM.source),
    ("mif-synapse", mif_synapse, VTEAM.source),
    ("yakopcic", yakopcic, Yakopcic.source),
    ("stanford-pku", stanford_pku, StanfordPKU.source),
    ("linear-ion-drift", linear_ion_drift, LinearIonDrift.source),
    ("threshold-switch", threshold_switch, ThresholdSwitch.source),
    ("nbo2", nbo2, ThermalNbO2.source),
    ("diffusive", diffusive, Diffusive.source),
    ("vo2", vo2, VO2.source),
    ("pulsed-vteam", pulsed_vteam, VTEAM.source),
    ("pulsed-mif-synapse", pulsed_mif_synapse, VTEAM.source),
):
    DEVICES.add(_name, _preset, (_preset.__doc__ or "").rstrip("."), _source)
