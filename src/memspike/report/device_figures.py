"""How a device behaves, at a glance: pulse staircase, step sizes, drift and reads; or I–V loops and transients."""

from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from memspike.devices import find
from memspike.devices.asymmetry import asymmetry, response
from memspike.devices.base import AbstractDevice, AbstractPulseDevice, AbstractStateDevice, span
from memspike.devices.sweep import SWEEPS, SweepSetting, load_line, sweep
from memspike.devices.variation.fabricate import AbstractSpread, fabricate
from memspike.parts import units
from memspike.parts.atomic import write_bytes
from memspike.parts.errors import InputError
from memspike.parts.param import parameters
from memspike.report.figures import ACCENT, MUTED, SECOND, band, mark, new_figure, readable, single
from memspike.report.web import png

POPULATION = 200
DRAWS = 3000
POINTS = 100
LONGEST = 1 << 14


def pulses_of_a_sweep(device: AbstractPulseDevice, sign: int) -> int:
    """Pulses, a power of two at most, after which the noise-free device has gone 95 % of what it can go."""
    start = device.g_min if sign > 0 else device.g_max
    state = device.place(device.init(()), jnp.asarray(start) + jnp.zeros(()))
    far = device.stored(device.program(state, sign * LONGEST))
    number = 1
    while number < LONGEST:
        now = device.stored(device.program(state, sign * number))
        if abs(float(now - far)) <= 0.05 * abs(float(far - start)):
            break
        number *= 2
    return number


def pulse_figure(device: AbstractPulseDevice, spread: dict[str, AbstractSpread] | None = None) -> Figure:
    """Conductance under pulses up, then down: noise-free law, single devices, mean ± s.d. of a population."""
    counts = [max(2, pulses_of_a_sweep(device, sign)) for sign in (1, -1)]
    schedule: list[int] = []
    for sign, number in zip((1, -1), counts, strict=True):
        each = -(-number // POINTS)
        schedule += [sign * each] * (-(-number // each))
    chip = fabricate(device, spread or {}, shape=(POPULATION,), key=jax.random.key(1))

    @eqx.filter_jit
    def run(device: AbstractPulseDevice, chip: AbstractPulseDevice) -> Any:
        def write(state: Any, item: Any) -> tuple[Any, Any]:
            n, key = item
            alone, many = device.program(state[0], n), chip.program(state[1], n, key=key)
            return (alone, many), (device.stored(alone), chip.stored(many))

        keys = jax.random.split(jax.random.key(2), len(schedule))
        start = (device.init(()), chip.init((POPULATION,), key=jax.random.key(3)))
        return jax.lax.scan(write, start, (jnp.asarray(schedule, jnp.result_type(float)), keys))[1]

    mean, many = (np.asarray(g) for g in run(device, chip))
    pulses, upward = np.cumsum(np.abs(schedule)), schedule.count(schedule[0])
    figure, axis = single(7.2, 3.6)
    drawn, unit = readable(many, "S")
    scale = np.nanmax(np.abs(many)) / np.nanmax(np.abs(drawn))
    axis.plot(pulses, drawn[:, :8], color=MUTED, lw=0.6, alpha=0.7)
    label = f"mean ± s.d. of {POPULATION} devices"
    band(axis, pulses, drawn.mean(axis=1), drawn.std(axis=1), color=ACCENT, label=label)
    axis.plot(pulses, mean / scale, color=SECOND, lw=1.4, ls="--", label="without noise and spread")
    mark(axis, pulses[upward - 1], " ← up | down →")
    axis.set(xlabel="pulses sent", ylabel=f"conductance ({unit})")
    axis.legend(frameon=False, fontsize=8)
    return figure


def step_figure(device: AbstractPulseDevice) -> Figure:
    """Change by one pulse against the conductance: mean both ways, ± s.d., and the symmetry point."""
    figure, axis = single(7.2, 3.6)
    curve = asymmetry(device)
    low, wide = float(jnp.asarray(device.g_min)), float(span(device))
    g, unit = readable(low + wide * curve.share, "S")
    per = (low + wide) / g[-1]
    shares = jnp.linspace(0.0, 1.0, 41)[:, None] * jnp.ones((1, 400))
    state = device.place(device.init(shares.shape), low + wide * shares)
    before = device.stored(state)
    for sign, color, mean, name in ((1, ACCENT, curve.up, "one pulse up"), (-1, SECOND, -curve.down, "one pulse down")):
        drawn = np.asarray(device.stored(device.program(state, sign, key=jax.random.key(sign + 2))) - before) / per
        at = (low + wide * np.asarray(shares)[:, 0]) / per
        centre, sd = drawn.mean(axis=1), drawn.std(axis=1)
        axis.fill_between(at, centre - sd, centre + sd, color=color, alpha=0.18, lw=0)
        axis.plot(g, mean * wide / per, color=color, lw=2, label=name)
    axis.axhline(0, color=MUTED, lw=0.8)
    if np.isfinite(curve.symmetry_point):
        kind = "attracts" if curve.attracting else "repels"
        text = f"symmetry point {curve.symmetry_point:.3f}, {kind}"
        mark(axis, (low + wide * curve.symmetry_point) / per, text)
    axis.set(xlabel=f"conductance ({unit})", ylabel=f"change by one pulse, mean ± s.d. ({unit})")
    axis.legend(frameon=False, fontsize=8)
    return figure


def drift_figure(device: AbstractPulseDevice) -> Figure:
    """Response functions; drift under pulses of random sign, predicted and simulated; the penalty it amounts to."""
    figure, axes = new_figure(11.5, 3.4, columns=3)
    left, middle, right = axes[0]
    found = response(device)
    left.plot(found.share, found.up, color=ACCENT, lw=2, label="q⁺: up")
    left.plot(found.share, found.down, color=SECOND, lw=2, label="q⁻: down")
    left.axhline(1, color=MUTED, lw=0.8, ls=":")
    left.set(ylabel="step over that of a linear device")
    left.legend(frameon=False, fontsize=8)
    at = np.linspace(0.05, 0.95, 19)
    share = jnp.asarray(at)[:, None] * jnp.ones((1, DRAWS))
    state = device.place(device.init((19, DRAWS)), device.g_min + span(device) * share)
    n = jax.random.rademacher(jax.random.key(0), (19, DRAWS), jnp.result_type(float))
    after = device.program(state, n, key=jax.random.key(1))
    moved = np.asarray((device.stored(after) - device.stored(state)) / span(device))
    middle.plot(found.share, 100 * found.drift(found.share), color=ACCENT, lw=2, label="predicted, −A/P")
    error = 100 * moved.std(axis=1) / DRAWS**0.5
    middle.errorbar(at, 100 * moved.mean(axis=1), error, color=SECOND, fmt="o", ms=3.5, lw=1, label="simulated")
    middle.axhline(0, color=MUTED, lw=0.8)
    middle.set(ylabel="drift a pulse (% of range)")
    middle.legend(frameon=False, fontsize=8)
    right.plot(found.share, found.penalty(), color=ACCENT, lw=2)
    right.set(ylabel="implicit penalty, ∫ A/F dg")
    for axis in (left, middle, right):
        axis.set(xlabel="share of the range g")
        if np.isfinite(found.symmetry_point):
            axis.axvline(found.symmetry_point, color=MUTED, lw=1, ls=":")
    return figure


def time_figure(device: AbstractPulseDevice) -> Figure:
    """Conductance after programming, over time, at four levels: mean ± s.d. of single reads of a population."""
    figure, axis = single(7.2, 3.6)
    times = np.logspace(-3, 7.5, 43)
    low, wide = jnp.asarray(device.g_min), span(device)
    levels = (0.1, 0.3, 0.6, 0.9)
    table = []
    for k, level in enumerate(levels):
        g = jnp.full((POPULATION,), low + level * wide)
        state = device.place(device.init((POPULATION,)), g, key=jax.random.key(k))
        table.append([np.asarray(device.conductance(state, float(t), key=jax.random.key(7))) for t in times])
    reads, unit = readable(np.asarray(table), "S")
    for k, level in enumerate(levels):
        shade = (0.04, 0.36, 0.68, 0.3 + 0.7 * level)
        label = f"programmed to {level:.0%} of the range"
        band(axis, times, reads[k].mean(axis=1), reads[k].std(axis=1), color=shade, label=label)
    axis.set(xscale="log", xlabel="time after programming (s)", ylabel=f"conductance of a read ({unit})")
    for t, name in ((1, "1 s"), (3600, "1 h"), (86_400, "1 d"), (2.6e6, "1 month")):
        mark(axis, t, name)
    axis.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def loop_figure(device: AbstractStateDevice, setting: SweepSetting) -> Figure:
    """Current–voltage hysteresis at a tenth of, at, and at ten times the frequency of the setting."""
    figure, axes = new_figure(10.5, 3.4, columns=3)
    for axis, factor in zip(axes[0], (0.1, 1.0, 10.0), strict=True):
        frequency = setting.frequency * factor
        loop = sweep(device, setting.amplitude, frequency, periods=2, steps=4000, load=setting.load)
        current, unit = readable(loop.i, "A")
        half = len(current) // 2
        axis.plot(np.asarray(loop.v)[:half], current[:half], color=MUTED, lw=1, label="first period")
        axis.plot(np.asarray(loop.v)[half:], current[half:], color=ACCENT, lw=1.6, label="second period")
        axis.set(xlabel="device voltage (V)", ylabel=f"current ({unit})", title=units.show(frequency, "Hz"))
    axes[0, 0].legend(frameon=False, fontsize=8)
    return figure


def transient_figure(device: AbstractStateDevice, setting: SweepSetting) -> Figure:
    """Conductance under a square pulse, a pause and the opposite pulse, at three amplitudes."""
    figure, axis = single(7.2, 3.6)
    length, steps = 0.5 / setting.frequency, 1500
    times = (np.arange(3 * steps) + 1) * length / steps

    @eqx.filter_jit
    def run(device: AbstractStateDevice, level: Any) -> Any:
        def step(state: Any, part: Any) -> tuple[Any, Any]:
            v = load_line(device, state, level * part, setting.load)
            state = device.advance(state, v, length / steps)
            return state, device.conductance(state)

        parts = jnp.repeat(jnp.asarray([1.0, 0.0, -1.0]), steps)
        return jax.lax.scan(step, device.init(), parts)[1]

    traces = [np.asarray(run(device, jnp.asarray(setting.amplitude * f))) for f in (0.5, 0.75, 1.0)]
    drawn, unit = readable(np.asarray(traces), "S")
    clock, seconds = readable(times, "s")
    scale = times[-1] / clock[-1]
    for trace, factor in zip(drawn, (0.5, 0.75, 1.0), strict=True):
        level = units.show(setting.amplitude * factor, "V")
        axis.plot(clock, trace, color=(0.04, 0.36, 0.68, 0.25 + 0.75 * factor), lw=1.6, label=f"±{level}")
    for k, name in enumerate(("+V", "0 V", "−V")):
        mark(axis, (k + 0.5) * length / scale, name, line=False)
        axis.axvline((k + 1) * length / scale, color=MUTED, lw=0.6, ls=":")
    if np.nanmax(drawn) > 50 * max(np.nanmin(drawn), 1e-30):
        axis.set_yscale("log")
    axis.set(xlabel=f"time ({seconds})", ylabel=f"small-signal conductance ({unit})")
    axis.legend(frameon=False, fontsize=8)
    return figure


def setting_for(device: AbstractStateDevice, name: str) -> SweepSetting:
    """The sweep of the preset of that name, or of the first preset of the same model."""
    if name in SWEEPS:
        return SWEEPS[name]
    same = (setting for preset, setting in SWEEPS.items() if type(find(preset)) is type(device))
    return next(same, SweepSetting(1.0, 1e3, 0.0))


def plot_device(
    device: AbstractDevice, name: str = "", spread: dict[str, AbstractSpread] | None = None, *, pulses: bool = True
) -> dict[str, Figure]:
    """Figures that show a device of scalar parameters, by name.

    Pulse devices: "pulses" (staircase with spread), "steps" (ΔG against G), "drift" (what asymmetry does), "time"
    (reads after programming). State devices: "loops" (I–V at three frequencies), "transients". `name` is that of a
    preset, for its sweep; `spread` is the device-to-device spread of the population; without `pulses`, "time" is the
    only figure of a pulse device. InputError for a device with array parameters.
    """
    if any(np.size(p.value) > 1 for p in parameters(device)):
        raise InputError("plot_device draws one device; this one has parameters for many. Take one of them first.")
    if isinstance(device, AbstractPulseDevice):
        draws = {"pulses": lambda device: pulse_figure(device, spread), "steps": step_figure, "drift": drift_figure}
        return {name: draw(device) for name, draw in {**(draws if pulses else {}), "time": time_figure}.items()}
    if isinstance(device, AbstractStateDevice):
        setting = setting_for(device, name)
        return {"loops": loop_figure(device, setting), "transients": transient_figure(device, setting)}
    raise InputError(f"{type(device).__name__} is neither a pulse device nor a state device.")


def write_device(
    device: AbstractDevice,
    folder: Path,
    *,
    name: str = "",
    spread: dict[str, AbstractSpread] | None = None,
    pulses: bool = True,
) -> list[Path]:
    """Write the figures of `plot_device` as PNG files into `folder`; → their paths.

    InputError for a device with array parameters.
    """
    written = []
    for label, figure in plot_device(device, name, spread, pulses=pulses).items():
        write_bytes(folder / f"{label}.png", png(figure))
        written.append(folder / f"{label}.png")
    return written
