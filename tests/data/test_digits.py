"""The digits that ship with the package: those of the source, split as ever, with their licence."""

import importlib.util
import io
import zipfile

import numpy as np
import pytest

import memspike as ms
from memspike.data import included

ROLES = ("x_train", "y_train", "x_test", "y_test")


@pytest.fixture(scope="module")
def script(root):
    spec = importlib.util.spec_from_file_location("digits_script", root / "scripts/digits.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_file_is_what_the_script_makes_of_the_source(script):
    """scikit-learn has the same file; the split is its own."""
    from sklearn.datasets import load_digits

    arrays = script.split(*load_digits(return_X_y=True))
    shipped = ms.data.load("digits")
    for role in ROLES:
        np.testing.assert_array_equal(getattr(shipped, role), arrays[role])
    assert included.digest(arrays) == included.DIGITS_SHA256


def test_the_script_reads_the_published_file(script, shared_data):
    x, y = script.read(shared_data / "optdigits/optdigits.test.csv.gz")
    assert included.digest(script.split(x, y)) == included.DIGITS_SHA256
    with np.load(io.BytesIO(script.content(script.split(x, y))), allow_pickle=False) as archive:
        assert set(archive.files) == {"about", *ROLES}


def test_the_licence_is_with_the_data(root):
    with np.load(included.DIGITS, allow_pickle=False) as archive:
        assert "CC BY 4.0" in str(archive["about"])
    assert "CC BY 4.0" in (root / "LICENSE-digits").read_text()
    assert included.DIGITS.stat().st_size < 60_000


def test_a_damaged_file_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(included, "DIGITS", tmp_path / "digits.npz")
    with pytest.raises(ms.RunError, match="install memspike again"):
        ms.data.load("digits")
    arrays = {role: np.zeros(3, np.uint8) for role in ROLES}
    np.savez(tmp_path / "digits.npz", allow_pickle=False, **arrays)
    assert zipfile.is_zipfile(tmp_path / "digits.npz")
    with pytest.raises(ms.RunError, match="other data than the published"):
        ms.data.load("digits")
