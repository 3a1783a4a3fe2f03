"""npz and npy: what is understood, and one sentence for what cannot be."""

import numpy as np
import pytest

import memspike as ms
from memspike.data.files.dataset import load_file, understood
from memspike.data.files.formats import read
from memspike.data.files.options import Reading

N, T, C = 30, 6, 3
X = np.random.default_rng(0).normal(size=(N, T, C))
Y = np.array(["low", "high", "mid"] * 10)


def saved(path, **arrays):
    np.savez(path, **{"x": X, "y": Y, **arrays})
    return path


def test_classes_are_any_strings_in_the_order_of_the_alphabet(tmp_path):
    data = load_file(saved(tmp_path / "a.npz"))
    assert data.names == ("high", "low", "mid")
    assert data.classes == 3
    assert data.lengths_train is None
    assert (len(data.y_train), len(data.y_test)) == (24, 6)  # a quarter of ten, rounded to even, of every class
    assert data.x_train.dtype == np.float32


def test_whole_numbers_are_classes_in_their_own_order(tmp_path):
    y = np.array([10, 9, 2] * 10)
    assert load_file(saved(tmp_path / "a.npz", y=y)).names == ("2", "9", "10")
    assert load_file(saved(tmp_path / "b.npz", y=np.arange(N) % 3)).names == ()


def test_what_is_behind_the_length_of_an_example_does_not_count(tmp_path):
    lengths = np.arange(N) % (T - 1) + 2
    x = X.copy()
    for k, n in enumerate(lengths):
        x[k, n:] = np.nan
    found = understood(saved(tmp_path / "a.npz", x=x, lengths=lengths))
    data = found.data
    parts = ((found.train, data.x_train, data.lengths_train), (found.test, data.x_test, data.lengths_test))
    for which, values, ends in parts:
        assert ends is not None
        np.testing.assert_array_equal(ends, lengths[which])
        assert not any(row[n:].any() for row, n in zip(values, ends, strict=True))
    seen = np.concatenate([X[k, : lengths[k]] for k in found.train])
    expected = (X[found.train[0], 0] - seen.min(0)) / np.ptp(seen, axis=0)
    np.testing.assert_allclose(found.data.x_train[0, 0], expected, rtol=1e-5)


def test_lengths_that_are_all_equal_are_none(tmp_path):
    assert load_file(saved(tmp_path / "a.npz", lengths=np.full(N, T))).lengths_train is None


def test_bytes_stay_as_they_are(tmp_path):
    x = np.random.default_rng(1).integers(0, 256, (N, 4, 4)).astype(np.uint8)
    found = understood(saved(tmp_path / "a.npz", x=x), Reading(kind="images"))
    assert found.data.full_scale == 255.0
    np.testing.assert_array_equal(found.data.x_test, x[found.test])


def test_a_stated_split_is_kept(tmp_path):
    given = {"X_train": X[:20], "y_train": Y[:20], "X_test": X[20:], "y_test": Y[20:]}
    np.savez(tmp_path / "a.npz", **given)
    found = understood(tmp_path / "a.npz")
    assert sorted(found.train) == list(range(20))
    np.testing.assert_array_equal(found.test, range(20, 30))
    split = np.where(np.arange(N) < 20, "train", "test")
    other = understood(saved(tmp_path / "b.npz", split=split))
    np.testing.assert_array_equal(other.data.x_train, found.data.x_train)
    with pytest.raises(ms.InputError, match=r"data\.split is 0\.5, but the file states"):
        load_file(tmp_path / "a.npz", Reading(split=0.5))


def test_a_pair_and_a_folder_of_npy_files_are_the_same(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    for start in (folder / "x", tmp_path / "mine_x"):
        np.save(start, X)
        np.save(start.with_name(start.name[:-1] + "y"), Y)
    pair, both = load_file(tmp_path / "mine_x.npy"), load_file(folder)
    np.testing.assert_array_equal(pair.x_train, both.x_train)
    np.testing.assert_array_equal(pair.y_train, load_file(saved(tmp_path / "a.npz")).y_train)


def test_features_are_one_frame(tmp_path):
    assert load_file(saved(tmp_path / "a.npz", x=X[:, 0])).x_train.shape == (24, 1, C)


def test_decimals_are_a_regression(tmp_path):
    y = X.mean(axis=2)
    each = load_file(saved(tmp_path / "a.npz", y=y))
    assert each.regression
    assert each.y_train.shape[1:] == (T, 1)
    one = understood(saved(tmp_path / "b.npz", y=y[:, :2]))
    assert one.data.classes == 2
    np.testing.assert_allclose(one.data.y_test, np.repeat(y[one.test, None, :2], T, axis=1), rtol=1e-6)
    assert "at every frame" in one.raw.notes[-1]


def test_whole_numbers_as_floats_are_asked_about(tmp_path):
    path = saved(tmp_path / "a.npz", y=np.arange(N) % 3 * 1.0)
    with pytest.raises(ms.InputError, match=r"data\.label=y for classes or data\.target=y"):
        load_file(path)
    assert not load_file(path, Reading(label="y")).regression
    assert load_file(path, Reading(target="y")).regression


def test_frames_are_resampled_from_those_of_each_example(tmp_path):
    lengths = np.where(np.arange(N) % 2, 4, 6)
    found = read(saved(tmp_path / "a.npz", lengths=lengths), Reading())
    data = understood(tmp_path / "a.npz", Reading(frames=2)).data
    assert data.x_train.shape[1:] == (2, C)
    assert data.lengths_train is None
    from memspike.data.files.dataset import resampled

    short = resampled(found, 2)
    np.testing.assert_allclose(short.x[0], [X[0, :3].mean(0), X[0, 3:].mean(0)])
    np.testing.assert_allclose(short.x[1], [X[1, :2].mean(0), X[1, 2:4].mean(0)])


def nan_at(n, t, c, *, to_end=False):
    x = X.copy()
    x[n, t:, :] = np.nan if to_end else x[n, t:, :]
    x[n, t, c] = np.nan
    return x


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": nan_at(4, 2, 1)}, "example 4, frame 2, channel 1 is NaN; finite numbers are needed."),
        ({"x": nan_at(4, 2, 0, to_end=True)}, "an array of lengths that says where it ends"),
        ({"x": X[:, :, :, None, None]}, r"shape \[30, 6, 3, 1, 1\]; needed"),
        ({"x": np.zeros((N, 4, 4, 3), np.uint8)}, "Colours have to be made grey"),
        ({"x": X.astype(complex)}, "type complex128; numbers are needed"),
        ({"x": X.astype(str)}, "numbers are needed"),
        (
            {"x": np.array([X[0], X[1, :2]], dtype=object)},
            "save one array .* array called lengths",
        ),
        ({"y": Y[:-1]}, "x has 30 examples and y 29"),
        ({"y": np.array(["a", ""] * 15)}, "example 1 has no label"),
        ({"y": np.eye(3, dtype=int)[np.arange(N) % 3]}, "one class an example"),
        ({"lengths": np.full(N, T + 1)}, "lengths of example 0 is 7; allowed: 1 to 6"),
        ({"lengths": np.full(N, 2.0)}, "a whole number for each of the 30 examples"),
        ({"split": np.array(["train"] * 29 + ["dev"])}, "split of example 29 is 'dev'; allowed: train, test"),
        ({"split": np.where(Y == "mid", "test", "train")}, "class 'mid' has examples in the test part and none"),
        ({"y": np.array(["a"] * N)}, "of one class"),
        ({"y": np.array(["b"] + ["a"] * (N - 1))}, "one example of the class 'b' alone"),
        ({"target": Y}, "both y and target"),
    ],
)
def test_bad_arrays_are_one_sentence(tmp_path, arrays, said):
    with pytest.raises(ms.InputError, match=said):
        load_file(saved(tmp_path / "a.npz", **arrays))


def test_a_split_without_labels_is_one_sentence(tmp_path):
    np.savez(tmp_path / "a.npz", x_train=X, y_train=Y, x_test=X)
    with pytest.raises(ms.InputError, match="lacks y_test"):
        load_file(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", x_train=X, x_test=X)
    with pytest.raises(ms.InputError, match="one array y"):
        load_file(tmp_path / "b.npz")
    np.savez(tmp_path / "c.npz", x_train=X, y_train=Y, x_test=X[:, :4], y_test=Y)
    with pytest.raises(ms.InputError, match="shorter examples with zeros behind"):
        load_file(tmp_path / "c.npz")


def test_padding_that_nobody_speaks_of_is_noted(tmp_path):
    x = X.copy()
    x[:5, 3:] = 0
    assert "add an array called lengths" in read(saved(tmp_path / "a.npz", x=x), Reading()).notes[0]
