"""Folders of sounds, pictures and recordings: classes, groups and parts from paths."""

import sys
import types
import wave

import numpy as np
import pytest
from PIL import Image

import memspike as ms
from memspike.data.files.dataset import digest, understood
from memspike.data.files.formats import format_of
from memspike.data.files.options import Reading


def sound(path, pitch, rate=8000):
    path.parent.mkdir(parents=True, exist_ok=True)
    t = np.arange(int(0.1 * rate)) / rate
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((9000 * np.sin(2 * np.pi * pitch * t)).astype("<i2").tobytes())


def picture(path, value, size=(5, 4), mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)


def test_sounds_are_frames_of_gammatone_filters(tmp_path):
    for k in range(4):
        sound(tmp_path / "low" / f"ann_{k}.wav", 300 + k)
        sound(tmp_path / "high" / f"bob_{k}.wav", 2000 + k)
    found = understood(tmp_path)
    assert found.raw.x.shape == (8, 16, 24)
    assert found.data.names == ("high", "low")
    loudest = found.raw.x.sum(1).argmax(1)
    assert loudest[:4].min() > loudest[4:].max()  # files of the class high come first
    assert set(found.raw.groups["speaker"]) == {"ann", "bob"}
    assert understood(tmp_path, Reading(frames=5)).data.x_train.shape[1:] == (5, 24)


def test_sounds_as_they_are_for_an_encoder_that_hears(tmp_path):
    for k in range(4):
        sound(tmp_path / "low" / f"ann_{k}.wav", 300 + k)
        sound(tmp_path / "high" / f"bob_{k}.wav", 2000 + k)
    found = understood(tmp_path, Reading(kind="waveforms"))
    assert (found.data.rate, found.data.x_train.shape[1:]) == (8000.0, (800, 1))
    assert np.abs(found.data.x_train - 0.5).max() == pytest.approx(0.5, abs=1e-3)
    settings = ms.experiments.resolve("eprop-spoken", [f"data.name={tmp_path}", "encoder=gammatone"]).settings
    assert settings.data.kind == "waveforms"
    assert ms.experiments.resolve("eprop-spoken", [f"data.name={tmp_path}"]).settings.data.kind is None
    with pytest.raises(ms.InputError, match=r"data\.kind is images, but these are sounds"):
        understood(tmp_path, Reading(kind="images"))


def test_names_side_by_side_say_class_and_group(tmp_path):
    for k in range(3):
        for who in ("ann", "bob"):
            sound(tmp_path / f"low_{who}_{k}.wav", 300)
            sound(tmp_path / f"high_{who}_{k}.wav", 2000)
    found = understood(tmp_path, Reading(), "ann")
    assert len(found.test) == 6
    assert any("the first part of a file's name" in note for note in found.raw.notes)
    sound(tmp_path / "other.wav", 300)
    with pytest.raises(ms.InputError, match=r"the class of other\.wav|the class of high_ann_0\.wav"):
        understood(tmp_path)


def test_pictures_are_grey_images_in_stated_parts(tmp_path):
    for k in range(3):
        picture(tmp_path / "train" / "dark" / f"{k}.png", 10 + k)
        picture(tmp_path / "train" / "red" / f"{k}.png", (250, 0, 0), mode="RGB")
    picture(tmp_path / "test" / "dark" / "9.png", 12)
    picture(tmp_path / "test" / "red" / "9.png", (250, 0, 0), mode="RGB")
    found = understood(tmp_path)
    assert found.raw.kind == "images"
    assert found.data.x_train.shape == (6, 4, 5)
    assert len(found.test) == 2
    assert "4 pictures in colour are made grey" in found.raw.notes
    picture(tmp_path / "test" / "red" / "8.png", (1, 2, 3), size=(6, 4), mode="RGB")
    with pytest.raises(ms.InputError, match=r"6 × 4 pixels .* 5 × 4; one size"):
        understood(tmp_path)


def test_files_that_are_not_what_they_are_called_are_one_sentence(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x_0.wav").write_bytes(b"no sound")
    with pytest.raises(ms.InputError, match=r"x_0\.wav is not a readable wav"):
        understood(tmp_path)
    (tmp_path / "a" / "x_0.wav").rename(tmp_path / "a" / "x_0.png")
    with pytest.raises(ms.InputError, match=r"x_0\.png is not a readable picture"):
        understood(tmp_path)


def camera(recordings):
    """What the package aedat says of recordings by the names of their files."""

    class Decoder:
        def __init__(self, path):
            self.events = recordings[path.name]

        def id_to_stream(self):
            return {0: {"type": "events", "width": 16, "height": 8}, 1: {"type": "imus"}}

        def __iter__(self):
            half = len(self.events) // 2
            yield {"stream_id": 0, "events": self.events[:half]}
            yield {"stream_id": 1, "imus": np.zeros(3)}
            yield {"stream_id": 0, "events": self.events[half:]}

    return types.SimpleNamespace(Decoder=Decoder)


def recorded(tmp_path, monkeypatch):
    """Two recordings of each of two classes; the events of each by the name of its file."""
    rng = np.random.default_rng(0)
    kind = np.dtype([("t", "<u8"), ("x", "<u2"), ("y", "<u2"), (("p", "on"), "?")])
    made = {}
    for label in ("left", "right"):
        (tmp_path / label).mkdir()
        for k in range(2):
            n = 40 + 10 * k
            events = np.zeros(n, kind)
            events["t"] = 10**9 + np.sort(rng.integers(0, 50_000 + 20_000 * k, n))
            events["x"], events["y"], events["on"] = (
                rng.integers(0, 16, n),
                rng.integers(0, 8, n),
                rng.integers(0, 2, n),
            )
            made[f"{label}{k}.aedat4"] = events
            (tmp_path / label / f"{label}{k}.aedat4").write_bytes(b"#!AER-DAT4.0\r\n")
    monkeypatch.setitem(sys.modules, "aedat", camera(made))
    return made


def test_recordings_of_a_camera_are_counts_of_squares_and_polarities(tmp_path, monkeypatch):
    made = recorded(tmp_path, monkeypatch)
    found = understood(tmp_path, Reading(frame=10e-3, pool=4))
    assert found.raw.x.shape[2] == 2 * 4 * 2
    assert found.raw.lengths is not None
    for k, events in enumerate(made.values()):
        expected = np.zeros(found.raw.x.shape[1:], int)
        for t, x, y, on in events.tolist():
            expected[(t - int(events["t"][0])) // 10_000, 2 * (y // 4 * 4 + x // 4) + on] += 1
        np.testing.assert_array_equal(found.raw.x[k], expected)


def test_a_reader_that_is_missing_is_asked_for(tmp_path, monkeypatch):
    recorded(tmp_path, monkeypatch)
    monkeypatch.setitem(sys.modules, "aedat", None)
    with pytest.raises(ms.InputError, match=r"needs the package aedat: pip install 'memspike\[events\]'"):
        understood(tmp_path)


def test_one_recording_alone_has_no_class(tmp_path):
    sound(tmp_path / "a.wav", 300)
    picture(tmp_path / "a.png", 3)
    for name in ("a.wav", "a.png"):
        with pytest.raises(ms.InputError, match="give the folder"):
            format_of(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "is empty"), (b"\0\1\2\3", "of no known format"), (b"PK\3\4 no zip", "is broken .*zip")]
)
def test_other_files_are_one_sentence(tmp_path, content, said):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ms.InputError, match=said):
        understood(tmp_path / "a")


def test_folders_of_nothing_or_of_two_things_are_one_sentence(tmp_path):
    with pytest.raises(ms.InputError, match="holds no such files"):
        understood(tmp_path)
    sound(tmp_path / "a" / "b.wav", 300)
    picture(tmp_path / "a" / "b.png", 3)
    with pytest.raises(ms.InputError, match="holds both"):
        understood(tmp_path)
    with pytest.raises(ms.InputError, match="does not exist"):
        understood(tmp_path / "none")


def test_another_content_is_refused(tmp_path):
    for k in range(4):
        picture(tmp_path / "dark" / f"{k}.png", 10)
        picture(tmp_path / "light" / f"{k}.png", 200)
    held = digest(tmp_path)
    assert understood(tmp_path, Reading(sha256=held)).data.classes == 2
    (tmp_path / "dark" / "0.png").rename(tmp_path / "light" / "9.png")
    assert digest(tmp_path) != held
    with pytest.raises(ms.InputError, match="holds other data"):
        understood(tmp_path, Reading(sha256=held))
