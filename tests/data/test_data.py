"""Data sets: what ships, the cache, imports in every form, files that are broken or wrong, and encoders."""

import dataclasses
import gzip
import io
import os
import tarfile
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import memspike as ms
from memspike.data import Augment, ChannelEvents, FrameEvents, FrameSpikes, store
from memspike.data.source import IDX_FILES, ROLES, IdxSource, parse
from memspike.data.store import SOURCES
from memspike.networks import feedforward, simulate

SHAPES = {"x_train": (6, 4, 4), "y_train": (6,), "x_test": (3, 4, 4), "y_test": (3,)}


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """A small data set 'tiny' in the form of MNIST, with its own checksums and an empty cache."""
    import hashlib

    rng = np.random.default_rng(0)
    arrays = {role: rng.integers(0, 9, SHAPES[role]).astype(np.uint8) for role in ROLES}
    digests = {role: hashlib.sha256(a.tobytes()).hexdigest() for role, a in arrays.items()}
    source = IdxSource("tiny", "a test set", "none", ("http://127.0.0.1:9/",), digests, IDX_FILES, SHAPES)
    monkeypatch.setitem(SOURCES, "tiny", source)
    monkeypatch.setenv(store.FOLDER_VARIABLE, str(tmp_path / "cache"))
    return arrays, source


def encode(array):
    return bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


def write_folder(folder, arrays, *, zipped=True):
    folder.mkdir()
    for role, name in IDX_FILES.items():
        content = encode(arrays[role])
        if zipped:
            (folder / name).write_bytes(gzip.compress(content))
        else:
            (folder / name.removesuffix(".gz")).write_bytes(content)
    return folder


def as_folder(path, arrays):
    return write_folder(path / "raw", arrays, zipped=False)


def as_gz(path, arrays):
    return write_folder(path / "gz", arrays)


def as_tgz(path, arrays):
    with tarfile.open(path / "set.tgz", "w:gz") as archive:
        archive.add(as_folder(path, arrays), arcname="package/data")
    return path / "set.tgz"


def as_zip(path, arrays):
    with zipfile.ZipFile(path / "set.zip", "w") as archive:
        for role, name in IDX_FILES.items():
            archive.writestr(f"data/{name}", gzip.compress(encode(arrays[role])))
    return path / "set.zip"


def as_npz(path, arrays):
    np.savez(path / "set.npz", **arrays)
    return path / "set.npz"


@pytest.mark.parametrize("make", [as_folder, as_gz, as_tgz, as_zip, as_npz])
def test_import_in_every_form(tiny, tmp_path, make):
    arrays, source = tiny
    path = store.import_file("tiny", make(tmp_path, arrays))
    assert path == tmp_path / "cache" / "tiny.npz"
    data = store.images(source)
    np.testing.assert_array_equal(data.x_train, arrays["x_train"])
    np.testing.assert_array_equal(data.y_test, arrays["y_test"])


def broken_gzip(path, arrays):
    folder = as_gz(path, arrays)
    file = folder / IDX_FILES["x_train"]
    file.write_bytes(file.read_bytes()[:-9])
    return folder


def short_idx(path, arrays):
    folder = as_folder(path, arrays)
    file = folder / "train-images-idx3-ubyte"
    file.write_bytes(file.read_bytes()[:-3])
    return folder


def other_digits(path, arrays):
    return as_gz(path, arrays | {"y_test": arrays["y_test"] ^ 1})


def other_shape(path, arrays):
    return as_npz(path, arrays | {"x_test": arrays["x_test"][:2]})


def with_nan(path, arrays):
    x = arrays["x_train"].astype(float)
    x[4, 0, 0] = np.nan
    return as_npz(path, arrays | {"x_train": x})


def lacking(path, arrays):
    folder = as_gz(path, arrays)
    (folder / IDX_FILES["y_test"]).unlink()
    return folder


def not_idx(path, arrays):
    folder = as_folder(path, arrays)
    (folder / "train-labels-idx1-ubyte").write_bytes(b"<html>404</html>")
    return folder


def pickled(path, arrays):
    np.savez(path / "set.npz", **(arrays | {"x_train": np.array([{}], dtype=object)}))
    return path / "set.npz"


def broken_tar(path, arrays):
    file = as_tgz(path, arrays)
    file.write_bytes(file.read_bytes()[:200])
    return file


def plain_text(path, arrays):
    (path / "note.txt").write_text("hello")
    return path / "note.txt"


def nothing(path, arrays):
    return path / "absent"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (broken_gzip, "broken gzip"),
        (short_idx, "holds 109 bytes; its header"),
        (other_digits, "y_test is not that of tiny"),
        (other_shape, "x_test has shape"),
        (with_nan, "example 4 contains NaN"),
        (lacking, "lacks t10k-labels"),
        (not_idx, "is not an IDX file"),
        (pickled, "broken"),
        (broken_tar, "broken|neither"),
        (plain_text, "neither a folder"),
        (nothing, "does not exist"),
    ],
)
def test_bad_files_are_one_sentence_and_leave_the_cache_alone(tiny, tmp_path, make, words):
    arrays, _ = tiny
    store.import_file("tiny", as_zip(tmp_path, arrays))
    before = {p.name: p.read_bytes() for p in (tmp_path / "cache").iterdir()}
    with pytest.raises(ms.InputError, match=words) as error:
        store.import_file("tiny", make(tmp_path, arrays))
    assert "\n" not in str(error.value)
    assert {p.name: p.read_bytes() for p in (tmp_path / "cache").iterdir()} == before


def test_a_damaged_cache_is_reported(tiny, tmp_path):
    arrays, source = tiny
    path = store.import_file("tiny", as_zip(tmp_path, arrays))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ms.InputError, match="cannot be read"):
        store.images(source)


def test_an_absent_set_says_how_to_get_it(tiny):
    with pytest.raises(ms.InputError, match="memspike data fetch tiny"):
        store.images(tiny[1])


def test_fetch_without_network_tries_all_mirrors(tiny, tmp_path):
    lines = []
    with pytest.raises(ms.RunError, match="No mirror gave tiny"):
        store.fetch("tiny", lines.append)
    assert any("127.0.0.1" in line for line in lines)
    assert not (tmp_path / "cache").exists()


def test_fetch_from_the_second_mirror(tiny, tmp_path, monkeypatch):
    """A real server on this machine; the first mirror is dead, the second answers."""
    import http.server
    import threading

    arrays, source = tiny
    folder = as_gz(tmp_path, arrays)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, directory=str(folder), **kwargs)

        def log_message(self, format, *args):
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        mirrors = (source.mirrors[0], f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setitem(SOURCES, "tiny", dataclasses.replace(source, mirrors=mirrors))
        path = store.fetch("tiny")
        server.shutdown()
    assert path.exists()


def test_a_cache_folder_that_cannot_be_made(tiny, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(store.FOLDER_VARIABLE, str(tmp_path / "file" / "below"))
    with pytest.raises(ms.RunError, match="could not be written"):
        store.import_file("tiny", as_zip(tmp_path, tiny[0]))


def test_digits():
    data = ms.data.load("digits")
    assert (data.x_train.shape, data.x_test.shape) == ((1437, 8, 8), (360, 8, 8))
    counts = np.bincount(np.concatenate([data.y_train, data.y_test]))
    np.testing.assert_array_equal(counts, [178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
    assert np.bincount(data.y_test).min() >= 34
    assert data.x_train.max() == data.full_scale == 16


def test_held_out_images_are_the_last_of_the_training_part():
    data = ms.data.load("digits")
    held = data.held_out(287)
    assert (len(held.y_train), len(held.y_test)) == (1150, 287)
    np.testing.assert_array_equal(held.x_test, data.x_train[-287:])
    with pytest.raises(ms.InputError, match="hold_out is 1437"):
        data.held_out(1437)


def test_names_are_checked():
    with pytest.raises(ms.InputError, match="Did you mean 'mnist'"):
        ms.data.load("mnits")
    with pytest.raises(ms.InputError, match="needs no file"):
        store.fetch("digits")
    with pytest.raises(ms.InputError, match=r"data\.train is 2000"):
        ms.data.load("digits").limited(2000, None)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_real_sets(name):
    """Every load compares the decoded arrays with their published checksums."""
    if not store.path_of(name).exists():
        if os.environ.get("MEMSPIKE_REQUIRE_DATA"):
            pytest.fail(f"{name} is missing; scripts/offline_data.sh or memspike data fetch {name}")
        pytest.skip(f"{name} is not in the cache")
    data = ms.data.load(name)
    assert len(data.y_train) == 60000
    assert data.pixels == 784


def test_idx_rejects_other_types():
    with pytest.raises(ms.InputError, match="not an IDX file"):
        parse(bytes([0, 0, 13, 1, 0, 0, 0, 0]), "float.idx")
    with pytest.raises(ms.InputError, match="nothing"):
        parse(b"", "empty.idx")


def test_written_files_hold_no_pickles(tiny, tmp_path):
    path = store.import_file("tiny", as_zip(tmp_path, tiny[0]))
    with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as archive:
        assert set(archive.files) == set(ROLES)


def test_encoder():
    encoder = ms.data.AmplitudeEvents(read_voltage=0.2, times=(0.0, 1e-3))
    events = encoder(jnp.full((3, 4), 0.5))
    assert events.v.shape == (2, 3, 5)
    np.testing.assert_allclose(events.v[0, 0], [0.1, 0.1, 0.1, 0.1, 0.2], rtol=1e-6)


def test_spikes_have_the_rate_of_their_frames():
    """Counts are within one of the integral of the rate; averaged over the phase every step has its exact share."""
    encoder = FrameSpikes(max_rate=400.0, frame_time=20e-3, dt=1e-3)
    frames = jnp.asarray(np.random.default_rng(0).random((10, 6)), dtype=jnp.float32)
    spikes = encoder(frames, key=jax.random.key(0))
    assert spikes.shape == (200, 6)
    assert set(np.unique(spikes)) == {0.0, 1.0}
    expected = 400 * 20e-3 * np.asarray(frames)
    assert np.abs(spikes.sum(axis=0) - expected.sum(axis=0)).max() < 1
    many = jax.jit(jax.vmap(lambda k: encoder(frames, key=k)))(jax.random.split(jax.random.key(1), 1500))
    np.testing.assert_allclose(many.mean(axis=0), 0.4 * np.repeat(frames, 20, axis=0), atol=0.06)
    np.testing.assert_array_equal(many[0], encoder(frames, key=jax.random.split(jax.random.key(1), 1500)[0]))
    gaps = np.diff(np.flatnonzero(encoder(jnp.ones((10, 1)), key=jax.random.key(2))[:, 0]))
    assert set(gaps) == {2, 3}  # 2.5 ms at 400 Hz: regular, unlike Bernoulli


def test_spikes_at_the_limits():
    encoder = FrameSpikes(max_rate=5e3, frame_time=10e-3, dt=1e-3)
    np.testing.assert_array_equal(encoder(jnp.ones((3, 4)), key=jax.random.key(0)), 1.0)
    np.testing.assert_array_equal(encoder(jnp.zeros((3, 4)), key=jax.random.key(0)), 0.0)
    assert encoder.steps(3) == 30
    with pytest.raises(ms.InputError, match="at least one step"):
        FrameSpikes(frame_time=1e-4, dt=1e-3)
    with pytest.raises(ms.InputError, match="max_rate"):
        FrameSpikes(max_rate=-1.0)


def test_frame_events_drive_the_rows_of_their_frame_alone():
    encoder = FrameEvents(read_voltage=0.2, offset=0.25, times=(0.0, 50e-6))
    events = encoder(jnp.asarray([[0.5, 1.0, 0.0, 0.25, 0.75, 1.0]]))
    expected = [[0.05, 0.15, -0.05, 0, 0, 0, 0.2], [0, 0, 0, 0, 0.1, 0.15, 0.2]]
    np.testing.assert_allclose(events.v[:, 0], expected, atol=1e-7)
    with pytest.raises(ms.InputError, match="5 pixels does not fall into 2 frames"):
        encoder(jnp.zeros(5))


def test_channel_events_drive_the_same_rows_by_one_frame_after_the_other():
    encoder = ChannelEvents(read_voltage=0.2, offset=0.25, times=(0.0, 50e-6))
    pixels = jnp.asarray([[0.5, 1.0, 0.0, 0.25, 0.75, 1.0]])
    np.testing.assert_allclose(encoder(pixels).v[:, 0], [[0.05, 0.15, -0.05, 0.2], [0, 0.1, 0.15, 0.2]], atol=1e-7)
    np.testing.assert_array_equal(encoder(jnp.stack([pixels, pixels])).v[:, 1], encoder(pixels).v)
    assert encoder.channels((6,)) == 4
    assert FrameEvents(times=encoder.times).channels((6,)) == 7
    with pytest.raises(ms.InputError, match="7 pixels does not fall into 2 frames"):
        encoder.channels((7,))


@pytest.mark.parametrize(("make", "rows"), [(FrameEvents, 7), (ChannelEvents, 3)])
def test_a_network_does_not_hear_a_frame_before_its_time(make, rows):
    network = feedforward((rows, 4, 3), input_gain=100.0)
    lines = network.program(jax.tree.map(lambda w: jnp.clip(w, -1, 1), network.init_weights(key=jax.random.key(0))))
    encoder = make(times=(0.0, 200e-6, 400e-6))

    @jax.jit
    def heard(pixels):
        return simulate(network, lines, encoder(pixels), steps=30, dt=20e-6)[-1]

    pixels = jnp.asarray([0.2, 0.9, 0.4, 0.1, 0.8, 0.3])
    change = np.abs(heard(pixels) - heard(pixels.at[4].set(0.0)))
    assert change[:20].max() < 1e-7  # the third frame begins at 400 µs
    assert change[25:].max() > 1e-5


def test_augmentation_moves_whole_images():
    image = jnp.zeros((200, 8, 8)).at[:, 4, 3].set(1.0)
    moved = Augment(shift=1.0)(image, key=jax.random.key(0))
    np.testing.assert_array_equal(moved.sum(axis=(1, 2)), 1.0)
    places = np.argwhere(np.asarray(moved) == 1)[:, 1:]
    assert np.abs(places - [4, 3]).max() == 2
    assert places.std(axis=0) == pytest.approx([1.0, 1.0], abs=0.2)
    mirrored = Augment(mirror=True)(image, key=jax.random.key(0))
    assert 70 < int(mirrored[:, 4, 4].sum()) < 130
    dropped = Augment(drop=0.25)(jnp.ones((50, 8, 8)), key=jax.random.key(0))
    assert float(dropped.mean()) == pytest.approx(0.75, abs=0.03)
