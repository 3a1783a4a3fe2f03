"""VTEAM: with the numbers of MemTorch, and as a memory between MIF neurons; each also programmed by pulses."""

from memspike.devices.presets.preset import preset
from memspike.devices.pulsed import Pulsed
from memspike.devices.vteam import VTEAM, exponential_resistance

preset("vteam", VTEAM.source, "VTEAM with MemTorch's defaults: 50 Ω / 1 kΩ, thresholds −0.2 and +0.02 V")(VTEAM)
preset("pulsed-vteam", VTEAM.source, "VTEAM programmed by 10 ns pulses of −0.22 V (up) and +0.3 V (down)")(Pulsed)


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
