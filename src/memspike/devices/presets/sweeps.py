"""The sinusoidal loop that shows each state device best."""

from typing import NamedTuple


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
