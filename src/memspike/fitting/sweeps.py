"""Current–voltage sweeps → a state device: every law is tried, the lowest BIC chosen, what no sweep tells is named."""

import dataclasses
from typing import Any

import numpy as np

from memspike.fitting.kinds import Curve, Options, Outcome, Plot, kind, no_law
from memspike.fitting.least_squares import NORMAL_95
from memspike.fitting.loop_fit import Found, fit_law, profiled
from memspike.fitting.loops import Loops, loops
from memspike.fitting.state_laws import LAWS, Coordinate
from memspike.fitting.table import Estimate, Table
from memspike.parts import units
from memspike.parts.errors import InputError

WIDEST_RATIO = 10.0  # an interval with a wider ratio of its ends tells nothing of the parameter
WIDEST_SHARE = 0.5  # the same for shares (of 1) and voltages (of the largest one)
TIED = 0.95  # correlation with an undetermined parameter from which a parameter is no better known
POOR = 0.1  # rms over the largest current from which a law does not describe the sweep
CORRELATED = 0.3  # lag-1 correlation of residuals from which the law misses more than noise


def _estimate(name: str, c: Coordinate, theta: float, ways: tuple[float, ...], volts: float) -> Estimate:
    """`ways`: down and up by the profile, both by the curvature, firm; determined: short by both, and firm."""
    ends = c.ends()
    low, high = max(theta - ways[0], ends[0]), min(theta + ways[1], ends[1])
    widest = WIDEST_SHARE * (volts if c.unit == "V" else 1.0) if c.linear else np.log(WIDEST_RATIO)
    told = ways[3] and max(high - low, ways[2]) <= min(widest, WIDEST_SHARE * (ends[1] - ends[0]))
    a, b = sorted((float(c.natural(low)), float(c.natural(high))))
    return Estimate(name, float(c.natural(theta)), c.unit, a, b, bool(told))


def estimates(name: str, found: Found, volts: float) -> tuple[Estimate, ...]:
    """Parameters of a fitted law with 95 % intervals; `volts` is the largest voltage."""
    law = LAWS[name]
    curved = 2 * NORMAL_95 * np.sqrt(np.diag(found.covariance))
    firm = np.ones(len(curved)) if found.firm is None else found.firm
    ways = np.column_stack([found.half, curved, firm]).tolist()
    rows = zip(law.names, law.coordinates(), found.theta, ways, strict=True)
    told = [_estimate(n, c, float(t), tuple(w), volts) for n, c, t, w in rows]
    scale = np.sqrt(np.diag(found.covariance))
    tied = np.abs(found.covariance) / np.outer(scale, scale) > TIED
    lost = np.array([not e.determined for e in told])
    return tuple(dataclasses.replace(e, determined=not (tied[k] & lost).any()) for k, e in enumerate(told))


def _wanted(model: str) -> list[str]:
    names = [n for n in LAWS if model == "auto" or n == model or (model == "ion-drift" and n.startswith(model))]
    if not names:
        raise no_law(model, "sweep", ["auto", *LAWS])
    return names


def _figures(data: Loops, found: Found) -> dict[str, Plot]:
    scale, unit = units.scaled(float(np.abs(data.i).max()), "A")
    simulated, current = f"simulated ({unit})", f"current ({unit})"
    spread = np.hypot(found.relative * found.current, found.floor)
    missed = np.where(data.held, np.nan, (data.i - found.current) / spread)
    both = lambda f: (  # noqa: E731
        Curve(data.v, f(data.i), "measured", "points"),
        Curve(data.v, f(found.current), simulated.split(" ")[0]),
    )
    return {
        "loop": Plot("Measured and simulated loops", "voltage (V)", current, both(lambda i: i / scale)),
        "loop-log": Plot("The same, magnitudes", "voltage (V)", current, both(lambda i: np.abs(i) / scale), "y"),
        "residuals": Plot("Residuals", "time (s)", "residual (s.d.)", (Curve(data.t, missed, "", "points"),)),
    }


def _warnings(name: str, data: Loops, found: Found, told: tuple[Estimate, ...], correlation: float) -> list[str]:
    law, lines = LAWS[name], list(data.notes)
    if found.sign < 0:
        lines.append(f"Wired the other way round than {name}: the device sees −v; exchange its terminals in a circuit.")
    lost = [e.name for e in told if not e.determined]
    if lost:
        lines.append(f"This sweep does not determine {', '.join(lost)}.")
    groups = {tuple(sorted(law.names[j] for j in group)) for group in found.weak if len(group) > 1}
    lines += [f"Only a combination of {', '.join(group)} acts." for group in sorted(groups)]
    if correlation > CORRELATED:
        lines.append(
            f"Neighbouring residuals correlate ({correlation:.2f}): the law misses more than noise, so the intervals "
            "are too narrow."
        )
    return lines + ([law.held] if law.held else [])


def _correlation(data: Loops, found: Found) -> float:
    r = (data.i - found.current) / np.hypot(found.relative * found.current, found.floor)
    pairs = ~data.held[1:] & ~data.held[:-1]
    r = np.clip(r, -5, 5)
    return float(np.mean((r[1:] * r[:-1])[pairs]) / max(float(np.mean(r[~data.held] ** 2)), 1e-300))


def _row(data: Loops, found: Found) -> dict[str, Any]:
    top = float(np.abs(data.i).max())
    rms = float(np.sqrt(np.mean((data.i - found.current)[~data.held] ** 2)) / top)
    return {
        "bic": found.bic,
        "rms": rms,
        "relative_noise": found.relative,
        "noise_floor": found.floor,
        "orientation": found.sign,
    }


def doubt(rms: float, sure: int) -> str:
    """Why a law is not to be trusted: its rms as a share of the largest current, and how many parameters are sure."""
    if rms > POOR:
        return "it misses the sweep"
    return "" if sure else "this sweep determines no parameter of it"


@kind("sweep", needs=("voltage", "current"), without=("read voltage", "write voltage", "pulse"))
def fit_sweep(tables: list[Table], options: Options) -> Outcome:
    """Fit state devices to the current–voltage loops of one device.

    Needs columns of kind voltage (V), current (A) and time (s), or a sweep rate in V/s; `cycle` and `compliance`
    (A) where there are any. `model` is a law of `state_laws.LAWS` or "auto". InputError for data that are no sweep.
    """
    if len(tables) != 1:
        raise InputError(f"A sweep fit takes one file, {len(tables)} are given; put the cycles of a device into one.")
    names, data = _wanted(options.model), loops(tables[0], options)
    known = int((~data.held).sum())
    tried, many = {}, [name for name in names if known > len(LAWS[name].names) + 2]
    for number, name in enumerate(many, 1):
        options.tell(number, len(many), name)
        tried[name] = fit_law(name, [data])[0]
    tried = {name: found for name, found in tried.items() if np.isfinite(found.bic)}
    if not tried:
        raise InputError(f"{tables[0].file} has {known} points below the compliance; too few for {', '.join(names)}.")
    best = min(tried, key=lambda name: tried[name].bic)
    options.tell(len(many), len(many), f"intervals of {best}")
    found = profiled(best, [data], [tried[best]])[0]
    told = estimates(best, found, float(np.abs(data.v).max()))
    facts = {"model": best, **_row(data, found), "points": len(data.v), "cycles": data.cycles}
    facts |= {"held": int(data.held.sum()), "lag1": _correlation(data, found)}
    facts["candidates"] = {name: _row(data, one) for name, one in tried.items()}
    device = LAWS[best].device({e.name: e.value for e in told})
    facts["volatile"] = bool(device.volatile)
    sure = sum(e.determined for e in told)
    why = doubt(facts["rms"], sure)
    trust = f"Do not trust this law: {why}. {best}" if why else best
    around = "; wired the other way round" if found.sign < 0 else ""
    return Outcome(
        headline=(
            f"{trust}: rms {facts['rms']:.2%} of the largest current, noise {found.relative:.2%} and "
            f"{units.show(found.floor, 'A')}; {sure} of {len(told)} parameters determined{around}."
        ),
        device=device,
        estimates=told,
        warnings=tuple(_warnings(best, data, found, told, facts["lag1"])),
        plots=_figures(data, found),
        facts=facts,
    )
