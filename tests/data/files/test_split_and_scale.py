"""Splits that keep groups apart, orders that keep parts balanced, scales fitted on the training part alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memspike as ms
from memspike.data.files import scale, split
from memspike.data.files.options import Reading
from memspike.data.files.raw import Raw

N = 120


def raw(**more):
    rng = np.random.default_rng(0)
    y = np.arange(N) % 3
    given = {
        "form": "made here",
        "x": rng.normal(size=(N, 4, 2)),
        "kind": "frames",
        "labels": tuple(map(str, y)),
        "groups": {"speaker": tuple(f"s{k % 7}" for k in rng.permutation(N))},
    }
    return Raw(**{**given, **more}), y


def test_a_made_split_has_every_class_in_its_share():
    one, y = raw()
    train, test = split.parts(one, y, Reading(), None)
    assert sorted([*train, *test]) == list(range(N))
    np.testing.assert_array_equal(np.bincount(y[test]), 10)
    again = split.parts(one, y, Reading(), None)
    np.testing.assert_array_equal(np.concatenate(again), np.concatenate([train, test]))
    assert len(split.parts(one, y, Reading(split=0.5), None)[1]) == 60


@settings(max_examples=30)
@given(st.lists(st.integers(0, 3), min_size=8, max_size=80), st.integers(1, 8))
def test_the_last_examples_hold_the_classes_in_their_proportions(classes, last):
    y = np.array([*range(4), *classes])
    order = split.turns(y)
    assert sorted(order) == list(range(len(y)))
    tail = np.bincount(y[order[-last:]], minlength=4)
    assert (np.abs(tail - last * np.bincount(y, minlength=4) / len(y)) < 2).all()


def test_training_examples_take_turns():
    one, y = raw()
    train, _ = split.parts(one, y, Reading(), None)
    np.testing.assert_array_equal(np.bincount(y[train[-30:]]), 10)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.6])
def test_a_group_is_on_one_side_alone(share):
    one, y = raw()
    groups = np.array(one.groups["speaker"])
    train, test = split.parts(one, y, Reading(group="speaker", split=share), None)
    assert not {*groups[train]} & {*groups[test]}
    assert set(y[test]) == {0, 1, 2}
    assert abs(len(test) / N - share) < 0.1
    own = groups[train]
    assert len(np.flatnonzero(own[1:] != own[:-1])) == len(set(own)) - 1


def test_one_who_is_left_out_is_the_whole_test_part():
    one, y = raw()
    groups = np.array(one.groups["speaker"])
    for reading in (Reading(), Reading(group="speaker")):
        train, test = split.parts(one, y, reading, "s3")
        assert set(groups[test]) == {"s3"}
        assert "s3" not in groups[train]


@pytest.mark.parametrize(
    ("given", "leave_out", "more", "said"),
    [
        (Reading(group="speakr"), None, {}, "data.group 'speakr'.*speaker"),
        (Reading(), "s9", {}, "speaker 's9'"),
        (Reading(group="speaker"), None, {"groups": {}}, "says nothing of groups"),
        (Reading(), "s1", {"groups": {"a": ("s1",) * N, "b": ("s2",) * N}}, "of what.*a, b"),
        (Reading(group="a"), None, {"groups": {"a": ("s1",) * N}}, "one alone"),
        (Reading(split=0.3), "s1", {}, "leave one of them out"),
    ],
)
def test_splits_that_cannot_be_are_one_sentence(given, leave_out, more, said):
    one, y = raw(**more)
    with pytest.raises(ms.InputError, match=said):
        split.parts(one, y, given, leave_out)


def test_a_series_is_split_at_its_end():
    one, _ = raw(labels=None, targets=np.zeros((N, 4, 1), np.float32), series=True)
    train, test = split.parts(one, None, Reading(), None)
    np.testing.assert_array_equal(np.concatenate([train, test]), np.arange(N))


def test_a_scale_knows_the_training_part_alone():
    one, _ = raw(x=np.stack([np.linspace(0, 1, N), np.linspace(5, 7, N)], axis=1)[:, None])
    train = np.arange(60)
    x, clipped = scale.fitted(one, train, "range")(one.x, one.own)
    np.testing.assert_allclose(x[train].min((0, 1)), 0)
    np.testing.assert_allclose(x[train].max((0, 1)), 1)
    np.testing.assert_array_equal(x[60:], 1)
    assert clipped == 0.5
    standard = scale.fitted(one, train, "standard")
    x, _ = standard(one.x[train], one.own[train])
    np.testing.assert_allclose(x.mean((0, 1)), 0.5, atol=1e-6)
    np.testing.assert_allclose(x.std((0, 1)), 1 / 6, rtol=1e-5)


def test_all_pixels_of_images_have_one_scale():
    one, _ = raw(kind="images")
    scaling = scale.fitted(one, np.arange(N), "range")
    assert scaling.low is not None
    assert scaling.low.shape == (1, 1, 1)
    assert scaling.low.item() == one.x.min()


def test_a_channel_that_never_changes_is_0():
    x = np.random.default_rng(0).normal(size=(N, 4, 2))
    x[..., 1] = 3
    one, _ = raw(x=x)
    scaling = scale.fitted(one, np.arange(N), None)
    assert scaling.constant == 1
    assert not scaling(x, one.own)[0][..., 1].any()


def test_values_without_a_scale_lie_between_0_and_1():
    x = np.random.default_rng(0).random((N, 4, 2))
    one, _ = raw(x=x)
    kept, _ = scale.fitted(one, np.arange(60), "none")(x, one.own)
    np.testing.assert_allclose(kept, x, rtol=1e-6)
    x[7, 2, 1] = 1.5
    with pytest.raises(ms.InputError, match=r"example 7, frame 2, channel 1 is 1\.5"):
        scale.fitted(one, np.arange(60), "none")


def test_counts_are_over_the_largest_of_the_training_part():
    x = np.random.default_rng(0).integers(0, 5, (N, 4, 2)).astype(np.uint8)
    x[100, 0, 0] = 9
    one, _ = raw(x=x, counts=True)
    scaling = scale.fitted(one, np.arange(60), None)
    kept, clipped = scaling(x[60:], one.own[60:])
    assert scaling.full_scale == 4.0
    assert kept.max() == 4
    assert clipped > 0
