"""Spike times in the layout of SHD: counted in double precision, of unequal lengths, with speakers."""

import numpy as np
import pytest

import memspike as ms
from memspike.data.files.dataset import understood
from memspike.data.files.options import Reading
from memspike.data.files.spike_times import counts

h5py = pytest.importorskip("h5py")
KEYS = [b"eins", b"zwei", b"one", b"two"]


def shd(path, count, seed=0, *, units=700, change=None):
    """A file in the exact layout of the Heidelberg digits: types, names and groups."""
    rng = np.random.default_rng(seed)
    with h5py.File(path, "w") as file:
        times = file.create_dataset("spikes/times", (count,), dtype=h5py.vlen_dtype(np.float16))
        sources = file.create_dataset("spikes/units", (count,), dtype=h5py.vlen_dtype(np.uint16))
        for k in range(count):
            n = rng.integers(50, 80)
            times[k] = np.sort(rng.uniform(0, rng.uniform(0.5, 1.2), n)).astype(np.float16)
            sources[k] = np.append(rng.integers(0, units, n - 1), units - 1).astype(np.uint16)
        file["labels"] = (np.arange(count) % 4).astype(np.uint16)
        file["extra/speaker"] = (np.arange(count) // 4 % 3).astype(np.uint16)
        file["extra/keys"] = np.array(KEYS)
        file["extra/meta_info/gender"] = np.array([b"female"] * 3)
        if change is not None:
            change(file)
    return path


def test_a_folder_of_two_files_states_the_split(tmp_path):
    shd(tmp_path / "shd_train.h5", 16)
    shd(tmp_path / "shd_test.h5", 8, 1)
    found = understood(tmp_path, Reading(frame=20e-3))
    data = found.data
    assert (len(data.y_train), len(data.y_test)) == (16, 8)
    assert data.names == ("eins", "zwei", "one", "two")
    assert data.x_train.dtype == np.uint8
    assert data.x_train.shape[2] == 700
    assert data.lengths_train is not None
    with h5py.File(tmp_path / "shd_train.h5") as file:
        times = [np.asarray(t, np.float64) for t in file["spikes/times"][()]]
    expected = [int(times[k].max() // 20e-3) + 1 for k in found.train]
    np.testing.assert_array_equal(data.lengths_train, expected)
    np.testing.assert_array_equal(found.raw.x.sum((1, 2))[:16], [len(t) for t in times])
    left = understood(tmp_path, Reading(), "2")
    assert {left.raw.groups["speaker"][k] for k in left.test} == {"2"}


def test_one_file_has_a_made_split(tmp_path):
    found = understood(shd(tmp_path / "one.h5", 24), Reading(group="speaker"))
    speakers = np.array(found.raw.groups["speaker"])
    assert not {*speakers[found.train]} & {*speakers[found.test]}


def test_times_are_of_64_bits_before_they_are_divided():
    times = np.arange(0, 1, 2**-11).astype(np.float16)
    single = np.floor(times / np.float16(1e-3)).astype(int)
    exact = np.floor(times.astype(np.float64) / 1e-3).astype(int)
    assert (single != exact).any()  # what half precision would say
    found = counts(times, np.zeros(len(times), np.uint16), 1e-3, 1, "here")
    np.testing.assert_array_equal(found[:, 0], np.bincount(exact))


def replaced(name, values):
    def change(file):
        del file[name]
        if values is not None:
            file[name] = values

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (replaced("labels", None), "lacks labels"),
        (replaced("labels", np.arange(7)), "16 examples of times, 16 of units and 7 labels"),
        (replaced("labels", np.arange(16)), "labels go from 0 to 15, but extra/keys has 4"),
        (replaced("labels", np.arange(16) / 2), "whole numbers from 0 on"),
        (
            lambda file: file["spikes/units"].__setitem__(3, np.zeros(5, np.uint16)),
            "example 3 .* times and 5 units",
        ),
        (lambda file: file["spikes/times"].__setitem__(2, -file["spikes/times"][2]), "example 2: the time of spike"),
    ],
)
def test_bad_files_are_one_sentence(tmp_path, change, said):
    with pytest.raises(ms.InputError, match=said):
        understood(shd(tmp_path / "a.h5", 16, change=change))


def test_a_folder_needs_a_file_of_each_part(tmp_path):
    shd(tmp_path / "shd_train.h5", 8)
    with pytest.raises(ms.InputError, match="one file with train and one with test"):
        understood(tmp_path)


def test_more_spikes_than_a_byte_holds_are_one_sentence():
    with pytest.raises(ms.InputError, match=r"300 spikes of one unit in a frame; at most 255"):
        counts(np.full(300, 0.1), np.zeros(300, int), 1.0, 1, "here")
