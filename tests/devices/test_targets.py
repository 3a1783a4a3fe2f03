"""Programming to targets: books against the device's own count, verdicts, brute-force ramps, a loop in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from memspike import InputError, devices
from memspike.devices import AbstractPulseDevice, targets
from memspike.devices.targets import open_loop, ramp, statistical, write_verify
from memspike.parts.registry import DEVICES

NAMES = [entry.name for entry in DEVICES if isinstance(entry.value(), AbstractPulseDevice)]
NOISY = ("pcm", "pcm-joshi", "reram-es")
# a noise-free pulse of these moves more than twice the tolerance, somewhere
COARSE = {"pcm", "pcm-wide", "pcmo", "reram-array-hfo2", "pcm-exp-step", "pulsed-vteam"}
TOLERANCE, SETTLE = 0.05, 38.6
KEY = jax.random.key(0)


def make(name):
    return DEVICES.get(name).value()


def between(device, n):
    low, high = float(device.g_min), float(device.g_max)
    return jnp.clip(jnp.linspace(low, high, n), device.g_min, device.g_max)


def reach(device, target, settle=SETTLE):
    """The target, but not below what a noise-free RESET leaves."""
    return np.maximum(target, np.asarray(device.conductance(device.init(target.shape), settle)))


def check_verdicts(device, target, done, most):
    """Who failed is who an own noise-free check finds outside, and had all its pulses; → who failed."""
    applied, span = np.asarray(done.up + done.down + done.resets), float(device.g_max - device.g_min)
    np.testing.assert_array_equal(applied, np.asarray(done.state.memory))
    assert (applied <= most).all()
    assert min(map(np.min, (done.up, done.down, done.resets))) >= 0
    assert (np.asarray(done.reads) >= 1).all()
    assert (np.asarray(done.reads) <= applied + 1).all()
    seen = np.asarray(device.conductance(done.state, SETTLE))
    away = np.abs(reach(device, target) - seen) / span
    np.testing.assert_array_equal(np.asarray(done.failed), away > TOLERANCE)
    assert (applied[away > TOLERANCE] == most).all()
    return away > TOLERANCE


@pytest.mark.parametrize("name", NAMES)
def test_every_device_without_noise(name):
    """The device's own count of pulses is the one booked, verdicts are true, and small steps arrive."""
    device = devices.LimitedEndurance(make(name), endurance=1e9)
    target, fine = between(device, 24), name not in COARSE
    most = 20_000 if fine else 200
    done = write_verify(device, device.init((24,)), target, tolerance=TOLERANCE, most=most, settle=SETTLE, key=None)
    assert check_verdicts(device, target, done, most).any() <= (not fine)


@pytest.mark.parametrize("name", NOISY)
def test_books_and_verdicts_with_noise(name):
    device = devices.LimitedEndurance(make(name), endurance=1e9)
    target = between(device, 24)
    start = device.init((24,), key=jax.random.key(1))
    done = write_verify(device, start, target, tolerance=TOLERANCE, most=300, settle=SETTLE, reads=0, key=KEY)
    check_verdicts(device, target, done, 300)


def test_soft_bounds_to_the_tolerance():
    device = devices.SoftBounds()
    target = between(device, 1000)
    start = device.place(device.init((1000,)), target[::-1])
    done = write_verify(device, start, target, tolerance=0.012, key=None)
    assert not np.asarray(done.failed).any()
    assert np.abs(np.asarray(done.state - target)).max() <= 0.012 * 9e-6 * (1 + 1e-5)
    assert np.asarray(done.up).max() > 20
    assert np.asarray(done.down).max() > 20
    assert np.asarray(done.reads).mean() < 6  # several pulses a round


def test_finished_devices_are_left_alone():
    device = devices.PCM()
    target = jnp.linspace(1e-6, 9e-6, 20)
    state = device.wait(device.place(device.init((20,)), target.at[::2].add(-0.5e-6)), 100.0)
    done = write_verify(device, state, target * device.drift(101.0, target), tolerance=0.02, reads=0, key=KEY)
    for before, after in zip(state, done.state, strict=True):
        np.testing.assert_array_equal(np.asarray(before)[1::2], np.asarray(after)[1::2])
    assert not np.asarray(done.up)[1::2].any()
    assert not np.asarray(done.resets)[1::2].any()
    np.testing.assert_array_equal(np.asarray(done.reads)[1::2], 1)
    assert (np.asarray(done.up)[::2] > 0).all()
    assert not np.asarray(done.state.age)[::2].any()


def test_stuck_cells_fail_and_the_others_do_not():
    device = devices.fabricate(devices.SoftBounds(), {"pulses_up": 0.1}, shape=(20, 30), stuck=0.2, key=KEY)
    target = jax.random.uniform(jax.random.key(1), (20, 30), minval=1e-6, maxval=10e-6)
    done = write_verify(device, device.init((20, 30)), target, tolerance=0.03, most=200, key=None)
    fault, share = np.asarray(device.fault), (np.asarray(target) - 1e-6) / 9e-6
    lost = ((fault > 0) & (share < 0.97)) | ((fault < 0) & (share > 0.03))
    np.testing.assert_array_equal(np.asarray(done.failed), lost)
    assert 60 < lost.sum() < 180
    assert (np.asarray(done.up + done.down)[lost] == 200).all()
    blind = open_loop(device, device.init((20, 30)), target, key=None)
    assert np.asarray(blind.failed)[(fault < 0) & (share > 0.03)].all()
    assert not np.asarray(blind.failed)[fault == 0].any()


def test_used_up_devices_fail():
    device = devices.LimitedEndurance(devices.SoftBounds(), endurance=10.0)
    done = write_verify(device, device.init((3,)), jnp.asarray([1e-6, 2e-6, 9e-6]), tolerance=0.03, most=50, key=None)
    np.testing.assert_array_equal(np.asarray(done.failed), [False, False, True])


class UpOnly(devices.AbstractVariation):
    """A device without any answer to down pulses: after an overshoot only a RESET helps."""

    device: AbstractPulseDevice
    source = "test"
    volatile = False

    def start(self, g):
        return ()

    def written(self, before, after, pulses, *, key):
        return devices.Varied(after, ())

    def program(self, state, pulses, *, key=None):
        return devices.Varied(self.device.program(state.inner, jnp.maximum(pulses, 0), key=key), ())

    def held(self, g):
        return g

    def seen(self, memory, g):
        return g


def test_a_device_without_down_pulses_is_reset_after_an_overshoot():
    device = UpOnly(devices.CycleToCycle(devices.SoftBounds(), up=0.04))
    target = between(device, 200)
    start = device.place(device.init((200,)), jnp.full((200,), 10e-6))
    done = write_verify(device, start, target, tolerance=0.02, key=KEY)
    assert np.asarray(done.failed).mean() < 0.02
    assert not np.asarray(done.down).any()
    assert np.asarray(done.resets)[:150].min() >= 1


def test_a_target_below_what_a_reset_leaves_is_that_level():
    device = devices.PCM()
    done = write_verify(
        device, device.init((4,)), jnp.full((4,), 0.01e-6), tolerance=1e-3, settle=1e-3, reads=0, key=None
    )
    assert not np.asarray(done.failed).any()
    assert not np.asarray(done.up + done.resets).any()


def test_broken_targets_end(x64):
    """A target that is not a number can be checked before a run only; inside one it fails after its pulses."""
    device = devices.SoftBounds()

    @jax.jit
    def run(target):
        return write_verify(device, device.init((2,)), target, tolerance=0.03, most=20, key=None)

    np.testing.assert_array_equal(np.asarray(run(jnp.asarray([jnp.nan, 1e-6])).failed), [True, False])


# a loop in NumPy on the published equations of the phase-change device


def numpy_write_verify(target, tolerance, reads, rng, most=1000):
    """µS, one device an entry: read `reads` times at T0, one SET below the window and one RESET above it."""
    g, p = np.clip(rng.normal(0.1, 0.01, target.shape), 0.01, 12), np.ones(target.shape)
    sets, resets, verifies = (np.zeros(target.shape, int) for _ in range(3))
    goal, open_ = np.maximum(target, 0.1), np.ones(target.shape, bool)
    while open_.any():
        noise = rng.standard_normal((max(reads, 1), *target.shape)) * (0.03 * g + 0.13)
        seen = np.clip(g + noise, 0.1, 12).mean(0) if reads else g
        verifies += open_
        open_ = open_ & (np.abs(goal - seen) > tolerance * 11.99) & (sets + resets < most)
        up, down = open_ & (seen < goal), open_ & (seen > goal)
        faded = p * np.exp(-1 / 2.6)
        step = rng.normal(-0.084 * g + 0.88 + 1.4 * faded, 0.091 * g + 0.26 + 2.15 * faded)
        fresh = np.clip(rng.normal(0.1, 0.01, target.shape), 0.01, 12)
        g = np.where(up, np.clip(g + step, 0.1, 12), np.where(down, fresh, g))
        p = np.where(up, faded, np.where(down, 1.0, p))
        sets, resets = sets + up, resets + down
    return g, sets, resets, verifies


@pytest.mark.parametrize(("reads", "n", "slots"), [(1, 3000, ()), (3, 4000, (500,))])
def test_phase_change_statistics_equal_those_of_a_loop_in_numpy(reads, n, slots, monkeypatch):
    """All at once, and in a small buffer that is refilled."""
    monkeypatch.setattr(targets, "SLOTS", slots)
    device, rng = devices.PCM(), np.random.default_rng(reads)
    share = np.where(rng.random(n) < 0.3, 0.0, rng.random(n))
    target = 0.01 + 11.99 * share
    g, sets, resets, verifies = numpy_write_verify(target, 0.02, reads, rng)
    wanted = jnp.clip(jnp.asarray(target * 1e-6, jnp.float32), device.g_min, device.g_max)
    start = device.init((n,), key=jax.random.key(5))
    done = write_verify(device, start, wanted, tolerance=0.02, settle=SETTLE, reads=reads, key=KEY)
    for theirs, ours in ((sets, done.up), (resets, done.resets), (verifies * max(reads, 1), done.reads)):
        ours = np.asarray(ours)
        error = np.sqrt((theirs.var() + ours.var()) / n)
        assert abs(ours.mean() - theirs.mean()) < 4 * error, (ours.mean(), theirs.mean(), error)
    missed, well = np.asarray(done.state.g) * 1e6 - target, ~np.asarray(done.failed)
    assert missed[well].std() == pytest.approx((g - target).std(), rel=0.06)
    assert not np.asarray(done.down).any()
    assert well.mean() > 0.998
    again = write_verify(device, start, wanted, tolerance=0.02, settle=SETTLE, reads=reads, key=KEY)
    np.testing.assert_array_equal(np.asarray(again.state.g), np.asarray(done.state.g))


def test_the_buffer_changes_no_number(monkeypatch):
    """Without noise many devices in small buffers, refilled often, are each what they are alone."""
    device = devices.fabricate(devices.SoftBounds(), {"pulses_up": 0.3, "g_max": 0.1}, shape=(517,), key=KEY)
    target = device.g_min + jax.random.uniform(jax.random.key(1), (517,)) * (device.g_max - device.g_min)
    monkeypatch.setattr(targets, "SLOTS", (40, 8))
    small = write_verify(device, device.init((517,)), target, tolerance=0.012, key=None)
    monkeypatch.setattr(targets, "SLOTS", (1000,))
    large = write_verify(device, device.init((517,))[None], target[None], tolerance=0.012, key=None)
    for ours, theirs in zip(small, large, strict=True):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs)[0])
    assert not np.asarray(small.failed).any()


def test_chips_by_vmap_are_those_of_a_loop():
    device = devices.SoftBounds()
    wanted = jax.random.uniform(KEY, (3, 16), minval=1e-6, maxval=10e-6)

    def run(target):
        return write_verify(device, device.init((16,)), target, tolerance=0.02, key=None)

    chips, alone = jax.vmap(run)(wanted), [run(t) for t in wanted]
    np.testing.assert_array_equal(np.asarray(chips.up), np.stack([a.up for a in alone]))
    np.testing.assert_allclose(chips.state, jnp.stack([a.state for a in alone]), rtol=1e-6)


# blind programming


@pytest.mark.parametrize("name", ["pcm", "soft-bounds", "tabular", "pulsed-vteam"])
def test_open_loop_against_the_brute_force_ramp(name):
    device, most = make(name), 80
    state, curve = device.init(), [float(device.stored(device.init()))]
    single = jax.jit(lambda s: device.program(s, 1))
    for _ in range(most):
        state = single(state)
        curve.append(float(device.stored(state)))
    np.testing.assert_allclose(np.asarray(ramp(device, most)), curve, rtol=1e-4)
    curve, target = np.asarray(curve), between(device, 33)
    done = open_loop(device, device.init((33,)), target, most=most, key=None)
    span = float(device.g_max - device.g_min)
    best = np.abs(curve[None] - np.asarray(target)[:, None]).min(1)
    np.testing.assert_allclose(np.abs(np.asarray(device.stored(done.state) - target)), best, atol=3e-4 * span)
    np.testing.assert_array_equal(np.asarray(done.resets), 1)
    out = np.asarray(target) > curve.max() + 1e-3 * span
    np.testing.assert_array_equal(np.asarray(done.failed), out)


def test_open_loop_hits_the_mean_and_keeps_the_noise():
    device = devices.CycleToCycle(devices.SoftBounds(), up=0.01)
    target = jnp.full((20_000,), 4e-6)
    done = open_loop(device, device.init((20_000,)), target, key=KEY)
    n = int(np.unique(np.asarray(done.up))[0])
    curve = np.asarray(ramp(device.device, 100))
    assert np.unique(np.asarray(done.up)).size == 1
    assert n == np.abs(curve - 4e-6).argmin()
    g = np.asarray(device.stored(done.state))
    assert g.mean() == pytest.approx(curve[n], rel=1e-3)
    assert g.std() == pytest.approx(0.01 * 9e-6 * np.sqrt(n), rel=0.03)


def test_open_loop_goes_on_from_where_a_device_is():
    device = devices.ConstantStep()
    step = float(device.g_max - device.g_min) / 64
    start = jnp.asarray([10.0, 30.0, 64.0, 0.0]) * step + device.g_min
    target = jnp.asarray([30.2, 10.4, 1.0, 0.0]) * step + device.g_min
    done = open_loop(device, start, target, fresh=False, key=None)
    np.testing.assert_array_equal(np.asarray(done.up), [20, 0, 0, 0])
    np.testing.assert_array_equal(np.asarray(done.down), [0, 20, 63, 0])
    assert not np.asarray(done.resets).any()
    pcm = devices.PCM()
    state = pcm.place(pcm.init((2,)), jnp.asarray([2e-6, 8e-6]))
    done = open_loop(pcm, state, jnp.asarray([5e-6, 5e-6]), fresh=False, key=None)
    np.testing.assert_array_equal(np.asarray(done.resets), [0, 1])
    assert not np.asarray(done.down).any()


# statistical programming


def test_statistical_programming_against_its_formulas():
    device, n, t = devices.PCMJoshi(), 100_000, 1e5
    share = 0.6
    rng = np.random.default_rng(0)
    sd = 0.2635 + 1.965 * share - 1.1731 * share**2
    g = np.clip(25 * share + sd * rng.standard_normal(n), 0, 25)
    mean = np.clip(-0.0155 * np.log(share) + 0.0244, 0.049, 0.1)
    scatter = np.clip(-0.0125 * np.log(share) - 0.0059, 0.008, 0.045)
    expected = g * (t / 20) ** -np.abs(mean + scatter * rng.standard_normal(n))
    ours = np.asarray(statistical(device, jnp.full((n,), 25e-6 * share), t, key=KEY)) * 1e6
    assert ours.mean() == pytest.approx(expected.mean(), rel=2e-3)
    assert ours.std() == pytest.approx(expected.std(), rel=0.02)
    np.testing.assert_allclose(np.quantile(ours, [0.01, 0.99]), np.quantile(expected, [0.01, 0.99]), rtol=0.01)
    noisy = np.asarray(statistical(device, jnp.full((n,), 25e-6 * share), t, noisy=True, key=KEY)) * 1e6
    read = 0.0088 / share**0.65 * np.sqrt(np.log((t + 250e-9) / (2 * 250e-9)))
    assert (noisy - ours).std() == pytest.approx(read * np.sqrt((ours**2).mean()), rel=0.02)
    exact = statistical(device, jnp.full((3,), 25e-6 * share), t, key=None)
    np.testing.assert_allclose(exact, 25e-6 * share * (t / 20) ** -mean, rtol=1e-5)


# wrong input


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"target": 11e-6}, "target conductance is 1.1e-05 S; allowed: 1e-06 to 1e-05 S"),
        ({"target": 0.0}, "target conductance"),
        ({"target": float("nan")}, "target conductance"),
        ({"tolerance": 0.0}, "tolerance is 0.0; allowed: above 0"),
        ({"tolerance": -0.01}, "tolerance"),
        ({"tolerance": float("nan")}, "tolerance"),
        ({"most": -1}, "most"),
        ({"settle": -1.0}, "settle"),
        ({"reads": -1}, "reads"),
    ],
)
def test_wrong_settings(change, words):
    device, settings = devices.SoftBounds(), {"tolerance": 0.01} | change
    target = jnp.asarray([5e-6, settings.pop("target", 5e-6)])
    with pytest.raises(InputError, match=words):
        write_verify(device, device.init((2,)), target, **settings, key=KEY)


def test_wrong_targets_of_the_other_ways():
    device = devices.SoftBounds()
    with pytest.raises(InputError, match="target"):
        open_loop(device, device.init(), jnp.asarray(1.0), key=KEY)
    with pytest.raises(InputError, match="most"):
        open_loop(device, device.init(), jnp.asarray(5e-6), most=-1, key=KEY)
    with pytest.raises(InputError, match="target"):
        statistical(device, jnp.asarray(1.0), 1.0, key=KEY)
    with pytest.raises(InputError, match="shape"):
        write_verify(device, device.init((3,)), jnp.full((2,), 5e-6), tolerance=0.01, key=KEY)


def test_double_precision(x64):
    device = devices.CycleToCycle(devices.SoftBounds(), up=0.01, down=0.01)
    done = write_verify(device, device.init((50,)), between(device, 50), tolerance=0.03, key=KEY)
    assert device.stored(done.state).dtype == jnp.float64
    assert not np.asarray(done.failed).any()
    assert open_loop(device, done.state, between(device, 50), key=None).state.inner.dtype == jnp.float64
