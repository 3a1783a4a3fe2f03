"""The folder of a fitted device: device.toml, fit.json, figures and fit.html."""

import html
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from memspike.devices import description
from memspike.fitting.fit import SHARES, Fit, mean_curve
from memspike.parts import units
from memspike.parts.atomic import write_bytes, write_text
from memspike.report.figures import ACCENT, MUTED, SECOND, new_figure, single
from memspike.report.kinds import percent
from memspike.report.page import document, img, png, section, table

SIDES = {"up": ("potentiation", ACCENT), "down": ("depression", SECOND)}
BINS = 24
Values = Float[np.ndarray, " _"]


class _Steps(NamedTuple):
    """One direction: G before each pulse, measured step and step of the law, all in the unit of the figures."""

    g: Values
    measured: Values
    law: Values
    speed: Values  # of each ramp, relative to the law


def _unit(fit: Fit) -> tuple[float, str]:
    """The factor and the unit in which conductances of this device are easy to read."""
    scale, unit = units.scaled(fit.g_max, "S")
    return 1 / scale, unit


def _steps(fit: Fit, side: str) -> _Steps:
    g, factor = getattr(fit.measurements, side), _unit(fit)[0]
    step = np.diff(g, axis=1)
    known = np.isfinite(step)
    share = (np.where(known, g[:, :-1], fit.g_min) - fit.g_min) / (fit.g_max - fit.g_min)
    law = np.where(known, np.interp(share, SHARES, getattr(fit.best, f"step_{side}")), 0.0)
    speed = np.where(known, step * law, 0.0).sum(axis=1) / np.maximum((law**2).sum(axis=1), 1e-300)
    return _Steps(factor * g[:, :-1][known], 1e6 * step[known], 1e6 * law[known], speed)


def _binned(x: Values, y: Values) -> tuple[Values, Values, Values]:
    """Centre, mean and s.d. of `y` in equidistant bins of `x` that hold at least five values."""
    edges = np.linspace(x.min(), x.max(), BINS + 1)
    which = np.clip(np.digitize(x, edges) - 1, 0, BINS - 1)
    full = [k for k in range(BINS) if (which == k).sum() >= 5]
    rows = [(x[which == k].mean(), y[which == k].mean(), y[which == k].std()) for k in full]
    centre, mean, spread = np.array(rows).reshape(-1, 3).T
    return centre, mean, spread


def ramps_figure(fit: Fit) -> Figure:
    """Every measured ramp, their mean, and the mean response of the fitted law."""
    figure, axes = new_figure(9.6, 3.6, columns=2)
    factor, unit = _unit(fit)
    for axis, (side, (title, colour)) in zip(axes[0], SIDES.items(), strict=True):
        g = factor * getattr(fit.measurements, side)
        lines = axis.plot(g.T, color=MUTED, lw=0.5, alpha=0.45)
        lines[0].set_label(f"{len(g)} measured ramps")
        axis.plot(factor * mean_curve(getattr(fit.measurements, side)), color="black", lw=3, label="their mean")
        axis.plot(factor * getattr(fit.best, f"curve_{side}"), color=colour, lw=1.6, label=fit.model)
        axis.set(xlabel="pulse", ylabel=f"conductance ({unit})")
        axis.set_title(f"{title}: rms {100 * getattr(fit, f'rms_{side}'):.2f} % of the range", fontsize=10)
        axis.legend(frameon=False, fontsize=9)
    return figure


def residuals_figure(fit: Fit) -> Figure:
    """Mean of the ramps minus the law, and the errors of the single steps against conductance."""
    figure, axes = new_figure(9.6, 3.4, columns=2)
    _, unit = _unit(fit)
    width = fit.g_max - fit.g_min
    for side, (title, colour) in SIDES.items():
        mean, curve = mean_curve(getattr(fit.measurements, side)), getattr(fit.best, f"curve_{side}")
        axes[0, 0].plot(100 * (mean - curve) / width, color=colour, label=title)
        steps = _steps(fit, side)
        axes[0, 1].plot(steps.g, steps.measured - steps.law, ".", ms=1.5, alpha=0.25, color=colour, rasterized=True)
    axes[0, 0].set(xlabel="pulse", ylabel="mean of ramps − law (% of range)")
    axes[0, 1].set(xlabel=f"conductance ({unit})", ylabel="step − law (µS)")
    axes[0, 0].legend(frameon=False)
    for axis in axes[0]:
        axis.axhline(0, color="black", lw=0.8)
    return figure


def noise_figure(fit: Fit) -> Figure:
    """The s.d. of the steps about the law in bins of conductance, and the fitted σ."""
    figure, axis = single(6.0, 3.4)
    _, unit = _unit(fit)
    top = 0.0
    for side, (title, colour) in SIDES.items():
        steps = _steps(fit, side)
        centre, _, spread = _binned(steps.g, steps.measured - steps.law)
        sigma = 1e6 * getattr(fit, f"noise_{side}")
        axis.plot(centre, spread, "o", ms=4, color=colour)
        axis.axhline(sigma, color=colour, lw=1.4, label=f"{title}: σ = {sigma:.3g} µS")
        top = max(top, 1.25 * sigma, 1.1 * spread.max(initial=0.0))
    axis.set(xlabel=f"conductance ({unit})", ylabel="s.d. of a step (µS)", ylim=(0, top))
    axis.legend(frameon=False, loc="lower left")
    return figure


def steps_figure(fit: Fit) -> Figure:
    """The size of a step against conductance in both directions, and where the two are equal."""
    figure, axis = single(6.8, 4.0)
    factor, unit = _unit(fit)
    grid = factor * (fit.g_min + SHARES * (fit.g_max - fit.g_min))
    for (side, (title, colour)), sign in zip(SIDES.items(), (1, -1), strict=True):
        steps = _steps(fit, side)
        centre, mean, spread = _binned(steps.g, sign * steps.measured)
        axis.errorbar(centre, mean, spread, fmt="o", ms=4, lw=0.8, alpha=0.7, color=colour)
        curve = sign * 1e6 * getattr(fit.best, f"step_{side}")
        axis.plot(grid[10:-10], curve[10:-10], color=colour, label=f"{title}{' (sign turned)' if sign < 0 else ''}")
    if fit.best.symmetry_point is not None:
        at = factor * (fit.g_min + fit.best.symmetry_point * (fit.g_max - fit.g_min))
        axis.axvline(at, color="black", lw=1, ls="--", label=f"symmetry point {at:.4g} {unit}")
    axis.set(xlabel=f"conductance ({unit})", ylabel="step of one pulse (µS)")
    axis.legend(frameon=False, fontsize=9)
    return figure


def speeds_figure(fit: Fit) -> Figure:
    """How fast the ramps are, relative to the law."""
    figure, axes = new_figure(9.6, 3.0, columns=2)
    for axis, (side, (title, colour)) in zip(axes[0], SIDES.items(), strict=True):
        speed = _steps(fit, side).speed
        axis.hist(speed, bins=max(5, int(2 * np.sqrt(len(speed)))), color=colour, alpha=0.75)
        axis.set(xlabel="speed of a ramp over that of the law", ylabel="ramps")
        axis.set_title(f"{title}: σ_r = {100 * getattr(fit, f'variation_{side}'):.2g} %", fontsize=10)
    return figure


def bic_figure(fit: Fit) -> Figure:
    """The BIC of every candidate above the lowest, on a logarithmic scale."""
    names = sorted(fit.bic, key=lambda name: -fit.bic[name])
    above = [fit.bic[name] - min(fit.bic.values()) for name in names]
    figure, axis = single(6.8, 0.9 + 0.3 * len(names))
    axis.barh(names, above, color=[ACCENT if name == fit.model else MUTED for name in names])
    axis.set_xscale("symlog", linthresh=10)
    axis.set_xlim(0, 8 * max(*above, 10.0))
    for k, value in enumerate(above):
        axis.text(1.1 * value + 0.3, k, f"{value:.0f}" if value else "lowest", va="center", fontsize=9)
    axis.set(xlabel="BIC above the lowest (lower is better)")
    return figure


def _headline(fit: Fit) -> str:
    rows = []
    for side, (title, _) in SIDES.items():
        facts = fit.measurements.facts(side)
        rows.append(
            (
                title,
                f"{facts['ramps']} ramps, {facts['points']} points",
                percent(getattr(fit, f"rms_{side}")),
                units.show(getattr(fit, f"noise_{side}"), "S"),
                percent(getattr(fit, f"variation_{side}")),
                f"{getattr(fit, f'nl_{side}'):+.2f}",
                f"{getattr(fit, f'lag1_{side}'):+.2f}",
                f"{units.show(facts['initial_mean'], 'S')} ± {units.show(facts['initial_sd'], 'S')}",
            )
        )
    header = ("", "data", "rms of range", "noise σ a pulse", "ramp to ramp σ_r", "NL label", "lag 1", "starts at")
    point = fit.best.symmetry_point
    where = "none inside the range" if point is None else f"at {100 * point:.1f} % of the range"
    notes = [
        f"Range {units.show(fit.g_min, 'S')} to {units.show(fit.g_max, 'S')}; symmetry point {where}.",
        "NL labels are those of the best exponential law. A negative lag 1 hints at read noise in the data.",
        *(f"{name} was left out: {why}." for name, why in fit.dropped.items()),
        *fit.warnings,
    ]
    return (
        f"<p class=big>{html.escape(fit.model)}</p>"
        + table(header, rows)
        + f"<p class=note>{html.escape(' '.join(notes))}</p>"
    )


def _parameters(fit: Fit) -> str:
    rows = [
        (p.name, units.show(p.value, p.unit), f"{units.show(p.low, p.unit)} to {units.show(p.high, p.unit)}")
        for p in fit.parameters
    ]
    return table(("parameter", "value", "95 % interval"), rows)


def write_fit(fit: Fit, folder: Path) -> Path:
    """Write device.toml, fit.json, figures/*.png and fit.html of a fit; → the page, which opens offline.

    Everything is drawn before the first file is written; every file is whole or not there.
    """
    drawn = {
        "ramps": ("Data and fit", ramps_figure),
        "steps": ("Step against conductance", steps_figure),
        "residuals": ("Residuals", residuals_figure),
        "noise": ("Noise against conductance", noise_figure),
        "speeds": ("Ramp to ramp", speeds_figure),
        "bic": ("Choice of the law", bic_figure),
    }
    images = {name: png(draw(fit)) for name, (_, draw) in drawn.items()}
    sections = [section(title, img(images[name], title)) for name, (title, _) in drawn.items()]
    parts = [_headline(fit), *sections, section("Parameters", _parameters(fit))]
    page = document("memspike fit", "fitted device", parts)
    summary = json.dumps(fit.summary(), indent=2, ensure_ascii=False)
    description.write(fit.device, folder / "device.toml")
    write_text(folder / "fit.json", summary + "\n")
    for name, image in images.items():
        write_bytes(folder / "figures" / f"{name}.png", image)
    write_text(folder / "fit.html", page)
    return folder / "fit.html"
