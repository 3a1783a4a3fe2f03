"""A file as data.name: which keys it takes, what a preset does not bring to it, and that its content is held fast."""

from typing import Any

import numpy as np
import pytest

import memspike as ms
from memspike.config.build import classifier, data_set
from memspike.config.resolve import written
from memspike.data.trials import Examples
from memspike.data.value_encoders import Spikes
from memspike.experiments import resolve
from memspike.experiments import run as carry_out
from memspike.parts.registry import EXPERIMENTS
from memspike.training.folder import RunFolder

SMALL = ["training.epochs=1", "training.batch=8", "network.layers=[4]", "evaluation.chips=1", "evaluation.fine_dt=none"]


@pytest.fixture
def moves(tmp_path):
    """48 examples of 2 to 5 frames of three channels, by four speakers."""
    rng = np.random.default_rng(0)
    arrays = {
        "x": rng.normal(size=(48, 5, 3)),
        "y": np.array(["left", "right"] * 24),
        "lengths": rng.integers(2, 6, 48),
        "speaker": np.repeat(["a", "b", "c", "d"], 12),
    }
    np.savez(tmp_path / "moves.npz", **arrays)
    return tmp_path / "moves.npz"


def settings_of(path, *keys, name="memprop-digits", quick=False):
    return resolve(name, [f"data.name={path}", *keys], quick=quick).settings


def test_a_preset_brings_nothing_that_images_alone_can_have(moves):
    assert settings_of("digits").augment.shift == 0.3
    assert settings_of(moves).augment.shift == 0
    assert not settings_of(moves, name="memprop-fashion").augment.mirror
    assert settings_of(moves, "augment.drop=0.1").augment.drop == 0.1
    quick = settings_of(moves, name="memprop-mnist", quick=True)
    assert (quick.data.train, quick.data.test) == (None, None)
    assert settings_of(moves, "data.train=20", name="memprop-mnist", quick=True).data.train == 20


def test_images_keep_their_shift(moves, tmp_path):
    np.savez(tmp_path / "pictures.npz", x=np.zeros((8, 4, 4), np.uint8), y=np.arange(8) % 2)
    assert settings_of(tmp_path / "pictures.npz", "data.kind=images").augment.shift == 0.3
    with pytest.raises(ms.InputError, match=r"augment\.shift is 0\.2, a change of images"):
        data_set(settings_of(moves, "augment.shift=0.2"))


def test_lengths_and_names_reach_the_data_set(moves):
    data = data_set(settings_of(moves, "training.batch=8"))
    assert data.names == ("left", "right")
    assert data.lengths_train is not None
    assert len(data.lengths_train) == len(data.y_train) == 36
    assert len(data_set(settings_of(moves, "training.batch=8", "data.hold_out=12")).y_test) == 12
    np.testing.assert_array_equal(np.bincount(data.y_train[-12:]), 6)


def test_the_whole_path_and_the_content_are_written_down(moves, monkeypatch):
    monkeypatch.chdir(moves.parent)
    data = settings_of("moves.npz").data
    assert data.name == str(moves)
    assert len(data.sha256) == 64


def test_who_is_left_out_may_be_a_number(tmp_path):
    np.savez(
        tmp_path / "a.npz",
        x=np.random.default_rng(0).random((24, 3, 2)),
        y=np.arange(24) % 2,
        subject=np.arange(24) // 8,
    )
    settings = settings_of(tmp_path / "a.npz", "data.leave_out=2", "training.batch=8")
    assert settings.data.leave_out == "2"
    assert len(data_set(settings).y_test) == 8


def test_held_out_groups_are_whole(moves):
    with pytest.raises(ms.InputError, match=r"cuts a group of speaker in two; .* 12, 24"):
        data_set(settings_of(moves, "data.group=speaker", "data.hold_out=10", "training.batch=8"))
    assert len(data_set(settings_of(moves, "data.leave_out=c", "data.hold_out=12", "training.batch=8")).y_test) == 12


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            ["data.name=digits", "data.split=0.5"],
            r"data\.split is 0\.5, which has no meaning for the data set 'digits'",
        ),
        (["data.name=digist"], r"Unknown data\.name 'digist'.*Did you mean 'digits'\? Nor is there a file or folder"),
        (["data.name=none/such.npz"], r"Nor is there a file or folder of that name"),
        (["data.window=4"], "data.window is 4, which has no meaning for arrays"),
        (["data.scale=half"], r"Unknown data\.scale 'half'; allowed: none, range, standard"),
        (["data.split=1.5"], r"data\.split is 1\.5 .*; allowed: 0\.001 to 0\.999"),
        (["data.frame=10mV"], "unknown unit 'mV'"),
    ],
)
def test_keys_without_a_meaning_are_one_sentence(moves, keys, said):
    with pytest.raises(ms.InputError, match=said):
        data_set(resolve("memprop-digits", [f"data.name={moves}", *keys]).settings)


def test_spikes_take_the_largest_count_of_the_data(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, kind in (("times", np.float16), ("units", np.uint16)):
            file.create_dataset(f"spikes/{name}", (12,), dtype=h5py.vlen_dtype(kind))
            for k in range(12):
                file[f"spikes/{name}"][k] = np.array([0.001, 0.002, 0.003, 0.05], kind) * (name == "times")
        file["labels"] = np.arange(12) % 2
    built = classifier(settings_of(tmp_path / "a.h5", "encoder=spikes", "training.batch=2", name="eprop-spoken"))
    assert isinstance(built.population.trials, Examples)
    encoder: Any = built.population.trials.encoder
    assert isinstance(encoder, Spikes)
    assert encoder.count == built.data.full_scale == 3.0


def test_a_run_is_read_back_unless_its_data_have_changed(moves):
    folder = moves.parent / "run"
    settings = settings_of(moves, *SMALL)
    RunFolder(folder).start(written(settings, EXPERIMENTS.get("memprop-digits").value.tables), resume=False)
    with pytest.raises(ms.InputError, match="no readable checkpoint"):  # the data are those of the run
        ms.load(folder)
    np.savez(moves, x=np.zeros((48, 5, 3)), y=np.array(["left", "right"] * 24))
    with pytest.raises(ms.InputError, match=r"moves\.npz holds other data"):
        ms.load(folder)
    with pytest.raises(ms.InputError, match=r"moves\.npz has changed since .*run was started"):
        carry_out(settings_of(moves, *SMALL), folder, resume=True)
    moves.unlink()
    with pytest.raises(ms.InputError, match="Nor is there a file"):
        ms.load(folder)
