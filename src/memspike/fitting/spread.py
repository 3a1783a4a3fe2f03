"""How devices differ: their ranges, and the speeds of their ramps."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from memspike.devices.variation.fabricate import AbstractSpread, Relative
from memspike.fitting.candidates import Law
from memspike.fitting.start import Range

Vector = Float[np.ndarray, " _"]
INSIDE = "device.device.device."  # the law inside the fitted device: read noise, write noise, ramps
TOGETHER = 0.7  # correlation from which two ends vary together


def between_devices(
    speed: Vector, error: Vector, device: Int[np.ndarray, " ramps"], between: Callable[..., tuple[float, float, float]]
) -> tuple[tuple[float, float, float], float]:
    """S.d. of the speed from ramp to ramp with its 95 % interval, and from device to device (0 if not clear)."""
    whole = between(speed, error)
    which, count = np.unique(device, return_counts=True)
    if len(which) < 2 or (count < 2).all():
        return whole, 0.0
    mean = np.array([np.average(speed[device == k], weights=1 / error[device == k]) for k in which])
    inner = speed - mean[np.searchsorted(which, device)]
    free = len(speed) - len(which)
    own = max(float((inner**2).sum() / free), float(error.mean()))
    value, low, _ = between(mean, own / count)
    if not low > 0:
        return whole, 0.0
    factor = np.sqrt((len(speed) - 1) / free)
    within = between(factor * inner, error)
    return within, value


def spread_of(found: Range, law: Law, speeds: dict[str, float]) -> dict[str, AbstractSpread]:
    """The table `spread` of device.toml: relative s.d. of the ends of the range and of the speeds."""
    spread: dict[str, AbstractSpread] = {}
    if len(found.low) > 1:
        deviations = [a / a.mean() - 1 for a in (found.low, found.high) if a.mean() > 0]
        sizes = [float(d.std(ddof=1)) for d in deviations]
        clear = [s > 2 * e.error / e.mean for s, e in zip(sizes, (found.bottom, found.top), strict=False)]
        together = len(sizes) == 2 and len(found.low) > 2 and np.corrcoef(deviations)[0, 1] > TOGETHER
        if together and any(clear):
            spread[f"{INSIDE}g_min {INSIDE}g_max"] = Relative(float(np.mean(sizes)))
        else:
            names = ("g_min", "g_max")
            spread |= {INSIDE + n: Relative(s) for n, s, on in zip(names, sizes, clear, strict=False) if on}
    for side, sd in speeds.items():
        spread[INSIDE + law.speeds[side != "up"]] = Relative(float(sd))
    return spread
