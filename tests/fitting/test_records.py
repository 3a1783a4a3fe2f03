"""Retention, endurance, read noise and levels: truths of generators inside the stated intervals."""

from collections import Counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from memspike import devices
from memspike.devices import description
from memspike.devices.variation.drift import BOLTZMANN
from memspike.fitting import readnoise
from memspike.fitting.kinds import Options, fit_tables, recognised
from memspike.fitting.kinds import named as kind_of
from memspike.fitting.table import UNITS, Column, Table
from memspike.parts.errors import InputError

DEFAULT = Options()
SETS = [pytest.param(5, id="few"), pytest.param(100, id="many", marks=pytest.mark.full)]


def made(facts=None, **columns):
    """A table of columns by kind; `lrs_resistance` is a column of resistance named lrs."""
    found = []
    for key, values in columns.items():
        name, values = key.replace("_", " "), np.asarray(values)
        kind = next(k for k in (name, name.split(" ", 1)[-1]) if k in UNITS or k in ("device", "cycle", "ramp", "pulse",
                                                                                    "direction"))  # fmt: skip
        texts = () if values.dtype.kind in "fi" else tuple(values)
        found.append(Column.of(name, kind, texts) if texts else Column(name, kind, values * 1.0))
    return Table("made.csv", "csv", tuple(found), tuple(range(len(found[0].values))), facts or {})


def fitted(tables, options=DEFAULT, name="auto") -> Any:
    return fit_tables(tables, options, name)


def named(outcome):
    return {e.name: e for e in outcome.estimates}


def covered(sets, one, wide=()):
    """Truths of each set, given its seed, inside their intervals nearly always; and intervals narrower than `wide`."""
    hits, widths = Counter(), {}
    for seed in range(sets):
        outcome, truth = one(np.random.default_rng(seed))
        for name, value in truth.items():
            e = named(outcome)[name]
            assert e.determined, name
            hits[name] += e.low <= value <= e.high
            widths.setdefault(name, []).append(e.high - e.low)
    for name, hit in hits.items():
        assert hit >= (0.9 * sets if sets >= 100 else max(sets - 2, 1)), f"{name}: {hit} of {sets}"
    for name, most in dict(wide).items():
        assert np.median(widths[name]) < most, f"{name}: {np.median(widths[name])}"


# retention


def bake(rng, n=40, temperatures=(300.0,), clock=0.0, exponent=0.0, start=False):
    """Power-law drift written in numpy: ν = 0.05 − 0.01·ln(G/6.3 µS) + N(0, 0.01²), reads with 1 % noise."""
    t0 = 100.0 if start else 1.0
    t = np.concatenate([[0.0] * start, np.logspace(0, 5, 16)])
    g0 = np.exp(rng.uniform(np.log(2e-6), np.log(20e-6), n))
    temperature = np.repeat(temperatures, n // len(temperatures))
    inverse = (1 / 300 - 1 / temperature) / BOLTZMANN
    nu = (0.05 - 0.01 * np.log(g0 / 6.3e-6)) * np.exp(exponent * inverse) + 0.01 * rng.standard_normal(n)
    aged = np.maximum(np.exp(clock * inverse)[:, None] * t / t0, 1.0)
    g = g0[:, None] * aged ** -nu[:, None] * (1 + 0.01 * rng.standard_normal((n, len(t))))
    return made(
        device=np.repeat([f"d{k}" for k in range(n)], len(t)),
        time=np.tile(t, n),
        temperature=np.repeat(temperature, len(t)),
        conductance=g.ravel(),
    )


def retention_truth(outcome, **more):
    return {
        "nu": 0.05 - 0.01 * np.log(float(outcome.device.g_reference) / 6.3e-6),
        "nu_sd": 0.01,
        "slope": -0.01,
    } | more


@pytest.mark.parametrize("sets", SETS)
def test_drift_exponent(sets):
    def one(rng):
        outcome = fitted([bake(rng)], DEFAULT, "retention")
        return outcome, retention_truth(outcome, read_noise=0.01)

    covered(sets, one, {"nu": 0.01, "nu_sd": 0.007, "slope": 0.015, "read_noise": 0.002})


HOT = (300.0, 330.0, 360.0, 400.0)


@pytest.mark.parametrize("sets", [pytest.param(1, id="few"), SETS[1]])
@pytest.mark.parametrize("energy", ["clock", "exponent"])
def test_activation_energy(sets, energy):
    value = {"clock": 0.6, "exponent": 0.1}[energy]

    def one(rng):
        given: dict[str, Any] = {energy: value, "start": energy == "clock"}
        table = bake(rng, temperatures=HOT, **given)
        outcome = fitted([table])  # a column of temperature tells it from read noise
        assert float(getattr(outcome.device, f"{energy}_energy")) == pytest.approx(value, rel=0.3)
        return outcome, retention_truth(outcome, **{f"{energy}_energy": value})

    covered(sets, one, {f"{energy}_energy": 0.3 * value})


@pytest.mark.parametrize("sets", SETS)
def test_retention_of_a_drifting_device(x64, sets, tmp_path):
    """`Drift` with a spread from `fabricate` in, its parameters out, into a file and back."""
    law = devices.Drift(
        devices.ReadNoise(devices.SoftBounds(g_min=1e-6, g_max=40e-6), slope=0.01),
        nu=0.05, slope=-0.01, g_reference=6.3e-6,
    )  # fmt: skip
    times = np.logspace(0, 5, 16)

    @jax.jit
    def reads(key):
        fab, place, read = jax.random.split(key, 3)
        chip = devices.fabricate(law, {"nu": devices.Absolute(0.01)}, shape=(40,), key=fab)
        g = jnp.exp(jax.random.uniform(place, (40,), minval=np.log(2e-6), maxval=np.log(20e-6)))
        state = chip.place(chip.init((40,)), g)
        return jax.vmap(lambda t, k: chip.conductance(state, t, key=k))(jnp.asarray(times), jax.random.split(read, 16))

    def one(rng):
        g = np.asarray(reads(jax.random.key(int(rng.integers(1 << 30)))))
        label = np.tile([f"d{k}" for k in range(40)], 16)
        outcome = fitted([made(device=label, time=np.repeat(times, 40), conductance=g.ravel())], DEFAULT, "retention")
        return outcome, retention_truth(outcome, read_noise=0.01)

    covered(sets, one)
    outcome, _ = one(np.random.default_rng(0))
    description.write(outcome.device, tmp_path / "device.toml")
    assert float(description.read(tmp_path / "device.toml").nu) == pytest.approx(float(outcome.device.nu))  # pyright: ignore
    assert outcome.spread["nu"].sd == pytest.approx(0.01, rel=0.4)
    assert outcome.summary()["spread"]["nu"]["type"] == "absolute"


def test_retention_says_what_is_not_determined():
    table = bake(np.random.default_rng(0), temperatures=HOT)
    assert "no reads at t = 0" in " ".join(fitted([table], DEFAULT, "retention").warnings)
    one = made(time=np.arange(5.0), conductance=np.full(5, 1e-6))
    with pytest.raises(InputError, match="1 trace of reads at 3 times"):
        fitted([one], DEFAULT, "retention")
    with pytest.raises(InputError, match="--kind says which"):  # read noise has the same columns
        fitted([one])


# endurance


def cycled(rng, law, n=40, stop=3e5):
    """LRS 100 µS and HRS 5 µS over log-spaced cycles; a failed device is stuck at its HRS."""
    cycles = np.unique(np.round(np.logspace(0, np.log10(stop), 60)))
    life = 1e5 * (np.exp(0.6 * rng.standard_normal(n)) if law == "log-normal" else (-np.log2(1 - rng.random(n))) ** 0.5)
    own = [np.exp(sd * rng.standard_normal((n, 1))) for sd in (0.2, 0.4)]
    on, off = (
        g * device * np.exp(sd * rng.standard_normal((n, len(cycles))))
        for g, device, sd in zip((100e-6, 5e-6), own, (0.1, 0.2), strict=True)
    )
    on = np.where(cycles >= life[:, None], off, on)
    label = np.repeat([f"d{k}" for k in range(n)], len(cycles))
    return made(device=label, cycle=np.tile(cycles, n), LRS_resistance=1 / on.ravel(), HRS_resistance=1 / off.ravel())


@pytest.mark.parametrize("sets", SETS)
@pytest.mark.parametrize(("law", "stop"), [("weibull", 3e5), ("log-normal", 1.2e5)])
def test_failure_law(sets, law, stop):
    """Also with half of the devices censored."""
    shape = {"weibull": ("weibull_shape", 2.0), "log-normal": ("lognormal_sd", 0.6)}[law]

    def one(rng):
        outcome = fitted([cycled(rng, law, stop=stop)], Options(model=law), "endurance")
        levels = {"g_lrs": 100e-6, "g_hrs": 5e-6, "g_lrs_device_sd": 0.2, "g_lrs_cycle_sd": 0.1}
        return outcome, {"median_cycles": 1e5, shape[0]: shape[1], "window_slope": 0.0} | levels

    covered(sets, one, {"median_cycles": 6e4, shape[0]: 1.5, "g_lrs": 20e-6})


def test_the_law_is_drawn_through_the_failures():
    outcome = fitted([cycled(np.random.default_rng(0), "weibull")], Options(model="weibull"), "endurance")
    failed, law = outcome.plots["failures"].curves
    assert (failed.style, law.label) == ("points", "weibull")
    assert np.abs(np.interp(failed.x, law.x, law.y) - failed.y).max() < 0.15


def test_endurance_of_a_limited_device(x64):
    """`LimitedEndurance` with a Weibull spread: one full SET and one RESET a cycle, read after each."""
    inside = devices.ConstantStep(g_min=5e-6, g_max=100e-6, pulses_up=1.0, pulses_down=1.0)
    law = devices.LimitedEndurance(inside, endurance=2e2)
    chip = devices.fabricate(law, {"endurance": devices.Weibull(2.0)}, shape=(60,), key=jax.random.key(3))

    def cycle(state, _):
        on = chip.program(state, 1)
        off = chip.program(on, -1)
        return off, jnp.stack([chip.conductance(on), chip.conductance(off)])

    _, seen = jax.lax.scan(cycle, chip.init((60,)), length=400)
    on, off = np.moveaxis(np.asarray(seen), 1, 0)
    label, number = np.tile([f"d{k}" for k in range(60)], 400), np.repeat(np.arange(1, 401), 60).astype(str)
    table = made(device=label, cycle=number, set_conductance=on.ravel(), reset_conductance=off.ravel())
    outcome = fitted([table], Options(model="weibull"), "endurance")
    found = named(outcome)
    shape, _, scale = stats.weibull_min.fit(np.asarray(chip.endurance) / 2, floc=0)  # of these very cells
    assert found["median_cycles"].value == pytest.approx(scale * np.log(2) ** (1 / shape), rel=0.01)  # pyright: ignore
    assert found["weibull_shape"].value == pytest.approx(shape, rel=0.02)
    assert float(outcome.device.endurance) == pytest.approx(2 * found["median_cycles"].value)
    assert isinstance(outcome.spread["endurance"], devices.Weibull)


def test_endurance_without_failures():
    whole = cycled(np.random.default_rng(0), "weibull", stop=1e3)
    outcome = fitted([whole])
    assert outcome.device is None
    assert "not determined" in outcome.headline
    assert "with 95 % confidence no more than 7% fail within 1000 cycles" in " ".join(outcome.warnings)
    one = Table(
        "a b.csv", "csv", tuple(Column(c.name, c.kind, c.values[:40]) for c in whole.columns[1:]), tuple(range(40))
    )
    assert fitted([one]).facts["devices"] == 1  # without a column of devices a file is one
    table = made(cycle=np.arange(5.0), conductance=np.full(5, 1e-6))
    with pytest.raises(InputError, match="does not tell LRS from HRS"):
        fitted([table], name="endurance")
    with pytest.raises(InputError, match="Did you mean 'weibull'"):
        fitted([cycled(np.random.default_rng(0), "weibull")], Options(model="weibul"))


# read noise


def wandering(rng, n, dt, q, gamma):
    """Gaussian noise of one-sided density q²/f^γ by its Fourier series, cut from a record of 8 times the length."""
    whole = 8 * n
    f = np.fft.rfftfreq(whole, dt)[1:]
    amplitude = np.sqrt(q**2 / f**gamma * whole / (4 * dt))
    series = np.concatenate([[0], amplitude * (rng.standard_normal(len(f)) + 1j * rng.standard_normal(len(f)))])
    return np.fft.irfft(series, whole)[:n]


def repeated(rng, gamma, records=24, n=1024, dt=0.01):
    g = np.exp(rng.uniform(np.log(2e-6), np.log(30e-6), records))
    q = 0.01 * (g / 25e-6) ** -0.6 * np.exp(0.1 * rng.standard_normal(records))
    sd = np.hypot(0.005 * g, 0.02e-6)
    rows = [
        a * (1 + wandering(rng, n, dt, b, gamma)) + c * rng.standard_normal(n) for a, b, c in zip(g, q, sd, strict=True)
    ]
    label = np.repeat([f"d{k}" for k in range(records)], n)
    return made(device=label, time=np.tile(dt * np.arange(n), records), conductance=np.concatenate(rows))


@pytest.mark.parametrize("sets", SETS)
@pytest.mark.parametrize("gamma", [1.0, 1.3])
def test_read_noise_law(sets, gamma):
    def one(rng):
        outcome = fitted([repeated(rng, gamma)], DEFAULT, "read-noise")
        assert not outcome.facts["telegraph"]
        truth = {"exponent": 0.6, "gamma": gamma, "white_slope": 0.005, "white_offset": 0.02e-6, "q_record_sd": 0.1}
        return outcome, truth | ({"scale": 0.01} if gamma == 1 else {})

    covered(sets, one, {"gamma": 0.2, "exponent": 0.25, "white_slope": 0.01})


@pytest.mark.parametrize("sets", [pytest.param(5, id="few"), SETS[1]])
def test_noise_of_a_flickering_device(x64, sets):
    """`Flicker` around `ReadNoise` in; with many bands, since few oscillations are lines in a spectrum."""
    inside = devices.ReadNoise(devices.SoftBounds(g_min=1e-6, g_max=40e-6), slope=0.003)
    law = devices.Flicker(inside, scale=0.01, exponent=0.6, highest=1.0, slowest=1e-3, fastest=50.0, bands=64)
    times = 0.01 * np.arange(1024)

    @jax.jit
    def reads(key):
        fresh, place, read = jax.random.split(key, 3)
        g = jnp.exp(jax.random.uniform(place, (30,), minval=np.log(2e-6), maxval=np.log(30e-6)))
        state = law.place(law.init((30,), key=fresh), g)
        keys = jax.random.split(read, len(times))
        return jax.vmap(lambda t, k: law.conductance(state, t, key=k))(jnp.asarray(times), keys)

    def one(rng):
        g = np.asarray(reads(jax.random.key(int(rng.integers(1 << 30)))))
        label = np.tile([f"d{k}" for k in range(30)], len(times))
        table = made(device=label, time=np.repeat(times, 30), conductance=g.ravel())
        outcome = fitted([table], DEFAULT, "read-noise")
        assert isinstance(outcome.device, devices.Flicker)
        return outcome, {"scale": 0.01, "exponent": 0.6, "gamma": 1.0, "white_slope": 0.003}

    covered(sets, one)


def telegraph(rng, n=1500, dt=0.01, low=0.3, high=0.15):
    """Two levels 0.4 µS apart with exponential dwell times, and 0.1 µS of white noise."""
    ends, state, t = [], 0, 0.0
    while t < n * dt:
        t += rng.exponential((low, high)[state])
        ends.append(t)
        state = 1 - state
    level = np.searchsorted(ends, dt * np.arange(n)) % 2
    return 10e-6 + 0.4e-6 * level + 0.1e-6 * rng.standard_normal(n)


@pytest.mark.parametrize("sets", [pytest.param(6, id="few"), SETS[1]])
def test_telegraph_levels(sets):
    def one(rng):
        table = made(device=np.full(1500, "a"), time=0.01 * np.arange(1500), conductance=telegraph(rng))
        outcome = fitted([table], DEFAULT, "read-noise")
        assert outcome.facts["telegraph"] == ["a"]
        return outcome, {"a step": 0.4e-6, "a noise": 0.1e-6, "a dwell_low": 0.3, "a dwell_high": 0.15}

    covered(sets, one, {"a dwell_low": 0.4, "a step": 0.05e-6})


def test_records_that_cannot_be_used():
    t = np.sort(np.random.default_rng(0).random(100))
    with pytest.raises(InputError, match="not read at equal intervals"):
        fitted([made(time=t, conductance=1e-6 + t * 1e-9)], DEFAULT, "read-noise")
    with pytest.raises(InputError, match="has 5 reads"):
        fitted([made(time=t[:5], conductance=t[:5])], DEFAULT, "read-noise")


def test_white_noise_alone_leaves_the_wandering_undetermined():
    g = 10e-6 * (1 + 0.01 * np.random.default_rng(0).standard_normal(512))
    outcome = fitted([made(time=np.arange(512.0), conductance=g)], DEFAULT, "read-noise")
    found = named(outcome)
    assert found["white_slope"].low < 0.01 < found["white_slope"].high
    assert not found["scale"].determined
    assert "do not determine scale" in " ".join(outcome.warnings)


def test_spectrum_keeps_the_variance():
    f, power, lost = readnoise.spectrum(np.random.default_rng(0).standard_normal(4096), 0.5)
    assert power.mean() == pytest.approx(1.0, rel=0.05)
    assert f[-1] < 1.0 < lost < 1.95


# levels


def aimed(rng, targets=16, writes=1600, degrees=5):
    """Errors of s.d. 0.26 + 1.97·g − 1.17·g² µS, Gaussian or with tails of a Student distribution."""
    target = 25e-6 * np.repeat(np.linspace(0.1, 1, targets), writes // targets)
    z = rng.standard_normal(len(target))
    if degrees:
        z = z * np.sqrt((degrees - 2) / rng.chisquare(degrees, len(target)))
    return made(target=target, conductance=target + 1e-6 * np.polyval([-1.17, 1.97, 0.26], target / 25e-6) * z)


def errors(outcome):
    at = {name: float(name.split()[2]) / 25 for name in named(outcome) if name.startswith("error_sd")}
    return {name: 1e-6 * np.polyval([-1.17, 1.97, 0.26], g) for name, g in at.items()}


@pytest.mark.parametrize("sets", [pytest.param(20, id="few"), SETS[1]])
def test_programming_error(sets):
    hits: Counter[int] = Counter()
    number = 0
    for seed in range(sets):
        outcome = fitted([aimed(np.random.default_rng(seed), degrees=0)])
        for k, (name, truth) in enumerate(errors(outcome).items()):
            e = named(outcome)[name]
            hits[k] += int(e.low <= truth <= e.high)
            number += int(e.high - e.low < 0.2 * truth)
    assert all(hit >= (0.88 if sets > 50 else 0.8) * sets for hit in hits.values()), hits
    assert number >= 2.5 * sets


def test_heavy_tails_and_bias_are_told():
    assert "tails are heavier" in " ".join(fitted([aimed(np.random.default_rng(0), degrees=4)]).warnings)
    assert "tails" not in " ".join(fitted([aimed(np.random.default_rng(0), degrees=0)]).warnings)


def test_levels_of_the_programmed_device(x64):
    """`PCMJoshi.place` in, a device out whose own writes scatter alike."""
    target = np.repeat(np.linspace(2e-6, 20e-6, 10), 400)
    source = devices.PCMJoshi()
    g = source.place(source.init(target.shape), jnp.asarray(target), key=jax.random.key(0)).g
    outcome = fitted([made(target=target, conductance=np.asarray(g))])
    again = outcome.device.place(outcome.device.init((4000,)), jnp.full(4000, 10e-6), key=jax.random.key(1)).g
    assert float(again.std()) == pytest.approx(1e-6 * np.polyval([-1.1731, 1.9650, 0.2635], 0.4), rel=0.06)
    assert float(outcome.device.conductance(outcome.device.init(()), 1e6)) == 0.0


def test_the_last_read_of_a_write_counts():
    rng = np.random.default_rng(0)
    rows = [
        (pulse, 10e-6 - 3e-6 / (pulse + 1) ** 3 + 0.05e-6 * rng.standard_normal())
        for _ in range(40)
        for pulse in range(5)
    ]
    pulse, g = np.transpose(rows)
    outcome = fitted([made(pulse=pulse, target=np.full(200, 10e-6), conductance=g)], DEFAULT, "levels")
    assert (outcome.facts["writes"], outcome.facts["reads_per_write"]) == (40, 5)
    assert outcome.facts["levels"][0]["sd"][0] < 0.1e-6


def test_currents_need_a_read_voltage():
    t = 0.01 * np.arange(512.0)
    current = 1e-6 * (1 + 0.01 * np.random.default_rng(0).standard_normal(512))
    with pytest.raises(InputError, match="holds currents; give the voltage of the read"):
        fitted([made(time=t, current=current)], DEFAULT, "read-noise")
    outcome = fitted([made({"read voltage": 0.1}, time=t, current=-current)], DEFAULT, "read-noise")
    assert outcome.facts["records"][0]["g"] == pytest.approx(10e-6, rel=0.01)


def test_a_voltage_that_does_not_vary_is_the_read_voltage():
    t = 0.01 * np.arange(512.0)
    current = 1e-6 * (1 + 0.01 * np.random.default_rng(0).standard_normal(512))
    table = made(time=t, voltage=np.full(512, -0.1), current=-current)
    assert {*recognised([table])} == {"retention", "read-noise"}
    outcome = fitted([table], DEFAULT, "read-noise")
    assert outcome.facts["records"][0]["g"] == pytest.approx(10e-6, rel=0.01)


@pytest.mark.parametrize(
    ("columns", "kind", "words"),
    [
        ({"time": [0.0, 0, 0, 1] * 2, "device": list("aaaabbbb")}, "retention", "0 traces of reads at 3 times"),
        ({"cycle": np.arange(-8.0, 0), "direction": ["lrs", "hrs"] * 4}, "endurance", "a cycle below 0"),
    ],
)
def test_numbers_that_tell_nothing_are_refused(columns, kind, words):
    with pytest.raises(InputError, match=words):
        fitted([made(conductance=np.linspace(5e-6, 4e-6, 8), **columns)], DEFAULT, kind)


def test_options_of_another_kind_are_refused():
    table = made(time=np.arange(100.0), conductance=np.linspace(5e-6, 4e-6, 100))
    for options in (Options(model="vteam"), Options(sweep_rate=1.0), Options(window=10.0)):
        with pytest.raises(InputError, match="what is fitted is retention; leave it out"):
            fitted([table], options, "retention")


def test_files_of_two_kinds_are_refused():
    g = np.linspace(5e-6, 4e-6, 9)
    tables = [made(time=np.arange(9.0), conductance=g), made(target=g, conductance=g)]
    with pytest.raises(InputError, match="a fit takes files of one kind"):
        kind_of(tables)


def test_columns_named_on_and_off_are_endurance():
    table = made({"read voltage": 0.1}, cycle=np.arange(9.0), on_current=np.full(9, 1e-5), off_current=np.full(9, 1e-7))
    assert kind_of([table]) == "endurance"
    assert fitted([table]).facts["smallest_window"] == pytest.approx(10)


MADE = {
    "retention": (lambda rng: bake(rng), "nu ", "device.g_min clock_energy"),
    "endurance": (lambda rng: cycled(rng, "weibull"), "endurance device.g_min", "device.pulses_up"),
    "read-noise": (lambda rng: repeated(rng, 1.0), "scale device.slope", "device.device.pulses_up"),
    "levels": (lambda rng: aimed(rng), "error.c0", "nu_mean.c0 noise.scale"),
}


@pytest.mark.parametrize("kind", MADE)
def test_show_prints_what_was_measured(call, tmp_path, kind):
    make, measured, silent = MADE[kind]
    outcome = fitted([make(np.random.default_rng(0))], DEFAULT, kind)
    path = tmp_path / "device.toml"
    description.write(outcome.device, path, outcome.spread, outcome.example)
    assert type(description.read(path)) is type(devices.find(str(path))) is type(outcome.device)
    status, text, error = call("show", path, "--no-figures")
    assert status == 0, error
    names = [line.split(" ")[0] for line in text.splitlines()]
    assert {*measured.split()} <= {*names}
    assert not {*silent.split()} & {*names}
    assert "symmetry point" not in text
    assert "nonlinearity labels" not in text
    assert "not measured, so not shown: " in text


def test_the_law_is_drawn_for_each_temperature():
    outcome = fitted([bake(np.random.default_rng(0), temperatures=(300.0, 350.0), exponent=0.1)], DEFAULT, "retention")
    labels = [curve.label for curve in outcome.plots["exponent"].curves]
    assert labels == ["traces", "law at 300 K", "law at 350 K"]
