"""Write–verify logs and level distributions: reached against wanted conductance → programming error, for `Statistical`.

The error of a write to G is N(b₀ + b₁·g, s(g)²) with g = G/G_max and s a polynomial of g (the form of Joshi et al.,
Nat. Commun. 11: 2473 (2020)), fitted by maximum likelihood. The degree is 2, or 3 where the BIC is lower, and less for
fewer than 3 targets. Tails are told by the errors in units of their s.d.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import stats

from memspike.devices.pcm import Cubic, InversePower, PCMJoshi
from memspike.fitting.kinds import Curve, Options, Outcome, Plot, kind
from memspike.fitting.records import Rows, Values, Z, estimate, gather, groups, shown, spread, undetermined
from memspike.fitting.table import Estimate, Table
from memspike.parts.errors import InputError
from memspike.parts.units import counted

FEWEST = 8  # writes
EXAMPLE = "levels t_c t_read nu_ noise"
UNIT = 1e-6  # S: unit of the law of the error
FLOOR = 1e-3  # smallest s(g) over the mean error
KNOWN_SHARE = 2 * float(stats.norm.sf(3))  # of a Gaussian beyond 3 s.d.


@dataclass(frozen=True)
class _Law:
    """θ = b₀, b₁, coefficients of s; their covariance; all in `UNIT`; the BIC."""

    theta: Values
    covariance: Float[np.ndarray, "_ _"]
    bic: float

    def bias(self, g: Values) -> Values:
        return self.theta[0] + self.theta[1] * g

    def sd(self, g: Values) -> Values:
        return np.polynomial.polynomial.polyval(g, self.theta[2:])


def _terms(theta: Values, g: Values, error: Values, floor: float) -> tuple[float, Values, Float[np.ndarray, "_ _"]]:
    """Log-likelihood, score and Fisher information of uncensored Gaussian errors."""
    powers = np.vander(g, len(theta) - 2, increasing=True)
    sd = powers @ theta[2:]
    if (sd < floor).any():
        return -np.inf, theta, np.eye(len(theta))
    lines = np.stack([np.ones_like(g), g], axis=1)
    z = (error - lines @ theta[:2]) / sd
    score = np.concatenate([lines.T @ (z / sd), powers.T @ ((z * z - 1) / sd)])
    fisher = np.zeros((len(theta), len(theta)))
    fisher[:2, :2] = (lines.T / sd**2) @ lines
    fisher[2:, 2:] = 2 * (powers.T / sd**2) @ powers
    return -float((np.log(sd) + 0.5 * z * z).sum()), score, fisher


def _fit(g: Values, error: Values, degree: int) -> _Law:
    """Fisher scoring from a constant s.d."""
    sd = float(np.std(error))
    theta = np.array([float(error.mean()), 0.0, sd, *[0.0] * degree])
    floor, damping = FLOOR * sd, 1e-2
    value, score, fisher = _terms(theta, g, error, floor)
    for _ in range(300):
        step = np.linalg.lstsq(fisher + damping * np.diag(np.diag(fisher)), score, rcond=None)[0]
        trial = _terms(theta + step, g, error, floor)
        if trial[0] >= value:
            gain, theta = trial[0] - value, theta + step
            value, score, fisher = trial
            damping = max(damping / 4, 1e-10)
            if gain < 1e-9:
                break
        else:
            damping *= 4
    # of pseudo-true parameters where errors are not Gaussian (sandwich)
    powers = np.vander(g, degree + 1, increasing=True)
    s = powers @ theta[2:]
    z = (error - theta[0] - theta[1] * g) / s
    each = np.column_stack([z / s, g * z / s, ((z * z - 1) / s)[:, None] * powers])
    inverse = np.linalg.pinv(fisher, hermitian=True)
    wide = inverse @ (each.T @ each) @ inverse  # of finite data: never narrower than for Gaussian errors
    grown = np.sqrt(np.maximum(np.diag(inverse) / np.diag(wide), 1.0))
    return _Law(theta, wide * np.outer(grown, grown), -2 * value + len(theta) * float(np.log(len(g))))


def _writes(tables: list[Table]) -> tuple[Rows, list[str], int | None]:
    """One row a finished write: the last verify of each run of rows of one device, target and cycle; pulses it took."""
    rows, notes = gather(tables, ("target",), ("device", "cycle", "ramp", "pulse", "write voltage"))
    logged = np.isfinite(rows["pulse"]).any() or np.isfinite(rows["write voltage"]).any()
    if not logged:
        return rows, notes, None
    changed = np.zeros(len(rows["g"]), bool)
    for label in ("device", "target", "cycle", "ramp"):
        own = rows[label]
        changed[1:] |= (own[1:] != own[:-1]) & ~((own[1:] != own[1:]) & (own[:-1] != own[:-1]))
    pulse = rows["pulse"]
    changed[1:] |= pulse[1:] < pulse[:-1]
    last = np.append(np.flatnonzero(changed[1:]), len(changed) - 1)
    notes.append(f"A log of {counted(len(last), 'write')} with verification: the last read of each counts.")
    return {kind: column[last] for kind, column in rows.items()}, notes, int(np.median(np.diff(last, prepend=-1)))


def _levels(g: Values, target: Values) -> list[dict[str, Any]]:
    """Writes, mean, s.d. with its interval and share beyond 3 s.d. of each target."""
    found = []
    for piece in groups(target):
        own = g[piece]
        sd, low, high = spread(own)
        row = {"target": float(target[piece[0]]), "writes": len(own), "mean": float(own.mean()), "sd": [sd, low, high]}
        found.append(row)
    return sorted(found, key=lambda row: row["target"])


def _tails(z: Values) -> tuple[list[Estimate], list[str]]:
    """Excess kurtosis, skewness and share of errors beyond 3 s.d., and whether they are those of a Gaussian."""
    n = len(z)
    beyond = int((np.abs(z) > 3).sum())
    share = stats.binomtest(beyond, n).proportion_ci(0.95)
    found = [estimate("tail_share", beyond / n, "1", share.low, share.high)]
    notes = []
    if share.low > KNOWN_SHARE:
        notes.append(
            f"{counted(beyond, 'error')} of {n} beyond 3 s.d. (a Gaussian: {KNOWN_SHARE:.2%}): the tails are heavier "
            "than those of the device, and the s.d. holds them too."
        )
    skew = float(stats.skew(z))
    if abs(skew) > 4 * np.sqrt(6 / n):
        notes.append(f"The errors are skewed ({skew:+.2f}): most tails are on one side.")
    return found, notes


@kind("levels", needs=("target",), without=("time", "voltage"))
def levels(tables: list[Table], options: Options) -> Outcome:
    """Fit the programming error to reached conductances and targets, both in S, of many writes.

    The device is `PCMJoshi` without drift and read noise, whose `place` draws the error; a mean error (bias) is told
    and not part of it. InputError for fewer than 8 writes.
    """
    rows, notes, taken = _writes(tables)
    g, target = rows["g"], rows["target"]
    if len(g) < FEWEST or not (target > 0).any():
        raise InputError(f"{tables[0].file} has {counted(len(g), 'write')} to targets; at least {FEWEST} are needed.")
    used = (g > 0) & (target >= 0)
    if not used.all():
        notes.append(f"{counted(int((~used).sum()), 'write')} at 0 S or less left out: errors near 0 S are too small.")
    g, target = g[used], target[used]
    if len(g) < FEWEST:
        writes = counted(len(g), "write")
        raise InputError(f"{tables[0].file} has {writes} with a read above 0 S; at least {FEWEST} are needed.")
    top = float(max(target.max(), 1e-12))
    share, error = target / top, (g - target) / UNIT
    most = min(len(np.unique(target)), 4) - 1
    laws = [_fit(share, error, degree) for degree in range(min(most, 2), most + 1)]
    law = min(laws, key=lambda one: one.bic)
    ends = Z * np.sqrt(np.maximum(np.diag(law.covariance), 0.0))
    names = ("bias", "bias_slope", *(f"error_c{k}" for k in range(len(law.theta) - 2)))
    coefficients = [
        estimate(n, UNIT * v, "S", UNIT * (v - e), UNIT * (v + e))
        for n, v, e in zip(names, law.theta, ends, strict=True)
    ]
    at = np.unique(np.quantile(share, [0.1, 0.5, 0.9]))
    powers = np.vander(at, len(law.theta) - 2, increasing=True)
    sds = powers @ law.theta[2:]
    errors = Z * np.sqrt(np.einsum("ij,jk,ik->i", powers, law.covariance[2:, 2:], powers))
    told = [
        estimate(f"error_sd at {1e6 * top * a:.3g} µS", UNIT * s, "S", UNIT * (s - e), UNIT * (s + e))
        for a, s, e in zip(at, sds, errors, strict=True)
    ]
    tails, more = _tails((error - law.bias(share)) / law.sd(share))
    mean, mean_error = float(law.bias(share).mean()), Z * float(np.std(error) / np.sqrt(len(error)))
    if abs(mean) > mean_error:
        notes.append(f"Writes miss their targets by {1e6 * UNIT * mean:+.3g} µS on average; the device does not.")
    estimates = (*told, *coefficients, *tails)
    notes += [*more, *undetermined(estimates), "Drift and read noise of this device are 0: levels do not tell them."]
    facts: dict[str, Any] = {"kind": "levels", "writes": len(g), "levels": _levels(g, target), "reads_per_write": taken}
    headline = f"{counted(len(g), 'write')} to {counted(len(np.unique(target)), 'target')}: "
    headline += f"{shown(told[len(told) // 2])}."
    device = PCMJoshi(
        g_min=0.0,
        g_max=top,
        error_scale=UNIT,
        error=Cubic(*law.theta[2:]),
        nu_mean=Cubic(),
        nu_sd=Cubic(),
        noise=InversePower(scale=0.0),
    )
    return Outcome(headline, device, estimates, tuple(notes), _plots(g, target, law, top), facts, example=EXAMPLE)


def _plots(g: Values, target: Values, law: _Law, top: float) -> dict[str, Plot]:
    rows = [row for row in _levels(g, target) if row["writes"] > 2]
    x = np.linspace(float(target.min()), top, 101)
    seen = 1e6 * np.array([[row["target"], row["sd"][0]] for row in rows]).reshape(-1, 2).T
    measured = Curve(seen[0], seen[1], "targets", "points")
    fitted = Curve(1e6 * x, law.sd(x / top), "law")
    z = np.sort(((g - target) / UNIT - law.bias(target / top)) / law.sd(target / top))
    normal = stats.norm.ppf((np.arange(len(z)) + 0.5) / len(z))
    quantiles = (Curve(normal, z, "errors", "points"), Curve(normal, normal, "Gaussian"))
    return {
        "levels": Plot("Levels", "target (µS)", "reached (µS)", (Curve(1e6 * target, 1e6 * g, style="points"),)),
        "error": Plot("Programming error", "target (µS)", "s.d. (µS)", (measured, fitted)),
        "tails": Plot("Tails", "quantile of a Gaussian", "error over its s.d.", quantiles),
    }
