"""Whether a fitted model may be believed, and the trajectories that it simulates."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from numpy.lib.stride_tricks import sliding_window_view

from memspike.devices.base import AbstractPulseDevice
from memspike.devices.variation.fabricate import AbstractSpread, fabricate
from memspike.fitting.candidate import Candidate, Data
from memspike.fitting.series import NAMES, SIDES, Series

Vector = Float[np.ndarray, " _"]
SWITCH = 0.5  # share of a ramp's swing done by one pulse that makes a switch of the device
WIDE = 0.98  # share of its bounds that the interval of an undetermined parameter fills


class Trajectory(NamedTuple):
    """Change of the conductance since the first read in S: mean and s.d. at every read, of so many ramps."""

    mean: Vector
    sd: Vector
    ramps: int


def measured(g: Float[np.ndarray, "ramps reads"]) -> Trajectory:
    """Of measured ramps, as far as half of them reach."""
    change = g - g[:, :1]
    reads = int(np.flatnonzero(np.isfinite(change).sum(0) >= 0.5 * len(g))[-1]) + 1
    change = change[:, :reads]
    middle = np.nanmean(change, axis=0)
    n = np.isfinite(change).sum(0)
    spread = np.where(n > 1, np.nanstd(change, axis=0) * np.sqrt(n / np.maximum(n - 1, 1)), np.nan)
    return Trajectory(middle, spread, len(g))


@jax.jit
def _ramp(device: AbstractPulseDevice, start: Any, pulses: Any, key: Any) -> Any:
    first, later = jax.random.split(key)
    state = device.place(device.init(start.shape), start)
    read = device.conductance(state, key=first)

    def gap(state: Any, entry: Any) -> Any:
        n, key = entry
        write, look = jax.random.split(key)
        state = device.program(state, n, key=write)
        return state, device.conductance(state, key=look)

    _, reads = jax.lax.scan(gap, state, (pulses, jax.random.split(later, pulses.shape[0])))
    return jnp.concatenate([read[None], reads])


def simulated(
    device: AbstractPulseDevice, start: Vector, pulses: Vector, *, seed: int = 0
) -> Float[np.ndarray, "ramps reads"]:
    """Reads in S of ramps of a fitted device that begin at `start` S, with `pulses` signed pulses between reads."""
    begin, counts = jnp.asarray(start, jnp.result_type(float)), jnp.asarray(pulses, jnp.result_type(float))
    return np.asarray(_ramp(device, begin, counts, jax.random.key(seed)), dtype=float).T


def compared(
    data: Series, device: AbstractPulseDevice, spread: dict[str, AbstractSpread], side: int
) -> tuple[Trajectory, Trajectory] | None:
    """Ramps of a direction as measured, and as 1,000 devices with their spread run them; none without ramps.

    They begin where the mean first read lies in the range.
    """
    name, sign = SIDES[side]
    g, on = data.table(name), data.side(sign)
    if not np.isfinite(g[:, :1]).any():
        return None
    seen = measured(g)
    pulses = np.median(data.pulses[on][:, : len(seen.mean) - 1], axis=0)
    chip = fabricate(device, spread, shape=(1000,) if spread else (), key=jax.random.key(1))
    share = (np.nanmean(g[:, 0]) - float(device.g_min)) / float(device.g_max - device.g_min)
    start = np.broadcast_to(np.asarray(chip.g_min + share * (chip.g_max - chip.g_min), float), 1000)
    drawn = simulated(chip, start, pulses)
    return seen, measured(drawn)


def _switches(data: Data) -> str:
    """Which direction is done by one pulse, if any."""
    for name, sign in SIDES:
        on = data.series.side(sign)
        swings = []
        for row in data.y[on]:
            values = row[np.isfinite(row)]
            if len(values) < 6:
                continue
            threes = np.median(sliding_window_view(np.pad(values, 2, mode="edge"), 3), axis=1)
            step = np.abs(threes[3:] - threes[:-3])  # of the three reads after a pulse and the three before
            k = int(np.argmax(step))
            one = np.abs(np.diff(values))[max(k - 1, 0) : k + 2].max()
            swings.append(min(one, step[k]) / (np.ptp(values) + 1e-30))
        if swings and float(np.median(swings)) > SWITCH:
            return f"{NAMES[name]} is done by one pulse, so the device is a binary switch and not an analog one"
    return ""


def _undetermined(best: Candidate) -> list[str]:
    """Parameters of the law whose interval is as wide as their bounds."""
    problem = best.problem
    names = [p.name for p in best.parameters if p.name.rpartition("_")[0] not in ("noise", "variation")]
    low, high = (end[: 2 * problem.size] for end in problem.box())
    wide = (2 * best.reach[: 2 * problem.size] > WIDE * (high - low)) & ~problem.fixed[: 2 * problem.size]
    return [name for name, on in zip(names, wide[~problem.fixed[: 2 * problem.size]], strict=False) if on]


def doubts(data: Data, best: Candidate, name: str) -> list[str]:
    """Why the model must not be trusted, the gravest first; none for a model that may be."""
    found = [_switches(data)]
    swing = [abs(float(c[-1] - c[0])) for c in (best.curve_up, best.curve_down) if np.isfinite(c).all() and len(c) > 1]
    if swing and min(swing) < 2 * best.read_noise:
        found.append("the ramps rise less than their read noise")
    if not best.sound:
        found.append(f"the likelihood of {name} is flat in a parameter; see its intervals")
    wide = _undetermined(best)
    if wide:
        found.append(f"the data do not determine {', '.join(wide)}")
    return [why for why in found if why]
