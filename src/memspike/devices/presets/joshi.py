"""Write–verified phase-change memory of Joshi et al."""

from memspike.devices.pcm_joshi import PCMJoshi
from memspike.devices.presets.preset import preset


@preset("pcm-joshi", PCMJoshi.source)
def pcm_joshi() -> PCMJoshi:
    """Write–verified phase-change memory: programming error, scattered drift, 1/f noise; up to 25 µS."""
    return PCMJoshi()
