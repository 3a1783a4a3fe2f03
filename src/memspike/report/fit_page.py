"""The folder of a fitted device: device.toml, fit.json, figures and fit.html."""

import html
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from scipy import stats

from memspike.devices import description
from memspike.fitting.candidate import SHARES, innovations, mean_curve
from memspike.fitting.fit import Fit
from memspike.fitting.series import SIDES as SIGNS
from memspike.parts import units
from memspike.parts.units import counted
from memspike.report.figures import ACCENT, MUTED, SECOND, new_figure, single
from memspike.report.kinds import percent
from memspike.report.outcome_page import write_pages
from memspike.report.page import document, section, table
from memspike.report.web import plot, png

SIDES = {"up": ("potentiation", ACCENT), "down": ("depression", SECOND)}
BINS = 24
Values = Float[np.ndarray, " _"]


class _Steps(NamedTuple):
    """One direction: G before each pulse, measured step and step of the law, all in the unit of the figures."""

    g: Values
    measured: Values
    law: Values


def _unit(fit: Fit) -> tuple[float, str]:
    """The factor and the unit in which conductances of this device are easy to read."""
    scale, unit = units.scaled(fit.g_max, "S")
    return 1 / scale, unit


def _with_ramps(fit: Fit) -> dict[str, tuple[str, str]]:
    """The directions that have ramps of their own, with title and colour."""
    return {side: shown for side, shown in SIDES.items() if len(fit.data.table(side))}


def _steps(fit: Fit, side: str) -> _Steps:
    factor, sign = _unit(fit)[0], dict(SIGNS)[side]
    step = np.diff(fit.data.g, axis=1)
    known = np.isfinite(step) & (sign * fit.data.pulses == 1)
    share = (np.where(known, fit.data.g[:, :-1], fit.g_min) - fit.g_min) / (fit.g_max - fit.g_min)
    law = np.where(known, np.interp(share, SHARES, getattr(fit.best, f"step_{side}")), 0.0)
    return _Steps(factor * fit.data.g[:, :-1][known], 1e6 * step[known], 1e6 * law[known])


def _binned(x: Values, y: Values) -> tuple[Values, Values, Values]:
    """Centre, mean and s.d. of `y` in equidistant bins of `x` that hold at least five values."""
    edges = np.linspace(x.min(), x.max(), BINS + 1)
    which = np.clip(np.digitize(x, edges) - 1, 0, BINS - 1)
    full = [k for k in range(BINS) if (which == k).sum() >= 5]
    rows = [(x[which == k].mean(), y[which == k].mean(), y[which == k].std()) for k in full]
    centre, mean, spread = np.array(rows).reshape(-1, 3).T
    return centre, mean, spread


def ramps_figure(fit: Fit) -> Figure:
    """Every measured ramp, their mean, and the mean response of the fitted law; all traces where there are no ramps."""
    sides = _with_ramps(fit)
    figure, axes = new_figure(4.8 * max(len(sides), 1), 3.6, columns=max(len(sides), 1))
    factor, unit = _unit(fit)
    for axis, (side, (title, colour)) in zip(axes[0], sides.items(), strict=False):
        g = factor * fit.data.table(side)
        lines = axis.plot(g.T, color=MUTED, lw=0.5, alpha=0.45)
        lines[0].set_label(counted(len(g), "measured ramp"))
        axis.plot(factor * mean_curve(fit.data.table(side)), color="black", lw=3, label="their mean")
        axis.plot(factor * getattr(fit.best, f"curve_{side}"), color=colour, lw=1.6, label=fit.model)
        axis.set_title(f"{title}: rms {100 * getattr(fit, f'rms_{side}'):.2f} % of the range", fontsize=10)
        axis.legend(frameon=False, fontsize=9)
    if not sides:
        axes[0, 0].plot(factor * fit.data.g.T, color=MUTED, lw=0.5)
        axes[0, 0].set_title(f"{counted(len(fit.data.g), 'trace')} of pulses both ways", fontsize=10)
    for axis in axes[0]:
        axis.set(xlabel="read", ylabel=f"conductance ({unit})")
    return figure


def trajectories_figure(fit: Fit) -> Figure:
    """Change since the first read: mean and s.d. at every read, measured and simulated by the fitted device."""
    figure, axes = new_figure(4.8 * len(fit.trajectories), 6.4, columns=len(fit.trajectories), rows=2)
    factor, unit = _unit(fit)
    for column, (side, (seen, drawn)) in enumerate(fit.trajectories.items()):
        title, colour = SIDES[side]
        for row, what in enumerate(("mean", "sd")):
            axis = axes[row, column]
            axis.set(xlabel="read", ylabel=f"{'mean' if what == 'mean' else 's.d.'} of the change ({unit})")
            axis.plot(factor * getattr(seen, what), color="black", lw=2.4, label=counted(seen.ramps, "measured ramp"))
            axis.plot(factor * getattr(drawn, what), color=colour, lw=1.4, label="simulated device")
            axis.legend(frameon=False, fontsize=9)
        axes[0, column].set_title(title, fontsize=10)
    return figure


def residuals_figure(fit: Fit) -> Figure:
    """Standardised innovations of the filter against normal quantiles, and, of ramps, their mean minus the law."""
    ramps = bool(_with_ramps(fit))
    figure, axes = new_figure(9.6 if ramps else 5.4, 3.4, columns=1 + ramps)
    for number, (side, (title, colour)) in enumerate(SIDES.items()):
        rows = innovations(fit.best.problem, fit.best.maximum, number)
        z = np.sort(np.concatenate([r[np.isfinite(r)] for r in rows])) if rows else np.zeros(0)
        if z.size:
            axes[0, 0].plot(stats.norm.ppf((np.arange(z.size) + 0.5) / z.size), z, ".", ms=2, color=colour, label=title)
        if len(fit.data.table(side)):
            mean, curve = mean_curve(fit.data.table(side)), getattr(fit.best, f"curve_{side}")
            axes[0, 1].plot(100 * (mean - curve) / (fit.g_max - fit.g_min), color=colour, label=title)
    axes[0, 0].axline((0, 0), slope=1, color="black", lw=0.8)
    axes[0, 0].set(xlabel="normal quantile", ylabel="standardised innovation")
    axes[0, 0].legend(frameon=False)
    if ramps:
        axes[0, 1].axhline(0, color="black", lw=0.8)
        axes[0, 1].set(xlabel="read", ylabel="mean of ramps − law (% of range)")
    return figure


def steps_figure(fit: Fit) -> Figure:
    """The size of a step against conductance in both directions, and where the two are equal."""
    figure, axis = single(6.8, 4.0)
    factor, unit = _unit(fit)
    grid = factor * (fit.g_min + SHARES * (fit.g_max - fit.g_min))
    for (side, (title, colour)), sign in zip(SIDES.items(), (1, -1), strict=True):
        steps = _steps(fit, side)
        centre, mean, spread = _binned(steps.g, sign * steps.measured) if steps.g.size else (np.zeros(0),) * 3
        axis.errorbar(centre, mean, spread, fmt="o", ms=4, lw=0.8, alpha=0.7, color=colour)
        curve = sign * 1e6 * getattr(fit.best, f"step_{side}")
        axis.plot(grid[10:-10], curve[10:-10], color=colour, label=f"{title}{' (sign turned)' if sign < 0 else ''}")
    if fit.best.symmetry_point is not None:
        at = factor * (fit.g_min + fit.best.symmetry_point * (fit.g_max - fit.g_min))
        axis.axvline(at, color="black", lw=1, ls="--", label=f"symmetry point {at:.4g} {unit}")
    axis.set(xlabel=f"conductance ({unit})", ylabel="step of one pulse (µS)")
    axis.legend(frameon=False, fontsize=9)
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
        facts = fit.facts(side)
        rows.append(
            (
                title,
                f"{counted(int(facts['ramps']), 'ramp')}, {counted(int(facts['points']), 'read')}",
                percent(getattr(fit, f"rms_{side}")) if facts["ramps"] else "–",
                units.show(getattr(fit, f"noise_{side}"), "S"),
                percent(getattr(fit, f"variation_{side}")),
                f"{getattr(fit, f'nl_{side}'):+.2f}",
                f"{getattr(fit, f'lag1_{side}'):+.2f}",
            )
        )
    header = ("", "data", "rms of range", "write noise a pulse", "ramp to ramp σ_r", "NL label", "lag 1")
    point = fit.best.symmetry_point
    where = "none inside the range" if point is None else f"at {100 * point:.1f} % of the range"
    notes = [
        f"Range {units.show(fit.g_min, 'S')} to {units.show(fit.g_max, 'S')}; symmetry point {where}.",
        f"Read noise {units.show(fit.read_noise, 'S')}; ramps are displaced by {units.show(fit.window, 'S')}.",
        "NL labels are those of the best exponential law.",
        *(f"{name} was left out: {why}." for name, why in fit.dropped.items()),
        *fit.warnings,
        *fit.notes,
    ]
    first = f"<p class=big>{html.escape(fit.headline)}</p>" if fit.headline else ""
    return (
        first
        + f"<p class=big>{html.escape(fit.model)}</p>"
        + table(header, rows)
        + f"<p class=note>{html.escape(' '.join(notes))}</p>"
    )


def _parameters(fit: Fit) -> str:
    rows = [
        (p.name, units.show(p.value, p.unit), f"{units.show(p.low, p.unit)} to {units.show(p.high, p.unit)}")
        if np.isfinite(p.high)
        else (p.name, "not determined", "–")
        for p in (*fit.parameters, *fit.labels)
    ]
    return table(("parameter", "value", "95 % interval"), rows)


def write_fit(fit: Fit, folder: Path) -> Path:
    """Write device.toml, fit.json, figures/*.png and fit.html of a fit; → the page, which opens offline.

    Everything is drawn before the first file is written; every file is whole or not there.
    """
    drawn = {
        "ramps": ("Data and fit", ramps_figure),
        "steps": ("Step against conductance", steps_figure),
        "trajectories": ("Simulated and measured trajectories", trajectories_figure),
        "residuals": ("Residuals", residuals_figure),
        "bic": ("Choice of the law", bic_figure),
    }
    if not fit.trajectories:  # no ramps to set beside
        del drawn["trajectories"]
    figures = {name: draw(fit) for name, (_, draw) in drawn.items()}
    images = {name: png(figure) for name, figure in figures.items()}
    sections = [section(title, plot(figures[name], name, title)) for name, (title, _) in drawn.items()]
    parts = [_headline(fit), *sections, section("Parameters", _parameters(fit))]
    page = document("memspike fit", "fitted device", parts)
    summary = json.dumps(fit.summary(), indent=2, ensure_ascii=False)
    description.write(fit.device, folder / "device.toml", fit.spread)
    return write_pages(folder, page, summary, images)
