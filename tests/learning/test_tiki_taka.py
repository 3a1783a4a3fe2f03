"""Gradient arrays: biases on a quadratic problem, every scheme against a plain loop, offsets of references."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import memspike as ms
from memspike import learning
from memspike.arrays import Crossbar, Drive, Pulse
from memspike.arrays.tiles import Send
from memspike.cells import (
    DifferentialPair,
    Refresh,
    SingleReference,
    Stack,
    at_symmetry_point,
    calibrated_references,
    midpoint,
    settling_points,
)
from memspike.devices import SoftBounds, WriteNoise
from memspike.devices.asymmetry import symmetry_points
from memspike.devices.base import span
from memspike.devices.description import find, spread_of
from memspike.devices.variation.fabricate import fabricate
from memspike.learning.programming.counting import rounded, stochastic_rounding
from memspike.learning.programming.tiki_taka import buffered
from memspike.parts.registry import DEVICES
from memspike.testing.parts import Counted

KEY = jax.random.key(3)
SHAPE, CHIPS, UPDATES, MANY = (6, 20), 2, 3000, 24_000
TARGET, SIGMA = 0.4, 0.5
# scheme and learning rate, given how many times slower weights are to follow; fast 1, a row in turn at every update
PROBLEMS = {
    "sgd": lambda slower: (learning.by_rounding(0.02), 0.02 / slower),
    "mixed precision": lambda slower: (learning.mixed_precision(), 0.003 / slower),
    "tiki-taka": lambda slower: (learning.tiki_taka(period=300.0 * slower), 0.05),
    "tiki-taka-2": lambda slower: (learning.tiki_taka_2(period=100.0 * slower), 0.05),
    "chopped": lambda slower: (learning.chopped_tiki_taka(period=100.0 * slower, chop=0.05), 0.05),
    "agad": lambda slower: (learning.agad(period=100.0 * slower, chop=0.05), 0.05),
}


def device_of(shape, key):
    """Soft bounds of about 100 states: each device has its own steps, their balance, and its own range."""
    spread = {"pulses_up pulses_down": 0.1, "pulses_up": 0.2, "g_max": 0.05}
    return fabricate(SoftBounds.from_rates(0.02, 0.02), spread, shape=shape, key=key)


@functools.cache
def trainer(name):
    """Offset, slowness and number of updates → mean weight over their second half less the target, over |target|.

    And pulses a weight. Compiled once for all of them.
    """
    shape = (2, *SHAPE)

    def chip(key, offset, slower, updates):
        scheme, rate = PROBLEMS[name](slower)
        fabrication, targets, run = jax.random.split(key, 3)
        device = device_of(shape, fabrication)
        shift = offset * jnp.asarray([0.0, 1.0])[:, None, None]
        cell = Stack(device, symmetry_points(device, shape) + shift * span(device).mean())
        crossbar = Crossbar(cell)
        wanted = TARGET * jax.random.rademacher(targets, SHAPE, jnp.float32)
        cells = cell.place(cell.init(SHAPE), jnp.zeros(SHAPE))

        def one(t, carry):
            state, cells, total, sent = carry
            w = cell.weight(cell.stored(cells))
            noise, own = jax.random.split(jax.random.fold_in(run, t))
            gradient = w - wanted + SIGMA * jax.random.normal(noise, SHAPE)
            done = scheme.apply(state, crossbar, cells, -rate * gradient, key=own)
            pulses = done.ledger.up.sum() + done.ledger.down.sum()
            return done.state, done.cells, total + jnp.where(2 * t >= updates, w, 0.0), sent + pulses

        start = (scheme.init(crossbar, cells), cells, jnp.zeros(SHAPE), jnp.int32(0))
        _, _, total, sent = jax.lax.fori_loop(0, updates, one, start)
        return (total / (updates // 2).astype(jnp.float32) - wanted) * jnp.sign(wanted) / TARGET, sent / wanted.size

    return jax.jit(jax.vmap(chip, in_axes=(0, None, None, None)))


@functools.cache
def errors(name, offset=0.0, slower=1.0):
    """Errors [chips, rows, columns] along the target, and pulses a weight.

    The loss is (w − w₀)²/2 with w₀ = ±0.4; every gradient has a Gaussian error of s.d. 0.5. References of the
    gradient array are at the symmetry points plus `offset`, in shares of the range. `slower` than at first, with more
    updates.
    """
    updates = UPDATES if slower == 1 else MANY
    numbers = (jnp.float32(offset), jnp.float32(slower), jnp.int32(updates))
    found, sent = trainer(name)(jax.random.split(KEY, CHIPS), *numbers)
    return np.asarray(found), float(sent.mean())


def bias(name, slower=1.0):
    """Mean error along the target and its standard error."""
    found = errors(name, 0.0, slower)[0]
    return found.mean(), found.std() / np.sqrt(found.size)


def scatter(name, offset):
    """Root mean square over weights of their error across the target, i.e. of what an offset does."""
    return errors(name, offset)[0].std()


def test_analog_sgd_is_biased_towards_the_symmetry_point_at_any_rate():
    """A pulse costs |w| times its worth on the way: 1/(1 + E|g|) of the target, where E|g| = 0.5·√(2/π) = 0.4."""
    (whole, error), (half, other) = bias("sgd"), bias("sgd", 2.0)
    both = np.hypot(error, other)
    assert whole < -100 * error
    assert half < -100 * other
    assert abs(whole - half) < 4 * both
    assert whole == pytest.approx(1 / (1 + SIGMA * np.sqrt(2 / np.pi)) - 1, abs=0.03)


@pytest.mark.parametrize("name", ["mixed precision", "tiki-taka", "tiki-taka-2", "agad"])
def test_what_averages_before_it_writes_is_hardly_biased(name):
    found, error = bias(name)
    assert error < 0.003
    assert abs(found) < 0.055
    assert abs(found) < abs(bias("sgd")[0]) / 5


@pytest.mark.parametrize(("name", "slower"), [("mixed precision", 4.0), ("tiki-taka-2", 16.0), ("agad", 16.0)])
def test_and_what_is_left_of_the_bias_vanishes_with_the_rate(name, slower):
    """Unlike that of analog SGD: longer averages send fewer pulses that find their weight at rest."""
    (first, _), (found, error) = bias(name), bias(name, slower)
    assert error < 0.002
    assert abs(found) < 0.022
    assert abs(found) < 0.6 * abs(first)


def test_an_offset_of_the_reference_breaks_tiki_taka_hurts_its_choppers_and_leaves_agad():
    """As Fig. 3 of Rasch et al. (doi 10.1038/s41467-024-51221-z), here by an offset of 15 % of the range."""
    broken, slowed, unhurt = (scatter(name, 0.15) for name in ("tiki-taka-2", "chopped", "agad"))
    calibrated = [scatter(name, 0.0) for name in ("tiki-taka-2", "chopped", "agad")]
    assert max(calibrated) < 0.05
    assert broken > 6 * calibrated[0]
    assert 1.7 * calibrated[1] < slowed < 0.5 * broken
    assert unhurt < 1.2 * calibrated[2]


def test_pulses_are_paid_on_the_gradient_array():
    """Accumulating in digital memory costs a few dozen pulses, a gradient array some at every update."""
    assert errors("mixed precision")[1] < 100
    assert errors("agad")[1] > 20 * errors("mixed precision")[1]


def test_stochastic_rounding_is_unbiased_up_to_its_cap():
    crossbar, step = Crossbar(), 0.03
    cells = crossbar.cell.init((1, 1))
    wanted = np.linspace(-3, 3, 25, dtype=np.float32)
    dw = jnp.asarray(np.tile(step * wanted, (4000, 1)))
    for most in (None, 2):
        way = learning.stochastically_rounded(step, most)
        _, sent = way.pulses((), crossbar, cells, dw, key=KEY)
        sent = np.asarray(sent)
        assert (sent == np.round(sent)).all()
        assert (np.abs(sent) <= (most or 3)).all()
        whole, share = np.floor(wanted), wanted - np.floor(wanted)
        cut = np.clip(whole, -most, most) if most else whole
        top = np.clip(whole + 1, -most, most) if most else whole + 1
        mean = (1 - share) * cut + share * top
        np.testing.assert_allclose(sent.mean(0), mean, atol=4 * 0.5 / np.sqrt(4000))
        _, still = way.pulses((), crossbar, cells, dw, key=None)
        np.testing.assert_allclose(still, np.clip(np.round(wanted), -(most or 9), most or 9)[None] + 0 * still, atol=0)
    np.testing.assert_array_equal(np.unique(stochastic_rounding(jnp.zeros(1000), key=KEY)), 0)


LAW = {"up": 0.06, "down": 0.1}


class Loop:
    """Tiles of soft bounds, one device after the other in plain Python: shares of the range, references at 0.4."""

    def __init__(self, shape, tiles=2, **options):
        self.tiles = [np.full(shape, 0.4) for _ in range(tiles)]
        self.counts = np.zeros((2, tiles, *shape))  # up and down
        self.worth = 0.5 * sum(1 - np.exp(-rate) for rate in LAW.values())
        self.options, self.shape, self.largest, self.updates = options, shape, 0.0, 0
        self.buffer, self.mean, self.past = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self.sign, self.reads = np.ones(shape[0]), 0

    def pulse(self, tile, i, j, n):
        g = self.tiles[tile][i, j]
        up = n > 0
        self.tiles[tile][i, j] = 1 - (1 - g) * np.exp(-LAW["up"] * n) if up else g * np.exp(LAW["down"] * n)
        self.counts[0 if up else 1, tile, i, j] += abs(n)

    def update(self, scheme, dw):
        o, (rows, columns) = self.options, self.shape
        if o.get("memory"):
            top = abs(dw).max()
            self.largest = o["memory"] * self.largest + (1 - o["memory"]) * top if self.largest else top
            gain = o["fast"] * o["most"] / self.largest
        else:
            gain = o["fast"] / self.worth
        slow = np.zeros(self.shape)
        reads, every = max(int(o.get("reads", 1)), 1), max(round(1 / o.get("reads", 1)), 1)
        if self.updates % every == 0:
            turn = self.updates // every
            visits = -(-rows // reads)
            block, sweep = turn % visits, turn // visits
            for i in range(block * reads, min((block + 1) * reads, rows)):
                read = 2 * (self.tiles[1][i] - 0.4) / self.worth
                rate = visits * every / (o["period"] * gain * self.worth)
                slow[i] = getattr(self, scheme)(i, sweep, read, rate)
                self.reads += 1
        for i in range(rows):
            for j in range(columns):
                n = np.round(gain * self.sign[i] * dw[i, j])
                for tile, number in ((0, slow[i, j]), (1, np.clip(n, -o["most"], o["most"]))):
                    if number:
                        self.pulse(tile, i, j, number)
        self.updates += 1

    def tiki_taka(self, i, sweep, read, rate):
        return np.clip(np.round(rate * read), -self.options["most"], self.options["most"])

    def full(self, i):
        sent = np.zeros(self.shape[1])
        for j in range(self.shape[1]):
            if abs(self.buffer[i, j]) >= 1:
                sent[j] = 1 if self.buffer[i, j] > 0 else -1
                self.buffer[i, j] *= 0.1
        return sent

    def tiki_taka_2(self, i, sweep, read, rate):
        self.buffer[i] += rate * read
        return self.full(i)

    def chopped_tiki_taka(self, i, sweep, read, rate):
        self.buffer[i] += self.sign[i] * rate * read
        sent = self.full(i)
        reads = max(int(np.ceil(1 / self.options["chop"])), 2)
        if (sweep + 1) % reads == 0:
            self.sign[i] *= -1
        return sent

    def agad(self, i, sweep, read, rate):
        reads = max(int(np.ceil(1 / self.options["chop"])), 2)
        if sweep and sweep % reads == 0:
            self.past[i] = self.mean[i]
        self.buffer[i] += self.sign[i] * rate * (read - self.past[i])
        sent = self.full(i) if sweep > reads else 0 * self.full(i)
        weight = min(5 / reads, 1)
        self.mean[i] += weight * (read - self.mean[i])
        if (sweep + 1) % reads == 0:
            self.sign[i] *= -1
        return sent


def loop_device():
    return SoftBounds.from_rates(LAW["up"], LAW["down"])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("tiki_taka", {"fast": 0.3, "period": 6.0, "reads": 1 / 3, "memory": 0.9, "most": 4}),
        ("tiki_taka_2", {"fast": 0.4, "period": 12.0, "reads": 0.5, "memory": 0.9, "most": 5}),
        ("chopped_tiki_taka", {"fast": 0.7, "period": 12.0, "chop": 0.3}),
        ("chopped_tiki_taka", {"fast": 0.7, "period": 12.0, "chop": 0.2, "reads": 0.5, "memory": 0.8}),
        ("agad", {"fast": 0.7, "period": 12.0, "chop": 0.1}),
        ("agad", {"fast": 0.5, "period": 9.0, "chop": 0.5, "reads": 0.333, "memory": 0.9}),
        ("tiki_taka", {"fast": 0.3, "period": 6.0, "reads": 2.0}),
        ("chopped_tiki_taka", {"fast": 0.7, "period": 9.0, "chop": 0.3, "reads": 5.0}),
        ("agad", {"fast": 0.7, "period": 9.0, "chop": 0.4, "reads": 3.0}),
    ],
)
def test_every_scheme_is_its_plain_loop(x64, name, options):
    """No noise and no key: pulses on every device exactly, conductances to rounding."""
    shape, options = (5 if options.get("reads", 1) > 1 else 2, 3), {"most": 10, **options}
    device = loop_device()
    cell = Stack(device, 0.6 * device.g_min + 0.4 * device.g_max)
    crossbar, scheme = Crossbar(cell), getattr(learning, name)(**options)
    changes = np.random.default_rng(0).normal(0.05, 0.2, (150, *shape)) * np.asarray([[1.0, -1.0, 0.3]])
    loop = Loop(shape, **options)
    for dw in changes:
        loop.update(name, dw)
    cells = cell.place(cell.init(shape), jnp.zeros(shape))

    def one(carry, dw):
        done = scheme.apply(carry[0], crossbar, carry[1], dw, key=None)
        return (done.state, done.cells), done.ledger

    start = (scheme.init(crossbar, cells), cells)
    (state, after), ledger = jax.jit(lambda: jax.lax.scan(one, start, jnp.asarray(changes)))()
    counts = np.stack([np.asarray(ledger.up), np.asarray(ledger.down)]).sum(1)
    assert counts[:, 0].sum() > 20, "the weight array was hardly written"
    np.testing.assert_array_equal(counts[:, :2], loop.counts)
    assert not counts[:, 2:].any(), "references take no pulse"
    share = (cell.stored(after)[:2] - device.g_min) / span(device)
    np.testing.assert_allclose(share, np.stack(loop.tiles), atol=1e-12)
    if name != "tiki_taka":
        np.testing.assert_allclose(state.transfer[0].buffer, loop.buffer, atol=1e-10)
    assert np.asarray(ledger.reads.low).sum() == loop.reads > 30


@pytest.mark.parametrize("tiles", [2, 3])
def test_residual_tiles_are_their_plain_loop(x64, tiles):
    """Every tile but the last takes a row of the next: intervals and periods three times as long from tile to tile."""
    shape, fast, period, slower = (2, 3), 0.7, 6.0, 3
    device = loop_device()
    cell = Stack(device, 0.6 * device.g_min + 0.4 * device.g_max, tiles, 0.5)
    crossbar, scheme = Crossbar(cell), learning.residual_tiles(fast, period, slower=slower)
    loop = Loop(shape, tiles)
    cells = cell.place(cell.init(shape), jnp.zeros(shape))
    state, apply = scheme.init(crossbar, cells), jax.jit(lambda s, c, dw: scheme.apply(s, crossbar, c, dw, key=None))
    plain, changes = learning.tiki_taka(fast, period), np.random.default_rng(1).normal(0.05, 0.2, (90, *shape))
    same, other = plain.init(crossbar, cells) if tiles == 2 else None, cells
    booked = np.zeros((2, tiles, *shape))
    for t, dw in enumerate(changes):
        wanted = np.zeros((tiles, *shape))
        for k in range(tiles - 1):
            every = slower ** (tiles - 2 - k)
            if t % every == 0:
                i = t // every % 2
                read = 2 * (loop.tiles[k + 1][i] - 0.4) / loop.worth
                wanted[k, i] = np.clip(np.round(2 / (period * fast) * read), -10, 10)
        wanted[-1] = np.clip(np.round(fast * dw / loop.worth), -10, 10)
        for (k, i, j), n in np.ndenumerate(wanted):
            if n:
                loop.pulse(k, i, j, n)
        done = apply(state, cells, jnp.asarray(dw))
        state, cells = done.state, done.cells
        booked += np.stack([np.asarray(done.ledger.up), np.asarray(done.ledger.down)])[:, :tiles]
        if same is not None:
            done = plain.apply(same, crossbar, other, jnp.asarray(dw), key=None)
            same, other = done.state, done.cells
    assert booked[:, 0].sum() > 20
    np.testing.assert_array_equal(booked, loop.counts)
    share = (cell.stored(cells)[:tiles] - device.g_min) / span(device)
    np.testing.assert_allclose(share, np.stack(loop.tiles), atol=1e-12)
    if same is not None:
        np.testing.assert_allclose(cell.stored(other), cell.stored(cells), rtol=1e-12)


def missed(scheme, tiles, gamma):
    """Mean error of 100 weights on devices of ten states, where gradients have none."""
    device = SoftBounds.from_rates(0.2, 0.2)
    cell = Stack(device, midpoint(device), tiles, gamma)
    crossbar = Crossbar(cell)
    wanted = jax.random.uniform(KEY, (4, 25), minval=-0.5, maxval=0.5)
    cells = cell.place(cell.init((4, 25)), jnp.zeros((4, 25)))

    def one(carry, own):
        w = cell.weight(cell.stored(carry[1]))
        done = scheme.apply(carry[0], crossbar, carry[1], 0.05 * (wanted - w), key=own)
        return (done.state, done.cells), jnp.abs(w - wanted).mean()

    start = (scheme.init(crossbar, cells), cells)
    scan = jax.jit(lambda: jax.lax.scan(one, start, jax.random.split(KEY, 1800))[1])
    return float(scan()[-300:].mean())


def test_more_tiles_hold_a_weight_finer_than_a_pulse():
    """What the weight array misses by, the others make up for: Tiki-Taka first, which does not see its array A."""
    residual = learning.residual_tiles(fast=10.0, period=100.0, slower=5)
    one, two, three = (missed(residual, *stack) for stack in ((2, 0.0), (2, 0.4), (3, 0.4)))
    assert two < 0.4 * one
    assert three < 0.8 * two
    assert three < 0.5 * missed(learning.mixed_precision(), 2, 0.0)


@pytest.mark.parametrize(("name", "share"), [("ag-a-si", 0.337), ("pcmo", 0.272)])
def test_alternating_pulses_find_the_symmetry_point(x64, name, share):
    """What settles is the mean of a swing of a pulse, so half the square of a step away from the point itself."""
    device = DEVICES.get(name).value()
    shares = [
        np.asarray((g - device.g_min) / span(device))
        for g in (
            calibrated_references(device),
            at_symmetry_point(device),
            calibrated_references(device, (400,), key=KEY),
        )
    ]
    assert shares[0] == pytest.approx(share, abs=0.015)
    assert shares[1] == pytest.approx(share, abs=0.002)
    assert shares[2].mean() == pytest.approx(share, abs=0.015)
    assert shares[2].std() > 1e-3, "the pulses had no noise"
    copied = calibrated_references(device, (4000,), error=0.05, key=KEY)
    spread = np.asarray((copied - device.g_min) / span(device)).std()
    assert spread == pytest.approx(np.hypot(0.05, shares[2].std()), rel=0.1)


def test_devices_that_do_not_settle_have_no_reference(x64):
    pcm = DEVICES.get("gst-pcm").value()
    assert np.isnan(settling_points(pcm, (3,))).all()
    with pytest.raises(ms.InputError, match=r"3 of 3 devices .* driven away from their symmetry point by 500 pairs"):
        calibrated_references(pcm, (3,))
    with pytest.raises(ms.InputError, match=r"1 of 1 devices .* have not settled after 20 pairs"):
        calibrated_references(SoftBounds(), pairs=20)
    with pytest.raises(ms.InputError, match=r"error of a reference is 0\.1 of the range; .* a key"):
        calibrated_references(SoftBounds(), error=0.1)
    device = device_of((2, 3, 4), KEY)
    found = calibrated_references(device, (2, 3, 4))
    np.testing.assert_allclose(found, at_symmetry_point(device, (2, 3, 4)), rtol=5e-3)


def test_refresh_asks_for_the_emptier_side_too():
    """One-sided pairs at 0.8 of the range: refreshed where the other side is above a quarter of it."""
    device = SoftBounds.from_rates(0.02, 0.02)
    crossbar = Crossbar(DifferentialPair(device))
    shares = jnp.asarray([[[0.8, 0.8, 0.7, 0.3]], [[0.3, 0.2, 0.6, 0.8]]])
    cells = crossbar.cell.init((1, 4))
    cells = cells._replace(devices=device.place(cells.devices, device.g_min + shares * span(device)))
    scheme = learning.one_sided_refreshed(every=1, settle=0.0)
    apply = jax.jit(lambda: scheme.apply(scheme.init(crossbar, cells), crossbar, cells, jnp.zeros((1, 4)), key=KEY))
    done = apply()
    np.testing.assert_array_equal(done.ledger.resets, np.tile([[[1, 0, 0, 1]]], (2, 1, 1)))
    kept = np.asarray(crossbar.cell.weight(crossbar.cell.stored(done.cells)))
    np.testing.assert_allclose(kept, [[0.5, 0.6, 0.1, -0.5]], atol=0.02)
    assert not np.asarray(Refresh().due(crossbar.cell, device.g_min + shares * span(device)))[0, :2].any()


@pytest.mark.parametrize("name", ["tiki_taka_2", "chopped_tiki_taka", "agad"])
def test_choppers_cancel_an_offset(x64, name):
    """Nothing is wanted and A reads a constant: the buffer alone marches off, choppers turn it back."""
    device = loop_device()
    cell = Stack(device, midpoint(device))
    shifted = Stack(device, midpoint(device) - jnp.asarray([0.0, 0.1])[:, None, None] * span(device))
    cells, crossbar = cell.place(cell.init((2, 3)), jnp.zeros((2, 3))), Crossbar(shifted)
    scheme = getattr(learning, name)(period=20.0, **({} if name == "tiki_taka_2" else {"chop": 0.1}))

    def one(carry, _):
        done = scheme.apply(carry[0], crossbar, carry[1], jnp.zeros((2, 3)), key=None)
        return (done.state, done.cells), (done.ledger.up - done.ledger.down)[0]

    _, net = jax.jit(lambda: jax.lax.scan(one, (scheme.init(crossbar, cells), cells), None, length=400))()
    sent = np.abs(np.asarray(net)).sum(0)
    total = np.asarray(net).sum(0)
    if name == "tiki_taka_2":
        assert (total > 30).all()
    elif name == "agad":
        assert (sent == 0).all(), "the reference of the first period is the offset itself"
    else:
        assert (sent > 15).all()
        assert (np.abs(total) <= 3).all()


def test_the_stack_reads_its_weight_array_alone_unless_told_otherwise(x64):
    device = loop_device()
    w = jnp.asarray([[0.5, -0.3, 2.0]])
    for gamma, tiles in ((0.0, 2), (0.25, 3)):
        cell = Stack(device, midpoint(device), tiles, gamma)
        cells = cell.place(cell.init(w.shape), w)
        np.testing.assert_allclose(cell.weight(cell.stored(cells)), jnp.clip(w, -1, 1), rtol=1e-9)
        dealt = jnp.zeros((tiles, 1, 3)).at[1].set(3.0)
        after, ledger = Crossbar(cell).pulse(cells, dealt)
        moved = 1 - np.exp(-0.18)  # of a device in mid-range, in units of half a range
        expected = np.clip(w, -1, 1) + gamma * moved
        np.testing.assert_allclose(cell.weight(cell.stored(after)), expected, rtol=1e-9)
        np.testing.assert_allclose(cell.read_row(after, 1, jnp.asarray([0]))[0][0], moved, rtol=1e-9)
        np.testing.assert_array_equal(ledger.up, dealt)
        blind, _ = Crossbar(cell).write(cells, jnp.ones(w.shape))
        np.testing.assert_array_equal(cell.stored(blind)[1:tiles], cell.stored(cells)[1:tiles])


@pytest.mark.parametrize(
    ("name", "spread"),
    [("reram-array-om", spread_of("reram-array-om")), ("ag-a-si", {"device.pulses_up": 0.2}), ("pcm", {})],
)
def test_pulses_on_a_tile_and_on_a_row_are_those_on_all_devices(x64, name, spread):
    """Devices that differ from cell to cell, under wrappers or alone; a row beyond the last takes nothing."""
    shape = (3, 4, 5)
    device = fabricate(find(name), spread, shape=shape, key=KEY)
    crossbar = Crossbar(Stack(device, midpoint(device), 3), drive=Drive(Pulse(1.0, 1e-6), Pulse(1.5, 1e-6)))
    cells = crossbar.cell.place(crossbar.cell.init(shape[1:]), jax.random.uniform(KEY, shape[1:], minval=-0.5))
    cells, _ = crossbar.pulse(cells, jnp.ones(shape), key=KEY)  # states of wrappers differ, too
    on_tile, on_row = jnp.round(3 * jax.random.normal(KEY, shape[1:])), jnp.asarray([[2.0, 0.0, 1.0, 5.0, 1.0]])
    for row in ([2], [4], [0, 3], [3, 4]):
        rows, pulses = jnp.asarray(row, jnp.int32), jnp.tile(on_row, (len(row), 1))
        dealt = jnp.zeros(shape).at[2].set(on_tile).at[1, rows].set(pulses, mode="drop")
        sends = (Send(2, on_tile), Send(1, pulses, rows))
        parts, booked = crossbar.pulse_tiles(cells, sends)
        whole, expected = crossbar.pulse(cells, dealt)
        np.testing.assert_allclose(crossbar.cell.stored(parts), crossbar.cell.stored(whole), rtol=1e-12)
        assert int(booked.up.sum()) > 0
        both = ((x.up, x.down, x.resets, x.write_energy) for x in (booked, expected))
        for one, other in zip(*both, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-24)
    noisy, _ = crossbar.pulse_tiles(cells, sends, key=KEY)
    assert not np.allclose(crossbar.cell.stored(noisy)[2], crossbar.cell.stored(parts)[2], rtol=1e-3, atol=0)
    np.testing.assert_array_equal(crossbar.cell.stored(noisy)[0], crossbar.cell.stored(cells)[0])


def test_a_pulse_is_worth_the_same_whatever_the_references(x64):
    """Devices and references that differ from cell to cell: the mean cell has the mean of both."""
    device = device_of((2, 4, 5), KEY)
    for cell in (
        Stack(device, symmetry_points(device, (2, 4, 5))),
        SingleReference(jax.tree.map(lambda x: x[0] if x.ndim else x, device), symmetry_points(device, (2, 4, 5))[0]),
    ):
        worth = cell.nominal_worth()
        assert float(worth.up) == pytest.approx(1 - np.exp(-0.02), rel=0.15)
        assert float(worth.down) == pytest.approx(np.exp(-0.02) - 1, rel=0.15)


def test_a_row_is_read_with_the_noise_of_its_devices(x64):
    """As many reads as columns: the s.d. is that of the write noise, and a pulse renews it."""
    device = WriteNoise(loop_device(), level=0.02)
    cell = Stack(device, midpoint(device))
    cells = cell.place(cell.init((2, 5000)), jnp.zeros((2, 5000)))
    np.testing.assert_allclose(cell.read_row(cells, 1, jnp.asarray([1]), key=KEY)[0][0], 0, atol=1e-9)
    after, _ = Crossbar(cell).pulse(cells, jnp.ones((2, 2, 5000)), key=KEY)
    seen = np.asarray(cell.read_row(after, 1, jnp.asarray([1]), key=KEY)[0][0])
    assert seen.std() == pytest.approx(0.04, rel=0.05)
    assert seen.mean() == pytest.approx(1 - np.exp(-LAW["up"]), abs=0.003)


def test_the_ledger_is_what_devices_took_with_noise_and_many_chips():
    """Pulses of the gradient and the weight array against the devices' own count, on devices that all differ."""
    scheme = learning.agad(period=8.0, chop=0.5, most=4, noise=0.05)

    def chip(key):
        device = Counted(device_of((2, 5, 4), key))
        cell = Stack(device, midpoint(device))
        cells = cell.place(cell.init((5, 4)), jnp.zeros((5, 4)))
        crossbar = Crossbar(cell)

        def one(carry, own):
            dw = 0.05 * jax.random.normal(own, (5, 4)) + 0.03
            done = scheme.apply(carry[0], crossbar, carry[1], dw, key=own)
            return (done.state, done.cells), (done.ledger.up, done.ledger.down)

        (_, after), booked = jax.lax.scan(one, (scheme.init(crossbar, cells), cells), jax.random.split(key, 120))
        return booked, after.devices.memory

    (up, down), taken = jax.jit(jax.vmap(chip))(jax.random.split(KEY, 3))
    np.testing.assert_array_equal(up.sum(1)[:, :2], taken.up)
    np.testing.assert_array_equal(down.sum(1)[:, :2], taken.down)
    assert np.asarray(up).sum(1)[:, 0].sum() > 50, "the weight array"


def test_a_counting_of_another_kind_fits(x64):
    """Gradients cut to whole pulses and the rest lost: small ones never arrive."""
    device = loop_device()
    crossbar = Crossbar(Stack(device, midpoint(device)))
    cells = crossbar.cell.place(crossbar.cell.init((2, 3)), jnp.zeros((2, 3)))
    scheme = learning.transferring(buffered(), learning.GradientArray(counting=rounded(1.0)))
    step = float(scheme.init(crossbar, cells).step)
    for share, expected in ((0.9, 0), (2.1, 2)):
        dw = jnp.full((2, 3), share * step)
        done = scheme.apply(scheme.init(crossbar, cells), crossbar, cells, dw, key=KEY)
        np.testing.assert_array_equal(done.ledger.up[1], expected)


def refused(cell, scheme):
    return scheme.init(Crossbar(cell), cell.init((2, 2)))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: refused(DifferentialPair(), learning.agad()), "needs a Stack cell of 2 tiles; this is a Diff"),
        (lambda: refused(SingleReference(SoftBounds(), 5e-6), learning.tiki_taka()), "this is a SingleReference"),
        (lambda: refused(Stack(SoftBounds(), 5e-6, 3), learning.tiki_taka_2()), "this is a Stack of 3 tiles"),
        (lambda: refused(Stack(SoftBounds(), 5e-6), learning.mixed_precision_refreshed()), "A Stack has no second"),
        (lambda: Stack(SoftBounds(), 5e-6, 1), "Stack.tiles is 1"),
        (lambda: learning.tiki_taka_2(reads=2.5), r"reads \(rows of A read in an update\) is 2.5"),
        (lambda: learning.agad(reads=0.4), r"reads \(rows of A read in an update\) is 0.4"),
        (lambda: refused(DifferentialPair(), learning.residual_tiles()), "needs a Stack cell of 2 or more tiles"),
    ],
)
def test_what_cannot_work_is_refused(make, words):
    with pytest.raises(ms.InputError, match=words):
        make()
