"""The phase-change memory of the HERMES chip, with one and with two devices a weight side."""

from memspike.devices.pcm_joshi import Cubic, Logarithmic, PCMJoshi, Switched
from memspike.devices.presets.preset import preset

SOURCE = (
    "Le Gallo et al., Nat. Electron. 6: 680 (2023), doi 10.1038/s41928-023-01010-1; constants as in aihwkit's "
    "HermesNoiseModel"
)


@preset("hermes", SOURCE)
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


@preset("hermes-two-devices", SOURCE)
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
