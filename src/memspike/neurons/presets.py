"""Published parameter sets of the MIF neuron: values, not classes."""

from typing import Any

from memspike.devices.volatile import MetastableSwitch
from memspike.neurons.mif import MIF
from memspike.parts.registry import NEURONS


def _mif(scale: float, e1: float, e2: float, **parts: Any) -> MIF:
    """The published pair, all resistances times `scale`, the capacitance divided by it; `parts` replace any."""
    device = MetastableSwitch(r_on=1e3 * scale, r_off=100e3 * scale)
    own = {"m1": device, "m2": device, "e1": e1, "e2": e2, "capacitance": 1e-9 / scale}
    return MIF(**(own | parts))


def mif(**parts: Any) -> MIF:
    """The published MIF neuron: 1 kΩ / 100 kΩ, 1 nF, batteries 0 and 50 mV; 5 µA make an 81 mV spike."""
    return _mif(1.0, 0.0, 50e-3, **parts)


def mif_symmetric(**parts: Any) -> MIF:
    """The same with batteries −25 and +25 mV, as in the first waveform study: all voltages 25 mV lower."""
    return _mif(1.0, -25e-3, 25e-3, **parts)


def mif_megaohm(**parts: Any) -> MIF:
    """Impedance-scaled by 10³: 1 MΩ / 100 MΩ, 1 pF; the same waveforms for nanoamperes."""
    return _mif(1e3, 0.0, 50e-3, **parts)


def mif_gigaohm(**parts: Any) -> MIF:
    """Impedance-scaled by 10⁶: 1 GΩ / 100 GΩ, 1 fF; the same waveforms for picoamperes."""
    return _mif(1e6, 0.0, 50e-3, **parts)


for _name, _preset in (
    ("mif", mif),
    ("mif-symmetric", mif_symmetric),
    ("mif-megaohm", mif_megaohm),
    ("mif-gigaohm", mif_gigaohm),
):
    NEURONS.add(_name, _preset, (_preset.__doc__ or "").split(".")[0], MIF.source)
