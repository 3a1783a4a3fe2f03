"""npz files, pairs of npy files, folders of npy files: examples, classes or targets, lengths, groups, a split."""

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from memspike.data.files.labels import names_in
from memspike.data.files.options import FRAMES, IMAGES, WAVES, Reading
from memspike.data.files.raw import Raw, check_lengths, empty_ends, filled, numbers, stacked, waves
from memspike.parts.errors import InputError, unknown

Arrays = dict[str, np.ndarray]
X, Y, TARGET = ("x", "data", "inputs"), ("y", "label", "labels"), ("target", "targets")
ROLES = ("train", "test")
TAKEN = {*X, *Y, *TARGET, "lengths", "split", "rate"}


def read(path: Path, given: Reading) -> Raw:
    """Arrays called x and y, or x_train, y_train, x_test and y_test, in any case of the letters."""
    found = _joined(_loaded(path), path.name)
    rate = _rate(found, given, path.name)
    kind = given.kind or (FRAMES if rate is None else WAVES)
    x = _one(found, X, path.name)
    if kind == WAVES and x.dtype.kind not in "if":
        raise InputError(f"{path.name}: x is of type {x.dtype}; waveforms are floats or signed numbers, silence at 0.")
    x = x[:, :, None] if kind == WAVES and x.ndim == 2 else x
    x = numbers(stacked(x, f"{path.name}: x"), f"{path.name}: x")
    lengths = found.get("lengths")
    if lengths is not None:
        lengths = check_lengths(lengths, x, f"{path.name}: lengths")
        if kind == IMAGES:
            raise InputError(f"{path.name} gives lengths, but data.kind is images, which have none.")
        lengths = None if (lengths == x.shape[1]).all() else lengths
    x = filled(x, lengths, f"{path.name}: x")
    y, regression = _wanted(found, given, path.name)
    if len(y) != len(x):
        raise InputError(f"{path.name}: x has {len(x)} examples and y {len(y)}; one y an example is needed.")
    groups = {
        name: names_in(values, f"{path.name}: {name}")
        for name, values in found.items()
        if name not in TAKEN and values.shape[:1] == (len(x),) and values.ndim == 1 and values.dtype.kind in "iubUS"
    }
    notes = []
    if lengths is None and (ends := empty_ends(x)) and kind == FRAMES:
        notes.append(f"{ends} examples end in frames of zeros; if that is padding, add an array called lengths")
    labels = targets = None
    if regression:
        targets, said = targets_of(y, x.shape[1], path.name)
        notes += said
    else:
        labels = names_in(y, f"{path.name}: y")
    form = "npz" if path.is_file() and zipfile.is_zipfile(path) else "npy files"
    test = _stated(found, len(x), path.name)
    assumed = given.kind is None and kind != WAVES
    raw = Raw(form, x, kind, labels, targets, lengths, test, groups, rate=rate, assumed=assumed, notes=tuple(notes))
    return raw if kind != WAVES else waves(replace(raw, x=x.astype(np.float64)), given)


def _rate(found: Arrays, given: Reading, file: str) -> float | None:
    """Samples a second of waveforms, where the file or data.kind says that they are some."""
    if "rate" not in found or given.kind not in (None, WAVES):
        if given.kind == WAVES:
            raise InputError(f"{file} has no array called rate, the samples a second of its waveforms.")
        return None
    rate = found["rate"]
    if rate.size != 1 or rate.dtype.kind not in "iuf" or not np.isfinite(rate).all() or not rate.item() > 0:
        raise InputError(f"{file}: rate is {rate.dtype} {list(rate.shape)}; one number above 0 is needed, in Hz.")
    return float(rate.item())


def _loaded(path: Path) -> Arrays:
    """All arrays by their names in small letters; of a pair NAME_x.npy, NAME_y.npy the last part of the name."""
    if path.is_dir():
        return {file.stem.lower(): _array(file) for file in sorted(path.glob("*.npy"))}
    if zipfile.is_zipfile(path):
        try:
            with np.load(path, allow_pickle=False) as archive:
                return {name.lower(): archive[name] for name in archive.files}
        except ValueError as error:
            raise _pickled(path.name, error) from None
    stem, underscore, role = path.stem.rpartition("_")
    start = stem + underscore if role.lower() in X else ""
    own = {file.stem.removeprefix(start).lower(): file for file in path.parent.glob(f"{start}*.npy")} if start else {}
    if not any(name in own for name in (*Y, *TARGET)):
        raise InputError(
            f"{path.name} is one array; needed: a pair such as digits_x.npy (this one is given) and digits_y.npy, a "
            "folder with x.npy and y.npy, or an npz file."
        )
    return {name: _array(file) for name, file in own.items()}


def _array(file: Path) -> np.ndarray:
    try:
        return np.load(file, allow_pickle=False)
    except ValueError as error:
        raise _pickled(file.name, error) from None


def _pickled(name: str, error: ValueError) -> InputError:
    if "pickle" not in str(error).lower():
        return InputError(f"{name} is broken ({error}).")
    return InputError(
        f"{name} holds Python objects, such as a list of arrays of unequal lengths, which are not read; save one "
        "array [examples, frames, channels] with zeros behind the ends, and an array called lengths."
    )


def _joined(found: Arrays, name: str) -> Arrays:
    """Arrays of a stated split, one after the other, with an array `split` that says which is which."""
    parts = {(k.rpartition("_")[0], k.rpartition("_")[2]) for k in found if k.rpartition("_")[2] in ROLES}
    if not parts:
        return found
    bases = sorted({base for base, _ in parts})
    joined: Arrays = {}
    for base in bases:
        lacking = [f"{base}_{role}" for role in ROLES if (base, role) not in parts]
        if lacking:
            raise InputError(f"{name} holds {', '.join(sorted(found))}; it lacks {lacking[0]}.")
        train, test = (found[f"{base}_{role}"] for role in ROLES)
        if train.shape[1:] != test.shape[1:]:
            raise InputError(
                f"{name}: {base}_train has the shape {list(train.shape)} and {base}_test {list(test.shape)}; needed: "
                "the same but for the number of examples (shorter examples with zeros behind their ends, and "
                "lengths)."
            )
        joined[base] = np.concatenate([train, test])
        joined.setdefault("split", np.repeat(ROLES, [len(train), len(test)]))
    if not any(base in X for base in bases):
        raise InputError(f"{name} holds {', '.join(sorted(found))}; it lacks x_train and x_test.")
    sizes = {base: len(found[f"{base}_train"]) for base in bases}
    if len(set(sizes.values())) > 1:
        said = ", ".join(f"{base}_train {size}" for base, size in sizes.items())
        raise InputError(f"{name}: {said} examples; as many are needed.")
    return joined


def _one(found: Arrays, names: tuple[str, ...], file: str) -> np.ndarray:
    """The one array with one of these names."""
    here = [name for name in names if name in found]
    if len(here) != 1:
        held = "both " + " and ".join(here) if here else ", ".join(sorted(found)) or "nothing"
        raise InputError(f"{file} holds {held}; needed: one array of examples called {names[0]}, and y.")
    return found[here[0]]


def _wanted(found: Arrays, given: Reading, file: str) -> tuple[np.ndarray, bool]:
    """What is wanted, and whether it is a regression; InputError where the file leaves that open."""
    if given.label is not None and given.target is not None:
        raise InputError("data.label and data.target are both given; classes or numbers are wanted, not both.")
    named = given.label or given.target
    if named is not None and named.lower() not in found:
        raise unknown(f"data.{'label' if given.label else 'target'}", named, found)
    here = [named.lower()] if named is not None else [name for name in (*Y, *TARGET) if name in found]
    if len(here) != 1:
        held = "both " + " and ".join(here) if here else ", ".join(sorted(found))
        raise InputError(f"{file} holds {held}; needed: one array y of classes or targets (data.label or data.target).")
    y = found[here[0]]
    if given.target is not None or (here[0] in TARGET and given.label is None):
        if y.dtype.kind not in "iuf":
            raise InputError(f"{file}: the targets are of type {y.dtype}; numbers are needed.")
        return y, True
    if y.dtype.kind != "f":
        return y, False
    whole = y.ndim == 1 and bool((y == np.round(y)).all())
    if given.label is not None:
        if not whole:
            raise InputError(f"{file}: data.label names {here[0]}, which holds numbers with decimals, not classes.")
        return y.astype(np.int64), False
    if whole:
        raise InputError(
            f"{file}: {here[0]} holds whole numbers as floats; say data.label={here[0]} for classes or "
            f"data.target={here[0]} for a regression."
        )
    return y, True


def targets_of(y: np.ndarray, frames: int, file: str) -> tuple[np.ndarray, list[str]]:
    """Targets as [examples, frames, outputs], and what to say of how they came to that."""
    if not np.isfinite(y).all():
        where = np.argwhere(~np.isfinite(y))[0]
        raise InputError(f"{file}: the target at {where.tolist()} is NaN or infinite; finite numbers are needed.")
    y = y.astype(np.float32)
    if y.ndim == 3 and y.shape[1] == frames:
        return y, []
    if y.ndim == 2 and y.shape[1] == frames and frames > 1:
        return y[:, :, None], []
    if y.ndim > 2:
        raise InputError(
            f"{file}: the targets have the shape {list(y.shape)}; needed: [examples], [examples, outputs] or "
            f"[examples, {frames} frames, outputs]."
        )
    each = y.reshape(len(y), 1, -1)
    return np.repeat(each, frames, axis=1), ["one target an example: it is wanted at every frame"] if frames > 1 else []


def _stated(found: Arrays, count: int, file: str) -> np.ndarray | None:
    """Which examples are the test part, where the file says so."""
    if "split" not in found:
        return None
    said = found["split"]
    if said.shape != (count,) or said.dtype.kind not in "US":
        raise InputError(
            f"{file}: split has the shape {list(said.shape)}; needed: 'train' or 'test' for each of {count}."
        )
    return test_of(said.astype(str).tolist(), f"{file}: split")


def test_of(said: list[str], what: str) -> np.ndarray:
    """Which examples are said to be 'test'; InputError for another word than that and 'train'."""
    other = next((k for k, word in enumerate(said) if word.strip().lower() not in ROLES), None)
    if other is not None:
        raise InputError(f"{what} of example {other} is '{said[other]}'; allowed: train, test.")
    return np.array([word.strip().lower() == ROLES[1] for word in said])
