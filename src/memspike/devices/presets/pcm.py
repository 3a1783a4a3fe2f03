"""Phase-change memory written by partial-SET pulses, as in the e-prop study."""

from memspike.devices.pcm import PCM
from memspike.devices.presets.preset import preset


@preset("pcm", PCM.source)
def pcm() -> PCM:
    """Partial-SET phase-change memory of the e-prop study: history, drift, read noise, RESET; up to 12 µS."""
    return PCM()


@preset("pcm-wide", PCM.source)
def pcm_wide() -> PCM:
    """The same device with G_max = 20 µS, which replicates the measured cumulative curve of its source."""
    return PCM(g_max=20e-6)
