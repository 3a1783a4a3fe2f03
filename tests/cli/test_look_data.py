"""`memspike data look` of data sets: what was understood, and a command that runs."""

import shlex

import numpy as np
import pytest

from memspike.data.files.spreadsheet import is_headless
from memspike.experiments import resolve


@pytest.fixture
def moves(tmp_path):
    rng = np.random.default_rng(0)
    y = np.array(["left", "right"] * 24)
    path = tmp_path / "moves.npz"
    np.savez(path, x=rng.normal(size=(48, 5, 3)), y=y, lengths=rng.integers(2, 6, 48), speaker=y)
    return path


def command_of(text):
    (line,) = [line for line in text.splitlines() if line.startswith("learn it with memspike run ")]
    words = shlex.split(line)[5:]
    return words[0], words[2::2]


def test_look_says_what_was_understood(call, moves):
    status, text, error = call("data", "look", moves)
    assert (status, error) == (0, "")
    for words in (
        "moves.npz: npz, 48 examples of 5 frames of 3 channels",
        "lengths: 2 to 5 frames",
        "classes: 2 (training + test examples)",
        "18 + 6",
        "group speaker: 2 (left, right); data.group=speaker keeps each on one side",
        "split: 36 training and 12 test examples, made: a share of every class",
        "scaled by the range of the training part, of every channel",
    ):
        assert words in text
    name, keys = command_of(text)
    assert resolve(name, keys).settings.data.name == str(moves)


def test_keys_are_those_of_a_run(call, moves):
    text = call("data", "look", moves, "--set", "data.scale=standard", "--set", "split=0.5")[1]
    assert "24 training and 24 test" in text
    assert "±3 standard deviations" in text
    assert call("data", "look", moves, "--set", "data.sclae=range")[0] == 2


def test_what_is_assumed_is_said(call, tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros((8, 4, 4), np.uint8), y=np.arange(8) % 2)
    text = call("data", "look", tmp_path / "a.npz")[1]
    assert "4 frames of 4 channels (assumed; data.kind=images says otherwise)" in text
    text = call("data", "look", tmp_path / "a.npz", "--set", "kind=images")[1]
    assert "images of 4 × 4 pixels\n" in text
    assert command_of(text)[0] == "memprop-digits"


def test_a_table_is_a_data_set_a_measured_file_or_asked_about(call, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("a,b,label\n" + "".join(f"{k},{k * k},{'x' if k % 2 else 'y'}\n" for k in range(8)))
    assert "CSV, a row an example" in call("data", "look", path)[1]
    path.write_text("voltage (V),current (uA),label\n" + "".join(f"{k},{k},{k % 2}\n" for k in range(8)))
    status, text, error = call("data", "look", path)
    assert (status, text) == (2, "")
    assert "say which by --as data or --as device" in error
    assert "8 examples" in call("data", "look", path, "--as", "data")[1]
    assert "current (A)" in call("data", "look", path, "--as", "device")[1]
    assert "8 rows" in call("data", "look", path, "--as", "device")[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--as", "sound"], "Unknown kind of file (--as) 'sound'; allowed: data, device"),
        (["--as", "device", "--set", "split=0.5"], "--set is for data sets"),
        (["--as", "data", "--unit", "uS"], "a data set takes --set alone"),
    ],
)
def test_options_that_do_not_fit_are_one_sentence(call, moves, words, said):
    status, text, error = call("data", "look", moves, *words)
    assert (status, text) == (2, "")
    assert said in error


def test_a_regression_is_said(call, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("time,u,target\n" + "".join(f"{k},{k % 3},{k / 2}\n" for k in range(40)))
    text = call("data", "look", path, "--set", "window=5")[1]
    assert "regression: 1 output" in text
    assert "split: 6 training and 2 test examples, made: the end of the series" in text


@pytest.mark.parametrize("rows", ["1.5,0.2,1\n2.5,0.7,0\n", "0.5,0.2,rose\n0.3,0.7,lily\n", "0.1,1e-6\n0.7,2e-5\n"])
def test_numbers_without_a_header_may_be_either(rows, tmp_path, call):
    (tmp_path / "plain.csv").write_text(rows * 20)
    status, _, said = call("data", "look", str(tmp_path / "plain.csv"))
    assert status == 2
    assert "plain.csv has no header, so it may be a data set" in " ".join(said.split())
    assert "--as data or --as device" in " ".join(said.split())
    status, _, said = call("data", "look", str(tmp_path / "plain.csv"), "--as", "data")
    assert "needs a header" in " ".join(said.split())


def test_a_header_of_any_kind_is_one(tmp_path):
    (tmp_path / "one.csv").write_text("a,b\n1,2\n3,4\n")
    (tmp_path / "column.csv").write_text("1\n2\n3\n")
    (tmp_path / "uneven.csv").write_text("1,2\n3\n")
    assert not any(map(is_headless, sorted(tmp_path.iterdir())))
