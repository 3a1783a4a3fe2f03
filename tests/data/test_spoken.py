"""Spoken digits: files, the model of the ear, splits, and the experiment."""

import dataclasses
import hashlib
import io
import json
import tarfile
import wave
import zipfile
from itertools import pairwise

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from scipy.io import wavfile

import memspike as ms
from memspike.data import Cochlea, store
from memspike.data.source import WavSource
from memspike.data.spoken import frame_means, held_out
from memspike.data.store import SOURCES, SPOKEN_DIGITS
from memspike.experiments import resolve, speakers


def wav(samples, rate=8000, channels=1, width=2):
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
    return buffer.getvalue()


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """Forty short recordings by two speakers, with their checksums and an empty cache."""
    rng = np.random.default_rng(0)
    source = WavSource("tiny", "a test set", "none", (), {}, ("ann", "bob"), repetitions=2, rate=8000)
    sounds = {name: rng.integers(-9000, 9000, rng.integers(40, 90)).astype(np.int16) for name in source.names}
    arrays = {
        "samples": np.concatenate([sounds[n] for n in source.names]),
        "lengths": np.array([len(sounds[n]) for n in source.names], dtype=np.int32),
    }
    digests = {role: hashlib.sha256(a.tobytes()).hexdigest() for role, a in arrays.items()}
    source = dataclasses.replace(source, sha256=digests)
    monkeypatch.setitem(SOURCES, "tiny", source)
    monkeypatch.setenv(store.FOLDER_VARIABLE, str(tmp_path / "cache"))
    return source, {name: wav(x) for name, x in sounds.items()}, arrays


def as_folder(path, files):
    (path / "raw/recordings").mkdir(parents=True)
    (path / "raw/README.md").write_text("not a recording")
    for name, content in files.items():
        (path / "raw/recordings" / name).write_bytes(content)
    return path / "raw"


def as_tgz(path, files):
    with tarfile.open(path / "recordings.tgz", "w:gz") as archive:
        archive.add(as_folder(path, files), arcname="set-1.0")
    return path / "recordings.tgz"


def as_zip(path, files):
    with zipfile.ZipFile(path / "recordings.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(f"recordings/{name}", content)
    return path / "recordings.zip"


@pytest.mark.parametrize("make", [as_folder, as_tgz, as_zip])
def test_import_in_every_form(tiny, tmp_path, make):
    source, files, arrays = tiny
    path = store.import_file("tiny", make(tmp_path, files))
    with np.load(path, allow_pickle=False) as archive:
        assert set(archive.files) == {"samples", "lengths"}
    found = store.cached(source)
    np.testing.assert_array_equal(found["samples"], arrays["samples"])
    assert source.names[:3] == ["0_ann_0.wav", "1_ann_0.wav", "2_ann_0.wav"]
    rate, last = wavfile.read(io.BytesIO(files["9_bob_1.wav"]))
    np.testing.assert_array_equal(source.split(found)[-1], last)
    assert rate == source.rate


def test_fetch_takes_the_archive_of_a_mirror(tiny, tmp_path, monkeypatch):
    source, files, _ = tiny
    mirrors = ((tmp_path / "absent.tgz").as_uri(), as_tgz(tmp_path, files).as_uri())
    monkeypatch.setitem(SOURCES, "tiny", dataclasses.replace(source, mirrors=mirrors))
    lines = []
    assert store.fetch("tiny", lines.append) == store.path_of("tiny")
    assert [line.split(":")[0] for line in lines] == ["fetching file", "failed", "fetching file"]


def changed(name, content):
    return lambda path, files: as_folder(path, files | {name: content})


def lacking(path, files):
    return as_zip(path, {name: c for name, c in files.items() if name not in ("3_ann_1.wav", "7_bob_0.wav")})


def twice(path, files):
    folder = as_folder(path, files)
    (folder / "copy").mkdir()
    (folder / "copy/4_ann_0.wav").write_bytes(files["4_ann_0.wav"])
    return folder


def broken_tar(path, files):
    file = as_tgz(path, files)
    file.write_bytes(file.read_bytes()[:-3000])
    return file


def text(path, files):
    (path / "note.txt").write_text("hello")
    return path / "note.txt"


ZEROS = np.zeros(64)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (changed("0_ann_0.wav", wav(ZEROS, rate=16000)), "16 bits at 16000 Hz; needed: 1 channel of 16 bits at 8000"),
        (changed("0_ann_0.wav", wav(ZEROS, channels=2)), "2 channels of 16 bits"),
        (changed("0_ann_0.wav", wav(ZEROS, width=1)), "1 channels of 8 bits"),
        (changed("0_ann_0.wav", wav(ZEROS)[:-10]), "holds 118 bytes of sound; its header says 128"),
        (changed("0_ann_0.wav", b"<html>404</html>"), "is not a readable wav file"),
        (changed("0_ann_0.wav", b""), "it ends too early"),
        (changed("0_ann_0.wav", wav(ZEROS)), "samples is not that of tiny"),
        (changed("0_ann_2.wav", wav(ZEROS)), "also holds 0_ann_2.wav; tiny has 40 recordings"),
        (changed("hello.wav", wav(ZEROS)), "is not named DIGIT_SPEAKER_INDEX.wav"),
        (lacking, "lacks 3_ann_1.wav and 1 more; tiny has 40 recordings"),
        (twice, "4_ann_0.wav is there twice"),
        (broken_tar, "broken"),
        (text, "neither a folder with wav files nor"),
        (lambda path, files: path / "absent", "does not exist"),
    ],
)
def test_bad_files_are_one_sentence_and_leave_the_cache_alone(tiny, tmp_path, make, words):
    _, files, _ = tiny
    store.import_file("tiny", as_zip(tmp_path, files))
    before = {p.name: p.read_bytes() for p in (tmp_path / "cache").iterdir()}
    with pytest.raises(ms.InputError, match=words) as error:
        store.import_file("tiny", make(tmp_path, files))
    assert "\n" not in str(error.value)
    assert {p.name: p.read_bytes() for p in (tmp_path / "cache").iterdir()} == before


def test_a_cache_of_another_set_is_refused(tiny, tmp_path):
    source, files, arrays = tiny
    path = store.import_file("tiny", as_zip(tmp_path, files))
    np.savez(path, samples=arrays["samples"][:-1], lengths=arrays["lengths"])
    with pytest.raises(ms.InputError, match="do not fit; tiny has 40 recordings"):
        store.cached(source)
    np.savez(path, samples=arrays["samples"])
    with pytest.raises(ms.InputError, match="cannot be read"):
        store.cached(source)


# ---- the model of the ear


def erb(f):
    """Equivalent rectangular bandwidth in Hz: Glasberg & Moore 1990, eq. 3."""
    return 24.7 * (4.37 * f / 1000 + 1)


def test_filters_are_gammatones_of_the_right_width():
    """Unit gain at the centre; 4th order, so |H| = (1 + ((f − f_c)/b)²)^−2 near it with b = 1.019 ERB."""
    ear = Cochlea()
    for centre, (b, a) in zip(ear.frequencies, ear.filters, strict=True):
        offsets = np.array([-0.7, 0.0, 0.7]) * erb(centre)
        near = centre + offsets
        z = np.exp(2j * np.pi * near / ear.rate)
        gain = np.abs(np.polyval(b[::-1], 1 / z) / np.polyval(a[::-1], 1 / z))
        expected = (1 + (offsets / (1.019 * erb(centre))) ** 2) ** -2.0
        inside = near < 3800
        np.testing.assert_allclose(gain[inside], expected[inside], rtol=0.12)
        assert gain[1] == pytest.approx(1, abs=0.02)


def test_centres_are_equally_spaced_in_bandwidths():
    """The number of bandwidths between neighbours, ∫ df/ERB(f), is the same everywhere."""
    f = Cochlea(channels=9, f_low=200.0, f_high=3000.0).frequencies
    np.testing.assert_allclose(f[[0, -1]], [200, 3000], rtol=1e-9)
    assert (np.diff(f) > 0).all()
    counts = [np.trapezoid(1 / erb(x), x) for x in (np.linspace(a, b, 500) for a, b in pairwise(f))]
    np.testing.assert_allclose(counts, counts[0], rtol=1e-3)


def tone(f, seconds=0.4, height=12000):
    return np.round(height * np.sin(2 * np.pi * f * np.arange(round(8000 * seconds)) / 8000)).astype(np.int16)


@pytest.mark.parametrize("channel", [0, 7, 15, 23])
def test_a_tone_is_loudest_in_its_own_channel(channel):
    """There the mean of the half-wave rectified tone is its amplitude/π; a channel 5 ERB away hears little."""
    ear = Cochlea(bin=20e-3)
    steady = ear.envelopes(tone(ear.frequencies[channel]))[5:-1].mean(axis=0)
    assert steady.argmax() == channel
    assert steady[channel] == pytest.approx(12000 / 32768 / np.pi, rel=0.03)
    assert steady[channel - 10 if channel > 10 else channel + 10] < 0.02 * steady[channel]


def test_levels_are_in_decibel_below_the_loudest():
    """Two tones in turn, the second 20 dB softer: with a range of 50 dB its level is lower by 20/50."""
    ear = Cochlea(channels=8, frames=8)
    both = np.concatenate([tone(ear.frequencies[2]), tone(ear.frequencies[5], height=1200)])
    levels = ear.levels(both)
    assert levels.shape == (8, 8)
    assert (levels.min(), levels.max()) == (0.0, 1.0)
    np.testing.assert_allclose(levels[1:3, 2] - levels[5:7, 5], 20 / 50, atol=0.01)


def test_neither_loudness_nor_silence_around_matters():
    ear = Cochlea(frames=10)
    rng = np.random.default_rng(0)
    shape = np.sin(np.linspace(0, np.pi, 3200)) ** 0.5
    speech = np.round(20000 * shape * np.sin(0.3 * np.arange(3200) + 0.1 * rng.normal(size=3200).cumsum()))
    levels = ear.levels(speech.astype(np.int16))
    np.testing.assert_allclose(ear.levels(np.round(speech / 8).astype(np.int16)), levels, atol=0.02)
    padded = np.concatenate([np.zeros(2000), speech, np.zeros(1200)]).astype(np.int16)
    assert np.abs(ear.levels(padded) - levels).mean() < 0.03
    np.testing.assert_array_equal(ear.levels(np.zeros(800, dtype=np.int16)), 0.0)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_frames_are_means_of_equal_parts(bins, frames, seed):
    """Against averages of a fine resampling; the mean of all frames is the mean of all bins."""
    x = np.random.default_rng(seed).random((bins, 2))
    found = frame_means(x, frames)
    fine = np.repeat(x, frames, axis=0).reshape(frames, bins, 2).mean(axis=1)
    np.testing.assert_allclose(found, fine, atol=1e-12)
    np.testing.assert_allclose(found.mean(axis=0), x.mean(axis=0), atol=1e-12)


def test_an_ear_that_cannot_be_built_is_refused():
    with pytest.raises(ms.InputError, match="below 4000 Hz"):
        Cochlea(f_high=4100)
    with pytest.raises(ms.InputError, match="two or more channels"):
        Cochlea(channels=1)
    with pytest.raises(ms.InputError, match="needed: 16 or more"):
        Cochlea().levels(np.zeros(5, dtype=np.int16))


# ---- the real recordings


@pytest.fixture(scope="module")
def spoken(shared_data, tmp_path_factory):
    """The cache with the recordings, imported from the published archive."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(store.FOLDER_VARIABLE, str(tmp_path_factory.mktemp("cache")))
        yield store.import_file("spoken-digits", shared_data / "fsdd/recordings.tgz")


def test_recordings_are_those_of_their_names(spoken, shared_data):
    """Labels and cochleagrams against single files decoded by scipy."""
    data, ear, rng = ms.data.load("spoken-digits"), Cochlea(), np.random.default_rng(0)
    repetition = SPOKEN_DIGITS.labels[:, 0]
    position = {name: i for i, name in enumerate(np.array(SPOKEN_DIGITS.names)[repetition >= 5])}
    chosen = {f"recordings/{name}": name for name in rng.choice(list(position), 12, replace=False)}
    with tarfile.open(shared_data / "fsdd/recordings.tgz") as archive:
        for member in archive:
            if member.name in chosen:
                name = chosen.pop(member.name)
                stream = archive.extractfile(member)
                assert stream is not None
                rate, sound = wavfile.read(io.BytesIO(stream.read()))
                assert (rate, sound.dtype) == (8000, np.int16)
                assert data.y_train[position[name]] == int(name[0])
                np.testing.assert_array_equal(data.x_train[position[name]], ear([sound])[0])
    assert not chosen


def test_splits_are_complete_and_disjoint(spoken):
    official = ms.data.load("spoken-digits")
    assert (official.x_train.shape, official.x_test.shape) == ((2700, 16, 24), (300, 16, 24))
    np.testing.assert_array_equal(np.bincount(official.y_test), 30)
    every = np.concatenate([official.x_train, official.x_test]).reshape(3000, -1)
    parts = [ms.data.load("spoken-digits", leave_out=speaker) for speaker in SPOKEN_DIGITS.speakers]
    for part in parts:
        assert (len(part.y_train), len(part.y_test)) == (2500, 500)
        together = np.concatenate([part.x_train, part.x_test]).reshape(3000, -1)
        np.testing.assert_array_equal(np.sort(together, axis=0), np.sort(every, axis=0))
    tests = np.concatenate([part.x_test for part in parts]).reshape(3000, -1)
    np.testing.assert_array_equal(np.sort(tests, axis=0), np.sort(every, axis=0))
    names = np.array(SPOKEN_DIGITS.names)
    assert {n.split("_")[1] for n in names[held_out("theo")]} == {"theo"}
    assert {n.split("_")[2] for n in names[held_out(None)]} == {f"{i}.wav" for i in range(5)}


@pytest.mark.parametrize("leave_out", [None, "george"])
def test_held_out_examples_are_a_fair_mix(spoken, leave_out):
    held = ms.data.load("spoken-digits", leave_out=leave_out).held_out(300)
    np.testing.assert_array_equal(np.bincount(held.y_test), 30)
    train = SPOKEN_DIGITS.labels[~held_out(leave_out)]
    speakers = np.bincount(train[-300:, 1], minlength=6)
    assert set(speakers) - {0} == {300 // (6 if leave_out is None else 5)}


@pytest.mark.full
def test_a_linear_classifier_on_the_levels(spoken):
    """20 log-mel bands × 10 frames give 95.7 % on the official split; the endpoints make it better here."""
    from sklearn.linear_model import LogisticRegression

    data = ms.data.load("spoken-digits")
    x, x_test = (part.reshape(len(part), -1) / data.full_scale for part in (data.x_train, data.x_test))
    assert LogisticRegression(max_iter=500).fit(x, data.y_train).score(x_test, data.y_test) > 0.97


def test_speakers_are_checked(spoken, call, tmp_path):
    with pytest.raises(ms.InputError, match="Did you mean 'theo'"):
        ms.data.load("spoken-digits", leave_out="teo")
    with pytest.raises(ms.InputError, match="'digits' has no speakers"):
        ms.data.load("digits", leave_out="theo")
    status, _, errors = call("run", "memprop-spoken", "--set", "leave_out=luca", "--out", tmp_path / "run")
    assert status == 2
    assert "Did you mean 'lucas'" in errors
    assert not (tmp_path / "run").exists()
    status, _, errors = call("run", "memprop-spoken-speakers", "--set", "leave_out=lucas", "--out", tmp_path / "run")
    assert (status, (tmp_path / "run").exists()) == (2, False)
    assert "every speaker in turn" in errors


def test_an_absent_set_says_how_to_get_it(monkeypatch, tmp_path, call):
    monkeypatch.setenv(store.FOLDER_VARIABLE, str(tmp_path))
    with pytest.raises(ms.InputError, match="memspike data import spoken-digits PATH"):
        ms.data.load("spoken-digits")
    assert "spoken-digits: absent" in call("data", "where")[1]


# ---- the experiment


@pytest.mark.full
def test_quick_experiment_reaches_what_it_promises(spoken, tmp_path):
    experiment, settings, _ = resolve("memprop-spoken", quick=True)
    result = ms.experiments.run(settings, tmp_path / "run")
    assert result["test_accuracy"] == pytest.approx(experiment.expected_quick, abs=0.03)
    assert result["chips_accuracy"] > experiment.expected_quick - 0.05
    assert (result["train_examples"], result["test_examples"]) == (2700, 300)


def test_the_study_leaves_out_every_speaker_once_and_goes_on_where_it_was(monkeypatch, tmp_path):
    """With trainings that only report a made-up accuracy: rows, mean and s.d. over speakers, no second training."""
    heard = []

    def trained(settings, out, *, report):
        if (out / "result.json").exists():
            return json.loads((out / "result.json").read_text())
        heard.append(settings.data.leave_out)
        if len(heard) == 4:
            raise KeyboardInterrupt
        names = ("test_accuracy", "test_accuracy_sd", "test_accuracy_min", "chips_accuracy", "chips_accuracy_sd")
        result = dict.fromkeys(names, 0.5 + 0.1 * SPOKEN_DIGITS.speakers.index(settings.data.leave_out))
        out.mkdir(parents=True)
        (out / "result.json").write_text(json.dumps(result | {"test_examples": 500}))
        return result | {"test_examples": 500}

    monkeypatch.setattr(speakers, "nested", trained)
    config = resolve("memprop-spoken-speakers").settings
    with pytest.raises(KeyboardInterrupt):
        ms.experiments.run(config, tmp_path / "study")
    result = ms.experiments.run(config, tmp_path / "study", resume=True)
    assert heard == [*SPOKEN_DIGITS.speakers[:4], *SPOKEN_DIGITS.speakers[3:]]
    assert [row["speaker"] for row in result["rows"]] == list(SPOKEN_DIGITS.speakers)
    assert result["test_accuracy"] == pytest.approx(0.75)
    assert result["test_accuracy_sd"] == pytest.approx(np.std([0.5, 0.6, 0.7, 0.8, 0.9, 1.0], ddof=1))
    assert json.loads((tmp_path / "study/result.json").read_text()) == result


def test_frames_need_one_start_and_room(spoken, tmp_path):
    def run(change):
        return ms.experiments.run(resolve("memprop-spoken", [change]).settings, tmp_path / "run")

    with pytest.raises(ms.InputError, match="start of the first frame alone"):
        run("encoder.times=[0s, 1ms]")
    with pytest.raises(ms.InputError, match="an interval of at least width"):
        run("encoder.interval=5us")
    with pytest.raises(ms.InputError, match=r"'frame'.*Did you mean 'frames'"):
        run("encoder=frame")
    assert not (tmp_path / "run").exists()
