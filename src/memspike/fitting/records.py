"""What fits of records share: rows of several tables with conductances in S, one random effect, intervals."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Num
from scipy import optimize, stats

from memspike.fitting.conductances import conductances
from memspike.fitting.instruments.options import Options as Reading
from memspike.fitting.table import Column, Estimate, Table
from memspike.parts import units
from memspike.parts.errors import InputError
from memspike.parts.units import counted

Values = Float[np.ndarray, " _"]
Z = float(stats.norm.ppf(0.975))
WIDE = 100.0  # a positive number whose interval spans a larger factor is not determined
Rows = dict[str, np.ndarray]


def _entries(column: Column) -> np.ndarray:
    """The values of a column, or its labels; cycles are numbers where their labels are."""
    if not column.labels:
        return column.values
    texts = np.array(column.texts())
    try:
        return texts.astype(float) if column.kind == "cycle" else texts
    except ValueError:
        return texts


def gather(tables: Sequence[Table], needs: Sequence[str] = (), takes: Sequence[str] = ()) -> tuple[Rows, list[str]]:
    """Rows of all tables, columns of conductance one after the other, and what was left out in one sentence each.

    Keys: "g" in S, "file", "name" of the column, both as "series", and every kind of `needs` and `takes`; labels where
    a column has them, NaN or "" where it is missing from a table. "device" is the series where no column tells it. Rows
    without a finite conductance or a needed number are left out. InputError where a needed kind is missing.
    """
    kinds, notes = [*needs, *takes], []
    parts: dict[str, list[np.ndarray]] = {kind: [] for kind in ("g", "series", "file", "name", *kinds)}
    for table in tables:
        for kind in needs:
            if not table.of(kind):
                raise InputError(f"{table.file} has no column of kind {kind}; name it with --column NAME={kind}.")
        for value, g in conductances(table, Reading(), notes):
            parts["g"].append(g)
            series = f"{table.file} {value.name}".strip()
            for key, text in (("series", series), ("file", table.file), ("name", value.name)):
                parts[key].append(np.full(len(g), text))
            for kind in kinds:
                column = next(iter(table.of(kind)), None)
                if column is None:
                    text = kind in ("device", "ramp", "direction")
                    parts[kind].append(np.full(len(g), (series if kind == "device" else "") if text else np.nan))
                else:
                    parts[kind].append(_entries(column))
    rows = {kind: np.concatenate(p) if p else np.empty(0) for kind, p in parts.items()}
    kept = np.isfinite(rows["g"])
    for kind in needs:
        if rows[kind].dtype.kind == "f":
            kept &= np.isfinite(rows[kind])
    if not kept.any():
        raise InputError(f"{tables[0].file} has no row with a conductance and {' and '.join(needs) or 'a number'}.")
    lost = int((~kept).sum())
    notes += [f"{counted(lost, 'row')} of {len(kept)} left out: a number is missing."] if lost else []
    return {kind: column[kept] for kind, column in rows.items()}, notes


def positive(rows: Rows) -> tuple[Rows, list[str]]:
    """Rows with a conductance above 0, and a sentence about the others; InputError where there is none."""
    good = rows["g"] > 0
    if not good.any():
        raise InputError(f"{rows['series'][0]} has no conductance above 0 S.")
    lost = int((~good).sum())
    notes = [f"{counted(lost, 'conductance')} of {len(good)} left out: not above 0."] if lost else []
    return {kind: column[good] for kind, column in rows.items()}, notes


def groups(*labels: Num[np.ndarray, " rows"] | np.ndarray) -> list[np.ndarray]:
    """The rows of each combination of labels, in order of appearance; NaN counts as one label."""
    codes = np.zeros(len(labels[0]), int)
    for column in labels:
        own = np.unique(column, return_inverse=True)[1]
        codes = np.unique(codes * (own.max() + 1) + own, return_inverse=True)[1]
    order = np.argsort(codes, kind="stable")
    pieces = np.split(order, np.flatnonzero(np.diff(codes[order])) + 1)
    return sorted(pieces, key=lambda piece: piece[0])


def estimate(name: str, value: float, unit: str, low: float, high: float, *, ratio: bool = False) -> Estimate:
    """An estimate; not determined where an end is not finite or, with `ratio`, the ends are 100 × apart."""
    known = bool(np.isfinite([value, low, high]).all() and (not ratio or high <= WIDE * max(low, 1e-300)))
    return Estimate(name, float(value), unit, float(low), float(high), known)


def shown(e: Estimate) -> str:
    """Name, value and interval as one writes them."""
    value, low, high = (units.show(float(f"{x:.3g}"), e.unit) for x in (e.value, e.low, e.high))
    return f"{e.name} {value} ({low} to {high})"


def span(low: float, high: float) -> str:
    """A range of conductances in S as one writes it."""
    return " to ".join(units.show(float(f"{g:.3g}"), "S") for g in (low, high))


def undetermined(estimates: Sequence[Estimate]) -> list[str]:
    """One sentence for each number that the data do not tell."""
    return [f"These data do not determine {e.name}: its interval is wider than they can tell." for e in estimates
            if not e.determined]  # fmt: skip


def spread(values: Values) -> tuple[float, float, float]:
    """Standard deviation of independent Gaussian values and its 95 % interval."""
    n = len(values) - 1
    sd = float(np.std(values, ddof=1)) if n > 0 else np.nan
    if n < 1:
        return sd, np.nan, np.nan
    low, high = sd * np.sqrt(n / stats.chi2.ppf([0.975, 0.025], n))
    return sd, float(low), float(high)


class Lines(NamedTuple):
    """Straight lines of y on x, one a group: slopes, their variances, values at the mean of x, offsets, counts.

    `noise` is the s.d. about the lines, of `freedom` degrees of freedom; `loss` is −2 × the log-likelihood of that.
    """

    slope: Values
    variance: Values
    mean: Values
    offset: Values
    number: np.ndarray
    noise: float
    freedom: int
    loss: float


def lines(x: Values, y: Values, which: np.ndarray) -> Lines:
    """Least squares in each group; a group whose x does not vary has slope 0 with a huge variance."""
    count = np.bincount(which)
    mean_x, mean_y = (np.bincount(which, v) / count for v in (x, y))
    dx, dy = x - mean_x[which], y - mean_y[which]
    sxx = np.bincount(which, dx * dx)
    moved = sxx > 1e-9
    slope = np.where(moved, np.bincount(which, dx * dy) / np.where(moved, sxx, 1.0), 0.0)
    rest = dy - slope[which] * dx
    freedom = int((count - 1 - moved).sum())
    variance = max(float(rest @ rest) / max(freedom, 1), 1e-18)
    loss = freedom * np.log(variance) + float(np.log(sxx[moved]).sum())
    around = variance / np.where(moved, sxx, 1e-12)
    return Lines(slope, around, mean_y, mean_y - slope * mean_x, count, float(np.sqrt(variance)), freedom, loss)


def noise_interval(found: Lines) -> tuple[float, float]:
    """95 % interval of the s.d. about lines."""
    low, high = found.noise * np.sqrt(found.freedom / stats.chi2.ppf([0.975, 0.025], found.freedom))
    return float(low), float(high)


def _root(f: Callable[[float], float], low: float, high: float, tolerance: float) -> float:
    """Where a function changes its sign."""
    return float(optimize.brentq(f, low, high, xtol=tolerance))  # pyright: ignore[reportArgumentType]


class Mixed(NamedTuple):
    """y_i ~ N(x_i·β, σ² + v_i): β with its covariance, σ, degrees of freedom, −2 × the log-likelihood."""

    beta: Values
    covariance: Float[np.ndarray, "_ _"]
    sd: float
    freedom: int
    loss: float


def _regress(y: np.ndarray, x: np.ndarray, variance: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, float]:
    """β, its covariance, the weighted sum of squares and −2 × the log-likelihood."""
    weight = 1 / variance
    inverse = np.linalg.inv((x.T * weight) @ x)
    beta = inverse @ ((x.T * weight) @ y)
    q = float((weight * (y - x @ beta) ** 2).sum())
    return beta, inverse, q, float(np.log(variance).sum()) + q


def mixed(y: Values, x: Float[np.ndarray, "_ _"], known: Values) -> Mixed:
    """Random effects on top of known variances by restricted likelihood; β's covariance after Knapp and Hartung."""
    scale = max(float(np.var(y)), float(known.mean()), 1e-300)

    def loss(u: float) -> float:
        _, inverse, _, whole = _regress(y, x, known + scale * np.exp(u))
        return whole - float(np.linalg.slogdet(inverse)[1])

    u = optimize.minimize_scalar(loss, bounds=(-25.0, 5.0), method="bounded", options={"xatol": 1e-3}).x
    variance = 0.0 if loss(-25.0) <= loss(u) else scale * float(np.exp(u))
    beta, inverse, q, value = _regress(y, x, known + variance)
    freedom = len(y) - x.shape[1]
    return Mixed(beta, inverse * max(q / freedom, 1e-300), float(np.sqrt(variance)), freedom, value)


def sd_interval(y: Values, x: Float[np.ndarray, "_ _"], known: Values) -> tuple[float, float]:
    """95 % interval of σ of `mixed` from the generalised Q statistic (Viechtbauer, Stat. Med. 26: 37 (2007))."""
    freedom = len(y) - x.shape[1]
    scale = max(float(np.var(y)), float(known.mean()), 1e-300)

    def end(probability: float) -> float:
        wanted = float(stats.chi2.ppf(probability, freedom))

        def missing(variance: float) -> float:
            return _regress(y, x, known + variance)[2] - wanted

        if missing(0.0) <= 0:
            return 0.0
        top = scale
        while missing(top) > 0:
            top *= 4
        return float(np.sqrt(_root(missing, 0.0, top, 1e-12 * top)))

    return end(0.975), end(0.025)


def hessian(loss: Callable[[Values], float], at: Values, steps: Values) -> Float[np.ndarray, "_ _"]:
    """Second derivatives of a loss by central differences of `steps`."""
    n = len(at)
    found = np.empty((n, n))
    for i in range(n):
        for j in range(i, n):
            a, b = (np.where(np.arange(n) == k, steps, 0.0) for k in (i, j))
            corners = [loss(at + s * a + r * b) for s, r in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
            found[i, j] = found[j, i] = (corners[0] - corners[1] - corners[2] + corners[3]) / (4 * steps[i] * steps[j])
    return found


def minimise(
    loss: Callable[[Values], float], start: Values, steps: Values | float = 0.1, exact: float = 1e-5
) -> tuple[Values, float]:
    """The minimum of a loss from `start`, and its value; a simplex with sides of `steps`."""
    simplex = np.vstack([start, start + steps * np.eye(len(start))])
    how = {"xatol": exact, "fatol": 1e-2 * exact, "initial_simplex": simplex, "maxiter": 2000}
    found = optimize.minimize(loss, start, method="Nelder-Mead", options=how)
    return found.x, float(found.fun)


def profile(loss: Callable[[Values], float], best: Values, k: int, steps: Values) -> tuple[float, float]:
    """95 % interval of parameter `k` where the loss (−log-likelihood), minimised over the others, rises by 1.92.

    `steps` are guesses of the standard errors. An end that is further than 40 of them is infinite.
    """
    bound, base = 0.5 * float(stats.chi2.ppf(0.95, 1)), loss(best)
    others = [i for i in range(len(best)) if i != k]
    now = best.copy()  # the others are followed along

    def risen(value: float) -> float:
        def rest(theta: Values) -> float:
            full = now.copy()
            full[k], full[others] = value, theta
            return loss(full)

        if not others:
            return loss(np.array([value])) - base - bound
        now[others], value = minimise(rest, now[others], 0.5 * steps[others], float(1e-2 * steps[others].min()))
        return value - base - bound if np.isfinite(value) else 1e6

    def end(sign: int) -> float:
        now[:] = best
        near, far = 0.0, float(steps[k])
        while far < 40 * steps[k] and risen(best[k] + sign * far) < 0:
            near, far = far, 2 * far
        if far >= 40 * steps[k]:
            return np.inf
        return _root(lambda d: risen(best[k] + sign * d), near, far, 1e-2 * float(steps[k]))

    return float(best[k] - end(-1)), float(best[k] + end(1))
